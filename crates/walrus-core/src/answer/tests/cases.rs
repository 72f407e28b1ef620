//! Each kind of static question, refusal and cut, by name.

use std::collections::BTreeMap;

use walrus_dns::record_type::{
    A, AAAA, ANY, AXFR, CAA, CNAME, DNAME, DS, MX, NS, PTR, SOA, SRV, TXT,
};

use super::fixture::{Ask, Reply, both, empty_table, name, plan, table, zone_table};
use crate::answer::{
    Lack, Outcome, WorkerState, ZoneCompileError, ZoneTable, respond, respond_completely,
};
use crate::world::ServiceTypes;
use crate::zone::read_zone;

const SOA_TEXT: &str = "example SOA 300 ns.example. host.example. 1 2 3 4 300";

fn check(question: &str, record_type: u16, rcode: u16, expected: &str) {
    let table = table(plan());
    let mut worker = WorkerState::new(1, &table);
    let reply = Ask::new(question, record_type).answer(&table, &mut worker);
    assert_eq!((reply.rcode(), &*reply.text()), (rcode, expected), "{question} {record_type}");
}

#[test]
fn static_names_are_answered() {
    check("ns.example", A, 0, "ns.example A 3600 192.0.2.53");
    check("NS.eXample", A, 0, "NS.eXample A 3600 192.0.2.53");
    check("a.b.c.example", A, 0, "a.b.c.example A 60 192.0.2.2");
    check("txt.example", TXT, 0, "txt.example TXT 60 \"one\", txt.example TXT 60 \"two\"");
    check("srv.example", SRV, 0, "srv.example SRV 60 1 2 3 www.example");
    check("caa.example", CAA, 0, "caa.example CAA 60 0 issue \"x\"");
    check("example", NS, 0, "example NS 3600 ns.example., example NS 3600 ns.other.");
    check("ns.other", A, 0, "ns.other A 60 192.0.2.54");
    check("ns.child.example", A, 0, "ns.child.example A 60 192.0.2.7");
    check("ptr.example", PTR, 0, "ptr.example PTR 60 ptr.example.");
    check(
        "mx.example",
        MX,
        0,
        "mx.example MX 60 10 mail.example., mx.example MX 60 20 a.mx.example.",
    );
    check("example", SOA, 0, "example SOA 3600 ns.example. host.example. 1 2 3 4 300");
}

#[test]
fn what_does_not_exist_comes_with_the_soa() {
    let negative = |soa: &str| format!("/ {soa}");
    // RFC 2308 section 5: the lesser of the SOA's TTL and its minimum.
    for (question, record_type, rcode) in [
        ("nothing.example", A, 3),
        ("deep.nothing.example", A, 3),
        ("below.ns.example", A, 3),
        ("ns.example", AAAA, 0),
        ("c.example", A, 0),
        ("c.example", ANY, 0),
        ("service.example", A, 0),
        ("www.example", MX, 0),
    ] {
        check(question, record_type, rcode, &negative(SOA_TEXT));
    }
    check("x.other", A, 3, "/ other SOA 60 ns.other. mail.ns.other. 1 2 3 4 3600");
}

#[test]
fn a_service_lives_beside_other_static_types() {
    check("www.example", TXT, 0, "www.example TXT 60 \"beside a service\"");
    let table = table(plan());
    let mut worker = WorkerState::new(1, &table);
    let reply = Ask::new("www.example", A).answer(&table, &mut worker);
    assert!(!reply.addresses().contains(&[192, 0, 2, 99].into()));
}

#[test]
fn aliases_out_of_our_zones_and_any() {
    check("out.example", A, 0, "out.example CNAME 60 www.elsewhere.");
    check("in.example", CNAME, 0, "in.example CNAME 60 a.b.c.example.");
    check("txt.example", ANY, 0, "txt.example HINFO 3600 \"RFC8482\" \"\"");
    check("www.example", ANY, 0, "www.example HINFO 3600 \"RFC8482\" \"\"");
    check("in.example", ANY, 0, "in.example CNAME 60 a.b.c.example.");
    check("out.example", ANY, 0, "out.example CNAME 60 www.elsewhere.");
}

