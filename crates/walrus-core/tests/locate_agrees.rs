//! The answer path locates by classes; the policy's own rule is told over areas. Both must find the
//! same area, and every address within the scope that was told must be decided alike.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use walrus_core::answer::{
    AnswerTable, Decision, Outcome, Request, ServerOptions, Transport, WorkerState, ZoneTable,
    respond,
};
use walrus_core::map::Map;
use walrus_core::plan::{
    AreaPlan, Candidate, CandidateList, Digests, FORMAT, Group, Plan, PlanNumber, PlannedServer,
    ServicePlan,
};
use walrus_core::policy::locate::{Nameservers, Whereabouts, locate};
use walrus_core::world::{
    Area, AssignPolicy, ChooseParameters, ChoosePolicy, ClientSpec, Digest, Life, LocatePolicy,
    Nearness, Service, ServiceRecords, Spill, Time, Topology, TtlPolicy,
};
use walrus_core::zone::zone_of_nameservers;

const AREAS: [&str; 4] = ["africa", "asia", "europe", "world"];
const SERVICE: &str = "www.walrus.example";

type Prefixes = Vec<(u32, u8, usize)>;

/// Areas with these prefixes; `asia` and `europe` have name servers.
fn topology(prefixes: &Prefixes, order: &[LocatePolicy]) -> Topology {
    let nameservers = [&[][..], &["127.0.0.2:53"], &["127.0.0.3:53"], &[]];
    let areas = (0..AREAS.len()).map(|index| Area {
        name: AREAS[index].parse().unwrap(),
        home: None,
        clients: prefixes
            .iter()
            .filter(|(_, _, area)| *area == index)
            .map(|(bits, length, _)| ClientSpec::Prefix(Ipv4Addr::from(*bits).into(), *length))
            .collect(),
        nameservers: nameservers[index].iter().map(|text| text.parse().unwrap()).collect(),
        nearness: Nearness::default(),
    });
    let service = Service {
        name: SERVICE.parse().unwrap(),
        clusters: Vec::new(),
        homes: vec![None; AREAS.len()],
        locate: order.to_vec(),
        assign: AssignPolicy::Walrus,
        choose: ChoosePolicy::RoundRobin,
        choose_parameters: ChooseParameters::default(),
        ttl: TtlPolicy::Constant { seconds: 5 },
        hot_share: None,
        answers: Some(1),
        threshold: 0.8,
        hysteresis: 0.1,
        home_rounds: 1,
        spill: Spill::Spare,
        better_ratio: 0.1,
        better_by: 0.1,
        ramp: Duration::ZERO,
        records: ServiceRecords::default(),
        digest: Digest::default(),
    };
    Topology { areas: areas.collect(), services: vec![service], ..Topology::default() }
}

/// A Plan in which area i is sent to server `lists[i]`: areas with the same one are one class.
fn plan(lists: [u32; 4], order: &[LocatePolicy]) -> Plan {
    let server = |last: u8| PlannedServer {
        name: format!("server{last}").parse().unwrap(),
        cluster: "cluster".parse().unwrap(),
        addresses: vec![IpAddr::V4(Ipv4Addr::new(127, 0, 1, last))],
        life: Life::Living,
        load: None,
        backlog: None,
        capacity: None,
        reason: String::new(),
    };
    let list = |server| CandidateList {
        groups: vec![Group {
            share: 1.0,
            candidates: vec![Candidate { server, weight: 1, over_threshold: false, ramp: 1.0 }],
        }],
    };
    let area = |(name, list): (&&str, u32)| AreaPlan {
        area: name.parse().unwrap(),
        clusters: Vec::new(),
        ipv4: Some(list),
        ipv6: None,
        hosts: None,
        degraded: false,
        reason: String::new(),
    };
    Plan {
        format: FORMAT,
        number: PlanNumber { epoch: 1, controller: "test".parse().unwrap(), sequence: 1 },
        digests: Digests::default(),
        servers: (0..4).map(server).collect(),
        lists: (0..4).map(list).collect(),
        services: vec![ServicePlan {
            name: SERVICE.to_owned(),
            digest: Digest::default(),
            locate: order.to_vec(),
            choose: ChoosePolicy::RoundRobin,
            choose_parameters: ChooseParameters::default(),
            ttl: TtlPolicy::Constant { seconds: 5 },
            answers: Some(1),
            areas: AREAS.iter().zip(lists).map(area).collect(),
            demand: None,
        }],
    }
}

