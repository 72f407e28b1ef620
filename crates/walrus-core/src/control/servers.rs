//! What is known of each server, as (server, source, observer), and the state of life it gives.
//!
//! Each server is judged when something is heard of it and when the time comes at which silence
//! would change the verdict, never all of them for one report: ten thousand Reporters a second
//! cost as many judgements, not their square.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::detect::{self, Health, Rules, Verdict};
use super::heard::{Answer, Heard};
use super::load;
use super::probes::Probes;
use super::vantage::{Outcome, Vantage};
use crate::config::ControlSettings;
use crate::plan::Plan;
use crate::world::{
    Condition, Life, LoadFormula, Name, Overrides, Server, ServerId, Target, Time, Topology,
};

/// A server that comes back does so in this many steps, each a new Plan.
const RAMP_STEPS: u32 = 10;

/// All servers of the topology, by [`ServerId`].
#[derive(Clone, Debug, Default)]
pub(super) struct Servers {
    records: Vec<Record>,
    /// When to judge again if nothing is heard; at most one entry a server.
    agenda: BTreeSet<(Time, ServerId)>,
    /// Servers on their way back.
    returning: BTreeSet<ServerId>,
    /// Servers that were silent with all others and are no longer.
    heard_again: Vec<usize>,
    /// Servers whose verdict by probes waits and would be another one.
    held_back: BTreeSet<ServerId>,
    /// ... of which it was not told.
    held_back_untold: BTreeSet<ServerId>,
}

/// One server.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) name: Name,
    /// The beginning of its detection time: the start, when its Reporter was configured, or when
    /// the Controller could hear again.
    since: Time,
    reporter: bool,
    /// What the stored Plan says of it, until its sources have spoken.
    prior: Option<Verdict>,
    /// What its vantage points came to last, which goes on while none of them tells.
    voted: Option<Verdict>,
    /// Until then these may come to something else by time alone.
    vote_open_until: Option<Time>,
    /// What they would come to now, down or not, if nobody were waited for and that is something else.
    pub(super) held_back: Option<bool>,
    /// What each observer has from its Reporter.
    pub(super) heard: BTreeMap<Name, Heard>,
    /// What each observer's probes of a target found.
    pub(super) probed: BTreeMap<(u32, Name), Probed>,
    /// When another vantage point said last that it sees it up.
    pub(super) sighted_at: Option<Time>,
    pub(super) life: Life,
    pub(super) life_since: Time,
    /// Whether `life` is a verdict and not only where the record began.
    judged: bool,
    reason: String,
    /// Has been out since it lived last: only then is its return one. TEMPFAIL before any
    /// statistics (A14) is not: it says that a Reporter begins, not that a server comes back.
    pub(super) was_out: bool,
    /// When it came back to life, while its weight still grows.
    returned: Option<Time>,
    judge_at: Option<Time>,
    /// Out for silence alone, and when it last gave a sign of life.
    pub(super) silent: Option<Time>,
    /// Silent with all others ([`super::silence`]): unknown rather than dead.
    pub(super) unheard: bool,
    /// Lost with all peers ([`super::cut_off`]): unknown rather than dead until then.
    pub(super) out_of_sight: Option<Time>,
    /// Until then silence is no death.
    spared_until: Time,
}

/// What an observer's probes of a target found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Probed {
    pub(super) target: String,
    pub(super) health: Health,
    /// The last result, if any.
    pub(super) at: Option<Time>,
    /// The last success, if any.
    pub(super) up_at: Option<Time>,
}

/// What servers are judged by.
#[derive(Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) topology: &'a Topology,
    pub(super) control: &'a ControlSettings,
    pub(super) overrides: &'a Overrides,
    pub(super) vantage: &'a Vantage,
    pub(super) now: Time,
}

