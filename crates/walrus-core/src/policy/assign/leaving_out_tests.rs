//! Who is left out of answers for its load: a table, and a closed model in which clients follow the answers.

use proptest::prelude::*;

use super::*;

const THRESHOLD: f64 = 0.8;
const HYSTERESIS: f64 = 0.05;

fn member(load: impl Into<Option<f64>>, was_left_out: bool) -> Member {
    let load = load.into();
    let limit = if was_left_out { THRESHOLD - HYSTERESIS } else { THRESHOLD };
    let over = load.is_some_and(|load| load > limit + EPSILON);
    Member { load, weight: 1.0, over, is_out: was_left_out, was_given: !was_left_out }
}

/// All clients have followed, but for those of servers of this weight that are given out no more.
fn left_out_with(members: &[Member], lost: f64) -> Vec<bool> {
    let given = members.iter().filter(|it| it.was_given).map(|it| it.weight).sum::<f64>();
    left_out(members, given + lost, (THRESHOLD, HYSTERESIS))
}

#[test]
fn a_server_is_left_out_only_if_the_others_can_bear_its_clients() {
    // Loads; `out` before them means that it was left out; who is.
    for (loads, expected) in [
        ("0.95 0.5 0.5", "0"),
        ("0.95 0.6 0.6", ""),
        ("0.81 0.4", ""),
        ("0.81 0.37", "0"),
        // With two away, 0.2 would be 0.6; 0.3 would be 0.9, and 0.58 with one away 0.86.
        ("0.85 0.95 0.2", "0 1"),
        ("0.85 0.95 0.3", ""),
        // 0.4 would be 0.8; with the worst away all others would be at 0.72.
        ("0.82 0.95 0.4 0.4", "1"),
        // All are above.
        ("0.9 0.99 0.85", ""),
        ("0.9", ""),
        // Who is out stays out while the others are below, with all clients.
        ("out0.95 0.78 0.79", "0"),
        ("out0.95 0.85 0.72", "0"),
        ("out0.95 0.9 0.78", ""),
        // Down, but not by the hysteresis; down by it.
        ("out0.78 0.7 0.7", "0"),
        ("out0.75 0.7 0.7", ""),
        // The one that comes back takes clients of the others.
        ("out0.3 0.9 0.6 0.6", "1"),
        ("out0.3 0.9", ""),
        // Those that remain were not given out: of them nobody can tell.
        ("out0.3 out0.3 0.9", ""),
        // Those that were given out have died.
        ("out0.9 out0.85", ""),
        ("out0.9 out0.3", "0"),
        // Nothing is known against the unknown.
        ("0.9 ?", "0"),
        ("0.9 ? 0.6", ""),
        ("? ?", ""),
    ] {
        let members: Vec<Member> = loads
            .split(' ')
            .map(|text| match text.strip_prefix("out") {
                Some(load) => member(load.parse::<f64>().unwrap(), true),
                None => member(text.parse::<f64>().ok(), false),
            })
            .collect();
        let out = left_out_with(&members, 0.0);
        let out = (0..out.len()).filter(|it| out[*it]).map(|it| it.to_string());
        assert_eq!(out.collect::<Vec<_>>().join(" "), expected, "{loads}");
    }
}

/// Loads .95 .82 .30 .56: without the first, the others would be at 0.75; without the second, too, at 0.86.
#[test]
fn who_was_left_out_a_moment_ago_has_its_clients_still() {
    let mut members = [0.95, 0.82, 0.30, 0.56].map(|load| member(load, false));
    assert_eq!(left_out_with(&members, 0.0), [true, false, false, false]);
    members[0].is_out = true;
    members[0].was_given = false;
    for _ in 0..3 {
        assert_eq!(left_out_with(&members, 1.0), [true, false, false, false]);
    }
}

