//! The fast path: query bytes in, reply bytes out, in about a tenth of a microsecond.
//!
//! It answers what nearly everybody asks: services, static names, "no such name", "no such record",
//! and everything that is refused. What needs more than one look into the tables (delegations,
//! wildcards, aliases inside our zones, DS at an apex) is [`Outcome::NotUnderstood`]: the complete
//! path answers it. Both paths give the same bytes wherever both answer; the rules are told there.

use walrus_dns::edns::ReplyOpt;
use walrus_dns::query::{self, HEADER_LEN, Query, Refusal};
use walrus_dns::reply::{self, Counts};
use walrus_dns::{AddedOptions, rcode, record_type};

use super::denial::{Denial, Proof};
use super::request::{ClientCookie, Decision, Outcome, Request, Transport};
use super::service_answer::{Client, answer_service};
use super::table::{AnswerTable, Entry, PrebuiltSet, ZoneTable, flags, set_ttl};
use super::worker::WorkerState;
use super::{complete, cookie_request};
use crate::world::ServiceType;

/// The longest message (RFC 1035 section 4.2.2).
const TCP_SIZE: usize = 65_535;
/// RFC 8482 section 4.2: HINFO "RFC8482" "" at the question's name, for an hour.
const ANY_ANSWER: [u8; 21] = *b"\xc0\x0c\x00\x0d\x00\x01\x00\x00\x0e\x10\x00\x09\x07RFC8482\x00";

/// Answers a query into `reply`, which should hold at least 1,232 bytes for UDP and 65,535 for
/// TCP: what does not fit is cut. [`WorkerState::decision`] then says what decided.
pub fn respond(
    table: &AnswerTable,
    worker: &mut WorkerState,
    request: &Request<'_>,
    reply: &mut [u8],
) -> Outcome {
    worker.decision = Decision::default();
    let query = match query::parse(request.query) {
        Ok(query) => query,
        Err(refusal) => {
            let given = cookie_request::give(worker, request, reply).map(Outcome::Reply);
            return given.unwrap_or_else(|| refuse(refusal, worker, request, reply));
        }
    };
    let Some(body) = find_body(table, worker, request, &query) else {
        return Outcome::NotUnderstood;
    };
    // Not sooner: to copy what was written a moment ago by parts makes the processor wait.
    note_query(&mut worker.decision, &query);
    let added = request.server.added(request, query.edns.as_ref());
    worker.decision.cookie = ClientCookie::of(&added);
    match compose((table, worker), (request, &query), &body, &added, reply) {
        Some(len) => Outcome::Reply(len),
        None => Outcome::Drop,
    }
}

/// Answers a query by the complete path, which understands all that [`respond`] does and more, at
/// some microseconds and with allocations. Where both answer, they give the same bytes.
pub fn respond_completely(
    table: &AnswerTable,
    worker: &mut WorkerState,
    request: &Request<'_>,
    reply: &mut [u8],
) -> Outcome {
    worker.decision = Decision::default();
    if let Some(len) = cookie_request::give(worker, request, reply) {
        return Outcome::Reply(len);
    }
    let (mut upper_rcode, mut added) = (0, AddedOptions::default());
    match query::parse(request.query) {
        Ok(query) => {
            note_query(&mut worker.decision, &query);
            added = request.server.added(request, query.edns.as_ref());
            worker.decision.cookie = ClientCookie::of(&added);
        }
        // BADVERS does not fit into the header.
        Err(Refusal::Reply { rcode, .. }) => upper_rcode = rcode & !0x0f,
        Err(Refusal::Drop) => {}
    }
    let choose = |asked: complete::ServiceQuestion| {
        let client = Client {
            resolver: request.client,
            subnet: asked.subnet,
            local: request.local,
            now: request.now,
        };
        let service_type = ServiceType::of(asked.record_type)?;
        let answer = answer_service(table, worker, asked.service, service_type, &client)?;
        let (ttl, scope) = (answer.ttl, answer.scope);
        let signatures = answer.signature_data().map(Into::into).collect();
        let data = answer.data().map(Into::into).collect();
        Some(complete::ServiceAnswer { data, signatures, ttl, scope })
    };
    let (zones, types) = (table.zones().complete(), table.all_types());
    let room = (request, added.len());
    let mut outcome = complete::respond_with(zones, types, room, reply, choose);
    if let Outcome::Reply(len) = outcome {
        if !added.is_empty()
            && let Some(opt_at) = reply.get(..len).and_then(reply::find_opt)
        {
            outcome = Outcome::Reply(added.append(reply, len, opt_at));
        }
        let header = reply.get(..len).and_then(|reply| reply.first_chunk::<HEADER_LEN>());
        let [.., flags, code, _, _, _, _, _, _, _, _] = *header.unwrap_or(&[0; HEADER_LEN]);
        worker.decision.truncated = flags & reply::FLAG_TC != 0;
        worker.decision.rcode = upper_rcode | u16::from(code & 0x0f);
    }
    outcome
}

