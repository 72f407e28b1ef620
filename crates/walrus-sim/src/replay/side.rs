//! One configuration in the World of the replay: it decides, compiles and answers by the very code
//! that serves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use walrus_core::answer::{
    AnswerTable, Counters, Decision, Outcome, PlanCompileError, Positions, Request, ServerOptions,
    ServiceDecision, Transport, WorkerState, ZoneTable, respond, respond_completely,
};
use walrus_core::map::Map;
use walrus_core::plan::{Cause, DecideInput, Digests, Memory, Plan, PlanNumber, build, decide};
use walrus_core::world::{Name, ServiceType, Time, Topology};

use super::asked::Asked;
use super::names::{Choice, Names, Place};
use super::world::Snapshot;

/// How long before its one decision a World's Plan is taken to have been made: longer than any TTL
/// that balancing would wait for, so that every phase may act.
const STOOD_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Ways home that go by shares are followed to their end, in so many steps at most.
const WAYS_MAX: u32 = 64;

/// A configuration as it was read.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// What stands where.
    pub topology: Arc<Topology>,
    /// Client prefix to area.
    pub map: Arc<Map>,
    /// Static names and the names of services.
    pub zones: Arc<ZoneTable>,
    /// What it is named by.
    pub digests: Digests,
    /// The address that is asked, where a log does not say.
    pub listen: SocketAddr,
    /// The most bytes of a reply by UDP.
    pub udp_size_max: u16,
}

/// Where the decisions of a configuration stand.
#[derive(Debug)]
pub(super) struct Side {
    proposal: Proposal,
    memory: Memory,
    plan: Arc<Plan>,
    table: AnswerTable,
    worker: WorkerState,
    /// By the place in the Plan's servers.
    places: Vec<Place>,
    /// What the clients of a service in an area are answered with, under this Plan.
    expected: BTreeMap<(u32, u32, usize), Choice>,
    reply: Vec<u8>,
}

/// What one query came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) rcode: u16,
    /// The service, the client's area and who answers; `None` for any other name.
    pub(super) service: Option<(u32, u32, Choice)>,
}

impl Side {
    /// In the World of one moment: one round is decided, and ways home are gone to their end.
    pub(super) fn at(
        proposal: Proposal,
        snapshot: &Snapshot,
        names: &mut Names,
    ) -> Result<Self, PlanCompileError> {
        let topology = &proposal.topology;
        let memory = snapshot
            .plan
            .as_ref()
            .map_or_else(Memory::default, |plan| Memory::from_plan(topology, plan, Time::ZERO));
        let mut now = Time::ZERO + STOOD_FOR;
        let mut draft = Draft { memory, plan: None };
        draft.decide(&proposal, snapshot, now, Cause::Round);
        for _ in 0..WAYS_MAX {
            if draft.memory.assign.next_step(&proposal.topology).is_none() {
                break;
            }
            now += STOOD_FOR;
            draft.decide(&proposal, snapshot, now, Cause::Event);
        }
        Self::new(proposal, snapshot, draft, names)
    }

    /// In the World of a journal's record, with what was remembered then, in the terms of the
    /// topology that it was written under.
    pub(super) fn in_journal(
        proposal: Proposal,
        (snapshot, memory, old): (&Snapshot, &Memory, &Topology),
        (now, cause): (Time, Cause),
        names: &mut Names,
    ) -> Result<Self, PlanCompileError> {
        let memory = memory.carry(old, &proposal.topology);
        let mut draft = Draft { memory, plan: None };
        draft.decide(&proposal, snapshot, now, cause);
        Self::new(proposal, snapshot, draft, names)
    }

    fn new(
        proposal: Proposal,
        snapshot: &Snapshot,
        draft: Draft,
        names: &mut Names,
    ) -> Result<Self, PlanCompileError> {
        let Draft { memory, plan } = draft;
        let plan = Arc::new(plan.unwrap_or_else(|| no_plan(&proposal)));
        let table = fresh_table(&proposal, snapshot).with_plan(Arc::clone(&plan))?;
        let worker = WorkerState::new(0, &table);
        let places = places(&plan, names);
        let (expected, reply) = (BTreeMap::new(), vec![0; 65_535]);
        Ok(Self { proposal, memory, plan, table, worker, places, expected, reply })
    }

    /// Decides again in another World; the table follows with [`Self::compile`].
    pub(super) fn decide(&mut self, snapshot: &Snapshot, now: Time, cause: Cause) {
        let mut draft = Draft { memory: std::mem::take(&mut self.memory), plan: None };
        draft.decide(&self.proposal, snapshot, now, cause);
        self.memory = draft.memory;
        if let Some(plan) = draft.plan {
            self.plan = Arc::new(plan);
        }
    }

    /// Another Controller goes on, or the same one after a restart: it knows what the last Plan tells,
    /// and counts its time anew.
    pub(super) fn restart(&mut self, now: Time) {
        self.memory = Memory::from_plan(&self.proposal.topology, &self.plan, now);
    }

    /// Forgets choices, as their distributions are forgotten.
    pub(super) fn forget_choices(&mut self) {
        self.expected.clear();
    }

