//! A study's sections to a [`Setup`]; problems leave gaps that are never used.

use std::sync::Arc;
use std::time::Duration;

use walrus_core::config::settings_file::{CONFIGURATION, Findings, Place, Section};
use walrus_core::config::{Configuration, Context, Replacement, SourceFile, parse_with};
use walrus_core::map::Map;
use walrus_core::world::Time;

use super::super::requests::Requests;
use super::law::ServiceLaw;
use super::populations::Sources;
use super::setup::{
    Deed, Directors, Happening, Link, NameServerSetup, Population, Queries, Reports, Setup,
};
use super::shares::KnownShares;
use super::timeline::Known;
use super::{offered, populations, settings, timeline};

/// The texts that a study is made of.
pub(super) struct Files<'a> {
    /// The study itself, and what was set from outside.
    pub(super) study: &'a [SourceFile; 2],
    /// Gives another file's content.
    pub(super) read: &'a dyn Fn(&str) -> Result<String, String>,
    /// What other variants have made.
    pub(super) shares: &'a KnownShares,
}

/// As often may the configuration change in a run.
const RELOADS_MAX: usize = 100;
/// As many things happen in a run.
const HAPPENINGS_MAX: usize = 100_000;
/// As many name servers: resolvers know each of them.
const NAME_SERVERS_MAX: usize = 32;
/// As many servers: events have 16 bits for one.
const SERVERS_MAX: usize = 65_000;

/// Whether a replacement is for the study and not for the Walrus configuration.
pub(super) fn is_of_study(replacement: &Replacement) -> bool {
    let first = replacement.path.split('.').next().unwrap_or_default().trim();
    let has = |settings: &[walrus_core::config::settings_file::Setting]| {
        settings.iter().any(|setting| setting.name == first)
    };
    has(settings::STUDY.settings) || !has(CONFIGURATION.settings)
}

/// Whether a text is a TOML value as it stands.
pub(super) fn is_toml_value(text: &str) -> bool {
    // A line break would end the value in a file.
    !text.contains('\n') && toml::de::DeValue::parse(text).is_ok()
}

/// One variant; `None` after a problem that leaves nothing to go on with.
pub(super) fn setup(
    name: &str,
    root: &Section,
    to_configuration: &[Replacement],
    files: &Files<'_>,
    findings: &Findings<'_>,
) -> Option<Setup> {
    let configuration = configuration(root, to_configuration, files, findings);
    let name_servers =
        configuration.as_ref().map_or_else(Vec::new, |it| name_servers(it, findings));
    let pages = root.section("pages")?;
    // What stands in the study itself is told even if its configuration is bad.
    let populations = populations::read(
        root,
        pages,
        configuration.as_deref(),
        &name_servers,
        Sources { read: files.read, shares: files.shares },
        findings,
    );
    let service_law = pages.text("service").map(|text| ServiceLaw::parse(&text));
    if let Some(Err(why)) = &service_law {
        findings.problem(pages.place_of("service"), format!("`pages.service` {why}"));
    }
    let (discard, interval) = times(root, findings);
    let configuration = configuration?;
    check_topology(&configuration, root, findings);
    let servers = configuration.topology.servers.len();
    check_series((servers, populations.len()), (discard, interval), root, findings);
    let (controllers, directors) = (root.section("controllers")?, root.section("directors")?);
    let (reports, queries) = (root.section("reports")?, root.section("queries")?);
    let known = Known {
        topology: &configuration.topology,
        name_servers: &name_servers,
        populations: populations.iter().map(|population| population.name.as_str()).collect(),
        controllers: controllers.whole("count"),
    };
    let mut happenings = timeline(root, &known, files, findings);
    let again = |settings: &[Replacement]| {
        let all: Vec<Replacement> = to_configuration.iter().chain(settings).cloned().collect();
        self::configuration(root, &all, files, findings)
    };
    let reloads = reloads(&mut happenings, &configuration, &again, findings);
    let setup = Setup {
        name: name.to_owned(),
        duration: root.duration("duration"),
        discard,
        window: root.duration("window"),
        sample: root.duration("sample"),
        interval,
        service_law: service_law.and_then(Result::ok).unwrap_or(ServiceLaw::Exponential),
        connect_timeout: pages.duration("connect_timeout"),
        queue_max: root.section("servers")?.whole("queue_max"),
        reports: Reports {
            every: reports.duration("every"),
            link: link(reports, "delay", "loss"),
            requests: requests(reports, (&configuration, &reloads), &populations, findings),
            busy_max: reports.count("busy_max"),
        },
        queries: Queries {
            delay: queries.duration("delay"),
            jitter: queries.number("jitter").unwrap_or_default(),
            loss: queries.number("loss").unwrap_or_default(),
            timeout: queries.duration("timeout"),
            tries: queries.whole("tries"),
        },
        directors: Directors {
            workers: directors.whole("workers"),
            exchange: directors.duration("exchange"),
            plans: link(directors, "plan_delay", "plan_loss"),
            observations: link(directors, "observation_delay", "observation_loss"),
        },
        controllers: controllers.whole("count"),
        takeover: controllers.duration("takeover"),
        timeline: happenings.into_iter().map(|(happening, _)| happening).collect(),
        reloads,
        name_servers,
        populations,
        configuration,
    };
    offered::check(&setup, root, findings);
    Some(setup)
}