fn note_query(decision: &mut Decision, query: &Query<'_>) {
    decision.record_type = query.record_type;
    decision.edns = query.edns.is_some();
    decision.dnssec_ok = query.edns.as_ref().is_some_and(|edns| edns.dnssec_ok);
    decision.client_subnet = query.edns.as_ref().and_then(|edns| edns.client_subnet);
}

fn refuse(
    refusal: Refusal,
    worker: &mut WorkerState,
    request: &Request<'_>,
    reply: &mut [u8],
) -> Outcome {
    match (refusal, reply::write_refusal(refusal, request.query, reply)) {
        (Refusal::Reply { rcode, .. }, Some(len)) => {
            worker.decision.rcode = rcode;
            Outcome::Reply(len)
        }
        _ => Outcome::Drop,
    }
}

/// What stands between question and OPT.
enum Body<'a> {
    /// One record set in the answer section, and its signatures if they are wanted.
    Records {
        count: u16,
        bytes: &'a [u8],
        signatures: u16,
        signature_bytes: &'a [u8],
        /// Instead of the TTL that they have, in seconds.
        ttl: Option<u32>,
    },
    /// Nothing, and the zone's SOA in the authority section (RFC 2308), from a signed zone with the
    /// proof if it is wanted.
    Negative { zone: u16, rcode: u16, proof: Proof<'a> },
    /// Not ours.
    Refused,
    /// A service without a Plan.
    NotReady,
}

/// Looks the question up; `None` is for the complete path.
#[inline]
fn find_body<'a>(
    table: &'a AnswerTable,
    worker: &mut WorkerState,
    request: &Request<'_>,
    query: &Query<'_>,
) -> Option<Body<'a>> {
    let is_transfer = matches!(query.record_type, record_type::AXFR | record_type::IXFR);
    let mut folded = [0; 256];
    let name = query.fold_name(&mut folded);
    if query.class != record_type::CLASS_IN || is_transfer {
        let of_chaos = || request.server.of_chaos(name).is_some();
        let is_of_server = query.class == record_type::CLASS_CH && of_chaos();
        return (!is_of_server).then_some(Body::Refused);
    }
    let dnssec_ok = query.edns.as_ref().is_some_and(|edns| edns.dnssec_ok);
    let Some(entry) = table.zones().find(name) else {
        let Some(above) = table.zones().closest_encloser(name) else { return Some(Body::Refused) };
        if above.has(flags::CUT | flags::RECORDS_BELOW) {
            return None;
        }
        let denial = Denial::NoName { name, encloser_len: above.name_len() };
        return negative(table, above.zone(), rcode::NXDOMAIN, dnssec_ok.then_some(denial));
    };
    if entry.has(flags::CUT) || (query.record_type == record_type::DS && entry.has(flags::APEX)) {
        return None;
    }
    // Of the root itself: it is shorter than the pointer that prebuilt records begin with.
    if name.len() == 1 {
        return None;
    }
    let no_type = || {
        let denial = dnssec_ok.then_some(Denial::NoType { name });
        negative(table, entry.zone(), rcode::NOERROR, denial)
    };
    let (wanted, signatures_only) = match query.record_type {
        wanted @ (record_type::ANY | record_type::RRSIG) => {
            instead_of_everything(table, entry, wanted)
        }
        wanted => (wanted, false),
    };
    if let (Some(service), Some(service_type)) = (entry.service(), ServiceType::of(wanted))
        && table.types(service).has(service_type)
    {
        let client = client(request, query);
        let Some(answer) = answer_service(table, worker, service, service_type, &client) else {
            return Some(Body::NotReady);
        };
        let unsigned = signatures_only && answer.signature_count == 0;
        let Some(drawn) = answer.drawn.filter(|_| !unsigned) else { return no_type() };
        let (count, bytes) = (drawn.count, drawn.records);
        let (signatures, signature_bytes) = (answer.signature_count, answer.signatures);
        let ttl = answer.is_adapted.then_some(answer.ttl);
        let body = Body::Records { count, bytes, signatures, signature_bytes, ttl };
        return Some(body.signed(dnssec_ok, signatures_only));
    }
    match find_static(entry, wanted) {
        // Only in a zone that someone else signed by halves.
        Some(Body::Records { signatures: 0, .. }) if signatures_only => None,
        Some(body) => Some(body.signed(dnssec_ok, signatures_only)),
        None if entry.has(flags::CNAME_INSIDE) => None,
        None => no_type(),
    }
}

