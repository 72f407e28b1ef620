//! Zones that came and are to be served, and those that expired: what happens at the same time is compiled together, and
//! what that costs bounds how often it is done. What catalogs list waits for the same turn.
//!
//! One change of one zone compiles all names of the node. A zone whose primary raises its serial each second, beside
//! one of a million names, would else keep a processor busy for good; and so would a thousand zones of one primary that
//! expire one after the other.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard, oneshot};
use tokio::task::spawn_blocking;
use walrus_core::zone::Zone;
use walrus_dns::DomainName;
use walrus_host::shutdown::Shutdown;

use crate::director::{DirectorHandle, lock};
use crate::zones::ReplaceError;

/// After a change of what is served, so many times what it took nothing is changed: a fifth of a processor at most.
const REST_FACTOR: u32 = 4;
/// But no longer than this.
const REST_MAX: Duration = Duration::from_secs(30);

/// What happens to a zone.
pub(super) enum Change {
    /// This is served from now on.
    Came(Arc<Zone>),
    /// This is served no longer, unless something else is by then.
    Expired(Arc<Zone>),
}

impl Change {
    fn apex(&self) -> &DomainName {
        let (Self::Came(zone) | Self::Expired(zone)) = self;
        zone.apex()
    }
}

/// The task that brings a change.
#[derive(Clone, Debug)]
pub(super) struct Bringer {
    pub(super) end: Shutdown,
    /// Its zone is one that a catalog lists.
    pub(super) is_member: bool,
}

/// A change that waits to be made.
struct Arrival {
    change: Change,
    bringer: Bringer,
    done: oneshot::Sender<Result<(), ReplaceError>>,
}

/// All that wait; whoever has the turn serves them all.
#[derive(Default)]
pub(super) struct Arrivals {
    waiting: Arc<Mutex<Vec<Arrival>>>,
    /// When the next may be served.
    turn: Arc<Turn<Option<Instant>>>,
}

impl std::fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrivals").field("waiting", &lock(&self.waiting).len()).finish()
    }
}

impl Arrivals {
    /// Makes a change, with all others that wait by then, unless its task ends before.
    pub(super) async fn make(
        &self,
        director: &DirectorHandle,
        change: Change,
        bringer: Bringer,
    ) -> Result<(), ReplaceError> {
        let apex = change.apex().clone();
        let (done, mut served) = oneshot::channel();
        lock(&self.waiting).push(Arrival { change, bringer, done });
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // Another may have served it.
        if let Ok(outcome) = served.try_recv() {
            return outcome;
        }
        let (serving, waiting) = (director.clone(), Arc::clone(&self.waiting));
        let serve = move || serve_all(&serving, mem::take(&mut *lock(&waiting)));
        in_turn(turn, director.clone(), serve).await;
        // It was among them, unless serving it has panicked.
        served.await.unwrap_or(Err(ReplaceError::Late(apex)))
    }

    /// Does something else that compiles all names, in its turn, on a thread that may wait; `None` after a panic.
    pub(super) async fn turn<T: Send + 'static>(
        &self,
        director: &DirectorHandle,
        change: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        in_turn(turn, director.clone(), change).await
    }
}

/// After the rest that the one before has cost: what it waited for and what it read cost none. The turn goes with the
/// thread, which goes on when nobody waits for it any more.
async fn in_turn<T: Send + 'static>(
    mut turn: OwnedMutexGuard<Option<Instant>>,
    director: DirectorHandle,
    change: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if let Some(next) = *turn {
        tokio::time::sleep_until(next.into()).await;
    }
    let change = move || {
        let before = director.moving_time();
        let done = change();
        let took = director.moving_time().saturating_sub(before);
        *turn = Some(Instant::now() + (took * REST_FACTOR).min(REST_MAX));
        done
    };
    spawn_blocking(change).await.ok()
}

