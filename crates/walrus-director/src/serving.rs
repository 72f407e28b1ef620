//! What all answering threads answer from, and how they go over to the next without a lock held
//! against them, an allocation, or a table freed on their time.
//!
//! Whoever changes the table (a new Plan, a reload) builds a [`Serving`] with a fresh kit for each
//! thread and publishes it. A thread that sees the new number takes its kit and leaves its old
//! counts, and the old table itself, in its slot; the next change or collection frees them there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use walrus_core::answer::{AnswerTable, Counters, Positions};

use crate::domains::DomainCounts;
use crate::given::Words;
use crate::sample::Sample;

/// A table with a slot for each answering thread.
pub(crate) struct Serving {
    /// Rises with each table.
    pub(crate) generation: u64,
    pub(crate) table: AnswerTable,
    /// The first table in a row that number services alike: domains are counted by these numbers.
    services_since: u64,
    slots: Box<[Slot]>,
    /// By thread: what it tells and hears of what was given.
    words: Box<[Words]>,
}

/// Where one thread and the outside exchange what is too large to copy. The lock is only ever
/// tried by the thread, and held by others for a few moves.
struct Slot {
    is_wanted: AtomicBool,
    exchange: Mutex<Exchange>,
}

#[derive(Default)]
struct Exchange {
    /// For going over to this table.
    positions: Option<Positions>,
    /// Empty counts to go on with.
    fresh: Option<Tally>,
    /// Full counts to be told.
    full: Option<Tally>,
    /// What the thread brought from the table before.
    left: Option<Left>,
}

/// What a thread counted under one table.
pub(crate) struct Tally {
    pub(crate) counters: Counters,
    pub(crate) domains: DomainCounts,
    pub(crate) sample: Sample,
}

/// What a thread leaves when it goes over to another table.
pub(crate) struct Left {
    pub(crate) serving: Arc<Serving>,
    pub(crate) positions: Positions,
    pub(crate) tally: Tally,
}

/// What a thread goes over to another table with.
pub(crate) struct Kit {
    pub(crate) positions: Positions,
    pub(crate) tally: Tally,
}

impl Tally {
    pub(crate) fn new(table: &AnswerTable, domains: usize) -> Self {
        let domains = DomainCounts::new(domains, table.services().len());
        Self { domains, ..Self::without_domains(table) }
    }

    /// For a thread that goes on counting domains where it does: their tables take megabytes.
    fn without_domains(table: &AnswerTable) -> Self {
        Self {
            counters: Counters::for_table(table),
            domains: DomainCounts::none(),
            sample: Sample::new(),
        }
    }
}

impl Serving {
    /// The first, with a kit for each of so many threads, which count up to `domains` domains a
    /// service.
    pub(crate) fn new(table: AnswerTable, threads: usize, domains: usize) -> Self {
        Self::with_kits(1, 1, table, threads, |table| Tally::new(table, domains))
    }

    /// The one after `self`, for as many threads. A Plan leaves the services as they are: the
    /// threads then go on with their tables of domains, which take megabytes each.
    pub(crate) fn next(&self, table: AnswerTable, domains: usize) -> Self {
        let generation = self.generation + 1;
        let threads = self.slots.len();
        if table.services() == self.table.services() {
            let since = self.services_since;
            return Self::with_kits(generation, since, table, threads, Tally::without_domains);
        }
        let tally = |table: &AnswerTable| Tally::new(table, domains);
        Self::with_kits(generation, generation, table, threads, tally)
    }

    fn with_kits(
        generation: u64,
        services_since: u64,
        table: AnswerTable,
        threads: usize,
        tally: impl Fn(&AnswerTable) -> Tally,
    ) -> Self {
        let slot = |_| Slot {
            is_wanted: AtomicBool::new(false),
            exchange: Mutex::new(Exchange {
                positions: Some(Positions::for_table(&table)),
                fresh: Some(tally(&table)),
                ..Exchange::default()
            }),
        };
        let slots = (0..threads).map(slot).collect();
        let words = (0..threads).map(|_| Words::default()).collect();
        Self { generation, table, services_since, slots, words }
    }

