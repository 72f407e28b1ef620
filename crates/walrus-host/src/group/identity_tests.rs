//! Tokens and certificates of one's own, over real sockets on loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use walrus_core::config::{GroupSettings, IdentitySettings, ReporterSettings};
use walrus_core::message::{Hello, Message, Role, VERSION};
use walrus_core::world::{IdentityRole, OperatorRight, Report, ReportBody, Statistics, TokenHash};

use super::*;
use crate::clock::Clock;
use crate::frame::{self, FRAME_MAX};
use crate::link::{Link, LinkStatus};
use crate::shutdown::Shutdown;
use crate::state::StateDirectory;
use crate::tls::{Issued, Revoked, Serial, issue, new_authority, revocation_list};

const LONG: Duration = Duration::from_secs(20);

struct Listening {
    directory: tempfile::TempDir,
    state: StateDirectory,
    address: SocketAddr,
    fingerprint: String,
    door: GroupDoor,
    counters: Arc<GroupCounters>,
    events: mpsc::Receiver<GroupEvent>,
    shutdown: Shutdown,
}

impl Listening {
    async fn start(settings: GroupSettings, identities: &[IdentitySettings]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(&directory.path().join("state")).unwrap();
        let security = load(&state, &settings, identities);
        let fingerprint = security.identity.fingerprint.clone();
        let listen = ["127.0.0.1:0".parse().unwrap()];
        let listener = GroupListener::bind(&listen, security).await.unwrap();
        let (address, door) = (listener.addresses().next().unwrap(), listener.door());
        let (sender, events) = mpsc::channel(64);
        let (nodes, mut of_nodes) = mpsc::channel::<GroupEvent>(64);
        // Nobody answers nodes here; what they say must not fill the queue.
        tokio::spawn(async move { while of_nodes.recv().await.is_some() {} });
        let shutdown = Shutdown::new();
        let counters = listener.with_nodes(nodes).serve(sender, Clock::real(), shutdown.clone());
        Self { directory, state, address, fingerprint, door, counters, events, shutdown }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        put(self.directory.path(), name, text)
    }

