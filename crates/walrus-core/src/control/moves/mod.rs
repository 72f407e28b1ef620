//! After each change: how much traffic still follows the old answers, and until when.
//!
//! **Problem.** Whoever drains a cluster wants to switch it off, and nobody tells when. The TTL says when the last
//! cache *should* have forgotten; resolvers that keep answers for longer, and browsers, say otherwise.
//!
//! **Rule.** A *move* is a change of a Plan by which servers cease to be handed out to areas. Three estimates tell how much of
//! their traffic still follows the old answers, the best that there is counts:
//!
//! - *by requests*: where the servers that were left are handed out to nobody any more and their Reporters count
//!   requests: those of now by those of the time of the move;
//! - *by who has asked*: of the resolvers that asked for the service before the move (by weight: what is known of their
//!   demand, else how often they ask), those that have not asked since: they still have the old answer, if any;
//! - *by the TTL*: caches ask at any time of it: after half of the TTL half of them have.
//!
//! When the estimate falls to 5 %, "95 % moved at T+x" is settled and kept for an hour.
//!
//! **Source.** Our own; the time until caches have followed is that of the thesis 3.6 and A23.
//!
//! **When it is wrong.** Resolvers that ask seldom are not among those that are known; resolvers of other areas that ask for the
//! same service stand for those of the area that moved, since Directors do not tell where a domain is. A server that
//! died counts no requests. By requests, who reads the server's own page all day never moves.
//!
//! **Example.** TTL 60 s; frankfurt had 120 requests a second when it was drained. After 30 s it has 66: 55 % still follow,
//! by the TTL 50 %. After 57 s it has 6: "95 % moved at T+57 s".

mod askers;
mod tracked;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::Serialize;

use self::askers::Askers;
use self::tracked::Tracked;
pub use self::tracked::best_estimate;
use super::Controller;
use crate::plan::{Plan, ServiceDemand, diff};
use crate::world::{Domain, Name, Observation, Time};

/// So many moves are kept, the newest.
const MOVES_MAX: usize = 256;

/// A move is told of for so long.
const KEPT: Duration = Duration::from_secs(3600);

/// Moved enough: what is below does not pay to wait for.
const REST: f64 = 0.05;

/// So many areas of one move are told by name.
const AREAS_NAMED: usize = 8;

/// All moves of late.
#[derive(Clone, Debug, Default)]
pub(super) struct Moves {
    moves: VecDeque<Tracked>,
    askers: Askers,
}

/// How one move goes on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MoveStatus {
    /// The service.
    pub service: String,
    /// The areas whose answers changed, at most eight of them by name.
    pub areas: Vec<Name>,
    /// How many areas.
    pub area_count: u64,
    /// The servers that are not handed out to them any more.
    pub left: Vec<Name>,
    /// Those that are instead, and were not before.
    pub added: Vec<Name>,
    /// Why, for people.
    pub reason: String,
    /// The Plan that did it.
    pub plan: String,
    /// How long ago, in milliseconds.
    pub age_ms: u64,
    /// How long the old answers may be cached, in milliseconds.
    pub ttl_ms: u64,
    /// How much still follows the old answers, 0 to 1, by the TTL alone.
    pub still_by_ttl: f64,
    /// The same by the resolvers that have not asked since; `None` if none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub still_by_askers: Option<f64>,
    /// The same by requests that still come; `None` if they cannot be told apart or are not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub still_by_requests: Option<f64>,
    /// Requests a second that still come to the servers that were left; as above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_a_second: Option<f64>,
    /// How long after the move 95 % had moved, in milliseconds; `None` if they have not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_95_ms: Option<u64>,
    /// When they are expected to have, by the TTL, in milliseconds after the move.
    pub expected_95_ms: u64,
}

