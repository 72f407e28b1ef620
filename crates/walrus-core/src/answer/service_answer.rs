//! Locate, choose, ttl: one query for a service, for either answer path.

use std::net::{IpAddr, SocketAddr};

use super::request::ServiceDecision;
use super::table::{AnswerTable, ClassDecision, Drawn, ServiceTable, data_of};
use super::worker::WorkerState;
use crate::policy::choose::{Asked, AskingDomain};
use crate::world::{ServiceType, Time};

/// Who asks, as far as a service's policy may know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    /// Who sent the query.
    pub(super) resolver: IpAddr,
    /// The client subnet's address, `None` for a source of 0 bits, and its source prefix length.
    pub(super) subnet: Option<(Option<IpAddr>, u8)>,
    /// The address that was asked.
    pub(super) local: SocketAddr,
    /// When the query came.
    pub(super) now: Time,
}

impl Client {
    /// The client subnet, if it says anything.
    pub(super) fn told_subnet(&self) -> Option<(IpAddr, u8)> {
        let (address, source) = self.subnet?;
        Some((address?, source))
    }

    /// The scope of an answer that so many bits decided: as long as what names the domain that was looked
    /// at, and never longer than the source; 0 if the address that decided was not the subnet's.
    #[inline]
    fn scope(&self, looked_at: u8) -> u8 {
        self.told_subnet().map_or(0, |(_, source)| looked_at.min(source))
    }
}

/// What a service answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServiceAnswer<'a> {
    /// Records and first server; `None` is NODATA.
    pub(super) drawn: Option<Drawn<'a>>,
    /// RRSIG records over the set, as they go into a reply behind it; empty if it is not signed.
    pub(super) signatures: &'a [u8],
    /// How many.
    pub(super) signature_count: u16,
    /// Seconds.
    pub(super) ttl: u32,
    /// The records do not say so: their TTL is the longest that there is.
    pub(super) is_adapted: bool,
    /// The client subnet's scope in bits.
    pub(super) scope: u8,
}

/// Answers for a service and counts it; `None` before there is a Plan for it.
#[inline]
pub(super) fn answer_service<'a>(
    table: &'a AnswerTable,
    worker: &mut WorkerState,
    service: u32,
    service_type: ServiceType,
    client: &Client,
) -> Option<ServiceAnswer<'a>> {
    let nowhere = ServiceDecision { service, area: None, ttl: 0, first: None, servers: 0 };
    let decision = worker.decision.service.insert(nowhere);
    let compiled = table.service(service)?;
    let subnet_address = client.subnet.and_then(|(address, _)| address);
    let address = subnet_address.unwrap_or(client.resolver);
    let located = compiled.locate(table.locator(), address, client.local);
    let decided = compiled.decisions().get(usize::from(located.class))?;
    // Only areas that are decided alike cost a second look at the map.
    let area = located.area.or_else(|| table.locator().map_area(address));
    let area = area.or(table.locator().world);
    decision.area = area;
    if let Some(area) = area {
        worker.counters.count_area(service, area);
    }
    let domain = compiled.asking(client.resolver, client.told_subnet());
    let mut asked = asked(compiled, decided, domain, client.now);
    let list = decided.list(service_type);
    let mut ttl = decided.ttl;
    let (mut signatures, mut signature_count) = (&[][..], 0);
    let drawn = list.and_then(|place| {
        let list = compiled.lists().get(place as usize)?;
        let (positions, mut memory) = worker.positions.of(service, place);
        let mut drawn = list.draw(&asked, &mut worker.generator, positions, memory.as_deref_mut());
        // In a signed zone another set may stand in until this one is signed.
        if let Some(signed) = compiled.signed().and_then(|signed| signed.answer(place, drawn)) {
            drawn = signed.drawn;
            (signatures, signature_count) = (signed.signatures, signed.signature_count);
        }
        decision.first = list.servers().get(drawn.ordinal as usize).copied();
        if decision.first.is_some() {
            worker.counters.count_server(service, place, drawn.ordinal);
        }
        decision.servers = drawn.servers;
        // All records of a set have one TTL (RFC 2181 section 5.2): that for its first server.
        if let Some(ttls) = compiled.ttls() {
            let by = (domain.class, place, drawn.ordinal);
            ttl = ttls.seconds(by, decided.is_halved(), worker.generator.share());
        }
        decision.ttl = ttl;
        // What load an answer brings ends with it.
        asked.ttl = ttl;
        if decided.brings_load(service_type) {
            list.grant(&drawn, &asked, memory);
        }
        Some(drawn)
    });
    // What a signed zone promises and the Plan lacks (an alias's target may have lost it just now, or
    // is not resolved yet): no proof could say so.
    if drawn.is_none() && table.owes(service, service_type) {
        return None;
    }
    // NODATA is the same for everybody, and RFC 7871 section 7.4 wants 0 for every negative answer.
    let looked_at = located.prefix_len.max(domain.prefix_len);
    let scope = if drawn.is_some() { client.scope(looked_at) } else { 0 };
    worker.decision.scope = scope;
    let is_adapted = compiled.ttls().is_some();
    Some(ServiceAnswer { drawn, signatures, signature_count, ttl, is_adapted, scope })
}

/// What a choice may depend on: what this answer is expected to bring, before its server is chosen.
#[inline]
pub(super) fn asked(
    service: &ServiceTable,
    decided: &ClassDecision,
    mut domain: AskingDomain,
    now: Time,
) -> Asked {
    let ttl = expected_ttl(service, decided, &domain);
    // Clients of both families ask for both, and connect to one of the answers.
    if decided.has_both_families() {
        domain.weight /= 2.0;
    }
    Asked { now, ttl, domain }
}

/// How long an answer to this domain is expected to be cached, before its server is chosen.
#[inline]
fn expected_ttl(service: &ServiceTable, decided: &ClassDecision, domain: &AskingDomain) -> u32 {
    let ttls = service.ttls();
    ttls.map_or(decided.ttl, |ttls| ttls.expected(domain.class, decided.is_halved()))
}

impl<'a> ServiceAnswer<'a> {
    /// Each record's data, in the order of the answer.
    pub(super) fn data(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        data_of(self.drawn.map_or(&[][..], |drawn| drawn.records))
    }

    /// The data of the RRSIG records.
    pub(super) fn signature_data(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        data_of(self.signatures)
    }
}
