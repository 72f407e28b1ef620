//! The second stage: which clusters serve an area, in which shares?
//!
//! Decided in each round for every (service, area), over loads that belong to servers: all pairs
//! share one `RoundContext`, so that what one service gives to a cluster, another sees.
//! Within a phase the order is that of names (ids) unless the phase says otherwise.

mod all;
mod brought;
mod failover;
mod following;
mod leaving_out;
mod memory;
mod nearest;
mod preference;
mod reason;
mod round;
mod stable;
mod standing;
mod trial;
mod walrus;

pub use following::Following;
pub use memory::{AssignMemory, OverThreshold, Pointing, Transition};
pub(crate) use preference::Preference;
pub use reason::{Allocated, Reason};
pub(crate) use standing::Standing;
pub use trial::{Overload, Trial};
pub(crate) use walrus::notify_problems::Rank;

use round::RoundContext;

use crate::world::{AssignPolicy, ClusterId, Condition, Time, Topology};

/// Why a round of decisions is made.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It is time: all four phases run.
    Round,
    /// Something died, was drained, or came back: only what must move moves, at once.
    Event,
}

/// All that assignments depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AssignInput<'a> {
    pub(crate) topology: &'a Topology,
    /// By server; a missing one counts as unseen.
    pub(crate) conditions: &'a [Condition],
    /// Queries a second, at `service * areas + area`; a missing one counts as 0.
    pub(crate) area_hits: &'a [f64],
    pub(crate) memory: &'a AssignMemory,
    pub(crate) now: Time,
    pub(crate) cause: Cause,
}

/// The outcome of a round.
#[derive(Debug)]
pub(crate) struct Assignments {
    /// At `service * areas + area`.
    pub(crate) places: Vec<(Place, Reason)>,
    pub(crate) memory: AssignMemory,
    /// How clusters stand, one entry a class (threshold and hysteresis).
    pub(crate) standings: Vec<Standing>,
    /// Each service's place in `standings`.
    pub(crate) class_of: Vec<usize>,
    /// By server: its rank in the order of last resort; `None` is out.
    pub(crate) server_ranks: Vec<Option<Rank>>,
    /// By cluster: the best rank among its servers.
    pub(crate) cluster_ranks: Vec<Option<Rank>>,
    /// By service: the best rank among its servers; only servers of this rank are handed out.
    pub(crate) service_ranks: Vec<Option<Rank>>,
}

/// Where a (service, area) points.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    /// Nobody functions and nobody ever did.
    Nowhere,
    /// At one cluster.
    One(ClusterId),
    /// On the way from one cluster to another, which has this share.
    Shares { to: ClusterId, from: ClusterId, share: f64 },
    /// At several clusters with these shares.
    Many(Vec<(ClusterId, f64)>),
    /// At every functioning cluster of the service.
    All,
}

/// Assigns every (service, area).
pub(crate) fn assign(input: &AssignInput<'_>) -> Assignments {
    let mut round = RoundContext::new(input);
    if round.is_round() {
        round.forget_trials();
    }
    let (mut walrus_pairs, mut nearest_pairs) = (Vec::new(), Vec::new());
    let mut stable_pairs = Vec::new();
    for service in 0..input.topology.services.len() {
        let policy = input.topology.services[service].assign;
        for area in 0..round.areas {
            let pair = service * round.areas + area;
            round.follow_transition(pair);
            if round.service_ranks[service].is_none() {
                round.keep_last(pair, policy);
                continue;
            }
            match policy {
                AssignPolicy::Walrus => walrus_pairs.push(pair),
                AssignPolicy::Failover => failover::assign(&mut round, pair),
                AssignPolicy::All => all::assign(&mut round, pair),
                AssignPolicy::Nearest => nearest_pairs.push(pair),
                AssignPolicy::Stable => stable_pairs.push(pair),
            }
        }
    }
    walrus::assign(&mut round, &walrus_pairs);
    nearest::assign(&mut round, &nearest_pairs);
    stable::assign(&mut round, &stable_pairs);
    round.finish()
}
