//! Looks now and then whether certificates and lists of revocations are about to run out, and says so.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use walrus_host::tls::Holds;

use super::Node;
use crate::api::status::ProblemView;
use crate::expiry::{Expiring, look_again};

/// Between two looks.
const LOOKED_EVERY: Duration = Duration::from_secs(3600);
/// What holds for some days more is told at each so many looks: once a day.
const TOLD_AT_EACH: u64 = 24;

/// Until the node stops. What is found at the start is told there.
pub(super) async fn run(node: Arc<Node>) {
    for look in 1_u64.. {
        tokio::time::sleep(LOOKED_EVERY).await;
        let (configuration, before) = (node.loaded().configuration, node.expiring());
        let reading = tokio::task::spawn_blocking({
            let before = before.clone();
            move || look_again(&configuration, &before)
        });
        let Ok(found) = reading.await else { continue };
        {
            let mut expiring = node.expiring.lock().unwrap_or_else(PoisonError::into_inner);
            // Not over what a reload brought meanwhile.
            if Arc::ptr_eq(&expiring, &before) {
                *expiring = Arc::new(found);
            }
        }
        let now = node.clock.unix_ms() / 1000;
        for expiring in node.expiring().iter() {
            match (expiring.holds(now), expiring.told(now)) {
                (Holds::NoMore, Some(told)) => tracing::error!("{told}"),
                (_, Some(told)) if look % TOLD_AT_EACH == 0 => tracing::warn!("{told}"),
                _ => {}
            }
        }
    }
}

impl Node {
    /// All certificates and lists that this node's configuration names, and until when they hold.
    pub(crate) fn expiring(&self) -> Arc<Vec<Expiring>> {
        self.expiring.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those for which there is something to do.
    pub(super) fn expiry_problems(&self) -> Vec<ProblemView> {
        let now = self.clock.unix_ms() / 1000;
        let problem = |expiring: &Expiring| {
            Some(ProblemView {
                kind: "expires".to_owned(),
                subject: expiring.expiry.name.clone(),
                text: expiring.told(now)?,
            })
        };
        self.expiring().iter().filter_map(problem).collect()
    }
}
