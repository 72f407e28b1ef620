//! A Reporter beside Apache, nginx and HAProxy themselves: what it tells of them is true, its own
//! looks are not among the hits, the clients in their access logs are told, and their death is a PANIC between two units.
//!
//! A web server that is not installed is skipped, loudly.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use walrus_core::config::{AccessLogSettings, ReporterSettings, ReporterSource};
use walrus_core::message::Message;
use walrus_core::world::{Report, ReportBody, RequestCounts, Statistics};
use walrus_host::clock::Clock;
use walrus_host::group::{GroupEvent, GroupEventKind};
use walrus_host::link::Link;
use walrus_host::shutdown::Shutdown;

/// Pages that a client asks for.
const PAGES: u64 = 20;

#[tokio::test]
async fn apache() {
    let folder = tempfile::tempdir().unwrap();
    let page = free_address();
    let configuration = format!(
        "ServerRoot {folder}\nServerName web.example\nPidFile {folder}/pid\nListen {page}\n\
         ErrorLog {folder}/errors\nDocumentRoot {folder}\nUser nobody\nGroup nogroup\n\
         CustomLog {folder}/access.log \"%h %l %u %t \\\"%r\\\" %>s %b\"\n\
         LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n\
         LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n\
         LoadModule status_module /usr/lib/apache2/modules/mod_status.so\n\
         StartServers 1\nThreadsPerChild 25\nMaxRequestWorkers 75\n\
         <Location /server-status>\nSetHandler server-status\n</Location>\n",
        folder = folder.path().display(),
    );
    let file = write(folder.path(), &configuration);
    // `-X` is one process, so that killing it leaves no other behind.
    let Some(web) = start("apache2", &["-X", "-f", &file]) else { return };
    let source =
        ReporterSource::Apache { url: format!("http://{page}/server-status?auto"), busy_max: None };
    check(web, page, source, 75, Some(folder.path().join("access.log"))).await;
}

#[tokio::test]
async fn nginx() {
    let folder = tempfile::tempdir().unwrap();
    let page = free_address();
    let configuration = format!(
        "daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;\n\
         events {{ worker_connections 256; }}\n\
         http {{ access_log {folder}/access.log; client_body_temp_path {folder}/1; proxy_temp_path {folder}/2;\n\
         fastcgi_temp_path {folder}/3; uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;\n\
         server {{ listen {page}; location / {{ return 200 hello; }}\n\
         location /nginx_status {{ stub_status; }} }} }}\n",
        folder = folder.path().display(),
    );
    let file = write(folder.path(), &configuration);
    let Some(web) = start("nginx", &["-c", &file]) else { return };
    let source =
        ReporterSource::Nginx { url: format!("http://{page}/nginx_status"), busy_max: Some(256) };
    check(web, page, source, 256, Some(folder.path().join("access.log"))).await;
}

#[tokio::test]
async fn haproxy() {
    let folder = tempfile::tempdir().unwrap();
    let (page, status) = (free_address(), free_address());
    let configuration = format!(
        "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n\
         frontend www\n bind {page}\n maxconn 200\n http-request return status 200\n\
         listen stats\n bind {status}\n stats enable\n stats uri /stats\n"
    );
    let file = write(folder.path(), &configuration);
    let Some(web) = start("haproxy", &["-db", "-f", &file]) else { return };
    let source = ReporterSource::Haproxy {
        url: format!("http://{status}/stats;csv"),
        proxy: "www".to_owned(),
        busy_max: None,
    };
    check(web, page, source, 200, None).await;
}

