//! Checks a Plan that came from outside, so that nobody behind this check can be led astray.

use std::fmt;

use walrus_dns::DomainName;

use super::{CandidateList, FORMAT, ListIndex, Plan, ServiceDemand, ServicePlan};
use crate::world::{Area, TtlPolicy};

/// What shares that add up to 1 may miss it by.
const SHARE_TOLERANCE: f64 = 1e-6;
/// The longest TTL (RFC 2181 section 8).
const TTL_MAX: u32 = i32::MAX as u32;

/// What is wrong with a Plan; the first thing found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanInvalid {
    /// Of another format.
    #[error("it has format {0}, this program reads format {FORMAT}")]
    Format(u32),
    /// Anything else.
    #[error("{place}: {problem}")]
    At {
        /// Which server, list or service.
        place: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

fn at(place: impl fmt::Display, problem: &'static str) -> PlanInvalid {
    PlanInvalid::At { place: place.to_string(), problem }
}

impl Plan {
    /// Checks that every number points somewhere and is finite, no list is empty, shares add up,
    /// what is to be sorted is, and every list has servers of the family that it is used for.
    /// For Plans from the network as well as from files.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn validate(&self) -> Result<(), PlanInvalid> {
        if self.format != FORMAT {
            return Err(PlanInvalid::Format(self.format));
        }
        self.validate_servers()?;
        let mut families = Vec::with_capacity(self.lists.len());
        let mut seen = vec![0_usize; self.servers.len()];
        let mut group_count = 0;
        for (index, list) in self.lists.iter().enumerate() {
            let place = || format!("list {index}");
            families.push(self.validate_list(list, place, &mut seen, &mut group_count)?);
        }
        if !self.services.windows(2).all(|pair| pair[0].name < pair[1].name) {
            return Err(at("services", "are not sorted by name, or one is there twice"));
        }
        self.services.iter().try_for_each(|service| {
            validate_service(service, &families)?;
            service.demand.as_ref().map_or(Ok(()), |demand| {
                let wrong = |what| at(format!("service {}", service.name), what);
                validate_demand(demand, self.servers.len()).map_err(wrong)
            })
        })
    }

    fn validate_servers(&self) -> Result<(), PlanInvalid> {
        if !self.servers.windows(2).all(|pair| pair[0].name < pair[1].name) {
            return Err(at("servers", "are not sorted by name, or one is there twice"));
        }
        for server in &self.servers {
            if server.load.is_some_and(|load| !load.is_finite()) {
                return Err(at(&server.name, "its load is no number"));
            }
        }
        Ok(())
    }

    /// Checks a list and tells whether each of its groups has IPv4 and IPv6 servers. `seen` holds
    /// for each server the last group that it was found in.
    fn validate_list(
        &self,
        list: &CandidateList,
        place: impl Fn() -> String,
        seen: &mut [usize],
        group_count: &mut usize,
    ) -> Result<[bool; 2], PlanInvalid> {
        let mut families = [true; 2];
        for group in &list.groups {
            *group_count += 1;
            let mut group_families = [false; 2];
            if group.candidates.is_empty() {
                return Err(at(place(), "a group has no candidates"));
            }
            for candidate in &group.candidates {
                let index = candidate.server as usize;
                let server = self.servers.get(index);
                let server =
                    server.ok_or_else(|| at(place(), "names a server that is not there"))?;
                if std::mem::replace(&mut seen[index], *group_count) == *group_count {
                    return Err(at(place(), "names a server twice in a group"));
                }
                if !(candidate.ramp > 0.0 && candidate.ramp <= 1.0) {
                    return Err(at(place(), "a ramp is not above 0 and at most 1"));
                }
                group_families[0] |= server.addresses.iter().any(std::net::IpAddr::is_ipv4);
                group_families[1] |= server.addresses.iter().any(std::net::IpAddr::is_ipv6);
            }
            families = [families[0] && group_families[0], families[1] && group_families[1]];
        }
        if !are_shares(list.groups.iter().map(|group| group.share)) {
            return Err(at(place(), "the shares are not positive or do not add up to 1"));
        }
        Ok(families)
    }
}

fn validate_demand(demand: &ServiceDemand, servers: usize) -> Result<(), &'static str> {
    let is_rate = |rate: f64| rate.is_finite() && rate >= 0.0;
    if demand.domains.len() > ServiceDemand::DOMAINS_MAX {
        return Err("names more domains than a Plan may");
    }
    if demand.domains.iter().filter(|domain| domain.hot).count() > ServiceDemand::HOT_MAX {
        return Err("has more hot domains than a Plan may");
    }
    let observed = || demand.domains.iter().flat_map(|domain| &domain.observed);
    if observed().any(|(server, _)| *server as usize >= servers) {
        return Err("observes a domain at a server that is not there");
    }
    let rates = demand.domains.iter().map(|domain| domain.rate).chain([demand.rate, demand.silent]);
    if !rates.chain(observed().map(|(_, rate)| *rate)).all(is_rate) {
        return Err("has a demand that is no positive number");
    }
    Ok(())
}

fn validate_service(service: &ServicePlan, families: &[[bool; 2]]) -> Result<(), PlanInvalid> {
    let place = || format!("service {}", service.name);
    if service.name.parse::<DomainName>().map(|name| name.to_string()) != Ok(service.name.clone()) {
        return Err(at(place(), "is no domain name in lower case without the last dot"));
    }
    if service.answers == Some(0) {
        return Err(at(place(), "answers with no servers"));
    }
    if service.ttl.seconds_max() > TTL_MAX {
        return Err(at(place(), "has a TTL above 2147483647"));
    }
    if let TtlPolicy::Adaptive { seconds, min, max, .. } = service.ttl
        && !(1 <= min && min <= seconds && seconds <= max)
    {
        return Err(at(place(), "has a TTL that is not within its bounds"));
    }
    if !service.areas.windows(2).all(|pair| pair[0].area < pair[1].area) {
        return Err(at(place(), "areas are not sorted by name, or one is there twice"));
    }
    if !service.areas.iter().any(|entry| entry.area.as_str() == Area::WORLD) {
        return Err(at(place(), "has no area `world`"));
    }
    for entry in &service.areas {
        let place = || format!("service {}, area {}", service.name, entry.area);
        if !are_shares(entry.clusters.iter().map(|(_, share)| *share)) {
            return Err(at(place(), "the shares of its clusters do not add up to 1"));
        }
        let has = |list: Option<ListIndex>, family: usize| match list {
            None => Ok(()),
            Some(list) => match families.get(list as usize) {
                None => Err(at(place(), "names a list that is not there")),
                Some(has) if !has[family] => {
                    Err(at(place(), "names a list without servers of its address family"))
                }
                Some(_) => Ok(()),
            },
        };
        has(entry.ipv4, 0)?;
        has(entry.ipv6, 1)?;
        if entry.hosts.is_some_and(|list| list as usize >= families.len()) {
            return Err(at(place(), "names a list that is not there"));
        }
        if entry.ipv4.is_none() && entry.ipv6.is_none() && entry.hosts.is_none() {
            return Err(at(place(), "names no servers at all"));
        }
    }
    Ok(())
}

/// Positive, finite, and 1 in sum.
fn are_shares(shares: impl Iterator<Item = f64> + Clone) -> bool {
    let positive = shares.clone().all(|share| share.is_finite() && share > 0.0);
    positive && (shares.sum::<f64>() - 1.0).abs() <= SHARE_TOLERANCE
}
