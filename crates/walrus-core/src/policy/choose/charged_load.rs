//! Problem: resolvers keep answers beyond their TTL; MRL forgets such load while it still comes.
//!
//! Rule: CRML, **a reconstruction** from the facts that the paper's abstract and last page confirm
//! (combine what the name server granted with what servers report; papers.md 1.4): MRL's residual
//! load, and on top of it, for each hot domain that a server still observes *without a living grant
//! of that domain*, the rate that it observes over a horizon of one TTL; and, if wanted, the reported
//! backlog. The server with the least sum over its capacity is next. Ties go round, for hot domains
//! and normal ones apart.
//!
//! A domain that asks is not charged with what is observed of itself: that load goes where this
//! answer says. Were it counted, the heaviest domain would flee from itself, from server to server.
//!
//! Source: Nakai, Madeira, Buzato 2010 (WEBIST), "DNS-based load balancing for web services"; what
//! is not in its confirmed facts is ours, and says so in the guide.
//!
//! When it is wrong: without reports by domain it is MRL; where clients and resolvers are in
//! different networks, what servers observe cannot be told by resolver.
//!
//! Example: TTL 60, servers a and b of equal capacity. A domain of 10 requests a second was granted
//! a at 0 and stays there beyond 60 s. At 70 a reports it: a is charged 10 x 60 requests for another
//! 60 s as if granted just now, and whoever asks is sent to b, until b's own grants weigh as much.

use std::sync::Arc;

use super::grants::Grants;
use super::{Asked, Servers, residual_load};
use crate::world::Time;

/// The most places of hot domains times servers of one service: what a worker keeps (4 bytes each),
/// and goes through once a second.
pub const CHARGES_MAX: usize = 1 << 16;

/// What servers report to observe, made of a Plan; the same for all workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    servers: usize,
    /// Hot domains by key, with their places.
    hot: Box<[(u64, u32)]>,
    /// At `hot * servers + server`: rate x horizon x TTL, in the unit of residual loads.
    charges: Box<[f64]>,
    /// By server, in the same unit: its backlog x TTL, or 0.
    backlog: Box<[f64]>,
}

/// What one server observes of one hot domain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObservedRate {
    /// The hot domain's place.
    pub hot: u32,
    /// The server's place among the service's.
    pub server: u32,
    /// Requests a second.
    pub rate: f64,
}

impl Observed {
    /// From the keys of hot domains by their places, requests in each server's queue, and what servers
    /// observe. Both TTL and horizon are in seconds. What is beyond [`CHARGES_MAX`], not a number or of
    /// no such server is left out.
    #[must_use]
    pub fn new(
        hot: &[u64],
        backlog: &[f64],
        observed: impl Iterator<Item = ObservedRate>,
        ttl: u32,
        horizon: u32,
    ) -> Self {
        let servers = backlog.len();
        let rows = hot.len().min(CHARGES_MAX / servers.max(1));
        let mut charges = vec![0.0; rows * servers];
        let (ttl, horizon) = (f64::from(ttl), f64::from(horizon));
        for ObservedRate { hot, server, rate } in observed {
            let (hot, server) = (hot as usize, server as usize);
            if hot < rows && server < servers && rate.is_finite() && rate > 0.0 {
                charges[hot * servers + server] = rate.min(1e12) * horizon * ttl;
            }
        }
        let mut by_key: Vec<(u64, u32)> = hot.iter().copied().zip(0..).take(rows).collect();
        by_key.sort_unstable();
        let backlog = backlog.iter().map(|queue| countable(*queue) * ttl).collect();
        Self { servers, hot: by_key.into(), charges: charges.into(), backlog }
    }

    /// Hot domains times servers.
    pub(super) const fn places(&self) -> usize {
        self.charges.len()
    }

    /// Whether places mean the same hot domains.
    pub(super) fn names_alike(&self, other: &Self) -> bool {
        self.servers == other.servers && self.hot == other.hot
    }

    fn row_of(&self, key: u64) -> Option<usize> {
        let found = self.hot.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        Some(self.hot[found].1 as usize)
    }
}

