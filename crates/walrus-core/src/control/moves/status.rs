//! What is told of moves.

use serde::Serialize;

use super::answering::AnswererKind;
use crate::world::Name;

/// Which estimate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Name servers' switches and the TTL.
    Ttl,
    /// Who has asked since, seen by Directors.
    Askers,
    /// What still comes, counted by Reporters.
    Requests,
}

impl Source {
    /// In a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ttl => "ttl",
            Self::Askers => "askers",
            Self::Requests => "requests",
        }
    }
}

/// How one move goes on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MoveStatus {
    /// The service.
    pub service: String,
    /// The areas whose answers changed, at most eight of them by name.
    pub areas: Vec<Name>,
    /// How many areas.
    pub area_count: u64,
    /// The servers that are not handed out to them any more.
    pub left: Vec<Name>,
    /// Those that are instead, and were not before.
    pub added: Vec<Name>,
    /// Why, for people.
    pub reason: String,
    /// The Plan that did it.
    pub plan: String,
    /// How long ago it was decided (T), in milliseconds.
    pub age_ms: u64,
    /// How long the old answers may be cached, in milliseconds.
    pub ttl_ms: u64,
    /// How much still follows the old answers, 0 to 1, by the best estimate.
    pub still: f64,
    /// Which that is; of a move that is over, which told of it.
    pub by: Source,
    /// By the TTL, from when each name server had the Plan.
    pub still_by_ttl: f64,
    /// By the resolvers that have not asked since; `None` if none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub still_by_askers: Option<f64>,
    /// By requests that still come; `None` if they cannot be told apart or are not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub still_by_requests: Option<f64>,
    /// Requests a second that still come to the servers that were left; as above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_a_second: Option<f64>,
    /// How many name servers are known to answer the areas that moved.
    pub answerers: u64,
    /// Those of them that still give old answers, or may, at most 32.
    pub behind: Vec<BehindStatus>,
    /// How many of them there are.
    pub behind_count: u64,
    /// Their part of the traffic that was to move, 0 to 1.
    pub behind_share: f64,
    /// Directors that were not heard of since before they had the new answers, at most 32: what they answer is not known, and
    /// the estimates leave them out.
    pub unheard: Vec<BehindStatus>,
    /// How many of them there are.
    pub unheard_count: u64,
    /// How long after the move 95 % had moved, in milliseconds; `None` if they have not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_95_ms: Option<u64>,
    /// When they have or are expected to have, in milliseconds after the move; `None` if nobody can tell, for name
    /// servers still give old answers, or requests come that should not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_95_ms: Option<u64>,
    /// When the last old answer should be forgotten, in milliseconds after the move; `None` while old ones are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

/// A name server that still gives old answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BehindStatus {
    /// Which.
    pub name: String,
    /// What it is.
    pub kind: AnswererKind,
    /// Its part of the traffic that was to move, 0 to 1; 0 if it is left out.
    pub share: f64,
    /// The Plan that it answers by, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Since it was last heard of, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard_ms: Option<u64>,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
