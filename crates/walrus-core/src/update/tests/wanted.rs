//! What a Plan wants, and the bytes in which it is said.

use domain::base::Message;
use domain::base::iana::Rtype;
use proptest::prelude::*;
use walrus_dns::record_type;

use super::super::{Content, Mark, OnlyIf, Reply, ReplyError, Request, desired};
use super::plans::{SERVICE, TARGET, domain, name, number, plan, plan_of, settings};

fn wanted(groups: &[(f64, super::plans::Servers<'_>)]) -> (String, usize) {
    let (content, left_out) = content(groups);
    (content.to_string(), left_out)
}

fn content(groups: &[(f64, super::plans::Servers<'_>)]) -> (Content, usize) {
    let desired = desired(&plan_of(number(1, "berlin", 1), groups), &settings());
    let [one] = &desired.names[..] else { panic!("one name: {desired:?}") };
    assert_eq!((one.service.clone(), one.target.clone()), (domain(SERVICE), domain(TARGET)));
    (one.content.clone(), one.left_out)
}

#[test]
fn all_candidates_of_the_greatest_share_are_published() {
    for (groups, expected) in [
        (
            &[(
                1.0,
                &[("a", &["192.0.2.1", "2001:db8::1"][..], false), ("b", &["192.0.2.2"], false)][..],
            )][..],
            "192.0.2.1, 192.0.2.2, 2001:db8::1 (TTL 30)",
        ),
        (
            &[
                (0.25, &[("a", &["192.0.2.1"][..], false)][..]),
                (0.75, &[("b", &["192.0.2.2"], false)]),
            ],
            "192.0.2.2 (TTL 30)",
        ),
        // Of equal shares the one where the area points.
        (
            &[
                (0.5, &[("a", &["192.0.2.1"][..], false)][..]),
                (0.5, &[("b", &["192.0.2.2"], false)]),
            ],
            "192.0.2.1 (TTL 30)",
        ),
    ] {
        assert_eq!(wanted(groups), (expected.to_owned(), 0));
    }
}

#[test]
fn what_does_not_fit_an_answer_is_left_out_and_counted() {
    let names: Vec<String> = (0..100).map(|index| format!("s{index}")).collect();
    let addresses: Vec<[String; 1]> = (0..100).map(|index| [format!("192.0.2.{index}")]).collect();
    let addresses: Vec<[&str; 1]> = addresses.iter().map(|[it]| [it.as_str()]).collect();
    let members = |over: bool| {
        let both = names.iter().zip(&addresses);
        both.map(|(name, address)| (name.as_str(), &address[..], over)).collect::<Vec<_>>()
    };
    let (some, left_out) = content(&[(1.0, &members(false))]);
    assert_eq!(some.ipv4.len() + left_out, 100);
    // 1232 bytes less header, names and OPT, 16 for each address.
    assert_eq!(some.ipv4.len(), 70);
    assert_eq!(content(&[(1.0, &members(false))]).0, some, "the same each time");
    let (least_loaded, _) = content(&[(1.0, &members(true))]);
    let first: Vec<String> = (0..70).map(|index| format!("192.0.2.{index}")).collect();
    assert_eq!(least_loaded.ipv4, first.iter().map(|it| it.parse().unwrap()).collect());
    // People are told the first.
    let told = least_loaded.to_string();
    assert!(told.ends_with("192.0.2.7 and 62 more (TTL 30)"), "{told}");
}

#[test]
fn a_plan_that_does_not_say_changes_nothing() {
    let mut other = settings();
    other.area = name("asia");
    let found = desired(&plan(number(1, "berlin", 1), "192.0.2.1"), &other);
    assert_eq!((found.names.len(), found.missing), (0, vec![domain(SERVICE)]));
    let empty = desired(&plan_of(number(1, "berlin", 1), &[]), &settings());
    assert_eq!((empty.names.len(), empty.missing.len()), (0, 1), "never an empty answer");
}

#[test]
fn ttls_are_the_settings_else_the_services_and_halved_while_degraded() {
    let mut degraded = plan(number(1, "berlin", 1), "192.0.2.1");
    degraded.services[0].areas[0].degraded = true;
    let mut own = settings();
    own.ttl = Some(7);
    for (plan, settings, expected) in [
        (&degraded, &settings(), 15),
        (&degraded, &own, 3),
        (&plan(number(1, "berlin", 1), "192.0.2.1"), &own, 7),
    ] {
        assert_eq!(desired(plan, settings).names[0].content.ttl, expected);
    }
}

fn update(only_if: OnlyIf) -> Request {
    Request::Update {
        zone: domain("europe.example"),
        name: domain(TARGET),
        only_if,
        content: Content {
            ttl: 20,
            ipv4: ["192.0.2.1".parse().unwrap()].into(),
            ipv6: ["2001:db8::1".parse().unwrap()].into(),
        },
        mark: Mark { owner: name("walrus"), plan: number(3, "berlin", 17), content: None },
        mark_ttl: 20,
    }
}

/// Class, type and length of data of each record of a section.
fn records(bytes: &[u8], section: usize) -> Vec<(u16, u16, u32, usize)> {
    let message = Message::from_octets(bytes).unwrap();
    let (_, answer, authority, _) = message.sections().unwrap();
    let read = if section == 0 { answer } else { authority };
    read.map(|record| {
        let record = record.unwrap();
        let data = record.to_any_record::<domain::rdata::AllRecordData<_, _>>();
        let len = data.map_or(0, |record| {
            let mut bytes = Vec::new();
            let _ =
                domain::base::rdata::ComposeRecordData::compose_rdata(record.data(), &mut bytes);
            bytes.len()
        });
        (record.class().to_int(), record.rtype().to_int(), record.ttl().as_secs(), len)
    })
    .collect()
}

#[test]
fn updates_have_the_sections_of_rfc_2136() {
    let mark =
        Mark { owner: name("walrus"), plan: number(3, "berlin", 16), content: None }.to_data();
    let (any, none, internet) = (255, 254, 1);
    let text = mark.len();
    let bytes = update(OnlyIf::NotInUse).compose(7).unwrap().finish();
    // Opcode 5, one zone, one prerequisite, three updates.
    assert_eq!(bytes[..12], [0, 7, 5 << 3, 0, 0, 1, 0, 1, 0, 3, 0, 0]);
    let question = Message::from_octets(&bytes[..]).unwrap().first_question().unwrap();
    assert_eq!(
        (question.qname().to_string(), question.qtype()),
        ("europe.example".into(), Rtype::SOA)
    );
    assert_eq!(records(&bytes, 0), [(none, record_type::ANY, 0, 0)]);
    let added = [
        (internet, record_type::A, 20, 4),
        (internet, record_type::AAAA, 20, 16),
        (internet, record_type::TXT, 20, text),
    ];
    assert_eq!(records(&bytes, 1), added);

    let only_if =
        OnlyIf::Texts { all: vec![vec![1, b'x'], mark.clone()], ours: vec![mark], alias: true };
    let bytes = update(only_if).compose(7).unwrap().finish();
    assert_eq!(
        records(&bytes, 0),
        [(internet, record_type::TXT, 0, 2), (internet, record_type::TXT, 0, text)]
    );
    let mut expected = vec![
        (any, record_type::CNAME, 0, 0),
        (any, record_type::A, 0, 0),
        (any, record_type::AAAA, 0, 0),
        (none, record_type::TXT, 0, text),
    ];
    expected.extend(added);
    assert_eq!(records(&bytes, 1), expected);
}

#[test]
fn more_texts_than_a_message_holds_are_an_error() {
    let all = vec![vec![255; 256]; 300];
    assert!(update(OnlyIf::Texts { all, ours: Vec::new(), alias: false }).compose(1).is_err());
}

#[test]
fn a_reply_to_something_else_is_told_apart_from_a_damaged_one() {
    let request = Request::Query { name: domain(TARGET), record_type: record_type::A };
    let asked = request.compose(9).unwrap().finish();
    let mut reply = asked.clone();
    reply[2] |= 0x84;
    let read = Reply::read(&reply, 9, &request).unwrap();
    assert!(read.is_authoritative && read.answers.is_empty());
    for (at, value) in [(1, 8), (2, 0), (2, 0xac), (14, b'x')] {
        let mut other = reply.clone();
        other[at] = value;
        assert_eq!(Reply::read(&other, 9, &request), Err(ReplyError::Stranger), "{at}");
    }
    let mut damaged = reply.clone();
    damaged[7] = 1;
    assert_eq!(Reply::read(&damaged, 9, &request), Err(ReplyError::Malformed));
    // An error may come without the question.
    let refused = [0, 9, 0x80, 5, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(Reply::read(&refused, 9, &request).unwrap().rcode, 5);
    assert_eq!(Reply::read(&[], 9, &request), Err(ReplyError::Stranger));
}

proptest! {
    /// Whatever comes is a reply or none.
    #[test]
    fn hostile_replies_are_read_or_refused(
        tail in proptest::collection::vec(any::<u8>(), 0..200),
        counts in any::<[u8; 2]>(),
    ) {
        let request = Request::Query { name: domain(TARGET), record_type: record_type::TXT };
        let mut bytes = request.compose(9).unwrap().finish();
        bytes[2] |= 0x84;
        bytes[6..8].copy_from_slice(&counts);
        bytes.extend_from_slice(&tail);
        let _ = Reply::read(&bytes, 9, &request);
        let _ = Reply::read(&tail, 9, &request);
    }
}
