//! A Controller's process: the shipped state machine with its disk, and what the shell around it does.

use std::sync::Arc;

use walrus_core::config::Configuration;
use walrus_core::control::{
    Controller, Effect, GroupStart, Inbox, Input, ProbeOutcome, ProbeRequest, Refusal, Start,
    Status, Stored,
};
use walrus_core::message::{Envelope, Message, Senders};
use walrus_core::plan::{Plan, PlanNumber, PlanReceiver, PlanSender};
use walrus_core::world::{Observation, OverrideState, Target, Time};

use super::{PART_BYTES_MAX, Said, Speaker, shows};
use crate::faults::Sabotage;
use crate::faults::clock::unix_ms;
use crate::faults::disk::Disk;
use crate::faults::schedule::Keeps;
use crate::faults::world::Node;
use crate::virtual_system::digests;

/// One Controller, running or not.
#[derive(Debug)]
pub(in crate::faults) struct ControllerNode {
    node: Node,
    sabotage: Sabotage,
    pub(in crate::faults) disk: Disk,
    /// Which configuration its file is, and the checked one.
    pub(in crate::faults) configuration: (usize, Arc<Configuration>),
    pub(in crate::faults) clock_off_ms: i64,
    /// How often it was killed and not yet started again.
    pub(in crate::faults) down: u16,
    starts: u32,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    controller: Controller,
    speaker: Speaker,
    senders: Senders,
    receiver: PlanReceiver,
    sender: PlanSender,
    /// The Plan before the one that is given out next.
    plan: Option<Arc<Plan>>,
    /// The highest epoch that it was told to write down, and whether the disk took it.
    epoch: (u64, bool),
}

/// What a Controller did that goes beyond itself.
#[derive(Clone, Debug)]
pub(in crate::faults) enum Done {
    Said(Box<Said>),
    Probe(ProbeRequest),
    /// It gave a Plan out; the highest epoch that it was told to store until then.
    Published(Arc<Plan>, u64),
    /// It took the master's Plan over.
    Adopted(Arc<Plan>),
    Epoch(u64),
    Warned(String),
}

impl ControllerNode {
    pub(in crate::faults) fn new(
        node: &Node,
        configuration: &Arc<Configuration>,
        sabotage: Sabotage,
    ) -> Self {
        Self {
            node: node.clone(),
            sabotage,
            disk: Disk::default(),
            configuration: (0, Arc::clone(configuration)),
            clock_off_ms: node.clock_off_ms,
            down: 0,
            starts: 0,
            process: None,
        }
    }

    /// Which of its processes this is: what a dead one asked for is of no use to the next.
    pub(in crate::faults) const fn starts(&self) -> u32 {
        self.starts
    }

    pub(in crate::faults) const fn is_up(&self) -> bool {
        self.process.is_some()
    }

    pub(in crate::faults) fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it from what its disk has.
    pub(in crate::faults) fn begin(&mut self, now: Time, keeps: Keeps) {
        self.disk.come_back(keeps);
        self.starts += 1;
        let speaker = Speaker::new(now, self.clock_off_ms, shows(&self.node, self.starts));
        let contents = self.disk.contents().clone();
        let configuration = Arc::clone(&self.configuration.1);
        let start = Start {
            digests: digests(&configuration),
            name: self.node.name.clone(),
            seed: u64::from(self.starts),
            stored: Stored {
                epoch: contents.epoch,
                overrides: contents.overrides,
                plan: contents.plan.clone(),
            },
            group: Some(GroupStart {
                session: speaker.session,
                joined: contents.joined,
                program: "faults".to_owned(),
            }),
            configuration,
        };
        let detection = self.configuration.1.control.detection;
        self.process = Some(Process {
            controller: Controller::new(start, speaker.clock.own(now)),
            speaker,
            senders: Senders::new(detection),
            receiver: PlanReceiver::new(contents.plan.clone()),
            sender: PlanSender::default(),
            plan: contents.plan,
            epoch: (contents.epoch, true),
        });
    }

    /// Puts the other configuration in force.
    pub(in crate::faults) fn reload(
        &mut self,
        now: Time,
        (number, configuration): (usize, &Arc<Configuration>),
    ) {
        self.configuration = (number, Arc::clone(configuration));
        if let Some(process) = &mut self.process {
            let now = process.speaker.clock.own(now);
            process.controller.reconfigure(now, Arc::clone(configuration), digests(configuration));
        }
    }

    /// An operator drains or undrains.
    pub(in crate::faults) fn drain(
        &mut self,
        now: Time,
        target: Target,
        drained: bool,
    ) -> Result<(), Refusal> {
        let state = if drained { OverrideState::Drained } else { OverrideState::None };
        let unix_ms = unix_ms(now, self.clock_off_ms);
        self.tell(now, Input::SetOverride { target, state, force: false, unix_ms, by: None })
    }

    /// It ends in good order; what it still says comes with the next poll.
    pub(in crate::faults) fn leave(&mut self, now: Time) {
        if let Some(process) = &mut self.process {
            process.controller.leave(process.speaker.clock.own(now));
        }
    }

    /// The Director of its process tells what it saw, and what stands in name servers.
    pub(in crate::faults) fn hear_beside(
        &mut self,
        now: Time,
        (plan, marks): (Option<PlanNumber>, Option<PlanNumber>),
        observation: Observation,
    ) {
        let director = self.node.name.clone();
        let hello =
            Input::DirectorHello { director: director.clone(), plan, refused: None, marks: None };
        let observed = Input::Observed { director, observation };
        for input in [hello, observed].into_iter().chain(marks.map(Input::MarksSeen)) {
            // As the live shell: what is refused is logged.
            let _ = self.tell(now, input);
        }
    }

