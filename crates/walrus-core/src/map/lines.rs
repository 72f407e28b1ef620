//! IPv4 ranges for lookups that wait for memory once: blocks of addresses, a cache line each.
//!
//! Over half a million prefixes a lookup's time is that of the lines it touches which no query before
//! it touched. Sorted ranges behind an index ([`super::ranges`]) take three; here the first bits of an
//! address say which line tells all: the values in its block and where they begin, in 16 bits relative
//! to it. A block with more boundaries than a line holds is divided, and so is one whose boundaries are
//! finer than 16 bits tell: both are rare, and cost one more line. What lies beyond the block is never
//! looked for: if a boundary lies in it, no wider prefix has one value, and if none does, all its
//! addresses have the same widest prefix, which is noted.

use super::ranges::Ranges;

/// Boundaries that a line holds.
const BOUNDARIES_MAX: usize = 14;
/// Boundaries that a line has on average, where they are evenly spread: most of those blocks that
/// happen to have more than others are then whole, too.
const BOUNDARIES_WANTED: usize = 8;
/// At most 2^18 blocks at first, 16 MiB; a map of more than two million ranges is divided further.
const ROOT_BITS_MAX: u32 = 18;
/// A divided block has 4 parts at least: less would make chains of lines of what is crowded.
const PART_BITS_MIN: u32 = 2;
/// A bit that tells neighbours outside a block from what is in it.
const OUTSIDE: u32 = 1 << u16::BITS;
/// The [`Line::count`] of a divided block.
const DIVIDED: u8 = u8::MAX;

/// Every IPv4 address with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    /// The first 2^`root_bits` stand for equal blocks of all addresses; behind them, parts of blocks.
    lines: Box<[Line]>,
    root_bits: u32,
    ranges: usize,
}

/// A block of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
struct Line {
    /// Boundaries inside, the block's beginning not among them; or [`DIVIDED`].
    count: u8,
    /// Without a boundary, the widest prefix of one value around the block. With some, how far
    /// addresses are shifted to be compared. Of a divided block, the bits that choose a part.
    detail: u8,
    /// The values from the block's beginning and from each boundary on. Of a divided block the first
    /// two are the number of its first part.
    values: [u16; BOUNDARIES_MAX + 1],
    /// Where the values begin: bits of the address. The rest is all ones.
    starts: [u16; BOUNDARIES_MAX + 2],
}

impl Lines {
    pub(super) fn new(ranges: &Ranges<u32>) -> Self {
        let ranges: Vec<(u32, u16)> = ranges.iter().collect();
        let root_bits = (ranges.len() / BOUNDARIES_WANTED).max(1).next_power_of_two().ilog2();
        let root_bits = root_bits.min(ROOT_BITS_MAX);
        let mut draft = Draft { lines: Vec::new(), ranges: &ranges };
        draft.divide(0, 0, root_bits, 0);
        Self { lines: draft.lines.into(), root_bits, ranges: ranges.len() }
    }

    /// Ranges that were put in.
    pub(super) const fn len(&self) -> usize {
        self.ranges
    }

    /// Bytes of memory taken.
    pub(super) const fn memory(&self) -> usize {
        self.lines.len() * size_of::<Line>()
    }

    /// The value at an address and the length of the widest prefix around it with that one value.
    #[inline]
    pub(super) fn value_and_prefix(&self, address: u32) -> (u16, u8) {
        let mut line = &self.lines[part(address, 0, self.root_bits)];
        let mut above = self.root_bits;
        while line.count == DIVIDED {
            let bits = u32::from(line.detail);
            line = &self.lines[line.first_part() + part(address, above, bits)];
            above += bits;
        }
        line.value_and_prefix(address)
    }

    /// Where a lookup of this address begins, for a prefetch.
    #[inline]
    pub(super) fn begin(&self, address: u32) -> *const u8 {
        (&raw const self.lines[part(address, 0, self.root_bits)]).cast()
    }
}

/// So many bits of an address behind the first `above`.
#[inline]
fn part(address: u32, above: u32, bits: u32) -> usize {
    // In 64 bits, since no bits at all are shifted out by 32.
    let rest = u64::from(address) << above & u64::from(u32::MAX);
    (rest >> (u32::BITS - bits)) as usize
}

impl Line {
    const EMPTY: Self = Self {
        count: 0,
        detail: 0,
        values: [0; BOUNDARIES_MAX + 1],
        starts: [u16::MAX; BOUNDARIES_MAX + 2],
    };

    fn first_part(&self) -> usize {
        (usize::from(self.values[0]) << 16) | usize::from(self.values[1])
    }

    #[inline]
    fn value_and_prefix(&self, address: u32) -> (u16, u8) {
        if self.count == 0 {
            return (self.values[0], self.detail);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
        let place = (address >> self.detail) as u16;
        // The first has begun in any case.
        let begun = self.starts.partition_point(|start| *start <= place);
        let position = (begun - 1).min(usize::from(self.count));
        // A prefix leaves the range only by holding a neighbour of it; one inside the block is
        // nearer than any outside, for which a 17th bit stands. No branch: nobody could foresee it.
        let below = u32::from(self.starts[position]).wrapping_sub(1);
        let above = u32::from(self.starts[(position + 1) % self.starts.len()]);
        let above = if position < usize::from(self.count) { above } else { OUTSIDE };
        let distance = |neighbour: u32| (u32::from(place) ^ neighbour) & (OUTSIDE * 2 - 1);
        let nearest = distance(below).min(distance(above));
        let length = nearest.leading_zeros() + 1 - u32::from(self.detail);
        (self.values[position], length as u8)
    }
}

/// Lines on the way.
struct Draft<'a> {
    lines: Vec<Line>,
    ranges: &'a [(u32, u16)],
}

