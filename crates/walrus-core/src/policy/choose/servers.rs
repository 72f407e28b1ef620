//! The servers of a ring with what each can bear, for policies that compare what they were given.
//!
//! All of a ring's servers are compared for each answer, so that this loop is what these policies cost. It
//! goes block by block: numbers are reckoned for a block at once, which a compiler turns into vector
//! instructions, and the least one is found in it without a branch for each server. What is compared
//! stands by the service's servers; a ring that has them one after another, as one of whole clusters
//! has, takes them from where they are.

use std::array;

/// More than any server bears, in whatever unit: sums and quotients stay finite.
const CAPACITY_MAX: f64 = 1e12;
/// So many servers are looked at together: as many as a word has bits.
const BLOCK: usize = 64;
/// So many of a block's numbers are compared side by side.
const LANES: usize = 8;

/// A ring's servers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Servers {
    /// 1 / capacity; infinite for one that bears nothing.
    inverses: Box<[f64]>,
    /// Each one's place among the service's servers.
    places: Box<[u32]>,
    /// The first one's, if the places of the others follow it one after another.
    first_place: Option<usize>,
    /// What all of them bear.
    capacity: f64,
}

/// Servers of a ring that are looked at together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    /// 1 / capacity of each.
    pub(super) inverses: &'a [f64],
    /// Each one's place among the service's servers.
    pub(super) places: &'a [u32],
    first_place: Option<usize>,
}

/// Room for what is kept of a block's servers.
pub(super) type Room<T> = [T; BLOCK];

impl Block<'_> {
    /// What is kept of each of these servers, out of what is kept of all servers of the service; of one
    /// that is not there the default. Copied into `room` if it does not stand together.
    #[inline]
    pub(super) fn of<'a, T: Copy + Default>(
        &self,
        kept: &'a [T],
        room: &'a mut Option<Room<T>>,
    ) -> &'a [T] {
        let together =
            self.first_place.and_then(|first| kept.get(first..)?.get(..self.places.len()));
        together.unwrap_or_else(|| {
            let room = room.insert(array::from_fn(|_| T::default()));
            for (copy, place) in room.iter_mut().zip(self.places) {
                *copy = kept.get(*place as usize).copied().unwrap_or_default();
            }
            &room[..self.places.len()]
        })
    }
}

