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
use walrus_dns::{ProxiedAddresses, ProxyHeader};

use super::batch::{BATCH, Batch, Datagram, Poll, QUERY_SIZE_MAX};
use super::{Route, UdpListener};
use crate::answering::{Answering, Incoming};
use crate::counters::Count;
use crate::networks::Networks;
use crate::zones::{Back, Caller, HandOff, HandedOver};

/// How long an idle worker sleeps if nobody wakes it. Only a lost wake-up would make this matter.
const IDLE: Duration = Duration::from_secs(60);

/// How long a busy worker waits for queries without a look at anything else: a new table or the end
/// are seen that much later at most, and only if no query comes meanwhile.
const RECEIVE_WAIT: Duration = Duration::from_millis(20);

/// Batches of fewer queries have nothing to gain from looking ahead.
const LOOK_AHEAD_FROM: usize = 4;

/// How long a worker rests after a panic.
const AFTER_PANIC: Duration = Duration::from_millis(10);

/// An answering thread's sockets and buffers. Between `receive` and `send` it makes no system call,
/// takes no lock and allocates nothing, but for what it hands over: of an update, a NOTIFY or a signed query it keeps a
/// copy, and verifies the signature. It waits only when all that had come is answered.
pub(crate) struct Worker<A> {
    sockets: Vec<Listening>,
    batch: Batch,
    poll: Poll,
    wake: UnixStream,
    stop: Arc<AtomicBool>,
    answering: A,
    hand_off: HandOff,
    /// Whose datagrams begin with a PROXY header.
    proxies: Networks,
    /// Whether it may wait by receiving.
    may_receive: bool,
    last: Last,
}

/// How the last turn left the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// No query was there.
    Nothing,
    /// All that was there is answered.
    All,
    /// A socket may have more.
    Part,
}

/// How a thread waits for queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// For any socket, or a wake-up.
    Polling,
    /// For its only socket, for [`RECEIVE_WAIT`] at most.
    Receiving,
}

struct Listening {
    socket: Arc<UdpListener>,
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
        (answering, hand_off): (A, HandOff),
    ) -> Self {
        let listening = |(socket, address)| Listening { socket: Arc::new(socket), address };
        let sockets: Vec<Listening> = sockets.into_iter().map(listening).collect();
        // The waking comes first, then the sockets in their order.
        let descriptors = sockets.iter().map(|listening| listening.socket.as_fd());
        let poll = Poll::new(std::iter::once(wake.as_fd()).chain(descriptors));
        let may_receive = matches!(&sockets[..], [only] if waits_briefly(&only.socket));
        let batch = Batch::new(reply_size);
        let last = Last::Nothing;
        let proxies = Networks::default();
        Self { sockets, batch, poll, wake, stop, answering, hand_off, proxies, may_receive, last }
    }

    /// Takes whom these proxies name for the clients.
    pub(crate) fn behind(self, proxies: Networks) -> Self {
        Self { proxies, ..self }
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

    /// Waits, if there is nothing to be read, and answers a batch of each socket that has any.
    fn turn(&mut self) {
        let waiting = self.wait();
        if waiting == Waiting::Polling {
            self.answering.begin_batch();
        }
        let (mut served, mut left) = (0, false);
        for place in 0..self.sockets.len() {
            if waiting == Waiting::Receiving || self.poll.is_ready(place + 1) {
                let count = self.serve(place, waiting);
                served += count;
                left |= count == BATCH;
            }
        }
        self.last = match (served, left) {
            (0, _) => Last::Nothing,
            (_, false) => Last::All,
            (_, true) => Last::Part,
        };
        if served > 0 {
            self.answering.begin_batch();
        }
    }

    /// Waits as the last turn suggests.
    ///
    /// A busy thread with one socket waits by receiving, which spares two system calls a batch: that
    /// is 4 % of a query's time where each comes alone. It is told of nothing else meanwhile, so it
    /// does not wait long; an idle one waits for all.
    fn wait(&mut self) -> Waiting {
        if self.may_receive && self.last != Last::Nothing {
            return Waiting::Receiving;
        }
        let timeout = if self.last == Last::Part { Duration::ZERO } else { IDLE };
        if self.poll.wait(timeout) && self.poll.is_ready(0) {
            // Several wake-ups are one; what is left wakes again.
            let _ = self.wake.read(&mut [0; 64]);
        }
        Waiting::Polling
    }

    /// Names what the first `count` queries will read from memory.
    fn look_ahead(&self, count: usize) {
        let queries = self.batch.queries(count);
        if self.proxies.is_empty() {
            self.answering.look_ahead(queries);
        } else {
            self.answering.look_ahead(queries.map(behind_header));
        }
    }

    /// Answers one batch from one socket; how many queries it had.
    fn serve(&mut self, place: usize, waiting: Waiting) -> usize {
        let Listening { socket, address } = &self.sockets[place];
        let received = match waiting {
            Waiting::Polling => self.batch.receive(socket.as_fd()),
            Waiting::Receiving => self.batch.receive_waiting(socket.as_fd()),
        };
        let count = match received {
            Ok(0) => return 0,
            Ok(count) => count,
            Err(_) => {
                self.answering.counters().add(Count::ReceiveErrors, 1);
                return 0;
            }
        };
        if waiting == Waiting::Receiving {
            self.answering.begin_batch();
        }
        let counters = self.answering.counters();
        counters.add(Count::UdpQueries, count as u64);
        if count >= LOOK_AHEAD_FROM {
            self.look_ahead(count);
        }
        for index in 0..count {
            let mut handed_over = None;
            self.batch.answer(index, |datagram, reply| {
                let asked = match Asked::of(&datagram, *address, &self.proxies) {
                    Ok(asked) => asked,
                    Err(why) => {
                        self.answering.counters().add(why, 1);
                        return None;
                    }
                };
                let Asked { query, client, local } = asked;
                let transport = Transport::Udp;
                let incoming = Incoming { query, client: client.ip(), local, transport };
                if self.hand_off.wants(query) {
                    let caller = self.hand_off.caller(query, client.ip());
                    if matches!(caller, Caller::Unsigned) {
                        return self.answering.refuse(incoming, reply);
                    }
                    self.answering.tell(incoming, None);
                    handed_over = Some((client, local, caller, query.len()));
                    return None;
                }
                self.answering.answer(incoming, reply)
            });
            if let Some((client, local, caller, length)) = handed_over {
                let (mut message, route) = self.batch.take_away(index);
                // What a proxy wrote stands in front.
                message.drain(..message.len() - length);
                let asked = (message, client, local);
                let was_taken = hand_over(&self.hand_off, (socket, route), asked, caller);
                let count = if was_taken { Count::HandedOver } else { Count::HandedOverLost };
                self.answering.counters().add(count, 1);
            }
        }
        let sent = self.batch.send(socket.as_fd(), count);
        self.answering.counters().add(Count::SendFailures, sent.failed as u64);
        count
    }
}

