//! Name servers: the shipped answer path with real queries, a state for each worker, and observations.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use walrus_core::answer::{
    AnswerTable, Counters, Outcome, PlanCompileError, Positions, Request, ServerOptions, Transport,
    WorkerState, respond, respond_completely,
};
use walrus_core::config::Configuration;
use walrus_core::plan::{Plan, PlanNumber};
use walrus_core::policy::choose::Exchange;
use walrus_core::world::{DomainCount, Generator, Name, Observation, ServiceCounts, Time};

use super::heaviest::Heaviest;
use super::study::{Reach, Setup};
use crate::system::SystemError;

/// All name servers.
#[derive(Debug)]
pub(super) struct Directors {
    pub(super) list: Vec<Director>,
    /// The last Plans' tables: name servers that hold the same Plan share one.
    compiled: Vec<(PlanNumber, Arc<AnswerTable>)>,
    empty: Arc<AnswerTable>,
    udp_size_max: u16,
    reply: Vec<u8>,
    /// Domains that an observation tells.
    domains_max: usize,
    /// Counts domains as a Director does, with twice as many places as it tells.
    heaviest: Heaviest,
}

/// Tables of so many Plans are kept for those that get them late.
const COMPILED_MAX: usize = 4;
/// Questions that are remembered for an observation: beyond, they count as the rest.
const ASKED_MAX: usize = 1_000_000;

/// One name server.
#[derive(Debug)]
pub(super) struct Director {
    name: Name,
    address: SocketAddr,
    pub(super) reach: Reach,
    table: Arc<AnswerTable>,
    pub(super) held: Option<PlanNumber>,
    workers: Vec<WorkerState>,
    /// Where they tell each other what they gave.
    exchange: Exchange,
    counted: BTreeMap<String, Counted>,
    /// The domain of each question since the last observation, with its population's service.
    asked: Vec<(u32, u32)>,
    /// Questions beyond those that are remembered, by service.
    beyond: BTreeMap<u32, u64>,
    session: u64,
    sequence: u64,
    observed_at: Time,
}

/// What the workers counted for one service.
#[derive(Debug, Default)]
struct Counted {
    areas: BTreeMap<Name, u64>,
    servers: BTreeMap<Name, u64>,
}

/// A resolver's question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) query: &'a [u8],
    pub(super) resolver: IpAddr,
    pub(super) now: Time,
    /// The population's service and the domain it counts for.
    pub(super) counts_for: (u32, u32),
}

impl Directors {
    pub(super) fn new(setup: &Setup, seed: u64) -> Result<Self, SystemError> {
        let configuration = &setup.configuration;
        let empty = Arc::new(crate::name_server::table_without_plan(configuration)?);
        let mut generator = Generator::new(seed);
        let mut list = Vec::new();
        for (number, server) in setup.name_servers.iter().enumerate() {
            let name = format!("director-{}", number + 1);
            let name = name.parse().map_err(|_| SystemError(format!("`{name}` is no name")))?;
            let worker = |_| WorkerState::new(generator.draw(), &empty);
            list.push(Director {
                name,
                address: server.address,
                reach: Reach::Well,
                table: Arc::clone(&empty),
                held: None,
                workers: (0..setup.directors.workers).map(worker).collect(),
                exchange: Exchange::new(setup.directors.workers),
                counted: BTreeMap::new(),
                asked: Vec::new(),
                beyond: BTreeMap::new(),
                session: 1,
                sequence: 0,
                observed_at: Time::ZERO,
            });
        }
        Ok(Self {
            list,
            compiled: Vec::new(),
            empty,
            udp_size_max: configuration.dns.udp_size_max,
            reply: vec![0; usize::from(configuration.dns.udp_size_max).max(512)],
            domains_max: configuration.dns.observe_domains,
            heaviest: Heaviest::new(configuration.dns.observe_domains.saturating_mul(2)),
        })
    }

