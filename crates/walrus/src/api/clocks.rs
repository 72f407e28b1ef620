//! Other nodes' clocks in `GET /status` and `/metrics`: those that are far from this node's.

use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_host::foreign_clocks::{ForeignClock, SKEW_MIN};

use super::status::{ProblemView, StatusView};

/// Clocks that are told of one by one.
const NAMED_MAX: usize = 5;

/// A clock that is off.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ClockView {
    /// Whose: role and name.
    pub(crate) sender: String,
    /// By how much it is ahead of this node's, in milliseconds; negative if it is behind.
    pub(crate) skew_ms: i64,
}

impl From<ForeignClock> for ClockView {
    fn from(clock: ForeignClock) -> Self {
        Self { sender: clock.sender, skew_ms: clock.skew_ms }
    }
}

/// Whether a clock that is ahead by so much is told of.
pub(crate) fn is_off(skew_ms: i64) -> bool {
    u128::from(skew_ms.unsigned_abs()) >= SKEW_MIN.as_millis()
}

/// Those that are off: of Reporters by what they reported last, of others by what they say in the group.
fn all(status: &StatusView) -> Vec<ForeignClock> {
    let reporters = status.servers.iter().flat_map(|server| {
        let skews = server.sources.iter().filter_map(|source| source.skew_ms);
        let off = skews.filter(|skew_ms| is_off(*skew_ms));
        off.map(|skew_ms| ForeignClock { sender: format!("reporter {}", server.name), skew_ms })
    });
    let others = status.bus.iter().flat_map(|bus| &bus.clocks);
    let others =
        others.map(|clock| ForeignClock { sender: clock.sender.clone(), skew_ms: clock.skew_ms });
    reporters.chain(others).collect()
}

/// What to do about them; if there are many, it may be this node's own clock.
pub(crate) fn problems(status: &StatusView) -> Vec<ProblemView> {
    let off = all(status);
    let problem = |subject: &str, text: String| ProblemView {
        kind: "clock".to_owned(),
        subject: subject.to_owned(),
        text,
    };
    let named = off.iter().take(NAMED_MAX);
    let mut problems: Vec<ProblemView> =
        named.map(|clock| problem(&clock.sender, clock.text())).collect();
    if let Some(more) = off.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        let text = format!(
            "the clocks of {more} more nodes differ from this node's: if most do, look at this one's own \
             (`timedatectl status`)"
        );
        problems.push(problem(&status.node, text));
    }
    problems
}

/// The clock that is off most.
pub(super) fn register(registry: &mut Registry, status: &StatusView) {
    let most =
        all(status).into_iter().map(|clock| clock.skew_ms).max_by_key(|ms| ms.unsigned_abs());
    let help = "By how much the clock of that node is ahead which differs most from this one's, if by 5 s or more";
    registry.register(
        "clock_skew_seconds",
        help,
        ConstGauge::new(most.unwrap_or(0) as f64 / 1000.0),
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(reporters: &[i64], others: &[i64]) -> StatusView {
        let mut status: StatusView = serde_json::from_value(json!({
            "node": "one", "master": "zurich", "configuration": "", "next_round_ms": 0,
            "plan": { "epoch": 7, "controller": "zurich", "sequence": 41 }, "servers": [],
            "clusters": [], "areas": [], "directors": [], "drained": [], "problems": [],
            "counters": { "reports": 0, "reports_refused": 0, "reports_stale": 0, "probes": 0,
                "probes_failed": 0, "probes_lost": 0, "observations": 0,
                "observations_refused": 0, "rounds": 0, "events": 0, "plans": 0, "notices": 0 },
        }))
        .unwrap();
        status.servers = reporters
            .iter()
            .enumerate()
            .map(|(index, skew_ms)| {
                serde_json::from_value(json!({
                    "name": format!("s{index}"), "cluster": "c", "life": "living", "ramp": 1.0,
                    "hits_per_second": 0.0, "reason": "", "life_ms": 1,
                    "sources": [{ "source": "reporter", "observer": "one", "says": "statistics",
                                  "skew_ms": skew_ms }],
                }))
                .unwrap()
            })
            .collect();
        let mut bus = super::super::group::BusView::of(walrus_host::bus::BusStatus::default());
        bus.clocks = others
            .iter()
            .map(|skew_ms| ClockView { sender: "controller two".to_owned(), skew_ms: *skew_ms })
            .collect();
        status.bus = Some(bus);
        status
    }

    #[test]
    fn clocks_that_are_off_are_problems_and_many_are_told_of_in_one() {
        assert!(problems(&status(&[4999, -300], &[])).is_empty());
        let few = problems(&status(&[17_999_998, 0], &[-7000]));
        assert!(few[0].text.starts_with("the clock of reporter s0 is 4 h ahead of this node's"));
        assert!(few[1].text.starts_with("the clock of controller two is 7 s behind this node's"));
        assert_eq!(few.len(), 2);
        let many = problems(&status(&[6000; 1000], &[]));
        assert_eq!(many.len(), NAMED_MAX + 1);
        assert!(many[NAMED_MAX].text.contains("995 more"), "{}", many[NAMED_MAX].text);
    }
}
