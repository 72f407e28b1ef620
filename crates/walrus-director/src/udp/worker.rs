//! One answering thread: receive a batch, answer it in place, send the replies.

use std::io::Read as _;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use walrus_core::answer::Transport;

use super::batch::{Batch, Poll};
use crate::answering::{Answering, Incoming};
use crate::counters::Count;

/// How long an idle worker sleeps if nobody wakes it. Only a lost wake-up would make this matter.
const IDLE: Duration = Duration::from_secs(60);

/// How long a worker rests after a panic.
const AFTER_PANIC: Duration = Duration::from_millis(10);

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
    ///
    /// A panic is a bug of ours; whoever asked beside the query that found it must not pay for it
    /// with a thread that is gone. It costs the rest of its batch.
    pub(crate) fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            if catch_unwind(AssertUnwindSafe(|| self.turn())).is_err() {
                self.answering.counters().add(Count::Panics, 1);
                // The panic's text has been written; should each turn panic, no disk may fill.
                std::thread::sleep(AFTER_PANIC);
            }
        }
        self.answering.end();
    }

    /// Answers a batch of each socket, or waits if none has any.
    fn turn(&mut self) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answering::Echo;
    use crate::counters::{CounterSnapshot, Counters};

    #[test]
    fn a_panic_costs_its_query_and_not_the_thread() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (wake, waker) = UnixStream::pair().unwrap();
        let (stop, counters) = (Arc::new(AtomicBool::new(false)), Arc::new(Counters::new()));
        let echo = Echo(Arc::clone(&counters));
        let worker = Worker::new(vec![(socket, address)], 512, wake, Arc::clone(&stop), echo);
        let thread = std::thread::spawn(|| worker.run());
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client.send_to(b"panic", address).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        let mut seen = CounterSnapshot::default();
        while seen.panics == 0 && std::time::Instant::now() < deadline {
            std::thread::yield_now();
            seen = CounterSnapshot::default();
            seen.add(&counters);
        }
        assert_eq!(seen.panics, 1);
        client.send_to(b"still there", address).unwrap();
        let mut reply = [0; 64];
        let (length, _) = client.recv_from(&mut reply).unwrap();
        assert_eq!(&reply[..length], b"STILL THERE");
        stop.store(true, Ordering::Relaxed);
        drop(waker);
        thread.join().unwrap();
    }
}
