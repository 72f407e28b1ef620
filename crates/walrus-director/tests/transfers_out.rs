//! A zone with a service goes to another name server: whole, by differences, by NOTIFY, with keys.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[expect(dead_code, reason = "this test asks other questions")]
mod fixture;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::base::iana::Rcode;
use domain::base::{Message, MessageBuilder, Name, ParsedName, Rtype, Serial, Ttl};
use domain::rdata::{AllRecordData, Soa};
use walrus_core::config::{
    DnsSettings, NotifyTarget, RateLimitSettings, TransferRule, TsigAlgorithm, ZoneTransfers,
};
use walrus_core::map::Map;
use walrus_core::plan::Digests;
use walrus_core::zone::{Zone, ZoneReader};
use walrus_director::tsig::SharedKey;
use walrus_director::{
    Director, DirectorHandle, DirectorStart, Notice, OutboundSettings, SigningStart, used_serials,
};
use walrus_dns::DomainName;
use walrus_host::clock::{Clock, ManualClock};

use fixture::{digests, plan, settings, topology, zone};

/// How long anything may take on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

fn key(secret: &[u8]) -> SharedKey {
    SharedKey::new("transfer".parse().unwrap(), TsigAlgorithm::HmacSha256, secret)
}

struct Running {
    director: DirectorHandle,
    digests: Digests,
    clock: Clock,
    time: ManualClock,
}

fn apex() -> DomainName {
    zone().apex().clone()
}

/// With the Plan of this sequence, whose servers end in the same number.
fn start(sequence: u8, state: &Path, notify: SocketAddr) -> Running {
    let named = Some("transfer".parse().unwrap());
    let from = Some(([127, 0, 0, 0].into(), 8));
    let transfers = ZoneTransfers {
        transfer_to: vec![TransferRule { from, key: named.clone() }],
        notify: vec![NotifyTarget { address: notify, key: named, source: None }],
        ..ZoneTransfers::default()
    };
    start_with((Some(sequence), zone()), settings(&["127.0.0.1:0"], 1), transfers, Some(state))
}

fn start_with(
    (sequence, zone): (Option<u8>, Arc<Zone>),
    dns: DnsSettings,
    transfers: ZoneTransfers,
    state: Option<&Path>,
) -> Running {
    let topology = topology();
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let digests = digests(&map);
    let (clock, time) = Clock::manual();
    let serials = state.map(|state| used_serials(&[apex()], state)).unwrap_or_default();
    let director = Director::start(DirectorStart {
        dns,
        topology,
        zones: vec![zone],
        moving: Vec::new(),
        keys: [key(b"secret")].into_iter().collect(),
        updates: Default::default(),
        serials,
        map,
        digests: digests.clone(),
        plan: sequence.map(|sequence| plan(sequence.into(), sequence, &digests)),
        signing: SigningStart::default(),
        seed: 1,
        clock: clock.clone(),
    });
    let director = director.unwrap();
    director.set_outbound(OutboundSettings {
        zones: [(apex(), transfers)].into(),
        state: state.map(ToOwned::to_owned),
        ..OutboundSettings::default()
    });
    Running { director, digests, clock, time }
}

impl Running {
    fn now(&self) -> u64 {
        self.clock.unix_ms() / 1000
    }

    fn to(&self) -> SocketAddr {
        self.director.addresses()[0]
    }

