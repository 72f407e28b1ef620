//! What a question's answer holds: the CNAME chain, the records, the SOA or the referral, and for
//! those who want it what proves that nothing else exists.

use std::borrow::Cow;

use domain::base::iana::Rcode;
use walrus_dns::{DomainName, record_type};

use super::denial::{self, Denial};
use super::index::{CompleteIndex, Found, Lack};
use crate::world::{ServiceType, ServiceTypes};
use crate::zone::{SetView, Sets, Zone};

/// Aliases that one answer follows; longer chains end with the last one, and the resolver goes on.
pub(super) const ALIASES_MAX: usize = 8;

/// What stands in a reply.
#[derive(Debug)]
pub(super) struct Resolution<'a> {
    pub rcode: Rcode,
    pub authoritative: bool,
    pub answer: Vec<Records<'a>>,
    pub authority: Vec<Records<'a>>,
    /// Addresses of a referral's name servers, those below the delegation first.
    pub glue: Vec<Glue<'a>>,
    /// It is refused, or fails, because a zone of ours lacks this.
    pub lack: Option<Lack>,
    /// The chain ends at this service.
    pub service: Option<AtService<'a>>,
}

/// A service whose records end the answer.
#[derive(Debug)]
pub(super) struct AtService<'a> {
    pub service: u32,
    /// Under which name.
    pub owner: DomainName,
    /// Of which type.
    pub record_type: u16,
    /// Not the records were asked for, but their signatures.
    pub signatures_only: bool,
    /// Stands in the authority section beside its records.
    pub beside: Vec<Records<'a>>,
    /// Stands there if it has none of the type.
    pub instead: Vec<Records<'a>>,
}

impl Resolution<'_> {
    /// A reply that says only this.
    pub(super) const fn error(rcode: Rcode) -> Self {
        Self::new(rcode, false)
    }

    pub(super) const fn new(rcode: Rcode, authoritative: bool) -> Self {
        Self {
            rcode,
            authoritative,
            answer: Vec::new(),
            authority: Vec::new(),
            glue: Vec::new(),
            lack: None,
            service: None,
        }
    }
}

/// A record set as it is written into a reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Records<'a> {
    pub owner: DomainName,
    pub record_type: u16,
    pub ttl: u32,
    pub data: Vec<Cow<'a, [u8]>>,
    /// Names in its data are never compressed.
    pub names_whole: bool,
    /// Data of the RRSIG records that follow it.
    pub signatures: Vec<&'a [u8]>,
}

/// A name server's addresses.
#[derive(Debug)]
pub(super) struct Glue<'a> {
    pub records: Records<'a>,
    /// The name server stands below the delegation: without this it cannot be found (RFC 9471).
    pub in_domain: bool,
}

/// Resolves a question of class IN that is no transfer.
pub(super) fn resolve<'a>(
    (index, types): (&'a CompleteIndex, (&'a [ServiceTypes], &'a [ServiceTypes])),
    name: &DomainName,
    wanted: u16,
    dnssec_ok: bool,
) -> Resolution<'a> {
    let resolution = Resolution::new(Rcode::NOERROR, true);
    let mut resolver = Resolver { index, types, wanted, dnssec_ok, proven_in: None, resolution };
    let mut name = name.clone();
    let mut visited = Vec::new();
    while let Some(target) = resolver.step(&name) {
        visited.push(name);
        if visited.len() >= ALIASES_MAX || visited.contains(&target) {
            break;
        }
        name = target;
    }
    resolver.resolution
}

struct Resolver<'a> {
    index: &'a CompleteIndex,
    /// By service: what it gives, and what it owes.
    types: (&'a [ServiceTypes], &'a [ServiceTypes]),
    wanted: u16,
    dnssec_ok: bool,
    /// The apex of the zone that the last name was in.
    proven_in: Option<&'a DomainName>,
    resolution: Resolution<'a>,
}

/// A name that exists.
struct Node<'a, 'n> {
    name: &'n DomainName,
    /// The name itself, or the wildcard that stands for it.
    source: &'n DomainName,
    sets: Sets<'a>,
    service: Option<u32>,
    /// What the service gives.
    given: ServiceTypes,
    /// What it always has.
    owed: ServiceTypes,
    zone: &'a Zone,
}

