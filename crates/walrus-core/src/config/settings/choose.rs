//! A service's `choose` and what tunes it.

use super::service::Known;
use crate::config::findings::{Findings, Place};
use crate::config::section::Section;
use crate::world::{ChooseParameters, ChoosePolicy, Service};

/// The policy that a service's settings say, and its parameters.
pub(super) fn read(section: &Section) -> (ChoosePolicy, ChooseParameters) {
    let written = section.text("choose").unwrap_or_default();
    let policy = ChoosePolicy::ALL.into_iter().find(|policy| policy.name() == written);
    // What cannot be read was told of.
    let policy = policy.unwrap_or(ChoosePolicy::Weighted);
    let horizon = section.duration("crml_horizon").as_secs();
    let default = ChooseParameters::default();
    let parameters = ChooseParameters {
        hash_bound: section.number("hash_bound").unwrap_or(default.hash_bound),
        crml_horizon: u32::try_from(horizon).ok().filter(|seconds| *seconds > 0),
        crml_backlog: section.flag("crml_backlog"),
    };
    (policy, parameters)
}

/// Warns if only some servers have a capacity: then none counts where they are weighed together.
pub(super) fn check_capacities(
    service: &Service,
    place: Place,
    known: &Known<'_>,
    findings: &Findings<'_>,
) {
    if !service.choose.weighs_capacities() {
        return;
    }
    let clusters = service.clusters.iter().filter_map(|id| known.clusters.get(id.index()));
    for cluster in clusters {
        let servers = cluster.servers.iter().filter_map(|id| known.servers.get(id.index()));
        let has = |server: &&crate::world::Server| server.capacity.is_some_and(|it| it > 0.0);
        let lacking = servers.clone().find(|server| !has(server));
        if let Some(lacking) = lacking.filter(|_| servers.clone().any(|server| has(&server))) {
            findings.warn(
                place,
                format!(
                    "some servers of cluster {} have a `capacity`, and {} has none above 0: choose = \
                     \"{}\" then goes by `weight`; write a capacity for each, or for none",
                    cluster.name,
                    lacking.name,
                    service.choose.name()
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Context, SourceFile, parse};

    /// The service and the warnings, or the problems.
    fn read(settings: &str, servers: &str) -> Result<(Service, String), String> {
        let text = format!(
            "zone = \"example.com\"\nnameservers = [\"ns.example.net\"]\n\
             dns.listen = [\"192.0.2.53\"]\n[[cluster]]\nname = \"c\"\nservers = [\n\
             {{ name = \"s\", addresses = [\"192.0.2.1\"]{servers} }},\n\
             {{ name = \"t\", addresses = [\"192.0.2.2\"] }},\n]\n\
             [[service]]\nname = \"www.example.com\"\n{settings}\n"
        );
        let files = [SourceFile { name: "a.toml".into(), text }];
        let context = Context { hostname: "ns1", read: &|_| Err("no such file".into()) };
        let lines = |problems: Vec<crate::config::Problem>| -> String {
            problems.iter().map(|problem| format!("{problem}\n")).collect()
        };
        let mut parsed = parse(&files, &context).map_err(lines)?;
        Ok((parsed.configuration.topology.services.remove(0), lines(parsed.warnings)))
    }

    #[test]
    fn all_policies_are_read_by_their_names() {
        for policy in ChoosePolicy::ALL {
            let (service, warnings) = read(&format!("choose = \"{}\"", policy.name()), "").unwrap();
            assert_eq!((service.choose, warnings.as_str()), (policy, ""));
            assert_eq!(service.choose_parameters, ChooseParameters::default());
        }
    }

    #[test]
    fn parameters_are_read_and_bounded() {
        let settings = "choose = \"crml\"\ncrml_horizon = \"2m\"\ncrml_backlog = true";
        let parameters = read(settings, "").unwrap().0.choose_parameters;
        assert_eq!((parameters.crml_horizon, parameters.crml_backlog), (Some(120), true));
        let (service, _) = read("choose = \"hash\"\nhash_bound = 1", "").unwrap();
        assert_eq!(service.choose_parameters.hash_bound, 1.0);
        for (settings, told) in [
            ("hash_bound = 0", "`service.hash_bound` must be"),
            ("crml_horizon = \"0s\"", "`service.crml_horizon` must be"),
            ("choose = \"least\"", "`service.choose` must be"),
        ] {
            let problems = read(settings, "").unwrap_err();
            assert!(problems.contains(told), "{problems}");
        }
    }

    #[test]
    fn capacities_that_have_no_effect_are_told() {
        let (_, warnings) = read("choose = \"dal\"", ", capacity = 100").unwrap();
        assert!(warnings.contains("t has none above 0"), "{warnings}");
        let (_, warnings) = read("choose = \"weighted\"", ", capacity = 100").unwrap();
        assert_eq!(warnings, "");
    }
}
