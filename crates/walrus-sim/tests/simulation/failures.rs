//! What dies, is cut off, or floods: the system goes on as it should.

use crate::{Site, run, run_variant, study_file};

fn two_clusters(service: &'static str) -> Site {
    Site {
        clusters: vec![
            ("east", vec![("e1", 100), ("e2", 100)]),
            ("west", vec![("w1", 100), ("w2", 100)]),
        ],
        service,
        rest: "[[area]]\nname = \"all\"\nhome = \"east\"\nclients = [\"10.0.0.0/8\"]\n",
    }
}

const PEOPLE: &str =
    "[[population]]\nname = \"people\"\nclients = 100\ndomains = 50\nshares = \"even\"\n";

#[test]
fn a_cluster_that_dies_is_left_and_taken_up_again() {
    let study = two_clusters("ttl = \"10s\"\nanswers = 1").study(&format!(
        "duration = \"30m\"\ninterval = \"1m\"\ntimeline = \"\"\"\nat 10m kill east\nat 20m heal east\n\"\"\"\n{PEOPLE}"
    ));
    let result = run(&study, 1);
    let east = |minute: usize| -> f32 {
        result.servers.iter().filter(|it| it.cluster == "east").map(|it| it.share[minute]).sum()
    };
    assert!(east(5) > 0.99, "{}", east(5));
    assert!(east(12) == 0.0 && east(18) == 0.0);
    assert!(east(29) > 0.9, "{}", east(29));
    assert!(
        result.counts.moves >= 2 && result.counts.clients.failed_attempts > 0,
        "{:?}",
        result.counts
    );
    // A client keeps a dead address for its TTL at most.
    assert!(
        (result.counts.clients.failed_pages as f64) < 0.05 * result.counts.clients.pages as f64
    );
}

#[test]
fn a_dead_controller_is_followed_by_the_next() {
    let study = two_clusters("ttl = \"10s\"\nanswers = 1").study(&format!(
        "duration = \"30m\"\ninterval = \"1m\"\ntimeline = \"\"\"\nat 10m kill controller 1\nat 12m kill east\n\"\"\"\n\
         [controllers]\ncount = 2\n{PEOPLE}"
    ));
    let result = run(&study, 1);
    let west: f32 =
        result.servers.iter().filter(|it| it.cluster == "west").map(|it| it.share[20]).sum();
    assert!(west > 0.99, "the second Controller leads clients away: {west}");
    let alone = two_clusters("ttl = \"10s\"\nanswers = 1").study(&format!(
        "duration = \"30m\"\ninterval = \"1m\"\ntimeline = \"\"\"\nat 10m kill controller 1\nat 12m kill east\n\
         at 20m heal controller 1\n\"\"\"\n{PEOPLE}"
    ));
    let result = run(&alone, 1);
    let served = |minute: usize| -> f32 { result.servers.iter().map(|it| it.share[minute]).sum() };
    assert!(served(11) > 0.99 && served(16) == 0.0, "nobody decides: fail static");
    assert!(served(25) > 0.99, "it comes back from what it stored");
}

#[test]
fn dead_name_servers_cost_time_and_all_of_them_cost_pages() {
    let mut site = two_clusters("ttl = \"10s\"\nanswers = 1");
    site.rest = "[[area]]\nname = \"a\"\nhome = \"east\"\nclients = [\"10.0.0.0/9\"]\nnameservers = [\"192.0.2.1:53\"]\n\
                 [[area]]\nname = \"b\"\nhome = \"west\"\nclients = [\"10.128.0.0/9\"]\nnameservers = [\"192.0.2.2:53\"]\n";
    for family in ["bind", "unbound", "knot", "uniform", "sticky"] {
        let study = site.study(&format!(
            "duration = \"30m\"\ndiscard = \"1m\"\ntimeline = \"\"\"\nat 5m kill nameserver a\nat 15m kill nameserver b\n\
             at 20m heal nameserver a\nat 20m heal nameserver b\n\"\"\"\ninterval = \"1m\"\n{PEOPLE}resolver = \"{family}\"\n"
        ));
        let result = run(&study, 2);
        let hits =
            |minute: usize| -> f32 { result.servers.iter().map(|it| it.share[minute - 1]).sum() };
        assert!(hits(10) > 0.99, "{family}: one name server answers");
        assert!(hits(18) == 0.0, "{family}: nobody answers");
        assert!(hits(28) > 0.99, "{family}: they answer again");
        assert!(
            result.counts.clients.upstream_timeouts > 0 && result.counts.clients.failed_lookups > 0
        );
    }
}

