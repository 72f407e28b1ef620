//! The core as a [`System`]: one Controller, one name server, simulated Reporters and probes.
//!
//! Nothing here decides: it carries bytes, effects and time between the functions that the live
//! roles call too. Reporters report each unit; a probe ends at once, or after its timeout where
//! the server is cut off or slow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use walrus_core::config::{Configuration, Context, SourceFile, parse};
use walrus_core::control::{
    Controller, Effect, Input, ProbeOutcome, ProbeRequest, Refusal, Start, Stored,
};
use walrus_core::plan::{Digests, Plan};
use walrus_core::world::{
    Name, OverrideState, Report, ReportBody, ServerId, Statistics, Target, Time, Topology,
};

use crate::name_server::NameServer;
use crate::system::{Question, Seen, SeenArea, SeenServer, ServerState, System, SystemError};

/// How often a simulated Reporter reports.
const UNIT: Duration = Duration::from_secs(1);
/// Plans that are kept for whoever looks at all of them.
pub const PUBLISHED_MAX: usize = 4096;
/// The session of every simulated Reporter's first connection.
const FIRST_SESSION: u64 = 1;

/// A whole Walrus in virtual time.
#[derive(Debug)]
pub struct VirtualSystem {
    configuration: Arc<Configuration>,
    controller: Controller,
    name_server: NameServer,
    now: Time,
    reporters: BTreeMap<ServerId, Reporter>,
    states: BTreeMap<ServerId, ServerState>,
    probes: Vec<(Time, u32, ProbeOutcome)>,
    notices: Vec<(String, String, bool)>,
    observations: Observations,
    /// What a state directory would hold.
    stored: Stored,
    /// Plans that nobody has taken yet, at most [`PUBLISHED_MAX`].
    published: Vec<(Time, Arc<Plan>)>,
    seed: u64,
}

/// When the name server says what it was asked.
#[derive(Clone, Debug)]
struct Observations {
    session: u64,
    sequence: u64,
    last: Time,
    next: Time,
}

#[derive(Clone, Debug)]
struct Reporter {
    session: u64,
    sequence: u64,
    next: Time,
    connected: bool,
}

impl VirtualSystem {
    /// A system that starts at time zero with every server idle.
    ///
    /// # Errors
    /// If the map cannot be built (a country without a database).
    pub fn new(configuration: Arc<Configuration>, seed: u64) -> Result<Self, SystemError> {
        let name_server = NameServer::new(&configuration, seed)?;
        let mut system = Self {
            controller: start_controller(&configuration, seed, Stored::default(), Time::ZERO),
            name_server,
            now: Time::ZERO,
            reporters: BTreeMap::new(),
            states: BTreeMap::new(),
            probes: Vec::new(),
            notices: Vec::new(),
            observations: Observations {
                session: FIRST_SESSION,
                sequence: 0,
                last: Time::ZERO,
                next: Time::ZERO + configuration.dns.observe_every,
            },
            stored: Stored::default(),
            published: Vec::new(),
            seed,
            configuration,
        };
        system.add_servers();
        system.carry_out();
        Ok(system)
    }

    /// The time since the start.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// The Plan in force, if there was one.
    #[must_use]
    pub const fn plan(&self) -> Option<&Arc<Plan>> {
        self.stored.plan.as_ref()
    }

    /// The Plans since the last call, with their times; the newest [`PUBLISHED_MAX`] of them.
    pub fn take_published(&mut self) -> Vec<(Time, Arc<Plan>)> {
        std::mem::take(&mut self.published)
    }

    /// The configuration in force.
    #[must_use]
    pub const fn configuration(&self) -> &Arc<Configuration> {
        &self.configuration
    }

    /// Whoever is new is idle, and its Reporter connects.
    fn add_servers(&mut self) {
        for (id, server) in (0..).map(ServerId).zip(&self.configuration.topology.servers) {
            self.states.entry(id).or_insert(ServerState::Busy { busy: 0, max: 10 });
            if server.reporter {
                self.reporters.entry(id).or_insert(Reporter {
                    session: FIRST_SESSION,
                    sequence: 0,
                    next: self.now + UNIT,
                    connected: true,
                });
            }
        }
    }

    fn topology(&self) -> &Topology {
        &self.configuration.topology
    }

