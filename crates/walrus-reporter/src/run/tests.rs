//! A Reporter beside a web server that the test breaks, over real sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use walrus_core::config::ReporterSource;
use walrus_core::message::Message;
use walrus_host::group::{GroupEvent, GroupEventKind};

use super::*;
use crate::system::{CpuCounters, Processes, SystemError, SystemReading};

/// A web server with a JSON status page; `dead` makes it close connections unanswered.
struct WebServer {
    url: String,
    dead: Arc<AtomicBool>,
    hits: Arc<AtomicU64>,
}

impl WebServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/status", listener.local_addr().unwrap());
        let (dead, hits) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let server = Self { url, dead: dead.clone(), hits: hits.clone() };
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                if dead.load(Ordering::Relaxed) {
                    continue;
                }
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let body =
                    format!(r#"{{"hits":{},"busy":3,"max":10}}"#, hits.load(Ordering::Relaxed));
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        server
    }
}

/// A running Reporter and what the Controller hears of it.
struct Running {
    heard: mpsc::Receiver<GroupEvent>,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<()>,
}

const SESSION: u64 = 77;

fn start(settings: ReporterSettings) -> Running {
    start_on(Machine, settings)
}

fn start_on(machine: impl System + Send + Sync + 'static, settings: ReporterSettings) -> Running {
    let (events, heard) = mpsc::channel(16);
    let (clock, shutdown) = (Clock::real(), Shutdown::new());
    let link = Link::local(
        settings.server.clone(),
        SESSION,
        events,
        None,
        clock.clone(),
        shutdown.clone(),
    );
    let task = tokio::spawn(run_on(machine, settings, SESSION, link, clock, shutdown.clone()));
    Running { heard, shutdown, task }
}

impl Running {
    async fn next(&mut self) -> Report {
        let next = async {
            loop {
                let event = self.heard.recv().await.expect("the Reporter runs");
                if let GroupEventKind::Message { message: Message::Report(report), .. } = event.kind
                {
                    return report;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), next).await.expect("a report within 10 s")
    }

    /// The next report for which this holds, of at most twenty.
    async fn next_with(&mut self, holds: impl Fn(&ReportBody) -> bool) -> Report {
        for _ in 0..20 {
            let report = self.next().await;
            if holds(&report.body) {
                return report;
            }
        }
        panic!("twenty reports later still nothing");
    }
}

fn settings(source: Option<ReporterSource>) -> ReporterSettings {
    ReporterSettings {
        server: "fra1".parse().unwrap(),
        controllers: Vec::new(),
        unit: UNIT_MIN,
        source,
        memory_pressure_max: 1.0,
        memory_pressure_units: 3,
        bypass_file: None,
        version_file: None,
        access_log: None,
        insecure: false,
        authority: None,
        fingerprint: None,
        token_file: None,
        certificate: None,
        key: None,
        system: cfg!(target_os = "linux"),
    }
}

#[tokio::test]
async fn statistics_panic_and_recovery_are_told() {
    let web = WebServer::start().await;
    let source = ReporterSource::Json {
        url: web.url.clone(),
        hits: Some("hits".to_owned()),
        busy: Some("busy".to_owned()),
        busy_max: Some("max".to_owned()),
    };
    let mut running = start(settings(Some(source)));
    let first = running.next().await;
    assert!(matches!(first.body, ReportBody::Statistics(_)), "{first:?}");
    assert_eq!((first.session, first.sequence, first.unit_ms), (SESSION, 1, 1000));
    web.hits.store(12, Ordering::Relaxed);
    let second = running.next().await;
    assert_eq!(second.sequence, 2);
    let ReportBody::Statistics(statistics) = &second.body else { panic!("{second:?}") };
    assert_eq!((statistics.hits, statistics.busy), (Some(12), Some(3)));
    assert_eq!(statistics.busy_max, Some(10));
    assert!(statistics.duration_ms >= 900, "{statistics:?}");
    if cfg!(target_os = "linux") {
        assert!(statistics.cpu_idle.is_some() && statistics.memory_free_bytes.is_some());
    }

    web.dead.store(true, Ordering::Relaxed);
    running.next_with(|body| matches!(body, ReportBody::Panic { .. })).await;
    web.dead.store(false, Ordering::Relaxed);
    running.next_with(|body| matches!(body, ReportBody::Statistics(_))).await;
    running.shutdown.request();
    running.task.await.unwrap();
}

#[tokio::test]
async fn the_operators_files_are_heard_between_units() {
    let folder = tempfile::tempdir().unwrap();
    let (bypass, version) = (folder.path().join("bypass"), folder.path().join("version"));
    std::fs::write(&version, "2026-11\n").unwrap();
    let mut running = start(ReporterSettings {
        // Too long for anything to be told at a unit.
        unit: Duration::from_secs(60),
        bypass_file: Some(bypass.clone()),
        version_file: Some(version),
        ..settings(None)
    });
    assert_eq!(running.next().await.version.as_deref(), Some("2026-11"));
    std::fs::write(&bypass, "new disk").unwrap();
    let report = running.next().await;
    assert_eq!(report.body, ReportBody::Bypass { reason: "new disk".to_owned() });
    std::fs::remove_file(&bypass).unwrap();
    assert!(matches!(running.next().await.body, ReportBody::Statistics(_)));
}

/// A system of its own kind: one processor, idle, whose tasks wait for memory an eighth of the time.
#[derive(Default)]
struct Pressed(AtomicU64);

impl System for Pressed {
    fn read(&self) -> Result<SystemReading, SystemError> {
        let idle = 100 * self.0.fetch_add(1, Ordering::Relaxed);
        Ok(SystemReading {
            cpu: CpuCounters { idle, ..CpuCounters::default() },
            memory_pressure_basis_points: Some(1250),
            processors: Some(1),
            ..SystemReading::default()
        })
    }

    fn processes(&self) -> Option<Processes> {
        Some(Processes { runnable: 4, blocked: 2 })
    }
}

#[tokio::test]
async fn another_system_is_reported_as_it_says_and_its_memory_pressure_is_bypass() {
    let settings = ReporterSettings {
        memory_pressure_max: 0.1,
        memory_pressure_units: 2,
        system: true,
        ..settings(None)
    };
    let mut running = start_on(Pressed::default(), settings);
    let first = running.next().await;
    let ReportBody::Statistics(statistics) = first.body else { panic!("{first:?}") };
    assert_eq!(statistics.cpu_idle, Some(1.0));
    assert_eq!((statistics.runnable, statistics.blocked), (Some(4), Some(2)));
    assert_eq!((statistics.processors, statistics.memory_free_bytes), (Some(1), None));
    running.next_with(|body| matches!(body, ReportBody::Bypass { .. })).await;
}

#[test]
fn a_unit_that_was_slept_through_is_not_made_up_for() {
    let unit = Duration::from_secs(10);
    let seconds = Time::from_secs;
    assert_eq!(after(seconds(10), unit, seconds(11)), seconds(20));
    assert_eq!(after(seconds(10), unit, seconds(500)), seconds(510));
}
