//! Records put together to record sets, and those to a zone.

use std::sync::Arc;

use walrus_dns::{DomainName, record_type};

use super::chain::ChainDraft;
use super::records::{Record, Sorted};
use super::{Notes, Place};
use crate::zone::Zone;
use crate::zone::builder::{ArenaBuilder, Unfit};

use super::check::type_name;

/// A set's data with names, types and lengths must fit into one message over TCP, with room for
/// the header, question, OPT and a CNAME chain.
pub(in crate::zone) const SET_LEN_MAX: usize = 60_000;

/// A zone, and where in the file each of its sets begins.
pub(super) struct Collected {
    pub zone: Zone,
    /// In the order of [`Zone::iter`], unless not all sets are in the zone.
    pub places: Vec<Place>,
}

/// What is done with signatures and proofs in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    /// Keep them.
    pub signed: bool,
    /// Bytes that the zone may take.
    pub memory_max: usize,
}

/// The sets of one name, while they are put together.
#[derive(Default)]
struct Sets<'a> {
    sets: Vec<Set<'a>>,
    /// RRSIG records.
    signatures: Vec<Record<'a>>,
    /// NSEC3 records.
    hashed: Vec<Record<'a>>,
}

struct Set<'a> {
    record_type: u16,
    ttl: u32,
    place: Place,
    data: Vec<&'a [u8]>,
    signatures: Vec<&'a [u8]>,
}

pub(super) fn collect(
    records: &Sorted,
    apex: &DomainName,
    selection: Selection,
    notes: &mut Notes,
) -> Collected {
    for (place, owner) in records.outside() {
        let message = format!(
            "{owner} is not in the zone {apex}: write a name below it or move the record to its own zone"
        );
        notes.error(place, 1, message);
    }
    let mut collector = Collector {
        builder: ArenaBuilder::new(apex.clone(), selection.memory_max),
        places: Vec::new(),
        apex,
        selection,
        stripped: None,
        chain: ChainDraft::default(),
    };
    let mut rest = records.iter().peekable();
    let mut sets = Sets::default();
    while let Some(record) = rest.next() {
        let owner = record.owner;
        let is_alone = rest.peek().is_none_or(|next| next.owner != owner);
        if is_alone && is_usual(record.record_type) {
            // Nearly all names of a large zone.
            let Record { record_type, ttl, data, place, .. } = record;
            collector.builder.begin(owner);
            collector.builder.write::<_, &[u8]>(record_type, ttl, &[data], &[]);
            collector.builder.end();
            collector.places.push(place);
            continue;
        }
        collector.add(&mut sets, record, notes);
        while let Some(record) = rest.next_if(|next| next.owner == owner) {
            collector.add(&mut sets, record, notes);
        }
        collector.write(owner, &mut sets, notes);
    }
    collector.finish(notes)
}

/// Types that need no look but at themselves.
const fn is_usual(record_type: u16) -> bool {
    matches!(record_type, record_type::A | record_type::AAAA | record_type::CNAME)
}

struct Collector<'a, 'r> {
    builder: ArenaBuilder,
    places: Vec<Place>,
    apex: &'a DomainName,
    selection: Selection,
    /// Where the first record stands that is left out because it is a signature or proof.
    stripped: Option<Place>,
    /// NSEC3 records, which do not live among the names.
    chain: ChainDraft<'r>,
}

