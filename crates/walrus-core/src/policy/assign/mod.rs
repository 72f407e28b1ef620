//! The second stage: which clusters serve an area, in which shares? Decided in each round for
//! every (service, area), over loads that belong to servers.

mod memory;
mod reason;

pub use memory::{AssignMemory, OverThreshold, Pointing, Transition};
pub use reason::Reason;

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
