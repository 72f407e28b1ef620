//! Messages with their length in front (RFC 1035 section 4.2.2), over TCP and over TLS.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::places::Place;
use super::{Answers, Connection, Limits, QUERY_SIZE_MAX};
use crate::answering::Answering;

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
    let mut input = Input::default();
    let mut output = Vec::new();
    let ends_at = Instant::now() + limits.total;
    loop {
        let deadline = ends_at.min(Instant::now() + limits.idle);
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
        }
        place.renew();
        answers.begin();
        while let Some(query) = input.next()? {
            answers.append(query, connection, &mut output);
            if output.len() >= WRITE_AT {
                write(&mut stream, &mut output, limits).await?;
            }
        }
        write(&mut stream, &mut output, limits).await?;
        output.shrink_to(KEPT);
    }
}

/// Says that nothing more comes, as TLS wants it (RFC 8446 section 6.1). All replies have gone.
async fn end(mut stream: impl AsyncWrite + Unpin, limits: &Limits) -> io::Result<()> {
    // Whoever is gone need not be told.
    let _ = timeout(limits.idle, stream.shutdown()).await;
    Ok(())
}

async fn write(
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
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    /// Where the next message begins.
    place: usize,
}

impl Input {
    /// Reads more; 0 at the end.
    async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.bytes.drain(..self.place);
        self.place = 0;
        // An unfinished message has at most this, so there is always room to read.
        let mut limited = stream.take((2 + QUERY_SIZE_MAX) as u64);
        limited.read_buf(&mut self.bytes).await
    }

    /// Whether `next` has something to say.
    fn has_message(&self) -> bool {
        match self.length() {
            Some(length) => length > QUERY_SIZE_MAX || self.rest().len() >= 2 + length,
            None => false,
        }
    }

    /// The next whole message; an error if it is longer than allowed.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let Some(length) = self.length() else { return Ok(None) };
        if length > QUERY_SIZE_MAX {
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
