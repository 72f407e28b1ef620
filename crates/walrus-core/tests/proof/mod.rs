//! A validator's view of a reply (RFC 4035 section 5): every set that should be signed is, by
//! signatures over what stands there, and "no" is proven. It shares nothing with what it checks.

use std::collections::BTreeMap;

use domain::base::{Message, Name, ParsedRecord, ToName};
use walrus_dns::DomainName;
use walrus_dns::record_type::{ANY, CNAME, DNAME, DS, NS, NSEC, RRSIG, SOA};

use crate::signed;

/// The sets of a section: records' data, the RRSIG records over them, and the TTL.
pub(crate) type Section = BTreeMap<(DomainName, u16), Set>;

#[derive(Debug, Default)]
pub(crate) struct Set {
    pub(crate) ttl: u32,
    pub(crate) data: Vec<Vec<u8>>,
    pub(crate) signatures: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) rcode: u8,
    pub(crate) answer: Section,
    pub(crate) authority: Section,
}

/// An NSEC record that is properly signed at its own name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nsec {
    pub(crate) zone: DomainName,
    pub(crate) owner: DomainName,
    pub(crate) next: DomainName,
    bitmap: Vec<u8>,
}

impl Nsec {
    pub(crate) fn has(&self, record_type: u16) -> bool {
        let [window, low] = record_type.to_be_bytes();
        let mut rest = &self.bitmap[..];
        while let [this, len, tail @ ..] = rest {
            let (bits, next) = tail.split_at(usize::from(*len));
            if *this == window {
                let byte = bits.get(usize::from(low / 8)).copied().unwrap_or(0);
                return byte & (0x80 >> (low % 8)) != 0;
            }
            rest = next;
        }
        false
    }

    /// Whether it says that there are no records at this name, which is in its zone.
    pub(crate) fn covers(&self, name: &DomainName) -> bool {
        // RFC 6840 section 4.1: a delegation or a DNAME says nothing about what is below it.
        let cut = self.has(NS) && !self.has(SOA) || self.has(DNAME);
        if !name.is_within(&self.zone) || (cut && name.is_within(&self.owner)) {
            return false;
        }
        // The last of a zone points to the apex.
        self.owner < *name && (*name < self.next || self.next == self.zone)
    }

    /// Covers the name, which exists all the same because something is below it.
    pub(crate) fn is_above_something(&self, name: &DomainName) -> bool {
        self.covers(name) && self.next.is_within(name)
    }

    /// Whether no such type is at this name, if the name is the owner.
    fn denies(&self, record_type: u16) -> bool {
        let delegates = self.has(NS) && !self.has(SOA);
        let right_side = if record_type == DS { !self.has(SOA) } else { !delegates };
        right_side && !self.has(record_type) && !self.has(CNAME)
    }

    /// The nearest name above this one, which it covers, that exists.
    fn closest_encloser(&self, name: &DomainName) -> DomainName {
        let shared = |other: &DomainName| {
            name.labels().rev().zip(other.labels().rev()).take_while(|(a, b)| a == b).count()
        };
        name.suffix(shared(&self.owner).max(shared(&self.next)))
    }
}

impl Reply {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let message = Message::from_slice(bytes).expect("a message");
        let (_, answer, authority, _) = message.sections().expect("sections");
        let section = |records: domain::base::message::RecordSection<'_, [u8]>| {
            let mut section = Section::new();
            for record in records {
                add(&mut section, &record.expect("a record"));
            }
            section
        };
        let rcode = message.header().rcode().to_int();
        Self { rcode, answer: section(answer), authority: section(authority) }
    }

    /// The chain's records that stand in the authority section.
    pub(crate) fn chain(&self) -> Vec<Nsec> {
        let sets = self.authority.iter().filter(|((_, record_type), _)| *record_type == NSEC);
        let chain = sets.map(|((owner, _), set)| {
            assert_eq!(set.data.len(), 1, "one NSEC record at {owner}");
            let signature = set.signatures.first().expect("a signed NSEC record");
            assert_eq!(usize::from(signature[3]), labels(owner), "{owner} is no wildcard's");
            let next = DomainName::from_wire(&set.data[0]).expect("a name");
            let bitmap = set.data[0][next.as_wire().len()..].to_vec();
            let zone = DomainName::from_wire(&signature[18..]).expect("a signer");
            Nsec { zone, owner: owner.clone(), next, bitmap }
        });
        chain.collect()
    }
}

