//! What a zone's records must be together: one SOA, a CNAME alone, nothing below a delegation.

use std::collections::BTreeSet;

use domain::base::iana::Rtype;
use walrus_dns::DomainName;
use walrus_dns::record_type::{A, AAAA, CNAME, DNAME, DS, MX, NS, NSEC, SOA, SRV};

use super::collect::Collected;
use super::{Notes, Place};
use crate::zone::{SetView, Sets, Zone};

/// Says what is wrong with a zone; if there are errors it is not to be used.
pub(super) fn check(collected: &Collected, notes: &mut Notes) {
    let Collected { zone, places } = collected;
    let mut check = Check { zone, targets: None, cut: None };
    check.apex(places, notes);
    let mut rest = places.as_slice();
    for (_, node) in zone.arena().iter() {
        let sets = node.sets();
        let Some((places, others)) = rest.split_at_checked(sets.count()) else { return };
        rest = others;
        let node = Node { owner: node.name(), sets, places };
        if node.sets.count() == 1
            && check.cut.is_none()
            && !node.has_any(&[NS, MX, SRV, SOA, CNAME, DNAME])
        {
            // Nothing can be wrong.
            continue;
        }
        check.soa(&node, notes);
        check.cnames(&node, notes);
        check.dnames(&node, notes);
        check.cuts(&node, notes);
        check.targets(&node, notes);
    }
}

struct Check<'z> {
    zone: &'z Zone,
    /// Names of name servers, once a delegation needs them.
    targets: Option<BTreeSet<DomainName>>,
    /// The delegation that the last name was at or below.
    cut: Option<DomainName>,
}

/// All sets of one name.
struct Node<'z> {
    /// Relative to the apex.
    owner: &'z [u8],
    sets: Sets<'z>,
    /// Where each set begins.
    places: &'z [Place],
}

impl Node<'_> {
    fn place_of(&self, record_type: u16) -> Option<Place> {
        let index = self.sets.iter().position(|set| set.record_type() == record_type)?;
        self.places.get(index).copied()
    }

    fn has(&self, record_type: u16) -> bool {
        self.sets.of_type(record_type).is_some()
    }

    fn has_any(&self, types: &[u16]) -> bool {
        self.sets.iter().any(|set| types.contains(&set.record_type()))
    }

    fn is_apex(&self) -> bool {
        self.owner.is_empty()
    }
}

