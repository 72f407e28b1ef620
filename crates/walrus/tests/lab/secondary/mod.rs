//! Walrus as a secondary of Knot, NSD and BIND: whole zones, differences after a NOTIFY, keys that are
//! wrong, primaries that are gone or send garbage, and a restart from what was kept.

mod catalog;
mod garbage;
mod primaries;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::programs::{find, free_port, wait_for, wait_or_tell};
use crate::questions::ask_udp;
use crate::together;
use crate::walrus::{Node, Walrus};
use primaries::{Kind, PrimaryServer, SECRET, ZONE};

/// A zone with timers that only a NOTIFY is quicker than.
fn zone(serial: u32, records: &str) -> String {
    zone_with(serial, "7200 3600 1209600", records)
}

fn zone_with(serial: u32, timers: &str, records: &str) -> String {
    let mut text = format!(
        "$ORIGIN {ZONE}.\n$TTL 60\n@ SOA ns host {serial} {timers} 60\n@ NS ns\n\
         ns A 127.0.0.1\n{records}"
    );
    // Much that stays, so that a difference is less than the zone.
    (0..200).for_each(|number| text.push_str(&format!("stays{number} A 192.0.2.99\n")));
    text
}

fn configuration(folder: &Path, primaries: &[SocketAddr], key: &str, more: &str) -> String {
    let file = folder.join("key");
    std::fs::write(&file, key).unwrap();
    let one = |address: &SocketAddr| format!("{{ address = \"{address}\", key = \"transfer\" }}");
    let primaries: Vec<String> = primaries.iter().map(one).collect();
    format!(
        "[[key]]\nname = \"transfer\"\nsecret_file = \"{}\"\n\
         [[zone]]\nname = \"{ZONE}\"\nprimaries = [{}]\n{more}\
         [[cluster]]\nname = \"c\"\nservers = [{{ name = \"s1\", addresses = [\"192.0.2.80\"] }}]\n\
         [[service]]\nname = \"www.{ZONE}\"\nttl = \"5s\"\n",
        file.display(),
        primaries.join(", ")
    )
}

/// A question without EDNS.
fn query(name: &str, record_type: u8) -> Vec<u8> {
    let mut query = vec![7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, record_type, 0, 1]);
    query
}

fn free() -> SocketAddr {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    SocketAddr::new(ip, free_port(&[ip]))
}

fn start(folder: &Path, dns: SocketAddr, configuration: &str) -> Walrus {
    let node = Node { dns: Some(dns), ..Node::default() };
    Walrus::start_node(&node, folder, configuration)
}

/// Code and answers (the last byte of each address) of a name's A records.
fn answer(dns: SocketAddr, name: &str) -> Option<(u8, Vec<u8>)> {
    let reply = ask_udp(dns, &query(&format!("{name}.{ZONE}"), 1))?;
    let count = usize::from(reply[7]);
    // Each answer is a pointer to the question and an address: 16 bytes.
    let begin = 12 + format!("{name}.{ZONE}").len() + 2 + 4;
    let last = |number: usize| reply.get(begin + 16 * number + 15).copied();
    Some((reply[3] & 15, (0..count).filter_map(last).collect()))
}

fn wait_until(walrus: &Walrus, name: &str, expected: (u8, &[u8])) {
    wait_or_tell(
        &format!("{name} with {expected:?}"),
        || answer(walrus.dns, name).filter(|(code, it)| (*code, &**it) == expected),
        || format!("{:?}\n{}\n{}", answer(walrus.dns, name), walrus.status(), walrus.said()),
    );
}

struct Scene {
    folder: TempDir,
    kind: Kind,
    program: PathBuf,
}

impl Scene {
    fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn primary(&self, zone: &str, secondary: SocketAddr) -> PrimaryServer {
        let place = self.path("primary");
        PrimaryServer::start((self.kind, &self.program), &place, zone, secondary)
    }
}

/// For each primary that is installed.
fn with_each(what: &str, test: impl Fn(&Scene)) {
    for (kind, program) in Kind::ALL {
        let Some([program]) = find(&format!("{what} with {program}"), [program]) else { continue };
        let folder = tempfile::tempdir().unwrap();
        test(&Scene { folder, kind, program });
    }
}

#[test]
fn a_zone_comes_whole_and_then_its_changes_after_a_notify() {
    let _together = together();
    with_each("a zone from another primary", |scene| {
        let dns = free();
        let primary = scene.primary(&zone(1, "a A 192.0.2.1\ngoes A 192.0.2.9\n"), dns);
        let folder = scene.path("walrus");
        let text = configuration(&folder, &[primary.address], SECRET, "");
        let walrus = start(&folder, dns, &text);
        wait_until(&walrus, "a", (0, &[1]));
        wait_until(&walrus, "www", (0, &[80]));
        assert_eq!(answer(dns, "none"), Some((3, vec![])));
        primary.change(&zone(2, "a A 192.0.2.2\nnew A 192.0.2.3\n"));
        wait_until(&walrus, "new", (0, &[3]));
        wait_until(&walrus, "a", (0, &[2]));
        assert_eq!(answer(dns, "goes"), Some((3, vec![])));
        assert_eq!(answer(dns, "stays7"), Some((0, vec![99])));
        let zone = wait_for("the new serial told of", || {
            Some(walrus.status()["zones"][0].clone()).filter(|zone| zone["serial"] == 2)
        });
        assert_eq!(zone["state"], "served", "{zone}");
        assert_eq!(zone["whole"], 1, "{zone}");
        assert_eq!(zone["differences"], 1, "{:?}: {zone}\n{}", scene.kind, walrus.said());
        assert!(zone["notifies"].as_u64() >= Some(1) && zone["problem"].is_null(), "{zone}");
    });
}

