//! One function a target: bytes in, a panic if a promise is broken. Shared with the test that
//! replays the committed corpus.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::base::Message;
use domain::base::iana::Rcode;
use walrus_core::answer::{
    AnswerTable, Outcome, Request, ServerOptions, Transport, WorkerState, respond,
    respond_completely,
};
use walrus_core::config::{self, Context, SourceFile};
use walrus_core::dnssec::Denial;
use walrus_core::plan::{self, Plan};
use walrus_core::update::{Held, Mark, Reply, Request as UpdateRequest};
use walrus_core::world::Time;
use walrus_core::zone::{
    IncludedFile, ReadIncluded, ZoneReader, read_zone, read_zone_including, zone_of_nameservers,
};

use walrus_dns::{CookieSecret, CookieSecrets, DomainName, ProxyHeader, ProxyHeaderError};

#[path = "https_query.rs"]
mod https_query;
#[path = "sample.rs"]
mod sample;
#[path = "signed.rs"]
mod signed;
#[path = "transfer.rs"]
mod transfer;
#[path = "update.rs"]
mod update;

pub use https_query::https_query;
pub use transfer::transfer;
pub use update::{journal, update};

/// What a proxy writes in front: no panic, no more than is there; a cut one asks for more than it has, and what
/// follows a whole one makes no difference.
pub fn proxy_header(data: &[u8]) {
    match ProxyHeader::read(data) {
        Ok(header) => {
            assert!(header.size <= data.len());
            assert_eq!(ProxyHeader::read(&data[..header.size]), Ok(header));
            let cut = ProxyHeader::read(&data[..header.size - 1]);
            assert!(matches!(cut, Err(ProxyHeaderError::Cut(needed)) if needed <= header.size));
        }
        Err(ProxyHeaderError::Cut(needed)) => assert!(needed > data.len()),
        Err(_) => {}
    }
}

/// A query, by UDP and by TCP, on both paths, to zones unsigned, with NSEC and with NSEC3: no panic, the same bytes, no reply to a reply, no
/// reply that cannot be read, and no refusal that is longer than its query. Once more, also by TLS, from a server that
/// tells of itself what it is asked for: cookies, its name, how long connections wait, padding.
pub fn query(data: &[u8]) {
    for table in tables() {
        query_one(table, data);
    }
}

/// What it is when cookies are looked at: those of the corpus were given just before.
const UNIX_SECS: u32 = 1_800_000_000;

/// The most that a server adds of itself: a cookie, a name, how long a connection waits.
const ADDED_MAX: usize = 4 + 24 + 4 + 3 + 4 + 2;

fn query_one(table: &AnswerTable, data: &[u8]) {
    let silent = ServerOptions::SILENT;
    query_by(table, data, [(Transport::Udp, silent), (Transport::Tcp, silent)]);
    let speaking = speaking();
    let transports = [Transport::Udp, Transport::Tcp, Transport::Tls];
    query_by(table, data, transports.map(|transport| (transport, speaking)));
}

/// A server that says all that it can of itself.
fn speaking() -> &'static ServerOptions {
    static SPEAKING: OnceLock<ServerOptions> = OnceLock::new();
    SPEAKING.get_or_init(|| ServerOptions {
        nsid: Some(b"ns1"[..].into()),
        cookies: Some(CookieSecrets {
            current: CookieSecret::new([7; 16]),
            other: Some(CookieSecret::new([8; 16])),
        }),
        idle: Duration::from_secs(10),
        id: Some("ns1".into()),
        version: Some("walrus".into()),
    })
}

fn query_by<const N: usize>(
    table: &AnswerTable,
    data: &[u8],
    ways: [(Transport, &ServerOptions); N],
) {
    let mut workers = [WorkerState::new(7, table), WorkerState::new(7, table)];
    for (transport, server) in ways {
        let request = Request {
            query: data,
            client: IpAddr::from([192, 0, 2, 200]),
            local: ([192, 0, 2, 53], 53).into(),
            transport,
            now: Time::ZERO,
            unix_secs: UNIX_SECS,
            udp_size_max: 1232,
            server,
        };
        let (mut fast, mut complete) = (vec![0; 65_535], vec![0; 65_535]);
        let first = respond(table, &mut workers[0], &request, &mut fast);
        let outcome = respond_completely(table, &mut workers[1], &request, &mut complete);
        if first == Outcome::NotUnderstood {
            // As it happens live; keeps the workers in step.
            let _ = respond_completely(table, &mut workers[0], &request, &mut fast);
        } else {
            assert_eq!(first, outcome, "the paths disagree");
        }
        match outcome {
            Outcome::Reply(len) => {
                assert_eq!(fast[..len], complete[..len], "the paths disagree");
                check_reply(&request, &complete[..len]);
            }
            Outcome::Drop => assert!(data.len() < 12 || data[2] & 0x80 != 0, "not answered"),
            Outcome::NotUnderstood => panic!("the complete path understands everything"),
        }
    }
}

