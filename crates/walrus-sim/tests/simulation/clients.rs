//! Clients: what they keep, when they think, when crowds come, and that variants meet the same ones.

use walrus_sim::simulation::RunResult;

use crate::{Site, run};

fn site(service: &'static str) -> Site {
    Site { service, ..Site::of_servers(vec![("s1", 100), ("s2", 100)]) }
}

#[test]
fn a_client_whose_first_server_is_cut_off_asks_again_when_its_cache_ends() {
    let study = site("ttl = \"30s\"\nanswers = 2").study(
        "duration = \"30m\"\ndiscard = \"10m\"\ntimeline = \"at 5m cut s1\"\n[pages]\nclient_cache = \"60s\"\n\
         connect_timeout = \"1s\"\nthink = \"constant 5s\"\nsession = \"constant 1000\"\nhits = \"constant 1\"\n\
         [[population]]\nclients = 40\n",
    );
    let result = run(&study, 1);
    // Each of 40 clients asks at least every 66 seconds of 20 minutes, and no dead address is left.
    assert!(result.counts.clients.lookups >= 40 * 17, "{:?}", result.counts);
    assert!(result.counts.clients.failed_attempts < 100, "{:?}", result.counts);
}

#[test]
fn days_differ_in_when_pages_come_and_not_in_how_many() {
    let pages = |daily: &str, think: &str, people: &str| {
        let study = site("ttl = \"10m\"").study(&format!(
            "duration = \"48h\"\ninterval = \"1h\"\n[pages]\nthink = \"{think}\"\nsession = \"constant 10\"\n\
             hits = \"constant 1\"\n[[population]]\n{people}\ndaily = {daily}\n"
        ));
        run(&study, 1).counts.clients.pages as f64
    };
    for think in ["exponential 60s", "constant 60s"] {
        let even = pages("0.0", think, "clients = 5");
        let uneven = pages("1.0", think, "clients = 5");
        // 14,400 pages: five deviations of a Poisson count are 4 %.
        assert!((uneven / even - 1.0).abs() < 0.05, "{think}: {even} {uneven}");
    }
    // Of an open population too: 1,728 sessions in each, five deviations of the difference.
    let people = "sessions_per_second = 0.01";
    let (even, uneven) =
        (pages("0.0", "exponential 60s", people), pages("1.0", "exponential 60s", people));
    assert!((uneven / even - 1.0).abs() < 0.17, "{even} {uneven}");
}

#[test]
fn variants_with_the_same_seed_meet_the_same_clients() {
    for people in ["clients = 50", "sessions_per_second = 0.5"] {
        let of = |choose: &'static str| -> RunResult {
            let study = site(choose).study(&format!(
                "duration = \"2h\"\n[pages]\nthink = \"exponential 15s\"\n[[population]]\n{people}\n"
            ));
            run(&study, 3)
        };
        let one = of("choose = \"round-robin\"\nttl = \"30s\"\nanswers = 1").counts;
        let other = of("choose = \"hash\"\nttl = \"5m\"\nanswers = 1").counts;
        assert_ne!(one.clients.upstream_queries, other.clients.upstream_queries);
        if people.starts_with("sessions") {
            assert_eq!(one.clients.sessions, other.clients.sessions);
        }
        // All but those who are on their way at the end do the same; servers are slower to some.
        for (what, one, other) in [
            ("pages", one.clients.pages, other.clients.pages),
            ("hits", one.clients.hits, other.clients.hits),
        ] {
            let apart = (one as f64 / other as f64 - 1.0).abs();
            assert!(apart < 0.01, "{people}: {what} {one} {other}");
        }
    }
}

#[test]
fn a_crowd_stays_as_long_as_told_once_it_has_grown() {
    let study = site("ttl = \"10s\"\nassign = \"all\"").study(
        "duration = \"60m\"\ninterval = \"1m\"\ntimeline = \"at 10m population everybody x10 within 10m for 5m\"\n\
         [pages]\nsession = \"constant 1\"\n[[population]]\nsessions_per_second = 1\n",
    );
    let result = run(&study, 4);
    let busy = |from: usize, to: usize| -> f32 {
        let sum = |it: &walrus_sim::simulation::ServerSeries| {
            it.utilisation[from..to].iter().sum::<f32>()
        };
        result.servers.iter().map(sum).sum::<f32>() / (to - from) as f32
    };
    let (before, half, full, going, after) =
        (busy(0, 10), busy(14, 16), busy(20, 25), busy(29, 31), busy(36, 60));
    assert!((4.0..7.5).contains(&(half / before)), "{before} {half}");
    assert!((8.0..12.5).contains(&(full / before)), "{before} {full}");
    assert!((4.0..7.5).contains(&(going / before)), "{before} {going}");
    assert!((0.7..1.4).contains(&(after / before)), "{before} {after}");
}

#[test]
fn the_longest_times_that_are_taken_do_no_harm() {
    let study = site("ttl = \"10s\"").study(
        "duration = \"5m\"\ntimeline = \"at 1m population everybody x2 within 731d for 731d\"\n\
         [pages]\nclient_cache = \"731d\"\nthink = \"uniform 1s 731d\"\n[[population]]\nclients = 50\n\
         [[population]]\nname = \"last\"\nclients = 50\nprefix = \"255.255.255.0/8\"\n",
    );
    assert!(run(&study, 1).events > 0);
}
