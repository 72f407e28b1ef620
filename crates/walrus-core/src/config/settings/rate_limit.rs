//! `[dns] rate_limit`: how many replies a network may get by UDP.

use std::net::IpAddr;

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::findings::Findings;
use crate::config::prefix;
use crate::config::section::{Section, Value};

/// How many replies a network gets by UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// To each network, and as many at once.
    pub responses_per_second: u32,
    /// Of those beyond, every so many is sent cut; 0 for none.
    pub slip: u32,
    /// Bits of an address that are one network.
    pub ipv4_prefix: u8,
    /// The same of IPv6.
    pub ipv6_prefix: u8,
    /// Networks that are not limited.
    pub exempt: Vec<(IpAddr, u8)>,
}

pub(in crate::config) static RATE_LIMIT: Group = Group {
    header: "[dns.rate_limit]",
    meaning: "How many replies a client network gets by UDP, so that nobody who forges a victim's \
              address can use this server against it. Clients with a cookie of this server and TCP \
              are not limited.",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "responses_per_second",
            kind: Kind::Count(1, 1_000_000),
            default: Default::Required,
            meaning: "Replies a second to each network, and as many at once. Large resolvers ask from \
                      few networks: take several times what the busiest one asks (`walrus top` shows \
                      who asks).",
            example: "500",
        },
        Setting {
            name: "slip",
            kind: Kind::Count(0, 100),
            default: Default::Value("2"),
            meaning: "Of the replies beyond that every so many is sent without records and marked as \
                      cut, so that a real resolver comes by TCP; 1 cuts all, 0 sends none.",
            example: "2",
        },
        Setting {
            name: "ipv4_prefix",
            kind: Kind::Count(0, 32),
            default: Default::Value("24"),
            meaning: "Bits of an IPv4 address that are one network.",
            example: "24",
        },
        Setting {
            name: "ipv6_prefix",
            kind: Kind::Count(0, 128),
            default: Default::Value("56"),
            meaning: "Bits of an IPv6 address that are one network.",
            example: "56",
        },
        Setting {
            name: "exempt",
            kind: Kind::List(&Kind::Text),
            default: Default::Value("[]"),
            meaning: "Networks that are never limited: one's own resolvers. Each is compared with every query, so a few.",
            example: "[\"198.51.100.0/24\"]",
        },
    ],
};

pub(in crate::config) fn read(section: &Section, findings: &Findings<'_>) -> RateLimitSettings {
    RateLimitSettings {
        responses_per_second: section.whole("responses_per_second"),
        slip: section.whole("slip"),
        ipv4_prefix: section.whole("ipv4_prefix"),
        ipv6_prefix: section.whole("ipv6_prefix"),
        exempt: prefixes(section, "exempt", findings),
    }
}

/// A setting's list of prefixes.
pub(in crate::config) fn prefixes(
    section: &Section,
    name: &str,
    findings: &Findings<'_>,
) -> Vec<(IpAddr, u8)> {
    let mut prefixes = Vec::new();
    for (value, place) in section.list(name) {
        let Value::Text(text) = value else { continue };
        match prefix::parse(text) {
            Ok(prefix) => prefixes.push(prefix),
            Err(why) => findings.problem(*place, format!("`{text}` in `{name}` {why}")),
        }
    }
    prefixes
}
