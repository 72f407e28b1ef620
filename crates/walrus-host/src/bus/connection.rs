//! Keeps one connection to a NATS server, one after the other, for ever.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::connection::State as Link;
use async_nats::{Client, ClientError, Event, Message as Packet, ServerAddr};
use futures_util::StreamExt as _;
use futures_util::stream::{SelectAll, select_all};
use tokio::sync::mpsc;
use tokio::time::{interval, sleep, timeout};
use walrus_core::message::{Envelope, Role, encode_envelope};
use walrus_core::world::Generator;

use super::receive::Receiver;
use super::subject::{self, Subject};
use super::{BusEvent, Outgoing, Work, options, problem, status};
use crate::log::Limited;
use crate::shutdown::Shutdown;

/// The wait after the first failure; doubled with each further one.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
/// The longest wait between two attempts: short, for an area waits for its Plan.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// For a connection, with the resolution of its name; for the last words at the end.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// A server that does not read for so long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// After a connection broke, the library makes one attempt at once; if nothing comes of it by then,
/// we go on to the next server.
const AGAIN_WITHIN: Duration = Duration::from_secs(6);
/// The state of the connection is looked at so often besides what events tell, for those may be lost.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What the library says on one connection and was not looked at yet.
const HAPPENED_MAX: usize = 256;
/// What a server that cut us off would not say.
const BROKE: &str = "the connection broke; if the server's log tells of a `Slow Consumer`, this node or the line to it \
                     was too slow";
/// A connection that held for so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// How a connection ended.
enum End {
    /// Nobody wants one any more.
    Shutdown,
    /// In words.
    Lost(String),
}

/// Until shutdown.
pub(super) async fn run(mut work: Work, shutdown: Shutdown) {
    let mut generator = Generator::new(work.seed);
    let mut receiver = Receiver::new(*work.shared.detection.borrow());
    let lines = Limited::new(Duration::from_secs(60));
    let mut backoff = BACKOFF_MIN;
    let servers = work.shared.settings.servers.clone();
    loop {
        for server in &servers {
            let began = Instant::now();
            let ended = converse(&mut work, server, &mut receiver, &shutdown).await;
            let End::Lost(problem) = ended else { return };
            let now = work.shared.clock.now();
            if let Some(left_out) = lines.pass() {
                tracing::warn!(server, problem, left_out, "no connection to the group");
            }
            work.shared.state().unconnected(now, server, problem);
            forget(&mut work);
            if began.elapsed() > GOOD {
                backoff = BACKOFF_MIN;
                break;
            }
        }
        let pause = backoff.mul_f64(0.5 + 0.5 * generator.share());
        tokio::select! {
            () = sleep(pause) => {}
            () = shutdown.requested() => return,
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// What waits is old when there is a connection again.
fn forget(work: &mut Work) {
    let mut forgotten = 0;
    while work.outgoing.try_recv().is_ok() {
        forgotten += 1;
    }
    work.shared.state().counters.unsent += forgotten;
}

/// One connection from its beginning to its end.
async fn converse(
    work: &mut Work,
    server: &str,
    receiver: &mut Receiver,
    shutdown: &Shutdown,
) -> End {
    let (events, happened) = mpsc::channel(HAPPENED_MAX);
    let connected = tokio::select! {
        connected = connect(work, server, events) => connected,
        () = shutdown.requested() => return End::Shutdown,
    };
    match connected {
        Ok((client, heard)) => {
            let conversation = Conversation { work, server, client, receiver };
            conversation.run(heard, happened, shutdown).await
        }
        Err(problem) => End::Lost(problem),
    }
}

/// Connects and subscribes to what the voices must hear.
async fn connect(
    work: &Work,
    server: &str,
    events: mpsc::Sender<Event>,
) -> Result<(Client, SelectAll<async_nats::Subscriber>), String> {
    let shared = &work.shared;
    let address: ServerAddr = format!("nats://{server}")
        .parse()
        .map_err(|_| format!("`{server}` is no host and port"))?;
    // It reads files, which may lie on a disk that does not answer.
    let (of, to) = (Arc::clone(shared), server.to_owned());
    let read = work.files.within(CONNECT_TIMEOUT, move || options::options(&of, &to));
    let options = read
        .await
        .ok_or_else(|| format!("{server}: the files of its secrets cannot be read in time"))??;
    let options = options.event_callback(move |event| {
        let events = events.clone();
        async move {
            // Without a listener the connection is over.
            let _ = events.send(event).await;
        }
    });
    let client = match timeout(CONNECT_TIMEOUT, options.connect(address)).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(problem::unconnected(shared, server, &error)),
        Err(_) => return Err(format!("{server}: no connection within 10 s")),
    };
    let prefix = &shared.settings.prefix;
    let mut subjects: Vec<String> = shared
        .voices
        .iter()
        .flat_map(|voice| subject::subscriptions(prefix, voice.role, &voice.name))
        .collect();
    // Two voices want some of the same; nobody should hear it twice.
    subjects.sort();
    subjects.dedup();
    let mut subscribers = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let subscriber = client.subscribe(subject).await;
        subscribers.push(subscriber.map_err(|error| format!("{server}: {error}"))?);
    }
    Ok((client, select_all(subscribers)))
}

/// A connection that stands.
struct Conversation<'w> {
    work: &'w mut Work,
    server: &'w str,
    client: Client,
    receiver: &'w mut Receiver,
}

