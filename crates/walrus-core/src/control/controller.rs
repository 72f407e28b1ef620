//! The Controller: inputs and time in, effects out.
//!
//! It works at two speeds (thesis 6; the mapping system of "Algorithmic Nuggets" likewise). What
//! dies, drains or returns leads to a decision at once, in which only what must move moves. All
//! else, balancing above all, waits for the round. Events of the same instant make one decision,
//! and decisions for events are at least a tenth of a second apart, so that nobody who reports
//! can make a Plan per message.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::aliases::Aliases;
use super::cut_off::CutOff;
use super::demand::Demand;
use super::journal::Demands;
use super::marks::Marks;
use super::mastership::Hearing;
use super::membership::{GroupStart, Membership};
use super::moves::Moves;
use super::notices::Notices;
use super::numbering::Numbering;
use super::probes::Probes;
use super::servers::{Judge, Servers};
use super::silence::LastHeard;
use super::told::ToldDemand;
use super::vantage::{Teller, Vantage};
use super::{Counters, Effect, Input, NoticeKind, Refusal};
use crate::config::Configuration;
use crate::plan::{Cause, Digests, LastUsable, Memory, Plan, PlanNumber};
use crate::world::{Condition, Life, Name, Overrides, ServerId, Time, Topology};

/// The shortest time between two decisions for events.
pub(super) const EVENTS_APART: Duration = Duration::from_millis(100);

/// The shortest round, whatever is configured: no loop without a bound.
const ROUND_MIN: Duration = Duration::from_millis(100);

/// What a Controller starts from.
#[derive(Clone, Debug)]
pub struct Start {
    /// The checked configuration.
    pub configuration: Arc<Configuration>,
    /// What Plans are made for.
    pub digests: Digests,
    /// This Controller; unique among Controllers.
    pub name: Name,
    /// Spreads probes in time; any number.
    pub seed: u64,
    /// What the state directory holds.
    pub stored: Stored,
    /// Its place in a group of Controllers; `None` if it is alone, and so always master.
    pub group: Option<GroupStart>,
}

/// What survives a restart.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The highest epoch ever used here; 0 if none.
    pub epoch: u64,
    /// What operators said.
    pub overrides: Overrides,
    /// The Plan in force when the Controller ended.
    pub plan: Option<Arc<Plan>>,
}

/// The Controller. See the [module](super) for the rule of its use.
#[derive(Clone, Debug)]
pub struct Controller {
    pub(super) configuration: Arc<Configuration>,
    pub(super) digests: Digests,
    pub(super) name: Name,
    pub(super) overrides: Overrides,
    pub(super) servers: Servers,
    pub(super) probes: Probes,
    /// How several nodes see the servers, this one among them.
    pub(super) vantage: Vantage,
    pub(super) teller: Teller,
    pub(super) aliases: Aliases,
    /// The topology with the addresses of aliases, if it has any.
    pub(super) resolved: Option<Topology>,
    pub(super) demand: Demand,
    pub(super) moves: Moves,
    pub(super) told: ToldDemand,
    /// Who asks as the journal's last lines tell it.
    pub(super) journalled: Demands,
    pub(super) notices: Notices,
    pub(super) counters: Counters,
    pub(super) plan: Option<Arc<Plan>>,
    pub(super) next_round: Time,
    pub(super) numbering: Numbering,
    pub(super) marks: Marks,
    pub(super) memory: Memory,
    pub(super) last_heard: LastHeard,
    pub(super) hearing: Hearing,
    pub(super) cut_off: CutOff,
    /// `None` if it is alone.
    pub(super) group: Option<Membership>,
    pub(super) effects: VecDeque<Effect>,
    pub(super) warnings: Vec<String>,
    /// Overrides changed and are to be written down.
    pub(super) overrides_unstored: bool,
    /// Something died, drained or returned since the last decision.
    pub(super) event: bool,
    pub(super) event_not_before: Time,
    /// What is to be told to people may have changed since that was looked at.
    pub(super) problems_stale: bool,
    /// When the next step of a server's return or of an area's way home is due.
    pub(super) next_step: Option<Time>,
    pub(super) now: Time,
}

