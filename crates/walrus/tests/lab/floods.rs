//! Floods of random subdomains, of queries from forged addresses, of TCP connections and of half-open TLS: a client
//! beside is answered all the while, the metrics tell of it, and memory has a bound.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::alone;
use crate::encrypted::certify;
use crate::programs::{PATIENCE, find, free_port, wait_or_tell};
use crate::walrus::{Node, Walrus};

const CONFIGURATION: &str = r#"
zone = "walrus.example"
nameservers = ["ns1.example.net"]
[[cluster]]
name = "c"
servers = [{ name = "s1", addresses = ["192.0.2.1"] }]
[[service]]
name = "www.walrus.example"
"#;

/// In a network of its own.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 99);

/// How often the client asks in each flood.
const ASKED: usize = 20;

/// What the program may take more than before, in KiB: buffers of all places, and what an allocator keeps.
const MEMORY_MAX_KIB: u64 = 48 * 1024;

/// All places, of which a fourth is there for newcomers, and for handshakes.
const PLACES: usize = 240;

/// Of connections that a flood by TCP has open at once: more than all places.
const OPEN_TCP: usize = 300;

/// The same by TLS: more than there are turns for handshakes, and fewer than all places, so that it is turns that give way.
const OPEN_TLS: usize = 150;

/// A query for `label` in the zone.
fn query(label: &str) -> Vec<u8> {
    let mut query = vec![7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [label, "walrus", "example"] {
        query.push(label.len() as u8);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    query
}

/// The end of what is expected.
fn is_answered(reply: &[u8]) -> bool {
    reply.get(3).is_some_and(|flags| flags & 15 == 0) && reply.ends_with(&[192, 0, 2, 1])
}

/// A kernel whose queue is full drops some: asked again, as resolvers do.
fn ask_udp(server: SocketAddr) -> Option<()> {
    let socket = UdpSocket::bind((CLIENT, 0)).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    socket.send(&query("www")).unwrap();
    let mut reply = [0; 512];
    let length = socket.recv(&mut reply).ok()?;
    is_answered(&reply[..length]).then_some(())
}

fn connect(from: Ipv4Addr, server: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).ok()?;
    socket.bind(&SocketAddr::from((from, 0)).into()).ok()?;
    socket.connect_timeout(&server.into(), Duration::from_secs(2)).ok()?;
    Some(socket.into())
}

fn ask_tcp(server: SocketAddr) -> Option<()> {
    let mut stream = connect(CLIENT, server)?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let query = query("www");
    stream.write_all(&[&(query.len() as u16).to_be_bytes(), &*query].concat()).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).ok()?;
    is_answered(&reply).then_some(())
}

fn ask_tls(kdig: &Path, port: u16) -> Option<()> {
    let output = Command::new(kdig)
        .args(["@127.0.0.1", "-b", &CLIENT.to_string(), "-p", &port.to_string(), "+tls", "+short"])
        .args(["+timeout=5", "+retry=0", "www.walrus.example", "A"])
        .output()
        .unwrap();
    (String::from_utf8_lossy(&output.stdout).trim() == "192.0.2.1").then_some(())
}

/// Has `work` done again and again, by its number and `at_least` so often, while the client asks.
fn flood(
    walrus: &Walrus,
    at_least: u64,
    mut work: impl FnMut(u64) + Send,
    ask: impl Fn() -> Option<()>,
) {
    /// However this ends.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        let (stop, done) = (&stop, &done);
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                work(done.fetch_add(1, Ordering::Relaxed));
            }
        });
        let (begin, mut answers) = (Instant::now(), 0);
        while answers < ASKED || done.load(Ordering::Relaxed) < at_least {
            assert!(begin.elapsed() < 3 * PATIENCE, "{answers} answers, {done:?}");
            wait_or_tell("an answer in a flood", &ask, || {
                format!("{answers} answers, {done:?}\n{}\n{}", walrus.status(), walrus.said())
            });
            answers += 1;
        }
    });
}

