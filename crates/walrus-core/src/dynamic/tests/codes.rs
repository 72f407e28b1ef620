//! Every code of RFC 2136, and what each change does.

use walrus_dns::rcode::{
    FORMERR, NOERROR, NOTAUTH, NOTZONE, NXDOMAIN, NXRRSET, REFUSED, YXDOMAIN, YXRRSET,
};

use super::super::message::form;
use super::*;
use crate::zone::RecordSet;

fn code(prerequisites: &[&str], changes: &[&str]) -> u16 {
    let decided = decide(&zone(), &message(prerequisites, changes), &everything());
    decided.map_or_else(|refused| refused.rcode(), |_| NOERROR)
}

#[test]
fn prerequisites_hold_or_say_which_does_not() {
    for (prerequisite, expected) in [
        // Section 3.2.1: a name, a set.
        ("*a ANY", NOERROR),
        ("*nobody ANY", NXDOMAIN),
        ("*under.here ANY", NXDOMAIN), // An empty non-terminal is not in use.
        ("*here ANY", NXDOMAIN),
        ("*a TXT", NOERROR),
        ("*a AAAA", NXRRSET),
        ("*nobody A", NXRRSET),
        // Section 3.2.2: none.
        ("-nobody ANY", NOERROR),
        ("-a ANY", YXDOMAIN),
        ("-under.here ANY", NOERROR),
        ("-a AAAA", NOERROR),
        ("-a A", YXRRSET),
        // Section 3.2.3: exactly these.
        ("a TXT \"one\"", NOERROR),
        ("a TXT \"One\"", NXRRSET),
        ("a A 192.0.2.2", NXRRSET), // A part of a set is another set.
        ("mail MX 10 mail.EXAMPLE.net.", NOERROR), // Names have no case.
        ("nobody TXT \"one\"", NXRRSET),
        // What is no prerequisite.
        ("*other.org. A", NOTZONE),
        ("-other.org. ANY", NOTZONE),
        ("other.org. TXT \"x\"", NOTZONE),
        ("a ANY", FORMERR),
        ("*a AXFR", FORMERR),
        ("*a OPT", FORMERR),
    ] {
        assert_eq!(code(&[prerequisite], &[]), expected, "{prerequisite}");
    }
    assert_eq!(code(&["a A 192.0.2.3", "a A 192.0.2.2"], &[]), NOERROR, "in any order");
    assert_eq!(code(&["a A 192.0.2.3", "a A 192.0.2.2", "a A 192.0.2.9"], &[]), NXRRSET);
    assert_eq!(code(&["*a ANY", "-a ANY"], &[]), YXDOMAIN);
}

#[test]
fn prerequisites_with_ttl_data_or_class_are_none() {
    for change in [
        |record: &mut UpdateRecord| record.ttl = 1,
        |record: &mut UpdateRecord| record.data = [1].into(),
        |record: &mut UpdateRecord| record.class = 3,
    ] {
        for line in ["*a A", "-nobody A"] {
            let mut message = message(&[line], &[]);
            change(&mut message.prerequisites[0]);
            let refused = decide(&zone(), &message, &everything()).unwrap_err();
            assert_eq!(refused.rcode(), FORMERR, "{:?}", message.prerequisites);
        }
    }
}

#[test]
fn changes_that_cannot_be_are_refused_before_anything_is_done() {
    for (change, expected) in [
        ("other.org. TXT \"x\"", NOTZONE),
        ("*other.org. ANY", NOTZONE),
        ("-other.org. TXT \"x\"", NOTZONE),
        ("a ANY", FORMERR),
        ("a AXFR", FORMERR),
        ("a A", FORMERR), // Without data.
        ("*a AXFR", FORMERR),
        ("*a OPT", FORMERR),
        ("-a ANY", FORMERR),
        ("*a ANY", NOERROR),
        ("*a NSEC", REFUSED),
        ("*a RRSIG", REFUSED),
        ("*@ DNSKEY", REFUSED),
        ("*@ CDS", REFUSED),
        ("www TXT \"x\"", REFUSED), // A service.
        ("*www ANY", REFUSED),
        ("-www A 192.0.2.1", REFUSED),
        ("fra1 A 192.0.2.1", REFUSED),          // A server's name.
        ("deep NS ns1.example.net.", REFUSED),  // Above a service.
        ("deep DNAME a.example.net.", REFUSED), // Above a service.
        ("@ DNAME a.example.net.", REFUSED),
        ("under.here DNAME a.example.net.", NOERROR),
        ("\\042.here DNAME a.example.net.", REFUSED),
        ("*deep DNAME", NOERROR),
        ("\\042.deep NS ns1.example.net.", REFUSED),
        ("_acme-challenge.www TXT \"x\"", NOERROR), // Below one.
    ] {
        assert_eq!(code(&[], &[change]), expected, "{change}");
        let together = decide(&zone(), &message(&[], &["b A 192.0.2.9", change]), &everything());
        assert_eq!(together.is_ok(), expected == NOERROR, "all or nothing: {change}");
    }
}

