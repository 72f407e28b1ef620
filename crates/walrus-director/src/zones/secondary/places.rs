//! Who may ask a primary now, of all zones of a node: places for questions and for transfers, of which each primary has a
//! part, so that one that is slow or silent holds up its own zones alone.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use walrus_host::log::Limited;

use super::memory::{MemoryPart, TransferMemory};
use super::run::LINE_EVERY;
use crate::director::lock;

/// Serials asked for at once, of all zones.
const CHECKS_MAX: usize = 256;

/// The same of one primary's.
const CHECKS_OF_ONE_MAX: usize = 32;

/// The same of a primary that did not answer last, which keeps each of them for half a minute: a hundred such leave places
/// for others.
const CHECKS_OF_SILENT_MAX: usize = 2;

/// Changes of zones that wait for each other at once.
const CHANGES_MAX: usize = 2;

/// Transfers at the same time: each may take as much memory as its zone.
pub(super) const TRANSFERS_MAX: usize = 32;
/// Of these from one primary: one that is slow holds up its own zones alone.
const TRANSFERS_OF_ONE_MAX: usize = 2;

/// Lines about failures, of all zones, in [`LINE_EVERY`].
const FAILURES_TOLD_MAX: u32 = 20;

/// Who may transfer now.
#[derive(Debug)]
pub(super) struct Transfers {
    all: Arc<Semaphore>,
    of_one: Mutex<BTreeMap<IpAddr, Arc<Semaphore>>>,
    memory: Arc<TransferMemory>,
    /// For serials asked at once: each has a socket.
    checks: Semaphore,
    /// Of these each primary has a part: one that is silent holds up its own zones alone.
    checks_of_one: Mutex<BTreeMap<IpAddr, Arc<ChecksOfOne>>>,
    /// For work that waits until zones may be changed: it must not take all threads that wait, for Plans need
    /// one, too.
    changes: Arc<Semaphore>,
    /// Lines about failures of all zones: a primary that is away has all of its zones fail.
    pub(super) failures: Limited,
}

impl Transfers {
    pub(super) fn new() -> Self {
        let all = Arc::new(Semaphore::new(TRANSFERS_MAX));
        Self {
            all,
            of_one: Mutex::default(),
            memory: Arc::default(),
            checks: Semaphore::new(CHECKS_MAX),
            checks_of_one: Mutex::default(),
            changes: Arc::new(Semaphore::new(CHANGES_MAX)),
            failures: Limited::few(FAILURES_TOLD_MAX, LINE_EVERY),
        }
    }

    /// Does what waits for zones to be changed, on a thread that may wait; `None` after a panic.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let place = Arc::clone(&self.changes).acquire_owned().await.ok()?;
        // The place goes with the thread, which goes on when nobody waits for it any more.
        let change = move || {
            let _place = place;
            change()
        };
        tokio::task::spawn_blocking(change).await.ok()
    }

    /// Waits until a primary may be asked for a serial; `None` at the end.
    pub(super) async fn check(&self, primary: IpAddr) -> Option<CheckPlace<'_>> {
        let of_one = {
            let mut of_one = lock(&self.checks_of_one);
            // As many as there are primaries.
            Arc::clone(of_one.entry(primary).or_default())
        };
        let own = Arc::clone(&of_one.all).acquire_owned().await.ok()?;
        let of_silent = match of_one.is_silent.load(Ordering::Relaxed) {
            true => Some(Arc::clone(&of_one.if_silent).acquire_owned().await.ok()?),
            false => None,
        };
        let _places = (self.checks.acquire().await.ok()?, own, of_silent);
        Some(CheckPlace { of_one, _places })
    }

    /// Waits for a place at this primary, then for one of all; `None` at the end. With it comes a part of the memory, for a
    /// zone that has waited for that `since` an earlier transfer.
    pub(super) async fn place(
        &self,
        primary: IpAddr,
        since: Option<u64>,
    ) -> Option<(MemoryPart, [OwnedSemaphorePermit; 2])> {
        let of_one = {
            let mut of_one = lock(&self.of_one);
            // As many as there are primaries.
            let new = || Arc::new(Semaphore::new(TRANSFERS_OF_ONE_MAX));
            Arc::clone(of_one.entry(primary).or_insert_with(new))
        };
        let of_one = of_one.acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some((self.memory.part(since), [of_one, all]))
    }
}

/// Questions to one primary.
#[derive(Debug)]
struct ChecksOfOne {
    all: Arc<Semaphore>,
    if_silent: Arc<Semaphore>,
    /// It did not answer last.
    is_silent: AtomicBool,
}

impl Default for ChecksOfOne {
    fn default() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        let (all, if_silent) = (places(CHECKS_OF_ONE_MAX), places(CHECKS_OF_SILENT_MAX));
        Self { all, if_silent, is_silent: AtomicBool::new(false) }
    }
}

/// Somebody may ask a primary for a serial until this is dropped.
#[derive(Debug)]
pub(super) struct CheckPlace<'a> {
    of_one: Arc<ChecksOfOne>,
    _places: (SemaphorePermit<'a>, OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

impl CheckPlace<'_> {
    /// Whether the primary answered.
    pub(super) fn tell(&self, is_silent: bool) {
        self.of_one.is_silent.store(is_silent, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many places as are to be had at once.
    async fn fill(transfers: &Transfers, primary: IpAddr) -> Vec<CheckPlace<'_>> {
        // A task that has gone on for long has to wait at times.
        tokio::task::yield_now().await;
        let mut places = Vec::new();
        while let Some(place) = tokio::select! {
            biased;
            place = transfers.check(primary) => place,
            () = std::future::ready(()) => None,
        } {
            places.push(place);
        }
        places
    }

    #[tokio::test]
    async fn primaries_that_do_not_answer_leave_places_for_others() {
        let transfers = Transfers::new();
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let first = fill(&transfers, address(1)).await;
        assert_eq!(first.len(), CHECKS_OF_ONE_MAX);
        first[0].tell(true);
        drop(first);
        for silent in 2..=100 {
            transfers.check(address(silent)).await.unwrap().tell(true);
        }
        let mut held = Vec::new();
        for silent in 1..=100 {
            let places = fill(&transfers, address(silent)).await;
            assert_eq!(places.len(), CHECKS_OF_SILENT_MAX);
            held.extend(places);
        }
        assert_eq!(fill(&transfers, address(200)).await.len(), CHECKS_OF_ONE_MAX);
        held[0].tell(false);
        drop(held);
        assert_eq!(fill(&transfers, address(1)).await.len(), CHECKS_OF_ONE_MAX, "it is back");
    }
}
