//! A zone and its services to a signed zone: keys, chain, and signatures over all that is static
//! (RFC 4035 section 2).
//!
//! Answer sets of services are signed elsewhere, for they come and go with Plans; their names stand
//! in the chain with all types that they promise, so that the chain never changes with health.
//!
//! A zone of a million names has two million signatures: they are asked for in batches and go into
//! the new zone at once, so that nothing but the zone itself grows with it.

use std::convert::Infallible;
use std::sync::Arc;

use walrus_dns::{DomainName, record_type};

use super::bitmap::type_bitmap;
use super::nsec3::Nsec3Names;
use super::signed_stream::{Pass, SignedStream, Unsigned};
use super::walk::{Node, Standing, nodes};
use super::{
    Denial, SignRequest, Signature, Signatures, Validity, ValidityPolicy, ZoneKeys, phase,
};
use crate::world::{ServiceId, ServiceType, Topology};
use crate::zone::{Nsec3Chain, Nsec3Parameters, RecordSet, SetView, Zone, hashed_owner};

/// A service in a zone that is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedService {
    /// Its name.
    pub name: DomainName,
    /// Types that it always answers: the chain shows them.
    pub promised: Vec<u16>,
    /// Types that it gives, though perhaps no server has such a record: what the zone has of these
    /// at its name is never answered, and what it has of others is.
    pub given: Vec<u16>,
}

impl SignedService {
    /// The service of a configuration; `None` if there is none with this number.
    #[must_use]
    pub fn new(topology: &Topology, id: ServiceId) -> Option<Self> {
        let service = topology.services.get(id.index())?;
        Some(Self {
            name: service.name.clone(),
            promised: topology.promised_types(id),
            given: service.records.types().iter().map(ServiceType::number).collect(),
        })
    }
}

/// How one zone is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSigning {
    /// The zone.
    pub apex: DomainName,
    /// What each of its keys does.
    pub keys: ZoneKeys,
    /// TTL of the DNSKEY, CDS and CDNSKEY sets, in seconds.
    pub dnskey_ttl: u32,
    /// How it proves that something is not there.
    pub denial: Denial,
    /// From when until when signatures are valid.
    pub validity: ValidityPolicy,
}

impl ZoneSigning {
    /// From when until when a set's signatures are valid that are made at `now`, in seconds since
    /// 1970: the same on all nodes that know what its keys do.
    #[must_use]
    pub fn validity_of(&self, owner: &DomainName, record_type: u16, now: u64) -> Validity {
        let validity = self.validity.at(now, phase(owner, record_type));
        match record_type {
            // A parent takes none whose signatures do not begin later than those of the ones
            // before (RFC 7344 section 6.2); there may be several in one period of signatures.
            record_type::CDS | record_type::CDNSKEY if *owner == self.apex => {
                validity.no_earlier_than(self.keys.wanted_since)
            }
            _ => validity,
        }
    }
}

/// A zone with its signatures.
#[derive(Clone, Debug)]
pub struct SignedZone {
    /// What is served.
    pub zone: Zone,
    /// When the first of its signatures is to be renewed, in seconds since 1970; `u64::MAX` if it
    /// has none.
    pub next_renewal: u64,
    /// When the first of them expires, in seconds since 1970; `u64::MAX` if it has none.
    pub first_expiry: u64,
    /// How many signatures it has.
    pub signatures: usize,
    /// How many of them were asked for: the others came from the zone before.
    pub made: usize,
}

/// The zone as it was signed before, whose signatures are taken over where nothing has changed.
/// That costs a comparison a set instead of a hash or a signature.
#[derive(Clone, Copy, Debug)]
pub struct SignedBefore<'a> {
    /// As served until now.
    pub zone: &'a Zone,
    /// With these keys.
    pub keys: &'a ZoneKeys,
}

/// Carries out a batch of requests: each signature goes to its request's place.
pub type SignBatch<'a, E> = dyn FnMut(&[SignRequest], &mut [Signature]) -> Result<(), E> + 'a;

/// Signs a zone with the signatures that there are. `None` if some are missing, which all go to
/// `missing`: for zones that are not large.
///
/// `services` are those of this zone alone, in any order. `now` is in seconds since 1970.
pub fn sign_zone(
    zone: &Zone,
    services: &[SignedService],
    signing: &ZoneSigning,
    now: u64,
    signatures: &Signatures,
    missing: &mut Vec<SignRequest>,
) -> Option<SignedZone> {
    let before = missing.len();
    let look_up = &mut |requests: &[SignRequest], made: &mut [Signature]| {
        for (request, made) in requests.iter().zip(made) {
            match signatures.get(request.id) {
                Some(signature) => *made = *signature,
                None => missing.push(request.clone()),
            }
        }
        Ok::<(), Infallible>(())
    };
    let signed = sign_zone_by(zone, services, signing, now, None, look_up);
    signed.ok().filter(|_| missing.len() == before)
}

