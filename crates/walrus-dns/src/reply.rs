//! A reply's frame: header, the question as it came, names compressed against it.

use crate::added_options::OPTION_COOKIE;
use crate::edns::{self, OPT_LEN, ReplyOpt};
use crate::query::{self, HEADER_LEN, Query, Refusal};
use crate::record_type;

/// Header byte 2: this is a reply.
pub const FLAG_QR: u8 = 0x80;
/// Header byte 2: the answer is authoritative.
pub const FLAG_AA: u8 = 0x04;
/// Header byte 2: the answer is cut; ask again by TCP.
pub const FLAG_TC: u8 = 0x02;
/// Header byte 2: recursion was wished for; copied from the query.
pub const FLAG_RD: u8 = 0x01;

/// The sections' record counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answer section.
    pub answer: u16,
    /// Authority section.
    pub authority: u16,
    /// Additional section, OPT included.
    pub additional: u16,
}

/// Writes the header to the start of `reply`, which must hold it and already begins with the
/// query's: the id stays, of the flags only RD; `flags` are AA and TC.
///
/// # Panics
/// If `reply` is shorter than a header.
#[inline]
pub fn write_header(reply: &mut [u8], flags: u8, rcode: u16, questions: u16, counts: Counts) {
    reply[2] = FLAG_QR | flags | (reply[2] & FLAG_RD);
    reply[3] = (rcode & 0x0f) as u8;
    reply[4..6].copy_from_slice(&questions.to_be_bytes());
    reply[6..8].copy_from_slice(&counts.answer.to_be_bytes());
    reply[8..10].copy_from_slice(&counts.authority.to_be_bytes());
    reply[10..12].copy_from_slice(&counts.additional.to_be_bytes());
}

/// Copies the query's header and question to the start of `reply`; `None` if there is no room.
#[inline]
pub fn copy_question(query: &Query<'_>, reply: &mut [u8]) -> Option<usize> {
    let end = query.question_end();
    reply.get_mut(..end)?.copy_from_slice(&query.bytes[..end]);
    Some(end)
}

/// Writes the reply that a [`Refusal`] asks for and returns its length; `None` for
/// [`Refusal::Drop`] or if there is no room. It is never longer than the query.
pub fn write_refusal(refusal: Refusal, query: &[u8], reply: &mut [u8]) -> Option<usize> {
    let Refusal::Reply { rcode, echo_len, opt } = refusal else { return None };
    reply.get_mut(..echo_len)?.copy_from_slice(query.get(..echo_len)?);
    // NOTIMP keeps the opcode that it does not know (RFC 1035 section 4.1.1).
    let opcode = query[2] & 0x78;
    let mut len = echo_len;
    if let Some(dnssec_ok) = opt {
        let opt = ReplyOpt { dnssec_ok, client_subnet: None, extended_error: None };
        len += opt.write(rcode, &mut reply[len..])?;
    }
    let questions = u16::from(echo_len > HEADER_LEN);
    let counts = Counts { additional: u16::from(opt.is_some()), ..Counts::default() };
    write_header(reply, opcode, rcode, questions, counts);
    Some(len)
}

/// Writes `name` (uncompressed, lower case) to the start of `out`, compressed against the
/// question's name and its suffixes and nothing else: the labels that the question lacks, then a
/// pointer into the question, or the whole name if they share nothing but the root. Returns the
/// length, or `None` if there is no room.
///
/// `question` is the question's name, whose first byte is the message's byte 12.
#[inline]
pub fn write_name(name: &[u8], question: &[u8], out: &mut [u8]) -> Option<usize> {
    let shared = shared_suffix(name, question);
    let own = name.len() - shared;
    if shared <= 1 {
        out.get_mut(..name.len())?.copy_from_slice(name);
        return Some(name.len());
    }
    let out = out.get_mut(..own + 2)?;
    out[..own].copy_from_slice(&name[..own]);
    out[own..].copy_from_slice(&pointer_to_suffix(question.len(), shared));
    Some(own + 2)
}

