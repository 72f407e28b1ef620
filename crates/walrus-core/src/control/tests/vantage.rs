//! What vantage points' words come to, and what strange ones do: nothing.

use std::time::Duration;

use super::harness::{configuration, name, probed};
use crate::control::Refusal;
use crate::control::probes::Probes;
use crate::control::vantage::{Seen, Targets, Teller, Vantage, Word};
use crate::message::{
    Envelope, Message, Role, SIGHT_REASON_MAX, SIGHTS_MAX, SeenDown, Sights, encode_envelope,
};
use crate::world::{DownWhen, Life, ServerId, Time, Topology};

pub(super) const SILENCE: Duration = Duration::from_secs(10);
pub(super) const ASIA1: ServerId = ServerId(0);

pub(super) fn topology() -> Topology {
    configuration(&probed()).topology.clone()
}

/// A Controller `me` that does not probe itself.
fn vantage(topology: &Topology) -> Vantage {
    let mut vantage = Vantage::new(name("me"));
    vantage.retarget((topology, topology), &Probes::new(1), SILENCE, Time::from_secs(100));
    vantage
}

/// When all have had the time to find everything out.
const LATE: Time = Time::from_secs(200);

fn outcome(
    vantage: &Vantage,
    topology: &Topology,
    id: ServerId,
    down_when: DownWhen,
) -> Option<Life> {
    outcome_at(vantage, topology, (id, down_when), LATE).0
}

/// What the words come to, and when that may change by itself.
pub(super) fn outcome_at(
    vantage: &Vantage,
    topology: &Topology,
    (id, down_when): (ServerId, DownWhen),
    now: Time,
) -> (Option<Life>, Option<Time>) {
    let probe = topology.servers[id.index()].probe.clone().unwrap();
    let outcome = vantage.outcome(id, &crate::world::Probe { down_when, ..probe }, now);
    (outcome.verdict.map(|verdict| verdict.life), outcome.until)
}

pub(super) fn up(servers: &[&str]) -> Sights {
    Sights { up: servers.iter().map(|it| name(it)).collect(), ..Sights::default() }
}

pub(super) fn down(servers: &[&str]) -> Sights {
    let seen = |it: &&str| SeenDown {
        server: name(it),
        reason: "refused".to_owned(),
        unseen_ms: 5000,
        target: None,
    };
    Sights { down: servers.iter().map(seen).collect(), ..Sights::default() }
}

pub(super) fn from(point: &str) -> (Role, crate::world::Name, u64) {
    (Role::Director, name(point), 1)
}

/// "U", "D" or "?" for asia1, after these have spoken of it: `u` up, `d` down.
fn verdict(words: &str, down_when: DownWhen) -> char {
    let topology = topology();
    let mut vantage = vantage(&topology);
    for (index, word) in words.chars().enumerate() {
        let sights = match word {
            'u' => up(&["asia1"]),
            'd' => down(&["asia1"]),
            _ => Sights::default(),
        };
        let point = from(&format!("p{index}"));
        vantage.hear(point, sights, &topology, Time::from_secs(101)).unwrap();
    }
    match outcome(&vantage, &topology, ASIA1, down_when) {
        None => '?',
        Some(Life::Living) => 'U',
        Some(_) => 'D',
    }
}

#[test]
fn the_table_of_the_page_holds() {
    for (words, majority, one, three) in [
        ("", '?', '?', '?'),
        ("---", '?', '?', '?'),
        ("u", 'U', 'U', 'U'),
        ("d", 'D', 'D', 'D'),
        ("du", 'U', 'D', 'U'),
        ("dd", 'D', 'D', 'D'),
        ("duu", 'U', 'D', 'U'),
        ("ddu", 'D', 'D', 'U'),
        ("ddd", 'D', 'D', 'D'),
        ("dduu", 'U', 'D', 'U'),
        ("dddu", 'D', 'D', 'D'),
        ("dd---", 'D', 'D', 'D'),
    ] {
        let found = [DownWhen::Majority, DownWhen::Count(1), DownWhen::Count(3)]
            .map(|down_when| verdict(words, down_when));
        assert_eq!(found, [majority, one, three], "{words}");
    }
}

