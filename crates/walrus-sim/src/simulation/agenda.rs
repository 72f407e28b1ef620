//! What is due besides clients: reports, observations, Plans, deadlines, samples, the time line.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use walrus_core::control::Input;
use walrus_core::plan::Plan;

/// Things by time; those of the same time in the order in which they were put in.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<Item>>,
    sequence: u64,
}

/// One thing that is due.
#[derive(Debug)]
pub(super) enum Due {
    /// From here on it is measured.
    Begin,
    Window,
    Sample,
    Interval,
    /// A Controller's deadline.
    Wake(usize),
    /// A server's Reporter.
    Report(usize),
    /// A name server's observation.
    Observe(usize),
    /// A name server's workers tell each other.
    Exchange(usize),
    /// A place in the time line.
    Deed(usize),
    /// A population grows or shrinks.
    Swell(usize),
    /// Controllers agree on a master.
    Elect,
    /// A Plan comes to a name server.
    Plan(usize, Arc<Plan>),
    /// Something comes to a Controller.
    Input(usize, Box<Input>),
}

impl Agenda {
    pub(super) fn put(&mut self, time: u64, due: Due) {
        self.sequence += 1;
        self.heap.push(Reverse(Item { time, sequence: self.sequence, due }));
    }

    /// When the next thing is due; the end of time without any.
    #[inline]
    pub(super) fn next_time(&self) -> u64 {
        self.heap.peek().map_or(u64::MAX, |Reverse(item)| item.time)
    }

    pub(super) fn pop(&mut self) -> Option<Due> {
        self.heap.pop().map(|Reverse(item)| item.due)
    }
}

#[derive(Debug)]
struct Item {
    time: u64,
    sequence: u64,
    due: Due,
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.sequence).cmp(&(other.time, other.sequence))
    }
}
