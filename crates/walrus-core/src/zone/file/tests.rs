use super::*;
use crate::zone::{Nsec3Parameters, hashed_label};

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

fn set(zone: &Zone, name: &str, record_type: u16) -> crate::zone::RecordSet {
    zone.set(&name.parse().unwrap(), record_type).expect("the set exists").to_set()
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
    let addresses: Vec<Vec<u8>> =
        set(&zone, "www.example.com", 1).data.iter().map(|d| d.to_vec()).collect();
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
        "a A 1.2.3\nb A 192.0.2.1\nc A 192.0.2.1 junk\n\td TXT\nTXT\ne 1h30 IN A 192.0.2.1\n\
         $INCLUDE other\nf CH A 192.0.2.1\n$GENERATE 1-2 a A 1.2.3.4\ng ( A\n  192.0.2.1 x )\n\
         h A 192.0.2.1 )\n",
        &[
            "1: ",
            "3: there is more",
            "4: ",
            "5: ",
            "6: expected rtype (in a time",
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
    errors("d DNAME example.org.\nd DNAME example.net.\n", &["1: d.example.com has more than one"]);
    errors("d DNAME example.org.\nd CNAME example.net.\n", &["2: d.example.com has a CNAME"]);
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

#[test]
fn columns_are_those_of_the_file_with_times_and_after_an_error() {
    for (body, line, column) in [
        ("a 1w A 192.0.2.1 x\n", 1, 18),
        ("a 604800 A 192.0.2.1 x\n", 1, 22),
        ("a A y\n 1w A 192.0.2.1 x\n", 2, 17),
        ("a 1w TXT (\n 1w\n ) b ) c\n", 3, 6),
        ("a 9999999w A 192.0.2.1\n", 1, 3),
        ("$TTL 9999999w\n", 1, 6),
    ] {
        let problems = read(body).unwrap_err();
        let last = problems.last().unwrap();
        assert_eq!((last.line - 4, last.column), (line, column), "{body} {problems:?}");
    }
}

#[test]
fn times_may_have_units() {
    let text = "$TTL 1h\n@ 1D IN SOA ns1 1h ( 1 ; 2h\n 2h 15m 2W 5M )\n@ NS ns1\n\
                1d A 192.0.2.1\nns1 IN 1w A 192.0.2.53\ns IN TXT 1h \"1h\"\n 2m AAAA ::1\n";
    let zone = read_zone("zone", text.as_bytes(), &apex()).unwrap().zone;
    let soa = set(&zone, "example.com", 6);
    assert_eq!(soa.ttl, 86_400);
    let numbers = [1_u32, 7200, 900, 1_209_600, 300].map(u32::to_be_bytes).concat();
    assert!(soa.data[0].ends_with(&[b"\x021h\x07example\x03com\0", &*numbers].concat()));
    assert_eq!(set(&zone, "1d.example.com", 1).ttl, 3600);
    assert_eq!(set(&zone, "ns1.example.com", 1).ttl, 604_800);
    assert_eq!(&*set(&zone, "s.example.com", 16).data[0], b"\x021h\x021h");
    assert_eq!(set(&zone, "s.example.com", 28).ttl, 120);
}

#[test]
fn an_owner_in_parentheses_is_one_after_an_error_too() {
    errors("a A x\n(b A 192.0.2.1 )\n(c\n A 192.0.2.1 )\n TXT d\n", &["1: "]);
    let long = format!("{} A 192.0.2.1\n A 192.0.2.2\n TXT a\nc A 192.0.2.3\n", "a".repeat(64));
    errors(&long, &["1: bad name"]);
    let nobody = read_zone("zone", b" A 192.0.2.1\n A 192.0.2.1\n", &apex()).unwrap_err();
    assert_eq!(nobody.iter().filter(|it| it.message.starts_with("this line begins")).count(), 2);
}

mod including {
    use super::*;

    fn read_with(text: &str, files: &[(&str, &str)]) -> Result<ZoneFile, Vec<Problem>> {
        let include = |path: &str| {
            let file = files.iter().find(|(name, _)| *name == path).ok_or("it is not there")?;
            Ok(IncludedFile { name: format!("/zones/{path}"), text: file.1.into() })
        };
        read_zone_including("zone", format!("{HEAD}{text}").as_bytes(), &apex(), &include)
    }

    #[test]
    fn origin_and_owner_stand_again_and_a_ttl_goes_on() {
        let zone = read_with(
            "www A 192.0.2.1\n$ORIGIN deep\n$INCLUDE one sub ; comment\n TXT parent\n\
             x A 192.0.2.9\n$include \"two\"\n AAAA ::1\n$INCLUDE \"* \\\"\"\n",
            &[
                ("one", " TXT first\na A 192.0.2.2\n$ORIGIN y\n$TTL 1m\nb A 192.0.2.3\n"),
                ("two", "$INCLUDE three\n MX 1 m\n"),
                ("three", "c A 192.0.2.4"),
                ("* \"", "d A 192.0.2.5"),
            ],
        )
        .unwrap()
        .zone;
        // The owner before `$ORIGIN deep` is relative to the origin before it.
        let texts = &set(&zone, "www.example.com", 16).data;
        assert_eq!(
            texts.iter().map(|it| &**it).collect::<Vec<_>>(),
            [b"\x05first", b"\x06parent" as &[u8]]
        );
        assert_eq!(set(&zone, "a.sub.deep.example.com", 1).ttl, 3600);
        assert_eq!(set(&zone, "b.y.sub.deep.example.com", 1).ttl, 60);
        assert_eq!(set(&zone, "x.deep.example.com", 1).ttl, 60);
        assert_eq!(set(&zone, "c.deep.example.com", 1).ttl, 60);
        assert_eq!(set(&zone, "d.deep.example.com", 1).ttl, 60);
        assert_eq!(set(&zone, "x.deep.example.com", 15).data.len(), 1);
        assert_eq!(set(&zone, "x.deep.example.com", 28).data.len(), 1);
    }

    #[test]
    fn problems_carry_the_included_files_name_and_line() {
        let problems = read_with(
            "$INCLUDE one\nb A y\n$INCLUDE none\n",
            &[("one", "\na A x\nwww.example.org. A 192.0.2.1\nm CNAME a\nm TXT b\n")],
        )
        .unwrap_err();
        let places: Vec<_> = problems.iter().map(|it| (it.file.as_str(), it.line)).collect();
        assert_eq!(
            places,
            [("/zones/one", 2), ("/zones/one", 3), ("/zones/one", 5), ("zone", 6), ("zone", 7)]
        );
        assert_eq!(problems[4].message, "cannot include none: it is not there");
    }

    #[test]
    fn what_would_not_end_is_refused() {
        let deep = read_with("$INCLUDE a\n", &[("a", "\n$INCLUDE a\n")]).unwrap_err();
        assert_eq!(deep.len(), 1);
        assert_eq!((deep[0].file.as_str(), deep[0].line), ("/zones/a", 2));
        assert!(deep[0].message.contains("does a file include itself?"), "{deep:?}");
        let twice = "$INCLUDE a\n".repeat(10);
        assert!(read_with("$INCLUDE a\n", &[("a", &twice)]).unwrap_err().len() <= PROBLEMS_MAX);
        let many = "$INCLUDE empty\n".repeat(1001);
        let problems = read_with(&many, &[("empty", "")]).unwrap_err();
        assert_eq!(problems[0].message, "a zone includes at most 1000 files");
    }

    #[test]
    fn an_owner_does_not_come_out_of_an_included_file() {
        let include = |_: &str| {
            Ok(IncludedFile { name: "i".to_owned(), text: b"www A 192.0.2.1\n".to_vec() })
        };
        let problems =
            read_zone_including("zone", b"$INCLUDE i\n TXT lost\n", &apex(), &include).unwrap_err();
        assert!(problems.iter().any(|it| it.line == 2), "{problems:?}");
    }
}

/// Seconds as a time with units, in an order and a case that `style` chooses.
fn with_units(seconds: u32, style: u32) -> String {
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, len) in [('w', 604_800), ('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)] {
        let count = rest / len;
        if count > 0 || (unit == 's' && parts.is_empty()) {
            let upper = style >> parts.len() & 1 == 1;
            let unit = if upper { unit.to_ascii_uppercase() } else { unit };
            parts.push(format!("{count}{unit}"));
        }
        rest %= len;
    }
    let by = style as usize % parts.len();
    parts.rotate_left(by);
    parts.concat()
}

proptest::proptest! {
    #[test]
    fn a_zone_is_the_same_with_units_and_in_seconds(
        times in proptest::array::uniform8(0..=TTL_LAST),
        style in proptest::num::u32::ANY,
    ) {
        let text = |write: &dyn Fn(u32) -> String| {
            let [a, b, c, d, e, f, g, h] = times.map(write);
            format!(
                "$TTL {a}\n@ {b} SOA ns1 1h 5 ( {c} {d} ; 1h\n {e} {f} )\n@ NS ns1\n\
                 ns1 {g} IN A 192.0.2.1\n IN {h} TXT {a} \"1h\"\n1w MX 1 2d\n"
            )
        };
        let seconds = text(&|it| it.to_string());
        // What the TXT record says is text, so it stays as it is.
        let units = text(&|it| with_units(it, style))
            .replace(&format!("TXT {}", with_units(times[0], style)), &format!("TXT {}", times[0]));
        let read = |text: &str| read_zone("zone", text.as_bytes(), &apex()).unwrap();
        proptest::prop_assert_eq!(read(&seconds), read(&units));
    }
}

const TTL_LAST: u32 = i32::MAX as u32;

#[test]
fn a_name_has_no_empty_label() {
    for body in [
        "www.example.com..foo A 192.0.2.1\n",
        "www.. A 192.0.2.1\n",
        "c CNAME a..b\n",
        "c CNAME a..\n",
        "m MX 1 a..b.\n",
        "s SRV 1 2 3 a..\n",
        "h HTTPS 1 a..b alpn=h2\n",
    ] {
        errors(body, &["1: a name has an empty label"]);
    }
    let text = read("t TXT a..b \"..\"\nx\\..y CNAME b\\..c\n").unwrap().zone;
    assert_eq!(&*set(&text, "t.example.com", 16).data[0], b"\x04a..b\x02..");
    assert_eq!(set(&text, "x\\..y.example.com", 5).data.len(), 1);
}

#[test]
fn data_in_the_form_for_unknown_types_is_of_its_type() {
    for body in [
        "a A \\# 3 010203\n",
        "a A \\# 5 0102030405\n",
        "a MX \\# 4 0000c000\n",
        "a CNAME \\# 2 0161\n",
        "a CNAME \\# 2 c000\n",
        "a TXT \\# 2 0261\n",
    ] {
        errors(body, &["1: the data is not of the record's type"]);
    }
    let body =
        "a A \\# 4 01020304\na MX \\# 5 000a 016100\na TYPE999 \\# 2 c000\na TXT \\# 3 024141\n";
    assert_eq!(read(body).unwrap().zone.sets(&"a.example.com".parse().unwrap()).iter().count(), 4);
}

#[test]
fn a_word_right_behind_a_quoted_one_is_no_panic() {
    for body in ["$INCLUDE \"a\"b\n", "\"$ORIGIN\"b\n", "$INCLUDE \"a\"\"b\"\n"] {
        errors(body, &["1: a blank is missing"]);
    }
}

#[test]
fn a_zone_that_takes_too_much_memory_is_refused_with_what_to_do() {
    let text = |names: usize| {
        let line = |number: usize| format!("host-with-a-long-name-{number} A 192.0.2.1\n");
        format!("{HEAD}{}", (0..names).map(line).collect::<String>())
    };
    let apex = apex();
    for memory_max in [20, 2000, 200_000] {
        let reader = ZoneReader::new("zone", &apex).with_memory_max(memory_max);
        let read = |text: &str| reader.read(text.as_bytes(), None);
        let fitting = read(&text(memory_max / 200));
        assert_eq!(fitting.is_ok(), memory_max > 20, "{fitting:?}");
        let problems = read(&text(memory_max / 10 + 1)).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains("raise `[dns] zone_memory_max`"), "{problems:?}");
        let parts = reader.split(text(memory_max).as_bytes(), 2);
        let scanned =
            parts.iter().map(|part| reader.scan(text(memory_max).as_bytes(), part)).collect();
        let in_parts = reader.read_scanned(text(memory_max).into_bytes(), scanned, None);
        assert_eq!(in_parts, read(&text(memory_max)));
    }
}

#[test]
fn signatures_and_proofs_are_kept_where_asked_to() {
    let rrsig =
        |covered: &str| format!("RRSIG {covered} 13 3 3600 20300101000000 20260101000000 7 @ AAAA");
    let body = format!(
        "www A 192.0.2.1\nwww {}\nwww NSEC @ A RRSIG NSEC\nwww {}\nwww {}\n\
         alias CNAME www\nalias NSEC @ CNAME NSEC\nsub NS ns1\nsub NSEC @ NS NSEC\n",
        rrsig("A"),
        rrsig("NSEC"),
        rrsig("TXT"),
    );
    let text = format!("{HEAD}{body}");
    let apex = apex();
    let kept = ZoneReader::new("zone", &apex).keeping_signatures(true);
    let kept = kept.read(text.as_bytes(), None).unwrap();
    assert_eq!(told(&kept.warnings).len(), 1, "{:?}", kept.warnings);
    assert!(told(&kept.warnings)[0].starts_with("5: www.example.com has a signature over TXT"));
    assert_eq!(set(&kept.zone, "www.example.com", 1).signatures.len(), 1);
    assert_eq!(set(&kept.zone, "www.example.com", 47).signatures.len(), 1);
    assert_eq!(set(&kept.zone, "sub.example.com", 47).data.len(), 1);
    let stripped = read(&body).unwrap();
    assert!(told(&stripped.warnings)[0].starts_with("2: RRSIG, NSEC, NSEC3"));
    assert!(set(&stripped.zone, "www.example.com", 1).signatures.is_empty());
    assert!(stripped.zone.set(&"www.example.com".parse().unwrap(), 47).is_none());
}

/// A zone whose only names are its apex and `ns1`, with a chain for them.
fn hashed(parameters: &str, links: &[(usize, usize)], flags: u8) -> String {
    let fields: Vec<&str> = parameters.split(' ').collect();
    let salt: &[u8] = if fields[1] == "-" { &[] } else { &[0xaa, 0xbb] };
    let hash = Nsec3Parameters { iterations: fields[0].parse().unwrap(), salt: salt.into() };
    let labels = ["example.com", "ns1.example.com"].map(|owner| {
        let owner: DomainName = owner.parse().unwrap();
        String::from_utf8(hashed_label(&hash.hash(owner.as_wire())).to_vec()).unwrap()
    });
    let mut text = format!("{HEAD}@ NSEC3PARAM 1 0 {parameters}\n");
    for (owner, next) in links {
        let (owner, next) = (labels[*owner].to_ascii_uppercase(), &labels[*next]);
        text += &format!(
            "{owner} 60 RRSIG NSEC3 13 3 60 20300101000000 20260101000000 7 @ AAAA\n\
             {owner} 60 NSEC3 1 {flags} {parameters} {next} A RRSIG\n"
        );
    }
    text
}

#[test]
fn an_nsec3_chain_is_kept_with_its_salt_iterations_and_opt_out() {
    let apex = apex();
    let read = |text: &str| {
        ZoneReader::new("zone", &apex).keeping_signatures(true).read(text.as_bytes(), None)
    };
    for (parameters, flags) in [("0 -", 0), ("50 aabb", 1)] {
        let kept = read(&hashed(parameters, &[(0, 1), (1, 0)], flags)).unwrap();
        assert_eq!(told(&kept.warnings), Vec::<String>::new());
        let chain = kept.zone.nsec3().unwrap();
        assert_eq!((chain.len(), kept.zone.name_count()), (2, 2), "a hash is no name");
        let at_apex = chain.matching(&chain.parameters().hash(apex.as_wire())).unwrap();
        assert_eq!(at_apex.data().concat()[..2], [1, flags]);
        assert_eq!((at_apex.ttl(), at_apex.signatures().count()), (60, 1));
        let mut text = String::new();
        write_zone(&kept.zone, &mut text).unwrap();
        assert_eq!(read(&text).unwrap().zone, kept.zone, "and written as it is read");
    }
    let whole = [(0, 1), (1, 0)];
    for (text, word) in [
        (hashed("51 -", &whole, 0), "at most 50"),
        (hashed("0 -", &[(0, 0), (1, 0)], 0), "has a gap"),
        (hashed("0 -", &[(0, 1), (1, 0), (1, 0)], 0), "has a gap"),
        (hashed("0 -", &[(1, 1)], 0), "at the apex"),
        (hashed("0 -", &whole, 0).replace("NSEC3PARAM 1 0 0 -", "TXT x"), "no NSEC3PARAM"),
        (hashed("0 -", &whole, 0).replace("1 0 0 -", "2 0 0 -"), "algorithm 2"),
        (
            hashed("0 -", &whole, 0) + "ns1 NSEC3 1 0 0 - 00000000000000000000000000000000 A\n",
            "nowhere else",
        ),
    ] {
        let problems = told(&read(&text).unwrap_err());
        assert!(problems.iter().any(|it| it.contains(word)), "{word}: {problems:?}");
    }
    let others = hashed("0 -", &whole, 0) + &hashed("7 aabb", &whole, 0)[HEAD.len()..];
    let kept = read(&others).unwrap();
    assert!(told(&kept.warnings)[0].contains("other parameters"), "{:?}", kept.warnings);
    assert_eq!(kept.zone.nsec3().unwrap().parameters().iterations, 0);
}

#[test]
fn an_at_sign_in_data_is_the_origin() {
    let file = read(
        "mail MX 10 @\n$ORIGIN Sub.example.com.\na CNAME @\nb MX (10\n@)\n@ 60 IN SRV 1 2 3 @\n\
         c TXT @\nd RP @ @\n",
    );
    let zone = file.unwrap().zone;
    let data = |owner: &str, number| set(&zone, owner, number).data[0].to_vec();
    assert_eq!(data("mail.example.com", 15), b"\0\x0a\x07example\x03com\0");
    let sub = b"\x03Sub\x07example\x03com\0".as_slice();
    assert_eq!(data("a.sub.example.com", 5), sub);
    assert_eq!(data("b.sub.example.com", 15), [&[0, 10], sub].concat());
    assert_eq!(data("sub.example.com", 33), [&[0, 1, 0, 2, 0, 3], sub].concat());
    assert_eq!(data("c.sub.example.com", 16), b"\x01@");
    assert_eq!(data("d.sub.example.com", 17), [sub, sub].concat());
}
