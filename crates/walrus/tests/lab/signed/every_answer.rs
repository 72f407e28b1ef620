//! Every kind of answer, and every set of servers that a service gives: `delv` finds each valid, and
//! Unbound says the same as Walrus does, as secure.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;

use super::aggressive;
use super::family::{CLUSTERS, Family, ONE_KEY, PROMISED, TWO_KEYS, ZONE};
use super::replay::Replay;
use super::resolvers::Resolver;
use super::validators::{Reply, ask, ask_bytes, query};
use crate::programs::{PATIENCE, find, say};
use crate::together;

/// For how long answers may be cached here: longer than the test takes.
const TTL: u32 = 300;

const TYPES: &[&str] = &[
    "A",
    "AAAA",
    "TXT",
    "MX",
    "SRV",
    "HTTPS",
    "SVCB",
    "CNAME",
    "NS",
    "SOA",
    "DS",
    "CAA",
    "TYPE65400",
];

/// In the zone, above delegations; `@` is the apex.
const NAMES: &[&str] = &[
    "@",
    "www",
    "WWW",
    "all",
    "_sip._tcp",
    "_tcp",
    "cdn",
    "below.cdn",
    "_dns",
    "a1.www",
    "ns1",
    "static",
    "alias",
    "alias-of-alias",
    "to-service",
    "to-wild",
    "to-nothing",
    "to-ent",
    "a.b.ent",
    "b.ent",
    "ent",
    "none.b.ent",
    "none.ent",
    "wild",
    "*.wild",
    "some.wild",
    "a.b.wild",
    "host.wild",
    "below.host.wild",
    "hidden.wild",
    "other.hidden.wild",
    "any.aliased",
    "none",
    "none.at.all",
    "below.www",
    "below.a1.www",
    "zz",
    "-",
    "*",
];

/// Each kind once: whether `delv` must find data or a proof that there is none.
pub(super) const KINDS: &[(&str, &str, bool)] = &[
    ("@", "SOA", true),
    ("@", "NS", true),
    ("@", "TXT", true),
    ("@", "DNSKEY", true),
    ("@", "SRV", false),
    ("static", "AAAA", true),
    ("static", "TXT", false),
    ("www", "TXT", true),
    ("www", "MX", false),
    ("_sip._tcp", "A", false),
    ("alias-of-alias", "A", true),
    ("to-service", "AAAA", true),
    ("to-wild", "TXT", true),
    ("to-wild", "A", true),
    ("b.ent", "TXT", false),
    ("none.b.ent", "TXT", false),
    ("some.wild", "TXT", true),
    ("a.b.wild", "TXT", true),
    ("some.wild", "A", false),
    ("other.hidden.wild", "TXT", false),
    ("below.host.wild", "TXT", false),
    ("any.aliased", "A", true),
    ("none", "A", false),
    ("below.www", "A", false),
    ("secure", "DS", true),
    ("open", "DS", false),
];

/// From which address a client of each area asks, and how many different sets of servers (for HTTPS
/// and MX with their order, which is in the records) it can be answered with, two at a time.
const AREAS: &[(Ipv4Addr, &str)] =
    &[(Ipv4Addr::new(127, 0, 0, 1), "america"), (Ipv4Addr::new(127, 0, 0, 2), "europe")];

const SETS: &[(&str, &str, [usize; 2])] = &[
    ("www.signed.test", "A", [3, 1]),
    ("www.signed.test", "AAAA", [3, 1]),
    ("www.signed.test", "HTTPS", [3, 2]),
    ("signed.test", "A", [3, 1]),
    ("signed.test", "AAAA", [3, 1]),
    ("signed.test", "MX", [3, 2]),
    ("signed.test", "HTTPS", [1, 1]),
    ("_sip._tcp.signed.test", "SRV", [3, 1]),
    ("all.signed.test", "A", [1, 1]),
    ("all.signed.test", "AAAA", [1, 1]),
    ("cdn.signed.test", "A", [1, 1]),
    ("cdn.signed.test", "AAAA", [1, 1]),
    ("cdn.signed.test", "HTTPS", [1, 1]),
    ("_dns.signed.test", "SVCB", [3, 2]),
];

