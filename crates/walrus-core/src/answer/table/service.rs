//! One service's part of a Plan: client to class, class to what is decided, that to answer sets.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::demand::DemandTable;
use super::locate::Locator;
use super::ring::RingList;
use super::signed_list::SignedLists;
use crate::map::ClassTable;
use crate::policy::choose::{AskingDomain, ChooseInputs};
use crate::policy::ttl::AdaptiveTtls;
use crate::world::{AreaId, LocatePolicy, ServiceType, ServiceTypes};

/// The class of addresses that the map knows no area for, where a later policy decides.
pub(super) const HOLE: u16 = u16::MAX;

/// A service compiled from a Plan. Areas with the same decision are one *class*.
#[derive(Clone, Debug)]
pub struct ServiceTable {
    pub(super) locate: Box<[LocatePolicy]>,
    /// Client address to class; `None` if the map plays no part.
    pub(super) classes: Option<Arc<ClassTable>>,
    pub(super) class_of_area: Box<[u16]>,
    /// Whoever no area holds.
    pub(super) world: u16,
    /// By class.
    pub(super) decisions: Box<[ClassDecision]>,
    pub(super) lists: Box<[Arc<RingList>]>,
    /// What the `choose` stage looks at beside them.
    pub(super) inputs: Arc<ChooseInputs>,
    /// Who asks how much, if a stage wants to know.
    pub(super) demand: Option<Arc<DemandTable>>,
    /// What becomes of the lists' TTLs, if that depends on who asks or who is chosen.
    pub(super) ttls: Option<Arc<AdaptiveTtls>>,
    /// What is answered in a signed zone: the lists' sets as far as they are signed.
    pub(super) signed: Option<Arc<SignedLists>>,
}

/// What a class of areas is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassDecision {
    /// Seconds; the longest, if the TTL is adaptive.
    pub ttl: u32,
    /// An adaptive TTL is halved: the areas are worse off than they should be.
    pub(super) is_halved: bool,
    /// By [`ServiceType::index`], among [`ServiceTable::lists`]; `None` is NODATA.
    pub(super) lists: [Option<u32>; ServiceType::ALL.len()],
    /// The area, if only one has this decision.
    pub(super) only_area: Option<AreaId>,
}

impl ClassDecision {
    /// Whether an adaptive TTL is halved; a constant one is already.
    pub(in crate::answer) const fn is_halved(&self) -> bool {
        self.is_halved
    }

    /// Whether there are addresses of both families.
    #[inline]
    pub(in crate::answer) const fn has_both_families(&self) -> bool {
        self.list(ServiceType::A).is_some() && self.list(ServiceType::Aaaa).is_some()
    }

    /// Whether load follows an answer of this type: whoever asks how to connect (HTTPS, SVCB) asks
    /// for addresses as well, and is counted there.
    #[inline]
    pub(in crate::answer) const fn brings_load(&self, service_type: ServiceType) -> bool {
        let has_addresses =
            self.list(ServiceType::A).is_some() || self.list(ServiceType::Aaaa).is_some();
        !(has_addresses && matches!(service_type, ServiceType::Https | ServiceType::Svcb))
    }

    /// The list for a type of record, among [`ServiceTable::lists`]; `None` is NODATA.
    #[must_use]
    pub const fn list(&self, service_type: ServiceType) -> Option<u32> {
        self.lists[service_type.index()]
    }
}

/// Where a client was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::answer) struct Located {
    /// Below the number of decisions.
    pub(in crate::answer) class: u16,
    /// `None` if the class holds several areas and the map was what found it: ask the map.
    pub(in crate::answer) area: Option<AreaId>,
    /// The widest prefix, in bits, around the client's address that is decided alike; 0 if its
    /// address played no part.
    pub(in crate::answer) prefix_len: u8,
    /// Which policy found it; `None` is the area `world`, for want of any.
    pub(in crate::answer) by: Option<LocatePolicy>,
}

impl ServiceTable {
    /// What each class is answered with.
    #[must_use]
    pub fn decisions(&self) -> &[ClassDecision] {
        &self.decisions
    }