#[test]
fn not_ours_is_refused() {
    check("elsewhere", A, 5, "");
    check("", NS, 5, "");
    check("example", AXFR, 5, "");
    let table = table(plan());
    let chaos = Ask { class: 3, ..Ask::new("ns.example", A) };
    assert_eq!(chaos.answer(&table, &mut WorkerState::new(1, &table)).rcode(), 5);
}

#[test]
fn what_the_complete_path_must_answer() {
    let table = table(plan());
    let mut worker = WorkerState::new(1, &table);
    for (question, record_type) in [
        ("del.example", A),
        ("ns.del.example", A),
        ("x.del.example", A),
        ("in.example", A),
        ("to.example", A),
        ("x.wild.example", A),
        ("child.example", DS),
        ("mixed.example", A),
    ] {
        let ask = Ask::new(question, record_type);
        assert!(both(&table, &mut worker, &ask.request(&ask.bytes())).is_none(), "{question}");
    }
}

/// A zone that is to be signed and cannot be yet: neither it nor what is above it may say anything
/// of its names, but for the DS at its apex, which is the parent's.
#[test]
fn a_zone_that_waits_is_refused_and_hides_from_the_zone_above() {
    let zones: Vec<_> = super::fixture::zones().into_iter().take(2).collect();
    let waiting = ["child.example", "gone", "b.c.example", "x.wild.example"];
    let waiting = waiting.map(|apex| (name(apex), Lack::Signatures)).into();
    let services = ["other", "www.example"].map(name);
    let zones = ZoneTable::compile_beside(&zones, &services, &waiting, &BTreeMap::new()).unwrap();
    let table = empty_table().with_zones(std::sync::Arc::new(zones)).unwrap();
    let mut worker = WorkerState::new(1, &table);
    let mut ask = |question, record_type| {
        let ask = Ask::new(question, record_type);
        let bytes = ask.bytes();
        let mut reply = vec![0; 1232];
        let mut outcome = respond(&table, &mut worker, &ask.request(&bytes), &mut reply);
        if outcome == Outcome::NotUnderstood {
            outcome = respond_completely(&table, &mut worker, &ask.request(&bytes), &mut reply);
        }
        let Outcome::Reply(len) = outcome else { panic!("{outcome:?}") };
        reply.truncate(len);
        Reply(reply)
    };
    for question in [
        "child.example",
        "ns.child.example",
        "a.b.child.example",
        "gone",
        "a.gone",
        "y.x.wild.example",
    ]
    .into_iter()
    .chain(["b.c.example", "a.b.c.example", "x.wild.example"])
    {
        for record_type in [A, ANY, SOA, TXT] {
            let reply = ask(question, record_type);
            assert_eq!((reply.rcode(), reply.flags()), (5, (false, false)), "{question}");
            assert!(reply.0.ends_with(b"\0\x0f\0\x1d\0\x0ezone is not signed here yet"));
        }
    }
    let ds = ask("child.example", DS);
    assert_eq!((ds.rcode(), ds.text().starts_with("child.example DS 60")), (0, true));
    assert_eq!(ask("gone", DS).rcode(), 5);
    assert_eq!(ask("b.c.example", DS).rcode(), 0, "there is nothing, says the zone above");
    for (question, rcode) in
        [("c.example", 0), ("z.wild.example", 0), ("ns.other", 0), ("q.example", 3)]
    {
        assert_eq!(ask(question, A).rcode(), rcode, "{question}");
    }
    assert!(!ask("elsewhere", A).0.ends_with(b"yet"));
    // An alias into it is an answer; the resolver goes on by itself.
    assert_eq!(ask("in.example", A).text(), "in.example CNAME 60 a.b.c.example.");
    let service = [name("www.child.example")];
    let zones: Vec<_> = super::fixture::zones().into_iter().take(2).collect();
    let waiting = [(name("child.example"), Lack::Content)].into();
    assert!(ZoneTable::compile_beside(&zones, &service, &waiting, &BTreeMap::new()).is_err());
    let zones = ZoneTable::compile_beside(&zones, &[], &waiting, &BTreeMap::new()).unwrap();
    let table = empty_table().with_zones(std::sync::Arc::new(zones)).unwrap();
    let ask = Ask::new("a.child.example", A);
    let (bytes, mut reply) = (ask.bytes(), vec![0; 1232]);
    let mut worker = WorkerState::new(1, &table);
    let outcome = respond_completely(&table, &mut worker, &ask.request(&bytes), &mut reply);
    let Outcome::Reply(len) = outcome else { panic!("{outcome:?}") };
    reply.truncate(len);
    assert!(reply.ends_with(b"no zone came from its primary, or it expired"));
    assert_eq!((Reply(reply.clone()).rcode(), Reply(reply).flags()), (2, (false, false)));
}

