//! An exchange by UDP: some requests at a time, again if nothing comes. What is too long or is not answered (a name
//! server that limits its rate answers only some) is left for TCP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};
use walrus_host::clock::Clock;

use super::exchange::{Call, deliver};

/// Waits for datagrams: once, twice, four times this.
const FIRST_WAIT: Duration = Duration::from_millis(800);
/// How often a request is sent.
const TRIES: u32 = 3;
/// The longest datagram that is sent (DNS flag day 2020).
const BYTES_MAX: usize = 1232;
/// Requests that are on their way at once: queues of small routers hold as many.
const AT_ONCE: usize = 16;
/// Datagrams that answer nothing and are skipped in one try.
const STRANGERS_MAX: usize = 32;

/// Carries out calls that fit datagrams, as long as they are answered.
pub(super) async fn carry_out(server: SocketAddr, calls: &mut [Call<'_>], clock: &Clock) {
    for some in calls.chunks_mut(AT_ONCE) {
        let outcome = some_at_once(server, some, clock).await;
        if outcome.is_err() || some.iter().any(is_waiting) {
            return;
        }
    }
}

async fn some_at_once(server: SocketAddr, calls: &mut [Call<'_>], clock: &Clock) -> io::Result<()> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let mut wait = FIRST_WAIT;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    for _ in 0..TRIES {
        for call in calls.iter().filter(|call| is_waiting(call)) {
            socket.send(&call.bytes).await?;
        }
        let (until, mut strangers) = (Instant::now() + wait, 0);
        while calls.iter().any(is_waiting) && strangers < STRANGERS_MAX {
            let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await else { break };
            strangers += usize::from(!deliver(calls, buffer[..received?].to_vec(), clock));
        }
        if !calls.iter().any(is_waiting) {
            break;
        }
        wait *= 2;
    }
    Ok(())
}

fn is_waiting(call: &Call<'_>) -> bool {
    call.answer.is_none() && call.bytes.len() <= BYTES_MAX
}
