//! Knot, NSD and BIND as secondaries of Walrus: they serve the zone with its services, follow a drained server by
//! NOTIFY and IXFR, get nothing with a wrong secret, and see no serial go back when Walrus is restarted.

mod secondaries;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::programs::{find, free_port, wait_or_tell};
use crate::questions::ask_udp;
use crate::together;
use crate::walrus::{Node, Walrus};
use secondaries::{Kind, SECRET, SecondaryServer, ZONE};

/// With two servers of one service, to be sent to whoever has the key.
fn configuration(folder: &Path, secondary: SocketAddr) -> String {
    let (key, zone) = (folder.join("key"), folder.join("zone"));
    std::fs::write(&key, SECRET).unwrap();
    let mut text = format!(
        "$ORIGIN {ZONE}.\n$TTL 60\n@ SOA ns host 5 7200 3600 1209600 60\n@ NS ns\nns A 127.0.0.1\n\
         static A 192.0.2.7\n"
    );
    // Much that stays, so that a difference is less than the zone.
    (0..200).for_each(|number| text.push_str(&format!("stays{number} A 192.0.2.99\n")));
    std::fs::write(&zone, text).unwrap();
    format!(
        "[[key]]\nname = \"transfer\"\nsecret_file = \"{}\"\n\
         [[zone]]\nname = \"{ZONE}\"\nfile = \"{}\"\n\
         transfer_to = [{{ from = \"127.0.0.0/8\", key = \"transfer\" }}]\n\
         notify = [{{ address = \"{secondary}\", key = \"transfer\" }}]\n\
         [[cluster]]\nname = \"c\"\nservers = [\n\
         {{ name = \"s1\", addresses = [\"192.0.2.81\"] }},\n\
         {{ name = \"s2\", addresses = [\"192.0.2.82\"] }},\n]\n\
         [[service]]\nname = \"www.{ZONE}\"\nttl = \"5s\"\n",
        key.display(),
        zone.display()
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

/// The last bytes of a name's addresses, sorted.
fn addresses(server: SocketAddr, name: &str) -> Option<Vec<u8>> {
    let name = format!("{name}.{ZONE}");
    let reply = ask_udp(server, &query(&name, 1)).filter(|reply| reply[3] & 15 == 0)?;
    // Each answer is a pointer to the question and an address: 16 bytes.
    let begin = 12 + name.len() + 2 + 4;
    let last = |number: usize| reply.get(begin + 16 * number + 15).copied();
    let mut all: Vec<u8> = (0..usize::from(reply[7])).filter_map(last).collect();
    all.sort_unstable();
    Some(all)
}

/// The serial of the zone; its SOA record's data ends in five numbers.
fn serial(server: SocketAddr) -> Option<u32> {
    let reply = ask_udp(server, &query(ZONE, 6)).filter(|reply| reply[7] == 1)?;
    // What follows in the authority section is cut off by the length of the record.
    let at = 12 + ZONE.len() + 2 + 4 + 10;
    let length = usize::from(u16::from_be_bytes([*reply.get(at)?, *reply.get(at + 1)?]));
    let data = reply.get(at + 2..at + 2 + length)?;
    Some(u32::from_be_bytes(*data.last_chunk::<20>()?.first_chunk()?))
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
}

fn free() -> SocketAddr {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    SocketAddr::new(ip, free_port(&[ip]))
}

/// For each secondary that is installed.
fn with_each(what: &str, test: impl Fn(&Scene)) {
    for (kind, program) in Kind::ALL {
        let Some([program]) = find(&format!("{what} with {program}"), [program]) else { continue };
        let folder = tempfile::tempdir().unwrap();
        test(&Scene { folder, kind, program });
    }
}

fn start(folder: &Path, dns: SocketAddr, configuration: &str) -> Walrus {
    let node = Node { dns: Some(dns), ..Node::default() };
    Walrus::start_node(&node, folder, configuration)
}

/// What status says of the one secondary.
fn shown(walrus: &Walrus) -> serde_json::Value {
    let (_, said) = walrus.call(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
    status["transferred_zones"][0]["secondaries"][0].clone()
}

#[test]
fn secondaries_follow_services_by_notify_and_differences() {
    let _together = together();
    with_each("a zone for another name server", |scene| {
        let (dns, to) = (free(), free());
        let folder = scene.path("walrus");
        let text = configuration(&folder, to);
        let mut walrus = start(&folder, dns, &text);
        let place = scene.path("secondary");
        let secondary =
            SecondaryServer::start((scene.kind, &scene.program), &place, to, dns, SECRET);
        let tell = || format!("{:?}\n{}\n{}", scene.kind, walrus.said(), secondary.process.said());
        let has = |expected: &'static [u8]| {
            move || addresses(to, "www").filter(|it| it == expected).map(drop)
        };
        wait_or_tell("both servers at the secondary", has(&[81, 82]), tell);
        assert_eq!(addresses(to, "static"), Some(vec![7]));
        let first = serial(to);
        assert!(first.is_some() && first == serial(dns), "{first:?} {:?}", serial(dns));
        let (code, said) = walrus.call(&["drain", "s1"]);
        assert_eq!(code, Some(0), "{said}");
        wait_or_tell("the drain at the secondary", has(&[82]), tell);
        let second = serial(to);
        assert!(second > first && second == serial(dns), "{second:?} {:?}", serial(dns));
        let by_differences = || walrus.said().contains("from=").then_some(());
        wait_or_tell("a transfer of differences", by_differences, tell);
        assert_eq!(addresses(to, "stays7"), Some(vec![99]));
        let has_it = || {
            let shown = shown(&walrus);
            assert_eq!(shown["address"], "127.0.0.1", "{shown}");
            let serials = [&shown["serial"], &shown["acknowledged"]];
            let is_all = serials.iter().all(|serial| serial.as_u64() == second.map(u64::from));
            (is_all && shown["notify"] == "acknowledged").then_some(())
        };
        wait_or_tell("what status says of the secondary", has_it, tell);
        let (_, table) = walrus.call(&["status"]);
        assert!(table.contains("SENT ZONE") && table.contains("acknowledged"), "{table}");
        walrus.stop();
        let walrus = start(&folder, dns, &text);
        let again = serial(dns);
        assert!(again >= second, "{again:?} after {second:?}: {}", walrus.said());
    });
}

#[test]
fn a_secondary_with_a_wrong_secret_gets_nothing_and_walrus_tells_why() {
    let _together = together();
    with_each("a wrong secret of a transfer out", |scene| {
        let (dns, to) = (free(), free());
        let folder = scene.path("walrus");
        let walrus = start(&folder, dns, &configuration(&folder, to));
        let place = scene.path("secondary");
        let wrong = "bm90IHRoZSBzZWNyZXQgb2YgdGhlIHRyYW5zZmVyISE=";
        let secondary =
            SecondaryServer::start((scene.kind, &scene.program), &place, to, dns, wrong);
        let told = || walrus.said().contains("BADSIG").then_some(());
        let tell = || format!("{:?}\n{}\n{}", scene.kind, walrus.said(), secondary.process.said());
        wait_or_tell("a refused signature", told, tell);
        assert_eq!(addresses(to, "static"), None);
    });
}
