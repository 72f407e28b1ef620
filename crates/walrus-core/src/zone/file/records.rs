//! The records of a zone file in the order of its text, packed: a million of them are a few large
//! pieces of memory, which go back to the system as soon as the zone is made.

use std::cmp::Ordering;

use walrus_dns::{DomainName, compare_canonically};

use super::Place;

/// Records whose owners are in the zone, and those that are not.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// For each record: line (4), file (2), type (2), TTL (4), length of data (2), length of owner
    /// (1), the owner relative to the apex in lower case, data.
    bytes: Vec<u8>,
    count: usize,
    /// Owners that are not in the zone.
    pub(super) outside: Vec<(Place, DomainName)>,
}

const HEAD_LEN: usize = 15;

/// One record as it stands in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    /// Relative to the apex, in lower case.
    pub owner: &'a [u8],
    pub record_type: u16,
    pub ttl: u32,
    /// Where it begins.
    pub place: Place,
    /// Uncompressed.
    pub data: &'a [u8],
}

impl Records {
    /// Adds one; its data has at most 65,535 bytes.
    pub(super) fn push(&mut self, record: &Record<'_>) {
        let Record { owner, record_type, ttl, place, data } = *record;
        let mut head = [0; HEAD_LEN];
        head[..4].copy_from_slice(&place.line.to_be_bytes());
        head[4..6].copy_from_slice(&place.file.to_be_bytes());
        head[6..8].copy_from_slice(&record_type.to_be_bytes());
        head[8..12].copy_from_slice(&ttl.to_be_bytes());
        head[12..14].copy_from_slice(&(data.len() as u16).to_be_bytes());
        head[14] = owner.len() as u8;
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(owner);
        self.bytes.extend_from_slice(data);
        self.count += 1;
    }

    /// The record at a place, and where the next begins.
    fn at(&self, at: usize) -> Option<(Record<'_>, usize)> {
        let (head, rest) = self.bytes.get(at..)?.split_first_chunk::<HEAD_LEN>()?;
        let &[l0, l1, l2, l3, f0, f1, t0, t1, s0, s1, s2, s3, d0, d1, owner_len] = head;
        let (owner, rest) = rest.split_at_checked(usize::from(owner_len))?;
        let data = rest.get(..usize::from(u16::from_be_bytes([d0, d1])))?;
        let line = u32::from_be_bytes([l0, l1, l2, l3]);
        let place = Place { file: u16::from_be_bytes([f0, f1]), line };
        let record_type = u16::from_be_bytes([t0, t1]);
        let ttl = u32::from_be_bytes([s0, s1, s2, s3]);
        let next = at + HEAD_LEN + owner.len() + data.len();
        Some((Record { owner, record_type, ttl, place, data }, next))
    }

    /// All of them as they stand in the text.
    pub(super) fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (record, next) = self.at(at)?;
            at = next;
            Some(record)
        })
    }

    /// Bytes that they take.
    pub(super) const fn memory(&self) -> usize {
        self.bytes.len()
    }
}

/// The records of a whole zone in canonical order of their owners; those of one owner as they stand
/// in the text.
#[derive(Debug)]
pub(super) struct Sorted {
    parts: Vec<Part>,
    order: Vec<Key>,
}

/// A part of the zone file's text.
#[derive(Debug)]
pub(super) struct Part {
    pub records: Records,
    /// Line feeds before it.
    pub lines_before: u32,
}

#[derive(Clone, Copy, Debug)]
struct Key {
    /// The beginning of the owner in a form whose order is the canonical one.
    start: u64,
    at: u32,
    part: u32,
}

