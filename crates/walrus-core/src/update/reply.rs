//! A name server's reply, read from bytes that may be anything.

use std::net::IpAddr;

use domain::base::ParsedRecord;
use domain::base::iana::{Opcode, Rtype};
use domain::base::message::Message;
use domain::base::name::{ParsedName, ToName};
use domain::rdata::{A, Aaaa, Cname, Dnskey, Soa, Txt};
use walrus_dns::DomainName;

use super::Request;

/// Records of one reply that are kept: more addresses than fit any answer.
const RECORDS_MAX: usize = 4096;

/// What a name server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 0 is NOERROR.
    pub rcode: u8,
    /// Whether it speaks for the zone.
    pub is_authoritative: bool,
    /// Whether it was cut short, so that it must be asked for by TCP.
    pub is_truncated: bool,
    /// Records of the answer section that are known here.
    pub answers: Vec<ReplyRecord>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyRecord {
    /// Its owner.
    pub owner: DomainName,
    /// In seconds.
    pub ttl: u32,
    /// What it says.
    pub data: ReplyData,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyData {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME.
    Alias(DomainName),
    /// The data of TXT.
    Text(Vec<u8>),
    /// The serial of SOA.
    Serial(u32),
    /// The tag of a DNSKEY (RFC 4034 appendix B).
    Key(u16),
}

/// Bytes that are no reply to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Of another number, kind or question: not for us.
    #[error("it answers something else")]
    Stranger,
    /// For us, but damaged.
    #[error("it is damaged")]
    Malformed,
}

impl Reply {
    /// Reads the reply to a request that had this number.
    ///
    /// # Errors
    /// If it is for another request, or damaged.
    pub fn read(bytes: &[u8], id: u16, request: &Request) -> Result<Self, ReplyError> {
        let message = Message::from_slice(bytes).map_err(|_| ReplyError::Stranger)?;
        let header = message.header();
        let opcode = if request.is_update() { Opcode::UPDATE } else { Opcode::QUERY };
        if header.id() != id || !header.qr() || header.opcode() != opcode {
            return Err(ReplyError::Stranger);
        }
        check_question(message, request)?;
        let mut answers = Vec::new();
        // Of updates nothing but the code is told (RFC 2136 section 3.8).
        if !request.is_update() {
            let section = message.answer().map_err(|_| ReplyError::Malformed)?;
            for record in section.take(RECORDS_MAX) {
                let record = record.map_err(|_| ReplyError::Malformed)?;
                answers.extend(read_record(&record)?);
            }
        }
        Ok(Self {
            rcode: header.rcode().to_int(),
            is_authoritative: header.aa(),
            is_truncated: header.tc(),
            answers,
        })
    }
}

/// An update's zone need not be repeated; a question must, unless the reply is an error.
fn check_question(message: &Message<[u8]>, request: &Request) -> Result<(), ReplyError> {
    let Some(question) = message.question().next() else {
        let may_lack = request.is_update() || message.header().rcode().to_int() != 0;
        return if may_lack { Ok(()) } else { Err(ReplyError::Stranger) };
    };
    let question = question.map_err(|_| ReplyError::Malformed)?;
    let (name, record_type) = request.question();
    let same = to_name(question.qname())? == *name && question.qtype().to_int() == record_type;
    if same { Ok(()) } else { Err(ReplyError::Stranger) }
}

fn read_record(record: &ParsedRecord<'_, [u8]>) -> Result<Option<ReplyRecord>, ReplyError> {
    const BAD: ReplyError = ReplyError::Malformed;
    let data = match record.rtype() {
        Rtype::A => {
            let address = record.to_record::<A>().map_err(|_| BAD)?.ok_or(BAD)?;
            ReplyData::Address(IpAddr::V4(address.data().addr()))
        }
        Rtype::AAAA => {
            let address = record.to_record::<Aaaa>().map_err(|_| BAD)?.ok_or(BAD)?;
            ReplyData::Address(IpAddr::V6(address.data().addr()))
        }
        Rtype::CNAME => {
            let alias = record.to_record::<Cname<ParsedName<_>>>().map_err(|_| BAD)?.ok_or(BAD)?;
            ReplyData::Alias(to_name(alias.data().cname())?)
        }
        Rtype::SOA => {
            let soa = record.to_record::<Soa<ParsedName<_>>>().map_err(|_| BAD)?.ok_or(BAD)?;
            ReplyData::Serial(soa.data().serial().into_int())
        }
        Rtype::DNSKEY => {
            let key = record.to_record::<Dnskey<_>>().map_err(|_| BAD)?.ok_or(BAD)?;
            ReplyData::Key(key.data().key_tag())
        }
        Rtype::TXT => {
            let text = record.to_record::<Txt<_>>().map_err(|_| BAD)?.ok_or(BAD)?;
            let mut data = Vec::new();
            for part in text.data().iter_charstrs() {
                data.push(u8::try_from(part.as_slice().len()).map_err(|_| BAD)?);
                data.extend_from_slice(part.as_slice());
            }
            ReplyData::Text(data)
        }
        _ => return Ok(None),
    };
    let (owner, ttl) = (to_name(record.owner())?, record.ttl().as_secs());
    // The highest bit is no part of it (RFC 2181 section 8).
    let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
    Ok(Some(ReplyRecord { owner, ttl, data }))
}

fn to_name(name: impl ToName) -> Result<DomainName, ReplyError> {
    let name = name.try_to_name::<Vec<u8>>().map_err(|_| ReplyError::Malformed)?;
    DomainName::from_wire(name.as_slice()).map_err(|_| ReplyError::Malformed)
}