    /// Answers a question; the reply's bytes, `None` if there is no reply.
    #[inline]
    pub(super) fn answer(
        &mut self,
        number: usize,
        question: &Question<'_>,
        generator: &mut Generator,
    ) -> Option<&[u8]> {
        let director = self.list.get_mut(number)?;
        let worker = match director.workers.len() {
            1 => 0,
            many => generator.index(many as u32).0 as usize,
        };
        let worker = director.workers.get_mut(worker)?;
        let request = Request {
            query: question.query,
            client: question.resolver,
            local: director.address,
            transport: Transport::Udp,
            now: question.now,
            unix_secs: 0,
            udp_size_max: self.udp_size_max,
            server: ServerOptions::SILENT,
        };
        let outcome = match respond(&director.table, worker, &request, &mut self.reply) {
            Outcome::NotUnderstood => {
                respond_completely(&director.table, worker, &request, &mut self.reply)
            }
            outcome => outcome,
        };
        if director.asked.len() < ASKED_MAX {
            director.asked.push(question.counts_for);
        } else {
            *director.beyond.entry(question.counts_for.0).or_default() += 1;
        }
        match outcome {
            Outcome::Reply(len) => self.reply.get(..len),
            Outcome::Drop | Outcome::NotUnderstood => None,
        }
    }

    /// A Plan arrives. One with a lower number than the one in force, or damaged, changes nothing.
    pub(super) fn apply(
        &mut self,
        number: usize,
        plan: &Arc<Plan>,
    ) -> Result<(), PlanCompileError> {
        let Some(director) = self.list.get_mut(number) else { return Ok(()) };
        if director.held.as_ref().is_some_and(|held| *held >= plan.number) {
            return Ok(());
        }
        let known = self.compiled.iter().find(|(number, _)| *number == plan.number);
        let table = match known {
            Some((_, table)) => Arc::clone(table),
            None => {
                let table = Arc::new(director.table.with_plan(Arc::clone(plan))?);
                if self.compiled.len() == COMPILED_MAX {
                    self.compiled.remove(0);
                }
                self.compiled.push((plan.number.clone(), Arc::clone(&table)));
                table
            }
        };
        director.held = Some(plan.number.clone());
        director.take_over(table);
        Ok(())
    }

    /// Answers by another configuration from now on, each from the Plan that it holds.
    pub(super) fn reconfigure(&mut self, configuration: &Configuration) -> Result<(), SystemError> {
        self.empty = Arc::new(crate::name_server::table_without_plan(configuration)?);
        self.compiled.clear();
        for director in &mut self.list {
            let table = match director.table.plan() {
                Some(plan) => self.empty.with_plan(Arc::clone(plan)).map(Arc::new),
                None => Ok(Arc::clone(&self.empty)),
            };
            // A Plan that the configuration cannot carry out is as good as none until the next one.
            director.take_over(table.unwrap_or_else(|_| Arc::clone(&self.empty)));
        }
        Ok(())
    }

    /// Starts anew, without a Plan: a simulated name server has no disk.
    pub(super) fn restart(&mut self, number: usize, now: Time) {
        let Some(director) = self.list.get_mut(number) else { return };
        director.held = None;
        director.take_over(Arc::clone(&self.empty));
        director.counted.clear();
        director.asked.clear();
        director.beyond.clear();
        director.exchange = Exchange::new(director.workers.len());
        director.session += 1;
        director.sequence = 0;
        director.observed_at = now;
    }

    /// Its workers tell each other what they gave, as the threads of a Director do.
    pub(super) fn exchange(&mut self, number: usize, now: Time) {
        let Some(director) = self.list.get_mut(number) else { return };
        for (place, worker) in director.workers.iter_mut().enumerate() {
            let mut told = director.table.telling();
            worker.tell(now, &mut told);
            director.exchange.tell(place, told);
        }
        for (place, worker) in director.workers.iter_mut().enumerate() {
            let inputs = director.table.choose_inputs().flatten();
            worker.hear(&director.exchange.hear(place, inputs, now));
        }
    }