/// Where the OPT record begins that ends a well-formed reply; `None` if it ends in another record.
#[must_use]
pub fn find_opt(reply: &[u8]) -> Option<usize> {
    let header = reply.first_chunk::<HEADER_LEN>()?;
    let count = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let mut at = HEADER_LEN;
    for _ in 0..count(4) {
        at += query::owner_len(reply.get(at..)?)? + 4;
    }
    let mut last = None;
    for _ in 0..count(6) + count(8) + count(10) {
        let owner_len = query::owner_len(reply.get(at..)?)?;
        let fixed = reply.get(at + owner_len..)?.first_chunk::<10>()?;
        let is_opt = owner_len == 1 && fixed[..2] == record_type::OPT.to_be_bytes();
        last = is_opt.then_some(at);
        at += owner_len + 10 + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    }
    last.filter(|_| at == reply.len())
}

/// For how many seconds the whole of a reply may be kept: the lowest TTL of its answer or, if it has
/// none, of its authority section; `None` if it has neither or is no message (RFC 8484 section 5.1).
#[must_use]
pub fn least_ttl(reply: &[u8]) -> Option<u32> {
    let count = |at: usize| Some(u16::from_be_bytes([*reply.get(at)?, *reply.get(at + 1)?]));
    let mut at = HEADER_LEN;
    for _ in 0..count(4)? {
        at += query::owner_len(reply.get(at..)?)? + 4;
    }
    let records = match (count(6)?, count(8)?) {
        (0, authority) => authority,
        (answer, _) => answer,
    };
    let mut least = None;
    for _ in 0..records {
        at += query::owner_len(reply.get(at..)?)?;
        let [_, _, _, _, ttl @ .., len_high, len_low] = *reply.get(at..)?.first_chunk::<10>()?;
        let ttl = u32::from_be_bytes(ttl);
        least = Some(least.map_or(ttl, |least: u32| least.min(ttl)));
        at += 10 + usize::from(u16::from_be_bytes([len_high, len_low]));
    }
    least
}

/// Cuts a reply to its header, question and an OPT record with nothing but a cookie, and marks it as cut; tells
/// its length, which is at most 16 bytes more than its query's. `None`, and nothing is changed, if it is no message.
pub fn cut(reply: &mut [u8]) -> Option<usize> {
    let questions = u16::from_be_bytes([*reply.get(4)?, *reply.get(5)?]);
    let opt = find_opt(reply).map(|at| at..reply.len());
    let mut end = HEADER_LEN;
    for _ in 0..questions {
        end += query::owner_len(reply.get(end..)?)? + 4;
    }
    let (flags, counts) = reply.get_mut(2..HEADER_LEN)?.split_first_mut()?;
    *flags |= FLAG_TC;
    counts[3..].fill(0);
    counts[8] = u8::from(opt.is_some());
    if let Some(opt) = opt {
        let cookie = edns::find_option(&reply[opt.start + OPT_LEN..opt.end], OPTION_COOKIE);
        let len = cookie.as_ref().map_or(0, |cookie| cookie.len());
        reply.copy_within(opt.start..opt.start + OPT_LEN, end);
        if let Some(cookie) = cookie {
            let from = opt.start + OPT_LEN;
            reply.copy_within(from + cookie.start..from + cookie.end, end + OPT_LEN);
        }
        end += OPT_LEN + len;
        reply[end - len - 2..end - len].copy_from_slice(&(len as u16).to_be_bytes());
    }
    Some(end)
}

/// The compression pointer to the last `suffix_len` bytes of a question's name of `question_len`
/// bytes.
#[must_use]
pub fn pointer_to_suffix(question_len: usize, suffix_len: usize) -> [u8; 2] {
    let offset = HEADER_LEN + question_len.saturating_sub(suffix_len);
    (0xc000 | offset as u16).to_be_bytes()
}

