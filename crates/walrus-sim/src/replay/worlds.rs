//! The Worlds of a replay: one for all of it, or a journal's, each for the lines that were answered
//! from its Plan.

use walrus_core::control::JournalRecord;
use walrus_core::plan::{Memory, PlanNumber};
use walrus_core::world::Topology;

use super::asked::Asked;
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
    /// When it was decided, in milliseconds of Unix time, if the journal says so.
    pub(super) unix_ms: Option<u64>,
}

/// A journal at its first record.
pub(super) struct Opened<'a> {
    pub(super) reader: JournalReader<'a>,
    pub(super) first: JournalRecord,
    /// Records before it.
    pub(super) passed_over: u64,
}

impl<'a> JournalReader<'a> {
    /// At the first record that is wanted. The error is a record that is not, if there are such alone.
    pub(super) fn open(
        mut records: Records<'a>,
        is_wanted: &dyn Fn(&JournalRecord) -> bool,
    ) -> Result<Opened<'a>, Option<Box<JournalRecord>>> {
        let (mut unwanted, mut passed_over) = (None, 0);
        let first = loop {
            match records() {
                Some(record) if is_wanted(&record) => break record,
                Some(record) => unwanted = Some(Box::new(record)),
                None => return Err(unwanted),
            }
            passed_over += 1;
        };
        let next = records();
        let (number, unix_ms) = (first.number.clone(), first.unix_ms);
        Ok(Opened { reader: Self { records, next, number, unix_ms }, first, passed_over })
    }

    /// The next record, if it was in force when this was asked or before: by its Plan, and among the
    /// records of a Plan by its time. A question without a Plan goes by its time alone, and one without
    /// either comes after all. Records without a time are from before those that have one.
    pub(super) fn next_until(&mut self, asked: &Asked) -> Option<JournalRecord> {
        let time = (asked.unix_ms > 0).then_some(asked.unix_ms);
        let current = &self.number;
        let record = self.next.take_if(|next| {
            let is_past = next.unix_ms.zip(time).is_none_or(|(decided, asked)| decided <= asked);
            match &asked.plan {
                None => is_past,
                // The two clocks need not agree to the second: the Plan decides.
                Some(plan) if next.number == *plan => is_past || next.number != *current,
                Some(plan) => next.number < *plan,
            }
        })?;
        self.next = (self.records)();
        self.number = record.number.clone();
        self.unix_ms = record.unix_ms;
        Some(record)
    }
}

/// What a record says of the World, and what was remembered, in terms of its topology.
pub(super) fn told(record: &JournalRecord, topology: &Topology) -> (Snapshot, Memory) {
    (Snapshot::of_record(record, topology), record.memory.clone())
}
