//! How near clusters are to areas, and whether a service that asks for it, or for capacities, can know.

use super::service::Known;
use crate::config::findings::{Findings, Place};
use crate::config::reference_to::cluster_named;
use crate::config::section::{Section, Value};
use crate::world::{Area, AssignPolicy, Cluster, Nearness, Service};

/// The longest round trip that may be written: a minute.
pub(super) const MILLISECONDS_MAX: f64 = 60_000.0;

/// So many areas or servers are named.
const NAMED_MAX: usize = 3;

/// What an area says.
pub(super) fn read(section: &Section, clusters: &[Cluster], findings: &Findings<'_>) -> Nearness {
    let mut listed = Vec::new();
    for (value, place) in section.list("nearest") {
        let Value::Name(name) = value else { continue };
        let Some(cluster) = cluster_named(name.as_str(), *place, clusters, findings) else {
            continue;
        };
        if listed.contains(&cluster) {
            findings.problem(*place, format!("`nearest` names `{name}` twice: write it once"));
        } else {
            listed.push(cluster);
        }
    }
    let mut milliseconds = Vec::new();
    if let Some(Value::Table(times)) = section.value("milliseconds") {
        for (cluster, place, time, _) in times {
            let Value::Number(time) = time else { continue };
            let cluster = cluster_named(cluster, *place, clusters, findings);
            milliseconds.extend(cluster.map(|cluster| (cluster, *time)));
        }
    }
    milliseconds.sort_by_key(|(cluster, _)| *cluster);
    Nearness::new(listed, milliseconds, section.coordinates("coordinates"), clusters)
}

/// An area of which nothing is known is no problem: `world` has no place, and the service's order is
/// as good a guess as any. But it was hardly meant for others.
pub(super) fn check_service(
    service: &Service,
    place: Place,
    known: &Known<'_>,
    findings: &Findings<'_>,
) {
    let is_asked = matches!(service.assign, AssignPolicy::Nearest | AssignPolicy::Stable);
    if !is_asked || service.clusters.len() < 2 {
        return;
    }
    if service.assign == AssignPolicy::Stable {
        check_capacities(service, place, known, findings);
    }
    let is_blind = |area: &&Area| {
        area.name.as_str() != Area::WORLD
            && !service.clusters.iter().any(|cluster| area.nearness.knows(*cluster))
    };
    let blind: Vec<&str> =
        known.areas.iter().filter(is_blind).map(|area| area.name.as_str()).collect();
    if blind.is_empty() {
        return;
    }
    findings.warn(
        place,
        format!(
            "nothing says how near the clusters of {} are to {}: their home, then the \
             order of `clusters` is taken; give these areas `nearest`, `milliseconds`, or \
             `coordinates` and the clusters too",
            service.name,
            first_few(&blind)
        ),
    );
}

/// Without a capacity nobody can say what fits; one cluster alone holds everything anyway.
fn check_capacities(service: &Service, place: Place, known: &Known<'_>, findings: &Findings<'_>) {
    let clusters = service.clusters.iter().map(|id| &known.clusters[id.index()]);
    let servers =
        clusters.flat_map(|cluster| &cluster.servers).map(|id| &known.servers[id.index()]);
    let unknown: Vec<&str> = servers
        .filter(|server| server.capacity.is_none())
        .map(|server| server.name.as_str())
        .collect();
    if !unknown.is_empty() {
        findings.problem(
            place,
            format!(
                "`stable` shares requests out by the servers' capacities, which are not known of {}: \
                 give each server of the clusters of {} a `capacity` in requests a second",
                first_few(&unknown),
                service.name
            ),
        );
    }
}