/// Signs a zone of any size: `sign` is called with a few thousand requests at a time, each of
/// whose signatures it puts at the same place of its second argument.
///
/// # Errors
/// The first that `sign` gives; nothing is signed then.
pub fn sign_zone_by<E>(
    zone: &Zone,
    services: &[SignedService],
    signing: &ZoneSigning,
    now: u64,
    before: Option<SignedBefore<'_>>,
    sign: &mut SignBatch<'_, E>,
) -> Result<SignedZone, E> {
    if signing.keys.sign_keys.is_empty() || signing.keys.sign_zone.is_empty() {
        // Half signed would be bogus; without keys the zone is insecure, and works.
        let zone = zone.clone();
        let (next_renewal, first_expiry) = (u64::MAX, u64::MAX);
        return Ok(SignedZone { zone, next_renewal, first_expiry, signatures: 0, made: 0 });
    }
    let plan = ZonePlan::new(zone, services, signing, before);
    let mut pass = Pass::new(signing, now, before.map(|before| before.keys), sign);
    let mut hashed = plan.nsec3.then(|| Nsec3Names::new(zone.apex()));
    let sets = plan.sets(&mut hashed);
    let signed = Zone::from_sorted_sets(zone.apex().clone(), SignedStream::new(sets, &mut pass));
    pass.check()?;
    let chain = match hashed {
        Some(hashed) => Some(Arc::new(plan.sign_nsec3(hashed, &mut pass)?)),
        None => None,
    };
    let Pass { next_renewal, first_expiry, signatures, made, .. } = pass;
    let zone = signed.with_nsec3(chain);
    Ok(SignedZone { zone, next_renewal, first_expiry, signatures, made })
}

/// What stays the same for all sets of the zone.
struct ZonePlan<'a> {
    zone: &'a Zone,
    services: &'a [SignedService],
    signing: &'a ZoneSigning,
    before: Option<SignedBefore<'a>>,
    nsec3: bool,
    /// RFC 9077: as long as "no" may be remembered.
    denial_ttl: u32,
}

impl<'a> ZonePlan<'a> {
    fn new(
        zone: &'a Zone,
        services: &'a [SignedService],
        signing: &'a ZoneSigning,
        before: Option<SignedBefore<'a>>,
    ) -> Self {
        // A hash needs 33 bytes before the apex: where they are not to be had, NSEC does it.
        let nsec3 =
            signing.denial == Denial::Nsec3 && hashed_owner(&[0; 20], zone.apex()).is_some();
        Self { zone, services, signing, before, nsec3, denial_ttl: zone.negative_ttl() }
    }