    /// Waits until the zone is sent under another serial than this.
    fn serial_other_than(&self, before: Option<u32>) -> u32 {
        let started = Instant::now();
        loop {
            let serial = self.director.outbound()[0].serial;
            match serial.filter(|_| serial != before) {
                Some(serial) => return serial,
                None => assert!(started.elapsed() < PATIENCE, "no new serial after {before:?}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// All records of a transfer, and the last message's code.
    fn transfer(&self, mut request: Vec<u8>, key: Option<&SharedKey>) -> (Rcode, Vec<String>) {
        let mut verifier = key.map(|key| key.sign_request(&mut request, self.now()));
        let mut stream = TcpStream::connect(self.to()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&(request.len() as u16).to_be_bytes()).unwrap();
        stream.write_all(&request).unwrap();
        let mut records = Vec::new();
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut message).unwrap();
            let rcode = Message::from_slice(&message).unwrap().header().rcode();
            if let Some(verifier) = &mut verifier {
                match verifier.verify(&mut message, self.now()) {
                    Ok(()) => {}
                    Err(error) => return (rcode, vec![error.to_string()]),
                }
            }
            records.extend(read(&message));
            let is_over = records.len() == 1 || records.first() == records.last();
            if rcode != Rcode::NOERROR || is_over && records.len() != 1 {
                return (rcode, records);
            }
            if records.len() == 1 {
                return (rcode, records);
            }
        }
    }
}

fn read(message: &[u8]) -> Vec<String> {
    let message = Message::from_slice(message).unwrap();
    let answers = message.answer().unwrap().map(|record| {
        let record = record.unwrap();
        let any = record.to_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>().unwrap();
        format!("{} {} {}", any.owner(), any.ttl().as_secs(), any.data())
    });
    answers.collect()
}

fn asking(record_type: Rtype, serial: Option<u32>) -> Vec<u8> {
    let apex = Name::<Vec<u8>>::from_chars("walrus.example".chars()).unwrap();
    let mut question = MessageBuilder::new_vec().question();
    question.header_mut().set_id(4711);
    question.push((&apex, record_type)).unwrap();
    let mut authority = question.authority();
    if let Some(serial) = serial {
        let ttl = Ttl::ZERO;
        let root = || Name::root_vec();
        let soa = Soa::new(root(), root(), Serial(serial), ttl, ttl, ttl, ttl);
        authority.push((&apex, 0, soa)).unwrap();
    }
    authority.finish()
}

/// The serial in a reply by UDP, signed if there is a key.
fn serial_by_udp(running: &Running, key: Option<&SharedKey>, record_type: Rtype) -> u32 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = asking(record_type, (record_type == Rtype::IXFR).then_some(1));
    let verifier = key.map(|key| key.sign_request(&mut request, running.now()));
    socket.send_to(&request, running.to()).unwrap();
    let mut bytes = [0; 4096];
    let (length, _) = socket.recv_from(&mut bytes).unwrap();
    let mut reply = bytes[..length].to_vec();
    verifier.into_iter().for_each(|mut it| it.verify(&mut reply, running.now()).unwrap());
    let message = Message::from_slice(&reply).unwrap();
    let mut soas = message.answer().unwrap().limit_to::<Soa<ParsedName<_>>>();
    soas.next().unwrap().unwrap().data().serial().into_int()
}

#[test]
fn a_secondary_follows_by_notify_and_differences_and_no_serial_goes_back() {
    let state = tempfile::tempdir().unwrap();
    let secondary = UdpSocket::bind("127.0.0.1:0").unwrap();
    secondary.set_read_timeout(Some(PATIENCE)).unwrap();
    let running = start(1, state.path(), secondary.local_addr().unwrap());
    let first = running.serial_other_than(None);
    let mut notify = [0; 1024];
    let (length, _) = secondary.recv_from(&mut notify).unwrap();
    assert_eq!((notify[2], length > 100), (0x24, true), "NOTIFY, with a signature");

    let secret = key(b"secret");
    let (rcode, records) = running.transfer(asking(Rtype::AXFR, None), Some(&secret));
    assert_eq!(rcode, Rcode::NOERROR);
    let has = |records: &[String], text: &str| records.iter().any(|it| it.contains(text));
    assert!(has(&records, "www.walrus.example 5 127.0.11.1"), "{records:?}");
    assert!(!has(&records, "127.0.12.1"), "area world's servers alone: {records:?}");
    assert!(has(&records, &format!(" {first} ")) && records.first() == records.last());
    let known = || running.director.outbound()[0].recipients.clone();
    let begun = Instant::now();
    while known()[0].1.serial != Some(first) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", known());
        std::thread::sleep(Duration::from_millis(10));
    }
    let (address, recipient) = known()[0].clone();
    assert_eq!((known().len(), address), (1, [127, 0, 0, 1].into()));
    assert_eq!(recipient.acknowledged, None);
    assert!(recipient.asked.is_some() && recipient.notice == Some(Notice::Waiting));
    for record_type in [Rtype::SOA, Rtype::IXFR] {
        assert_eq!(serial_by_udp(&running, Some(&secret), record_type), first);
    }
    assert_eq!(serial_by_udp(&running, None, Rtype::SOA), first, "as anybody sees it");