    /// Carries out all effects that are due.
    fn carry_out(&mut self) {
        while let Some(effect) = self.controller.poll(self.now) {
            match effect {
                Effect::Publish(plan) => self.publish(&plan),
                Effect::Probe(request) => self.probe(&request),
                Effect::Notify(notice) => {
                    let kind = notice.kind.as_str();
                    self.notices.push((kind.to_owned(), notice.subject, notice.recovered));
                }
                Effect::StoreEpoch(epoch) => self.stored.epoch = epoch,
                Effect::StoreOverrides(overrides) => self.stored.overrides = overrides,
                // Scenarios know no outside names, so that an alias stays unresolved, and one Controller.
                Effect::Journal(_)
                | Effect::Warn(_)
                | Effect::Resolve(_)
                | Effect::StoreJoined(_)
                | Effect::Adopt(_)
                | Effect::SendPlan(_)
                | Effect::Say(_) => {}
            }
        }
    }

    fn publish(&mut self, plan: &Arc<Plan>) {
        self.stored.plan = Some(plan.clone());
        if self.published.len() >= PUBLISHED_MAX {
            self.published.drain(..PUBLISHED_MAX / 2);
        }
        self.published.push((self.now, plan.clone()));
        self.name_server.apply(plan);
    }

    fn probe(&mut self, request: &ProbeRequest) {
        let servers = &self.configuration.topology.servers;
        let of_address = servers.iter().position(|it| it.addresses.contains(&request.address));
        let id = of_address.and_then(|index| u32::try_from(index).ok()).map(ServerId);
        let state = id.and_then(|id| self.states.get(&id));
        let (after, outcome) = match state {
            Some(ServerState::Killed) => {
                (Duration::ZERO, ProbeOutcome::Down("connection refused".to_owned()))
            }
            Some(ServerState::Cut | ServerState::Slow) => {
                (request.timeout, ProbeOutcome::Down("timed out".to_owned()))
            }
            _ => (Duration::ZERO, ProbeOutcome::Up),
        };
        self.probes.push((self.now + after, request.target, outcome));
    }

    /// The next time at which anything happens.
    fn next_event(&self) -> Time {
        let reports = self.reporters.values().map(|reporter| reporter.next);
        let probes = self.probes.iter().map(|(due, ..)| *due);
        let others = [self.controller.next_deadline().0, self.observations.next];
        reports.chain(probes).chain(others).min().unwrap_or(self.now)
    }

    /// Everything that happens at `self.now`, until nothing more does.
    fn happen(&mut self) {
        loop {
            self.carry_out();
            if let Some(at) = self.probes.iter().position(|(due, ..)| *due <= self.now) {
                let (_, target, outcome) = self.probes.remove(at);
                // An outcome that nobody waits for any more is the Controller's to refuse.
                let _ = self.controller.handle(self.now, Input::Probed { target, outcome });
                continue;
            }
            if self.observations.next <= self.now {
                self.observe();
                continue;
            }
            let due = self.reporters.iter().find(|(_, reporter)| reporter.next <= self.now);
            let Some(id) = due.map(|(id, _)| *id) else { return };
            self.report(id);
        }
    }

    /// The name server says which Plan it holds and what it was asked.
    fn observe(&mut self) {
        let director: Name = self.configuration.node.name.clone();
        let held = self.stored.plan.as_ref().map(|plan| plan.number.clone());
        let hello = Input::DirectorHello {
            director: director.clone(),
            plan: held,
            refused: None,
            marks: None,
        };
        let it = &mut self.observations;
        it.sequence += 1;
        let millis = u64::try_from(self.now.since(it.last).as_millis()).unwrap_or(u64::MAX);
        let observation = self.name_server.observe(it.session, it.sequence, millis);
        it.last = self.now;
        it.next = self.now + self.configuration.dns.observe_every;
        // A refusal is counted by the Controller; the name server has nothing to learn from it.
        let _ = self.controller.handle(self.now, hello);
        let _ = self.controller.handle(self.now, Input::Observed { director, observation });
    }

