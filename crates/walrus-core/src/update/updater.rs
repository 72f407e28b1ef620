//! One name server: what it is to have, what it is known to have, and what to say to it next.
//!
//! The rule of its use: give it Plans by [`Updater::plan`], and at every [`Updater::next_deadline`] call
//! [`Updater::poll`] until it gives `None`. At most one [`Exchange`] is under way; its end goes to
//! [`Updater::replied`] or [`Updater::failed`].
//!
//! Names are read before they are written, all of them after the start, after an absence, and when the
//! zone's serial shows that somebody else changed something. What was read decides what is written
//! ([`judge`]), under the condition that it still stands so.

use std::collections::BTreeMap;

use walrus_dns::{DomainName, record_type};

use super::held::{self, HeldError};
use super::retry::Retry;
use super::status::{NameState, NameStatus, UpdaterCounters, UpdaterStatus};
use super::{
    Content, Desired, DesiredName, Failure, Held, Mark, OnlyIf, Reply, ReplyData, Request, Verdict,
    Why, desired, judge,
};
use crate::config::{NameServerSettings, PublishedService};
use crate::plan::{Plan, PlanNumber};
use crate::world::Time;

/// Names in one exchange: an exchange that is cut off has to be repeated.
const NAMES_MAX: usize = 16;
/// Questions for one name: its addresses of both kinds, its texts, and the alias that leads to it.
const QUESTIONS: usize = 4;
/// All names are read at one look in so many, whatever the serial says: not all name servers raise it
/// for every kind of change.
const LOOKS_WHOLE: u32 = 10;
/// Names that were published from here and no longer are, which are remembered.
const LEFT_MAX: usize = 1000;
/// Answers YXDOMAIN, YXRRSET and NXRRSET: a prerequisite does not hold (RFC 2136 section 2.2).
const PREREQUISITES: std::ops::RangeInclusive<u8> = 6..=8;

/// What the shell shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpdaterEffect {
    /// Send these one after the other, each after the reply to the one before.
    Exchange(Exchange),
    /// Someone should look: a line for the log.
    Warn(String),
    /// What was done: a line for the log.
    Tell(String),
}

/// Messages to a name server, each answered by one reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// In this order.
    pub requests: Vec<Request>,
}

/// The updater of one name server.
#[derive(Clone, Debug)]
pub struct Updater {
    settings: NameServerSettings,
    desired: Option<Desired>,
    names: BTreeMap<DomainName, Name>,
    left: Vec<(DomainName, DomainName)>,
    retry: Retry,
    under_way: Option<UnderWay>,
    not_before: Time,
    next_look: Time,
    looks: u32,
    /// Waits between tries that others keep overtaking.
    overtaken: Retry,
    /// Whether all names are being read, and not only some again.
    reads_all: bool,
    /// Of the zone when all names were read; `None` since something was written.
    serial: Option<u32>,
    /// Of the zone when the reading of all names began.
    serial_before: Option<u32>,
    acknowledged: Option<PlanNumber>,
    seen: Option<PlanNumber>,
    last_success: Option<Time>,
    problem: Option<(Failure, Time)>,
    /// Whether the problem came with a write: only another write shows that it is over, or that
    /// there is nothing to be written.
    write_failed: bool,
    counters: UpdaterCounters,
    said: Vec<UpdaterEffect>,
}

/// What is known of one name.
#[derive(Clone, Debug, Default)]
struct Name {
    /// As read or written last; `None`: it must be read.
    held: Option<Held>,
    /// What was last in order there.
    known: Option<Content>,
    verdict: Option<Verdict>,
    /// Something is there whose type is none of ours.
    in_use: bool,
    /// What the balanced name leads to there.
    alias: Option<Alias>,
    /// What was last told of it.
    told: Option<String>,
}

/// What a name server says of a balanced name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Alias {
    To(DomainName, u32),
    Missing,
}

