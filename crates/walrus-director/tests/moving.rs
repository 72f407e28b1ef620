//! Zones whose content moves by itself, in a running Director: replaced, kept over reloads, emptied,
//! refused; and by hand how long a change of a large one takes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fixture;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use walrus_core::map::Map;
use walrus_core::zone::{Record, Zone, ZoneDifference, ZoneDraft, ZoneReader, read_zone};
use walrus_director::tsig::TsigKeys;
use walrus_director::{
    Director, DirectorHandle, DirectorStart, MovingZone, Reload, ReplaceError, SigningStart,
};
use walrus_dns::DomainName;
use walrus_host::clock::Clock;

use fixture::{SERVICE, digests, plan, query, settings, topology, zone};

fn apex() -> DomainName {
    zone().apex().clone()
}

fn moving(content: Option<Arc<Zone>>) -> Vec<MovingZone> {
    vec![MovingZone { apex: apex(), content }]
}

fn start(content: Option<Arc<Zone>>) -> DirectorHandle {
    let topology = topology();
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let digests = digests(&map);
    let start = DirectorStart {
        dns: settings(&["127.0.0.1:0"], 1),
        topology,
        zones: vec![zone()],
        moving: moving(content),
        keys: TsigKeys::default(),
        updates: walrus_director::UpdateSettings::default(),
        serials: Default::default(),
        map,
        plan: Some(plan(1, 1, &digests)),
        digests,
        signing: SigningStart::default(),
        seed: 1,
        clock: Clock::real(),
    };
    Director::start(start).unwrap()
}

fn reload(director: &DirectorHandle, moving: Vec<MovingZone>) {
    let topology = topology();
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let reload = Reload {
        topology,
        zones: vec![zone()],
        moving,
        keys: TsigKeys::default(),
        updates: walrus_director::UpdateSettings::default(),
        digests: digests(&map),
        map,
        signing: Vec::new(),
        pairs: Vec::new(),
        answer_sets_max: 100,
    };
    director.reload(reload, || None).unwrap();
}

/// A content with a name beside the services'.
fn content(serial: u32, last: u8) -> Arc<Zone> {
    let text = format!(
        "@ 60 SOA ns host {serial} 2 3 4 5\n@ 60 NS ns.example.net.\nmoves 60 A 192.0.2.{last}\n"
    );
    Arc::new(read_zone("test", text.as_bytes(), &apex()).unwrap().zone)
}

/// Code, and the last byte of the address that stands right behind the question.
fn ask(socket: &UdpSocket, to: SocketAddr, name: &str) -> (u8, Option<u8>) {
    let query = query(7, name, None);
    socket.send_to(&query, to).unwrap();
    let mut reply = [0; 1500];
    let (len, _) = socket.recv_from(&mut reply).unwrap();
    let question = 12 + name.len() + 2 + 4;
    let last = reply[..len].get(question + 15).copied().filter(|_| reply[7] > 0);
    (reply[3] & 15, last)
}

fn client() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

#[test]
fn content_comes_stays_over_reloads_and_goes() {
    let director = start(None);
    let (socket, to, moves) = (client(), director.addresses()[0], format!("moves.{}", apex()));
    let ask = |name: &str| ask(&socket, to, name);
    assert_eq!((ask(&moves), ask(SERVICE).0), ((2, None), 2), "nothing came yet");
    assert_eq!(director.current_zone(&apex()), None);
    director.replace_zone(content(1, 1)).unwrap();
    assert_eq!((ask(&moves), ask(SERVICE).0), ((0, Some(1)), 0));
    assert_eq!(director.current_zone(&apex()).unwrap().serial(), 1);
    let changed = director.current_zone(&apex()).unwrap();
    let changed = changed.with_difference(&changed.difference_to(&content(2, 2))).unwrap();
    director.replace_zone(Arc::new(changed)).unwrap();
    assert_eq!((ask(&moves), ask(SERVICE).0), ((0, Some(2)), 0));
    // What was loaded again is older than what came.
    reload(&director, moving(Some(content(1, 1))));
    assert_eq!(ask(&moves), (0, Some(2)));
    director.empty_zone(&apex()).unwrap();
    assert_eq!((ask(&moves), ask(SERVICE).0), ((2, None), 2));
    reload(&director, moving(None));
    assert_eq!(ask(&moves), (2, None));
    director.replace_zone(content(3, 3)).unwrap();
    // It is the configuration's again.
    reload(&director, Vec::new());
    assert_eq!((ask(&moves).0, ask(SERVICE).0), (3, 0));
    let error = director.replace_zone(content(4, 4)).unwrap_err();
    assert_eq!(error, ReplaceError::NotMoving(apex()));
    // And is to come from elsewhere once more: until it does, what there was is served.
    reload(&director, moving(None));
    assert_eq!((ask(&moves).0, ask(SERVICE).0), (3, 0));
    director.replace_zone(content(5, 5)).unwrap();
    assert_eq!(ask(&moves), (0, Some(5)));
    director.shutdown();
}

