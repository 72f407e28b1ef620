//! Sides: who hears whom in truth.
//!
//! Whoever hears the other, or is heard by it, belongs to the same component. A component is *whole* if everybody in it
//! has all others in view, directly or by a peer that it hears: then all must agree upon one master. Where a chain of
//! one-way cuts lets somebody see less, each sees a master, and nothing more can be asked.

/// Controllers that are not cut off from each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::faults) struct Side {
    pub(in crate::faults) members: Vec<usize>,
    /// All have all in view.
    pub(in crate::faults) is_whole: bool,
}

/// The sides of those that are up; `hears(one, other)` is whether one hears the other.
pub(in crate::faults) fn sides(up: &[usize], hears: impl Fn(usize, usize) -> bool) -> Vec<Side> {
    let linked = |one: usize, other: usize| hears(one, other) || hears(other, one);
    let mut left = up.to_vec();
    let mut sides = Vec::new();
    while let Some(first) = left.first().copied() {
        let mut members = vec![first];
        let mut looked_at = 0;
        while let Some(one) = members.get(looked_at).copied() {
            looked_at += 1;
            let more: Vec<usize> = left.iter().copied().filter(|it| linked(one, *it)).collect();
            members.extend(
                more.iter().copied().filter(|it| !members.contains(it)).collect::<Vec<_>>(),
            );
        }
        left.retain(|it| !members.contains(it));
        members.sort_unstable();
        let in_view = |one: usize, other: usize| {
            one == other
                || hears(one, other)
                || members.iter().any(|peer| hears(one, *peer) && hears(*peer, other))
        };
        let is_whole = members.iter().all(|one| members.iter().all(|other| in_view(*one, *other)));
        sides.push(Side { members, is_whole });
    }
    sides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(up: &[usize], hearing: &[(usize, usize)]) -> Vec<(Vec<usize>, bool)> {
        let sides = sides(up, |one, other| hearing.contains(&(one, other)));
        sides.into_iter().map(|side| (side.members, side.is_whole)).collect()
    }

    fn both(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
        pairs.iter().flat_map(|(one, other)| [(*one, *other), (*other, *one)]).collect()
    }

    #[test]
    fn a_side_is_whole_if_all_have_all_in_view() {
        assert_eq!(found(&[0], &[]), [(vec![0], true)]);
        assert_eq!(found(&[0, 1, 2], &both(&[(0, 1)])), [(vec![0, 1], true), (vec![2], true)]);
        // A hears C, B hears C, A and B do not hear each other.
        assert_eq!(found(&[0, 1, 2], &both(&[(0, 2), (1, 2)])), [(vec![0, 1, 2], true)]);
        let chain = both(&[(0, 1), (1, 2), (2, 3)]);
        assert_eq!(found(&[0, 1, 2, 3], &chain), [(vec![0, 1, 2, 3], false)]);
        assert_eq!(
            found(&[0, 1], &[(0, 1)]),
            [(vec![0, 1], false)],
            "one hears, the other does not"
        );
        assert_eq!(
            found(&[0, 3], &chain),
            [(vec![0], true), (vec![3], true)],
            "who is down is no link"
        );
    }
}