#[test]
fn a_deletion_with_ttl_or_data_is_none() {
    for (line, change) in [
        ("*a A", (|record: &mut UpdateRecord| record.ttl = 1) as fn(&mut UpdateRecord)),
        ("*a A", |record| record.data = [1].into()),
        ("-a A 192.0.2.2", |record| record.ttl = 1),
        ("a A 192.0.2.2", |record| record.class = 3),
    ] {
        let mut message = message(&[], &[line]);
        change(&mut message.changes[0]);
        let refused = decide(&zone(), &message, &everything()).unwrap_err();
        assert_eq!(refused.rcode(), FORMERR, "{:?}", message.changes);
    }
}

#[test]
fn another_zone_and_a_key_without_rules_are_refused() {
    let mut other = message(&[], &["a TXT \"x\""]);
    other.zone = name("sub");
    assert_eq!(decide(&zone(), &other, &everything()).unwrap_err().rcode(), NOTAUTH);
    let ours = message(&["*nobody ANY"], &[]);
    let refused = decide(&zone(), &ours, &UpdateRules::default()).unwrap_err();
    assert_eq!(refused, UpdateRefused::NoRule, "not even what is there is told");
    assert_eq!(refused.rcode(), REFUSED);
}

/// What is there afterwards of a name, without the SOA record.
#[test]
fn changes_do_what_section_3_4_2_says() {
    let lines = |text: &str, owner: &str| -> Vec<String> {
        let owner = format!("{owner}.\t");
        let of_owner = text.lines().filter(|line| line.starts_with(&owner));
        let parts = of_owner.map(|line| line.splitn(5, '\t').collect::<Vec<_>>());
        let written = parts.map(|it| format!("{} {} {}", it[1], it[3], it[4]));
        written.filter(|it| !it.contains(" SOA ")).collect()
    };
    let of_a = ["60 A 192.0.2.2", "60 A 192.0.2.3", "60 TXT \"one\""];
    let of_apex = ["3600 NS ns1.example.", "3600 NS ns2.example.net."];
    let cases: &[(&[&str], &str, &[&str])] = &[
        (&["b A 192.0.2.9"], "b.example", &["77 A 192.0.2.9"]),
        // The whole set takes the new TTL (RFC 2181 section 5.2).
        (&["a A 192.0.2.2"], "a.example", &["77 A 192.0.2.2", "77 A 192.0.2.3", of_a[2]]),
        (&["*a A"], "a.example", &of_a[2..]),
        (&["*a ANY"], "a.example", &[]),
        (&["-a A 192.0.2.2"], "a.example", &of_a[1..]),
        (&["-a A 192.0.2.99"], "a.example", &of_a),
        (&["-mail MX 10 MAIL.example.NET."], "mail.example", &[]),
        (&["-a TXT \"ONE\""], "a.example", &of_a),
        // Each after the other.
        (&["*a ANY", "a TXT \"two\""], "a.example", &["77 TXT \"two\""]),
        (&["a TXT \"two\"", "*a ANY"], "a.example", &[]),
        // A CNAME stands alone, and what came first stays.
        (&["a CNAME b"], "a.example", &of_a),
        (&["alias A 192.0.2.9"], "alias.example", &["60 CNAME a.example."]),
        (&["alias CNAME b"], "alias.example", &["77 CNAME b.example."]),
        (&["*a ANY", "a CNAME b"], "a.example", &["77 CNAME b.example."]),
        // The apex keeps what makes it one.
        (&["*@ ANY"], "example", &of_apex),
        (&["*@ NS"], "example", &of_apex),
        (&["-@ NS ns1"], "example", &of_apex[1..]),
        (&["-@ NS ns1", "-@ NS ns2.example.net."], "example", &of_apex[1..]),
        (&["*@ SOA"], "example", &of_apex),
    ];
    for (changes, owner, expected) in cases {
        assert_eq!(lines(&after(changes), owner), *expected, "{changes:?}");
    }
}

