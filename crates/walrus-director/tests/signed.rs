//! A Director whose zone is signed, over sockets: every answer is checked as a validator would.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fixture;

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ring::signature::{ED25519, UnparsedPublicKey};
use walrus_core::dnssec::{
    Algorithm, CONFIRM, Covered, Denial, DnsKey, Signatures, SignedBy, Validity, ValidityPolicy,
    ZoneKeys, ZoneSigning, sign_set,
};
use walrus_core::map::Map;
use walrus_core::plan::{Candidate, CandidateList, Group, Plan, PlannedServer};
use walrus_core::world::{Life, Time};
use walrus_director::keys::KeyPair;
use walrus_director::{
    Director, DirectorHandle, DirectorStart, Reload, ReloadError, SignError, SigningStart,
};
use walrus_dns::{DomainName, record_type};
use walrus_host::clock::Clock;

use fixture::{SERVICE, digests, plan, query, settings, topology, zone};

const APEX: &str = "walrus.example";
const SERVERS: u32 = 12;

/// How long anything may take on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(20);

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn key_pair() -> KeyPair {
    KeyPair::generate(Algorithm::Ed25519, 0x0101).unwrap()
}

fn zone_signing(key: &DnsKey) -> ZoneSigning {
    let keys = vec![key.clone()];
    ZoneSigning {
        apex: name(APEX),
        keys: ZoneKeys {
            published: keys.clone(),
            sign_keys: keys.clone(),
            sign_zone: keys,
            wanted_at_parent: Vec::new(),
            ..ZoneKeys::default()
        },
        dnskey_ttl: 3600,
        denial: Denial::Nsec,
        validity: ValidityPolicy::default(),
    }
}

struct Start<'a> {
    key: &'a DnsKey,
    pairs: Vec<KeyPair>,
    store: Option<&'a Path>,
    clock: Clock,
    plan: Option<Arc<Plan>>,
}

fn start(start: Start<'_>) -> DirectorHandle {
    let topology = topology();
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let signing = SigningStart {
        zones: vec![zone_signing(start.key)],
        pairs: start.pairs,
        store: start.store.map(Path::to_owned),
        ..SigningStart::default()
    };
    let dns = settings(&["127.0.0.1:0"], 1);
    let (plan, clock, zones) = (start.plan, start.clock, vec![zone()]);
    let digests = digests(&map);
    let start = DirectorStart {
        dns,
        topology,
        zones,
        moving: Vec::new(),
        updates: walrus_director::UpdateSettings::default(),
        serials: Default::default(),
        keys: Default::default(),
        map,
        digests,
        plan,
        signing,
        seed: 1,
        clock,
    };
    Director::start(start).unwrap()
}

/// A Plan that gives these of twelve servers to everybody, three an answer.
fn plan_of(sequence: u64, servers: &[u32]) -> Arc<Plan> {
    let map = Map::build(&topology(), &[]).unwrap();
    let mut plan = (*plan(sequence, 1, &digests(&map))).clone();
    let server = |number: u32| PlannedServer {
        name: format!("s{number:02}").parse().unwrap(),
        cluster: "cluster".parse().unwrap(),
        addresses: vec![[127, 0, 99, number as u8].into()],
        life: Life::Living,
        load: None,
        backlog: None,
        capacity: None,
        reason: String::new(),
    };
    let candidate =
        |server: &u32| Candidate { server: *server, weight: 1, over_threshold: false, ramp: 1.0 };
    plan.servers = (0..SERVERS).map(server).collect();
    let candidates: Vec<Candidate> = servers.iter().map(candidate).collect();
    plan.lists = vec![CandidateList { groups: vec![Group { share: 1.0, candidates }] }];
    plan.services[0].answers = Some(3);
    for area in &mut plan.services[0].areas {
        area.ipv4 = Some(0);
    }
    Arc::new(plan)
}

/// Records of the answer section as (type, data).
struct Answer {
    rcode: u8,
    records: Vec<(u16, Vec<u8>)>,
}

