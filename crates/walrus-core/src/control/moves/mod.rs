//! After each change: how much traffic still follows the old answers, and until when.
//!
//! **Problem.** Whoever drains a cluster wants to switch it off, and nobody tells when. The TTL says when the last
//! cache *should* have forgotten; resolvers that keep answers for longer, and browsers, say otherwise. And a name server that was
//! not told goes on with the old answers for ever.
//!
//! **Rule.** A *move* is a change of a Plan by which servers cease to be handed out to areas. T is when it was decided. The old answers
//! of a name server go on for a TTL from when *it* has the Plan ([`parts`]): a Director says so itself, one that is kept up to date by
//! updates acknowledges it ([`answering`]). Who has not is told by name, with its part of the traffic. Three estimates tell
//! how much traffic still follows the old answers; the first that there is counts:
//!
//! - *by requests*: where the servers that were left are handed out to nobody any more and their Reporters count
//!   requests: those of now by those of the time of the move. It decides even against the others, for it is what comes; also
//!   when nobody counts any more, if more than 5 % came when they were last counted;
//! - *by who has asked*: of the resolvers that asked for the service before the move (by weight: what is known of their
//!   demand, else how often they ask), those that have not asked since, each as long as it usually keeps an
//!   answer ([`waiting`]); at least the part of those name servers that still give old ones. Only where all name servers are
//!   Directors, for no other tells who asks;
//! - *by the TTL*: caches ask at any time of it: after half of the TTL half of them have.
//!
//! When the estimate falls to 5 %, "95 % moved at T+x" is settled: x is the instant at which it did, reckoned, whenever somebody looks
//! (within an observation or a report as if it fell evenly). It is kept for an hour, a service's last for as long as the
//! Controller runs; of more than 256 those that are over give way, then the oldest, and their number is told.
//!
//! A name server *has the Plan* of a move if it holds that or a later one of the same epoch and Controller, or one that this
//! Controller itself held after it, or a later one of that. A lower number is an older Plan. Any other one is of a master that
//! is not followed here and may know nothing of the move: it counts as old until it is.
//!
//! **Source.** Our own; the time until caches have followed is that of the thesis 3.6 and A23.
//!
//! **When it is wrong.** Resolvers that ask seldom are not among those that are known; resolvers of other areas that ask for the
//! same service stand for those of the area that moved, since Directors do not tell where a domain is. A server that
//! died counts no requests. A Director that fell silent with the old answers is left out, and told of by name: cut off, it still gives
//! them, and when it is heard again the move is open again. By requests, who reads the server's own page all day never moves,
//! unless that is no more than nodes' HTTP probes of it come to: these go on while it is drained, so that much says nothing.
//! Secondaries of a name server that takes updates get them later than it does. Who a name server's clients are is not known, so it counts as the others do on average.
//!
//! **Example.** TTL 60 s; frankfurt had 120 requests a second when it was drained. After 30 s it has 66: 55 % still follow,
//! by the TTL 50 %. After 57 s it has 6: "95 % moved at T+57 s". A BIND that refuses the update at one of two areas: "50 %
//! get old answers from bind-europe", and no T+x, unless requests say that they no longer come.

mod answering;
mod askers;
mod instant;
mod parts;
mod probed;
mod status;
mod tracked;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub use self::answering::AnswererKind;
use self::answering::{Answerer, Answering};
use self::askers::Askers;
use self::parts::{Part, Parts};
pub use self::status::{BehindStatus, MoveStatus, Source};
use self::tracked::Tracked;
use self::waiting::Waiting;
use super::Controller;
use crate::message::KeptNameServers;
use crate::plan::{Plan, PlanNumber, ServiceDemand, diff};
use crate::world::{Domain, Name, Observation, Time};

/// So many moves are kept, the newest; how many more there were is told.
const MOVES_MAX: usize = 256;

/// A move is told of for so long, the last of each service for longer.
const KEPT: Duration = Duration::from_secs(3600);

/// Moved enough: what is below does not pay to wait for.
const REST: f64 = 0.05;

/// So many areas of one move are told by name.
const AREAS_NAMED: usize = 8;

/// So many name servers that are behind are told of by name.
const BEHIND_NAMED: usize = 32;

