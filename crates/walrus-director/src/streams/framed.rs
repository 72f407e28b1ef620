//! Messages with their length in front (RFC 1035 section 4.2.2), over TCP and over TLS.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

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
    /// For the update that is coming, if it is longer than queries are.
    large: Option<LargePlace>,
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
}

impl<S: AsyncRead + AsyncWrite + Unpin, A: Answering> Conversation<'_, S, A> {
    async fn hold(mut self) -> io::Result<()> {
        loop {
            self.is_over |= Instant::now() >= self.ends_at;
            self.take_large_place();
            if !self.is_over && self.awaited.has_room() && self.input.has_message() {
                self.place.renew();
                self.answers.begin();
                self.answer_what_came().await?;
                self.silent_since = Instant::now();
                continue;
            }
            if self.awaited.is_empty() && (self.is_over || self.is_at_end) {
                return self.end().await;
            }
            self.wait().await?;
        }
    }

    /// Answers all messages that have come whole, but for those that others answer.
    async fn answer_what_came(&mut self) -> io::Result<()> {
        while !self.is_over && self.awaited.has_room() {
            let query = match self.input.next() {
                Ok(Some(query)) => query,
                Ok(None) => break,
                Err(_) if !self.awaited.is_empty() => {
                    self.is_over = true;
                    break;
                }
                Err(too_long) => return Err(too_long),
            };
            let (answers, connection) = (self.answers, self.connection);
            if answers.outbound.wants(query) {
                answers.count(Count::of_queries(connection.transport));
                let Connection { client, local, transport } = connection;
                let (query, message) = (query.to_vec(), query.to_vec());
                let request = OutboundRequest { message, client, local, transport };
                match answers.outbound.begin(request) {
                    Some(messages) => self.awaited.add_messages(query, messages),
                    None => self.is_over = true,
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

    /// Waits for more from the client, or for a reply that others make. An error is a client that is silent for too
    /// long.
    async fn wait(&mut self) -> io::Result<()> {
        // Whoever waits for a reply may be silent.
        let idle_at = self.awaited.is_empty().then(|| self.silent_since + self.limits.idle);
        let deadline = idle_at.map_or(self.ends_at, |idle_at| idle_at.min(self.ends_at));
        tokio::select! {
            read = self.input.read(&mut self.stream),
                if !self.is_over && !self.is_at_end && self.awaited.has_room() =>
            {
                self.is_at_end = read? == 0;
            }
            next = self.awaited.next(), if !self.awaited.is_empty() => self.pass_on(next).await?,
            () = sleep_until(deadline), if !self.is_over => {
                self.is_over = true;
                if deadline < self.ends_at {
                    self.end().await?;
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
        Ok(())
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
        }
        if self.awaited.is_empty() {
            self.output.shrink_to(KEPT);
        }
        Ok(())
    }

    /// A place for an update that is longer than queries are, once so much of it has come; without one it is too long.
    fn take_large_place(&mut self) {
        if self.large.is_none() && self.input.is_large_update(&self.answers.hand_off) {
            self.large = self.answers.large.take(self.connection.client);
            if self.large.is_some() {
                self.input.take_large();
            }
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
        Ok(())
    }
}

/// Appends a message with its length in front.
fn append(message: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    output.extend_from_slice(&length.to_be_bytes());
    output.extend_from_slice(message);
    Ok(())
}
