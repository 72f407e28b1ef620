//! What a replay came to: who moves, how many, where the load goes.

use serde::{Deserialize, Serialize};

use super::distinct::Count;
use super::interval::Share;

/// The result of a replay. Shares are of the queries that one side or the other answers with a
/// server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplayOutcome {
    /// What the log held.
    pub log: LogCounts,
    /// Queries that are answered with a server, before or after; lines count by their weight.
    pub queries: f64,
    /// Domains (resolvers, client networks) that asked them.
    pub domains: Count,
    /// Queries that go to another cluster.
    pub moved: Share,
    /// Domains of which some queries do.
    pub moved_domains: Count,
    /// Queries that go to another server, of the same cluster or not.
    pub moved_servers: Share,
    /// Queries that are no longer answered with a server.
    pub lost: Share,
    /// Queries that come to be.
    pub gained: Share,
    /// Who moves, most queries first.
    pub flows: Vec<Flow>,
    /// Where each area's queries go, by service and area.
    pub areas: Vec<AreaShift>,
    /// What each server comes to bear, by name.
    pub servers: Vec<ServerShift>,
    /// Queries whose reply's code changes.
    pub codes: Vec<CodeChange>,
    /// Services whose choice depends on who asks or on what was answered before: their shares were
    /// counted, one draw a line in the log's order, not expected.
    pub drawn: Vec<String>,
}

/// What a log held.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogCounts {
    /// Lines or frames that are queries.
    pub read: u64,
    /// ... that are none.
    pub broken: u64,
    /// The first of these, with their numbers and why.
    pub first_broken: Vec<(u64, String)>,
    /// dnstap frames that do not count: of other types, or the other half of an exchange.
    pub passed_over: u64,
    /// The sum of the weights: queries that the log stands for.
    pub queries: f64,
    /// Of these, queries for names that are no service.
    pub others: f64,
    /// Of these, queries of more services and areas than are told apart: they count in all sums, and
    /// are told together as `(other)`.
    pub beyond: f64,
    /// Rounds of the journal under other configurations than the two: nothing was decided in them.
    pub other_rounds: u64,
    /// Lines answered from a Plan that the journal lacks: the World before it stood in.
    pub without_world: u64,
    /// Lines that came after others of a later Plan, or are older than the journal: the later World
    /// stood in.
    pub late: u64,
}

/// Queries of one area that go elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// The service.
    pub service: String,
    /// The clients' area before; `None` where the name was no service.
    pub area_before: Option<String>,
    /// ... and after.
    pub area_after: Option<String>,
    /// The cluster before; `None` if no server was given.
    pub from: Option<String>,
    /// ... and after.
    pub to: Option<String>,
    /// How many.
    pub queries: f64,
    /// Of all queries.
    pub share: Share,
    /// Domains of which some queries go this way.
    pub domains: Count,
}

/// Where the queries of one service and area go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AreaShift {
    /// The service.
    pub service: String,
    /// The area.
    pub area: String,
    /// Queries from it before, answered with a server.
    pub queries_before: f64,
    /// ... and after; another number if areas are drawn otherwise.
    pub queries_after: f64,
    /// Clusters and their shares of these before, the greatest first.
    pub before: Vec<ClusterShare>,
    /// ... and after.
    pub after: Vec<ClusterShare>,
}

/// What a cluster gets of an area's queries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterShare {
    /// The cluster.
    pub cluster: String,
    /// Its share.
    pub share: Share,
}

/// What one server comes to bear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerShift {
    /// The server.
    pub server: String,
    /// Its cluster; that of the proposed configuration if both have it.
    pub cluster: String,
    /// Queries in which it came first, or is expected to.
    pub queries_before: f64,
    /// ... and after.
    pub queries_after: f64,
    /// The same as shares.
    pub before: Share,
    /// ... and after.
    pub after: Share,
    /// Its load in the (last) World, 0 to 1; `None` if unknown.
    pub load: Option<f64>,
    /// That load if it followed the queries; `None` if unknown, or without queries before.
    pub load_after: Option<f64>,
}

/// Queries whose reply's code changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodeChange {
    /// The code before.
    pub before: u16,
    /// ... and after.
    pub after: u16,
    /// How many.
    pub queries: f64,
}
