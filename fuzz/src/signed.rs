//! Zones signed without keys: the chain and every RRSIG's fields are right, the signatures are made
//! of what they stand for. Shared by the fuzz targets and the core's tests, which thereby see a
//! signature over the wrong set.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use walrus_core::dnssec::{
    Algorithm, Covered, DnsKey, Signature, SignatureId, Signatures, SignedBy, Validity, sign_set,
};
use walrus_core::zone::{RecordSet, Zone};
use walrus_dns::DomainName;
use walrus_dns::record_type::{DNSKEY, DS, NS, NSEC, RRSIG, SOA};

use super::sample;

const VALIDITY: Validity = Validity { inception: 1_800_000_000, expiry: 1_801_000_000 };

/// The zone with keys, an NSEC chain through its names and those of services in it, and signatures.
/// In `cuts`, names at which zones begin that are served beside it.
pub fn signed(zone: &Zone, services: &[DomainName], cuts: &[DomainName]) -> Zone {
    let delegated: Vec<_> = cuts.iter().flat_map(|cut| delegation(zone, cut)).collect();
    let keys = RecordSet {
        record_type: DNSKEY,
        ttl: 3600,
        data: vec![key().data().into()],
        ..RecordSet::default()
    };
    let zone = zone.with_sets(delegated).with_sets([(zone.apex().clone(), keys)]);
    let mut types: BTreeMap<DomainName, BTreeSet<u16>> = BTreeMap::new();
    for (name, sets) in zone.iter().filter(|(name, _)| !is_below_cut(&zone, name)) {
        let at_cut = is_cut(&zone, &name);
        let counted = |record_type: &u16| !at_cut || [NS, DS].contains(record_type);
        types.insert(name, sets.iter().map(|set| set.record_type()).filter(counted).collect());
    }
    let in_zone = |(_, name): &(usize, &DomainName)| {
        name.is_within(zone.apex()) && !is_below_cut(&zone, name)
    };
    for (index, service) in services.iter().enumerate().filter(in_zone) {
        if !cuts.iter().any(|cut| service.is_within(cut)) {
            types.entry(service.clone()).or_default().extend(sample::given(index));
        }
    }
    let nexts = types.keys().skip(1).chain(types.keys().take(1)).cloned();
    let ttl = negative_ttl(&zone);
    let chain: Vec<_> = types
        .iter()
        .zip(nexts)
        .map(|((name, types), next)| {
            let data = [next.as_wire(), &bitmap(types)].concat().into();
            let set =
                RecordSet { record_type: NSEC, ttl, data: vec![data], ..RecordSet::default() };
            (name.clone(), set)
        })
        .collect();
    let zone = zone.with_sets(chain);
    let mut with_signatures = Vec::new();
    for (name, sets) in zone.iter().filter(|(name, _)| !is_below_cut(&zone, name)) {
        let at_cut = is_cut(&zone, &name);
        for set in sets.iter() {
            let mut set = set.to_set();
            if !at_cut || [DS, NSEC].contains(&set.record_type) {
                set.signatures = vec![signature(&name, &set, zone.apex())];
            }
            with_signatures.push((name.clone(), set));
        }
    }
    zone.with_sets(with_signatures)
}

/// All of these zones signed but those that `is_signed` leaves out.
pub fn sign_all(
    zones: &[Arc<Zone>],
    services: &[DomainName],
    is_signed: impl Fn(&DomainName) -> bool,
) -> Vec<Arc<Zone>> {
    let sign = |zone: &Arc<Zone>| {
        let others = zones.iter().map(|zone| zone.apex().clone());
        let below = others.filter(|apex| apex.is_within(zone.apex()) && apex != zone.apex());
        let cuts: Vec<_> = below.collect();
        if is_signed(zone.apex()) {
            Arc::new(signed(zone, services, &cuts))
        } else {
            let delegated: Vec<_> = cuts.iter().flat_map(|cut| delegation(zone, cut)).collect();
            Arc::new(zone.with_sets(delegated))
        }
    };
    zones.iter().map(sign).collect()
}

