//! Replies that others make, on other threads: the connection goes on meanwhile, and each goes out when it is there
//! (RFC 7766 section 6.2.1.1 lets replies overtake each other; section 7 tells clients to look at their ids).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::KEEPER_WITHIN;

/// So many messages of one connection are with others at once. What comes behind the last one waits for the first reply:
/// who sends hundreds at once gets all of them done, and takes no more of the places that a network has than this.
const AT_ONCE_MAX: usize = 4;

/// So long a transfer may take as a whole: each message must also be taken within the idle time.
const TRANSFER_MAX: Duration = Duration::from_secs(2 * 3600);

/// What a connection waits for. The futures are small and few: all are asked at each turn.
#[derive(Default)]
pub(super) struct AwaitedReplies {
    all: VecDeque<Awaited>,
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
pub(super) enum Next {
    Message {
        message: Vec<u8>,
        /// What was asked, with the first message that answers it.
        first_to: Option<Vec<u8>>,
    },
    /// Of one there comes nothing more.
    AllCame,
    /// One gets no reply, or not all of it.
    Lost,
}

impl AwaitedReplies {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether one more may be waited for.
    pub(super) fn has_room(&self) -> bool {
        self.all.len() < AT_ONCE_MAX
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
        self.all.push_back(Awaited { query: Some(query), source, until });
    }

    /// The next message, of each in turn. Nothing is lost if this is dropped.
    pub(super) async fn next(&mut self) -> Next {
        let until = self.all.iter().map(|it| it.until).min();
        let next = poll_fn(|context| self.poll_next(context));
        match until {
            Some(until) => timeout_at(until, next).await.unwrap_or_else(|_| {
                self.all.retain(|it| it.until > until);
                Next::Lost
            }),
            None => next.await,
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        for _ in 0..self.all.len() {
            let Some(mut first) = self.all.pop_front() else { break };
            match first.poll_next(context) {
                Poll::Ready(next) => {
                    if first.may_bring_more() && matches!(next, Next::Message { .. }) {
                        self.all.push_back(first);
                    }
                    return Poll::Ready(next);
                }
                Poll::Pending => self.all.push_back(first),
            }
        }
        Poll::Pending
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

    const fn may_bring_more(&self) -> bool {
        matches!(self.source, Source::Outbound(_))
    }
}
