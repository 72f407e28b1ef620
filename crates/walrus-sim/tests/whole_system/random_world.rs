//! A world made by a seed, and what happens in it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use walrus_core::config::{Context, SourceFile, parse};
use walrus_core::world::Generator;
use walrus_sim::{ServerState, System, VirtualSystem};

/// Longer than every TTL, ramp and dwell of the worlds made here, many times over.
const LONG: Duration = Duration::from_secs(300);

pub(crate) struct RandomWorld {
    pub(crate) config: String,
    pub(crate) system: VirtualSystem,
    chance: Chance,
    clusters: usize,
    /// Servers of each cluster.
    servers: Vec<usize>,
}

struct Chance(Generator);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0.index(bound.try_into().unwrap()).0 as usize
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

impl RandomWorld {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance(Generator::new(seed));
        let clusters = 1 + chance.below(4);
        let servers: Vec<usize> = (0..clusters).map(|_| 1 + chance.below(3)).collect();
        let config = configuration(&mut chance, &servers);
        let file = SourceFile { name: "random".to_owned(), text: config.clone() };
        let context = Context { hostname: "random", read: &|_| Err("no files here".to_owned()) };
        let parsed = parse(&[file], &context);
        let parsed = parsed.unwrap_or_else(|problems| panic!("seed {seed}: {problems:?}"));
        let system = VirtualSystem::new(Arc::new(parsed.configuration), seed).unwrap();
        Self { config, system, chance, clusters, servers }
    }

    /// Something happens, then time passes; gives the lines that tell of it.
    pub(crate) fn step(&mut self) -> String {
        let target = self.target();
        let busy = u64::try_from(self.chance.below(11)).unwrap();
        let state = match self.chance.below(17) {
            0..=4 => ServerState::Busy { busy, max: 10 },
            5 => ServerState::Killed,
            6 => ServerState::Cut,
            7 => ServerState::Slow,
            8 => ServerState::Bypass("swapping".to_owned()),
            9 => ServerState::Panic("dead".to_owned()),
            10 => ServerState::TempFail("odd".to_owned()),
            11 => ServerState::Busy { busy: 10, max: 10 },
            12 => {
                // Refused for the last usable server, which is as it should be.
                let _ = self.system.drain(&target, false).unwrap();
                return format!("drain {target}\n{}", self.pass());
            }
            13 => {
                self.system.undrain(&target).unwrap();
                return format!("undrain {target}\n{}", self.pass());
            }
            14 => {
                self.system.restart().unwrap();
                return format!("restart\n{}", self.pass());
            }
            15 => {
                self.system.stop(Duration::from_secs(20)).unwrap();
                return format!("stop 20s\n{}", self.pass());
            }
            _ => return self.pass(),
        };
        self.system.set(&target, &state).unwrap();
        format!("# {target} is {state:?}\n{}", self.pass())
    }

    /// Everybody is well and idle again, for long.
    pub(crate) fn all_is_well(&mut self) -> String {
        for cluster in 0..self.clusters {
            let name = cluster_name(cluster);
            self.system.set(&name, &ServerState::Busy { busy: 0, max: 10 }).unwrap();
            self.system.undrain(&name).unwrap();
            for server in 0..self.servers[cluster] {
                self.system.undrain(&server_name(cluster, server)).unwrap();
            }
        }
        self.system.pass(LONG).unwrap();
        format!("# all is well\ntime passes {}s", LONG.as_secs())
    }

    fn target(&mut self) -> String {
        let cluster = self.chance.below(self.clusters);
        match self.chance.below(3) {
            0 => cluster_name(cluster),
            _ => server_name(cluster, self.chance.below(self.servers[cluster])),
        }
    }

    /// At least so long that what must happen at once has happened.
    fn pass(&mut self) -> String {
        let millis = [200, 300, 700, 1_000, 2_700, 5_000, 9_100][self.chance.below(7)];
        self.system.pass(Duration::from_millis(millis)).unwrap();
        format!("time passes {millis}ms")
    }
}

fn cluster_name(cluster: usize) -> String {
    format!("c{cluster}")
}

fn server_name(cluster: usize, server: usize) -> String {
    format!("c{cluster}s{server}")
}

fn configuration(chance: &mut Chance, servers: &[usize]) -> String {
    let server_ramp = chance.of(&["0s", "10s"]);
    let mut text = format!(
        "zone = \"example.com\"\nnameservers = [\"ns1.example.com\"]\n[node]\nname = \"one\"\n\
         roles = [\"controller\", \"director\"]\nstate = \"STATE\"\n[dns]\n\
         listen = [\"127.0.0.1:5300\"]\n[control]\nround = \"5s\"\n\
         server_ramp = \"{server_ramp}\"\n"
    );
    for (cluster, count) in servers.iter().enumerate() {
        let source = chance.of(&[
            "reporter = true",
            "reporter = true",
            "reporter = true\nprobe = { tcp = 80, every = \"1s\", timeout = \"500ms\" }",
            "probe = { tcp = 80, every = \"1s\", timeout = \"500ms\" }",
        ]);
        let _ = writeln!(text, "[[cluster]]\nname = \"c{cluster}\"\n{source}\nservers = [");
        for server in 0..*count {
            let weight = 1 + chance.below(3);
            let capacity = chance.of(&["0.2", "5", "1000"]);
            let name = server_name(cluster, server);
            let address = format!("192.0.{}.{}", cluster + 2, server + 1);
            let _ = writeln!(
                text,
                "  {{ name = \"{name}\", addresses = [\"{address}\"], weight = {weight}, \
                 capacity = {capacity} }},"
            );
        }
        text.push_str("]\n");
    }
    for area in 0..1 + chance.below(4) {
        let _ = writeln!(text, "[[area]]\nname = \"a{area}\"\nclients = [\"10.{area}.0.0/16\"]");
        if chance.below(4) > 0 {
            let _ = writeln!(text, "home = \"c{}\"", chance.below(servers.len()));
        }
        let mut times = Vec::new();
        for cluster in 0..servers.len() {
            if chance.below(4) > 0 {
                times.push(format!("c{cluster} = {}", chance.below(9)));
            }
        }
        let _ = writeln!(text, "milliseconds = {{ {} }}", times.join(", "));
    }
    for service in 0..1 + chance.below(2) {
        let _ = writeln!(
            text,
            "[[service]]\nname = \"w{service}.example.com\"\nttl = \"{}\"\nassign = \"{}\"\n\
             spill = \"{}\"\nramp = \"{}\"\nchoose = \"{}\"",
            chance.of(&["1s", "10s", "30s"]),
            chance.of(&["walrus", "walrus", "nearest", "stable", "failover", "all"]),
            chance.of(&["spare", "unassigned"]),
            chance.of(&["0s", "15s"]),
            chance.of(&["weighted", "round-robin", "random"]),
        );
    }
    text
}
