//! Zone transfers and signed queries: others answer them, on other threads; here is the way to them and back, at the
//! pace of the client.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::{Instant, timeout_at};

use super::framed::write;
use super::places::Place;
use super::{Answers, Connection, Limits};
use crate::answering::Answering;
use crate::counters::Count;
use crate::zones::OutboundRequest;

/// So long a transfer may take as a whole: each message must also be taken within the idle time.
const TRANSFER_MAX: Duration = Duration::from_secs(2 * 3600);

/// Answers one message. An error ends the connection: it tells the client that there is no answer, or no more of it.
pub(super) async fn answer<A: Answering>(
    stream: &mut (impl AsyncWrite + Unpin),
    message: Vec<u8>,
    connection: Connection,
    answers: &Answers<A>,
    (place, limits): (&Place, &Limits),
) -> io::Result<()> {
    let Connection { client, local, transport } = connection;
    answers.count(Count::of_queries(transport));
    let mut output = Vec::new();
    let query = message.clone();
    let request = OutboundRequest { message, client, local, transport };
    let Some(mut messages) = answers.outbound.begin(request) else {
        return Err(io::ErrorKind::WouldBlock.into());
    };
    let ends_at = Instant::now() + TRANSFER_MAX;
    let mut is_first = true;
    while let Some(message) = timeout_at(ends_at, messages.recv()).await? {
        place.renew();
        if std::mem::take(&mut is_first) {
            answers.tell(&query, connection, &message);
        }
        frame(&message, &mut output)?;
        write(stream, &mut output, limits).await?;
    }
    Ok(())
}

fn frame(message: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    output.extend_from_slice(&length.to_be_bytes());
    output.extend_from_slice(message);
    Ok(())
}