impl Servers {
    /// From (place among the service's servers, capacity). All alike if none is above 0; else
    /// whoever has none is chosen only if nobody else is there.
    pub(super) fn compile(servers: impl Iterator<Item = (u32, f64)> + Clone) -> Self {
        let places: Box<[u32]> = servers.clone().map(|(place, _)| place).collect();
        let sum: f64 = servers.clone().map(|(_, capacity)| countable(capacity)).sum();
        let inverse = |(_, capacity)| 1.0 / if sum > 0.0 { countable(capacity) } else { 1.0 };
        let capacity = if sum > 0.0 { sum } else { places.len() as f64 };
        let follow = places.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]));
        let first_place = places.first().filter(|_| follow).map(|first| *first as usize);
        Self { inverses: servers.map(inverse).collect(), places, first_place, capacity }
    }

    /// What all of them bear.
    #[inline]
    pub(super) const fn capacity(&self) -> f64 {
        self.capacity
    }

    /// The place of a candidate among the service's servers.
    #[inline]
    pub(super) fn place(&self, candidate: u32) -> u32 {
        self.places.get(candidate as usize).copied().unwrap_or(u32::MAX)
    }

    /// 1 / capacity of a candidate.
    #[inline]
    pub(super) fn inverse(&self, candidate: u32) -> f64 {
        self.inverses.get(candidate as usize).copied().unwrap_or(f64::INFINITY)
    }

    /// The sum of a number over them, out of what is kept of all servers of the service.
    #[inline]
    pub(super) fn sum<T: Copy + Default>(&self, kept: &[T], number: impl Fn(&T) -> f64) -> f64 {
        let (mut lanes, mut room) = ([0.0; LANES], None);
        for begin in (0..self.places.len()).step_by(BLOCK) {
            let block = self.block(begin, BLOCK.min(self.places.len() - begin));
            for chunk in block.of(kept, &mut room).chunks(LANES) {
                for (lane, kept) in lanes.iter_mut().zip(chunk) {
                    *lane += number(kept);
                }
            }
        }
        lanes.iter().sum()
    }

    /// The candidate for which the number that `relative` writes down, one for each server of the block, is
    /// least; ties by the pointer, which then moves behind it. What is not a number is never less.
    #[inline]
    pub(super) fn least(
        &self,
        position: &mut u32,
        mut relative: impl FnMut(Block<'_>, &mut [f64]),
    ) -> u32 {
        let len = self.places.len();
        let from = *position as usize;
        let from = if from < len { from } else { from % len.max(1) };
        let (mut least, mut first, mut behind) = (f64::INFINITY, None, None);
        let mut numbers = [f64::INFINITY; BLOCK];
        for begin in (0..len).step_by(BLOCK) {
            let count = BLOCK.min(len - begin);
            // Behind the last server no number is less than any.
            let numbers = &mut numbers[..count.next_multiple_of(LANES)];
            numbers[count..].fill(f64::INFINITY);
            relative(self.block(begin, count), &mut numbers[..count]);
            if len <= LANES {
                first = Some(walk(&numbers[..len], from));
                break;
            }
            let here = least_of(numbers);
            if here < least {
                (least, first, behind) = (here, None, None);
            } else if here != least || here == f64::INFINITY {
                continue;
            }
            let who = who_has(numbers, here);
            let from_here_on = from.saturating_sub(begin).min(BLOCK) as u32;
            let who_behind = who & u64::MAX.checked_shl(from_here_on).unwrap_or(0);
            first = first.or_else(|| lowest(who).map(|bit| begin + bit));
            behind = behind.or_else(|| lowest(who_behind).map(|bit| begin + bit));
        }
        let chosen = behind.or(first).unwrap_or(from);
        *position = if chosen + 1 >= len { 0 } else { chosen as u32 + 1 };
        chosen as u32
    }

    #[inline]
    fn block(&self, begin: usize, len: usize) -> Block<'_> {
        Block {
            inverses: &self.inverses[begin..begin + len],
            places: &self.places[begin..begin + len],
            first_place: self.first_place.map(|first| first + begin),
        }
    }
}

/// The rule itself: one after another, from the pointer on. For a few it is quicker.
#[inline]
fn walk(numbers: &[f64], from: usize) -> usize {
    let (mut least, mut chosen) = (f64::INFINITY, from);
    for index in (from..numbers.len()).chain(0..from) {
        if numbers[index] < least {
            (least, chosen) = (numbers[index], index);
        }
    }
    chosen
}

/// The least of as many numbers as fill all lanes; infinite without any. Not [`f64::min`], which is more than
/// one instruction.
#[inline]
fn least_of(numbers: &[f64]) -> f64 {
    let less = |one: f64, least: f64| if one < least { one } else { least };
    let mut lanes = [f64::INFINITY; LANES];
    for chunk in numbers.chunks_exact(LANES) {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane = less(*number, *lane);
        }
    }
    for half in [LANES / 2, LANES / 4, LANES / 8] {
        for lane in 0..half {
            lanes[lane] = less(lanes[lane + half], lanes[lane]);
        }
    }
    lanes[0]
}

/// A bit for each of a block's numbers, from the lowest on: whether it is this one. There is no branch in it
/// that nobody can foretell, as the way out of a search is.
#[inline]
fn who_has(numbers: &[f64], wanted: f64) -> u64 {
    let mut who = 0;
    for (place, chunk) in numbers.chunks_exact(LANES).enumerate() {
        let mut bits = 0;
        for (lane, number) in chunk.iter().enumerate() {
            bits |= u64::from(*number == wanted) << lane;
        }
        who |= bits << (place * LANES);
    }
    who
}

#[inline]
const fn lowest(bits: u64) -> Option<usize> {
    if bits == 0 { None } else { Some(bits.trailing_zeros() as usize) }
}

/// A capacity that can be reckoned with, whatever was told.
fn countable(capacity: f64) -> f64 {
    // Not a number is no capacity either.
    if capacity > 0.0 { capacity.min(CAPACITY_MAX) } else { 0.0 }
}

#[cfg(test)]
impl Servers {
    /// From places and capacities.
    pub(super) fn new(servers: &[(u32, f64)]) -> Self {
        Self::compile(servers.iter().copied())
    }

