//! Services in a signed zone: whatever happens to servers, and however late signatures are made,
//! every answer is signed and names living servers only.

use std::sync::Arc;

use proptest::prelude::*;

use super::fixture::{list, name};
use super::signer::{SERVERS, SERVICE, START, Signer, plan_of, policy, world};
use crate::answer::SingleSets;
use crate::answer::table::Drawn;
use crate::dnssec::Signatures;
use crate::world::ServiceType;

#[test]
fn what_is_not_signed_yet_is_stood_in_for_and_then_answered_exactly() {
    let mut signer = Signer::new();
    let all = [list(&[0, 1, 2, 3]), list(&[0, 1, 2, 3])];
    signer.apply(None, &all, false);
    assert!(signer.check() > 0, "only single servers are signed before the first answer");
    signer.catch_up(usize::MAX);
    assert_eq!(signer.check(), 0);
    // All answers with all servers share one signature, for each type.
    let without_3 = [list(&[0, 1, 2]), list(&[0, 1, 2, 3])];
    signer.apply(None, &without_3, false);
    // A, AAAA (s0 and s2), SRV; MX and HTTPS by whoever comes first.
    assert_eq!(signer.wanted.len(), 1 + 1 + 1 + 3 + 3 - 1, "AAAA of s0 and s2 was signed before");
    assert!(signer.check() > 0);
    signer.catch_up(usize::MAX);
    assert_eq!((signer.check(), signer.wanted.len()), (0, 0));
    // What was signed once need not be signed again.
    signer.apply(None, &all, false);
    assert_eq!((signer.check(), signer.wanted.len()), (0, 0));
    // A shorter TTL needs no other signature.
    signer.apply(None, &all, true);
    assert_eq!((signer.check(), signer.wanted.len()), (0, 0));
}

#[test]
fn the_largest_signed_set_of_living_servers_stands_in() {
    let mut signer = Signer::new();
    let lists = |servers: &[u32]| [list(servers), list(servers)];
    signer.apply(Some(2), &lists(&[0, 1, 2]), false);
    signer.catch_up(usize::MAX);
    // {0 1}, {1 2} and {2 0} are signed; with three an answer 0 begins with two of them.
    signer.apply(Some(3), &lists(&[0, 1, 2, 3]), false);
    let service = signer.table.service(0).unwrap();
    let place = service.decisions()[0].list(ServiceType::A).unwrap();
    let answers: Vec<_> = service.lists()[place as usize].answers().collect();
    let counts: Vec<u16> = answers
        .iter()
        .map(|answer| {
            let (ring, first, count) = (answer.ring, answer.first, answer.count);
            let drawn =
                Drawn { records: answer.records, count, ring, first, ordinal: 0, servers: 3 };
            service.signed().unwrap().answer(place, drawn).unwrap().drawn.count
        })
        .collect();
    assert_eq!(counts, [2, 2, 2, 1], "3 was in no set before");
    signer.check();
}

#[test]
fn what_has_expired_stands_in_for_nothing() {
    let mut signer = Signer::new();
    let lists = |servers: &[u32]| [list(servers), list(servers)];
    signer.apply(Some(2), &lists(&[0, 1, 2]), false);
    signer.catch_up(usize::MAX);
    // A machine that slept: nothing was renewed, and then a Plan comes first.
    signer.now += 60 * 86_400;
    signer.apply(Some(3), &lists(&[0, 1, 2, 3]), false);
    assert!(signer.check() > 0, "single servers, signed at once");
}

#[test]
fn a_record_that_names_no_server_is_signed_for_none() {
    let mut topology = world();
    let whole = SingleSets::new(&topology).count();
    let binding = topology.services[0].records.https.as_mut().unwrap();
    (binding.port, binding.hints) = (None, false);
    assert_eq!(SingleSets::new(&topology).count(), whole - SERVERS as usize);
}

#[test]
fn what_did_not_change_is_kept_and_renewals_come_in_time() {
    let mut signer = Signer::new();
    let lists = [list(&[0, 1, 2]), list(&[3, 4])];
    signer.apply(Some(2), &lists, false);
    signer.catch_up(usize::MAX);
    let before = std::ptr::from_ref(signer.table.service(0).unwrap());
    let again = signer.table.clone();
    let outcome = signer.publish(&again);
    assert_eq!(before, std::ptr::from_ref(signer.table.service(0).unwrap()));
    let renewal = outcome.next_renewal.unwrap();
    assert!(renewal > START && renewal <= START + policy().renew_every.as_secs());
    signer.now = renewal;
    let again = signer.table.clone();
    signer.publish(&again);
    assert!(!signer.wanted.is_empty(), "new signatures are due");
    assert_eq!(signer.check(), 0, "the old ones are answered meanwhile");
    // Nobody signs for a week more: what is there still holds. Then a process starts anew.
    signer.now = renewal + policy().renew_every.as_secs();
    let mut other =
        Signer { signatures: signer.signatures.clone(), now: signer.now, ..Signer::new() };
    other.apply(Some(2), &lists, false);
    assert_eq!(other.check(), 0, "found among those of another process");
}

