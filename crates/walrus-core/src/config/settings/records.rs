//! `https`, `svcb`, `srv`, `mx` and `types` of a service: which records it gives.

use std::collections::BTreeMap;

use walrus_dns::DomainName;

use super::service::Known;
use super::{Default, Group, Kind, Scope, Setting};
use crate::config::findings::{Findings, Place};
use crate::config::section::{Section, Value};
use crate::config::{ZoneDnssec, ZoneSettings};
use crate::world::{
    ClusterId, MailExchange, Server, ServerId, Service, ServiceBinding, ServicePlace,
    ServiceRecords, host_of,
};

pub(in crate::config) static BINDING: Group = Group {
    header: "https = { ... }",
    meaning: "HTTPS and SVCB records (RFC 9460): how to connect. Without `port` and `hints` they \
              point at the service's own name and are the same for all; with one of these, at a \
              name for each server.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "priority",
            kind: Kind::Count(1, 65_534),
            default: Default::Value("1"),
            meaning: "The priority of the server that was chosen; the others in the answer have \
                      one more.",
            example: "1",
        },
        Setting {
            name: "alpn",
            kind: Kind::List(&Kind::Text),
            default: Default::Value("[]"),
            meaning: "Protocols that the servers speak, the best first.",
            example: "[\"h2\", \"h3\"]",
        },
        Setting {
            name: "no_default_alpn",
            kind: Kind::Flag,
            default: Default::Value("false"),
            meaning: "The scheme's own protocol (HTTP/1.1 for HTTPS) is not spoken; needs `alpn`.",
            example: "true",
        },
        Setting {
            name: "port",
            kind: Kind::Count(1, 65_535),
            default: Default::Otherwise("the scheme's"),
            meaning: "Another port than the scheme's.",
            example: "8443",
        },
        Setting {
            name: "hints",
            kind: Kind::Flag,
            default: Default::Value("false"),
            meaning: "Whether the record holds its server's addresses as well, which spares a \
                      query.",
            example: "true",
        },
    ],
};

pub(in crate::config) static SRV: Group = Group {
    header: "srv = { ... }",
    meaning: "SRV records (RFC 2782): a name and port for each server; their weight is the \
              server's.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "port",
            kind: Kind::Count(1, 65_535),
            default: Default::Required,
            meaning: "The port of all servers.",
            example: "5060",
        },
        Setting {
            name: "priority",
            kind: Kind::Count(0, 65_535),
            default: Default::Value("10"),
            meaning: "The priority of all servers.",
            example: "10",
        },
    ],
};

pub(in crate::config) static MX: Group = Group {
    header: "mx = { ... }",
    meaning: "MX records (RFC 1035): a name for each server.",
    scope: Scope::Shared,
    settings: &[Setting {
        name: "preference",
        kind: Kind::Count(0, 65_534),
        default: Default::Value("10"),
        meaning: "The preference of the server that was chosen; the others in the answer have one \
                  more.",
        example: "10",
    }],
};