    /// How many there are.
    pub(super) const fn count(&self) -> u32 {
        self.places.len() as u32
    }

    /// All of them.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> + Clone + '_ {
        self.places.iter().copied()
    }

    /// So many at places from 0 on.
    pub(super) fn alike(count: u32) -> Self {
        Self::compile((0..count).map(|place| (place, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn least(servers: &Servers, position: &mut u32, loads: impl Fn(u32) -> f64) -> u32 {
        servers.least(position, |block, numbers| {
            let of_block = block.places.iter().zip(block.inverses);
            for (number, (place, inverse)) in numbers.iter_mut().zip(of_block) {
                *number = loads(*place) * inverse;
            }
        })
    }

    #[test]
    fn the_least_over_its_capacity() {
        let servers = Servers::new(&[(4, 1.0), (5, 2.0), (6, 0.0)]);
        let loads = |place: u32| [3.0, 4.0, 0.0][place as usize - 4];
        let mut position = 0;
        assert_eq!(least(&servers, &mut position, loads), 1);
        assert_eq!(position, 2);
        assert_eq!(servers.places().collect::<Vec<_>>(), [4, 5, 6]);
    }

    #[test]
    fn ties_go_round_from_any_pointer() {
        let servers = Servers::alike(3);
        let mut position = 7;
        let chosen: Vec<u32> = (0..4).map(|_| least(&servers, &mut position, |_| 1.0)).collect();
        assert_eq!(chosen, [1, 2, 0, 1]);
    }

    #[test]
    fn nobody_with_capacity_counts_as_all_alike() {
        let servers = Servers::new(&[(0, 0.0), (1, f64::NAN)]);
        assert_eq!(least(&servers, &mut 0, |place| [2.0, 1.0][place as usize]), 1);
        assert_eq!(servers.capacity(), 2.0);
    }

    #[test]
    fn odd_capacities_are_none() {
        let odd = [(0, f64::NAN), (1, -1.0), (2, f64::INFINITY), (3, 1.0)];
        let servers = Servers::new(&odd);
        assert!(servers.capacity().is_finite());
        assert_eq!(least(&servers, &mut 0, |_| 0.0), 2, "no load, and some capacity");
    }

    proptest::proptest! {
        /// However many there are, wherever they stand, and whatever numbers they have.
        #[test]
        fn blocks_find_whom_the_rule_finds(
            loads in proptest::collection::vec(0_u8..9, 1..200),
            scattered in proptest::bool::ANY,
            mut position in 0_u32..300,
        ) {
            let odd = [0.0, -0.0, f64::NAN, f64::INFINITY];
            let load = |load: &u8| odd.get(usize::from(*load)).copied().unwrap_or(f64::from(*load));
            let loads: Vec<f64> = loads.iter().map(load).collect();
            let count = loads.len() as u32;
            let place = |index: u32| if scattered { 7 + (count - index) * 2 } else { 7 + index };
            let servers: Vec<(u32, f64)> =
                (0..count).map(|index| (place(index), f64::from(1 + index % 3))).collect();
            let mut kept = vec![1e9; 7 + 2 * count as usize + 1];
            for (index, load) in (0..).zip(&loads) {
                kept[place(index) as usize] = *load;
            }
            let relative: Vec<f64> =
                servers.iter().zip(&loads).map(|((_, bears), load)| load * (1.0 / bears)).collect();
            let servers = Servers::new(&servers);
            for _ in 0..3 {
                let expected = walk(&relative, position as usize % loads.len()) as u32;
                let mut room = None;
                let chosen = servers.least(&mut position, |block, numbers| {
                    let each = block.of(&kept, &mut room).iter().zip(block.inverses);
                    for (number, (load, inverse)) in numbers.iter_mut().zip(each) {
                        *number = load * inverse;
                    }
                });
                proptest::prop_assert_eq!(chosen, expected);
                proptest::prop_assert_eq!(position, (expected + 1) % count);
            }
            let sum: f64 = loads.iter().filter(|load| load.is_finite()).sum();
            let finite = |load: &f64| if load.is_finite() { *load } else { 0.0 };
            proptest::prop_assert_eq!(servers.sum(&kept, finite), sum);
        }
    }
}