fn ask(director: &DirectorHandle, name: &str, of_type: u16) -> Answer {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut query = query(7, name, None);
    let question_end = query.len();
    query[question_end - 4..question_end - 2].copy_from_slice(&of_type.to_be_bytes());
    // OPT with DO.
    query[11] = 1;
    query.extend([0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
    socket.send_to(&query, director.addresses()[0]).unwrap();
    let mut reply = [0; 2048];
    let len = socket.recv(&mut reply).unwrap();
    read(&reply[..len], question_end)
}

fn read(reply: &[u8], question_end: usize) -> Answer {
    let count = u16::from_be_bytes([reply[6], reply[7]]);
    let mut rest = &reply[question_end..];
    let mut records = Vec::new();
    for _ in 0..count {
        // Owners are pointers to the question here.
        assert_eq!(rest[0] & 0xc0, 0xc0, "an owner in full");
        let of_type = u16::from_be_bytes([rest[2], rest[3]]);
        let len = usize::from(u16::from_be_bytes([rest[10], rest[11]]));
        records.push((of_type, rest[12..12 + len].to_vec()));
        rest = &rest[12 + len..];
    }
    Answer { rcode: reply[3] & 0xf, records }
}

impl Answer {
    /// Checks the signature over records of a type, which must be there; their data.
    fn verified(&self, owner: &str, of_type: u16, keys: &[&DnsKey]) -> Vec<&[u8]> {
        let of = |wanted: u16| {
            self.records.iter().filter(move |(found, _)| *found == wanted).map(|(_, data)| &**data)
        };
        let data: Vec<&[u8]> = of(of_type).collect();
        assert!(!data.is_empty(), "rcode {}, nothing of type {of_type}", self.rcode);
        let rrsigs: Vec<&[u8]> = of(record_type::RRSIG).collect();
        assert!(!rrsigs.is_empty(), "not signed");
        for rrsig in rrsigs {
            let number = |at: usize| u32::from_be_bytes(rrsig[at..at + 4].try_into().unwrap());
            let tag = u16::from_be_bytes([rrsig[16], rrsig[17]]);
            let key = keys.iter().find(|key| key.tag() == tag).expect("a key that is known");
            let validity = Validity { expiry: number(8), inception: number(12) };
            let (owner, ttl) = (name(owner), number(4));
            let covered = Covered { owner: &owner, record_type: of_type, ttl, data: &data };
            let (zone, one) = (name(APEX), [(*key).clone()]);
            let by = SignedBy { zone: &zone, keys: &one, validity };
            let mut requests = Vec::new();
            assert!(sign_set(&covered, &by, &Signatures::default(), &mut requests).is_none());
            let signature = rrsig.last_chunk::<64>().unwrap();
            let public = UnparsedPublicKey::new(&ED25519, key.public());
            public.verify(&requests[0].bytes, signature).expect("a valid signature");
        }
        data
    }

    fn validity(&self) -> Validity {
        let rrsig = self.records.iter().find(|(of_type, _)| *of_type == record_type::RRSIG);
        let number =
            |at: usize| u32::from_be_bytes(rrsig.unwrap().1[at..at + 4].try_into().unwrap());
        Validity { expiry: number(8), inception: number(12) }
    }
}

fn servers_of(director: &DirectorHandle, keys: &[&DnsKey]) -> BTreeSet<u32> {
    let answer = ask(director, SERVICE, record_type::A);
    let data = answer.verified(SERVICE, record_type::A, keys);
    data.iter().map(|address| u32::from(address[3])).collect()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} never comes");
        std::thread::yield_now();
    }
}

