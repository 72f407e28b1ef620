//! `[[name_server]]`: name servers that are already there, into which services are published by RFC 2136.

mod layout;

use std::collections::BTreeMap;

use walrus_dns::DomainName;

use super::{Default, Group, Kind, Scope, Setting, dns, key};
use crate::config::findings::{Findings, Place};
use crate::config::reference_to::area_named;
use crate::config::section::{Section, Value};
use crate::config::{NameServerSettings, PublishedService, Roles, UpdateTransport, ZoneSettings};
use crate::world::{Area, Service, ServiceType};

pub(in crate::config) static NAME_SERVER: Group = Group {
    header: "[[name_server]]",
    meaning: "A name server that is already there (BIND, Knot DNS, PowerDNS ...), in which the role \
              `updater` keeps the addresses of services by DNS UPDATE (RFC 2136). It serves each \
              service's name as a CNAME into its area's own zone, and only that zone is changed: \
              `walrus setup` prints what to add to it.",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "name",
            kind: Kind::Name,
            default: Default::Otherwise("the area's"),
            meaning: "Unique among name servers.",
            example: "\"europe\"",
        },
        Setting {
            name: "area",
            kind: Kind::Name,
            default: Default::Required,
            meaning: "The area whose clients ask it: they get what that area is assigned.",
            example: "\"europe\"",
        },
        Setting {
            name: "address",
            kind: Kind::Endpoint(dns::PORT),
            default: Default::Required,
            meaning: "Where it takes updates: the primary of its zone. Without a port it is 53.",
            example: "\"192.0.2.53:53\"",
        },
        Setting {
            name: "zone",
            kind: Kind::Domain,
            default: Default::Required,
            meaning: "The area's own zone, which nobody else updates: the service \
                      `www.example.com` has its addresses at `www.` and this name.",
            example: "\"europe.example.net\"",
        },
        Setting {
            name: "host",
            kind: Kind::Domain,
            default: Default::Otherwise("`ns.` and the zone"),
            meaning: "The name server's own name, for the NS records that `walrus setup` prints.",
            example: "\"ns1.example.net\"",
        },
        Setting {
            name: "key",
            kind: Kind::Section(&KEY),
            default: Default::Otherwise("none: updates are not signed"),
            meaning: "The key that signs updates (TSIG, RFC 8945), which the name server has, too.",
            example: "{ name = \"walrus-europe\", secret_file = \"/etc/walrus/europe.key\" }",
        },
        Setting {
            name: "services",
            kind: Kind::List(&Kind::Domain),
            default: Default::Otherwise("all that have addresses"),
            meaning: "The services that are published there.",
            example: "[\"www.example.com\"]",
        },
        Setting {
            name: "ttl",
            kind: Kind::Seconds(1, 86_400),
            default: Default::Otherwise("each service's own"),
            meaning: "How long resolvers may keep the addresses; half of it while the area is \
                      worse off than it should be.",
            example: "\"30s\"",
        },
        Setting {
            name: "transport",
            kind: Kind::OneOf(&["tcp", "udp"]),
            default: Default::Value("\"tcp\""),
            meaning: "How updates travel. By `udp`, what is too long for a datagram goes by TCP all \
                      the same.",
            example: "\"tcp\"",
        },
        Setting {
            name: "check_every",
            kind: Kind::Duration(1000, 86_400_000),
            default: Default::Value("\"30s\""),
            meaning: "Time between two looks whether somebody else changed the zone (its SOA serial); \
                      each look reads some names besides, whatever that says: eight, or a tenth, at most 32.",
            example: "\"30s\"",
        },
        Setting {
            name: "owner",
            kind: Kind::Name,
            default: Default::Value("\"walrus\""),
            meaning: "Stands in the TXT mark beside the records: only those with this owner are \
                      changed. Systems that do not share their Plans need different ones.",
            example: "\"walrus\"",
        },
        Setting {
            name: "adopt",
            kind: Kind::Flag,
            default: Default::Value("false"),
            meaning: "Take over addresses and CNAMEs that stand without a mark where a service's \
                      addresses are to be; otherwise they are reported and left alone.",
            example: "false",
        },
    ],
};