/// Three of .5 by clients, the first with a backup beside; it is left out. Whoever looks while clients follow
/// finds the others with as many as have followed, and is not to send them back.
#[test]
fn who_is_left_out_stays_so_while_clients_follow() {
    use crate::policy::assign::following::{Following, Measured};
    use crate::world::{ServerId, Time};
    use std::time::Duration;
    let ttl = Duration::from_secs(60);
    let change = Following { server: ServerId(0), since: Time::from_secs(100), was_given: true };
    for clients in [0.3, 0.45, 0.5] {
        for age in 0..=70 {
            let followed = (age as f64 / 60.0).min(1.0);
            let others = clients * (1.0 - followed + followed * 3.0 / 2.0);
            let first = 0.5 + clients * (1.0 - followed);
            let at = (Time::from_secs(100 + age), ttl);
            let measured = Measured::new(vec![false, true, true], &[change], at);
            let member = |server: usize, load| Member {
                was_given: measured.was_always_given(server),
                is_out: server == 0,
                ..member(load, server == 0)
            };
            let members = [member(0, first.max(0.76)), member(1, others), member(2, others)];
            let spread = measured.spread_over(0..3, |_| 1.0);
            let out = left_out(&members, spread, (THRESHOLD, HYSTERESIS));
            assert_eq!(out, [true, false, false], "{clients} after {age} s");
        }
    }
}

/// One is out, since a backup runs on it; of two others at 0.55 one dies.
#[test]
fn whoever_died_a_moment_ago_has_clients_that_are_still_to_come() {
    let members = [member(0.95, true), member(0.55, false)];
    assert_eq!(left_out_with(&members, 1.0), [false, false]);
    // They have come, and it bears them.
    assert_eq!(left_out_with(&members, 0.0), [true, false]);
}

#[test]
fn clients_go_by_weight_and_ramp() {
    let of_two = |one: Member, other: f64| left_out_with(&[one, member(other, false)], 0.0);
    let light = Member { weight: 0.1, ..member(0.95, false) };
    // Ten elevenths have them anyway.
    assert_eq!(of_two(light, 0.68), [true, false]);
    let heavy = Member { weight: 3.0, ..member(0.95, false) };
    assert_eq!(of_two(heavy, 0.2), [false, false]);
    assert_eq!(of_two(heavy, 0.18), [true, false]);
}

/// Servers of one pool, their clients spread evenly by weight over those that are given out.
#[derive(Clone, Debug)]
struct Closed {
    /// Weight, and the load that it has of its own.
    servers: Vec<(f64, f64)>,
    /// What the clients would make of all servers together: the mean load, with nobody left out.
    clients: f64,
}

impl Closed {
    fn loads(&self, out: &[bool], noise: &[f64]) -> Vec<f64> {
        let all: f64 = self.servers.iter().map(|(weight, _)| weight).sum();
        let given: f64 =
            self.servers.iter().zip(out).filter(|it| !it.1).map(|((weight, _), _)| weight).sum();
        let of_clients = self.clients * all / given;
        let loads = self.servers.iter().zip(out).zip(noise);
        loads
            .map(|(((_, own), out), noise)| {
                let load = own + if *out { 0.0 } else { of_clients * (1.0 + noise) };
                load.clamp(0.0, 1.0)
            })
            .collect()
    }

    /// A round: who is above, and who is left out now.
    fn round(&self, over: &mut [bool], out: &[bool], noise: &[f64]) -> Vec<bool> {
        let loads = self.loads(out, noise);
        for (over, load) in over.iter_mut().zip(&loads) {
            let limit = if *over { THRESHOLD - HYSTERESIS } else { THRESHOLD };
            *over = *load > limit + EPSILON;
        }
        let member = |index: usize| Member {
            load: Some(loads[index]),
            weight: self.servers[index].0,
            over: over[index],
            is_out: out[index],
            was_given: !out[index],
        };
        let members: Vec<Member> = (0..loads.len()).map(member).collect();
        left_out_with(&members, 0.0)
    }
}

prop_compose! {
    fn closed(own: f64)(
        servers in prop::collection::vec((1..4_u32, 0.0..=own), 1..8),
        clients in 0.0..1.2_f64,
    ) -> Closed {
        let servers = servers.into_iter().map(|(weight, own)| (f64::from(weight), own)).collect();
        Closed { servers, clients }
    }
}

