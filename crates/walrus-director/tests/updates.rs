//! Updates in a running Director: by whom it is not kept from them, what is done once alone, what an update may not
//! hide, and the messages of external-dns.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[expect(dead_code, reason = "this test asks other questions")]
mod fixture;

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain::base::iana::{Class, Opcode, Rtype};
use domain::base::rdata::UnknownRecordData;
use domain::base::{Message, MessageBuilder, Name, Ttl};
use walrus_core::config::{RateLimitSettings, TsigAlgorithm};
use walrus_core::dynamic::{UpdateRule, UpdateRules};
use walrus_core::map::Map;
use walrus_core::world::Topology;
use walrus_core::zone::{Zone, read_zone};
use walrus_director::tsig::SharedKey;
use walrus_director::{
    Director, DirectorHandle, DirectorStart, MovingZone, Reload, SigningStart, UpdateSettings,
    UpdatedZone,
};
use walrus_dns::DomainName;
use walrus_host::clock::Clock;

use fixture::{SERVICE, digests, plan, settings, topology};

const NOERROR: u8 = 0;
const REFUSED: u8 = 5;
const YXDOMAIN: u8 = 6;
/// How long anything may take on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many are done beside floods.
const UPDATES: u16 = 20;
/// Between two messages of a flood.
const FLOOD_PAUSE: Duration = Duration::from_micros(200);
/// After what time without a reply a client asks again.
const ASKED_AGAIN: Duration = Duration::from_millis(500);

type Data = UnknownRecordData<Vec<u8>>;

fn apex() -> DomainName {
    "walrus.example".parse().unwrap()
}

fn key() -> SharedKey {
    SharedKey::new("k".parse().unwrap(), TsigAlgorithm::HmacSha256, b"secret")
}

fn loaded() -> Arc<Zone> {
    let text = b"@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns.example.net.\n";
    Arc::new(read_zone("zone", text, &apex()).unwrap().zone)
}

/// The fixture's, with the service or without it.
fn world(with_service: bool) -> Arc<Topology> {
    let mut world = Topology::clone(&topology());
    if !with_service {
        world.services.clear();
    }
    Arc::new(world)
}

fn updates(state: &Path) -> UpdateSettings {
    let rules = UpdateRules(vec![UpdateRule::default()]);
    let zone = UpdatedZone {
        apex: apex(),
        rules: [("k".parse().unwrap(), rules)].into(),
        text: Vec::new(),
    };
    UpdateSettings { zones: vec![zone], state: state.to_owned(), zone_memory_max: 1 << 20 }
}

fn start(state: &Path, with_service: bool, limited: Option<u32>) -> DirectorHandle {
    let topology = world(with_service);
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let digests = digests(&map);
    let mut dns = settings(&["127.0.0.1:0"], 1);
    dns.rate_limit = limited.map(|responses_per_second| RateLimitSettings {
        responses_per_second,
        slip: 0,
        ipv4_prefix: 24,
        ipv6_prefix: 56,
        exempt: Vec::new(),
    });
    let start = DirectorStart {
        dns,
        topology,
        zones: vec![loaded()],
        moving: vec![MovingZone { apex: apex(), content: Some(loaded()) }],
        keys: [key()].into_iter().collect(),
        updates: updates(state),
        map,
        plan: with_service.then(|| plan(1, 1, &digests)),
        digests,
        serials: Default::default(),
        signing: SigningStart::default(),
        seed: 1,
        clock: Clock::real(),
    };
    Director::start(start).unwrap()
}

fn name(text: &str) -> Name<Vec<u8>> {
    text.parse().unwrap()
}

fn data(kind: Rtype, bytes: Vec<u8>) -> Data {
    UnknownRecordData::from_octets(kind, bytes).unwrap()
}

fn a(last: u8) -> Data {
    data(Rtype::A, vec![192, 0, 2, last])
}

fn txt(text: &str) -> Data {
    data(Rtype::TXT, [&[text.len() as u8], text.as_bytes()].concat())
}

/// What a record of an update does.
enum Change {
    Add(Data),
    Remove(Data),
    RemoveSet(Rtype),
}

