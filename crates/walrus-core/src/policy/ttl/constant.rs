//! Problem: a short TTL follows changes fast, a long one spares resolvers and survives outages.
//!
//! Rule: every answer of a service carries the configured TTL; half of it, rounded down but at
//! least one second, while the area is degraded (its home does not function, or its candidates are
//! above the threshold or not living), so that clients come home soon after the trouble ends.
//!
//! Source: the thesis, section 7.4 (at most five minutes); the halving is ours.
//!
//! When it is wrong: with few resolvers that carry most of the load, an equal TTL gives them the
//! same hold on a server as small ones (Colajanni, Yu, Cardellini 1998: adaptive TTL).
//!
//! Example: `ttl = "30s"` gives 30; while degraded 15. `ttl = "1s"` gives 1 always.

/// The TTL in seconds.
pub(super) const fn seconds(configured: u32, degraded: bool) -> u32 {
    if degraded && configured > 1 { configured / 2 } else { configured }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halved_while_degraded_but_never_to_zero() {
        for (configured, normal, degraded) in
            [(30, 30, 15), (5, 5, 2), (2, 2, 1), (1, 1, 1), (0, 0, 0)]
        {
            assert_eq!(seconds(configured, false), normal);
            assert_eq!(seconds(configured, true), degraded);
        }
    }
}
