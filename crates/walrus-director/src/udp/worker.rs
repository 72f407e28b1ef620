//! One answering thread: receive a batch, answer it in place, send the replies.

use std::io::Read as _;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use walrus_core::answer::Transport;

use super::batch::{Batch, Poll};
use crate::answering::{Answering, Incoming};
use crate::counters::Count;

/// How long an idle worker sleeps if nobody wakes it. Only a lost wake-up would make this matter.
const IDLE: Duration = Duration::from_secs(60);

/// An answering thread's sockets and buffers. Between `receive` and `send` it makes no system call,
/// takes no lock and allocates nothing; only when no socket has anything does it wait.
pub(crate) struct Worker<A> {
    sockets: Vec<Listening>,
    batch: Batch,
    poll: Poll,
    wake: UnixStream,
    stop: Arc<AtomicBool>,
    answering: A,
}

struct Listening {
    socket: UdpSocket,
    address: SocketAddr,
}

impl<A: Answering> Worker<A> {
    /// Over sockets that are bound already. Whoever writes a byte into `wake`'s other end gets the
    /// worker to look at `stop` and at what [`Answering::begin_batch`] looks at.
    pub(crate) fn new(
        sockets: Vec<(UdpSocket, SocketAddr)>,
        reply_size: usize,
        wake: UnixStream,
        stop: Arc<AtomicBool>,
        answering: A,
    ) -> Self {
        let sockets: Vec<Listening> =
            sockets.into_iter().map(|(socket, address)| Listening { socket, address }).collect();
        // The waking comes first, then the sockets in their order.
        let descriptors = sockets.iter().map(|listening| listening.socket.as_fd());
        let poll = Poll::new(std::iter::once(wake.as_fd()).chain(descriptors));
        Self { sockets, batch: Batch::new(reply_size), poll, wake, stop, answering }
    }

    /// Answers until asked to stop.
    pub(crate) fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            self.answering.begin_batch();
            let mut is_idle = true;
            for place in 0..self.sockets.len() {
                is_idle &= self.serve(place) == 0;
            }
            if is_idle && self.poll.wait(IDLE) && self.poll.is_ready(0) {
                // Several wake-ups are one; what is left wakes again.
                let _ = self.wake.read(&mut [0; 64]);
            }
        }
        self.answering.end();
    }

    /// Answers one batch from one socket; how many queries it had.
    fn serve(&mut self, place: usize) -> usize {
        let Listening { socket, address } = &self.sockets[place];
        let counters = self.answering.counters();
        let count = match self.batch.receive(socket.as_fd()) {
            Ok(0) => return 0,
            Ok(count) => count,
            Err(_) => {
                counters.add(Count::ReceiveErrors, 1);
                return 0;
            }
        };
        counters.add(Count::UdpQueries, count as u64);
        for index in 0..count {
            self.batch.answer(index, |datagram, reply| {
                if datagram.is_cut {
                    self.answering.counters().add(Count::Dropped, 1);
                    return None;
                }
                let local = datagram
                    .destination
                    .map_or(*address, |destination| SocketAddr::new(destination, address.port()));
                let incoming = Incoming {
                    query: datagram.query,
                    client: datagram.sender.ip(),
                    local,
                    transport: Transport::Udp,
                };
                // Port 0 cannot be answered; port 53 from another name server is a spoofed loop
                // only if it is a reply, which `answer` drops.
                if datagram.sender.port() == 0 {
                    self.answering.counters().add(Count::Dropped, 1);
                    return None;
                }
                self.answering.answer(incoming, reply)
            });
        }
        let sent = self.batch.send(socket.as_fd(), count);
        self.answering.counters().add(Count::SendFailures, sent.failed as u64);
        count
    }
}
