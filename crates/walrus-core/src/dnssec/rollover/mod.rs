//! Key roll-overs: when a key is made, published, begins and ceases to sign, and is removed.
//!
//! **Problem.** Resolvers hold DS, DNSKEY and signed record sets in caches of their own, each up to
//! its TTL, so a zone's keys may only change in steps such that every mixture of old and new that a
//! resolver can hold is valid.
//!
//! **Rule.** Of every key three things come and go, each on its own: its DNSKEY record (with its
//! signature over the DNSKEY set, if it is a KSK or CSK), its signatures over the zone, and its DS
//! at the parent. Each is *everywhere* when it has been served by all nodes for longer than the
//! TTL of what lacked it, and *nowhere* when it has been gone for longer than its own. `rules` says
//! what must be everywhere or nowhere before the next may come or go; all kinds of roll-over follow
//! from that, also in the middle of one another:
//!
//! - ZSK: its DNSKEY first, then it signs instead of its predecessor, whose DNSKEY goes when its
//!   signatures are nowhere (pre-publication, RFC 6781 4.1.1.1).
//! - KSK: its DNSKEY beside the predecessor's, both signing the DNSKEY set; then CDS and CDNSKEY ask
//!   the parent for its DS; the predecessor goes when its DS is nowhere (double signature, RFC 6781
//!   4.1.2, RFC 7583 3.3.1).
//! - CSK: both at once; only the slower of the two lets the predecessor go.
//! - Algorithm: signatures of the new algorithm first, then its DNSKEYs all at once, then the DS;
//!   in the other order back out (RFC 6781 4.1.4, conservative).
//! - Another layout (CSK to KSK and ZSK, or back) is a KSK roll and a ZSK roll.
//!
//! "Served by all nodes" is not guessed: every node acknowledges the generation of keys that it
//! serves, and which private keys it holds; a key does nothing before all hold it. For the parent
//! the machine waits as long as it takes: a key that it was asked for stays until the parent has
//! acted on what it was asked for later, even if the key was retired before it acted.
//!
//! **Source.** RFC 7583 (timing), RFC 7344 and 8078 (CDS), and the rules of Schaeffer, Overeinder and
//! Mekking, "Flexible and Robust Key Rollover in DNSSEC" (SATIN 2012), which say what must hold in
//! every moment instead of listing procedures.
//!
//! **When it is wrong.** If the parent changes its DS before it was asked to, or goes back to what
//! older CDS asked for (RFC 7344 section 6.2 forbids it), or if somebody else signs the zone too: all
//! are told of and cannot be prevented here.
//!
//! Times are seconds since 1970, because waits outlive processes; [`Rollover::clock_jumped`] keeps
//! them right when the machine's clock is set.

mod nodes;
mod report;
mod rules;
mod state;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Algorithm, DnsKey, ZoneKeys};
use crate::world::Name;

pub use nodes::{KeysHeld, NotFollowed};
pub use report::{KeyReport, Stage};
pub use state::{AtParent, KeyEntry, KeyRole, LongestTtl, Presence, StateFileError, ZoneKeyState};

/// Keys of one zone at a time: what more there are cannot all be wanted, and each signs everything.
pub const KEYS_MAX: usize = 16;

/// How often the parent is asked while a DS is waited for.
const ASK_WAITING: Duration = Duration::from_secs(300);
/// The same if all waits are short.
const ASK_WAITING_MIN: Duration = Duration::from_secs(1);
/// How often it is asked while nothing is waited for.
const ASK_IDLE: Duration = Duration::from_secs(3600);

/// What an operator wants of a zone's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloverSettings {
    /// Algorithm of new keys; keys of another are rolled over.
    pub algorithm: Algorithm,
    /// One CSK, or a KSK and a ZSK.
    pub roles: Vec<KeyRole>,
    /// The age at which a KSK or CSK is rolled over; `None`: only by hand.
    pub roll_ksk_every: Option<Duration>,
    /// The age at which a ZSK is rolled over; `None`: only by hand.
    pub roll_zsk_every: Option<Duration>,
    /// Added to every wait, for clocks that differ and secondaries that lag.
    pub margin: Duration,
    /// All nodes that serve the zone, this one included.
    pub nodes: BTreeSet<Name>,
}

/// What a node has of a zone's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// Keys whose private half it holds.
    pub held: BTreeSet<DnsKey>,
    /// All that it answers is signed by the keys of this generation or a later one.
    pub generation: u64,
}

/// What the parent's name servers show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParentView {
    /// Data of DS records that all of them show.
    pub by_all: Vec<Vec<u8>>,
    /// Data of DS records that at least one shows, those of `by_all` included.
    pub by_any: Vec<Vec<u8>>,
    /// The longest TTL seen on them, in seconds; of no DS, that of the negative answer.
    pub ttl: u32,
}