fn check_reply(request: &Request<'_>, reply: &[u8]) {
    let query = request.query;
    assert!(query[2] & 0x80 == 0, "a reply to a reply");
    assert!(request.transport != Transport::Udp || reply.len() <= 1232, "too long for UDP");
    let message = Message::from_slice(reply).expect("a message");
    assert!(message.header().qr() && message.header().id().to_be_bytes() == query[..2]);
    let (question, answer, authority, additional) = message.sections().expect("sections");
    let mut last = question.count();
    for section in [answer, authority, additional] {
        for record in section {
            record.expect("a record that can be read");
            last += 1;
        }
    }
    assert!(last < 70_000);
    let refused = [Rcode::FORMERR, Rcode::NOTIMP, Rcode::REFUSED];
    let bad_version = message.opt_rcode().to_int() == 16;
    if refused.contains(&message.header().rcode()) || bad_version {
        let is_silent = request.server == ServerOptions::SILENT;
        let added = match (is_silent, request.transport) {
            (true, Transport::Udp) => 0,
            // How long the connection waits, if that is asked: nobody's address is forged here.
            (true, _) => 2,
            (false, _) => ADDED_MAX,
        };
        // What is padded is as long as all others.
        let is_padded = !is_silent && reply.len() == 468;
        assert!(is_padded || reply.len() <= query.len() + added, "a refusal longer than its query");
    }
}

/// Unsigned.
fn table() -> &'static AnswerTable {
    &tables()[0]
}

fn tables() -> &'static [AnswerTable; 3] {
    static TABLES: OnceLock<[AnswerTable; 3]> = OnceLock::new();
    TABLES.get_or_init(|| {
        let apex: DomainName = "example.com".parse().expect("a name");
        let file = read_zone("seed", ZONE.as_bytes(), &apex).expect("a zone");
        let names = ["www", "six.www", "all", "near", "early", "x.y"];
        let services = names.map(|name| format!("{name}.example.com").parse().expect("a name"));
        let given = (0..).map(|index| sample::given(index).collect());
        let given: Vec<_> = services.iter().cloned().zip(given).collect();
        let zones = [Arc::new(file.zone)];
        [None, Some(Denial::Nsec), Some(Denial::Nsec3)].map(|denial| {
            let zones = signed::sign_all(&zones, &given, |_| denial);
            let table = sample::table(&zones, &services).expect("a table");
            signed::sign_answers(&table, &zones, 50)
        })
    })
}

const ZONE: &str = "\
$TTL 3600
@ SOA ns1 hostmaster 1 7200 900 1209600 300
@ NS ns1
ns1 A 192.0.2.53
a A 192.0.2.1
alias CNAME a
service CNAME www
out CNAME www.example.net.
*.wild TXT wild
b.ent A 192.0.2.2
sub NS ns.sub
ns.sub A 192.0.2.3
mx MX 10 mail
";

/// A zone file's text, every `$INCLUDE` in which finds the same file: no panic; what is accepted has
/// a SOA record, can be asked, and is accepted again with the same result; both paths prove the same
/// by an NSEC3 chain that it keeps.
pub fn zone_file(data: &[u8]) {
    const INCLUDED: &str = "c A 192.0.2.4\n 1m TXT x\n$TTL 1d\n$ORIGIN d\ne A 192.0.2.5\n";
    let include = |_: &str| Ok(IncludedFile { name: "included".to_owned(), text: INCLUDED.into() });
    let apex = "example.com".parse().expect("a name");
    kept_zone(data, &apex, &include);
    match read_zone_including("seed", data, &apex, &include) {
        Ok(file) => {
            assert!(!file.zone.sets(&apex).is_empty());
            assert!(file.zone.iter().all(|(name, _)| name.is_within(&apex)));
            let again =
                read_zone_including("seed", data, &apex, &include).expect("the same result");
            assert_eq!(again.zone, file.zone);
            assert_ne!(file.zone, zone_of_nameservers(&apex, &[]));
        }
        Err(problems) => {
            assert!(!problems.is_empty() && problems.len() <= 100);
            let lines = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count() + 1;
            let most = |file: &str| lines(if file == "seed" { data } else { INCLUDED.as_bytes() });
            assert!(problems.iter().all(|it| it.line as usize <= most(&it.file)), "{problems:?}");
        }
    }
}

