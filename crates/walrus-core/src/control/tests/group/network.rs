//! Controllers that exchange real messages over a network in virtual time: who hears whom, how late, and what
//! is lost is the test's to say. Beside each stands a name server that takes what its Controller gives it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::harness::{TWO_CLUSTERS, busy, configuration, digests, name};
use crate::config::Configuration;
use crate::control::{
    Controller, Effect, GroupStart, GroupStatus, Input, Look, Lookout, Notice, ProbeOutcome,
    ProbeRequest, Start, Stored,
};
use crate::message::{Envelope, Message, Role, Senders, decode_envelope, encode_envelope};
use crate::plan::{Plan, PlanNumber, PlanReceiver, PlanSender};
use crate::world::{Generator, Name, Report, Time};

/// Small, so that Plans travel in parts.
const BYTES_MAX: usize = 2048;

/// How a Controller ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// With what it has stored.
    Crash,
    /// And its disk is gone.
    Lose,
}

pub(super) struct Network {
    pub(super) now: Time,
    pub(super) nodes: Vec<Node>,
    /// Name servers that probe, and have no Controller; numbered from [`WATCHERS`] on.
    pub(super) watchers: Vec<Watcher>,
    pub(super) configuration: Arc<Configuration>,
    /// On their way: (when, order) to whom.
    queue: BTreeMap<(Time, u64), (usize, Vec<u8>)>,
    order: u64,
    /// (from, to) between whom nothing gets through.
    cut: BTreeSet<(usize, usize)>,
    /// Servers that a Controller does not hear, and nobody there reaches.
    unheard: BTreeSet<(usize, Name)>,
    /// Who cannot look at present: probes find nothing out there, or, if that is set, never end.
    pub(super) cannot_look: BTreeMap<usize, bool>,
    /// Why probes fail that do.
    pub(super) reason: &'static str,
    /// Servers that are dead.
    pub(super) dead: BTreeSet<Name>,
    pub(super) delay: Duration,
    /// Who runs a program of before presences told sessions.
    pub(super) outdated: BTreeSet<usize>,
    /// All that this one says is written down, by whoever may listen.
    pub(super) taped: Option<usize>,
    pub(super) tape: Vec<Vec<u8>>,
    /// As programs of before, which say whom they hear without their sessions.
    pub(super) forgets_sessions: bool,
    /// Of 100 messages so many are lost, come twice, or late.
    pub(super) faults: u64,
    generator: Generator,
    next_reports: Time,
    sequence: u64,
    sessions: u64,
}

/// A name server that probes.
pub(super) struct Watcher {
    name: Name,
    pub(super) lookout: Option<Lookout>,
    session: u64,
    sequence: u64,
}

/// The number of the first of them.
pub(super) const WATCHERS: usize = 100;

pub(super) struct Node {
    pub(super) name: Name,
    pub(super) controller: Option<Controller>,
    stored: Stored,
    joined: u64,
    session: u64,
    sequence: u64,
    senders: Senders,
    receiver: PlanReceiver,
    sender: PlanSender,
    /// What its name server took, and when.
    pub(super) taken: Vec<(Time, Arc<Plan>)>,
    pub(super) warnings: Vec<String>,
    pub(super) notices: Vec<Notice>,
    /// Probes that nobody answered yet.
    probes: Vec<ProbeRequest>,
    /// How often it told how it sees servers.
    pub(super) sights: usize,
}

impl Network {
    /// Controllers `a`, `b` ... that start half a second apart, all of whom hear everything.
    pub(super) fn new(count: usize) -> Self {
        Self::with(TWO_CLUSTERS, count)
    }