impl Controller {
    /// A Controller that begins now. Its first polls store the new epoch and publish a Plan: where
    /// the stored one points, as far as nothing speaks against it, else every area's home.
    #[must_use]
    pub fn new(start: Start, now: Time) -> Self {
        let Start { configuration, digests, name, seed, stored, group } = start;
        let Stored { epoch, overrides, plan } = stored;
        let memory = plan.as_ref().map_or_else(Memory::default, |plan| {
            Memory::from_plan(&configuration.topology, plan, now)
        });
        let planned = plan.as_ref().map(|plan| plan.number.epoch);
        let is_of_peer = plan.as_ref().is_some_and(|plan| plan.number.controller != name);
        let (numbering, cut_off) = if group.is_some() {
            let held = plan.as_ref().map(|plan| plan.number.clone());
            let had_peers = is_of_peer.then_some(now);
            (Numbering::standby(name.clone(), epoch, held), CutOff::new(had_peers))
        } else {
            let seen = planned.into_iter().chain([epoch]);
            (Numbering::new(name.clone(), seen), CutOff::default())
        };
        let detection = configuration.control.detection;
        let join = |group| Membership::new(group, detection, &overrides, now);
        let mut vantage = Vantage::new(name.clone());
        if group.is_some() {
            vantage.gather(now);
        }
        let mut controller = Self {
            numbering,
            marks: Marks::new(now),
            cut_off,
            group: group.map(join),
            next_round: now + configuration.control.round.max(ROUND_MIN),
            configuration: configuration.clone(),
            digests,
            name,
            overrides,
            servers: Servers::default(),
            probes: Probes::new(seed),
            vantage,
            teller: Teller::new(now),
            aliases: Aliases::default(),
            resolved: None,
            demand: Demand::default(),
            moves: Moves::new(now),
            told: ToldDemand::new(plan.as_deref(), now),
            journalled: Demands::default(),
            notices: Notices::new(configuration.notify.again, now),
            counters: Counters::default(),
            plan,
            last_heard: LastHeard::new(&memory, now),
            memory,
            hearing: Hearing::default(),
            effects: VecDeque::new(),
            warnings: Vec::new(),
            overrides_unstored: false,
            event: true,
            event_not_before: now,
            problems_stale: true,
            next_step: None,
            now,
        };
        controller.retarget(&configuration);
        controller
    }

    /// Takes in one thing that happened.
    ///
    /// # Errors
    /// If it is refused, for the reason given; nothing changed then.
    pub fn handle(&mut self, now: Time, input: Input) -> Result<(), Refusal> {
        self.now = self.now.max(now);
        match input {
            Input::Report(report) => self.report(report),
            Input::ReporterHello { server, session } => {
                self.reporter_server(&server).map(|id| self.reporter_hello(id, session))
            }
            Input::ReporterGone { server, session } => {
                self.reporter_server(&server).map(|id| self.reporter_gone(id, session))
            }
            Input::Probed { target, outcome } => self.probed(target, outcome),
            Input::Resolved { target, outcome } => {
                self.resolution_ended(&target, outcome);
                Ok(())
            }
            Input::Observed { director, observation } => self.observed(director, &observation),
            Input::DirectorHello { director, plan, refused, marks } => {
                self.director_hello(director, plan, refused, marks)
            }
            Input::MarksSeen(number) => self.marks_seen(number),
            Input::NameServers { node, kept } => self.name_servers(&node, kept),
            Input::SetOverride { target, state, force, unix_ms, by } => {
                self.set_override(target, state, force, (unix_ms, by))
            }
            Input::MergeOverride { target, entry } => self.merge_override(target, entry),
            Input::Presence { name, session, presence } => self.presence(name, session, presence),
            Input::PlanHeard(plan) => self.plan_heard(plan),
            Input::PlanWanted { name, held } => self.plan_wanted(name, held),
            Input::Overrides { from, entries } => self.overrides(&from, entries),
            Input::Sights { role, name, session, sights } => {
                self.sights((role, name, session), sights)
            }
        }
    }

    /// Puts another checked configuration in force, keeping what is known of servers that stay.
    /// The Plan for it is published by the next poll.
    pub fn reconfigure(&mut self, now: Time, configuration: Arc<Configuration>, digests: Digests) {
        self.now = self.now.max(now);
        let old = std::mem::replace(&mut self.configuration, configuration);
        self.digests = digests;
        self.memory = self.memory.carry(&old.topology, &self.configuration.topology);
        self.last_heard = self.last_heard.carry(&old.topology, &self.configuration.topology);
        self.next_round = self.next_round.min(self.now + self.round());
        self.retarget(&old);
        self.take_back_sights();
        let configuration = self.configuration.clone();
        let topology = &configuration.topology;
        self.notices.retain(|kind, subject| match kind {
            NoticeKind::Panic | NoticeKind::Dead => topology.server(subject).is_some(),
            NoticeKind::NobodyFunctions => {
                subject.parse().is_ok_and(|name| topology.service(&name).is_some())
            }
        });
        self.notices.set_again(configuration.notify.again);
        self.reconfigure_group();
        self.event = true;
        self.event_not_before = self.now;
        self.problems_stale = true;
    }