impl<'a> Resolver<'a> {
    /// Adds what one name gives; an alias' target if there is one to follow.
    fn step(&mut self, name: &DomainName) -> Option<DomainName> {
        let is_first = self.resolution.answer.is_empty();
        let found = self.index.find(name, self.wanted);
        // Behind a wildcard's proof: two zones may have a record of the chain under one name, and
        // no validator could tell them apart. The resolver goes on by itself.
        let zone = found.zone().map(Zone::apex);
        if !self.resolution.authority.is_empty() && zone != self.proven_in {
            return None;
        }
        self.proven_in = zone;
        match found {
            Found::Elsewhere | Found::Waiting(_) => {
                // An alias to elsewhere is an answer; a question about elsewhere is not ours.
                if is_first {
                    self.resolution.rcode = Rcode::REFUSED;
                    self.resolution.authoritative = false;
                    if let Found::Waiting(lack) = found {
                        self.resolution.lack = Some(lack);
                        if lack == Lack::Content {
                            self.resolution.rcode = Rcode::SERVFAIL;
                        }
                    }
                }
            }
            Found::Delegated { cut, nameservers, zone } => {
                // RFC 1034 section 6.2.7: AA speaks for the question's own name.
                self.resolution.authoritative = !is_first;
                self.refer(&cut, nameservers, zone);
            }
            Found::Renamed { owner, dname, .. } => return self.rename(name, owner, dname),
            Found::Nothing { encloser, zone } => {
                self.resolution.rcode = Rcode::NXDOMAIN;
                let denial = Denial::NoName { name, encloser: &encloser };
                let negative = self.negative(zone, denial);
                self.add_authority(negative);
            }
            Found::Node { source, sets, service, zone } => {
                let of = |types: &[ServiceTypes]| {
                    let types = service.and_then(|service| types.get(service as usize));
                    types.copied().unwrap_or_default()
                };
                let (given, owed) = (of(self.types.0), of(self.types.1));
                return self.node(&Node {
                    name,
                    source: &source,
                    sets,
                    service,
                    given,
                    owed,
                    zone,
                });
            }
        }
        None
    }

    /// Adds the DNAME record and the CNAME that follows from it, which nobody signs; its target to be
    /// followed (RFC 6672 section 3.2). A target that is no name any more is told so.
    fn rename(
        &mut self,
        name: &DomainName,
        owner: DomainName,
        dname: SetView<'a>,
    ) -> Option<DomainName> {
        let target = dname.data().next().and_then(|to| renamed(name, &owner, to));
        let records = self.records(owner, dname);
        let ttl = records.ttl;
        add_once(&mut self.resolution.answer, vec![records]);
        let Some(target) = target else {
            self.resolution.rcode = Rcode::YXDOMAIN;
            return None;
        };
        self.resolution.answer.push(Records {
            owner: name.clone(),
            record_type: record_type::CNAME,
            ttl,
            data: vec![Cow::Owned(target.as_wire().to_vec())],
            names_whole: false,
            signatures: Vec::new(),
        });
        let is_answer =
            matches!(self.wanted, record_type::CNAME | record_type::ANY | record_type::RRSIG);
        (!is_answer).then_some(target)
    }

    fn node(&mut self, node: &Node<'a, '_>) -> Option<DomainName> {
        let mut wanted = self.wanted;
        let mut signatures_only = false;
        if wanted == record_type::ANY || wanted == record_type::RRSIG {
            let instead = self.instead_of_everything(node)?;
            signatures_only = wanted == record_type::RRSIG;
            wanted = instead;
        }
        if let Some(service) = node.service
            && node.gives(wanted)
        {
            self.resolution.service = Some(AtService {
                service,
                owner: node.name.clone(),
                record_type: wanted,
                signatures_only,
                beside: self.wildcard_proof(node),
                instead: self.negative(node.zone, node.no_type()),
            });
            return None;
        }
        let found = node.sets.of_type(wanted);
        let is_missing = |set: &SetView<'_>| signatures_only && set.signatures().next().is_none();
        if let Some(set) = found.filter(|set| !is_missing(set)) {
            let mut records = self.records(node.name.clone(), set);
            if signatures_only {
                records.record_type = record_type::RRSIG;
                records.data = set.signatures().map(Cow::Borrowed).collect();
                records.signatures.clear();
            }
            self.push_answer(records, node);
            return None;
        }
        if let Some(alias) = node.sets.of_type(record_type::CNAME)
            && let Some(first) = alias.data().next()
            && let Ok(target) = DomainName::from_wire(first)
        {
            let records = self.records(node.name.clone(), alias);
            self.push_answer(records, node);
            return Some(target);
        }
        let negative = self.negative(node.zone, node.no_type());
        self.add_authority(negative);
        None
    }

    /// The type that ANY and RRSIG are answered with; `None` if that is answered already.
    fn instead_of_everything(&mut self, node: &Node<'a, '_>) -> Option<u16> {
        let signed = denial::is_signed(node.zone);
        let has_alias = node.sets.of_type(record_type::CNAME).is_some();
        match self.wanted {
            // RFC 8482 section 4.2: where an alias stands, the alias is the answer.
            record_type::ANY if has_alias => Some(record_type::CNAME),
            record_type::ANY if !signed && node.has_data() => {
                self.push_answer(refuse_any(node.name), node);
                None
            }
            _ if signed && node.has_data() => Some(node.first_type()),
            // Nothing, but an alias is followed.
            wanted => Some(wanted),
        }
    }

    fn push_answer(&mut self, records: Records<'a>, node: &Node<'a, '_>) {
        self.resolution.answer.push(records);
        let proof = self.wildcard_proof(node);
        self.add_authority(proof);
    }

    fn add_authority(&mut self, records: Vec<Records<'a>>) {
        add_once(&mut self.resolution.authority, records);
    }

