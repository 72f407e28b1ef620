//! Plan numbers that name servers which are kept up to date show by their marks.
//!
//! **Problem.** A mark with a number above ours keeps our Plans out of that zone, as a Director that holds such a Plan
//! does. But nobody holds the Plan that a mark names, so that it is of no use to ask for it; the mark of another master that
//! lives comes again a minute later; and a name server with a mark is no Director.
//!
//! **Rule.** Marks are kept apart from what Directors hold. Nodes tell Controllers, and Controllers each other, the highest one.
//! The master begins an epoch above it ([`Contest`] says when), as does whoever takes over.

use super::contest::{Contest, SeenAt};
use super::{Controller, Refusal};
use crate::plan::PlanNumber;
use crate::world::Time;

/// The highest number in a mark, and what is done about it.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    highest: Option<PlanNumber>,
    contest: Contest,
}

impl Marks {
    pub(super) const fn new(now: Time) -> Self {
        Self { highest: None, contest: Contest::new(SeenAt::Mark, now) }
    }

    /// The highest that was ever told.
    pub(super) const fn highest(&self) -> Option<&PlanNumber> {
        self.highest.as_ref()
    }
}

impl Controller {
    /// Somebody saw this in a zone; `who` is for people.
    ///
    /// # Errors
    /// If it cannot be right.
    pub(super) fn marks_seen(&mut self, number: PlanNumber) -> Result<(), Refusal> {
        self.numbering.check_claim(&number)?;
        self.note_marks(number);
        Ok(())
    }

    /// A number that was checked.
    pub(super) fn note_marks(&mut self, number: PlanNumber) {
        if self.marks.highest.as_ref().is_none_or(|highest| *highest < number) {
            self.marks.highest = Some(number);
            self.attend_soon();
        }
    }

    /// When the master goes above a mark, if it is behind one.
    pub(super) fn next_of_marks(&self) -> Option<Time> {
        let is_behind = self.is_master() && self.numbering.is_below(self.marks.highest());
        is_behind.then(|| self.marks.contest.not_before())
    }

    /// A master that is behind a mark goes above it, if the time has come.
    pub(super) fn attend_marks(&mut self) {
        if !self.is_master() || !self.numbering.is_below(self.marks.highest()) {
            return;
        }
        let Some(above) = self.marks.highest.clone() else { return };
        let detection = self.configuration.control.detection;
        if self.hear_each_other(&above.controller) {
            self.marks.contest.is_over(detection);
        }
        if self.marks.contest.not_before() > self.now {
            return;
        }
        self.marks.contest.goes_above((&self.name, &above.controller), detection, self.now);
        self.go_above();
        let epoch = self.numbering.current().epoch;
        self.warn(format!(
            "a name server is marked with Plan {above}, which is above ours: going on in epoch {epoch}"
        ));
    }
}
