//! One zone's record sets by name, read through views over a compact form.

use std::cmp::Ordering;
use std::fmt;
use std::iter::Peekable;
use std::sync::Arc;

use walrus_dns::{DomainName, record_type};

use super::Nsec3Chain;
use super::arena::{Arena, Nodes, RECORD_HEAD_LEN, is_compressed};
use super::builder::{ArenaBuilder, Unfit};

/// One zone: its records by name, in canonical order (an ancestor comes before what is below it).
/// Empty non-terminals have no entry of their own; whoever needs them derives them.
///
/// It is never changed: [`Zone::with_sets`] makes another, in time linear in the names of both.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    apex: DomainName,
    arena: Arena,
    unfit: Vec<Unfit>,
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
    /// A zone of these sets in any order. Every name must be at or below the apex, others are left
    /// out; of two sets of one type at one name the later replaces the earlier; a set without data
    /// is left out.
    #[must_use]
    pub fn from_sets(
        apex: DomainName,
        sets: impl IntoIterator<Item = (DomainName, RecordSet)>,
    ) -> Self {
        Self::finish(ArenaBuilder::new(apex.clone(), usize::MAX), apex).with_sets(sets)
    }

    /// A zone of sets that come in canonical order of their names, each type once a name, none
    /// without data: written as they come, so that nothing but the zone itself grows with them.
    pub(crate) fn from_sorted_sets(
        apex: DomainName,
        sets: impl IntoIterator<Item = (DomainName, RecordSet)>,
    ) -> Self {
        let mut builder = ArenaBuilder::new(apex.clone(), usize::MAX);
        let mut last: Option<DomainName> = None;
        for (name, set) in sets {
            if last.as_ref() != Some(&name) {
                if last.is_some() {
                    builder.end();
                }
                let wire = name.as_wire();
                builder.begin(&wire[..wire.len().saturating_sub(apex.as_wire().len())]);
                last = Some(name);
            }
            builder.write(set.record_type, set.ttl, &set.data, &set.signatures);
        }
        if last.is_some() {
            builder.end();
        }
        Self::finish(builder, apex)
    }

    /// The zone of a builder's entries.
    pub(super) fn finish(builder: ArenaBuilder, apex: DomainName) -> Self {
        let (arena, unfit) = builder.finish();
        Self { apex, arena, unfit, nsec3: None }
    }

    /// This zone with these sets instead of its own of the same name and type. A set without data
    /// removes; a name without sets goes.
    #[must_use]
    pub fn with_sets(&self, sets: impl IntoIterator<Item = (DomainName, RecordSet)>) -> Self {
        let mut sets: Vec<(DomainName, RecordSet)> =
            sets.into_iter().filter(|(name, _)| name.is_within(&self.apex)).collect();
        // Stable: of two with one name and type the later one counts.
        sets.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut builder = ArenaBuilder::new(self.apex.clone(), usize::MAX);
        let mut own = self.arena.iter().peekable();
        let mut rest = sets.as_slice();
        while let Some((name, _)) = rest.first() {
            let count = rest.iter().take_while(|(other, _)| other == name).count();
            let (changed, others) = rest.split_at(count);
            rest = others;
            let relative = self.relative(name);
            copy_until(&mut own, Some(relative), &mut builder);
            let present = own
                .next_if(|(_, node)| node.name() == relative)
                .map_or_else(Sets::default, |(_, node)| node.sets());
            builder.begin(relative);
            let is_changed = |kind: u16| changed.iter().any(|(_, set)| set.record_type == kind);
            present.iter().filter(|set| !is_changed(set.record_type)).for_each(|set| {
                builder.copy(set);
            });
            for (place, (_, set)) in changed.iter().enumerate() {
                let is_last = changed[place + 1..]
                    .iter()
                    .all(|(_, other)| other.record_type != set.record_type);
                if is_last && !set.data.is_empty() {
                    builder.write(set.record_type, set.ttl, &set.data, &set.signatures);
                }
            }
            builder.end();
        }
        copy_until(&mut own, None, &mut builder);
        let nsec3 = self.nsec3.clone();
        Self { nsec3, ..Self::finish(builder, self.apex.clone()) }
    }

    /// This zone with this chain of NSEC3 records, or without any.
    #[must_use]
    pub fn with_nsec3(self, chain: Option<Arc<Nsec3Chain>>) -> Self {
        Self { nsec3: chain, ..self }
    }

    /// Whether its SOA record is signed: then all of it is.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        let soa = self.set(&self.apex, record_type::SOA);
        soa.is_some_and(|soa| soa.signatures().next().is_some())
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

    pub(crate) const fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Whether a set was left out because no reply has room for it (65,535 bytes).
    #[must_use]
    pub fn has_oversized_set(&self) -> bool {
        !self.unfit.is_empty()
    }

    /// What was to stand in the zone and cannot.
    pub(crate) fn unfit(&self) -> &[Unfit] {
        &self.unfit
    }

    /// How many names have records.
    #[must_use]
    pub const fn name_count(&self) -> usize {
        self.arena.names()
    }

    /// Bytes of memory that names and records take.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.arena.memory()
    }

    /// How long "no" may be remembered, in seconds: the SOA's TTL or its last field, whichever is
    /// less (RFC 2308 section 5), for NSEC records too (RFC 9077); not at all without a SOA record.
    #[must_use]
    pub fn negative_ttl(&self) -> u32 {
        let soa = self.set(&self.apex, record_type::SOA);
        let minimum = |soa: SetView<'_>| {
            let minimum = *soa.data().next()?.last_chunk::<4>()?;
            Some(soa.ttl().min(u32::from_be_bytes(minimum)))
        };
        soa.and_then(minimum).unwrap_or(0)
    }

    /// The sets of a name; none if it has no records.
    #[must_use]
    pub fn sets(&self, name: &DomainName) -> Sets<'_> {
        if !name.is_within(&self.apex) {
            return Sets::default();
        }
        self.arena.find(self.relative(name)).map_or_else(Sets::default, |(_, node)| node.sets())
    }

    /// The set of one type at a name.
    #[must_use]
    pub fn set(&self, name: &DomainName, record_type: u16) -> Option<SetView<'_>> {
        self.sets(name).of_type(record_type)
    }

    /// All names that have records, in canonical order.
    pub fn iter(&self) -> impl Iterator<Item = (DomainName, Sets<'_>)> {
        self.arena.iter().map(|(_, node)| (self.absolute(node.name()), node.sets()))
    }

    /// The last name with records that is at or before this one in canonical order.
    #[must_use]
    pub fn at_or_before(&self, name: &DomainName) -> Option<DomainName> {
        let found = if name.is_within(&self.apex) {
            self.arena.at_or_before(self.relative(name))
        } else if *name < self.apex {
            None
        } else {
            // Behind all that is below the apex.
            self.arena.last()
        };
        found.map(|(_, node)| self.absolute(node.name()))
    }

    /// The first name with records that is after this one in canonical order.
    #[must_use]
    pub fn after(&self, name: &DomainName) -> Option<DomainName> {
        let found = if name.is_within(&self.apex) {
            self.arena.after(self.relative(name))
        } else if *name < self.apex {
            self.arena.iter().next()
        } else {
            None
        };
        found.map(|(_, node)| self.absolute(node.name()))
    }

    /// A name of the zone without the apex.
    fn relative<'n>(&self, name: &'n DomainName) -> &'n [u8] {
        let wire = name.as_wire();
        &wire[..wire.len().saturating_sub(self.apex.as_wire().len())]
    }

    /// A relative name with the apex.
    pub(crate) fn absolute(&self, relative: &[u8]) -> DomainName {
        let wire = [relative, self.apex.as_wire()].concat();
        // It was one before it was made relative.
        DomainName::from_wire(&wire).unwrap_or_else(|_| DomainName::root())
    }
}

