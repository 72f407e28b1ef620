//! Problem: share load, not answers, between servers, without knowing when an answer's load ends.
//!
//! Rule: DAL, dynamically accumulated load: each answer adds the requests that follow it, over its
//! server's capacity, to that server's bin, for ever; the server whose bin, with this answer in it,
//! would be least is next. Ties go round. What follows an answer is its domain's weight, which is for the mean
//! TTL, times its own TTL over that one.
//!
//! Source: Colajanni, Yu, Dias 1998 (TPDS 9:6), papers.md 2.2. There a bin holds weights and is divided
//! by the capacity when it is compared; dividing when it is filled is the same while capacities stay,
//! and the past is not judged anew when one changes (a server that returns gradually).
//!
//! When it is wrong: nothing is ever forgotten, so that a mistake in the weights is made good for
//! hours, and load that has long ended counts like that of this minute (see `mrl`).
//!
//! A server that joins a service begins with the least bin of the others: with an empty one it would be
//! given every answer until it had made up for all of the past.
//!
//! Example: servers a, b; domains of weight 5, 2, 2, 2 get a, b, b, b (5 against 2, 4, 6).

use super::{Asked, Servers};

/// What was given to each server of a service so far, over its capacity.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bins {
    bins: Box<[f64]>,
    /// What this thread added since it told the others.
    untold: Box<[f64]>,
    /// How many times what this thread adds the others add (see `grants`) ...
    alike: f64,
    /// ... and what they are taken to have added since they were heard: part of the bins.
    expected: Box<[f64]>,
    /// What this thread added since it heard the others.
    added: f64,
    /// 1 / the TTL in seconds that weights are for.
    inverse_ttl: f64,
}

impl Bins {
    /// Empty ones, for servers `0..servers` and weights for a TTL of so many seconds.
    pub(super) fn new(servers: usize, ttl: u32) -> Self {
        let bins = vec![0.0; servers].into_boxed_slice();
        let inverse_ttl = 1.0 / f64::from(ttl.max(1));
        Self {
            untold: bins.clone(),
            expected: bins.clone(),
            bins,
            alike: 0.0,
            added: 0.0,
            inverse_ttl,
        }
    }

    /// The requests that follow an answer.
    #[inline]
    pub(super) fn requests(&self, asked: &Asked) -> f64 {
        asked.domain.counted_weight() * f64::from(asked.ttl) * self.inverse_ttl
    }

    /// A server's bin.
    #[inline]
    pub(super) fn bin(&self, place: u32) -> f64 {
        self.bins.get(place as usize).copied().unwrap_or(0.0)
    }

    #[inline]
    fn add(&mut self, place: u32, weight: f64) {
        let place = place as usize;
        if let (Some(bin), Some(untold), Some(expected)) =
            (self.bins.get_mut(place), self.untold.get_mut(place), self.expected.get_mut(place))
            && weight.is_finite()
        {
            *bin += weight * (1.0 + self.alike);
            *untold += weight;
            *expected += weight * self.alike;
            self.added += weight;
        }
    }

    /// Writes down what was added since the last call, for the others: as many servers as here.
    pub(super) fn tell(&mut self, told: &mut [f64]) {
        for (told, untold) in told.iter_mut().zip(&mut self.untold) {
            *told = std::mem::take(untold);
        }
    }

    /// What the others, so many of them, added.
    pub(super) fn hear(&mut self, told: &[f64], speakers: u32) {
        let mut theirs = 0.0;
        for ((bin, expected), told) in self.bins.iter_mut().zip(&mut self.expected).zip(told) {
            *bin += told - *expected;
            theirs += told;
            *expected = 0.0;
        }
        // From a round in which this thread gave nothing nothing is learnt of shares.
        if self.added > 0.0 {
            self.alike = (theirs / self.added).min(f64::from(speakers));
        }
        self.added = 0.0;
    }

    /// Goes over to other servers: `before` says where each of the new ones was, if it was among the
    /// service's candidates then.
    pub(super) fn carry_over(&mut self, from: &mut Self, before: impl Fn(usize) -> Option<usize>) {
        let known = |server| before(server).filter(|place| *place < from.bins.len());
        let kept = (0..self.bins.len()).filter_map(|server| from.bins.get(known(server)?));
        let least = kept.copied().fold(f64::INFINITY, f64::min);
        for server in 0..self.bins.len() {
            let place = known(server).filter(|_| least.is_finite());
            // Only differences count: they start anew from zero.
            self.bins[server] = place.map_or(0.0, |place| from.bins[place] - least);
            self.untold[server] = place.map_or(0.0, |place| from.untold[place]);
            self.expected[server] = place.map_or(0.0, |place| from.expected[place]);
        }
        (self.alike, self.added) = (from.alike, from.added);
    }
}

