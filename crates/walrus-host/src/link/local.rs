//! A Reporter in the Controller's own process.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use walrus_core::message::{Message, Role};
use walrus_core::world::Name;

use super::{LinkStatus, Newest, lock};
use crate::bus::Bus;
use crate::clock::Clock;
use crate::group::{GroupEvent, GroupEventKind, Reply};

/// Hands reports over until the link or the Controller is gone. A refusal is kept for the status
/// and nothing ends: there is no connection to close.
pub(super) async fn speak(
    (name, session): (Name, u64),
    (events, others): (mpsc::Sender<GroupEvent>, Option<Bus>),
    clock: Clock,
    mut newest: Newest,
    status: Arc<Mutex<LinkStatus>>,
) {
    let role = Role::Reporter;
    let (reply, mut answers) = Reply::new(clock.activity().clone());
    let event = |kind, busy| GroupEvent { kind, reply: reply.clone(), busy };
    let hello = GroupEventKind::Hello { role, name: name.clone(), session, plan: None, peer: None };
    if events.send(event(hello, clock.activity().begin())).await.is_err() {
        return;
    }
    {
        let mut status = lock(&status);
        status.controller = Some("this process".to_owned());
        status.connections = 1;
    }
    loop {
        tokio::select! {
            changed = newest.changed() => {
                if changed.is_err() {
                    break;
                }
                let Some(queued) = newest.borrow_and_update().clone() else { continue };
                let busy = queued.busy.lock().unwrap_or_else(PoisonError::into_inner).take();
                let busy = busy.unwrap_or_else(|| clock.activity().begin());
                let message = Message::Report(queued.report.clone());
                if let Some(others) = &others {
                    others.say(Role::Reporter, message.clone());
                }
                let kind = GroupEventKind::Message { role, name: name.clone(), session, message };
                if events.send(event(kind, busy)).await.is_err() {
                    break;
                }
            }
            Some(answer) = answers.recv() => {
                let mut status = lock(&status);
                match *answer.message {
                    Message::Taken { session, sequence } => {
                        status.taken = Some((session, sequence));
                        status.taken_at = Some(clock.now());
                        status.problem = None;
                    }
                    Message::Refused { reason } => status.problem = Some(reason),
                    // Nothing else is for a Reporter.
                    _ => {}
                }
            }
        }
    }
    let gone = GroupEventKind::Gone { role, name: name.clone(), session };
    let _ = events.send(event(gone, clock.activity().begin())).await;
}
