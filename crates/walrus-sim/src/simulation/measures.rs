//! What is measured while it runs.

use std::time::Duration;

use super::Distribution;
use super::gathered::{Gathered, Windows};
use super::result::{ClientCounts, RoleCounts, RunCounts, RunResult, ServerSeries};
use super::server::{Presence, Server};
use super::study::Setup;

/// Everything counted so far.
#[derive(Debug)]
pub(super) struct Measures {
    /// By population.
    pub(super) populations: Vec<Gathered>,
    pub(super) roles: RoleCounts,
    /// At the end of what is discarded.
    roles_discarded: RoleCounts,
    /// Whether that time has passed.
    pub(super) is_on: bool,
    pub(super) max_utilisation: Distribution,
    pub(super) max_system_length: Distribution,
    servers: Vec<Track>,
    queries_per_second: Vec<f32>,
    near_share: Vec<f32>,
    failed_share: Vec<f32>,
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

impl Measures {
    /// Something did not happen as the study says; the first few are told.
    pub(super) fn warn(&mut self, now: u64, text: &str) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(format!("at {:?}: {text}", Duration::from_nanos(now)));
        }
    }

    pub(super) fn new(servers: usize, populations: usize) -> Self {
        Self {
            populations: (0..populations).map(|_| Gathered::new(servers)).collect(),
            roles: RoleCounts::default(),
            roles_discarded: RoleCounts::default(),
            is_on: false,
            max_utilisation: Distribution::new(),
            max_system_length: Distribution::new(),
            servers: (0..servers).map(|_| Track::default()).collect(),
            queries_per_second: Vec::new(),
            near_share: Vec::new(),
            failed_share: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// What a population's clients and resolvers are counted in.
    #[inline]
    pub(super) fn of(&mut self, population: usize) -> &mut ClientCounts {
        &mut self.populations[population].counts
    }

    /// What came before is discarded.
    pub(super) fn begin(&mut self, now: u64, servers: &[Server]) {
        self.is_on = true;
        self.roles_discarded = self.roles;
        self.populations.iter_mut().for_each(Gathered::begin);
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
        let each = self.populations.iter_mut().map(Gathered::interval);
        let since = each.fold(ClientCounts::default(), |sum, it| sum.and(&it));
        let queries = since.upstream_queries as f64;
        self.queries_per_second.push((queries / interval.as_secs_f64()) as f32);
        self.near_share.push(since.near_share());
        self.failed_share.push(since.failed_share());
    }

    /// A name server's answer to a population's resolver has this server first.
    pub(super) fn named(&mut self, population: usize, server: usize) {
        self.populations[population].answers[server] += u64::from(self.is_on);
    }

    /// A server accepted a population's page.
    #[inline]
    pub(super) fn accepted(&mut self, population: usize, server: usize) {
        self.populations[population].pages[server] += u64::from(self.is_on);
    }

    /// `never` has, by population, the resolvers that asked and never came to the nearest name server.
    pub(super) fn finish(self, setup: &Setup, seed: u64, events: u64, never: &[u64]) -> RunResult {
        let topology = &setup.configuration.topology;
        let sum = |of: fn(&Gathered) -> ClientCounts| {
            let each = self.populations.iter().map(of);
            each.fold(ClientCounts::default(), |sum, it| sum.and(&it))
        };
        let counts =
            RunCounts::of(&sum(Gathered::measured), &self.roles.since(&self.roles_discarded));
        let totals = RunCounts::of(&sum(|it| it.counts), &self.roles);
        let mut response_seconds = Distribution::new();
        let mut windows = Windows::default();
        for population in &self.populations {
            response_seconds.merge(&population.response_seconds);
            windows.merge(population.windows());
        }
        let populations = setup.populations.iter().zip(self.populations).zip(never);
        let populations =
            populations.map(|((setup, it), never)| it.finish(setup.name.clone(), *never));
        let series =
            topology.servers.iter().zip(self.servers).map(|(server, track)| ServerSeries {
                name: server.name.to_string(),
                cluster: topology.clusters[server.cluster.index()].name.to_string(),
                share: track.share,
                utilisation: track.utilisation,
            });
        RunResult {
            variant: setup.name.clone(),
            seed,
            simulated: setup.duration,
            discarded: setup.discard,
            events,
            counts,
            totals,
            warnings: self.warnings,
            max_utilisation: self.max_utilisation,
            max_system_length: self.max_system_length,
            response_seconds,
            interval: setup.interval,
            servers: series.collect(),
            populations: populations.collect(),
            queries_per_second: self.queries_per_second,
            near_share: self.near_share,
            failed_share: self.failed_share,
            convergence: windows.finish(never.iter().sum()),
        }
    }
}

impl RunCounts {
    fn of(clients: &ClientCounts, roles: &RoleCounts) -> Self {
        Self {
            clients: *clients,
            plans: roles.plans,
            moves: roles.moves,
            plans_with_moves: roles.plans_with_moves,
            refused: roles.refused,
        }
    }
}

impl RoleCounts {
    /// What came after an earlier count.
    const fn since(&self, earlier: &Self) -> Self {
        Self {
            plans: self.plans - earlier.plans,
            moves: self.moves - earlier.moves,
            plans_with_moves: self.plans_with_moves - earlier.plans_with_moves,
            refused: self.refused - earlier.refused,
        }
    }
}