/// RFC 6672: what is below a DNAME record stands below its target, also what the zone has there itself.
#[test]
fn what_is_below_a_dname_is_renamed() {
    let text = "@ 60 SOA ns host 1 2 3 4 300\n@ 60 NS ns.x.\nren 60 DNAME to\nx.ren 60 A 192.0.2.9\n\
                y.z.ren 60 A 192.0.2.9\nhost.to 60 A 192.0.2.1\nx.to 60 A 192.0.2.2\n\
                ali 60 CNAME host.ren\nround 60 DNAME round\nout 60 DNAME elsewhere.\n";
    let zone = read_zone("dn", text.as_bytes(), &name("dn")).unwrap().zone;
    let zones = ZoneTable::compile(&[std::sync::Arc::new(zone)], &[]).unwrap();
    let table = empty_table().with_zones(std::sync::Arc::new(zones)).unwrap();
    let mut worker = WorkerState::new(1, &table);
    let mut ask = |question: &str, record_type| {
        let ask = Ask::new(question, record_type);
        let bytes = ask.bytes();
        let mut reply = vec![0; 1232];
        let mut outcome = respond(&table, &mut worker, &ask.request(&bytes), &mut reply);
        if outcome == Outcome::NotUnderstood {
            outcome = respond_completely(&table, &mut worker, &ask.request(&bytes), &mut reply);
        }
        let Outcome::Reply(len) = outcome else { panic!("{outcome:?}") };
        reply.truncate(len);
        let reply = Reply(reply);
        (reply.rcode(), reply.text())
    };
    let (dname, soa) = ("ren.dn DNAME 60 to.dn.", "dn SOA 60 ns.dn. host.dn. 1 2 3 4 300");
    let host = "host.ren.dn CNAME 60 host.to.dn.";
    let address = "host.to.dn A 60 192.0.2.1";
    let out = "out.dn DNAME 60 elsewhere.";
    for (question, record_type, rcode, expected) in [
        ("host.ren.dn", A, 0, format!("{dname}, {host}, {address}")),
        ("host.ren.dn", CNAME, 0, format!("{dname}, {host}")),
        ("host.ren.dn", ANY, 0, format!("{dname}, {host}")),
        ("host.ren.dn", TXT, 0, format!("{dname}, {host} / {soa}")),
        ("x.ren.dn", A, 0, format!("{dname}, x.ren.dn CNAME 60 x.to.dn., x.to.dn A 60 192.0.2.2")),
        ("z.ren.dn", A, 3, format!("{dname}, z.ren.dn CNAME 60 z.to.dn. / {soa}")),
        ("y.z.ren.dn", A, 3, format!("{dname}, y.z.ren.dn CNAME 60 y.z.to.dn. / {soa}")),
        ("ali.dn", A, 0, format!("ali.dn CNAME 60 host.ren.dn., {dname}, {host}, {address}")),
        ("ren.dn", A, 0, format!("/ {soa}")),
        ("ren.dn", DNAME, 0, dname.to_owned()),
        ("a.out.dn", A, 0, format!("{out}, a.out.dn CNAME 60 a.elsewhere.")),
    ] {
        assert_eq!(ask(question, record_type), (rcode, expected), "{question} {record_type}");
    }
    let round = ask("a.round.dn", A);
    assert_eq!(round.0, 0, "{}", round.1);
    let label = "l".repeat(61);
    let long = format!("{label}.{label}.{label}.{}.out.dn", "l".repeat(59));
    assert_eq!(ask(&long, A), (6, out.to_owned()), "no name has more than 255 bytes");
}

