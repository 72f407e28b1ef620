//! Entries written one after the other into an [`Arena`].

use walrus_dns::{DomainName, record_type, reply};

use super::SetView;
use super::arena::{Arena, INDEX_STEP, NO_PLACE, Node, SET_HEAD_LEN, flags, is_compressed};

/// The longest name in wire format (RFC 1035 section 2.3.4).
const NAME_LEN_MAX: usize = 255;

/// What a zone cannot hold; the rest of it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// A record set that no reply can hold.
    SetTooLarge {
        /// Where.
        name: DomainName,
        /// Of which type.
        record_type: u16,
    },
    /// More than 255 types at a name.
    TooManyTypes(DomainName),
    /// More bytes than allowed.
    TooLarge,
}

/// Takes entries in canonical order.
#[derive(Debug)]
pub(crate) struct ArenaBuilder {
    apex: DomainName,
    bytes: Vec<u8>,
    /// No more than this.
    bytes_max: usize,
    index: Vec<u32>,
    nsec_before: Vec<u32>,
    /// The last entry with an NSEC set.
    nsec: u32,
    names: usize,
    unfit: Vec<Unfit>,
    /// Entries that the last one lies below, and itself, from the top.
    path: Vec<u32>,
    /// The entry that cuts off what is below it.
    cut: Option<u32>,
    entry: OpenEntry,
}

/// The entry that is being written.
#[derive(Debug)]
struct OpenEntry {
    start: usize,
    /// The absolute name.
    name: [u8; NAME_LEN_MAX],
    name_len: usize,
    relative_len: usize,
    flags: u8,
    sets: usize,
    has_nsec: bool,
    has_ns: bool,
}

impl ArenaBuilder {
    /// For entries of at most so many bytes.
    pub(crate) fn new(apex: DomainName, bytes_max: usize) -> Self {
        let entry = OpenEntry {
            start: 0,
            name: [0; NAME_LEN_MAX],
            name_len: 0,
            relative_len: 0,
            flags: 0,
            sets: 0,
            has_nsec: false,
            has_ns: false,
        };
        Self {
            apex,
            bytes: Vec::new(),
            // A place is 32 bits, and one more than a place must be, too.
            bytes_max: bytes_max.min(u32::MAX as usize - 1),
            index: Vec::new(),
            nsec_before: Vec::new(),
            nsec: NO_PLACE,
            names: 0,
            unfit: Vec::new(),
            path: Vec::new(),
            cut: None,
            entry,
        }
    }

    /// Begins the entry of a name relative to the apex, behind all names so far.
    pub(crate) fn begin(&mut self, relative: &[u8]) {
        let entry = &mut self.entry;
        let apex = self.apex.as_wire();
        entry.start = self.bytes.len();
        entry.relative_len = relative.len();
        // A relative name was one of the zone's, so it fits.
        entry.name_len = (relative.len() + apex.len()).min(NAME_LEN_MAX);
        entry.name[..relative.len()].copy_from_slice(relative);
        entry.name[relative.len()..entry.name_len].copy_from_slice(apex);
        entry.flags = if relative.is_empty() { flags::APEX } else { 0 };
        (entry.sets, entry.has_nsec, entry.has_ns) = (0, false, false);
        self.bytes.extend_from_slice(&[relative.len() as u8, 0, 0]);
        self.bytes.extend_from_slice(relative);
    }

    /// Adds a set of another arena to the entry, which has the same absolute name.
    pub(crate) fn copy(&mut self, set: SetView<'_>) {
        let start = self.bytes.len();
        let lens = Lens {
            records: set.record_count,
            record_bytes: set.records.len(),
            signatures: set.signature_count,
            signature_bytes: set.signature_records.len(),
            uncompressed: set.uncompressed.len(),
        };
        self.open_set(set.record_type);
        for bytes in [set.records, set.signature_records, set.uncompressed] {
            self.bytes.extend_from_slice(bytes);
        }
        self.close_set(start, set.record_type, &lens, set.data().next());
    }

    /// Adds a set of a type that the entry does not have yet; `data` is uncompressed and not empty.
    pub(crate) fn write<D: AsRef<[u8]>, S: AsRef<[u8]>>(
        &mut self,
        record_type: u16,
        ttl: u32,
        data: &[D],
        signatures: &[S],
    ) {
        let start = self.bytes.len();
        let fits = self.try_write(record_type, ttl, data, signatures);
        match fits {
            Some(lens) => {
                let first = data.first().map(AsRef::as_ref);
                self.close_set(start, record_type, &lens, first);
            }
            None => {
                self.bytes.truncate(start);
                let name = self.name();
                self.unfit.push(Unfit::SetTooLarge { name, record_type });
            }
        }
    }

