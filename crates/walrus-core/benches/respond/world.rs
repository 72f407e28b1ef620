//! A world to measure in: names, a service, and a map of random prefixes.

use std::net::IpAddr;
use std::sync::Arc;

use walrus_core::answer::{AnswerTable, ZoneTable};
use walrus_core::dnssec::Denial;
use walrus_core::map::Map;
use walrus_core::plan::{
    AreaPlan, Candidate, CandidateList, Digests, FORMAT, Group, Plan, PlanNumber, PlannedServer,
    ServicePlan,
};
use walrus_core::world::{
    Area, ChooseParameters, ChoosePolicy, ClientSpec, Digest, Generator, Life, LocatePolicy, Name,
    Nearness, Topology, TtlPolicy,
};
use walrus_core::zone::read_zone;
use walrus_dns::DomainName;

#[expect(unreachable_pub, reason = "the fuzz crate uses it too")]
#[path = "../../../../fuzz/src/signed.rs"]
mod signed;

/// Areas beside `world`; each, and `world`, is served by eight servers of its own.
const AREAS: u32 = 50;
const SERVERS_PER_AREA: u32 = 8;

/// What is measured.
pub(crate) struct World {
    pub(crate) table: AnswerTable,
}

impl World {
    /// `names` static names, `prefixes` client prefixes, and the weighted service
    /// `www.example.com`.
    pub(crate) fn new(names: usize, prefixes: usize) -> Self {
        Self::with(names, prefixes, None)
    }

    /// The same, signed.
    pub(crate) fn signed(names: usize, prefixes: usize, denial: Denial) -> Self {
        Self::with(names, prefixes, Some(denial))
    }

    fn with(names: usize, prefixes: usize, denial: Option<Denial>) -> Self {
        let mut text = "$ORIGIN example.com.\n@ 3600 SOA ns host 1 2 3 4 300\n@ 3600 NS ns\n\
                        ns 3600 A 192.0.2.53\n"
            .to_owned();
        for index in 0..names {
            text.push_str(&format!(
                "name{index} 300 A 10.0.{}.{}\n",
                index >> 8 & 255,
                index & 255
            ));
        }
        let apex: DomainName = "example.com".parse().expect("a name");
        let zone = read_zone("bench", text.as_bytes(), &apex).expect("a zone").zone;
        let service: DomainName = "www.example.com".parse().expect("a name");
        let given = [(service.clone(), vec![1, 28])];
        let sources = signed::sign_all(&[Arc::new(zone)], &given, |_| denial);
        let zones = ZoneTable::compile(&sources, &[service]).expect("a table");
        let topology = topology(prefixes);
        let map = Map::build(&topology, &[]).expect("a map");
        let table = AnswerTable::new(Arc::new(zones), Arc::new(map), &topology);
        let table = table.with_plan(Arc::new(plan(&topology))).expect("a Plan");
        Self { table: signed::sign_answers(&table, &sources, usize::MAX) }
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn topology(prefixes: usize) -> Topology {
    let mut generator = Generator::new(4);
    let mut clients = vec![Vec::new(); AREAS as usize];
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < prefixes {
        // Mostly 24 bits, some 16 to 23.
        let (address, more) = generator.index(u32::MAX);
        let len = if more % 4 == 0 { 16 + (more >> 8) % 8 } else { 24 };
        let network = address >> (32 - len) << (32 - len);
        if seen.insert((network, len)) {
            let area = &mut clients[(more >> 16) as usize % AREAS as usize];
            area.push(ClientSpec::Prefix(IpAddr::from(network.to_be_bytes()), len as u8));
        }
    }
    let area = |name, clients| Area {
        name,
        home: None,
        clients,
        nameservers: Vec::new(),
        nearness: Nearness::default(),
    };
    let mut areas: Vec<Area> = (0..)
        .zip(clients)
        .map(|(index, clients): (u32, _)| area(name(&format!("area{index:02}")), clients))
        .collect();
    areas.push(area(name(Area::WORLD), Vec::new()));
    Topology { areas, ..Topology::default() }
}

fn plan(topology: &Topology) -> Plan {
    let count = (AREAS + 1) * SERVERS_PER_AREA;
    let server = |index: u32| PlannedServer {
        name: name(&format!("server{index}")),
        cluster: name("cluster"),
        addresses: vec![IpAddr::from((0x0a00_0000 + index).to_be_bytes())],
        life: Life::Living,
        load: None,
        backlog: None,
        capacity: None,
        reason: String::new(),
    };
    let candidate = |server: u32| Candidate {
        server,
        weight: 1 + server % 3,
        over_threshold: false,
        ramp: 1.0,
    };
    let list = |area: u32| {
        let from = area * SERVERS_PER_AREA;
        let candidates = (from..from + SERVERS_PER_AREA).map(candidate).collect();
        CandidateList { groups: vec![Group { share: 1.0, candidates }] }
    };
    let area = |(index, area): (u32, &Area)| AreaPlan {
        area: area.name.clone(),
        clusters: Vec::new(),
        ipv4: Some(index),
        ipv6: None,
        hosts: None,
        degraded: false,
        reason: String::new(),
    };
    Plan {
        format: FORMAT,
        number: PlanNumber { epoch: 1, controller: name("bench"), sequence: 1 },
        digests: Digests::default(),
        servers: (0..count).map(server).collect(),
        lists: (0..=AREAS).map(list).collect(),
        services: vec![ServicePlan {
            name: "www.example.com".into(),
            digest: Digest::default(),
            locate: vec![LocatePolicy::Map],
            choose: ChoosePolicy::Weighted,
            choose_parameters: ChooseParameters::default(),
            ttl: TtlPolicy::Constant { seconds: 30 },
            answers: Some(2),
            areas: (0..).zip(&topology.areas).map(area).collect(),
            demand: None,
        }],
    }
}

/// The name of the static record with this index, in wire format.
pub(crate) fn static_name(index: u32) -> Vec<u8> {
    wire(&format!("name{index}.example.com"))
}

pub(crate) fn wire(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.') {
        wire.push(u8::try_from(label.len()).expect("a short label"));
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

/// A query of type A with EDNS, and a client subnet of 24 bits if `client` is given.
pub(crate) fn query(name: &[u8], client: Option<[u8; 8]>) -> Vec<u8> {
    let mut query = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend_from_slice(name);
    query.extend_from_slice(&[0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0]);
    match client {
        Some([a, b, c, ..]) => query.extend_from_slice(&[11, 0, 8, 0, 7, 0, 1, 24, 0, a, b, c]),
        None => query.push(0),
    }
    query
}

/// The same query with DO set, without a client subnet, for any type.
pub(crate) fn signed_query(name: &[u8], record_type: u8) -> Vec<u8> {
    let mut query = query(name, None);
    query[12 + name.len() + 1] = record_type;
    let flags_at = query.len() - 4;
    query[flags_at] = 0x80;
    query
}
