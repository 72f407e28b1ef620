//! Looks at an access log on a thread that may wait for a disk.
//!
//! A disk may not answer for minutes (NFS, a disk that fails), but a Reporter that is silent for three
//! units is taken for dead with its server. So a look is waited for only so long, and goes on by
//! itself: reports are without requests meanwhile, and the first after it tells of all that time.

use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};

use super::AccessLog;

/// A log, or the thread that looks at it.
#[derive(Debug)]
pub(crate) struct Looks<L = AccessLog> {
    log: Option<L>,
    /// Never more than one.
    going_on: Option<JoinHandle<L>>,
}

impl<L: Send + 'static> Looks<L> {
    pub(crate) const fn new() -> Self {
        Self { log: None, going_on: None }
    }

    /// What the last look left; `None` as long as one goes on, or there was none.
    pub(crate) const fn log(&mut self) -> Option<&mut L> {
        self.log.as_mut()
    }

    /// Has a thread look at the log, or begin one, and waits for it so long at most. One that goes on
    /// from before is not waited for.
    pub(crate) async fn look(
        &mut self,
        within: Duration,
        look: impl FnOnce(Option<L>) -> L + Send + 'static,
    ) {
        let (mut thread, within) = match self.going_on.take() {
            Some(thread) => (thread, Duration::ZERO),
            None => {
                let log = self.log.take();
                (spawn_blocking(move || look(log)), within)
            }
        };
        match tokio::time::timeout(within, &mut thread).await {
            Ok(Ok(log)) => {
                if within.is_zero() {
                    tracing::info!("the access log is read again");
                }
                self.log = Some(log);
            }
            // It begins anew with the next look.
            Ok(Err(error)) => tracing::error!(%error, "the access log was not read to its end"),
            Err(_) => {
                if !within.is_zero() {
                    tracing::warn!(
                        "reading the access log takes long: reports are without requests until it \
                         ends; look at the disk"
                    );
                }
                self.going_on = Some(thread);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_disk_that_does_not_answer_is_not_waited_for() {
        let (answer, disk) = mpsc::channel::<()>();
        let mut looks = Looks::<u32>::new();
        looks.look(LONG, |log| log.map_or(1, |_| unreachable!())).await;
        assert_eq!(looks.log(), Some(&mut 1));
        let look = move |log: Option<u32>| {
            disk.recv().unwrap();
            log.unwrap() + 1
        };
        looks.look(SHORT, look).await;
        assert_eq!(looks.log(), None);
        // Nor waited for again, and no second thread looks.
        let begun = Instant::now();
        for _ in 0..3 {
            looks.look(LONG, |_| unreachable!()).await;
            assert_eq!(looks.log(), None);
        }
        assert!(begun.elapsed() < LONG);
        answer.send(()).unwrap();
        while looks.log().is_none() {
            assert!(begun.elapsed() < LONG, "it comes back");
            tokio::time::sleep(SHORT).await;
            looks.look(LONG, |log| log.unwrap()).await;
        }
        assert_eq!(looks.log(), Some(&mut 2), "nothing is lost");
    }

    #[tokio::test]
    async fn after_a_panic_it_begins_anew() {
        let mut looks = Looks::<u32>::new();
        looks.look(LONG, |_| panic!("in a test")).await;
        assert_eq!(looks.log(), None);
        looks.look(LONG, |log| log.map_or(7, |_| unreachable!())).await;
        assert_eq!(looks.log(), Some(&mut 7));
    }
}