    /// By thread: what it tells and hears of what was given.
    pub(crate) const fn words(&self) -> &[Words] {
        &self.words
    }

    /// Whether both tables number services alike.
    pub(crate) const fn has_services_of(&self, other: &Self) -> bool {
        self.services_since == other.services_since
    }

    /// For a thread: goes over to this table, once, with its kit; what `go_over` returns is what it
    /// leaves of the table before. False if the slot is looked at just now: try again later.
    pub(crate) fn adopt(&self, thread: usize, go_over: impl FnOnce(Kit) -> Option<Left>) -> bool {
        let Ok(mut exchange) = self.slots[thread].exchange.try_lock() else { return false };
        if exchange.fresh.is_some()
            && let Some(positions) = exchange.positions.take()
            && let Some(tally) = exchange.fresh.take()
        {
            exchange.left = go_over(Kit { positions, tally });
        }
        true
    }

    /// For a thread: whether its counts are asked for.
    #[inline]
    pub(crate) fn is_wanted(&self, thread: usize) -> bool {
        self.slots[thread].is_wanted.load(Ordering::Relaxed)
    }

    /// For a thread: exchanges its counts for empty ones, if they are there.
    pub(crate) fn hand_over(&self, thread: usize, exchange_tally: impl FnOnce(Tally) -> Tally) {
        let slot = &self.slots[thread];
        let Ok(mut exchange) = slot.exchange.try_lock() else { return };
        if exchange.full.is_none()
            && let Some(fresh) = exchange.fresh.take()
        {
            exchange.full = Some(exchange_tally(fresh));
        }
        drop(exchange);
        slot.is_wanted.store(false, Ordering::Release);
    }

    /// From outside: asks every thread for its counts, and if they are wanted for those of so many
    /// domains a service.
    pub(crate) fn want_tallies(&self, domains: Option<usize>) {
        for slot in &self.slots {
            // A thread that has not come over yet finds its first kit here, and nothing to tell.
            let mut exchange = lock(&slot.exchange);
            let fresh = exchange.fresh.get_or_insert_with(|| Tally::without_domains(&self.table));
            if let Some(domains) = domains
                && fresh.domains.is_none()
            {
                fresh.domains = DomainCounts::new(domains, self.table.services().len());
            }
            slot.is_wanted.store(true, Ordering::Release);
        }
    }

    /// From outside: whether all threads that were asked have handed over.
    pub(crate) fn has_all_tallies(&self) -> bool {
        self.slots.iter().all(|slot| !slot.is_wanted.load(Ordering::Acquire))
    }

    /// From outside: takes what was handed over and left.
    pub(crate) fn collect(&self, mut tally: impl FnMut(&Self, &Tally)) {
        for slot in &self.slots {
            let (full, left) = {
                let mut exchange = lock(&slot.exchange);
                (exchange.full.take(), exchange.left.take())
            };
            if let Some(full) = full {
                tally(self, &full);
            }
            if let Some(Left { serving, positions, tally: old }) = left {
                tally(&serving, &old);
                drop(positions);
            }
        }
    }
}

fn lock(exchange: &Mutex<Exchange>) -> MutexGuard<'_, Exchange> {
    // A panic elsewhere leaves at worst a missing kit.
    exchange.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The table in force, for all threads.
pub(crate) struct Current {
    generation: AtomicU64,
    serving: ArcSwap<Serving>,
}

impl Current {
    pub(crate) fn new(serving: Arc<Serving>) -> Self {
        let generation = AtomicU64::new(serving.generation);
        Self { generation, serving: ArcSwap::new(serving) }
    }

    /// Puts another table in force; the old one comes back, still in use by threads.
    pub(crate) fn publish(&self, serving: Arc<Serving>) -> Arc<Serving> {
        let generation = serving.generation;
        let old = self.serving.swap(serving);
        self.generation.store(generation, Ordering::Release);
        old
    }

    /// Whether another table than that of this generation is in force: one load.
    #[inline]
    pub(crate) fn is_other_than(&self, generation: u64) -> bool {
        self.generation.load(Ordering::Acquire) != generation
    }

    pub(crate) fn load(&self) -> Arc<Serving> {
        self.serving.load_full()
    }
}
