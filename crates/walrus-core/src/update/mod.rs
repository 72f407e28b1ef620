//! Plans into name servers that are already there, by DNS UPDATE (RFC 2136).
//!
//! Each area's name server has the balanced names as CNAMEs into a zone of the area's own (the thesis,
//! chapter 7; papers 3.6), so that one update of addresses reaches one name server. [`desired`] says what a
//! Plan wants there; [`Updater`] is the state machine that brings one name server to it and keeps it there.
//!
//! What is ours carries a [`Mark`]: a TXT record beside the addresses with the owner and the Plan's
//! number. An update names the mark that was read as its prerequisite, so that it is a
//! compare-and-set: whoever was overtaken changes nothing, and reads again.

mod content;
mod desired;
mod failure;
mod held;
mod mark;
mod reply;
mod request;
mod retry;
mod status;
#[cfg(test)]
mod tests;
mod updater;
mod verdict;

pub use content::Content;
pub use desired::{Desired, DesiredName, desired};
pub use failure::Failure;
pub use held::{Held, HeldError};
pub use mark::{Mark, MarkError};
pub use reply::{Reply, ReplyData, ReplyError, ReplyRecord};
pub use request::{MESSAGE_BYTES_MAX, OnlyIf, Request};
pub use status::{NameState, NameStatus, UpdaterCounters, UpdaterStatus, compare_keys};
pub use updater::{Exchange, Updater, UpdaterEffect};
pub use verdict::{Verdict, Why, judge};
