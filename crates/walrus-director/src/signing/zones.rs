//! Static zones, signed beside those that are served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use walrus_core::answer::{AnswerSigning, Lack, SingleSets};
use walrus_core::dnssec::{
    SignRequest, Signature, SignedBefore, SignedService, SignedZone, ZoneSigning, sign_zone_by,
};
use walrus_core::plan::{Plan, with_found};
use walrus_core::world::{ServiceId, ServiceTypes, Topology};
use walrus_core::zone::{Zone, ZonesOwnNames};
use walrus_dns::DomainName;

use super::ground::AnswerTerms;
use super::key_ring::{KeyRing, Pace, SignError};
use super::store::{Entry, Kept, Store};
use crate::zones::UnfitServices;

/// At a start zones up to so many names are signed before anything is answered: about two seconds.
/// Larger ones follow in the background, and the others are answered meanwhile.
const SMALL_NAMES: usize = 20_000;

/// How often the signing of a large zone is told of.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// A clock that is set back by more makes signatures that begin in its future.
pub(super) const BACK_MAX_SECS: u64 = 3600;

/// What is to be served.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// With the addresses that were found for aliases when their families changed last.
    pub(crate) topology: Arc<Topology>,
    /// As they were loaded, or came since.
    pub(crate) zones: Vec<Arc<Zone>>,
    /// Zones whose content did not come yet, or is too old.
    pub(crate) empty: BTreeSet<DomainName>,
    /// By zone that moves: services that do not fit what it holds. They are refused.
    pub(crate) unfit: BTreeMap<DomainName, UnfitServices>,
    /// Those that are signed.
    pub(crate) signing: BTreeMap<DomainName, ZoneSigning>,
    /// Of zones that are answered under other serials: those with which they came.
    pub(crate) own_serials: BTreeMap<DomainName, u32>,
    /// Of the topology.
    pub(crate) singles: Arc<SingleSets>,
    /// What of the topology lies in which zone that is configured. Zones that catalogs list are none of these, so that
    /// nothing lies in them.
    pub(crate) own: Arc<ZonesOwnNames>,
}

/// Which zones are signed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Those that take a moment; others are left out for now.
    Small,
    /// All.
    All,
}

/// What there is to serve.
#[derive(Clone, Debug, Default)]
pub(crate) struct Served {
    pub(crate) zones: Vec<Arc<Zone>>,
    pub(crate) terms: AnswerTerms,
    /// Zones that wait, and for what.
    pub(crate) left_out: BTreeMap<DomainName, Lack>,
    /// Services that are refused, with what they would give.
    pub(crate) refused: BTreeMap<DomainName, ServiceTypes>,
    /// The types that services in signed zones have there.
    pub(crate) promised: BTreeMap<DomainName, Vec<u16>>,
}

/// With what zones are signed.
pub(crate) struct Signing<'a> {
    /// Seconds since 1970; `None` if no clock was ever right.
    pub(crate) now: Option<u64>,
    pub(crate) ring: &'a KeyRing,
    pub(crate) pace: Pace,
    pub(crate) stop: &'a AtomicBool,
}

/// The signed zones that are served.
#[derive(Clone, Debug)]
pub(crate) struct SignedZones {
    pub(crate) in_force: BTreeMap<DomainName, InForce>,
    /// Zones that this process answers unsigned: what is to be signed one day goes on so until it
    /// can be. After a restart it does not: what the parent's DS says by then is not known.
    pub(crate) unsigned: BTreeSet<DomainName>,
    /// Why a zone is not signed as it should be.
    pub(crate) errors: BTreeMap<DomainName, SignError>,
    store: Store,
}

/// A zone as it is served, and what it was made from.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    pub(crate) signing: ZoneSigning,
    plain: Arc<Zone>,
    services: Vec<SignedService>,
    pub(crate) zone: Arc<Zone>,
    pub(crate) signatures: usize,
    /// In seconds since 1970.
    pub(crate) signed_at: u64,
    /// In seconds since 1970.
    pub(crate) next_renewal: u64,
    /// In seconds since 1970.
    pub(crate) first_expiry: u64,
}

