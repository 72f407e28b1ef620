//! A Director on loopback: real sockets, real queries, Plans swapped under load.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fixture;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use walrus_core::config::{DnsSettings, DnstapOutput};
use walrus_core::map::Map;
use walrus_core::plan::Digests;
use walrus_core::world::{ClientSpec, Digest, Topology};
use walrus_core::zone::Zone;
use walrus_director::{
    Director, DirectorHandle, DirectorStart, Heavy, PlanRefused, Reload, SigningStart, StartError,
    Traffic,
};
use walrus_host::clock::Clock;

use fixture::{SERVICE, digests, plan, query, settings, topology, zone};

/// How long anything may take on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(20);

fn start(dns: DnsSettings, with_plan: bool) -> DirectorHandle {
    try_start(dns, with_plan).unwrap()
}

fn try_start(dns: DnsSettings, with_plan: bool) -> Result<DirectorHandle, StartError> {
    let topology = topology();
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let digests = digests(&map);
    let plan = with_plan.then(|| plan(1, 1, &digests));
    let clock = Clock::real();
    let zones = vec![zone()];
    let signing = SigningStart::default();
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

fn reload(topology: &Topology, zones: Vec<Arc<Zone>>, map: Arc<Map>, digests: Digests) -> Reload {
    let topology = Arc::new(topology.clone());
    Reload {
        topology,
        zones,
        moving: Vec::new(),
        updates: walrus_director::UpdateSettings::default(),
        keys: Default::default(),
        map,
        digests,
        signing: Vec::new(),
        pairs: Vec::new(),
        answer_sets_max: 100,
    }
}

/// The code and the last A record that stands right after the question.
fn read(reply: &[u8], query: &[u8]) -> (u8, Option<Ipv4Addr>) {
    assert_eq!(reply[..2], query[..2], "the id");
    let answers = u16::from_be_bytes([reply[6], reply[7]]);
    let question = query[12..].windows(5).position(|end| end == [0, 0, 1, 0, 1]).unwrap() + 17;
    let address = (answers > 0).then(|| {
        let record: [u8; 4] = reply[question + 12..question + 16].try_into().unwrap();
        record.into()
    });
    (reply[3] & 0x0f, address)
}

fn client(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn ask(socket: &UdpSocket, to: SocketAddr, query: &[u8]) -> Vec<u8> {
    socket.send_to(query, to).unwrap();
    let mut reply = [0; 4096];
    let (length, from) = socket.recv_from(&mut reply).unwrap();
    assert_eq!(from, to, "the reply comes from where the query went");
    reply[..length].to_vec()
}

fn ask_service(director: &DirectorHandle, subnet: Option<[u8; 3]>) -> (u8, Option<Ipv4Addr>) {
    let query = query(7, SERVICE, subnet);
    read(&ask(&client("127.0.0.1:0"), director.addresses()[0], &query), &query)
}

#[test]
fn clients_get_their_areas_servers_by_udp_and_tcp() {
    let director = start(settings(&["127.0.0.1:0", "[::1]:0"], 2), true);
    assert_eq!(ask_service(&director, None), (0, Some(Ipv4Addr::new(127, 0, 11, 1))));
    let asian = Some([192, 0, 2]);
    assert_eq!(ask_service(&director, asian), (0, Some(Ipv4Addr::new(127, 0, 12, 1))));
    let query = query(9, SERVICE, asian);
    let ipv6 = ask(&client("[::1]:0"), director.addresses()[1], &query);
    assert_eq!(read(&ipv6, &query).1, Some(Ipv4Addr::new(127, 0, 12, 1)));
    let mut stream = TcpStream::connect(director.addresses()[0]).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let framed = [&(query.len() as u16).to_be_bytes(), query.as_slice()].concat();
    stream.write_all(&framed.repeat(3)).unwrap();
    for _ in 0..3 {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(reply, ipv6, "the same bytes by either transport");
    }
    let counters = director.counters();
    assert_eq!((counters.udp_queries, counters.tcp_queries), (3, 3));
    assert_eq!((director.traffic().replies.total(), counters.client_subnet), (6, 5));
}

/// A thread with one socket waits by receiving right after it has answered, and hears nothing else.
#[test]
fn whoever_looks_right_after_an_answer_sees_it_counted() {
    for _ in 0..3 {
        let director = start(settings(&["127.0.0.1:0"], 1), true);
        ask_service(&director, None);
        let traffic = director.traffic();
        assert_eq!(traffic.services.len(), 1, "{traffic:?}");
        assert_eq!(traffic.services[0].areas, [("world".to_owned(), 1)]);
        assert_eq!(director.observe().services.len(), 1);
        for _ in 0..5 {
            ask_service(&director, None);
            let observed = director.observe().services.remove(0);
            assert_eq!(observed.areas, [(walrus_core::world::Name::from_str("world").unwrap(), 1)]);
        }
    }
}

/// Looks until so many answers have been told.
fn traffic_of(director: &DirectorHandle, answers: u64) -> Arc<Traffic> {
    let begun = Instant::now();
    loop {
        let traffic = director.traffic();
        if traffic.recent.answers >= answers {
            return traffic;
        }
        assert!(begun.elapsed() < PATIENCE, "{traffic:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn traffic_tells_who_asked_for_what_and_what_was_decided() {
    let director = start(settings(&["127.0.0.1:0"], 1), true);
    ask_service(&director, Some([192, 0, 2]));
    ask_service(&director, Some([192, 0, 2]));
    ask_service(&director, None);
    let missing = query(3, "nobody.walrus.example", None);
    ask(&client("127.0.0.1:0"), director.addresses()[0], &missing);
    let traffic = traffic_of(&director, 4);
    let replies: Vec<_> = traffic.replies.iter().map(|it| (it.rcode, it.count)).collect();
    assert_eq!(replies, [("NOERROR", 3), ("NXDOMAIN", 1)]);
    let [service] = &traffic.services[..] else { panic!("{:?}", traffic.services) };
    assert_eq!(service.service, SERVICE);
    let pairs = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    assert_eq!(service.areas, pairs(&[("asia", 2), ("world", 1)]));
    assert_eq!(service.servers.iter().map(|(_, count)| count).sum::<u64>(), 3);
    let recent = &traffic.recent;
    let heavy = |heavy: &[Heavy]| -> Vec<(String, u64)> {
        heavy.iter().map(|it| (it.what.clone(), it.queries as u64)).collect()
    };
    assert_eq!(heavy(&recent.names), pairs(&[(SERVICE, 3), ("nobody.walrus.example", 1)]));
    assert_eq!(heavy(&recent.resolvers), pairs(&[("127.0.0.1", 4)]));
    assert_eq!(heavy(&recent.domains), pairs(&[("192.0.2.0/24", 2), ("127.0.0.1", 1)]));
    let [last, .., first] = &recent.decisions[..] else { panic!("{recent:?}") };
    assert_eq!((last.name.as_str(), last.rcode.as_str()), ("nobody.walrus.example", "NXDOMAIN"));
    assert_eq!((first.area.as_deref(), first.ttl), (Some("asia"), Some(5)));
    assert_eq!(first.subnet.as_deref(), Some("192.0.2.0/24"));
    assert!(first.server.is_some() && first.plan.is_some(), "{first:?}");
}

#[test]
fn the_time_of_answering_is_not_the_time_of_waiting_for_queries() {
    let director = start(settings(&["127.0.0.1:0"], 1), true);
    let begun = Instant::now();
    for _ in 0..5 {
        ask_service(&director, None);
        std::thread::park_timeout(Duration::from_millis(200));
    }
    let latency = traffic_of(&director, 5).latency.clone();
    assert_eq!(latency.count(), 5);
    // The thread was idle for nearly all of this.
    assert!(latency.sum() < begun.elapsed() / 2, "{latency:?}");
}

#[test]
fn a_wildcard_socket_replies_from_the_address_that_was_asked() {
    let director = start(settings(&["0.0.0.0:0"], 1), true);
    let port = director.addresses()[0].port();
    for last in [1, 2, 99] {
        let to = SocketAddr::from(([127, 0, 0, last], port));
        let query = query(1, SERVICE, None);
        ask(&client("127.0.0.1:0"), to, &query);
    }
}

#[test]
fn both_families_listen_on_all_addresses_of_one_port() {
    // A port that is free for IPv4 just now is free for IPv6 too, or another one is tried.
    let director = (0..10).find_map(|_| {
        let free = UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        let listen = [format!("0.0.0.0:{free}"), format!("[::]:{free}")];
        try_start(settings(&listen.each_ref().map(String::as_str), 2), true).ok()
    });
    let director = director.expect("a port is free for both");
    let port = director.addresses()[0].port();
    let query = query(1, SERVICE, None);
    for (from, to) in [("127.0.0.1:0", "127.0.0.2"), ("[::1]:0", "::1")] {
        ask(&client(from), SocketAddr::new(to.parse().unwrap(), port), &query);
    }
}

#[test]
fn static_names_and_the_complete_path() {
    let director = start(settings(&["127.0.0.1:0"], 1), false);
    let socket = client("127.0.0.1:0");
    let code = |name: &str| {
        let query = query(3, name, None);
        read(&ask(&socket, director.addresses()[0], &query), &query).0
    };
    assert_eq!(code(SERVICE), 2, "SERVFAIL before there is a Plan");
    assert_eq!(code("walrus.example"), 0);
    assert_eq!(code("nobody.walrus.example"), 3);
    assert_eq!(code("www.example.org"), 5);
}

#[test]
fn garbage_is_dropped_or_refused_and_harms_nobody() {
    let director = start(settings(&["127.0.0.1:0"], 1), true);
    let socket = client("127.0.0.1:0");
    let to = director.addresses()[0];
    let sound = query(5, SERVICE, Some([192, 0, 2]));
    let mut reply_bit = sound.clone();
    reply_bit[2] |= 0x80;
    for garbage in [&b""[..], b"x", &[0xff; 11], &reply_bit, &[0; 5000]] {
        socket.send_to(garbage, to).unwrap();
    }
    for length in 12..sound.len() {
        let short = ask(&socket, to, &sound[..length]);
        assert!(short.len() <= length + 11, "no refusal larger than its query (and OPT)");
    }
    assert_eq!(read(&ask(&socket, to, &sound), &sound).0, 0);
    assert!(director.counters().dropped >= 5);
}

#[test]
fn plans_are_swapped_under_load_without_a_lost_query() {
    let director = start(settings(&["127.0.0.1:0"], 2), true);
    let digests = director.digests();
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..2)
        .map(|_| {
            let (done, to) = (Arc::clone(&done), director.addresses()[0]);
            std::thread::spawn(move || {
                let socket = client("127.0.0.1:0");
                let (mut asked, mut seen) = (0, 0);
                while !done.load(Ordering::Relaxed) {
                    let query = query(asked as u16, SERVICE, Some([192, 0, 2]));
                    let (code, address) = read(&ask(&socket, to, &query), &query);
                    let last = address.expect("always an answer").octets()[3];
                    assert_eq!(code, 0);
                    assert!(last >= seen, "never back to an older Plan");
                    (asked, seen) = (asked + 1, last);
                }
                asked
            })
        })
        .collect();
    for sequence in 2..=200_u8 {
        director.apply_plan(plan(u64::from(sequence), sequence, &digests)).unwrap();
    }
    let deadline = Instant::now() + PATIENCE;
    while ask_service(&director, None).1 != Some(Ipv4Addr::new(127, 0, 11, 200)) {
        assert!(Instant::now() < deadline);
    }
    done.store(true, Ordering::Relaxed);
    let asked: u64 = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert!(asked > 0);
    // Nothing that was counted under any of the 200 tables is lost.
    let mut observed = director.observe().services.remove(0);
    let deadline = Instant::now() + PATIENCE;
    let counted = |observed: &walrus_core::world::ServiceCounts| {
        observed.areas.iter().map(|(_, queries)| queries).sum::<u64>()
    };
    let total = director.counters().service_answers;
    while counted(&observed) < total && Instant::now() < deadline {
        if let Some(more) = director.observe().services.pop() {
            observed.areas.extend(more.areas);
        }
    }
    assert_eq!(counted(&observed), total);
}

#[test]
fn observations_tell_areas_servers_and_domains() {
    let director = start(settings(&["127.0.0.1:0"], 1), true);
    for subnet in [Some([192, 0, 2]), Some([192, 0, 2]), Some([198, 51, 100]), None] {
        ask_service(&director, subnet);
    }
    let observation = director.observe();
    assert_eq!(observation.sequence, 1);
    let [service] = &observation.services[..] else { panic!("one service was asked for") };
    assert_eq!(service.service, SERVICE);
    let areas: Vec<_> = service.areas.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(areas, [("asia", 2), ("world", 2)]);
    let servers: Vec<_> = service.servers.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(servers, [("asia1", 2), ("world1", 2)]);
    let domains: BTreeMap<_, _> =
        service.domains.iter().map(|counted| (counted.domain.as_str(), counted.queries)).collect();
    let expected = [("127.0.0.1", 1), ("192.0.2.0/24", 2), ("198.51.100.0/24", 1)];
    assert_eq!(domains, expected.into_iter().collect());
    assert_eq!(service.rest, 0);
    assert_eq!(director.observe().services, [], "told once");
}

#[test]
fn old_plans_and_plans_for_something_else_are_refused() {
    let director = start(settings(&["127.0.0.1:0"], 1), false);
    let digests = director.digests();
    director.apply_plan(plan(5, 5, &digests)).unwrap();
    for sequence in [4, 5] {
        let refused = director.apply_plan(plan(sequence, 9, &digests)).unwrap_err();
        assert!(matches!(refused, PlanRefused::NotNewer { .. }), "{refused}");
    }
    let other = Digests { zones: Digest::of([&b"other"[..]]), ..digests };
    let refused = director.apply_plan(plan(6, 9, &other)).unwrap_err();
    assert!(matches!(refused, PlanRefused::Lacks { what: "zones", .. }), "{refused}");
    assert_eq!(director.plan().unwrap().number.sequence, 5);
    assert_eq!(ask_service(&director, None).1, Some(Ipv4Addr::new(127, 0, 11, 5)));
}

#[test]
fn a_reload_keeps_the_plan_and_takes_the_new_areas() {
    let director = start(settings(&["127.0.0.1:0"], 1), true);
    let mut changed = (*topology()).clone();
    let net = ClientSpec::Prefix("198.51.100.0".parse().unwrap(), 24);
    changed.areas[0].clients = vec![net];
    let map = Arc::new(Map::build(&changed, &[]).unwrap());
    let digests = Digests { map: map.digest().clone(), ..Digests::default() };
    director.reload(reload(&changed, vec![zone()], map, digests.clone()), || None).unwrap();
    let asia = Some(Ipv4Addr::new(127, 0, 12, 1));
    assert_eq!(ask_service(&director, Some([198, 51, 100])).1, asia);
    assert_ne!(ask_service(&director, Some([192, 0, 2])).1, asia);
    assert_eq!(director.digests(), digests);
    // Without the zone the service hangs in the air: all stays as it was.
    let map = Arc::new(Map::build(&changed, &[]).unwrap());
    assert!(director.reload(reload(&changed, Vec::new(), map, digests), || None).is_err());
    assert_eq!(ask_service(&director, Some([198, 51, 100])).1, asia);
}

#[test]
fn a_reload_takes_a_service_away_and_brings_it_back() {
    let director = start(settings(&["127.0.0.1:0"], 2), true);
    let asked = |expected: (u8, Option<Ipv4Addr>)| {
        // A worker in the middle of a batch answers that from the table before.
        let deadline = Instant::now() + PATIENCE;
        while ask_service(&director, None) != expected {
            assert!(Instant::now() < deadline, "{expected:?} never comes");
        }
    };
    let world = (0, Some(Ipv4Addr::new(127, 0, 11, 1)));
    asked(world);
    let whole = director.digests();
    let mut without = (*topology()).clone();
    without.services.clear();
    let configuration = Digest::of([&b"without"[..]]);
    let digests = Digests { configuration, ..whole.clone() };
    let map = || Arc::new(Map::build(&topology(), &[]).unwrap());
    director.reload(reload(&without, vec![zone()], map(), digests), || None).unwrap();
    asked((3, None));
    // What was counted before is told under its name, if not the first time (busy threads).
    let deadline = Instant::now() + PATIENCE;
    let told = loop {
        if let Some(told) = director.observe().services.pop() {
            break told;
        }
        assert!(Instant::now() < deadline, "never told");
    };
    assert_eq!(told.service, SERVICE);
    assert!(told.domains.iter().any(|counted| counted.domain == "127.0.0.1"));
    director.reload(reload(&topology(), vec![zone()], map(), whole), || None).unwrap();
    asked(world);
    let told = director.observe().services;
    assert!(told.iter().all(|service| service.service == SERVICE), "{told:?}");
}

#[test]
fn the_decision_log_names_what_was_decided() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("decisions.jsonl");
    let mut dns = settings(&["127.0.0.1:0"], 1);
    dns.decision_log = Some(path.clone());
    let director = start(dns, true);
    ask_service(&director, Some([192, 0, 2]));
    director.shutdown();
    let text = std::fs::read_to_string(&path).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
    for (key, expected) in [
        ("walrus", serde_json::json!(1)),
        ("kind", "decision".into()),
        ("weight", 1.into()),
        ("worker", 0.into()),
        ("resolver", "127.0.0.1".into()),
        ("subnet", "192.0.2.0/24".into()),
        ("transport", "udp".into()),
        ("do", false.into()),
        ("name", SERVICE.into()),
        ("type", 1.into()),
        ("area", "asia".into()),
        ("cluster", "cluster".into()),
        ("server", "asia1".into()),
        ("answered", serde_json::json!(["127.0.12.1"])),
        ("scope", 24.into()),
        ("ttl", 5.into()),
        ("plan", "1/test/1".into()),
    ] {
        assert_eq!(line[key], expected, "{key}");
    }
    assert_eq!(director.counters().decisions_logged, 1);
}

/// Frames with their lengths before them, as (control, data), after which nothing is left.
fn frames(mut bytes: &[u8]) -> (Vec<u32>, Vec<Vec<u8>>) {
    let number = |bytes: &[u8]| u32::from_be_bytes(*bytes.first_chunk().unwrap());
    let (mut control, mut data) = (Vec::new(), Vec::new());
    while !bytes.is_empty() {
        let len = number(bytes) as usize;
        if len == 0 {
            let len = number(&bytes[4..]) as usize;
            control.push(number(&bytes[8..]));
            bytes = &bytes[8 + len..];
        } else {
            data.push(bytes[4..4 + len].to_vec());
            bytes = &bytes[4 + len..];
        }
    }
    (control, data)
}

fn is_told(frames: &[Vec<u8>]) {
    assert_eq!(frames.len(), 2, "a query and its reply");
    for frame in frames {
        let has = |wanted: &[u8]| frame.windows(wanted.len()).any(|it| it == wanted);
        assert!(has(b"\x06walrus\x07example\0") && has(&[127, 0, 0, 1]) && has(b"lab-1"));
    }
    let answered = [127, 0, 12, 1];
    assert!(!frames[0].windows(4).any(|it| it == answered));
    assert!(frames[1].windows(4).any(|it| it == answered));
}

#[test]
fn dnstap_goes_to_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tap");
    let mut dns = settings(&["127.0.0.1:0"], 1);
    dns.nsid = Some("lab-1".to_owned());
    dns.dnstap = Some(DnstapOutput::File(path.clone()));
    for runs in 1..=2 {
        let director = start(dns.clone(), true);
        ask_service(&director, Some([192, 0, 2]));
        let begun = Instant::now();
        while frames(&std::fs::read(&path).unwrap()).1.len() < 2 * runs {
            assert!(begun.elapsed() < Duration::from_secs(5), "nobody else asks");
            std::thread::sleep(Duration::from_millis(10));
        }
        director.shutdown();
        assert_eq!((director.counters().dnstap_told, director.counters().dnstap_lost), (2, 0));
        let (control, data) = frames(&std::fs::read(&path).unwrap());
        assert_eq!(
            (control, data.len()),
            (vec![2, 3], 2 * runs),
            "one stream for readers that stop at its end"
        );
        is_told(&data[2 * (runs - 1)..]);
    }
}

#[test]
fn dnstap_goes_to_a_program_that_listens() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let mut dns = settings(&["127.0.0.1:0"], 1);
    dns.nsid = Some("lab-1".to_owned());
    dns.dnstap = Some(DnstapOutput::Socket(path.clone()));
    // Nobody listens yet: queries are answered, and what could not be told is counted.
    let director = start(dns, true);
    let begin = Instant::now();
    while director.counters().dnstap_lost == 0 {
        ask_service(&director, Some([192, 0, 2]));
        std::thread::sleep(Duration::from_millis(10));
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let received = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&received);
    let reading = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut all = Vec::new();
        let control = |kind: u32| [[0; 4], 4_u32.to_be_bytes(), kind.to_be_bytes()].concat();
        stream.write_all(&control(1)).unwrap();
        let stop = control(3);
        while !all.ends_with(&stop) {
            let mut some = [0; 4096];
            let len = stream.read(&mut some).unwrap();
            assert!(len > 0, "{} bytes", all.len());
            all.extend_from_slice(&some[..len]);
            counted.store(all.len(), Ordering::Relaxed);
        }
        stream.write_all(&control(5)).unwrap();
        all
    });
    // From now on it comes, sooner or later.
    let begin = Instant::now();
    while received.load(Ordering::Relaxed) < 2_000 {
        ask_service(&director, Some([192, 0, 2]));
        std::thread::sleep(Duration::from_millis(50));
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
    director.shutdown();
    let (control, data) = frames(&reading.join().unwrap());
    assert_eq!(control, [4, 2, 3], "READY, START, STOP");
    is_told(&data[data.len() - 2..]);
}

#[test]
fn taken_and_foreign_addresses_are_explained() {
    let director = start(settings(&["127.0.0.1:0"], 1), false);
    let taken = director.addresses()[0].to_string();
    let refused = |listen: &str| try_start(settings(&[listen], 1), false).unwrap_err();
    assert!(matches!(refused(&taken), StartError::Taken { .. }));
    // Taken by a name server that has UDP only, as sharing the port would be possible.
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = refused(&udp.local_addr().unwrap().to_string());
    assert!(error.to_string().contains("is taken by another program"), "{error}");
    assert!(matches!(refused("192.0.2.1:5300"), StartError::NotHere { .. }));
}

#[test]
fn shutdown_ends_all_threads_and_frees_the_port() {
    // An address of its own: nobody else may take the port that gets free.
    let director = start(settings(&["127.0.42.1:0"], 2), true);
    let address = director.addresses()[0];
    ask_service(&director, None);
    let begun = Instant::now();
    director.shutdown();
    director.shutdown();
    assert!(begun.elapsed() < PATIENCE);
    UdpSocket::bind(address).unwrap();
    std::net::TcpListener::bind(address).unwrap();
    assert_eq!(director.counters().udp_queries, 1, "counters outlive the threads");
}
