//! A zone's static data, as the answer paths are compiled from it.

use std::collections::BTreeMap;

use walrus_dns::DomainName;

/// One zone: its records by name, in canonical order (an ancestor comes before what is below it).
/// Empty non-terminals have no entry of their own; whoever needs them derives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The apex; every name is at or below it.
    pub apex: DomainName,
    /// Record sets by owner; at the apex exactly one SOA record and at least one NS record.
    pub names: BTreeMap<DomainName, Vec<RecordSet>>,
}

/// All records of one type at one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSet {
    /// The type's number (1 is A).
    pub record_type: u16,
    /// Seconds.
    pub ttl: u32,
    /// Each record's data in uncompressed wire format, without its length, in the file's order.
    pub data: Vec<Box<[u8]>>,
}