/// A message that wants these names not to be in use, and changes these.
fn update(id: u16, free: &[&str], changes: &[(&str, Change)]) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_opcode(Opcode::UPDATE);
    builder.header_mut().set_id(id);
    let mut builder = builder.question();
    builder.push((name("walrus.example"), Rtype::SOA)).unwrap();
    let mut builder = builder.answer();
    let nothing = |kind| data(kind, Vec::new());
    for free in free {
        builder.push((name(free), Class::NONE, Ttl::ZERO, nothing(Rtype::ANY))).unwrap();
    }
    let mut builder = builder.authority();
    for (owner, change) in changes {
        let owner = name(owner);
        match change {
            Change::Add(data) => builder.push((owner, Class::IN, Ttl::from_secs(60), data)),
            Change::Remove(data) => builder.push((owner, Class::NONE, Ttl::ZERO, data)),
            Change::RemoveSet(kind) => {
                builder.push((owner, Class::ANY, Ttl::ZERO, &nothing(*kind)))
            }
        }
        .unwrap();
    }
    builder.into_message().into_octets()
}

fn now() -> u64 {
    Clock::real().unix_ms() / 1000
}

struct Client(UdpSocket);

impl Client {
    fn new(director: &DirectorHandle) -> Self {
        Self::at("127.0.0.1:0", director.addresses()[0])
    }

    fn at(local: &str, to: SocketAddr) -> Self {
        let socket = UdpSocket::bind(local).unwrap();
        socket.set_read_timeout(Some(ASKED_AGAIN)).unwrap();
        socket.connect(to).unwrap();
        Self(socket)
    }

    /// The code of the reply to this message, asked again as clients do: where a flood comes in faster than it can be
    /// read, the kernel drops of all senders alike.
    fn ask(&self, message: &[u8]) -> u8 {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            self.0.send(message).unwrap();
            let mut reply = [0; 4096];
            while let Ok(len) = self.0.recv(&mut reply) {
                // Not of one before it.
                if len > 3 && reply[..2] == message[..2] {
                    return reply[3] & 15;
                }
            }
        }
        panic!("no reply in {PATIENCE:?}")
    }

    fn signed(&self, mut message: Vec<u8>) -> u8 {
        let _ = key().sign_request(&mut message, now());
        self.ask(&message)
    }

    /// The same of a message that somebody passed on, under an id of his own.
    fn passed_on(&self, mut message: Vec<u8>, id: u8) -> u8 {
        let _ = key().sign_request(&mut message, now());
        message[1] = id;
        self.ask(&message)
    }

    /// How many records there are.
    fn count(&self, owner: &str, kind: Rtype) -> u16 {
        let mut builder = MessageBuilder::new_vec().question();
        builder.header_mut().set_id(0x4242);
        builder.push((name(owner), kind)).unwrap();
        let query = builder.into_message().into_octets();
        let (began, mut reply) = (Instant::now(), [0; 4096]);
        while began.elapsed() < PATIENCE {
            self.0.send(&query).unwrap();
            while let Ok(len) = self.0.recv(&mut reply) {
                if reply[..2] == query[..2] {
                    return Message::from_octets(&reply[..len]).unwrap().header_counts().ancount();
                }
            }
        }
        panic!("no reply in {PATIENCE:?}")
    }
}

