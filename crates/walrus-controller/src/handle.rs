//! What the rest of the process can ask of a running Controller.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};
use walrus_core::config::Configuration;
use walrus_core::control::{Input, Refusal, ServerStatus, Status};
use walrus_core::message::{KeptNameServers, RefusedPlan};
use walrus_core::plan::{Digests, Plan, PlanNumber};
use walrus_core::world::{Name, Observation, OverrideState, Target, Time};
use walrus_host::clock::{Busy, Clock};
use walrus_host::group::{GroupCounters, GroupEvent};

/// A running Controller. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ControllerHandle {
    commands: mpsc::Sender<Command>,
    events: mpsc::Sender<GroupEvent>,
    plan: watch::Receiver<Option<Arc<Plan>>>,
    cause: PlanCause,
    ended: watch::Receiver<()>,
    clock: Clock,
    group: Option<Arc<GroupCounters>>,
}

/// When what led to the newest Plan was taken in; told before the Plan is.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlanCause(Arc<Mutex<Option<Time>>>);

impl PlanCause {
    pub(crate) fn set(&self, taken_at: Time) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken_at);
    }

    fn get(&self) -> Option<Time> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thing asked of the Controller's task.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) kind: CommandKind,
    /// Keeps a manual clock still until the command is carried out.
    pub(crate) busy: Busy,
}

#[derive(Debug)]
pub(crate) enum CommandKind {
    Status(oneshot::Sender<Status>),
    ServerStatus(Name, oneshot::Sender<Option<ServerStatus>>),
    /// Refusals are logged: there is nobody to tell.
    Tell(Input),
    SetOverride(Input, oneshot::Sender<Result<(), OverrideError>>),
    DryRun(Arc<Configuration>, Digests, oneshot::Sender<Plan>),
    PlanAhead(Arc<Configuration>, Digests, oneshot::Sender<Plan>),
    Reconfigure(Arc<Configuration>, Digests, oneshot::Sender<()>),
}

impl ControllerHandle {
    pub(crate) const fn new(
        commands: mpsc::Sender<Command>,
        events: mpsc::Sender<GroupEvent>,
        plan: watch::Receiver<Option<Arc<Plan>>>,
        cause: PlanCause,
        ended: watch::Receiver<()>,
        clock: Clock,
        group: Option<Arc<GroupCounters>>,
    ) -> Self {
        Self { commands, events, plan, cause, ended, clock, group }
    }

    /// The Plan in force, and each that follows; `None` until there is one.
    #[must_use]
    pub fn plan(&self) -> watch::Receiver<Option<Arc<Plan>>> {
        self.plan.clone()
    }

    /// When the Controller took in what led to the newest Plan (a report, the outcome of a probe, a
    /// drain, the time for a round); `None` before the first of this run.
    #[must_use]
    pub fn plan_cause(&self) -> Option<Time> {
        self.cause.get()
    }

    /// Where a Reporter in this process sends its events (`walrus_host::link::Link::local`).
    #[must_use]
    pub fn events(&self) -> mpsc::Sender<GroupEvent> {
        self.events.clone()
    }

    /// What the group's listener counted; `None` without one.
    #[must_use]
    pub fn group(&self) -> Option<&GroupCounters> {
        self.group.as_deref()
    }

    /// All that is known now.
    ///
    /// # Errors
    /// If the Controller ended.
    pub async fn status(&self) -> Result<Status, ControllerGone> {
        self.ask(CommandKind::Status).await
    }

    /// All that is known of one server; `None` if there is none of this name.
    ///
    /// # Errors
    /// If the Controller ended.
    pub async fn server_status(
        &self,
        server: Name,
    ) -> Result<Option<ServerStatus>, ControllerGone> {
        self.ask(|reply| CommandKind::ServerStatus(server, reply)).await
    }

    /// Drains a target or takes that back. When this returns the override is in force and on the
    /// disk. `force` drains even the last usable server of a service; `by` is the operator, if it is known
    /// which.
    ///
    /// # Errors
    /// If it is refused or could not be written down, or the Controller ended.
    pub async fn set_override(
        &self,
        target: Target,
        state: OverrideState,
        force: bool,
        by: Option<Name>,
    ) -> Result<(), OverrideError> {
        let unix_ms = self.clock.unix_ms();
        let input = Input::SetOverride { target, state, force, unix_ms, by };
        self.ask(|reply| CommandKind::SetOverride(input, reply)).await?
    }

