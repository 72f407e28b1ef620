//! Sorted ranges that cover a whole address space, with a bucket index in front.
//!
//! The index divides the space between the first and the last boundary into equal buckets, about
//! as many as there are ranges. For IPv4 over half a million prefixes this is finer than the first
//! 16 bits; for IPv6, where all addresses in use share the first three bits and most the first
//! eight, it spends no bucket on what is empty. It costs 4 bytes a bucket, and a table of ten
//! ranges (most services' classes) has sixteen of them instead of 65,536.

/// At most 2^17 buckets: 512 KiB, so that the index stays in a second-level cache while the ranges
/// may not. Half as many made each search longer, twice as many only moved the wait.
const BUCKET_BITS_MAX: u32 = 17;

/// An address as an integer: `u32` or `u128`.
pub(super) trait Bits: Copy + Ord + std::fmt::Debug {
    /// The lowest address.
    const ZERO: Self;
    /// The highest address.
    const MAX: Self;
    /// Bits of an address.
    const WIDTH: u8;
    /// Bits that are equal from the left.
    fn common_prefix(self, other: Self) -> u8;
    /// The neighbour above, or `None` at the end.
    fn next(self) -> Option<Self>;
    /// The neighbour below, or `None` at the beginning.
    fn previous(self) -> Option<Self>;
    /// The lowest and highest address that share the first `length` bits with this one.
    fn bounds(self, length: u8) -> (Self, Self);
    /// `(self - base) >> shift`, or `usize::MAX` if that is too large. `base <= self`.
    fn slot(self, base: Self, shift: u32) -> usize;
    /// Bits needed to write `self - base`. `base <= self`.
    fn distance_bits(self, base: Self) -> u32;
}

macro_rules! bits {
    ($type:ty, $width:literal) => {
        impl Bits for $type {
            const ZERO: Self = 0;
            const MAX: Self = <$type>::MAX;
            const WIDTH: u8 = $width;

            fn common_prefix(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }

            fn previous(self) -> Option<Self> {
                self.checked_sub(1)
            }

            fn bounds(self, length: u8) -> (Self, Self) {
                let host = <$type>::MAX.checked_shr(u32::from(length)).unwrap_or(0);
                (self & !host, self | host)
            }

            #[inline]
            fn slot(self, base: Self, shift: u32) -> usize {
                usize::try_from((self - base) >> shift).unwrap_or(usize::MAX)
            }

            fn distance_bits(self, base: Self) -> u32 {
                <$type>::BITS - (self - base).leading_zeros()
            }
        }
    };
}

bits!(u32, 32);
bits!(u128, 128);

/// Every address of a space with a value; neighbouring ranges have different values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ranges<A> {
    /// Where each range begins, and its value: beside each other, so that a lookup finds both in
    /// one cache line. The first begins at zero, each ends before the next begins.
    ranges: Box<[(A, u16)]>,
    index: Index<A>,
}

impl<A: Bits> Ranges<A> {
    /// From boundaries in rising order, the first at zero; neighbours of one value are merged.
    pub(super) fn new(boundaries: impl IntoIterator<Item = (A, u16)>) -> Self {
        let mut ranges: Vec<(A, u16)> = Vec::new();
        for (start, value) in boundaries {
            if ranges.last().is_none_or(|(_, last)| *last != value) {
                ranges.push((start, value));
            }
        }
        debug_assert!(ranges.first().is_some_and(|(start, _)| *start == A::ZERO));
        debug_assert!(ranges.is_sorted_by_key(|(start, _)| *start));
        let index = Index::new(&ranges);
        Self { ranges: ranges.into(), index }
    }

    /// The same space with other values.
    pub(super) fn map(&self, value: impl Fn(u16) -> u16) -> Self {
        Self::new(self.iter().map(|(start, old)| (start, value(old))))
    }

    /// All ranges by where they begin.
    pub(super) fn iter(&self) -> impl Iterator<Item = (A, u16)> {
        self.ranges.iter().copied()
    }

    pub(super) const fn len(&self) -> usize {
        self.ranges.len()
    }

    /// The value at an address.
    #[inline]
    pub(super) fn value(&self, address: A) -> u16 {
        self.ranges[self.position(address)].1
    }

    /// The value at an address and the length of the widest prefix around it with that one value.
    ///
    /// A prefix around the address leaves the range only by holding one of the range's two outer
    /// neighbours, so it must be longer than what the address shares with either.
    #[inline]
    pub(super) fn value_and_prefix(&self, address: A) -> (u16, u8) {
        let position = self.position(address);
        let (start, value) = self.ranges[position];
        let below = start.previous();
        let above = self.ranges.get(position + 1).map(|(start, _)| *start);
        let longer_than = |neighbour: A| address.common_prefix(neighbour) + 1;
        let length = below.map_or(0, longer_than).max(above.map_or(0, longer_than));
        (value, length)
    }

    #[inline]
    fn position(&self, address: A) -> usize {
        let (low, high) = self.index.positions(address);
        low + self.ranges[low + 1..=high].partition_point(|(start, _)| *start <= address)
    }
}

/// Narrows a search down to the ranges that begin in an address's bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Index<A> {
    /// The first boundary; what is below lies in range 0.
    base: A,
    /// The size of a bucket as a power of two.
    shift: u32,
    /// For each bucket the last range that begins before it; the last entry stands for all beyond
    /// the last boundary.
    before: Box<[u32]>,
}

impl<A: Bits> Index<A> {
    fn new(ranges: &[(A, u16)]) -> Self {
        let boundaries = &ranges[1..];
        let (Some(&(base, _)), Some(&(last, _))) = (boundaries.first(), boundaries.last()) else {
            return Self { base: A::MAX, shift: 0, before: Box::new([0, 0]) };
        };
        let bucket_bits = usize::BITS - boundaries.len().leading_zeros();
        let bucket_bits = bucket_bits.min(BUCKET_BITS_MAX);
        let shift = last.distance_bits(base).saturating_sub(bucket_bits);
        let buckets = last.slot(base, shift) + 1;
        let mut before = vec![0_u32; buckets + 2];
        for (boundary, (start, _)) in boundaries.iter().enumerate() {
            let position = u32::try_from(boundary + 1).unwrap_or(u32::MAX);
            before[start.slot(base, shift) + 1] = position;
        }
        for bucket in 1..before.len() {
            before[bucket] = before[bucket].max(before[bucket - 1]);
        }
        Self { base, shift, before: before.into() }
    }

    /// The lowest and highest range that may hold the address.
    #[inline]
    fn positions(&self, address: A) -> (usize, usize) {
        if address < self.base {
            return (0, 0);
        }
        let bucket = address.slot(self.base, self.shift).min(self.before.len() - 2);
        (self.before[bucket] as usize, self.before[bucket + 1] as usize)
    }
}
