//! Plans in parts over a network that loses, doubles and mixes them.

use proptest::prelude::*;

use super::properties::{scene, step};
use super::*;
use crate::world::Generator;

const NOTHING: [u64; 0] = [];

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

/// A row of Plans, each of which differs a little from the one before.
fn row(count: u64) -> Vec<Arc<Plan>> {
    let mut scene =
        Scene::new(&[("a", 9), ("b", 8), ("c", 7)], &[("x", "a"), ("y", "b"), ("world", "")]);
    let plan = |sequence| {
        let life = if sequence % 2 == 0 { Life::Dead } else { Life::Living };
        scene.life("a1", life).load("b2", (sequence % 10) as f64 / 10.0).event();
        let plan = scene.plan();
        Arc::new(Plan { number: PlanNumber { sequence, ..plan.number.clone() }, ..plan })
    };
    (1..=count).map(plan).collect()
}

fn parts(plan: &Arc<Plan>, before: Option<&Arc<Plan>>) -> Vec<PlanPart> {
    PlanSender::default().parts(plan, before, 1500)
}

fn take_all(receiver: &mut PlanReceiver, now: Time, parts: &[PlanPart]) -> Vec<u64> {
    let taken = parts.iter().filter_map(|part| receiver.take(now, part.clone()));
    taken.map(|plan| plan.number.sequence).collect()
}

#[test]
fn parts_make_the_plan_again() {
    let row = row(2);
    for bytes_max in [0, 1200, 1500, 4096, 1 << 20] {
        let mut sender = PlanSender::default();
        for parts in
            [sender.whole(&row[1], bytes_max), sender.parts(&row[1], Some(&row[0]), bytes_max)]
        {
            assert!(parts.len() > 1 || bytes_max > 4096 || parts[0].base.is_some());
            let mut receiver = PlanReceiver::new(Some(row[0].clone()));
            assert_eq!(take_all(&mut receiver, at(0), &parts), [2]);
            assert_eq!(receiver.held(), Some(&row[1]));
            assert_eq!((receiver.next_deadline(), receiver.poll(at(100_000))), (None, None));
        }
    }
    let difference = parts(&row[1], Some(&row[0]));
    assert_eq!(difference[0].base.as_ref(), Some(&row[0].number));
    let whole: usize = parts(&row[1], None).iter().map(|part| part.text.len()).sum();
    assert!(difference.iter().map(|part| part.text.len()).sum::<usize>() < whole / 2);
}

#[test]
fn a_difference_that_was_lost_is_asked_for_at_once_when_the_next_comes() {
    let row = row(3);
    let mut receiver = PlanReceiver::new(Some(row[0].clone()));
    assert_eq!(take_all(&mut receiver, at(5000), &parts(&row[2], Some(&row[1]))), NOTHING);
    let wanted = PlanWanted { held: Some(row[0].number.clone()) };
    assert_eq!((receiver.next_deadline(), receiver.poll(at(5000))), (Some(at(5000)), Some(wanted)));
    assert_eq!(receiver.poll(at(5000)), None);
    assert_eq!(take_all(&mut receiver, at(5100), &parts(&row[2], None)), [3]);
    assert_eq!(receiver.next_deadline(), None);
}

#[test]
fn a_part_that_was_lost_and_a_plan_that_is_only_told_of_are_asked_for_soon() {
    let row = row(2);
    let mut receiver = PlanReceiver::new(Some(row[0].clone()));
    let difference = parts(&row[1], Some(&row[0]));
    assert!(difference.len() > 1);
    take_all(&mut receiver, at(1000), &difference[1..]);
    assert_eq!(receiver.next_deadline(), Some(at(1250)));
    let mut told = PlanReceiver::new(None);
    told.number_seen(at(1000), &row[1].number);
    assert_eq!(told.next_deadline(), Some(at(1250)));
    assert_eq!(told.poll(at(1250)), Some(PlanWanted { held: None }));
}

#[test]
fn it_is_asked_again_and_again_as_long_as_somebody_says_that_there_is_one() {
    let number = row(1)[0].number.clone();
    let mut receiver = PlanReceiver::new(None);
    let mut asked = Vec::new();
    for millis in (0..100_000).step_by(50) {
        if millis % 1000 == 0 && millis < 50_000 {
            receiver.number_seen(at(millis), &number);
        }
        if receiver.poll(at(millis)).is_some() {
            asked.push(millis);
        }
    }
    assert_eq!(asked[..7], [250, 750, 1750, 3750, 7750, 15_750, 25_750]);
    assert!(asked.iter().all(|millis| *millis < 80_000), "{asked:?}");
    assert_eq!(receiver.next_deadline(), None);
}

