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
/// Bytes that are folded at once.
const BLOCK: usize = 16;

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
    #[inline]
    #[must_use]
    pub fn fold_name<'b>(&self, into: &'b mut [u8; 256]) -> &'b [u8] {
        // By whole blocks, which become a few vector instructions; byte by byte it was the dearest
        // part of an answer. What lies behind the name is folded along and never looked at.
        let rest = &self.bytes[HEADER_LEN..];
        let whole = rest.as_chunks::<BLOCK>().0;
        let blocks = into.as_chunks_mut::<BLOCK>().0;
        for (index, to) in blocks.iter_mut().enumerate().take(self.name_len.div_ceil(BLOCK)) {
            match whole.get(index) {
                Some(from) => *to = *from,
                None => {
                    let tail = rest.get(index * BLOCK..).unwrap_or_default();
                    to[..tail.len()].copy_from_slice(tail);
                }
            }
            to.make_ascii_lowercase();
        }
        &into[..self.name_len]
    }

    /// The largest reply by UDP that both sides take, in bytes; `ours` is our own limit.
    #[must_use]
    pub fn udp_size(&self, ours: u16) -> usize {
        let theirs = self.edns.as_ref().map_or(edns::UDP_SIZE_MIN, |edns| edns.udp_size);
        usize::from(theirs.min(ours).max(edns::UDP_SIZE_MIN))
    }
}

/// The question's name of what looks like a query, as [`Query::fold_name`] gives it, without a look
/// at the rest; `None` if there is no such name.
#[inline]
#[must_use]
pub fn fold_question_name<'b>(bytes: &[u8], into: &'b mut [u8; 256]) -> Option<&'b [u8]> {
    let name_len = name_len(bytes.get(HEADER_LEN..)?)?;
    let only_name = Query { bytes, name_len, record_type: 0, class: 0, edns: None };
    Some(only_name.fold_name(into))
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
#[inline]
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
    query.edns = match (&header[6..12], rest.split_first_chunk::<11>()) {
        ([0, 0, 0, 0, 0, 0], _) if rest.is_empty() => None,
        ([0, 0, 0, 0, 0, 1], Some((&[0, 0, 41, high, low, ttl @ .., len_high, len_low], data)))
            if data.len() == usize::from(u16::from_be_bytes([len_high, len_low])) =>
        {
            Some(read_opt(u16::from_be_bytes([high, low]), ttl, data, query.question_end())?)
        }
        _ => parse_records(header, rest, query.question_end())?,
    };
    Ok(query)
}

/// The OPT record of a query without a question that asks for a cookie (RFC 7873 section 5.4); `None` for
/// any other.
#[must_use]
pub fn parse_cookie_request(bytes: &[u8]) -> Option<Edns> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
    if header[2] & 0xf8 != 0 || header[4..] != [0, 0, 0, 0, 0, 0, 0, 1] {
        return None;
    }
    let edns = parse_records(header, rest, HEADER_LEN).ok()??;
    edns.asked.cookie.is_some().then_some(edns)
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
        if record.record_type != record_type::OPT {
            continue;
        }
        // One, at the root, among the additional records (RFC 6891, section 6.1.1).
        if index < before || edns.is_some() || !record.at_root {
            return Err(formerr);
        }
        edns = Some(read_opt(record.class, record.ttl, record.data, echo_len)?);
    }
    if rest.is_empty() { Ok(edns) } else { Err(formerr) }
}

