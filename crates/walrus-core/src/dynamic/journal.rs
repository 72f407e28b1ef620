//! The bytes of a zone's journal: the zone as it was once, and every change since, each with its length
//! and a checksum, so that a tail which was not written to its end is known as such.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use walrus_dns::{DomainName, record_type};

use crate::zone::{Record, RecordSet, SetView, Zone, ZoneDifference};

/// What a journal begins with; the last letter but one is the version.
const MAGIC: [u8; 8] = *b"WLRSJN1\n";
/// In front of an entry: its length, and a checksum over place and content.
const HEAD_LEN: usize = 12;
/// So many bytes are looked through for what stands behind a change that is not whole.
const SCANNED_MAX: usize = 1 << 30;
/// Records of a zone that one entry holds, in bytes.
const PART_BYTES: usize = 1 << 20;

const BEGIN: u8 = 1;
const PART: u8 = 2;
const END: u8 = 3;
const CHANGE: u8 = 4;

/// What a journal says.
#[derive(Clone, Debug)]
pub struct JournalContent {
    /// The zone after all changes.
    pub zone: Zone,
    /// Names the text that the zone was loaded from before anybody changed it; empty if nobody said.
    pub text: Vec<u8>,
    /// Bytes of the zone that it begins with.
    pub base_len: u64,
    /// Nothing was ever changed: it is the zone as it was loaded when the journal was begun.
    pub is_as_loaded: bool,
    /// Bytes that are whole; what follows was not written to its end.
    pub whole_len: u64,
    /// How many changes there are.
    pub changes: u64,
    /// The last.
    pub last: Option<JournalChange>,
}

/// Who changed a zone, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalChange {
    /// Seconds since 1970.
    pub at: u64,
    /// The key's name.
    pub key: DomainName,
}

/// Bytes that are no journal of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalDamaged {
    /// Something else, or of a later program.
    #[error("it does not begin as a journal does, or is of a later version")]
    NoJournal,
    /// Another zone's.
    #[error("it is another zone's")]
    OtherZone,
    /// The zone that it begins with is not whole.
    #[error("the zone that it begins with is not whole")]
    Base,
    /// An entry is whole and does not fit those before it.
    #[error("a change in it does not fit what is before it")]
    Change,
    /// Something is not whole, and what was written after it is.
    #[error(
        "a change in it is not whole, {0} bytes from its beginning, and others were written after it"
    )]
    Middle(u64),
}

/// A journal of this zone without any change, in pieces of about a megabyte.
///
/// `is_as_loaded`: nobody has changed the zone yet. `text` names what it was loaded from, in at most 255 bytes.
pub fn write_base<'z>(
    zone: &'z Zone,
    is_as_loaded: bool,
    text: &[u8],
) -> impl Iterator<Item = Vec<u8>> + use<'z> {
    let begin = [&[BEGIN, u8::from(is_as_loaded)], zone.apex().as_wire(), text].concat();
    let mut place = MAGIC.len() as u64;
    let mut records = zone.records().peekable();
    let (mut count, mut is_begun, mut is_ended) = (0_u64, false, false);
    std::iter::from_fn(move || {
        let mut out = Vec::new();
        if !is_begun {
            is_begun = true;
            out.extend_from_slice(&MAGIC);
            put_entry(&mut out, place, &begin);
        } else if records.peek().is_some() {
            let mut part = vec![PART];
            while part.len() < PART_BYTES
                && let Some(record) = records.next()
            {
                put_record(&mut part, &record);
                count += 1;
            }
            put_entry(&mut out, place, &part);
        } else if !is_ended {
            is_ended = true;
            put_entry(&mut out, place, &[&[END][..], &count.to_be_bytes()].concat());
        } else {
            return None;
        }
        place += out.len() as u64;
        if place == (MAGIC.len() + out.len()) as u64 {
            // The first piece has the magic in it.
            place = out.len() as u64;
        }
        Some(out)
    })
}

/// Appends a change that stands `place` bytes from the journal's beginning. What is written together begins at
/// `together`: of that, a part may be on the disk and what is before it may not, when nobody has been told yet.
pub fn write_change(
    out: &mut Vec<u8>,
    (place, together): (u64, u64),
    by: &JournalChange,
    difference: &ZoneDifference,
) {
    let mut entry = vec![CHANGE];
    entry.extend_from_slice(&together.to_be_bytes());
    entry.extend_from_slice(&by.at.to_be_bytes());
    entry.extend_from_slice(by.key.as_wire());
    entry.extend_from_slice(&difference.from_serial.to_be_bytes());
    entry.extend_from_slice(&difference.to_serial.to_be_bytes());
    for list in [&difference.removed, &difference.added] {
        // One message cannot hold so many.
        let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
        entry.extend_from_slice(&count.to_be_bytes());
        list.iter().for_each(|record| put_record(&mut entry, record));
    }
    put_entry(out, place, &entry);
}

fn put_entry(out: &mut Vec<u8>, place: u64, entry: &[u8]) {
    // An entry holds a megabyte and a record, or the changes of one message.
    let len = u32::try_from(entry.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&checksum(place, entry));
    out.extend_from_slice(entry);
}

