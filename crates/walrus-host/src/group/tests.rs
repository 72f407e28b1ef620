//! Reporters and a listener over real sockets on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use walrus_core::config::{GroupSettings, ReporterSettings};
use walrus_core::message::{Hello, Message, Role, VERSION};
use walrus_core::world::{Report, ReportBody, Statistics, Time};

use super::*;
use crate::clock::Clock;
use crate::frame::{self, FRAME_MAX};
use crate::link::{Link, LinkStatus, NodeLink};
use crate::shutdown::Shutdown;
use crate::state::StateDirectory;
use crate::token::Token;

struct Group {
    _directory: tempfile::TempDir,
    address: SocketAddr,
    fingerprint: String,
    token_file: std::path::PathBuf,
    token: Token,
    events: mpsc::Receiver<GroupEvent>,
    counters: Arc<GroupCounters>,
    shutdown: Shutdown,
}

async fn group() -> Group {
    group_at("127.0.0.1".parse().unwrap(), Clock::real()).await.unwrap()
}

/// `None` if this machine does not have the address.
async fn group_at(ip: std::net::IpAddr, clock: Clock) -> Option<Group> {
    let directory = tempfile::tempdir().unwrap();
    let state = StateDirectory::open(directory.path()).unwrap();
    let token = state.token("reporter-token").unwrap();
    let settings = GroupSettings { listen: vec![SocketAddr::new(ip, 0)], ..Default::default() };
    let name = "controller".parse().unwrap();
    let security = GroupSecurity::load(&name, &settings, &[], &state).unwrap();
    let fingerprint = security.identity.fingerprint.clone();
    let listener = GroupListener::bind(&settings.listen, security).await.ok()?;
    let address = listener.addresses().next().unwrap();
    let (sender, events) = mpsc::channel(8);
    let shutdown = Shutdown::new();
    let counters = listener.serve(sender, clock, shutdown.clone());
    let token_file = state.token_path("reporter-token");
    Some(Group {
        _directory: directory,
        address,
        fingerprint,
        token_file,
        token,
        events,
        counters,
        shutdown,
    })
}

impl Group {
    async fn next(&mut self) -> GroupEvent {
        timeout(Duration::from_secs(10), self.events.recv()).await.unwrap().unwrap()
    }

    /// Sends a hello and returns what is answered.
    async fn hello(&self, change: impl FnOnce(&mut Hello)) -> (TcpStream, Message) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut hello = Hello {
            role: Role::Reporter,
            name: "fra1".parse().unwrap(),
            session: 1,
            versions: vec![VERSION, 7],
            token: Some(self.token.secret().to_owned()),
            plan: None,
            refused: None,
            marks: None,
            program: String::new(),
        };
        change(&mut hello);
        frame::write(&mut stream, &Message::Hello(hello)).await.unwrap();
        let answer = frame::read(&mut stream, FRAME_MAX).await.unwrap().unwrap();
        (stream, answer)
    }

    fn reporter(&self) -> ReporterSettings {
        ReporterSettings {
            server: "fra1".parse().unwrap(),
            controllers: vec!["127.0.0.1:1".to_owned(), self.address.to_string()],
            unit: Duration::from_secs(1),
            source: None,
            memory_pressure_max: 0.1,
            memory_pressure_units: 3,
            bypass_file: None,
            version_file: None,
            access_log: None,
            insecure: false,
            authority: None,
            fingerprint: None,
            token_file: Some(self.token_file.clone()),
            certificate: None,
            key: None,
            system: false,
        }
    }
}

fn report(sequence: u64) -> Report {
    Report {
        server: "fra1".parse().unwrap(),
        session: 1,
        sequence,
        unit_ms: 60_000,
        sent_unix_ms: 0,
        version: None,
        body: ReportBody::Statistics(Statistics::default()),
        requests: None,
    }
}

