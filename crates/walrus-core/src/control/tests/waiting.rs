//! For whom a verdict by probes waits, and how long.

use std::collections::BTreeSet;
use std::time::Duration;

use super::harness::{configuration, name, probed};
use super::vantage::{ASIA1, SILENCE, down, from, many, outcome_at, topology, up};
use crate::control::probes::Probes;
use crate::control::vantage::{Seen, Targets, Teller, Vantage, Word};
use crate::message::{SeenDown, Sights};
use crate::world::{DownWhen, Life, Name, Time, Topology};

/// Of an operator who wants words to outlast their speakers by far.
const LONG: Duration = Duration::from_secs(300);

fn at(secs: u64) -> Time {
    Time::from_secs(100 + secs)
}

/// A Controller that does not probe itself, where words last for so long.
fn listening(topology: &Topology, silence: Duration) -> Vantage {
    let mut vantage = Vantage::new(name("me"));
    vantage.retarget((topology, topology), &Probes::new(1), silence, at(0));
    vantage
}

fn of_asia1(vantage: &Vantage, topology: &Topology, now: Time) -> (Option<Life>, Option<Time>) {
    outcome_at(vantage, topology, (ASIA1, DownWhen::Majority), now)
}

#[test]
fn words_that_last_long_do_not_make_a_start_long() {
    let topology = topology();
    for (silence, gathered) in [(Duration::from_secs(2), 2), (SILENCE, 6), (LONG, 6)] {
        let mut vantage = listening(&topology, silence);
        vantage.gather(at(0));
        vantage.hear(from("eu"), down(&["asia1"]), &topology, at(0)).unwrap();
        vantage.hear(from("us"), down(&["asia1"]), &topology, at(1)).unwrap();
        assert_eq!(of_asia1(&vantage, &topology, at(1)), (None, Some(at(gathered))), "{silence:?}");
        assert_eq!(of_asia1(&vantage, &topology, at(gathered)), (Some(Life::Dead), None));
    }
}

#[test]
fn words_that_last_long_are_not_said_more_rarely() {
    let topology = many(1000);
    let targets = Targets::of(&topology);
    let (mut teller, start) = (Teller::new(at(0)), at(0));
    let (mut told, mut now) = (BTreeSet::new(), start);
    let seen = Word { seen: Seen::Up, at: start };
    while now < start + Duration::from_secs(10) {
        for sights in teller.say(LONG, (&topology.servers, &targets), |_| Some(&seen), now) {
            told.extend(sights.up);
        }
        now = teller.next();
    }
    assert_eq!(told.len(), 1000);
}

#[test]
fn a_newcomer_is_not_waited_for_longer_because_words_last_long() {
    let topology = topology();
    let mut vantage = listening(&topology, LONG);
    vantage.hear(from("eu"), down(&["asia1"]), &topology, at(0)).unwrap();
    vantage.hear(from("us"), up(&[]), &topology, at(0)).unwrap();
    // Its probes, 3 x (1.1 s + 0.5 s), and once all that it has to say.
    let end = at(0) + Duration::from_millis(3 * 1600) + Duration::from_secs(10);
    assert_eq!(of_asia1(&vantage, &topology, at(7)), (None, Some(end)));
    assert_eq!(of_asia1(&vantage, &topology, end), (Some(Life::Dead), None));
}

#[test]
fn of_a_new_server_the_first_to_speak_does_not_decide_alone() {
    let new = topology();
    let without = "{ name = \"asia1\", addresses = [\"192.0.2.1\"] },";
    let old = configuration(&probed().replace(without, "")).topology.clone();
    let moved = configuration(&probed().replace("192.0.2.1\"", "192.0.2.77\"")).topology.clone();
    for (before, after, what) in [(&old, &new, "added"), (&new, &moved, "moved")] {
        let mut vantage = listening(before, SILENCE);
        for point in ["eu", "us", "ns1"] {
            vantage.hear(from(point), up(&["asia2", "europe1"]), before, at(0)).unwrap();
        }
        for secs in (0..600).step_by(3) {
            for point in ["eu", "us", "ns1"] {
                vantage.hear(from(point), up(&[]), before, at(secs)).unwrap();
            }
        }
        vantage.retarget((before, after), &Probes::new(1), SILENCE, at(600));
        let id = after.server("asia1").unwrap();
        let verdict =
            |vantage: &Vantage, now| outcome_at(vantage, after, (id, DownWhen::Majority), now).0;
        // The nodes have the new configuration one after the other.
        vantage.hear(from("eu"), down(&["asia1"]), after, at(603)).unwrap();
        assert_eq!(verdict(&vantage, at(603)), None, "{what}: us and ns1 have not looked yet");
        vantage.hear(from("us"), up(&["asia1"]), after, at(610)).unwrap();
        assert_eq!(verdict(&vantage, at(610)), None, "{what}: it hangs on ns1");
        vantage.hear(from("ns1"), up(&["asia1"]), after, at(612)).unwrap();
        assert_eq!(verdict(&vantage, at(612)), Some(Life::Living), "{what}");
    }
}

