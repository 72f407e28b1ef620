//! A zone while an update is carried out: the names that it touches, and what differs in the end.

use std::collections::{BTreeMap, BTreeSet};

use walrus_dns::{DomainName, record_type};

use super::UpdateRefused;
use super::draft_set::DraftSet;
use crate::zone::{Record, RecordSet, SetView, Zone, ZoneDifference};

/// Bytes of a set as a reply holds them, with room for a question, a signature or two, and OPT.
const SET_BYTES_MAX: usize = 62_000;
/// In front of a record's data in a reply: a pointer, type, class, TTL, length.
const RECORD_HEAD: usize = 12;
/// Types at a name.
const TYPES_MAX: usize = 250;

/// What a difference may take in the journal, in bytes: a few bytes of a message may give many sets another TTL, of which
/// each then differs with all its records.
const DIFFERENCE_BYTES_MAX: usize = 4 << 20;
/// What the sets of all names that a message touches may take, in bytes: each is copied whole.
const TOUCHED_BYTES_MAX: usize = 16 << 20;
/// In front of a record's data in the journal, besides its name.
const JOURNAL_HEAD: usize = 8;

/// Names with all their sets; those without data are none.
type Names = BTreeMap<DomainName, BTreeMap<u16, RecordSet>>;

/// What updates have made of a zone that is not put together again yet: of all that wait together this is done once.
#[derive(Clone, Debug, Default)]
pub struct PendingSets {
    names: Names,
    /// How much larger the zone is by them, in bytes.
    growth: isize,
    /// What led to them takes so much in a journal, in bytes.
    journal_bytes: usize,
    /// The sets themselves take so much, in bytes.
    held_bytes: usize,
}

impl PendingSets {
    /// The zone with them, in time linear in the zone's names; `None` if no zone can hold them.
    #[must_use]
    pub fn apply(&self, zone: &Zone) -> Option<Zone> {
        let sets = self.names.iter();
        let sets =
            sets.flat_map(|(name, sets)| sets.values().map(|set| (name.clone(), set.clone())));
        Some(zone.with_sets(sets)).filter(|zone| zone.unfit().is_empty())
    }

    /// What they take, and what the differences that led to them take in a journal, in bytes: whoever lets them wait
    /// together needs a bound.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.journal_bytes + self.held_bytes
    }

    /// Whether the zone would take more memory than this with that difference, too, which makes it larger.
    #[must_use]
    pub fn is_beyond(&self, zone: &Zone, more: &ZoneDifference, memory_max: usize) -> bool {
        let (growth, held) = (growth_of(more), zone.memory());
        growth > 0 && held.saturating_add_signed(self.growth.saturating_add(growth)) > memory_max
    }
}

/// Bytes by which a zone grows, about.
fn growth_of(difference: &ZoneDifference) -> isize {
    let bytes = |list| bytes_of(list).cast_signed();
    bytes(&difference.added).saturating_sub(bytes(&difference.removed))
}

fn bytes_of(list: &[Record]) -> usize {
    list.iter().map(journal_bytes).sum()
}

fn journal_bytes(record: &Record) -> usize {
    record.name.as_wire().len() + JOURNAL_HEAD + record.data.len()
}

fn bytes_of_sets(sets: &BTreeMap<u16, RecordSet>) -> usize {
    sets.values().map(bytes_of_set).sum()
}

fn bytes_of_set(set: &RecordSet) -> usize {
    set.data.iter().map(|data| RECORD_HEAD + data.len()).sum()
}

/// A zone as updates before have left it.
#[derive(Clone, Copy)]
pub(super) struct Held<'z> {
    pub(super) zone: &'z Zone,
    pub(super) pending: &'z PendingSets,
}

