//! Counts queries as they come: by service, type, area and what they are answered with on both sides.
//! What was counted goes on to [`Sums`] whenever there is much of it, so that the memory is bounded
//! however many Plans a journal brings.

use std::collections::BTreeMap;

use super::distinct::Distinct;
use super::interval::Mass;
use super::names::{Choice, Names, Place};
use super::sums::Sums;

/// Groups told apart before they are added up: services x areas x changes of Plan.
const GROUPS_MAX: usize = 4096;
/// Changes of a reply's code told apart.
const CODES_MAX: usize = 256;

/// What the queries of one group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupKey {
    pub(super) place: GroupPlace,
    pub(super) before: Kind,
    pub(super) after: Kind,
}

/// Whose queries they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupPlace {
    pub(super) service: u32,
    /// `None` where the name is no service.
    pub(super) area_before: Option<u32>,
    pub(super) area_after: Option<u32>,
}

/// How one side answers the queries of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// All alike, by this distribution.
    Expected(u32),
    /// Each by a draw that was made; the draws are counted.
    Drawn,
    /// Without a server.
    Nobody,
}

/// Queries that are answered alike.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) mass: Mass,
    /// The queries of the line that stands for most.
    pub(super) heaviest: f64,
    pub(super) domains: Distinct,
    /// Who came first, where [`Kind::Drawn`].
    pub(super) before: BTreeMap<Place, Mass>,
    pub(super) after: BTreeMap<Place, Mass>,
    /// Domains by the cluster that they were sent to, where [`Kind::Drawn`].
    pub(super) domains_of: BTreeMap<u32, Distinct>,
    /// Where both sides are drawn: by cluster and by server, the squared weights of the lines that only
    /// one of them gave to it.
    pub(super) clusters_differ: BTreeMap<u32, f64>,
    pub(super) servers_differ: BTreeMap<u32, f64>,
}

/// One side of a query for a service: its area, and who answers.
pub(super) type Half = (u32, Choice);

/// All that was counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    groups: BTreeMap<GroupKey, Group>,
    sums: Sums,
    /// Queries for other names than services.
    pub(super) others: Mass,
    /// Queries whose reply's code changes, by the codes before and after.
    pub(super) codes: BTreeMap<(u16, u16), Mass>,
}

impl Tally {
    /// Takes a query for a service of at least one side.
    pub(super) fn add(
        &mut self,
        service: u32,
        (before, after): (Option<Half>, Option<Half>),
        mass: Mass,
        domain: u64,
    ) {
        let (choice_before, choice_after) = (choice(before), choice(after));
        let place = GroupPlace {
            service,
            area_before: before.map(|(area, _)| area),
            area_after: after.map(|(area, _)| area),
        };
        let key = GroupKey { place, before: kind(choice_before), after: kind(choice_after) };
        let group = self.groups.entry(key).or_default();
        group.mass.add(mass);
        group.heaviest = group.heaviest.max(mass.queries);
        group.domains.insert(domain);
        if let Choice::Drawn(place) = choice_before {
            group.before.entry(place).or_default().add(mass);
            group.domains_of.entry(place.cluster).or_default().insert(domain);
        }
        if let Choice::Drawn(place) = choice_after {
            group.after.entry(place).or_default().add(mass);
        }
        if let (Choice::Drawn(one), Choice::Drawn(other)) = (choice_before, choice_after) {
            differ(&mut group.clusters_differ, one.cluster, other.cluster, mass);
            differ(&mut group.servers_differ, one.server, other.server, mass);
        }
    }

    /// Whether what was counted is to be added up before more comes.
    pub(super) fn is_full(&self) -> bool {
        self.groups.len() >= GROUPS_MAX
    }

    /// Adds up what was counted; distributions may be forgotten then.
    pub(super) fn add_up(&mut self, names: &Names) {
        for (key, group) in std::mem::take(&mut self.groups) {
            self.sums.add(key, &group, names);
        }
    }

    /// All that was counted so far.
    pub(super) fn into_sums(mut self, names: &Names) -> Sums {
        self.add_up(names);
        self.sums
    }

    /// A reply's code is another.
    pub(super) fn code(&mut self, before: u16, after: u16, mass: Mass) {
        let is_known = self.codes.contains_key(&(before, after));
        if before != after && (is_known || self.codes.len() < CODES_MAX) {
            self.codes.entry((before, after)).or_default().add(mass);
        }
    }
}

fn differ(sums: &mut BTreeMap<u32, f64>, one: u32, other: u32, mass: Mass) {
    if one != other {
        *sums.entry(one).or_default() += mass.squares();
        *sums.entry(other).or_default() += mass.squares();
    }
}

fn choice(half: Option<Half>) -> Choice {
    half.map_or(Choice::Nobody, |(_, choice)| choice)
}

const fn kind(choice: Choice) -> Kind {
    match choice {
        Choice::Expected(number) => Kind::Expected(number),
        Choice::Drawn(_) => Kind::Drawn,
        Choice::Nobody => Kind::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::OTHER;
    use super::super::sums::PLACES_MAX;
    use super::*;

    #[test]
    fn what_is_added_up_early_is_the_same_as_late() {
        let mut names = Names::default();
        let places = ["one", "two"].map(|server| names.place(server, server));
        let even = names.choice(places.iter().map(|place| (*place, 0.5)).collect());
        let sums = |every: u32| {
            let mut tally = Tally::default();
            for line in 0..100_u32 {
                let place = places[usize::from(line.is_multiple_of(3))];
                let before = Some((line % 2, Choice::Drawn(place)));
                tally.add(line % 3, (before, Some((line % 2, even))), Mass::of(7), u64::from(line));
                if line % every == every - 1 {
                    tally.add_up(&names);
                }
            }
            tally.into_sums(&names).finish()
        };
        let late = sums(1000);
        assert_eq!(late.all.queries, 700.0);
        for every in [1, 7] {
            let early = sums(every);
            assert_eq!(early.all, late.all);
            assert_eq!(early.domains.count(), late.domains.count());
            let of = |it: &super::super::sums::Finished| it.servers.of(it.all);
            assert!((of(&early).share - of(&late).share).abs() < 1e-9);
        }
    }

    #[test]
    fn what_is_beyond_the_bound_is_told_together_and_counts_all_the_same() {
        let mut names = Names::default();
        let [one, two] = ["one", "two"].map(|server| Choice::Drawn(names.place(server, server)));
        let mut tally = Tally::default();
        let services = PLACES_MAX as u32 + 10;
        for service in 0..services {
            if tally.is_full() {
                tally.add_up(&names);
            }
            for (choice, weight) in [(one, 3), (two, 1)] {
                tally.add(service, (Some((0, choice)), None), Mass::of(weight), u64::from(service));
            }
        }
        assert!(tally.groups.len() < GROUPS_MAX + 2);
        let sums = tally.into_sums(&names).finish();
        let all = 4.0 * f64::from(services);
        assert_eq!((sums.all.queries, sums.lost.queries()), (all, all));
        assert!(sums.beyond.queries > 0.0 && sums.areas.len() <= PLACES_MAX + 1);
        assert!(sums.flows.keys().any(|flow| flow.place.service == OTHER));
    }

    #[test]
    fn codes_are_bounded() {
        let mut tally = Tally::default();
        for code in 0..CODES_MAX as u16 + 10 {
            tally.code(0, code, Mass::of(1));
        }
        assert_eq!(tally.codes.len(), CODES_MAX);
    }
}
