//! Several updaters of one name server: whoever has the newest Plan wins, whatever comes between.

use proptest::prelude::*;

use super::super::Updater;
use super::made_up::{MadeUp, Speaker};
use super::plans::{number, plan, settings};
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
}
