//! A zone that comes signed from Knot, with ZONEMD, by TSIG: Walrus strips it and signs it anew with services in
//! it; without keys it refuses the services and serves the zone as it is signed. Unbound validates all of it,
//! also after the primary changed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::resolvers::{Finds, Resolver};
use super::validators::{ask, query};
use crate::programs::{Process, find, free_port, wait_for, wait_or_tell};
use crate::questions::ask_udp;
use crate::together;
use crate::walrus::{Node, Walrus, program};

const ZONE: &str = "signed.test";
const SERVICE: &str = "www.signed.test";

/// The secret of the key `transfer`.
const SECRET: &str = "d2FscnVzIGxhYiBzZWNyZXQgb2YgdHJhbnNmZXJzISE=";

/// The ways to deny existence: the primary's, and those of Walrus where it signs anew.
const DENIALS: [(Denial, &str); 2] = [(Denial::Nsec, "nsec3"), (Denial::Nsec3, "nsec")];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denial {
    Nsec,
    Nsec3,
}

/// Knot with a zone that it signs itself.
struct Primary {
    address: SocketAddr,
    folder: PathBuf,
    process: Process,
}

impl Primary {
    fn start(program: &Path, folder: &Path, denial: Denial, walrus: SocketAddr) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let address = free();
        let (ip, port, place) = (address.ip(), address.port(), folder.display());
        let (to_ip, to_port) = (walrus.ip(), walrus.port());
        let nsec3 = if denial == Denial::Nsec3 { "on" } else { "off" };
        let text = format!(
            "server:\n  rundir: \"{place}\"\n  listen: {ip}@{port}\n  udp-workers: 1\n  \
             tcp-workers: 1\n  background-workers: 1\ndatabase:\n  storage: \"{place}\"\n\
             log:\n  - target: stderr\n    any: info\n\
             control:\n  listen: \"{place}/control\"\n\
             key:\n  - id: transfer\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
             remote:\n  - id: walrus\n    address: {to_ip}@{to_port}\n    key: transfer\n\
             acl:\n  - id: walrus\n    address: 127.0.0.1\n    key: transfer\n    action: transfer\n\
             policy:\n  - id: lab\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n    \
             nsec3: {nsec3}\n\
             zone:\n  - domain: {ZONE}\n    file: \"{place}/zone\"\n    zonefile-sync: -1\n    \
             zonefile-load: difference-no-serial\n    journal-content: all\n    \
             dnssec-signing: on\n    dnssec-policy: lab\n    zonemd-generate: zonemd-sha384\n    \
             notify: walrus\n    acl: walrus\n"
        );
        let file = folder.join("knot.conf");
        std::fs::write(&file, text).unwrap();
        write_zone(folder, "static A 192.0.2.80\ngoes A 192.0.2.81\n");
        let process = Process::start(program, &["-c", file.to_str().unwrap()], &folder.join("log"));
        let mut primary = Self { address, folder: folder.to_owned(), process };
        wait_for("a zone that Knot has signed", || {
            primary.process.assert_running();
            let reply = ask_udp(address, &query(ZONE, "ZONEMD"))?;
            (reply[6..8] == [0, 2]).then_some(())
        });
        primary
    }

    /// Other records from now on, under the next serial.
    fn change(&self, records: &str) {
        // It compares the files' times in seconds.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        write_zone(&self.folder, records);
        self.process.signal("-HUP");
    }
}

fn write_zone(folder: &Path, records: &str) {
    let mut text = format!(
        "$ORIGIN {ZONE}.\n$TTL 300\n@ SOA ns host 1 7200 3600 1209600 300\n@ NS ns\nns A 127.0.0.1\n\
         alias CNAME static\nto-service CNAME www\n*.wild TXT \"any\"\na.b.ent TXT \"deep\"\n{records}"
    );
    // Much that stays, so that a difference is less than the zone.
    (0..100).for_each(|number| text.push_str(&format!("stays{number} A 192.0.2.99\n")));
    let [writing, file] = ["writing", "zone"].map(|name| folder.join(name));
    std::fs::write(&writing, text).unwrap();
    std::fs::rename(writing, file).unwrap();
}

fn free() -> SocketAddr {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    SocketAddr::new(ip, free_port(&[ip]))
}

/// Knot, Walrus that takes the zone from it, and where to find Unbound.
struct Scene {
    primary: Primary,
    walrus: Walrus,
    unbound: PathBuf,
    folder: TempDir,
}