/// A number that was told, as it is reckoned with.
fn countable(number: f64) -> f64 {
    if number > 0.0 { number.min(1e12) } else { 0.0 }
}

/// What is charged to servers beyond their living grants, on one answering thread.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Charges {
    observed: Arc<Observed>,
    /// As `Observed::charges`: the last second of the living grant; 0 is none.
    ends: Box<[u32]>,
    /// By server, the sum of its charges at `second`, and its backlog.
    extra: Box<[f64]>,
    second: u32,
}

impl Charges {
    /// For what servers report; nothing was granted yet.
    pub(super) fn new(observed: &Arc<Observed>) -> Self {
        let ends = vec![0; observed.charges.len()].into();
        let (extra, observed) = (observed.backlog.clone(), Arc::clone(observed));
        let mut charges = Self { observed, ends, extra, second: 0 };
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
        let Some(hot) = hot else { return 0.0 };
        let at = hot as usize * self.observed.servers + place as usize;
        match (self.ends.get(at), self.observed.charges.get(at)) {
            (Some(end), Some(charge)) if *end < self.second => *charge,
            _ => 0.0,
        }
    }

    #[inline]
    pub(super) fn advance(&mut self, now: Time) {
        let second = seconds(now);
        if second > self.second {
            self.second = second;
            self.sum_up();
        }
    }

    /// A grant lives: what the server observes of this domain comes from it.
    #[inline]
    fn grant(&mut self, hot: u32, server: u32, ttl: u32) {
        let at = hot as usize * self.observed.servers + server as usize;
        let Some(end) = self.ends.get_mut(at) else { return };
        if *end < self.second
            && let Some(extra) = self.extra.get_mut(server as usize)
        {
            *extra = (*extra - self.observed.charges[at]).max(0.0);
        }
        *end = (*end).max(self.second.saturating_add(ttl));
    }

    /// Ends of the living grants by hot domain and server, for the others.
    pub(super) fn tell(&self, told: &mut [u32]) {
        told.iter_mut().zip(&self.ends).for_each(|(told, end)| *told = *end);
    }

    /// Those of the others.
    pub(super) fn hear(&mut self, told: &[u32]) {
        self.ends.iter_mut().zip(told).for_each(|(end, told)| *end = (*end).max(*told));
        self.sum_up();
    }

    /// Goes over to other servers and hot domains: `before` says where each server was.
    pub(super) fn carry_over(&mut self, from: &Self, before: impl Fn(usize) -> Option<usize>) {
        carry_ends((&from.observed, &from.ends), (&self.observed, &mut self.ends), before);
        self.second = from.second;
        self.sum_up();
    }

    /// Once a second: a pass over a table of at most [`CHARGES_MAX`] places.
    #[cold]
    fn sum_up(&mut self) {
        let servers = self.observed.servers;
        self.extra.copy_from_slice(&self.observed.backlog);
        if servers == 0 {
            return;
        }
        let rows = self.observed.charges.chunks_exact(servers).zip(self.ends.chunks_exact(servers));
        for (charges, ends) in rows {
            for ((extra, charge), end) in self.extra.iter_mut().zip(charges).zip(ends) {
                *extra += if *end < self.second { *charge } else { 0.0 };
            }
        }
    }
}

