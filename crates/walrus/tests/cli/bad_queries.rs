//! Malformed queries over real sockets: an answer that says so or none, never one to a reply, and
//! a refusal never larger than what it refuses.

use std::time::Duration;

use crate::dns::{addresses, ask_tcp, ask_udp, code, query};
use crate::running::{Running, TWO_CLUSTERS};

/// Long enough for an answer on a busy machine where one must not come: a miss would only make a
/// wrong answer look right, never a right one wrong.
const SILENCE: Duration = Duration::from_millis(150);
const SOON: Duration = Duration::from_secs(10);

fn good() -> Vec<u8> {
    query("www.walrus.example", 1, Some([203, 0, 113]))
}

/// A query with some of its bytes changed.
fn with(changes: &[(usize, u8)]) -> Vec<u8> {
    let mut query = good();
    changes.iter().for_each(|(at, byte)| query[*at] = *byte);
    query
}

#[test]
fn what_is_no_query_gets_no_reply() {
    // By TCP the connection stays open for what may follow; here not for long.
    let config = TWO_CLUSTERS.replace("workers = 1", "workers = 1\ntcp_idle = \"1s\"");
    let running = Running::start(&config);
    let silent: Vec<(&str, Vec<u8>)> = vec![
        ("a reply", with(&[(2, 0x80)])),
        ("a reply with a code", with(&[(2, 0x84), (3, 5)])),
        ("nothing", Vec::new()),
        ("half a header", good()[..11].to_vec()),
    ];
    for (what, bytes) in &silent {
        assert_eq!(ask_udp(running.dns(), bytes, SILENCE), None, "{what}");
        assert_eq!(ask_tcp(running.dns(), bytes), None, "{what}, by TCP: the connection ends");
    }
    assert_eq!(addresses(running.dns()).len(), 2);
}

#[test]
fn malformed_queries_are_refused_in_no_more_bytes_than_they_have() {
    let running = Running::start(TWO_CLUSTERS);
    let question = 12 + "www.walrus.example".len() + 2 + 4;
    let subnet = question + 11;
    let long_label = {
        let mut query = good();
        query[12] = 64;
        query
    };
    let refused: Vec<(&str, Vec<u8>, u8)> = vec![
        ("no question", with(&[(5, 0)]), 1),
        ("two questions", with(&[(5, 2)]), 1),
        ("a cut name", good()[..20].to_vec(), 1),
        ("a label of a forbidden kind", long_label, 1),
        ("a name that points at itself", with(&[(12, 0xc0), (13, 12)]), 1),
        ("a cut OPT", good()[..question + 4].to_vec(), 1),
        ("two OPTs announced", with(&[(11, 2)]), 1),
        ("a client subnet of a strange family", with(&[(subnet + 5, 9)]), 1),
        ("a client subnet that is too long", with(&[(subnet + 6, 33)]), 1),
        ("an update", with(&[(2, 5 << 3)]), 4),
        ("a notify", with(&[(2, 4 << 3)]), 4),
        ("a name of another zone", query("www.example.org", 1, None), 5),
    ];
    for (what, bytes, wanted) in &refused {
        let udp = ask_udp(running.dns(), bytes, SOON);
        let tcp = ask_tcp(running.dns(), bytes);
        for reply in [udp, tcp].into_iter().map(|it| it.unwrap_or_else(|| panic!("{what}"))) {
            assert_eq!(reply[..2], bytes[..2], "{what}: the ID");
            assert_eq!(reply[2] & 0x80, 0x80, "{what}: a reply");
            assert_eq!(code(&reply), *wanted, "{what}: {reply:02x?}");
            assert!(reply.len() <= bytes.len(), "{what}: {} > {}", reply.len(), bytes.len());
        }
    }
    assert_eq!(addresses(running.dns()).len(), 2);
}

#[test]
fn every_cut_and_every_changed_byte_leaves_the_name_server_well() {
    let running = Running::start(TWO_CLUSTERS);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let whole = good();
    for at in 0..whole.len() {
        socket.send_to(&whole[..at], running.dns()).unwrap();
        for byte in [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff] {
            socket.send_to(&with(&[(at, byte)]), running.dns()).unwrap();
        }
        if at % 8 == 0 {
            assert_eq!(addresses(running.dns()).len(), 2, "after byte {at}");
        }
    }
    assert!(!running.log().contains("panic"), "{}", running.log());
}
