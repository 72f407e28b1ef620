//! Several updaters of one name server: whoever has the newest Plan wins, whatever comes between.

use proptest::prelude::*;

use super::super::Updater;
use super::made_up::{MadeUp, Speaker};
use super::plans::{number, plan, settings};
use crate::config::NameServerSettings;
use crate::world::Time;

/// One step of one of them.
#[derive(Clone, Debug)]
enum Step {
    /// It has a Plan of this epoch and sequence.
    Plan(usize, u64, u64),
    /// It says its next request.
    Speak(usize),
    /// So many seconds go by.
    Wait(u64),
    /// Somebody else removes addresses.
    Meddle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..3_usize, 1..4_u64, 1..6_u64).prop_map(|(who, epoch, sequence)| Step::Plan(who, epoch, sequence)),
        12 => (0..3_usize).prop_map(Step::Speak),
        2 => (0..40_u64).prop_map(Step::Wait),
        1 => Just(Step::Meddle),
    ]
}

/// What a Plan of this number wants: Plans of one number are one Plan.
fn address(epoch: u64, sequence: u64) -> String {
    format!("192.0.{epoch}.{sequence}")
}

proptest! {
    #[test]
    fn an_older_plan_never_takes_the_place_of_a_newer_one(
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut server = MadeUp::new();
        let mut speakers: Vec<Speaker> =
            (0..3).map(|seed| Speaker::new(Updater::new(settings(), seed))).collect();
        let (mut now, mut newest, mut highest) = (Time::ZERO, None, None);
        for step in steps {
            match step {
                Step::Plan(who, epoch, sequence) => {
                    let number = number(epoch, "berlin", sequence);
                    speakers[who].updater.plan(&plan(number, &address(epoch, sequence)));
                    highest = highest.max(Some((epoch, sequence)));
                }
                Step::Speak(who) => {
                    speakers[who].step(now, Some(&mut server));
                }
                Step::Wait(seconds) => now += std::time::Duration::from_secs(seconds),
                Step::Meddle => server.remove_addresses(),
            }
            let marked = server.mark().map(|mark| mark.plan);
            prop_assert!(newest <= marked, "{newest:?} {marked:?}");
            newest = marked;
        }
        // In the end the newest Plan that anybody has is there, within a few looks.
        for _ in 0..10 {
            now += std::time::Duration::from_secs(61);
            for speaker in &mut speakers {
                speaker.settle(now, &mut server);
            }
        }
        if let Some((epoch, sequence)) = highest {
            prop_assert_eq!(server.addresses(), [address(epoch, sequence)]);
        }
    }

    /// What Plans want may come back: of two addresses one or the other. Once somebody has carried out a
    /// Plan, nobody puts there what only an older one wanted.
    #[test]
    fn what_an_older_plan_wanted_never_comes_back(
        steps in proptest::collection::vec(step(), 1..200),
        wants in proptest::collection::vec(0..2_u8, 24),
    ) {
        let address = |epoch: u64, sequence: u64| {
            let index = usize::try_from(epoch * 6 + sequence).unwrap() % wants.len();
            format!("192.0.2.{}", wants[index])
        };
        let mut server = MadeUp::new();
        let mut speakers: Vec<Speaker> =
            (0..3).map(|seed| Speaker::new(Updater::new(settings(), seed))).collect();
        let (mut now, mut carried_out) = (Time::ZERO, None);
        for step in steps {
            let before = server.addresses();
            match step {
                Step::Plan(who, epoch, sequence) => {
                    let number = number(epoch, "berlin", sequence);
                    speakers[who].updater.plan(&plan(number, &address(epoch, sequence)));
                }
                Step::Speak(who) => {
                    speakers[who].step(now, Some(&mut server));
                }
                Step::Wait(seconds) => now += std::time::Duration::from_secs(seconds),
                Step::Meddle => continue,
            }
            if let Some(number) = &carried_out && before != server.addresses() {
                let marked = server.mark().map(|mark| mark.plan);
                prop_assert!(marked.as_ref() > Some(number), "{marked:?} after {number}");
            }
            let status = speakers.iter().map(|it| it.updater.status(now).acknowledged);
            carried_out = carried_out.max(status.max().flatten());
        }
    }
}

