//! Why a client gets the answer that it gets: the same functions as the live answer, on a copy of a
//! worker's state, with everything that took part written down.

use std::net::{IpAddr, SocketAddr};

use domain::base::Message;
use domain::base::message::RecordSection;
use domain::base::opt::ExtendedError;
use domain::rdata::AllRecordData;
use serde::{Deserialize, Serialize};
use walrus_dns::{DomainName, rcode, record_type};

use super::explain_choice::explain_choice;
use super::explain_service::{ServiceExplanation, explain_service};
use super::request::{Decision, Outcome, Request, ServiceDecision, Transport};
use super::respond::{respond, respond_completely};
use super::server_options::ServerOptions;
use super::table::AnswerTable;
use super::worker::WorkerState;
use crate::world::Time;
use crate::zone::calendar;

/// What is to be explained.
#[derive(Clone, Debug)]
pub struct ExplainRequest {
    /// The name that is asked for.
    pub name: DomainName,
    /// The type that is asked for; 1 is A.
    pub record_type: u16,
    /// Who asks.
    pub resolver: IpAddr,
    /// The client's network and its length in bits, if the resolver tells it (ECS).
    pub client: Option<(IpAddr, u8)>,
    /// The address that is asked.
    pub local: SocketAddr,
    /// When, by the clock of whoever made the worker's state.
    pub now: Time,
}

/// An answer and why it is what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// What was asked for.
    pub name: String,
    /// Its type's number.
    pub record_type: u16,
    /// Who asked.
    pub resolver: IpAddr,
    /// For which network, if that was told.
    pub client: Option<String>,
    /// The address that was asked.
    pub asked: SocketAddr,
    /// The Plan's number, if there is one.
    pub plan: Option<String>,
    /// The reply's code; 0 is no error.
    pub rcode: u16,
    /// The reply's extended error (RFC 8914), if it has one.
    pub extended_error: Option<u16>,
    /// Why a service cannot be answered for, in a sentence; `None` if it can, or the name is none.
    pub because: Option<String>,
    /// The answer section without signatures, a record a line.
    pub answer: Vec<String>,
    /// The authority section without signatures, a record a line: of "no", what proves it in a
    /// signed zone.
    pub authority: Vec<String>,
    /// The signatures over both; none in a zone that is not signed.
    pub signatures: Vec<SignatureExplanation>,
    /// The client subnet's scope in bits, if a client was told.
    pub scope: Option<u8>,
    /// The stages, if the name is (or leads to) a service that the Plan has.
    pub service: Option<ServiceExplanation>,
}

/// One signature over a record set of the reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureExplanation {
    /// The set's name.
    pub owner: String,
    /// The set's type.
    pub covers: String,
    /// The tag of the key that signed.
    pub key_tag: u16,
    /// The number of its algorithm.
    pub algorithm: u8,
    /// Not valid before, as zone files write it: YYYYMMDDHHmmSS in UTC.
    pub inception: String,
    /// Not valid after.
    pub expiry: String,
}

/// Answers on a copy of the worker's state and tells how it came about.
#[must_use]
pub fn explain(table: &AnswerTable, worker: &WorkerState, request: &ExplainRequest) -> Explanation {
    let (mut copy, mut before) = (worker.clone(), worker.clone());
    let query = query_bytes(request);
    let mut reply = vec![0; 65_535];
    let (len, decision) = run(table, &mut copy, request, &query, &mut reply);
    let told = Told::of(&reply[..len]);
    let service = decision.service.and_then(|decided| {
        let choice = explain_choice(table, &mut before, request, &decided, request.now);
        explain_service(table, (&mut copy, choice), request, &query, &decided)
    });
    Explanation {
        name: request.name.to_string(),
        record_type: request.record_type,
        resolver: request.resolver,
        client: request.client.map(|(network, len)| format!("{network}/{len}")),
        asked: request.local,
        plan: table.plan().map(|plan| plan.number.to_string()),
        rcode: decision.rcode,
        extended_error: told.extended_error,
        because: decision
            .service
            .filter(|_| decision.rcode == rcode::SERVFAIL)
            .map(|decided| not_ready(table, &decided)),
        answer: told.answer,
        authority: told.authority,
        signatures: told.signatures,
        scope: request.client.map(|_| decision.scope),
        service,
    }
}

