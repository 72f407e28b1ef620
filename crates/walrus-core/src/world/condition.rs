//! How a server fares in one round: what failure detection makes of all that is known.

use serde::{Deserialize, Serialize};

/// Whether a server may be handed to clients, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// Functions, and nobody objects. A server without any source lives.
    Living,
    /// Nobody on this side can see it, and most of the system is unseen: not the same as dead.
    Unknown,
    /// An operator drained it; it functions.
    Drained,
    /// Its Reporter asked to be left out for now.
    Bypass,
    /// Its Reporter asked to be left out and for a person.
    Panic,
    /// Silent for too long, or failed its probes.
    Dead,
}

impl Life {
    /// Neither BYPASS, PANIC, dead nor unseen; a drained server still functions.
    #[must_use]
    pub const fn functions(self) -> bool {
        matches!(self, Self::Living | Self::Drained)
    }

    /// In a word, as it is serialised.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Living => "living",
            Self::Unknown => "unknown",
            Self::Drained => "drained",
            Self::Bypass => "bypass",
            Self::Panic => "panic",
            Self::Dead => "dead",
        }
    }
}

/// One server's condition in a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Whether it may be handed to clients.
    pub life: Life,
    /// Load, 0 idle to 1 full; `None` is unknown: below every threshold, with nothing to spare.
    pub load: Option<f64>,
    /// Requests being served or waiting, if its Reporter counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<u64>,
    /// Gradual return: 1 fully back, towards 0 just back. Only for a living server.
    pub ramp: f64,
    /// Requests a second that its Reporter counted; 0 if unknown.
    pub hits_per_second: f64,
    /// For people: what decided `life` ("probe http://192.0.2.10/healthz: refused").
    pub reason: String,
}

impl Condition {
    /// A server that nothing is known against.
    #[must_use]
    pub const fn living(load: Option<f64>) -> Self {
        Self {
            life: Life::Living,
            load,
            backlog: None,
            ramp: 1.0,
            hits_per_second: 0.0,
            reason: String::new(),
        }
    }

    /// A server out of service for a reason.
    #[must_use]
    pub fn out(life: Life, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { life, load: None, backlog: None, ramp: 1.0, hits_per_second: 0.0, reason }
    }
}
