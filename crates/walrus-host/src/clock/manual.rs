//! The clock that a test moves.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use walrus_core::world::Time;

use super::{Activity, Busy};

/// The half of a manual clock that moves it.
#[derive(Debug)]
pub struct ManualClock(Arc<Manual>);

impl ManualClock {
    pub(super) const fn new(manual: Arc<Manual>) -> Self {
        Self(manual)
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Time {
        self.0.now()
    }

    /// The earliest time that somebody sleeps until.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let state = self.0.lock();
        state.sleepers.iter().find(|(_, s)| s.woken.is_none()).map(|((time, _), _)| *time)
    }

    /// Makes it `to` (never earlier than it is) and wakes whoever slept until then. What lies
    /// between is jumped over: see [`ManualClock::run_to`].
    pub fn advance_to(&self, to: Time) {
        self.0.advance_to(to);
    }

    /// Sets the clock on the wall ahead of where it would be, or back if negative: what happens when
    /// somebody sets a machine's clock. The time since start goes on as before.
    pub fn set_wall_ahead(&self, seconds: i64) {
        self.0.lock().wall_ahead_secs = seconds;
    }

    /// Lets time pass as it would have passed: from one sleeper's deadline to the next, each time
    /// until all is at rest, up to `to`.
    pub async fn run_to(&self, to: Time) {
        loop {
            self.settled().await;
            match self.next_deadline() {
                Some(deadline) if deadline <= to => self.advance_to(deadline),
                _ => break,
            }
        }
        self.advance_to(to);
        self.settled().await;
    }

    /// Waits until all that was set off has come to rest.
    pub async fn settled(&self) {
        self.0.activity.settled().await;
    }
}

/// What both halves share.
#[derive(Debug)]
pub(super) struct Manual {
    state: Mutex<State>,
    activity: Activity,
}

#[derive(Debug, Default)]
struct State {
    now: Time,
    wall_ahead_secs: i64,
    next_id: u64,
    sleepers: BTreeMap<(Time, u64), Sleeper>,
}

#[derive(Debug)]
struct Sleeper {
    waker: Waker,
    /// Set when the clock reached the deadline, until the sleeper's task takes it over.
    woken: Option<Busy>,
}

impl Manual {
    pub(super) fn new(activity: Activity) -> Self {
        Self { state: Mutex::default(), activity }
    }

    pub(super) fn now(&self) -> Time {
        self.lock().now
    }

    pub(super) fn wall_ahead_ms(&self) -> i64 {
        self.lock().wall_ahead_secs.saturating_mul(1000)
    }

    fn advance_to(&self, to: Time) {
        let mut wakers = Vec::new();
        {
            let mut state = self.lock();
            state.now = state.now.max(to);
            for (_, sleeper) in state.sleepers.range_mut(..=(to, u64::MAX)) {
                sleeper.woken.get_or_insert_with(|| self.activity.begin());
                wakers.push(sleeper.waker.clone());
            }
        }
        for waker in wakers {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ready once the clock has reached the deadline.
pub(super) struct Sleep {
    manual: Arc<Manual>,
    deadline: Time,
    id: Option<u64>,
}

impl Sleep {
    pub(super) const fn new(manual: Arc<Manual>, deadline: Time) -> Self {
        Self { manual, deadline, id: None }
    }
}

impl Future for Sleep {
    type Output = Busy;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Busy> {
        let manual = self.manual.clone();
        let mut state = manual.lock();
        if state.now >= self.deadline {
            let entry = self.id.take().and_then(|id| state.sleepers.remove(&(self.deadline, id)));
            let woken = entry.and_then(|sleeper| sleeper.woken);
            return Poll::Ready(woken.unwrap_or_else(|| manual.activity.begin()));
        }
        let id = *self.id.get_or_insert_with(|| {
            state.next_id += 1;
            state.next_id
        });
        let sleeper = Sleeper { waker: context.waker().clone(), woken: None };
        state.sleepers.insert((self.deadline, id), sleeper);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let gone = self.manual.lock().sleepers.remove(&(self.deadline, id));
            // Outside the lock: its drop may wake whoever waits for rest.
            drop(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Clock;
    use super::*;

    #[tokio::test]
    async fn time_passes_from_deadline_to_deadline() {
        let (clock, hand) = Clock::manual();
        let (sender, mut ticks) = tokio::sync::mpsc::unbounded_channel();
        let ticker = clock.clone();
        tokio::spawn(async move {
            loop {
                let _awake = ticker.sleep(Duration::from_secs(2)).await;
                sender.send(ticker.now()).unwrap();
            }
        });
        hand.run_to(Time::from_secs(7)).await;
        let mut seen = Vec::new();
        while let Ok(tick) = ticks.try_recv() {
            seen.push(tick);
        }
        assert_eq!(seen, [2, 4, 6].map(Time::from_secs));
        assert_eq!(clock.now(), Time::from_secs(7));
        assert_eq!(clock.unix_ms() % 60_000, 7_000);
    }

    #[tokio::test]
    async fn rest_waits_for_work_that_was_handed_on() {
        let (clock, hand) = Clock::manual();
        let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (worker, flag) = (clock.clone(), done.clone());
        tokio::spawn(async move {
            let awake = worker.sleep_until(Time::from_secs(1)).await;
            // Real time, as a probe in flight would take.
            tokio::time::sleep(Duration::from_millis(20)).await;
            flag.store(true, std::sync::atomic::Ordering::SeqCst);
            drop(awake);
        });
        hand.run_to(Time::from_secs(1)).await;
        assert!(done.load(std::sync::atomic::Ordering::SeqCst));
        assert_eq!(clock.activity().under_way(), 0);
    }

    #[tokio::test]
    async fn a_sleeper_that_gives_up_is_forgotten() {
        let (clock, hand) = Clock::manual();
        {
            let sleep = clock.sleep_until(Time::from_secs(5));
            tokio::select! {
                biased;
                _ = sleep => unreachable!(),
                () = std::future::ready(()) => {}
            }
        }
        assert_eq!(hand.next_deadline(), None);
        hand.advance_to(Time::from_secs(9));
        hand.settled().await;
        hand.advance_to(Time::from_secs(3));
        assert_eq!(clock.now(), Time::from_secs(9), "never back");
    }

    #[tokio::test]
    async fn the_real_clock_waits_for_its_deadline() {
        let clock = Clock::real();
        let _awake = clock.sleep(Duration::from_millis(10)).await;
        assert!(clock.now() >= Time::from_millis(10));
        assert!(clock.unix_ms() > 1_700_000_000_000);
        let far = clock.sleep_until(Time::from_nanos(u64::MAX));
        assert!(tokio::time::timeout(Duration::from_millis(5), far).await.is_err());
    }
}
