//! What the time line says, line by line, and the configurations that it puts in force.

use std::sync::Arc;
use std::time::Duration;

use walrus_core::config::settings_file::{Findings, Place, Section};
use walrus_core::config::{Configuration, Replacement};
use walrus_core::world::Time;

use super::configuration::first_line;
use super::read::{Files, is_of_study, is_toml_value};
use super::setup::{Deed, Happening};
use super::timeline::{self, Known};

/// As often may the configuration change in a run.
const RELOADS_MAX: usize = 100;
/// As many things happen in a run.
const HAPPENINGS_MAX: usize = 100_000;

/// Every line of the time line. What is after the end is a mistake in the study; where the end was set from
/// outside it is left out.
pub(super) fn read(
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
pub(super) fn reloads(
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
        if let Some(section) = changed_section(configuration, &next) {
            let message = format!(
                "`{path}`: a change of [{section}] takes a restart to be in force, here as with `walrus \
                 reload`; make variants of it"
            );
            findings.problem(*place, message);
            break;
        }
        happening.deed = Deed::Reload(reloads.len());
        reloads.push(next);
    }
    reloads
}

/// A section that roles are started with and that a reload leaves as it is, if it is another one.
fn changed_section(one: &Configuration, other: &Configuration) -> Option<&'static str> {
    let differs = [
        ("node", one.node != other.node),
        ("dns", one.dns != other.dns),
        ("group", one.group != other.group),
        ("api", one.api != other.api),
        ("log", one.log != other.log),
        ("reporter", one.reporter != other.reporter),
    ];
    differs.into_iter().find_map(|(section, differs)| differs.then_some(section))
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
