//! What simulating costs: `cargo bench -p walrus-sim --bench simulation [WHAT]`.
//!
//! Prints figures for docs/performance.md: events a second with a million clients waiting, a day of a million
//! clients, and what a lookup costs beside the answer in it. Times are those of the processor.

#![allow(clippy::print_stdout, reason = "figures are what it is for")]

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use walrus_core::answer::{
    AnswerTable, Request, ServerOptions, Transport, WorkerState, ZoneTable, respond,
};
use walrus_core::config::{Context, SourceFile, parse};
use walrus_core::map::Map;
use walrus_core::world::Time;
use walrus_core::zone::{add_hosts, zone_of_nameservers};
use walrus_sim::simulation::{RunResult, Study, simulate};
use walrus_sim::{Question, VirtualSystem, query_bytes};

fn main() {
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let all: [(&str, fn()); 4] =
        [("events", events), ("day", day), ("lookup", lookup), ("workers", workers)];
    for (name, measure) in all.into_iter().filter(|(name, _)| name.contains(&wanted)) {
        println!("## {name}");
        measure();
    }
}

/// A million clients that wait and click, 15 s between two pages; five minutes of it.
fn events() {
    let people = "clients = 1000000\ndomains = 20000\n";
    for (what, pages) in [
        ("one hit a page", "hits = \"constant 1\"\nthink = \"exponential 15s\""),
        ("5 to 15 hits a page", "hits = \"uniform 5 15\"\nthink = \"exponential 15s\""),
    ] {
        let (result, time) = run("5m", pages, people, 20_000);
        tell(what, &result, time);
    }
}

/// A day in which a million clients come, twenty pages each.
fn day() {
    let pages = "session = \"constant 20\"";
    let people = "sessions_per_second = 11.574\ndaily = 0.6\ndomains = 20000\n";
    let (result, time) = run("24h", pages, people, 30);
    tell("a day of a million clients", &result, time);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("memory: {}", peak.unwrap_or("unknown"));
}

/// What a page costs more if its resolver has to ask, and what the answer costs by itself.
fn lookup() {
    let pages = "session = \"constant 1\"\nhits = \"constant 1\"";
    let per_page = |rule: &str| {
        let people = format!(
            "sessions_per_second = 20000\ndomains = 20000\nshares = \"even\"\nttl = \"{rule}\"\n"
        );
        let (result, time) = run("2m", pages, &people, 1000);
        (time.as_nanos() as f64 / result.totals.clients.pages as f64, result)
    };
    let (mut hit, mut miss) = (f64::MAX, f64::MAX);
    for _ in 0..5 {
        hit = hit.min(per_page("ignore 7d").0);
        let (time, result) = per_page("ignore 0s");
        assert_eq!(result.totals.clients.upstream_queries, result.totals.clients.lookups);
        miss = miss.min(time);
    }
    let answer = answer_alone();
    println!("a page whose answer is cached: {hit:.0} ns; asked for: {miss:.0} ns");
    let (more, times) = (miss - hit, (miss - hit) / answer);
    println!("a lookup costs {more:.0} ns, `respond` alone {answer:.0} ns: {times:.2} times");
}

/// The time that this thread had a processor: figures that hold beside other work.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos = text.split_whitespace().next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanos.expect("nanoseconds"))
}

/// How far several workers that tell each other each second are from one that gives all answers: the scenario of
/// Colajanni, Yu and Dias with equal servers and 400 clients who keep an address for a session, over eight seeds.
fn workers() {
    let mut servers = String::new();
    for number in 1..=7 {
        let _ = writeln!(
            servers,
            "{{ name = \"s{number}\", addresses = [\"198.18.0.{number}\"], capacity = 71.43 }},"
        );
    }
    for policy in ["dal", "mrl", "crml", "hash"] {
        for (workers, exchange) in [(1, "1s"), (2, "1s"), (8, "1s"), (8, "1h")] {
            let study = format!(
                "duration = \"70m\"\ndiscard = \"10m\"\nconfiguration_text = \"\"\"\nzone = \"example.com\"\n\
                 nameservers = [\"ns1.example.com\"]\n[node]\nroles = [\"controller\", \"director\"]\n[dns]\n\
                 listen = [\"192.0.2.53:53\"]\n[control]\nround = \"8s\"\n[[cluster]]\nname = \"farm\"\n\
                 reporter = true\nservers = [\n{servers}]\n[[service]]\nname = \"www.example.com\"\n\
                 ttl = \"240s\"\nanswers = 1\nthreshold = 1.0\nchoose = \"{policy}\"\n\"\"\"\n\
                 [directors]\nworkers = {workers}\nexchange = \"{exchange}\"\n[pages]\nclient_cache = \"session\"\n[[population]]\nclients = 400\n"
            );
            let study = Study::parse("bench", &study, &|_| Err("no files".to_owned()), &[])
                .unwrap_or_else(|problems| panic!("{problems}"));
            let below: Vec<f64> = (1..=8)
                .map(|seed| {
                    let tell = &mut |_| ControlFlow::Continue(());
                    simulate(&study, 0, seed, tell).expect("a run").max_utilisation.below(0.9)
                })
                .collect();
            let mean = below.iter().sum::<f64>() / 8.0;
            let spread = below.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / 7.0;
            let half = 2.36 * (spread / 8.0).sqrt();
            println!(
                "{policy}, {workers} workers, told each {exchange}: P(max < 0.9) = {mean:.3} +- {half:.3}"
            );
        }
    }
}

