//! Settings and Plans for tests.

use std::net::IpAddr;
use std::time::Duration;

use walrus_dns::DomainName;

use crate::config::{NameServerSettings, PublishedService, UpdateTransport};
use crate::plan::{
    AreaPlan, Candidate, CandidateList, Digests, FORMAT, Group, Plan, PlanNumber, PlannedServer,
    ServicePlan,
};
use crate::world::{ChooseParameters, ChoosePolicy, Digest, Life, LocatePolicy, Name, TtlPolicy};

pub(super) const SERVICE: &str = "www.walrus.example";
pub(super) const TARGET: &str = "www.europe.example";
pub(super) const APEX: &str = "walrus.example";
pub(super) const ZONE: &str = "europe.example";

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(super) fn domain(text: &str) -> DomainName {
    text.parse().unwrap()
}

/// One area's name server with one service.
pub(super) fn settings() -> NameServerSettings {
    NameServerSettings {
        name: name("europe"),
        area: name("europe"),
        address: "192.0.2.53:53".parse().unwrap(),
        zone: domain(ZONE),
        host: domain("ns.europe.example"),
        transport: UpdateTransport::Tcp,
        key: None,
        ttl: None,
        check_every: Duration::from_secs(30),
        owner: name("walrus"),
        adopt: false,
        services: vec![PublishedService {
            service: domain(SERVICE),
            apex: domain(APEX),
            target: domain(TARGET),
        }],
    }
}

pub(super) fn number(epoch: u64, controller: &str, sequence: u64) -> PlanNumber {
    PlanNumber { epoch, controller: name(controller), sequence }
}

/// Each server in a cluster of its own name, with these addresses, and whether it is above the
/// threshold.
pub(super) type Servers<'a> = &'a [(&'a str, &'a [&'a str], bool)];

/// The area goes to these groups, each with its share.
pub(super) fn plan_of(number: PlanNumber, groups: &[(f64, Servers<'_>)]) -> Plan {
    let mut servers = Vec::new();
    let mut family = |ipv4: bool| {
        let mut list = CandidateList { groups: Vec::new() };
        for (share, members) in groups {
            let mut candidates = Vec::new();
            for (server, addresses, over_threshold) in *members {
                let addresses: Vec<IpAddr> =
                    addresses.iter().map(|address| address.parse().unwrap()).collect();
                if !addresses.iter().any(|address| address.is_ipv4() == ipv4) {
                    continue;
                }
                let index = servers.len();
                servers.push(PlannedServer {
                    name: name(server),
                    cluster: name(server),
                    addresses,
                    life: Life::Living,
                    load: None,
                    backlog: None,
                    capacity: None,
                    reason: String::new(),
                });
                candidates.push(Candidate {
                    server: u32::try_from(index).unwrap(),
                    weight: 1,
                    over_threshold: *over_threshold,
                    ramp: 1.0,
                });
            }
            if !candidates.is_empty() {
                list.groups.push(Group { share: *share, candidates });
            }
        }
        list
    };
    let lists = vec![family(true), family(false)];
    let list = |index: u32| (!lists[index as usize].groups.is_empty()).then_some(index);
    let first = groups.first().and_then(|(_, servers)| servers.first());
    let area = AreaPlan {
        area: name("europe"),
        clusters: first.map(|(server, ..)| (name(server), 1.0)).into_iter().collect(),
        ipv4: list(0),
        ipv6: list(1),
        hosts: None,
        degraded: false,
        reason: String::new(),
    };
    let service = ServicePlan {
        name: SERVICE.to_owned(),
        digest: Digest::default(),
        locate: vec![LocatePolicy::Map],
        choose: ChoosePolicy::RoundRobin,
        choose_parameters: ChooseParameters::default(),
        ttl: TtlPolicy::Constant { seconds: 30 },
        answers: None,
        areas: vec![area],
        demand: None,
    };
    Plan {
        format: FORMAT,
        number,
        digests: Digests::default(),
        servers,
        lists,
        services: vec![service],
    }
}

/// The area goes to one server with this address.
pub(super) fn plan(number: PlanNumber, address: &str) -> Plan {
    plan_of(number, &[(1.0, &[("a", &[address], false)])])
}

/// `count` services, `www0` and so on, each to one server with this address; and the settings that publish them.
pub(super) fn many(number: PlanNumber, address: &str, count: usize) -> (Plan, NameServerSettings) {
    let (mut plan, mut settings) = (plan(number, address), settings());
    let one = plan.services.remove(0);
    let label = |index: usize| format!("www{index}");
    plan.services = (0..count)
        .map(|index| ServicePlan {
            name: format!("{}.walrus.example", label(index)),
            ..one.clone()
        })
        .collect();
    plan.services.sort_by(|a, b| a.name.cmp(&b.name));
    settings.services = (0..count)
        .map(|index| PublishedService {
            service: domain(&format!("{}.walrus.example", label(index))),
            apex: domain(APEX),
            target: domain(&format!("{}.{ZONE}", label(index))),
        })
        .collect();
    (plan, settings)
}
