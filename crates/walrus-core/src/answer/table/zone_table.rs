//! All zones' static names in one read-only table: a query's name to its prebuilt record sets.
//!
//! The entries are those of the zones themselves ([`crate::zone::arena`]); the table adds slots to
//! find them by hash, and entries of its own for the few names at which more than one zone's records
//! count. A lookup costs two or three cache misses even with a million names: the slot and the
//! entry's line or two.

use std::collections::BTreeMap;
use std::sync::Arc;

use walrus_dns::{DomainName, record_type, reply, split_label};

use super::compile::{self, ZoneCompileError};
use super::slots::{self, Place, Slots};
use crate::answer::complete::{CompleteIndex, Lack};
use crate::world::ServiceTypes;
use crate::zone::arena::Node;
pub(in crate::answer) use crate::zone::arena::flags;
use crate::zone::{Nsec3Chain, SetView, Zone};

/// Static names of all zones, and where services live among them.
#[derive(Clone, Debug)]
pub struct ZoneTable {
    pub(super) slots: Slots,
    /// Entries of the table's own, with absolute names, each behind its zone (2) and its service
    /// (4): empty non-terminals, names of services, and names whose marks depend on other zones.
    /// Their zones' entries of the same name are not found then.
    pub(super) own: Vec<u8>,
    pub(super) zones: Box<[ZoneHead]>,
    pub(super) services: Box<[DomainName]>,
    /// No name has more labels.
    pub(super) labels_max: usize,
    pub(super) names: usize,
    /// The same zones for the complete path.
    pub(super) complete: CompleteIndex,
}

/// What replies about a whole zone need.
#[derive(Clone, Debug)]
pub(super) struct ZoneHead {
    pub(super) zone: Arc<Zone>,
    /// The lesser of the SOA record's TTL and its minimum (RFC 2308 section 5).
    pub(super) negative_ttl: u32,
    /// Uncompressed.
    pub(super) soa: Soa,
    /// Whether its SOA record is signed: then all of it is.
    pub(super) signed: bool,
}

/// A SOA record's data, taken apart for compression against whatever is asked.
#[derive(Clone, Debug)]
pub(super) struct Soa {
    pub(super) primary: Box<[u8]>,
    pub(super) mailbox: Box<[u8]>,
    /// Serial, refresh, retry, expire, minimum.
    pub(super) numbers: [u8; 20],
}

/// In front of an entry of the table's own: zone (2), service (4).
pub(super) const OWN_HEAD_LEN: usize = 6;
/// The [`Place::run`] of the table's own entries.
pub(super) const OWN: u16 = u16::MAX;
/// The longest name in wire format (RFC 1035 section 2.3.4).
pub(in crate::answer) const NAME_LEN_MAX: usize = 255;
/// Bytes that memory comes in.
const CACHE_LINE: usize = 64;
/// Lines of an entry that are fetched ahead: head, name and an address or two begin anywhere in a
/// line; what is longer is read in order, which processors foresee by themselves.
const LINES_AHEAD: usize = 2;
/// No service lives here.
pub(super) const NO_SERVICE: u32 = u32::MAX;

impl ZoneTable {
    /// Compiles zones and the places of services. Services are told apart by their place in
    /// `services`; their A and AAAA records replace static ones.
    ///
    /// # Errors
    /// If a service has no place in the zones, a zone is given twice or lacks its SOA record, or a
    /// limit is passed.
    pub fn compile(zones: &[Arc<Zone>], services: &[DomainName]) -> Result<Self, ZoneCompileError> {
        compile::compile(zones, services, &BTreeMap::new(), &BTreeMap::new())
    }

