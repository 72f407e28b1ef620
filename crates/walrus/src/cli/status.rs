//! `walrus status`: tables for people.

use super::{ApiArguments, Failure};
use crate::api::client::Client;
use crate::api::status::StatusView;
use crate::output::{Table, percent, say, say_json};

pub(super) fn run(api: &ApiArguments, json: bool) -> Result<(), Failure> {
    let status: StatusView = Client::new(api).get("/status")?;
    if json { say_json("status", &status) } else { say(&render(&status)) }
}

fn render(status: &StatusView) -> String {
    let mut text = format!(
        "node {}, master {}, Plan {}, configuration {}, next round in {:.1} s\n",
        status.node,
        status.master,
        status.plan,
        status.configuration.get(..8).unwrap_or_default(),
        status.next_round_ms as f64 / 1000.0,
    );
    for problem in &status.problems {
        text.push_str(&format!("PROBLEM: {}\n", problem.text));
    }
    for drain in &status.drained {
        text.push_str(&format!("drained: {} (by {})\n", drain.target, drain.by));
    }
    text.push('\n');
    text.push_str(&areas(status));
    text.push('\n');
    text.push_str(&clusters(status));
    text.push('\n');
    text.push_str(&servers(status));
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
            if area.degraded { "degraded" } else { "good" }.to_owned(),
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
        let says = if server.reason.is_empty() { says.join("; ") } else { server.reason.clone() };
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
