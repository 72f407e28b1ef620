//! A zone's names together with its services, in canonical order, and what of them is
//! authoritative: what a chain is made of.

use std::collections::BTreeMap;
use std::iter::Peekable;

use walrus_dns::{DomainName, record_type};

use super::SignedService;
use crate::zone::{SetView, Sets, Zone};

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
    /// The service that lives there, if any.
    pub(super) service: Option<&'a SignedService>,
}

impl<'a> Node<'a> {
    /// Static sets that are answered: those of types that its service does not give.
    pub(super) fn answered(&self) -> impl Iterator<Item = SetView<'a>> + use<'a> {
        let given = self.service.map_or(&[][..], |service| &service.given);
        self.sets.iter().filter(move |set| !given.contains(&set.record_type()))
    }
}

/// All names of a zone and its services, in canonical order.
pub(super) fn nodes<'a>(
    zone: &'a Zone,
    services: &'a [SignedService],
) -> impl Iterator<Item = Node<'a>> {
    let services: BTreeMap<&DomainName, &SignedService> =
        services.iter().map(|service| (&service.name, service)).collect();
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
    services: &mut Peekable<impl Iterator<Item = (&'a DomainName, &'a SignedService)>>,
    zone: &'a Zone,
) -> Option<Node<'a>> {
    let service_is_due = match (statics.peek(), services.peek()) {
        (Some((name, _)), Some((service, _))) => *service <= name,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    let service = if service_is_due { services.next() } else { None };
    let own = Standing::Own;
    let Some((name, service)) = service else {
        let (name, sets) = statics.next()?;
        return Some(Node { name, standing: own, sets, service: None });
    };
    let sets = match statics.next_if(|(other, _)| other == name) {
        Some((_, sets)) => sets,
        None => zone.sets(name),
    };
    Some(Node { name: name.clone(), standing: own, sets, service: Some(service) })
}