/// Ends the floods when it goes, so that a test that fails does not wait for them for ever.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn strangers_keep_nobody_from_updating_and_get_no_more_than_their_share_of_replies() {
    let state = tempfile::tempdir().unwrap();
    let director = start(state.path(), true, Some(20));
    let to = director.addresses()[0];
    let (client, stop) = (Client::new(&director), Arc::new(AtomicBool::new(false)));
    let add = || vec![("a.walrus.example", Change::Add(a(1)))];
    let unsigned = update(7, &[], &add());
    let mut foreign = unsigned.clone();
    let stranger = SharedKey::new("x".parse().unwrap(), TsigAlgorithm::HmacSha256, b"x");
    let _ = stranger.sign_request(&mut foreign, now());
    let mut wrong = unsigned.clone();
    let liar = SharedKey::new("k".parse().unwrap(), TsigAlgorithm::HmacSha256, b"wrong");
    let _ = liar.sign_request(&mut wrong, now());
    std::thread::scope(|scope| {
        let ended = Stop(Arc::clone(&stop));
        let stop = &stop;
        // From so many networks, one after the other; how many replies came to that which had most.
        let flood = |message: Vec<u8>, first: u8, networks: u8| {
            move || {
                let sockets = (first..first + networks).map(|network| {
                    let socket =
                        UdpSocket::bind(SocketAddr::from(([127, 0, network, 1], 0))).unwrap();
                    socket.set_nonblocking(true).unwrap();
                    (socket, 0)
                });
                let mut sockets: Vec<(UdpSocket, u64)> = sockets.collect();
                while !stop.load(Ordering::Relaxed) {
                    for (socket, replies) in &mut sockets {
                        let _ = socket.send_to(&message, to);
                        while socket.recv(&mut [0; 4096]).is_ok() {
                            *replies += 1;
                        }
                        // More than is answered, and not so much that the kernel leaves nothing to Walrus to drop.
                        std::thread::sleep(FLOOD_PAUSE);
                    }
                }
                sockets.iter().map(|(_, replies)| *replies).max().unwrap_or(0)
            }
        };
        let began = Instant::now();
        // The name of a key is no secret.
        let floods = [
            scope.spawn(flood(unsigned, 1, 1)),
            scope.spawn(flood(foreign, 2, 1)),
            scope.spawn(flood(wrong, 10, 100)),
        ];
        for number in 0..UPDATES {
            let owner = format!("n{number}.walrus.example");
            let message = update(100 + number, &[], &[(&owner, Change::Add(a(1)))]);
            assert_eq!(client.signed(message), NOERROR, "{number}");
        }
        drop(ended);
        let most = 20 * (began.elapsed().as_secs() + 2);
        for flood in floods {
            let replies: u64 = flood.join().unwrap();
            assert!(replies <= most, "{replies} in {:?}", began.elapsed());
        }
    });
    // More than once where a reply came later than the next asking.
    let counts = director.update_counts();
    assert!(counts.done >= u64::from(UPDATES) && counts.unsigned > 100, "{counts:?}");
    director.shutdown();
}

#[test]
fn what_comes_twice_is_done_once_and_told_the_same() {
    let state = tempfile::tempdir().unwrap();
    let director = start(state.path(), true, None);
    let client = Client::new(&director);
    let signed = |mut message: Vec<u8>| {
        let _ = key().sign_request(&mut message, now());
        message
    };
    let first =
        signed(update(1, &["a.walrus.example"], &[("a.walrus.example", Change::Add(a(1)))]));
    let second = signed(update(2, &[], &[("a.walrus.example", Change::RemoveSet(Rtype::A))]));
    assert_eq!(client.ask(&first), NOERROR);
    // A client whose reply was lost asks again; its prerequisite holds no longer.
    assert_eq!(client.ask(&first), NOERROR);
    assert_eq!(client.ask(&second), NOERROR);
    // Somebody who has recorded the first one brings nothing back with it.
    assert_eq!(client.ask(&first), NOERROR);
    assert_eq!(client.count("a.walrus.example", Rtype::A), 0);
    let again = update(3, &["a.walrus.example"], &[("a.walrus.example", Change::Add(a(1)))]);
    assert_eq!(client.signed(again.clone()), NOERROR);
    let mut again = again;
    again[1] = 4;
    assert_eq!(client.signed(again), YXDOMAIN, "signed anew");
    let more = update(5, &[], &[("b.walrus.example", Change::Add(a(1)))]);
    assert_eq!(client.passed_on(more, 99), NOERROR);
    director.shutdown();
}