/// Who asks what, and where.
struct Asked<'a> {
    query: &'a [u8],
    client: SocketAddr,
    local: SocketAddr,
}

impl<'a> Asked<'a> {
    /// As the datagram itself says, or a proxy's header in front; else what it counts as.
    #[inline]
    fn of(
        datagram: &Datagram<'a>,
        listening: SocketAddr,
        proxies: &Networks,
    ) -> Result<Self, Count> {
        // Port 0 cannot be answered; port 53 from another name server is a spoofed loop
        // only if it is a reply, which `answer` drops.
        if datagram.is_cut || datagram.sender.port() == 0 {
            return Err(Count::Dropped);
        }
        let local = datagram
            .destination
            .map_or(listening, |destination| SocketAddr::new(destination, listening.port()));
        let mut asked = Self { query: datagram.query, client: datagram.sender, local };
        if proxies.contain(asked.client.ip().to_canonical()) {
            asked = asked.proxied().ok_or(Count::ProxyFailures)?;
        }
        if asked.query.len() > QUERY_SIZE_MAX { Err(Count::Dropped) } else { Ok(asked) }
    }

    /// As the PROXY header in front of it says; `None` if there is none.
    #[cold]
    fn proxied(self) -> Option<Self> {
        let header = ProxyHeader::read(self.query).ok()?;
        let query = &self.query[header.size..];
        let Some(ProxiedAddresses { client, server }) = header.asked else {
            return Some(Self { query, ..self });
        };
        Some(Self { query, client, local: server })
    }
}

/// What follows a PROXY header, if there is one: where looking ahead finds the question.
fn behind_header(datagram: &[u8]) -> &[u8] {
    ProxyHeader::read(datagram).map_or(datagram, |header| &datagram[header.size..])
}

/// Gives away what is no plain query; false if there is no place for it.
fn hand_over(
    hand_off: &HandOff,
    (socket, route): (&Arc<UdpListener>, Route),
    (message, client, local): (Vec<u8>, SocketAddr, SocketAddr),
    caller: Caller,
) -> bool {
    let back = Back::Udp {
        socket: Arc::clone(socket),
        route: Box::new(route),
        late: hand_off.late().cloned(),
        between: (client.ip(), local),
    };
    let transport = Transport::Udp;
    hand_off.offer(HandedOver { message, client, local, transport, back, signed: None }, caller)
}

/// Lets receiving wait for [`RECEIVE_WAIT`] at most; false if the socket cannot be told so.
fn waits_briefly(socket: &UdpSocket) -> bool {
    socket.set_read_timeout(Some(RECEIVE_WAIT)).is_ok() && socket.set_nonblocking(false).is_ok()
}

