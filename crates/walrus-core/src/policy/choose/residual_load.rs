//! Problem: an answer keeps bringing load until its TTL ends; a server that was given several busy
//! domains lately should not be given the next one.
//!
//! Rule: MRL, minimum residual load: the server with the least sum, over its living grants, of the
//! domain's weight times the time left, over its capacity. Ties go round.
//!
//! Source: Colajanni, Yu, Dias 1998 (TPDS 9:6), papers.md 2.2. There the time left is a share of the one
//! TTL; here it is in seconds, which compares alike. Where TTLs differ it is a share of the answer's
//! own, times the mean one: an answer counts by its domain's rate at first, and fades to nothing until it
//! ends. Requests still to come (rate times seconds left) would not do: with TTL/K every answer stands
//! for as many of them, so that elephants would look like mice; but they are all at once, and it is what
//! comes at once that overloads. (Of twenty servers the fullest is then 46 % above the mean instead of
//! 19 %; with one TTL for all 9 %. A test has these figures.)
//!
//! When it is wrong: where resolvers keep answers beyond their TTL: such load is forgotten while it
//! still comes (see `crml`); and where demand is not known, then each answer counts the same. Where
//! no grant lives (an answer a TTL, or less) it goes round whatever the capacities are.
//!
//! Example: servers a, b of equal capacity, TTL 60. At 0 a domain of weight 10 gets a, at 1 one of
//! weight 4 gets b, at 2 one of weight 4 gets b again (4 x 59 = 236 against 10 x 58 = 580), at 3
//! another gets b once more (232 + 240 - 4 = 468 against 570), then a.

use super::grants::Grants;
use super::{Asked, Servers};

/// The server with the least residual load.
#[inline]
pub(super) fn choose(
    servers: &Servers,
    asked: &Asked,
    grants: &mut Grants,
    position: &mut u32,
) -> u32 {
    grants.advance(asked.now);
    let since_turn = grants.since_turn(asked.now);
    let mut room = None;
    servers.least(position, |block, numbers| {
        let living = block.of(grants.living(), &mut room).iter().zip(block.inverses);
        for (number, (living, inverse)) in numbers.iter_mut().zip(living) {
            *number = living.residual(since_turn) * inverse;
        }
    })
}

/// The server gets the grant.
#[inline]
pub(super) fn grant(servers: &Servers, chosen: u32, asked: &Asked, grants: &mut Grants) {
    grants.advance(asked.now);
    let own = grants.ttl_mean() / f64::from(asked.ttl.max(1));
    let weight = asked.domain.counted_weight() * own;
    grants.add(servers.place(chosen), weight, asked.now, asked.ttl);
}

#[cfg(test)]
mod tests {
    use super::super::AskingDomain;
    use super::*;
    use crate::world::Time;

    fn give(servers: &Servers, asked: &Asked, grants: &mut Grants, position: &mut u32) -> u32 {
        let chosen = choose(servers, asked, grants, position);
        grant(servers, chosen, asked, grants);
        chosen
    }

    #[test]
    fn the_worked_example() {
        let servers = Servers::alike(2);
        let (mut grants, mut position) = (Grants::new(2, 60), 0);
        let mut ask = |second, weight| {
            let domain = AskingDomain { weight, ..AskingDomain::unknown(0) };
            let asked = Asked { now: Time::from_secs(second), ttl: 60, domain };
            give(&servers, &asked, &mut grants, &mut position)
        };
        let chosen = [ask(0, 10.0), ask(1, 4.0), ask(2, 4.0), ask(3, 4.0), ask(4, 4.0)];
        assert_eq!(chosen, [0, 1, 1, 1, 0]);
    }

    #[test]
    fn capacity_divides_the_load() {
        let servers = Servers::new(&[(0, 3.0), (1, 1.0)]);
        let (mut grants, mut position) = (Grants::new(2, 60), 0);
        let mut counts = [0; 2];
        for _ in 0..400 {
            let asked = Asked { now: Time::ZERO, ttl: 60, domain: AskingDomain::unknown(0) };
            counts[give(&servers, &asked, &mut grants, &mut position) as usize] += 1;
        }
        assert_eq!(counts, [300, 100]);
    }

    #[test]
    fn an_elephant_of_a_short_ttl_is_none_the_less_one() {
        let servers = Servers::alike(2);
        let (mut grants, mut position) = (Grants::between(2, (6, 60, 600)), 0);
        let mut ask = |second, weight, ttl| {
            let domain = AskingDomain { weight, ..AskingDomain::unknown(0) };
            let asked = Asked { now: Time::from_secs(second), ttl, domain };
            give(&servers, &asked, &mut grants, &mut position)
        };
        // Ten times the demand for a tenth of the time: as many requests, but now.
        assert_eq!([ask(0, 10.0, 6), ask(1, 1.0, 60), ask(2, 1.0, 60)], [0, 1, 1]);
        assert_eq!([ask(7, 10.0, 6), ask(8, 1.0, 60)], [0, 1], "it comes back to its server");
    }

    #[test]
    fn without_living_grants_it_goes_round() {
        let servers = Servers::alike(3);
        let (mut grants, mut position) = (Grants::new(3, 10), 0);
        let chosen: Vec<u32> = (0..6)
            .map(|turn| {
                let now = Time::from_secs(turn * 100);
                let asked = Asked { now, ttl: 10, domain: AskingDomain::unknown(0) };
                give(&servers, &asked, &mut grants, &mut position)
            })
            .collect();
        assert_eq!(chosen, [0, 1, 2, 0, 1, 2]);
    }
}
