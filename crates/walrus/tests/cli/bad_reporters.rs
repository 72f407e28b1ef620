//! Reporters that are wrong, old, forged or broken are refused with a reason, and the service
//! goes on.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::dns::addresses;
use crate::running::{PATIENCE, Running, TWO_CLUSTERS, wait_for};

fn with_reporters() -> String {
    TWO_CLUSTERS.replace("name = \"near\"\n", "name = \"near\"\nreporter = true\n")
}

/// One connection to the group, in plaintext as loopback allows.
struct Connection(TcpStream);

impl Connection {
    fn open(running: &Running) -> Self {
        let stream = TcpStream::connect(running.group()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    fn send(&mut self, message: &Value) {
        let bytes = serde_json::to_vec(message).unwrap();
        self.send_raw(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
        self.send_raw(&bytes);
    }

    fn send_raw(&mut self, bytes: &[u8]) {
        // A connection that was closed already is as good.
        let _ = self.0.write_all(bytes);
    }

    /// The next message; `None` if the connection ends.
    fn receive(&mut self) -> Option<Value> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut bytes).ok()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    /// The reason for a refusal; a hello may come before it.
    fn refusal(&mut self) -> String {
        let mut message = self.receive().expect("a refusal, not just an end");
        if message["kind"] == "hello" {
            message = self.receive().expect("a refusal after the hello");
        }
        assert_eq!(message["kind"], "refused", "{message}");
        message["reason"].as_str().unwrap().to_owned()
    }
}

fn token(running: &Running) -> String {
    std::fs::read_to_string(running.path("state/reporter-token")).unwrap().trim().to_owned()
}

fn hello(name: &str, token: &str, versions: &[u32]) -> Value {
    json!({ "walrus": 1, "kind": "hello", "role": "reporter", "name": name, "session": 5,
            "versions": versions, "token": token, "program": "a test" })
}

fn report(sequence: u64, busy: u64) -> Value {
    json!({ "walrus": 1, "kind": "report", "server": "near1", "session": 5, "sequence": sequence,
            "unit_ms": 60_000, "body": { "say": "statistics", "busy": busy, "busy_max": 10 } })
}

#[test]
fn who_is_not_known_is_refused_with_a_reason() {
    let running = Running::start(&with_reporters());
    let token = token(&running);
    for (message, word) in [
        (hello("near1", "wrong", &[1]), "token"),
        (hello("near9", &token, &[1]), "near9"),
        (hello("near1", &token, &[7]), "version"),
        (report(1, 1), "hello"),
    ] {
        let mut connection = Connection::open(&running);
        connection.send(&message);
        let reason = connection.refusal();
        assert!(reason.contains(word), "{word}: {reason}");
        assert!(!reason.contains(&token), "{reason}");
        assert_eq!(connection.receive(), None, "and the connection ends");
    }
    let other = json!({ "walrus": 3, "kind": "hello", "name": "near1" });
    let mut connection = Connection::open(&running);
    connection.send(&other);
    assert!(connection.refusal().contains("version"));
    assert_eq!(addresses(running.dns()).len(), 2);
}

#[test]
fn a_sequence_that_does_not_rise_is_refused() {
    let running = Running::start(&with_reporters());
    let mut connection = Connection::open(&running);
    connection.send(&hello("near1", &token(&running), &[1]));
    assert_eq!(connection.receive().unwrap()["kind"], "hello");
    connection.send(&report(5, 2));
    assert_eq!(connection.receive().unwrap()["sequence"], 5);
    for stale in [5, 4, 0] {
        connection.send(&report(stale, 9));
        let reason = connection.refusal();
        assert!(reason.contains("not above the last, 5"), "{reason}");
        assert_eq!(connection.receive(), None, "and the connection ends");
        connection = Connection::open(&running);
        connection.send(&hello("near1", &token(&running), &[1]));
        assert_eq!(connection.receive().unwrap()["kind"], "hello");
    }
    connection.send(&report(6, 3));
    assert_eq!(connection.receive().unwrap()["sequence"], 6, "the next one is heard");
    let status = running.status();
    let near1 = status["servers"].as_array().unwrap().iter().find(|it| it["name"] == "near1");
    assert_eq!(near1.unwrap()["load"], 0.3, "{status}");
    assert_eq!(status["counters"]["reports_refused"], 3, "{status}");
}

#[test]
fn garbage_and_half_messages_end_only_their_connection() {
    let running = Running::start(&with_reporters());
    let token = token(&running);
    let garbage: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00\x00\x05hallo",
        b"\x00\x00\x00\x00",
        b"\x00\xff\xff\xff",
        b"\x00\x00\x00\x40{\"walrus\":1,",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    ];
    for bytes in garbage {
        let mut connection = Connection::open(&running);
        connection.send_raw(bytes);
        let _ = connection.0.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = connection.0.read_to_end(&mut rest);
    }
    // Half a report after a good hello; then the same Reporter comes back and is heard.
    let mut connection = Connection::open(&running);
    connection.send(&hello("near1", &token, &[1]));
    assert_eq!(connection.receive().unwrap()["kind"], "hello");
    connection.send_raw(b"\x00\x00\x01\x00{\"walrus\":1,\"kind\":\"report\"");
    drop(connection);
    let mut again = Connection::open(&running);
    again.send(&hello("near1", &token, &[1]));
    assert_eq!(again.receive().unwrap()["kind"], "hello");
    again.send(&report(9, 1));
    assert_eq!(again.receive().unwrap()["kind"], "taken");
    wait_for("its word", || (running.life("near1") == "living").then_some(()));
    assert!(!running.log().contains(&token), "{}", running.log());
    assert!(!addresses(running.dns()).is_empty());
}
