//! The name server's part of the metrics.

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::node::Node;

/// Adds the name server's counters and the group's, where this node has them.
pub(super) fn register(registry: &mut Registry, node: &Node) {
    if let Some(director) = node.director() {
        for (name, value) in director.counters().iter() {
            let help = format!("Name server: {}", name.replace('_', " "));
            registry.register(format!("dns_{name}"), help, ConstCounter::new(value));
        }
        let epoch = director.plan().map_or(0, |plan| plan.number.epoch);
        let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
        let help = "Epoch of the Plan that the name server answers from; 0 without one";
        registry.register("dns_plan_epoch", help, ConstGauge::new(epoch));
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
