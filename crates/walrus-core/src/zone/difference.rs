//! What differs between two contents of one zone, as records that went and records that came: what
//! IXFR (RFC 1995) carries, what a DNS UPDATE comes to, what a journal keeps.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use walrus_dns::{DomainName, compare_canonically, record_type};

use super::arena::Node;
use super::file::SET_LEN_MAX;
use super::{Nsec3Chain, Nsec3View, RecordSet, SetView, Sets, Zone, hashed_owner};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// Its owner.
    pub name: DomainName,
    /// Its type; here RRSIG and NSEC3 are types like all others.
    pub record_type: u16,
    /// In seconds.
    pub ttl: u32,
    /// Uncompressed, without its length.
    pub data: Box<[u8]>,
}

/// From one content of a zone to the next. The SOA record of each is the first in its list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneDifference {
    /// The serial of the content that it is applied to.
    pub from_serial: u32,
    /// The serial of what comes out.
    pub to_serial: u32,
    /// Records that go.
    pub removed: Vec<Record>,
    /// Records that come; of the TTLs of a set theirs counts.
    pub added: Vec<Record>,
}

/// Why a difference does not fit a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DifferenceError {
    /// It begins elsewhere.
    #[error("it begins at serial {from}, and the zone is at {held}")]
    OtherSerial {
        /// Where it begins.
        from: u32,
        /// The zone's.
        held: u32,
    },
    /// A record is removed that is not there.
    #[error("it removes a record of type {record_type} at {name} that the zone does not have")]
    NotThere {
        /// Its owner.
        name: DomainName,
        /// Its type.
        record_type: u16,
    },
    /// A name outside of the zone.
    #[error("{0} is not in the zone")]
    Outside(DomainName),
    /// What comes out is no zone.
    #[error("after it {name} would have {what}")]
    NoZone {
        /// Where.
        name: DomainName,
        /// What must not be.
        what: &'static str,
    },
    /// It changes NSEC3 records, which are only taken as a whole.
    #[error("it changes NSEC3 records, which are taken with a whole zone only")]
    Hashed,
}

impl ZoneDifference {
    /// Whether nothing goes and nothing comes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// How many records go and come.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.removed.len() + self.added.len()
    }
}

impl Zone {
    /// The serial of its SOA record; 0 without a readable one.
    #[must_use]
    pub fn serial(&self) -> u32 {
        let soa = self.set(self.apex(), record_type::SOA);
        soa.and_then(|soa| soa.data().next()).and_then(serial_of).unwrap_or(0)
    }

