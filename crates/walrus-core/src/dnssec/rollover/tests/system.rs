//! Nodes, a parent and caches around the machine, second by second, with chance from a seed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::{
    Acknowledged, KeyRole, KeysHeld, NotFollowed, ParentView, Rollover, RolloverEffect,
    RolloverSettings, ZoneKeyState,
};
use super::resolvers::{Served, refusal};
use crate::dnssec::{Algorithm, DnsKey, FLAG_SEP, FLAG_ZONE, ZoneKeys};
use crate::world::{Generator, Name};

/// What happens by chance, from a seed.
#[derive(Clone, Debug)]
pub(super) struct Chance(Generator);

impl Chance {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0.draw() % end.max(1)
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// TTLs in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ttls {
    pub(super) zone: u32,
    pub(super) dnskey: u32,
    pub(super) ds: u32,
}

#[derive(Debug)]
pub(super) struct System {
    pub(super) now: u64,
    pub(super) rollover: Rollover,
    pub(super) chance: Chance,
    pub(super) ttls: Ttls,
    /// How many seconds anything may lag.
    pub(super) lag: u64,
    pub(super) nodes: Vec<Name>,
    /// The zone's records, by the keys that sign them.
    pub(super) zone: Served<ZoneKeys>,
    /// Its DNSKEY set.
    pub(super) dnskey: Served<ZoneKeys>,
    /// Its CDS set, and when its signatures begin.
    pub(super) cds: Served<(u64, BTreeSet<DnsKey>)>,
    pub(super) parent: Served<BTreeSet<DnsKey>>,
    /// The nodes that follow the first, which is the signer.
    followers: Vec<Follower>,
    /// What the parent's servers go over to.
    target: BTreeSet<DnsKey>,
    /// When the signatures of the CDS set began that it was read from.
    target_of: u64,
    parent_servers: usize,
    made: u8,
}

/// A node that asks the signer what to serve.
#[derive(Debug)]
struct Follower {
    rollover: Rollover,
    /// Private keys that were brought to it.
    held: BTreeSet<DnsKey>,
    /// The generation that it serves.
    served: u64,
}

pub(super) const START: u64 = 1_000_000;

pub(super) fn settings(nodes: &[Name]) -> RolloverSettings {
    RolloverSettings {
        algorithm: Algorithm::EcdsaP256Sha256,
        roles: vec![KeyRole::Csk],
        roll_ksk_every: None,
        roll_zsk_every: None,
        margin: Duration::ZERO,
        nodes: nodes.iter().cloned().collect(),
    }
}

impl System {
    pub(super) fn new(seed: u64, ttls: Ttls, nodes: usize, parent_servers: usize) -> Self {
        let nodes: Vec<Name> = (0..nodes).map(|n| format!("ns{n}").parse().unwrap()).collect();
        let state = ZoneKeyState::empty("example.com".parse().unwrap());
        let machine = Rollover::new(settings(&nodes), state);
        let follower = |_: &Name| {
            let rollover = machine.clone();
            Follower { rollover, held: BTreeSet::new(), served: 0 }
        };
        let followers = nodes.iter().skip(1).map(follower).collect();
        let mut system = Self {
            now: START,
            rollover: machine,
            chance: Chance(Generator::new(seed)),
            ttls,
            lag: 20,
            zone: Served::default(),
            dnskey: Served::default(),
            cds: Served::default(),
            parent: Served::default(),
            followers,
            nodes,
            target: BTreeSet::new(),
            target_of: 0,
            parent_servers,
            made: 0,
        };
        for node in 0..system.nodes.len() {
            system.zone.set(node, ZoneKeys::default());
            system.dnskey.set(node, ZoneKeys::default());
            system.cds.set(node, (0, BTreeSet::new()));
        }
        for server in 0..parent_servers {
            system.parent.set(server, BTreeSet::new());
        }
        system
    }

    /// A key that the test can tell from others: its public part is its number.
    pub(super) fn make(&mut self, role: KeyRole, algorithm: Algorithm) -> DnsKey {
        self.made += 1;
        let flags = FLAG_ZONE | if role.is_entry_point() { FLAG_SEP } else { 0 };
        DnsKey::new(flags, algorithm, &vec![self.made; algorithm.public_len()]).unwrap()
    }

