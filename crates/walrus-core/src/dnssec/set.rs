//! One record set and what its signature covers (RFC 4034 sections 3.1.8.1 and 6).

use sha2::{Digest as _, Sha256};
use walrus_dns::{DomainName, record_type};

use super::{DnsKey, SignatureId, Signatures, Validity};

/// A record set as it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Covered<'a> {
    /// Its owner. A wildcard is signed as it stands, and its asterisk is no label of the count
    /// (RFC 4034 section 3.1.3).
    pub owner: &'a DomainName,
    /// Its type.
    pub record_type: u16,
    /// The original TTL: what is served may be less, never more (RFC 4035 section 5.3.3).
    pub ttl: u32,
    /// Each record's data, uncompressed, in any order, no two alike.
    pub data: &'a [&'a [u8]],
}

/// Who signs, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct SignedBy<'a> {
    /// The zone's apex.
    pub zone: &'a DomainName,
    /// All of these sign.
    pub keys: &'a [DnsKey],
    /// From when until when.
    pub validity: Validity,
}

/// Something to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignRequest {
    /// Under which the signature is to be put into [`Signatures`].
    pub id: SignatureId,
    /// Whose private half signs.
    pub key: DnsKey,
    /// What is signed: the RRSIG's data up to its signature, then the set in canonical form.
    pub bytes: Box<[u8]>,
}

/// The data of the RRSIG records of a set, one a key in the order of the keys, as far as signed
/// already; what is missing goes to `missing`, and then the whole set counts as unsigned (`None`):
/// a set that only some of its keys signed is bogus to whoever trusts another (RFC 4035 section
/// 2.2).
pub fn sign_set(
    covered: &Covered<'_>,
    by: &SignedBy<'_>,
    signatures: &Signatures,
    missing: &mut Vec<SignRequest>,
) -> Option<Vec<Box<[u8]>>> {
    let records = canonical(covered);
    let mut made = Vec::with_capacity(by.keys.len());
    for key in by.keys {
        let head = signature_head(covered, by, key);
        let id = identify(key, &head, &records);
        match signatures.get(id) {
            Some(signature) => made.push([&head[..], signature].concat().into()),
            None => {
                let bytes = [&head[..], &records].concat().into();
                missing.push(SignRequest { id, key: key.clone(), bytes });
            }
        }
    }
    (made.len() == by.keys.len()).then_some(made)
}

