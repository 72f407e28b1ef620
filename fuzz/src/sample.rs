//! A small world to ask questions about: four areas, servers of both families, and services with
//! every way to locate and choose. Shared by the fuzz targets and the core's tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use walrus_core::answer::{AnswerTable, ZoneCompileError, ZoneTable};
use walrus_core::map::Map;
use walrus_core::plan::{
    AreaPlan, Candidate, CandidateList, Digests, DomainDemand, FORMAT, Group, Plan, PlanNumber,
    PlannedServer, ServiceDemand, ServicePlan,
};
use walrus_core::world::{
    AdaptiveTtl, Area, AssignPolicy, ChooseParameters, ChoosePolicy, ClientSpec, ClusterId, Digest,
    Life, LocatePolicy, MailExchange, Nearness, Server, Service, ServiceBinding, ServicePlace,
    ServiceRecords, Spill, Topology, TtlPolicy,
};
use walrus_core::zone::Zone;
use walrus_dns::DomainName;

/// Services whose place leaves this remainder are in no Plan yet.
const WITHOUT_PLAN: usize = 4;
/// Servers of the long list, which fits into no UDP reply.
const SERVERS: u8 = 120;

/// A table for zones with services at these names; the fifth of each five has no Plan.
pub fn table(
    zones: &[Arc<Zone>],
    services: &[DomainName],
) -> Result<AnswerTable, ZoneCompileError> {
    let topology = topology(services);
    let map = Map::build(&topology, &[]).expect("explicit prefixes only");
    let zones = ZoneTable::compile(zones, services)?;
    let table = AnswerTable::new(Arc::new(zones), Arc::new(map), &topology);
    Ok(table.with_plan(Arc::new(plan(services))).expect("a sound Plan"))
}

fn topology(services: &[DomainName]) -> Topology {
    let area = |name: &str, clients: &[(&str, u8)], nameserver: Option<&str>| Area {
        name: name.parse().expect("a name"),
        home: None,
        clients: clients
            .iter()
            .map(|(address, len)| ClientSpec::Prefix(address.parse().expect("an address"), *len))
            .collect(),
        nameservers: nameserver.iter().map(|text| text.parse().expect("an address")).collect(),
        nearness: Nearness::default(),
    };
    let areas = vec![
        area("america", &[("203.0.113.0", 24), ("2001:db8:a::", 48)], None),
        area("asia", &[("192.0.2.0", 24), ("198.18.0.0", 15)], None),
        area("near", &[], Some("192.0.2.53:53")),
        area("world", &[], None),
    ];
    let services = (0..).zip(services).map(|(index, name)| configured(index, name)).collect();
    // Every third server has a name of its own.
    let host = |index: u8| {
        index.is_multiple_of(3).then(|| format!("host{index}.example.com").parse().expect("a name"))
    };
    let servers = (0..SERVERS).map(|index| Server {
        name: server(index).name,
        cluster: ClusterId(0),
        addresses: Vec::new(),
        weight: 1,
        cost: 0.0,
        capacity: None,
        reporter: false,
        probe: None,
        host: host(index),
    });
    Topology { areas, services, servers: servers.collect(), ..Topology::default() }
}

/// The types that the service at this place gives.
pub fn given(index: usize) -> impl Iterator<Item = u16> {
    records(index).types().iter().map(|service_type| service_type.number())
}

/// All kinds of records in turn.
fn records(index: usize) -> ServiceRecords {
    let binding = |port: Option<u16>, hints| ServiceBinding {
        priority: 1,
        alpn: vec!["h2".into(), "h3".into()],
        no_default_alpn: port.is_some(),
        port,
        hints,
    };
    let mut records = ServiceRecords::default();
    match index % 4 {
        // Beside A alone a zone's AAAA stands as it is.
        0 => records.aaaa = index % 8 != 4,
        1 => {
            records.https = Some(binding(None, false));
            records.mx = Some(MailExchange { preference: 10 });
            // It promises no addresses, for its servers are not known here.
            records.signed = true;
        }
        2 => {
            records.https = Some(binding(Some(8443), true));
            records.svcb = Some(binding(None, true));
        }
        _ => {
            (records.a, records.aaaa) = (false, index % 8 == 7);
            records.srv = Some(ServicePlace { priority: 1, port: 5060 });
            records.mx = Some(MailExchange { preference: 65_534 });
        }
    }
    records
}

