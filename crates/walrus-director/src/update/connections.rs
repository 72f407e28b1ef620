//! An exchange by TCP: all requests at once, and the replies as they come (RFC 7766 section 6.2.1.1). A round
//! trip for the connection and one for all requests, however far away the name server is.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use walrus_core::update::Failure;
use walrus_host::clock::Clock;

use super::exchange::{Call, deliver, failed};

/// Carries out the calls that have no answer yet, each reply within `wait` after the one before. An error concerns
/// all that have none then.
pub(super) async fn carry_out(
    server: SocketAddr,
    calls: &mut [Call<'_>],
    (clock, wait): (&Clock, Duration),
) -> Result<(), Failure> {
    loop {
        let before = waiting(calls);
        if before == 0 {
            return Ok(());
        }
        let connected = timeout(wait, TcpStream::connect(server)).await;
        let stream = connected.map_err(|_| Failure::Silent)?.map_err(|error| failed(&error))?;
        match by_one(stream, calls, (clock, wait)).await {
            Ok(()) => return Ok(()),
            // Some name servers close after each reply, or after some: the rest goes by another one.
            Err(Failure::Closed) if waiting(calls) < before => {}
            Err(failure) if !calls.iter().any(Call::is_heard) => return Err(failure),
            // It answers, but not everything: the first in turn is given up, which may be what holds up the rest.
            Err(failure) => {
                if let Some(call) = calls.iter_mut().find(|call| call.answer.is_none()) {
                    call.answer = Some(Err(failure));
                }
            }
        }
    }
}

fn waiting(calls: &[Call<'_>]) -> usize {
    calls.iter().filter(|call| call.answer.is_none()).count()
}

async fn by_one(
    stream: TcpStream,
    calls: &mut [Call<'_>],
    (clock, wait): (&Clock, Duration),
) -> Result<(), Failure> {
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
            let reply = timeout(wait, message(&mut reader)).await.map_err(|_| Failure::Silent)?;
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
