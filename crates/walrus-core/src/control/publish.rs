//! Whether a decision is worth a new Plan.
//!
//! A Plan is published when something changes for a client or for what people see of it: digests,
//! candidates, shares, TTLs, a server's life, or a load by at least 0.05 since the Plan in force.
//! Smaller changes of load are left out: they would give every Director a new Plan each round
//! for nothing, so the loads that a Plan shows may be that much off. Texts alone are no reason, nor
//! is a backlog, but where a service weighs servers by it.
//!
//! Who asks how much changes all the time. A service's demand in the Plan is therefore another one
//! only once a round, and only if [`is_worth_telling`] says so; how old it is says each Plan, and that
//! alone is no reason. What `crml` charges is told again after a TTL ([`is_observed_too_long_ago`]).

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{AreaPlan, DomainDemand, Plan, PlannedServer, ServiceDemand, ServicePlan};
use crate::world::{AVERAGED_OVER, ChoosePolicy, Service};

/// The smallest change of a load that is worth a new Plan by itself.
const LOAD_CHANGE_MIN: f64 = 0.05;

/// The smallest change of a backlog, in requests, that is worth a new Plan where it is weighed; of a
/// long one it is a quarter.
const BACKLOG_CHANGE_MIN: u64 = 10;

/// The changes of a service's demand, as a part of the whole, that are worth a new Plan.
const DEMAND_CHANGE_MIN: f64 = 0.1;

/// Whether `new` differs from the Plan in force in more than its number, texts and a hair of load.
pub(super) fn is_worth_a_plan(old: &Plan, new: &Plan) -> bool {
    old.format != new.format
        || old.digests != new.digests
        || old.lists != new.lists
        || !same(&old.servers, &new.servers, same_server)
        || (new.services.iter().any(weighs_backlog)
            && !same(&old.servers, &new.servers, same_backlog))
        || !same(&old.services, &new.services, same_service)
}

fn same<T>(old: &[T], new: &[T], same_one: impl Fn(&T, &T) -> bool) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| same_one(old, new))
}

fn same_server(old: &PlannedServer, new: &PlannedServer) -> bool {
    let same_load = match (old.load, new.load) {
        (Some(old), Some(new)) => (old - new).abs() < LOAD_CHANGE_MIN,
        (old, new) => old.is_none() && new.is_none(),
    };
    same_load
        && (&old.name, &old.cluster, &old.addresses, old.life)
            == (&new.name, &new.cluster, &new.addresses, new.life)
}

fn weighs_backlog(service: &ServicePlan) -> bool {
    service.choose == ChoosePolicy::Crml && service.choose_parameters.crml_backlog
}

/// Whether a backlog is about as long as it was.
fn same_backlog(old: &PlannedServer, new: &PlannedServer) -> bool {
    let (old, new) = (old.backlog.unwrap_or(0), new.backlog.unwrap_or(0));
    old.abs_diff(new) < (old.max(new) / 4).max(BACKLOG_CHANGE_MIN)
}

fn same_service(old: &ServicePlan, new: &ServicePlan) -> bool {
    (&old.name, &old.digest, &old.locate, old.choose, old.ttl, old.answers)
        == (&new.name, &new.digest, &new.locate, new.choose, new.ttl, new.answers)
        && same(&old.areas, &new.areas, same_area)
        && match (&old.demand, &new.demand) {
            (Some(old), Some(new)) => old.is_alike(new),
            (old, new) => old.is_none() && new.is_none(),
        }
}

/// Whether demand has changed enough to be told: a domain has become hot or is so no longer, or the
/// changes of all rates (of domains, or of what servers see of hot ones) come to a tenth of the whole.
pub(super) fn is_worth_telling(old: &ServiceDemand, new: &ServiceDemand) -> bool {
    let enough = DEMAND_CHANGE_MIN * old.rate.max(new.rate);
    (old.rate - new.rate).abs() > enough
        || hot(old) != hot(new)
        || changes(rates(old), rates(new)) > enough
        || changes(observed(old), observed(new)) > enough
}

/// Whether what servers observe is to be told again though it is about the same: of a domain that was
/// granted a server since, Directors count nothing of what was observed before, and the grant stands
/// for it for one TTL only. So what was told may be a TTL older than what is known.
pub(super) fn is_observed_too_long_ago(
    service: &Service,
    told: &ServiceDemand,
    known: &ServiceDemand,
) -> bool {
    let ttl = u64::from(service.ttl.seconds_mean()).saturating_mul(1000);
    service.choose == ChoosePolicy::Crml
        && told.observed_over_ms > known.observed_over_ms.saturating_add(ttl)
}

fn hot(demand: &ServiceDemand) -> BTreeSet<&str> {
    demand.domains.iter().filter(|it| it.hot).map(|it| it.domain.as_str()).collect()
}

