//! What the answering threads tell each other of what they gave to servers, so that policies which
//! weigh that (`hash`, `dal`, `mrl`, `crml`) see the whole of it within a second.
//!
//! A thread of low priority asks them every second, adds up, and hands each the sum of all others. The
//! answering threads copy some numbers a server between two batches: they only ever try the lock,
//! allocate nothing, and free nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use walrus_core::answer::{AnswerTable, Counters, Positions, WorkerState};
use walrus_core::policy::choose::{Exchange, Told};
use walrus_core::world::Time;

use crate::director::DirectorHandle;

/// How often threads tell each other.
pub(crate) const EXCHANGE_EVERY: Duration = Duration::from_secs(1);

/// How long is waited for those that are busy with a batch; who is later is heard the next time.
const TELL_WITHIN: Duration = Duration::from_millis(100);

/// Where one thread tells and hears under one table.
#[derive(Debug, Default)]
pub(crate) struct Words {
    is_wanted: AtomicBool,
    words: Mutex<Exchanged>,
}

#[derive(Debug, Default)]
struct Exchanged {
    /// Room for what is to be told.
    room: Option<Vec<Told>>,
    told: Option<Vec<Told>>,
    to_hear: Option<Vec<Told>>,
    heard: Option<Vec<Told>>,
}

impl Words {
    /// For a thread: whether there is something to tell or to hear.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// For a thread: tells and hears; if the lock is held just now, after the next batch.
    pub(crate) fn exchange(&self, state: &mut WorkerState, now: Time) {
        let Ok(mut words) = self.words.try_lock() else { return };
        // Under the lock, and first: what is wanted from now on is wanted again.
        self.is_wanted.store(false, Ordering::Release);
        // What was told and not fetched yet is neither lost nor freed here.
        if words.told.is_none()
            && let Some(mut room) = words.room.take()
        {
            state.tell(now, &mut room);
            words.told = Some(room);
        }
        if let Some(to_hear) = words.to_hear.take() {
            state.hear(&to_hear);
            words.heard = Some(to_hear);
        }
    }

    /// From outside: asks the thread to tell; what it told too late the last time.
    fn want(&self, table: &AnswerTable) -> Option<Vec<Told>> {
        let mut words = self.lock();
        let late = words.told.take();
        words.room.get_or_insert_with(|| table.telling());
        self.is_wanted.store(true, Ordering::Release);
        late
    }

    /// From outside: what was told since, once.
    fn take_told(&self) -> Option<Vec<Told>> {
        self.lock().told.take()
    }

    /// From outside: hands over what the thread is to hear, unless it has not heard the last yet.
    fn let_hear(&self, hear: impl FnOnce() -> Vec<Told>) {
        let mut words = self.lock();
        if words.to_hear.is_none() {
            words.to_hear = Some(hear());
            self.is_wanted.store(true, Ordering::Release);
        }
        let heard = words.heard.take();
        drop(words);
        drop(heard);
    }