/// Whether the last of a reply's RRSIG fields, the signature, is the one for this set.
pub fn is_signature_of(rrsig: &[u8], owner: &DomainName, record_type: u16, data: &[&[u8]]) -> bool {
    let Some((head, _)) = rrsig.split_at_checked(18) else { return false };
    let Ok(zone) = DomainName::from_wire(&rrsig[18..]) else { return false };
    let labels = usize::from(head[3]);
    let wildcard = owner.suffix(labels).wildcard();
    let owner = if owner.label_count() - usize::from(owner.is_wildcard()) > labels {
        wildcard.expect("a short name")
    } else {
        owner.clone()
    };
    let ttl = u32::from_be_bytes(head[4..8].try_into().expect("four bytes"));
    let data = data.iter().map(|data| (*data).into()).collect();
    let set = RecordSet { record_type, ttl, data, ..RecordSet::default() };
    *signature(&owner, &set, &zone) == *rrsig
}

/// The data of the RRSIG record over a set.
pub fn signature(owner: &DomainName, set: &RecordSet, zone: &DomainName) -> Box<[u8]> {
    let data: Vec<&[u8]> = set.data.iter().map(|data| &**data).collect();
    let covered = Covered { owner, record_type: set.record_type, ttl: set.ttl, data: &data };
    let keys = [key()];
    let by = SignedBy { zone, keys: &keys, validity: VALIDITY };
    let (mut signatures, mut missing) = (Signatures::default(), Vec::new());
    let _ = sign_set(&covered, &by, &signatures, &mut missing);
    for request in missing {
        signatures.insert(request.id, pretend(request.id));
    }
    sign_set(&covered, &by, &signatures, &mut Vec::new()).expect("all are there").remove(0)
}

fn pretend(id: SignatureId) -> Signature {
    let mut signature = [0; 64];
    signature.chunks_mut(16).for_each(|chunk| chunk.copy_from_slice(&id.0));
    signature
}

fn key() -> DnsKey {
    DnsKey::new(0x0101, Algorithm::EcdsaP256Sha256, &[7; 64]).expect("a key")
}

/// Instead of what stands there: the records of a delegation to a zone that is served too.
fn delegation(zone: &Zone, cut: &DomainName) -> Vec<(DomainName, RecordSet)> {
    let mut sets: Vec<_> = zone
        .sets(cut)
        .iter()
        .filter(|set| set.record_type() != DS)
        .map(|set| (cut.clone(), RecordSet { data: Vec::new(), ..set.to_set() }))
        .collect();
    let data = vec![cut.as_wire().into()];
    sets.push((cut.clone(), RecordSet { record_type: NS, ttl: 600, data, ..RecordSet::default() }));
    sets
}

fn is_cut(zone: &Zone, name: &DomainName) -> bool {
    name != zone.apex() && zone.set(name, NS).is_some()
}

fn is_below_cut(zone: &Zone, name: &DomainName) -> bool {
    let above = std::iter::successors(name.parent(), DomainName::parent);
    let mut in_zone = above.take_while(|above| above.is_within(zone.apex()));
    in_zone.any(|above| is_cut(zone, &above))
}

fn negative_ttl(zone: &Zone) -> u32 {
    let soa = zone.set(zone.apex(), SOA).expect("a SOA");
    let data = soa.data().next().expect("a SOA");
    soa.ttl().min(u32::from_be_bytes(*data.last_chunk().expect("a minimum")))
}

/// RFC 4034 section 4.1.2.
fn bitmap(types: &BTreeSet<u16>) -> Vec<u8> {
    let mut windows: BTreeMap<u8, [u8; 32]> = BTreeMap::new();
    for record_type in types.iter().chain(&[RRSIG, NSEC]) {
        let [window, low] = record_type.to_be_bytes();
        windows.entry(window).or_default()[usize::from(low / 8)] |= 0x80 >> (low % 8);
    }
    let mut bytes = Vec::new();
    for (window, bits) in windows {
        let len = bits.iter().rposition(|byte| *byte != 0).expect("a type") + 1;
        bytes.extend([window, u8::try_from(len).expect("at most 32")]);
        bytes.extend_from_slice(&bits[..len]);
    }
    bytes
}
