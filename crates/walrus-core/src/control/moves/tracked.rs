//! One move under way, and what is known of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::answering::{Answerer, Answering, Known, Word};
use super::instant::first;
use super::parts::{Part, Parts};
use super::waiting::Waiting;
use super::{AREAS_NAMED, BEHIND_NAMED, BehindStatus, MoveStatus, REST, Source};
use crate::plan::PlanNumber;
use crate::world::{Name, Time};

/// The rest, and a hair for rounding.
const ENOUGH: f64 = REST + 1e-9;

/// Probes vary by their jitter, and by how many of them one unit has.
const PROBES_VARY: f64 = 1.1;

/// So many other masters' Plans since a move are known; of more, the newest.
const LATER_MAX: usize = 16;

/// What holding a Plan says of the answers; the higher the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holds {
    Old,
    /// It is of another master, and may know nothing of the move.
    Unknown,
    New,
}

/// A move.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    pub(super) service: String,
    pub(super) areas: Vec<Name>,
    pub(super) left: Vec<Name>,
    pub(super) added: Vec<Name>,
    pub(super) reason: String,
    pub(super) plan: PlanNumber,
    /// The first of each other epoch and Controller that was held here since, at most [`LATER_MAX`].
    pub(super) later: Vec<PlanNumber>,
    pub(super) at: Time,
    /// The longest that an old answer may be cached.
    pub(super) ttl: Duration,
    /// Who gives answers out, and since when the new ones.
    pub(super) parts: Parts,
    /// Requests a second of the servers that were left, if all that still come are late ones.
    pub(super) hits_before: Option<f64>,
    pub(super) hits_now: BTreeMap<Name, f64>,
    /// Requests a second, about, that nodes' probes come to there.
    pub(super) probes: f64,
    /// Requests a second of each of them when they were last counted since the move.
    pub(super) hits_seen: BTreeMap<Name, f64>,
    /// Who asked before and has not since.
    pub(super) waiting: Waiting,
    /// When more than the rest was last seen, by better than the TTL.
    pub(super) seen: Option<Time>,
    pub(super) moved: Option<Moved>,
}

/// 95 % have followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) at: Time,
    pub(super) by: Source,
}

impl Tracked {
    /// By name servers' TTLs alone; all of it while nobody is known to give answers out.
    fn still_by_ttl(&self, now: Time) -> f64 {
        self.parts.still(self.ttl, now)
    }

    /// Directors alone tell who asks them; whoever gets an old answer still has it for all that.
    fn still_by_askers(&self, now: Time) -> Option<f64> {
        if self.parts.has_name_servers() {
            return None;
        }
        let share = self.waiting.share(self.last_switch(), self.ttl, now)?;
        Some(share.max(self.parts.behind_share()))
    }

    fn still_by_requests(&self) -> Option<f64> {
        let before = self.hits_before.filter(|before| *before > 0.0)?;
        Some((self.requests()? / before).clamp(0.0, 1.0))
    }

    /// What was last counted since the move, at least; nobody may count by now.
    fn seen_by_requests(&self) -> Option<f64> {
        let before = self.hits_before.filter(|before| *before > 0.0)?;
        Some((self.hits_seen.values().sum::<f64>() / before).clamp(0.0, 1.0))
    }

    /// Requests that still come; `None` if one of the servers does not tell.
    fn requests(&self) -> Option<f64> {
        self.hits_before?;
        super::sum(&self.left, &self.hits_now)
    }

    /// Whether all requests that come may be nodes' probes.
    fn may_be_probes(&self) -> bool {
        let coming = self.requests().unwrap_or_else(|| self.hits_seen.values().sum());
        self.hits_before.is_some() && coming <= self.probes * PROBES_VARY
    }

    fn longest_ttl(&self) -> Duration {
        self.parts.longest_ttl(self.ttl)
    }

    fn last_switch(&self) -> Option<Time> {
        self.parts.last_switch(REST)
    }

    /// The best estimate that there is, and whose it is. Requests that were seen to come do so until they are counted
    /// again: that nobody counts them says nothing. Nor do those that may all be probes.
    fn still(&self, now: Time) -> (Source, f64) {
        let seen = || self.seen_by_requests().filter(|seen| *seen > ENOUGH);
        let tells = |still: &f64| *still <= ENOUGH || !self.may_be_probes();
        let by_requests = self.still_by_requests().or_else(seen).filter(tells);
        let by_requests = by_requests.map(|still| (Source::Requests, still));
        let by_askers = || self.still_by_askers(now).map(|still| (Source::Askers, still));
        by_requests.or_else(by_askers).unwrap_or_else(|| (Source::Ttl, self.still_by_ttl(now)))
    }

