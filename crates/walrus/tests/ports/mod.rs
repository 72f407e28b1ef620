//! Ports for programs that tests start.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// A port that is free on all these addresses, for TCP and UDP; below those that the system gives
/// to whoever asks for any, one of which could take it before the program that it is for.
pub(crate) fn free_port(addresses: &[IpAddr]) -> u16 {
    const FROM: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests that run at once begin far from each other.
    let begin = std::process::id().wrapping_mul(7919) % u32::from(COUNT);
    let free = |port: &u16| {
        addresses.iter().all(|address| {
            let address = SocketAddr::new(*address, *port);
            TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
        })
    };
    let next = |_| {
        let offset = begin + u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        FROM + u16::try_from(offset % u32::from(COUNT)).expect("below the count")
    };
    (0..COUNT).map(next).find(free).expect("a free port")
}
