//! What a Controller wants done.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::JournalRecord;
use crate::message::Message;
use crate::plan::Plan;
use crate::world::{Overrides, ProbeKind};

/// One thing to do. Effects are carried out in the order in which they are polled.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write the epoch down before anything that comes after; the highest ever used.
    StoreEpoch(u64),
    /// Write the overrides down. (A group hears of them by [`Effect::Say`].)
    StoreOverrides(Overrides),
    /// Write the join number down before anything that comes after; the highest ever used. In a group.
    StoreJoined(u64),
    /// Give this Plan to the Directors and keep it. In a group: it is this Controller's own, as the
    /// master's; it goes to the local Director and, as a difference or whole, to the group.
    Publish(Arc<Plan>),
    /// In a group: another Controller's Plan is in force. Give it to the local Director and keep it.
    Adopt(Arc<Plan>),
    /// In a group: somebody lacks this Plan. Say it to the group as a whole.
    SendPlan(Arc<Plan>),
    /// Say this to the whole group.
    Say(Message),
    /// Probe a target now and answer with [`super::Input::Probed`].
    Probe(ProbeRequest),
    /// Resolve a name now and answer with [`super::Input::Resolved`].
    Resolve(super::ResolveRequest),
    /// Tell a person.
    Notify(Notice),
    /// Append to the journal, with the time of day: the World of this round.
    Journal(Box<JournalRecord>),
    /// A line for the log: something refused, something odd.
    Warn(String),
}

/// A probe to carry out.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeRequest {
    /// To be given back with the outcome.
    pub target: u32,
    /// Which address.
    pub address: IpAddr,
    /// What to do.
    pub kind: ProbeKind,
    /// Give up after this.
    pub timeout: Duration,
}

/// Something that a person should know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about.
    pub kind: NoticeKind,
    /// The server's or service's name.
    pub subject: String,
    /// In a sentence.
    pub text: String,
    /// The problem is over.
    pub recovered: bool,
    /// How often this has been told before.
    pub repeated: u32,
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A Reporter's PANIC.
    Panic,
    /// A server dead for longer than the configured time.
    Dead,
    /// No server of a service functions.
    NobodyFunctions,
}

impl NoticeKind {
    /// In a word, as it is serialised.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Dead => "dead",
            Self::NobodyFunctions => "nobody_functions",
        }
    }
}
