//! What is measured while it runs.

use std::time::Duration;

use super::Distribution;
use super::result::{Convergence, PopulationCounts, RunCounts, RunResult, ServerSeries};
use super::server::{Presence, Server};
use super::study::Setup;

/// Everything counted so far.
#[derive(Debug)]
pub(super) struct Measures {
    pub(super) totals: RunCounts,
    /// At the end of what is discarded.
    discarded: RunCounts,
    /// Whether that time has passed.
    pub(super) is_on: bool,
    pub(super) max_utilisation: Distribution,
    pub(super) max_system_length: Distribution,
    pub(super) response_seconds: Distribution,
    servers: Vec<Track>,
    /// By population and server.
    flows: Box<[Flow]>,
    queries_per_second: Vec<f32>,
    near_share: Vec<f32>,
    failed_share: Vec<f32>,
    /// At the last interval's end.
    last: RunCounts,
    /// By question of a resolver: answered, and by the nearest.
    windows: Vec<(u64, u64)>,
    windows_to_nearest: Distribution,
    warnings: Vec<String>,
}

/// As many warnings of a run are kept.
const WARNINGS_MAX: usize = 20;

/// One server's past.
#[derive(Debug, Default)]
struct Track {
    window_busy: u64,
    interval_busy: u64,
    interval_hits: u64,
    share: Vec<f32>,
    utilisation: Vec<f32>,
}

/// What one population got of one server.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    answers: u64,
    pages: u64,
}

