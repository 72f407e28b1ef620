//! Nested prefixes to boundaries: the longest prefix wins, and one layer lies over another.

use super::ranges::Bits;

/// A prefix with the area (or hole) that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix<A> {
    first: A,
    last: A,
    value: u16,
}

impl<A: Bits> Prefix<A> {
    /// Host bits of the address are cleared; a length beyond the address's is cut.
    pub(super) fn new(address: A, length: u8, value: u16) -> Self {
        let (first, last) = address.bounds(length.min(A::WIDTH));
        Self { first, last, value }
    }
}

/// The value from each boundary on; `None` is not covered by any prefix. The first boundary is at
/// zero. Of equal prefixes the first one counts.
pub(super) fn flatten<A: Bits>(mut prefixes: Vec<Prefix<A>>) -> Vec<(A, Option<u16>)> {
    prefixes.sort_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
    prefixes.dedup_by(|b, a| a.first == b.first && a.last == b.last);
    let mut boundaries = vec![(A::ZERO, None)];
    // The prefixes around the present place, the innermost last: never more than an address has
    // bits, as each lies within the one before.
    let mut open: Vec<Prefix<A>> = Vec::new();
    for prefix in prefixes {
        close_before(&mut open, Some(prefix.first), &mut boundaries);
        push(&mut boundaries, prefix.first, Some(prefix.value));
        open.push(prefix);
    }
    close_before(&mut open, None, &mut boundaries);
    boundaries
}

/// Closes what ends before `place` (all if there is none): the prefix around it shows again.
fn close_before<A: Bits>(
    open: &mut Vec<Prefix<A>>,
    place: Option<A>,
    boundaries: &mut Vec<(A, Option<u16>)>,
) {
    while let Some(inner) = open.pop_if(|inner| place.is_none_or(|place| inner.last < place)) {
        if let Some(after) = inner.last.next() {
            push(boundaries, after, open.last().map(|outer| outer.value));
        }
    }
}

/// Adds a boundary; a later one at the same place counts.
fn push<A: Bits>(boundaries: &mut Vec<(A, Option<u16>)>, start: A, value: Option<u16>) {
    boundaries.pop_if(|last| last.0 == start);
    boundaries.push((start, value));
}

/// `upper` where it covers, else `lower`. Both begin at zero.
pub(super) fn overlay<A: Bits>(upper: &[(A, Option<u16>)], lower: &[(A, u16)]) -> Vec<(A, u16)> {
    let mut boundaries: Vec<(A, u16)> = Vec::with_capacity(upper.len() + lower.len());
    let (mut above, mut below) = (0, 0);
    let mut place = A::ZERO;
    loop {
        let value = upper[above].1.unwrap_or(lower[below].1);
        if boundaries.last().is_none_or(|last| last.1 != value) {
            boundaries.push((place, value));
        }
        let next_above = upper.get(above + 1).map(|boundary| boundary.0);
        let next_below = lower.get(below + 1).map(|boundary| boundary.0);
        place = match (next_above, next_below) {
            (None, None) => return boundaries,
            (Some(place), None) | (None, Some(place)) => place,
            (Some(a), Some(b)) => a.min(b),
        };
        above += usize::from(next_above == Some(place));
        below += usize::from(next_below == Some(place));
    }
}