    /// All its records: SOA first, the others in canonical order of their owners, NSEC3 records with
    /// their signatures last.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let soa = self.set(self.apex(), record_type::SOA);
        let soa = soa.into_iter().flat_map(|soa| records_of(self.apex(), soa));
        let sets = self.iter().flat_map(|(name, sets)| {
            let is_soa =
                |set: &SetView<'_>| set.record_type() == record_type::SOA && name == *self.apex();
            let sets: Vec<SetView<'_>> = sets.iter().filter(|set| !is_soa(set)).collect();
            sets.into_iter().flat_map(move |set| records_of(&name, set).collect::<Vec<_>>())
        });
        let hashed = self.nsec3().into_iter().flat_map(Nsec3Chain::iter);
        soa.chain(sets).chain(hashed.flat_map(|view| hashed_records(self.apex(), view)))
    }

    /// What leads from this zone to another content of it. It takes time linear in the names of
    /// both, and some 20 ns for each that is the same.
    #[must_use]
    pub fn difference_to(&self, next: &Self) -> ZoneDifference {
        let mut difference = ZoneDifference {
            from_serial: self.serial(),
            to_serial: next.serial(),
            ..ZoneDifference::default()
        };
        let (mut old, mut new) = (self.arena().iter().peekable(), next.arena().iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((_, old)), Some((_, new))) => compare_canonically(old.name(), new.name()),
            };
            let old = if order.is_le() { old.next() } else { None };
            let new = if order.is_ge() { new.next() } else { None };
            let (old, new) = (old.map(|(_, node)| node), new.map(|(_, node)| node));
            self.compare_names(old, new, &mut difference);
        }
        if self.nsec3() != next.nsec3() {
            let records = |zone: &Self| -> Vec<Record> {
                let views = zone.nsec3().into_iter().flat_map(Nsec3Chain::iter);
                views.flat_map(|view| hashed_records(zone.apex(), view)).collect()
            };
            compare_sorted(records(self), records(next), &mut difference);
        }
        for list in [&mut difference.removed, &mut difference.added] {
            let is_soa = |record: &Record| {
                record.record_type == record_type::SOA && record.name == *self.apex()
            };
            if let Some(at) = list.iter().position(is_soa) {
                list[..=at].rotate_right(1);
            }
        }
        difference
    }

    fn compare_names(
        &self,
        old: Option<Node<'_>>,
        new: Option<Node<'_>>,
        difference: &mut ZoneDifference,
    ) {
        let old_sets = old.map_or_else(Sets::default, Node::sets);
        let new_sets = new.map_or_else(Sets::default, Node::sets);
        if old_sets.bytes()[..old_sets.len()] == new_sets.bytes()[..new_sets.len()] {
            return;
        }
        let Some(node) = old.or(new) else { return };
        let name = self.absolute(node.name());
        let types = old_sets.iter().chain(new_sets.iter()).map(SetView::record_type);
        let mut types: Vec<u16> = types.collect();
        types.sort_unstable();
        types.dedup();
        for record_type in types {
            let records = |set: Option<SetView<'_>>| -> Vec<Record> {
                set.into_iter().flat_map(|set| records_of(&name, set)).collect()
            };
            let mut old = records(old_sets.of_type(record_type));
            let mut new = records(new_sets.of_type(record_type));
            old.sort_unstable();
            new.sort_unstable();
            compare_sorted(old, new, difference);
        }
    }

    /// This zone after a difference: of every set that it changes the records in their order, the new
    /// ones at the end. Linear in the zone's names, as [`Self::with_sets`].
    ///
    /// # Errors
    /// If it does not fit this zone, or what comes out would be none.
    pub fn with_difference(&self, difference: &ZoneDifference) -> Result<Self, DifferenceError> {
        let held = self.serial();
        if difference.from_serial != held {
            return Err(DifferenceError::OtherSerial { from: difference.from_serial, held });
        }
        let mut changes: BTreeMap<(&DomainName, u16), Change<'_>> = BTreeMap::new();
        for record in &difference.removed {
            changes.entry(self.set_of(record)?).or_default().removed.push(record);
        }
        for record in &difference.added {
            changes.entry(self.set_of(record)?).or_default().added.push(record);
        }
        let mut sets = Vec::with_capacity(changes.len());
        for ((name, record_type), change) in changes {
            let held = self.set(name, record_type).map(SetView::to_set).unwrap_or_default();
            let set = change.apply(RecordSet { record_type, ..held })?;
            if set.data.is_empty() && self.set(name, record_type).is_none() {
                // A signature over nothing.
                continue;
            }
            sets.push((name.clone(), set));
        }
        let names: Vec<DomainName> = sets.iter().map(|(name, _)| name.clone()).collect();
        let zone = self.with_sets(sets);
        if !zone.unfit().is_empty() {
            let name = self.apex().clone();
            return Err(DifferenceError::NoZone {
                name,
                what: "more at a name than a reply holds",
            });
        }
        zone.check_apex(difference.to_serial)?;
        names.iter().try_for_each(|name| zone.check_name(name))?;
        Ok(zone)
    }

    /// The name and type of the set that a record belongs to.
    fn set_of<'r>(&self, record: &'r Record) -> Result<(&'r DomainName, u16), DifferenceError> {
        if !record.name.is_within(self.apex()) {
            return Err(DifferenceError::Outside(record.name.clone()));
        }
        let record_type = match record.record_type {
            record_type::RRSIG => record.data.first_chunk().map_or(0, |it| u16::from_be_bytes(*it)),
            other => other,
        };
        if record_type == record_type::NSEC3 {
            return Err(DifferenceError::Hashed);
        }
        Ok((&record.name, record_type))
    }

    fn check_apex(&self, serial: u32) -> Result<(), DifferenceError> {
        let no_zone = |what| DifferenceError::NoZone { name: self.apex().clone(), what };
        let soa =
            self.set(self.apex(), record_type::SOA).ok_or_else(|| no_zone("no SOA record"))?;
        if soa.record_count() != 1 {
            return Err(no_zone("more than one SOA record"));
        }
        if soa.data().next().and_then(serial_of) != Some(serial) {
            return Err(no_zone("another serial than was said"));
        }
        if self.set(self.apex(), record_type::NS).is_none() {
            return Err(no_zone("no NS records"));
        }
        Ok(())
    }

    fn check_name(&self, name: &DomainName) -> Result<(), DifferenceError> {
        let sets = self.sets(name);
        let no_zone = |what| Err(DifferenceError::NoZone { name: name.clone(), what });
        if name != self.apex() && sets.of_type(record_type::SOA).is_some() {
            return no_zone("a SOA record, and is not the apex");
        }
        if sets.of_type(record_type::DNAME).is_some_and(|set| set.record_count() > 1) {
            return no_zone("more than one DNAME record");
        }
        let Some(cname) = sets.of_type(record_type::CNAME) else { return Ok(()) };
        if cname.record_count() != 1 {
            return no_zone("more than one CNAME record");
        }
        let is_beside =
            |set: SetView<'_>| !matches!(set.record_type(), record_type::CNAME | record_type::NSEC);
        if sets.iter().any(is_beside) {
            return no_zone("a CNAME record beside others");
        }
        Ok(())
    }
}

