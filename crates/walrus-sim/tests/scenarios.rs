//! Every scenario in `scenarios/`, in virtual time, against its golden output.
//!
//! `UPDATE=1 cargo test -p walrus-sim --test scenarios` writes the golden files anew; read the
//! difference before you commit it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use walrus_core::config::{Context, SourceFile};
use walrus_sim::VirtualSystem;
use walrus_sim::scenario::{parse, run};

#[test]
fn scenarios_hold_and_look_as_they_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "walrus"));
    paths.sort();
    assert!(!paths.is_empty(), "there are no scenarios");
    let mut failures = Vec::new();
    for path in &paths {
        failures.extend(check(path).into_iter().map(|it| format!("{}: {it}", path.display())));
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn check(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let scenario = match parse(&text) {
        Ok(scenario) => scenario,
        Err(problems) => return problems.iter().map(ToString::to_string).collect(),
    };
    let file = SourceFile { name: path.display().to_string(), text: scenario.config.clone() };
    let context = Context { hostname: "scenario", read: &|_| Err("no files here".to_owned()) };
    let parsed = match walrus_core::config::parse(&[file], &context) {
        Ok(parsed) => parsed,
        Err(problems) => return problems.iter().map(ToString::to_string).collect(),
    };
    let mut system =
        VirtualSystem::new(Arc::new(parsed.configuration), scenario.seed).expect("a system");
    let outcome = run(&scenario, &mut system);
    let golden = path.with_extension("out");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&golden, &outcome.transcript).unwrap();
    }
    let mut failures = outcome.failures;
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    if expected != outcome.transcript {
        let differing = expected.lines().zip(outcome.transcript.lines()).find(|(a, b)| a != b);
        failures.push(format!("differs from its golden output, first at {differing:?}"));
    }
    failures
}