/// Copies what comes before a relative name, or all the rest.
fn copy_until(own: &mut Peekable<Nodes<'_>>, end: Option<&[u8]>, builder: &mut ArenaBuilder) {
    let is_before = |name: &[u8]| {
        end.is_none_or(|end| walrus_dns::compare_canonically(name, end) == Ordering::Less)
    };
    while let Some((_, node)) = own.next_if(|(_, node)| is_before(node.name())) {
        builder.begin(node.name());
        node.sets().iter().for_each(|set| builder.copy(set));
        builder.end();
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The sets of one name.
#[derive(Clone, Copy, Default)]
pub struct Sets<'a> {
    pub(super) count: u8,
    /// Behind them lies what is not theirs.
    pub(super) bytes: &'a [u8],
}

impl<'a> Sets<'a> {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> usize {
        self.count as usize
    }

    /// Their bytes, and what follows them.
    pub(crate) const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// How many bytes they have.
    pub(crate) fn len(self) -> usize {
        let mut rest = self;
        while rest.next_set().is_some() {}
        self.bytes.len() - rest.bytes.len()
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = SetView<'a>> {
        let mut rest = self;
        std::iter::from_fn(move || rest.next_set())
    }

    /// The set of this type.
    #[must_use]
    #[inline]
    pub fn of_type(self, record_type: u16) -> Option<SetView<'a>> {
        self.iter().find(|set| set.record_type == record_type)
    }
}

