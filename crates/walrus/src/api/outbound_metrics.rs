//! Zones that go to other name servers, and signed requests, as metrics.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use walrus_director::DirectorHandle;

/// Zones that are told apart; no serials are told of those after them.
const ZONES_APART: usize = 1000;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ZoneLabels {
    zone: String,
}

/// Adds what is known of them.
pub(super) fn register(registry: &mut Registry, director: &DirectorHandle) {
    let (count, signed) = director.outbound_counts();
    let mut counter = |name: &str, help: &str, value: u64| {
        registry.register(name, help, ConstCounter::new(value));
    };
    counter("dns_transfers_whole", "Whole zones sent to other name servers", count.whole);
    counter("dns_transfers_differences", "Differences sent to them", count.differences);
    counter("dns_transfers_refused", "Transfers that no rule admits", count.refused);
    counter("dns_transfers_broken", "Transfers whose client went away or was slow", count.broken);
    counter("dns_transfers_too_many", "Requests beyond what is served at once", count.too_many);
    counter("dns_notifications", "NOTIFY messages that were acknowledged", count.notified);
    counter("dns_notifications_unheard", "... that nobody acknowledged", count.unheard);
    counter("dns_tsig_good", "Signed requests whose signature was right", signed.good);
    counter("dns_tsig_bad_key", "... whose key is not known", signed.bad_key);
    counter("dns_tsig_bad_signature", "... whose signature was wrong", signed.bad_signature);
    counter("dns_tsig_bad_time", "... from another time", signed.bad_time);
    counter("dns_tsig_malformed", "... that could not be read", signed.malformed);
    let serial = Family::<ZoneLabels, Gauge>::default();
    for zone in director.outbound().into_iter().take(ZONES_APART) {
        if let Some(number) = zone.serial {
            let labels = ZoneLabels { zone: zone.apex.to_string() };
            serial.get_or_create(&labels).set(i64::from(number));
        }
    }
    registry.register("dns_transfer_serial", "Under which a zone goes to others", serial);
}
