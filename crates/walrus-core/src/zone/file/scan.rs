//! Each entry of a zone file to a record, by the `domain` crate's scanner.

use bytes::Bytes;
use domain::base::iana::{Class, Rtype};
use domain::base::name::{Name, ParsedName, ToName as _};
use domain::base::rdata::{ComposeRecordData as _, ParseRecordData as _};
use domain::dep::octseq::Parser;
use domain::rdata::ZoneRecordData;
use domain::zonefile::inplace;
use walrus_dns::DomainName;

use super::entries::{Entries, Entry, Open};
use super::include::{Includes, ReadIncluded};
use super::times::{TooLong, in_seconds};
use super::tokens::Tokens;
use super::{Notes, Place, Record};

/// A TTL has 31 bits (RFC 2181 section 8).
const TTL_MAX: u32 = i32::MAX as u32;

/// All records that can be read, in the order in which they stand.
pub(super) fn scan(
    text: &[u8],
    apex: &DomainName,
    include: Option<ReadIncluded<'_>>,
    notes: &mut Notes,
) -> Vec<Record> {
    let mut scanner = Scanner::new(apex, include);
    scanner.file(text, 0, 0, notes);
    scanner.records
}

/// The scanner and what it takes to go on after an error, which leaves `domain`'s scanner unusable,
/// and after an included file.
struct Scanner<'a> {
    zonefile: inplace::Zonefile,
    records: Vec<Record>,
    includes: Includes<'a>,
    /// Line feeds given to `zonefile`.
    lines: u32,
    /// The last good `$TTL` directive; empty before.
    default_ttl: Vec<u8>,
    owner: Option<Owner>,
    /// Whether `zonefile` knows that owner.
    owner_known: bool,
    wire: Vec<u8>,
}

/// The owner of the last entry that had one.
#[derive(Clone)]
struct Owner {
    /// As it was written.
    word: Vec<u8>,
    /// To which it is relative.
    origin: Name<Bytes>,
}

/// What an entry is, once it is understood.
enum Step {
    Record(Record),
    Include { path: String, origin: Option<Name<Bytes>> },
}

impl<'a> Scanner<'a> {
    fn new(apex: &DomainName, include: Option<ReadIncluded<'a>>) -> Self {
        Self {
            zonefile: new_zonefile(name_of(apex)),
            records: Vec::new(),
            includes: Includes::new(include),
            lines: 0,
            default_ttl: Vec::new(),
            owner: None,
            owner_known: false,
            wire: Vec::new(),
        }
    }

    fn file(&mut self, text: &[u8], file: u16, depth: u8, notes: &mut Notes) {
        for entry in Entries::new(text) {
            if notes.is_full() {
                break;
            }
            match self.entry(&entry, file, notes) {
                Some(Step::Record(record)) => self.records.push(record),
                Some(Step::Include { path, origin }) => {
                    let place = Place { file, line: entry.line };
                    self.include(&path, origin, place, depth, notes);
                }
                None => {}
            }
        }
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
        self.file(&included.text, file, depth + 1, notes);
        self.zonefile.set_origin(own_origin);
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
        }
        let read = match in_seconds(entry.text) {
            Ok(read) => read,
            Err(TooLong { line, column }) => {
                notes.error(at(line), column, format!("a time is at most {} seconds", u32::MAX));
                return None;
            }
        };
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
                self.record(at(0), &record, entry.text, notes).map(Step::Record)
            }
            Ok(Some(inplace::Entry::Include { path, origin })) => {
                Some(Step::Include { path: path_of(&path, entry.text), origin })
            }
            Ok(None) => {
                if directive.is_some_and(|word| word.text.eq_ignore_ascii_case(b"$TTL")) {
                    self.default_ttl = read.text.into_owned();
                }
                None
            }
            Err(error) => {
                let (line, column, message) = parts_of(&error);
                let line = line.saturating_sub(before.saturating_add(1));
                // What is wrong with a line's last word is only seen after its line feed.
                let (line, column) = if line > entry.inner_lines {
                    (entry.inner_lines, 1)
                } else {
                    (line, read.original_column(line, column))
                };
                notes.error(at(line), column, advice(message, entry.text));
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
    ) -> Option<Record> {
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
        let ttl = record.ttl().as_secs();
        if ttl > TTL_MAX {
            notes.error(
                place,
                1,
                format!("a TTL is at most {TTL_MAX} seconds (RFC 2181 section 8)"),
            );
            return None;
        }
        let record_type = record.rtype().to_int();
        Some(Record { owner, record_type, ttl, place, data: self.wire.as_slice().into() })
    }

    /// A new scanner in the old one's place, which knows the origin and the default TTL.
    fn recover(&mut self) {
        self.zonefile = new_zonefile(self.origin());
        self.lines = 0;
        self.owner_known = false;
        if !self.default_ttl.is_empty() {
            let directive = std::mem::take(&mut self.default_ttl);
            self.give(&directive);
            // It was good before, so it is good now.
            let _ = self.zonefile.next_entry();
            self.default_ttl = directive;
        }
    }
}