/// All moves of late.
#[derive(Clone, Debug, Default)]
pub(super) struct Moves {
    moves: VecDeque<Tracked>,
    askers: Askers,
    answering: Answering,
    left_out: LeftOut,
    /// Before that nothing is known.
    begun: Time,
}

/// Moves that there was no room for, by the minute in which they were decided: no more than an hour has.
#[derive(Clone, Debug, Default)]
struct LeftOut {
    by_minute: BTreeMap<u64, u64>,
}

impl LeftOut {
    fn add(&mut self, at: Time, now: Time) {
        *self.by_minute.entry(minute(at)).or_default() += 1;
        self.by_minute.retain(|minute, _| *minute >= first_minute(now));
    }

    fn count(&self, now: Time) -> u64 {
        self.by_minute.range(first_minute(now)..).map(|(_, count)| count).sum()
    }
}

fn minute(at: Time) -> u64 {
    at.since(Time::ZERO).as_secs() / 60
}

/// The first of the last hour.
fn first_minute(now: Time) -> u64 {
    minute(now).saturating_sub(KEPT.as_secs() / 60)
}

/// Of a Director, a service and areas.
type Queries<'a> = dyn Fn(&Name, &str, &[Name]) -> Option<f64> + 'a;

/// What is known when a Plan takes the place of another.
pub(super) struct Ground<'a> {
    /// Requests a second by server, of those that count them.
    hits: &'a BTreeMap<Name, f64>,
    /// Those of them, about, that are nodes' probes.
    probes: &'a BTreeMap<Name, f64>,
    /// What is known of domains' requests, by service.
    demand: &'a BTreeMap<String, ServiceDemand>,
    /// Queries a second for a service from areas that a Director gets; `None` if it does not tell.
    queries: &'a Queries<'a>,
    now: Time,
}

impl Moves {
    /// Nothing is known of what moved before.
    pub(super) fn new(now: Time) -> Self {
        Self { begun: now, ..Self::default() }
    }

    /// A Plan takes the place of another.
    pub(super) fn planned(&mut self, old: &Plan, new: &Plan, ground: &Ground<'_>) {
        self.forget(ground.now);
        self.succeed(&new.number, ground.now);
        let changes = changes(old, new);
        if changes.is_empty() {
            return;
        }
        let named = named(new);
        for (Servers { service, left, added }, Areas { areas, reason }) in changes {
            let planned = old.services.iter().find(|it| it.name == service);
            let seconds = planned.map_or(0, |it| it.ttl.seconds_max());
            let ttl = Duration::from_secs(seconds.into());
            let is_alone = left.iter().all(|server| !named.contains(server));
            let hits_before = is_alone.then(|| sum(&left, ground.hits)).flatten();
            let counted = left.iter().filter_map(|it| Some((it.clone(), *ground.hits.get(it)?)));
            let hits_now = counted.collect();
            let probes = left.iter().filter_map(|it| ground.probes.get(it));
            let probes: f64 = probes.sum();
            let demand = ground.demand.get(&service);
            let waiting = self.askers.active(&service, ttl, ground.now, demand);
            let mut tracked = Tracked {
                parts: Parts::default(),
                areas,
                left,
                added,
                reason,
                plan: new.number.clone(),
                later: Vec::new(),
                at: ground.now,
                ttl,
                hits_before,
                hits_now,
                probes,
                hits_seen: BTreeMap::new(),
                waiting: Waiting::new(waiting),
                seen: None,
                moved: None,
                service,
            };
            tracked.parts = self.parts(&tracked, ground);
            self.follow(tracked, ground.now);
        }
        self.come_back(&named);
    }

    /// What is held here from now on: who has it gives the answers of all that moved before.
    fn succeed(&mut self, plan: &PlanNumber, now: Time) {
        let mut is_news = false;
        for tracked in &mut self.moves {
            is_news |= tracked.succeed(plan);
        }
        if is_news {
            let holding = self.answering.all().filter(|(_, known)| known.is_said_to_hold(plan));
            let holding: Vec<_> = holding.map(|(who, _)| who.clone()).collect();
            self.answers(&holding, now);
        }
    }

    /// One more; of too many, one that is over gives way, else the oldest.
    fn follow(&mut self, tracked: Tracked, now: Time) {
        if self.moves.len() >= MOVES_MAX {
            let over = self.moves.iter().position(|it| it.moved.is_some());
            if let Some(ended) = self.moves.remove(over.unwrap_or(0)) {
                self.left_out.add(ended.at, now);
            }
        }
        self.moves.push_back(tracked);
    }

