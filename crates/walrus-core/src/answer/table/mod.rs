//! What a Director answers from: zones, and a Plan's services, compiled and read-only.
//!
//! An [`AnswerTable`] is cheap to make anew: a new Plan compiles only candidate lists and class
//! tables that changed and shares the rest with the table before; zones are swapped whole.

mod choosing;
mod compile;
mod count_sets;
mod demand;
mod layout;
mod locate;
mod plan;
mod record_data;
mod ring;
mod ring_draft;
mod served_zone;
mod service;
mod signed_list;
mod signed_set;
mod signing;
mod slots;
mod ttls;
mod zone_table;

use std::collections::BTreeMap;
use std::sync::Arc;

use walrus_dns::DomainName;

pub(super) use choosing::goes_by_capacity;
pub use compile::{ZONES_MAX, ZoneCompileError};
pub use demand::DemandTable;
pub(super) use layout::Layout;
pub(super) use locate::Locator;
pub use plan::PlanCompileError;
pub(super) use ring::{Drawn, data_of, records_of, set_ttl};
pub use ring::{RingAnswer, RingList};
pub use service::{ClassDecision, ServiceTable};
#[cfg(test)]
pub(super) use signed_list::SignedAnswer;
pub use signing::{AnswerSigning, SigningInput, SigningOutcome, SingleSets};
pub use zone_table::ZoneTable;
pub(super) use zone_table::{Entry, NAME_LEN_MAX, PrebuiltSet, flags};

use crate::map::Map;
use crate::plan::{Plan, PlannedServer};
use crate::policy::choose::{ChooseInputs, Told};
use crate::world::{AreaId, Name, ServiceType, ServiceTypes, Topology};
use plan::{Compiler, Shared};
use record_data::GivenRecords;

/// Everything that an answer depends on but the query and the worker.
#[derive(Clone, Debug)]
pub struct AnswerTable {
    zones: Arc<ZoneTable>,
    locator: Arc<Locator>,
    given: Arc<GivenRecords>,
    /// By service: the types that it gives.
    types: Box<[ServiceTypes]>,
    /// By service: the types of which it never says that it has none.
    owed: Box<[ServiceTypes]>,
    plan: Option<Arc<Plan>>,
    /// By the places of [`ZoneTable::services`].
    services: Box<[Option<Arc<ServiceTable>>]>,
    layout: Arc<Layout>,
    shared: Arc<Shared>,
    /// Whether finding a client's area in some service's map is likely to wait for memory.
    looks_far: bool,
}

impl AnswerTable {
    /// A table without a Plan: static names are answered, services say SERVFAIL. The map must be
    /// made from this topology.
    #[must_use]
    pub fn new(zones: Arc<ZoneTable>, map: Arc<Map>, topology: &Topology) -> Self {
        let locator = Arc::new(Locator::new(map, topology));
        let services = vec![None; zones.services().len()].into_boxed_slice();
        let layout = Arc::new(Layout::new(&services, locator.areas.len()));
        let given = Arc::new(GivenRecords::new(topology));
        let (types, owed) = types(&given, &zones);
        let shared = Arc::default();
        let looks_far = false;
        Self { zones, locator, given, types, owed, plan: None, services, layout, shared, looks_far }
    }

    /// This table for zones that were signed with these types at services' names: "there is none" is
    /// never said of them. Services that are not named promise nothing.
    #[must_use]
    pub fn promising(&self, promised: &BTreeMap<DomainName, Vec<u16>>) -> Self {
        let given = Arc::new(self.given.promising(promised));
        let (types, owed) = types(&given, &self.zones);
        Self { given, types, owed, ..self.clone() }
    }

    /// The table for a Plan.
    ///
    /// # Errors
    /// If the Plan is of another format or damaged; this table then goes on.
    pub fn with_plan(&self, plan: Arc<Plan>) -> Result<Self, PlanCompileError> {
        self.compiled(Arc::clone(&self.zones), plan)
    }

    /// The table for other zones (or other services in them) under the same Plan.
    ///
    /// # Errors
    /// As [`Self::with_plan`], for services that were not compiled before.
    pub fn with_zones(&self, zones: Arc<ZoneTable>) -> Result<Self, PlanCompileError> {
        if let Some(plan) = &self.plan {
            return self.compiled(zones, Arc::clone(plan));
        }
        let services = vec![None; zones.services().len()].into_boxed_slice();
        let layout = Arc::new(Layout::new(&services, self.locator.areas.len()));
        let (types, owed) = types(&self.given, &zones);
        Ok(Self { zones, types, owed, services, layout, ..self.clone() })
    }

