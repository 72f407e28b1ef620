//! A run: the loop over events.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use walrus_core::plan::Plan;
use walrus_core::world::Generator;

use super::agenda::{Agenda, Due};
use super::answers::Answers;
use super::chance::Chance;
use super::controller::Controllers;
use super::crowd::{Crowd, Nearest, nanos};
use super::director::Directors;
use super::measures::Measures;
use super::queue::{Queue, Step, Waits};
use super::requests::Requests;
use super::resolver::Resolvers;
use super::result::{Progress, RunResult, SimulationError};
use super::roles::Reporter;
use super::server::Server;
use super::study::{Messages, Setup, Study};
use crate::system::SystemError;

/// So many events pass between two calls of `tell`.
const TOLD_EVERY: u64 = 1 << 16;

/// Runs one variant of a study with one seed. `tell` is called now and then, and may stop it. Inputs are
/// only read, so that several runs can go on side by side.
///
/// # Errors
/// If `tell` stops it, there is no such variant, or something grows beyond its bound.
pub fn simulate(
    study: &Study,
    variant: usize,
    seed: u64,
    tell: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<RunResult, SimulationError> {
    let setup = study.setup(variant).ok_or(SimulationError::NoVariant(variant))?;
    let run = Run::new(setup, seed).map_err(|SystemError(why)| SimulationError::System(why))?;
    run.go(tell)
}

/// Everything that stands and happens.
pub(super) struct Run<'a> {
    pub(super) setup: &'a Setup,
    seed: u64,
    /// Nanoseconds since the start.
    pub(super) now: u64,
    /// Clients.
    pub(super) queue: Queue,
    pub(super) waits: Waits,
    /// Everything else.
    pub(super) agenda: Agenda,
    pub(super) crowds: Vec<Crowd>,
    pub(super) resolvers: Resolvers,
    pub(super) nearest: Nearest,
    pub(super) answers: Answers,
    pub(super) servers: Vec<Server>,
    /// By server: its cluster.
    pub(super) clusters: Box<[usize]>,
    pub(super) addresses: BTreeMap<IpAddr, usize>,
    pub(super) reporters: Vec<Reporter>,
    pub(super) requests: Requests,
    pub(super) directors: Directors,
    pub(super) controllers: Controllers,
    /// The last Plan that a master published.
    pub(super) realised: Option<Arc<Plan>>,
    /// By kind of messages: all get lost.
    pub(super) is_cut: [bool; 3],
    /// Those that get lost of a server or name server (Plans: to it), and to which Controller.
    pub(super) cut: BTreeSet<(Messages, usize, usize)>,
    pub(super) chance: Chance,
    pub(super) measures: Measures,
    events: u64,
}

impl<'a> Run<'a> {
    fn new(setup: &'a Setup, seed: u64) -> Result<Self, SystemError> {
        let topology = &setup.configuration.topology;
        let mut seeds = Generator::new(seed);
        let chance = Chance::new(&mut seeds, setup.populations.len());
        let nearest = Nearest::new(setup)?;
        let resolvers = Resolvers::new(
            &setup.populations,
            nearest.by_domain(),
            setup.name_servers.len(),
            seeds.draw(),
        );
        let mut addresses = BTreeMap::new();
        for (place, server) in topology.servers.iter().enumerate() {
            addresses.extend(server.addresses.iter().map(|address| (*address, place)));
        }
        let crowds: Result<Vec<Crowd>, SystemError> =
            setup.populations.iter().map(|population| Crowd::new(population, setup)).collect();
        let requests =
            Requests::new(setup.reports.requests, topology.servers.len(), resolvers.domains());
        Ok(Self {
            setup,
            seed,
            now: 0,
            queue: Queue::new(
                setup.events_per_second(),
                nanos(setup.duration),
                setup.changes_speed(),
            ),
            waits: Waits::default(),
            agenda: Agenda::default(),
            crowds: crowds?,
            answers: Answers::new(
                addresses.iter().map(|(address, place)| (*address, *place as u16)),
            ),
            servers: topology
                .servers
                .iter()
                .map(|server| Server::new(server.capacity.unwrap_or(1.0)))
                .collect(),
            clusters: topology.servers.iter().map(|server| server.cluster.index()).collect(),
            addresses,
            reporters: vec![Reporter::default(); topology.servers.len()],
            requests,
            directors: Directors::new(setup, seeds.draw())?,
            controllers: Controllers::new(&setup.configuration, setup.controllers, seeds.draw())?,
            realised: None,
            is_cut: [false; 3],
            cut: BTreeSet::new(),
            chance,
            measures: Measures::new(topology.servers.len(), setup.populations.len()),
            events: 0,
            resolvers,
            nearest,
        })
    }