    fn try_write<D: AsRef<[u8]>, S: AsRef<[u8]>>(
        &mut self,
        record_type: u16,
        ttl: u32,
        data: &[D],
        signatures: &[S],
    ) -> Option<Lens> {
        self.open_set(record_type);
        let records_at = self.bytes.len();
        let question = &self.entry.name[..self.entry.name_len];
        let out = &mut self.bytes;
        for data in data {
            let data = data.as_ref();
            let mut room = [0; 1024];
            match compress(record_type, data, question, &mut room) {
                Some(len) => write_record(question, record_type, ttl, &room[..len], out)?,
                None => write_record(question, record_type, ttl, data, out)?,
            }
        }
        let signatures_at = out.len();
        for data in signatures {
            write_record(question, record_type::RRSIG, ttl, data.as_ref(), out)?;
        }
        let uncompressed_at = out.len();
        if is_compressed(record_type) {
            for data in data {
                let data = data.as_ref();
                out.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
                out.extend_from_slice(data);
            }
        }
        let (record_bytes, signature_bytes) =
            (signatures_at - records_at, uncompressed_at - signatures_at);
        u16::try_from(record_bytes.max(signature_bytes)).ok()?;
        Some(Lens {
            records: u16::try_from(data.len()).ok()?,
            record_bytes,
            signatures: u16::try_from(signatures.len()).ok()?,
            signature_bytes,
            uncompressed: out.len() - uncompressed_at,
        })
    }

    /// Leaves room for a set's head.
    fn open_set(&mut self, record_type: u16) {
        self.bytes.extend_from_slice(&[0; SET_HEAD_LEN]);
        if is_compressed(record_type) {
            self.bytes.extend_from_slice(&[0; 4]);
        }
    }

    fn close_set(&mut self, start: usize, record_type: u16, lens: &Lens, first: Option<&[u8]>) {
        // All checked to fit into 16 bits where the set was written.
        let numbers = [
            record_type,
            lens.records,
            lens.record_bytes as u16,
            lens.signatures,
            lens.signature_bytes as u16,
        ];
        for (place, number) in numbers.into_iter().enumerate() {
            let at = start + 2 * place;
            self.bytes[at..at + 2].copy_from_slice(&number.to_be_bytes());
        }
        if is_compressed(record_type) {
            // At most 65,535 records of 65,535 bytes and their lengths.
            let len = u32::try_from(lens.uncompressed).unwrap_or(u32::MAX);
            let at = start + SET_HEAD_LEN;
            self.bytes[at..at + 4].copy_from_slice(&len.to_be_bytes());
        }
        let entry = &mut self.entry;
        entry.sets += 1;
        match record_type {
            record_type::NS => entry.has_ns = true,
            record_type::DNAME => entry.flags |= flags::RECORDS_BELOW,
            record_type::NSEC => entry.has_nsec = true,
            record_type::CNAME => {
                let target = first.and_then(|data| DomainName::from_wire(data).ok());
                entry.flags |= match target {
                    Some(target) if target.is_within(&self.apex) => flags::CNAME_INSIDE,
                    _ => flags::CNAME_OUTSIDE,
                };
            }
            _ => {}
        }
    }

    /// Ends the entry; without sets there is none.
    pub(crate) fn end(&mut self) {
        let start = self.entry.start;
        if self.entry.sets == 0 {
            self.bytes.truncate(start);
            return;
        }
        let Ok(sets) = u8::try_from(self.entry.sets) else {
            self.bytes.truncate(start);
            let name = self.name();
            self.unfit.push(Unfit::TooManyTypes(name));
            return;
        };
        if self.bytes.len() > self.bytes_max {
            self.bytes.truncate(start);
            if self.unfit.last() != Some(&Unfit::TooLarge) {
                self.unfit.push(Unfit::TooLarge);
            }
            return;
        }
        // At most `bytes_max`.
        let place = start as u32;
        self.mark(place);
        self.bytes[start + 1] = self.entry.flags;
        self.bytes[start + 2] = sets;
        if self.names.is_multiple_of(INDEX_STEP) {
            self.index.push(place);
            self.nsec_before.push(self.nsec);
        }
        self.names += 1;
        if self.entry.has_nsec {
            self.nsec = place;
        }
    }

