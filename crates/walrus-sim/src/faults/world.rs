//! A small world made by a seed: sites with a cluster and an area each, and nodes that stand there.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use walrus_core::config::{Configuration, Context, SourceFile, parse};
use walrus_core::message::Role;
use walrus_core::world::{Name, Time};

use super::WIDER_FROM;
use super::chance::Chance;
use super::zones::{Zone, zones};

/// A node's place in [`World::nodes`].
pub(super) type NodeId = usize;

const CITIES: [&str; 4] = ["kyiv", "lima", "oslo", "pune"];

/// The most servers of a cluster.
const SERVERS_MAX: usize = 3;
/// The most nodes of one role.
const NODES_MAX: usize = 4;

/// What stands where.
#[derive(Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    /// Cities; a site's number is its area's and its cluster's.
    pub(super) sites: Vec<&'static str>,
    /// Controllers, then Directors, then servers, then name servers that were there before.
    pub(super) nodes: Vec<Node>,
    pub(super) controllers: usize,
    pub(super) directors: usize,
    pub(super) servers: usize,
    /// By Director: the Controller whose process it is part of, if it is.
    pub(super) beside: Vec<Option<NodeId>>,
    /// What name servers that were there before have, in the order of their nodes.
    pub(super) zones: Vec<Zone>,
    /// The configuration at the start and the one that a reload brings.
    pub(super) configurations: [Arc<Configuration>; 2],
    /// How long a message takes from site to site.
    pub(super) delays: Vec<Vec<Duration>>,
    pub(super) detection: Duration,
    pub(super) unit: Duration,
}

/// A process on a machine of its own, or a server with its Reporter, or a name server of somebody else's.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: Name,
    /// What it speaks as in the group, if it does.
    pub(super) role: Option<Role>,
    pub(super) site: usize,
    /// When it is first started.
    pub(super) starts: Time,
    /// By how much its clock is wrong at first, in milliseconds.
    pub(super) clock_off_ms: i64,
}

/// One server as the configuration text has it.
struct ServerLine {
    name: String,
    site: usize,
    line: String,
}

impl World {
    /// The world of a seed.
    ///
    /// # Errors
    /// The problems of a configuration that should have none.
    pub(super) fn new(seed: u64) -> Result<Self, String> {
        let mut chance = Chance::new(seed, 1);
        let mut sites = CITIES.to_vec();
        chance.shuffle(&mut sites);
        sites.truncate(chance.between(2, CITIES.len()));
        let detection = Duration::from_secs(chance.of(&[2, 3]));
        let unit = Duration::from_secs(chance.of(&[1, 2, 2]));
        let servers = server_lines(&mut chance, &sites);
        let texts = texts(&mut chance, &sites, &servers, detection, unit);
        let configurations = [read(&texts[0])?, read(&texts[1])?];
        let controllers = chance.between(1, NODES_MAX);
        let directors = chance.between(1, NODES_MAX);
        let mut nodes = Vec::new();
        for (role, letter, count) in
            [(Role::Controller, 'c', controllers), (Role::Director, 'd', directors)]
        {
            // Names say nothing of who starts first.
            let mut numbers: Vec<usize> = (1..=count).collect();
            chance.shuffle(&mut numbers);
            for number in numbers {
                let name = format!("{letter}{number}");
                let site = chance.below(sites.len());
                nodes.push(node(&mut chance, &name, Some(role), site)?);
            }
        }
        for server in &servers {
            nodes.push(node(&mut chance, &server.name, Some(Role::Reporter), server.site)?);
        }
        let delays = delays(&mut chance, sites.len());
        let is_wider = seed >= WIDER_FROM;
        // Of a source of its own, so that all else of a seed stays as it is.
        let mut chance = Chance::new(seed, 5);
        let beside = if is_wider {
            beside(&mut chance, &mut nodes, controllers, directors)
        } else {
            vec![None; directors]
        };
        let zones = if is_wider {
            let services = &configurations[0].topology.services;
            zones(&mut chance, (&sites, directors), &mut nodes, services)?
        } else {
            Vec::new()
        };
        Ok(Self {
            seed,
            sites,
            nodes,
            controllers,
            directors,
            servers: servers.len(),
            beside,
            zones,
            configurations,
            delays,
            detection,
            unit,
        })
    }

    /// The node numbers of servers.
    pub(super) const fn server_nodes(&self) -> std::ops::Range<NodeId> {
        let first = self.controllers + self.directors;
        first..first + self.servers
    }

    /// The node numbers of name servers that were there before.
    pub(super) const fn zone_nodes(&self) -> std::ops::Range<NodeId> {
        self.server_nodes().end..self.nodes.len()
    }

    /// The Controller in whose process this Director is; none for any other node.
    pub(super) fn controller_beside(&self, node: NodeId) -> Option<NodeId> {
        let director = node.checked_sub(self.controllers)?;
        self.beside.get(director).copied().flatten()
    }

