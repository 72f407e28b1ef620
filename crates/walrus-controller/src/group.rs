//! The Controller's side of the group over the bus: what is heard becomes inputs of the core, what the
//! core says goes out.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use walrus_core::control::{Inbox, Input};
use walrus_core::message::{Envelope, Message, Role};
use walrus_core::plan::Plan;
use walrus_core::world::{Name, Report};
use walrus_host::bus::{Bus, BusEvent, PlanEar, PlanVoice};
use walrus_host::clock::Clock;

/// A connection to the group with what is heard there, for a Controller to take part with.
#[derive(Debug)]
pub struct ControllerBus {
    /// To speak with; one of its voices is the Controller's.
    pub bus: Bus,
    /// What is heard.
    pub events: mpsc::Receiver<BusEvent>,
    /// The session that the voices speak with.
    pub session: u64,
}

/// What was heard of the group.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the largest is the commonest, and none is stored")]
pub(crate) enum Heard {
    Event(BusEvent),
    /// Another Controller's Plan, complete.
    Plan(Arc<Plan>),
    /// There is a connection to the group again.
    Connected,
}

/// The queues of what was heard.
#[derive(Debug)]
pub(crate) struct Queues {
    events: mpsc::Receiver<BusEvent>,
    plans: mpsc::Receiver<Arc<Plan>>,
    connections: watch::Receiver<u64>,
}

/// What the core is to be told.
#[derive(Debug)]
pub(crate) enum Told {
    /// A Reporter waits for an answer.
    Report(Report),
    /// Nobody waits.
    Input(Input),
}

/// The voice of a Controller in its group.
#[derive(Debug)]
pub(crate) struct Group {
    bus: Bus,
    voice: PlanVoice,
    ear: PlanEar,
    /// The Plan that all have who are not behind.
    last: Option<Arc<Plan>>,
}

impl Group {
    /// Of a Controller that begins with this Plan.
    pub(crate) fn new(bus: ControllerBus, held: Option<Arc<Plan>>, clock: Clock) -> (Self, Queues) {
        let ControllerBus { bus, events, .. } = bus;
        let (ear, plans) = PlanEar::new(bus.clone(), Role::Controller, held.clone(), clock);
        let voice = PlanVoice::new(bus.clone());
        let connections = bus.connections();
        (Self { bus, voice, ear, last: held }, Queues { events, plans, connections })
    }

    /// What the core is to hear of a message, if anything.
    pub(crate) fn take(&self, envelope: Envelope) -> Option<Told> {
        match Inbox::of(envelope) {
            Inbox::Input(Input::Report(report)) => Some(Told::Report(report)),
            Inbox::Input(input) => {
                if let Input::Presence { presence, .. } = &input
                    && let Some(number) = &presence.plan
                {
                    self.ear.number(number.clone());
                }
                Some(Told::Input(input))
            }
            Inbox::PlanPart(part) => {
                self.ear.part(part);
                None
            }
            // Answers to this process' Reporter, who is answered here.
            Inbox::Nothing => None,
        }
    }

    pub(crate) fn say(&self, message: Message) {
        self.bus.say(Role::Controller, message);
    }

    /// Answers a Reporter.
    pub(crate) fn answer(&self, server: Name, message: Message) {
        self.bus.say_to(Role::Controller, (Role::Reporter, server), message);
    }

    /// A Plan of this Controller's own: all are to have it.
    pub(crate) fn publish(&mut self, plan: &Arc<Plan>) {
        let before = self.last.replace(plan.clone());
        self.ear.held(plan.clone());
        self.voice.say(plan.clone(), before);
    }

    /// Another's Plan, which is in force now.
    pub(crate) fn adopt(&mut self, plan: &Arc<Plan>) {
        self.last = Some(plan.clone());
        self.ear.held(plan.clone());
    }

    /// Somebody lacks this.
    pub(crate) fn send_whole(&self, plan: Arc<Plan>) {
        self.voice.say(plan, None);
    }
}

/// The next thing that is heard; never, without a group. To be dropped and called again at will.
pub(crate) async fn next(queues: &mut Option<Queues>) -> Heard {
    let Some(Queues { events, plans, connections }) = queues else {
        return std::future::pending().await;
    };
    tokio::select! {
        Some(event) = events.recv() => Heard::Event(event),
        Some(plan) = plans.recv() => Heard::Plan(plan),
        Ok(()) = connections.changed() => Heard::Connected,
        // The group ended: it is never heard again.
        else => std::future::pending().await,
    }
}

/// What waits.
pub(crate) fn waiting(queues: &mut Option<Queues>) -> Option<Heard> {
    let Queues { events, plans, .. } = queues.as_mut()?;
    if let Ok(event) = events.try_recv() {
        return Some(Heard::Event(event));
    }
    plans.try_recv().ok().map(Heard::Plan)
}
