//! Who sees what: several nodes probe, and what they see comes to one verdict everywhere.

use super::super::harness::{name, probed};
use super::network::WATCHERS;
use super::*;
use crate::control::{ServerStatus, Status};
use crate::world::Life;

const ALL: [&str; 4] = ["asia1", "asia2", "europe1", "europe2"];

/// So many Controllers that probe, each of whom has seen everybody.
fn probing(count: usize) -> Network {
    let mut network = Network::with(&probed(), count);
    network.pass(40_000);
    network
}

fn status(network: &Network, number: usize) -> Status {
    network.nodes[number].controller.as_ref().unwrap().status(network.now, 0)
}

fn server(network: &Network, number: usize, server: &str) -> ServerStatus {
    let servers = status(network, number).servers;
    servers.into_iter().find(|it| it.name.as_str() == server).unwrap()
}

fn life(network: &Network, number: usize, of: &str) -> Life {
    server(network, number, of).condition.life
}

/// Whether all Controllers that run take it for that, and the master's Plan as well.
fn all_take(network: &Network, of: &str, for_what: Life) -> bool {
    let running = (0..network.nodes.len()).filter(|it| network.nodes[*it].controller.is_some());
    let mut numbers = running.clone();
    let plan = |number: usize| {
        let (_, plan) = network.nodes[number].taken.last()?;
        plan.servers.iter().find(|it| it.name.as_str() == of).map(|it| it.life)
    };
    numbers.all(|number| life(network, number, of) == for_what && plan(number) == Some(for_what))
}

#[test]
fn one_that_cannot_reach_a_server_takes_it_from_nobody_and_a_second_does() {
    let mut network = probing(3);
    network.hide(0, &["asia1"]);
    network.pass(6000);
    assert!(all_take(&network, "asia1", Life::Living), "the master's own way is broken");
    for number in 0..3 {
        let seen = server(&network, number, "asia1").disagreement.unwrap();
        assert_eq!(seen.up, ["b", "c"]);
        let reason = "probe tcp 192.0.2.1 port 80: refused".to_owned();
        assert_eq!(seen.down, [("a".to_owned(), reason)]);
        assert_eq!(seen.needed, 2);
    }
    network.hide(2, &["asia1"]);
    network.until(6000, |it| all_take(it, "asia1", Life::Dead));
    let reasons = (0..3).map(|number| server(&network, number, "asia1").condition.reason);
    let mut reasons: Vec<String> = reasons.collect();
    reasons.dedup();
    assert_eq!(
        reasons,
        [
            "2 of 3 vantage points see it down (a, c; b sees it up): probe tcp 192.0.2.1 port 80: refused"
        ],
        "all say the same"
    );
    network.show(0, &["asia1"]);
    network.until(6000, |it| all_take(it, "asia1", Life::Living));
}

#[test]
fn a_death_is_found_out_in_the_time_of_one_that_probes_alone() {
    let mut network = probing(3);
    network.dead.insert(name("asia1"));
    // fall x (interval x (1 + jitter) + timeout), as for one, and a message.
    let bound = 3 * (1100 + 500) + 200;
    let passed = network.until(bound, |it| all_take(it, "asia1", Life::Dead));
    assert!(passed > 2000, "not before three probes failed: {passed}");
}

