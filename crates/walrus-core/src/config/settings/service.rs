//! `[[service]]`: a name that clients use, with its policy in four stages.

use std::collections::BTreeMap;

use walrus_dns::DomainName;

use super::address_owners::{self, SharedAddress};
use super::{Default, Group, Kind, Scope, Setting, choose, nearness, records, threshold, ttl};
use crate::config::findings::{Findings, Place};
use crate::config::reference_to::{area_named, cluster_named};
use crate::config::section::{Section, Value};
use crate::config::{ZoneDnssec, ZoneSettings, datagram};
use crate::world::{
    Area, AssignPolicy, Cluster, ClusterId, Digest, LocatePolicy, Name, Server, Service, Spill,
};

pub(in crate::config) static SERVICE: Group = Group {
    header: "[[service]]",
    meaning: "A name that clients use, with its policy in four stages: locate, assign, choose, \
              ttl.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "name",
            kind: Kind::Domain,
            default: Default::Required,
            meaning: "The name that clients ask for, in one of the zones; the apex too.",
            example: "\"www.example.com\"",
        },
        Setting {
            name: "clusters",
            kind: Kind::List(&Kind::Name),
            default: Default::Otherwise("all, in the order of names"),
            meaning: "The clusters that serve it; their order is that of `assign = \"failover\"`.",
            example: "[\"frankfurt\"]",
        },
        Setting {
            name: "alias",
            kind: Kind::Domain,
            default: Default::Apart("instead of `clusters`"),
            meaning: "Its addresses are those of this name outside the zones, which the Controller \
                      resolves in the background.",
            example: "\"target.cdn.example.net\"",
        },
        Setting {
            name: "home",
            kind: Kind::Names,
            default: Default::Otherwise("each area's own"),
            meaning: "Home clusters by area, where this service's differ from the areas' own.",
            example: "{ europe = \"frankfurt\" }",
        },
        Setting {
            name: "locate",
            kind: Kind::List(&Kind::OneOf(&["map", "nameserver"])),
            default: Default::Value("[\"map\", \"nameserver\"]"),
            meaning: "In which area is a client? Tried in order, the first hit wins, then \
                      `world`: `map` by the client's address (ECS, else its resolver's), \
                      `nameserver` by the name server that was asked (the thesis' DNS round trip \
                      times).",
            example: "[\"map\", \"nameserver\"]",
        },
        Setting {
            name: "assign",
            kind: Kind::OneOf(&["walrus", "failover", "nearest", "stable", "all"]),
            default: Default::Value("\"walrus\""),
            meaning: "Which clusters serve an area: `walrus` (the thesis' four phases), `failover` \
                      (home, then the order of `clusters`), `nearest` (the nearest that is not \
                      overloaded), `stable` (the nearest that has room, by the `capacity` of \
                      servers), `all` (every functioning one at once).",
            example: "\"walrus\"",
        },
        Setting {
            name: "choose",
            kind: Kind::OneOf(&[
                "round-robin",
                "weighted",
                "random",
                "hash",
                "pow2",
                "rr2",
                "prr2",
                "dal",
                "mrl",
                "crml",
            ]),
            default: Default::Value("\"weighted\""),
            meaning: "Which server comes first in an answer: in turn, at random by weight, or at \
                      random all alike; `hash` (each domain its own server, with bounded loads), \
                      `pow2` (the less loaded of two), `rr2`, `prr2` (in turn, busy domains apart, \
                      by capacity), `dal` (least given so far), `mrl` (least that still comes of what \
                      was given), `crml` (likewise, with what servers observe). See the guide.",
            example: "\"weighted\"",
        },
        Setting {
            name: "hash_bound",
            kind: Kind::Number(0.01, 10.0),
            default: Default::Value("0.25"),
            meaning: "`hash`: how far a server may go beyond its fair share of what is cached.",
            example: "0.25",
        },
        Setting {
            name: "crml_horizon",
            kind: Kind::Seconds(1, 86_400),
            default: Default::Otherwise("one `ttl`"),
            meaning: "`crml`: over what time a server is charged with requests that it observes and that \
                      no answer of ours explains.",
            example: "\"1m\"",
        },
        Setting {
            name: "crml_backlog",
            kind: Kind::Flag,
            default: Default::Value("false"),
            meaning: "`crml`: whether a server is charged with the requests that are in it, too.",
            example: "true",
        },
        Setting {
            name: "ttl",
            kind: Kind::Seconds(1, 86_400),
            default: Default::Value("\"30s\""),
            meaning: "How long an answer may be cached; halved while an area is worse off than it \
                      should be.",
            example: "\"30s\"",
        },
        Setting {
            name: "adaptive_ttl",
            kind: Kind::OneOf(&[
                "none", "TTL/1", "TTL/2", "TTL/K", "TTL/S_1", "TTL/S_2", "TTL/S_K",
            ]),
            default: Default::Value("\"none\""),
            meaning: "By what the TTL is chosen; name servers are asked as often as with `ttl`, in the \
                      mean over all domains: `none` (always `ttl`), `TTL/1` (the same, for \
                      comparisons), `TTL/2` (shorter for hot domains), `TTL/K` (for each domain, the \
                      shorter the more it asks), `TTL/S_1`, `TTL/S_2`, `TTL/S_K` (and longer for \
                      servers of more weight, with `choose = \"round-robin\"`).",
            example: "\"TTL/K\"",
        },
        Setting {
            name: "ttl_min",
            kind: Kind::Seconds(1, 86_400),
            default: Default::Otherwise("a tenth of `ttl`"),
            meaning: "No adaptive TTL is shorter: what resolvers keep an answer for at least.",
            example: "\"5s\"",
        },
        Setting {
            name: "ttl_max",
            kind: Kind::Seconds(1, 86_400),
            default: Default::Otherwise("ten times `ttl`"),
            meaning: "No adaptive TTL is longer: how long a cache may hold what has died.",
            example: "\"5m\"",
        },
        Setting {
            name: "hot_share",
            kind: Kind::Share(0.0, 1.0),
            default: Default::Otherwise("1 / the number of domains"),
            meaning: "The share of a service's demand above which a domain is hot.",
            example: "\"2%\"",
        },
        Setting {
            name: "answers",
            kind: Kind::Either(&[Kind::Word("all"), Kind::Count(1, 64)]),
            default: Default::Value("2"),
            meaning: "Servers in an answer, or \"all\" that function; each with all its addresses of \
                      the family that is asked for.",
            example: "2",
        },
        Setting {
            name: "threshold",
            kind: Kind::Share(0.0, 1.0),
            default: Default::Value("0.8"),
            meaning: "The load above which a server takes no new clients while the others can bear \
                      them.",
            example: "0.8",
        },
        Setting {
            name: "hysteresis",
            kind: Kind::Share(0.0, 1.0),
            default: Default::Value("0.05"),
            meaning: "How far below the threshold a server that was left out must fall before it \
                      is used again, unless the others cannot bear it; and how far below it these \
                      must stay for one to be left out.",
            example: "0.05",
        },
        Setting {
            name: "home_rounds",
            kind: Kind::Count(1, 1000),
            default: Default::Value("1"),
            meaning: "For how many rounds a home must be fit before its area goes home; 1 is the \
                      thesis.",
            example: "1",
        },
        Setting {
            name: "spill",
            kind: Kind::OneOf(&["spare", "unassigned"]),
            default: Default::Value("\"spare\""),
            meaning: "Which clusters an overloaded area may move to: `spare` also those in use \
                      that have load to spare, `unassigned` only those that no area took in this \
                      round (the thesis).",
            example: "\"spare\"",
        },
        Setting {
            name: "better_ratio",
            kind: Kind::Share(0.0, 1.0),
            default: Default::Value("0.25"),
            meaning: "An area moves only to a cluster whose load is lower by at least this share \
                      ...",
            example: "0.25",
        },
        Setting {
            name: "better_by",
            kind: Kind::Share(0.0, 1.0),
            default: Default::Value("0.1"),
            meaning: "... and by at least this.",
            example: "0.1",
        },
        Setting {
            name: "ramp",
            kind: Kind::Duration(0, 86_400_000),
            default: Default::Value("\"0s\""),
            meaning: "How long an area takes to go home, by shares; \"0s\" is at once.",
            example: "\"2m\"",
        },
        Setting {
            name: "types",
            kind: Kind::List(&Kind::OneOf(&["A", "AAAA"])),
            default: Default::Otherwise("both, but none for a name that begins with `_`"),
            meaning: "The addresses that it gives at its own name. In a signed zone, a type that is \
                      given is promised: some server must have it.",
            example: "[\"A\", \"AAAA\"]",
        },
        Setting {
            name: "https",
            kind: Kind::Section(&records::BINDING),
            default: Default::Otherwise("none"),
            meaning: "HTTPS records at its name.",
            example: "{ alpn = [\"h2\", \"h3\"] }",
        },
        Setting {
            name: "svcb",
            kind: Kind::Section(&records::BINDING),
            default: Default::Otherwise("none"),
            meaning: "SVCB records at its name.",
            example: "{ alpn = [\"dot\"], port = 853 }",
        },
        Setting {
            name: "srv",
            kind: Kind::Section(&records::SRV),
            default: Default::Otherwise("none"),
            meaning: "SRV records at its name.",
            example: "{ port = 5060, priority = 10 }",
        },
        Setting {
            name: "mx",
            kind: Kind::Section(&records::MX),
            default: Default::Otherwise("none"),
            meaning: "MX records at its name.",
            example: "{ preference = 10 }",
        },
    ],
};

