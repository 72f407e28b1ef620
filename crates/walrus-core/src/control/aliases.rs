//! Services whose addresses are those of an outside name (ALIAS), resolved in the background.
//!
//! The addresses found are those of the server that stands for the alias in the topology, so that
//! Plan, Directors, explanations and journal know nothing else. A name is asked for again when its
//! TTL has passed, within bounds; after a failure, sooner at first and then ever later. The last
//! good answer stays until another one comes: at the start, that of the stored Plan.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use walrus_dns::DomainName;

use crate::plan::Plan;
use crate::world::{Name, ServerId, Time, Topology};

/// The shortest time between two questions for a name that is there, whatever its TTL says.
const AGAIN_MIN: Duration = Duration::from_secs(5);
/// The longest: a name that moved is found within this, whatever its TTL says.
const AGAIN_MAX: Duration = Duration::from_secs(3600);
/// After the first failure; doubled with each further one.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// No retry waits longer.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// A resolution that has not ended after this is lost; longer than any executor takes.
const LOST_AFTER: Duration = Duration::from_secs(60);
/// More addresses than this of one family are left out, the highest: as many as a service has
/// `answers`.
const ADDRESSES_MAX: usize = 64;

/// A name to be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveRequest {
    /// The outside name.
    pub target: DomainName,
    /// Whom to ask, in order; none for the system's own resolvers.
    pub resolvers: Vec<SocketAddr>,
}

/// What a name's addresses are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// IPv4 and IPv6.
    pub addresses: Vec<IpAddr>,
    /// The least of the records that led to them.
    pub ttl: Duration,
}

/// All aliases, by target: services with the same one share its resolution.
#[derive(Clone, Debug, Default)]
pub(super) struct Aliases {
    targets: BTreeMap<DomainName, Target>,
}

#[derive(Clone, Debug)]
struct Target {
    servers: Vec<ServerId>,
    /// The last good answer; empty before there was one.
    addresses: Vec<IpAddr>,
    /// When that came here, not counting what the stored Plan said.
    resolved_at: Option<Time>,
    ttl: Duration,
    failures: u32,
    /// Why it failed last, while it fails.
    problem: Option<String>,
    /// When to ask, or when the resolution under way is lost.
    wake: Time,
    under_way: bool,
}

impl Aliases {
    /// Takes over a topology. Targets that stay keep what is known of them; new ones have the
    /// addresses of the stored Plan, and are asked for at once.
    pub(super) fn retarget(&mut self, topology: &Topology, stored: Option<&Plan>, now: Time) {
        let mut old = std::mem::take(&mut self.targets);
        for service in &topology.services {
            let Some(name) = &service.records.alias else { continue };
            let servers =
                service.clusters.iter().flat_map(|c| &topology.clusters[c.index()].servers);
            for id in servers.copied() {
                let target = self.targets.entry(name.clone()).or_insert_with(|| {
                    let known =
                        old.remove(name).map(|known| Target { servers: Vec::new(), ..known });
                    known.unwrap_or_else(|| {
                        Target::new(planned(stored, &topology.servers[id.index()].name), now)
                    })
                });
                target.servers.push(id);
            }
        }
    }

    /// The topology with the addresses found; `None` if it has no aliases.
    pub(super) fn resolve(&self, topology: &Topology) -> Option<Topology> {
        if self.targets.is_empty() {
            return None;
        }
        let mut topology = topology.clone();
        for target in self.targets.values() {
            for id in &target.servers {
                topology.servers[id.index()].addresses.clone_from(&target.addresses);
            }
        }
        Some(topology)
    }

    /// What is known of each server that stands for an alias.
    pub(super) fn addresses(&self, topology: &Topology) -> BTreeMap<Name, Vec<IpAddr>> {
        let servers = self.targets.values().flat_map(|target| {
            target.servers.iter().map(move |id| (topology.servers[id.index()].name.clone(), target))
        });
        servers.map(|(name, target)| (name, target.addresses.clone())).collect()
    }

    /// Whether a server stands for an alias that has no addresses: `Some(true)` if that has failed.
    pub(super) fn unresolved(&self, id: ServerId) -> Option<bool> {
        let target = self.targets.values().find(|target| target.servers.contains(&id))?;
        target.addresses.is_empty().then_some(target.failures > 0)
    }

