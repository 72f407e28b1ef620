//! What a planning round costs: 10,000 servers, 200 clusters, 200 areas, 50 services on all
//! clusters; hoped for: 20 ms for deciding and building. Beside it a fixed calibration loop,
//! since the machines that run this are noisy: compare by multiples of it.
//!
//! `cargo bench -p walrus-core --bench plan`

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use divan::Bencher;
use walrus_core::plan::{
    Cause, DecideInput, Decision, Digests, Memory, Plan, PlanNumber, build, decide, diff,
    from_bytes, to_bytes,
};
use walrus_core::world::{
    Area, AssignPolicy, ChooseParameters, ChoosePolicy, Cluster, ClusterId, Condition, Coordinates,
    Digest, Life, LocatePolicy, Name, Nearness, Server, ServerId, Service, ServiceRecords, Spill,
    Time, Topology, TtlPolicy,
};

const CLUSTERS: u32 = 200;
const SERVERS_A_CLUSTER: u32 = 50;
const AREAS: u32 = 200;
const SERVICES: u32 = 50;

fn main() {
    divan::main();
}

/// The fixed loop: 4,000,000 dependent multiplications and shifts (splitmix64).
#[divan::bench(sample_count = 20)]
fn calibration() -> u64 {
    let mut state = black_box(1_u64);
    for _ in 0..4_000_000 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 27;
    }
    state
}

/// A round in which every load has changed and all four phases have work.
#[divan::bench(sample_count = 20)]
fn round_decide_and_build(bencher: Bencher<'_, '_>) {
    let scene = Scene::new(1);
    bencher.bench(|| scene.plan(&scene.decide(Cause::Round, &scene.conditions)));
}

/// The same with a threshold of its own for each service: nothing is shared between them.
#[divan::bench(sample_count = 20)]
fn round_with_fifty_thresholds(bencher: Bencher<'_, '_>) {
    let scene = Scene::new(SERVICES);
    bencher.bench(|| scene.plan(&scene.decide(Cause::Round, &scene.conditions)));
}

/// A round of `nearest`: a third of the clusters is to be passed over.
#[divan::bench(sample_count = 20)]
fn round_nearest(bencher: Bencher<'_, '_>) {
    let scene = Scene::of(AssignPolicy::Nearest, 0.0);
    bencher.bench(|| scene.plan(&scene.decide(Cause::Round, &scene.conditions)));
}

/// A round of `stable` whose demands take this much of all capacities in per cent, so that some
/// areas are split, many are, or nothing has room for them. Every demand has changed.
#[divan::bench(sample_count = 20, args = [40, 75, 120])]
fn round_stable(bencher: Bencher<'_, '_>, percent: u32) {
    let scene = Scene::of(AssignPolicy::Stable, f64::from(percent) / 100.0);
    bencher.bench(|| scene.plan(&scene.decide(Cause::Round, &scene.conditions)));
}

/// A whole cluster dies between two rounds.
#[divan::bench(sample_count = 20)]
fn event_decide_and_build(bencher: Bencher<'_, '_>) {
    let scene = Scene::new(1);
    let mut conditions = scene.conditions.clone();
    conditions[..SERVERS_A_CLUSTER as usize].fill(Condition::out(Life::Dead, "probe: refused"));
    bencher.bench(|| scene.plan(&scene.decide(Cause::Event, &conditions)));
}

/// Everybody dies at once: each area keeps its last usable answer.
#[divan::bench(sample_count = 20)]
fn nobody_functions(bencher: Bencher<'_, '_>) {
    let scene = Scene::new(1);
    let conditions = vec![Condition::out(Life::Dead, "probe: refused"); scene.conditions.len()];
    bencher.bench(|| scene.plan(&scene.decide(Cause::Event, &conditions)));
}

#[divan::bench(sample_count = 20)]
fn encode(bencher: Bencher<'_, '_>) {
    let scene = Scene::new(1);
    let plan = scene.plan(&scene.decide(Cause::Round, &scene.conditions));
    bencher.bench(|| to_bytes(&plan));
}

#[divan::bench(sample_count = 20)]
fn decode_and_validate(bencher: Bencher<'_, '_>) {
    let scene = Scene::new(1);
    let bytes = to_bytes(&scene.plan(&scene.decide(Cause::Round, &scene.conditions)));
    bencher.bench(|| from_bytes(&bytes).expect("what was just written can be read"));
}

#[divan::bench(sample_count = 20)]
fn difference(bencher: Bencher<'_, '_>) {
    let scene = Scene::new(1);
    let old = scene.plan(&scene.decide(Cause::Event, &scene.conditions));
    let new = scene.plan(&scene.decide(Cause::Round, &scene.conditions));
    bencher.bench(|| diff(&old, &new));
}

struct Scene {
    topology: Topology,
    conditions: Vec<Condition>,
    hits: Vec<f64>,
    memory: Memory,
}