#[test]
fn the_serial_rises_if_anything_changes_and_only_then() {
    let serial = |zone: &str, changes: &[&str]| {
        let zone = zone_of(zone);
        let difference = decide(&zone, &message(&[], changes), &everything()).unwrap();
        assert_eq!(difference.from_serial, zone.serial());
        let after = zone.with_difference(&difference).unwrap();
        assert_eq!(after.serial(), difference.to_serial);
        (difference.to_serial, difference.is_empty())
    };
    assert_eq!(serial(ZONE, &["b A 192.0.2.9"]), (42, false));
    assert_eq!(serial(ZONE, &["b A 192.0.2.9", "*b ANY"]), (41, true), "there and back");
    assert_eq!(serial(ZONE, &["*nobody ANY"]), (41, true));
    assert_eq!(serial(ZONE, &[]), (41, true));
    assert_eq!(serial(ZONE, &["a CNAME b"]), (41, true), "ignored");
    // A SOA record sets it, if it is higher.
    for (given, expected) in [("50", (50, false)), ("41", (41, true)), ("7", (41, true))] {
        let soa = format!("@ SOA ns1 other {given} 1 2 3 4");
        assert_eq!(serial(ZONE, &[&soa]), expected, "{given}");
    }
    assert_eq!(serial(ZONE, &["@ SOA ns1 other 7 1 2 3 4", "b A 192.0.2.9"]), (42, false));
    assert_eq!(serial(ZONE, &["@ SOA ns1 other 90 1 2 3 4", "b A 192.0.2.9"]), (90, false));
    // It goes round, without 0.
    let round = ZONE.replace(" 41 ", " 4294967295 ");
    assert_eq!(serial(&round, &["b A 192.0.2.9"]), (1, false));
    assert_eq!(serial(&round, &["@ SOA ns1 other 3 1 2 3 4"]), (3, false));
    // Two steps forward in one message, the second of which comes before where it began.
    let forth = ["@ SOA ns1 other 2147483600 1 2 3 4", "@ SOA ns1 other 4294967200 1 2 3 4"];
    assert_eq!(serial(ZONE, &forth), (2_147_483_600, false));
}

#[test]
fn the_soa_record_stands_first_on_both_sides() {
    let difference =
        decide(&zone(), &message(&[], &["a TXT \"two\"", "*alias ANY"]), &everything()).unwrap();
    let types = |list: &[crate::zone::Record]| -> Vec<u16> {
        list.iter().map(|record| record.record_type).collect()
    };
    // The new text gives its TTL to the one that was there.
    assert_eq!(types(&difference.removed), [6, 16, 5]);
    assert_eq!(types(&difference.added), [6, 16, 16]);
}

#[test]
fn a_set_that_no_reply_holds_is_refused() {
    let text = |count: usize| -> Vec<String> {
        (0..count).map(|number| format!("big TXT \"{number:0>250}\"")).collect()
    };
    let decided = |count: usize| {
        let lines = text(count);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        decide(&zone(), &message(&[], &lines), &everything())
    };
    assert!(decided(200).is_ok());
    assert_eq!(decided(240).unwrap_err(), UpdateRefused::TooMany(name("big")));
}

/// As RFC 4034 section 6.2 has it for types with names, and no others.
#[test]
fn names_are_the_same_in_any_case_and_nothing_else_is() {
    let small = b"\x04host\x07example\0".to_vec();
    let large = small.to_ascii_uppercase();
    let data = |head: &[u8], name: &[u8], tail: &[u8]| [head, name, tail].concat();
    for (record_type, head, tail) in [
        (2, &b""[..], &b""[..]),
        (5, b"", b""),
        (12, b"", b""),
        (39, b"", b""),
        (15, b"\0A", b""),
        (33, b"\0\0AAAA", b""),
        (35, b"\0\0\0\0\x01U\x03E2U\x01x", b""),
        (6, b"\x01m\0", b"AAAABBBBCCCCDDDDEEEE"),
    ] {
        let (one, other) = (data(head, &small, tail), data(head, &large, tail));
        let is_same = |one: &[u8], other: &[u8]| form(record_type, one) == form(record_type, other);
        assert!(is_same(&one, &other), "{record_type}");
        let canonical = |data: &[u8]| canonical(record_type, data);
        assert_eq!(canonical(&one), canonical(&other), "{record_type}");
        for part in [head, tail] {
            let small = part.to_ascii_lowercase();
            if small == part {
                continue;
            }
            let changed =
                if part == head { data(&small, &large, tail) } else { data(head, &large, &small) };
            let expected = canonical(&one) == canonical(&changed);
            assert_eq!(is_same(&one, &changed), expected, "{record_type} {part:?}");
        }
    }
    for (record_type, one) in [(16, b"\x01A".to_vec()), (64, data(b"\0\x01", &large, b""))] {
        assert_eq!(form(record_type, &one), one);
    }
}