impl Scene {
    /// `None` without the programs. `lines` are more of the [[zone]].
    fn start(what: &str, denial: Denial, lines: &str, end: &str) -> Option<Self> {
        let [knotd, unbound] = find(what, ["knotd", "unbound"])?;
        let folder = tempfile::tempdir().unwrap();
        let dns = free();
        let primary = Primary::start(&knotd, &folder.path().join("knot"), denial, dns);
        let place = folder.path().join("walrus");
        std::fs::create_dir_all(&place).unwrap();
        let key = place.join("key");
        std::fs::write(&key, SECRET).unwrap();
        let text = format!(
            "[[key]]\nname = \"transfer\"\nsecret_file = \"{}\"\n\
             [[zone]]\nname = \"{ZONE}\"\n{lines}\
             primaries = [{{ address = \"{}\", key = \"transfer\" }}]\n\
             [[cluster]]\nname = \"c\"\nservers = [{{ name = \"s1\", addresses = [\"192.0.2.1\"] }}]\n\
             [[service]]\nname = \"{SERVICE}\"\n{end}",
            key.display(),
            primary.address,
        );
        let node = Node { dns: Some(dns), ..Node::default() };
        let walrus = Walrus::start_node(&node, &place, &text);
        Some(Self { primary, walrus, unbound, folder })
    }

    /// A validator that asks Walrus and knows nothing yet but the keys that `anchor` shows.
    fn validator(&self, name: &str, anchor: SocketAddr) -> Resolver {
        let stubs = [(ZONE, self.walrus.dns)];
        let folder = self.folder.path().join(name);
        Resolver::unbound(&self.unbound, &folder, (ZONE, anchor), Finds::Told(&stubs))
    }

    /// Waits until Walrus gives this address at a name; `None` is a name that is not there.
    fn wait_for_address(&self, name: &str, address: Option<&str>) {
        let name = format!("{name}.{ZONE}");
        let shown = || {
            let reply = ask(self.walrus.dns, &name, "A");
            let is_right = match address {
                Some(address) => reply.data("A") == [address.to_owned()].into(),
                None => reply.rcode == "NXDOMAIN",
            };
            is_right.then_some(())
        };
        wait_or_tell(&format!("{address:?} at {name}"), shown, || {
            format!("{}\n{}", self.walrus.status(), self.walrus.said())
        });
    }

    /// What status says of the zone's transfers.
    fn transfers(&self) -> (u64, u64) {
        let zone = self.walrus.status()["zones"][0].clone();
        let number = |name: &str| zone[name].as_u64().unwrap_or_else(|| panic!("{name}: {zone}"));
        (number("whole"), number("differences"))
    }