/// One answer as it would go out by TCP, so that nothing is cut.
pub(super) fn run(
    table: &AnswerTable,
    worker: &mut WorkerState,
    request: &ExplainRequest,
    query: &[u8],
    reply: &mut [u8],
) -> (usize, Decision) {
    let request = Request {
        query,
        client: request.resolver,
        local: request.local,
        transport: Transport::Tcp,
        now: request.now,
        unix_secs: 0,
        udp_size_max: 1232,
        server: ServerOptions::SILENT,
    };
    let mut outcome = respond(table, worker, &request, reply);
    if outcome == Outcome::NotUnderstood {
        outcome = respond_completely(table, worker, &request, reply);
    }
    let len = if let Outcome::Reply(len) = outcome { len } else { 0 };
    (len, *worker.decision())
}

/// A query with EDNS that wants signatures, with the client's network cut to its length.
fn query_bytes(request: &ExplainRequest) -> Vec<u8> {
    let mut query = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend_from_slice(request.name.as_wire());
    query.extend_from_slice(&request.record_type.to_be_bytes());
    query.extend_from_slice(&record_type::CLASS_IN.to_be_bytes());
    query.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 128, 0, 0]);
    let Some((network, len)) = request.client else {
        query.push(0);
        return query;
    };
    let (family, mut address) = match network.to_canonical() {
        IpAddr::V4(address) => (1, address.octets().to_vec()),
        IpAddr::V6(address) => (2, address.octets().to_vec()),
    };
    let len = len.min(if family == 1 { 32 } else { 128 });
    address.truncate(usize::from(len).div_ceil(8));
    if let Some(last) = address.last_mut()
        && len % 8 != 0
    {
        *last &= 0xff << (8 - len % 8);
    }
    let sent = address.len() as u8;
    query.extend_from_slice(&[8 + sent, 0, 8, 0, 4 + sent, 0, family, len, 0]);
    query.extend_from_slice(&address);
    query
}

/// Why a service is answered with SERVFAIL.
fn not_ready(table: &AnswerTable, decided: &ServiceDecision) -> String {
    let name = table.services().get(decided.service as usize).map(ToString::to_string);
    let name = name.unwrap_or_default();
    let Some(plan) = table.plan() else {
        return "there is no Plan yet: the Controller makes one soon after its start".to_owned();
    };
    if table.service(decided.service).is_some() {
        return format!(
            "the signed zone promises this type at {name}, and no server of the Plan has it"
        );
    }
    if plan.services.iter().any(|service| service.name == name) {
        return format!("no answer for {name} is signed yet");
    }
    match table.alias_of(decided.service) {
        Some(target) => format!("the alias {target} of {name} is not resolved yet"),
        None => format!("the Plan was made without {name}: one for this configuration is to come"),
    }
}

/// A reply's records, told apart.
#[derive(Default)]
struct Told {
    extended_error: Option<u16>,
    answer: Vec<String>,
    authority: Vec<String>,
    signatures: Vec<SignatureExplanation>,
}

impl Told {
    fn of(reply: &[u8]) -> Self {
        let mut told = Self::default();
        let Ok(message) = Message::from_slice(reply) else { return told };
        let Ok((_, answer, authority, _)) = message.sections() else { return told };
        let opt = message.opt();
        let error = opt.and_then(|opt| opt.opt().iter::<ExtendedError<_>>().flatten().next());
        told.extended_error = error.map(|error| error.code().to_int());
        told.answer = told.lines(answer);
        told.authority = told.lines(authority);
        told
    }

    /// A section's records, a line each; its signatures are put aside.
    fn lines(&mut self, section: RecordSection<'_, [u8]>) -> Vec<String> {
        let mut lines = Vec::new();
        for record in section.limit_to::<AllRecordData<_, _>>().flatten() {
            let AllRecordData::Rrsig(rrsig) = record.data() else {
                lines.push(record.to_string());
                continue;
            };
            self.signatures.push(SignatureExplanation {
                owner: record.owner().to_string(),
                covers: rrsig.type_covered().to_string(),
                key_tag: rrsig.key_tag(),
                algorithm: rrsig.algorithm().to_int(),
                inception: calendar(rrsig.inception().into_int()),
                expiry: calendar(rrsig.expiration().into_int()),
            });
        }
        lines
    }
}