/// What services refer to.
pub(in crate::config) struct Known<'a> {
    pub(in crate::config) zones: &'a [ZoneSettings],
    pub(in crate::config) clusters: &'a [Cluster],
    /// Whether the files have any, even one whose own problems keep it out of `clusters`.
    pub(in crate::config) has_clusters: bool,
    pub(in crate::config) servers: &'a [Server],
    /// The clusters that stand for aliases, by their services.
    pub(in crate::config) aliases: &'a BTreeMap<DomainName, Name>,
    /// Where servers' `host` is written.
    pub(in crate::config) host_places: &'a BTreeMap<Name, Place>,
    pub(in crate::config) areas: &'a [Area],
    pub(in crate::config) shared_addresses: &'a [SharedAddress],
    pub(in crate::config) udp_size_max: u16,
}

/// All services sorted by name, without their digests.
pub(in crate::config) fn read(
    root: &Section,
    known: &Known<'_>,
    findings: &Findings<'_>,
) -> Vec<Service> {
    let mut named: BTreeMap<DomainName, (Service, Place)> = BTreeMap::new();
    for section in root.sections("service") {
        let service = service(section, known, findings);
        let (Some(service), place) = (service, section.place_of("name")) else { continue };
        if let Some((_, first)) = named.get(&service.name) {
            let first = findings.point(*first);
            findings.problem(
                place,
                format!("a service {} stands already at {first}: names are unique", service.name),
            );
            continue;
        }
        named.insert(service.name.clone(), (service, place));
    }
    records::check_hosts(&named, known, findings);
    named.into_values().map(|(service, _)| service).collect()
}