/// An A query with a client subnet of 32 bits.
fn query(client: u32) -> Vec<u8> {
    let mut query = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend(b"\x03www\x06walrus\x07example\0\0\x01\0\x01");
    query.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x08\0\x08\0\x01\x20\0");
    query.extend(client.to_be_bytes());
    query
}

struct World {
    table: AnswerTable,
    map: Arc<Map>,
    topology: Topology,
}

impl World {
    fn new(prefixes: &Prefixes, order: &[LocatePolicy], lists: [u32; 4]) -> Self {
        let topology = topology(prefixes, order);
        let map = Arc::new(Map::build(&topology, &[]).unwrap());
        let apex = "walrus.example".parse().unwrap();
        let zone = zone_of_nameservers(&apex, &["ns1.walrus.example".parse().unwrap()]);
        let zones = ZoneTable::compile(&[Arc::new(zone)], &[SERVICE.parse().unwrap()]).unwrap();
        let table = AnswerTable::new(Arc::new(zones), Arc::clone(&map), &topology);
        let table = table.with_plan(Arc::new(plan(lists, order))).unwrap();
        Self { table, map, topology }
    }

    fn decide(&self, client: u32, asked: SocketAddr) -> Decision {
        let mut worker = WorkerState::new(1, &self.table);
        let query = query(client);
        let request = Request {
            query: &query,
            client: [192, 0, 2, 53].into(),
            local: asked,
            transport: Transport::Udp,
            now: Time::ZERO,
            unix_secs: 0,
            udp_size_max: 1232,
            server: ServerOptions::SILENT,
        };
        let outcome = respond(&self.table, &mut worker, &request, &mut [0; 1232]);
        assert!(matches!(outcome, Outcome::Reply(_)));
        *worker.decision()
    }
}

fn prefixes() -> impl Strategy<Value = Prefixes> {
    let bits = prop_oneof![any::<u32>(), (0..64_u32).prop_map(|low| 0x0a00_0000 + (low << 22))];
    let length = prop_oneof![0..=32_u8, 6..=12_u8];
    proptest::collection::vec((bits, length, 0..AREAS.len()), 0..12)
}

fn order() -> impl Strategy<Value = Vec<LocatePolicy>> {
    use LocatePolicy::{Map, Nameserver};
    prop_oneof![
        Just(vec![Map]),
        Just(vec![Nameserver]),
        Just(vec![Map, Nameserver]),
        Just(vec![Nameserver, Map]),
    ]
}

proptest! {
    #[test]
    fn the_answer_path_locates_as_the_policy_says(
        prefixes in prefixes(),
        order in order(),
        lists in proptest::array::uniform4(0..3_u32),
        clients in proptest::collection::vec(any::<u32>(), 4),
        asked in 1..4_u8,
    ) {
        let world = World::new(&prefixes, &order, lists);
        let asked = SocketAddr::from(([127, 0, 0, asked], 53));
        let nameservers = Nameservers::new(&world.topology);
        let edges = prefixes.iter().flat_map(|(bits, ..)| [*bits, bits.wrapping_sub(1)]);
        for client in edges.chain(clients) {
            let whereabouts = Whereabouts { client: Ipv4Addr::from(client).into(), asked };
            let here = world.topology.world();
            let expected = locate(&order, &world.map, &nameservers, whereabouts, here);
            let decision = world.decide(client, asked);
            let service = decision.service.unwrap();
            prop_assert_eq!(service.area, Some(expected.area), "{:?}", whereabouts);
            prop_assert_eq!(service.first, Some(lists[expected.area.index()]));
            // The ends of the scope, and their middle, are decided alike.
            let host = u32::MAX.checked_shr(decision.scope.into()).unwrap_or(0);
            for other in [client & !host, client | host, client ^ (host >> 1)] {
                let other = world.decide(other, asked).service.unwrap();
                prop_assert_eq!(other.first, service.first, "scope {}", decision.scope);
            }
        }
    }
}
