//! Messages with their length in front (RFC 1035 section 4.2.2), over TCP and over TLS.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::awaited::{AwaitedReplies, Next};
use super::input::Input;
use super::places::{LargePlace, Place};
use super::{Answers, Connection, Limits, Taken};
use crate::answering::Answering;
use crate::counters::Count;
use crate::zones::OutboundRequest;

/// Replies are written once so many bytes are waiting.
const WRITE_AT: usize = 16 * 1024;

/// So much room for replies a connection keeps while it waits: thousands may.
const KEPT: usize = 1024;

/// Answers a connection's messages until the client ends it. An error is a client that is too
/// slow, too long or gone.
pub(super) async fn serve<A: Answering>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: Connection,
    place: &Place,
    answers: &Answers<A>,
    limits: &Limits,
) -> io::Result<()> {
    let now = Instant::now();
    let conversation = Conversation {
        stream,
        connection,
        place,
        answers,
        limits,
        input: Input::new(),
        large: None,
        output: Vec::new(),
        awaited: AwaitedReplies::default(),
        ends_at: now + limits.total,
        silent_since: now,
        is_at_end: false,
        is_over: false,
        failure: None,
    };
    conversation.hold().await
}

/// A connection, what it brought and what it is still to be told.
struct Conversation<'a, S, A> {
    stream: S,
    connection: Connection,
    place: &'a Place,
    answers: &'a Answers<A>,
    limits: &'a Limits,
    input: Input,
    /// For the update that is coming, if it is longer than queries are; and how long it may take.
    large: Option<(LargePlace, Instant)>,
    output: Vec<u8>,
    awaited: AwaitedReplies,
    /// What comes later is not answered.
    ends_at: Instant,
    /// When the last message was answered.
    silent_since: Instant,
    /// Whether the client sends no more. It may still read.
    is_at_end: bool,
    /// Whether nothing that it brought is looked at any more.
    is_over: bool,
    /// What ends it, unless all was well.
    failure: Option<io::ErrorKind>,
}