/// No more than so many a millisecond: what the kernel has no room for never gets to Walrus.
fn pace(number: u64, a_millisecond: u64) {
    if number.is_multiple_of(a_millisecond) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Connections from many networks, one a `pause` at most, each of which says only this. A newcomer has time for as
/// many more of them as there are places for newcomers.
fn connections(
    (server, open_max): (SocketAddr, usize),
    said: &'static [u8],
    pause: Duration,
) -> impl FnMut(u64) + Send {
    let mut open = VecDeque::new();
    move |number| {
        std::thread::sleep(pause);
        let Some(mut stream) = connect(flooder(number), server) else { return };
        let _ = stream.write_all(said);
        open.push_back(stream);
        if open.len() > open_max {
            open.pop_front();
        }
    }
}

/// A network's own addresses, so that no flood is a single client's.
fn flooder(number: u64) -> Ipv4Addr {
    let [.., high, low] = (number % 20_000).to_be_bytes();
    Ipv4Addr::new(127, 1 + high, low, 1)
}

#[test]
fn clients_beside_a_flood_are_answered() {
    let _alone = alone();
    let Some([openssl, kdig]) = find("floods", ["openssl", "kdig"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    certify(&openssl, folder.path());
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let tls = free_port(&[here]);
    let dns_lines = format!(
        "tcp_connections_max = {PLACES}\nrate_limit = {{ responses_per_second = 50 }}\n\
         tls_listen = [\"127.0.0.1:{tls}\"]\ncertificate = \"dns.pem\"\nkey = \"dns.key\"\n"
    );
    let node = Node { dns_lines: &dns_lines, ..Node::default() };
    let walrus = Walrus::start_node(&node, folder.path(), CONFIGURATION);
    let dns = walrus.dns;
    wait_or_tell("an answer by UDP", || ask_udp(dns), || walrus.said());
    wait_or_tell("an answer by TCP", || ask_tcp(dns), || walrus.said());
    wait_or_tell("an answer by TLS", || ask_tls(&kdig, tls), || walrus.said());
    let memory = walrus.memory_kib();

    let one = UdpSocket::bind("127.0.0.50:0").unwrap();
    let subdomains = |number| {
        pace(number, 16);
        drop(one.send_to(&query(&format!("r{number:x}")), dns));
    };
    // A second of it at least, as is the next.
    flood(&walrus, 16_000, subdomains, || ask_udp(dns));
    assert!(walrus.metric("walrus_dns_rate_dropped_total") > 0);

    let forged = |number| {
        pace(number, 4);
        let socket = UdpSocket::bind((flooder(number), 0)).unwrap();
        (0..4).for_each(|_| drop(socket.send_to(&query("www"), dns)));
    };
    flood(&walrus, 4000, forged, || ask_udp(dns));

    // Half of a message; more than there are places.
    let gave_way = || walrus.metric("walrus_dns_tcp_timeouts_total");
    let before = gave_way();
    let pause = Duration::from_millis(1);
    let half_a_message = connections((dns, OPEN_TCP), &[0, 40, 7, 7], pause);
    flood(&walrus, 500, half_a_message, || ask_tcp(dns));
    assert!(gave_way() > before, "{before}");

    // Half of a handshake: beside TCP, and beside whole ones.
    let (by_tls, half) = (SocketAddr::new(here, tls), &[22, 3, 1, 2, 0, 1, 0]);
    let half_a_handshake = || connections((by_tls, OPEN_TLS), half, Duration::from_millis(5));
    let before = gave_way();
    flood(&walrus, 300, half_a_handshake(), || ask_tcp(dns));
    let between = gave_way();
    assert!(between > before, "{before}");
    flood(&walrus, 300, half_a_handshake(), || ask_tls(&kdig, tls));
    assert!(gave_way() > between, "{between}");

    wait_or_tell("an answer after it all", || ask_udp(dns), || walrus.said());
    let grown = walrus.memory_kib().saturating_sub(memory);
    assert!(grown < MEMORY_MAX_KIB, "{grown} KiB more than before");
}
