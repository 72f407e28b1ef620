//! What certificates and lists of revocations say of themselves: whose they are, by whom they are signed, and until
//! when they hold.
//!
//! `webpki`, which verifies them, tells no dates. Read is what stands at fixed places (RFC 5280, sections 4.1 and
//! 5.1) in files that the operator names; what is not as it should be there is no certificate and no list.

use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use walrus_core::world::legible;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, in which a certificate's version stands.
const VERSION: u8 = 0xa0;
/// 2.5.4.3 and 2.5.4.10, by which people know an authority.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const ORGANIZATION: [u8; 3] = [0x55, 0x04, 0x0a];
/// Characters of a name that is told.
const NAME_MAX: usize = 64;
const DAY_S: u64 = 86_400;

/// A certificate's own words. Slices are the contents of what they are named after, without their heads.
#[derive(Clone, Copy, Debug)]
pub(super) struct CertificateWords<'a> {
    pub(super) serial: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    /// First and last Unix second at which it holds.
    pub(super) valid: (u64, u64),
    key_algorithm: &'a [u8],
    key: &'a [u8],
    signature: Signature<'a>,
}

/// A list's own words, likewise.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListWords<'a> {
    pub(super) issuer: &'a [u8],
    /// The Unix seconds of its making and of the next one's.
    pub(super) valid: (u64, u64),
    signature: Signature<'a>,
}

/// What somebody signed, and how.
#[derive(Clone, Copy, Debug)]
struct Signature<'a> {
    signed: &'a [u8],
    algorithm: &'a [u8],
    bits: &'a [u8],
}

impl<'a> CertificateWords<'a> {
    /// `None` for what is no certificate.
    pub(super) fn read(certificate: &'a CertificateDer<'_>) -> Option<Self> {
        let (signed, signature) = Signature::read(certificate)?;
        let mut parts = signed.parts();
        if parts.0.first() == Some(&VERSION) {
            parts.next()?;
        }
        let serial = parts.expect(INTEGER)?.content;
        parts.expect(SEQUENCE)?;
        let issuer = parts.expect(SEQUENCE)?.content;
        let mut valid = parts.expect(SEQUENCE)?.parts();
        let valid = (valid.next()?.unix_s()?, valid.next()?.unix_s()?);
        let subject = parts.expect(SEQUENCE)?.content;
        let mut key = parts.expect(SEQUENCE)?.parts();
        let key_algorithm = key.expect(SEQUENCE)?.content;
        let key = key.expect(BIT_STRING)?.whole_bytes()?;
        Some(Self { serial, issuer, subject, valid, key_algorithm, key, signature })
    }

    /// Whether this one's key signed the list.
    pub(super) fn signed(&self, list: &ListWords<'_>) -> bool {
        self.made(&list.signature)
    }

    /// Whether this one's owner made the other certificate, by its name and key.
    pub(super) fn issued(&self, other: &Self) -> bool {
        other.issuer == self.subject && self.made(&other.signature)
    }

    /// Whether a signature is of this one's key, by any algorithm that is believed here.
    fn made(&self, signature: &Signature<'_>) -> bool {
        let Signature { signed, algorithm: by, bits } = *signature;
        let algorithms = super::provider().signature_verification_algorithms.all;
        algorithms.iter().any(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == self.key_algorithm
                && algorithm.signature_alg_id().as_ref() == by
                && algorithm.verify_signature(self.key, signed, bits).is_ok()
        })
    }

    /// Whether both have one key.
    pub(super) fn has_the_key_of(&self, other: &Self) -> bool {
        (self.key_algorithm, self.key) == (other.key_algorithm, other.key)
    }
}

impl<'a> ListWords<'a> {
    /// `None` for what is no list, or one without `nextUpdate`, which RFC 5280 wants of every list (5.1.2.5).
    pub(super) fn read(list: &'a CertificateRevocationListDer<'_>) -> Option<Self> {
        let (signed, signature) = Signature::read(list)?;
        let mut parts = signed.parts();
        if parts.0.first() == Some(&INTEGER) {
            parts.next()?;
        }
        parts.expect(SEQUENCE)?;
        let issuer = parts.expect(SEQUENCE)?.content;
        let valid = (parts.next()?.unix_s()?, parts.next()?.unix_s()?);
        Some(Self { issuer, valid, signature })
    }
}

impl<'a> Signature<'a> {
    /// Of a certificate or list, and the part of it that is signed.
    fn read(whole: &'a [u8]) -> Option<(Element<'a>, Self)> {
        let mut parts = Der(whole).expect(SEQUENCE)?.parts();
        let signed = parts.expect(SEQUENCE)?;
        let algorithm = parts.expect(SEQUENCE)?.content;
        let bits = parts.expect(BIT_STRING)?.whole_bytes()?;
        Some((signed, Self { signed: signed.whole, algorithm, bits }))
    }
}

