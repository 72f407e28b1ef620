//! This node in a group over NATS: as a name server that takes its Plans from there, as one that tells
//! what it saw, and as a Reporter. A Controller's part is the Controller's own.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use walrus_controller::ControllerBus;
use walrus_core::config::{Configuration, ReporterSettings};
use walrus_core::message::{Hello, Message, Role, VERSION};
use walrus_core::plan::{Plan, PlanNumber};
use walrus_core::world::{Name, Observation};
use walrus_host::bus::{Bus, BusEvent, BusStart, PlanEar};
use walrus_host::clock::Clock;
use walrus_host::log::{Limited, chain};
use walrus_host::seed::Seed;
use walrus_host::shutdown::Shutdown;

use super::Node;
use super::plan_taker::{AGAIN_AFTER, PlanTaker, Taken};

/// An observation is made shorter until it is below this share of the longest message.
const OBSERVATION_BYTES_MAX: usize = 512 << 10;

/// A connection to the group, and what is heard there.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) bus: Bus,
    pub(super) heard: mpsc::Receiver<BusEvent>,
    pub(super) session: u64,
}

impl Joined {
    /// For a Controller, which then hears everything.
    pub(super) fn for_controller(self) -> ControllerBus {
        let Self { bus, heard, session } = self;
        ControllerBus { bus, events: heard, session }
    }
}

/// Connects, if the configuration says so; returns at once.
pub(super) fn join(configuration: &Configuration, clock: &Clock, seed: Seed) -> Option<Joined> {
    let settings = configuration.group.nats.clone()?;
    let roles = configuration.node.roles;
    let mut voices: Vec<(Role, Name)> = Vec::new();
    let follows = roles.director || roles.updater;
    for (here, role) in [(roles.controller, Role::Controller), (follows, Role::Director)] {
        if here {
            voices.push((role, configuration.node.name.clone()));
        }
    }
    if let Some(reporter) = configuration.reporter.as_ref().filter(|_| roles.reporter)
        && reporter.controllers.is_empty()
    {
        voices.push((Role::Reporter, reporter.server.clone()));
    }
    let session = clock.unix_ms();
    let start = BusStart {
        settings,
        voices,
        session,
        detection: configuration.control.detection,
        clock: clock.clone(),
        seed: seed.for_part("bus"),
    };
    // It ends last of all (`Node::stop`): what the roles say when they end is to be heard.
    let (bus, heard) = Bus::connect(start, Shutdown::new());
    Some(Joined { bus, heard, session })
}

/// A connection for a Reporter alone.
pub(super) fn join_as_reporter(
    configuration: &Configuration,
    reporter: &ReporterSettings,
    session: u64,
    clock: &Clock,
    seed: u64,
    shutdown: &Shutdown,
) -> Option<(Bus, mpsc::Receiver<BusEvent>)> {
    let settings = configuration.group.nats.clone()?;
    let start = BusStart {
        settings,
        voices: vec![(Role::Reporter, reporter.server.clone())],
        session,
        detection: configuration.control.detection,
        clock: clock.clone(),
        seed,
    };
    Some(Bus::connect(start, shutdown.clone()))
}

/// Passes on what Controllers answer a Reporter, where nothing else is heard.
pub(super) async fn answer(mut heard: mpsc::Receiver<BusEvent>, reporter: mpsc::Sender<Message>) {
    while let Some(event) = heard.recv().await {
        // One that is behind hears the next.
        let _ = reporter.try_send(event.envelope.message);
    }
}

/// Takes Plans from the group, on a node without a Controller: the name server answers from each, and
/// it is written down. Passes on what is for a Reporter.
pub(super) async fn follow(
    node: Arc<Node>,
    joined: Joined,
    reporter: Option<mpsc::Sender<Message>>,
    given: watch::Sender<Option<Arc<Plan>>>,
    applied: watch::Sender<Option<PlanNumber>>,
) {
    let Joined { bus, mut heard, .. } = joined;
    // A kept Plan that the name server could not carry out is not held: the same one may come again.
    let held = match node.director() {
        Some(director) => director.plan(),
        None => given.borrow().clone(),
    };
    let (ear, mut plans) = PlanEar::new(bus, Role::Director, held, node.clock.clone());
    let follower = Follower {
        node: node.clone(),
        given,
        taker: PlanTaker::new(node.clone(), applied),
        refused: None,
        unstored: None,
        lines: Limited::new(Duration::from_secs(60)),
    };
    let running = tokio::spawn(async move { follower.run(&mut plans).await });
    *node.follower.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    while let Some(BusEvent { envelope, busy }) = heard.recv().await {
        match envelope.message {
            Message::Presence(presence) => {
                if let Some(number) = presence.plan {
                    ear.number(number);
                }
            }
            Message::PlanPart(part) => ear.part(part),
            answer @ (Message::Taken { .. } | Message::Refused { .. }) => {
                if let Some(reporter) = &reporter {
                    // One that is behind hears the next.
                    let _ = reporter.try_send(answer);
                }
            }
            _ => {}
        }
        drop(busy);
    }
}

/// Carries out the group's Plans.
struct Follower {
    node: Arc<Node>,
    given: watch::Sender<Option<Arc<Plan>>>,
    taker: PlanTaker,
    /// Newer than the Plan in force, and made for something else than is here: a reload may bring it.
    refused: Option<Arc<Plan>>,
    /// What the disk would not take.
    unstored: Option<Arc<Plan>>,
    lines: Limited,
}

