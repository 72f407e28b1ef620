//! A Reporter whose reports go over the bus, to all Controllers at once.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use walrus_core::message::{Message, Role};

use super::{LinkStatus, Newest, lock};
use crate::bus::Bus;
use crate::clock::Clock;

/// Says reports until the link is gone, and takes in what is said of them: whichever Controller is
/// master says whether it took them. The newest is said again on a new connection.
pub(super) async fn speak(
    bus: Bus,
    mut answers: mpsc::Receiver<Message>,
    clock: Clock,
    mut newest: Newest,
    status: Arc<Mutex<LinkStatus>>,
) {
    let mut connections = bus.connections();
    let mut sequence = 0;
    loop {
        let say = tokio::select! {
            changed = newest.changed() => match changed {
                Ok(()) => true,
                Err(_) => return,
            },
            connected = connections.changed() => {
                if connected.is_err() {
                    return;
                }
                lock(&status).connections = *connections.borrow_and_update();
                true
            }
            Some(answer) = answers.recv() => {
                take(&answer, &clock, &status);
                false
            }
        };
        let queued = newest.borrow_and_update().clone();
        if let Some(queued) = queued.filter(|_| say)
            && clock.now().since(queued.at) <= queued.report.unit()
        {
            let mut report = queued.report.clone();
            sequence = report.sequence.max(sequence + 1);
            report.sequence = sequence;
            bus.say(Role::Reporter, Message::Report(report));
        }
        let fares = bus.status();
        let mut status = lock(&status);
        status.controller = fares.server.map(|server| format!("the group by {server}"));
        if let Some(problem) = fares.problems.into_iter().next() {
            status.problem = Some(problem);
        }
    }
}

fn take(answer: &Message, clock: &Clock, status: &Mutex<LinkStatus>) {
    let mut status = lock(status);
    match answer {
        Message::Taken { session, sequence } => {
            status.taken = Some((*session, *sequence));
            status.taken_at = Some(clock.now());
            status.problem = None;
        }
        Message::Refused { reason } => {
            if status.problem.as_ref() != Some(reason) {
                tracing::warn!(reason, "the master refuses what this Reporter says");
            }
            status.problem = Some(reason.clone());
        }
        // Nothing else is for a Reporter.
        _ => {}
    }
}
