//! Replies by transport, type and code: one plain addition for each reply.

use std::sync::atomic::{AtomicU64, Ordering};

use walrus_core::answer::Transport;
use walrus_dns::{rcode, record_type};

/// The types that are counted one by one. Anybody can ask for any of 65,536 types: each of these
/// is a series in whatever stores the metrics, so all others are one.
const TYPES: [(&str, u16); 24] = [
    // A query that could not be read has no type, and 0 is none (RFC 6895 section 3.1).
    ("unreadable", 0),
    ("A", record_type::A),
    ("NS", record_type::NS),
    ("CNAME", record_type::CNAME),
    ("SOA", record_type::SOA),
    ("PTR", record_type::PTR),
    ("MX", record_type::MX),
    ("TXT", record_type::TXT),
    ("AAAA", record_type::AAAA),
    ("SRV", record_type::SRV),
    ("NAPTR", 35),
    ("DNAME", record_type::DNAME),
    ("DS", record_type::DS),
    ("NSEC", 47),
    ("DNSKEY", 48),
    ("NSEC3PARAM", 51),
    ("CDS", 59),
    ("CDNSKEY", 60),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("IXFR", record_type::IXFR),
    ("AXFR", record_type::AXFR),
    ("ANY", record_type::ANY),
    ("CAA", record_type::CAA),
];

const OTHER: &str = "other";

/// What is no query counts by its opcode, whatever type its question has.
const OPCODES: [&str; 2] = ["NOTIFY", "UPDATE"];

/// The codes that are counted one by one.
const CODES: [(&str, u16); 13] = rcode::NAMES;

/// With one place more for all others, and behind it those for opcodes.
const TYPE_PLACES: usize = TYPES.len() + 1 + OPCODES.len();
/// With one place more for all others.
const CODE_PLACES: usize = CODES.len() + 1;
const TRANSPORTS: [Transport; Transport::COUNT] =
    [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Https];
const PLACES: usize = TRANSPORTS.len() * TYPE_PLACES * CODE_PLACES;

/// Where a type or code is counted, by its number; what lies behind the end counts as other.
const PLACE_OF_TYPE: [u8; 258] = places(&TYPES);
const PLACE_OF_CODE: [u8; 24] = places(&CODES);

const fn places<const NUMBERS: usize>(known: &[(&str, u16)]) -> [u8; NUMBERS] {
    let mut places = [known.len() as u8; NUMBERS];
    let mut place = 0;
    while place < known.len() {
        places[known[place].1 as usize] = place as u8;
        place += 1;
    }
    places
}

/// What a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// A query of this type.
    Type(u16),
    Notify,
    Update,
}

/// What a reply answers, and its code as far as the header has it; `None` if it cannot be told.
pub(crate) fn answered_and_code(reply: &[u8]) -> Option<(Answered, u16)> {
    const OPCODE: u8 = 0x78;
    const NOTIFY: u8 = 4 << 3;
    const UPDATE: u8 = 5 << 3;
    let [_, _, flags, code, ..] = reply else { return None };
    let code = u16::from(code & 0x0f);
    match flags & OPCODE {
        0 => Some((Answered::Type(type_of_question(reply)?), code)),
        NOTIFY => Some((Answered::Notify, code)),
        UPDATE => Some((Answered::Update, code)),
        _ => None,
    }
}

fn type_of_question(reply: &[u8]) -> Option<u16> {
    let [_, _, _, _, 0, 1, ..] = reply else { return None };
    let question = reply.get(walrus_dns::query::HEADER_LEN..)?;
    let mut at = 0;
    while let len @ 1..=63 = *question.get(at)? {
        at += 1 + usize::from(len);
    }
    let record_type = question.get(at + 1..at + 3)?;
    Some(u16::from_be_bytes([record_type[0], record_type[1]]))
}

/// One thread's counts. Only that thread writes, anybody may read.
#[derive(Debug)]
pub(crate) struct ReplyCounters([AtomicU64; PLACES]);