    /// Who answers the areas that moved for the service; some may have the Plan already, if another Controller made it.
    fn parts(&self, of: &Tracked, ground: &Ground<'_>) -> Parts {
        let all = self.answering.all();
        let all = all.filter(|(_, known)| known.answers(&of.service, &of.areas));
        let all = all.map(|(who, known)| {
            let weight = match who {
                Answerer::Director(name) => (ground.queries)(name, &of.service, &of.areas),
                Answerer::NameServer { .. } => None,
            };
            Part { weight, ..of.part(who, known) }
        });
        Parts::new(all.collect())
    }

    /// A Director says by which Plan it answers, if any, and what keeps it from a newer one.
    pub(super) fn director(
        &mut self,
        name: &Name,
        held: Option<PlanNumber>,
        problem: Option<String>,
        now: Time,
    ) {
        let who = self.answering.director(name, held, problem, now);
        self.answers(&who, now);
    }

    /// A node tells of the name servers that it keeps up to date.
    pub(super) fn kept(&mut self, by: &Name, kept: KeptNameServers, now: Time) {
        let who = self.answering.kept(by, kept, now);
        self.answers(&who, now);
    }

    /// A Director, or another node that keeps name servers, fell silent, or is heard again.
    pub(super) fn silent(&mut self, node: &Name, is_silent: bool, now: Time) {
        let who = self.answering.silent(node, is_silent);
        self.answers(&who, now);
    }

    /// There is news of these, and some may have been forgotten meanwhile.
    fn answers(&mut self, who: &[Answerer], now: Time) {
        let gone = self.answering.take_gone();
        let known = who.iter().filter_map(|who| Some((who, self.answering.get(who)?)));
        let known: Vec<_> = known.collect();
        if !gone.is_empty() || !known.is_empty() {
            self.moves.iter_mut().for_each(|tracked| tracked.answers(&gone, &known, now));
        }
    }

    /// A Director counted queries. `is_known` says whether there is such a service.
    pub(super) fn observed(
        &mut self,
        director: &Name,
        observation: &Observation,
        is_known: impl Fn(&str) -> bool,
        now: Time,
    ) {
        let covered = Duration::from_millis(observation.duration_ms);
        let who = Answerer::Director(director.clone());
        for counts in observation.services.iter().filter(|counts| is_known(&counts.service)) {
            let mut asked = Vec::new();
            // The heaviest come first; more than are kept would only push each other out.
            for domain in counts.domains.iter().take(askers::DOMAINS_MAX) {
                // What may be another's is nobody's.
                let queries = domain.queries.saturating_sub(domain.error);
                if queries > 0 && domain.domain.parse::<Domain>().is_ok() {
                    self.askers.asked(&counts.service, &domain.domain, queries, covered, now);
                    asked.push(&domain.domain);
                }
            }
            for tracked in self.moves.iter_mut().filter(|it| it.service == counts.service) {
                // Before it had the Plan it gave the old answer once more.
                let switched = tracked.switched(&who, &self.answering);
                if switched.is_some_and(|switched| now.since(switched) >= covered) {
                    let ttl = tracked.ttl;
                    tracked.take(covered, now, |it| {
                        asked.iter().for_each(|domain| it.waiting.asked(domain, ttl));
                    });
                }
            }
        }
    }

    /// A server's Reporter tells of its requests a second over this unit.
    pub(super) fn reported(&mut self, server: &Name, hits: f64, unit: Duration, now: Time) {
        let moves = self.moves.iter_mut();
        for it in moves.filter(|it| it.hits_before.is_some() && it.left.contains(server)) {
            it.take(unit, now, |it| {
                it.hits_now.insert(server.clone(), hits);
                // Of a unit that began before it, nobody knows what came since.
                if now.since(it.at) >= unit {
                    it.hits_seen.insert(server.clone(), hits);
                }
            });
        }
    }

    /// Time has passed. Some servers may have fallen silent: `hits` has the requests a second of the others.
    pub(super) fn counted(&mut self, hits: &BTreeMap<Name, f64>, now: Time) {
        let fewer = self.answering.forget(now);
        self.answers(&fewer, now);
        for it in self.moves.iter_mut().filter(|it| it.moved.is_none()) {
            if it.hits_now.keys().all(|server| hits.contains_key(server)) {
                it.pass(now);
                continue;
            }
            it.take(Duration::ZERO, now, |it| {
                it.hits_now.retain(|server, _| hits.contains_key(server));
            });
        }
    }

