//! A zone while an update is carried out: the names that it touches, and what differs in the end.

use std::collections::BTreeMap;

use walrus_dns::{DomainName, record_type};

use super::UpdateRefused;
use crate::zone::{Record, RecordSet, SetView, Zone, ZoneDifference};

/// Bytes of a set as a reply holds them, with room for a question, a signature or two, and OPT.
const SET_BYTES_MAX: usize = 62_000;
/// In front of a record's data in a reply: a pointer, type, class, TTL, length.
const RECORD_HEAD: usize = 12;
/// Types at a name.
const TYPES_MAX: usize = 250;

/// The names that were touched, each with all its sets.
pub(super) struct Draft<'z> {
    zone: &'z Zone,
    names: BTreeMap<DomainName, BTreeMap<u16, RecordSet>>,
}

impl<'z> Draft<'z> {
    pub(super) const fn new(zone: &'z Zone) -> Self {
        Self { zone, names: BTreeMap::new() }
    }

    pub(super) const fn apex(&self) -> &'z DomainName {
        self.zone.apex()
    }

    /// The sets of a name, to be changed; sets without data are none.
    pub(super) fn at(&mut self, name: &DomainName) -> &mut BTreeMap<u16, RecordSet> {
        let zone = self.zone;
        self.names.entry(name.clone()).or_insert_with(|| {
            let sets = zone.sets(name).iter().map(SetView::to_set);
            sets.map(|set| (set.record_type, set)).collect()
        })
    }

    /// The zone's serial before anything was changed.
    pub(super) fn begun_serial(&self) -> u32 {
        self.zone.serial()
    }

    /// What differs, with a serial that rises if anything does (section 3.6).
    ///
    /// # Errors
    /// If a reply could not hold a set.
    pub(super) fn finish(mut self) -> Result<ZoneDifference, UpdateRefused> {
        let from_serial = self.zone.serial();
        let apex = self.apex().clone();
        let unchanged =
            ZoneDifference { from_serial, to_serial: from_serial, ..ZoneDifference::default() };
        let mut difference = self.difference()?;
        if difference.is_empty() {
            return Ok(unchanged);
        }
        let is_soa = |record: &Record| record.record_type == record_type::SOA;
        // Only a higher serial was let through.
        if !difference.added.iter().any(is_soa) {
            let Some(soa) = self.at(&apex).get_mut(&record_type::SOA) else {
                return Err(UpdateRefused::OtherZone(apex));
            };
            soa.data.iter_mut().for_each(|data| raise(data));
            difference = self.difference()?;
        }
        for list in [&mut difference.removed, &mut difference.added] {
            if let Some(at) = list.iter().position(is_soa) {
                list[..=at].rotate_right(1);
            }
        }
        let added = difference.added.first();
        let to_serial = added.and_then(|soa| serial_of(&soa.data)).unwrap_or(from_serial);
        Ok(ZoneDifference { from_serial, to_serial, ..difference })
    }

    fn difference(&self) -> Result<ZoneDifference, UpdateRefused> {
        let mut difference = ZoneDifference::default();
        for (name, sets) in &self.names {
            if sets.values().filter(|set| !set.data.is_empty()).count() > TYPES_MAX {
                return Err(UpdateRefused::TooMany(name.clone()));
            }
            let held = self.zone.sets(name);
            for set in sets.values() {
                let bytes: usize = set.data.iter().map(|data| RECORD_HEAD + data.len()).sum();
                let held = held.of_type(set.record_type).map(SetView::to_set);
                let held = held.unwrap_or_default();
                if bytes > SET_BYTES_MAX && *set != held {
                    return Err(UpdateRefused::TooMany(name.clone()));
                }
                compare(name, &held, set, &mut difference);
            }
        }
        Ok(difference)
    }
}

/// Adds what differs between a set and what becomes of it. Of a set with another TTL all differs.
fn compare(name: &DomainName, held: &RecordSet, next: &RecordSet, to: &mut ZoneDifference) {
    let record = |set: &RecordSet, data: &[u8]| Record {
        name: name.clone(),
        record_type: next.record_type,
        ttl: set.ttl,
        data: data.into(),
    };
    let is_kept = |set: &RecordSet, data: &[u8]| {
        set.ttl == held.ttl && set.ttl == next.ttl && set.data.iter().any(|other| **other == *data)
    };
    let removed = held.data.iter().filter(|data| !is_kept(next, data));
    to.removed.extend(removed.map(|data| record(held, data)));
    let added = next.data.iter().filter(|data| !is_kept(held, data));
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
