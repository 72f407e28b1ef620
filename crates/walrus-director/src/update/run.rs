//! The task of one name server, and how it is steered and looked at.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use walrus_core::config::NameServerSettings;
use walrus_core::plan::{Plan, PlanNumber};
use walrus_core::update::{Updater, UpdaterEffect, UpdaterStatus};
use walrus_host::clock::Clock;
use walrus_host::shutdown::Shutdown;

use super::exchange::{Patience, carry_out};
use super::secret_files::SecretFiles;

/// What the task of a name server starts with.
#[derive(Debug)]
pub struct UpdaterStart {
    /// The name server.
    pub settings: NameServerSettings,
    /// The Plan in force, whoever makes it; `None` before the first.
    pub plans: watch::Receiver<Option<Arc<Plan>>>,
    /// Reads keys; all name servers of a node share it.
    pub secrets: SecretFiles,
    /// For waits.
    pub seed: u64,
    /// What time it is.
    pub clock: Clock,
    /// Rises whenever a name server has acknowledged another Plan; all name servers of a node share it.
    pub acknowledgements: Arc<watch::Sender<u64>>,
    /// Ends it.
    pub shutdown: Shutdown,
}

/// A name server that is kept up to date. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UpdaterHandle {
    updater: Arc<Mutex<Updater>>,
    plans: watch::Receiver<Option<Arc<Plan>>>,
    /// The settings are others.
    changed: Arc<Notify>,
    clock: Clock,
}

impl UpdaterHandle {
    /// How the name server stands.
    #[must_use]
    pub fn status(&self) -> UpdaterStatus {
        self.lock().status(self.clock.now())
    }

    /// The highest Plan number that marks in its zone name.
    #[must_use]
    pub fn seen(&self) -> Option<PlanNumber> {
        self.lock().seen().cloned()
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> NameServerSettings {
        self.lock().settings().clone()
    }

    /// Other settings for the same zone of the same name server.
    pub fn reconfigure(&self, settings: NameServerSettings) {
        let plan = self.plans.borrow().clone();
        self.lock().reconfigure(settings, plan.as_deref());
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Updater> {
        self.updater.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the task of a name server.
#[must_use]
pub fn spawn(start: UpdaterStart) -> (UpdaterHandle, JoinHandle<()>) {
    let UpdaterStart { settings, plans, secrets, seed, clock, acknowledgements, shutdown } = start;
    let handle = UpdaterHandle {
        updater: Arc::new(Mutex::new(Updater::new(settings, seed))),
        plans: plans.clone(),
        changed: Arc::default(),
        clock,
    };
    let task = tokio::spawn(run(handle.clone(), plans, secrets, acknowledgements, shutdown));
    (handle, task)
}

async fn run(
    handle: UpdaterHandle,
    mut plans: watch::Receiver<Option<Arc<Plan>>>,
    secrets: SecretFiles,
    acknowledgements: Arc<watch::Sender<u64>>,
    shutdown: Shutdown,
) {
    let clock = handle.clock.clone();
    // Once nobody makes Plans any more the last one is kept there all the same.
    let mut plans_end = false;
    let mut taken: Option<Arc<Plan>> = None;
    let mut told: Option<PlanNumber> = None;
    loop {
        take(&handle, &mut plans, &mut taken);
        let (effect, deadline) = {
            let mut updater = handle.lock();
            if updater.acknowledged() != told.as_ref() {
                told = updater.acknowledged().cloned();
                acknowledgements.send_modify(|count| *count += 1);
            }
            (updater.poll(clock.now()), updater.next_deadline())
        };
        match effect {
            Some(UpdaterEffect::Warn(text)) => tracing::warn!("{text}"),
            Some(UpdaterEffect::Tell(text)) => tracing::info!("{text}"),
            Some(UpdaterEffect::Exchange(exchange)) => {
                let settings = handle.settings();
                let outcome = {
                    let with = (&clock, &secrets, Patience::USUAL);
                    let mut under_way = pin!(carry_out(&settings, &exchange, with));
                    loop {
                        tokio::select! {
                            outcome = &mut under_way => break outcome,
                            // The updater sees each Plan: of what it did not see it must think the worst.
                            changed = plans.changed(), if !plans_end => {
                                plans_end = changed.is_err();
                                take(&handle, &mut plans, &mut taken);
                            }
                            () = shutdown.requested() => return,
                        }
                    }
                };
                let (mut updater, now) = (handle.lock(), clock.now());
                match outcome {
                    Ok(replies) => updater.replied(now, &replies),
                    Err(failure) => updater.failed(now, failure),
                }
            }
            None => {
                let due = async {
                    match deadline {
                        Some(deadline) => drop(clock.sleep_until(deadline).await),
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = due => {}
                    () = handle.changed.notified() => {}
                    changed = plans.changed(), if !plans_end => plans_end = changed.is_err(),
                    () = shutdown.requested() => return,
                }
            }
        }
    }
}

/// Gives the updater the Plan in force, if it is another than that it was given last.
fn take(
    handle: &UpdaterHandle,
    plans: &mut watch::Receiver<Option<Arc<Plan>>>,
    taken: &mut Option<Arc<Plan>>,
) {
    let Some(plan) = plans.borrow_and_update().clone() else { return };
    if !taken.as_ref().is_some_and(|it| Arc::ptr_eq(it, &plan)) {
        handle.lock().plan(&plan);
        *taken = Some(plan);
    }
}