fn link(section: &Section, delay: &str, loss: &str) -> Link {
    Link { delay: section.duration(delay), loss: section.number(loss).unwrap_or_default() }
}

/// Whether servers count who asks.
fn requests(
    reports: &Section,
    (configuration, reloads): (&Configuration, &[Arc<Configuration>]),
    populations: &[Population],
    findings: &Findings<'_>,
) -> bool {
    /// Counts in all: of four bytes each where all domains are counted, of a hundred otherwise.
    const COUNTS_MAX: usize = 20_000_000;
    let topology = &configuration.topology;
    let all = std::iter::once(configuration).chain(reloads.iter().map(|it| &**it));
    let mut services = all.flat_map(|it| &it.topology.services);
    let wanted = services.any(walrus_core::world::Service::wants_demand);
    let counted = reports.flag_if_given("requests").unwrap_or(wanted);
    let domains: usize = populations.iter().map(|it| it.shares.shares().len()).sum();
    let counts = domains.min(Requests::COUNTED_MAX).saturating_mul(topology.servers.len());
    if counted && counts > COUNTS_MAX {
        let message = format!(
            "who asks each of {} servers is too much to count: take fewer, or write requests = false",
            topology.servers.len()
        );
        findings.problem(reports.place_of("requests"), message);
    }
    counted
}

/// What is discarded and the time between points of a series.
fn times(root: &Section, findings: &Findings<'_>) -> (Duration, Duration) {
    /// Points of a series by default.
    const POINTS: u32 = 240;
    /// The most that are kept.
    const POINTS_MAX: u128 = 100_000;
    let (duration, discard) = (root.duration("duration"), root.duration("discard"));
    // What is wrong in itself was told already.
    if ["duration", "discard", "window", "sample"].iter().any(|name| root.value(name).is_none()) {
        return (discard, Duration::from_secs(1));
    }
    if discard >= duration {
        let message = format!(
            "nothing is left to measure: `discard` ({discard:?}) must be shorter than `duration` \
             ({duration:?})"
        );
        findings.problem(root.place_of("discard"), message);
    }
    let measured = duration.saturating_sub(discard);
    let window = root.duration("window");
    let whole = Duration::from_secs((measured / POINTS).as_secs().max(1));
    let interval =
        if root.is_given("interval") { root.duration("interval") } else { whole.max(window) };
    if measured.as_nanos() > POINTS_MAX * interval.as_nanos().max(1) {
        let message = format!("`interval` makes more than {POINTS_MAX} points: make it longer");
        findings.problem(root.place_of("interval"), message);
    }
    let what = [("window", window), ("sample", root.duration("sample")), ("interval", interval)];
    for (name, _) in what.into_iter().filter(|(_, time)| *time > measured && discard < duration) {
        let message = format!(
            "`{name}` is longer than what is measured ({measured:?}): nothing comes of it; make it shorter"
        );
        findings.warn(root.place_of(name), message);
    }
    (discard, interval)
}

