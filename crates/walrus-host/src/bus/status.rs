//! How the connection to the group fares: for people, and for how old what is known may be.

use std::collections::BTreeMap;
use std::time::Duration;

use walrus_core::world::Time;

use super::unbelieved::Unbelieved;
use crate::foreign_clocks::{ForeignClock, ForeignClocks};

/// A server that takes no more than this cuts long messages off; NATS' own limit is 1 MiB.
const SMALL: usize = 256 << 10;
/// Two of one name are shown for twice the time between the last two words of the one that is not heard, within these
/// bounds: they are soon over once both have ended, and stay where a Reporter says something once in minutes.
const TWIN_SHOWN_MIN: Duration = Duration::from_secs(10);
const TWIN_SHOWN_MAX: Duration = Duration::from_secs(600);
/// What went wrong on a connection that stands is shown for so long.
const SHOWN_FOR: Duration = Duration::from_secs(60);

/// How the connection to the group fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BusStatus {
    /// The NATS server that is connected to, `host:port`; `None` between connections.
    pub server: Option<String>,
    /// For how long there has been a connection, or none.
    pub since: Duration,
    /// How long ago a Controller was heard last; `None` if none ever was.
    pub heard: Option<Duration>,
    /// What is wrong and what to do.
    pub problems: Vec<String>,
    /// Controllers and Directors whose clocks are far from this node's.
    pub clocks: Vec<ForeignClock>,
    /// What happened since the start.
    pub counters: BusCounters,
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusCounters {
    /// Connections made.
    pub connections: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages that were not sent: no connection, or a full queue.
    pub unsent: u64,
    /// Messages taken in.
    pub received: u64,
    /// Messages that were lost because this node was too slow to hear them.
    pub missed: u64,
    /// Messages whose subject and envelope name different senders, or whose sender may not say this.
    pub forged: u64,
    /// Messages that were heard before, or are older than what was heard.
    pub replayed: u64,
    /// Messages that are none of Walrus, or of versions that are not understood.
    pub garbage: u64,
    /// Messages of kinds that are not known here.
    pub unknown_kinds: u64,
    /// Messages of a second node that goes by the name of another.
    pub twins: u64,
}

/// What [`BusStatus`] is made of.
#[derive(Debug)]
pub(super) struct State {
    connection: Option<Connection>,
    /// Since when there has been a connection, or none.
    since: Time,
    heard: Option<Time>,
    /// Why there is no connection, by server; bounded by the servers there are.
    unconnected: BTreeMap<String, String>,
    /// What the server or another node did on this connection.
    problem: Option<(Time, String)>,
    twin: Option<Twin>,
    pub(super) unbelieved: Unbelieved,
    pub(super) clocks: ForeignClocks,
    pub(super) counters: BusCounters,
}

/// A second node of one name.
#[derive(Debug)]
struct Twin {
    last: Time,
    shown_for: Duration,
    text: String,
}

#[derive(Debug)]
struct Connection {
    server: String,
    message_bytes_max: usize,
}

impl State {
    pub(super) fn new(now: Time) -> Self {
        Self {
            connection: None,
            since: now,
            heard: None,
            unconnected: BTreeMap::new(),
            problem: None,
            twin: None,
            unbelieved: Unbelieved::default(),
            clocks: ForeignClocks::default(),
            counters: BusCounters::default(),
        }
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    pub(super) fn message_bytes_max(&self) -> Option<usize> {
        self.connection.as_ref().map(|connection| connection.message_bytes_max)
    }

    #[cfg(feature = "nats")]
    pub(super) fn connected(&mut self, now: Time, server: &str, message_bytes_max: usize) {
        self.connection = Some(Connection { server: server.to_owned(), message_bytes_max });
        self.since = now;
        self.unconnected.clear();
        self.problem = None;
        self.counters.connections += 1;
    }

    /// There is no connection now, or still none.
    pub(super) fn unconnected(&mut self, now: Time, server: &str, problem: String) {
        if self.connection.take().is_some() {
            self.since = now;
        }
        self.unconnected.insert(server.to_owned(), problem);
    }

    pub(super) fn heard_controller(&mut self, now: Time) {
        self.heard = Some(now);
    }

    pub(super) fn problem(&mut self, now: Time, problem: String) {
        self.problem = Some((now, problem));
    }

    pub(super) fn twin(&mut self, now: Time, problem: String) {
        self.counters.twins += 1;
        let apart = self.twin.as_ref().map_or(SHOWN_FOR, |twin| now.since(twin.last) * 2);
        let shown_for = apart.clamp(TWIN_SHOWN_MIN, TWIN_SHOWN_MAX);
        self.twin = Some(Twin { last: now, shown_for, text: problem });
    }

    pub(super) fn told(&self, now: Time) -> BusStatus {
        let mut problems: Vec<String> = self.unconnected.values().cloned().collect();
        let problem = self.problem.as_ref().filter(|it| now.since(it.0) < SHOWN_FOR);
        let twin = self.twin.as_ref().filter(|twin| now.since(twin.last) < twin.shown_for);
        problems.extend(problem.map(|(_, text)| text.clone()));
        problems.extend(twin.map(|twin| twin.text.clone()));
        problems.extend(self.unbelieved.told(now));
        if let Some(connection) = &self.connection
            && let Some(problem) = small(&connection.server, connection.message_bytes_max)
        {
            problems.push(problem);
        }
        BusStatus {
            server: self.connection.as_ref().map(|connection| connection.server.clone()),
            since: now.since(self.since),
            heard: self.heard.map(|at| now.since(at)),
            problems,
            clocks: self.clocks.off(now).collect(),
            counters: self.counters,
        }
    }
}

/// What to say of a server that takes only short messages.
pub(super) fn small(server: &str, message_bytes_max: usize) -> Option<String> {
    (message_bytes_max < SMALL).then(|| {
        format!(
            "the NATS server {server} takes messages of {message_bytes_max} bytes only: Plans go in \
             many parts, and long reports are lost; write max_payload: 1MB into its configuration"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_one_name_are_told_of_until_soon_after_the_last_word() {
        let at = Time::from_secs;
        let mut state = State::new(at(0));
        let mut shown = |said: &[u64], second| {
            for said in said {
                state.twin(at(*said), "two".to_owned());
            }
            state.told(at(second)).problems.len()
        };
        assert_eq!(shown(&[100], 159), 1);
        assert_eq!(shown(&[160, 161, 162], 171), 1);
        assert_eq!(shown(&[], 172), 0, "both are gone");
        assert_eq!(shown(&[200, 500], 1099), 1, "a Reporter with a unit of five minutes");
        assert_eq!(shown(&[], 1100), 0);
    }
}
