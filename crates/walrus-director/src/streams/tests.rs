//! TCP with an echo behind it: framing, pipelining, bounds.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use walrus_dns::query::HEADER_LEN;
use walrus_host::clock::Clock;

use super::*;
use crate::answering::Echo;
use crate::counters::{CounterSnapshot, Counters};
use crate::zones::Mailboxes;

pub(super) struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    counters: Arc<Counters>,
    pub(super) hand_off: HandOff,
    pub(super) mailboxes: Mailboxes,
    thread: Option<std::thread::JoinHandle<io::Result<()>>>,
}

impl Running {
    pub(super) fn start(connections_max: usize, idle: Duration) -> Self {
        Self::behind(Networks::default(), connections_max, idle)
    }

    fn behind(proxies: Networks, connections_max: usize, idle: Duration) -> Self {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, counters) = (Shutdown::new(), Arc::new(Counters::new()));
        let (stop, echo) = (shutdown.clone(), Echo(counters.clone()));
        let limits = Limits { connections_max, idle, total: LONG, proxies };
        let listening = Listening { socket: listener, transport: Transport::Tcp };
        let (hand_off, mailboxes) = HandOff::new(None, Arc::default(), Clock::real());
        let answering = (echo, hand_off.clone());
        let thread = std::thread::spawn(move || {
            let steering = (stop, Arc::new(Notify::new()));
            run(vec![listening], (Arc::default(), outbound()), limits, steering, answering)
        });
        Self { address, shutdown, counters, hand_off, mailboxes, thread: Some(thread) }
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    pub(super) fn counted(&self) -> CounterSnapshot {
        let mut snapshot = CounterSnapshot::default();
        snapshot.add(&self.counters);
        snapshot
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.request();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

pub(super) fn read_message(stream: &mut impl io::Read) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).unwrap();
    message
}

pub(super) const LONG: Duration = Duration::from_secs(30);

#[test]
fn pipelined_messages_are_answered_in_order() {
    let server = Running::start(10, LONG);
    let mut stream = server.connect();
    let all: Vec<u8> = ["one", "quiet", "two", "three"]
        .iter()
        .flat_map(|message| framed(message.as_bytes()))
        .collect();
    stream.write_all(&all).unwrap();
    for expected in ["ONE", "TWO", "THREE"] {
        assert_eq!(read_message(&mut stream), expected.as_bytes());
    }
    assert_eq!(server.counted().tcp_queries, 4);
}