    /// What time alone brought about came about at its own instant, whenever somebody looks.
    pub(super) fn pass(&mut self, now: Time) {
        if self.moved.is_some() {
            return;
        }
        let (by, still) = self.still(now);
        if by == Source::Requests || still > ENOUGH {
            return;
        }
        // A better source may have seen more than that for longer.
        let from = self.seen.unwrap_or(self.at);
        let at = first(from, now, |at| self.still(at).1 <= ENOUGH);
        self.moved = Some(Moved { at, by });
    }

    /// Takes something in that tells of the last `span`: what it shows came about within that, as if evenly.
    pub(super) fn take(&mut self, span: Duration, now: Time, change: impl FnOnce(&mut Self)) {
        self.pass(now);
        if self.moved.is_some() || now < self.at {
            return change(self);
        }
        let before = self.still(now).1;
        change(self);
        let (by, still) = self.still(now);
        if by == Source::Ttl {
            return self.pass(now);
        }
        if still > ENOUGH {
            self.seen = Some(now);
            return;
        }
        let begun = now.since(self.seen.unwrap_or(self.at)).min(span);
        let ahead = ((REST - still) / (before - still).max(1e-9)).clamp(0.0, 1.0);
        let ago = begun.mul_f64(ahead);
        self.moved = Some(Moved { at: self.at + now.since(self.at).saturating_sub(ago), by });
    }

    /// Some are name servers no longer; some hold another Plan than before, fell silent, or are heard of for the first time.
    pub(super) fn answers(&mut self, gone: &[Answerer], news: &[(&Answerer, &Known)], now: Time) {
        let is_none = |(who, known): &&(&Answerer, &Known)| {
            self.parts.get(who).is_some() && !known.answers(&self.service, &self.areas)
        };
        let others = news.iter().filter(is_none).map(|(who, _)| (*who).clone());
        let gone = gone.iter().filter(|who| self.parts.get(who).is_some()).cloned();
        let gone: Vec<Answerer> = gone.chain(others).collect();
        let changed: Vec<Part> =
            news.iter().filter_map(|(who, known)| self.changed(who, known)).collect();
        if gone.is_empty() && changed.is_empty() {
            return;
        }
        let heard = |part: &Part| self.parts.get(&part.who).is_some_and(Part::is_unheard);
        let is_heard_again = changed.iter().any(|part| !part.is_silent && heard(part));
        self.take(Duration::ZERO, now, |it| it.parts.change(&gone, changed));
        // It was over but for what was not known.
        let is_estimate = self.moved.is_some_and(|it| it.by != Source::Requests);
        if is_heard_again && is_estimate && self.still(now).1 > ENOUGH {
            (self.moved, self.seen) = (None, Some(now));
        }
    }

    /// Its part as it is by now, if that is another than before.
    fn changed(&self, who: &Answerer, known: &Known) -> Option<Part> {
        if !known.answers(&self.service, &self.areas) {
            return None;
        }
        let new = self.part(who, known);
        let Some(part) = self.parts.get(who) else {
            // Who is new and has the new answers never gave others.
            let has = new.gives_new().is_some();
            return (self.moved.is_none() && (!has || self.parts.is_empty())).then_some(new);
        };
        // Who has the new answers keeps the first time; so does one whose Plan turns out to be as good.
        let goes_on = part.unknown.is_none() || part.unknown == self.held(known).0;
        let kept = part.switched.filter(|_| goes_on);
        let switched = match self.held(known).1 {
            Holds::New => kept.or(new.switched),
            Holds::Unknown => kept,
            Holds::Old => None,
        };
        let new = Part { switched, weight: part.weight, ..new };
        // What is over stays over, but for those of whom nothing was known.
        let is_open = self.moved.is_none() || part.is_unheard();
        let is_news = new.gives_new().is_some() != part.gives_new().is_some()
            || (new.is_silent, &new.unknown) != (part.is_silent, &part.unknown);
        (is_open && is_news).then_some(new)
    }

    /// What is known of one, as a part whose weight nobody tells.
    pub(super) fn part(&self, who: &Answerer, known: &Known) -> Part {
        let (held, holds) = self.held(known);
        Part {
            who: who.clone(),
            weight: None,
            ttl: known.ttl(self.ttl),
            switched: (holds == Holds::New).then(|| known.since().max(self.at)),
            unknown: held.filter(|_| holds == Holds::Unknown),
            is_silent: known.is_silent(),
        }
    }

