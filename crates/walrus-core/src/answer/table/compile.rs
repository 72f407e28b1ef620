//! Zones into a [`ZoneTable`]: who owns which name, what is cut off, records as bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use walrus_dns::{DomainName, record_type, split_label};

use super::slots::{self, Place, Slots};
use super::zone_table::{NO_SERVICE, OWN, OWN_HEAD_LEN, Soa, ZoneHead, ZoneTable, flags};
use crate::answer::complete::{CompleteIndex, Lack};
use crate::world::ServiceTypes;
use crate::zone::Zone;
use crate::zone::arena::Node;
use crate::zone::builder::{Unfit, is_below, split_name};

/// Why zones and services do not make a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneCompileError {
    /// The same apex twice.
    #[error("zone `{0}` is given twice: keep one")]
    Twice(DomainName),
    /// No SOA record, or one that cannot be read.
    #[error("zone `{0}` has no readable SOA record at its apex")]
    NoSoa(DomainName),
    /// A service outside all zones.
    #[error("service `{0}` lies in none of the zones: add its zone")]
    ServiceOutside(DomainName),
    /// A service at or below a delegation or below a DNAME.
    #[error("service `{0}` lies in a part of the zone that is delegated away")]
    ServiceCutOff(DomainName),
    /// A service where a CNAME stands.
    #[error("service `{0}` has a CNAME record in the zone file: remove it")]
    ServiceAtCname(DomainName),
    /// The same service twice.
    #[error("service `{0}` is given twice: keep one")]
    ServiceTwice(DomainName),
    /// More than [`ZONES_MAX`] zones.
    #[error("{0} zones: a table holds {ZONES_MAX}")]
    TooManyZones(usize),
    /// A record set that no reply can hold.
    #[error("`{name}` has too many records of type {record_type}: a reply holds 65,535 bytes")]
    SetTooLarge {
        /// Where.
        name: DomainName,
        /// Of which type.
        record_type: u16,
    },
    /// More than 255 types at a name.
    #[error("`{0}` has more than 255 types of records")]
    TooManyTypes(DomainName),
    /// More than four gigabytes.
    #[error("the zones take more than 4 GiB: split them over several name servers")]
    TooLarge,
}

/// Zones that a table can number.
pub const ZONES_MAX: usize = OWN as usize - 1;

/// In the place of a zone's number: a zone that waits. There are never so many zones.
const WAITS: u16 = OWN;

pub(super) fn compile(
    zones: &[Arc<Zone>],
    services: &[DomainName],
    waiting: &BTreeMap<DomainName, Lack>,
    refused: &BTreeMap<DomainName, ServiceTypes>,
) -> Result<ZoneTable, ZoneCompileError> {
    if zones.len() > ZONES_MAX {
        return Err(ZoneCompileError::TooManyZones(zones.len()));
    }
    let mut apexes = BTreeMap::new();
    for (index, zone) in (0..).zip(zones) {
        if apexes.insert(zone.apex().as_wire(), index).is_some() {
            return Err(ZoneCompileError::Twice(zone.apex().clone()));
        }
        if let Some(unfit) = zone.unfit().first() {
            return Err(unfit.clone().into());
        }
    }
    for apex in waiting.keys() {
        if apexes.insert(apex.as_wire(), WAITS).is_some() {
            return Err(ZoneCompileError::Twice(apex.clone()));
        }
    }
    let names = zones.iter().map(|zone| zone.name_count()).sum::<usize>() + services.len();
    let table = ZoneTable {
        slots: Slots::with_capacity(names),
        own: Vec::new(),
        zones: zones.iter().map(zone_head).collect::<Result<_, _>>()?,
        services: services.into(),
        labels_max: 0,
        names: 0,
        complete: CompleteIndex::new(
            zones.iter().cloned(),
            services.iter().cloned().zip(0..),
            waiting.clone(),
            refused.clone(),
        ),
    };
    let mut builder = Builder { holders: holders(&apexes), apexes, table };
    for (index, zone) in (0..).zip(zones) {
        builder.add_zone(index, zone);
    }
    for apex in waiting.keys() {
        builder.add_waiting(apex);
    }
    for zone in zones {
        // Perhaps a wildcard below another zone's name.
        builder.mark_above(zone.apex().as_wire());
    }
    for (index, service) in (0..).zip(services) {
        builder.add_service(index, service)?;
    }
    for service in refused.keys() {
        builder.add_refused(service);
    }
    let mut table = builder.table;
    table.own.shrink_to_fit();
    if u32::try_from(table.own.len()).is_ok_and(|len| len < u32::MAX) {
        Ok(table)
    } else {
        Err(ZoneCompileError::TooLarge)
    }
}

