//! What proves that something does not exist: NSEC (RFC 4035 section 3.1.3) or NSEC3 records (RFC
//! 5155 section 7.2).
//!
//! A signed zone's chain says of each of its names what comes next and which types there are; what
//! a record of the chain stands at or jumps over is thereby settled. Each kind of "no" needs such a
//! record for one name or two, and if names are hashed, one more for the closest encloser, which a
//! hash does not show.

use std::borrow::Cow;

use walrus_dns::{DomainName, record_type};

use super::resolve::Records;
use crate::zone::{Nsec3Chain, Nsec3View, SetView, Zone, hashed_owner};

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
    Wildcard { name: &'a DomainName, wildcard: &'a DomainName },
}

/// The records that prove it, signed, in the order in which they are sent, each once. None from a
/// zone that is not signed.
pub(super) fn prove<'a>(zone: &'a Zone, denial: Denial<'_>) -> Vec<Records<'a>> {
    if !is_signed(zone) {
        return Vec::new();
    }
    let chain = match zone.nsec3() {
        Some(chain) => prove_hashed(zone, chain, denial),
        None => prove_plainly(zone, denial),
    };
    let mut proof: Vec<Records<'a>> = Vec::new();
    for records in chain {
        if proof.iter().all(|other| other.owner != records.owner) {
            let ttl = records.ttl.min(zone.negative_ttl());
            proof.push(Records { ttl, ..records });
        }
    }
    proof
}

/// A zone is signed if its SOA record is: then all of it is.
pub(super) fn is_signed(zone: &Zone) -> bool {
    let soa = zone.set(zone.apex(), record_type::SOA);
    soa.is_some_and(|soa| soa.signatures().next().is_some())
}

fn prove_plainly<'a>(zone: &'a Zone, denial: Denial<'_>) -> Vec<Records<'a>> {
    let (first, second) = match denial {
        Denial::NoType { name } | Denial::Wildcard { name, .. } => (name, None),
        // Where a wildcard would be too long there is none.
        Denial::NoName { name, encloser } => (name, encloser.wildcard()),
        Denial::WildcardNoType { name, wildcard } => (name, Some(wildcard.clone())),
    };
    let at_or_before = |name: &DomainName| {
        let (owner, set) = at_or_before(zone, name)?;
        Some(Records::signed(owner, set))
    };
    at_or_before(first).into_iter().chain(second.as_ref().and_then(at_or_before)).collect()
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

fn prove_hashed<'a>(zone: &'a Zone, chain: &'a Nsec3Chain, denial: Denial<'_>) -> Vec<Records<'a>> {
    let matching = |name: &DomainName| chain.matching(&chain.parameters().hash(name.as_wire()));
    let covering =
        |name: &DomainName| chain.matching_or_covering(&chain.parameters().hash(name.as_wire()));
    // The nearest name above that has a record, and what jumps over the name below that one
    // (section 7.2.1). Only in a zone with opt-out, signed elsewhere, is it not the encloser itself.
    let provable = |encloser: &DomainName| {
        let above = std::iter::successors(Some(encloser.clone()), DomainName::parent);
        let mut in_zone = above.take_while(|above| above.is_within(zone.apex()));
        in_zone.find_map(|above| Some((matching(&above)?, above)))
    };
    let encloser_proof = |name: &DomainName, encloser: &DomainName| {
        let next_closer = |above: DomainName| covering(&name.suffix(above.label_count() + 1));
        provable(encloser).map_or([None, None], |(view, above)| [Some(view), next_closer(above)])
    };
    let found: Vec<Option<Nsec3View<'a>>> = match denial {
        // Sections 7.2.3, 7.2.4 and 7.2.7.
        Denial::NoType { name } => match (matching(name), name.parent()) {
            (None, Some(parent)) => encloser_proof(name, &parent).to_vec(),
            (view, _) => vec![view],
        },
        // Section 7.2.2.
        Denial::NoName { name, encloser } => {
            // Whoever checks it takes the provable encloser for the encloser.
            let wildcard = provable(encloser).and_then(|(_, above)| covering(&above.wildcard()?));
            encloser_proof(name, encloser).into_iter().chain([wildcard]).collect()
        }
        // Section 7.2.5.
        Denial::WildcardNoType { name, wildcard } => {
            let encloser = wildcard.parent().unwrap_or_else(DomainName::root);
            encloser_proof(name, &encloser).into_iter().chain([matching(wildcard)]).collect()
        }
        // Section 7.2.6.
        Denial::Wildcard { name, wildcard } => {
            vec![covering(&name.suffix(wildcard.label_count()))]
        }
    };
    let record = |view: Nsec3View<'a>| {
        let owner = hashed_owner(view.hash(), zone.apex());
        Some(Records {
            owner: owner?,
            record_type: record_type::NSEC3,
            ttl: view.ttl(),
            data: vec![Cow::Owned(view.data().concat())],
            names_whole: true,
            signatures: view.signatures().collect(),
        })
    };
    found.into_iter().flatten().filter_map(record).collect()
}