impl Follower {
    async fn run(mut self, plans: &mut mpsc::Receiver<Arc<Plan>>) {
        loop {
            let waits = self.refused.is_some() || self.unstored.is_some();
            tokio::select! {
                biased;
                () = self.node.shutdown.requested() => return self.end().await,
                plan = plans.recv() => match plan {
                    Some(plan) => self.apply(plan).await,
                    None => return,
                },
                () = sleep(AGAIN_AFTER), if waits => {
                    if let Some(plan) = self.refused.take() {
                        self.apply(plan).await;
                    }
                    if let Some(plan) = self.unstored.take() {
                        self.store(plan).await;
                    }
                }
            }
        }
    }

    /// What the disk would not take is tried a last time.
    async fn end(mut self) {
        if let Some(plan) = self.unstored.take() {
            self.store(plan).await;
        }
    }

    /// One that is refused leaves the old in force.
    async fn apply(&mut self, plan: Arc<Plan>) {
        match self.taker.take(&plan).await {
            Taken::InForce => {
                self.refused = None;
                self.given.send_replace(Some(plan.clone()));
                self.store(plan).await;
            }
            Taken::NotNewer => {}
            Taken::Refused => self.refused = Some(plan),
        }
    }

    async fn store(&mut self, plan: Arc<Plan>) {
        let (state, stored) = (self.node.state.clone(), plan.clone());
        let problem = match spawn_blocking(move || state.store_plan(&stored)).await {
            Ok(Ok(())) => {
                self.unstored = None;
                return;
            }
            Ok(Err(error)) => chain(&error),
            Err(error) => error.to_string(),
        };
        if let Some(left_out) = self.lines.pass() {
            tracing::error!(problem, left_out, "the Plan is not written down");
        }
        self.unstored = Some(plan);
    }
}

/// Says which Plan the name server answers from, and which it refused: with each heartbeat, and at once when that changes or there is
/// a connection again.
pub(super) async fn say_hello(
    node: Arc<Node>,
    bus: Bus,
    session: u64,
    mut applied: watch::Receiver<Option<PlanNumber>>,
) {
    let mut connections = bus.connections();
    loop {
        let configuration = node.loaded().configuration;
        let hello = Hello {
            role: Role::Director,
            name: configuration.node.name.clone(),
            session,
            versions: vec![VERSION],
            token: None,
            plan: match node.director() {
                Some(director) => director.plan().map(|plan| plan.number.clone()),
                None => applied.borrow().clone(),
            },
            refused: node.refused_plan(),
            marks: node.updaters().seen(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        };
        bus.say(Role::Director, Message::Hello(hello));
        tokio::select! {
            _ = node.clock.sleep(configuration.control.detection / 3) => {}
            connected = connections.changed() => if connected.is_err() { return },
            changed = applied.changed() => if changed.is_err() { return },
        }
    }
}

/// Says what the name server saw.
pub(super) fn say_observation(bus: &Bus, observation: &Observation) {
    let allowed = bus.message_bytes_max().unwrap_or(OBSERVATION_BYTES_MAX);
    let bytes_max = (allowed / 2).min(OBSERVATION_BYTES_MAX);
    bus.say(Role::Director, Message::Observation(shortened(observation.clone(), bytes_max)));
}

/// So that it fits into a message: the lighter half of the domains is counted among the others, again
/// and again.
fn shortened(mut observation: Observation, bytes_max: usize) -> Observation {
    let len = |it: &Observation| serde_json::to_vec(it).map_or(0, |bytes| bytes.len());
    while len(&observation) > bytes_max
        && observation.services.iter().any(|service| !service.domains.is_empty())
    {
        for service in &mut observation.services {
            service.domains.sort_by(|a, b| b.queries.cmp(&a.queries).then(a.domain.cmp(&b.domain)));
            let rest = service.domains.split_off(service.domains.len() / 2);
            let queries = rest.iter().fold(0_u64, |sum, it| sum.saturating_add(it.queries));
            service.rest = service.rest.saturating_add(queries);
        }
    }
    observation
}

#[cfg(test)]
mod tests {
    use walrus_core::world::{DomainCount, ServiceCounts};

    use super::*;

    #[test]
    fn a_long_observation_loses_domains_and_no_query() {
        let domain = |index: u64| DomainCount {
            domain: format!("2001:db8:{index:x}::/48"),
            queries: index,
            error: 0,
        };
        let observation = Observation {
            services: vec![ServiceCounts {
                service: "www.walrus.example".to_owned(),
                domains: (1..=1000).map(domain).collect(),
                rest: 7,
                ..ServiceCounts::default()
            }],
            ..Observation::default()
        };
        assert_eq!(shortened(observation.clone(), 1 << 20), observation);
        let shorter = shortened(observation, 10_000);
        let service = &shorter.services[0];
        assert!(serde_json::to_vec(&shorter).unwrap().len() <= 10_000);
        assert!(service.domains.len() > 50 && service.domains[0].queries == 1000);
        let named: u64 = service.domains.iter().map(|it| it.queries).sum();
        assert_eq!(named + service.rest, 7 + 1000 * 1001 / 2);
        assert_eq!(shortened(shorter, 0).services[0].domains, Vec::new(), "and comes to an end");
    }
}
