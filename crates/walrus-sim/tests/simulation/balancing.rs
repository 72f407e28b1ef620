//! The thesis' phases over the studies of them: what moves, and whether it ends.

use crate::{run_variant, study_file};

/// Five overloaded homes and an idle cluster, in rounds of a minute: nobody swings, whichever `spill` it is.
#[test]
fn areas_that_left_an_overloaded_home_stay_away_and_those_that_gain_nothing_stay() {
    for (file, variant, moves, idle, slow_max) in [
        // An area would bring to the idle cluster all that its home suffers from.
        ("walrus-oscillation.toml", "spare, equal", 0..=2, 0.0..=0.02, 0.05),
        // The idle one is six times as large, and takes four of five.
        ("walrus-oscillation.toml", "spare, large", 3..=8, 0.75..=0.85, 0.02),
        ("walrus-oscillation.toml", "unassigned, large", 3..=8, 0.75..=0.85, 0.02),
        // An area is a quarter of what its home has: three of twenty fit.
        ("walrus-oscillation-fine.toml", "spare, equal", 2..=12, 0.11..=0.19, 0.02),
    ] {
        let study = study_file(file, "30m");
        let number = study.variants.iter().position(|name| name == variant).unwrap();
        let result = run_variant(&study, number, 1);
        let slow = 1.0 - result.response_seconds.below(3.0);
        let found = result.totals.moves;
        assert!(moves.contains(&found), "{file} {variant}: {found} moves");
        let cluster = result.servers.iter().find(|server| server.cluster == "idle").unwrap();
        let end = &cluster.share[cluster.share.len() - 5..];
        let share = end.iter().sum::<f32>() / end.len() as f32;
        assert!(idle.contains(&share), "{file} {variant}: the idle cluster ends with {share}");
        assert!(slow <= slow_max, "{file} {variant}: {slow} of the pages take over 3 s");
    }
}