static KEY: Group = Group {
    header: "[name_server.key]",
    meaning: "A key of TSIG (RFC 8945).",
    scope: Scope::Local,
    settings: key::SETTINGS,
};

/// What name servers refer to.
pub(in crate::config) struct Known<'a> {
    pub(in crate::config) areas: &'a [Area],
    pub(in crate::config) services: &'a [Service],
    pub(in crate::config) zones: &'a [ZoneSettings],
    pub(in crate::config) roles: Roles,
}

/// All name servers in the order of the files.
pub(in crate::config) fn read(
    root: &Section,
    known: &Known<'_>,
    findings: &Findings<'_>,
) -> Vec<NameServerSettings> {
    let mut all: Vec<(NameServerSettings, Place)> = Vec::new();
    for section in root.sections("name_server") {
        let Some(settings) = name_server(section, known, findings) else { continue };
        check_unique(section, &settings, &all, findings);
        all.push((settings, section.place()));
    }
    let all: Vec<NameServerSettings> = all.into_iter().map(|(settings, _)| settings).collect();
    layout::check_role(root, &all, known, findings);
    all
}

fn name_server(
    section: &Section,
    known: &Known<'_>,
    findings: &Findings<'_>,
) -> Option<NameServerSettings> {
    let area = section.name("area").filter(|area| {
        area_named(area.as_str(), section.place_of("area"), known.areas, findings).is_some()
    });
    let key = section.section("key").and_then(|key| key::one(key, findings));
    let zone = section.domain("zone");
    let services = match &zone {
        Some(zone) => {
            check_zone(zone, section.place_of("zone"), known, findings);
            services(section, zone, known, findings)
        }
        None => Vec::new(),
    };
    let host = section.domain("host");
    let (name, address) = (section.name("name"), section.endpoint("address"));
    if let Some(address) = address.filter(|it| it.ip().is_unspecified() || it.port() == 0) {
        findings.problem(
            section.place_of("address"),
            format!("{address} is nowhere to send updates to: write where the name server listens"),
        );
    }
    let ttl = section.is_given("ttl").then(|| section.duration("ttl").as_secs());
    let udp = section.text("transport").as_deref() == Some("udp");
    let settings = NameServerSettings {
        name: name.or_else(|| area.clone())?,
        area: area?,
        address: address?,
        host: match host {
            Some(host) => host,
            None => format!("ns.{}", zone.as_ref()?).parse().ok()?,
        },
        zone: zone?,
        transport: if udp { UpdateTransport::Udp } else { UpdateTransport::Tcp },
        key,
        ttl: ttl.and_then(|ttl| u32::try_from(ttl).ok()),
        check_every: section.duration("check_every"),
        owner: section.name("owner")?,
        adopt: section.flag("adopt"),
        services,
    };
    if settings.key.is_none() && !settings.address.ip().is_loopback() {
        findings.warn(
            section.place(),
            format!(
                "updates to `{}` are not signed, so whoever can send from this address can change \
                 its zone: add key = {{ name = \"walrus-{}\", secret_file = \"...\" }}",
                settings.name, settings.name
            ),
        );
    }
    Some(settings)
}

/// A zone that Walrus serves itself, or that balanced names stand in, is no area's own.
fn check_zone(zone: &DomainName, place: Place, known: &Known<'_>, findings: &Findings<'_>) {
    if *zone == DomainName::root() {
        findings
            .problem(place, "the root is nobody's own zone: write zone = \"europe.example.net\"");
    }
    if known.zones.iter().any(|served| served.apex == *zone) {
        findings.problem(
            place,
            format!(
                "{zone} is the zone of the services' own names, where each is a CNAME: the addresses \
                 need a zone of the area's own, for example \"europe.{zone}\""
            ),
        );
    }
}

