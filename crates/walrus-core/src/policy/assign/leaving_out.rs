//! Which servers are left out of answers for their load (A12, A13).
//!
//! **Problem.** A server above the threshold is to take no new clients. But its clients go to those that
//! remain: where these are nearly as busy, by the next round they are above it, and the one that was left
//! out is idle. So the load goes round, and more clients wait than if nothing had been done.
//!
//! **Rule.** Servers that share their clients are a *pool*: those of a cluster, or with `assign = "all"` those
//! of all clusters. A server above the threshold is left out while those that remain can bear what it hands
//! over. Answers go by weight: with the server away, those that remain have as many times their clients as
//! the weights of all are times theirs, and so many times their load. That mean must not be above the
//! threshold; less the hysteresis, for a server that is to be newly left out. Who is out stays out until it is
//! below the threshold by the hysteresis, or until those that remain, as measured, are above the threshold.
//! As many are left out as can be, the busiest first.
//!
//! What counts is where clients are while loads are measured, not who is given out now: whoever was left out or
//! died within the last TTL has some that the others do not have yet ([`super::following`]).
//!
//! What a server hands over is told by the others' load, not by its own: they have as many clients by weight,
//! and of its own load nobody knows how much its clients make (a backup may run there).
//! Of servers with an unknown load nothing is known against their bearing it.
//!
//! **Source.** Thesis (004) section 3.1 for the threshold; that the others must bear it is our own: without, a dead
//! cluster's load put 9 % of the pages beyond three seconds in `studies/walrus-failures.toml`.
//!
//! **When it is wrong.** Where answers do not follow weights (`hash`, `mrl`), or few resolvers stand for many clients,
//! the others have more or fewer clients than is reckoned. The next rounds measure it.
//!
//! **Example.** Threshold 0.8, hysteresis 0.05, weights 1. Loads 0.95, 0.5, 0.5: two would have 3/2 of their load,
//! 0.75: the first is left out. Loads 0.95, 0.6, 0.6: they would have 0.9, and it stays.

use super::standing::EPSILON;

/// A server among those that share their clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// If it is known.
    pub(super) load: Option<f64>,
    /// Its share of the answers among those that are given out, in any unit.
    pub(super) weight: f64,
    /// Above the threshold, or was and is not below by the hysteresis.
    pub(super) over: bool,
    /// It is left out at present.
    pub(super) is_out: bool,
    /// It was given out for all of the last TTL: its load is that of its clients.
    pub(super) was_given: bool,
}

/// By member: whether it is to be left out. Never all of them. `spread` is the weight over which the clients of all
/// are spread while loads are measured, those of servers included that are no members any more.
pub(super) fn left_out(
    members: &[Member],
    spread: f64,
    (threshold, hysteresis): (f64, f64),
) -> Vec<bool> {
    // Who was given out may all have died: then nobody is left but those who were not.
    let nobody_is_given = members.iter().all(|it| !it.was_given);
    let tells = |index: usize| members[index].was_given || nobody_is_given;
    let is_out = |index: usize| members[index].is_out && !nobody_is_given;
    let load = |index: usize| members[index].load.unwrap_or(0.0);
    // Who was above, could not be spared, and is below by now need not go.
    let may_go = |index: &usize| {
        members[*index].over && (is_out(*index) || load(*index) > threshold + EPSILON)
    };
    let mut order: Vec<usize> = (0..members.len()).filter(may_go).collect();
    order.sort_by(|a, b| {
        is_out(*b).cmp(&is_out(*a)).then(load(*b).total_cmp(&load(*a))).then(a.cmp(b))
    });
    let mut rest = Rest::default();
    for (index, member) in members.iter().enumerate() {
        rest.add(member, tells(index), 1.0);
    }
    let spread = if nobody_is_given { rest.weight } else { spread };
    let mut count = 0;
    for (already, index) in order.iter().enumerate() {
        rest.add(&members[*index], tells(*index), -1.0);
        let limit = if is_out(*index) { threshold } else { threshold - hysteresis };
        if rest.is_below(limit, spread) {
            count = already + 1;
        }
    }
    let mut left_out = vec![false; members.len()];
    order.iter().take(count).for_each(|index| left_out[*index] = true);
    left_out
}

/// Those that remain.
#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    /// Of all of them.
    weight: f64,
    /// Of those whose load is that of their clients.
    given: f64,
    /// Of those of them whose load is known.
    known: f64,
    /// Their loads, by weight.
    load: f64,
}

impl Rest {
    /// Adds a member so many times.
    fn add(&mut self, member: &Member, tells: bool, times: f64) {
        let weight = times * member.weight;
        self.weight += weight;
        if !tells {
            return;
        }
        self.given += weight;
        if let Some(load) = member.load {
            self.known += weight;
            self.load += weight * load;
        }
    }

    /// Whether they stay below with all clients, which are spread over this weight now.
    fn is_below(&self, limit: f64, spread: f64) -> bool {
        if self.given <= EPSILON {
            // Nobody, or only such as have no clients now: what they would bear cannot be told.
            return false;
        }
        self.known <= EPSILON || self.load / self.known * (spread / self.weight) <= limit + EPSILON
    }
}

#[cfg(test)]
#[path = "leaving_out_tests.rs"]
mod tests;