impl Conversation<'_> {
    async fn run(
        mut self,
        mut heard: SelectAll<async_nats::Subscriber>,
        mut happened: mpsc::Receiver<Event>,
        shutdown: &Shutdown,
    ) -> End {
        self.established();
        let mut look = interval(LOOK_EVERY);
        let mut broken: Option<Instant> = None;
        let mut why = BROKE.to_owned();
        // What the node has no room for: it waits, and everything else goes on.
        let mut waiting: Option<BusEvent> = None;
        let events = self.work.events.clone();
        let lines = Limited::new(Duration::from_secs(60));
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => return self.end().await,
                Some(event) = happened.recv() => match event {
                    Event::Connected if broken.take().is_some() => self.established(),
                    Event::Disconnected => self.broke(&mut broken),
                    Event::Closed | Event::ClientError(ClientError::MaxReconnects) => {
                        return End::Lost(format!("{}: {why}", self.server));
                    }
                    event => if let Some(problem) = self.told(&event) {
                        if let Some(left_out) = lines.pass() {
                            tracing::warn!(problem, left_out, "the group's NATS server");
                        }
                        why = problem;
                    }
                },
                _ = look.tick() => {
                    let stands = self.client.connection_state() == Link::Connected;
                    if !stands {
                        self.broke(&mut broken);
                    }
                    if broken.is_some_and(|since| since.elapsed() > AGAIN_WITHIN) {
                        return End::Lost(format!("{}: {why}", self.server));
                    }
                }
                Some(outgoing) = self.work.outgoing.recv(), if broken.is_none() => {
                    if let Err(problem) = self.publish(outgoing).await {
                        return End::Lost(problem);
                    }
                }
                room = events.reserve(), if waiting.is_some() => {
                    let event = waiting.take();
                    if room.map(|room| event.map(|event| room.send(event))).is_err() {
                        return self.end().await;
                    }
                }
                packet = heard.next(), if waiting.is_none() => match packet {
                    Some(packet) => waiting = self.hear(&packet),
                    None => return End::Lost(format!("{}: {why}", self.server)),
                },
            }
        }
    }

    fn established(&self) {
        let shared = &self.work.shared;
        let bytes_max = self.client.max_payload();
        shared.state().connected(shared.clock.now(), self.server, bytes_max);
        tracing::info!(server = self.server, "connected to the group");
        if let Some(problem) = status::small(self.server, bytes_max) {
            tracing::warn!("{problem}");
        }
        self.work.connected.send_modify(|connections| *connections += 1);
    }

    fn broke(&self, broken: &mut Option<Instant>) {
        if broken.is_none() {
            *broken = Some(Instant::now());
            let shared = &self.work.shared;
            let problem = format!("{}: {BROKE}", self.server);
            shared.state().unconnected(shared.clock.now(), self.server, problem);
            tracing::warn!(server = self.server, "the group: {BROKE}");
        }
    }

    /// Notes what the library tells of; a problem in words.
    fn told(&self, event: &Event) -> Option<String> {
        let shared = &self.work.shared;
        let problem = problem::told(shared, self.server, event)?;
        let mut state = shared.state();
        if matches!(event, Event::SlowConsumer(_)) {
            state.counters.missed += 1;
        }
        state.problem(shared.clock.now(), problem.clone());
        Some(problem)
    }

    /// Writes one message. What the server would not take is counted and told; an error ends the
    /// connection.
    async fn publish(&self, outgoing: Outgoing) -> Result<(), String> {
        let shared = &self.work.shared;
        let Some((subject, bytes)) = self.encode(outgoing) else { return Ok(()) };
        let bytes_max = self.client.max_payload();
        if bytes.len() > bytes_max {
            let problem = format!(
                "{}: a message of {} bytes ({subject}) was not sent, for the server takes {bytes_max}: \
                 raise its max_payload",
                self.server,
                bytes.len()
            );
            let mut state = shared.state();
            state.counters.unsent += 1;
            state.problem(shared.clock.now(), problem);
            return Ok(());
        }
        match timeout(WRITE_TIMEOUT, self.client.publish(subject, bytes.into())).await {
            Ok(Ok(())) => {
                shared.state().counters.sent += 1;
                Ok(())
            }
            Ok(Err(error)) => Err(format!("{}: {error}", self.server)),
            Err(_) => Err(format!("{}: the server did not read for 10 s", self.server)),
        }
    }

    fn encode(&self, outgoing: Outgoing) -> Option<(String, Vec<u8>)> {
        let shared = &self.work.shared;
        let voice = shared.voices.get(outgoing.voice)?;
        let subject = Subject {
            role: voice.role,
            name: voice.name.clone(),
            kind: outgoing.message.kind().to_owned(),
            to: outgoing.to,
        };
        let envelope = Envelope {
            role: voice.role,
            name: voice.name.clone(),
            session: voice.session,
            sequence: voice.sequence.fetch_add(1, Ordering::Relaxed) + 1,
            sent_unix_ms: shared.clock.unix_ms(),
            message: outgoing.message,
        };
        Some((subject.text(&shared.settings.prefix), encode_envelope(&envelope)))
    }

    /// What can be believed.
    fn hear(&mut self, packet: &Packet) -> Option<BusEvent> {
        let shared = &self.work.shared;
        let envelope = self.receiver.take(shared, &packet.subject, &packet.payload)?;
        {
            let mut state = shared.state();
            state.counters.received += 1;
            let now = shared.clock.now();
            if envelope.role == Role::Controller {
                state.heard_controller(now);
            }
            // A Reporter's clock is looked at where its reports come in, over whatever way.
            if envelope.role != Role::Reporter {
                let Envelope { role, name, sent_unix_ms, .. } = &envelope;
                let sender = || format!("{} {name}", role.as_str());
                let unix_ms = shared.clock.unix_ms();
                let line = state.clocks.note(sender, *sent_unix_ms, unix_ms, now);
                drop(state);
                if let Some(line) = line {
                    tracing::warn!("{line}");
                }
            }
        }
        let busy = shared.clock.activity().begin();
        Some(BusEvent { envelope, busy })
    }

    /// Says what is still to be said.
    async fn end(self) -> End {
        while let Ok(outgoing) = self.work.outgoing.try_recv() {
            if self.publish(outgoing).await.is_err() {
                return End::Shutdown;
            }
        }
        let _ = timeout(FLUSH_TIMEOUT, self.client.flush()).await;
        End::Shutdown
    }
}
