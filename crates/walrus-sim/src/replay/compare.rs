//! From sums to what a person wants to know.

use std::collections::BTreeMap;

use walrus_core::world::{Condition, Name};

use super::interval::{Mass, Share, ShareSum};
use super::names::Names;
use super::outcome::{
    AreaShift, ClusterShare, CodeChange, Flow, LogCounts, ReplayOutcome, ServerShift,
};
use super::sums::{AreaSum, Finished, FlowKey, FlowSum, ServerSum};
use super::tally::Tally;

/// Adds everything up.
pub(super) fn compare(
    tally: Tally,
    names: &Names,
    log: LogCounts,
    conditions: &BTreeMap<Name, Condition>,
) -> ReplayOutcome {
    let codes = codes(&tally);
    let others = tally.others.queries;
    let sums = tally.into_sums(names).finish();
    let all = sums.all;
    let drawn = sums.drawn.iter().map(|service| names.service_name(*service).to_owned());
    ReplayOutcome {
        log: LogCounts { others, beyond: sums.beyond.queries, ..log },
        queries: all.queries,
        domains: sums.domains.count(),
        moved: sums.moved.of(all),
        moved_domains: sums.moved_domains.count(),
        moved_servers: sums.servers.of(all),
        lost: sums.lost.of(all),
        gained: sums.gained.of(all),
        flows: flows(&sums, names),
        areas: areas(&sums, names),
        servers: servers(&sums, names, conditions),
        codes,
        drawn: drawn.collect(),
    }
}

fn flows(sums: &Finished, names: &Names) -> Vec<Flow> {
    let area = |area: Option<u32>| area.map(|area| names.area_name(area).to_owned());
    let cluster = |it: Option<u32>| it.map(|cluster| names.cluster_name(cluster).to_owned());
    let flow = |(FlowKey { place, from, to }, flow): (&FlowKey, &FlowSum)| Flow {
        service: names.service_name(place.service).to_owned(),
        area_before: area(place.area_before),
        area_after: area(place.area_after),
        from: cluster(*from),
        to: cluster(*to),
        queries: flow.sum.queries(),
        share: flow.sum.of(sums.all),
        domains: flow.domains.count(),
    };
    let mut flows: Vec<Flow> = sums.flows.iter().map(flow).collect();
    let order = |flow: &Flow| {
        (flow.service.clone(), flow.area_before.clone(), flow.area_after.clone(), flow.from.clone())
    };
    flows.sort_by(|one, other| {
        other.queries.total_cmp(&one.queries).then_with(|| order(one).cmp(&order(other)))
    });
    flows
}

fn areas(sums: &Finished, names: &Names) -> Vec<AreaShift> {
    let shift = |((service, area), sum): (&(u32, u32), &AreaSum)| AreaShift {
        service: names.service_name(*service).to_owned(),
        area: names.area_name(*area).to_owned(),
        queries_before: sum.mass[0].queries,
        queries_after: sum.mass[1].queries,
        before: clusters(&sum.clusters[0], sum.mass[0], names),
        after: clusters(&sum.clusters[1], sum.mass[1], names),
    };
    let mut areas: Vec<AreaShift> = sums.areas.iter().map(shift).collect();
    areas.sort_by(|one, other| (&one.service, &one.area).cmp(&(&other.service, &other.area)));
    areas
}

/// The greatest share first.
fn clusters(sums: &BTreeMap<u32, ShareSum>, all: Mass, names: &Names) -> Vec<ClusterShare> {
    let share = |(cluster, sum): (&u32, &ShareSum)| ClusterShare {
        cluster: names.cluster_name(*cluster).to_owned(),
        share: sum.of(all),
    };
    let mut clusters: Vec<ClusterShare> = sums.iter().map(share).collect();
    clusters.sort_by(|one, other| {
        let shares = other.share.share.total_cmp(&one.share.share);
        shares.then_with(|| one.cluster.cmp(&other.cluster))
    });
    clusters
}

fn servers(
    sums: &Finished,
    names: &Names,
    conditions: &BTreeMap<Name, Condition>,
) -> Vec<ServerShift> {
    let shift = |(server, sum): (&u32, &ServerSum)| {
        let name = names.server_name(*server);
        let [before, after] = [sum.sums[0].queries(), sum.sums[1].queries()];
        let cluster = sum.clusters[1].or(sum.clusters[0]);
        let load = conditions.get(name).and_then(|condition| condition.load);
        let share = |half: usize| -> Share { sum.sums[half].of(sums.all) };
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
    let mut servers: Vec<ServerShift> = sums.server_sums.iter().map(shift).collect();
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
