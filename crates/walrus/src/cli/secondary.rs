//! Zones that come from other primaries, as `walrus status` shows them.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::api::secondary::SecondaryView;
use crate::api::status::ProblemView;
use crate::output::{Table, on_a_line};

/// Zones whose problems are told; `--json` has all.
const PROBLEMS_TOLD_MAX: usize = 20;
/// If there are more zones than this, those that catalogs list are only counted.
const ROWS_MAX: usize = 100;

/// What is wrong with zones, a line each, first those that are not answered.
pub(super) fn problems(mut problems: Vec<&ProblemView>, zones: &[SecondaryView]) -> String {
    let is_silent = |zone: &&SecondaryView| matches!(zone.state.as_str(), "waiting" | "expired");
    let silent: BTreeSet<&str> =
        zones.iter().filter(is_silent).map(|zone| zone.zone.as_str()).collect();
    problems.sort_by_key(|problem| !silent.contains(problem.subject.as_str()));
    let line = |problem: &&ProblemView| format!("PROBLEM: {}\n", on_a_line(&problem.text));
    let mut text: String = problems.iter().take(PROBLEMS_TOLD_MAX).map(line).collect();
    let others = problems.len().saturating_sub(PROBLEMS_TOLD_MAX);
    if others > 0 {
        let of = format!("{others} more of zones; `walrus status --json` has all");
        text.push_str(&format!("PROBLEM: {of}\n"));
    }
    text
}

/// A table, a line for each.
pub(super) fn zones(all: &[SecondaryView]) -> String {
    let (zones, counted): (Vec<_>, Vec<_>) =
        all.iter().partition(|zone| zone.catalog.is_none() || all.len() <= ROWS_MAX);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
    let mut table = Table::new(&[
        "zone",
        "state",
        "serial",
        "primary",
        "refreshed",
        "next",
        "expires",
        "AXFR",
        "IXFR",
    ]);
    for zone in zones {
        let ahead = |at: Option<u64>| {
            at.map_or_else(|| "-".to_owned(), |at| format!("in {}", span(at.saturating_sub(now))))
        };
        table.row([
            zone.zone.clone(),
            zone.state.clone(),
            zone.serial.map_or_else(|| "-".to_owned(), |serial| serial.to_string()),
            zone.primary.clone().unwrap_or_else(|| "-".to_owned()),
            zone.refreshed.map_or_else(
                || "never".to_owned(),
                |at| format!("{} ago", span(now.saturating_sub(at))),
            ),
            zone.next.map_or_else(|| "now".to_owned(), |at| ahead(Some(at))),
            ahead(zone.expires),
            zone.whole.to_string(),
            zone.differences.to_string(),
        ]);
    }
    let mut text = table.render();
    if !counted.is_empty() {
        let served = counted.iter().filter(|zone| zone.state == "served").count();
        let count = counted.len();
        text.push_str(&format!(
            "and {count} zones of catalogs, {served} of them served; `walrus status --json` lists them\n"
        ));
    }
    text
}

/// A time in the greatest unit that it fills.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_zones_those_that_are_not_answered_are_told_and_the_rest_is_counted() {
        let zone = |number: usize, catalog: Option<&str>| {
            let state = if number == 0 { "waiting" } else { "served" };
            let zone = serde_json::json!({
                "zone": format!("{}z{number}", if number == 0 { "z" } else { "" }), "state": state,
                "primaries": [], "problem": "no", "whole": 0, "differences": 0, "failures": 0,
                "notifies": 0, "catalog": catalog,
            });
            serde_json::from_value::<SecondaryView>(zone).unwrap()
        };
        let mut all: Vec<_> = (1..100).map(|number| zone(number, Some("c"))).collect();
        all.push(zone(0, Some("c")));
        let told = zones(&all);
        assert!(told.lines().count() == 101 && told.contains("zz0"), "{told}");
        let problems_of = |all: &[SecondaryView]| {
            let views: Vec<_> = all.iter().filter_map(SecondaryView::problem_view).collect();
            problems(views.iter().collect(), all)
        };
        let told = problems_of(&all);
        assert!(told.starts_with("PROBLEM: the zone zz0 has not come yet"), "{told}");
        assert_eq!(told.lines().count(), 21);
        assert!(told.ends_with("PROBLEM: 80 more of zones; `walrus status --json` has all\n"));
        all.push(zone(101, None));
        let told = zones(&all);
        assert!(told.contains("z101 "), "{told}");
        let last =
            "and 100 zones of catalogs, 99 of them served; `walrus status --json` lists them";
        assert_eq!((told.lines().count(), told.lines().last()), (3, Some(last)));
    }

    #[test]
    fn times_are_short() {
        let spans = [0, 119, 120, 7199, 7200, 172_800].map(span);
        assert_eq!(spans, ["0 s", "119 s", "2 min", "119 min", "2 h", "2 d"]);
    }
}
