//! `walrus status`: tables for people.

use super::keys::date;
use super::{ApiArguments, Failure, demand, group, secondary, transferred, vantage};
use walrus_host::foreign_clocks::told;

use crate::api::client::Client;
use crate::api::clocks::is_off;
use crate::api::status::{NumberView, StatusView};
use crate::output::{Table, on_a_line, percent, say, say_json};

pub(super) fn run(
    api: &ApiArguments,
    moves: bool,
    server: Option<String>,
    json: bool,
) -> Result<(), Failure> {
    let is_one = server.is_some();
    let pairs: Vec<(&str, String)> = server.into_iter().map(|name| ("server", name)).collect();
    let status: StatusView = Client::with_token_if_any(api)?.get_with("/status", &pairs)?;
    match (json, moves) {
        // What is asked for by itself is a part of the whole.
        (true, _) => say_json("status", &status),
        (false, true) => say(&super::moves::render(&status)),
        (false, false) if is_one => say(&one_server(&status)),
        (false, false) => say(&render(&status)),
    }
}

fn render(status: &StatusView) -> String {
    let mut text = headline(status);
    let (of_zones, others): (Vec<_>, Vec<_>) =
        status.problems.iter().partition(|problem| problem.kind == "zone");
    for problem in others {
        text.push_str(&format!("PROBLEM: {}\n", on_a_line(&problem.text)));
    }
    text.push_str(&secondary::problems(of_zones, &status.zones));
    for server in &status.name_servers {
        if let Some(problem) = &server.problem {
            let problem = on_a_line(problem);
            text.push_str(&format!("PROBLEM: name server {}: {problem}\n", server.name));
        }
        for warning in &server.warnings {
            let warning = on_a_line(warning);
            text.push_str(&format!("WARNING: name server {}: {warning}\n", server.name));
        }
    }
    text.push_str(&drained(status));
    if !status.confined.is_empty() {
        text.push_str(&format!("confined: {}\n", status.confined.join("; ")));
    }
    if let Some(group) = &status.group {
        text.push_str(&group::conflicts(group));
    }
    if let Some(bus) = &status.bus {
        text.push_str(&group::line(bus));
    }
    if let Some(group) = &status.group {
        text.push('\n');
        text.push_str(&group::controllers(&status.node, group));
    }
    if !status.directors.is_empty() && status.group.is_some() {
        text.push('\n');
        text.push_str(&group::directors(&status.directors));
    }
    if decides(status) {
        text.push_str(&servers_and_their_clients(status));
    }
    if !status.name_servers.is_empty() {
        text.push('\n');
        text.push_str(&name_servers(status));
    }
    if !status.zones.is_empty() {
        text.push('\n');
        text.push_str(&secondary::zones(&status.zones));
    }
    if !status.updated_zones.is_empty() {
        text.push('\n');
        text.push_str(&updated_zones(status));
    }
    if !status.transferred_zones.is_empty() {
        text.push('\n');
        text.push_str(&transferred::zones(&status.transferred_zones));
    }
    if !status.keys.is_empty() {
        text.push('\n');
        text.push_str(&keys(status));
    }
    text
}

/// What is drained, a line each.
fn drained(status: &StatusView) -> String {
    let mut text = String::new();
    for drain in &status.drained {
        let operator = drain.operator.as_ref().map(|name| format!("{name} at "));
        let operator = operator.unwrap_or_default();
        let line = on_a_line(&format!("{} (by {operator}{})", drain.target, drain.by));
        text.push_str(&format!("drained: {line}\n"));
    }
    text
}

/// Whether a Controller answers: others know nothing of servers, areas and rounds.
fn decides(status: &StatusView) -> bool {
    !status.clusters.is_empty() || status.next_round_ms > 0
}

fn headline(status: &StatusView) -> String {
    let StatusView { node, master, plan, .. } = status;
    let configuration = status.configuration.get(..8).unwrap_or_default();
    let master = if master.is_empty() {
        "no master is heard".to_owned()
    } else {
        format!("master {master}")
    };
    let round = match decides(status) {
        true => format!(", next round in {:.1} s", status.next_round_ms as f64 / 1000.0),
        false => String::new(),
    };
    format!("node {node}, {master}, Plan {plan}, configuration {configuration}{round}\n")
}

