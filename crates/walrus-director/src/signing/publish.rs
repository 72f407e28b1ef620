//! The Director's part in signing: zones and answers are signed, then published.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use walrus_core::answer::{
    AnswerTable, Lack, PlanCompileError, SigningOutcome, ZoneCompileError, ZoneTable,
};
use walrus_core::dnssec::{DnsKey, SignRequest, ZoneKeys, ZoneSigning};
use walrus_core::map::Map;
use walrus_core::plan::{Digests, Plan};
use walrus_core::world::{Digest, Topology};
use walrus_core::zone::{ServiceUnfit, Zone};
use walrus_dns::DomainName;

use super::ground::{AnswerTerms, Ground, everything};
use super::key_ring::Pace;
use super::status::{KeyUse, SigningStatus, ZoneSigningStatus};
use super::zones::{Extent, Served, SignedZones, Signing, Wanted};
use crate::director::{DirectorHandle, ReloadError};
use crate::keys::KeyPair;
use crate::serving::Serving;

/// How often zones that are to be published are looked at again while Plans come and go: in the
/// end, answers that are not signed yet are stood in for, and one Plan waits as long as another
/// took.
const ROUNDS: usize = 8;

/// What is served, and what it was signed from; whoever changes zones holds it while they sign.
#[derive(Debug)]
pub(crate) struct Rebuilding {
    pub(crate) wanted: Wanted,
    pub(crate) zones: SignedZones,
    pub(crate) served: Served,
}

impl Rebuilding {
    /// Whether zones are to be signed now, which is seconds since 1970, if that is known.
    pub(crate) fn is_due(&self, now: Option<u64>) -> bool {
        let lacks = self.served.left_out.values();
        let is_unsigned = lacks.into_iter().any(|lack| *lack == Lack::Signatures);
        let is_incomplete = is_unsigned || !self.zones.errors.is_empty();
        is_incomplete || now.is_some_and(|now| self.zones.is_due(now))
    }
}

/// What may be asked about zones while others sign.
#[derive(Debug, Default)]
pub(crate) struct ZonesTold {
    status: Vec<ZoneSigningStatus>,
    unfit: Vec<ServiceUnfit>,
    signed: BTreeMap<DomainName, Arc<Zone>>,
}

/// What is reloaded together with zones.
pub(crate) struct Surroundings<'a> {
    pub(crate) map: Arc<Map>,
    pub(crate) digests: Digests,
    /// The Plan for all of it as it stands when asked; `None`: the one in force goes on.
    pub(crate) plan: &'a dyn Fn() -> Option<Arc<Plan>>,
}

