//! Messages with their length in front (RFC 1035 section 4.2.2), over TCP and over TLS.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};
use walrus_dns::query::HEADER_LEN;

use super::places::{LargePlace, Place};
use super::{
    Answers, Connection, KEEPER_WITHIN, Limits, QUERY_SIZE_MAX, Taken, UPDATE_SIZE_MAX, handed_over,
};
use crate::answering::Answering;
use crate::zones::HandOff;

/// Replies are written once so many bytes are waiting.
const WRITE_AT: usize = 16 * 1024;

/// So much room for replies a connection keeps while it waits: thousands may.
const KEPT: usize = 1024;

/// Answers a connection's messages until the client ends it. An error is a client that is too
/// slow, too long or gone.
pub(super) async fn serve<A: Answering>(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: Connection,
    place: &Place,
    answers: &Answers<A>,
    limits: &Limits,
) -> io::Result<()> {
    let mut input = Input { bytes: Vec::new(), place: 0, size_max: QUERY_SIZE_MAX };
    let mut output = Vec::new();
    let ends_at = Instant::now() + limits.total;
    loop {
        let deadline = ends_at.min(Instant::now() + limits.idle);
        input.forget_taken();
        let mut large = place_for_large(&mut input, answers, connection);
        while !input.has_message() {
            match timeout_at(deadline, input.read(&mut stream)).await {
                Ok(Ok(0)) => return end(stream, limits).await,
                Ok(read) => read?,
                Err(_) if Instant::now() >= ends_at => return end(stream, limits).await,
                Err(elapsed) => {
                    end(stream, limits).await?;
                    return Err(elapsed.into());
                }
            };
            if large.is_none() {
                large = place_for_large(&mut input, answers, connection);
            }
        }
        place.renew();
        answers.begin();
        while let Some(query) = input.next()? {
            if answers.outbound.wants(query) {
                // What was asked before is answered before.
                write(&mut stream, &mut output, limits).await?;
                let query = query.to_vec();
                let bounds = (place, limits);
                handed_over::answer(&mut stream, query, connection, answers, bounds).await?;
                // A transfer may last longer than a connection; one after the other may not.
                if Instant::now() >= ends_at {
                    return end(stream, limits).await;
                }
                answers.begin();
                continue;
            }
            if answers.hand_off.wants(query) {
                let taken = answers.hand_over(query, connection);
                // It has come whole; however long the keeper takes, others may send theirs.
                drop(large.take());
                write(&mut stream, &mut output, limits).await?;
                let reply = replied(taken, (query, connection), answers).await;
                // The client asks again, or elsewhere.
                let Some(reply) = reply else { return end(stream, limits).await };
                // Replies have a header and some hundred bytes.
                output.extend_from_slice(&(reply.len() as u16).to_be_bytes());
                output.extend_from_slice(&reply);
                continue;
            }
            answers.append(query, connection, &mut output);
            if output.len() >= WRITE_AT {
                write(&mut stream, &mut output, limits).await?;
            }
        }
        write(&mut stream, &mut output, limits).await?;
        output.shrink_to(KEPT);
        input.shrink();
    }
}

/// The reply to what changes zones; `None` if there is none in time.
async fn replied<A: Answering>(
    taken: Taken,
    (query, connection): (&[u8], Connection),
    answers: &Answers<A>,
) -> Option<Vec<u8>> {
    match taken {
        Taken::Refused(reply) => Some(reply),
        Taken::HandedOver(reply) => {
            let reply = timeout(KEEPER_WITHIN, reply).await.ok().and_then(Result::ok);
            reply.inspect(|reply| answers.tell(query, connection, reply))
        }
        Taken::Lost => None,
    }
}

/// A place for an update that is longer than queries are, once so much of it has come; without one it is too long.
fn place_for_large<A: Answering>(
    input: &mut Input,
    answers: &Answers<A>,
    connection: Connection,
) -> Option<LargePlace> {
    let is_large = input.is_large_update(&answers.hand_off);
    let place = is_large.then(|| answers.large.take(connection.client)).flatten()?;
    input.size_max = UPDATE_SIZE_MAX;
    Some(place)
}

/// Says that nothing more comes, as TLS wants it (RFC 8446 section 6.1). All replies have gone.
async fn end(mut stream: impl AsyncWrite + Unpin, limits: &Limits) -> io::Result<()> {
    // Whoever is gone need not be told.
    let _ = timeout(limits.idle, stream.shutdown()).await;
    Ok(())
}

pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    output: &mut Vec<u8>,
    limits: &Limits,
) -> io::Result<()> {
    let deadline = Instant::now() + limits.idle;
    timeout_at(deadline, async {
        stream.write_all(output).await?;
        // TLS keeps what it has not sent yet.
        stream.flush().await
    })
    .await??;
    output.clear();
    Ok(())
}

/// What a connection brought and is not yet answered: at most one message and what came with it.
struct Input {
    bytes: Vec<u8>,
    /// The longest message that is taken.
    size_max: usize,
    /// Where the next message begins.
    place: usize,
}

impl Input {
    /// Reads more; 0 at the end.
    async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.bytes.drain(..self.place);
        self.place = 0;
        // An unfinished message has at most this, so there is always room to read.
        let mut limited = stream.take((2 + self.size_max) as u64);
        limited.read_buf(&mut self.bytes).await
    }

    /// Whether `next` has something to say.
    fn has_message(&self) -> bool {
        match self.length() {
            // Too long for a query. An update, which says so in its third byte, waits until it has brought more than a
            // query does.
            Some(length) if length > self.size_max => {
                const OPCODE: u8 = 0x78;
                const UPDATE: u8 = 5 << 3;
                let flags = self.rest().get(4);
                flags.is_some_and(|flags| flags & OPCODE != UPDATE) || self.is_more_than_a_query()
            }
            Some(length) => self.rest().len() >= 2 + length,
            None => false,
        }
    }

    /// Whether there is an update that is longer than queries are, and as much of it as these have: who only says how
    /// long it will be holds no place.
    fn is_large_update(&self, hand_off: &HandOff) -> bool {
        let header = self.rest().get(2..2 + HEADER_LEN);
        self.length().is_some_and(|length| length > QUERY_SIZE_MAX)
            && self.is_more_than_a_query()
            && header.is_some_and(|header| hand_off.wants(header))
    }

    /// Whether as much has come as the longest query has, with its length.
    fn is_more_than_a_query(&self) -> bool {
        self.rest().len() >= 2 + QUERY_SIZE_MAX
    }

    /// Drops what was answered, and takes only queries again.
    fn forget_taken(&mut self) {
        self.bytes.drain(..self.place);
        (self.place, self.size_max) = (0, QUERY_SIZE_MAX);
    }

    /// Gives back the room that a large update took.
    fn shrink(&mut self) {
        self.forget_taken();
        if self.bytes.capacity() > 2 * QUERY_SIZE_MAX {
            self.bytes.shrink_to(QUERY_SIZE_MAX);
        }
    }

    /// The next whole message; an error if it is longer than allowed.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let Some(length) = self.length() else { return Ok(None) };
        if length > self.size_max {
            if self.place > 0 {
                // It is looked at again when what came before it is answered.
                return Ok(None);
            }
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.rest().len() < 2 + length {
            return Ok(None);
        }
        let message = self.place + 2..self.place + 2 + length;
        self.place = message.end;
        Ok(Some(&self.bytes[message]))
    }

    fn length(&self) -> Option<usize> {
        let length = self.rest().first_chunk()?;
        Some(usize::from(u16::from_be_bytes(*length)))
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.place..]
    }
}
