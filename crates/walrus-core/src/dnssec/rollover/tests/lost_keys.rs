//! A private key that is gone: nothing changes that would have to be signed by it.

use std::collections::BTreeSet;

use super::super::{
    Acknowledged, KeyRole, Rollover, RolloverEffect, RolloverSettings, ZoneKeyState,
};
use super::system::{START, settings};
use crate::dnssec::{Algorithm, DnsKey, FLAG_SEP, FLAG_ZONE};
use crate::world::Name;

struct Node {
    name: Name,
    rollover: Rollover,
    held: BTreeSet<DnsKey>,
    now: u64,
    made: u8,
}

impl Node {
    fn new(roles: Vec<KeyRole>) -> Self {
        let name: Name = "ns".parse().unwrap();
        let settings = RolloverSettings { roles, ..settings(std::slice::from_ref(&name)) };
        let state = ZoneKeyState::empty("example.com".parse().unwrap());
        let mut rollover = Rollover::new(settings, state);
        rollover.note_ttls(START, 100, 100);
        Self { name, rollover, held: BTreeSet::new(), now: START, made: 0 }
    }

    /// Lets so much time pass, and serves at once whatever is to be served.
    fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        for _ in 0..8 {
            let generation = self.rollover.state().generation;
            let held = self.held.clone();
            self.rollover.acknowledge(&self.name, Acknowledged { held, generation });
            for effect in self.rollover.advance(self.now) {
                let RolloverEffect::Generate { role, .. } = effect else { continue };
                self.made += 1;
                let sep = if role.is_entry_point() { FLAG_SEP } else { 0 };
                let public = [self.made; 64];
                let key =
                    DnsKey::new(FLAG_ZONE | sep, Algorithm::EcdsaP256Sha256, &public).unwrap();
                self.held.insert(key.clone());
                self.rollover.take_key(self.now, key, role).unwrap();
            }
        }
    }
}

#[test]
fn a_lost_key_asks_the_parent_for_nothing_until_it_is_back() {
    let mut node = Node::new(vec![KeyRole::Csk]);
    node.pass(0);
    let keys = node.rollover.keys();
    assert_eq!((keys.sign_zone.len(), keys.wanted_at_parent.len()), (1, 0));
    let lost = std::mem::take(&mut node.held);
    node.pass(1000);
    // What is on the disk is signed like this.
    assert_eq!(node.rollover.keys(), keys);
    node.held = lost;
    node.pass(0);
    assert_eq!(node.rollover.keys().wanted_at_parent, keys.sign_zone);
}

#[test]
fn a_lost_key_that_signs_the_zone_is_replaced_while_the_other_is_there() {
    let mut node = Node::new(vec![KeyRole::Ksk, KeyRole::Zsk]);
    node.pass(0);
    node.pass(1000);
    let lost = node.rollover.keys().sign_zone[0].clone();
    node.held.remove(&lost);
    node.rollover.retire(node.now, lost.tag()).unwrap();
    for _ in 0..10 {
        node.pass(1000);
    }
    let keys = node.rollover.keys();
    assert!(!keys.sign_zone.contains(&lost) && keys.sign_zone.len() == 1, "{keys:?}");
    assert!(!keys.published.contains(&lost), "{keys:?}");
}