impl Judge<'_> {
    pub(super) fn rules(&self) -> Rules {
        Rules {
            missed_units: self.control.missed_units,
            tempfail_rounds: self.control.tempfail_rounds,
            round: self.control.round,
        }
    }

    /// Whether an operator drained this server or its cluster.
    pub(super) fn is_drained(&self, server: &Server) -> bool {
        let cluster = &self.topology.clusters[server.cluster.index()].name;
        self.overrides.is_drained(&Target::Server(server.name.clone()))
            || self.overrides.is_drained(&Target::Cluster(cluster.clone()))
    }
}

impl Servers {
    /// Takes over a topology. Servers that stay keep what is known of them; others begin their
    /// detection time now, from what the stored Plan says of them. To be followed by [`Self::judge_all`].
    pub(super) fn retarget(
        &mut self,
        judge: &Judge<'_>,
        probes: &Probes,
        observer: &Name,
        stored: Option<&Plan>,
    ) {
        let mut old: BTreeMap<Name, Record> =
            self.records.drain(..).map(|record| (record.name.clone(), record)).collect();
        self.agenda.clear();
        self.returning.clear();
        self.held_back.clear();
        self.held_back_untold.clear();
        for (server, id) in judge.topology.servers.iter().zip((0..).map(ServerId)) {
            let mut record = match old.remove(&server.name) {
                Some(record) => record.with(server, judge.now),
                None => Record::new(server, stored, judge.now),
            };
            record.judge_at = None;
            record.probed.retain(|(target, _), _| {
                probes.target(*target).is_some_and(|it| it.servers.binary_search(&id).is_ok())
            });
            if record.returned.is_some() {
                self.returning.insert(id);
            }
            self.records.push(record);
        }
        for (id, target) in probes.iter() {
            for server in &target.servers {
                let Some(record) = self.records.get_mut(server.index()) else { continue };
                record.probed.entry((id, observer.clone())).or_insert_with(|| Probed {
                    target: target.name.clone(),
                    health: target.health().clone(),
                    at: None,
                    up_at: None,
                });
            }
        }
    }

    /// The record of a server.
    pub(super) fn get(&self, id: ServerId) -> Option<&Record> {
        self.records.get(id.index())
    }

    /// The same, to write down what was heard; [`Self::judge`] it after that.
    pub(super) fn get_mut(&mut self, id: ServerId) -> Option<&mut Record> {
        self.records.get_mut(id.index())
    }

    /// All records, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    /// Judges all servers.
    pub(super) fn judge_all(&mut self, judge: &Judge<'_>) {
        let ids = (0..self.records.len()).filter_map(|index| u32::try_from(index).ok());
        for id in ids {
            self.judge(ServerId(id), judge);
        }
    }

    /// The Controller heard nothing for a while, and that was its own fault: a server that was
    /// not dead before is silent from now on at the earliest.
    pub(super) fn hear_anew(&mut self, judge: &Judge<'_>) {
        for record in self.records.iter_mut().filter(|record| record.life != Life::Dead) {
            record.since = judge.now;
        }
        self.judge_all(judge);
    }

    /// Judges the servers whose silence has lasted long enough; tells whether any life changed.
    pub(super) fn judge_due(&mut self, judge: &Judge<'_>) -> bool {
        let mut changed = false;
        while let Some((_, id)) = self.agenda.first().filter(|(at, _)| *at <= judge.now).copied() {
            self.agenda.pop_first();
            changed |= self.judge(id, judge);
        }
        changed
    }