impl Moves {
    /// A Plan takes the place of another. `hits` are requests a second by server, of those that count
    /// them; `demand` what is known of domains' requests by service.
    pub(super) fn planned(
        &mut self,
        old: &Plan,
        new: &Plan,
        hits: &BTreeMap<Name, f64>,
        demand: &BTreeMap<String, ServiceDemand>,
        now: Time,
    ) {
        self.forget(now);
        let changes = changes(old, new);
        if changes.is_empty() {
            return;
        }
        let named = named(new);
        for (Servers { service, left, added }, Areas { areas, area_count, reason }) in changes {
            let planned = old.services.iter().find(|it| it.name == service);
            let seconds = planned.map_or(0, |it| it.ttl.seconds_max());
            let ttl = Duration::from_secs(seconds.into());
            let is_alone = left.iter().all(|server| !named.contains(server));
            let hits_before = is_alone.then(|| sum(&left, hits)).flatten();
            let waiting = self.askers.active(&service, ttl, now, demand.get(&service));
            if self.moves.len() >= MOVES_MAX {
                self.moves.pop_front();
            }
            self.moves.push_back(Tracked {
                areas,
                area_count,
                left,
                added,
                reason,
                plan: new.number.to_string(),
                at: now,
                ttl,
                hits_before,
                hits_now: hits_before,
                asked_of: waiting.values().sum(),
                waiting,
                moved_95: None,
                service,
            });
        }
        self.come_back(&named);
    }

    /// A Director counted queries. `is_known` says whether there is such a service.
    pub(super) fn observed(
        &mut self,
        observation: &Observation,
        is_known: impl Fn(&str) -> bool,
        now: Time,
    ) {
        let covered = Duration::from_millis(observation.duration_ms);
        for counts in observation.services.iter().filter(|counts| is_known(&counts.service)) {
            // The heaviest come first; more than are kept would only push each other out.
            for domain in counts.domains.iter().take(askers::DOMAINS_MAX) {
                if domain.domain.parse::<Domain>().is_err() {
                    continue;
                }
                // What may be another's is nobody's.
                let queries = domain.queries.saturating_sub(domain.error);
                if queries == 0 {
                    continue;
                }
                self.askers.asked(&counts.service, &domain.domain, queries, covered, now);
                for tracked in self.moves.iter_mut().filter(|it| it.service == counts.service) {
                    // Before the move it got the old answer once more.
                    if now.since(tracked.at) >= covered {
                        tracked.waiting.remove(&domain.domain);
                    }
                }
            }
        }
        self.settle(now);
    }

    /// Requests a second that servers tell of now.
    pub(super) fn counted(&mut self, hits: &BTreeMap<Name, f64>, now: Time) {
        for tracked in self.moves.iter_mut().filter(|it| it.hits_before.is_some()) {
            tracked.hits_now = sum(&tracked.left, hits);
        }
        self.settle(now);
    }

    /// Whether there is anything to be told.
    pub(super) fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }

    /// The newest first.
    pub(super) fn status(&self, now: Time) -> Vec<MoveStatus> {
        let recent = self.moves.iter().rev().filter(|it| now.since(it.at) < KEPT);
        recent.map(|it| it.status(now)).collect()
    }

    fn settle(&mut self, now: Time) {
        self.moves.iter_mut().for_each(|tracked| tracked.settle(now));
    }

    fn forget(&mut self, now: Time) {
        self.moves.retain(|it| now.since(it.at) < KEPT);
    }

    /// Servers that are handed out again get requests of their own.
    fn come_back(&mut self, named: &BTreeSet<Name>) {
        for tracked in &mut self.moves {
            if tracked.left.iter().any(|server| named.contains(server)) {
                (tracked.hits_before, tracked.hits_now) = (None, None);
            }
        }
    }
}

impl Controller {
    /// Another Plan is about to be in force.
    pub(super) fn note_moves(&mut self, plan: &Plan) {
        let Some(old) = self.plan.clone() else { return };
        let hits = self.requests_a_second();
        self.moves.planned(&old, plan, &hits, self.told.by_service(), self.now);
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
    area_count: u64,
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
        let of = || Areas { areas: Vec::new(), area_count: 0, reason };
        let found = changes.entry(servers).or_insert_with(of);
        found.area_count += 1;
        if found.areas.len() < AREAS_NAMED {
            found.areas.push(change.area);
        }
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
