//! Vantage points in `walrus status`: who probes, and which servers they see differently.

use crate::api::status::StatusView;
use crate::api::vantage::DisagreementView;
use crate::output::Table;

/// The tables; nothing where nobody tells of probes.
pub(super) fn render(status: &StatusView) -> String {
    let mut text = String::new();
    if !status.vantage_points.is_empty() {
        let mut table =
            Table::new(&["vantage point", "role", "heard", "sees up", "down", "counts"]);
        for point in &status.vantage_points {
            let heard = match point.name == status.node {
                true => "this one".to_owned(),
                false => format!("{:.1} s ago", point.age_ms as f64 / 1000.0),
            };
            table.row([
                point.name.clone(),
                point.role.clone(),
                heard,
                point.up.to_string(),
                point.down.to_string(),
                if point.blind { "no: it sees nobody" } else { "yes" }.to_owned(),
            ]);
        }
        text.push_str(&format!("\n{}", table.render()));
    }
    text.push_str(&of_servers(status));
    text
}

/// What they see differently, and verdicts that wait.
pub(super) fn of_servers(status: &StatusView) -> String {
    let mut text = String::new();
    let differ = || status.servers.iter().filter_map(|it| Some((it, it.disagreement.as_ref()?)));
    if differ().next().is_some() {
        let mut table =
            Table::new(&["seen differently", "for", "taken for", "up by", "down by", "because"]);
        for (server, seen) in differ() {
            table.row([
                server.name.clone(),
                format!("{} s", seen.age_ms / 1000),
                server.life.clone(),
                seen.up.join(", "),
                down_by(seen),
                seen.down.first().map(|it| it.reason.clone()).unwrap_or_default(),
            ]);
        }
        text.push_str(&format!("\n{}", table.render()));
        text.push_str(&left_out(status.seen_differently, differ().count()));
    }
    let waits = || status.servers.iter().filter_map(|it| Some((it, it.wait.as_ref()?)));
    if waits().next().is_some() {
        let mut table = Table::new(&[
            "verdict waits",
            "taken for",
            "would be",
            "waits for",
            "at most",
            "so far",
        ]);
        for (server, wait) in waits() {
            let names = wait.waits_for.join(", ");
            table.row([
                server.name.clone(),
                server.life.clone(),
                wait.would_be.clone(),
                if names.is_empty() { "all that may be heard".to_owned() } else { names },
                format!("{} s", wait.remaining_ms.div_ceil(1000)),
                wait.so_far.clone(),
            ]);
        }
        text.push_str(&format!("\n{}", table.render()));
        text.push_str(&left_out(status.waiting, waits().count()));
    }
    text
}

/// How many more there are than the table has.
fn left_out(all: usize, listed: usize) -> String {
    match all.saturating_sub(listed) {
        0 => String::new(),
        more => format!("and {more} more: `walrus status --server NAME` tells of one\n"),
    }
}

/// Who sees it down, and how many must.
fn down_by(seen: &DisagreementView) -> String {
    let names: Vec<&str> = seen.down.iter().map(|it| it.name.as_str()).collect();
    format!("{} ({} must)", names.join(", "), seen.needed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_sees_what_stands_in_two_tables() {
        let point = |name: &str, role: &str, age_ms: u64, down: usize, blind: bool| {
            json!({ "name": name, "role": role, "age_ms": age_ms, "up": 6 - down, "down": down,
                    "blind": blind })
        };
        let server = json!({ "name": "fra1", "cluster": "frankfurt", "life": "living", "ramp": 1.0,
            "hits_per_second": 0.0, "reason": "", "life_ms": 1, "sources": [], "disagreement": {
                "up": ["ns1", "zurich"], "needed": 2, "age_ms": 47_300,
                "down": [{ "name": "berlin", "reason": "probe tcp 192.0.2.10 port 80: refused" }] } });
        let status = json!({
            "node": "berlin", "master": "berlin", "configuration": "", "next_round_ms": 1,
            "plan": { "epoch": 3, "controller": "berlin", "sequence": 17 }, "servers": [server],
            "clusters": [], "areas": [], "directors": [], "drained": [], "problems": [],
            "vantage_points": [point("berlin", "controller", 0, 1, false),
                               point("zurich", "controller", 1234, 0, false),
                               point("ns1", "director", 400, 6, true)],
            "counters": { "reports": 0, "reports_refused": 0, "reports_stale": 0, "probes": 0,
                "probes_failed": 0, "probes_lost": 0, "observations": 0,
                "observations_refused": 0, "rounds": 0, "events": 0, "plans": 0, "notices": 0 },
        });
        let mut status: StatusView = serde_json::from_value(status).unwrap();
        let expected = "
VANTAGE POINT  ROLE        HEARD      SEES UP  DOWN  COUNTS
berlin         controller  this one   5        1     yes
zurich         controller  1.2 s ago  6        0     yes
ns1            director    0.4 s ago  0        6     no: it sees nobody

SEEN DIFFERENTLY  FOR   TAKEN FOR  UP BY        DOWN BY          BECAUSE
fra1              47 s  living     ns1, zurich  berlin (2 must)  probe tcp 192.0.2.10 port 80: refused
";
        assert_eq!(render(&status), expected);
        status.vantage_points.clear();
        status.servers.clear();
        assert_eq!(render(&status), "", "where nobody tells of probes there is no table");
    }
}