#[test]
fn what_an_update_made_hides_no_service_that_comes_later_and_stops_no_start() {
    let state = tempfile::tempdir().unwrap();
    let director = start(state.path(), false, None);
    let client = Client::new(&director);
    let alias = data(Rtype::CNAME, name("a.walrus.example").into_octets());
    let changes =
        [(SERVICE, Change::Add(alias.clone())), ("b.walrus.example", Change::Add(txt("kept")))];
    assert_eq!(client.signed(update(1, &[], &changes)), NOERROR);
    assert_eq!(client.count(SERVICE, Rtype::CNAME), 1);
    // The service comes by a reload.
    let topology = world(true);
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let made_for = digests(&map);
    let first = plan(1, 1, &made_for);
    let reload = Reload {
        topology,
        zones: vec![loaded()],
        moving: vec![MovingZone { apex: apex(), content: Some(loaded()) }],
        keys: [key()].into_iter().collect(),
        updates: updates(state.path()),
        map,
        digests: made_for,
        signing: Vec::new(),
        pairs: Vec::new(),
        answer_sets_max: 100,
    };
    director.reload(reload, || Some(Arc::clone(&first))).unwrap();
    let check = |director: &DirectorHandle| {
        let client = Client::new(director);
        assert_eq!(client.count(SERVICE, Rtype::A), 1, "the service");
        assert_eq!(client.count(SERVICE, Rtype::CNAME), 0);
        assert_eq!(client.count("b.walrus.example", Rtype::TXT), 1);
        let told = director.updated_zones().remove(0).left_out;
        assert!(
            told.len() == 1 && told[0].contains("CNAME records at www.walrus.example"),
            "{told:?}"
        );
        // Other updates do not bring it back.
        let more = update(2, &[], &[("c.walrus.example", Change::Add(txt("more")))]);
        assert_eq!(client.signed(more), NOERROR);
        assert_eq!(client.count(SERVICE, Rtype::A), 1);
    };
    check(&director);
    director.shutdown();
    drop(director);
    let director = start(state.path(), true, None);
    check(&director);
    let client = Client::new(&director);
    assert_eq!(client.signed(update(3, &[], &[(SERVICE, Change::Add(alias.clone()))])), REFUSED);
    assert_eq!(client.signed(update(4, &[], &[(SERVICE, Change::Remove(alias))])), NOERROR);
    // That is told a moment after the reply.
    let (since, told) = (Instant::now(), || director.updated_zones().remove(0).left_out);
    while !told().is_empty() && since.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    assert!(told().is_empty(), "{:?}", told());
    assert_eq!(client.count(SERVICE, Rtype::A), 1);
    director.shutdown();
}

/// As its rfc2136 provider sends them: up to fifty changes a message, each an address with the TXT records by which
/// it knows what is its own, old and new name of those, an update as removal and insertion in one message.
#[test]
fn the_messages_of_external_dns_do_what_they_say() {
    let state = tempfile::tempdir().unwrap();
    let director = start(state.path(), true, None);
    let client = Client::new(&director);
    let owner =
        "heritage=external-dns,external-dns/owner=k8s,external-dns/resource=ingress/default/app";
    // What a datagram holds; more goes by TCP.
    let hosts: Vec<String> = (0..4).map(|number| format!("app{number}.walrus.example")).collect();
    let registry: Vec<String> = hosts.iter().map(|host| format!("a-{host}")).collect();
    let each = |change: &dyn Fn(u8) -> Vec<(bool, Data)>| {
        let mut changes = Vec::new();
        for (number, (host, registry)) in (0..).zip(hosts.iter().zip(&registry)) {
            for (is_added, data) in change(number) {
                let is_text = data.rtype() == Rtype::TXT;
                let put =
                    |data: Data| if is_added { Change::Add(data) } else { Change::Remove(data) };
                if is_text {
                    changes.push((registry.as_str(), put(data.clone())));
                }
                changes.push((host.as_str(), put(data)));
            }
        }
        changes
    };
    let create = each(&|number| vec![(true, a(number)), (true, txt(owner))]);
    let change = each(&|number| {
        vec![(false, a(number)), (true, a(100 + number)), (false, txt(owner)), (true, txt(owner))]
    });
    let delete = each(&|number| vec![(false, a(100 + number)), (false, txt(owner))]);
    for (id, changes, left) in [(1, &create, 1), (2, &change, 1), (3, &change, 1), (4, &delete, 0)]
    {
        assert_eq!(client.signed(update(id, &[], changes)), NOERROR);
        for (host, registry) in hosts.iter().zip(&registry) {
            let counts = (client.count(host, Rtype::A), client.count(host, Rtype::TXT));
            assert_eq!(counts, (left, left), "{id} {host}");
            assert_eq!(client.count(registry, Rtype::TXT), left, "{id} {registry}");
        }
    }
    director.shutdown();
}