/// Together; where that fails, in parts, so that each task has its own reason.
fn serve_all(director: &DirectorHandle, all: Vec<Arrival>) {
    let came = all.iter().filter(|it| matches!(it.change, Change::Came(_)));
    let came: BTreeSet<&DomainName> = came.map(|it| it.change.apex()).collect();
    let zones = all.iter().map(|it| {
        let (apex, bringer) = (it.change.apex(), &it.bringer);
        let (content, expired) = match &it.change {
            Change::Came(zone) => (Some(Arc::clone(zone)), None),
            Change::Expired(zone) => (None, Some(zone)),
        };
        let is_wanted = {
            let came = &came;
            move || {
                let is_served = |zone: &Arc<Zone>| {
                    director.current_zone(apex).is_some_and(|it| Arc::ptr_eq(&it, zone))
                };
                let is_due = expired.is_none_or(|zone| !came.contains(apex) && is_served(zone));
                // A reload is in force before the tasks that it ends are.
                let is_ours = director.comes_so_still(apex, bringer.is_member);
                is_due && is_ours && !bringer.end.is_requested()
            }
        };
        (apex.clone(), content, is_wanted)
    });
    let outcomes = director.move_zones_while(&zones.collect::<Vec<_>>());
    for (arrival, outcome) in all.into_iter().zip(outcomes) {
        // Whoever no longer waits needs no answer.
        let _ = arrival.done.send(outcome);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::mpsc;

    use walrus_core::map::Map;
    use walrus_core::zone::{RecordSet, read_zone};
    use walrus_dns::record_type;
    use walrus_host::clock::Clock;

    use super::*;
    use crate::fixture::{digests, plan, settings, topology, zone};
    use crate::{Director, DirectorStart, MovingZone, SigningStart};

    pub(in crate::zones::secondary) fn start() -> DirectorHandle {
        start_with(&["other.example"])
    }

    /// With these zones beside the service's.
    fn start_with(others: &[&str]) -> DirectorHandle {
        let topology = topology();
        let map = Arc::new(Map::build(&topology, &[]).unwrap());
        let digests = digests(&map);
        let others = others.iter().map(|apex| apex.parse().unwrap());
        let moving = std::iter::once(zone().apex().clone()).chain(others);
        let start = DirectorStart {
            dns: settings(&["127.0.0.1:0"], 1),
            topology,
            zones: vec![zone()],
            moving: moving.map(|apex| MovingZone { apex, content: None }).collect(),
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

    /// Of a zone whose primaries are configured.
    pub(in crate::zones::secondary) fn bringer() -> Bringer {
        Bringer { end: Shutdown::new(), is_member: false }
    }

    pub(in crate::zones::secondary) fn content(apex: &str, serial: u32) -> Arc<Zone> {
        let text = format!("@ 60 SOA ns host {serial} 2 3 4 5\n@ 60 NS ns.example.net.\n");
        Arc::new(read_zone("test", text.as_bytes(), &apex.parse().unwrap()).unwrap().zone)
    }

    /// No reply has room for one of its sets.
    fn bad_content(apex: &str) -> Arc<Zone> {
        let data = (0..5000_u32).map(|number| number.to_be_bytes().into()).collect();
        let set = RecordSet { record_type: record_type::A, ttl: 60, data, ..RecordSet::default() };
        let name = format!("big.{apex}").parse().unwrap();
        Arc::new(content(apex, 1).with_sets([(name, set)]))
    }

    #[tokio::test]
    async fn zones_that_come_together_are_compiled_together_and_each_has_its_own_outcome() {
        let (director, arrivals) = (start(), Arrivals::default());
        let (before, end) = (generation(&director), bringer());
        let gone = bringer();
        gone.end.request();
        let serve = |apex, serial, by: &Bringer| {
            arrivals.make(&director, Change::Came(content(apex, serial)), by.clone())
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
        assert!(generation(&director) - before <= 2, "the first, then all that waited for it");
        director.shutdown();
    }

    fn generation(director: &DirectorHandle) -> u64 {
        director.inner().current.load().generation
    }

    #[tokio::test]
    async fn zones_that_expire_together_go_together_but_not_what_came_meanwhile() {
        let apexes: Vec<String> = (0..50).map(|number| format!("z{number}.example")).collect();
        let others: Vec<&str> = apexes.iter().map(String::as_str).collect();
        let (director, arrivals, end) = (start_with(&others), Arrivals::default(), bringer());
        let came = |serial| {
            let came = others.iter().map(move |apex| Change::Came(content(apex, serial)));
            join_all(&arrivals, &director, came.collect(), &end)
        };
        assert!(came(1).await.iter().all(Result::is_ok));
        let current = |apex: &&str| director.current_zone(&apex.parse().unwrap());
        let held: Vec<Arc<Zone>> = others.iter().filter_map(current).collect();
        assert_eq!(held.len(), 50);
        let before = generation(&director);
        let expired = || held.iter().map(|zone| Change::Expired(Arc::clone(zone))).collect();
        let outcomes = join_all(&arrivals, &director, expired(), &end).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert!(generation(&director) - before <= 2, "the first, then all that waited for it");
        assert_eq!(others.iter().filter_map(current).count(), 0);
        // Others came by then.
        assert!(came(2).await.iter().all(Result::is_ok));
        let outcomes = join_all(&arrivals, &director, expired(), &end).await;
        assert!(outcomes.iter().all(|it| matches!(it, Err(ReplaceError::Late(_)))));
        assert_eq!(others.iter().filter_map(current).count(), 50);
        // And at the same time.
        let zone = current(&"z0.example").unwrap();
        let both = vec![Change::Came(content("z0.example", 3)), Change::Expired(zone)];
        join_all(&arrivals, &director, both, &end).await;
        assert_eq!(current(&"z0.example").unwrap().serial(), 3);
        director.shutdown();
    }

    #[tokio::test]
    async fn what_came_for_what_a_reload_made_another_zone_is_not_served() {
        let (director, arrivals, of_zone) = (start(), Arrivals::default(), bringer());
        let of_catalog = Bringer { is_member: true, ..bringer() };
        let member: DomainName = "member.example".parse().unwrap();
        let members = [(member.clone(), None)].into();
        director.set_members(members, &BTreeSet::new()).unwrap();
        let make = |apex, serial, by: &Bringer| {
            arrivals.make(&director, Change::Came(content(apex, serial)), by.clone())
        };
        make("member.example", 1, &of_catalog).await.unwrap();
        make("other.example", 1, &of_zone).await.unwrap();
        // As a reload does: the one is configured now, the other takes updates, and their tasks have not ended yet.
        lock(&director.inner().members).clear();
        let updated = crate::UpdateStatus {
            apex: "other.example".parse().unwrap(),
            serial: 1,
            changes: 0,
            journal_bytes: 0,
            last: None,
            problem: None,
            left_out: Vec::new(),
        };
        director.inner().updates_told.store(Arc::new(vec![updated]));
        for (apex, by) in [("member.example", &of_catalog), ("other.example", &of_zone)] {
            assert!(matches!(make(apex, 2, by).await, Err(ReplaceError::Late(_))));
            let held = director.current_zone(&apex.parse().unwrap());
            assert_eq!(held.map(|zone| zone.serial()), Some(1), "{apex}");
        }
        make("member.example", 2, &of_zone).await.unwrap();
        director.shutdown();
    }

    #[tokio::test]
    async fn waiting_for_others_costs_no_rest_and_nobody_else_has_a_turn_that_goes_on() {
        let (director, arrivals) = (start(), Arc::<Arrivals>::default());
        let (held, is_held) = mpsc::channel();
        let (release, is_released) = mpsc::channel::<()>();
        let holder = director.clone();
        let holding = std::thread::spawn(move || {
            let _rebuilding = holder.rebuilding();
            held.send(()).unwrap();
            let _ = is_released.recv();
            // What a long wait would cost.
            std::thread::sleep(Duration::from_millis(50));
        });
        is_held.recv().unwrap();
        let waiting = director.clone();
        let (begun, has_begun) = oneshot::channel();
        let change = move || {
            let _ = begun.send(());
            drop(waiting.rebuilding());
        };
        let (in_turn, of) = (Arc::clone(&arrivals), director.clone());
        let task = tokio::spawn(async move { in_turn.turn(&of, change).await });
        has_begun.await.unwrap();
        task.abort();
        assert!(task.await.is_err());
        assert!(arrivals.turn.try_lock().is_err(), "its thread works still");
        release.send(()).unwrap();
        let next = *arrivals.turn.lock().await;
        assert!(next.is_some_and(|next| next <= Instant::now()), "it only waited");
        holding.join().unwrap();
        let before = director.moving_time();
        let came = Change::Came(content("other.example", 1));
        arrivals.make(&director, came, bringer()).await.unwrap();
        assert!(director.moving_time() > before);
        director.shutdown();
    }

    #[test]
    fn one_that_cannot_be_served_costs_the_others_little() {
        let apexes: Vec<String> = (0..64).map(|number| format!("z{number}.example")).collect();
        let others: Vec<&str> = apexes.iter().map(String::as_str).collect();
        let director = start_with(&others);
        let before = generation(&director);
        let one = |apex: &&str| {
            let zone = if *apex == "z20.example" { bad_content(apex) } else { content(apex, 1) };
            (apex.parse().unwrap(), Some(zone), || true)
        };
        let outcomes = director.move_zones_while(&others.iter().map(one).collect::<Vec<_>>());
        let failed: Vec<usize> = (0..64).filter(|place| outcomes[*place].is_err()).collect();
        assert_eq!(failed, [20]);
        assert!(matches!(outcomes[20], Err(ReplaceError::Publish(_))));
        // Halves of halves, and not each by itself.
        assert_eq!(generation(&director) - before, 6);
        director.shutdown();
    }

    async fn join_all(
        arrivals: &Arrivals,
        director: &DirectorHandle,
        changes: Vec<Change>,
        by: &Bringer,
    ) -> Vec<Result<(), ReplaceError>> {
        let mut making: Vec<_> = changes
            .into_iter()
            .map(|change| Box::pin(arrivals.make(director, change, by.clone())))
            .collect();
        let mut outcomes: Vec<Option<Result<(), ReplaceError>>> = vec![None; making.len()];
        std::future::poll_fn(|context| {
            for (making, outcome) in making.iter_mut().zip(&mut outcomes) {
                if outcome.is_none()
                    && let std::task::Poll::Ready(done) = making.as_mut().poll(context)
                {
                    *outcome = Some(done);
                }
            }
            if outcomes.iter().all(Option::is_some) {
                return std::task::Poll::Ready(());
            }
            std::task::Poll::Pending
        })
        .await;
        outcomes.into_iter().flatten().collect()
    }
}
