//! Signs a table's services: finds the signatures of all their answer sets, says which are missing,
//! and keeps what did not change.
//!
//! Nothing is signed here. The caller has what is missing signed and asks again; the table that it
//! gets meanwhile answers with sets that are signed, as `signed_list` describes.

use std::collections::BTreeMap;
use std::sync::Arc;

use walrus_dns::DomainName;

use super::record_data::{GivenRecords, RecordMaker};
use super::ring::data_of;
use super::signed_list::{self, SignedLists};
use super::signed_set::{Missing, SetData, SetSigner, SignedSets, Terms};
use super::{AnswerTable, Layout, ServiceTable};
use crate::dnssec::{DnsKey, SignRequest, Signatures, ValidityPolicy};
use crate::plan::{PlannedServer, ServicePlan};
use crate::world::{Life, Server, Topology};

/// A clock that is set back by more makes signatures that begin in its future: then new ones are
/// made. Less is within what a signature is dated back by.
const BACK_MAX_SECS: u64 = 3600;

/// Who signs the answer sets of a zone, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerSigning {
    /// All of these sign.
    pub keys: Arc<[DnsKey]>,
    /// For how long.
    pub policy: ValidityPolicy,
}

/// One server's records of one type, as a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SingleSet {
    record_type: u16,
    data: SetData,
}

/// The sets of single servers, of all that are configured: whoever is left answers alone if need
/// be, so these are signed before anybody dies. Made once for a configuration.
#[derive(Clone, Debug, Default)]
pub struct SingleSets {
    by_service: BTreeMap<DomainName, Arc<[SingleSet]>>,
}

/// What signing looks at.
#[derive(Clone, Copy, Debug)]
pub struct SigningInput<'a> {
    /// All zones by their apexes; `None` is unsigned.
    pub zones: &'a BTreeMap<DomainName, Option<AnswerSigning>>,
    /// What was signed.
    pub signatures: &'a Signatures,
    /// Seconds since 1970.
    pub now: u64,
    /// Sets that are signed beforehand.
    pub singles: &'a SingleSets,
    /// At most so many sets of several servers are signed; beyond them single servers answer.
    pub sets_max: usize,
}

/// What came of signing beside the table.
#[derive(Debug, Default)]
pub struct SigningOutcome {
    /// To be signed before the table is published: without these there is nothing to answer with.
    pub needed: Vec<SignRequest>,
    /// To be signed soon: until then other sets are answered, or older signatures.
    pub wanted: Vec<SignRequest>,
    /// Sets that are signed, over all services.
    pub sets: usize,
    /// Sets beyond [`SigningInput::sets_max`].
    pub left_out: usize,
    /// Services for which too little is signed: they are answered as in the earlier table, or not
    /// at all if they were not in it.
    pub withheld: Vec<DomainName>,
    /// When signatures are due next, in seconds since 1970.
    pub next_renewal: Option<u64>,
    /// When the first of the signatures expires, in seconds since 1970.
    pub first_expiry: Option<u64>,
    /// For which time this was looked at, in seconds since 1970.
    pub looked_at: u64,
}

impl SingleSets {
    /// All servers of all services.
    #[must_use]
    pub fn new(topology: &Topology) -> Self {
        let given = GivenRecords::new(topology);
        let mut by_service = BTreeMap::new();
        for service in &topology.services {
            let clusters = service.clusters.iter();
            let clusters = clusters.filter_map(|id| topology.clusters.get(id.index()));
            let servers = clusters.flat_map(|cluster| &cluster.servers);
            let servers = servers.filter_map(|id| topology.servers.get(id.index()));
            let servers: Vec<(PlannedServer, u32)> =
                servers.map(|server| (planned(server), server.weight)).collect();
            let records = given.of(&service.name);
            let mut sets = Vec::new();
            for service_type in given.types_of(&service.name).iter() {
                // Data knows no TTL.
                let (records, service, given) = (&*records, &service.name, &given);
                let maker = RecordMaker { service_type, ttl: 0, records, service, given };
                if maker.is_constant() {
                    // Its list's only set is found with the list.
                    continue;
                }
                for (server, weight) in &servers {
                    let mut written = Vec::new();
                    if maker.write_server(server, *weight, true, &mut written) > 0 {
                        let data = SetData::new(data_of(&written));
                        sets.push(SingleSet { record_type: service_type.number(), data });
                    }
                }
            }
            by_service.insert(service.name.clone(), sets.into());
        }
        Self { by_service }
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.by_service.values().map(|sets| sets.len()).sum()
    }
}