    /// To be called first of all when the whole process stood still until now (SIGSTOP, a suspended
    /// machine): what was said meanwhile has yet to be heard. As at the start, nobody counts as
    /// dead for silence before one full detection time has passed, and the next round waits until
    /// loads are known again.
    pub fn stood_still(&mut self, now: Time) {
        self.now = self.now.max(now);
        let configuration = self.configuration.clone();
        self.vantage.hear_anew(self.now);
        self.servers.hear_anew(&judge(&configuration, &self.overrides, &self.vantage, self.now));
        self.hear_group_anew();
        self.next_round = self.now + self.round();
    }

    /// The next thing to do, if any is due. Call until `None`.
    pub fn poll(&mut self, now: Time) -> Option<Effect> {
        self.now = self.now.max(now);
        if self.effects.is_empty() {
            self.advance();
        }
        self.effects.pop_front()
    }

    /// When to call [`Self::poll`] next if nothing happens before, and why.
    #[must_use]
    pub fn next_deadline(&self) -> (Time, &'static str) {
        let waiting = !self.effects.is_empty()
            || !self.warnings.is_empty()
            || self.overrides_unstored
            || self.problems_stale
            || self.numbering.is_unstored();
        let candidates = [
            (waiting.then_some(self.now), "effects wait"),
            (self.event.then_some(self.event_not_before), "something died, drained or returned"),
            (self.probes.next_wake(), "a probe"),
            (self.aliases.next_wake(), "an alias"),
            (self.servers.next_judgement(), "a server's silence"),
            (self.next_step, "a server's return or an area's way home"),
            (self.notices.next(), "a notice"),
            (self.next_of_group(), "the group"),
            (self.next_of_marks(), "a name server's mark"),
            (self.next_of_vantage(), "what vantage points see"),
        ];
        candidates.into_iter().filter_map(|(at, why)| Some((at?, why))).fold(
            (self.next_round, "round"),
            |first, other| if other.0 < first.0 { other } else { first },
        )
    }

    /// The Plan that another configuration would give in a round now, against all that is known;
    /// nothing changes by asking. Its number is that of the Plan in force.
    #[must_use]
    pub fn dry_run(&self, now: Time, configuration: Arc<Configuration>, digests: Digests) -> Plan {
        let mut copy = self.clone();
        copy.reconfigure(now, configuration, digests);
        copy.judge_due();
        copy.weigh_silence();
        copy.world(Cause::Round).decide(&copy, self.number()).0
    }

    /// The Plan with which another configuration would be taken over now, by [`Self::reconfigure`] and
    /// the next poll; nothing changes by asking. Its number is that of the Plan in force, so that the
    /// one that follows takes its place. For Directors that must not be without one in between.
    /// A standby whose master's Plan was made for that configuration already gives that one: a number names one Plan.
    #[must_use]
    pub fn plan_ahead(
        &self,
        now: Time,
        configuration: Arc<Configuration>,
        digests: Digests,
    ) -> Plan {
        let is_for_it = |plan: &&Arc<Plan>| plan.digests.name_the_same(&digests);
        if let Some(adopted) = self.plan.as_ref().filter(|_| !self.is_master()).filter(is_for_it) {
            return Plan::clone(adopted);
        }
        let mut copy = self.clone();
        copy.reconfigure(now, configuration, digests);
        copy.judge_due();
        copy.weigh_silence();
        copy.world(Cause::Event).decide(&copy, self.number()).0
    }

    /// The number of the Plan in force: the last that was published, or a standby's last that it adopted.
    #[must_use]
    pub fn number(&self) -> PlanNumber {
        let adopted = self.plan.as_ref().filter(|_| !self.is_master());
        adopted.map_or_else(|| self.numbering.current(), |plan| plan.number.clone())
    }

