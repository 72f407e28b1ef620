//! One updater: what it publishes, repairs, reports and leaves alone, and when it tries again.

use walrus_dns::record_type;

use super::super::{Failure, ReplyData, Updater, UpdaterEffect};
use super::made_up::{MadeUp, Speaker, text_of};
use super::plans::{TARGET, domain, number, plan, settings};
use crate::world::Time;

/// One that has published a first Plan.
fn published() -> (Speaker, MadeUp) {
    let (mut speaker, mut server) = (Speaker::new(Updater::new(settings(), 7)), MadeUp::new());
    speaker.updater.plan(&plan(number(1, "berlin", 1), "192.0.2.1"));
    speaker.settle(Time::ZERO, &mut server);
    assert_eq!(server.addresses(), ["192.0.2.1"]);
    assert_eq!(speaker.state(Time::ZERO).0, "published");
    (speaker, server)
}

#[test]
fn a_plan_is_published_and_acknowledged_and_one_alike_costs_nothing() {
    let (mut speaker, mut server) = published();
    let status = speaker.updater.status(Time::ZERO);
    assert_eq!(status.acknowledged, Some(number(1, "berlin", 1)));
    let asked = server.asked.len();
    speaker.updater.plan(&plan(number(1, "berlin", 2), "192.0.2.1"));
    speaker.settle(Time::ZERO, &mut server);
    assert_eq!(server.asked.len(), asked, "the same records");
    assert_eq!(speaker.updater.status(Time::ZERO).acknowledged, Some(number(1, "berlin", 2)));
    speaker.updater.plan(&plan(number(1, "berlin", 3), "192.0.2.9"));
    speaker.settle(Time::ZERO, &mut server);
    assert_eq!(server.addresses(), ["192.0.2.9"]);
    assert_eq!(server.mark().unwrap().plan, number(1, "berlin", 3));
    speaker.updater.plan(&plan(number(1, "berlin", 2), "192.0.2.1"));
    speaker.settle(Time::ZERO, &mut server);
    assert_eq!(server.addresses(), ["192.0.2.9"], "an older Plan is no news");
}

#[test]
fn a_new_epoch_is_marked_though_the_records_are_alike() {
    let (mut speaker, mut server) = published();
    speaker.updater.plan(&plan(number(2, "berlin", 1), "192.0.2.1"));
    speaker.settle(Time::ZERO, &mut server);
    assert_eq!(server.mark().unwrap().plan, number(2, "berlin", 1));
}

#[test]
fn what_somebody_else_changed_is_put_in_order_at_the_next_look() {
    let (mut speaker, mut server) = published();
    for (minute, meddle) in [
        (1, MadeUp::remove_addresses as fn(&mut MadeUp)),
        (2, |server: &mut MadeUp| server.put("198.51.100.66")),
        (3, MadeUp::forget),
    ] {
        let now = Time::from_secs(minute * 60);
        speaker.settle(now, &mut server);
        meddle(&mut server);
        let later = now + std::time::Duration::from_secs(59);
        speaker.settle(later, &mut server);
        assert_eq!(server.addresses(), ["192.0.2.1"], "minute {minute}");
        assert_eq!(speaker.updater.status(later).counters.repaired, minute);
        assert!(speaker.said.iter().any(|line| line.contains("somebody else changed it")));
    }
}

#[test]
fn what_has_no_mark_is_reported_and_left_alone_until_it_may_be_adopted() {
    let mut server = MadeUp::new();
    server.put("198.51.100.66");
    let mut speaker = Speaker::new(Updater::new(settings(), 7));
    let first = plan(number(1, "berlin", 1), "192.0.2.1");
    speaker.updater.plan(&first);
    for minute in 0..30 {
        speaker.settle(Time::from_secs(minute * 60), &mut server);
    }
    assert_eq!(server.addresses(), ["198.51.100.66"]);
    assert_eq!(server.updates(), 0);
    let (state, detail) = speaker.state(Time::ZERO);
    assert_eq!(state, "foreign");
    assert!(detail.contains("198.51.100.66") && detail.contains("adopt = true"), "{detail}");
    let told = speaker.said.iter().filter(|line| line.contains("left alone")).count();
    assert_eq!(told, 1, "once, not at each look");
    let mut adopting = settings();
    adopting.adopt = true;
    speaker.updater.reconfigure(adopting, Some(&first));
    speaker.settle(Time::from_secs(1800), &mut server);
    assert_eq!(server.addresses(), ["192.0.2.1"]);
}

