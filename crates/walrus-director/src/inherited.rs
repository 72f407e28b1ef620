//! Sockets that a service manager opened and keeps while this program is restarted (`sd_listen_fds(3)`): what comes
//! meanwhile waits in them, so that nobody is refused.
//!
//! All workers read the one socket of an address, where each would else have its own; with many workers and hundreds of
//! thousands of queries a second that costs some of them.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Socket, Type};

/// The first of them, by the protocol.
const FIRST: RawFd = 3;
/// More than anybody opens.
const SOCKETS_MAX: RawFd = 256;

/// What was handed over and is not in use yet.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    udp: Vec<(SocketAddr, UdpSocket)>,
    tcp: Vec<(SocketAddr, TcpListener)>,
}

impl Inherited {
    /// Takes all of them; whoever asks again gets none.
    pub(crate) fn take() -> Self {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let mut inherited = Self::default();
        let told = |name| std::env::var(name).ok();
        let (process, count) = (told("LISTEN_PID"), told("LISTEN_FDS"));
        let count = count_for(std::process::id(), process.as_deref(), count.as_deref());
        if count == 0 || TAKEN.swap(true, Ordering::Relaxed) {
            return inherited;
        }
        tracing::info!(count, "sockets were handed over");
        for descriptor in FIRST..FIRST + count {
            if let Some(descriptor) = own(descriptor) {
                inherited.add(Socket::from(descriptor));
            }
        }
        inherited
    }

    fn add(&mut self, socket: Socket) {
        let address = socket.local_addr().ok().and_then(|address| address.as_socket());
        match (address, socket.r#type()) {
            (Some(address), Ok(Type::DGRAM)) => self.udp.push((address, socket.into())),
            (Some(address), Ok(Type::STREAM)) => self.tcp.push((address, socket.into())),
            _ => tracing::warn!("a socket that was handed over is none of UDP or TCP: left alone"),
        }
    }

    /// Those of an address.
    pub(crate) fn of(&mut self, address: SocketAddr) -> (Option<UdpSocket>, Option<TcpListener>) {
        let udp = self.udp.iter().position(|(own, _)| *own == address);
        let tcp = self.tcp.iter().position(|(own, _)| *own == address);
        (udp.map(|at| self.udp.remove(at).1), tcp.map(|at| self.tcp.remove(at).1))
    }

    /// Says which ones nobody wanted.
    pub(crate) fn say_left(&self) {
        let udp = self.udp.iter().map(|(address, _)| ("UDP", address));
        let tcp = self.tcp.iter().map(|(address, _)| ("TCP", address));
        for (kind, address) in udp.chain(tcp) {
            tracing::warn!(%address, kind, "a socket was handed over for an address that `[dns] listen` does not name");
        }
    }
}

/// How many sockets are for this process, by the two variables of the protocol.
fn count_for(own: u32, process: Option<&str>, count: Option<&str>) -> RawFd {
    let process = process.and_then(|text| text.parse::<u32>().ok());
    if process != Some(own) {
        return 0;
    }
    count.and_then(|text| text.parse::<RawFd>().ok()).unwrap_or(0).clamp(0, SOCKETS_MAX)
}

/// The descriptor, if it is open; programs that this one starts do not get it.
fn own(descriptor: RawFd) -> Option<OwnedFd> {
    // SAFETY: fcntl with F_SETFD takes two numbers; of a descriptor that is not open it says so.
    if unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return None;
    }
    // SAFETY: it is open, as was just seen, and by the protocol it is this process' and nobody's yet: LISTEN_PID names
    // this process, and `take` gives each descriptor out once.
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_found_by_their_addresses_and_kinds() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let (of_udp, of_tcp) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
        let mut inherited = Inherited::default();
        inherited.add(udp.into());
        inherited.add(tcp.into());
        let found =
            |(udp, tcp): (Option<UdpSocket>, Option<TcpListener>)| (udp.is_some(), tcp.is_some());
        assert_eq!(found(inherited.of(of_udp)), (true, of_udp == of_tcp));
        assert_eq!(found(inherited.of(of_tcp)), (false, of_udp != of_tcp));
        assert_eq!(found(inherited.of(of_udp)), (false, false));
    }

    #[test]
    fn what_is_for_another_process_is_not_taken() {
        let cases = [
            (Some("7"), Some("2"), 2),
            (Some("8"), Some("2"), 0),
            (None, Some("2"), 0),
            (Some("7"), None, 0),
            (Some("7"), Some("-2"), 0),
            (Some("7"), Some("many"), 0),
            (Some("7"), Some("2000000000"), SOCKETS_MAX),
        ];
        for (process, count, expected) in cases {
            assert_eq!(count_for(7, process, count), expected, "{process:?} {count:?}");
        }
    }
}
