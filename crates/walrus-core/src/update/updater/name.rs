//! What an updater knows of one name.

use walrus_dns::DomainName;

use super::{Desired, DesiredName, Failure, Held, Verdict, Why, judge};
use crate::config::NameServerSettings;
use crate::plan::PlanNumber;
use crate::update::Content;
use crate::update::retry::doubled;
use crate::world::Time;

/// One name.
#[derive(Clone, Debug)]
pub(super) struct NameState {
    /// What stood there when it was last read or written.
    pub(super) held: Option<Held>,
    /// It may be another by now, and is to be read.
    pub(super) is_stale: bool,
    /// The name server was away since: what is known of it may mean nothing.
    pub(super) is_doubtful: bool,
    /// Why it could not be read.
    pub(super) unreadable: Option<Failure>,
    /// What was last in order there.
    known: Option<Content>,
    /// The Plan since which it is to have what it is to have, as far as this updater knows. Its mark may
    /// be no older: in between something else may have been wanted, which whoever is behind would still put
    /// there.
    pub(super) since: PlanNumber,
    pub(super) verdict: Option<Verdict>,
    /// Something is there whose type is none of ours.
    pub(super) in_use: bool,
    /// What the balanced name leads to there.
    pub(super) alias: Option<Alias>,
    /// What was last told of it.
    pub(super) told: Told,
    /// Why its last update was not carried out.
    pub(super) refused: Option<Failure>,
    /// Tries in a row that came to nothing.
    pub(super) tries: u32,
    /// Exchanges with its update that were cut off in a row.
    pub(super) cut_off: u32,
    not_before: Time,
}

/// What a name server says of a balanced name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Alias {
    To(DomainName, u32),
    Missing,
    Unknown(Failure),
}

/// What someone should look at.
#[derive(Clone, Debug, Default)]
pub(super) enum Told {
    #[default]
    Nothing,
    Foreign(String),
    Newer(PlanNumber),
    Drifted,
    Disputed(String),
    Unreadable(String),
}

impl NameState {
    pub(super) const fn new(since: PlanNumber) -> Self {
        Self {
            held: None,
            is_stale: true,
            is_doubtful: false,
            unreadable: None,
            known: None,
            since,
            verdict: None,
            in_use: false,
            alias: None,
            told: Told::Nothing,
            refused: None,
            tries: 0,
            cut_off: 0,
            not_before: Time::ZERO,
        }
    }

    /// It is to be read before anything else, at once.
    pub(super) fn forget(&mut self) {
        self.held = None;
        self.verdict = None;
        self.refused = None;
        self.unreadable = None;
        self.is_stale = true;
        self.tries = 0;
        self.not_before = Time::ZERO;
    }

    /// When it is to be read or written; `None` if it is as it should be.
    pub(super) fn next_try(&self) -> Option<Time> {
        let times = [self.next_reading(), self.next_writing()];
        times.into_iter().flatten().min()
    }

    pub(super) fn next_reading(&self) -> Option<Time> {
        // After a refusal it is read at once, for somebody else may have done what is to be done; and after
        // an exchange that was cut off, for the name server may have done it unheard. But only once.
        let was_tried = self.refused.is_some() || self.cut_off > 0;
        let at_once = was_tried && self.is_stale && self.unreadable.is_none();
        let since = if at_once { Time::ZERO } else { self.not_before };
        (self.is_stale || self.unreadable.is_some()).then_some(since)
    }

    pub(super) fn next_writing(&self) -> Option<Time> {
        // What was cut off is read before it is tried again, or nothing else would ever be read.
        let is_unsure = self.cut_off > 0 && self.is_stale;
        let is_wanted = matches!(self.verdict, Some(Verdict::Write { .. })) && !is_unsure;
        is_wanted.then_some(self.not_before)
    }

    /// Whether nothing of a Plan is left to be done here.
    pub(super) const fn is_done(&self) -> bool {
        match &self.unreadable {
            Some(failure) => matches!(failure, Failure::NotAuthoritative),
            None if self.is_doubtful => false,
            None => matches!(self.verdict, Some(Verdict::Good | Verdict::Foreign(_))),
        }
    }

