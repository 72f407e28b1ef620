//! What is no plain query leaves the answering threads here: UPDATE and NOTIFY, for the zone keeper.
//!
//! A bounded queue: what does not fit is dropped and counted, as on any other hop, and who sent it
//! tries again. A plain query costs one look at its header.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;
use walrus_core::answer::Transport;

use super::outbound::request::is_wanted;
use crate::udp::{Route, UdpListener, send_along};

/// Messages that wait for the keeper: some milliseconds' worth, where nothing waits for a disk.
const QUEUE: usize = 256;

/// What the keeper is told.
pub(crate) enum Event {
    /// A message that is no plain query.
    Message(Box<HandedOver>),
    /// There is something to look at.
    Wake,
}

/// A message and the way back.
pub(crate) struct HandedOver {
    /// Its bytes; at least a header, and no reply itself.
    pub(crate) message: Vec<u8>,
    /// Who sent it.
    pub(crate) client: SocketAddr,
    /// How it came.
    pub(crate) transport: Transport,
    /// Where the reply goes.
    pub(crate) back: Back,
}

/// The way back to who asked. Dropped unused: there is no reply.
pub(crate) enum Back {
    /// By the socket that it came to, from the address that was asked.
    Udp { socket: Arc<UdpListener>, route: Box<Route> },
    /// To whoever serves the connection.
    Stream(oneshot::Sender<Vec<u8>>),
}

impl Back {
    /// Sends the reply. One that the network or the connection does not take is lost.
    pub(crate) fn send(self, reply: Vec<u8>) {
        match self {
            Self::Udp { socket, route } => {
                let sent: io::Result<()> = send_along(socket.as_fd(), &route, &reply);
                if let Err(error) = sent {
                    tracing::debug!(%error, "a reply of the zone keeper was not sent");
                }
            }
            Self::Stream(sender) => {
                // The client has gone.
                let _ = sender.send(reply);
            }
        }
    }
}

/// The answering threads' end. Cheap to clone.
#[derive(Clone)]
pub(crate) struct HandOff {
    sender: SyncSender<Event>,
    is_open: Arc<AtomicBool>,
    /// Whether transfers and signed queries are taken, too.
    takes_signed: Arc<AtomicBool>,
}

impl HandOff {
    /// Both ends. Until it is opened nothing is to be handed over.
    pub(crate) fn new() -> (Self, Receiver<Event>) {
        let (sender, receiver) = sync_channel(QUEUE);
        let (is_open, takes_signed) = (Arc::default(), Arc::default());
        (Self { sender, is_open, takes_signed }, receiver)
    }

    /// Whether there is anything here that takes such messages: if not, they are answered like
    /// all else, which says NOTIMP.
    pub(crate) fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Relaxed);
    }

    /// Whether there are zones that go to others: their secondaries sign queries, and ask for IXFR by UDP.
    pub(crate) fn set_signed(&self, takes_signed: bool) {
        self.takes_signed.store(takes_signed, Ordering::Relaxed);
    }

    /// Whether this message is for the keeper: an UPDATE or NOTIFY, and no reply.
    #[inline]
    pub(crate) fn wants(&self, message: &[u8]) -> bool {
        // QR and opcode. Of a plain query this is 0, and nothing else is looked at.
        let kind = message.get(2).map_or(0, |flags| flags & 0xf8);
        match kind {
            0 => self.takes_signed.load(Ordering::Relaxed) && is_wanted(message),
            kind => is_moving(kind, message) && self.is_open.load(Ordering::Relaxed),
        }
    }

    /// Hands a message over; false if the queue is full and the message lost.
    pub(crate) fn offer(&self, message: HandedOver) -> bool {
        match self.sender.try_send(Event::Message(Box::new(message))) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Gets the keeper to look up.
    pub(crate) fn wake(&self) {
        // In a full queue is enough that wakes.
        let _ = self.sender.try_send(Event::Wake);
    }
}

/// Whether a message of this kind (QR and opcode) moves zones, and has a whole header.
fn is_moving(kind: u8, message: &[u8]) -> bool {
    const NOTIFY: u8 = 4 << 3;
    const UPDATE: u8 = 5 << 3;
    matches!(kind, NOTIFY | UPDATE) && message.len() >= walrus_dns::query::HEADER_LEN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_and_notifications_are_wanted_once_somebody_takes_them() {
        let (hand_off, _events) = HandOff::new();
        let message = |flags: u8| [0, 1, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        assert!(!hand_off.wants(&message(0x28)), "nobody is there");
        hand_off.set_open(true);
        for (flags, is_wanted) in
            [(0x00, false), (0x01, false), (0x20, true), (0x28, true), (0xa8, false), (0x10, false)]
        {
            assert_eq!(hand_off.wants(&message(flags)), is_wanted, "{flags:#x}");
        }
        assert!(!hand_off.wants(&message(0x28)[..11]), "no header");
        assert!(!hand_off.wants(&[]));
    }

    #[test]
    fn a_full_queue_loses_what_comes_and_waits_for_nobody() {
        let (hand_off, events) = HandOff::new();
        let offer = || {
            let (sender, _) = oneshot::channel();
            hand_off.offer(HandedOver {
                message: vec![0; 12],
                client: ([127, 0, 0, 1], 53).into(),
                transport: Transport::Tcp,
                back: Back::Stream(sender),
            })
        };
        assert!((0..QUEUE).all(|_| offer()));
        assert!(!offer());
        assert!(events.try_recv().is_ok());
        assert!(offer());
        drop(events);
        assert!(!offer(), "the keeper is gone");
    }
}
