//! `walrus`: the thesis' four phases.
//!
//! **Problem.** Of three goals the first that can be had comes first: every area has a
//! functioning server; areas use servers that are near; the rest of the load is balanced.
//!
//! **Rule.** In each round: [`notify_problems`] (who functions), [`prefer_locality`] (home if it
//! has a server below the threshold), [`ensure_availability`] (away from clusters where nobody
//! functions), [`balance_load`] (the worst area to the best free cluster, if that is worth it).
//! Each runs over all (service, area) pairs before the next begins. Between two rounds, for an
//! event, only pairs whose cluster stopped functioning, or that never pointed anywhere, are moved.
//!
//! **Source.** D. M. Shaw, "Walrus", MSE thesis, Johns Hopkins 1998 (004), chapter 6, read as in
//! resolutions A2 to A13 and A21 to A26.
//!
//! **When it is wrong.** It moves whole areas, one a cluster and round, and only by measured
//! load: one area with more demand than any cluster can carry stays on an overloaded one.
//!
//! **Example.** Areas a, b, c with homes A, B, C; C dies, B is above the threshold, A idle.
//! Phase two keeps a at A. Phase three sends c to the best cluster: A. Phase four finds b worst,
//! but with `spill = "unassigned"` A is taken, so b stays; with `spill = "spare"` b goes to A if
//! A's load is lower by a quarter and by 0.1.

mod balance_load;
mod ensure_availability;
pub(crate) mod notify_problems;
mod prefer_locality;

use super::Reason;
use super::round::RoundContext;

/// Assigns pairs of services in which somebody functions.
pub(super) fn assign(round: &mut RoundContext<'_>, pairs: &[usize]) {
    prefer_locality::assign(round, pairs);
    ensure_availability::assign(round, pairs);
    balance_load::assign(round, pairs);
    for &pair in pairs {
        if !round.settled[pair] {
            // A6: above the threshold, but alive, and nothing better.
            let reason = match round.is_round() {
                true if round.is_to_be_seen(pair) => Reason::OnTrial,
                true => Reason::Stays,
                false => Reason::Unmoved,
            };
            round.stay(pair, reason);
        }
    }
}
