//! From counts to what a person wants to know.
//!
//! Of two distributions p and q the least share that must change hands to get from one to the other
//! is the sum of max(0, p - q) (the total variation distance): that moves, from those who lose to
//! those who win, in proportion. Two configurations that decide alike move nobody, however their
//! draws fall. Where one side was drawn, not expected, a difference counts only if it is more than
//! three deviations of such a draw.

use std::collections::{BTreeMap, BTreeSet};

use walrus_core::world::{Condition, Name};

use super::distinct::Distinct;
use super::interval::{Mass, Share, ShareSum};
use super::names::{Names, Place};
use super::outcome::{AreaShift, CodeChange, Flow, LogCounts, ReplayOutcome, ServerShift};
use super::tally::{Group, GroupKey, Kind, Tally};

/// A difference of drawn shares below so many deviations is chance.
const CHANCE: f64 = 3.0;
/// Shares below this are what rounding left.
const NOTHING: f64 = 1e-6;

/// A cluster (or a server), or `None` for no server.
type Shares<K> = BTreeMap<Option<K>, f64>;

/// Both sides' shares of one group.
struct Sides<'a> {
    key: &'a GroupKey,
    group: &'a Group,
    before: Vec<(Place, f64)>,
    after: Vec<(Place, f64)>,
}

/// Where a flow begins and ends: service, areas, clusters.
type FlowKey = (u32, Option<u32>, Option<u32>, Option<u32>, Option<u32>);

#[derive(Default)]
struct FlowSum {
    sum: ShareSum,
    domains: Distinct,
}

#[derive(Default)]
struct AreaSum {
    queries: [f64; 2],
    clusters: [BTreeMap<u32, f64>; 2],
}

#[derive(Default)]
struct ServerSum {
    clusters: [Option<u32>; 2],
    sums: [ShareSum; 2],
}

/// Adds everything up.
pub(super) fn compare(
    tally: &Tally,
    names: &Names,
    log: LogCounts,
    conditions: &BTreeMap<Name, Condition>,
) -> ReplayOutcome {
    let sides = tally.groups.iter().map(|(key, group)| Sides::of(key, group, names));
    // Neither side has a server for it: no business of anybody.
    let sides: Vec<Sides<'_>> =
        sides.filter(|it| !it.before.is_empty() || !it.after.is_empty()).collect();
    let (mut all, mut domains) = (Mass::default(), Distinct::default());
    for side in &sides {
        all.add(side.group.mass);
        domains.add(&side.group.domains);
    }
    let mut moves = Moves::default();
    sides.iter().for_each(|side| moves.add(side));
    let drawn = |key: &&GroupKey| key.after == Kind::Drawn;
    let drawn: BTreeSet<u32> = tally.groups.keys().filter(drawn).map(|key| key.service).collect();
    ReplayOutcome {
        log: LogCounts { others: tally.others.queries, beyond: tally.beyond.queries, ..log },
        queries: all.queries,
        domains: domains.count(),
        moved: moves.moved.of(all),
        moved_domains: moves.domains.count(),
        moved_servers: moves.servers.of(all),
        lost: moves.lost.of(all),
        gained: moves.gained.of(all),
        flows: flows(&moves.flows, names, all),
        areas: areas(&sides, names),
        servers: servers(&sides, names, all, conditions),
        codes: codes(tally),
        drawn: drawn.into_iter().map(|service| names.service_name(service).to_owned()).collect(),
    }
}

impl<'a> Sides<'a> {
    fn of(key: &'a GroupKey, group: &'a Group, names: &Names) -> Self {
        let shares = |kind: Kind, drawn: &BTreeMap<Place, Mass>| match kind {
            Kind::Expected(number) => names.distribution(number).to_vec(),
            Kind::Drawn => {
                let share = |(place, mass): (&Place, &Mass)| {
                    (*place, mass.queries / group.mass.queries.max(f64::MIN_POSITIVE))
                };
                drawn.iter().map(share).collect()
            }
            Kind::Nobody => Vec::new(),
        };
        let before = shares(key.before, &group.before);
        let after = shares(key.after, &group.after);
        Self { key, group, before, after }
    }

