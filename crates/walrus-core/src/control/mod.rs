//! The Controller without its sockets: failure detection, rounds, notices.

mod effect;
mod input;

pub use effect::{Effect, Notice, NoticeKind, ProbeRequest};
pub use input::{Input, ProbeOutcome};
