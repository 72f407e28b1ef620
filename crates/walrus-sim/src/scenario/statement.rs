//! What a scenario is made of.

use std::net::IpAddr;
use std::time::Duration;

use crate::system::{Question, ServerState};

/// A parsed scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The configuration as TOML text.
    pub config: String,
    /// Fixes every random choice.
    pub seed: u64,
    /// What happens, in order.
    pub lines: Vec<Line>,
}

/// One statement and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// As written, without indentation and comment.
    pub text: String,
    /// What it says.
    pub statement: Statement,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// A server (or every server of a cluster) is in another state from now on.
    Set {
        /// A server's or cluster's name.
        target: String,
        /// The state.
        state: ServerState,
    },
    /// An operator drains.
    Drain {
        /// A server's or cluster's name.
        target: String,
        /// Even the last usable server.
        force: bool,
    },
    /// An operator takes a drain back.
    Undrain {
        /// A server's or cluster's name.
        target: String,
    },
    /// Virtual time goes on.
    Pass(Duration),
    /// Time goes on while Controller and name server are stopped, and they go on then.
    Stop(Duration),
    /// The configuration is read again, with a text in it replaced.
    Reload {
        /// What stands in the configuration now.
        old: String,
        /// What stands there after it.
        new: String,
    },
    /// Controller and name server end without notice and start from what is stored.
    Restart,
    /// A client asks, once or several times.
    Query {
        /// What and from where.
        question: Question,
        /// How often.
        times: u32,
    },
    /// Something must hold.
    Expect(Expectation),
    /// Something goes into the golden output.
    Show(View),
}

/// What must hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// The last answer has exactly these addresses, in order.
    Answer(Vec<IpAddr>),
    /// Every address of every answer since the last query is one of these.
    Among(Vec<IpAddr>),
    /// At least one of the answers since the last query names this address.
    Names(IpAddr),
    /// So large a part of the answers since the last query, in percent, has this address first.
    Share {
        /// The address.
        address: IpAddr,
        /// At least this.
        least: u32,
        /// At most this.
        most: u32,
    },
    /// The last answer's records point at exactly these hosts: best priority first, then as they
    /// stand.
    Targets(Vec<String>),
    /// No record of the answers since the last query points at this host.
    NoTarget(String),
    /// So large a part of the answers since the last query, in percent, points at this host first.
    TargetShare {
        /// The host.
        target: String,
        /// At least this.
        least: u32,
        /// At most this.
        most: u32,
    },
    /// The TTL of the last answer's records, in seconds.
    Ttl(u32),
    /// The ECS scope of the last answer.
    Scope(u8),
    /// The response code of the last answer, as text (NOERROR, NXDOMAIN).
    Rcode(String),
    /// The last answer has no records in its answer section.
    NoAnswer,
    /// A server's life.
    Server {
        /// Its name.
        server: String,
        /// Lower case, as in `status`.
        life: String,
    },
    /// Where an area points.
    Area {
        /// Its name.
        area: String,
        /// The service's name.
        service: String,
        /// Clusters in order.
        clusters: Vec<String>,
    },
    /// A person was told since the last such line.
    Notice {
        /// panic, dead, nobody_functions; with `recovered` after it for the end of it.
        kind: String,
        /// The server or service.
        subject: String,
        /// Told that it is over.
        recovered: bool,
    },
    /// Nobody was told of anything since the last such line.
    NoNotice,
    /// The last drain or reload was refused.
    Refused,
}

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The last answer.
    Answer,
    /// Where the areas point and why.
    Areas,
    /// How the servers fare.
    Servers,
}