impl ReplyCounters {
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; PLACES])
    }

    /// Counts one reply to a query; only for the thread that owns these.
    #[inline]
    pub(crate) fn add(&self, transport: Transport, record_type: u16, rcode: u16) {
        self.add_at(transport, place_of(&PLACE_OF_TYPE, record_type, TYPES.len()), rcode);
    }

    /// The same to whatever was asked.
    pub(crate) fn add_answered(&self, transport: Transport, answered: Answered, rcode: u16) {
        match answered {
            Answered::Type(record_type) => self.add(transport, record_type, rcode),
            Answered::Notify => self.add_at(transport, TYPES.len() + 1, rcode),
            Answered::Update => self.add_at(transport, TYPES.len() + 2, rcode),
        }
    }

    #[inline]
    fn add_at(&self, transport: Transport, record_type: usize, rcode: u16) {
        let code = place_of(&PLACE_OF_CODE, rcode, CODES.len());
        let transport = transport as usize;
        let cell = &self.0[(transport * TYPE_PLACES + record_type) * CODE_PLACES + code];
        cell.store(cell.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

#[inline]
fn place_of(places: &[u8], number: u16, other: usize) -> usize {
    match places.get(usize::from(number)) {
        Some(place) => usize::from(*place),
        None => other,
    }
}

/// Replies since the start, over all threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replies([u64; PLACES]);

/// Replies of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyCount {
    /// `udp`, `tcp`, `tls` or `https`.
    pub transport: &'static str,
    /// A type that is known here, `other`, or `unreadable` if the query had none; the opcode of what is no query.
    pub record_type: &'static str,
    /// The code's name, or `other`.
    pub rcode: &'static str,
    /// How many.
    pub count: u64,
}

impl Default for Replies {
    fn default() -> Self {
        Self([0; PLACES])
    }
}

impl Replies {
    pub(crate) fn add(&mut self, thread: &ReplyCounters) {
        for (sum, cell) in self.0.iter_mut().zip(&thread.0) {
            *sum += cell.load(Ordering::Relaxed);
        }
    }

    /// All replies.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The kinds of which there were any: at most 400.
    pub fn iter(&self) -> impl Iterator<Item = ReplyCount> {
        let counted = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.map(|(place, count)| ReplyCount {
            transport: TRANSPORTS[place / CODE_PLACES / TYPE_PLACES].name(),
            record_type: type_at(place / CODE_PLACES % TYPE_PLACES),
            rcode: name(&CODES, place % CODE_PLACES),
            count: *count,
        })
    }
}

fn type_at(place: usize) -> &'static str {
    let opcode = place.checked_sub(TYPES.len() + 1).and_then(|opcode| OPCODES.get(opcode));
    opcode.copied().unwrap_or_else(|| name(&TYPES, place))
}

fn name(known: &[(&'static str, u16)], place: usize) -> &'static str {
    known.get(place).map_or(OTHER, |(name, _)| name)
}

/// A type as people write it: its name if it is known here, else as RFC 3597 section 5 has it.
pub(crate) fn type_name(number: u16) -> String {
    let known = TYPES.iter().skip(1).find(|(_, known)| *known == number);
    known.map_or_else(|| format!("TYPE{number}"), |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_apart_and_what_is_not_known_together() {
        let thread = ReplyCounters::new();
        for (transport, record_type, code) in [
            (Transport::Udp, 1, 0),
            (Transport::Udp, 1, 0),
            (Transport::Udp, 65, 3),
            (Transport::Udp, 0, 1),
            (Transport::Tcp, 1, 16),
            (Transport::Tcp, 257, 5),
            (Transport::Tcp, 258, 11),
            (Transport::Tcp, 65_535, 4095),
        ] {
            thread.add(transport, record_type, code);
        }
        for reply in [&b"\0\x01\xa8\x05\0\0\0\0\0\0\0\0"[..], b"\0\x01\xa4\0\0\x01"] {
            let (answered, code) = answered_and_code(reply).unwrap();
            thread.add_answered(Transport::Udp, answered, code);
        }
        let mut replies = Replies::default();
        replies.add(&thread);
        let told: Vec<_> =
            replies.iter().map(|it| (it.transport, it.record_type, it.rcode, it.count)).collect();
        let expected = [
            ("udp", "unreadable", "FORMERR", 1),
            ("udp", "A", "NOERROR", 2),
            ("udp", "HTTPS", "NXDOMAIN", 1),
            ("udp", "NOTIFY", "NOERROR", 1),
            ("udp", "UPDATE", "REFUSED", 1),
            ("tcp", "A", "BADVERS", 1),
            ("tcp", "CAA", "REFUSED", 1),
            ("tcp", "other", "other", 2),
        ];
        assert_eq!(told, expected);
        assert_eq!(replies.total(), 10);
    }

    #[test]
    fn every_type_and_code_has_a_place() {
        let thread = ReplyCounters::new();
        for number in 0..=u16::MAX {
            thread.add(Transport::Tcp, number, number & 0x0fff);
        }
        let mut replies = Replies::default();
        replies.add(&thread);
        assert_eq!(replies.total(), 65_536);
        assert!(replies.iter().count() <= 400);
    }

    #[test]
    fn numbers_as_people_write_them() {
        assert_eq!(
            (type_name(28), type_name(0), type_name(99)),
            ("AAAA".into(), "TYPE0".into(), "TYPE99".into())
        );
    }
}
