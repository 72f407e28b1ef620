//! `walrus status --moves`: how far clients have followed the latest changes.

use crate::api::moves::MoveView;
use crate::api::status::StatusView;
use crate::output::{Table, percent};

/// Areas that a line names before it counts them.
const AREAS_SHOWN: usize = 3;

/// Name servers that are behind that are told of one by one, for each move.
const BEHIND_SHOWN: usize = 5;

/// Whoever speaks does so more often.
const SILENT_MS: u64 = 30_000;

/// Moves are told of for so long.
const KEPT_MS: u64 = 3_600_000;

/// All that status tells of moves.
pub(super) fn render(status: &StatusView) -> String {
    render_moves(&status.moves, status.moves_left_out, status.moves_followed_ms)
}

/// `followed_ms`: for how long moves have been followed; `None` where no Controller is.
fn render_moves(moves: &[MoveView], left_out: u64, followed_ms: Option<u64>) -> String {
    let Some(followed_ms) = followed_ms else {
        return "no Controller runs here: ask a node that has one\n".to_owned();
    };
    let mut text = if moves.is_empty() {
        "no answers have changed within the last hour\n".to_owned()
    } else {
        table(moves)
    };
    for it in moves.iter().filter(|it| it.moved_95_ms.is_none()) {
        text.push_str(&behind(it));
    }
    moves.iter().for_each(|it| text.push_str(&unheard(it)));
    if left_out > 0 {
        let line = format!("and {left_out} more changes of the last hour, too many to follow\n");
        text.push_str(&line);
    }
    if followed_ms < KEPT_MS {
        let line = format!(
            "followed for {}, since this Controller started: what changed before that is not known\n",
            seconds(followed_ms)
        );
        text.push_str(&line);
    }
    text
}

fn table(moves: &[MoveView]) -> String {
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
            moved(it),
        ]);
    }
    table.render()
}

/// When, and what tells of it.
fn moved(of: &MoveView) -> String {
    match (of.moved_95_ms, of.expected_95_ms) {
        (Some(moved), _) => format!("at T+{} (by {})", tenths(moved), of.by),
        (None, Some(expected)) => format!("expected at T+{}", seconds(expected)),
        (None, None) if of.answerers == of.unheard_count => {
            "no: no name server is heard of".to_owned()
        }
        (None, None) if !of.behind.is_empty() => "no: old answers are given".to_owned(),
        (None, None) if of.by == "requests" && of.still_by_requests.is_none() => {
            "no: requests came when last counted".to_owned()
        }
        (None, None) => "no: requests still come".to_owned(),
    }
}

/// Who still gives old answers.
fn behind(of: &MoveView) -> String {
    let mut text = String::new();
    for it in of.behind.iter().take(BEHIND_SHOWN) {
        let what = if it.kind == "director" { "Director" } else { "name server" };
        let plan = it.plan.as_ref().map_or(String::new(), |plan| format!(" of Plan {plan}"));
        let heard = it.heard_ms.unwrap_or_default();
        let heard = match heard {
            silent if silent >= SILENT_MS => format!(", not heard of for {}", seconds(silent)),
            _ => String::new(),
        };
        let problem = it.problem.as_ref().map_or(String::new(), |why| format!(": {why}"));
        text.push_str(&format!(
            "{} of {} (Plan {}) still gets old answers{plan} from {what} {}{heard}{problem}\n",
            percent(Some(it.share)),
            of.service,
            of.plan,
            it.name,
        ));
    }
    let more = of.behind_count.saturating_sub(BEHIND_SHOWN as u64);
    if more > 0 {
        let all = percent(Some(of.behind_share));
        text.push_str(&format!(
            "... and from {more} more, {all} in all: `walrus status --json` names {} of them\n",
            of.behind.len()
        ));
    }
    text
}