    /// When [`Self::wake`] has something to do next.
    pub(super) fn next_wake(&self) -> Option<Time> {
        self.targets.values().map(|target| target.wake).min()
    }

    /// A name to ask for now, or one whose resolution was lost.
    pub(super) fn wake(&mut self, now: Time) -> Option<Wake> {
        let (name, target) = self.targets.iter_mut().find(|(_, target)| target.wake <= now)?;
        if target.under_way {
            return Some(Wake::Lost(name.clone()));
        }
        target.under_way = true;
        target.wake = now + LOST_AFTER;
        Some(Wake::Ask(name.clone()))
    }

    /// Takes an outcome in; what it changed.
    pub(super) fn ended(
        &mut self,
        name: &DomainName,
        outcome: Result<Resolved, String>,
        now: Time,
    ) -> Ended {
        let Some(target) = self.targets.get_mut(name).filter(|target| target.under_way) else {
            return Ended::Unasked;
        };
        target.under_way = false;
        let resolved = outcome.and_then(|mut resolved| {
            resolved.addresses.sort_unstable();
            resolved.addresses.dedup();
            let (mut ipv4, mut ipv6): (Vec<IpAddr>, _) =
                resolved.addresses.into_iter().partition(IpAddr::is_ipv4);
            ipv4.truncate(ADDRESSES_MAX);
            ipv6.truncate(ADDRESSES_MAX);
            resolved.addresses = [ipv4, ipv6].concat();
            let some = !resolved.addresses.is_empty();
            if some { Ok(resolved) } else { Err("it has no addresses".to_owned()) }
        });
        match resolved {
            Ok(Resolved { addresses, ttl }) => {
                target.wake = now + ttl.clamp(AGAIN_MIN, AGAIN_MAX);
                (target.ttl, target.resolved_at) = (ttl, Some(now));
                target.failures = 0;
                let recovered = target.problem.take().is_some();
                let changed = target.addresses != addresses;
                target.addresses = addresses;
                Ended::Resolved { changed, recovered }
            }
            Err(problem) => {
                let doubled = RETRY_MIN * (1 << target.failures.min(6));
                target.wake = now + doubled.min(RETRY_MAX);
                target.failures = target.failures.saturating_add(1);
                let first = target.problem.replace(problem.clone()).is_none();
                Ended::Failed { first, problem, goes_on: !target.addresses.is_empty() }
            }
        }
    }

    /// For people: the target of a server, what is known of it, since when, and how long that holds.
    pub(super) fn says(
        &self,
        id: ServerId,
    ) -> Option<(&DomainName, String, Option<Time>, Duration)> {
        let (name, target) = self.targets.iter().find(|(_, it)| it.servers.contains(&id))?;
        let mut text = match target.addresses.len() {
            0 => "not resolved yet".to_owned(),
            1 => "resolved to 1 address".to_owned(),
            many => format!("resolved to {many} addresses"),
        };
        if let Some(problem) = &target.problem {
            text.push_str(&format!("; failed {} times: {problem}", target.failures));
        }
        Some((name, text, target.resolved_at, target.ttl))
    }
}

/// What is to be done.
pub(super) enum Wake {
    Ask(DomainName),
    Lost(DomainName),
}

/// What an outcome changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nobody asked, or it was given up.
    Unasked,
    Resolved {
        changed: bool,
        recovered: bool,
    },
    Failed {
        /// The one before had not failed.
        first: bool,
        problem: String,
        /// An earlier answer stays.
        goes_on: bool,
    },
}

impl Target {
    fn new(addresses: Vec<IpAddr>, now: Time) -> Self {
        Self {
            servers: Vec::new(),
            addresses,
            resolved_at: None,
            ttl: Duration::ZERO,
            failures: 0,
            problem: None,
            wake: now,
            under_way: false,
        }
    }
}

fn planned(stored: Option<&Plan>, name: &Name) -> Vec<IpAddr> {
    let server = stored.and_then(|plan| {
        let index = plan.servers.binary_search_by(|server| server.name.cmp(name)).ok()?;
        plan.servers.get(index)
    });
    server.map_or_else(Vec::new, |server| server.addresses.clone())
}
