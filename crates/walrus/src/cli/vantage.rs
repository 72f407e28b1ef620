//! Vantage points in `walrus status`: who probes, and which servers they see differently.

use crate::api::status::StatusView;
use crate::api::vantage::DisagreementView;
use crate::output::Table;

/// Both tables; nothing where nobody tells of probes.
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
    }
    text
}

/// Who sees it down, and how many must.
fn down_by(seen: &DisagreementView) -> String {
    let names: Vec<&str> = seen.down.iter().map(|it| it.name.as_str()).collect();
    format!("{} ({} must)", names.join(", "), seen.needed)
}
