//! A validator's view of a reply (RFC 4035 section 5): every set that should be signed is, by
//! signatures over what stands there, and "no" is proven. It shares nothing with what it checks.

mod signature;

use std::collections::BTreeMap;

use domain::base::{Message, Name, ParsedRecord, ToName};
use walrus_dns::DomainName;
use walrus_dns::record_type::{ANY, CNAME, DNAME, DS, NS, NSEC, NSEC3, RRSIG, SOA};

use signature::is_signature_of;

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

/// A record of a chain that is properly signed at its own name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link {
    pub(crate) zone: DomainName,
    place: Place,
    bitmap: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Nsec { owner: DomainName, next: DomainName },
    Nsec3 { hash: Vec<u8>, next: Vec<u8> },
}

impl Link {
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

    /// Whether it stands at this name.
    pub(crate) fn is_at(&self, name: &DomainName) -> bool {
        match &self.place {
            Place::Nsec { owner, .. } => owner == name,
            Place::Nsec3 { hash, .. } => name.is_within(&self.zone) && *hash == sha1(name),
        }
    }

    /// Whether it says that there are no records at this name, which is in its zone.
    pub(crate) fn covers(&self, name: &DomainName) -> bool {
        match &self.place {
            Place::Nsec { owner, next } => {
                // RFC 6840 section 4.1: a delegation or a DNAME says nothing about what is below.
                let cut = self.has(NS) && !self.has(SOA) || self.has(DNAME);
                if !name.is_within(&self.zone) || (cut && name.is_within(owner)) {
                    return false;
                }
                // The last of a zone points to the apex.
                owner < name && (name < next || *next == self.zone)
            }
            Place::Nsec3 { hash, next } => {
                let asked = sha1(name);
                let is_last = next <= hash;
                name.is_within(&self.zone)
                    && if is_last {
                        asked > *hash || asked < *next
                    } else {
                        asked > *hash && asked < *next
                    }
            }
        }
    }

    /// Covers the name, which exists all the same because something is below it.
    fn is_above_something(&self, name: &DomainName) -> bool {
        matches!(&self.place, Place::Nsec { next, .. } if next.is_within(name)) && self.covers(name)
    }

    /// Whether no such type is at this name, if the name is the owner.
    fn denies(&self, record_type: u16) -> bool {
        let delegates = self.has(NS) && !self.has(SOA);
        let right_side = if record_type == DS { !self.has(SOA) } else { !delegates };
        right_side && !self.has(record_type) && !self.has(CNAME)
    }
}

/// The chain's records in a reply that are of one zone.
struct Proofs<'a>(Vec<&'a Link>);

impl Proofs<'_> {
    fn at(&self, name: &DomainName) -> Option<&Link> {
        self.0.iter().find(|link| link.is_at(name)).copied()
    }

    /// The name does not exist, nor is it an empty non-terminal.
    fn covers(&self, name: &DomainName) -> bool {
        self.0.iter().any(|link| link.covers(name) && !link.is_above_something(name))
    }

    /// The closest encloser of a name that is shown not to exist (RFC 5155 section 8.3).
    fn encloser(&self, name: &DomainName) -> Option<DomainName> {
        if let Some(link) = self.0.iter().find(|link| link.covers(name))
            && let Place::Nsec { owner, next } = &link.place
        {
            let shared = |other: &DomainName| {
                name.labels().rev().zip(other.labels().rev()).take_while(|(a, b)| a == b).count()
            };
            return Some(name.suffix(shared(owner).max(shared(next))));
        }
        let mut above = std::iter::successors(name.parent(), DomainName::parent);
        let encloser = above.find(|above| self.at(above).is_some())?;
        self.covers(&name.suffix(encloser.label_count() + 1)).then_some(encloser)
    }

    fn lacks_type(&self, name: &DomainName, record_type: u16) -> bool {
        self.at(name).is_some_and(|link| link.denies(record_type))
            || self.0.iter().any(|link| link.is_above_something(name))
    }
}

/// RFC 5155 section 5, without iterations and salt.
fn sha1(name: &DomainName) -> Vec<u8> {
    use sha1::{Digest as _, Sha1};
    Sha1::digest(name.as_wire()).to_vec()
}

