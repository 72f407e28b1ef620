//! Problem: resolvers keep answers beyond their TTL; MRL forgets such load while it still comes.
//!
//! Rule: CRML, **a reconstruction** from the facts that the paper's abstract and last page confirm
//! (combine what the name server granted with what servers report; papers.md 1.4): MRL's residual
//! load, and on top of it, for each hot domain that a server still observes *without a living grant
//! of that domain*, the rate that it observes over a horizon of one TTL; and, if wanted, the reported
//! backlog. The server with the least sum over its capacity is next. Ties go round, for hot domains
//! and normal ones apart.
//!
//! What was observed of a domain before its newest grant tells how much it asks for and where it was; where
//! it is, the grant tells. So all of it is charged to the server that this grant named, from the grant's end
//! on, until something newer was observed. Reports are always some seconds old: a domain that keeps to its TTL
//! would else be charged once where it has gone and once where it came from, and one that does not would be
//! nowhere between the end of its grant and the next report.
//!
//! A domain that asks is not charged with what is observed of itself: that load goes where this
//! answer says. Were it counted, the heaviest domain would flee from itself, from server to server.
//!
//! Source: Nakai, Madeira, Buzato 2010 (WEBIST), "DNS-based load balancing for web services"; what
//! is not in its confirmed facts is ours, and says so in the guide.
//!
//! When it is wrong: without reports by domain it is MRL; where clients and resolvers are in
//! different networks, what servers observe cannot be told by resolver. Of resolvers that share one
//! prefix in servers' logs, each one's grant moves what is observed of that one alone.
//!
//! Example: TTL 60, servers a and b of equal capacity. A domain of 10 requests a second was granted
//! a at 0 and stays there beyond 60 s. At 70 a Plan says that a observed it in the last 10 s: a is
//! charged 10 x 60 requests for another 60 s as if granted just now, and whoever asks is sent to b,
//! until b's own grants weigh as much. At 75 the domain asks again and gets b: a is charged nothing for it,
//! and b from 135 on, until a Plan tells of what was observed after 75.

use std::sync::Arc;

use super::grants::{Grants, Living};
use super::hot_grants::HotGrants;
use super::{Asked, Observed, Servers, residual_load};
use crate::world::Time;

/// What is charged to servers beyond their living grants, on one answering thread.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Charges {
    observed: Arc<Observed>,
    grants: HotGrants,
    /// By server, the sum of its charges at `second`, and its backlog.
    extra: Box<[f64]>,
    second: u32,
    /// The last second before a grant ends whose domain is observed: sums hold until then.
    holds_until: u32,
    /// In which second the observation began; 0 before the first `advance`.
    began: u32,
}

/// Where what a server is charged with is the domain's own.
#[derive(Clone, Copy, Debug)]
enum Own {
    Nowhere,
    /// At this place so much.
    At(u32, f64),
    Anywhere,
}

impl Charges {
    /// For what servers report; nothing was granted yet.
    pub(super) fn new(observed: &Arc<Observed>) -> Self {
        let (grants, extra) = (HotGrants::new(observed), observed.backlog().into());
        let mut charges = Self {
            observed: Arc::clone(observed),
            grants,
            extra,
            second: 0,
            holds_until: 0,
            began: 0,
        };
        charges.sum_up();
        charges
    }

    /// What is charged to a server, and the backlog that is part of it.
    #[inline]
    pub(super) fn extra(&self, place: u32) -> f64 {
        self.extra.get(place as usize).copied().unwrap_or(0.0)
    }

    /// What of [`Self::extra`] is the domain's own.
    #[inline]
    pub(super) fn own(&self, hot: Option<u32>, place: u32) -> f64 {
        hot.map_or(0.0, |hot| self.own_at(hot as usize, place as usize))
    }

