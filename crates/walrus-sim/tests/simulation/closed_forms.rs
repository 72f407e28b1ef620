//! Where queueing theory knows the answer, the simulator gives it, within five deviations.

use crate::{Site, run};

/// One server, single pages of one hit by a Poisson process: M/M/1, M/D/1, M/H2/1.
fn single_queue(load: f64, service: &str, seed: u64) -> walrus_sim::simulation::RunResult {
    let site = Site::of_servers(vec![("a1", 10)]);
    let study = site.study(&format!(
        "duration = \"4h\"\ndiscard = \"10m\"\nsample = \"1s\"\n[queries]\ndelay = \"0s\"\n\
         [pages]\nsession = \"constant 1\"\nhits = \"constant 1\"\nservice = \"{service}\"\n\
         [[population]]\nsessions_per_second = {}\n",
        load * 10.0
    ));
    run(&study, seed)
}

/// Mean and deviation of the mean over seeds.
fn over_seeds(values: impl Fn(u64) -> f64) -> (f64, f64) {
    let values: Vec<f64> = (1..=6).map(values).collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

#[test]
fn response_times_are_those_of_pollaczek_and_khinchine() {
    // Mean response in units of a service time: 1 + load / (1 - load) * (1 + scv) / 2.
    for (load, service, scv) in [
        (0.5, "exponential", 1.0),
        (0.8, "exponential", 1.0),
        (0.8, "constant", 0.0),
        (0.6, "hyperexponential 4", 4.0),
    ] {
        let expected = 0.1 * (1.0 + load / (1.0 - load) * (1.0 + scv) / 2.0);
        let (mean, deviation) =
            over_seeds(|seed| single_queue(load, service, seed).response_seconds.mean());
        // Six runs: five deviations of a mean whose deviation is itself estimated.
        assert!(
            (mean - expected).abs() < 5.0 * deviation + 0.002 * expected,
            "{service} at {load}: {mean} +- {deviation}, not {expected}"
        );
    }
}

#[test]
fn utilisation_and_length_of_a_queue_are_those_of_m_m_1() {
    let load = 0.7_f64;
    let results: Vec<_> = (1..=6).map(|seed| single_queue(load, "exponential", seed)).collect();
    let (mean, deviation) = over_seeds(|seed| {
        let series = &results[seed as usize - 1].servers[0].utilisation;
        f64::from(series.iter().sum::<f32>()) / series.len() as f64
    });
    assert!((mean - load).abs() < 5.0 * deviation, "{mean} +- {deviation}");
    // P(length >= n) = load^n, as a Poisson observer sees it.
    for n in [1_i32, 3, 6] {
        let (mean, deviation) = over_seeds(|seed| {
            1.0 - results[seed as usize - 1].max_system_length.below(f64::from(n))
        });
        let expected = load.powi(n);
        assert!((mean - expected).abs() < 5.0 * deviation + 0.003, "{n}: {mean}, not {expected}");
    }
}

#[test]
fn a_cache_is_hit_as_often_as_rate_and_ttl_say() {
    // Of each window, the first question misses and those within the TTL hit: rate * TTL of them.
    let site = Site { service: "ttl = \"20s\"", ..Site::of_servers(vec![("a1", 1000)]) };
    for (rate, ttl_rule, ttl) in [
        (0.1, "honour", 20.0),
        (0.5, "honour", 20.0),
        (0.1, "at least 60s", 60.0),
        (0.5, "at most 5s", 5.0),
        (0.2, "ignore 40s", 40.0),
    ] {
        let study = site.study(&format!(
            "duration = \"10h\"\n[queries]\ndelay = \"0s\"\n[pages]\nsession = \"constant 1\"\n\
             hits = \"constant 1\"\n[[population]]\nsessions_per_second = {rate}\ndomains = 1\n\
             ttl = \"{ttl_rule}\"\n"
        ));
        let (mean, deviation) = over_seeds(|seed| {
            let counts = run(&study, seed).counts;
            1.0 - counts.clients.upstream_queries as f64 / counts.clients.lookups as f64
        });
        let expected = rate * ttl / (1.0 + rate * ttl);
        assert!(
            (mean - expected).abs() < 5.0 * deviation + 0.001,
            "{ttl_rule} {rate}: {mean}, not {expected}"
        );
    }
}

#[test]
fn caches_expire_at_any_time_from_the_beginning_on() {
    // 200 resolvers that are asked every third of a second: 20 expire in each half minute of a TTL of
    // five. Were all filled at the beginning and no more said, nobody would ask for minutes, and then all.
    let site = Site { service: "ttl = \"300s\"", ..Site::of_servers(vec![("a1", 100_000)]) };
    for think in ["exponential 15s", "constant 15s", "uniform 10s 20s"] {
        let study = site.study(&format!(
            "duration = \"20m\"\ninterval = \"30s\"\n[pages]\nhits = \"constant 1\"\n\
             think = \"{think}\"\nsession = \"constant 20\"\n[[population]]\nclients = 10000\n\
             domains = 200\nshares = \"even\"\n"
        ));
        let result = run(&study, 9);
        // Binomial: five deviations of 4.2.
        for (place, rate) in result.queries_per_second.iter().enumerate().skip(1) {
            let asked = rate * 30.0;
            assert!((1.0..=42.0).contains(&asked), "{think}, half minute {place}: {asked}");
        }
        let pages: f64 = result.counts.clients.pages as f64 / (20.0 * 60.0);
        // Each of the ten thousand has its next page after 15 s and a way.
        assert!((pages - 10_000.0 / 15.0).abs() < 20.0, "{think}: {pages} pages a second");
    }
}

#[test]
fn round_robin_deals_evenly_where_nothing_is_cached() {
    // Of many domains with a short TTL nearly each page asks anew, and round robin deals pages out evenly.
    let site = Site {
        service: "ttl = \"1s\"\nchoose = \"round-robin\"\nanswers = 1",
        ..Site::of_servers(vec![("a1", 50), ("a2", 50), ("a3", 50), ("a4", 50)])
    };
    let study = site.study(
        "duration = \"1h\"\n[queries]\ndelay = \"0s\"\n[pages]\nsession = \"constant 1\"\n\
         hits = \"constant 1\"\n[[population]]\nsessions_per_second = 20\ndomains = 2000\nshares = \"even\"\n",
    );
    let result = run(&study, 3);
    for server in &result.servers {
        let mean = f64::from(server.share.iter().sum::<f32>()) / server.share.len() as f64;
        assert!((mean - 0.25).abs() < 0.005, "{} {mean}", server.name);
    }
}

/// Name servers of three areas, one near; which share of the k-th questions it answers.
fn near_by_window(family: &str) -> walrus_sim::simulation::RunResult {
    let area = |number: u8| {
        format!(
            "[[area]]\nname = \"n{number}\"\nhome = \"c{number}\"\nclients = [\"10.{number}.0.0/16\"]\n\
             nameservers = [\"192.0.2.{number}:53\"]\n"
        )
    };
    let rest: &'static str = Box::leak((1..=5).map(area).collect::<String>().into_boxed_str());
    let site = Site {
        clusters: vec![
            ("c1", vec![("a1", 200)]),
            ("c2", vec![("a2", 200)]),
            ("c3", vec![("a3", 200)]),
            ("c4", vec![("a4", 200)]),
            ("c5", vec![("a5", 200)]),
        ],
        service: "ttl = \"60s\"\nlocate = [\"nameserver\"]\nassign = \"walrus\"\nanswers = 1",
        rest,
    };
    let study = site.study(&format!(
        "duration = \"3h\"\n[pages]\nthink = \"constant 70s\"\nhits = \"constant 1\"\n[[population]]\n\
         clients = 2000\ndomains = 2000\nshares = \"even\"\nresolver = \"{family}\"\n\
         distances = {{ n1 = \"80ms\", n2 = \"90ms\", n3 = \"10ms\", n4 = \"150ms\", n5 = \"200ms\", c3 = \"10ms\", c1 = \"80ms\" }}\n"
    ));
    run(&study, 5)
}

#[test]
fn resolvers_come_to_the_nearest_as_their_family_does() {
    // Uniform: a fifth each time, the first time after a geometric number of windows (mean 5).
    let uniform = near_by_window("uniform");
    let windows = &uniform.convergence.near_by_window;
    let deviation = (0.2 * 0.8 / 2000.0_f64).sqrt();
    let outside =
        windows[..100].iter().filter(|it| (f64::from(**it) - 0.2).abs() > 4.0 * deviation);
    assert!(outside.count() <= 1);
    let mean = uniform.convergence.windows_to_nearest.mean();
    assert!((mean - 5.0).abs() < 5.0 * (20.0 / 2000.0_f64).sqrt(), "{mean}");
    let near: Vec<f32> = uniform.near_share.iter().copied().filter(|it| !it.is_nan()).collect();
    let near = f64::from(near.iter().sum::<f32>()) / near.len() as f64;
    assert!((near - 0.2).abs() < 0.02, "where the answer points, there the pages go: {near}");
    // BIND tries all of five first: the nearest is equally likely at each of them; then it stays.
    let bind = near_by_window("bind").convergence;
    for share in &bind.near_by_window[..5] {
        assert!((f64::from(*share) - 0.2).abs() < 5.0 * deviation, "{share}");
    }
    assert!((bind.windows_to_nearest.mean() - 3.0).abs() < 5.0 * (2.0 / 2000.0_f64).sqrt());
    assert!(bind.windows_to_nearest.max() <= 5.0 && bind.never == 0);
    assert!(bind.near_by_window[5..60].iter().all(|share| *share > 0.85));
}