#[test]
fn names_of_others_are_never_changed() {
    for (data, words) in [
        (text_of("other", 1, 1), "belongs to the owner `other`"),
        ((record_type::TXT, ReplyData::Text(b"\x10v=walrus9; later".to_vec())), "newer version"),
        (
            (record_type::CNAME, ReplyData::Alias(domain("elsewhere.example"))),
            "a CNAME to elsewhere.example",
        ),
    ] {
        let mut server = MadeUp::new();
        server.names.entry(domain(TARGET)).or_default().data.push(data);
        let mut speaker = Speaker::new(Updater::new(settings(), 7));
        speaker.updater.plan(&plan(number(9, "berlin", 1), "192.0.2.1"));
        speaker.settle(Time::ZERO, &mut server);
        let (state, detail) = speaker.state(Time::ZERO);
        assert!(state == "foreign" && detail.contains(words), "{state} {detail}");
        assert_eq!(server.updates(), 0, "{words}");
    }
    // Of types that are not looked for the name server knows: it refuses to begin there.
    let mut server = MadeUp::new();
    server.put_other();
    let mut speaker = Speaker::new(Updater::new(settings(), 7));
    speaker.updater.plan(&plan(number(9, "berlin", 1), "192.0.2.1"));
    for second in 0..20 {
        speaker.settle(Time::from_secs(second), &mut server);
    }
    assert_eq!(speaker.state(Time::ZERO).0, "foreign");
    assert_eq!((server.updates(), server.addresses().len()), (1, 0));
}

#[test]
fn a_newer_plan_that_is_there_is_left_alone_and_told() {
    let (mut speaker, mut server) = published();
    let node = server.names.get_mut(&domain(TARGET)).unwrap();
    node.data.retain(|(record_type, _)| *record_type != record_type::TXT);
    node.data.push(text_of("walrus", 5, 2));
    server.serial += 1;
    speaker.updater.plan(&plan(number(1, "berlin", 2), "192.0.2.9"));
    for second in 0..60 {
        speaker.settle(Time::from_secs(second), &mut server);
    }
    assert_eq!(server.addresses(), ["192.0.2.1"]);
    assert_eq!(speaker.state(Time::ZERO).0, "newer");
    assert_eq!(speaker.updater.seen(), Some(&number(5, "berlin", 2)), "for the Controller");
    let status = speaker.updater.status(Time::ZERO);
    assert_ne!(status.acknowledged, status.desired);
    // The Controller begins an epoch above.
    speaker.updater.plan(&plan(number(6, "berlin", 1), "192.0.2.9"));
    speaker.settle(Time::from_secs(60), &mut server);
    assert_eq!(server.addresses(), ["192.0.2.9"]);
}

#[test]
fn a_name_server_that_was_away_is_read_and_written_whole() {
    let (mut speaker, mut server) = published();
    speaker.updater.plan(&plan(number(1, "berlin", 2), "192.0.2.9"));
    let mut tries = Vec::new();
    for millis in (0..600_000).step_by(100) {
        let now = Time::from_millis(millis);
        while speaker.step(now, None) {
            let failures = speaker.updater.status(now).counters.failures;
            if tries.len() < usize::try_from(failures).unwrap() {
                tries.push(millis);
            }
        }
    }
    // 1, 2, 4 ... 60 s with a quarter of jitter: between 10 and 17 tries in ten minutes.
    assert!((10..=17).contains(&tries.len()), "{tries:?}");
    let now = Time::from_millis(600_000);
    let status = speaker.updater.status(now);
    assert!(status.problem.unwrap().contains("does not answer in time"));
    assert_eq!(status.acknowledged, Some(number(1, "berlin", 1)));
    server.forget();
    let back = Time::from_millis(700_000);
    speaker.settle(back, &mut server);
    assert_eq!(server.addresses(), ["192.0.2.9"]);
    let status = speaker.updater.status(back);
    assert_eq!((status.problem, status.acknowledged), (None, Some(number(1, "berlin", 2))));
    assert!(speaker.said.iter().any(|line| line.contains("answers for europe.example again")));
}

