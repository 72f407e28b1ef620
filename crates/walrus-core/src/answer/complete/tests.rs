//! Each case says which sentence of which RFC it shows.

use std::collections::BTreeMap;

use domain::base::MessageBuilder;
use domain::base::iana::{Opcode, Rtype};
use domain::base::name::Name;
use domain::rdata::ZoneRecordData;

use super::*;
use crate::answer::ServerOptions;
use crate::world::Time;
use crate::zone::read_zone;

/// RFC 4592 section 2.2.1's zone, with what else is needed below other names.
const EXAMPLE: &str = "\
$ORIGIN example.
@                3600 IN  SOA   ns.example.com. host 1 2 3 4 300
@                3600     NS    ns.example.com.
@                3600     NS    ns.example.net.
*.example.       3600     TXT   \"this is a wildcard\"
*.example.       3600     MX    10 host1.example.
sub.*.example.   3600     TXT   \"this is not a wildcard\"
host1.example.   3600     A     192.0.2.1
_ssh._tcp.host1.example. 3600 SRV 0 0 22 host1
_ssh._tcp.host2.example. 3600 SRV 0 0 22 host2
subdel.example.  3600     NS    ns.example.com.
subdel.example.  3600     NS    ns.example.net.
";

const OTHER: &str = "\
$ORIGIN other.
$TTL 3600
@     SOA ns host 1 2 3 4 7200
@     NS  ns
ns    A   192.0.2.53
a     CNAME b
b     CNAME c
c     A   192.0.2.3
loop  CNAME pool
pool  CNAME loop
gone  CNAME nothing
away  CNAME www.elsewhere.
over  CNAME host1.example.
cut   CNAME www.del
wild  CNAME x.*.deep
svc   CNAME www
l1 CNAME l2
l2 CNAME l3
l3 CNAME l4
l4 CNAME l5
l5 CNAME l6
l6 CNAME l7
l7 CNAME l8
l8 CNAME l9
l9 CNAME l10
l10 A 192.0.2.10
del   NS ns1.del
del   NS ns
del   NS ns2.del
del   DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000
ns1.del A 192.0.2.61
ns1.del AAAA 2001:db8::61
ns2.del A 192.0.2.62
*.w   CNAME c
*.s   A 192.0.2.77
x.*.ent A 192.0.2.78
www   TXT beside a service
odd   TYPE65400 \\# 3 010203
mx    MX 5 mail.other.
mx    PTR mx.other.
big   TXT ( 0123456789012345678901234567890123456789012345678901234567890123456789
  1123456789012345678901234567890123456789012345678901234567890123456789
  2123456789012345678901234567890123456789012345678901234567890123456789
  3123456789012345678901234567890123456789012345678901234567890123456789
  4123456789012345678901234567890123456789012345678901234567890123456789
  5123456789012345678901234567890123456789012345678901234567890123456789
  6123456789012345678901234567890123456789012345678901234567890123456789
  7123456789012345678901234567890123456789012345678901234567890123456789 )
child NS ns.child
ns.child A 192.0.2.99
child DS 2 8 2 0000000000000000000000000000000000000000000000000000000000000000
";

const CHILD: &str = "\
$ORIGIN child.other.
@ 60 SOA ns host 1 2 3 4 5
@ 60 NS ns
ns 60 A 192.0.2.99
";

fn index() -> CompleteIndex {
    let zones = [("example", EXAMPLE), ("other", OTHER), ("child.other", CHILD)];
    let zones = zones.map(|(apex, text)| {
        let file = read_zone(apex, text.as_bytes(), &apex.parse().unwrap());
        std::sync::Arc::new(file.unwrap_or_else(|problems| panic!("{problems:#?}")).zone)
    });
    let services = ["www.other", "six.other", "early.other", "child.other"];
    let services = services.map(|name| name.parse().unwrap());
    CompleteIndex::new(zones, services.into_iter().zip(0..), BTreeMap::new(), BTreeMap::new())
}

