//! Static zones, served by Walrus, Knot and BIND at once from the same files: asked the same, they
//! must answer the same, but for the differences that [`accepted`] lists with the RFC that allows
//! each. One zone holds whatever a zone can hold; others are [`generated`], small and tangled.

mod accepted;
pub(crate) mod generated;
pub(crate) mod kept;
mod odd_queries;
pub(crate) mod peers;
pub(crate) mod reply;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use domain::base::{MessageBuilder, Name, Rtype};

use crate::alone;
use crate::programs::{find, say};
use crate::questions::{ask_tcp, ask_udp};
use crate::walrus::Walrus;
use peers::Peer;
use reply::Reply;

pub(crate) const ZONE: &str = "static.example";
pub(crate) const FILE: &str = include_str!("static.example.zone");

pub(crate) const NAMES: &[&str] = &[
    "@",
    "WWW",
    "www",
    "ns1",
    "mail",
    "mixed.case",
    "MIXED.CASE",
    "case",
    "only4",
    "text",
    "longtext",
    "huge",
    "many",
    "_sip._tcp",
    "_tcp",
    "sip",
    "14.pointers",
    "pointers",
    "unknown",
    "under_score",
    r"\046dotted",
    "alias",
    "ALIAS",
    "alias-of-alias",
    "outside",
    "dangling",
    "to-only4",
    "to-wild",
    "to-sub",
    "to-ent",
    "self",
    "round",
    "below.alias",
    "wild",
    "*.wild",
    "some.wild",
    "Some.Other.wild",
    "host.wild",
    "below.host.wild",
    "hidden.wild",
    "other.hidden.wild",
    "a.hidden.wild",
    "aliased",
    "any.aliased",
    "any.mxwild",
    "ent",
    "b.ent",
    "a.b.ent",
    "none.b.ent",
    "none.ent",
    "below.ent",
    "any.below.ent",
    "sub",
    "SUB",
    "host.sub",
    "ns1.sub",
    "a.b.c.sub",
    "sibling",
    "www.sibling",
    "far",
    "www.far",
    "cut",
    "deep.cut",
    "www.deep.cut",
    "ns.deep.cut",
    "none.cut",
    "nothing",
    "nothing.at.all",
    "*",
    "a.*",
];

/// Of other zones: above, beside and below in name only.
const OUT_OF_ZONE: &[&str] = &["example.", ".", "other.example.", "xstatic.example.", "com."];

const TYPES: &[&str] = &[
    "A",
    "AAAA",
    "NS",
    "SOA",
    "CNAME",
    "MX",
    "TXT",
    "SRV",
    "CAA",
    "PTR",
    "DS",
    "TYPE65400",
    "TYPE65401",
    "TYPE65402",
];

/// How a question travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Manner {
    tcp: bool,
    /// The client's room for UDP and its DO flag, if it speaks EDNS.
    edns: Option<(u16, bool)>,
}

const MANNERS: [Manner; 5] = [
    Manner { tcp: false, edns: None },
    Manner { tcp: false, edns: Some((1232, false)) },
    Manner { tcp: false, edns: Some((512, true)) },
    Manner { tcp: true, edns: None },
    Manner { tcp: true, edns: Some((1232, true)) },
];

#[test]
fn a_static_zone_is_answered_as_by_knot_and_bind() {
    let _alone = alone();
    let Some(servers) = Servers::start(&[(ZONE.to_owned(), FILE.to_owned())]) else { return };
    let mut comparison = Comparison::default();
    let names = NAMES.iter().map(|name| within(name));
    for name in names.chain(OUT_OF_ZONE.iter().map(|name| (*name).to_owned())) {
        for record_type in TYPES {
            for manner in MANNERS {
                comparison.compare(&servers, &name, record_type, manner);
            }
        }
    }
    comparison.finish();
}

#[test]
fn generated_zones_are_answered_as_by_knot_and_bind() {
    let _alone = alone();
    let zones: Vec<_> = (1..=generated::ZONES).map(generated::zone).collect();
    let Some(servers) = Servers::start(&zones) else { return };
    let mut comparison = Comparison::default();
    for (zone, text) in &zones {
        let before = comparison.differences.len();
        for name in generated::names(zone) {
            for record_type in ["A", "CNAME", "NS"] {
                let manner = Manner { tcp: false, edns: Some((1232, false)) };
                comparison.compare(&servers, &name, record_type, manner);
            }
        }
        if comparison.differences.len() > before {
            comparison.differences.push(format!("in the zone\n{text}"));
        }
    }
    comparison.finish();
}

