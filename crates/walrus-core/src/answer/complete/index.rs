//! Where a name stands in our zones: RFC 1034 section 4.3.2 steps 2 and 3, with the wildcards of
//! RFC 4592.
//!
//! Names lie in canonical order, so that whatever is below a name follows it at once, and whoever
//! shares most labels with a name stands beside it. This costs a logarithm where the fast path's
//! hash table costs a constant, and shares nothing with it. What a client invents is never walked
//! label by label: a name may have 127 of them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use walrus_dns::{DomainName, record_type};

use crate::world::{ServiceType, ServiceTypes};
use crate::zone::{SetView, Sets, Zone};

/// All zones and the names of the services in them.
#[derive(Clone, Debug, Default)]
pub(in crate::answer) struct CompleteIndex {
    zones: BTreeMap<DomainName, Arc<Zone>>,
    /// Apexes of zones of ours that must not be answered yet.
    waiting: BTreeMap<DomainName, Lack>,
    /// Services that do not fit their zones, and the types that they would give.
    refused: BTreeMap<DomainName, ServiceTypes>,
    /// None of these has more labels.
    refused_labels_max: usize,
    /// No apex has more labels.
    apex_labels_max: usize,
    /// By the zone that they are in: a service makes names exist in that zone only.
    services: BTreeMap<DomainName, BTreeMap<DomainName, u32>>,
}

/// What a zone of ours lacks, so that it is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It is to be signed and is not yet: unsigned answers would be bogus to whoever knows its DS.
    /// Refused, so that resolvers ask elsewhere.
    Signatures,
    /// No content came yet from where it comes from, or what came is too old: a server failure with
    /// extended error 24 (RFC 8914 section 4.25).
    Content,
    /// There is a service at the name which does not fit what its zone holds: whatever the zone says there is
    /// not what was meant. Refused, so that resolvers ask elsewhere.
    Fit,
}

/// What there is at a name.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// No zone of ours holds the name.
    Elsewhere,
    /// The name is in a zone of ours that must not be answered yet.
    Waiting(Lack),
    /// The name is at or below a delegation.
    Delegated {
        /// The owner of the NS records.
        cut: DomainName,
        /// Those.
        nameservers: SetView<'a>,
        /// The zone that delegates.
        zone: &'a Zone,
    },
    /// A DNAME record above the name renames it (RFC 6672).
    Renamed {
        /// Whose record it is.
        owner: DomainName,
        /// That.
        dname: SetView<'a>,
        /// The zone that it is in.
        zone: &'a Zone,
    },
    /// The name exists, perhaps by a wildcard or as an empty non-terminal (no sets).
    Node {
        /// The name itself, or the wildcard that stands for it.
        source: DomainName,
        /// Its records.
        sets: Sets<'a>,
        /// Its service.
        service: Option<u32>,
        /// The zone that it is in.
        zone: &'a Zone,
    },
    /// The name does not exist.
    Nothing {
        /// The nearest name above it that does.
        encloser: DomainName,
        /// The zone that says so.
        zone: &'a Zone,
    },
}

/// Whose a name is.
enum Nearest<'a> {
    Zone(&'a Zone),
    /// A zone's that must not be answered yet.
    Waiting(Lack),
    /// Nobody's here.
    None,
}

impl<'a> Found<'a> {
    /// The zone that it was found in.
    pub(super) const fn zone(&self) -> Option<&'a Zone> {
        match self {
            Self::Elsewhere | Self::Waiting(_) => None,
            Self::Delegated { zone, .. }
            | Self::Renamed { zone, .. }
            | Self::Node { zone, .. }
            | Self::Nothing { zone, .. } => Some(zone),
        }
    }
}

impl CompleteIndex {
    /// An index over zones, and services by name. A service outside every zone is never found.
    pub(in crate::answer) fn new(
        zones: impl IntoIterator<Item = Arc<Zone>>,
        services: impl IntoIterator<Item = (DomainName, u32)>,
        waiting: BTreeMap<DomainName, Lack>,
        refused: BTreeMap<DomainName, ServiceTypes>,
    ) -> Self {
        let zones: BTreeMap<DomainName, Arc<Zone>> =
            zones.into_iter().map(|zone| (zone.apex().clone(), zone)).collect();
        let apexes = zones.keys().chain(waiting.keys());
        let apex_labels_max = apexes.map(DomainName::label_count).max().unwrap_or(0);
        let refused_labels_max = refused.keys().map(DomainName::label_count).max().unwrap_or(0);
        let services_of = BTreeMap::new();
        let mut index = Self {
            zones,
            waiting,
            refused,
            refused_labels_max,
            apex_labels_max,
            services: services_of,
        };
        for (name, service) in services {
            if let Nearest::Zone(zone) = index.nearest(&name, false) {
                let apex = zone.apex().clone();
                index.services.entry(apex).or_default().insert(name, service);
            }
        }
        index
    }

