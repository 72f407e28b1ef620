//! How zones stand that take DNS UPDATE, as `GET /status` and `GET /metrics` show it.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_director::{DirectorHandle, UpdateStatus};

use super::status::ProblemView;

/// A zone that takes DNS UPDATE (RFC 2136).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct UpdatedZoneView {
    /// Its apex.
    pub(crate) zone: String,
    /// The serial of what is served, before signing raises it.
    pub(crate) serial: u32,
    /// Changes in the journal; it is written anew, without any, now and then.
    pub(crate) changes: u64,
    /// Bytes of the journal.
    pub(crate) journal_bytes: u64,
    /// When it was changed last, in seconds since 1970; absent if the journal does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) changed_at: Option<u64>,
    /// The key that changed it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) changed_by: Option<String>,
    /// Why it takes no updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// What updates made and is not served, since it would hide a service or a server; the first ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) left_out: Vec<String>,
}

impl UpdatedZoneView {
    pub(crate) fn of(status: UpdateStatus) -> Self {
        let UpdateStatus { apex, serial, changes, journal_bytes, last, problem, left_out } = status;
        let (changed_at, changed_by) = last.map(|(at, key)| (at, key.to_string())).unzip();
        let zone = apex.to_string();
        Self { zone, serial, changes, journal_bytes, changed_at, changed_by, problem, left_out }
    }

    /// What is wrong with it, in a sentence each.
    pub(crate) fn problems(&self) -> Vec<ProblemView> {
        let closed = self.problem.as_deref();
        let closed = closed.map(|why| format!("the zone {} takes no updates: {why}", self.zone));
        let texts = closed.into_iter().chain(self.left_out.iter().cloned());
        let one = |text| ProblemView { kind: "zone".to_owned(), subject: self.zone.clone(), text };
        texts.map(one).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ZoneLabels {
    zone: String,
}

/// Adds what became of updates, where any zone takes them.
pub(super) fn register(registry: &mut Registry, director: &DirectorHandle) {
    let zones = director.updated_zones();
    if zones.is_empty() {
        return;
    }
    let counts = director.update_counts();
    let outcomes = Family::<OutcomeLabels, Counter>::default();
    for (outcome, count) in [
        ("done", counts.done),
        ("unchanged", counts.unchanged),
        ("prerequisite", counts.prerequisites),
        ("refused", counts.refused),
        ("unsigned", counts.unsigned),
        ("failed", counts.failed),
    ] {
        outcomes.get_or_create(&OutcomeLabels { outcome }).inc_by(count);
    }
    registry.register("dns_updates", "DNS UPDATE messages by what became of them", outcomes);
    let bytes = Family::<ZoneLabels, Gauge>::default();
    let broken = Family::<ZoneLabels, Gauge>::default();
    for status in zones {
        let labels = ZoneLabels { zone: status.apex.to_string() };
        let journal = i64::try_from(status.journal_bytes).unwrap_or(i64::MAX);
        bytes.get_or_create(&labels).set(journal);
        broken.get_or_create(&labels).set(i64::from(status.problem.is_some()));
    }
    registry.register(
        "dns_journal_bytes",
        "Bytes of the journal of a zone that takes updates",
        bytes,
    );
    let help = "1 if a zone that is to take updates takes none, for its journal cannot be used";
    registry.register("dns_journal_broken", help, broken);
}
