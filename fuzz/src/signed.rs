//! Zones signed without keys: chain and RRSIG records as ever, but each signature is made of what it
//! stands for. Shared by the fuzz targets and the core's tests, which thereby see a signature over
//! the wrong set.

use std::convert::Infallible;
use std::sync::Arc;

use walrus_core::answer::{AnswerSigning, AnswerTable, SigningInput, SingleSets};
use walrus_core::dnssec::{
    Algorithm, Denial, DnsKey, SignRequest, Signature, Signatures, SignedService, ValidityPolicy,
    ZoneKeys, ZoneSigning, sign_zone_by,
};
use walrus_core::zone::{RecordSet, Zone};
use walrus_dns::DomainName;
use walrus_dns::record_type::{DNSKEY, DS, NS};

/// Seconds since 1970.
const NOW: u64 = 1_800_000_000;

/// Services and the types that they give.
pub type Services = [(DomainName, Vec<u16>)];

/// The zone with keys, a chain through its names and those of services in it, and signatures. At
/// `cuts` zones begin that are served beside it.
pub fn signed(zone: &Zone, services: &Services, cuts: &[DomainName], denial: Denial) -> Zone {
    let keys = vec![key()];
    let signing = ZoneSigning {
        apex: zone.apex().clone(),
        keys: ZoneKeys {
            published: keys.clone(),
            sign_keys: keys.clone(),
            sign_zone: keys.clone(),
            wanted_at_parent: keys,
            ..ZoneKeys::default()
        },
        dnskey_ttl: 3600,
        denial,
        validity: ValidityPolicy::default(),
    };
    let is_here = |(service, _): &&(DomainName, Vec<u16>)| {
        service.is_within(zone.apex()) && !cuts.iter().any(|cut| service.is_within(cut))
    };
    let services = services.iter().filter(is_here).map(|(name, given)| SignedService {
        name: name.clone(),
        promised: given.clone(),
        given: given.clone(),
    });
    let services: Vec<_> = services.collect();
    let sign = &mut |requests: &[SignRequest], made: &mut [Signature]| {
        for (request, made) in requests.iter().zip(made) {
            *made = pretend(request);
        }
        Ok::<(), Infallible>(())
    };
    let zone = delegating(zone, cuts);
    match sign_zone_by(&zone, &services, &signing, NOW, None, sign) {
        Ok(signed) => signed.zone,
        Err(never) => match never {},
    }
}

/// These zones, each signed as `denial_of` says by its apex, or not at all.
pub fn sign_all(
    zones: &[Arc<Zone>],
    services: &Services,
    denial_of: impl Fn(&DomainName) -> Option<Denial>,
) -> Vec<Arc<Zone>> {
    let sign = |zone: &Arc<Zone>| {
        let others = zones.iter().map(|zone| zone.apex().clone());
        let below = others.filter(|apex| apex.is_within(zone.apex()) && apex != zone.apex());
        let cuts: Vec<_> = below.collect();
        Arc::new(match denial_of(zone.apex()) {
            Some(denial) => signed(zone, services, &cuts, denial),
            None => delegating(zone, &cuts),
        })
    };
    zones.iter().map(sign).collect()
}

/// The table with all answer sets of services in those of its zones that are signed, or so many at
/// most: single servers stand in for the others.
pub fn sign_answers(table: &AnswerTable, zones: &[Arc<Zone>], sets_max: usize) -> AnswerTable {
    let signing = AnswerSigning { keys: [key()].into(), policy: ValidityPolicy::default() };
    // An unsigned zone says so, lest a signed one above it speaks for its services.
    let terms = |zone: &Arc<Zone>| zone.set(zone.apex(), DNSKEY).map(|_| signing.clone());
    let zones = zones.iter().map(|zone| (zone.apex().clone(), terms(zone))).collect();
    let mut signatures = Signatures::default();
    let mut signed = table.clone();
    // First what cannot be done without, then the rest.
    for _ in 0..3 {
        let singles = SingleSets::default();
        let input = SigningInput {
            zones: &zones,
            signatures: &signatures,
            now: NOW,
            singles: &singles,
            sets_max,
        };
        let (next, outcome) = table.sign(&input, None);
        signed = next;
        for request in outcome.needed.iter().chain(&outcome.wanted) {
            signatures.insert(request.id, pretend(request));
        }
    }
    signed
}

/// What stands for the signature that is asked for.
pub fn pretend(request: &SignRequest) -> Signature {
    let mut signature = [0; 64];
    signature.chunks_mut(16).for_each(|chunk| chunk.copy_from_slice(&request.id.0));
    signature
}

/// The only key.
pub fn key() -> DnsKey {
    DnsKey::new(0x0101, Algorithm::EcdsaP256Sha256, &[7; 64]).expect("a key")
}

/// The zone with delegations to zones that are served beside it, instead of what stands there.
fn delegating(zone: &Zone, cuts: &[DomainName]) -> Zone {
    let mut sets = Vec::new();
    for cut in cuts {
        for set in zone.sets(cut).iter().filter(|set| set.record_type() != DS) {
            sets.push((cut.clone(), RecordSet { data: Vec::new(), ..set.to_set() }));
        }
        let data = vec![cut.as_wire().into()];
        let set = RecordSet { record_type: NS, ttl: 600, data, ..RecordSet::default() };
        sets.push((cut.clone(), set));
    }
    zone.with_sets(sets)
}
