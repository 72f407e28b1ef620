//! A Director's process: the shipped receiver, answer path and updaters of name servers, with its disk.
//!
//! One that is in a Controller's process has its Plans and its disk from there.

use std::sync::Arc;

use walrus_core::config::{Configuration, NameServerSettings};
use walrus_core::message::{Envelope, Hello, Message, Role, Senders, VERSION};
use walrus_core::plan::{Plan, PlanNumber, PlanReceiver};
use walrus_core::update::{Exchange, Failure, Reply, Updater, UpdaterEffect};
use walrus_core::world::Time;

use super::{Said, Speaker, shows};
use crate::faults::Sabotage;
use crate::faults::disk::Disk;
use crate::faults::schedule::Keeps;
use crate::faults::world::Node;
use crate::name_server::NameServer;
use crate::system::{Question, SystemError};

/// A third of the detection time.
const HEARTBEATS: u32 = 3;

/// One Director, running or not.
#[derive(Debug)]
pub(in crate::faults) struct DirectorNode {
    node: Node,
    seed: u64,
    sabotage: Sabotage,
    pub(in crate::faults) disk: Disk,
    /// Which configuration its file is, and the checked one.
    pub(in crate::faults) configuration: (usize, Arc<Configuration>),
    pub(in crate::faults) clock_off_ms: i64,
    /// How often it was killed and not yet started again.
    pub(in crate::faults) down: u16,
    starts: u32,
    process: Option<Process>,
    /// The name servers that it keeps up to date.
    zones: Vec<NameServerSettings>,
}

#[derive(Debug)]
struct Process {
    speaker: Speaker,
    /// In the order of the name servers.
    updaters: Vec<Updater>,
    senders: Senders,
    receiver: PlanReceiver,
    name_server: NameServer,
    /// What the name server is to answer from before it is asked next: most Plans are followed by others before.
    uncompiled: Option<Arc<Plan>>,
    /// The Plan that it answers from.
    answers_from: Option<Arc<Plan>>,
    /// In its own time.
    next_hello: Time,
    next_observation: Time,
    observed_at: Time,
}

/// What came of a message.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::faults) enum Took {
    Nothing,
    /// It answers from this from now on.
    Plan(Arc<Plan>),
    Refused(String),
}

impl DirectorNode {
    pub(in crate::faults) fn new(
        node: &Node,
        seed: u64,
        (configuration, zones): (&Arc<Configuration>, Vec<NameServerSettings>),
        sabotage: Sabotage,
    ) -> Self {
        Self {
            node: node.clone(),
            seed,
            sabotage,
            disk: Disk::default(),
            configuration: (0, Arc::clone(configuration)),
            clock_off_ms: node.clock_off_ms,
            down: 0,
            starts: 0,
            process: None,
            zones,
        }
    }

    /// Which of its processes this is.
    pub(in crate::faults) const fn starts(&self) -> u32 {
        self.starts
    }

    pub(in crate::faults) const fn is_up(&self) -> bool {
        self.process.is_some()
    }

    pub(in crate::faults) fn kill(&mut self) {
        self.process = None;
    }

    /// The Plan that it answers from.
    pub(in crate::faults) fn plan(&self) -> Option<&Arc<Plan>> {
        self.process.as_ref()?.answers_from.as_ref()
    }

    /// Starts it from what its disk has.
    pub(in crate::faults) fn begin(&mut self, now: Time, keeps: Keeps) -> Result<(), SystemError> {
        self.disk.come_back(keeps);
        self.starts += 1;
        let speaker = Speaker::new(now, self.clock_off_ms, shows(&self.node, self.starts));
        let mut name_server = NameServer::new(&self.configuration.1, self.seed)?;
        let plan = self.disk.contents().plan.clone();
        let seed = |place: usize| self.seed ^ (1000 * u64::from(self.starts) + place as u64);
        let zones = self.zones.iter().enumerate();
        let mut updaters: Vec<Updater> =
            zones.map(|(place, it)| Updater::new(it.clone(), seed(place))).collect();
        if let Some(plan) = &plan {
            name_server.apply(plan);
            updaters.iter_mut().for_each(|it| it.plan(plan));
        }
        let own = speaker.clock.own(now);
        self.process = Some(Process {
            senders: Senders::new(self.configuration.1.control.detection),
            receiver: PlanReceiver::new(plan.clone()),
            name_server,
            uncompiled: None,
            updaters,
            answers_from: plan,
            next_hello: own,
            next_observation: own + self.configuration.1.dns.observe_every,
            observed_at: own,
            speaker,
        });
        Ok(())
    }

