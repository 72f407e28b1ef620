//! How the connection to the group fares: for people, and for how old what is known may be.

use std::collections::BTreeMap;
use std::time::Duration;

use walrus_core::world::Time;

/// A server that takes no more than this cuts long messages off; NATS' own limit is 1 MiB.
const SMALL: usize = 256 << 10;
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
    twin: Option<(Time, String)>,
    pub(super) counters: BusCounters,
}

#[derive(Debug)]
struct Connection {
    server: String,
    message_bytes_max: usize,
}

impl State {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            connection: None,
            since: now,
            heard: None,
            unconnected: BTreeMap::new(),
            problem: None,
            twin: None,
            counters: BusCounters {
                connections: 0,
                sent: 0,
                unsent: 0,
                received: 0,
                missed: 0,
                forged: 0,
                replayed: 0,
                garbage: 0,
                unknown_kinds: 0,
                twins: 0,
            },
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
        self.twin = Some((now, problem));
    }

    pub(super) fn told(&self, now: Time) -> BusStatus {
        let mut problems: Vec<String> = self.unconnected.values().cloned().collect();
        let recent = |it: &&(Time, String)| now.since(it.0) < SHOWN_FOR;
        let lately = [&self.problem, &self.twin].into_iter().flatten().filter(recent);
        problems.extend(lately.map(|(_, text)| text.clone()));
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
