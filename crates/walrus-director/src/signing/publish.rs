//! The Director's part in signing: zones and answers are signed, then published.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use walrus_core::answer::{AnswerTable, PlanCompileError, ZoneCompileError, ZoneTable};
use walrus_core::dnssec::{DnsKey, SignRequest, ZoneKeys, ZoneSigning};
use walrus_core::map::Map;
use walrus_core::plan::Digests;
use walrus_core::world::{Digest, Topology};
use walrus_core::zone::Zone;
use walrus_dns::DomainName;

use super::key_ring::{KeyRing, Pace, SignError};
use super::status::{KeyUse, SigningStatus, ZoneSigningStatus};
use super::zones::{Extent, Served, SignedZones, Signing, Wanted};
use crate::director::{Control, DirectorHandle, ReloadError};
use crate::keys::KeyPair;

/// Signatures that the background makes before it looks up: a tenth of a second's work.
const BATCH: usize = 4096;

/// How often zones that are to be published are looked at again while Plans come and go: in the
/// end, answers that are not signed yet are stood in for.
const ROUNDS: usize = 8;

/// What is served, and what it was signed from; whoever changes zones holds it while they sign.
#[derive(Debug)]
pub(crate) struct Rebuilding {
    pub(crate) wanted: Wanted,
    pub(crate) zones: SignedZones,
    pub(crate) served: Served,
}

/// What may be asked about zones while others sign.
#[derive(Debug, Default)]
pub(crate) struct ZonesTold {
    status: Vec<ZoneSigningStatus>,
    signed: BTreeMap<DomainName, Arc<Zone>>,
}

/// What is reloaded together with zones.
pub(crate) struct Surroundings {
    pub(crate) map: Arc<Map>,
    pub(crate) digests: Digests,
}

impl DirectorHandle {
    /// From now on a zone is signed with these keys; `pairs` are private halves that may be new
    /// here. Returns when the zone and its answers are signed and served so, which for a million
    /// names may take a minute (reckoned); Plans are carried out meanwhile.
    ///
    /// # Errors
    /// If the zone is not one of those that are signed here, or cannot be signed. Everything then
    /// stays as it was.
    pub fn set_keys(
        &self,
        apex: &DomainName,
        keys: ZoneKeys,
        pairs: Vec<KeyPair>,
    ) -> Result<(), ReloadError> {
        let mut rebuilding = self.rebuilding();
        let Some(signing) = rebuilding.wanted.signing.get(apex) else {
            return Err(ReloadError::NotSigned(apex.clone()));
        };
        let signing = ZoneSigning { keys, ..signing.clone() };
        self.change_signing(&mut rebuilding, signing, pairs)
    }

    /// The same for a zone that may have been unsigned until now: its first keys are there.
    ///
    /// # Errors
    /// If there is no such zone, or it cannot be signed. Everything then stays as it was.
    pub fn set_signing(
        &self,
        signing: ZoneSigning,
        pairs: Vec<KeyPair>,
    ) -> Result<(), ReloadError> {
        let mut rebuilding = self.rebuilding();
        if !rebuilding.wanted.zones.iter().any(|zone| *zone.apex() == signing.apex) {
            return Err(ReloadError::NotSigned(signing.apex));
        }
        self.change_signing(&mut rebuilding, signing, pairs)
    }

    fn change_signing(
        &self,
        rebuilding: &mut Rebuilding,
        signing: ZoneSigning,
        pairs: Vec<KeyPair>,
    ) -> Result<(), ReloadError> {
        let wanted = rebuilding.wanted.clone().with_signing(signing);
        self.add_pairs(pairs);
        self.rebuild(rebuilding, wanted, None, true)
    }

    /// How signing stands.
    #[must_use]
    pub fn signing(&self) -> SigningStatus {
        let control = self.control();
        let figures = control.signing.figures().clone();
        SigningStatus {
            zones: control.zones_told.status.clone(),
            answer_sets: figures.sets,
            left_out: figures.left_out,
            pending: control.signing.pending(),
            next_renewal: figures.next_renewal,
            error: figures.error.map(|error| error.to_string()),
            clock: figures.clock,
        }
    }

    /// A zone with its signatures, as it is served; `None` if it is not signed.
    #[must_use]
    pub fn signed_zone(&self, apex: &DomainName) -> Option<Arc<Zone>> {
        self.control().zones_told.signed.get(apex).cloned()
    }

    pub(crate) fn rebuilding(&self) -> MutexGuard<'_, Rebuilding> {
        // A panic elsewhere leaves zones as they were.
        self.inner().rebuilding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Private halves that are to sign from now on.
    pub(crate) fn add_pairs(&self, pairs: Vec<KeyPair>) {
        let mut control = self.control();
        let mut ring = KeyRing::clone(control.signing.key_ring());
        ring.add(pairs);
        control.signing.set_key_ring(ring);
        if control.signing.figures().error.is_some() {
            // What lacked a key may have it now.
            self.publish_signed(&mut control);
        }
    }