/// A service as the configuration has it.
fn configured(index: usize, name: &DomainName) -> Service {
    Service {
        name: name.clone(),
        clusters: Vec::new(),
        homes: Vec::new(),
        locate: Vec::new(),
        assign: AssignPolicy::All,
        choose: ChoosePolicy::Random,
        choose_parameters: ChooseParameters::default(),
        ttl: TtlPolicy::Constant { seconds: 30 },
        hot_share: None,
        answers: None,
        threshold: 0.8,
        hysteresis: 0.05,
        home_rounds: 1,
        spill: Spill::Spare,
        better_ratio: 0.25,
        better_by: 0.1,
        ramp: Duration::ZERO,
        records: records(index),
        digest: Digest::default(),
    }
}

fn plan(services: &[DomainName]) -> Plan {
    let mut services: Vec<ServicePlan> = (0..)
        .zip(services)
        .filter(|(index, _)| index % 5 != WITHOUT_PLAN)
        .map(|(index, name)| service(index, name))
        .collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    let controller = "sample".parse().expect("a name");
    Plan {
        format: FORMAT,
        number: PlanNumber { epoch: 1, controller, sequence: 1 },
        digests: Digests::default(),
        servers: (0..SERVERS).map(server).collect(),
        lists: lists(),
        services,
    }
}

fn server(index: u8) -> PlannedServer {
    let ipv4 = IpAddr::from(Ipv4Addr::new(198, 51, 100, index));
    let ipv6 = IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, index.into()));
    PlannedServer {
        name: format!("s{index:03}").parse().expect("a name"),
        cluster: "c".parse().expect("a name"),
        addresses: match index % 4 {
            0 => vec![ipv4],
            1 => vec![ipv6],
            2 => vec![ipv4, ipv6],
            _ => vec![ipv6, ipv4, IpAddr::from(Ipv4Addr::new(198, 51, 101, index))],
        },
        life: Life::Living,
        load: None,
        reason: String::new(),
        backlog: None,
        capacity: None,
    }
}

/// A plain list, one that moves by shares with a server that comes back, one server, and all.
fn lists() -> Vec<CandidateList> {
    let group = |share: f64, servers: &[u8]| Group {
        share,
        candidates: servers
            .iter()
            .map(|server| Candidate {
                server: u32::from(*server),
                weight: u32::from(server % 3),
                over_threshold: false,
                ramp: if server % 7 == 6 { 0.25 } else { 1.0 },
            })
            .collect(),
    };
    let all: Vec<u8> = (0..SERVERS).collect();
    [
        vec![group(1.0, &[0, 1, 2, 3])],
        vec![group(0.25, &[2, 6, 7]), group(0.75, &[8, 10])],
        vec![group(1.0, &[11])],
        vec![group(1.0, &all)],
    ]
    .map(|groups| CandidateList { groups })
    .into()
}

fn service(index: usize, name: &DomainName) -> ServicePlan {
    use {ChoosePolicy as Choose, LocatePolicy as Locate};
    let locate: &[Locate] = match index % 3 {
        0 => &[Locate::Map],
        1 => &[Locate::Map, Locate::Nameserver],
        _ => &[Locate::Nameserver],
    };
    let area = |place: u32, area: &str| AreaPlan {
        area: area.parse().expect("a name"),
        clusters: Vec::new(),
        ipv4: Some(place),
        // One area without IPv6: NODATA.
        ipv6: (place != 2).then_some(3 - place),
        // None as in a Plan from before there were such records: then addresses' lists stand in.
        hosts: place.is_multiple_of(2).then_some((place + 1) % 4),
        degraded: place == 1,
        reason: String::new(),
    };
    ServicePlan {
        name: name.to_string(),
        digest: Digest::default(),
        locate: locate.into(),
        choose: Choose::ALL[index % Choose::ALL.len()],
        choose_parameters: ChooseParameters::default(),
        ttl: match AdaptiveTtl::ALL.get(index % 11) {
            None => TtlPolicy::Constant { seconds: 30 },
            Some(variant) => {
                TtlPolicy::Adaptive { variant: *variant, seconds: 30, min: 3, max: 300 }
            }
        },
        answers: [Some(1), Some(2), None][index / 3 % 3],
        areas: (0..).zip(["america", "asia", "near", "world"]).map(|(p, n)| area(p, n)).collect(),
        demand: index.is_multiple_of(2).then(demand),
    }
}

/// Of resolvers and client prefixes, one inside another.
fn demand() -> ServiceDemand {
    let domains = ["192.0.2.1", "203.0.113.0/24", "203.0.0.0/16", "2001:db8:a::/48", "::1"];
    let domain = |(place, domain): (u8, &str)| DomainDemand {
        domain: domain.to_owned(),
        rate: 100.0 / f64::from(place + 1),
        hot: place < 2,
        ..DomainDemand::default()
    };
    let domains = (0..).zip(domains).map(domain).collect();
    ServiceDemand { rate: 400.0, domains, silent: 60.0, observed_over_ms: 9_000 }
}
