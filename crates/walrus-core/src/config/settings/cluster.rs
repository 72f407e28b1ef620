//! `[[cluster]]` and its servers.

use std::collections::BTreeMap;

use super::address_owners::{AddressOwners, SharedAddress};
use super::{Default, Group, Kind, Scope, Setting, probe};
use crate::config::findings::{Findings, Place};
use crate::config::section::{Section, Value};
use walrus_dns::DomainName;

use crate::world::{Cluster, ClusterId, Coordinates, Name, Probe, Server, ServerId};

pub(in crate::config) static CLUSTER: Group = Group {
    header: "[[cluster]]",
    meaning: "Servers that stand together.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "name",
            kind: Kind::Name,
            default: Default::Required,
            meaning: "Unique among clusters.",
            example: "\"frankfurt\"",
        },
        Setting {
            name: "probe",
            kind: probe::KIND,
            default: Default::Otherwise("\"none\""),
            meaning: "How its servers are looked at from outside; \"none\" counts as up.",
            example: probe::EXAMPLE,
        },
        Setting {
            name: "reporter",
            kind: Kind::Flag,
            default: Default::Value("false"),
            meaning: "Its servers have Reporters: a server whose Reporter is silent is dead.",
            example: "true",
        },
        Setting {
            name: "coordinates",
            kind: Kind::Coordinates,
            default: Default::Otherwise("unknown"),
            meaning: "Where it stands: latitude and longitude in degrees. With those of an area they \
                      say how near it is.",
            example: "[50.11, 8.68]",
        },
        Setting {
            name: "servers",
            kind: Kind::Sections(&SERVER),
            default: Default::Required,
            meaning: "Its servers; their order is that of rings and of `assign = \"failover\"`.",
            example: "[{ name = \"fra1\", addresses = [\"192.0.2.10\"] }]",
        },
    ],
};

pub(in crate::config) static SERVER: Group = Group {
    header: "[[cluster.servers]]",
    meaning: "One server of a cluster, in one line as `servers = [{ ... }]` or as a table of its \
              own.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "name",
            kind: Kind::Name,
            default: Default::Required,
            meaning: "Unique among all servers.",
            example: "\"fra1\"",
        },
        Setting {
            name: "addresses",
            kind: Kind::List(&Kind::Address),
            default: Default::Required,
            meaning: "Its addresses, IPv4 and IPv6 in any mix.",
            example: "[\"192.0.2.10\", \"2001:db8:1::10\"]",
        },
        Setting {
            name: "host",
            kind: Kind::Domain,
            default: Default::Otherwise("its name below the service's"),
            meaning: "Its own name in the DNS, where records of a service point at a name for each \
                      server: HTTPS and SVCB with a port or hints, SRV, MX. In one of the zones, \
                      its addresses are added there.",
            example: "\"fra1.www.example.com\"",
        },
        Setting {
            name: "weight",
            kind: Kind::Count(0, 65_535),
            default: Default::Value("1"),
            meaning: "Its share relative to the cluster's other servers; 0 takes no clients unless \
                      nobody else is left.",
            example: "2",
        },
        Setting {
            name: "cost",
            kind: Kind::Number(0.0, f64::MAX),
            default: Default::Value("0.0"),
            meaning: "What a client here costs, in any unit; kept for later policies.",
            example: "1.5",
        },
        Setting {
            name: "capacity",
            kind: Kind::Number(0.0, f64::MAX),
            default: Default::Otherwise("unknown"),
            meaning: "Requests a second that it can serve: what `hash`, `pow2`, `prr2`, `dal`, `mrl` and \
                      `crml` go by instead of `weight`, if all servers of the answer have one; \
                      `assign = \"stable\"` needs it of all servers.",
            example: "500",
        },
        Setting {
            name: "probe",
            kind: probe::KIND,
            default: Default::Otherwise("the cluster's"),
            meaning: "How this server is looked at from outside.",
            example: "{ tcp = 80 }",
        },
        Setting {
            name: "reporter",
            kind: Kind::Flag,
            default: Default::Otherwise("the cluster's"),
            meaning: "Whether this server has a Reporter.",
            example: "true",
        },
    ],
};

/// All clusters and servers, sorted by name.
pub(in crate::config) struct Clusters {
    pub(in crate::config) clusters: Vec<Cluster>,
    pub(in crate::config) servers: Vec<Server>,
    /// The clusters that stand for aliases, by their services.
    pub(in crate::config) aliases: BTreeMap<DomainName, Name>,
    /// Where servers' `host` is written.
    pub(in crate::config) host_places: BTreeMap<Name, Place>,
    /// Addresses that stand in two clusters: no service may have both.
    pub(in crate::config) shared: Vec<SharedAddress>,
}

