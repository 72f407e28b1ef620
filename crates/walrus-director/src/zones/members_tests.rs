//! Zones of catalogs beside a configuration with a service whose records name hosts.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use walrus_core::config::{Context, SourceFile, parse};
use walrus_core::map::Map;
use walrus_core::world::Topology;
use walrus_core::zone::{RecordSet, read_zone, zone_of_nameservers};
use walrus_dns::record_type;
use walrus_host::clock::Clock;

use super::*;
use crate::fixture::{digests, query, settings};
use crate::{Director, DirectorStart, MovingZone, SigningStart};

const CONFIGURATION: &str = r#"
[dns]
listen = ["127.0.0.1:5300"]
[[zone]]
name = "example.com"
nameservers = ["ns.example.net"]
[[cluster]]
name = "c"
servers = [
  { name = "s1", addresses = ["192.0.2.1"], host = "mail.b.example.com" },
  { name = "s2", addresses = ["192.0.2.2"], host = "mail.other.example" },
]
[[service]]
name = "_sip._tcp.example.com"
srv = { port = 5060 }
"#;

fn topology() -> Arc<Topology> {
    let files = [SourceFile { name: "walrus.toml".into(), text: CONFIGURATION.into() }];
    let context = Context { hostname: "ns1", read: &|_| Ok(String::new()) };
    let parsed = parse(&files, &context).unwrap_or_else(|it| panic!("{it:#?}"));
    Arc::new(parsed.configuration.topology)
}

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn content(apex: &str, body: &str) -> Arc<Zone> {
    let text = format!("@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns.example.net.\n{body}");
    Arc::new(read_zone("test", text.as_bytes(), &name(apex)).unwrap().zone)
}

/// No reply has room for one of its sets.
fn bad_content(apex: &str) -> Arc<Zone> {
    let data = (0..5000_u32).map(|number| number.to_be_bytes().into()).collect();
    let set = RecordSet { record_type: record_type::A, ttl: 60, data, ..RecordSet::default() };
    Arc::new(content(apex, "").with_sets([(name(&format!("big.{apex}")), set)]))
}

/// With these zones, which move, and have their hosts once they come.
fn start(apexes: &[&str]) -> DirectorHandle {
    let topology = topology();
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let apexes = apexes.iter().map(|apex| name(apex));
    let empty = |apex: &DomainName| Arc::new(zone_of_nameservers(apex, &[name("ns.example.net")]));
    let start = DirectorStart {
        dns: settings(&["127.0.0.1:0"], 1),
        topology,
        zones: apexes.clone().map(|apex| empty(&apex)).collect(),
        moving: apexes.map(|apex| MovingZone { content: Some(empty(&apex)), apex }).collect(),
        keys: crate::tsig::TsigKeys::default(),
        updates: crate::UpdateSettings::default(),
        digests: digests(&map),
        map,
        plan: None,
        signing: SigningStart::default(),
        serials: Default::default(),
        seed: 1,
        clock: Clock::real(),
    };
    Director::start(start).unwrap()
}

/// Code, and the last byte of the first address.
fn answer(director: &DirectorHandle, asked: &str) -> (u8, Option<u8>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.send_to(&query(7, asked, None), director.addresses()[0]).unwrap();
    let mut reply = [0; 1500];
    let (len, _) = socket.recv_from(&mut reply).unwrap();
    let question = 12 + asked.len() + 2 + 4;
    let last = reply[..len].get(question + 15).copied().filter(|_| reply[7] > 0);
    (reply[3] & 15, last)
}

fn members(zones: &[Arc<Zone>]) -> Contents {
    zones.iter().map(|zone| (zone.apex().clone(), Some(Arc::clone(zone)))).collect()
}