    /// It was read.
    pub(super) fn read(&mut self, held: Held) {
        if self.unreadable.take().is_some() {
            self.tries = 0;
        }
        self.in_use &= held.is_empty();
        self.held = Some(held);
        self.is_stale = false;
        self.is_doubtful = false;
    }

    /// It cannot be read: others are not held up by it.
    pub(super) fn could_not_be_read(&mut self, now: Time, failure: Failure) {
        self.not_before = now + doubled(self.tries);
        self.tries = self.tries.saturating_add(1);
        self.unreadable = Some(failure);
        self.held = None;
        self.verdict = None;
        self.is_stale = false;
    }

    /// It was written.
    pub(super) fn written(&mut self, held: Held) {
        self.held = Some(held);
        self.is_doubtful = false;
        self.in_use = false;
        self.refused = None;
        self.tries = 0;
        self.cut_off = 0;
    }

    /// It was not as it was read when it should have been written.
    pub(super) fn overtaken(&mut self, now: Time) {
        // Nothing of ours there, and yet the name is in use: by other types. If it was only overtaken, the
        // next reading shows by what.
        self.in_use = self.held.take().is_some_and(|held| held.is_empty());
        self.verdict = None;
        self.is_stale = true;
        if let Some(again) = self.tries.checked_sub(1) {
            self.not_before = now + doubled(again);
        }
        self.tries = self.tries.saturating_add(1);
    }

    /// An exchange with its update was cut off: what of it was carried out is not known.
    pub(super) fn cut_off(&mut self, now: Time) {
        self.not_before = now + doubled(self.cut_off);
        self.cut_off = self.cut_off.saturating_add(1);
    }

    /// Its update was not carried out. Neighbours that are refused together are tried together again.
    pub(super) fn refused(&mut self, now: Time, failure: Failure) {
        self.not_before = now + doubled(self.tries);
        self.tries = self.tries.saturating_add(1);
        self.refused = Some(failure);
        self.is_stale = true;
    }

    /// Judges what is known of it anew.
    pub(super) fn judge(
        &mut self,
        wanted: &DesiredName,
        desired: &Desired,
        settings: &NameServerSettings,
    ) {
        let Some(held) = &self.held else { return };
        let verdict = match held.is_empty() && self.in_use {
            true => Verdict::Foreign(
                "records of other types stand there: remove them, or publish elsewhere".into(),
            ),
            false => judge(held, wanted, desired, (self.known.as_ref(), &self.since), settings),
        };
        if verdict == Verdict::Good {
            self.known = Some(wanted.content.clone());
            self.tries = 0;
            self.cut_off = 0;
        }
        if !matches!(verdict, Verdict::Write { .. }) {
            self.refused = None;
        }
        self.verdict = Some(verdict);
    }

    /// What stands there, in words.
    pub(super) fn describe(&self) -> String {
        self.held.as_ref().map(Held::describe).unwrap_or_default()
    }

    /// What someone should look at.
    pub(super) fn to_tell(&self) -> Told {
        if let Some(failure) = &self.unreadable {
            return Told::Unreadable(failure.short());
        }
        match &self.verdict {
            Some(Verdict::Foreign(why)) => Told::Foreign(why.clone()),
            Some(Verdict::Newer(plan)) => Told::Newer(plan.clone()),
            Some(Verdict::Write { why: Why::Drifted, .. }) => Told::Drifted,
            Some(Verdict::Disputed) => Told::Disputed(self.describe()),
            Some(Verdict::Good | Verdict::Write { .. }) => Told::Nothing,
            // It is being read again.
            None => self.told.clone(),
        }
    }
}

impl Told {
    pub(super) fn line(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Foreign(why) => Some(format!("it is left alone: {why}")),
            Self::Newer(plan) => Some(format!(
                "Plan {plan} is published there, which is newer than ours: it is left alone until \
                 ours is"
            )),
            Self::Disputed(held) => Some(format!(
                "another node keeps {held} there by other settings: it is left so; give both the same \
                 `area` and `ttl`"
            )),
            Self::Drifted => Some("somebody else changed it: it is put in order".to_owned()),
            Self::Unreadable(why) => Some(format!("it cannot be read: {why}")),
        }
    }
}
