//! Nodes that speak over a real nats-server.

mod believed;
mod secured;
mod server;
mod slow;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use walrus_core::config::{NatsAuthentication, NatsSettings};
use walrus_core::message::{Envelope, Message, Role};
use walrus_core::world::Name;

use super::*;
use server::Server;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// Looks until something holds, or [`PATIENCE`] is over.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let looked = async {
        while !holds() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(PATIENCE, looked).await.is_ok(), "{what}: not within {PATIENCE:?}");
}

/// One that speaks, on a bus of its own.
pub(super) struct Node {
    pub(super) bus: Bus,
    pub(super) heard: mpsc::Receiver<BusEvent>,
    role: Role,
    shutdown: Shutdown,
}

pub(super) fn settings(server: &str) -> NatsSettings {
    NatsSettings {
        servers: vec![server.to_owned()],
        prefix: "walrus".to_owned(),
        authentication: NatsAuthentication::None,
        authority: None,
        certificate: None,
        key: None,
        insecure: false,
    }
}

impl Node {
    pub(super) fn start(settings: NatsSettings, role: Role, node: &str, session: u64) -> Self {
        let shutdown = Shutdown::new();
        let start = BusStart {
            settings,
            voices: vec![(role, name(node))],
            session,
            detection: Duration::from_secs(3),
            clock: Clock::real(),
            seed: session,
        };
        let (bus, heard) = Bus::connect(start, shutdown.clone());
        Self { bus, heard, role, shutdown }
    }

    /// Waits until it is connected.
    pub(super) async fn connected(self) -> Self {
        until("a connection", || self.bus.status().server.is_some()).await;
        self
    }

    pub(super) fn say(&self, message: Message) -> bool {
        self.bus.say(self.role, message)
    }

    /// The next message that it hears.
    pub(super) async fn hears(&mut self) -> Envelope {
        let heard = timeout(PATIENCE, self.heard.recv()).await.expect("within the bound");
        heard.expect("the bus goes on").envelope
    }