    /// Answers from what was decided last.
    pub(super) fn compile(
        &mut self,
        snapshot: &Snapshot,
        names: &mut Names,
    ) -> Result<(), PlanCompileError> {
        // Outside names may have other addresses now; else what did not change is shared.
        let aliases = snapshot.resolved(&self.proposal.topology).is_some();
        let fresh = aliases.then(|| fresh_table(&self.proposal, snapshot));
        self.table = fresh.as_ref().unwrap_or(&self.table).with_plan(Arc::clone(&self.plan))?;
        let positions = Positions::for_table(&self.table);
        let _ = self.worker.adopt(positions, Counters::for_table(&self.table));
        self.places = places(&self.plan, names);
        self.expected.clear();
        Ok(())
    }

    /// What stands where.
    pub(super) fn topology(&self) -> &Topology {
        &self.proposal.topology
    }

    /// Answers a query.
    pub(super) fn ask(&mut self, asked: &Asked, query: &[u8], names: &mut Names) -> Answered {
        let request = Request {
            query,
            client: asked.resolver,
            local: self.local(asked),
            transport: if asked.is_udp { Transport::Udp } else { Transport::Tcp },
            now: Time::from_millis(asked.unix_ms),
            unix_secs: 0,
            udp_size_max: self.proposal.udp_size_max,
            server: ServerOptions::SILENT,
        };
        let mut outcome = respond(&self.table, &mut self.worker, &request, &mut self.reply);
        if outcome == Outcome::NotUnderstood {
            outcome = respond_completely(&self.table, &mut self.worker, &request, &mut self.reply);
        }
        let Decision { rcode, service, .. } = *self.worker.decision();
        let service = service.filter(|_| matches!(outcome, Outcome::Reply(_)));
        let service = service.and_then(|decided| self.answered(asked, &decided, names));
        Answered { rcode, service }
    }

    /// The address that was asked: as the log says; else that which clients of the area are expected
    /// to ask.
    fn local(&self, asked: &Asked) -> SocketAddr {
        let area = || {
            let recorded = asked.recorded.as_ref()?.area.as_deref()?;
            let topology = &self.proposal.topology;
            topology.areas[topology.area(recorded)?.index()].nameservers.first().copied()
        };
        asked.local.or_else(area).unwrap_or(self.proposal.listen)
    }

    fn answered(
        &mut self,
        asked: &Asked,
        decided: &ServiceDecision,
        names: &mut Names,
    ) -> Option<(u32, u32, Choice)> {
        let service_type = ServiceType::of(asked.record_type)?;
        let area = decided.area?;
        let service = names.service(self.table.services().get(decided.service as usize)?);
        let area_id = names.area(self.table.area_name(area)?.as_str());
        let key = (decided.service, area.0, service_type.index());
        if let Some(choice) = self.expected.get(&key) {
            return Some((service, area_id, *choice));
        }
        let list = self.table.list_of(decided.service, area, service_type);
        let Some(shares) = list.map_or_else(|| Some(Vec::new()), |list| list.expected()) else {
            // It depends on who asks or on what was answered before: this one answer stands.
            let first = decided.first.and_then(|first| self.places.get(first as usize));
            return Some((service, area_id, first.map_or(Choice::Nobody, |it| Choice::Drawn(*it))));
        };
        let place = |(server, share): (u32, f64)| Some((*self.places.get(server as usize)?, share));
        let shares = shares.into_iter().filter_map(place).collect();
        let choice = names.choice(shares);
        self.expected.insert(key, choice);
        Some((service, area_id, choice))
    }
}

/// Decisions on their way.
struct Draft {
    memory: Memory,
    plan: Option<Plan>,
}

impl Draft {
    fn decide(&mut self, proposal: &Proposal, snapshot: &Snapshot, now: Time, cause: Cause) {
        let resolved = snapshot.resolved(&proposal.topology);
        let topology = resolved.as_ref().unwrap_or(&proposal.topology);
        let conditions = snapshot.conditions(topology);
        let decision = decide(&DecideInput {
            topology,
            conditions: &conditions,
            area_hits: &snapshot.area_hits(topology),
            memory: &self.memory,
            now,
            cause,
        });
        let digests = proposal.digests.clone();
        let plan = build(topology, &conditions, &decision, number(), digests);
        self.plan = Some(plan.with_demand(&snapshot.demand));
        self.memory = decision.memory;
    }
}

/// Nobody compares the numbers of these Plans.
fn number() -> PlanNumber {
    let controller: Name = "replay".parse().unwrap_or_else(|_| unreachable!("letters make a name"));
    PlanNumber { epoch: 1, controller, sequence: 1 }
}

fn no_plan(proposal: &Proposal) -> Plan {
    Plan {
        format: walrus_core::plan::FORMAT,
        number: number(),
        digests: proposal.digests.clone(),
        servers: Vec::new(),
        lists: Vec::new(),
        services: Vec::new(),
    }
}

fn fresh_table(proposal: &Proposal, snapshot: &Snapshot) -> AnswerTable {
    let resolved = snapshot.resolved(&proposal.topology);
    let topology = resolved.as_ref().unwrap_or(&proposal.topology);
    AnswerTable::new(Arc::clone(&proposal.zones), Arc::clone(&proposal.map), topology)
}

fn places(plan: &Plan, names: &mut Names) -> Vec<Place> {
    let servers = plan.servers.iter();
    servers.map(|it| names.place(it.name.as_str(), it.cluster.as_str())).collect()
}
