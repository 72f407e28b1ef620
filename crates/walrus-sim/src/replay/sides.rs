//! The two sides of a group: where its queries go before and after, and what differs for certain.
//!
//! Of two distributions p and q the least share that must change hands to get from one to the other
//! is the sum of max(0, p - q) (the total variation distance): that moves, from those who lose to
//! those who win, in proportion. Two configurations that decide alike move nobody, however their
//! draws fall. Where a side was drawn, not expected, its differences may be chance:
//! [`super::settle`] tells.

use std::collections::{BTreeMap, BTreeSet};

use super::interval::{Mass, ShareSum};
use super::names::{Names, Place};
use super::settle::{Difference, Key};
use super::tally::{Group, Kind};

/// Shares below this are what rounding left.
const NOTHING: f64 = 1e-6;

/// One side of a group.
pub(super) enum Side<'a> {
    /// By these shares; nobody where there are none.
    Expected(&'a [(Place, f64)]),
    Drawn(&'a BTreeMap<Place, Mass>),
}

/// A side by clusters or servers.
pub(super) enum Shares {
    Expected(BTreeMap<Key, f64>),
    Drawn(BTreeMap<Key, Mass>),
}

impl<'a> Side<'a> {
    pub(super) fn of(kind: Kind, drawn: &'a BTreeMap<Place, Mass>, names: &'a Names) -> Self {
        match kind {
            Kind::Expected(number) => Self::Expected(names.distribution(number)),
            Kind::Drawn => Self::Drawn(drawn),
            Kind::Nobody => Self::Expected(&[]),
        }
    }

    pub(super) const fn is_nobody(&self) -> bool {
        matches!(self, Self::Expected([]))
    }

    /// By clusters or servers; all of it `None` for an answer without a server.
    pub(super) fn shares(&self, of: impl Fn(&Place) -> u32) -> Shares {
        match self {
            Self::Expected([]) => Shares::Expected([(None, 1.0)].into()),
            Self::Expected(shares) => {
                let mut sums = BTreeMap::new();
                for (place, share) in *shares {
                    *sums.entry(Some(of(place))).or_default() += share;
                }
                Shares::Expected(sums)
            }
            Self::Drawn(masses) => {
                let mut sums = BTreeMap::<Key, Mass>::new();
                for (place, mass) in *masses {
                    sums.entry(Some(of(place))).or_default().add(*mass);
                }
                Shares::Drawn(sums)
            }
        }
    }
}

/// A share of some lines that goes from here to there for certain.
pub(super) struct Certain {
    pub(super) from: Key,
    pub(super) to: Key,
    pub(super) mass: Mass,
    pub(super) share: f64,
}

impl Certain {
    /// From one place to another.
    pub(super) const fn is_move(&self) -> bool {
        self.from.is_some() && self.to.is_some()
    }
}

/// Adds flows up. Shares of the same lines are one share of them; flows of whole lines are apart.
pub(super) fn add_all<'a>(sum: &mut ShareSum, flows: impl Iterator<Item = &'a Certain>) {
    let mut part = (Mass::default(), 0.0_f64);
    for Certain { mass, share, .. } in flows {
        if *share >= 1.0 {
            sum.add(*mass, 1.0);
        } else {
            part = (*mass, part.1 + share);
        }
    }
    sum.add(part.0, part.1.min(1.0));
}

/// How two sides compare.
pub(super) enum Compared {
    Settled(Vec<Certain>),
    Open(Vec<(Key, Difference)>),
}

pub(super) fn compare(
    [before, after]: &[Shares; 2],
    group: &Group,
    differ: &BTreeMap<u32, f64>,
) -> Compared {
    match (before, after) {
        (Shares::Expected(before), Shares::Expected(after)) => {
            Compared::Settled(least_moves(before, after, group.mass))
        }
        (Shares::Drawn(drawn), Shares::Expected(expected)) => match only(expected) {
            Some(to) => Compared::Settled(each(drawn, to, false)),
            None => Compared::Open(from_draws(drawn, expected, group, 1.0)),
        },
        (Shares::Expected(expected), Shares::Drawn(drawn)) => match only(expected) {
            Some(from) => Compared::Settled(each(drawn, from, true)),
            None => Compared::Open(from_draws(drawn, expected, group, -1.0)),
        },
        (Shares::Drawn(before), Shares::Drawn(after)) => {
            let keys: BTreeSet<Key> = before.keys().chain(after.keys()).copied().collect();
            let difference = |key: Key| {
                let queries =
                    |side: &BTreeMap<Key, Mass>| side.get(&key).map_or(0.0, |it| it.queries);
                // McNemar (1947): of the lines that only one side brings there, each is as likely to be
                // this side's as that one's.
                let variance = key.and_then(|key| differ.get(&key)).copied().unwrap_or_default();
                let heaviest = if variance > 0.0 { group.heaviest } else { 0.0 };
                (key, Difference { queries: queries(before) - queries(after), variance, heaviest })
            };
            Compared::Open(keys.into_iter().map(difference).collect())
        }
    }
}

/// The least that must change hands.
fn least_moves(
    before: &BTreeMap<Key, f64>,
    after: &BTreeMap<Key, f64>,
    mass: Mass,
) -> Vec<Certain> {
    let keys: BTreeSet<Key> = before.keys().chain(after.keys()).copied().collect();
    let (mut lost, mut won) = (Vec::new(), Vec::new());
    for key in keys {
        let share = |side: &BTreeMap<Key, f64>| side.get(&key).copied().unwrap_or(0.0);
        let (one, other) = (share(before), share(after));
        if one - other > NOTHING {
            lost.push((key, one - other));
        } else if other > one {
            won.push((key, other - one));
        }
    }
    let total: f64 = won.iter().map(|(_, share)| share).sum();
    let mut flows = Vec::new();
    for (from, gone) in &lost {
        for (to, come) in &won {
            flows.push(Certain { from: *from, to: *to, mass, share: gone * come / total });
        }
    }
    flows
}

/// The only place of a side.
fn only(shares: &BTreeMap<Key, f64>) -> Option<Key> {
    let mut keys = shares.keys();
    keys.next().copied().filter(|_| keys.next().is_none())
}

/// What was drawn elsewhere than at the only place of the other side.
fn each(drawn: &BTreeMap<Key, Mass>, place: Key, is_from: bool) -> Vec<Certain> {
    let elsewhere = drawn.iter().filter(|(key, _)| **key != place);
    let flow = |(key, mass): (&Key, &Mass)| {
        let (from, to) = if is_from { (place, *key) } else { (*key, place) };
        Certain { from, to, mass: *mass, share: 1.0 }
    };
    elsewhere.map(flow).collect()
}

/// What was drawn less what is expected, by its sign.
fn from_draws(
    drawn: &BTreeMap<Key, Mass>,
    expected: &BTreeMap<Key, f64>,
    group: &Group,
    sign: f64,
) -> Vec<(Key, Difference)> {
    let keys: BTreeSet<Key> = drawn.keys().chain(expected.keys()).copied().collect();
    let difference = |key: Key| {
        let share = expected.get(&key).copied().unwrap_or(0.0);
        let drawn = drawn.get(&key).map_or(0.0, |it| it.queries);
        let queries = sign * (drawn - share * group.mass.queries);
        let variance = group.mass.squares() * share * (1.0 - share).max(0.0);
        let heaviest = if variance > 0.0 { group.heaviest } else { 0.0 };
        (key, Difference { queries, variance, heaviest })
    };
    keys.into_iter().map(difference).collect()
}
