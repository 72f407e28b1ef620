//! A node without a Controller that hears none: what it does then, in the log and in the status.

use std::sync::Arc;
use std::time::Duration;

use walrus_host::bus::{Bus, BusStatus};

use super::Node;
use crate::api::group::BusView;
use crate::api::status::{ProblemView, StatusView};

/// For how long no Controller was heard, if that is too long: they speak three times in a detection time, and one
/// that takes over is heard within two.
fn silence(heard_ms: Option<u64>, since_ms: u64, detection: Duration) -> Option<Duration> {
    let silence = Duration::from_millis(heard_ms.unwrap_or(since_ms));
    (silence >= detection * 2).then_some(silence)
}

/// Names no master of whom nothing is heard, and says since when.
pub(super) fn show(view: &mut StatusView, detection: Duration) {
    let Some(BusView { heard_ms, since_ms, .. }) = &view.bus else { return };
    let Some(silence) = silence(*heard_ms, *since_ms, detection) else { return };
    view.master.clear();
    let text = told(silence, heard_ms.is_some(), view.plan.epoch > 0, &view.plan.to_string());
    let (kind, subject) = ("stale".to_owned(), view.node.clone());
    view.problems.push(ProblemView { kind, subject, text });
}

fn told(silence: Duration, was_heard: bool, has_plan: bool, plan: &str) -> String {
    let since = if was_heard { "" } else { " (since this node has looked for one)" };
    let goes_on = if has_plan {
        format!(
            "what is answered goes on by Plan {plan}, and nobody notices if a server dies or is drained"
        )
    } else {
        "there is no Plan yet".to_owned()
    };
    format!(
        "no Controller was heard for {} s{since}: {goes_on}; see whether one runs and whether both are connected to NATS",
        silence.as_secs()
    )
}

/// Says in the log when Controllers fall silent, and when one is heard again.
pub(super) async fn watch(node: Arc<Node>, bus: Bus) {
    let mut was_stale = false;
    loop {
        let detection = node.loaded().configuration.control.detection;
        node.clock.sleep(detection / 3).await;
        let BusStatus { heard, since, .. } = bus.status();
        let ms = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
        let silent = silence(heard.map(ms), ms(since), detection);
        let is_stale = silent.is_some();
        if std::mem::replace(&mut was_stale, is_stale) == is_stale {
            continue;
        }
        let plan = node.plan().map(|plan| plan.number.to_string());
        match silent {
            Some(silence) => {
                let has_plan = plan.is_some();
                let text = told(silence, heard.is_some(), has_plan, &plan.unwrap_or_default());
                tracing::warn!("{text}");
            }
            None => tracing::info!("a Controller is heard again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_master_is_named_of_whom_nothing_is_heard() {
        let detection = Duration::from_secs(3);
        for (heard, since, told) in [
            (Some(5900), 100_000, None),
            (
                Some(208_100),
                300_000,
                Some(
                    "no Controller was heard for 208 s: what is answered goes on by Plan 7/zurich/41",
                ),
            ),
            (None, 5000, None),
            (
                None,
                9000,
                Some("no Controller was heard for 9 s (since this node has looked for one): "),
            ),
        ] {
            let mut view: StatusView = serde_json::from_value(json!({
                "node": "one", "master": "zurich", "configuration": "", "next_round_ms": 0,
                "plan": { "epoch": 7, "controller": "zurich", "sequence": 41 }, "servers": [],
                "clusters": [], "areas": [], "directors": [], "drained": [], "problems": [],
                "counters": { "reports": 0, "reports_refused": 0, "reports_stale": 0, "probes": 0,
                    "probes_failed": 0, "probes_lost": 0, "observations": 0,
                    "observations_refused": 0, "rounds": 0, "events": 0, "plans": 0, "notices": 0 },
            }))
            .unwrap();
            let mut bus = BusView::of(BusStatus::default());
            (bus.heard_ms, bus.since_ms) = (heard, since);
            view.bus = Some(bus);
            show(&mut view, detection);
            let problem = view.problems.first().map(|problem| problem.text.as_str());
            match told {
                None => assert_eq!((view.master.as_str(), problem), ("zurich", None)),
                Some(told) => {
                    assert_eq!(view.master, "");
                    assert!(problem.unwrap().starts_with(told), "{problem:?}");
                }
            }
        }
    }
}
