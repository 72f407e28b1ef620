//! Keys, signatures and refusals, against a name server of a few lines.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::base::{Message, MessageBuilder};
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, ClientTransaction, Key};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use walrus_core::config::{NameServerSettings, TsigAlgorithm, TsigKey, UpdateTransport};
use walrus_core::update::{Exchange, Failure, Reply, Request};
use walrus_dns::DomainName;
use walrus_host::clock::Clock;

use super::SecretFiles;
use super::exchange::{Patience, carry_out};
use super::secret::{make_secret_file, read_secret, read_secret_text};

fn key(secret_file: PathBuf) -> TsigKey {
    let (name, algorithm) = ("walrus-europe".parse().unwrap(), TsigAlgorithm::HmacSha256);
    TsigKey { name, algorithm, secret_file }
}

#[test]
fn secrets_are_read_as_people_and_programs_write_them() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path().join("key"));
    for (text, expected) in [
        ("c2VjcmV0\n", Some("secret")),
        ("key \"k\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0\";\n};\n", Some("secret")),
        ("key:\n  - id: k\n    algorithm: hmac-sha256\n    secret: c2VjcmV0\n", Some("secret")),
        ("secret:\"c2VjcmV0\"}", Some("secret")),
        ("", None),
        ("two words", None),
        ("key \"k\" { secret", None),
        // Comments, and keys that are called so.
        (
            "# the secret of europe\nkey \"k\" { /* secret \"eA==\"; */ secret \"c2VjcmV0\"; };",
            Some("secret"),
        ),
        ("key \"walrus-secret\" { algorithm hmac-sha256; secret \"c2VjcmV0\"; };", Some("secret")),
        ("key secret { secret \"c2VjcmV0\"; };", Some("secret")),
        // Of several the one of that name.
        (
            "key \"other\" { secret \"eA==\"; };\nkey \"Walrus-Europe.\" { secret \"c2VjcmV0\"; };",
            Some("secret"),
        ),
        (
            "key:\n - id: other\n   secret: eA==\n - id: walrus-europe\n   secret: c2VjcmV0",
            Some("secret"),
        ),
        ("key a { secret \"eA==\"; }; key b { secret \"c2VjcmV0\"; };", None),
    ] {
        std::fs::write(&key.secret_file, text).unwrap();
        let read = read_secret(&key).ok();
        assert_eq!(read.as_deref(), expected.map(str::as_bytes), "{text:?}");
    }
    std::fs::write(&key.secret_file, "// old\nkey k { secret \"//8=\"; };").unwrap();
    assert_eq!(read_secret(&key).unwrap(), [0xff, 0xff], "what begins as a comment does");
    std::fs::write(&key.secret_file, "key a { secret eA==; }; key b { secret eA==; };").unwrap();
    let told = read_secret(&key).unwrap_err().to_string();
    assert!(told.contains("2 keys, but none of the name \"walrus-europe\""), "{told}");
    std::fs::write(&key.secret_file, vec![b'A'; 100_000]).unwrap();
    let told = read_secret(&key).unwrap_err().to_string();
    assert!(told.contains("longer than") && !told.contains("AAAA"), "{told}");
    std::fs::remove_file(&key.secret_file).unwrap();
    assert!(make_secret_file(&key).unwrap() && !make_secret_file(&key).unwrap());
    assert_eq!(read_secret(&key).unwrap().len(), 32);
    assert_eq!(read_secret_text(&key).unwrap().len(), 44);
}

/// Answers each request on one connection after the other by what `reply` makes of it; nothing closes it.
async fn name_server(reply: fn(&[u8]) -> Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Ok(len) = stream.read_u16().await else { continue };
            let mut request = vec![0; usize::from(len)];
            if stream.read_exact(&mut request).await.is_err() {
                continue;
            }
            let reply = reply(&request);
            if reply.is_empty() {
                continue;
            }
            let len = u16::try_from(reply.len()).unwrap().to_be_bytes();
            let _ = stream.write_all(&[&len[..], &reply].concat()).await;
            // Until the other side has read it.
            let _ = stream.read_u8().await;
        }
    });
    address
}

/// What becomes of one question, signed.
async fn ask(address: SocketAddr) -> Result<Reply, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path().join("key"));
    std::fs::write(&key.secret_file, "c2VjcmV0").unwrap();
    let mut settings = settings(address);
    settings.key = Some(key);
    let mut replies = exchange(&settings, 1).await?;
    replies.remove(0)
}

/// What becomes of so many questions, as each of them or as all.
type Outcome = Result<Vec<Result<Reply, Failure>>, Failure>;