    pub(super) fn with(text: &str, count: usize) -> Self {
        let mut network = Self {
            now: Time::from_secs(100),
            nodes: Vec::new(),
            watchers: Vec::new(),
            configuration: configuration(text),
            queue: BTreeMap::new(),
            order: 0,
            cut: BTreeSet::new(),
            unheard: BTreeSet::new(),
            cannot_look: BTreeMap::new(),
            reason: "refused",
            dead: BTreeSet::new(),
            delay: Duration::from_millis(40),
            outdated: BTreeSet::new(),
            taped: None,
            forgets_sessions: false,
            tape: Vec::new(),
            faults: 0,
            generator: Generator::new(7),
            next_reports: Time::from_secs(100),
            sequence: 0,
            sessions: 0,
        };
        for letter in ('a'..).take(count) {
            network.nodes.push(Node {
                name: name(&letter.to_string()),
                controller: None,
                stored: Stored::default(),
                joined: 0,
                session: 0,
                sequence: 0,
                senders: Senders::new(Duration::from_secs(3)),
                receiver: PlanReceiver::new(None),
                sender: PlanSender::default(),
                taken: Vec::new(),
                warnings: Vec::new(),
                notices: Vec::new(),
                probes: Vec::new(),
                sights: 0,
            });
            network.start(network.nodes.len() - 1);
            network.pass(500);
        }
        network
    }

    pub(super) fn seed(&mut self, seed: u64) {
        self.generator = Generator::new(seed);
    }

    /// A random number below this.
    pub(super) fn random(&mut self, below: u64) -> u64 {
        self.generator.draw() % below.max(1)
    }

    /// Starts a Controller from what it has stored.
    pub(super) fn start(&mut self, number: usize) {
        self.sessions += 1;
        let session = self.sessions;
        self.start_as(number, session);
    }

    pub(super) fn start_as(&mut self, number: usize, session: u64) {
        let node = &mut self.nodes[number];
        (node.session, node.sequence) = (session, 0);
        node.senders = Senders::new(Duration::from_secs(3));
        node.receiver = PlanReceiver::new(node.stored.plan.clone());
        let group = GroupStart { session, joined: node.joined, program: "1.0".to_owned() };
        let start = Start {
            configuration: self.configuration.clone(),
            digests: digests(&self.configuration),
            name: node.name.clone(),
            seed: 1,
            stored: node.stored.clone(),
            group: Some(group),
        };
        node.controller = Some(Controller::new(start, self.now));
        self.drain();
    }

    pub(super) fn stop(&mut self, number: usize, how: Stop) {
        let node = &mut self.nodes[number];
        node.controller = None;
        if how == Stop::Lose {
            node.stored = Stored::default();
            node.joined = 0;
        }
    }

    /// Nobody of one hears anybody of another.
    pub(super) fn split(&mut self, sides: &[&[usize]]) {
        self.cut.clear();
        for (number, one) in sides.iter().enumerate() {
            for other in sides.iter().enumerate().filter(|it| it.0 != number).map(|it| it.1) {
                self.cut.extend(one.iter().flat_map(|a| other.iter().map(|b| (*a, *b))));
            }
        }
    }

    /// `to` hears nothing of `from`.
    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    /// One more name server that probes, `n0` first.
    pub(super) fn watch(&mut self) {
        let name = name(&format!("n{}", self.watchers.len()));
        self.watchers.push(Watcher { name, lookout: None, session: 0, sequence: 0 });
        self.watch_again(WATCHERS + self.watchers.len() - 1);
    }

    /// Starts it.
    pub(super) fn watch_again(&mut self, number: usize) {
        self.sessions += 1;
        let lookout = Lookout::new(self.configuration.clone(), 9, self.now);
        let watcher = &mut self.watchers[number - WATCHERS];
        (watcher.lookout, watcher.session, watcher.sequence) = (Some(lookout), self.sessions, 0);
    }

    pub(super) fn stop_watching(&mut self, number: usize) {
        self.watchers[number - WATCHERS].lookout = None;
    }

    /// What a probe from there finds.
    fn probe(&self, number: usize, request: &ProbeRequest) -> Option<ProbeOutcome> {
        if let Some(never_ends) = self.cannot_look.get(&number) {
            let unknown = ProbeOutcome::Unknown("too many open files".to_owned());
            return (!never_ends).then_some(unknown);
        }
        let servers = &self.configuration.topology.servers;
        let server = servers.iter().find(|it| it.addresses.contains(&request.address)).unwrap();
        let is_dead = self.dead.contains(&server.name);
        Some(match is_dead || self.unheard.contains(&(number, server.name.clone())) {
            true => ProbeOutcome::Down(self.reason.to_owned()),
            false => ProbeOutcome::Up,
        })
    }

