//! What is no plain query leaves the answering threads here: UPDATE and NOTIFY for the zone keeper, signed queries
//! and transfers by UDP for a thread that waits for no disk.
//!
//! Bounded queues, with places apart for those whose signature is right: what does not fit is dropped and counted, as
//! on any other hop, and who sent it tries again. A plain query costs one look at its header; a signature is verified
//! before a place is taken, since the name of a key is no secret.

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
use walrus_host::clock::Clock;

use super::hand_off_places::{HandOffPlace, HandOffPlaces, PLACES};
use super::late_replies::LateReplies;
use super::outbound::request::is_wanted;
use super::update_counts::UpdateCounts;
use crate::tsig::{Signed, TsigKeys};
use crate::udp::{Route, UdpListener, send_along};

/// Messages that wait on one queue: all that have a place, and calls to look up.
const QUEUE: usize = PLACES + 8;

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
    /// The same as it was signed, if the signature is right: it need not be verified again.
    pub(crate) signed: Option<Signed>,
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
        self.send_as(reply, false);
    }

    /// Sends the reply to what has come before: whoever has recorded that may send it from any address, so it is limited
    /// although it is signed.
    pub(crate) fn send_again(self, reply: Vec<u8>) {
        self.send_as(reply, true);
    }

    fn send_as(self, reply: Vec<u8>, is_repeat: bool) {
        match self {
            Self::Udp { socket, route, late, between } => {
                let reply = match late {
                    Some(late) => late.pass(between, reply, is_repeat),
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

/// Who sends a message.
#[derive(Debug)]
pub(crate) enum Caller {
    /// One whose signature is right, and not of long ago.
    Signed(Box<Signed>),
    /// A primary of a zone that tells of a change, if its address is its own.
    Primary,
    /// Anybody else.
    Stranger,
    /// One who sends an update without any signature: it is refused where it came in.
    Unsigned,
}

/// Who is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) keys: TsigKeys,
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
    clock: Clock,
}

const OPCODE: u8 = 0x78;
const NOTIFY: u8 = 4 << 3;
const UPDATE: u8 = 5 << 3;

impl HandOff {
    /// All ends. Until it is opened nothing is to be handed over.
    pub(crate) fn new(
        late: Option<LateReplies>,
        counts: Arc<UpdateCounts>,
        clock: Clock,
    ) -> (Self, Mailboxes) {
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
            clock,
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
        match known.keys.look(message, self.0.clock.unix_ms() / 1000) {
            Ok(None) if kind == UPDATE => {
                self.0.counts.unsigned.add();
                Caller::Unsigned
            }
            Ok(Some(signed)) => Caller::Signed(Box::new(signed)),
            _ if kind == NOTIFY && known.primaries.contains(&client.to_canonical()) => {
                Caller::Primary
            }
            _ => Caller::Stranger,
        }
    }

    /// Hands a message over; false if there is no place for it, and it is lost.
    pub(crate) fn offer(&self, mut message: HandedOver, caller: Caller) -> bool {
        let is_query = message.message.get(2).is_some_and(|flags| flags & OPCODE == 0);
        let (sender, places) = if is_query { &self.0.queries } else { &self.0.changes };
        let place = places.take(message.client.ip(), &caller);
        if let Caller::Signed(signed) = caller {
            message.signed = Some(*signed);
        }
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
    use std::mem::discriminant;

    use walrus_core::config::TsigAlgorithm;

    use super::*;
    use crate::tsig::{SharedKey, TsigRefusal};

    /// Where a manual clock stands.
    const NOW: u64 = 1_767_225_600;

    fn new() -> (HandOff, Mailboxes) {
        HandOff::new(None, Arc::default(), Clock::manual().0)
    }

    fn message(flags: u8) -> [u8; 12] {
        [0, 1, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    }

    /// With a zone, signed.
    fn signed(flags: u8, number: u16, (name, secret, at): (&str, &[u8], u64)) -> Vec<u8> {
        let mut message = [&message(flags)[..], b"\x07example\x00\x00\x06\x00\x01"].concat();
        message[..2].copy_from_slice(&number.to_be_bytes());
        let key = SharedKey::new(name.parse().unwrap(), TsigAlgorithm::HmacSha256, secret);
        let _ = key.sign_request(&mut message, at);
        message
    }

    fn key(name: &str, secret: &[u8]) -> SharedKey {
        SharedKey::new(name.parse().unwrap(), TsigAlgorithm::HmacSha256, secret)
    }

    fn with_key(hand_off: &HandOff) {
        let keys = ["k", "other", "third"].map(|name| key(name, b"secret"));
        hand_off.set_known(|known| known.keys = keys.iter().cloned().collect());
    }

    fn handed(message: Vec<u8>, client: [u8; 4]) -> HandedOver {
        let (sender, _) = oneshot::channel();
        let (client, local) = ((client, 53).into(), ([127, 0, 0, 2], 53).into());
        let back = Back::Stream(sender);
        HandedOver { message, client, local, transport: Transport::Tcp, back, signed: None }
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
        with_key(&hand_off);
        let offer = |message: Vec<u8>, client: [u8; 4]| {
            let caller = hand_off.caller(&message, client.into());
            hand_off.offer(handed(message, client), caller)
        };
        let net = |number: u16| [10, number.to_be_bytes()[0], number.to_be_bytes()[1], 1];
        let count =
            |flags, key| (0..1000).filter(|it| offer(signed(flags, *it, key), net(*it))).count();
        // The name of a key is no secret, nor is what was signed an hour ago.
        let wrong = count(0x28, ("k", b"wrong", NOW));
        assert_eq!(wrong + count(0x28, ("k", b"secret", NOW - 3600)), 64);
        let right = ("k", &b"secret"[..], NOW);
        let repeated = (0..1000).filter(|it| offer(signed(0x28, 7, right), net(*it))).count();
        assert_eq!(repeated, 4, "what somebody has recorded and sends from everywhere");
        assert_eq!(repeated + count(0x28, right), 96, "of one key");
        // One of these may share what the first key has.
        let others = ["other", "third"].map(|key| count(0x28, (key, b"secret", NOW)));
        assert_eq!(others.iter().sum::<usize>(), 96, "as many are left to others");
        assert!(offer(signed(0x00, 1, right), net(1)), "queries wait for no update");
        assert!(events.queries.try_recv().is_ok());
        assert!(events.changes.try_recv().is_ok());
        assert!(offer(signed(0x28, 1, ("k", b"wrong", NOW)), net(2000)), "its place is free");
        drop(events);
        assert!(!offer(signed(0x00, 1, right), net(1)), "the thread is gone");
    }

    /// What came in is verified where it came in, and nowhere else.
    #[test]
    fn a_signature_that_is_right_goes_along() {
        let (hand_off, events) = new();
        with_key(&hand_off);
        hand_off.set_open(true);
        let message = signed(0x28, 1, ("k", b"secret", NOW));
        let caller = hand_off.caller(&message, [192, 0, 2, 1].into());
        assert!(hand_off.offer(handed(message.clone(), [192, 0, 2, 1]), caller));
        let Ok(Event::Message(mut handed, _)) = events.changes.try_recv() else { panic!("none") };
        let keys = TsigKeys::clone(&hand_off.0.known.load().keys);
        let signed =
            keys.verify_once(handed.signed.take(), &mut handed.message, NOW + 300).unwrap();
        assert_eq!(signed.unwrap().key(), &"k".parse().unwrap());
        assert_eq!(handed.message[12..], message[12..25], "without the signature");
        assert_eq!(keys.counts().snapshot().good, 1);
    }

    /// A reload may come in between, and whatever holds up the keeper.
    #[test]
    fn a_signature_that_was_right_is_believed_only_while_its_key_and_time_hold() {
        let (hand_off, events) = new();
        with_key(&hand_off);
        let message = signed(0x28, 1, ("k", b"secret", NOW));
        let verify = |keys: &TsigKeys, now| {
            let caller = hand_off.caller(&message, [192, 0, 2, 1].into());
            assert!(hand_off.offer(handed(message.clone(), [192, 0, 2, 1]), caller));
            let Ok(Event::Message(mut handed, _)) = events.changes.try_recv() else {
                panic!("none")
            };
            keys.verify_once(handed.signed.take(), &mut handed.message, now).map(|it| it.is_some())
        };
        let of = |keys: &[SharedKey]| -> TsigKeys { keys.iter().cloned().collect() };
        let known = TsigKeys::clone(&hand_off.0.known.load().keys);
        assert!(matches!(verify(&known, NOW + 301), Err(TsigRefusal::WrongTime { .. })));
        assert!(matches!(verify(&of(&[]), NOW), Err(TsigRefusal::UnknownKey)));
        let changed = verify(&of(&[key("k", b"new")]), NOW);
        assert!(matches!(changed, Err(TsigRefusal::WrongSignature)));
        assert!(verify(&of(&[key("k", b"secret")]), NOW).unwrap(), "the same, read again");
    }

    #[test]
    fn those_who_sign_rightly_and_primaries_are_known() {
        let (hand_off, _events) = new();
        with_key(&hand_off);
        let primary: IpAddr = [192, 0, 2, 1].into();
        hand_off.set_known(|known| known.primaries = [primary].into());
        let plain = |flags| [&message(flags)[..], b"\x07example\x00\x00\x06\x00\x01"].concat();
        let elsewhere: IpAddr = [192, 0, 2, 2].into();
        let right = ("K", &b"secret"[..], NOW + 300);
        for flags in [0x00, 0x20, 0x28] {
            let message = signed(flags, 1, right);
            for client in [elsewhere, primary] {
                let caller = hand_off.caller(&message, client);
                assert!(matches!(caller, Caller::Signed(_)), "{flags:x} {caller:?}");
            }
        }
        for (message, client, caller) in [
            (signed(0x28, 1, ("unknown", b"secret", NOW)), primary, Caller::Stranger),
            (signed(0x28, 1, ("k", b"wrong", NOW)), primary, Caller::Stranger),
            (signed(0x28, 1, ("k", b"secret", NOW - 301)), primary, Caller::Stranger),
            (plain(0x28), primary, Caller::Unsigned),
            (plain(0x20), primary, Caller::Primary),
            (plain(0x20), elsewhere, Caller::Stranger),
            (plain(0x28)[..20].to_vec(), elsewhere, Caller::Stranger),
        ] {
            let found = hand_off.caller(&message, client);
            assert_eq!(discriminant(&found), discriminant(&caller), "{message:x?}");
        }
    }
}
