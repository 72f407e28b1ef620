//! Plans that come while answers are signed for something else.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use walrus_core::dnssec::{Algorithm, Denial, DnsKey, ValidityPolicy, ZoneKeys, ZoneSigning};
use walrus_core::map::Map;
use walrus_core::plan::Digests;
use walrus_core::zone::Zone;

use crate::director::{DirectorHandle, Reload};
use crate::fixture::{SERVICE, digests, plan, query, settings, topology, zone};
use crate::keys::KeyPair;
use crate::signing::SigningStart;
use crate::start::{Director, DirectorStart};

/// How long a Plan may take on a machine that is very busy.
const BOUND: Duration = Duration::from_secs(20);

/// More Plans than there are looks.
const PLANS_MAX: u64 = 100;

fn key_pair() -> KeyPair {
    KeyPair::generate(Algorithm::Ed25519, 0x0101).unwrap()
}

fn keys(key: &DnsKey) -> ZoneKeys {
    let keys = vec![key.clone()];
    let (sign_keys, sign_zone) = (keys.clone(), keys.clone());
    ZoneKeys { published: keys, sign_keys, sign_zone, ..ZoneKeys::default() }
}

fn signing(key: &DnsKey) -> ZoneSigning {
    let (denial, validity) = (Denial::Nsec, ValidityPolicy::default());
    let (apex, keys) = (zone().apex().clone(), keys(key));
    ZoneSigning { apex, keys, dnskey_ttl: 3600, denial, validity }
}

/// Signed with this key, or unsigned.
fn start(pair: Option<&KeyPair>) -> (DirectorHandle, Arc<Map>) {
    let topology = topology();
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let director = Director::start(DirectorStart {
        dns: settings(&["127.0.0.1:0"], 1),
        topology,
        zones: vec![zone()],
        moving: Vec::new(),
        updates: crate::UpdateSettings::default(),
        serials: Default::default(),
        keys: Default::default(),
        map: Arc::clone(&map),
        digests: digests(&map),
        plan: Some(plan(1, 1, &digests(&map))),
        signing: SigningStart {
            zones: pair.iter().map(|pair| signing(pair.public())).collect(),
            pairs: pair.into_iter().cloned().collect(),
            ..SigningStart::default()
        },
        seed: 1,
        clock: walrus_host::clock::Clock::real(),
    });
    (director.unwrap(), map)
}

/// The last number of each server's addresses in the Plan of this number.
fn last_of(sequence: u64) -> u8 {
    sequence as u8
}

/// From now on, whenever a table was looked at, another thread brings the next Plan, and the look
/// goes on when it is in force. What comes back counts the looks, and knows the last Plan.
fn plan_at_each_look(director: &DirectorHandle, map: &Map) -> (Arc<AtomicUsize>, Arc<Mutex<u64>>) {
    let (looks, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(1)));
    let (counted, brought) = (Arc::clone(&looks), Arc::clone(&last));
    let digests = digests(map);
    let on_look = move |director: &DirectorHandle| {
        counted.fetch_add(1, Ordering::SeqCst);
        let mut sequence = brought.lock().unwrap();
        if *sequence >= PLANS_MAX {
            return;
        }
        let next = plan(*sequence + 1, last_of(*sequence + 1), &digests);
        let (director, (done, waiting)) = (director.clone(), mpsc::channel());
        std::thread::spawn(move || {
            let applied = director.apply_plan(next);
            drop(director);
            let _ = done.send(applied);
        });
        let applied = waiting.recv_timeout(BOUND).expect("a Plan that does not wait");
        applied.unwrap();
        *sequence += 1;
    };
    assert!(director.inner().on_look.set(Box::new(on_look)).is_ok());
    (looks, last)
}