    /// What it saw since the last time, in the words of a Director. `service` gives the text of a
    /// service's name, `domain` that of a domain.
    pub(super) fn observe(
        &mut self,
        number: usize,
        now: Time,
        service: impl Fn(u32) -> String,
        domain: impl Fn(u32) -> String,
    ) -> Option<(Name, Observation)> {
        let director = self.list.get_mut(number)?;
        let table = Arc::clone(&director.table);
        director.count_workers(&table);
        let mut services: BTreeMap<String, ServiceCounts> = BTreeMap::new();
        for (name, counted) in std::mem::take(&mut director.counted) {
            let counts = ServiceCounts {
                service: name.clone(),
                areas: counted.areas.into_iter().collect(),
                servers: counted.servers.into_iter().collect(),
                ..ServiceCounts::default()
            };
            services.insert(name, counts);
        }
        // In the order in which they came, which decides who is counted if there are many.
        let mut asked = std::mem::take(&mut director.asked);
        asked.sort_by_key(|(service, _)| *service);
        let beyond = std::mem::take(&mut director.beyond);
        for of_service in asked.chunk_by(|one, other| one.0 == other.0) {
            let Some(number) = of_service.first().map(|asked| asked.0) else { continue };
            let Some(counts) = services.get_mut(&service(number)) else { continue };
            of_service.iter().for_each(|(_, domain)| self.heaviest.add(*domain));
            let (heavy, rest) = self.heaviest.take(self.domains_max);
            counts.rest = rest + beyond.get(&number).copied().unwrap_or_default();
            let told = heavy.into_iter().map(|heavy| DomainCount {
                domain: domain(heavy.key),
                queries: heavy.count,
                error: heavy.error,
            });
            counts.domains = told.collect();
        }
        asked.clear();
        director.asked = asked;
        director.sequence += 1;
        let millis = u64::try_from(now.since(director.observed_at).as_millis()).unwrap_or(u64::MAX);
        director.observed_at = now;
        let observation = Observation {
            session: director.session,
            sequence: director.sequence,
            duration_ms: millis,
            services: services.into_values().collect(),
        };
        Some((director.name.clone(), observation))
    }

    /// Its name as it tells Controllers.
    pub(super) fn name(&self, number: usize) -> Option<&Name> {
        self.list.get(number).map(|director| &director.name)
    }
}

impl Director {
    fn take_over(&mut self, table: Arc<AnswerTable>) {
        let old = std::mem::replace(&mut self.table, table);
        let mut counted = Vec::new();
        for worker in &mut self.workers {
            let positions = Positions::for_table(&self.table);
            let (_, counters) = worker.adopt(positions, Counters::for_table(&self.table));
            counted.push(counters);
        }
        counted.iter().for_each(|counters| self.count(&old, counters));
    }

    fn count_workers(&mut self, table: &AnswerTable) {
        let take = |worker: &mut WorkerState| worker.take_counters(Counters::for_table(table));
        let counted: Vec<Counters> = self.workers.iter_mut().map(take).collect();
        counted.iter().for_each(|counters| self.count(table, counters));
    }

    /// Adds what was counted under a table.
    fn count(&mut self, table: &AnswerTable, counters: &Counters) {
        for (number, service) in (0_u32..).zip(table.services()) {
            let areas = table.areas().iter().zip(counters.areas(number));
            let mut areas = areas.filter(|(_, count)| **count > 0).peekable();
            if areas.peek().is_none() {
                continue;
            }
            let counted = self.counted.entry(service.to_string()).or_default();
            for (area, count) in areas {
                *counted.areas.entry(area.clone()).or_default() += count;
            }
            let servers = table.plan().map_or(&[][..], |plan| &plan.servers);
            for (place, count) in counters.servers(number) {
                if let Some(server) = servers.get(place as usize) {
                    *counted.servers.entry(server.name.clone()).or_default() += count;
                }
            }
        }
    }
}