#[test]
fn name_servers_that_probe_have_a_vote_until_they_are_silent() {
    let mut network = probing(1);
    network.watch();
    network.watch();
    network.pass(10_000);
    network.hide(0, &["asia1"]);
    network.pass(6000);
    assert_eq!(life(&network, 0, "asia1"), Life::Living);
    let names = status(&network, 0).vantage_points;
    let names: Vec<String> = names.iter().map(|it| it.name.to_string()).collect();
    assert_eq!(names, ["a", "n0", "n1"]);
    // One against one is no majority; nobody but the one is.
    network.stop_watching(WATCHERS);
    network.pass(12_000);
    assert_eq!(life(&network, 0, "asia1"), Life::Living);
    network.stop_watching(WATCHERS + 1);
    // It spoke last at most a third of that time ago.
    network.pass(6500);
    assert_eq!(life(&network, 0, "asia1"), Life::Living, "its word lasts");
    network.pass(3600);
    assert_eq!(life(&network, 0, "asia1"), Life::Dead);
    assert_eq!(
        server(&network, 0, "asia1").condition.reason,
        "probe tcp 192.0.2.1 port 80: refused",
        "nobody else looks"
    );
    network.watch_again(WATCHERS);
    // Who heard nobody listens for 6 s who there is.
    network.until(7000, |it| life(it, 0, "asia1") == Life::Living);
}

#[test]
fn a_vantage_point_that_starts_anew_leaves_the_verdict_to_nobody_alone() {
    let mut network = probing(1);
    network.watch();
    network.hide(0, &["asia1"]);
    network.pass(20_000);
    for _ in 0..5 {
        assert_eq!(life(&network, 0, "asia1"), Life::Living);
        // It is there, and has not seen anybody yet: `a` alone says that asia1 is down.
        network.watch_again(WATCHERS);
        for _ in 0..100 {
            network.pass(50);
            assert_eq!(life(&network, 0, "asia1"), Life::Living);
        }
    }
    network.dead.insert(name("asia1"));
    network.until(8000, |it| life(it, 0, "asia1") == Life::Dead);
    network.watch_again(WATCHERS);
    for _ in 0..400 {
        network.pass(50);
        assert_eq!(life(&network, 0, "asia1"), Life::Dead, "nor to nobody");
    }
}

#[test]
fn one_that_differs_moves_nobody_while_the_others_are_not_heard_yet() {
    let text =
        probed().replace("roles = [\"controller\"]", "roles = [\"controller\"]\nprobes = false");
    for (text, seed) in
        [probed(), text].iter().flat_map(|text| (0..10).map(move |seed| (text, seed)))
    {
        let mut network = Network::with(text, 1);
        network.seed(seed);
        (0..3).for_each(|_| network.watch());
        network.hide(WATCHERS, &["asia1"]);
        network.pass(30_000 + 700 * seed);
        assert_eq!(life(&network, 0, "asia1"), Life::Living);
        let published = network.nodes[0].taken.len();
        let calm = |network: &mut Network, when| {
            for _ in 0..600 {
                network.pass(50);
                assert_eq!(life(network, 0, "asia1"), Life::Living, "{when}, seed {seed}");
            }
        };
        network.stop(0, Stop::Crash);
        network.pass(300 * seed);
        network.start(0);
        calm(&mut network, "after a start of the Controller");
        // The network is away for longer than words last.
        let all = [WATCHERS, WATCHERS + 1, WATCHERS + 2];
        network.split(&[&[0], &all]);
        network.pass(20_000 + 300 * seed);
        network.join();
        calm(&mut network, "after a cut");
        for number in all {
            network.watch_again(number);
            network.pass(500);
        }
        calm(&mut network, "after a restart of all");
        let lives =
            |plan: &crate::plan::Plan| plan.servers.iter().all(|it| it.life == Life::Living);
        assert!(network.nodes[0].taken[published..].iter().all(|(_, plan)| lives(plan)));
    }
}

#[test]
fn a_controller_whose_own_uplink_is_dead_stays_master_and_moves_nobody() {
    let mut network = probing(2);
    let plan = network.number(0);
    network.hide(0, &ALL);
    network.pass(30_000);
    // Two vantage points, one of which is blind.
    for of in ALL {
        assert!(all_take(&network, of, Life::Living), "{of}");
    }
    let points = status(&network, 0).vantage_points;
    assert_eq!(points.iter().map(|it| it.blind).collect::<Vec<_>>(), [true, false]);
    assert_eq!(network.number(0), plan);
    // The only one that sees has the only vote.
    network.dead.insert(name("europe2"));
    network.until(6000, |it| all_take(it, "europe2", Life::Dead));
}

