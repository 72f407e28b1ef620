//! What Controllers of a group tell each other of themselves with each heartbeat.

use serde::{Deserialize, Serialize};

use crate::plan::PlanNumber;
use crate::world::{Digest, Name};

/// The most Controllers that one may say it hears.
pub const HEARD_MAX: usize = 64;

/// A Controller is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Its place in the order of joining, lower first.
    pub joined: u64,
    /// Whether it knows how servers fare: it has heard Reporters, or seen probes succeed, for a detection time.
    pub hears: bool,
    /// The highest number that it knows of, whoever made or holds that Plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanNumber>,
    /// The highest number that it knows of in the marks of name servers that are kept up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marks: Option<PlanNumber>,
    /// It is heard by none of those that it hears, and so is no candidate in its own eyes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mute: bool,
    /// It ends now, and says nothing more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
    /// The Controllers that it heard itself within the detection time; at most [`HEARD_MAX`].
    #[serde(default)]
    pub heard: Vec<Heard>,
    /// Of all its overrides: who has the same has the same digest.
    #[serde(default)]
    pub overrides: Digest,
    /// The program's version, for people.
    #[serde(default)]
    pub program: String,
}

/// A Controller as another one hears it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Who.
    pub name: Name,
    /// Its session: who is named by its own session knows that this was said since it started. Programs of
    /// before do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u64>,
    /// Its place in the order of joining.
    pub joined: u64,
    /// Whether it says that it knows how servers fare.
    pub hears: bool,
    /// Whether it says that it is heard by nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mute: bool,
}
