//! Until when certificates and lists of revocations hold, for whoever watches that they are renewed.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::expiry::Expiring;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExpiryLabels {
    setting: String,
    file: String,
    name: String,
    what: String,
}

/// One figure each; of several of one name in a file the one that runs out first.
pub(super) fn register(registry: &mut Registry, all: &[Expiring]) {
    let ends = Family::<ExpiryLabels, Gauge>::default();
    let mut latest_first: Vec<&Expiring> = all.iter().collect();
    latest_first.sort_by_key(|it| std::cmp::Reverse(it.expiry.ends_unix_s));
    for Expiring { setting, expiry, .. } in latest_first {
        let labels = ExpiryLabels {
            setting: (*setting).to_owned(),
            file: expiry.path.display().to_string(),
            name: expiry.name.clone(),
            what: if expiry.is_list { "revocations" } else { "certificate" }.to_owned(),
        };
        let seconds = i64::try_from(expiry.ends_unix_s).unwrap_or(i64::MAX);
        ends.get_or_create(&labels).set(seconds);
    }
    let help = "Unix second at which a certificate or list of revocations runs out";
    registry.register("certificate_expiry_timestamp_seconds", help, ends);
}