impl<'z> Held<'z> {
    /// The data of a set; empty if there is none.
    pub(super) fn data(self, name: &DomainName, record_type: u16) -> Vec<&'z [u8]> {
        if let Some(sets) = self.pending.names.get(name) {
            let set = sets.get(&record_type).into_iter();
            return set.flat_map(|set| &set.data).map(|data| &**data).collect();
        }
        let set = self.zone.set(name, record_type).into_iter();
        set.flat_map(|set| set.data().collect::<Vec<_>>()).collect()
    }

    pub(super) fn has_set(self, name: &DomainName, record_type: u16) -> bool {
        match self.pending.names.get(name) {
            Some(sets) => sets.get(&record_type).is_some_and(|set| !set.data.is_empty()),
            None => self.zone.set(name, record_type).is_some(),
        }
    }

    /// Whether a name has no records.
    pub(super) fn is_empty(self, name: &DomainName) -> bool {
        match self.pending.names.get(name) {
            Some(sets) => sets.values().all(|set| set.data.is_empty()),
            None => self.zone.sets(name).is_empty(),
        }
    }

    fn sets(self, name: &DomainName) -> Vec<RecordSet> {
        match self.pending.names.get(name) {
            Some(sets) => sets.values().cloned().collect(),
            None => self.zone.sets(name).iter().map(SetView::to_set).collect(),
        }
    }

    fn set(self, name: &DomainName, record_type: u16) -> RecordSet {
        let set = match self.pending.names.get(name) {
            Some(sets) => sets.get(&record_type).cloned(),
            None => self.zone.set(name, record_type).map(SetView::to_set),
        };
        set.unwrap_or_default()
    }

    fn serial(self) -> u32 {
        let soa = self.data(self.zone.apex(), record_type::SOA);
        soa.first().and_then(|data| serial_of(data)).unwrap_or(0)
    }
}

/// The names that were touched, each with all its sets.
pub(super) struct Draft<'z> {
    held: Held<'z>,
    names: BTreeMap<DomainName, BTreeMap<u16, DraftSet>>,
    /// What of them was there before, in bytes.
    touched_bytes: usize,
}

impl<'z> Draft<'z> {
    pub(super) const fn new(held: Held<'z>) -> Self {
        Self { held, names: BTreeMap::new(), touched_bytes: 0 }
    }

    pub(super) const fn apex(&self) -> &'z DomainName {
        self.held.zone.apex()
    }

    /// The sets of a name, to be changed; sets without data are none.
    pub(super) fn at(&mut self, name: &DomainName) -> &mut BTreeMap<u16, DraftSet> {
        let (held, touched_bytes) = (self.held, &mut self.touched_bytes);
        self.names.entry(name.clone()).or_insert_with(|| {
            let sets = held.sets(name);
            *touched_bytes += sets.iter().map(bytes_of_set).sum::<usize>();
            sets.into_iter().map(|set| (set.record_type, DraftSet::of(set))).collect()
        })
    }

    /// Whether it touches more than one message may.
    pub(super) const fn is_too_much(&self) -> bool {
        self.touched_bytes > TOUCHED_BYTES_MAX
    }

    /// The zone's serial before anything was changed.
    pub(super) fn begun_serial(&self) -> u32 {
        self.held.serial()
    }

    /// What differs, with a serial that rises if anything does (section 3.6), and the sets after that.
    ///
    /// # Errors
    /// If a reply could not hold a set, or it is too much at once.
    pub(super) fn finish(self) -> Result<(ZoneDifference, Changed), UpdateRefused> {
        let (held, from_serial, apex) = (self.held, self.held.serial(), self.apex().clone());
        let unchanged =
            ZoneDifference { from_serial, to_serial: from_serial, ..ZoneDifference::default() };
        let set = |(record_type, set): (u16, DraftSet)| (record_type, set.into_set());
        let names = self.names.into_iter();
        let mut names: Names =
            names.map(|(name, sets)| (name, sets.into_iter().map(set).collect())).collect();
        let mut difference = difference(held, &names)?;
        if difference.is_empty() {
            return Ok((unchanged, Changed(Names::new())));
        }
        let is_soa = |record: &Record| record.record_type == record_type::SOA;
        // Only a higher serial was let through.
        if !difference.added.iter().any(is_soa) {
            let at_apex = names.entry(apex.clone()).or_insert_with(|| {
                held.sets(&apex).into_iter().map(|set| (set.record_type, set)).collect()
            });
            let Some(soa) = at_apex.get_mut(&record_type::SOA) else {
                return Err(UpdateRefused::OtherZone(apex));
            };
            soa.data.iter_mut().for_each(|data| raise(data));
            difference = self::difference(held, &names)?;
        }
        for list in [&mut difference.removed, &mut difference.added] {
            if let Some(at) = list.iter().position(is_soa) {
                list[..=at].rotate_right(1);
            }
        }
        let added = difference.added.first();
        let to_serial = added.and_then(|soa| serial_of(&soa.data)).unwrap_or(from_serial);
        Ok((ZoneDifference { from_serial, to_serial, ..difference }, Changed(names)))
    }
}

