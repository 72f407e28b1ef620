//! A whole Controller with its disk, Reporters and probes, in time that moves when told.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use walrus_core::config::{
    Configuration, Context, GroupSettings, ReporterSettings, SourceFile, parse,
};
use walrus_core::plan::{Digests, Plan};
use walrus_core::world::{
    Life, Name, Observation, OverrideState, Report, ReportBody, Statistics, Target, Time,
};
use walrus_host::clock::{Clock, ManualClock};
use walrus_host::group::{GroupListener, GroupSecurity};
use walrus_host::link::Link;
use walrus_host::shutdown::Shutdown;
use walrus_host::state::StateDirectory;

use super::*;

fn configuration(more: &str, servers: &str) -> Arc<Configuration> {
    let text = format!(
        r#"
zone = "example.com"
nameservers = ["ns1.example.com"]
[node]
name = "box"
roles = ["controller"]
[control]
round = "5s"
server_ramp = "0s"
{more}
[[cluster]]
name = "frankfurt"
{servers}
[[area]]
name = "europe"
home = "frankfurt"
clients = ["198.51.100.0/24"]
[[service]]
name = "www.example.com"
"#
    );
    let files = [SourceFile { name: "test.toml".to_owned(), text }];
    let context = Context { hostname: "box", read: &|_| Err("no such file".to_owned()) };
    let parsed = parse(&files, &context).unwrap_or_else(|problems| panic!("{problems:#?}"));
    Arc::new(parsed.configuration)
}

/// Two servers with Reporters.
fn reporting() -> Arc<Configuration> {
    configuration(
        "",
        r#"servers = [
             { name = "fra1", addresses = ["192.0.2.10"], reporter = true },
             { name = "fra2", addresses = ["192.0.2.11"], reporter = true },
           ]"#,
    )
}

/// Two servers that nothing is known of.
fn plain() -> Arc<Configuration> {
    configuration(
        "",
        r#"servers = [
             { name = "fra1", addresses = ["192.0.2.10"] },
             { name = "fra2", addresses = ["192.0.2.11"] },
           ]"#,
    )
}

struct Running {
    handle: ControllerHandle,
    clock: Clock,
    hand: ManualClock,
    shutdown: Shutdown,
}

fn run(directory: &Path, configuration: Arc<Configuration>) -> Running {
    let (clock, hand) = Clock::manual();
    let shutdown = Shutdown::new();
    let state = Arc::new(StateDirectory::open(directory).unwrap());
    let handle = spawn(ControllerStart {
        configuration,
        digests: Digests::default(),
        plan: state.load_plan().logged().map(Arc::new),
        state,
        clock: clock.clone(),
        seed: 1,
        shutdown: shutdown.clone(),
        group: None,
        bus: None,
    });
    Running { handle, clock, hand, shutdown }
}

impl Running {
    async fn end(self) {
        self.shutdown.request();
        self.handle.ended().await;
        // The listener's and notifier's tasks end with the runtime; the directory is let go of
        // with the last clone of it, which the disk's writer held.
    }

    fn plan(&self) -> Arc<Plan> {
        self.handle.plan().borrow().clone().expect("there is a Plan")
    }

    fn life(&self, server: &str) -> Life {
        let plan = self.plan();
        plan.servers.iter().find(|s| s.name.as_str() == server).unwrap().life
    }

    fn link(&self, server: &str) -> Link {
        let (events, clock) = (self.handle.events(), self.clock.clone());
        Link::local(server.parse().unwrap(), 1, events, None, clock, self.shutdown.clone())
    }
}

fn report(server: &str, sequence: u64, body: ReportBody) -> Report {
    Report {
        server: server.parse().unwrap(),
        session: 1,
        sequence,
        unit_ms: 1000,
        sent_unix_ms: 0,
        version: None,
        body,
        requests: None,
    }
}

fn idle() -> ReportBody {
    ReportBody::Statistics(Statistics {
        busy: Some(1),
        busy_max: Some(10),
        ..Statistics::default()
    })
}

#[tokio::test]
async fn a_plan_comes_is_kept_and_its_epoch_rises_with_each_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut last = None;
    for start in 1..=3 {
        let running = run(directory.path(), plain());
        assert_eq!(running.handle.plan().borrow().as_deref(), last.as_ref(), "the stored Plan");
        running.hand.run_to(Time::from_secs(6)).await;
        let plan = running.plan();
        assert_eq!(plan.number.epoch, start);
        assert_eq!(plan.services.len(), 1);
        running.end().await;
        last = Some((*plan).clone());
    }
    let state = StateDirectory::open(directory.path()).unwrap();
    assert_eq!(state.load_plan().value, last);
    assert_eq!(state.load_epoch().value, 3);
    assert!(!state.read_journal().is_empty());
}

