//! `walrus plan`: the Plan in force, or what another configuration would change.

use std::path::Path;

use super::{ApiArguments, Failure, demand};
use crate::api::client::Client;
use crate::api::plan::{CandidateListView, DiffView, PlanView, ProposedConfiguration};
use crate::load;
use crate::output::{Table, on_a_line, say, say_json};

pub(super) fn run(api: &ApiArguments, json: bool) -> Result<(), Failure> {
    let plan: PlanView = Client::with_token_if_any(api)?.get("/plan")?;
    if json { say_json("plan", &plan) } else { say(&render(&plan)) }
}

/// Sends a configuration to the running system, which decides with it against its live World.
pub(super) fn run_diff(api: &ApiArguments, path: &Path, json: bool) -> Result<(), Failure> {
    let proposed: ProposedConfiguration = load::proposed(path)?;
    let diff: DiffView = Client::with_token_if_any(api)?.post("/plan/diff", &proposed)?;
    if json {
        return say_json("plan_diff", &diff);
    }
    if diff.lines.is_empty() {
        return say("nothing would change\n");
    }
    // Reasons are what Reporters and web servers said.
    let lines = diff.lines.iter().map(|line| on_a_line(line) + "\n");
    say(&lines.collect::<String>())
}

fn render(plan: &PlanView) -> String {
    // Few services name hosts: no column for those that do not.
    let mut areas = plan.services.iter().flat_map(|service| &service.areas);
    let hosts = areas.any(|area| area.hosts.is_some());
    let mut head = vec!["service", "area", "at", "A", "AAAA"];
    head.extend(hosts.then_some("hosts"));
    head.push("because");
    let mut table = Table::new(&head);
    for service in &plan.services {
        for area in &service.areas {
            let place: Vec<String> = area
                .clusters
                .iter()
                .map(|(cluster, share)| format!("{cluster} {:.0} %", share * 100.0))
                .collect();
            let mut row = vec![
                service.name.clone(),
                area.area.clone(),
                place.join(", "),
                candidates(plan, area.ipv4),
                candidates(plan, area.ipv6),
            ];
            row.extend(hosts.then(|| candidates(plan, area.hosts)));
            row.push(area.reason.clone());
            table.row(row);
        }
    }
    let demands = plan.services.iter().filter_map(|service| {
        let demand = service.demand.as_ref()?;
        Some(demand::Row {
            service: &service.name,
            rate: demand.rate,
            counts: (!demand.domains.is_empty()).then(|| {
                let hot = demand.domains.iter().filter(|domain| domain.hot).count();
                (demand.domains.len(), hot)
            }),
            domains: &demand.domains,
            silent: demand.silent,
            observed_over_ms: demand.observed_over_ms,
        })
    });
    format!("Plan {}\n\n{}{}", plan.number, table.render(), demand::render(demands))
}

fn candidates(plan: &PlanView, list: Option<u32>) -> String {
    const SHOWN: usize = 4;
    let Some(list) = list.and_then(|index| plan.lists.get(index as usize)) else {
        return "none".to_owned();
    };
    let names = names(plan, list);
    let mut text = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(" ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

fn names(plan: &PlanView, list: &CandidateListView) -> Vec<String> {
    let mut names = Vec::new();
    for candidate in list.groups.iter().flat_map(|group| &group.candidates) {
        if let Some(server) = plan.servers.get(candidate.server as usize) {
            let mark = if candidate.over_threshold { "!" } else { "" };
            names.push(format!("{}{mark}", server.name));
        }
    }
    names
}
