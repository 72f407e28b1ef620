//! All zones' static names in one read-only table: a query's name to its prebuilt record sets.
//!
//! An entry is one run of bytes (head, name, record sets), so that a lookup costs two or three
//! cache misses even with a million names: the slot and the entry's line or two. Record sets are
//! stored as they go into a reply: owners point to the question, names in data are compressed
//! against it.

use std::sync::Arc;

use walrus_dns::{DomainName, compare_canonically, reply};

use super::compile::{self, ZoneCompileError};
use super::slots::{self, Slots};
use crate::answer::complete::CompleteIndex;
use crate::zone::Zone;

/// Static names of all zones, and where services live among them.
#[derive(Clone, Debug)]
pub struct ZoneTable {
    pub(super) slots: Slots,
    pub(super) entries: Box<[u8]>,
    pub(super) zones: Box<[ZoneHead]>,
    pub(super) services: Box<[DomainName]>,
    /// No name has more labels.
    pub(super) labels_max: usize,
    pub(super) names: usize,
    /// For each zone the places of entries with an NSEC set, in canonical order.
    #[allow(dead_code, reason = "for negative answers with signatures")]
    pub(super) nsec_order: Box<[Vec<u32>]>,
    /// The same zones for the complete path.
    pub(super) complete: CompleteIndex,
}

/// What replies about a whole zone need.
#[derive(Clone, Debug)]
pub(super) struct ZoneHead {
    pub(super) apex: DomainName,
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

/// Marks of an entry.
pub(in crate::answer) mod flags {
    /// At or below a delegation or below a DNAME: only the complete path answers.
    pub(in crate::answer) const CUT: u8 = 1;
    /// A wildcard directly below, or a DNAME here: names below that do not exist may still have
    /// records.
    pub(in crate::answer) const RECORDS_BELOW: u8 = 2;
    /// It has a CNAME whose target is in one of our zones: the complete path follows it.
    pub(in crate::answer) const CNAME_INSIDE: u8 = 4;
    /// It has a CNAME that leads out of our zones.
    pub(in crate::answer) const CNAME_OUTSIDE: u8 = 8;
    /// A zone begins here.
    pub(in crate::answer) const APEX: u8 = 16;
}

/// An entry's head: name length, flags, zone (2), service (4), record sets (1).
pub(super) const HEAD_LEN: usize = 9;
/// A record set's head: type (2), records (2), their bytes (2), signatures (2), their bytes (2).
pub(super) const SET_HEAD_LEN: usize = 10;
/// The longest name in wire format (RFC 1035 section 2.3.4).
#[allow(dead_code, reason = "for negative answers with signatures")]
pub(in crate::answer) const NAME_LEN_MAX: usize = 255;
/// In an entry's head: no service lives here.
pub(super) const NO_SERVICE: u32 = u32::MAX;

impl ZoneTable {
    /// Compiles zones and the places of services. Services are told apart by their place in
    /// `services`; their A and AAAA records replace static ones.
    ///
    /// # Errors
    /// If a service has no place in the zones, a zone is given twice or lacks its SOA record, or a
    /// limit is passed.
    pub fn compile(zones: &[Arc<Zone>], services: &[DomainName]) -> Result<Self, ZoneCompileError> {
        compile::compile(zones, services)
    }

    /// Names of the services, as they were given.
    #[must_use]
    pub fn services(&self) -> &[DomainName] {
        &self.services
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
        self.entries.len() + self.slots.memory()
    }

    /// The entry of a name in lower-case wire format.
    #[inline]
    pub(in crate::answer) fn find(&self, name: &[u8]) -> Option<Entry<'_>> {
        let is_it = |place: u32| {
            let entry = &self.entries[place as usize..];
            usize::from(entry[0]) == name.len() && entry[HEAD_LEN..].starts_with(name)
        };
        let place = self.slots.find(slots::hash(name), is_it)?;
        Some(Entry { bytes: &self.entries[place as usize..] })
    }

    /// The nearest existing name above one that has no entry (RFC 4592 section 3.3.1); `None` if it
    /// lies in none of our zones.
    pub(in crate::answer) fn closest_encloser(&self, name: &[u8]) -> Option<Entry<'_>> {
        let mut labels = 0;
        let mut rest = name;
        while let [len @ 1..=63, tail @ ..] = rest {
            labels += 1;
            rest = &tail[usize::from(*len)..];
        }
        rest = name;
        while let [len @ 1..=63, tail @ ..] = rest {
            rest = &tail[usize::from(*len)..];
            labels -= 1;
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

    /// The last name of a zone that is at or before `name` (lower-case wire format, in the zone) in
    /// canonical order and has an NSEC set: the one that proves what there is at `name`, or that
    /// there is nothing. `None` in a zone without such sets.
    #[allow(dead_code, reason = "for negative answers with signatures")]
    pub(in crate::answer) fn nsec_at_or_before(&self, zone: u16, name: &[u8]) -> Option<Entry<'_>> {
        let order = self.nsec_order.get(usize::from(zone))?;
        let mut buffer = [0; NAME_LEN_MAX];
        let after = order.partition_point(|&place| {
            let entry = Entry { bytes: &self.entries[place as usize..] };
            compare_canonically(entry.name(&mut buffer), name).is_le()
        });
        let place = *order.get(after.checked_sub(1)?)?;
        Some(Entry { bytes: &self.entries[place as usize..] })
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
        let mut at = reply::write_name(head.apex.as_wire(), question, out)?;
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
    /// From the entry's start to the end of all entries.
    bytes: &'a [u8],
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
    #[allow(dead_code, reason = "for negative answers with signatures")]
    pub(in crate::answer) fn name(self, buffer: &mut [u8; NAME_LEN_MAX]) -> &[u8] {
        let len = usize::from(self.bytes[0]);
        buffer[..len].copy_from_slice(&self.bytes[HEAD_LEN..HEAD_LEN + len]);
        &buffer[..len]
    }

    #[inline]
    pub(in crate::answer) fn has(self, flag: u8) -> bool {
        self.bytes[1] & flag != 0
    }

    #[inline]
    pub(in crate::answer) fn zone(self) -> u16 {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }

    /// The service that lives here: its place among [`ZoneTable::services`].
    #[inline]
    pub(in crate::answer) fn service(self) -> Option<u32> {
        let [_, _, _, _, a, b, c, d, ..] = *self.bytes else { return None };
        Some(u32::from_be_bytes([a, b, c, d])).filter(|&service| service != NO_SERVICE)
    }

    /// Whether anything lives here at all: not so at an empty non-terminal.
    pub(in crate::answer) fn has_data(self) -> bool {
        self.bytes[8] > 0 || self.service().is_some()
    }

    /// The record set of a type.
    #[inline]
    pub(in crate::answer) fn set(self, record_type: u16) -> Option<PrebuiltSet<'a>> {
        let mut rest = self.bytes.get(HEAD_LEN + usize::from(self.bytes[0])..)?;
        for _ in 0..self.bytes[8] {
            let (head, tail) = rest.split_first_chunk::<SET_HEAD_LEN>()?;
            let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
            let (bytes, tail) = tail.split_at_checked(usize::from(number(4)))?;
            let (signature_bytes, next) = tail.split_at_checked(usize::from(number(8)))?;
            if number(0) == record_type {
                let (records, signatures) = (number(2), number(6));
                return Some(PrebuiltSet { records, bytes, signatures, signature_bytes });
            }
            rest = next;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{RecordSet, zone_of_nameservers};
    use walrus_dns::record_type;

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
