//! A static zone, served by Walrus, Knot and BIND at once from the same file: asked the same, they
//! must answer the same, but for the differences that [`accepted`] lists with the RFC that allows
//! each.

mod accepted;
mod peers;
mod reply;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use domain::base::{MessageBuilder, Name, Rtype};

use crate::alone;
use crate::programs::{find, say};
use crate::questions::{ask_tcp, ask_udp};
use crate::walrus::Walrus;
use peers::Peer;
use reply::Reply;

const ZONE: &str = "static.example";
const FILE: &str = include_str!("static.example.zone");

const NAMES: &[&str] = &[
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
    let mut folders = Vec::new();
    let mut peers = Vec::new();
    for (program, start) in [("knotd", Peer::knot as peers::Start), ("named", Peer::bind)] {
        let what = format!("answers compared with those of {program}");
        if let Some([path]) = find(&what, [program]) {
            let folder = tempfile::tempdir().unwrap();
            peers.push(start(&path, folder.path()));
            folders.push(folder);
        }
    }
    if peers.is_empty() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let walrus = serve(folder.path());
    let (mut kinds, mut differences) = (BTreeMap::new(), Vec::new());
    for name in
        NAMES.iter().map(|name| within(name)).chain(OUT_OF_ZONE.iter().map(|it| (*it).to_owned()))
    {
        for record_type in TYPES {
            for manner in MANNERS {
                let query = query(&name, record_type, manner);
                let ours = ask(walrus.dns, &query, manner);
                assert_eq!(ours.question, query[12..][..ours.question.len()], "echoed as it was");
                for peer in &peers {
                    let theirs = ask(peer.address, &query, manner);
                    *kinds.entry(ours.kind()).or_insert(0) += 1;
                    if let Some(what) = accepted::difference(&ours, &theirs) {
                        differences.push(format!(
                            "{name} {record_type} {manner:?}: {what}\n  walrus {ours}\n  {:<6} {theirs}",
                            peer.name
                        ));
                    }
                }
            }
        }
    }
    let asked: usize = kinds.values().sum();
    say(&format!("\n{asked} answers compared with other name servers': {kinds:?}"));
    assert_eq!(kinds.len(), 6, "every kind of reply");
    let shown = differences.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differences:\n{shown}", differences.len());
}

fn serve(folder: &std::path::Path) -> Walrus {
    std::fs::write(folder.join("static.zone"), FILE).unwrap();
    Walrus::start(folder, &format!("[[zone]]\nname = \"{ZONE}\"\nfile = \"static.zone\"\n"))
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
