//! The name server's part of the metrics.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use walrus_director::{Latency, Traffic};

use super::signing::KeyFigures;
use crate::node::Node;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReplyLabels {
    transport: &'static str,
    r#type: &'static str,
    rcode: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AreaLabels {
    service: String,
    area: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    service: String,
    server: String,
}

/// Adds the name server's counters and the group's, where this node has them.
pub(super) fn register(
    registry: &mut Registry,
    node: &Node,
    traffic: Option<&Traffic>,
    keys: &KeyFigures,
) {
    if let Some(traffic) = traffic {
        traffic_metrics(registry, traffic);
    }
    if let Some(director) = node.director() {
        // As they are now: what threads are asked for may be half a second old.
        for (name, help, value) in director.counters().iter() {
            registry.register(format!("dns_{name}"), help, ConstCounter::new(value));
        }
        let epoch = director.plan().map_or(0, |plan| plan.number.epoch);
        let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
        let help = "Epoch of the Plan that the name server answers from; 0 without one";
        registry.register("dns_plan_epoch", help, ConstGauge::new(epoch));
        let help = "Time from when the Controller took in what led to a Plan until its answers were \
                    given";
        let changes = ConstHistogram(director.change_latency());
        registry.register("plan_in_force_seconds", help, changes);
        super::signing::register(registry, &director.signing(), keys);
        super::updated::register(registry, director);
        let refused = i64::try_from(director.unfit_services().len()).unwrap_or(i64::MAX);
        let help = "Services that are refused, since they do not fit what their zones hold";
        registry.register("services_refused", help, ConstGauge::new(refused));
    }
    let Some(group) = node.controller().and_then(|controller| controller.group()) else { return };
    let connected = i64::try_from(group.connected()).unwrap_or(i64::MAX);
    registry.register("group_connected", "Connections now", ConstGauge::new(connected));
    let mut counter = |name: &str, help: &str, value: u64| {
        registry.register(name, help, ConstCounter::new(value));
    };
    counter("group_refused", "Connections refused", group.refused());
    counter("group_unknown_kinds", "Messages of a kind not known here", group.unknown_kinds());
}

fn traffic_metrics(registry: &mut Registry, traffic: &Traffic) {
    let replies = Family::<ReplyLabels, Counter>::default();
    for reply in traffic.replies.iter() {
        let labels = ReplyLabels {
            transport: reply.transport,
            r#type: reply.record_type,
            rcode: reply.rcode,
        };
        replies.get_or_create(&labels).inc_by(reply.count);
    }
    let help = "Replies by transport, type and code; a type or code that is not known is `other`";
    registry.register("dns_replies", help, replies);

    let areas = Family::<AreaLabels, Counter>::default();
    let servers = Family::<ServerLabels, Counter>::default();
    for it in &traffic.services {
        for (area, count) in &it.areas {
            let labels = AreaLabels { service: it.service.clone(), area: area.clone() };
            areas.get_or_create(&labels).inc_by(*count);
        }
        for (server, count) in &it.servers {
            let labels = ServerLabels { service: it.service.clone(), server: server.clone() };
            servers.get_or_create(&labels).inc_by(*count);
        }
    }
    let help = "Queries for a service by the area that the client was taken to be in";
    registry.register("dns_service_queries", help, areas);
    let help = "Answers for a service by the server that came first in them";
    registry.register("dns_server_answers", help, servers);

    let help = "Time from when a thread begins to take what has arrived by UDP until all replies \
                to it are with the kernel; each query counts with the whole batch's time, and what \
                it waited in the socket's buffer before is not in it";
    let latency = ConstHistogram(traffic.latency.clone());
    registry.register("dns_answer_seconds", help, latency);
}

/// Counted elsewhere: only written out here.
#[derive(Debug)]
struct ConstHistogram(Latency);

impl EncodeMetric for ConstHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        // The last bucket has no bound, which the encoder wants to be told so.
        let bound = |bound: Option<Duration>| bound.map_or(f64::INFINITY, |it| it.as_secs_f64());
        let buckets: Vec<(f64, u64)> =
            self.0.buckets().map(|(upper, count)| (bound(upper), count)).collect();
        let (sum, count) = (self.0.sum().as_secs_f64(), self.0.count());
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