    /// What there is at `name`; DS at a delegation belongs to the delegating side (RFC 4035
    /// section 3.1.4.1).
    pub(super) fn find(&self, name: &DomainName, record_type: u16) -> Found<'_> {
        let is_ds = record_type == record_type::DS;
        let zone = match self.nearest(name, is_ds) {
            Nearest::Zone(zone) => zone,
            Nearest::Waiting(lack) => return Found::Waiting(lack),
            Nearest::None => return Found::Elsewhere,
        };
        let encloser = self.closest_encloser(zone, name);
        // A delegation exists, so it is not below what exists; nor is a DNAME record.
        match cut_above(zone, &encloser, name) {
            Some(Cut::Delegated(cut, nameservers)) if !(is_ds && cut == *name) => {
                return Found::Delegated { cut, nameservers, zone };
            }
            Some(Cut::Renamed(owner, dname)) => return Found::Renamed { owner, dname, zone },
            _ => {}
        }
        if self.is_refused(name, &encloser, record_type) {
            return Found::Waiting(Lack::Fit);
        }
        if encloser == *name {
            return self.node(zone, encloser);
        }
        // RFC 4592 section 3.3.1: the wildcard at the closest encloser, and no other. A wildcard
        // may itself be an empty non-terminal (section 4.9 asks for nothing special there).
        let wildcard = encloser.wildcard();
        match wildcard.filter(|wildcard| self.closest_encloser(zone, wildcard) == *wildcard) {
            Some(wildcard) => self.node(zone, wildcard),
            None => Found::Nothing { encloser, zone },
        }
    }

    /// Whether a service that is refused would give this, at the name itself or by a wildcard.
    fn is_refused(&self, name: &DomainName, encloser: &DomainName, record_type: u16) -> bool {
        let Some(service_type) = ServiceType::of(record_type) else { return false };
        if self.refused.is_empty() {
            return false;
        }
        let gives =
            |name: &DomainName| self.refused.get(name).is_some_and(|types| types.has(service_type));
        if encloser == name || gives(name) {
            return gives(name);
        }
        let nearest = name.suffix(self.refused_labels_max);
        std::iter::successors(Some(nearest), DomainName::parent)
            .filter(|above| above != name)
            .take_while(|above| above.is_within(encloser))
            .filter_map(|above| above.wildcard())
            .any(|wildcard| gives(&wildcard))
    }

    /// The zone nearest to the name; for a DS query at an apex the one above, if it is ours too.
    fn nearest(&self, name: &DomainName, is_ds: bool) -> Nearest<'_> {
        let nearest = name.suffix(self.apex_labels_max);
        let ancestors = std::iter::successors(Some(nearest), DomainName::parent);
        let mut zones = ancestors.filter_map(|ancestor| match self.zones.get(&ancestor) {
            Some(zone) => Some((Nearest::Zone(zone), ancestor)),
            None => {
                let lack = self.waiting.get(&ancestor)?;
                Some((Nearest::Waiting(*lack), ancestor))
            }
        });
        let Some((nearest, apex)) = zones.next() else { return Nearest::None };
        let above = if is_ds && apex == *name { zones.next() } else { None };
        above.map_or(nearest, |(above, _)| above)
    }

    fn node<'a>(&'a self, zone: &'a Zone, source: DomainName) -> Found<'a> {
        let sets = zone.sets(&source);
        let service =
            self.services.get(zone.apex()).and_then(|services| services.get(&source)).copied();
        Found::Node { source, sets, service, zone }
    }

    /// The nearest name that exists, the name itself or one above it in the zone.
    fn closest_encloser(&self, zone: &Zone, name: &DomainName) -> DomainName {
        let statics = shared_with(name, zone.at_or_before(name), zone.after(name));
        let services = self.services.get(zone.apex()).map_or(0, |services| {
            let before = services.range((Bound::Unbounded, Bound::Included(name))).next_back();
            let after = services.range((Bound::Excluded(name), Bound::Unbounded)).next();
            let cloned = |(name, _): (&DomainName, _)| name.clone();
            shared_with(name, before.map(cloned), after.map(cloned))
        });
        name.suffix(statics.max(services).max(zone.apex().label_count()))
    }
}

/// The most labels that a name shares with one of its neighbours: all of them if it is there or
/// anything below it is (then it is an empty non-terminal).
fn shared_with(name: &DomainName, before: Option<DomainName>, after: Option<DomainName>) -> usize {
    let shared = |other: DomainName| {
        let pairs = name.labels().rev().zip(other.labels().rev());
        pairs.take_while(|(one, other)| one == other).count()
    };
    before.map_or(0, shared).max(after.map_or(0, shared))
}

/// What takes names away from a zone.
enum Cut<'a> {
    /// NS records, and their owner.
    Delegated(DomainName, SetView<'a>),
    /// A DNAME record, and its owner.
    Renamed(DomainName, SetView<'a>),
}

/// The topmost delegation or DNAME record at or above a name that exists, of which `name` is asked for: a
/// DNAME record renames what is below it, not its owner (RFC 6672 section 2.3).
fn cut_above<'a>(zone: &'a Zone, encloser: &DomainName, name: &DomainName) -> Option<Cut<'a>> {
    let mut found = None;
    for ancestor in std::iter::successors(Some(encloser.clone()), DomainName::parent) {
        let (sets, is_apex) = (zone.sets(&ancestor), ancestor == *zone.apex());
        let nameservers = sets.of_type(record_type::NS).filter(|_| !is_apex);
        let dname = sets.of_type(record_type::DNAME).filter(|_| ancestor != *name);
        match (nameservers, dname) {
            (Some(nameservers), _) => found = Some(Cut::Delegated(ancestor, nameservers)),
            (None, Some(dname)) => found = Some(Cut::Renamed(ancestor, dname)),
            (None, None) => {}
        }
        if is_apex {
            break;
        }
    }
    found
}
