//! What one population asks for and gets, as it is counted while it runs.

use super::Distribution;
use super::result::{ClientCounts, Convergence, PopulationResult};

/// What was counted of a population so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Over the whole run.
    pub(super) counts: ClientCounts,
    /// At the end of what is discarded.
    discarded: ClientCounts,
    /// At the last interval's end.
    last: ClientCounts,
    pub(super) response_seconds: Distribution,
    near_share: Vec<f32>,
    failed_share: Vec<f32>,
    /// By server: answers that have it first, and pages that it accepted.
    pub(super) answers: Box<[u64]>,
    pub(super) pages: Box<[u64]>,
    windows: Windows,
}

/// How resolvers find the nearest name server.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows {
    /// By question of a resolver: answered, and by the nearest.
    by_number: Vec<(u64, u64)>,
    to_nearest: Distribution,
}

impl Gathered {
    pub(super) fn new(servers: usize) -> Self {
        let zeros = || vec![0; servers].into();
        Self { answers: zeros(), pages: zeros(), ..Self::default() }
    }

    /// What came before is discarded.
    pub(super) const fn begin(&mut self) {
        self.discarded = self.counts;
        self.last = self.counts;
    }

    /// A point of the series: what was counted since the last one.
    pub(super) fn interval(&mut self) -> ClientCounts {
        let since = self.counts.since(&self.last);
        self.near_share.push(since.near_share());
        self.failed_share.push(since.failed_share());
        self.last = self.counts;
        since
    }

    /// A resolver's question, from 1, was answered.
    pub(super) fn answered(&mut self, window: u32, is_nearest: bool, is_first: bool) {
        self.windows.answered(window, is_nearest, is_first);
    }

    pub(super) const fn windows(&self) -> &Windows {
        &self.windows
    }

    /// What was counted since the beginning was discarded.
    pub(super) fn measured(&self) -> ClientCounts {
        self.counts.since(&self.discarded)
    }

    /// `never`: its resolvers that asked and never came to the nearest name server.
    pub(super) fn finish(self, name: String, never: u64) -> PopulationResult {
        PopulationResult {
            name,
            counts: self.measured(),
            response_seconds: self.response_seconds,
            near_share: self.near_share,
            failed_share: self.failed_share,
            answers: self.answers.into(),
            pages: self.pages.into(),
            convergence: self.windows.finish(never),
        }
    }
}

impl Windows {
    fn answered(&mut self, window: u32, is_nearest: bool, is_first: bool) {
        let place = window as usize - 1;
        if place < Convergence::WINDOWS_MAX {
            if self.by_number.len() <= place {
                self.by_number.resize(place + 1, (0, 0));
            }
            self.by_number[place].0 += 1;
            self.by_number[place].1 += u64::from(is_nearest);
        }
        if is_first {
            self.to_nearest.add(f64::from(window));
        }
    }

    /// Counts those of other resolvers as well.
    pub(super) fn merge(&mut self, other: &Self) {
        let len = self.by_number.len().max(other.by_number.len());
        self.by_number.resize(len, (0, 0));
        for ((all, near), more) in self.by_number.iter_mut().zip(&other.by_number) {
            *all += more.0;
            *near += more.1;
        }
        self.to_nearest.merge(&other.to_nearest);
    }

    pub(super) fn finish(self, never: u64) -> Convergence {
        let share = |(all, near): &(u64, u64)| (*near as f64 / (*all).max(1) as f64) as f32;
        Convergence {
            near_by_window: self.by_number.iter().map(share).collect(),
            windows_to_nearest: self.to_nearest,
            never,
        }
    }
}

impl ClientCounts {
    /// What came after an earlier count.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        self.with(earlier, |now, then| now - then)
    }

    /// Of both.
    pub(super) fn and(&self, other: &Self) -> Self {
        self.with(other, |one, other| one + other)
    }

    fn with(&self, other: &Self, of: fn(u64, u64) -> u64) -> Self {
        Self {
            sessions: of(self.sessions, other.sessions),
            pages: of(self.pages, other.pages),
            hits: of(self.hits, other.hits),
            failed_pages: of(self.failed_pages, other.failed_pages),
            failed_attempts: of(self.failed_attempts, other.failed_attempts),
            lookups: of(self.lookups, other.lookups),
            upstream_queries: of(self.upstream_queries, other.upstream_queries),
            upstream_timeouts: of(self.upstream_timeouts, other.upstream_timeouts),
            failed_lookups: of(self.failed_lookups, other.failed_lookups),
            near_pages: of(self.near_pages, other.near_pages),
            placed_pages: of(self.placed_pages, other.placed_pages),
        }
    }

    /// The share of the pages for which there is a nearest cluster that came from it; NaN without any.
    pub(super) fn near_share(&self) -> f32 {
        // 0 / 0 is the gap that it should be.
        (self.near_pages as f64 / self.placed_pages as f64) as f32
    }

    /// The share of the pages that failed; NaN without any.
    pub(super) fn failed_share(&self) -> f32 {
        let share = self.failed_pages as f64 / self.pages as f64;
        // Pages that were under way when their server died were counted before.
        if share > 1.0 { 1.0 } else { share as f32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_populations_add_up() {
        let mut one = Windows::default();
        one.answered(1, true, true);
        let mut other = Windows::default();
        other.answered(1, false, false);
        other.answered(2, true, true);
        one.merge(&other);
        let sum = one.finish(3);
        assert_eq!((sum.near_by_window, sum.never), (vec![0.5, 1.0], 3));
        assert_eq!((sum.windows_to_nearest.count(), sum.windows_to_nearest.max()), (2, 2.0));
    }

    #[test]
    fn where_nothing_was_asked_for_there_is_no_share() {
        let none = ClientCounts::default();
        assert!(none.near_share().is_nan() && none.failed_share().is_nan());
        let lost = ClientCounts { pages: 2, failed_pages: 3, ..none };
        assert_eq!(lost.failed_share(), 1.0);
    }
}