fn choose(question: ServiceQuestion) -> Option<ServiceAnswer> {
    let addresses: &[&str] = match (question.service, question.record_type) {
        (2, _) => return None,
        (0 | 3, record_type::A) => &["198.51.100.2", "198.51.100.1"],
        (1, record_type::AAAA) => &["2001:db8::1"],
        _ => &[],
    };
    let addresses = addresses.iter().map(|address| match address.parse().unwrap() {
        std::net::IpAddr::V4(address) => address.octets().into(),
        std::net::IpAddr::V6(address) => address.octets().into(),
    });
    let data = addresses.collect();
    Some(ServiceAnswer {
        data,
        signatures: Vec::new(),
        ttl: 30,
        scope: question.subnet.map_or(0, |_| 20),
    })
}

fn query(name: &str, rtype: Rtype) -> Vec<u8> {
    let name = Name::<Vec<u8>>::from_chars(name.chars()).unwrap();
    let mut builder = MessageBuilder::new_vec().question();
    builder.header_mut().set_id(0x1234);
    builder.header_mut().set_rd(true);
    builder.push((name, rtype)).unwrap();
    builder.finish()
}

fn with_opt(query: &[u8], udp_size: u16, version: u8, options: &[u8]) -> Vec<u8> {
    let mut query = query.to_vec();
    query[11] += 1;
    query.extend_from_slice(&[0, 0, 41]);
    query.extend_from_slice(&udp_size.to_be_bytes());
    query.extend_from_slice(&[0, version, 0x80, 0, 0, u8::try_from(options.len()).unwrap()]);
    query.extend_from_slice(options);
    query
}

fn reply_by(query: &[u8], transport: Transport) -> Option<Vec<u8>> {
    reply_from(&index(), query, transport)
}

fn reply_from(index: &CompleteIndex, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let request = Request {
        query,
        client: "192.0.2.200".parse().unwrap(),
        local: "192.0.2.53:53".parse().unwrap(),
        transport,
        now: Time::ZERO,
        unix_secs: 0,
        udp_size_max: 1232,
        server: ServerOptions::SILENT,
    };
    let mut reply = vec![0; 65_535];
    let types = [crate::world::ServiceTypes::ADDRESSES; 4];
    match respond_with(index, (&types, &[]), (&request, 0), &mut reply, choose) {
        Outcome::Reply(len) => Some(reply[..len].to_vec()),
        Outcome::Drop => None,
        Outcome::NotUnderstood => panic!("the complete path understands everything"),
    }
}

fn reply(query: &[u8]) -> Vec<u8> {
    reply_by(query, Transport::Udp).expect("a reply")
}

/// A reply as text: code and flags, then each record as "SECTION OWNER TTL TYPE DATA".
fn shown(reply: &[u8]) -> String {
    let message = Message::from_slice(reply).unwrap();
    let header = message.header();
    let mut text = header.rcode().to_string();
    for (flag, name) in [(header.aa(), " aa"), (header.tc(), " tc"), (header.ra(), " ra")] {
        text.push_str(if flag { name } else { "" });
    }
    let (_, answer, authority, additional) = message.sections().unwrap();
    for (name, section) in
        [("answer", answer), ("authority", authority), ("additional", additional)]
    {
        for record in section {
            let record = record.unwrap();
            if record.rtype() == Rtype::OPT {
                text.push_str(&format!("\n{name} OPT"));
                continue;
            }
            let record = record.into_record::<ZoneRecordData<_, _>>().unwrap().unwrap();
            let (owner, ttl) = (record.owner(), record.ttl().as_secs());
            // Names in data are shown with their last dot, owners without.
            let data = record.data().to_string();
            let data: Vec<&str> = data.split(' ').map(|word| word.trim_end_matches('.')).collect();
            text.push_str(&format!("\n{name} {owner} {ttl} {} {}", record.rtype(), data.join(" ")));
        }
    }
    text
}