    /// The Director in this Controller's process.
    pub(super) fn director_beside(&self, controller: NodeId) -> Option<usize> {
        self.beside.iter().position(|it| *it == Some(controller))
    }

    /// What a process is known by: of a Controller and a Director in one, the Controller.
    pub(super) fn machine(&self, node: NodeId) -> NodeId {
        self.controller_beside(node).unwrap_or(node)
    }

    /// The nodes at a site.
    pub(super) fn at_site(&self, site: usize) -> Vec<NodeId> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].site == site).collect()
    }

    /// How long one silent server lives on.
    pub(super) fn silence(&self) -> Duration {
        self.unit * self.configurations[0].control.missed_units + Duration::from_millis(500)
    }

    /// For people, in some lines.
    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        for (number, site) in self.sites.iter().enumerate() {
            let here = self.at_site(number);
            let here = here.iter().filter(|it| self.controller_beside(**it).is_none());
            let names: Vec<String> = here.map(|it| self.describe_node(*it)).collect();
            let _ = writeln!(text, "  {site}: {}", names.join(", "));
        }
        let _ = writeln!(
            text,
            "  detection {:?}, reports each {:?}; c: Controllers, d: Directors, c+d: both in one process",
            self.detection, self.unit
        );
        text
    }

    fn describe_node(&self, node: NodeId) -> String {
        let name = &self.nodes[node].name;
        if let Some(zone) = node.checked_sub(self.zone_nodes().start) {
            let director = |it: &usize| self.nodes[self.controllers + it].name.as_str();
            let updaters: Vec<&str> = self.zones[zone].updaters.iter().map(director).collect();
            return format!("{name} (kept up to date by {})", updaters.join(" "));
        }
        match self.director_beside(node) {
            Some(_) if node < self.controllers => format!("{name}+d"),
            _ => name.to_string(),
        }
    }
}

/// Puts some Directors into the processes of Controllers: there they have the name, the machine and the clock of these.
fn beside(
    chance: &mut Chance,
    nodes: &mut [Node],
    controllers: usize,
    directors: usize,
) -> Vec<Option<NodeId>> {
    let mut beside = vec![None; directors];
    if chance.one_in(2) {
        return beside;
    }
    for director in 0..directors {
        let controller = chance.below(controllers);
        if beside.contains(&Some(controller)) || chance.one_in(4) {
            continue;
        }
        beside[director] = Some(controller);
        let (role, of) = (nodes[controllers + director].role, nodes[controller].clone());
        nodes[controllers + director] = Node { role, ..of };
    }
    beside
}

pub(super) fn node(
    chance: &mut Chance,
    name: &str,
    role: Option<Role>,
    site: usize,
) -> Result<Node, String> {
    let name: Name = name.parse().map_err(|_| format!("`{name}` is no name"))?;
    // Some clocks are wrong by hours from the first.
    let hours = if chance.one_in(4) { chance.between(0, 12) as i64 - 6 } else { 0 };
    Ok(Node {
        name,
        role,
        site,
        starts: Time::ZERO + chance.up_to(Duration::from_secs(2)),
        clock_off_ms: hours * 3_600_000 + chance.below(1000) as i64,
    })
}

/// From 1 to 80 ms one way, half a millisecond inside of a site.
fn delays(chance: &mut Chance, sites: usize) -> Vec<Vec<Duration>> {
    let mut delays = vec![vec![Duration::from_micros(500); sites]; sites];
    for (one, other) in (0..sites).flat_map(|one| (0..one).map(move |other| (one, other))) {
        let delay = Duration::from_millis(chance.between(1, 80) as u64);
        delays[one][other] = delay;
        delays[other][one] = delay;
    }
    delays
}

fn server_lines(chance: &mut Chance, sites: &[&str]) -> Vec<ServerLine> {
    let mut lines = Vec::new();
    for (site, city) in sites.iter().enumerate() {
        for number in 1..=chance.between(1, SERVERS_MAX) {
            let name = format!("{city}{number}");
            let line = format!(
                "  {{ name = \"{name}\", addresses = [\"192.0.{}.{number}\"], weight = {}, \
                 capacity = {} }},\n",
                site + 2,
                chance.between(1, 3),
                chance.of(&[1, 5, 1000]),
            );
            lines.push(ServerLine { name, site, line });
        }
    }
    lines
}

