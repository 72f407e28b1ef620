//! What must be everywhere or nowhere before something of a key may come or go.

use super::super::{Algorithm, DnsKey};
use super::state::{AtParent, KeyEntry, Presence, ZoneKeyState};
use super::{KEYS_MAX, KeyRole, RolloverEffect, RolloverSettings};

/// What all nodes serve by now has come, or gone, from now on: never earlier, so that waits are
/// too long rather than too short.
pub(super) fn settle(state: &mut ZoneKeyState, now: u64, all_serve: impl Fn(u64) -> bool) {
    for entry in &mut state.keys {
        for presence in [&mut entry.dnskey, &mut entry.signatures, &mut entry.cds] {
            *presence = match *presence {
                Presence::Coming { generation } if all_serve(generation) => {
                    Presence::Present { since: now }
                }
                Presence::Going { generation } if all_serve(generation) => {
                    Presence::Absent { since: now }
                }
                other => other,
            };
        }
    }
}

/// Retires what was replaced or does not fit the settings any more, and asks for what is missing
/// or too old.
pub(super) fn want_successors(
    state: &mut ZoneKeyState,
    settings: &RolloverSettings,
    now: u64,
    effects: &mut Vec<RolloverEffect>,
) {
    let algorithm = settings.algorithm;
    let mut room = KEYS_MAX.saturating_sub(state.keys.len());
    let has_room = has_room(state, settings);
    let mut ask = |role| {
        if room > 0 {
            room -= 1;
            effects.push(RolloverEffect::Generate { role, algorithm });
        }
    };
    if is_new(state) {
        // What was imported is served as it is first: it may be in caches and at the parent.
        let has = |is: fn(KeyRole) -> bool| state.keys.iter().any(|entry| is(entry.role));
        let (entry_point, signer) = (has(KeyRole::is_entry_point), has(KeyRole::signs_zone));
        for role in &settings.roles {
            let fills = (role.is_entry_point() && !entry_point) || (role.signs_zone() && !signer);
            if fills {
                ask(*role);
            }
        }
        return;
    }
    let fits = |entry: &KeyEntry| {
        settings.roles.contains(&entry.role) && entry.key.algorithm() == algorithm
    };
    for index in 0..state.keys.len() {
        let (entry, later) = (&state.keys[index], &state.keys[index + 1..]);
        let is_replaced =
            later.iter().any(|it| it.role == entry.role && it.retired.is_none() && fits(it));
        if entry.retired.is_none() && (is_replaced || (!fits(entry) && has_room)) {
            state.keys[index].retired = Some(now);
        }
    }
    for role in &settings.roles {
        let of_role = || state.keys.iter().filter(|entry| entry.role == *role);
        let rolls = of_role().any(|entry| entry.retired.is_some());
        match of_role().find(|entry| entry.retired.is_none()) {
            None => ask(*role),
            Some(entry) if !rolls && roll_at(settings, entry).is_some_and(|at| now >= at) => {
                ask(*role);
            }
            Some(_) => {}
        }
    }
}

/// Whether successors can be made: what has none cannot go.
pub(super) fn has_room(state: &ZoneKeyState, settings: &RolloverSettings) -> bool {
    state.keys.len() + settings.roles.len() <= KEYS_MAX
}

/// Begins or ends what may begin or end, all of it in one generation.
pub(super) fn step(
    state: &mut ZoneKeyState,
    settings: &RolloverSettings,
    now: u64,
    held: impl Fn(&DnsKey) -> bool,
) {
    let generation = state.generation + 1;
    let coming = Presence::Coming { generation };
    let going = Presence::Going { generation };
    let before = state.keys.clone();
    if is_new(state) {
        begin(state, coming, held);
    } else {
        // Each sees what the ones before it have done: signatures pass from one key to the next
        // in one generation.
        attempt(state, &held, |state| {
            for entry in look(state, settings, now).may_publish(&held) {
                state.keys[entry].dnskey = coming;
            }
        });
        attempt(state, &held, |state| {
            for entry in look(state, settings, now).may_sign(&held) {
                state.keys[entry].signatures = coming;
            }
            for entry in look(state, settings, now).may_cease_to_sign() {
                state.keys[entry].signatures = going;
            }
        });
        attempt(state, &held, |state| {
            for entry in look(state, settings, now).may_be_withdrawn() {
                state.keys[entry].dnskey = going;
            }
        });
        attempt(state, &held, |state| {
            let ready = look(state, settings, now).is_ready_for_the_parent();
            let any_ready = ready.iter().any(|ready| *ready);
            for (entry, ready) in state.keys.iter_mut().zip(ready) {
                match entry.cds.is_served() {
                    false if ready => entry.cds = coming,
                    true if !ready && any_ready => entry.cds = going,
                    _ => {}
                }
            }
        });
    }
    let is_served = |keys: &[KeyEntry]| -> Vec<_> {
        keys.iter().map(|entry| (entry.dnskey, entry.signatures, entry.cds)).collect()
    };
    if is_served(&state.keys) != is_served(&before) {
        state.generation = generation;
    }
}

