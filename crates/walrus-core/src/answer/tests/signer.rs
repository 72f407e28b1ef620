//! A Director without threads, for tests of services in a signed zone: one service that gives records
//! of all types, and a look at every answer that it can give.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use walrus_dns::DomainName;

use super::fixture::{area_plan, label, name, plan, service, topology, zone_table};
use crate::answer::table::{Drawn, RingAnswer, RingList, SignedAnswer, data_of};
use crate::answer::{AnswerSigning, AnswerTable, SigningInput, SigningOutcome, SingleSets};
use crate::dnssec::{
    Algorithm, Covered, DnsKey, SignRequest, Signatures, SignedBy, Validity, ValidityPolicy,
    sign_set,
};
use crate::map::Map;
use crate::plan::{CandidateList, Plan};
use crate::world::{
    AssignPolicy, ChooseParameters, ChoosePolicy, Cluster, ClusterId, Digest, LocatePolicy,
    MailExchange, Server, ServerId, Service, ServiceBinding, ServicePlace, ServiceRecords, Spill,
    Topology, TtlPolicy,
};

pub(super) const SERVICE: &str = "www.example";
pub(super) const START: u64 = 1_800_000_000;
pub(super) const SERVERS: u32 = 6;

/// A Director without threads: what is missing is signed when the test says so.
pub(super) struct Signer {
    pub(super) table: AnswerTable,
    pub(super) zones: BTreeMap<DomainName, Option<AnswerSigning>>,
    pub(super) singles: SingleSets,
    pub(super) signatures: Signatures,
    pub(super) wanted: Vec<SignRequest>,
    pub(super) now: u64,
    pub(super) sets_max: usize,
    pub(super) sequence: u64,
}

pub(super) fn key(seed: u8) -> DnsKey {
    DnsKey::new(0x0101, Algorithm::Ed25519, &[seed; 32]).unwrap()
}

pub(super) fn policy() -> ValidityPolicy {
    ValidityPolicy::default()
}

/// Six servers as in the fixture's Plan, which one service gives records of all types for.
pub(super) fn world() -> Topology {
    let plan = plan();
    let server = |planned: &crate::plan::PlannedServer| Server {
        name: planned.name.clone(),
        cluster: ClusterId(0),
        addresses: planned.addresses.clone(),
        weight: 1,
        cost: 1.0,
        capacity: None,
        reporter: false,
        probe: None,
        host: None,
    };
    let binding = ServiceBinding {
        priority: 1,
        alpn: vec!["h2".to_owned()],
        no_default_alpn: false,
        port: Some(8443),
        hints: true,
    };
    let records = ServiceRecords {
        a: true,
        aaaa: true,
        https: Some(binding),
        svcb: None,
        srv: Some(ServicePlace { priority: 1, port: 443 }),
        mx: Some(MailExchange { preference: 10 }),
        ..ServiceRecords::default()
    };
    let service = Service {
        name: name(SERVICE),
        clusters: vec![ClusterId(0)],
        homes: vec![None; 4],
        locate: vec![LocatePolicy::Map],
        assign: AssignPolicy::All,
        choose: ChoosePolicy::RoundRobin,
        choose_parameters: ChooseParameters::default(),
        ttl: TtlPolicy::Constant { seconds: 30 },
        hot_share: None,
        answers: None,
        threshold: 0.8,
        hysteresis: 0.1,
        home_rounds: 1,
        spill: Spill::Spare,
        better_ratio: 0.1,
        better_by: 0.1,
        ramp: Duration::ZERO,
        records,
        digest: Digest::default(),
    };
    let servers = (0..SERVERS).map(ServerId).collect();
    Topology {
        servers: plan.servers.iter().map(server).collect(),
        clusters: vec![Cluster { name: label("c"), servers, coordinates: None }],
        services: vec![service],
        ..topology()
    }
}

/// Who serves Europe and the world, in the one and only service.
pub(super) fn plan_of(
    sequence: u64,
    answers: Option<u32>,
    lists: &[CandidateList; 2],
    degraded: bool,
) -> Plan {
    let mut service = service(SERVICE, ChoosePolicy::RoundRobin);
    service.answers = answers;
    let area = |area: &str, index: u32| {
        let mut area = area_plan(area, Some(index), Some(index));
        area.hosts = Some(index);
        area.degraded = degraded;
        area
    };
    service.areas = vec![area("europe", 0), area("world", 1)];
    let mut plan = plan();
    plan.number.sequence = sequence;
    plan.lists = lists.to_vec();
    plan.services = vec![service];
    plan
}

impl Signer {
    pub(super) fn new() -> Self {
        let topology = world();
        let map = Arc::new(Map::build(&topology, &[]).unwrap());
        let zones = Arc::new(zone_table(&[SERVICE]));
        let signing = AnswerSigning { keys: [key(1)].into(), policy: policy() };
        Self {
            table: AnswerTable::new(zones, map, &topology),
            zones: [(name("example"), Some(signing)), (name("other"), None)].into(),
            singles: SingleSets::new(&topology),
            signatures: Signatures::default(),
            wanted: Vec::new(),
            now: START,
            sets_max: usize::MAX,
            sequence: 0,
        }
    }

