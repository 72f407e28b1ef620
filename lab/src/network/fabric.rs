//! Carries packets from node to node, each as late as its way says. IPv4 only.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use walrus_core::world::Generator;

use super::path::Paths;
use super::{Node, tunnel};

/// Packets under way; what comes beyond that is lost, as on an overfull line.
const UNDER_WAY_MAX: usize = 100_000;
/// The longest wait, so that the end is noticed.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// Packets that are taken from one node before the next one has its turn.
const AT_ONCE: usize = 64;
/// The largest packet.
const PACKET_MAX: usize = 65_536;

/// The thread that carries packets.
pub(super) struct Fabric {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fabric {
    pub(super) fn start(nodes: &[Node], paths: Arc<Mutex<Paths>>, seed: u64) -> Result<Self> {
        let tunnels = nodes.iter().map(tunnel::open).collect::<Result<Vec<_>>>()?;
        let places = (0..)
            .zip(nodes)
            .flat_map(|(place, node)| node.addresses.iter().map(move |address| (*address, place)));
        let mut carrier = Carrier {
            tunnels,
            places: places.collect(),
            paths,
            under_way: BinaryHeap::new(),
            draw: Generator::new(seed),
            count: 0,
        };
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = std::thread::Builder::new().name("fabric".to_owned()).spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                carrier.turn();
            }
        })?;
        Ok(Self { end, thread: Some(thread) })
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Carrier {
    tunnels: Vec<File>,
    places: BTreeMap<Ipv4Addr, usize>,
    paths: Arc<Mutex<Paths>>,
    under_way: BinaryHeap<Reverse<Packet>>,
    draw: Generator,
    /// Packets so far: what is due at one time arrives in the order in which it left.
    count: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    due: Instant,
    number: u64,
    to: usize,
    bytes: Vec<u8>,
}

impl Carrier {
    /// Waits for packets, takes them in, and delivers what is due.
    fn turn(&mut self) {
        let due = self.under_way.peek().map(|next| next.0.due);
        let wait = due.map_or(WAIT_MAX, |due| due.saturating_duration_since(Instant::now()));
        let ready = self.wait(wait.min(WAIT_MAX));
        for (place, is_ready) in ready.into_iter().enumerate() {
            if is_ready {
                self.take(place);
            }
        }
        let now = Instant::now();
        while self.under_way.peek().is_some_and(|next| next.0.due <= now) {
            let Some(Reverse(packet)) = self.under_way.pop() else { return };
            if let Some(mut tunnel) = self.tunnels.get(packet.to) {
                // A device that is full loses packets, as a line does.
                let _ = tunnel.write(&packet.bytes);
            }
        }
    }

    /// Which nodes have sent something.
    fn wait(&self, wait: Duration) -> Vec<bool> {
        let poll =
            |file: &File| libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let mut polled: Vec<libc::pollfd> = self.tunnels.iter().map(poll).collect();
        let timeout = libc::timespec {
            tv_sec: wait.as_secs().cast_signed(),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        // SAFETY: `polled` has as many entries as are told, and lives, like `timeout`, until it returns.
        unsafe {
            let count = polled.len() as libc::nfds_t;
            libc::ppoll(polled.as_mut_ptr(), count, &raw const timeout, std::ptr::null());
        }
        polled.iter().map(|it| it.revents & libc::POLLIN != 0).collect()
    }

    fn take(&mut self, from: usize) {
        let mut buffer = [0; PACKET_MAX];
        for _ in 0..AT_ONCE {
            let Some(mut tunnel) = self.tunnels.get(from) else { return };
            let Ok(length) = tunnel.read(&mut buffer) else { return };
            let packet = &buffer[..length];
            let Some(to) = destination(packet).and_then(|it| self.places.get(&it)) else {
                continue;
            };
            let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
            let takes = paths.takes(from, *to, &mut self.draw);
            drop(paths);
            let Some(takes) = takes.filter(|_| self.under_way.len() < UNDER_WAY_MAX) else {
                continue;
            };
            self.count += 1;
            let due = Instant::now() + takes;
            let (number, to, bytes) = (self.count, *to, packet.to_vec());
            self.under_way.push(Reverse(Packet { due, number, to, bytes }));
        }
    }
}

/// Where an IPv4 packet wants to go.
fn destination(packet: &[u8]) -> Option<Ipv4Addr> {
    let is_version_4 = packet.first()? >> 4 == 4;
    let bytes: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    is_version_4.then(|| bytes.into())
}