impl Draft<'_> {
    /// Adds the parts of the block that begins at `start`, in the range `own` or behind it, and whose
    /// addresses share the first `above` bits. Blocks come in order, so that nothing is searched for.
    fn divide(&mut self, start: u32, above: u32, bits: u32, mut own: usize) {
        let first = self.lines.len();
        self.lines.resize(first + (1 << bits), Line::EMPTY);
        let above = above + bits;
        for index in 0..1_u32 << bits {
            // The only part of all addresses begins at 0 and is 2^32 long.
            let start = start + index.checked_shl(u32::BITS - above).unwrap_or(0);
            own += self.count_until(own + 1, start);
            self.lines[first + index as usize] = self.block(start, above, own);
        }
    }

    /// How many ranges from a place on begin no later than an address.
    fn count_until(&self, place: usize, address: u32) -> usize {
        self.ranges[place..].iter().take_while(|range| range.0 <= address).count()
    }

    /// The block that begins in the range `own`.
    fn block(&mut self, start: u32, above: u32, own: usize) -> Line {
        let last = start | u32::MAX.checked_shr(above).unwrap_or(0);
        let inside = &self.ranges[own + 1..][..self.count_until(own + 1, last)];
        let shift = (u32::BITS - above).saturating_sub(u16::BITS);
        let is_coarse = inside.iter().all(|range| range.0.trailing_zeros() >= shift);
        let mut line = Line::EMPTY;
        if inside.len() > BOUNDARIES_MAX || !is_coarse {
            let parts = (inside.len() / BOUNDARIES_WANTED).max(1).next_power_of_two().ilog2();
            let bits = parts.clamp(PART_BITS_MIN, 16).min(u32::BITS - above);
            let first = self.lines.len();
            // Below 2^32: there are not nearly as many ranges.
            (line.values[0], line.values[1]) = ((first >> 16) as u16, first as u16);
            (line.count, line.detail) = (DIVIDED, bits as u8);
            self.divide(start, above, bits, own);
            return line;
        }
        (line.count, line.detail) = (inside.len() as u8, shift as u8);
        line.values[0] = self.ranges[own].1;
        line.starts[0] = (start >> shift) as u16;
        for (place, (start, value)) in inside.iter().enumerate() {
            line.starts[place + 1] = (start >> shift) as u16;
            line.values[place + 1] = *value;
        }
        if inside.is_empty() {
            line.detail = self.widest_prefix(own, start);
        }
        line
    }

    /// Of the range's addresses around `address`, which no boundary is near.
    fn widest_prefix(&self, range: usize, address: u32) -> u8 {
        let below = self.ranges[range].0.checked_sub(1);
        let above = self.ranges.get(range + 1).map(|range| range.0);
        let longer_than = |neighbour: u32| (address ^ neighbour).leading_zeros() as u8 + 1;
        below.map_or(0, longer_than).max(above.map_or(0, longer_than))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_block_is_a_cache_line() {
        assert_eq!((size_of::<Line>(), align_of::<Line>()), (64, 64));
    }

    /// Boundaries here and there, in crowds, and at the edges of blocks.
    fn boundaries() -> impl Strategy<Value = Vec<(u32, u16)>> {
        let crowd =
            (any::<u32>(), 0..=24_u32, proptest::collection::vec((any::<u32>(), 0..4_u16), 0..60))
                .prop_map(|(base, bits, members)| {
                    let near = |member: u32| base ^ (member & ((1 << bits) - 1));
                    members
                        .into_iter()
                        .map(|(member, value)| (near(member), value))
                        .collect::<Vec<_>>()
                });
        let edges = proptest::collection::vec((any::<u32>(), 0..=32_u32, 0..4_u16), 0..40)
            .prop_map(|edges| {
                let edge = |bits, at: u32| at & !u32::MAX.checked_shr(bits).unwrap_or(0);
                edges
                    .into_iter()
                    .map(|(at, bits, value)| (edge(bits, at), value))
                    .collect::<Vec<_>>()
            });
        (proptest::collection::vec(crowd, 0..6), edges).prop_map(|(crowds, edges)| {
            let mut all: Vec<_> = crowds.into_iter().flatten().chain(edges).collect();
            all.push((0, 7));
            all.sort_unstable();
            all.dedup_by_key(|boundary| boundary.0);
            all
        })
    }

    fn check(boundaries: &[(u32, u16)], more: &[u32]) {
        let ranges = Ranges::new(boundaries.iter().copied());
        let lines = Lines::new(&ranges);
        assert_eq!(lines.len(), ranges.len());
        let near = |at: u32| [at.wrapping_sub(1), at, at.wrapping_add(1)];
        let edges = boundaries.iter().flat_map(|boundary| near(boundary.0));
        for address in edges.chain(more.iter().copied()).chain([0, u32::MAX]) {
            let expected = ranges.value_and_prefix(address);
            assert_eq!(lines.value_and_prefix(address), expected, "{address:#010x}");
        }
    }

    proptest! {
        #[test]
        fn lines_are_the_ranges(boundaries in boundaries(), more: [u32; 16]) {
            check(&boundaries, &more);
        }
    }

    #[test]
    fn every_boundary_of_a_dense_map_is_found() {
        let every = |step: u32, count: u32| {
            let boundary = |index: u32| (index.wrapping_mul(step), (index % 3) as u16);
            (0..count).map(boundary).collect::<Vec<_>>()
        };
        for boundaries in [
            every(1, 70_000),
            every(1 << 12, 1 << 20),
            every(1 << 16, 1 << 16),
            every(0x0100_0000, 256),
        ] {
            check(&boundaries, &[1, 99, 0x8000_0000, 0xffff_fffe]);
        }
    }
}