/// Changes what keys do, unless what changes would have to be signed by a private key that is not
/// held: then all stays as it was signed. Without this a process that starts without the key would
/// find signatures on the disk that are of another state than the one that it is to serve.
fn attempt(
    state: &mut ZoneKeyState,
    held: &impl Fn(&DnsKey) -> bool,
    change: impl FnOnce(&mut ZoneKeyState),
) {
    let before = state.keys.clone();
    change(state);
    let differs = |of: fn(&KeyEntry) -> Presence| {
        state.keys.iter().zip(&before).any(|(now, then)| of(now) != of(then))
    };
    let keys = state.keys_now();
    // The DNSKEY set is signed by entry points, CDS and all else by keys that sign the zone.
    let lacks_entry_point = differs(|entry| entry.dnskey) && !keys.sign_keys.iter().all(held);
    let lacks_signer = (differs(|entry| entry.signatures) || differs(|entry| entry.cds))
        && !keys.sign_zone.iter().all(held);
    if lacks_entry_point || lacks_signer {
        state.keys = before;
    }
}

/// Forgets keys of which nothing is left.
pub(super) fn remove(
    state: &mut ZoneKeyState,
    settings: &RolloverSettings,
    now: u64,
    effects: &mut Vec<RolloverEffect>,
) {
    let look = look(state, settings, now);
    let is_left = |entry: &KeyEntry| {
        entry.retired.is_none() || !look.dnskey_nowhere(entry) || !look.signatures_nowhere(entry)
    };
    let kept: Vec<bool> = state.keys.iter().map(is_left).collect();
    let mut kept = kept.into_iter();
    state.keys.retain(|entry| {
        let keep = kept.next().unwrap_or(true);
        if !keep {
            effects.push(RolloverEffect::Remove(entry.key.clone()));
        }
        keep
    });
}

/// All moments at which a wait ends.
pub(super) fn waits(state: &ZoneKeyState, settings: &RolloverSettings) -> Vec<u64> {
    let margin = settings.margin.as_secs();
    let [zone, dnskey, ds] = [state.zone_ttl, state.dnskey_ttl, state.ds_ttl]
        .map(|longest| u64::from(longest.ttl) + margin);
    let mut waits = Vec::new();
    for entry in &state.keys {
        waits.extend(entry.dnskey.since().map(|since| since + dnskey));
        waits.extend(entry.signatures.since().map(|since| since + zone));
        if let AtParent::Absent { since } = entry.ds {
            waits.push(since + ds);
        }
        waits.extend(entry.cds.since().map(|since| since + dnskey + ds));
        waits.extend(roll_at(settings, entry));
    }
    waits.extend([state.zone_ttl, state.dnskey_ttl, state.ds_ttl].iter().filter_map(|it| it.until));
    waits
}

/// When a key is too old.
pub(super) fn roll_at(settings: &RolloverSettings, entry: &KeyEntry) -> Option<u64> {
    let every = match entry.role {
        KeyRole::Csk | KeyRole::Ksk => settings.roll_ksk_every,
        KeyRole::Zsk => settings.roll_zsk_every,
    };
    every.map(|every| entry.made.saturating_add(every.as_secs()))
}

/// Whether nothing was ever served.
pub(super) fn is_new(state: &ZoneKeyState) -> bool {
    const NEVER: Presence = Presence::Absent { since: 0 };
    state.keys.iter().all(|entry| entry.dnskey == NEVER && entry.signatures == NEVER)
}

/// The first keys of a zone do everything at once: either nobody trusts the zone yet, or they were
/// imported with it and are in caches already.
fn begin(state: &mut ZoneKeyState, coming: Presence, held: impl Fn(&DnsKey) -> bool) {
    let has = |is: fn(KeyRole) -> bool| state.keys.iter().any(|entry| is(entry.role));
    let complete = has(KeyRole::is_entry_point) && has(KeyRole::signs_zone);
    if !complete || !state.keys.iter().all(|entry| held(&entry.key)) {
        return;
    }
    for entry in &mut state.keys {
        entry.dnskey = coming;
        if entry.role.signs_zone() {
            entry.signatures = coming;
        }
    }
}

