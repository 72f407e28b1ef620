//! The small world: two zones, three areas, four services.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use walrus_dns::{CookieSecret, CookieSecrets, DomainName};

use crate::answer::{
    AnswerTable, Outcome, Request, ServerOptions, Transport, WorkerState, ZoneTable, respond,
    respond_completely,
};
use crate::map::Map;
use crate::plan::{
    AreaPlan, Candidate, CandidateList, Digests, FORMAT, Group, Plan, PlanNumber, PlannedServer,
    ServicePlan,
};
use crate::world::{
    Area, ChooseParameters, ChoosePolicy, ClientSpec, Digest, Life, LocatePolicy, Name, Nearness,
    Time, Topology, TtlPolicy,
};
use crate::zone::{Zone, read_zone};

pub(super) const ZONES: [(&str, &str); 3] = [
    (
        "example",
        "@ 3600 SOA ns host 1 2 3 4 300\n@ 3600 NS ns\n@ 3600 NS ns.other.\n@ 60 A 192.0.2.1\n\
         ns 3600 A 192.0.2.53\nwww 60 TXT \"beside a service\"\nwww 60 A 192.0.2.99\n\
         a.b.c 60 A 192.0.2.2\nmx 60 MX 10 mail.example.\nmx 60 MX 20 a.mx\n\
         txt 60 TXT one\ntxt 60 TXT two\nsrv 60 SRV 1 2 3 www\nmixed 60 NS ns.elsewhere.\n\
         out 60 CNAME www.elsewhere.\nin 60 CNAME a.b.c\nto 60 CNAME www.other.\n\
         *.wild 60 A 192.0.2.3\nx.y.wild 60 A 192.0.2.4\ndel 60 NS ns.del\nns.del 60 A 192.0.2.5\n\
         ptr 60 PTR Ptr.Example.\nodd 60 TYPE65400 \\# 3 010203\ncaa 60 CAA 0 issue \"x\"\n\
         child 60 NS ns.child\nns.child 60 A 192.0.2.6\nchild 60 DS 1 8 2 00\n",
    ),
    ("other", "@ 60 SOA ns.other. mail.ns.other. 1 2 3 4 3600\n@ 60 NS ns\nns 60 A 192.0.2.54\n"),
    ("child.example", "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.7\n"),
];

pub(super) const SERVICES: [&str; 4] = ["deep.service.example", "example", "other", "www.example"];

pub(super) fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

pub(super) fn label(text: &str) -> Name {
    text.parse().unwrap()
}

pub(super) fn zones() -> Vec<Arc<Zone>> {
    let read = |(apex, text): &(&str, &str)| {
        // Names relative to the apex.
        let text = format!("$ORIGIN {apex}.\n{text}");
        Arc::new(read_zone(apex, text.as_bytes(), &name(apex)).unwrap().zone)
    };
    ZONES.iter().map(read).collect()
}

pub(super) fn zone_table(services: &[&str]) -> ZoneTable {
    let zones = zones();
    let services: Vec<_> = services.iter().map(|text| name(text)).collect();
    ZoneTable::compile(&zones, &services).unwrap()
}

pub(super) fn topology() -> Topology {
    let area = |name: &str, clients: &[(&str, u8)], nameservers: &[&str]| Area {
        name: label(name),
        home: None,
        clients: clients
            .iter()
            .map(|(network, len)| ClientSpec::Prefix(network.parse().unwrap(), *len))
            .collect(),
        nameservers: nameservers.iter().map(|address| address.parse().unwrap()).collect(),
        nearness: Nearness::default(),
    };
    Topology {
        areas: vec![
            area("america", &[("203.0.113.0", 24), ("2001:db8:1::", 48)], &["192.0.2.53:53"]),
            area("asia", &[("192.0.2.0", 24)], &[]),
            area("europe", &[("198.51.100.0", 24), ("198.51.100.128", 25)], &["192.0.2.54:53"]),
            area("world", &[], &[]),
        ],
        ..Topology::default()
    }
}

pub(super) fn candidate(server: u32) -> Candidate {
    Candidate { server, weight: 1, over_threshold: false, ramp: 1.0 }
}

pub(super) fn list(servers: &[u32]) -> CandidateList {
    let candidates = servers.iter().map(|server| candidate(*server)).collect();
    CandidateList { groups: vec![Group { share: 1.0, candidates }] }
}

pub(super) fn area_plan(area: &str, ipv4: Option<u32>, ipv6: Option<u32>) -> AreaPlan {
    AreaPlan {
        area: label(area),
        clusters: Vec::new(),
        ipv4,
        ipv6,
        hosts: None,
        degraded: false,
        reason: String::new(),
    }
}

