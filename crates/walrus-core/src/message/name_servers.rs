//! What a node tells of the name servers that are already there and that it keeps up to date.

use serde::{Deserialize, Serialize};

use crate::plan::PlanNumber;
use crate::world::Name;

/// So many name servers are told of by one node; of more, the first.
pub const NAME_SERVERS_MAX: usize = 256;

/// So many services of one name server are told by name; of more, none, which stands for all.
pub const NAME_SERVER_SERVICES_MAX: usize = 64;

/// All that a node keeps up to date; said when one of them gets a Plan, and again from time to time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptNameServers {
    /// The node answers no queries itself: the Plan of its hello is one that it only passes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answers_nothing: bool,
    /// At most [`NAME_SERVERS_MAX`].
    pub name_servers: Vec<KeptNameServer>,
}

/// One name server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptNameServer {
    /// What the node calls it.
    pub name: Name,
    /// The area whose clients ask it.
    pub area: Name,
    /// Where it takes updates.
    pub address: String,
    /// The zone that is kept there. With `address` it says which one it is, whoever tells of it.
    pub zone: String,
    /// The services that are published there; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// How long its answers may be cached, in seconds, if it publishes them with a TTL of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u32>,
    /// The newest Plan that it has acknowledged; absent if none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanNumber>,
    /// What is wrong with it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