    /// One Reporter's turn.
    fn report(&mut self, id: ServerId) {
        let (Some(reporter), Some(state)) = (self.reporters.get_mut(&id), self.states.get(&id))
        else {
            return;
        };
        reporter.next = self.now + UNIT;
        let Some(body) = body_of(state) else { return };
        let server = self.configuration.topology.servers[id.index()].name.clone();
        reporter.sequence += 1;
        let report = Report {
            server,
            session: reporter.session,
            sequence: reporter.sequence,
            unit_ms: 1000,
            sent_unix_ms: 0,
            version: None,
            body,
            requests: None,
        };
        // A refusal goes to the Reporter, which here has nothing to learn from it.
        let _ = self.controller.handle(self.now, Input::Report(report));
    }

    /// The connection follows the state: closed while killed, a new session after it.
    fn reconnect(&mut self, id: ServerId) {
        let Some(reporter) = self.reporters.get_mut(&id) else { return };
        let server: Name = self.configuration.topology.servers[id.index()].name.clone();
        let killed = matches!(self.states.get(&id), Some(ServerState::Killed));
        let session = reporter.session;
        if killed && reporter.connected {
            reporter.connected = false;
            let _ = self.controller.handle(self.now, Input::ReporterGone { server, session });
        } else if !killed && !reporter.connected {
            reporter.connected = true;
            reporter.session += 1;
            reporter.sequence = 0;
            let session = reporter.session;
            let _ = self.controller.handle(self.now, Input::ReporterHello { server, session });
        }
    }

    fn target(&self, name: &str) -> Result<Target, SystemError> {
        let unknown = || SystemError(format!("there is no server or cluster `{name}`"));
        let parsed: Name = name.parse().map_err(|_| unknown())?;
        if self.topology().server(name).is_some() {
            Ok(Target::Server(parsed))
        } else if self.topology().cluster(name).is_some() {
            Ok(Target::Cluster(parsed))
        } else {
            Err(unknown())
        }
    }

    fn servers_of(&self, name: &str) -> Result<Vec<ServerId>, SystemError> {
        if let Some(id) = self.topology().server(name) {
            return Ok(vec![id]);
        }
        let cluster = self.topology().cluster(name);
        let cluster = cluster.map(|id| self.topology().clusters[id.index()].servers.clone());
        cluster.ok_or_else(|| SystemError(format!("there is no server or cluster `{name}`")))
    }

    fn set_override(
        &mut self,
        target: &str,
        state: OverrideState,
        force: bool,
    ) -> Result<bool, SystemError> {
        let target = self.target(target)?;
        let input = Input::SetOverride { target, state, force, unix_ms: 0, by: None };
        let done = self.controller.handle(self.now, input);
        self.happen();
        match done {
            Ok(()) => Ok(true),
            Err(Refusal::LastUsable { .. }) => Ok(false),
            Err(refusal) => Err(SystemError(refusal.to_string())),
        }
    }
}

impl System for VirtualSystem {
    fn set(&mut self, target: &str, state: &ServerState) -> Result<(), SystemError> {
        for id in self.servers_of(target)? {
            self.states.insert(id, state.clone());
            self.reconnect(id);
            // A change is said at once, as a real Reporter does with PANIC.
            if let Some(reporter) = self.reporters.get_mut(&id) {
                reporter.next = self.now;
            }
        }
        self.happen();
        Ok(())
    }

    fn pass(&mut self, duration: Duration) -> Result<(), SystemError> {
        let end = self.now + duration;
        loop {
            let next = self.next_event().max(self.now);
            if next > end {
                break;
            }
            self.now = next;
            self.happen();
        }
        self.now = end;
        Ok(())
    }

    fn drain(&mut self, target: &str, force: bool) -> Result<bool, SystemError> {
        self.set_override(target, OverrideState::Drained, force)
    }

    fn undrain(&mut self, target: &str) -> Result<(), SystemError> {
        self.set_override(target, OverrideState::None, false).map(|_| ())
    }