    fn lock(&self) -> MutexGuard<'_, Exchanged> {
        // A panic elsewhere leaves at worst something untold.
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all threads together gave.
#[derive(Debug)]
pub(crate) struct Given {
    exchange: Exchange,
    /// A thread that never answers and hears all others: what is explained is explained on a copy.
    overview: WorkerState,
    /// The table that it knows.
    generation: u64,
    threads: usize,
}

impl Given {
    pub(crate) fn new(table: &AnswerTable, threads: usize) -> Self {
        let exchange = Exchange::new(threads + 1);
        Self { exchange, overview: WorkerState::new(0, table), generation: 0, threads }
    }
}

impl DirectorHandle {
    /// Has the threads tell each other what they gave, if a policy looks at it.
    pub(crate) fn exchange_given(&self) {
        let inner = self.inner();
        let serving = inner.current.load();
        let table = &serving.table;
        if table.telling().is_empty() {
            // What was told to dnstap must not wait for the next query.
            if crate::director::lock(&inner.running).as_ref().is_some_and(|it| it.dnstap.is_some())
            {
                inner.wakers.wake();
            }
            return;
        }
        let words = serving.words();
        let late: Vec<_> = words.iter().map(|words| words.want(table)).collect();
        inner.wakers.wake();
        let begun = Instant::now();
        while words.iter().any(Words::is_wanted) && begun.elapsed() < TELL_WITHIN {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let mut given = inner.given.lock().unwrap_or_else(PoisonError::into_inner);
        for (thread, (words, late)) in words.iter().zip(late).enumerate() {
            // In the order in which it was told: some of it is news and told only once.
            for told in late.into_iter().chain(words.take_told()) {
                given.exchange.tell(thread, told);
            }
        }
        let now = inner.clock.now();
        let inputs = || table.choose_inputs().flatten();
        for (thread, words) in words.iter().enumerate() {
            words.let_hear(|| given.exchange.hear(thread, inputs(), now));
        }
        let Given { exchange, overview, generation, threads } = &mut *given;
        if *generation != serving.generation {
            *generation = serving.generation;
            // What it knew under another table goes on.
            let _ = overview.adopt(Positions::for_table(table), Counters::for_table(table));
        }
        overview.hear(&exchange.hear(*threads, inputs(), now));
        drop(given);
        inner.wakers.wake();
    }

    /// A worker that knows what all threads gave, as of the last second: for explaining.
    #[must_use]
    pub fn overview(&self) -> WorkerState {
        let given = self.inner().given.lock().unwrap_or_else(PoisonError::into_inner);
        given.overview.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use allocation_counter::measure;
    use walrus_core::answer::{Outcome, Request, ServerOptions, Transport, respond};
    use walrus_core::map::Map;
    use walrus_core::plan::Plan;
    use walrus_core::world::ChoosePolicy;

    use super::*;
    use crate::director::tests::zone_table;
    use crate::fixture::{SERVICE, digests, plan, query, topology};

    fn table(choose: ChoosePolicy) -> AnswerTable {
        let topology = topology();
        let map = Arc::new(Map::build(&topology, &[]).unwrap());
        let zones = Arc::new(zone_table(&topology));
        let mut plan = Plan::clone(&plan(1, 1, &digests(&map)));
        plan.services.iter_mut().for_each(|service| service.choose = choose);
        AnswerTable::new(zones, map, &topology).with_plan(Arc::new(plan)).unwrap()
    }

    #[test]
    fn threads_tell_and_hear_without_allocating() {
        for choose in ChoosePolicy::ALL {
            let table = table(choose);
            let mut workers = [WorkerState::new(1, &table), WorkerState::new(2, &table)];
            let words = [Words::default(), Words::default()];
            let mut exchange = Exchange::new(2);
            let query = query(1, SERVICE, Some([192, 0, 2]));
            let now = Time::from_secs(7);
            for (thread, (worker, words)) in workers.iter_mut().zip(&words).enumerate() {
                let request = Request {
                    query: &query,
                    client: [192, 0, 2, 53].into(),
                    local: ([127, 0, 0, 1], 53).into(),
                    transport: Transport::Udp,
                    now,
                    unix_secs: 0,
                    udp_size_max: 1232,
                    server: ServerOptions::SILENT,
                };
                let outcome = respond(&table, worker, &request, &mut [0; 1232]);
                assert!(matches!(outcome, Outcome::Reply(_)));
                assert!(words.want(&table).is_none());
                assert!(words.is_wanted());
                let used = measure(|| words.exchange(worker, now));
                assert_eq!((used.count_total, used.count_current), (0, 0), "{choose:?}");
                assert!(!words.is_wanted());
                exchange.tell(thread, words.take_told().unwrap());
                assert!(words.take_told().is_none(), "once");
            }
            for (thread, (worker, words)) in workers.iter_mut().zip(&words).enumerate() {
                let inputs = table.choose_inputs().flatten();
                words.let_hear(|| exchange.hear(thread, inputs, now));
                words.let_hear(|| panic!("it has not heard the last yet"));
                let used = measure(|| words.exchange(worker, now));
                assert_eq!((used.count_total, used.count_current), (0, 0), "{choose:?}");
            }
        }
    }

    #[test]
    fn what_is_told_late_is_fetched_the_next_time() {
        let table = table(ChoosePolicy::Dal);
        let (mut worker, words) = (WorkerState::new(1, &table), Words::default());
        let now = Time::from_secs(7);
        assert!(words.want(&table).is_none());
        words.exchange(&mut worker, now);
        assert!(words.want(&table).is_some(), "told after everybody went on");
        words.exchange(&mut worker, now);
        // Nobody fetches it, and there is room again: it stays, and nothing is freed here.
        words.lock().room = Some(table.telling());
        let used = measure(|| words.exchange(&mut worker, now));
        assert_eq!((used.count_total, used.count_current), (0, 0));
        assert!(words.lock().room.is_some() && words.take_told().is_some());
    }
}
