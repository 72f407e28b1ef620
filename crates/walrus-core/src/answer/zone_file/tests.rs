use super::*;

const HEAD: &str =
    "$TTL 3600\n@ IN SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\nns1 A 192.0.2.53\n";

fn apex() -> DomainName {
    "example.com".parse().unwrap()
}

fn read(body: &str) -> Result<ZoneFile, Vec<Problem>> {
    read_zone("zone", format!("{HEAD}{body}").as_bytes(), &apex())
}

/// Lines (counted after [`HEAD`]) and beginnings of the messages.
fn told(problems: &[Problem]) -> Vec<String> {
    let line = |problem: &Problem| i64::from(problem.line) - 4;
    problems.iter().map(|problem| format!("{}: {}", line(problem), problem.message)).collect()
}

#[track_caller]
fn errors(body: &str, expected: &[&str]) {
    let problems = told(&read(body).expect_err("has errors"));
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(expected) {
        assert!(problem.starts_with(start), "{problem} is not {start}");
    }
}

#[track_caller]
fn warnings(body: &str, expected: &[&str]) {
    let problems = told(&read(body).expect("has no errors").warnings);
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(expected) {
        assert!(problem.starts_with(start), "{problem} is not {start}");
    }
}

fn set<'a>(zone: &'a Zone, name: &str, record_type: u16) -> &'a crate::answer::RecordSet {
    let sets = &zone.names[&name.parse().unwrap()];
    sets.iter().find(|set| set.record_type == record_type).expect("the set exists")
}

#[test]
fn records_of_many_forms() {
    let zone = read(
        "www 60 IN A 192.0.2.1\n     IN 60 A 192.0.2.2 ; the same owner\n\n; a comment\n\
         text TXT ( \"one; \\\"two\\\"\"\n   three )\n\
         odd TYPE65400 \\# 3 010203\nknown A \\# 4 0a000001\n\
         $ORIGIN sub\n@ A 10.0.0.1\nx\\.y AAAA 2001:db8::1\r\n*.wild MX 10 mail.example.net.\n\
         _sip._tcp SRV 1 2 3 host\n@ CAA 0 issue \"ca.example\"",
    )
    .unwrap()
    .zone;
    assert_eq!(set(&zone, "www.example.com", 1).ttl, 60);
    let addresses: Vec<&[u8]> =
        set(&zone, "www.example.com", 1).data.iter().map(|d| &**d).collect();
    assert_eq!(addresses, [&[192, 0, 2, 1], &[192, 0, 2, 2]]);
    assert_eq!(&*set(&zone, "text.example.com", 16).data[0], b"\x0aone; \"two\"\x05three");
    assert_eq!(&*set(&zone, "odd.example.com", 65400).data[0], [1, 2, 3]);
    assert_eq!(&*set(&zone, "known.example.com", 1).data[0], [10, 0, 0, 1]);
    assert_eq!(&*set(&zone, "sub.example.com", 1).data[0], [10, 0, 0, 1]);
    assert_eq!(set(&zone, "x\\.y.sub.example.com", 28).ttl, 3600);
    assert_eq!(
        &*set(&zone, "*.wild.sub.example.com", 15).data[0],
        b"\0\x0a\x04mail\x07example\x03net\0"
    );
    assert_eq!(set(&zone, "_sip._tcp.sub.example.com", 33).data.len(), 1);
    assert_eq!(&*set(&zone, "sub.example.com", 257).data[0], b"\0\x05issueca.example");
}

#[test]
fn every_scanner_error_is_told_with_its_line() {
    errors(
        "a A 1.2.3\nb A 192.0.2.1\nc A 192.0.2.1 junk\n\td TXT\nTXT\ne 1h IN A 192.0.2.1\n\
         $INCLUDE other\nf CH A 192.0.2.1\n$GENERATE 1-2 a A 1.2.3.4\ng ( A\n  192.0.2.1 x )\n\
         h A 192.0.2.1 )\n",
        &[
            "1: ",
            "3: there is more",
            "4: ",
            "5: ",
            "6: expected rtype (times",
            "7: $INCLUDE is not read",
            "8: only records of class IN",
            "9: unknown control",
            "11: there is more",
            "12: a closing parenthesis",
        ],
    );
    errors("a TXT \"open\nb A 192.0.2.1\n", &["1: this line opens a quote"]);
    errors("a TXT ( open\nb A 192.0.2.1\n", &["1: the parenthesis opened here"]);
    errors("a A 192.0.2.1\na 4000000000 A 192.0.2.2\n", &["2: a TTL is at most"]);
}

