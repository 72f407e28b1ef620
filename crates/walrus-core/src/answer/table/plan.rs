//! A Plan into service tables, keeping whatever an earlier compilation already has.

use std::collections::BTreeMap;
use std::sync::Arc;

use walrus_dns::DomainName;

use super::choosing::{self, Choosing, Numbering};
use super::demand::DemandTable;
use super::locate::Locator;
use super::record_data::{GivenRecords, RecordMaker};
use super::ring::{RingList, RingParameters};
use super::service::{ClassDecision, HOLE, ServiceTable};
use super::ttls;
use crate::map::ClassTable;
use crate::plan::{AreaPlan, CandidateList, FORMAT, ListIndex, Plan, ServicePlan};
use crate::policy::ttl;
use crate::world::{AreaId, Digest, LocatePolicy, ServiceRecords, ServiceType, TtlPolicy};

/// Why a Plan cannot be carried out. The table in force stays in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanCompileError {
    /// Made by another version.
    #[error("the Plan has format {0}, this program understands {FORMAT}: use the same version")]
    Format(u32),
    /// A list that is not there.
    #[error("the Plan is damaged: service `{service}` names list {list}")]
    NoList {
        /// Whose.
        service: String,
        /// Which.
        list: ListIndex,
    },
    /// The area `world` is missing for a service.
    #[error("the Plan is damaged: service `{0}` has no area `world`")]
    NoWorld(String),
    /// More areas than can be told apart.
    #[error("{0} areas: a table tells 65,534 apart")]
    TooManyAreas(usize),
}

/// Names a compiled list by everything that went into it.
type ListKey = (Digest, ServiceType, u32);

/// What compilations share.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    lists: BTreeMap<ListKey, Option<Arc<RingList>>>,
    /// By class of each area and of the hole.
    classes: BTreeMap<(Box<[u16]>, u16), Arc<ClassTable>>,
}

