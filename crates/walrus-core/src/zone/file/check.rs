//! What a zone's records must be together: one SOA, a CNAME alone, nothing below a delegation.

use std::collections::BTreeSet;

use domain::base::iana::Rtype;
use walrus_dns::DomainName;

use super::{Notes, Place, Record};
use crate::zone::{RecordSet, Zone};

const A: u16 = Rtype::A.to_int();
const NS: u16 = Rtype::NS.to_int();
const CNAME: u16 = Rtype::CNAME.to_int();
const SOA: u16 = Rtype::SOA.to_int();
const MX: u16 = Rtype::MX.to_int();
const AAAA: u16 = Rtype::AAAA.to_int();
const SRV: u16 = Rtype::SRV.to_int();
const DNAME: u16 = Rtype::DNAME.to_int();
const DS: u16 = Rtype::DS.to_int();
const RRSIG: u16 = Rtype::RRSIG.to_int();
const NSEC: u16 = Rtype::NSEC.to_int();
const NSEC3: u16 = Rtype::NSEC3.to_int();
const NSEC3PARAM: u16 = Rtype::NSEC3PARAM.to_int();

/// A set's data with names, types and lengths must fit into one message over TCP, with room for
/// the header, question, OPT and a CNAME chain.
const SET_LEN_MAX: usize = 60_000;

/// Makes a zone of records; what is wrong goes into `notes`, and then the zone is not to be used.
pub(super) fn check(mut records: Vec<Record>, apex: &DomainName, notes: &mut Notes) -> Zone {
    select(&mut records, apex, notes);
    // Stable: the records of a name keep the file's order.
    records.sort_by(|a, b| a.owner.cmp(&b.owner));
    let nodes = group(records, notes);
    check_apex(&nodes, apex, notes);
    check_cnames(&nodes, notes);
    check_cuts(&nodes, apex, notes);
    check_targets(&nodes, apex, notes);
    let sets = nodes.into_iter().flat_map(|node| {
        let Node { owner, sets, .. } = node;
        sets.into_iter().map(move |set| (owner.clone(), set))
    });
    Zone::from_sets(apex.clone(), sets)
}

/// All sets of one name.
struct Node {
    owner: DomainName,
    sets: Vec<RecordSet>,
    /// Where each set begins.
    places: Vec<Place>,
}

impl Node {
    fn position(&self, record_type: u16) -> Option<usize> {
        self.sets.iter().position(|set| set.record_type == record_type)
    }

    fn has(&self, record_type: u16) -> bool {
        self.position(record_type).is_some()
    }

    fn has_address(&self) -> bool {
        self.has(A) || self.has(AAAA)
    }
}

/// Drops what does not belong here.
fn select(records: &mut Vec<Record>, apex: &DomainName, notes: &mut Notes) {
    let mut signature = None;
    records.retain(|record| {
        let Record { owner, record_type, place, .. } = record;
        if !owner.is_within(apex) {
            let message = format!("{owner} is not in the zone {apex}: write a name below it or move the record to its own zone");
            notes.error(*place, 1, message);
            return false;
        }
        match *record_type {
            DNAME => {
                let message = "DNAME is not served: write a CNAME for each name";
                notes.error(*place, 1, message);
                false
            }
            RRSIG | NSEC | NSEC3 | NSEC3PARAM => {
                signature.get_or_insert(*place);
                false
            }
            0 | 41 | 128..=255 => {
                let message = format!("type {record_type} exists only in queries (RFC 6895)");
                notes.error(*place, 1, message);
                false
            }
            _ => true,
        }
    });
    if let Some(place) = signature {
        notes.warning(
            place,
            "RRSIG, NSEC, NSEC3 and NSEC3PARAM records are left out: the zone is served unsigned",
        );
    }
}