#[cfg(test)]
mod tests {
    use walrus_host::clock::Clock;

    use super::*;
    use crate::answering::Echo;
    use crate::counters::{CounterSnapshot, Counters};

    /// Starts a worker that echoes on so many sockets of its own.
    struct Running {
        addresses: Vec<SocketAddr>,
        waker: UnixStream,
        stop: Arc<AtomicBool>,
        counters: Arc<Counters>,
        thread: std::thread::JoinHandle<()>,
    }

    impl Running {
        fn new(sockets: usize) -> Self {
            let listening = |_| {
                let any = SocketAddr::from(([127, 0, 0, 1], 0));
                let socket = super::super::listen(any).unwrap();
                let address = socket.local_addr().unwrap();
                (socket, address)
            };
            let sockets: Vec<_> = (0..sockets).map(listening).collect();
            let addresses = sockets.iter().map(|(_, address)| *address).collect();
            let (wake, waker) = UnixStream::pair().unwrap();
            wake.set_nonblocking(true).unwrap();
            let (stop, counters) = (Arc::new(AtomicBool::new(false)), Arc::new(Counters::new()));
            let echo = Echo(Arc::clone(&counters));
            let worker = Worker::new(
                sockets,
                512,
                wake,
                Arc::clone(&stop),
                (echo, HandOff::new(None, Arc::default(), Clock::real()).0),
            );
            let thread = std::thread::spawn(|| worker.run());
            Self { addresses, waker, stop, counters, thread }
        }

        fn finish(self) {
            use std::io::Write as _;
            self.stop.store(true, Ordering::Relaxed);
            (&self.waker).write_all(&[1]).unwrap();
            self.thread.join().unwrap();
        }
    }

    /// More than a batch at once, then one by one, then all sockets in turn: every query is
    /// answered, however the thread waits.
    #[test]
    fn nothing_is_left_lying_by_one_socket_or_several() {
        for sockets in [1, 3] {
            let running = Running::new(sockets);
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut expected = 0;
            for burst in [BATCH * 2 + 5, 1, BATCH, 1] {
                for address in &running.addresses {
                    for _ in 0..burst {
                        client.send_to(b"query", address).unwrap();
                    }
                    for _ in 0..burst {
                        assert_eq!(client.recv(&mut [0; 64]).unwrap(), 5);
                    }
                    expected += burst as u64;
                }
            }
            let mut seen = CounterSnapshot::default();
            seen.add(&running.counters);
            assert_eq!((seen.udp_queries, seen.receive_errors), (expected, 0));
            running.finish();
        }
    }

    /// The keeper replies by the socket that was asked, also where that listens on all addresses.
    #[test]
    fn what_moves_zones_goes_to_the_keeper_and_its_reply_comes_from_where_was_asked() {
        for listen in ["127.0.0.1:0", "0.0.0.0:0"] {
            let socket = super::super::listen(listen.parse().unwrap()).unwrap();
            let address = socket.local_addr().unwrap();
            let (wake, waker) = UnixStream::pair().unwrap();
            wake.set_nonblocking(true).unwrap();
            let (stop, counters) = (Arc::new(AtomicBool::new(false)), Arc::new(Counters::new()));
            let (hand_off, mailboxes) = HandOff::new(None, Arc::default(), Clock::real());
            let events = mailboxes.changes;
            hand_off.set_open(true);
            let answering = (Echo(Arc::clone(&counters)), hand_off);
            let sockets = vec![(socket, address)];
            let worker = Worker::new(sockets, 512, wake, Arc::clone(&stop), answering);
            let thread = std::thread::spawn(|| worker.run());
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            // Another address of this machine than the one that the system would choose.
            client.connect(("127.0.0.7", address.port())).unwrap();
            if listen.starts_with("127") {
                client.connect(address).unwrap();
            }
            let mut update = b"\0\x07\x28\0\0\x01\0\0\0\0\0\0\x01x\0\0\x06\0\x01".to_vec();
            let unsigned = update.clone();
            let key = crate::tsig::SharedKey::new(
                "k".parse().unwrap(),
                walrus_core::config::TsigAlgorithm::HmacSha256,
                b"secret",
            );
            let _ = key.sign_request(&mut update, 1_790_000_000);
            client.send(&update).unwrap();
            let event = events.recv_timeout(Duration::from_secs(5)).unwrap();
            let crate::zones::Event::Message(handed, _) = event else { panic!("a message") };
            assert_eq!(
                (handed.message.as_slice(), handed.transport),
                (&update[..], Transport::Udp)
            );
            assert_eq!(handed.client, client.local_addr().unwrap());
            handed.back.send(b"done".to_vec());
            let mut reply = [0; 64];
            assert_eq!(client.recv(&mut reply).unwrap(), 4, "from the address that it knows");
            client.send(&unsigned).unwrap();
            assert_eq!(client.recv(&mut reply).unwrap(), unsigned.len(), "by the thread itself");
            assert_eq!(reply[2..4], [0xa8, 5]);
            client.send(b"plain query").unwrap();
            assert_eq!(client.recv(&mut reply).unwrap(), 11, "goes on as ever");
            let mut seen = CounterSnapshot::default();
            seen.add(&counters);
            assert_eq!((seen.udp_queries, seen.handed_over, seen.handed_over_lost), (3, 1, 0));
            stop.store(true, Ordering::Relaxed);
            drop(waker);
            thread.join().unwrap();
        }
    }

