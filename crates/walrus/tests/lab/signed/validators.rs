//! Validators that others wrote: `delv`, which asks anew each time, and Unbound, which remembers.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use domain::base::iana::Rtype;
use domain::base::{Message, MessageBuilder, Name, ParsedRecord};
use domain::rdata::AllRecordData;

use crate::programs::{PATIENCE, Process, free_port, wait_for};
use crate::questions::{ask_tcp, ask_udp};

/// On loopback, and with a validator's own queries behind it.
const REPLY_WITHIN: Duration = Duration::from_secs(5);

/// A query with DO, as validators send it.
pub(super) fn query(name: &str, record_type: &str) -> Vec<u8> {
    let name: Name<Vec<u8>> = Name::vec_from_str(name).unwrap();
    let record_type: Rtype = record_type.parse().unwrap();
    let mut builder = MessageBuilder::new_vec().question();
    builder.header_mut().set_id(0x1ab5);
    builder.header_mut().set_rd(true);
    builder.push((name, record_type)).unwrap();
    let mut builder = builder.additional();
    let opt = builder.opt(|opt| {
        opt.set_udp_payload_size(1232);
        opt.set_dnssec_ok(true);
        Ok(())
    });
    opt.unwrap();
    builder.finish()
}

/// A reply, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) rcode: String,
    /// The AD flag: whoever sent it has validated it.
    pub(super) secure: bool,
    /// Lines `owner type data`: their order says nothing.
    pub(super) answer: BTreeSet<String>,
    pub(super) authority: BTreeSet<String>,
}

impl Reply {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let message = Message::from_octets(bytes).expect("a message");
        let (_, answer, authority, _) = message.sections().expect("four sections");
        Self {
            rcode: message.opt_rcode().to_string(),
            secure: message.header().ad(),
            answer: lines(answer),
            authority: lines(authority),
        }
    }

    /// The data of the answer's records of one type.
    pub(super) fn data(&self, record_type: &str) -> BTreeSet<String> {
        let parts = self.answer.iter().map(|line| line.splitn(3, ' ').collect::<Vec<_>>());
        let of_type = parts.filter(|parts| parts[1] == record_type);
        of_type.map(|parts| parts[2].to_owned()).collect()
    }
}

fn lines<'a>(
    records: impl Iterator<Item = Result<ParsedRecord<'a, &'a [u8]>, impl fmt::Debug>>,
) -> BTreeSet<String> {
    let records = records.map(|record| {
        let record = record.expect("a whole record");
        let record = record.to_any_record::<AllRecordData<_, _>>().expect("its data");
        let owner = record.owner().to_string().to_lowercase();
        format!("{owner} {} {}", record.rtype(), record.data())
    });
    records.collect()
}

/// Asks a name server, by TCP if UDP does not hold it.
pub(super) fn ask(server: SocketAddr, name: &str, record_type: &str) -> Reply {
    Reply::read(&ask_bytes(server, name, record_type))
}

pub(super) fn ask_bytes(server: SocketAddr, name: &str, record_type: &str) -> Vec<u8> {
    let query = query(name, record_type);
    let reply = ask_udp(server, &query).or_else(|| ask_udp(server, &query));
    let reply = reply.unwrap_or_else(|| panic!("{server} does not answer {name} {record_type}"));
    let is_truncated = reply[2] & 2 != 0;
    if is_truncated { ask_tcp(server, &query).expect("a reply by TCP") } else { reply }
}

/// BIND's `delv`, with a zone's key as its only trust anchor.
pub(super) struct Delv<'a> {
    pub(super) program: &'a Path,
    pub(super) zone: &'a str,
    /// A file with [`anchors`].
    pub(super) anchor: &'a Path,
}

impl Delv<'_> {
    /// What it thinks of the answer, its first line, and all that it said.
    pub(super) fn judge(&self, server: SocketAddr, name: &str, record_type: &str) -> Judgement {
        let output = Command::new(self.program)
            .arg(format!("@{}", server.ip()))
            .args(["-p", &server.port().to_string(), "-a", self.anchor.to_str().unwrap()])
            .args([&format!("+root={}", self.zone), name, record_type])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        let first = said.lines().next().unwrap_or_default().to_owned();
        Judgement { first, said: format!("{said}{complaint}") }
    }
}

/// What `delv` says.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) first: String,
    pub(super) said: String,
}

impl Judgement {
    pub(super) fn is_valid_answer(&self) -> bool {
        self.first == "; fully validated"
    }

    pub(super) fn is_valid_denial(&self) -> bool {
        self.first == "; negative response, fully validated"
    }
}

/// A trust anchor in BIND's form for each key that a server shows for a zone.
pub(super) fn anchors(server: SocketAddr, zone: &str) -> String {
    let keys = ask(server, zone, "DNSKEY").data("DNSKEY");
    let lines = keys.iter().map(|key| {
        let [flags, protocol, algorithm, public] = words(key);
        format!(" \"{zone}\" static-key {flags} {protocol} {algorithm} \"{public}\";\n")
    });
    format!("trust-anchors {{\n{}}};\n", lines.collect::<String>())
}

/// The first four words.
fn words(text: &str) -> [&str; 4] {
    let words: Vec<&str> = text.splitn(4, ' ').collect();
    words.try_into().expect("four words")
}

/// Unbound, with one zone's keys as its trust anchors and a name server for each of some zones.
pub(super) struct Unbound {
    process: Process,
    socket: UdpSocket,
}

