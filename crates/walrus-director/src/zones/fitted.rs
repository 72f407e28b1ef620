//! What is served of a zone as it came: without what somebody else signed if Walrus signs it, with
//! the addresses of the hosts that services' records name, and beside services that do not fit it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use walrus_core::dnssec::unsigned;
use walrus_core::world::ServiceTypes;
use walrus_core::zone::{RecordSet, ServiceUnfit, Zone, unfit_services};
use walrus_dns::{DomainName, record_type};

use crate::signing::Wanted;

/// Services that do not fit a zone as it came, by name.
pub(crate) type UnfitServices = BTreeMap<DomainName, ServiceUnfit>;

/// A line is written of so many of them; the status has all.
const LINES_MAX: usize = 10;

impl Wanted {
    /// The zone as it is served, but for its signatures, and the services that do not fit it. In a zone that a catalog
    /// lists there are none: it is served as it came.
    pub(crate) fn fitted(&self, content: &Arc<Zone>) -> (Arc<Zone>, UnfitServices) {
        let apex = content.apex();
        let own = self.own.of(apex);
        let is_signed_here = self.signing.contains_key(apex);
        let content = if is_signed_here { plain(content) } else { Arc::clone(content) };
        let unfit = unfit_services(&content, own, &self.topology);
        if content.is_signed() {
            // Not a byte of it may change.
            return (content, unfit);
        }
        let hosted = own.with_hosts(&content).zone;
        let is_changed = !own.services.is_empty() || !Arc::ptr_eq(&hosted, &content);
        (if is_changed { without(&hosted, &[record_type::ZONEMD]) } else { hosted }, unfit)
    }

    /// All services that are refused.
    pub(crate) fn unfit_services(&self) -> impl Iterator<Item = &ServiceUnfit> {
        self.unfit.values().flat_map(BTreeMap::values)
    }

    /// The same with the types that they would give.
    pub(crate) fn refused(&self) -> BTreeMap<DomainName, ServiceTypes> {
        let unfit = self.unfit_by_name();
        if unfit.is_empty() {
            return BTreeMap::new();
        }
        let services = self.topology.services.iter();
        let services = services.filter(|service| unfit.contains_key(&service.name));
        services.map(|service| (service.name.clone(), service.records.types())).collect()
    }

    fn unfit_by_name(&self) -> BTreeMap<&DomainName, &ServiceUnfit> {
        self.unfit_services().map(|unfit| (unfit.service(), unfit)).collect()
    }

    /// The first service that is refused now and was not before: whoever brings this can still be told.
    pub(crate) fn newly_unfit(&self, before: &Self) -> Option<&ServiceUnfit> {
        let before = before.unfit_by_name();
        self.unfit_services().find(|unfit| !before.contains_key(unfit.service()))
    }

    /// Writes down what is refused now and was not before.
    pub(crate) fn tell_unfit(&self, before: Option<&Self>) {
        let before: BTreeSet<&ServiceUnfit> =
            before.into_iter().flat_map(Self::unfit_services).collect();
        let new = || self.unfit_services().filter(|unfit| !before.contains(unfit));
        for unfit in new().take(LINES_MAX) {
            tracing::error!(service = %unfit.service(), "the service is refused: {unfit}");
        }
        let others = new().count().saturating_sub(LINES_MAX);
        if others > 0 {
            tracing::error!(others, "more services are refused: see `walrus status`");
        }
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
