//! A service's `choose` stage out of a Plan: which servers it numbers, and what it looks at beside its
//! lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::plan::{Plan, PlannedServer, ServiceDemand, ServicePlan};
use crate::policy::choose::{AskingDomain, ChooseInputs, Observed, ObservedRate};
use crate::world::{ChooseParameters, ChoosePolicy, Digest, Domain, Name, Service, Topology};

/// How the first servers of a service's answers are chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choosing<'a> {
    pub(super) policy: ChoosePolicy,
    pub(super) parameters: &'a ChooseParameters,
    /// The Plan's server at each place, rising; none if the policy keeps nothing by server.
    pub(super) servers: &'a [u32],
    pub(super) largest: Largest,
}

/// The most that any of a service's servers bears as configured, living or not; 0 where nobody asks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Largest {
    pub(super) weight: f64,
    pub(super) capacity: f64,
}

impl Largest {
    /// `None` for a service whose rings do not depend on it.
    pub(super) fn of(topology: &Topology, service: &Service) -> Option<Self> {
        if service.choose != ChoosePolicy::Hash {
            return None;
        }
        let serves = |cluster| service.clusters.contains(cluster);
        let servers = || topology.servers.iter().filter(|server| serves(&server.cluster));
        let capacities = servers().filter_map(|server| server.capacity);
        Some(Self {
            weight: servers().map(|server| f64::from(server.weight)).fold(0.0, f64::max),
            capacity: capacities.fold(0.0, f64::max),
        })
    }
}

impl<'a> Choosing<'a> {
    pub(super) const fn new(
        service: &'a ServicePlan,
        servers: &'a [u32],
        largest: Largest,
    ) -> Self {
        Self { policy: service.choose, parameters: &service.choose_parameters, servers, largest }
    }

    /// The place of one of the Plan's servers, where anything is kept of it.
    pub(super) fn place_of(&self, server: u32) -> u32 {
        let place = self.servers.binary_search(&server).ok();
        place.and_then(|place| u32::try_from(place).ok()).unwrap_or(u32::MAX)
    }

    /// All of this that a list is compiled with, in a text.
    pub(super) fn key(&self) -> String {
        let mut key = format!("{:?}", self.policy);
        if self.policy == ChoosePolicy::Hash {
            let Largest { weight, capacity } = self.largest;
            let [bound, weight, capacity] =
                [self.parameters.hash_bound, weight, capacity].map(f64::to_bits);
            let _ = write!(key, " bound {bound:x} largest {weight:x} {capacity:x}");
        }
        if self.policy.numbers_servers() {
            let servers: Vec<u8> = self.servers.iter().flat_map(|it| it.to_be_bytes()).collect();
            let _ = write!(key, " servers {}", Digest::of([servers.as_slice()]).as_str());
        }
        key
    }
}

/// Whether a policy chooses among these by their capacities: if it wants to know them and all have one.
/// Else it goes by their weights.
pub(in crate::answer) fn goes_by_capacity<'a>(
    policy: ChoosePolicy,
    mut servers: impl Iterator<Item = &'a PlannedServer>,
) -> bool {
    policy.weighs_capacities()
        && servers.all(|server| server.capacity.is_some_and(|capacity| capacity > 0.0))
}

/// Which servers the services of one Plan number: of many services on thousands of servers each is
/// looked up and named once.
#[derive(Debug, Default)]
pub(super) struct Numbering<'a> {
    /// The Plan's servers in each cluster, once anybody asks.
    by_cluster: Option<BTreeMap<&'a Name, Vec<u32>>>,
    /// The names of servers that were numbered before.
    names: BTreeMap<Vec<u32>, Arc<[Name]>>,
}

impl<'a> Numbering<'a> {
    /// The servers that a service numbers: all of the clusters that any area is pointed to, living
    /// or not, so that numbers stay while servers come and go. Places in the Plan, rising.
    pub(super) fn of(&mut self, plan: &'a Plan, service: &ServicePlan) -> Vec<u32> {
        if !service.choose.numbers_servers() {
            return Vec::new();
        }
        let by_cluster = self.by_cluster.get_or_insert_with(|| {
            let mut by_cluster: BTreeMap<&Name, Vec<u32>> = BTreeMap::new();
            for (place, server) in (0..).zip(&plan.servers) {
                by_cluster.entry(&server.cluster).or_default().push(place);
            }
            by_cluster
        });
        let areas = service.areas.iter();
        let pointed = areas.flat_map(|area| &area.clusters).map(|(cluster, _)| cluster);
        let candidates = candidates(plan, service);
        let candidates = candidates.iter().filter_map(|server| plan.servers.get(*server as usize));
        let clusters: BTreeSet<&Name> = pointed.chain(candidates.map(|it| &it.cluster)).collect();
        let servers = clusters.into_iter().filter_map(|cluster| by_cluster.get(cluster));
        let mut numbered: Vec<u32> = servers.flatten().copied().collect();
        numbered.sort_unstable();
        numbered
    }