fn group(records: Vec<Record>, notes: &mut Notes) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for record in records {
        let Record { owner, record_type, ttl, place, data } = record;
        if nodes.last().is_none_or(|node| node.owner != owner) {
            // Most names have one set: growing as usual would leave holes all over the memory.
            let (sets, places) = (Vec::with_capacity(1), Vec::with_capacity(1));
            nodes.push(Node { owner, sets, places });
        }
        if let Some(node) = nodes.last_mut() {
            add(node, record_type, ttl, place, data, notes);
        }
    }
    for node in &mut nodes {
        for (set, place) in node.sets.iter_mut().zip(&node.places) {
            drop_duplicates(&node.owner, set, *place, notes);
            let len: usize = set.data.iter().map(|data| data.len() + 12).sum();
            if len > SET_LEN_MAX {
                let message = format!(
                    "{} has {len} bytes of type {} and no answer can carry more than {SET_LEN_MAX}: \
                     spread them over several names",
                    node.owner,
                    type_name(set.record_type)
                );
                notes.error(*place, 1, message);
            }
        }
        node.sets.shrink_to_fit();
    }
    nodes
}

fn add(
    node: &mut Node,
    record_type: u16,
    ttl: u32,
    place: Place,
    data: Box<[u8]>,
    notes: &mut Notes,
) {
    let Some(index) = node.position(record_type) else {
        node.sets.push(RecordSet { record_type, ttl, data: vec![data], signatures: Vec::new() });
        node.places.push(place);
        return;
    };
    let set = &mut node.sets[index];
    if set.ttl != ttl {
        set.ttl = set.ttl.min(ttl);
        let message = format!(
            "the {} records of {} have different TTLs; all get the lowest, {} (RFC 2181 section 5.2)",
            type_name(record_type),
            node.owner,
            set.ttl
        );
        notes.warning(place, message);
    }
    set.data.push(data);
}

/// A set has no two equal records (RFC 2181 section 5).
fn drop_duplicates(owner: &DomainName, set: &mut RecordSet, place: Place, notes: &mut Notes) {
    if set.data.len() < 2 {
        return;
    }
    let before = set.data.len();
    let mut seen = BTreeSet::new();
    let fresh: Vec<bool> = set.data.iter().map(|data| seen.insert(data.clone())).collect();
    let mut fresh = fresh.into_iter();
    set.data.retain(|_| fresh.next().unwrap_or(true));
    let dropped = before - set.data.len();
    if dropped > 0 {
        let record_type = type_name(set.record_type);
        let message = format!("{owner} has {dropped} {record_type} records twice; one is enough");
        notes.warning(place, message);
    }
    set.data.shrink_to_fit();
}

fn check_apex(nodes: &[Node], apex: &DomainName, notes: &mut Notes) {
    let node = find(nodes, apex);
    let soa = node.and_then(|node| node.position(SOA).map(|index| (node, index)));
    match soa {
        None => {
            notes.error(Place::ZONE, 0, format!("no SOA record at {apex}: a zone begins with one"))
        }
        Some((node, index)) if node.sets[index].data.len() > 1 => {
            let message = format!("{apex} has more than one SOA record: keep one");
            notes.error(node.places[index], 1, message);
        }
        Some(_) => {}
    }
    if node.is_none_or(|node| !node.has(NS)) {
        notes.error(
            Place::ZONE,
            0,
            format!("no NS record at {apex}: name the zone's name servers"),
        );
    }
    for node in nodes.iter().filter(|node| node.owner != *apex) {
        if let Some(index) = node.position(SOA) {
            let message = format!("{} has an SOA record, but the zone is {apex}", node.owner);
            notes.error(node.places[index], 1, message);
        }
    }
}

/// A CNAME stands alone (RFC 1034 section 3.6.2) and once (RFC 2181 section 10.1).
fn check_cnames(nodes: &[Node], notes: &mut Notes) {
    for node in nodes {
        let Some(index) = node.position(CNAME) else { continue };
        if node.sets[index].data.len() > 1 {
            let message = format!("{} has more than one CNAME record: keep one", node.owner);
            notes.error(node.places[index], 1, message);
        }
        if let Some(other) = (0..node.sets.len()).find(|other| *other != index) {
            let record_type = type_name(node.sets[other].record_type);
            let message = format!(
                "{} has a CNAME record and beside it {record_type}: a CNAME stands alone",
                node.owner
            );
            notes.error(node.places[index].max(node.places[other]), 1, message);
        }
    }
}