impl<S: AsyncRead + AsyncWrite + Unpin, A: Answering> Conversation<'_, S, A> {
    async fn hold(mut self) -> io::Result<()> {
        loop {
            self.is_over |= Instant::now() >= self.ends_at;
            self.look_for_large();
            if self.may_take() && self.input.has_message() {
                self.place.renew();
                self.answers.begin();
                self.answer_what_came().await?;
                self.silent_since = Instant::now();
                continue;
            }
            // A transfer that brings one message after the other leaves no time for its timer.
            if self.large.as_ref().is_some_and(|(_, until)| Instant::now() >= *until) {
                self.give_up(io::ErrorKind::TimedOut);
                self.large = None;
            }
            if self.awaited.is_empty() && (self.is_over || self.is_at_end) {
                return self.end().await;
            }
            self.wait().await?;
        }
    }

    fn may_take(&self) -> bool {
        !self.is_over && self.awaited.has_room()
    }

    /// Nothing more is taken; what others answer is still passed on.
    fn give_up(&mut self, why: io::ErrorKind) {
        self.is_over = true;
        self.failure = Some(why);
    }

    /// Answers all messages that have come whole, but for those that others answer.
    async fn answer_what_came(&mut self) -> io::Result<()> {
        while self.may_take() {
            let query = match self.input.next() {
                Ok(Some(query)) => query,
                Ok(None) => break,
                Err(too_long) => {
                    self.give_up(too_long.kind());
                    break;
                }
            };
            let (answers, connection) = (self.answers, self.connection);
            if answers.outbound.wants(query) {
                answers.count(Count::of_queries(connection.transport));
                let Connection { client, local, transport } = connection;
                let (query, message) = (query.to_vec(), query.to_vec());
                let request = OutboundRequest { message, client, local, transport };
                match answers.outbound.begin(request) {
                    Some(messages) => self.awaited.add_messages(query, messages),
                    None => self.give_up(io::ErrorKind::WouldBlock),
                }
            } else if answers.hand_off.wants(query) {
                match answers.hand_over(query, connection) {
                    Taken::Refused(reply) => append(&reply, &mut self.output)?,
                    Taken::HandedOver(reply) => self.awaited.add_reply(query.to_vec(), reply),
                    // The client asks again, or elsewhere.
                    Taken::Lost => self.is_over = true,
                }
            } else {
                answers.append(query, connection, &mut self.output);
            }
            // If it was a long one, it has come whole: others may send theirs.
            self.large = None;
            self.input.take_queries();
            if self.output.len() >= WRITE_AT {
                self.write().await?;
            }
        }
        self.write().await?;
        self.output.shrink_to(KEPT);
        self.input.shrink();
        Ok(())
    }

    /// Waits for more from the client, or for a reply that others make, as long as it may.
    async fn wait(&mut self) -> io::Result<()> {
        let deadline = self.deadline();
        let event = async {
            tokio::select! {
                read = self.input.read(&mut self.stream),
                    if !self.is_over && !self.is_at_end && self.awaited.has_room() =>
                {
                    Event::Read(read)
                }
                next = self.awaited.next(), if !self.awaited.is_empty() => Event::Next(next),
                () = lost(self.large.as_ref()) => Event::LargeLost,
            }
        };
        // What came in time is looked at first.
        let event = match deadline {
            Some(deadline) => timeout_at(deadline, event).await,
            None => Ok(event.await),
        };
        match event {
            Ok(Event::Read(Ok(read))) => {
                self.is_at_end = read == 0;
                self.large.iter().for_each(|(place, _)| place.renew());
            }
            // TLS that ends without a word: messages have lengths of their own, so nothing is cut unseen.
            Ok(Event::Read(Err(error))) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.is_at_end = true;
            }
            Ok(Event::Read(Err(error))) => return Err(error),
            Ok(Event::Next(next)) => self.pass_on(next).await?,
            Ok(Event::LargeLost) => self.give_up(io::ErrorKind::TimedOut),
            Err(_) if Instant::now() >= self.ends_at => self.is_over = true,
            Err(_) => self.give_up(io::ErrorKind::TimedOut),
        }
        Ok(())
    }

    /// Until when something must have come. Whoever waits for a reply may be silent, but for half an update that keeps
    /// others from theirs.
    fn deadline(&self) -> Option<Instant> {
        let idle_at = self.awaited.is_empty().then(|| self.silent_since + self.limits.idle);
        let large_until = self.large.as_ref().map(|(_, until)| *until);
        let earliest =
            [idle_at, large_until].into_iter().flatten().fold(self.ends_at, Instant::min);
        (!self.is_over).then_some(earliest)
    }

    /// Tells the client what somebody else has answered.
    async fn pass_on(&mut self, next: Next) -> io::Result<()> {
        self.place.renew();
        self.silent_since = Instant::now();
        match next {
            Next::Message { message, first_to } => {
                if let Some(query) = first_to {
                    self.answers.tell(&query, self.connection, &message);
                }
                append(&message, &mut self.output)?;
                self.write().await?;
            }
            Next::AllCame => {}
            Next::Lost => self.is_over = true,
            Next::TooLate => self.give_up(io::ErrorKind::TimedOut),
        }
        if self.awaited.is_empty() {
            self.output.shrink_to(KEPT);
        }
        Ok(())
    }

    /// A place for an update that is longer than queries are, once so much of it has come.
    fn look_for_large(&mut self) {
        if self.is_over {
            self.large = None;
        } else if self.large.is_none()
            && self.awaited.has_room()
            && self.input.is_large_update(&self.answers.hand_off)
        {
            let place = self.answers.large.take(self.connection.client);
            self.large = Some((place, Instant::now() + self.limits.idle));
            self.input.take_large();
        }
    }

    async fn write(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + self.limits.idle;
        timeout_at(deadline, async {
            self.stream.write_all(&self.output).await?;
            // TLS keeps what it has not sent yet.
            self.stream.flush().await
        })
        .await??;
        self.output.clear();
        Ok(())
    }

    /// Says that nothing more comes, as TLS wants it (RFC 8446 section 6.1). All replies have gone.
    async fn end(&mut self) -> io::Result<()> {
        // Whoever is gone need not be told.
        let _ = timeout(self.limits.idle, self.stream.shutdown()).await;
        self.failure.map_or(Ok(()), |why| Err(why.into()))
    }
}

/// What a connection waits for.
enum Event {
    Read(io::Result<usize>),
    Next(Next),
    /// Others have the place of the long update that is coming.
    LargeLost,
}

/// Waits until a place is lost, if there is one.
async fn lost(large: Option<&(LargePlace, Instant)>) {
    match large {
        Some((place, _)) => place.lost().await,
        None => std::future::pending().await,
    }
}

/// Appends a message with its length in front.
fn append(message: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    output.extend_from_slice(&length.to_be_bytes());
    output.extend_from_slice(message);
    Ok(())
}