/// "a, b, c and 4 more".
fn first_few(names: &[&str]) -> String {
    let named = names[..names.len().min(NAMED_MAX)].join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Context, Parsed, Problem, SourceFile, parse};
    use crate::world::{AreaId, ClusterId, Distance};

    /// Two areas with these lines, and a service on both clusters with `assign = "nearest"`.
    fn checked(north: &str, south: &str, cluster: &str) -> Result<Parsed, Vec<Problem>> {
        let text = format!(
            "zone = \"example.com\"\nnameservers = [\"ns.example.net\"]\n[dns]\n\
             listen = [\"127.0.0.1:5300\"]\n[[cluster]]\nname = \"a\"\n{cluster}\n\
             servers = [{{ name = \"a1\", addresses = [\"192.0.2.1\"] }}]\n[[cluster]]\n\
             name = \"b\"\nservers = [{{ name = \"b1\", addresses = [\"192.0.2.2\"] }}]\n\
             [[area]]\nname = \"north\"\n{north}\n[[area]]\nname = \"south\"\n{south}\n\
             [[service]]\nname = \"www.example.com\"\nassign = \"nearest\"\n"
        );
        let files = [SourceFile { name: "walrus.toml".into(), text }];
        parse(&files, &Context { hostname: "one", read: &|_| Ok(String::new()) })
    }

    fn told(problems: &[Problem]) -> String {
        problems.iter().map(|problem| format!("{problem}\n")).collect()
    }

    #[test]
    fn lists_times_and_coordinates_are_read() {
        let good = checked(
            "nearest = [\"b\"]\nmilliseconds = { a = 12.5 }",
            "coordinates = [1, 2.5]",
            "coordinates = [1, 2.5]",
        );
        let Parsed { configuration, warnings } = good.unwrap();
        assert_eq!(warnings, []);
        let nearness = |area: u32| &configuration.topology.areas[AreaId(area).index()].nearness;
        assert_eq!(
            nearness(0).nearest_first(),
            [(ClusterId(1), Distance::Listed(1)), (ClusterId(0), Distance::Microseconds(12_500))]
        );
        assert_eq!(nearness(1).nearest_first(), [(ClusterId(0), Distance::Kilometres(0))]);
    }

    #[test]
    fn what_is_wrong_with_them_is_told_all_at_once() {
        let problems = checked(
            "nearest = [\"b\", \"c\", \"b\"]\nmilliseconds = { a = -1, d = 1, b = \"near\" }",
            "coordinates = [91, 0]",
            "coordinates = [1]",
        );
        let place =
            "a latitude from -90 to 90 and a longitude from -180 to 180, such as [50.11, 8.68]";
        assert_eq!(
            told(&problems.unwrap_err()),
            format!(
                "walrus.toml:7:15: `cluster.coordinates` must be {place}, not [1]\n\
                 walrus.toml:14:17: there is no cluster `c`; did you mean `a`?\n\
                 walrus.toml:14:22: `nearest` names `b` twice: write it once\n\
                 walrus.toml:15:22: `area.milliseconds.a` must be a number from 0 to 60000, not -1\n\
                 walrus.toml:15:26: there is no cluster `d`; did you mean `a`?\n\
                 walrus.toml:15:37: `area.milliseconds.b` must be a number from 0 to 60000, not the text \"near\"\n\
                 walrus.toml:18:15: `area.coordinates` must be {place}, not [91, 0]\n"
            )
        );
    }

    #[test]
    fn areas_of_which_nothing_is_known_are_a_warning() {
        let warnings = checked("nearest = [\"a\"]", "home = \"b\"", "").unwrap().warnings;
        assert_eq!(
            told(&warnings),
            "walrus.toml:20:10: nothing says how near the clusters of www.example.com are to south: \
             their home, then the order of `clusters` is taken; give these areas `nearest`, \
             `milliseconds`, or `coordinates` and the clusters too\n"
        );
    }

    #[test]
    fn a_stable_allocation_needs_all_capacities() {
        let text = |capacity: &str| {
            format!(
                "zone = \"example.com\"\nnameservers = [\"ns.example.net\"]\n[dns]\n\
                 listen = [\"127.0.0.1:5300\"]\n[[cluster]]\nname = \"a\"\nservers = [\n\
                 {{ name = \"a1\", addresses = [\"192.0.2.1\"]{capacity} }},\n\
                 {{ name = \"a2\", addresses = [\"192.0.2.2\"] }},\n\
                 {{ name = \"a3\", addresses = [\"192.0.2.3\"], capacity = 5 }}]\n\
                 [[cluster]]\nname = \"b\"\nservers = [\n\
                 {{ name = \"b1\", addresses = [\"192.0.2.4\"] }},\n\
                 {{ name = \"b2\", addresses = [\"192.0.2.5\"] }}]\n\
                 [[service]]\nname = \"one.example.com\"\nassign = \"stable\"\nclusters = [\"b\"]\n\
                 [[service]]\nname = \"www.example.com\"\nassign = \"stable\"\n"
            )
        };
        let check = |text: String| {
            let files = [SourceFile { name: "walrus.toml".into(), text }];
            parse(&files, &Context { hostname: "one", read: &|_| Ok(String::new()) })
        };
        assert_eq!(
            told(&check(text("")).unwrap_err()),
            "walrus.toml:22:10: `stable` shares requests out by the servers' capacities, which are not \
             known of a1, a2, b1 and 1 more: give each server of the clusters of www.example.com a \
             `capacity` in requests a second\n"
        );
        let problems = told(&check(text(", capacity = -1")).unwrap_err());
        assert!(
            problems.contains("`cluster.servers.capacity` must be a number from 0"),
            "{problems}"
        );
    }

    #[test]
    fn the_digest_tells_what_nearness_changes() {
        let digest = |south: &str| {
            let topology = checked("nearest = [\"a\"]", south, "").unwrap().configuration.topology;
            topology.services[0].digest.clone()
        };
        assert_ne!(digest("nearest = [\"a\"]"), digest("nearest = [\"b\"]"));
        assert_ne!(digest("nearest = [\"a\"]"), digest("milliseconds = { a = 1 }"));
        assert_eq!(digest("coordinates = [1, 2]"), digest("coordinates = [1.0, 2.0]"));
    }
}
