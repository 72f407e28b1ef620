//! What a Controller can tell about itself at any time, for `walrus status` and the metrics.

use serde::Serialize;

use crate::plan::PlanNumber;
use crate::world::{Condition, Digest, Name, Override, Target};

/// All that a Controller knows, at one time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The Controller.
    pub name: Name,
    /// The Plan in force.
    pub plan: PlanNumber,
    /// Digest of the shared configuration in force.
    pub configuration: Digest,
    /// Time until the next round, in milliseconds.
    pub next_round_ms: u64,
    /// All servers, in the order of names.
    pub servers: Vec<ServerStatus>,
    /// All clusters, in the order of names.
    pub clusters: Vec<ClusterStatus>,
    /// All services, in the order of names.
    pub services: Vec<ServiceStatus>,
    /// Directors heard of late.
    pub directors: Vec<DirectorStatus>,
    /// What operators said.
    pub overrides: Vec<(Target, Override)>,
    /// Problems that are open now.
    pub problems: Vec<super::Notice>,
    /// What happened since the start.
    pub counters: Counters,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerStatus {
    /// Its name.
    pub name: Name,
    /// Where it stands.
    pub cluster: Name,
    /// What the next decision takes it for.
    pub condition: Condition,
    /// How long it has been in this state of life, in milliseconds.
    pub life_ms: u64,
    /// What each source says; empty if it has none and so counts as up.
    pub sources: Vec<SourceStatus>,
}

/// What one source says about a server, as one observer has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceStatus {
    /// "reporter", or the probe ("http://192.0.2.10/healthz", "tcp 192.0.2.10 port 80").
    pub source: String,
    /// The node that heard it.
    pub observer: Name,
    /// What it says ("statistics", "BYPASS: swapping", "up", "down: connection refused").
    pub says: String,
    /// Age by this Controller's clock, in milliseconds; `None` before the first word.
    pub age_ms: Option<u64>,
    /// By how much the sender's clock is ahead (negative: behind), in milliseconds, the way that
    /// the message took included. Decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skew_ms: Option<i64>,
    /// The reporting unit, or the probe's interval, in milliseconds.
    pub unit_ms: Option<u64>,
    /// A Reporter's session and sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<(u64, u64)>,
    /// The data version that the site set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// One cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterStatus {
    /// Its name.
    pub name: Name,
    /// Its servers that function.
    pub functioning: usize,
    /// All its servers.
    pub servers: usize,
    /// Mean load over those of its functioning servers whose load is known.
    pub load: Option<f64>,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceStatus {
    /// Its domain name.
    pub name: String,
    /// All areas, in the order of names.
    pub areas: Vec<AreaStatus>,
}

/// Where an area's clients of one service go.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AreaStatus {
    /// Its name.
    pub name: Name,
    /// Clusters with their shares; the first is where the area points.
    pub clusters: Vec<(Name, f64)>,
    /// Worse off than it should be.
    pub degraded: bool,
    /// Which phase or rule decided.
    pub reason: String,
    /// Queries a second, all Directors together.
    pub hits_per_second: f64,
}

/// One Director.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DirectorStatus {
    /// Its name.
    pub name: Name,
    /// The Plan that it said it holds.
    pub plan: Option<PlanNumber>,
    /// Since it was last heard, in milliseconds.
    pub age_ms: u64,
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Reports taken in.
    pub reports: u64,
    /// Reports refused, for whatever reason.
    pub reports_refused: u64,
    /// ... of them for an old session or sequence.
    pub reports_stale: u64,
    /// Probes asked for.
    pub probes: u64,
    /// Probes that failed, lost ones included.
    pub probes_failed: u64,
    /// Probes whose outcome never came.
    pub probes_lost: u64,
    /// Observations taken in.
    pub observations: u64,
    /// Observations refused.
    pub observations_refused: u64,
    /// Rounds.
    pub rounds: u64,
    /// Decisions between rounds.
    pub events: u64,
    /// Plans published.
    pub plans: u64,
    /// Notices to people.
    pub notices: u64,
}
