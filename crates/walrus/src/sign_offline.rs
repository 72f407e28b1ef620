//! A configuration's zones signed without a running system, with the keys of a state directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use walrus_core::answer::{AnswerSigning, AnswerTable, SigningInput, SingleSets, ZoneTable};
use walrus_core::config::ZoneDnssec;
use walrus_core::dnssec::{
    SignRequest, Signature, Signatures, SignedService, ValidityPolicy, ZoneKeys, ZoneSigning,
    sign_zone_by,
};
use walrus_core::plan::{Plan, with_found};
use walrus_core::world::ServiceId;
use walrus_core::zone::Zone;
use walrus_director::keys::{KeyPair, KeyStore};
use walrus_dns::DomainName;
use walrus_host::clock::Clock;

use crate::cli::Failure;
use crate::load::Loaded;

/// Looks at a table's signatures: what is missing is made, then nothing is.
const ROUNDS: usize = 3;

/// The table that a name server would answer from, with one of its zones signed if the
/// configuration says so.
pub(crate) fn answer_table(
    loaded: &Loaded,
    plan: Arc<Plan>,
    state: &Path,
    apex: &DomainName,
) -> Result<AnswerTable, Failure> {
    let settings = loaded.configuration.zones.iter().position(|zone| zone.apex == *apex);
    let signed =
        settings.filter(|index| loaded.configuration.zones[*index].dnssec == ZoneDnssec::Sign);
    let Some(index) = signed else { return crate::load::answer_table(loaded, plan) };
    let mut loaded = loaded.clone();
    if let Some(found) = with_found(&loaded.topology, &plan) {
        loaded.topology = Arc::new(found);
    }
    let loaded = &loaded;
    let signer = Signer::open(loaded, state, apex)?;
    let mut zones = loaded.zones.clone();
    zones[index] = Arc::new(signer.sign_zone(&loaded.zones[index], &services_of(loaded, apex))?);
    let names: Vec<_> = loaded.topology.services.iter().map(|it| it.name.clone()).collect();
    let zones = ZoneTable::compile(&zones, &names).map_err(anyhow::Error::from)?;
    let table = AnswerTable::new(Arc::new(zones), loaded.map.clone(), &loaded.topology);
    let table = table.with_plan(plan).map_err(anyhow::Error::from)?;
    signer.sign_answers(table, loaded)
}

/// The services in a zone.
pub(crate) fn services_of(loaded: &Loaded, apex: &DomainName) -> Vec<SignedService> {
    let zones = &loaded.configuration.zones;
    let nearest = |name: &DomainName| {
        let inside = zones.iter().filter(|zone| name.is_within(&zone.apex));
        inside.max_by_key(|zone| zone.apex.label_count()).map(|zone| &zone.apex)
    };
    let services = (0..).map(ServiceId).zip(&loaded.topology.services);
    let services = services.filter(|(_, service)| nearest(&service.name) == Some(apex));
    services.filter_map(|(id, _)| SignedService::new(&loaded.topology, id)).collect()
}

/// One zone's keys and how they sign.
struct Signer {
    pairs: Vec<KeyPair>,
    signing: ZoneSigning,
    sets_max: usize,
    /// Seconds since 1970.
    now: u64,
}

impl Signer {
    fn open(loaded: &Loaded, state: &Path, apex: &DomainName) -> Result<Self, Failure> {
        let store = KeyStore::new(state);
        let stored = store.load(apex);
        let keys = stored.state.map(|state| state.keys_now()).unwrap_or_default();
        if keys.sign_zone.is_empty() || keys.sign_keys.is_empty() {
            let mut text = format!(
                "there are no keys of {apex} in {}: `walrus up` makes them (--state says where \
                 they are, --unsigned does without)",
                store.directory_of(apex).display()
            );
            stored.problems.iter().for_each(|problem| {
                text.push_str("; ");
                text.push_str(problem);
            });
            return Err(Failure::No(text));
        }
        let dnssec = &loaded.configuration.dnssec;
        let signing = ZoneSigning {
            apex: apex.clone(),
            keys,
            dnskey_ttl: dnssec.dnskey_ttl,
            denial: dnssec.denial,
            validity: ValidityPolicy {
                renew_every: dnssec.renew_every,
                valid_for: dnssec.valid_for,
                ..ValidityPolicy::default()
            },
        };
        let sets_max = dnssec.answer_sets_max;
        let now = Clock::real().unix_ms() / 1000;
        Ok(Self { pairs: stored.pairs, signing, sets_max, now })
    }

    fn sign_zone(&self, zone: &Zone, services: &[SignedService]) -> Result<Zone, Failure> {
        let make = &mut |requests: &[SignRequest], made: &mut [Signature]| {
            requests.iter().zip(made).try_for_each(|(request, made)| {
                *made = self.make(request)?;
                Ok(())
            })
        };
        sign_zone_by(zone, services, &self.signing, self.now, None, make).map(|signed| signed.zone)
    }

    /// Signs the answers of the services in the zone.
    fn sign_answers(&self, table: AnswerTable, loaded: &Loaded) -> Result<AnswerTable, Failure> {
        let ZoneSigning { apex, keys: ZoneKeys { sign_zone, .. }, validity, .. } = &self.signing;
        let own = AnswerSigning { keys: sign_zone.clone().into(), policy: *validity };
        let others = loaded.configuration.zones.iter().map(|zone| (zone.apex.clone(), None));
        let mut zones: BTreeMap<_, _> = others.collect();
        zones.insert(apex.clone(), Some(own));
        let singles = SingleSets::new(&loaded.topology);
        let mut signatures = Signatures::default();
        for _ in 0..ROUNDS {
            let input = SigningInput {
                zones: &zones,
                signatures: &signatures,
                now: self.now,
                singles: &singles,
                sets_max: self.sets_max,
            };
            let (signed, outcome) = table.sign(&input, None);
            if outcome.needed.is_empty() && outcome.wanted.is_empty() {
                return Ok(signed);
            }
            for request in outcome.needed.iter().chain(&outcome.wanted) {
                signatures.insert(request.id, self.make(request)?);
            }
        }
        Err(Failure::CouldNot(format!("the answers of {apex} cannot be signed")))
    }

    fn make(&self, request: &SignRequest) -> Result<Signature, Failure> {
        let pair = self.pairs.iter().find(|pair| *pair.public() == request.key);
        let pair = pair.ok_or_else(|| {
            let text = format!(
                "the private key {} of {} is not in the state directory: import it (`walrus keys \
                 import`), or bring its file back",
                request.key.tag(),
                self.signing.apex
            );
            Failure::CouldNot(text)
        })?;
        Ok(pair.sign(&request.bytes).map_err(anyhow::Error::from)?)
    }
}