/// The phase of a set in [`super::ValidityPolicy`]: the same on every node, and the same for all
/// answer sets of a service, so that one renewal serves them all.
#[must_use]
pub fn phase(owner: &DomainName, record_type: u16) -> u64 {
    let mut hash = Sha256::new();
    hash.update(owner.as_wire());
    hash.update(record_type.to_be_bytes());
    let hash = hash.finalize();
    hash.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// An RRSIG's data up to its signature (RFC 4034 section 3.1).
pub(super) fn signature_head(covered: &Covered<'_>, by: &SignedBy<'_>, key: &DnsKey) -> Vec<u8> {
    let labels = covered.owner.label_count() - usize::from(covered.owner.is_wildcard());
    let mut head = covered.record_type.to_be_bytes().to_vec();
    // A name has at most 127 labels.
    head.extend_from_slice(&[key.algorithm().number(), labels as u8]);
    head.extend_from_slice(&covered.ttl.to_be_bytes());
    head.extend_from_slice(&by.validity.expiry.to_be_bytes());
    head.extend_from_slice(&by.validity.inception.to_be_bytes());
    head.extend_from_slice(&key.tag().to_be_bytes());
    head.extend_from_slice(by.zone.as_wire());
    head
}

/// The set's records in canonical form and order (RFC 4034 sections 6.2 and 6.3).
pub(super) fn canonical(covered: &Covered<'_>) -> Vec<u8> {
    let mut data: Vec<Vec<u8>> =
        covered.data.iter().map(|data| canonical_data(covered.record_type, data)).collect();
    data.sort();
    data.dedup();
    let mut records = Vec::new();
    for data in data {
        records.extend_from_slice(covered.owner.as_wire());
        records.extend_from_slice(&covered.record_type.to_be_bytes());
        records.extend_from_slice(&record_type::CLASS_IN.to_be_bytes());
        records.extend_from_slice(&covered.ttl.to_be_bytes());
        // Data came out of records, whose length has 16 bits.
        records.extend_from_slice(&(data.len() as u16).to_be_bytes());
        records.extend_from_slice(&data);
    }
    records
}

/// Data with the names in it in lower case, for the types that RFC 4034 section 6.2 (as RFC 6840
/// section 5.1 corrects it) lists; of other types every byte counts.
fn canonical_data(record_type: u16, data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    let Some((mut at, names)) = names_in(record_type, &data) else { return data };
    for _ in 0..names {
        // Folding the case of length octets is harmless: they are below `A`.
        while let Some(len @ 1..=63) = data.get(at).copied() {
            let end = (at + 1 + usize::from(len)).min(data.len());
            data[at..end].make_ascii_lowercase();
            at = end;
        }
        at += 1;
    }
    data
}

/// Where in a type's data its names begin, and how many there are; `None` if their case counts.
/// Files may hold any type, as `TYPE17 \# ...` (RFC 3597). A6 is left out: it is historic (RFC 6563).
fn names_in(record_type: u16, data: &[u8]) -> Option<(usize, usize)> {
    Some(match record_type {
        record_type::NS | record_type::CNAME | record_type::PTR | record_type::DNAME => (0, 1),
        record_type::SOA => (0, 2),
        record_type::MX => (2, 1),
        record_type::SRV => (6, 1),
        // MD, MF, MB, MG, MR and NXT.
        3 | 4 | 7..=9 | 30 => (0, 1),
        // MINFO and RP.
        14 | 17 => (0, 2),
        // AFSDB, RT and KX.
        18 | 21 | 36 => (2, 1),
        // SIG.
        24 => (18, 1),
        // PX.
        26 => (2, 2),
        NAPTR => (behind_strings(data, 4, 3)?, 1),
        _ => return None,
    })
}

/// How to find a service by rewriting (RFC 3403).
const NAPTR: u16 = 35;

/// What stands behind so many character strings that begin at a place.
fn behind_strings(data: &[u8], from: usize, strings: usize) -> Option<usize> {
    (0..strings).try_fold(from, |at, _| Some(at + 1 + usize::from(*data.get(at)?)))
}

pub(super) fn identify(key: &DnsKey, head: &[u8], records: &[u8]) -> SignatureId {
    let mut hash = Sha256::new();
    hash.update(key.data());
    hash.update(head);
    hash.update(records);
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    SignatureId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_data_are_folded_in_the_types_that_the_rfc_lists_and_nothing_else_is() {
        // Letters before, in between and behind, so that a wrong place shows.
        const NAME: &[u8] = b"\x01A\x02Bc\0";
        const FOLDED: &[u8] = b"\x01a\x02bc\0";
        let strings: &[u8] = b"ABCD\x01U\x03E2U\x04!A!B";
        for (record_type, before, names) in [
            (record_type::NS, &b""[..], 1),
            (record_type::CNAME, b"", 1),
            (record_type::PTR, b"", 1),
            (record_type::DNAME, b"", 1),
            (record_type::SOA, b"", 2),
            (record_type::MX, b"AB", 1),
            (record_type::SRV, b"ABCDEF", 1),
            (7, b"", 1),
            (14, b"", 2),
            (17, b"", 2),
            (18, b"AB", 1),
            (36, b"AB", 1),
            (24, b"ABCDEFGHIJKLMNOPQR", 1),
            (26, b"AB", 2),
            (NAPTR, strings, 1),
            (record_type::TXT, b"", 0),
            (record_type::NSEC, b"", 0),
            (record_type::HTTPS, b"AB", 0),
            (13, b"", 0),
        ] {
            let data = |name: &[u8]| [before, &name.repeat(names), NAME].concat();
            assert_eq!(canonical_data(record_type, &data(NAME)), data(FOLDED), "{record_type}");
        }
    }

    #[test]
    fn damaged_data_is_signed_as_it_stands() {
        for record_type in 0..70 {
            for data in [&b""[..], b"\x3fA", b"ABCD", b"ABCD\xffA", b"\x01"] {
                assert_eq!(canonical_data(record_type, data).len(), data.len());
            }
        }
    }
}