/// What is to be done for a zone's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolloverEffect {
    /// A key is to be made, stored, and given to [`Rollover::take_key`].
    Generate {
        /// What it is for.
        role: KeyRole,
        /// How it signs.
        algorithm: Algorithm,
    },
    /// The private key is of no use any more.
    Remove(DnsKey),
    /// Something that an operator wants to know, in one line.
    Notice(String),
}

/// The keys of one zone.
#[derive(Clone, Debug)]
pub struct Rollover {
    settings: RolloverSettings,
    state: ZoneKeyState,
    acknowledged: BTreeMap<Name, Acknowledged>,
    /// The TTLs that are served, of the zone and of its DNSKEY set; `None` until they are told.
    ttls: Option<(u32, u32)>,
    /// What was told and still holds, so that each is told once.
    told: BTreeSet<String>,
}

/// Why a key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeKeyError {
    /// Too many.
    #[error(
        "the zone has room for {KEYS_MAX} keys, and its keys and their successors need it: wait until \
         some that are on their way out are gone; `walrus keys list` shows what they wait for"
    )]
    Many,
    /// Flags and role differ.
    #[error("a key of flags {0} cannot be a {1}: KSK and CSK have flags 257, ZSK 256")]
    Role(u16, KeyRole),
    /// It is on its way out.
    #[error("key {0} is there already and on its way out: make a new one")]
    Retired(u16),
    /// It is not there.
    #[error("the zone has no key {0}: see `walrus keys list`")]
    Unknown(u16),
}

impl Rollover {
    /// The machine with what was stored.
    #[must_use]
    pub fn new(settings: RolloverSettings, state: ZoneKeyState) -> Self {
        let (acknowledged, told) = (BTreeMap::new(), BTreeSet::new());
        Self { settings, state, acknowledged, ttls: None, told }
    }

    /// What must survive a restart: to be stored after whatever changed it.
    #[must_use]
    pub fn state(&self) -> &ZoneKeyState {
        &self.state
    }

    /// What an operator wants now.
    #[must_use]
    pub fn settings(&self) -> &RolloverSettings {
        &self.settings
    }

    /// Puts other settings in force; what must change for them, changes by roll-over.
    pub fn reconfigure(&mut self, settings: RolloverSettings) {
        self.acknowledged.retain(|node, _| settings.nodes.contains(node));
        self.settings = settings;
    }

    /// Tells the longest TTL of the zone's records, negative answers and services included, and
    /// that of its DNSKEY set, in seconds. What was served before with a longer one still counts.
    pub fn note_ttls(&mut self, now: u64, zone: u32, dnskey: u32) {
        self.ttls = Some((zone, dnskey));
        self.state.zone_ttl.note(now, zone);
        self.state.dnskey_ttl.note(now, dnskey);
    }

    /// What [`Self::note_ttls`] was told last.
    #[must_use]
    pub const fn ttls(&self) -> Option<(u32, u32)> {
        self.ttls
    }

    /// Takes in a key that was made or imported: the roll-over to it begins. Taking in the same
    /// key again is fine.
    ///
    /// # Errors
    /// If there are too many, or it does not fit.
    pub fn take_key(&mut self, now: u64, key: DnsKey, role: KeyRole) -> Result<(), TakeKeyError> {
        if role.is_entry_point() != key.is_entry_point() {
            return Err(TakeKeyError::Role(key.flags(), role));
        }
        if let Some(there) = self.state.keys.iter().find(|entry| entry.key == key) {
            return match there.retired {
                Some(_) => Err(TakeKeyError::Retired(key.tag())),
                None => Ok(()),
            };
        }
        if self.state.keys.len() >= KEYS_MAX {
            return Err(TakeKeyError::Many);
        }
        self.state.keys.push(KeyEntry::new(key, role, now));
        Ok(())
    }

    /// A key shall go; if nothing replaces it, [`Self::advance`] asks for a successor.
    ///
    /// # Errors
    /// If it is not there, or so many keys are on their way out that its successor has no room.
    pub fn retire(&mut self, now: u64, tag: u16) -> Result<(), TakeKeyError> {
        let mut found = false;
        let has_room = rules::has_room(&self.state, &self.settings);
        for entry in self.state.keys.iter_mut().filter(|entry| entry.key.tag() == tag) {
            if entry.retired.is_none() && !has_room {
                return Err(TakeKeyError::Many);
            }
            entry.retired.get_or_insert(now);
            found = true;
        }
        if found { Ok(()) } else { Err(TakeKeyError::Unknown(tag)) }
    }

