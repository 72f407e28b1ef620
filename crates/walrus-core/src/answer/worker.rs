//! What belongs to one answering thread: its random state, what its policies remember, its counts.
//!
//! Everything has its full size before it is used: answering neither allocates nor locks.

use std::sync::Arc;

use super::request::Decision;
use super::table::{AnswerTable, Layout};
use crate::policy::choose::{ServiceMemory, Told};
use crate::world::{AreaId, Generator, Time};

/// One answering thread's own state.
#[derive(Clone, Debug)]
pub struct WorkerState {
    pub(super) generator: Generator,
    pub(super) positions: Positions,
    pub(super) counters: Counters,
    pub(super) decision: Decision,
}

impl WorkerState {
    /// A worker for a table. The same seed gives the same answers to the same queries.
    #[must_use]
    pub fn new(seed: u64, table: &AnswerTable) -> Self {
        Self {
            generator: Generator::new(seed),
            positions: Positions::for_table(table),
            counters: Counters::for_table(table),
            decision: Decision::default(),
        }
    }

    /// Goes over to another table without allocating: `positions` and `counters` were made for it
    /// elsewhere; the old ones come back, the counts to be told. Round robin goes on where it was.
    #[must_use]
    pub fn adopt(&mut self, positions: Positions, counters: Counters) -> (Positions, Counters) {
        let mut old = std::mem::replace(&mut self.positions, positions);
        let new = &mut self.positions;
        for (from, to, len) in new.layout.kept_positions(&old.layout) {
            new.positions[to..to + len].copy_from_slice(&old.positions[from..from + len]);
        }
        carry_over(&mut new.memories, &mut old.memories);
        (old, std::mem::replace(&mut self.counters, counters))
    }

    /// Takes the counts and goes on with `fresh` ones, made for the same table.
    #[must_use]
    pub const fn take_counters(&mut self, fresh: Counters) -> Counters {
        std::mem::replace(&mut self.counters, fresh)
    }

    /// Writes down what was given, for the other workers: `told` was made for the same table
    /// elsewhere ([`AnswerTable::telling`]). Nothing is allocated.
    pub fn tell(&mut self, now: Time, told: &mut [Told]) {
        let mut next = 0;
        for told in told {
            let is_it = |memory: &ServiceMemory| memory.is_of_service(told.inputs());
            if let Some(at) = find_from(&self.positions.memories, next, is_it) {
                self.positions.memories[at].tell(now, told);
                next = at + 1;
            }
        }
    }

    /// Takes in what all other workers told together. Nothing is allocated.
    pub fn hear(&mut self, told: &[Told]) {
        let mut next = 0;
        for told in told {
            let is_it = |memory: &ServiceMemory| memory.is_of_service(told.inputs());
            if let Some(at) = find_from(&self.positions.memories, next, is_it) {
                self.positions.memories[at].hear(told);
                next = at + 1;
            }
        }
    }

    /// Goes on from what another worker, of this table or an earlier one, remembers: for explaining.
    pub fn know(&mut self, other: &Self) {
        carry_over(&mut self.positions.memories, &mut other.positions.clone().memories);
    }

    /// The counts so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What decided the last reply.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }
}

/// What policies remember: where round robin is in each ring, and what was given to each server.
#[derive(Clone, Debug)]
pub struct Positions {
    layout: Arc<Layout>,
    /// Two a ring: for normal domains and for hot ones.
    positions: Box<[[u32; 2]]>,
    /// By service.
    memories: Box<[ServiceMemory]>,
}

impl Positions {
    /// At the start of every ring, with nothing remembered.
    #[must_use]
    pub fn for_table(table: &AnswerTable) -> Self {
        let layout = Arc::clone(table.layout());
        let positions = vec![[0; 2]; layout.positions()].into();
        let memories = table
            .choose_inputs()
            .map(|inputs| inputs.map_or_else(ServiceMemory::nothing, ServiceMemory::new));
        Self { layout, positions, memories: memories.collect() }
    }

    /// The positions of a service's list, and the service's memory; empty if they were made for
    /// another table.
    #[inline]
    pub(super) fn of(
        &mut self,
        service: u32,
        list: u32,
    ) -> (&mut [[u32; 2]], Option<&mut ServiceMemory>) {
        let at = self.layout.positions_at(service, list);
        let positions = self.positions.get_mut(at..).unwrap_or_default();
        (positions, self.memories.get_mut(service as usize))
    }
}

/// Each service's memory from where it was.
fn carry_over(new: &mut [ServiceMemory], old: &mut [ServiceMemory]) {
    let mut next = 0;
    for memory in new.iter_mut().filter(|memory| !memory.is_nothing()) {
        let is_it = |old: &ServiceMemory| old.is_of_service(memory.inputs());
        if let Some(at) = find_from(old, next, is_it) {
            memory.carry_over(&mut old[at]);
            next = at + 1;
        }
    }
}

/// The first that is it, from here on and then from the begin: what is looked for in the order in which
/// it stands is found at once.
fn find_from<T>(all: &[T], from: usize, is_it: impl Fn(&T) -> bool) -> Option<usize> {
    let (before, behind) = all.split_at(from.min(all.len()));
    let found = behind.iter().position(&is_it).map(|at| before.len() + at);
    found.or_else(|| before.iter().position(is_it))
}

/// What a worker counts: what only this module can know. Queries and replies are counted by whoever
/// receives and sends them.
#[derive(Clone, Debug)]
pub struct Counters {
    layout: Arc<Layout>,
    areas: Box<[u64]>,
    servers: Box<[u64]>,
}

impl Counters {
    /// All zero.
    #[must_use]
    pub fn for_table(table: &AnswerTable) -> Self {
        let layout = Arc::clone(table.layout());
        Self {
            areas: vec![0; layout.areas()].into(),
            servers: vec![0; layout.servers()].into(),
            layout,
        }
    }

    /// Adds another worker's counts of the same table; counts of another table are of other
    /// services, and left out.
    pub fn add(&mut self, other: &Self) {
        let add = |(sum, count): (&mut u64, &u64)| *sum += count;
        if Arc::ptr_eq(&self.layout, &other.layout) {
            self.areas.iter_mut().zip(&other.areas).for_each(add);
            self.servers.iter_mut().zip(&other.servers).for_each(add);
        }
    }

    /// How many services are counted.
    #[must_use]
    pub fn services(&self) -> usize {
        self.layout.services()
    }

    /// A service's queries by area, in the order of [`AnswerTable::areas`].
    #[must_use]
    pub fn areas(&self, service: u32) -> &[u64] {
        let from = self.layout.area(service, 0);
        let to = self.layout.area(service + 1, 0);
        self.areas.get(from..to).unwrap_or_default()
    }

    /// How often each server came first in a service's answers, as (its place in the Plan's
    /// servers, times). A server that stands in several lists comes several times.
    pub fn servers(&self, service: u32) -> impl Iterator<Item = (u32, u64)> {
        let counted = self.layout.counted_servers(service as usize);
        counted.filter_map(|(place, server)| {
            self.servers.get(place).filter(|count| **count > 0).map(|count| (server, *count))
        })
    }

    #[inline]
    pub(super) fn count_area(&mut self, service: u32, area: AreaId) {
        if let Some(count) = self.areas.get_mut(self.layout.area(service, area.index())) {
            *count += 1;
        }
    }

    #[inline]
    pub(super) fn count_server(&mut self, service: u32, list: u32, ordinal: u32) {
        if let Some(count) = self.servers.get_mut(self.layout.server(service, list, ordinal)) {
            *count += 1;
        }
    }
}
