//! Each entry of a zone file to a record, by the `domain` crate's scanner.

use bytes::Bytes;
use domain::base::iana::Class;
use domain::base::name::{Name, ToName as _};
use domain::base::rdata::ComposeRecordData as _;
use domain::zonefile::inplace;
use walrus_dns::DomainName;

use super::entries::{Entries, Entry, Open};
use super::{Notes, Record};

/// A TTL has 31 bits (RFC 2181 section 8).
const TTL_MAX: u32 = i32::MAX as u32;

/// All records that can be read, in the file's order.
pub(super) fn scan(text: &[u8], apex: &DomainName, notes: &mut Notes<'_>) -> Vec<Record> {
    let mut scanner = Scanner::new(apex);
    let mut records = Vec::new();
    for entry in Entries::new(text) {
        if notes.is_full() {
            break;
        }
        if let Some(record) = scanner.entry(&entry, notes) {
            records.push(record);
        }
    }
    records
}

/// The scanner and what it takes to go on after an error, which leaves `domain`'s scanner unusable.
struct Scanner<'a> {
    zonefile: inplace::Zonefile,
    /// Line feeds given to `zonefile`.
    lines: u32,
    /// The last good `$TTL` directive.
    default_ttl: Option<&'a [u8]>,
    /// The first word of the last entry that had an owner, to be given again after an error.
    owner: Option<&'a [u8]>,
    /// Whether `zonefile` knows that owner.
    owner_known: bool,
    wire: Vec<u8>,
}

impl<'a> Scanner<'a> {
    fn new(apex: &DomainName) -> Self {
        Self {
            zonefile: new_zonefile(name_of(apex)),
            lines: 0,
            default_ttl: None,
            owner: None,
            owner_known: true,
            wire: Vec::new(),
        }
    }

    /// One entry; `None` for a directive and after a problem.
    fn entry(&mut self, entry: &Entry<'a>, notes: &mut Notes<'_>) -> Option<Record> {
        if let Some(open) = entry.open {
            let message = match open {
                Open::Quote => "this line opens a quote and does not close it",
                Open::Parenthesis => "the parenthesis opened here is never closed",
            };
            notes.error(entry.line, 1, message);
            return None;
        }
        let inherits = entry.text.first().is_some_and(|byte| b" \t\r(".contains(byte));
        if inherits && !self.owner_known {
            let owner = self.owner.unwrap_or(b"@");
            self.zonefile.extend_from_slice(owner);
            self.zonefile.extend_from_slice(b" ");
        }
        self.zonefile.extend_from_slice(entry.text);
        self.zonefile.extend_from_slice(b"\n");
        let before = self.lines;
        self.lines = before.saturating_add(entry.inner_lines).saturating_add(1);
        let is_directive = entry.text.starts_with(b"$");
        if !inherits && !is_directive {
            self.owner = Some(first_word(entry.text));
        }
        match self.zonefile.next_entry() {
            Ok(Some(inplace::Entry::Record(record))) => {
                self.owner_known = true;
                self.record(entry.line, &record, notes)
            }
            Ok(Some(inplace::Entry::Include { path, .. })) => {
                let message = format!("$INCLUDE is not read: put the records of {path} here");
                notes.error(entry.line, 1, message);
                None
            }
            Ok(None) => {
                if entry.text.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"$TTL")) {
                    self.default_ttl = Some(entry.text);
                }
                None
            }
            Err(error) => {
                let (line, column, message) = place(&error);
                let line = line.saturating_sub(before + 1);
                // What is wrong with a line's last word is only seen after its line feed.
                let (line, column) =
                    if line > entry.inner_lines { (entry.inner_lines, 1) } else { (line, column) };
                let line = entry.line.saturating_add(line);
                notes.error(line, column, advice(message, entry.text));
                self.recover();
                None
            }
        }
    }

    fn record(
        &mut self,
        line: u32,
        record: &inplace::ScannedRecord,
        notes: &mut Notes<'_>,
    ) -> Option<Record> {
        self.wire.clear();
        // A vector grows as needed, so composing into it cannot fail.
        let _ = record.owner().compose(&mut self.wire);
        let Ok(owner) = DomainName::from_wire(&self.wire) else {
            notes.error(line, 1, "the owner's name has more than 255 bytes");
            return None;
        };
        self.wire.clear();
        let _ = record.data().compose_rdata(&mut self.wire);
        if self.wire.len() > usize::from(u16::MAX) {
            notes.error(line, 1, "a record's data has at most 65535 bytes");
            return None;
        }
        let ttl = record.ttl().as_secs();
        if ttl > TTL_MAX {
            notes.error(
                line,
                1,
                format!("a TTL is at most {TTL_MAX} seconds (RFC 2181 section 8)"),
            );
            return None;
        }
        let record_type = record.rtype().to_int();
        Some(Record { owner, record_type, ttl, line, data: self.wire.as_slice().into() })
    }

    /// A new scanner in the old one's place, which knows the origin and the default TTL.
    fn recover(&mut self) {
        let origin = self.zonefile.origin().unwrap_or_else(|_| Name::root_bytes());
        self.zonefile = new_zonefile(origin);
        self.lines = 0;
        self.owner_known = false;
        if let Some(directive) = self.default_ttl {
            self.zonefile.extend_from_slice(directive);
            self.zonefile.extend_from_slice(b"\n");
            // It was good before, so it is good now.
            let _ = self.zonefile.next_entry();
            self.lines = lines_in(directive) + 1;
        }
    }
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

fn first_word(text: &[u8]) -> &[u8] {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let ends = !escaped && b" \t\r\n;()\"".contains(byte);
        escaped = !escaped && *byte == b'\\';
        ends
    });
    &text[..end.unwrap_or(text.len())]
}

fn lines_in(text: &[u8]) -> u32 {
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(lines).unwrap_or(u32::MAX - 1)
}

/// `domain` shows an error's line and column only as text, "LINE:COLUMN: MESSAGE".
fn place(error: &inplace::Error) -> (u32, u32, String) {
    let text = error.to_string();
    let mut parts = text.splitn(3, ':');
    let mut number = || parts.next().and_then(|part| part.trim().parse().ok()).unwrap_or(1);
    let (line, column) = (number(), number());
    (line, column, parts.next().unwrap_or(&text).trim().to_owned())
}

/// Says what to write instead where the scanner only says what it saw.
fn advice(message: String, text: &[u8]) -> String {
    let has_unit = text.split(u8::is_ascii_whitespace).any(|word| {
        let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
        digits > 0
            && digits < word.len()
            && word[digits..]
                .iter()
                .all(|byte| byte.is_ascii_digit() || b"smhdwSMHDW".contains(byte))
    });
    match message.as_str() {
        _ if has_unit && !message.starts_with("different class") => {
            format!("{message} (times are written in seconds: 3600, not 1h)")
        }
        "expected rtype" => {
            "expected a record: NAME [TTL] [IN] TYPE DATA, with a known type or TYPE123 \
             (RFC 3597)"
                .to_owned()
        }
        "missing last owner" => {
            "this line begins with a space, but there is no record above whose name it could \
             take"
                .to_owned()
        }
        "unexpected end of entry" => "the record's data is not complete".to_owned(),
        "trailing tokens" => "there is more on this line than the record's type takes".to_owned(),
        "unbalanced parens" => "a closing parenthesis without an opening one".to_owned(),
        _ if message.starts_with("different class") => {
            "only records of class IN are served".to_owned()
        }
        _ => message,
    }
}
