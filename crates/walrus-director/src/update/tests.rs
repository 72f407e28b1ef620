//! Keys, signatures and refusals, against a name server of a few lines.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::base::{Message, MessageBuilder};
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, ClientTransaction, Key};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use walrus_core::config::{NameServerSettings, UpdateAlgorithm, UpdateKey, UpdateTransport};
use walrus_core::update::{Exchange, Failure, Reply, Request};
use walrus_host::clock::Clock;

use super::exchange::carry_out;
use super::secret::{make_secret_file, read_secret, read_secret_text};

fn key(secret_file: PathBuf) -> UpdateKey {
    let (name, algorithm) = ("walrus-europe".parse().unwrap(), UpdateAlgorithm::HmacSha256);
    UpdateKey { name, algorithm, secret_file }
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
    ] {
        std::fs::write(&key.secret_file, text).unwrap();
        let read = read_secret(&key).ok();
        assert_eq!(read.as_deref(), expected.map(str::as_bytes), "{text:?}");
    }
    std::fs::write(&key.secret_file, vec![b'A'; 100_000]).unwrap();
    let told = read_secret(&key).unwrap_err().to_string();
    assert!(told.contains("holds no secret") && !told.contains("AAAA"), "{told}");
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

async fn ask(address: SocketAddr) -> Result<Vec<Reply>, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path().join("key"));
    std::fs::write(&key.secret_file, "c2VjcmV0").unwrap();
    let name = |name: &str| name.parse().unwrap();
    let settings = NameServerSettings {
        name: name("europe"),
        area: name("europe"),
        address,
        zone: "europe.example".parse().unwrap(),
        host: "ns.europe.example".parse().unwrap(),
        transport: UpdateTransport::Tcp,
        key: Some(key),
        ttl: None,
        check_every: Duration::from_secs(30),
        owner: name("walrus"),
        adopt: false,
        services: Vec::new(),
    };
    let request = Request::Query { name: "europe.example".parse().unwrap(), record_type: 6 };
    carry_out(&settings, &Exchange { requests: vec![request] }, &Clock::real()).await
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
