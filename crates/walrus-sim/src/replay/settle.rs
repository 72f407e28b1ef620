//! Which differences between what was drawn and what is expected are more than chance.
//!
//! Of n lines that were drawn, each place has some more or fewer than expected even if nothing
//! changed. How far a sum of independent draws strays with what probability Bernstein's inequality
//! (1924) bounds, for few lines as for many: P(D >= t) <= exp(-t^2 / 2 (V + b t / 3)) with the
//! variance V and the greatest single step b. What is beyond that bound moves.
//!
//! A log falls into many groups, in each of which few lines show nothing while all of them show it in
//! the same direction. So differences are looked at three times: in each group, then what is left of
//! all groups of a service together, then what is left of all. What such a pool loses on the whole is
//! taken from its groups in proportion to what each of them seems to lose.

use std::collections::BTreeMap;

use super::tally::GroupPlace;

/// The probability that a replay which changes nothing tells of a move, over all that is looked at.
const ERROR: f64 = 0.001;
/// Passes, of clusters and of servers.
const LOOKS: f64 = 6.0;
/// A share of the queries below this is what rounding left.
const NOTHING: f64 = 1e-6;

/// A cluster or a server, or `None` for no server.
pub(super) type Key = Option<u32>;

/// How much more one side brings to a place than the other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Difference {
    /// Queries before, less queries after.
    pub(super) queries: f64,
    /// Of that, if nothing changed.
    pub(super) variance: f64,
    /// The most that one draw brings; 0 without draws.
    pub(super) heaviest: f64,
}

/// The differences of one group.
#[derive(Clone, Debug, Default)]
pub(super) struct Differences {
    pub(super) queries: f64,
    pub(super) by_key: BTreeMap<Key, Difference>,
}

/// So many queries go from here to there.
pub(super) type Moving = (Key, Key, f64);

impl Difference {
    pub(super) fn add(&mut self, other: &Self) {
        self.queries += other.queries;
        self.variance += other.variance;
        self.heaviest = self.heaviest.max(other.heaviest);
    }

    /// Whether this is more than chance, of which exp(-`doubt`) is left.
    fn is_loss(&self, doubt: f64, queries: f64) -> bool {
        let step = self.heaviest * doubt / 3.0;
        let chance = step + (step * step + 2.0 * doubt * self.variance).sqrt();
        self.queries > chance.max(NOTHING * queries)
    }
}

/// What moves in each group, in the order of the groups.
pub(super) fn settle(groups: &mut [(GroupPlace, Differences)]) -> Vec<Vec<Moving>> {
    let mut moving = vec![Vec::new(); groups.len()];
    for pass in 0..3 {
        let mut pools: BTreeMap<(Option<GroupPlace>, u32), Vec<usize>> = BTreeMap::new();
        for (number, (place, _)) in groups.iter().enumerate() {
            let key = match pass {
                0 => (Some(*place), 0),
                1 => (None, place.service),
                _ => (None, 0),
            };
            pools.entry(key).or_default().push(number);
        }
        let pools: Vec<(Vec<usize>, Differences)> = pools
            .into_values()
            .map(|members| (pool(groups, &members), members))
            .map(swap)
            .collect();
        let drawn = |it: &&Difference| it.variance > 0.0;
        let looks: usize =
            pools.iter().map(|(_, sum)| sum.by_key.values().filter(drawn).count()).sum();
        let doubt = (looks.max(1) as f64 * LOOKS / ERROR).ln();
        for (members, sum) in &pools {
            settle_pool(groups, &mut moving, members, sum, doubt);
        }
    }
    moving
}

fn swap<A, B>((one, other): (A, B)) -> (B, A) {
    (other, one)
}

fn pool(groups: &[(GroupPlace, Differences)], members: &[usize]) -> Differences {
    let mut sum = Differences::default();
    for (_, differences) in members.iter().map(|number| &groups[*number]) {
        sum.queries += differences.queries;
        for (key, difference) in &differences.by_key {
            sum.by_key.entry(*key).or_default().add(difference);
        }
    }
    sum
}

