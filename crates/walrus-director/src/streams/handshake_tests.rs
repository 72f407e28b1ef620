//! TLS handshakes beside queries: slow ones, half of one, and many of both hold nobody else up; and which certificate
//! they show.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use walrus_host::tls::{new_authority, server_config};

use super::https_tests::connect;
use super::tests::{LONG, framed, outbound, proxied, read_message};
use super::*;
use crate::answering::Echo;
use crate::counters::{CounterSnapshot, Counters};

/// TCP and TLS on one thread.
struct Running {
    tcp: SocketAddr,
    tls: SocketAddr,
    shutdown: Shutdown,
    counters: Arc<Counters>,
    certificates: Arc<Certificates>,
    thread: Option<std::thread::JoinHandle<io::Result<()>>>,
}

impl Running {
    fn start(config: Arc<ServerConfig>, connections_max: usize, idle: Duration) -> Self {
        Self::behind(Networks::default(), config, connections_max, idle)
    }

    fn behind(
        proxies: Networks,
        config: Arc<ServerConfig>,
        connections_max: usize,
        idle: Duration,
    ) -> Self {
        let certificates = Arc::new(Certificates::default());
        certificates.show_tls(config);
        let shared = (Arc::clone(&certificates), outbound());
        let listeners = [Transport::Tcp, Transport::Tls].map(|transport| Listening {
            socket: listen("127.0.0.1:0".parse().unwrap()).unwrap(),
            transport,
        });
        let [tcp, tls] = listeners.each_ref().map(|it| it.socket.local_addr().unwrap());
        let (shutdown, counters) = (Shutdown::new(), Arc::new(Counters::new()));
        let (stop, echo) = (shutdown.clone(), Echo(counters.clone()));
        let limits = Limits { connections_max, idle, total: LONG, proxies };
        let thread = std::thread::spawn(move || {
            let steering = (stop, Arc::new(Notify::new()));
            let answering =
                (echo, HandOff::new(None, Arc::default(), walrus_host::clock::Clock::real()).0);
            run(listeners.into(), shared, limits, steering, answering)
        });
        Self { tcp, tls, shutdown, counters, certificates, thread: Some(thread) }
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
    stream.set_read_timeout(Some(LONG)).unwrap();
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
    new_certificate().0
}

/// A configuration and the certificate that it shows.
fn new_certificate() -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let folder = tempfile::tempdir().unwrap();
    let issued = new_authority(1_800_000_000).unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, &issued.certificate).unwrap();
    std::fs::write(&key, &issued.key).unwrap();
    let shown = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
    (server_config(&certificate, &key, &[]).unwrap(), shown)
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
    let server = Running::start(new_config(), 100, LONG);
    // Opened before the server's end is waited for.
    let gate = closed;
    let mut agreed = connect(connect_as(5, server.tls));
    ask(&mut agreed);
    server.certificates.show_tls(config);
    let address = server.tls;
    let agreeing = std::thread::spawn(move || {
        let mut stream = connect(TcpStream::connect(address).unwrap());
        let _ = stream.write_all(&framed(b"x"));
        let _ = stream.read(&mut [0; 8]);
    });
    begins.recv_timeout(LONG).unwrap();
    for client in 2..5 {
        ask(&mut connect_as(client, server.tcp));
        ask(&mut agreed);
    }
    assert_eq!((server.counted().tcp_queries, server.counted().tls_failures), (3, 0));
    drop(gate);
    agreeing.join().unwrap();
    server.wait_for("a handshake without a certificate", |it| it.tls_failures == 1);
}

#[test]
fn many_whole_handshakes_at_once_end_none_of_them() {
    let server = Running::start(new_config(), 1000, LONG);
    std::thread::scope(|scope| {
        for client in 10..14 {
            let server = &server;
            scope.spawn(move || (0..5).for_each(|_| ask_by_tls(client, server)));
        }
    });
    let counted = server.counted();
    assert_eq!((counted.tls_failures, counted.tcp_refused, counted.tcp_timeouts), (0, 0, 0));
}

#[test]
fn clients_that_leave_without_a_word_are_no_timeouts() {
    let server = Running::start(new_config(), 100, LONG);
    for _ in 0..10 {
        // Dropped without saying that nothing more comes. That is seen before most of the next ones.
        ask(&mut connect(connect_as(2, server.tls)));
    }
    let counted = server.counted();
    assert_eq!((counted.tls_queries, counted.tcp_timeouts, counted.tls_failures), (10, 0, 0));
}

#[test]
fn who_is_silent_while_the_certificate_is_replaced_is_shown_the_new_one() {
    let proxies = Networks::new(&[([127, 0, 0, 80].into(), 32)]);
    let server = Running::behind(proxies, new_config(), 100, LONG);
    let own = connect_as(2, server.tls);
    let mut passed_on = connect_as(80, server.tls);
    passed_on.write_all(&proxied(1)).unwrap();
    server.wait_for("two connections", |it| it.tcp_connections == 2);
    // Both have been looked at: who comes after them is answered.
    ask(&mut connect_as(3, server.tcp));
    let (new, certificate) = new_certificate();
    server.certificates.show_tls(new);
    for stream in [own, passed_on] {
        let mut stream = connect(stream);
        ask(&mut stream);
        assert_eq!(stream.conn.peer_certificates().unwrap()[0], certificate);
    }
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
    // Who speaks no TLS takes no turn, and who only looks whether somebody listens neither.
    let turns: Vec<TcpStream> = [10, 11].map(half).into();
    server.wait_for("five half handshakes", |it| it.tcp_connections == 6);
    connect_as(12, server.tls).write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    drop(connect_as(13, server.tls));
    server.wait_for("two without a handshake", |it| it.tls_failures == 2);
    assert_eq!(server.counted().tcp_timeouts, 0);
    drop(turns);
    server.wait_for("four failures", |it| it.tls_failures == 4);
    // Others take all turns: the oldest give way, and then that one has its own.
    let others: Vec<TcpStream> = [4, 5, 6, 7].map(half).into();
    server.wait_for("who gave way", |it| it.tcp_timeouts >= 2);
    ask_by_tls(8, &server);
    ask(&mut connect_as(9, server.tcp));
    drop((waiting, others));
    server.wait_for("all are over", |it| it.tcp_timeouts + it.tls_failures == 11);
}

#[test]
fn five_networks_with_all_their_handshakes_half_open_end_no_strangers() {
    // Sixteen turns, four of them for one client.
    let server = Running::start(new_config(), 64, LONG);
    let mut slow = connect(connect_as(2, server.tls));
    let mut hello = Vec::new();
    slow.conn.write_tls(&mut hello).unwrap();
    let (first, rest) = hello.split_at(20);
    slow.sock.write_all(first).unwrap();
    server.wait_for("one connection", |it| it.tcp_connections == 1);
    // Whom it has ended a client follows with the next that waits.
    let half: Vec<TcpStream> = (0..30)
        .map(|it| {
            let mut stream = connect_as(10 + it % 5, server.tls);
            stream.write_all(HALF).unwrap();
            stream
        })
        .collect();
    server.wait_for("who gave way", |it| it.tcp_timeouts >= 10);
    slow.sock.write_all(rest).unwrap();
    ask(&mut slow);
    drop(half);
    server.wait_for("all are over", |it| it.tcp_timeouts + it.tls_failures == 30);
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
        // What was not read ends the connection at once.
        let end = stream.read_to_end(&mut said);
        let is_reset = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset;
        assert!(end.as_ref().map_or_else(is_reset, |length| *length == 0), "{end:?}");
    }
    server.wait_for("ten failures", |it| it.tls_failures == 10);
}
