//! One zone's keys on one node: the core's roll-over, with the keys' files and the state on the disk.
//!
//! Every function may block on the disk: callers on a runtime use `spawn_blocking`.

use std::collections::BTreeMap;

use walrus_core::dnssec::rollover::{
    Acknowledged, KeyReport, KeyRole, ParentView, Rollover, RolloverEffect, RolloverSettings,
    ZoneKeyState,
};
use walrus_core::dnssec::{DnsKey, FLAG_SEP, FLAG_ZONE, ZoneKeys};
use walrus_core::world::Name;
use walrus_dns::DomainName;

use super::{KeyPair, KeyStore, KeyStoreError};

mod error;

pub use error::KeeperError;

/// Steps taken at once: each makes a key or settles what the one before began.
const STEPS_MAX: usize = 32;

/// One zone's keys.
#[derive(Debug)]
pub struct ZoneKeeper {
    store: KeyStore,
    node: Name,
    rollover: Rollover,
    pairs: BTreeMap<DnsKey, KeyPair>,
    /// Keys that were made, while no state that is stored names them: the disk had room for the key
    /// but not for the state.
    spare: Vec<DnsKey>,
    /// Keys that nothing needs any more, as soon as the state that says so is stored.
    removed: Vec<DnsKey>,
    /// As stored last.
    stored: Option<ZoneKeyState>,
    /// What is wrong with the files.
    problems: Vec<String>,
    /// The zone had keys, but which is not known any more.
    is_unknown: bool,
    /// Keys that are lost are being replaced.
    begins_anew: bool,
    /// The generation that is served here.
    served: u64,
}

impl ZoneKeeper {
    /// Opens a zone's keys. With a state that cannot be read the keys whose files are there are
    /// used as if they were imported: what they signed stays valid.
    #[must_use]
    pub fn open(
        store: KeyStore,
        zone: &DomainName,
        node: Name,
        settings: RolloverSettings,
        now: u64,
    ) -> Self {
        let found = store.load(zone);
        let state = found.state.clone().unwrap_or_else(|| ZoneKeyState::empty(zone.clone()));
        let is_gone = found.pairs.is_empty() && found.was_signed;
        let is_unknown = found.state.is_none() && (is_gone || !found.problems.is_empty());
        let mut keeper = Self {
            store,
            node,
            rollover: Rollover::new(settings, state),
            pairs: BTreeMap::new(),
            spare: Vec::new(),
            removed: Vec::new(),
            stored: found.state,
            problems: Vec::new(),
            is_unknown,
            begins_anew: false,
            served: 0,
        };
        for pair in found.pairs {
            keeper.pairs.insert(pair.public().clone(), pair);
        }
        keeper.note_problems(found.problems);
        if keeper.stored.is_none() {
            for key in keeper.pairs.keys().cloned().collect::<Vec<_>>() {
                let role = role_of(&key, keeper.rollover.settings());
                // At most as many as a zone may have; the others are told of below.
                if let Err(error) = keeper.rollover.take_key(now, key, role) {
                    keeper.problems.push(error.to_string());
                }
            }
        }
        keeper
    }

    /// Takes all steps that are due, makes the keys that are wanted, and stores what changed; gives
    /// what an operator should be told.
    ///
    /// # Errors
    /// If a key cannot be made or the disk refuses. Nothing begins that is not stored: what keys did
    /// before, they still do.
    pub fn advance(&mut self, now: u64) -> Result<Vec<String>, KeeperError> {
        let before = self.rollover.clone();
        let advanced = self.steps(now);
        let stored = advanced.and_then(|mut notices| {
            if self.stored.as_ref() != Some(self.rollover.state()) {
                self.store.store_state(self.rollover.state())?;
                self.stored = Some(self.rollover.state().clone());
            }
            self.spare.clear();
            if std::mem::take(&mut self.begins_anew) {
                self.is_unknown = false;
                self.note_problems(Vec::new());
            }
            notices.extend(self.lay_aside());
            Ok(notices)
        });
        if stored.is_err() {
            self.rollover = before;
            self.removed.clear();
            self.begins_anew = false;
        }
        stored
    }

