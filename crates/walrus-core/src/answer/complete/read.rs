//! A query's bytes to a question, by `domain`'s parser.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::iana::{Opcode, OptRcode};
use domain::base::name::ParsedName;
use domain::base::opt::{Opt, UnknownOptData};
use domain::base::{Header, Message};
use domain::dep::octseq::Parser;
use walrus_dns::{DomainName, record_type};

const HEADER_LEN: usize = 12;

/// A question that can be answered.
pub(super) struct Question<'a> {
    pub header: Header,
    /// As it came.
    pub question: domain::base::Question<ParsedName<&'a [u8]>>,
    /// In lower case.
    pub name: DomainName,
    pub record_type: u16,
    pub class: u16,
    pub opt: Option<QueryOpt<'a>>,
}

/// What the query's OPT record says.
pub(super) struct QueryOpt<'a> {
    /// At least 512.
    pub udp_size: u16,
    pub dnssec_ok: bool,
    pub subnet: Option<Subnet<'a>>,
}

/// The client subnet option (RFC 7871 section 6).
#[derive(Clone, Copy)]
pub(super) struct Subnet<'a> {
    pub family: u16,
    pub source: u8,
    pub address: &'a [u8],
}

impl Subnet<'_> {
    /// The network's address; `None` for a source of 0 bits.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        if self.source == 0 {
            return None;
        }
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(self.address).for_each(|(byte, sent)| *byte = *sent);
        match (self.family, bytes.first_chunk::<4>()) {
            (1, Some(ipv4)) => Some(Ipv4Addr::from(*ipv4).into()),
            _ => Some(Ipv6Addr::from(bytes).into()),
        }
    }
}

/// Why a query is not answered.
pub(super) enum Unanswered<'a> {
    /// Not even with an error: a reply itself, or no header.
    Drop,
    /// With a bare error.
    Refused {
        rcode: OptRcode,
        /// Echoed if it could be read.
        question: Option<Box<Question<'a>>>,
        /// The DO bit, if the reply has an OPT record.
        opt: Option<bool>,
    },
}

/// Reads a query: one question of the opcode QUERY, well-formed records, EDNS of version 0.
pub(super) fn read(bytes: &[u8]) -> Result<Question<'_>, Unanswered<'_>> {
    let message = Message::from_slice(bytes).map_err(|_| Unanswered::Drop)?;
    let header = message.header();
    if header.qr() {
        return Err(Unanswered::Drop);
    }
    let bare = |rcode| Unanswered::Refused { rcode, question: None, opt: None };
    if header.opcode() != Opcode::QUERY {
        return Err(bare(OptRcode::NOTIMP));
    }
    let counts = message.header_counts();
    if counts.qdcount() != 1 {
        return Err(bare(OptRcode::FORMERR));
    }
    let mut parser = Parser::from_ref(bytes);
    let question = read_question(&mut parser, header).ok_or_else(|| bare(OptRcode::FORMERR))?;
    let before = u32::from(counts.ancount()) + u32::from(counts.nscount());
    let records = (before, u32::from(counts.arcount()));
    match read_records(&mut parser, records) {
        Ok(opt) => Ok(Question { opt, ..question }),
        Err((rcode, opt)) => {
            Err(Unanswered::Refused { rcode, question: Some(Box::new(question)), opt })
        }
    }
}

fn read_question<'a>(parser: &mut Parser<'a, [u8]>, header: Header) -> Option<Question<'a>> {
    parser.advance(HEADER_LEN).ok()?;
    let name_at = parser.pos();
    let question = domain::base::Question::<ParsedName<&[u8]>>::parse(parser).ok()?;
    if question.qname().is_compressed() {
        return None;
    }
    Some(Question {
        header,
        name: DomainName::from_wire(parser.as_slice().get(name_at..)?).ok()?,
        record_type: question.qtype().to_int(),
        class: question.qclass().to_int(),
        question,
        opt: None,
    })
}