/// Over the place too: what an earlier journal left on the disk is none of this one's entries.
fn checksum(place: u64, entry: &[u8]) -> [u8; 8] {
    let hash = Sha256::new().chain_update(place.to_be_bytes()).chain_update(entry).finalize();
    hash.first_chunk().copied().unwrap_or_default()
}

fn put_record(out: &mut Vec<u8>, record: &Record) {
    out.extend_from_slice(record.name.as_wire());
    out.extend_from_slice(&record.record_type.to_be_bytes());
    out.extend_from_slice(&record.ttl.to_be_bytes());
    // Data came with a length of 16 bits.
    let len = u16::try_from(record.data.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&record.data);
}

/// Reads a journal. It takes about as much memory as the zone, twice.
///
/// # Errors
/// If it is no journal of this zone, what it begins with is not whole, or a change is not that others were written
/// after. A tail that is not whole is no error: see [`JournalContent::whole_len`].
pub fn read_journal(bytes: &[u8], apex: &DomainName) -> Result<JournalContent, JournalDamaged> {
    let JournalBegin { is_as_loaded, text, len } = JournalBegin::read(bytes, apex)?;
    let mut entries = Entries { bytes, place: len };
    let base = read_base(&mut entries, apex)?;
    let base_len = entries.place as u64;
    let mut changed = Changed { base: &base, sets: BTreeMap::new(), serial: base.serial() };
    let (mut changes, mut last) = (0, None);
    while let Some(entry) = entries.next() {
        last = Some(changed.take(entry).ok_or(JournalDamaged::Change)?);
        changes += 1;
    }
    if entries.goes_on_later() {
        return Err(JournalDamaged::Middle(entries.place as u64));
    }
    let Changed { sets, serial, .. } = changed;
    let sets = sets.into_iter().map(|((name, _), set)| (name, set));
    let zone = if changes == 0 { base.clone() } else { base.with_sets(sets) };
    if zone.serial() != serial {
        return Err(JournalDamaged::Change);
    }
    let whole_len = entries.place as u64;
    let is_as_loaded = is_as_loaded && changes == 0;
    Ok(JournalContent { zone, text, base_len, is_as_loaded, whole_len, changes, last })
}

/// How a journal begins: [`JournalBegin::LEN_MAX`] bytes tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalBegin {
    /// Nobody had changed the zone when it was begun.
    pub is_as_loaded: bool,
    /// Names the text that the zone was loaded from; empty if nobody said.
    pub text: Vec<u8>,
    /// Where its first other entry stands.
    pub len: usize,
}

impl JournalBegin {
    /// No beginning is longer.
    pub const LEN_MAX: usize = MAGIC.len() + HEAD_LEN + 2 + 255 + 255;

    /// Reads it.
    ///
    /// # Errors
    /// If that is no journal of this zone.
    pub fn read(bytes: &[u8], apex: &DomainName) -> Result<Self, JournalDamaged> {
        if bytes.get(..MAGIC.len()) != Some(&MAGIC[..]) {
            return Err(JournalDamaged::NoJournal);
        }
        let mut entries = Entries { bytes, place: MAGIC.len() };
        let begin = entries.next().and_then(|entry| entry.strip_prefix(&[BEGIN]));
        let (flag, rest) = begin.and_then(<[u8]>::split_first).ok_or(JournalDamaged::Base)?;
        let rest = &mut { rest };
        if take_name(rest).as_ref() != Some(apex) {
            return Err(JournalDamaged::OtherZone);
        }
        Ok(Self { is_as_loaded: *flag == 1, text: rest.to_vec(), len: entries.place })
    }
}

/// What the first [`JournalEntry::HEAD_LEN`] bytes of an entry say of it, unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// It is the last of the zone that the journal begins with.
    pub ends_base: bool,
    /// Bytes from its beginning to the next one's.
    pub len: u64,
}

impl JournalEntry {
    /// So much of it is looked at.
    pub const HEAD_LEN: usize = HEAD_LEN + 1;

    /// Reads a head.
    #[must_use]
    pub fn read(head: &[u8; Self::HEAD_LEN]) -> Self {
        let len = head.first_chunk::<4>().map_or(0, |len| u32::from_be_bytes(*len));
        Self { ends_base: head[HEAD_LEN] == END, len: HEAD_LEN as u64 + u64::from(len) }
    }
}