/// What is published: what is named, or all that can be.
fn services(
    section: &Section,
    zone: &DomainName,
    known: &Known<'_>,
    findings: &Findings<'_>,
) -> Vec<PublishedService> {
    let mut chosen: Vec<(&Service, Place)> = Vec::new();
    for (value, place) in section.list("services") {
        let Value::Domain(name) = value else { continue };
        let Ok(index) = known.services.binary_search_by(|service| service.name.cmp(name)) else {
            findings.problem(
                *place,
                format!(
                    "there is no service {name}: add its [[service]], or name one that is there"
                ),
            );
            continue;
        };
        if chosen.iter().any(|(service, _)| service.name == *name) {
            findings.problem(*place, format!("`services` names {name} twice: write it once"));
        } else if has_addresses(&known.services[index]) {
            chosen.push((&known.services[index], *place));
        } else {
            findings.problem(
                *place,
                format!(
                    "{name} has no addresses of its own, and only those are published: leave it out"
                ),
            );
        }
    }
    if section.is_given("services") && section.is_empty_list("services") {
        findings.problem(
            section.place_of("services"),
            "`services` is empty: name one, or leave it out for all",
        );
    }
    if !section.is_given("services") {
        let all = known.services.iter().filter(|service| has_addresses(service));
        chosen = all.map(|service| (service, section.place())).collect();
    }
    chosen.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    targets(&chosen, zone, known, findings)
}

fn has_addresses(service: &Service) -> bool {
    let types = service.records.types();
    types.iter().any(|it| matches!(it, ServiceType::A | ServiceType::Aaaa))
}

fn targets(
    chosen: &[(&Service, Place)],
    zone: &DomainName,
    known: &Known<'_>,
    findings: &Findings<'_>,
) -> Vec<PublishedService> {
    let mut by_target: BTreeMap<DomainName, &DomainName> = BTreeMap::new();
    let mut published = Vec::new();
    for (service, place) in chosen {
        let apexes = known.zones.iter().map(|zone| &zone.apex);
        let inside = apexes.filter(|apex| service.name.is_within(apex));
        let Some(apex) = inside.max_by_key(|apex| apex.label_count()) else { continue };
        if service.name == *apex {
            findings.problem(
                *place,
                format!(
                    "{apex} is the apex of its zone, where no CNAME can stand (RFC 1034 section \
                     3.6.2): publish www.{apex} instead, or leave it out of `services`"
                ),
            );
            continue;
        }
        let Some(target) = target(&service.name, apex, zone) else {
            findings.problem(
                *place,
                format!("the name of {} in {zone} would be too long: shorten one", service.name),
            );
            continue;
        };
        if let Some(other) = by_target.insert(target.clone(), &service.name) {
            findings.problem(
                *place,
                format!(
                    "{other} and {} would both have their addresses at {target}: give one of them \
                     a [[name_server]] of its own, with another `zone`",
                    service.name
                ),
            );
            continue;
        }
        let (service, apex) = (service.name.clone(), apex.clone());
        published.push(PublishedService { service, apex, target });
    }
    published
}

/// The service's labels below its own zone, above the area's.
fn target(service: &DomainName, apex: &DomainName, zone: &DomainName) -> Option<DomainName> {
    let own = service.as_wire().len().checked_sub(apex.as_wire().len())?;
    let mut wire = service.as_wire().get(..own)?.to_vec();
    wire.extend_from_slice(zone.as_wire());
    DomainName::from_wire(&wire).ok()
}

fn check_unique(
    section: &Section,
    settings: &NameServerSettings,
    others: &[(NameServerSettings, Place)],
    findings: &Findings<'_>,
) {
    if let Some((_, first)) = others.iter().find(|(other, _)| other.name == settings.name) {
        let first = findings.point(*first);
        findings.problem(
            section.place_of("name"),
            format!(
                "a name server `{}` stands already at {first}: give this one another `name`",
                settings.name
            ),
        );
    }
    let same = |(other, _): &&(NameServerSettings, Place)| {
        other.address == settings.address && other.zone == settings.zone
    };
    if let Some((other, first)) = others.iter().find(same) {
        let first = findings.point(*first);
        findings.problem(
            section.place_of("zone"),
            format!(
                "the zone {} at {} is already that of `{}` ({first}): each area needs its own zone, \
                 for an answer of one area only",
                settings.zone, settings.address, other.name
            ),
        );
    }
}

#[cfg(test)]
#[path = "name_server_tests.rs"]
mod tests;