#[test]
fn odd_queries_are_answered_as_by_knot_or_bind() {
    let _alone = alone();
    let Some(servers) = Servers::start(&[(ZONE.to_owned(), FILE.to_owned())]) else { return };
    // Alone, each of the two would be right about what is only its own way.
    if servers.peers.len() == 2 {
        let differences = odd_queries::differences(&servers);
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }
}

/// Walrus and the others with the same zones.
struct Servers {
    walrus: Walrus,
    peers: Vec<Peer>,
    _folders: Vec<tempfile::TempDir>,
}

impl Servers {
    /// `None` if there is nobody to compare with.
    fn start(zones: peers::Zones<'_>) -> Option<Self> {
        Self::start_with(zones, "")
    }

    /// With these settings in each zone.
    fn start_with(zones: peers::Zones<'_>, settings: &str) -> Option<Self> {
        let (mut folders, mut peers) = (Vec::new(), Vec::new());
        for (program, start) in [("knotd", Peer::knot as peers::Start), ("named", Peer::bind)] {
            let what = format!("answers compared with those of {program}");
            let Some([path]) = find(&what, [program]) else { continue };
            let folder = tempfile::tempdir().unwrap();
            peers.push(start(&path, folder.path(), zones));
            folders.push(folder);
        }
        if peers.is_empty() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut configuration = String::new();
        for (zone, text) in zones {
            std::fs::write(folder.path().join(format!("{zone}.zone")), text).unwrap();
            configuration.push_str(&format!(
                "[[zone]]\nname = \"{zone}\"\nfile = \"{zone}.zone\"\n{settings}"
            ));
        }
        let walrus = Walrus::start(folder.path(), &configuration);
        folders.push(folder);
        Some(Self { walrus, peers, _folders: folders })
    }
}

/// What was asked, and what came out of it.
#[derive(Default)]
struct Comparison {
    kinds: BTreeMap<&'static str, usize>,
    differences: Vec<String>,
}

impl Comparison {
    fn compare(&mut self, servers: &Servers, name: &str, record_type: &str, manner: Manner) {
        let query = query(name, record_type, manner);
        let ours = ask(servers.walrus.dns, &query, manner);
        assert_eq!(ours.question, query[12..][..ours.question.len()], "echoed as it was");
        *self.kinds.entry(ours.kind()).or_insert(0) += 1;
        for peer in &servers.peers {
            let theirs = ask(peer.address, &query, manner);
            if let Some(what) = accepted::difference(&ours, &theirs) {
                self.differences.push(format!(
                    "{name} {record_type} {manner:?}: {what}\n  walrus {ours}\n  {:<6} {theirs}",
                    peer.name
                ));
            }
        }
    }

    fn finish(self) {
        const SHOWN: usize = 40;
        let asked: usize = self.kinds.values().sum();
        say(&format!("\n{asked} answers compared with other name servers': {:?}", self.kinds));
        for kind in ["answer", "no data", "name error", "referral"] {
            assert!(self.kinds.contains_key(kind), "no {kind}: {:?}", self.kinds);
        }
        let shown: Vec<&str> = self.differences.iter().take(SHOWN).map(String::as_str).collect();
        let count = self.differences.len();
        assert!(count == 0, "{count} differences:\n{}", shown.join("\n"));
    }
}

fn within(name: &str) -> String {
    if name == "@" { format!("{ZONE}.") } else { format!("{name}.{ZONE}.") }
}

fn query(name: &str, record_type: &str, manner: Manner) -> Vec<u8> {
    let name: Name<Vec<u8>> = Name::vec_from_str(name).unwrap();
    let record_type: Rtype = record_type.parse().unwrap();
    let mut builder = MessageBuilder::new_vec().question();
    builder.header_mut().set_id(0x1ab5);
    builder.push((name, record_type)).unwrap();
    let mut builder = builder.additional();
    if let Some((room, dnssec_ok)) = manner.edns {
        builder
            .opt(|opt| {
                opt.set_udp_payload_size(room);
                opt.set_dnssec_ok(dnssec_ok);
                Ok(())
            })
            .unwrap();
    }
    builder.finish()
}

fn ask(server: SocketAddr, query: &[u8], manner: Manner) -> Reply {
    let ask = if manner.tcp { ask_tcp } else { ask_udp };
    // Once more, for a datagram that a busy machine lost.
    let reply = ask(server, query).or_else(|| ask(server, query));
    Reply::read(&reply.unwrap_or_else(|| panic!("{server} does not answer {query:02x?}")))
}