#[derive(Clone, Debug)]
enum UnderWay {
    /// The serial alone.
    Look,
    /// The serial and these names.
    Read(Vec<DomainName>),
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
            looks: 0,
            overtaken: Retry::new(!seed),
            reads_all: true,
            serial: None,
            serial_before: None,
            acknowledged: None,
            seen: None,
            last_success: None,
            problem: None,
            write_failed: false,
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
        for PublishedService { service, target } in old.services {
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
        self.read_all();
        self.not_before = Time::ZERO;
        if let Some(plan) = plan {
            self.plan(plan);
        }
    }

    /// A Plan that is in force from now on. One that is not newer than the last changes nothing but
    /// after [`Self::reconfigure`].
    pub fn plan(&mut self, plan: &Plan) {
        if self.desired.as_ref().is_some_and(|desired| desired.plan > plan.number) {
            return;
        }
        let desired = desired(plan, &self.settings);
        for name in &desired.names {
            self.names.entry(name.target.clone()).or_default();
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
        if self.under_way.is_some() || now < self.not_before {
            return None;
        }
        let desired = self.desired.as_ref()?;
        let unread = desired.names.iter().filter(|name| self.is_unread(&name.target));
        let unread: Vec<DesiredName> = unread.take(NAMES_MAX).cloned().collect();
        if !unread.is_empty() {
            return Some(self.read(&unread));
        }
        if let Some(effect) = self.write() {
            return Some(effect);
        }
        if now < self.next_look {
            return None;
        }
        self.counters.exchanges += 1;
        self.under_way = Some(UnderWay::Look);
        Some(UpdaterEffect::Exchange(Exchange { requests: vec![self.ask_serial()] }))
    }

    /// When to poll without an input; `None` while an exchange is under way or there is no Plan.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        if self.under_way.is_some() || self.desired.is_none() {
            return None;
        }
        let has_work = !self.said.is_empty() || self.is_behind();
        Some(if has_work { self.not_before } else { self.next_look.max(self.not_before) })
    }

    /// All requests of the exchange were answered by these.
    pub fn replied(&mut self, now: Time, replies: &[Reply]) {
        let updates = self.counters.updates;
        let under_way = self.under_way.take();
        let is_write = matches!(under_way, Some(UnderWay::Write(_)));
        let outcome = match under_way {
            None => return,
            Some(UnderWay::Look) => self.looked(replies),
            Some(UnderWay::Read(names)) => self.have_read(&names, replies),
            Some(UnderWay::Write(names)) => self.have_written(now, names, replies),
        };
        let has_written = self.counters.updates > updates;
        match outcome {
            Ok(()) => self.succeeded(now, has_written),
            Err(failure) => {
                if has_written {
                    // One name that is refused does not slow down the rest of many.
                    self.retry.succeeded();
                }
                self.fail(now, failure, is_write);
            }
        }
    }

    /// The exchange did not come to its end: what of it was carried out is not known.
    pub fn failed(&mut self, now: Time, failure: Failure) {
        let is_write = matches!(self.under_way.take(), Some(UnderWay::Write(_)));
        self.fail(now, failure, is_write);
    }

    /// The highest Plan number that marks in the zone name: a Controller whose epoch is lower has to
    /// begin one above, or nothing of it would be published.
    #[must_use]
    pub const fn seen(&self) -> Option<&PlanNumber> {
        self.seen.as_ref()
    }

    fn is_unread(&self, target: &DomainName) -> bool {
        self.names.get(target).is_none_or(|name| name.held.is_none())
    }

    /// Whether a name is to be read.
    fn is_any_unread(&self) -> bool {
        let mut wanted = self.desired.iter().flat_map(|desired| &desired.names);
        wanted.any(|name| self.is_unread(&name.target))
    }

    /// Whether a name is to be read or written.
    fn is_behind(&self) -> bool {
        self.is_any_unread() || self.names.values().any(Name::is_to_be_written)
    }

    /// Knows nothing of names that are not wanted: nothing would ever read or write them.
    fn forget_others(&mut self) {
        let wanted = self.desired.as_ref().map_or(&[][..], |desired| &desired.names);
        self.names.retain(|target, _| wanted.binary_search_by(|it| it.target.cmp(target)).is_ok());
    }

    fn ask_serial(&self) -> Request {
        Request::Query { name: self.settings.zone.clone(), record_type: record_type::SOA }
    }

    fn read(&mut self, names: &[DesiredName]) -> UpdaterEffect {
        let mut requests = vec![self.ask_serial()];
        for name in names {
            for of_type in [record_type::A, record_type::AAAA, record_type::TXT] {
                requests.push(Request::Query { name: name.target.clone(), record_type: of_type });
            }
            let (name, record_type) = (name.service.clone(), record_type::CNAME);
            requests.push(Request::Query { name, record_type });
        }
        self.counters.exchanges += 1;
        self.under_way =
            Some(UnderWay::Read(names.iter().map(|name| name.target.clone()).collect()));
        UpdaterEffect::Exchange(Exchange { requests })
    }

    fn write(&mut self) -> Option<UpdaterEffect> {
        let desired = self.desired.as_ref()?;
        let mark = Mark { owner: self.settings.owner.clone(), plan: desired.plan.clone() };
        let (mut requests, mut written) = (Vec::new(), Vec::new());
        for wanted in &desired.names {
            let Some(name) = self.names.get(&wanted.target) else { continue };
            let Some(Verdict::Write { only_if, why }) = &name.verdict else { continue };
            let target = wanted.target.clone();
            written.push((target.clone(), after(wanted, only_if, &mark), *why));
            requests.push(Request::Update {
                zone: self.settings.zone.clone(),
                name: target,
                only_if: only_if.clone(),
                content: wanted.content.clone(),
                mark: mark.clone(),
            });
            if requests.len() == NAMES_MAX {
                break;
            }
        }
        if requests.is_empty() {
            return None;
        }
        self.counters.exchanges += 1;
        self.under_way = Some(UnderWay::Write(written));
        Some(UpdaterEffect::Exchange(Exchange { requests }))
    }

    fn looked(&mut self, replies: &[Reply]) -> Result<(), Failure> {
        let serial = serial_of(replies.first())?;
        self.looks += 1;
        if self.serial != Some(serial) || self.looks >= LOOKS_WHOLE {
            self.read_all();
        }
        Ok(())
    }

    fn have_read(&mut self, names: &[DomainName], replies: &[Reply]) -> Result<(), Failure> {
        let (first, rest) = replies.split_first().ok_or(Failure::Malformed)?;
        let serial = serial_of(Some(first))?;
        self.serial_before.get_or_insert(serial);
        let mut chunks = rest.chunks_exact(QUESTIONS);
        for target in names {
            let [a, aaaa, txt, alias] = chunks.next().ok_or(Failure::Malformed)? else {
                return Err(Failure::Malformed);
            };
            let own = [a.clone(), aaaa.clone(), txt.clone()];
            let held = Held::read(target, &own).map_err(|error| match error {
                HeldError::Rcode(code) => Failure::Question(code),
                HeldError::NotAuthoritative => Failure::NotAuthoritative,
            })?;
            let service = self.service_of(target);
            if let Some(name) = self.names.get_mut(target) {
                name.in_use &= held.is_empty();
                name.held = Some(held);
                name.alias = service.map(|service| alias_of(alias, &service));
            }
        }
        if !self.is_any_unread() && std::mem::take(&mut self.reads_all) {
            // Whatever was changed while names were read raised the serial above that of before.
            self.serial = self.serial_before.take();
            self.looks = 0;
        }
        self.judge_all();
        Ok(())
    }

    fn have_written(
        &mut self,
        now: Time,
        names: Vec<(DomainName, Held, Why)>,
        replies: &[Reply],
    ) -> Result<(), Failure> {
        let mut outcome = Ok(());
        let overtaken = self.counters.overtaken;
        for (index, (target, held, why)) in names.into_iter().enumerate() {
            let code = replies.get(index).map(|reply| reply.rcode);
            let Some(name) = self.names.get_mut(&target) else { continue };
            match code {
                Some(0) => {
                    self.serial = None;
                    self.counters.updates += 1;
                    self.counters.repaired += u64::from(why == Why::Drifted);
                    self.said.push(UpdaterEffect::Tell(format!(
                        "`{}`: {target} has {}{}",
                        self.settings.name,
                        held.describe(),
                        reason(why)
                    )));
                    name.held = Some(held);
                    name.in_use = false;
                }
                Some(code) if PREREQUISITES.contains(&code) => {
                    self.counters.overtaken += 1;
                    let was_empty = name.held.as_ref().is_some_and(Held::is_empty);
                    // Nothing of ours there, and yet the name is in use: by other types. If it was
                    // only overtaken, the next reading shows by what.
                    name.in_use = was_empty;
                    name.held = None;
                }
                Some(code) => {
                    name.held = None;
                    outcome = Err(Failure::Update(code));
                }
                None => {
                    name.held = None;
                    outcome = Err(Failure::Malformed);
                }
            }
        }
        if self.counters.overtaken == overtaken {
            self.overtaken.succeeded();
        } else {
            self.not_before = self.overtaken.failed(now);
        }
        self.judge_all();
        outcome
    }

    fn succeeded(&mut self, now: Time, has_written: bool) {
        self.last_success = Some(now);
        self.next_look = now + self.retry.jittered(self.settings.check_every);
        // One that answers questions may still refuse each update.
        if self.write_failed && !has_written && self.is_behind() {
            return;
        }
        self.write_failed = false;
        self.retry.succeeded();
        if self.problem.take().is_some() {
            self.said.push(UpdaterEffect::Tell(format!(
                "`{}` at {} takes updates of {} again",
                self.settings.name, self.settings.address, self.settings.zone
            )));
        }
        self.acknowledge();
    }

    fn fail(&mut self, now: Time, failure: Failure, is_write: bool) {
        self.counters.failures += 1;
        self.write_failed |= is_write;
        // Whoever was away may come back with anything, and a change may have been made unheard.
        self.read_all();
        self.not_before = self.retry.failed(now);
        let is_news = self.problem.as_ref().is_none_or(|(last, _)| {
            std::mem::discriminant(last) != std::mem::discriminant(&failure)
        });
        if is_news {
            let text = failure.explain(&self.settings);
            let name = &self.settings.name;
            self.said.push(UpdaterEffect::Warn(format!("name server `{name}`: {text}")));
        }
        let since = self.problem.as_ref().map_or(now, |(_, since)| *since);
        self.problem = Some((failure, since));
    }

    fn read_all(&mut self) {
        self.reads_all = true;
        self.serial = None;
        self.serial_before = None;
        self.names.values_mut().for_each(|name| {
            name.held = None;
            name.verdict = None;
            name.in_use = false;
        });
    }

    fn service_of(&self, target: &DomainName) -> Option<DomainName> {
        let names = &self.desired.as_ref()?.names;
        names.iter().find(|name| name.target == *target).map(|name| name.service.clone())
    }

    /// Judges what is known anew, and acknowledges the Plan if nothing is left to be done.
    fn judge_all(&mut self) {
        let Some(desired) = &self.desired else { return };
        for wanted in &desired.names {
            let Some(name) = self.names.get_mut(&wanted.target) else { continue };
            let Some(held) = &name.held else { continue };
            let known = name.known.as_ref();
            let verdict = match held.is_empty() && name.in_use {
                true => Verdict::Foreign(
                    "records of other types stand there: remove them, or publish elsewhere".into(),
                ),
                false => judge(held, wanted, desired, known, &self.settings),
            };
            let marks = held.texts.iter().filter_map(|data| Mark::from_data(data).ok());
            let ours = marks.filter(|mark| mark.owner == self.settings.owner);
            self.seen = self.seen.take().max(ours.map(|mark| mark.plan).max());
            if verdict == Verdict::Good {
                name.known = Some(wanted.content.clone());
            }
            let told = line(&verdict);
            if told != name.told {
                let server = &self.settings.name;
                let text = |told| format!("name server `{server}`: {}: {told}", wanted.target);
                self.said.extend(told.as_ref().map(|told| UpdaterEffect::Warn(text(told))));
                name.told = told;
            }
            name.verdict = Some(verdict);
        }
        self.acknowledge();
    }

    /// Takes the Plan as acknowledged if nothing of it is left to be done.
    fn acknowledge(&mut self) {
        let Some(desired) = &self.desired else { return };
        let is_done = |wanted: &DesiredName| {
            let name = self.names.get(&wanted.target);
            let verdict = name.and_then(|name| name.verdict.as_ref());
            matches!(verdict, Some(Verdict::Good | Verdict::Foreign(_)))
        };
        if self.problem.is_none() && desired.missing.is_empty() && desired.names.iter().all(is_done)
        {
            self.acknowledged = Some(desired.plan.clone());
        }
    }
}