    /// Signs zones and publishes them. If `must_succeed`, then a zone that cannot be signed leaves
    /// everything as it was; else such a zone goes on as it was.
    pub(crate) fn rebuild(
        &self,
        rebuilding: &mut Rebuilding,
        wanted: Wanted,
        change: Option<Surroundings>,
        must_succeed: bool,
    ) -> Result<(), ReloadError> {
        let (now, ring) = {
            let mut control = self.control();
            (control.signing.now(&self.inner().clock), Arc::clone(control.signing.key_ring()))
        };
        let mut zones = rebuilding.zones.clone();
        let stop = self.inner().background.stopping();
        let signing = Signing { now, ring: &ring, pace: Pace::Background, stop };
        let served = zones
            .sign(&wanted, Extent::All, &signing)
            .map_err(|source| ReloadError::Signing { zone: DomainName::root(), source })?;
        let in_the_way = match (&change, must_succeed) {
            (_, false) => None,
            (None, true) => zones.not_as_wanted(&wanted),
            (Some(_), true) => zones.in_the_way(&wanted, &rebuilding.served.left_out),
        };
        if let Some((zone, source)) = in_the_way {
            return Err(ReloadError::Signing { zone, source });
        }
        if change.is_none() && served.is_same(&rebuilding.served) {
            rebuilding.zones = zones;
            self.control().zones_told = ZonesTold::new(&wanted, &rebuilding.zones);
            return Ok(());
        }
        let compiled = Arc::new(compile(&wanted.topology, &served)?);
        let told = ZonesTold::new(&wanted, &zones);
        self.publish_zones(compiled, (&wanted, &served), change, &ring, told)?;
        zones.tidy();
        *rebuilding = Rebuilding { wanted, zones, served };
        Ok(())
    }

    fn publish_zones(
        &self,
        zones: Arc<ZoneTable>,
        (wanted, served): (&Wanted, &Served),
        change: Option<Surroundings>,
        ring: &KeyRing,
        told: ZonesTold,
    ) -> Result<(), ReloadError> {
        for round in 0.. {
            let mut control = self.control();
            let current = self.inner().current.load();
            let table = next_table(&current.table, &zones, wanted, change.as_ref(), &control)?;
            let now = control.signing.now(&self.inner().clock).unwrap_or(0);
            let found = control.signing.prepare(&served.terms, (&table, &current.table), now);
            let (signed, outcome) = match found {
                Ok(ready) => ready,
                Err(missing) if round < ROUNDS && now > 0 => {
                    drop(control);
                    if self.make(missing, ring) {
                        continue;
                    }
                    control = self.control();
                    control.signing.look(&served.terms, &table, &current.table, now)
                }
                Err(_) => control.signing.look(&served.terms, &table, &current.table, now),
            };
            control.signing.adopt(served.terms.clone(), outcome);
            if let Some(change) = change {
                control.digests = change.digests;
            }
            control.digests.keys = keys_digest(&wanted.signing);
            control.zones_told = told;
            self.publish(&mut control, signed);
            break;
        }
        self.inner().background.call();
        Ok(())
    }

    /// Signs what there are keys for; whether there was anything.
    fn make(&self, missing: Vec<SignRequest>, ring: &KeyRing) -> bool {
        let held: Vec<SignRequest> = missing.into_iter().filter(|it| ring.has(&it.key)).collect();
        let mut made = vec![[0; 64]; held.len()];
        let stop = self.inner().background.stopping();
        if held.is_empty() || ring.sign_all(&held, &mut made, Pace::Background, stop).is_err() {
            return false;
        }
        self.control().signing.insert(&held, &made);
        true
    }

    /// For the background: signs some of what answers lack, and publishes when that was the last.
    /// False if there was nothing.
    pub(crate) fn sign_pending(&self) -> bool {
        let (requests, ring) = {
            let mut control = self.control();
            (control.signing.take_pending(BATCH), Arc::clone(control.signing.key_ring()))
        };
        if requests.is_empty() {
            return false;
        }
        let mut made = vec![[0; 64]; requests.len()];
        let stop = self.inner().background.stopping();
        let result = ring.sign_all(&requests, &mut made, Pace::Background, stop);
        let mut control = self.control();
        match result {
            Ok(()) => control.signing.insert(&requests, &made),
            Err(error) => {
                control.signing.tell(error);
                return false;
            }
        }
        if control.signing.pending() == 0 {
            self.publish_signed(&mut control);
        }
        true
    }

    /// For the background: renews what is due of the answers' signatures.
    pub(crate) fn renew_answers(&self, tries_again: bool) {
        let mut control = self.control();
        if !control.signing.is_signing() {
            return;
        }
        let now = control.signing.now(&self.inner().clock);
        if control.signing.pending() == 0
            && now.is_some_and(|now| control.signing.is_due(now, tries_again))
        {
            self.publish_signed(&mut control);
        }
    }