impl Wanted {
    pub(crate) fn new(
        topology: Arc<Topology>,
        zones: Vec<Arc<Zone>>,
        signing: Vec<ZoneSigning>,
    ) -> Self {
        let singles = Arc::new(SingleSets::new(&topology));
        let apexes = zones.iter().map(|zone| zone.apex());
        let own = Arc::new(ZonesOwnNames::new(apexes, &topology));
        let (empty, signing_of) = (BTreeSet::new(), BTreeMap::new());
        let wanted = Self {
            topology,
            zones,
            empty,
            unfit: BTreeMap::new(),
            signing: signing_of,
            own_serials: BTreeMap::new(),
            singles,
            own,
        };
        signing.into_iter().fold(wanted, Self::with_signing)
    }

    /// With one zone signed otherwise.
    pub(crate) fn with_signing(mut self, signing: ZoneSigning) -> Self {
        self.signing.insert(signing.apex.clone(), signing);
        self
    }

    /// With the families that a Plan has for aliases; `None` if nothing changes by that.
    pub(crate) fn with_found(&self, plan: &Plan) -> Option<Self> {
        let topology = Arc::new(with_found(&self.topology, plan)?);
        // Servers have other addresses there.
        let own = Arc::new(ZonesOwnNames::new(self.own.apexes(), &topology));
        Some(Self { topology, own, ..self.clone() })
    }

    /// Of all zones, also those without content.
    pub(crate) fn apexes(&self) -> impl Iterator<Item = &DomainName> {
        self.zones.iter().map(|zone| zone.apex()).chain(&self.empty)
    }

    /// The services of each zone, with the types that they promise.
    fn services(&self) -> BTreeMap<&DomainName, Vec<SignedService>> {
        let mut by_zone: BTreeMap<&DomainName, Vec<SignedService>> =
            self.apexes().map(|apex| (apex, Vec::new())).collect();
        let refused = self.refused();
        let services = (0..).map(ServiceId).zip(&self.topology.services);
        for (id, service) in services.filter(|(_, it)| !refused.contains_key(&it.name)) {
            let mut above = Some(service.name.clone());
            while let Some(name) = above {
                if let Some(services) = by_zone.get_mut(&name) {
                    services.extend(SignedService::new(&self.topology, id));
                    break;
                }
                above = name.parent();
            }
        }
        by_zone
    }
}

impl Served {
    /// Whether this is what is served already.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.zones.len() == other.zones.len()
            && self.zones.iter().zip(&other.zones).all(|(one, two)| Arc::ptr_eq(one, two))
            && self.terms.zones == other.terms.zones
            && self.left_out == other.left_out
            && self.refused == other.refused
    }
}

impl SignedZones {
    pub(crate) const fn new(store: Store) -> Self {
        Self {
            in_force: BTreeMap::new(),
            unsigned: BTreeSet::new(),
            errors: BTreeMap::new(),
            store,
        }
    }

    /// Signs what has to be. A zone that cannot be signed goes on as it was, with signatures of
    /// before; one that was never served is left out, and why stands among the errors.
    ///
    /// # Errors
    /// Only if the process ends.
    pub(crate) fn sign(
        &mut self,
        wanted: &Wanted,
        extent: Extent,
        signing: &Signing<'_>,
    ) -> Result<Served, SignError> {
        let mut services = wanted.services();
        let mut served = Served::default();
        served.terms.singles = Arc::clone(&wanted.singles);
        served.refused = wanted.refused();
        for plain in &wanted.zones {
            let apex = plain.apex();
            let Some(how) = wanted.signing.get(apex) else {
                served.zones.push(Arc::clone(plain));
                served.terms.zones.insert(apex.clone(), None);
                self.unsigned.insert(apex.clone());
                continue;
            };
            let services = services.remove(apex).unwrap_or_default();
            let is_later = extent == Extent::Small && plain.name_count() > SMALL_NAMES;
            match self.renewed(plain, services, how, is_later, signing) {
                Ok(true) => match lost_key(how, signing.ring) {
                    // Nothing lacks a signature now, but the next renewal will.
                    Some(error) => self.fail(apex, error),
                    None => {
                        self.errors.remove(apex);
                    }
                },
                Ok(false) => {}
                Err(SignError::Stopped) => return Err(SignError::Stopped),
                Err(error) => self.fail(apex, error),
            }
            match self.in_force.get(apex) {
                Some(in_force) => {
                    served.zones.push(Arc::clone(&in_force.zone));
                    let promised = |of: &SignedService| (of.name.clone(), of.promised.clone());
                    served.promised.extend(in_force.services.iter().map(promised));
                    let keys = in_force.signing.keys.sign_zone.as_slice().into();
                    let signing = AnswerSigning { keys, policy: in_force.signing.validity };
                    served.terms.zones.insert(apex.clone(), Some(signing));
                    self.unsigned.remove(apex);
                }
                None if self.unsigned.contains(apex) => {
                    served.zones.push(Arc::clone(plain));
                    served.terms.zones.insert(apex.clone(), None);
                }
                None => {
                    served.left_out.insert(apex.clone(), Lack::Signatures);
                    // Services in it must not count to the zone above.
                    served.terms.zones.insert(apex.clone(), None);
                }
            }
        }
        for apex in &wanted.empty {
            served.left_out.insert(apex.clone(), Lack::Content);
            served.terms.zones.insert(apex.clone(), None);
        }
        self.in_force.retain(|apex, _| wanted.signing.contains_key(apex));
        self.errors.retain(|apex, _| wanted.signing.contains_key(apex));
        let apexes: BTreeSet<&DomainName> = wanted.apexes().collect();
        self.unsigned.retain(|apex| apexes.contains(apex));
        Ok(served)
    }