/// What a validator knows beforehand.
pub(crate) struct Trust<'a> {
    /// The apexes of all zones that are served, and whether each is signed.
    pub(crate) zones: &'a BTreeMap<DomainName, bool>,
    /// Names whose records of these types need not be signed.
    pub(crate) unsigned: &'a dyn Fn(&DomainName, u16) -> bool,
}

impl Trust<'_> {
    /// The zone that answers for a name.
    fn zone_of(&self, name: &DomainName, record_type: u16) -> Option<(&DomainName, bool)> {
        let mut apexes: Vec<_> =
            self.zones.iter().filter(|(zone, _)| name.is_within(zone)).collect();
        apexes.sort_by_key(|(zone, _)| zone.label_count());
        if record_type == DS
            && apexes.len() > 1
            && apexes.last().is_some_and(|(zone, _)| *zone == name)
        {
            apexes.pop();
        }
        apexes.last().map(|(zone, signed)| (*zone, **signed))
    }

    /// Checks a reply to a query with DO for this name and type.
    pub(crate) fn check(&self, reply: &Reply, name: &DomainName, record_type: u16) {
        if ![0, 3].contains(&reply.rcode) {
            assert!(reply.answer.is_empty() && reply.authority.is_empty());
            return;
        }
        self.check_signatures(&reply.answer);
        self.check_signatures(&reply.authority);
        let chain = reply.chain();
        let mut name = name.clone();
        let mut visited = Vec::new();
        loop {
            let of_type = |record_type| reply.answer.get(&(name.clone(), record_type));
            let set = match record_type {
                ANY => reply.answer.iter().find(|((owner, _), _)| *owner == name).map(|it| it.1),
                _ => of_type(record_type),
            };
            if let Some(set) = set {
                assert_eq!(reply.rcode, 0);
                check_wildcard(set, &name, &chain);
                return;
            }
            let Some(alias) = of_type(CNAME) else { break };
            check_wildcard(alias, &name, &chain);
            let target = DomainName::from_wire(&alias.data[0]).expect("a target");
            let last = reply.answer.iter().all(|((owner, _), _)| *owner != target);
            if last && reply.authority.iter().all(|((_, it), _)| ![SOA, NS].contains(it)) {
                // Out of our zones, in a circle or too far.
                return;
            }
            visited.push(name);
            if visited.contains(&target) {
                return;
            }
            name = target;
        }
        self.check_end(reply, &name, record_type, &chain);
    }

    /// The name has nothing of the type, or is delegated.
    fn check_end(&self, reply: &Reply, name: &DomainName, record_type: u16, chain: &[Nsec]) {
        let Some((zone, is_signed)) = self.zone_of(name, record_type) else { return };
        let chain: Vec<&Nsec> = chain.iter().filter(|nsec| nsec.zone == *zone).collect();
        let referral = reply.authority.keys().find(|(_, it)| *it == NS).map(|(owner, _)| owner);
        if !is_signed {
            assert!(chain.is_empty());
        } else if let Some(cut) = referral {
            assert!(name.is_within(cut) && reply.rcode == 0);
            if !reply.authority.contains_key(&(cut.clone(), DS)) {
                let at = chain.iter().find(|nsec| nsec.owner == *cut).expect("an NSEC at the cut");
                assert!(at.has(NS) && !at.has(DS) && !at.has(SOA), "an unsigned delegation");
            }
        } else if reply.rcode == 3 {
            let nsec = chain.iter().find(|nsec| nsec.covers(name));
            let nsec = nsec.unwrap_or_else(|| panic!("{name} is covered by one of {chain:?}"));
            assert!(!nsec.is_above_something(name), "{name} is an empty non-terminal");
            let wildcard = nsec.closest_encloser(name).wildcard();
            let covered = wildcard.is_none_or(|wildcard| {
                chain
                    .iter()
                    .any(|nsec| nsec.covers(&wildcard) && !nsec.is_above_something(&wildcard))
            });
            assert!(covered, "no wildcard for {name}: {chain:?}");
        } else {
            let lacks = |name: &DomainName| {
                chain.iter().any(|nsec| nsec.owner == *name && nsec.denies(record_type))
                    || chain.iter().any(|nsec| nsec.is_above_something(name))
            };
            let by_wildcard = chain.iter().filter(|nsec| nsec.covers(name)).any(|nsec| {
                nsec.closest_encloser(name).wildcard().is_some_and(|wildcard| lacks(&wildcard))
            });
            // A child whose parent is not ours can but say that it has no DS itself.
            let alone = record_type == DS && name == zone;
            let excused = (self.unsigned)(name, record_type) || alone;
            assert!(lacks(name) || by_wildcard || excused, "{name} {record_type}: {chain:?}");
        }
    }

    fn check_signatures(&self, section: &Section) {
        for ((owner, record_type), set) in section {
            let (zone, is_signed) = match set.signatures.first() {
                Some(first) => (DomainName::from_wire(&first[18..]).expect("a signer"), true),
                // Parents sign NSEC and DS at a cut, and those are never without signatures.
                None => match self.zone_of(owner, *record_type) {
                    Some((zone, is_signed)) => (zone.clone(), is_signed),
                    None => continue,
                },
            };
            assert!(
                *self.zones.get(&zone).expect("a zone of ours") == is_signed
                    || set.signatures.is_empty()
            );
            let excused = (self.unsigned)(owner, *record_type) || *record_type == RRSIG;
            // A referral's name servers belong to the child.
            let delegated = *record_type == NS && !section.contains_key(&(zone.clone(), SOA));
            assert!(
                !is_signed || !set.signatures.is_empty() || excused || delegated,
                "{owner} {record_type} is signed"
            );
            let data: Vec<&[u8]> = set.data.iter().map(Vec::as_slice).collect();
            for signature in &set.signatures {
                assert!(
                    signed::is_signature_of(signature, owner, *record_type, &data),
                    "{owner} {record_type}"
                );
                let original = u32::from_be_bytes(signature[4..8].try_into().expect("four bytes"));
                assert!(set.ttl <= original, "RFC 4035 section 5.3.3");
            }
        }
    }
}