    fn go(
        mut self,
        tell: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<RunResult, SimulationError> {
        let setup = self.setup;
        let begin = nanos(setup.discard);
        self.agenda.put(begin, Due::Begin);
        for (time, due) in [
            (setup.window, Due::Window),
            (setup.sample, Due::Sample),
            (setup.interval, Due::Interval),
        ] {
            self.agenda.put(begin + nanos(time), due);
        }
        for (place, happening) in setup.timeline.iter().enumerate() {
            self.agenda.put(happening.at.as_nanos(), Due::Deed(place));
        }
        self.begin_roles();
        self.populate()?;
        let end = nanos(setup.duration);
        let mut told = 0;
        loop {
            let (agenda, queue) = (self.agenda.next_time(), self.queue.next_time());
            let next = agenda.min(queue);
            if next > end {
                break;
            }
            self.now = next;
            self.events += 1;
            if self.events >= told {
                told = self.events + TOLD_EVERY;
                self.tell(tell)?;
            }
            if agenda <= queue {
                self.carry_out()?;
                continue;
            }
            self.resolvers.look_ahead(self.queue.upcoming());
            if let Some(entry) = self.queue.pop() {
                match entry.step {
                    Step::Click => self.click(entry)?,
                    Step::Call => self.call_after_wait(entry)?,
                    Step::Session => self.begin_session(entry)?,
                }
            }
        }
        self.now = end;
        self.tell(tell)?;
        let mut never = self.resolvers.never_near();
        for (never, crowd) in never.iter_mut().zip(&self.crowds) {
            // Where nobody knows which is nearest, nobody misses it.
            *never *= u64::from(crowd.nearest_name_servers != 0);
        }
        Ok(self.measures.finish(setup, self.seed, self.events, &never))
    }

    fn tell(
        &self,
        tell: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), SimulationError> {
        let simulated = Duration::from_nanos(self.now);
        let progress = Progress { simulated, duration: self.setup.duration, events: self.events };
        match tell(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(SimulationError::Stopped(simulated)),
        }
    }

    /// What is due besides clients.
    fn carry_out(&mut self) -> Result<(), SimulationError> {
        let (now, setup) = (self.now, self.setup);
        let Some(due) = self.agenda.pop() else { return Ok(()) };
        match due {
            Due::Begin => self.measures.begin(now, &self.servers),
            Due::Window => {
                self.measures.window(now, setup.window, &self.servers);
                self.agenda.put(now + nanos(setup.window), Due::Window);
            }
            Due::Sample => {
                self.measures.sample(now, &mut self.servers);
                self.agenda.put(now + nanos(setup.sample), Due::Sample);
            }
            Due::Interval => {
                self.measures.interval(now, setup.interval, &self.servers);
                self.agenda.put(now + nanos(setup.interval), Due::Interval);
            }
            Due::Wake(controller) => self.wake(controller),
            Due::Report(server) => self.report(server),
            Due::Observe(director) => self.observe(director),
            Due::Exchange(director) => self.exchange(director),
            Due::Deed(place) => return self.happen(place),
            Due::Swell(population) => return self.swell(population),
            Due::Elect => self.elect(),
            Due::Plan(director, plan) => self.plan_arrives(director, &plan),
            Due::Input(controller, input) => self.arrive(controller, *input),
        }
        Ok(())
    }
}
