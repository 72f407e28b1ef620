//! `recvmmsg`, `sendmmsg`, `poll` and the socket options that no safe crate offers: all of this
//! crate's unsafe code but for what [`crate::inherited`] takes over.
//!
//! A [`Batch`] owns every buffer that the kernel reads and writes. The headers with their pointers
//! are written anew for each call and never used after it, so a batch may be moved between calls.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Datagrams a system call: more do not make it cheaper, and the first must wait for the last.
pub(crate) const BATCH: usize = 32;

/// The longest query that is read. No client sends one of even half that length.
pub(crate) const QUERY_SIZE_MAX: usize = 4096;

/// A datagram: a query, and room for what a proxy writes in front of it.
pub(crate) const DATAGRAM_SIZE_MAX: usize = QUERY_SIZE_MAX + 512;

/// Room for one IP_PKTINFO or IPV6_PKTINFO message (32 and 40 bytes), aligned as `cmsghdr` must be.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Buffers for a batch of queries and their replies.
pub(crate) struct Batch {
    queries: Box<[[u8; DATAGRAM_SIZE_MAX]; BATCH]>,
    received: [Received; BATCH],
    senders: [libc::sockaddr_storage; BATCH],
    controls: [Control; BATCH],
    /// `reply_size` bytes for each query.
    replies: Box<[u8]>,
    reply_size: usize,
    /// 0 is no reply.
    reply_lengths: [usize; BATCH],
}

/// What the kernel said about a datagram.
#[derive(Clone, Copy)]
struct Received {
    length: usize,
    control_length: usize,
    sender_length: libc::socklen_t,
    flags: libc::c_int,
}

/// A query as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    /// Its bytes, cut at [`DATAGRAM_SIZE_MAX`].
    pub(crate) query: &'a [u8],
    /// It was longer than that. What is shorter may still be longer than a query is.
    pub(crate) is_cut: bool,
    /// Who sent it.
    pub(crate) sender: SocketAddr,
    /// The address that it was sent to, if the socket tells (see [`tell_destination`]).
    pub(crate) destination: Option<IpAddr>,
}

/// The way back to who sent a datagram, for a reply that is sent later than its batch.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    sender: libc::sockaddr_storage,
    sender_length: libc::socklen_t,
    control: Control,
    /// 0: the system chooses the address that it is sent from.
    control_length: usize,
}

/// How sending went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Replies that the kernel took.
    pub(crate) sent: usize,
    /// Replies that it refused (no route, a full buffer): lost, as on any other hop.
    pub(crate) failed: usize,
}

impl Batch {
    /// With room for replies of up to so many bytes.
    pub(crate) fn new(reply_size: usize) -> Self {
        // SAFETY: `sockaddr_storage` is plain old data for which all zeroes is a value.
        let sender: libc::sockaddr_storage = unsafe { zeroed() };
        let received = Received { length: 0, control_length: 0, sender_length: 0, flags: 0 };
        Self {
            queries: Box::new([[0; DATAGRAM_SIZE_MAX]; BATCH]),
            received: [received; BATCH],
            senders: [sender; BATCH],
            controls: [Control([0; 64]); BATCH],
            replies: vec![0; reply_size * BATCH].into(),
            reply_size,
            reply_lengths: [0; BATCH],
        }
    }