impl fmt::Debug for Sets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(SetView::to_set)).finish()
    }
}

/// One set.
#[derive(Clone, Copy, Debug)]
pub struct SetView<'a> {
    pub(super) record_type: u16,
    pub(super) record_count: u16,
    pub(super) records: &'a [u8],
    pub(super) signature_count: u16,
    pub(super) signature_records: &'a [u8],
    /// Data behind its length, for the types whose data is compressed in `records`.
    pub(super) uncompressed: &'a [u8],
}

impl<'a> SetView<'a> {
    /// The type's number.
    #[must_use]
    pub const fn record_type(self) -> u16 {
        self.record_type
    }

    /// Seconds.
    #[must_use]
    pub fn ttl(self) -> u32 {
        // Behind pointer, type and class of the first record.
        let ttl = self.records.get(6..10).and_then(|ttl| ttl.try_into().ok());
        ttl.map_or(0, u32::from_be_bytes)
    }

    /// How many records there are.
    #[must_use]
    pub const fn record_count(self) -> usize {
        self.record_count as usize
    }

    /// Each record's data, uncompressed.
    pub fn data(self) -> impl Iterator<Item = &'a [u8]> {
        if is_compressed(self.record_type) {
            Data { rest: self.uncompressed, skip: 0 }
        } else {
            Data::of_records(self.records)
        }
    }

    /// Data of the RRSIG records over this set.
    pub fn signatures(self) -> impl Iterator<Item = &'a [u8]> {
        Data::of_records(self.signature_records)
    }

    /// The records as they go into a reply to a question for their owner, and how many: owners are
    /// pointers to the question, names in data are compressed against it.
    #[inline]
    pub(crate) const fn prebuilt(self) -> (u16, &'a [u8]) {
        (self.record_count, self.records)
    }

    /// The same for the RRSIG records over this set.
    #[inline]
    pub(crate) const fn prebuilt_signatures(self) -> (u16, &'a [u8]) {
        (self.signature_count, self.signature_records)
    }

    /// A copy to change and put into another zone.
    #[must_use]
    pub fn to_set(self) -> RecordSet {
        RecordSet {
            record_type: self.record_type,
            ttl: self.ttl(),
            data: self.data().map(Box::from).collect(),
            signatures: self.signatures().map(Box::from).collect(),
        }
    }
}

/// Data behind its length, after some bytes to skip.
struct Data<'a> {
    rest: &'a [u8],
    skip: usize,
}

impl<'a> Data<'a> {
    const fn of_records(records: &'a [u8]) -> Self {
        Self { rest: records, skip: RECORD_HEAD_LEN - 2 }
    }
}

impl<'a> Iterator for Data<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.rest.get(self.skip..)?.split_first_chunk::<2>()?;
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        self.rest = rest;
        Some(data)
    }
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
