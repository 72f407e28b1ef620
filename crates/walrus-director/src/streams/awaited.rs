//! Replies that others make, on other threads: the connection goes on meanwhile, and each goes out when it is there
//! (RFC 7766 section 6.2.1.1 lets replies overtake each other; section 7 tells clients to look at their ids).

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::KEEPER_WITHIN;

/// So many messages of one connection are with others at once. What comes behind the last one waits for the first reply:
/// who sends hundreds at once gets all of them done, and this connection takes few of the places that its network has.
const AT_ONCE_MAX: usize = 4;

/// So many of them are transfers or signed queries: of these a client has the fewest places.
const OUTBOUND_AT_ONCE_MAX: usize = 2;

/// So long a transfer may take as a whole: each message must also be taken within the idle time.
const TRANSFER_MAX: Duration = Duration::from_secs(2 * 3600);

/// What a connection waits for. There are few: all are asked at each turn.
#[derive(Default)]
pub(super) struct AwaitedReplies {
    /// As they were handed over.
    all: Vec<Awaited>,
    /// Whose turn it is to be asked first.
    turn: usize,
}

/// Dropped unfinished: whoever answers is told that nobody waits any more.
struct Awaited {
    /// Until the first reply to it has come.
    query: Option<Vec<u8>>,
    source: Source,
    until: Instant,
}

enum Source {
    /// One reply: what becomes of a change.
    Keeper(oneshot::Receiver<Vec<u8>>),
    /// Any number of messages, at the pace of the client: a transfer, or what was asked with a signature.
    Outbound(mpsc::Receiver<Vec<u8>>),
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Message {
        message: Vec<u8>,
        /// What was asked, with the first message that answers it.
        first_to: Option<Vec<u8>>,
    },
    /// Of one there comes nothing more.
    AllCame,
    /// One gets no reply.
    Lost,
    /// One took too long.
    TooLate,
}

impl AwaitedReplies {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether one more may be waited for, whatever it is.
    pub(super) fn has_room(&self) -> bool {
        let outbound = self.all.iter().filter(|it| !it.is_change()).count();
        self.all.len() < AT_ONCE_MAX && outbound < OUTBOUND_AT_ONCE_MAX
    }

    /// Waits for the reply to what changes zones.
    pub(super) fn add_reply(&mut self, query: Vec<u8>, reply: oneshot::Receiver<Vec<u8>>) {
        self.add(query, Source::Keeper(reply), KEEPER_WITHIN);
    }

    /// Waits for all messages of a transfer, or for a signed reply.
    pub(super) fn add_messages(&mut self, query: Vec<u8>, messages: mpsc::Receiver<Vec<u8>>) {
        self.add(query, Source::Outbound(messages), TRANSFER_MAX);
    }

    fn add(&mut self, query: Vec<u8>, source: Source, within: Duration) {
        let until = Instant::now() + within;
        self.all.push(Awaited { query: Some(query), source, until });
    }

    /// The next message, of each in turn. Nothing is lost if this is dropped.
    pub(super) async fn next(&mut self) -> Next {
        let until = self.all.iter().map(|it| it.until).min();
        let next = poll_fn(|context| self.poll_next(context));
        let Some(until) = until else { return next.await };
        if let Ok(next) = timeout_at(until, next).await {
            return next;
        }
        let is_change_late = self.all.iter().any(|it| it.until <= until && it.is_change());
        // Whoever sent changes repeats them all: a later one must not be done before.
        self.drop_last_first(|it| it.until <= until || is_change_late && it.is_change());
        Next::TooLate
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        let count = self.all.len();
        for place in (0..count).map(|step| (self.turn + step) % count) {
            if let Poll::Ready(next) = self.all[place].poll_next(context) {
                let is_done = !matches!(next, Next::Message { .. }) || self.all[place].is_change();
                if is_done {
                    self.all.remove(place);
                }
                self.turn = place + usize::from(!is_done);
                return Poll::Ready(next);
            }
        }
        Poll::Pending
    }

    /// Drops the last of them before those in front: the keeper skips changes for which nobody waits, and may be at work
    /// on them just now.
    fn drop_last_first(&mut self, is_dropped: impl Fn(&Awaited) -> bool) {
        for place in (0..self.all.len()).rev() {
            if is_dropped(&self.all[place]) {
                self.all.remove(place);
            }
        }
    }
}

impl Drop for AwaitedReplies {
    fn drop(&mut self) {
        self.drop_last_first(|_| true);
    }
}

impl Awaited {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        let (came, at_end) = match &mut self.source {
            Source::Keeper(reply) => (Pin::new(reply).poll(context).map(Result::ok), Next::Lost),
            Source::Outbound(messages) => (messages.poll_recv(context), Next::AllCame),
        };
        came.map(|message| match message {
            Some(message) => Next::Message { message, first_to: self.query.take() },
            None => at_end,
        })
    }

    const fn is_change(&self) -> bool {
        matches!(self.source, Source::Keeper(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(waiting: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(waiting)
    }

    fn message(text: &[u8], query: Option<&[u8]>) -> Next {
        Next::Message { message: text.to_vec(), first_to: query.map(<[u8]>::to_vec) }
    }

    #[test]
    fn transfers_take_turns_and_each_ends() {
        run(async {
            let mut awaited = AwaitedReplies::default();
            let [one, two] = [b"one", b"two"].map(|query| {
                let (sender, messages) = mpsc::channel(2);
                awaited.add_messages(query.to_vec(), messages);
                sender
            });
            assert!(!awaited.has_room(), "a third has to wait");
            for sender in [&one, &one, &two, &two] {
                sender.try_send(b"part".to_vec()).unwrap();
            }
            for first_to in [Some(&b"one"[..]), Some(b"two"), None, None] {
                assert_eq!(awaited.next().await, message(b"part", first_to));
            }
            drop(one);
            assert_eq!(awaited.next().await, Next::AllCame);
            assert!(awaited.has_room() && !awaited.is_empty());
            two.try_send(b"more".to_vec()).unwrap();
            assert_eq!(awaited.next().await, message(b"more", None));
        });
    }

    #[test]
    fn changes_behind_one_that_took_too_long_are_given_up_with_it() {
        run(async {
            let mut awaited = AwaitedReplies::default();
            let (early, reply) = oneshot::channel();
            awaited.add(b"early".to_vec(), Source::Keeper(reply), Duration::ZERO);
            let (later, reply) = oneshot::channel();
            awaited.add_reply(b"later".to_vec(), reply);
            let (transfer, messages) = mpsc::channel(1);
            awaited.add_messages(b"transfer".to_vec(), messages);
            assert_eq!(awaited.next().await, Next::TooLate);
            assert!(early.is_closed() && later.is_closed());
            transfer.try_send(b"all".to_vec()).unwrap();
            assert_eq!(awaited.next().await, message(b"all", Some(b"transfer")));
        });
    }

    #[test]
    fn whoever_is_dropped_without_a_word_is_lost() {
        run(async {
            let mut awaited = AwaitedReplies::default();
            let (sender, reply) = oneshot::channel();
            awaited.add_reply(b"query".to_vec(), reply);
            drop(sender);
            assert_eq!(awaited.next().await, Next::Lost);
            assert!(awaited.is_empty());
        });
    }
}