    /// Takes what has arrived, without waiting; how many datagrams that is, 0 if there are none.
    ///
    /// # Errors
    /// As `recvmmsg`; "would block" is no error.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.receive_with(socket, libc::MSG_DONTWAIT)
    }

    /// As [`Batch::receive`], but waits for the first datagram, as long as the socket's own timeout
    /// says.
    ///
    /// # Errors
    /// As `recvmmsg`; a timeout is no error.
    pub(crate) fn receive_waiting(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.receive_with(socket, libc::MSG_WAITFORONE)
    }

    fn receive_with(&mut self, socket: BorrowedFd<'_>, flags: libc::c_int) -> io::Result<usize> {
        // SAFETY: `mmsghdr` and `iovec` are plain old data for which all zeroes is a value.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
        for index in 0..BATCH {
            vectors[index].iov_base = self.queries[index].as_mut_ptr().cast();
            vectors[index].iov_len = DATAGRAM_SIZE_MAX;
            let header = &mut headers[index].msg_hdr;
            header.msg_name = (&raw mut self.senders[index]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = &raw mut vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_controllen = size_of::<Control>();
        }
        self.reply_lengths = [0; BATCH];
        // SAFETY: every header points to buffers of the lengths given, which live in `self` or on
        // this stack frame and are not otherwise used during the call; the descriptor is open.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                flags,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        };
        for (received, header) in self.received.iter_mut().zip(&headers[..count]) {
            *received = Received {
                length: (header.msg_len as usize).min(DATAGRAM_SIZE_MAX),
                control_length: header.msg_hdr.msg_controllen.min(size_of::<Control>()),
                sender_length: header.msg_hdr.msg_namelen,
                flags: header.msg_hdr.msg_flags,
            };
        }
        Ok(count)
    }

    /// The first `count` queries, `count` being at most what [`Batch::receive`] returned.
    pub(crate) fn queries(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        let received = self.queries.iter().zip(&self.received).take(count);
        received.map(|(bytes, received)| &bytes[..received.length])
    }

    /// Hands a received datagram and the room for its reply to `answer`, which tells the reply's
    /// length, or `None` for no reply. `index` is below what [`Batch::receive`] returned.
    pub(crate) fn answer(
        &mut self,
        index: usize,
        answer: impl FnOnce(Datagram<'_>, &mut [u8]) -> Option<usize>,
    ) {
        let received = &self.received[index];
        let Some(sender) = socket_address(&self.senders[index]) else { return };
        let control = &self.controls[index].0[..received.control_length];
        let datagram = Datagram {
            query: &self.queries[index][..received.length],
            is_cut: received.flags & libc::MSG_TRUNC != 0,
            sender,
            destination: destination(control),
        };
        let reply = &mut self.replies[index * self.reply_size..][..self.reply_size];
        let length = answer(datagram, reply).unwrap_or(0);
        self.reply_lengths[index] = length.min(self.reply_size);
    }

    /// A copy of a received datagram and the way back to its sender; `index` is below what
    /// [`Batch::receive`] returned.
    pub(crate) fn take_away(&self, index: usize) -> (Vec<u8>, Route) {
        let received = &self.received[index];
        let mut control = self.controls[index];
        let control_length = reply_control(&mut control.0[..received.control_length]).unwrap_or(0);
        let sender = self.senders[index];
        let route =
            Route { sender, sender_length: received.sender_length, control, control_length };
        (self.queries[index][..received.length].to_vec(), route)
    }

    /// Sends all replies of the first `count` datagrams, each from the address that was asked.
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>, count: usize) -> Sent {
        // SAFETY: as in `receive`.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        // SAFETY: as in `receive`.
        let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
        let mut replies = 0;
        for index in 0..count.min(BATCH) {
            if self.reply_lengths[index] == 0 {
                continue;
            }
            let reply = &mut self.replies[index * self.reply_size..][..self.reply_size];
            vectors[replies].iov_base = reply.as_mut_ptr().cast();
            vectors[replies].iov_len = self.reply_lengths[index];
            let header = &mut headers[replies].msg_hdr;
            header.msg_name = (&raw mut self.senders[index]).cast();
            header.msg_namelen = self.received[index].sender_length;
            header.msg_iov = &raw mut vectors[replies];
            header.msg_iovlen = 1;
            let control = &mut self.controls[index];
            let control_length = self.received[index].control_length;
            if let Some(length) = reply_control(&mut control.0[..control_length]) {
                header.msg_control = control.0.as_mut_ptr().cast();
                header.msg_controllen = length;
            }
            replies += 1;
        }
        send_all(socket, &mut headers[..replies])
    }
}

/// Sends one reply along a route, from the address that was asked.
///
/// # Errors
/// As `sendmsg`; a full buffer is one too.
pub(crate) fn send_along(socket: BorrowedFd<'_>, route: &Route, reply: &[u8]) -> io::Result<()> {
    let (mut sender, mut control) = (route.sender, route.control);
    let mut vector =
        libc::iovec { iov_base: reply.as_ptr().cast_mut().cast(), iov_len: reply.len() };
    // SAFETY: `msghdr` is plain old data for which all zeroes is a value.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_name = (&raw mut sender).cast();
    header.msg_namelen = route.sender_length;
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    if route.control_length > 0 {
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = route.control_length;
    }
    // SAFETY: the header points to buffers of the lengths given, which outlive the call; the kernel
    // only reads them; the descriptor is open.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sends until all headers are through; one that the kernel refuses is skipped.
fn send_all(socket: BorrowedFd<'_>, headers: &mut [libc::mmsghdr]) -> Sent {
    let mut result = Sent::default();
    while result.sent + result.failed < headers.len() {
        let rest = &mut headers[result.sent + result.failed..];
        // SAFETY: the caller's headers point to buffers that outlive this call; `rest.len()` of
        // them are handed over.
        let count = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                rest.as_mut_ptr(),
                rest.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
            )
        };
        match usize::try_from(count) {
            Ok(count) if count > 0 => result.sent += count,
            // The error is that of the first message: leave it and try those after it.
            _ => result.failed += 1,
        }
    }
    result
}

