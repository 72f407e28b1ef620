//! Nodes as the live roles wire them: bytes and time around the shipped state machines.

mod controller;
mod director;
mod name_server;
mod server;

use walrus_core::message::Message;
use walrus_core::world::Time;

use super::clock::{ProcessClock, unix_ms};
use super::world::Node;

pub(super) use controller::{ControllerNode, Done};
pub(super) use director::{DirectorNode, Took};
pub(super) use name_server::ZoneNode;
pub(super) use server::ServerNode;

/// The largest message with a part of a Plan: so small that Plans come in several, as large ones do.
const PART_BYTES_MAX: usize = 2500;

/// What every process that speaks has.
#[derive(Clone, Debug)]
struct Speaker {
    clock: ProcessClock,
    session: u64,
    sequence: u64,
}

impl Speaker {
    /// A process that begins; its session is the time of day as it knows it.
    fn new(now: Time, off_ms: i64, shows: Time) -> Self {
        let clock = ProcessClock::new(now, shows);
        Self { clock, session: unix_ms(now, off_ms), sequence: 0 }
    }

    fn next(&mut self) -> (u64, u64) {
        self.sequence += 1;
        (self.session, self.sequence)
    }
}

/// What one node says to all that want to hear of its kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) session: u64,
    pub(super) sequence: u64,
    pub(super) message: Message,
}

/// Where a process's own time begins: far from zero, and elsewhere for each.
fn shows(node: &Node, starts: u32) -> Time {
    let length = node.name.as_str().bytes().map(u64::from).sum::<u64>();
    Time::from_secs(1000 * length + 7 * u64::from(starts))
}