/// Asks for the service's address with DO.
fn ask(director: &DirectorHandle) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    let mut query = query(7, SERVICE, None);
    query[11] = 1;
    query.extend([0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
    socket.send_to(&query, director.addresses()[0]).unwrap();
    let mut reply = [0; 2048];
    let len = socket.recv(&mut reply).unwrap();
    reply[..len].to_vec()
}

/// Whether the answer is this Plan's, and signed by this key alone.
fn is_answered(director: &DirectorHandle, sequence: u64, key: &DnsKey) {
    let reply = ask(director);
    let contains = |bytes: &[u8]| reply.windows(bytes.len()).any(|window| window == bytes);
    let held = director.plan().unwrap().number.sequence;
    assert_eq!(held, sequence, "the Plan in force");
    assert!(contains(&[127, 0, 11, last_of(sequence)]), "not Plan {sequence}: {reply:?}");
    // The tag stands before the signer's name.
    let signer = [&key.tag().to_be_bytes(), zone().apex().as_wire()].concat();
    assert!(contains(&signer), "not signed by {}: {reply:?}", key.tag());
    let status = director.signing();
    assert_eq!((status.pending, status.error), (0, None));
}

#[test]
fn a_plan_never_waits_for_a_key_change_and_the_newest_is_in_force_afterwards() {
    let (old, new) = (key_pair(), key_pair());
    let (director, map) = start(Some(&old));
    is_answered(&director, 1, old.public());
    let (looks, last) = plan_at_each_look(&director, &map);
    let apex = zone().apex().clone();
    director.set_keys(&apex, keys(new.public()), vec![new.clone()]).unwrap();
    let sequence = *last.lock().unwrap();
    assert!(sequence > 1, "no Plan came meanwhile");
    // However many Plans come, it ends.
    assert!(looks.load(Ordering::SeqCst) < 40, "{looks:?} looks");
    is_answered(&director, sequence, new.public());
    let sequence = sequence.max(PLANS_MAX) + 1;
    director.apply_plan(plan(sequence, last_of(sequence), &digests(&map))).unwrap();
    is_answered(&director, sequence, new.public());
}

#[test]
fn a_zone_that_is_signed_for_the_first_time_has_its_services() {
    let pair = key_pair();
    let (director, map) = start(None);
    let (_, last) = plan_at_each_look(&director, &map);
    director.set_signing(signing(pair.public()), vec![pair.clone()]).unwrap();
    let sequence = *last.lock().unwrap();
    assert!(sequence > 1, "no Plan came meanwhile");
    is_answered(&director, sequence, pair.public());
}

/// Another configuration, for which all services are compiled anew, and a zone with one name more.
fn other(pair: &KeyPair, map: &Arc<Map>) -> Reload {
    let more = walrus_core::zone::RecordSet {
        record_type: walrus_dns::record_type::A,
        ttl: 60,
        data: vec![[192, 0, 2, 1].into()],
        signatures: Vec::new(),
    };
    let name = "more.walrus.example".parse().unwrap();
    let configuration = walrus_core::world::Digest::of([&b"other"[..]]);
    Reload {
        topology: topology(),
        zones: vec![Arc::new(Zone::clone(&zone()).with_sets([(name, more)]))],
        moving: Vec::new(),
        updates: crate::UpdateSettings::default(),
        keys: Default::default(),
        map: Arc::clone(map),
        digests: Digests { configuration, ..digests(map) },
        signing: vec![signing(pair.public())],
        pairs: Vec::new(),
        answer_sets_max: 100,
    }
}

#[test]
fn a_plan_never_waits_for_a_reload() {
    let pair = key_pair();
    let (director, map) = start(Some(&pair));
    let (_, last) = plan_at_each_look(&director, &map);
    director.reload(other(&pair, &map), || None).unwrap();
    let sequence = *last.lock().unwrap();
    assert!(sequence > 1, "no Plan came meanwhile");
    is_answered(&director, sequence, pair.public());
}

#[test]
fn the_plan_of_a_reload_takes_the_place_of_those_that_came_meanwhile() {
    let pair = key_pair();
    let (director, map) = start(Some(&pair));
    let (_, last) = plan_at_each_look(&director, &map);
    let reload = other(&pair, &map);
    let digests = reload.digests.clone();
    // Each time that it is asked for it is another one, as when servers die meanwhile.
    let asked = AtomicUsize::new(0);
    let ahead = || {
        let sequence = PLANS_MAX + 1 + asked.fetch_add(1, Ordering::SeqCst) as u64;
        Some(plan(sequence, last_of(sequence), &digests))
    };
    director.reload(reload, ahead).unwrap();
    assert!(*last.lock().unwrap() > 1, "no Plan came meanwhile");
    let sequence = PLANS_MAX + asked.load(Ordering::SeqCst) as u64;
    is_answered(&director, sequence, pair.public());
    let refused = director.apply_plan(plan(sequence + 1, 1, &Digests::default()));
    assert!(refused.is_err(), "made for what was there before");
    director.apply_plan(plan(sequence + 1, last_of(sequence + 1), &digests)).unwrap();
    is_answered(&director, sequence + 1, pair.public());
}

#[test]
fn a_table_that_was_signed_again_never_takes_the_place_of_a_newer_plan() {
    let pair = key_pair();
    let (director, map) = start(Some(&pair));
    let (_, last) = plan_at_each_look(&director, &map);
    director.publish_signed();
    let sequence = *last.lock().unwrap();
    assert!(sequence > 1, "no Plan came meanwhile");
    is_answered(&director, sequence, pair.public());
}
