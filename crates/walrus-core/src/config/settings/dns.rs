//! `[dns]`: the name server.

use std::net::{IpAddr, SocketAddr};

use super::{Default, Group, Kind, Scope, Setting, rate_limit};
use crate::config::DnsSettings;
use crate::config::dnstap_output::DnstapOutput;
use crate::config::findings::Findings;
use crate::config::section::Section;

/// The port of DNS.
pub(in crate::config) const PORT: u16 = 53;

/// The port of DNS over TLS.
const TLS_PORT: u16 = 853;
/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;
/// So long may be what the server calls itself: one string of a TXT record, and little of a reply.
const TEXT_BYTES_MAX: usize = 128;

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
            meaning: "TCP, TLS and HTTPS connections served at once; beyond it one gives way that has been silent for longest.",
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
            name: "tcp_total",
            kind: Kind::Duration(1000, 604_800_000),
            default: Default::Value("\"1h\""),
            meaning: "How long a connection may last, whatever is asked over it.",
            example: "\"1h\"",
        },
        Setting {
            name: "tls_listen",
            kind: Kind::List(&Kind::Endpoint(TLS_PORT)),
            default: Default::Value("[]"),
            meaning: "Where it also listens by TLS (RFC 7858). Without a port it is 853. Its connections \
                      count among those of TCP.",
            example: "[\"192.0.2.53:853\"]",
        },
        Setting {
            name: "https_listen",
            kind: Kind::List(&Kind::Endpoint(HTTPS_PORT)),
            default: Default::Value("[]"),
            meaning: "Where it also listens by HTTPS (RFC 8484, at `/dns-query`). Without a port it is 443.",
            example: "[\"192.0.2.53:443\"]",
        },
        Setting {
            name: "certificate",
            kind: Kind::Path,
            default: Default::Otherwise("none; required by `tls_listen` and `https_listen`"),
            meaning: "PEM file of the certificate chain that clients by TLS and HTTPS are shown. `walrus \
                      reload` reads it again.",
            example: "\"/etc/walrus/dns.pem\"",
        },
        Setting {
            name: "key",
            kind: Kind::Path,
            default: Default::Otherwise("none; required by `certificate`"),
            meaning: "PEM file of the certificate's private key.",
            example: "\"/etc/walrus/dns.key\"",
        },
        Setting {
            name: "nsid",
            kind: Kind::Text,
            default: Default::Otherwise("none: the question is not answered"),
            meaning: "What this server calls itself to whoever asks which one answered (NSID, RFC 5001).",
            example: "\"ns1-fra\"",
        },
        Setting {
            name: "id_server",
            kind: Kind::Text,
            default: Default::Otherwise("none: such queries are refused"),
            meaning: "What `id.server` and `hostname.bind` (class CH, TXT, RFC 4892) are answered with.",
            example: "\"ns1-fra\"",
        },
        Setting {
            name: "version",
            kind: Kind::Text,
            default: Default::Otherwise("none: such queries are refused"),
            meaning: "What `version.server` and `version.bind` (class CH, TXT) are answered with.",
            example: "\"walrus\"",
        },
        Setting {
            name: "cookies",
            kind: Kind::Flag,
            default: Default::Value("true"),
            meaning: "Whether clients that ask for a cookie (RFC 7873) are given one: it shows that \
                      their address is their own.",
            example: "true",
        },
        Setting {
            name: "cookie_secret_file",
            kind: Kind::Path,
            default: Default::Otherwise("drawn at each start"),
            meaning: "Holds the secret that cookies are made with (RFC 9018), 32 hexadecimal digits, and \
                      in a second line one that is still honoured. Needed where several servers answer \
                      at one address: `openssl rand -hex 16`.",
            example: "\"/etc/walrus/cookie-secret\"",
        },
        Setting {
            name: "proxy_from",
            kind: Kind::List(&Kind::Text),
            default: Default::Value("[]"),
            meaning: "Proxies such as dnsdist (addresses or networks) that write a PROXY header, version 2, before each \
                      datagram and each connection: whom it names counts as the client. What comes from them without \
                      one is dropped. Each is compared with every query, so a few.",
            example: "[\"192.0.2.80\"]",
        },
        Setting {
            name: "rate_limit",
            kind: Kind::Section(&rate_limit::RATE_LIMIT),
            default: Default::Otherwise("none: replies are not limited"),
            meaning: "How many replies a network gets by UDP.",
            example: "{ responses_per_second = 500 }",
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
        Setting {
            name: "dnstap",
            kind: Kind::Text,
            default: Default::Otherwise("none"),
            meaning: "Where all queries and replies are told by dnstap: `unix:` and the path of a socket \
                      that a program listens at, or a file.",
            example: "\"unix:/run/dnstap.sock\"",
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
    for name in ["nsid", "id_server", "version"] {
        if section.text(name).is_some_and(|text| text.len() > TEXT_BYTES_MAX) {
            findings.problem(
                section.place_of(name),
                format!("`{name}` is too long: a reply has room for {TEXT_BYTES_MAX} bytes"),
            );
        }
    }
    DnsSettings {
        listen: endpoints.into_iter().map(|(endpoint, _)| endpoint).collect(),
        workers: section.count("workers").and_then(|count| usize::try_from(count).ok()),
        udp_size_max: section.whole("udp_size_max"),
        tcp_connections_max: section.whole("tcp_connections_max"),
        tcp_idle: section.duration("tcp_idle"),
        tcp_total: section.duration("tcp_total"),
        tls_listen: encrypted(section, "tls_listen", findings),
        https_listen: encrypted(section, "https_listen", findings),
        certificate: section.path("certificate"),
        key: section.path("key"),
        nsid: section.text("nsid"),
        id_server: section.text("id_server"),
        version: section.text("version"),
        cookies: section.flag("cookies"),
        cookie_secret_file: section.path("cookie_secret_file"),
        proxy_from: proxies(section, findings),
        rate_limit: section.section("rate_limit").map(|it| rate_limit::read(it, findings)),
        zone_memory_max: section.whole::<usize>("zone_memory_max").saturating_mul(1 << 20),
        observe_domains: section.whole("observe_domains"),
        observe_every: section.duration("observe_every"),
        decision_log: section.path("decision_log"),
        decision_log_sample: section.whole("decision_log_sample"),
        dnstap: section.text("dnstap").map(|text| DnstapOutput::read(&text)),
    }
}

/// Whose PROXY headers are believed.
fn proxies(section: &Section, findings: &Findings<'_>) -> Vec<(IpAddr, u8)> {
    let proxies = rate_limit::prefixes(section, "proxy_from", findings);
    if proxies.iter().any(|(_, length)| *length == 0) {
        findings.problem(
            section.place_of("proxy_from"),
            "`proxy_from` has a network of all addresses: anybody could name any client; name your proxies",
        );
    }
    proxies
}

/// Where something is spoken that needs a certificate.
fn encrypted(section: &Section, name: &str, findings: &Findings<'_>) -> Vec<SocketAddr> {
    let endpoints = section.endpoints(name);
    let lacks = |file: &str| !endpoints.is_empty() && section.path(file).is_none();
    if let Some(file) = ["certificate", "key"].into_iter().find(|file| lacks(file)) {
        findings.problem(
            section.place_of(name),
            format!("`{name}` needs `certificate` and `key` in [dns]: `{file}` is not there"),
        );
    }
    endpoints.into_iter().map(|(endpoint, _)| endpoint).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::{Configuration, Context, SourceFile, parse};

    fn read(lines: &str) -> Result<Configuration, String> {
        let text = format!(
            "zone = \"example.com\"\nnameservers = [\"ns.example.net\"]\n[dns]\n\
             listen = [\"127.0.0.1:5300\"]\n{lines}\n"
        );
        let files = [SourceFile { name: "walrus.toml".into(), text }];
        let context = Context { hostname: "ns1", read: &|_| Ok(String::new()) };
        let problems = |problems: Vec<crate::config::Problem>| {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        parse(&files, &context).map(|parsed| parsed.configuration).map_err(problems)
    }

    #[test]
    fn what_is_encrypted_needs_a_certificate_and_has_ports_of_its_own() {
        let said = read("tls_listen = [\"127.0.0.1\"]").unwrap_err();
        assert!(said.contains("`certificate` is not there"), "{said}");
        let said = read("https_listen = [\"127.0.0.1\"]\ncertificate = \"c\"").unwrap_err();
        assert!(said.contains("`key` is not there"), "{said}");
        let dns = read(
            "tls_listen = [\"127.0.0.1\"]\nhttps_listen = [\"[::1]\"]\ncertificate = \"c\"\n\
             key = \"k\"",
        );
        let dns = dns.unwrap().dns;
        assert_eq!(dns.tls_listen, ["127.0.0.1:853".parse().unwrap()]);
        assert_eq!(dns.https_listen, ["[::1]:443".parse().unwrap()]);
    }

    #[test]
    fn limits_of_replies() {
        let limit = read("rate_limit = { responses_per_second = 5, exempt = [\"192.0.2.0/24\"] }");
        let limit = limit.unwrap().dns.rate_limit.unwrap();
        assert_eq!((limit.slip, limit.ipv4_prefix, limit.ipv6_prefix), (2, 24, 56));
        assert_eq!(limit.exempt, [("192.0.2.0".parse().unwrap(), 24)]);
        assert!(read("").unwrap().dns.rate_limit.is_none());
        for (lines, expected) in [
            ("rate_limit = {}", "responses_per_second"),
            ("rate_limit = { responses_per_second = 5, exempt = [\"x\"] }", "is no prefix"),
        ] {
            let said = read(lines).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn proxies_are_networks() {
        let dns = read("proxy_from = [\"192.0.2.80\", \"2001:db8::/64\"]").unwrap().dns;
        let expected = [("192.0.2.80".parse().unwrap(), 32), ("2001:db8::".parse().unwrap(), 64)];
        assert_eq!(dns.proxy_from, expected);
        let dns = read("proxy_from = [\"::ffff:192.0.2.0/120\"]").unwrap().dns;
        assert_eq!(dns.proxy_from, [("192.0.2.0".parse().unwrap(), 24)]);
        let said = read("proxy_from = [\"dnsdist\"]").unwrap_err();
        assert!(said.contains("`dnsdist` in `proxy_from` is no prefix"), "{said}");
        let said = read("proxy_from = [\"0.0.0.0/0\"]").unwrap_err();
        assert!(said.contains("name your proxies"), "{said}");
        let said = read("proxy_from = [\"::ffff:0.0.0.0/96\"]").unwrap_err();
        assert!(said.contains("name your proxies"), "{said}");
    }

    #[test]
    fn names_that_no_reply_has_room_for() {
        let said = read(&format!("nsid = \"{}\"", "x".repeat(129))).unwrap_err();
        assert!(said.contains("`nsid` is too long"), "{said}");
    }
}
