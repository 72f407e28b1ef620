//! What a question's answer holds: the CNAME chain, the records, the SOA or the referral.

use domain::base::iana::Rcode;
use walrus_dns::{DomainName, record_type};

use super::index::{CompleteIndex, Found};
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
    /// The chain ends at this service, whose records are to be appended under this owner.
    pub service: Option<(u32, DomainName)>,
}

impl Resolution<'_> {
    /// A reply that says only this.
    pub(super) const fn error(rcode: Rcode) -> Self {
        Self::new(rcode, false)
    }

    const fn new(rcode: Rcode, authoritative: bool) -> Self {
        Self {
            rcode,
            authoritative,
            answer: Vec::new(),
            authority: Vec::new(),
            glue: Vec::new(),
            service: None,
        }
    }
}

/// A record set as it is written into a reply.
#[derive(Debug)]
pub(super) struct Records<'a> {
    pub owner: DomainName,
    pub record_type: u16,
    pub ttl: u32,
    pub data: Vec<&'a [u8]>,
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
    index: &'a CompleteIndex,
    name: &DomainName,
    wanted: u16,
) -> Resolution<'a> {
    let mut resolution = Resolution::new(Rcode::NOERROR, true);
    let mut name = name.clone();
    let mut visited = Vec::new();
    while let Some(target) = step(index, &name, wanted, &mut resolution) {
        visited.push(name);
        if visited.len() >= ALIASES_MAX || visited.contains(&target) {
            break;
        }
        name = target;
    }
    resolution
}

/// Adds what one name gives; an alias' target if there is one to follow.
fn step<'a>(
    index: &'a CompleteIndex,
    name: &DomainName,
    wanted: u16,
    resolution: &mut Resolution<'a>,
) -> Option<DomainName> {
    let is_first = resolution.answer.is_empty();
    match index.find(name, wanted) {
        Found::Elsewhere => {
            // An alias to elsewhere is an answer; a question about elsewhere is not ours.
            if is_first {
                resolution.rcode = Rcode::REFUSED;
                resolution.authoritative = false;
            }
        }
        Found::Delegated { cut, nameservers, zone } => {
            // RFC 1034 section 6.2.7: AA speaks for the question's own name.
            resolution.authoritative = !is_first;
            resolution.glue = glue(&cut, nameservers, zone);
            resolution.authority.push(Records::new(cut, nameservers));
        }
        Found::Nothing { zone } => {
            resolution.rcode = Rcode::NXDOMAIN;
            resolution.authority.extend(negative(zone));
        }
        Found::Node { sets, service, zone } => {
            return node(name, wanted, sets, service, zone, resolution);
        }
    }
    None
}

fn node<'a>(
    name: &DomainName,
    wanted: u16,
    sets: Sets<'a>,
    service: Option<u32>,
    zone: &'a Zone,
    resolution: &mut Resolution<'a>,
) -> Option<DomainName> {
    if let Some(service) = service
        && (wanted == record_type::A || wanted == record_type::AAAA)
    {
        resolution.service = Some((service, name.clone()));
        // Should no server of the service have this family, then this is the answer.
        resolution.authority.extend(negative(zone));
        return None;
    }
    // RFC 8482 section 4.2: where an alias stands, the alias is the answer.
    let wanted = match wanted {
        record_type::ANY if sets.of_type(record_type::CNAME).is_some() => record_type::CNAME,
        wanted => wanted,
    };
    if wanted == record_type::ANY && (service.is_some() || !sets.is_empty()) {
        resolution.answer.push(refuse_any(name));
        return None;
    }
    if let Some(set) = sets.of_type(wanted) {
        resolution.answer.push(Records::new(name.clone(), set));
        return None;
    }
    if let Some(alias) = sets.of_type(record_type::CNAME)
        && let Some(first) = alias.data().next()
        && let Ok(target) = DomainName::from_wire(first)
    {
        resolution.answer.push(Records::new(name.clone(), alias));
        return Some(target);
    }
    resolution.authority.extend(negative(zone));
    None
}

impl<'a> Records<'a> {
    fn new(owner: DomainName, set: SetView<'a>) -> Self {
        let data = set.data().collect();
        Self { owner, record_type: set.record_type(), ttl: set.ttl(), data }
    }
}

/// RFC 8482 section 4.2: a HINFO record instead of everything.
fn refuse_any(name: &DomainName) -> Records<'static> {
    let data = vec![&b"\x07RFC8482\0"[..]];
    Records { owner: name.clone(), record_type: record_type::HINFO, ttl: 3600, data }
}

/// The SOA with the time that "no" may be remembered (RFC 2308 section 3).
fn negative(zone: &Zone) -> Option<Records<'_>> {
    let soa = zone.set(zone.apex(), record_type::SOA)?;
    let mut records = Records::new(zone.apex().clone(), soa);
    let minimum = soa.data().next().and_then(|data| data.last_chunk::<4>());
    let minimum = minimum.map_or(u32::MAX, |bytes| u32::from_be_bytes(*bytes));
    records.ttl = soa.ttl().min(minimum);
    Some(records)
}

fn glue<'a>(cut: &DomainName, nameservers: SetView<'_>, zone: &'a Zone) -> Vec<Glue<'a>> {
    let mut glue = Vec::new();
    for data in nameservers.data() {
        let Ok(target) = DomainName::from_wire(data) else { continue };
        for family in [record_type::A, record_type::AAAA] {
            if let Some(set) = zone.set(&target, family) {
                let records = Records::new(target.clone(), set);
                glue.push(Glue { records, in_domain: target.is_within(cut) });
            }
        }
    }
    // Stable: what is needed first, then in the order of the NS records.
    glue.sort_by_key(|glue| !glue.in_domain);
    glue
}
