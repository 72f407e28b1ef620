//! Problem: a few domains stand for most of the load; plain round robin may give several of them to
//! one server in a row.
//!
//! Rule: RR2, two tiers: hot domains and normal ones go round each by a pointer of their own.
//! Hot is who has more than a share beta of the whole demand (1 / number of domains by default).
//!
//! Source: Colajanni, Yu, Dias 1998 (TPDS 9:6), papers.md 2.2.
//!
//! When it is wrong: with servers of different size (see `prr2`), and where demand is not known:
//! then all domains are normal and it is round robin.
//!
//! Example: servers a, b, c; h1 and h2 are hot. h1, n1, h2, n2 are answered a, a, b, b: the hot ones
//! stand apart although n1 asked between them.

use super::{AskingDomain, round_robin};

/// The next server of the domain's tier. `positions` are those of the normal and the hot tier.
#[inline]
pub(super) fn choose(len: u32, domain: &AskingDomain, positions: &mut [u32; 2]) -> u32 {
    round_robin::choose(len, &mut positions[usize::from(domain.hot.is_some())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example() {
        let hot = AskingDomain { hot: Some(0), ..AskingDomain::unknown(1) };
        let normal = AskingDomain::unknown(2);
        let mut positions = [0, 0];
        let chosen = [hot, normal, hot, normal].map(|domain| choose(3, &domain, &mut positions));
        assert_eq!(chosen, [0, 0, 1, 1]);
    }

    #[test]
    fn without_demand_it_is_round_robin() {
        let (mut two, mut one) = ([5, 0], 5);
        for _ in 0..10 {
            let normal = AskingDomain::unknown(2);
            assert_eq!(choose(3, &normal, &mut two), round_robin::choose(3, &mut one));
        }
    }
}
