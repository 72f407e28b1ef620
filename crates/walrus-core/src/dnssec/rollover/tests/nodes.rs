//! A signer and a node that follows it, in virtual time, through the serialised form of what they send.

use std::collections::BTreeSet;

use super::super::{
    AtParent, KeyRole, KeysHeld, NotFollowed, Rollover, RolloverEffect, Stage, ZoneKeyState,
};
use super::system::settings;
use crate::dnssec::{DnsKey, FLAG_SEP, FLAG_ZONE};
use crate::world::Name;

const NOW: u64 = 1_000_000;
const TTL: u64 = 3600;

struct Two {
    signer: Rollover,
    follower: Rollover,
    names: [Name; 2],
    /// Private keys on the follower.
    brought: BTreeSet<DnsKey>,
    /// Generation that the follower serves.
    served: u64,
    made: u8,
}

impl Two {
    fn new() -> Self {
        let names: [Name; 2] = ["ns1".parse().unwrap(), "ns2".parse().unwrap()];
        let machine =
            || Rollover::new(settings(&names), ZoneKeyState::empty("example.com".parse().unwrap()));
        let (mut signer, follower) = (machine(), machine());
        signer.note_ttls(NOW, TTL as u32, TTL as u32);
        Self { signer, follower, names, brought: BTreeSet::new(), served: 0, made: 0 }
    }

    /// The signer's own node holds all and serves at once.
    fn signer_goes_on(&mut self, now: u64) {
        for _ in 0..4 {
            let held = self.signer.state().keys.iter().map(|entry| entry.key.clone()).collect();
            let generation = self.signer.state().generation;
            let said = super::super::Acknowledged { held, generation };
            self.signer.acknowledge(&self.names[0], said);
            for effect in self.signer.advance(now) {
                let RolloverEffect::Generate { role, algorithm } = effect else { continue };
                self.made += 1;
                let public = vec![self.made; algorithm.public_len()];
                let flags = FLAG_ZONE | if role.is_entry_point() { FLAG_SEP } else { 0 };
                let key = DnsKey::new(flags, algorithm, &public).unwrap();
                self.signer.take_key(now, key, role).unwrap();
            }
        }
    }

    /// What the follower sends and is answered, as bytes.
    fn talk(&mut self, now: u64) -> Result<(), NotFollowed> {
        let held = KeysHeld {
            zone: self.follower.state().zone.clone(),
            held: self.brought.clone(),
            generation: self.served,
        };
        let sent = serde_json::to_vec(&held).unwrap();
        let held: KeysHeld = serde_json::from_slice(&sent).unwrap();
        self.signer.acknowledge(&self.names[1], held.into());
        self.signer_goes_on(now);
        let answer = serde_json::to_vec(self.signer.state()).unwrap();
        let told = serde_json::from_slice(&answer).unwrap();
        let brought = &self.brought;
        self.follower.follow(told, |key| brought.contains(key))?;
        self.served = self.follower.state().generation;
        Ok(())
    }

    fn bring_all(&mut self) {
        let keys = self.signer.state().keys.iter();
        self.brought.extend(keys.map(|entry| entry.key.clone()));
    }

    fn report(&self, now: u64) -> Vec<(Stage, String)> {
        let report = self.signer.report(now);
        report.into_iter().map(|key| (key.stage, key.next)).collect()
    }
}

#[test]
fn nothing_begins_before_every_node_holds_it_and_nothing_ends_before_every_node_serves_it() {
    let mut two = Two::new();
    two.signer_goes_on(NOW);
    two.talk(NOW).unwrap();
    let waits = (Stage::Made, "waits until ns2 holds its private key".to_owned());
    assert_eq!(two.report(NOW), [waits]);
    assert!(two.signer.keys().published.is_empty());

    two.bring_all();
    two.talk(NOW + 10).unwrap();
    assert_eq!(two.report(NOW + 10)[0].1, "waits until ns2 serves the change");
    assert_eq!(two.follower.keys(), two.signer.keys());
    two.talk(NOW + 20).unwrap();
    // The TTL counts from the moment in which the last node said so.
    assert_eq!(two.signer.report(NOW + 20)[0].until, Some(NOW + 20 + TTL));

    // A roll-over: the new key is brought late.
    let first = two.signer.state().keys[0].key.tag();
    two.signer.retire(NOW + 30, first).unwrap();
    two.signer_goes_on(NOW + 30);
    two.talk(NOW + 30).unwrap();
    let later = NOW + 1_000 * TTL;
    two.talk(later).unwrap();
    assert_eq!(two.report(later)[1].1, "waits until ns2 holds its private key");
    assert_eq!(two.follower.keys().sign_zone.len(), 1);
    two.bring_all();
    two.talk(later).unwrap();
    two.talk(later).unwrap();
    two.talk(later + TTL - 1).unwrap();
    assert_eq!(two.signer.keys().sign_zone[0].tag(), first, "caches may lack the new one");
    two.talk(later + TTL).unwrap();
    two.talk(later + TTL).unwrap();
    assert_ne!(two.signer.keys().sign_zone[0].tag(), first);
    assert_eq!(two.follower.keys(), two.signer.keys());
    assert!(two.signer.is_followed_by(&two.names[1]));
}

