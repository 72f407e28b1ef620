//! What proves that something does not exist: NSEC records (RFC 4035 section 3.1.3).
//!
//! A signed zone's chain says of each of its names what comes next and which types there are; what
//! a record of the chain stands at or jumps over is thereby settled. Each kind of "no" needs such a
//! record for one name or two.

use walrus_dns::{DomainName, record_type};

use super::resolve::{Records, negative_ttl};
use crate::zone::{SetView, Zone};

/// What is to be proven.
#[derive(Clone, Copy, Debug)]
pub(super) enum Denial<'a> {
    /// The name exists, perhaps as an empty non-terminal, and lacks the type.
    NoType { name: &'a DomainName },
    /// The name does not exist, and neither does a wildcard that would stand for it.
    NoName { name: &'a DomainName, encloser: &'a DomainName },
    /// The name does not exist; the wildcard stands for it and lacks the type.
    WildcardNoType { name: &'a DomainName, wildcard: &'a DomainName },
    /// The name does not exist, so that the wildcard may stand for it.
    Wildcard { name: &'a DomainName },
}

/// The records that prove it, signed, in the order in which they are sent, each once. None from a
/// zone that is not signed.
pub(super) fn prove<'a>(zone: &'a Zone, denial: Denial<'_>) -> Vec<Records<'a>> {
    if !is_signed(zone) {
        return Vec::new();
    }
    let no_wildcard;
    let (first, second) = match denial {
        Denial::NoType { name } | Denial::Wildcard { name } => (name, None),
        Denial::NoName { name, encloser } => {
            // Where a wildcard would be too long there is none.
            no_wildcard = encloser.wildcard();
            (name, no_wildcard.as_ref())
        }
        Denial::WildcardNoType { name, wildcard } => (name, Some(wildcard)),
    };
    let mut proof: Vec<Records<'a>> = Vec::new();
    for name in std::iter::once(first).chain(second) {
        let Some((owner, set)) = at_or_before(zone, name) else { continue };
        if proof.iter().all(|records| records.owner != owner) {
            let ttl = set.ttl().min(negative_ttl(zone));
            proof.push(Records { ttl, ..Records::signed(owner, set) });
        }
    }
    proof
}

/// A zone is signed if its SOA record is: then all of it is.
pub(super) fn is_signed(zone: &Zone) -> bool {
    let soa = zone.set(zone.apex(), record_type::SOA);
    soa.is_some_and(|soa| soa.signatures().next().is_some())
}

/// The NSEC record at a name or, failing that, the one that jumps over it.
fn at_or_before<'a>(zone: &'a Zone, name: &DomainName) -> Option<(DomainName, SetView<'a>)> {
    let before = zone.at_or_before(name)?;
    // Names below a delegation have no NSEC record, and the delegation's jumps over them all.
    let ancestors = std::iter::successors(Some(before), DomainName::parent);
    let mut in_zone = ancestors.take_while(|ancestor| ancestor.is_within(zone.apex()));
    in_zone.find_map(|owner| {
        let set = zone.set(&owner, record_type::NSEC)?;
        Some((owner, set))
    })
}
