//! The World that configurations are tried in: how servers fared and who asked how much, by name, so
//! that it can be carried from one configuration to another.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use walrus_core::control::JournalRecord;
use walrus_core::plan::{Plan, ServiceDemand, ServicePlan};
use walrus_core::world::{Condition, Name, Topology};

/// How everything stood at one time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// How each server fared. One that is not named here counts as living, of unknown load.
    pub conditions: BTreeMap<Name, Condition>,
    /// Queries a second of each service and area; what is not named here asks nothing.
    pub area_hits: BTreeMap<(String, Name), f64>,
    /// The addresses that were found for servers which stand for outside names.
    pub addresses: BTreeMap<Name, Vec<IpAddr>>,
    /// Who asked for services that want to know, by service. Where there is nothing, all domains count
    /// alike.
    pub demand: BTreeMap<String, ServiceDemand>,
    /// Where areas pointed; without one every area begins at its home.
    pub plan: Option<Arc<Plan>>,
}

impl Snapshot {
    /// As far as a Plan tells it: who functioned under which load, and where areas pointed; not who
    /// asked how much, nor how far a server had come back.
    #[must_use]
    pub fn of_plan(plan: Arc<Plan>) -> Self {
        let condition = |server: &walrus_core::plan::PlannedServer| Condition {
            life: server.life,
            reason: server.reason.clone(),
            ..Condition::living(server.load)
        };
        let servers = plan.servers.iter();
        let demand = |it: &ServicePlan| Some((it.name.clone(), it.demand.clone()?));
        Self {
            conditions: servers.map(|it| (it.name.clone(), condition(it))).collect(),
            area_hits: BTreeMap::new(),
            addresses: plan
                .servers
                .iter()
                .map(|it| (it.name.clone(), it.addresses.clone()))
                .collect(),
            demand: plan.services.iter().filter_map(demand).collect(),
            plan: Some(plan),
        }
    }

    /// What a decision of the journal was made in, under the topology that it was made for.
    #[must_use]
    pub fn of_record(record: &JournalRecord, topology: &Topology) -> Self {
        let names = topology.servers.iter().map(|server| server.name.clone());
        let pairs = topology.services.iter().flat_map(|service| {
            let name = service.name.to_string();
            topology.areas.iter().map(move |area| (name.clone(), area.name.clone()))
        });
        Self {
            conditions: names.zip(record.conditions.iter().cloned()).collect(),
            area_hits: pairs.zip(record.area_hits.iter().copied()).collect(),
            addresses: record.addresses.clone(),
            demand: record.demand.clone(),
            plan: None,
        }
    }

    /// Conditions by the servers' ids of a topology.
    pub(super) fn conditions(&self, topology: &Topology) -> Vec<Condition> {
        let known = |name: &Name| self.conditions.get(name).cloned();
        let condition = |name| known(name).unwrap_or_else(|| Condition::living(None));
        topology.servers.iter().map(|server| condition(&server.name)).collect()
    }

    /// Queries a second at `service * areas + area` of a topology.
    pub(super) fn area_hits(&self, topology: &Topology) -> Vec<f64> {
        let mut hits = Vec::with_capacity(topology.services.len() * topology.areas.len());
        for service in &topology.services {
            let service = service.name.to_string();
            hits.extend(topology.areas.iter().map(|area| {
                let key = (service.clone(), area.name.clone());
                self.area_hits.get(&key).copied().unwrap_or(0.0)
            }));
        }
        hits
    }

    /// The topology with the addresses of outside names; `None` if it names none.
    pub(super) fn resolved(&self, topology: &Topology) -> Option<Topology> {
        let aliases = topology.services.iter().filter(|it| it.records.alias.is_some());
        let mut clusters = aliases.flat_map(|service| &service.clusters).peekable();
        clusters.peek()?;
        let mut resolved = topology.clone();
        for cluster in clusters {
            for id in &topology.clusters[cluster.index()].servers {
                let server = &mut resolved.servers[id.index()];
                if let Some(addresses) = self.addresses.get(&server.name) {
                    server.addresses.clone_from(addresses);
                }
            }
        }
        Some(resolved)
    }
}
