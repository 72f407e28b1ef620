//! A Controller with servers that report and answer probes, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Configuration, Context, SourceFile, parse};
use crate::control::{
    Controller, Effect, Input, Notice, ProbeOutcome, ProbeRequest, Refusal, ServerStatus, Start,
    Status, Stored,
};
use crate::plan::{Digests, Plan, PlanNumber};
use crate::world::{Digest, Life, Name, Report, ReportBody, Statistics, Time};

/// Two clusters of two servers with Reporters; `www` is served by both.
pub(super) const TWO_CLUSTERS: &str = r#"
zone = "example.com"
nameservers = ["ns1.example.com"]
[node]
name = "controller"
roles = ["controller"]
[control]
round = "10s"
server_ramp = "10s"
[[cluster]]
name = "asia"
reporter = true
servers = [
  { name = "asia1", addresses = ["192.0.2.1"] },
  { name = "asia2", addresses = ["192.0.2.2"] },
]
[[cluster]]
name = "europe"
reporter = true
servers = [
  { name = "europe1", addresses = ["198.51.100.1"] },
  { name = "europe2", addresses = ["198.51.100.2"] },
]
[[area]]
name = "east"
home = "asia"
clients = ["192.0.2.0/24"]
[[area]]
name = "west"
home = "europe"
clients = ["198.51.100.0/24"]
[[service]]
name = "www.example.com"
ttl = "5s"
"#;

/// The same servers without Reporters, each looked at once a second.
pub(super) fn probed() -> String {
    TWO_CLUSTERS.replace(
        "reporter = true",
        "probe = { tcp = 80, every = \"1s\", timeout = \"500ms\", rise = 2, fall = 3 }",
    )
}

pub(super) fn configuration(text: &str) -> Arc<Configuration> {
    let file = SourceFile { name: "walrus.toml".to_owned(), text: text.to_owned() };
    let read = |_: &str| Err("no such file".to_owned());
    let parsed = parse(&[file], &Context { hostname: "here", read: &read });
    Arc::new(parsed.unwrap().configuration)
}

pub(super) fn digests(configuration: &Configuration) -> Digests {
    Digests { configuration: configuration.digest.clone(), ..Digests::default() }
}

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(super) fn busy(load: f64) -> ReportBody {
    ReportBody::Statistics(Statistics {
        duration_ms: 1000,
        cpu_idle: Some(1.0 - load),
        hits: Some(10),
        ..Statistics::default()
    })
}

pub(super) fn panic() -> ReportBody {
    ReportBody::Panic { reason: "web server dead".to_owned() }
}

pub(super) struct Harness {
    pub(super) controller: Controller,
    pub(super) now: Time,
    pub(super) configuration: Arc<Configuration>,
    /// Who reports what, once a second.
    pub(super) reporters: BTreeMap<Name, ReportBody>,
    /// Addresses that fail their probes.
    pub(super) failing: BTreeSet<IpAddr>,
    /// Probes are never answered.
    pub(super) deaf: bool,
    /// All effects but probes and journal lines, with their time.
    pub(super) effects: Vec<(Time, Effect)>,
    pub(super) journal: Vec<String>,
    pub(super) probes: Vec<(Time, ProbeRequest)>,
    sequence: u64,
    next_reports: Time,
}

impl Harness {
    pub(super) fn new(text: &str) -> Self {
        Self::start(text, Stored::default())
    }

    pub(super) fn start(text: &str, stored: Stored) -> Self {
        let configuration = configuration(text);
        let now = Time::from_secs(100);
        let start = Start {
            configuration: configuration.clone(),
            digests: digests(&configuration),
            name: configuration.node.name.clone(),
            seed: 1,
            stored,
            group: None,
        };
        let mut harness = Self {
            controller: Controller::new(start, now),
            now,
            configuration,
            reporters: BTreeMap::new(),
            failing: BTreeSet::new(),
            deaf: false,
            effects: Vec::new(),
            journal: Vec::new(),
            probes: Vec::new(),
            sequence: 0,
            next_reports: now,
        };
        harness.drain();
        harness
    }

    /// All servers with Reporters report this from now on, at once for the first time.
    pub(super) fn all_report(&mut self, body: &ReportBody) {
        for server in &self.configuration.topology.servers {
            if server.reporter {
                self.reporters.insert(server.name.clone(), body.clone());
            }
        }
        self.send_reports();
    }

    pub(super) fn input(&mut self, input: Input) -> Result<(), Refusal> {
        let result = self.controller.handle(self.now, input);
        self.drain();
        result
    }

