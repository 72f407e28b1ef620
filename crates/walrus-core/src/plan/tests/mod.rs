//! Tests of decisions, round by round, over a small world that is easily put together.

mod balancing;
mod difference;
mod encoding;
mod last_resort;
mod locality;
mod nearest;
mod properties;
mod rest;
mod return_home;
mod sharing;
mod stable;
mod transfer;
mod trials;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::world::{
    AdaptiveTtl, Area, AreaId, AssignPolicy, ChooseParameters, ChoosePolicy, Cluster, ClusterId,
    Condition, Digest, Life, LocatePolicy, Name, Nearness, Server, ServerId, Service,
    ServiceRecords, Spill, Time, Topology, TtlPolicy,
};

/// A world and what happens in it. Servers are named for their cluster: `a1`, `a2`.
#[derive(Clone, Debug)]
struct Scene {
    topology: Topology,
    conditions: Vec<Condition>,
    hits: Vec<f64>,
    memory: Memory,
    now: Time,
    decision: Decision,
}

impl Scene {
    /// Clusters with their number of servers, in the order of names; areas with their homes
    /// (`""` is none); one service with the parameters of the thesis.
    fn new(clusters: &[(&str, u32)], areas: &[(&str, &str)]) -> Self {
        let mut topology = Topology::default();
        for (cluster, (letter, count)) in (0..).map(ClusterId).zip(clusters) {
            let mut servers = Vec::new();
            for number in 1..=*count {
                let id = u32::try_from(topology.servers.len()).unwrap();
                servers.push(ServerId(id));
                let [high, low] = u16::try_from(id).unwrap().to_be_bytes();
                topology.servers.push(Server {
                    name: name(&format!("{letter}{number}")),
                    cluster,
                    addresses: vec![IpAddr::V4(Ipv4Addr::new(10, 0, high, low))],
                    weight: 1,
                    cost: 0.0,
                    capacity: None,
                    reporter: true,
                    probe: None,
                    host: None,
                });
            }
            topology.clusters.push(Cluster { name: name(letter), servers, coordinates: None });
        }
        let mut areas = areas.to_vec();
        areas.sort_unstable();
        for (area, home) in areas {
            topology.areas.push(Area {
                name: name(area),
                home: topology.cluster(home),
                clients: Vec::new(),
                nameservers: Vec::new(),
                nearness: Nearness::default(),
            });
        }
        let conditions = vec![Condition::living(Some(0.5)); topology.servers.len()];
        let mut scene = Self {
            topology,
            conditions,
            hits: Vec::new(),
            memory: Memory::default(),
            now: Time::from_secs(1000),
            decision: Decision::default(),
        };
        scene.add_service("www.example.com");
        scene
    }

    /// One more service on all clusters; services are to be added in the order of names.
    fn add_service(&mut self, service: &str) {
        let clusters = u32::try_from(self.topology.clusters.len()).unwrap();
        self.topology.services.push(Service {
            name: service.parse().unwrap(),
            clusters: (0..clusters).map(ClusterId).collect(),
            homes: self.topology.areas.iter().map(|area| area.home).collect(),
            locate: vec![LocatePolicy::Map],
            assign: AssignPolicy::Walrus,
            choose: ChoosePolicy::Weighted,
            choose_parameters: ChooseParameters::default(),
            ttl: TtlPolicy::Constant { seconds: 30 },
            hot_share: None,
            answers: None,
            threshold: 0.8,
            hysteresis: 0.05,
            home_rounds: 1,
            spill: Spill::Unassigned,
            better_ratio: 0.25,
            better_by: 0.10,
            ramp: Duration::ZERO,
            records: ServiceRecords::default(),
            digest: Digest::of([service.as_bytes()]),
        });
    }

    fn service(&mut self) -> &mut Service {
        &mut self.topology.services[0]
    }

    fn condition(&mut self, server: &str) -> &mut Condition {
        let id = self.topology.server(server).unwrap();
        &mut self.conditions[id.index()]
    }

    /// A living server with this load, or all of a cluster.
    fn load(&mut self, target: &str, load: impl Into<Option<f64>>) -> &mut Self {
        let load = load.into();
        self.each(target, |condition| *condition = Condition::living(load))
    }

    fn life(&mut self, target: &str, life: Life) -> &mut Self {
        self.each(target, |condition| *condition = Condition::out(life, "as told"))
    }

    fn each(&mut self, target: &str, change: impl Fn(&mut Condition)) -> &mut Self {
        match self.topology.cluster(target) {
            None => change(self.condition(target)),
            Some(cluster) => {
                for server in self.topology.clusters[cluster.index()].servers.clone() {
                    change(&mut self.conditions[server.index()]);
                }
            }
        }
        self
    }