#[test]
fn who_is_heard_again_after_a_silence_is_asked_soon() {
    let number = row(1)[0].number.clone();
    let mut receiver = PlanReceiver::new(None);
    let mut asked = Vec::new();
    for millis in (0..30_000).step_by(50) {
        let is_cut = (17_000..24_000).contains(&millis);
        if millis % 1000 == 0 && !is_cut {
            receiver.number_seen(at(millis), &number);
        }
        if receiver.poll(at(millis)).is_some() {
            asked.push(millis);
        }
    }
    assert_eq!(asked, [250, 750, 1750, 3750, 7750, 15_750, 24_250, 24_750, 25_750, 27_750]);
}

#[test]
fn the_parts_of_two_plans_may_come_mixed() {
    let row = row(3);
    let (one, two) = (parts(&row[1], Some(&row[0])), parts(&row[2], Some(&row[1])));
    let mut receiver = PlanReceiver::new(Some(row[0].clone()));
    assert_eq!(take_all(&mut receiver, at(0), &one[..1]), NOTHING);
    assert_eq!(take_all(&mut receiver, at(0), &two), NOTHING);
    assert_eq!(receiver.poll(at(0)), None, "the one before is on its way");
    assert_eq!(take_all(&mut receiver, at(0), &one[1..]), [3], "both at once");
}

