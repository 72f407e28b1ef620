//! Each new Plan's news in the log: who died or came back, and which area goes where.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;
use walrus_core::plan::{Plan, PlanDiff, diff};
use walrus_core::world::Name;

/// Lines for one Plan; a cluster of a thousand servers that dies is told of in these.
const LINES_MAX: usize = 20;

/// Follows Plans until there are no more. `held` is the one from before the start.
pub(super) async fn tell_changes(
    mut plans: watch::Receiver<Option<Arc<Plan>>>,
    mut held: Option<Arc<Plan>>,
) {
    loop {
        let plan = plans.borrow_and_update().clone();
        if let Some(plan) = plan {
            if let Some(old) = held.take() {
                let new = Arc::clone(&plan);
                // Thousands of servers take some milliseconds to compare.
                let _ = tokio::task::spawn_blocking(move || tell(&old, &new)).await;
            }
            held = Some(plan);
        }
        if plans.changed().await.is_err() {
            return;
        }
    }
}

fn tell(old: &Plan, new: &Plan) {
    let lines = news(diff(old, new)).lines();
    for line in lines.iter().take(LINES_MAX) {
        tracing::info!(plan = %new.number, "{line}");
    }
    if let Some(more) = lines.len().checked_sub(LINES_MAX).filter(|more| *more > 0) {
        tracing::info!(plan = %new.number, "and {more} more changes: `walrus status` has all");
    }
}

/// Without what changes a little with every Plan: shares on the way home, weights of servers that
/// return.
fn news(mut diff: PlanDiff) -> PlanDiff {
    diff.areas.retain(|area| {
        let candidates_change = !area.added.is_empty() || !area.removed.is_empty();
        candidates_change || clusters(&area.clusters_from) != clusters(&area.clusters_to)
    });
    diff
}

fn clusters(shares: &Option<Vec<(Name, f64)>>) -> BTreeSet<&Name> {
    shares.iter().flatten().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use walrus_core::plan::AreaChange;

    use super::*;

    fn change(to: &[(&str, f64)], added: &[&str]) -> AreaChange {
        let name = |name: &str| name.parse::<Name>().unwrap();
        AreaChange {
            service: "www.walrus.example".to_owned(),
            area: name("here"),
            clusters_from: Some(vec![(name("near"), 0.5), (name("far"), 0.5)]),
            clusters_to: Some(to.iter().map(|(cluster, share)| (name(cluster), *share)).collect()),
            added: added.iter().map(|it| name(it)).collect(),
            removed: Vec::new(),
            reweighted: true,
            ttl: None,
            reason: String::new(),
        }
    }

    #[test]
    fn a_ramp_is_no_news_but_its_end_is() {
        let areas = vec![
            change(&[("near", 0.6), ("far", 0.4)], &[]),
            change(&[("near", 1.0)], &[]),
            change(&[("near", 0.6), ("far", 0.4)], &["near1"]),
        ];
        let told = news(PlanDiff { areas: areas.clone(), ..PlanDiff::default() });
        assert_eq!(told.areas, areas[1..]);
    }
}
