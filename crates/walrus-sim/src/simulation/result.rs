//! What a run gives: counts, distributions and series, as they are also written to JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Distribution;

/// One run of one variant with one seed. All but [`Self::totals`], [`Self::events`], [`Self::warnings`] and
/// [`Self::convergence`] (that of populations, too) is of the time after the study's `discard`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The variant's name.
    pub variant: String,
    /// What every random choice followed from.
    pub seed: u64,
    /// How much time was simulated, the discarded beginning included.
    pub simulated: Duration,
    /// How much of it was discarded.
    pub discarded: Duration,
    /// Events that were carried out, over the whole run: each page (with all its hits), each start of a
    /// session, each waiting for a lookup, each report, probe, observation, Plan, deadline of a
    /// Controller and sample is one. Departures of hits are none: they are reckoned.
    pub events: u64,
    /// Counted after `discard`.
    pub counts: RunCounts,
    /// Counted over the whole run.
    pub totals: RunCounts,
    /// What the time line says and could not take place, such as a drain that the master refused: the
    /// first few.
    pub warnings: Vec<String>,
    /// Of each `window`: the greatest utilisation (0 to 1) of any server that was alive.
    pub max_utilisation: Distribution,
    /// Of each `sample`: the greatest number of hits, waiting or being served, at any server.
    pub max_system_length: Distribution,
    /// Of each page that was served: seconds from the click to its last hit, lookups and the way to the
    /// cluster included.
    pub response_seconds: Distribution,
    /// The time between two points of the series below; the first point is of the time from `discard`
    /// to one interval later.
    pub interval: Duration,
    /// One entry a server, in the order of names.
    pub servers: Vec<ServerSeries>,
    /// One entry a population, in the order of the study.
    pub populations: Vec<PopulationResult>,
    /// Queries a second at all name servers together.
    pub queries_per_second: Vec<f32>,
    /// The share of served pages whose server stands in the client's nearest cluster: the one with the
    /// least distance, else the home of the client's area. NaN, written as null, where no page had one.
    #[serde(with = "gaps")]
    pub near_share: Vec<f32>,
    /// The share of the pages that failed. NaN, written as null, where no page was asked for.
    #[serde(with = "gaps")]
    pub failed_share: Vec<f32>,
    /// How resolvers found the nearest name server.
    pub convergence: Convergence,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCounts {
    /// Of all populations; their fields stand beside the others where this is written.
    #[serde(flatten)]
    pub clients: ClientCounts,
    /// Plans that the master published.
    pub plans: u64,
    /// Moves of areas between clusters: how often the first cluster of a (service, area) changed from
    /// one Plan to the next.
    pub moves: u64,
    /// Plans by which a (service, area) moved, at most one a Plan.
    pub plans_with_moves: u64,
    /// Reports, observations and drains that a Controller refused.
    pub refused: u64,
}

/// What clients and their resolvers asked for and got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCounts {
    /// Sessions that began.
    pub sessions: u64,
    /// Pages that were served or failed.
    pub pages: u64,
    /// Hits of the pages that were accepted by a server.
    pub hits: u64,
    /// Pages that got no answer: no address, every address dead, or every queue full.
    pub failed_pages: u64,
    /// Attempts at a server that was dead, cut off or full, after which the next address was tried.
    pub failed_attempts: u64,
    /// Questions of clients to their resolvers.
    pub lookups: u64,
    /// Questions of resolvers to name servers that were answered.
    pub upstream_queries: u64,
    /// Questions of resolvers to name servers that got no reply in time.
    pub upstream_timeouts: u64,
    /// Lookups that ended without an address.
    pub failed_lookups: u64,
    /// Pages of [`Self::pages`] that were served by the nearest cluster.
    pub near_pages: u64,
    /// Pages of [`Self::pages`] for which there is a nearest cluster.
    pub placed_pages: u64,
}

/// What Walrus itself does: the rest of [`RunCounts`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoleCounts {
    pub(super) plans: u64,
    pub(super) moves: u64,
    pub(super) plans_with_moves: u64,
    pub(super) refused: u64,
}

/// What one population asked for and got, after `discard` (convergence: over the whole run).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PopulationResult {
    /// Its name.
    pub name: String,
    /// Of its clients and resolvers.
    pub counts: ClientCounts,
    /// As [`RunResult::response_seconds`].
    pub response_seconds: Distribution,
    /// As [`RunResult::near_share`].
    #[serde(with = "gaps")]
    pub near_share: Vec<f32>,
    /// As [`RunResult::failed_share`].
    #[serde(with = "gaps")]
    pub failed_share: Vec<f32>,
    /// Answers that its resolvers got from name servers, by the server that came first in them: in the
    /// order of [`RunResult::servers`].
    pub answers: Vec<u64>,
    /// Pages that a server accepted, likewise.
    pub pages: Vec<u64>,
    /// How its resolvers found the nearest name server.
    pub convergence: Convergence,
}

/// One server over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerSeries {
    /// Its name.
    pub name: String,
    /// Its cluster's name.
    pub cluster: String,
    /// Its share of all hits that servers accepted in the interval, 0 to 1; 0 where there were none.
    pub share: Vec<f32>,
    /// The part of the interval in which it was busy, 0 to 1.
    pub utilisation: Vec<f32>,
}

/// How resolvers found the nearest name server (the thesis' round-trip-time method). Over the whole run:
/// what is discarded is where it happens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Convergence {
    /// Of the resolvers that asked at least k times upstream: the share whose k-th question (from 1) was
    /// answered by the name server that is nearest to them. Empty with fewer than two name servers or
    /// without distances; at most [`Self::WINDOWS_MAX`] long.
    pub near_by_window: Vec<f32>,
    /// Of each resolver that came to its nearest name server: at which of its questions it did so first.
    pub windows_to_nearest: Distribution,
    /// Resolvers that asked and never came there.
    pub never: u64,
}

impl Convergence {
    /// As many questions of a resolver are told apart.
    pub const WINDOWS_MAX: usize = 256;
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The time simulated so far.
    pub simulated: Duration,
    /// The time to be simulated.
    pub duration: Duration,
    /// Events so far.
    pub events: u64,
}

/// Why a run did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimulationError {
    /// The caller said so.
    #[error("stopped at {0:?} of simulated time")]
    Stopped(Duration),
    /// There is no such variant.
    #[error("the study has no variant number {0}")]
    NoVariant(usize),
    /// The core refused what the study's checks let through: the study or the program has a mistake.
    #[error("the simulated system cannot be built: {0}")]
    System(String),
    /// A bound that keeps memory finite.
    #[error(
        "{what} reached their bound of {bound} at {at:?}: the load grows without end; shorten \
             `duration` or lower the load"
    )]
    Bound {
        /// What grew.
        what: &'static str,
        /// How far it may.
        bound: usize,
        /// When.
        at: Duration,
    },
}

/// NaN as null, which JSON can say.
mod gaps {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f32], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(|value| (!value.is_nan()).then_some(*value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
        let values: Vec<Option<f32>> = Vec::deserialize(from)?;
        Ok(values.into_iter().map(|value| value.unwrap_or(f32::NAN)).collect())
    }
}