#[tokio::test]
async fn damaged_state_is_no_reason_not_to_start() {
    let directory = tempfile::tempdir().unwrap();
    for file in ["plan.json", "epoch", "epoch.copy", "overrides.json", "journal.jsonl"] {
        std::fs::write(directory.path().join(file), b"\xff{garbage").unwrap();
    }
    let running = run(directory.path(), plain());
    running.hand.run_to(Time::from_secs(1)).await;
    assert_eq!(running.plan().number.epoch, 1);
    running.end().await;
}

#[tokio::test]
async fn a_disk_that_refuses_stops_nothing_but_is_told_of() {
    let directory = tempfile::tempdir().unwrap();
    let running = run(&directory.path().join("state"), plain());
    running.hand.run_to(Time::from_secs(1)).await;
    std::fs::remove_dir_all(directory.path().join("state")).unwrap();
    let before = running.plan().number.clone();
    let target = Target::Server("fra1".parse().unwrap());
    let result = running.handle.set_override(target, OverrideState::Drained, false, None).await;
    assert!(matches!(result, Err(OverrideError::Unstored(_))), "{result:?}");
    running.hand.run_to(Time::from_secs(7)).await;
    assert!(running.plan().number > before);
    assert_eq!(running.life("fra1"), Life::Drained);
    running.end().await;
}

#[tokio::test]
async fn reporters_are_heard_and_their_silence_too() {
    let directory = tempfile::tempdir().unwrap();
    let running = run(directory.path(), reporting());
    let links = [running.link("fra1"), running.link("fra2")];
    for second in 1..=10 {
        links[0].send(report("fra1", second, idle()));
        if second <= 5 {
            links[1].send(report("fra2", second, idle()));
        }
        running.hand.run_to(Time::from_secs(second)).await;
        if second == 5 {
            assert_eq!((running.life("fra1"), running.life("fra2")), (Life::Living, Life::Living));
            assert_eq!(links[1].status().taken, Some((1, 5)));
        }
    }
    assert_eq!((running.life("fra1"), running.life("fra2")), (Life::Living, Life::Dead));

    links[0].send(report("fra1", 10, idle()));
    running.handle.settle().await;
    let problem = links[0].status().problem.unwrap();
    assert!(problem.contains("sequence 10"), "{problem}");
    let stranger = running.link("fra9");
    running.handle.settle().await;
    assert!(stranger.status().problem.unwrap().contains("fra9"));

    let panic = ReportBody::Panic { reason: "web server dead".to_owned() };
    links[0].send(report("fra1", 11, panic));
    running.hand.run_to(running.hand.now() + Duration::from_secs(1)).await;
    assert_eq!(running.life("fra1"), Life::Panic);
    let status = running.handle.status().await.unwrap();
    assert_eq!(status.servers.len(), 2);
    running.end().await;
}

#[tokio::test]
async fn what_was_said_while_the_process_stood_still_is_heard_before_silence_is_judged() {
    let directory = tempfile::tempdir().unwrap();
    let running = run(directory.path(), reporting());
    let links = [running.link("fra1"), running.link("fra2")];
    for second in 1..=5 {
        links.iter().zip(["fra1", "fra2"]).for_each(|(link, server)| {
            link.send(report(server, second, idle()));
        });
        running.hand.run_to(Time::from_secs(second)).await;
    }
    let before = running.plan().number.clone();
    // A minute in one leap, as after SIGSTOP; then what waited in a socket gets here, late.
    running.hand.advance_to(Time::from_secs(65));
    running.hand.settled().await;
    running.hand.run_to(Time::from_secs(66)).await;
    links[0].send(report("fra1", 6, idle()));
    running.hand.run_to(Time::from_secs(67)).await;
    assert_eq!(running.plan().number, before, "nothing is judged yet");
    links[0].send(report("fra1", 7, idle()));
    running.hand.run_to(Time::from_secs(68)).await;
    assert_eq!((running.life("fra1"), running.life("fra2")), (Life::Living, Life::Dead));
    running.end().await;
}