/// A label in base32 with the extended hex alphabet (RFC 4648 section 7).
fn from_base32(label: &[u8]) -> Vec<u8> {
    let bits: String = label
        .iter()
        .map(|letter| format!("{:05b}", char::from(*letter).to_digit(32).expect("base32")))
        .collect();
    let bit = |byte, bit: &u8| byte << 1 | (bit - b'0');
    let byte = |bits: &[u8]| bits.iter().fold(0, bit);
    bits.as_bytes().chunks_exact(8).map(byte).collect()
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
    pub(crate) fn chain(&self) -> Vec<Link> {
        let of_chain = |record_type| [NSEC, NSEC3].contains(&record_type);
        let sets = self.authority.iter().filter(|((_, record_type), _)| of_chain(*record_type));
        let chain = sets.map(|((owner, record_type), set)| {
            assert_eq!(set.data.len(), 1, "one record of the chain at {owner}");
            let signature = set.signatures.first().expect("a signed record of the chain");
            assert_eq!(usize::from(signature[3]), labels(owner), "{owner} is no wildcard's");
            let zone = DomainName::from_wire(&signature[18..]).expect("a signer");
            let data = &set.data[0];
            if *record_type == NSEC3 {
                assert_eq!(data[..6], [1, 0, 0, 0, 0, 20], "RFC 9276: no iterations, no salt");
                assert_eq!(owner.parent(), Some(zone.clone()));
                let hash = from_base32(owner.labels().next().expect("a label"));
                let place = Place::Nsec3 { hash, next: data[6..26].to_vec() };
                return Link { zone, place, bitmap: data[26..].to_vec() };
            }
            let next = DomainName::from_wire(data).expect("a name");
            let bitmap = data[next.as_wire().len()..].to_vec();
            Link { zone, place: Place::Nsec { owner: owner.clone(), next }, bitmap }
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
    fn check_end(&self, reply: &Reply, name: &DomainName, record_type: u16, chain: &[Link]) {
        let Some((zone, is_signed)) = self.zone_of(name, record_type) else { return };
        let proofs = Proofs(chain.iter().filter(|link| link.zone == *zone).collect());
        let referral = reply.authority.keys().find(|(_, it)| *it == NS).map(|(owner, _)| owner);
        if !is_signed {
            assert!(proofs.0.is_empty());
        } else if let Some(cut) = referral {
            assert!(name.is_within(cut) && reply.rcode == 0);
            if !reply.authority.contains_key(&(cut.clone(), DS)) {
                let at = proofs.at(cut).expect("a record of the chain at the cut");
                assert!(at.has(NS) && !at.has(DS) && !at.has(SOA), "an unsigned delegation");
            }
        } else if reply.rcode == 3 {
            let encloser = proofs.encloser(name);
            let encloser = encloser.unwrap_or_else(|| panic!("no proof for {name}: {chain:?}"));
            assert!(!proofs.0.iter().any(|link| link.is_at(name) || link.is_above_something(name)));
            let covered = encloser.wildcard().is_none_or(|wildcard| proofs.covers(&wildcard));
            assert!(covered, "no wildcard for {name}: {chain:?}");
        } else {
            let wildcard = proofs.encloser(name).and_then(|encloser| encloser.wildcard());
            let by_wildcard = wildcard.is_some_and(|it| proofs.lacks_type(&it, record_type));
            // A child whose parent is not ours can but say that it has no DS itself.
            let alone = record_type == DS && name == zone;
            let excused = (self.unsigned)(name, record_type) || alone;
            let proven = proofs.lacks_type(name, record_type) || by_wildcard;
            assert!(proven || excused, "{name} {record_type}: {chain:?}");
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
                    is_signature_of(signature, owner, *record_type, &data),
                    "{owner} {record_type}"
                );
                let original = u32::from_be_bytes(signature[4..8].try_into().expect("four bytes"));
                assert!(set.ttl <= original, "RFC 4035 section 5.3.3");
            }
        }
    }
}

/// A wildcard's set needs the proof that the name itself does not exist (RFC 4035 section 5.3.4).
fn check_wildcard(set: &Set, name: &DomainName, chain: &[Link]) {
    // An RRSIG record by itself says as much as the one beside a set.
    let Some(signature) = set.signatures.first() else { return };
    let encloser = usize::from(signature[3]);
    if encloser < labels(name) {
        let zone = DomainName::from_wire(&signature[18..]).expect("a signer");
        // Covers the next closer name: the encloser is the very one.
        let next_closer = name.suffix(encloser + 1);
        let proven = chain.iter().any(|link| link.zone == zone && link.covers(&next_closer));
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
