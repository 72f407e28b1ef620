//! What a Director saw since it last said so.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Name;

/// Controllers average what Directors count over this time, at least.
pub(crate) const AVERAGED_OVER: Duration = Duration::from_secs(60);

/// How many queries a Director answered since its last observation, by service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Chosen anew at each start of the Director.
    pub session: u64,
    /// Rises with each observation of a session.
    pub sequence: u64,
    /// The time that the counts cover, in milliseconds.
    pub duration_ms: u64,
    /// One entry a service that was asked for.
    pub services: Vec<ServiceCounts>,
}

/// Counts for one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceCounts {
    /// The service's domain name, lower case, without the last dot.
    pub service: String,
    /// Queries by area.
    pub areas: Vec<(Name, u64)>,
    /// How often each server came first in an answer.
    pub servers: Vec<(Name, u64)>,
    /// The heaviest domains (resolvers or ECS prefixes) with their queries; bounded.
    pub domains: Vec<DomainCount>,
    /// Queries of all other domains together.
    pub rest: u64,
}

/// One domain's queries for a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainCount {
    /// A resolver's address or an ECS prefix, as text.
    pub domain: String,
    /// Queries; with an overcount of at most `error` (space-saving).
    pub queries: u64,
    /// The most that `queries` may be too high by.
    #[serde(default)]
    pub error: u64,
}