    /// When time alone changes a verdict next.
    pub(super) fn next_judgement(&self) -> Option<Time> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// Judges one server; tells whether its life changed.
    pub(super) fn judge(&mut self, id: ServerId, judge: &Judge<'_>) -> bool {
        let (Some(record), Some(server)) =
            (self.records.get_mut(id.index()), judge.topology.servers.get(id.index()))
        else {
            return false;
        };
        if let Some(probe) = &server.probe {
            record.vote(judge.vantage.outcome(id, probe, judge.now));
            if record.held_back.is_none() {
                self.held_back.remove(&id);
                self.held_back_untold.remove(&id);
            } else if self.held_back.insert(id) {
                self.held_back_untold.insert(id);
            }
        }
        let verdict = record.verdict(server, judge);
        record.silent = verdict.silent;
        if record.unheard && verdict.silent.is_none() {
            record.unheard = false;
            // What an operator says of it is nothing heard from it.
            if verdict.life != Life::Dead {
                self.heard_again.push(id.index());
            }
        }
        let is_over = record.out_of_sight.is_some_and(|until| until <= judge.now);
        if is_over || verdict.silent.is_none() {
            record.out_of_sight = None;
        }
        let verdict = record.weigh_silence(verdict, judge.now);
        if let Some(at) = record.judge_at.take() {
            self.agenda.remove(&(at, id));
        }
        if let Some(at) = verdict.until.filter(|at| *at > judge.now) {
            record.judge_at = Some(at);
            self.agenda.insert((at, id));
        }
        record.reason = verdict.reason;
        record.was_out |= !matches!(verdict.life, Life::Living | Life::Unknown)
            && !record.says_only_tempfail(verdict.life);
        if record.judged && record.life == verdict.life {
            return false;
        }
        let back = verdict.life == Life::Living && std::mem::take(&mut record.was_out);
        record.life = verdict.life;
        record.life_since = judge.now;
        record.judged = true;
        if back && judge.control.server_ramp > Duration::ZERO {
            record.returned = Some(judge.now);
            self.returning.insert(id);
        } else {
            record.returned = None;
            self.returning.remove(&id);
        }
        true
    }

    /// The record at a place.
    pub(super) fn record(&self, index: usize) -> Option<&Record> {
        self.records.get(index)
    }

    /// Servers whose verdict waits and would be another one, down or not, of which it was not told.
    pub(super) fn take_held_back(&mut self) -> Vec<(ServerId, bool)> {
        let untold = std::mem::take(&mut self.held_back_untold).into_iter();
        untold.filter_map(|id| Some((id, self.records.get(id.index())?.held_back?))).collect()
    }

    /// Whether there is one.
    pub(super) fn holds_back_untold(&self) -> bool {
        !self.held_back_untold.is_empty()
    }

    /// Who was heard again after a silence of all, since this was asked last.
    pub(super) fn take_heard_again(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.heard_again)
    }

    /// Whether a server is silent with all others.
    pub(super) fn set_unheard(&mut self, index: usize, unheard: bool, judge: &Judge<'_>) {
        let Some(record) = self.records.get_mut(index).filter(|it| it.unheard != unheard) else {
            return;
        };
        record.unheard = unheard;
        // It was handed out all the time: there is nothing to come back from.
        record.was_out = false;
        self.judge_at(index, judge);
    }

    /// Gives a server that is silent with all others one detection time to be heard.
    pub(super) fn spare(&mut self, index: usize, judge: &Judge<'_>) {
        let Some(record) = self.records.get_mut(index).filter(|it| it.unheard) else { return };
        record.unheard = false;
        record.spared_until = judge.now + record.detection(judge.rules());
        self.judge_at(index, judge);
    }

    /// Changes what is known of a server, and judges it by that.
    pub(super) fn change(&mut self, index: usize, judge: &Judge<'_>, by: impl FnOnce(&mut Record)) {
        if let Some(record) = self.records.get_mut(index) {
            by(record);
            self.judge_at(index, judge);
        }
    }

    fn judge_at(&mut self, index: usize, judge: &Judge<'_>) {
        if let Ok(id) = u32::try_from(index) {
            self.judge(ServerId(id), judge);
        }
    }

    /// How every server fares now.
    pub(super) fn conditions(&self, control: &ControlSettings, now: Time) -> Vec<Condition> {
        self.records.iter().map(|record| record.condition(control, now)).collect()
    }

    /// Requests a second by server, of those whose Reporter counts them, whether they may be handed out or not.
    pub(super) fn counted(&self, now: Time) -> impl Iterator<Item = (&Name, f64)> {
        self.records.iter().filter_map(move |record| Some((&record.name, record.counted(now)?.0)))
    }

    /// Ends the return of servers that are fully back, and tells when the next step of the others
    /// is due. To be called after each decision.
    pub(super) fn step_returns(&mut self, ramp: Duration, now: Time) -> Option<Time> {
        let mut next: Option<Time> = None;
        let records = &mut self.records;
        self.returning.retain(|id| {
            let Some(record) = records.get_mut(id.index()) else { return false };
            let Some(returned) = record.returned else { return false };
            let steps = steps_taken(returned, ramp, now);
            if steps >= RAMP_STEPS {
                record.returned = None;
                return false;
            }
            // One nanosecond more than the division gives, so that the step is taken then.
            let step = ramp * (steps + 1) / RAMP_STEPS + Duration::from_nanos(1);
            let at = returned + step;
            next = Some(next.map_or(at, |first| first.min(at)));
            true
        });
        next
    }
}

