//! Every scenario in `scenarios/` against the real program over real sockets.
//!
//! The core's own run of the same files, with golden output, is in `walrus-sim`. Here the program
//! is started with a clock that moves only when told; `expect` lines state what must hold.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "../ports/mod.rs"]
mod ports;
mod real_system;
mod reporters;
mod web_servers;

use std::path::{Path, PathBuf};

use real_system::RealSystem;
use walrus_sim::scenario::{parse, run};

#[test]
fn scenarios_hold_in_the_real_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "walrus"));
    paths.sort();
    assert!(!paths.is_empty(), "there are no scenarios");
    let mut failures = Vec::new();
    for path in &paths {
        let text = std::fs::read_to_string(path).unwrap();
        let scenario = parse(&text).unwrap_or_else(|problems| panic!("{path:?}: {problems:?}"));
        let begin = std::time::Instant::now();
        let mut system = RealSystem::start(&scenario);
        let outcome = run(&scenario, &mut system);
        let name = path.file_name().unwrap_or_default().display();
        println!("{name}: {:.1} s", begin.elapsed().as_secs_f64());
        failures.extend(outcome.failures.into_iter().map(|it| format!("{name}: {it}")));
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