    /// A node says what it has. Of nodes that are not expected nothing is kept; a generation that
    /// was never here is one of another past, and counts as none.
    pub fn acknowledge(&mut self, node: &Name, mut acknowledged: Acknowledged) {
        if acknowledged.generation > self.state.generation {
            acknowledged.generation = 0;
        }
        if self.settings.nodes.contains(node) {
            self.acknowledged.insert(node.clone(), acknowledged);
        }
    }

    /// All of the parent's name servers were asked. Not to be called when some did not answer.
    pub fn parent_shows(&mut self, now: u64, view: &ParentView) {
        self.state.ds_ttl.note(now, view.ttl);
        self.state.parent_seen = Some(now);
        let ZoneKeyState { zone, keys, .. } = &mut self.state;
        for entry in keys.iter_mut().filter(|entry| entry.role.is_entry_point()) {
            let shows = |all: &[Vec<u8>]| all.iter().any(|ds| entry.key.matches_ds(zone, ds));
            let (all, any) = (shows(&view.by_all), shows(&view.by_any));
            entry.ds.see(now, all, any);
        }
        // A key may have several, each of another digest.
        let is_foreign = |ds: &&Vec<u8>| !keys.iter().any(|entry| entry.key.matches_ds(zone, ds));
        self.state.ds_foreign = view.by_any.iter().filter(is_foreign).count();
        self.state.ds_at_parent = view.by_any.len();
    }

    /// Takes all steps that are due. To be called after every other call, and at
    /// [`Self::next_look`]; then [`Self::keys`] says what each key does.
    pub fn advance(&mut self, now: u64) -> Vec<RolloverEffect> {
        let mut effects = Vec::new();
        self.state.last = self.state.last.max(now);
        if let Some((zone, dnskey)) = self.ttls {
            // Longer ones that were served once may be in no cache any more.
            self.note_ttls(now, zone, dnskey);
        }
        let before = self.keys();
        rules::settle(&mut self.state, now, |generation| {
            self.settings.nodes.iter().all(|node| {
                self.acknowledged.get(node).is_some_and(|said| said.generation >= generation)
            })
        });
        rules::want_successors(&mut self.state, &self.settings, now, &mut effects);
        let held = |key: &DnsKey| {
            self.settings
                .nodes
                .iter()
                .all(|node| self.acknowledged.get(node).is_some_and(|said| said.held.contains(key)))
        };
        rules::step(&mut self.state, &self.settings, now, held);
        rules::remove(&mut self.state, &self.settings, now, &mut effects);
        self.count_change(now, &before);
        let notices = self.notices(now);
        // What is over may come again, and is news then.
        self.told.retain(|told| notices.contains(told));
        for notice in notices {
            if self.told.insert(notice.clone()) {
                effects.push(RolloverEffect::Notice(notice));
            }
        }
        effects
    }

    fn count_change(&mut self, now: u64, before: &ZoneKeys) {
        let keys = self.keys();
        if keys.does_the_same(before) {
            return;
        }
        // The state may be of a file or of another node, which may say any number.
        self.state.revision = self.state.revision.saturating_add(1);
        if keys.wanted_at_parent != before.wanted_at_parent {
            // Two changes in one second are told apart too.
            self.state.wanted_since = now.max(self.state.wanted_since.saturating_add(1));
        }
    }

    /// What each key does at the moment.
    #[must_use]
    pub fn keys(&self) -> ZoneKeys {
        self.state.keys_now()
    }

    /// When to call [`Self::advance`] next if nothing happens before; `None`: nothing waits for
    /// time alone.
    #[must_use]
    pub fn next_look(&self, now: u64) -> Option<u64> {
        let waits = rules::waits(&self.state, &self.settings);
        waits.into_iter().filter(|at| *at > now).min()
    }

    /// How long until the parent should be asked again, before jitter: while a DS is waited for,
    /// every few minutes, and more often if the margins of all waits are shorter than that; else
    /// now and then, to tell of one that does not match.
    #[must_use]
    pub fn parent_interval(&self) -> Duration {
        let waiting = self.state.keys.iter().any(|entry| {
            let is_there = matches!(entry.ds, AtParent::Present { .. });
            entry.role.is_entry_point()
                && (entry.cds.is_served() != is_there || entry.retired.is_some())
        });
        let margin = self.settings.margin;
        if waiting { margin.clamp(ASK_WAITING_MIN, ASK_WAITING) } else { ASK_IDLE }
    }

    /// The machine's clock was set forward (or back, if negative) by so many seconds: all waits
    /// move with it. To be called when the wall clock and a monotonic one part.
    pub fn clock_jumped(&mut self, seconds: i64) {
        self.state.shift(seconds);
    }
}