    /// Puts the other configuration in force; a Plan for it may have come before.
    pub(in crate::faults) fn reload(
        &mut self,
        (number, configuration): (usize, &Arc<Configuration>),
    ) -> Result<Took, SystemError> {
        self.configuration = (number, Arc::clone(configuration));
        let Some(process) = &mut self.process else { return Ok(Took::Nothing) };
        process.name_server = NameServer::new(configuration, self.seed)?;
        process.uncompiled = process.answers_from.clone();
        let newest = process.receiver.held().cloned();
        let held = process.answers_from.as_ref().map(|held| &held.number);
        match newest.filter(|newest| Some(&newest.number) > held) {
            Some(plan) => Ok(self.answer_from(plan)),
            None => Ok(Took::Nothing),
        }
    }

    /// Takes a message in.
    pub(in crate::faults) fn take(&mut self, now: Time, envelope: Envelope) -> Took {
        let Some(process) = &mut self.process else { return Took::Nothing };
        let now = process.speaker.clock.own(now);
        if let Err(why) = envelope.check() {
            return Took::Refused(why);
        }
        if let Err(why) = process.senders.admit(&envelope, now) {
            return Took::Refused(why.to_string());
        }
        match envelope.message {
            Message::Presence(presence) if envelope.role == Role::Controller => {
                if let Some(number) = &presence.plan {
                    process.receiver.number_seen(now, number);
                }
                Took::Nothing
            }
            Message::PlanPart(part) if envelope.role == Role::Controller => {
                if self.sabotage == Sabotage::AnyPlan {
                    // Takes whatever is whole, whatever it held before.
                    let taken = PlanReceiver::new(None).take(now, part);
                    return taken.map_or(Took::Nothing, |plan| self.answer_from(plan));
                }
                let taken = process.receiver.take(now, part);
                taken.map_or(Took::Nothing, |plan| self.answer_from(plan))
            }
            other => Took::Refused(format!("a {} of a {}", other.kind(), envelope.role.as_str())),
        }
    }

    /// The Controller of its process has a Plan: its own, or one that it took over.
    pub(in crate::faults) fn give(&mut self, plan: &Arc<Plan>) -> Took {
        let Some(process) = &mut self.process else { return Took::Nothing };
        process.receiver.hold(Arc::clone(plan));
        let held = process.answers_from.as_ref().map(|held| &held.number);
        match held.filter(|held| **held >= plan.number) {
            Some(held) => Took::Refused(format!("Plan {} is not above {held}", plan.number)),
            None => self.answer_from(Arc::clone(plan)),
        }
    }

    /// Stores a Plan and answers from it, if it was made for this Director's configuration.
    fn answer_from(&mut self, plan: Arc<Plan>) -> Took {
        let digest = &self.configuration.1.digest;
        if plan.digests.configuration != *digest {
            return Took::Refused(format!("Plan {} is for another configuration", plan.number));
        }
        let Some(process) = &mut self.process else { return Took::Nothing };
        process.uncompiled = Some(Arc::clone(&plan));
        process.updaters.iter_mut().for_each(|it| it.plan(&plan));
        process.answers_from = Some(Arc::clone(&plan));
        self.disk.write(|it| it.plan = Some(Arc::clone(&plan)));
        Took::Plan(plan)
    }

    /// What it says now.
    pub(in crate::faults) fn poll(&mut self, now: Time) -> Vec<Said> {
        let Some(process) = &mut self.process else { return Vec::new() };
        let own = process.speaker.clock.own(now);
        let mut said = Vec::new();
        if let Some(wanted) = process.receiver.poll(own) {
            said.push(process.say(Message::PlanWanted(wanted)));
        }
        if process.next_hello <= own {
            process.next_hello = own + self.configuration.1.control.detection / HEARTBEATS;
            said.push(process.hello(&self.node));
        }
        if process.next_observation <= own {
            process.next_observation = own + self.configuration.1.dns.observe_every;
            said.push(process.observe(own));
        }
        said
    }

