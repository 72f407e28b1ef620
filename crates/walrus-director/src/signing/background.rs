//! Threads of low priority: one makes what answer sets lack, one renews zones, one carries what the
//! answering threads tell each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use super::key_ring::give_way;
use crate::director::{DirectorHandle, Inner};
use crate::given::EXCHANGE_EVERY;

/// How often they look at the clocks although nobody called them.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long what failed is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// How often signatures are written to the disk at most.
const KEEP_EVERY: Duration = Duration::from_secs(5);

/// The threads, and how to reach them.
#[derive(Debug, Default)]
pub(crate) struct Background {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// How often there was something to do.
    calls: Mutex<u64>,
    called: Condvar,
}

impl Background {
    /// Starts the threads. They end when the Director is gone.
    ///
    /// # Errors
    /// If there are no more threads.
    pub(crate) fn start(&self, director: &Arc<Inner>) -> io::Result<()> {
        for (name, work) in [
            ("sign-answers", answers as fn(&Shared, &Weak<Inner>)),
            ("sign-zones", zones),
            ("exchange", exchange),
        ] {
            let (shared, director) = (Arc::clone(&self.shared), Arc::downgrade(director));
            let run = move || {
                give_way();
                work(&shared, &director);
            };
            let thread = thread::Builder::new().name(name.to_owned()).spawn(run)?;
            self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(())
    }

    /// There is something to do.
    pub(crate) fn call(&self) {
        *self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.shared.called.notify_all();
    }

    /// Set when the threads are to end, and all signing with them.
    pub(crate) fn stopping(&self) -> &AtomicBool {
        &self.shared.stop
    }

    /// Ends all signing, and says so to the threads.
    pub(crate) fn begin_to_stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.call();
    }

    /// Ends the threads and waits for them, unless one of them is what calls.
    pub(crate) fn stop(&self) {
        self.begin_to_stop();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads.into_iter().filter(|it| it.thread().id() != thread::current().id()) {
            // A panic has been told by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Waits to be called; false at the end.
    fn wait(&self, seen: &mut u64) -> bool {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing_new = |calls: &mut u64| *calls == *seen && !self.is_stopping();
        let waited = self.called.wait_timeout_while(calls, LOOK_EVERY, nothing_new);
        *seen = *waited.unwrap_or_else(PoisonError::into_inner).0;
        !self.is_stopping()
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn answers(shared: &Shared, director: &Weak<Inner>) {
    let mut seen = 0;
    let mut kept = Instant::now();
    let mut tried = Instant::now();
    while shared.wait(&mut seen) {
        let Some(director) = director.upgrade().map(DirectorHandle::of) else { return };
        while director.sign_pending() && !shared.is_stopping() {}
        director.renew_answers(tried.elapsed() >= RETRY_AFTER);
        if tried.elapsed() >= RETRY_AFTER {
            tried = Instant::now();
            director.keep_signatures_again();
        }
        if kept.elapsed() >= KEEP_EVERY {
            kept = Instant::now();
            director.keep_signatures();
        }
    }
    if let Some(director) = director.upgrade().map(DirectorHandle::of) {
        director.keep_signatures();
        director.keep_signatures_again();
    }
}

fn exchange(shared: &Shared, director: &Weak<Inner>) {
    let mut seen = 0;
    let mut exchanged = Instant::now();
    while shared.wait(&mut seen) {
        let Some(director) = director.upgrade().map(DirectorHandle::of) else { return };
        if exchanged.elapsed() >= EXCHANGE_EVERY {
            exchanged = Instant::now();
            director.exchange_given();
        }
    }
}

fn zones(shared: &Shared, director: &Weak<Inner>) {
    let mut seen = 0;
    let mut tried: Option<Instant> = None;
    while shared.wait(&mut seen) {
        let Some(director) = director.upgrade().map(DirectorHandle::of) else { return };
        let may_try = tried.is_none_or(|tried| tried.elapsed() >= RETRY_AFTER);
        if may_try && director.renew_zones() {
            tried = Some(Instant::now());
        } else if may_try {
            tried = None;
        }
    }
}
