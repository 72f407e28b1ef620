//! Phase two, locality preference: home if it has a server below the threshold.
//!
//! **Problem.** Near servers are fast and keep wide-area traffic low; but an area that runs home
//! at the first sign of room and away again confuses every cache on the way.
//!
//! **Rule.** An area at home is assigned to it while one of its functioning servers is not above
//! the threshold (equal is not above). An area that is away goes home once its home has been
//! below by the hysteresis for `home_rounds` rounds (A7; 1 and 0 are the thesis) and its last
//! move has been out for a TTL (A23), by shares if the service has a ramp. An area whose present
//! cluster does not function must move anyway: it goes home without waiting if home has room. An
//! area that points nowhere yet goes to its home if that functions, however loaded. Areas without
//! a home are passed over (A21), and one cluster may be home to many (A22).
//!
//! **Source.** Thesis (004) section 6.1, phase two.
//!
//! An area that would bring its home above the threshold less the hysteresis, with what it brings along
//! ([`super::super::brought`]), does not go home while home would then be busier than where it is: else phase four
//! would send it away again, and the two phases it to and fro for ever. One whose [trial](super::super::trial) has
//! failed does: it is as busy there, and farther.
//!
//! **When it is wrong.** What an area brings is reckoned from queries. Where these say little of its
//! load, it may go away and come back; dwell, hysteresis and ramp make that slow, not impossible.
//!
//! **Example.** Threshold 0.8, hysteresis 0.05, home at 0.78: an area at home stays, one that is
//! away waits until 0.75. Home idle, the area at a cluster of the same size with a load of 0.4, all of it its
//! own: it goes home. At one six times as large with a load of 0.16: home would be at 0.95, and it stays.

use super::super::Reason;
use super::super::round::RoundContext;
use crate::world::ClusterId;

pub(super) fn assign(round: &mut RoundContext<'_>, pairs: &[usize]) {
    for &pair in pairs {
        prefer_home(round, pair);
    }
}

fn prefer_home(round: &mut RoundContext<'_>, pair: usize) {
    let Some(home) = round.home(pair) else { return };
    let has_room = round.has_room(pair, home);
    match round.present(pair) {
        None if round.pointing[pair].present.is_none() => round.send(pair, home, Reason::Home),
        None if has_room => round.send(pair, home, Reason::ForcedHome),
        Some(present) if present == home && has_room && round.is_round() => {
            let on_the_way = round.pointing[pair].transition.is_some();
            round.stay(pair, if on_the_way { Reason::GoesHome } else { Reason::Home });
        }
        Some(present) if present != home && may_return(round, pair, home) => {
            round.send_gradually(pair, home, Reason::GoesHome);
        }
        _ => return,
    }
    round.taken[home.index()] = true;
}

/// A7 and A23.
fn may_return(round: &RoundContext<'_>, pair: usize, home: ClusterId) -> bool {
    let rounds_below = round.standing(pair).clusters[home.index()].rounds_below;
    round.may_balance(pair)
        && round.has_dwelt(pair)
        && round.is_seen(pair)
        && rounds_below >= round.service(pair).home_rounds.max(1)
        && (round.has_failed_trial(pair) || !round.is_better_off(pair, home))
}
