//! Services in a signed zone: whatever happens to servers, and however late signatures are made,
//! every answer is signed and names living servers only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use walrus_dns::{DomainName, record_type};

use super::fixture::{Ask, area_plan, label, list, name, plan, service, topology, zone_table};
use crate::answer::table::{Drawn, RingAnswer, RingList, SignedAnswer, data_of};
use crate::answer::{
    AnswerSigning, AnswerTable, ExplainRequest, SigningInput, SigningOutcome, SingleSets,
    WorkerState, explain,
};
use crate::dnssec::{
    Algorithm, Covered, DnsKey, SignRequest, Signatures, SignedBy, Validity, ValidityPolicy,
    sign_set,
};
use crate::map::Map;
use crate::plan::{CandidateList, Plan};
use crate::world::{
    AssignPolicy, ChoosePolicy, Cluster, ClusterId, Digest, LocatePolicy, MailExchange, Server,
    ServerId, Service, ServiceBinding, ServicePlace, ServiceRecords, ServiceType, Spill, Topology,
    TtlPolicy,
};

const SERVICE: &str = "www.example";
const START: u64 = 1_800_000_000;
const SERVERS: u32 = 6;

/// A Director without threads: what is missing is signed when the test says so.
struct Signer {
    table: AnswerTable,
    zones: BTreeMap<DomainName, Option<AnswerSigning>>,
    singles: SingleSets,
    signatures: Signatures,
    wanted: Vec<SignRequest>,
    now: u64,
    sets_max: usize,
    sequence: u64,
}

fn key(seed: u8) -> DnsKey {
    DnsKey::new(0x0101, Algorithm::Ed25519, &[seed; 32]).unwrap()
}

fn policy() -> ValidityPolicy {
    ValidityPolicy::default()
}

/// Six servers as in the fixture's Plan, which one service gives records of all types for.
fn world() -> Topology {
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
        ttl: TtlPolicy::Constant { seconds: 30 },
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
        clusters: vec![Cluster { name: label("c"), servers }],
        services: vec![service],
        ..topology()
    }
}

