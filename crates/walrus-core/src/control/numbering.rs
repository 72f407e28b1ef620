//! Which number the next Plan gets, so that no Director ever refuses it for being old.

use super::Refusal;
use crate::plan::PlanNumber;
use crate::world::Name;

const EPOCH_MAX: u64 = PlanNumber::EPOCH_MAX;

/// What is claimed up to here is believed: half as far as epochs go.
const CLAIM_MAX: u64 = 1 << 61;

/// Beyond that, so many epochs above what is known.
const CLAIM_ABOVE_MAX: u64 = 1 << 20;

/// The number of the Plan in force and what comes after it.
#[derive(Clone, Debug)]
pub(super) struct Numbering {
    controller: Name,
    epoch: u64,
    /// Of the last Plan; 0 before the first of this epoch.
    sequence: u64,
    /// The epoch is written down, or about to be.
    stored: bool,
    /// The highest number known of others' Plans.
    known: Option<PlanNumber>,
}

impl Numbering {
    /// Begins an epoch above the highest of `seen`.
    pub(super) fn new(controller: Name, seen: impl IntoIterator<Item = u64>) -> Self {
        let highest = seen.into_iter().filter(|epoch| *epoch < EPOCH_MAX).max().unwrap_or(0);
        Self { controller, epoch: highest + 1, sequence: 0, stored: false, known: None }
    }

    /// Goes on from what is stored without an epoch of its own: nothing is published before
    /// [`Self::take_over`].
    pub(super) fn standby(controller: Name, epoch: u64, plan: Option<PlanNumber>) -> Self {
        let epoch = if epoch < EPOCH_MAX { epoch } else { 0 };
        let known = plan.filter(PlanNumber::is_plausible);
        Self { controller, epoch, sequence: 0, stored: true, known }
    }

    /// The number of the last Plan.
    pub(super) fn current(&self) -> PlanNumber {
        let Self { controller, epoch, sequence, .. } = self;
        PlanNumber { epoch: *epoch, controller: controller.clone(), sequence: *sequence }
    }

    /// The number after that.
    pub(super) fn following(&self) -> PlanNumber {
        PlanNumber { sequence: self.sequence + 1, ..self.current() }
    }

    /// The following number is taken.
    pub(super) const fn advance(&mut self) {
        self.sequence += 1;
    }

    /// The epoch, if it must be written down before the next Plan goes out; once.
    pub(super) const fn take_unstored(&mut self) -> Option<u64> {
        if self.stored {
            return None;
        }
        self.stored = true;
        Some(self.epoch)
    }

    /// Whether the epoch waits to be written down.
    pub(super) const fn is_unstored(&self) -> bool {
        !self.stored
    }

    /// Somebody holds or knows of this Plan.
    ///
    /// # Errors
    /// If the epoch cannot be right.
    pub(super) fn note(&mut self, number: &PlanNumber) -> Result<(), Refusal> {
        if !number.is_plausible() {
            return Err(Refusal::Epoch(number.epoch));
        }
        if self.known.as_ref().is_none_or(|known| known < number) {
            self.known = Some(number.clone());
        }
        Ok(())
    }

    /// A Director or a name server says that it holds this Plan. Unlike a Controller's word, that must be near what
    /// is known, or far below what can be counted: else one of them could drive epochs to where they end.
    ///
    /// # Errors
    /// If the epoch cannot be right.
    pub(super) fn note_claim(&mut self, number: &PlanNumber) -> Result<(), Refusal> {
        self.check_claim(number)?;
        self.note(number)
    }

    /// Checks what is claimed.
    ///
    /// # Errors
    /// If the epoch cannot be right.
    pub(super) fn check_claim(&self, number: &PlanNumber) -> Result<(), Refusal> {
        let known = self.known.as_ref().map_or(0, |known| known.epoch).max(self.epoch);
        let believed = number.epoch <= CLAIM_MAX.max(known.saturating_add(CLAIM_ABOVE_MAX));
        if believed && number.is_plausible() { Ok(()) } else { Err(Refusal::Epoch(number.epoch)) }
    }

    /// The highest number known, one's own included.
    pub(super) fn highest(&self) -> Option<PlanNumber> {
        let own = (self.sequence > 0).then(|| self.current());
        own.max(self.known.clone())
    }

