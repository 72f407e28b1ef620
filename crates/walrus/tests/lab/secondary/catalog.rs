//! Zones that a catalog lists (RFC 9432): one that Knot makes, and one that is broken.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::primaries::{Kind, PrimaryServer, SECRET, ZONE};
use super::{free, query, start};
use crate::programs::{Process, find, wait_for, wait_or_tell};
use crate::questions::{ask_tcp, ask_udp};
use crate::together;
use crate::walrus::Walrus;

const CATALOG: &str = "catalog.example";

/// A node with a zone and a service of its own beside a catalog.
fn configuration(folder: &Path, catalog: &str, primary: SocketAddr) -> String {
    let key = folder.join("key");
    std::fs::write(&key, SECRET).unwrap();
    format!(
        "[[key]]\nname = \"transfer\"\nsecret_file = \"{}\"\n\
         [[catalog]]\nname = \"{catalog}\"\n\
         primaries = [{{ address = \"{primary}\", key = \"transfer\" }}]\n\
         [[zone]]\nname = \"own.example\"\nnameservers = [\"ns.example.net\"]\n\
         [[cluster]]\nname = \"c\"\nservers = [{{ name = \"s1\", addresses = [\"192.0.2.80\"] }}]\n\
         [[service]]\nname = \"www.own.example\"\nttl = \"5s\"\n",
        key.display()
    )
}

/// Code and the last byte of the first address.
fn answer(dns: SocketAddr, name: &str) -> Option<(u8, Option<u8>)> {
    let reply = ask_udp(dns, &query(name, 1))?;
    let last = reply.get(12 + name.len() + 2 + 4 + 15).copied().filter(|_| reply[7] > 0);
    Some((reply[3] & 15, last))
}

fn wait_until(walrus: &Walrus, name: &str, expected: (u8, Option<u8>)) {
    wait_or_tell(
        &format!("{name} with {expected:?}"),
        || answer(walrus.dns, name).filter(|it| *it == expected).map(drop),
        || format!("{:?}\n{}\n{}", answer(walrus.dns, name), walrus.status(), walrus.said()),
    );
}

/// What the status says of a zone.
fn zone(walrus: &Walrus, name: &str) -> Option<serde_json::Value> {
    let zones = walrus.status()["zones"].as_array().cloned().unwrap_or_default();
    zones.into_iter().find(|zone| zone["zone"] == name)
}

/// Knot with these zones, which it lists in a catalog.
fn knot(folder: &Path, address: SocketAddr, secondary: SocketAddr, zones: &[(&str, u8)]) {
    let place = folder.display();
    let mut text = format!(
        "server:\n  rundir: \"{place}\"\n  listen: {}@{}\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 1\n\
         database:\n  storage: \"{place}\"\n\
         log:\n  - target: stderr\n    any: info\n\
         control:\n  listen: \"{place}/control\"\n\
         key:\n  - id: transfer\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
         remote:\n  - id: walrus\n    address: {}@{}\n    key: transfer\n\
         acl:\n  - id: walrus\n    address: 127.0.0.1\n    key: transfer\n    action: transfer\n\
         zone:\n  - domain: {CATALOG}\n    storage: \"{place}\"\n    catalog-role: generate\n    \
         notify: walrus\n    acl: walrus\n",
        address.ip(),
        address.port(),
        secondary.ip(),
        secondary.port()
    );
    for (zone, last) in zones {
        let content = format!(
            "$ORIGIN {zone}.\n$TTL 60\n@ SOA ns host 1 7200 3600 1209600 60\n@ NS ns\n\
             ns A 127.0.0.1\na A 192.0.2.{last}\n"
        );
        std::fs::write(folder.join(zone), content).unwrap();
        let _ = write!(
            text,
            "  - domain: {zone}\n    file: \"{place}/{zone}\"\n    zonefile-sync: -1\n    \
             catalog-role: member\n    catalog-zone: {CATALOG}\n    notify: walrus\n    acl: walrus\n"
        );
    }
    std::fs::write(folder.join("configuration"), text).unwrap();
}