#[test]
fn of_plans_that_want_one_thing_another_and_the_first_again_the_last_is_marked() {
    let mut server = MadeUp::new();
    let mut speakers = [7, 8].map(|seed| Speaker::new(Updater::new(settings(), seed)));
    let wanted = |sequence, address: &str| plan(number(1, "berlin", sequence), address);
    for speaker in &mut speakers {
        speaker.updater.plan(&wanted(5, "192.0.2.1"));
        speaker.settle(Time::ZERO, &mut server);
    }
    let [quick, late] = &mut speakers;
    // The one in between comes to one of them alone, and late.
    quick.updater.plan(&wanted(7, "192.0.2.1"));
    quick.settle(Time::from_secs(1), &mut server);
    late.updater.plan(&wanted(6, "192.0.2.9"));
    late.settle(Time::from_secs(1), &mut server);
    assert_eq!(server.addresses(), ["192.0.2.1"]);
    assert_eq!(late.state(Time::from_secs(1)).0, "newer");
}

#[test]
fn a_mark_stays_while_each_plan_wants_the_same() {
    let mut server = MadeUp::new();
    let mut speaker = Speaker::new(Updater::new(settings(), 7));
    for sequence in 5..50 {
        speaker.updater.plan(&plan(number(1, "berlin", sequence), "192.0.2.1"));
        speaker.settle(Time::from_secs(60 * sequence), &mut server);
    }
    assert_eq!(server.mark().unwrap().plan.sequence, 5);
    assert_eq!(speaker.updater.status(Time::ZERO).acknowledged.unwrap().sequence, 49);
}

/// Two updaters of one name, the second with settings of its own: 50 Plans, each of which is looked at twice.
fn with_other_settings(
    other: NameServerSettings,
    address: impl Fn(u64) -> String,
) -> (MadeUp, [Speaker; 2]) {
    let mut server = MadeUp::new();
    let mut speakers = [(settings(), 7), (other, 8)]
        .map(|(settings, seed)| Speaker::new(Updater::new(settings, seed)));
    for sequence in 1..=50 {
        for speaker in &mut speakers {
            speaker.updater.plan(&plan(number(1, "berlin", sequence), &address(sequence)));
        }
        for half in 0..2 {
            for speaker in &mut speakers {
                speaker.settle(Time::from_secs(80 * sequence + 40 * half), &mut server);
            }
        }
    }
    (server, speakers)
}

#[test]
fn two_with_other_settings_do_not_rewrite_each_other_without_end() {
    let shorter = NameServerSettings { ttl: Some(10), ..settings() };
    // What is wanted stays, and then changes with every tenth Plan.
    let (server, [first, second]) = with_other_settings(shorter.clone(), |_| "192.0.2.1".into());
    assert_eq!((server.serial, server.ttl()), (3, 10), "whoever comes last");
    let now = Time::from_secs(4080);
    assert_eq!(second.state(now).0, "published");
    let (state, detail) = first.state(now);
    assert_eq!(state, "disputed");
    assert!(detail.contains("192.0.2.1 (TTL 10)") && detail.contains("`ttl`"), "{detail}");
    let told = first.said.iter().filter(|line| line.contains("other settings")).count();
    assert_eq!(told, 1, "{:?}", first.said);
    let status = first.updater.status(now);
    assert_ne!(status.acknowledged, status.desired);
    let (server, _) = with_other_settings(shorter, |sequence| format!("192.0.2.{}", sequence / 10));
    assert_eq!((server.serial, server.addresses()), (1 + 2 * 6, vec!["192.0.2.5".to_owned()]));
}

#[test]
fn what_somebody_changes_by_hand_is_repaired_though_settings_differ() {
    let shorter = NameServerSettings { ttl: Some(10), ..settings() };
    let (mut server, [mut first, mut second]) =
        with_other_settings(shorter, |_| "192.0.2.1".into());
    server.remove_addresses();
    for second_ in 5000..5060 {
        second.settle(Time::from_secs(second_), &mut server);
    }
    assert_eq!((server.addresses(), server.ttl()), (vec!["192.0.2.1".to_owned()], 10));
    for second_ in 5060..5200 {
        first.settle(Time::from_secs(second_), &mut server);
    }
    assert_eq!((server.serial, server.ttl()), (5, 10), "now by the other's settings");
    assert_eq!(first.state(Time::ZERO).0, "disputed");
}