/// What a service gives, with what is wrong about it alone.
pub(super) fn read(
    section: &Section,
    name: Option<&DomainName>,
    zones: &[ZoneSettings],
    findings: &Findings<'_>,
) -> ServiceRecords {
    // A name with an underscore is no host (RFC 8552): it has no addresses unless asked for.
    let usual = !name.is_some_and(Service::is_underscored);
    let (mut a, mut aaaa) = (usual, usual);
    if section.is_given("types") {
        let types = section.texts("types");
        (a, aaaa) = (types.iter().any(|it| it == "A"), types.iter().any(|it| it == "AAAA"));
    }
    let records = ServiceRecords {
        a,
        aaaa,
        https: binding(section, "https", findings),
        svcb: binding(section, "svcb", findings),
        srv: section
            .section("srv")
            .map(|srv| ServicePlace { priority: srv.whole("priority"), port: srv.whole("port") }),
        mx: section.section("mx").map(|mx| MailExchange { preference: mx.whole("preference") }),
        alias: section.domain("alias"),
        signed: name.is_some_and(|name| is_signed(name, zones)),
    };
    if let Some(target) = &records.alias {
        check_alias(section, target, &records, zones, findings);
    }
    let place = || section.place_of(if section.is_given("types") { "types" } else { "name" });
    let bare = |binding: &ServiceBinding| !binding.names_servers();
    // What is wrong inside a record was told already.
    let some = ["https", "svcb", "srv", "mx"].iter().any(|record| section.is_given(record));
    if !(a || aaaa) && records.https.iter().chain(&records.svcb).any(bare) {
        findings.problem(
            place(),
            "an HTTPS or SVCB record points at the service's own name, which has no addresses: \
             write `port` or `hints = true`, so that it points at a name for each server",
        );
    } else if !(a || aaaa || some) {
        findings.problem(
            place(),
            "the service gives no record: write for example types = [\"A\", \"AAAA\"] or \
             srv = { port = 5060 }",
        );
    }
    records
}

fn is_signed(name: &DomainName, zones: &[ZoneSettings]) -> bool {
    let around = zones.iter().filter(|zone| name.is_within(&zone.apex));
    let zone = around.max_by_key(|zone| zone.apex.label_count());
    zone.is_some_and(|zone| zone.dnssec == ZoneDnssec::Sign)
}

fn check_alias(
    section: &Section,
    target: &DomainName,
    records: &ServiceRecords,
    zones: &[ZoneSettings],
    findings: &Findings<'_>,
) {
    let place = section.place_of("alias");
    if zones.iter().any(|zone| target.is_within(&zone.apex)) {
        findings.problem(
            place,
            format!(
                "{target} is in one of the zones: an alias leads outside; name the `clusters` \
                 here, or write a CNAME in the zone file"
            ),
        );
    }
    if records.names_servers() {
        findings.problem(
            place,
            "an alias has no servers that records could point at: leave out SRV and MX, and \
             `port` and `hints` of HTTPS and SVCB",
        );
    }
}

fn binding(section: &Section, name: &str, findings: &Findings<'_>) -> Option<ServiceBinding> {
    let binding = section.section(name)?;
    let mut alpn: Vec<String> = Vec::new();
    for (value, place) in binding.list("alpn") {
        let Value::Text(protocol) = value else { continue };
        if protocol.len() > 255 {
            findings.problem(*place, "a protocol's name has at most 255 bytes");
        } else if alpn.contains(protocol) {
            findings.problem(*place, format!("`alpn` names {protocol} twice: write it once"));
        } else if alpn.len() < PROTOCOLS_MAX {
            alpn.push(protocol.clone());
        } else {
            findings.problem(*place, format!("`alpn` holds at most {PROTOCOLS_MAX} protocols"));
            break;
        }
    }
    let no_default_alpn = binding.flag("no_default_alpn");
    if no_default_alpn && alpn.is_empty() {
        findings.problem(
            binding.place_of("no_default_alpn"),
            "without the scheme's own protocol `alpn` must say which are spoken: write \
             alpn = [\"h2\"]",
        );
    }
    let port = binding.count("port").and_then(|port| u16::try_from(port).ok());
    let (priority, hints) = (binding.whole("priority"), binding.flag("hints"));
    Some(ServiceBinding { priority, alpn, no_default_alpn, port, hints })
}

/// More than anybody speaks, so that a record stays short.
const PROTOCOLS_MAX: usize = 16;