#[test]
fn a_node_that_lacks_a_key_that_signs_serves_what_it_served() {
    let mut two = Two::new();
    two.signer_goes_on(NOW);
    two.bring_all();
    for _ in 0..3 {
        two.talk(NOW).unwrap();
    }
    let before = two.follower.keys();
    two.signer.retire(NOW, before.sign_zone[0].tag()).unwrap();
    two.signer_goes_on(NOW);
    two.bring_all();
    two.talk(NOW).unwrap();
    two.talk(NOW).unwrap();
    let served = two.follower.keys();
    // Its disk is lost after the signer heard that it has the key.
    two.brought.clear();
    two.signer_goes_on(NOW + TTL);
    let tag = served.sign_zone[0].tag();
    let lacks = two.talk(NOW + TTL).unwrap_err();
    assert!(matches!(lacks, NotFollowed::Lacks(_)), "{lacks}");
    assert_eq!(two.follower.keys(), served);
    assert_eq!(two.signer.keys().sign_zone[0].tag(), tag, "nobody moves on without it");
    assert!(!two.signer.is_followed_by(&two.names[1]) || two.signer.keys() == served);
}

#[test]
fn a_signer_that_lost_its_past_is_not_followed() {
    let mut two = Two::new();
    two.signer_goes_on(NOW);
    two.bring_all();
    for _ in 0..3 {
        two.talk(NOW).unwrap();
    }
    let generation = two.served;
    let served = two.follower.keys();
    let lost = ZoneKeyState::empty("example.com".parse().unwrap());
    two.signer = Rollover::new(settings(&two.names), lost);
    two.signer.note_ttls(NOW, TTL as u32, TTL as u32);
    two.signer_goes_on(NOW);
    let other = NotFollowed::OtherPast { told: 0, here: generation };
    assert_eq!(two.talk(NOW), Err(other));
    // Nor does a generation of the other past count for one of the new.
    two.bring_all();
    let _ = two.talk(NOW);
    assert!(!two.signer.is_followed_by(&two.names[1]));
    assert_eq!(two.follower.keys(), served);
    assert_eq!(
        two.follower.follow(ZoneKeyState::empty("example.org".parse().unwrap()), |_| true),
        Err(NotFollowed::OtherZone)
    );
}

#[test]
fn a_node_that_becomes_the_signer_goes_on_where_the_other_was() {
    let mut two = Two::new();
    two.signer_goes_on(NOW);
    two.bring_all();
    for _ in 0..3 {
        two.talk(NOW).unwrap();
    }
    two.names.swap(0, 1);
    std::mem::swap(&mut two.signer, &mut two.follower);
    let now = NOW + 10 * TTL;
    two.talk(now).unwrap();
    let report = two.signer.report(now);
    assert_eq!((report[0].role, report[0].stage), (KeyRole::Csk, Stage::WaitingForParent));
    assert_eq!(report[0].ds, AtParent::Unknown);
    assert_eq!(two.made, 1);
}

#[test]
fn nodes_agree_on_the_serial_and_on_since_when_cds_records_are_as_they_are() {
    let mut two = Two::new();
    two.signer_goes_on(NOW);
    two.bring_all();
    let mut before = (0, 0);
    for now in (NOW..).step_by(TTL as usize).take(6) {
        two.talk(now).unwrap();
        two.talk(now).unwrap();
        let keys = two.follower.keys();
        assert_eq!(keys, two.signer.keys());
        assert!((keys.wanted_since, keys.changes) >= before, "{keys:?}");
        before = (keys.wanted_since, keys.changes);
    }
    assert!(before.0 >= NOW + TTL && before.1 >= 2, "{before:?}");
    // The signer's clock is set, and with it all that its state names: no other past.
    two.signer.clock_jumped(-500);
    two.talk(NOW + 6 * TTL - 500).unwrap();
    assert_eq!(two.follower.keys().wanted_since, before.0 - 500);
    assert_eq!(two.follower.keys(), two.signer.keys());
}

#[test]
fn a_longer_ttl_of_before_is_forgotten_in_time() {
    let mut two = Two::new();
    two.signer_goes_on(NOW);
    two.bring_all();
    two.talk(NOW).unwrap();
    two.signer.note_ttls(NOW + 10, 60, 60);
    // It may be in caches as long as it was.
    let looks: Vec<u64> = std::iter::successors(Some(NOW + 10), |now| two.signer.next_look(*now))
        .skip(1)
        .take_while(|now| *now <= NOW + 10 + TTL)
        .collect();
    assert_eq!(looks.last(), Some(&(NOW + 10 + TTL)));
    for now in looks {
        two.talk(now).unwrap();
    }
    assert_eq!((two.signer.state().zone_ttl.ttl, two.signer.state().dnskey_ttl.ttl), (60, 60));
}
