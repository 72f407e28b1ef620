//! Requests that are Walrus' own: nodes that probe a server ask it whether it is drained or not, and its Reporter counts that.

use std::collections::BTreeMap;

use crate::control::Controller;
use crate::world::{Name, ProbeKind, Server, ServerId};

impl Controller {
    /// Requests a second that all nodes' probes come to, of servers that HTTP probes ask.
    pub(super) fn probes_a_second(&self) -> BTreeMap<Name, f64> {
        let servers = (0..).map(ServerId).zip(&self.configuration.topology.servers);
        let rates = servers.filter_map(|(id, server)| {
            let rate = self.vantage.points_that_tell_of(id) as f64 * probes_of_one(server);
            (rate > 0.0).then(|| (server.name.clone(), rate))
        });
        rates.collect()
    }
}

/// What one node's probes come to.
fn probes_of_one(server: &Server) -> f64 {
    let Some(probe) = &server.probe else { return 0.0 };
    if !matches!(probe.kind, ProbeKind::Http { .. }) || probe.interval.is_zero() {
        return 0.0;
    }
    let addresses = if probe.all_addresses { server.addresses.len() } else { 1 };
    addresses as f64 / probe.interval.as_secs_f64()
}