    /// The same beside zones of ours that must not be answered yet: whatever is at or below their
    /// apexes is refused, or fails, by what they lack, also where a zone above would say that it does not exist. None of them may
    /// be among `zones`, nor any service within them. And beside services that do not fit what their zones
    /// hold, with the types that they would give: these are refused at their names.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn compile_beside(
        zones: &[Arc<Zone>],
        services: &[DomainName],
        waiting: &BTreeMap<DomainName, Lack>,
        refused: &BTreeMap<DomainName, ServiceTypes>,
    ) -> Result<Self, ZoneCompileError> {
        compile::compile(zones, services, waiting, refused)
    }

    /// Names of the services, as they were given.
    #[must_use]
    pub fn services(&self) -> &[DomainName] {
        &self.services
    }

    /// The zone with this apex.
    #[must_use]
    pub fn zone(&self, apex: &DomainName) -> Option<&Arc<Zone>> {
        self.zones.iter().map(|head| &head.zone).find(|zone| zone.apex() == apex)
    }

    /// The zone that a name is in: the one with the nearest apex.
    #[must_use]
    pub fn zone_of(&self, name: &DomainName) -> Option<&Arc<Zone>> {
        let above = self.zones.iter().map(|head| &head.zone);
        above
            .filter(|zone| name.is_within(zone.apex()))
            .max_by_key(|zone| zone.apex().label_count())
    }

    /// The same zones for the complete path.
    pub(in crate::answer) const fn complete(&self) -> &CompleteIndex {
        &self.complete
    }

    /// How many names the table holds, empty non-terminals among them.
    #[must_use]
    pub const fn names(&self) -> usize {
        self.names
    }

    /// Bytes of memory that names and records take.
    #[must_use]
    pub fn memory(&self) -> usize {
        let zones = self.zones.iter().map(|head| head.zone.memory());
        self.own.len() + self.slots.memory() + zones.sum::<usize>()
    }

    /// The entry of a name in lower-case wire format.
    #[inline]
    pub(in crate::answer) fn find(&self, name: &[u8]) -> Option<Entry<'_>> {
        self.find_place(name).map(|(_, entry)| entry)
    }

    #[inline]
    pub(super) fn find_place(&self, name: &[u8]) -> Option<(Place, Entry<'_>)> {
        self.slots.find(slots::hash(name), |place| {
            let entry = self.entry(place)?;
            entry.is_at(name).then_some((place, entry))
        })
    }

    /// The entry at a place.
    #[inline]
    pub(super) fn entry(&self, place: Place) -> Option<Entry<'_>> {
        let at = place.at as usize;
        if place.run == OWN {
            let (&[zone_0, zone_1, a, b, c, d], entry) =
                self.own.get(at..)?.split_first_chunk::<OWN_HEAD_LEN>()?;
            let zone = u16::from_be_bytes([zone_0, zone_1]);
            let service = u32::from_be_bytes([a, b, c, d]);
            return Some(Entry { node: Node::new(entry), apex: &[], zone, service });
        }
        let zone = &self.zones.get(usize::from(place.run))?.zone;
        Some(Entry {
            node: Node::new(zone.arena().bytes().get(at..)?),
            apex: zone.apex().as_wire(),
            zone: place.run,
            service: NO_SERVICE,
        })
    }

    /// Fetches where a name (lower-case wire format) will be looked up; its hash.
    #[inline]
    pub(in crate::answer) fn hash_ahead(&self, name: &[u8], fetch: impl FnOnce(*const u8)) -> u64 {
        let hash = slots::hash(name);
        fetch(self.slots.begin(hash));
        hash
    }

    /// Fetches the first lines of the entry that is most likely meant by a hash.
    #[inline]
    pub(in crate::answer) fn entry_ahead(&self, hash: u64, mut fetch: impl FnMut(*const u8)) {
        let bytes = self.slots.find(hash, |place| {
            let run = match self.zones.get(usize::from(place.run)) {
                Some(head) => head.zone.arena().bytes(),
                None => &self.own,
            };
            run.get(place.at as usize..)
        });
        let lines = bytes.unwrap_or_default().chunks(CACHE_LINE).take(LINES_AHEAD);
        lines.for_each(|line| fetch(line.as_ptr()));
    }

    /// The service that is most likely meant by a hash.
    #[inline]
    pub(in crate::answer) fn service_ahead(&self, hash: u64) -> Option<u32> {
        self.slots.find(hash, |place| self.entry(place)).and_then(|entry| entry.service())
    }

    /// The nearest existing name above one that has no entry (RFC 4592 section 3.3.1); `None` if it
    /// lies in none of our zones.
    pub(in crate::answer) fn closest_encloser(&self, name: &[u8]) -> Option<Entry<'_>> {
        let mut labels = 0;
        let mut rest = name;
        while let Some((_, above)) = split_label(rest) {
            labels += 1;
            rest = above;
        }
        rest = name;
        while let Some((_, above)) = split_label(rest) {
            labels -= 1;
            rest = above;
            // Deeper than any name of ours: spares hashing what a random-name flood invents.
            if labels <= self.labels_max
                && let Some(entry) = self.find(rest)
            {
                return Some(entry);
            }
        }
        None
    }

    /// Whether a zone is signed.
    #[inline]
    pub(in crate::answer) fn is_signed(&self, zone: u16) -> bool {
        self.zones.get(usize::from(zone)).is_some_and(|head| head.signed)
    }

    /// The apex of a zone in lower-case wire format.
    pub(in crate::answer) fn apex(&self, zone: u16) -> &[u8] {
        self.zones.get(usize::from(zone)).map_or(&[0], |head| head.zone.apex().as_wire())
    }

    /// A zone's NSEC3 records, if it proves by them that something is not there.
    pub(in crate::answer) fn nsec3(&self, zone: u16) -> Option<&Nsec3Chain> {
        self.zones.get(usize::from(zone))?.zone.nsec3()
    }

    /// How long a zone's negative answers may be remembered, in seconds (RFC 2308 section 5).
    pub(in crate::answer) fn negative_ttl(&self, zone: u16) -> u32 {
        self.zones.get(usize::from(zone)).map_or(0, |head| head.negative_ttl)
    }

    /// Data of the RRSIG records over a zone's SOA record.
    pub(in crate::answer) fn soa_signatures(&self, zone: u16) -> impl Iterator<Item = &[u8]> {
        let head = self.zones.get(usize::from(zone));
        // The apex comes first in canonical order.
        let soa = head.and_then(|head| head.zone.arena().node(0).sets().of_type(record_type::SOA));
        soa.into_iter().flat_map(SetView::signatures)
    }

    /// The last name of a zone that is at or before `name` (lower-case wire format, in the zone) in
    /// canonical order and has an NSEC set: the one that proves what there is at `name`, or that
    /// there is nothing. `None` in a zone without such sets.
    pub(in crate::answer) fn nsec_at_or_before(&self, zone: u16, name: &[u8]) -> Option<Entry<'_>> {
        let held = &self.zones.get(usize::from(zone))?.zone;
        let apex = held.apex().as_wire();
        let relative = name.get(..name.len().checked_sub(apex.len())?)?;
        let node = held.arena().nsec_at_or_before(relative)?;
        Some(Entry { node, apex, zone, service: NO_SERVICE })
    }

    /// Writes the SOA record of a negative answer for a zone, compressed against the question's
    /// name; the length, or `None` if there is no room.
    pub(in crate::answer) fn write_negative_soa(
        &self,
        zone: u16,
        question: &[u8],
        out: &mut [u8],
    ) -> Option<usize> {
        let head = self.zones.get(usize::from(zone))?;
        // Not simply a pointer: the apex may be the root, which is shorter than one.
        let mut at = reply::write_name(head.zone.apex().as_wire(), question, out)?;
        let [ttl_0, ttl_1, ttl_2, ttl_3] = head.negative_ttl.to_be_bytes();
        let fixed = [0, 6, 0, 1, ttl_0, ttl_1, ttl_2, ttl_3, 0, 0];
        out.get_mut(at..at + fixed.len())?.copy_from_slice(&fixed);
        at += fixed.len();
        let data_at = at;
        at += reply::write_name(&head.soa.primary, question, &mut out[at..])?;
        at += reply::write_name(&head.soa.mailbox, question, &mut out[at..])?;
        out.get_mut(at..at + 20)?.copy_from_slice(&head.soa.numbers);
        at += 20;
        let data_len = u16::try_from(at - data_at).ok()?;
        out[data_at - 2..data_at].copy_from_slice(&data_len.to_be_bytes());
        Some(at)
    }
}

