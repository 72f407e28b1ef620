//! What validators are asked and say: queries with DO, replies taken apart, and `delv`, which asks
//! anew each time and remembers nothing.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use domain::base::iana::Rtype;
use domain::base::{Message, MessageBuilder, Name, ParsedRecord};
use domain::rdata::AllRecordData;

use crate::questions::{ask_tcp, ask_udp};

/// A query with DO, as validators send it.
pub(super) fn query(name: &str, record_type: &str) -> Vec<u8> {
    query_for(name, record_type, None)
}

/// The same on behalf of a client in a subnet (RFC 7871).
pub(super) fn query_for(name: &str, record_type: &str, subnet: Option<(IpAddr, u8)>) -> Vec<u8> {
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
        subnet.map_or(Ok(()), |(address, len)| opt.client_subnet(len, 0, address))
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
    ask_bytes_for(server, name, record_type, None)
}

/// On behalf of a client in a subnet.
pub(super) fn ask_bytes_for(
    server: SocketAddr,
    name: &str,
    record_type: &str,
    subnet: Option<(IpAddr, u8)>,
) -> Vec<u8> {
    let query = query_for(name, record_type, subnet);
    // A machine with other work may let one wait for long.
    let reply = (0..5).find_map(|_| ask_udp(server, &query));
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
