//! `all`: every functioning cluster at once.
//!
//! **Problem.** Some services have no geography: each server is as good as any other for every
//! client, and what matters is that weights and health hold.
//!
//! **Rule.** The candidates of every area are the servers of all functioning clusters of the
//! service, in the order of the configuration; servers above the threshold are left out while
//! the others, of all clusters, can bear it. A cluster's share follows from its servers' weights. Nothing moves, so there is
//! neither dwell nor a way by shares.
//!
//! **Source.** Plain round-robin DNS with health checks; the base line that the thesis (004,
//! chapter 2) measures geography against.
//!
//! **When it is wrong.** Whenever distance matters; and with hundreds of servers, each answer
//! shows a client only a few of them anyway.
//!
//! **Example.** Clusters a (two servers of weight 1) and b (one of weight 2): half of the answers
//! of each area name b first. b dies: all of them name a.

use super::Reason;
use super::round::RoundContext;

pub(super) fn assign(round: &mut RoundContext<'_>, pair: usize) {
    let demand = round.pointing[pair].demand;
    round.pointing[pair] = super::Pointing { demand, ..super::Pointing::default() };
    round.stay(pair, Reason::All);
}