    /// Moves the files of keys that nothing needs, now that no state names them.
    fn lay_aside(&mut self) -> Vec<String> {
        let zone = self.rollover.state().zone.clone();
        let away = |key: DnsKey| {
            self.pairs.remove(&key);
            match self.store.retire(&zone, &key) {
                Ok(()) => format!("{zone}: key {} is removed", key.tag()),
                Err(error) => {
                    let error = walrus_host::log::chain(&error);
                    format!("{zone}: key {} is out of use; its files stay: {error}", key.tag())
                }
            }
        };
        std::mem::take(&mut self.removed).into_iter().map(away).collect()
    }

    fn steps(&mut self, now: u64) -> Result<Vec<String>, KeeperError> {
        let zone = self.rollover.state().zone.clone();
        let mut notices = Vec::new();
        for _ in 0..STEPS_MAX {
            let held = self.pairs.keys().cloned().collect();
            let acknowledged = Acknowledged { held, generation: self.served };
            self.rollover.acknowledge(&self.node, acknowledged);
            let generation = self.rollover.state().generation;
            let effects = self.rollover.advance(now);
            let mut made = false;
            for effect in effects {
                match effect {
                    RolloverEffect::Generate { role, algorithm } => {
                        let sep = if role.is_entry_point() { FLAG_SEP } else { 0 };
                        let pair = self.make(&zone, algorithm, FLAG_ZONE | sep)?;
                        notices.push(format!(
                            "{zone}: key {} is made ({role}, algorithm {})",
                            pair.public().tag(),
                            algorithm.number()
                        ));
                        self.rollover.take_key(now, pair.public().clone(), role)?;
                        made = true;
                    }
                    RolloverEffect::Remove(key) => self.removed.push(key),
                    RolloverEffect::Notice(notice) => notices.push(notice),
                }
            }
            if !made && self.rollover.state().generation == generation {
                break;
            }
        }
        Ok(notices)
    }

    /// A key that is not in use: a new one, whose tag no other key of the zone has, for files are
    /// named by it.
    fn make(
        &mut self,
        zone: &DomainName,
        algorithm: walrus_core::dnssec::Algorithm,
        flags: u16,
    ) -> Result<KeyPair, KeeperError> {
        if self.is_unknown && !self.begins_anew {
            let directory = self.store.directory_of(zone).display().to_string();
            return Err(KeeperError::Unreadable { directory, zone: zone.clone() });
        }
        let known = &self.rollover.state().keys;
        let fits = |key: &&DnsKey| {
            key.algorithm() == algorithm
                && key.flags() == flags
                && !known.iter().any(|entry| entry.key == **key)
        };
        if let Some(pair) = self.spare.iter().find(fits).and_then(|key| self.pairs.get(key)) {
            return Ok(pair.clone());
        }
        let mut pair = KeyPair::generate(algorithm, flags)?;
        while self.pairs.keys().any(|key| key.tag() == pair.public().tag()) {
            pair = KeyPair::generate(algorithm, flags)?;
        }
        self.store.add(zone, &pair)?;
        self.pairs.insert(pair.public().clone(), pair.clone());
        self.spare.push(pair.public().clone());
        Ok(pair)
    }

    /// Makes a change and takes all steps that are due by it; gives what came of the change, and what
    /// an operator should be told.
    ///
    /// # Errors
    /// If the change is refused, or cannot be stored: then it is as if it had not been asked for.
    pub fn change<T, E: From<KeeperError>>(
        &mut self,
        now: u64,
        change: impl FnOnce(&mut Self, u64) -> Result<T, E>,
    ) -> Result<(T, Vec<String>), E> {
        let (before, was_unknown) = (self.rollover.clone(), self.is_unknown);
        let done = change(self, now).and_then(|done| Ok((done, self.advance(now)?)));
        // What was found on the disk meanwhile is newer.
        if done.is_err() && was_unknown == self.is_unknown {
            self.rollover = before;
        }
        done
    }

    /// Makes a key and rolls over to it.
    ///
    /// # Errors
    /// If it cannot be made or stored, or a key that signs is not here.
    pub fn add(&mut self, now: u64, role: KeyRole) -> Result<DnsKey, KeeperError> {
        let zone = self.rollover.state().zone.clone();
        let signing = self.rollover.state().signing();
        if let Some(lost) = signing.into_iter().find(|key| !self.pairs.contains_key(key)) {
            let directory = self.store.directory_of(&zone).display().to_string();
            return Err(KeeperError::Lost { tag: lost.tag(), directory, zone });
        }
        let sep = if role.is_entry_point() { FLAG_SEP } else { 0 };
        let algorithm = self.rollover.settings().algorithm;
        let key = self.make(&zone, algorithm, FLAG_ZONE | sep)?.public().clone();
        self.rollover.take_key(now, key.clone(), role)?;
        Ok(key)
    }