#[test]
fn refusals_are_told_once_and_do_not_spin() {
    let mut server = MadeUp::new();
    server.refuses = Some(5);
    let mut speaker = Speaker::new(Updater::new(settings(), 7));
    speaker.updater.plan(&plan(number(1, "berlin", 1), "192.0.2.1"));
    for second in 0..3600 {
        speaker.settle(Time::from_secs(second), &mut server);
    }
    assert!(server.asked.len() < 800, "{}", server.asked.len());
    let problem = speaker.updater.status(Time::from_secs(3600)).problem.unwrap();
    assert!(problem.contains("REFUSED") && problem.contains("walrus setup"), "{problem}");
    assert_eq!(speaker.said.iter().filter(|line| line.contains("REFUSED")).count(), 1);
}

#[test]
fn refused_updates_are_tried_ever_more_seldom_though_questions_are_answered() {
    let (mut speaker, mut server) = published();
    server.refuses_updates = Some(5);
    server.asked.clear();
    speaker.updater.plan(&plan(number(1, "berlin", 2), "192.0.2.9"));
    for second in 0..600 {
        speaker.settle(Time::from_secs(second), &mut server);
    }
    // At 0, 1, 3, 7, 15, 31, 63 s and each minute from then on.
    assert!((15..=17).contains(&server.updates()), "{}", server.updates());
    assert!(server.asked.len() <= 17 * 8 + 6 * 30, "{}", server.asked.len());
    let status = speaker.updater.status(Time::from_secs(600));
    assert!(status.problem.unwrap().contains("refuses the update"));
    assert!(status.problem_ms > 590_000, "{}", status.problem_ms);
    let about = |words: &str| speaker.said.iter().filter(|line| line.contains(words)).count();
    assert_eq!((about("refuses the update"), about("takes updates")), (1, 0));
    // It is over with the first that is taken.
    server.refuses_updates = None;
    let later = Time::from_secs(700);
    speaker.settle(later, &mut server);
    assert_eq!(server.addresses(), ["192.0.2.9"]);
    let status = speaker.updater.status(later);
    assert_eq!((status.problem, status.acknowledged), (None, Some(number(1, "berlin", 2))));
}

#[test]
fn refused_updates_are_over_when_there_is_nothing_to_be_written() {
    let (mut speaker, mut server) = published();
    server.refuses_updates = Some(5);
    speaker.updater.plan(&plan(number(1, "berlin", 2), "192.0.2.9"));
    speaker.settle(Time::ZERO, &mut server);
    assert!(speaker.updater.status(Time::ZERO).problem.is_some());
    // Another one may.
    server.refuses_updates = None;
    let mut other = Speaker::new(Updater::new(settings(), 8));
    other.updater.plan(&plan(number(1, "berlin", 2), "192.0.2.9"));
    other.settle(Time::from_secs(1), &mut server);
    server.refuses_updates = Some(5);
    for second in 1..60 {
        speaker.settle(Time::from_secs(second), &mut server);
    }
    let status = speaker.updater.status(Time::from_secs(60));
    assert_eq!((status.problem, status.acknowledged), (None, Some(number(1, "berlin", 2))));
}

#[test]
fn an_alias_that_is_kept_too_long_is_a_warning() {
    let mut server = MadeUp::new();
    server.alias_ttl = 3600;
    let mut speaker = Speaker::new(Updater::new(settings(), 7));
    let mut degraded = plan(number(1, "berlin", 1), "192.0.2.1");
    speaker.updater.plan(&degraded);
    speaker.settle(Time::ZERO, &mut server);
    let warnings = speaker.updater.status(Time::ZERO).warnings.concat();
    assert!(
        warnings.contains("may be kept for 3600 s, longer than the addresses (30 s)"),
        "{warnings}"
    );
    server.alias_ttl = 30;
    degraded.number = number(1, "berlin", 2);
    degraded.services[0].areas[0].degraded = true;
    speaker.updater.plan(&degraded);
    speaker.settle(Time::from_secs(60), &mut server);
    speaker.settle(Time::from_secs(120), &mut server);
    assert_eq!(
        speaker.updater.status(Time::ZERO).warnings,
        [""; 0],
        "half of it for a while is meant"
    );
}

