//! The instant at which what only falls has fallen far enough.

use std::time::Duration;

use crate::world::Time;

/// Instants are told as exactly as that.
const EXACT: Duration = Duration::from_micros(100);

/// The first time from `from` on at which it is so, which it is at `to` and stays.
pub(super) fn first(mut from: Time, mut to: Time, is_so: impl Fn(Time) -> bool) -> Time {
    if from >= to || is_so(from) {
        return from.min(to);
    }
    // Halved: forty times for three years.
    for _ in 0..64 {
        if to.since(from) <= EXACT {
            break;
        }
        let middle = from + to.since(from) / 2;
        if is_so(middle) { to = middle } else { from = middle }
    }
    to
}
