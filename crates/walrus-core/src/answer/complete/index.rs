//! Where a name stands in our zones: RFC 1034 section 4.3.2 steps 2 and 3, with the wildcards of
//! RFC 4592.
//!
//! Names lie in canonical order, so that whatever is below a name follows it at once. This costs
//! a logarithm where the fast path's hash table costs a constant, and shares nothing with it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use walrus_dns::{DomainName, record_type};

use crate::answer::{RecordSet, Zone};

/// All zones and the names of the services in them.
#[derive(Clone, Debug, Default)]
pub(in crate::answer) struct CompleteIndex {
    zones: BTreeMap<DomainName, Arc<Zone>>,
    /// By the zone that they are in: a service makes names exist in that zone only.
    services: BTreeMap<DomainName, BTreeMap<DomainName, u32>>,
}

/// What there is at a name.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// No zone of ours holds the name.
    Elsewhere,
    /// The name is at or below a delegation.
    Delegated {
        /// The owner of the NS records.
        cut: &'a DomainName,
        /// Those.
        nameservers: &'a RecordSet,
        /// The zone that delegates.
        zone: &'a Zone,
    },
    /// The name exists, perhaps by a wildcard or as an empty non-terminal (no sets).
    Node {
        /// Its records.
        sets: &'a [RecordSet],
        /// Its service.
        service: Option<u32>,
        /// The zone that it is in.
        zone: &'a Zone,
    },
    /// The name does not exist.
    Nothing {
        /// The zone that says so.
        zone: &'a Zone,
    },
}

impl CompleteIndex {
    /// An index over zones, and services by name. A service outside every zone is never found.
    pub(in crate::answer) fn new(
        zones: impl IntoIterator<Item = Arc<Zone>>,
        services: impl IntoIterator<Item = (DomainName, u32)>,
    ) -> Self {
        let zones = zones.into_iter().map(|zone| (zone.apex.clone(), zone)).collect();
        let mut index = Self { zones, services: BTreeMap::new() };
        for (name, service) in services {
            if let Some(zone) = index.zone_of(&name, false) {
                let apex = zone.apex.clone();
                index.services.entry(apex).or_default().insert(name, service);
            }
        }
        index
    }

    /// What there is at `name`; DS at a delegation belongs to the delegating side (RFC 4035
    /// section 3.1.4.1).
    pub(super) fn find(&self, name: &DomainName, record_type: u16) -> Found<'_> {
        let is_ds = record_type == record_type::DS;
        let Some(zone) = self.zone_of(name, is_ds) else { return Found::Elsewhere };
        if let Some((cut, nameservers)) = delegation(zone, name, is_ds) {
            return Found::Delegated { cut, nameservers, zone };
        }
        if self.exists(zone, name) {
            return self.node(zone, name);
        }
        // RFC 4592 section 3.3.1: the wildcard at the closest encloser, and no other. A wildcard
        // may itself be an empty non-terminal (section 4.9 asks for nothing special there).
        let wildcard = self.closest_encloser(zone, name).wildcard();
        match wildcard.filter(|wildcard| self.exists(zone, wildcard)) {
            Some(wildcard) => self.node(zone, &wildcard),
            None => Found::Nothing { zone },
        }
    }

    /// The zone nearest to the name; for a DS query at an apex the one above, if it is ours too.
    fn zone_of(&self, name: &DomainName, is_ds: bool) -> Option<&Zone> {
        let ancestors = std::iter::successors(Some(name.clone()), DomainName::parent);
        let mut zones = ancestors.filter_map(|ancestor| self.zones.get(&ancestor));
        let nearest = zones.next()?;
        let above = if is_ds && nearest.apex == *name { zones.next() } else { None };
        Some(above.unwrap_or(nearest))
    }

    fn exists(&self, zone: &Zone, name: &DomainName) -> bool {
        let services = self.services.get(&zone.apex);
        name_or_below(&zone.names, name)
            || services.is_some_and(|services| name_or_below(services, name))
    }

    fn node<'a>(&'a self, zone: &'a Zone, name: &DomainName) -> Found<'a> {
        let sets = zone.names.get(name).map_or(&[][..], Vec::as_slice);
        let service =
            self.services.get(&zone.apex).and_then(|services| services.get(name)).copied();
        Found::Node { sets, service, zone }
    }

    fn closest_encloser(&self, zone: &Zone, name: &DomainName) -> DomainName {
        let ancestors = std::iter::successors(name.parent(), DomainName::parent);
        let mut above = ancestors.take_while(|ancestor| ancestor.is_within(&zone.apex));
        above.find(|ancestor| self.exists(zone, ancestor)).unwrap_or_else(|| zone.apex.clone())
    }
}

/// Whether a map has the name or anything below it (then the name is an empty non-terminal).
fn name_or_below<T>(map: &BTreeMap<DomainName, T>, name: &DomainName) -> bool {
    let mut from = map.range((Bound::Included(name), Bound::Unbounded));
    from.next().is_some_and(|(found, _)| found.is_within(name))
}

/// The topmost delegation at or above `name` in the zone.
fn delegation<'a>(
    zone: &'a Zone,
    name: &DomainName,
    is_ds: bool,
) -> Option<(&'a DomainName, &'a RecordSet)> {
    let ancestors = std::iter::successors(Some(name.clone()), DomainName::parent);
    let below_apex = ancestors.take_while(|ancestor| *ancestor != zone.apex);
    let cuts = below_apex.filter_map(|ancestor| {
        let (owner, sets) = zone.names.get_key_value(&ancestor)?;
        let nameservers = sets.iter().find(|set| set.record_type == record_type::NS)?;
        Some((owner, nameservers))
    });
    cuts.last().filter(|(cut, _)| !(is_ds && *cut == name))
}
