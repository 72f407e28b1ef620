//! The complete path: answers whatever the fast path does not understand, and is its oracle.
//!
//! Read and written by the `domain` crate, looked up in sorted maps: it shares no code with the
//! fast path but the choice of a service's servers, so that where both can answer, equal bytes
//! mean that both are right. It allocates freely and takes some microseconds.
//!
//! What both paths agree on, beside the RFCs:
//! - The question is echoed in its case; names are compressed against it and nothing else, owners
//!   always and names in data only for NS, CNAME, SOA, PTR and static MX: a service's records are
//!   shared between services and signed as they stand.
//! - A positive answer has neither authority nor additional records but a referral's glue.
//! - OPT comes last, and only if the query has one; of the options the client subnet is echoed.
//! - A zone is signed if its SOA is. With DO its RRSIG records stand right behind the set that they
//!   cover, with that set's owner and TTL as served, wherever they stand; without DO nothing of
//!   DNSSEC is added, but DNSKEY, NSEC and the like are ordinary data for whoever asks for them.
//! - Proofs stand in the authority section, each record of the chain once, with at most the TTL of
//!   negative answers (RFC 9077), in this order: NODATA is the SOA and the NSEC at the name, for an
//!   empty non-terminal the one that jumps over it (RFC 4035 section 3.1.3.1); NXDOMAIN the SOA and
//!   the NSECs that jump over the name and over the wildcard at the closest encloser (3.1.3.2); a
//!   wildcard's answer the NSEC that jumps over the name (3.1.3.3); a wildcard's NODATA the SOA, that
//!   NSEC, and the one at the wildcard (3.1.3.4); a referral the DS set, or the NSEC at the
//!   delegation that shows there is none (3.1.4). A service's name is a name like any other. Hashed,
//!   the closest encloser's NSEC3 comes first, then the next closer name's, then the wildcard's (RFC
//!   5155 section 7.2). Behind a wildcard's proof no alias is followed into another zone.
//! - In a signed zone, ANY is answered with one real set (RFC 8482 section 4.1), that of the lowest
//!   type which is not the service's, and RRSIG with that set's signatures; elsewhere ANY is
//!   answered with a made-up HINFO (section 4.2), which could not be signed.
//! - What is signed is never shortened: signatures hold for whole sets.
//! - A reply that does not fit is cut to its question and OPT; a referral first loses glue.

mod compose;
mod denial;
mod index;
mod read;
mod resolve;

use std::borrow::Cow;
use std::net::IpAddr;

use domain::base::Message;
use domain::base::iana::Rcode;
use walrus_dns::{DomainName, record_type};

use super::{Outcome, Request, Transport};
use crate::world::ServiceTypes;
use compose::{ExtendedError, ReplyOptions};
use read::{Question, Unanswered};
use resolve::{AtService, Records, Resolution};

pub(super) use index::CompleteIndex;
pub use index::Lack;

/// A service's name was reached: who is to be named?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServiceQuestion {
    /// The number that [`CompleteIndex::new`] was given.
    pub service: u32,
    /// One of the types that the service gives.
    pub record_type: u16,
    /// The client subnet's source prefix, if the query has one: none of its address for 0 bits.
    pub subnet: Option<(Option<IpAddr>, u8)>,
}

/// Who is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceAnswer {
    /// Records' data in ring order, uncompressed; empty if the service has none of this type.
    pub data: Vec<Box<[u8]>>,
    /// Data of the RRSIG records over them; empty if they are not signed.
    pub signatures: Vec<Box<[u8]>>,
    /// Seconds.
    pub ttl: u32,
    /// The client subnet's scope in bits.
    pub scope: u8,
}