#[test]
fn messages_may_come_byte_by_byte() {
    let server = Running::start(10, LONG);
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    for byte in framed(b"slowly") {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(read_message(&mut stream), b"SLOWLY");
}

#[test]
fn many_long_messages_pass_through_small_buffers() {
    let server = Running::start(10, LONG);
    let mut stream = server.connect();
    let message = vec![b'a'; QUERY_SIZE_MAX];
    let mut writer = stream.try_clone().unwrap();
    let all = framed(&message).repeat(50);
    let writing = std::thread::spawn(move || writer.write_all(&all).unwrap());
    for _ in 0..50 {
        assert_eq!(read_message(&mut stream), vec![b'A'; QUERY_SIZE_MAX]);
    }
    writing.join().unwrap();
}

#[test]
fn overlong_messages_end_the_connection() {
    let server = Running::start(10, LONG);
    let mut stream = server.connect();
    stream.write_all(&[0xff, 0xff, 1, 2, 3]).unwrap();
    let mut rest = Vec::new();
    // Closed with unread input: an end or a reset.
    assert!(matches!(stream.read_to_end(&mut rest), Ok(0) | Err(_)));
}

/// Whoever only says that much will come keeps no place from others, whose updates are long.
#[test]
fn a_length_alone_takes_no_place_of_long_updates() {
    let running = Running::start(400, LONG);
    running.hand_off.set_open(true);
    let mut update = b"\0\x07\x28\0\0\x01\0\0\0\0\0\x01\x01x\0\0\x06\0\x01".to_vec();
    // Behind it what is no record: to be refused by the keeper.
    update.resize(QUERY_SIZE_MAX + 1000, 0xff);
    let long = framed(&update);
    let idle = |count: usize| {
        let begin = |_| {
            let mut stream = running.connect();
            stream.write_all(&long[..count]).unwrap();
            stream
        };
        (0..10).map(begin).collect::<Vec<_>>()
    };
    let held = [idle(2 + HEADER_LEN), idle(QUERY_SIZE_MAX)];
    let mut stream = running.connect();
    stream.write_all(&long).unwrap();
    let event = running.mailboxes.changes.recv_timeout(LONG).unwrap();
    let crate::zones::Event::Message(handed, _) = event else { panic!("a message") };
    assert_eq!(handed.message, update);
    handed.back.send(b"done".to_vec());
    assert_eq!(read_message(&mut stream), b"done");
    // With so much of it, it has a place until it has come: of one client eight have.
    let mut begun = idle(2 + QUERY_SIZE_MAX);
    for stream in &begun {
        stream.set_nonblocking(true).unwrap();
    }
    let asked_at = Instant::now();
    loop {
        let waits = |read: io::Result<usize>| {
            read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        };
        let ended = begun.iter_mut().map(|it| !waits(it.read(&mut [0]))).filter(|it| *it).count();
        assert!(ended <= 2, "{ended}");
        if ended == 2 {
            break;
        }
        assert!(asked_at.elapsed() < LONG, "{ended} of two gave way");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(held);
}

#[test]
fn a_half_message_is_given_up_after_the_idle_time() {
    let server = Running::start(10, Duration::from_millis(100));
    let mut stream = server.connect();
    stream.write_all(&framed(b"whole")).unwrap();
    assert_eq!(read_message(&mut stream), b"WHOLE");
    stream.write_all(&[0, 9, b'h', b'a']).unwrap();
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).unwrap_or(0), 0);
}

#[test]
fn one_client_may_not_take_all_connections() {
    let server = Running::start(12, LONG);
    let mut streams: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream.write_all(&framed(b"x")).unwrap();
        assert_eq!(read_message(stream), b"X");
    }
    let mut fourth = server.connect();
    let mut rest = Vec::new();
    assert_eq!(fourth.read_to_end(&mut rest).unwrap_or(0), 0, "closed at once");
    assert_eq!(server.counted().tcp_refused, 1);
    // A place that is given back can be taken.
    drop(streams);
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    loop {
        let mut again = server.connect();
        let mut length = [0; 3];
        if again.write_all(&framed(b"x")).is_ok() && again.read_exact(&mut length).is_ok() {
            break;
        }
        assert!(std::time::Instant::now() < deadline);
    }
}

#[test]
fn the_longest_silent_connection_gives_way_when_all_places_are_taken() {
    let server = Running::start(4, LONG);
    let connect = |last: u8| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into()).unwrap();
        socket.connect(&server.address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    };
    let ask = |stream: &mut TcpStream| {
        stream.write_all(&framed(b"x")).unwrap();
        assert_eq!(read_message(stream), b"X");
    };
    let mut streams = [2, 2, 3, 3].map(connect);
    streams.iter_mut().for_each(ask);
    // The first is heard of again, so the second has been silent for longest.
    ask(&mut streams[0]);
    let mut newcomer = connect(4);
    ask(&mut newcomer);
    let mut rest = Vec::new();
    assert_eq!(streams[1].read_to_end(&mut rest).unwrap_or(0), 0, "closed");
    for place in [0, 2, 3] {
        ask(&mut streams[place]);
    }
    let counted = server.counted();
    assert_eq!((counted.tcp_connections, counted.tcp_refused, counted.tcp_timeouts), (5, 0, 1));
}

