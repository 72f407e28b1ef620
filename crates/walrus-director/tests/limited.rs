//! A Director that limits replies and gives cookies, on loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fixture;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use walrus_core::config::{DnsSettings, RateLimitSettings};
use walrus_core::map::Map;
use walrus_director::{Director, DirectorHandle, DirectorStart, SigningStart, StartError};
use walrus_host::clock::Clock;

use fixture::{SERVICE, digests, plan, query, settings, topology, zone};

/// How long anything may take on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(20);
const COOKIE: u8 = 10;

fn start(dns: DnsSettings) -> Result<DirectorHandle, StartError> {
    let topology = topology();
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let digests = digests(&map);
    let plan = Some(plan(1, 1, &digests));
    let (clock, zones, signing) = (Clock::real(), vec![zone()], SigningStart::default());
    let start = DirectorStart {
        dns,
        topology,
        zones,
        moving: Vec::new(),
        updates: walrus_director::UpdateSettings::default(),
        serials: Default::default(),
        keys: Default::default(),
        map,
        digests,
        plan,
        signing,
        seed: 1,
        clock,
    };
    Director::start(start)
}

/// A rate so low that nothing comes back during the test.
fn limited() -> DnsSettings {
    let rate_limit = RateLimitSettings {
        responses_per_second: 10,
        slip: 2,
        ipv4_prefix: 8,
        ipv6_prefix: 56,
        exempt: Vec::new(),
    };
    DnsSettings { rate_limit: Some(rate_limit), ..settings(&["127.0.0.1:0"], 2) }
}

fn client() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A query with one option.
fn with_option(id: u16, code: u8, data: &[u8]) -> Vec<u8> {
    let mut query = query(id, SERVICE, None);
    query[11] = 1;
    let len = data.len() as u8;
    query.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, len + 4, 0, code, 0, len]);
    query.extend(data);
    query
}

fn ask(socket: &UdpSocket, to: SocketAddr, query: &[u8]) -> Vec<u8> {
    socket.send_to(query, to).unwrap();
    receive(socket)
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut reply = [0; 4096];
    let length = socket.recv(&mut reply).unwrap();
    reply[..length].to_vec()
}

fn is_cut(reply: &[u8]) -> bool {
    reply[2] & 2 != 0
}

#[test]
fn beyond_the_limit_every_other_reply_is_cut_and_the_rest_dropped() {
    let director = start(limited()).unwrap();
    let (address, socket) = (director.addresses()[0], client());
    for id in 0..400 {
        socket.send_to(&query(id, SERVICE, None), address).unwrap();
    }
    // Each query is counted once it was answered or not.
    let deadline = std::time::Instant::now() + PATIENCE;
    while director.traffic().replies.total() < 400 {
        assert!(std::time::Instant::now() < deadline, "not all were taken");
        std::thread::yield_now();
    }
    let counters = director.counters();
    let sent = 400 - counters.rate_cut - counters.rate_dropped;
    // The bucket fills again by ten a second.
    assert!((10..100).contains(&sent), "{sent} were sent whole");
    assert!(counters.rate_cut.abs_diff(counters.rate_dropped) <= 2, "{counters:?}");
    let mut cut = 0;
    for _ in 0..sent + counters.rate_cut {
        let reply = receive(&socket);
        if is_cut(&reply) {
            cut += 1;
            assert_eq!(reply[6..8], [0, 0], "without records");
            assert_eq!(reply.len(), query(1, SERVICE, None).len());
        }
    }
    assert_eq!(cut, counters.rate_cut);
    // By TCP whoever was cut gets the answer.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let query = query(7, SERVICE, None);
    stream.write_all(&[&(query.len() as u16).to_be_bytes(), &query[..]].concat()).unwrap();
    let mut head = [0; 14];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[8..10], [0, 1], "one record");
}

#[test]
fn whoever_brings_a_cookie_back_is_not_limited() {
    let director = start(limited()).unwrap();
    let (address, socket) = (director.addresses()[0], client());
    let reply = ask(&socket, address, &with_option(1, COOKIE, b"clientno"));
    let cookie = &reply[reply.len() - 24..];
    assert_eq!(&cookie[..8], b"clientno");
    for id in 0..100 {
        let reply = ask(&socket, address, &with_option(id, COOKIE, cookie));
        assert!(!is_cut(&reply), "{id}");
    }
    assert_eq!(director.counters().cookies_known, 100);
    let mut forged = cookie.to_vec();
    forged[20] ^= 1;
    for id in 0..100 {
        socket.send_to(&with_option(id, COOKIE, &forged), address).unwrap();
    }
    // Those that are cut bring the right one.
    let reply = loop {
        let reply = receive(&socket);
        if is_cut(&reply) {
            break reply;
        }
    };
    assert_eq!(reply[6..8], [0, 0]);
    assert_eq!(reply[reply.len() - 24..][..8], *b"clientno");
}

#[test]
fn who_the_server_is() {
    let dns = DnsSettings {
        nsid: Some("ns1-fra".into()),
        version: Some("walrus".into()),
        ..settings(&["127.0.0.1:0"], 1)
    };
    let director = start(dns).unwrap();
    let (address, socket) = (director.addresses()[0], client());
    let reply = ask(&socket, address, &with_option(1, 3, b""));
    assert!(reply.ends_with(b"\0\x03\0\x07ns1-fra"));
    let mut version = query(2, "version.bind", None);
    let end = version.len();
    version[end - 4..].copy_from_slice(&[0, 16, 0, 3]);
    assert!(ask(&socket, address, &version).ends_with(b"\x06walrus"));
    let mut id = query(3, "id.server", None);
    let end = id.len();
    id[end - 4..].copy_from_slice(&[0, 16, 0, 3]);
    assert_eq!(ask(&socket, address, &id)[3] & 15, 5, "nothing is configured");
}

#[test]
fn a_secret_that_cannot_be_read_is_told() {
    let cookie_secret_file = Some("/nonexistent/secret".into());
    let dns = DnsSettings { cookie_secret_file, ..settings(&["127.0.0.1:0"], 1) };
    let error = start(dns).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/secret"), "{error}");
}