/// One name's entry.
#[derive(Clone, Copy)]
pub(in crate::answer) struct Entry<'a> {
    node: Node<'a>,
    /// What the node's name is relative to.
    apex: &'a [u8],
    zone: u16,
    service: u32,
}

/// A record set as it goes into a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::answer) struct PrebuiltSet<'a> {
    pub(in crate::answer) records: u16,
    pub(in crate::answer) bytes: &'a [u8],
    /// RRSIG records over the set, for those who ask for them.
    pub(in crate::answer) signatures: u16,
    pub(in crate::answer) signature_bytes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Its name in lower-case wire format, put together in `buffer`.
    pub(in crate::answer) fn name(self, buffer: &mut [u8; NAME_LEN_MAX]) -> &[u8] {
        let (relative, apex) = (self.node.name(), self.apex);
        let len = relative.len() + apex.len();
        let Some(name) = buffer.get_mut(..len) else { return &[0] };
        name[..relative.len()].copy_from_slice(relative);
        name[relative.len()..].copy_from_slice(apex);
        name
    }

    /// The length of its name in wire format.
    #[inline]
    pub(in crate::answer) fn name_len(self) -> usize {
        self.node.name().len() + self.apex.len()
    }

    /// Whether both are the same.
    pub(in crate::answer) fn is_same(self, other: Self) -> bool {
        std::ptr::eq(self.node.name().as_ptr(), other.node.name().as_ptr())
    }

    /// The lowest type of its record sets that `is_counted` takes.
    pub(in crate::answer) fn first_type(self, is_counted: impl Fn(u16) -> bool) -> Option<u16> {
        let types = self.node.sets().iter().map(SetView::record_type);
        types.filter(|record_type| is_counted(*record_type)).min()
    }

    /// Whether this is the entry of a name.
    #[inline]
    fn is_at(self, name: &[u8]) -> bool {
        let relative = self.node.name();
        relative.len() + self.apex.len() == name.len()
            && name.starts_with(relative)
            && name.ends_with(self.apex)
    }

    #[inline]
    pub(in crate::answer) fn has(self, flag: u8) -> bool {
        self.node.flags() & flag != 0
    }

    #[inline]
    pub(in crate::answer) const fn zone(self) -> u16 {
        self.zone
    }

    /// The service that lives here: its place among [`ZoneTable::services`].
    #[inline]
    pub(in crate::answer) fn service(self) -> Option<u32> {
        (self.service != NO_SERVICE).then_some(self.service)
    }

    /// Whether anything lives here at all: not so at an empty non-terminal.
    pub(in crate::answer) fn has_data(self) -> bool {
        !self.node.sets().is_empty() || self.service().is_some()
    }

    /// The record set of a type.
    #[inline]
    pub(in crate::answer) fn set(self, record_type: u16) -> Option<PrebuiltSet<'a>> {
        let set = self.node.sets().of_type(record_type)?;
        let (records, bytes) = set.prebuilt();
        let (signatures, signature_bytes) = set.prebuilt_signatures();
        Some(PrebuiltSet { records, bytes, signatures, signature_bytes })
    }

    pub(super) const fn node(self) -> Node<'a> {
        self.node
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{RecordSet, zone_of_nameservers};

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    #[test]
    fn the_nsec_set_at_or_before_a_name_is_found_past_names_without_one() {
        let apex = name("example");
        let set = |record_type| RecordSet {
            record_type,
            ttl: 5,
            data: vec![apex.as_wire().into()],
            ..RecordSet::default()
        };
        let signed = ["example", "a.example", "c.example", "x.d.example"];
        let sets = signed.map(|owner| (name(owner), set(record_type::NSEC)));
        let glue = ["b.example", "glue.c.example", "z.example"];
        let sets = sets.into_iter().chain(glue.map(|owner| (name(owner), set(record_type::A))));
        let zone = zone_of_nameservers(&apex, &[]).with_sets(sets);
        let unsigned = zone_of_nameservers(&name("com"), &[]);
        let table = ZoneTable::compile(&[Arc::new(zone), Arc::new(unsigned)], &[]).unwrap();
        for (asked, expected) in [
            ("example", "example"),
            ("*.example", "example"),
            ("a.example", "a.example"),
            ("x.y.a.example", "a.example"),
            ("b.example", "a.example"),
            ("c.example", "c.example"),
            ("glue.c.example", "c.example"),
            ("d.example", "c.example"),
            ("w.d.example", "c.example"),
            ("zz.example", "x.d.example"),
        ] {
            let entry = table.nsec_at_or_before(0, name(asked).as_wire()).unwrap();
            let mut buffer = [0; NAME_LEN_MAX];
            assert_eq!(entry.name(&mut buffer), name(expected).as_wire(), "{asked}");
            assert_eq!(entry.set(record_type::NSEC).map(|set| set.records), Some(1));
        }
        assert!(table.nsec_at_or_before(1, name("a.com").as_wire()).is_none());
    }
}