impl Name {
    const fn is_to_be_written(&self) -> bool {
        matches!(self.verdict, Some(Verdict::Write { .. }))
    }
}

/// What someone should look at.
fn line(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Foreign(why) => Some(format!("it is left alone: {why}")),
        Verdict::Newer(plan) => Some(format!(
            "Plan {plan} is published there, which is newer than ours: it is left alone until ours is"
        )),
        Verdict::Write { why: Why::Drifted, .. } => {
            Some("somebody else changed it: it is put in order".to_owned())
        }
        Verdict::Good | Verdict::Write { .. } => None,
    }
}

const fn reason(why: Why) -> &'static str {
    match why {
        Why::New | Why::Changed => "",
        Why::Epoch => " (marked for a new epoch)",
        Why::Drifted => " (repaired)",
        Why::Adopted => " (taken over)",
    }
}

/// What a name has after this update.
fn after(wanted: &DesiredName, only_if: &OnlyIf, mark: &Mark) -> Held {
    let mut texts = match only_if {
        OnlyIf::NotInUse => Vec::new(),
        OnlyIf::Texts { all, ours, .. } => {
            all.iter().filter(|data| !ours.contains(data)).cloned().collect()
        }
    };
    texts.push(mark.to_data());
    texts.sort_unstable();
    let Content { ttl, ipv4, ipv6 } = wanted.content.clone();
    Held { ttl: Some(ttl), ipv4, ipv6, alias: None, texts }
}

