//! A zone's names and records as one run of bytes in canonical order.
//!
//! Both paths of the answer read it: what a reply needs lies in it as it goes out. A name with an
//! IPv4 address takes some 38 bytes, where maps of names to sets of records took 240 in four pieces
//! of memory. The names are searched by a sparse index, 4 bytes for every 16.
//!
//! An entry: length of its name (1), marks (1), record sets (1), its name relative to the apex (wire
//! format in lower case), then its sets. A set: type (2), records (2), their bytes (2), signatures
//! (2), their bytes (2), for types whose data is compressed also the length of that data
//! uncompressed (4); then the records as they go into a reply (owners point to the question, names
//! in data are compressed against it), the RRSIG records, and each record's uncompressed data
//! behind its length (2), for these types only.

use walrus_dns::{compare_canonically, record_type};

use super::{SetView, Sets};

/// Marks of an entry.
pub(crate) mod flags {
    /// At or below a delegation or below a DNAME: only the complete path answers.
    pub(crate) const CUT: u8 = 1;
    /// A wildcard directly below, or a DNAME here: names below that do not exist may still have
    /// records.
    pub(crate) const RECORDS_BELOW: u8 = 2;
    /// It has a CNAME whose target is in one of our zones: the complete path follows it. An arena
    /// knows only its own zone.
    pub(crate) const CNAME_INSIDE: u8 = 4;
    /// It has a CNAME that leads out of our zones.
    pub(crate) const CNAME_OUTSIDE: u8 = 8;
    /// A zone begins here.
    pub(crate) const APEX: u8 = 16;
}

/// An entry's head: name length, marks, record sets.
pub(crate) const ENTRY_HEAD_LEN: usize = 3;
/// A record set's head, without the length of uncompressed data.
pub(super) const SET_HEAD_LEN: usize = 10;
/// A record up to its data: pointer (2), type (2), class (2), TTL (4), length (2).
pub(super) const RECORD_HEAD_LEN: usize = 12;
/// Entries between two of the index: a search reads half of them.
pub(super) const INDEX_STEP: usize = 16;
/// In [`Arena::nsec_before`]: none.
pub(super) const NO_PLACE: u32 = u32::MAX;

/// A zone's entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arena {
    pub(super) bytes: Box<[u8]>,
    /// Where each sixteenth entry begins.
    pub(super) index: Box<[u32]>,
    /// For each of these, the last entry before it that has an NSEC set; empty in a zone without
    /// any.
    pub(super) nsec_before: Box<[u32]>,
    pub(super) names: usize,
}

impl Arena {
    /// All entries.
    pub(crate) const fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many there are.
    pub(crate) const fn names(&self) -> usize {
        self.names
    }

    /// Bytes of memory.
    pub(crate) const fn memory(&self) -> usize {
        self.bytes.len() + 4 * (self.index.len() + self.nsec_before.len())
    }

    /// The entry that begins at a place.
    #[inline]
    pub(crate) fn node(&self, place: u32) -> Node<'_> {
        Node { bytes: self.bytes.get(place as usize..).unwrap_or_default() }
    }

    /// All entries with their places, in canonical order.
    pub(crate) const fn iter(&self) -> Nodes<'_> {
        self.nodes_from(0)
    }

    /// The entry of a relative name.
    pub(crate) fn find(&self, relative: &[u8]) -> Option<(u32, Node<'_>)> {
        self.at_or_before(relative).filter(|(_, node)| node.name() == relative)
    }

    /// The last entry at or before a relative name.
    pub(crate) fn at_or_before(&self, relative: &[u8]) -> Option<(u32, Node<'_>)> {
        let start = *self.index.get(self.step_before(relative)?)?;
        let is_before =
            |(_, node): &(u32, Node<'_>)| compare_canonically(node.name(), relative).is_le();
        self.nodes_from(start as usize).take(INDEX_STEP).take_while(is_before).last()
    }

    /// The last entry of all.
    pub(crate) fn last(&self) -> Option<(u32, Node<'_>)> {
        self.nodes_from(*self.index.last()? as usize).last()
    }

    /// The first entry behind a relative name.
    pub(crate) fn after(&self, relative: &[u8]) -> Option<(u32, Node<'_>)> {
        let step = self.step_before(relative).unwrap_or(0);
        let start = *self.index.get(step)?;
        // At most the rest of a step, and the first entry of the next.
        self.nodes_from(start as usize)
            .take(INDEX_STEP + 1)
            .find(|(_, node)| compare_canonically(node.name(), relative).is_gt())
    }

    /// The last entry at or before a relative name that has an NSEC set.
    pub(crate) fn nsec_at_or_before(&self, relative: &[u8]) -> Option<Node<'_>> {
        if self.nsec_before.is_empty() {
            return None;
        }
        let step = self.step_before(relative)?;
        let start = *self.index.get(step)?;
        let near = self
            .nodes_from(start as usize)
            .take(INDEX_STEP)
            .take_while(|(_, node)| compare_canonically(node.name(), relative).is_le())
            .filter(|(_, node)| node.sets().of_type(record_type::NSEC).is_some())
            .last();
        if let Some((_, node)) = near {
            return Some(node);
        }
        let place = *self.nsec_before.get(step)?;
        (place != NO_PLACE).then(|| self.node(place))
    }

    /// The last place of the index whose entry is at or before a name.
    fn step_before(&self, relative: &[u8]) -> Option<usize> {
        let is_before =
            |place: &u32| compare_canonically(self.node(*place).name(), relative).is_le();
        self.index.partition_point(is_before).checked_sub(1)
    }

    const fn nodes_from(&self, at: usize) -> Nodes<'_> {
        Nodes { bytes: &self.bytes, at }
    }
}