fn servers_and_their_clients(status: &StatusView) -> String {
    let demand = demand::render(status.demand.iter().map(|demand| demand::Row {
        service: &demand.service,
        rate: demand.rate,
        counts: Some((demand.named, demand.hot)),
        domains: &demand.heaviest,
        silent: None,
        observed_over_ms: None,
    }));
    let [areas, clusters, servers] = [areas(status), clusters(status), servers(status)];
    format!("\n{areas}{demand}\n{clusters}\n{servers}{}", vantage::render(status))
}

/// The server that was asked for, with a line for each source.
fn one_server(status: &StatusView) -> String {
    let mut text = servers(status);
    let mut table = Table::new(&["source", "at", "age", "says"]);
    for source in status.servers.iter().flat_map(|server| &server.sources) {
        table.row([
            source.source.clone(),
            source.observer.clone(),
            source
                .age_ms
                .map_or_else(|| "-".to_owned(), |age| format!("{:.1} s", age as f64 / 1000.0)),
            source.says.clone(),
        ]);
    }
    text.push_str(&format!("\n{}", table.render()));
    text.push_str(&vantage::of_servers(status));
    text
}

fn areas(status: &StatusView) -> String {
    let mut table = Table::new(&["service", "area", "at", "queries/s", "state", "because"]);
    for area in &status.areas {
        let place: Vec<String> = area
            .clusters
            .iter()
            .map(|it| {
                if it.share > 0.999 {
                    it.cluster.clone()
                } else {
                    format!("{} {:.0} %", it.cluster, it.share * 100.0)
                }
            })
            .collect();
        table.row([
            area.service.clone(),
            area.area.clone(),
            place.join(", "),
            format!("{:.1}", area.queries_per_second),
            match (area.degraded, area.unmanaged) {
                (false, false) => "good",
                (true, false) => "degraded",
                (false, true) => "unmanaged",
                (true, true) => "degraded, unmanaged",
            }
            .to_owned(),
            area.reason.clone(),
        ]);
    }
    table.render()
}

fn clusters(status: &StatusView) -> String {
    let mut table = Table::new(&["cluster", "functioning", "load"]);
    for cluster in &status.clusters {
        table.row([
            cluster.name.clone(),
            format!("{} of {}", cluster.functioning, cluster.servers),
            percent(cluster.load),
        ]);
    }
    table.render()
}

fn servers(status: &StatusView) -> String {
    let mut table =
        Table::new(&["server", "cluster", "life", "for", "load", "hits/s", "weight", "says"]);
    for server in &status.servers {
        let says: Vec<String> =
            server.sources.iter().map(|it| format!("{}: {}", it.source, it.says)).collect();
        let mut says =
            if server.reason.is_empty() { says.join("; ") } else { server.reason.clone() };
        let skews = server.sources.iter().filter_map(|source| source.skew_ms);
        if let Some(skew_ms) = skews.into_iter().find(|skew_ms| is_off(*skew_ms)) {
            says.push_str(&format!("; its clock is {} this node's", told(skew_ms)));
        }
        table.row([
            server.name.clone(),
            server.cluster.clone(),
            server.life.clone(),
            format!("{} s", server.life_ms / 1000),
            percent(server.load),
            format!("{:.1}", server.hits_per_second),
            percent(Some(server.ramp)),
            says,
        ]);
    }
    table.render()
}