/// The Walrus configuration, with its own problems told where they stand.
fn configuration(
    root: &Section,
    replacements: &[Replacement],
    files: &Files<'_>,
    findings: &Findings<'_>,
) -> Option<Arc<Configuration>> {
    let (file, folder) = match (root.text("configuration"), root.text("configuration_text")) {
        (Some(path), None) => {
            let text = (files.read)(&path);
            if let Err(why) = &text {
                let message = format!("the configuration `{path}` cannot be read: {why}");
                findings.problem(root.place_of("configuration"), message);
            }
            let folder = path.rfind('/').map_or(String::new(), |at| path[..=at].to_owned());
            (SourceFile { name: path, text: text.ok()? }, folder)
        }
        (None, Some(text)) => {
            let place = root.place_of("configuration_text");
            let study = &files.study[place.file as usize % 2];
            let before = first_line(&study.text, place);
            let text = format!("{}{text}", "\n".repeat(before));
            (SourceFile { name: study.name.clone(), text }, String::new())
        }
        _ => {
            // A value that was wrong in itself was told already.
            findings.problem(
                root.place_of("configuration"),
                "write one of `configuration` (a file) and `configuration_text`",
            );
            return None;
        }
    };
    let read = |path: &str| match path.starts_with('/') {
        true => (files.read)(path),
        false => (files.read)(&format!("{folder}{path}")),
    };
    let context = Context { hostname: "simulated", read: &read };
    match parse_with(&[file], replacements, files.study, &context) {
        Ok(parsed) => Some(Arc::new(parsed.configuration)),
        Err(problems) => {
            problems.into_iter().for_each(|problem| findings.found(problem));
            None
        }
    }
}

/// How many lines stand before the first line of a text that begins at this place.
fn first_line(file: &str, place: Place) -> usize {
    let at = (place.offset as usize).min(file.len());
    let before = file.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
    let value = file.get(at..).unwrap_or_default();
    let begins_below = ["\"\"\"\n", "'''\n"].iter().any(|quote| value.starts_with(quote));
    before + usize::from(begins_below)
}

/// Areas' name servers, else every address that `[dns]` listens on.
fn name_servers(configuration: &Configuration, findings: &Findings<'_>) -> Vec<NameServerSetup> {
    let mut list: Vec<NameServerSetup> = Vec::new();
    for area in &configuration.topology.areas {
        for address in &area.nameservers {
            if !list.iter().any(|known| known.address == *address) {
                list.push(NameServerSetup { name: area.name.to_string(), address: *address });
            }
        }
    }
    if list.is_empty() {
        let listen = (1..).zip(&configuration.dns.listen);
        let named = |(number, address): (i32, &_)| NameServerSetup {
            name: format!("ns{number}"),
            address: *address,
        };
        list.extend(listen.map(named));
    }
    if list.is_empty() {
        findings.problem(
            Place::NOWHERE,
            "nobody answers: write [dns] with listen = [\"192.0.2.53:53\"] into the configuration",
        );
    }
    if list.len() > NAME_SERVERS_MAX {
        let message =
            format!("{} name servers: at most {NAME_SERVERS_MAX} are simulated", list.len());
        findings.problem(Place::NOWHERE, message);
    }
    list
}

fn check_topology(configuration: &Configuration, root: &Section, findings: &Findings<'_>) {
    let topology = &configuration.topology;
    if topology.servers.is_empty() {
        let message = "nobody serves: write [[cluster]] with servers into the configuration";
        findings.problem(root.place_of("configuration"), message);
    }
    if topology.servers.len() > SERVERS_MAX {
        let message =
            format!("{} servers: at most {SERVERS_MAX} are simulated", topology.servers.len());
        findings.problem(Place::NOWHERE, message);
    }
    if topology.services.is_empty() {
        let message = "there is nothing to ask for: write [[service]] into the configuration";
        findings.problem(root.place_of("configuration"), message);
    }
    if let Err(error) = Map::build(topology, &[]) {
        let message = format!("the map: {error} (studies have no country database: name prefixes)");
        findings.problem(Place::NOWHERE, message);
    }
}

/// Whether the series of all servers and populations fit together.
fn check_series(
    (servers, populations): (usize, usize),
    (discard, interval): (Duration, Duration),
    root: &Section,
    findings: &Findings<'_>,
) {
    /// Points of all of them, a few numbers each.
    const SERIES_MAX: u128 = 10_000_000;
    let measured = root.duration("duration").saturating_sub(discard).as_nanos();
    let points = measured / interval.as_nanos().max(1);
    if points * (servers + populations) as u128 > SERIES_MAX {
        let message = format!(
            "{points} points of each of {servers} servers and {populations} populations are more than \
             {SERIES_MAX}: make `interval` longer"
        );
        findings.problem(root.place_of("interval"), message);
    }
}