    fn refer(&mut self, cut: &DomainName, nameservers: SetView<'a>, zone: &'a Zone) {
        // The child's, so not signed here (RFC 4035 section 2.2).
        self.resolution.authority.push(Records::unsigned(cut.clone(), nameservers));
        if self.dnssec_ok && denial::is_signed(zone) {
            // RFC 4035 section 3.1.4.
            match zone.set(cut, record_type::DS) {
                Some(ds) => self.resolution.authority.push(Records::signed(cut.clone(), ds)),
                None => self.add_authority(denial::prove(zone, Denial::NoType { name: cut })),
            }
        }
        self.resolution.glue = self.glue(cut, nameservers, zone);
    }

    /// The SOA with the time that "no" may be remembered (RFC 2308 section 3), and the proof.
    fn negative(&self, zone: &'a Zone, denial: Denial<'_>) -> Vec<Records<'a>> {
        let Some(soa) = zone.set(zone.apex(), record_type::SOA) else { return Vec::new() };
        let records = self.records(zone.apex().clone(), soa);
        let mut negative = vec![Records { ttl: zone.negative_ttl(), ..records }];
        if self.dnssec_ok {
            negative.extend(denial::prove(zone, denial));
        }
        negative
    }

    /// What shows that a wildcard may stand for the name (RFC 4035 section 3.1.3.3).
    fn wildcard_proof(&self, node: &Node<'a, '_>) -> Vec<Records<'a>> {
        if self.dnssec_ok && node.source != node.name {
            denial::prove(node.zone, Denial::Wildcard { name: node.name, wildcard: node.source })
        } else {
            Vec::new()
        }
    }

    fn records(&self, owner: DomainName, set: SetView<'a>) -> Records<'a> {
        if self.dnssec_ok { Records::signed(owner, set) } else { Records::unsigned(owner, set) }
    }

    fn glue(&self, cut: &DomainName, nameservers: SetView<'a>, zone: &'a Zone) -> Vec<Glue<'a>> {
        let mut glue = Vec::new();
        for data in nameservers.data() {
            let Ok(target) = DomainName::from_wire(data) else { continue };
            for family in [record_type::A, record_type::AAAA] {
                if let Some(set) = zone.set(&target, family) {
                    // Below a delegation nothing is signed; elsewhere it may be.
                    let records = self.records(target.clone(), set);
                    glue.push(Glue { records, in_domain: target.is_within(cut) });
                }
            }
        }
        // Stable: what is needed first, then in the order of the NS records.
        glue.sort_by_key(|glue| !glue.in_domain);
        glue
    }
}

/// A name below `owner` with another name in that one's place; `None` if that is too long.
fn renamed(name: &DomainName, owner: &DomainName, to: &[u8]) -> Option<DomainName> {
    let wire = name.as_wire();
    let below = wire.get(..wire.len().checked_sub(owner.as_wire().len())?)?;
    DomainName::from_wire(&[below, to].concat()).ok()
}

/// Adds what is not there yet: a chain of aliases may need the same proof twice.
pub(super) fn add_once<'a>(authority: &mut Vec<Records<'a>>, records: Vec<Records<'a>>) {
    for records in records {
        if !authority.contains(&records) {
            authority.push(records);
        }
    }
}

impl<'n> Node<'_, 'n> {
    fn has_data(&self) -> bool {
        self.service.is_some() || !self.sets.is_empty()
    }

    /// Whether the service's records replace static ones of this type.
    fn gives(&self, record_type: u16) -> bool {
        ServiceType::of(record_type).is_some_and(|service_type| self.given.has(service_type))
    }

    /// The lowest type that is there beside a service's own; if that is all, the first that the
    /// service owes, else gives.
    fn first_type(&self) -> u16 {
        let is_static = |record_type: &u16| !self.gives(*record_type);
        let types = self.sets.iter().map(SetView::record_type).filter(is_static);
        let own = || {
            let first = self.owed.iter().next().or_else(|| self.given.iter().next());
            first.map_or(record_type::A, ServiceType::number)
        };
        types.min().unwrap_or_else(own)
    }

    fn no_type(&self) -> Denial<'n> {
        let (name, wildcard) = (self.name, self.source);
        if name == wildcard {
            Denial::NoType { name }
        } else {
            Denial::WildcardNoType { name, wildcard }
        }
    }
}

impl<'a> Records<'a> {
    pub(super) fn unsigned(owner: DomainName, set: SetView<'a>) -> Self {
        let (record_type, ttl) = (set.record_type(), set.ttl());
        let data = set.data().map(Cow::Borrowed).collect();
        Self { owner, record_type, ttl, data, names_whole: false, signatures: Vec::new() }
    }

    pub(super) fn signed(owner: DomainName, set: SetView<'a>) -> Self {
        Self { signatures: set.signatures().collect(), ..Self::unsigned(owner, set) }
    }
}

/// RFC 8482 section 4.2: a HINFO record instead of everything.
fn refuse_any(name: &DomainName) -> Records<'static> {
    let data = vec![Cow::Borrowed(&b"\x07RFC8482\0"[..])];
    let signatures = Vec::new();
    let (owner, record_type) = (name.clone(), record_type::HINFO);
    Records { owner, record_type, ttl: 3600, data, names_whole: true, signatures }
}