/// Entries one behind the other.
#[derive(Clone, Debug)]
pub(crate) struct Nodes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Nodes<'a> {
    type Item = (u32, Node<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.bytes.get(self.at..).filter(|bytes| !bytes.is_empty())?;
        let place = u32::try_from(self.at).ok()?;
        let node = Node { bytes };
        self.at += node.len();
        Some((place, node))
    }
}

/// One entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a> {
    /// From its start to the end of all.
    bytes: &'a [u8],
}

impl<'a> Node<'a> {
    /// The entry at the start of some bytes.
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Its name relative to the apex.
    #[inline]
    pub(crate) fn name(self) -> &'a [u8] {
        let Some((len, rest)) = self.bytes.split_first() else { return &[] };
        rest.get(ENTRY_HEAD_LEN - 1..ENTRY_HEAD_LEN - 1 + usize::from(*len)).unwrap_or_default()
    }

    /// Its marks.
    #[inline]
    pub(crate) fn flags(self) -> u8 {
        self.bytes.get(1).copied().unwrap_or(0)
    }

    /// Its record sets.
    #[inline]
    pub(crate) fn sets(self) -> Sets<'a> {
        let [len, _, count, rest @ ..] = self.bytes else { return Sets::default() };
        Sets { count: *count, bytes: rest.get(usize::from(*len)..).unwrap_or_default() }
    }

    /// How many bytes it has.
    #[inline]
    pub(crate) fn len(self) -> usize {
        let mut rest = self.sets();
        // Counting down what is left spares this loop any sum.
        while rest.next_set().is_some() {}
        self.bytes.len() - rest.bytes.len()
    }
}

/// Whether names in data of this type are compressed in replies (the types of RFC 1035 with names,
/// as RFC 3597 section 4 allows no others).
#[inline]
pub(super) const fn is_compressed(record_type: u16) -> bool {
    matches!(
        record_type,
        record_type::NS
            | record_type::CNAME
            | record_type::SOA
            | record_type::PTR
            | record_type::MX
    )
}

impl<'a> Sets<'a> {
    /// Takes the first set.
    #[inline]
    pub(super) fn next_set(&mut self) -> Option<SetView<'a>> {
        self.count = self.count.checked_sub(1)?;
        let (set, rest) = split_set(self.bytes)?;
        self.bytes = rest;
        Some(set)
    }
}

#[inline]
fn split_set(bytes: &[u8]) -> Option<(SetView<'_>, &[u8])> {
    let (head, tail) = bytes.split_first_chunk::<SET_HEAD_LEN>()?;
    let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let record_type = number(0);
    let (uncompressed_len, tail) = if is_compressed(record_type) {
        let (len, tail) = tail.split_first_chunk::<4>()?;
        (u32::from_be_bytes(*len) as usize, tail)
    } else {
        (0, tail)
    };
    let (records, tail) = tail.split_at_checked(usize::from(number(4)))?;
    let (signature_records, tail) = tail.split_at_checked(usize::from(number(8)))?;
    let (uncompressed, rest) = tail.split_at_checked(uncompressed_len)?;
    let set = SetView {
        record_type,
        record_count: number(2),
        records,
        signature_count: number(6),
        signature_records,
        uncompressed,
    };
    Some((set, rest))
}
