//! Many names of one name server: none of them holds others up.

use walrus_dns::record_type;

use super::super::{ReplyData, Request, Updater, compare_keys};
use super::made_up::{MadeUp, Speaker};
use super::plans::{TARGET, domain, many, number, plan, settings};
use crate::world::Time;

const COUNT: usize = 80;

fn target(index: usize) -> String {
    format!("www{index}.europe.example")
}

/// One that has published a first Plan of many services.
fn published() -> (Speaker, MadeUp) {
    let (plan, settings) = many(number(1, "berlin", 1), "192.0.2.1", COUNT);
    let (mut speaker, mut server) = (Speaker::new(Updater::new(settings, 7)), MadeUp::new());
    speaker.updater.plan(&plan);
    speaker.settle(Time::ZERO, &mut server);
    assert!((0..COUNT).all(|index| server.addresses_of(&target(index)) == ["192.0.2.1"]));
    (speaker, server)
}

/// How many of the names have this address.
fn having(server: &MadeUp, address: &str) -> usize {
    (0..COUNT).filter(|index| server.addresses_of(&target(*index)) == [address]).count()
}

fn state_of(speaker: &Speaker, index: usize) -> (&'static str, String) {
    let status = speaker.updater.status(Time::ZERO);
    let name = status.names.iter().find(|name| name.target == target(index)).expect("the name");
    (name.state.as_str(), name.detail.clone())
}

#[test]
fn what_changes_is_written_before_all_is_read_again() {
    let (mut speaker, mut server) = published();
    for minute in [0, 10] {
        // Right after the first Plan, and when somebody changed the serial.
        server.serial += 1;
        server.asked.clear();
        let next = number(1, "berlin", 2 + minute);
        let address = format!("192.0.2.{}", 100 + minute);
        speaker.updater.plan(&many(next, &address, COUNT).0);
        speaker.settle(Time::from_secs(minute * 60), &mut server);
        assert!(server.asked[..COUNT].iter().all(Request::is_update), "minute {minute}");
        assert_eq!(having(&server, &address), COUNT);
    }
}

#[test]
fn names_that_cannot_be_read_hold_no_others_up() {
    let (mut plan, settings) = many(number(1, "berlin", 1), "192.0.2.1", COUNT);
    let (mut speaker, mut server) = (Speaker::new(Updater::new(settings, 7)), MadeUp::new());
    server.refuses_names = (0..40).map(|index| (domain(&target(index)), (2, 0))).collect();
    speaker.updater.plan(&plan);
    for second in 0..600 {
        speaker.settle(Time::from_secs(second), &mut server);
    }
    assert_eq!(
        (having(&server, "192.0.2.1"), speaker.updater.status(Time::ZERO).problem),
        (40, None)
    );
    let (state, detail) = state_of(&speaker, 0);
    assert!(state == "waiting" && detail.contains("cannot be read: SERVFAIL"), "{state} {detail}");
    let told: Vec<&String> = speaker.said.iter().filter(|it| it.contains("cannot be")).collect();
    assert!(told.len() <= 12 && told[3].contains("28 more"), "{told:?}");
    assert!(server.asked.len() < 20 * COUNT * 4, "{}", server.asked.len());
    // They are tried again by themselves.
    server.refuses_names.clear();
    speaker.settle(Time::from_secs(700), &mut server);
    assert_eq!(having(&server, "192.0.2.1"), COUNT);
    plan.number = number(1, "berlin", 2);
    speaker.updater.plan(&plan);
    assert_eq!(speaker.updater.status(Time::ZERO).acknowledged, Some(number(1, "berlin", 2)));
}

