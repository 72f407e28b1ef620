//! What Reporters, Controllers and Directors say to each other in a run.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use walrus_core::control::{Input, ProbeOutcome, ProbeRequest, Refusal};
use walrus_core::plan::Plan;
use walrus_core::world::{DomainCount, Name, Report, ReportBody, RequestCounts, Statistics, Time};

use super::agenda::Due;
use super::controller::Wanted;
use super::crowd::nanos;
use super::resolver::Network;
use super::run::Run;
use super::server::Presence;
use super::study::{Link, Messages, Reach};
use crate::system::ServerState;
use crate::virtual_system::body_of;

/// A Plan that got lost is sent again after this.
const PLAN_AGAIN: u64 = 1_000_000_000;

/// A server's Reporter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reporter {
    pub(super) is_there: bool,
    session: u64,
    sequence: u64,
    /// At its last report.
    said_at: u64,
    said_hits: u64,
    said_busy: u64,
}

impl Run<'_> {
    /// Reporters say hello and begin, each at a time of its own; name servers begin to observe.
    pub(super) fn begin_roles(&mut self) {
        let every = self.setup.reports.every;
        for server in 0..self.servers.len() {
            if !self.setup.configuration.topology.servers[server].reporter {
                continue;
            }
            self.connect(server);
            let first = every.mul_f64(self.chance.begin.share());
            self.agenda.put(nanos(first), Due::Report(server));
        }
        let every = nanos(self.setup.configuration.dns.observe_every);
        for director in 0..self.directors.list.len() {
            self.agenda.put(every, Due::Observe(director));
            if self.setup.directors.workers > 1 {
                self.agenda.put(nanos(self.setup.directors.exchange), Due::Exchange(director));
            }
        }
        for controller in 0..self.controllers.list.len() {
            self.poll(controller);
        }
    }

    /// A Reporter's connection opens.
    pub(super) fn connect(&mut self, number: usize) {
        let reporter = &mut self.reporters[number];
        if reporter.is_there || !self.setup.configuration.topology.servers[number].reporter {
            return;
        }
        reporter.is_there = true;
        reporter.session += 1;
        reporter.sequence = 0;
        let session = reporter.session;
        let server = self.server_name(number);
        let hello = Input::ReporterHello { server, session };
        self.tell_all(Messages::Reports, number, Link::default(), &hello);
    }

    /// A Reporter that is there says hello to a Controller that is new.
    pub(super) fn greet(&mut self, server: usize, controller: usize) {
        let Reporter { is_there, session, .. } = self.reporters[server];
        if is_there && !self.is_lost(Messages::Reports, server, controller) {
            let server = self.server_name(server);
            self.arrive(controller, Input::ReporterHello { server, session });
        }
    }

    /// A Reporter's connection closes.
    pub(super) fn disconnect(&mut self, number: usize) {
        let reporter = &mut self.reporters[number];
        if !reporter.is_there {
            return;
        }
        reporter.is_there = false;
        let session = reporter.session;
        let server = self.server_name(number);
        let gone = Input::ReporterGone { server, session };
        self.tell_all(Messages::Reports, number, Link::default(), &gone);
    }

    fn server_name(&self, server: usize) -> Name {
        self.setup.configuration.topology.servers[server].name.clone()
    }

    /// A Reporter's turn.
    pub(super) fn report(&mut self, number: usize) {
        let reports = self.setup.reports;
        self.agenda.put(self.now + nanos(reports.every), Due::Report(number));
        let requests = self.take_requests(number);
        let server = &mut self.servers[number];
        let reporter = &mut self.reporters[number];
        let (length, busy) = (server.length(self.now), server.busy_nanos(self.now));
        let covered = (self.now - reporter.said_at).max(1);
        let utilisation =
            (busy.saturating_sub(reporter.said_busy) as f64 / covered as f64).min(1.0);
        let capacity = self.setup.configuration.topology.servers[number].capacity;
        let in_a_second = capacity.unwrap_or(1.0).max(1.0).round() as u64;
        let truth = ReportBody::Statistics(Statistics {
            duration_ms: covered / 1_000_000,
            cpu_idle: Some(1.0 - utilisation),
            hits: Some(server.hits - reporter.said_hits),
            busy: Some(u64::from(length)),
            busy_max: Some(reports.busy_max.unwrap_or(in_a_second)),
            ..Statistics::default()
        });
        (reporter.said_at, reporter.said_hits, reporter.said_busy) = (self.now, server.hits, busy);
        let body = match &server.says {
            None => Some(truth),
            Some(state) => body_of(state),
        };
        let Some(body) = body.filter(|_| server.presence == Presence::Up && reporter.is_there)
        else {
            return;
        };
        reporter.sequence += 1;
        let (session, sequence) = (reporter.session, reporter.sequence);
        let unit_ms = u64::try_from(reports.every.as_millis()).unwrap_or(u64::MAX);
        let server = self.server_name(number);
        let (sent_unix_ms, version) = (0, None);
        let report =
            Report { server, session, sequence, unit_ms, sent_unix_ms, version, requests, body };
        self.tell_all(Messages::Reports, number, reports.link, &Input::Report(report));
    }

    /// What a server got from each domain since its last report; `None` if that is not counted.
    fn take_requests(&mut self, server: usize) -> Option<RequestCounts> {
        let (heavy, rest) = self.requests.take(server)?;
        let told = heavy.into_iter().map(|heavy| DomainCount {
            domain: self.network(heavy.key).to_string(),
            queries: heavy.count,
            error: heavy.error,
        });
        let domains = told.collect();
        let covered = self.now - self.reporters[server].said_at;
        Some(RequestCounts { duration_ms: (covered / 1_000_000).max(1), domains, rest })
    }

    fn network(&self, domain: u32) -> Network {
        let number = self.resolvers.population_of(domain);
        Network::of(&self.setup.populations[number], domain - self.resolvers.first_domain(number))
    }

    /// A name server's observation, with a hello to the master.
    pub(super) fn observe(&mut self, number: usize) {
        let every = nanos(self.setup.configuration.dns.observe_every);
        self.agenda.put(self.now + every, Due::Observe(number));
        if self.directors.list[number].reach == Reach::Killed {
            return;
        }
        let setup = self.setup;
        let service =
            |number: u32| setup.configuration.topology.services[number as usize].name.to_string();
        let resolvers = &self.resolvers;
        let domain = |domain: u32| {
            let number = resolvers.population_of(domain);
            let population = &setup.populations[number];
            let network = Network::of(population, domain - resolvers.first_domain(number));
            if population.subnet { network.to_string() } else { network.resolver().to_string() }
        };
        let now = Time::from_nanos(self.now);
        let observed = self.directors.observe(number, now, service, domain);
        let Some((director, observation)) = observed else { return };
        if self.directors.list[number].reach == Reach::Cut {
            return;
        }
        self.hello(number);
        let input = Input::Observed { director, observation };
        self.tell_all(Messages::Observations, number, setup.directors.observations, &input);
    }

    /// A name server's workers tell each other what they gave.
    pub(super) fn exchange(&mut self, number: usize) {
        let next = self.now + nanos(self.setup.directors.exchange);
        self.agenda.put(next, Due::Exchange(number));
        self.directors.exchange(number, Time::from_nanos(self.now));
    }

    /// A name server tells the master which Plan it holds.
    pub(super) fn hello(&mut self, number: usize) {
        let (Some(master), Some(name)) = (self.controllers.master, self.directors.name(number))
        else {
            return;
        };
        let plan = self.directors.list[number].held.clone();
        let input =
            Input::DirectorHello { director: name.clone(), plan, refused: None, marks: None };
        let _ = self.tell_controller(master, input);
        self.poll(master);
    }

    /// Tells a Controller something, and counts it if that refuses.
    pub(super) fn tell_controller(&mut self, number: usize, input: Input) -> Result<(), Refusal> {
        let told = self.controllers.tell(number, Time::from_nanos(self.now), input);
        self.measures.roles.refused += u64::from(told.is_err());
        told
    }

    /// Whether the way of messages of a kind is cut, from a server or name server to a Controller.
    fn is_lost(&self, messages: Messages, from: usize, controller: usize) -> bool {
        let some = || !self.cut.is_empty() && self.cut.contains(&(messages, from, controller));
        self.is_cut[messages as usize] || some()
    }

    /// Sends something to all Controllers, from a server or name server.
    fn tell_all(&mut self, messages: Messages, from: usize, link: Link, input: &Input) {
        for controller in 0..self.controllers.list.len() {
            let lost = link.loss > 0.0 && self.chance.messages(messages).share() < link.loss;
            if lost || self.is_lost(messages, from, controller) {
                continue;
            }
            if link.delay == Duration::ZERO {
                self.arrive(controller, input.clone());
            } else {
                let due = Due::Input(controller, Box::new(input.clone()));
                self.agenda.put(self.now + nanos(link.delay), due);
            }
        }
    }

    /// Something comes to a Controller.
    pub(super) fn arrive(&mut self, controller: usize, input: Input) {
        // What a probe found out, a Controller that is cut off found out by itself.
        let reach = self.controllers.list[controller].reach;
        let is_own = matches!(input, Input::Probed { .. });
        if reach == Reach::Well || reach == Reach::Cut && is_own {
            let _ = self.tell_controller(controller, input);
            self.poll(controller);
        }
    }

    /// A Controller's deadline.
    pub(super) fn wake(&mut self, controller: usize) {
        // An older deadline, for which another one came.
        let member = &mut self.controllers.list[controller];
        if member.wake.as_nanos() <= self.now {
            member.wake = Time::from_nanos(u64::MAX);
            self.poll(controller);
        }
    }

    /// Carries out what a Controller wants done.
    pub(super) fn poll(&mut self, controller: usize) {
        if self.controllers.list[controller].reach == Reach::Killed {
            return;
        }
        let mut wanted = VecDeque::new();
        let now = Time::from_nanos(self.now);
        loop {
            let deadline = self.controllers.poll(controller, now, &mut wanted);
            let Some(next) = wanted.pop_front() else {
                let member = &mut self.controllers.list[controller];
                if member.wake != deadline {
                    member.wake = deadline;
                    self.agenda.put(deadline.as_nanos().max(self.now), Due::Wake(controller));
                }
                return;
            };
            match next {
                Wanted::Publish(plan) => {
                    if self.controllers.master == Some(controller) {
                        self.realise(&plan);
                    }
                }
                Wanted::Probe(request) => self.probe(controller, &request),
            }
        }
    }

    /// The master's Plan goes to the name servers.
    pub(super) fn realise(&mut self, plan: &Arc<Plan>) {
        if self.realised.as_ref().is_some_and(|held| held.number == plan.number) {
            return;
        }
        let moves = self.realised.as_ref().map_or(0, |held| moves(held, plan));
        let roles = &mut self.measures.roles;
        roles.plans += 1;
        roles.moves += moves;
        roles.plans_with_moves += u64::from(moves > 0);
        self.realised = Some(Arc::clone(plan));
        (0..self.directors.list.len()).for_each(|director| self.send_plan(director));
    }

    /// The Plan in force goes to one name server.
    pub(super) fn send_plan(&mut self, director: usize) {
        let Some(plan) = self.realised.clone() else { return };
        // Whichever Controller is master.
        if self.is_lost(Messages::Plans, director, 0) {
            return;
        }
        let link = self.setup.directors.plans;
        let mut delay = nanos(link.delay);
        while link.loss > 0.0 && self.chance.messages(Messages::Plans).share() < link.loss {
            delay += PLAN_AGAIN;
        }
        if delay == 0 {
            self.plan_arrives(director, &plan);
        } else {
            self.agenda.put(self.now + delay, Due::Plan(director, plan));
        }
    }

    pub(super) fn plan_arrives(&mut self, director: usize, plan: &Arc<Plan>) {
        if self.directors.list[director].reach != Reach::Well {
            return;
        }
        if let Err(why) = self.directors.apply(director, plan) {
            let text = format!("Plan {} cannot be carried out: {why}", plan.number);
            self.measures.warn(self.now, &text);
        }
    }

    fn probe(&mut self, controller: usize, request: &ProbeRequest) {
        let cut_off = self.controllers.list[controller].reach != Reach::Well;
        let server = self.addresses.get(&request.address).map(|server| &self.servers[*server]);
        let timed_out = || ProbeOutcome::Down("timed out".to_owned());
        let (after, outcome) = match server {
            _ if cut_off => (request.timeout, timed_out()),
            Some(server) if server.presence == Presence::Killed => {
                (Duration::ZERO, ProbeOutcome::Down("connection refused".to_owned()))
            }
            Some(server) if server.presence == Presence::Cut || server.probes_fail => {
                (request.timeout, timed_out())
            }
            _ => (Duration::ZERO, ProbeOutcome::Up),
        };
        let input = Input::Probed { target: request.target, outcome };
        self.agenda.put(self.now + nanos(after), Due::Input(controller, Box::new(input)));
    }

    /// Controllers agree on a master, who hears from the name servers and realises its Plan.
    pub(super) fn elect(&mut self) {
        let elected = self.controllers.elect(Time::from_nanos(self.now));
        if elected == self.controllers.master {
            return;
        }
        self.controllers.master = elected;
        for director in 0..self.directors.list.len() {
            if self.directors.list[director].reach == Reach::Well {
                self.hello(director);
            }
        }
        if let Some(plan) = elected.and_then(|it| self.controllers.plan(it)).cloned() {
            self.realise(&plan);
        }
    }
}

/// How many (service, area) point elsewhere than before.
fn moves(old: &Plan, new: &Plan) -> u64 {
    let mut moves = 0;
    for service in &new.services {
        let Some(before) = old.services.iter().find(|it| it.name == service.name) else { continue };
        for area in &service.areas {
            let Some(before) = before.areas.iter().find(|it| it.area == area.area) else {
                continue;
            };
            let points = |clusters: &[(Name, f64)]| clusters.first().map(|(name, _)| name.clone());
            moves += u64::from(points(&before.clusters) != points(&area.clusters));
        }
    }
    moves
}

/// A server's state from the time line, as far as it shows in its Reporter and probes.
pub(super) const fn says_the_truth(state: &ServerState) -> bool {
    matches!(state, ServerState::Killed | ServerState::Cut | ServerState::Slow)
}
