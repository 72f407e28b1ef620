//! Phase three, ensure availability: away from clusters where nobody functions.
//!
//! **Problem.** Better overloaded than non-functional: every area must point at somebody.
//!
//! **Rule.** Areas that point at a cluster without a functioning server, or nowhere, are taken by
//! decreasing hits, then by name (A10), and dealt to the functioning clusters of their service in
//! turn from the best to the worst and round again, beginning with the best in each round (A11),
//! even if a cluster is taken or above the threshold. These moves are forced: no dwell holds them
//! back and no ramp stretches them.
//!
//! **Source.** Thesis (004) section 6.1, phase three.
//!
//! **When it is wrong.** Turns count areas, not their demand: a heavy and a light area weigh the
//! same. Phase four mends that in later rounds.
//!
//! **Example.** Clusters by score: B, C. Areas by hits: x 90, y 10, z 10. x goes to B, y to C, z
//! to B. If only C functions in the whole world, all three go to C.

use super::super::Reason;
use super::super::round::RoundContext;
use crate::world::ClusterId;

pub(super) fn assign(round: &mut RoundContext<'_>, pairs: &[usize]) {
    let is_stranded = |pair: &usize| !round.settled[*pair] && round.present(*pair).is_none();
    let mut stranded: Vec<usize> = pairs.iter().copied().filter(is_stranded).collect();
    stranded.sort_by(|a, b| round.hits(*b).total_cmp(&round.hits(*a)).then(a.cmp(b)));
    for pair in stranded {
        let Some(cluster) = next_in_turn(round, pair) else { continue };
        let pointed = round.pointing[pair].present.is_some();
        round.send(pair, cluster, if pointed { Reason::Forced } else { Reason::First });
        round.taken[cluster.index()] = true;
    }
}

/// The next functioning cluster of the pair's service. Services with the same threshold share
/// the turn, so that not each of them begins with the same cluster.
fn next_in_turn(round: &mut RoundContext<'_>, pair: usize) -> Option<ClusterId> {
    let class = round.class_of[pair / round.areas];
    let ranking = &round.standings[class].ranking;
    let start = round.turn[class];
    for step in 0..ranking.len() {
        let at = (start + step) % ranking.len();
        let cluster = ranking[at];
        if round.functions(pair, cluster) {
            // Beyond the last functioning one the turn begins again with the best.
            round.turn[class] = at + 1;
            return Some(cluster);
        }
    }
    None
}