impl Measures {
    /// Something did not happen as the study says; the first few are told.
    pub(super) fn warn(&mut self, now: u64, text: &str) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(format!("at {:?}: {text}", Duration::from_nanos(now)));
        }
    }

    pub(super) fn new(servers: usize, populations: usize) -> Self {
        Self {
            totals: RunCounts::default(),
            discarded: RunCounts::default(),
            is_on: false,
            max_utilisation: Distribution::new(),
            max_system_length: Distribution::new(),
            response_seconds: Distribution::new(),
            servers: (0..servers).map(|_| Track::default()).collect(),
            flows: vec![Flow::default(); servers * populations].into(),
            queries_per_second: Vec::new(),
            near_share: Vec::new(),
            failed_share: Vec::new(),
            last: RunCounts::default(),
            windows: Vec::new(),
            windows_to_nearest: Distribution::new(),
            warnings: Vec::new(),
        }
    }

    /// What came before is discarded.
    pub(super) fn begin(&mut self, now: u64, servers: &[Server]) {
        self.is_on = true;
        self.discarded = self.totals;
        self.last = self.totals;
        for (track, server) in self.servers.iter_mut().zip(servers) {
            track.window_busy = server.busy_nanos(now);
            track.interval_busy = track.window_busy;
            track.interval_hits = server.hits;
        }
    }

    /// A window ends.
    pub(super) fn window(&mut self, now: u64, window: Duration, servers: &[Server]) {
        let nanos = window.as_nanos() as f64;
        let mut most: f64 = 0.0;
        for (track, server) in self.servers.iter_mut().zip(servers) {
            let busy = server.busy_nanos(now);
            let utilisation = busy.saturating_sub(track.window_busy) as f64 / nanos;
            track.window_busy = busy;
            if server.presence != Presence::Killed {
                most = most.max(utilisation);
            }
        }
        self.max_utilisation.add(most.min(1.0));
    }

    /// Lengths are looked at.
    pub(super) fn sample(&mut self, now: u64, servers: &mut [Server]) {
        let most = servers.iter_mut().map(|server| server.length(now)).max().unwrap_or_default();
        self.max_system_length.add(f64::from(most));
    }

    /// A point of the series.
    pub(super) fn interval(&mut self, now: u64, interval: Duration, servers: &[Server]) {
        let hits: u64 =
            self.servers.iter().zip(servers).map(|(it, now)| now.hits - it.interval_hits).sum();
        let nanos = interval.as_nanos() as f64;
        for (track, server) in self.servers.iter_mut().zip(servers) {
            let own = (server.hits - track.interval_hits) as f64;
            let busy = server.busy_nanos(now);
            let utilisation = busy.saturating_sub(track.interval_busy) as f64 / nanos;
            track.share.push(if hits == 0 { 0.0 } else { (own / hits as f64) as f32 });
            track.utilisation.push(utilisation.min(1.0) as f32);
            track.interval_hits = server.hits;
            track.interval_busy = busy;
        }
        let (now, last) = (&self.totals, &self.last);
        let queries = (now.upstream_queries - last.upstream_queries) as f64;
        self.queries_per_second.push((queries / interval.as_secs_f64()) as f32);
        let placed = (now.placed_pages - last.placed_pages) as f64;
        // 0 / 0 is the gap that it should be.
        self.near_share.push(((now.near_pages - last.near_pages) as f64 / placed) as f32);
        let failed = (now.failed_pages - last.failed_pages) as f64;
        let share = failed / (now.pages - last.pages) as f64;
        // Pages that were under way when their server died were counted before.
        self.failed_share.push(if share > 1.0 { 1.0 } else { share as f32 });
        self.last = self.totals;
    }

    /// A name server's answer to a population's resolver has this server first.
    pub(super) fn named(&mut self, population: usize, server: usize) {
        let place = population * self.servers.len() + server;
        self.flows[place].answers += u64::from(self.is_on);
    }

    /// A server accepted a population's page.
    #[inline]
    pub(super) fn accepted(&mut self, population: usize, server: usize) {
        let place = population * self.servers.len() + server;
        self.flows[place].pages += u64::from(self.is_on);
    }

    /// A resolver's question, from 1, was answered.
    pub(super) fn answered(&mut self, window: u32, is_nearest: bool, is_first: bool) {
        let place = window as usize - 1;
        if place < Convergence::WINDOWS_MAX {
            if self.windows.len() <= place {
                self.windows.resize(place + 1, (0, 0));
            }
            self.windows[place].0 += 1;
            self.windows[place].1 += u64::from(is_nearest);
        }
        if is_first {
            self.windows_to_nearest.add(f64::from(window));
        }
    }

    pub(super) fn finish(self, setup: &Setup, seed: u64, events: u64, never: u64) -> RunResult {
        let topology = &setup.configuration.topology;
        let flows = self.flows.chunks(self.servers.len().max(1));
        let populations =
            setup.populations.iter().zip(flows).map(|(population, flows)| PopulationCounts {
                name: population.name.clone(),
                answers: flows.iter().map(|flow| flow.answers).collect(),
                pages: flows.iter().map(|flow| flow.pages).collect(),
            });
        let populations = populations.collect();
        let series =
            topology.servers.iter().zip(self.servers).map(|(server, track)| ServerSeries {
                name: server.name.to_string(),
                cluster: topology.clusters[server.cluster.index()].name.to_string(),
                share: track.share,
                utilisation: track.utilisation,
            });
        let share = |(all, near): &(u64, u64)| (*near as f64 / (*all).max(1) as f64) as f32;
        RunResult {
            variant: setup.name.clone(),
            seed,
            simulated: setup.duration,
            discarded: setup.discard,
            events,
            counts: self.totals.since(&self.discarded),
            totals: self.totals,
            warnings: self.warnings,
            max_utilisation: self.max_utilisation,
            max_system_length: self.max_system_length,
            response_seconds: self.response_seconds,
            interval: setup.interval,
            servers: series.collect(),
            populations,
            queries_per_second: self.queries_per_second,
            near_share: self.near_share,
            failed_share: self.failed_share,
            convergence: Convergence {
                near_by_window: self.windows.iter().map(share).collect(),
                windows_to_nearest: self.windows_to_nearest,
                never,
            },
        }
    }
}

impl RunCounts {
    /// What came after an earlier count.
    fn since(&self, earlier: &Self) -> Self {
        Self {
            sessions: self.sessions - earlier.sessions,
            pages: self.pages - earlier.pages,
            hits: self.hits - earlier.hits,
            failed_pages: self.failed_pages - earlier.failed_pages,
            failed_attempts: self.failed_attempts - earlier.failed_attempts,
            lookups: self.lookups - earlier.lookups,
            upstream_queries: self.upstream_queries - earlier.upstream_queries,
            upstream_timeouts: self.upstream_timeouts - earlier.upstream_timeouts,
            failed_lookups: self.failed_lookups - earlier.failed_lookups,
            near_pages: self.near_pages - earlier.near_pages,
            placed_pages: self.placed_pages - earlier.placed_pages,
            plans: self.plans - earlier.plans,
            moves: self.moves - earlier.moves,
            plans_with_moves: self.plans_with_moves - earlier.plans_with_moves,
            refused: self.refused - earlier.refused,
        }
    }
}