#[test]
fn names_whose_update_is_refused_hold_no_others_up() {
    let (mut speaker, mut server) = published();
    server.refuses_names = (0..40).map(|index| (domain(&target(index)), (0, 5))).collect();
    for round in 0..3 {
        let address = format!("192.0.2.{}", 10 + round);
        let next = number(1, "berlin", 2 + round);
        speaker.updater.plan(&many(next, &address, COUNT).0);
        speaker.settle(Time::from_secs(round * 90), &mut server);
        assert_eq!(having(&server, &address), 40, "at once");
    }
    let status = speaker.updater.status(Time::from_secs(180));
    let problem = status.problem.unwrap();
    assert!(problem.contains("REFUSED") && problem.contains("for 40 of 80 names"), "{problem}");
    assert!(state_of(&speaker, 0).1.ends_with("; refused: REFUSED"), "{:?}", state_of(&speaker, 0));
    // Another code is another problem, and is told.
    let about = |speaker: &Speaker, code: &str| {
        let told = speaker.said.iter().filter(|line| line.contains(code));
        told.count()
    };
    assert_eq!((about(&speaker, "(REFUSED)"), about(&speaker, "(SERVFAIL)")), (1, 0));
    server.refuses_names.values_mut().for_each(|codes| codes.1 = 2);
    speaker.settle(Time::from_secs(300), &mut server);
    assert_eq!((about(&speaker, "(REFUSED)"), about(&speaker, "(SERVFAIL)")), (1, 1));
    server.refuses_names.clear();
    speaker.settle(Time::from_secs(400), &mut server);
    assert_eq!(having(&server, "192.0.2.12"), COUNT);
    assert_eq!(speaker.updater.status(Time::ZERO).problem, None);
}

#[test]
fn an_update_that_breaks_each_exchange_holds_no_others_up_for_long() {
    let (mut speaker, mut server) = published();
    // In the midst of a batch: what comes before it is carried out unheard.
    server.breaks_at = Some(domain(&target(20)));
    for (sequence, address) in [(2, "192.0.2.9"), (3, "192.0.2.10"), (4, "192.0.2.11")] {
        speaker.updater.plan(&many(number(1, "berlin", sequence), address, COUNT).0);
        let begin = (sequence - 2) * 300;
        for second in begin..begin + 300 {
            speaker.settle(Time::from_secs(second), &mut server);
        }
        assert_eq!(having(&server, address), COUNT - 1, "{address}");
    }
    // What somebody else does to the others is seen, too.
    let node = server.names.get_mut(&domain(&target(3))).unwrap();
    node.data.retain(|(_, data)| !matches!(data, ReplyData::Address(_)));
    server.serial += 1;
    for second in 900..1200 {
        speaker.settle(Time::from_secs(second), &mut server);
    }
    assert_eq!(having(&server, "192.0.2.11"), COUNT - 1);
}

#[test]
fn what_was_away_or_is_changed_by_somebody_is_not_shown_as_current() {
    let (mut speaker, mut server) = published();
    let is_current = |speaker: &Speaker| speaker.updater.status(Time::ZERO).is_current;
    assert!(is_current(&speaker));
    // Looks after a change of ours read all, and are no reason to doubt.
    let look = Time::from_secs(60);
    while speaker.step(look, Some(&mut server)) {
        assert!(is_current(&speaker));
    }
    // Somebody changes a name: seen once it is read.
    server.remove_addresses_of(&target(70));
    server.refuses_updates = Some(5);
    speaker.settle(Time::from_secs(120), &mut server);
    assert!(!is_current(&speaker) && state_of(&speaker, 70).0 == "drifted");
    server.refuses_updates = None;
    speaker.settle(Time::from_secs(240), &mut server);
    assert!(is_current(&speaker));
    // It is away, and comes back without what the last names had.
    let away = Time::from_secs(300);
    while speaker.step(away, None) {}
    assert!(!is_current(&speaker));
    assert_eq!(state_of(&speaker, 3).0, "waiting");
    server.remove_addresses_of(&target(COUNT - 1));
    server.refuses_updates = Some(5);
    let back = Time::from_secs(400);
    while speaker.step(back, Some(&mut server)) {
        assert!(!is_current(&speaker));
    }
    assert_eq!(state_of(&speaker, 3).0, "published");
}

#[test]
fn a_name_that_is_refused_and_then_cannot_be_read_waits() {
    for (asked, changed) in [(2, 5), (2, 2), (5, 5)] {
        let (mut speaker, mut server) = published();
        server.refuses_names = [(domain(&target(0)), (asked, changed))].into();
        speaker.updater.plan(&many(number(1, "berlin", 2), "192.0.2.9", COUNT).0);
        let before = server.asked.len();
        for second in 0..120 {
            speaker.settle(Time::from_secs(second), &mut server);
        }
        assert_eq!(having(&server, "192.0.2.9"), COUNT - 1);
        // Each second would make thousands of it.
        let asked = server.asked[before..].iter().filter(|request| match request {
            Request::Query { name, .. } | Request::Update { name, .. } => {
                *name == domain(&target(0))
            }
        });
        assert!(asked.count() < 100, "backs off");
    }
}