/// The text at the start, and the one that a reload brings: another TTL, another policy, or a server more.
fn texts(
    chance: &mut Chance,
    sites: &[&str],
    servers: &[ServerLine],
    detection: Duration,
    unit: Duration,
) -> [String; 2] {
    let sources: Vec<&str> = sites.iter().map(|_| chance.of(&SOURCES)).collect();
    let settings = format!(
        "zone = \"example.net\"\nnameservers = [\"ns1.example.net\"]\n[node]\nname = \"here\"\n\
         roles = [\"controller\", \"director\"]\nstate = \"STATE\"\n[dns]\n\
         listen = [\"127.0.0.1:5300\"]\n[control]\nround = \"{round}s\"\nserver_ramp = \"{ramp}\"\n\
         journal_rounds = 0\ndetection = \"{detection}s\"\n",
        round = unit.as_secs() + chance.between(1, 4) as u64,
        ramp = chance.of(&["0s", "4s"]),
        detection = detection.as_secs(),
    );
    let areas = areas(chance, sites);
    let mut services = services(chance);
    let text = |servers: &[&ServerLine], services: &[[&str; 6]]| {
        let mut text = settings.clone();
        for (site, city) in sites.iter().enumerate() {
            let lines = servers.iter().filter(|server| server.site == site);
            let lines: String = lines.map(|server| server.line.as_str()).collect();
            let source = sources[site];
            let _ =
                write!(text, "[[cluster]]\nname = \"{city}\"\n{source}\nservers = [\n{lines}]\n");
        }
        text.push_str(&areas);
        for (number, [ttl, assign, spill, ramp, choose, answers]) in services.iter().enumerate() {
            let _ = write!(
                text,
                "[[service]]\nname = \"w{number}.example.net\"\nttl = \"{ttl}\"\nassign = \"{assign}\"\n\
                 spill = \"{spill}\"\nramp = \"{ramp}\"\nchoose = \"{choose}\"\nanswers = {answers}\n",
            );
        }
        text
    };
    let all: Vec<&ServerLine> = servers.iter().collect();
    // A server that is not the last of its site may come with the reload alone.
    let added = chance.one_in(3).then(|| {
        let is_spare = |it: &&ServerLine| !it.name.ends_with('1');
        servers.iter().rev().find(is_spare).map(|it| it.name.as_str())
    });
    let first: Vec<&ServerLine> =
        all.iter().copied().filter(|it| Some(Some(it.name.as_str())) != added).collect();
    let before = text(&first, &services);
    match chance.below(2) {
        0 => services[0][0] = chance.of(&TTLS),
        _ => services[0][1] = chance.of(&ASSIGN),
    }
    [before, text(&all, &services)]
}

const SOURCES: [&str; 5] = [
    "reporter = true",
    "reporter = true",
    "reporter = true",
    "reporter = true\nprobe = { tcp = 80, every = \"1s\", timeout = \"500ms\" }",
    "probe = { tcp = 80, every = \"1s\", timeout = \"500ms\" }",
];
const TTLS: [&str; 3] = ["1s", "5s", "15s"];
const ASSIGN: [&str; 6] = ["walrus", "walrus", "nearest", "failover", "all", "stable"];

fn areas(chance: &mut Chance, sites: &[&str]) -> String {
    let mut text = String::new();
    for (site, city) in sites.iter().enumerate() {
        let _ =
            write!(text, "[[area]]\nname = \"near-{city}\"\nclients = [\"10.{site}.0.0/16\"]\n");
        if !chance.one_in(4) {
            let _ = writeln!(text, "home = \"{city}\"");
        }
        let times = sites.iter().map(|other| {
            let far = if other == city { 1 } else { chance.between(5, 90) };
            format!("{other} = {far}")
        });
        let _ = writeln!(text, "milliseconds = {{ {} }}", times.collect::<Vec<_>>().join(", "));
    }
    text
}

fn services(chance: &mut Chance) -> Vec<[&'static str; 6]> {
    let one = |chance: &mut Chance| {
        [
            chance.of(&TTLS),
            chance.of(&ASSIGN),
            chance.of(&["spare", "unassigned"]),
            chance.of(&["0s", "6s"]),
            chance.of(&["weighted", "round-robin", "random", "hash"]),
            chance.of(&["1", "2"]),
        ]
    };
    (0..chance.between(1, 2)).map(|_| one(chance)).collect()
}

fn read(text: &str) -> Result<Arc<Configuration>, String> {
    let file = SourceFile { name: "world".to_owned(), text: text.to_owned() };
    let context = Context { hostname: "here", read: &|_| Err("no files here".to_owned()) };
    let parsed = parse(&[file], &context);
    parsed.map(|it| Arc::new(it.configuration)).map_err(|problems| format!("{problems:?}\n{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_makes_a_world_and_the_same_one_twice() {
        for seed in (0..200).chain(WIDER_FROM..WIDER_FROM + 200) {
            let world = World::new(seed).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            let again = World::new(seed).unwrap();
            assert_eq!(
                (&world.configurations, world.describe()),
                (&again.configurations, again.describe())
            );
            assert!((1..=NODES_MAX).contains(&world.controllers));
            let servers = world.server_nodes().len();
            let known = world.configurations[1].topology.servers.len();
            assert_eq!(servers, known, "seed {seed}: after the reload all are known");
        }
    }
}
