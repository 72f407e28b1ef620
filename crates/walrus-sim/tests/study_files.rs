//! The page of all settings of a study is what their tables say, and every study in `studies/` is well.
//!
//! `UPDATE=1 cargo test -p walrus-sim --test study_files` writes the page anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::{Path, PathBuf};

use walrus_sim::simulation::Study;

const INTRODUCTION: &str = "\
# Studies reference

<!-- Made from the tables in crates/walrus-sim/src/simulation/study/settings.rs by
`UPDATE=1 cargo test -p walrus-sim --test study_files`; do not edit. -->

What a study for `walrus sim` may say; [the guide](../simulator.md) tells what it means. Times are written with a
unit (`\"500ms\"`, `\"30s\"`, `\"5m\"`, `\"1h\"`), shares as numbers or percentages.
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_reference_of_studies_is_up_to_date() {
    let page = format!("{INTRODUCTION}{}", Study::reference());
    let file = root().join("docs/src/reference/study.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, page).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == page, "run `UPDATE=1 cargo test -p walrus-sim --test study_files`");
}

#[test]
fn every_study_is_well() {
    let Ok(folder) = std::fs::read_dir(root().join("studies")) else { return };
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let read = |name: &str| {
            let beside = path.parent().unwrap().join(name);
            std::fs::read_to_string(beside).map_err(|error| error.to_string())
        };
        let name = path.file_name().unwrap().to_string_lossy();
        if let Err(problems) = Study::parse(&name, &text, &read, &[]) {
            panic!("{problems}");
        }
    }
}
