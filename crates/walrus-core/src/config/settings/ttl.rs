//! A service's `ttl`, `adaptive_ttl` and their bounds, as one policy.

use crate::config::findings::Findings;
use crate::config::section::Section;
use crate::world::{AdaptiveTtl, TtlPolicy};

/// The longest TTL that can be written.
const TTL_MAX: u32 = 86_400;

/// The policy that a service's settings say.
pub(super) fn read(section: &Section, findings: &Findings<'_>) -> TtlPolicy {
    let of = |name| u32::try_from(section.duration(name).as_secs()).unwrap_or(u32::MAX);
    let seconds = of("ttl");
    let written = section.text("adaptive_ttl").unwrap_or_default();
    let variant = AdaptiveTtl::ALL.into_iter().find(|variant| variant.name() == written);
    let or = |name, default: u32| if section.is_given(name) { of(name) } else { default };
    let min = or("ttl_min", (seconds / 10).max(1));
    let max = or("ttl_max", seconds.saturating_mul(10).min(TTL_MAX));
    // A value that cannot be read was told of, and is 0 here.
    if section.duration("ttl_min") > section.duration("ttl") {
        findings.problem(
            section.place_of("ttl_min"),
            format!(
                "`ttl_min` must not be above `ttl` ({seconds}s), which is the mean that is kept"
            ),
        );
    }
    if section.is_given("ttl_max") && max > 0 && max < seconds {
        findings.problem(
            section.place_of("ttl_max"),
            format!(
                "`ttl_max` must not be below `ttl` ({seconds}s), which is the mean that is kept"
            ),
        );
    }
    // Its bounds are checked without it too: who switches it on is to find them right.
    let Some(variant) = variant else { return TtlPolicy::Constant { seconds } };
    let choose = section.text("choose").unwrap_or_default();
    if variant.looks_at_servers() && !["round-robin", "random", "rr2"].contains(&choose.as_str()) {
        findings.warn(
            section.place_of("adaptive_ttl"),
            format!(
                "`{written}` makes up for servers' weights by the TTL, and choose = \"{choose}\" does \
                 too: write choose = \"round-robin\", or adaptive_ttl = \"{}\"",
                written.replace("S_", "")
            ),
        );
    }
    TtlPolicy::Adaptive { variant, seconds, min, max }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Context, SourceFile, parse};

    /// The policy and the warnings, or the problems.
    fn read(settings: &str) -> Result<(TtlPolicy, String), String> {
        let text = format!(
            "zone = \"example.com\"\nnameservers = [\"ns.example.net\"]\n\
             dns.listen = [\"192.0.2.53\"]\n[[cluster]]\nname = \"c\"\n\
             servers = [{{ name = \"s\", addresses = [\"192.0.2.1\"] }}]\n\
             [[service]]\nname = \"www.example.com\"\n{settings}\n"
        );
        let files = [SourceFile { name: "a.toml".into(), text }];
        let context = Context { hostname: "ns1", read: &|_| Err("no such file".into()) };
        let lines = |problems: Vec<crate::config::Problem>| -> String {
            problems.iter().map(|problem| format!("{problem}\n")).collect()
        };
        let parsed = parse(&files, &context).map_err(lines)?;
        Ok((parsed.configuration.topology.services[0].ttl, lines(parsed.warnings)))
    }

    #[test]
    fn all_variants_and_their_default_bounds() {
        for variant in AdaptiveTtl::ALL {
            let settings = |ttl: &str| {
                let name = variant.name();
                format!("choose = \"round-robin\"\nadaptive_ttl = \"{name}\"\n{ttl}")
            };
            let adaptive = |seconds, min, max| TtlPolicy::Adaptive { variant, seconds, min, max };
            for (ttl, policy) in [
                ("", adaptive(30, 3, 300)),
                ("ttl = \"4s\"", adaptive(4, 1, 40)),
                ("ttl = \"5h\"", adaptive(18_000, 1800, 86_400)),
                ("ttl_min = \"20s\"\nttl_max = \"1m\"", adaptive(30, 20, 60)),
                ("ttl_min = \"30s\"\nttl_max = \"30s\"", adaptive(30, 30, 30)),
            ] {
                assert_eq!(read(&settings(ttl)), Ok((policy, String::new())));
            }
        }
        assert_eq!(read("").unwrap().0, TtlPolicy::Constant { seconds: 30 });
        assert_eq!(
            read("adaptive_ttl = \"none\"\nttl_min = \"5s\""),
            Ok((TtlPolicy::Constant { seconds: 30 }, String::new()))
        );
    }

    #[test]
    fn what_cannot_be_kept_is_told() {
        for (settings, told) in [
            ("ttl_min = \"1m\"", "a.toml:10:11: `ttl_min` must not be above `ttl` (30s)"),
            ("ttl_max = \"10s\"", "a.toml:10:11: `ttl_max` must not be below `ttl` (30s)"),
            ("ttl_max = \"2d\"", "must be from 1s to 1d"),
            ("ttl = \"1500ms\"", "`service.ttl` must be"),
        ] {
            let problems = read(&format!("adaptive_ttl = \"TTL/K\"\n{settings}")).unwrap_err();
            assert!(problems.contains(told), "{problems}");
            assert_eq!(problems.lines().count(), 1, "{problems}");
        }
        let (_, warnings) = read("adaptive_ttl = \"TTL/S_K\"").unwrap();
        assert!(warnings.contains("adaptive_ttl = \"TTL/K\""), "{warnings}");
    }
}