    #[inline]
    fn own_at(&self, hot: usize, place: usize) -> f64 {
        let at = hot * self.observed.servers() + place;
        let charge = if !self.has_moved(hot) {
            self.observed.charges().get(at).copied().unwrap_or(0.0)
        } else if self.grants.newest_at(hot) == place {
            self.observed.whole(hot)
        } else {
            return 0.0;
        };
        charged(charge, self.grants.end(at), self.second)
    }

    /// Where the domain's own is: before its first answer under a Plan wherever it is observed, then nowhere
    /// as long as that answer lives.
    #[inline]
    fn where_own(&self, hot: Option<u32>) -> Own {
        match hot {
            None => Own::Nowhere,
            Some(domain) if !self.has_moved(domain as usize) => Own::Anywhere,
            Some(domain) => {
                let at = self.grants.newest_at(domain as usize);
                let own = self.own_at(domain as usize, at);
                let at = u32::try_from(at).unwrap_or(u32::MAX);
                if own > 0.0 { Own::At(at, own) } else { Own::Nowhere }
            }
        }
    }

    /// Whether a hot domain was granted a server after what is observed of it, or meanwhile. A second
    /// that is not told apart counts as after.
    #[inline]
    fn has_moved(&self, hot: usize) -> bool {
        let newest = self.grants.newest(hot);
        newest > 0 && newest >= self.began
    }

    #[inline]
    pub(super) fn advance(&mut self, now: Time) {
        let second = seconds(now);
        if second > self.second {
            self.second = second;
            if self.began == 0 {
                // Nothing was granted here before, so nothing is void that should not be.
                self.began = self.observed.began(second);
            }
            if second > self.holds_until {
                self.sum_up();
            }
        }
    }

    /// A grant lives: what the server observes of this domain comes from it, and whatever all of them observed
    /// of it so far is there now.
    #[inline]
    fn grant(&mut self, hot: u32, server: u32, ttl: u32) {
        let (hot, server, servers) = (hot as usize, server as usize, self.observed.servers());
        if server >= servers {
            return;
        }
        if self.has_moved(hot) {
            let at = self.grants.newest_at(hot);
            let own = self.own_at(hot, at);
            if let Some(extra) = self.extra.get_mut(at) {
                *extra = (*extra - own).max(0.0);
            }
        } else {
            self.take_off(hot);
        }
        let end = self.grants.add((hot, server, servers), self.second, ttl);
        if self.observed.whole(hot) > 0.0 {
            self.holds_until = self.holds_until.min(end);
        }
    }

    /// Once for each hot domain and Plan: a pass over the servers.
    #[cold]
    fn take_off(&mut self, hot: usize) {
        let servers = self.observed.servers();
        let row = hot * servers..(hot + 1) * servers;
        let Some(charges) = self.observed.charges().get(row.clone()) else { return };
        let ends = self.grants.ends().get(row).unwrap_or_default();
        for ((extra, charge), end) in self.extra.iter_mut().zip(charges).zip(ends) {
            *extra = (*extra - charged(*charge, *end, self.second)).max(0.0);
        }
    }

    /// Writes down the grants of hot domains, for the others.
    pub(super) fn tell(&self, told: &mut HotGrants) {
        self.grants.tell(told);
    }

    /// Those of the others, as of that time.
    pub(super) fn hear(&mut self, told: &HotGrants, at: Time) {
        self.advance(at);
        self.grants.hear(told);
        self.sum_up();
    }

    /// Goes over to other servers and hot domains: `before` says where each server was.
    pub(super) fn carry_over(&mut self, from: &Self, before: impl Fn(usize) -> Option<usize>) {
        self.grants.carry(&self.observed, (&from.observed, &from.grants), before);
        self.second = from.second;
        self.began = if Arc::ptr_eq(&self.observed, &from.observed) {
            from.began
        } else if from.second > 0 {
            // The Plan came after that second: rather too early than too late, so that nothing is
            // charged that a grant has moved.
            self.observed.began(from.second)
        } else {
            0
        };
        self.sum_up();
    }

