//! All servers of a service fall silent together: then it is the Controller that cannot hear.
//!
//! **Problem.** A link fails, or what lies between: Reporters fall silent one after the other, within
//! a unit of each other, and each counts as dead in its turn (A17). If that were all, the last usable
//! answer (A9) would name the one that was silent last, and all the world's clients would go to it.
//!
//! **Rule.** While any server of a service functions, silence is death, for one server as for half of
//! the world: who is heard serves. When none is left, the *last sign of life* tells what happened: the last
//! report of a well server, or success of a probe, from any of those that are out for silence alone.
//! Whoever was not yet out at that moment fell silent with the others. These servers are *unknown*
//! instead of dead, the service's areas point again where they did at that moment, and that stays so until somebody is
//! heard. There is no length of time to set: a wave is as long as the slowest of its servers takes to be found silent.
//!
//! What was said stays decisive: BYPASS, PANIC, TEMPFAIL too often, a drain, also a drain during the
//! silence. A server that was out before the wave stays out.
//!
//! When the first of them is heard again, the others are given one detection time to be heard as
//! well, as at the start: they live until then, or the first would get the whole world.
//!
//! **When it is wrong.** If all servers do die within a detection time, some of them are named that
//! died before the last one; nobody would answer either way. If all but one fall silent, that one serves
//! alone, which cannot be told from the death of the others.
//!
//! **Example.** Reports each 8 s, dead after 16.5 s. At 0 s the link fails; a was heard at -7 s, b at -1 s.
//! At 9.5 s a is out, and its areas go to b. At 15.5 s b is out. The last sign of life came at -1 s, when a
//! was not yet out: both are unknown, and areas point where they did at -1 s.

use super::servers::{Judge, Servers};
use crate::plan::Memory;
use crate::policy::assign::Pointing;
use crate::world::{Life, Service, ServiceId, Time, Topology};

/// Where areas pointed when their service's servers were last heard.
#[derive(Clone, Debug, Default)]
pub(super) struct LastHeard {
    /// At `service * areas + area`.
    pointing: Vec<Pointing>,
    /// When the decision that the memory holds was made.
    decided: Time,
}

impl LastHeard {
    /// As the memory has it from before the start.
    pub(super) fn new(memory: &Memory, now: Time) -> Self {
        Self { pointing: memory.assign.pointing.clone(), decided: now }
    }

    /// The same for another topology.
    pub(super) fn carry(&self, old: &Topology, new: &Topology) -> Self {
        let mut memory = Memory::default();
        memory.assign.pointing.clone_from(&self.pointing);
        Self { pointing: memory.carry(old, new).assign.pointing, ..*self }
    }

    /// Before a decision: what the memory holds was in force when these were last heard.
    pub(super) fn confirm(&mut self, servers: &Servers, topology: &Topology, memory: &Memory) {
        let areas = topology.areas.len();
        self.pointing.resize(topology.services.len() * areas, Pointing::default());
        for (index, service) in topology.services.iter().enumerate() {
            let is_heard = servers.last_sign(topology, service) >= Some(self.decided);
            let pairs = index * areas..(index + 1) * areas;
            if let Some(pointing) = memory.assign.pointing.get(pairs.clone()).filter(|_| is_heard) {
                self.pointing[pairs].clone_from_slice(pointing);
            }
        }
    }

    /// Areas of this service point again where they did.
    pub(super) fn restore(&self, service: ServiceId, topology: &Topology, memory: &mut Memory) {
        let areas = topology.areas.len();
        let pairs = service.index() * areas..(service.index() + 1) * areas;
        let found = memory.assign.pointing.get_mut(pairs.clone()).zip(self.pointing.get(pairs));
        if let Some((pointing, before)) = found {
            pointing.clone_from_slice(before);
        }
    }

    /// A decision was made.
    pub(super) const fn decided(&mut self, now: Time) {
        self.decided = now;
    }
}

impl Servers {
    /// Before a decision: who is silent with all others becomes unknown, or ceases to be. Tells for which
    /// services all fell silent just now.
    pub(super) fn weigh_silence(&mut self, judge: &Judge<'_>) -> Vec<ServiceId> {
        self.spare_mates(judge);
        let topology = judge.topology;
        let mut begun = Vec::new();
        let mut unheard = vec![false; topology.servers.len()];
        for (id, service) in (0..).map(ServiceId).zip(&topology.services) {
            let mut is_new = false;
            for server in self.wave(topology, service) {
                unheard[server] = true;
                is_new |= self.record(server).is_some_and(|record| !record.unheard);
            }
            if is_new {
                begun.push(id);
            }
        }
        for (index, unheard) in unheard.into_iter().enumerate() {
            self.set_unheard(index, unheard, judge);
        }
        begun
    }

    /// Somebody of a wave was heard: the others live until one detection time has passed.
    fn spare_mates(&mut self, judge: &Judge<'_>) {
        let topology = judge.topology;
        let heard = self.take_heard_again();
        if heard.is_empty() {
            return;
        }
        let of = |service: &Service| members(topology, service).any(|id| heard.contains(&id));
        let services = topology.services.iter().filter(|service| of(service));
        let mates: Vec<usize> = services.flat_map(|service| members(topology, service)).collect();
        for mate in mates {
            self.spare(mate, judge);
        }
    }

    /// The servers of a service that fell silent together, if none is left that functions.
    fn wave(&self, topology: &Topology, service: &Service) -> Vec<usize> {
        let records = || members(topology, service).filter_map(|id| Some((id, self.record(id)?)));
        let mut last_sign = None;
        for (_, record) in records() {
            if record.life.functions() {
                return Vec::new();
            }
            last_sign = last_sign.max(record.silent);
        }
        let Some(last_sign) = last_sign else { return Vec::new() };
        let is_of_it = |(id, record): (usize, &super::servers::Record)| {
            let fell_with_it = record.unheard || record.life_since > last_sign;
            (record.silent.is_some() && fell_with_it).then_some(id)
        };
        records().filter_map(is_of_it).collect()
    }

    /// When a server of the service that lives last gave a sign of it.
    fn last_sign(&self, topology: &Topology, service: &Service) -> Option<Time> {
        let records = members(topology, service).filter_map(|id| self.record(id));
        let living = records.filter(|record| record.life == Life::Living);
        living.filter_map(super::servers::Record::last_sign).max()
    }
}

/// The servers of a service, by their place.
fn members<'a>(topology: &'a Topology, service: &'a Service) -> impl Iterator<Item = usize> + 'a {
    let clusters = service.clusters.iter();
    clusters.flat_map(|id| topology.clusters[id.index()].servers.iter().map(|id| id.index()))
}
