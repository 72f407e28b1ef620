//! Writes to the state directory in the order asked for, beside the Controller's task.
//!
//! A Plan or override that the disk would not take is tried again until it is written or a newer
//! one is, so that a disk that was full for a while costs nothing but journal entries.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};
use walrus_core::plan::Plan;
use walrus_core::world::Overrides;
use walrus_host::clock::{Activity, Busy};
use walrus_host::log::{Limited, chain};
use walrus_host::state::{StateDirectory, StateError};

/// Writes that wait. A disk that is slower than the rounds loses journal entries first.
const JOBS_MAX: usize = 64;

/// The time between two attempts at what the disk would not take.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

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
    Joined(u64),
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
        self.at_once(What::Epoch(epoch)).await
    }

    /// On the disk when this returns.
    ///
    /// # Errors
    /// What the disk said.
    pub(crate) async fn joined(&self, joined: u64) -> Result<(), String> {
        self.at_once(What::Joined(joined)).await
    }

    async fn at_once(&self, what: What) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let job = self.job(what, Some(done));
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
    let mut writer =
        Writer { state, refused: Refused::default(), lines: Limited::new(Duration::from_secs(60)) };
    let mut again_at = Instant::now();
    loop {
        let job = tokio::select! {
            job = queue.recv() => job,
            // An instant, not a pause: each round brings a job, and would begin the pause anew.
            () = sleep_until(again_at), if writer.refused.any() => {
                writer.again().await;
                again_at = Instant::now() + AGAIN_AFTER;
                continue;
            }
        };
        let Some(Job { what, done, _busy }) = job else { break };
        let write = match what {
            What::Epoch(epoch) => Write::Epoch(epoch),
            What::Joined(joined) => Write::Joined(joined),
            What::Overrides(overrides) => Write::Overrides(Arc::new(overrides)),
            What::Journal(round, rounds) => Write::Journal(round.into(), rounds),
            What::Plan => match plan.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(newest) => Write::Plan(newest),
                None => continue,
            },
        };
        let was_refused = writer.refused.any();
        let result = writer.write(write).await;
        if !was_refused {
            again_at = Instant::now() + AGAIN_AFTER;
        }
        if let Some(done) = done {
            let _ = done.send(result);
        }
    }
    writer.again().await;
}

/// One write, cheap to clone for another attempt.
#[derive(Clone)]
enum Write {
    Epoch(u64),
    Joined(u64),
    Plan(Arc<Plan>),
    Overrides(Arc<Overrides>),
    Journal(Arc<str>, u32),
}

/// What the disk would not take last, of what must not be lost. (An epoch is the shell's to try
/// again, for it must be stored before the next Plan.)
#[derive(Default)]
struct Refused {
    plan: Option<Arc<Plan>>,
    overrides: Option<Arc<Overrides>>,
}

impl Refused {
    const fn any(&self) -> bool {
        self.plan.is_some() || self.overrides.is_some()
    }
}

struct Writer {
    state: Arc<StateDirectory>,
    refused: Refused,
    lines: Limited,
}

impl Writer {
    async fn write(&mut self, write: Write) -> Result<(), String> {
        let (state, now) = (self.state.clone(), write.clone());
        let written = spawn_blocking(move || carry_out(&state, now)).await;
        let result = match written {
            Ok(result) => result.map_err(|error| chain(&error)),
            Err(_) => Err("the writer broke".to_owned()),
        };
        if let Err(problem) = &result
            && let Some(left_out) = self.lines.pass()
        {
            tracing::error!(problem, left_out, "state is not written down");
        }
        let failed = result.is_err();
        match write {
            Write::Plan(plan) => self.refused.plan = failed.then_some(plan),
            Write::Overrides(overrides) => self.refused.overrides = failed.then_some(overrides),
            Write::Epoch(_) | Write::Joined(_) | Write::Journal(..) => {}
        }
        result
    }

    /// Tries what was refused once more.
    async fn again(&mut self) {
        let Refused { plan, overrides } = std::mem::take(&mut self.refused);
        let writes = [plan.map(Write::Plan), overrides.map(Write::Overrides)];
        for write in writes.into_iter().flatten() {
            // What is refused again is kept again.
            let _ = self.write(write).await;
        }
    }
}

fn carry_out(state: &StateDirectory, write: Write) -> Result<(), StateError> {
    match write {
        Write::Epoch(epoch) => state.store_epoch(epoch),
        Write::Joined(joined) => state.store_joined(joined),
        Write::Plan(plan) => state.store_plan(&plan),
        Write::Overrides(overrides) => state.store_overrides(&overrides),
        Write::Journal(round, rounds) => state.append_journal(&round, rounds),
    }
}

#[cfg(test)]
mod tests {
    use walrus_core::plan::{Digests, FORMAT, PlanNumber};
    use walrus_core::world::{OverrideState, Target};

    use super::*;

    fn plan(sequence: u64) -> Arc<Plan> {
        Arc::new(Plan {
            format: FORMAT,
            number: PlanNumber { epoch: 1, controller: "a".parse().unwrap(), sequence },
            digests: Digests::default(),
            servers: vec![],
            lists: vec![],
            services: vec![],
        })
    }

    #[tokio::test]
    async fn what_the_disk_refuses_is_written_when_it_can_be() {
        let parent = tempfile::tempdir().unwrap();
        let state = Arc::new(StateDirectory::open(&parent.path().join("state")).unwrap());
        std::fs::remove_dir_all(state.path()).unwrap();
        let disk = Disk::spawn(state.clone(), Activity::default());
        disk.plan(plan(3));
        let mut overrides = Overrides::default();
        let target = Target::Server("fra1".parse().unwrap());
        overrides.set(target, OverrideState::Drained, ("a".parse().unwrap(), None), 7);
        assert!(disk.overrides(overrides.clone()).await.unwrap().is_err());
        std::fs::create_dir(state.path()).unwrap();
        let written = async {
            while state.load_overrides().value != overrides {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(AGAIN_AFTER * 10, written).await.expect("it is tried again");
        assert_eq!(state.load_plan().value, Some((*plan(3)).clone()));
        disk.finish().await;
    }

    #[tokio::test]
    async fn a_newer_plan_takes_the_place_of_one_that_was_refused() {
        let parent = tempfile::tempdir().unwrap();
        let state = Arc::new(StateDirectory::open(&parent.path().join("state")).unwrap());
        std::fs::remove_dir_all(state.path()).unwrap();
        let disk = Disk::spawn(state.clone(), Activity::default());
        disk.plan(plan(3));
        assert!(disk.epoch(2).await.is_err(), "by now the Plan has been refused as well");
        std::fs::create_dir(state.path()).unwrap();
        disk.plan(plan(4));
        disk.finish().await;
        assert_eq!(state.load_plan().value, Some((*plan(4)).clone()));
    }
}