fn difference(held: Held<'_>, names: &Names) -> Result<ZoneDifference, UpdateRefused> {
    let (mut difference, mut bytes_left) = (ZoneDifference::default(), DIFFERENCE_BYTES_MAX);
    for (name, sets) in names {
        if sets.values().filter(|set| !set.data.is_empty()).count() > TYPES_MAX {
            return Err(UpdateRefused::TooMany(name.clone()));
        }
        for set in sets.values() {
            let held = held.set(name, set.record_type);
            if bytes_of_set(set) > SET_BYTES_MAX && *set != held {
                return Err(UpdateRefused::TooMany(name.clone()));
            }
            let before = (difference.removed.len(), difference.added.len());
            compare(name, &held, set, &mut difference);
            let more = difference.removed[before.0..].iter().chain(&difference.added[before.1..]);
            let more: usize = more.map(journal_bytes).sum();
            bytes_left = bytes_left.checked_sub(more).ok_or(UpdateRefused::TooMuch)?;
        }
    }
    Ok(difference)
}

/// The sets of all names that an update touched, as it leaves them.
pub(super) struct Changed(Names);

impl Changed {
    /// Puts them to those before.
    pub(super) fn put(self, difference: &ZoneDifference, pending: &mut PendingSets) {
        pending.growth = pending.growth.saturating_add(growth_of(difference));
        pending.journal_bytes += bytes_of(&difference.removed) + bytes_of(&difference.added);
        for (name, sets) in self.0 {
            pending.held_bytes += bytes_of_sets(&sets);
            if let Some(before) = pending.names.insert(name, sets) {
                pending.held_bytes -= bytes_of_sets(&before);
            }
        }
    }
}

/// Adds what differs between a set and what becomes of it. Of a set with another TTL all differs.
fn compare<'a>(
    name: &DomainName,
    held: &'a RecordSet,
    next: &'a RecordSet,
    to: &mut ZoneDifference,
) {
    let record = |set: &RecordSet, data: &[u8]| Record {
        name: name.clone(),
        record_type: next.record_type,
        ttl: set.ttl,
        data: data.into(),
    };
    // Sets may have thousands of records: each is looked up.
    let kept_of = |set: &'a RecordSet| -> BTreeSet<&'a [u8]> {
        let data = set.data.iter().filter(|_| held.ttl == next.ttl);
        data.map(|data| &**data).collect()
    };
    let (of_held, of_next) = (kept_of(held), kept_of(next));
    let removed = held.data.iter().filter(|data| !of_next.contains(&***data));
    to.removed.extend(removed.map(|data| record(held, data)));
    let added = next.data.iter().filter(|data| !of_held.contains(&***data));
    to.added.extend(added.map(|data| record(next, data)));
}

/// The serial in a SOA record's data: in front of four other numbers.
pub(super) fn serial_of(data: &[u8]) -> Option<u32> {
    let numbers = data.last_chunk::<20>()?;
    numbers.first_chunk().map(|serial| u32::from_be_bytes(*serial))
}

/// Adds one to a SOA record's serial; 0 is left out, since some take it for "none".
fn raise(data: &mut [u8]) {
    let Some(serial) = data.last_chunk_mut::<20>().and_then(|it| it.first_chunk_mut::<4>()) else {
        return;
    };
    let next = u32::from_be_bytes(*serial).wrapping_add(1).max(1);
    *serial = next.to_be_bytes();
}

/// Whether a serial comes after another (RFC 1982 section 3.2).
pub(super) const fn is_after(serial: u32, other: u32) -> bool {
    let ahead = serial.wrapping_sub(other);
    ahead != 0 && ahead < 1 << 31
}