    /// Whether there is anything to be told.
    pub(super) fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }

    /// The newest first.
    pub(super) fn status(&self, now: Time) -> Vec<MoveStatus> {
        let mut told = BTreeSet::new();
        let recent = self.moves.iter().rev();
        let recent = recent.filter(|it| told.insert(&it.service) || now.since(it.at) < KEPT);
        recent.map(|it| it.status(&self.answering, now)).collect()
    }

    /// How many of late there was no room for.
    pub(super) fn left_out(&self, now: Time) -> u64 {
        self.left_out.count(now)
    }

    /// Since when moves are followed.
    pub(super) const fn begun(&self) -> Time {
        self.begun
    }

    /// What is old, but for the last of each service.
    fn forget(&mut self, now: Time) {
        let fewer = self.answering.forget(now);
        self.answers(&fewer, now);
        let mut last = BTreeSet::new();
        let kept = self.moves.drain(..).rev();
        let kept = kept.filter(|it| last.insert(it.service.clone()) || now.since(it.at) < KEPT);
        let mut kept: VecDeque<Tracked> = kept.collect();
        kept.make_contiguous().reverse();
        self.moves = kept;
    }

    /// Servers that are handed out again get requests of their own.
    fn come_back(&mut self, named: &BTreeSet<Name>) {
        for tracked in &mut self.moves {
            if tracked.left.iter().any(|server| named.contains(server)) {
                tracked.hits_before = None;
            }
        }
    }
}

impl Controller {
    /// Another Plan is about to be in force.
    pub(super) fn note_moves(&mut self, plan: &Plan) {
        let Some(old) = self.plan.clone() else { return };
        let hits = self.requests_a_second();
        let probes = self.probes_a_second();
        let (demand, topology, now) = (&self.demand, &self.configuration.topology, self.now);
        let queries = |director: &Name, service: &str, areas: &[Name]| {
            demand.queries(director, service, areas, topology, now)
        };
        let demand = self.told.by_service();
        let ground = Ground { hits: &hits, probes: &probes, demand, queries: &queries, now };
        self.moves.planned(&old, plan, &ground);
    }

    /// What servers count by now, if any move is to be followed.
    pub(super) fn follow_moves(&mut self) {
        if !self.moves.is_empty() {
            let hits = self.requests_a_second();
            self.moves.counted(&hits, self.now);
        }
    }

    fn requests_a_second(&self) -> BTreeMap<Name, f64> {
        self.servers.counted(self.now).map(|(name, hits)| (name.clone(), hits)).collect()
    }
}

/// What ceases to be handed out for a service, and what is instead.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Servers {
    service: String,
    left: Vec<Name>,
    added: Vec<Name>,
}

/// Where that is so.
struct Areas {
    areas: Vec<Name>,
    reason: String,
}

/// What servers areas leave from one Plan to the next; those that leave alike are one change.
fn changes(old: &Plan, new: &Plan) -> BTreeMap<Servers, Areas> {
    let mut changes: BTreeMap<Servers, Areas> = BTreeMap::new();
    for change in diff(old, new).areas {
        if change.removed.is_empty() || change.clusters_to.is_none() {
            continue;
        }
        let servers =
            Servers { service: change.service, left: change.removed, added: change.added };
        let reason = change.reason;
        let of = || Areas { areas: Vec::new(), reason };
        changes.entry(servers).or_insert_with(of).areas.push(change.area);
    }
    changes
}

/// All servers that a Plan hands out to anybody.
fn named(plan: &Plan) -> BTreeSet<Name> {
    let groups = plan.lists.iter().flat_map(|list| &list.groups);
    let servers = groups.flat_map(|group| &group.candidates).map(|it| it.server as usize);
    servers.filter_map(|place| plan.servers.get(place)).map(|it| it.name.clone()).collect()
}

/// Requests of these servers, if all of them count some.
fn sum(servers: &[Name], hits: &BTreeMap<Name, f64>) -> Option<f64> {
    let all: Option<f64> = servers.iter().map(|server| hits.get(server).copied()).sum();
    all.filter(|sum| sum.is_finite())
}

#[cfg(test)]
mod tests;