#[track_caller]
fn check(name: &str, rtype: Rtype, expected: &[&str]) {
    assert_eq!(shown(&reply(&query(name, rtype))), expected.join("\n"), "{name} {rtype}");
}

const EXAMPLE_SOA: &str = "authority example 300 SOA ns.example.com host.example 1 2 3 4 300";
const OTHER_SOA: &str = "authority other 3600 SOA ns.other host.other 1 2 3 4 7200";

#[test]
fn rfc_4592_section_2_2_1_names_that_wildcards_answer() {
    check(
        "host3.example",
        Rtype::MX,
        &["NOERROR aa", "answer host3.example 3600 MX 10 host1.example"],
    );
    // "the answer will be 'no error, but no data'".
    check("host3.example", Rtype::A, &["NOERROR aa", EXAMPLE_SOA]);
    let text = "answer foo.bar.example 3600 TXT \"this is a wildcard\"";
    check("foo.bar.example", Rtype::TXT, &["NOERROR aa", text]);
}

#[test]
fn rfc_4592_section_2_2_1_names_that_wildcards_do_not_answer() {
    // "because host1.example. exists"
    check("host1.example", Rtype::MX, &["NOERROR aa", EXAMPLE_SOA]);
    // "because sub.*.example. exists"
    check("sub.*.example", Rtype::MX, &["NOERROR aa", EXAMPLE_SOA]);
    // "because _tcp.host1.example. exists (without data)"
    check("_telnet._tcp.host1.example", Rtype::SRV, &["NXDOMAIN aa", EXAMPLE_SOA]);
    // "because subdel.example. exists (and is a zone cut)"
    let referral = [
        "NOERROR",
        "authority subdel.example 3600 NS ns.example.com",
        "authority subdel.example 3600 NS ns.example.net",
    ];
    check("host.subdel.example", Rtype::A, &referral);
    // "because *.example. exists": it is no closest encloser with a wildcard of its own.
    check("ghost.*.example", Rtype::MX, &["NXDOMAIN aa", EXAMPLE_SOA]);
}

#[test]
fn rfc_4592_section_2_1_1_a_wildcard_that_is_asked_for_by_name() {
    check("*.example", Rtype::MX, &["NOERROR aa", "answer *.example 3600 MX 10 host1.example"]);
    // Section 2.2.2: empty non-terminals exist, here host2.example and its _tcp.
    check("host2.example", Rtype::MX, &["NOERROR aa", EXAMPLE_SOA]);
    check("_tcp.host2.example", Rtype::TXT, &["NOERROR aa", EXAMPLE_SOA]);
}

#[test]
fn wildcards_of_aliases_and_empty_wildcards() {
    let answer =
        ["NOERROR aa", "answer a.w.other 3600 CNAME c.other", "answer c.other 3600 A 192.0.2.3"];
    check("a.w.other", Rtype::A, &answer);
    check("a.b.s.other", Rtype::A, &["NOERROR aa", "answer a.b.s.other 3600 A 192.0.2.77"]);
    // *.ent.other exists, but is itself an empty non-terminal.
    check("y.ent.other", Rtype::A, &["NOERROR aa", OTHER_SOA]);
}

#[test]
fn rfc_1034_section_4_3_2_aliases_are_followed_in_our_zones() {
    let chain = ["answer a.other 3600 CNAME b.other", "answer b.other 3600 CNAME c.other"];
    check(
        "a.other",
        Rtype::A,
        &["NOERROR aa", chain[0], chain[1], "answer c.other 3600 A 192.0.2.3"],
    );
    check("a.other", Rtype::TXT, &["NOERROR aa", chain[0], chain[1], OTHER_SOA]);
    check("a.other", Rtype::CNAME, &["NOERROR aa", chain[0]]);
    // RFC 6604 section 2.1: the code is the last name's.
    check(
        "gone.other",
        Rtype::A,
        &["NXDOMAIN aa", "answer gone.other 3600 CNAME nothing.other", OTHER_SOA],
    );
    check("away.other", Rtype::A, &["NOERROR aa", "answer away.other 3600 CNAME www.elsewhere"]);
    let over =
        ["answer over.other 3600 CNAME host1.example", "answer host1.example 3600 A 192.0.2.1"];
    check("over.other", Rtype::A, &["NOERROR aa", over[0], over[1]]);
}

