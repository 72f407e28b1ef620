//! The NSEC3 records of a file that is served as it is signed, put together to a chain.
//!
//! A chain's records name each other by their order; so what the file says must be just that, or
//! its signatures would not be over what is served. Salt, iterations and opt-out stay as they are.

use std::rc::Rc;

use walrus_dns::record_type;

use super::check::type_name;
use super::records::Record;
use super::{Notes, Place};
use crate::zone::{
    HashedName, Nsec3Chain, Nsec3Parameters, Nsec3Part, SetView, Zone, hash_of_label,
};

/// NSEC3 records with what stands over them, in canonical order of their owners, which is that of
/// the hashes.
#[derive(Default)]
pub(super) struct ChainDraft<'r> {
    records: Vec<Hashed<'r>>,
}

struct Hashed<'r> {
    hash: HashedName,
    place: Place,
    ttl: u32,
    data: Data<'r>,
    /// RRSIG records' data. One owner may have many of both, which are not multiplied.
    signatures: Rc<[&'r [u8]]>,
}

/// NSEC3 data (RFC 5155 section 3.2), and that of NSEC3PARAM in front.
#[derive(Clone, Copy)]
struct Data<'r> {
    algorithm: u8,
    flags: u8,
    iterations: u16,
    salt: &'r [u8],
    /// Behind the salt.
    rest: &'r [u8],
}

impl<'r> Data<'r> {
    fn read(data: &'r [u8]) -> Option<Self> {
        let (&[algorithm, flags, i0, i1, salt_len], rest) = data.split_first_chunk()?;
        let (salt, rest) = rest.split_at_checked(usize::from(salt_len))?;
        Some(Self { algorithm, flags, iterations: u16::from_be_bytes([i0, i1]), salt, rest })
    }

    fn has_parameters_of(&self, other: &Data<'_>) -> bool {
        (self.algorithm, self.iterations, self.salt)
            == (other.algorithm, other.iterations, other.salt)
    }

    /// The next hash, and the bitmap.
    fn link(&self) -> Option<(&'r HashedName, &'r [u8])> {
        self.rest.strip_prefix(&[20])?.split_first_chunk()
    }
}

impl<'r> ChainDraft<'r> {
    /// Adds the NSEC3 records of an owner, relative to the apex, and the signatures over them.
    pub(super) fn add(
        &mut self,
        owner: &[u8],
        records: &[Record<'r>],
        signatures: &[&'r [u8]],
        notes: &mut Notes,
    ) {
        let label = owner.split_first().filter(|(len, label)| usize::from(**len) == label.len());
        let hash = label.and_then(|(_, label)| hash_of_label(label));
        let signatures: Rc<[&[u8]]> = signatures.into();
        for Record { place, ttl, data, .. } in records {
            match (hash, Data::read(data)) {
                (Some(hash), Some(data)) => self.records.push(Hashed {
                    hash,
                    place: *place,
                    ttl: *ttl,
                    data,
                    signatures: Rc::clone(&signatures),
                }),
                _ => {
                    let message =
                        "an NSEC3 record stands at a hash right below the apex, and nowhere else";
                    notes.error(*place, 1, message);
                }
            }
        }
    }

    /// The chain that the zone's NSEC3PARAM record names, if the zone has one or NSEC3 records.
    pub(super) fn finish(mut self, zone: &Zone, notes: &mut Notes) -> Option<Nsec3Chain> {
        let first = self.records.first()?.place;
        let parameters = zone.set(zone.apex(), record_type::NSEC3PARAM);
        let parameters = parameters.into_iter().flat_map(SetView::data).filter_map(Data::read);
        // Others are of chains that come or go (RFC 5155 section 7.3).
        let Some(parameters) = parameters.filter(|it| it.flags == 0).min_by_key(|it| it.iterations)
        else {
            let message = "this zone has NSEC3 records and no NSEC3PARAM record at its apex, which says \
                           how names are hashed: sign it anew";
            notes.error(first, 1, message);
            return None;
        };
        if let Some(message) = unserved(&parameters) {
            notes.error(first, 1, message);
            return None;
        }
        let before = self.records.len();
        self.records.retain(|record| record.data.has_parameters_of(&parameters));
        if self.records.len() < before {
            let message = format!(
                "{} NSEC3 records with other parameters than the NSEC3PARAM record's are left out",
                before - self.records.len()
            );
            notes.warning(first, message);
        }
        let parameters =
            Nsec3Parameters { iterations: parameters.iterations, salt: parameters.salt.into() };
        let apex = parameters.hash(zone.apex().as_wire());
        if self.records.binary_search_by(|record| record.hash.cmp(&apex)).is_err() {
            notes.error(first, 1, "no NSEC3 record proves what stands at the apex: sign it anew");
            return None;
        }
        self.chain(parameters, notes)
    }

    fn chain(&self, parameters: Nsec3Parameters, notes: &mut Notes) -> Option<Nsec3Chain> {
        let ttl = self.records.iter().map(|record| record.ttl).min()?;
        if let Some(other) = self.records.iter().find(|record| record.ttl != ttl) {
            let message = format!(
                "the {} records have different TTLs; all get the lowest, {ttl}",
                type_name(record_type::NSEC3)
            );
            notes.warning(other.place, message);
        }
        let following = self.records.iter().skip(1).chain(self.records.first());
        let mut parts = Vec::with_capacity(self.records.len());
        for (record, following) in self.records.iter().zip(following) {
            let link = record.data.link();
            let is_ordered = record.hash < following.hash || parts.len() + 1 == self.records.len();
            let Some((_, bitmap)) = link.filter(|(next, _)| is_ordered && **next == following.hash)
            else {
                let message = "this NSEC3 record does not name the one that follows it, so the chain \
                               has a gap: sign the zone anew";
                notes.error(record.place, 1, message);
                return None;
            };
            parts.push(Nsec3Part { hash: record.hash, flags: record.data.flags, bitmap });
        }
        let signatures = self.records.iter().map(|record| record.signatures.to_vec());
        Some(Nsec3Chain::from_sorted(parameters, ttl, parts).sign(signatures))
    }
}

/// Why a chain with these parameters cannot be served.
fn unserved(parameters: &Data<'_>) -> Option<String> {
    if parameters.algorithm != 1 {
        return Some(format!(
            "the zone's names are hashed by algorithm {}, and 1 (SHA-1) is the only one there is",
            parameters.algorithm
        ));
    }
    let (iterations, max) = (parameters.iterations, Nsec3Parameters::ITERATIONS_MAX);
    (iterations > max).then(|| {
        format!(
            "the zone's names are hashed {iterations} more times, and at most {max} are served: every \
             \"no\" would cost that; sign it with 0 (RFC 9276)"
        )
    })
}
