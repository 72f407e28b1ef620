//! What is due when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;

use walrus_core::control::ProbeOutcome;
use walrus_core::message::Envelope;
use walrus_core::update::{Exchange, Failure, Reply};
use walrus_core::world::Time;

use super::world::NodeId;

/// One thing that is due.
#[derive(Clone, Debug)]
pub(super) enum Due {
    /// A node is started for the first time.
    First(NodeId),
    /// What goes wrong begins or ends, by its place in the schedule.
    Begins(usize),
    Ends(usize),
    /// Somebody copies a disk.
    Copy(NodeId),
    /// A Controller or Director wants to be polled.
    Wake(NodeId),
    /// A server's Reporter reports.
    Report(NodeId),
    /// A message, as read out of its bytes, comes to a node.
    Arrives {
        from: NodeId,
        to: NodeId,
        message: Rc<Envelope>,
    },
    /// A probe of this process of a Controller ends.
    Probed {
        controller: NodeId,
        process: u32,
        target: u32,
        outcome: ProbeOutcome,
    },
    /// What an updater says comes to its name server.
    Asks(Updating, Exchange),
    /// What the name server says comes back; `None` if that was not waited for.
    Answers(Updating, Option<Vec<Result<Reply, Failure>>>),
    /// The rules are looked at.
    Look,
    /// Everything heals.
    Calm,
}

/// Whose exchange it is, with which name server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Updating {
    pub(super) director: usize,
    /// This process of it.
    pub(super) process: u32,
    /// The updater's place there.
    pub(super) place: usize,
    /// The name server's place in the world.
    pub(super) zone: usize,
}

/// Things by time; those of the same time in the order in which they were put in.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    order: BinaryHeap<Reverse<(Time, u64)>>,
    items: BTreeMap<u64, Due>,
    sequence: u64,
}

impl Agenda {
    pub(super) fn put(&mut self, at: Time, due: Due) {
        self.sequence += 1;
        self.order.push(Reverse((at, self.sequence)));
        self.items.insert(self.sequence, due);
    }

    pub(super) fn pop(&mut self) -> Option<(Time, Due)> {
        let Reverse((at, sequence)) = self.order.pop()?;
        Some((at, self.items.remove(&sequence)?))
    }
}