    /// Their names, shared by all services that number the same ones.
    fn names(&mut self, plan: &Plan, servers: &[u32]) -> Arc<[Name]> {
        if let Some(names) = self.names.get(servers) {
            return Arc::clone(names);
        }
        let planned = servers.iter().filter_map(|server| plan.servers.get(*server as usize));
        let names: Arc<[Name]> = planned.map(|server| server.name.clone()).collect();
        self.names.insert(servers.to_vec(), Arc::clone(&names));
        names
    }
}

/// All candidates in any of a service's lists: places in the Plan.
fn candidates(plan: &Plan, service: &ServicePlan) -> BTreeSet<u32> {
    let lists = service.areas.iter().flat_map(|area| [area.ipv4, area.ipv6, area.hosts]);
    let lists: BTreeSet<u32> = lists.flatten().collect();
    let lists = lists.into_iter().filter_map(|list| plan.lists.get(list as usize));
    let groups = lists.flat_map(|list| &list.groups);
    groups.flat_map(|group| &group.candidates).map(|candidate| candidate.server).collect()
}

/// What the stage looks at beside its lists, for the servers that it numbers.
pub(super) fn inputs(
    plan: &Plan,
    service: &ServicePlan,
    servers: &[u32],
    numbering: &mut Numbering<'_>,
) -> ChooseInputs {
    let nothing = ChooseInputs::nothing(service.name.clone(), service.choose);
    if !service.choose.numbers_servers() {
        return nothing;
    }
    let planned = || servers.iter().filter_map(|server| plan.servers.get(*server as usize));
    let mut inputs = ChooseInputs {
        ttl_min: service.ttl.seconds_min(),
        ttl_mean: service.ttl.seconds_mean(),
        ttl_max: service.ttl.seconds_max(),
        servers: numbering.names(plan, servers),
        ..nothing
    };
    match service.choose {
        ChoosePolicy::Pow2 => inputs.loads = planned().map(load).collect(),
        ChoosePolicy::Dal => {
            let candidates = candidates(plan, service);
            inputs.present = servers.iter().map(|server| candidates.contains(server)).collect();
        }
        ChoosePolicy::Crml => {
            let backlogs: Vec<f64> = planned().map(|it| backlog(it, service)).collect();
            inputs.observed = Arc::new(observed(service, servers, &backlogs));
        }
        _ => {}
    }
    inputs
}

#[expect(clippy::cast_possible_truncation, reason = "a load has two digits that mean something")]
fn load(server: &PlannedServer) -> f32 {
    server.load.map_or(f32::NAN, |load| load as f32)
}

fn backlog(server: &PlannedServer, service: &ServicePlan) -> f64 {
    let backlog = server.backlog.filter(|_| service.choose_parameters.crml_backlog);
    backlog.map_or(0.0, |backlog| backlog as f64)
}

fn observed(service: &ServicePlan, servers: &[u32], backlogs: &[f64]) -> Observed {
    let nobody = ServiceDemand::default();
    let demand = service.demand.as_ref().unwrap_or(&nobody);
    let hot = || demand.domains.iter().filter(|domain| domain.hot).take(ServiceDemand::HOT_MAX);
    // A text that is no prefix keeps its place, and nobody asks for it.
    let key = |text: &str| {
        let domain = text.parse::<Domain>();
        domain.map_or(0, |domain| AskingDomain::key_of(domain.network(), domain.length()))
    };
    let keys: Vec<u64> = hot().map(|domain| key(&domain.domain)).collect();
    let rates = (0..).zip(hot()).flat_map(|(hot, domain)| {
        domain.observed.iter().filter_map(move |(server, rate)| {
            let server = u32::try_from(servers.binary_search(server).ok()?).ok()?;
            Some(ObservedRate { hot, server, rate: *rate })
        })
    });
    let ttl = service.ttl.seconds_mean();
    let horizon = service.choose_parameters.crml_horizon.unwrap_or(ttl);
    let over = u32::try_from(demand.observed_over_ms.div_ceil(1000)).unwrap_or(u32::MAX);
    Observed::new(&keys, backlogs, rates, ttl, horizon).made_over(over)
}