    pub(super) fn report(&mut self, server: &str, body: ReportBody) {
        self.sequence += 1;
        let report = self.make_report(&name(server), body);
        self.input(Input::Report(report)).unwrap();
    }

    pub(super) fn make_report(&self, server: &Name, body: ReportBody) -> Report {
        Report {
            server: server.clone(),
            session: 1,
            sequence: self.sequence,
            unit_ms: 1000,
            sent_unix_ms: 0,
            version: None,
            body,
            requests: None,
        }
    }

    /// Time passes; everything that falls due on the way happens at its time.
    pub(super) fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        for _ in 0..1_000_000 {
            let (deadline, why) = self.controller.next_deadline();
            let at = deadline.min(self.next_reports);
            if at > end {
                self.now = end;
                return;
            }
            assert!(at >= self.now, "{why} was forgotten at {at}, now is {}", self.now);
            self.now = at;
            if at == self.next_reports {
                self.send_reports();
            }
            self.drain();
            let (deadline, why) = self.controller.next_deadline();
            assert!(deadline > self.now, "{why} does not get done at {}", self.now);
        }
        panic!("time does not pass");
    }

    fn send_reports(&mut self) {
        self.next_reports = self.now + Duration::from_secs(1);
        self.sequence += 1;
        for (server, body) in self.reporters.clone() {
            let report = self.make_report(&server, body);
            self.controller.handle(self.now, Input::Report(report)).unwrap();
        }
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        for _ in 0..10_000 {
            match self.controller.poll(self.now) {
                None => return,
                Some(Effect::Journal(record)) => self.journal.push(record.to_line()),
                Some(Effect::Probe(request)) => self.probe(request),
                Some(effect) => self.effects.push((self.now, effect)),
            }
        }
        panic!("effects have no end");
    }

    fn probe(&mut self, request: ProbeRequest) {
        self.probes.push((self.now, request.clone()));
        if self.deaf {
            return;
        }
        let outcome = match self.failing.contains(&request.address) {
            true => ProbeOutcome::Down("refused".to_owned()),
            false => ProbeOutcome::Up,
        };
        let ended = Input::Probed { target: request.target, outcome };
        self.controller.handle(self.now, ended).unwrap();
    }

    pub(super) fn plans(&self) -> Vec<(Time, Arc<Plan>)> {
        let plan = |(at, effect): &(Time, Effect)| match effect {
            Effect::Publish(plan) => Some((*at, plan.clone())),
            _ => None,
        };
        self.effects.iter().filter_map(plan).collect()
    }

    pub(super) fn plan(&self) -> Arc<Plan> {
        self.plans().last().unwrap().1.clone()
    }

    pub(super) fn number(&self) -> PlanNumber {
        self.plan().number.clone()
    }

    pub(super) fn notices(&self) -> Vec<(Time, Notice)> {
        let notice = |(at, effect): &(Time, Effect)| match effect {
            Effect::Notify(notice) => Some((*at, notice.clone())),
            _ => None,
        };
        self.effects.iter().filter_map(notice).collect()
    }

    pub(super) fn status(&self) -> Status {
        self.controller.status(self.now, 1_000_000)
    }

    pub(super) fn server(&self, server: &str) -> ServerStatus {
        self.status().servers.into_iter().find(|it| it.name.as_str() == server).unwrap()
    }

    pub(super) fn life(&self, server: &str) -> Life {
        self.server(server).condition.life
    }

    /// Servers that clients of an area may get for A, by the Plan in force.
    pub(super) fn candidates(&self, area: &str) -> Vec<String> {
        let plan = self.plan();
        let service = &plan.services[0];
        let area = service.areas.iter().find(|it| it.area.as_str() == area).unwrap();
        let list = &plan.lists[area.ipv4.unwrap() as usize];
        let mut names: Vec<String> = list
            .groups
            .iter()
            .flat_map(|group| &group.candidates)
            .map(|candidate| plan.servers[candidate.server as usize].name.to_string())
            .collect();
        names.sort();
        names
    }

    /// The ramp of a candidate in the Plan in force.
    pub(super) fn ramp(&self, server: &str) -> f64 {
        let plan = self.plan();
        let index = plan.servers.iter().position(|it| it.name.as_str() == server).unwrap();
        let all = plan.lists.iter().flat_map(|list| &list.groups).flat_map(|it| &it.candidates);
        all.filter(|it| it.server as usize == index).map(|it| it.ramp).next().unwrap()
    }

    pub(super) fn digest(text: &str) -> Digest {
        Digest::of([text.as_bytes()])
    }
}
