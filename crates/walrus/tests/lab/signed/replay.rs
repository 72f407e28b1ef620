//! A name server in front of Walrus that gives one answer of our choice, and passes on all else: so
//! that a validator sees each answer that Walrus may give, whatever chance would have chosen.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::validators::query;
use crate::questions::ask_udp;

/// How soon it sees that the test is over.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The running thread; it ends when this is dropped.
pub(super) struct Replay {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// A question section and the reply to it.
    chosen: Mutex<(Vec<u8>, Vec<u8>)>,
    given: AtomicUsize,
    over: AtomicBool,
}

impl Replay {
    pub(super) fn before(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(LOOK_EVERY)).unwrap();
        let address = socket.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || for_thread.run(&socket, server));
        Self { address, shared, thread: Some(thread) }
    }

    /// From now on this is the answer to this question.
    pub(super) fn choose(&self, name: &str, record_type: &str, reply: Vec<u8>) {
        *self.shared.chosen.lock().unwrap() = (question(&query(name, record_type)).into(), reply);
        self.shared.given.store(0, Ordering::SeqCst);
    }

    /// How often it was given since.
    pub(super) fn given(&self) -> usize {
        self.shared.given.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn run(&self, socket: &UdpSocket, server: SocketAddr) {
        let mut buffer = [0; 4096];
        while !self.over.load(Ordering::SeqCst) {
            let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
            let query = &buffer[..len];
            let chosen = self.chosen.lock().unwrap().clone();
            let is_chosen = !chosen.0.is_empty() && query[12..].starts_with(&chosen.0);
            let reply = match is_chosen {
                true => {
                    self.given.fetch_add(1, Ordering::SeqCst);
                    Some([&query[..2], &chosen.1[2..]].concat())
                }
                false => ask_udp(server, query),
            };
            if let Some(reply) = reply {
                let _ = socket.send_to(&reply, from);
            }
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Of a query that ends in an OPT record without options.
fn question(query: &[u8]) -> &[u8] {
    const OPT: usize = 11;
    &query[12..query.len() - OPT]
}
