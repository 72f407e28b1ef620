//! Clients' subnets choose the area: each answer that each of them can be given is valid, to `delv`
//! and to Unbound, which passes subnets on and validates what comes back.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::replay::Replay;
use super::resolvers::{Finds, Resolver};
use super::validators::{Delv, Reply, anchors, ask_bytes_for};
use crate::programs::{PATIENCE, find, say, wait_within};
use crate::together;
use crate::walrus::Walrus;

const CONFIGURATION: &str = r#"
[[cluster]]
name = "america"
servers = [
  { name = "a1", addresses = ["192.0.2.1", "2001:db8::1"] },
  { name = "a2", addresses = ["192.0.2.2", "2001:db8::2"], weight = 2 },
  { name = "a3", addresses = ["192.0.2.3", "2001:db8::3"] },
]
[[cluster]]
name = "europe"
servers = [
  { name = "e1", addresses = ["192.0.2.11"] },
  { name = "e2", addresses = ["192.0.2.12", "2001:db8::12"] },
]
[[cluster]]
name = "asia"
servers = [{ name = "s1", addresses = ["192.0.2.21", "2001:db8::21"] }]
[[area]]
name = "america"
home = "america"
clients = ["10.1.0.0/16"]
[[area]]
name = "asia"
home = "asia"
clients = ["10.1.128.0/17"]
[[area]]
name = "europe"
home = "europe"
clients = ["10.2.0.0/16", "2001:db8:2::/48"]
[[service]]
name = "www.signed.test"
https = { alpn = ["h2"], port = 8443, hints = true }
[[service]]
name = "signed.test"
mx = { preference = 10 }
[[service]]
name = "_sip._tcp.signed.test"
types = []
srv = { port = 5060 }
[[service]]
name = "_dns.signed.test"
types = []
svcb = { alpn = ["dot"], port = 853, hints = true }
[[service]]
name = "one.signed.test"
answers = 1
[[zone]]
name = "signed.test"
file = "signed.test.zone"
[dnssec]
sign = true
"#;

const ZONE_FILE: &str = "$TTL 300\n@ SOA ns1 host 1 7200 3600 1209600 300\n@ NS ns1\n\
                         ns1 A 127.0.0.1\nstatic A 192.0.2.80\n";

/// Where clients are: the one inside another's prefix is asked for last, so that an answer that was
/// kept for too many would be seen.
const CLIENTS: [(&str, &str, u8); 4] = [
    ("america", "10.1.1.0", 24),
    ("europe", "10.2.1.0", 24),
    ("europe", "2001:db8:2:100::", 56),
    ("asia", "10.1.200.0", 24),
];

/// How many answers a client in America, in Europe and in Asia can be given: the order of MX, HTTPS
/// and SVCB is in the records.
const ANSWERS: &[(&str, &str, [usize; 3])] = &[
    ("www.signed.test", "A", [3, 1, 1]),
    ("www.signed.test", "HTTPS", [3, 2, 1]),
    ("signed.test", "MX", [3, 2, 1]),
    ("_sip._tcp.signed.test", "SRV", [3, 1, 1]),
    ("_dns.signed.test", "SVCB", [3, 2, 1]),
    ("one.signed.test", "A", [3, 2, 1]),
    ("one.signed.test", "AAAA", [3, 1, 1]),
];

#[test]
fn answers_chosen_by_client_subnets_are_valid() {
    let _together = together();
    let Some([delv, unbound]) = find("signed answers by client subnet", ["delv", "unbound"]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("signed.test.zone"), ZONE_FILE).unwrap();
    let walrus = Walrus::start(folder, CONFIGURATION);
    let anchor = folder.join("anchor");
    std::fs::write(&anchor, anchors(walrus.dns, "signed.test")).unwrap();
    let delv = Delv { program: &delv, zone: "signed.test", anchor: &anchor };
    let place = ("signed.test", walrus.dns);
    let finds = Finds::ToldWithSubnets(&[place]);
    let unbound = Resolver::unbound(&unbound, &folder.join("unbound"), place, finds);
    let replay = Replay::before(walrus.dns);
    let mut judged = 0;
    for client in CLIENTS {
        let area = ["america", "europe", "asia"].iter().position(|it| *it == client.0).unwrap();
        for (name, record_type, counts) in ANSWERS {
            let sets = all_answers(walrus.dns, client, (name, record_type), counts[area]);
            see_all(&unbound, client, (name, record_type), sets.keys());
            for (data, reply) in sets {
                replay.choose(name, record_type, reply);
                let judgement = delv.judge(replay.address, name, record_type);
                assert!(replay.given() > 0, "it asked for {name} {record_type}");
                assert!(judgement.is_valid_answer(), "{client:?} {data:?}: {}", judgement.said);
                judged += 1;
            }
        }
        // What no area changes, and what there is not.
        for (name, record_type, rcode, has_data) in [
            ("static.signed.test", "A", "NOERROR", true),
            ("www.signed.test", "TXT", "NOERROR", false),
            ("none.signed.test", "A", "NXDOMAIN", false),
        ] {
            let reply = unbound.ask_for(name, record_type, Some(subnet(client)));
            let is_right = reply.secure
                && reply.rcode == rcode
                && reply.data(record_type).is_empty() != has_data;
            assert!(is_right, "{client:?} {name}: {reply:?}\n{}", unbound.said());
        }
    }
    let said = unbound.said();
    assert!(!said.contains("validation failure"), "{said}");
    say(&format!("\n{judged} answers by client subnet are valid to delv, and secure to unbound"));
}

fn subnet((_, address, len): (&str, &str, u8)) -> (IpAddr, u8) {
    (address.parse().unwrap(), len)
}

/// Asks until so many different answers were seen, and then as often again.
fn all_answers(
    walrus: SocketAddr,
    client: (&str, &str, u8),
    (name, record_type): (&str, &str),
    count: usize,
) -> BTreeMap<Vec<String>, Vec<u8>> {
    const TRIES: usize = 60;
    let mut found = BTreeMap::new();
    for _ in 0..TRIES {
        let bytes = ask_bytes_for(walrus, name, record_type, Some(subnet(client)));
        let reply = Reply::read(&bytes);
        let data: Vec<String> = reply.data(record_type).into_iter().collect();
        assert_eq!((&*reply.rcode, data.is_empty()), ("NOERROR", false), "{name} {record_type}");
        found.entry(data).or_insert(bytes);
    }
    let seen: Vec<_> = found.keys().collect();
    assert_eq!(seen.len(), count, "{client:?} {name} {record_type}: {seen:?}");
    found
}

/// Asks the resolver until it has given each of them as secure, and nothing else.
fn see_all<'a>(
    unbound: &Resolver,
    client: (&str, &str, u8),
    (name, record_type): (&str, &str),
    answers: impl Iterator<Item = &'a Vec<String>>,
) {
    let all: Vec<&Vec<String>> = answers.collect();
    let mut missing = all.clone();
    // Each is drawn anew once a TTL: a few draws may pass until the rarest comes.
    wait_within(3 * PATIENCE, "each answer through unbound", || {
        let reply = unbound.ask_for(name, record_type, Some(subnet(client)));
        let data: Vec<String> = reply.data(record_type).into_iter().collect();
        let context = || format!("{client:?} {name} {record_type}: {reply:?}\n{}", unbound.said());
        assert!(reply.secure && all.contains(&&data), "{}", context());
        missing.retain(|it| **it != data);
        missing.is_empty().then_some(())
    });
}