    pub(in crate::faults) fn probed(&mut self, now: Time, target: u32, outcome: ProbeOutcome) {
        // What was given up meanwhile is refused, as it should be.
        let _ = self.tell(now, Input::Probed { target, outcome });
    }

    fn tell(&mut self, now: Time, input: Input) -> Result<(), Refusal> {
        let Some(process) = &mut self.process else { return Ok(()) };
        process.controller.handle(process.speaker.clock.own(now), input)
    }

    /// Takes a message in; why not, if not.
    pub(in crate::faults) fn take(&mut self, now: Time, envelope: Envelope) -> Result<(), String> {
        let Some(process) = &mut self.process else { return Ok(()) };
        let now = process.speaker.clock.own(now);
        envelope.check()?;
        process.senders.admit(&envelope, now).map_err(|why| why.to_string())?;
        let input = match Inbox::of(envelope) {
            Inbox::Input(input) => input,
            Inbox::PlanPart(part) => match process.receiver.take(now, part) {
                Some(plan) => Input::PlanHeard(plan),
                None => return Ok(()),
            },
            Inbox::Nothing => return Err("it is not for a Controller".to_owned()),
        };
        if let Input::Presence { presence, .. } = &input
            && let Some(number) = &presence.plan
        {
            process.receiver.number_seen(now, number);
        }
        process.controller.handle(now, input).map_err(|why| why.to_string())
    }

    /// Does what is due and tells what of it goes beyond itself.
    pub(in crate::faults) fn poll(&mut self, now: Time) -> Vec<Done> {
        let Some(process) = &mut self.process else { return Vec::new() };
        let mut done = Vec::new();
        let own = process.speaker.clock.own(now);
        while let Some(effect) = process.controller.poll(own) {
            process.carry_out(effect, &mut self.disk, self.sabotage, &mut done);
        }
        if let Some(wanted) = process.receiver.poll(own) {
            process.say(Message::PlanWanted(wanted), &mut done);
        }
        done
    }

    /// When it wants to be polled next, and for what.
    pub(in crate::faults) fn next_deadline(&self) -> Option<(Time, &'static str)> {
        let process = self.process.as_ref()?;
        let (own, why) = process.controller.next_deadline();
        let asks = process.receiver.next_deadline().filter(|asks| *asks < own);
        let (own, why) = asks.map_or((own, why), |asks| (asks, "a Plan is lacking"));
        Some((process.speaker.clock.of_all(own), why))
    }

    /// The Plan in force here.
    pub(in crate::faults) fn plan(&self) -> Option<&Arc<Plan>> {
        self.process.as_ref()?.controller.plan()
    }

    /// What operators want, as it knows.
    pub(in crate::faults) fn overrides(&self, now: Time) -> Vec<(Target, OverrideState)> {
        let status = self.status(now);
        let entries = status.into_iter().flat_map(|status| status.overrides);
        entries.map(|(target, entry)| (target, entry.state)).collect()
    }

    pub(in crate::faults) fn status(&self, now: Time) -> Option<Status> {
        let process = self.process.as_ref()?;
        let unix_ms = unix_ms(now, self.clock_off_ms);
        Some(process.controller.status(process.speaker.clock.own(now), unix_ms))
    }
}

impl Process {
    fn say(&mut self, message: Message, done: &mut Vec<Done>) {
        let (session, sequence) = self.speaker.next();
        done.push(Done::Said(Box::new(Said { session, sequence, message })));
    }

    fn carry_out(
        &mut self,
        effect: Effect,
        disk: &mut Disk,
        sabotage: Sabotage,
        done: &mut Vec<Done>,
    ) {
        match effect {
            Effect::StoreEpoch(epoch) => {
                if sabotage != Sabotage::EpochForgotten {
                    self.epoch = (epoch, disk.write(|it| it.epoch = epoch));
                    done.push(Done::Epoch(epoch));
                }
            }
            Effect::StoreJoined(joined) => {
                disk.write(|it| it.joined = joined);
            }
            Effect::StoreOverrides(overrides) => {
                disk.write(|it| it.overrides = overrides);
            }
            Effect::Publish(plan) => self.publish(plan, disk, done),
            Effect::Adopt(plan) => {
                disk.write(|it| it.plan = Some(Arc::clone(&plan)));
                self.receiver.hold(Arc::clone(&plan));
                self.plan = Some(Arc::clone(&plan));
                done.push(Done::Adopted(plan));
            }
            Effect::Say(message) => self.say(message, done),
            Effect::SendPlan(plan) => {
                for part in self.sender.whole(&plan, PART_BYTES_MAX) {
                    self.say(Message::PlanPart(part), done);
                }
            }
            Effect::Probe(request) => done.push(Done::Probe(request)),
            Effect::Warn(text) => done.push(Done::Warned(text)),
            // Nobody reads logs or journals here, and there are no outside names.
            Effect::Notify(_) | Effect::Journal(_) | Effect::Resolve(_) => {}
        }
    }

    fn publish(&mut self, plan: Arc<Plan>, disk: &mut Disk, done: &mut Vec<Done>) {
        if !self.epoch.1 {
            // As the live shell: an epoch that the disk refused is tried again with each Plan.
            let epoch = self.epoch.0;
            self.epoch.1 = disk.write(|it| it.epoch = epoch);
        }
        disk.write(|it| it.plan = Some(Arc::clone(&plan)));
        self.receiver.hold(Arc::clone(&plan));
        let before = self.plan.replace(Arc::clone(&plan));
        done.push(Done::Published(Arc::clone(&plan), self.epoch.0));
        for part in self.sender.parts(&plan, before.as_ref(), PART_BYTES_MAX) {
            self.say(Message::PlanPart(part), done);
        }
    }
}
