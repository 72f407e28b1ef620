//! The page of all settings of a study is what their tables say.
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
