//! What a Controller is told.

use std::sync::Arc;

use walrus_dns::DomainName;

use super::Resolved;
use crate::message::{KeptNameServers, Presence, RefusedPlan, Role, Sights};
use crate::plan::{Plan, PlanNumber};
use crate::world::{Name, Observation, Override, OverrideState, Report, Target};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A Reporter reported. (Name and token were checked by the carrier; server, session and
    /// sequence are checked here.)
    Report(Report),
    /// A Reporter connected and said hello. It counts as here until as many connections have gone
    /// ([`Input::ReporterGone`]) as came, so that the late end of an old connection does not hide a
    /// new one. A carrier that does not tell of hellos may tell of departures alone.
    ReporterHello {
        /// The server it reports about.
        server: Name,
        /// As in its reports.
        session: u64,
    },
    /// A Reporter's connection closed or broke: within a second this counts as silence.
    ReporterGone {
        /// The server it reported about.
        server: Name,
        /// The session that ended.
        session: u64,
    },
    /// A probe came to an end.
    Probed {
        /// [`super::ProbeRequest::target`].
        target: u32,
        /// How.
        outcome: ProbeOutcome,
    },
    /// The resolution of an alias' target came to an end.
    Resolved {
        /// [`super::ResolveRequest::target`].
        target: DomainName,
        /// Its addresses, or why there are none; the reason is for people.
        outcome: Result<Resolved, String>,
    },
    /// A Director says what it saw.
    Observed {
        /// The Director.
        director: Name,
        /// What it saw.
        observation: Observation,
    },
    /// A Director said hello and holds this Plan.
    DirectorHello {
        /// The Director.
        director: Name,
        /// What it holds.
        plan: Option<PlanNumber>,
        /// What came and it does not carry out.
        refused: Option<RefusedPlan>,
        /// The highest in the marks of name servers that its node keeps up to date.
        marks: Option<PlanNumber>,
    },
    /// The highest number in the marks of name servers that this Controller's node keeps up to date.
    MarksSeen(PlanNumber),
    /// A node tells of the name servers that it keeps up to date.
    NameServers {
        /// The node.
        node: Name,
        /// What it says.
        kept: KeptNameServers,
    },
    /// An operator here drains or undrains.
    SetOverride {
        /// What.
        target: Target,
        /// What is wanted.
        state: OverrideState,
        /// Drain even what leaves a service without a usable server.
        force: bool,
        /// When, Unix milliseconds, for people.
        unix_ms: u64,
        /// The operator, if it is known which.
        by: Option<Name>,
    },
    /// Another Controller's override.
    MergeOverride {
        /// What.
        target: Target,
        /// What it says.
        entry: Override,
    },
    /// Another Controller of the group says that it is there. (The carrier has checked that it is news:
    /// [`crate::message::Senders`].)
    Presence {
        /// Which.
        name: Name,
        /// Its session.
        session: u64,
        /// What it says.
        presence: Presence,
    },
    /// A Plan of another Controller came in whole ([`crate::plan::PlanReceiver`]).
    PlanHeard(Arc<Plan>),
    /// Somebody lacks the newest Plan.
    PlanWanted {
        /// Who: its node's name.
        name: Name,
        /// What it holds.
        held: Option<PlanNumber>,
    },
    /// Overrides of another Controller.
    Overrides {
        /// Which.
        from: Name,
        /// One that changed, or a part of all that it has.
        entries: Vec<(Target, Override)>,
    },
    /// A node tells how it sees servers. (The carrier has checked that it is news: [`crate::message::Senders`].)
    Sights {
        /// What it is: a Controller or a Director.
        role: Role,
        /// Which.
        name: Name,
        /// Its session: with another one all that it said before is forgotten.
        session: u64,
        /// What it says.
        sights: Sights,
    },
}

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// As expected.
    Up,
    /// Not as expected; the reason is for people ("connection refused", "status 503").
    Down(String),
    /// Nothing was found out, for a reason of this machine ("too many open files"): counts neither
    /// way. Such a reason strikes all targets alike, and all would seem to die at once.
    Unknown(String),
}
