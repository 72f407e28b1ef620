//! Each kind of roll-over step by step: times, what is published, who signs, what the parent is
//! asked for, and what each key waits for. Committed beside this file; `UPDATE=1` writes them anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::super::{
    Acknowledged, KeyRole, ParentView, Rollover, RolloverEffect, RolloverSettings, ZoneKeyState,
};
use super::system::names;
use crate::dnssec::{Algorithm, DnsKey, FLAG_SEP, FLAG_ZONE};
use crate::world::Name;

const START: u64 = 1_000_000;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// A node needs so long to serve a change, the parent's servers for a DS.
const NODE_LAG: u64 = MINUTE;
const PARENT_LAG: u64 = 2 * HOUR;

/// One zone on one node, its parent, and what was written down.
struct Play {
    now: u64,
    /// When the roll-over began.
    begun: u64,
    rollover: Rollover,
    node: Name,
    parent: BTreeSet<DnsKey>,
    /// What CDS asked for, and since when.
    asked: Option<(u64, BTreeSet<DnsKey>)>,
    /// The generation to be served, and since when.
    change: Option<(u64, u64)>,
    made: u8,
    text: String,
    last: String,
}

impl Play {
    fn new(roles: Vec<KeyRole>, algorithm: Algorithm) -> Self {
        let node: Name = "ns1".parse().unwrap();
        let settings = RolloverSettings {
            algorithm,
            roles,
            roll_ksk_every: None,
            roll_zsk_every: None,
            margin: Duration::from_secs(10 * MINUTE),
            nodes: [node.clone()].into(),
        };
        let state = ZoneKeyState::empty("example.com".parse().unwrap());
        let mut rollover = Rollover::new(settings, state);
        rollover.note_ttls(START, 4 * HOUR as u32, HOUR as u32);
        Self {
            now: START,
            begun: START,
            rollover,
            node,
            parent: BTreeSet::new(),
            asked: None,
            change: None,
            made: 0,
            text: "Key/algorithm. TTLs: zone 4 h, DNSKEY 1 h, DS 8 h; margin 10 min; the parent takes \
                   2 h.\n"
                .to_owned(),
            last: String::new(),
        }
    }

    fn change(&mut self, what: &str, change: impl FnOnce(&mut Rollover, u64)) {
        let _ = writeln!(self.text, "\n{what}");
        self.last = String::new();
        change(&mut self.rollover, self.now);
        self.run();
    }

    /// Minute by minute, until a day passes in which nothing happens.
    fn run(&mut self) {
        let mut quiet = 0;
        self.begun = self.now;
        while quiet < 24 * 60 {
            quiet += 1;
            self.minute();
            let shown = self.shown();
            if shown != self.last {
                let after = (self.now - self.begun) / MINUTE;
                let _ = write!(self.text, "{:3}:{:02}  {shown}", after / 60, after % 60);
                self.last = shown;
                quiet = 0;
            }
            self.now += MINUTE;
        }
    }

    fn minute(&mut self) {
        let state = self.rollover.state();
        let generation = state.generation;
        if self.change.is_none_or(|(of, _)| of != generation) {
            self.change = Some((generation, self.now));
        }
        let is_served = self.change.is_some_and(|(_, since)| self.now >= since + NODE_LAG);
        let held = state.keys.iter().map(|entry| entry.key.clone()).collect();
        let generation = if is_served { generation } else { generation.saturating_sub(1) };
        self.rollover.acknowledge(&self.node.clone(), Acknowledged { held, generation });

        let wanted: BTreeSet<DnsKey> = self.rollover.keys().wanted_at_parent.into_iter().collect();
        if self.asked.as_ref().is_none_or(|(_, asked)| *asked != wanted) {
            self.asked = Some((self.now, wanted));
        }
        if let Some((since, asked)) = &self.asked
            && !asked.is_empty()
            && self.now >= since + PARENT_LAG
        {
            self.parent.clone_from(asked);
        }
        let zone = self.rollover.state().zone.clone();
        let ds: Vec<Vec<u8>> = self.parent.iter().map(|key| key.ds_data(&zone)).collect();
        let view = ParentView { by_all: ds.clone(), by_any: ds, ttl: 8 * HOUR as u32 };
        self.rollover.parent_shows(self.now, &view);
        for effect in self.rollover.advance(self.now) {
            match effect {
                RolloverEffect::Generate { role, algorithm } => self.make(role, algorithm),
                RolloverEffect::Remove(key) => {
                    let _ = writeln!(self.text, "        key {} is removed", names([&key]));
                }
                RolloverEffect::Notice(_) => {}
            }
        }
    }