    /// What must change hands, by clusters or by servers.
    fn flows<K: Ord + Copy>(&self, of: impl Fn(&Place) -> K) -> Vec<(Option<K>, Option<K>, f64)> {
        let (before, after) = (sum_up(&self.before, &of), sum_up(&self.after, &of));
        let is_drawn = self.key.before == Kind::Drawn || self.key.after == Kind::Drawn;
        let Mass { queries, sampled } = self.group.mass;
        // Of the share of n lines of some weights: sum w^2 / (sum w)^2 p (1 - p).
        let spread = (sampled + queries) / queries.max(f64::MIN_POSITIVE).powi(2);
        let keys: BTreeSet<Option<K>> = before.keys().chain(after.keys()).copied().collect();
        let (mut lost, mut won) = (Vec::new(), Vec::new());
        for key in keys {
            let share = |side: &Shares<K>| side.get(&key).copied().unwrap_or(0.0);
            let (one, other) = (share(&before), share(&after));
            // The side that was drawn is likely where it lies; the other says how widely it draws.
            let expected = if self.key.after == Kind::Drawn { one } else { other };
            let chance = CHANCE * (spread * expected * (1.0 - expected)).sqrt();
            let bound = if is_drawn { chance.max(NOTHING) } else { NOTHING };
            if one - other > bound {
                lost.push((key, one - other));
            } else if other > one {
                won.push((key, other - one));
            }
        }
        let total: f64 = won.iter().map(|(_, share)| share).sum();
        let mut flows = Vec::new();
        for (from, gone) in &lost {
            for (to, come) in &won {
                flows.push((*from, *to, gone * come / total));
            }
        }
        flows
    }

    /// The domains that a flow away from a cluster concerns.
    fn domains_from(&self, from: Option<u32>) -> Distinct {
        let of_cluster = from.and_then(|from| self.group.domains_of.get(&from));
        match (self.key.before, of_cluster) {
            (Kind::Drawn, Some(domains)) => domains.clone(),
            _ => self.group.domains.clone(),
        }
    }
}

/// Shares by cluster or server; all of it `None` for an answer without a server.
fn sum_up<K: Ord>(shares: &[(Place, f64)], of: impl Fn(&Place) -> K) -> Shares<K> {
    let mut sums = BTreeMap::new();
    for (place, share) in shares {
        *sums.entry(Some(of(place))).or_default() += share;
    }
    if sums.is_empty() {
        sums.insert(None, 1.0);
    }
    sums
}

/// Who moves.
#[derive(Default)]
struct Moves {
    moved: ShareSum,
    lost: ShareSum,
    gained: ShareSum,
    servers: ShareSum,
    domains: Distinct,
    flows: BTreeMap<FlowKey, FlowSum>,
}

impl Moves {
    fn add(&mut self, side: &Sides<'_>) {
        let (key, mass) = (side.key, side.group.mass);
        let (mut moved, mut lost, mut gained) = (0.0, 0.0, 0.0);
        for (from, to, share) in side.flows(|place| place.cluster) {
            let flow = (key.service, key.area_before, key.area_after, from, to);
            let flow = self.flows.entry(flow).or_default();
            flow.sum.add(mass, share);
            let domains = side.domains_from(from);
            flow.domains.add(&domains);
            match (from, to) {
                (Some(_), Some(_)) => {
                    moved += share;
                    self.domains.add(&domains);
                }
                (Some(_), None) => lost += share,
                (None, _) => gained += share,
            }
        }
        self.moved.add(mass, moved);
        self.lost.add(mass, lost);
        self.gained.add(mass, gained);
        let of_servers = side.flows(|place| place.server);
        let between = of_servers.iter().filter(|(from, to, _)| from.is_some() && to.is_some());
        self.servers.add(mass, between.map(|(_, _, share)| share).sum());
    }
}