#[test]
fn validators_accept_every_answer_and_hide_nothing() {
    let _together = together();
    for signing in [ONE_KEY, TWO_KEYS] {
        let Some(family) = Family::start("validated answers", signing, CLUSTERS, TTL) else {
            return;
        };
        each_kind_is_valid(&family);
        each_set_of_servers_is_valid(&family);
        let unbound = family.unbound("unbound");
        let asked = says_the_same_as_secure(&unbound, family.walrus.dns);
        say(&format!("\n{asked} answers are secure to unbound"));
        follows_delegations(&family.unbound("unbound-for-children"), family.walrus.dns);
        dnsviz_finds_nothing(&family);
        aggressive::nothing_is_hidden(&family);
        say(&format!("\n{signing:?}: every answer is valid"));
    }
}

fn each_kind_is_valid(family: &Family) {
    for (name, record_type, has_data) in KINDS {
        let judgement = family.delv().judge(family.walrus.dns, &within(name), record_type);
        // Of an alias without the type at its end it shows the alias, and tells of the rest.
        let is_valid = match has_data {
            true => judgement.is_valid_answer(),
            false => judgement.is_valid_denial(),
        };
        assert!(is_valid, "{name} {record_type}: {}", judgement.said);
    }
}

/// Collects what clients of each area can be answered with, and has each judged.
fn each_set_of_servers_is_valid(family: &Family) {
    let replay = Replay::before(family.walrus.dns);
    // What is said here would mean nothing if damage were not seen.
    let (name, record_type) = ("static.signed.test", "A");
    let mut damaged = ask_bytes(family.walrus.dns, name, record_type);
    let address = damaged.windows(4).position(|window| window == [192, 0, 2, 80]).unwrap();
    damaged[address] ^= 1;
    replay.choose(name, record_type, damaged);
    let judgement = family.delv().judge(replay.address, name, record_type);
    assert!(!judgement.is_valid_answer() && replay.given() > 0, "{}", judgement.said);
    for (name, record_type, counts) in SETS {
        for ((client, area), count) in AREAS.iter().zip(counts) {
            let sets = all_sets(family, *client, (name, record_type), *count);
            for (data, reply) in sets {
                replay.choose(name, record_type, reply);
                let judgement = family.delv().judge(replay.address, name, record_type);
                assert!(replay.given() > 0, "it asked for {name} {record_type}");
                assert!(judgement.is_valid_answer(), "{area} {data:?}: {}", judgement.said);
            }
        }
    }
}

/// Asks until so many different answers were seen, and then as often again.
fn all_sets(
    family: &Family,
    client: Ipv4Addr,
    (name, record_type): (&str, &str),
    count: usize,
) -> BTreeMap<Vec<String>, Vec<u8>> {
    const TRIES: usize = 200;
    let socket = UdpSocket::bind((client, 0)).unwrap();
    socket.connect(family.walrus.dns).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut found = BTreeMap::new();
    for _ in 0..TRIES {
        socket.send(&query(name, record_type)).unwrap();
        let mut bytes = [0; 4096];
        let len = socket.recv(&mut bytes).expect("a reply");
        let reply = Reply::read(&bytes[..len]);
        let data: Vec<String> = reply.data(record_type).into_iter().collect();
        assert_eq!((&*reply.rcode, data.is_empty()), ("NOERROR", false), "{name} {record_type}");
        found.entry(data).or_insert_with(|| bytes[..len].to_vec());
    }
    let seen: Vec<_> = found.keys().collect();
    assert_eq!(seen.len(), count, "{client} {name} {record_type}: {seen:?}");
    found
}

