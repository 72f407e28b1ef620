//! What the groups add up to: where queries go on both sides, who moves for certain, and where what was
//! drawn differs from what is expected.
//!
//! How two sides compare is in [`super::sides`]. What cannot be told from chance is kept until the end, when
//! [`settle`] does so.

use std::collections::{BTreeMap, BTreeSet};

use super::distinct::Distinct;
use super::interval::{Mass, ShareSum};
use super::names::{Names, OTHER, Place};
use super::settle::{Difference, Differences, Key, settle};
use super::sides::{Certain, Compared, Shares, Side, add_all, compare};
use super::tally::{Group, GroupKey, GroupPlace, Kind};

/// Services x areas told apart; what comes beyond is counted under one name.
pub(super) const PLACES_MAX: usize = 1 << 16;
/// Flows told apart.
const FLOWS_MAX: usize = 1 << 17;

/// Whose queries go from which cluster to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FlowKey {
    pub(super) place: GroupPlace,
    pub(super) from: Key,
    pub(super) to: Key,
}

#[derive(Clone, Debug, Default)]
pub(super) struct FlowSum {
    pub(super) sum: ShareSum,
    pub(super) domains: Distinct,
}

/// Where an area's queries go, before and after.
#[derive(Clone, Debug, Default)]
pub(super) struct AreaSum {
    pub(super) mass: [Mass; 2],
    pub(super) clusters: [BTreeMap<u32, ShareSum>; 2],
}

/// What a server bears, before and after.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerSum {
    pub(super) clusters: [Option<u32>; 2],
    pub(super) sums: [ShareSum; 2],
}

/// What was drawn, of which nobody knows yet whether it differs.
#[derive(Clone, Debug, Default)]
struct Open {
    mass: Mass,
    /// Of lines whose cluster before was not drawn.
    domains: Distinct,
    /// Of the others, by that cluster.
    domains_of: BTreeMap<u32, Distinct>,
    differences: Differences,
}

/// Everything that is known of the queries for services so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    told: Finished,
    places: BTreeSet<GroupPlace>,
    open_clusters: BTreeMap<GroupPlace, Open>,
    open_servers: BTreeMap<GroupPlace, Open>,
}

/// Everything added up.
#[derive(Clone, Debug, Default)]
pub(super) struct Finished {
    pub(super) all: Mass,
    pub(super) domains: Distinct,
    pub(super) moved: ShareSum,
    pub(super) lost: ShareSum,
    pub(super) gained: ShareSum,
    /// To another server.
    pub(super) servers: ShareSum,
    pub(super) moved_domains: Distinct,
    pub(super) flows: BTreeMap<FlowKey, FlowSum>,
    /// By service and area.
    pub(super) areas: BTreeMap<(u32, u32), AreaSum>,
    pub(super) server_sums: BTreeMap<u32, ServerSum>,
    /// Services whose choice was drawn.
    pub(super) drawn: BTreeSet<u32>,
    /// Queries of places beyond the bound.
    pub(super) beyond: Mass,
}

impl Sums {
    /// Takes all queries of a group.
    pub(super) fn add(&mut self, key: GroupKey, group: &Group, names: &Names) {
        let before = Side::of(key.before, &group.before, names);
        let after = Side::of(key.after, &group.after, names);
        if before.is_nobody() && after.is_nobody() {
            // No business of anybody.
            return;
        }
        let place = self.place(key.place, group.mass);
        let told = &mut self.told;
        told.all.add(group.mass);
        told.domains.add(&group.domains);
        if key.after == Kind::Drawn {
            told.drawn.insert(place.service);
        }
        for (half, (area, side)) in
            [(place.area_before, &before), (place.area_after, &after)].into_iter().enumerate()
        {
            told.bring(half, area.map(|area| (place.service, area)), side, group.mass);
        }
        let by_cluster = [&before, &after].map(|side| side.shares(|place| place.cluster));
        let is_drawn_before = matches!(by_cluster[0], Shares::Drawn(_));
        match compare(&by_cluster, group, &group.clusters_differ) {
            Compared::Settled(flows) => told.settled(place, &flows, group, is_drawn_before),
            Compared::Open(differences) => {
                let open = self.open_clusters.entry(place).or_default();
                open.add(group, differences);
                if is_drawn_before {
                    for (cluster, domains) in &group.domains_of {
                        open.domains_of.entry(*cluster).or_default().add(domains);
                    }
                } else {
                    open.domains.add(&group.domains);
                }
            }
        }
        let by_server = [&before, &after].map(|side| side.shares(|place| place.server));
        match compare(&by_server, group, &group.servers_differ) {
            Compared::Settled(flows) => {
                add_all(&mut told.servers, flows.iter().filter(|it| it.is_move()));
            }
            Compared::Open(differences) => {
                self.open_servers.entry(place).or_default().add(group, differences);
            }
        }
    }

    /// The place under which a group is told.
    fn place(&mut self, place: GroupPlace, mass: Mass) -> GroupPlace {
        if self.places.contains(&place) {
            return place;
        }
        if self.places.len() < PLACES_MAX {
            self.places.insert(place);
            return place;
        }
        self.told.beyond.add(mass);
        let other = |area: Option<u32>| area.map(|_| OTHER);
        let [area_before, area_after] = [other(place.area_before), other(place.area_after)];
        GroupPlace { service: OTHER, area_before, area_after }
    }