#[test]
fn a_service_that_is_no_longer_published_stays_and_is_told() {
    let (mut speaker, mut server) = published();
    let mut none = settings();
    none.services.clear();
    speaker.updater.reconfigure(none, Some(&plan(number(1, "berlin", 1), "192.0.2.1")));
    speaker.settle(Time::from_secs(60), &mut server);
    assert_eq!(server.addresses(), ["192.0.2.1"]);
    assert_eq!(speaker.state(Time::ZERO).0, "left");
}

#[test]
fn a_service_that_plans_lost_first_is_told_as_left_and_never_looked_at_without_end() {
    let (mut speaker, mut server) = published();
    let mut without = plan(number(1, "berlin", 2), "192.0.2.1");
    without.services.clear();
    speaker.updater.plan(&without);
    for minute in 1..30 {
        server.serial += 1;
        speaker.settle(Time::from_secs(minute * 60), &mut server);
        assert_eq!(speaker.state(Time::ZERO).0, "unknown");
    }
    let mut none = settings();
    none.services.clear();
    speaker.updater.reconfigure(none, Some(&without));
    speaker.settle(Time::from_secs(1800), &mut server);
    assert_eq!(speaker.state(Time::ZERO).0, "left");
    assert_eq!(server.addresses(), ["192.0.2.1"]);
    // As if nothing had been, when it is back.
    speaker.updater.reconfigure(settings(), Some(&plan(number(1, "berlin", 3), "192.0.2.9")));
    speaker.settle(Time::from_secs(1860), &mut server);
    assert_eq!(server.addresses(), ["192.0.2.9"]);
    assert_eq!(speaker.state(Time::ZERO).0, "published");
}

#[test]
fn what_is_wrong_with_all_is_no_matter_of_names() {
    let (mut speaker, mut server) = published();
    let look = Time::from_secs(60);
    let Some(UpdaterEffect::Exchange(exchange)) = speaker.updater.poll(look) else { panic!() };
    // A key that nobody knows there: each question is answered so.
    let replies = vec![Err(Failure::KeyUnknown); exchange.requests.len()];
    speaker.updater.replied(look, &replies);
    let status = speaker.updater.status(look);
    assert!(status.problem.unwrap().contains("BADKEY") && !status.is_current);
    let (state, detail) = speaker.state(look);
    assert!(state == "waiting" && detail.contains("was away"), "{state} {detail}");
    // The serial alone has no answer: what was answered besides counts.
    let later = Time::from_secs(70);
    let Some(UpdaterEffect::Warn(_)) = speaker.updater.poll(later) else { panic!() };
    let Some(UpdaterEffect::Exchange(exchange)) = speaker.updater.poll(later) else { panic!() };
    server.names.clear();
    let mut replies: Vec<_> = exchange.requests.iter().map(|it| Ok(server.answer(it))).collect();
    replies[0] = Err(Failure::Silent);
    speaker.updater.replied(later, &replies);
    speaker.settle(Time::from_secs(80), &mut server);
    assert_eq!(server.addresses(), ["192.0.2.1"]);
}

#[test]
fn texts_of_others_keep_their_time_to_live() {
    let (mut speaker, mut server) = published();
    let node = server.names.get_mut(&domain(TARGET)).unwrap();
    node.data.push((record_type::TXT, ReplyData::Text(b"\x0bv=spf1 -all".to_vec())));
    node.text_ttl = 3600;
    server.serial += 1;
    speaker.settle(Time::from_secs(60), &mut server);
    speaker.updater.plan(&plan(number(1, "berlin", 2), "192.0.2.9"));
    speaker.settle(Time::from_secs(120), &mut server);
    assert_eq!(server.addresses(), ["192.0.2.9"]);
    assert_eq!(server.names[&domain(TARGET)].text_ttl, 3600);
}