/// "No", with the proof of this if the zone is signed.
fn negative<'a>(
    table: &'a AnswerTable,
    zone: u16,
    rcode: u16,
    denial: Option<Denial<'_>>,
) -> Option<Body<'a>> {
    let mut proof = Proof::None;
    if let Some(denial) = denial
        && table.zones().is_signed(zone)
    {
        proof = Proof::find(table.zones(), zone, denial)?;
    }
    Some(Body::Negative { zone, rcode, proof })
}

/// The type that ANY and RRSIG are answered with, and whether only its signatures are wanted.
fn instead_of_everything(table: &AnswerTable, entry: Entry<'_>, wanted: u16) -> (u16, bool) {
    // RFC 8482 section 4.2: where an alias stands, the alias is the answer.
    if wanted == record_type::ANY && entry.has(flags::CNAME_INSIDE | flags::CNAME_OUTSIDE) {
        return (record_type::CNAME, false);
    }
    if !table.zones().is_signed(entry.zone()) || !entry.has_data() {
        return (wanted, false);
    }
    let given = entry.service().map(|service| table.types(service)).unwrap_or_default();
    let is_given = |number| ServiceType::of(number).is_some_and(|it| given.has(it));
    let own = || {
        let first = entry.service().and_then(|service| table.first_type(service));
        first.map_or(record_type::A, ServiceType::number)
    };
    let first = entry.first_type(|number| !is_given(number)).unwrap_or_else(own);
    (first, wanted == record_type::RRSIG)
}

impl<'a> Body<'a> {
    const fn of_set(set: &PrebuiltSet<'a>) -> Self {
        let PrebuiltSet { records: count, bytes, signatures, signature_bytes } = *set;
        Body::Records { count, bytes, signatures, signature_bytes, ttl: None }
    }

    /// With signatures, without, or these alone.
    const fn signed(self, dnssec_ok: bool, signatures_only: bool) -> Self {
        match self {
            Body::Records { signatures: count, signature_bytes: bytes, ttl, .. }
                if signatures_only =>
            {
                Body::Records { count, bytes, signatures: 0, signature_bytes: &[], ttl }
            }
            Body::Records { count, bytes, ttl, .. } if !dnssec_ok => {
                Body::Records { count, bytes, signatures: 0, signature_bytes: &[], ttl }
            }
            body => body,
        }
    }
}

