//! What a Controller does that is not master, and how it becomes one.
//!
//! A standby keeps its World as the master does, but decides nothing: the Plan that it adopts says where areas
//! point, and its memory follows it. When it takes over, its first decision is one of those in which only what must
//! move moves, from where the master's last Plan had left everything.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Membership;
use crate::control::told::ToldDemand;
use crate::control::{Controller, Effect, Notice, Refusal, drain};
use crate::message::OVERRIDES_BATCH_MAX;
use crate::plan::{Cause, Memory, Plan, PlanNumber};
use crate::world::{Name, Override, Target, Time};

/// Notices that a standby keeps in case that the master has died with them.
const UNTOLD_MAX: usize = 64;

/// Notices of late that nobody may have told.
#[derive(Clone, Debug, Default)]
pub(super) struct Untold {
    notices: VecDeque<(Time, Notice)>,
}

impl Untold {
    fn keep(&mut self, notice: Notice, now: Time) {
        if self.notices.len() >= UNTOLD_MAX {
            self.notices.pop_front();
        }
        self.notices.push_back((now, notice));
    }

    /// Those that were due no longer ago than this.
    fn take(&mut self, ago: Duration, now: Time) -> impl Iterator<Item = Notice> {
        let notices = std::mem::take(&mut self.notices).into_iter();
        notices.filter(move |(due, _)| now.since(*due) <= ago).map(|(_, notice)| notice)
    }
}

impl Controller {
    /// The Plan in force: its own as master, else the one that it adopted.
    #[must_use]
    pub const fn plan(&self) -> Option<&Arc<Plan>> {
        self.plan.as_ref()
    }

    /// Becomes master.
    pub(super) fn take_over(&mut self, group: &mut Membership) {
        // A master may have died before it told what it saw, and not been missed for a detection time.
        let untold = group.untold.take(group.detection * 2, self.now);
        self.effects.extend(untold.map(Effect::Notify));
        if !self.demand.knows_domains() {
            self.told = ToldDemand::new(self.plan.as_deref(), self.now);
        }
        self.go_above();
        let epoch = self.numbering.current().epoch;
        self.warn(format!("this Controller is master now, in epoch {epoch}"));
    }

    /// Begins an epoch above all that is known, with a Plan at once.
    pub(in crate::control) fn go_above(&mut self) {
        self.numbering.take_over(self.marks.highest());
        self.event = true;
        self.event_not_before = self.now;
    }

    /// What a decision is to a standby: it weighs what it hears, and leaves the rest to the master.
    pub(in crate::control) fn follow(&mut self, cause: Cause) {
        self.told.age(self.now);
        if cause == Cause::Round {
            self.told.renew(&mut self.demand, &self.configuration.topology, self.now);
        }
        self.weigh_silence();
        self.last_heard.decided(self.now);
        self.next_step =
            self.servers.step_returns(self.configuration.control.server_ramp, self.now);
    }

    /// A notice is due. Only the master tells people.
    pub(in crate::control) fn tell(&mut self, notice: Notice) {
        match self.group.as_mut().filter(|group| !group.is_master) {
            Some(group) => group.untold.keep(notice, self.now),
            None => {
                self.counters.notices += 1;
                self.effects.push_back(Effect::Notify(notice));
            }
        }
    }

    pub(in crate::control) fn plan_heard(&mut self, plan: Arc<Plan>) -> Result<(), Refusal> {
        let group = self.group.as_mut().ok_or(Refusal::NoGroup)?;
        self.numbering.note(&plan.number)?;
        plan.validate()?;
        // A master that is behind goes above it with the next poll, or hears who is master now and follows.
        group.news = true;
        if group.is_master {
            let is_newer = |other: &Arc<Plan>| other.number < plan.number;
            if group.set_aside.as_ref().is_none_or(is_newer) {
                group.set_aside = Some(plan);
            }
        } else {
            self.adopt(plan);
        }
        Ok(())
    }

    /// Another Controller's Plan is in force, if it is newer than what is.
    pub(super) fn adopt(&mut self, plan: Arc<Plan>) {
        if self.plan.as_ref().is_some_and(|held| plan.number <= held.number) {
            return;
        }
        self.memory = Memory::from_plan(&self.configuration.topology, &plan, self.now);
        self.note_moves(&plan);
        self.plan = Some(plan.clone());
        self.effects.push_back(Effect::Adopt(plan));
    }

    pub(in crate::control) fn plan_wanted(
        &mut self,
        name: Name,
        held: Option<PlanNumber>,
    ) -> Result<(), Refusal> {
        let group = self.group.as_mut().ok_or(Refusal::NoGroup)?;
        if let Some(held) = &held {
            self.numbering.note_claim(held)?;
        }
        let is_newer = |plan: &Arc<Plan>| held.as_ref().is_none_or(|held| *held < plan.number);
        if self.plan.as_ref().is_some_and(is_newer) {
            group.wanted.asked(name, group.is_master, self.now);
        }
        group.news = true;
        Ok(())
    }

    pub(in crate::control) fn overrides(
        &mut self,
        from: &Name,
        entries: Vec<(Target, Override)>,
    ) -> Result<(), Refusal> {
        if self.group.is_none() {
            return Err(Refusal::NoGroup);
        }
        if entries.len() > OVERRIDES_BATCH_MAX {
            return Err(Refusal::TooManyInOne(entries.len()));
        }
        for (target, entry) in &entries {
            drain::check_merge(&self.overrides, target, entry)?;
        }
        for (target, entry) in entries {
            self.note_conflict(from, &target, &entry);
            self.merge_override(target, entry)?;
        }
        Ok(())
    }

    fn note_conflict(&mut self, from: &Name, target: &Target, entry: &Override) {
        let Some(group) = self.group.as_mut() else { return };
        let agreed = group.peers.get(from).and_then(|peer| peer.agreed.clone());
        if group.exchange.heard(target, entry, agreed.as_deref(), self.now) {
            self.warn(format!(
                "{target} was drained or undrained differently here and at Controller {from} while they did \
                 not hear each other: see `walrus status`"
            ));
        }
    }
}
