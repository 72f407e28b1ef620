//! The task that owns the core's Controller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use walrus_core::config::Configuration;
use walrus_core::control::{
    Controller, Effect, Input, ProbeOutcome, ProbeRequest, Refusal, ResolveRequest,
};
use walrus_core::message::{Message, Role};
use walrus_core::plan::Plan;
use walrus_core::world::{Name, Report, Time};
use walrus_host::bus::BusEvent;
use walrus_host::clock::{Busy, Clock};
use walrus_host::foreign_clocks::ForeignClocks;
use walrus_host::group::{GroupEvent, GroupEventKind, Reply};
use walrus_host::log::{Limited, chain};
use walrus_host::notify::Notifier;
use walrus_host::probe::Prober;
use walrus_host::resolve::resolve;
use walrus_host::shutdown::Shutdown;

use crate::disk::Disk;
use crate::group::{self, Group, Heard, Queues, Told};
use crate::handle::{Command, CommandKind, OverrideError, PlanCause};

/// Finished probes that wait for the task; beyond that their tasks wait, one a target.
const OUTCOMES_MAX: usize = 1024;
/// What others cause at will is told of in the log no more often than this.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// The task never looks at its deadlines more often than this, whatever they say.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// What waits in the queues is taken in before silence is judged, but no more than this: no flood
/// of reports delays a round.
const INPUTS_MAX: usize = 4096;
/// Who wakes so long after a deadline was stopped as a whole (SIGSTOP, a suspended machine).
const STOPPED: Duration = Duration::from_secs(1);

/// What the task works with.
pub(crate) struct Parts {
    pub(crate) controller: Controller,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) disk: Disk,
    pub(crate) plans: watch::Sender<Option<Arc<Plan>>>,
    pub(crate) cause: PlanCause,
    pub(crate) prober: Prober,
    pub(crate) notifier: Notifier,
    pub(crate) group: Option<Group>,
    pub(crate) clock: Clock,
}

/// The Controller's task.
pub(crate) struct Shell {
    parts: Parts,
    outcomes: mpsc::Sender<Outcome>,
    outcome_queue: mpsc::Receiver<Outcome>,
    /// The probe under way of each target; bounded by the targets there are.
    probes: BTreeMap<u32, AbortHandle>,
    /// When the task wants to wake at the latest.
    due: Time,
    /// When what is handled now was taken in.
    taken_at: Time,
    /// An epoch in use that the disk would not take: tried again with each Plan.
    unstored_epoch: Option<u64>,
    refusals: Limited,
    /// Reporters' clocks that are off.
    clocks: ForeignClocks,
    /// Probes that found nothing out.
    unprobed: Limited,
    /// When the overrides of the last command are on the disk.
    overrides_stored: Option<oneshot::Receiver<Result<(), String>>>,
}

/// What another task found out.
struct Outcome {
    found: Found,
    busy: Busy,
}

enum Found {
    Probed {
        target: u32,
        outcome: ProbeOutcome,
    },
    /// What to tell the core.
    Resolved(Box<Input>),
}

impl Shell {
    pub(crate) fn new(parts: Parts) -> Self {
        let (outcomes, outcome_queue) = mpsc::channel(OUTCOMES_MAX);
        Self {
            due: parts.clock.now(),
            taken_at: parts.clock.now(),
            parts,
            outcomes,
            outcome_queue,
            probes: BTreeMap::new(),
            unstored_epoch: None,
            refusals: Limited::new(TOLD_EVERY),
            clocks: ForeignClocks::default(),
            unprobed: Limited::new(TOLD_EVERY),
            overrides_stored: None,
        }
    }

