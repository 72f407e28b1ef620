//! An UPDATE message, read from bytes that may be anything (RFC 2136 section 2).

use std::ops::Range;

use domain::base::ParsedRecord;
use domain::base::iana::{Class, Opcode, Rtype};
use domain::base::message::{Message, RecordSection};
use domain::base::name::{ParsedName, ToName as _};
use domain::base::rdata::ComposeRecordData as _;
use domain::rdata::ZoneRecordData;
use walrus_dns::query::HEADER_LEN;
use walrus_dns::{DomainName, record_type};

use super::UpdateRefused;

/// What an update says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateMessage {
    /// Its zone.
    pub zone: DomainName,
    /// What must hold, or nothing is changed.
    pub prerequisites: Vec<UpdateRecord>,
    /// What is to be done, in this order.
    pub changes: Vec<UpdateRecord>,
}

/// A record of an update: what it means depends on its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateRecord {
    /// Its owner.
    pub name: DomainName,
    /// Its type's number.
    pub record_type: u16,
    /// IN (1), NONE (254) or ANY (255).
    pub class: u16,
    /// In seconds.
    pub ttl: u32,
    /// Its data, uncompressed.
    pub data: Box<[u8]>,
}

/// Class NONE (RFC 2136 section 2.4).
pub(super) const CLASS_NONE: u16 = 254;
/// Class ANY.
pub(super) const CLASS_ANY: u16 = 255;

impl UpdateMessage {
    /// Reads a message without a look at its signature, which stands in the additional section, as
    /// do records that may help to read it (section 2.6): nothing here needs help.
    ///
    /// # Errors
    /// FORMERR if it is damaged or does not name one zone; NOTAUTH for a class other than IN.
    pub fn read(bytes: &[u8]) -> Result<Self, UpdateRefused> {
        let damaged = |_| UpdateRefused::Malformed("it is cut short or has bytes too many");
        let message = Message::from_slice(bytes)
            .map_err(|_| UpdateRefused::Malformed("it has no whole header"))?;
        if message.header().opcode() != Opcode::UPDATE || message.header().qr() {
            return Err(UpdateRefused::Malformed("it is no update"));
        }
        if message.header_counts().qdcount() != 1 {
            return Err(UpdateRefused::Malformed("it must name one zone"));
        }
        let mut questions = message.question();
        let zone = questions
            .next()
            .ok_or(UpdateRefused::Malformed("it must name one zone"))?
            .map_err(damaged)?;
        if zone.qtype() != Rtype::SOA {
            return Err(UpdateRefused::Malformed("the zone's type must be SOA"));
        }
        let name = name_of(zone.qname())?;
        // There is no name before it that a pointer could lead to, and replies repeat it.
        let written = bytes.get(HEADER_LEN..HEADER_LEN + name.as_wire().len());
        if !written.is_some_and(|written| written.eq_ignore_ascii_case(name.as_wire())) {
            return Err(UpdateRefused::Malformed("the zone's name is compressed"));
        }
        if zone.qclass() != Class::IN {
            return Err(UpdateRefused::OtherZone(name));
        }
        let answer = questions.answer().map_err(damaged)?;
        let (prerequisites, answer) = records(answer)?;
        let missing = UpdateRefused::Malformed("it is cut short");
        let authority = answer.next_section().map_err(damaged)?.ok_or(missing.clone())?;
        let (changes, authority) = records(authority)?;
        // The rest must be readable as well.
        let mut additional = authority.next_section().map_err(damaged)?.ok_or(missing)?;
        additional.try_for_each(|record| record.map(drop)).map_err(damaged)?;
        Ok(Self { zone: name, prerequisites, changes })
    }
}

/// A section's records, and the section behind them.
fn records<'a>(
    mut section: RecordSection<'a, [u8]>,
) -> Result<(Vec<UpdateRecord>, RecordSection<'a, [u8]>), UpdateRefused> {
    let mut records = Vec::new();
    for record in section.by_ref() {
        let record = record.map_err(|_| UpdateRefused::Malformed("a record is cut short"))?;
        records.push(UpdateRecord::read(&record)?);
    }
    Ok((records, section))
}

impl UpdateRecord {
    fn read(record: &ParsedRecord<'_, [u8]>) -> Result<Self, UpdateRefused> {
        Ok(Self {
            name: name_of(&record.owner())?,
            record_type: record.rtype().to_int(),
            class: record.class().to_int(),
            ttl: record.ttl().as_secs(),
            data: data_of(record)?,
        })
    }
}

fn name_of(name: &ParsedName<&[u8]>) -> Result<DomainName, UpdateRefused> {
    DomainName::from_wire(name.to_vec().as_slice())
        .map_err(|_| UpdateRefused::Malformed("a name is too long"))
}

/// Data without compression; none at all is left for the rules of its class.
fn data_of(record: &ParsedRecord<'_, [u8]>) -> Result<Box<[u8]>, UpdateRefused> {
    if record.rdlen() == 0 {
        return Ok([].into());
    }
    let wrong = UpdateRefused::Malformed("a record's data does not fit its type");
    // Of these no data ever counts.
    if is_meta(record.rtype().to_int()) {
        return Ok([0].into());
    }
    let parsed = record
        .to_record::<ZoneRecordData<&[u8], ParsedName<&[u8]>>>()
        .map_err(|_| wrong.clone())?
        .ok_or(wrong.clone())?;
    let mut data = Vec::with_capacity(usize::from(record.rdlen()));
    // Composing into a vector cannot fail.
    let _ = parsed.data().compose_rdata(&mut data);
    // Compressed names can be long.
    if data.len() > usize::from(u16::MAX) { Err(wrong) } else { Ok(data.into()) }
}

/// Types of questions and of messages, which no zone has: OPT, and those from 128 to 255 (RFC 6895
/// section 3.1).
pub(super) const fn is_meta(record_type: u16) -> bool {
    record_type == 0 || record_type == record_type::OPT || matches!(record_type, 128..=255)
}

/// Data by which records of one type are the same (RFC 2136 section 1.1.1): names in lower case, all else as it is.
pub(super) fn form(record_type: u16, data: &[u8]) -> Vec<u8> {
    let mut form = data.to_vec();
    // The lengths of labels are no letters.
    if let Some(names) = names_in(record_type, data) {
        form[names].make_ascii_lowercase();
    }
    form
}

/// Where the names stand in a record's data, if there are any whose case does not count (RFC 4034 section 6.2).
fn names_in(record_type: u16, data: &[u8]) -> Option<Range<usize>> {
    let len = data.len();
    let range = match record_type {
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, MINFO, RP, DNAME.
        2..=5 | 7..=9 | 12 | 14 | 17 | 39 => 0..len,
        record_type::SOA => 0..len.checked_sub(20)?,
        // MX, AFSDB, RT, PX, KX.
        15 | 18 | 21 | 26 | 36 => 2..len,
        record_type::SRV => 6..len,
        35 => {
            // NAPTR: order and preference, and three strings whose case counts.
            let mut start = 4;
            for _ in 0..3 {
                start += 1 + usize::from(*data.get(start)?);
            }
            start..len
        }
        _ => return None,
    };
    (range.start <= range.end).then_some(range)
}
