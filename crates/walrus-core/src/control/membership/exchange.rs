//! Overrides between Controllers: what changed at once, and all of them as long as two have different ones.
//!
//! Each Controller says with each presence the digest of its overrides. Who hears another digest says all that
//! it has, again after a second, doubling to ten, until they are the same; both do so, and each keeps the
//! higher (revision, id) of each target. What changes here is said at once. Who knows of a Controller by others alone cannot
//! know whether that one has the same, and says all as well: in a ring of one-way ways nobody would hear of another's
//! change otherwise.
//!
//! *A conflict*: two that did not hear each other set a target differently. An override names those that it came after
//! ([`Override::follows`]): if the earlier one is not among them, whoever set the later one did not know of it. Where that is
//! not told (an older program, or more changes than are named), both are taken for such if they have the same
//! revision, or both differ from what the two Controllers last had in common.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::ConflictStatus;
use crate::message::{Message, OVERRIDES_BATCH_MAX};
use crate::world::{Digest, Override, Overrides, Target, Time};

/// Between two times at which all is said.
const AGAIN_MIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(10);

/// Conflicts that are kept for people.
const CONFLICTS_MAX: usize = 100;

/// What is to be said of overrides, and what was found of others'.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// As they are here; shared with what peers are known to have had in common.
    own: Arc<Overrides>,
    digest: Digest,
    /// They have changed since.
    stale: bool,
    /// One that changed here, to be said at once.
    changed: Vec<(Target, Override)>,
    /// All are to be said then, if anybody has others.
    say_at: Time,
    again: Duration,
    conflicts: VecDeque<Conflict>,
}

#[derive(Clone, Debug)]
struct Conflict {
    target: Target,
    kept: Override,
    lost: Override,
    found: Time,
}

impl Exchange {
    pub(super) fn new(own: &Overrides, now: Time) -> Self {
        Self {
            digest: own.digest(),
            own: Arc::new(own.clone()),
            stale: false,
            changed: Vec::new(),
            say_at: now,
            again: AGAIN_MIN,
            conflicts: VecDeque::new(),
        }
    }

    pub(super) const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// All overrides as of the digest.
    pub(super) const fn own(&self) -> &Arc<Overrides> {
        &self.own
    }

    /// Another's were merged.
    pub(super) const fn merged(&mut self) {
        self.stale = true;
    }

    /// Takes over what has changed since it was told: there may be a hundred thousand.
    pub(super) fn renew(&mut self, own: &Overrides) {
        if std::mem::take(&mut self.stale) {
            self.own = Arc::new(own.clone());
            self.digest = own.digest();
        }
    }

    /// An operator set this here: the last word on its target, whatever was in conflict.
    pub(super) fn set_here(&mut self, target: Target, entry: Override) {
        self.conflicts.retain(|conflict| conflict.target != target);
        self.changed.push((target, entry));
        self.stale = true;
    }

    /// A peer's entry comes in, before it is merged; `agreed` is what that peer last had in common with
    /// this Controller. Tells whether it is in conflict.
    pub(super) fn heard(
        &mut self,
        target: &Target,
        entry: &Override,
        agreed: Option<&Overrides>,
        now: Time,
    ) -> bool {
        let Some(own) = self.own.get(target).filter(|own| *own != entry) else { return false };
        let is_newer = (own.revision, &own.id) < (entry.revision, &entry.id);
        if is_newer {
            // Somebody decided anew, knowing or not: the conflict of before is over.
            self.conflicts.retain(|it| it.target != *target || it.kept == *entry);
        }
        let (kept, lost) = if is_newer { (entry, own) } else { (own, entry) };
        let before = agreed.map(|agreed| agreed.get(target));
        let both_changed = before.is_some_and(|it| it != Some(own) && it != Some(entry));
        let conflicts = kept.follows(lost).map_or(both_changed, |knew| !knew);
        if own.state == entry.state || !conflicts {
            return false;
        }
        let is_known = |it: &Conflict| it.target == *target && it.lost == *lost;
        if self.conflicts.iter().any(is_known) {
            return false;
        }
        if self.conflicts.len() >= CONFLICTS_MAX {
            self.conflicts.pop_front();
        }
        let (target, kept, lost) = (target.clone(), kept.clone(), lost.clone());
        self.conflicts.push_back(Conflict { target, kept, lost, found: now });
        true
    }

    /// What is to be said now; `differs` if a peer that is heard has others.
    pub(super) fn say(&mut self, differs: bool, now: Time) -> Vec<Message> {
        let changed = std::mem::take(&mut self.changed);
        if !differs {
            self.again = AGAIN_MIN;
        } else if now >= self.say_at {
            self.say_at = now + self.again;
            self.again = (self.again * 2).min(AGAIN_MAX);
            return messages(
                self.own.iter().map(|(target, entry)| (target.clone(), entry.clone())),
            );
        }
        messages(changed.into_iter())
    }

    /// When something is to be said next.
    pub(super) fn next(&self, differs: bool) -> Option<Time> {
        if self.changed.is_empty() { differs.then_some(self.say_at) } else { Some(Time::ZERO) }
    }

    pub(super) fn conflicts(&self, now: Time) -> Vec<ConflictStatus> {
        let status = |it: &Conflict| ConflictStatus {
            target: it.target.clone(),
            kept: it.kept.clone(),
            lost: it.lost.clone(),
            age_ms: u64::try_from(now.since(it.found).as_millis()).unwrap_or(u64::MAX),
        };
        self.conflicts.iter().map(status).collect()
    }
}