    /// Until shutdown; returns when all is stored. Deadlines come first, so that no flood of
    /// reports delays a round; but what had arrived by then is taken in before silence is judged.
    pub(crate) async fn run(
        mut self,
        mut events: mpsc::Receiver<GroupEvent>,
        mut commands: mpsc::Receiver<Command>,
        mut group: Option<Queues>,
        shutdown: Shutdown,
    ) {
        let starting = self.parts.clock.activity().begin();
        self.carry_out().await;
        drop(starting);
        let clock = self.parts.clock.clone();
        loop {
            let (deadline, why) = self.parts.controller.next_deadline();
            self.due = deadline.max(clock.now() + PAUSE_MIN);
            // Whoever is taken up holds its `Busy` until its effects are carried out.
            let mut handled = Vec::new();
            let mut awake = None;
            tokio::select! {
                biased;
                () = shutdown.requested() => break,
                woken = clock.sleep_until(self.due) => {
                    tracing::trace!(why, "the Controller wakes");
                    awake = Some(woken);
                    self.note_time();
                    self.take_in(&mut events, &mut group, &mut handled);
                }
                Some(outcome) = self.outcome_queue.recv() => {
                    self.note_time();
                    handled.push(self.found(outcome));
                }
                Some(command) = commands.recv() => {
                    self.note_time();
                    self.command(command).await;
                }
                Some(event) = events.recv() => {
                    self.note_time();
                    handled.push(self.event(event));
                }
                heard = group::next(&mut group) => {
                    self.note_time();
                    handled.extend(self.heard(heard));
                }
            }
            self.carry_out().await;
            drop((awake, handled));
        }
        // The others need not wait for its silence.
        self.parts.controller.leave(clock.now());
        self.carry_out().await;
        self.parts.disk.finish().await;
    }

    /// To be called before anything is taken in. If the whole process was stopped, what was said
    /// meanwhile still waits in sockets, and the other tasks have only just woken, too.
    fn note_time(&mut self) {
        let now = self.parts.clock.now();
        self.taken_at = now;
        let late = now.since(self.due);
        if late > STOPPED {
            tracing::warn!(seconds = late.as_secs_f64(), "this process stood still");
            self.parts.controller.stood_still(now);
        }
    }

