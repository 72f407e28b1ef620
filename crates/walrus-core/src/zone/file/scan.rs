//! Each entry of a zone file to a record, by the `domain` crate's scanner.

use bytes::Bytes;
use domain::base::name::{Name, ToName as _};
use domain::base::rdata::ComposeRecordData as _;
use domain::zonefile::inplace;
use walrus_dns::DomainName;

use super::by_domain::{
    NO_OWNER, advice, has_glued_word, is_directive, is_well_formed, lines_in, name_of,
    new_zonefile, parts_of, path_of,
};
use super::entries::{Entries, Entry, Open};
use super::include::Includes;
use super::plain::{self, Context, Room};
use super::records::{Record, Records};
use super::rewrite::{Rewritten, rewrite};
use super::times::TooLong;
use super::tokens::Tokens;
use super::{Notes, Place};

/// A TTL has 31 bits (RFC 2181 section 8).
const TTL_MAX: u32 = i32::MAX as u32;

/// All records of a text that includes no files, in the order in which they stand.
pub(super) fn scan(text: &[u8], apex: &DomainName, notes: &mut Notes) -> Records {
    let mut scanner = Scanner::new(apex, State::new(apex), Includes::new(None));
    scanner.text(text, usize::MAX, 0, 0, notes);
    scanner.records
}

/// The scanner and what it takes to go on after an error, which leaves `domain`'s scanner unusable,
/// after an included file, and after lines that were plain enough not to need it.
pub(super) struct Scanner<'a> {
    apex: DomainName,
    zonefile: inplace::Zonefile,
    pub(super) records: Records,
    includes: Includes<'a>,
    /// Line feeds given to `zonefile`.
    lines: u32,
    /// The last good `$TTL` directive; empty before.
    default_ttl: Vec<u8>,
    /// The last TTL of a record, which holds for others as long as there is no `$TTL`.
    last_ttl: u32,
    /// Whether `zonefile` knows that.
    last_ttl_known: bool,
    /// Whether a plain line gave one since the start.
    has_own_ttl: bool,
    owner: Option<Owner>,
    /// Whether `zonefile` knows that owner.
    owner_known: bool,
    /// Whether an owner was read since the start.
    has_own_owner: bool,
    /// For plain lines; to be made anew after a directive.
    context: Option<Context>,
    room: Box<Room>,
    wire: Vec<u8>,
    /// Bytes that the records may take while they are read.
    records_max: usize,
    /// Whether plain lines are read without `domain`.
    pub(super) reads_plain_lines: bool,
    pub(super) used: Used,
}

/// What was taken over from the text before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    /// The owner.
    pub owner: bool,
    /// The last TTL.
    pub last_ttl: bool,
    /// A file was to be included.
    pub include: bool,
}

/// What the text before leaves to that which follows.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub origin: Name<Bytes>,
    pub default_ttl: Vec<u8>,
    pub last_ttl: u32,
    pub owner: Option<Owner>,
}

impl State {
    pub(super) fn new(apex: &DomainName) -> Self {
        Self { origin: name_of(apex), default_ttl: Vec::new(), last_ttl: FIRST_TTL, owner: None }
    }
}

const TOO_LARGE: &str = "the zone's records take more memory than allowed: raise `[dns] zone_memory_max`, or \
     split the zone";

/// What `domain` takes for a record without a TTL before any other gave one.
const FIRST_TTL: u32 = 3600;

/// The owner of the last entry that had one.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    /// As it was written.
    word: Vec<u8>,
    /// To which it is relative.
    origin: Name<Bytes>,
}

/// What an entry is, once it is understood.
enum Step {
    Record,
    Include { path: String, origin: Option<Name<Bytes>> },
}

impl<'a> Scanner<'a> {
    pub(super) fn new(apex: &DomainName, state: State, includes: Includes<'a>) -> Self {
        let mut scanner = Self {
            apex: apex.clone(),
            zonefile: new_zonefile(state.origin),
            records: Records::default(),
            includes,
            lines: 0,
            default_ttl: state.default_ttl,
            last_ttl: state.last_ttl,
            last_ttl_known: false,
            has_own_ttl: false,
            owner: state.owner,
            owner_known: false,
            has_own_owner: false,
            context: None,
            room: Box::new(Room::new()),
            wire: Vec::new(),
            records_max: usize::MAX,
            reads_plain_lines: true,
            used: Used::default(),
        };
        scanner.recover();
        scanner
    }

