//! Files in; a checked configuration, or everything that is wrong with them, out.

use std::borrow::Cow;

use toml::de::DeTable;

use super::clients::Clients;
use super::findings::{Findings, Place, SourceFile};
use super::replace::{self, Replacement};
use super::section::{Entry, Section};
use super::setting::Group;
use super::settings::{
    ROOT, api, area, catalog, cluster, control, dns, dnssec, geo, group, identity, key, log,
    name_server, node, notify, reporter, service, zone,
};
use super::vantage_points;
use super::walk::{self, Item, place_of};
use super::{
    Configuration, Context, GeoSettings, GroupSettings, Problem, ReporterSettings, Roles, canon,
};
use crate::world::{Server, Topology};

/// The longest configuration file, in bytes: places are kept in 32 bits, and nobody writes more.
const FILE_BYTES_MAX: usize = 64 << 20;

/// A configuration without problems, and what is odd about it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// Ready for use.
    pub configuration: Configuration,
    /// What works but was hardly meant.
    pub warnings: Vec<Problem>,
}

/// Checks files (one, or those of a directory in the order of their names) as one configuration.
///
/// # Errors
/// Every problem at once, in the order of files and lines. If a file is no TOML, only that is
/// told: what else is wrong cannot be known yet.
pub fn parse(files: &[SourceFile], context: &Context<'_>) -> Result<Parsed, Vec<Problem>> {
    parse_with(files, &[], &[], context)
}

/// As [`parse`], with settings replaced after the files were read: for variants of one configuration. The
/// places of replacements are in `elsewhere`, which problems with them name.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(
    files: &[SourceFile],
    replacements: &[Replacement],
    elsewhere: &[SourceFile],
    context: &Context<'_>,
) -> Result<Parsed, Vec<Problem>> {
    let all: Vec<SourceFile>;
    let known = if elsewhere.is_empty() {
        files
    } else {
        all = files.iter().chain(elsewhere).cloned().collect();
        &all
    };
    let findings = Findings::new(known);
    let before = u32::try_from(files.len()).unwrap_or(u32::MAX);
    let replacements: Vec<_> = replacements.iter().map(|it| it.moved_by(before)).collect();
    let configuration = check(files, &replacements, context, &findings);
    let (problems, warnings) = findings.into_lists();
    match configuration {
        Some(configuration) if problems.is_empty() => Ok(Parsed { configuration, warnings }),
        _ => Err(problems),
    }
}

fn check(
    files: &[SourceFile],
    replacements: &[Replacement],
    context: &Context<'_>,
    findings: &Findings<'_>,
) -> Option<Configuration> {
    let mut root = root(files, findings)?;
    replacements.iter().for_each(|it| replace::replace(&mut root, &ROOT, it, findings));
    let configuration = build(&root, context, findings);
    (!findings.any()).then_some(configuration)
}

/// The top level of all files together; `None` if one of them is no TOML.
pub(super) fn root(files: &[SourceFile], findings: &Findings<'_>) -> Option<Section> {
    read_settings(files, &ROOT, &[], findings)
}

/// Reads files of settings whose top level is `group`, and replaces settings in them: `None` if one of
/// them is no TOML. What else is wrong is in the findings, and leaves gaps.
pub fn read_settings(
    files: &[SourceFile],
    group: &'static Group,
    replacements: &[Replacement],
    findings: &Findings<'_>,
) -> Option<Section> {
    let mut tables = Vec::with_capacity(files.len());
    let mut broken = false;
    for (index, file) in files.iter().enumerate() {
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        if file.text.len() > FILE_BYTES_MAX {
            let place = Place { file: number, offset: 0 };
            findings.problem(
                place,
                "the file is longer than 64 MiB: split it, or put prefixes into client files",
            );
            broken = true;
            continue;
        }
        let (table, errors) = DeTable::parse_recoverable(&file.text);
        for error in &errors {
            let offset = error.span().map_or(0, |span| span.start);
            let place = Place { file: number, offset: u32::try_from(offset).unwrap_or(u32::MAX) };
            findings.problem(place, format!("this is no TOML: {}", error.message()));
            broken = true;
        }
        tables.push((number, table));
    }
    if broken {
        return None;
    }
    let mut root = Section::new(Place::NOWHERE);
    for (file, table) in &tables {
        merge((&mut root, group), *file, table.get_ref(), findings);
    }
    replacements.iter().for_each(|it| replace::replace(&mut root, group, it, findings));
    walk::complete(&mut root, "", group, findings);
    Some(root)
}