#[tokio::test]
async fn what_had_arrived_by_a_deadline_is_heard_before_it_is_judged() {
    let directory = tempfile::tempdir().unwrap();
    let running = run(directory.path(), reporting());
    let link = running.link("fra1");
    for second in 1..=5 {
        link.send(report("fra1", second, idle()));
        running.hand.run_to(Time::from_secs(second)).await;
    }
    // Two units and half a second after the last report it would be dead.
    running.hand.run_to(Time::from_millis(7_400)).await;
    // In the queue when the Controller wakes for its deadline.
    link.send(report("fra1", 6, idle()));
    running.hand.advance_to(Time::from_millis(7_600));
    running.hand.run_to(Time::from_millis(7_700)).await;
    assert_eq!(running.life("fra1"), Life::Living);
    running.end().await;
}

#[tokio::test]
async fn a_lost_connection_is_silence_within_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let running = run(directory.path(), reporting());
    let link = running.link("fra1");
    for minute in 0..3 {
        let unit_ms = 60_000;
        link.send(Report { unit_ms, ..report("fra1", minute + 1, idle()) });
        running.hand.run_to(Time::from_secs(60 * minute + 10)).await;
    }
    assert_eq!(running.life("fra1"), Life::Living);
    drop(link);
    running.hand.run_to(Time::from_secs(131)).await;
    // All of its service: nobody knows whether it died or the way to it did.
    assert_eq!(running.life("fra1"), Life::Unknown);
    running.end().await;
}

#[tokio::test]
async fn probes_find_a_server_that_is_gone_and_one_that_is_back() {
    // Addresses of its own: nobody else may take the port while it is free.
    let listener = TcpListener::bind("127.0.41.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let servers = format!(
        r#"probe = {{ tcp = {}, every = "1s", timeout = "500ms", rise = 2, fall = 2, jitter = 0.0 }}
           servers = [{{ name = "fra1", addresses = ["127.0.41.1"] }},
                      {{ name = "fra2", addresses = ["127.0.41.2"] }}]"#,
        address.port()
    );
    let directory = tempfile::tempdir().unwrap();
    let running = run(directory.path(), configuration("", &servers));
    running.hand.run_to(Time::from_secs(6)).await;
    assert_eq!((running.life("fra1"), running.life("fra2")), (Life::Living, Life::Dead));
    drop(listener);
    running.hand.run_to(Time::from_secs(12)).await;
    // It was the last that was heard.
    assert_eq!(running.life("fra1"), Life::Unknown);
    let _back = TcpListener::bind(address).await.unwrap();
    running.hand.run_to(Time::from_secs(18)).await;
    assert_eq!(running.life("fra1"), Life::Living);
    running.end().await;
}

#[tokio::test]
async fn drains_survive_a_restart_and_the_last_usable_server_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = |name: &str| Target::Server(name.parse().unwrap());
    let running = run(directory.path(), plain());
    let drain = |running: &Running, name: &str, force| {
        let (handle, target) = (running.handle.clone(), server(name));
        async move { handle.set_override(target, OverrideState::Drained, force, None).await }
    };
    running.hand.run_to(Time::from_secs(1)).await;
    drain(&running, "fra1", false).await.unwrap();
    assert!(matches!(drain(&running, "fra2", false).await, Err(OverrideError::Refused(_))));
    assert!(matches!(drain(&running, "fra9", true).await, Err(OverrideError::Refused(_))));
    running.end().await;

    let running = run(directory.path(), plain());
    running.hand.run_to(Time::from_secs(1)).await;
    assert_eq!((running.life("fra1"), running.life("fra2")), (Life::Drained, Life::Living));
    drain(&running, "fra2", true).await.unwrap();
    running.hand.run_to(Time::from_secs(2)).await;
    assert_eq!(running.life("fra2"), Life::Drained);
    running.end().await;
}

#[tokio::test]
async fn another_configuration_is_tried_then_put_in_force() {
    let directory = tempfile::tempdir().unwrap();
    let running = run(directory.path(), plain());
    running.hand.run_to(Time::from_secs(1)).await;
    let three = configuration(
        "",
        r#"servers = [{ name = "fra1", addresses = ["192.0.2.10"] },
                      { name = "fra3", addresses = ["192.0.2.13"] }]"#,
    );
    let tried = running.handle.dry_run(three.clone(), Digests::default()).await.unwrap();
    let names = |plan: &Plan| plan.servers.iter().map(|s| s.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&tried), ["fra1", "fra3"]);
    assert_eq!(names(&running.plan()), ["fra1", "fra2"]);
    running.handle.reconfigure(three, Digests::default()).await.unwrap();
    assert_eq!(names(&running.plan()), ["fra1", "fra3"]);

    let director: Name = "box".parse().unwrap();
    let observation = Observation { session: 1, sequence: 1, duration_ms: 1000, services: vec![] };
    running.handle.observe(director.clone(), observation).await.unwrap();
    let mut ahead = running.plan().number.clone();
    ahead.epoch = 40;
    running.handle.director_hello(director, Some(ahead), None).await.unwrap();
    running.handle.settle().await;
    running.hand.run_to(Time::from_secs(3)).await;
    assert_eq!(running.plan().number.epoch, 41);
    let handle = running.handle.clone();
    running.end().await;
    assert_eq!(handle.status().await, Err(ControllerGone));
    let state = StateDirectory::open(directory.path()).unwrap();
    assert_eq!(state.load_epoch().value, 41);
}

