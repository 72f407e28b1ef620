//! What is no plain query leaves the answering threads here: UPDATE and NOTIFY for the zone keeper, signed queries
//! and transfers by UDP for a thread that waits for no disk.
//!
//! Bounded queues, with places apart for those whom Walrus knows: what does not fit is dropped and counted, as on
//! any other hop, and who sent it tries again. A plain query costs one look at its header.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;
use walrus_core::answer::Transport;
use walrus_dns::DomainName;

use super::hand_off_places::{HandOffPlace, HandOffPlaces, KNOWN_MAX, STRANGERS_MAX};
use super::late_replies::LateReplies;
use super::outbound::request::is_wanted;
use super::update_counts::UpdateCounts;
use crate::tsig::signer_of;
use crate::udp::{Route, UdpListener, send_along};

/// Messages that wait on one queue: all that have a place, and calls to look up.
const QUEUE: usize = KNOWN_MAX + STRANGERS_MAX + 8;

/// What a thread behind a queue is told.
pub(crate) enum Event {
    /// A message that is no plain query.
    Message(Box<HandedOver>, HandOffPlace),
    /// There is something to look at.
    Wake,
}

/// A message and the way back.
pub(crate) struct HandedOver {
    /// Its bytes; at least a header, and no reply itself.
    pub(crate) message: Vec<u8>,
    /// Who sent it.
    pub(crate) client: SocketAddr,
    /// The address and port that were asked.
    pub(crate) local: SocketAddr,
    /// How it came.
    pub(crate) transport: Transport,
    /// Where the reply goes.
    pub(crate) back: Back,
}

/// The way back to who asked. Dropped unused: there is no reply.
pub(crate) enum Back {
    /// By the socket that it came to, from the address that was asked.
    Udp {
        socket: Arc<UdpListener>,
        route: Box<Route>,
        late: Option<Arc<LateReplies>>,
        /// Who asked, and where.
        between: (IpAddr, SocketAddr),
    },
    /// To whoever serves the connection.
    Stream(oneshot::Sender<Vec<u8>>),
}

impl Back {
    /// Sends the reply. One that the network or the connection does not take is lost.
    pub(crate) fn send(self, reply: Vec<u8>) {
        match self {
            Self::Udp { socket, route, late, between } => {
                let reply = match late {
                    Some(late) => late.pass(between, reply),
                    None => Some(reply),
                };
                let Some(reply) = reply else { return };
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

    /// Whether nobody waits any more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Stream(sender) if sender.is_closed())
    }
}

/// Who sends a message, as far as is seen without a look at the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// One who names a key that is here, or a primary of a zone.
    Known,
    /// Anybody else.
    Stranger,
    /// One who sends an update without any signature: it is refused where it came in.
    Unsigned,
}

/// Who is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) keys: BTreeSet<DomainName>,
    pub(crate) primaries: BTreeSet<IpAddr>,
}

/// The threads' ends.
pub(crate) struct Mailboxes {
    /// UPDATE and NOTIFY.
    pub(crate) changes: Receiver<Event>,
    /// Signed queries and transfers.
    pub(crate) queries: Receiver<Event>,
}

/// The answering threads' end. Cheap to clone.
#[derive(Clone)]
pub(crate) struct HandOff(Arc<Shared>);

struct Shared {
    changes: (SyncSender<Event>, Arc<HandOffPlaces>),
    queries: (SyncSender<Event>, Arc<HandOffPlaces>),
    is_open: AtomicBool,
    /// Whether transfers and signed queries are taken, too.
    takes_signed: AtomicBool,
    known: ArcSwap<Known>,
    late: Option<Arc<LateReplies>>,
    counts: Arc<UpdateCounts>,
}

const OPCODE: u8 = 0x78;
const NOTIFY: u8 = 4 << 3;
const UPDATE: u8 = 5 << 3;

impl HandOff {
    /// All ends. Until it is opened nothing is to be handed over.
    pub(crate) fn new(late: Option<LateReplies>, counts: Arc<UpdateCounts>) -> (Self, Mailboxes) {
        let (changes_in, changes) = sync_channel(QUEUE);
        let (queries_in, queries) = sync_channel(QUEUE);
        let shared = Shared {
            changes: (changes_in, HandOffPlaces::new()),
            queries: (queries_in, HandOffPlaces::new()),
            is_open: AtomicBool::new(false),
            takes_signed: AtomicBool::new(false),
            known: ArcSwap::default(),
            late: late.map(Arc::new),
            counts,
        };
        (Self(Arc::new(shared)), Mailboxes { changes, queries })
    }

    /// Whether there is anything here that takes such messages: if not, they are answered like
    /// all else, which says NOTIMP.
    pub(crate) fn set_open(&self, is_open: bool) {
        self.0.is_open.store(is_open, Ordering::Relaxed);
    }

    /// Whether there are zones that go to others: their secondaries sign queries, and ask for IXFR by UDP.
    pub(crate) fn set_signed(&self, takes_signed: bool) {
        self.0.takes_signed.store(takes_signed, Ordering::Relaxed);
    }

    /// Changes who is known.
    pub(crate) fn set_known(&self, change: impl Fn(&mut Known)) {
        self.0.known.rcu(|known| {
            let mut known = Known::clone(known);
            change(&mut known);
            known
        });
    }