#[test]
fn whatever_happens_to_servers_every_answer_is_signed_and_of_a_plan_that_was_in_force() {
    let pair = key_pair();
    let all: Vec<u32> = (0..SERVERS).collect();
    let director = start(Start {
        key: pair.public(),
        pairs: vec![pair.clone()],
        store: None,
        clock: Clock::real(),
        plan: Some(plan_of(1, &all)),
    });
    // Everything is signed before the first answer.
    assert_eq!(servers_of(&director, &[pair.public()]).len(), 3);
    let (stop, asked, applied) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(1));
    // With Plan n, server n modulo 12 is dead, and so is the next.
    let living = |sequence: u64| -> Vec<u32> {
        let dead = (sequence % u64::from(SERVERS)) as u32;
        all.iter().copied().filter(|it| *it != dead && *it != (dead + 1) % SERVERS).collect()
    };
    std::thread::scope(|scope| {
        // However this ends, the one that asks hears it.
        let ended = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let from = applied.load(Ordering::SeqCst);
                let found = servers_of(&director, &[pair.public()]);
                let to = applied.load(Ordering::SeqCst);
                let allowed = |sequence: u64| {
                    sequence == 1 || found.iter().all(|it| living(sequence).contains(it))
                };
                // One more: a Plan may be in force before it is noted.
                assert!((from..=to + 1).any(allowed), "{found:?} in Plans {from} to {to}");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        for sequence in 2..40 {
            let before = asked.load(Ordering::Relaxed);
            director.apply_plan(plan_of(sequence, &living(sequence))).unwrap();
            applied.store(sequence, Ordering::SeqCst);
            until("an answer", || asked.load(Ordering::Relaxed) > before + 2);
        }
        drop(ended);
    });
    let status = director.signing();
    assert_eq!((status.pending, status.error), (0, None));
    assert!(status.answer_sets > 0 && status.next_renewal.is_some());
    assert_eq!(servers_of(&director, &[pair.public()]).len(), 3);
}

/// Says that it is over when it goes.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn static_names_are_signed_and_the_zone_can_be_had() {
    let pair = key_pair();
    let director = start(Start {
        key: pair.public(),
        pairs: vec![pair.clone()],
        store: None,
        clock: Clock::real(),
        plan: None,
    });
    // Names in SOA and NS records may be compressed, which this reader does not undo.
    for of_type in [record_type::NSEC, record_type::DNSKEY] {
        ask(&director, APEX, of_type).verified(APEX, of_type, &[pair.public()]);
    }
    let zone = director.signed_zone(&name(APEX)).unwrap();
    assert!(zone.set(&name(APEX), record_type::DNSKEY).is_some());
    let status = director.signing();
    assert_eq!(status.zones.len(), 1);
    let zone = &status.zones[0];
    assert!(zone.is_served && zone.signatures > 3 && zone.error.is_none(), "{zone:?}");
    assert!(zone.keys[0].signs_keys && zone.keys[0].signs_zone);
    assert_ne!(director.digests().keys, digests(&Map::build(&topology(), &[]).unwrap()).keys);
}

#[test]
fn after_a_restart_without_its_key_a_zone_goes_on_from_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let pair = key_pair();
    let begin = |pairs: Vec<KeyPair>| {
        start(Start {
            key: pair.public(),
            pairs,
            store: Some(directory.path()),
            clock: Clock::real(),
            plan: Some(plan_of(1, &[0, 1, 2, 3, 4])),
        })
    };
    begin(vec![pair.clone()]).shutdown();
    let director = begin(Vec::new());
    assert_eq!(servers_of(&director, &[pair.public()]).len(), 3);
    ask(&director, APEX, record_type::NSEC).verified(APEX, record_type::NSEC, &[pair.public()]);
    // What was never signed is stood in for.
    director.apply_plan(plan_of(2, &[0, 1, 3])).unwrap();
    let found = servers_of(&director, &[pair.public()]);
    assert!(!found.contains(&2) && found.len() < 3, "{found:?}");
    let error = director.signing().error.unwrap();
    assert!(error.contains("private key"), "{error}");
    // The key comes back.
    let keys = zone_signing(pair.public()).keys;
    director.set_keys(&name(APEX), keys, vec![pair.clone()]).unwrap();
    until("the whole set", || servers_of(&director, &[pair.public()]).len() == 3);
    director.shutdown();
    // Damaged files are made anew.
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        std::fs::write(path, bytes).unwrap();
    }
    let director = begin(vec![pair.clone()]);
    assert_eq!(servers_of(&director, &[pair.public()]).len(), 3);
}

