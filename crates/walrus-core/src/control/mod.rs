//! The Controller without its sockets: failure detection, rounds, notices.
//!
//! [`Controller`] is a state machine. The rule of its use: after every [`Controller::handle`] or
//! [`Controller::reconfigure`], and at every [`Controller::next_deadline`], call
//! [`Controller::poll`] until it gives `None`, and carry the effects out in that order. Inputs
//! that came before a poll are decided on together.

mod aliases;
mod contest;
mod controller;
mod cut_off;
mod deciding;
mod demand;
mod detect;
mod drain;
mod effect;
mod heard;
mod inbox;
mod input;
mod intake;
mod journal;
mod load;
mod marks;
mod mastership;
mod membership;
mod moves;
mod notices;
mod numbering;
mod probes;
mod problems;
mod publish;
mod refusal;
mod servers;
mod silence;
mod status;
mod told;
mod vantage;
mod wake;

pub use aliases::{ResolveRequest, Resolved};
pub use controller::{Controller, Start, Stored};
pub use effect::{Effect, Notice, NoticeKind, ProbeRequest};
pub use inbox::Inbox;
pub use input::{Input, ProbeOutcome};
pub use journal::{Demands, JournalRecord, ReplayError, replay};
pub use mastership::{Candidacy, elect};
pub use membership::{ConflictStatus, GroupStart, GroupStatus, PeerStatus};
pub use moves::{AnswererKind, BehindStatus, MoveStatus, Source as MoveSource};
pub use refusal::Refusal;
pub use status::{
    AreaStatus, ClusterStatus, Counters, DemandStatus, DirectorStatus, ServerStatus, ServiceStatus,
    SourceStatus, Status,
};
pub use vantage::{DisagreementStatus, Look, Lookout, SeenStatus, VantagePointStatus, WaitStatus};

#[cfg(test)]
mod tests;