#[test]
fn a_flash_crowd_comes_and_goes() {
    for people in ["clients = 20", "sessions_per_second = 0.1"] {
        let study = two_clusters("ttl = \"10s\"\nanswers = 1\nassign = \"all\"").study(&format!(
            "duration = \"60m\"\ninterval = \"1m\"\ntimeline = \"at 10m population people x20 within 1m for 10m\"\n\
             [pages]\nsession = \"constant 10\"\n\
             [[population]]\nname = \"people\"\n{people}\n"
        ));
        let result = run(&study, 4);
        let busy = |from: usize, to: usize| -> f32 {
            let of = |it: &walrus_sim::simulation::ServerSeries| {
                it.utilisation[from..to].iter().sum::<f32>()
            };
            result.servers.iter().map(of).sum::<f32>() / (to - from) as f32
        };
        let (before, within, after) = (busy(2, 10), busy(15, 21), busy(35, 60));
        assert!(within > 8.0 * before, "{people}: {before} {within}");
        assert!(after < 2.0 * before + 0.05, "{people}: {before} {after}");
    }
}

#[test]
fn client_subnets_are_cached_by_scope() {
    let mut site = two_clusters("ttl = \"60s\"\nanswers = 1");
    site.rest = "[[area]]\nname = \"a\"\nhome = \"east\"\nclients = [\"10.0.0.0/24\"]\n\
                 [[area]]\nname = \"b\"\nhome = \"west\"\nclients = [\"10.0.1.0/24\"]\n";
    let upstream = |subnet: bool| {
        let study = site.study(&format!(
            "duration = \"60m\"\n[[population]]\nclients = 100\ndomains = 2\nshares = \"even\"\n\
             domains_per_resolver = 2\nsubnet = {subnet}\n"
        ));
        let result = run(&study, 1);
        let near =
            result.counts.clients.near_pages as f64 / result.counts.clients.placed_pages as f64;
        (result.counts.clients.upstream_queries, near)
    };
    let ((plain, plain_near), (by_subnet, subnet_near)) = (upstream(false), upstream(true));
    assert!((0.4..0.6).contains(&plain_near), "the resolver lives in `a`: {plain_near}");
    assert!(subnet_near > 0.99, "{subnet_near}");
    assert!(by_subnet > plain * 3 / 2, "{by_subnet} {plain}");
}

#[test]
fn what_is_cut_off_slow_overloaded_or_drained_is_left() {
    // Minutes 10 to 20 of half an hour, in which nobody should be sent to `e1` (or, for a time line that
    // lets it be, in which it should go on).
    let cases = [
        ("at 10m cut e1\nat 20m heal e1", 0.02),
        ("at 10m slow e1\nat 20m heal e1", 0.3),
        ("at 10m overload e1\nat 20m heal e1", 0.02),
        ("at 10m report e1 bypass for a change\nat 20m heal e1", 0.02),
        ("at 10m report e1 silence\nat 20m heal e1", 0.02),
        ("at 10m drain e1\nat 20m undrain e1", 0.02),
        ("at 10m cut reports\nat 20m heal reports", 1.0),
        ("at 10m cut reports of e1\nat 20m heal reports of e1", 0.02),
        ("at 10m cut reports of e1 to controller 2\nat 20m heal reports", 1.0),
        ("at 10m cut plans to ns1\nat 11m kill e2\nat 20m heal plans to ns1\nat 20m heal e2", 1.0),
        ("at 10m cut plans\nat 11m kill e2\nat 20m heal plans\nat 20m heal e2", 1.0),
    ];
    for (timeline, most) in cases {
        let mut site = two_clusters("ttl = \"10s\"\nanswers = 2");
        site.rest = "[[area]]\nname = \"all\"\nhome = \"east\"\nclients = [\"10.0.0.0/8\"]\n[control]\nround = \"10s\"\n";
        let study = site.study(&format!(
            "duration = \"30m\"\ninterval = \"1m\"\ntimeline = \"\"\"\n{timeline}\n\"\"\"\n[controllers]\ncount = 2\n{PEOPLE}"
        ));
        let result = run(&study, 1);
        let e1 = |from: usize, to: usize| -> f32 {
            result.servers[0].share[from..to].iter().sum::<f32>() / (to - from) as f32
        };
        assert!(e1(2, 10) > 0.3, "{timeline}: {}", e1(2, 10));
        assert!(e1(13, 20) <= most, "{timeline}: {}", e1(13, 20));
        assert!(e1(25, 30) > 0.3, "{timeline}: {}", e1(25, 30));
        if timeline.contains("to controller 2") {
            assert!(e1(13, 20) > 0.3, "the master hears of it: {}", e1(13, 20));
        }
        assert!(result.totals.clients.pages > 5000, "{timeline}");
    }
}

#[test]
fn what_waits_at_a_slow_server_is_served_when_it_is_well_again() {
    let site = Site::of_servers(vec![("s1", 100), ("s2", 100)]);
    let study = site.study(
        "duration = \"30m\"\ninterval = \"1m\"\ntimeline = \"\"\"\nat 4m slow one x0.1\nat 8m heal one\n\"\"\"\n\
         [[population]]\nsessions_per_second = 5\nsession = \"constant 2\"\nhits = \"constant 10\"\n",
    );
    let result = run(&study, 1);
    let busy = |from: usize, to: usize| -> f32 {
        let sum = |it: &walrus_sim::simulation::ServerSeries| {
            it.utilisation[from..to].iter().sum::<f32>()
        };
        result.servers.iter().map(sum).sum::<f32>() / (2 * (to - from)) as f32
    };
    // Four minutes leave 9,600 hits at each of two that do 50 a second more than come: 3.2 minutes.
    assert!(busy(5, 10) > 0.99, "{}", busy(5, 10));
    assert!((0.35..0.65).contains(&busy(13, 30)), "{}", busy(13, 30));
    assert!(result.response_seconds.max() < 6.0 * 60.0, "{}", result.response_seconds.max());
    let text = |result| serde_json::to_string(result).unwrap();
    assert!(text(&result) == text(&run(&study, 1)), "the same seed gives the same bytes");
}