/// The keys at a time.
pub(super) struct Look<'a> {
    pub(super) state: &'a ZoneKeyState,
    pub(super) now: u64,
    pub(super) margin: u64,
}

pub(super) fn look<'a>(state: &'a ZoneKeyState, settings: &RolloverSettings, now: u64) -> Look<'a> {
    Look { state, now, margin: settings.margin.as_secs() }
}

impl Look<'_> {
    fn is_over(&self, since: u64, ttl: u32) -> bool {
        self.now >= since.saturating_add(u64::from(ttl)).saturating_add(self.margin)
    }

    /// Whether every resolver that has the DNSKEY set at all has this key in it.
    pub(super) fn dnskey_everywhere(&self, entry: &KeyEntry) -> bool {
        matches!(entry.dnskey, Presence::Present { since }
            if self.is_over(since, self.state.dnskey_ttl.ttl))
    }

    /// Whether every record set of the zone that a resolver has is signed by this key too.
    pub(super) fn signatures_everywhere(&self, entry: &KeyEntry) -> bool {
        matches!(entry.signatures, Presence::Present { since }
            if self.is_over(since, self.state.zone_ttl.ttl))
    }

    /// Whether no resolver has this key.
    pub(super) fn dnskey_nowhere(&self, entry: &KeyEntry) -> bool {
        matches!(entry.dnskey, Presence::Absent { since }
            if since == 0 || self.is_over(since, self.state.dnskey_ttl.ttl))
    }

    /// Whether no resolver has a record set that only this key may have signed.
    pub(super) fn signatures_nowhere(&self, entry: &KeyEntry) -> bool {
        matches!(entry.signatures, Presence::Absent { since }
            if since == 0 || self.is_over(since, self.state.zone_ttl.ttl))
    }

    /// Whether no resolver has a DS of this key, and none can get one: by what the parent showed,
    /// and not by what may have become of it since.
    pub(super) fn ds_nowhere(&self, entry: &KeyEntry) -> bool {
        let gone = self.ds_gone_at(entry).zip(self.state.parent_seen);
        gone.is_some_and(|(at, seen)| seen >= at)
    }

    /// From when on no resolver has a DS of this key; `None` if that cannot be told yet.
    pub(super) fn ds_gone_at(&self, entry: &KeyEntry) -> Option<u64> {
        let AtParent::Absent { since } = entry.ds else { return None };
        let shown_until = match entry.cds {
            Presence::Absent { since: 0 } => 0,
            // Who reads CDS through a cache may read the old a TTL later.
            Presence::Absent { since } => {
                self.acted_after(since)?.max(since + u64::from(self.state.dnskey_ttl.ttl))
            }
            _ => return None,
        };
        Some(since.max(shown_until) + u64::from(self.state.ds_ttl.ttl) + self.margin)
    }

    /// When the parent was first seen to have acted on CDS later than those that were gone then;
    /// before that it may act on them, which it may have read long ago, and also between two looks;
    /// after it never, because it does not go back (RFC 7344 section 6.2). One that shows no DS at
    /// all perhaps never will, and looks again before the first (RFC 8078 section 3.3).
    fn acted_after(&self, asked_until: u64) -> Option<u64> {
        let is_later = |cds| !matches!(cds, Presence::Absent { since } if since <= asked_until);
        let acted = |entry: &KeyEntry| match entry.ds {
            AtParent::Present { since } if is_later(entry.cds) => Some(since),
            _ => None,
        };
        match self.state.ds_at_parent {
            0 => Some(0),
            _ => self.state.keys.iter().filter_map(acted).min(),
        }
    }

    fn of(&self, algorithm: Algorithm) -> impl Iterator<Item = &KeyEntry> {
        self.state.keys.iter().filter(move |entry| entry.key.algorithm() == algorithm)
    }

    /// Keys whose DNSKEY may come: at once beside keys of its algorithm, by which everything is
    /// signed. The first of an algorithm come together, when everything is signed by one of them: a
    /// DNSKEY set promises signatures of each algorithm in it (RFC 4035 section 2.2).
    fn may_publish(&self, held: &impl Fn(&DnsKey) -> bool) -> Vec<usize> {
        let may = |entry: &KeyEntry| {
            let algorithm = entry.key.algorithm();
            let is_established = self
                .of(algorithm)
                .any(|it| it.dnskey.is_served() && self.signatures_everywhere(it))
                && self.of(algorithm).any(|it| it.dnskey.is_served() && it.role.is_entry_point());
            let group = || self.of(algorithm).filter(|it| it.retired.is_none());
            let comes_with_its_group = || {
                group().any(|it| self.signatures_everywhere(it))
                    && group().any(|it| it.role.is_entry_point())
                    && group().all(|it| held(&it.key))
            };
            entry.retired.is_none()
                && matches!(entry.dnskey, Presence::Absent { .. })
                && held(&entry.key)
                && (is_established || comes_with_its_group())
        };
        self.indexes(may)
    }

    /// Keys that may begin to sign the zone: where another of the same algorithm does, once this
    /// one is known everywhere; else at once, beside whatever other algorithms do.
    fn may_sign(&self, held: &impl Fn(&DnsKey) -> bool) -> Vec<usize> {
        let may = |entry: &KeyEntry| {
            let has_predecessor = self.of(entry.key.algorithm()).any(|it| {
                it.key != entry.key && it.signatures.is_served() && it.dnskey.is_served()
            });
            entry.retired.is_none()
                && entry.role.signs_zone()
                && matches!(entry.signatures, Presence::Absent { .. })
                && held(&entry.key)
                && (!has_predecessor || self.dnskey_everywhere(entry))
        };
        self.indexes(may)
    }

    /// Keys that may cease to sign: their successor does and is known everywhere; or nobody knows
    /// any key of their algorithm any more.
    fn may_cease_to_sign(&self) -> Vec<usize> {
        let may = |entry: &KeyEntry| {
            let algorithm = entry.key.algorithm();
            let is_replaced = self.of(algorithm).any(|it| {
                it.retired.is_none() && it.signatures.is_served() && self.dnskey_everywhere(it)
            });
            let is_forgotten =
                || !self.stays(algorithm) && self.of(algorithm).all(|it| self.dnskey_nowhere(it));
            entry.retired.is_some()
                && entry.signatures.is_served()
                && (is_replaced || is_forgotten())
        };
        self.indexes(may)
    }

    /// Keys whose DNSKEY may go: no DS names them and nothing is signed by them any more. The last
    /// of an algorithm go together, while everything is still signed by them.
    fn may_be_withdrawn(&self) -> Vec<usize> {
        let may = |entry: &KeyEntry| {
            let algorithm = entry.key.algorithm();
            let is_free = |it: &KeyEntry| !it.role.is_entry_point() || self.ds_nowhere(it);
            let may_alone = || {
                let has_successor = self.of(algorithm).any(|it| {
                    it.retired.is_none() && it.role.is_entry_point() && self.dnskey_everywhere(it)
                });
                is_free(entry)
                    && (!entry.role.is_entry_point() || has_successor)
                    && (!entry.role.signs_zone() || self.signatures_nowhere(entry))
            };
            let may_together =
                || self.of(algorithm).all(is_free) && self.is_another_complete(algorithm);
            entry.retired.is_some()
                && entry.dnskey.is_served()
                && if self.stays(algorithm) { may_alone() } else { may_together() }
        };
        self.indexes(may)
    }

    /// For each key, whether the parent's DS may name it: it and those that sign with its algorithm
    /// are known everywhere, and everything is signed.
    pub(super) fn is_ready_for_the_parent(&self) -> Vec<bool> {
        let is_ready = |entry: &KeyEntry| {
            entry.retired.is_none()
                && entry.role.is_entry_point()
                && self.dnskey_everywhere(entry)
                && self.is_signed_by(entry.key.algorithm())
        };
        self.state.keys.iter().map(is_ready).collect()
    }

    /// Whether every record set everywhere is signed by one key of this algorithm that is known
    /// everywhere.
    fn is_signed_by(&self, algorithm: Algorithm) -> bool {
        self.of(algorithm).any(|it| self.signatures_everywhere(it) && self.dnskey_everywhere(it))
    }

    fn is_another_complete(&self, algorithm: Algorithm) -> bool {
        let others = || {
            let is_other = |it: &&KeyEntry| it.key.algorithm() != algorithm;
            self.state.keys.iter().filter(is_other).filter(|it| it.retired.is_none())
        };
        others().any(|it| it.role.is_entry_point() && self.dnskey_everywhere(it))
            && others().any(|it| self.signatures_everywhere(it) && self.dnskey_everywhere(it))
    }

    fn stays(&self, algorithm: Algorithm) -> bool {
        self.of(algorithm).any(|it| it.retired.is_none())
    }

    fn indexes(&self, may: impl Fn(&KeyEntry) -> bool) -> Vec<usize> {
        let entries = self.state.keys.iter().enumerate();
        entries.filter(|(_, entry)| may(entry)).map(|(index, _)| index).collect()
    }
}