    /// With records of at most so many bytes.
    pub(super) fn with_records_max(mut self, bytes: usize) -> Self {
        self.records_max = bytes;
        self
    }

    /// What is left to the text that follows.
    pub(super) fn state(&self) -> State {
        State {
            origin: self.origin(),
            default_ttl: self.default_ttl.clone(),
            last_ttl: self.last_ttl,
            owner: self.owner.clone(),
        }
    }

    /// Reads the entries of a text that begin in its first `len` bytes. How many bytes they have,
    /// and how many line feeds.
    pub(super) fn text(
        &mut self,
        text: &[u8],
        len: usize,
        file: u16,
        depth: u8,
        notes: &mut Notes,
    ) -> (usize, u32) {
        let mut entries = Entries::new(text);
        // Of the last plain line; it is only written down when it is needed.
        let mut owner: Option<&[u8]> = None;
        while !entries.rest().is_empty() && text.len() - entries.rest().len() < len {
            if notes.is_full() {
                break;
            }
            if self.records.memory() > self.records_max {
                notes.error(Place::ZONE, 0, TOO_LARGE);
                break;
            }
            if let Some((line_len, word)) = self.plain(&entries, file) {
                owner = Some(word);
                entries.skip_line(line_len);
                continue;
            }
            let Some(entry) = entries.step() else { continue };
            self.take_owner(&mut owner);
            if let Some(Step::Include { path, origin }) = self.entry(&entry, file, notes) {
                self.used.include = true;
                let place = Place { file, line: entry.line };
                self.include(&path, origin, place, depth, notes);
            }
        }
        self.take_owner(&mut owner);
        (text.len() - entries.rest().len(), entries.line() - 1)
    }