/// Of whom nobody knows whether they still do.
fn unheard(of: &MoveView) -> String {
    if of.unheard.is_empty() {
        return String::new();
    }
    let named = of.unheard.iter().take(BEHIND_SHOWN).map(|it| {
        format!("Director {} (for {})", it.name, seconds(it.heard_ms.unwrap_or_default()))
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match of.unheard_count.saturating_sub(BEHIND_SHOWN as u64) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "{} (Plan {}) leaves out who is not heard of, and may give old answers: {named}{more}\n",
        of.service, of.plan
    )
}

fn areas(of: &MoveView) -> String {
    let shown: Vec<&str> = of.areas.iter().take(AREAS_SHOWN).map(String::as_str).collect();
    let more = of.area_count.saturating_sub(shown.len() as u64);
    let named = shown.join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

fn tenths(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

fn seconds(millis: u64) -> String {
    format!("{} s", millis / 1000)
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::api::moves::BehindView;

    fn of(moved: Option<u64>, requests: Option<f64>, expected: Option<u64>) -> MoveView {
        MoveView {
            service: "www.example.com".to_owned(),
            areas: ["asia", "east", "north", "south"].map(str::to_owned).into(),
            area_count: 9,
            left: vec!["fra1".to_owned()],
            added: vec!["ore1".to_owned()],
            reason: String::new(),
            plan: "1/one/7".to_owned(),
            age_ms: 30_400,
            ttl_ms: 60_000,
            still: requests.unwrap_or(0.493),
            by: "ttl".to_owned(),
            still_by_ttl: 0.493,
            still_by_askers: None,
            still_by_requests: requests,
            requests_a_second: requests.map(|still| still * 120.0),
            answerers: 2,
            behind: Vec::new(),
            behind_count: 0,
            behind_share: 0.0,
            unheard: Vec::new(),
            unheard_count: 0,
            moved_95_ms: moved,
            expected_95_ms: expected,
            until_ms: None,
        }
    }

    fn silent(name: &str) -> BehindView {
        BehindView {
            name: name.to_owned(),
            kind: "director".to_owned(),
            share: 0.0,
            plan: None,
            heard_ms: Some(31_000),
            problem: None,
        }
    }

    #[test]
    fn more_than_are_named_are_counted() {
        let named: Vec<BehindView> = (0..32).map(|it| silent(&format!("ns{it}"))).collect();
        let all = MoveView { answerers: 40, ..of(None, None, None) };
        let unheard = MoveView { unheard: named.clone(), unheard_count: 40, ..all.clone() };
        let text = render_moves(&[unheard], 0, Some(KEPT_MS));
        assert!(text.contains("no: no name server is heard of"), "{text}");
        assert!(text.contains(" and 35 more\n"), "{text}");
        let behind = MoveView { behind: named, behind_count: 40, behind_share: 1.0, ..all };
        let text = render_moves(std::slice::from_ref(&behind), 44, Some(KEPT_MS));
        assert!(
            text.contains("from 35 more, 100 % in all: `walrus status --json` names 32"),
            "{text}"
        );
        assert!(text.contains("and 44 more changes of the last hour"), "{text}");
        let mut registry = Registry::default();
        crate::api::moves::register(&mut registry, &[behind], 44);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let ratio = "move_behind_ratio{service=\"www.example.com\"} 1.0\n";
        assert!(text.contains(ratio) && text.contains("moves_left_out 44\n"), "{text}");
    }

    #[test]
    fn each_move_says_what_is_known_of_it() {
        let moves = [
            of(None, Some(0.55), Some(57_000)),
            of(Some(29_250), None, Some(29_250)),
            of(None, Some(0.3), None),
            MoveView { answerers: 0, ..of(None, None, None) },
            MoveView {
                behind: vec![BehindView {
                    name: "europe".to_owned(),
                    kind: "name_server".to_owned(),
                    share: 0.5,
                    plan: Some("1/one/6".to_owned()),
                    heard_ms: Some(45_000),
                    problem: Some("refused: BADSIG".to_owned()),
                }],
                behind_count: 1,
                ..of(None, None, None)
            },
            MoveView { by: "requests".to_owned(), ..of(None, None, None) },
            MoveView {
                unheard: ["ns2", "ns3"].map(silent).into(),
                unheard_count: 2,
                ..of(Some(57_000), None, Some(57_000))
            },
        ];
        let text = render_moves(&moves, 0, Some(KEPT_MS));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains("asia, east, north and 6 more"), "{text}");
        assert!(lines[1].contains("55 % (66.0/s)"), "{text}");
        for (line, end) in [
            (1, "expected at T+57 s"),
            (2, "at T+29.2 s (by ttl)"),
            (3, "no: requests still come"),
            (4, "no: no name server is heard of"),
            (5, "no: old answers are given"),
            (6, "no: requests came when last counted"),
            (7, "at T+57.0 s (by ttl)"),
        ] {
            assert!(lines[line].ends_with(end), "{text}");
        }
        assert_eq!(
            lines[8],
            "50 % of www.example.com (Plan 1/one/7) still gets old answers of Plan 1/one/6 from \
             name server europe, not heard of for 45 s: refused: BADSIG"
        );
        assert_eq!(
            lines[9],
            "www.example.com (Plan 1/one/7) leaves out who is not heard of, and may give old answers: Director \
             ns2 (for 31 s), Director ns3 (for 31 s)"
        );
        let none = render_moves(&[], 0, Some(34_000));
        assert!(none.contains("no answers have changed"), "{none}");
        assert!(none.contains("followed for 34 s, since this Controller started"), "{none}");
    }
}