    /// What follows from the entries above: cut off or not; and what follows for the one above.
    fn mark(&mut self, place: u32) {
        let relative = &self.entry.name[..self.entry.relative_len];
        let name_at = |place: u32| Node::new(&self.bytes[place as usize..]).name();
        while self.path.last().is_some_and(|above| !is_below(relative, name_at(*above))) {
            self.path.pop();
        }
        if self.cut.is_some_and(|cut| !self.path.contains(&cut)) {
            self.cut = None;
        }
        let is_apex = relative.is_empty();
        if self.cut.is_some() {
            self.entry.flags |= flags::CUT;
        } else {
            if self.entry.has_ns && !is_apex {
                self.entry.flags |= flags::CUT;
                self.cut = Some(place);
            }
            if self.entry.flags & flags::RECORDS_BELOW != 0 {
                self.cut = Some(place);
            }
        }
        if let Some(parent) = relative.strip_prefix(&[1, b'*'])
            && let Some(above) = self.path.last()
            && name_at(*above) == parent
        {
            self.bytes[*above as usize + 1] |= flags::RECORDS_BELOW;
        }
        self.path.push(place);
    }

    /// The name of the entry that is being written.
    fn name(&self) -> DomainName {
        let wire = &self.entry.name[..self.entry.name_len];
        DomainName::from_wire(wire).unwrap_or_else(|_| DomainName::root())
    }

    /// All entries, and what they could not hold.
    pub(crate) fn finish(self) -> (Arena, Vec<Unfit>) {
        let nsec_before = if self.nsec == NO_PLACE { Vec::new() } else { self.nsec_before };
        let arena = Arena {
            bytes: self.bytes.into(),
            index: self.index.into(),
            nsec_before: nsec_before.into(),
            names: self.names,
        };
        (arena, self.unfit)
    }
}

/// What a set's head says.
struct Lens {
    records: u16,
    record_bytes: usize,
    signatures: u16,
    signature_bytes: usize,
    uncompressed: usize,
}

/// Whether a name stands below another, both relative to one apex.
pub(crate) fn is_below(name: &[u8], ancestor: &[u8]) -> bool {
    if name.len() <= ancestor.len() || !name.ends_with(ancestor) {
        return false;
    }
    let mut rest = name;
    while rest.len() > ancestor.len() {
        rest = rest.get(1 + usize::from(rest[0])..).unwrap_or_default();
    }
    rest.len() == ancestor.len()
}

/// Writes one record with its owner as a pointer to the question; `None` if its data is too long.
fn write_record(
    question: &[u8],
    record_type: u16,
    ttl: u32,
    data: &[u8],
    out: &mut Vec<u8>,
) -> Option<()> {
    let [owner_0, owner_1] = reply::pointer_to_suffix(question.len(), question.len());
    let [type_0, type_1] = record_type.to_be_bytes();
    let [class_0, class_1] = record_type::CLASS_IN.to_be_bytes();
    let [ttl_0, ttl_1, ttl_2, ttl_3] = ttl.to_be_bytes();
    let [len_0, len_1] = u16::try_from(data.len()).ok()?.to_be_bytes();
    out.extend_from_slice(&[
        owner_0, owner_1, type_0, type_1, class_0, class_1, ttl_0, ttl_1, ttl_2, ttl_3, len_0,
        len_1,
    ]);
    out.extend_from_slice(data);
    Some(())
}

/// Compresses the names in the data of the types of RFC 1035 against the question's name; the
/// length. `None` for other types, and for data that is not what its type says: it goes out as it
/// is.
fn compress(record_type: u16, data: &[u8], question: &[u8], out: &mut [u8]) -> Option<usize> {
    match record_type {
        record_type::NS | record_type::CNAME | record_type::PTR => {
            reply::write_name(split_name(data)?.0, question, out)
        }
        record_type::MX => {
            let (preference, exchange) = data.split_at_checked(2)?;
            out[..2].copy_from_slice(preference);
            Some(2 + reply::write_name(split_name(exchange)?.0, question, &mut out[2..])?)
        }
        record_type::SOA => {
            let (primary, rest) = split_name(data)?;
            let (mailbox, numbers) = split_name(rest)?;
            let numbers: &[u8; 20] = numbers.try_into().ok()?;
            let mut at = reply::write_name(primary, question, out)?;
            at += reply::write_name(mailbox, question, &mut out[at..])?;
            out[at..at + 20].copy_from_slice(numbers);
            Some(at + 20)
        }
        _ => None,
    }
}

/// The uncompressed name at the start of `data`, and what follows it.
pub(crate) fn split_name(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = DomainName::from_wire(data).ok()?.as_wire().len();
    Some(data.split_at(len))
}