fn messages(entries: impl Iterator<Item = (Target, Override)>) -> Vec<Message> {
    let mut entries = entries.peekable();
    let mut messages = Vec::new();
    while entries.peek().is_some() {
        let entries = entries.by_ref().take(OVERRIDES_BATCH_MAX).collect();
        messages.push(Message::Overrides { entries });
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::OverrideState::{self, Drained, None as Undrained};

    fn target() -> Target {
        Target::Server("fra1".parse().unwrap())
    }

    fn entry(state: OverrideState, revision: u64, id: &str) -> Override {
        let id = id.parse().unwrap();
        Override { state, revision, id, set_unix_ms: 0, by: None, after: Vec::new() }
    }

    fn overrides(entry: Option<Override>) -> Overrides {
        let mut overrides = Overrides::default();
        if let Some(entry) = entry {
            overrides.merge(target(), entry);
        }
        overrides
    }

    #[test]
    fn a_conflict_is_what_two_set_differently_without_knowing() {
        let now = Time::from_secs(9);
        let common = || Some(overrides(Some(entry(Drained, 1, "a"))));
        for (own, agreed, other, expected, why) in [
            (None, None, entry(Drained, 1, "b"), None, "nothing is known here"),
            (
                Some(entry(Drained, 1, "a")),
                None,
                entry(Drained, 1, "b"),
                None,
                "the same is wanted",
            ),
            (
                Some(entry(Drained, 1, "a")),
                None,
                entry(Undrained, 1, "b"),
                Some("b"),
                "same revision",
            ),
            (
                Some(entry(Drained, 1, "b")),
                None,
                entry(Undrained, 1, "a"),
                Some("b"),
                "ours is kept",
            ),
            (Some(entry(Drained, 1, "a")), None, entry(Undrained, 2, "b"), None, "nobody knows"),
            (Some(entry(Drained, 1, "a")), common(), entry(Undrained, 2, "b"), None, "it followed"),
            (
                Some(entry(Undrained, 2, "a")),
                common(),
                entry(Drained, 3, "b"),
                Some("b"),
                "both changed",
            ),
            (
                Some(entry(Undrained, 3, "a")),
                common(),
                entry(Drained, 2, "b"),
                Some("a"),
                "both, ours is kept",
            ),
            (
                Some(entry(Undrained, 2, "a")),
                common(),
                entry(Drained, 1, "a"),
                None,
                "it is behind",
            ),
        ] {
            let mut exchange = Exchange::new(&overrides(own), now);
            let is_conflict = exchange.heard(&target(), &other, agreed.as_ref(), now);
            assert_eq!(is_conflict, expected.is_some(), "{why}");
            let conflicts = exchange.conflicts(now);
            let kept = conflicts.first().map(|it| it.kept.id.as_str().to_owned());
            assert_eq!(kept.as_deref(), expected, "{why}");
            assert!(!exchange.heard(&target(), &other, agreed.as_ref(), now), "told once: {why}");
        }
    }

    #[test]
    fn what_came_after_another_is_no_conflict_whatever_was_in_common() {
        let now = Time::from_secs(9);
        let after = |entry: Override, after: &[&str]| Override {
            after: after.iter().map(|it| it.parse().unwrap()).collect(),
            ..entry
        };
        let common = overrides(Some(entry(Undrained, 1, "a")));
        let first = after(entry(Drained, 2, "a"), &["a"]);
        let last = after(entry(Undrained, 4, "c"), &["b", "a", "a"]);
        let unknowing = after(entry(Undrained, 4, "c"), &["b", "b", "a"]);
        for (own, other, expected) in [
            (&first, &last, false),
            (&last, &first, false),
            (&first, &unknowing, true),
            (&unknowing, &first, true),
        ] {
            for agreed in [None, Some(&common)] {
                let mut exchange = Exchange::new(&overrides(Some(own.clone())), now);
                let is_conflict = exchange.heard(&target(), other, agreed, now);
                assert_eq!(is_conflict, expected, "{own:?} {other:?} {agreed:?}");
            }
        }
    }

    #[test]
    fn whoever_decides_anew_ends_a_conflict() {
        let now = Time::ZERO;
        let mut exchange = Exchange::new(&overrides(Some(entry(Drained, 1, "a"))), now);
        assert!(exchange.heard(&target(), &entry(Undrained, 1, "b"), None, now));
        exchange.set_here(target(), entry(Drained, 2, "a"));
        assert!(exchange.conflicts(now).is_empty());
    }

    #[test]
    fn all_is_said_again_while_it_differs_and_in_batches() {
        let mut own = Overrides::default();
        for index in 0..1001 {
            let target = Target::Server(format!("s{index}").parse().unwrap());
            own.merge(target, entry(Drained, 1, "a"));
        }
        let mut exchange = Exchange::new(&own, Time::ZERO);
        let mut said = Vec::new();
        for millis in (0..30_000).step_by(100) {
            let now = Time::from_millis(millis);
            let batches = exchange.say(true, now);
            if !batches.is_empty() {
                said.push(millis);
                assert_eq!(batches.len(), 3);
            }
        }
        assert_eq!(said, [0, 1000, 3000, 7000, 15_000, 25_000]);
        assert!(exchange.say(false, Time::from_secs(40)).is_empty());
        assert_eq!(exchange.next(false), None);
        exchange.set_here(target(), entry(Drained, 2, "a"));
        assert_eq!(exchange.next(false), Some(Time::ZERO));
        assert_eq!(exchange.say(false, Time::from_secs(40)).len(), 1);
    }
}