fn rates(demand: &ServiceDemand) -> impl Iterator<Item = ((&str, u32), f64)> {
    // One that asks now and did not is another.
    // So is one of which something else is known: it gets another TTL.
    let kind = |it: &DomainDemand| u32::from(it.silent) + 2 * u32::from(it.reckoned);
    demand.domains.iter().map(move |it| ((it.domain.as_str(), kind(it)), it.rate))
}

fn observed(demand: &ServiceDemand) -> impl Iterator<Item = ((&str, u32), f64)> {
    demand.domains.iter().flat_map(|it| {
        it.observed.iter().map(|(server, rate)| ((it.domain.as_str(), *server), *rate))
    })
}

/// The sum of all changes but those that chance alone brings: who sends `rate` requests a second at
/// random has an average that strays by the root of `rate` / time.
fn changes<'a>(
    old: impl Iterator<Item = ((&'a str, u32), f64)>,
    new: impl Iterator<Item = ((&'a str, u32), f64)>,
) -> f64 {
    let mut both: BTreeMap<(&str, u32), (f64, f64)> = BTreeMap::new();
    old.for_each(|(key, rate)| both.entry(key).or_default().0 = rate);
    new.for_each(|(key, rate)| both.entry(key).or_default().1 = rate);
    let changes = both.values().map(|(old, new)| {
        let change = (old - new).abs();
        let chance = (old.max(*new) / AVERAGED_OVER.as_secs_f64()).sqrt();
        if change > chance { change } else { 0.0 }
    });
    changes.sum()
}

fn same_area(old: &AreaPlan, new: &AreaPlan) -> bool {
    (&old.area, &old.clusters, old.ipv4, old.ipv6, old.hosts, old.degraded)
        == (&new.area, &new.clusters, new.ipv4, new.ipv6, new.hosts, new.degraded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Domains with rate, whether hot, and what server 0 sees of them.
    fn demand(domains: &[(&str, f64, bool, f64)], rest: f64) -> ServiceDemand {
        let domain = |(domain, rate, hot, seen): &(&str, f64, bool, f64)| DomainDemand {
            domain: (*domain).to_owned(),
            rate: *rate,
            hot: *hot,
            observed: if *seen > 0.0 { vec![(0, *seen)] } else { Vec::new() },
            ..DomainDemand::default()
        };
        let rate = domains.iter().map(|it| it.1).sum::<f64>() + rest;
        ServiceDemand {
            rate,
            domains: domains.iter().map(domain).collect(),
            ..ServiceDemand::default()
        }
    }

    #[test]
    fn only_changes_that_matter_are_told() {
        let old =
            demand(&[("10.0.0.1", 600.0, true, 300.0), ("10.0.0.2", 300.0, false, 0.0)], 100.0);
        for (new, told, why) in [
            (old.clone(), false, "nothing"),
            (
                demand(&[("10.0.0.1", 630.0, true, 300.0), ("10.0.0.2", 280.0, false, 0.0)], 100.0),
                false,
                "5 %",
            ),
            (
                demand(&[("10.0.0.1", 540.0, true, 300.0), ("10.0.0.2", 360.0, false, 0.0)], 100.0),
                true,
                "12 % in sum, though the whole is the same",
            ),
            (
                demand(&[("10.0.0.1", 600.0, true, 300.0), ("10.0.0.2", 300.0, true, 0.0)], 100.0),
                true,
                "another is hot",
            ),
            (
                demand(&[("10.0.0.1", 600.0, true, 100.0), ("10.0.0.2", 300.0, false, 0.0)], 100.0),
                true,
                "a server sees less of it",
            ),
            (
                demand(&[("10.0.0.1", 600.0, true, 300.0), ("10.0.0.9", 300.0, false, 0.0)], 100.0),
                true,
                "another domain",
            ),
            (
                demand(&[("10.0.0.1", 600.0, true, 300.0), ("10.0.0.2", 300.0, false, 0.0)], 300.0),
                true,
                "the rest",
            ),
        ] {
            assert_eq!(is_worth_telling(&old, &new), told, "{why}");
            assert_eq!(is_worth_telling(&new, &old), told, "{why}, backwards");
        }
    }

    #[test]
    fn what_chance_brings_is_no_change() {
        // A thousand domains of one request a second each; every second strays by its tenth.
        let domains: Vec<String> = (0..1000).map(|index| format!("10.0.{index}")).collect();
        let all = |stray: f64| {
            let rate = |index: usize| 1.0 + if index.is_multiple_of(2) { stray } else { -stray };
            let named = domains.iter().enumerate();
            let named: Vec<_> =
                named.map(|(index, it)| (it.as_str(), rate(index), false, 0.0)).collect();
            demand(&named, 0.0)
        };
        assert!(!is_worth_telling(&all(0.0), &all(0.11)));
        assert!(is_worth_telling(&all(0.0), &all(0.2)));
    }
}