pub(super) struct Compiler<'a> {
    plan: &'a Plan,
    locator: &'a Locator,
    given: &'a GivenRecords,
    earlier: &'a Shared,
    shared: Shared,
    /// Each list's content as bytes, made when it is first wanted.
    contents: BTreeMap<ListIndex, Digest>,
    numbering: Numbering<'a>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        locator: &'a Locator,
        given: &'a GivenRecords,
        earlier: &'a Shared,
    ) -> Result<Self, PlanCompileError> {
        if plan.format != FORMAT {
            return Err(PlanCompileError::Format(plan.format));
        }
        if locator.areas.len() >= usize::from(HOLE) {
            return Err(PlanCompileError::TooManyAreas(locator.areas.len()));
        }
        let (shared, contents) = (Shared::default(), BTreeMap::new());
        let numbering = Numbering::default();
        Ok(Self { plan, locator, given, earlier, shared, contents, numbering })
    }

    /// Compiles the Plan's part for each of these services; `None` where it has none.
    pub(super) fn services(
        &mut self,
        names: &[DomainName],
    ) -> Result<Vec<Option<Arc<ServiceTable>>>, PlanCompileError> {
        let plan = self.plan;
        let by_name: BTreeMap<DomainName, &ServicePlan> = plan
            .services
            .iter()
            .filter_map(|service| Some((service.name.parse().ok()?, service)))
            .collect();
        let compile = |name| by_name.get(name).map(|it| self.service(name, it).map(Arc::new));
        names.iter().map(compile).map(Option::transpose).collect()
    }

    /// What the tables now in force share; what is no longer used is left behind.
    pub(super) fn finish(self) -> Shared {
        self.shared
    }

    fn service(
        &mut self,
        name: &DomainName,
        service: &ServicePlan,
    ) -> Result<ServiceTable, PlanCompileError> {
        let given = self.given;
        let records = given.of(name);
        let numbered = self.numbering.of(self.plan, service);
        let choosing = Choosing::new(service, &numbered, given.largest(name));
        let mut draft = Draft { decisions: Vec::new(), lists: Vec::new() };
        let mut class_of_area = vec![None; self.locator.areas.len()];
        for area in &service.areas {
            // A Plan for another configuration may name areas that are not here.
            let Some(id) = self.locator.area_of_name(area.area.as_str()) else { continue };
            class_of_area[id.index()] =
                Some(self.class((name, &records), (service, area, choosing), id, &mut draft)?);
        }
        let world = self
            .locator
            .world
            .and_then(|world| class_of_area[world.index()])
            .ok_or_else(|| PlanCompileError::NoWorld(service.name.clone()))?;
        let class_of_area: Box<[u16]> =
            class_of_area.into_iter().map(|class| class.unwrap_or(world)).collect();
        // Behind the map only a name server can decide otherwise than `world`.
        let map_at = service.locate.iter().position(|policy| *policy == LocatePolicy::Map);
        let classes = map_at.map(|at| {
            let falls_through = service.locate[at..].contains(&LocatePolicy::Nameserver);
            self.class_table(&class_of_area, if falls_through { HOLE } else { world })
        });
        let demand = service.demand.as_ref();
        let compiled = demand.map(|demand| DemandTable::compile(demand, service.ttl));
        let (demand, domains) = compiled.unzip();
        let domains = domains.unwrap_or_default();
        let ttls = ttls::compile(self.plan, service, &draft.lists, &domains);
        Ok(ServiceTable {
            locate: service.locate.as_slice().into(),
            classes,
            class_of_area,
            world,
            decisions: draft.decisions.into(),
            lists: draft.lists.into(),
            inputs: Arc::new(choosing::inputs(self.plan, service, &numbered, &mut self.numbering)),
            demand: demand.map(Arc::new),
            ttls: ttls.map(Arc::new),
            signed: None,
        })
    }

    /// The class of an area: that of an earlier area with the same decision, else a new one.
    fn class(
        &mut self,
        (name, records): (&DomainName, &ServiceRecords),
        (service, area, choosing): (&ServicePlan, &AreaPlan, Choosing<'_>),
        id: AreaId,
        draft: &mut Draft,
    ) -> Result<u16, PlanCompileError> {
        let ttl = ttl::compiled_seconds(service.ttl, area.degraded);
        let is_halved = area.degraded && matches!(service.ttl, TtlPolicy::Adaptive { .. });
        let mut lists = [None; ServiceType::ALL.len()];
        for service_type in records.types().iter() {
            let maker =
                RecordMaker { service_type, ttl, records, service: name, given: self.given };
            let parameters = RingParameters { maker, choosing, answers: service.answers };
            let compiled = if maker.is_constant() {
                self.constant(maker)
            } else if let Some(index) = list_for(area, service_type) {
                self.list(index, parameters).ok_or_else(|| PlanCompileError::NoList {
                    service: service.name.clone(),
                    list: index,
                })?
            } else {
                None
            };
            lists[service_type.index()] = compiled.map(|list| draft.place_of(list));
        }
        let decided = |other: &ClassDecision| {
            (other.ttl, other.is_halved, other.lists) == (ttl, is_halved, lists)
        };
        let class = match draft.decisions.iter().position(decided) {
            Some(class) => {
                draft.decisions[class].only_area = None;
                class
            }
            None => {
                draft.decisions.push(ClassDecision { ttl, is_halved, lists, only_area: Some(id) });
                draft.decisions.len() - 1
            }
        };
        // There are at most as many classes as areas, which were counted.
        Ok(u16::try_from(class).unwrap_or(HOLE))
    }

    /// A compiled list: the earlier one if nothing in it changed. The outer `None` is a list that
    /// the Plan lacks, the inner one a list without servers that have such a record.
    fn list(
        &mut self,
        index: ListIndex,
        parameters: RingParameters<'_>,
    ) -> Option<Option<Arc<RingList>>> {
        let list = self.plan.lists.get(index as usize)?;
        let content = self.content(index)?;
        let policies = format!("{} {:?}", parameters.choosing.key(), parameters.answers);
        let names = self.names_digest(list, parameters.maker);
        let parts = [content.as_str().as_bytes(), policies.as_bytes(), names.as_bytes()];
        let plan = self.plan;
        let compile = || RingList::compile(list, &plan.servers, parameters);
        Some(self.compiled(Digest::of(parts), parameters.maker, compile))
    }

    /// The list of a record that names no server.
    fn constant(&mut self, maker: RecordMaker<'_>) -> Option<Arc<RingList>> {
        let binding = format!("constant {:?}", maker.records.binding(maker.service_type));
        self.compiled(Digest::of([binding.as_bytes()]), maker, || RingList::constant(maker))
    }

    /// A list that was made already, in this compilation or in the earlier one, else a new one.
    fn compiled(
        &mut self,
        digest: Digest,
        maker: RecordMaker<'_>,
        compile: impl FnOnce() -> Option<RingList>,
    ) -> Option<Arc<RingList>> {
        let key = (digest, maker.service_type, maker.ttl);
        if let Some(compiled) = self.shared.lists.get(&key) {
            return compiled.clone();
        }
        let earlier = self.earlier.lists.get(&key).cloned();
        let compiled = earlier.unwrap_or_else(|| compile().map(Arc::new));
        self.shared.lists.insert(key, compiled.clone());
        compiled
    }

    /// What records that name hosts are made of beside the list; nothing for addresses, so that
    /// services share those.
    fn names_digest(&self, list: &CandidateList, maker: RecordMaker<'_>) -> String {
        let mut text = String::new();
        let records = maker.records;
        match maker.service_type {
            ServiceType::A | ServiceType::Aaaa => return text,
            ServiceType::Https | ServiceType::Svcb => {
                text.push_str(&format!("{:?}", records.binding(maker.service_type)));
            }
            ServiceType::Srv => text.push_str(&format!("{:?}", records.srv)),
            ServiceType::Mx => text.push_str(&format!("{:?}", records.mx)),
        }
        for candidate in list.groups.iter().flat_map(|group| &group.candidates) {
            let server = self.plan.servers.get(candidate.server as usize);
            match server.and_then(|server| self.given.host(maker.service, &server.name)) {
                Some(host) => text.push_str(&format!(" {host}")),
                None => text.push_str(" -"),
            }
        }
        text
    }

    /// A digest of all that compiling a list looks at, servers' places in the Plan included.
    fn content(&mut self, index: ListIndex) -> Option<Digest> {
        if let Some(digest) = self.contents.get(&index) {
            return Some(digest.clone());
        }
        let mut text = String::new();
        for group in &self.plan.lists.get(index as usize)?.groups {
            text.push_str(&format!("group {:x}\n", group.share.to_bits()));
            for candidate in &group.candidates {
                let (weight, ramp) = (candidate.weight, candidate.ramp.to_bits());
                text.push_str(&format!("{} {weight} {ramp:x}", candidate.server));
                if let Some(server) = self.plan.servers.get(candidate.server as usize) {
                    text.push_str(&format!(" {} {:?}", server.name, server.addresses));
                    if let Some(capacity) = server.capacity {
                        text.push_str(&format!(" {:x}", capacity.to_bits()));
                    }
                    text.push('\n');
                }
            }
        }
        let digest = Digest::of([text.as_bytes()]);
        self.contents.insert(index, digest.clone());
        Some(digest)
    }

    /// Services whose areas fall into the same classes share one table.
    fn class_table(&mut self, class_of_area: &[u16], hole: u16) -> Arc<ClassTable> {
        let key = (class_of_area.into(), hole);
        if let Some(classes) = self.shared.classes.get(&key) {
            return Arc::clone(classes);
        }
        let classes = self
            .earlier
            .classes
            .get(&key)
            .cloned()
            .unwrap_or_else(|| Arc::new(self.locator.map.classes(class_of_area, hole)));
        self.shared.classes.insert(key, Arc::clone(&classes));
        classes
    }
}

/// The area's candidates for a type. A Plan from before the service gave such records has none for
/// hosts: those for addresses then stand for them.
fn list_for(area: &AreaPlan, service_type: ServiceType) -> Option<ListIndex> {
    match service_type {
        ServiceType::A => area.ipv4,
        ServiceType::Aaaa => area.ipv6,
        ServiceType::Https | ServiceType::Svcb | ServiceType::Srv | ServiceType::Mx => {
            area.hosts.or(area.ipv4).or(area.ipv6)
        }
    }
}

/// A service's decisions and lists on the way.
struct Draft {
    decisions: Vec<ClassDecision>,
    lists: Vec<Arc<RingList>>,
}

impl Draft {
    fn place_of(&mut self, list: Arc<RingList>) -> u32 {
        let place = self.lists.iter().position(|other| Arc::ptr_eq(other, &list));
        let place = place.unwrap_or_else(|| {
            self.lists.push(list);
            self.lists.len() - 1
        });
        // At most six lists an area.
        u32::try_from(place).unwrap_or(u32::MAX)
    }
}
