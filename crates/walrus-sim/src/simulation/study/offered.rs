//! Whether a study can be at all: the load that its populations offer against what servers can give, and
//! whether there is anything for them to find.

use std::net::IpAddr;

use walrus_core::config::settings_file::{Findings, Section};

use super::setup::{Arrivals, Population, RecordType, Setup};

/// Tells servers without a capacity or an address of the type, and load beyond all capacity unless that
/// is wanted; warns of what was hardly meant.
pub(super) fn check(setup: &Setup, root: &Section, findings: &Findings<'_>) {
    loads(setup, root, findings);
    for population in &setup.populations {
        let named =
            |it: &&Section| it.name("name").is_some_and(|it| it.as_str() == population.name);
        if let Some(section) = root.sections("population").iter().find(named) {
            addresses(setup, population, section, findings);
            distances(setup, population, section, findings);
            overlap(setup, population, section, findings);
            night(setup, population, section, findings);
        }
    }
}

/// Warns of a population that sleeps while it is simulated.
fn night(setup: &Setup, population: &Population, section: &Section, findings: &Findings<'_>) {
    let activity = population.mean_activity(setup.duration.as_secs_f64());
    if activity < 0.5 {
        let message = format!(
            "population `{}` is at night for most of the run: it asks for {:.0} % of what it does on \
             average of a day; let `begins` or `peak` be another time",
            population.name,
            activity * 100.0
        );
        findings.warn(section.place_of("peak"), message);
    }
}

/// Services that share a cluster, directly or by others, and what is asked of them together.
struct Together {
    services: Vec<usize>,
    clusters: Vec<usize>,
    offered: f64,
}

fn together(setup: &Setup) -> Vec<Together> {
    let mut groups: Vec<Together> = Vec::new();
    for (number, service) in setup.configuration.topology.services.iter().enumerate() {
        let own = setup.populations.iter().filter(|population| population.service == number);
        let offered: f64 = own.map(hits_per_second).sum();
        if offered == 0.0 {
            continue;
        }
        let clusters: Vec<usize> = service.clusters.iter().map(|it| it.index()).collect();
        let mut group = Together { services: vec![number], clusters, offered };
        let shares = |it: &Together| it.clusters.iter().any(|one| group.clusters.contains(one));
        let (same, others): (Vec<Together>, Vec<Together>) = groups.into_iter().partition(shares);
        groups = others;
        for same in same {
            group.services.extend(same.services);
            group.clusters.extend(same.clusters);
            group.offered += same.offered;
        }
        group.services.sort_unstable();
        group.clusters.sort_unstable();
        group.clusters.dedup();
        groups.push(group);
    }
    groups
}

fn loads(setup: &Setup, root: &Section, findings: &Findings<'_>) {
    let topology = &setup.configuration.topology;
    let mut without: Vec<usize> = Vec::new();
    for Together { services, clusters, offered } in together(setup) {
        let clusters = clusters.iter().map(|it| &topology.clusters[*it]);
        let servers: Vec<usize> =
            clusters.flat_map(|it| it.servers.iter().map(|server| server.index())).collect();
        let capacity = |it: &usize| topology.servers[*it].capacity.filter(|it| *it > 0.0);
        without.extend(servers.iter().filter(|it| capacity(it).is_none()));
        let given: f64 = servers.iter().filter_map(capacity).sum();
        let all_known = servers.iter().all(|it| capacity(it).is_some());
        if all_known && offered > given && !root.flag("overload") {
            let names: Vec<String> =
                services.iter().map(|it| topology.services[*it].name.to_string()).collect();
            let message = format!(
                "the clients of {} ask for {offered:.1} hits/s of servers that can give {given:.1} \
                 together: let fewer of them ask, raise `capacity`, or write overload = true if that is \
                 what you study",
                names.join(" and ")
            );
            findings.problem(root.place_of("population"), message);
        }
    }
    without.sort_unstable();
    if let Some(first) = without.first() {
        let message = format!(
            "{} of the servers have no capacity, `{}` among them: write capacity = 100 (hits a \
             second) at each in the configuration",
            without.len(),
            topology.servers[*first].name
        );
        findings.problem(root.place_of("configuration"), message);
    }
}

/// What a population asks for while nobody waits: an upper bound for a closed one.
fn hits_per_second(population: &Population) -> f64 {
    let hits = population.hits.mean();
    match population.arrivals {
        Arrivals::Closed(clients) => clients as f64 * hits / population.think.mean().max(1e-9),
        Arrivals::Open(sessions) => sessions * population.session.mean() * hits,
    }
}

fn addresses(setup: &Setup, population: &Population, section: &Section, findings: &Findings<'_>) {
    let topology = &setup.configuration.topology;
    let service = &topology.services[population.service];
    let is_wanted = |address: &IpAddr| match population.record_type {
        RecordType::A => address.is_ipv4(),
        RecordType::Aaaa => address.is_ipv6(),
    };
    let mut servers = service.clusters.iter().flat_map(|it| &topology.clusters[it.index()].servers);
    if !servers.any(|it| topology.servers[it.index()].addresses.iter().any(is_wanted)) {
        let (family, other) = match population.record_type {
            RecordType::A => ("IPv4", "AAAA"),
            RecordType::Aaaa => ("IPv6", "A"),
        };
        let message = format!(
            "no server of {} has an {family} address: give them some in the configuration, or write type = \
             \"{other}\"",
            service.name
        );
        findings.problem(section.place_of("type"), message);
    }
}

fn distances(setup: &Setup, population: &Population, section: &Section, findings: &Findings<'_>) {
    let topology = &setup.configuration.topology;
    let service = &topology.services[population.service];
    let (known, unknown): (Vec<usize>, Vec<usize>) = service
        .clusters
        .iter()
        .map(|it| it.index())
        .partition(|it| population.cluster_distances.get(*it).copied().flatten().is_some());
    if let (Some(_), Some(unknown)) = (known.first(), unknown.first()) {
        let message = format!(
            "`distances` has no way to cluster `{}`: it counts as nothing, and which cluster is nearest is \
             taken from the area's home instead: name all clusters of {}",
            topology.clusters[*unknown].name, service.name
        );
        findings.warn(section.place_of("distances"), message);
    }
}

/// Networks that another population has, too.
fn overlap(setup: &Setup, population: &Population, section: &Section, findings: &Findings<'_>) {
    let others = setup.populations.iter().take_while(|it| it.name != population.name);
    for other in others {
        let ((from, to), (other_from, other_to)) = (networks(population), networks(other));
        if population.network.is_ipv4() == other.network.is_ipv4()
            && from < other_to
            && other_from < to
        {
            let message = format!(
                "its networks are those of population `{}`: they are one to policies and in observations, and \
                 yet have resolvers apart: write another `prefix`",
                other.name
            );
            findings.warn(section.place_of("prefix"), message);
        }
    }
}

/// The first address of its domains, and the first behind them.
fn networks(population: &Population) -> (u128, u128) {
    let (first, bits) = match population.network {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let size = 1_u128 << (bits - population.network_bits);
    (first, first.saturating_add(size * population.shares.shares().len() as u128))
}
