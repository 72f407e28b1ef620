//! One name server: what it is to have, what it is known to have, and what to say to it next.
//!
//! The rule of its use: give it Plans by [`Updater::plan`], and at every [`Updater::next_deadline`] call
//! [`Updater::poll`] until it gives `None`. At most one [`Exchange`] is under way; its end goes to
//! [`Updater::replied`] or [`Updater::failed`].
//!
//! All names are read after the start, after an absence, and when the zone's serial shows that somebody
//! changed something. What was read decides what is written ([`judge`]), under the condition that it still
//! stands so. That condition lets a death be written at once, before everything has been read again.

mod name;
mod reading;
mod view;
mod writing;

use std::collections::{BTreeMap, BTreeSet};

use walrus_dns::DomainName;

use self::name::NameState;
use super::retry::Retry;
use super::status::UpdaterCounters;
use super::{
    Desired, DesiredName, Failure, Held, Mark, Reply, Request, Verdict, Why, desired, judge,
};
use crate::config::{NameServerSettings, PublishedService};
use crate::plan::{Plan, PlanNumber};
use crate::world::Time;

/// Names in one exchange: an exchange that is cut off has to be repeated.
const NAMES_MAX: usize = 32;
/// Names that were published from here and no longer are, which are remembered.
const LEFT_MAX: usize = 1000;
/// Lines for the log about names, of one reply; the rest is counted.
const LINES_MAX: usize = 4;

/// What the shell shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpdaterEffect {
    /// Send these, and give the replies to [`Updater::replied`] in the same order.
    Exchange(Exchange),
    /// Someone should look: a line for the log.
    Warn(String),
    /// What was done: a line for the log.
    Tell(String),
}

/// Messages to a name server, each answered by one reply. None of them needs that another was carried out
/// before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Any order will do.
    pub requests: Vec<Request>,
}

/// The updater of one name server.
#[derive(Clone, Debug)]
pub struct Updater {
    settings: NameServerSettings,
    desired: Option<Desired>,
    names: BTreeMap<DomainName, NameState>,
    left: Vec<(DomainName, DomainName)>,
    retry: Retry,
    under_way: Option<UnderWay>,
    not_before: Time,
    next_look: Time,
    /// The name at which the next look begins.
    next_name: usize,
    /// Whether all names are being read, and not only some again.
    reads_all: bool,
    /// Of the zone when all names were read; `None` since something was written.
    serial: Option<u32>,
    /// Of the zone when the reading of all names began.
    serial_before: Option<u32>,
    /// Tags of the keys with which it signs the zones of balanced names.
    keys: BTreeMap<DomainName, BTreeSet<u16>>,
    acknowledged: Option<PlanNumber>,
    seen: Option<PlanNumber>,
    last_success: Option<Time>,
    /// Why the last exchange came to nothing, and since when.
    problem: Option<(Failure, Time)>,
    /// Since when some updates are refused, and what was told of it.
    refusals: Option<(Vec<Failure>, Time)>,
    counters: UpdaterCounters,
    said: Vec<UpdaterEffect>,
}

#[derive(Clone, Debug)]
enum UnderWay {
    /// The serial, these names, and the keys of these zones.
    Read(Vec<DomainName>, Vec<DomainName>),
    /// These names, with what they have afterwards.
    Write(Vec<(DomainName, Held, Why)>),
}

impl Updater {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(settings: NameServerSettings, seed: u64) -> Self {
        Self {
            settings,
            desired: None,
            names: BTreeMap::new(),
            left: Vec::new(),
            retry: Retry::new(seed),
            under_way: None,
            not_before: Time::ZERO,
            next_look: Time::ZERO,
            next_name: 0,
            reads_all: true,
            serial: None,
            serial_before: None,
            keys: BTreeMap::new(),
            acknowledged: None,
            seen: None,
            last_success: None,
            problem: None,
            refusals: None,
            counters: UpdaterCounters::default(),
            said: Vec::new(),
        }
    }

    /// The settings in force.
    #[must_use]
    pub const fn settings(&self) -> &NameServerSettings {
        &self.settings
    }