#[test]
fn alias_loops_and_long_chains_end() {
    let pair =
        ["answer loop.other 3600 CNAME pool.other", "answer pool.other 3600 CNAME loop.other"];
    check("loop.other", Rtype::A, &["NOERROR aa", pair[0], pair[1]]);
    let text = shown(&reply(&query("l1.other", Rtype::A)));
    assert_eq!(text.matches("CNAME").count(), resolve::ALIASES_MAX, "{text}");
    assert!(!text.contains("192.0.2.10"), "{text}");
}

#[test]
fn rfc_1034_section_4_2_1_delegations_with_glue() {
    let referral = [
        "authority del.other 3600 NS ns1.del.other",
        "authority del.other 3600 NS ns.other",
        "authority del.other 3600 NS ns2.del.other",
        "additional ns1.del.other 3600 A 192.0.2.61",
        "additional ns1.del.other 3600 AAAA 2001:db8::61",
        "additional ns2.del.other 3600 A 192.0.2.62",
        "additional ns.other 3600 A 192.0.2.53",
    ];
    let expected = |head: &[&'static str]| [head, &referral[..]].concat();
    check("www.del.other", Rtype::A, &expected(&["NOERROR"]));
    check("del.other", Rtype::NS, &expected(&["NOERROR"]));
    check("ns1.del.other", Rtype::A, &expected(&["NOERROR"]));
    // RFC 1034 section 4.1.1's AA is about the question's own name.
    check(
        "cut.other",
        Rtype::A,
        &expected(&["NOERROR aa", "answer cut.other 3600 CNAME www.del.other"]),
    );
}

#[test]
fn rfc_4035_section_3_1_4_1_ds_is_answered_above_the_delegation() {
    let ds = "3600 DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000";
    check("del.other", Rtype::DS, &["NOERROR aa", &format!("answer del.other {ds}")]);
    // Also if both sides are ours.
    let ds = ds.replace("DS 1", "DS 2");
    check("child.other", Rtype::DS, &["NOERROR aa", &format!("answer child.other {ds}")]);
    check("other", Rtype::DS, &["NOERROR aa", OTHER_SOA]);
    check("child.other", Rtype::NS, &["NOERROR aa", "answer child.other 60 NS ns.child.other"]);
}

#[test]
fn services_end_a_chain_and_share_their_name_with_static_data() {
    let addresses = ["answer www.other 30 A 198.51.100.2", "answer www.other 30 A 198.51.100.1"];
    check("www.other", Rtype::A, &["NOERROR aa", addresses[0], addresses[1]]);
    check("www.other", Rtype::AAAA, &["NOERROR aa", OTHER_SOA]);
    check(
        "www.other",
        Rtype::TXT,
        &["NOERROR aa", "answer www.other 3600 TXT \"beside\" \"a\" \"service\""],
    );
    check("six.other", Rtype::AAAA, &["NOERROR aa", "answer six.other 30 AAAA 2001:db8::1"]);
    check(
        "svc.other",
        Rtype::A,
        &["NOERROR aa", "answer svc.other 3600 CNAME www.other", addresses[0], addresses[1]],
    );
    check("x.www.other", Rtype::A, &["NXDOMAIN aa", OTHER_SOA]);
    let apex = ["answer child.other 30 A 198.51.100.2", "answer child.other 30 A 198.51.100.1"];
    check("child.other", Rtype::A, &["NOERROR aa", apex[0], apex[1]]);
}

#[test]
fn rfc_8914_section_4_15_not_ready_before_the_first_plan() {
    check("early.other", Rtype::A, &["SERVFAIL"]);
    let reply = reply(&with_opt(&query("early.other", Rtype::A), 1232, 0, &[]));
    assert!(
        reply.ends_with(&[0, 41, 4, 208, 0, 0, 0x80, 0, 0, 6, 0, 15, 0, 2, 0, 14]),
        "{reply:?}"
    );
}

#[test]
fn rfc_8482_any_and_what_is_refused() {
    check("www.other", Rtype::ANY, &["NOERROR aa", "answer www.other 3600 HINFO \"RFC8482\" \"\""]);
    check("host2.example", Rtype::ANY, &["NOERROR aa", EXAMPLE_SOA]);
    check("gone.invalid", Rtype::A, &["REFUSED"]);
    check("other", Rtype::AXFR, &["REFUSED"]);
    let mut chaos = query("other", Rtype::A);
    *chaos.last_mut().unwrap() = 3;
    assert_eq!(shown(&reply(&chaos)), "REFUSED");
}

#[test]
fn rfc_2308_section_3_negative_ttl_is_the_lower_one() {
    check("host3.example", Rtype::A, &["NOERROR aa", EXAMPLE_SOA]);
    check("nothing.other", Rtype::A, &["NXDOMAIN aa", OTHER_SOA]);
}

#[test]
fn unknown_types_are_bytes_and_names_compress_against_the_question() {
    check(
        "odd.other",
        Rtype::from_int(65400),
        &["NOERROR aa", "answer odd.other 3600 TYPE65400 \\# 3 01 02 03"],
    );
    let query = query("MX.Other", Rtype::MX);
    let reply = reply(&query);
    assert!(reply.starts_with(&[0x12, 0x34, 0x85, 0, 0, 1, 0, 1, 0, 0, 0, 0]), "{reply:?}");
    assert_eq!(&reply[12..query.len()], &query[12..], "the question's case is kept");
    let data =
        [0xc0, 12, 0, 15, 0, 1, 0, 0, 14, 16, 0, 9, 0, 5, 4, b'm', b'a', b'i', b'l', 0xc0, 15];
    assert_eq!(&reply[query.len()..], data);
}

#[test]
fn rfc_7871_client_subnets_are_echoed_with_the_scope() {
    let option = [0, 8, 0, 7, 0, 1, 24, 0, 203, 0, 113];
    let echoed = |name, rtype| {
        let reply = reply(&with_opt(&query(name, rtype), 1232, 0, &option));
        reply[reply.len() - option.len()..].to_vec()
    };
    assert_eq!(echoed("www.other", Rtype::A), [0, 8, 0, 7, 0, 1, 24, 20, 203, 0, 113]);
    assert_eq!(echoed("c.other", Rtype::A), option);
    for malformed in [
        &[0, 8, 0, 7, 0, 1, 24, 1, 203, 0, 113][..],
        &[0, 8, 0, 7, 0, 1, 23, 0, 203, 0, 113],
        &[0, 8, 0, 7, 0, 3, 24, 0, 203, 0, 113],
        &[0, 8, 0, 6, 0, 1, 24, 0, 203, 0],
        &[0, 8, 0, 8, 0, 1, 33, 0, 203, 0, 113, 1],
        &[0, 8, 0, 9, 0, 1, 24, 0],
    ] {
        let reply = reply(&with_opt(&query("www.other", Rtype::A), 1232, 0, malformed));
        assert_eq!(shown(&reply), "FORMERR\nadditional OPT", "{malformed:?}");
    }
}

#[test]
fn rfc_6891_versions_sizes_and_second_records() {
    let plain = query("c.other", Rtype::A);
    assert_eq!(
        shown(&reply(&with_opt(&plain, 1232, 0, &[]))),
        "NOERROR aa\nanswer c.other 3600 A 192.0.2.3\nadditional OPT"
    );
    let bad_version = reply(&with_opt(&plain, 1232, 1, &[]));
    assert_eq!(bad_version[3] & 15, 0);
    assert!(bad_version.ends_with(&[0, 0, 41, 4, 208, 1, 0, 0x80, 0, 0, 0]), "{bad_version:?}");
    let twice = with_opt(&with_opt(&plain, 1232, 0, &[]), 1232, 0, &[]);
    assert_eq!(shown(&reply(&twice)), "FORMERR");
}

#[test]
fn rfc_2181_section_9_what_does_not_fit_is_cut_to_nothing() {
    let small = query("big.other", Rtype::TXT);
    assert_eq!(shown(&reply(&small)), "NOERROR aa tc");
    assert_eq!(shown(&reply(&with_opt(&small, 512, 0, &[]))), "NOERROR aa tc\nadditional OPT");
    assert!(reply(&with_opt(&small, 4096, 0, &[])).len() > 400);
    let by_tcp = reply_by(&small, Transport::Tcp).unwrap();
    assert!(shown(&by_tcp).starts_with("NOERROR aa\nanswer big.other"));
}

#[test]
fn rfc_9471_section_3_1_a_referral_says_when_glue_is_missing() {
    let referral = |target: &str| {
        let mut text = "@ SOA ns x 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n".to_owned();
        for number in 0..12 {
            text.push_str(&format!("d NS n{number}.{target}\nn{number}.{target} A 192.0.2.1\n"));
            text.push_str(&format!("n{number}.{target} AAAA 2001:db8::1\n"));
        }
        let apex: DomainName = "zone".parse().unwrap();
        let zone = read_zone("zone", text.as_bytes(), &apex).unwrap().zone;
        let index =
            CompleteIndex::new([std::sync::Arc::new(zone)], [], BTreeMap::new(), BTreeMap::new());
        let query = query("www.d.zone", Rtype::A);
        let reply = |transport| shown(&reply_from(&index, &query, transport).unwrap());
        let whole = reply(Transport::Tcp);
        assert_eq!(
            (whole.lines().next(), whole.matches("additional").count()),
            (Some("NOERROR"), 24)
        );
        let short = reply(Transport::Udp);
        let glue = short.matches("additional").count();
        assert!((4..24).contains(&glue) && short.matches("authority").count() == 12, "{short}");
        short.lines().next().unwrap().to_owned()
    };
    assert_eq!(referral("d"), "NOERROR tc", "below the delegation nobody else knows them");
    assert_eq!(referral("e"), "NOERROR", "beside it they can be asked for");
}

#[test]
fn malformed_queries_get_no_more_than_they_sent() {
    let good = query("www.other", Rtype::A);
    let changed = |at: usize, to: u8| {
        let mut query = good.clone();
        query[at] = to;
        query
    };
    assert_eq!(reply_by(&good[..11], Transport::Udp), None);
    assert_eq!(reply_by(&changed(2, 0x80), Transport::Udp), None, "no reply to a reply");
    let mut update = changed(2, u8::from(Opcode::UPDATE) << 3);
    update.truncate(12);
    for (query, expected) in [
        (update, "NOTIMP"),
        (changed(5, 0), "FORMERR"),
        (changed(5, 2), "FORMERR"),
        (changed(12, 0xc0), "FORMERR"),
        (changed(12, 64), "FORMERR"),
        (changed(11, 1), "FORMERR"),
        (good[..20].to_vec(), "FORMERR"),
        ([&good[..], &[0]].concat(), "FORMERR"),
    ] {
        let reply = reply(&query);
        assert_eq!(shown(&reply), expected, "{query:?}");
        assert!(reply.len() <= query.len());
    }
}