impl Record {
    fn new(server: &Server, stored: Option<&Plan>, now: Time) -> Self {
        let planned = stored.and_then(|plan| {
            let index = plan.servers.binary_search_by(|it| it.name.cmp(&server.name)).ok()?;
            plan.servers.get(index)
        });
        let prior = planned
            .filter(|it| matches!(it.life, Life::Bypass | Life::Panic | Life::Dead))
            .map(|it| Verdict::out(it.life, it.reason.clone()));
        Self {
            name: server.name.clone(),
            since: now,
            reporter: server.reporter,
            prior,
            voted: None,
            vote_open_until: None,
            held_back: None,
            heard: BTreeMap::new(),
            probed: BTreeMap::new(),
            sighted_at: None,
            life: Life::Living,
            life_since: now,
            judged: false,
            reason: String::new(),
            was_out: false,
            returned: None,
            judge_at: None,
            silent: None,
            unheard: false,
            out_of_sight: None,
            spared_until: now,
        }
    }

    /// The same server in another configuration.
    fn with(mut self, server: &Server, now: Time) -> Self {
        if server.reporter && !self.reporter {
            self.since = now;
        }
        // What was known when this process began is no longer true of what spoke since.
        if self.voted.is_some() || self.latest().is_some_and(|heard| heard.at.is_some()) {
            self.prior = None;
        }
        if server.probe.is_none() {
            self.voted = None;
        }
        if !server.reporter {
            self.heard.clear();
        }
        self.reporter = server.reporter;
        self
    }

    /// Takes in what its vantage points come to.
    fn vote(&mut self, outcome: Outcome) {
        self.vote_open_until = outcome.until;
        self.held_back = None;
        if outcome.verdict.is_some() {
            self.voted = outcome.verdict;
        } else {
            let before = self.voted.as_ref().or(self.prior.as_ref());
            let is_down = before.is_some_and(|verdict| verdict.life == Life::Dead);
            self.held_back = outcome.so_far.filter(|down| *down != is_down);
        }
    }

    /// What its Reporter said last, whoever heard it.
    pub(super) fn latest(&self) -> Option<&Heard> {
        self.heard.values().max_by_key(|heard| heard.at)
    }

    /// Requests a second, and the time over which its Reporter counted them, if it does.
    pub(super) fn counted(&self, now: Time) -> Option<(f64, Duration)> {
        let heard = self.latest()?;
        let statistics = heard.statistics(now)?;
        statistics.hits?;
        Some((heard.hits_per_second(now), Duration::from_millis(statistics.duration_ms)))
    }

    /// Why its Reporter wants a person, if it does. Silence after PANIC changes nothing in that.
    pub(super) fn panic(&self) -> Option<&str> {
        match self.latest()?.answer.as_ref()? {
            Answer::Panic(reason) => Some(reason),
            Answer::Statistics(_) | Answer::Bypass(_) => None,
        }
    }