    /// What is answered to a hello, and the connection.
    async fn hello(&self, role: Role, name: &str, token: &str) -> (TcpStream, Message) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let hello = Message::Hello(Hello {
            role,
            name: name.parse().unwrap(),
            session: 1,
            versions: vec![VERSION],
            token: Some(token.to_owned()),
            plan: None,
            refused: None,
            marks: None,
            program: String::new(),
        });
        frame::write(&mut stream, &hello).await.unwrap();
        let answer = next(&mut stream).await.unwrap();
        (stream, answer)
    }

    async fn refusal(&self, role: Role, name: &str, token: &str) -> String {
        match self.hello(role, name, token).await.1 {
            Message::Refused { reason } => reason,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn reporter(&self, issued: Option<&Issued>) -> ReporterSettings {
        let certificate = issued.map(|issued| self.file("fra1.pem", &issued.certificate));
        let key = issued.map(|issued| self.file("fra1.key", &issued.key));
        ReporterSettings {
            server: "fra1".parse().unwrap(),
            controllers: vec![format!("localhost:{}", self.address.port())],
            unit: Duration::from_secs(1),
            source: None,
            memory_pressure_max: 0.1,
            memory_pressure_units: 3,
            bypass_file: None,
            version_file: None,
            access_log: None,
            insecure: false,
            authority: None,
            fingerprint: Some(self.fingerprint.clone()),
            token_file: None,
            certificate,
            key,
            system: false,
        }
    }
}

async fn next(stream: &mut TcpStream) -> Option<Message> {
    timeout(LONG, frame::read(stream, FRAME_MAX)).await.unwrap().unwrap()
}

fn put(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn load(
    state: &StateDirectory,
    settings: &GroupSettings,
    identities: &[IdentitySettings],
) -> GroupSecurity {
    GroupSecurity::load(&"controller".parse().unwrap(), settings, identities, state).unwrap()
}

fn identity(role: IdentityRole, name: &str, tokens: &[&str]) -> IdentitySettings {
    IdentitySettings {
        name: name.parse().unwrap(),
        role,
        may: OperatorRight::Steer,
        token_sha256: tokens.iter().map(|token| TokenHash::of(token)).collect(),
        token_file: None,
        certificate: Vec::new(),
    }
}

fn report() -> Report {
    Report {
        server: "fra1".parse().unwrap(),
        session: 1,
        sequence: 1,
        unit_ms: 60_000,
        sent_unix_ms: 0,
        version: None,
        body: ReportBody::Statistics(Statistics::default()),
        requests: None,
    }
}

async fn until(link: &Link, wanted: impl Fn(&LinkStatus) -> bool) -> LinkStatus {
    timeout(LONG, async {
        while !wanted(&link.status()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        link.status()
    })
    .await
    .unwrap_or_else(|_| panic!("not in time: {:?}", link.status()))
}

/// The authority's list that takes this certificate back.
fn revoking(authority: &Issued, issued: &Issued) -> String {
    let serial = Serial::of(&issued.certificate).unwrap();
    let revoked = [Revoked { serial, unix_s: now() }];
    revocation_list(&authority.key, &revoked, now(), 30).unwrap()
}

fn now() -> u64 {
    Clock::real().unix_ms() / 1000
}

#[tokio::test]
async fn a_token_speaks_for_one_name_in_one_role() {
    let identities = [
        identity(IdentityRole::Reporter, "fra1", &["own-old", "own-new"]),
        identity(IdentityRole::Node, "ns2", &["node-two"]),
    ];
    let group = Listening::start(GroupSettings::default(), &identities).await;
    for token in ["own-old", "own-new"] {
        let (_, answer) = group.hello(Role::Reporter, "fra1", token).await;
        assert!(matches!(answer, Message::Hello(_)), "{token}: {answer:?}");
    }
    let (_, answer) = group.hello(Role::Director, "ns2", "node-two").await;
    assert!(matches!(answer, Message::Hello(_)), "{answer:?}");
    let shared = group.state.token("reporter-token").unwrap();
    for (role, name, token, wanted) in [
        (Role::Reporter, "fra2", "own-new", "the token of Reporter `fra1`"),
        (Role::Director, "fra1", "own-new", "the token of Reporter `fra1`"),
        (Role::Reporter, "ns2", "node-two", "the token of node `ns2`"),
        (Role::Controller, "ns3", "node-two", "the token of node `ns2`"),
        (Role::Reporter, "fra2", shared.secret(), "needs a token of its own"),
        (Role::Reporter, "fra1", "guess", "a wrong token"),
    ] {
        let reason = group.refusal(role, name, token).await;
        assert!(reason.contains(wanted), "{role:?} {name}: {reason}");
        assert!(!reason.contains(token), "the answer tells the token");
    }
    let told = group.counters.refusals();
    assert_eq!(told.len(), 6);
    assert_eq!(told[0].from, Some("127.0.0.1".parse().unwrap()));
    assert!(told[0].reason.contains("a wrong token"), "{told:?}");
    group.refusal(Role::Reporter, "fra1", "another guess").await;
    assert_eq!(group.counters.refusals()[0].count, 2);
    // Whatever is brought, what is remembered is bounded.
    for index in 0..40 {
        group.refusal(Role::Reporter, &format!("s{index}"), "guess").await;
    }
    assert_eq!(group.counters.refusals().len(), 16);
    group.shutdown.request();
}

/// Whoever reaches the port may write a name or role; it must not reach a terminal as it is.
#[tokio::test]
async fn what_strangers_say_is_told_in_part_and_obeyed_by_no_terminal() {
    let group = Listening::start(GroupSettings::default(), &[]).await;
    let rude = format!("\\u001b]0;owned\\u0007\\n{}", "x".repeat(20_000));
    for (role, name) in [("reporter", rude.as_str()), (&rude, "fra1")] {
        let text = format!(
            r#"{{"walrus":1,"kind":"hello","role":"{role}","name":"{name}","session":1,"versions":[1]}}"#
        );
        let mut stream = TcpStream::connect(group.address).await.unwrap();
        let mut frame = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(text.as_bytes());
        tokio::io::AsyncWriteExt::write_all(&mut stream, &frame).await.unwrap();
        let Some(Message::Refused { reason }) = next(&mut stream).await else { panic!("let in") };
        let told = group.counters.refusals().remove(0).reason;
        for told in [reason, told] {
            assert!(told.len() < 700 && told.contains("u{1b}]0;owned"), "{told}");
            assert!(!told.contains(char::is_control), "{told}");
        }
    }
    group.shutdown.request();
}

#[tokio::test]
async fn who_may_no_longer_speak_is_closed_and_others_stay() {
    let (one, two) = ("fra1", "fra2");
    let both = [
        identity(IdentityRole::Reporter, one, &["one"]),
        identity(IdentityRole::Reporter, two, &["two"]),
    ];
    let settings = GroupSettings::default();
    let mut group = Listening::start(settings.clone(), &both).await;
    let (mut first, _) = group.hello(Role::Reporter, one, "one").await;
    let (mut second, _) = group.hello(Role::Reporter, two, "two").await;
    let rotated = [identity(IdentityRole::Reporter, one, &["one", "next"]), both[1].clone()];
    group.door.replace(load(&group.state, &settings, &rotated));
    let (_third, answer) = group.hello(Role::Reporter, one, "next").await;
    assert!(matches!(answer, Message::Hello(_)), "{answer:?}");
    let revoked = [identity(IdentityRole::Reporter, one, &["next"]), both[1].clone()];
    group.door.replace(load(&group.state, &settings, &revoked));
    let Some(Message::Refused { reason }) = next(&mut first).await else { panic!("still there") };
    assert!(reason.starts_with("no longer admitted: a wrong token"), "{reason}");
    assert!(next(&mut first).await.is_none(), "it is closed");
    // The other one goes on reporting.
    let report = Report { server: two.parse().unwrap(), ..report() };
    frame::write(&mut second, &Message::Report(report)).await.unwrap();
    timeout(LONG, async {
        while let Some(event) = group.events.recv().await {
            if let GroupEventKind::Message { name, .. } = event.kind {
                assert_eq!(name.as_str(), two);
                return;
            }
        }
    })
    .await
    .unwrap();
    group.shutdown.request();
}

#[tokio::test]
async fn a_certificate_speaks_for_the_name_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (new_authority(now()).unwrap(), new_authority(now()).unwrap());
    let settings = GroupSettings {
        client_authority: Some(put(folder.path(), "clients.pem", &ours.certificate)),
        ..Default::default()
    };
    let mut group = Listening::start(settings, &[]).await;
    let fra1 = "fra1".parse().unwrap();
    let good = issue(&ours.key, (IdentityRole::Reporter, &fra1), now(), 7).unwrap();
    let link = |settings: &ReporterSettings| {
        Link::new(settings, 1, Clock::real(), 3, group.shutdown.clone()).unwrap()
    };
    // Nothing but the certificate; and the connection is encrypted, for else there would be none.
    let welcome = link(&group.reporter(Some(&good)));
    welcome.send(report());
    let connected = until(&welcome, |status| status.controller.is_some()).await;
    assert_eq!(connected.problem, None);
    let event = timeout(LONG, group.events.recv()).await.unwrap().unwrap();
    let GroupEventKind::Hello { name, .. } = &event.kind else { panic!("{event:?}") };
    assert_eq!(name.as_str(), "fra1");
    drop(welcome);

    let fra2 = "fra2".parse().unwrap();
    let other = issue(&ours.key, (IdentityRole::Reporter, &fra2), now(), 7).unwrap();
    let node = issue(&ours.key, (IdentityRole::Node, &fra1), now(), 7).unwrap();
    for (issued, wanted) in [(&other, "walrus:reporter/fra2"), (&node, "walrus:node/fra1")] {
        let link = link(&group.reporter(Some(issued)));
        let told = until(&link, |status| status.problem.is_some()).await.problem.unwrap();
        assert!(told.contains(wanted) && told.contains("not of Reporter `fra1`"), "{told}");
    }
    // Of another authority, or long expired: the handshake fails.
    let foreign = issue(&theirs.key, (IdentityRole::Reporter, &fra1), now(), 7).unwrap();
    let old = issue(&ours.key, (IdentityRole::Reporter, &fra1), 1_000_000_000, 7).unwrap();
    for issued in [&foreign, &old] {
        let link = link(&group.reporter(Some(issued)));
        let told = until(&link, |status| status.problem.is_some()).await.problem.unwrap();
        assert!(told.contains("TLS") || told.contains("alert"), "{told}");
    }
    let told = group.counters.refusals();
    assert!(told.iter().any(|it| it.reason.contains("TLS handshake")), "{told:?}");
    // Without a certificate it takes a token of one's own, and there is none.
    let shared = group.state.token("reporter-token").unwrap();
    let reason = group.refusal(Role::Reporter, "fra1", shared.secret()).await;
    assert!(reason.contains("needs a token of its own"), "{reason}");
    group.shutdown.request();
}

#[tokio::test]
async fn a_certificate_that_was_taken_back_ends_its_connection() {
    let folder = tempfile::tempdir().unwrap();
    let ours = new_authority(now()).unwrap();
    let settings = GroupSettings {
        client_authority: Some(put(folder.path(), "clients.pem", &ours.certificate)),
        ..Default::default()
    };
    let group = Listening::start(settings.clone(), &[]).await;
    let fra1 = "fra1".parse().unwrap();
    let issued = issue(&ours.key, (IdentityRole::Reporter, &fra1), now(), 7).unwrap();
    let link =
        Link::new(&group.reporter(Some(&issued)), 1, Clock::real(), 3, group.shutdown.clone())
            .unwrap();
    until(&link, |status| status.controller.is_some()).await;
    // No list yet, and another authority from now on.
    let theirs = new_authority(now()).unwrap();
    put(folder.path(), "clients.pem", &theirs.certificate);
    group.door.replace(load(&group.state, &settings, &[]));
    let told = until(&link, |status| status.problem.is_some()).await.problem.unwrap();
    assert!(told.contains("no longer admitted") || told.contains("TLS"), "{told}");
    // Back, but with a list that names it.
    let list = revoking(&ours, &issued);
    put(folder.path(), "clients.pem", &ours.certificate);
    let revoking = GroupSettings {
        client_revocations: Some(put(folder.path(), "clients.crl", &list)),
        ..settings
    };
    group.door.replace(load(&group.state, &revoking, &[]));
    let before = group.counters.refused();
    timeout(LONG, async {
        while group.counters.refused() < before + 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    let told = group.counters.refusals();
    assert!(told.iter().any(|it| it.reason.contains("Revoked")), "{told:?}");
    group.shutdown.request();
}

#[tokio::test]
async fn a_certificate_that_expires_ends_its_connection() {
    const DAY: u64 = 86_400;
    let folder = tempfile::tempdir().unwrap();
    let ours = new_authority(now()).unwrap();
    let settings = GroupSettings {
        client_authority: Some(put(folder.path(), "clients.pem", &ours.certificate)),
        ..Default::default()
    };
    let group = Listening::start(settings, &[]).await;
    let fra1 = "fra1".parse().unwrap();
    // For a few seconds more; on a machine that is too slow for it, the handshake is refused for the same reason.
    let issued = issue(&ours.key, (IdentityRole::Reporter, &fra1), now() - DAY + 4, 1).unwrap();
    let settings = group.reporter(Some(&issued));
    let link = Link::new(&settings, 1, Clock::real(), 3, group.shutdown.clone()).unwrap();
    until(&link, |status| status.problem.is_some()).await;
    let told = group.counters.refusals();
    assert!(told.iter().any(|it| it.reason.contains("xpired")), "{told:?}");
    group.shutdown.request();
}

#[tokio::test]
async fn a_list_of_revocations_is_wanted_of_each_authority() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (new_authority(now()).unwrap(), new_authority(now()).unwrap());
    let fra1 = "fra1".parse().unwrap();
    let list = |of: &Issued| {
        let issued = issue(&of.key, (IdentityRole::Reporter, &fra1), now(), 7).unwrap();
        revoking(of, &issued)
    };
    let both = format!("{}{}", one.certificate, two.certificate);
    let (first, second) = (list(&one), list(&two));
    let load = |lists: &str| {
        let settings = GroupSettings {
            client_authority: Some(put(folder.path(), "clients.pem", &both)),
            client_revocations: Some(put(folder.path(), "clients.crl", lists)),
            ..Default::default()
        };
        crate::tls::ClientAuthority::load(&settings).map(|loaded| loaded.unwrap())
    };
    for missing in [&first, &format!("{first}{first}")] {
        let told = load(missing).unwrap_err().to_string();
        assert!(told.contains("holds no list of revocations of `Walrus identities "), "{told}");
    }
    let (loaded, again) = (load(&format!("{first}{second}")), load(&format!("{first}{second}")));
    // As it was: nobody needs another look.
    assert!(loaded.unwrap() == again.unwrap());
}