    /// What clients in an area are answered with.
    pub(in crate::answer) fn decision_of(&self, area: AreaId) -> Option<&ClassDecision> {
        self.decisions.get(usize::from(*self.class_of_area.get(area.index())?))
    }

    /// What is answered in a signed zone; `None` in one that is not.
    #[inline]
    pub(in crate::answer) fn signed(&self) -> Option<&SignedLists> {
        self.signed.as_deref()
    }

    /// Candidate lists, shared with other services where they are alike.
    #[must_use]
    pub fn lists(&self) -> &[Arc<RingList>] {
        &self.lists
    }

    /// What the `choose` stage looks at beside the lists.
    #[must_use]
    pub fn inputs(&self) -> &ChooseInputs {
        &self.inputs
    }

    /// Who asks how much; `None` if no stage wants to know.
    #[inline]
    #[must_use]
    pub fn demand(&self) -> Option<&DemandTable> {
        self.demand.as_deref()
    }

    /// What becomes of the TTL; `None` if it is constant.
    #[inline]
    pub(in crate::answer) fn ttls(&self) -> Option<&AdaptiveTtls> {
        self.ttls.as_deref()
    }

    /// Who asks, as far as the service's policy looks at it.
    #[inline]
    pub(in crate::answer) fn asking(
        &self,
        resolver: IpAddr,
        subnet: Option<(IpAddr, u8)>,
    ) -> AskingDomain {
        let by_ttl = self.ttls().is_some_and(AdaptiveTtls::looks_at_domains);
        if !by_ttl && !self.inputs.policy.looks_at_domain() {
            return AskingDomain::unknown(0);
        }
        match &self.demand {
            Some(demand) => demand.asking(resolver, subnet),
            None => AskingDomain::of(resolver, subnet),
        }
    }

    /// Whether clients are looked up in more memory than a near cache is likely to hold.
    pub(super) fn looks_far(&self) -> bool {
        self.classes.as_ref().is_some_and(|classes| classes.is_large())
    }

    /// Finds the class of a client: the policies in order, the first hit wins, then `world`.
    #[inline]
    pub(in crate::answer) fn locate(
        &self,
        locator: &Locator,
        address: IpAddr,
        local: SocketAddr,
    ) -> Located {
        let mut prefix_len = 0;
        for policy in &self.locate {
            match (policy, &self.classes) {
                (LocatePolicy::Map, Some(classes)) => {
                    let hit = classes.lookup(address);
                    // A fallback decides the same for the whole hole in the map.
                    prefix_len = hit.prefix_len;
                    if hit.class != HOLE {
                        let area = self.only_area(hit.class);
                        return Located { class: hit.class, area, prefix_len, by: Some(*policy) };
                    }
                }
                (LocatePolicy::Map, None) => {}
                (LocatePolicy::Nameserver, _) => {
                    if let Some(area) = locator.nameserver(local)
                        && let Some(class) = self.class_of_area.get(area.index())
                    {
                        let (class, area) = (*class, Some(area));
                        return Located { class, area, prefix_len, by: Some(*policy) };
                    }
                }
            }
        }
        Located { class: self.world, area: locator.world, prefix_len, by: None }
    }

    /// Whether every class has a list for each of these types.
    pub(super) fn has_all(&self, types: ServiceTypes) -> bool {
        let has = |decision: &ClassDecision| types.iter().all(|it| decision.list(it).is_some());
        self.decisions.iter().all(has)
    }

    fn only_area(&self, class: u16) -> Option<AreaId> {
        self.decisions.get(usize::from(class))?.only_area
    }

    /// Whether this is the same table built from the same shared parts: then the older one stays,
    /// and with it the workers' positions.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let same_classes = match (&self.classes, &other.classes) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (None, None) => true,
            _ => false,
        };
        let same_lists = self.lists.len() == other.lists.len()
            && self.lists.iter().zip(&other.lists).all(|(one, two)| Arc::ptr_eq(one, two));
        same_classes
            && same_lists
            && self.locate == other.locate
            && self.class_of_area == other.class_of_area
            && self.world == other.world
            && self.decisions == other.decisions
            && self.demand == other.demand
            && self.inputs.is_same(&other.inputs)
            && self.ttls == other.ttls
    }
}