fn configuration(capacity: u32) -> String {
    let mut text = "zone = \"example.com\"\nnameservers = [\"ns1.example.com\"]\n\
                    [node]\nroles = [\"controller\", \"director\"]\n\
                    [dns]\nlisten = [\"192.0.2.53:53\"]\n"
        .to_owned();
    for cluster in 0..8 {
        let _ = write!(text, "[[cluster]]\nname = \"c{cluster}\"\nreporter = true\nservers = [\n");
        for host in 1..=8 {
            let _ = writeln!(
                text,
                "{{ name = \"c{cluster}-{host}\", addresses = [\"198.18.{cluster}.{host}\"], capacity = {capacity} }},"
            );
        }
        text.push_str("]\n");
    }
    for area in 0..8 {
        let clients = area * 8;
        let _ = write!(
            text,
            "[[area]]\nname = \"a{area}\"\nhome = \"c{area}\"\nclients = [\"10.{clients}.0.0/13\"]\n"
        );
    }
    text + "[[service]]\nname = \"www.example.com\"\nttl = \"30s\"\nanswers = 2\n"
}

fn run(duration: &str, pages: &str, people: &str, capacity: u32) -> (RunResult, Duration) {
    let study = format!(
        "duration = \"{duration}\"\noverload = true\nconfiguration_text = \"\"\"\n{}\"\"\"\n[queries]\ndelay = \"0s\"\n\
         [pages]\n{pages}\n[[population]]\n{people}",
        configuration(capacity)
    );
    let study = Study::parse("bench", &study, &|_| Err("no files".to_owned()), &[])
        .unwrap_or_else(|problems| panic!("{problems}"));
    let begun = processor_time();
    let result = simulate(&study, 0, 1, &mut |_| ControlFlow::Continue(())).expect("a run");
    (result, processor_time() - begun)
}

fn tell(what: &str, result: &RunResult, time: Duration) {
    let (seconds, totals) = (time.as_secs_f64(), &result.totals);
    println!(
        "{what}: {} events ({} pages, {} lookups, {} upstream) in {seconds:.2} s: {:.2} million events/s, \
         {:.0} ns each",
        result.events,
        totals.clients.pages,
        totals.clients.lookups,
        totals.clients.upstream_queries,
        result.events as f64 / seconds / 1e6,
        seconds * 1e9 / result.events as f64
    );
}

/// Nanoseconds that `respond` takes by itself, for the resolvers of the same study.
fn answer_alone() -> f64 {
    let file = SourceFile { name: "bench".to_owned(), text: configuration(1000) };
    let context = Context { hostname: "bench", read: &|_| Err("no files".to_owned()) };
    let configuration = parse(&[file], &context).expect("a configuration").configuration;
    let system = VirtualSystem::new(Arc::new(configuration.clone()), 1).expect("a system");
    let topology = &configuration.topology;
    let zone = &configuration.zones[0];
    let zones = [Arc::new(zone_of_nameservers(&zone.apex, &zone.nameservers))];
    let zones = add_hosts(&zones, topology).expect("hosts").zones;
    let zones = ZoneTable::compile(&zones, &[topology.services[0].name.clone()]).expect("zones");
    let map = Map::build(topology, &[]).expect("a map");
    let table = AnswerTable::new(Arc::new(zones), Arc::new(map), topology);
    let table = table.with_plan(Arc::clone(system.plan().expect("a Plan"))).expect("a table");
    let mut worker = WorkerState::new(1, &table);
    let question = Question {
        name: "www.example.com".to_owned(),
        record_type: "A".to_owned(),
        client: IpAddr::from([10, 0, 0, 53]),
        subnet: None,
        server: None,
    };
    let query = query_bytes(&question).expect("a query");
    let mut reply = vec![0; 1232];
    let mut best = f64::MAX;
    for _ in 0..20 {
        let begun = processor_time();
        let count = 200_000_u32;
        for number in 0..count {
            let domain = number.wrapping_mul(7919) % 20_000;
            let request = Request {
                query: &query,
                client: IpAddr::V4((0x0a00_0035 + (domain << 8)).into()),
                local: SocketAddr::from(([192, 0, 2, 53], 53)),
                transport: Transport::Udp,
                now: Time::ZERO,
                unix_secs: 0,
                udp_size_max: 1232,
                server: ServerOptions::SILENT,
            };
            let _ = std::hint::black_box(respond(&table, &mut worker, &request, &mut reply));
        }
        best = best.min((processor_time() - begun).as_nanos() as f64 / f64::from(count));
    }
    best
}