fn planned(server: &Server) -> PlannedServer {
    PlannedServer {
        name: server.name.clone(),
        // Records do not say where a server stands.
        cluster: server.name.clone(),
        addresses: server.addresses.clone(),
        life: Life::Living,
        load: None,
        backlog: None,
        capacity: None,
        reason: String::new(),
    }
}

impl AnswerTable {
    /// This table with the signatures of all services in signed zones, and what is missing.
    /// `earlier` is the table in force: its signed sets may stand in for new ones, and a service
    /// that did not change is taken over. What this costs follows the services that changed.
    #[must_use]
    pub fn sign(&self, input: &SigningInput<'_>, earlier: Option<&Self>) -> (Self, SigningOutcome) {
        let mut outcome = SigningOutcome { looked_at: input.now, ..SigningOutcome::default() };
        let is_signed = |service: &Option<Arc<ServiceTable>>| {
            service.as_ref().is_some_and(|service| service.signed.is_some())
        };
        if input.zones.values().all(Option::is_none) && !self.services.iter().any(is_signed) {
            return (self.clone(), outcome);
        }
        let plan = self.plan.iter().flat_map(|plan| &plan.services);
        let plan: BTreeMap<DomainName, &ServicePlan> =
            plan.filter_map(|service| Some((service.name.parse().ok()?, service))).collect();
        let before: BTreeMap<&DomainName, &Arc<ServiceTable>> = earlier
            .into_iter()
            .flat_map(|table| table.services().iter().zip(&table.services))
            .filter_map(|(name, service)| Some((name, service.as_ref()?)))
            .collect();
        let mut services = Vec::with_capacity(self.services.len());
        for (name, service) in self.services().iter().zip(&self.services) {
            let before = before.get(name).copied();
            let signed = service.as_ref().and_then(|service| {
                let terms = terms(name, plan.get(name)?, input.zones);
                sign_service(name, service, terms, before, input, &mut outcome)
            });
            services.push(signed);
        }
        let services = services.into_boxed_slice();
        let layout = match outcome.withheld.is_empty() {
            true => Arc::clone(&self.layout),
            false => Arc::new(Layout::new(&services, self.locator.areas.len())),
        };
        (Self { services, layout, ..self.clone() }, outcome)
    }
}

impl AnswerTable {
    /// This table as if nothing were signed, to find out all that its signing takes.
    #[must_use]
    pub fn without_signatures(&self) -> Self {
        let bare = |service: &Arc<ServiceTable>| {
            Arc::new(ServiceTable { signed: None, ..ServiceTable::clone(service) })
        };
        let services = self.services.iter().map(|service| service.as_ref().map(bare)).collect();
        Self { services, ..self.clone() }
    }
}

/// On which terms a service is signed; `None` if its zone is not signed.
fn terms(
    service: &DomainName,
    plan: &ServicePlan,
    zones: &BTreeMap<DomainName, Option<AnswerSigning>>,
) -> Option<Terms> {
    let mut apex = service.clone();
    loop {
        if let Some(signing) = zones.get(&apex) {
            let AnswerSigning { keys, policy } = signing.clone()?;
            return Some(Terms { zone: apex, keys, policy, ttl_max: plan.ttl.seconds_max() });
        }
        apex = apex.parent()?;
    }
}

/// A service with its signatures; `None` if nothing is signed that it could be answered with.
fn sign_service(
    name: &DomainName,
    service: &Arc<ServiceTable>,
    terms: Option<Terms>,
    before: Option<&Arc<ServiceTable>>,
    input: &SigningInput<'_>,
    outcome: &mut SigningOutcome,
) -> Option<Arc<ServiceTable>> {
    let Some(terms) = terms else {
        return Some(match service.signed {
            Some(_) => Arc::new(ServiceTable { signed: None, ..ServiceTable::clone(service) }),
            None => Arc::clone(service),
        });
    };
    let singles = input.singles.by_service.get(name);
    let held = service.signed.as_ref();
    if let Some(held) = held
        && held.is_for(service, &terms, singles, input.now)
    {
        outcome.add(held);
        return Some(Arc::clone(service));
    }
    let earlier = before.and_then(|before| before.signed.as_ref()).or(held);
    let earlier = earlier.filter(|earlier| earlier.terms == terms);
    let (signed, missing) = sign_lists(name, service, terms, singles, earlier, input, outcome);
    outcome.left_out += missing.left_out;
    outcome.needed.extend(missing.needed);
    outcome.wanted.extend(missing.wanted);
    match signed {
        Some(signed) => {
            outcome.add(&signed);
            let signed = Some(Arc::new(signed));
            Some(Arc::new(ServiceTable { signed, ..ServiceTable::clone(service) }))
        }
        None => {
            outcome.withheld.push(name.clone());
            before.filter(|before| before.signed.is_some()).cloned()
        }
    }
}

