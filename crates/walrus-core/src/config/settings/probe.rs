//! `probe`: how a server is looked at from outside.

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::findings::Findings;
use crate::config::section::{Section, Value};
use crate::world::{DownWhen, Probe, ProbeKind};

/// What may be written for `probe` of a cluster or a server.
pub(in crate::config) const KIND: Kind = Kind::Either(&[Kind::Word("none"), Kind::Section(&PROBE)]);

/// A probe to copy.
pub(in crate::config) const EXAMPLE: &str =
    "{ http = \"http://{address}/healthz\", every = \"5s\" }";

pub(in crate::config) static PROBE: Group = Group {
    header: "probe = { ... }",
    meaning: "How a server is looked at from outside: exactly one of `http`, `https` and `tcp`, \
              and how often.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "http",
            kind: Kind::ProbeUrl("http"),
            default: Default::Otherwise("one of `http`, `https` and `tcp`"),
            meaning: "An HTTP request; `{address}` stands for the server's address.",
            example: "\"http://{address}/healthz\"",
        },
        Setting {
            name: "https",
            kind: Kind::ProbeUrl("https"),
            default: Default::Apart("one of `http`, `https` and `tcp`"),
            meaning: "An HTTPS request; `{address}` stands for the server's address.",
            example: "\"https://{address}/healthz\"",
        },
        Setting {
            name: "tcp",
            kind: Kind::Count(1, 65535),
            default: Default::Apart("one of `http`, `https` and `tcp`"),
            meaning: "A TCP connection to this port that opens.",
            example: "80",
        },
        Setting {
            name: "every",
            kind: Kind::Duration(100, 3_600_000),
            default: Default::Value("\"10s\""),
            meaning: "Time between two probes of a server.",
            example: "\"5s\"",
        },
        Setting {
            name: "timeout",
            kind: Kind::Duration(10, 600_000),
            default: Default::Value("\"2s\""),
            meaning: "A probe that takes longer has failed; shorter than `every`.",
            example: "\"2s\"",
        },
        Setting {
            name: "rise",
            kind: Kind::Count(1, 100),
            default: Default::Value("2"),
            meaning: "Successes in a row that bring a server up.",
            example: "2",
        },
        Setting {
            name: "fall",
            kind: Kind::Count(1, 100),
            default: Default::Value("3"),
            meaning: "Failures in a row that take a server down.",
            example: "3",
        },
        Setting {
            name: "down_when",
            kind: Kind::Either(&[Kind::Word("majority"), Kind::Count(1, 64)]),
            default: Default::Value("\"majority\""),
            meaning: "How many of the vantage points that tell of a server must see it down: more than half of \
                      them, or so many (all, if there are fewer).",
            example: "2",
        },
        Setting {
            name: "jitter",
            kind: Kind::Share(0.0, 0.5),
            default: Default::Value("0.1"),
            meaning: "The time between two probes varies by up to this share, so that probes do \
                      not fall into step.",
            example: "0.1",
        },
        Setting {
            name: "addresses",
            kind: Kind::OneOf(&["first", "all"]),
            default: Default::Value("\"first\""),
            meaning: "Probe a server's first address only, or all (and it is down if any fails).",
            example: "\"all\"",
        },
        Setting {
            name: "status",
            kind: Kind::Status,
            default: Default::Value("\"200-299\""),
            meaning: "Status codes that mean up (`http`, `https`).",
            example: "\"200-299,304\"",
        },
        Setting {
            name: "body",
            kind: Kind::Text,
            default: Default::Otherwise("any body"),
            meaning: "A text that the body's first 64 KiB must hold (`http`, `https`).",
            example: "\"ok\"",
        },
        Setting {
            name: "host",
            kind: Kind::Domain,
            default: Default::Otherwise("the server's address"),
            meaning: "The name to ask for: the Host header and the TLS name (`http`, `https`).",
            example: "\"www.example.com\"",
        },
        Setting {
            name: "verify",
            kind: Kind::Flag,
            default: Default::Value("true"),
            meaning: "Whether the certificate must be valid for `host` (`https`).",
            example: "true",
        },
    ],
};

/// The probe that a setting `probe` says: `None` if nothing is written, `Some(None)` for "none".
pub(in crate::config) fn read(owner: &Section, findings: &Findings<'_>) -> Option<Option<Probe>> {
    match owner.value("probe")? {
        Value::Section(section) => Some(probe(section, findings)),
        _ => Some(None),
    }
}

fn probe(section: &Section, findings: &Findings<'_>) -> Option<Probe> {
    let ways = ["http", "https", "tcp"].map(|way| section.is_given(way));
    if ways.iter().filter(|given| **given).count() != 1 {
        findings.problem(
            section.place(),
            format!(
                "a probe needs exactly one of `http`, `https` and `tcp`: write probe = {EXAMPLE}"
            ),
        );
        return None;
    }
    let (interval, timeout) = (section.duration("every"), section.duration("timeout"));
    if timeout >= interval && !interval.is_zero() {
        let place = if section.is_given("timeout") { "timeout" } else { "every" };
        findings.problem(
            section.place_of(place),
            format!(
                "a probe's `timeout` ({timeout:?}) must be shorter than its `every` \
                 ({interval:?}): write for example timeout = \"{}ms\"",
                (interval.as_millis() / 2).max(10)
            ),
        );
    }
    let kind = probe_kind(section, findings)?;
    Some(Probe {
        kind,
        interval,
        timeout,
        rise: section.whole("rise"),
        fall: section.whole("fall"),
        jitter: section.number("jitter").unwrap_or_default(),
        all_addresses: section.text("addresses").as_deref() == Some("all"),
        down_when: match section.value("down_when") {
            Some(Value::Count(count)) => DownWhen::Count(u32::try_from(*count).unwrap_or(u32::MAX)),
            _ => DownWhen::Majority,
        },
    })
}

fn probe_kind(section: &Section, findings: &Findings<'_>) -> Option<ProbeKind> {
    let (http, https) = (section.text("http"), section.text("https"));
    let port = section.count("tcp").and_then(|port| u16::try_from(port).ok());
    let status = match section.value("status") {
        Some(Value::Status(ranges)) => ranges.clone(),
        _ => Vec::new(),
    };
    let body = section.text("body");
    let host = section.domain("host").map(|host| host.to_string());
    let verify = section.flag("verify");
    for name in ["status", "body", "host", "verify"] {
        if section.is_given("tcp") && section.is_given(name) {
            findings.problem(
                section.key_place(name),
                format!("`{name}` belongs to the probes `http` and `https`: leave it out here"),
            );
        }
    }
    if https.is_some() && verify && host.is_none() {
        findings.warn(
            section.place_of("https"),
            "the certificate must be valid for the server's address, which few are: name the host, \
             as in host = \"www.example.com\", or write verify = false",
        );
    }
    match (http.or(https), port) {
        (Some(url), _) => Some(ProbeKind::Http { url, host, status, body, verify }),
        (None, Some(port)) => Some(ProbeKind::Tcp { port }),
        (None, None) => None,
    }
}