#[test]
fn a_catalog_takes_no_host_of_a_service_and_gives_none_other_addresses() {
    let director = start(&["example.com"]);
    let own = Arc::clone(&director.rebuilding().wanted.own);
    assert_eq!(answer(&director, "mail.b.example.com"), (0, Some(1)));
    let listed = members(&[
        content("b.example.com", "mail 60 A 192.0.2.66\n"),
        content("c.example.com", "www 60 A 192.0.2.3\n"),
        // The server's host lies in it, and is its business.
        content("other.example", "mail 60 A 192.0.2.77\n"),
        content("example.com", "mail.b 60 A 192.0.2.66\n"),
        content("com", "x 60 A 192.0.2.8\n"),
    ]);
    let taken = director.set_members(listed, &BTreeSet::new()).unwrap();
    let expected = ["com", "c.example.com", "other.example"].map(name);
    assert_eq!(taken, BTreeSet::from(expected));
    for (asked, last) in [
        ("mail.b.example.com", 1),
        ("www.c.example.com", 3),
        ("mail.other.example", 77),
        ("x.com", 8),
    ] {
        assert_eq!(answer(&director, asked), (0, Some(last)), "{asked}");
    }
    assert_eq!(director.unfit_services(), []);
    // Also when another content comes of them.
    director.replace_zone(content("other.example", "mail 60 A 192.0.2.78\n")).unwrap();
    assert_eq!(answer(&director, "mail.other.example"), (0, Some(78)));
    assert_eq!(director.unfit_services(), []);
    director.set_members(Contents::new(), &BTreeSet::new()).unwrap();
    assert_eq!(answer(&director, "mail.b.example.com"), (0, Some(1)));
    assert_eq!(answer(&director, "www.c.example.com").0, 3);
    assert_eq!(answer(&director, "mail.other.example").0, 5);
    // However many zones come and go, it is looked for once what lies in which.
    assert!(Arc::ptr_eq(&own, &director.rebuilding().wanted.own));
    director.shutdown();
}

#[test]
fn a_zone_that_was_reset_begins_anew_and_one_bad_content_costs_the_others_nothing() {
    let director = start(&["example.com"]);
    let none = BTreeSet::new();
    let one = content("one.example", "a 60 A 192.0.2.1\n");
    director.set_members(members(std::slice::from_ref(&one)), &none).unwrap();
    assert_eq!(answer(&director, "a.one.example"), (0, Some(1)));
    let empty = || Contents::from([(name("one.example"), None)]);
    director.set_members(empty(), &none).unwrap();
    assert_eq!(answer(&director, "a.one.example"), (0, Some(1)), "it keeps what it has");
    director.set_members(empty(), &BTreeSet::from([name("one.example")])).unwrap();
    assert_eq!(answer(&director, "a.one.example"), (2, None));
    director.replace_zone(one.clone()).unwrap();
    let two = content("two.example", "a 60 A 192.0.2.2\n");
    let mut more = members(&[bad_content("bad.example"), two]);
    more.insert(name("one.example"), None);
    let taken = director.set_members(more, &none).unwrap();
    assert_eq!(taken.len(), 3);
    assert_eq!(answer(&director, "a.one.example"), (0, Some(1)));
    assert_eq!(answer(&director, "a.two.example"), (0, Some(2)));
    assert_eq!(answer(&director, "a.bad.example"), (2, None), "it is to be transferred");
    director.shutdown();
}

#[test]
fn zones_of_catalogs_are_no_more_than_there_is_room_for_beside_the_others() {
    assert_eq!([0, ZONES_MAX - 3, ZONES_MAX, usize::MAX].map(members_max), [MEMBERS_MAX, 3, 0, 0]);
}

#[test]
fn a_host_is_in_the_deepest_zone_also_while_that_is_empty() {
    let director = start(&["example.com", "b.example.com"]);
    let held = |apex: &str| {
        let rebuilding = director.rebuilding();
        let zone = rebuilding.wanted.zones.iter().find(|zone| *zone.apex() == name(apex)).cloned();
        zone.map(|zone| zone.set(&name("mail.b.example.com"), record_type::A).is_some())
    };
    assert_eq!((held("example.com"), held("b.example.com")), (Some(false), Some(true)));
    director.empty_zone(&name("b.example.com")).unwrap();
    director.replace_zone(content("example.com", "www 60 A 192.0.2.9\n")).unwrap();
    assert_eq!((held("example.com"), held("b.example.com")), (Some(false), None));
    assert_eq!(answer(&director, "mail.b.example.com"), (2, None));
    director.replace_zone(content("b.example.com", "")).unwrap();
    assert_eq!((held("example.com"), held("b.example.com")), (Some(false), Some(true)));
    assert_eq!(answer(&director, "mail.b.example.com"), (0, Some(1)));
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    let own = Arc::clone(&director.rebuilding().wanted.own);
    assert_eq!(own.of(&name("b.example.com")).hosts[0].addresses, [address]);
    director.shutdown();
}
