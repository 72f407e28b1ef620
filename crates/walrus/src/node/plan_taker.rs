//! A Plan becomes what the name server here answers from, whoever sends it: the Controller beside it, or the group.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};
use walrus_core::message::RefusedPlan;
use walrus_core::plan::{Plan, PlanNumber};
use walrus_director::PlanRefused;
use walrus_host::log::Limited;

use super::Node;

/// What was refused is tried again after this, for a reload may bring what it was made for; so is what was not written
/// down.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What became of a Plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is in force.
    InForce,
    /// One as new was there already.
    NotNewer,
    /// It was made for something else than is here: the one before stays in force.
    Refused,
}

/// Puts Plans in force.
pub(super) struct PlanTaker {
    node: Arc<Node>,
    /// The newest that was given, for others to know.
    applied: watch::Sender<Option<PlanNumber>>,
    lines: Limited,
}

impl PlanTaker {
    pub(super) fn new(node: Arc<Node>, applied: watch::Sender<Option<PlanNumber>>) -> Self {
        Self { node, applied, lines: Limited::new(Duration::from_secs(60)) }
    }

    /// A Plan is compiled on a thread that may block. Also of one that is refused others are to know, for what is
    /// below it does not come through any more, and of one that a reload has put in force already.
    pub(super) async fn take(&self, plan: &Arc<Plan>) -> Taken {
        let number = &plan.number;
        let (director, applying) = (self.node.director().cloned(), plan.clone());
        let applied = spawn_blocking(move || match director {
            Some(director) => director.apply_plan(applying),
            // Only other name servers are kept up to date, which look at Plans themselves.
            None => Ok(()),
        });
        let (taken, reason) = outcome(applied.await);
        if let Some(reason) = &reason
            && let Some(left_out) = self.lines.pass()
        {
            tracing::warn!(left_out, "Plan {number} is not answered from: {reason}");
        }
        let refused = reason.map(|reason| RefusedPlan { number: number.clone(), reason });
        self.node.set_refused_plan(refused);
        self.applied.send_if_modified(|told| {
            let is_news = told.as_ref() < Some(number);
            if is_news {
                *told = Some(number.clone());
            }
            is_news
        });
        taken
    }
}

/// What became of it, and why it is not in force though it should be. A fault in the program is such a reason, too: it is told, and
/// the Plan is tried again.
fn outcome(of: Result<Result<(), PlanRefused>, JoinError>) -> (Taken, Option<String>) {
    match of {
        Ok(Ok(())) => (Taken::InForce, None),
        Ok(Err(PlanRefused::NotNewer { .. })) => (Taken::NotNewer, None),
        Ok(Err(refusal)) => (Taken::Refused, Some(refusal.to_string())),
        Err(error) => (Taken::Refused, Some(format!("it was not taken in: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fault_while_a_plan_is_taken_in_is_told_and_tried_again() {
        let broken = spawn_blocking(|| panic!("a fault")).await;
        let (taken, reason) = outcome(broken);
        assert_eq!(taken, Taken::Refused);
        assert!(reason.is_some_and(|reason| reason.starts_with("it was not taken in")));
        assert_eq!(outcome(Ok(Ok(()))), (Taken::InForce, None));
    }
}
