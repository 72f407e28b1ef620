//! Time for the shells: the machine's, or one that moves only when a test says so.
//!
//! The core takes [`Time`] as an argument; this is the only maker of it. A test drives the manual
//! clock and learns from [`Activity`] when everything that the last step set off has come to rest.

mod activity;
mod manual;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use walrus_core::world::Time;

pub use activity::{Activity, Busy};
pub use manual::ManualClock;

use manual::Manual;

/// The time since start, and waiting for it. Cheap to clone; clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    kind: Kind,
    activity: Activity,
}

#[derive(Clone, Debug)]
enum Kind {
    Real { start: Instant },
    Manual(Arc<Manual>),
}

impl Clock {
    /// The machine's monotonic clock, zero now.
    #[must_use]
    pub fn real() -> Self {
        Self { kind: Kind::Real { start: Instant::now() }, activity: Activity::default() }
    }

    /// A clock that stands at zero until its other half moves it.
    #[must_use]
    pub fn manual() -> (Self, ManualClock) {
        let activity = Activity::default();
        let manual = Arc::new(Manual::new(activity.clone()));
        (Self { kind: Kind::Manual(manual.clone()), activity }, ManualClock::new(manual))
    }

    /// The time since start.
    #[must_use]
    pub fn now(&self) -> Time {
        match &self.kind {
            Kind::Real { start } => Time::ZERO + start.elapsed(),
            Kind::Manual(manual) => manual.now(),
        }
    }

    /// Milliseconds since 1970, for people and for session numbers; never to decide an age by. A
    /// manual clock starts on 1 January 2026, so that its output is the same in every run.
    #[must_use]
    pub fn unix_ms(&self) -> u64 {
        const MANUAL_START: u64 = 1_767_225_600_000;
        match &self.kind {
            Kind::Real { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Kind::Manual(manual) => {
                let unset = MANUAL_START + manual.now().as_nanos() / 1_000_000;
                unset.saturating_add_signed(manual.wall_ahead_ms())
            }
        }
    }

    /// Waits until it is `deadline`. Keep the returned [`Awake`] until the work that the deadline
    /// was for is done: it keeps a manual clock from being told that all is at rest.
    pub async fn sleep_until(&self, deadline: Time) -> Awake {
        match &self.kind {
            Kind::Real { start } => {
                // Five hundred years do not fit into an `Instant` on every system: then never.
                match start.checked_add(Duration::from_nanos(deadline.as_nanos())) {
                    Some(instant) => tokio::time::sleep_until(instant).await,
                    None => std::future::pending().await,
                }
                Awake { _busy: None }
            }
            Kind::Manual(manual) => {
                let busy = manual::Sleep::new(manual.clone(), deadline).await;
                Awake { _busy: Some(busy) }
            }
        }
    }

    /// Waits for so long.
    pub async fn sleep(&self, duration: Duration) -> Awake {
        self.sleep_until(self.now() + duration).await
    }

    /// Counts the work that is under way; see [`Activity`].
    #[must_use]
    pub const fn activity(&self) -> &Activity {
        &self.activity
    }
}

/// Proof that a sleeper has work to do; dropped when it is done.
#[derive(Debug)]
pub struct Awake {
    _busy: Option<Busy>,
}
