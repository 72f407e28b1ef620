//! Whether a study can be at all: the load that its populations offer against what servers can give.

use walrus_core::config::settings_file::{Findings, Section};

use super::setup::{Arrivals, Population, Setup};

/// Tells servers without a capacity, and load beyond all capacity unless that is wanted.
pub(super) fn check(setup: &Setup, root: &Section, findings: &Findings<'_>) {
    let topology = &setup.configuration.topology;
    let mut by_service = vec![0.0; topology.services.len()];
    for population in &setup.populations {
        if let Some(sum) = by_service.get_mut(population.service) {
            *sum += hits_per_second(population);
        }
    }
    let place = root.place_of("population");
    let mut used = vec![false; topology.servers.len()];
    for (service, offered) in topology.services.iter().zip(&by_service) {
        if *offered == 0.0 {
            continue;
        }
        let clusters = service.clusters.iter().map(|it| &topology.clusters[it.index()]);
        let servers: Vec<usize> =
            clusters.flat_map(|it| it.servers.iter().map(|server| server.index())).collect();
        servers.iter().for_each(|server| used[*server] = true);
        let given: f64 = servers.iter().filter_map(|it| topology.servers[*it].capacity).sum();
        let all_known = servers.iter().all(|it| topology.servers[*it].capacity.is_some());
        if all_known && *offered > given && !root.flag("overload") {
            let message = format!(
                "the clients of {} ask for {offered:.1} hits/s of servers that can give {given:.1} \
                 together: let fewer of them ask, raise `capacity`, or write overload = true if that is \
                 what you study",
                service.name
            );
            findings.problem(place, message);
        }
    }
    let without: Vec<&str> = topology
        .servers
        .iter()
        .zip(&used)
        .filter(|(server, used)| **used && !server.capacity.is_some_and(|it| it > 0.0))
        .map(|(server, _)| server.name.as_str())
        .collect();
    if let Some(first) = without.first() {
        let message = format!(
            "{} of the servers have no capacity, `{first}` among them: write capacity = 100 (hits a \
             second) at each in the configuration",
            without.len()
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