fn kept_zone(data: &[u8], apex: &DomainName, include: ReadIncluded<'_>) {
    let kept = ZoneReader::new("seed", apex).keeping_signatures(true).read(data, Some(include));
    // NSEC records with gaps make a bogus zone, which each path may serve in its own way.
    let hashed = kept.ok().filter(|kept| kept.zone.nsec3().is_some());
    let table = hashed.and_then(|kept| sample::table(&[Arc::new(kept.zone)], &[]).ok());
    let Some(table) = table else { return };
    let names = ["example.com", "no.example.com", "a.b.ent.example.com", "sub.example.com"];
    for name in names.map(|name| name.parse::<DomainName>().expect("a name")) {
        for record_type in [1, 16, 43] {
            let mut query = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
            query.extend_from_slice(name.as_wire());
            query.extend_from_slice(&[0, record_type, 0, 1]);
            query.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 128, 0, 0, 0]);
            query_one(&table, &query);
        }
    }
}

/// A message between roles: no panic, and what is understood says the same again. With its sender it is
/// admitted once; a part of a Plan leads to no older Plan and to none that is not valid.
pub fn message(data: &[u8]) {
    use walrus_core::message::{self, Message, Senders};
    use walrus_core::plan::PlanReceiver;
    use walrus_core::world::Time;

    if let Ok(envelope) = message::decode_envelope(data) {
        let bytes = message::encode_envelope(&envelope);
        let again = message::decode_envelope(&bytes).expect("our own message");
        assert_eq!(message::encode_envelope(&again), bytes);
        let mut senders = Senders::new(std::time::Duration::from_secs(3));
        assert!(senders.admit(&envelope, Time::ZERO).is_ok());
        assert!(senders.admit(&envelope, Time::ZERO).is_err());
        if let Message::PlanPart(part) = envelope.message {
            let number = part.number.clone();
            let mut receiver = PlanReceiver::new(None);
            if let Some(plan) = receiver.take(Time::ZERO, part) {
                assert_eq!((&plan.number, plan.validate()), (&number, Ok(())));
            }
        }
    }
    if let Ok(message) = walrus_core::message::decode(data) {
        let bytes = walrus_core::message::encode(&message);
        let again = walrus_core::message::decode(&bytes).expect("our own message");
        assert_eq!(walrus_core::message::encode(&again), bytes);
    }
}

/// A Plan as it is saved, or bare: no panic; what is understood is saved and read again unchanged,
/// and whatever passes the checks can be compiled and answered from.
pub fn plan(data: &[u8]) {
    // A bare Plan too: no fuzzer guesses a checksum.
    let bare = || serde_json::from_slice::<Plan>(data).ok();
    let Some(plan) = plan::from_bytes(data).ok().or_else(bare) else { return };
    if plan.validate().is_err() {
        return;
    }
    let again = plan::from_bytes(&plan::to_bytes(&plan)).expect("our own Plan");
    assert_eq!(again, plan);
    let Ok(table) = table().with_plan(Arc::new(plan)) else { return };
    let mut worker = WorkerState::new(7, &table);
    let mut reply = vec![0; 65_535];
    for record_type in [1, 28] {
        let mut query = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\0\0\x01".to_vec();
        query[30] = record_type;
        let request = Request {
            query: &query,
            client: IpAddr::from([192, 0, 2, 200]),
            local: ([192, 0, 2, 53], 53).into(),
            transport: Transport::Tcp,
            now: Time::ZERO,
            unix_secs: 0,
            udp_size_max: 1232,
            server: ServerOptions::SILENT,
        };
        let outcome = respond(&table, &mut worker, &request, &mut reply);
        assert!(matches!(outcome, Outcome::Reply(_)), "a service is answered");
    }
}

/// A configuration file: no panic; problems have a line of the file, and the same text gives the
/// same configuration.
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let read = |_: &str| Err("no such file".to_owned());
    let context = Context { hostname: "host", read: &read };
    let parse = || {
        let file = SourceFile { name: "seed".to_owned(), text: text.to_owned() };
        config::parse(&[file], &context)
    };
    match (parse(), parse()) {
        (Ok(first), Ok(second)) => assert_eq!(first.configuration, second.configuration),
        (Err(first), Err(second)) => {
            assert_eq!(first, second);
            let lines = text.lines().count() + 1;
            assert!(
                !first.is_empty() && first.iter().all(|problem| problem.line as usize <= lines)
            );
        }
        _ => panic!("the same text is once right and once wrong"),
    }
}

/// What a name server that is kept up to date answers to a question of a type that the first byte picks: no
/// panic, and a mark that is understood is said again in the same words.
pub fn name_server_reply(data: &[u8]) {
    let Some((picked, bytes)) = data.split_first() else { return };
    let name: DomainName = "www.europe.example".parse().expect("a name");
    let record_type = [1, 28, 16, 6, 5][usize::from(*picked) % 5];
    let request = UpdateRequest::Query { name: name.clone(), record_type };
    let Ok(reply) = Reply::read(bytes, 9, &request) else { return };
    let Ok(held) = Held::read(&name, &[reply]) else { return };
    for text in &held.texts {
        if let Ok(mark) = Mark::from_data(text) {
            assert_eq!(Mark::from_data(&mark.to_data()), Ok(mark), "said otherwise");
        }
    }
}