    /// Other settings for the same zone of the same name server: all names are read again.
    pub fn reconfigure(&mut self, settings: NameServerSettings, plan: Option<&Plan>) {
        let old = std::mem::replace(&mut self.settings, settings);
        let published = &self.settings.services;
        let is_published = |target: &DomainName| published.iter().any(|it| it.target == *target);
        // Also what no Plan speaks of any longer: the one that lacks it may come before the settings.
        for PublishedService { service, target, .. } in old.services {
            if !is_published(&target) && self.left.len() < LEFT_MAX {
                self.left.push((service, target));
            }
        }
        self.left.retain(|(_, target)| !is_published(target));
        if let Some(desired) = &mut self.desired {
            desired.names.retain(|name| is_published(&name.target));
            desired.missing.retain(|name| published.iter().any(|it| it.service == *name));
        }
        self.forget_others();
        self.keys.clear();
        self.names.values_mut().for_each(NameState::forget);
        self.read_all();
        self.not_before = Time::ZERO;
        if let Some(plan) = plan {
            self.plan(plan);
        }
    }

    /// A Plan that is in force from now on, also while an exchange is under way. One that is not newer than
    /// the last changes nothing but after [`Self::reconfigure`].
    pub fn plan(&mut self, plan: &Plan) {
        if self.desired.as_ref().is_some_and(|desired| desired.plan > plan.number) {
            return;
        }
        let desired = desired(plan, &self.settings);
        let before = self.desired.take();
        // Of Plans that were not seen nobody knows what they wanted.
        let before = before.filter(|before| is_next(&before.plan, &desired.plan));
        for wanted in &desired.names {
            let before = before.iter().flat_map(|before| &before.names);
            let stays = before
                .into_iter()
                .any(|it| it.target == wanted.target && it.content == wanted.content);
            match self.names.get_mut(&wanted.target) {
                Some(_) if stays => {}
                Some(name) => name.since = desired.plan.clone(),
                None => {
                    let name = NameState::new(desired.plan.clone());
                    self.names.insert(wanted.target.clone(), name);
                }
            }
        }
        self.desired = Some(desired);
        self.forget_others();
        self.judge_all();
    }

    /// What to do now; `None` until [`Self::next_deadline`] or the next input.
    pub fn poll(&mut self, now: Time) -> Option<UpdaterEffect> {
        if !self.said.is_empty() {
            return Some(self.said.remove(0));
        }
        if self.under_way.is_some() || now < self.not_before || self.desired.is_none() {
            return None;
        }
        // What is to be written goes first: somebody may have died.
        let work = self.write(now).or_else(|| self.read(now));
        let (under_way, requests) = match work {
            Some(work) => work,
            None if now >= self.next_look => self.look(),
            None => return None,
        };
        self.counters.exchanges += 1;
        self.under_way = Some(under_way);
        Some(UpdaterEffect::Exchange(Exchange { requests }))
    }

