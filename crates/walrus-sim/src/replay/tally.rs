//! Adds queries up as they come, in bounded memory: by service, type, area and what they are
//! answered with on both sides.

use std::collections::BTreeMap;

use super::distinct::Distinct;
use super::interval::Mass;
use super::names::{Choice, Place};

/// Groups told apart: services x types x areas x changes of Plan. What comes beyond is counted only.
const GROUPS_MAX: usize = 4096;
/// Changes of a reply's code told apart.
const CODES_MAX: usize = 256;

/// What the queries of one group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupKey {
    pub(super) service: u32,
    pub(super) record_type: u16,
    /// `None` where the name is no service.
    pub(super) area_before: Option<u32>,
    pub(super) area_after: Option<u32>,
    pub(super) before: Kind,
    pub(super) after: Kind,
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
    pub(super) domains: Distinct,
    /// Who came first, where [`Kind::Drawn`].
    pub(super) before: BTreeMap<Place, Mass>,
    pub(super) after: BTreeMap<Place, Mass>,
    /// Domains by the cluster that they were sent to, where [`Kind::Drawn`].
    pub(super) domains_of: BTreeMap<u32, Distinct>,
}

/// One side of a query for a service: its area, and who answers.
pub(super) type Half = (u32, Choice);

/// All that was counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) groups: BTreeMap<GroupKey, Group>,
    /// Queries beyond the bound.
    pub(super) beyond: Mass,
    /// Queries for other names than services.
    pub(super) others: Mass,
    /// Queries whose reply's code changes, by the codes before and after.
    pub(super) codes: BTreeMap<(u16, u16), Mass>,
}

impl Tally {
    /// Takes a query for a service of at least one side.
    pub(super) fn add(
        &mut self,
        (service, record_type): (u32, u16),
        (before, after): (Option<Half>, Option<Half>),
        mass: Mass,
        domain: u64,
    ) {
        let (choice_before, choice_after) = (choice(before), choice(after));
        let key = GroupKey {
            service,
            record_type,
            area_before: before.map(|(area, _)| area),
            area_after: after.map(|(area, _)| area),
            before: kind(choice_before),
            after: kind(choice_after),
        };
        if !self.groups.contains_key(&key) && self.groups.len() >= GROUPS_MAX {
            self.beyond.add(mass);
            return;
        }
        let group = self.groups.entry(key).or_default();
        group.mass.add(mass);
        group.domains.insert(domain);
        if let Choice::Drawn(place) = choice_before {
            group.before.entry(place).or_default().add(mass);
            group.domains_of.entry(place.cluster).or_default().insert(domain);
        }
        if let Choice::Drawn(place) = choice_after {
            group.after.entry(place).or_default().add(mass);
        }
    }

    /// A reply's code is another.
    pub(super) fn code(&mut self, before: u16, after: u16, mass: Mass) {
        let is_known = self.codes.contains_key(&(before, after));
        if before != after && (is_known || self.codes.len() < CODES_MAX) {
            self.codes.entry((before, after)).or_default().add(mass);
        }
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
    use super::*;

    #[test]
    fn what_is_beyond_the_bound_is_counted_and_nothing_else() {
        let mut tally = Tally::default();
        let place = Place { server: 1, cluster: 2 };
        for round in 0..2 {
            for service in 0..GROUPS_MAX as u32 + 10 {
                let half = Some((0, Choice::Drawn(place)));
                tally.add((service, 1), (half, None), Mass::of(3), u64::from(service));
            }
            assert_eq!(tally.groups.len(), GROUPS_MAX, "{round}");
        }
        assert_eq!(tally.beyond.queries, 2.0 * 10.0 * 3.0);
        let group = tally.groups.values().next().unwrap();
        assert_eq!((group.mass.queries, group.domains.count().count), (6.0, 1));
        for code in 0..CODES_MAX as u16 + 10 {
            tally.code(0, code, Mass::of(1));
        }
        assert_eq!(tally.codes.len(), CODES_MAX);
    }
}
