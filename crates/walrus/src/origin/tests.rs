//! Real requests over real sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::serve;
use super::site::Site;

const SLOW: Duration = Duration::from_millis(300);

/// A site of two workers on a port of its own.
async fn site() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let site = Site::new("asia1<".to_owned(), "asia".to_owned(), 2, SLOW);
    tokio::spawn(serve::accept(listener, site));
    address
}

/// The whole answer as text; empty if the connection was closed unanswered.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{request} HTTP/1.1\r\nhost: x.example\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    match tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await {
        Ok(_) => String::from_utf8(answer).unwrap(),
        Err(_) => panic!("no answer to {request} within 10 s"),
    }
}

#[tokio::test]
async fn the_front_page_names_the_server_and_counts_hits() {
    let address = site().await;
    let page = ask(address, "GET /").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("Hello from asia1&lt;"), "{page}");
    ask(address, "GET /").await;
    let status = ask(address, "GET /status").await;
    let json: serde_json::Value =
        serde_json::from_str(status.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(json["hits"], 2);
    assert_eq!((&json["busy"], &json["busy_max"]), (&0.into(), &2.into()));
    assert_eq!(json["fault"], "ok");
}

#[tokio::test]
async fn apache_would_say_the_same() {
    let address = site().await;
    ask(address, "GET /").await;
    ask(address, "GET /server-status?auto").await;
    let status = ask(address, "GET /server-status?auto").await;
    for line in ["Total Accesses: 2", "BusyWorkers: 1", "IdleWorkers: 2", "Scoreboard: __"] {
        assert!(status.lines().any(|found| found == line), "{line} in {status}");
    }
}

#[tokio::test]
async fn down_closes_everything_unanswered_until_ok() {
    let address = site().await;
    assert!(ask(address, "POST /fault/down").await.starts_with("HTTP/1.1 200"));
    for path in ["/", "/healthz", "/status", "/server-status?auto"] {
        assert_eq!(ask(address, &format!("GET {path}")).await, "", "{path}");
    }
    assert!(ask(address, "POST /fault/ok").await.starts_with("HTTP/1.1 200"));
    assert!(ask(address, "GET /healthz").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn busy_shows_every_worker_busy() {
    let address = site().await;
    ask(address, "POST /fault/busy").await;
    assert!(ask(address, "GET /status").await.contains("\"busy\":2"));
    let apache = ask(address, "GET /server-status?auto").await;
    assert!(apache.contains("BusyWorkers: 3\nIdleWorkers: 0\nScoreboard: WW\n"), "{apache}");
    assert!(ask(address, "GET /healthz").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn slow_pages_take_their_time_and_their_workers() {
    let address = site().await;
    ask(address, "POST /fault/slow").await;
    let before = Instant::now();
    // Three pages for two workers: the third waits for one of them.
    let page = || async move {
        assert!(ask(address, "GET /").await.starts_with("HTTP/1.1 200"));
    };
    tokio::join!(page(), page(), page());
    assert!(before.elapsed() >= SLOW * 2);
}

#[tokio::test]
async fn wrong_requests_get_an_answer() {
    let address = site().await;
    for (request, status) in [
        ("GET /nothing", "404"),
        ("POST /fault/tired", "404"),
        ("GET /fault/down", "405"),
        ("nonsense", "400"),
    ] {
        let answer = ask(address, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
    }
}

#[tokio::test]
async fn it_ends_when_asked() {
    let shutdown = walrus_host::shutdown::Shutdown::new();
    let settings = super::OriginSettings {
        listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        name: "asia1".to_owned(),
        cluster: "asia".to_owned(),
        workers: 2,
    };
    let running = tokio::spawn(super::run(settings, shutdown.clone()));
    let before = Instant::now();
    shutdown.request();
    running.await.unwrap().unwrap();
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = site().await;
    let settings = super::OriginSettings {
        listen: vec![taken],
        name: "asia1".to_owned(),
        cluster: "asia".to_owned(),
        workers: 2,
    };
    let shutdown = walrus_host::shutdown::Shutdown::new();
    let error = super::run(settings, shutdown).await.unwrap_err().to_string();
    assert!(error.contains(&taken.to_string()) && error.contains("taken"), "{error}");
}