fn merge(
    (root, group): (&mut Section, &'static Group),
    file: u32,
    table: &DeTable<'_>,
    findings: &Findings<'_>,
) {
    for (key, value) in table {
        let (name, place): (&str, Place) = (key.get_ref(), place_of(key, file));
        let Some(setting) = group.setting(name) else {
            walk::unknown_key(name, place, group, findings);
            continue;
        };
        let item = Item::of(value, file);
        let read = walk::read(item, &setting.kind, name, findings);
        if let Err(first) = root.merge(setting.name, Entry::given(read, item.place, place)) {
            let first = findings.point(first);
            findings.problem(
                place,
                format!("`{name}` stands already at {first}: write it in one place"),
            );
        }
    }
}

/// Builds from what was read; problems leave gaps that are never used.
pub(super) fn build(
    root: &Section,
    context: &Context<'_>,
    findings: &Findings<'_>,
) -> Configuration {
    let node =
        node::read(&section(root, "node", &node::NODE, findings), context.hostname, findings);
    let roles = node.roles;
    let dns = dns::read(&section(root, "dns", &dns::DNS, findings), roles.director, findings);
    let dnssec = dnssec::read(&section(root, "dnssec", &dnssec::DNSSEC, findings), findings);
    let keys = key::read(root, findings);
    let zones = zone::read(root, (&dns, &keys), dnssec.sign, findings);
    let geo = geo::read(&section(root, "geo", &geo::GEO, findings));
    let clusters = cluster::read(root, findings);
    let mut clients = Clients::new(context);
    let areas = area::read(root, &clusters.clusters, &mut clients, findings);
    check_geo(&clients, &geo, findings);
    let known = service::Known {
        zones: &zones,
        clusters: &clusters.clusters,
        has_clusters: !root.sections("cluster").is_empty(),
        servers: &clusters.servers,
        host_places: &clusters.host_places,
        aliases: &clusters.aliases,
        shared_addresses: &clusters.shared,
        areas: &areas,
        udp_size_max: dns.udp_size_max,
    };
    let services = service::read(root, &known, findings);
    let published_from =
        name_server::Known { areas: &areas, services: &services, zones: &zones, roles };
    let name_servers = name_server::read(root, &published_from, findings);
    let control = control::read(&section(root, "control", &control::CONTROL, findings));
    let notify = notify::read(&section(root, "notify", &notify::NOTIFY, findings));
    let group = group::read(&section(root, "group", &group::GROUP, findings), findings);
    let identities = identity::read(root, &group, findings);
    let api = api::read(&section(root, "api", &api::API, findings), findings);
    let reached = roles.controller || group.nats.is_some();
    let reporter = root.section("reporter").and_then(|section| {
        reporter::read(section, &clusters.servers, reached, &node.state, findings)
    });
    let others = identity::Others::new(roles, &clusters.servers, reporter.as_ref(), &dnssec.nodes);
    identity::check(root, &identities, (&group, &api, &node), &others, findings);
    check_roles(root, roles, &group, findings);
    dnssec::check_nodes(root, &dnssec, &node, &group, findings);
    check_reporters(roles, &group, reporter.as_ref(), &clusters.servers, findings);
    vantage_points::check(&node, &group, &control, &clusters.servers, findings);
    let cluster::Clusters { clusters, servers, .. } = clusters;
    let mut topology = Topology { servers, clusters, areas, services };
    canon::stamp_services(&mut topology);
    Configuration {
        catalogs: catalog::read(root, (&keys, &zones), findings),
        digest: canon::shared(&zones, &dnssec, &topology, &control, &notify),
        zones,
        dnssec,
        topology,
        control,
        geo,
        notify,
        node,
        dns,
        group,
        identities,
        keys,
        name_servers,
        api,
        log: log::read(&section(root, "log", &log::LOG, findings), findings),
        reporter,
    }
}

/// Countries and continents without a database are no problem: the rest works, and those clients
/// belong to `world`.
fn check_geo(clients: &Clients<'_>, geo: &GeoSettings, findings: &Findings<'_>) {
    if let Some(place) = clients.first_code()
        && geo.database.is_empty()
    {
        findings.warn(
            place,
            "countries and continents match nobody without a database: write [geo] with \
             database = \"/usr/share/GeoIP/GeoLite2-Country.mmdb\"",
        );
    }
}

/// What a role needs that no section of its own can say.
fn check_roles(root: &Section, roles: Roles, group: &GroupSettings, findings: &Findings<'_>) {
    if roles.director && !root.is_given("zone") {
        findings.problem(
            root.place(),
            "the role `director` needs a zone: write zone = \"example.com\" at the top",
        );
    }
    if roles.director && !roles.controller && group.nats.is_none() {
        findings.warn(
            root.place(),
            "the role `director` without `controller` answers from the saved Plan alone: write \
             [group.nats] with servers = [\"127.0.0.1:4222\"], so that it hears the Controllers",
        );
    }
    if roles.updater && !roles.controller && group.nats.is_none() {
        findings.warn(
            root.place(),
            "the role `updater` without `controller` publishes the saved Plan alone: write [group.nats] \
             with servers = [\"127.0.0.1:4222\"], so that it hears the Controllers",
        );
    }
    if roles.reporter && !root.is_given("reporter") {
        findings.problem(
            root.place(),
            "the role `reporter` needs its server: write [reporter] with server = \"fra1\"",
        );
    }
}

/// A Reporter that cannot reach the Controller is silent, and its server would be dead for ever.
fn check_reporters(
    roles: Roles,
    group: &GroupSettings,
    reporter: Option<&ReporterSettings>,
    servers: &[Server],
    findings: &Findings<'_>,
) {
    let own = reporter.map(|reporter| &reporter.server);
    let far = servers.iter().find(|server| server.reporter && Some(&server.name) != own);
    let alone = group.listen.is_empty() && group.nats.is_none();
    if let Some(server) = far.filter(|_| roles.controller && alone) {
        findings.warn(
            Place::NOWHERE,
            format!(
                "the Reporter of `{}` cannot reach this Controller, so it will count as dead: \
                 write [group] with listen = [\"192.0.2.53:8054\"]",
                server.name
            ),
        );
    }
}

/// A section that is always there; with its defaults after a problem with it.
fn section<'s>(
    root: &'s Section,
    name: &str,
    group: &'static Group,
    findings: &Findings<'_>,
) -> Cow<'s, Section> {
    if let Some(section) = root.section(name) {
        return Cow::Borrowed(section);
    }
    let mut section = Section::new(root.place());
    walk::complete(&mut section, name, group, findings);
    Cow::Owned(section)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
