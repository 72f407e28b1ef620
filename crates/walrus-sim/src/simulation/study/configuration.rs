//! The Walrus configuration that a study runs, and whether it can be simulated.

use std::sync::Arc;

use walrus_core::config::settings_file::{Findings, Place, Section};
use walrus_core::config::{Configuration, Context, Replacement, SourceFile, parse_with};
use walrus_core::map::Map;

use super::read::Files;
use super::setup::NameServerSetup;

/// As many name servers: resolvers know each of them.
const NAME_SERVERS_MAX: usize = 32;
/// As many servers: events have 16 bits for one.
const SERVERS_MAX: usize = 65_000;

/// The Walrus configuration, with its own problems told where they stand.
pub(super) fn read(
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
    let begins_below =
        ["\"\"\"\n", "'''\n", "\"\"\"\r\n", "'''\r\n"].iter().any(|quote| value.starts_with(quote));
    before + usize::from(begins_below)
}

/// Areas' name servers, else every address that `[dns]` listens on.
pub(super) fn name_servers(
    configuration: &Configuration,
    root: &Section,
    findings: &Findings<'_>,
) -> Vec<NameServerSetup> {
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
            place(root),
            "nobody answers: write [dns] with listen = [\"192.0.2.53:53\"] into the configuration",
        );
    }
    if list.len() > NAME_SERVERS_MAX {
        let message =
            format!("{} name servers: at most {NAME_SERVERS_MAX} are simulated", list.len());
        findings.problem(place(root), message);
    }
    list
}

pub(super) fn check(configuration: &Configuration, root: &Section, findings: &Findings<'_>) {
    let topology = &configuration.topology;
    if topology.servers.is_empty() {
        let message = "nobody serves: write [[cluster]] with servers into the configuration";
        findings.problem(place(root), message);
    }
    if topology.servers.len() > SERVERS_MAX {
        let message =
            format!("{} servers: at most {SERVERS_MAX} are simulated", topology.servers.len());
        findings.problem(place(root), message);
    }
    if topology.services.is_empty() {
        let message = "there is nothing to ask for: write [[service]] into the configuration";
        findings.problem(place(root), message);
    }
    if let Err(error) = Map::build(topology, &[]) {
        let message = format!("the map: {error} (studies have no country database: name prefixes)");
        findings.problem(place(root), message);
    }
}

/// Where the study says which configuration it is.
fn place(root: &Section) -> Place {
    let is_text = root.is_given("configuration_text");
    root.place_of(if is_text { "configuration_text" } else { "configuration" })
}