/// The server with the least bin, this answer in it.
#[inline]
pub(super) fn choose(servers: &Servers, asked: &Asked, bins: &Bins, position: &mut u32) -> u32 {
    let requests = bins.requests(asked);
    let mut room = None;
    servers.least(position, |block, numbers| {
        let bins = block.of(&bins.bins, &mut room).iter().zip(block.inverses);
        for (number, (bin, inverse)) in numbers.iter_mut().zip(bins) {
            *number = bin + requests * inverse;
        }
    })
}

/// The server gets the answer.
#[inline]
pub(super) fn grant(servers: &Servers, chosen: u32, asked: &Asked, bins: &mut Bins) {
    bins.add(servers.place(chosen), bins.requests(asked) * servers.inverse(chosen));
}

#[cfg(test)]
mod tests {
    use super::super::AskingDomain;
    use super::*;
    use crate::world::Time;

    fn asked(weight: f64) -> Asked {
        let domain = AskingDomain { weight, ..AskingDomain::unknown(0) };
        Asked { now: Time::ZERO, ttl: 30, domain }
    }

    fn give(servers: &Servers, asked: &Asked, bins: &mut Bins, position: &mut u32) -> u32 {
        let chosen = choose(servers, asked, bins, position);
        grant(servers, chosen, asked, bins);
        chosen
    }

    #[test]
    fn the_worked_example() {
        let (servers, mut bins, mut position) = (Servers::alike(2), Bins::new(2, 30), 0);
        let mut ask = |weight| give(&servers, &asked(weight), &mut bins, &mut position);
        assert_eq!([ask(5.0), ask(2.0), ask(2.0), ask(2.0)], [0, 1, 1, 1]);
    }

    #[test]
    fn a_shorter_ttl_brings_less() {
        let (servers, mut bins, mut position) = (Servers::alike(2), Bins::new(2, 30), 0);
        let mut ask = |weight, ttl| {
            let asked = Asked { ttl, ..asked(weight) };
            give(&servers, &asked, &mut bins, &mut position)
        };
        // An elephant of ten times the demand for a tenth of the time: a mouse, as far as bins go.
        let chosen = [ask(10.0, 3), ask(1.0, 30), ask(10.0, 3), ask(10.0, 3), ask(0.5, 60)];
        assert_eq!(chosen, [0, 1, 0, 1, 0]);
        assert_eq!(*bins.bins, [3.0, 2.0]);
    }

    #[test]
    fn capacity_divides_the_load() {
        let servers = Servers::new(&[(0, 3.0), (1, 1.0)]);
        let (mut bins, mut position) = (Bins::new(2, 30), 0);
        let mut counts = [0; 2];
        for _ in 0..400 {
            counts[give(&servers, &asked(1.0), &mut bins, &mut position) as usize] += 1;
        }
        assert_eq!(counts, [300, 100]);
    }

    #[test]
    fn who_joins_begins_with_the_least() {
        let mut before = Bins::new(2, 30);
        before.bins.copy_from_slice(&[1000.0, 1004.0]);
        let mut after = Bins::new(3, 30);
        after.carry_over(&mut before, |server| [Some(1), None, Some(0)][server]);
        assert_eq!(*after.bins, [4.0, 0.0, 0.0]);
    }

    #[test]
    fn a_capacity_that_grows_is_for_what_is_to_come() {
        let (mut bins, mut position) = (Bins::new(2, 30), 0);
        for capacity in [0.1, 0.5, 1.0] {
            let servers = Servers::new(&[(0, 1.0), (1, capacity)]);
            let mut own = 0.0;
            for _ in 0..1100 {
                let chosen = give(&servers, &asked(1.0), &mut bins, &mut position);
                own += f64::from(chosen);
            }
            let share = capacity / (1.0 + capacity);
            assert!((own / 1100.0 - share).abs() < 0.02, "{own} of 1100 for {capacity}");
        }
    }

    #[test]
    fn a_quiet_second_of_the_others_says_nothing_of_the_next() {
        let (servers, mut one) = (Servers::alike(2), Bins::new(2, 30));
        let mut round = |theirs: f64| {
            give(&servers, &asked(4.0), &mut one, &mut 0);
            one.hear(&[theirs, 0.0], 15);
            one.alike
        };
        assert_eq!([round(8.0), round(0.0), round(8.0), round(900.0)], [2.0, 0.0, 2.0, 15.0]);
        one.hear(&[8.0, 0.0], 15);
        assert_eq!(one.alike, 15.0, "a second in which only the others gave");
    }

    #[test]
    fn what_others_add_counts_and_is_not_told_on() {
        let (servers, mut one, mut other) = (Servers::alike(2), Bins::new(2, 30), Bins::new(2, 30));
        give(&servers, &asked(3.0), &mut other, &mut 0);
        let mut told = [0.0; 2];
        other.tell(&mut told);
        one.hear(&told, 1);
        assert_eq!(*one.bins, [3.0, 0.0]);
        one.tell(&mut told);
        assert_eq!(told, [0.0; 2]);
        other.tell(&mut told);
        assert_eq!(told, [0.0; 2], "once");
    }
}
