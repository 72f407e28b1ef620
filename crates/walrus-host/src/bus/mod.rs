//! The group over NATS: what nodes say to each other over a wide area.
//!
//! A [`Bus`] connects in the background, for ever, and never blocks whoever speaks: what cannot be
//! sent now is counted and lost, for everything that is said is said again (reports, heartbeats),
//! asked for again (Plans), or compared by digest (overrides). What comes in has been checked for
//! who says it: the subject, which the NATS server permits or refuses, must name whom the envelope
//! names, and nothing old is taken twice.

#![cfg_attr(not(feature = "nats"), allow(dead_code, reason = "nothing is ever sent or heard"))]

#[cfg(feature = "nats")]
mod connection;
#[cfg(feature = "nats")]
mod options;
mod plans;
#[cfg(feature = "nats")]
mod problem;
#[cfg(feature = "nats")]
mod receive;
mod status;
#[cfg(feature = "nats")]
mod subject;
mod unbelieved;

#[cfg(test)]
#[cfg(feature = "nats")]
mod tests;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use walrus_core::config::NatsSettings;
use walrus_core::message::{Envelope, Message, Role};
use walrus_core::world::Name;

use crate::clock::{Busy, Clock};
use crate::one_thread::OneThread;
use crate::shutdown::Shutdown;

pub use plans::{PlanEar, PlanVoice};
use status::State;
pub use status::{BusCounters, BusStatus};

/// Messages that wait to be written: a Plan in parts, some hundred answers to Reporters.
const QUEUE_MAX: usize = 4096;
/// Messages that were heard and not yet taken up; then the connection is read more slowly.
const EVENTS_MAX: usize = 1024;

/// The last words are given up after this.
pub const END_TIMEOUT: Duration = Duration::from_secs(3);

/// What a connection to the group is made with.
#[derive(Clone, Debug)]
pub struct BusStart {
    /// `[group.nats]`.
    pub settings: NatsSettings,
    /// Those that this process speaks as: a node has several roles, and its Reporter has the server's
    /// name.
    pub voices: Vec<(Role, Name)>,
    /// Above that of the process before this one; milliseconds since 1970 will do.
    pub session: u64,
    /// As in `[control]`: after such a silence a sender may come back with a lower session.
    pub detection: Duration,
    /// What time it is.
    pub clock: Clock,
    /// Spreads attempts to connect.
    pub seed: u64,
}

/// A connection to the group. Cheap to clone; the connection ends at shutdown.
#[derive(Clone, Debug)]
pub struct Bus {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Outgoing>,
    connections: watch::Receiver<u64>,
    shutdown: Shutdown,
    ended: watch::Receiver<()>,
}

/// Something that was said in the group.
#[derive(Debug)]
pub struct BusEvent {
    /// Who says what; subject and envelope agree on it.
    pub envelope: Envelope,
    /// Keeps a manual clock still until the event is handled.
    pub busy: Busy,
}

/// What the connection's task shares with those who speak.
#[derive(Debug)]
struct Shared {
    settings: NatsSettings,
    voices: Vec<Voice>,
    clock: Clock,
    state: Mutex<State>,
    /// As in `[control]`.
    detection: watch::Sender<Duration>,
}

/// One that this process speaks as.
#[derive(Debug)]
struct Voice {
    role: Role,
    name: Name,
    session: u64,
    sequence: AtomicU64,
}

/// A message on its way out.
#[derive(Debug)]
struct Outgoing {
    /// Place in [`Shared::voices`].
    voice: usize,
    to: Option<(Role, Name)>,
    message: Message,
}

impl Bus {
    /// Begins to connect, and returns at once.
    #[must_use]
    pub fn connect(start: BusStart, shutdown: Shutdown) -> (Self, mpsc::Receiver<BusEvent>) {
        let BusStart { settings, voices, session, detection, clock, seed } = start;
        let voice = |(role, name)| Voice { role, name, session, sequence: AtomicU64::new(0) };
        let shared = Arc::new(Shared {
            settings,
            voices: voices.into_iter().map(voice).collect(),
            state: Mutex::new(State::new(clock.now())),
            clock,
            detection: watch::Sender::new(detection),
        });
        let (queue, outgoing) = mpsc::channel(QUEUE_MAX);
        let (events, heard) = mpsc::channel(EVENTS_MAX);
        let (connected, connections) = watch::channel(0);
        let (running, ended) = watch::channel(());
        let work = Work {
            shared: shared.clone(),
            outgoing,
            events,
            connected,
            _running: running,
            seed,
            files: OneThread::default(),
        };
        carry(work, shutdown.clone());
        (Self { shared, queue, connections, shutdown, ended }, heard)
    }

    /// Another detection time is in force, by which two nodes of one name are told from one that came back.
    pub fn set_detection(&self, detection: Duration) {
        self.shared.detection.send_replace(detection);
    }

    /// Ends the connection, and waits until what was said before this is on its way; not for longer than
    /// [`END_TIMEOUT`].
    pub async fn end(&self) {
        self.shutdown.request();
        let mut ended = self.ended.clone();
        let all = async move { while ended.changed().await.is_ok() {} };
        // Whoever does not read the last words has to do without them.
        let _ = tokio::time::timeout(END_TIMEOUT, all).await;
    }

    /// Says something to the whole group, as one of the voices. Tells whether it is on its way: not
    /// if there is no connection or the queue is full, which is counted.
    pub fn say(&self, role: Role, message: Message) -> bool {
        self.send(role, None, message)
    }

    /// Says something to one member.
    pub fn say_to(&self, role: Role, to: (Role, Name), message: Message) -> bool {
        self.send(role, Some(to), message)
    }

    fn send(&self, role: Role, to: Option<(Role, Name)>, message: Message) -> bool {
        let voice = self.shared.voices.iter().position(|voice| voice.role == role);
        let sent = voice.is_some_and(|voice| {
            let connected = self.shared.state().is_connected();
            connected && self.queue.try_send(Outgoing { voice, to, message }).is_ok()
        });
        if !sent {
            self.shared.state().counters.unsent += 1;
        }
        sent
    }

    /// Something cannot be said at all: why, and what to do.
    fn cannot_say(&self, problem: String) {
        tracing::error!("{problem}");
        let now = self.shared.clock.now();
        self.shared.state().problem(now, problem);
    }

    /// How many connections were made: changes when there is one again, so that what everybody
    /// should know is said at once.
    #[must_use]
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.connections.clone()
    }

    /// The longest message that the NATS server takes, in bytes; `None` without a connection.
    #[must_use]
    pub fn message_bytes_max(&self) -> Option<usize> {
        self.shared.state().message_bytes_max()
    }

    /// How it fares.
    #[must_use]
    pub fn status(&self) -> BusStatus {
        self.shared.state().told(self.shared.clock.now())
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the connection's task works with.
struct Work {
    shared: Arc<Shared>,
    outgoing: mpsc::Receiver<Outgoing>,
    events: mpsc::Sender<BusEvent>,
    connected: watch::Sender<u64>,
    /// Dropped at the end.
    _running: watch::Sender<()>,
    seed: u64,
    /// Reads secrets.
    files: OneThread,
}

#[cfg(feature = "nats")]
fn carry(work: Work, shutdown: Shutdown) {
    tokio::spawn(connection::run(work, shutdown));
}

#[cfg(not(feature = "nats"))]
fn carry(work: Work, _: Shutdown) {
    let problem = "this walrus was built without NATS: build it with the feature `nats`";
    tracing::error!(problem);
    work.shared.state().problem(work.shared.clock.now(), problem.to_owned());
}
