//! Who probes, and whether anybody hears of it.

use std::time::Duration;

use super::findings::{Findings, Place};
use super::{ControlSettings, GroupSettings, NodeSettings};
use crate::world::{DownWhen, Probe, Server};

/// Up to this `sights_last` is nobody's mistake.
const WORDS_LAST_CALM: Duration = Duration::from_secs(30);

/// What the sections that each are right cannot do together.
pub(super) fn check(
    node: &NodeSettings,
    group: &GroupSettings,
    control: &ControlSettings,
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
    let lasts = control.sights_last;
    let is_long = |(_, found_out): &(&Server, Duration)| lasts > *found_out * 3;
    let found_out =
        servers.iter().filter_map(|it| Some((it, found_out_within(it.probe.as_ref()?))));
    let quickest = found_out.min_by_key(|(_, found_out)| *found_out).filter(is_long);
    if let Some((server, found_out)) = quickest.filter(|_| !is_alone && lasts > WORDS_LAST_CALM) {
        let name = &server.name;
        findings.warn(
            Place::NOWHERE,
            format!(
                "a vantage point that dies together with `{name}` keeps it in for {} s (`sights_last` of [control]), \
                 while its probes find a death out within {} s: write a shorter `sights_last`",
                lasts.as_secs(),
                found_out.as_secs_f64().ceil(),
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

/// So long a death may take to show in probes.
fn found_out_within(probe: &Probe) -> Duration {
    let apart = probe.interval.mul_f64(1.0 + probe.jitter) + probe.timeout;
    apart.saturating_mul(probe.fall.max(1))
}

#[cfg(test)]
#[path = "vantage_points_tests.rs"]
mod tests;