#[test]
fn a_balanced_name_that_cannot_be_asked_for_is_a_warning() {
    let mut server = MadeUp::new();
    server.refuses_names.insert(domain("www.walrus.example"), (5, 5));
    let mut speaker = Speaker::new(Updater::new(settings(), 7));
    speaker.updater.plan(&plan(number(1, "berlin", 1), "192.0.2.1"));
    speaker.settle(Time::ZERO, &mut server);
    let status = speaker.updater.status(Time::ZERO);
    assert_eq!((server.addresses(), status.problem), (vec!["192.0.2.1".to_owned()], None));
    assert!(status.warnings[0].contains("REFUSED"), "{:?}", status.warnings);
}

#[test]
fn more_texts_than_an_update_can_name_are_told() {
    let mut server = MadeUp::new();
    let mut speaker = Speaker::new(Updater::new(settings(), 7));
    speaker.updater.plan(&plan(number(1, "berlin", 1), "192.0.2.1"));
    speaker.settle(Time::ZERO, &mut server);
    let node = server.names.get_mut(&domain(TARGET)).unwrap();
    for index in 0..200_u8 {
        let mut text = vec![b'x'; 200];
        (text[0], text[1]) = (199, index);
        node.data.push((record_type::TXT, ReplyData::Text(text)));
    }
    server.serial += 1;
    speaker.updater.plan(&plan(number(1, "berlin", 2), "192.0.2.9"));
    speaker.settle(Time::from_secs(60), &mut server);
    speaker.settle(Time::from_secs(120), &mut server);
    let (state, detail) = speaker.state(Time::ZERO);
    assert!(state == "foreign" && detail.contains("more TXT records"), "{state} {detail}");
}

#[test]
fn a_look_reads_some_names_and_ten_looks_all_of_them() {
    let (mut speaker, mut server) = published();
    // The first look after a change reads all.
    speaker.settle(Time::from_secs(60), &mut server);
    // Somebody edits the file and forgets the serial.
    for index in 0..COUNT {
        let node = server.names.get_mut(&domain(&target(index))).unwrap();
        node.data.retain(|(_, data)| !matches!(data, ReplyData::Address(_)));
    }
    server.asked.clear();
    speaker.settle(Time::from_secs(120), &mut server);
    let first = server.asked.iter().take_while(|request| !request.is_update()).count();
    assert_eq!(first, 1 + 4 * COUNT / 10 + 1, "the serial, eight names, the keys");
    assert_eq!(having(&server, "192.0.2.1"), COUNT / 10);
    // Repairing them raised the serial: all the rest is found then.
    speaker.settle(Time::from_secs(180), &mut server);
    assert_eq!(having(&server, "192.0.2.1"), COUNT);
    // Where nothing is to be repaired the looks go round.
    let mut asked = std::collections::BTreeSet::new();
    speaker.settle(Time::from_secs(240), &mut server);
    server.asked.clear();
    for minute in 5..15 {
        speaker.settle(Time::from_secs(minute * 60), &mut server);
    }
    for request in &server.asked {
        asked.insert(request.question().0.to_string());
    }
    assert!((0..COUNT).all(|index| asked.contains(&target(index))));
    assert_eq!(server.asked.len(), 10 * (1 + 4 * COUNT / 10 + 1));
}

#[test]
fn zones_that_are_signed_with_other_keys_elsewhere_are_told() {
    let statuses = [vec![1, 2], vec![2, 1], vec![1, 3], Vec::new()].map(|keys| {
        let (mut speaker, mut server) = (Speaker::new(Updater::new(settings(), 7)), MadeUp::new());
        server.keys = keys;
        speaker.updater.plan(&plan(number(1, "berlin", 1), "192.0.2.1"));
        speaker.settle(Time::ZERO, &mut server);
        speaker.updater.status(Time::ZERO)
    });
    let mut statuses = statuses.to_vec();
    compare_keys(&mut statuses);
    let warnings = statuses.iter().map(|it| it.warnings.concat());
    let warnings: Vec<String> = warnings.collect();
    assert_eq!((&*warnings[0], &*warnings[1]), ("", ""));
    assert!(
        warnings[2]
            .contains("signs walrus.example with the keys 1, 3, `europe` with the keys 1, 2")
    );
    assert!(warnings[3].contains("with no keys"), "{warnings:?}");
}