impl Sorted {
    /// Sorts the records of a text's parts.
    pub(super) fn new(parts: Vec<Part>) -> Self {
        let mut order = Vec::with_capacity(parts.iter().map(|part| part.records.count).sum());
        for (number, part) in (0..).zip(&parts) {
            let mut at = 0;
            while let Some((record, next)) = part.records.at(at) {
                // A part's bytes are bounded, see `ZoneReader::scan`.
                let at_32 = u32::try_from(at).unwrap_or(u32::MAX);
                order.push(Key { start: start_of(record.owner), at: at_32, part: number });
                at = next;
            }
        }
        let mut sorted = Self { parts, order: Vec::new() };
        // Stable, and linear where the text is sorted already.
        order.sort_by(|one, other| sorted.compare(one, other));
        sorted.order = order;
        sorted
    }

    fn compare(&self, one: &Key, other: &Key) -> Ordering {
        one.start.cmp(&other.start).then_with(|| {
            let owner = |key| self.record(key).map(|record| record.owner);
            match (owner(one), owner(other)) {
                (Some(one), Some(other)) => compare_canonically(one, other),
                _ => Ordering::Equal,
            }
        })
    }

    fn record(&self, key: &Key) -> Option<Record<'_>> {
        let part = self.parts.get(key.part as usize)?;
        let (mut record, _) = part.records.at(key.at as usize)?;
        if record.place.file == 0 {
            record.place.line = record.place.line.saturating_add(part.lines_before);
        }
        Some(record)
    }

    /// All of them in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.order.iter().filter_map(|key| self.record(key))
    }

    /// Owners that are not in the zone.
    pub(super) fn outside(&self) -> impl Iterator<Item = (Place, &DomainName)> {
        self.parts.iter().flat_map(|part| {
            part.records.outside.iter().map(|(place, name)| {
                let before = if place.file == 0 { part.lines_before } else { 0 };
                (Place { line: place.line.saturating_add(before), ..*place }, name)
            })
        })
    }
}

/// The first eight bytes of a relative name's labels from the right, each ended by a zero; zeros and
/// ones in labels are escaped so that this order is the canonical one as far as it goes.
fn start_of(owner: &[u8]) -> u64 {
    let mut start = Start { bytes: 0, len: 0 };
    let mut end = owner.len();
    // Most names stand directly below the apex.
    if owner.first().is_some_and(|len| usize::from(*len) + 1 == end) {
        start.label(&owner[1..]);
        return start.finish();
    }
    let mut begins = [0_u8; 127];
    let (mut count, mut at) = (0, 0);
    while let Some(len @ 1..) = owner.get(at) {
        begins[count.min(126)] = at as u8;
        count += 1;
        at += 1 + usize::from(*len);
    }
    for begin in begins[..count.min(127)].iter().rev() {
        let begin = usize::from(*begin);
        start.label(owner.get(begin + 1..end).unwrap_or_default());
        end = begin;
        if start.len >= 8 {
            break;
        }
    }
    start.finish()
}

struct Start {
    bytes: u64,
    len: u32,
}

impl Start {
    fn label(&mut self, label: &[u8]) {
        for byte in label {
            if self.len >= 8 {
                return;
            }
            match byte {
                0 | 1 => {
                    self.push(1);
                    self.push(1 + byte);
                }
                byte => self.push(*byte),
            }
        }
        self.push(0);
    }

    fn push(&mut self, byte: u8) {
        if self.len < 8 {
            self.bytes = self.bytes << 8 | u64::from(byte);
            self.len += 1;
        }
    }

    fn finish(self) -> u64 {
        // Nothing sorts before everything.
        self.bytes.checked_shl(8 * (8 - self.len)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn beginnings_never_contradict_the_canonical_order(
            names in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(0_u8..4, 1..5), 0..4), 2),
        ) {
            let wire = |labels: &Vec<Vec<u8>>| -> Vec<u8> {
                labels.iter().flat_map(|label| {
                    [&[label.len() as u8], label.as_slice()].concat()
                }).collect()
            };
            let (one, other) = (wire(&names[0]), wire(&names[1]));
            let canonical = compare_canonically(&one, &other);
            let starts = start_of(&one).cmp(&start_of(&other));
            prop_assert!(starts == canonical || starts.is_eq());
        }
    }
}