/// Of every name and type; so many answers were secure.
pub(super) fn says_the_same_as_secure(resolver: &Resolver, walrus: SocketAddr) -> usize {
    let mut asked = 0;
    for name in NAMES {
        let full = within(name);
        let is_asked =
            |it: &&&str| (**it != "DS" || *name != "@") && !resolver.has_own_way(&full, it);
        for record_type in TYPES.iter().filter(is_asked) {
            let ours = ask(walrus, &full, record_type);
            let theirs = resolver.ask_until_found(&full, record_type);
            let context =
                || format!("{full} {record_type}: {theirs:?}, ours {ours:?}\n{}", resolver.said());
            // An alias to where nothing is: it says what is at the end, as we do.
            assert_eq!(theirs.rcode, ours.rcode, "{}", context());
            assert!(theirs.secure, "{}", context());
            assert_eq!(
                theirs.data(record_type).is_empty(),
                ours.data(record_type).is_empty(),
                "{}",
                context()
            );
            if !is_dynamic(&full) {
                assert_eq!(theirs.data(record_type), ours.data(record_type), "{}", context());
            }
            asked += 1;
        }
    }
    let outside = resolver.ask_until_found(&within("outside"), "A");
    assert_eq!((&*outside.rcode, outside.secure), ("NOERROR", false), "its end is not signed");
    asked
}

pub(super) fn follows_delegations(resolver: &Resolver, walrus: SocketAddr) {
    for (name, record_type, rcode, secure) in [
        ("www.secure", "A", "NOERROR", true),
        ("any.wild.secure", "TXT", "NOERROR", true),
        ("none.secure", "A", "NXDOMAIN", true),
        ("www.open", "A", "NOERROR", false),
        ("none.open", "A", "NXDOMAIN", false),
        ("secure", "DS", "NOERROR", true),
        ("open", "DS", "NOERROR", true),
    ] {
        let reply = resolver.ask_until_found(&within(name), record_type);
        assert_eq!((&*reply.rcode, reply.secure), (rcode, secure), "{name}: {}", resolver.said());
    }
    // A referral brings what `delv` found valid above when it asked for it by name.
    for (child, kind) in [("secure", "DS"), ("open", "NSEC")] {
        let referral = ask(walrus, &within(&format!("www.{child}")), "A");
        let ds = ask(walrus, &within(child), "DS");
        let is_proof = |line: &&String| {
            line.contains(&format!(" {kind}")) || line.contains(&format!(" RRSIG {kind}"))
        };
        let (said, proof): (Vec<_>, Vec<_>) = (
            ds.answer.iter().chain(&ds.authority).filter(is_proof).collect(),
            referral.authority.iter().filter(is_proof).collect(),
        );
        assert!(referral.answer.is_empty() && proof.len() >= 2, "{child}: {referral:?}");
        assert_eq!(said, proof, "{child}");
    }
}

/// It asks Walrus itself, and looks at all that is signed or denied as a whole.
fn dnsviz_finds_nothing(family: &Family) {
    let Some([dnsviz]) = find("signed zones seen by dnsviz", ["dnsviz"]) else { return };
    let server = format!("{}:{}", family.walrus.dns.ip(), family.walrus.dns.port());
    let probed = family.folder.join("probed.json");
    let probed = probed.to_str().unwrap();
    let mut probe = Command::new(&dnsviz);
    probe.args(["probe", "-A", "-a", ZONE, "-o", probed, "-x", &format!("{ZONE}+:{server}")]);
    probe.args(["-N", &format!("{ZONE}:ns1.{ZONE}={server}")]);
    for ds in ask(family.knot.address, ZONE, "DS").data("DS") {
        probe.args(["-D", &format!("{ZONE}:{ds}")]);
    }
    probe.args(["@", "www", "_sip._tcp", "none", "to-service", "b.ent"].map(within));
    let output = probe.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // Addresses of loopback are none that a name server should have.
    let grok = |level: &str| {
        let output =
            Command::new(&dnsviz).args(["grok", "-P", "-l", level, "-r", probed]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(grok("info").contains("\"www.signed.test./IN/A\""), "{}", grok("info"));
    let found = grok("warning");
    assert!(found.trim().is_empty() || found.trim() == "{}", "{found}");
}

fn is_dynamic(name: &str) -> bool {
    let name = name.to_lowercase();
    PROMISED.iter().any(|(service, _)| *service == name)
        || ["to-service.", "any.aliased."].iter().any(|alias| name.starts_with(alias))
}

pub(super) fn within(name: &str) -> String {
    if name == "@" { ZONE.to_owned() } else { format!("{name}.{ZONE}") }
}
