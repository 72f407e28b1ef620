//! What a vantage point tells the Controllers of the servers that it probes.

use serde::{Deserialize, Serialize};

use crate::world::Name;

/// Servers in one message, up and down together: some 2 kB when all are up.
pub const SIGHTS_MAX: usize = 100;

/// Characters of a reason: what a person reads.
pub const SIGHT_REASON_MAX: usize = 200;

/// How a node sees some of the servers: each word stands for itself and replaces what the node said of that
/// server before. A message without any says that the node goes on seeing what it said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sights {
    /// Servers that it sees up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub up: Vec<Name>,
    /// What it probes of each of these, in short, in the same order: who probes something else of a server (at another
    /// address, say) does not speak of the same. Where it is missing nobody looks: older programs do not say it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub up_targets: Vec<u16>,
    /// Servers that it sees down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub down: Vec<SeenDown>,
    /// Servers that it can no longer tell of: it has not managed to look for too long, or has another address
    /// to look at. The lists of servers have at most [`SIGHTS_MAX`] together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<Name>,
}

/// A server that fails its probes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenDown {
    /// Which.
    pub server: Name,
    /// Why, for people; at most [`SIGHT_REASON_MAX`] characters are read.
    pub reason: String,
    /// Since it was seen up last, or is known here, in milliseconds.
    pub unseen_ms: u64,
    /// What it probes there, as in [`Sights::up_targets`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<u16>,
}

impl Sights {
    /// The servers that it tells of.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.up.len() + self.down.len() + self.unseen.len()
    }

    /// Whether it tells of none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