    /// The Plan that another configuration would give now; nothing changes by asking.
    ///
    /// # Errors
    /// If the Controller ended.
    pub async fn dry_run(
        &self,
        configuration: Arc<Configuration>,
        digests: Digests,
    ) -> Result<Plan, ControllerGone> {
        self.ask(|reply| CommandKind::DryRun(configuration, digests, reply)).await
    }

    /// The Plan with which [`Self::reconfigure`] would take over now, under the number of the one in
    /// force; nothing changes by asking.
    ///
    /// # Errors
    /// If the Controller ended.
    pub async fn plan_ahead(
        &self,
        configuration: Arc<Configuration>,
        digests: Digests,
    ) -> Result<Plan, ControllerGone> {
        self.ask(|reply| CommandKind::PlanAhead(configuration, digests, reply)).await
    }

    /// Puts another checked configuration in force. When this returns, the Plan for it is given
    /// out. Listening addresses and certificates stay as they are until a restart.
    ///
    /// # Errors
    /// If the Controller ended.
    pub async fn reconfigure(
        &self,
        configuration: Arc<Configuration>,
        digests: Digests,
    ) -> Result<(), ControllerGone> {
        self.ask(|reply| CommandKind::Reconfigure(configuration, digests, reply)).await
    }

    /// Passes on what a Director saw.
    ///
    /// # Errors
    /// If the Controller ended.
    pub async fn observe(
        &self,
        director: Name,
        observation: Observation,
    ) -> Result<(), ControllerGone> {
        self.send(CommandKind::Tell(Input::Observed { director, observation })).await
    }

    /// A Director says which Plan it answers from, and which came that it refuses; an epoch above the Controller's own makes it go on
    /// above that one.
    ///
    /// # Errors
    /// If the Controller ended.
    pub async fn director_hello(
        &self,
        director: Name,
        plan: Option<PlanNumber>,
        refused: Option<RefusedPlan>,
    ) -> Result<(), ControllerGone> {
        let hello = Input::DirectorHello { director, plan, refused, marks: None };
        self.send(CommandKind::Tell(hello)).await
    }

    /// The highest Plan number that name servers which this node keeps up to date are marked with; one above the
    /// Controller's own makes it go on above that one.
    ///
    /// # Errors
    /// If the Controller ended.
    pub async fn marks_seen(&self, highest: PlanNumber) -> Result<(), ControllerGone> {
        self.send(CommandKind::Tell(Input::MarksSeen(highest))).await
    }

    /// What the name servers have that this node keeps up to date.
    ///
    /// # Errors
    /// If the Controller ended.
    pub async fn name_servers(
        &self,
        node: Name,
        kept: KeptNameServers,
    ) -> Result<(), ControllerGone> {
        self.send(CommandKind::Tell(Input::NameServers { node, kept })).await
    }

    /// Waits until all queues are empty and nothing is under way: for a manual clock, and for
    /// tests.
    pub async fn settle(&self) {
        self.clock.activity().settled().await;
    }

    /// Waits until the Controller has ended (after shutdown) and all it had to store is stored.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> CommandKind,
    ) -> Result<T, ControllerGone> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply)).await?;
        answer.await.map_err(|_| ControllerGone)
    }

    async fn send(&self, kind: CommandKind) -> Result<(), ControllerGone> {
        let busy = self.clock.activity().begin();
        self.commands.send(Command { kind, busy }).await.map_err(|_| ControllerGone)
    }
}

/// The Controller of this process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Controller has ended")]
pub struct ControllerGone;

/// Why an override is not in force, or not for good.
#[derive(Debug, thiserror::Error)]
pub enum OverrideError {
    /// The Controller refuses it; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It is in force, but until the disk takes it (it is tried again) a restart would forget it.
    #[error("it is in force, but not yet written down, so that a restart would forget it: {0}")]
    Unstored(String),
    /// Nobody to ask.
    #[error(transparent)]
    Gone(#[from] ControllerGone),
}
