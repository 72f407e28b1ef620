//! `walrus status --moves`: how far clients have followed the latest changes.

use crate::api::moves::MoveView;
use crate::output::{Table, percent};

/// Areas that a line names before it counts them.
const AREAS_SHOWN: usize = 3;

pub(super) fn render(moves: &[MoveView]) -> String {
    if moves.is_empty() {
        return "no answers have changed within the last hour\n".to_owned();
    }
    let mut table = Table::new(&[
        "service",
        "areas",
        "left",
        "now",
        "ago",
        "ttl",
        "still: by ttl",
        "by askers",
        "by requests",
        "95 % moved",
    ]);
    for it in moves {
        let requests = it.still_by_requests.map(|still| {
            let rate = it.requests_a_second.unwrap_or_default();
            format!("{} ({rate:.1}/s)", percent(Some(still)))
        });
        table.row([
            it.service.clone(),
            areas(it),
            it.left.join(" "),
            it.added.join(" "),
            seconds(it.age_ms),
            seconds(it.ttl_ms),
            percent(Some(it.still_by_ttl)),
            it.still_by_askers.map_or_else(|| "-".to_owned(), |still| percent(Some(still))),
            requests.unwrap_or_else(|| "-".to_owned()),
            match it.moved_95_ms {
                Some(moved) => format!("at T+{}", seconds(moved)),
                None => format!("expected at T+{}", seconds(it.expected_95_ms)),
            },
        ]);
    }
    table.render()
}

fn areas(of: &MoveView) -> String {
    let shown: Vec<&str> = of.areas.iter().take(AREAS_SHOWN).map(String::as_str).collect();
    let more = of.area_count.saturating_sub(shown.len() as u64);
    let named = shown.join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

fn seconds(millis: u64) -> String {
    format!("{} s", millis / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_move_says_what_is_known_of_it() {
        let of = |moved: Option<u64>, requests: Option<f64>| MoveView {
            service: "www.example.com".to_owned(),
            areas: ["asia", "east", "north", "south"].map(str::to_owned).into(),
            area_count: 9,
            left: vec!["fra1".to_owned()],
            added: vec!["ore1".to_owned()],
            reason: String::new(),
            plan: "1/one/7".to_owned(),
            age_ms: 30_400,
            ttl_ms: 60_000,
            still_by_ttl: 0.493,
            still_by_askers: None,
            still_by_requests: requests,
            requests_a_second: requests.map(|still| still * 120.0),
            moved_95_ms: moved,
            expected_95_ms: 57_000,
        };
        let text = render(&[of(None, Some(0.55)), of(Some(29_000), None)]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains("asia, east, north and 6 more"), "{text}");
        assert!(lines[1].contains("55 % (66.0/s)"), "{text}");
        assert!(lines[1].ends_with("expected at T+57 s"), "{text}");
        assert!(lines[2].ends_with("at T+29 s"), "{text}");
        assert!(render(&[]).contains("no answers have changed"));
    }
}