#[test]
fn whoever_fails_to_sign_and_wherever_the_clock_goes_no_signature_is_invalid() {
    let mut signer = Signer::new();
    let lists = |servers: &[u32]| [list(servers), list(servers)];
    signer.apply(Some(2), &lists(&[0, 1, 2]), false);
    signer.catch_up(usize::MAX);
    // {0 1} stands in, for as long as it is valid.
    signer.apply(Some(3), &lists(&[0, 1, 2, 3]), false);
    for _ in 0..30 {
        signer.now += 86_400;
        let table = signer.table.clone();
        signer.publish(&table);
        signer.check();
    }
    // A clock that was wrong until now: what it signed begins in the future.
    signer.catch_up(usize::MAX);
    signer.now = START;
    let table = signer.table.clone();
    signer.publish(&table);
    signer.check();
}

#[test]
fn an_old_signature_is_looked_at_again_before_it_expires() {
    let mut signer = Signer::new();
    let lists = [list(&[0, 1, 2]), list(&[3, 4])];
    signer.apply(Some(2), &lists, false);
    signer.catch_up(usize::MAX);
    let end = START + 2 * policy().valid_for.as_secs();
    while signer.now < end {
        // Nobody signs what is not needed, and nothing else happens between two renewals.
        let table = signer.table.clone();
        let next = signer.publish(&table).next_renewal.unwrap();
        assert!(next > signer.now, "not over and over");
        signer.now = next - 1;
        signer.check();
        signer.now = next;
    }
}

#[test]
fn a_list_that_shares_an_old_signature_with_another_is_renewed_too() {
    let mut signer = Signer::new();
    signer.apply(Some(1), &[list(&[0, 1]), list(&[0])], false);
    signer.catch_up(usize::MAX);
    let again = signer.table.clone();
    let started = signer.now;
    signer.now = signer.publish(&again).next_renewal.unwrap() + policy().renew_every.as_secs();
    signer.publish(&again);
    assert!(signer.first_expiry() <= started + policy().valid_for.as_secs(), "old ones first");
    signer.catch_up(usize::MAX);
    let slack = policy().valid_for - policy().renew_every;
    assert!(signer.first_expiry() > signer.now + slack.as_secs(), "both lists have new ones");
}

#[test]
fn too_many_sets_leave_single_servers_and_say_so() {
    let mut signer = Signer { sets_max: 0, ..Signer::new() };
    let lists = [list(&[0, 1, 2]), list(&[3, 4])];
    signer.apply(Some(2), &lists, false);
    signer.catch_up(usize::MAX);
    let again = signer.table.clone();
    let outcome = signer.publish(&again);
    assert!(outcome.left_out > 0 && outcome.wanted.is_empty());
    assert!(signer.check() > 0);
}

#[test]
fn without_any_signature_the_earlier_table_goes_on() {
    let mut signer = Signer::new();
    signer.apply(Some(1), &[list(&[0, 1]), list(&[0, 1])], false);
    signer.catch_up(usize::MAX);
    let held = std::ptr::from_ref(signer.table.service(0).unwrap());
    signer.signatures = Signatures::default();
    let mut plan = plan_of(9, Some(1), &[list(&[0]), list(&[0])], false);
    plan.servers[0].addresses = vec![[10, 9, 9, 9].into()];
    let table = signer.table.with_plan(Arc::new(plan)).unwrap();
    let (signed, outcome) = signer.sign(&table);
    assert_eq!(outcome.withheld, [name(SERVICE)]);
    assert!(!outcome.needed.is_empty());
    assert_eq!(held, std::ptr::from_ref(signed.service(0).unwrap()));
}

/// What happens between two looks at all answers.
#[derive(Clone, Debug)]
enum Event {
    Plan {
        europe: Vec<u32>,
        world: Vec<u32>,
        answers: Option<u32>,
        degraded: bool,
    },
    Sign(usize),
    /// So many seconds, or back if the clock is set.
    Pass(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let servers = || {
        let all: Vec<u32> = (0..SERVERS).collect();
        // Server 0 has both families, so that no list is empty for a type.
        proptest::sample::subsequence(all, 0..SERVERS as usize).prop_map(|mut servers| {
            if !servers.contains(&0) {
                servers.push(0);
            }
            servers
        })
    };
    let answers = prop_oneof![Just(None), (1..4_u32).prop_map(Some)];
    prop_oneof![
        4 => (servers(), servers(), answers, any::<bool>()).prop_map(
            |(europe, world, answers, degraded)| Event::Plan { europe, world, answers, degraded }
        ),
        2 => (0..40_usize).prop_map(Event::Sign),
        1 => prop_oneof![0..400_000_i64, 0..4_000_000_i64].prop_map(Event::Pass),
        1 => prop_oneof![-4_000_i64..0, -800_000_i64..0].prop_map(Event::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_answer_is_signed_and_living_whenever_signatures_are_made(
        events in proptest::collection::vec(event(), 1..25),
    ) {
        let mut signer = Signer::new();
        signer.apply(None, &[list(&[0]), list(&[0])], false);
        for event in events {
            match event {
                Event::Plan { europe, world, answers, degraded } => {
                    signer.apply(answers, &[list(&europe), list(&world)], degraded);
                }
                Event::Sign(some) => signer.catch_up(some),
                Event::Pass(secs) => {
                    signer.now = signer.now.saturating_add_signed(secs);
                    let table = signer.table.clone();
                    signer.publish(&table);
                }
            }
            signer.check();
        }
        signer.catch_up(usize::MAX);
        prop_assert_eq!(signer.check(), 0, "in the end everything is as drawn");
        prop_assert!(signer.wanted.is_empty());
    }
}
