//! A query, from the bytes that came: header, one question, OPT.
//!
//! Nothing is copied and nothing allocated. Both answer paths use this parser, so that they agree
//! on what is refused; `domain`'s parser checks it in the tests.

use crate::edns::{self, Edns};
use crate::{rcode, record_type};

/// The header, in bytes; the question's name begins here.
pub const HEADER_LEN: usize = 12;
/// The longest name in wire format, in bytes (RFC 1035 section 2.3.4).
pub const NAME_LEN_MAX: usize = 255;

/// A query that can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// All of it.
    pub bytes: &'a [u8],
    /// Length of the question's name in wire format, 1 to 255 bytes.
    pub name_len: usize,
    /// The type that is asked for.
    pub record_type: u16,
    /// The class that is asked for.
    pub class: u16,
    /// What its OPT record says, if it has one.
    pub edns: Option<Edns>,
}

impl<'a> Query<'a> {
    /// The question's name as it came: its case is the client's.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        &self.bytes[HEADER_LEN..HEADER_LEN + self.name_len]
    }

    /// Where the question ends, counted from the message's start.
    #[must_use]
    pub const fn question_end(&self) -> usize {
        HEADER_LEN + self.name_len + 4
    }

    /// Writes the question's name in lower case into `into` and returns it. (Folding the case of
    /// length octets is harmless: they are below `A`.)
    #[must_use]
    pub fn fold_name<'b>(&self, into: &'b mut [u8; 256]) -> &'b [u8] {
        let name = self.name();
        let folded = &mut into[..name.len()];
        for (to, from) in folded.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        folded
    }

    /// The largest reply by UDP that both sides take, in bytes; `ours` is our own limit.
    #[must_use]
    pub fn udp_size(&self, ours: u16) -> usize {
        let theirs = self.edns.map_or(edns::UDP_SIZE_MIN, |edns| edns.udp_size);
        usize::from(theirs.min(ours).max(edns::UDP_SIZE_MIN))
    }
}

/// What is done with bytes that are no query that can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing: too short to reply to, or a reply itself.
    Drop,
    /// A reply without records. It is never longer than the query.
    Reply {
        /// FORMERR, NOTIMP or BADVERS.
        rcode: u16,
        /// How many of the query's bytes are echoed: the header, or header and question.
        echo_len: usize,
        /// The query's DO bit if the reply carries an OPT record (only for BADVERS and for options
        /// that are malformed: everything before them was understood).
        opt: Option<bool>,
    },
}

/// Reads a query.
///
/// # Errors
/// [`Refusal::Drop`] for fewer bytes than a header or a set QR bit; FORMERR for anything cut
/// short, a question count other than 1 (RFC 9619), a compressed question, bytes after the last
/// record, a second OPT, malformed options; NOTIMP for another opcode; BADVERS for EDNS above 0.
pub fn parse(bytes: &[u8]) -> Result<Query<'_>, Refusal> {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return Err(Refusal::Drop);
    };
    if header[2] & 0x80 != 0 {
        return Err(Refusal::Drop);
    }
    if header[2] & 0x78 != 0 {
        return Err(refuse(rcode::NOTIMP, HEADER_LEN));
    }
    let formerr = refuse(rcode::FORMERR, HEADER_LEN);
    if header[4..6] != [0, 1] {
        return Err(formerr);
    }
    let name_len = name_len(&bytes[HEADER_LEN..]).ok_or(formerr)?;
    let fixed_at = HEADER_LEN + name_len;
    let Some(&[type_high, type_low, class_high, class_low]) =
        bytes.get(fixed_at..).and_then(|rest| rest.first_chunk::<4>())
    else {
        return Err(formerr);
    };
    let mut query = Query {
        bytes,
        name_len,
        record_type: u16::from_be_bytes([type_high, type_low]),
        class: u16::from_be_bytes([class_high, class_low]),
        edns: None,
    };
    let rest = &bytes[fixed_at + 4..];
    // A lone OPT record, or nothing at all, is what nearly every query ends in.
    if header[6..12] == [0; 6] && rest.is_empty() {
        return Ok(query);
    }
    query.edns = parse_records(header, rest, query.question_end())?;
    Ok(query)
}

const fn refuse(rcode: u16, echo_len: usize) -> Refusal {
    Refusal::Reply { rcode, echo_len, opt: None }
}

/// Walks over all records behind the question and reads OPT among the additional ones.
fn parse_records(
    header: &[u8; HEADER_LEN],
    mut rest: &[u8],
    echo_len: usize,
) -> Result<Option<Edns>, Refusal> {
    let count = |at: usize| u32::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let before = count(6) + count(8);
    let formerr = refuse(rcode::FORMERR, echo_len);
    let mut edns = None;
    // Each turn takes at least eleven bytes away, so a large count ends with the bytes.
    for index in 0..before + count(10) {
        let record = Record::take(&mut rest).ok_or(formerr)?;
        if index < before || record.record_type != record_type::OPT {
            continue;
        }
        if edns.is_some() || !record.at_root {
            return Err(formerr);
        }
        edns = Some(read_opt(&record, echo_len)?);
    }
    if rest.is_empty() { Ok(edns) } else { Err(formerr) }
}

fn read_opt(record: &Record<'_>, echo_len: usize) -> Result<Edns, Refusal> {
    let [_, version, flags, _] = record.ttl;
    let dnssec_ok = flags & edns::FLAG_DO != 0;
    let refuse = |rcode| Refusal::Reply { rcode, echo_len, opt: Some(dnssec_ok) };
    if version != 0 {
        return Err(refuse(rcode::BADVERS));
    }
    let client_subnet = edns::parse_options(record.data).map_err(|_| refuse(rcode::FORMERR))?;
    Ok(Edns { udp_size: record.class.max(edns::UDP_SIZE_MIN), dnssec_ok, client_subnet })
}

struct Record<'a> {
    at_root: bool,
    record_type: u16,
    class: u16,
    ttl: [u8; 4],
    data: &'a [u8],
}

impl<'a> Record<'a> {
    fn take(rest: &mut &'a [u8]) -> Option<Self> {
        let owner_len = owner_len(rest)?;
        let (fixed, after) = rest[owner_len..].split_first_chunk::<10>()?;
        let [type_high, type_low, class_high, class_low, ttl @ .., len_high, len_low] = *fixed;
        let len = usize::from(u16::from_be_bytes([len_high, len_low]));
        let (data, next) = after.split_at_checked(len)?;
        let record = Self {
            at_root: owner_len == 1,
            record_type: u16::from_be_bytes([type_high, type_low]),
            class: u16::from_be_bytes([class_high, class_low]),
            ttl,
            data,
        };
        *rest = next;
        Some(record)
    }
}

/// Length of the uncompressed name at the start of `bytes`; `None` if it is cut short, too long
/// or compressed.
fn name_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let len = *bytes.get(at)?;
        at += 1 + usize::from(len);
        if len == 0 {
            return (at <= NAME_LEN_MAX).then_some(at);
        }
        if len > 63 || at > NAME_LEN_MAX {
            return None;
        }
    }
}

/// Length of the owner at the start of `bytes`, which may end in a compression pointer. The
/// pointer is not followed: nobody asks where it leads.
fn owner_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let len = *bytes.get(at)?;
        match len {
            0 => return (at < NAME_LEN_MAX).then_some(at + 1),
            1..=63 => at += 1 + usize::from(len),
            0xc0.. => return bytes.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
        if at > NAME_LEN_MAX {
            return None;
        }
    }
}
