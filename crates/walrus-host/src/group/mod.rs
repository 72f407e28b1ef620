//! The embedded group: Reporters connect to the Controller over TCP, with TLS and a token.
//!
//! The Controller's side is [`GroupListener`], which turns connections into [`GroupEvent`]s; the
//! other side is [`crate::link::Link`]. What the messages mean is `walrus-core`'s business; here
//! they are carried, bounded, and their senders checked.

mod connection;
mod listener;
mod security;

#[cfg(test)]
mod identity_tests;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use tokio::sync::mpsc;
use walrus_core::message::{Message, Role};
use walrus_core::plan::PlanNumber;
use walrus_core::world::Name;

use crate::clock::{Activity, Busy};

pub use listener::{GroupCounters, GroupError, GroupListener, Refusal};
pub use security::{GroupDoor, GroupSecurity, known};

/// Messages that wait for one connection's writer; a peer that does not read is cut off.
pub(crate) const REPLIES_MAX: usize = 64;

/// What happened in the group.
#[derive(Debug)]
pub struct GroupEvent {
    /// What.
    pub kind: GroupEventKind,
    /// Where answers go.
    pub reply: Reply,
    /// Keeps a manual clock still until the event is handled.
    pub busy: Busy,
}

/// What happened in the group.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the largest is the commonest, and none is stored")]
pub enum GroupEventKind {
    /// Somebody with the right token is there. Answer with [`Reply::refuse`] if the name is not
    /// known.
    Hello {
        /// What it does.
        role: Role,
        /// The server's name for a Reporter, the node's for others.
        name: Name,
        /// Its session.
        session: u64,
        /// The Plan that it holds.
        plan: Option<PlanNumber>,
        /// Where it connected from; `None` within this process.
        peer: Option<SocketAddr>,
    },
    /// It says something.
    Message {
        /// What it does.
        role: Role,
        /// As in its hello.
        name: Name,
        /// As in its hello.
        session: u64,
        /// What it says.
        message: Message,
    },
    /// Its connection closed, broke, or was silent for too long.
    Gone {
        /// What it did.
        role: Role,
        /// As in its hello.
        name: Name,
        /// As in its hello.
        session: u64,
    },
}

/// The way back to whoever an event came from. Never waits.
#[derive(Clone, Debug)]
pub struct Reply {
    out: mpsc::Sender<Outgoing>,
    activity: Activity,
}

/// A message on its way out. Boxed: a queue has room for dozens from its first day, and there are ten
/// thousand queues.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) message: Box<Message>,
    pub(crate) _busy: Busy,
}

impl Reply {
    pub(crate) fn new(activity: Activity) -> (Self, mpsc::Receiver<Outgoing>) {
        let (out, receiver) = mpsc::channel(REPLIES_MAX);
        (Self { out, activity }, receiver)
    }

    /// Sends a message; tells whether there is still a way. A peer that does not read what it is
    /// sent loses messages, and after ten seconds its connection.
    pub fn send(&self, message: Message) -> bool {
        let outgoing = Outgoing { message: Box::new(message), _busy: self.activity.begin() };
        self.out.try_send(outgoing).is_ok()
    }

    /// Says why something is refused; the connection ends with it. The other side comes back by
    /// itself, the later the less it was taken in before.
    pub fn refuse(&self, reason: impl Into<String>) -> bool {
        self.send(Message::Refused { reason: reason.into() })
    }
}