fn sign_lists(
    name: &DomainName,
    service: &ServiceTable,
    terms: Terms,
    singles: Option<&Arc<[SingleSet]>>,
    earlier: Option<&Arc<SignedLists>>,
    input: &SigningInput<'_>,
    outcome: &SigningOutcome,
) -> (Option<SignedLists>, Missing) {
    let sets_left = input.sets_max.saturating_sub(outcome.sets);
    let earlier_sets = earlier.map(|earlier| &earlier.sets);
    let source = (input.signatures, input.now);
    let mut signer = SetSigner::new(name, &terms, source, earlier_sets, sets_left);
    let none = SignedSets::new();
    let stand_ins = earlier_sets.unwrap_or(&none);
    let mut lists = Some(Vec::with_capacity(service.lists.len()));
    let mut made_at = input.now;
    for list in &service.lists {
        let kept = earlier.filter(|earlier| {
            let not_back = input.now.saturating_add(BACK_MAX_SECS) >= earlier.made_at;
            input.now < earlier.renew_at && not_back
        });
        let mut kept = kept.into_iter().flat_map(|earlier| &earlier.lists);
        let kept = kept.find(|kept| kept.is_exact && Arc::ptr_eq(&kept.list, list));
        let signed = match kept {
            Some(kept) => {
                // However often the clock is set back a little, together it is not far.
                made_at = made_at.max(earlier.map_or(0, |earlier| earlier.made_at));
                signer.keep(list.service_type().number(), &kept.sets);
                Some(Arc::clone(kept))
            }
            None => signed_list::compile(list, &mut signer, stand_ins).map(Arc::new),
        };
        // The others' missing signatures are to be known all the same.
        match signed {
            Some(signed) => lists.iter_mut().for_each(|lists| lists.push(Arc::clone(&signed))),
            None => lists = None,
        }
    }
    for single in singles.into_iter().flat_map(|singles| singles.iter()) {
        signer.find_single(single.record_type, &single.data, false);
    }
    let types = service.lists.iter().map(|list| list.service_type().number());
    let renew_at = signer.renew_at(types).unwrap_or(u64::MAX);
    let is_exact = signer.missing.count() == 0;
    let (sets, missing) = signer.finish();
    let first_expiry = sets.values().map(|set| set.ends_at(input.now)).min();
    let singles = singles.cloned();
    let made = |lists: Vec<_>| {
        let lists = lists.into();
        SignedLists { lists, sets, terms, singles, made_at, renew_at, first_expiry, is_exact }
    };
    (lists.map(made), missing)
}

impl SignedLists {
    /// Whether these are what signing a service would come to again.
    fn is_for(
        &self,
        service: &ServiceTable,
        terms: &Terms,
        singles: Option<&Arc<[SingleSet]>>,
        now: u64,
    ) -> bool {
        let same_singles = match (&self.singles, singles) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        let same_lists = self.lists.len() == service.lists.len()
            && self.lists.iter().zip(&service.lists).all(|(one, two)| Arc::ptr_eq(&one.list, two));
        let in_time = now < self.renew_at && now.saturating_add(BACK_MAX_SECS) >= self.made_at;
        self.is_exact && in_time && same_singles && same_lists && self.terms == *terms
    }
}

impl SigningOutcome {
    fn add(&mut self, signed: &SignedLists) {
        self.sets += signed.sets.len();
        self.next_renewal = self.next_renewal.into_iter().chain([signed.renew_at]).min();
        self.first_expiry = self.first_expiry.into_iter().chain(signed.first_expiry).min();
    }
}