fn find_static(entry: Entry<'_>, wanted: u16) -> Option<Body<'_>> {
    // RFC 8482 section 4.2: where no real set is given, a made-up one.
    if wanted == record_type::ANY && entry.has_data() {
        let (bytes, signature_bytes) = (&ANY_ANSWER[..], &[][..]);
        return Some(Body::Records { count: 1, bytes, signatures: 0, signature_bytes, ttl: None });
    }
    let set = entry.set(wanted).or_else(|| {
        entry.has(flags::CNAME_OUTSIDE).then(|| entry.set(record_type::CNAME)).flatten()
    });
    Some(Body::of_set(&set?))
}

fn client(request: &Request<'_>, query: &Query<'_>) -> Client {
    let subnet = query.edns.as_ref().and_then(|edns| edns.client_subnet);
    Client {
        resolver: request.client,
        subnet: subnet.map(|subnet| (subnet.address(), subnet.source())),
        local: request.local,
        now: request.now,
    }
}

/// Writes the reply and returns its length; `None` if not even question and OPT fit.
#[inline]
fn compose(
    (table, worker): (&AnswerTable, &mut WorkerState),
    (request, query): (&Request<'_>, &Query<'_>),
    body: &Body<'_>,
    added: &AddedOptions<'_>,
    reply: &mut [u8],
) -> Option<usize> {
    let decision = &mut worker.decision;
    let opt = query.edns.as_ref().map(|edns| ReplyOpt {
        dnssec_ok: edns.dnssec_ok,
        client_subnet: edns.client_subnet.map(|subnet| (subnet, decision.scope)),
        extended_error: matches!(body, Body::NotReady).then_some(rcode::EDE_NOT_READY),
    });
    let limit = match request.transport {
        Transport::Udp => query.udp_size(request.udp_size_max),
        Transport::Tcp | Transport::Tls | Transport::Https => TCP_SIZE,
    };
    let limit = limit.min(reply.len());
    let body_end = limit.checked_sub(opt.as_ref().map_or(0, ReplyOpt::wire_len) + added.len())?;
    let question_end = reply::copy_question(query, reply.get_mut(..body_end)?)?;
    let room = &mut reply[question_end..body_end];
    let (mut flags, mut counts) = (reply::FLAG_AA, Counts::default());
    let written = match *body {
        Body::Records { count, bytes, signatures, signature_bytes, ttl } => {
            counts.answer = count.saturating_add(signatures);
            let len = bytes.len() + signature_bytes.len();
            room.get_mut(..len).map(|room| {
                let (records, behind) = room.split_at_mut(bytes.len());
                records.copy_from_slice(bytes);
                behind.copy_from_slice(signature_bytes);
                if let Some(ttl) = ttl {
                    set_ttl(&mut room[..len], ttl);
                }
                len
            })
        }
        Body::Negative { zone, rcode, ref proof } => {
            decision.rcode = rcode;
            let written = write_negative(table.zones(), zone, query.name(), proof, room);
            written.map(|(len, count)| {
                counts.authority = count;
                len
            })
        }
        Body::Refused | Body::NotReady => {
            let not_ready = matches!(body, Body::NotReady);
            decision.rcode = if not_ready { rcode::SERVFAIL } else { rcode::REFUSED };
            flags = 0;
            Some(0)
        }
    };
    let mut len = question_end + written.unwrap_or(0);
    if written.is_none() {
        decision.truncated = true;
        flags |= reply::FLAG_TC;
        counts = Counts::default();
    }
    if let Some(opt) = &opt {
        counts.additional = 1;
        let opt_at = len;
        len += opt.write(decision.rcode, &mut reply[len..])?;
        if !added.is_empty() {
            len = added.append(reply, len, opt_at);
        }
    }
    reply::write_header(reply.get_mut(..HEADER_LEN)?, flags, decision.rcode, 1, counts);
    Some(len)
}

/// Writes the SOA record and the proof; their length and how many records there are.
#[inline]
fn write_negative(
    zones: &ZoneTable,
    zone: u16,
    question: &[u8],
    proof: &Proof<'_>,
    room: &mut [u8],
) -> Option<(usize, u16)> {
    let soa_len = zones.write_negative_soa(zone, question, room)?;
    if matches!(proof, Proof::None) {
        return Some((soa_len, 1));
    }
    let (len, count) = proof.write(zones, zone, question, &mut room[soa_len..])?;
    Some((soa_len + len, 1 + count))
}