/// Statistics that are true; then the web server is killed.
async fn check(
    mut web: Process,
    page: SocketAddr,
    source: ReporterSource,
    busy_max: u64,
    log: Option<PathBuf>,
) {
    until_it_answers(page).await;
    let mut reporter = Reporter::start(source, Duration::from_secs(1), log.clone());
    let (first, _) = reporter.next_statistics().await;
    assert_eq!(first.busy_max, Some(busy_max));
    // A web server may count a request some time after its reply: those that showed it to be there are over by now.
    let (_, counted) = reporter.next_statistics().await;
    let mut requests = counted.iter().flat_map(|it| &it.domains).map(|it| it.queries).sum::<u64>();
    for _ in 0..PAGES {
        get(page).await.unwrap();
    }
    // The pages and nothing else: neither lost nor mixed with the Reporter's own requests.
    let mut hits = 0;
    for _ in 0..4 {
        let (statistics, counted) = reporter.next_statistics().await;
        assert_eq!(counted.is_some(), log.is_some());
        for counted in counted.iter().flat_map(|counted| &counted.domains) {
            assert_eq!(counted.domain, "127.0.0.0/24");
            requests += counted.queries;
        }
        assert!(statistics.busy <= Some(1), "{statistics:?}");
        hits += statistics.hits.unwrap();
    }
    assert_eq!(hits, PAGES);
    assert_eq!(requests, log.map_or(0, |_| PAGES));

    // With so long a unit only the looks in between can tell.
    let mut patient = Reporter::start(reporter.source.clone(), Duration::from_secs(300), None);
    patient.next().await;
    web.0.kill().unwrap();
    web.0.wait().unwrap();
    let last = patient.next().await.body;
    assert!(matches!(&last, ReportBody::Panic { .. }), "{last:?}");
}

struct Reporter {
    source: ReporterSource,
    heard: mpsc::Receiver<GroupEvent>,
}

impl Reporter {
    fn start(source: ReporterSource, unit: Duration, log: Option<PathBuf>) -> Self {
        let settings = ReporterSettings {
            server: "fra1".parse().unwrap(),
            controllers: Vec::new(),
            unit,
            source: Some(source.clone()),
            memory_pressure_max: 1.0,
            memory_pressure_units: 3,
            bypass_file: None,
            version_file: None,
            access_log: log.map(|path| AccessLogSettings {
                path,
                prefix_ipv4: 24,
                prefix_ipv6: 48,
            }),
            insecure: false,
            authority: None,
            fingerprint: None,
            token_file: None,
            certificate: None,
            key: None,
            system: false,
        };
        let (events, heard) = mpsc::channel(16);
        let (clock, shutdown) = (Clock::real(), Shutdown::new());
        let link =
            Link::local(settings.server.clone(), 1, events, None, clock.clone(), shutdown.clone());
        tokio::spawn(walrus_reporter::run(settings, 1, link, clock, shutdown));
        Self { source, heard }
    }

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
        tokio::time::timeout(Duration::from_secs(20), next).await.expect("a report within 20 s")
    }

    async fn next_statistics(&mut self) -> (Statistics, Option<RequestCounts>) {
        let mut last = None;
        for _ in 0..5 {
            let report = self.next().await;
            match report.body {
                ReportBody::Statistics(statistics) => return (statistics, report.requests),
                other => last = Some(other),
            }
        }
        panic!("no statistics: {last:?}");
    }
}

/// A child process that does not outlive the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &str, arguments: &[&str]) -> Option<Process> {
    let path = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"]
        .map(|folder| Path::new(folder).join(program))
        .into_iter()
        .find(|path| path.exists());
    let Some(path) = path else {
        // Past the test harness, which keeps what passing tests print to itself.
        let _ =
            writeln!(std::io::stderr(), "\nSKIPPED: a Reporter beside it: {program} not installed");
        return None;
    };
    let child = Command::new(path)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Some(Process(child))
}

fn write(folder: &Path, configuration: &str) -> String {
    let file = folder.join("configuration");
    std::fs::write(&file, configuration).unwrap();
    file.to_str().unwrap().to_owned()
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

async fn until_it_answers(page: SocketAddr) {
    for _ in 0..100 {
        if TcpStream::connect(page).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the web server does not answer within 10 s");
}

async fn get(page: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(page).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n").await?;
    stream.read_to_end(&mut Vec::new()).await.map(|_| ())
}