    /// Keys that are not here are lost for good: they are forgotten, and the zone begins anew with
    /// those that are here and new ones for what is missing, which the next [`Self::advance`] makes.
    /// Resolvers that have a DS or a DNSKEY set of the lost ones in their caches refuse the zone until
    /// these are gone.
    ///
    /// # Errors
    /// If nothing is lost.
    pub fn replace_lost(&mut self, now: u64) -> Result<(), KeeperError> {
        let before = self.rollover.state().clone();
        self.look_again(now);
        if !self.lacks_files() {
            return Err(KeeperError::NothingLost(before.zone));
        }
        let state = self.rollover.state().clone();
        let mut anew = ZoneKeyState::empty(state.zone.clone());
        // Above any that other nodes may have seen: none counts one a second.
        anew.generation = if self.is_unknown { now } else { state.generation };
        anew.revision = state.revision.saturating_add(1);
        anew.wanted_since = state.wanted_since;
        (anew.zone_ttl, anew.dnskey_ttl, anew.ds_ttl) =
            (state.zone_ttl, state.dnskey_ttl, state.ds_ttl);
        anew.last = state.last;
        let mut rollover = Rollover::new(self.rollover.settings().clone(), anew);
        let mut removed = Vec::new();
        for entry in state.keys {
            if entry.retired.is_none() && self.pairs.contains_key(&entry.key) {
                rollover.take_key(now, entry.key, entry.role)?;
            } else {
                removed.push(entry.key);
            }
        }
        (self.rollover, self.removed, self.begins_anew) = (rollover, removed, true);
        Ok(())
    }

    /// Takes in a key whose files were put into the store, and rolls over to it; the first keys of
    /// a zone are used at once.
    ///
    /// # Errors
    /// If its files are not there, or it does not fit.
    pub fn import(&mut self, now: u64, tag: u16) -> Result<DnsKey, KeeperError> {
        let zone = self.rollover.state().zone.clone();
        self.look_again(now);
        let found = self.pairs.keys().find(|key| key.tag() == tag).cloned();
        let key = found.ok_or_else(|| KeeperError::NoFiles {
            tag,
            directory: self.store.directory_of(&zone).display().to_string(),
            problems: self.problems.clone(),
        })?;
        let role = role_of(&key, self.rollover.settings());
        self.rollover.take_key(now, key.clone(), role)?;
        Ok(key)
    }

    /// Whether something is missing that may be brought back.
    #[must_use]
    pub fn lacks_files(&self) -> bool {
        let is_held = |key: &DnsKey| self.pairs.contains_key(key);
        self.is_unknown || !self.rollover.state().keys.iter().all(|entry| is_held(&entry.key))
    }

    /// Reads the key files again: some may be back, or new. Keys that are in memory stay.
    pub fn look_again(&mut self, now: u64) {
        if self.is_unknown {
            let (zone, settings) =
                (self.rollover.state().zone.clone(), self.rollover.settings().clone());
            let ttls = self.rollover.ttls();
            *self = Self::open(self.store.clone(), &zone, self.node.clone(), settings, now);
            if let Some((zone, dnskey)) = ttls {
                self.rollover.note_ttls(now, zone, dnskey);
            }
            return;
        }
        let found = self.store.load(&self.rollover.state().zone);
        for pair in found.pairs {
            self.pairs.insert(pair.public().clone(), pair);
        }
        self.note_problems(found.problems);
    }

    fn note_problems(&mut self, mut problems: Vec<String>) {
        let zone = &self.rollover.state().zone;
        for entry in &self.rollover.state().keys {
            if !self.pairs.contains_key(&entry.key) {
                problems.push(format!(
                    "{zone}: the private key {} is gone: what it signed serves until it expires; \
                     bring its files back to {} (another node may have them: `walrus keys export`); \
                     if it is lost for good, `walrus keys add {zone} --lost` on the signer",
                    entry.key.tag(),
                    self.store.directory_of(zone).display()
                ));
            }
        }
        if self.is_unknown && self.pairs.is_empty() {
            problems.push(format!(
                "{zone}: it was signed before, and its keys are gone from {}: it is refused, and no \
                 other key is made, for the parent's DS may name one of them; bring them back; if \
                 they are lost for good, `walrus keys add {zone} --lost` on the signer",
                self.store.directory_of(zone).display()
            ));
        }
        self.problems = problems;
    }

