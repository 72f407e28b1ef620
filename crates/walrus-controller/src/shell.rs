//! The task that owns the core's Controller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use walrus_core::config::Configuration;
use walrus_core::control::{Controller, Effect, Input, ProbeOutcome, ProbeRequest};
use walrus_core::message::{Message, Role};
use walrus_core::plan::Plan;
use walrus_host::clock::{Busy, Clock};
use walrus_host::group::{GroupEvent, GroupEventKind, Reply};
use walrus_host::notify::Notifier;
use walrus_host::probe::Prober;
use walrus_host::shutdown::Shutdown;

use crate::disk::Disk;
use crate::handle::{Command, CommandKind, OverrideError};

/// Finished probes that wait for the task; beyond that their tasks wait, one a target.
const OUTCOMES_MAX: usize = 1024;
/// The task never looks at its deadlines more often than this, whatever they say.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// What the task works with.
pub(crate) struct Parts {
    pub(crate) controller: Controller,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) disk: Disk,
    pub(crate) plans: watch::Sender<Option<Arc<Plan>>>,
    pub(crate) prober: Prober,
    pub(crate) notifier: Notifier,
    pub(crate) clock: Clock,
}

/// The Controller's task.
pub(crate) struct Shell {
    parts: Parts,
    outcomes: mpsc::Sender<Outcome>,
    outcome_queue: mpsc::Receiver<Outcome>,
    /// The probe under way of each target; bounded by the targets there are.
    probes: BTreeMap<u32, AbortHandle>,
    /// An epoch in use that the disk would not take: tried again with each Plan.
    unstored_epoch: Option<u64>,
    /// When the overrides of the last command are on the disk.
    overrides_stored: Option<oneshot::Receiver<Result<(), String>>>,
}

struct Outcome {
    target: u32,
    outcome: ProbeOutcome,
    busy: Busy,
}

impl Shell {
    pub(crate) fn new(parts: Parts) -> Self {
        let (outcomes, outcome_queue) = mpsc::channel(OUTCOMES_MAX);
        Self {
            parts,
            outcomes,
            outcome_queue,
            probes: BTreeMap::new(),
            unstored_epoch: None,
            overrides_stored: None,
        }
    }

    /// Until shutdown; returns when all is stored. What arrives is taken in the order of the
    /// select: deadlines first, so that no flood of reports delays a round.
    pub(crate) async fn run(
        mut self,
        mut events: mpsc::Receiver<GroupEvent>,
        mut commands: mpsc::Receiver<Command>,
        shutdown: Shutdown,
    ) {
        let starting = self.parts.clock.activity().begin();
        self.carry_out().await;
        drop(starting);
        let clock = self.parts.clock.clone();
        loop {
            let (deadline, why) = self.parts.controller.next_deadline();
            let deadline = deadline.max(clock.now() + PAUSE_MIN);
            // Whoever is taken up holds its `Busy` until its effects are carried out.
            let mut handled = None;
            let awake = tokio::select! {
                biased;
                () = shutdown.requested() => break,
                awake = clock.sleep_until(deadline) => {
                    tracing::trace!(why, "the Controller wakes");
                    Some(awake)
                }
                Some(outcome) = self.outcome_queue.recv() => {
                    handled = Some(self.probed(outcome));
                    None
                }
                Some(command) = commands.recv() => {
                    self.command(command).await;
                    None
                }
                Some(event) = events.recv() => {
                    handled = Some(self.event(event));
                    None
                }
            };
            self.carry_out().await;
            drop((awake, handled));
        }
        self.parts.disk.finish().await;
    }

    /// All effects, in their order.
    async fn carry_out(&mut self) {
        while let Some(effect) = self.parts.controller.poll(self.parts.clock.now()) {
            match effect {
                Effect::StoreEpoch(epoch) => self.store_epoch(epoch).await,
                Effect::StoreOverrides(overrides) => {
                    self.overrides_stored = Some(self.parts.disk.overrides(overrides));
                }
                Effect::Publish(plan) => {
                    if let Some(epoch) = self.unstored_epoch {
                        self.store_epoch(epoch).await;
                    }
                    tracing::debug!(number = %plan.number, "a new Plan");
                    self.parts.disk.plan(plan.clone());
                    self.parts.plans.send_replace(Some(plan));
                }
                Effect::Probe(request) => self.probe(request),
                Effect::Notify(notice) => self.parts.notifier.tell(&notice),
                Effect::Journal(round) => {
                    let rounds = self.parts.configuration.control.journal_rounds;
                    self.parts.disk.journal(round, rounds);
                }
                Effect::Warn(line) => tracing::warn!("{line}"),
            }
        }
    }