    /// All Controllers hear each other again.
    pub(super) fn join(&mut self) {
        self.cut.clear();
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
        self.unheard.clear();
    }

    /// A Controller hears of these servers again.
    pub(super) fn show(&mut self, number: usize, servers: &[&str]) {
        self.unheard.retain(|(it, server)| *it != number || !servers.contains(&server.as_str()));
    }

    /// A Controller hears nothing of these servers.
    pub(super) fn hide(&mut self, number: usize, servers: &[&str]) {
        self.unheard.extend(servers.iter().map(|server| (number, name(server))));
    }

    pub(super) fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        for _ in 0..3_000_000 {
            let at = self.next().max(self.now);
            if at > end {
                self.now = end;
                return;
            }
            self.now = at;
            if at >= self.next_reports {
                self.report();
            }
            while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= at) {
                let (to, bytes) = entry.remove();
                self.deliver(to, &bytes);
            }
            self.drain();
            for node in &self.nodes {
                let Some(controller) = &node.controller else { continue };
                let (deadline, why) = controller.next_deadline();
                assert!(deadline > self.now, "{}: {why} does not get done", node.name);
            }
        }
        panic!("time does not pass");
    }

    /// Until this holds; panics if it does not within so many milliseconds.
    pub(super) fn until(&mut self, millis: u64, mut holds: impl FnMut(&Self) -> bool) -> u64 {
        for passed in (0..=millis).step_by(50) {
            if holds(self) {
                return passed;
            }
            self.pass(50);
        }
        let numbers: Vec<_> = (0..self.nodes.len()).map(|number| self.number(number)).collect();
        let masters = self.masters();
        panic!(
            "it did not come to that within {millis} ms: masters {masters:?}, Plans {numbers:?}"
        );
    }

    fn next(&self) -> Time {
        let controllers = self.nodes.iter().filter_map(|node| {
            let controller = node.controller.as_ref()?.next_deadline().0;
            Some(node.receiver.next_deadline().map_or(controller, |at| at.min(controller)))
        });
        let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
        let watchers = self.watchers.iter().filter_map(|it| it.lookout.as_ref());
        let watchers = watchers.map(Lookout::next_deadline);
        controllers.chain(queued).chain(watchers).fold(self.next_reports, Time::min)
    }

    fn report(&mut self) {
        self.next_reports = self.now + Duration::from_secs(1);
        self.sequence += 1;
        for node in &mut self.nodes {
            let Some(controller) = node.controller.as_mut() else { continue };
            let plan = node.taken.last().map(|(_, plan)| plan.number.clone());
            let hello = Input::DirectorHello {
                director: node.name.clone(),
                plan,
                refused: None,
                marks: None,
            };
            controller.handle(self.now, hello).unwrap();
        }
        for server in &self.configuration.topology.servers {
            if self.dead.contains(&server.name) || !server.reporter {
                continue;
            }
            for (number, node) in self.nodes.iter_mut().enumerate() {
                let Some(controller) = node.controller.as_mut() else { continue };
                if self.unheard.contains(&(number, server.name.clone())) {
                    continue;
                }
                let report = Report {
                    server: server.name.clone(),
                    session: 1,
                    sequence: self.sequence,
                    unit_ms: 1000,
                    sent_unix_ms: 0,
                    version: None,
                    body: busy(0.2),
                    requests: None,
                };
                controller.handle(self.now, Input::Report(report)).unwrap();
            }
        }
    }

    fn deliver(&mut self, to: usize, bytes: &[u8]) {
        let now = self.now;
        let node = &mut self.nodes[to];
        let Some(controller) = node.controller.as_mut() else { return };
        let envelope = match self.outdated.contains(&to) {
            true => decode_envelope(&without_sessions(bytes)),
            false => decode_envelope(bytes),
        };
        let envelope = envelope.unwrap();
        if node.senders.admit(&envelope, now).is_err() {
            return;
        }
        let Envelope { role, name, session, message, .. } = envelope;
        match message {
            Message::Sights(sights) => {
                controller.handle(now, Input::Sights { role, name, session, sights }).unwrap();
            }
            Message::Presence(presence) => {
                if let Some(plan) = &presence.plan {
                    node.receiver.number_seen(now, plan);
                }
                // A session that another replaced may speak a last time.
                let _ = controller.handle(now, Input::Presence { name, session, presence });
            }
            Message::PlanPart(part) => {
                if let Some(plan) = node.receiver.take(now, part) {
                    controller.handle(now, Input::PlanHeard(plan)).unwrap();
                }
            }
            Message::PlanWanted(wanted) => {
                let held = wanted.held;
                controller.handle(now, Input::PlanWanted { name, held }).unwrap();
            }
            Message::Overrides { entries } => {
                controller.handle(now, Input::Overrides { from: name, entries }).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }

    /// All effects of all, and what they say on its way.
    pub(super) fn drain(&mut self) {
        for number in 0..self.nodes.len() {
            loop {
                let said = self.nodes[number].carry_out(self.now);
                for message in said {
                    self.send(number, message);
                }
                let probes = std::mem::take(&mut self.nodes[number].probes);
                if probes.is_empty() {
                    break;
                }
                for request in probes {
                    let target = request.target;
                    let Some(outcome) = self.probe(number, &request) else { continue };
                    let now = self.now;
                    self.controller(number).handle(now, Input::Probed { target, outcome }).unwrap();
                }
            }
        }
        for number in WATCHERS..WATCHERS + self.watchers.len() {
            self.look(number);
        }
    }

    fn look(&mut self, number: usize) {
        loop {
            let now = self.now;
            let watcher = &mut self.watchers[number - WATCHERS];
            let Some(look) = watcher.lookout.as_mut().and_then(|it| it.poll(now)) else { return };
            match look {
                Look::Say(sights) => self.send(number, Message::Sights(sights)),
                Look::Probe(request) => {
                    let Some(outcome) = self.probe(number, &request) else { continue };
                    let lookout = self.watchers[number - WATCHERS].lookout.as_mut().unwrap();
                    lookout.probed(now, request.target, outcome);
                }
            }
        }
    }

    fn send(&mut self, from: usize, message: Message) {
        let (role, name, session, sequence) = match from.checked_sub(WATCHERS) {
            None => {
                let node = &mut self.nodes[from];
                node.sequence += 1;
                node.sights += usize::from(matches!(message, Message::Sights(_)));
                (Role::Controller, node.name.clone(), node.session, node.sequence)
            }
            Some(watcher) => {
                let watcher = &mut self.watchers[watcher];
                watcher.sequence += 1;
                (Role::Director, watcher.name.clone(), watcher.session, watcher.sequence)
            }
        };
        let mut message = message;
        if let (true, Message::Presence(presence)) = (self.forgets_sessions, &mut message) {
            presence.heard.iter_mut().for_each(|heard| heard.session = None);
        }
        let envelope = Envelope { role, name, session, sequence, sent_unix_ms: 0, message };
        let mut bytes = encode_envelope(&envelope);
        if self.outdated.contains(&from) {
            bytes = without_sessions(&bytes);
        }
        assert!(bytes.len() <= BYTES_MAX || !matches!(envelope.message, Message::PlanPart(_)));
        if self.taped == Some(from) {
            self.tape.push(bytes.clone());
        }
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            if self.cut.contains(&(from, to)) {
                continue;
            }
            let fate = self.random(100);
            let copies = match fate {
                _ if fate >= self.faults => 1,
                _ if fate.is_multiple_of(2) => 0,
                _ => 2,
            };
            for _ in 0..copies {
                let late = if fate < self.faults { self.random(300) } else { 0 };
                let at = self.now + self.delay + Duration::from_millis(late);
                self.order += 1;
                self.queue.insert((at, self.order), (to, bytes.clone()));
            }
        }
    }

    /// Somebody says the oldest of what is on the tape again.
    pub(super) fn replay(&mut self, to: usize) {
        if !self.tape.is_empty() {
            let bytes = self.tape.remove(0);
            self.order += 1;
            self.queue.insert((self.now, self.order), (to, bytes));
        }
    }

    pub(super) fn controller(&mut self, number: usize) -> &mut Controller {
        self.nodes[number].controller.as_mut().unwrap()
    }

    pub(super) fn group(&self, number: usize) -> GroupStatus {
        let controller = self.nodes[number].controller.as_ref().unwrap();
        controller.status(self.now, 0).group.unwrap()
    }

    /// Who takes itself for the master.
    pub(super) fn masters(&self) -> String {
        let is_master = |it: &&Node| it.controller.as_ref().is_some_and(Controller::is_master);
        self.nodes.iter().filter(is_master).map(|node| node.name.as_str()).collect()
    }

    /// The number of the Plan that a name server has.
    pub(super) fn number(&self, number: usize) -> Option<PlanNumber> {
        self.nodes[number].taken.last().map(|(_, plan)| plan.number.clone())
    }

    /// Whether all that run have the same Plan.
    pub(super) fn agree(&self) -> bool {
        let running = (0..self.nodes.len()).filter(|it| self.nodes[*it].controller.is_some());
        let numbers: BTreeSet<_> = running.map(|number| self.number(number)).collect();
        numbers.len() == 1
    }
}