/// Whole entries, one after the other.
struct Entries<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl<'a> Entries<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let (head, rest) = self.bytes.get(self.place..)?.split_at_checked(HEAD_LEN)?;
        let (len, sum) = head.split_first_chunk::<4>()?;
        let len = u32::from_be_bytes(*len) as usize;
        let entry = rest.get(..len)?;
        if checksum(self.place as u64, entry) != sum {
            return None;
        }
        self.place += HEAD_LEN + len;
        Some(entry)
    }

    /// Whether anything whole stands behind this place, where nothing whole does, that was written later. Then what
    /// stands here was acknowledged once.
    fn goes_on_later(&self) -> bool {
        let mut read = 0;
        for place in self.place + 1..self.bytes.len().saturating_sub(HEAD_LEN) {
            let mut behind = Self { bytes: self.bytes, place };
            if !behind.looks_written_after(self.place) {
                continue;
            }
            // Where lengths could be anything, each costs a checksum: no torn tail is worth more than that.
            read += behind.length_here();
            if behind.next().is_some() || read > SCANNED_MAX {
                return true;
            }
        }
        false
    }

    /// Whether a change could stand here that was written in one piece that begins behind `before`.
    fn looks_written_after(&self, before: usize) -> bool {
        let head = self.bytes.get(self.place + HEAD_LEN..).and_then(|rest| rest.first_chunk::<9>());
        let Some([CHANGE, together @ ..]) = head else { return false };
        let Ok(together) = usize::try_from(u64::from_be_bytes(*together)) else { return false };
        before < together && together <= self.place && self.length_here() > 0
    }

    /// How long an entry here says it is, if that fits.
    fn length_here(&self) -> usize {
        let head = self.bytes.get(self.place..).and_then(|rest| rest.first_chunk::<4>());
        let len = head.map_or(0, |len| u32::from_be_bytes(*len) as usize);
        if len <= self.bytes.len() - self.place.min(self.bytes.len()) { len } else { 0 }
    }
}

fn read_base(entries: &mut Entries<'_>, apex: &DomainName) -> Result<Zone, JournalDamaged> {
    let mut sets: Vec<(DomainName, RecordSet)> = Vec::new();
    let mut count = 0_u64;
    loop {
        match entries.next().and_then(<[u8]>::split_first) {
            Some((&PART, mut rest)) => {
                while !rest.is_empty() {
                    let record = take_record(&mut rest).ok_or(JournalDamaged::Base)?;
                    count += 1;
                    match sets.last_mut() {
                        Some((name, set))
                            if *name == record.name && set.record_type == record.record_type =>
                        {
                            set.data.push(record.data);
                        }
                        _ => {
                            let Record { name, record_type, ttl, data } = record;
                            let signatures = Vec::new();
                            let data = vec![data];
                            sets.push((name, RecordSet { record_type, ttl, data, signatures }));
                        }
                    }
                }
            }
            Some((&END, rest)) if *rest == count.to_be_bytes() => break,
            _ => return Err(JournalDamaged::Base),
        }
    }
    let zone = Zone::from_sets(apex.clone(), sets);
    match zone.set(apex, record_type::SOA) {
        Some(_) => Ok(zone),
        None => Err(JournalDamaged::Base),
    }
}

/// What changes have made of sets, all together: a zone is put together once.
struct Changed<'z> {
    base: &'z Zone,
    sets: BTreeMap<(DomainName, u16), RecordSet>,
    serial: u32,
}

impl Changed<'_> {
    /// Carries out an entry; `None` if it does not fit.
    fn take(&mut self, entry: &[u8]) -> Option<JournalChange> {
        let rest = &mut entry.strip_prefix(&[CHANGE])?;
        take::<8>(rest)?;
        let at = u64::from_be_bytes(*take(rest)?);
        let key = take_name(rest)?;
        let from = u32::from_be_bytes(*take(rest)?);
        let to = u32::from_be_bytes(*take(rest)?);
        if from != self.serial {
            return None;
        }
        for _ in 0..u32::from_be_bytes(*take(rest)?) {
            let record = take_record(rest)?;
            let set = self.set(&record)?;
            let held = set.data.iter().position(|data| *data == record.data)?;
            set.data.remove(held);
        }
        for _ in 0..u32::from_be_bytes(*take(rest)?) {
            let record = take_record(rest)?;
            let set = self.set(&record)?;
            set.ttl = record.ttl;
            set.data.push(record.data);
        }
        self.serial = to;
        rest.is_empty().then_some(JournalChange { at, key })
    }

    fn set(&mut self, record: &Record) -> Option<&mut RecordSet> {
        if !record.name.is_within(self.base.apex()) {
            return None;
        }
        let (base, record_type) = (self.base, record.record_type);
        let set = self.sets.entry((record.name.clone(), record_type)).or_insert_with(|| {
            let held = base.set(&record.name, record_type).map(SetView::to_set);
            held.unwrap_or_else(|| RecordSet { record_type, ..RecordSet::default() })
        });
        Some(set)
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(taken)
}

fn take_name(rest: &mut &[u8]) -> Option<DomainName> {
    let name = DomainName::from_wire(rest).ok()?;
    *rest = rest.get(name.as_wire().len()..)?;
    Some(name)
}

fn take_record(rest: &mut &[u8]) -> Option<Record> {
    let name = take_name(rest)?;
    let record_type = u16::from_be_bytes(*take(rest)?);
    let ttl = u32::from_be_bytes(*take(rest)?);
    let len = usize::from(u16::from_be_bytes(*take(rest)?));
    let (data, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(Record { name, record_type, ttl, data: data.into() })
}