    // The first change goes out at once, the next not before a minute has gone.
    running.director.apply_plan(plan(2, 2, &running.digests)).unwrap();
    let second = running.serial_other_than(Some(first));
    let (_, records) = running.transfer(asking(Rtype::IXFR, Some(first)), Some(&secret));
    let serials = [second, first, second, second].map(|serial| format!(" {serial} "));
    assert_eq!(records.len(), 6, "{records:?}");
    assert!([0, 1, 3, 5].iter().zip(&serials).all(|(at, serial)| records[*at].contains(serial)));
    assert!(records[2].ends_with("127.0.11.1") && records[4].ends_with("127.0.11.2"));
    assert_eq!(running.transfer(asking(Rtype::IXFR, Some(second)), Some(&secret)).1.len(), 1);
    let (_, whole) = running.transfer(asking(Rtype::IXFR, Some(5)), Some(&secret));
    assert_eq!(whole.len(), 4, "of an unknown serial it is the zone: {whole:?}");
    running.director.apply_plan(plan(3, 3, &running.digests)).unwrap();
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(running.director.outbound()[0].serial, Some(second));
    running.time.advance_to(running.clock.now() + Duration::from_secs(60));
    let third = running.serial_other_than(Some(second));
    let (count, _) = running.director.outbound_counts();
    assert_eq!((count.whole, count.differences), (2, 1));
    running.director.shutdown();

    let again = start(3, state.path(), secondary.local_addr().unwrap());
    assert_eq!(again.serial_other_than(None), third, "nothing changed");
    again.director.shutdown();
    let again = start(4, state.path(), secondary.local_addr().unwrap());
    let fourth = again.serial_other_than(None);
    assert!(fourth.wrapping_sub(third) < 1 << 31 && fourth != third, "{third} {fourth}");
    again.director.shutdown();
}

#[test]
fn whoever_lacks_the_key_gets_nothing_and_is_told_why() {
    let state = tempfile::tempdir().unwrap();
    let secondary = UdpSocket::bind("127.0.0.1:0").unwrap();
    let running = start(1, state.path(), secondary.local_addr().unwrap());
    running.serial_other_than(None);
    let (rcode, records) = running.transfer(asking(Rtype::AXFR, None), None);
    assert_eq!((rcode, records.len()), (Rcode::REFUSED, 0));
    let (rcode, told) = running.transfer(asking(Rtype::AXFR, None), Some(&key(b"another")));
    assert_eq!(rcode, Rcode::NOTAUTH);
    assert!(told[0].contains("BADSIG"), "{told:?}");
    let (count, signed) = running.director.outbound_counts();
    assert_eq!((count.refused, signed.bad_signature), (1, 1));
    // A client that never reads holds a transfer up, and nobody else.
    let mut idle = TcpStream::connect(running.to()).unwrap();
    let mut request = asking(Rtype::AXFR, None);
    let _ = key(b"secret").sign_request(&mut request, running.now());
    idle.write_all(&(request.len() as u16).to_be_bytes()).unwrap();
    idle.write_all(&request).unwrap();
    let (rcode, _) = running.transfer(asking(Rtype::AXFR, None), Some(&key(b"secret")));
    assert_eq!(rcode, Rcode::NOERROR);
    running.director.shutdown();
}

/// A zone that no buffers of a connection hold.
fn large_zone() -> Arc<Zone> {
    let mut text = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns.example.net.\n".to_owned();
    for number in 0..70_000 {
        text.push_str(&format!("n{number} 60 TXT \"{number:0>250}\"\n"));
    }
    let apex = apex();
    let reader = ZoneReader::new("large", &apex).with_memory_max(1 << 30);
    Arc::new(reader.read(text.as_bytes(), None).unwrap().zone)
}

