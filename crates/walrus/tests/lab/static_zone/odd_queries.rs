//! Queries that no well-behaved client sends. Where the RFCs are silent the others do not agree:
//! Walrus says what one of them says, or [`ALONE`] tells why it stands alone.

use std::net::SocketAddr;

use super::{Manner, Servers, query};
use crate::questions::ask_udp_or_hear_silence;

const PLAIN: Manner = Manner { tcp: false, edns: None };
const EDNS: Manner = Manner { tcp: false, edns: Some((1232, false)) };
/// Where an OPT record begins, from the end of a query that has one without options.
const OPT: usize = 11;

/// What nobody else says.
const ALONE: &[(&str, &str)] = &[
    (
        "class ANY",
        "we have no zone of that class: REFUSED; the one guesses IN, to the other it is malformed",
    ),
    ("type IXFR by UDP", "we transfer no zones to anybody: REFUSED (RFC 5936, section 2.2.1)"),
    ("type AXFR by UDP", "the same"),
];

/// What the header of a reply says apart from its ID; `None` is silence. AD and CD are left out:
/// they are about DNSSEC, and without signatures mean nothing (RFC 4035, section 3.1.6).
type Said = Option<(u8, u8)>;

/// Queries to which we say what none of the others does, and those of [`ALONE`] to which we do not.
pub(super) fn differences(servers: &Servers) -> Vec<String> {
    let mut differences = Vec::new();
    for (what, query) in all() {
        let ours = said(servers.walrus.dns, &query);
        let theirs: Vec<Said> =
            servers.peers.iter().map(|peer| said(peer.address, &query)).collect();
        let alone = ALONE.iter().any(|(name, _)| *name == what);
        if theirs.contains(&ours) == alone {
            differences.push(format!("{what}: walrus {ours:02x?}, the others {theirs:02x?}"));
        }
    }
    differences
}

fn said(server: SocketAddr, odd: &[u8]) -> Said {
    let mut behind = query("www.static.example.", "A", PLAIN);
    behind[0] ^= 0xff;
    let reply = ask_udp_or_hear_silence(server, odd, &behind)?;
    assert_eq!(reply[..2], odd[..2], "the ID");
    Some((reply[2], reply[3] & 0x8f))
}

/// Each with a name.
fn all() -> Vec<(&'static str, Vec<u8>)> {
    let plain = || query("www.static.example.", "A", PLAIN);
    let edns = || query("www.static.example.", "A", EDNS);
    let of = |mut bytes: Vec<u8>, change: &dyn Fn(&mut Vec<u8>)| {
        change(&mut bytes);
        bytes
    };
    let typed = |code: u16| {
        of(plain(), &|b| {
            let at = b.len() - 4;
            b[at..at + 2].copy_from_slice(&code.to_be_bytes());
        })
    };
    let classed = |code: u16| {
        of(plain(), &|b| {
            let at = b.len() - 2;
            b[at..].copy_from_slice(&code.to_be_bytes());
        })
    };
    let option = |option: &[u8]| {
        let len = option.len() as u16;
        of(edns(), &|b| {
            let at = b.len() - 2;
            b[at..].copy_from_slice(&len.to_be_bytes());
            b.extend_from_slice(option);
        })
    };
    vec![
        ("opcode 1 (IQUERY)", of(plain(), &|b| b[2] |= 1 << 3)),
        ("opcode 2 (STATUS)", of(plain(), &|b| b[2] |= 2 << 3)),
        ("opcode 6 (DSO)", of(plain(), &|b| b[2] |= 6 << 3)),
        ("opcode 15", of(plain(), &|b| b[2] |= 15 << 3)),
        ("class CH", classed(3)),
        ("class ANY", classed(255)),
        ("class 0", classed(0)),
        ("class 1000", classed(1000)),
        (
            "EDNS version 1",
            of(edns(), &|b| {
                let at = b.len() - 5;
                b[at] = 1;
            }),
        ),
        (
            "EDNS extended RCODE",
            of(edns(), &|b| {
                let at = b.len() - 6;
                b[at] = 1;
            }),
        ),
        (
            "EDNS size 0",
            of(edns(), &|b| {
                let at = b.len() - 8;
                b[at..at + 2].fill(0);
            }),
        ),
        (
            "EDNS Z bits",
            of(edns(), &|b| {
                let at = b.len() - 3;
                b[at] = 0xff;
            }),
        ),
        ("EDNS unknown option", option(&[0xfd, 0xe9, 0, 2, 1, 2])),
        ("EDNS option cut short", option(&[0xfd, 0xe9, 0, 9, 1, 2])),
        ("EDNS client subnet of family 9", option(&[0, 8, 0, 5, 0, 9, 8, 0, 1])),
        ("EDNS client subnet too long", option(&[0, 8, 0, 9, 0, 1, 33, 0, 1, 2, 3, 4, 5])),
        ("EDNS client subnet with a bit beyond", option(&[0, 8, 0, 7, 0, 1, 20, 0, 1, 2, 3])),
        ("EDNS client subnet with a scope", option(&[0, 8, 0, 7, 0, 1, 24, 24, 1, 2, 3])),
        (
            "two OPT records",
            of(edns(), &|b| {
                b[11] = 2;
                let at = b.len() - OPT;
                b.extend_from_within(at..);
            }),
        ),
        (
            "OPT of a name",
            of(edns(), &|b| {
                let at = b.len() - OPT;
                b.splice(at..at + 1, [1, b'x', 0]);
            }),
        ),
        (
            "OPT in the answer section",
            of(edns(), &|b| {
                b[7] = 1;
                b[11] = 0;
            }),
        ),
        (
            "no question",
            of(plain(), &|b| {
                b.truncate(12);
                b[5] = 0;
            }),
        ),
        (
            "two questions",
            of(plain(), &|b| {
                b[5] = 2;
                b.extend_from_within(12..);
            }),
        ),
        ("a question that is missing", of(plain(), &|b| b.truncate(12))),
        ("a question cut short", of(plain(), &|b| b.truncate(b.len() - 1))),
        ("bytes behind the end", of(plain(), &|b| b.extend_from_slice(&[0; 3]))),
        (
            "a name that points to itself",
            of(plain(), &|b| {
                b.truncate(12);
                b.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
            }),
        ),
        ("a label of type 01", of(plain(), &|b| b[12] = 0x41)),
        ("a reply", of(plain(), &|b| b[2] |= 0x80)),
        ("half a header", of(plain(), &|b| b.truncate(7))),
        ("TC in the query", of(plain(), &|b| b[2] |= 2)),
        ("AA in the query", of(plain(), &|b| b[2] |= 4)),
        (
            "RD, CD and AD",
            of(plain(), &|b| {
                b[2] |= 1;
                b[3] |= 0x30;
            }),
        ),
        ("an RCODE in the query", of(plain(), &|b| b[3] |= 3)),
        ("type 0", typed(0)),
        ("type OPT", typed(41)),
        ("type TSIG", typed(250)),
        ("type IXFR by UDP", typed(251)),
        ("type AXFR by UDP", typed(252)),
        ("type MAILB", typed(253)),
        ("type 128", typed(128)),
        ("type RRSIG", typed(46)),
        ("type NSEC", typed(47)),
        ("type DNSKEY", typed(48)),
    ]
}