/// Every line of the time line. What is after the end is a mistake in the study; where the end was set from
/// outside it is left out.
fn timeline(
    root: &Section,
    known: &Known<'_>,
    files: &Files<'_>,
    findings: &Findings<'_>,
) -> Vec<(Happening, Place)> {
    let Some(text) = root.text("timeline") else { return Vec::new() };
    let place = root.place_of("timeline");
    let file = files.study.get(place.file as usize).map_or("", |file| &file.text);
    let first = first_line(file, place);
    let end = root.value("duration").map(|_| Time::ZERO + root.duration("duration"));
    let is_set_outside = root.place_of("duration").file > 0;
    let mut happenings: Vec<(Happening, Place)> = Vec::new();
    let mut left_out = 0;
    for (number, line) in text.lines().enumerate() {
        let place = line_place(file, place, first + number);
        match timeline::line(line, known) {
            Ok(Some(happening)) if end.is_some_and(|end| happening.at > end) => {
                left_out += 1;
                if !is_set_outside {
                    let message = format!(
                        "{:?} is after the end of the run, {:?}: make `duration` longer or leave it out",
                        Duration::from_nanos(happening.at.as_nanos()),
                        root.duration("duration"),
                    );
                    findings.problem(place, message);
                }
            }
            Ok(happening) => happenings.extend(happening.map(|it| (it, place))),
            Err(why) => findings.problem(place, why),
        }
    }
    if is_set_outside && left_out > 0 {
        let (events, are) = if left_out == 1 { ("event", "is") } else { ("events", "are") };
        let message = format!(
            "{left_out} {events} of the time line after the end ({:?}) {are} left out",
            root.duration("duration")
        );
        findings.warn(root.place_of("duration"), message);
    }
    if happenings.len() > HAPPENINGS_MAX {
        findings.problem(place, format!("at most {HAPPENINGS_MAX} things happen in a run"));
    }
    happenings.sort_by_key(|(happening, _)| happening.at);
    happenings
}

/// The configurations that the `set` lines put in force, each with all changes before it.
fn reloads(
    happenings: &mut [(Happening, Place)],
    configuration: &Configuration,
    again: &dyn Fn(&[Replacement]) -> Option<Arc<Configuration>>,
    findings: &Findings<'_>,
) -> Vec<Arc<Configuration>> {
    let (mut reloads, mut settings) = (Vec::new(), Vec::new());
    for (happening, place) in happenings {
        let Deed::Set(path, value) = &happening.deed else { continue };
        let value = if is_toml_value(value) { value.clone() } else { format!("{value:?}") };
        let setting = Replacement { path: path.clone(), path_place: *place, value, place: *place };
        if is_of_study(&setting) {
            let message = format!(
                "`{path}` is no setting of the Walrus configuration: only that changes while it runs"
            );
            findings.problem(*place, message);
            continue;
        }
        if reloads.len() == RELOADS_MAX {
            let message = format!("the configuration changes at most {RELOADS_MAX} times");
            findings.problem(*place, message);
            break;
        }
        settings.push(setting);
        let Some(next) = again(&settings) else { break };
        if !has_same_shape(configuration, &next) {
            let message = format!(
                "`{path}`: what stands where does not change while it runs (clusters, servers, their \
                 addresses and `capacity`, areas, services)"
            );
            findings.problem(*place, message);
            break;
        }
        happening.deed = Deed::Reload(reloads.len());
        reloads.push(next);
    }
    reloads
}

/// Whether clients, servers and name servers find everything where it was.
fn has_same_shape(one: &Configuration, other: &Configuration) -> bool {
    let shape = |it: &Configuration| {
        let topology = &it.topology;
        let server = |it: &walrus_core::world::Server| {
            (it.name.clone(), it.cluster, it.addresses.clone(), it.capacity.map(f64::to_bits))
        };
        let servers: Vec<_> = topology.servers.iter().map(server).collect();
        let clusters: Vec<_> = topology.clusters.iter().map(|it| it.name.clone()).collect();
        let area = |it: &walrus_core::world::Area| (it.name.clone(), it.nameservers.clone());
        let areas: Vec<_> = topology.areas.iter().map(area).collect();
        let services: Vec<_> = topology.services.iter().map(|it| it.name.clone()).collect();
        (servers, clusters, areas, services)
    };
    shape(one) == shape(other)
}

/// Where the first word of a line (from 0) stands in a file.
fn line_place(file: &str, near: Place, line: usize) -> Place {
    let mut lines = file.split_inclusive('\n');
    let before: usize = lines.by_ref().take(line).map(str::len).sum();
    let blanks = lines.next().map_or(0, |text| text.len() - text.trim_start().len());
    let offset = u32::try_from(before + blanks).unwrap_or(u32::MAX);
    // A text on the key's own line begins behind the key.
    Place {
        offset: offset.max(if before <= near.offset as usize { near.offset } else { 0 }),
        ..near
    }
}