    fn make(&mut self, role: KeyRole, algorithm: Algorithm) {
        self.made += 1;
        let flags = FLAG_ZONE | if role.is_entry_point() { FLAG_SEP } else { 0 };
        let public = vec![self.made; algorithm.public_len()];
        let key = DnsKey::new(flags, algorithm, &public).unwrap();
        let _ = writeln!(self.text, "        key {} is made ({role})", names([&key]));
        self.rollover.take_key(self.now, key, role).unwrap();
    }

    /// What everybody sees, and a line for each key.
    fn shown(&self) -> String {
        let keys = self.rollover.keys();
        let mut text = format!(
            "DNSKEY {} (signed by {}); zone signed by {}; CDS {}; DS {}\n",
            names(&keys.published),
            names(&keys.sign_keys),
            names(&keys.sign_zone),
            names(&keys.wanted_at_parent),
            names(&self.parent)
        );
        for key in self.rollover.report(self.now) {
            let until = key.until.map(|at| {
                let minutes = at.saturating_sub(self.begun) / MINUTE;
                format!(", until {}:{:02}", minutes / 60, minutes % 60)
            });
            let (stage, until) = (key.stage, until.unwrap_or_default());
            let name = names([&key.key]);
            let _ = writeln!(text, "        {name} {} {stage:?}: {}{until}", key.role, key.next);
        }
        text
    }

    fn retire(&mut self, role: KeyRole) {
        let of_role = |entry: &&super::super::KeyEntry| entry.role == role;
        let tag = self.rollover.state().keys.iter().find(of_role).unwrap().key.tag();
        let what = format!("The {role} is retired.");
        self.change(&what, |rollover, now| rollover.retire(now, tag).unwrap());
    }

    fn reconfigure(&mut self, what: &str, change: impl FnOnce(&mut RolloverSettings)) {
        let mut settings = self.rollover.settings().clone();
        change(&mut settings);
        self.change(what, |rollover, _| rollover.reconfigure(settings));
    }
}

#[expect(clippy::disallowed_methods, reason = "a test may read and write its transcripts")]
fn check(name: &str, play: &Play) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/dnssec/rollover/tests/transcripts");
    let path = format!("{folder}/{name}.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &play.text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(play.text, committed, "{name}: if this is right, run with UPDATE=1");
}

const OLD: Algorithm = Algorithm::EcdsaP256Sha256;

fn separate() -> Vec<KeyRole> {
    vec![KeyRole::Ksk, KeyRole::Zsk]
}

#[test]
fn csk() {
    let mut play = Play::new(vec![KeyRole::Csk], OLD);
    play.change("A new zone.", |_, _| {});
    play.retire(KeyRole::Csk);
    check("csk", &play);
}

#[test]
fn ksk() {
    let mut play = Play::new(separate(), OLD);
    play.change("A new zone.", |_, _| {});
    play.retire(KeyRole::Ksk);
    check("ksk", &play);
}

#[test]
fn zsk() {
    let mut play = Play::new(separate(), OLD);
    play.change("A new zone.", |_, _| {});
    play.retire(KeyRole::Zsk);
    check("zsk", &play);
}

#[test]
fn algorithm() {
    let mut play = Play::new(vec![KeyRole::Csk], OLD);
    play.change("A new zone.", |_, _| {});
    play.reconfigure("Another algorithm.", |it| it.algorithm = Algorithm::Ed25519);
    check("algorithm", &play);
}

#[test]
fn layout() {
    let mut play = Play::new(vec![KeyRole::Csk], OLD);
    play.change("A new zone.", |_, _| {});
    play.reconfigure("A KSK and a ZSK instead of a CSK.", |it| it.roles = separate());
    play.reconfigure("And back.", |it| it.roles = vec![KeyRole::Csk]);
    check("layout", &play);
}