#[test]
fn whoever_sees_nobody_has_no_vote_while_another_sees_somebody() {
    let topology = topology();
    let now = Time::from_secs(101);
    let mut vantage = vantage(&topology);
    let dead = |vantage: &Vantage, id| {
        outcome(vantage, &topology, ServerId(id), DownWhen::Count(1)).map(|it| it == Life::Dead)
    };
    vantage.hear(from("eu"), down(&["asia1", "asia2"]), &topology, now).unwrap();
    vantage.hear(from("us"), up(&["asia1"]), &topology, now).unwrap();
    assert_eq!(dead(&vantage, 0), Some(true), "one cluster may be down as a whole");
    vantage.hear(from("eu"), down(&["europe1"]), &topology, now).unwrap();
    assert_eq!(dead(&vantage, 0), Some(false), "eu is blind: it sees nobody in two clusters");
    assert_eq!(dead(&vantage, 2), None, "nobody who sees tells of europe1");
    assert!(vantage.status(now)[0].blind);
    vantage.hear(from("us"), down(&["asia1"]), &topology, now).unwrap();
    assert_eq!(dead(&vantage, 2), Some(true), "nobody sees anybody: then it may be true");
    vantage.hear(from("eu"), up(&["asia2"]), &topology, now).unwrap();
    assert_eq!(dead(&vantage, 0), Some(true), "eu sees again");
}

#[test]
fn most_points_are_not_blind_because_one_sees_somebody() {
    let topology = topology();
    let now = Time::from_secs(101);
    let mut vantage = vantage(&topology);
    let all = ["asia1", "asia2", "europe1", "europe2"];
    vantage.hear(from("liar"), up(&all), &topology, now).unwrap();
    let life = |vantage: &Vantage| outcome(vantage, &topology, ASIA1, DownWhen::Majority);
    vantage.hear(from("eu"), down(&all), &topology, now).unwrap();
    assert_eq!(life(&vantage), Some(Life::Living), "one of two is blind");
    vantage.hear(from("us"), down(&all), &topology, now).unwrap();
    assert_eq!(life(&vantage), Some(Life::Dead), "two of three see nobody");
    assert!(vantage.status(now).iter().all(|point| !point.blind));
    vantage.hear(from("asia"), up(&all), &topology, now).unwrap();
    assert_eq!(life(&vantage), Some(Life::Living), "two of four are blind");
    vantage.hear(from("ns1"), down(&all), &topology, now).unwrap();
    assert_eq!(life(&vantage), Some(Life::Dead), "three of five");
}

#[test]
fn a_verdict_that_hangs_on_newcomers_is_none_yet() {
    let topology = topology();
    // rise and fall 2 and 3, each 1 s and 10 % and 0.5 s at most; and a silence.
    let within = Duration::from_millis(3 * 1600) + SILENCE;
    let spoken = Time::from_secs(101);
    let gathered = spoken + Duration::from_secs(6);
    for (words, majority, one) in [
        ("d", Some(Life::Dead), Some(Life::Dead)),
        ("u", Some(Life::Living), Some(Life::Living)),
        ("d-", None, Some(Life::Dead)),
        ("u-", Some(Life::Living), None),
        ("d--", None, Some(Life::Dead)),
        ("u--", None, None),
        ("dd-", Some(Life::Dead), Some(Life::Dead)),
        ("ud-", None, Some(Life::Dead)),
        ("uu-", Some(Life::Living), None),
    ] {
        let mut vantage = vantage(&topology);
        for (index, word) in words.chars().enumerate() {
            let sights = match word {
                'u' => up(&["asia1"]),
                'd' => down(&["asia1"]),
                _ => Sights::default(),
            };
            vantage.hear(from(&format!("p{index}")), sights, &topology, spoken).unwrap();
        }
        let at = |down_when, now| outcome_at(&vantage, &topology, (ASIA1, down_when), now);
        for (down_when, wanted) in [(DownWhen::Majority, majority), (DownWhen::Count(1), one)] {
            assert_eq!(at(down_when, spoken), (None, Some(gathered)), "{words}: others may come");
            let until = wanted.is_none().then_some(spoken + within);
            assert_eq!(at(down_when, gathered), (wanted, until), "{words} {down_when:?}");
            let (life, until) = at(down_when, spoken + within);
            assert!(
                life.is_some() && until.is_none(),
                "{words}: who has not spoken by now does not"
            );
        }
    }
}

#[test]
fn whoever_starts_again_and_again_is_not_waited_for_again_and_again() {
    let topology = topology();
    let mut vantage = vantage(&topology);
    for seconds in (100..400).step_by(5) {
        let now = Time::from_secs(seconds);
        vantage.hear(from("steady"), down(&["asia1"]), &topology, now).unwrap();
        let (role, name, _) = from("restarts");
        // It ends before it has found anything out.
        vantage.hear((role, name, seconds), Sights::default(), &topology, now).unwrap();
        vantage.sweep(&topology, now);
    }
    let verdict =
        outcome_at(&vantage, &topology, (ASIA1, DownWhen::Majority), Time::from_secs(400));
    assert_eq!(verdict, (Some(Life::Dead), None));
}

