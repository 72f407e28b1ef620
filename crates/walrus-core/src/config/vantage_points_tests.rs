//! What `walrus check` says of vantage points that nobody hears, and of none.

use super::super::{Context, SourceFile, parse};
use crate::world::DownWhen;

/// Problems, or warnings if there are none, of these lines of `[node]`, of a probe, and at the end.
fn said(node: &str, probe: &str, more: &str) -> String {
    let text = format!(
        "zone = \"example.com\"\nnameservers = [\"ns1.example.com\"]\n[node]\nname = \"a\"\n{node}\n\
         [dns]\nlisten = [\"127.0.0.1:5353\"]\n[[cluster]]\nname = \"c\"\n\
         probe = {{ tcp = 80{probe} }}\nservers = [{{ name = \"s1\", addresses = [\"192.0.2.1\"] }}]\n\
         [[service]]\nname = \"www.example.com\"\n{more}\n"
    );
    let file = SourceFile { name: "walrus.toml".to_owned(), text };
    let read = |_: &str| Err("no such file".to_owned());
    let lines = match parse(&[file], &Context { hostname: "here", read: &read }) {
        Ok(parsed) => parsed.warnings,
        Err(problems) => problems,
    };
    lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const NATS: &str = "[group.nats]\nservers = [\"127.0.0.1:4222\"]";

#[test]
fn check_tells_what_nobody_would_hear() {
    let controller = "roles = [\"controller\"]";
    let director = "roles = [\"director\"]\nprobes = true";
    for (node, probe, more, expected) in [
        (controller, "", "", ""),
        (director, "", NATS, ""),
        (controller, ", down_when = 2", NATS, ""),
        (controller, ", down_when = 1", "", ""),
        (controller, ", down_when = 2", "", "`down_when` of `s1` asks for several vantage points"),
        (controller, ", down_when = 65", "", "from 1 to 64"),
        (controller, ", down_when = \"most\"", "", "majority"),
        (director, "", "", "nobody hears how this node sees the servers"),
        ("roles = [\"controller\"]\nprobes = false", "", "", "nobody probes `s1`"),
        ("roles = [\"controller\"]\nprobes = false", "", NATS, ""),
        ("roles = [\"reporter\"]\nprobes = true", "", "", "is no vantage point"),
        (controller, "", "[control]\nsights_last = \"10ms\"", "sights_last"),
        (controller, "", "[control]\nsights_last = \"10m\"", ""),
        (controller, "", &format!("{NATS}\n[control]\nsights_last = \"30s\""), ""),
        (
            controller,
            ", every = \"1s\", timeout = \"500ms\", fall = 3",
            &format!("{NATS}\n[control]\nsights_last = \"5m\""),
            "keeps it in for 300 s (`sights_last` of [control]), while its probes find a death out within 5 s",
        ),
        (
            controller,
            ", every = \"1m\", timeout = \"5s\", fall = 3",
            &format!("{NATS}\n[control]\nsights_last = \"5m\""),
            "",
        ),
    ] {
        let said = said(node, probe, more);
        let is_so = if expected.is_empty() { said.is_empty() } else { said.contains(expected) };
        assert!(is_so, "{node} {probe} {more}: {said}");
    }
}

#[test]
fn down_when_asks_for_no_more_than_there_are() {
    for (down_when, voters, expected) in [
        (DownWhen::Majority, 0, 1),
        (DownWhen::Majority, 1, 1),
        (DownWhen::Majority, 2, 2),
        (DownWhen::Majority, 3, 2),
        (DownWhen::Majority, 4, 3),
        (DownWhen::Count(1), 4, 1),
        (DownWhen::Count(3), 4, 3),
        (DownWhen::Count(3), 2, 2),
        (DownWhen::Count(0), 2, 1),
        (DownWhen::Count(3), 0, 1),
    ] {
        assert_eq!(down_when.needed(voters), expected, "{down_when:?} of {voters}");
    }
}