fn link(settings: &ReporterSettings, shutdown: &Shutdown) -> Link {
    Link::new(settings, 1, Clock::real(), 3, shutdown.clone()).unwrap()
}

async fn until(link: &Link, wanted: impl Fn(&LinkStatus) -> bool) -> LinkStatus {
    timeout(Duration::from_secs(10), async {
        loop {
            let status = link.status();
            if wanted(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("not in time: {:?}", link.status()))
}

/// Takes a hello and a report from the events and acknowledges the report.
async fn take_report(group: &mut Group) -> Report {
    loop {
        let event = group.next().await;
        if let GroupEventKind::Message { message: Message::Report(report), .. } = event.kind {
            let (session, sequence) = (report.session, report.sequence);
            assert!(event.reply.send(Message::Taken { session, sequence }));
            return report;
        }
    }
}

#[tokio::test]
async fn a_report_arrives_and_its_taking_is_told() {
    let mut group = group().await;
    let link = link(&group.reporter(), &group.shutdown);
    link.send(report(4));
    let hello = group.next().await;
    let GroupEventKind::Hello { role, name, session, .. } = hello.kind else { panic!() };
    assert_eq!((role, name.as_str(), session), (Role::Reporter, "fra1", 1));
    assert_eq!(take_report(&mut group).await, report(4));
    let status = until(&link, |status| status.taken == Some((1, 4))).await;
    assert_eq!(status.controller, Some(group.address.to_string()));
    assert_eq!((status.problem.clone(), status.connections), (None, 1));
    assert_eq!(group.counters.connected(), 1);
    drop(link);
    assert!(matches!(group.next().await.kind, GroupEventKind::Gone { session: 1, .. }));
}

#[tokio::test]
async fn tls_with_the_pinned_fingerprint_and_with_no_other() {
    let mut group = group().await;
    let pinned = ReporterSettings {
        controllers: vec![format!("localhost:{}", group.address.port())],
        fingerprint: Some(group.fingerprint.to_uppercase()),
        ..group.reporter()
    };
    let link_pinned = link(&pinned, &group.shutdown);
    link_pinned.send(report(1));
    take_report(&mut group).await;
    until(&link_pinned, |status| status.taken.is_some()).await;

    let authority = ReporterSettings {
        fingerprint: None,
        authority: Some(group._directory.path().join("certificate.pem")),
        ..pinned.clone()
    };
    let link_authority = link(&authority, &group.shutdown);
    link_authority.send(report(1));
    take_report(&mut group).await;
    until(&link_authority, |status| status.taken.is_some()).await;

    let wrong = ReporterSettings { fingerprint: Some("00".repeat(32)), ..pinned };
    let link_wrong = link(&wrong, &group.shutdown);
    let status = until(&link_wrong, |status| status.problem.is_some()).await;
    assert!(status.problem.unwrap().contains("TLS"), "{:?}", link_wrong.status());
}

#[tokio::test]
async fn who_may_not_is_told_why_and_counted() {
    let mut group = group().await;
    type Change = fn(&mut Hello);
    let cases: [(Change, &str); 4] = [
        (|hello| hello.token = None, "no token"),
        (|hello| hello.token = Some("wrong".to_owned()), "a wrong token"),
        (|hello| hello.versions = vec![3, 4], "versions [3, 4]"),
        (|hello| hello.role = Role::Director, "the token of another role"),
    ];
    for (count, (change, expected)) in cases.into_iter().enumerate() {
        let (mut stream, answer) = group.hello(change).await;
        let Message::Refused { reason } = answer else { panic!("{answer:?}") };
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "closed after it");
        assert_eq!(group.counters.refused(), count as u64 + 1);
    }
    assert!(group.events.try_recv().is_err(), "nobody heard of them");
}

#[tokio::test]
async fn garbage_and_half_messages_end_the_connection_only() {
    let mut group = group().await;
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\0\0\x02{}", b"\0\0\0\x09{", b"\x16\x03\x01garbage"]
    {
        let mut stream = TcpStream::connect(group.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap();
    }
    assert_eq!(group.counters.refused(), 4);

    let (mut stream, answer) = group.hello(|_| ()).await;
    assert!(matches!(answer, Message::Hello(hello) if hello.role == Role::Controller));
    assert!(matches!(group.next().await.kind, GroupEventKind::Hello { .. }));
    let sing = br#"{"walrus":1,"kind":"sing"}"#;
    stream.write_all(&[0, 0, 0, sing.len() as u8]).await.unwrap();
    stream.write_all(sing).await.unwrap();
    frame::write(&mut stream, &Message::Report(report(1))).await.unwrap();
    take_report(&mut group).await;
    assert_eq!(group.counters.unknown_kinds(), 1);
    stream.write_all(b"\0\0\0\x09{\"wal").await.unwrap();
    drop(stream);
    assert!(matches!(group.next().await.kind, GroupEventKind::Gone { .. }));
}

#[tokio::test]
async fn a_report_about_another_server_is_refused() {
    let mut group = group().await;
    let (mut stream, _) = group.hello(|hello| hello.name = "fra2".parse().unwrap()).await;
    assert!(matches!(group.next().await.kind, GroupEventKind::Hello { .. }));
    frame::write(&mut stream, &Message::Report(report(1))).await.unwrap();
    let answer = frame::read(&mut stream, FRAME_MAX).await.unwrap().unwrap();
    assert!(matches!(answer, Message::Refused { reason } if reason.contains("about fra1")));
    assert!(matches!(group.next().await.kind, GroupEventKind::Gone { .. }));
}

#[tokio::test]
async fn a_refused_report_ends_the_connection_and_the_next_carries_on() {
    let mut group = group().await;
    let controllers = vec![group.address.to_string()];
    let settings = ReporterSettings { controllers, ..group.reporter() };
    let link = link(&settings, &group.shutdown);
    link.send(report(1));
    let refused = loop {
        let event = group.next().await;
        if matches!(event.kind, GroupEventKind::Message { .. }) {
            break event;
        }
    };
    assert!(refused.reply.refuse("not like that"));
    drop(refused);
    let status = until(&link, |status| status.problem.is_some()).await;
    assert!(status.problem.unwrap().contains("refused: not like that"));
    // The same report comes again on a new connection, with a sequence that is above its last.
    assert_eq!(take_report(&mut group).await, report(2));
    link.send(report(2));
    assert_eq!(take_report(&mut group).await, report(3));
}

#[tokio::test]
async fn silence_of_four_units_closes() {
    let (clock, hand) = Clock::manual();
    // Also over IPv6, where there is any.
    let Some(mut group) = group_at("::1".parse().unwrap(), clock).await else { return };
    let (mut stream, _) = group.hello(|_| ()).await;
    drop(group.next().await);
    frame::write(&mut stream, &Message::Report(report(1))).await.unwrap();
    take_report(&mut group).await;
    hand.advance_to(Time::from_secs(239));
    hand.settled().await;
    assert!(group.events.try_recv().is_err());
    timeout(Duration::from_secs(10), async {
        while hand.next_deadline() != Some(Time::from_secs(240)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    hand.advance_to(Time::from_secs(240));
    assert!(matches!(group.next().await.kind, GroupEventKind::Gone { .. }));
}

#[tokio::test]
async fn a_local_link_needs_no_socket() {
    let (sender, mut events) = mpsc::channel(8);
    let (clock, hand) = Clock::manual();
    let link = Link::local("fra1".parse().unwrap(), 1, sender, None, clock, Shutdown::new());
    link.send(report(1));
    assert!(matches!(events.recv().await.unwrap().kind, GroupEventKind::Hello { peer: None, .. }));
    let event = events.recv().await.unwrap();
    assert!(matches!(event.kind, GroupEventKind::Message { .. }));
    event.reply.send(Message::Taken { session: 1, sequence: 1 });
    drop(event);
    hand.settled().await;
    assert_eq!(link.status().taken, Some((1, 1)));
    assert_eq!(link.status().staleness(Time::from_secs(3)), Some(Duration::from_secs(3)));
    drop(link);
    assert!(matches!(events.recv().await.unwrap().kind, GroupEventKind::Gone { .. }));
}

#[tokio::test]
async fn plaintext_from_off_loopback_is_refused() {
    // Nothing is sent: this only asks which address the machine would send from.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let Ok(()) = socket.connect("192.0.2.1:9") else { return };
    let ip = socket.local_addr().unwrap().ip();
    if ip.is_loopback() || ip.is_unspecified() {
        return;
    }
    let Some(mut group) = group_at(ip, Clock::real()).await else { return };
    let (_stream, answer) = group.hello(|_| ()).await;
    assert!(matches!(answer, Message::Refused { reason } if reason.contains("loopback only")));

    let controllers = vec![group.address.to_string()];
    let unsure = ReporterSettings { controllers, ..group.reporter() };
    let link_unsure = link(&unsure, &group.shutdown);
    let status = until(&link_unsure, |status| status.problem.is_some()).await;
    assert!(status.problem.unwrap().contains("TLS"), "nobody vouches for the certificate");

    let sure = ReporterSettings { fingerprint: Some(group.fingerprint.clone()), ..unsure };
    let link_sure = link(&sure, &group.shutdown);
    link_sure.send(report(1));
    take_report(&mut group).await;
}

#[tokio::test]
async fn nodes_join_with_a_token_of_their_own_and_speak_of_keys_only() {
    let directory = tempfile::tempdir().unwrap();
    let state = StateDirectory::open(directory.path()).unwrap();
    let settings =
        GroupSettings { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Default::default() };
    let security = GroupSecurity::load(&"ns1".parse().unwrap(), &settings, &[], &state).unwrap();
    let fingerprint = security.identity.fingerprint.clone();
    let listener = GroupListener::bind(&settings.listen, security).await.unwrap();
    let address = listener.addresses().next().unwrap();
    let (reports, _reports) = mpsc::channel(8);
    let (sender, mut events) = mpsc::channel(8);
    let shutdown = Shutdown::new();
    let counters = listener.with_nodes(sender).serve(reports, Clock::real(), shutdown.clone());
    let link = |token: &str, fingerprint: Option<String>| {
        let join = Some(format!("localhost:{}", address.port()));
        let settings = GroupSettings { join, fingerprint, ..Default::default() };
        let name = "ns2".parse().unwrap();
        NodeLink::new(&settings, state.token_path(token), name, 7).unwrap().unwrap()
    };
    let wrong = link("reporter-token", None).connect().await.unwrap_err();
    assert!(wrong.contains("node-token"), "{wrong}");

    let mut connection = link("node-token", Some(fingerprint)).connect().await.unwrap();
    let hello = events.recv().await.unwrap();
    let GroupEventKind::Hello { role, name, .. } = &hello.kind else { panic!("{hello:?}") };
    assert_eq!((*role, name.as_str()), (Role::Director, "ns2"));
    let answers = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if matches!(event.kind, GroupEventKind::Message { .. }) {
                event.reply.send(Message::Keys { zones: Vec::new() });
            }
        }
    });
    let question = Message::KeysHeld { zones: Vec::new() };
    for _ in 0..2 {
        let answer = connection.ask(&question).await.unwrap();
        assert_eq!(answer, Message::Keys { zones: Vec::new() });
    }
    assert_eq!(counters.connected(), 0, "no Reporter is there");
    let wrong = connection.ask(&Message::Report(report(1))).await.unwrap_err();
    assert!(wrong.contains("which keys it holds"), "{wrong}");
    assert_eq!(counters.refused(), 2);
    shutdown.request();
    answers.await.unwrap();
}
