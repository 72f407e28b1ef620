//! UDP sockets as an authoritative name server wants them.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::batch::{ignore_path_mtu, tell_destination};

/// What the kernel may keep while a worker is busy: some thousand queries. Asked for, not insisted
/// on: the system's own limit (`net.core.rmem_max`) is often lower.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A socket that shares its address with the other workers' (SO_REUSEPORT): the kernel spreads
/// clients over them, so that no worker waits for another.
///
/// # Errors
/// As `bind`.
pub(crate) fn listen(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = open(address)?;
    socket.set_reuse_port(true)?;
    set_up(&socket, address)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A socket of that address that somebody else opened.
///
/// # Errors
/// If the system refuses an option.
pub(crate) fn prepare(socket: UdpSocket, address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::from(socket);
    set_up(&socket, address)?;
    Ok(socket.into())
}

fn set_up(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    // Smaller buffers only lose more of a burst.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    // Old kernels lack it; what is sent is short enough for every path in any case.
    let _ = ignore_path_mtu(socket.as_fd(), address.is_ipv6());
    if address.ip().is_unspecified() {
        tell_destination(socket.as_fd(), address.is_ipv6())?;
    }
    socket.set_nonblocking(true)
}

/// Whether the address is free: with SO_REUSEPORT alone, a second process of the same user would be
/// let in silently and take half of the queries.
///
/// # Errors
/// As `bind`.
pub(crate) fn probe(address: SocketAddr) -> io::Result<()> {
    open(address)?.bind(&address.into())
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}
