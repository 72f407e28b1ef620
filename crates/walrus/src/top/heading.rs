//! The lines above the tables: how much, of what kind, how fast, and whether all is well.

use super::sheet::rate;
use super::view::{RateView, TopView};

/// Kinds that are named in a line; the others are few.
const KINDS_MAX: usize = 5;

/// All lines, the most important first.
pub(super) fn lines(view: &TopView) -> [String; 5] {
    let plan = view.plan.as_ref().map_or("none yet".to_owned(), ToString::to_string);
    let kinds = |rates: &[RateView]| -> String {
        let named = rates.iter().filter(|rate| rate.per_second > 0.0).take(KINDS_MAX);
        let named: Vec<String> = named.map(kind).collect();
        if named.is_empty() { "none".to_owned() } else { named.join("  ") }
    };
    [
        format!(
            "node {}  Plan {plan}  {} replies/s  {}",
            view.node,
            rate(view.replies_per_second),
            kinds(&view.transports),
        ),
        format!("types  {}", kinds(&view.types)),
        format!("codes  {}", kinds(&view.rcodes)),
        format!("time   {}", time(view)),
        format!(
            "also   signatures wanted {:.1} %  complete path {:.1} %  dropped/s {}",
            view.dnssec_ok.share * 100.0,
            view.complete_path.share * 100.0,
            rate(view.dropped_per_second),
        ),
    ]
}

/// What is wrong now, or how the clusters are.
pub(super) fn health(view: &TopView) -> (bool, String) {
    if let Some(problem) = view.problems.first() {
        let more = match view.problems.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more: walrus status)"),
        };
        return (false, format!("PROBLEM: {problem}{more}"));
    }
    let clusters: Vec<String> = view
        .clusters
        .iter()
        .map(|it| format!("{} {}/{}", it.name, it.functioning, it.servers))
        .collect();
    match clusters.is_empty() {
        true => (true, String::new()),
        false => (true, format!("functioning  {}", clusters.join("  "))),
    }
}

fn kind(rate: &RateView) -> String {
    format!("{} {:.1} %", rate.what, rate.share * 100.0)
}

fn time(view: &TopView) -> String {
    let Some(latency) = &view.latency else { return "no answers by UDP".to_owned() };
    let most = |bound: Option<u64>| match bound {
        Some(microseconds @ ..1_000) => format!("{microseconds} µs"),
        Some(microseconds) => format!("{} ms", microseconds / 1_000),
        None => "more than 100 ms".to_owned(),
    };
    format!(
        "half within {}  99 of 100 within {}  mean {:.1} µs",
        most(latency.half_us),
        most(latency.most_us),
        latency.mean_us,
    )
}