#[test]
fn what_a_point_said_before_it_started_anew_counts_for_a_silence() {
    let topology = topology();
    let mut vantage = vantage(&topology);
    let at = |secs: u64| Time::from_secs(100 + secs);
    let (_, director, _) = from("eu");
    let speak = |vantage: &mut Vantage, session, sights, secs| {
        let who = (Role::Director, director.clone(), session);
        vantage.hear(who, sights, &topology, at(secs)).unwrap();
        vantage.sweep(&topology, at(secs));
    };
    let lives = |vantage: &Vantage| {
        [0, 1].map(|id| outcome(vantage, &topology, ServerId(id), DownWhen::Majority))
    };
    let (living, dead) = (Some(Life::Living), Some(Life::Dead));
    speak(&mut vantage, 1, Sights { down: down(&["asia2"]).down, ..up(&["asia1"]) }, 1);
    speak(&mut vantage, 2, Sights::default(), 4);
    assert_eq!(lives(&vantage), [living, dead]);
    speak(&mut vantage, 2, up(&["asia2"]), 7);
    assert_eq!(lives(&vantage), [living, living], "its new word stands for the old one");
    // Again and again: the old words do not last any longer for that.
    speak(&mut vantage, 3, Sights::default(), 10);
    assert_eq!(lives(&vantage), [living, living]);
    assert!(vantage.next_silence() <= Some(at(14)));
    vantage.sweep(&topology, at(14));
    assert_eq!(lives(&vantage), [None, None]);
}

#[test]
fn a_word_ends_with_silence_or_when_it_is_not_said_again() {
    let topology = topology();
    let mut vantage = vantage(&topology);
    let at = |secs: u64| Time::from_secs(100 + secs);
    vantage.hear(from("eu"), down(&["asia1"]), &topology, at(0)).unwrap();
    for secs in (3..30).step_by(3) {
        vantage.hear(from("eu"), up(&["asia2"]), &topology, at(secs)).unwrap();
        vantage.sweep(&topology, at(secs));
        assert!(outcome(&vantage, &topology, ASIA1, DownWhen::Majority).is_some(), "{secs}");
    }
    for secs in 30..45 {
        vantage.hear(from("eu"), up(&["asia2"]), &topology, at(secs)).unwrap();
        vantage.sweep(&topology, at(secs));
    }
    assert!(outcome(&vantage, &topology, ASIA1, DownWhen::Majority).is_none(), "three silences");
    vantage.sweep(&topology, at(53));
    assert_eq!(vantage.status(at(53)).len(), 1);
    vantage.sweep(&topology, at(54));
    assert!(vantage.status(at(54)).is_empty());
    assert_eq!(vantage.next_silence(), None);
}

