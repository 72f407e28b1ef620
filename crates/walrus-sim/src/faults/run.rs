//! One run: nodes, network, schedule and rules in virtual time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use walrus_core::control::{ProbeOutcome, ProbeRequest};
use walrus_core::message::{Envelope, Message, decode_envelope, encode_envelope};
use walrus_core::plan::Plan;
use walrus_core::world::Time;

use super::agenda::{Agenda, Due};
use super::chance::Chance;
use super::disk::Disk;
use super::network::Network;
use super::node::{ControllerNode, DirectorNode, Done, Said, ServerNode, Took, ZoneNode};
use super::report::{FaultCounts, FaultsRun, Trace};
use super::schedule::{Disturbance, Happening, Keeps, schedule};
use super::settled::Settled;
use super::watch::{Breaches, Marks, Moves, Numbers, Rule};
use super::world::{NodeId, World};
use super::{FaultOptions, Sabotage, length};

/// How often the rules are looked at that hold at all times.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A node that is polled so often at one instant does not let time pass.
const POLLS_MAX: u32 = 10_000;

/// One run.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) world: &'a World,
    pub(super) sabotage: Sabotage,
    pub(super) now: Time,
    pub(super) calm_at: Time,
    end: Time,
    pub(super) schedule: Vec<Happening>,
    pub(super) network: Network,
    pub(super) controllers: Vec<ControllerNode>,
    pub(super) directors: Vec<DirectorNode>,
    pub(super) servers: Vec<ServerNode>,
    pub(super) zones: Vec<ZoneNode>,
    pub(super) agenda: Agenda,
    /// For when each process is on the agenda.
    wakes: Vec<Time>,
    polls: (Time, u32),
    /// Servers by address.
    addresses: BTreeMap<IpAddr, NodeId>,
    pub(super) breaches: Breaches,
    pub(super) numbers: Numbers,
    pub(super) marks: Marks,
    pub(super) moves: Vec<Moves>,
    pub(super) settled: Settled,
    /// The Plan by which each Director was asked last.
    pub(super) asked: Vec<Option<Arc<Plan>>>,
    pub(super) counts: FaultCounts,
    pub(super) trace: Trace,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        world: &'a World,
        options: &FaultOptions,
        sabotage: Sabotage,
    ) -> Result<Self, String> {
        let calm_at = Time::ZERO + length(options);
        let first = &world.configurations[0];
        let controller = |node| ControllerNode::new(node, first, sabotage);
        let director = |number: usize| {
            let of = world.zones.iter().filter(|zone| zone.updaters.contains(&number));
            let zones = of.map(|zone| zone.settings.clone()).collect();
            let node = &world.nodes[world.controllers + number];
            DirectorNode::new(node, world.seed, (first, zones), sabotage)
        };
        let known = &world.configurations[1].topology.servers;
        let mut addresses = BTreeMap::new();
        let mut servers = Vec::new();
        for id in world.server_nodes() {
            let node = &world.nodes[id];
            let server = known.iter().find(|it| it.name == node.name);
            let server = server.ok_or_else(|| format!("{} is not configured", node.name))?;
            addresses.extend(server.addresses.iter().map(|address| (*address, id)));
            servers.push(ServerNode::new(node, world.unit, server.reporter));
        }
        let mut run = Self {
            world,
            sabotage,
            now: Time::ZERO,
            calm_at,
            end: calm_at + Settled::within(world) + 2 * LOOK_EVERY,
            schedule: schedule(world, calm_at),
            network: Network::new(world),
            controllers: world.nodes[..world.controllers].iter().map(controller).collect(),
            directors: (0..world.directors).map(director).collect(),
            servers,
            zones: world.zones.iter().map(|zone| ZoneNode::new(&zone.settings)).collect(),
            agenda: Agenda::default(),
            wakes: vec![Time::from_nanos(u64::MAX); world.nodes.len()],
            polls: (Time::ZERO, 0),
            addresses,
            breaches: Breaches::default(),
            numbers: Numbers::default(),
            marks: Marks::default(),
            moves: (0..world.controllers).map(|_| Moves::default()).collect(),
            settled: Settled::default(),
            asked: vec![None; world.directors],
            counts: FaultCounts::default(),
            trace: Trace::new(options.trace),
        };
        run.fill_agenda();
        Ok(run)
    }

    fn fill_agenda(&mut self) {
        let mut chance = Chance::new(self.world.seed, 4);
        let speaking = &self.world.nodes[..self.world.server_nodes().end];
        for (id, node) in speaking.iter().enumerate() {
            self.agenda.put(node.starts, Due::First(id));
        }
        for (place, happening) in self.schedule.iter().enumerate() {
            self.agenda.put(happening.begins, Due::Begins(place));
            if happening.ends > happening.begins {
                self.agenda.put(happening.ends, Due::Ends(place));
            }
            if let Disturbance::Down(node, Keeps::Older) = happening.what {
                let before = chance.up_to(happening.begins.since(Time::ZERO));
                self.agenda.put(Time::ZERO + before, Due::Copy(node));
            }
        }
        self.agenda.put(self.calm_at, Due::Calm);
        self.agenda.put(Time::ZERO + LOOK_EVERY, Due::Look);
    }

    /// Until the end, or until a rule is broken.
    pub(super) fn finish(mut self) -> FaultsRun {
        while let Some((at, due)) = self.agenda.pop() {
            if at > self.end || !self.breaches.is_empty() {
                break;
            }
            self.now = self.now.max(at);
            self.happen(due);
        }
        if self.breaches.is_empty() {
            self.now = self.end;
            self.look_settled();
        }
        FaultsRun::of(self)
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::First(node) => self.start(node, Keeps::All),
            Due::Begins(place) => self.set(place, true),
            Due::Ends(place) => self.set(place, false),
            Due::Copy(node) => self.disk(node, Disk::copy),
            Due::Wake(node) => {
                if self.wakes[node] <= self.now {
                    self.wakes[node] = Time::from_nanos(u64::MAX);
                    self.poll(node);
                }
            }
            Due::Report(node) => {
                self.agenda.put(self.now + self.world.unit, Due::Report(node));
                self.report(node);
            }
            Due::Arrives { from, to, message } => self.arrives(from, to, &message),
            Due::Probed { controller, process, target, outcome } => {
                if self.controllers[controller].starts() == process {
                    self.controllers[controller].probed(self.now, target, outcome);
                    self.poll(controller);
                }
            }
            Due::Asks(updating, exchange) => self.asks(updating, &exchange),
            Due::Answers(updating, replies) => self.answers(updating, replies),
            Due::Look => {
                self.agenda.put(self.now + LOOK_EVERY, Due::Look);
                self.look_settled();
            }
            Due::Calm => self.calm(),
        }
    }

    pub(super) fn report(&mut self, node: NodeId) {
        let server = &mut self.servers[node - self.world.server_nodes().start];
        let undead = self.sabotage == Sabotage::Undead && server.condition.down > 0;
        let down = std::mem::replace(&mut server.condition.down, 0);
        let said = if down == 0 || undead { server.report(self.now) } else { None };
        server.condition.down = down;
        if let Some(said) = said {
            self.say(node, said);
        }
    }

    /// Sends a message to all who want to hear of it.
    fn say(&mut self, from: NodeId, said: Said) {
        let Said { session, sequence, mut message } = said;
        if let Message::Hello(hello) = &mut message
            && let Some(plan) = hello.plan.as_mut().filter(|_| self.sabotage == Sabotage::Boasting)
        {
            plan.epoch += sequence;
        }
        let node = &self.world.nodes[from];
        let (Some(role), name) = (node.role, node.name.clone()) else { return };
        let all = self.listeners(from, &message);
        let bytes =
            encode_envelope(&Envelope { role, name, session, sequence, sent_unix_ms: 0, message });
        self.counts.messages += 1;
        self.counts.bytes += bytes.len() as u64;
        // All receivers read the same bytes: they are read once.
        let envelope = match decode_envelope(&bytes) {
            Ok(envelope) => envelope,
            Err(why) => {
                return self.breaches.tell(self.now, Rule::Bounded, || {
                    format!("what {} says cannot be read: {why}", self.world.nodes[from].name)
                });
            }
        };
        let message = Rc::new(envelope);
        for to in all {
            let copies = self.network.send(from, to);
            let lost = copies.iter().next().is_none() || self.sabotage == Sabotage::AllLost;
            if lost {
                self.counts.lost += 1;
                continue;
            }
            for delay in copies.iter() {
                let message = Rc::clone(&message);
                self.agenda.put(self.now + delay, Due::Arrives { from, to, message });
            }
        }
    }

    /// Where a Controller is, it hears what comes, and no Director beside it; nobody hears his own process.
    fn listeners(&self, from: NodeId, message: &Message) -> impl Iterator<Item = NodeId> + use<> {
        let (world, own) = (self.world, self.world.machine(from));
        let all = match message {
            Message::Presence(_) | Message::PlanPart(_) => 0..world.server_nodes().start,
            _ => 0..world.controllers,
        };
        let hears = |to: &NodeId| *to != own && world.controller_beside(*to).is_none();
        all.filter(hears).collect::<Vec<_>>().into_iter()
    }

    fn arrives(&mut self, from: NodeId, to: NodeId, message: &Envelope) {
        let kind = &message.message;
        let is_kept_back = match kind {
            Message::Presence(_) => self.sabotage == Sabotage::NoPresence,
            Message::Overrides { .. } => self.sabotage == Sabotage::NoOverrides,
            Message::Report(_) => self.sabotage == Sabotage::Unheard,
            _ => false,
        };
        if !self.network.passes(from, to) || is_kept_back {
            self.counts.lost += 1;
            return;
        }
        let envelope = message.clone();
        match to.checked_sub(self.world.controllers) {
            None => {
                if let Err(why) = self.controllers[to].take(self.now, envelope) {
                    self.counts.refused += 1;
                    self.note(|world| {
                        let (to, from) = (&world.nodes[to].name, &world.nodes[from].name);
                        format!("{to} refuses a {} of {from}: {why}", kind.kind())
                    });
                }
                self.poll(to);
            }
            Some(director) => {
                let took = self.directors[director].take(self.now, envelope);
                self.took(director, took);
                self.poll(to);
            }
        }
    }

    /// A Director took a Plan, or did not.
    pub(super) fn took(&mut self, director: usize, took: Took) {
        let node = self.world.controllers + director;
        match took {
            Took::Nothing => {}
            Took::Refused(why) => {
                self.counts.refused += 1;
                self.note(|world| format!("{} refuses: {why}", world.nodes[node].name));
            }
            Took::Plan(plan) => {
                self.note(|world| {
                    format!("{} answers from Plan {}", world.nodes[node].name, plan.number)
                });
                let who = (director, self.world.nodes[node].name.as_str());
                self.numbers.taken(&mut self.breaches, self.now, who, &plan);
                self.look_at_answers(director);
            }
        }
    }

    /// Lets a process do what is due.
    pub(super) fn poll(&mut self, node: NodeId) {
        if self.polls.0 == self.now {
            self.polls.1 += 1;
        } else {
            self.polls = (self.now, 0);
        }
        if self.polls.1 > POLLS_MAX {
            return self.breaches.tell(self.now, Rule::TimePasses, || {
                let name = &self.world.nodes[node].name;
                format!("{name} is called again and again at one instant")
            });
        }
        let deadline = match node.checked_sub(self.world.controllers) {
            None => {
                for done in self.controllers[node].poll(self.now) {
                    self.done(node, done);
                }
                self.controllers[node].next_deadline().map(|(at, _)| at)
            }
            Some(director) => {
                for said in self.directors[director].poll(self.now) {
                    self.tell_beside(node, &said.message);
                    self.say(node, said);
                }
                for (place, exchange) in self.directors[director].exchanges(self.now) {
                    self.begin_exchange(director, place, exchange);
                }
                self.directors[director].next_deadline()
            }
        };
        let Some(deadline) = deadline else { return };
        let is_restless = self.sabotage == Sabotage::Restless;
        let deadline = if is_restless { self.now } else { deadline.max(self.now) };
        if deadline < self.wakes[node] || self.wakes[node] <= self.now {
            self.wakes[node] = deadline;
            self.agenda.put(deadline, Due::Wake(node));
        }
    }

    /// What a Controller did.
    fn done(&mut self, node: NodeId, done: Done) {
        match done {
            Done::Said(said) => self.say(node, *said),
            Done::Probe(request) => self.probe(node, &request),
            Done::Epoch(epoch) => {
                let refused = self.controllers[node].disk.is_refusing();
                self.settled.epoch(node, refused);
                self.note(|world| format!("{} takes epoch {epoch}", world.nodes[node].name));
            }
            Done::Published(plan, stored) => {
                self.counts.plans += 1;
                self.note(|world| published(world, node, &plan));
                let who = (node, self.world.nodes[node].name.as_str());
                self.numbers.published(&mut self.breaches, self.now, who, &plan, stored);
                let configuration = &self.controllers[node].configuration.1;
                self.moves[node].published(&mut self.breaches, self.now, &plan, configuration);
                self.settled.published(node, self.now, &plan);
                if self.controllers[node].disk.is_refusing() {
                    self.settled.epoch(node, true);
                }
                self.give_beside(node, &plan);
            }
            Done::Adopted(plan) => {
                self.note(|world| {
                    format!("{} adopts Plan {}", world.nodes[node].name, plan.number)
                });
                self.moves[node].adopted(self.now, &plan);
                self.give_beside(node, &plan);
            }
            Done::Warned(text) => {
                self.note(|world| format!("{} warns: {text}", world.nodes[node].name));
            }
        }
    }

    fn probe(&mut self, controller: NodeId, request: &ProbeRequest) {
        let server = self.addresses.get(&request.address).copied();
        let (after, outcome) = match server {
            Some(id) if self.network.connects(controller, id) => {
                match self.server(id).serves() || self.sabotage == Sabotage::Undead {
                    true => (Duration::from_millis(20), ProbeOutcome::Up),
                    false => (request.timeout, ProbeOutcome::Down("timed out".to_owned())),
                }
            }
            _ => (request.timeout, ProbeOutcome::Down("timed out".to_owned())),
        };
        let process = self.controllers[controller].starts();
        let target = request.target;
        let due = Due::Probed { controller, process, target, outcome };
        self.agenda.put(self.now + after, due);
    }

    /// When the run ends.
    pub(super) const fn end(&self) -> Time {
        self.end
    }

    pub(super) fn note(&mut self, line: impl FnOnce(&World) -> String) {
        self.trace.note(self.now, || line(self.world));
    }
}

/// A Plan in a line.
fn published(world: &World, node: NodeId, plan: &Plan) -> String {
    let out = plan.servers.iter().filter(|it| it.life != walrus_core::world::Life::Living);
    let out: Vec<String> = out.map(|it| format!("{} {}", it.name, it.life.as_str())).collect();
    let place = |area: &walrus_core::plan::AreaPlan| {
        let clusters: Vec<&str> = area.clusters.iter().map(|(name, _)| name.as_str()).collect();
        format!("{}={}", area.area, clusters.join("+"))
    };
    let services = plan.services.iter().map(|service| {
        let areas: Vec<String> = service.areas.iter().map(place).collect();
        format!("{}: {}", service.name, areas.join(" "))
    });
    let services: Vec<String> = services.collect();
    let name = &world.nodes[node].name;
    format!("{name} publishes Plan {} [{}] {}", plan.number, out.join(", "), services.join("; "))
}