struct Builder<'a> {
    /// From an apex to its zone's index.
    apexes: BTreeMap<&'a [u8], u16>,
    holders: BTreeSet<u16>,
    table: ZoneTable,
}

impl<'a> Builder<'a> {
    fn add_zone(&mut self, index: u16, zone: &'a Arc<Zone>) {
        let apex = zone.apex().as_wire();
        let apex_labels = label_count(apex);
        // Names at or below another zone's apex belong to that zone.
        let holds_zones = self.holders.contains(&index);
        let mut name = Vec::with_capacity(255);
        let mut before: &[u8] = &[];
        let mut cut: Option<&[u8]> = None;
        for (at, node) in zone.arena().iter() {
            let relative = node.name();
            let place = Place { run: index, at };
            // Names come in canonical order, so what is below a cut follows it at once.
            cut = cut.filter(|cut| is_below(relative, cut));
            let is_below_cut = cut.is_some();
            if !is_below_cut && cuts_off(node) {
                cut = Some(relative);
            }
            absolute(relative, apex, &mut name);
            self.table.labels_max = self.table.labels_max.max(label_count(relative) + apex_labels);
            if parent(relative).is_some_and(|above| !above.is_empty()) {
                let marks = if is_below_cut { flags::CUT } else { 0 };
                self.add_ancestors(index, zone, relative, before, marks);
            }
            before = relative;
            if holds_zones && self.owner(&name) != Some(index) {
                continue;
            }
            self.insert(&name, place);
            let leads_inside =
                self.apexes.len() > 1 && node.flags() & flags::CNAME_OUTSIDE != 0 && {
                    let target = node.sets().of_type(record_type::CNAME);
                    let target = target.and_then(|set| set.data().next());
                    target.is_some_and(|target| self.owner(&target.to_ascii_lowercase()).is_some())
                };
            if leads_inside {
                let marks = node.flags() & !flags::CNAME_OUTSIDE | flags::CNAME_INSIDE;
                self.replace(&name, place, marks, NO_SERVICE);
            }
            self.mark_above(&name);
        }
    }

    /// Marks the apex of a zone that waits: what is there and below is for the complete path.
    fn add_waiting(&mut self, apex: &DomainName) {
        let name = apex.as_wire();
        self.table.labels_max = self.table.labels_max.max(label_count(name));
        self.add_own(name, WAITS, flags::CUT, NO_SERVICE);
    }

    /// Leaves what is asked at a service's name to the complete path, which refuses what the service would give.
    fn add_refused(&mut self, service: &DomainName) {
        let name = service.as_wire();
        // A wildcard's names are those below the name above it.
        for name in [name.strip_prefix(&[1, b'*']), Some(name)].into_iter().flatten() {
            match self.table.find_place(name) {
                Some((place, entry)) => {
                    let marks = entry.node().flags();
                    self.replace(name, place, marks | flags::CUT, NO_SERVICE);
                }
                None => {
                    let Some(zone) = self.owner(name).filter(|zone| *zone != WAITS) else { return };
                    self.table.labels_max = self.table.labels_max.max(label_count(name));
                    self.add_own(name, zone, flags::CUT, NO_SERVICE);
                }
            }
        }
    }