    /// Why not everything may be taken over: a zone would be less than it was, `left_out` being
    /// those that were not answered before, or one that is new cannot be answered although its keys
    /// are known. Without keys there is nothing to bring before the zone is.
    pub(crate) fn in_the_way(
        &self,
        wanted: &Wanted,
        left_out: &BTreeMap<DomainName, Lack>,
    ) -> Option<(DomainName, SignError)> {
        self.first_error(wanted, |apex, error| {
            let is_less = self.in_force.contains_key(apex);
            is_less || (error != SignError::NoKeys && !left_out.contains_key(apex))
        })
    }

    /// A zone that is not what it should be, and why.
    pub(crate) fn not_as_wanted(&self, wanted: &Wanted) -> Option<(DomainName, SignError)> {
        self.first_error(wanted, |_, _| true)
    }

    fn first_error(
        &self,
        wanted: &Wanted,
        counts: impl Fn(&DomainName, SignError) -> bool,
    ) -> Option<(DomainName, SignError)> {
        let is_it = |(apex, _): &(&DomainName, &SignError)| {
            let plain = wanted.zones.iter().find(|zone| zone.apex() == *apex);
            let how = wanted.signing.get(*apex);
            !self.in_force.get(*apex).is_some_and(|held| {
                Some(&held.signing) == how
                    && plain.is_some_and(|plain| Arc::ptr_eq(plain, &held.plain))
            })
        };
        let mut errors = self.errors.iter().filter(|(apex, error)| counts(apex, **error));
        let (apex, error) = errors.find(is_it)?;
        Some((apex.clone(), *error))
    }

    /// Forgets what was kept of zones that are no longer signed.
    pub(crate) fn tidy(&self) {
        self.store.forget_others(self.in_force.keys().chain(self.errors.keys()));
    }