#[test]
fn who_asks_for_a_zone_before_it_is_ready_waits_for_it() {
    let running = start_without_plan();
    let to = running.to();
    let asks = |record_type, serial| {
        std::thread::spawn(move || {
            let mut stream = connect([127, 0, 0, 1], to);
            send(&mut stream, &asking(record_type, serial));
            let message = receive(&mut stream).unwrap();
            (message[3] & 0xf, read(&message).len())
        })
    };
    let transfers = [asks(Rtype::AXFR, None), asks(Rtype::IXFR, Some(0))];
    std::thread::sleep(Duration::from_millis(300));
    assert!(transfers.iter().all(|it| !it.is_finished()), "they wait");
    running.director.apply_plan(plan(1, 1, &running.digests)).unwrap();
    for transfer in transfers {
        let (rcode, records) = transfer.join().unwrap();
        assert!(rcode == 0 && records > 2, "{rcode} {records}");
    }
    running.director.shutdown();
    // It does not wait for ever.
    let running = start_without_plan();
    let mut stream = connect([127, 0, 0, 1], running.to());
    send(&mut stream, &asking(Rtype::AXFR, None));
    assert_eq!(receive(&mut stream).unwrap()[3] & 0xf, 2);
    running.director.shutdown();
}

fn start_without_plan() -> Running {
    start_with((None, zone()), settings(&["127.0.0.1:0"], 1), unsigned(), None)
}

/// To anybody here.
fn unsigned() -> ZoneTransfers {
    let from = Some(([127, 0, 0, 0].into(), 8));
    let transfer_to = vec![TransferRule { from, key: None }];
    ZoneTransfers { transfer_to, ..ZoneTransfers::default() }
}

/// A connection from this address of the loopback network.
fn connect(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn send(stream: &mut TcpStream, request: &[u8]) {
    stream.write_all(&(request.len() as u16).to_be_bytes()).unwrap();
    stream.write_all(request).unwrap();
}

/// The next message; `None` at the end.
fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).unwrap();
    Some(message)
}

#[test]
fn whoever_reads_slowly_keeps_nobody_else_from_a_zone_and_goes_when_his_time_is_over() {
    let mut dns = settings(&["127.0.0.1:0"], 1);
    dns.tcp_connections_max = 200;
    dns.tcp_total = Duration::from_secs(1);
    let running = start_with((Some(1), large_zone()), dns, unsigned(), None);
    running.serial_other_than(None);
    let rcode = |message: &[u8]| message[3] & 0xf;
    let mut slow: Vec<TcpStream> = (0..12).map(|_| connect([127, 0, 0, 2], running.to())).collect();
    // Each asks for the zone three times at once, of which two are worked on, and reads what shows whether it comes.
    let told = slow.iter_mut().map(|stream| {
        (0..3).for_each(|_| send(stream, &asking(Rtype::AXFR, None)));
        rcode(&receive(stream).unwrap())
    });
    let told: Vec<u8> = told.collect();
    assert_eq!(
        (told.iter().filter(|it| **it == 0).count(), told.contains(&2)),
        (4, true),
        "{told:?}"
    );
    let mut other = connect([127, 0, 0, 3], running.to());
    send(&mut other, &asking(Rtype::AXFR, None));
    assert_eq!(rcode(&receive(&mut other).unwrap()), 0);
    // What has begun is sent to its end (one message of it has been read), the third not begun: so long no connection lasts.
    std::thread::sleep(Duration::from_millis(1100));
    let mut first = slow.swap_remove(0);
    let mut records = 0;
    while let Some(message) = receive(&mut first) {
        let message = Message::from_slice(&message).unwrap();
        records += usize::from(message.header_counts().ancount());
    }
    assert!((139_000..140_200).contains(&records), "{records}");
    drop((slow, other));
    running.director.shutdown();
}