/// As the library has it.
fn canonical(record_type: u16, data: &[u8]) -> Vec<u8> {
    use domain::base::name::ParsedName;
    use domain::base::rdata::{ComposeRecordData as _, ParseRecordData as _};
    use domain::rdata::ZoneRecordData;
    let mut parser = domain::dep::octseq::Parser::from_ref(data);
    let number = domain::base::iana::Rtype::from_int(record_type);
    let parsed = ZoneRecordData::<&[u8], ParsedName<&[u8]>>::parse_rdata(number, &mut parser);
    let mut composed = Vec::new();
    parsed.unwrap().unwrap().compose_canonical_rdata(&mut composed).unwrap();
    composed
}

/// A step for each record of the set, for each of a message's, is hundreds of millions here.
#[test]
fn one_set_may_come_and_go_in_a_message_record_by_record() {
    let change = |class, number: u32| UpdateRecord {
        name: name("big"),
        record_type: 1,
        class,
        ttl: 0,
        data: number.to_be_bytes().into(),
    };
    let (all, kept) = (20_000, 3_000);
    let added = (0..all).flat_map(|it| [change(1, it), change(1, it)]);
    let removed = (kept..all).rev().map(|it| change(254, it));
    let changes = added.chain(removed).collect();
    let message = UpdateMessage { zone: name("@"), prerequisites: Vec::new(), changes };
    let difference = decide(&zone(), &message, &everything()).unwrap();
    let added = difference.added.iter().skip(1).map(|record| record.data.to_vec());
    let expected = (0..kept).map(|number| number.to_be_bytes().to_vec());
    assert!(added.eq(expected), "those that stay, in the order in which they came");
}

#[test]
fn a_file_may_have_a_record_in_two_writings_and_both_go_at_once() {
    let zone = zone_of(&format!("{ZONE}a 60 PTR Host.example.net.\na 60 PTR host.example.net.\n"));
    let message = message(&[], &["-a PTR hOST.example.net."]);
    let next = zone.with_difference(&decide(&zone, &message, &everything()).unwrap()).unwrap();
    assert!(next.set(&name("a"), 12).is_none());
    // Nor is a name server another for that: the last one stays.
    let text = ZONE.replace("@ 3600 NS ns2.example.net.", "@ 3600 NS NS1");
    let zone = zone_of(&text);
    let message = self::message(&[], &["-@ NS ns1"]);
    assert!(decide(&zone, &message, &everything()).unwrap().is_empty());
}