impl Scene {
    /// With so many different thresholds; one round has been held.
    fn new(thresholds: u32) -> Self {
        let topology = topology(thresholds);
        let loads =
            |seed: u32| -> Vec<Condition> {
                let load = |n: u32| f64::from((n * 7919 + seed * 104_729) % 1000) / 1000.0;
                (0..CLUSTERS * SERVERS_A_CLUSTER)
                    // A third of the clusters as a whole is above every threshold.
                    .map(|n| {
                        if (n / SERVERS_A_CLUSTER + seed).is_multiple_of(3) {
                            0.97
                        } else {
                            load(n)
                        }
                    })
                    .map(|load| Condition::living(Some(load)))
                    .collect()
            };
        let hits = (0..SERVICES * AREAS).map(|n| f64::from(n % 997)).collect();
        let mut scene = Self { topology, conditions: loads(1), hits, memory: Memory::default() };
        scene.memory = scene.decide(Cause::Round, &scene.conditions).memory;
        scene.conditions = loads(2);
        scene
    }

    /// All services with this policy; all areas and clusters have coordinates. Demands take this part
    /// of all capacities; two rounds have been held with other demands.
    fn of(policy: AssignPolicy, filled: f64) -> Self {
        let mut scene = Self::new(1);
        let place = |n: u32| Coordinates {
            latitude: f64::from(n * 7919 % 140) - 70.0,
            longitude: f64::from(n * 104_729 % 360) - 180.0,
        };
        for (n, cluster) in (0..).zip(&mut scene.topology.clusters) {
            cluster.coordinates = Some(place(n));
        }
        for (n, area) in (1..).zip(&mut scene.topology.areas) {
            let (clusters, place) = (&scene.topology.clusters, Some(place(n)));
            area.nearness = Nearness::new(Vec::new(), Vec::new(), place, clusters);
        }
        scene.topology.services.iter_mut().for_each(|service| service.assign = policy);
        let capacities = scene.topology.servers.iter_mut().map(|server| {
            let capacity = f64::from(server.weight) * 100.0;
            server.capacity = Some(capacity);
            capacity
        });
        let capacity: f64 = capacities.sum();
        let demand = |seed: u32| -> Vec<f64> {
            let hits: Vec<u32> = (0..SERVICES * AREAS).map(|n| (n * seed) % 997).collect();
            let sum = f64::from(hits.iter().sum::<u32>());
            hits.iter().map(|hits| f64::from(*hits) * capacity * filled / sum).collect()
        };
        for seed in [7, 11] {
            scene.hits = demand(seed);
            scene.memory = scene.decide(Cause::Round, &scene.conditions).memory;
        }
        scene.hits = demand(13);
        // Long enough ago to be moved again.
        scene.memory.assign.pointing.iter_mut().for_each(|pointing| pointing.moved = None);
        scene
    }

    fn decide(&self, cause: Cause, conditions: &[Condition]) -> Decision {
        decide(&DecideInput {
            topology: &self.topology,
            conditions,
            area_hits: &self.hits,
            memory: &self.memory,
            now: Time::from_secs(1000),
            cause,
        })
    }

    fn plan(&self, decision: &Decision) -> Plan {
        let number = PlanNumber { epoch: 1, controller: name("control".to_owned()), sequence: 1 };
        build(&self.topology, &self.conditions, decision, number, Digests::default())
    }
}

fn topology(thresholds: u32) -> Topology {
    let mut topology = Topology::default();
    for cluster in 0..CLUSTERS {
        let first = cluster * SERVERS_A_CLUSTER;
        let servers: Vec<u32> = (first..first + SERVERS_A_CLUSTER).collect();
        for id in &servers {
            topology.servers.push(Server {
                name: name(format!("server-{id:05}")),
                cluster: ClusterId(cluster),
                addresses: vec![IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + id))],
                weight: 1 + id % 3,
                cost: 0.0,
                capacity: None,
                reporter: true,
                probe: None,
                host: None,
            });
        }
        let servers = servers.into_iter().map(ServerId).collect();
        topology.clusters.push(Cluster {
            name: name(format!("cluster-{cluster:03}")),
            servers,
            coordinates: None,
        });
    }
    for area in 0..AREAS {
        let last = area == AREAS - 1;
        topology.areas.push(Area {
            name: name(if last { Area::WORLD.to_owned() } else { format!("area-{area:03}") }),
            home: (!last).then_some(ClusterId(area % CLUSTERS)),
            clients: Vec::new(),
            nameservers: Vec::new(),
            nearness: Nearness::default(),
        });
    }
    for service in 0..SERVICES {
        topology.services.push(self::service(&topology, service, service % thresholds));
    }
    topology
}

fn service(topology: &Topology, index: u32, threshold: u32) -> Service {
    let text = format!("service-{index:02}.example.com");
    Service {
        records: ServiceRecords::default(),
        digest: Digest::of([text.as_bytes()]),
        name: text.parse().expect("a domain name"),
        clusters: (0..CLUSTERS).map(ClusterId).collect(),
        homes: topology.areas.iter().map(|area| area.home).collect(),
        locate: vec![LocatePolicy::Map],
        assign: AssignPolicy::Walrus,
        choose: ChoosePolicy::Weighted,
        choose_parameters: ChooseParameters::default(),
        ttl: TtlPolicy::Constant { seconds: 30 },
        hot_share: None,
        answers: Some(2),
        threshold: 0.8 + f64::from(threshold) / 1000.0,
        hysteresis: 0.05,
        home_rounds: 1,
        spill: Spill::Spare,
        better_ratio: 0.25,
        better_by: 0.1,
        ramp: Duration::from_secs(300),
    }
}

fn name(text: String) -> Name {
    text.parse().expect("a name")
}