    /// A key shall go; a successor is made if it needs one.
    ///
    /// # Errors
    /// If it is not there.
    pub fn retire(&mut self, now: u64, tag: u16) -> Result<(), KeeperError> {
        Ok(self.rollover.retire(now, tag)?)
    }

    /// Everything that this node answers is signed by the keys of this generation.
    pub fn served(&mut self, generation: u64) {
        self.served = self.served.max(generation);
    }

    /// The generation that this node serves; 0 before it serves any.
    #[must_use]
    pub const fn generation_served(&self) -> u64 {
        self.served
    }

    /// What the signer says, on a node that follows it: taken over and stored, if this node holds
    /// every key that signs. Files of keys that have gone are moved to `retired/`.
    ///
    /// # Errors
    /// If it cannot be followed, or the disk refuses; then all stays as it was.
    pub fn follow(&mut self, now: u64, told: ZoneKeyState) -> Result<(), KeeperError> {
        if told.keys.iter().any(|entry| !self.pairs.contains_key(&entry.key)) {
            // Somebody may have brought it.
            self.look_again(now);
        }
        let before = self.rollover.clone();
        self.rollover.follow(told, |key| self.pairs.contains_key(key))?;
        let state = self.rollover.state().clone();
        // Where only the signer's clock has moved, a write every few seconds would be for nothing.
        let is_stored = self
            .stored
            .as_ref()
            .is_some_and(|stored| ZoneKeyState { last: state.last, ..stored.clone() } == state);
        if !is_stored {
            if let Err(error) = self.store.store_state(&state) {
                self.rollover = before;
                return Err(error.into());
            }
            if self.stored.is_some() {
                self.put_away(before.state(), &state)?;
            }
            self.stored = Some(state);
            self.is_unknown = false;
        }
        let held = self.pairs.keys().cloned().collect();
        let acknowledged = Acknowledged { held, generation: self.served };
        self.rollover.acknowledge(&self.node, acknowledged);
        Ok(())
    }

    fn put_away(
        &mut self,
        before: &ZoneKeyState,
        after: &ZoneKeyState,
    ) -> Result<(), KeyStoreError> {
        for entry in &before.keys {
            if after.keys.iter().all(|it| it.key != entry.key) {
                self.store.retire(&after.zone, &entry.key)?;
                self.pairs.remove(&entry.key);
            }
        }
        Ok(())
    }

    /// Another node says what it has.
    pub fn acknowledge(&mut self, node: &Name, acknowledged: Acknowledged) {
        self.rollover.acknowledge(node, acknowledged);
    }

    /// The parent was asked.
    pub fn parent_shows(&mut self, now: u64, view: &ParentView) {
        self.rollover.parent_shows(now, view);
    }

    /// The machine behind it.
    #[must_use]
    pub fn rollover(&self) -> &Rollover {
        &self.rollover
    }

    /// Settings and TTLs that are in force now.
    pub fn reconfigure(&mut self, now: u64, settings: RolloverSettings, zone_ttl: u32, ttl: u32) {
        self.rollover.reconfigure(settings);
        self.rollover.note_ttls(now, zone_ttl, ttl);
    }

    /// The wall clock was set by so many seconds.
    pub fn clock_jumped(&mut self, seconds: i64) {
        self.rollover.clock_jumped(seconds);
    }

    /// What each key does now.
    #[must_use]
    pub fn keys(&self) -> ZoneKeys {
        self.rollover.keys()
    }

    /// The private keys that are here.
    pub fn pairs(&self) -> impl Iterator<Item = &KeyPair> {
        self.pairs.values()
    }

    /// What is wrong with the files, one sentence each.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Where each key stands.
    #[must_use]
    pub fn report(&self, now: u64) -> Vec<KeyReport> {
        self.rollover.report(now)
    }
}

/// What a key that comes without its role is for: by its flags, and by what the zone wants.
fn role_of(key: &DnsKey, settings: &RolloverSettings) -> KeyRole {
    match key.is_entry_point() {
        false => KeyRole::Zsk,
        true if settings.roles.contains(&KeyRole::Csk) => KeyRole::Csk,
        true => KeyRole::Ksk,
    }
}

#[cfg(test)]
mod tests;