/// Name servers that are already there: what each is to have and has, then each name.
fn name_servers(status: &StatusView) -> String {
    let number = |number: &Option<NumberView>| {
        number.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)
    };
    let mut servers = Table::new(&[
        "name server",
        "area",
        "zone",
        "desired",
        "acknowledged",
        "heard",
        "repaired",
    ]);
    let mut names = Table::new(&["published", "at", "state", "detail"]);
    for server in &status.name_servers {
        servers.row([
            server.name.clone(),
            server.area.clone(),
            server.zone.clone(),
            number(&server.desired),
            number(&server.acknowledged),
            server
                .last_success_ms
                .map_or_else(|| "never".to_owned(), |millis| format!("{} s ago", millis / 1000)),
            server.counters.repaired.to_string(),
        ]);
        for name in &server.names {
            names.row([
                name.service.clone(),
                name.target.clone(),
                name.state.clone(),
                name.detail.clone(),
            ]);
        }
    }
    format!("{}\n{}", servers.render(), names.render())
}

/// Zones that take DNS UPDATE.
fn updated_zones(status: &StatusView) -> String {
    let mut table =
        Table::new(&["updated zone", "serial", "changes", "journal", "last by", "problem"]);
    for zone in &status.updated_zones {
        table.row([
            zone.zone.clone(),
            zone.serial.to_string(),
            zone.changes.to_string(),
            format!("{} kB", zone.journal_bytes.div_ceil(1000)),
            zone.changed_by.clone().unwrap_or_else(|| "-".to_owned()),
            zone.problem.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table.render()
}

/// The keys of the signed zones, as `walrus keys list` tells more of.
fn keys(status: &StatusView) -> String {
    let mut table = Table::new(&["zone", "key", "alg", "role", "state", "next", "when"]);
    for zone in &status.keys {
        for key in &zone.keys {
            table.row([
                zone.zone.clone(),
                format!("{:05}", key.tag),
                key.algorithm.to_string(),
                key.role.clone(),
                key.stage.replace('_', " "),
                key.next.clone(),
                key.until.map(date).unwrap_or_default(),
            ]);
        }
        if zone.keys.is_empty() {
            table.row([zone.zone.clone(), "-".to_owned()]);
        }
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_told_zone_by_zone_with_what_comes_next() {
        let key = |tag: u16, stage: &str, until: Option<u64>| {
            json!({ "tag": tag, "algorithm": 13, "role": "csk", "stage": stage, "made": 1,
                    "held": true, "next": "waits", "until": until, "at_parent": "absent",
                    "wanted": false })
        };
        let zone = |zone: &str, keys: serde_json::Value| {
            json!({ "zone": zone, "signer": true, "generation": 1, "keys": keys,
                    "ds_at_parent": 0, "problems": [] })
        };
        let status = json!({
            "node": "one", "master": "one", "configuration": "", "next_round_ms": 1,
            "plan": { "epoch": 3, "controller": "one", "sequence": 17 }, "servers": [],
            "clusters": [], "areas": [], "directors": [], "drained": [], "problems": [],
            "keys": [
                zone("a.example", json!([key(7, "active", None),
                                         key(31337, "waiting_for_parent", Some(1_795_332_600))])),
                zone("b.example", json!([])),
            ],
            "counters": { "reports": 0, "reports_refused": 0, "reports_stale": 0, "probes": 0,
                "probes_failed": 0, "probes_lost": 0, "observations": 0,
                "observations_refused": 0, "rounds": 0, "events": 0, "plans": 0, "notices": 0 },
        });
        let mut status: StatusView = serde_json::from_value(status).unwrap();
        let expected = "\
ZONE       KEY    ALG  ROLE  STATE               NEXT   WHEN
a.example  00007  13   csk   active              waits
a.example  31337  13   csk   waiting for parent  waits  2026-11-22 07:30
b.example  -
";
        let text = render(&status);
        assert!(text.ends_with(&format!("\n\n{expected}")), "{text}");
        status.drained = serde_json::from_value(json!([
            { "target": "server a\nPROBLEM: b", "by": "\u{1b}[2J", "set_unix_ms": 1 }
        ]))
        .unwrap();
        let text = render(&status);
        assert!(text.contains("\ndrained: server a\\nPROBLEM: b (by \\u{1b}[2J)\n"), "{text}");
        status.keys.clear();
        assert!(!render(&status).contains("ZONE"), "where nothing is signed there is no table");
    }
}