fn serial_of(reply: Option<&Reply>) -> Result<u32, Failure> {
    let reply = reply.ok_or(Failure::Malformed)?;
    held::check(reply).map_err(|error| match error {
        HeldError::Rcode(code) => Failure::Question(code),
        HeldError::NotAuthoritative => Failure::NotAuthoritative,
    })?;
    let serial = reply.answers.iter().find_map(|record| match record.data {
        ReplyData::Serial(serial) => Some(serial),
        _ => None,
    });
    // A name inside another zone has none: that zone is not there.
    serial.ok_or(Failure::NotAuthoritative)
}

fn alias_of(reply: &Reply, service: &DomainName) -> Alias {
    let found = reply.answers.iter().find_map(|record| match &record.data {
        ReplyData::Alias(target) if record.owner == *service => Some((target, record.ttl)),
        _ => None,
    });
    found.map_or(Alias::Missing, |(target, ttl)| Alias::To(target.clone(), ttl))
}

impl Updater {
    /// How the name server stands.
    #[must_use]
    pub fn status(&self, now: Time) -> UpdaterStatus {
        let NameServerSettings { name, area, address, zone, .. } = &self.settings;
        let mut names = Vec::new();
        for wanted in self.desired.iter().flat_map(|desired| &desired.names) {
            let (state, detail) = self.state_of(wanted);
            names.push(named(&wanted.service, &wanted.target, state, detail));
        }
        for service in self.desired.iter().flat_map(|desired| &desired.missing) {
            let published = self.settings.services.iter().find(|it| it.service == *service);
            let target = published.map_or(service, |it| &it.target);
            let detail = "the Plan does not say where this area's clients go: what is there stays";
            names.push(named(service, target, NameState::Unknown, detail.to_owned()));
        }
        for (service, target) in &self.left {
            let detail =
                "no longer published from here: what is there stays until somebody removes it";
            names.push(named(service, target, NameState::Left, detail.to_owned()));
        }
        UpdaterStatus {
            name: name.clone(),
            area: area.clone(),
            address: address.to_string(),
            zone: zone.to_string(),
            desired: self.desired.as_ref().map(|desired| desired.plan.clone()),
            acknowledged: self.acknowledged.clone(),
            seen: self.seen.clone(),
            last_success_ms: self.last_success.map(|at| millis(now, at)),
            problem: self.problem.as_ref().map(|(failure, _)| failure.explain(&self.settings)),
            problem_ms: self.problem.as_ref().map_or(0, |(_, since)| millis(now, *since)),
            warnings: self.warnings(),
            names,
            counters: self.counters,
        }
    }