    /// Adds the empty non-terminals between a name and its zone's apex, from the top. In canonical
    /// order a name above this one that has records came before, and whatever is above the name
    /// `before` is already there.
    fn add_ancestors(
        &mut self,
        index: u16,
        zone: &Zone,
        relative: &'a [u8],
        before: &[u8],
        marks: u8,
    ) {
        let above = std::iter::successors(parent(relative), |name| parent(name));
        let missing: Vec<&[u8]> = above
            .take_while(|name| !name.is_empty() && *name != before && !is_below(before, name))
            .collect();
        for relative in missing.into_iter().rev() {
            let mut name = Vec::with_capacity(255);
            absolute(relative, zone.apex().as_wire(), &mut name);
            // Where another zone of ours begins in between, above it this zone's names go on.
            if self.owner(&name) == Some(index) {
                self.add_own(&name, index, marks, NO_SERVICE);
            }
        }
    }

    fn add_service(&mut self, index: u32, service: &DomainName) -> Result<(), ZoneCompileError> {
        let name = service.as_wire();
        let outside = || ZoneCompileError::ServiceOutside(service.clone());
        let zone = self.owner(name).filter(|zone| *zone != WAITS).ok_or_else(outside)?;
        let above = std::iter::successors(Some(name), |name| parent(name));
        let missing: Vec<&[u8]> =
            above.take_while(|name| self.table.find(name).is_none()).collect();
        let encloser = match missing.last() {
            None => Some(name),
            Some(name) => parent(name),
        };
        let encloser = encloser.and_then(|name| self.table.find(name)).ok_or_else(outside)?;
        let renamed = encloser.node().sets().of_type(record_type::DNAME).is_some();
        if encloser.has(flags::CUT) || (renamed && !missing.is_empty()) {
            return Err(ZoneCompileError::ServiceCutOff(service.clone()));
        }
        if missing.is_empty() {
            if encloser.has(flags::CNAME_INSIDE | flags::CNAME_OUTSIDE) {
                return Err(ZoneCompileError::ServiceAtCname(service.clone()));
            }
            if encloser.service().is_some() {
                return Err(ZoneCompileError::ServiceTwice(service.clone()));
            }
        }
        self.table.labels_max = self.table.labels_max.max(label_count(name));
        // From the top down, so that every name above is there when a wildcard marks it.
        for missing in missing.into_iter().rev() {
            self.add_own(missing, zone, 0, NO_SERVICE);
        }
        if let Some((place, entry)) = self.table.find_place(name) {
            let marks = entry.node().flags();
            self.replace(name, place, marks, index);
        }
        Ok(())
    }

    /// The zone that a name belongs to: the one with the nearest apex.
    fn owner(&self, name: &[u8]) -> Option<u16> {
        let mut above = std::iter::successors(Some(name), |name| parent(name));
        above.find_map(|name| self.apexes.get(name).copied())
    }

    fn insert(&mut self, name: &[u8], place: Place) {
        let ZoneTable { slots, zones, own, .. } = &mut self.table;
        slots.insert(slots::hash(name), place, |place| hash_of(place, zones, own));
        self.table.names += 1;
    }

    /// Adds an entry without records.
    fn add_own(&mut self, name: &[u8], zone: u16, marks: u8, service: u32) {
        let at = self.open_own(zone, service);
        // A name has at most 255 bytes.
        self.table.own.extend_from_slice(&[name.len() as u8, marks, 0]);
        self.table.own.extend_from_slice(name);
        self.insert(name, Place { run: OWN, at });
        self.mark_above(name);
    }

    /// Puts an entry of the table's own in another's place, with the same records.
    fn replace(&mut self, name: &[u8], old: Place, marks: u8, service: u32) {
        let Some(entry) = self.table.entry(old) else { return };
        let (zone, service) = (entry.zone(), entry.service().unwrap_or(service));
        let sets = entry.node().sets();
        // The sets, which have no more than 255 times three 64 KiB.
        let body = sets.bytes()[..sets.len()].to_vec();
        let count = sets.count() as u8;
        let at = self.open_own(zone, service);
        self.table.own.extend_from_slice(&[name.len() as u8, marks, count]);
        self.table.own.extend_from_slice(name);
        self.table.own.extend_from_slice(&body);
        self.table.slots.replace(slots::hash(name), old, Place { run: OWN, at });
    }

