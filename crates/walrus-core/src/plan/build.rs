//! Writes a decision down as a Plan: ids become names.

use std::collections::BTreeMap;

use super::{
    AreaDecision, AreaPlan, Decision, Digests, FORMAT, Plan, PlanNumber, PlannedServer,
    ServiceDemand, ServicePlan,
};
use crate::world::{Condition, Life, Server, Service, Topology};

/// The Plan of a decision. `topology` and `conditions` are those it was decided for.
#[must_use]
pub fn build(
    topology: &Topology,
    conditions: &[Condition],
    decision: &Decision,
    number: PlanNumber,
    digests: Digests,
) -> Plan {
    let servers = topology.servers.iter().enumerate();
    let servers =
        servers.map(|(index, server)| planned_server(topology, server, conditions.get(index)));
    let areas = topology.areas.len();
    let services = topology.services.iter().enumerate().map(|(index, service)| {
        let decided = decision.areas.get(index * areas..(index + 1) * areas).unwrap_or(&[]);
        planned_service(topology, service, decided)
    });
    // An alias that is not resolved yet has nothing to be answered with: not even "no".
    let answerable = |service: &ServicePlan| {
        let lists = |area: &AreaPlan| area.ipv4.or(area.ipv6).or(area.hosts);
        service.areas.iter().any(|area| lists(area).is_some())
    };
    let mut services: Vec<ServicePlan> = services.filter(answerable).collect();
    // Ids follow the canonical order of domain names, Plans that of their text.
    services.sort_by(|a, b| a.name.cmp(&b.name));
    Plan {
        format: FORMAT,
        number,
        digests,
        servers: servers.collect(),
        lists: decision.lists.clone(),
        services,
    }
}

impl Plan {
    /// The Plan with what is known of who asks for its services, by their names.
    #[must_use]
    pub fn with_demand(mut self, demand: &BTreeMap<String, ServiceDemand>) -> Self {
        for service in &mut self.services {
            service.demand = demand.get(&service.name).cloned();
        }
        self
    }
}

fn planned_server(
    topology: &Topology,
    server: &Server,
    condition: Option<&Condition>,
) -> PlannedServer {
    PlannedServer {
        name: server.name.clone(),
        cluster: topology.clusters[server.cluster.index()].name.clone(),
        addresses: server.addresses.clone(),
        life: condition.map_or(Life::Unknown, |condition| condition.life),
        load: condition.and_then(|condition| condition.load).filter(|load| load.is_finite()),
        backlog: condition.and_then(|condition| condition.backlog),
        capacity: server.capacity,
        reason: condition
            .filter(|condition| condition.life != Life::Living)
            .map_or_else(String::new, |condition| condition.reason.clone()),
    }
}

fn planned_service(
    topology: &Topology,
    service: &Service,
    decided: &[AreaDecision],
) -> ServicePlan {
    let areas = topology.areas.iter().zip(decided).map(|(area, decided)| AreaPlan {
        area: area.name.clone(),
        clusters: decided
            .clusters
            .iter()
            .map(|(cluster, share)| (topology.clusters[cluster.index()].name.clone(), *share))
            .collect(),
        ipv4: decided.ipv4,
        ipv6: decided.ipv6,
        hosts: decided.hosts,
        degraded: decided.degraded,
        reason: decided.reason.to_string(),
    });
    ServicePlan {
        name: service.name.to_string(),
        digest: service.digest.clone(),
        locate: service.locate.clone(),
        choose: service.choose,
        choose_parameters: service.choose_parameters,
        ttl: service.ttl,
        answers: service.answers,
        areas: areas.collect(),
        demand: None,
    }
}
