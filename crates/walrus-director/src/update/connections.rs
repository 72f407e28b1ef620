//! An exchange by TCP: all requests at once, and the replies as they come (RFC 7766 section 6.2.1.1). A round
//! trip for the connection and one for all requests, however far away the name server is.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use walrus_core::update::Failure;
use walrus_host::clock::Clock;

use super::exchange::{Call, WAIT, deliver, failed};

/// Carries out the calls that have no answer yet.
pub(super) async fn carry_out(
    server: SocketAddr,
    calls: &mut [Call<'_>],
    clock: &Clock,
) -> Result<(), Failure> {
    loop {
        let waiting = waiting(calls);
        if waiting == 0 {
            return Ok(());
        }
        match by_one(server, calls, clock).await {
            // Some name servers close after each reply, or after some: the rest goes by another one.
            Err(Failure::Closed) if self::waiting(calls) < waiting => {}
            outcome => return outcome,
        }
    }
}

fn waiting(calls: &[Call<'_>]) -> usize {
    calls.iter().filter(|call| call.answer.is_none()).count()
}

async fn by_one(server: SocketAddr, calls: &mut [Call<'_>], clock: &Clock) -> Result<(), Failure> {
    let connected = timeout(WAIT, TcpStream::connect(server)).await;
    let stream = connected.map_err(|_| Failure::Silent)?.map_err(|error| failed(&error))?;
    let (mut reader, mut writer) = stream.into_split();
    let mut requests = Vec::new();
    for call in calls.iter().filter(|call| call.answer.is_none()) {
        let len = u16::try_from(call.bytes.len()).map_err(|_| Failure::TooLong)?;
        requests.extend_from_slice(&len.to_be_bytes());
        requests.extend_from_slice(&call.bytes);
    }
    // Replies are read while requests are still written, or both sides could wait for each other.
    let mut write = pin!(writer.write_all(&requests));
    let mut is_written = false;
    let mut read = pin!(async {
        while waiting(calls) > 0 {
            let reply = timeout(WAIT, message(&mut reader)).await.map_err(|_| Failure::Silent)?;
            // Nobody else speaks on this connection.
            if !deliver(calls, reply.map_err(|error| failed(&error))?, clock) {
                return Err(Failure::Malformed);
            }
        }
        Ok(())
    });
    loop {
        tokio::select! {
            outcome = &mut read => return outcome,
            // If it breaks, what was answered before may still be read.
            _ = &mut write, if !is_written => is_written = true,
        }
    }
}

async fn message(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(reader.read_u16().await?)];
    reader.read_exact(&mut message).await?;
    Ok(message)
}