    fn reload(&mut self, config: &str) -> Result<bool, SystemError> {
        let file = SourceFile { name: "reload".to_owned(), text: config.to_owned() };
        let context = Context { hostname: "scenario", read: &|_| Err("no files here".to_owned()) };
        let Ok(parsed) = parse(&[file], &context) else { return Ok(false) };
        let next = Arc::new(parsed.configuration);
        let old = std::mem::replace(&mut self.configuration, next.clone());
        self.name_server = NameServer::new(&next, self.seed)?;
        if let Some(plan) = &self.stored.plan {
            self.name_server.apply(plan);
        }
        let id_now =
            |id: &ServerId| next.topology.server(old.topology.servers[id.index()].name.as_str());
        let states = std::mem::take(&mut self.states).into_iter();
        self.states = states.filter_map(|(id, state)| Some((id_now(&id)?, state))).collect();
        let reporters = std::mem::take(&mut self.reporters).into_iter();
        self.reporters = reporters.filter_map(|(id, it)| Some((id_now(&id)?, it))).collect();
        self.add_servers();
        self.controller.reconfigure(self.now, next.clone(), digests(&next));
        self.happen();
        Ok(true)
    }

    fn restart(&mut self) -> Result<(), SystemError> {
        let stored = self.stored.clone();
        self.name_server = NameServer::new(&self.configuration, self.seed)?;
        if let Some(plan) = &stored.plan {
            self.name_server.apply(plan);
        }
        self.probes.clear();
        self.observations = Observations {
            session: self.observations.session + 1,
            sequence: 0,
            last: self.now,
            next: self.now + self.configuration.dns.observe_every,
        };
        self.controller = start_controller(&self.configuration, self.seed, stored, self.now);
        for reporter in self.reporters.values_mut().filter(|reporter| reporter.connected) {
            reporter.connected = false;
            reporter.next = self.now + UNIT;
        }
        let ids: Vec<ServerId> = self.reporters.keys().copied().collect();
        self.happen();
        ids.into_iter().for_each(|id| self.reconnect(id));
        self.happen();
        Ok(())
    }

    fn stop(&mut self, duration: Duration) -> Result<(), SystemError> {
        self.now += duration;
        self.controller.stood_still(self.now);
        // What was sent meanwhile has waited in the sockets.
        for reporter in self.reporters.values_mut() {
            reporter.next = self.now;
        }
        self.happen();
        Ok(())
    }

    fn ask(&mut self, question: &Question) -> Result<Vec<u8>, SystemError> {
        self.name_server.ask(question, self.now)
    }

    fn look(&mut self) -> Result<Seen, SystemError> {
        let status = self.controller.status(self.now, 0);
        let servers = status.servers.iter().map(|server| SeenServer {
            name: server.name.to_string(),
            life: server.condition.life.as_str().to_owned(),
            load: server.condition.load,
        });
        let mut areas = Vec::new();
        for service in &status.services {
            for area in &service.areas {
                let share = |(cluster, share): &(Name, f64)| (cluster.to_string(), *share);
                areas.push(SeenArea {
                    service: service.name.clone(),
                    area: area.name.to_string(),
                    clusters: area.clusters.iter().map(share).collect(),
                    reason: area.reason.clone(),
                });
            }
        }
        Ok(Seen { servers: servers.collect(), areas, notices: self.notices.clone() })
    }
}

pub(crate) fn digests(configuration: &Configuration) -> Digests {
    Digests { configuration: configuration.digest.clone(), ..Digests::default() }
}

fn start_controller(
    configuration: &Arc<Configuration>,
    seed: u64,
    stored: Stored,
    now: Time,
) -> Controller {
    let start = Start {
        configuration: configuration.clone(),
        digests: digests(configuration),
        name: configuration.node.name.clone(),
        seed,
        stored,
        group: None,
    };
    Controller::new(start, now)
}

/// What a Reporter says in a state; `None` is silence.
#[must_use]
pub fn body_of(state: &ServerState) -> Option<ReportBody> {
    match state {
        ServerState::Busy { busy, max } => Some(ReportBody::Statistics(Statistics {
            duration_ms: 1000,
            hits: Some(*busy),
            busy: Some(*busy),
            busy_max: Some(*max),
            ..Statistics::default()
        })),
        ServerState::Slow => body_of(&ServerState::Busy { busy: 0, max: 10 }),
        ServerState::TempFail(reason) => Some(ReportBody::TempFail { reason: reason.clone() }),
        ServerState::Bypass(reason) => Some(ReportBody::Bypass { reason: reason.clone() }),
        ServerState::Panic(reason) => Some(ReportBody::Panic { reason: reason.clone() }),
        ServerState::Silent | ServerState::Killed | ServerState::Cut => None,
    }
}