    /// Proxies write in front who asks; the reply goes to them all the same. Others are not believed.
    #[test]
    fn the_client_is_whom_a_proxy_names_and_without_a_name_there_is_no_answer() {
        let socket = super::super::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let (wake, waker) = UnixStream::pair().unwrap();
        wake.set_nonblocking(true).unwrap();
        let (stop, counters) = (Arc::new(AtomicBool::new(false)), Arc::new(Counters::new()));
        let (hand_off, mailboxes) = HandOff::new(None, Arc::default(), Clock::real());
        hand_off.set_open(true);
        let answering = (Echo(Arc::clone(&counters)), hand_off);
        let proxies = Networks::new(&[([127, 0, 0, 8].into(), 32)]);
        let worker = Worker::new(
            vec![(socket, address)],
            QUERY_SIZE_MAX,
            wake,
            Arc::clone(&stop),
            answering,
        )
        .behind(proxies);
        let thread = std::thread::spawn(|| worker.run());
        let proxy = UdpSocket::bind("127.0.0.8:0").unwrap();
        proxy.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        proxy.connect(address).unwrap();
        let other = UdpSocket::bind("127.0.0.9:0").unwrap();
        other.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let header = |command, rest: &[u8]| {
            let fixed = [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, 0x12, 0, rest.len() as u8]];
            [&fixed.concat(), rest].concat()
        };
        let named = header(0x21, &[192, 0, 2, 7, 203, 0, 113, 53, 0, 9, 0, 53]);
        assert_eq!(behind_header(&[&named[..], b"query"].concat()), b"query", "looked ahead for");
        assert_eq!(behind_header(&named[..20]), &named[..20]);
        // Without a header, with half of one, and with one of an unknown command.
        for wrong in [b"query".to_vec(), named[..20].to_vec(), header(0x25, &[])] {
            proxy.send(&wrong).unwrap();
        }
        proxy.send(&[&named[..], b"who asks whom"].concat()).unwrap();
        let mut reply = [0; 64];
        let length = proxy.recv(&mut reply).unwrap();
        let said = std::str::from_utf8(&reply[..length]).unwrap();
        assert_eq!(said, "192.0.2.7 203.0.113.53:53", "behind the header, and the first answer");
        // The header takes nothing of what a query may have; more is too long, before and behind one.
        for (header, sender) in [(&named[..], &proxy), (&[], &other)] {
            for len in [QUERY_SIZE_MAX + 1, QUERY_SIZE_MAX] {
                sender.send_to(&[header, &vec![b'q'; len]].concat(), address).unwrap();
            }
            assert_eq!(sender.recv(&mut reply).unwrap(), reply.len());
        }
        proxy.send(&[&header(0x20, &[])[..], b"alive"].concat()).unwrap();
        assert_eq!(proxy.recv(&mut reply).unwrap(), 5);
        let notify = [0, 7, 0x20, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        proxy.send(&[&named[..], &notify].concat()).unwrap();
        let event = mailboxes.changes.recv_timeout(Duration::from_secs(5)).unwrap();
        let crate::zones::Event::Message(handed, _) = event else { panic!("a message") };
        assert_eq!(
            (handed.message.as_slice(), handed.client),
            (&notify[..], "192.0.2.7:9".parse().unwrap())
        );
        other.send_to(&named, address).unwrap();
        assert_eq!(other.recv(&mut reply).unwrap(), named.len(), "a query like others");
        let mut seen = CounterSnapshot::default();
        seen.add(&counters);
        assert_eq!((seen.udp_queries, seen.proxy_failures, seen.dropped), (11, 3, 2));
        stop.store(true, Ordering::Relaxed);
        drop(waker);
        thread.join().unwrap();
    }

    #[test]
    fn a_panic_costs_its_query_and_not_the_thread() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (wake, waker) = UnixStream::pair().unwrap();
        let (stop, counters) = (Arc::new(AtomicBool::new(false)), Arc::new(Counters::new()));
        let echo = Echo(Arc::clone(&counters));
        let worker = Worker::new(
            vec![(socket, address)],
            512,
            wake,
            Arc::clone(&stop),
            (echo, HandOff::new(None, Arc::default(), Clock::real()).0),
        );
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