    /// Whether it is out (`life`) for nothing but TEMPFAIL before any statistics (A14).
    fn says_only_tempfail(&self, life: Life) -> bool {
        let heard = self.latest().filter(|heard| heard.at.is_some());
        life == Life::Bypass && heard.is_some_and(|heard| heard.answer.is_none())
    }

    /// Whether its Reporter has only begun: what is known of it is no ground to alarm people.
    pub(super) fn begins(&self) -> bool {
        self.says_only_tempfail(self.life)
    }

    /// What decided its life, for people.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    fn verdict(&self, server: &Server, judge: &Judge<'_>) -> Verdict {
        let prior = self.prior.as_ref();
        let mut verdict = Verdict::LIVING;
        if server.reporter {
            let rules = judge.rules();
            verdict = detect::by_reporter(self.latest(), prior, self.since, rules, judge.now);
        }
        if server.probe.is_some() {
            let found = self.voted.as_ref().or(prior).cloned().unwrap_or(Verdict::LIVING);
            verdict = verdict.and(Verdict { until: self.vote_open_until, ..found });
        }
        if judge.is_drained(server) {
            verdict = verdict.and(Verdict::out(Life::Drained, "drained by an operator"));
        }
        verdict
    }

    /// What silence alone comes to here.
    fn weigh_silence(&self, verdict: Verdict, now: Time) -> Verdict {
        if verdict.silent.is_none() {
            return verdict;
        }
        if self.unheard {
            let reason = format!("{}; no other is heard or seen: as before", verdict.reason);
            return Verdict { life: Life::Unknown, reason, ..verdict };
        }
        if let Some(until) = self.out_of_sight {
            let reason = format!("{}, and this Controller was cut off", verdict.reason);
            return Verdict { life: Life::Unknown, reason, until: Some(until), ..verdict };
        }
        if now < self.spared_until {
            return Verdict { until: Some(self.spared_until), ..Verdict::LIVING };
        }
        verdict
    }

    /// How long its silence lasts before it counts.
    pub(super) fn detection(&self, rules: Rules) -> Duration {
        let heard = self.latest().filter(|heard| heard.at.is_some());
        detect::detection(heard.map_or(rules.round, |heard| heard.unit), rules)
    }

    /// When it last gave a sign of life.
    pub(super) fn last_sign(&self) -> Option<Time> {
        let heard = self.latest().and_then(|heard| heard.at);
        let seen = self.probed.values().filter_map(|probed| probed.up_at).max();
        heard.max(seen).max(self.sighted_at)
    }

    /// How it fares now.
    pub(super) fn condition(&self, control: &ControlSettings, now: Time) -> Condition {
        let heard = self.latest().filter(|_| self.life.functions());
        Condition {
            life: self.life,
            load: heard.and_then(|heard| load_of(heard, &control.load, now)),
            backlog: heard.and_then(|heard| heard.statistics(now)?.busy),
            ramp: self.ramp(control.server_ramp, now),
            hits_per_second: heard.map_or(0.0, |heard| heard.hits_per_second(now)),
            reason: self.reason.clone(),
        }
    }

    /// How far it is back, in tenths; a twentieth before the first of them.
    fn ramp(&self, ramp: Duration, now: Time) -> f64 {
        let Some(returned) = self.returned else { return 1.0 };
        let steps = steps_taken(returned, ramp, now);
        (f64::from(steps) / f64::from(RAMP_STEPS)).max(0.05)
    }
}

fn load_of(heard: &Heard, formula: &LoadFormula, now: Time) -> Option<f64> {
    load::of(heard.statistics(now)?, formula)
}

fn steps_taken(returned: Time, ramp: Duration, now: Time) -> u32 {
    let gone = now.since(returned);
    if gone >= ramp {
        return RAMP_STEPS;
    }
    let steps = gone.as_nanos() * u128::from(RAMP_STEPS) / ramp.as_nanos().max(1);
    u32::try_from(steps).unwrap_or(RAMP_STEPS)
}