    /// Reads a plain line: its length and its owner as it is written.
    fn plain<'t>(&mut self, entries: &Entries<'t>, file: u16) -> Option<(usize, &'t [u8])> {
        if !self.reads_plain_lines {
            return None;
        }
        if self.context.is_none() {
            self.context = Some(self.new_context());
        }
        let context = self.context.as_mut()?;
        let line = plain::read(entries.rest(), context, &mut self.room)?;
        self.records.push(&Record {
            owner: &self.room.owner[..line.owner_len],
            record_type: line.record_type,
            ttl: line.ttl,
            place: Place { file, line: entries.line() },
            data: &self.room.data[..line.data_len],
        });
        if self.default_ttl.is_empty() {
            if line.has_ttl {
                self.last_ttl = line.ttl;
                (self.last_ttl_known, self.has_own_ttl) = (false, true);
                context.ttl = Some(line.ttl);
            } else {
                self.used.last_ttl |= !self.has_own_ttl;
            }
        }
        Some((line.len, line.owner))
    }

    fn take_owner(&mut self, owner: &mut Option<&[u8]>) {
        if let Some(word) = owner.take() {
            self.owner = Some(Owner { word: word.to_vec(), origin: self.origin() });
            self.owner_known = false;
            self.has_own_owner = true;
        }
    }

    fn new_context(&self) -> Context {
        let apex = self.apex.as_wire().to_vec();
        let origin = self.origin().as_slice().to_vec();
        let relative = DomainName::from_wire(&origin).ok().filter(|it| it.is_within(&self.apex));
        let relative = relative.map(|it| it.as_wire()[..it.as_wire().len() - apex.len()].to_vec());
        let ttl = if self.default_ttl.is_empty() {
            Some(self.last_ttl)
        } else {
            let seconds = Tokens::new(&self.default_ttl).nth(1).map(|token| token.text);
            seconds.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok())
        };
        Context { origin, relative_origin: relative, apex, ttl: ttl.filter(|ttl| *ttl <= TTL_MAX) }
    }

    /// Origin and owner stand again after the included file; its `$TTL` goes on to hold, as in BIND.
    fn include(
        &mut self,
        path: &str,
        origin: Option<Name<Bytes>>,
        place: Place,
        depth: u8,
        notes: &mut Notes,
    ) {
        let included = match self.includes.read(path, depth) {
            Ok(included) => included,
            Err(message) => return notes.error(place, 1, message),
        };
        let file = notes.add_file(included.name);
        let (own_origin, own_owner) = (self.origin(), self.owner.clone());
        if let Some(origin) = origin {
            self.zonefile.set_origin(origin);
        }
        self.context = None;
        self.text(&included.text, usize::MAX, file, depth + 1, notes);
        self.zonefile.set_origin(own_origin);
        self.context = None;
        self.owner = own_owner;
        self.owner_known = false;
    }

    /// One entry; `None` for a directive and after a problem.
    fn entry(&mut self, entry: &Entry<'_>, file: u16, notes: &mut Notes) -> Option<Step> {
        let at = |line: u32| Place { file, line: entry.line.saturating_add(line) };
        if let Some(open) = entry.open {
            let message = match open {
                Open::Quote => "this line opens a quote and does not close it",
                Open::Parenthesis => "the parenthesis opened here is never closed",
            };
            notes.error(at(0), 1, message);
            return None;
        }
        let first = Tokens::new(entry.text).next();
        let inherits = first.is_some_and(|first| first.after_blank);
        let directive = first.filter(|first| !inherits && is_directive(first.text));
        if directive.is_some() && has_glued_word(entry.text) {
            notes.error(at(0), 1, "a blank is missing after a quoted word");
            return None;
        }
        if let Some(first) = first.filter(|_| !inherits && directive.is_none()) {
            self.owner = Some(Owner { word: first.text.to_vec(), origin: self.origin() });
            self.owner_known = false;
            self.has_own_owner = true;
        }
        let read = match rewrite(entry.text, self.origin().as_slice()) {
            Ok(read) => read,
            Err(TooLong { line, column }) => {
                notes.error(at(line), column, format!("a time is at most {} seconds", u32::MAX));
                return None;
            }
        };
        self.used.owner |= inherits && !self.has_own_owner;
        if self.default_ttl.is_empty() && directive.is_none() {
            // Whether the record gives a TTL of its own is not asked: most do not.
            self.used.last_ttl |= !self.has_own_ttl;
            self.give_last_ttl();
        }
        if inherits && !self.owner_known && !self.give_owner() {
            // An owner that is wrong was told of where it stands.
            if self.owner.is_none() || !notes.has_errors() {
                notes.error(at(0), 1, NO_OWNER);
            }
            return None;
        }
        let before = self.lines;
        self.give(&read.text);
        match self.zonefile.next_entry() {
            Ok(Some(inplace::Entry::Record(record))) => {
                self.owner_known = true;
                self.record(at(0), &record, entry.text, notes)
            }
            Ok(Some(inplace::Entry::Include { path, origin })) => {
                Some(Step::Include { path: path_of(&path, entry.text), origin })
            }
            Ok(None) => {
                self.context = None;
                if directive.is_some_and(|word| word.text.eq_ignore_ascii_case(b"$TTL")) {
                    self.default_ttl = read.text.into_owned();
                }
                None
            }
            Err(error) => {
                let (line, column, message) = problem_of(&error, before, entry, &read);
                notes.error(at(line), column, message);
                self.recover();
                None
            }
        }
    }

    fn give(&mut self, text: &[u8]) {
        self.zonefile.extend_from_slice(text);
        self.zonefile.extend_from_slice(b"\n");
        self.lines = self.lines.saturating_add(lines_in(text)).saturating_add(1);
    }

    /// Lets `zonefile` know the owner again, by a record that goes nowhere; whether it could.
    fn give_owner(&mut self) -> bool {
        let Some(Owner { word: mut record, origin: own }) = self.owner.clone() else {
            return false;
        };
        let origin = self.origin();
        self.zonefile.set_origin(own);
        record.extend_from_slice(b" TYPE65280 \\# 0");
        self.give(&record);
        self.owner_known = self.zonefile.next_entry().is_ok();
        self.zonefile.set_origin(origin);
        if !self.owner_known {
            self.recover();
        }
        self.owner_known
    }

    /// Lets `zonefile` know the last TTL, by a record that goes nowhere.
    fn give_last_ttl(&mut self) {
        if self.last_ttl_known {
            return;
        }
        let record = format!(". {} TYPE65280 \\# 0", self.last_ttl);
        self.give(record.as_bytes());
        // There is nothing wrong with it.
        let _ = self.zonefile.next_entry();
        self.last_ttl_known = true;
        self.owner_known = false;
    }

    fn origin(&self) -> Name<Bytes> {
        // It is set from the start.
        self.zonefile.origin().unwrap_or_else(|_| Name::root_bytes())
    }

    fn record(
        &mut self,
        place: Place,
        record: &inplace::ScannedRecord,
        text: &[u8],
        notes: &mut Notes,
    ) -> Option<Step> {
        let ttl = record.ttl().as_secs();
        if self.default_ttl.is_empty() {
            self.last_ttl = ttl;
            if let Some(context) = &mut self.context {
                context.ttl = Some(ttl).filter(|ttl| *ttl <= TTL_MAX);
            }
        }
        self.wire.clear();
        // A vector grows as needed, so composing into it cannot fail.
        let _ = record.owner().compose(&mut self.wire);
        let Ok(owner) = DomainName::from_wire(&self.wire) else {
            notes.error(place, 1, "the owner's name has more than 255 bytes");
            return None;
        };
        let ends_early = owner.as_wire().len() < self.wire.len();
        self.wire.clear();
        let _ = record.data().compose_rdata(&mut self.wire);
        if self.wire.len() > usize::from(u16::MAX) {
            notes.error(place, 1, "a record's data has at most 65535 bytes");
            return None;
        }
        // Neither is checked by `domain`; the rest need not be read again.
        let dots = text.windows(2).any(|two| two == b"..");
        let generic = text.windows(2).any(|two| two == b"\\#");
        if ends_early || (dots || generic) && !is_well_formed(record.rtype(), &self.wire) {
            let message = if generic && !ends_early {
                "the data is not of the record's type"
            } else {
                "a name has an empty label: two dots stand together"
            };
            notes.error(place, 1, message);
            return None;
        }
        if ttl > TTL_MAX {
            notes.error(
                place,
                1,
                format!("a TTL is at most {TTL_MAX} seconds (RFC 2181 section 8)"),
            );
            return None;
        }
        if !owner.is_within(&self.apex) {
            self.records.outside.push((place, owner));
            return Some(Step::Record);
        }
        let relative = &owner.as_wire()[..owner.as_wire().len() - self.apex.as_wire().len()];
        let (record_type, data) = (record.rtype().to_int(), self.wire.as_slice());
        self.records.push(&Record { owner: relative, record_type, ttl, place, data });
        Some(Step::Record)
    }

    /// A new scanner in the old one's place, which knows the origin and the default TTL.
    fn recover(&mut self) {
        self.zonefile = new_zonefile(self.origin());
        self.lines = 0;
        self.owner_known = false;
        self.last_ttl_known = false;
        if !self.default_ttl.is_empty() {
            let directive = std::mem::take(&mut self.default_ttl);
            self.give(&directive);
            // It was good before, so it is good now.
            let _ = self.zonefile.next_entry();
            self.default_ttl = directive;
        }
    }
}

/// What is wrong with an entry, and where in it: line and column. So many lines were given to the scanner
/// before it.
fn problem_of(
    error: &inplace::Error,
    before: u32,
    entry: &Entry<'_>,
    read: &Rewritten<'_>,
) -> (u32, u32, String) {
    let (line, column, message) = parts_of(error);
    let line = line.saturating_sub(before.saturating_add(1));
    // What is wrong with a line's last word is only seen after its line feed.
    let (line, column) = if line > entry.inner_lines {
        (entry.inner_lines, 1)
    } else {
        (line, read.original_column(line, column))
    };
    (line, column, advice(message, entry.text))
}