/// Contents that the service does not fit, and a word of the reason.
fn unfit() -> [(Arc<Zone>, &'static str); 3] {
    let head = "@ 60 SOA ns host 9 2 3 4 5\n@ 60 NS ns.example.net.\nmoves 60 A 192.0.2.9\n";
    let signature = "13 2 60 20300101000000 20200101000000 1 walrus.example. AAAA";
    let signed = format!("@ 60 RRSIG SOA {signature}\n");
    let bodies = [
        (signed.as_str(), "comes signed"),
        ("www 60 CNAME moves\n", "alias"),
        ("www 60 NS ns.example.net.\n", "to others"),
    ];
    bodies.map(|(body, word)| {
        let (text, apex) = (format!("{head}{body}"), apex());
        let reader = ZoneReader::new("test", &apex).keeping_signatures(true);
        (Arc::new(reader.read(text.as_bytes(), None).unwrap().zone), word)
    })
}

#[test]
fn a_change_that_a_service_would_not_fit_changes_nothing() {
    let director = start(Some(content(1, 1)));
    let (socket, to, moves) = (client(), director.addresses()[0], format!("moves.{}", apex()));
    assert_eq!(ask(&socket, to, &moves), (0, Some(1)), "what was kept is served from the start");
    for (content, word) in unfit() {
        let error = director.replace_zone(content).unwrap_err();
        let is_it = matches!(error, ReplaceError::Unfit(_)) && error.to_string().contains(word);
        assert!(is_it, "{error}");
    }
    assert_eq!((ask(&socket, to, &moves), ask(&socket, to, SERVICE).0), ((0, Some(1)), 0));
    assert_eq!(director.current_zone(&apex()).unwrap().serial(), 1);
    assert_eq!(director.unfit_services(), []);
    director.shutdown();
}

#[test]
fn a_service_that_does_not_fit_what_was_kept_is_refused_and_all_else_is_served() {
    for (content, word) in unfit() {
        let director = start(Some(content));
        let (socket, to, moves) = (client(), director.addresses()[0], format!("moves.{}", apex()));
        // What is given to others is not ours to refuse.
        let code = if word == "to others" { 0 } else { 5 };
        assert_eq!((ask(&socket, to, &moves), ask(&socket, to, SERVICE).0), ((0, Some(9)), code));
        let told = director.unfit_services();
        assert!(told.len() == 1 && told[0].to_string().contains(word), "{told:?}");
        // What was so before keeps nobody from a reload.
        reload(&director, moving(None));
        assert_eq!((ask(&socket, to, &moves), ask(&socket, to, SERVICE).0), ((0, Some(9)), code));
        director.replace_zone(self::content(10, 10)).unwrap();
        assert_eq!((ask(&socket, to, &moves), ask(&socket, to, SERVICE).0), ((0, Some(10)), 0));
        assert_eq!(director.unfit_services(), []);
        director.shutdown();
    }
}

/// `cargo test --release -p walrus-director --test moving -- --ignored --nocapture`
#[test]
#[ignore = "by hand, in release: a million names"]
fn a_thousand_changes_to_a_million_names() {
    let mut draft = ZoneDraft::new(apex(), false, 2 << 30);
    for record in content(1, 1).records() {
        assert!(draft.push(&record.name, record.record_type, record.ttl, &record.data));
    }
    let name = |number: u32| -> DomainName { format!("n{number}.{}", apex()).parse().unwrap() };
    for number in 0..1_000_000 {
        draft.push(&name(number), 1, 60, &number.to_be_bytes());
    }
    let director = start(Some(Arc::new(draft.finish("test").unwrap().zone)));
    let (to, stop) = (director.addresses()[0], Arc::new(AtomicBool::new(false)));
    let asking = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            let (mut asked, mut longest) = (0_u64, Duration::ZERO);
            while !stop.load(Ordering::Relaxed) {
                let begin = Instant::now();
                let name = format!("n{}.walrus.example", asked % 1_000_000);
                // It panics if there is no reply.
                assert_eq!(ask(&socket, to, &name).0, 0);
                longest = longest.max(begin.elapsed());
                asked += 1;
            }
            (asked, longest)
        })
    };
    let soa = |serial| content(serial, 1).records().next().unwrap();
    for round in 0..5_u32 {
        let held = director.current_zone(&apex()).unwrap();
        let a = |number: u32, data: u32| Record {
            name: name(number),
            record_type: 1,
            ttl: 60,
            data: data.to_be_bytes().into(),
        };
        let numbers = || (0..500_u32).map(|it| it * 1999 + 7);
        let before = |number: u32| if round == 0 { number } else { number + (round << 24) };
        let difference = ZoneDifference {
            from_serial: round + 1,
            to_serial: round + 2,
            removed: std::iter::once(soa(round + 1))
                .chain(numbers().map(|number| a(number, before(number))))
                .collect(),
            added: std::iter::once(soa(round + 2))
                .chain(numbers().map(|number| a(number, number + ((round + 1) << 24))))
                .collect(),
        };
        let begin = Instant::now();
        let next = held.with_difference(&difference).unwrap();
        let applied = begin.elapsed();
        director.replace_zone(Arc::new(next)).unwrap();
        let whole = begin.elapsed();
        println!(
            "difference {applied:?}, compiled and published {:?}, in all {whole:?}",
            whole - applied
        );
    }
    stop.store(true, Ordering::Relaxed);
    let (asked, longest) = asking.join().unwrap();
    println!("{asked} queries meanwhile, none lost, the longest {longest:?}");
    director.shutdown();
}