    /// The one write that is waited for. If the disk refuses, the service goes on: the epoch may
    /// then be used again after a restart, until a Director says that it holds a Plan of it.
    async fn store_epoch(&mut self, epoch: u64) {
        self.unstored_epoch = self.parts.disk.epoch(epoch).await.is_err().then_some(epoch);
    }

    /// Starts a probe. One of the same target that is still waiting for its turn was given up by the
    /// core: it ends, or a prober that cannot keep up would gather ever more of them.
    fn probe(&mut self, request: ProbeRequest) {
        let (prober, outcomes) = (self.parts.prober.clone(), self.outcomes.clone());
        let busy = self.parts.clock.activity().begin();
        let target = request.target;
        let task = tokio::spawn(async move {
            let outcome = prober.execute(request).await;
            // Nobody listens any more after shutdown.
            let _ = outcomes.send(Outcome { target, outcome, busy }).await;
        });
        if let Some(given_up) = self.probes.insert(target, task.abort_handle()) {
            given_up.abort();
        }
    }

    fn probed(&mut self, outcome: Outcome) -> Busy {
        let Outcome { target, outcome, busy } = outcome;
        self.probes.remove(&target);
        self.tell(Input::Probed { target, outcome });
        busy
    }

    /// What nobody waits for an answer to. A refusal is no news: the core counts it.
    fn tell(&mut self, input: Input) {
        if let Err(refusal) = self.parts.controller.handle(self.parts.clock.now(), input) {
            tracing::debug!(%refusal, "an input was refused");
        }
    }

    fn event(&mut self, event: GroupEvent) -> Busy {
        let GroupEvent { kind, reply, busy } = event;
        match kind {
            GroupEventKind::Hello { role: Role::Reporter, name, session, .. } => {
                let hello = Input::ReporterHello { server: name, session };
                if let Err(refusal) = self.parts.controller.handle(self.parts.clock.now(), hello) {
                    tracing::debug!(%refusal, "a Reporter was refused");
                    reply.refuse(refusal.to_string());
                }
            }
            GroupEventKind::Gone { role: Role::Reporter, name, session } => {
                self.tell(Input::ReporterGone { server: name, session });
            }
            GroupEventKind::Message { message: Message::Report(report), .. } => {
                self.report(report, &reply);
            }
            // The listener lets none of these through; a local sender has no business with them.
            GroupEventKind::Hello { .. }
            | GroupEventKind::Gone { .. }
            | GroupEventKind::Message { .. } => {
                reply.refuse("only Reporters are heard here");
            }
        }
        busy
    }

    fn report(&mut self, report: walrus_core::world::Report, reply: &Reply) {
        let (session, sequence) = (report.session, report.sequence);
        match self.parts.controller.handle(self.parts.clock.now(), Input::Report(report)) {
            Ok(()) => reply.send(Message::Taken { session, sequence }),
            Err(refusal) => {
                tracing::debug!(%refusal, "a report was refused");
                reply.refuse(refusal.to_string())
            }
        };
    }

    async fn command(&mut self, command: Command) {
        let Command { kind, busy } = command;
        let now = self.parts.clock.now();
        // Whoever asked may have given up; then the answer is dropped.
        match kind {
            CommandKind::Status(reply) => {
                let unix_ms = self.parts.clock.unix_ms();
                let _ = reply.send(self.parts.controller.status(now, unix_ms));
            }
            CommandKind::Tell(input) => self.tell(input),
            CommandKind::DryRun(configuration, digests, reply) => {
                let _ = reply.send(self.parts.controller.dry_run(now, configuration, digests));
            }
            CommandKind::Reconfigure(configuration, digests, reply) => {
                self.parts.configuration = configuration.clone();
                self.parts.notifier.reconfigure(configuration.notify.clone());
                self.parts.controller.reconfigure(now, configuration, digests);
                self.carry_out().await;
                let _ = reply.send(());
            }
            CommandKind::SetOverride(input, reply) => {
                if let Err(refusal) = self.parts.controller.handle(now, input) {
                    let _ = reply.send(Err(OverrideError::Refused(refusal)));
                    return;
                }
                self.overrides_stored = None;
                self.carry_out().await;
                // The disk may take its time; the task does not wait for it.
                let stored = self.overrides_stored.take();
                tokio::spawn(async move {
                    let result = match stored {
                        // Nothing had to be stored: it was so already.
                        None => Ok(()),
                        Some(stored) => stored
                            .await
                            .unwrap_or_else(|_| Err("the disk is too slow".to_owned()))
                            .map_err(OverrideError::Unstored),
                    };
                    let _ = reply.send(result);
                    drop(busy);
                });
            }
        }
    }
}
