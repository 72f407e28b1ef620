//! What the time line says, line by line, and the configurations that it puts in force.

use std::str::SplitInclusive;
use std::sync::Arc;
use std::time::Duration;

use walrus_core::config::settings_file::{Findings, Place, Section};
use walrus_core::config::{Configuration, Replacement};
use walrus_core::world::Time;

use super::read::{Files, is_of_study, is_toml_value};
use super::setup::{Deed, Happening};
use super::timeline::{self, Known};

/// As often may the configuration change in a run.
const RELOADS_MAX: usize = 100;
/// As many things happen in a run.
const HAPPENINGS_MAX: usize = 100_000;
/// As many bad lines are told of: a file of another kind would give millions.
const BAD_LINES_MAX: usize = 100;

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
    let end = root.value("duration").map(|_| Time::ZERO + root.duration("duration"));
    let is_set_outside = root.place_of("duration").file > 0;
    let mut happenings: Vec<(Happening, Place)> = Vec::new();
    let (mut left_out, mut bad) = (0, 0);
    for (line, place) in text.lines().zip(LinePlaces::of(file, place)) {
        if bad == BAD_LINES_MAX {
            findings.problem(place, "further lines are not looked at: mend those above first");
            break;
        }
        match timeline::line(line, known) {
            Ok(Some(happening)) if end.is_some_and(|end| happening.at > end) => {
                left_out += 1;
                if !is_set_outside {
                    bad += 1;
                    let message = format!(
                        "{:?} is after the end of the run, {:?}: make `duration` longer or leave it out",
                        Duration::from_nanos(happening.at.as_nanos()),
                        root.duration("duration"),
                    );
                    findings.problem(place, message);
                }
            }
            Ok(Some(_)) if happenings.len() == HAPPENINGS_MAX => {
                let message = format!("at most {HAPPENINGS_MAX} things happen in a run");
                findings.problem(place, message);
                break;
            }
            Ok(happening) => happenings.extend(happening.map(|it| (it, place))),
            Err(why) => {
                bad += 1;
                findings.problem(place, why);
            }
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
    happenings.sort_by_key(|(happening, _)| happening.at);
    happenings
}

/// The configurations that the `set` lines put in force, each with all changes before it. Those that are none
/// are told and left out, so that all of them are told at once.
pub(super) fn reloads(
    happenings: &mut [(Happening, Place)],
    configuration: &Configuration,
    again: &dyn Fn(&[Replacement]) -> Option<Arc<Configuration>>,
    findings: &Findings<'_>,
) -> Vec<Arc<Configuration>> {
    let (mut reloads, mut settings, mut tried) = (Vec::new(), Vec::new(), 0);
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
        if tried == RELOADS_MAX {
            let message = format!("the configuration changes at most {RELOADS_MAX} times");
            findings.problem(*place, message);
            break;
        }
        tried += 1;
        settings.push(setting);
        let follows = again(&settings).and_then(|next| {
            let told = check_follows(path, configuration, &next);
            told.map_err(|why| findings.problem(*place, why)).is_ok().then_some(next)
        });
        let Some(next) = follows else {
            settings.pop();
            continue;
        };
        happening.deed = Deed::Reload(reloads.len());
        reloads.push(next);
    }
    reloads
}

/// Whether a change of this setting may lead from one configuration to the next while it runs; else why not.
fn check_follows(path: &str, one: &Configuration, next: &Configuration) -> Result<(), String> {
    if !has_same_shape(one, next) {
        return Err(format!(
            "`{path}`: what stands where does not change while it runs (clusters, servers, their \
             addresses and `capacity`, areas, services)"
        ));
    }
    changed_section(one, next).map_or(Ok(()), |section| {
        Err(format!(
            "`{path}`: a change of [{section}] takes a restart to be in force, here as with `walrus \
             reload`; make variants of it"
        ))
    })
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

/// Where the first words of a text's lines stand in its file, one line after the other: there may be millions.
struct LinePlaces<'a> {
    /// The file from the next line on; none for a text that stands on a single line of it.
    lines: Option<SplitInclusive<'a, char>>,
    /// Where the next line begins.
    offset: usize,
    /// Where the text begins, with its quotes.
    text: Place,
}

impl<'a> LinePlaces<'a> {
    fn of(file: &'a str, text: Place) -> Self {
        let value = file.get(text.offset as usize..).unwrap_or_default();
        let quote = ["\"\"\"", "'''"].into_iter().find(|quote| value.starts_with(quote));
        let behind = quote.and_then(|quote| value.strip_prefix(quote));
        // TOML leaves out a line break right behind the quotes.
        let first = behind
            .map(|it| it.strip_prefix('\n').or_else(|| it.strip_prefix("\r\n")).unwrap_or(it));
        Self {
            lines: first.map(|first| first.split_inclusive('\n')),
            offset: file.len() - first.map_or(0, str::len),
            text,
        }
    }
}

impl Iterator for LinePlaces<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        let Some(lines) = &mut self.lines else { return Some(self.text) };
        let line = lines.next().unwrap_or_default();
        let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
        let offset = u32::try_from(self.offset + blanks).unwrap_or(u32::MAX);
        self.offset += line.len();
        Some(Place { offset, ..self.text })
    }
}
