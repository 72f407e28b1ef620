//! How long answering took, in a histogram with fixed buckets.
//!
//! **What is measured.** From the moment a thread begins to take what has arrived on its sockets
//! until it has handed the replies to the kernel: one turn of a thread by UDP. Every query counts
//! with the time of its whole turn, since the first reply of a batch leaves with the last. What is
//! not in it: the time that a query waited in the socket's buffer before that, and TCP.
//!
//! **What it costs.** Nothing a query and no look at a clock either: a turn's end is the next
//! one's beginning, when the clock is read for the answers anyhow.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds, inclusive, in microseconds. A lone query takes some, a full batch under a hundred;
/// milliseconds are a thread that had to wait for the processor.
const BOUNDS_US: [u64; 16] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];

/// One more for all that took longer.
const BUCKETS: usize = BOUNDS_US.len() + 1;

/// One thread's histogram. Only that thread writes, anybody may read.
#[derive(Debug)]
pub(crate) struct LatencyCounters {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

impl LatencyCounters {
    pub(crate) const fn new() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum_ns: AtomicU64::new(0) }
    }

    /// Counts so many queries that took so long; only for the thread that owns these.
    pub(crate) fn add(&self, took: Duration, queries: u64) {
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let place = BOUNDS_US.partition_point(|bound| bound * 1_000 < took_ns);
        let more = |cell: &AtomicU64, more: u64| {
            cell.store(cell.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
        };
        more(&self.buckets[place], queries);
        more(&self.sum_ns, took_ns.saturating_mul(queries));
    }
}

/// How long answers took since the start, over all threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    buckets: [u64; BUCKETS],
    sum_ns: u64,
}

impl Latency {
    pub(crate) fn add(&mut self, thread: &LatencyCounters) {
        for (sum, cell) in self.buckets.iter_mut().zip(&thread.buckets) {
            *sum += cell.load(Ordering::Relaxed);
        }
        self.sum_ns = self.sum_ns.wrapping_add(thread.sum_ns.load(Ordering::Relaxed));
    }

    /// Pairs of a bucket's upper bound and the queries in it alone; the last has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS_US.iter().map(|bound| Some(Duration::from_micros(*bound)));
        bounds.chain([None]).zip(self.buckets)
    }

    /// All queries that were measured.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The times of all of them together.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_the_bucket_that_bounds_them() {
        let thread = LatencyCounters::new();
        for (nanoseconds, queries) in
            [(0, 1), (1_000, 2), (1_001, 4), (49_999, 32), (100_000_000, 1), (100_000_001, 1)]
        {
            thread.add(Duration::from_nanos(nanoseconds), queries);
        }
        thread.add(Duration::ZERO, 0);
        let mut latency = Latency::default();
        latency.add(&thread);
        let filled: Vec<_> = latency
            .buckets()
            .filter(|(_, queries)| *queries > 0)
            .map(|(bound, queries)| (bound.map(|bound| bound.as_micros()), queries))
            .collect();
        let expected = [(Some(1), 3), (Some(2), 4), (Some(50), 32), (Some(100_000), 1), (None, 1)];
        assert_eq!(filled, expected);
        assert_eq!(latency.count(), 41);
        assert_eq!(latency.sum().as_nanos(), 2_000 + 4 * 1_001 + 32 * 49_999 + 200_000_001);
    }

    #[test]
    fn no_time_is_too_long() {
        let thread = LatencyCounters::new();
        thread.add(Duration::MAX, u64::MAX);
        let mut latency = Latency::default();
        latency.add(&thread);
        assert_eq!(latency.buckets().last(), Some((None, u64::MAX)));
    }
}