/// What happens to one set.
#[derive(Default)]
struct Change<'r> {
    removed: Vec<&'r Record>,
    added: Vec<&'r Record>,
}

impl Change<'_> {
    fn apply(self, mut set: RecordSet) -> Result<RecordSet, DifferenceError> {
        for record in self.removed {
            let is_signature = record.record_type == record_type::RRSIG;
            let list = if is_signature { &mut set.signatures } else { &mut set.data };
            let Some(at) = position(list, record) else {
                let Record { name, record_type, .. } = record.clone();
                return Err(DifferenceError::NotThere { name, record_type });
            };
            list.remove(at);
        }
        let mut ttl: Option<u32> = None;
        let room = |list: &[Box<[u8]>]| list.iter().map(|data| data.len() + 12).sum::<usize>();
        let mut len = room(&set.data);
        for record in self.added {
            let is_signature = record.record_type == record_type::RRSIG;
            let list = if is_signature { &mut set.signatures } else { &mut set.data };
            // As long as the list is bounded, so is looking through it.
            if !list.contains(&record.data) {
                len += record.data.len() + 12;
                list.push(record.data.clone());
            }
            if len > SET_LEN_MAX {
                let name = record.name.clone();
                return Err(DifferenceError::NoZone { name, what: "a set that no reply holds" });
            }
            if !is_signature {
                ttl = Some(ttl.map_or(record.ttl, |ttl| ttl.min(record.ttl)));
            }
        }
        set.ttl = ttl.unwrap_or(set.ttl);
        Ok(set)
    }
}

/// Where a record's data stands. A name server may write names in data in another case each time, as
/// it finds something to compress them against.
fn position(list: &[Box<[u8]>], record: &Record) -> Option<usize> {
    let same = list.iter().position(|data| *data == record.data);
    same.or_else(|| {
        if !has_names(record.record_type) {
            return None;
        }
        list.iter().position(|data| data.eq_ignore_ascii_case(&record.data))
    })
}

/// Whether there are names in the data of a type that may have been compressed (RFC 3597 section 4).
const fn has_names(record_type: u16) -> bool {
    // MX, RP, AFSDB, RT, SRV, NAPTR among them.
    matches!(record_type, 2..=9 | 12 | 14 | 15 | 17 | 18 | 21 | 26 | 33 | 35 | 36 | 39)
}

/// The serial in a SOA record's data: in front of four other numbers.
pub(crate) fn serial_of(data: &[u8]) -> Option<u32> {
    let numbers = data.last_chunk::<20>()?;
    numbers.first_chunk().map(|serial| u32::from_be_bytes(*serial))
}

/// A set's records, and those that sign it.
fn records_of(name: &DomainName, set: SetView<'_>) -> impl Iterator<Item = Record> {
    let one = move |record_type: u16, data: &[u8]| Record {
        name: name.clone(),
        record_type,
        ttl: set.ttl(),
        data: data.into(),
    };
    let signatures = set.signatures().map(move |data| one(record_type::RRSIG, data));
    set.data().map(move |data| one(set.record_type(), data)).chain(signatures)
}

/// An NSEC3 record, and those that sign it.
fn hashed_records(apex: &DomainName, view: Nsec3View<'_>) -> Vec<Record> {
    let Some(name) = hashed_owner(view.hash(), apex) else { return Vec::new() };
    let one = |record_type, data: &[u8]| Record {
        name: name.clone(),
        record_type,
        ttl: view.ttl(),
        data: data.into(),
    };
    let itself = one(record_type::NSEC3, &view.data().concat());
    let signatures = view.signatures().map(|data| one(record_type::RRSIG, data));
    std::iter::once(itself).chain(signatures).collect()
}

/// Adds what is in one of two sorted lists alone.
fn compare_sorted(old: Vec<Record>, new: Vec<Record>, difference: &mut ZoneDifference) {
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.cmp(new),
        };
        match order {
            Ordering::Less => difference.removed.extend(old.next()),
            Ordering::Greater => difference.added.extend(new.next()),
            Ordering::Equal => {
                old.next();
                new.next();
            }
        }
    }
}

#[cfg(test)]
#[path = "difference_tests.rs"]
mod tests;
