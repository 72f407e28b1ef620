//! The Controller's shell: reports, probes and commands in, Plans out.
//!
//! Everything that is decided is decided by [`walrus_core::control::Controller`], which one task
//! here owns. The task feeds it what arrives on bounded channels and carries its effects out in
//! their order:
//!
//! ```text
//! group events ─┐                       ┌─> watch: the Plan in force (Directors)
//! probe results ├─> Shell ── effects ───┼─> Disk: epoch, Plan, overrides, journal
//! commands ─────┘   (owns the           ├─> Prober: results come back
//!                    core's Controller) └─> Notifier, log
//! ```
//!
//! Nothing that can be slow is awaited by the task, with one exception: a new epoch is on the disk
//! before the Plan that uses it is given out.

mod disk;
mod group;
mod handle;
mod shell;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use walrus_core::config::Configuration;
use walrus_core::control::{Controller, GroupStart, Start, Stored};
use walrus_core::plan::{Digests, Plan};
use walrus_host::clock::Clock;
use walrus_host::group::GroupListener;
use walrus_host::notify::Notifier;
use walrus_host::probe::Prober;
use walrus_host::shutdown::Shutdown;
use walrus_host::state::StateDirectory;

pub use group::ControllerBus;
pub use handle::{ControllerGone, ControllerHandle, OverrideError};

use disk::Disk;
use group::Group;
use handle::{Command, PlanCause};
use shell::Shell;

/// Group events that wait for the Controller; beyond that Reporters are read more slowly.
const EVENTS_MAX: usize = 1024;
/// Commands that wait; beyond that their callers wait.
const COMMANDS_MAX: usize = 256;

/// What a Controller runs with.
#[derive(Debug)]
pub struct ControllerStart {
    /// The checked configuration; `node.name` is the Controller's.
    pub configuration: Arc<Configuration>,
    /// What Plans are made for.
    pub digests: Digests,
    /// Where what must survive is kept.
    pub state: Arc<StateDirectory>,
    /// What time it is.
    pub clock: Clock,
    /// Spreads probes in time.
    pub seed: u64,
    /// Ends the Controller.
    pub shutdown: Shutdown,
    /// The Plan that the state directory held: in force until the first of its own.
    pub plan: Option<Arc<Plan>>,
    /// Where Reporters connect, already bound; `None` if all are in this process.
    pub group: Option<GroupListener>,
    /// The group that this Controller is one of several in; `None` if it is alone.
    pub bus: Option<ControllerBus>,
}

/// Starts a Controller in tasks of its own. Reads epoch and overrides from the state directory
/// first, which blocks for a moment. Must be called inside a runtime.
#[must_use]
pub fn spawn(start: ControllerStart) -> ControllerHandle {
    let ControllerStart { configuration, digests, state, clock, seed, shutdown, plan, group, bus } =
        start;
    let stored = Stored {
        epoch: state.load_epoch().logged(),
        overrides: state.load_overrides().logged(),
        plan,
    };
    let (plans, plan) = watch::channel(stored.plan.clone());
    let cause = PlanCause::default();
    let (events, event_queue) = mpsc::channel(EVENTS_MAX);
    let (commands, command_queue) = mpsc::channel::<Command>(COMMANDS_MAX);
    let (running, ended) = watch::channel(());
    let counters = group.map(|group| group.serve(events.clone(), clock.clone(), shutdown.clone()));
    let name = configuration.node.name.clone();
    let notifier = Notifier::spawn(
        configuration.notify.clone(),
        name.clone(),
        clock.clone(),
        shutdown.clone(),
    );
    let in_group = bus.as_ref().map(|bus| GroupStart {
        session: bus.session,
        joined: state.load_joined().logged(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
    });
    let (voice, heard) = bus
        .map(|bus| Group::new(bus, stored.plan.clone(), clock.clone()))
        .map_or((None, None), |(voice, heard)| (Some(voice), Some(heard)));
    let controller = Controller::new(
        Start {
            configuration: configuration.clone(),
            digests,
            name,
            seed,
            stored,
            group: in_group,
        },
        clock.now(),
    );
    let shell = Shell::new(shell::Parts {
        controller,
        configuration,
        disk: Disk::spawn(state, clock.activity().clone()),
        plans,
        cause: cause.clone(),
        prober: Prober::new(),
        notifier,
        group: voice,
        clock: clock.clone(),
    });
    tokio::spawn(async move {
        shell.run(event_queue, command_queue, heard, shutdown).await;
        drop(running);
    });
    ControllerHandle::new(commands, events, plan, cause, ended, clock, counters)
}

#[cfg(test)]
mod tests;