pub(super) fn service(name: &str, choose: ChoosePolicy) -> ServicePlan {
    ServicePlan {
        name: name.into(),
        digest: Digest::default(),
        locate: vec![LocatePolicy::Map],
        choose,
        choose_parameters: ChooseParameters::default(),
        ttl: TtlPolicy::Constant { seconds: 30 },
        answers: Some(2),
        areas: vec![
            area_plan("america", Some(0), Some(3)),
            area_plan("asia", Some(1), None),
            area_plan("europe", Some(2), Some(3)),
            area_plan("world", Some(0), Some(3)),
        ],
        demand: None,
    }
}

/// Servers s0 to s5 at 10.0.0.0 to 10.0.0.5, those with even numbers at 2001:db8::N too; lists:
/// s0 s1, s2 s3, s4 s5 s1, s0 s2 s4.
pub(super) fn plan() -> Plan {
    let server = |index: u8| PlannedServer {
        name: label(&format!("s{index}")),
        cluster: label("c"),
        addresses: std::iter::once(IpAddr::from([10, 0, 0, index]))
            .chain(
                index
                    .is_multiple_of(2)
                    .then(|| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, index.into()])),
            )
            .collect(),
        life: Life::Living,
        load: None,
        backlog: None,
        capacity: None,
        reason: String::new(),
    };
    Plan {
        format: FORMAT,
        number: PlanNumber { epoch: 1, controller: label("c"), sequence: 1 },
        digests: Digests::default(),
        servers: (0..6).map(server).collect(),
        lists: vec![list(&[0, 1]), list(&[2, 3]), list(&[4, 5, 1]), list(&[0, 2, 4])],
        services: vec![
            service("deep.service.example", ChoosePolicy::Random),
            service("example", ChoosePolicy::Weighted),
            service("www.example", ChoosePolicy::RoundRobin),
        ],
    }
}

pub(super) fn empty_table() -> AnswerTable {
    let topology = topology();
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    AnswerTable::new(Arc::new(zone_table(&SERVICES)), map, &topology)
}

pub(super) fn table(plan: Plan) -> AnswerTable {
    empty_table().with_plan(Arc::new(plan)).unwrap()
}

/// A server that says all that can be said of it.
pub(super) static PRESENTED: LazyLock<ServerOptions> = LazyLock::new(|| ServerOptions {
    nsid: Some((*b"ns1").into()),
    cookies: Some(CookieSecrets { current: CookieSecret::new([7; 16]), other: None }),
    idle: Duration::from_secs(10),
    id: Some("ns1".into()),
    version: Some("walrus".into()),
});

/// A query, described.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) name: Vec<u8>,
    pub(super) record_type: u16,
    pub(super) class: u16,
    /// UDP size and DO.
    pub(super) edns: Option<(u16, bool)>,
    /// The client subnet option's data.
    pub(super) subnet: Option<Vec<u8>>,
    /// Other options, by code and data.
    pub(super) options: Vec<(u16, Vec<u8>)>,
    pub(super) client: IpAddr,
    pub(super) local: SocketAddr,
    pub(super) transport: Transport,
}

impl Ask {
    pub(super) fn new(question: &str, record_type: u16) -> Self {
        // Keeps the text's case, which `DomainName` would fold.
        let mut wire = Vec::new();
        for part in question.split('.').filter(|part| !part.is_empty()) {
            wire.push(part.len() as u8);
            wire.extend_from_slice(part.as_bytes());
        }
        wire.push(0);
        Self {
            name: wire,
            record_type,
            class: 1,
            edns: Some((1232, false)),
            subnet: None,
            options: Vec::new(),
            client: [203, 0, 113, 9].into(),
            local: "192.0.2.99:53".parse().unwrap(),
            transport: Transport::Udp,
        }
    }

    pub(super) fn from(mut self, client: &str) -> Self {
        self.client = client.parse().unwrap();
        self
    }

    pub(super) fn at(mut self, local: &str) -> Self {
        self.local = local.parse().unwrap();
        self
    }

    pub(super) fn without_edns(mut self) -> Self {
        self.edns = None;
        self
    }

    pub(super) fn option(mut self, code: u16, data: &[u8]) -> Self {
        self.options.push((code, data.to_vec()));
        self
    }