/// A message as a program writes and reads it that knows of no session but the sender's.
fn without_sessions(bytes: &[u8]) -> Vec<u8> {
    let mut message: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    for heard in message.get_mut("heard").and_then(|it| it.as_array_mut()).into_iter().flatten() {
        let heard = heard.as_object_mut().unwrap();
        heard.remove("session");
        heard.remove("unproved");
    }
    serde_json::to_vec(&message).unwrap()
}

impl Node {
    /// What it wants said.
    fn carry_out(&mut self, now: Time) -> Vec<Message> {
        let mut said = Vec::new();
        for _ in 0..10_000 {
            let Some(controller) = self.controller.as_mut() else { return said };
            let Some(effect) = controller.poll(now) else {
                said.extend(self.receiver.poll(now).map(Message::PlanWanted));
                return said;
            };
            match effect {
                Effect::StoreEpoch(epoch) => {
                    assert!(epoch > self.stored.epoch, "epochs rise");
                    self.stored.epoch = epoch;
                }
                Effect::StoreJoined(joined) => {
                    assert!(joined > self.joined, "join numbers rise");
                    self.joined = joined;
                }
                Effect::StoreOverrides(overrides) => self.stored.overrides = overrides,
                Effect::Publish(plan) => {
                    assert_eq!(plan.number.epoch, self.stored.epoch, "stored before it is used");
                    // What the others hold, whoever made it.
                    let parts = self.sender.parts(&plan, self.receiver.held(), BYTES_MAX);
                    said.extend(parts.into_iter().map(Message::PlanPart));
                    self.receiver.hold(plan.clone());
                    self.direct(plan, now);
                }
                Effect::Adopt(plan) => self.direct(plan, now),
                Effect::SendPlan(plan) => {
                    let parts = self.sender.whole(&plan, BYTES_MAX);
                    said.extend(parts.into_iter().map(Message::PlanPart));
                }
                Effect::Say(message) => {
                    if let Message::Presence(presence) = &message {
                        assert_eq!(presence.joined, self.joined, "stored before it is said");
                    }
                    said.push(message);
                }
                Effect::Warn(line) => self.warnings.push(line),
                Effect::Notify(notice) => self.notices.push(notice),
                Effect::Probe(request) => self.probes.push(request),
                Effect::Resolve(_) | Effect::Journal(_) => {}
            }
        }
        panic!("effects have no end");
    }

    /// Its name server refuses what is not newer than what it has.
    fn direct(&mut self, plan: Arc<Plan>, now: Time) {
        let held = self.taken.last().map(|(_, held)| &held.number);
        if held.is_none_or(|held| *held < plan.number) {
            self.stored.plan = Some(plan.clone());
            self.taken.push((now, plan));
        }
    }
}
