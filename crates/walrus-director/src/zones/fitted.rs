//! What is served of a zone as it came: without what somebody else signed if Walrus signs it, and with
//! the addresses of the hosts that services' records name.

use std::sync::Arc;

use walrus_core::dnssec::unsigned;
use walrus_core::zone::{HostedZones, RecordSet, Zone, add_hosts};
use walrus_dns::{DomainName, record_type};

use crate::signing::Wanted;

/// Why content that came does not go together with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfitting {
    /// It is signed by somebody else, and there are services in it.
    #[error(
        "the zone {zone} comes signed, and an answer of the service {service} would have no \
         signature: write dnssec = \"sign\" into its [[zone]], so that Walrus signs it, or let its \
         primary send it unsigned"
    )]
    SignedElsewhere {
        /// The zone.
        zone: DomainName,
        /// One of them.
        service: DomainName,
    },
    /// It says otherwise about a server's name.
    #[error("{0}")]
    Hosts(String),
}

impl Wanted {
    /// The zone as it is served, but for its signatures.
    pub(crate) fn fitted(&self, content: &Arc<Zone>) -> Result<Arc<Zone>, Unfitting> {
        let apex = content.apex();
        if self.signing.contains_key(apex) {
            return self.with_hosts(&plain(content));
        }
        let service = self.services_in(apex).next();
        match service {
            Some(service) if content.is_signed() => {
                Err(Unfitting::SignedElsewhere { zone: apex.clone(), service: service.clone() })
            }
            None if content.is_signed() => Ok(Arc::clone(content)),
            Some(_) => self.with_hosts(&without(content, &[record_type::ZONEMD])),
            None => self.with_hosts(content),
        }
    }

    /// The names of the services that live in a zone.
    fn services_in<'a>(&'a self, apex: &'a DomainName) -> impl Iterator<Item = &'a DomainName> {
        let deeper: Vec<&DomainName> =
            self.apexes().filter(|other| *other != apex && other.is_within(apex)).collect();
        let names = self.topology.services.iter().map(|service| &service.name);
        names.filter(move |name| {
            name.is_within(apex) && !deeper.iter().any(|deeper| name.is_within(deeper))
        })
    }

    fn with_hosts(&self, content: &Arc<Zone>) -> Result<Arc<Zone>, Unfitting> {
        // All zones, for the deepest has a name; those that are served have their hosts already.
        let others = self.zones.iter().filter(|zone| zone.apex() != content.apex());
        let zones: Vec<Arc<Zone>> = std::iter::once(content).chain(others).cloned().collect();
        let HostedZones { zones, .. } =
            add_hosts(&zones, &self.topology).map_err(|mut problems| {
                Unfitting::Hosts(problems.drain(..1).next().unwrap_or_default())
            })?;
        let hosted = zones.into_iter().next();
        let hosted = hosted.unwrap_or_else(|| Arc::clone(content));
        if Arc::ptr_eq(&hosted, content) {
            return Ok(hosted);
        }
        Ok(without(&hosted, &[record_type::ZONEMD]))
    }
}

/// Without all that a signer put there.
fn plain(content: &Arc<Zone>) -> Arc<Zone> {
    let of_signers = [
        record_type::DNSKEY,
        record_type::CDS,
        record_type::CDNSKEY,
        record_type::NSEC3PARAM,
        record_type::ZONEMD,
    ];
    if content.is_signed() {
        return without(&Arc::new(unsigned(content)), &of_signers);
    }
    without(content, &of_signers)
}

/// Without these types at the apex.
fn without(content: &Arc<Zone>, types: &[u16]) -> Arc<Zone> {
    let apex = content.apex();
    let held = types.iter().filter(|record_type| content.set(apex, **record_type).is_some());
    let none = |record_type: &u16| {
        (apex.clone(), RecordSet { record_type: *record_type, ..RecordSet::default() })
    };
    let gone: Vec<_> = held.map(none).collect();
    if gone.is_empty() { Arc::clone(content) } else { Arc::new(content.with_sets(gone)) }
}