type Refusal = (OptRcode, Option<bool>);

/// Walks over `before` records and then `additional` ones, among which OPT may be once.
fn read_records<'a>(
    parser: &mut Parser<'a, [u8]>,
    (before, additional): (u32, u32),
) -> Result<Option<QueryOpt<'a>>, Refusal> {
    let malformed = (OptRcode::FORMERR, None);
    let mut found = None;
    for index in 0..before + additional {
        let record = Record::parse(parser).ok_or(malformed)?;
        if record.record_type == record_type::OPT {
            // RFC 6891, section 6.1.1, has it once, at the root, and in the additional section.
            if index < before || found.is_some() || !record.at_root {
                return Err(malformed);
            }
            found = Some(read_opt(&record)?);
        }
    }
    if parser.remaining() > 0 { Err(malformed) } else { Ok(found) }
}

struct Record<'a> {
    at_root: bool,
    record_type: u16,
    class: u16,
    ttl: u32,
    data: &'a [u8],
}

impl<'a> Record<'a> {
    fn parse(parser: &mut Parser<'a, [u8]>) -> Option<Self> {
        let start = parser.pos();
        // Not `ParsedName::parse`: where an owner's pointer leads plays no part.
        ParsedName::skip(parser).ok()?;
        let at_root = parser.pos() - start == 1;
        let record_type = parser.parse_u16_be().ok()?;
        let class = parser.parse_u16_be().ok()?;
        let ttl = parser.parse_u32_be().ok()?;
        let len = parser.parse_u16_be().ok()?;
        let data = parser.parse_octets(usize::from(len)).ok()?;
        Some(Self { at_root, record_type, class, ttl, data })
    }
}

fn read_opt<'a>(record: &Record<'a>) -> Result<QueryOpt<'a>, Refusal> {
    // RFC 6891 section 6.1.3: extended code, version, flags.
    let [_, version, flags, _] = record.ttl.to_be_bytes();
    let dnssec_ok = flags & 0x80 != 0;
    if version != 0 {
        return Err((OptRcode::BADVERS, Some(dnssec_ok)));
    }
    let malformed = (OptRcode::FORMERR, Some(dnssec_ok));
    let options = Opt::from_octets(record.data).map_err(|_| malformed)?;
    let (mut subnet, mut has_cookie) = (None, false);
    for option in options.iter::<UnknownOptData<&[u8]>>() {
        let option = option.map_err(|_| malformed)?;
        if option.code().to_int() == 8 {
            let read = read_subnet(option.data()).ok_or(malformed)?;
            if subnet.replace(read).is_some() {
                return Err(malformed);
            }
        }
        // RFC 7873 sections 5.2 and 5.2.2: the first counts, and its length is checked.
        if option.code().to_int() == 10 && !has_cookie {
            has_cookie = true;
            if !matches!(option.data().len(), 8 | 16..=40) {
                return Err(malformed);
            }
        }
    }
    Ok(QueryOpt { udp_size: record.class.max(512), dnssec_ok, subnet })
}

/// RFC 7871 sections 6 and 7.1.1: the family is known, the address has just the bytes that the
/// source prefix needs, nothing is set beyond it, and the scope is 0.
fn read_subnet(data: &[u8]) -> Option<Subnet<'_>> {
    let (head, address) = data.split_at_checked(4)?;
    let family = u16::from_be_bytes([head[0], head[1]]);
    let (source, scope) = (head[2], head[3]);
    let bits = match family {
        0 => 0,
        1 => 32,
        2 => 128,
        _ => return None,
    };
    let in_place = |bit: usize| address[bit / 8] & (0x80 >> (bit % 8)) == 0;
    let is_sound = scope == 0
        && usize::from(source) <= bits
        && address.len() == usize::from(source.div_ceil(8))
        && (usize::from(source)..address.len() * 8).all(in_place);
    is_sound.then_some(Subnet { family, source, address })
}
