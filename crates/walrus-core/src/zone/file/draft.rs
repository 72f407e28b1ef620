//! Records that come one by one, as a zone that is transferred does, put together and checked like a
//! zone file's.

use walrus_dns::DomainName;

use super::by_domain::is_well_formed;
use super::check::type_name;
use super::records::{Part, Record, Records};
use super::{Notes, Place, ZoneFile, ZoneReader};
use crate::config::Problem;

/// A zone in the making.
#[derive(Debug)]
pub struct ZoneDraft {
    apex: DomainName,
    records: Records,
    keeps_signatures: bool,
    memory_max: usize,
}

impl ZoneDraft {
    /// A draft for a zone of at most so many bytes of memory; with or without what is signed in it.
    #[must_use]
    pub fn new(apex: DomainName, keeps_signatures: bool, memory_max: usize) -> Self {
        Self { apex, records: Records::default(), keeps_signatures, memory_max }
    }

    /// Adds a record whose data is uncompressed; `false` if its owner is not in the zone.
    pub fn push(&mut self, owner: &DomainName, record_type: u16, ttl: u32, data: &[u8]) -> bool {
        if !owner.is_within(&self.apex) {
            return false;
        }
        let wire = owner.as_wire();
        let owner = &wire[..wire.len().saturating_sub(self.apex.as_wire().len())];
        self.records.push(&Record { owner, record_type, ttl, place: Place::ZONE, data });
        true
    }

    /// Bytes of memory that its records take.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.records.memory()
    }

    /// Whether it takes more than may be.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.records.memory() > self.reader("").records_max()
    }

    /// The zone. `source` says where it comes from, for the problems.
    ///
    /// # Errors
    /// All problems, but no more than a hundred.
    pub fn finish(self, source: &str) -> Result<ZoneFile, Vec<Problem>> {
        let Self { apex, records, keeps_signatures, memory_max } = self;
        let reader = ZoneReader::new(source, &apex)
            .keeping_signatures(keeps_signatures)
            .with_memory_max(memory_max);
        let notes = Notes { is_lenient: true, ..Notes::new(source) };
        reader.finish(vec![Part { records, lines_before: 0 }], notes)
    }

    fn reader<'a>(&'a self, source: &'a str) -> ZoneReader<'a> {
        ZoneReader::new(source, &self.apex).with_memory_max(self.memory_max)
    }
}

/// Whether data can be read as its type, to the last byte; of a type that nobody knows all can.
#[must_use]
pub fn is_data_of(record_type: u16, data: &[u8]) -> bool {
    is_well_formed(type_name(record_type), data)
}
