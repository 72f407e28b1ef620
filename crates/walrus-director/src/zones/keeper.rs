//! The zone keeper: the one thread that changes zones which move by themselves; and beside it the one that answers
//! signed queries, which waits for none of that.
//!
//! They take what the answering threads hand over. The keeper may wait for a disk or for a zone to be compiled: nobody
//! who asks queries waits with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{io, mem};

use super::OutboundRequest;
use super::hand_off::{Event, HandOff, HandedOver, Mailboxes};
use super::notify_in;
use super::update_repeats::{Repeats, Seen};
use crate::director::{DirectorHandle, Inner};
use crate::tsig::ReplySigner;

/// How long it sleeps if nothing is due.
const IDLE: Duration = Duration::from_secs(1);

/// Messages that are looked at together: they share what a change costs.
const TOGETHER: usize = 64;

/// The threads, and how to reach them.
pub(crate) struct Keeper {
    hand_off: HandOff,
    stop: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Keeper {
    /// Not running yet.
    pub(crate) fn new(hand_off: HandOff) -> Self {
        Self { hand_off, stop: Arc::default(), threads: Mutex::default() }
    }

    /// Starts the threads. They end when the Director is gone.
    ///
    /// # Errors
    /// If there are no more threads.
    pub(crate) fn start(&self, director: &Arc<Inner>, mailboxes: Mailboxes) -> io::Result<()> {
        let Mailboxes { changes, queries } = mailboxes;
        self.spawn("zone-keeper", director, changes, take_in)?;
        let mut repeats = Repeats::default();
        self.spawn("signed-queries", director, queries, move |director, messages| {
            answer_all(director, messages, &mut repeats);
        })
    }

    fn spawn(
        &self,
        name: &str,
        director: &Arc<Inner>,
        events: Receiver<Event>,
        mut take: impl FnMut(&DirectorHandle, Vec<HandedOver>) + Send + 'static,
    ) -> io::Result<()> {
        let (director, stop) = (Arc::downgrade(director), Arc::clone(&self.stop));
        let run = move || run(&director, &events, &stop, &mut take);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Where messages for it go.
    pub(crate) const fn hand_off(&self) -> &HandOff {
        &self.hand_off
    }

    /// Ends the threads and waits for them, unless one of them calls.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.hand_off.wake();
        let threads = mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.thread().id() != thread::current().id() {
                // A panic has been told by the thread itself.
                let _ = thread.join();
            }
        }
        if let Some(late) = self.hand_off.late() {
            late.end();
        }
    }
}

fn run(
    director: &Weak<Inner>,
    events: &Receiver<Event>,
    stop: &AtomicBool,
    take: &mut dyn FnMut(&DirectorHandle, Vec<HandedOver>),
) {
    while !stop.load(Ordering::Relaxed) {
        let first = match events.recv_timeout(IDLE) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut messages = Vec::new();
        for event in first.into_iter().chain(events.try_iter()).take(TOGETHER) {
            match event {
                Event::Message(message, _place) => messages.push(*message),
                Event::Wake => {}
            }
        }
        let Some(director) = director.upgrade().map(DirectorHandle::of) else { return };
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if let Some(late) = director.inner().keeper.hand_off().late() {
            late.turn();
        }
        take(&director, messages);
    }
}

/// Signed queries and transfers by UDP. Whoever has recorded a query may send it again from any address: so its reply
/// counts for the rate limit then.
fn answer_all(director: &DirectorHandle, messages: Vec<HandedOver>, repeats: &mut Repeats) {
    for HandedOver { message, client, local, transport, back, signed } in messages {
        let is_repeat =
            signed.as_ref().is_some_and(|signed| is_repeat(director, &signed.signer, repeats));
        let request = OutboundRequest { message, client: client.ip(), local, transport };
        let mut back = Some(back);
        let mut send = |reply| {
            // One message, as all that has room in a datagram.
            match back.take() {
                Some(back) if is_repeat => back.send_again(reply),
                Some(back) => back.send(reply),
                None => {}
            }
            false
        };
        // A panic is a bug of ours, which costs that query its answer.
        let serve = || director.inner().outbound.serve(request, signed, &mut send);
        if catch_unwind(AssertUnwindSafe(serve)).is_err() {
            tracing::error!(%client, "answering a query has failed, which is a bug to report");
        }
    }
}

/// Whether a query that is signed rightly has come before, or may have; keeps in mind that it has come now.
fn is_repeat(director: &DirectorHandle, signer: &ReplySigner, repeats: &mut Repeats) -> bool {
    let now = director.inner().clock.unix_ms() / 1000;
    let seen = repeats.look(signer, now);
    if seen == Seen::Never {
        // A query is answered anew, whatever it was told.
        repeats.keep(signer, 0, now);
    }
    seen != Seen::Never
}

/// Whatever changes zones. A message that nobody takes has no reply.
fn take_in(director: &DirectorHandle, messages: Vec<HandedOver>) {
    const OPCODE: u8 = 0x78;
    const NOTIFY: u8 = 4 << 3;
    const UPDATE: u8 = 5 << 3;
    let now = director.inner().clock.unix_ms() / 1000;
    let keys = director.inner().keys.load_full();
    let mut updates = Vec::new();
    for handed in messages {
        match handed.message.get(2).map(|flags| flags & OPCODE) {
            Some(NOTIFY) => {
                let HandedOver { message, client, back, signed, .. } = handed;
                let message = (message, signed);
                if let Some(reply) = notify_in::reply(director, message, client.ip(), (&keys, now))
                {
                    back.send(reply);
                }
            }
            Some(UPDATE) => updates.push(handed),
            _ => {}
        }
    }
    if !updates.is_empty() {
        let mut taking = director.updates();
        // A panic is a bug of ours. Nothing more is written then to a journal that may be ahead of what is
        // served; the thread lives on, for zones that come from elsewhere.
        let taken = catch_unwind(AssertUnwindSafe(|| taking.take(director, updates)));
        if taken.is_err() {
            taking.close("taking an update has failed, which is a bug to report: restart walrus");
        }
        director.tell_updates(&taking);
    }
}