fn service(section: &Section, known: &Known<'_>, findings: &Findings<'_>) -> Option<Service> {
    let clusters = clusters(section, known, findings);
    let homes = homes(section, &clusters, known, findings);
    let text = |name| section.text(name).unwrap_or_default();
    let number = |name| section.number(name).unwrap_or_default();
    threshold::check_hysteresis(section, findings);
    let locate = locate(section, findings);
    let name = section.domain("name");
    if let Some(name) = &name {
        check_name(name, section.place_of("name"), known.zones, findings);
    }
    let (choose, choose_parameters) = choose::read(section);
    let records = records::read(section, name.as_ref(), known.zones, findings);
    let service = Service {
        name: name?,
        clusters,
        homes,
        locate,
        assign: match text("assign").as_str() {
            "failover" => AssignPolicy::Failover,
            "all" => AssignPolicy::All,
            "nearest" => AssignPolicy::Nearest,
            "stable" => AssignPolicy::Stable,
            _ => AssignPolicy::Walrus,
        },
        choose,
        choose_parameters,
        ttl: ttl::read(section, findings),
        hot_share: section.number("hot_share"),
        answers: section.count("answers").and_then(|count| u32::try_from(count).ok()),
        threshold: number("threshold"),
        hysteresis: number("hysteresis"),
        home_rounds: section.whole("home_rounds"),
        spill: if text("spill") == "unassigned" { Spill::Unassigned } else { Spill::Spare },
        better_ratio: number("better_ratio"),
        better_by: number("better_by"),
        ramp: section.duration("ramp"),
        records,
        digest: Digest::default(),
    };
    let clusters_at =
        if section.is_given("clusters") { section.place_of("clusters") } else { section.place() };
    address_owners::check_service(&service.clusters, known.shared_addresses, clusters_at, findings);
    if service.assign != AssignPolicy::All {
        records::check_families(&service, clusters_at, known, findings);
    }
    nearness::check_service(&service, section.place_of("assign"), known, findings);
    threshold::warn_of_none(section, &service, findings);
    choose::check_capacities(&service, section.place_of("choose"), known, findings);
    datagram::check(&service, section.place_of("answers"), known, findings);
    Some(service)
}

