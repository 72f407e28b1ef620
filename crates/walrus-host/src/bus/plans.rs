//! Plans over the bus: whole or as differences, in parts, and asked for when one is lacking.
//!
//! Both sides work beside those who use them, for a large Plan takes tens of milliseconds to write as
//! text and to read.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use walrus_core::message::{Message, Role};
use walrus_core::plan::{PLAN_PARTS_MAX, Plan, PlanNumber, PlanPart, PlanReceiver, PlanSender};

use super::Bus;
use crate::clock::Clock;

/// Parts and numbers that wait: of the longest Plan some hundred parts.
const NEWS_MAX: usize = 1024;
/// Plans that wait to be said, or to be taken up.
const PLANS_MAX: usize = 16;
/// The longest message with a part, in bytes: a quarter of NATS' own limit, so that heartbeats come
/// between two parts on a slow line.
const PART_BYTES_MAX: usize = 256 << 10;

/// Says Plans to the group. Cheap to clone; ends with its last clone.
#[derive(Clone, Debug)]
pub struct PlanVoice(mpsc::Sender<Said>);

#[derive(Debug)]
struct Said {
    plan: Arc<Plan>,
    /// Everybody who is not behind holds this one; `None`: say it whole.
    before: Option<Arc<Plan>>,
}

impl PlanVoice {
    /// Begins to listen for what is to be said. Must be called inside a runtime.
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        let (said, mut queue) = mpsc::channel::<Said>(PLANS_MAX);
        tokio::spawn(async move {
            let mut sender = PlanSender::default();
            while let Some(Said { plan, before }) = queue.recv().await {
                let allowed = bus.message_bytes_max().unwrap_or(PART_BYTES_MAX);
                let bytes_max = allowed.min(PART_BYTES_MAX);
                let cut = spawn_blocking(move || {
                    let parts = match &before {
                        Some(before) => sender.parts(&plan, Some(before), bytes_max),
                        None => sender.whole(&plan, bytes_max),
                    };
                    (sender, parts)
                });
                let Ok((again, parts)) = cut.await else {
                    tracing::error!("a Plan could not be taken to pieces, and was not said");
                    sender = PlanSender::default();
                    continue;
                };
                sender = again;
                if parts.len() > PLAN_PARTS_MAX as usize {
                    bus.cannot_say(format!(
                        "a Plan of {} parts was not said, for nobody takes more than {PLAN_PARTS_MAX}: raise \
                         the NATS servers' max_payload",
                        parts.len()
                    ));
                    continue;
                }
                for part in parts {
                    bus.say(Role::Controller, Message::PlanPart(part));
                }
            }
        });
        Self(said)
    }

    /// A new Plan, as a difference to the one before it where that is shorter. Never waits: whoever
    /// does not hear of it asks for it.
    pub fn say(&self, plan: Arc<Plan>, before: Option<Arc<Plan>>) {
        let _ = self.0.try_send(Said { plan, before });
    }
}

/// Puts Plans together that the group says, and asks for those that are lacking.
#[derive(Clone, Debug)]
pub struct PlanEar(mpsc::Sender<News>);

#[derive(Debug)]
enum News {
    Part(Box<PlanPart>),
    Number(PlanNumber),
    Held(Arc<Plan>),
}

impl PlanEar {
    /// Begins to listen, as one of the bus's voices that holds this Plan. Complete Plans come out of
    /// the queue, each newer than the one before. Must be called inside a runtime.
    #[must_use]
    pub fn new(
        bus: Bus,
        role: Role,
        held: Option<Arc<Plan>>,
        clock: Clock,
    ) -> (Self, mpsc::Receiver<Arc<Plan>>) {
        let (news, queue) = mpsc::channel(NEWS_MAX);
        let (plans, complete) = mpsc::channel(PLANS_MAX);
        tokio::spawn(listen(PlanReceiver::new(held), queue, plans, (bus, role), clock));
        (Self(news), complete)
    }

    /// A part came in. Never waits: what an ear that is behind loses is asked for again.
    pub fn part(&self, part: PlanPart) {
        let _ = self.0.try_send(News::Part(Box::new(part)));
    }

    /// Somebody says that there is a Plan of this number. Never waits: it is said again.
    pub fn number(&self, number: PlanNumber) {
        let _ = self.0.try_send(News::Number(number));
    }

    /// A Plan came another way: the Controller's own. Never waits: what is lost here is asked for once
    /// too often.
    pub fn held(&self, plan: Arc<Plan>) {
        let _ = self.0.try_send(News::Held(plan));
    }
}

async fn listen(
    mut receiver: PlanReceiver,
    mut queue: mpsc::Receiver<News>,
    plans: mpsc::Sender<Arc<Plan>>,
    (bus, role): (Bus, Role),
    clock: Clock,
) {
    loop {
        let deadline = receiver.next_deadline();
        let due = async {
            match deadline {
                // Never in a busy loop, whatever the deadline says.
                Some(at) => clock.sleep_until(at.max(clock.now() + Duration::from_millis(1))).await,
                None => std::future::pending().await,
            }
        };
        let news = tokio::select! {
            news = queue.recv() => match news {
                Some(news) => Some(news),
                None => return,
            },
            _ = due => None,
        };
        let now = clock.now();
        let complete = match news {
            Some(News::Part(part)) => {
                // The last part of a long Plan takes its time.
                let held = receiver.held().cloned();
                let taken = spawn_blocking(move || {
                    let complete = receiver.take(now, *part);
                    (receiver, complete)
                });
                match taken.await {
                    Ok((again, complete)) => {
                        receiver = again;
                        complete
                    }
                    Err(_) => {
                        tracing::error!(
                            "a Plan could not be put together; the next one is waited for"
                        );
                        receiver = PlanReceiver::new(held);
                        None
                    }
                }
            }
            Some(News::Number(number)) => {
                receiver.number_seen(now, &number);
                None
            }
            Some(News::Held(plan)) => {
                receiver.hold(plan);
                None
            }
            None => None,
        };
        if let Some(plan) = complete
            && plans.send(plan).await.is_err()
        {
            return;
        }
        if let Some(wanted) = receiver.poll(now) {
            bus.say(role, Message::PlanWanted(wanted));
        }
    }
}