/// Length of the longest suffix, in whole labels, that both names end in, the root's byte
/// included. Case does not count.
#[must_use]
pub fn shared_suffix(name: &[u8], question: &[u8]) -> usize {
    // Both are walked from the left until the rests are equally long, then label by label.
    let (mut a, mut b) = (name, question);
    loop {
        // Resolvers that vary the case are few; equal bytes are told sooner.
        if a.len() == b.len() && (a == b || a.eq_ignore_ascii_case(b)) {
            return a.len();
        }
        let longer = if a.len() >= b.len() { &mut a } else { &mut b };
        match longer {
            [len @ 1..=63, rest @ ..] if rest.len() >= usize::from(*len) => {
                *longer = &rest[usize::from(*len)..];
            }
            _ => return 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DomainName;

    fn wire(text: &str) -> Vec<u8> {
        text.parse::<DomainName>().unwrap().as_wire().to_vec()
    }

    #[test]
    fn names_are_compressed_against_the_question_alone() {
        for (name, question, expected) in [
            ("www.example.com", "www.example.com", &b"\xc0\x0c"[..]),
            ("ns.example.com", "www.example.com", b"\x02ns\xc0\x10"),
            ("example.com", "a.b.example.com", b"\xc0\x10"),
            ("a.b.example.com", "example.com", b"\x01a\x01b\xc0\x0c"),
            ("xexample.com", "example.com", b"\x08xexample\xc0\x14"),
            ("other", "example.com", b"\x05other\0"),
            (".", "example.com", b"\0"),
            ("com", ".", b"\x03com\0"),
        ] {
            let mut out = [0; 64];
            let len = write_name(&wire(name), &wire(question), &mut out).unwrap();
            assert_eq!(&out[..len], expected, "{name} in {question}");
            assert_eq!(write_name(&wire(name), &wire(question), &mut out[..len - 1]), None);
        }
    }

    #[test]
    fn case_does_not_keep_names_apart() {
        let mut out = [0; 64];
        let len = write_name(&wire("ns.example"), b"\x03wWw\x07eXample\0", &mut out).unwrap();
        assert_eq!(&out[..len], b"\x02ns\xc0\x10");
    }

    #[test]
    fn labels_are_compared_as_labels() {
        // The bytes of the suffix alone would match: `\x03com` inside a longer label.
        assert_eq!(shared_suffix(b"\x05x\x03com\0", b"\x03com\0"), 1);
    }

    #[test]
    fn a_cut_reply_has_its_question_and_the_cookie() {
        // A record, then OPT with NSID, a cookie and padding.
        let question = b"\xab\xcd\x84\0\0\x01\0\x01\0\0\0\x01\x01x\0\0\x01\0\x01";
        let record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x07\0\x04\x7f\0\0\x01";
        let opt = b"\0\0\x29\x04\xd0\0\0\x80\0\0";
        let nsid = b"\0\x03\0\x02ns";
        let cookie = b"\0\x0a\0\x02co";
        let padding = b"\0\x0c\0\x01\0";
        let options = [&nsid[..], cookie, padding].concat();
        let len = [options.len() as u8];
        let mut reply = [&question[..], record, opt, &len, &options].concat();
        assert_eq!((least_ttl(&reply), find_opt(&reply)), (Some(7), Some(35)));
        let end = cut(&mut reply).unwrap();
        let mut expected = [&question[..], opt, &[6], cookie].concat();
        (expected[2], expected[7]) = (0x86, 0);
        assert_eq!(reply[..end], expected);
        // Without a cookie, without options, without OPT.
        let mut reply = [&question[..], record, opt, &[6], nsid].concat();
        let end = cut(&mut reply).unwrap();
        assert_eq!(reply[question.len()..end], [&opt[..], &[0]].concat());
        let mut reply = [&question[..], record].concat();
        (reply[11], reply[7]) = (0, 1);
        assert_eq!(cut(&mut reply), Some(question.len()));
        assert_eq!((cut(&mut [0; 11]), least_ttl(&[0; 11])), (None, None));
    }

    #[test]
    fn a_refusal_is_never_longer_than_its_query() {
        let mut query = b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\x01\x01x\0\0\x01\0\x01".to_vec();
        query.extend_from_slice(b"\0\0\x29\x04\xd0\0\x01\x80\0\0\0");
        let refusal = crate::query::parse(&query).unwrap_err();
        let mut reply = [0; 64];
        let len = write_refusal(refusal, &query, &mut reply).unwrap();
        assert_eq!(len, query.len());
        // QR and RD; BADVERS is 1 in OPT's upper bits; DO stays; version 0 is ours.
        assert_eq!(reply[..4], [0xab, 0xcd, 0x81, 0]);
        assert_eq!(reply[19..30], *b"\0\0\x29\x04\xd0\x01\0\x80\0\0\0");
        assert_eq!(write_refusal(Refusal::Drop, &query, &mut reply), None);
        assert_eq!(write_refusal(refusal, &query, &mut reply[..20]), None);
    }
}
