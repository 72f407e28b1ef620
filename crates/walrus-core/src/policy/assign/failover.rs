//! `failover`: the first functioning cluster.
//!
//! **Problem.** A main site and its spares: clients belong at the main site while it works at
//! all, and the order of the spares was decided by a person.
//!
//! **Rule.** The order is the area's home, then the service's clusters as configured. An area
//! points at the first that functions. It leaves a cluster that stops functioning at once; it
//! comes back at a round, once its last move has been out for a TTL, and by shares if the service
//! has a ramp. Load plays no part, except that servers above the threshold are left out of the
//! answers while the others of their cluster can bear it.
//!
//! **Source.** The priority sets of DNS failover in general use; gradual return as for `walrus`.
//!
//! **When it is wrong.** It overloads: all areas of a dead cluster land on the same spare. Use
//! `walrus` where spares are small.
//!
//! **Example.** Clusters a, b, c, home b: the order is b, a, c. b dies: at once a. a dies too: at
//! once c. a returns: at the next round a. b returns: one TTL later, at a round, b.

use super::Reason;
use super::round::RoundContext;
use crate::world::ClusterId;

pub(super) fn assign(round: &mut RoundContext<'_>, pair: usize) {
    let Some(first) = first_functioning(round, pair) else { return };
    match round.present(pair) {
        Some(present) if present == first => round.stay(pair, Reason::Failover),
        Some(_) if round.may_balance(pair) && round.has_dwelt(pair) => {
            round.send_gradually(pair, first, Reason::Failover);
        }
        Some(_) => round.stay(pair, Reason::Stays),
        None if round.pointing[pair].present.is_some() => round.send(pair, first, Reason::Forced),
        None => round.send(pair, first, Reason::Failover),
    }
}

fn first_functioning(round: &RoundContext<'_>, pair: usize) -> Option<ClusterId> {
    let order = &round.service(pair).clusters;
    round.home(pair).or_else(|| order.iter().copied().find(|c| round.functions(pair, *c)))
}