/// So many questions, of the types from 6 on.
async fn exchange(settings: &NameServerSettings, count: u16) -> Outcome {
    patient(settings, count, Patience::USUAL).await
}

async fn patient(settings: &NameServerSettings, count: u16, patience: Patience) -> Outcome {
    let question = |record_type| Request::Query { name: zone(), record_type };
    let questions = Exchange { requests: (6..6 + count).map(question).collect() };
    let with = (&Clock::real(), &SecretFiles::default(), patience);
    carry_out(settings, &questions, with).await
}

fn zone() -> DomainName {
    "europe.example".parse().unwrap()
}

fn settings(address: SocketAddr) -> NameServerSettings {
    let name = |name: &str| name.parse().unwrap();
    NameServerSettings {
        name: name("europe"),
        area: name("europe"),
        address,
        zone: zone(),
        host: "ns.europe.example".parse().unwrap(),
        transport: UpdateTransport::Tcp,
        key: None,
        ttl: None,
        check_every: Duration::from_secs(30),
        owner: name("walrus"),
        adopt: false,
        services: Vec::new(),
    }
}

/// The request as a good answer, but for its signature.
fn unsigned(request: &[u8]) -> MessageBuilder<Vec<u8>> {
    let asked = Message::from_octets(request).unwrap();
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(asked.header().id());
    builder.header_mut().set_qr(true);
    builder.header_mut().set_aa(true);
    builder
}

#[tokio::test]
async fn what_is_not_signed_with_our_key_is_not_believed() {
    let plain = name_server(|request| unsigned(request).finish()).await;
    assert_eq!(ask(plain).await, Err(Failure::Unsigned(0)));
    let forged = name_server(|request| {
        let name = "walrus-europe".parse().unwrap();
        let other = Key::new(Algorithm::Sha256, b"another", name, None, None).unwrap();
        let mut message = unsigned(request).additional();
        ClientTransaction::request(other, &mut message, Time48::now()).unwrap();
        message.finish()
    })
    .await;
    assert_eq!(ask(forged).await, Err(Failure::AnswerForged));
}

#[tokio::test]
async fn what_is_no_answer_is_told() {
    let closing = name_server(|_| Vec::new()).await;
    assert_eq!(ask(closing).await, Err(Failure::Closed));
    let garbage = name_server(|_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await;
    assert_eq!(ask(garbage).await, Err(Failure::Malformed));
    let repeating = name_server(<[u8]>::to_vec).await;
    assert_eq!(ask(repeating).await, Err(Failure::Malformed), "our own request");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = listener.local_addr().unwrap();
    drop(listener);
    assert!(matches!(ask(gone).await, Err(Failure::Unreachable(_))));
}

/// What a request asks for, with the same question as a good answer.
fn answer(request: &[u8]) -> (u16, Vec<u8>) {
    let mut reply = request.to_vec();
    reply[2] |= 0x84;
    let asked = Message::from_octets(request).unwrap().first_question().unwrap();
    (asked.qtype().to_int(), reply)
}

async fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let len = stream.read_u16().await.ok()?;
    let mut request = vec![0; usize::from(len)];
    stream.read_exact(&mut request).await.ok()?;
    Some(request)
}

async fn write_reply(stream: &mut TcpStream, reply: &[u8]) {
    let len = u16::try_from(reply.len()).unwrap().to_be_bytes();
    let _ = stream.write_all(&[&len[..], reply].concat()).await;
}

/// Whether all were answered, each with its own question.
fn assert_all_answered(replies: Outcome, count: u16) {
    let replies = replies.unwrap();
    assert_eq!(replies.len(), usize::from(count));
    assert!(replies.iter().all(|reply| reply.as_ref().is_ok_and(|it| it.is_authoritative)));
}

#[tokio::test]
async fn all_requests_go_at_once_and_replies_come_in_any_order() {
    const COUNT: u16 = 129;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = settings(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut requests = Vec::new();
        // None is answered before the last has come.
        for _ in 0..COUNT {
            requests.push(read_request(&mut stream).await.unwrap());
        }
        for request in requests.iter().rev() {
            write_reply(&mut stream, &answer(request).1).await;
        }
        let _ = stream.read_u8().await;
    });
    let replies = exchange(&settings, COUNT).await;
    assert_all_answered(replies, COUNT);
    server.await.unwrap();
}

#[tokio::test]
async fn a_name_server_that_closes_after_each_reply_is_asked_again_for_the_rest() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = settings(listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some(request) = read_request(&mut stream).await else { continue };
            write_reply(&mut stream, &answer(&request).1).await;
            // All of them are read, so that closing is no reset.
            let _ = stream.shutdown().await;
            while read_request(&mut stream).await.is_some() {}
        }
    });
    let replies = exchange(&settings, 9).await;
    assert_all_answered(replies, 9);
}