/// A name of one byte, which no pointer of two can stand for.
#[test]
fn both_paths_agree_about_the_root_and_what_is_below_it() {
    let text = "$ORIGIN .\n@ 60 SOA ns hm 1 2 3 4 5\n@ 60 NS ns\n@ 60 MX 1 .\nns 60 A 192.0.2.1\n\
                del 60 NS ns.del\n";
    let zone = crate::zone::read_zone("root", text.as_bytes(), &name(".")).unwrap().zone;
    let zones = ZoneTable::compile(&[std::sync::Arc::new(zone)], &[name("www")]).unwrap();
    let table = empty_table().with_zones(std::sync::Arc::new(zones)).unwrap();
    let mut worker = WorkerState::new(1, &table);
    for (question, record_type, understood) in [
        (".", SOA, false),
        (".", NS, false),
        (".", MX, false),
        (".", A, false),
        (".", ANY, false),
        ("ns", A, true),
        ("ns", TXT, true),
        ("www", A, true),
        ("nothing", A, true),
        ("a.b.nothing", A, true),
        ("x.del", A, false),
    ] {
        for ask in [Ask::new(question, record_type), Ask::new(question, record_type).without_edns()]
        {
            let reply = both(&table, &mut worker, &ask.request(&ask.bytes()));
            assert_eq!(reply.is_some(), understood, "{question} {record_type}");
        }
    }
}

#[test]
fn authoritative_but_for_refusals() {
    let table = table(plan());
    let mut worker = WorkerState::new(1, &table);
    for (question, authoritative) in
        [("ns.example", true), ("nothing.example", true), ("elsewhere", false)]
    {
        let reply = Ask::new(question, A).answer(&table, &mut worker);
        assert_eq!(reply.flags(), (authoritative, false), "{question}");
    }
}

#[test]
fn a_service_before_the_first_plan_is_not_ready_and_static_names_answer() {
    let table = empty_table();
    let mut worker = WorkerState::new(1, &table);
    let reply = Ask::new("www.example", A).answer(&table, &mut worker);
    assert_eq!(reply.rcode(), 2);
    // Extended error 14, and nothing about it without EDNS.
    assert!(reply.0.ends_with(&[0, 15, 0, 2, 0, 14]));
    let plain = Ask::new("www.example", A).without_edns().answer(&table, &mut worker);
    assert_eq!((plain.rcode(), plain.0.len()), (2, 12 + 13 + 4));
    assert_eq!(Ask::new("www.example", TXT).answer(&table, &mut worker).rcode(), 0);
    // A service that the Plan lacks is not ready either.
    let table = super::fixture::table(plan());
    let mut worker = WorkerState::new(1, &table);
    assert_eq!(Ask::new("other", A).answer(&table, &mut worker).rcode(), 2);
}

#[test]
fn what_does_not_fit_is_cut_to_question_and_opt() {
    let mut plan = plan();
    let many: Vec<u32> = (0..6).cycle().take(60).collect();
    plan.lists[0] = super::fixture::list(&many);
    plan.services[2].answers = None;
    let table = table(plan);
    let mut worker = WorkerState::new(1, &table);
    // 60 records of 16 bytes fit into 1,232 bytes, but not into 512.
    for (ask, records, cut) in [
        (Ask::new("www.example", A), 60, false),
        (Ask::new("www.example", A).without_edns(), 0, true),
        (Ask { edns: Some((100, false)), ..Ask::new("www.example", A) }, 0, true),
        (Ask::new("www.example", A).without_edns().tcp(), 60, false),
    ] {
        let reply = ask.answer(&table, &mut worker);
        assert_eq!((reply.addresses().len(), reply.flags()), (records, (true, cut)), "{ask:?}");
        assert_eq!(worker.decision().truncated, cut);
    }
}

#[test]
fn a_buffer_too_small_for_a_question_drops() {
    let table = table(plan());
    let mut worker = WorkerState::new(1, &table);
    let ask = Ask::new("ns.example", A);
    let bytes = ask.bytes();
    for len in 0..bytes.len() - 1 {
        let outcome = respond(&table, &mut worker, &ask.request(&bytes), &mut vec![0; len]);
        assert_eq!(outcome, Outcome::Drop, "{len}");
    }
}