    /// Whether `walrus check --strict` finds nothing, and what it says.
    fn check(&self) -> (bool, String) {
        let file = self.folder.path().join("walrus/walrus.toml");
        let output =
            Command::new(program()).args(["check", "--strict"]).arg(file).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The problem that a service has, as status tells it.
    fn refused(&self) -> Option<String> {
        let problems = self.walrus.status()["problems"].as_array().cloned().unwrap_or_default();
        problems.into_iter().find(|it| it["kind"] == "service").map(|it| it["text"].to_string())
    }
}

/// Names with an address each, `None` for those that are not there, and kinds without data: all of it secure.
fn all_is_secure(resolver: &Resolver, addresses: &[(&str, Option<&str>)]) {
    for (name, address) in addresses {
        let reply = resolver.ask(&format!("{name}.{ZONE}"), "A");
        let expected = match address {
            Some(address) => ("NOERROR", [(*address).to_owned()].into()),
            None => ("NXDOMAIN", [].into()),
        };
        let context = || format!("{name}: {reply:?}\n{}", resolver.said());
        assert_eq!((&*reply.rcode, reply.data("A")), expected, "{}", context());
        assert!(reply.secure, "{}", context());
    }
    for (name, record_type, count) in [
        (ZONE, "SOA", 1),
        (ZONE, "TXT", 0),
        ("static.signed.test", "TXT", 0),
        ("b.ent.signed.test", "A", 0),
        ("some.wild.signed.test", "TXT", 1),
        ("some.wild.signed.test", "A", 0),
    ] {
        let reply = resolver.ask(name, record_type);
        let context = || format!("{name} {record_type}: {reply:?}\n{}", resolver.said());
        assert_eq!((&*reply.rcode, reply.secure), ("NOERROR", true), "{}", context());
        assert_eq!(reply.data(record_type).len(), count, "{}", context());
    }
}

#[test]
fn a_zone_that_comes_signed_is_signed_anew_with_services_in_it() {
    let _together = together();
    for (theirs, ours) in DENIALS {
        let end = format!("[dnssec]\ndenial = \"{ours}\"\n");
        let lines = "dnssec = \"sign\"\n";
        let Some(scene) = Scene::start("a signed primary's zone", theirs, lines, &end) else {
            return;
        };
        let dns = scene.walrus.dns;
        scene.wait_for_address("static", Some("192.0.2.80"));
        scene.wait_for_address("www", Some("192.0.2.1"));
        // Nothing of what Knot signed is left.
        let keys = |server| ask(server, ZONE, "DNSKEY").data("DNSKEY");
        assert!(!keys(dns).is_empty() && keys(dns).is_disjoint(&keys(scene.primary.address)));
        for (record_type, is_there) in [("ZONEMD", false), ("NSEC3PARAM", ours == "nsec3")] {
            let shown = ask(dns, ZONE, record_type).data(record_type);
            assert_eq!(!shown.is_empty(), is_there, "{record_type}: {shown:?}");
        }
        let before = [
            ("static", Some("192.0.2.80")),
            ("goes", Some("192.0.2.81")),
            ("stays7", Some("192.0.2.99")),
            ("www", Some("192.0.2.1")),
            ("none", None),
            ("below.www", None),
        ];
        all_is_secure(&scene.validator("before", dns), &before);
        scene.primary.change("static A 192.0.2.82\ncomes A 192.0.2.83\n");
        scene.wait_for_address("comes", Some("192.0.2.83"));
        scene.wait_for_address("static", Some("192.0.2.82"));
        let after = [
            ("static", Some("192.0.2.82")),
            ("goes", None),
            ("comes", Some("192.0.2.83")),
            ("stays7", Some("192.0.2.99")),
            ("www", Some("192.0.2.1")),
            ("none", None),
        ];
        all_is_secure(&scene.validator("after", dns), &after);
        assert_eq!(scene.transfers(), (1, 1), "{theirs:?}: {}", scene.walrus.said());
        assert_eq!(scene.refused(), None, "{}", scene.walrus.status());
        let (is_good, complaint) = scene.check();
        assert!(is_good, "{complaint}");
        assert!(!scene.walrus.said().contains("left out"), "{}", scene.walrus.said());
        // What is not signed with these keys is not believed: the validator sees what is to be seen.
        let other = scene.validator("other", scene.primary.address);
        assert_eq!(other.ask("static.signed.test", "A").rcode, "SERVFAIL");
    }
}

#[test]
fn without_keys_a_signed_zone_stays_as_it_is_signed_and_its_services_are_refused() {
    let _together = together();
    for (denial, _) in DENIALS {
        let Some(scene) = Scene::start("a signed zone and no keys for it", denial, "", "") else {
            return;
        };
        let (dns, primary) = (scene.walrus.dns, scene.primary.address);
        scene.wait_for_address("static", Some("192.0.2.80"));
        let refused = || (ask(dns, SERVICE, "A").rcode == "REFUSED").then_some(());
        wait_or_tell("a refused service", refused, || scene.walrus.said());
        let told = scene.refused().unwrap_or_else(|| panic!("{}", scene.walrus.status()));
        assert!(told.contains("comes signed") && told.contains(SERVICE), "{told}");
        let said = scene.walrus.said();
        assert!(said.contains("comes signed"), "{said}");
        // As it is signed: all that Knot says, in the same bytes.
        for record_type in ["DNSKEY", "ZONEMD", "NSEC3PARAM", "SOA"] {
            let [ours, theirs] = [dns, primary].map(|it| ask(it, ZONE, record_type).answer);
            assert_eq!(ours, theirs, "{record_type}");
        }
        let before = [("static", Some("192.0.2.80")), ("goes", Some("192.0.2.81")), ("none", None)];
        all_is_secure(&scene.validator("before", primary), &before);
        scene.primary.change("static A 192.0.2.82\ncomes A 192.0.2.83\n");
        scene.wait_for_address("comes", Some("192.0.2.83"));
        scene.wait_for_address("goes", None);
        let after = [("static", Some("192.0.2.82")), ("comes", Some("192.0.2.83")), ("goes", None)];
        all_is_secure(&scene.validator("after", primary), &after);
        // An NSEC3 chain is taken as a whole.
        let expected = if denial == Denial::Nsec { (1, 1) } else { (2, 0) };
        assert_eq!(scene.transfers(), expected, "{denial:?}: {}", scene.walrus.said());
        assert!(scene.refused().is_some(), "{}", scene.walrus.status());
        let (is_good, complaint) = scene.check();
        assert!(!is_good && complaint.contains("comes signed"), "{complaint}");
    }
}