#[tokio::test]
async fn datagrams_that_are_lost_are_sent_again_and_what_is_cut_short_is_asked_by_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(listener.local_addr().unwrap());
    settings.transport = UpdateTransport::Udp;
    let socket = UdpSocket::bind(settings.address).await.unwrap();
    tokio::spawn(async move {
        let (mut buffer, mut lost) = ([0; 1500], Vec::new());
        while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
            let (record_type, mut reply) = answer(&buffer[..len]);
            if record_type == 8 && !lost.contains(&record_type) {
                lost.push(record_type);
                continue;
            }
            if record_type == 10 {
                reply[2] |= 2;
            }
            let _ = socket.send_to(&reply, from).await;
        }
    });
    let by_tcp = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await.unwrap();
        let (record_type, reply) = answer(&request);
        write_reply(&mut stream, &reply).await;
        let _ = stream.read_u8().await;
        record_type
    });
    let replies = exchange(&settings, 40).await;
    assert_all_answered(replies, 40);
    assert_eq!(by_tcp.await.unwrap(), 10, "that one alone");
}

/// So that tests need not wait for long.
const HASTY: Patience = Patience {
    reply: Duration::from_millis(300),
    datagrams: Duration::from_millis(600),
    whole: Duration::from_secs(30),
};

/// Answers all requests on all connections as they come, but those that `is_dropped`.
async fn dropping(listener: TcpListener, is_dropped: fn(u16) -> bool) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            while let Some(request) = read_request(&mut stream).await {
                let (record_type, reply) = answer(&request);
                if !is_dropped(record_type) {
                    write_reply(&mut stream, &reply).await;
                }
            }
        });
    }
}

#[tokio::test]
async fn what_is_never_answered_by_udp_is_asked_by_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(listener.local_addr().unwrap());
    settings.transport = UpdateTransport::Udp;
    let socket = UdpSocket::bind(settings.address).await.unwrap();
    // As one that limits its rate.
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
            let (record_type, reply) = answer(&buffer[..len]);
            if record_type % 3 == 0 {
                let _ = socket.send_to(&reply, from).await;
            }
        }
    });
    // Of the first sixteen it does not ask again for what was answered.
    tokio::spawn(dropping(listener, |record_type| record_type % 3 == 0 && record_type < 22));
    assert_all_answered(patient(&settings, 40, HASTY).await, 40);
}

#[tokio::test]
async fn questions_that_are_never_answered_cost_no_other_its_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = settings(listener.local_addr().unwrap());
    tokio::spawn(dropping(listener, |record_type| matches!(record_type, 9 | 12)));
    let replies = patient(&settings, 10, HASTY).await.unwrap();
    for (reply, record_type) in replies.iter().zip(6_u16..) {
        match record_type {
            9 | 12 => assert_eq!(*reply, Err(Failure::Silent), "{record_type}"),
            _ => assert!(reply.is_ok(), "{record_type}: {reply:?}"),
        }
    }
}

#[tokio::test]
async fn a_question_that_holds_up_all_that_come_after_it_is_given_up_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = settings(listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Some(request) = read_request(&mut stream).await {
                    let (record_type, reply) = answer(&request);
                    match record_type {
                        9 => std::future::pending().await,
                        // It ends whoever serves the connection.
                        12 => return,
                        _ => write_reply(&mut stream, &reply).await,
                    }
                }
            });
        }
    });
    let replies = patient(&settings, 10, HASTY).await.unwrap();
    let bad: Vec<_> = (6_u16..).zip(&replies).filter(|(_, reply)| reply.is_err()).collect();
    let expected = [(9, &Err(Failure::Silent)), (12, &Err(Failure::Closed))];
    assert_eq!(bad, expected);
}

#[tokio::test]
async fn an_exchange_ends_though_each_reply_comes_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = settings(listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while let Some(request) = read_request(&mut stream).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
            write_reply(&mut stream, &answer(&request).1).await;
        }
    });
    let began = std::time::Instant::now();
    let patience =
        Patience { reply: Duration::from_secs(20), whole: Duration::from_secs(1), ..HASTY };
    let replies = patient(&settings, 129, patience).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let answered = replies.iter().filter(|reply| reply.is_ok()).count();
    assert!((1..20).contains(&answered), "{answered}");
    assert!(replies[answered..].iter().all(|reply| *reply == Err(Failure::Silent)));
}