/// What is wrong with the names that services' records give servers, all services together.
pub(super) fn check_hosts(
    services: &BTreeMap<DomainName, (Service, Place)>,
    known: &Known<'_>,
    findings: &Findings<'_>,
) {
    let mut owners: BTreeMap<DomainName, ServerId> = BTreeMap::new();
    for (service, place) in services.values() {
        if !service.records.names_servers() {
            continue;
        }
        for id in servers_of(&service.clusters, known) {
            let server = &known.servers[id.index()];
            let place = known.host_places.get(&server.name).unwrap_or(place);
            let Some(host) = host_of(&service.name, server) else {
                findings.problem(
                    *place,
                    format!(
                        "the name of `{}` below {} is too long: write `host = \"...\"` in the \
                         server",
                        server.name, service.name
                    ),
                );
                continue;
            };
            if services.contains_key(&host) {
                findings.problem(
                    *place,
                    format!(
                        "{host} is the name of the server `{}` in the records of {} and a service \
                         as well: write another `host = \"...\"` in the server",
                        server.name, service.name
                    ),
                );
            }
            if let Some(other) = owners.insert(host.clone(), id).filter(|other| *other != id) {
                let other = &known.servers[other.index()].name;
                findings.problem(
                    *place,
                    format!(
                        "{host} is the name of two servers, `{other}` and `{}`: write `host = \
                         \"...\"` in one of them",
                        server.name
                    ),
                );
            } else if !known.zones.iter().any(|zone| host.is_within(&zone.apex)) {
                warn_outside(server, &host, *place, findings);
            }
        }
    }
}

fn warn_outside(server: &Server, host: &DomainName, place: Place, findings: &Findings<'_>) {
    findings.warn(
        place,
        format!(
            "{host} is in none of the zones: Walrus names `{}` so, but does not serve its addresses",
            server.name
        ),
    );
}

/// Where a type is answered with another cluster's servers, for want of its own: worth knowing, and
/// in a signed zone the only way to keep what its denial records promise.
pub(super) fn check_families(
    service: &Service,
    place: Place,
    known: &Known<'_>,
    findings: &Findings<'_>,
) {
    for (wanted, ipv6, family) in
        [(service.records.a, false, "IPv4"), (service.records.aaaa, true, "IPv6")]
    {
        let has = |cluster: &ClusterId| {
            let servers = servers_of(std::slice::from_ref(cluster), known);
            let mut addresses = servers.flat_map(|id| &known.servers[id.index()].addresses);
            addresses.any(|address| address.is_ipv6() == ipv6)
        };
        let (with, without): (Vec<ClusterId>, Vec<ClusterId>) =
            service.clusters.iter().copied().partition(has);
        if wanted && !with.is_empty() && !without.is_empty() {
            let names: Vec<&str> = without
                .iter()
                .take(NAMED_MAX)
                .map(|id| known.clusters[id.index()].name.as_str())
                .collect();
            let more = without.len() - names.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            findings.warn(
                place,
                format!(
                    "{} has no {family} address in {}{more}: for it, clients there are sent to the \
                     next cluster in the order of `assign`; give a server there one, or leave the \
                     type out of `types`",
                    service.name,
                    names.join(", ")
                ),
            );
        }
    }
}

/// So many clusters are named in a warning.
const NAMED_MAX: usize = 3;

fn servers_of<'a>(
    clusters: &'a [ClusterId],
    known: &'a Known<'_>,
) -> impl Iterator<Item = ServerId> + 'a {
    clusters.iter().flat_map(|id| &known.clusters[id.index()].servers).copied()
}

#[cfg(test)]
mod tests {
    use crate::config::{Context, Parsed, Problem, SourceFile, parse};
    use crate::world::{ServiceType, Topology};

    fn checked(server: &str, service: &str) -> Result<Parsed, Vec<Problem>> {
        let text = format!(
            "zone = \"example.com\"\nnameservers = [\"ns.example.net\"]\n[dns]\n\
             listen = [\"127.0.0.1:5300\"]\n[[cluster]]\nname = \"c\"\nservers = [\n\
             {{ name = \"s1\", addresses = [\"192.0.2.1\", \"2001:db8::1\"]{server} }},\n\
             {{ name = \"s2\", addresses = [\"192.0.2.2\"] }}]\n[[service]]\n{service}\n"
        );
        let files = [SourceFile { name: "walrus.toml".into(), text }];
        parse(&files, &Context { hostname: "ns1", read: &|_| Ok(String::new()) })
    }