    /// Tells what was drawn from chance.
    pub(super) fn finish(self) -> Finished {
        let Self { mut told, open_clusters, open_servers, .. } = self;
        let mut groups = differences(&open_clusters);
        let moving = settle(&mut groups);
        for ((place, open), moving) in open_clusters.iter().zip(&moving) {
            let (mut moved, mut lost, mut gained) = (0.0, 0.0, 0.0);
            let whole = open.mass.queries.max(f64::MIN_POSITIVE);
            for (from, to, queries) in moving {
                let share = (queries / whole).min(1.0);
                let mut domains = open.domains.clone();
                if let Some(of) = from.and_then(|from| open.domains_of.get(&from)) {
                    domains.add(of);
                }
                match (from, to) {
                    (Some(_), Some(_)) => {
                        moved += share;
                        told.moved_domains.add(&domains);
                    }
                    (Some(_), None) => lost += share,
                    (None, _) => gained += share,
                }
                told.flow(
                    FlowKey { place: *place, from: *from, to: *to },
                    open.mass,
                    share,
                    &domains,
                );
            }
            told.moved.add(open.mass, moved.min(1.0));
            told.lost.add(open.mass, lost.min(1.0));
            told.gained.add(open.mass, gained.min(1.0));
        }
        let mut groups = differences(&open_servers);
        let moving = settle(&mut groups);
        for (open, moving) in open_servers.values().zip(&moving) {
            let between = moving.iter().filter(|(from, to, _)| from.is_some() && to.is_some());
            let queries: f64 = between.map(|(_, _, queries)| queries).sum();
            let share = queries / open.mass.queries.max(f64::MIN_POSITIVE);
            told.servers.add(open.mass, share.min(1.0));
        }
        told
    }
}

impl Open {
    fn add(&mut self, group: &Group, differences: Vec<(Key, Difference)>) {
        self.mass.add(group.mass);
        self.differences.queries += group.mass.queries;
        for (key, difference) in differences {
            self.differences.by_key.entry(key).or_default().add(&difference);
        }
    }
}

fn differences(open: &BTreeMap<GroupPlace, Open>) -> Vec<(GroupPlace, Differences)> {
    open.iter().map(|(place, open)| (*place, open.differences.clone())).collect()
}

impl Finished {
    /// Counts where the queries of one side go.
    fn bring(&mut self, half: usize, area: Option<(u32, u32)>, side: &Side<'_>, mass: Mass) {
        if side.is_nobody() {
            return;
        }
        if let Some(area) = area {
            let sum = self.areas.entry(area).or_default();
            sum.mass[half].add(mass);
            let clusters = &mut sum.clusters[half];
            let mut add = |cluster: Key, mass, share| {
                if let Some(cluster) = cluster {
                    clusters.entry(cluster).or_default().add(mass, share);
                }
            };
            match side.shares(|place| place.cluster) {
                Shares::Expected(shares) => {
                    shares.into_iter().for_each(|(cluster, share)| add(cluster, mass, share));
                }
                Shares::Drawn(masses) => {
                    masses.into_iter().for_each(|(cluster, mass)| add(cluster, mass, 1.0));
                }
            }
        }
        let mut add = |place: &Place, mass, share| {
            let sum = self.server_sums.entry(place.server).or_default();
            sum.clusters[half] = Some(place.cluster);
            sum.sums[half].add(mass, share);
        };
        match side {
            Side::Expected(shares) => {
                shares.iter().for_each(|(place, share)| add(place, mass, *share));
            }
            Side::Drawn(masses) => masses.iter().for_each(|(place, of)| add(place, *of, 1.0)),
        }
    }

    /// Moves that are certain.
    fn settled(&mut self, place: GroupPlace, flows: &[Certain], group: &Group, is_drawn: bool) {
        for Certain { from, to, mass, share } in flows {
            let of = from.and_then(|from| group.domains_of.get(&from)).filter(|_| is_drawn);
            let domains = of.unwrap_or(&group.domains);
            if from.is_some() && to.is_some() {
                self.moved_domains.add(domains);
            }
            self.flow(FlowKey { place, from: *from, to: *to }, *mass, *share, domains);
        }
        add_all(&mut self.moved, flows.iter().filter(|it| it.is_move()));
        add_all(&mut self.lost, flows.iter().filter(|it| it.to.is_none()));
        add_all(&mut self.gained, flows.iter().filter(|it| it.from.is_none()));
    }

    fn flow(&mut self, key: FlowKey, mass: Mass, share: f64, domains: &Distinct) {
        let is_told = self.flows.len() < FLOWS_MAX || self.flows.contains_key(&key);
        let key = if is_told { key } else { key.other() };
        let flow = self.flows.entry(key).or_default();
        flow.sum.add(mass, share);
        flow.domains.add(domains);
    }
}

impl FlowKey {
    fn other(self) -> Self {
        let other = |it: Option<u32>| it.map(|_| OTHER);
        let place = GroupPlace { service: OTHER, area_before: None, area_after: None };
        Self { place, from: other(self.from), to: other(self.to) }
    }
}