    /// When to poll without an input; `None` while an exchange is under way or there is no Plan.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        if self.under_way.is_some() || self.desired.is_none() {
            return None;
        }
        if !self.said.is_empty() {
            return Some(Time::ZERO);
        }
        let of_names = self.wanted().filter_map(|(_, name)| name.next_try());
        let next = of_names.fold(self.next_look, Time::min);
        Some(next.max(self.not_before))
    }

    /// What became of each request of the exchange, in their order. An error concerns that one alone.
    pub fn replied(&mut self, now: Time, replies: &[Result<Reply, Failure>]) {
        let outcome = match self.under_way.take() {
            None => return,
            Some(UnderWay::Read(names, zones)) => self.have_read(now, &names, &zones, replies),
            Some(UnderWay::Write(names)) => {
                self.have_written(now, names, replies);
                Ok(())
            }
        };
        if let Err(failure) = outcome {
            return self.fail(now, failure);
        }
        self.last_success = Some(now);
        self.next_look = now + self.retry.jittered(self.settings.check_every);
        self.retry.succeeded();
        if self.problem.take().is_some() {
            let text = format!("answers for {} again", self.settings.zone);
            self.tell(&text);
        }
        self.compare_refusals(now);
        self.acknowledge();
    }

    /// The exchange did not come to its end: what of it was carried out is not known.
    pub fn failed(&mut self, now: Time, failure: Failure) {
        if let Some(UnderWay::Write(names)) = self.under_way.take() {
            for (target, ..) in names {
                if let Some(name) = self.names.get_mut(&target) {
                    name.cut_off(now);
                }
            }
        }
        self.fail(now, failure);
    }

    /// The highest Plan number that marks in the zone name: a Controller whose epoch is lower has to
    /// begin one above, or nothing of it would be published.
    #[must_use]
    pub const fn seen(&self) -> Option<&PlanNumber> {
        self.seen.as_ref()
    }

    /// The newest Plan that the name server is known to have.
    #[must_use]
    pub const fn acknowledged(&self) -> Option<&PlanNumber> {
        self.acknowledged.as_ref()
    }

    /// Each name that the Plan wants, and how it stands.
    fn wanted(&self) -> impl Iterator<Item = (&DesiredName, &NameState)> {
        let names = self.desired.iter().flat_map(|desired| &desired.names);
        names.filter_map(|wanted| Some((wanted, self.names.get(&wanted.target)?)))
    }

    /// Knows nothing of names that are not wanted: nothing would ever read or write them.
    fn forget_others(&mut self) {
        let wanted = self.desired.as_ref().map_or(&[][..], |desired| &desired.names);
        self.names.retain(|target, _| wanted.binary_search_by(|it| it.target.cmp(target)).is_ok());
    }

    fn fail(&mut self, now: Time, failure: Failure) {
        self.counters.failures += 1;
        // Whoever was away may come back with anything, and a change may have been made unheard.
        self.read_all();
        self.names.values_mut().for_each(|name| name.is_doubtful = true);
        self.not_before = self.retry.failed(now);
        if self.problem.as_ref().is_none_or(|(last, _)| !last.is_like(&failure)) {
            self.warn(&failure);
        }
        let since = self.problem.as_ref().map_or(now, |(_, since)| *since);
        self.problem = Some((failure, since));
    }

    /// Tells which refusals of updates are new, and when they are over.
    fn compare_refusals(&mut self, now: Time) {
        let mut refusals: Vec<Failure> = Vec::new();
        for failure in self.names.values().filter_map(|name| name.refused.as_ref()) {
            if !refusals.iter().any(|it| it.is_like(failure)) {
                refusals.push(failure.clone());
            }
        }
        let (told, since) = self.refusals.take().unwrap_or((Vec::new(), now));
        for failure in &refusals {
            if !told.iter().any(|it| it.is_like(failure)) {
                self.warn(failure);
            }
        }
        if !refusals.is_empty() {
            self.refusals = Some((refusals, since));
        } else if !told.is_empty() {
            let text = format!("takes updates of {} again", self.settings.zone);
            self.tell(&text);
        }
    }

    fn warn(&mut self, failure: &Failure) {
        let text = failure.explain(&self.settings);
        let name = &self.settings.name;
        self.said.push(UpdaterEffect::Warn(format!("name server `{name}`: {text}")));
    }

    fn tell(&mut self, what: &str) {
        let (name, address) = (&self.settings.name, self.settings.address);
        self.said.push(UpdaterEffect::Tell(format!("`{name}` at {address} {what}")));
    }

    /// Judges what is known anew, and acknowledges the Plan if nothing is left to be done.
    fn judge_all(&mut self) {
        let Some(desired) = &self.desired else { return };
        let mut lines = Vec::new();
        for wanted in &desired.names {
            let Some(name) = self.names.get_mut(&wanted.target) else { continue };
            name.judge(wanted, desired, &self.settings);
            let marks = name.held.iter().flat_map(|held| &held.texts);
            let marks = marks.filter_map(|data| Mark::from_data(data).ok());
            let ours = marks.filter(|mark| mark.owner == self.settings.owner);
            self.seen = self.seen.take().max(ours.map(|mark| mark.plan).max());
            let told = name.to_tell();
            if std::mem::discriminant(&told) != std::mem::discriminant(&name.told) {
                lines.extend(told.line().map(|line| format!("{}: {line}", wanted.target)));
                name.told = told;
            }
        }
        let more = lines.len().saturating_sub(LINES_MAX);
        for (index, line) in lines.into_iter().take(LINES_MAX).enumerate() {
            let server = &self.settings.name;
            let rest = match more {
                more if more > 0 && index + 1 == LINES_MAX => {
                    format!(" (and {more} more: see `walrus status`)")
                }
                _ => String::new(),
            };
            let text = format!("name server `{server}`: {line}{rest}");
            self.said.push(UpdaterEffect::Warn(text));
        }
        self.acknowledge();
    }

    /// Takes the Plan as acknowledged if nothing of it is left to be done.
    fn acknowledge(&mut self) {
        if let Some(desired) = self.desired.as_ref().filter(|desired| self.has(desired)) {
            self.acknowledged = Some(desired.plan.clone());
        }
    }

    /// Whether all of this is there, as far as is known.
    fn has(&self, desired: &Desired) -> bool {
        self.problem.is_none()
            && desired.missing.is_empty()
            && self.wanted().all(|(_, name)| name.is_done())
    }
}

/// Whether no Plan was made between these two.
fn is_next(before: &PlanNumber, after: &PlanNumber) -> bool {
    before.epoch == after.epoch
        && before.controller == after.controller
        && after.sequence.saturating_sub(before.sequence) <= 1
}
