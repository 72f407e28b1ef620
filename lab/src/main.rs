//! The lab: Walrus with real web servers, resolvers and name servers between network namespaces, in real time,
//! and what each client got and when.
//!
//! `lab/run SCENARIO|all [--json FILE] [--list]`. Scenarios are `lab/scenarios/*.lab`; [`script`] says what stands
//! in them. Ends with 0 if all was as expected, 1 if not, 3 if it could not begin, 77 if nothing could be tried here,
//! 130 if it was interrupted.

mod client;
mod interruption;
mod network;
mod programs;
mod results;
mod script;
mod stage;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use results::Outcome;
use script::Scenario;

fn main() -> ExitCode {
    match run() {
        _ if interruption::is_wanted() => ExitCode::from(130),
        Ok(End::Good) => ExitCode::SUCCESS,
        Ok(End::Failed) => ExitCode::from(1),
        Ok(End::Skipped) => ExitCode::from(77),
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// What the command line asks for.
#[derive(Default)]
struct Wanted {
    scenarios: Vec<PathBuf>,
    json: Option<PathBuf>,
    short: bool,
}

/// What came of all.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Good,
    Failed,
    /// Nothing of it could be tried.
    Skipped,
}

fn run() -> Result<End> {
    let wanted = read_arguments(std::env::args().skip(1))?;
    interruption::listen();
    let mut scenarios = Vec::new();
    for path in &wanted.scenarios {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut variants = read(path)?;
        if wanted.short {
            variants.truncate(1);
        }
        scenarios.extend(variants.into_iter().map(|scenario| (name.clone(), scenario)));
    }
    let outcomes = if wanted.short { all_at_once(&scenarios) } else { in_turn(&scenarios) };
    if let Some(file) = &wanted.json {
        std::fs::write(file, results::to_json(&outcomes))
            .with_context(|| file.display().to_string())?;
    }
    let skipped: Vec<&Outcome> = outcomes.iter().filter(|it| it.is_skipped()).collect();
    let failed: Vec<&str> =
        outcomes.iter().filter(|it| !it.is_good()).map(|it| it.scenario.as_str()).collect();
    if outcomes.len() > 1 {
        let (all, skipped) = (outcomes.len(), skipped.len());
        println!(
            "{all} scenarios, {skipped} skipped, {} failed {}",
            failed.len(),
            failed.join(" ")
        );
    }
    Ok(match (failed.is_empty(), skipped.len() == outcomes.len()) {
        (false, _) => End::Failed,
        (true, true) => End::Skipped,
        (true, false) => End::Good,
    })
}

fn in_turn(scenarios: &[(String, Scenario)]) -> Vec<Outcome> {
    let wanted = scenarios.iter().take_while(|_| !interruption::is_wanted());
    wanted.map(|(name, scenario)| carry_out(name, scenario)).collect()
}

/// Short ones wait for most of their time. Each has a thread that lives as long as what it started.
fn all_at_once(scenarios: &[(String, Scenario)]) -> Vec<Outcome> {
    std::thread::scope(|scope| {
        let start = |(name, scenario)| scope.spawn(move || carry_out(name, scenario));
        let started: Vec<_> = scenarios.iter().map(|(name, it)| start((name, it))).collect();
        started.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

fn carry_out(name: &str, scenario: &Scenario) -> Outcome {
    let variant = scenario.variant.as_ref().map(|it| format!(", {it}")).unwrap_or_default();
    println!("== {name}{variant}: {}", scenario.title);
    let outcome = match missing(scenario) {
        Some(reason) => Outcome::new(name, scenario).skipped(reason),
        None => stage::carry_out(name, scenario),
    };
    results::print(&outcome);
    outcome
}

/// What is not on every machine of what pages of the guide use.
const AT_SHELLS: [&str; 6] = ["curl", "dig", "named", "nats-server", "nginx", "openssl"];

/// Why a scenario cannot be tried here: a program is not installed, or this machine lets nobody make networks.
fn missing(scenario: &Scenario) -> Option<String> {
    let programs = scenario.programs().flat_map(|program| {
        let beside = program.beside().iter().map(|beside| programs::find(beside));
        beside.chain([program.path()])
    });
    let commands =
        AT_SHELLS.iter().filter(|known| scenario.command_words().any(|it| it == **known));
    let found = programs.chain(commands.map(|command| programs::find(command)));
    let found = found.filter_map(|found| found.err().map(|missing| missing.to_string()));
    let all: BTreeSet<String> = found.chain(network::missing(scenario.has_machines())).collect();
    (!all.is_empty()).then(|| all.into_iter().collect::<Vec<_>>().join(", "))
}

fn read_arguments(arguments: impl Iterator<Item = String>) -> Result<Wanted> {
    const USAGE: &str = "usage: lab/run SCENARIO...|all|short [--json FILE] | --list";
    let mut arguments = arguments;
    let mut wanted = Wanted::default();
    let folder = scenarios_folder();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => wanted.json = Some(arguments.next().context(USAGE)?.into()),
            "--list" => {
                for path in all(&folder)? {
                    let name = path.file_stem().unwrap_or_default().display().to_string();
                    let scenarios = read(&path)?;
                    println!("{name:24} {}", scenarios.first().map_or("", |it| &it.title));
                }
                std::process::exit(0);
            }
            "all" => wanted.scenarios.extend(all(&folder)?),
            "short" => {
                wanted.short = true;
                for path in all(&folder)? {
                    if read(&path)?.iter().any(|it| it.is_short) {
                        wanted.scenarios.push(path);
                    }
                }
            }
            other if other.starts_with('-') => bail!("`{other}` is not known; {USAGE}"),
            name => {
                let own = folder.join(format!("{name}.lab"));
                wanted.scenarios.push(if own.exists() { own } else { name.into() });
            }
        }
    }
    if wanted.scenarios.is_empty() {
        bail!(USAGE);
    }
    Ok(wanted)
}

fn read(path: &Path) -> Result<Vec<Scenario>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    script::read(&text).with_context(|| path.display().to_string())
}

fn scenarios_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn all(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "lab") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