    fn topology(service: &str) -> Topology {
        checked("", service).unwrap_or_else(|it| panic!("{it:#?}")).configuration.topology
    }

    #[test]
    fn a_service_gives_what_is_written() {
        let topology = topology(
            "name = \"example.com\"\nmx = {}\nsvcb = { alpn = [\"dot\"], port = 853 }\n\
             https = { alpn = [\"h2\", \"h3\"], no_default_alpn = true, hints = true }",
        );
        let records = &topology.services[0].records;
        let types: Vec<_> = records.types().iter().collect();
        use ServiceType::{A, Aaaa, Https, Mx, Svcb};
        assert_eq!(types, [A, Aaaa, Https, Svcb, Mx]);
        let https = records.https.as_ref().unwrap();
        assert_eq!(https.alpn, ["h2", "h3"]);
        assert!(https.hints && https.no_default_alpn && https.priority == 1);
        assert_eq!(records.mx.unwrap().preference, 10);
        assert_eq!(topology.promised_types(crate::world::ServiceId(0)), [1, 15, 28, 64, 65]);
    }

    #[test]
    fn an_underscore_means_no_addresses() {
        let topology = topology("name = \"_sip._tcp.example.com\"\nsrv = { port = 5060 }");
        assert_eq!(topology.promised_types(crate::world::ServiceId(0)), [33]);
        let hosts: Vec<_> = topology.hosts().iter().map(|host| host.name.to_string()).collect();
        assert_eq!(hosts, ["s1.example.com", "s2.example.com"]);
    }

    #[test]
    fn a_service_whose_records_change_is_another_one() {
        let digests = ["", "mx = {}", "mx = { preference = 5 }", "types = [\"A\"]"].map(|line| {
            topology(&format!("name = \"example.com\"\n{line}")).services[0].digest.clone()
        });
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest), "{index}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (server, service, word) in [
            ("", "name = \"_sip._tcp.example.com\"", "gives no record"),
            ("", "name = \"example.com\"\ntypes = []\nhttps = {}", "write `port` or `hints"),
            ("", "name = \"example.com\"\nsrv = {}", "port"),
            ("", "name = \"example.com\"\nhttps = { no_default_alpn = true }", "alpn"),
            ("", "name = \"example.com\"\nhttps = { alpn = [\"h2\", \"h2\"] }", "twice"),
            ("", "name = \"example.com\"\nmx = { preference = 65535 }", "65534"),
            (", host = \"s2.example.com\"", "name = \"example.com\"\nmx = {}", "two servers"),
            (", host = \"example.com\"", "name = \"example.com\"\nmx = {}", "a service as well"),
            (", host = \"*.example.com\"", "name = \"example.com\"", "wildcard"),
        ] {
            let problems = checked(server, service).unwrap_err();
            assert!(problems[0].message.contains(word), "{service}: {problems:#?}");
            assert_eq!(problems.len(), 1, "{service}: {problems:#?}");
        }
    }

    #[test]
    fn what_is_hardly_meant_is_warned_of() {
        let mx = "name = \"example.com\"\nmx = {}";
        let outside = checked(", host = \"s1.example.org\"", mx).unwrap().warnings;
        assert!(outside[0].message.contains("does not serve its addresses"), "{outside:#?}");
        // A second cluster without IPv6.
        let lacking = checked(
            "",
            "name = \"www.example.com\"\n[[cluster]]\nname = \"d\"\n\
             servers = [{ name = \"s3\", addresses = [\"192.0.2.3\"] }]",
        );
        let lacking = lacking.unwrap().warnings;
        assert!(lacking[0].message.contains("no IPv6 address in d"), "{lacking:#?}");
    }
}