#[test]
fn a_controller_that_does_not_probe_knows_by_what_others_tell() {
    let text =
        probed().replace("roles = [\"controller\"]", "roles = [\"controller\"]\nprobes = false");
    let mut network = Network::with(&text, 2);
    network.pass(5000);
    assert!(status(&network, 0).vantage_points.is_empty());
    assert_eq!(life(&network, 0, "asia1"), Life::Living, "nobody tells");
    network.watch();
    network.dead.insert(name("asia1"));
    network.until(8000, |it| all_take(it, "asia1", Life::Dead));
    let reason = server(&network, 1, "asia1").condition.reason;
    assert!(reason.starts_with("1 of 1 vantage points sees it down (n0): probe"), "{reason}");
    assert_eq!(network.nodes[0].sights, 0);
}

/// One Controller that does not probe, and two name servers that do.
fn told_by_two() -> Network {
    let text =
        probed().replace("roles = [\"controller\"]", "roles = [\"controller\"]\nprobes = false");
    let mut network = Network::with(&text, 1);
    network.watch();
    network.watch();
    network.pass(20_000);
    network
}

fn all_fall_silent(network: &mut Network) {
    network.stop_watching(WATCHERS);
    network.stop_watching(WATCHERS + 1);
    network.pass(60_000);
    assert!(status(network, 0).vantage_points.is_empty());
}

#[test]
fn the_dead_stay_dead_when_all_vantage_points_fall_silent() {
    let mut network = told_by_two();
    network.dead.insert(name("asia1"));
    network.until(8000, |it| all_take(it, "asia1", Life::Dead));
    all_fall_silent(&mut network);
    assert!(all_take(&network, "asia1", Life::Dead), "nobody has seen it since");
    assert!(all_take(&network, "asia2", Life::Living));
}

#[test]
fn what_a_plan_of_old_says_is_nothing_once_somebody_has_told() {
    let mut network = told_by_two();
    network.dead.insert(name("asia1"));
    network.until(8000, |it| all_take(it, "asia1", Life::Dead));
    network.stop(0, Stop::Crash);
    network.start(0);
    network.pass(20_000);
    assert!(all_take(&network, "asia1", Life::Dead));
    network.dead.clear();
    network.until(8000, |it| all_take(it, "asia1", Life::Living));
    all_fall_silent(&mut network);
    assert!(all_take(&network, "asia1", Life::Living), "it was seen up last");
}

#[test]
fn whoever_cannot_look_has_no_vote() {
    // fall + 1 times the longest from one result to the next, and what the others need.
    let (forgotten, bound) = (4 * 1600, 4 * 1600 + 1600);
    for never_ends in [false, true] {
        let mut network = told_by_two();
        network.cannot_look.insert(WATCHERS + 1, never_ends);
        network.dead.insert(name("asia1"));
        network.pass(5000);
        assert!(all_take(&network, "asia1", Life::Living), "one of two saw it up lately");
        network.until(bound - 5000, |it| all_take(it, "asia1", Life::Dead));
        network.pass(60_000);
        // That nothing came of its probes is nothing that speaks against a server.
        assert!(ALL[1..].iter().all(|of| all_take(&network, of, Life::Living)), "{never_ends}");
        let seen = |network: &Network| {
            let points = status(network, 0).vantage_points;
            points.iter().map(|it| (it.up, it.down)).collect::<Vec<_>>()
        };
        assert_eq!(seen(&network), [(3, 1), (0, 0)]);
        network.cannot_look.clear();
        network.until(8000, |it| seen(it) == [(3, 1), (3, 1)]);
        // A Controller's own word as well; then nobody tells, and all stays as it was.
        let mut network = probing(2);
        network.cannot_look.extend([(0, never_ends), (1, never_ends)]);
        network.pass(forgotten + 1600);
        assert!(status(&network, 0).vantage_points.iter().all(|it| (it.up, it.down) == (0, 0)));
        network.dead.insert(name("asia1"));
        network.pass(60_000);
        assert!(ALL.iter().all(|of| all_take(&network, of, Life::Living)), "{never_ends}");
        network.cannot_look.clear();
        network.until(8000, |it| all_take(it, "asia1", Life::Dead));
    }
}