#[test]
fn services_and_zones_that_do_not_go_together() {
    let zones = || {
        let text = "$ORIGIN z.\n@ 60 SOA a b 1 2 3 4 5\n@ 60 NS a\na 60 A 192.0.2.1\n\
                    c 60 CNAME a\nd 60 NS x.\n";
        let zone = crate::zone::read_zone("z", text.as_bytes(), &name("z")).unwrap().zone;
        [std::sync::Arc::new(zone)]
    };
    let compile = |service: &str| ZoneTable::compile(&zones(), &[name(service)]).map(|_| ());
    assert_eq!(compile("x.z"), Ok(()));
    assert_eq!(compile("z"), Ok(()));
    assert_eq!(compile("y"), Err(ZoneCompileError::ServiceOutside(name("y"))));
    assert_eq!(compile("c.z"), Err(ZoneCompileError::ServiceAtCname(name("c.z"))));
    assert_eq!(compile("x.d.z"), Err(ZoneCompileError::ServiceCutOff(name("x.d.z"))));
    assert_eq!(compile("d.z"), Err(ZoneCompileError::ServiceCutOff(name("d.z"))));
    let twice = ZoneTable::compile(&zones(), &[name("z"), name("z")]).map(|_| ());
    assert_eq!(twice, Err(ZoneCompileError::ServiceTwice(name("z"))));
    let [zone] = zones();
    let twice = ZoneTable::compile(&[zone.clone(), zone], &[]).map(|_| ());
    assert_eq!(twice, Err(ZoneCompileError::Twice(name("z"))));
}

#[test]
fn every_name_and_empty_non_terminal_is_in_the_table() {
    let table = zone_table(&[]);
    for present in ["c.example", "b.c.example", "wild.example", "y.wild.example", "child.example"] {
        assert!(table.find(name(present).as_wire()).is_some(), "{present}");
    }
    for absent in ["d.example", "x.child.example", "www.other"] {
        assert!(table.find(name(absent).as_wire()).is_none(), "{absent}");
    }
}

/// What a service would give is refused where it does not fit its zone, and nothing else: the zone is
/// answered beside it, at the service's own name as well.
#[test]
fn a_service_that_does_not_fit_is_refused_and_its_zone_is_answered() {
    let zones: Vec<_> = super::fixture::zones().into_iter().take(2).collect();
    let refused = ["example", "lone.a.example", "*.many.example", "in.example", "x.del.example"];
    let refused = refused.map(|service| (name(service), ServiceTypes::ADDRESSES)).into();
    let services = ["www.example", "below.lone.a.example"].map(name);
    let zones = ZoneTable::compile_beside(&zones, &services, &BTreeMap::new(), &refused).unwrap();
    let table = empty_table().with_zones(std::sync::Arc::new(zones)).unwrap();
    let mut worker = WorkerState::new(1, &table);
    let mut ask = |question: &str, record_type| {
        let ask = Ask::new(question, record_type);
        let (bytes, mut reply) = (ask.bytes(), vec![0; 1232]);
        let mut outcome = respond(&table, &mut worker, &ask.request(&bytes), &mut reply);
        if outcome == Outcome::NotUnderstood {
            outcome = respond_completely(&table, &mut worker, &ask.request(&bytes), &mut reply);
        }
        let Outcome::Reply(len) = outcome else { panic!("{outcome:?}") };
        reply.truncate(len);
        Reply(reply)
    };
    for service in ["example", "lone.a.example", "q.many.example", "q.r.many.example", "in.example"]
    {
        for record_type in [A, AAAA] {
            let reply = ask(service, record_type);
            assert_eq!((reply.rcode(), reply.flags()), (5, (false, false)), "{service}");
            assert!(reply.0.ends_with(b"does not fit what its zone holds"), "{service}");
        }
    }
    for (question, record_type, rcode) in [
        ("example", SOA, 0),
        ("example", NS, 0),
        ("lone.a.example", TXT, 0),
        ("a.example", A, 0),
        ("q.lone.a.example", A, 3),
        ("many.example", A, 3),
        ("q.many.example", TXT, 3),
        ("in.example", TXT, 0),
        ("q.example", A, 3),
    ] {
        let reply = ask(question, record_type);
        assert_eq!(reply.rcode(), rcode, "{question} {record_type}");
    }
    // What a zone gives away is not ours, whatever the configuration says.
    assert_eq!(ask("x.del.example", A).rcode(), 0, "a referral");
    assert_eq!(ask("below.lone.a.example", A).rcode(), 2, "a service without a Plan");
}