    /// The word that says least for it, and whose it is.
    fn worst<'a>(&self, known: &'a Known) -> Option<(&'a Name, &'a Word)> {
        known.worst(|held| (self.holds(held), held.cloned()))
    }

    /// By that word.
    fn held(&self, known: &Known) -> (Option<PlanNumber>, Holds) {
        let held = self.worst(known).and_then(|(_, word)| word.held.clone());
        let holds = self.holds(held.as_ref());
        (held, holds)
    }

    fn holds(&self, held: Option<&PlanNumber>) -> Holds {
        let Some(held) = held else { return Holds::Old };
        let has = held.follows(&self.plan) || self.later.iter().any(|later| held.follows(later));
        match has {
            true => Holds::New,
            false if *held > self.plan => Holds::Unknown,
            false => Holds::Old,
        }
    }

    /// This one is held here from now on. Gives whether more Plans have the new answers than before.
    pub(super) fn succeed(&mut self, plan: &PlanNumber) -> bool {
        if self.holds(Some(plan)) == Holds::New {
            return false;
        }
        if self.later.len() >= LATER_MAX {
            self.later.remove(0);
        }
        self.later.push(plan.clone());
        true
    }

    /// Since when a Director gives the new answers out.
    pub(super) fn switched(&self, who: &Answerer, answering: &Answering) -> Option<Time> {
        if let Some(part) = self.parts.get(who) {
            return part.gives_new();
        }
        let known = answering.get(who)?;
        (self.held(known).1 == Holds::New).then(|| known.since())
    }

    /// When 95 % are expected to have followed; `None` if nobody can tell.
    fn expected(&self, now: Time) -> Option<Time> {
        let by_ttl = self.parts.reached(self.ttl, REST)?;
        let by_habit = (!self.parts.has_name_servers())
            .then(|| self.waiting.expected(self.last_switch()?, self.ttl, REST, now))
            .flatten();
        let expected = by_habit.unwrap_or(by_ttl);
        // Requests still come though by then none should.
        (expected > now || self.still(now).0 != Source::Requests).then_some(expected)
    }

    /// When the last old answer should be forgotten; `None` while some are still given out.
    fn until(&self) -> Option<Time> {
        if self.parts.behind().next().is_some() {
            return None;
        }
        Some(self.last_switch()? + self.waiting.longest(self.ttl).max(self.longest_ttl()))
    }

    pub(super) fn status(&self, answering: &Answering, now: Time) -> MoveStatus {
        // Nothing may have come since: what is due by now is told by now.
        let mut latest = self.clone();
        latest.pass(now);
        let moved = latest.moved;
        let after = |at: Time| millis(at.since(self.at));
        let (best, still) = self.still(now);
        MoveStatus {
            service: self.service.clone(),
            areas: self.areas.iter().take(AREAS_NAMED).cloned().collect(),
            area_count: self.areas.len() as u64,
            left: self.left.clone(),
            added: self.added.clone(),
            reason: self.reason.clone(),
            plan: self.plan.to_string(),
            age_ms: millis(now.since(self.at)),
            ttl_ms: millis(self.longest_ttl()),
            still,
            by: moved.map_or(best, |it| it.by),
            still_by_ttl: self.still_by_ttl(now),
            still_by_askers: self.still_by_askers(now),
            still_by_requests: self.still_by_requests(),
            requests_a_second: self.requests(),
            answerers: self.parts.len() as u64,
            behind: self.named(self.parts.behind(), answering, now),
            behind_count: self.parts.behind().count() as u64,
            behind_share: self.parts.behind().map(|(_, share)| share).sum(),
            unheard: self.named(self.parts.unheard().map(|who| (who, 0.0)), answering, now),
            unheard_count: self.parts.unheard().count() as u64,
            moved_95_ms: moved.map(|it| after(it.at)),
            expected_95_ms: moved.map(|it| it.at).or_else(|| self.expected(now)).map(after),
            until_ms: self.until().map(after),
        }
    }

    /// Name servers with their shares, for people.
    fn named<'a>(
        &self,
        of: impl Iterator<Item = (&'a Answerer, f64)>,
        answering: &Answering,
        now: Time,
    ) -> Vec<BehindStatus> {
        let named = of.take(BEHIND_NAMED).map(|(who, share)| {
            let (kind, fallback) = who.kind();
            let known = answering.get(who);
            let word = known.and_then(|known| self.worst(known));
            let by =
                word.map(|(by, _)| by).filter(|_| known.is_some_and(Known::is_told_by_several));
            let word = word.map(|(_, word)| word);
            BehindStatus {
                name: word.map_or(fallback, |word| word.name.to_string()),
                kind,
                share,
                plan: word.and_then(|word| word.held.as_ref()).map(ToString::to_string),
                heard_ms: word.map(|word| millis(now.since(word.heard_at))),
                problem: word.and_then(|word| self.problem(by, word)),
            }
        });
        named.collect()
    }

    /// Why it is behind; whose word that is, if there are others'.
    fn problem(&self, by: Option<&Name>, word: &Word) -> Option<String> {
        let is_unknown = self.holds(word.held.as_ref()) == Holds::Unknown;
        let foreign = "its Plan is of another master and not known here";
        let why = [is_unknown.then_some(foreign), word.problem.as_deref()];
        let why: Vec<&str> = why.into_iter().flatten().collect();
        let why = why.join("; ");
        match by {
            Some(by) if why.is_empty() => Some(format!("so node {by} says")),
            Some(by) => Some(format!("{why} (says node {by})")),
            None => (!why.is_empty()).then_some(why),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
