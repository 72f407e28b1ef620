//! Requests whose key, algorithm, secret or time is wrong, UPDATE and AXFR alike: what the client is told, what the log
//! and the metrics say of it, and that nothing else suffers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use walrus_core::config::TsigAlgorithm;
use walrus_director::tsig::{ReplyRefused, SharedKey};

use crate::programs::{wait_for, wait_or_tell};
use crate::together;
use crate::walrus::Walrus;

const CONFIGURATION: &str = r#"
[[key]]
name = "k"
secret_file = "k.key"
[[zone]]
name = "walrus.example"
file = "zone"
updates = [{ key = "k" }]
transfer_to = [{ key = "k" }]
[[cluster]]
name = "c"
servers = [{ name = "s1", addresses = ["192.0.2.1"] }]
[[service]]
name = "www.walrus.example"
"#;
const ZONE: &str = "@ 60 SOA ns.example.net. host 1 2 3 4 5\n@ 60 NS ns.example.net.\n";
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const SECRET_TEXT: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const NAME: &[u8] = b"\x06walrus\x07example\0";
/// RFC 2136 section 2.2.
const NOTAUTH: u8 = 9;
const SERVFAIL: u8 = 2;

/// Adds a text at `label`.
fn update(label: u8) -> Vec<u8> {
    let head = b"\0\x07\x28\0\0\x01\0\0\0\x01\0\0";
    let text = [&[1, label][..], NAME, b"\0\x10\0\x01\0\0\0\x3c\0\x02\x01x"].concat();
    [&head[..], NAME, b"\0\x06\0\x01", &text].concat()
}

fn axfr() -> Vec<u8> {
    [&b"\0\x08\0\0\0\x01\0\0\0\0\0\0"[..], NAME, b"\0\xfc\0\x01"].concat()
}

/// The first message of the reply, by TCP.
fn ask(server: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(server).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(&[&(request.len() as u16).to_be_bytes(), request].concat()).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).ok()?;
    Some(reply)
}

#[test]
fn a_wrong_key_algorithm_secret_or_time_is_told_to_the_client_the_log_and_the_metrics() {
    let _together = together();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("zone"), ZONE).unwrap();
    let secret_file = folder.path().join("k.key");
    std::fs::write(&secret_file, SECRET_TEXT).unwrap();
    std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let walrus = Walrus::start(folder.path(), CONFIGURATION);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let sent = |mut message: Vec<u8>, (name, algorithm, secret): (&str, _, &[u8]), at: u64| {
        let key = SharedKey::new(name.parse().unwrap(), algorithm, secret);
        let mut verifier = key.sign_request(&mut message, at);
        let mut reply = ask(walrus.dns, &message).unwrap_or_else(|| panic!("{}", walrus.said()));
        let code = reply[3] & 15;
        (code, verifier.verify(&mut reply, at))
    };
    let sha256 = TsigAlgorithm::HmacSha256;
    let right = ("k", sha256, SECRET);
    for (key, late_s, told, logged, metric) in [
        (("other", sha256, SECRET), 0, ReplyRefused::KeyUnknown, "BADKEY", "bad_key"),
        (
            ("k", TsigAlgorithm::HmacSha512, SECRET),
            0,
            ReplyRefused::KeyUnknown,
            "BADKEY",
            "bad_key",
        ),
        (
            ("k", sha256, &b"wrong"[..]),
            0,
            ReplyRefused::SignatureRefused,
            "BADSIG",
            "bad_signature",
        ),
        (right, 3600, ReplyRefused::ClockDiffers { ahead: 3600 }, "BADTIME", "bad_time"),
    ] {
        let metric = format!("walrus_dns_tsig_{metric}_total");
        for message in [update(b'a'), axfr()] {
            let before = walrus.metric(&metric);
            let (code, heard) = sent(message, key, now() - late_s);
            assert_eq!(code, NOTAUTH, "{logged}");
            match heard {
                // The request may have taken a while.
                Err(ReplyRefused::ClockDiffers { ahead }) => {
                    assert!(logged == "BADTIME" && ahead >= 3600, "{ahead}");
                }
                heard => assert_eq!(heard, Err(told), "{logged}"),
            }
            let tell = || format!("{metric}: {}\n{}", walrus.metric(&metric), walrus.said());
            let counted = || (walrus.metric(&metric) > before).then_some(());
            wait_or_tell("the refusal to be counted", counted, tell);
        }
        assert!(walrus.said().contains(logged), "{}", walrus.said());
    }
    assert_eq!(walrus.metric("walrus_dns_updates_total{outcome=\"unsigned\"}"), 4);
    // Whoever signs rightly is served as ever.
    for message in [axfr(), update(b'b')] {
        // A zone that is not ready for transfers yet is told of, too.
        let served = || {
            let (code, heard) = sent(message.clone(), right, now());
            (code != SERVFAIL).then_some((code, heard))
        };
        assert_eq!(wait_for("a zone that is ready", served), (0, Ok(())), "{}", walrus.said());
    }
    assert_eq!(walrus.metric("walrus_dns_updates_total{outcome=\"done\"}"), 1);
}