    /// Where grants ended, once a second at most: a pass over a table of at most
    /// [`CHARGES_MAX`](super::CHARGES_MAX) places.
    #[cold]
    fn sum_up(&mut self) {
        let servers = self.observed.servers();
        self.extra.copy_from_slice(self.observed.backlog());
        self.holds_until = u32::MAX;
        if servers == 0 {
            return;
        }
        let rows = self.observed.charges().chunks_exact(servers);
        let rows = rows.zip(self.grants.ends().chunks_exact(servers)).enumerate();
        for (hot, (charges, ends)) in rows {
            if self.has_moved(hot) {
                let at = self.grants.newest_at(hot);
                let (whole, end) = (self.observed.whole(hot), ends.get(at).copied());
                if let (Some(extra), Some(end)) = (self.extra.get_mut(at), end) {
                    *extra += charged(whole, end, self.second);
                    if whole > 0.0 && end >= self.second {
                        self.holds_until = self.holds_until.min(end);
                    }
                }
                continue;
            }
            for ((extra, charge), end) in self.extra.iter_mut().zip(charges).zip(ends) {
                *extra += charged(*charge, *end, self.second);
                if *charge > 0.0 && *end >= self.second {
                    self.holds_until = self.holds_until.min(*end);
                }
            }
        }
    }
}

/// What counts of a charge in a second: nothing as long as a grant lives.
#[inline]
const fn charged(charge: f64, end: u32, second: u32) -> f64 {
    if end < second { charge } else { 0.0 }
}

/// The server with the least residual and charged load.
#[inline]
pub(super) fn choose(
    servers: &Servers,
    asked: &Asked,
    (grants, charges): (&mut Grants, &mut Charges),
    positions: &mut [u32; 2],
) -> u32 {
    grants.advance(asked.now);
    charges.advance(asked.now);
    let since_turn = grants.since_turn(asked.now);
    let position = &mut positions[usize::from(asked.domain.hot.is_some())];
    let hot = asked.domain.hot;
    let own = charges.where_own(hot);
    let (mut room, mut room_of_extra) = (None, None);
    servers.least(position, |block, numbers| {
        let living = block.of(grants.living(), &mut room).iter().zip(block.inverses);
        let extra = block.of(&charges.extra, &mut room_of_extra);
        let each = numbers.iter_mut().zip(living.zip(extra));
        let number = |living: &Living, charged: f64, inverse: f64| {
            // What is summed up and taken off again may leave a rounding error below zero.
            (living.residual(since_turn) + charged.max(0.0)) * inverse
        };
        match own {
            Own::Nowhere => {
                for (to, ((living, inverse), extra)) in each {
                    *to = number(living, *extra, *inverse);
                }
            }
            Own::At(at, own) => {
                for ((to, ((living, inverse), extra)), place) in each.zip(block.places) {
                    let own = if *place == at { own } else { 0.0 };
                    *to = number(living, extra - own, *inverse);
                }
            }
            Own::Anywhere => {
                for ((to, ((living, inverse), extra)), place) in each.zip(block.places) {
                    *to = number(living, extra - charges.own(hot, *place), *inverse);
                }
            }
        }
    })
}

/// The server gets the grant.
#[inline]
pub(super) fn grant(
    servers: &Servers,
    chosen: u32,
    asked: &Asked,
    (grants, charges): (&mut Grants, &mut Charges),
) {
    residual_load::grant(servers, chosen, asked, grants);
    if let Some(hot) = asked.domain.hot {
        charges.grant(hot, servers.place(chosen), asked.ttl);
    }
}

/// Whole seconds, begun ones too, from 1 on: 0 is "no grant". So a grant lives a second too long
/// rather than too short: its own domain is never charged beside it.
fn seconds(now: Time) -> u32 {
    u32::try_from(now.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX - 1).saturating_add(1)
}

#[cfg(test)]
#[path = "charged_load_tests.rs"]
mod tests;