/// Whether a word stands right behind a quoted one; in a directive `domain` panics at a name there.
fn has_glued_word(text: &[u8]) -> bool {
    let mut quoted_end = None;
    Tokens::new(text).any(|token| {
        let glued = quoted_end == Some(token.start);
        quoted_end = token.text.starts_with(b"\"").then(|| token.start + token.text.len());
        glued
    })
}

/// Whether data can be read as its type, to the last byte and without compressed names.
fn is_well_formed(record_type: Rtype, data: &[u8]) -> bool {
    let mut parser = Parser::from_ref(data);
    let parsed = ZoneRecordData::<_, ParsedName<_>>::parse_rdata(record_type, &mut parser);
    let Ok(Some(parsed)) = parsed else { return false };
    let mut composed = Vec::with_capacity(data.len());
    // Composing into a vector cannot fail.
    let _ = parsed.compose_rdata(&mut composed);
    parser.remaining() == 0 && composed == data
}

/// `domain` leaves the last quote on a quoted path without escapes.
fn path_of(path: &str, text: &[u8]) -> String {
    let written = Tokens::new(text).nth(1).map_or(&b""[..], |token| token.text);
    let quoted = written.starts_with(b"\"") && !written.contains(&b'\\');
    let path = if quoted { path.strip_suffix('"').unwrap_or(path) } else { path };
    path.to_owned()
}

const NO_OWNER: &str =
    "this line begins with a space, but there is no record above whose name it could take";

/// As the scanner sees it: a quoted directive is one, too.
fn is_directive(word: &[u8]) -> bool {
    word.strip_prefix(b"\"").unwrap_or(word).starts_with(b"$")
}

fn new_zonefile(origin: Name<Bytes>) -> inplace::Zonefile {
    let mut zonefile = inplace::Zonefile::new();
    zonefile.set_origin(origin);
    zonefile.set_default_class(Class::IN);
    zonefile
}

fn name_of(apex: &DomainName) -> Name<Bytes> {
    // A `DomainName` is a valid name in wire format.
    Name::from_octets(Bytes::copy_from_slice(apex.as_wire())).unwrap_or_else(|_| Name::root_bytes())
}

fn lines_in(text: &[u8]) -> u32 {
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(lines).unwrap_or(u32::MAX - 1)
}

/// `domain` shows an error's line and column only as text, "LINE:COLUMN: MESSAGE".
fn parts_of(error: &inplace::Error) -> (u32, u32, String) {
    let text = error.to_string();
    let mut parts = text.splitn(3, ':');
    let mut number = || parts.next().and_then(|part| part.trim().parse().ok()).unwrap_or(1);
    let (line, column) = (number(), number());
    (line, column, parts.next().unwrap_or(&text).trim().to_owned())
}

/// Says what to write instead where the scanner only says what it saw.
fn advice(message: String, text: &[u8]) -> String {
    // Like 1h30, and unlike 1h.
    let is_half_a_time = |word: &[u8]| {
        word.first().is_some_and(u8::is_ascii_digit)
            && word.last().is_some_and(u8::is_ascii_digit)
            && word.iter().all(|byte| byte.is_ascii_digit() || b"smhdwSMHDW".contains(byte))
            && !word.iter().all(u8::is_ascii_digit)
    };
    let has_half_a_time = Tokens::new(text).any(|token| is_half_a_time(token.text));
    match message.as_str() {
        _ if has_half_a_time && !message.starts_with("different class") => {
            format!("{message} (in a time with units every number has one: 1h30m, not 1h30)")
        }
        "expected rtype" => {
            "expected a record: NAME [TTL] [IN] TYPE DATA, with a known type or TYPE123 \
             (RFC 3597)"
                .to_owned()
        }
        "missing last owner" => NO_OWNER.to_owned(),
        "unexpected end of entry" => "the record's data is not complete".to_owned(),
        "trailing tokens" => "there is more on this line than the record's type takes".to_owned(),
        "unbalanced parens" => "a closing parenthesis without an opening one".to_owned(),
        _ if message.starts_with("different class") => {
            "only records of class IN are served".to_owned()
        }
        _ => message,
    }
}
