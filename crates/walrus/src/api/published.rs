//! How name servers that are already there stand, as `GET /status` shows it.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_core::update::UpdaterStatus;

use super::status::NumberView;

/// A name server that somebody else runs, and what this node keeps there.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct NameServerView {
    /// Its name in the configuration.
    pub(crate) name: String,
    /// The area whose clients ask it.
    pub(crate) area: String,
    /// Where it takes updates.
    pub(crate) address: String,
    /// The area's own zone.
    pub(crate) zone: String,
    /// The Plan that it is to have; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) desired: Option<NumberView>,
    /// The newest Plan that it is known to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged: Option<NumberView>,
    /// Whether it has the Plan that it is to have, as far as is known: what it acknowledged may have been changed
    /// since, or it may be away.
    #[serde(default)]
    pub(crate) current: bool,
    /// Since it last answered, in milliseconds; absent if it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_success_ms: Option<u64>,
    /// What is wrong with it and what to do, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// For how long, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem_ms: Option<u64>,
    /// What keeps clients from what is published there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
    /// Every name that is published there.
    pub(crate) names: Vec<PublishedNameView>,
    /// What happened since the start.
    pub(crate) counters: UpdateCountersView,
}

/// One name there.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PublishedNameView {
    /// The service.
    pub(crate) service: String,
    /// Where its addresses are.
    pub(crate) target: String,
    /// published, waiting, drifted, disputed, foreign, newer, unknown or left.
    pub(crate) state: String,
    /// What it has or lacks, in words.
    pub(crate) detail: String,
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct UpdateCountersView {
    /// Exchanges begun.
    pub(crate) exchanges: u64,
    /// ... that failed.
    pub(crate) failures: u64,
    /// Names that were changed.
    pub(crate) updates: u64,
    /// ... because somebody else had changed them.
    pub(crate) repaired: u64,
    /// Changes that were given up because the name was no longer as it was read.
    pub(crate) overtaken: u64,
}

/// Whether clients of an area ask name servers for a service of which none takes updates of it now (A19).
pub(crate) fn is_unmanaged(servers: &[NameServerView], service: &str, area: &str) -> bool {
    let mut of_area = servers
        .iter()
        .filter(|server| server.area == area)
        .filter_map(|server| Some((server, server.names.iter().find(|it| it.service == service)?)))
        .peekable();
    of_area.peek().is_some() && of_area.all(|(server, name)| server.does_not_take(name))
}

impl NameServerView {
    /// Whether updates of this name do not reach it.
    fn does_not_take(&self, name: &PublishedNameView) -> bool {
        let Some(problem_ms) = self.problem_ms else { return false };
        // It may answer, and refuse the updates of some names alone.
        let is_silent = self.last_success_ms.is_none_or(|ago| ago >= problem_ms);
        is_silent || matches!(&*name.state, "waiting" | "drifted")
    }

    /// As the API shows it.
    pub(crate) fn of(status: UpdaterStatus) -> Self {
        let names = status.names.into_iter().map(|name| PublishedNameView {
            service: name.service,
            target: name.target,
            state: name.state.as_str().to_owned(),
            detail: name.detail,
        });
        let counters = status.counters;
        Self {
            name: status.name.to_string(),
            area: status.area.to_string(),
            address: status.address,
            zone: status.zone,
            desired: status.desired.as_ref().map(NumberView::from),
            acknowledged: status.acknowledged.as_ref().map(NumberView::from),
            current: status.is_current,
            last_success_ms: status.last_success_ms,
            problem_ms: status.problem.as_ref().map(|_| status.problem_ms),
            problem: status.problem,
            warnings: status.warnings,
            names: names.collect(),
            counters: UpdateCountersView {
                exchanges: counters.exchanges,
                failures: counters.failures,
                updates: counters.updates,
                repaired: counters.repaired,
                overtaken: counters.overtaken,
            },
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    name_server: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    name_server: String,
    state: String,
}

/// The same as metrics.
pub(super) fn register(registry: &mut Registry, servers: &[NameServerView]) {
    if servers.is_empty() {
        return;
    }
    let up = Family::<ServerLabels, Gauge>::default();
    let current = Family::<ServerLabels, Gauge>::default();
    let names = Family::<StateLabels, Gauge>::default();
    let exchanges = Family::<ServerLabels, Counter>::default();
    let failures = Family::<ServerLabels, Counter>::default();
    let updates = Family::<ServerLabels, Counter>::default();
    let repaired = Family::<ServerLabels, Counter>::default();
    for server in servers {
        let labels = ServerLabels { name_server: server.name.clone() };
        up.get_or_create(&labels).set(i64::from(server.problem.is_none()));
        current.get_or_create(&labels).set(i64::from(server.current));
        exchanges.get_or_create(&labels).inc_by(server.counters.exchanges);
        failures.get_or_create(&labels).inc_by(server.counters.failures);
        updates.get_or_create(&labels).inc_by(server.counters.updates);
        repaired.get_or_create(&labels).inc_by(server.counters.repaired);
        for name in &server.names {
            let (name_server, state) = (server.name.clone(), name.state.clone());
            names.get_or_create(&StateLabels { name_server, state }).inc();
        }
    }
    registry.register("name_server_up", "1 while updates reach the name server", up);
    registry.register("name_server_current", "1 while it has the Plan that it is to have", current);
    registry.register("name_server_names", "Names that stand so", names);
    registry.register("name_server_exchanges", "Exchanges with it", exchanges);
    registry.register("name_server_failures", "... that failed", failures);
    registry.register("name_server_updates", "Names that were changed", updates);
    registry.register("name_server_repaired", "... for somebody else had changed them", repaired);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_unmanaged_while_none_of_its_name_servers_takes_updates() {
        let server =
            |area: &str, state: &str, problem_ms: Option<u64>, last_success_ms| NameServerView {
                name: area.to_owned(),
                area: area.to_owned(),
                address: String::new(),
                zone: String::new(),
                desired: None,
                acknowledged: None,
                current: false,
                last_success_ms,
                problem: problem_ms.map(|_| "it is away".to_owned()),
                problem_ms,
                warnings: Vec::new(),
                names: vec![PublishedNameView {
                    service: "www".to_owned(),
                    target: String::new(),
                    state: state.to_owned(),
                    detail: String::new(),
                }],
                counters: UpdateCountersView::default(),
            };
        for (servers, expected) in [
            (vec![server("eu", "published", None, Some(10))], false),
            (vec![server("eu", "published", Some(500), Some(800))], true),
            (vec![server("eu", "waiting", Some(500), None)], true),
            // It answers, and refuses the updates of other names alone; or this one's, too.
            (vec![server("eu", "published", Some(500), Some(10))], false),
            (vec![server("eu", "waiting", Some(500), Some(10))], true),
            // Another one of the area, or one of another.
            (
                vec![
                    server("eu", "published", Some(5), Some(8)),
                    server("eu", "published", None, Some(1)),
                ],
                false,
            ),
            (vec![server("asia", "published", Some(500), Some(800))], false),
        ] {
            assert_eq!(is_unmanaged(&servers, "www", "eu"), expected, "{servers:?}");
            assert!(!is_unmanaged(&servers, "other", "eu"));
        }
    }
}