fn locate(section: &Section, findings: &Findings<'_>) -> Vec<LocatePolicy> {
    let mut stages = Vec::new();
    for (value, place) in section.list("locate") {
        let stage = match value {
            Value::Text(text) if text == "nameserver" => LocatePolicy::Nameserver,
            _ => LocatePolicy::Map,
        };
        if stages.contains(&stage) {
            findings.problem(*place, "`locate` names the same stage twice: write it once");
        }
        stages.push(stage);
    }
    stages
}

fn clusters(section: &Section, known: &Known<'_>, findings: &Findings<'_>) -> Vec<ClusterId> {
    let mut clusters = Vec::new();
    let ids = || (0_u32..).map(ClusterId).zip(known.clusters);
    if section.is_given("alias") {
        if section.is_given("clusters") {
            findings.problem(
                section.key_place("clusters"),
                "a service has either `clusters` or an `alias`: leave one of them out",
            );
        }
        let name = section.domain("name").and_then(|name| known.aliases.get(&name));
        let own = ids().find(|(_, cluster)| Some(&cluster.name) == name);
        return own.into_iter().map(|(id, _)| id).collect();
    }
    if !section.is_given("clusters") {
        let stands_for_alias =
            |cluster: &Cluster| known.aliases.values().any(|alias| *alias == cluster.name);
        let real = ids().filter(|(_, cluster)| !stands_for_alias(cluster));
        clusters = real.map(|(id, _)| id).collect();
    }
    for (value, place) in section.list("clusters") {
        let Value::Name(name) = value else { continue };
        let Some(id) = cluster_named(name.as_str(), *place, known.clusters, findings) else {
            continue;
        };
        if clusters.contains(&id) {
            findings.problem(*place, format!("`clusters` names `{name}` twice: write it once"));
        } else {
            clusters.push(id);
        }
    }
    if section.is_given("clusters") && section.is_empty_list("clusters") {
        findings.problem(
            section.place_of("clusters"),
            "`clusters` is empty, so the service has no servers: name a cluster, or leave it out \
             for all",
        );
    } else if !known.has_clusters && !section.is_given("clusters") {
        findings.problem(
            section.place(),
            "the service has no servers, for there is no cluster: add a [[cluster]]",
        );
    }
    clusters
}

/// The home of each area: this service's own, else the area's if it serves this service.
fn homes(
    section: &Section,
    clusters: &[ClusterId],
    known: &Known<'_>,
    findings: &Findings<'_>,
) -> Vec<Option<ClusterId>> {
    let serves = |home: &ClusterId| clusters.contains(home);
    let mut homes: Vec<Option<ClusterId>> =
        known.areas.iter().map(|area| area.home.filter(serves)).collect();
    let Some(Value::Names(names)) = section.value("home") else {
        return homes;
    };
    for (area, (area_place, cluster, cluster_place)) in names {
        let area = area_named(area, *area_place, known.areas, findings);
        let Some(home) = cluster_named(cluster.as_str(), *cluster_place, known.clusters, findings)
        else {
            continue;
        };
        if !serves(&home) {
            findings.problem(
                *cluster_place,
                format!(
                    "`{cluster}` is not among the service's `clusters`: add it there, or \
                         choose another home"
                ),
            );
        } else if let Some(area) = area {
            homes[area.index()] = Some(home);
        }
    }
    homes
}

fn check_name(name: &DomainName, place: Place, zones: &[ZoneSettings], findings: &Findings<'_>) {
    if name.is_wildcard() {
        findings.problem(place, "a service is one name: a wildcard belongs into the zone file");
    }
    if zones.is_empty() {
        findings.problem(
            place,
            format!(
                "{name} is in no zone: write for example zone = \"{}\" at the top",
                name.parent().unwrap_or_else(|| name.clone())
            ),
        );
        return;
    }
    let inside = zones.iter().filter(|zone| name.is_within(&zone.apex));
    // The closest one is the one that it is in.
    if let Some(zone) = inside.max_by_key(|zone| zone.apex.label_count()) {
        if zone.dnssec == ZoneDnssec::Keep {
            findings.problem(
                place,
                format!(
                    "{name} changes with its servers' health, but the zone {} is signed elsewhere \
                     (dnssec = \"keep\"): write dnssec = \"sign\" for the zone, or move the service \
                     to a zone of its own",
                    zone.apex
                ),
            );
        }
    } else {
        let apexes: Vec<String> = zones.iter().map(|zone| zone.apex.to_string()).collect();
        let first = apexes.first().map_or("", String::as_str);
        findings.problem(
            place,
            format!(
                "{name} is in none of the zones ({}): name it for example \"www.{first}\", or add \
                 its [[zone]]",
                apexes.join(", ")
            ),
        );
    }
}
