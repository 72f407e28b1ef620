//! Zones into a [`ZoneTable`]: who owns which name, what is cut off, records as bytes.

use std::sync::Arc;

use walrus_dns::{DomainName, record_type, reply};

use super::slots::{self, Slots};
use super::zone_table::{NO_SERVICE, Soa, ZoneHead, ZoneTable, flags};
use crate::answer::complete::CompleteIndex;
use crate::zone::{RecordSet, Zone};

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
    /// More zones than a table can number.
    #[error("{0} zones: a table holds 65,535")]
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

/// A name on its way into the table.
struct Node<'a> {
    name: &'a [u8],
    hash: u32,
    zone: u16,
    flags: u8,
    service: u32,
    sets: &'a [RecordSet],
}

struct Builder<'a> {
    zones: &'a [Arc<Zone>],
    /// From an apex to its zone's index.
    apexes: Slots,
    nodes: Vec<Node<'a>>,
    slots: Slots,
}

pub(super) fn compile(
    zones: &[Arc<Zone>],
    services: &[DomainName],
) -> Result<ZoneTable, ZoneCompileError> {
    if zones.len() > usize::from(u16::MAX) {
        return Err(ZoneCompileError::TooManyZones(zones.len()));
    }
    let names = zones.iter().map(|zone| zone.names().len()).sum();
    let mut builder = Builder {
        zones,
        apexes: Slots::with_capacity(zones.len()),
        nodes: Vec::with_capacity(names),
        slots: Slots::with_capacity(names),
    };
    for (index, zone) in (0..).zip(zones) {
        let apex = zone.apex().as_wire();
        if builder.zone_at(apex).is_some() {
            return Err(ZoneCompileError::Twice(zone.apex().clone()));
        }
        builder.apexes.insert(slots::hash(apex), index);
    }
    for (index, zone) in (0..).zip(zones) {
        builder.add_zone(index, zone);
    }
    for (index, service) in (0..).zip(services) {
        builder.add_service(index, service)?;
    }
    builder.mark_wildcards();
    builder.finish(services)
}

impl<'a> Builder<'a> {
    fn add_zone(&mut self, zone_index: u16, zone: &'a Zone) {
        // Names come in canonical order, so what is below a cut follows it at once.
        let mut cut: Option<&[u8]> = None;
        for (name, sets) in zone.names() {
            let wire = name.as_wire();
            let below_cut = cut.is_some_and(|cut| is_below(wire, cut));
            let has = |record_type| sets.iter().any(|set| set.record_type == record_type);
            let is_apex = *name == *zone.apex();
            let delegates = has(record_type::NS) && !is_apex;
            if !below_cut {
                cut = (delegates || has(record_type::DNAME)).then_some(wire);
            }
            self.add_ancestors(zone_index, zone, wire, cut.filter(|_| below_cut));
            if self.owner(wire) != Some(zone_index) {
                continue;
            }
            let mut marks = 0;
            if below_cut || delegates {
                marks |= flags::CUT;
            }
            if is_apex {
                marks |= flags::APEX;
            }
            if has(record_type::DNAME) {
                marks |= flags::RECORDS_BELOW;
            }
            marks |= self.cname_flag(sets);
            let node = self.node(wire, zone_index);
            node.flags |= marks;
            node.sets = sets;
        }
    }

    /// Adds the empty non-terminals between a name and its zone's apex. Those at or below a cut are
    /// cut off too.
    fn add_ancestors(&mut self, zone_index: u16, zone: &Zone, name: &'a [u8], cut: Option<&[u8]>) {
        let mut rest = name;
        while rest.len() > zone.apex().as_wire().len() {
            rest = parent(rest);
            if self.owner(rest) != Some(zone_index) {
                // Another zone of ours begins in between; above it this zone's names go on.
                continue;
            }
            if self.find(rest).is_some() {
                break;
            }
            let cut_off = cut.is_some_and(|cut| rest == cut || is_below(rest, cut));
            self.node(rest, zone_index).flags |= if cut_off { flags::CUT } else { 0 };
        }
    }