#[test]
fn who_cannot_look_at_a_new_server_is_not_waited_for_for_ever() {
    let topology = topology();
    let mut vantage = listening(&topology, SILENCE);
    let end = at(60) + Duration::from_millis(3 * 1600) + SILENCE;
    for secs in (0..=75).step_by(3) {
        vantage.hear(from("us"), up(&["asia2"]), &topology, at(secs)).unwrap();
        if secs >= 60 {
            vantage.hear(from("eu"), down(&["asia1"]), &topology, at(secs)).unwrap();
        }
        if secs >= 66 && at(secs) < end {
            assert_eq!(of_asia1(&vantage, &topology, at(secs)), (None, Some(end)));
        }
    }
    assert_eq!(of_asia1(&vantage, &topology, end).0, Some(Life::Dead));
}

#[test]
fn words_about_another_address_are_none() {
    let old = topology();
    let new = configuration(&probed().replace("192.0.2.1\"", "192.0.2.77\"")).topology.clone();
    let elsewhere = configuration(&probed().replace("tcp = 80", "tcp = 81")).topology.clone();
    let slower =
        configuration(&probed().replace("every = \"1s\"", "every = \"9s\"")).topology.clone();
    let said = |topology: &Topology, sights: Sights| {
        let targets = Targets::of(topology);
        let of = |name: &Name| targets.get(topology.server(name.as_str()).unwrap());
        let down = sights.down.into_iter().map(|it| SeenDown { target: of(&it.server), ..it });
        Sights {
            up_targets: sights.up.iter().filter_map(of).collect(),
            down: down.collect(),
            up: sights.up,
            unseen: sights.unseen,
        }
    };
    let verdict = |by_eu: Sights, by_us: Sights| {
        let mut vantage = listening(&old, SILENCE);
        vantage.hear(from("ns1"), said(&old, up(&["asia1"])), &old, at(0)).unwrap();
        vantage.hear(from("eu"), by_eu, &old, at(1)).unwrap();
        vantage.hear(from("us"), by_us, &old, at(2)).unwrap();
        of_asia1(&vantage, &old, at(100)).0
    };
    let dead = || down(&["asia1"]);
    assert_eq!(verdict(said(&old, dead()), said(&old, dead())), Some(Life::Dead));
    assert_eq!(verdict(said(&old, dead()), said(&new, dead())), Some(Life::Living));
    assert_eq!(verdict(said(&old, dead()), said(&elsewhere, dead())), Some(Life::Living));
    assert_eq!(verdict(said(&old, dead()), said(&slower, dead())), Some(Life::Dead));
    assert_eq!(verdict(said(&old, dead()), dead()), Some(Life::Dead), "it does not say of what");

    // Who has another configuration no longer says what it said, and what was said of the old address ends here.
    let mut vantage = listening(&old, SILENCE);
    vantage.hear(from("eu"), said(&old, up(&["asia1", "asia2"])), &old, at(0)).unwrap();
    vantage.hear(from("us"), said(&old, up(&["asia1", "asia2"])), &old, at(1)).unwrap();
    let heard = vantage.hear(from("us"), said(&new, up(&["asia1"])), &old, at(2)).unwrap();
    assert!(heard.up.is_empty(), "of another address: no sign of life of this one");
    let counts =
        |vantage: &Vantage| vantage.status(at(2)).iter().map(|point| point.up).collect::<Vec<_>>();
    assert_eq!(counts(&vantage), [2, 1]);
    vantage.retarget((&old, &new), &Probes::new(1), SILENCE, at(3));
    assert_eq!(counts(&vantage), [1, 1]);
    let heard = vantage.hear(from("us"), said(&new, up(&["asia1"])), &new, at(3)).unwrap();
    assert_eq!(heard.up, [ASIA1]);
    assert_eq!(counts(&vantage), [1, 2]);
}

#[test]
fn what_stands_for_a_target_is_the_same_in_all_versions() {
    let http = probed().replacen("tcp = 80", "http = \"http://{address}/healthz\"", 1);
    let of = |text: &str| Targets::of(&configuration(text).topology).get(ASIA1);
    assert_eq!((of(&probed()), of(&http)), (Some(48_613), Some(58_073)));
}
