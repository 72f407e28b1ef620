//! How much memory all transfers take together, of what came and is no zone yet: one primary could else fill a
//! node's memory with many zones at once.
//!
//! One transfer goes first: it always goes on, so that something ends, and so do small ones among those that began first; the
//! others share what is left, and stop reading while there is none: TCP has their primaries wait. What came counts until it
//! is served, when its place is another's already.
//!
//! When the first has ended the zone that has waited longest follows, also if transfers of it were given up since it began
//! to wait. Who was first has had its turn and waits behind all others. So each zone gets its turn after so many others
//! as waited before it, however slow its primary is and however many zones come after it.

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
    /// Who goes first until it ends: were it another before, both might have taken much by then.
    first: Option<u64>,
    /// By when they began.
    parts: BTreeMap<u64, Part>,
}

#[derive(Debug)]
struct Part {
    /// When its zone began to wait, among all transfers.
    since: u64,
    /// Whether it ever had to: what ends for another reason keeps no place in line.
    has_waited: bool,
    bytes: usize,
}

impl Held {
    fn is_first(&mut self, number: u64) -> bool {
        if self.first.is_none() {
            let longest = self.parts.iter().min_by_key(|(_, part)| part.since);
            self.first = longest.map(|(number, _)| *number);
        }
        self.first == Some(number)
    }

    fn note_wait(&mut self, number: u64, has_to: bool) {
        if let Some(part) = self.parts.get_mut(&number) {
            part.has_waited |= has_to;
        }
    }

    /// Of all but the first.
    fn shared(&self) -> usize {
        let shared = self.parts.iter().filter(|(number, _)| Some(**number) != self.first);
        shared.map(|(_, part)| part.bytes).sum()
    }
}

/// One transfer's part, which is given back when it is dropped.
#[derive(Debug)]
pub(super) struct MemoryPart {
    memory: Arc<TransferMemory>,
    number: u64,
}

impl TransferMemory {
    /// For a transfer that begins; `since` is from an earlier one of its zone, which came to nothing.
    pub(super) fn part(self: &Arc<Self>, since: Option<u64>) -> MemoryPart {
        let mut held = lock(&self.held);
        let number = held.next;
        held.next += 1;
        let part = Part { since: since.unwrap_or(number), has_waited: since.is_some(), bytes: 0 };
        held.parts.insert(number, part);
        MemoryPart { memory: Arc::clone(self), number }
    }
}

impl MemoryPart {
    /// Since when the zone waits for its turn; `None` if this was it, or if it never had to wait.
    pub(super) fn waits_since(&self) -> Option<u64> {
        let held = lock(&self.memory.held);
        let part = held.parts.get(&self.number).filter(|_| held.first != Some(self.number));
        part.filter(|part| part.has_waited).map(|part| part.since)
    }

    /// The transfer takes so many bytes by now. Waits until all but the first fit into `bytes_max` together.
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

    /// Whether others wait for memory, and this has more than is given to all. The first does not take what they share.
    pub(super) fn is_waited_for(&self, bytes_max: usize) -> bool {
        let mut held = lock(&self.memory.held);
        let own = held.parts.get(&self.number).map_or(0, |part| part.bytes);
        let is_in_the_way =
            held.waiting > 0 && own > bytes_max / TRANSFERS_MAX && !held.is_first(self.number);
        held.note_wait(self.number, is_in_the_way);
        is_in_the_way
    }

    fn fits(&self, bytes: usize, bytes_max: usize) -> bool {
        let mut held = lock(&self.memory.held);
        // It is in memory already: what is told of it is true.
        if let Some(part) = held.parts.get_mut(&self.number) {
            part.bytes = bytes;
        }
        // So many of these have room beside the others, however many there are.
        let is_small = bytes <= bytes_max / TRANSFERS_MAX
            && held.parts.keys().take(TRANSFERS_MAX).any(|number| *number == self.number);
        let fits = held.is_first(self.number) || is_small || held.shared() <= bytes_max;
        held.note_wait(self.number, !fits);
        fits
    }
}

impl Drop for MemoryPart {
    fn drop(&mut self) {
        {
            let mut held = lock(&self.memory.held);
            held.parts.remove(&self.number);
            held.first = held.first.filter(|number| *number != self.number);
        }
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
    async fn the_first_goes_on_and_the_others_share_the_rest() {
        let memory = Arc::new(TransferMemory::default());
        let [first, second, third] = [(); 3].map(|()| memory.part(None));
        for (part, bytes) in [(&first, 1000), (&second, 60), (&third, 40)] {
            assert!(!waits(part.grow(bytes, 100)).await);
        }
        let small = memory.part(None);
        assert!(!waits(small.grow(3, 100)).await);
        assert!(waits(small.grow(4, 100)).await);
        drop(small);
        {
            let grows = third.grow(41, 100);
            tokio::pin!(grows);
            assert!(waits(&mut grows).await, "there is no room");
            let is_waited_for = [&first, &second].map(|part| part.is_waited_for(100));
            assert_eq!(is_waited_for, [false, true], "the first takes nothing of what is shared");
            // The second is the first then.
            drop(first);
            assert!(!waits(grows).await);
        }
        assert!(!second.is_waited_for(100), "nobody waits any more");
        assert!(!waits(second.grow(500, 100)).await);
        drop((second, third));
        assert!(lock(&memory.held).parts.is_empty());
    }

    #[tokio::test]
    async fn a_zone_whose_transfers_are_given_up_gets_its_turn_before_those_that_came_after_it() {
        let memory = Arc::new(TransferMemory::default());
        let [first, slow] = [(); 2].map(|()| memory.part(None));
        assert!(!waits(first.grow(1000, 100)).await);
        assert!(!waits(slow.grow(60, 100)).await);
        let crowd = [(); 3].map(|()| memory.part(None));
        for part in &crowd {
            part.grow(10, 100).await;
        }
        assert!(crowd.iter().all(|part| part.waits_since().is_none()), "these have room");
        // It has to wait, is given up, and begins anew behind the others.
        assert!(waits(slow.grow(200, 100)).await);
        let since = slow.waits_since();
        drop(slow);
        let slow = memory.part(since);
        let later = memory.part(None);
        assert!(waits(slow.grow(1000, 100)).await, "one goes first");
        let since = first.waits_since();
        assert_eq!(since, None, "it has had its turn");
        drop(first);
        let first = memory.part(since);
        for part in [&first, &later, &crowd[0]] {
            assert!(waits(part.grow(1000, 100)).await, "others came after it");
            part.grow(1, 100).await;
        }
        assert!(!waits(slow.grow(2000, 100)).await);
        assert!(!slow.is_waited_for(100));
        // Nobody else goes first before it has ended.
        let oldest = memory.part(Some(0));
        assert!(waits(oldest.grow(1000, 100)).await);
        drop(slow);
        assert!(!waits(oldest.grow(1000, 100)).await);
    }

    #[tokio::test]
    async fn small_ones_have_room_up_to_their_number() {
        let memory = Arc::new(TransferMemory::default());
        let [first, second] = [(); 2].map(|()| memory.part(None));
        assert!(!waits(first.grow(1000, 3200)).await);
        assert!(!waits(second.grow(3200, 3200)).await);
        let small: Vec<_> = (2..TRANSFERS_MAX).map(|_| memory.part(None)).collect();
        for part in &small {
            assert!(!waits(part.grow(100, 3200)).await);
        }
        let last = memory.part(None);
        let grows = last.grow(100, 3200);
        tokio::pin!(grows);
        assert!(waits(&mut grows).await, "what came and is not served yet is there still");
        drop(first);
        assert!(!waits(grows).await);
    }
}
