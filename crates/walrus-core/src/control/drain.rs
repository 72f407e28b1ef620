//! What operators ask for over the head of all measurement, and what is refused to them.

use super::Refusal;
use super::servers::Servers;
use crate::world::{
    ClusterId, Life, Override, OverrideState, Overrides, ServerId, Service, Target, Topology,
};

/// As many overrides as are kept, tombstones included.
const OVERRIDES_MAX: usize = 100_000;

/// A revision counts an operator's changes; what is beyond this was made up.
const REVISION_MAX: u64 = 1 << 62;

/// The servers that a target means.
///
/// # Errors
/// If the configuration does not have it.
pub(super) fn servers_of(topology: &Topology, target: &Target) -> Result<Vec<ServerId>, Refusal> {
    let found = match target {
        Target::Server(name) => topology.server(name.as_str()).map(|id| vec![id]),
        Target::Cluster(name) => topology
            .cluster(name.as_str())
            .map(|ClusterId(index)| topology.clusters[index as usize].servers.clone()),
    };
    found.ok_or_else(|| Refusal::UnknownTarget(target.clone()))
}

/// Checks that a drain leaves every service that has a usable server with one.
///
/// # Errors
/// The first service that would have none.
pub(super) fn check_drain(
    topology: &Topology,
    servers: &Servers,
    target: &Target,
    drained: &[ServerId],
) -> Result<(), Refusal> {
    let usable = |id: &ServerId| {
        let life = servers.get(*id).map_or(Life::Dead, |record| record.life);
        matches!(life, Life::Living | Life::Unknown)
    };
    for service in &topology.services {
        let mut all = of_service(topology, service).filter(usable).peekable();
        if all.peek().is_some() && all.all(|id| drained.contains(&id)) {
            let (target, service) = (target.clone(), service.name.to_string());
            return Err(Refusal::LastUsable { target, service });
        }
    }
    Ok(())
}

fn of_service<'a>(
    topology: &'a Topology,
    service: &'a Service,
) -> impl Iterator<Item = ServerId> + 'a {
    let clusters = service.clusters.iter();
    clusters.flat_map(|id| topology.clusters[id.index()].servers.iter().copied())
}

/// Checks that another Controller's override can be held.
///
/// # Errors
/// If the table is full or the revision was made up.
pub(super) fn check_merge(
    overrides: &Overrides,
    target: &Target,
    entry: &Override,
) -> Result<(), Refusal> {
    if entry.revision >= REVISION_MAX {
        return Err(Refusal::Revision(entry.revision));
    }
    if overrides.get(target).is_none() && overrides.len() >= OVERRIDES_MAX {
        return Err(Refusal::TooManyOverrides(OVERRIDES_MAX));
    }
    Ok(())
}

/// Whether a target already is what is wanted.
pub(super) fn is_already(overrides: &Overrides, target: &Target, state: OverrideState) -> bool {
    overrides.is_drained(target) == (state == OverrideState::Drained)
}