fn noise() -> impl Strategy<Value = Vec<Vec<f64>>> {
    prop::collection::vec(prop::collection::vec(-0.25..0.25_f64, 8), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn whoever_is_left_out_leaves_others_that_can_bear_it(closed in closed(0.6), noise in noise()) {
        let count = closed.servers.len();
        let (mut over, mut out) = (vec![false; count], vec![false; count]);
        for noise in noise {
            let before = out.clone();
            out = closed.round(&mut over, &out, &noise);
            prop_assert!(out.iter().any(|out| !out), "never all");
            let is_new = (0..count).any(|it| out[it] && !before[it]);
            if !is_new {
                continue;
            }
            // By what is measured at this moment, and by the weights alone, as the rule promises.
            let loads = closed.loads(&before, &noise);
            let weight = |is: &dyn Fn(usize) -> bool| -> f64 {
                (0..count).filter(|it| is(*it)).map(|it| closed.servers[it].0).sum()
            };
            let stayed = |it: usize| !out[it] && !before[it];
            let load: f64 =
                (0..count).filter(|it| stayed(*it)).map(|it| closed.servers[it].0 * loads[it]).sum();
            let more = weight(&|it| !before[it]) / weight(&|it| !out[it]);
            let expected = load / weight(&stayed) * more;
            prop_assert!(expected <= THRESHOLD - HYSTERESIS + 1e-6, "{expected} {loads:?} {out:?}");
        }
    }

    /// Without chance, where each server's load is of its clients or (nearly all) of something else. What is of both in
    /// such parts that the hysteresis lies between comes and goes: A13 asks no more.
    #[test]
    fn it_comes_to_rest(closed in closed(0.0), busy in prop::collection::vec(0.76..1.0_f64, 0..4)) {
        let mut closed = closed;
        for ((_, own), busy) in closed.servers.iter_mut().zip(busy) {
            *own = busy;
        }
        let count = closed.servers.len();
        let (mut over, mut out) = (vec![false; count], vec![false; count]);
        let still = vec![0.0; count];
        for _ in 0..2 * count {
            out = closed.round(&mut over, &out, &still);
        }
        for _ in 0..5 {
            let next = closed.round(&mut over, &out, &still);
            prop_assert_eq!(&next, &out, "{:?}", closed.loads(&out, &still));
        }
    }

    /// The same loads, judged again before anybody's clients have followed, leave out the same.
    #[test]
    fn the_same_loads_leave_out_the_same(
        loads in prop::collection::vec((0.0..=1.0_f64, 1..4_u32), 1..8),
        times in 1..5,
    ) {
        let member = |&(load, weight): &(f64, u32)| {
            Member { weight: f64::from(weight), ..member(load, false) }
        };
        let mut members: Vec<Member> = loads.iter().map(member).collect();
        let whole = members.iter().map(|it| it.weight).sum();
        let first = left_out(&members, whole, (THRESHOLD, HYSTERESIS));
        for _ in 0..times {
            let out = left_out(&members, whole, (THRESHOLD, HYSTERESIS));
            for (member, out) in members.iter_mut().zip(&out) {
                (member.is_out, member.was_given) = (*out, !out);
            }
        }
        let again = left_out(&members, whole, (THRESHOLD, HYSTERESIS));
        let count = |out: &[bool]| out.iter().filter(|out| **out).count();
        // Who is out may stay out up to the threshold itself, and nobody joins it.
        prop_assert_eq!(count(&again), count(&first), "{:?} {:?}", again, first);
    }

    /// Where clients make all of the load, servers follow their weights, and all can be borne with some to spare, nobody
    /// who is given out is above the threshold for that another is not.
    #[test]
    fn clients_alone_drive_nobody_out(closed in closed(0.0)) {
        let count = closed.servers.len();
        let (mut over, mut out) = (vec![false; count], vec![false; count]);
        let still = vec![0.0; count];
        for _ in 0..10 {
            out = closed.round(&mut over, &out, &still);
            prop_assert!(out.iter().all(|out| !out), "alike, so that nobody is to be spared: {out:?}");
        }
    }
}
