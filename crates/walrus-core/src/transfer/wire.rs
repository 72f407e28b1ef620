//! The records of a message, with names in their data uncompressed.

use walrus_dns::DomainName;

use crate::zone::serial_of;

/// Hops that a compressed name may take: as many as it may have labels.
const HOPS_MAX: usize = 128;
/// Header of a message.
const HEADER_LEN: usize = 12;

/// A message's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) id: u16,
    pub(super) is_reply: bool,
    pub(super) opcode: u8,
    pub(super) is_truncated: bool,
    pub(super) rcode: u8,
    pub(super) questions: u16,
    pub(super) answers: u16,
}

impl Head {
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let &[i0, i1, f0, f1, q0, q1, a0, a1, ..] = message.first_chunk::<HEADER_LEN>()?;
        Some(Self {
            id: u16::from_be_bytes([i0, i1]),
            is_reply: f0 & 0x80 != 0,
            opcode: f0 >> 3 & 0x0f,
            is_truncated: f0 & 0x02 != 0,
            rcode: f1 & 0x0f,
            questions: u16::from_be_bytes([q0, q1]),
            answers: u16::from_be_bytes([a0, a1]),
        })
    }
}

/// The serial that a reply with this number tells of a zone: its first SOA record.
#[must_use]
pub fn read_serial(reply: &[u8], id: u16, apex: &DomainName) -> Option<u32> {
    let head = Head::read(reply).filter(|head| head.is_reply && head.id == id)?;
    let mut reader = Reader::new(reply);
    for _ in 0..head.questions {
        reader.question()?;
    }
    for _ in 0..head.answers {
        let record = reader.record()?;
        if record.record_type == walrus_dns::record_type::SOA && record.name == *apex {
            return serial_of(&record.data);
        }
    }
    None
}

/// What a NOTIFY says (RFC 1996).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// The zone that changed.
    pub apex: DomainName,
    /// Its serial, if that is told.
    pub serial: Option<u32>,
    /// Where in the message the question ends.
    pub question_end: usize,
}

/// A NOTIFY about a zone; `None` if the message is something else.
#[must_use]
pub fn read_notify(message: &[u8]) -> Option<Notify> {
    const NOTIFY: u8 = 4;
    let is_one = |head: &Head| !head.is_reply && head.opcode == NOTIFY && head.questions == 1;
    let head = Head::read(message).filter(is_one)?;
    let mut reader = Reader::new(message);
    let (apex, record_type, class) = reader.question()?;
    if record_type != walrus_dns::record_type::SOA || class != walrus_dns::record_type::CLASS_IN {
        return None;
    }
    let question_end = reader.at;
    let soa = if head.answers > 0 { reader.record() } else { None };
    let soa = soa.filter(|soa| soa.record_type == walrus_dns::record_type::SOA && soa.name == apex);
    let serial = soa.and_then(|soa| serial_of(&soa.data));
    Some(Notify { apex, serial, question_end })
}

/// Reads a message from its first question on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'m> {
    message: &'m [u8],
    at: usize,
}

/// A record as it stands in a message.
#[derive(Debug)]
pub(super) struct WireRecord {
    pub(super) name: DomainName,
    pub(super) record_type: u16,
    pub(super) class: u16,
    pub(super) ttl: u32,
    pub(super) data: Vec<u8>,
}

impl<'m> Reader<'m> {
    pub(super) const fn new(message: &'m [u8]) -> Self {
        Self { message, at: HEADER_LEN }
    }

    /// A question: name, type, class.
    pub(super) fn question(&mut self) -> Option<(DomainName, u16, u16)> {
        let name = self.name()?;
        Some((name, self.number()?, self.number()?))
    }

    /// The next record.
    pub(super) fn record(&mut self) -> Option<WireRecord> {
        let name = self.name()?;
        let (record_type, class) = (self.number()?, self.number()?);
        let ttl = u32::from(self.number()?) << 16 | u32::from(self.number()?);
        let len = usize::from(self.number()?);
        let end = self.at.checked_add(len).filter(|end| *end <= self.message.len())?;
        let data = self.data(record_type, end)?;
        self.at = end;
        // The highest bit is no part of it (RFC 2181 section 8).
        let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
        Some(WireRecord { name, record_type, class, ttl, data })
    }

    fn number(&mut self) -> Option<u16> {
        let number = self.message.get(self.at..)?.first_chunk::<2>()?;
        self.at += 2;
        Some(u16::from_be_bytes(*number))
    }

    fn name(&mut self) -> Option<DomainName> {
        let mut wire = Vec::with_capacity(64);
        self.at = copy_name(self.message, self.at, &mut wire)?;
        DomainName::from_wire(&wire).ok()
    }

    /// A record's data without compression, which may stand in the types of RFC 1035 and some of
    /// before RFC 3597 (its section 4).
    fn data(&self, record_type: u16, end: usize) -> Option<Vec<u8>> {
        // What stands before, between and behind the names.
        let (before, names): (usize, usize) = match record_type {
            // NS, MD, MF, CNAME, MB, MG, MR, PTR, NXT, DNAME.
            2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 30 | 39 => (0, 1),
            // SOA, MINFO, RP.
            6 | 14 | 17 => (0, 2),
            // MX, AFSDB, RT, KX.
            15 | 18 | 21 | 36 => (2, 1),
            // PX.
            26 => (2, 2),
            // SRV.
            33 => (6, 1),
            // SIG.
            24 => (18, 1),
            35 => return self.naptr(end),
            _ => return Some(self.message.get(self.at..end)?.to_vec()),
        };
        let mut at = self.at.checked_add(before).filter(|at| *at <= end)?;
        let mut data = self.message.get(self.at..at)?.to_vec();
        for _ in 0..names {
            at = copy_name(self.message, at, &mut data).filter(|at| *at <= end)?;
        }
        data.extend_from_slice(self.message.get(at..end)?);
        (data.len() <= usize::from(u16::MAX)).then_some(data)
    }

    /// Two numbers, three strings, and a name.
    fn naptr(&self, end: usize) -> Option<Vec<u8>> {
        let mut at = self.at + 4;
        for _ in 0..3 {
            at += 1 + usize::from(*self.message.get(at)?);
        }
        if at > end {
            return None;
        }
        let mut data = self.message.get(self.at..at)?.to_vec();
        at = copy_name(self.message, at, &mut data).filter(|at| *at <= end)?;
        data.extend_from_slice(self.message.get(at..end)?);
        Some(data)
    }
}

/// Appends the name at a place, whose parts may stand before it; where it ends.
fn copy_name(message: &[u8], mut at: usize, out: &mut Vec<u8>) -> Option<usize> {
    let (begin, mut end) = (out.len(), None);
    for _ in 0..HOPS_MAX {
        let len = *message.get(at)?;
        match len {
            0 => {
                out.push(0);
                return Some(end.unwrap_or(at + 1)).filter(|_| out.len() - begin <= 255);
            }
            1..=63 => {
                let after = at + 1 + usize::from(len);
                out.extend_from_slice(message.get(at..after)?);
                at = after;
            }
            0xc0.. => {
                let target = usize::from(len & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                end.get_or_insert(at + 2);
                // Only backwards, so that it ends.
                if target >= at {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
    }
    None
}
