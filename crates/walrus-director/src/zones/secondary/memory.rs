//! How much memory all transfers take together, of what came and is no zone yet: one primary could else fill a
//! node's memory with many zones at once.
//!
//! The transfer that began first always goes on, so that something ends, and so do small ones among the first; the others
//! share what is left, and stop reading while there is none: TCP has their primaries wait. What came counts until it is
//! served, when its place is another's already.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::places::TRANSFERS_MAX;
use crate::director::lock;

/// All transfers of a node.
#[derive(Debug, Default)]
pub(super) struct TransferMemory {
    held: Mutex<Held>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    /// Transfers that wait for memory.
    waiting: usize,
    /// By when they began: the bytes that each takes.
    bytes: BTreeMap<u64, usize>,
}

impl Held {
    fn is_oldest(&self, number: u64) -> bool {
        self.bytes.keys().next() == Some(&number)
    }
}

/// One transfer's part, which is given back when it is dropped.
#[derive(Debug)]
pub(super) struct MemoryPart {
    memory: Arc<TransferMemory>,
    number: u64,
}

impl TransferMemory {
    /// For a transfer that begins.
    pub(super) fn part(self: &Arc<Self>) -> MemoryPart {
        let mut held = lock(&self.held);
        let number = held.next;
        held.next += 1;
        held.bytes.insert(number, 0);
        MemoryPart { memory: Arc::clone(self), number }
    }
}

impl MemoryPart {
    /// The transfer takes so many bytes by now. Waits until all but the oldest fit into `bytes_max` together.
    pub(super) async fn grow(&self, bytes: usize, bytes_max: usize) {
        if self.fits(bytes, bytes_max) {
            return;
        }
        let _waiting = Waiting::new(&self.memory);
        loop {
            let freed = self.memory.freed.notified();
            tokio::pin!(freed);
            // Before the look, so that nothing that happens after it is missed.
            freed.as_mut().enable();
            if self.fits(bytes, bytes_max) {
                return;
            }
            freed.await;
        }
    }

    /// Whether others wait for memory, and this has more than is given to all. The oldest does not take what they share.
    pub(super) fn is_waited_for(&self, bytes_max: usize) -> bool {
        let held = lock(&self.memory.held);
        let own = held.bytes.get(&self.number).copied().unwrap_or(0);
        held.waiting > 0 && !held.is_oldest(self.number) && own > bytes_max / TRANSFERS_MAX
    }

    fn fits(&self, bytes: usize, bytes_max: usize) -> bool {
        let mut held = lock(&self.memory.held);
        // It is in memory already: what is told of it is true.
        held.bytes.insert(self.number, bytes);
        // So many of these have room beside the others, however many there are.
        let is_small = bytes <= bytes_max / TRANSFERS_MAX
            && held.bytes.keys().take(TRANSFERS_MAX).any(|number| *number == self.number);
        let is_oldest = held.is_oldest(self.number);
        is_oldest || is_small || held.bytes.values().skip(1).sum::<usize>() <= bytes_max
    }
}

impl Drop for MemoryPart {
    fn drop(&mut self) {
        lock(&self.memory.held).bytes.remove(&self.number);
        self.memory.freed.notify_waiters();
    }
}

/// That a transfer waits.
struct Waiting<'a>(&'a TransferMemory);

impl<'a> Waiting<'a> {
    fn new(memory: &'a TransferMemory) -> Self {
        lock(&memory.held).waiting += 1;
        Self(memory)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.0.held).waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, ready};

    use super::*;

    async fn waits(grows: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = grows => false,
            () = ready(()) => true,
        }
    }

    #[tokio::test]
    async fn the_oldest_goes_on_and_the_others_share_the_rest() {
        let memory = Arc::new(TransferMemory::default());
        let [first, second, third] = [memory.part(), memory.part(), memory.part()];
        for (part, bytes) in [(&first, 1000), (&second, 60), (&third, 40)] {
            assert!(!waits(part.grow(bytes, 100)).await);
        }
        let small = memory.part();
        assert!(!waits(small.grow(3, 100)).await);
        assert!(waits(small.grow(4, 100)).await);
        drop(small);
        {
            let grows = third.grow(41, 100);
            tokio::pin!(grows);
            assert!(waits(&mut grows).await, "there is no room");
            let is_waited_for = [&first, &second].map(|part| part.is_waited_for(100));
            assert_eq!(is_waited_for, [false, true], "the oldest takes nothing of what is shared");
            // The second is the oldest then.
            drop(first);
            assert!(!waits(grows).await);
        }
        assert!(!second.is_waited_for(100), "nobody waits any more");
        assert!(!waits(second.grow(500, 100)).await);
        drop((second, third));
        assert!(lock(&memory.held).bytes.is_empty());
    }

    #[tokio::test]
    async fn small_ones_have_room_up_to_their_number() {
        let memory = Arc::new(TransferMemory::default());
        let [first, second] = [memory.part(), memory.part()];
        assert!(!waits(first.grow(1000, 3200)).await);
        assert!(!waits(second.grow(3200, 3200)).await);
        let small: Vec<_> = (2..TRANSFERS_MAX).map(|_| memory.part()).collect();
        for part in &small {
            assert!(!waits(part.grow(100, 3200)).await);
        }
        let last = memory.part();
        let grows = last.grow(100, 3200);
        tokio::pin!(grows);
        assert!(waits(&mut grows).await, "what came and is not served yet is there still");
        drop(first);
        assert!(!waits(grows).await);
    }
}