    /// What waits in the queues, up to [`INPUTS_MAX`].
    fn take_in(
        &mut self,
        events: &mut mpsc::Receiver<GroupEvent>,
        group: &mut Option<Queues>,
        handled: &mut Vec<Busy>,
    ) {
        for _ in 0..INPUTS_MAX {
            if let Ok(outcome) = self.outcome_queue.try_recv() {
                handled.push(self.found(outcome));
            } else if let Ok(event) = events.try_recv() {
                handled.push(self.event(event));
            } else if let Some(heard) = group::waiting(group) {
                handled.extend(self.heard(heard));
            } else {
                return;
            }
        }
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
                    if let Some(group) = &mut self.parts.group {
                        group.publish(&plan);
                    }
                    self.give(plan);
                }
                Effect::Probe(request) => self.probe(request),
                Effect::Resolve(request) => self.resolve(request),
                Effect::Notify(notice) => {
                    // In the log as well: not everybody has a webhook.
                    if notice.recovered {
                        tracing::info!("over: {}", notice.text);
                    } else {
                        tracing::warn!("{}", notice.text);
                    }
                    self.parts.notifier.tell(&notice);
                }
                Effect::Journal(mut round) => {
                    round.unix_ms = Some(self.parts.clock.unix_ms());
                    let rounds = self.parts.configuration.control.journal_rounds;
                    self.parts.disk.journal(round.to_line(), rounds);
                }
                Effect::Warn(line) => tracing::warn!("{line}"),
                Effect::StoreJoined(joined) => {
                    // Without it a restart joins behind the others, and no more is lost.
                    let _ = self.parts.disk.joined(joined).await;
                }
                Effect::Adopt(plan) => {
                    tracing::debug!(number = %plan.number, "another Controller's Plan");
                    if let Some(group) = &mut self.parts.group {
                        group.adopt(&plan);
                    }
                    self.give(plan);
                }
                Effect::SendPlan(plan) => {
                    if let Some(group) = &self.parts.group {
                        group.send_whole(plan);
                    }
                }
                Effect::Say(message) => {
                    if let Some(group) = &self.parts.group {
                        group.say(message);
                    }
                }
            }
        }
    }

    /// To the name server, and beside that to the disk.
    fn give(&mut self, plan: Arc<Plan>) {
        self.parts.disk.plan(plan.clone());
        self.parts.cause.set(self.taken_at);
        self.parts.plans.send_replace(Some(plan));
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
            let found = Found::Probed { target, outcome };
            let _ = outcomes.send(Outcome { found, busy }).await;
        });
        if let Some(given_up) = self.probes.insert(target, task.abort_handle()) {
            given_up.abort();
        }
    }

    /// Starts a resolution. The core asks for a name again only when its last resolution has ended
    /// or must have: there are at most as many as aliases.
    fn resolve(&self, request: ResolveRequest) {
        let outcomes = self.outcomes.clone();
        let busy = self.parts.clock.activity().begin();
        tokio::spawn(async move {
            let outcome = resolve(&request).await.map_err(|error| chain(&error));
            let ended = Input::Resolved { target: request.target, outcome };
            let found = Found::Resolved(Box::new(ended));
            let _ = outcomes.send(Outcome { found, busy }).await;
        });
    }

    fn found(&mut self, outcome: Outcome) -> Busy {
        let Outcome { found, busy } = outcome;
        match found {
            Found::Probed { target, outcome } => self.probed(target, outcome),
            Found::Resolved(ended) => self.tell(*ended),
        }
        busy
    }

    fn probed(&mut self, target: u32, outcome: ProbeOutcome) {
        self.probes.remove(&target);
        if let ProbeOutcome::Unknown(reason) = &outcome
            && let Some(left_out) = self.unprobed.pass()
        {
            tracing::error!(reason, left_out, "servers cannot be probed from this machine");
        }
        self.tell(Input::Probed { target, outcome });
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
                    self.refuse(&refusal, &reply);
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

    fn heard(&mut self, heard: Heard) -> Option<Busy> {
        let BusEvent { envelope, busy } = match heard {
            Heard::Plan(plan) => {
                self.tell(Input::PlanHeard(plan));
                return None;
            }
            Heard::Connected => {
                self.parts.controller.connected(self.parts.clock.now());
                return None;
            }
            Heard::Event(event) => event,
        };
        let told = self.parts.group.as_ref().and_then(|group| group.take(envelope));
        match told {
            Some(Told::Report(report)) => self.report_over_bus(report),
            Some(Told::Input(input)) => self.tell(input),
            None => {}
        }
        Some(busy)
    }

    /// All Controllers hear it; the master answers.
    fn report_over_bus(&mut self, report: Report) {
        let (server, session, sequence) = (report.server.clone(), report.session, report.sequence);
        let sent_unix_ms = report.sent_unix_ms;
        let taken = self.parts.controller.handle(self.parts.clock.now(), Input::Report(report));
        if taken.is_ok() {
            self.look_at_clock(&server, sent_unix_ms);
        }
        let Some(group) = self.parts.group.as_ref().filter(|_| self.parts.controller.is_master())
        else {
            return;
        };
        let answer = match taken {
            Ok(()) => Message::Taken { session, sequence },
            Err(refusal) => {
                if let Some(left_out) = self.refusals.pass() {
                    tracing::warn!(%refusal, left_out, "a Reporter was refused");
                }
                Message::Refused { reason: refusal.to_string() }
            }
        };
        group.answer(server, answer);
    }

    /// Tells of a Reporter whose clock is off.
    fn look_at_clock(&mut self, server: &Name, sent_unix_ms: u64) {
        let (unix_ms, now) = (self.parts.clock.unix_ms(), self.parts.clock.now());
        let line = self.clocks.note(|| format!("reporter {server}"), sent_unix_ms, unix_ms, now);
        if let Some(line) = line {
            tracing::warn!("{line}");
        }
    }

    fn report(&mut self, report: Report, reply: &Reply) {
        let (session, sequence) = (report.session, report.sequence);
        let (server, sent_unix_ms) = (report.server.clone(), report.sent_unix_ms);
        match self.parts.controller.handle(self.parts.clock.now(), Input::Report(report)) {
            Ok(()) => {
                self.look_at_clock(&server, sent_unix_ms);
                reply.send(Message::Taken { session, sequence });
            }
            Err(refusal) => self.refuse(&refusal, reply),
        }
    }

    /// Says why a Reporter is refused, to it and, now and then, to whoever reads the log here: it may
    /// be this side's configuration that lacks something.
    fn refuse(&self, refusal: &Refusal, reply: &Reply) {
        if let Some(left_out) = self.refusals.pass() {
            tracing::warn!(%refusal, left_out, "a Reporter was refused");
        }
        reply.refuse(refusal.to_string());
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
            CommandKind::ServerStatus(server, reply) => {
                let unix_ms = self.parts.clock.unix_ms();
                let _ = reply.send(self.parts.controller.status_of(&server, now, unix_ms));
            }
            CommandKind::Tell(input) => self.tell(input),
            CommandKind::DryRun(configuration, digests, reply) => {
                let _ = reply.send(self.parts.controller.dry_run(now, configuration, digests));
            }
            CommandKind::PlanAhead(configuration, digests, reply) => {
                let _ = reply.send(self.parts.controller.plan_ahead(now, configuration, digests));
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