    /// Whether a Plan is known that Directors would prefer to the next of this epoch.
    pub(super) fn is_behind(&self) -> bool {
        self.is_below(self.known.as_ref())
    }

    /// Whether the next Plan of this epoch would not be above this one.
    pub(super) fn is_below(&self, other: Option<&PlanNumber>) -> bool {
        other.is_some_and(|other| *other >= self.following())
    }

    /// Begins an epoch above all that is known, and above the highest mark.
    pub(super) fn take_over(&mut self, marked: Option<&PlanNumber>) {
        let known = self.known.as_ref().max(marked).map_or(0, |known| known.epoch);
        self.epoch = self.epoch.max(known) + 1;
        self.sequence = 0;
        self.stored = false;
    }

    /// A Director holds this: if it would refuse our Plans, begins an epoch above and tells so.
    ///
    /// # Errors
    /// If the epoch cannot be right.
    pub(super) fn seen(&mut self, held: &PlanNumber) -> Result<bool, Refusal> {
        if *held <= self.current() {
            return Ok(false);
        }
        self.check_claim(held)?;
        self.epoch = held.epoch + 1;
        self.sequence = 0;
        self.stored = false;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_above_all_that_was_seen() {
        let me: Name = "berlin".parse().unwrap();
        let mut numbering = Numbering::new(me.clone(), [3, 7, u64::MAX]);
        assert_eq!(numbering.take_unstored(), Some(8));
        assert_eq!(numbering.take_unstored(), None);
        numbering.advance();
        assert!(!numbering.seen(&numbering.current()).unwrap(), "our own");
        let other = PlanNumber { epoch: 8, controller: "zurich".parse().unwrap(), sequence: 0 };
        assert!(numbering.seen(&other).unwrap(), "the same epoch of a later name");
        assert_eq!(numbering.take_unstored(), Some(9));
        assert_eq!(numbering.following().to_string(), "9/berlin/1");
        let absurd = PlanNumber { epoch: u64::MAX, controller: me, sequence: 0 };
        assert_eq!(numbering.seen(&absurd), Err(Refusal::Epoch(u64::MAX)));
    }

    #[test]
    fn a_standby_takes_over_above_all_that_it_knows() {
        let me: Name = "berlin".parse().unwrap();
        let number = |epoch, controller: &str, sequence| PlanNumber {
            epoch,
            controller: controller.parse().unwrap(),
            sequence,
        };
        let mut numbering = Numbering::standby(me, 3, Some(number(2, "rome", 9)));
        assert_eq!(numbering.take_unstored(), None, "it uses no epoch yet");
        assert_eq!(numbering.highest(), Some(number(2, "rome", 9)));
        numbering.note(&number(7, "rome", 1)).unwrap();
        numbering.note(&number(5, "zurich", 1)).unwrap();
        assert!(numbering.note(&number(1 << 62, "zurich", 1)).is_err());
        numbering.take_over(None);
        assert_eq!(numbering.take_unstored(), Some(8));
        assert_eq!(numbering.highest(), Some(number(7, "rome", 1)));
        assert!(!numbering.is_behind());
        numbering.advance();
        assert_eq!(numbering.highest(), Some(number(8, "berlin", 1)));
        numbering.note(&number(8, "aachen", 40)).unwrap();
        assert!(!numbering.is_behind(), "an earlier name of the same epoch");
        numbering.note(&number(8, "berlin", 2)).unwrap();
        assert!(numbering.is_behind(), "ours, of a life before that was not written down");
    }

    #[test]
    fn no_claim_drives_epochs_to_their_end() {
        let number = |epoch| PlanNumber { epoch, controller: "rome".parse().unwrap(), sequence: 1 };
        let mut numbering = Numbering::new("berlin".parse().unwrap(), [3]);
        let end = number(EPOCH_MAX - 1);
        assert_eq!(numbering.note_claim(&end), Err(Refusal::Epoch(EPOCH_MAX - 1)));
        assert_eq!(numbering.seen(&end), Err(Refusal::Epoch(EPOCH_MAX - 1)));
        numbering.note_claim(&number(CLAIM_MAX)).unwrap();
        numbering.take_over(None);
        let own = numbering.following();
        assert!(own.is_plausible() && own.epoch == CLAIM_MAX + 1);
        // What Directors then hold is believed all the same.
        numbering.note_claim(&own).unwrap();
        numbering.note_claim(&number(CLAIM_MAX + 2)).unwrap();
    }
}
