//! A zone, or what changed in it, into the messages of a transfer (RFC 5936 section 2.2, RFC 1995
//! section 4).

use std::collections::BTreeMap;
use std::iter::Peekable;

use walrus_dns::{DomainName, record_type};

use crate::zone::{Record, Zone, ZoneDifference};

/// The longest message (RFC 1035 section 4.2.2).
const MESSAGE_SIZE_MAX: usize = 65_535;
/// Pointers reach no further (RFC 1035 section 4.1.4).
const POINTER_MAX: usize = 0x3fff;
/// QR and AA, opcode QUERY.
const FLAGS: u8 = 0x84;

/// What all messages of a reply begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferHead {
    /// The request's.
    pub id: u16,
    /// The zone.
    pub apex: DomainName,
    /// AXFR or IXFR, as it was asked.
    pub record_type: u16,
    /// Bytes that a signature needs at the end of each message.
    pub reserved: usize,
}

/// Writes records into messages, as many into each as it holds. The first repeats the question, the
/// others have none (RFC 5936 section 2.2.1).
pub struct TransferWriter<I: Iterator<Item = Record>> {
    head: TransferHead,
    records: Peekable<I>,
    is_first: bool,
}

impl<I: Iterator<Item = Record>> TransferWriter<I> {
    /// Of these records in their order: the first and the last is the zone's SOA record.
    pub fn new(head: TransferHead, records: I) -> Self {
        Self { head, records: records.peekable(), is_first: true }
    }
}

/// All of a zone.
pub fn whole(zone: &Zone) -> impl Iterator<Item = Record> {
    zone.records().chain(soa_of(zone))
}

/// Differences that follow one another up to this zone, oldest first; the zone's SOA record alone if there are none,
/// which says that the client is up to date.
pub fn differences<'z>(
    zone: &Zone,
    chain: impl IntoIterator<Item = &'z ZoneDifference>,
) -> impl Iterator<Item = Record> {
    let soa = soa_of(zone);
    let mut chain = chain.into_iter().peekable();
    let last = soa.clone().filter(|_| chain.peek().is_some());
    let changes =
        chain.flat_map(|difference| difference.removed.iter().chain(&difference.added)).cloned();
    soa.into_iter().chain(changes).chain(last)
}

/// A zone's SOA record.
#[must_use]
pub fn soa_of(zone: &Zone) -> Option<Record> {
    let set = zone.set(zone.apex(), record_type::SOA)?;
    let data = set.data().next()?.into();
    let name = zone.apex().clone();
    Some(Record { name, record_type: record_type::SOA, ttl: set.ttl(), data })
}

impl<I: Iterator<Item = Record>> Iterator for TransferWriter<I> {
    type Item = Vec<u8>;

    /// The next message; each is to be signed by itself.
    fn next(&mut self) -> Option<Vec<u8>> {
        self.records.peek()?;
        let limit = MESSAGE_SIZE_MAX.saturating_sub(self.head.reserved);
        let mut message = Message::begin(&self.head, self.is_first);
        self.is_first = false;
        while let Some(record) = self.records.peek() {
            if !message.push(record, limit) && message.count > 0 {
                break;
            }
            // No message holds it, and no reply to a query would: the zone's checks leave none such.
            self.records.next();
        }
        Some(message.finish())
    }
}

/// A message in the making.
struct Message {
    bytes: Vec<u8>,
    count: u16,
    /// Where names, and what they end in, stand.
    places: BTreeMap<Box<[u8]>, u16>,
}

impl Message {
    fn begin(head: &TransferHead, with_question: bool) -> Self {
        let mut bytes = Vec::with_capacity(MESSAGE_SIZE_MAX);
        bytes.extend_from_slice(&head.id.to_be_bytes());
        bytes.extend_from_slice(&[FLAGS, 0, 0, u8::from(with_question), 0, 0, 0, 0, 0, 0]);
        let mut message = Self { bytes, count: 0, places: BTreeMap::new() };
        if with_question {
            message.name(head.apex.as_wire());
            message.bytes.extend_from_slice(&head.record_type.to_be_bytes());
            message.bytes.extend_from_slice(&record_type::CLASS_IN.to_be_bytes());
        }
        message
    }

    /// Appends a record; false if there is no room, and then nothing is appended.
    fn push(&mut self, record: &Record, limit: usize) -> bool {
        // What compression saves is not counted on: a message ends some bytes early.
        let most = record.name.as_wire().len() + 10 + record.data.len();
        if self.bytes.len() + most > limit || self.count == u16::MAX {
            return false;
        }
        self.name(record.name.as_wire());
        self.bytes.extend_from_slice(&record.record_type.to_be_bytes());
        self.bytes.extend_from_slice(&record_type::CLASS_IN.to_be_bytes());
        self.bytes.extend_from_slice(&record.ttl.to_be_bytes());
        let length_at = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.data(record);
        // It is no longer than the data, which fitted.
        let length = (self.bytes.len() - length_at - 2) as u16;
        self.bytes[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        self.count += 1;
        true
    }

    /// Names in data are compressed for the types of RFC 1035 alone (RFC 3597 section 4).
    fn data(&mut self, record: &Record) {
        // Bytes in front, and names behind them.
        let (front, names) = match record.record_type {
            record_type::NS | record_type::CNAME | record_type::PTR => (0, 1),
            record_type::SOA => (0, 2),
            record_type::MX => (2, 1),
            _ => (0, 0),
        };
        let (front, mut rest) = record.data.split_at_checked(front).unwrap_or_default();
        self.bytes.extend_from_slice(front);
        for _ in 0..names {
            let Some(length) = name_length(rest) else { break };
            let (name, behind) = rest.split_at(length);
            self.name(name);
            rest = behind;
        }
        self.bytes.extend_from_slice(rest);
    }

    /// Appends a name, with a pointer in the place of what stands already.
    fn name(&mut self, name: &[u8]) {
        let mut rest = name;
        while let Some((&length, behind)) = rest.split_first() {
            if length == 0 {
                self.bytes.push(0);
                return;
            }
            if let Some(place) = self.places.get(rest) {
                self.bytes.extend_from_slice(&(place | 0xc000).to_be_bytes());
                return;
            }
            if self.bytes.len() <= POINTER_MAX {
                self.places.insert(rest.into(), self.bytes.len() as u16);
            }
            let Some((label, below)) = behind.split_at_checked(usize::from(length)) else { return };
            self.bytes.push(length);
            self.bytes.extend_from_slice(label);
            rest = below;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        const ANSWERS: usize = 6;
        self.bytes[ANSWERS..ANSWERS + 2].copy_from_slice(&self.count.to_be_bytes());
        self.bytes
    }
}

/// The length of the uncompressed name that this begins with.
fn name_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
