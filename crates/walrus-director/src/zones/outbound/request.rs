//! Which messages are answered here: transfers, and queries with a signature.

use walrus_dns::{DomainName, record_type};

use crate::message_walk::{behind_name, number};

const HEADER_SIZE: usize = 12;
const TYPE_TSIG: u16 = 250;
/// Records that are looked through for a signature; a query has few.
const RECORDS_MAX: u16 = 8;

/// A transfer, or a signed query.
pub(in crate::zones) fn is_wanted(message: &[u8]) -> bool {
    is_transfer(message).unwrap_or(false) || has_signature(message).unwrap_or(false)
}

fn is_query(message: &[u8]) -> Option<bool> {
    const QR_AND_OPCODE: u8 = 0xf8;
    Some(message.get(2)? & QR_AND_OPCODE == 0 && count(message, 4)? == 1)
}

fn is_transfer(message: &[u8]) -> Option<bool> {
    if !is_query(message)? {
        return Some(false);
    }
    let at = behind_name(message, HEADER_SIZE)?;
    let asked = number(message, at)?;
    Some(matches!(asked, record_type::AXFR | record_type::IXFR))
}

/// A signature ends in the request's id, no error and no other data (RFC 8945 section 4.2): the look at these six
/// bytes spares nearly all queries the rest. Whoever passes a query on may have given it another id; an extended record
/// without options ends in four zeros, too, and has its own look.
fn has_signature(message: &[u8]) -> Option<bool> {
    /// Root, and the type.
    const EXTENDED: [u8; 3] = [0, 0, 41];
    let [id @ .., 0, 0, 0, 0] = message.last_chunk::<6>()? else { return Some(false) };
    let is_extended =
        message.last_chunk::<11>()?.starts_with(&EXTENDED) && message.get(11) == Some(&1);
    if message.get(..2)? != id && is_extended || !is_query(message)? {
        return Some(false);
    }
    let mut at = behind_name(message, HEADER_SIZE)? + 4;
    let sections = [count(message, 6)?, count(message, 8)?, count(message, 10)?];
    let records = sections.iter().try_fold(0u16, |sum, it| sum.checked_add(*it))?;
    if records > RECORDS_MAX || sections[2] == 0 {
        return Some(false);
    }
    // It stands last, among the additional ones (RFC 8945 section 5.1). Anything else is a query like others, under the same
    // limits.
    for number_of in 1..=records {
        let head = behind_name(message, at)?;
        if number_of == records {
            return Some(number(message, head)? == TYPE_TSIG);
        }
        at = head + 10 + usize::from(number(message, head + 8)?);
    }
    Some(false)
}

fn count(message: &[u8], at: usize) -> Option<u16> {
    number(message, at)
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: u16,
    pub(super) apex: DomainName,
    pub(super) record_type: u16,
    pub(super) class: u16,
    /// The serial that the client of an IXFR has.
    pub(super) serial: Option<u32>,
    /// What the client takes in a datagram, if it says so.
    pub(super) udp_size: Option<u16>,
    /// Where the question ends.
    pub(super) question_end: usize,
}

impl Asked {
    /// Of a request whose signature was taken off; `None` if it cannot be read.
    pub(super) fn read(request: &[u8]) -> Option<Self> {
        let behind = behind_name(request, HEADER_SIZE)?;
        let apex = DomainName::from_wire(request.get(HEADER_SIZE..behind)?).ok()?;
        let message = domain::base::Message::from_slice(request).ok()?;
        let asked = number(request, behind)?;
        let serial = match asked {
            record_type::IXFR => serial(message, &apex),
            _ => None,
        };
        Some(Self {
            id: number(request, 0)?,
            apex,
            record_type: asked,
            class: number(request, behind + 2)?,
            serial,
            udp_size: message.opt().map(|opt| opt.udp_payload_size()),
            question_end: behind + 4,
        })
    }

    pub(super) const fn has_edns(&self) -> bool {
        self.udp_size.is_some()
    }

    pub(super) const fn is_transfer(&self) -> bool {
        matches!(self.record_type, record_type::AXFR | record_type::IXFR)
    }
}

/// The serial in the authority section (RFC 1995 section 3).
fn serial(message: &domain::base::Message<[u8]>, apex: &DomainName) -> Option<u32> {
    use domain::base::name::{ParsedName, ToName as _};
    use domain::rdata::Soa;
    let record = message.authority().ok()?.limit_to::<Soa<ParsedName<&[u8]>>>().next()?.ok()?;
    let owner: Vec<u8> = record.owner().to_vec().into_octets();
    let is_own = DomainName::from_wire(&owner).is_ok_and(|owner| owner == *apex);
    is_own.then(|| record.data().serial().into_int())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tsig::SharedKey;

    fn query(record_type: u16, more: &[u8]) -> Vec<u8> {
        let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend_from_slice(b"\x07example\x03com\x00");
        query.extend_from_slice(&record_type.to_be_bytes());
        query.extend_from_slice(&[0, 1]);
        query.extend_from_slice(more);
        query
    }

    #[test]
    fn transfers_and_signed_queries_are_wanted_and_nothing_else() {
        assert!(is_wanted(&query(record_type::AXFR, &[])));
        assert!(is_wanted(&query(record_type::IXFR, &[])));
        assert!(!is_wanted(&query(record_type::SOA, &[])));
        let mut edns = query(record_type::SOA, &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        edns[11] = 1;
        assert!(!is_wanted(&edns));
        // A signature in another section is none, which would lead past the limits of queries to a long answer.
        let mut elsewhere = query(
            record_type::SOA,
            b"\0\x00\xfa\x00\xff\0\0\0\0\x00\x00\0\x00\x29\x04\xd0\0\0\0\0\x00\x00",
        );
        // The extended record's TTL and length stand where a signature has its end.
        (elsewhere[0], elsewhere[1], elsewhere[9], elsewhere[11]) = (0, 0, 1, 1);
        assert!(!is_wanted(&elsewhere));
        let name = "transfer".parse().expect("a name");
        let key = SharedKey::new(name, walrus_core::config::TsigAlgorithm::HmacSha256, b"secret");
        for mut signed in [query(record_type::SOA, &[]), edns] {
            let _ = key.sign_request(&mut signed, 1_790_000_000);
            assert!(is_wanted(&signed));
            // Whoever passed it on gave it an id of his own.
            signed[0] ^= 0x55;
            assert!(is_wanted(&signed));
            signed[0] ^= 0x55;
            for end in 0..signed.len() {
                let _ = is_wanted(&signed[..end]);
                let _ = Asked::read(&signed[..end]);
            }
            signed[2] |= 0x80;
            assert!(!is_wanted(&signed), "a reply");
        }
    }

    #[test]
    fn the_serial_of_an_ixfr_is_read() {
        let soa = b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x00\x00\x16\x00\x00\x00\x00\x00\x07\
                    \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
        let mut request = query(record_type::IXFR, soa);
        request[9] = 1;
        let asked = Asked::read(&request).expect("a request");
        assert_eq!(asked.serial, Some(7));
        assert_eq!(asked.apex.to_string().trim_end_matches('.'), "example.com");
        assert_eq!((asked.question_end, asked.udp_size), (29, None));
        request[9] = 0;
        assert_eq!(Asked::read(&request).expect("a request").serial, None);
    }
}