    fn add_service(&mut self, index: u32, service: &'a DomainName) -> Result<(), ZoneCompileError> {
        let name = service.as_wire();
        let zone =
            self.owner(name).ok_or_else(|| ZoneCompileError::ServiceOutside(service.clone()))?;
        // From the top down, so that every name above is there when the next is asked about.
        let mut missing = Vec::new();
        let mut rest = name;
        let encloser = loop {
            if let Some(place) = self.find(rest) {
                break place;
            }
            missing.push(rest);
            if rest.len() == 1 {
                return Err(ZoneCompileError::ServiceOutside(service.clone()));
            }
            rest = parent(rest);
        };
        let encloser = &self.nodes[encloser];
        let renamed = encloser.sets.iter().any(|set| set.record_type == record_type::DNAME);
        if encloser.flags & flags::CUT != 0 || (renamed && !missing.is_empty()) {
            return Err(ZoneCompileError::ServiceCutOff(service.clone()));
        }
        for name in missing {
            self.node(name, zone);
        }
        let node = self.node(name, zone);
        if node.flags & (flags::CNAME_INSIDE | flags::CNAME_OUTSIDE) != 0 {
            return Err(ZoneCompileError::ServiceAtCname(service.clone()));
        }
        if node.service != NO_SERVICE {
            return Err(ZoneCompileError::ServiceTwice(service.clone()));
        }
        node.service = index;
        Ok(())
    }

    fn mark_wildcards(&mut self) {
        for place in 0..self.nodes.len() {
            let name = self.nodes[place].name;
            if name.starts_with(&[1, b'*'])
                && let Some(above) = self.find(parent(name))
            {
                self.nodes[above].flags |= flags::RECORDS_BELOW;
            }
        }
    }

    fn cname_flag(&self, sets: &[RecordSet]) -> u8 {
        let cname = sets.iter().find(|set| set.record_type == record_type::CNAME);
        let Some(target) = cname.and_then(|set| set.data.first()) else { return 0 };
        let inside = target.to_ascii_lowercase();
        if self.owner(&inside).is_some() { flags::CNAME_INSIDE } else { flags::CNAME_OUTSIDE }
    }

    /// The zone that a name belongs to: the one with the nearest apex.
    fn owner(&self, mut name: &[u8]) -> Option<u16> {
        loop {
            if let Some(zone) = self.zone_at(name) {
                return Some(zone);
            }
            if name.len() <= 1 {
                return None;
            }
            name = parent(name);
        }
    }

    fn zone_at(&self, apex: &[u8]) -> Option<u16> {
        let is_it = |zone: u32| self.zones[zone as usize].apex().as_wire() == apex;
        let zone = self.apexes.find(slots::hash(apex), is_it)?;
        u16::try_from(zone).ok()
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        let is_it = |place: u32| self.nodes[place as usize].name == name;
        self.slots.find(slots::hash(name), is_it).map(|place| place as usize)
    }

