//! Zones that came and are to be served: those that come at the same time are compiled together, and what that
//! costs bounds how often it is done.
//!
//! One change of one zone compiles all names of the node. A zone whose primary raises its serial each second, beside
//! one of a million names, would else keep a processor busy for good.

use std::mem;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Turn, oneshot};
use tokio::task::spawn_blocking;
use walrus_core::zone::Zone;
use walrus_host::shutdown::Shutdown;

use crate::director::{DirectorHandle, lock};
use crate::zones::ReplaceError;

/// After a change of what is served, so many times what it took nothing is changed: a fifth of a processor at most.
const REST_FACTOR: u32 = 4;
/// But no longer than this.
const REST_MAX: Duration = Duration::from_secs(30);

/// A zone that waits to be served.
struct Arrival {
    zone: Arc<Zone>,
    /// Of the task that brings it.
    end: Shutdown,
    done: oneshot::Sender<Result<(), ReplaceError>>,
}

/// All that wait; whoever has the turn serves them all.
#[derive(Default)]
pub(super) struct Arrivals {
    waiting: Mutex<Vec<Arrival>>,
    /// When the next may be served.
    turn: Turn<Option<Instant>>,
}

impl std::fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrivals").field("waiting", &lock(&self.waiting).len()).finish()
    }
}

impl Arrivals {
    /// Serves a zone, with all others that wait by then, unless its task ends before.
    pub(super) async fn serve(
        &self,
        director: &DirectorHandle,
        zone: Arc<Zone>,
        end: Shutdown,
    ) -> Result<(), ReplaceError> {
        let apex = zone.apex().clone();
        let (done, mut served) = oneshot::channel();
        lock(&self.waiting).push(Arrival { zone, end, done });
        let mut next = self.turn.lock().await;
        // Another may have served it.
        if let Ok(outcome) = served.try_recv() {
            return outcome;
        }
        if let Some(next) = *next {
            tokio::time::sleep_until(next.into()).await;
        }
        let (director, all) = (director.clone(), mem::take(&mut *lock(&self.waiting)));
        let took = spawn_blocking(move || {
            let begun = Instant::now();
            serve_all(&director, all);
            begun.elapsed()
        });
        let took = took.await.unwrap_or_default();
        *next = Some(Instant::now() + (took * REST_FACTOR).min(REST_MAX));
        drop(next);
        // It was among them, unless serving it has panicked.
        served.await.unwrap_or(Err(ReplaceError::Late(apex)))
    }
}

/// Together; where that fails, one by one, so that each task has its own reason.
fn serve_all(director: &DirectorHandle, all: Vec<Arrival>) {
    let zones = all.iter().map(|it| {
        let end = it.end.clone();
        (Arc::clone(&it.zone), move || !end.is_requested())
    });
    let outcomes = director.replace_zones_while(&zones.collect::<Vec<_>>());
    for (arrival, outcome) in all.into_iter().zip(outcomes) {
        // Whoever no longer waits needs no answer.
        let _ = arrival.done.send(outcome);
    }
}

#[cfg(test)]
mod tests {
    use walrus_core::map::Map;
    use walrus_core::zone::read_zone;
    use walrus_host::clock::Clock;

    use super::*;
    use crate::fixture::{digests, plan, settings, topology, zone};
    use crate::{Director, DirectorStart, MovingZone, SigningStart};

    fn start() -> DirectorHandle {
        let topology = topology();
        let map = Arc::new(Map::build(&topology, &[]).unwrap());
        let digests = digests(&map);
        let moving = [zone().apex().clone(), "other.example".parse().unwrap()];
        let start = DirectorStart {
            dns: settings(&["127.0.0.1:0"], 1),
            topology,
            zones: vec![zone()],
            moving: moving.map(|apex| MovingZone { apex, content: None }).to_vec(),
            keys: crate::tsig::TsigKeys::default(),
            updates: crate::UpdateSettings::default(),
            map,
            plan: Some(plan(1, 1, &digests)),
            digests,
            signing: SigningStart::default(),
            serials: std::collections::BTreeMap::new(),
            seed: 1,
            clock: Clock::real(),
        };
        Director::start(start).unwrap()
    }

    fn content(apex: &str, serial: u32) -> Arc<Zone> {
        let text = format!("@ 60 SOA ns host {serial} 2 3 4 5\n@ 60 NS ns.example.net.\n");
        Arc::new(read_zone("test", text.as_bytes(), &apex.parse().unwrap()).unwrap().zone)
    }

    #[tokio::test]
    async fn zones_that_come_together_are_compiled_together_and_each_has_its_own_outcome() {
        let (director, arrivals) = (start(), Arrivals::default());
        let generation = || director.inner().current.load().generation;
        let (before, end) = (generation(), Shutdown::new());
        let gone = Shutdown::new();
        gone.request();
        let serve = |apex, serial, end: &Shutdown| {
            arrivals.serve(&director, content(apex, serial), end.clone())
        };
        let outcomes = tokio::join!(
            serve("walrus.example", 1, &end),
            serve("other.example", 2, &end),
            serve("walrus.example", 3, &end),
            serve("stranger.example", 4, &end),
            serve("other.example", 5, &gone),
        );
        assert_eq!((outcomes.0, outcomes.1, outcomes.2), (Ok(()), Ok(()), Ok(())));
        assert!(matches!(outcomes.3, Err(ReplaceError::NotMoving(_))));
        assert!(matches!(outcomes.4, Err(ReplaceError::Late(_))));
        let serial = |apex: &str| director.current_zone(&apex.parse().unwrap()).unwrap().serial();
        assert_eq!((serial("walrus.example"), serial("other.example")), (3, 2));
        assert_eq!(generation() - before, 2, "the first, then all that waited for it");
        director.shutdown();
    }
}
