//! The other Controllers of a group, as far as they were heard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::view;
use crate::control::Refusal;
use crate::message::{HEARD_MAX, Heard, Presence};
use crate::world::{Digest, Name, Overrides, Time};

/// No count of starts comes near it.
pub(super) const JOINED_MAX: u64 = 1 << 62;

/// Who was silent for so long is no longer shown.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// All that were heard of late, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers {
    table: BTreeMap<Name, Peer>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) session: u64,
    pub(super) presence: Presence,
    pub(super) heard_at: Time,
    /// Since when it has been heard without a silence of a detection time.
    since: Time,
    /// It named this process among those that it hears: it was alive after this one started.
    pub(super) is_proved: bool,
    /// The overrides that it last had in common with this Controller.
    pub(super) agreed: Option<Arc<Overrides>>,
}

impl Peer {
    /// It was heard within the detection time, and has not said that it ends.
    pub(super) fn is_live(&self, detection: Duration, now: Time) -> bool {
        !self.presence.leaving && now.since(self.heard_at) < detection
    }
}

/// When a word shows that its sender was alive lately: if it names this process, which nobody could before it
/// started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof<'a> {
    pub(super) own: &'a Name,
    /// As in this process' messages.
    pub(super) session: u64,
    /// The session of another of this name, which the others hear instead.
    pub(super) twin: Option<u64>,
}

impl Proof<'_> {
    fn is_given_by(&self, presence: &Presence) -> bool {
        let names = |heard: &Heard| {
            // Programs of before say no session.
            let is_this = |session| session == self.session || Some(session) == self.twin;
            heard.name == *self.own && heard.session.is_none_or(is_this)
        };
        presence.heard.iter().any(names)
    }
}

/// Checks what no Controller would say.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(presence: &Presence) -> Result<(), Refusal> {
    let joined = presence.heard.iter().map(|heard| heard.joined).chain([presence.joined]);
    if let Some(absurd) = joined.into_iter().find(|joined| *joined >= JOINED_MAX) {
        return Err(Refusal::JoinNumber(absurd));
    }
    if presence.heard.len() > HEARD_MAX {
        return Err(Refusal::TooManyControllers);
    }
    let mut numbers = [&presence.plan, &presence.marks].into_iter().flatten();
    match numbers.find(|number| !number.is_plausible()) {
        Some(number) => Err(Refusal::Epoch(number.epoch)),
        None => Ok(()),
    }
}

impl Peers {
    /// Takes a checked presence in.
    ///
    /// # Errors
    /// If a newer session of that name is heard, or the table is full.
    pub(super) fn take(
        &mut self,
        (name, session, presence): (Name, u64, Presence),
        proof: Proof<'_>,
        detection: Duration,
        now: Time,
    ) -> Result<(), Refusal> {
        let is_proved = proof.is_given_by(&presence);
        let is_live = |peer: &Peer| peer.is_live(detection, now);
        if let Some(peer) = self.table.get_mut(&name) {
            if session < peer.session && is_live(peer) {
                return Err(Refusal::OldPresence { name, session, last: peer.session });
            }
            if session != peer.session || !is_live(peer) {
                peer.since = now;
            }
            // Words of one session are taken once each, so one proof is enough for all that come after it; in a
            // fault that lets one direction through the other side is not forgotten.
            peer.is_proved = is_proved || (peer.is_proved && session == peer.session);
            (peer.session, peer.heard_at, peer.presence) = (session, now, presence);
            return Ok(());
        }
        if self.table.len() >= HEARD_MAX {
            let silent = self.table.iter().filter(|(_, peer)| !is_live(peer));
            let oldest = silent.min_by_key(|(_, peer)| peer.heard_at).map(|it| it.0.clone());
            self.table.remove(&oldest.ok_or(Refusal::TooManyControllers)?);
        }
        let agreed = None;
        let peer = Peer { session, presence, heard_at: now, since: now, is_proved, agreed };
        self.table.insert(name, peer);
        Ok(())
    }

    /// Those that were silent for a day are forgotten.
    pub(super) fn forget(&mut self, now: Time) {
        self.table.retain(|_, peer| now.since(peer.heard_at) < FORGOTTEN);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &Peer)> {
        self.table.iter()
    }

    pub(super) fn get(&self, name: &Name) -> Option<&Peer> {
        self.table.get(name)
    }