/// A wildcard's set needs the proof that the name itself does not exist (RFC 4035 section 5.3.4).
fn check_wildcard(set: &Set, name: &DomainName, chain: &[Nsec]) {
    // An RRSIG record by itself says as much as the one beside a set.
    let Some(signature) = set.signatures.first() else { return };
    let encloser = usize::from(signature[3]);
    if encloser < labels(name) {
        let zone = DomainName::from_wire(&signature[18..]).expect("a signer");
        // Covers the next closer name: the encloser is the very one.
        let next_closer = name.suffix(encloser + 1);
        let proven = chain
            .iter()
            .any(|nsec| nsec.zone == zone && nsec.covers(name) && nsec.covers(&next_closer));
        assert!(proven, "{name} does not exist by itself: {chain:?}");
    }
}

/// As an RRSIG record counts them.
fn labels(name: &DomainName) -> usize {
    name.label_count() - usize::from(name.is_wildcard())
}

fn add(section: &mut Section, record: &ParsedRecord<'_, [u8]>) {
    let owner: Name<Vec<u8>> = record.owner().to_name();
    let owner = DomainName::from_wire(owner.as_slice()).expect("a name");
    let record_type = record.rtype().to_int();
    let data = uncompressed(record);
    let ttl = record.ttl().as_secs();
    if record_type == RRSIG && data.len() > 2 {
        let covered = u16::from_be_bytes([data[0], data[1]]);
        if let Some(set) = section.get_mut(&(owner.clone(), covered)) {
            assert_eq!(set.ttl, ttl, "the TTL of what it covers");
            set.signatures.push(data);
            return;
        }
    }
    let set = section.entry((owner, record_type)).or_default();
    set.ttl = ttl;
    set.data.push(data);
}

/// A record's data with its names in full.
fn uncompressed(record: &ParsedRecord<'_, [u8]>) -> Vec<u8> {
    use domain::base::name::ParsedName;
    use domain::base::rdata::ComposeRecordData as _;
    use domain::rdata::ZoneRecordData;
    let mut bytes = Vec::new();
    let known = record.to_record::<ZoneRecordData<_, ParsedName<_>>>().expect("sound data");
    known
        .expect("every type's data is at least bytes")
        .data()
        .compose_rdata(&mut bytes)
        .expect("room");
    bytes
}
