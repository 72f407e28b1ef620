//! A log for `walrus sim replay`: bytes in, a panic if a promise is broken. Shared with the simulator's
//! test that replays the committed corpus.

use std::sync::{Arc, OnceLock};

use walrus_core::answer::ZoneTable;
use walrus_core::config::{Context, SourceFile, parse};
use walrus_core::map::Map;
use walrus_core::plan::Digests;
use walrus_core::zone::zone_of_nameservers;
use walrus_sim::replay::{Found, Log, Proposal, Replay, ReplayOutcome, Sides, World};

/// Two clusters, two areas, policies with and without state; `HOME` is where `here` is at home.
const CONFIGURATION: &str = r#"zone = "walrus.example"
nameservers = ["ns1.walrus.example"]
[node]
roles = ["controller", "director"]
[dns]
listen = ["192.0.2.53:53"]
[[cluster]]
name = "near"
servers = [{ name = "near1", addresses = ["192.0.2.1"] }, { name = "near2", addresses = ["2001:db8::2"] }]
[[cluster]]
name = "far"
servers = [{ name = "far1", addresses = ["198.51.100.1", "2001:db8::1"] }]
[[area]]
name = "here"
home = "HOME"
clients = ["203.0.113.0/24", "2001:db8:a::/48"]
[[area]]
name = "world"
home = "far"
[[service]]
name = "www.walrus.example"
[[service]]
name = "mrl.walrus.example"
choose = "mrl"
"#;

/// A log's bytes, lines or frames, whole and in pieces, between two configurations and against what it
/// says itself: no panic; pieces make no difference; everything in it is counted once; what comes out is
/// shares of what went in.
pub fn replay(data: &[u8]) {
    let whole = found(data, data.len().max(1));
    assert_eq!(found(data, 7), whole, "pieces make a difference");
    for against in [Some("near"), None] {
        let Some(outcome) = replayed(data, against) else {
            assert!(against.is_none(), "two configurations need no word of the log's");
            continue;
        };
        let log = &outcome.log;
        assert_eq!((log.read, log.broken, log.passed_over), whole, "counted once");
        assert!(log.first_broken.len() <= 5 && log.first_broken.len() as u64 <= log.broken);
        assert!(log.queries >= log.read as f64 && log.queries.is_finite());
        assert!(outcome.queries <= log.queries * (1.0 + 1e-9));
        for share in [&outcome.moved, &outcome.moved_servers, &outcome.lost, &outcome.gained] {
            let ordered = [0.0, share.low, share.share, share.high, 1.0];
            assert!(ordered.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9), "{share:?}");
        }
    }
}

/// How many queries, broken ones, and passed over.
fn found(data: &[u8], piece: usize) -> (u64, u64, u64) {
    let mut counts = (0, 0, 0);
    let mut count = |found| match found {
        Found::Asked(_) => counts.0 += 1,
        Found::Broken(..) => counts.1 += 1,
        Found::PassedOver => counts.2 += 1,
    };
    let mut log = Log::default();
    data.chunks(piece).for_each(|piece| log.push(piece, &mut count));
    log.finish(&mut count);
    counts
}

/// `None` if the log has queries alone and there is nothing to compare with.
fn replayed(data: &[u8], against: Option<&str>) -> Option<ReplayOutcome> {
    let [near, far] = proposals();
    let sides = Sides { proposed: far.clone(), against: against.map(|_| near.clone()) };
    let mut replay = Replay::new(sides, World::Snapshot(Box::default())).ok()?;
    let mut log = Log::default();
    log.push(data, &mut |found| replay.take(found));
    log.finish(&mut |found| replay.take(found));
    replay.finish().ok()
}

/// At home near, and far.
fn proposals() -> &'static [Proposal; 2] {
    static PROPOSALS: OnceLock<[Proposal; 2]> = OnceLock::new();
    PROPOSALS.get_or_init(|| ["near", "far"].map(proposal))
}

fn proposal(home: &str) -> Proposal {
    let text = CONFIGURATION.replace("HOME", home);
    let files = [SourceFile { name: "walrus.toml".to_owned(), text }];
    let read = |_: &str| Err("there are no files here".to_owned());
    let parsed = parse(&files, &Context { hostname: "host", read: &read });
    let configuration = parsed.expect("a configuration").configuration;
    let topology = configuration.topology;
    let zone = &configuration.zones[0];
    let zones = [Arc::new(zone_of_nameservers(&zone.apex, &zone.nameservers))];
    let services: Vec<_> = topology.services.iter().map(|it| it.name.clone()).collect();
    Proposal {
        map: Arc::new(Map::build(&topology, &[]).expect("explicit prefixes only")),
        zones: Arc::new(ZoneTable::compile(&zones, &services).expect("a zone")),
        digests: Digests { configuration: configuration.digest, ..Digests::default() },
        listen: "192.0.2.53:53".parse().expect("an address"),
        udp_size_max: 1232,
        topology: Arc::new(topology),
    }
}