impl Check<'_> {
    fn apex(&self, places: &[Place], notes: &mut Notes) {
        let apex = self.zone.apex();
        // The apex comes first.
        let node = Node { owner: &[], sets: self.zone.sets(apex), places };
        match node.sets.of_type(SOA) {
            None => {
                let message = format!("no SOA record at {apex}: a zone begins with one");
                notes.error(Place::ZONE, 0, message);
            }
            Some(set) if set.record_count() > 1 => {
                let message = format!("{apex} has more than one SOA record: keep one");
                notes.error(node.place_of(SOA).unwrap_or(Place::ZONE), 1, message);
            }
            Some(_) => {}
        }
        if !node.has(NS) {
            let message = format!("no NS record at {apex}: name the zone's name servers");
            notes.error(Place::ZONE, 0, message);
        }
    }

    fn soa(&self, node: &Node<'_>, notes: &mut Notes) {
        if let Some(place) = node.place_of(SOA).filter(|_| !node.is_apex()) {
            let owner = self.zone.absolute(node.owner);
            let apex = self.zone.apex();
            notes.error(place, 1, format!("{owner} has an SOA record, but the zone is {apex}"));
        }
    }

    /// A CNAME stands alone (RFC 1034 section 3.6.2) and once (RFC 2181 section 10.1), but for its
    /// NSEC record (RFC 4034 section 4).
    fn cnames(&self, node: &Node<'_>, notes: &mut Notes) {
        let Some(set) = node.sets.of_type(CNAME) else { return };
        let Some(place) = node.place_of(CNAME) else { return };
        let owner = || self.zone.absolute(node.owner);
        if set.record_count() > 1 {
            let message = format!("{} has more than one CNAME record: keep one", owner());
            notes.error(place, 1, message);
        }
        let mut others = node.sets.iter().zip(node.places);
        let other = others.find(|(set, _)| ![CNAME, NSEC].contains(&set.record_type()));
        if let Some((other, other_place)) = other {
            let record_type = type_name(other.record_type());
            let message = format!(
                "{} has a CNAME record and beside it {record_type}: a CNAME stands alone",
                owner()
            );
            notes.error(place.max(*other_place), 1, message);
        }
    }

    /// There is one DNAME at a name (RFC 6672 section 2.4).
    fn dnames(&self, node: &Node<'_>, notes: &mut Notes) {
        let is_more = |set: SetView<'_>| set.record_count() > 1;
        if node.sets.of_type(DNAME).is_some_and(is_more)
            && let Some(place) = node.place_of(DNAME)
        {
            let owner = self.zone.absolute(node.owner);
            notes.error(place, 1, format!("{owner} has more than one DNAME record: keep one"));
        }
    }

    /// At a delegation stand NS and DS, below it nothing but the addresses of name servers (RFC
    /// 1034 section 4.2.1).
    fn cuts(&mut self, node: &Node<'_>, notes: &mut Notes) {
        if node.is_apex() || (self.cut.is_none() && !node.has(NS)) {
            return;
        }
        let owner = self.zone.absolute(node.owner);
        if self.cut.as_ref().is_some_and(|cut| !owner.is_within(cut)) {
            self.cut = None;
        }
        let is_cut = self.cut.is_none() && node.has(NS);
        if is_cut {
            self.cut = Some(owner.clone());
            if owner.is_wildcard() {
                let message = format!(
                    "{owner} delegates by a wildcard, which has no meaning (RFC 4592 section 4.2): \
                     delegate each name"
                );
                notes.occluded(node.places.first().copied().unwrap_or(Place::ZONE), message);
            }
        }
        let Some(cut) = &self.cut else { return };
        let targets = self.targets.get_or_insert_with(|| nameservers(self.zone));
        let is_target = targets.contains(&owner);
        for (set, place) in node.sets.iter().zip(node.places) {
            match set.record_type() {
                NS | DS | NSEC if is_cut => {}
                A | AAAA if is_target => {}
                A | AAAA => {
                    let message = format!(
                        "{owner} stands below the delegation of {cut} and is none of its name \
                         servers: it is never answered"
                    );
                    notes.warning(*place, message);
                }
                other => {
                    let record_type = type_name(other);
                    let relation = if is_cut { "at" } else { "below" };
                    let message = format!(
                        "{owner} has a {record_type} record {relation} the delegation of {cut}: \
                         only the delegated zone may hold it"
                    );
                    notes.occluded(*place, message);
                }
            }
        }
    }

    /// NS, MX and SRV records name no alias (RFC 2181 section 10.3), and a name server in this zone
    /// has an address in it.
    fn targets(&self, node: &Node<'_>, notes: &mut Notes) {
        let apex = self.zone.apex();
        for (set, place) in node.sets.iter().zip(node.places) {
            let skip = match set.record_type() {
                NS => 0,
                MX => 2,
                SRV => 6,
                _ => continue,
            };
            let owner = self.zone.absolute(node.owner);
            for data in set.data() {
                let target = data.get(skip..).and_then(|name| DomainName::from_wire(name).ok());
                let Some(target) = target.filter(|target| target.is_within(apex)) else { continue };
                let record_type = type_name(set.record_type());
                let found = self.zone.sets(&target);
                let has_address = || [A, AAAA].iter().any(|kind| found.of_type(*kind).is_some());
                if found.of_type(CNAME).is_some() {
                    let message = format!(
                        "{record_type} of {owner} names {target}, which is a CNAME: name its target \
                         (RFC 2181 section 10.3)"
                    );
                    notes.warning(*place, message);
                } else if set.record_type() == NS
                    && (node.is_apex() || target.is_within(&owner))
                    && !has_address()
                {
                    let message =
                        format!("NS of {owner} names {target}, which has no address in this file");
                    notes.warning(*place, message);
                }
            }
        }
    }
}

fn nameservers(zone: &Zone) -> BTreeSet<DomainName> {
    let nodes = zone.arena().iter();
    let sets = nodes.filter_map(|(_, node)| node.sets().of_type(NS));
    sets.flat_map(|set| set.data()).filter_map(|data| DomainName::from_wire(data).ok()).collect()
}

pub(super) fn type_name(record_type: u16) -> Rtype {
    Rtype::from_int(record_type)
}
