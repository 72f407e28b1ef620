//! The Worlds of a replay: one for all of it, or a journal's, each for the lines that were answered
//! from its Plan.

use walrus_core::control::JournalRecord;
use walrus_core::plan::{Memory, PlanNumber};
use walrus_core::world::Topology;

use super::world::Snapshot;

/// The records of a journal, in its order: the oldest first. `None` at its end. Lines that are none
/// are left out by whoever reads them.
pub type Records<'a> = Box<dyn FnMut() -> Option<JournalRecord> + 'a>;

/// A journal that is read on as the log's lines come.
pub(super) struct JournalReader<'a> {
    records: Records<'a>,
    /// The next record, which has not been decided yet.
    next: Option<JournalRecord>,
    /// The number of the record in force.
    pub(super) number: PlanNumber,
}

impl<'a> JournalReader<'a> {
    /// At the first record; `None` if there is none.
    pub(super) fn open(mut records: Records<'a>) -> Option<(Self, JournalRecord)> {
        let first = records()?;
        let next = records();
        let number = first.number.clone();
        Some((Self { records, next, number }, first))
    }

    /// The next record if it comes before or with this Plan, or in any case without one.
    pub(super) fn next_until(&mut self, plan: Option<&PlanNumber>) -> Option<JournalRecord> {
        let record = self.next.take_if(|next| plan.is_none_or(|plan| next.number <= *plan))?;
        self.next = (self.records)();
        self.number = record.number.clone();
        Some(record)
    }
}

/// What a record says of the World, and what was remembered, in terms of its topology.
pub(super) fn told(record: &JournalRecord, topology: &Topology) -> (Snapshot, Memory) {
    (Snapshot::of_record(record, topology), record.memory.clone())
}
