//! Which number the next Plan gets, so that no Director ever refuses it for being old.

use super::Refusal;
use crate::plan::PlanNumber;
use crate::world::Name;

/// No count of starts comes near it; whoever says so is wrong, and one more could not be counted.
const EPOCH_MAX: u64 = 1 << 62;

/// The number of the Plan in force and what comes after it.
#[derive(Clone, Debug)]
pub(super) struct Numbering {
    controller: Name,
    epoch: u64,
    /// Of the last Plan; 0 before the first of this epoch.
    sequence: u64,
    /// The epoch is yet to be written down.
    stored: bool,
}

impl Numbering {
    /// Begins an epoch above the highest of `seen`.
    pub(super) fn new(controller: Name, seen: impl IntoIterator<Item = u64>) -> Self {
        let highest = seen.into_iter().filter(|epoch| *epoch < EPOCH_MAX).max().unwrap_or(0);
        Self { controller, epoch: highest + 1, sequence: 0, stored: false }
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

    /// A Director holds this: if it would refuse our Plans, begins an epoch above and tells so.
    ///
    /// # Errors
    /// If the epoch cannot be right.
    pub(super) fn seen(&mut self, held: &PlanNumber) -> Result<bool, Refusal> {
        if *held <= self.current() {
            return Ok(false);
        }
        if held.epoch >= EPOCH_MAX {
            return Err(Refusal::Epoch(held.epoch));
        }
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
}