#[test]
fn a_side_that_is_cut_off_has_its_own_vantage_points_alone() {
    let mut network = probing(3);
    network.watch();
    network.pass(10_000);
    // `a` stands in asia with a name server, and europe with `b` and `c` is lost; asia2 dies there.
    network.split(&[&[0, WATCHERS], &[1, 2]]);
    for here in [0, WATCHERS] {
        network.hide(here, &["europe1", "europe2"]);
    }
    for there in [1, 2] {
        network.hide(there, &["asia1", "asia2"]);
    }
    network.dead.insert(name("asia2"));
    network.pass(30_000);
    let lives = |number: usize| ALL.map(|of| life(&network, number, of));
    // Three of four are lost, which is more than half.
    let unknown = Life::Unknown;
    assert_eq!(lives(0), [Life::Living, unknown, unknown, unknown]);
    assert_eq!(lives(1), [Life::Dead, Life::Dead, Life::Living, Life::Living]);
    assert!(network.group(0).cut_off && !network.group(1).cut_off);
    network.heal();
    network.until(30_000, |it| {
        ["asia1", "europe1", "europe2"].iter().all(|of| all_take(it, of, Life::Living))
    });
    network.until(30_000, |it| all_take(it, "asia2", Life::Dead));
    assert!(!network.group(0).cut_off);
}

#[test]
fn differences_that_last_are_told_once_and_so_is_their_end() {
    let mut network = probing(3);
    network.hide(1, &["asia1"]);
    network.pass(60_000);
    let told = |network: &Network| {
        let lines = network.nodes[0].warnings.iter().filter(|it| it.contains("asia1"));
        lines.cloned().collect::<Vec<String>>()
    };
    let lines = told(&network);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].ends_with("1 of 3 vantage points sees it down (b; a, c see it up); taken for up"),
        "{lines:?}"
    );
    network.heal();
    network.pass(10_000);
    assert_eq!(told(&network).last().unwrap(), "vantage points see server asia1 alike again: up");
    assert_eq!(told(&network).len(), 2);
    // A death that each finds out in its own time is no difference of that kind.
    network.dead.insert(name("europe1"));
    network.pass(60_000);
    assert!(!network.nodes[0].warnings.iter().any(|it| it.contains("europe1")));
}

#[test]
fn what_is_lost_on_the_way_is_said_again() {
    let mut network = probing(3);
    network.faults = 30;
    for seed in 0..20 {
        network.seed(seed);
        network.dead.insert(name("asia1"));
        let all = |it: &Network, wanted| (0..3).all(|number| life(it, number, "asia1") == wanted);
        network.until(8000, |it| all(it, Life::Dead));
        network.dead.clear();
        network.until(8000, |it| all(it, Life::Living));
    }
}

#[test]
fn all_is_said_anew_on_a_new_connection() {
    let mut network = probing(2);
    network.watch();
    network.pass(20_000);
    // What was said without a connection is lost, however often it was.
    network.split(&[&[0], &[1], &[WATCHERS]]);
    network.dead.insert(name("asia1"));
    network.pass(60_000);
    network.join();
    let now = network.now;
    network.controller(1).connected(now);
    network.watchers[0].lookout.as_mut().unwrap().connected(now);
    network.pass(200);
    let points = status(&network, 0).vantage_points;
    assert!(points.iter().all(|it| (it.up, it.down) == (3, 1)), "{points:?}");
    assert_eq!(points.len(), 3);
}