    fn open_own(&mut self, zone: u16, service: u32) -> u32 {
        let at = self.table.own.len();
        self.table.own.extend_from_slice(&zone.to_be_bytes());
        self.table.own.extend_from_slice(&service.to_be_bytes());
        // The sum is checked at the end.
        u32::try_from(at).unwrap_or(u32::MAX - 1)
    }

    /// A name below a wildcard's parent may have records without an entry.
    fn mark_above(&mut self, name: &[u8]) {
        let Some(above) = name.strip_prefix(&[1, b'*']) else { return };
        let Some((place, entry)) = self.table.find_place(above) else { return };
        let marks = entry.node().flags();
        if marks & flags::RECORDS_BELOW == 0 {
            self.replace(above, place, marks | flags::RECORDS_BELOW, NO_SERVICE);
        }
    }
}

/// The zones in which others of ours begin.
fn holders(apexes: &BTreeMap<&[u8], u16>) -> BTreeSet<u16> {
    let above = |apex| std::iter::successors(parent(apex), |name| parent(name));
    apexes
        .keys()
        .flat_map(|apex| above(apex))
        .filter_map(|name| apexes.get(name))
        .copied()
        .collect()
}

/// Whether what is below a name is not the zone's.
fn cuts_off(node: Node<'_>) -> bool {
    // Of the apex, NS records say nothing.
    let delegates = node.flags() & flags::CUT != 0;
    let is_above_others = node.flags() & flags::RECORDS_BELOW != 0;
    delegates || is_above_others && node.sets().of_type(record_type::DNAME).is_some()
}

fn absolute(relative: &[u8], apex: &[u8], name: &mut Vec<u8>) {
    name.clear();
    name.extend_from_slice(relative);
    name.extend_from_slice(apex);
}

fn hash_of(place: Place, zones: &[ZoneHead], own: &[u8]) -> u64 {
    if place.run == OWN {
        let entry = own.get(place.at as usize + OWN_HEAD_LEN..).unwrap_or_default();
        return slots::hash(Node::new(entry).name());
    }
    let Some(head) = zones.get(usize::from(place.run)) else { return 0 };
    let mut name = Vec::with_capacity(255);
    absolute(head.zone.arena().node(place.at).name(), head.zone.apex().as_wire(), &mut name);
    slots::hash(&name)
}

impl From<Unfit> for ZoneCompileError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::SetTooLarge { name, record_type } => Self::SetTooLarge { name, record_type },
            Unfit::TooManyTypes(name) => Self::TooManyTypes(name),
            Unfit::TooLarge => Self::TooLarge,
        }
    }
}

fn zone_head(zone: &Arc<Zone>) -> Result<ZoneHead, ZoneCompileError> {
    let no_soa = || ZoneCompileError::NoSoa(zone.apex().clone());
    let set = zone.set(zone.apex(), record_type::SOA).ok_or_else(no_soa)?;
    let soa = set.data().next().and_then(read_soa).ok_or_else(no_soa)?;
    Ok(ZoneHead {
        zone: Arc::clone(zone),
        negative_ttl: zone.negative_ttl(),
        soa,
        signed: set.signatures().next().is_some(),
    })
}

fn read_soa(data: &[u8]) -> Option<Soa> {
    let (primary, rest) = split_name(data)?;
    let (mailbox, numbers) = split_name(rest)?;
    Some(Soa {
        primary: primary.into(),
        mailbox: mailbox.into(),
        numbers: numbers.try_into().ok()?,
    })
}

/// A name without its first label; `None` for the root, and for nothing.
fn parent(name: &[u8]) -> Option<&[u8]> {
    split_label(name).map(|(_, above)| above)
}

fn label_count(name: &[u8]) -> usize {
    std::iter::successors(Some(name), |name| parent(name)).count() - 1
}