impl Unbound {
    pub(super) fn start(
        program: &Path,
        folder: &Path,
        anchor: (&str, SocketAddr),
        stubs: &[(&str, SocketAddr)],
    ) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let address = SocketAddr::new(ip, free_port(&[ip]));
        let (place, port) = (folder.display(), address.port());
        let (zone, server) = anchor;
        let mut text = format!(
            "server:\n directory: \"{place}\"\n chroot: \"\"\n username: \"\"\n\
             pidfile: \"{place}/unbound.pid\"\n use-syslog: no\n logfile: \"\"\n num-threads: 1\n\
             interface: {ip}@{port}\n do-not-query-localhost: no\n do-daemonize: no\n\
             local-zone: \"test.\" nodefault\n\
             module-config: \"validator iterator\"\n val-permissive-mode: no\n val-log-level: 2\n\
             aggressive-nsec: yes\n qname-minimisation: no\n"
        );
        for key in ask(server, zone, "DNSKEY").data("DNSKEY") {
            text.push_str(&format!(" trust-anchor: \"{zone} DNSKEY {key}\"\n"));
        }
        text.push_str("remote-control:\n control-enable: no\n");
        for (zone, server) in stubs {
            let (ip, port) = (server.ip(), server.port());
            text.push_str(&format!("stub-zone:\n name: \"{zone}\"\n stub-addr: {ip}@{port}\n"));
        }
        let file = folder.join("unbound.conf");
        std::fs::write(&file, text).unwrap();
        let arguments = ["-d", "-p", "-c", file.to_str().unwrap()];
        let mut process = Process::start(program, &arguments, &folder.join("unbound.log"));
        // Of no use to anybody but to see that it answers: a header alone is a format error.
        wait_for("unbound", || {
            process.assert_running();
            ask_udp(address, &[0x1a, 0xb5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        });
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(address).unwrap();
        socket.set_read_timeout(Some(REPLY_WITHIN)).unwrap();
        Self { process, socket }
    }

    pub(super) fn ask(&self, name: &str, record_type: &str) -> Reply {
        self.socket.send(&query(name, record_type)).unwrap();
        let mut reply = [0; 4096];
        let len = self.socket.recv(&mut reply).unwrap_or_else(|error| {
            panic!("{name} {record_type}: {error}\n{}", self.process.said())
        });
        Reply::read(&reply[..len])
    }

    /// What it says of answers that it does not believe.
    pub(super) fn said(&self) -> String {
        self.process.said()
    }
}

/// Knot, which signs its zones itself, one key each, and shows at once which DS it wants.
pub(super) struct Knot {
    pub(super) address: SocketAddr,
    folder: PathBuf,
    process: Process,
    serial: u32,
}

impl Knot {
    /// Zones, their records but for the SOA, and whether they are signed.
    pub(super) fn start(program: &Path, folder: &Path, zones: &[(&str, &str, bool)]) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let address = SocketAddr::new(ip, free_port(&[ip]));
        let (place, port) = (folder.display(), address.port());
        let mut text = format!(
            "server:\n  rundir: \"{place}\"\n  listen: {ip}@{port}\n  udp-workers: 1\n  \
             tcp-workers: 1\n  background-workers: 1\ndatabase:\n  storage: \"{place}\"\n\
             log:\n  - target: stderr\n    any: warning\n\
             policy:\n  - id: lab\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n    \
             cds-cdnskey-publish: always\n    dnskey-ttl: 1\n    zone-max-ttl: 1\nzone:\n"
        );
        for (zone, _, is_signed) in zones {
            let sign = if *is_signed { "on" } else { "off" };
            text.push_str(&format!(
                "  - domain: {zone}\n    file: \"{place}/{zone}\"\n    zonefile-sync: -1\n    \
                 zonefile-load: whole\n    journal-content: none\n    dnssec-signing: {sign}\n    \
                 dnssec-policy: lab\n"
            ));
        }
        let file = folder.join("knot.conf");
        std::fs::write(&file, text).unwrap();
        for (zone, records, _) in zones {
            write_zone(folder, zone, 1000, records);
        }
        let arguments = ["-c", file.to_str().unwrap()];
        let mut process = Process::start(program, &arguments, &folder.join("log"));
        for (zone, _, is_signed) in zones {
            let record_type = if *is_signed { "CDS" } else { "SOA" };
            wait_for(&format!("knot with {zone}"), || {
                process.assert_running();
                let reply = Reply::read(&ask_udp(address, &query(zone, record_type))?);
                (!reply.data(record_type).is_empty()).then_some(())
            });
        }
        Self { address, folder: folder.to_owned(), process, serial: 1000 }
    }

    /// The DS data that a zone wants at its parent.
    pub(super) fn wanted_ds(&self, zone: &str) -> BTreeSet<String> {
        ask(self.address, zone, "CDS").data("CDS")
    }

    /// Other records for a zone from now on; returns when `shown` is what is answered.
    pub(super) fn change(&mut self, zone: &str, records: &str, shown: (&str, &BTreeSet<String>)) {
        // Beyond what it made of the last one while it signed.
        self.serial += 1000;
        write_zone(&self.folder, zone, self.serial, records);
        self.process.signal("-HUP");
        let wanted = upper(shown.1);
        let begin = Instant::now();
        loop {
            let seen = upper(&ask(self.address, shown.0, "DS").data("DS"));
            if seen == wanted {
                return;
            }
            let said = self.process.said();
            assert!(begin.elapsed() < PATIENCE, "it shows {seen:?}, not {wanted:?}\n{said}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Digests are written with large or small letters.
fn upper(data: &BTreeSet<String>) -> BTreeSet<String> {
    data.iter().map(|data| data.to_uppercase()).collect()
}

fn write_zone(folder: &Path, zone: &str, serial: u32, records: &str) {
    let text = format!(
        "$ORIGIN {zone}.\n$TTL 1\n@ SOA ns hostmaster {serial} 7200 3600 1209600 1\n@ NS ns\n\
         ns A 127.0.0.1\n{records}"
    );
    std::fs::write(folder.join(zone), text).unwrap();
}