    /// One second: everybody may do something. What caches may hold after it is checked.
    pub(super) fn second(&mut self) {
        self.now += 1;
        self.rollover.note_ttls(self.now, self.ttls.zone, self.ttls.dnskey);
        for node in 0..self.nodes.len() {
            if self.chance.one_in(self.lag) {
                self.node_catches_up(node);
            }
        }
        self.parent_acts();
        if self.chance.one_in(self.lag) {
            self.parent_is_asked();
        }
        self.advance();
        self.check();
    }

    /// One second in which all nodes catch up and the parent is asked, but does nothing.
    pub(super) fn quiet_second(&mut self) {
        self.now += 1;
        self.rollover.note_ttls(self.now, self.ttls.zone, self.ttls.dnskey);
        for node in 0..self.nodes.len() {
            self.node_catches_up(node);
        }
        self.parent_is_asked();
        self.advance();
        self.check();
    }

    /// Until nothing waits any more but the parent and time.
    pub(super) fn advance(&mut self) {
        for effect in self.rollover.advance(self.now) {
            if let RolloverEffect::Generate { role, algorithm } = effect {
                let key = self.make(role, algorithm);
                self.rollover.take_key(self.now, key, role).unwrap();
            }
        }
    }

    /// Of any of the nodes.
    pub(super) fn restart(&mut self) {
        let node = self.chance.below(self.nodes.len() as u64) as usize;
        let rollover = match node.checked_sub(1) {
            None => &mut self.rollover,
            Some(follower) => &mut self.followers[follower].rollover,
        };
        let state = ZoneKeyState::from_json(&rollover.state().to_json()).unwrap();
        assert_eq!(&state, rollover.state());
        *rollover = Rollover::new(rollover.settings().clone(), state);
        let keys = rollover.keys();
        if let Some(follower) = node.checked_sub(1) {
            self.followers[follower].served = 0;
        }
        self.serve(node, &keys);
    }

    /// The node goes on: the signer holds all keys, and serves what they do; another one gets keys
    /// now and then, and serves what the signer says.
    pub(super) fn node_catches_up(&mut self, node: usize) {
        match node.checked_sub(1) {
            None => {
                let keys = self.rollover.state().keys.iter();
                let held = keys.map(|entry| entry.key.clone()).collect();
                let generation = self.rollover.state().generation;
                let keys = self.rollover.keys();
                self.serve(node, &keys);
                self.rollover.acknowledge(&self.nodes[node], Acknowledged { held, generation });
            }
            Some(follower) => self.follower_asks(follower),
        }
    }

    /// A node brings what it has to the signer, hears where the keys stand, and serves them so. That
    /// it does, it says when it asks next.
    fn follower_asks(&mut self, index: usize) {
        let is_brought = self.chance.one_in(2);
        let Follower { rollover, held, served } = &mut self.followers[index];
        if is_brought {
            held.extend(self.rollover.state().keys.iter().map(|entry| entry.key.clone()));
        }
        let zone = rollover.state().zone.clone();
        let said = KeysHeld { zone, held: held.clone(), generation: *served };
        self.rollover.acknowledge(&self.nodes[index + 1], said.into());
        match rollover.follow(self.rollover.state().clone(), |key| held.contains(key)) {
            Ok(()) => *served = rollover.state().generation,
            // The first keys are used by the signer when all hold them: never later ones.
            Err(NotFollowed::Lacks(_)) if *served == 0 => {}
            Err(error) => panic!("the signer is not followed: {error}\n{}", self.keys_text()),
        }
        let keys = rollover.keys();
        self.serve(index + 1, &keys);
    }

    fn serve(&mut self, node: usize, keys: &ZoneKeys) {
        let wanted = keys.wanted_at_parent.iter().cloned().collect();
        self.cds.set(node, (keys.wanted_since, wanted));
        // What is the same for resolvers is one thing in caches.
        let seen = ZoneKeys { wanted_since: 0, changes: 0, ..keys.clone() };
        self.zone.set(node, seen.clone());
        self.dnskey.set(node, seen);
    }