/// Moves what a pool loses beyond chance.
fn settle_pool(
    groups: &mut [(GroupPlace, Differences)],
    moving: &mut [Vec<Moving>],
    members: &[usize],
    sum: &Differences,
    doubt: f64,
) {
    // What the pool loses or wins there, as a share of what its groups seem to.
    let (mut losers, mut winners) = (BTreeMap::new(), BTreeMap::new());
    for (key, difference) in &sum.by_key {
        if difference.is_loss(doubt, sum.queries) {
            losers.insert(*key, difference.queries / gross(groups, members, *key, 1.0));
        } else if difference.queries < 0.0 {
            winners.insert(*key, -difference.queries / gross(groups, members, *key, -1.0));
        }
    }
    if losers.is_empty() || winners.is_empty() {
        return;
    }
    for number in members {
        let differences = &mut groups[*number].1.by_key;
        let part = |shares: &BTreeMap<Key, f64>, sign: f64| -> Vec<(Key, f64)> {
            let of = |(key, share): (&Key, &f64)| {
                let queries = differences.get(key)?.queries * sign;
                (queries > 0.0).then_some((*key, queries * share))
            };
            shares.iter().filter_map(of).collect()
        };
        let (lost, mut won) = (part(&losers, 1.0), part(&winners, -1.0));
        if won.is_empty() {
            won = winners.keys().map(|key| (*key, -sum.by_key[key].queries)).collect();
        }
        let total: f64 = won.iter().map(|(_, queries)| queries).sum();
        for (from, gone) in lost {
            for (to, come) in &won {
                let queries = gone * come / total;
                moving[*number].push((from, *to, queries));
                differences.entry(from).or_default().queries -= queries;
                differences.entry(*to).or_default().queries += queries;
            }
        }
    }
}

/// The sum of what is lost (sign 1) or won (-1) there in the groups that lose, or win.
fn gross(groups: &[(GroupPlace, Differences)], members: &[usize], key: Key, sign: f64) -> f64 {
    let of = |number: &usize| groups[*number].1.by_key.get(&key).map(|it| it.queries * sign);
    let sum: f64 = members.iter().filter_map(of).filter(|it| *it > 0.0).sum();
    sum.max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use walrus_core::world::Generator;

    use super::*;

    /// Groups of some lines of a weight, each drawn at place 0 with the probability `truth`, where
    /// `expected` is expected; else at place 1.
    fn drawn(
        generator: &mut Generator,
        (groups, lines, weight): (u32, u32, f64),
        (truth, expected): (f64, f64),
    ) -> Vec<(GroupPlace, Differences)> {
        let group = |area: u32| {
            let hits = (0..lines).filter(|_| generator.share() < truth).count();
            let lines = f64::from(lines);
            let more = (hits as f64 - expected * lines) * weight;
            let variance = lines * weight * weight * expected * (1.0 - expected);
            let difference = |queries| Difference { queries, variance, heaviest: weight };
            let by_key = [(Some(0), difference(more)), (Some(1), difference(-more))].into();
            let place = GroupPlace { service: 1, area_before: Some(area), area_after: Some(area) };
            (place, Differences { queries: lines * weight, by_key })
        };
        (0..groups).map(group).collect()
    }

    /// The share that moves.
    fn moved(mut groups: Vec<(GroupPlace, Differences)>) -> f64 {
        let all: f64 = groups.iter().map(|(_, it)| it.queries).sum();
        let moving = settle(&mut groups);
        moving.iter().flatten().map(|(_, _, queries)| queries).sum::<f64>() / all
    }

    #[test]
    fn nobody_moves_by_chance_in_however_many_groups() {
        let mut generator = Generator::new(7);
        for _ in 0..200 {
            for (groups, lines) in [(1, 5), (1, 1000), (300, 5), (300, 100)] {
                for expected in [0.5, 0.99, 0.01] {
                    let sizes = (groups, lines, 1000.0);
                    let share = moved(drawn(&mut generator, sizes, (expected, expected)));
                    assert_eq!(share, 0.0, "{groups} {lines} {expected}");
                }
            }
        }
    }

    #[test]
    fn who_moves_is_found_in_many_small_groups_as_in_a_large_one() {
        let mut generator = Generator::new(8);
        for (groups, lines) in [(1, 1000), (10, 100), (200, 5), (1000, 1)] {
            let share = moved(drawn(&mut generator, (groups, lines, 1000.0), (1.0, 0.5)));
            assert!((share - 0.5).abs() < 1e-9, "{groups} {lines}: {share}");
            // Five deviations of 1,000 lines.
            let share = moved(drawn(&mut generator, (groups, lines, 1.0), (0.7, 0.4)));
            assert!((share - 0.3).abs() < 5.0 * 0.0145, "{groups} {lines}: {share}");
        }
    }

    #[test]
    fn opposite_moves_of_areas_do_not_cancel() {
        let mut generator = Generator::new(9);
        let mut groups = drawn(&mut generator, (1, 400, 1.0), (0.9, 0.5));
        groups.extend(drawn(&mut generator, (1, 400, 1.0), (0.1, 0.5)));
        groups[1].0.area_before = Some(77);
        assert!((moved(groups) - 0.4).abs() < 0.1);
    }

    #[test]
    fn what_cannot_be_drawn_moves_for_certain() {
        let difference = |queries| Difference { queries, ..Difference::default() };
        let by_key = [(Some(0), difference(1.0)), (Some(1), difference(-1.0))].into();
        let place = GroupPlace { service: 1, area_before: None, area_after: None };
        assert_eq!(moved(vec![(place, Differences { queries: 4.0, by_key })]), 0.25);
    }
}