#[test]
fn what_is_held_of_touched_names_is_counted_and_bounded() {
    let sets = (0..300).map(|number| {
        let data = vec![vec![b'x'; 60_000].into()];
        let owner = name(&format!("n{number}"));
        (owner, RecordSet { record_type: 65_280, ttl: 60, data, ..RecordSet::default() })
    });
    let zone = zone().with_sets(sets);
    let ground = UpdateGround { zone: &zone, services: &[], hosts: &[] };
    let lines: Vec<String> = (0..300).map(|number| format!("n{number} A 192.0.2.1")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut pending = PendingSets::default();
    let mut put = |lines: &[&str]| {
        let message = message(&[], lines);
        let done = decide_next(&ground, &mut pending, (&message, &everything()), usize::MAX);
        done.map(|_| pending.bytes())
    };
    let held = put(&lines[..100]).unwrap();
    assert!((6_000_000..6_100_000).contains(&held), "{held}");
    let again = put(&["n7 A 192.0.2.2"]).unwrap();
    assert!(again < held + 1000, "each is held once: {again}");
    assert_eq!(put(&lines).unwrap_err(), UpdateRefused::TooMuch);
}

#[test]
fn a_zone_grows_to_what_is_allowed_and_one_message_changes_so_much() {
    let zone = zone();
    let ground = UpdateGround { zone: &zone, services: &[], hosts: &[] };
    let mut pending = PendingSets::default();
    let mut put = |changes: &[&str], more: usize| {
        let message = message(&[], changes);
        let max = zone.memory() + more;
        decide_next(&ground, &mut pending, (&message, &everything()), max)
    };
    let long = format!("long TXT \"{}\"", "x".repeat(200));
    assert!(put(&[&long], 300).is_ok());
    let again = format!("longer TXT \"{}\"", "x".repeat(200));
    assert_eq!(put(&[&again], 300).unwrap_err(), UpdateRefused::TooLarge);
    assert!(put(&["*long ANY"], 0).is_ok(), "it may always become smaller");
    assert!(put(&[&again], 300).is_ok());
    // Three differences with a text of 200 bytes each, and two SOA records; a text and the apex are held.
    assert!((800..1600).contains(&pending.bytes()), "{}", pending.bytes());
    let many: String = (0..700)
        .flat_map(|set| (0..30).map(move |it| format!("big{set} 60 TXT \"{it:0>220}\"\n")))
        .collect();
    let zone = zone_of(&format!("{ZONE}{many}"));
    let ttls: Vec<String> = (0..700).map(|set| format!("big{set} TXT \"{:0>220}\"", 0)).collect();
    let ttls: Vec<&str> = ttls.iter().map(String::as_str).collect();
    let refused = decide(&zone, &message(&[], &ttls), &everything()).unwrap_err();
    assert_eq!(refused, UpdateRefused::TooMuch);
    assert!(decide(&zone, &message(&[], &ttls[..50]), &everything()).is_ok());
}

#[test]
fn a_zone_whose_name_is_a_pointer_is_none() {
    // Where the header begins with zeros it would be the root.
    for pointer in [b"\xc0\0", b"\xc0\x0c"] {
        let bytes = [&b"\0\0\x28\0\0\x01\0\0\0\0\0\0"[..], pointer, b"\0\x06\0\x01"].concat();
        let refused = UpdateMessage::read(&bytes).unwrap_err();
        assert!(matches!(refused, UpdateRefused::Malformed(_)), "{refused:?}");
    }
}

/// What is put together once at the end is what each update for itself would have made.
#[test]
fn updates_in_line_see_those_before_them() {
    let zone = zone();
    let ground = UpdateGround { zone: &zone, services: &[], hosts: &[] };
    let mut pending = PendingSets::default();
    let mut stepped = zone.clone();
    for (prerequisites, changes) in [
        (&[][..], &["b A 192.0.2.9", "a TXT \"two\""][..]),
        (&["*b A", "b A 192.0.2.9"], &["*a ANY", "-b A 192.0.2.9"]),
        (&["-b ANY", "-a A"], &["a A 192.0.2.2", "@ NS ns3.example.net."]),
        (&[], &["@ SOA ns1 host.master 900 1 1 1 1"]),
        (&[], &["alias CNAME b"]),
    ] {
        let message = message(prerequisites, changes);
        let rules = everything();
        let next = decide_next(&ground, &mut pending, (&message, &rules), usize::MAX).unwrap();
        let alone = decide(&stepped, &message, &rules).unwrap();
        assert_eq!((next.from_serial, next.to_serial), (alone.from_serial, alone.to_serial));
        stepped = stepped.with_difference(&next).unwrap();
    }
    assert_eq!(text(&pending.apply(&zone).unwrap()), text(&stepped));
}

#[test]
fn what_hides_a_service_may_be_deleted_and_nothing_more() {
    let zone = zone_of(&format!("{ZONE}www 60 CNAME a\nfra1 60 A 192.0.2.9\nfra1 60 TXT x\n"));
    let may = |change: &str| decide(&zone, &message(&[], &[change]), &everything()).is_ok();
    for (change, is_allowed) in [
        ("*www CNAME", true),
        ("-www CNAME a", true),
        ("*www ANY", true),
        ("*www A", false),
        ("www A 192.0.2.1", false),
        ("*svc.deep CNAME", false),
        ("*fra1 A", true),
        ("*fra1 TXT", false),
        ("fra1 A 192.0.2.8", false),
    ] {
        assert_eq!(may(change), is_allowed, "{change}");
    }
}
