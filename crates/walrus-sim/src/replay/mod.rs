//! Replay: a log of queries through a proposed configuration, by the very code that serves.
//!
//! The log's bytes come in ([`Log`]), configurations come in compiled ([`Proposal`]), and so does the
//! World that they decide in: one [`Snapshot`], or a journal. Each query is answered by
//! [`walrus_core::answer::respond`] on both sides. Where the choice of a server depends on nobody,
//! what counts is not the server that was drawn but how often each would be: the shares are exact.
//! Without a configuration to compare with, what the log says was answered stands for it.
//!
//! ```text
//! log ──▶ Asked ─┬─▶ Side: proposed ──▶ (area, choice) ─┬─▶ Tally ──▶ ReplayOutcome
//!                └─▶ Side: to compare, or recorded ─────┘
//! ```

mod asked;
mod compare;
mod decision_line;
mod distinct;
mod dnstap;
mod frame_stream;
mod interval;
mod log;
mod names;
mod outcome;
mod protobuf;
mod run;
mod settle;
mod side;
mod sides;
mod sums;
mod tally;
#[cfg(test)]
mod tests;
mod world;
mod worlds;

pub use asked::{Asked, Recorded};
pub use distinct::Count;
pub use dnstap::Half;
pub use interval::Share;
pub use log::{Found, Log};
pub use outcome::{
    AreaShift, ClusterShare, CodeChange, Flow, LogCounts, ReplayOutcome, ServerShift,
};
pub use run::{Replay, ReplayError, Sides, World};
pub use side::Proposal;
pub use world::Snapshot;
pub use worlds::Records;