    /// Whether this message is not to be answered as a plain query: an UPDATE or NOTIFY, a signed query or a
    /// transfer, and no reply.
    #[inline]
    pub(crate) fn wants(&self, message: &[u8]) -> bool {
        // QR and opcode. Of a plain query this is 0, and nothing else is looked at.
        let kind = message.get(2).map_or(0, |flags| flags & 0xf8);
        match kind {
            0 => self.0.takes_signed.load(Ordering::Relaxed) && is_wanted(message),
            kind => is_moving(kind, message) && self.0.is_open.load(Ordering::Relaxed),
        }
    }

    /// Who sends a message that is wanted here.
    pub(crate) fn caller(&self, message: &[u8], client: IpAddr) -> Caller {
        let kind = message.get(2).map_or(0, |flags| flags & OPCODE);
        let known = self.0.known.load();
        match signer_of(message) {
            Ok(None) if kind == UPDATE => {
                self.0.counts.unsigned.add();
                Caller::Unsigned
            }
            Ok(Some(key)) if known.keys.contains(&key) => Caller::Known,
            _ if kind == NOTIFY && known.primaries.contains(&client.to_canonical()) => {
                Caller::Known
            }
            _ => Caller::Stranger,
        }
    }

    /// Hands a message over; false if there is no place for it, and it is lost.
    pub(crate) fn offer(&self, message: HandedOver, caller: Caller) -> bool {
        let is_query = message.message.get(2).is_some_and(|flags| flags & OPCODE == 0);
        let (sender, places) = if is_query { &self.0.queries } else { &self.0.changes };
        let place = places.take(message.client.ip(), caller == Caller::Known);
        place.is_some_and(|place| sender.try_send(Event::Message(Box::new(message), place)).is_ok())
    }

    /// For replies by UDP that are sent later.
    pub(crate) fn late(&self) -> Option<&Arc<LateReplies>> {
        self.0.late.as_ref()
    }

    /// Gets both threads to look up.
    pub(crate) fn wake(&self) {
        for (sender, _) in [&self.0.changes, &self.0.queries] {
            // In a full queue is enough that wakes.
            let _ = sender.try_send(Event::Wake);
        }
    }
}

/// Whether a message of this kind (QR and opcode) moves zones, and has a whole header.
fn is_moving(kind: u8, message: &[u8]) -> bool {
    matches!(kind, NOTIFY | UPDATE) && message.len() >= walrus_dns::query::HEADER_LEN
}

#[cfg(test)]
mod tests {
    use walrus_core::config::TsigAlgorithm;

    use super::*;
    use crate::tsig::SharedKey;

    fn new() -> (HandOff, Mailboxes) {
        HandOff::new(None, Arc::default())
    }

    fn message(flags: u8) -> [u8; 12] {
        [0, 1, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    }

    fn handed(message: Vec<u8>) -> HandedOver {
        let (sender, _) = oneshot::channel();
        let (client, local) = (([127, 0, 0, 1], 53).into(), ([127, 0, 0, 2], 53).into());
        let back = Back::Stream(sender);
        HandedOver { message, client, local, transport: Transport::Tcp, back }
    }

    #[test]
    fn updates_and_notifications_are_wanted_once_somebody_takes_them() {
        let (hand_off, _events) = new();
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
    fn what_strangers_send_takes_no_place_of_others_and_waits_for_nobody() {
        let (hand_off, events) = new();
        let offer = |flags, caller| hand_off.offer(handed(message(flags).to_vec()), caller);
        let strangers = (0..1000).filter(|_| offer(0x28, Caller::Stranger)).count();
        let known = (0..1000).filter(|_| offer(0x20, Caller::Known)).count();
        assert!(strangers < known && known <= KNOWN_MAX, "{strangers} {known}");
        assert!(offer(0x00, Caller::Known), "queries wait for no update");
        assert!(events.queries.try_recv().is_ok());
        assert!(events.changes.try_recv().is_ok());
        assert!(offer(0x28, Caller::Stranger), "its place is free");
        drop(events);
        assert!(!offer(0x00, Caller::Known), "the thread is gone");
    }

    #[test]
    fn those_who_name_a_key_and_primaries_are_known() {
        let (hand_off, _events) = new();
        let name: DomainName = "k".parse().unwrap();
        let primary: IpAddr = [192, 0, 2, 1].into();
        hand_off.set_known(|known| {
            known.keys = [name.clone()].into();
            known.primaries = [primary].into();
        });
        let zone = b"\x07example\x00\x00\x06\x00\x01";
        let signed = |flags, key: &str| {
            let mut message = [&message(flags)[..], zone].concat();
            let key = SharedKey::new(key.parse().unwrap(), TsigAlgorithm::HmacSha256, b"secret");
            let _ = key.sign_request(&mut message, 1_790_000_000);
            message
        };
        let plain = |flags| [&message(flags)[..], zone].concat();
        let elsewhere: IpAddr = [192, 0, 2, 2].into();
        for (message, client, caller) in [
            (signed(0x28, "K"), elsewhere, Caller::Known),
            (signed(0x28, "other"), primary, Caller::Stranger),
            (plain(0x28), primary, Caller::Unsigned),
            (plain(0x20), primary, Caller::Known),
            (plain(0x20), elsewhere, Caller::Stranger),
            (signed(0x20, "k"), elsewhere, Caller::Known),
            (signed(0x00, "k"), elsewhere, Caller::Known),
            (plain(0x28)[..20].to_vec(), elsewhere, Caller::Stranger),
        ] {
            assert_eq!(hand_off.caller(&message, client), caller, "{message:x?}");
        }
    }
}