    fn hits(&mut self, area: &str, hits: f64) -> &mut Self {
        let areas = self.topology.areas.len();
        self.hits.resize(areas * self.topology.services.len(), 0.0);
        let area = self.topology.area(area).unwrap();
        self.hits[area.index()] = hits;
        self
    }

    fn weight(&mut self, server: &str, weight: u32) -> &mut Self {
        let id = self.topology.server(server).unwrap();
        self.topology.servers[id.index()].weight = weight;
        self
    }

    fn milliseconds(&mut self, area: &str, times: &[(&str, f64)]) -> &mut Self {
        let id = self.topology.area(area).unwrap();
        let cluster = |name: &str| self.topology.cluster(name).unwrap();
        let times = times.iter().map(|(name, time)| (cluster(name), *time)).collect();
        let nearness = Nearness::new(Vec::new(), times, None, &self.topology.clusters);
        self.topology.areas[id.index()].nearness = nearness;
        self
    }

    /// The first service's area begins by pointing at this cluster.
    fn point(&mut self, area: &str, cluster: &str) -> &mut Self {
        let pairs = self.topology.areas.len() * self.topology.services.len();
        let pointing = &mut self.memory.assign.pointing;
        pointing.resize(pairs, Default::default());
        let area = self.topology.area(area).unwrap();
        pointing[area.index()].present = self.topology.cluster(cluster);
        self
    }

    fn decide(&mut self, cause: Cause) -> &mut Self {
        self.decision = decide(&DecideInput {
            topology: &self.topology,
            conditions: &self.conditions,
            area_hits: &self.hits,
            memory: &self.memory,
            now: self.now,
            cause,
        });
        self.memory = self.decision.memory.clone();
        if self.topology.area(Area::WORLD).is_some() {
            self.plan().validate().unwrap();
        }
        self
    }

    /// A minute passes (longer than the TTL), then a round is held.
    fn round(&mut self) -> &mut Self {
        self.now += Duration::from_secs(60);
        self.decide(Cause::Round)
    }

    /// A second passes, then something is found out.
    fn event(&mut self) -> &mut Self {
        self.now += Duration::from_secs(1);
        self.decide(Cause::Event)
    }

    fn plan(&self) -> Plan {
        let number = PlanNumber { epoch: 1, controller: name("control"), sequence: 1 };
        build(&self.topology, &self.conditions, &self.decision, number, Digests::default())
    }

    fn area(&self, area: &str) -> &AreaDecision {
        &self.decision.areas[self.topology.area(area).unwrap().index()]
    }

    /// Where the first service's area points: `a`, or `a 20, b 80`.
    fn at(&self, area: &str) -> String {
        self.clusters(self.topology.area(area).unwrap())
    }

    fn clusters(&self, area: AreaId) -> String {
        let name = |cluster: ClusterId| &self.topology.clusters[cluster.index()].name;
        match &self.decision.areas[area.index()].clusters[..] {
            [(cluster, _)] => name(*cluster).to_string(),
            clusters => {
                let text = clusters.iter().map(|(c, s)| format!("{} {:.0}", name(*c), s * 100.0));
                text.collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// Where all areas but `world` point, in the order of names: `b a a`.
    fn all(&self) -> String {
        let areas = (0..).map(AreaId).zip(&self.topology.areas);
        let areas = areas.filter(|(_, area)| area.name.as_str() != Area::WORLD);
        areas.map(|(id, _)| self.clusters(id)).collect::<Vec<_>>().join(" ")
    }

    fn reason(&self, area: &str) -> Reason {
        self.area(area).reason
    }

    /// The first service's candidates for A in this area: `a1 a2`.
    fn candidates(&self, area: &str) -> String {
        self.listed(self.area(area).ipv4)
    }

    fn candidates_ipv6(&self, area: &str) -> String {
        self.listed(self.area(area).ipv6)
    }

    fn listed(&self, list: Option<ListIndex>) -> String {
        let Some(list) = list else { return String::new() };
        let groups = &self.decision.lists[list as usize].groups;
        let names = groups
            .iter()
            .flat_map(|group| &group.candidates)
            .map(|candidate| self.topology.servers[candidate.server as usize].name.to_string());
        names.collect::<Vec<_>>().join(" ")
    }

    /// Gives a server an IPv6 address, and takes its IPv4 one.
    fn ipv6_only(&mut self, server: &str) -> &mut Self {
        let id = self.topology.server(server).unwrap();
        let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::try_from(id.0).unwrap());
        self.topology.servers[id.index()].addresses = vec![IpAddr::V6(address)];
        self
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}
