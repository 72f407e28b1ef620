//! `GET /metrics`: what the Controller and the name server know, as OpenMetrics text.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use super::ApiError;
use super::signing::KeyFigures;
use super::status::StatusView;
use crate::node::Node;

type FloatGauge = Gauge<f64, std::sync::atomic::AtomicU64>;

/// All metrics. The registry is filled anew at each scrape: the sources keep plain numbers, and
/// nothing on the answer path knows of metrics.
pub(super) async fn render(node: &Node) -> Result<String, ApiError> {
    let mut registry = Registry::with_prefix("walrus");
    let version = BuildLabels { version: env!("CARGO_PKG_VERSION").to_owned() };
    let build = Family::<BuildLabels, Gauge>::default();
    build.get_or_create(&version).set(1);
    registry.register("build_info", "1 for the version that runs", build);
    let has_controller = node.controller().is_some();
    match node.status(None).await {
        // A name server without a Controller has its own counters and problems all the same.
        Ok(status) => {
            let open = i64::try_from(status.problems.len()).unwrap_or(i64::MAX);
            registry.register("problems", "Problems that are open now", ConstGauge::new(open));
            if has_controller {
                controller_metrics(&mut registry, &status);
                super::vantage::register(&mut registry, &status);
                super::clocks::register(&mut registry, &status);
            }
            if let Some(group) = status.group.as_ref().filter(|_| has_controller) {
                super::group::register_group(&mut registry, group);
            }
        }
        Err(gone) if has_controller => return Err(gone),
        // It knows nobody who decides, and has no status.
        Err(_) => {}
    }
    if let Some(bus) = node.bus_view() {
        super::group::register_bus(&mut registry, &bus);
    }
    super::expiry_metrics::register(&mut registry, &node.expiring());
    super::published::register(&mut registry, &node.name_servers());
    super::secondary::register(&mut registry, &node.zones_from_primaries());
    super::transferred::register(&mut registry, &node.zones_to_others());
    if let Some(director) = node.director() {
        super::outbound_metrics::register(&mut registry, director);
    }
    let traffic = node.director_traffic().await;
    let problems = node.key_problems().await.len();
    let keys = KeyFigures { zones: node.keys_view().await.zones, problems };
    let traffic = traffic.as_deref();
    crate::api::name_server_metrics::register(&mut registry, node, traffic, &keys);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(ApiError::internal)?;
    Ok(text)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    server: String,
    cluster: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LifeLabels {
    server: String,
    life: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AreaLabels {
    service: String,
    area: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShareLabels {
    service: String,
    area: String,
    cluster: String,
}

fn controller_metrics(registry: &mut Registry, status: &StatusView) {
    counters(registry, status);
    let load = Family::<ServerLabels, FloatGauge>::default();
    let hits = Family::<ServerLabels, FloatGauge>::default();
    let life = Family::<LifeLabels, Gauge>::default();
    for server in &status.servers {
        let labels = ServerLabels { server: server.name.clone(), cluster: server.cluster.clone() };
        if let Some(value) = server.load {
            load.get_or_create(&labels).set(value);
        }
        hits.get_or_create(&labels).set(server.hits_per_second);
        let labels = LifeLabels { server: server.name.clone(), life: server.life.clone() };
        life.get_or_create(&labels).set(1);
    }
    registry.register("server_load", "Load, 0 idle to 1 full; absent if unknown", load);
    registry.register("server_hits_per_second", "Requests a second, as reported", hits);
    registry.register("server_life", "1 for the life that the server is in", life);

    let degraded = Family::<AreaLabels, Gauge>::default();
    let queries = Family::<AreaLabels, FloatGauge>::default();
    let share = Family::<ShareLabels, FloatGauge>::default();
    for area in &status.areas {
        let labels = AreaLabels { service: area.service.clone(), area: area.area.clone() };
        degraded.get_or_create(&labels).set(i64::from(area.degraded));
        queries.get_or_create(&labels).set(area.queries_per_second);
        for place in &area.clusters {
            let labels = ShareLabels {
                service: area.service.clone(),
                area: area.area.clone(),
                cluster: place.cluster.clone(),
            };
            share.get_or_create(&labels).set(place.share);
        }
    }
    demand_metrics(registry, status);
    super::moves::register(registry, &status.moves, status.moves_left_out);
    registry.register("area_degraded", "1 while the area is worse off than it should be", degraded);
    registry.register("area_queries_per_second", "Queries a second, all Directors", queries);
    registry.register("area_cluster_share", "Share of the area that a cluster serves", share);
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service: String,
}

/// Three figures a service, however many domains ask.
fn demand_metrics(registry: &mut Registry, status: &StatusView) {
    let rate = Family::<ServiceLabels, FloatGauge>::default();
    let named = Family::<ServiceLabels, Gauge>::default();
    let hot = Family::<ServiceLabels, Gauge>::default();
    for demand in &status.demand {
        let labels = ServiceLabels { service: demand.service.clone() };
        rate.get_or_create(&labels).set(demand.rate);
        named.get_or_create(&labels).set(i64::try_from(demand.named).unwrap_or(i64::MAX));
        hot.get_or_create(&labels).set(i64::try_from(demand.hot).unwrap_or(i64::MAX));
    }
    registry.register("service_demand", "Requests a second by which domains are weighed", rate);
    registry.register("service_domains", "Domains that the Plan names", named);
    registry.register("service_domains_hot", "Domains that are hot", hot);
}

fn counters(registry: &mut Registry, status: &StatusView) {
    let counters = &status.counters;
    let mut counter = |name: &str, help: &str, value: u64| {
        registry.register(name, help, ConstCounter::new(value));
    };
    counter("reports", "Reports taken in", counters.reports);
    counter("reports_refused", "Reports refused", counters.reports_refused);
    counter("reports_stale", "Reports refused for an old session", counters.reports_stale);
    counter("probes_lost", "Probes without an outcome", counters.probes_lost);
    counter("observations", "Observations taken in", counters.observations);
    counter("observations_refused", "Observations refused", counters.observations_refused);
    counter("probes", "Probes begun", counters.probes);
    counter("probes_failed", "Probes that failed", counters.probes_failed);
    counter("resolutions", "Resolutions of aliases begun", counters.resolutions);
    counter("resolutions_failed", "... that failed", counters.resolutions_failed);
    counter("rounds", "Rounds", counters.rounds);
    counter("events", "Decisions between rounds", counters.events);
    counter("plans", "Plans published", counters.plans);
    counter("notices", "Notices to people", counters.notices);
    let epoch = i64::try_from(status.plan.epoch).unwrap_or(i64::MAX);
    let sequence = i64::try_from(status.plan.sequence).unwrap_or(i64::MAX);
    registry.register("plan_epoch", "Epoch of the Plan in force", ConstGauge::new(epoch));
    registry.register("plan_sequence", "Sequence of the Plan in force", ConstGauge::new(sequence));
}