#[inline(always)]
fn read_opt(class: u16, ttl: [u8; 4], data: &[u8], echo_len: usize) -> Result<Edns, Refusal> {
    let [_, version, flags, _] = ttl;
    let dnssec_ok = flags & edns::FLAG_DO != 0;
    let refuse = |rcode| Refusal::Reply { rcode, echo_len, opt: Some(dnssec_ok) };
    if version != 0 {
        return Err(refuse(rcode::BADVERS));
    }
    let options = edns::parse_options(data).map_err(|_| refuse(rcode::FORMERR))?;
    let edns::Options { client_subnet, asked } = options;
    Ok(Edns { udp_size: class.max(edns::UDP_SIZE_MIN), dnssec_ok, client_subnet, asked })
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
pub(crate) fn owner_len(bytes: &[u8]) -> Option<usize> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `www.example` A IN.
    const QUESTION: &[u8] = b"\x03wWw\x07example\x00\x00\x01\x00\x01";

    fn message(counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xab, 0xcd, 1, 0];
        bytes.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
        bytes.extend_from_slice(rest);
        bytes
    }

    fn with_opt(opt: &[u8]) -> Vec<u8> {
        message([1, 0, 0, 1], &[QUESTION, opt].concat())
    }

    /// The echoed length tells whether the question was understood.
    fn refusal(bytes: &[u8]) -> Option<(u16, usize, Option<bool>)> {
        match parse(bytes) {
            Err(Refusal::Reply { rcode, echo_len, opt }) => Some((rcode, echo_len, opt)),
            _ => None,
        }
    }

    #[test]
    fn names_of_every_length_are_folded_whole() {
        for len in (1..=255).filter(|len| *len != 2) {
            // Labels of up to three bytes, the last as long as it takes.
            let mut name = Vec::new();
            while name.len() + 1 < len {
                let label = (len - 2 - name.len()).min(3);
                let label = if len - 2 - name.len() == label + 1 { label - 1 } else { label };
                name.push(label as u8);
                name.extend(std::iter::repeat_n(b'Q', label));
            }
            name.push(0);
            assert_eq!(name.len(), len);
            // With and without bytes behind the question.
            for rest in [&b"\0\x01\0\x01"[..], b"\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0"] {
                let additional = u16::from(rest.len() > 4);
                let bytes = message([1, 0, 0, additional], &[&name, rest].concat());
                let query = parse(&bytes).unwrap();
                assert_eq!(query.fold_name(&mut [b'X'; 256]), name.to_ascii_lowercase());
            }
        }
    }

    #[test]
    fn a_question_in_its_case() {
        let bytes = message([1, 0, 0, 0], QUESTION);
        let query = parse(&bytes).unwrap();
        assert_eq!(query.name(), b"\x03wWw\x07example\x00");
        assert_eq!(query.fold_name(&mut [0; 256]), b"\x03www\x07example\x00");
        assert_eq!((query.record_type, query.class, query.edns), (1, 1, None));
        assert_eq!(query.question_end(), bytes.len());
        assert_eq!(query.udp_size(1232), 512);
    }

    #[test]
    fn edns_with_and_without_options() {
        let bytes = with_opt(b"\0\0\x29\x10\0\0\0\x80\0\0\0");
        let edns = parse(&bytes).unwrap().edns.unwrap();
        assert_eq!((edns.udp_size, edns.dnssec_ok, edns.client_subnet), (4096, true, None));
        assert_eq!(parse(&bytes).unwrap().udp_size(1232), 1232);
        // RFC 6891 section 6.2.3: less than 512 is 512. An unknown option is skipped.
        let bytes = with_opt(b"\0\0\x29\0\x01\0\0\0\0\0\x06\xff\xfe\0\x02ab");
        assert_eq!(parse(&bytes).unwrap().edns.unwrap().udp_size, 512);
    }

    #[test]
    fn what_gets_no_reply() {
        for bytes in
            [&b""[..], &[0; 11], b"\0\0\x80\0\0\x01\0\0\0\0\0\0", b"\0\0\xf8\0\0\x01\0\0\0\0\0\0"]
        {
            assert_eq!(parse(bytes), Err(Refusal::Drop), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_refused_and_how_much_is_echoed() {
        let end = HEADER_LEN + QUESTION.len();
        let mut update = message([1, 0, 0, 0], QUESTION);
        update[2] = 0x28;
        assert_eq!(refusal(&update), Some((rcode::NOTIMP, HEADER_LEN, None)));
        for (counts, rest, echo_len) in [
            // RFC 9619: one question.
            ([0, 0, 0, 0], &b""[..], HEADER_LEN),
            ([2, 0, 0, 0], &[QUESTION, QUESTION].concat(), HEADER_LEN),
            ([1, 0, 0, 0], b"", HEADER_LEN),
            ([1, 0, 0, 0], b"\x03www", HEADER_LEN),
            ([1, 0, 0, 0], b"\x03www\0\0\x01", HEADER_LEN),
            ([1, 0, 0, 0], b"\xc0\x0c\0\x01\0\x01", HEADER_LEN),
            ([1, 0, 0, 0], b"\x40www\0\0\x01\0\x01", HEADER_LEN),
            // Counts that promise more or less than there is.
            ([1, 0, 0, 1], QUESTION, end),
            ([1, 0, 0, 0], &[QUESTION, b"x"].concat(), end),
            ([1, 1, 0, 0], &[QUESTION, b"\0\0\x01\0\x01\0\0\0\0\0\x01"].concat(), end),
            ([1, 0xffff, 0xffff, 0xffff], QUESTION, end),
            // OPT twice (RFC 6891 section 6.1.1), or not at the root, or in another section.
            ([1, 0, 0, 2], &[QUESTION, &b"\0\0\x29\0\0\0\0\0\0\0\0".repeat(2)].concat(), end),
            ([1, 0, 0, 1], &[QUESTION, b"\x01x\0\0\x29\0\0\0\0\0\0\0\0"].concat(), end),
            ([1, 1, 0, 0], &[QUESTION, b"\0\0\x29\0\0\0\0\0\0\0\0"].concat(), end),
            ([1, 0, 1, 0], &[QUESTION, b"\0\0\x29\0\0\0\0\0\0\0\0"].concat(), end),
        ] {
            let bytes = message(counts, rest);
            assert_eq!(refusal(&bytes), Some((rcode::FORMERR, echo_len, None)), "{bytes:?}");
        }
        let badvers = with_opt(b"\0\0\x29\x04\xd0\0\x01\x80\0\0\0");
        assert_eq!(refusal(&badvers), Some((rcode::BADVERS, end, Some(true))));
        for options in
            [&b"\0\x08\0\x09\0\x01\x18\0"[..], b"\0\x08\0", &b"\0\x08\0\x04\0\0\0\0".repeat(2)]
        {
            let head = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, options.len() as u8];
            let bytes = with_opt(&[&head, options].concat());
            assert_eq!(refusal(&bytes), Some((rcode::FORMERR, end, Some(false))), "{options:?}");
        }
    }

    #[test]
    fn records_before_opt_are_skipped() {
        // IXFR's SOA in the authority section, another record before OPT; an owner that points.
        let soa = b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x02xx";
        let rest = [QUESTION, soa, soa, b"\0\0\x29\x04\xd0\0\0\0\0\0\0"].concat();
        let bytes = message([1, 0, 1, 2], &rest);
        assert_eq!(parse(&bytes).unwrap().edns.unwrap().udp_size, 1232);
    }

    #[test]
    fn names_of_255_bytes_and_no_more() {
        let name = |last: usize| {
            let mut wire = [&[63][..], &[b'a'; 63]].concat().repeat(3);
            wire.push(last as u8);
            wire.extend(std::iter::repeat_n(b'a', last));
            wire.extend_from_slice(b"\0\0\x01\0\x01");
            message([1, 0, 0, 0], &wire)
        };
        assert_eq!(parse(&name(61)).unwrap().name_len, 255);
        assert_eq!(refusal(&name(62)), Some((rcode::FORMERR, HEADER_LEN, None)));
    }

    proptest! {
        #[test]
        fn any_bytes_and_the_question_as_domain_reads_it(
            header in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1)], 12),
            rest in proptest::collection::vec(prop_oneof![0..4_u8, Just(41), any::<u8>()], 0..80),
        ) {
            let bytes = [&header[..], &rest].concat();
            if let Ok(query) = parse(&bytes) {
                let message = domain::base::Message::from_slice(&bytes).unwrap();
                let question = message.sole_question().unwrap();
                prop_assert_eq!(question.qtype().to_int(), query.record_type);
                prop_assert_eq!(question.qclass().to_int(), query.class);
                prop_assert_eq!(message.opt().is_some(), query.edns.is_some());
            }
        }
    }
}