fn flows(sums: &BTreeMap<FlowKey, FlowSum>, names: &Names, all: Mass) -> Vec<Flow> {
    let area = |area: Option<u32>| area.map(|area| names.area_name(area).to_owned());
    let cluster = |it: Option<u32>| it.map(|cluster| names.cluster_name(cluster).to_owned());
    let flow = |(key, sum): (&FlowKey, &FlowSum)| Flow {
        service: names.service_name(key.0).to_owned(),
        area_before: area(key.1),
        area_after: area(key.2),
        from: cluster(key.3),
        to: cluster(key.4),
        queries: sum.sum.queries(),
        share: sum.sum.of(all),
        domains: sum.domains.count(),
    };
    let mut flows: Vec<Flow> = sums.iter().map(flow).collect();
    let order = |flow: &Flow| {
        (flow.service.clone(), flow.area_before.clone(), flow.area_after.clone(), flow.from.clone())
    };
    flows.sort_by(|one, other| {
        other.queries.total_cmp(&one.queries).then_with(|| order(one).cmp(&order(other)))
    });
    flows
}

fn areas(sides: &[Sides<'_>], names: &Names) -> Vec<AreaShift> {
    let mut sums: BTreeMap<(&str, &str), AreaSum> = BTreeMap::new();
    for side in sides {
        let key = side.key;
        let queries = side.group.mass.queries;
        let halves = [(key.area_before, &side.before), (key.area_after, &side.after)];
        for (half, (area, shares)) in halves.into_iter().enumerate() {
            let Some(area) = area.filter(|_| !shares.is_empty()) else { continue };
            let place = (names.service_name(key.service), names.area_name(area));
            let sum = sums.entry(place).or_default();
            sum.queries[half] += queries;
            for (place, share) in shares {
                *sum.clusters[half].entry(place.cluster).or_default() += share * queries;
            }
        }
    }
    let shift = |((service, area), sum): ((&str, &str), AreaSum)| {
        let clusters = |half: usize| {
            let share = |(cluster, queries): (&u32, &f64)| {
                (names.cluster_name(*cluster).to_owned(), queries / sum.queries[half])
            };
            let mut clusters: Vec<(String, f64)> = sum.clusters[half].iter().map(share).collect();
            clusters
                .sort_by(|one, other| other.1.total_cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
            clusters
        };
        AreaShift {
            service: service.to_owned(),
            area: area.to_owned(),
            queries_before: sum.queries[0],
            queries_after: sum.queries[1],
            before: clusters(0),
            after: clusters(1),
        }
    };
    sums.into_iter().map(shift).collect()
}

fn servers(
    sides: &[Sides<'_>],
    names: &Names,
    all: Mass,
    conditions: &BTreeMap<Name, Condition>,
) -> Vec<ServerShift> {
    let mut sums: BTreeMap<u32, ServerSum> = BTreeMap::new();
    for side in sides {
        let halves = [
            (side.key.before, &side.before, &side.group.before),
            (side.key.after, &side.after, &side.group.after),
        ];
        for (half, (kind, shares, drawn)) in halves.into_iter().enumerate() {
            for (place, share) in shares {
                let sum = sums.entry(place.server).or_default();
                sum.clusters[half] = Some(place.cluster);
                match drawn.get(place).filter(|_| kind == Kind::Drawn) {
                    Some(mass) => sum.sums[half].add(*mass, 1.0),
                    None => sum.sums[half].add(side.group.mass, *share),
                }
            }
        }
    }
    let shift = |(server, sum): (u32, ServerSum)| {
        let name = names.server_name(server);
        let [before, after] = [sum.sums[0].queries(), sum.sums[1].queries()];
        let cluster = sum.clusters[1].or(sum.clusters[0]);
        let load = conditions.get(name).and_then(|condition| condition.load);
        let share = |half: usize| -> Share { sum.sums[half].of(all) };
        ServerShift {
            server: name.to_owned(),
            cluster: cluster.map(|it| names.cluster_name(it).to_owned()).unwrap_or_default(),
            queries_before: before,
            queries_after: after,
            before: share(0),
            after: share(1),
            load,
            load_after: load.filter(|_| before > 0.0).map(|load| load * after / before),
        }
    };
    let mut servers: Vec<ServerShift> = sums.into_iter().map(shift).collect();
    servers.sort_by(|one, other| one.server.cmp(&other.server));
    servers
}

fn codes(tally: &Tally) -> Vec<CodeChange> {
    let change = |((before, after), mass): (&(u16, u16), &Mass)| CodeChange {
        before: *before,
        after: *after,
        queries: mass.queries,
    };
    tally.codes.iter().map(change).collect()
}