/// Where servers stand whose cluster has a problem: they are read for their own problems only.
const NO_CLUSTER: usize = usize::MAX;

/// A server before ids are given out.
struct Read<'a> {
    name: Name,
    cluster: usize,
    section: &'a Section,
    probe: Option<Probe>,
    reporter: bool,
    /// It stands for an alias: the section is the service's.
    is_alias: bool,
}

pub(in crate::config) fn read(root: &Section, findings: &Findings<'_>) -> Clusters {
    let mut named: BTreeMap<Name, &Section> = BTreeMap::new();
    let mut servers = Vec::new();
    for section in root.sections("cluster") {
        let Some(name) = section.name("name") else {
            // Its servers' own problems are told all the same.
            read_servers(NO_CLUSTER, None, section, findings, &mut servers);
            continue;
        };
        if let Some(first) = named.get(&name) {
            let first = findings.point(first.place_of("name"));
            findings.problem(
                section.place_of("name"),
                format!("a cluster `{name}` stands already at {first}: names are unique"),
            );
            read_servers(NO_CLUSTER, None, section, findings, &mut servers);
            continue;
        }
        named.insert(name, section);
    }
    let aliases = alias_names(root, &named);
    named.extend(aliases.iter().map(|(_, (name, section))| (name.clone(), *section)));
    for (cluster, (name, section)) in named.iter().enumerate() {
        if aliases.values().any(|(alias, _)| alias == name) {
            servers.push(Read {
                name: name.clone(),
                cluster,
                section,
                probe: None,
                reporter: false,
                is_alias: true,
            });
            continue;
        }
        read_servers(cluster, Some(name), section, findings, &mut servers);
    }
    // In the order of the files, so that "stands already" points to the one that was written first.
    servers.sort_by_key(|server| server.section.place());
    let is_alias = |name: &Name| aliases.values().any(|(alias, _)| alias == name);
    let names: Vec<(Name, Option<Coordinates>)> = named
        .into_iter()
        .map(|(name, section)| {
            let coordinates = (!is_alias(&name)).then(|| section.coordinates("coordinates"));
            (name, coordinates.flatten())
        })
        .collect();
    let clusters = assemble(&names, servers, findings);
    let aliases = aliases.into_iter().map(|(service, (name, _))| (service, name)).collect();
    Clusters { aliases, ..clusters }
}

fn read_servers<'a>(
    cluster: usize,
    name: Option<&Name>,
    section: &'a Section,
    findings: &Findings<'_>,
    servers: &mut Vec<Read<'a>>,
) {
    let (probe, reporter) = (probe::read(section, findings), section.flag("reporter"));
    let list = section.sections("servers");
    if let Some(name) = name
        && list.is_empty()
        && section.value("servers").is_some()
    {
        findings.problem(
            section.place_of("servers"),
            format!(
                "the cluster `{name}` has no servers: write servers = [{{ name = \"{name}1\", \
                 addresses = [\"192.0.2.10\"] }}]"
            ),
        );
    }
    for server in list {
        let own_probe = probe::read(server, findings);
        let probe = own_probe.or_else(|| probe.clone()).flatten();
        let reporter = server.flag_if_given("reporter").unwrap_or(reporter);
        if let Some(name) = server.name("name") {
            servers.push(Read { name, cluster, section: server, probe, reporter, is_alias: false });
        }
    }
}

/// Gives out ids in the order of names.
fn assemble(
    names: &[(Name, Option<Coordinates>)],
    servers: Vec<Read<'_>>,
    findings: &Findings<'_>,
) -> Clusters {
    let id = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    let mut order: Vec<usize> = (0..servers.len()).collect();
    order.sort_by(|a, b| servers[*a].name.cmp(&servers[*b].name));
    // A name's first server is the one that stands; the order is stable.
    order.dedup_by(|later, first| {
        let (later, first) = (&servers[*later], &servers[*first]);
        let same = later.name == first.name;
        if same {
            let place = findings.point(first.section.place_of("name"));
            findings.problem(
                later.section.place_of("name"),
                format!("a server `{}` stands already at {place}: names are unique", later.name),
            );
        }
        same
    });
    let mut clusters: Vec<Cluster> = names
        .iter()
        .map(|(name, coordinates)| Cluster {
            name: name.clone(),
            servers: Vec::new(),
            coordinates: *coordinates,
        })
        .collect();
    let mut ids = BTreeMap::new();
    for (place, index) in order.iter().enumerate() {
        ids.insert(*index, ServerId(id(place)));
    }
    let mut owners = AddressOwners::default();
    for (index, server) in servers.iter().enumerate() {
        if let Some(server_id) = ids.get(&index)
            && let Some(cluster) = clusters.get_mut(server.cluster)
        {
            cluster.servers.push(*server_id);
        }
        if !server.is_alias {
            check_addresses(server, &mut owners, findings);
        }
    }
    let host_places = check_host_names(&servers, findings);
    let servers = order.iter().map(|index| build(&servers[*index], id)).collect();
    let shared = owners.into_shared(clusters.len());
    Clusters { clusters, servers, aliases: BTreeMap::new(), host_places, shared }
}