    fn parent_acts(&mut self) {
        if self.chance.one_in(self.lag * 3) {
            self.parent_reads_cds();
        }
        if self.parent.all_now().all(BTreeSet::is_empty) {
            // Before it shows its first DS it looks whether CDS still want it (RFC 8078 3.3).
            let target = &self.target;
            if !self.cds.in_caches().any(|(_, wanted)| wanted == target) {
                self.target.clear();
            }
        }
        for server in 0..self.parent_servers {
            if self.chance.one_in(self.lag) {
                self.parent.set(server, self.target.clone());
            }
        }
    }

    /// As RFC 8078 section 4 says: what CDS wants, through a cache, unless nothing; and as RFC 7344
    /// section 6.2 says, only what is signed later than what it acts on already. How long it takes
    /// to act on it is up to chance.
    fn parent_reads_cds(&mut self) {
        let target_of = self.target_of;
        let read: Vec<_> = self.cds.in_caches().filter(|(of, _)| *of > target_of).collect();
        if read.is_empty() {
            return;
        }
        let (of, wanted) = read[self.chance.below(read.len() as u64) as usize].clone();
        // A parent ends one change before it begins another.
        let is_done = self.parent.all_now().all(|shown| *shown == self.target);
        if !wanted.is_empty() && is_done {
            (self.target_of, self.target) = (of, wanted);
        }
    }

    pub(super) fn parent_is_asked(&mut self) {
        let zone = self.rollover.state().zone.clone();
        let shown: Vec<&BTreeSet<DnsKey>> = self.parent.all_now().collect();
        let data = |keys: Vec<&DnsKey>| keys.iter().map(|key| key.ds_data(&zone)).collect();
        let any: BTreeSet<&DnsKey> = shown.iter().flat_map(|keys| keys.iter()).collect();
        let all = any.iter().copied().filter(|key| shown.iter().all(|keys| keys.contains(key)));
        let by_all = data(all.collect());
        let by_any = data(any.into_iter().collect());
        let view = ParentView { by_all, by_any, ttl: self.ttls.ds };
        self.rollover.parent_shows(self.now, &view);
    }

    /// Every mixture that a resolver may hold is valid.
    pub(super) fn check(&mut self) {
        let mut has_news = self.parent.ask(self.now, self.ttls.ds);
        has_news |= self.dnskey.ask(self.now, self.ttls.dnskey);
        has_news |= self.zone.ask(self.now, self.ttls.zone);
        self.cds.ask(self.now, self.ttls.dnskey);
        if !has_news {
            return;
        }
        for ds in self.parent.in_caches() {
            for dnskey in self.dnskey.in_caches() {
                for signed in self.zone.in_caches() {
                    if let Some(why) = refusal(ds, dnskey, signed) {
                        let shown = |keys: &ZoneKeys| {
                            format!(
                                "{} signed by {}",
                                names(&keys.published),
                                names(&keys.sign_zone)
                            )
                        };
                        panic!(
                            "at {}: {why}\nDS {}\nDNSKEY {}\nsigned {}\n{}",
                            self.now - START,
                            names(ds),
                            shown(dnskey),
                            shown(signed),
                            self.keys_text()
                        );
                    }
                }
            }
        }
    }
}

/// Keys by their numbers and algorithms: `1/13 2/15`.
pub(super) fn names<'a>(keys: impl IntoIterator<Item = &'a DnsKey>) -> String {
    let name = |key: &DnsKey| format!("{}/{}", key.public()[0], key.algorithm().number());
    let names: Vec<String> = keys.into_iter().map(name).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(" ") }
}

impl System {
    /// Where each key stands, a line each.
    pub(super) fn keys_text(&self) -> String {
        let mut text = format!("{:?}\n", self.ttls);
        for entry in &self.rollover.state().keys {
            text += &format!(
                "{} {} retired {:?} dnskey {:?} signatures {:?} ds {:?} cds {:?}\n",
                names([&entry.key]),
                entry.role,
                entry.retired,
                entry.dnskey,
                entry.signatures,
                entry.ds,
                entry.cds
            );
        }
        text
    }
}