#[test]
fn strange_words_change_nothing() {
    let topology = topology();
    let now = Time::from_secs(101);
    let mut vantage = vantage(&topology);
    let many: Vec<String> = (0..=SIGHTS_MAX).map(|index| format!("s{index}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let refused = |vantage: &mut Vantage, from, sights| {
        vantage.hear(from, sights, &topology, now).unwrap_err()
    };
    let too_many = Refusal::TooManySights(SIGHTS_MAX + 1);
    assert_eq!(refused(&mut vantage, from("eu"), up(&many)), too_many);
    for stranger in [(Role::Reporter, name("asia1"), 1), (Role::Controller, name("me"), 1)] {
        let none = Refusal::NoVantagePoint(stranger.1.clone());
        assert_eq!(refused(&mut vantage, stranger, down(&["asia1"])), none);
    }
    assert!(vantage.status(now).is_empty());
    // Servers that are not known here, times beyond all reason, and a reason without an end.
    let endless = SeenDown {
        server: name("asia1"),
        reason: "x".repeat(100_000),
        unseen_ms: u64::MAX,
        target: None,
    };
    let strangers = || vec![name("mars1")];
    let sights =
        Sights { up: strangers(), down: vec![endless], unseen: strangers(), ..Sights::default() };
    vantage.hear(from("eu"), sights, &topology, now).unwrap();
    let probe = topology.servers[0].probe.clone().unwrap();
    let verdict = vantage.outcome(ASIA1, &probe, LATE).verdict.unwrap();
    assert_eq!(verdict.silent, Some(Time::ZERO));
    assert!(verdict.reason.len() < SIGHT_REASON_MAX + 100, "{}", verdict.reason);
    // One and the same server up and down in one message: the last word of it counts.
    let both = Sights { up: vec![name("asia1")], ..down(&["asia1"]) };
    vantage.hear(from("eu"), both, &topology, now).unwrap();
    let points = vantage.status(now);
    assert_eq!((points[0].up, points[0].down), (0, 1));
    // No more than so many are listened to, until some are silent.
    let mut heard = 1;
    let full = loop {
        match vantage.hear(from(&format!("p{heard}")), up(&["asia1"]), &topology, now) {
            Ok(_) => heard += 1,
            Err(full) => break full,
        }
        assert!(heard <= 64, "there is a bound");
    };
    assert_eq!((heard, full), (64, Refusal::TooManyVantagePoints(64)));
    let later = now + SILENCE;
    vantage.hear(from("late"), up(&["asia1"]), &topology, later).unwrap();
    assert_eq!(vantage.status(later).len(), 1);
}

#[test]
fn no_flood_of_words_has_all_servers_judged_more_often_than_each_tenth_of_a_second() {
    let topology = topology();
    let mut vantage = vantage(&topology);
    let both = ["asia1", "europe1"];
    vantage.hear(from("ns1"), up(&both), &topology, Time::from_secs(101)).unwrap();
    let mut judged = 0;
    for milli in 0..1000 {
        let now = Time::from_secs(102) + Duration::from_millis(milli);
        // Blind and not, each time in another session.
        let sights = if milli.is_multiple_of(2) { down(&both) } else { up(&both) };
        let who = (Role::Director, name("eu"), milli + 1);
        vantage.hear(who, sights, &topology, now).unwrap();
        vantage.sweep(&topology, now);
        judged += u32::from(vantage.takes_all(&topology, now));
    }
    assert_eq!(judged, 10);
    let due = vantage.all_due().unwrap();
    assert!(due <= Time::from_secs(103), "and then what came of it: {due:?}");
    assert!(vantage.takes_all(&topology, due) && vantage.all_due().is_none());
}

#[test]
fn many_differences_are_one_line_and_outlast_a_reload() {
    let topology = many(1000);
    let mut vantage = vantage(&topology);
    let names: Vec<&str> = topology.servers.iter().map(|it| it.name.as_str()).collect();
    let say = |vantage: &mut Vantage, point, words: fn(&[&str]) -> Sights| {
        for some in names.chunks(SIGHTS_MAX) {
            vantage.hear(from(point), words(some), &topology, Time::from_secs(101)).unwrap();
        }
        if let Some(due) = vantage.all_due() {
            assert!(vantage.takes_all(&topology, due));
        }
    };
    let patience = |_| Duration::from_secs(40);
    say(&mut vantage, "eu", up);
    say(&mut vantage, "us", up);
    say(&mut vantage, "ns1", down);
    let now = Time::from_secs(150);
    assert_eq!(
        vantage.tell(patience, &topology, now),
        [
            "servers server-0000, server-0001, server-0002, server-0003 and 996 more are seen differently for 49 s: \
             1 of 3 vantage points sees it down (ns1; eu, us see it up); taken for up"
        ]
    );
    vantage.retarget((&topology, &topology), &Probes::new(1), SILENCE, now);
    assert!(vantage.tell(patience, &topology, now).is_empty(), "that was told");
    say(&mut vantage, "ns1", up);
    assert!(vantage.tell(patience, &topology, now).is_empty(), "more may follow");
    let later = vantage.next_told(patience).unwrap();
    assert_eq!(later, now + Duration::from_secs(10));
    assert_eq!(
        vantage.tell(patience, &topology, later),
        [
            "vantage points see servers server-0000, server-0001, server-0002, server-0003 and 996 more alike again: up"
        ]
    );
}

#[test]
fn words_are_kept_for_servers_that_stay() {
    let old = topology();
    let text = probed().replace("{ name = \"asia1\", addresses = [\"192.0.2.1\"] },", "");
    let new = configuration(&text).topology.clone();
    let now = Time::from_secs(101);
    let mut vantage = vantage(&old);
    vantage.hear(from("eu"), down(&["asia1", "europe2"]), &old, now).unwrap();
    vantage.hear(from("eu"), up(&["asia2"]), &old, now).unwrap();
    vantage.retarget((&old, &new), &Probes::new(1), SILENCE, now);
    let lives = |vantage: &Vantage, of: &str| {
        let id = new.server(of).unwrap();
        outcome(vantage, &new, id, DownWhen::Majority)
    };
    assert_eq!(lives(&vantage, "asia2"), Some(Life::Living));
    assert_eq!(lives(&vantage, "europe2"), Some(Life::Dead));
    assert_eq!(lives(&vantage, "europe1"), None);
}

/// So many servers in one cluster, all of whom are probed.
pub(super) fn many(count: usize) -> Topology {
    let server = |index: usize| {
        let (high, low) = (index / 250, index % 250 + 1);
        format!("  {{ name = \"server-{index:04}\", addresses = [\"198.18.{high}.{low}\"] }},\n")
    };
    let servers: String = (0..count).map(server).collect();
    let text = format!(
        "zone = \"example.com\"\nnameservers = [\"ns1.example.com\"]\n[node]\nname = \"me\"\n\
         roles = [\"controller\"]\n[[cluster]]\nname = \"all\"\nprobe = {{ tcp = 80 }}\nservers = [\n{servers}]\n\
         [[service]]\nname = \"www.example.com\"\n"
    );
    configuration(&text).topology.clone()
}

fn bytes(sights: &Sights) -> usize {
    let message = Message::Sights(sights.clone());
    let (role, name, session) = (Role::Director, name("name-server-1"), u64::MAX);
    encode_envelope(&Envelope {
        role,
        name,
        session,
        sequence: u64::MAX,
        sent_unix_ms: u64::MAX,
        message,
    })
    .len()
}

#[test]
fn a_thousand_servers_are_told_in_one_silence_and_are_no_flood() {
    let topology = many(1000);
    let targets = Targets::of(&topology);
    let (mut teller, start) = (Teller::new(Time::from_secs(100)), Time::from_secs(100));
    let up = Word { seen: Seen::Up, at: start };
    let (mut told, mut sum) = (std::collections::BTreeSet::new(), 0);
    let mut now = start;
    while now < start + SILENCE {
        now = teller.next();
        for sights in teller.say(SILENCE, (&topology.servers, &targets), |_| Some(&up), now) {
            assert!(sights.len() <= SIGHTS_MAX && bytes(&sights) < 4096);
            sum += bytes(&sights);
            told.extend(sights.up);
        }
        now = teller.next();
    }
    assert_eq!(told.len(), 1000);
    // Some 2.5 kB a second.
    assert!(sum < 30_000, "{sum}");
}

#[test]
fn a_change_is_told_at_once_in_one_message_and_three_times_more() {
    let topology = many(1000);
    let targets = Targets::of(&topology);
    let (mut teller, mut now) = (Teller::new(Time::from_secs(100)), Time::from_secs(100));
    let reason = "probe http://198.18.3.250/healthz: no connection within 2s".to_owned();
    let down = Word { seen: Seen::Down { reason, up_at: now }, at: now };
    let word = |id: ServerId| (id == ServerId(999)).then_some(&down);
    // In the first third of a silence: the turn of server 999 comes with the last.
    teller.say(SILENCE, (&topology.servers, &targets), word, now);
    now += Duration::from_secs(1);
    teller.changed(ServerId(999));
    assert!(teller.next() <= now);
    let first = teller.say(SILENCE, (&topology.servers, &targets), word, now);
    assert_eq!((first.len(), first[0].down.len()), (1, 1));
    assert!(bytes(&first[0]) < 400, "{}", bytes(&first[0]));
    assert_eq!(first[0].down[0].unseen_ms, 1000);
    // Changes that follow wait a tenth of a second, and go together.
    teller.changed(ServerId(999));
    teller.changed(ServerId(998));
    assert_eq!(teller.next(), now + Duration::from_millis(100));
    now = teller.next();
    teller.say(SILENCE, (&topology.servers, &targets), word, now);
    let again = (0..6).map(|_| {
        now = teller.next();
        let said = teller.say(SILENCE, (&topology.servers, &targets), word, now);
        assert_eq!(said.len(), 1, "a heartbeat, with little news");
        said[0].down.len()
    });
    let again: Vec<usize> = again.collect();
    assert_eq!(
        again,
        [1, 1, 1, 0, 1, 0],
        "thrice, of which once in its turn, and then in its turn alone"
    );
}

#[test]
fn long_reasons_are_shortened_before_they_are_said() {
    let topology = many(SIGHTS_MAX);
    let targets = Targets::of(&topology);
    let start = Time::from_secs(100);
    let reason = "\u{1}".repeat(10_000);
    let down = Word { seen: Seen::Down { reason, up_at: Time::ZERO }, at: start };
    let mut teller = Teller::new(start);
    (0..100).for_each(|id| teller.changed(ServerId(id)));
    let said = teller.say(SILENCE, (&topology.servers, &targets), |_| Some(&down), start);
    assert_eq!(said.len(), 1);
    assert!(bytes(&said[0]) < 256 << 10, "what NATS takes, a quarter of it: {}", bytes(&said[0]));
}
