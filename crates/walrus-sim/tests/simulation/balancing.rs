//! The thesis' phases over the studies of them: what moves, and whether it ends.

use std::path::Path;

use walrus_sim::simulation::Study;

use super::run_variant;

fn study(file: &str, duration: &str) -> Study {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../studies").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let sets = [("duration".to_owned(), duration.to_owned())];
    Study::parse(file, &text, &|_| Err("no files here".to_owned()), &sets)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

/// Five overloaded homes and an idle cluster, in rounds of a minute: nobody swings, whichever `spill` it is.
#[test]
fn areas_that_left_an_overloaded_home_stay_away_and_those_that_gain_nothing_stay() {
    for (file, variant, moves, slow_max) in [
        // An area would bring to the idle cluster all that its home suffers from.
        ("walrus-oscillation.toml", "spare, equal", 0..=2, 0.05),
        // The idle one is six times as large, and takes four of five.
        ("walrus-oscillation.toml", "spare, large", 3..=8, 0.02),
        ("walrus-oscillation.toml", "unassigned, large", 3..=8, 0.02),
        // An area is a quarter of what its home has: three of them fit.
        ("walrus-oscillation-fine.toml", "spare, equal", 2..=12, 0.02),
    ] {
        let study = study(file, "30m");
        let number = study.variants.iter().position(|name| name == variant).unwrap();
        let result = run_variant(&study, number, 1);
        let slow = 1.0 - result.response_seconds.below(3.0);
        let found = result.totals.moves;
        assert!(moves.contains(&found), "{file} {variant}: {found} moves");
        assert!(slow <= slow_max, "{file} {variant}: {slow} of the pages take over 3 s");
    }
}