impl DirectorHandle {
    /// From now on a zone is signed with these keys; `pairs` are private halves that may be new
    /// here. Returns when the zone and its answers are signed and served so, which for a million
    /// names may take half a minute; Plans are carried out meanwhile.
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
        if !rebuilding.wanted.apexes().any(|apex| *apex == signing.apex) {
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

    /// How signing stands. Waits for nobody.
    #[must_use]
    pub fn signing(&self) -> SigningStatus {
        let figures = self.inner().figures.load();
        SigningStatus {
            zones: self.inner().zones_told.load().status.clone(),
            answer_sets: figures.sets,
            left_out: figures.left_out,
            pending: figures.pending,
            next_renewal: figures.next_renewal,
            first_expiry: figures.first_expiry,
            error: figures.error.map(|error| error.to_string()),
            clock: figures.clock.clone(),
        }
    }

    /// A zone with its signatures, as it is served; `None` if it is not signed. Waits for nobody.
    #[must_use]
    pub fn signed_zone(&self, apex: &DomainName) -> Option<Arc<Zone>> {
        self.inner().zones_told.load().signed.get(apex).cloned()
    }

    /// Services that are refused, and why: they do not fit what their zones hold. Waits for nobody.
    #[must_use]
    pub fn unfit_services(&self) -> Vec<ServiceUnfit> {
        self.inner().zones_told.load().unfit.clone()
    }

    pub(crate) fn rebuilding(&self) -> MutexGuard<'_, Rebuilding> {
        // A panic elsewhere leaves zones as they were.
        self.inner().rebuilding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Private halves that are to sign from now on.
    pub(crate) fn add_pairs(&self, pairs: Vec<KeyPair>) {
        let has_failed = {
            let mut control = self.control();
            control.signing.add_pairs(pairs);
            control.signing.figures().load().error.is_some()
        };
        if has_failed {
            // What lacked a key may have it now.
            self.publish_signed();
        }
    }

    /// Signs zones and publishes them. If `must_succeed`, then a zone that cannot be signed leaves
    /// everything as it was; else such a zone goes on as it was.
    pub(crate) fn rebuild(
        &self,
        rebuilding: &mut Rebuilding,
        wanted: Wanted,
        change: Option<Surroundings<'_>>,
        must_succeed: bool,
    ) -> Result<(), ReloadError> {
        let wanted = wanted.with_serials(&self.inner().outbound.serials());
        let (now, ring) = {
            let mut control = self.control();
            let ring = Arc::clone(&control.signing.ground().key_ring);
            (control.signing.now(&self.inner().clock), ring)
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
            (rebuilding.wanted, rebuilding.zones) = (wanted, zones);
            let told = ZonesTold::new(&rebuilding.wanted, &rebuilding.zones);
            self.inner().zones_told.store(Arc::new(told));
            return Ok(());
        }
        let compiled = Arc::new(compile(&wanted.topology, &served)?);
        let told = ZonesTold::new(&wanted, &zones);
        self.publish_zones(&compiled, (&wanted, &served), change, told)?;
        zones.tidy();
        *rebuilding = Rebuilding { wanted, zones, served };
        Ok(())
    }

    /// Puts zones in force together with their answers, which are signed beside the lock: a Plan
    /// never waits for that. One that comes meanwhile is brought in, which costs no more than
    /// carrying it out did.
    fn publish_zones(
        &self,
        zones: &Arc<ZoneTable>,
        (wanted, served): (&Wanted, &Served),
        change: Option<Surroundings<'_>>,
        told: ZonesTold,
    ) -> Result<(), ReloadError> {
        let terms = Arc::new(served.terms.clone());
        let mut draft: Option<Draft> = None;
        let mut rounds = 0;
        let (mut control, table, outcome) = loop {
            let (ground, now, held) = self.look_around(&terms);
            let force = self.inner().current.load();
            // After that: so it knows at least as much as the Plan in force.
            let plan = change.as_ref().and_then(|change| (change.plan)());
            let next = match draft {
                None => {
                    let change = change.as_ref().map(|change| (change, plan.clone()));
                    let compiled =
                        first_draft(&force.table, zones, (wanted, served), change, &held)?;
                    Draft::sign(compiled, &force, &force.table, &ground, now)
                }
                Some(draft) => Draft::sign(
                    draft.newest(&force.table, plan.as_ref())?,
                    &force,
                    &draft.table,
                    &ground,
                    now,
                ),
            };
            self.looked();
            rounds += 1;
            let is_last = rounds >= ROUNDS;
            if !is_last && now > 0 && self.make(ground, everything(&next.outcome)) {
                draft = Some(next);
                continue;
            }
            let mut control = self.control();
            if !self.inner().current.is_other_than(next.follows) {
                break (control, next.table, next.outcome);
            }
            if is_last {
                // Plan upon Plan: the newest is brought in, as it was carried out, while the next
                // one waits.
                let force = self.inner().current.load();
                let compiled = next.newest(&force.table, plan.as_ref())?;
                let signed = control.signing.sign_under(&terms, (&compiled, &next.table), now);
                break (control, signed.table, signed.outcome);
            }
            drop(control);
            draft = Some(next);
        };
        let pending = control.signing.adopt(terms, outcome);
        if let Some(change) = change {
            control.digests = change.digests;
        }
        control.digests.keys = keys_digest(&wanted.signing);
        self.inner().zones_told.store(Arc::new(told));
        self.publish(&mut control, table);
        drop(control);
        // A long list takes a while to be freed.
        drop(pending);
        self.inner().background.call();
        Ok(())
    }

    /// What answers would be signed from under other terms, when, and what the Director was given.
    fn look_around(&self, terms: &Arc<AnswerTerms>) -> (Ground, u64, Digests) {
        let mut control = self.control();
        let now = control.signing.now(&self.inner().clock).unwrap_or(0);
        let ground = Ground { terms: Arc::clone(terms), ..control.signing.ground().clone() };
        (ground, now, control.digests.clone())
    }

    /// Signs what there are keys for; whether there was anything.
    fn make(&self, ground: Ground, missing: Vec<SignRequest>) -> bool {
        let stop = self.inner().background.stopping();
        let made = ground.make(missing, Pace::Background, stop);
        // While it shares signatures, taking in more would copy them.
        drop(ground);
        let is_something = !made.requests.is_empty();
        self.take_made(made);
        is_something
    }
}

/// A table in the making, for zones that are to be published.
struct Draft {
    /// Which table in force it follows.
    follows: u64,
    /// As it was compiled.
    compiled: AnswerTable,
    table: AnswerTable,
    outcome: SigningOutcome,
}

impl Draft {
    fn sign(
        compiled: AnswerTable,
        current: &Serving,
        earlier: &AnswerTable,
        ground: &Ground,
        now: u64,
    ) -> Self {
        let (table, outcome) = ground.look(&compiled, earlier, now);
        Self { follows: current.generation, compiled, table, outcome }
    }

