//! Writes to the state directory in the order asked for, beside the Controller's task.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use walrus_core::plan::Plan;
use walrus_core::world::Overrides;
use walrus_host::clock::{Activity, Busy};
use walrus_host::log::{Limited, chain};
use walrus_host::state::{StateDirectory, StateError};

/// Writes that wait. A disk that is slower than the rounds loses journal entries first.
const JOBS_MAX: usize = 64;

/// The state directory behind a queue.
#[derive(Debug)]
pub(crate) struct Disk {
    jobs: mpsc::Sender<Job>,
    /// The newest Plan that waits to be written; older ones need not be.
    plan: Arc<Mutex<Option<Arc<Plan>>>>,
    writer: JoinHandle<()>,
    activity: Activity,
}

struct Job {
    what: What,
    done: Option<oneshot::Sender<Result<(), String>>>,
    _busy: Busy,
}

enum What {
    Epoch(u64),
    /// Whatever stands in [`Disk::plan`].
    Plan,
    Overrides(Overrides),
    Journal(String, u32),
}

impl Disk {
    pub(crate) fn spawn(state: Arc<StateDirectory>, activity: Activity) -> Self {
        let (jobs, queue) = mpsc::channel(JOBS_MAX);
        let plan = Arc::<Mutex<Option<Arc<Plan>>>>::default();
        let writer = tokio::spawn(write_all(state, queue, plan.clone()));
        Self { jobs, plan, writer, activity }
    }

    /// On the disk when this returns.
    ///
    /// # Errors
    /// What the disk said.
    pub(crate) async fn epoch(&self, epoch: u64) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let job = self.job(What::Epoch(epoch), Some(done));
        if self.jobs.send(job).await.is_err() {
            return Err("the writer ended".to_owned());
        }
        answer.await.unwrap_or_else(|_| Err("the writer ended".to_owned()))
    }

    /// Soon on the disk, unless a newer one comes before.
    pub(crate) fn plan(&self, plan: Arc<Plan>) {
        let waiting = self.slot().replace(plan);
        if waiting.is_none() && self.jobs.try_send(self.job(What::Plan, None)).is_err() {
            // Tried again with the next Plan.
            *self.slot() = None;
            tracing::warn!("a Plan was not written down: the disk is too slow");
        }
    }

    /// Soon on the disk; the receiver tells when, or why not.
    pub(crate) fn overrides(&self, overrides: Overrides) -> oneshot::Receiver<Result<(), String>> {
        let (done, answer) = oneshot::channel();
        let job = self.job(What::Overrides(overrides), Some(done));
        // Left out, it drops `done`, which its receiver notices.
        let _ = self.jobs.try_send(job);
        answer
    }

    /// Soon in the journal, or left out if the disk is too slow.
    pub(crate) fn journal(&self, round: String, rounds: u32) {
        if self.jobs.try_send(self.job(What::Journal(round, rounds), None)).is_err() {
            tracing::warn!("a round is missing in the journal: the disk is too slow");
        }
    }

    /// Waits until all is written.
    pub(crate) async fn finish(self) {
        let Self { jobs, writer, .. } = self;
        drop(jobs);
        let _ = writer.await;
    }

    fn job(&self, what: What, done: Option<oneshot::Sender<Result<(), String>>>) -> Job {
        Job { what, done, _busy: self.activity.begin() }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Plan>>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write_all(
    state: Arc<StateDirectory>,
    mut queue: mpsc::Receiver<Job>,
    plan: Arc<Mutex<Option<Arc<Plan>>>>,
) {
    let lines = Limited::new(Duration::from_secs(60));
    while let Some(Job { what, done, _busy }) = queue.recv().await {
        let (state, plan) = (state.clone(), plan.clone());
        let written = spawn_blocking(move || write(&state, what, &plan)).await;
        let result = match written {
            Ok(result) => result.map_err(|error| chain(&error)),
            Err(_) => Err("the writer broke".to_owned()),
        };
        if let Err(problem) = &result
            && let Some(left_out) = lines.pass()
        {
            tracing::error!(problem, left_out, "state is not written down");
        }
        if let Some(done) = done {
            let _ = done.send(result);
        }
    }
}

fn write(
    state: &StateDirectory,
    what: What,
    plan: &Mutex<Option<Arc<Plan>>>,
) -> Result<(), StateError> {
    match what {
        What::Epoch(epoch) => state.store_epoch(epoch),
        What::Overrides(overrides) => state.store_overrides(&overrides),
        What::Journal(round, rounds) => state.append_journal(&round, rounds),
        What::Plan => {
            let newest = plan.lock().unwrap_or_else(PoisonError::into_inner).take();
            newest.map_or(Ok(()), |plan| state.store_plan(&plan))
        }
    }
}