/// Ends of grants where their hot domains and servers are now.
pub(super) fn carry_ends(
    (from, ends): (&Observed, &[u32]),
    (to, carried): (&Observed, &mut [u32]),
    before: impl Fn(usize) -> Option<usize>,
) {
    for (key, row) in &to.hot {
        let Some(old_row) = from.row_of(*key) else { continue };
        for server in 0..to.servers {
            let Some(place) = before(server).filter(|place| *place < from.servers) else {
                continue;
            };
            let end = ends.get(old_row * from.servers + place).copied().unwrap_or(0);
            if let Some(carried) = carried.get_mut(*row as usize * to.servers + server) {
                *carried = (*carried).max(end);
            }
        }
    }
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
    servers.least(position, |place, inverse| {
        // What is summed up and taken off again may leave a rounding error below zero.
        let charged = (charges.extra(place) - charges.own(hot, place)).max(0.0);
        (grants.residual(place, since_turn) + charged) * inverse
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
mod tests {
    use super::super::AskingDomain;
    use super::*;

    const TTL: u32 = 60;
    const HOT: [u64; 1] = [9];

    struct Worker {
        servers: Servers,
        grants: Grants,
        charges: Charges,
        positions: [u32; 2],
    }

    impl Worker {
        fn new(observed: Observed) -> Self {
            let count = observed.servers;
            Self {
                servers: Servers::alike(count as u32),
                grants: Grants::new(count, TTL),
                charges: Charges::new(&Arc::new(observed)),
                positions: [0, 0],
            }
        }

        fn ask(&mut self, millis: u64, domain: AskingDomain) -> u32 {
            let asked = Asked { now: Time::from_millis(millis), ttl: TTL, domain };
            let memory = (&mut self.grants, &mut self.charges);
            let chosen = choose(&self.servers, &asked, memory, &mut self.positions);
            grant(&self.servers, chosen, &asked, (&mut self.grants, &mut self.charges));
            chosen
        }

        fn hear(&mut self, observed: Observed) {
            let mut next = Charges::new(&Arc::new(observed));
            next.carry_over(&self.charges, Some);
            self.charges = next;
        }
    }

    fn hot(weight: f64) -> AskingDomain {
        AskingDomain { weight, hot: Some(0), ..AskingDomain::unknown(HOT[0]) }
    }

    fn normal(weight: f64) -> AskingDomain {
        AskingDomain { weight, ..AskingDomain::unknown(1) }
    }

    fn observed(entries: &[(u32, u32, f64)]) -> Observed {
        let rates = entries.iter().map(|&(hot, server, rate)| ObservedRate { hot, server, rate });
        Observed::new(&HOT, &[0.0; 2], rates, TTL, TTL)
    }

    #[test]
    fn a_domain_that_stays_beyond_its_ttl_is_charged() {
        let mut worker = Worker::new(observed(&[]));
        assert_eq!(worker.ask(0, hot(600.0)), 0, "granted a");
        worker.hear(observed(&[(0, 0, 10.0)]));
        worker.charges.advance(Time::from_secs(30));
        assert_eq!(*worker.charges.extra, [0.0, 0.0], "the grant lives: nothing on top of it");
        // The grant has ended, the requests have not: a is charged 10 x 60 requests.
        let chosen: Vec<u32> = (0..6).map(|_| worker.ask(70_000, normal(105.0))).collect();
        assert_eq!(chosen, [1; 6], "six grants of 105 make b's load more than that of a");
        assert_eq!(worker.ask(70_000, normal(105.0)), 0);
    }

    #[test]
    fn a_new_grant_takes_the_place_of_the_charge() {
        let mut worker = Worker::new(observed(&[(0, 0, 10.0), (0, 1, 1.0)]));
        worker.charges.advance(Time::from_secs(5));
        assert_eq!(*worker.charges.extra, [36_000.0, 3_600.0]);
        worker.charges.grant(0, 1, TTL);
        assert_eq!(*worker.charges.extra, [36_000.0, 0.0]);
    }

    #[test]
    fn a_domain_does_not_flee_from_itself() {
        // It keeps a beyond its TTL; b has less to do, but more than a has without it.
        let mut worker = Worker::new(observed(&[(0, 0, 10.0)]));
        let residual = [(0, 100.0), (1, 200.0)];
        for (place, weight) in residual {
            worker.grants.add(place, weight, Time::ZERO, TTL);
        }
        let mut fresh = worker.charges.clone();
        assert_eq!(worker.ask(1_000, hot(600.0)), 0);
        std::mem::swap(&mut worker.charges, &mut fresh);
        worker.grants = Grants::new(2, TTL);
        for (place, weight) in residual {
            worker.grants.add(place, weight, Time::ZERO, TTL);
        }
        assert_eq!(worker.ask(1_000, normal(1.0)), 1, "others see its load");
    }

    #[test]
    fn backlog_is_charged_where_it_is_reported() {
        let mut worker =
            Worker::new(Observed::new(&HOT, &[3.0, 0.0], std::iter::empty(), TTL, TTL));
        let chosen = [1, 2, 3, 4].map(|_| worker.ask(0, normal(1.0)));
        assert_eq!(chosen, [1, 1, 1, 0]);
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let odd = [(0, 7, 1.0), (u32::MAX, 0, 1.0), (0, 0, f64::NAN), (0, 1, -1.0)];
        assert!(observed(&odd).charges.iter().all(|charge| *charge == 0.0));
        let backlog = [f64::NAN, -1.0];
        let odd = Observed::new(&HOT, &backlog, std::iter::empty(), TTL, TTL);
        assert_eq!(*odd.backlog, [0.0, 0.0]);
        let nobody = Observed::new(&HOT, &[], std::iter::empty(), TTL, TTL);
        Charges::new(&Arc::new(nobody)).advance(Time::from_secs(9));
    }

    #[test]
    fn what_others_granted_lives_here_too() {
        let mut one = Worker::new(observed(&[(0, 0, 10.0)]));
        let mut other = one.charges.clone();
        other.advance(Time::ZERO);
        other.grant(0, 0, TTL);
        let mut told = [0; 2];
        other.tell(&mut told);
        one.charges.advance(Time::ZERO);
        one.charges.hear(&told);
        assert_eq!(*one.charges.extra, [0.0, 0.0]);
        one.charges.advance(Time::from_secs(u64::from(TTL) + 1));
        assert_eq!(*one.charges.extra, [36_000.0, 0.0]);
    }

    #[test]
    fn hot_domains_keep_their_grants_where_their_order_changes() {
        let mut before = Charges::new(&Arc::new(Observed::new(
            &[7, 9],
            &[0.0; 2],
            std::iter::empty(),
            TTL,
            TTL,
        )));
        before.advance(Time::ZERO);
        before.grant(1, 0, TTL);
        let rates = [(0, 2, 1.0), (1, 2, 1.0)];
        let rates = rates.into_iter().map(|(hot, server, rate)| ObservedRate { hot, server, rate });
        let observed = Observed::new(&[9, 5], &[0.0; 3], rates, TTL, TTL);
        let mut after = Charges::new(&Arc::new(observed));
        after.carry_over(&before, |server| [None, Some(1), Some(0)][server]);
        // Domain 9 holds the grant of what is server 2 now; domain 5 is charged there.
        assert_eq!(*after.extra, [0.0, 0.0, 3600.0]);
    }

    proptest::proptest! {
        /// Reports for living grants only, or none at all: MRL, choice by choice.
        #[test]
        fn without_strays_it_is_mrl(
            asks in proptest::collection::vec((0_u64..4_000, 0_u32..3, 1_u32..50), 1..200),
            report in proptest::bool::ANY,
        ) {
            let mut crml = Worker::new(observed(&[]));
            let (servers, mut grants) = (Servers::alike(2), Grants::new(2, TTL));
            let (mut position, mut now) = (0, 0);
            let mut granted = [None; 2];
            for (pause, domain, weight) in asks {
                now += pause;
                let weight = f64::from(weight);
                let domain = if domain == 0 { hot(weight) } else { normal(weight) };
                if report {
                    let lives = |at: &Option<u64>| at.is_some_and(|at| at + 60_000 > now);
                    let rates = (0..).zip(&granted).filter(|(_, at)| lives(at));
                    let rates: Vec<_> = rates.map(|(server, _)| (0, server, 5.0)).collect();
                    crml.hear(observed(&rates));
                }
                let asked = Asked { now: Time::from_millis(now), ttl: TTL, domain };
                // With one pointer: ties go round together.
                crml.positions = [position; 2];
                let chosen = crml.ask(now, domain);
                let expected = residual_load::choose(&servers, &asked, &mut grants, &mut position);
                residual_load::grant(&servers, expected, &asked, &mut grants);
                proptest::prop_assert_eq!(chosen, expected);
                if domain.hot.is_some() {
                    granted[chosen as usize] = Some(now);
                }
            }
        }
    }
}