#[test]
fn what_cannot_be_read_is_told_so_and_a_request_may_have_been_passed_on() {
    let running = start_with((Some(1), zone()), settings(&["127.0.0.1:0"], 1), unsigned(), None);
    running.serial_other_than(None);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let ask = |request: &[u8]| {
        socket.send_to(request, running.to()).unwrap();
        let mut bytes = [0; 4096];
        let (length, _) = socket.recv_from(&mut bytes).unwrap();
        bytes[..length].to_vec()
    };
    // A question whose name is a pointer to itself, and one without a class.
    let pointer = [&[0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &[0xc0, 12, 0, 252, 0, 1]].concat();
    let whole = asking(Rtype::AXFR, None);
    for request in [&pointer[..], &whole[..whole.len() - 2]] {
        let reply = ask(request);
        assert_eq!((&reply[..2], reply[2] & 0x80, reply[3] & 0xf), (&request[..2], 0x80, 1));
        let mut stream = connect([127, 0, 0, 1], running.to());
        send(&mut stream, request);
        assert_eq!(receive(&mut stream).unwrap()[3] & 0xf, 1);
    }
    // Signed, and passed on under another id: it is answered under that, with a signature.
    let secret = key(b"secret");
    let mut request = asking(Rtype::SOA, None);
    let mut verifier = secret.sign_request(&mut request, running.now());
    request[0] ^= 0x55;
    let mut reply = ask(&request);
    assert_eq!(reply[..2], request[..2]);
    verifier.verify(&mut reply, running.now()).unwrap();
    running.director.shutdown();
}

#[test]
fn a_signed_query_that_was_recorded_counts_for_the_rate_limit() {
    let mut dns = settings(&["127.0.0.1:0"], 1);
    dns.rate_limit = Some(RateLimitSettings {
        responses_per_second: 5,
        slip: 0,
        ipv4_prefix: 24,
        ipv6_prefix: 56,
        exempt: Vec::new(),
    });
    let running = start_with((Some(1), zone()), dns, unsigned(), None);
    running.serial_other_than(None);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(running.to()).unwrap();
    let signed = |id: u8| {
        let mut request = asking(Rtype::SOA, None);
        request[..2].copy_from_slice(&[7, id]);
        let _ = key(b"secret").sign_request(&mut request, running.now());
        request
    };
    // The replies until that to this one, itself not among them.
    let replies_before = |id: u8| {
        socket.send(&signed(id)).unwrap();
        let (mut count, mut reply) = (0, [0; 4096]);
        loop {
            socket.recv(&mut reply).unwrap();
            if reply[1] == id {
                return count;
            }
            count += 1;
        }
    };
    assert!((1..=20).all(|id| replies_before(id) == 0), "each is another, and nobody else's");
    let recorded = signed(21);
    (0..40).for_each(|_| assert!(socket.send(&recorded).is_ok()));
    let count = replies_before(22);
    assert!((1..=6).contains(&count), "{count}: the first, and five a second");
    running.director.shutdown();
}

#[test]
fn a_signed_reply_that_is_too_long_with_its_signature_is_cut() {
    let text = format!(
        "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns.example.net.\n@ 60 TXT \"{0:a<200}\" \"{0:b<200}\"\n",
        ""
    );
    let zone = ZoneReader::new("long", &apex()).read(text.as_bytes(), None).unwrap().zone;
    let dns = settings(&["127.0.0.1:0"], 1);
    let running = start_with((Some(1), Arc::new(zone)), dns, unsigned(), None);
    running.serial_other_than(None);
    let secret = key(b"secret");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = asking(Rtype::TXT, None);
    let plain = request.clone();
    let mut verifier = secret.sign_request(&mut request, running.now());
    let mut bytes = [0; 4096];
    let mut ask = |request: &[u8]| {
        socket.send_to(request, running.to()).unwrap();
        let (length, _) = socket.recv_from(&mut bytes).unwrap();
        bytes[..length].to_vec()
    };
    let whole = ask(&plain);
    assert!(whole.len() > 430 && whole[2] & 2 == 0, "it fits without a signature");
    let mut reply = ask(&request);
    assert!(reply.len() <= 512 && reply[2] & 2 != 0, "{} bytes: {reply:x?}", reply.len());
    verifier.verify(&mut reply, running.now()).unwrap();
    running.director.shutdown();
}