/// Who serves Europe and the world, in the one and only service.
fn plan_of(
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
    fn new() -> Self {
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

    fn sign(&mut self, table: &AnswerTable) -> (AnswerTable, SigningOutcome) {
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
    fn publish(&mut self, table: &AnswerTable) -> SigningOutcome {
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

    fn apply(&mut self, answers: Option<u32>, lists: &[CandidateList; 2], degraded: bool) {
        self.sequence += 1;
        let plan = plan_of(self.sequence, answers, lists, degraded);
        let table = self.table.with_plan(Arc::new(plan)).unwrap();
        self.publish(&table);
    }

    /// Signs some of what is wanted and publishes again.
    fn catch_up(&mut self, at_most: usize) {
        let wanted = self.wanted.drain(..at_most.min(self.wanted.len())).collect();
        make(&mut self.signatures, wanted);
        let table = self.table.clone();
        self.publish(&table);
    }

    /// Every answer that can be given is validly signed, and names servers of the list; how many
    /// are not what the ring draws.
    fn check(&self) -> usize {
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
    fn first_expiry(&self) -> u64 {
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

#[test]
fn what_is_not_signed_yet_is_stood_in_for_and_then_answered_exactly() {
    let mut signer = Signer::new();
    let all = [list(&[0, 1, 2, 3]), list(&[0, 1, 2, 3])];
    signer.apply(None, &all, false);
    assert!(signer.check() > 0, "only single servers are signed before the first answer");
    signer.catch_up(usize::MAX);
    assert_eq!(signer.check(), 0);
    // All answers with all servers share one signature, for each type.
    let without_3 = [list(&[0, 1, 2]), list(&[0, 1, 2, 3])];
    signer.apply(None, &without_3, false);
    // A, AAAA (s0 and s2), SRV; MX and HTTPS by whoever comes first.
    assert_eq!(signer.wanted.len(), 1 + 1 + 1 + 3 + 3 - 1, "AAAA of s0 and s2 was signed before");
    assert!(signer.check() > 0);
    signer.catch_up(usize::MAX);
    assert_eq!((signer.check(), signer.wanted.len()), (0, 0));
    // What was signed once need not be signed again.
    signer.apply(None, &all, false);
    assert_eq!((signer.check(), signer.wanted.len()), (0, 0));
    // A shorter TTL needs no other signature.
    signer.apply(None, &all, true);
    assert_eq!((signer.check(), signer.wanted.len()), (0, 0));
}

#[test]
fn the_largest_signed_set_of_living_servers_stands_in() {
    let mut signer = Signer::new();
    let lists = |servers: &[u32]| [list(servers), list(servers)];
    signer.apply(Some(2), &lists(&[0, 1, 2]), false);
    signer.catch_up(usize::MAX);
    // {0 1}, {1 2} and {2 0} are signed; with three an answer 0 begins with two of them.
    signer.apply(Some(3), &lists(&[0, 1, 2, 3]), false);
    let service = signer.table.service(0).unwrap();
    let place = service.decisions()[0].list(ServiceType::A).unwrap();
    let answers: Vec<_> = service.lists()[place as usize].answers().collect();
    let counts: Vec<u16> = answers
        .iter()
        .map(|answer| {
            let (ring, first, count) = (answer.ring, answer.first, answer.count);
            let drawn =
                Drawn { records: answer.records, count, ring, first, ordinal: 0, servers: 3 };
            service.signed().unwrap().answer(place, drawn).unwrap().drawn.count
        })
        .collect();
    assert_eq!(counts, [2, 2, 2, 1], "3 was in no set before");
    signer.check();
}

#[test]
fn what_has_expired_stands_in_for_nothing() {
    let mut signer = Signer::new();
    let lists = |servers: &[u32]| [list(servers), list(servers)];
    signer.apply(Some(2), &lists(&[0, 1, 2]), false);
    signer.catch_up(usize::MAX);
    // A machine that slept: nothing was renewed, and then a Plan comes first.
    signer.now += 60 * 86_400;
    signer.apply(Some(3), &lists(&[0, 1, 2, 3]), false);
    assert!(signer.check() > 0, "single servers, signed at once");
}

#[test]
fn a_record_that_names_no_server_is_signed_for_none() {
    let mut topology = world();
    let whole = SingleSets::new(&topology).count();
    let binding = topology.services[0].records.https.as_mut().unwrap();
    (binding.port, binding.hints) = (None, false);
    assert_eq!(SingleSets::new(&topology).count(), whole - SERVERS as usize);
}

#[test]
fn what_did_not_change_is_kept_and_renewals_come_in_time() {
    let mut signer = Signer::new();
    let lists = [list(&[0, 1, 2]), list(&[3, 4])];
    signer.apply(Some(2), &lists, false);
    signer.catch_up(usize::MAX);
    let before = std::ptr::from_ref(signer.table.service(0).unwrap());
    let again = signer.table.clone();
    let outcome = signer.publish(&again);
    assert_eq!(before, std::ptr::from_ref(signer.table.service(0).unwrap()));
    let renewal = outcome.next_renewal.unwrap();
    assert!(renewal > START && renewal <= START + policy().renew_every.as_secs());
    signer.now = renewal;
    let again = signer.table.clone();
    signer.publish(&again);
    assert!(!signer.wanted.is_empty(), "new signatures are due");
    assert_eq!(signer.check(), 0, "the old ones are answered meanwhile");
    // Nobody signs for a week more: what is there still holds. Then a process starts anew.
    signer.now = renewal + policy().renew_every.as_secs();
    let mut other =
        Signer { signatures: signer.signatures.clone(), now: signer.now, ..Signer::new() };
    other.apply(Some(2), &lists, false);
    assert_eq!(other.check(), 0, "found among those of another process");
}

#[test]
fn whoever_fails_to_sign_and_wherever_the_clock_goes_no_signature_is_invalid() {
    let mut signer = Signer::new();
    let lists = |servers: &[u32]| [list(servers), list(servers)];
    signer.apply(Some(2), &lists(&[0, 1, 2]), false);
    signer.catch_up(usize::MAX);
    // {0 1} stands in, for as long as it is valid.
    signer.apply(Some(3), &lists(&[0, 1, 2, 3]), false);
    for _ in 0..30 {
        signer.now += 86_400;
        let table = signer.table.clone();
        signer.publish(&table);
        signer.check();
    }
    // A clock that was wrong until now: what it signed begins in the future.
    signer.catch_up(usize::MAX);
    signer.now = START;
    let table = signer.table.clone();
    signer.publish(&table);
    signer.check();
}

#[test]
fn an_old_signature_is_looked_at_again_before_it_expires() {
    let mut signer = Signer::new();
    let lists = [list(&[0, 1, 2]), list(&[3, 4])];
    signer.apply(Some(2), &lists, false);
    signer.catch_up(usize::MAX);
    let end = START + 2 * policy().valid_for.as_secs();
    while signer.now < end {
        // Nobody signs what is not needed, and nothing else happens between two renewals.
        let table = signer.table.clone();
        let next = signer.publish(&table).next_renewal.unwrap();
        assert!(next > signer.now, "not over and over");
        signer.now = next - 1;
        signer.check();
        signer.now = next;
    }
}

#[test]
fn a_list_that_shares_an_old_signature_with_another_is_renewed_too() {
    let mut signer = Signer::new();
    signer.apply(Some(1), &[list(&[0, 1]), list(&[0])], false);
    signer.catch_up(usize::MAX);
    let again = signer.table.clone();
    let started = signer.now;
    signer.now = signer.publish(&again).next_renewal.unwrap() + policy().renew_every.as_secs();
    signer.publish(&again);
    assert!(signer.first_expiry() <= started + policy().valid_for.as_secs(), "old ones first");
    signer.catch_up(usize::MAX);
    let slack = policy().valid_for - policy().renew_every;
    assert!(signer.first_expiry() > signer.now + slack.as_secs(), "both lists have new ones");
}

#[test]
fn too_many_sets_leave_single_servers_and_say_so() {
    let mut signer = Signer { sets_max: 0, ..Signer::new() };
    let lists = [list(&[0, 1, 2]), list(&[3, 4])];
    signer.apply(Some(2), &lists, false);
    signer.catch_up(usize::MAX);
    let again = signer.table.clone();
    let outcome = signer.publish(&again);
    assert!(outcome.left_out > 0 && outcome.wanted.is_empty());
    assert!(signer.check() > 0);
}

#[test]
fn without_any_signature_the_earlier_table_goes_on() {
    let mut signer = Signer::new();
    signer.apply(Some(1), &[list(&[0, 1]), list(&[0, 1])], false);
    signer.catch_up(usize::MAX);
    let held = std::ptr::from_ref(signer.table.service(0).unwrap());
    signer.signatures = Signatures::default();
    let mut plan = plan_of(9, Some(1), &[list(&[0]), list(&[0])], false);
    plan.servers[0].addresses = vec![[10, 9, 9, 9].into()];
    let table = signer.table.with_plan(Arc::new(plan)).unwrap();
    let (signed, outcome) = signer.sign(&table);
    assert_eq!(outcome.withheld, [name(SERVICE)]);
    assert!(!outcome.needed.is_empty());
    assert_eq!(held, std::ptr::from_ref(signed.service(0).unwrap()));
}

#[test]
fn replies_carry_the_signatures_to_whoever_wants_them() {
    let mut signer = Signer::new();
    signer.apply(Some(2), &[list(&[0, 1, 2]), list(&[0, 1, 2])], false);
    let mut worker = WorkerState::new(1, &signer.table);
    for of_type in [record_type::A, record_type::MX, record_type::HTTPS, record_type::SRV] {
        let mut ask = Ask::new(SERVICE, of_type);
        let plain = ask.answer(&signer.table, &mut worker);
        ask.edns = Some((1232, true));
        let signed = ask.answer(&signer.table, &mut worker);
        let answers = |reply: &super::fixture::Reply| u16::from_be_bytes([reply.0[6], reply.0[7]]);
        assert_eq!(answers(&signed), answers(&plain) + 1, "type {of_type}");
    }
}

#[test]
fn an_explanation_tells_who_signed_and_for_how_long() {
    let mut signer = Signer::new();
    signer.apply(Some(2), &[list(&[0, 1, 2]), list(&[0, 1, 2])], false);
    let worker = WorkerState::new(1, &signer.table);
    let ask = |record_type| ExplainRequest {
        name: name(SERVICE),
        record_type,
        resolver: [192, 0, 2, 77].into(),
        client: None,
        local: ([192, 0, 2, 99], 53).into(),
    };
    let told = explain(&signer.table, &worker, &ask(record_type::A));
    assert!(told.answer.iter().all(|record| !record.contains("RRSIG")), "{told:#?}");
    let [signature] = &told.signatures[..] else { panic!("{told:#?}") };
    assert_eq!((&*signature.covers, signature.algorithm), ("A", 15));
    assert_eq!((&*signature.owner, signature.key_tag), (SERVICE, key(1).tag()));
    // START is 15 January 2027.
    assert!(signature.inception.starts_with("202701") && signature.inception < signature.expiry);
    let nothing = explain(&signer.table, &worker, &ask(record_type::CAA));
    assert!(nothing.answer.is_empty() && nothing.authority[0].contains("SOA"), "{nothing:#?}");
}

/// What happens between two looks at all answers.
#[derive(Clone, Debug)]
enum Event {
    Plan {
        europe: Vec<u32>,
        world: Vec<u32>,
        answers: Option<u32>,
        degraded: bool,
    },
    Sign(usize),
    /// So many seconds, or back if the clock is set.
    Pass(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let servers = || {
        let all: Vec<u32> = (0..SERVERS).collect();
        // Server 0 has both families, so that no list is empty for a type.
        proptest::sample::subsequence(all, 0..SERVERS as usize).prop_map(|mut servers| {
            if !servers.contains(&0) {
                servers.push(0);
            }
            servers
        })
    };
    let answers = prop_oneof![Just(None), (1..4_u32).prop_map(Some)];
    prop_oneof![
        4 => (servers(), servers(), answers, any::<bool>()).prop_map(
            |(europe, world, answers, degraded)| Event::Plan { europe, world, answers, degraded }
        ),
        2 => (0..40_usize).prop_map(Event::Sign),
        1 => prop_oneof![0..400_000_i64, 0..4_000_000_i64].prop_map(Event::Pass),
        1 => prop_oneof![-4_000_i64..0, -800_000_i64..0].prop_map(Event::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_answer_is_signed_and_living_whenever_signatures_are_made(
        events in proptest::collection::vec(event(), 1..25),
    ) {
        let mut signer = Signer::new();
        signer.apply(None, &[list(&[0]), list(&[0])], false);
        for event in events {
            match event {
                Event::Plan { europe, world, answers, degraded } => {
                    signer.apply(answers, &[list(&europe), list(&world)], degraded);
                }
                Event::Sign(some) => signer.catch_up(some),
                Event::Pass(secs) => {
                    signer.now = signer.now.saturating_add_signed(secs);
                    let table = signer.table.clone();
                    signer.publish(&table);
                }
            }
            signer.check();
        }
        signer.catch_up(usize::MAX);
        prop_assert_eq!(signer.check(), 0, "in the end everything is as drawn");
        prop_assert!(signer.wanted.is_empty());
    }
}