    /// Those that said not long ago that they end. Others may not have heard it, and say for one detection
    /// time that they hear them.
    pub(super) fn left(&self, detection: Duration, now: Time) -> impl Iterator<Item = &Name> {
        let has_left =
            move |peer: &Peer| peer.presence.leaving && now.since(peer.heard_at) < detection * 2;
        self.table.iter().filter(move |(_, peer)| has_left(peer)).map(|(name, _)| name)
    }

    /// Those that were heard within the detection time, and are still there.
    pub(super) fn live(
        &self,
        detection: Duration,
        now: Time,
    ) -> impl Iterator<Item = (&Name, &Peer)> {
        self.table.iter().filter(move |(_, peer)| peer.is_live(detection, now))
    }

    /// Those of them that should have said by now that they hear this one, and have not.
    pub(super) fn in_doubt(&self, detection: Duration, now: Time) -> impl Iterator<Item = &Name> {
        let is_settled = move |peer: &Peer| now.since(peer.since) >= detection;
        let unproved = self.live(detection, now).filter(|(_, peer)| !peer.is_proved);
        unproved.filter(move |(_, peer)| is_settled(peer)).map(|(name, _)| name)
    }

    /// The same for the election.
    pub(super) fn view(&self, detection: Duration, now: Time) -> Vec<view::Peer<'_>> {
        let view = self.live(detection, now).map(|(name, peer)| view::Peer {
            name,
            presence: &peer.presence,
            is_settled: now.since(peer.since) >= detection,
        });
        view.collect()
    }

    /// What this Controller says of whom it hears.
    pub(super) fn heard(&self, detection: Duration, now: Time) -> Vec<Heard> {
        let heard = |(name, peer): (&Name, &Peer)| Heard {
            name: name.clone(),
            session: Some(peer.session),
            joined: peer.presence.joined,
            hears: peer.presence.hears,
            mute: peer.presence.mute,
        };
        self.live(detection, now).map(heard).collect()
    }

    /// Whether those that are heard hear somebody who is not heard here.
    pub(super) fn hear_of_others(&self, own: &Name, detection: Duration, now: Time) -> bool {
        let is_live = |name: &Name| {
            self.table.get(name).is_some_and(|peer| now.since(peer.heard_at) < detection)
        };
        let mut heard = self.live(detection, now).flat_map(|(_, peer)| &peer.presence.heard);
        heard.any(|heard| heard.name != *own && !is_live(&heard.name))
    }

    /// When somebody was heard last who did not say that it ends, if ever.
    pub(super) fn last_word(&self) -> Option<Time> {
        self.table.values().filter(|it| !it.presence.leaving).map(|peer| peer.heard_at).max()
    }

    /// When the first of those that are heard now is heard no longer, if it says nothing more.
    pub(super) fn next_silence(&self, detection: Duration, now: Time) -> Option<Time> {
        self.live(detection, now).map(|(_, peer)| peer.heard_at + detection).min()
    }

    /// These were heard until now: it was this process that did not listen.
    pub(super) fn hear_anew(&mut self, live: &BTreeSet<Name>, now: Time) {
        for name in live {
            if let Some(peer) = self.table.get_mut(name) {
                peer.heard_at = now;
            }
        }
    }

    /// Notes with whom all overrides are in common, and tells whether anybody who is heard has others.
    pub(super) fn compare(
        &mut self,
        (digest, own): (&Digest, &Arc<Overrides>),
        detection: Duration,
        now: Time,
    ) -> bool {
        let mut differs = false;
        for peer in self.table.values_mut().filter(|it| it.is_live(detection, now)) {
            if peer.presence.overrides == *digest {
                peer.agreed = Some(own.clone());
            } else {
                differs = true;
            }
        }
        differs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_that_is_gone_for_good_is_forgotten_after_a_day() {
        let own: Name = "a".parse().unwrap();
        let proof = Proof { own: &own, session: 1, twin: None };
        let mut peers = Peers::default();
        let word = ("b".parse().unwrap(), 7, Presence::default());
        peers.take(word, proof, Duration::from_secs(3), Time::from_secs(10)).unwrap();
        peers.forget(Time::from_secs(24 * 3600));
        assert_eq!(peers.iter().count(), 1);
        peers.forget(Time::from_secs(24 * 3600 + 10));
        assert_eq!(peers.iter().count(), 0);
    }
}