    /// Whether a zone's signatures are due at this time.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        self.in_force.values().any(|zone| {
            zone.next_renewal <= now || now.saturating_add(BACK_MAX_SECS) < zone.signed_at
        })
    }

    fn fail(&mut self, apex: &DomainName, error: SignError) {
        if self.errors.insert(apex.clone(), error) == Some(error) {
            return;
        }
        if self.in_force.contains_key(apex) {
            tracing::error!(zone = %apex, "not signed anew, and goes on as it was: {error}");
        } else if self.unsigned.contains(apex) {
            tracing::error!(zone = %apex, "not signed, and goes on unsigned until it is: {error}");
        } else {
            tracing::error!(zone = %apex, "not signed, and refused until it is: {error}");
        }
    }

    /// Brings a zone up to date; false if that was put off.
    fn renewed(
        &mut self,
        plain: &Arc<Zone>,
        services: Vec<SignedService>,
        how: &ZoneSigning,
        is_later: bool,
        signing: &Signing<'_>,
    ) -> Result<bool, SignError> {
        let apex = plain.apex();
        if !how.keys.can_sign() {
            return Err(SignError::NoKeys);
        }
        let now = signing.now.ok_or(SignError::Clock)?;
        let held = self.in_force.get(apex);
        if let Some(held) = held
            && Arc::ptr_eq(&held.plain, plain)
            && held.signing == *how
            && held.services == services
            && now < held.next_renewal
            && now.saturating_add(BACK_MAX_SECS) >= held.signed_at
        {
            return Ok(true);
        }
        if is_later {
            return Ok(false);
        }
        let mut pass = ZonePass::new(plain, self.store.load(Some(apex)), signing);
        let before = held.map(|held| SignedBefore { zone: &held.zone, keys: &held.signing.keys });
        let made = pass.sign(plain, &services, how, now, before);
        let (signed, signed_at) = match made {
            Ok(signed) => (signed, now),
            // As another process left it, if nothing changed since.
            Err(error @ SignError::NoKey { .. }) if held.is_none() => {
                let then = pass.kept.time;
                let slack = how.validity.valid_for.saturating_sub(how.validity.renew_every);
                if then == 0 || then > now || now >= then + slack.as_secs() {
                    return Err(error);
                }
                let Ok(signed) = pass.sign(plain, &services, how, then, None) else {
                    return Err(error);
                };
                self.fail(apex, error);
                (signed, then)
            }
            Err(error) => return Err(error),
        };
        let is_current = signed_at == now;
        let from_disk = pass.found;
        if is_current && !pass.new.is_empty() {
            let slack = how.validity.valid_for.saturating_sub(how.validity.renew_every);
            self.store.save(Some(apex), pass.kept(now, slack));
        }
        let SignedZone { zone, next_renewal, first_expiry, signatures, made } = signed;
        tracing::info!(
            zone = %apex, signatures, made, from_disk, "signed"
        );
        let in_force = InForce {
            signing: how.clone(),
            plain: Arc::clone(plain),
            services,
            zone: Arc::new(zone),
            signatures,
            signed_at,
            // What could not be renewed is tried again and again.
            next_renewal: if is_current { next_renewal } else { now },
            first_expiry,
        };
        self.in_force.insert(apex.clone(), in_force);
        Ok(is_current)
    }
}

/// A key that is to sign and is not here.
fn lost_key(how: &ZoneSigning, ring: &KeyRing) -> Option<SignError> {
    let mut keys = how.keys.sign_keys.iter().chain(&how.keys.sign_zone);
    keys.find(|key| !ring.has(key)).map(SignError::no_key)
}

/// The signing of one zone.
struct ZonePass<'a> {
    signing: &'a Signing<'a>,
    apex: &'a DomainName,
    names: usize,
    kept: Kept,
    new: Vec<Entry>,
    /// Signatures that were on the disk.
    found: usize,
    told: Instant,
}

impl<'a> ZonePass<'a> {
    fn new(plain: &'a Zone, kept: Kept, signing: &'a Signing<'a>) -> Self {
        let (apex, names, told) = (plain.apex(), plain.name_count(), Instant::now());
        Self { signing, apex, names, kept, new: Vec::new(), found: 0, told }
    }

    fn sign(
        &mut self,
        plain: &Zone,
        services: &[SignedService],
        how: &ZoneSigning,
        now: u64,
        before: Option<SignedBefore<'_>>,
    ) -> Result<SignedZone, SignError> {
        let mut carry_out =
            |requests: &[SignRequest], made: &mut [Signature]| self.carry_out(requests, made);
        sign_zone_by(plain, services, how, now, before, &mut carry_out)
    }

    fn carry_out(
        &mut self,
        requests: &[SignRequest],
        made: &mut [Signature],
    ) -> Result<(), SignError> {
        let mut missing = Vec::new();
        let mut places = Vec::new();
        for (place, request) in requests.iter().enumerate() {
            match self.kept.get(request.id) {
                Some(signature) => {
                    made[place] = *signature;
                    self.found += 1;
                }
                None => {
                    missing.push(request.clone());
                    places.push(place);
                }
            }
        }
        let mut signatures = vec![[0; 64]; missing.len()];
        let Signing { ring, pace, stop, .. } = self.signing;
        ring.sign_all(&missing, &mut signatures, *pace, stop)?;
        for ((place, request), signature) in places.into_iter().zip(&missing).zip(signatures) {
            made[place] = signature;
            self.new.push(Entry::of(request, signature));
        }
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            tracing::info!(
                zone = %self.apex, names = self.names,
                "signing: {} signatures made, {} from the disk", self.new.len(), self.found
            );
        }
        Ok(())
    }

    /// What was made and what was kept before, but for what has been renewed since.
    fn kept(self, now: u64, slack: Duration) -> Kept {
        let mut entries = self.new;
        let renewed_below = now.saturating_add(slack.as_secs());
        entries.extend(
            self.kept.entries.iter().filter(|entry| u64::from(entry.expiry) > renewed_below),
        );
        Kept::new(now, entries)
    }
}