/// What people call the owner of a distinguished name.
pub(super) fn name_of(distinguished: &[u8]) -> String {
    let mut names = Der(distinguished);
    let (mut common, mut organization) = (None, None);
    while let Some(set) = names.expect(SET) {
        let mut attributes = set.parts();
        while let Some(attribute) = attributes.expect(SEQUENCE) {
            let mut parts = attribute.parts();
            let (Some(kind), Some(text)) = (parts.expect(OBJECT), parts.next()) else { break };
            match kind.content {
                kind if kind == COMMON_NAME => common = Some(text.content),
                kind if kind == ORGANIZATION => organization = Some(text.content),
                _ => {}
            }
        }
    }
    let name = common.or(organization).unwrap_or(b"without a name");
    legible(&String::from_utf8_lossy(name), NAME_MAX)
}

/// Elements one after the other (X.690, section 8.1).
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

#[derive(Clone, Copy)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// With its head.
    whole: &'a [u8],
}

impl<'a> Der<'a> {
    fn next(&mut self) -> Option<Element<'a>> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = digits.iter().fold(0, |sum, digit| sum << 8 | u64::from(*digit));
                (usize::try_from(length).ok()?, rest)
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = self.0.get(..self.0.len() - after.len())?;
        self.0 = after;
        Some(Element { tag, content, whole })
    }

    /// The next one, if it is one of these.
    fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }
}

impl<'a> Element<'a> {
    const fn parts(&self) -> Der<'a> {
        Der(self.content)
    }

    /// A string of bits that is one of bytes.
    fn whole_bytes(&self) -> Option<&'a [u8]> {
        let (unused, bytes) = self.content.split_first()?;
        (*unused == 0).then_some(bytes)
    }

    /// A time in its only form that is allowed, `[YY]YYMMDDHHMMSSZ` (RFC 5280, section 4.1.2.5); 0 before 1970.
    fn unix_s(&self) -> Option<u64> {
        let digits = self.content.strip_suffix(b"Z")?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = |digits: &[u8]| {
            digits.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'))
        };
        let (year, rest) = match (self.tag, digits.len()) {
            (UTC_TIME, 12) => {
                let (year, rest) = digits.split_at(2);
                let year = number(year);
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            (GENERALIZED_TIME, 14) => {
                let (year, rest) = digits.split_at(4);
                (number(year), rest)
            }
            _ => return None,
        };
        let parts: Vec<u64> = rest.chunks(2).map(number).collect();
        let &[month, day, hour, minute, second] = parts.as_slice() else { return None };
        let in_range = (1..=12).contains(&month) && (1..=31).contains(&day);
        if !in_range || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let of_day = hour * 3600 + minute * 60 + second;
        Some(day_of(year, month, day).map_or(0, |days| days * DAY_S + of_day))
    }
}

/// Days since 1970 of a date of the Gregorian calendar; `None` before. Years begin with March, so that the leap day
/// is the last one.
fn day_of(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    // Of the 1st of March of the year 0 to the 1st of January 1970.
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for (tag, text, wanted) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (UTC_TIME, "500101000000Z", Some(0)),
            (UTC_TIME, "240229120000Z", Some(1_709_208_000)),
            (GENERALIZED_TIME, "20261123042500Z", Some(1_795_407_900)),
            (GENERALIZED_TIME, "21000301000000Z", Some(4_107_542_400)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (GENERALIZED_TIME, "00000101000000Z", Some(0)),
            (UTC_TIME, "241329120000Z", None),
            (UTC_TIME, "20240229120000Z", None),
            (UTC_TIME, "240229120000+0100", None),
            (UTC_TIME, "24022912000Z", None),
            (INTEGER, "240229120000Z", None),
        ] {
            let element = Element { tag, content: text.as_bytes(), whole: &[] };
            assert_eq!(element.unix_s(), wanted, "{text}");
        }
    }

    #[test]
    fn nothing_that_is_cut_short_or_changed_is_read_beyond_its_end() {
        let made = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
        let whole = made.cert.der().clone();
        assert!(CertificateWords::read(&whole).is_some());
        for end in 0..whole.len() {
            let cut = CertificateDer::from(whole[..end].to_vec());
            assert!(CertificateWords::read(&cut).is_none(), "{end}");
            let mut changed = whole.to_vec();
            changed[end] ^= 0xff;
            if let Some(words) = CertificateWords::read(&CertificateDer::from(changed)) {
                name_of(words.subject);
            }
        }
        assert_eq!(name_of(&[]), "without a name");
    }
}
