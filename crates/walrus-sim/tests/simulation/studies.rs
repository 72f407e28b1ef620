//! What the pages conclude from the studies of policies still comes out, in less time and of one seed each.

use std::collections::BTreeMap;

use walrus_sim::simulation::RunResult;

use crate::{run_variant, study_file};

/// These variants of a study, by name.
fn run(file: &str, duration: &str, variants: &[&str]) -> BTreeMap<String, RunResult> {
    let study = study_file(file, duration);
    let run = |name: &&str| {
        let variant = study.variants.iter().position(|variant| variant == name).unwrap();
        ((*name).to_owned(), run_variant(&study, variant, 1))
    };
    variants.iter().map(run).collect()
}

/// Resolvers that keep no TTL: MRL forgets load that still comes, CRML is told of it.
#[test]
fn crml_holds_where_mrl_fails() {
    let found = run("crml.toml", "45m", &["2 MRL", "2 CRML"]);
    let (mrl, crml) = (&found["2 MRL"], &found["2 CRML"]);
    let long = |result: &RunResult| 1.0 - result.max_system_length.below(1500.0);
    let slow = |result: &RunResult| 1.0 - result.response_seconds.below(3.0);
    assert!(long(mrl) > 0.5 && slow(mrl) > 0.25, "mrl: {} {}", long(mrl), slow(mrl));
    assert!(long(crml) == 0.0 && slow(crml) < 0.01, "crml: {} {}", long(crml), slow(crml));
    assert!(crml.max_system_length.below(250.0) > 0.7);
}

/// Adaptive TTLs for each domain and server before TTLs for each domain before a constant one before mere turns, at
/// about the same price.
#[test]
fn policies_are_in_the_order_of_colajannis_papers() {
    let policies = ["RR", "RR2", "PRR2-TTL/K", "DRR2-TTL/S_K"];
    let found = run("colajanni.toml", "4h", &policies);
    let well = |name: &&str| found[*name].max_utilisation.below(0.9);
    let order: Vec<f64> = policies.iter().map(well).collect();
    assert!(order.windows(2).all(|pair| pair[0] + 0.05 < pair[1]), "{order:?}");
    let queries = |name: &str| found[name].counts.clients.upstream_queries as f64;
    for name in &policies[2..] {
        let times = queries(name) / queries("RR");
        assert!((0.95..1.15).contains(&times), "{name}: {times} times the queries");
    }
}