    /// Compiled for the Plan that comes with it, else the one that is in force now. What did not
    /// change is taken over, signed.
    fn newest(
        &self,
        current: &AnswerTable,
        plan: Option<&Arc<Plan>>,
    ) -> Result<AnswerTable, PlanCompileError> {
        // In the place of what is withheld stands something older, or nothing.
        let is_whole = self.outcome.withheld.is_empty();
        let drafted = if is_whole { &self.table } else { &self.compiled };
        let is_other = |plan: &&Arc<Plan>| {
            drafted.plan().is_none_or(|held| !Arc::ptr_eq(held, plan) && held != *plan)
        };
        match plan.or(current.plan()).filter(is_other) {
            Some(plan) => drafted.with_plan(Arc::clone(plan)),
            None => Ok(drafted.clone()),
        }
    }
}

/// Zones with the services in them, but for those of zones that are left out.
pub(crate) fn compile(topology: &Topology, served: &Served) -> Result<ZoneTable, ZoneCompileError> {
    let is_served = |service: &&DomainName| {
        if served.refused.contains_key(*service) {
            return false;
        }
        let mut above = Some((*service).clone());
        while let Some(name) = above {
            if served.terms.zones.contains_key(&name) {
                return !served.left_out.contains_key(&name);
            }
            above = name.parent();
        }
        true
    };
    let services = topology.services.iter().map(|service| &service.name);
    let services: Vec<DomainName> = services.filter(is_served).cloned().collect();
    ZoneTable::compile_beside(&served.zones, &services, &served.left_out, &served.refused)
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

fn first_draft(
    old: &AnswerTable,
    zones: &Arc<ZoneTable>,
    (wanted, served): (&Wanted, &Served),
    change: Option<(&Surroundings<'_>, Option<Arc<Plan>>)>,
    held: &Digests,
) -> Result<AnswerTable, PlanCompileError> {
    let (zones, old) = (Arc::clone(zones), old.promising(&served.promised));
    let Some((change, plan)) = change else { return old.with_zones(zones) };
    let is_other =
        change.digests.map != held.map || change.digests.configuration != held.configuration;
    let table = match (is_other, &plan) {
        (true, _) => AnswerTable::new(zones, Arc::clone(&change.map), &wanted.topology)
            .promising(&served.promised),
        (false, Some(_)) => old.with_zones(zones)?,
        (false, None) => return old.with_zones(zones),
    };
    match plan.or_else(|| old.plan().cloned()) {
        Some(plan) => table.with_plan(plan),
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
                first_expiry: held.map(|held| held.first_expiry),
                keys: KeyUse::all(&held.map_or(how, |held| &held.signing).keys),
                error: zones.errors.get(apex).map(ToString::to_string),
            }
        };
        let signed = zones.in_force.iter();
        Self {
            status: wanted.signing.iter().map(one).collect(),
            unfit: wanted.unfit_services().cloned().collect(),
            signed: signed.map(|(apex, held)| (apex.clone(), Arc::clone(&held.zone))).collect(),
        }
    }
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
