//! TLS handshakes beside queries: slow ones, half of one, and floods of whole ones hold nobody else up.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use walrus_host::tls::{new_authority, server_config};

use super::https_tests::connect;
use super::tests::{LONG, framed, outbound, read_message};
use super::*;
use crate::answering::Echo;
use crate::counters::{CounterSnapshot, Counters};

/// TCP and TLS on one thread.
struct Running {
    tcp: SocketAddr,
    tls: SocketAddr,
    shutdown: Shutdown,
    counters: Arc<Counters>,
    thread: Option<std::thread::JoinHandle<io::Result<()>>>,
}

impl Running {
    fn start(config: Arc<ServerConfig>, connections_max: usize, idle: Duration) -> Self {
        let certificates = Certificates::default();
        certificates.show_tls(config);
        let listeners = [Transport::Tcp, Transport::Tls].map(|transport| Listening {
            socket: listen("127.0.0.1:0".parse().unwrap()).unwrap(),
            transport,
        });
        let [tcp, tls] = listeners.each_ref().map(|it| it.socket.local_addr().unwrap());
        let (shutdown, counters) = (Shutdown::new(), Arc::new(Counters::new()));
        let (stop, echo) = (shutdown.clone(), Echo(counters.clone()));
        let limits = Limits { connections_max, idle, total: LONG, proxies: Networks::default() };
        let thread = std::thread::spawn(move || {
            let steering = (stop, Arc::new(Notify::new()));
            let answering =
                (echo, HandOff::new(None, Arc::default(), walrus_host::clock::Clock::real()).0);
            let shared = (Arc::new(certificates), outbound());
            run(listeners.into(), shared, limits, steering, answering)
        });
        Self { tcp, tls, shutdown, counters, thread: Some(thread) }
    }

    fn counted(&self) -> CounterSnapshot {
        let mut snapshot = CounterSnapshot::default();
        snapshot.add(&self.counters);
        snapshot
    }

    fn wait_for(&self, what: &str, look: impl Fn(&CounterSnapshot) -> bool) {
        let until = std::time::Instant::now() + LONG;
        while !look(&self.counted()) {
            assert!(std::time::Instant::now() < until, "{what}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.request();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

/// From another address of loopback, which is another client.
fn connect_as(last: u8, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

fn ask(stream: &mut (impl io::Read + io::Write)) {
    stream.write_all(&framed(b"x")).unwrap();
    assert_eq!(read_message(stream), b"X");
}

/// Over a connection of its own that is closed as it should be.
fn ask_by_tls(client: u8, server: &Running) {
    let mut stream = connect(connect_as(client, server.tls));
    ask(&mut stream);
    stream.conn.send_close_notify();
    stream.flush().unwrap();
}

fn new_config() -> Arc<ServerConfig> {
    let folder = tempfile::tempdir().unwrap();
    let issued = new_authority(1_800_000_000).unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, issued.certificate).unwrap();
    std::fs::write(&key, issued.key).unwrap();
    server_config(&certificate, &key, &[]).unwrap()
}

/// Each handshake lasts until this is opened; a test that fails opens it, too.
#[derive(Debug, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Drop for Gate {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

#[derive(Debug)]
struct Held {
    gate: Arc<(Mutex<bool>, Condvar)>,
    begun: Sender<()>,
}

impl ResolvesServerCert for Held {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let _ = self.begun.send(());
        let mut is_open = self.gate.0.lock().unwrap();
        while !*is_open {
            is_open = self.gate.1.wait(is_open).unwrap();
        }
        None
    }
}

fn held() -> (Arc<ServerConfig>, Receiver<()>, Gate) {
    let gate = Gate::default();
    let (begun, begins) = channel();
    let held = Held { gate: Arc::clone(&gate.0), begun };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    (Arc::new(builder.with_cert_resolver(Arc::new(held))), begins, gate)
}

#[test]
fn a_handshake_that_takes_long_holds_up_no_query() {
    let (config, begins, closed) = held();
    let server = Running::start(config, 100, LONG);
    // Opened before the server's end is waited for.
    let gate = closed;
    let address = server.tls;
    let agreeing = std::thread::spawn(move || {
        let mut stream = connect(TcpStream::connect(address).unwrap());
        let _ = stream.write_all(&framed(b"x"));
        let _ = stream.read(&mut [0; 8]);
    });
    begins.recv_timeout(LONG).unwrap();
    for client in 2..5 {
        ask(&mut connect_as(client, server.tcp));
    }
    assert_eq!(server.counted().tcp_queries, 3);
    drop(gate);
    agreeing.join().unwrap();
    server.wait_for("a handshake without a certificate", |it| it.tls_failures == 1);
}

#[test]
fn queries_go_on_in_a_flood_of_handshakes() {
    let server = Running::start(new_config(), 1000, LONG);
    let (stop, agreed) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        /// However the test ends.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(&stop);
        for flood in 10..13 {
            let (server, stop, agreed) = (&server, &stop, &agreed);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    ask_by_tls(flood, server);
                    agreed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (mut plain, mut encrypted) =
            (connect_as(2, server.tcp), connect(connect_as(3, server.tls)));
        let mut asked = 0;
        let until = std::time::Instant::now() + LONG;
        while asked < 200 || agreed.load(Ordering::Relaxed) < 50 {
            assert!(std::time::Instant::now() < until, "{asked} {agreed:?}");
            ask(&mut plain);
            ask(&mut encrypted);
            asked += 1;
        }
    });
    assert_eq!((server.counted().tls_failures, server.counted().tcp_refused), (0, 0));
}

/// The first bytes of a handshake, whose rest does not come.
const HALF: &[u8] = &[22, 3, 1, 2, 0, 1, 0];

#[test]
fn half_handshakes_end_their_own_and_leave_others_their_turn() {
    // Four of sixteen places are there for handshakes, two of them for one client.
    let server = Running::start(new_config(), 16, LONG);
    let half = |client: u8| {
        let mut stream = connect_as(client, server.tls);
        stream.write_all(HALF).unwrap();
        stream
    };
    // A third of the same client waits for its own, and takes no turn.
    let waiting: Vec<TcpStream> = (0..3).map(|_| half(2)).collect();
    server.wait_for("three connections", |it| it.tcp_connections == 3);
    ask_by_tls(3, &server);
    // Others take all turns: the oldest give way, and then that one has its own.
    let others: Vec<TcpStream> = [4, 5, 6, 7].map(half).into();
    server.wait_for("who gave way", |it| it.tcp_timeouts >= 2);
    ask_by_tls(8, &server);
    ask(&mut connect_as(9, server.tcp));
    drop((waiting, others));
    server.wait_for("all are over", |it| it.tcp_timeouts + it.tls_failures == 7);
}

#[test]
fn half_handshakes_are_given_up() {
    let server = Running::start(new_config(), 100, Duration::from_millis(300));
    let mut half: Vec<TcpStream> = (2..12).map(|client| connect_as(client, server.tls)).collect();
    for stream in &mut half {
        stream.write_all(HALF).unwrap();
    }
    for stream in &mut half {
        let mut said = Vec::new();
        assert_eq!(stream.read_to_end(&mut said).unwrap_or(0), 0);
    }
    server.wait_for("ten failures", |it| it.tls_failures == 10);
}