    /// All sets of the signed zone in canonical order of their names. Names of the chain go into
    /// `hashed` as they pass, if there is any.
    fn sets<'s>(
        &'s self,
        hashed: &'s mut Option<Nsec3Names>,
    ) -> impl Iterator<Item = Unsigned<'a>> + use<'s, 'a> {
        let in_chain = |node: &Node<'a>| node.standing != Standing::Below;
        let mut names = nodes(self.zone, self.services).filter(in_chain).map(|node| node.name);
        // The apex is next to the last alone.
        names.next();
        nodes(self.zone, self.services).flat_map(move |node| {
            let is_linked = hashed.is_none() && in_chain(&node);
            let next = is_linked.then(|| names.next()).flatten();
            self.node_sets(&node, next.as_ref(), hashed)
        })
    }

    fn node_sets(
        &self,
        node: &Node<'a>,
        next: Option<&DomainName>,
        hashed: &mut Option<Nsec3Names>,
    ) -> Vec<Unsigned<'a>> {
        let is_apex = node.name == *self.zone.apex();
        let made_by_us = |record_type| match record_type {
            record_type::RRSIG | record_type::NSEC | record_type::NSEC3PARAM => true,
            record_type::DNSKEY | record_type::CDS | record_type::CDNSKEY => is_apex,
            _ => false,
        };
        let mut sets: Vec<RecordSet> = node
            .answered()
            .filter(|set| !made_by_us(set.record_type()))
            .map(|set| RecordSet { signatures: Vec::new(), ..set.to_set() })
            .collect();
        if is_apex {
            let soa = sets.iter_mut().find(|set| set.record_type == record_type::SOA);
            for data in soa.into_iter().flat_map(|soa| &mut soa.data) {
                raise_serial(data, self.signing.keys.changes);
            }
            sets.extend(self.apex_sets());
        }
        if node.standing != Standing::Below {
            let has_signatures = node.service.is_some()
                || sets.iter().any(|set| is_signed(node.standing, set.record_type));
            let own = sets.iter().map(|set| set.record_type);
            let mut types: Vec<u16> =
                own.filter(|record_type| in_bitmap(node.standing, *record_type)).collect();
            types.extend(node.service.map_or(&[][..], |service| &service.promised));
            match hashed {
                Some(hashed) => {
                    types.extend(has_signatures.then_some(record_type::RRSIG));
                    hashed.add(&node.name, &type_bitmap(types));
                }
                None => {
                    types.extend([record_type::RRSIG, record_type::NSEC]);
                    let mut data = next.unwrap_or(self.zone.apex()).as_wire().to_vec();
                    data.extend_from_slice(&type_bitmap(types));
                    sets.push(self.made(record_type::NSEC, self.denial_ttl, [data]));
                }
            }
        }
        sets.into_iter().map(|set| self.unsigned(node, set)).collect()
    }

    /// The sets that a signed zone has at its apex, besides the chain.
    fn apex_sets(&self) -> Vec<RecordSet> {
        let ZoneSigning { keys, dnskey_ttl, .. } = self.signing;
        let ttl = *dnskey_ttl;
        let data = keys.published.iter().map(super::DnsKey::data);
        let mut sets = vec![self.made(record_type::DNSKEY, ttl, data)];
        let wanted = &keys.wanted_at_parent;
        if !wanted.is_empty() {
            let apex = self.zone.apex();
            let ds = wanted.iter().map(|key| key.ds_data(apex));
            sets.push(self.made(record_type::CDS, ttl, ds));
            let keys = wanted.iter().map(super::DnsKey::data);
            sets.push(self.made(record_type::CDNSKEY, ttl, keys));
        }
        if self.nsec3 {
            let data = Nsec3Parameters::default().data();
            sets.push(self.made(record_type::NSEC3PARAM, self.denial_ttl, [data]));
        }
        sets
    }

    fn made(
        &self,
        record_type: u16,
        ttl: u32,
        data: impl IntoIterator<Item = Vec<u8>>,
    ) -> RecordSet {
        let data = data.into_iter().map(Vec::into_boxed_slice).collect();
        RecordSet { record_type, ttl, data, signatures: Vec::new() }
    }

    /// A set with the keys that are to sign it, and the signatures that it had.
    fn unsigned(&self, node: &Node<'a>, set: RecordSet) -> Unsigned<'a> {
        let keys = &self.signing.keys;
        let keys = match set.record_type {
            record_type if !is_signed(node.standing, record_type) => &[][..],
            record_type::DNSKEY | record_type::CDS | record_type::CDNSKEY
                if node.name == *self.zone.apex() =>
            {
                &keys.sign_keys
            }
            _ => &keys.sign_zone,
        };
        let before = self.before.and_then(|before| before.zone.set(&node.name, set.record_type));
        let same = before.filter(|before| !keys.is_empty() && is_same(*before, &set));
        let before = same.map(|before| before.signatures().collect()).unwrap_or_default();
        Unsigned { owner: node.name.clone(), set, keys, before }
    }

    fn sign_nsec3<E>(&self, names: Nsec3Names, pass: &mut Pass<'_, E>) -> Result<Nsec3Chain, E> {
        let chain = names.into_chain(self.denial_ttl);
        let before = self.before.and_then(|before| before.zone.nsec3());
        let sets = chain.iter().filter_map(|record| {
            let owner = hashed_owner(record.hash(), self.zone.apex())?;
            let before = before.and_then(|before| before.matching(record.hash()));
            let before = before.filter(|it| it.data() == record.data() && it.ttl() == record.ttl());
            let before = before.map(|before| before.signatures().collect()).unwrap_or_default();
            let data = [record.data().concat()];
            let set = self.made(record_type::NSEC3, record.ttl(), data);
            Some(Unsigned { owner, set, keys: &self.signing.keys.sign_zone, before })
        });
        let signed: Vec<_> = SignedStream::new(sets, pass).map(|(_, set)| set.signatures).collect();
        pass.check()?;
        Ok(chain.sign(signed))
    }
}

/// Whether a set of this type is signed (RFC 4035 section 2.2).
const fn is_signed(standing: Standing, record_type: u16) -> bool {
    match standing {
        Standing::Own => true,
        Standing::Cut => matches!(record_type, record_type::DS | record_type::NSEC),
        Standing::Below => false,
    }
}

/// Whether a set of this type counts as being there: at a delegation its addresses do not (RFC 4035
/// section 2.3).
const fn in_bitmap(standing: Standing, record_type: u16) -> bool {
    match standing {
        Standing::Own => true,
        Standing::Cut => matches!(record_type, record_type::NS | record_type::DS),
        Standing::Below => false,
    }
}

fn is_same(before: SetView<'_>, set: &RecordSet) -> bool {
    before.ttl() == set.ttl
        && before.record_count() == set.data.len()
        && before.data().zip(&set.data).all(|(before, data)| *before == **data)
}

/// The file's serial and the number of the keys' changes, in the arithmetic of RFC 1982: it rises
/// when either does, and nodes come to the same without talking.
fn raise_serial(soa: &mut [u8], by: u32) {
    const SERIAL_AND_TIMES: usize = 20;
    let Some(at) = soa.len().checked_sub(SERIAL_AND_TIMES) else { return };
    if let Some(serial) = soa[at..].first_chunk_mut::<4>() {
        *serial = u32::from_be_bytes(*serial).wrapping_add(by).to_be_bytes();
    }
}

#[cfg(test)]
#[path = "sign_zone_tests.rs"]
mod tests;