    pub(super) fn by(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    pub(super) fn tcp(mut self) -> Self {
        self.transport = Transport::Tcp;
        self
    }

    pub(super) fn subnet(mut self, network: &str, source: u8) -> Self {
        let bytes = match network.parse().unwrap() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let family = if bytes.len() == 4 { 1 } else { 2 };
        let mut data = vec![0, family, source, 0];
        data.extend_from_slice(&bytes[..usize::from(source).div_ceil(8)]);
        self.subnet = Some(data);
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(&self.name);
        bytes.extend_from_slice(&self.record_type.to_be_bytes());
        bytes.extend_from_slice(&self.class.to_be_bytes());
        if let Some((size, dnssec_ok)) = self.edns {
            bytes[11] = 1;
            bytes.extend_from_slice(&[0, 0, 41]);
            bytes.extend_from_slice(&size.to_be_bytes());
            bytes.extend_from_slice(&[0, 0, if dnssec_ok { 0x80 } else { 0 }, 0]);
            let subnet = self.subnet.iter().map(|data| (8_u16, data));
            let others = self.options.iter().map(|(code, data)| (*code, data));
            let option = |(code, data): (u16, &Vec<u8>)| {
                let head = [code.to_be_bytes(), (data.len() as u16).to_be_bytes()];
                [head.as_flattened(), data].concat()
            };
            let options: Vec<u8> = subnet.chain(others).flat_map(option).collect();
            bytes.extend_from_slice(&(options.len() as u16).to_be_bytes());
            bytes.extend_from_slice(&options);
        }
        bytes
    }

    pub(super) fn request<'a>(&self, bytes: &'a [u8]) -> Request<'a> {
        Request {
            query: bytes,
            client: self.client,
            local: self.local,
            transport: self.transport,
            now: Time::ZERO,
            unix_secs: 1_000_000,
            udp_size_max: 1232,
            server: &PRESENTED,
        }
    }

    /// The fast path's reply; the complete path must give the same.
    pub(super) fn answer(&self, table: &AnswerTable, worker: &mut WorkerState) -> Reply {
        both(table, worker, &self.request(&self.bytes())).expect("the fast path answers this")
    }
}

/// The fast path's reply, checked against the complete path on a copy of the worker; `None` if the
/// fast path leaves it to the complete one.
pub(super) fn both(
    table: &AnswerTable,
    worker: &mut WorkerState,
    request: &Request<'_>,
) -> Option<Reply> {
    let mut copy = worker.clone();
    let mut fast = vec![0; 65_535];
    let outcome = respond(table, worker, request, &mut fast);
    if outcome == Outcome::NotUnderstood {
        return None;
    }
    let mut complete = vec![0; 65_535];
    let completed = respond_completely(table, &mut copy, request, &mut complete);
    let Outcome::Reply(len) = outcome else {
        assert_eq!(outcome, completed, "{request:?}");
        return Some(Reply(Vec::new()));
    };
    fast.truncate(len);
    let Outcome::Reply(len) = completed else { panic!("{completed:?} to {request:?}") };
    complete.truncate(len);
    assert_eq!(fast, complete, "{request:?}");
    let decided = |worker: &WorkerState| (worker.decision().rcode, worker.decision().truncated);
    assert_eq!(decided(worker), decided(&copy));
    Some(Reply(fast))
}

/// A reply's bytes; empty if there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply(pub(super) Vec<u8>);

impl Reply {
    fn message(&self) -> &domain::base::Message<[u8]> {
        domain::base::Message::from_slice(&self.0).unwrap()
    }

    pub(super) fn rcode(&self) -> u16 {
        self.message().opt_rcode().to_int()
    }

    /// "owner type ttl data" a record, sections divided by "/"; OPT left out.
    pub(super) fn text(&self) -> String {
        use domain::base::iana::Rtype;
        use domain::rdata::AllRecordData;
        let (_, answer, authority, additional) = self.message().sections().unwrap();
        let section = |section: domain::base::message::RecordSection<'_, [u8]>| {
            let records = section.limit_to::<AllRecordData<_, _>>().map(|record| {
                let record = record.unwrap();
                let owner = record.owner();
                (record.rtype() != Rtype::OPT).then(|| {
                    format!(
                        "{owner} {} {} {}",
                        record.rtype(),
                        record.ttl().as_secs(),
                        record.data()
                    )
                })
            });
            records.flatten().collect::<Vec<_>>().join(", ")
        };
        let sections = [section(answer), section(authority), section(additional)];
        sections.join(" / ").trim_end_matches([' ', '/']).trim_start().to_owned()
    }

    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        use domain::rdata::{A, Aaaa};
        let answer = self.message().answer().unwrap();
        let ipv4 = answer.limit_to::<A>().map(|record| IpAddr::V4(record.unwrap().data().addr()));
        let ipv6 =
            answer.limit_to::<Aaaa>().map(|record| IpAddr::V6(record.unwrap().data().addr()));
        ipv4.chain(ipv6).collect()
    }

    /// Source and scope of the client subnet option.
    pub(super) fn scope(&self) -> Option<(u8, u8)> {
        use domain::base::opt::ClientSubnet;
        let opt = self.message().opt()?;
        let subnet = opt.opt().first::<ClientSubnet>()?;
        Some((subnet.source_prefix_len(), subnet.scope_prefix_len()))
    }

    /// AA and TC.
    pub(super) fn flags(&self) -> (bool, bool) {
        let header = self.message().header();
        (header.aa(), header.tc())
    }
}