#[test]
fn a_zone_without_key_and_store_is_not_answered_rather_than_unsigned() {
    let pair = key_pair();
    let director = start(Start {
        key: pair.public(),
        pairs: Vec::new(),
        store: None,
        clock: Clock::real(),
        plan: Some(plan_of(1, &[0, 1])),
    });
    assert_eq!(ask(&director, APEX, record_type::SOA).rcode, 5);
    assert_eq!(ask(&director, SERVICE, record_type::A).rcode, 5);
    let status = director.signing();
    assert!(!status.zones[0].is_served && status.zones[0].error.is_some());
    let map = Arc::new(Map::build(&topology(), &[]).unwrap());
    let reload = |pairs| Reload {
        topology: topology(),
        zones: vec![zone()],
        moving: Vec::new(),
        updates: walrus_director::UpdateSettings::default(),
        keys: Default::default(),
        digests: digests(&map),
        map: Arc::clone(&map),
        signing: vec![zone_signing(pair.public())],
        pairs,
        answer_sets_max: 100,
    };
    // It keeps nothing else from being reloaded.
    director.reload(reload(Vec::new()), || None).unwrap();
    assert_eq!(ask(&director, SERVICE, record_type::A).rcode, 5);
    director.reload(reload(vec![pair.clone()]), || None).unwrap();
    assert_eq!(servers_of(&director, &[pair.public()]).len(), 2);
    // A reload that could not sign what is signed changes nothing and says so.
    for (keys, lacks_it) in
        [(zone_signing(key_pair().public()).keys, true), (ZoneKeys::default(), false)]
    {
        let signing = vec![ZoneSigning { keys, ..zone_signing(pair.public()) }];
        let refused =
            director.reload(Reload { signing, ..reload(Vec::new()) }, || None).unwrap_err();
        let ReloadError::Signing { zone, source } = &refused else { panic!("{refused}") };
        assert_eq!((zone, matches!(source, SignError::NoKey { .. })), (&name(APEX), lacks_it));
        assert_eq!(servers_of(&director, &[pair.public()]).len(), 2);
    }
    // And unsigned again; it goes on so while it cannot be signed.
    let unsigned = Reload { signing: Vec::new(), ..reload(Vec::new()) };
    director.reload(unsigned, || None).unwrap();
    let is_unsigned = || {
        let answer = ask(&director, SERVICE, record_type::A);
        answer.rcode == 0 && answer.records.iter().all(|(of_type, _)| *of_type == record_type::A)
    };
    until("an unsigned answer", is_unsigned);
    let signing = vec![ZoneSigning { keys: ZoneKeys::default(), ..zone_signing(pair.public()) }];
    director.reload(Reload { signing, ..reload(Vec::new()) }, || None).unwrap();
    assert!(is_unsigned());
    let zone = director.signing().zones.remove(0);
    assert_eq!((zone.is_served, zone.is_unsigned), (false, true));
    assert!(zone.error.unwrap().contains("no key signs it"));
    // Its first keys are there.
    director.set_signing(zone_signing(pair.public()), vec![pair.clone()]).unwrap();
    until("a signed answer", || ask(&director, SERVICE, record_type::A).records.len() > 2);
    assert_eq!(servers_of(&director, &[pair.public()]).len(), 2);
}

#[test]
fn a_zone_whose_keys_are_not_known_is_refused_until_they_are() {
    let pair = key_pair();
    let topology = topology();
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let signing = ZoneSigning { keys: ZoneKeys::default(), ..zone_signing(pair.public()) };
    let director = Director::start(DirectorStart {
        dns: settings(&["127.0.0.1:0"], 1),
        topology,
        zones: vec![zone()],
        moving: Vec::new(),
        updates: walrus_director::UpdateSettings::default(),
        serials: Default::default(),
        keys: Default::default(),
        digests: digests(&map),
        map,
        plan: Some(plan_of(1, &[0, 1])),
        signing: SigningStart { zones: vec![signing], ..SigningStart::default() },
        seed: 1,
        clock: Clock::real(),
    })
    .unwrap();
    for asked in [APEX, SERVICE, "nothing.walrus.example"] {
        assert_eq!(ask(&director, asked, record_type::A).rcode, 5, "{asked}");
    }
    let zone = director.signing().zones.remove(0);
    assert_eq!((zone.is_served, zone.is_unsigned), (false, false));
    assert!(zone.error.unwrap().contains("no key signs it"));
    director.set_signing(zone_signing(pair.public()), vec![pair.clone()]).unwrap();
    until("a signed answer", || ask(&director, SERVICE, record_type::A).records.len() > 2);
    assert_eq!(servers_of(&director, &[pair.public()]).len(), 2);
}