pub(super) fn outbound() -> Arc<Outbound> {
    use crate::director::tests::zone_table;
    use crate::fixture::topology;
    use crate::serving::{Current, Serving};
    use walrus_core::answer::AnswerTable;
    use walrus_core::map::Map;
    let topology = topology();
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let table = AnswerTable::new(Arc::new(zone_table(&topology)), map, &topology);
    let current = Arc::new(Current::new(Arc::new(Serving::new(table, 1, 1))));
    Outbound::new(current, Clock::real(), Default::default())
}

/// A PROXY header of a client by TCP.
pub(super) fn proxied(client: u8) -> Vec<u8> {
    let addresses = [192, 0, 2, client, 203, 0, 113, 53, 0, 9, 0, 53];
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &addresses].concat()
}

#[test]
fn a_proxys_connection_is_its_clients_and_without_a_header_it_is_closed() {
    let proxies = Networks::new(&[([127, 0, 0, 1].into(), 32)]);
    let server = Running::behind(proxies, 8, LONG);
    let ask = |header: &[u8], query: &[u8]| {
        let mut stream = server.connect();
        stream.write_all(&[header, &framed(query)].concat()).unwrap();
        stream
    };
    // More than one client may have.
    let mut all = Vec::new();
    for client in 0..6 {
        let mut stream = server.connect();
        // Torn, and with the query at once behind.
        let bytes = [proxied(client), framed(b"who asks whom")].concat();
        let (first, rest) = bytes.split_at(usize::from(client) * 5);
        stream.write_all(first).unwrap();
        stream.write_all(rest).unwrap();
        let expected = format!("192.0.2.{client} 203.0.113.53:53");
        assert_eq!(String::from_utf8(read_message(&mut stream)).unwrap(), expected);
        all.push(stream);
    }
    // A client of the proxy may have two of eight; the third ends none of others.
    let mut second = ask(&proxied(1), b"query");
    assert_eq!(read_message(&mut second), b"QUERY");
    let mut third = ask(&proxied(1), b"query");
    assert_eq!(third.read(&mut [0; 8]).unwrap_or(0), 0);
    for stream in &mut all {
        stream.write_all(&framed(b"still there")).unwrap();
        assert_eq!(read_message(stream), b"STILL THERE");
    }
    let mut own = ask(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", b"who asks whom");
    assert!(read_message(&mut own).starts_with(b"127.0.0.1 "), "what the proxy asks for itself");
    drop(all);
    let wait = |refused, failures| {
        let until = std::time::Instant::now() + LONG;
        loop {
            let counted = server.counted();
            let both = (counted.tcp_refused, counted.proxy_failures);
            if both == (refused, failures) || std::time::Instant::now() > until {
                return assert_eq!(both, (refused, failures));
            }
            std::thread::yield_now();
        }
    };
    // Whoever only looks whether somebody listens is no failure.
    wait(1, 0);
    for (number, wrong) in
        [b"query, no header".to_vec(), proxied(9)[..20].to_vec()].iter().enumerate()
    {
        let mut without = server.connect();
        without.write_all(wrong).unwrap();
        without.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(without.read(&mut [0; 8]).unwrap_or(0), 0);
        wait(1, number as u64 + 1);
    }
    drop(server.connect());
    let mut last = ask(&proxied(7), b"query");
    assert_eq!(read_message(&mut last), b"QUERY");
    wait(1, 2);
}

#[test]
fn connections_without_a_name_take_nobodys_place() {
    let proxies = Networks::new(&[([127, 0, 0, 1].into(), 32)]);
    let server = Running::behind(proxies, 8, LONG);
    let mut named = server.connect();
    named.write_all(&[proxied(1), framed(b"query")].concat()).unwrap();
    assert_eq!(read_message(&mut named), b"QUERY");
    // More than a fourth of all places, and more than all places.
    let mut silent: Vec<TcpStream> = (0..9).map(|_| server.connect()).collect();
    for stream in &mut silent[2..] {
        assert_eq!(stream.read(&mut [0; 8]).unwrap_or(0), 0);
    }
    named.write_all(&framed(b"query")).unwrap();
    assert_eq!(read_message(&mut named), b"QUERY");
}
