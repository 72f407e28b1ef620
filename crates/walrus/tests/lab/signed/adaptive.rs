//! A signed service whose TTLs depend on the server that comes first: signatures are over the longest TTL, answers have shorter
//! ones, and validators believe them.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use domain::base::Message;
use domain::rdata::AllRecordData;

use super::replay::Replay;
use super::resolvers::{Finds, Resolver};
use super::validators::{Delv, anchors, ask_bytes_for};
use crate::programs::{find, say, wait_for};
use crate::together;
use crate::walrus::{Node, Walrus};

const CONFIGURATION: &str = r#"
[control]
round = "1s"
[[cluster]]
name = "here"
servers = [
  { name = "a1", addresses = ["192.0.2.1"] },
  { name = "a2", addresses = ["192.0.2.2"], weight = 2 },
]
[[service]]
name = "www.signed.test"
answers = 1
choose = "round-robin"
ttl = "20s"
adaptive_ttl = "TTL/S_1"
ttl_min = "2s"
ttl_max = "60s"
[[zone]]
name = "signed.test"
file = "signed.test.zone"
[dnssec]
sign = true
"#;

const ZONE_FILE: &str =
    "$TTL 300\n@ SOA ns1 host 1 7200 3600 1209600 300\n@ NS ns1\nns1 A 127.0.0.1\n";

const NAME: &str = "www.signed.test";
const TTL: u32 = 20;
const TTL_MAX: u32 = 60;
const CLIENTS: [&str; 2] = ["10.1.1.0", "10.2.1.0"];

#[test]
fn validators_believe_answers_with_adaptive_ttls() {
    let _together = together();
    let Some([delv, unbound]) = find("signed adaptive TTLs", ["delv", "unbound"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("signed.test.zone"), ZONE_FILE).unwrap();
    let walrus = Walrus::start_node(&Node::default(), folder, CONFIGURATION);
    let anchor = folder.join("anchor");
    std::fs::write(&anchor, anchors(walrus.dns, "signed.test")).unwrap();
    let delv = Delv { program: &delv, zone: "signed.test", anchor: &anchor };

    let [short, long] = wait_for("a TTL for each server", || {
        let mut replies = CLIENTS.map(|client| answer(walrus.dns, client));
        replies.sort_by_key(|reply| ttls(reply).0);
        let [short, long] = replies.each_ref().map(|reply| ttls(reply).0);
        (short < TTL && long > TTL).then_some(replies)
    });
    let replay = Replay::before(walrus.dns);
    for reply in [&short, &long] {
        replay.choose(NAME, "A", reply.clone());
        let judgement = delv.judge(replay.address, NAME, "A");
        assert!(replay.given() > 0, "it asked for it");
        assert!(judgement.is_valid_answer(), "{:?}: {}", ttls(reply), judgement.said);
    }
    // A TTL above the signed one would be cut off by validators without a word (RFC 4035 5.3.3).
    let seen: BTreeSet<u32> = (0..50)
        .flat_map(|_| CLIENTS)
        .map(|client| {
            let (ttl, of_signature, original) = ttls(&answer(walrus.dns, client));
            assert_eq!((ttl, original), (of_signature, TTL_MAX), "of {client}");
            assert!((2..=TTL_MAX).contains(&ttl), "{ttl}");
            ttl
        })
        .collect();
    assert!(seen.len() > 1, "{seen:?}");

    let place = ("signed.test", walrus.dns);
    let finds = Finds::ToldWithSubnets(&[place]);
    let unbound = Resolver::unbound(&unbound, &folder.join("unbound"), place, finds);
    for client in CLIENTS.repeat(10) {
        let reply = unbound.ask_for(NAME, "A", Some((client.parse().unwrap(), 24)));
        let is_right = reply.secure && reply.data("A").len() == 1;
        assert!(is_right, "{client}: {reply:?}\n{}", unbound.said());
    }
    assert!(!unbound.said().contains("validation failure"), "{}", unbound.said());
    say(&format!("\nanswers with TTLs of {seen:?} s are secure, signed for {TTL_MAX} s"));
}

/// On behalf of a client in this /24.
fn answer(walrus: SocketAddr, client: &str) -> Vec<u8> {
    let client: IpAddr = client.parse().unwrap();
    ask_bytes_for(walrus, NAME, "A", Some((client, 24)))
}

/// Of the address, of its signature, and the one that it is over.
fn ttls(reply: &[u8]) -> (u32, u32, u32) {
    let message = Message::from_octets(reply).unwrap();
    let (mut address, mut signature) = (None, None);
    for record in message.answer().unwrap() {
        let record = record.unwrap().to_any_record::<AllRecordData<_, _>>().unwrap();
        let ttl = record.ttl().as_secs();
        match record.data() {
            AllRecordData::A(_) => address = Some(ttl),
            AllRecordData::Rrsig(data) => signature = Some((ttl, data.original_ttl().as_secs())),
            other => panic!("{other}"),
        }
    }
    let (of_signature, original) = signature.expect("a signature");
    (address.expect("an address"), of_signature, original)
}