#[test]
fn what_is_older_or_hostile_leads_to_nothing() {
    let row = row(3);
    let good = parts(&row[2], None);
    let mut receiver = PlanReceiver::new(Some(row[1].clone()));
    assert_eq!(take_all(&mut receiver, at(0), &parts(&row[0], None)), NOTHING);
    let bad = |change: &dyn Fn(&mut PlanPart)| {
        let mut parts = good.clone();
        parts.iter_mut().for_each(change);
        parts
    };
    let absurd = PlanNumber { epoch: u64::MAX, controller: name("x"), sequence: 1 };
    let later = PlanNumber { sequence: 9, ..row[2].number.clone() };
    for (why, parts) in [
        ("counts", bad(&|part| part.parts = u32::MAX)),
        ("none", bad(&|part| (part.part, part.parts) = (0, 0))),
        ("beyond", bad(&|part| part.part = part.parts)),
        ("digest", bad(&|part| part.digest = Digest::of([]))),
        ("epoch", bad(&|part| part.number = absurd.clone())),
        ("another number than inside", bad(&|part| part.number = later.clone())),
        ("no difference", bad(&|part| part.base = Some(row[1].number.clone()))),
        ("a base that is later", bad(&|part| part.base = Some(later.clone()))),
        ("text", bad(&|part| part.text = "{".to_owned())),
    ] {
        let mut receiver = receiver.clone();
        assert_eq!(take_all(&mut receiver, at(0), &parts), NOTHING, "{why}");
        // The good one still comes through.
        assert_eq!(take_all(&mut receiver, at(1), &good), [3], "{why}");
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let plan = &row(1)[0];
    let template = &parts(plan, None)[0];
    let mut receiver = PlanReceiver::new(None);
    for sequence in 2..2000 {
        let number = PlanNumber { sequence, ..plan.number.clone() };
        let text = "x".repeat(1 << 18);
        for part in 0..3 {
            let (number, text) = (number.clone(), text.clone());
            let part = PlanPart { number, part, parts: 4096, text, ..template.clone() };
            assert_eq!(receiver.take(at(sequence), part), None);
        }
    }
    assert!(receiver.kept_bytes() <= 4 * 3 * (1 << 18), "{}", receiver.kept_bytes());
    let number = PlanNumber { sequence: 9999, ..plan.number.clone() };
    for part in 0..300 {
        let text = "x".repeat(1 << 18);
        let part = PlanPart { number: number.clone(), part, parts: 4096, text, ..template.clone() };
        receiver.take(at(9999), part);
        assert!(receiver.kept_bytes() <= PLAN_TEXT_MAX);
    }
}

/// One who sends and one who listens, with a network between them: parts come late, twice, mixed or not at all.
fn converse(row: &[Arc<Plan>], seed: u64, lost: u64) {
    let mut generator = Generator::new(seed);
    let mut sender = PlanSender::default();
    let mut receiver = PlanReceiver::new(Some(row[0].clone()));
    let mut queue: Vec<(u64, Vec<PlanPart>)> = Vec::new();
    let mut wanted: Vec<u64> = Vec::new();
    let mut held = row[0].number.clone();
    let last = row.len() as u64 * 300;
    let mut newest = row[0].clone();
    for millis in (0..last + 2000).step_by(10) {
        let mut said = Vec::new();
        if millis % 300 == 0 && millis > 0 && millis < last {
            let plan = &row[(millis / 300) as usize];
            said.extend(sender.parts(plan, Some(&newest), 1500));
            newest = plan.clone();
        }
        if wanted.iter().any(|at| *at <= millis) {
            wanted.clear();
            said.extend(sender.whole(&newest, 1500));
        }
        for part in said {
            // The last Plans come through, or nothing could be said of when they are there.
            let is_lost = millis + 600 < last && generator.draw() % 100 < lost;
            for _ in 0..u64::from(!is_lost) * (1 + generator.draw() % 2) {
                queue.push((millis + generator.draw() % 100, vec![part.clone()]));
            }
        }
        if millis % 1000 == 0 {
            receiver.number_seen(at(millis), &newest.number);
        }
        let (due, later) = queue.into_iter().partition(|(due, _)| *due <= millis);
        queue = later;
        let due: Vec<(u64, Vec<PlanPart>)> = due;
        for part in due.into_iter().flat_map(|it| it.1) {
            if let Some(plan) = receiver.take(at(millis), part) {
                assert!(plan.number > held, "seed {seed}");
                assert!(row.contains(&plan), "seed {seed}");
                held = plan.number.clone();
            }
        }
        if receiver.poll(at(millis)).is_some() {
            wanted.push(millis + 20);
        }
    }
    assert_eq!(held, row[row.len() - 1].number, "seed {seed}");
}

#[test]
fn whatever_is_lost_the_last_plan_is_there_within_two_seconds() {
    let row = row(12);
    for seed in 0..100 {
        converse(&row, seed, [0, 10, 50, 90][(seed % 4) as usize]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn parts_in_any_order_and_more_than_once_make_the_plan(
        scene in scene(),
        steps in (step(), step()),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        bytes_max in 0..4000_usize,
    ) {
        let mut scene = scene;
        let mut plan = |step, sequence| {
            scene.apply(step);
            scene.decide(step.cause);
            let plan = scene.plan();
            Arc::new(Plan { number: PlanNumber { sequence, ..plan.number.clone() }, ..plan })
        };
        let (old, new) = (plan(&steps.0, 1), plan(&steps.1, 2));
        let mut sender = PlanSender::default();
        for parts in [sender.whole(&new, bytes_max), sender.parts(&new, Some(&old), bytes_max)] {
            prop_assume!(parts.len() <= PLAN_PARTS_MAX as usize);
            let mut receiver = PlanReceiver::new(Some(old.clone()));
            let mut taken = Vec::new();
            // Some of them, in any order and more than once, then all, the last first.
            let some = order.iter().map(|index| index.get(&parts));
            for part in some.chain(parts.iter().rev()) {
                taken.extend(receiver.take(at(0), part.clone()));
            }
            prop_assert_eq!(taken, vec![new.clone()]);
        }
    }

    #[test]
    fn hostile_parts_are_no_harm(
        parts in prop::collection::vec(
            (0..5_u64, prop::option::of(0..5_u64), 0..6_u32, 0..6_u32, 0..3_usize, ".{0,20}"),
            0..100,
        ),
    ) {
        let row = row(3);
        let template = self::parts(&row[2], None)[0].clone();
        let number = |sequence| PlanNumber { sequence, ..template.number.clone() };
        let mut receiver = PlanReceiver::new(Some(row[0].clone()));
        for (sequence, base, part, parts, digest, text) in parts {
            let part = PlanPart {
                number: number(sequence),
                base: base.map(number),
                part,
                parts,
                // Now and then that of what a single part has.
                digest: Digest::of([&text.as_bytes()[..text.len() * digest / 2]]),
                text,
            };
            prop_assert_eq!(receiver.take(at(0), part), None);
            receiver.poll(at(sequence * 1000));
        }
        let good = self::parts(&row[2], None);
        prop_assert_eq!(take_all(&mut receiver, at(9000), &good), vec![3]);
    }
}