    pub(super) fn sign(&mut self, table: &AnswerTable) -> (AnswerTable, SigningOutcome) {
        let input = SigningInput {
            zones: &self.zones,
            signatures: &self.signatures,
            now: self.now,
            singles: &self.singles,
            sets_max: self.sets_max,
        };
        table.sign(&input, Some(&self.table))
    }

    /// Publishes as soon as there is something to answer with; what more is wanted waits.
    pub(super) fn publish(&mut self, table: &AnswerTable) -> SigningOutcome {
        let (mut signed, mut outcome) = self.sign(table);
        if !outcome.needed.is_empty() {
            make(&mut self.signatures, std::mem::take(&mut outcome.needed));
            (signed, outcome) = self.sign(table);
            assert!(outcome.needed.is_empty(), "once is enough");
        }
        assert!(outcome.withheld.is_empty());
        self.wanted.clone_from(&outcome.wanted);
        self.table = signed;
        outcome
    }

    pub(super) fn apply(
        &mut self,
        answers: Option<u32>,
        lists: &[CandidateList; 2],
        degraded: bool,
    ) {
        self.sequence += 1;
        let plan = plan_of(self.sequence, answers, lists, degraded);
        let table = self.table.with_plan(Arc::new(plan)).unwrap();
        self.publish(&table);
    }

    /// Signs some of what is wanted and publishes again.
    pub(super) fn catch_up(&mut self, at_most: usize) {
        let wanted = self.wanted.drain(..at_most.min(self.wanted.len())).collect();
        make(&mut self.signatures, wanted);
        let table = self.table.clone();
        self.publish(&table);
    }

    /// Every answer that can be given is validly signed, and names servers of the list; how many
    /// are not what the ring draws.
    pub(super) fn check(&self) -> usize {
        let mut standing_in = 0;
        self.each(|list, answer, signed| {
            let present: BTreeSet<&[u8]> =
                list.answers().flat_map(|answer| answer.data()).collect();
            let data: Vec<&[u8]> = data_of(signed.drawn.records).collect();
            assert_eq!(data.len(), usize::from(signed.drawn.count));
            assert!(data.iter().all(|data| present.contains(data)), "a server that is gone");
            assert_eq!(data[0], answer.data().next().unwrap(), "who was drawn comes first");
            let of_type = list.service_type().number();
            let rrsigs: Vec<&[u8]> = data_of(signed.signatures).collect();
            assert_eq!(rrsigs.len(), usize::from(signed.signature_count));
            assert_eq!(signed.signatures[6..10], signed.drawn.records[6..10], "the same TTL");
            for rrsig in rrsigs {
                assert!(is_valid(of_type, &data, rrsig, self.now), "{of_type} {data:?}");
            }
            standing_in += usize::from(signed.drawn.records != answer.records);
        });
        standing_in
    }

    /// When the first signature of all answers ends, in seconds since 1970.
    pub(super) fn first_expiry(&self) -> u64 {
        let mut first = u64::MAX;
        self.each(|_, _, signed| {
            for rrsig in data_of(signed.signatures) {
                let expiry: [u8; 4] = rrsig[8..12].try_into().unwrap();
                first = first.min(u64::from(u32::from_be_bytes(expiry)));
            }
        });
        first
    }

    /// Every answer that can be given: its list, what the ring draws, and what is answered.
    fn each(&self, mut look: impl FnMut(&RingList, &RingAnswer<'_>, &SignedAnswer<'_>)) {
        let service = self.table.service(0).unwrap();
        for (place, list) in (0..).zip(service.lists()) {
            for answer in list.answers() {
                let drawn = Drawn {
                    records: answer.records,
                    count: answer.count,
                    ring: answer.ring,
                    first: answer.first,
                    ordinal: list.ordinal(answer.ring, answer.first),
                    servers: answer.servers,
                };
                look(list, &answer, &service.signed().unwrap().answer(place, drawn).unwrap());
            }
        }
    }
}

/// In place of a signature stands the name of what it covers.
fn make(signatures: &mut Signatures, requests: Vec<SignRequest>) {
    for request in requests {
        let mut signature = [0; 64];
        signature[..16].copy_from_slice(&request.id.0);
        signatures.insert(request.id, signature);
    }
}

fn is_valid(record_type: u16, data: &[&[u8]], rrsig: &[u8], now: u64) -> bool {
    let number = |at: usize| u32::from_be_bytes(rrsig[at..at + 4].try_into().unwrap());
    let (ttl, validity) = (number(4), Validity { expiry: number(8), inception: number(12) });
    let owner = name(SERVICE);
    let covered = Covered { owner: &owner, record_type, ttl, data };
    let by = SignedBy { zone: &name("example"), keys: &[key(1)], validity };
    let mut missing = Vec::new();
    assert!(sign_set(&covered, &by, &Signatures::default(), &mut missing).is_none());
    let signature = rrsig.last_chunk::<64>().unwrap();
    ttl == 30
        && missing[0].id.0 == signature[..16]
        && u64::from(validity.inception) <= now
        && now < u64::from(validity.expiry)
}