#[test]
fn clusters_that_are_equally_near_are_all_near() {
    let near = |distances: &str| {
        let study = two_clusters("ttl = \"10s\"\nanswers = 1\nassign = \"all\"")
            .study(&format!("duration = \"10m\"\n{PEOPLE}distances = {{ {distances} }}\n"));
        let counts = run(&study, 1).counts;
        (
            counts.clients.near_pages as f64 / counts.clients.placed_pages as f64,
            study.warnings.len(),
        )
    };
    assert_eq!(near("east = \"20ms\", west = \"20ms\""), (1.0, 0));
    let (west, warnings) = near("east = \"30ms\", west = \"20ms\"");
    assert!((0.3..0.7).contains(&west) && warnings == 0, "{west}");
    let (home, warnings) = near("west = \"20ms\"");
    assert!((0.3..0.7).contains(&home) && warnings == 1, "{home}");
}

#[test]
fn the_day_has_its_peak_and_its_night() {
    for people in ["clients = 50", "sessions_per_second = 0.05"] {
        let study = two_clusters("ttl = \"5m\"\nassign = \"all\"").study(&format!(
            "duration = \"24h\"\ninterval = \"1h\"\n[pages]\nsession = \"constant 20\"\nthink = \"exponential 60s\"\n\
             [[population]]\n{people}\ndaily = 0.8\npeak = \"18h\"\n"
        ));
        let result = run(&study, 1);
        let busy =
            |hour: usize| -> f32 { result.servers.iter().map(|it| it.utilisation[hour]).sum() };
        // It begins at six in the morning.
        let (peak, night) = (busy(11) + busy(12), busy(23) + busy(0));
        assert!(peak > 4.0 * night, "{people}: {peak} {night}");
    }
}

#[test]
fn a_run_comes_to_its_end_even_where_nobody_thinks_and_all_fails() {
    let mut site = two_clusters("ttl = \"1s\"\nanswers = 1");
    site.rest = "";
    let study = site.study(
        "duration = \"10s\"\noverload = true\ntimeline = \"\"\"\nat 1s kill east\nat 1s kill west\n\"\"\"\n\
         [pages]\nthink = \"constant 0s\"\nsession = \"constant 1\"\n[servers]\nqueue_max = 1\n[queries]\ndelay = \"0s\"\n\
         [[population]]\nclients = 3\ndomains = 1\ndaily = 1.0\npeak = \"0s\"\n",
    );
    let result = run(&study, 1);
    assert!(
        result.totals.clients.failed_pages > 1000 && result.events < 200_000,
        "{:?}",
        result.totals
    );
}

#[test]
fn what_is_refused_is_told() {
    // The last usable servers are not drained without force; nobody drains while no Controller is there.
    let study =
        two_clusters("ttl = \"20s\"").study("duration = \"20m\"\n[[population]]\nclients = 20\n\n");
    assert!(run(&study, 1).warnings.is_empty());
    let study = two_clusters("ttl = \"20s\"").study(
        "duration = \"20m\"\ntimeline = \"\"\"\nat 1m drain east\nat 2m drain west\n\
         at 5m kill controller 1\nat 6m undrain east\n\"\"\"\n[[population]]\nclients = 20\n",
    );
    let result = run(&study, 1);
    assert_eq!(result.warnings.len(), 2, "{:?}", result.warnings);
    assert!(result.warnings[0].starts_with("at 120s: drain "), "{:?}", result.warnings);
    assert!(result.warnings[1].contains("no master"), "{:?}", result.warnings);
    assert_eq!(result.counts.refused, 1);
}

/// One fault from minute 20 to minute 40, in a system in which nobody is busy.
#[test]
fn who_cannot_hear_moves_nobody() {
    let study = study_file("walrus-failures.toml", "50m");
    for variant in ["reports cut", "Controller cut off"] {
        let number = study.variants.iter().position(|name| name == variant).unwrap();
        let result = run_variant(&study, number, 1);
        let east = |minute: usize| result.near_share[(minute - 15) * 6];
        // Reporters fall silent within eight seconds of each other, and who asks then keeps it for a TTL.
        for minute in [17, 22, 30, 39, 43, 48] {
            assert!(east(minute) > 0.85, "{variant}, minute {minute}: {}", east(minute));
        }
        let slow = 1.0 - result.response_seconds.below(3.0);
        assert!(slow < 0.02, "{variant}: {slow} of the pages take over 3 s");
    }
}
