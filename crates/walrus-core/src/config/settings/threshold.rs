//! The load above which a server takes no new clients: what of it cannot be meant.

use crate::config::findings::Findings;
use crate::config::section::Section;
use crate::world::{AssignPolicy, Service};

/// A server that went above the threshold must be able to come back.
pub(super) fn check_hysteresis(section: &Section, findings: &Findings<'_>) {
    let number = |name| section.number(name);
    let (Some(threshold), Some(hysteresis)) = (number("threshold"), number("hysteresis")) else {
        return;
    };
    if hysteresis > threshold {
        let given = if section.is_given("hysteresis") { "hysteresis" } else { "threshold" };
        findings.problem(
            section.place_of(given),
            format!(
                "`hysteresis` ({hysteresis}) must not be above `threshold` ({threshold}): no server \
                 would ever be used again"
            ),
        );
    }
}

/// No load is above 1, so nothing would ever be moved for it.
pub(super) fn warn_of_none(section: &Section, service: &Service, findings: &Findings<'_>) {
    let effect = match service.assign {
        AssignPolicy::Walrus | AssignPolicy::Nearest => "no area ever leaves home for load",
        AssignPolicy::Stable => {
            "an overloaded cluster looks exactly full, and nothing is moved from it"
        }
        AssignPolicy::Failover | AssignPolicy::All => return,
    };
    if service.threshold >= 1.0 && service.clusters.len() > 1 {
        findings.warn(
            section.place_of("threshold"),
            format!(
                "threshold = 1.0 is never exceeded, for no load is above 1: {effect}; write 0.95 or \
                 less, or assign = \"failover\" or \"all\" if that is meant"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Context, SourceFile, parse};

    fn warnings(settings: &str, clusters: usize) -> Result<String, String> {
        let mut text = "zone = \"example.com\"\nnameservers = [\"ns.example.net\"]\n\
                        dns.listen = [\"192.0.2.53\"]\n"
            .to_owned();
        for number in 1..=clusters {
            text += &format!(
                "[[cluster]]\nname = \"c{number}\"\nservers = [{{ name = \"s{number}\", \
                 addresses = [\"192.0.2.{number}\"], capacity = 100 }}]\n"
            );
        }
        text += &format!("[[service]]\nname = \"www.example.com\"\n{settings}\n");
        let files = [SourceFile { name: "a.toml".into(), text }];
        let context = Context { hostname: "ns1", read: &|_| Err("no such file".into()) };
        let lines = |problems: Vec<crate::config::Problem>| -> String {
            problems.iter().map(|problem| format!("{problem}\n")).collect()
        };
        Ok(lines(parse(&files, &context).map_err(lines)?.warnings))
    }

    #[test]
    fn a_threshold_that_nothing_exceeds_is_warned_of_where_it_would_move_something() {
        for (assign, threshold, clusters, warns) in [
            ("walrus", "1.0", 2, true),
            ("nearest", "1.0", 2, true),
            ("stable", "1.0", 2, true),
            ("walrus", "100%", 2, true),
            ("walrus", "0.99", 2, false),
            ("failover", "1.0", 2, false),
            ("all", "1.0", 2, false),
            ("walrus", "1.0", 1, false),
        ] {
            let threshold = if threshold.contains('%') { "\"100%\"" } else { threshold };
            let settings = format!("assign = \"{assign}\"\nthreshold = {threshold}");
            let found = warnings(&settings, clusters).unwrap();
            assert_eq!(found.contains("never exceeded"), warns, "{settings} {clusters}: {found}");
        }
    }

    #[test]
    fn a_server_that_could_never_come_back_is_a_problem() {
        let found = warnings("threshold = 0.2\nhysteresis = 0.3", 1).unwrap_err();
        assert!(found.contains("must not be above `threshold`"), "{found}");
    }
}