    /// The node of a name, made if it is missing.
    fn node(&mut self, name: &'a [u8], zone: u16) -> &mut Node<'a> {
        let place = self.find(name).unwrap_or_else(|| {
            let hash = slots::hash(name);
            // Each node takes more than a byte of the table, whose size is checked.
            self.slots.insert(hash, u32::try_from(self.nodes.len()).unwrap_or(u32::MAX - 1));
            self.nodes.push(Node { name, hash, zone, flags: 0, service: NO_SERVICE, sets: &[] });
            self.nodes.len() - 1
        });
        &mut self.nodes[place]
    }

    fn finish(self, services: &[DomainName]) -> Result<ZoneTable, ZoneCompileError> {
        let mut entries = Vec::new();
        let mut slots = Slots::with_capacity(self.nodes.len());
        let mut labels_max = 0;
        let mut nsec_order = vec![Vec::new(); self.zones.len()].into_boxed_slice();
        for node in &self.nodes {
            let place = u32::try_from(entries.len()).map_err(|_| ZoneCompileError::TooLarge)?;
            slots.insert(node.hash, place.min(u32::MAX - 1));
            labels_max = labels_max.max(label_count(node.name));
            write_entry(node, &mut entries)?;
            // A zone's names come in canonical order; what is added behind them has no sets.
            if node.sets.iter().any(|set| set.record_type == record_type::NSEC) {
                nsec_order[usize::from(node.zone)].push(place);
            }
        }
        if u32::try_from(entries.len()).is_err() {
            return Err(ZoneCompileError::TooLarge);
        }
        Ok(ZoneTable {
            slots,
            entries: entries.into(),
            zones: self.zones.iter().map(|zone| zone_head(zone)).collect::<Result<_, _>>()?,
            services: services.into(),
            labels_max,
            names: self.nodes.len(),
            nsec_order,
            complete: CompleteIndex::new(
                self.zones.iter().cloned(),
                services.iter().cloned().zip(0..),
            ),
        })
    }
}

fn write_entry(node: &Node<'_>, out: &mut Vec<u8>) -> Result<(), ZoneCompileError> {
    let name = || DomainName::from_wire(node.name).unwrap_or_else(|_| DomainName::root());
    let replaced = |record_type| {
        node.service != NO_SERVICE && [record_type::A, record_type::AAAA].contains(&record_type)
    };
    let sets = || node.sets.iter().filter(|set| !replaced(set.record_type));
    let set_count =
        u8::try_from(sets().count()).map_err(|_| ZoneCompileError::TooManyTypes(name()))?;
    // A name has at most 255 bytes.
    out.extend_from_slice(&[node.name.len() as u8, node.flags]);
    out.extend_from_slice(&node.zone.to_be_bytes());
    out.extend_from_slice(&node.service.to_be_bytes());
    out.push(set_count);
    out.extend_from_slice(node.name);
    for set in sets() {
        let too_large =
            || ZoneCompileError::SetTooLarge { name: name(), record_type: set.record_type };
        let records = u16::try_from(set.data.len()).map_err(|_| too_large())?;
        out.extend_from_slice(&set.record_type.to_be_bytes());
        out.extend_from_slice(&records.to_be_bytes());
        let head_at = out.len();
        out.extend_from_slice(&[0; 6]);
        let records_at = out.len();
        for data in &set.data {
            let data = compress_data(set.record_type, data, node.name);
            write_record(node.name, set.record_type, set.ttl, &data, out).ok_or_else(too_large)?;
        }
        let signatures_at = out.len();
        for data in &set.signatures {
            write_record(node.name, record_type::RRSIG, set.ttl, data, out)
                .ok_or_else(too_large)?;
        }
        let counts = [signatures_at - records_at, set.signatures.len(), out.len() - signatures_at];
        for (place, count) in counts.into_iter().enumerate() {
            let count = u16::try_from(count).map_err(|_| too_large())?;
            let at = head_at + 2 * place;
            out[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
    }
    Ok(())
}

/// Writes one record with its owner as a pointer to the question; `None` if its data is too long.
fn write_record(
    question: &[u8],
    record_type: u16,
    ttl: u32,
    data: &[u8],
    out: &mut Vec<u8>,
) -> Option<()> {
    out.extend_from_slice(&reply::pointer_to_suffix(question.len(), question.len()));
    out.extend_from_slice(&record_type.to_be_bytes());
    out.extend_from_slice(&record_type::CLASS_IN.to_be_bytes());
    out.extend_from_slice(&ttl.to_be_bytes());
    out.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
    out.extend_from_slice(data);
    Some(())
}

/// Compresses the names in the data of the types of RFC 1035 against the question's name. Data that
/// is not what its type says goes out as it is.
fn compress_data(record_type: u16, data: &[u8], question: &[u8]) -> Box<[u8]> {
    let mut out = [0; 1024];
    let len = match record_type {
        record_type::NS | record_type::CNAME | record_type::PTR => {
            split_name(data).and_then(|(name, _)| reply::write_name(name, question, &mut out))
        }
        record_type::MX => data.split_at_checked(2).and_then(|(preference, exchange)| {
            out[..2].copy_from_slice(preference);
            Some(2 + reply::write_name(split_name(exchange)?.0, question, &mut out[2..])?)
        }),
        record_type::SOA => read_soa(data).and_then(|soa| {
            let mut at = reply::write_name(&soa.primary, question, &mut out)?;
            at += reply::write_name(&soa.mailbox, question, &mut out[at..])?;
            out[at..at + 20].copy_from_slice(&soa.numbers);
            Some(at + 20)
        }),
        _ => None,
    };
    len.map_or_else(|| data.into(), |len| out[..len].into())
}

fn zone_head(zone: &Zone) -> Result<ZoneHead, ZoneCompileError> {
    let no_soa = || ZoneCompileError::NoSoa(zone.apex().clone());
    let sets = zone.names().get(zone.apex()).ok_or_else(no_soa)?;
    let set = sets.iter().find(|set| set.record_type == record_type::SOA).ok_or_else(no_soa)?;
    let soa = set.data.first().and_then(|data| read_soa(data)).ok_or_else(no_soa)?;
    let minimum = soa.numbers.last_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    Ok(ZoneHead {
        apex: zone.apex().clone(),
        negative_ttl: set.ttl.min(minimum),
        soa,
        signed: !set.signatures.is_empty(),
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

/// The uncompressed name at the start of `data`, and what follows it.
fn split_name(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = DomainName::from_wire(data).ok()?.as_wire().len();
    Some(data.split_at(len))
}

/// A name without its first label; the root stays itself.
fn parent(name: &[u8]) -> &[u8] {
    name.get(1 + usize::from(name[0])..).filter(|rest| !rest.is_empty()).unwrap_or(name)
}

fn is_below(name: &[u8], ancestor: &[u8]) -> bool {
    let mut rest = name;
    while rest.len() > ancestor.len() {
        rest = parent(rest);
        if rest == ancestor {
            return true;
        }
    }
    false
}

fn label_count(mut name: &[u8]) -> usize {
    let mut labels = 0;
    while name.len() > 1 {
        name = parent(name);
        labels += 1;
    }
    labels
}
