//! The schema of a run's result, which the simulator serialises itself.

use utoipa::ToSchema;

/// A time.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct DurationView {
    /// Whole seconds.
    secs: u64,
    /// And nanoseconds.
    nanos: u32,
}

/// One run of one variant with one seed. All but `totals`, `events`, `warnings` and `convergence` (that of
/// populations, too) is of the time after `discarded`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct RunResultView {
    /// The variant's name.
    variant: String,
    /// What every random choice followed from.
    seed: u64,
    /// How much time was simulated.
    simulated: DurationView,
    /// How much of it was discarded.
    discarded: DurationView,
    /// Events over the whole run.
    events: u64,
    /// Counted after what is discarded.
    counts: RunCountsView,
    /// Counted over the whole run.
    totals: RunCountsView,
    /// What the time line says and could not take place: the first few.
    warnings: Vec<String>,
    /// Of each window: the greatest utilisation of any living server.
    max_utilisation: DistributionView,
    /// Of each sample: the most hits at any server.
    max_system_length: DistributionView,
    /// Of each served page: seconds from the click to its last hit.
    response_seconds: DistributionView,
    /// Between two points of the series.
    interval: DurationView,
    /// One entry a server, in the order of names.
    servers: Vec<ServerSeriesView>,
    /// One entry a population, in the order of the study.
    populations: Vec<PopulationResultView>,
    /// Queries at all name servers together.
    queries_per_second: Vec<f32>,
    /// The share of pages from the client's nearest cluster; null where no page has one.
    near_share: Vec<Option<f32>>,
    /// The share of pages that failed; null where none was asked for.
    failed_share: Vec<Option<f32>>,
    /// How resolvers found the nearest name server.
    convergence: ConvergenceView,
}

/// What was counted.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct RunCountsView {
    /// Sessions that began.
    sessions: u64,
    /// Pages that were served or failed.
    pages: u64,
    /// Hits that a server accepted.
    hits: u64,
    /// Pages that got no answer.
    failed_pages: u64,
    /// Attempts at a server that was dead, cut off or full.
    failed_attempts: u64,
    /// Questions of clients to their resolvers.
    lookups: u64,
    /// Questions of resolvers to name servers that were answered.
    upstream_queries: u64,
    /// ... that got no reply in time.
    upstream_timeouts: u64,
    /// Lookups that ended without an address.
    failed_lookups: u64,
    /// Pages served by the nearest cluster.
    near_pages: u64,
    /// Pages for which there is one.
    placed_pages: u64,
    /// Plans that were published.
    plans: u64,
    /// Moves of areas between clusters.
    moves: u64,
    /// Plans by which an area moved.
    plans_with_moves: u64,
    /// Reports, observations and drains that a Controller refused.
    refused: u64,
}

/// How often which value came.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct DistributionView {
    /// Values.
    count: u64,
    /// Their sum.
    sum: f64,
    /// The greatest.
    max: f64,
    /// Values that count as 0.
    zeros: u64,
    /// Pairs of a bin's number and its count; bin 0 begins at 2^-30, and 256 make an octave.
    bins: Vec<(u32, u64)>,
}

/// What one population asked for and got, as of the run as a whole.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct PopulationResultView {
    /// Its name.
    name: String,
    /// Counted after what is discarded.
    counts: ClientCountsView,
    /// Of each served page: seconds from the click to its last hit.
    response_seconds: DistributionView,
    /// The share of pages from the client's nearest cluster; null where no page has one.
    near_share: Vec<Option<f32>>,
    /// The share of pages that failed; null where none was asked for.
    failed_share: Vec<Option<f32>>,
    /// Answers that its resolvers got, by the server that came first in them, in the order of `servers`.
    answers: Vec<u64>,
    /// Pages that a server accepted, likewise.
    pages: Vec<u64>,
    /// How its resolvers found the nearest name server.
    convergence: ConvergenceView,
}

/// What was counted of clients and their resolvers, as in the run's counts.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct ClientCountsView {
    /// Sessions that began.
    sessions: u64,
    /// Pages that were served or failed.
    pages: u64,
    /// Hits that a server accepted.
    hits: u64,
    /// Pages that got no answer.
    failed_pages: u64,
    /// Attempts at a server that was dead, cut off or full.
    failed_attempts: u64,
    /// Questions of clients to their resolvers.
    lookups: u64,
    /// Questions of resolvers to name servers that were answered.
    upstream_queries: u64,
    /// ... that got no reply in time.
    upstream_timeouts: u64,
    /// Lookups that ended without an address.
    failed_lookups: u64,
    /// Pages served by the nearest cluster.
    near_pages: u64,
    /// Pages for which there is one.
    placed_pages: u64,
}

/// One server over time.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct ServerSeriesView {
    /// Its name.
    name: String,
    /// Its cluster's name.
    cluster: String,
    /// Its share of all accepted hits of each interval.
    share: Vec<f32>,
    /// The part of each interval in which it was busy.
    utilisation: Vec<f32>,
}

/// How resolvers found the nearest name server, over the whole run.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct ConvergenceView {
    /// The share of resolvers whose k-th question the nearest name server answered.
    near_by_window: Vec<f32>,
    /// At which question resolvers first came to the nearest.
    windows_to_nearest: DistributionView,
    /// Resolvers that never did.
    never: u64,
}
