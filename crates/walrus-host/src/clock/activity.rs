//! Work under way: what a manual clock waits for before it moves on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the work that is under way. A queued message, a probe in flight and a woken sleeper each
/// hold a [`Busy`]; whoever takes work over takes its `Busy` along or makes a new one first, so
/// that the count is never zero while something remains to be done.
///
/// On the real clock nobody waits for it, and it costs two atomic additions a message.
#[derive(Clone, Debug, Default)]
pub struct Activity(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    under_way: AtomicUsize,
    /// How much work there ever was: tells "still idle" from "idle again".
    begun: AtomicU64,
    idle: Notify,
}

impl Activity {
    /// Notes that some work is under way until the returned value is dropped.
    #[must_use]
    pub fn begin(&self) -> Busy {
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        Busy(self.clone())
    }

    /// How much work is under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.0.under_way.load(Ordering::SeqCst)
    }

    /// Waits until nothing is under way and every task that could run has run.
    ///
    /// Exact on a runtime with one thread (which `--test-clock` uses); with more threads a task
    /// that was woken by something uncounted may still be about to begin.
    pub async fn settled(&self) {
        // A chain of tasks that wake each other without counted work must be shorter than this.
        const TURNS: u32 = 64;
        loop {
            self.idle().await;
            let begun = self.0.begun.load(Ordering::SeqCst);
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            if self.under_way() == 0 && self.0.begun.load(Ordering::SeqCst) == begun {
                return;
            }
        }
    }

    async fn idle(&self) {
        loop {
            let notified = self.0.idle.notified();
            tokio::pin!(notified);
            // Registered before the check, so that no last drop falls between the two.
            notified.as_mut().enable();
            if self.under_way() == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// Some work under way; see [`Activity`].
#[derive(Debug)]
pub struct Busy(Activity);

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.0.under_way.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.0.idle.notify_waiters();
        }
    }
}