    /// For the background: renews what is due of the zones' signatures; whether that failed.
    pub(crate) fn renew_zones(&self) -> bool {
        let Ok(mut rebuilding) = self.inner().rebuilding.try_lock() else { return false };
        if rebuilding.wanted.signing.is_empty() {
            return false;
        }
        let now = self.control().signing.now(&self.inner().clock);
        let Rebuilding { zones, served, .. } = &*rebuilding;
        let is_incomplete = !served.left_out.is_empty() || !zones.errors.is_empty();
        if !is_incomplete && !now.is_some_and(|now| zones.is_due(now)) {
            return false;
        }
        let wanted = rebuilding.wanted.clone();
        match self.rebuild(&mut rebuilding, wanted, None, false) {
            Ok(()) => !rebuilding.zones.errors.is_empty(),
            Err(ReloadError::Signing { source: SignError::Stopped, .. }) => true,
            Err(error) => {
                tracing::error!("signed zones are not served: {error}");
                true
            }
        }
    }

    /// For the background: writes down what was signed.
    pub(crate) fn keep_signatures(&self) {
        let (kept, store) = {
            let mut control = self.control();
            let Some(now) = control.signing.now(&self.inner().clock) else { return };
            let current = self.inner().current.load();
            (control.signing.take_changed(&current.table, now), control.signing.store().clone())
        };
        if let Some(kept) = kept {
            store.save(None, kept);
        }
    }

    /// For the background: writes down what the disk did not take before.
    pub(crate) fn keep_signatures_again(&self) {
        let store = self.control().signing.store().clone();
        store.save_again();
    }

    /// Signs the table in force again, as far as that is quick, and publishes it.
    fn publish_signed(&self, control: &mut Control) {
        let current = self.inner().current.load();
        let signed = control.signing.sign(&current.table, &current.table, &self.inner().clock);
        self.publish(control, signed);
        if control.signing.pending() > 0 {
            self.inner().background.call();
        }
    }
}

/// Zones with the services in them, but for those of zones that are left out.
pub(crate) fn compile(topology: &Topology, served: &Served) -> Result<ZoneTable, ZoneCompileError> {
    let is_served = |service: &&DomainName| {
        let mut above = Some((*service).clone());
        while let Some(name) = above {
            if served.terms.zones.contains_key(&name) {
                return !served.left_out.contains(&name);
            }
            above = name.parent();
        }
        true
    };
    let services = topology.services.iter().map(|service| &service.name);
    let services: Vec<DomainName> = services.filter(is_served).cloned().collect();
    ZoneTable::compile_beside(&served.zones, &services, &served.left_out)
}

/// What the Plans name the keys by: all that validators see of them. Empty while nothing is signed.
pub(crate) fn keys_digest(signing: &BTreeMap<DomainName, ZoneSigning>) -> Digest {
    if signing.is_empty() {
        return Digest::default();
    }
    let mut parts = Vec::new();
    for (apex, signing) in signing {
        parts.push(apex.as_wire().to_vec());
        parts.extend(signing.keys.published.iter().map(DnsKey::data));
    }
    Digest::of(parts.iter().map(Vec::as_slice))
}

fn next_table(
    old: &AnswerTable,
    zones: &Arc<ZoneTable>,
    wanted: &Wanted,
    change: Option<&Surroundings>,
    control: &Control,
) -> Result<AnswerTable, PlanCompileError> {
    let zones = Arc::clone(zones);
    let is_other = |change: &&Surroundings| {
        change.digests.map != control.digests.map
            || change.digests.configuration != control.digests.configuration
    };
    let Some(change) = change.filter(is_other) else { return old.with_zones(zones) };
    let table = AnswerTable::new(zones, Arc::clone(&change.map), &wanted.topology);
    match old.plan() {
        Some(plan) => table.with_plan(Arc::clone(plan)),
        None => Ok(table),
    }
}

impl ZonesTold {
    pub(crate) fn new(wanted: &Wanted, zones: &SignedZones) -> Self {
        let one = |(apex, how): (&DomainName, &ZoneSigning)| {
            let held = zones.in_force.get(apex);
            ZoneSigningStatus {
                apex: apex.clone(),
                is_served: held.is_some(),
                is_unsigned: held.is_none() && zones.unsigned.contains(apex),
                signatures: held.map_or(0, |held| held.signatures),
                signed_at: held.map(|held| held.signed_at),
                next_renewal: held.map(|held| held.next_renewal),
                keys: KeyUse::all(&held.map_or(how, |held| &held.signing).keys),
                error: zones.errors.get(apex).map(ToString::to_string),
            }
        };
        let signed = zones.in_force.iter();
        Self {
            status: wanted.signing.iter().map(one).collect(),
            signed: signed.map(|(apex, held)| (apex.clone(), Arc::clone(&held.zone))).collect(),
        }
    }
}