#[test]
fn another_key_takes_over_everything_at_once() {
    let (old, new) = (key_pair(), key_pair());
    let director = start(Start {
        key: old.public(),
        pairs: vec![old.clone()],
        store: None,
        clock: Clock::real(),
        plan: Some(plan_of(1, &[0, 1, 2])),
    });
    let mut keys = zone_signing(new.public()).keys;
    keys.published.push(old.public().clone());
    let refused = director.set_keys(&name(APEX), keys.clone(), Vec::new()).unwrap_err();
    assert!(matches!(refused, ReloadError::Signing { .. }), "{refused}");
    assert_eq!(servers_of(&director, &[old.public()]).len(), 3);
    director.set_keys(&name(APEX), keys.clone(), vec![new.clone()]).unwrap();
    until("the new key", || {
        let answer = ask(&director, SERVICE, record_type::A);
        answer.verified(SERVICE, record_type::A, &[old.public(), new.public()]);
        let rrsig = answer.records.iter().find(|(of_type, _)| *of_type == record_type::RRSIG);
        rrsig.unwrap().1[16..18] == new.public().tag().to_be_bytes()
    });
    ask(&director, APEX, record_type::NSEC).verified(APEX, record_type::NSEC, &[new.public()]);
    let refused = director.set_keys(&name("example"), keys, Vec::new()).unwrap_err();
    assert!(matches!(refused, ReloadError::NotSigned(_)), "{refused}");
}

#[test]
fn signatures_are_renewed_as_time_passes() {
    let pair = key_pair();
    let (clock, hand) = Clock::manual();
    let director = start(Start {
        key: pair.public(),
        pairs: vec![pair.clone()],
        store: None,
        clock,
        plan: Some(plan_of(1, &[0, 1, 2])),
    });
    let expiries = || {
        [(SERVICE, record_type::A), (APEX, record_type::NSEC)].map(|(owner, of_type)| {
            let answer = ask(&director, owner, of_type);
            answer.verified(owner, of_type, &[pair.public()]);
            answer.validity().expiry
        })
    };
    let before = expiries();
    hand.advance_to(Time::from_secs(8 * 86_400));
    until("new signatures", || expiries().iter().zip(&before).all(|(new, old)| new > old));
}

#[test]
fn a_clock_that_was_set_is_told_of_and_followed_when_it_has_stood() {
    const DAY: i64 = 86_400;
    for ahead in [-100 * DAY, 100 * DAY] {
        let pair = key_pair();
        let (clock, hand) = Clock::manual();
        let wall = clock.clone();
        let director = start(Start {
            key: pair.public(),
            pairs: vec![pair.clone()],
            store: None,
            clock,
            plan: Some(plan_of(1, &[0, 1, 2])),
        });
        let answered = || {
            [(SERVICE, record_type::A), (APEX, record_type::NSEC)].map(|(owner, of_type)| {
                let answer = ask(&director, owner, of_type);
                answer.verified(owner, of_type, &[pair.public()]);
                answer.validity()
            })
        };
        let before = answered();
        hand.set_wall_ahead(ahead);
        until("word of the jump", || director.signing().clock.is_some());
        assert_eq!(answered(), before, "perhaps it is a mistake");
        hand.advance_to(Time::ZERO + CONFIRM);
        until("signatures of the new time", || {
            let now = (wall.unix_ms() / 1000) as u32;
            let week = 7 * DAY as u32;
            let is_of_now = |it: &Validity| {
                it.inception <= now && (now + week..now + 4 * week).contains(&it.expiry)
            };
            answered().iter().all(is_of_now)
        });
        assert_eq!(director.signing().clock, None);
        let now = wall.unix_ms() / 1000;
        let status = director.signing();
        for first in [status.first_expiry, status.zones[0].first_expiry] {
            assert!(first.is_some_and(|at| at > now && at < now + 22 * 86_400), "{status:?}");
        }
    }
}
