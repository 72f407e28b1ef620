//! The thread that follows what zones become, in rounds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{io, mem};

use super::round::Rounds;
use crate::director::{DirectorHandle, Inner, lock};
use crate::signing::give_way;

/// How often it looks although nobody called it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The thread, and how to reach it.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    is_called: Mutex<bool>,
    called: Condvar,
}

impl Followers {
    /// Starts the thread. It ends when the Director is gone.
    ///
    /// # Errors
    /// If there are no more threads.
    pub(crate) fn start(&self, director: &Arc<Inner>) -> io::Result<()> {
        let (shared, director) = (Arc::clone(&self.shared), Arc::downgrade(director));
        let run = move || {
            give_way();
            run(&shared, &director);
        };
        let thread = thread::Builder::new().name("transfers-out".to_owned()).spawn(run)?;
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    /// There is something to look at.
    pub(crate) fn call(&self) {
        *lock(&self.shared.is_called) = true;
        self.shared.called.notify_all();
    }

    /// Ends the thread and waits for it, unless that is what calls.
    pub(crate) fn stop(&self) {
        self.shared.stop.store(true, Relaxed);
        self.call();
        let thread = mem::take(&mut *lock(&self.thread));
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            // A panic has been told by the thread itself.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, director: &Weak<Inner>) {
    let mut rounds = Rounds::default();
    while !shared.stop.load(Relaxed) {
        let called = lock(&shared.is_called);
        let waited = shared.called.wait_timeout_while(called, LOOK_EVERY, |called| !*called);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
        let Some(director) = director.upgrade().map(DirectorHandle::of) else { return };
        if shared.stop.load(Relaxed) {
            return;
        }
        // A panic is a bug of ours. What secondaries have goes on, and the next change is looked at afresh.
        let follow = AssertUnwindSafe(|| director.follow(&mut rounds));
        if catch_unwind(follow).is_err() {
            tracing::error!("following zones for secondaries has failed, which is a bug to report");
            rounds = Rounds::default();
        }
    }
}