    /// Does all that is due now, once; the effects of it wait to be polled.
    fn advance(&mut self) {
        self.wake_probes();
        self.wake_aliases();
        self.attend_vantage();
        self.judge_due();
        if self.next_step.is_some_and(|at| at <= self.now) {
            self.next_step = None;
            self.event = true;
        }
        self.attend_group();
        self.attend_marks();
        if let Some(epoch) = self.numbering.take_unstored() {
            self.effects.push_back(Effect::StoreEpoch(epoch));
        }
        if std::mem::take(&mut self.overrides_unstored) {
            self.effects.push_back(Effect::StoreOverrides(self.overrides.clone()));
        }
        for warning in self.warnings.drain(..) {
            self.effects.push_back(Effect::Warn(warning));
        }
        if self.next_round <= self.now {
            // Rounds that were slept through are not made up for.
            while self.next_round <= self.now {
                self.next_round += self.round().max(self.now.since(self.next_round));
            }
            self.counters.rounds += 1;
            self.decide(Cause::Round);
        } else if self.event && self.event_not_before <= self.now {
            self.counters.events += 1;
            self.decide(Cause::Event);
        }
        self.notify();
        self.say_sights();
        self.say_presence();
    }

    fn judge_due(&mut self) {
        let configuration = self.configuration.clone();
        let judge = judge(&configuration, &self.overrides, &self.vantage, self.now);
        if self.servers.judge_due(&judge) {
            self.event = true;
            self.problems_stale = true;
        }
    }

    fn notify(&mut self) {
        if std::mem::take(&mut self.problems_stale) {
            self.notices.set(self.problems(), self.now);
        }
        while let Some(notice) = self.notices.take(self.now) {
            self.tell(notice);
        }
    }

    pub(super) fn judge(&mut self, id: ServerId) {
        let configuration = self.configuration.clone();
        let judge = judge(&configuration, &self.overrides, &self.vantage, self.now);
        if self.servers.judge(id, &judge) {
            self.event = true;
            self.problems_stale = true;
        }
    }

    /// Brings all that hangs on the topology to the configuration in force.
    fn retarget(&mut self, old: &Configuration) {
        let configuration = self.configuration.clone();
        if configuration.node.probes {
            self.probes.retarget(&configuration.topology, self.now);
        } else {
            self.probes.stop();
        }
        let silence = configuration.control.sights_last;
        let topologies = (&old.topology, &configuration.topology);
        self.vantage.retarget(topologies, &self.probes, silence, self.now);
        self.teller.forget();
        let judge = judge(&configuration, &self.overrides, &self.vantage, self.now);
        self.servers.retarget(&judge, &self.probes, &self.name, self.plan.as_deref());
        self.servers.judge_all(&judge);
        self.demand.retarget(&old.topology, &configuration.topology);
        self.told.renew_all(&mut self.demand, &configuration.topology, self.now);
        self.aliases.retarget(&configuration.topology, self.plan.as_deref(), self.now);
        self.resolved = self.aliases.resolve(&configuration.topology);
    }

    fn round(&self) -> Duration {
        self.configuration.control.round.max(ROUND_MIN)
    }

    /// A server's condition, unknown while it stands for an alias without addresses.
    pub(super) fn with_alias(&self, id: ServerId, condition: Condition) -> Condition {
        if condition.life == Life::Living && self.aliases.unresolved(id).is_some() {
            Condition::out(Life::Unknown, "its name is not resolved yet")
        } else {
            condition
        }
    }

    /// For which services nobody functions, by the last decision.
    pub(super) fn nobody(&self) -> &[bool] {
        &self.memory.nobody
    }

    /// Whether a service, by its place, was ever answered with servers that functioned.
    pub(super) fn was_usable(&self, service: usize) -> bool {
        let areas = self.configuration.topology.areas.len();
        let usable = self.memory.usable.get(service * areas..(service + 1) * areas);
        let is_some = |last: &LastUsable| last.ipv4.or(last.ipv6).or(last.hosts).is_some();
        usable.is_some_and(|usable| usable.iter().any(is_some))
    }

    /// How servers are judged now.
    pub(super) fn judge_at(&self, now: Time) -> Judge<'_> {
        judge(&self.configuration, &self.overrides, &self.vantage, now)
    }
}

pub(super) const fn judge<'a>(
    configuration: &'a Configuration,
    overrides: &'a Overrides,
    vantage: &'a Vantage,
    now: Time,
) -> Judge<'a> {
    let Configuration { topology, control, .. } = configuration;
    Judge { topology, control, overrides, vantage, now }
}