fn build(read: &Read<'_>, id: impl Fn(usize) -> u32) -> Server {
    if read.is_alias {
        return Server {
            name: read.name.clone(),
            cluster: ClusterId(id(read.cluster)),
            addresses: Vec::new(),
            weight: 1,
            cost: 0.0,
            capacity: None,
            reporter: false,
            probe: None,
            host: None,
        };
    }
    let address = |(value, _): &(Value, Place)| match value {
        Value::Address(address) => Some(*address),
        _ => None,
    };
    Server {
        name: read.name.clone(),
        cluster: ClusterId(id(read.cluster)),
        addresses: read.section.list("addresses").iter().filter_map(address).collect(),
        weight: read.section.whole("weight"),
        cost: read.section.number("cost").unwrap_or_default(),
        capacity: read.section.number("capacity"),
        reporter: read.reporter,
        probe: read.probe.clone(),
        host: read.section.domain("host"),
    }
}

/// A server has addresses, and those of its own.
fn check_addresses(server: &Read<'_>, owners: &mut AddressOwners, findings: &Findings<'_>) {
    let list = server.section.list("addresses");
    if server.section.is_given("addresses") && server.section.is_empty_list("addresses") {
        findings.problem(
            server.section.place_of("addresses"),
            format!(
                "the server `{}` has no address: write addresses = [\"192.0.2.10\"]",
                server.name
            ),
        );
    }
    for (value, place) in list {
        let Value::Address(address) = value else { continue };
        owners.add(*address, (&server.name, server.cluster, *place), findings);
    }
}

/// A host's name is one server's; where each stands.
fn check_host_names(servers: &[Read<'_>], findings: &Findings<'_>) -> BTreeMap<Name, Place> {
    let mut places = BTreeMap::new();
    for server in servers.iter().filter(|server| !server.is_alias) {
        let Some(host) = server.section.domain("host") else { continue };
        let place = server.section.place_of("host");
        if host.is_wildcard() {
            findings.problem(place, "a host has one name, not a wildcard");
        }
        places.entry(server.name.clone()).or_insert(place);
    }
    places
}

/// A cluster of one server stands for each service with an alias; both are named after it.
fn alias_names<'a>(
    root: &'a Section,
    taken: &BTreeMap<Name, &Section>,
) -> BTreeMap<DomainName, (Name, &'a Section)> {
    let mut aliases: BTreeMap<DomainName, (Name, &Section)> = BTreeMap::new();
    let servers = root.sections("cluster").iter().flat_map(|cluster| cluster.sections("servers"));
    let servers: Vec<Name> = servers.filter_map(|server| server.name("name")).collect();
    for section in root.sections("service") {
        let (Some(service), true) = (section.domain("name"), section.is_given("alias")) else {
            continue;
        };
        if aliases.contains_key(&service) {
            continue;
        }
        let is_free = |name: &Name| {
            let used = aliases.values().any(|(used, _)| used == name);
            !used && !taken.contains_key(name) && !servers.contains(name)
        };
        let named = |number: usize| alias_name(&service, number).filter(is_free);
        // One of so many is free: each of the others takes one.
        let tries = 1..aliases.len() + taken.len() + servers.len() + 2;
        if let Some(name) = tries.into_iter().find_map(named) {
            aliases.insert(service, (name, section));
        }
    }
    aliases
}

/// `alias-www-example-com`, and a number from the second on.
fn alias_name(service: &DomainName, number: usize) -> Option<Name> {
    /// What a label holds beside `alias-` and a number.
    const KEPT_MAX: usize = 48;
    let text = service.to_string();
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let kept: String = text.chars().map(word).take(KEPT_MAX).collect();
    let kept = kept.trim_matches('-');
    let number = if number > 1 { format!("-{number}") } else { String::new() };
    format!("alias-{kept}{number}").parse().ok()
}