#[test]
fn a_wrong_key_is_told_of_and_the_right_one_helps_at_once() {
    let _together = together();
    with_each("a wrong key of a transfer", |scene| {
        let dns = free();
        let primary = scene.primary(&zone(1, "a A 192.0.2.1\n"), dns);
        let folder = scene.path("walrus");
        let wrong = "bm90IHRoZSBzZWNyZXQgb2YgdGhlIHRyYW5zZmVyISE=";
        let text = configuration(&folder, &[primary.address], wrong, "");
        let walrus = start(&folder, dns, &text);
        let problem = || walrus.status()["zones"][0]["problem"].as_str().map(ToOwned::to_owned);
        wait_or_tell("a problem", problem, || walrus.said());
        wait_until(&walrus, "a", (2, &[]));
        // Read anew at each attempt.
        std::fs::write(folder.join("key"), SECRET).unwrap();
        wait_until(&walrus, "a", (0, &[1]));
        wait_for("the problem's end", || problem().is_none().then_some(()));
    });
}

#[test]
fn a_restart_serves_what_was_kept_while_the_primary_is_gone() {
    let _together = together();
    with_each("a restart without a primary", |scene| {
        let dns = free();
        let mut primary = scene.primary(&zone(1, "a A 192.0.2.1\n"), dns);
        let folder = scene.path("walrus");
        let silent = free();
        // The first one of them is never there.
        let text = configuration(&folder, &[silent, primary.address], SECRET, "");
        let mut walrus = start(&folder, dns, &text);
        wait_until(&walrus, "a", (0, &[1]));
        primary.process.kill();
        walrus.stop();
        let walrus = start(&folder, dns, &text);
        assert_eq!(answer(dns, "a"), Some((0, vec![1])), "at once");
        wait_until(&walrus, "www", (0, &[80]));
        let told = || walrus.status()["zones"][0]["problem"].as_str().map(drop);
        wait_for("the primary's absence told of", told);
        assert_eq!(walrus.status()["zones"][0]["state"], "served");
        primary.restart();
    });
}

#[test]
fn a_zone_that_nobody_confirms_expires_and_comes_back() {
    let _together = together();
    let Some([knotd]) = find("a zone that expires", ["knotd"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene { folder, kind: Kind::Knot, program: knotd };
    let dns = free();
    let mut primary = scene.primary(&zone_with(1, "1 1 4", "a A 192.0.2.1\n"), dns);
    let folder = scene.path("walrus");
    let text = configuration(&folder, &[primary.address], SECRET, "");
    let mut walrus = start(&folder, dns, &text);
    wait_until(&walrus, "a", (0, &[1]));
    primary.process.kill();
    wait_until(&walrus, "a", (2, &[]));
    wait_until(&walrus, "www", (2, &[]));
    assert_eq!(walrus.status()["zones"][0]["state"], "expired");
    // What is too old is not served after a restart either.
    walrus.stop();
    let walrus = start(&folder, dns, &text);
    assert_eq!(answer(dns, "a"), Some((2, vec![])));
    primary.restart();
    wait_until(&walrus, "a", (0, &[1]));
    wait_until(&walrus, "www", (0, &[80]));
}

#[test]
fn a_service_that_the_primary_puts_an_alias_over_is_refused_and_the_zone_goes_on() {
    let _together = together();
    let Some([knotd]) = find("a service that does not fit", ["knotd"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene { folder, kind: Kind::Knot, program: knotd };
    let dns = free();
    let primary = scene.primary(&zone(1, "a A 192.0.2.1\n"), dns);
    let folder = scene.path("walrus");
    let text = configuration(&folder, &[primary.address], SECRET, "");
    let mut walrus = start(&folder, dns, &text);
    wait_until(&walrus, "a", (0, &[1]));
    wait_until(&walrus, "www", (0, &[80]));
    primary.change(&zone(2, "a A 192.0.2.2\nwww CNAME a\n"));
    wait_until(&walrus, "a", (0, &[2]));
    wait_until(&walrus, "www", (5, &[]));
    let told = |walrus: &Walrus| {
        let problems = walrus.status()["problems"].as_array().cloned().unwrap_or_default();
        problems.into_iter().find(|it| it["kind"] == "service").map(|it| it["text"].to_string())
    };
    assert!(
        told(&walrus).is_some_and(|text| text.contains("alias (CNAME)")),
        "{}",
        walrus.status()
    );
    assert_eq!(walrus.status()["zones"][0]["state"], "served");
    // What was kept does not fit either, and keeps nobody from starting.
    walrus.stop();
    let walrus = start(&folder, dns, &text);
    assert_eq!(answer(dns, "a"), Some((0, vec![2])), "at once");
    wait_until(&walrus, "www", (5, &[]));
    primary.change(&zone(3, "a A 192.0.2.3\n"));
    wait_until(&walrus, "www", (0, &[80]));
    wait_for("no problem", || told(&walrus).is_none().then_some(()));
}
