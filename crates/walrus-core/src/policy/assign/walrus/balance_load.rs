//! Phase four, load balancing: the worst area to the best free cluster, if that is worth it.
//!
//! **Problem.** Areas that phases two and three left where they are may sit on a cluster that is
//! far busier than another. If all of them went to the idle one at once it would be the busiest
//! next, and so on for ever.
//!
//! **Rule.** The areas still unassigned are taken worst first: highest mean load of the cluster
//! that they point at, then most hits, then by name (A3). Each goes to the best cluster (A2) that
//!
//! - was not yet given an area in this round by any phase, over all services (what that brings
//!   is not measured yet); with `spill = "unassigned"`: that nothing was assigned to in this round at all (A4);
//! - is worth it: its load, with what the area brings along ([`super::super::brought`]), is at most
//!   (1 - `better_ratio`) of the present one's and lower by `better_by` (A8). So the area is better off
//!   there for good, and has no cause to return;
//! - has measured load to spare, and is not its home, which is left to phase two.
//!
//! If none is worth it for an area whose cluster is overloaded for long, it may go on [`trial`]. An area stays whose last move has not been out for a TTL (A23), and one that nobody asks for: it has no load
//! to move.
//!
//! **Source.** Thesis (004) sections 6.1 and 6.2.
//!
//! **When it is wrong.** Right after many areas lost their home it takes many rounds to spread
//! them: the price of never swinging.
//!
//! **Example.** Areas x, y, z, alike, at a cluster with load 0.95, another idle: x moves in this round, to
//! 0.32; y in the next, to 0.63; z, alone, would gain nothing. Two clusters, both above the threshold: nothing
//! moves. One area at 0.95, another cluster idle: it stays, for it would bring 0.95 along, unless a [`trial`] shows
//! that it does not.

use super::super::Reason;
use super::super::round::RoundContext;
use super::super::trial;
use crate::world::{ClusterId, Spill};

pub(super) fn assign(round: &mut RoundContext<'_>, pairs: &[usize]) {
    let mut waiting: Vec<(f64, usize)> = Vec::new();
    for &pair in pairs {
        let may_move = !round.settled[pair]
            && round.may_balance(pair)
            && round.has_dwelt(pair)
            && !round.is_idle(pair);
        if may_move && let Some(load) = present_load(round, pair) {
            waiting.push((load, pair));
        }
    }
    waiting.sort_by(|(load_a, a), (load_b, b)| {
        let by_hits = || round.hits(*b).total_cmp(&round.hits(*a));
        load_b.total_cmp(load_a).then_with(by_hits).then(a.cmp(b))
    });
    for (load, pair) in waiting.iter().copied() {
        let is_worth_it = |cluster: &ClusterId| {
            let with = round.load_with(pair, *cluster);
            with.is_some_and(|with| round.is_better(pair, load, with))
        };
        let Some(best) = free_clusters(round, pair).find(is_worth_it) else { continue };
        round.send(pair, best, Reason::Balanced);
        round.taken[best.index()] = true;
    }
    trial::begin(round, &waiting, |round, pair| free_clusters(round, pair).collect());
}

/// The mean load where the pair points; an unknown one gives no ground to leave.
fn present_load(round: &RoundContext<'_>, pair: usize) -> Option<f64> {
    let present = round.present(pair)?;
    round.standing(pair).clusters[present.index()].load
}

/// Where the pair may go, best first.
fn free_clusters<'r>(
    round: &'r RoundContext<'_>,
    pair: usize,
) -> impl Iterator<Item = ClusterId> + 'r {
    let standing = round.standing(pair);
    let (present, home) = (round.present(pair), round.home(pair));
    let spill = round.service(pair).spill;
    let is_free = move |cluster: &ClusterId| match spill {
        _ if round.received[cluster.index()] => false,
        Spill::Unassigned => !round.taken[cluster.index()],
        Spill::Spare => true,
    };
    standing
        .ranking
        .iter()
        .copied()
        // Sorted by spare: behind the first without any, none has.
        .take_while(|cluster| standing.clusters[cluster.index()].spare > 0.0)
        .filter(move |cluster| Some(*cluster) != present && Some(*cluster) != home)
        .filter(move |cluster| is_free(cluster) && round.functions(pair, *cluster))
}
