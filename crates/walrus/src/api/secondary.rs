//! How zones that come from other primaries stand: in `GET /status`, as problems, and as metrics.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_core::zone::ServiceUnfit;
use walrus_director::SecondaryStatus;

use super::status::ProblemView;

/// Zones that are told apart by metrics; those after them count as one.
const ZONES_APART: usize = 1000;
/// How zones stand.
const STATES: [&str; 4] = ["served", "waiting", "expired", "catalog"];
/// The name of all those.
const OTHER_ZONES: &str = "(other)";

/// A zone that comes from other primaries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct SecondaryView {
    /// The zone.
    pub(crate) zone: String,
    /// `served`; `waiting`, as long as none has come; `expired`; or `catalog`, if it only lists zones.
    pub(crate) state: String,
    /// Where it comes from, in the order in which they are asked.
    pub(crate) primaries: Vec<String>,
    /// Of the zone that is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) serial: Option<u32>,
    /// Who gave it, or last said that it is the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) primary: Option<String>,
    /// When that was, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refreshed: Option<u64>,
    /// When it is asked for next, in seconds since 1970; absent while it is being asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<u64>,
    /// When it is no longer served if no primary answers before, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<u64>,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// Zones that came whole (AXFR) since the start.
    pub(crate) whole: u64,
    /// Zones that came as differences (IXFR).
    pub(crate) differences: u64,
    /// Attempts that failed.
    pub(crate) failures: u64,
    /// NOTIFY messages of its primaries.
    pub(crate) notifies: u64,
    /// The catalog that lists it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) catalog: Option<String>,
    /// If it is a catalog: how many zones it lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) members: Option<usize>,
}

impl SecondaryView {
    pub(crate) fn of(status: &SecondaryStatus) -> Self {
        let state = match (status.serial, status.is_expired) {
            (Some(_), _) if status.members.is_some() => "catalog",
            (Some(_), _) => "served",
            (None, true) => "expired",
            (None, false) => "waiting",
        };
        Self {
            zone: status.apex.to_string(),
            state: state.to_owned(),
            primaries: status.primaries.iter().map(ToString::to_string).collect(),
            serial: status.serial,
            primary: status.primary.map(|primary| primary.to_string()),
            refreshed: status.checked,
            next: status.next,
            expires: status.expires,
            problem: status.problem.clone(),
            whole: status.counts.whole,
            differences: status.counts.differences,
            failures: status.counts.failures,
            notifies: status.counts.notifies,
            catalog: status.catalog.as_ref().map(ToString::to_string),
            members: status.members,
        }
    }

    /// What is wrong with it, in a sentence.
    pub(crate) fn problem_view(&self) -> Option<ProblemView> {
        let why = self.problem.as_deref();
        let text = match (self.state.as_str(), why) {
            ("served" | "catalog", None) => return None,
            (_, why) if self.members.is_some() => format!(
                "the catalog {} is used as it came last: {}",
                self.zone,
                why.unwrap_or("its primaries are asked")
            ),
            ("served", Some(why)) => {
                format!("the zone {} is served as it came last: {why}", self.zone)
            }
            ("expired", why) => format!(
                "the zone {} expired and is answered with SERVFAIL: {}",
                self.zone,
                why.unwrap_or("its primaries are asked")
            ),
            (_, why) => format!(
                "the zone {} has not come yet and is answered with SERVFAIL: {}",
                self.zone,
                why.unwrap_or("its primaries are asked")
            ),
        };
        Some(ProblemView { kind: "zone".to_owned(), subject: self.zone.clone(), text })
    }
}