#[test]
fn zones_that_a_catalog_lists_come_and_go_and_outlast_a_restart() {
    let _together = together();
    let Some([knotd]) = find("a catalog of Knot", ["knotd"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let [its, ours] = ["knot", "walrus"].map(|name| folder.path().join(name));
    [&its, &ours].iter().for_each(|path| std::fs::create_dir_all(path).unwrap());
    let (address, dns) = (free(), free());
    knot(&its, address, dns, &[("one.example", 1), ("two.example", 2)]);
    let arguments = ["-c", &its.join("configuration").display().to_string()];
    let mut process = Process::start(&knotd, &arguments, &its.join("log"));
    let soa = query("one.example", 6);
    wait_for("Knot", || ask_tcp(address, &soa).filter(|reply| reply[6..8] == [0, 1]));
    let text = configuration(&ours, CATALOG, address);
    let mut walrus = start(&ours, dns, &text);
    for (name, last) in [("a.one.example", 1), ("a.two.example", 2), ("www.own.example", 80)] {
        wait_until(&walrus, name, (0, Some(last)));
    }
    // Whom it lists is nobody's business.
    assert_eq!(ask_udp(dns, &query(CATALOG, 6)).unwrap()[3] & 15, 5);
    let catalog = zone(&walrus, CATALOG).unwrap();
    assert_eq!(
        (&catalog["state"], &catalog["members"]),
        (&"catalog".into(), &2.into()),
        "{catalog}"
    );
    assert_eq!(zone(&walrus, "one.example").unwrap()["catalog"], CATALOG);
    // A reload leaves them.
    walrus.reload(&text);
    assert_eq!(answer(dns, "a.one.example"), Some((0, Some(1))));
    knot(&its, address, dns, &[("two.example", 2), ("three.example", 3)]);
    process.signal("-HUP");
    wait_until(&walrus, "a.three.example", (0, Some(3)));
    wait_until(&walrus, "a.one.example", (5, None));
    wait_for("no trace of it", || zone(&walrus, "one.example").is_none().then_some(()));
    assert_eq!(answer(dns, "a.two.example"), Some((0, Some(2))));
    process.kill();
    walrus.stop();
    let walrus = start(&ours, dns, &text);
    for (name, last) in [("a.two.example", 2), ("a.three.example", 3)] {
        wait_until(&walrus, name, (0, Some(last)));
    }
    assert_eq!(answer(dns, "a.one.example"), Some((5, None)));
}

#[test]
fn a_broken_catalog_leaves_its_members_and_none_takes_what_is_configured() {
    let _together = together();
    let Some([knotd]) = find("a broken catalog", ["knotd"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let [its, ours] = ["knot", "walrus"].map(|name| folder.path().join(name));
    [&its, &ours].iter().for_each(|path| std::fs::create_dir_all(path).unwrap());
    let dns = free();
    let list = |serial: u32, body: &str| {
        format!(
            "$ORIGIN {ZONE}.\n$TTL 0\n@ SOA invalid. invalid. {serial} 7200 3600 1209600 60\n\
             @ NS invalid.\n{body}"
        )
    };
    let good = "version TXT 2\na.zones PTR one.example.\nb.zones PTR www.own.example.\n\
                c.zones PTR own.example.\n";
    let primary = PrimaryServer::start((Kind::Knot, &knotd), &its, &list(1, good), dns);
    let text = configuration(&ours, ZONE, primary.address);
    let walrus = start(&ours, dns, &text);
    let problem = |word: &str| {
        let told = || zone(&walrus, ZONE).and_then(|it| it["problem"].as_str().map(str::to_owned));
        wait_or_tell(word, || told().filter(|it| it.contains(word)), || walrus.said());
    };
    // It is here, and has not come: its primary does not serve it.
    wait_until(&walrus, "a.one.example", (2, None));
    problem("2 of the zones that it lists are not taken");
    wait_until(&walrus, "www.own.example", (0, Some(80)));
    primary.change(&list(2, "version TXT 3\nd.zones PTR two.example.\n"));
    problem("the catalog is broken");
    assert_eq!(answer(dns, "a.one.example"), Some((2, None)));
    assert_eq!(answer(dns, "a.two.example"), Some((5, None)));
    primary.change(&list(3, "version TXT 2\nd.zones PTR two.example.\n"));
    wait_until(&walrus, "a.two.example", (2, None));
    wait_until(&walrus, "a.one.example", (5, None));
}
