//! One zone's record sets by name, read through views so that what lies behind them can be compact.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use walrus_dns::DomainName;

use super::Nsec3Chain;

/// One zone: its records by name, in canonical order (an ancestor comes before what is below it).
/// Empty non-terminals have no entry of their own; whoever needs them derives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    apex: DomainName,
    names: BTreeMap<DomainName, Vec<RecordSet>>,
    nsec3: Option<Arc<Nsec3Chain>>,
}

/// All records of one type at one name, and the signatures over them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordSet {
    /// The type's number (1 is A). Never RRSIG: signatures stand with what they cover.
    pub record_type: u16,
    /// Seconds; the signatures' TTL too (RFC 4034 section 3).
    pub ttl: u32,
    /// Each record's data in uncompressed wire format, without its length, in the file's order.
    pub data: Vec<Box<[u8]>>,
    /// The data of the RRSIG records that cover this set, one a key; empty if it is not signed.
    pub signatures: Vec<Box<[u8]>>,
}

impl Zone {
    /// A zone of these sets in any order. Every name must be at or below the apex; of two sets of
    /// one type at one name the later replaces the earlier; a set without data is left out.
    #[must_use]
    pub fn from_sets(
        apex: DomainName,
        sets: impl IntoIterator<Item = (DomainName, RecordSet)>,
    ) -> Self {
        Self { apex, names: BTreeMap::new(), nsec3: None }.with_sets(sets)
    }

    /// This zone with these sets instead of its own of the same name and type. A set without data
    /// removes; a name without sets goes.
    #[must_use]
    pub fn with_sets(&self, sets: impl IntoIterator<Item = (DomainName, RecordSet)>) -> Self {
        let mut names = self.names.clone();
        for (name, set) in sets {
            let present = names.entry(name.clone()).or_default();
            present.retain(|other| other.record_type != set.record_type);
            if !set.data.is_empty() {
                present.push(set);
            }
            if present.is_empty() {
                names.remove(&name);
            }
        }
        Self { apex: self.apex.clone(), names, nsec3: self.nsec3.clone() }
    }

    /// This zone with this chain of NSEC3 records, or without any.
    #[must_use]
    pub fn with_nsec3(self, chain: Option<Arc<Nsec3Chain>>) -> Self {
        Self { nsec3: chain, ..self }
    }

    /// Its NSEC3 records, if it proves by them that something is not there.
    #[must_use]
    pub fn nsec3(&self) -> Option<&Nsec3Chain> {
        self.nsec3.as_deref()
    }

    /// The apex; every name is at or below it.
    #[must_use]
    pub const fn apex(&self) -> &DomainName {
        &self.apex
    }

    pub(crate) const fn names(&self) -> &BTreeMap<DomainName, Vec<RecordSet>> {
        &self.names
    }

    /// How many names have records.
    #[must_use]
    pub fn name_count(&self) -> usize {
        self.names.len()
    }

    /// The sets of a name; none if it has no records.
    #[must_use]
    pub fn sets(&self, name: &DomainName) -> Sets<'_> {
        Sets { sets: self.names.get(name).map_or(&[][..], Vec::as_slice) }
    }

    /// The set of one type at a name.
    #[must_use]
    pub fn set(&self, name: &DomainName, record_type: u16) -> Option<SetView<'_>> {
        self.sets(name).of_type(record_type)
    }

    /// All names that have records, in canonical order.
    pub fn iter(&self) -> impl Iterator<Item = (DomainName, Sets<'_>)> {
        self.names.iter().map(|(name, sets)| (name.clone(), Sets { sets }))
    }

    /// The last name with records that is at or before this one in canonical order.
    #[must_use]
    pub fn at_or_before(&self, name: &DomainName) -> Option<DomainName> {
        let before = self.names.range((Bound::Unbounded, Bound::Included(name))).next_back();
        before.map(|(name, _)| name.clone())
    }

    /// The first name with records that is after this one in canonical order.
    #[must_use]
    pub fn after(&self, name: &DomainName) -> Option<DomainName> {
        let after = self.names.range((Bound::Excluded(name), Bound::Unbounded)).next();
        after.map(|(name, _)| name.clone())
    }
}

/// The sets of one name.
#[derive(Clone, Copy, Debug)]
pub struct Sets<'a> {
    sets: &'a [RecordSet],
}

impl<'a> Sets<'a> {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.sets.is_empty()
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = SetView<'a>> {
        self.sets.iter().map(|set| SetView { set })
    }

    /// The set of this type.
    #[must_use]
    pub fn of_type(self, record_type: u16) -> Option<SetView<'a>> {
        self.iter().find(|set| set.record_type() == record_type)
    }
}

/// One set.
#[derive(Clone, Copy, Debug)]
pub struct SetView<'a> {
    set: &'a RecordSet,
}

impl<'a> SetView<'a> {
    /// The type's number.
    #[must_use]
    pub const fn record_type(self) -> u16 {
        self.set.record_type
    }

    /// Seconds.
    #[must_use]
    pub const fn ttl(self) -> u32 {
        self.set.ttl
    }

    /// How many records there are.
    #[must_use]
    pub const fn record_count(self) -> usize {
        self.set.data.len()
    }

    /// Each record's data, uncompressed.
    pub fn data(self) -> impl Iterator<Item = &'a [u8]> {
        self.set.data.iter().map(|data| &**data)
    }

    /// Data of the RRSIG records over this set.
    pub fn signatures(self) -> impl Iterator<Item = &'a [u8]> {
        self.set.signatures.iter().map(|data| &**data)
    }

    /// A copy to change and put into another zone.
    #[must_use]
    pub fn to_set(self) -> RecordSet {
        self.set.clone()
    }
}