    fn compiled(&self, zones: Arc<ZoneTable>, plan: Arc<Plan>) -> Result<Self, PlanCompileError> {
        let mut compiler = Compiler::new(&plan, &self.locator, &self.given, &self.shared)?;
        let mut services = compiler.services(zones.services())?;
        let shared = Arc::new(compiler.finish());
        let earlier: BTreeMap<_, _> = self.zones.services().iter().zip(&self.services).collect();
        let has_same_servers = self.plan.as_ref().is_some_and(|held| {
            let same = |(one, other): (&PlannedServer, &PlannedServer)| one.name == other.name;
            held.servers.len() == plan.servers.len()
                && held.servers.iter().zip(&plan.servers).all(same)
        });
        for (name, new) in zones.services().iter().zip(&mut services) {
            let Some(Some(old)) = earlier.get(name) else { continue };
            let owed = self.given.owed_by(name);
            let lacks = |new: &Option<Arc<ServiceTable>>| {
                !new.as_ref().is_some_and(|new| new.has_all(owed))
            };
            let is_same = new.as_ref().is_some_and(|new| old.is_same(new));
            // What an alias's target has no longer is answered on until the zone says so, too.
            let goes_on = self.given.alias_of(name).is_some() && has_same_servers;
            if is_same || goes_on && lacks(new) && old.has_all(owed) {
                *new = Some(Arc::clone(old));
            }
        }
        let services = services.into_boxed_slice();
        let layout = Arc::new(Layout::new(&services, self.locator.areas.len()));
        let (locator, given) = (Arc::clone(&self.locator), Arc::clone(&self.given));
        let (types, owed) = types(&given, &zones);
        let looks_far = services.iter().flatten().any(|service| service.looks_far());
        let plan = Some(plan);
        Ok(Self { zones, locator, given, types, owed, plan, services, layout, shared, looks_far })
    }

    /// The Plan in force.
    #[must_use]
    pub const fn plan(&self) -> Option<&Arc<Plan>> {
        self.plan.as_ref()
    }

    /// The static names.
    #[must_use]
    pub fn zones(&self) -> &ZoneTable {
        &self.zones
    }

    /// Names of the services; their places number them everywhere in this module.
    #[must_use]
    pub fn services(&self) -> &[DomainName] {
        self.zones.services()
    }

    /// A service's table; `None` before a Plan that has it.
    #[must_use]
    pub fn service(&self, service: u32) -> Option<&ServiceTable> {
        self.services.get(service as usize)?.as_deref()
    }

    /// What each service's `choose` stage looks at beside its lists; `None` before a Plan that has it.
    pub fn choose_inputs(&self) -> impl Iterator<Item = Option<&Arc<ChooseInputs>>> {
        self.services.iter().map(|service| service.as_ref().map(|service| &service.inputs))
    }

    /// Room for what a worker tells the others ([`super::WorkerState::tell`]); empty if no service's
    /// policy has anything to tell.
    #[must_use]
    pub fn telling(&self) -> Vec<Told> {
        self.choose_inputs().flatten().filter_map(Told::new).collect()
    }

    /// The types of records that a service gives; none if there is no such service.
    #[must_use]
    pub fn types(&self, service: u32) -> ServiceTypes {
        self.types.get(service as usize).copied().unwrap_or_default()
    }

    /// Whether "there is none" would break what the signed zone promises.
    pub(super) fn owes(&self, service: u32, service_type: ServiceType) -> bool {
        self.owed.get(service as usize).is_some_and(|types| types.has(service_type))
    }

    /// The outside name whose addresses a service has.
    pub(super) fn alias_of(&self, service: u32) -> Option<&DomainName> {
        self.given.alias_of(self.services().get(service as usize)?)
    }

    /// The type that stands for everything a service gives: one that it always has, if its zone is
    /// signed.
    pub(super) fn first_type(&self, service: u32) -> Option<ServiceType> {
        let owed = self.owed.get(service as usize).copied().unwrap_or_default();
        owed.iter().next().or_else(|| self.types(service).iter().next())
    }

    /// By service: the types that it gives, and those of them that it owes.
    pub(super) const fn all_types(&self) -> (&[ServiceTypes], &[ServiceTypes]) {
        (&self.types, &self.owed)
    }

    /// Names of the areas by [`AreaId`].
    #[must_use]
    pub fn areas(&self) -> &[Name] {
        &self.locator.areas
    }

    /// The area's name.
    #[must_use]
    pub fn area_name(&self, area: AreaId) -> Option<&Name> {
        self.locator.areas.get(area.index())
    }

    /// The list that a service's clients in an area are answered from with records of a type; `None`
    /// for no answer. What an answer came from is this for its [`super::Decision`].
    #[must_use]
    pub fn list_of(
        &self,
        service: u32,
        area: AreaId,
        service_type: ServiceType,
    ) -> Option<&Arc<RingList>> {
        let service = self.service(service)?;
        let list = service.decision_of(area)?.list(service_type)?;
        service.lists.get(list as usize)
    }

    pub(super) const fn looks_far(&self) -> bool {
        self.looks_far
    }

    /// Fetches where an IPv4 client of the service that is most likely meant by a hash will be
    /// looked up.
    #[inline]
    pub(super) fn client_ahead(&self, hash: u64, client: u32, fetch: impl FnOnce(*const u8)) {
        let service = self.zones.service_ahead(hash).and_then(|service| self.service(service));
        if let Some(classes) = service.and_then(|service| service.classes.as_ref()) {
            fetch(classes.begin_ipv4(client));
        }
    }

    pub(super) fn locator(&self) -> &Locator {
        &self.locator
    }

    pub(super) const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }
}

/// By service: the types that it gives, and those that it owes.
fn types(given: &GivenRecords, zones: &ZoneTable) -> (Box<[ServiceTypes]>, Box<[ServiceTypes]>) {
    let services = zones.services();
    let types = services.iter().map(|service| given.types_of(service)).collect();
    (types, services.iter().map(|service| given.owed_by(service)).collect())
}
