//! A node without a Controller as a vantage point: it probes, and tells the group how it sees servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use walrus_core::control::{Look, Lookout, ProbeOutcome, ProbeRequest};
use walrus_core::message::{Message, Role};
use walrus_host::bus::Bus;
use walrus_host::log::Limited;
use walrus_host::probe::Prober;

use super::Node;

/// Finished probes that wait for the task; beyond that their tasks wait, one a target.
const OUTCOMES_MAX: usize = 1024;
/// The task never looks at its deadlines more often than this, whatever they say.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// That this machine cannot probe is told no more often than this.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Probes under way.
struct Executor {
    prober: Prober,
    outcomes: mpsc::Sender<(u32, ProbeOutcome)>,
    /// Of each target; bounded by the targets there are.
    running: BTreeMap<u32, AbortHandle>,
}

/// Until the node ends. A reload is noticed with the next thing that is due, three times in 10 s at
/// least.
pub(super) async fn watch(node: Arc<Node>, bus: Bus) {
    let (outcomes, mut queue) = mpsc::channel(OUTCOMES_MAX);
    let mut executor = Executor { prober: Prober::new(), outcomes, running: BTreeMap::new() };
    let lines = Limited::new(TOLD_EVERY);
    let clock = node.clock.clone();
    let mut configuration = node.loaded().configuration;
    let seed = node.seed.for_part("vantage");
    let mut lookout = Lookout::new(configuration.clone(), seed, clock.now());
    let mut connections = bus.connections();
    loop {
        while let Some(look) = lookout.poll(clock.now()) {
            match look {
                Look::Say(sights) => {
                    bus.say(Role::Director, Message::Sights(sights));
                }
                Look::Probe(request) => executor.start(request),
            }
        }
        let due = lookout.next_deadline().max(clock.now() + PAUSE_MIN);
        tokio::select! {
            _ = clock.sleep_until(due) => {}
            connected = connections.changed() => match connected {
                Ok(()) => lookout.connected(clock.now()),
                Err(_) => return,
            },
            Some((target, outcome)) = queue.recv() => {
                executor.running.remove(&target);
                if let ProbeOutcome::Unknown(reason) = &outcome
                    && let Some(left_out) = lines.pass()
                {
                    tracing::error!(reason, left_out, "servers cannot be probed from this machine");
                }
                lookout.probed(clock.now(), target, outcome);
            }
        }
        let loaded = node.loaded().configuration;
        if !Arc::ptr_eq(&loaded, &configuration) {
            configuration = loaded;
            lookout.reconfigure(clock.now(), configuration.clone());
        }
    }
}

impl Executor {
    /// Starts a probe. One of the same target that still waits for its turn was given up by the core.
    fn start(&mut self, request: ProbeRequest) {
        let (prober, outcomes) = (self.prober.clone(), self.outcomes.clone());
        let target = request.target;
        let task = tokio::spawn(async move {
            let outcome = prober.execute(request).await;
            // Nobody listens any more when the node ends.
            let _ = outcomes.send((target, outcome)).await;
        });
        if let Some(given_up) = self.running.insert(target, task.abort_handle()) {
            given_up.abort();
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.running.values().for_each(AbortHandle::abort);
    }
}
