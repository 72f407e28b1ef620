//! Work on files whose disk may hang: on one thread at a time, however often it is tried.
//!
//! A thread that waits for a disk cannot be ended. One more for each try would in the end be all that a process may
//! have, and what has nothing to do with that disk would wait, too.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// A turn that one piece of work at a time has. Cheap to clone; clones share the turn.
#[derive(Clone, Debug)]
pub struct OneThread {
    turn: Arc<Semaphore>,
}

impl Default for OneThread {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)) }
    }
}

impl OneThread {
    /// What the work gives; `None` if it is not done by then, be it that an earlier one still is at it. What has
    /// begun goes on, and has its turn until it ends.
    pub async fn within<T: Send + 'static>(
        &self,
        wait: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let done = async {
            let turn = self.turn.clone().acquire_owned().await.ok()?;
            let work = move || {
                let done = work();
                drop(turn);
                done
            };
            spawn_blocking(work).await.ok()
        };
        timeout(wait, done).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_that_hangs_has_one_thread_however_often_it_is_tried() {
        let one = OneThread::default();
        let begun = Arc::new(AtomicUsize::new(0));
        let (answer, disk) = mpsc::channel::<()>();
        let begin = begun.clone();
        let hangs = move || {
            begin.fetch_add(1, Ordering::SeqCst);
            let _ = disk.recv();
        };
        assert_eq!(one.within(Duration::from_millis(50), hangs).await, None);
        for _ in 0..20 {
            let begin = begun.clone();
            let again = move || begin.fetch_add(1, Ordering::SeqCst);
            assert_eq!(one.within(Duration::from_millis(5), again).await, None);
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        // The disk is back, and those that gave up do not come after.
        answer.send(()).unwrap();
        assert_eq!(one.within(Duration::from_secs(10), || 7).await, Some(7));
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }
}