/// A service that does not fit what its zone holds.
pub(crate) fn unfit_problem(unfit: &ServiceUnfit) -> ProblemView {
    let service = unfit.service().to_string();
    let text = format!("the service {service} is refused (REFUSED): {unfit}");
    ProblemView { kind: "service".to_owned(), subject: service, text }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ZoneLabels {
    zone: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransferLabels {
    zone: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

/// Adds what is known of them, if there are any.
pub(super) fn register(registry: &mut Registry, zones: &[SecondaryView]) {
    if zones.is_empty() {
        return;
    }
    let served = Family::<ZoneLabels, Gauge>::default();
    let serial = Family::<ZoneLabels, Gauge>::default();
    let expires = Family::<ZoneLabels, Gauge>::default();
    let refreshed = Family::<ZoneLabels, Gauge>::default();
    let transfers = Family::<TransferLabels, Counter>::default();
    let failures = Family::<ZoneLabels, Counter>::default();
    let notifies = Family::<ZoneLabels, Counter>::default();
    let states = Family::<StateLabels, Gauge>::default();
    for state in STATES {
        states.get_or_create(&StateLabels { state }).set(0);
    }
    // What is configured by name is told apart, however many zones catalogs list.
    let (configured, listed): (Vec<_>, Vec<_>) =
        zones.iter().partition(|view| view.catalog.is_none());
    for (place, view) in configured.into_iter().chain(listed).enumerate() {
        if let Some(state) = STATES.into_iter().find(|state| *state == view.state) {
            states.get_or_create(&StateLabels { state }).inc();
        }
        let zone = if place < ZONES_APART { view.zone.as_str() } else { OTHER_ZONES }.to_owned();
        let labels = ZoneLabels { zone: zone.clone() };
        let seconds = |at: Option<u64>| i64::try_from(at.unwrap_or(0)).unwrap_or(i64::MAX);
        if place < ZONES_APART {
            served.get_or_create(&labels).set(i64::from(view.serial.is_some()));
            serial.get_or_create(&labels).set(view.serial.unwrap_or(0).into());
            expires.get_or_create(&labels).set(seconds(view.expires));
            refreshed.get_or_create(&labels).set(seconds(view.refreshed));
        }
        for (kind, count) in [("whole", view.whole), ("difference", view.differences)] {
            let labels = TransferLabels { zone: zone.clone(), kind };
            transfers.get_or_create(&labels).inc_by(count);
        }
        failures.get_or_create(&labels).inc_by(view.failures);
        notifies.get_or_create(&labels).inc_by(view.notifies);
    }
    registry.register("zones_in", "Zones from other primaries by how they stand", states);
    registry.register("zone_in_served", "1 while the zone from other primaries is served", served);
    registry.register("zone_in_serial", "Its serial; 0 while none is served", serial);
    let help = "When it is no longer served, in seconds since 1970; 0 while none is served";
    registry.register("zone_in_expires_timestamp_seconds", help, expires);
    let help = "When a primary last gave it or said that it is the newest, in seconds since 1970";
    registry.register("zone_in_refreshed_timestamp_seconds", help, refreshed);
    registry.register("zone_in_transfers", "Zones that came, whole or as a difference", transfers);
    registry.register("zone_in_failures", "Attempts to bring it up to date that failed", failures);
    registry.register("zone_in_notifies", "NOTIFY messages of its primaries", notifies);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(state: &str, problem: Option<&str>) -> SecondaryView {
        SecondaryView {
            zone: "example.com".to_owned(),
            state: state.to_owned(),
            primaries: Vec::new(),
            serial: None,
            primary: None,
            refreshed: None,
            next: None,
            expires: None,
            problem: problem.map(ToOwned::to_owned),
            whole: 0,
            differences: 0,
            failures: 0,
            notifies: 0,
            catalog: None,
            members: None,
        }
    }

    #[test]
    fn what_is_configured_is_told_apart_however_many_zones_catalogs_list() {
        let member = |number: usize| SecondaryView {
            zone: format!("a{number}.example"),
            catalog: Some("catalog.example".to_owned()),
            ..view(if number.is_multiple_of(2) { "served" } else { "waiting" }, None)
        };
        let own = SecondaryView { zone: "z.example".to_owned(), ..view("expired", None) };
        let zones: Vec<_> = (0..ZONES_APART).map(member).chain([own]).collect();
        let mut registry = Registry::default();
        register(&mut registry, &zones);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "zone_in_served{zone=\"z.example\"} 0",
            "zone_in_failures_total{zone=\"(other)\"} 0",
            "zones_in{state=\"served\"} 500",
            "zones_in{state=\"waiting\"} 500",
            "zones_in{state=\"expired\"} 1",
            "zones_in{state=\"catalog\"} 0",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_says_what_clients_get() {
        let text = |state, problem| view(state, problem).problem_view().map(|it| it.text);
        assert_eq!(text("served", None), None);
        assert!(text("served", Some("192.0.2.1:53: no")).unwrap().contains("as it came last"));
        for state in ["waiting", "expired"] {
            assert!(text(state, None).unwrap().contains("SERVFAIL"));
        }
    }
}
