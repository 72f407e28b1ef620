//! `[dns]`: the name server.

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::DnsSettings;
use crate::config::findings::Findings;
use crate::config::section::Section;

/// The port of DNS.
pub(in crate::config) const PORT: u16 = 53;

pub(in crate::config) static DNS: Group = Group {
    header: "[dns]",
    meaning: "The built-in name server; needed by the role `director`.",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "listen",
            kind: Kind::List(&Kind::Endpoint(PORT)),
            default: Default::Otherwise("none; required by the role `director`"),
            meaning: "The addresses that it listens on, UDP and TCP. Without a port it is 53.",
            example: "[\"192.0.2.53:53\", \"[2001:db8::53]:53\"]",
        },
        Setting {
            name: "workers",
            kind: Kind::Count(1, 1024),
            default: Default::Otherwise("one a core"),
            meaning: "Threads that answer, each with its own socket an address.",
            example: "4",
        },
        Setting {
            name: "udp_size_max",
            kind: Kind::Count(512, 4096),
            default: Default::Value("1232"),
            meaning: "The most bytes in a UDP answer, whatever the client offers (EDNS). 1232 \
                      passes every usual network unfragmented; longer answers go over TCP.",
            example: "1232",
        },
        Setting {
            name: "tcp_connections_max",
            kind: Kind::Count(1, 1_000_000),
            default: Default::Value("1000"),
            meaning: "TCP connections served at once; beyond it the longest idle one gives way.",
            example: "1000",
        },
        Setting {
            name: "tcp_idle",
            kind: Kind::Duration(100, 3_600_000),
            default: Default::Value("\"10s\""),
            meaning: "How long a TCP connection may be idle.",
            example: "\"10s\"",
        },
        Setting {
            name: "zone_memory_max",
            kind: Kind::Count(1, 4096),
            default: Default::Value("2048"),
            meaning: "MiB that a zone's names and records may take in memory (an address takes some \
                      40 bytes, signed 300; while it is read a zone takes three times that). A \
                      larger one is refused: at a reload the zones in force stay.",
            example: "2048",
        },
        Setting {
            name: "observe_domains",
            kind: Kind::Count(0, 100_000),
            default: Default::Value("1000"),
            meaning: "The heaviest domains (resolvers or ECS prefixes) that an observation tells \
                      of; the others are told as one sum.",
            example: "1000",
        },
        Setting {
            name: "observe_every",
            kind: Kind::Duration(1000, 3_600_000),
            default: Default::Value("\"10s\""),
            meaning: "Time between two observations to the Controller.",
            example: "\"10s\"",
        },
        Setting {
            name: "decision_log",
            kind: Kind::Path,
            default: Default::Otherwise("none"),
            meaning: "A file for a sample of the decisions, one JSON object a line.",
            example: "\"/var/log/walrus/decisions.jsonl\"",
        },
        Setting {
            name: "decision_log_sample",
            kind: Kind::Count(1, 1_000_000_000),
            default: Default::Value("1000"),
            meaning: "One query in so many goes into the decision log.",
            example: "1000",
        },
    ],
};

pub(in crate::config) fn read(
    section: &Section,
    director: bool,
    findings: &Findings<'_>,
) -> DnsSettings {
    let endpoints = section.endpoints("listen");
    for (index, (endpoint, place)) in endpoints.iter().enumerate() {
        if endpoints[..index].iter().any(|(other, _)| other == endpoint) {
            findings.problem(*place, format!("`dns.listen` names {endpoint} twice: write it once"));
        }
    }
    if director && section.is_empty_list("listen") {
        findings.problem(
            section.place_of("listen"),
            "the role `director` needs addresses to listen on: write [dns] with \
             listen = [\"192.0.2.53:53\"]",
        );
    }
    DnsSettings {
        listen: endpoints.into_iter().map(|(endpoint, _)| endpoint).collect(),
        workers: section.count("workers").and_then(|count| usize::try_from(count).ok()),
        udp_size_max: section.whole("udp_size_max"),
        tcp_connections_max: section.whole("tcp_connections_max"),
        tcp_idle: section.duration("tcp_idle"),
        zone_memory_max: section.whole::<usize>("zone_memory_max").saturating_mul(1 << 20),
        observe_domains: section.whole("observe_domains"),
        observe_every: section.duration("observe_every"),
        decision_log: section.path("decision_log"),
        decision_log_sample: section.whole("decision_log_sample"),
    }
}
