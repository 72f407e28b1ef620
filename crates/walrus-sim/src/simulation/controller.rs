//! Controllers: the shipped state machine, several of them, one of whom is master.

use std::collections::VecDeque;
use std::sync::Arc;

use walrus_core::config::Configuration;
use walrus_core::control::{
    Candidacy, Controller, Effect, Input, ProbeRequest, Refusal, Start, Stored, elect,
};
use walrus_core::plan::Plan;
use walrus_core::world::{Name, Time};

use super::study::Reach;
use crate::system::SystemError;
use crate::virtual_system::digests;

/// All Controllers.
#[derive(Debug)]
pub(super) struct Controllers {
    pub(super) list: Vec<Member>,
    /// Whose Plans are realised, if anybody's.
    pub(super) master: Option<usize>,
    configuration: Arc<Configuration>,
    seed: u64,
    joins: u64,
}

/// One Controller and what stands around it.
#[derive(Debug)]
pub(super) struct Member {
    controller: Controller,
    name: Name,
    pub(super) reach: Reach,
    /// The order of joining: of those that are well and hear, the first is master.
    joined: u64,
    /// What its state directory holds.
    stored: Stored,
    /// For when its next deadline is on the agenda.
    pub(super) wake: Time,
}

/// What a Controller wants done that goes beyond itself.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Publish(Arc<Plan>),
    Probe(ProbeRequest),
}

impl Controllers {
    pub(super) fn new(
        configuration: &Arc<Configuration>,
        count: usize,
        seed: u64,
    ) -> Result<Self, SystemError> {
        let mut this = Self {
            list: Vec::new(),
            master: Some(0),
            configuration: Arc::clone(configuration),
            seed,
            joins: 0,
        };
        for number in 1..=count {
            let name = format!("controller-{number}");
            let name: Name =
                name.parse().map_err(|_| SystemError(format!("`{name}` is no name")))?;
            this.joins += 1;
            this.list.push(Member {
                controller: this.start(name.clone(), Stored::default(), Time::ZERO),
                name,
                reach: Reach::Well,
                joined: this.joins,
                stored: Stored::default(),
                wake: Time::from_nanos(u64::MAX),
            });
        }
        Ok(this)
    }

    fn start(&self, name: Name, stored: Stored, now: Time) -> Controller {
        let configuration = Arc::clone(&self.configuration);
        let digests = digests(&configuration);
        let (seed, group) = (self.seed, None);
        Controller::new(Start { configuration, digests, name, seed, stored, group }, now)
    }

    /// Ends it and begins it anew from what it stored.
    pub(super) fn restart(&mut self, number: usize, now: Time) {
        let Some(member) = self.list.get(number) else { return };
        let controller = self.start(member.name.clone(), member.stored.clone(), now);
        self.joins += 1;
        if let Some(member) = self.list.get_mut(number) {
            member.controller = controller;
            member.joined = self.joins;
            member.wake = Time::from_nanos(u64::MAX);
        }
    }

    /// Puts another configuration in force in all that run; who starts later finds it.
    pub(super) fn reconfigure(&mut self, configuration: &Arc<Configuration>, now: Time) {
        self.configuration = Arc::clone(configuration);
        for member in self.list.iter_mut().filter(|member| member.reach != Reach::Killed) {
            let digests = digests(configuration);
            member.controller.reconfigure(now, Arc::clone(configuration), digests);
        }
    }

    /// The master of those that are well.
    pub(super) fn elect(&self, now: Time) -> Option<usize> {
        let well = self.list.iter().enumerate().filter(|(_, it)| it.reach == Reach::Well);
        let candidacy = |member: &Member| Candidacy {
            joined: member.joined,
            hears: member.controller.hears(now),
        };
        elect(well.map(|(number, member)| (number, candidacy(member))))
    }

    /// Tells one of them something.
    pub(super) fn tell(&mut self, number: usize, now: Time, input: Input) -> Result<(), Refusal> {
        self.list.get_mut(number).map_or(Ok(()), |member| member.controller.handle(now, input))
    }

    /// All that it wants done now, and when it next wants to be asked.
    pub(super) fn poll(&mut self, number: usize, now: Time, wanted: &mut VecDeque<Wanted>) -> Time {
        let Some(member) = self.list.get_mut(number) else { return Time::from_nanos(u64::MAX) };
        while let Some(effect) = member.controller.poll(now) {
            match effect {
                Effect::Publish(plan) => {
                    member.stored.plan = Some(Arc::clone(&plan));
                    wanted.push_back(Wanted::Publish(plan));
                }
                Effect::Probe(request) => wanted.push_back(Wanted::Probe(request)),
                Effect::StoreEpoch(epoch) => member.stored.epoch = epoch,
                Effect::StoreOverrides(overrides) => member.stored.overrides = overrides,
                // Nobody reads logs or journals here, and there are no outside names. Which of them is
                // master is found out without messages ([`Controllers::elect`]).
                Effect::Notify(_)
                | Effect::Journal(_)
                | Effect::Warn(_)
                | Effect::Resolve(_)
                | Effect::StoreJoined(_)
                | Effect::Adopt(_)
                | Effect::SendPlan(_)
                | Effect::Say(_) => {}
            }
        }
        member.controller.next_deadline().0
    }

    /// The Plan that it published last.
    pub(super) fn plan(&self, number: usize) -> Option<&Arc<Plan>> {
        self.list.get(number)?.stored.plan.as_ref()
    }
}
