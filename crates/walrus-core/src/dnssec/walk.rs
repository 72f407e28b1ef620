//! A zone's names together with its services, in canonical order, and what of them is
//! authoritative: what a chain is made of.

use std::collections::BTreeMap;
use std::iter::Peekable;

use walrus_dns::{DomainName, record_type};

use super::ServiceTypes;
use crate::zone::{Sets, Zone};

/// Whose a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The zone's own.
    Own,
    /// A delegation: the zone vouches for its DS set, and for its being one (RFC 4035 section 2.2).
    Cut,
    /// Below a delegation (addresses of name servers) or a DNAME record: not signed, and in no
    /// chain.
    Below,
}

/// A name with what there is at it.
pub(super) struct Node<'a> {
    pub(super) name: DomainName,
    pub(super) standing: Standing,
    /// Static sets.
    pub(super) sets: Sets<'a>,
    /// Types that its service promises, if it has one.
    pub(super) promised: Option<&'a [u16]>,
}

impl<'a> Node<'a> {
    /// Static sets that are answered: of what the service gives, none; and a service with addresses
    /// of one family has none of the other.
    pub(super) fn answered(&self) -> impl Iterator<Item = crate::zone::SetView<'a>> + use<'a> {
        let promised = self.promised.unwrap_or_default();
        let is_address = |number: &u16| matches!(*number, record_type::A | record_type::AAAA);
        let gives_addresses = promised.iter().any(is_address);
        self.sets.iter().filter(move |set| {
            let number = set.record_type();
            let is_given = promised.contains(&number) || gives_addresses && is_address(&number);
            !is_given
        })
    }
}

/// All names of a zone and its services, in canonical order.
pub(super) fn nodes<'a>(
    zone: &'a Zone,
    services: &'a [ServiceTypes],
) -> impl Iterator<Item = Node<'a>> {
    let services: BTreeMap<&DomainName, &[u16]> =
        services.iter().map(|(name, promised)| (name, promised.as_slice())).collect();
    let mut statics = zone.iter().peekable();
    let mut services = services.into_iter().peekable();
    let mut below: Option<DomainName> = None;
    std::iter::from_fn(move || {
        let mut node = next_of_both(&mut statics, &mut services, zone)?;
        if below.as_ref().is_some_and(|above| node.name.is_within(above)) {
            node.standing = Standing::Below;
            return Some(node);
        }
        below = None;
        let has = |record_type| node.sets.of_type(record_type).is_some();
        if has(record_type::NS) && node.name != *zone.apex() {
            node.standing = Standing::Cut;
            below = Some(node.name.clone());
        } else if has(record_type::DNAME) {
            below = Some(node.name.clone());
        }
        Some(node)
    })
}

/// The lesser of two names that come in order, or both as one.
fn next_of_both<'a>(
    statics: &mut Peekable<impl Iterator<Item = (DomainName, Sets<'a>)>>,
    services: &mut Peekable<impl Iterator<Item = (&'a DomainName, &'a [u16])>>,
    zone: &'a Zone,
) -> Option<Node<'a>> {
    let service_is_due = match (statics.peek(), services.peek()) {
        (Some((name, _)), Some((service, _))) => *service <= name,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    let service = if service_is_due { services.next() } else { None };
    let own = Standing::Own;
    let Some((name, promised)) = service else {
        let (name, sets) = statics.next()?;
        return Some(Node { name, standing: own, sets, promised: None });
    };
    let sets = match statics.next_if(|(other, _)| other == name) {
        Some((_, sets)) => sets,
        None => zone.sets(name),
    };
    Some(Node { name: name.clone(), standing: own, sets, promised: Some(promised) })
}
