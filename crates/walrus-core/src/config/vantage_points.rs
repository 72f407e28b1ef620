//! Who probes, and whether anybody hears of it.

use super::findings::{Findings, Place};
use super::{GroupSettings, NodeSettings};
use crate::world::{DownWhen, Server};

/// What the sections that each are right cannot do together.
pub(super) fn check(
    node: &NodeSettings,
    group: &GroupSettings,
    servers: &[Server],
    findings: &Findings<'_>,
) {
    let is_alone = group.nats.is_none();
    let Some(probed) = servers.iter().find(|server| server.probe.is_some()) else { return };
    if is_alone && node.probes && !node.roles.controller {
        findings.warn(
            Place::NOWHERE,
            "nobody hears how this node sees the servers (`probes` of [node]): write [group.nats] with \
             servers = [\"127.0.0.1:4222\"]",
        );
    }
    if is_alone && node.roles.controller && !node.probes {
        let name = &probed.name;
        findings.warn(
            Place::NOWHERE,
            format!(
                "nobody probes `{name}`: leave `probes = false` of [node] out, or write [group.nats], over \
                 which other nodes tell how they see it"
            ),
        );
    }
    let needs = |server: &&Server| {
        let probe = server.probe.as_ref();
        matches!(probe.map(|probe| probe.down_when), Some(DownWhen::Count(count)) if count > 1)
    };
    if let Some(server) = servers.iter().find(needs).filter(|_| is_alone && node.roles.controller) {
        let name = &server.name;
        findings.warn(
            Place::NOWHERE,
            format!(
                "`down_when` of `{name}` asks for several vantage points, and this node hears of none but \
                 itself, so what it sees alone counts: write [group.nats], or leave `down_when` out"
            ),
        );
    }
}

#[cfg(test)]
#[path = "vantage_points_tests.rs"]
mod tests;