/// Answers one query into `reply`; `types` are those that each service gives and those that it owes,
/// `choose` names a service's servers, `None` before there is a Plan. Beside the request: so many bytes of
/// room are kept free behind the reply.
pub(super) fn respond_with(
    index: &CompleteIndex,
    types: (&[ServiceTypes], &[ServiceTypes]),
    (request, left): (&Request<'_>, usize),
    reply: &mut [u8],
    choose: impl FnOnce(ServiceQuestion) -> Option<ServiceAnswer>,
) -> Outcome {
    let bytes = match read::read(request.query) {
        Ok(question) => answer((index, types), &question, request, (reply.len(), left), choose),
        Err(Unanswered::Drop) => return Outcome::Drop,
        Err(Unanswered::Refused { rcode, question, opt }) => {
            let Ok(message) = Message::from_slice(request.query) else { return Outcome::Drop };
            compose::compose_refusal(message, question.as_deref(), rcode, opt)
        }
    };
    match reply.get_mut(..bytes.len()) {
        Some(reply) => {
            reply.copy_from_slice(&bytes);
            Outcome::Reply(bytes.len())
        }
        // A buffer that holds neither question nor OPT: nothing sensible fits.
        None => Outcome::Drop,
    }
}

fn answer(
    (index, types): (&CompleteIndex, (&[ServiceTypes], &[ServiceTypes])),
    question: &Question<'_>,
    request: &Request<'_>,
    (room, left): (usize, usize),
    choose: impl FnOnce(ServiceQuestion) -> Option<ServiceAnswer>,
) -> Vec<u8> {
    let limit = match request.transport {
        Transport::Udp => {
            let theirs = question.opt.as_ref().map_or(UDP_SIZE_MIN, |opt| opt.udp_size);
            usize::from(theirs.min(request.udp_size_max).max(UDP_SIZE_MIN))
        }
        Transport::Tcp | Transport::Tls | Transport::Https => usize::from(u16::MAX),
    };
    let subnet = question.opt.as_ref().and_then(|opt| opt.subnet);
    let mut options =
        ReplyOptions { subnet: subnet.map(|subnet| (subnet, 0)), extended_error: None };
    if let Some(text) = chaos(question, request) {
        let limit = limit.min(room).saturating_sub(left);
        return compose::compose_chaos(question, text, &options, limit);
    }
    let dnssec_ok = question.opt.as_ref().is_some_and(|opt| opt.dnssec_ok);
    let mut resolution = if is_served(question) {
        resolve::resolve((index, types), &question.name, question.record_type, dnssec_ok)
    } else {
        Resolution::error(Rcode::REFUSED)
    };
    options.extended_error = resolution.lack.map(|lack| match lack {
        Lack::Signatures => NOT_SIGNED,
        Lack::Content => NO_CONTENT,
        Lack::Fit => UNFIT,
    });
    let chosen;
    if let Some(service) = resolution.service.take() {
        let asked = ServiceQuestion {
            service: service.service,
            record_type: service.record_type,
            subnet: subnet.map(|subnet| (subnet.ip(), subnet.source)),
        };
        match choose(asked) {
            Some(answer) => {
                if let Some((_, scope)) = &mut options.subnet {
                    *scope = answer.scope;
                }
                chosen = Chosen::new(answer, dnssec_ok || service.signatures_only);
                append(&mut resolution, service, &chosen);
            }
            None => {
                resolution = Resolution::error(Rcode::SERVFAIL);
                options.extended_error = Some(NOT_READY);
            }
        }
    }
    compose::compose(question, &resolution, &options, limit.min(room).saturating_sub(left))
}

/// What the server says of itself under this name, if it says anything; the inner `None` for another
/// type.
fn chaos<'r>(question: &Question<'_>, request: &Request<'r>) -> Option<Option<&'r str>> {
    if question.class != record_type::CLASS_CH {
        return None;
    }
    let text = request.server.of_chaos(question.name.as_wire())?;
    let is_text = matches!(question.record_type, record_type::TXT | record_type::ANY);
    Some(is_text.then_some(text))
}

/// The least that a UDP reply may have (RFC 1035 section 4.2.1, RFC 6891 section 6.2.3).
const UDP_SIZE_MIN: u16 = 512;
/// Extended error 14 (RFC 8914 section 4.15).
const NOT_READY: ExtendedError = ExtendedError { code: 14, text: "" };
/// The same of a zone that is to be signed: unsigned answers would be bogus to whoever knows its DS.
const NOT_SIGNED: ExtendedError = ExtendedError { code: 14, text: "zone is not signed here yet" };
/// Extended error 24 (RFC 8914 section 4.25): no zone came yet, or the last one is too old.
const NO_CONTENT: ExtendedError =
    ExtendedError { code: 24, text: "no zone came from its primary, or it expired" };
/// Extended error 0 (RFC 8914 section 4.1): a service that does not fit what its zone holds.
const UNFIT: ExtendedError =
    ExtendedError { code: 0, text: "the service here does not fit what its zone holds" };

/// Only class IN, and no transfers.
fn is_served(question: &Question<'_>) -> bool {
    let is_transfer = matches!(question.record_type, record_type::AXFR | record_type::IXFR);
    question.class == record_type::CLASS_IN && !is_transfer
}

/// Who is named, as records' data.
struct Chosen {
    data: Vec<Box<[u8]>>,
    signatures: Vec<Box<[u8]>>,
    ttl: u32,
}

impl Chosen {
    fn new(answer: ServiceAnswer, signed: bool) -> Self {
        let signatures = if signed { answer.signatures } else { Vec::new() };
        Self { data: answer.data, signatures, ttl: answer.ttl }
    }
}

/// A service's servers end the chain; without any, what stands instead says so.
fn append<'a>(resolution: &mut Resolution<'a>, service: AtService<'a>, chosen: &'a Chosen) {
    let unsigned = service.signatures_only && chosen.signatures.is_empty();
    if chosen.data.is_empty() || unsigned {
        resolve::add_once(&mut resolution.authority, service.instead);
        return;
    }
    let mut data: Vec<Cow<'_, [u8]>> =
        chosen.data.iter().map(|data| Cow::Borrowed(&**data)).collect();
    let mut signatures: Vec<&[u8]> = chosen.signatures.iter().map(|data| &**data).collect();
    let mut record_type = service.record_type;
    if service.signatures_only {
        data = std::mem::take(&mut signatures).into_iter().map(Cow::Borrowed).collect();
        record_type = record_type::RRSIG;
    } else if signatures.is_empty() {
        data.truncate(fitting(resolution, &service.owner, &data));
    }
    let (owner, ttl) = (service.owner, chosen.ttl);
    resolution.answer.push(Records {
        owner,
        record_type,
        ttl,
        data,
        signatures,
        names_whole: true,
    });
    resolve::add_once(&mut resolution.authority, service.beside);
}

/// How many records surely fit behind the aliases that lead to them. A service's own answer is
/// cut to what TCP holds when its Plan is compiled, but with owners that are a pointer each.
fn fitting(resolution: &Resolution<'_>, owner: &DomainName, named: &[Cow<'_, [u8]>]) -> usize {
    const FIXED_LEN: usize = 10;
    /// Header, question and OPT.
    const FRAME_LEN_MAX: usize = 400;
    if resolution.answer.is_empty() {
        return named.len();
    }
    let record_len = |owner: &DomainName, data: usize| owner.as_wire().len() + FIXED_LEN + data;
    let aliases = resolution.answer.iter().flat_map(|records| {
        let data = records.data.iter().map(|data| data.len());
        let all = data.chain(records.signatures.iter().map(|data| data.len()));
        all.map(|len| record_len(&records.owner, len))
    });
    let room = usize::from(u16::MAX).saturating_sub(FRAME_LEN_MAX + aliases.sum::<usize>());
    let mut taken = 0;
    let fits = |data: &&Cow<'_, [u8]>| {
        taken += record_len(owner, data.len());
        taken <= room
    };
    named.iter().take_while(fits).count()
}

#[cfg(test)]
mod tests;