impl<'r> Collector<'_, 'r> {
    fn name(&self, owner: &[u8]) -> DomainName {
        let wire = [owner, self.apex.as_wire()].concat();
        // It was one before it was made relative.
        DomainName::from_wire(&wire).unwrap_or_else(|_| DomainName::root())
    }

    fn add(&mut self, sets: &mut Sets<'r>, record: Record<'r>, notes: &mut Notes) {
        let Record { owner, record_type, ttl, place, data } = record;
        if !self.select(record_type, place, notes) {
            return;
        }
        match record_type {
            record_type::RRSIG => return sets.signatures.push(record),
            record_type::NSEC3 => return sets.hashed.push(record),
            _ => {}
        }
        let Some(set) = sets.sets.iter_mut().find(|set| set.record_type == record_type) else {
            sets.sets.push(Set {
                record_type,
                ttl,
                place,
                data: vec![data],
                signatures: Vec::new(),
            });
            return;
        };
        if set.ttl != ttl {
            set.ttl = set.ttl.min(ttl);
            let message = format!(
                "the {} records of {} have different TTLs; all get the lowest, {} (RFC 2181 section 5.2)",
                type_name(record_type),
                self.name(owner),
                set.ttl
            );
            notes.warning(place, message);
        }
        set.data.push(data);
    }

    /// Whether a record belongs into a zone that we serve.
    fn select(&mut self, record_type: u16, place: Place, notes: &mut Notes) -> bool {
        match record_type {
            record_type::RRSIG
            | record_type::NSEC
            | record_type::NSEC3
            | record_type::NSEC3PARAM
                if !self.selection.signed =>
            {
                self.strip(place);
                false
            }
            0 | 41 | 128..=255 => {
                let message = format!("type {record_type} exists only in queries (RFC 6895)");
                notes.error(place, 1, message);
                false
            }
            _ => true,
        }
    }

    fn strip(&mut self, place: Place) {
        self.stripped = Some(self.stripped.map_or(place, |first| first.min(place)));
    }

    /// Writes the sets of a name and empties them.
    fn write(&mut self, owner: &[u8], sets: &mut Sets<'r>, notes: &mut Notes) {
        if !sets.hashed.is_empty() {
            let over = |record: &Record<'_>| covered(record.data) == Some(record_type::NSEC3);
            let signatures: Vec<&[u8]> =
                sets.signatures.iter().filter(|it| over(it)).map(|it| it.data).collect();
            sets.signatures.retain(|record| !over(record));
            self.chain.add(owner, &sets.hashed, &signatures, notes);
            sets.hashed.clear();
        }
        for record in sets.signatures.drain(..) {
            let covered = covered(record.data);
            match sets.sets.iter_mut().find(|set| Some(set.record_type) == covered) {
                Some(set) => set.signatures.push(record.data),
                None => {
                    let message = format!(
                        "{} has a signature over {} records and none of these: it is left out",
                        self.name(owner),
                        type_name(covered.unwrap_or(0))
                    );
                    notes.warning(record.place, message);
                }
            }
        }
        self.builder.begin(owner);
        for mut set in sets.sets.drain(..) {
            self.drop_duplicates(owner, &mut set, notes);
            let len: usize = set.data.iter().map(|data| data.len() + 12).sum();
            if len > SET_LEN_MAX {
                let message = format!(
                    "{} has {len} bytes of type {} and no answer can carry more than {SET_LEN_MAX}: \
                     spread them over several names",
                    self.name(owner),
                    type_name(set.record_type)
                );
                notes.error(set.place, 1, message);
            }
            self.builder.write(set.record_type, set.ttl, &set.data, &set.signatures);
            self.places.push(set.place);
        }
        self.builder.end();
    }

    /// A set has no two equal records (RFC 2181 section 5).
    fn drop_duplicates(&self, owner: &[u8], set: &mut Set<'_>, notes: &mut Notes) {
        if set.data.len() < 2 {
            return;
        }
        let before = set.data.len();
        let mut seen = std::collections::BTreeSet::new();
        set.data.retain(|data| seen.insert(*data));
        let dropped = before - set.data.len();
        if dropped > 0 {
            let (owner, record_type) = (self.name(owner), type_name(set.record_type));
            let message =
                format!("{owner} has {dropped} {record_type} records twice; one is enough");
            notes.warning(set.place, message);
        }
    }

    fn finish(self, notes: &mut Notes) -> Collected {
        if let Some(place) = self.stripped {
            let message = "RRSIG, NSEC, NSEC3 and NSEC3PARAM records are left out: Walrus signs the \
                           zone itself, or serves it unsigned (`dnssec = \"keep\"` serves a zone as \
                           it is signed)";
            notes.warning(place, message);
        }
        let zone = Zone::finish(self.builder, self.apex.clone());
        for unfit in zone.unfit() {
            if notes.has_errors() {
                // That a set is too large has been told with its line.
                break;
            }
            let message = match unfit {
                Unfit::TooLarge => format!(
                    "the zone takes more than {} bytes of memory: raise `[dns] zone_memory_max`, or \
                     split the zone",
                    self.selection.memory_max
                ),
                Unfit::TooManyTypes(name) => format!("{name} has more than 255 types of records"),
                Unfit::SetTooLarge { name, record_type } => format!(
                    "{name} has more records of type {} than a reply holds, signatures among them",
                    type_name(*record_type)
                ),
            };
            notes.error(Place::ZONE, 0, message);
        }
        let chain = self.chain.finish(&zone, notes).map(Arc::new);
        Collected { zone: zone.with_nsec3(chain), places: self.places }
    }
}

/// The type that an RRSIG record's data covers.
fn covered(data: &[u8]) -> Option<u16> {
    data.first_chunk::<2>().map(|covered| u16::from_be_bytes(*covered))
}
