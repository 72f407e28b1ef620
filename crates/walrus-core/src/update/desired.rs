//! What a Plan wants a name server to answer (A12).
//!
//! A name server that is told addresses gives all of them to whoever asks: it cannot choose, weigh or
//! draw. So an area's candidates are published as they are; the Plan has put them together by A12 and by
//! the order of last resort (design.md 2). While an area moves by shares, those of the greatest share
//! are published, for half of the addresses would be half of the answers.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use walrus_dns::DomainName;

use super::Content;
use crate::config::NameServerSettings;
use crate::plan::{
    AreaPlan, Candidate, CandidateList, Group, ListIndex, Plan, PlanNumber, PlannedServer,
};
use crate::world::Digest;

/// What an answer by UDP may hold (DNS flag day 2020).
const ANSWER_BYTES_MAX: usize = 1232;
/// Header, type and class of the question, an OPT record, and the CNAME's fields.
const FRAME: usize = 12 + 4 + 11 + 12;
/// A compressed owner, type, class, TTL, length and the address.
const IPV4_RECORD: usize = 12 + 4;
const IPV6_RECORD: usize = 12 + 16;

/// What one name server is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The Plan that wants it.
    pub plan: PlanNumber,
    /// By target.
    pub names: Vec<DesiredName>,
    /// Services of which the Plan does not say where the area's clients go: it was made for another
    /// configuration. What is published stays.
    pub missing: Vec<DomainName>,
}

/// One name and its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredName {
    /// The balanced name.
    pub service: DomainName,
    /// Where its addresses are.
    pub target: DomainName,
    /// Never empty.
    pub content: Content,
    /// Its TTL where nothing is degraded, in seconds: the longest that the alias may have.
    pub ttl_usual: u32,
    /// Addresses that did not fit an answer.
    pub left_out: usize,
}

/// What this Plan wants there.
#[must_use]
pub fn desired(plan: &Plan, settings: &NameServerSettings) -> Desired {
    let mut names = Vec::with_capacity(settings.services.len());
    let mut missing = Vec::new();
    for published in &settings.services {
        let text = published.service.to_string();
        let found = plan.services.binary_search_by(|service| service.name.as_str().cmp(&text)).ok();
        let service = found.and_then(|index| plan.services.get(index));
        let area = service.and_then(|service| {
            let by_name = |area: &AreaPlan| area.area.cmp(&settings.area);
            service.areas.get(service.areas.binary_search_by(by_name).ok()?)
        });
        let (Some(service), Some(area)) = (service, area) else {
            missing.push(published.service.clone());
            continue;
        };
        let frame =
            FRAME + 2 * published.service.as_wire().len() + published.target.as_wire().len();
        let room = ANSWER_BYTES_MAX.saturating_sub(frame);
        let (ipv4, more) = addresses(plan, area, &text, (area.ipv4, room / IPV4_RECORD), ipv4_of);
        let (ipv6, most) = addresses(plan, area, &text, (area.ipv6, room / IPV6_RECORD), ipv6_of);
        let left_out = more + most;
        let mut content = Content { ttl: 0, ipv4, ipv6 };
        let ttl = settings.ttl.unwrap_or_else(|| service.ttl.seconds_mean());
        content.ttl = if area.degraded { (ttl / 2).max(1) } else { ttl };
        if content.is_empty() {
            missing.push(published.service.clone());
            continue;
        }
        let (service, target) = (published.service.clone(), published.target.clone());
        names.push(DesiredName { service, target, content, ttl_usual: ttl, left_out });
    }
    names.sort_by(|a, b| a.target.cmp(&b.target));
    Desired { plan: plan.number.clone(), names, missing }
}

const fn ipv4_of(address: &IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    }
}

const fn ipv6_of(address: &IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some(*address),
    }
}

/// The addresses of one family in a list, at most `room`, and how many more there are.
fn addresses<T: Ord>(
    plan: &Plan,
    area: &AreaPlan,
    service: &str,
    (list, room): (Option<ListIndex>, usize),
    of_family: impl Fn(&IpAddr) -> Option<T>,
) -> (BTreeSet<T>, usize) {
    let Some(list) = list.and_then(|index| plan.lists.get(index as usize)) else {
        return (BTreeSet::new(), 0);
    };
    let candidates = greatest(list, plan, area);
    let servers = candidates.iter().filter_map(|it| plan.servers.get(it.server as usize));
    let mut servers: Vec<&PlannedServer> = servers.collect();
    // Whoever does not fit is left out everywhere and for long, so that records do not change for
    // that: by lot, which falls otherwise for each area. Where all are above the threshold the least
    // loaded stand first, and stay.
    if servers.len() > room && candidates.iter().any(|it| !it.over_threshold) {
        servers.sort_by_cached_key(|server| {
            let parts = [area.area.as_str(), service, server.name.as_str()];
            Digest::of(parts.map(str::as_bytes))
        });
    }
    let all = servers.iter().flat_map(|server| &server.addresses).filter_map(of_family);
    let (mut chosen, mut left_out) = (BTreeSet::new(), BTreeSet::new());
    for address in all {
        if chosen.len() < room.max(1) {
            chosen.insert(address);
        } else if !chosen.contains(&address) {
            left_out.insert(address);
        }
    }
    (chosen, left_out.len())
}

/// The candidates of the greatest share; of equal ones those where the area points.
fn greatest<'p>(list: &'p CandidateList, plan: &Plan, area: &AreaPlan) -> &'p [Candidate] {
    let points_at = area.clusters.first().map(|(cluster, _)| cluster);
    let stands_there = |group: &Group| {
        let first = group.candidates.first().and_then(|it| plan.servers.get(it.server as usize));
        first.map(|server| &server.cluster) == points_at
    };
    let better = |a: &&Group, b: &&Group| {
        a.share.total_cmp(&b.share).then(stands_there(a).cmp(&stands_there(b)))
    };
    list.groups.iter().max_by(better).map_or(&[], |group| &group.candidates)
}
