//! `[[area]]`: clients that are near each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Default, Group, Kind, Scope, Setting, dns, nearness};
use crate::config::clients::Clients;
use crate::config::findings::{Findings, Place};
use crate::config::reference_to::cluster_named;
use crate::config::section::{Section, Value};
use crate::world::{Area, Cluster, Name, Nearness};

pub(in crate::config) static AREA: Group = Group {
    header: "[[area]]",
    meaning: "Clients that are near each other. The built-in area `world` holds whoever no other \
              area holds; it may be written to give it a home.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "name",
            kind: Kind::Name,
            default: Default::Required,
            meaning: "Unique among areas.",
            example: "\"europe\"",
        },
        Setting {
            name: "home",
            kind: Kind::Name,
            default: Default::Otherwise("none"),
            meaning: "The cluster nearby, where its clients go if it can take them.",
            example: "\"frankfurt\"",
        },
        Setting {
            name: "nearest",
            kind: Kind::List(&Kind::Name),
            default: Default::Value("[]"),
            meaning: "Clusters from the nearest on, behind its home (`assign = \"nearest\"` and \
                      `\"stable\"`). Those that are not named come behind, by `milliseconds` and \
                      `coordinates`, and those of which nothing is known last, in the service's \
                      order.",
            example: "[\"frankfurt\"]",
        },
        Setting {
            name: "milliseconds",
            kind: Kind::Table(&Kind::Number(0.0, nearness::MILLISECONDS_MAX)),
            default: Default::Otherwise("unknown"),
            meaning: "Round-trip times to clusters, as measured.",
            example: "{ frankfurt = 12.5 }",
        },
        Setting {
            name: "coordinates",
            kind: Kind::Coordinates,
            default: Default::Otherwise("unknown"),
            meaning: "Where its clients are: latitude and longitude in degrees. A cluster without \
                      `milliseconds` whose own coordinates are known counts as 1 ms for 100 km of \
                      the great circle, which is light in glass, there and back.",
            example: "[48.86, 2.35]",
        },
        Setting {
            name: "clients",
            kind: Kind::List(&Kind::Text),
            default: Default::Value("[]"),
            meaning: "Who lives here: prefixes, countries (`country:DE`, ISO 3166), continents \
                      (`continent:EU`: AF, AN, AS, EU, NA, OC, SA), or files of prefixes: \
                      `file:nets.txt` with one a line, `file:nets.csv#3` with those rows \
                      `prefix,region` whose region is 3. A prefix beats a country, a country \
                      beats a continent, and the longest prefix wins. Files are relative to the \
                      configuration.",
            example: "[\"continent:EU\", \"198.51.100.0/24\"]",
        },
        Setting {
            name: "nameservers",
            kind: Kind::List(&Kind::Endpoint(dns::PORT)),
            default: Default::Value("[]"),
            meaning: "The listening addresses of the name servers that its clients are expected to \
                      ask (`locate = [\"nameserver\"]`). Without a port it is 53.",
            example: "[\"192.0.2.53:53\"]",
        },
    ],
};

/// All areas sorted by name, `world` among them.
pub(in crate::config) fn read(
    root: &Section,
    clusters: &[Cluster],
    clients: &mut Clients<'_>,
    findings: &Findings<'_>,
) -> Vec<Area> {
    let mut named: BTreeMap<Name, (Area, Place)> = BTreeMap::new();
    let mut nameservers = BTreeMap::new();
    for section in root.sections("area") {
        let area = area(section, clusters, clients, &mut nameservers, findings);
        let (Some(area), place) = (area, section.place_of("name")) else { continue };
        if let Some((_, first)) = named.get(&area.name) {
            let first = findings.point(*first);
            findings.problem(
                place,
                format!("an area `{}` stands already at {first}: names are unique", area.name),
            );
            continue;
        }
        named.insert(area.name.clone(), (area, place));
    }
    clients.check_unique(findings);
    if let Ok(world) = Area::WORLD.parse::<Name>() {
        let area = Area {
            name: world,
            home: None,
            clients: Vec::new(),
            nameservers: Vec::new(),
            nearness: Nearness::default(),
        };
        named.entry(area.name.clone()).or_insert((area, root.place()));
    }
    named.into_values().map(|(area, _)| area).collect()
}

fn area(
    section: &Section,
    clusters: &[Cluster],
    clients: &mut Clients<'_>,
    nameservers: &mut BTreeMap<SocketAddr, (String, Place)>,
    findings: &Findings<'_>,
) -> Option<Area> {
    let name = section.name("name");
    let home = section.name("home").and_then(|home| {
        cluster_named(home.as_str(), section.place_of("home"), clusters, findings)
    });
    let nearness = nearness::read(section, clusters, findings);
    let label = name.as_ref().map_or("", Name::as_str).to_owned();
    if label == Area::WORLD && !section.list("clients").is_empty() {
        findings.problem(
            section.key_place("clients"),
            "the area `world` holds whoever no other area holds: leave `clients` out, or name the \
             area otherwise",
        );
        return None;
    }
    let mut specs = Vec::new();
    for (value, place) in section.list("clients") {
        if let Value::Text(text) = value {
            clients.read(text, *place, &label, &mut specs, findings);
        }
    }
    specs.sort_unstable();
    specs.dedup();
    specs.shrink_to_fit();
    let mut own = Vec::new();
    for (endpoint, place) in section.endpoints("nameservers") {
        if endpoint.ip().is_unspecified() {
            findings.problem(
                place,
                format!("{endpoint} is no address that clients ask: write the one they use"),
            );
            continue;
        }
        if let Some((other, first)) = nameservers.get(&endpoint) {
            let first = findings.point(*first);
            findings.problem(
                place,
                format!(
                    "{endpoint} is already a name server of the area `{other}` ({first}): it \
                         can tell of one area only"
                ),
            );
            continue;
        }
        nameservers.insert(endpoint, (label.clone(), place));
        own.push(endpoint);
    }
    Some(Area { name: name?, home, clients: specs, nameservers: own, nearness })
}