/// The address in what the kernel filled in.
fn socket_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that a `sockaddr_in` stands here; the storage is larger and
            // aligned for every kind of address.
            let address = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from_bits(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(address.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above for `sockaddr_in6`.
            let address = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            let port = u16::from_be(address.sin6_port);
            Some(SocketAddrV6::new(ip, port, 0, address.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Where a control message's data begins on every system that this is built for (`CMSG_LEN(0)`).
const CONTROL_DATA: usize = size_of::<libc::cmsghdr>();

/// Level and type of the first control message, if it is whole. There is never a second one: only
/// one option that makes them is switched on.
fn control_kind(control: &[u8]) -> Option<(libc::c_int, libc::c_int)> {
    let level_at = size_of::<usize>();
    let level = control.get(level_at..level_at + 4)?.try_into().ok()?;
    let kind = control.get(level_at + 4..CONTROL_DATA)?.try_into().ok()?;
    Some((libc::c_int::from_ne_bytes(level), libc::c_int::from_ne_bytes(kind)))
}

/// The local address in a control message: `in_pktinfo` (interface, local address, address in the
/// header) or `in6_pktinfo` (address, interface).
fn destination(control: &[u8]) -> Option<IpAddr> {
    let data = control.get(CONTROL_DATA..)?;
    match control_kind(control)? {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            let bytes: [u8; 4] = data.get(4..8)?.try_into().ok()?;
            Some(Ipv4Addr::from(bytes).into())
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            let bytes: [u8; 16] = data.get(..16)?.try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// Turns the control message of a query into that of its reply and tells its length: the same
/// address, but whatever interface the routes say; only a link-local address keeps its link.
fn reply_control(control: &mut [u8]) -> Option<usize> {
    let local = destination(control)?;
    let data = &mut control[CONTROL_DATA..];
    match local {
        IpAddr::V4(_) => {
            data.get_mut(..4)?.fill(0);
            Some(size_of::<Control>().min(CONTROL_DATA + 16))
        }
        IpAddr::V6(address) => {
            if !address.is_unicast_link_local() {
                data.get_mut(16..20)?.fill(0);
            }
            Some(size_of::<Control>().min(CONTROL_DATA + 24))
        }
    }
}

/// Tells the processor that this address will be read soon. It changes nothing but time.
#[inline]
pub(crate) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint: it reads nothing and faults for no address. SSE, which it
    // belongs to, is part of every x86-64 processor.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Asks for the address that each datagram was sent to: needed on a socket that listens on all.
///
/// # Errors
/// As `setsockopt`.
pub(crate) fn tell_destination(socket: BorrowedFd<'_>, ipv6: bool) -> io::Result<()> {
    match ipv6 {
        false => set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        true => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    }
}

/// Keeps routers' word about path MTUs out (an attacker could make us send fragments, and fragments
/// of answers can be forged): replies are at most as long as every path carries.
///
/// # Errors
/// As `setsockopt`.
pub(crate) fn ignore_path_mtu(socket: BorrowedFd<'_>, ipv6: bool) -> io::Result<()> {
    match ipv6 {
        false => {
            set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT)
        }
        true => set_option(
            socket,
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_OMIT,
        ),
    }
}

fn set_option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the option's value is a live integer of the length given; the descriptor is open.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits until one of the descriptors can be read, or for `timeout`; the room for `poll`'s entries
/// is kept by the caller.
pub(crate) struct Poll(Box<[libc::pollfd]>);

impl Poll {
    /// Over these descriptors, which the caller keeps open.
    pub(crate) fn new<'a>(descriptors: impl IntoIterator<Item = BorrowedFd<'a>>) -> Self {
        let entry = |fd: BorrowedFd<'_>| libc::pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        Self(descriptors.into_iter().map(entry).collect())
    }

    /// Whether anything can be read (or is broken) within `timeout`.
    pub(crate) fn wait(&mut self, timeout: Duration) -> bool {
        let timeout = libc::c_int::try_from(timeout.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: the pointer and the length are those of a live slice; a descriptor that was
        // closed meanwhile is reported in `revents`, not used.
        let ready =
            unsafe { libc::poll(self.0.as_mut_ptr(), self.0.len() as libc::nfds_t, timeout) };
        ready > 0
    }

    /// Whether the descriptor at this place was readable after the last wait.
    pub(crate) fn is_ready(&self, place: usize) -> bool {
        self.0[place].revents != 0
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    /// Receives one datagram, waiting at most a second.
    fn receive(batch: &mut Batch, socket: &UdpSocket) -> usize {
        let mut poll = Poll::new([socket.as_fd()]);
        assert!(poll.wait(Duration::from_secs(1)), "a datagram arrives");
        batch.receive(socket.as_fd()).unwrap()
    }

    fn check_reply_from(listen: &str, asked: &str, bind_client: &str) {
        let socket = UdpSocket::bind(listen).unwrap();
        let ipv6 = socket.local_addr().unwrap().is_ipv6();
        tell_destination(socket.as_fd(), ipv6).unwrap();
        ignore_path_mtu(socket.as_fd(), ipv6).unwrap();
        let asked = SocketAddr::new(asked.parse().unwrap(), socket.local_addr().unwrap().port());
        let client = UdpSocket::bind(bind_client).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        client.send_to(b"question", asked).unwrap();
        let mut batch = Batch::new(512);
        assert_eq!(receive(&mut batch, &socket), 1);
        batch.answer(0, |datagram, reply| {
            assert_eq!(datagram.query, b"question");
            assert!(!datagram.is_cut);
            assert_eq!(datagram.sender, client.local_addr().unwrap());
            assert_eq!(datagram.destination, Some(asked.ip()));
            reply[..6].copy_from_slice(b"answer");
            Some(6)
        });
        assert_eq!(batch.send(socket.as_fd(), 1), Sent { sent: 1, failed: 0 });
        let mut reply = [0; 32];
        let (length, from) = client.recv_from(&mut reply).unwrap();
        assert_eq!(&reply[..length], b"answer");
        assert_eq!(from, asked, "the reply comes from the address that was asked");
    }

    #[test]
    fn replies_leave_from_the_address_that_was_asked() {
        check_reply_from("0.0.0.0:0", "127.0.0.77", "127.0.0.1:0");
        check_reply_from("0.0.0.0:0", "127.0.0.1", "127.0.0.1:0");
        check_reply_from("[::]:0", "::1", "[::1]:0");
    }

    #[test]
    fn nothing_there_is_no_error_and_no_reply_is_not_sent() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = Batch::new(512);
        assert_eq!(batch.receive(socket.as_fd()).unwrap(), 0);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..3 {
            client.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        }
        let mut seen = 0;
        while seen < 3 {
            let count = receive(&mut batch, &socket);
            for index in 0..count {
                batch.answer(index, |datagram, _| {
                    assert_eq!(datagram.destination, None, "not asked for");
                    None
                });
            }
            assert_eq!(batch.send(socket.as_fd(), count), Sent::default());
            seen += count;
        }
    }

    #[test]
    fn a_refused_reply_does_not_hold_up_the_others() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let clients = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        for client in &clients {
            client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            client.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        }
        let mut batch = Batch::new(70_000);
        // On loopback a datagram is in the receiver's queue when `send_to` returns.
        assert_eq!(receive(&mut batch, &socket), 3);
        for index in 0..3 {
            // No datagram can have 69,000 bytes.
            batch.answer(index, |_, _| Some(if index == 1 { 69_000 } else { 5 }));
        }
        assert_eq!(batch.send(socket.as_fd(), 3), Sent { sent: 2, failed: 1 });
    }

    #[test]
    fn an_overlong_datagram_is_marked() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(&[7; DATAGRAM_SIZE_MAX + 1], socket.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new(512);
        assert_eq!(receive(&mut batch, &socket), 1);
        batch.answer(0, |datagram, _| {
            assert!(datagram.is_cut);
            assert_eq!(datagram.query.len(), DATAGRAM_SIZE_MAX);
            None
        });
    }
}