#[tokio::test]
async fn a_reporter_over_tls_is_heard_and_one_of_another_name_is_told_why_not() {
    let directory = tempfile::tempdir().unwrap();
    let state = Arc::new(StateDirectory::open(directory.path()).unwrap());
    let (clock, shutdown) = (Clock::real(), Shutdown::new());
    let name = "box".parse().unwrap();
    let security = GroupSecurity::load(&name, &GroupSettings::default(), &[], &state).unwrap();
    let fingerprint = security.identity.fingerprint.clone();
    let token_file = state.token_path("reporter-token");
    let group = GroupListener::bind(&["127.0.0.1:0".parse().unwrap()], security).await.unwrap();
    let address = group.addresses().next().unwrap();
    let handle = spawn(ControllerStart {
        configuration: reporting(),
        digests: Digests::default(),
        plan: None,
        state,
        clock: clock.clone(),
        seed: 1,
        shutdown: shutdown.clone(),
        group: Some(group),
        bus: None,
    });
    let link = |server: &str| {
        let settings = ReporterSettings {
            server: server.parse().unwrap(),
            controllers: vec![address.to_string()],
            unit: Duration::from_secs(1),
            source: None,
            memory_pressure_max: 0.1,
            memory_pressure_units: 3,
            bypass_file: None,
            version_file: None,
            access_log: None,
            insecure: false,
            authority: None,
            fingerprint: Some(fingerprint.clone()),
            token_file: Some(token_file.clone()),
            certificate: None,
            key: None,
            system: false,
        };
        Link::new(&settings, 1, clock.clone(), 1, shutdown.clone()).unwrap()
    };
    let (known, stranger) = (link("fra1"), link("fra9"));
    known.send(report("fra1", 1, ReportBody::Panic { reason: "no web server".to_owned() }));
    let mut plans = handle.plan();
    let panics = plans.wait_for(|plan| {
        let servers = plan.iter().flat_map(|plan| &plan.servers);
        servers.into_iter().any(|server| server.life == Life::Panic)
    });
    tokio::time::timeout(Duration::from_secs(10), panics).await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(10), async {
        while !stranger.status().problem.is_some_and(|problem| problem.contains("fra9")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    assert!(handle.group().unwrap().connected() >= 1);
    shutdown.request();
    handle.ended().await;
}

#[tokio::test]
async fn people_are_told_of_a_panic_once_and_of_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let told = directory.path().join("told");
    let notify = format!(
        "[notify]\nwebhook = \"http://127.0.0.1:1/\"\ncommand = [\"sh\", \"-c\", \"cat >> {}\"]",
        told.display()
    );
    let servers = r#"servers = [
        { name = "fra1", addresses = ["192.0.2.10"], reporter = true },
        { name = "fra2", addresses = ["192.0.2.11"] }]"#;
    let running = run(&directory.path().join("state"), configuration(&notify, servers));
    let link = running.link("fra1");
    for second in 1..=8 {
        let panic = ReportBody::Panic { reason: "no web server".to_owned() };
        link.send(report("fra1", second, if second < 5 { panic } else { idle() }));
        running.hand.run_to(Time::from_secs(second)).await;
    }
    // The webhook fails, which holds up neither a round nor the command.
    tokio::time::timeout(Duration::from_secs(30), async {
        while std::fs::read_to_string(&told).unwrap_or_default().lines().count() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    let told = std::fs::read_to_string(&told).unwrap();
    let lines: Vec<_> = told.lines().collect();
    assert!(lines[0].contains("\"recovered\":false") && lines[0].contains("fra1"), "{told}");
    assert!(lines[1].contains("\"recovered\":true"), "{told}");
    running.end().await;
}