    fn state_of(&self, wanted: &DesiredName) -> (NameState, String) {
        let name = self.names.get(&wanted.target);
        let waits = || (NameState::Waiting, "to be read".to_owned());
        let Some(name) = name else { return waits() };
        match &name.verdict {
            None => waits(),
            Some(Verdict::Good) => (NameState::Published, wanted.content.to_string()),
            Some(Verdict::Write { why: Why::Drifted, .. }) => {
                let held = name.held.as_ref().map(Held::describe).unwrap_or_default();
                (NameState::Drifted, format!("somebody else put {held} there"))
            }
            Some(Verdict::Write { .. }) => {
                (NameState::Waiting, format!("to have {}", wanted.content))
            }
            Some(Verdict::Foreign(why)) => (NameState::Foreign, why.clone()),
            Some(Verdict::Newer(plan)) => {
                (NameState::Newer, format!("Plan {plan} is there, newer than ours"))
            }
        }
    }

    /// What keeps clients from what is published.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for wanted in self.desired.iter().flat_map(|desired| &desired.names) {
            let DesiredName { service, target, ttl_usual, left_out, .. } = wanted;
            let address = self.settings.address;
            if *left_out > 0 {
                warnings.push(format!("{target}: {left_out} addresses did not fit an answer"));
            }
            match self.names.get(target).and_then(|name| name.alias.as_ref()) {
                Some(Alias::Missing) => warnings.push(format!(
                    "{address} has no CNAME for {service}: add `{service}. {} IN CNAME {target}.`",
                    ttl_usual
                )),
                Some(Alias::To(other, _)) if other != target => warnings.push(format!(
                    "{address} has {service} as an alias of {other}, not of {target}"
                )),
                Some(Alias::To(_, ttl)) if ttl > ttl_usual => warnings.push(format!(
                    "the CNAME of {service} at {address} may be kept for {ttl} s, longer than the \
                     addresses ({} s): who kept it depends on this area's zone for so long; lower \
                     its TTL",
                    ttl_usual
                )),
                _ => {}
            }
        }
        warnings
    }
}

fn named(
    service: &DomainName,
    target: &DomainName,
    state: NameState,
    detail: String,
) -> NameStatus {
    NameStatus { service: service.to_string(), target: target.to_string(), state, detail }
}

fn millis(now: Time, then: Time) -> u64 {
    u64::try_from(now.since(then).as_millis()).unwrap_or(u64::MAX)
}
