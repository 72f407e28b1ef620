//! One decision: the World as it is known, the Plan that comes out, and whether that is published.

use std::sync::Arc;

use super::controller::{EVENTS_APART, judge};
use super::journal::JournalRecord;
use super::publish::is_worth_a_plan;
use super::{Controller, Effect};
use crate::plan::{self, Cause, DecideInput, Memory, Plan, PlanNumber};
use crate::world::{Condition, Name, ServerId};

impl Controller {
    /// Decides, and publishes what is worth a Plan.
    pub(super) fn decide(&mut self, cause: Cause) {
        self.event = false;
        self.event_not_before = self.now + EVENTS_APART;
        self.problems_stale = true;
        self.follow_moves();
        if !self.is_master() {
            return self.follow(cause);
        }
        self.told.age(self.now);
        if cause == Cause::Round {
            self.told.renew(&mut self.demand, &self.configuration.topology, self.now);
        }
        self.weigh_silence();
        let world = self.world(cause);
        let following = self.numbering.following();
        let (plan, memory) = world.decide(self, following.clone());
        // A Plan of another epoch or Controller is not ours to go on with.
        let ours = |old: &Arc<Plan>| {
            (old.number.epoch, &old.number.controller) == (following.epoch, &following.controller)
        };
        let told_again = self.told.take_told_again();
        let is_same = |old: &Arc<Plan>| ours(old) && !is_worth_a_plan(old, &plan);
        let published = told_again || !self.plan.as_ref().is_some_and(is_same);
        if published {
            self.numbering.advance();
            self.counters.plans += 1;
            let plan = Arc::new(plan);
            self.note_moves(&plan);
            self.plan = Some(plan.clone());
            self.effects.push_back(Effect::Publish(plan));
        }
        let mut record = JournalRecord {
            now: self.now,
            unix_ms: None,
            cause,
            number: self.numbering.current(),
            published,
            digests: self.digests.clone(),
            conditions: world.conditions,
            area_hits: world.area_hits,
            addresses: world.addresses,
            demand: self.told.by_service().clone(),
            demand_of: None,
            memory: std::mem::replace(&mut self.memory, memory),
        };
        self.last_heard.decided(self.now);
        // An event that changed nothing would only push rounds out of the journal.
        let telling = cause == Cause::Round || published;
        if telling && self.configuration.control.journal_rounds > 0 {
            self.journalled.leave_out(&mut record);
            self.effects.push_back(Effect::Journal(Box::new(record)));
        }
        let ramp = self.configuration.control.server_ramp;
        let returns = self.servers.step_returns(ramp, self.now);
        let ways = self.memory.assign.next_step(&self.configuration.topology);
        self.next_step = returns.into_iter().chain(ways).min();
    }

    /// Where all servers of a service fell silent together, it is as it was before that; whoever was lost with
    /// all peers is unknown.
    pub(super) fn weigh_silence(&mut self) {
        let configuration = self.configuration.clone();
        let topology = &configuration.topology;
        let judge = judge(&configuration, &self.overrides, &self.vantage, self.now);
        self.cut_off.weigh(&mut self.servers, &judge);
        let begun = self.servers.weigh_silence(&judge);
        self.last_heard.confirm(&self.servers, topology, &self.memory);
        for service in begun {
            self.last_heard.restore(service, topology, &mut self.memory);
        }
    }

    pub(super) fn world(&self, cause: Cause) -> World {
        let mut conditions = self.servers.conditions(&self.configuration.control, self.now);
        for (id, condition) in (0..).map(ServerId).zip(&mut conditions) {
            *condition = self.with_alias(id, condition.clone());
        }
        World {
            conditions,
            addresses: self.aliases.addresses(&self.configuration.topology),
            area_hits: self.demand.area_hits(self.now),
            cause,
        }
    }
}

/// What one decision sees.
pub(super) struct World {
    conditions: Vec<Condition>,
    area_hits: Vec<f64>,
    /// Of servers that stand for aliases.
    addresses: std::collections::BTreeMap<Name, Vec<std::net::IpAddr>>,
    cause: Cause,
}

impl World {
    /// The Plan of this number for this World, and what to remember.
    pub(super) fn decide(&self, controller: &Controller, number: PlanNumber) -> (Plan, Memory) {
        let topology = controller.resolved.as_ref();
        let topology = topology.unwrap_or(&controller.configuration.topology);
        let decision = plan::decide(&DecideInput {
            topology,
            conditions: &self.conditions,
            area_hits: &self.area_hits,
            memory: &controller.memory,
            now: controller.now,
            cause: self.cause,
        });
        let digests = controller.digests.clone();
        let plan = plan::build(topology, &self.conditions, &decision, number, digests);
        (plan.with_demand(controller.told.by_service()), decision.memory)
    }
}