    /// Waits until the bus says that this is wrong.
    pub(super) async fn complains(&self, of: &str) {
        let looked = timeout(PATIENCE, async {
            while !self.bus.status().problems.iter().any(|problem| problem.contains(of)) {
                sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(looked.await.is_ok(), "not told of `{of}`: {:?}", self.bus.status());
    }
}

/// Says something until the other hears something of this kind: nobody knows when a subscription has
/// come around.
pub(super) async fn say_until_heard(
    speaker: &Node,
    message: &Message,
    listener: &mut Node,
) -> Envelope {
    for _ in 0..400 {
        speaker.say(message.clone());
        let heard = timeout(Duration::from_millis(50), listener.heard.recv()).await;
        if let Ok(Some(event)) = heard
            && event.envelope.message.kind() == message.kind()
        {
            return event.envelope;
        }
    }
    panic!("{} was not heard", message.kind());
}

pub(super) fn wanted() -> Message {
    Message::PlanWanted(walrus_core::plan::PlanWanted { held: None })
}

#[tokio::test]
async fn each_hears_what_it_needs_and_answers_go_to_one() {
    let Some(server) = Server::start("").await else { return };
    let start = |role, node| Node::start(settings(&server.address()), role, node, 1);
    let mut berlin = start(Role::Controller, "berlin").connected().await;
    let mut zurich = start(Role::Director, "zurich").connected().await;
    let mut fra1 = start(Role::Reporter, "fra1").connected().await;
    let mut fra2 = start(Role::Reporter, "fra2").connected().await;

    let said = say_until_heard(&zurich, &wanted(), &mut berlin).await;
    assert_eq!((said.role, said.name), (Role::Director, name("zurich")));
    let said = say_until_heard(&fra1, &believed::report("fra1", 1), &mut berlin).await;
    assert_eq!((said.role, said.name), (Role::Reporter, name("fra1")));

    // To one, and then to all: the other Reporter hears neither, the Director the latter.
    let taken = Message::Taken { session: 1, sequence: 1 };
    let refused = Message::Refused { reason: "no".to_owned() };
    assert!(berlin.bus.say_to(Role::Controller, (Role::Reporter, name("fra1")), taken.clone()));
    assert!(berlin.bus.say_to(Role::Controller, (Role::Reporter, name("fra2")), refused.clone()));
    assert_eq!(fra1.hears().await.message, taken);
    assert_eq!(fra2.hears().await.message, refused, "and not what is for another");
    say_until_heard(&berlin, &wanted(), &mut zurich).await;
    assert!(zurich.bus.status().heard.is_some(), "a Controller was heard");
}

#[tokio::test]
async fn a_server_that_restarts_is_found_again_and_the_wait_is_told() {
    let Some(mut server) = Server::start("").await else { return };
    let start = |role, node| Node::start(settings(&server.address()), role, node, 1);
    let mut berlin = start(Role::Controller, "berlin").connected().await;
    let zurich = start(Role::Director, "zurich").connected().await;
    say_until_heard(&zurich, &wanted(), &mut berlin).await;
    let mut connections = zurich.bus.connections();
    connections.borrow_and_update();

    server.kill().await;
    until("the end of the connection", || zurich.bus.status().server.is_none()).await;
    assert!(!zurich.say(wanted()), "nothing waits for a connection");
    let before = zurich.bus.status();
    assert!(before.counters.unsent > 0 && !before.problems.is_empty(), "{before:?}");
    until("time without a connection", || zurich.bus.status().since > Duration::from_millis(300))
        .await;

    server.restart("").await;
    timeout(PATIENCE, connections.changed()).await.unwrap().unwrap();
    say_until_heard(&zurich, &wanted(), &mut berlin).await;
    let status = zurich.bus.status();
    assert!(status.counters.connections >= 2, "{status:?}");
    assert_eq!(status.problems, Vec::<String>::new());
}

#[tokio::test]
async fn the_next_server_is_tried_when_one_is_away() {
    let Some(server) = Server::start("").await else { return };
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = away.local_addr().unwrap();
    drop(away);
    let mut settings = settings(&server.address());
    settings.servers.insert(0, address.to_string());
    let node = Node::start(settings, Role::Controller, "berlin", 1).connected().await;
    assert_eq!(node.bus.status().server, Some(server.address()));
}

#[tokio::test]
async fn a_server_that_stands_still_is_left() {
    let (Some(first), Some(second)) = (Server::start("").await, Server::start("").await) else {
        return;
    };
    let mut settings = settings(&first.address());
    settings.servers.push(second.address());
    let node = Node::start(settings, Role::Controller, "berlin", 1).connected().await;
    assert_eq!(node.bus.status().server, Some(first.address()));
    first.freeze();
    // After three questions without an answer, and one attempt to come back.
    let patience = PATIENCE * 2;
    let found = timeout(patience, async {
        while node.bus.status().server != Some(second.address()) {
            sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(found.await.is_ok(), "{:?}", node.bus.status());
}

#[tokio::test]
async fn who_speaks_while_nothing_is_there_is_not_held_up() {
    let mut settings = settings("127.0.0.1:1");
    settings.servers.push("[::1]:1".to_owned());
    let node = Node::start(settings, Role::Controller, "berlin", 1);
    for _ in 0..10_000 {
        assert!(!node.say(wanted()));
    }
    assert_eq!(node.bus.status().counters.unsent, 10_000);
    node.complains("127.0.0.1:1").await;
    assert!(node.bus.status().server.is_none());
}

#[tokio::test]
async fn last_words_are_said() {
    let Some(server) = Server::start("").await else { return };
    let start = |role, node| Node::start(settings(&server.address()), role, node, 1);
    let mut berlin = start(Role::Controller, "berlin").connected().await;
    let zurich = start(Role::Director, "zurich").connected().await;
    say_until_heard(&zurich, &wanted(), &mut berlin).await;
    let before = berlin.bus.status().counters.received;
    for _ in 0..100 {
        assert!(zurich.say(wanted()));
    }
    zurich.shutdown.request();
    until("the last words", || {
        while berlin.heard.try_recv().is_ok() {}
        berlin.bus.status().counters.received >= before + 100
    })
    .await;
}

#[tokio::test]
async fn a_server_of_short_messages_is_told_of_and_long_ones_are_counted() {
    let Some(server) = Server::start("max_payload: 4096").await else { return };
    let node = Node::start(settings(&server.address()), Role::Controller, "berlin", 1);
    let node = node.connected().await;
    node.complains("takes messages of 4096 bytes only").await;
    assert_eq!(node.bus.message_bytes_max(), Some(4096));
    node.say(Message::Refused { reason: "x".repeat(5000) });
    node.complains("raise its max_payload").await;
    assert_eq!(node.bus.status().counters.unsent, 1);
}