#[test]
fn a_flood_of_changes_is_no_flood_of_messages() {
    let mut network = probing(2);
    let before = network.nodes[0].sights;
    network.pass(100_000);
    let calm = network.nodes[0].sights - before;
    assert!((29..=31).contains(&calm), "three in ten seconds: {calm}");
    // All four go down and up again.
    for _ in 0..10 {
        network.hide(0, &ALL);
        network.pass(5000);
        network.heal();
        network.pass(5000);
    }
    let all = network.nodes[0].sights - before - calm;
    assert!(all <= 30 + 10 * 8 + 2, "one a change at most: {all}");
}

#[test]
fn a_verdict_that_waits_says_for_whom_and_how_long_and_the_log_says_it_once() {
    let mut network = probing(1);
    network.watch();
    network.hide(0, &["asia1"]);
    network.pass(20_000);
    assert_eq!((status(&network, 0).waiting, status(&network, 0).seen_differently), (0, 1));
    // It is gone for longer than its words last; then it is there, and has not looked yet.
    network.stop_watching(WATCHERS);
    network.pass(1000);
    network.show(0, &["asia1"]);
    network.until(8000, |it| server(it, 0, "asia1").seen.unwrap().up > 0);
    network.pass(20_000);
    let before = network.nodes[0].warnings.len();
    network.cannot_look.insert(WATCHERS, false);
    network.watch_again(WATCHERS);
    network.pass(8000);
    network.hide(0, &["asia1"]);
    network.until(6000, |it| server(it, 0, "asia1").wait.is_some());
    let seen = server(&network, 0, "asia1");
    let wait = seen.wait.unwrap();
    assert_eq!((wait.down, seen.condition.life), (true, Life::Living));
    assert_eq!(wait.so_far, "1 of 1 vantage points sees it down (a)");
    assert_eq!(wait.waits_for, ["n0"]);
    assert!((1..=14_800).contains(&wait.remaining_ms), "{}", wait.remaining_ms);
    network.until(15_000, |it| server(it, 0, "asia1").wait.is_none());
    assert_eq!((status(&network, 0).waiting, life(&network, 0, "asia1")), (0, Life::Dead));
    let lines: Vec<&String> = network.nodes[0].warnings[before..]
        .iter()
        .filter(|it| it.contains("not taken for"))
        .collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let start = "server asia1 is not taken for down yet: 1 of 1 vantage points sees it down (a); that \
                 waits for n0, ";
    assert!(lines[0].starts_with(start) && lines[0].ends_with(" s at most"), "{lines:?}");
}

#[test]
fn why_a_server_is_down_is_told_as_it_is_now() {
    let mut network = probing(2);
    network.dead.insert(name("asia1"));
    network.until(8000, |it| all_take(it, "asia1", Life::Dead));
    let reason = |network: &Network, number| server(network, number, "asia1").condition.reason;
    assert!(reason(&network, 1).ends_with("refused"));
    network.reason = "no answer within 500ms";
    network.until(20_000, |it| (0..2).all(|number| reason(it, number).ends_with("within 500ms")));
}

#[test]
fn status_counts_what_points_say_and_one_server_is_told_in_full() {
    let mut network = probing(1);
    (0..3).for_each(|_| network.watch());
    network.hide(WATCHERS, &["asia1"]);
    network.pass(30_000);
    let all = status(&network, 0);
    for server in &all.servers {
        assert_eq!(server.sources.len(), 1, "its own probe alone");
        let seen = server.seen.unwrap();
        assert_eq!(seen.up + seen.down, 4);
    }
    assert_eq!(all.seen_differently, 1);
    let controller = network.nodes[0].controller.as_ref().unwrap();
    let one = controller.status_of(&name("asia1"), network.now, 0).unwrap();
    assert_eq!((one.sources.len(), one.seen.unwrap().down), (4, 1));
    assert_eq!(one.disagreement.unwrap().up, ["a", "n1", "n2"]);
    assert!(controller.status_of(&name("mars1"), network.now, 0).is_none());
}