    /// When it wants to be polled next.
    pub(in crate::faults) fn next_deadline(&self) -> Option<Time> {
        let process = self.process.as_ref()?;
        let own = process.next_hello.min(process.next_observation);
        let asks = process.receiver.next_deadline();
        let updates = process.updaters.iter().filter_map(Updater::next_deadline);
        let own = updates.chain(asks).fold(own, Time::min);
        Some(process.speaker.clock.of_all(own))
    }

    /// What its updaters want to say, with their places.
    pub(in crate::faults) fn exchanges(&mut self, now: Time) -> Vec<(usize, Exchange)> {
        let Some(process) = &mut self.process else { return Vec::new() };
        let own = process.speaker.clock.own(now);
        let mut exchanges = Vec::new();
        for (place, updater) in process.updaters.iter_mut().enumerate() {
            while let Some(effect) = updater.poll(own) {
                if let UpdaterEffect::Exchange(exchange) = effect {
                    exchanges.push((place, exchange));
                }
            }
        }
        exchanges
    }

    /// What came of an exchange; `None` if nothing came in time.
    pub(in crate::faults) fn replied(
        &mut self,
        now: Time,
        place: usize,
        replies: Option<Vec<Result<Reply, Failure>>>,
    ) {
        let Some(process) = &mut self.process else { return };
        let own = process.speaker.clock.own(now);
        let Some(updater) = process.updaters.get_mut(place) else { return };
        match replies {
            Some(replies) => updater.replied(own, &replies),
            None => updater.failed(own, Failure::Silent),
        }
    }

    /// The highest number in the marks of the name servers that it keeps up to date.
    pub(in crate::faults) fn marks(&self) -> Option<PlanNumber> {
        self.process.as_ref()?.marks()
    }

    /// Whether its updater of this name server waits longer each time, since that did not answer.
    pub(in crate::faults) fn waits_for(&self, settings: &NameServerSettings) -> bool {
        let Some(process) = &self.process else { return false };
        let mut updaters = process.updaters.iter();
        updaters
            .find(|it| it.settings() == settings)
            .is_some_and(|updater| updater.status(Time::from_nanos(u64::MAX)).problem.is_some())
    }

    /// The reply to a client.
    pub(in crate::faults) fn ask(
        &mut self,
        question: &Question,
        now: Time,
    ) -> Option<Result<Vec<u8>, SystemError>> {
        let process = self.process.as_mut()?;
        let own = process.speaker.clock.own(now);
        Some(process.compiled().ask(question, own))
    }
}

impl Process {
    fn marks(&self) -> Option<PlanNumber> {
        self.updaters.iter().filter_map(Updater::seen).max().cloned()
    }

    /// The name server, with the newest Plan.
    fn compiled(&mut self) -> &mut NameServer {
        if let Some(plan) = self.uncompiled.take() {
            self.name_server.apply(&plan);
        }
        &mut self.name_server
    }

    fn say(&mut self, message: Message) -> Said {
        let (session, sequence) = self.speaker.next();
        Said { session, sequence, message }
    }

    fn hello(&mut self, node: &Node) -> Said {
        // What it received, even if that is for another configuration than it has: a lower number would be of no use.
        let plan = self.receiver.held().map(|plan| plan.number.clone());
        let session = self.speaker.session;
        self.say(Message::Hello(Hello {
            role: Role::Director,
            name: node.name.clone(),
            session,
            versions: vec![VERSION],
            token: None,
            plan,
            refused: None,
            marks: self.marks(),
            program: String::new(),
        }))
    }

    fn observe(&mut self, own: Time) -> Said {
        let (session, sequence) = (self.speaker.session, self.speaker.sequence + 1);
        let passed = own.since(std::mem::replace(&mut self.observed_at, own));
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let observation = self.compiled().observe(session, sequence, millis);
        self.say(Message::Observation(observation))
    }
}
