//! Updates that a running Director's keeper takes together: what comes again, what is too much at once, and what is
//! no longer remembered.

use tokio::sync::oneshot::{self, Receiver};
use walrus_core::answer::Transport;
use walrus_core::config::TsigAlgorithm;
use walrus_core::dynamic::UpdateRule;
use walrus_core::map::Map;
use walrus_core::world::Topology;
use walrus_core::zone::read_zone;
use walrus_host::clock::Clock;

use super::*;
use crate::fixture::{digests, settings, topology};
use crate::signing::SigningStart;
use crate::start::{Director, DirectorStart};
use crate::tsig::{ReplyRefused, ReplyVerifier, SharedKey};
use crate::zones::MovingZone;

/// Where a manual clock stands.
const NOW: u64 = 1_767_225_600;

fn apex() -> DomainName {
    "walrus.example".parse().unwrap()
}

fn key() -> SharedKey {
    SharedKey::new("k".parse().unwrap(), TsigAlgorithm::HmacSha256, b"secret")
}

fn start(state: &std::path::Path, records: &str) -> DirectorHandle {
    let text = format!("@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns.example.net.\n{records}");
    let zone = Arc::new(read_zone("zone", text.as_bytes(), &apex()).unwrap().zone);
    let topology = Arc::new(Topology { services: Vec::new(), ..Topology::clone(&topology()) });
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let rules = UpdateRules(vec![UpdateRule::default()]);
    let rules = [("k".parse().unwrap(), rules)].into();
    let updated = UpdatedZone { apex: apex(), rules, text: Vec::new() };
    let director = Director::start(DirectorStart {
        dns: settings(&["127.0.0.1:0"], 1),
        topology,
        zones: vec![Arc::clone(&zone)],
        moving: vec![MovingZone { apex: apex(), content: Some(zone) }],
        serials: BTreeMap::new(),
        updates: UpdateSettings {
            zones: vec![updated],
            state: state.to_owned(),
            zone_memory_max: 1 << 30,
        },
        keys: [key()].into_iter().collect(),
        digests: digests(&map),
        plan: None,
        map,
        signing: SigningStart::default(),
        seed: 1,
        clock: Clock::manual().0,
    });
    director.unwrap()
}

/// A signed message that adds a text at each of these labels.
fn update(number: u16, labels: &[String], signed_at: u64) -> (Vec<u8>, ReplyVerifier) {
    let mut message = [number.to_be_bytes(), [0x28, 0], [0, 1], [0, 0]].concat();
    message.extend_from_slice(&(labels.len() as u16).to_be_bytes());
    message.extend_from_slice(&[0, 0]);
    message.extend_from_slice(apex().as_wire());
    message.extend_from_slice(&[0, 6, 0, 1]);
    for label in labels {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
        message.extend_from_slice(apex().as_wire());
        message.extend_from_slice(&[0, 16, 0, 1, 0, 0, 0, 30, 0, 2, 1, b'x']);
    }
    let verifier = key().sign_request(&mut message, signed_at);
    (message, verifier)
}

fn handed(message: &[u8]) -> (HandedOver, Receiver<Vec<u8>>) {
    let (sender, reply) = oneshot::channel();
    let (client, local) = (([127, 0, 0, 1], 53).into(), ([127, 0, 0, 2], 53).into());
    let (message, transport) = (message.to_vec(), Transport::Tcp);
    let back = Back::Stream(sender);
    (HandedOver { message, client, local, transport, back, signed: None }, reply)
}

/// Takes messages together: the code of each reply, whose signature must be right.
fn take(director: &DirectorHandle, messages: &[&(Vec<u8>, ReplyVerifier)]) -> Vec<u8> {
    let (handed, replies): (Vec<_>, Vec<_>) =
        messages.iter().map(|(message, _)| handed(message)).unzip();
    director.updates().take(director, handed);
    let codes = replies.into_iter().zip(messages).map(|(mut reply, (message, _))| {
        let reply = reply.try_recv().unwrap();
        assert_eq!(reply[..2], message[..2]);
        reply[3] & 15
    });
    codes.collect()
}

#[test]
fn what_comes_again_in_one_batch_is_done_once_and_each_is_told() {
    let state = tempfile::tempdir().unwrap();
    let director = start(state.path(), "");
    let one = update(1, &["a".to_owned()], NOW);
    let other = update(2, &["b".to_owned()], NOW);
    assert_eq!(take(&director, &[&one, &other, &one, &one]), [0; 4]);
    assert_eq!(director.updates().status()[0].changes, 2);
    assert_eq!(take(&director, &[&one, &other]), [0; 2], "and later");
    assert_eq!(director.updates().status()[0].changes, 2);
    let count = director.updates().counts.snapshot();
    assert_eq!((count.done, count.unchanged), (2, 4));
    director.shutdown();
}

#[test]
fn what_is_much_is_not_all_held_at_once() {
    let state = tempfile::tempdir().unwrap();
    let (sets, records): (Vec<_>, String) = (0..60)
        .map(|set| {
            let label = format!("big{set}");
            let text = (0..200).map(|it| format!("{label} 60 TXT \"{it:0>250}\"\n"));
            (label.clone(), text.collect::<String>())
        })
        .unzip();
    let director = start(state.path(), &records);
    let generation = || director.inner().current.load().generation;
    let before = generation();
    // A record with another TTL gives it to its set: 2 x 200 records of 280 bytes for each of 15 sets, which are held, too.
    let messages: Vec<_> =
        (1..).zip(sets.chunks(15)).map(|(number, sets)| update(number, sets, NOW)).collect();
    assert_eq!(take(&director, &messages.iter().collect::<Vec<_>>()), [0; 4]);
    assert_eq!(director.updates().counts.snapshot().done, 4);
    assert_eq!(generation(), before + 2, "two make 4 MiB");
    director.shutdown();
}

/// RFC 8945 section 5.2.3: BADTIME, signed.
#[test]
fn what_may_have_been_forgotten_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let director = start(state.path(), "");
    let keys = director.inner().keys.load_full();
    let recorded = update(1, &["a".to_owned()], NOW - 10);
    assert_eq!(take(&director, &[&recorded]), [0]);
    // So many that what was first is not remembered.
    for number in 0..=4096 {
        let (message, _) = update(number, &[], NOW);
        let signer = keys.look(&message, NOW).unwrap().unwrap().signer;
        director.updates().repeats.keep(&signer, 0, NOW);
    }
    let old = update(2, &["b".to_owned()], NOW - 9);
    for (message, mut verifier) in [recorded, old] {
        let (handed, mut reply) = handed(&message);
        director.updates().take(&director, vec![handed]);
        let mut reply = reply.try_recv().unwrap();
        assert_eq!(reply[3] & 15, 9, "NOTAUTH");
        let told = verifier.verify(&mut reply, NOW);
        assert!(matches!(told, Err(ReplyRefused::ClockDiffers { .. })), "{told:?}");
    }
    assert_eq!(director.updates().status()[0].changes, 1);
    director.shutdown();
}
