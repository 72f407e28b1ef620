//! Whether a decision is worth a new Plan.
//!
//! A Plan is published when something changes for a client or for what people see of it: digests,
//! candidates, shares, TTLs, a server's life, or a load by at least 0.05 since the Plan in force.
//! Smaller changes of load are left out: they would give every Director a new Plan each round
//! for nothing, so the loads that a Plan shows may be that much off. Texts alone are no reason.

use crate::plan::{AreaPlan, Plan, PlannedServer, ServicePlan};

/// The smallest change of a load that is worth a new Plan by itself.
const LOAD_CHANGE_MIN: f64 = 0.05;

/// Whether `new` differs from the Plan in force in more than its number, texts and a hair of load.
pub(super) fn is_worth_a_plan(old: &Plan, new: &Plan) -> bool {
    old.format != new.format
        || old.digests != new.digests
        || old.lists != new.lists
        || !same(&old.servers, &new.servers, same_server)
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

fn same_service(old: &ServicePlan, new: &ServicePlan) -> bool {
    (&old.name, &old.digest, &old.locate, old.choose, old.ttl, old.answers)
        == (&new.name, &new.digest, &new.locate, new.choose, new.ttl, new.answers)
        && same(&old.areas, &new.areas, same_area)
}

fn same_area(old: &AreaPlan, new: &AreaPlan) -> bool {
    (&old.area, &old.clusters, old.ipv4, old.ipv6, old.hosts, old.degraded)
        == (&new.area, &new.clusters, new.ipv4, new.ipv6, new.hosts, new.degraded)
}
