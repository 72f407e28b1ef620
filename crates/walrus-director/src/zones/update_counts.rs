//! What became of updates, in numbers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One number. Only the zone keeper adds.
#[derive(Debug, Default)]
pub(crate) struct Number(AtomicU64);

impl Number {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Since the start.
#[derive(Debug, Default)]
pub(crate) struct UpdateCounts {
    pub(crate) done: Number,
    pub(crate) unchanged: Number,
    pub(crate) prerequisites: Number,
    pub(crate) refused: Number,
    pub(crate) unsigned: Number,
    pub(crate) failed: Number,
}

/// The same at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpdateCount {
    /// Acknowledged, with a change that is in the journal.
    pub done: u64,
    /// Acknowledged, and nothing was to be changed.
    pub unchanged: u64,
    /// A prerequisite did not hold.
    pub prerequisites: u64,
    /// Signed rightly, and not allowed or no update.
    pub refused: u64,
    /// Not signed, or not rightly.
    pub unsigned: u64,
    /// The disk refused, or the zone could not be served.
    pub failed: u64,
}

impl UpdateCounts {
    pub(crate) fn snapshot(&self) -> UpdateCount {
        let of = |number: &Number| number.0.load(Relaxed);
        UpdateCount {
            done: of(&self.done),
            unchanged: of(&self.unchanged),
            prerequisites: of(&self.prerequisites),
            refused: of(&self.refused),
            unsigned: of(&self.unsigned),
            failed: of(&self.failed),
        }
    }
}