#[test]
fn after_an_error_origin_ttl_and_owner_stand() {
    let text = "$ORIGIN com.\n$TTL 77\nexample SOA a b 1 2 3 4 5\n NS ns.example.net.\nbad.example A x\n TXT here\n";
    let problems = read_zone("zone", text.as_bytes(), &apex()).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!((problems[0].line, problems[0].file.as_str()), (5, "zone"));
}

#[test]
fn apex_must_have_one_soa_and_a_name_server() {
    let text = "www A 192.0.2.1\n";
    let problems = read_zone("zone", text.as_bytes(), &apex()).unwrap_err();
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert!(messages[0].starts_with("no NS record at example.com"), "{messages:?}");
    assert!(messages[1].starts_with("no SOA record at example.com"), "{messages:?}");
    errors("@ SOA ns1 x 1 2 3 4 5\n", &["-2: example.com has more than one SOA"]);
    errors("x SOA ns1 x 1 2 3 4 5\n", &["1: x.example.com has an SOA record"]);
}

#[test]
fn records_where_they_must_not_be() {
    errors("www.example.org. A 192.0.2.1\n", &["1: www.example.org is not in the zone"]);
    errors("a CNAME b\na A 192.0.2.1\n", &["2: a.example.com has a CNAME record and beside it A"]);
    errors("a CNAME b\na CNAME c\n", &["1: a.example.com has more than one CNAME"]);
    errors("*.d NS ns1\n", &["1: *.d.example.com delegates by a wildcard"]);
    errors("d DNAME example.org.\n", &["1: DNAME is not served"]);
    errors("d TYPE255 \\# 0\n", &["1: type 255 exists only in queries"]);
    errors(
        "sub NS ns.sub\nsub MX 1 a\nns.sub A 192.0.2.1\nns.sub TXT no\na.b.sub CNAME x\n",
        &[
            "2: sub.example.com has a MX record at",
            "4: ns.sub.example.com has a TXT record below",
            "5: ",
        ],
    );
}

#[test]
fn warnings_do_not_refuse_the_zone() {
    warnings("a 60 A 192.0.2.1\na 30 A 192.0.2.2\n", &["2: the A records of a.example.com have"]);
    assert_eq!(
        set(&read("a 60 A 192.0.2.1\na 30 A 192.0.2.2\n").unwrap().zone, "a.example.com", 1).ttl,
        30
    );
    warnings("a A 192.0.2.1\na A 192.0.2.1\n", &["1: a.example.com has 1 A records twice"]);
    warnings(
        "a MX 1 b\nb CNAME c\nc A 192.0.2.1\n",
        &["1: MX of a.example.com names b.example.com"],
    );
    warnings(
        "sub NS ns.sub\n",
        &["1: NS of sub.example.com names ns.sub.example.com, which has no"],
    );
    warnings(
        "sub NS ns.sub\nns.sub A 192.0.2.1\nwww.sub A 192.0.2.2\n",
        &["3: www.sub.example.com stands below the delegation"],
    );
    warnings("a NSEC b A\n", &["1: RRSIG, NSEC"]);
}

#[test]
fn a_set_that_no_message_can_carry_is_refused() {
    let record = format!("big TXT {}\n", "\"0123456789abcdef\" ".repeat(250));
    let body: String = (0..20).map(|n| record.replace("TXT", &format!("TXT n{n}"))).collect();
    errors(&body, &["1: big.example.com has"]);
}

#[test]
fn a_file_that_is_none_is_given_up_after_a_hundred_problems() {
    let problems = read(&"<html> </html>\n".repeat(10_000)).unwrap_err();
    assert_eq!(problems.len(), 100);
}

#[test]
fn made_zones_have_soa_and_name_servers() {
    let servers = ["ns1.example.com".parse().unwrap(), "ns2.example.com".parse().unwrap()];
    let zone = zone_of_nameservers(&apex(), &servers);
    assert_eq!(set(&zone, "example.com", 2).data.len(), 2);
    assert!(
        set(&zone, "example.com", 6).data[0]
            .starts_with(b"\x03ns1\x07example\x03com\0\x0ahostmaster")
    );
}