/// At a delegation stand NS and DS, below it nothing but the addresses of name servers (RFC 1034
/// section 4.2.1).
fn check_cuts(nodes: &[Node], apex: &DomainName, notes: &mut Notes) {
    let targets = nameservers(nodes);
    let mut cut: Option<&DomainName> = None;
    for node in nodes.iter().filter(|node| node.owner != *apex) {
        if cut.is_some_and(|cut| !node.owner.is_within(cut)) {
            cut = None;
        }
        let is_cut = cut.is_none() && node.has(NS);
        if is_cut {
            cut = Some(&node.owner);
            if node.owner.is_wildcard() {
                let message = format!(
                    "{} delegates by a wildcard, which has no meaning (RFC 4592 section 4.2): \
                     delegate each name",
                    node.owner
                );
                notes.error(node.places[0], 1, message);
            }
        }
        let Some(cut) = cut else { continue };
        let is_target = targets.contains(&node.owner);
        for (set, place) in node.sets.iter().zip(&node.places) {
            match set.record_type {
                NS | DS if is_cut => {}
                A | AAAA if is_target => {}
                A | AAAA => {
                    let message = format!(
                        "{} stands below the delegation of {cut} and is none of its name servers: \
                         it is never answered",
                        node.owner
                    );
                    notes.warning(*place, message);
                }
                _ => {
                    let record_type = type_name(set.record_type);
                    let relation = if is_cut { "at" } else { "below" };
                    let message = format!(
                        "{} has a {record_type} record {relation} the delegation of {cut}: only the \
                         delegated zone may hold it",
                        node.owner
                    );
                    notes.error(*place, 1, message);
                }
            }
        }
    }
}

fn nameservers(nodes: &[Node]) -> BTreeSet<DomainName> {
    let sets = nodes.iter().flat_map(|node| &node.sets).filter(|set| set.record_type == NS);
    sets.flat_map(|set| &set.data).filter_map(|data| DomainName::from_wire(data).ok()).collect()
}

/// NS, MX and SRV records name no alias (RFC 2181 section 10.3), and a name server in this zone has
/// an address in it.
fn check_targets(nodes: &[Node], apex: &DomainName, notes: &mut Notes) {
    for node in nodes {
        for (set, place) in node.sets.iter().zip(&node.places) {
            let skip = match set.record_type {
                NS => 0,
                MX => 2,
                SRV => 6,
                _ => continue,
            };
            for data in &set.data {
                let target = data.get(skip..).and_then(|name| DomainName::from_wire(name).ok());
                let Some(target) = target.filter(|target| target.is_within(apex)) else { continue };
                let record_type = type_name(set.record_type);
                let found = find(nodes, &target);
                if found.is_some_and(|found| found.has(CNAME)) {
                    let message = format!(
                        "{record_type} of {} names {target}, which is a CNAME: name its target \
                         (RFC 2181 section 10.3)",
                        node.owner
                    );
                    notes.warning(*place, message);
                } else if set.record_type == NS
                    && (node.owner == *apex || target.is_within(&node.owner))
                    && found.is_none_or(|found| !found.has_address())
                {
                    let message = format!(
                        "NS of {} names {target}, which has no address in this file",
                        node.owner
                    );
                    notes.warning(*place, message);
                }
            }
        }
    }
}

fn find<'a>(nodes: &'a [Node], name: &DomainName) -> Option<&'a Node> {
    nodes.binary_search_by(|node| node.owner.cmp(name)).ok().map(|index| &nodes[index])
}

fn type_name(record_type: u16) -> Rtype {
    Rtype::from_int(record_type)
}
