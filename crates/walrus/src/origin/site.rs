//! The state of the site: its workers, its counters and the fault that it is told to show.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// One site, shared by all its connections.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) name: String,
    pub(super) cluster: String,
    /// How long a slow answer takes.
    pub(super) slow: Duration,
    workers: Semaphore,
    workers_max: u32,
    hits: AtomicU64,
    status_hits: AtomicU64,
    fault: AtomicU8,
}

impl Site {
    pub(super) fn new(name: String, cluster: String, workers: u32, slow: Duration) -> Arc<Self> {
        let workers_max = workers.clamp(1, 10_000);
        Arc::new(Self {
            name,
            cluster,
            slow,
            workers: Semaphore::new(workers_max as usize),
            workers_max,
            hits: AtomicU64::new(0),
            status_hits: AtomicU64::new(0),
            fault: AtomicU8::new(Fault::Ok as u8),
        })
    }

    /// Waits for a free worker and counts a hit; the worker is busy until the permit is dropped.
    pub(super) async fn occupy_worker(&self) -> Option<SemaphorePermit<'_>> {
        let permit = self.workers.acquire().await.ok()?;
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(permit)
    }

    /// Counts a look at Apache's status page, which Apache counts as well.
    pub(super) fn count_status_hit(&self) -> u64 {
        self.status_hits.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn status(&self) -> Status {
        let fault = self.fault();
        let free = u32::try_from(self.workers.available_permits()).unwrap_or(u32::MAX);
        Status {
            hits: self.hits.load(Ordering::Relaxed),
            busy: match fault {
                Fault::Busy => self.workers_max,
                Fault::Ok | Fault::Slow | Fault::Down => self.workers_max.saturating_sub(free),
            },
            busy_max: self.workers_max,
            fault,
        }
    }

    pub(super) fn fault(&self) -> Fault {
        Fault::ALL[usize::from(self.fault.load(Ordering::Relaxed)) % Fault::ALL.len()]
    }

    pub(super) fn set_fault(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::Relaxed);
    }
}

/// What the status pages tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    pub(super) hits: u64,
    pub(super) busy: u32,
    pub(super) busy_max: u32,
    pub(super) fault: Fault,
}

/// What is to seem wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    Ok,
    /// Connections are closed unanswered.
    Down,
    /// All workers seem to be busy.
    Busy,
    /// Answers take [`Site::slow`].
    Slow,
}

impl Fault {
    /// In the order of their numbers.
    pub(super) const ALL: [Self; 4] = [Self::Ok, Self::Down, Self::Busy, Self::Slow];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Down => "down",
            Self::Busy => "busy",
            Self::Slow => "slow",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.word() == word)
    }
}
