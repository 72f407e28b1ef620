//! `walrus sim run`, `compare` and `sweep` on a small study.

use std::path::Path;

use serde_json::Value;

use crate::running::{Ended, Running, TWO_CLUSTERS, program, run};
use crate::schema::Schemas;

/// One server takes a third of the clients in one variant, half of them in the other.
pub(crate) const STUDY: &str = r#"title = "A small server beside a big one"
duration = "3m"
discard = "30s"
seeds = "1-3"
configuration_text = """
zone = "example.com"
nameservers = ["ns1.example.com"]
[node]
roles = ["controller", "director"]
[dns]
listen = ["127.0.0.1:53"]
[[cluster]]
name = "one"
reporter = true
servers = [
  { name = "big", addresses = ["192.0.2.1"], capacity = 100, weight = 2 },
  { name = "small", addresses = ["192.0.2.2"], capacity = 50 },
]
[[service]]
name = "www.example.com"
choose = "round-robin"
ttl = "20s"
answers = 1
"""
[[population]]
name = "people"
clients = 40
domains = 20

[[variant]]
name = "even"
[[variant]]
name = "by weight"
set = { "service.choose" = "weighted" }
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("small.toml"), STUDY).unwrap();
    folder
}

fn sim(folder: &Path, arguments: &[&str]) -> Ended {
    run(program().current_dir(folder).arg("sim").args(arguments))
}

fn object(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn a_study_s_table_has_its_variants_and_their_intervals() {
    let folder = folder();
    let ended = sim(folder.path(), &["run", "small.toml"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let begin = "A small server beside a big one: 3 seeds, 3 m simulated each, the first 30 s";
    assert!(lines[0].starts_with(begin), "{}", ended.stdout);
    let words: Vec<&str> = lines[3].split_whitespace().collect();
    assert_eq!(words, ["MEASURE", "EVEN", "BY", "WEIGHT"]);
    assert_eq!(lines.len(), 4 + 16, "{}", ended.stdout);
    let queries = lines.iter().find(|line| line.starts_with("queries at")).unwrap();
    assert_eq!(queries.matches(" ± ").count(), 2, "{queries}");
    // One seed and one variant: no intervals.
    let one = sim(folder.path(), &["run", "small.toml", "--seed", "7", "--variant", "even"]);
    assert!(one.stdout.contains("1 seed,") && !one.stdout.contains('±'), "{}", one.stdout);
}

#[test]
fn the_same_seeds_give_the_same_bytes_on_any_number_of_threads() {
    let folder = folder();
    let run = |threads: &str, report: &str| {
        let arguments = ["run", "small.toml", "--json", "--threads", threads, "--report", report];
        let ended = sim(folder.path(), &arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let page = std::fs::read_to_string(folder.path().join(report).join("index.html")).unwrap();
        (ended.stdout, page)
    };
    let one = run("1", "one");
    assert_eq!(run("1", "two"), one);
    assert_eq!(run("5", "five"), one);
    let other = sim(folder.path(), &["run", "small.toml", "--json", "--seeds", "2-4"]);
    assert_ne!(other.stdout, one.0);
}

/// As [`STUDY`], with two populations.
fn two_populations() -> String {
    STUDY.replace(
        "domains = 20\n",
        "domains = 20\n[[population]]\nname = \"others\"\nclients = 10\nprefix = \"172.16.0.0/12\"\n",
    )
}

#[test]
fn several_populations_are_told_apart() {
    let folder = folder();
    std::fs::write(folder.path().join("two.toml"), two_populations()).unwrap();
    let ended = sim(folder.path(), &["run", "two.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let table = ended.stdout.split_once("\nby population\nPOPULATION  VARIANT").unwrap().1;
    let rows: Vec<&str> =
        table.lines().skip(1).map(|row| row.split_whitespace().next().unwrap()).collect();
    assert_eq!(rows, ["people", "people", "others", "others"], "{table}");
    let json = object(&sim(folder.path(), &["run", "two.toml", "--json"]));
    let populations = json["populations"].as_array().unwrap();
    let names: Vec<_> = populations.iter().map(|it| (&it["name"], &it["variant"])).collect();
    assert_eq!(names.len(), 4);
    assert_eq!(
        (names[0].0, names[3].0, names[3].1),
        (&"people".into(), &"others".into(), &"by weight".into())
    );
    let queries = |place: usize| -> f64 {
        let measures = populations[place]["measures"].as_array().unwrap();
        measures.iter().find(|it| it["name"] == "queries").unwrap()["mean"].as_f64().unwrap()
    };
    assert!(queries(0) > queries(1), "a fourth as many clients ask less");
    let run = &json["runs"][0];
    let pages = |place: usize| run["populations"][place]["counts"]["pages"].as_u64().unwrap();
    assert_eq!(pages(0) + pages(1), run["counts"]["pages"].as_u64().unwrap());
    // With one population there is nothing to tell apart.
    let one = sim(folder.path(), &["run", "small.toml", "--seed", "1", "--json"]);
    assert_eq!(object(&one)["populations"], Value::Array(Vec::new()));
}

#[test]
fn a_report_is_one_page_with_plots_that_are_well_formed() {
    let folder = folder();
    let report = ["run", "small.toml", "--seeds", "1,2", "--report", "out/deep"];
    assert_eq!(sim(folder.path(), &report).code, Some(0));
    let sweep = ["sweep", "small.toml", "--set", "service.ttl=10s,40s", "--seeds", "1,2"];
    let sweep = sim(folder.path(), &[&sweep[..], &["--report", "out/sweep"]].concat());
    assert_eq!(sweep.code, Some(0), "{sweep:?}");
    let page = std::fs::read_to_string(folder.path().join("out/deep/index.html")).unwrap();
    for part in ["utilisation", "length", "response", "shares-1", "shares-2", "queries", "near"] {
        let file = folder.path().join(format!("out/deep/{part}.svg"));
        let svg = std::fs::read_to_string(&file).unwrap();
        well_formed(&svg);
        assert!(page.contains(&svg), "{part} stands in the page itself");
    }
    well_formed(
        &std::fs::read_to_string(folder.path().join("out/sweep/response-p95.svg")).unwrap(),
    );
    let own = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!own.contains("http") && !own.contains("src="), "nothing is fetched");
    assert!(own.contains("<td>small</td>") && own.contains("<td>by weight</td>"));
}

#[test]
fn a_report_that_cannot_be_written_takes_no_results_along() {
    let folder = folder();
    // In the way, where nobody looks before: as a disk that is full by then.
    std::fs::create_dir_all(folder.path().join("out/near.svg/deep")).unwrap();
    let run = ["run", "small.toml", "--seed", "1", "--report", "out"];
    let ended = sim(folder.path(), &run);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stdout.contains("pages that failed"), "{}", ended.stdout);
    assert!(ended.stderr.contains("cannot write out"), "{}", ended.stderr);
    let sweep = ["sweep", "small.toml", "--set", "service.ttl=9s,20s", "--seed", "1"];
    std::fs::create_dir_all(folder.path().join("swept/response-p95.svg")).unwrap();
    for (arguments, kind, plots) in [
        (&run[..], "sim_run", "out"),
        (&[&sweep[..], &["--report", "swept"]].concat(), "sim_sweep", "swept"),
    ] {
        let ended = sim(folder.path(), &[arguments, &["--json"]].concat());
        assert_eq!((ended.code, &object(&ended)["kind"]), (Some(3), &kind.into()), "{ended:?}");
        assert!(ended.stderr.contains(&format!("cannot write {plots}")), "{}", ended.stderr);
        let left: Vec<_> = std::fs::read_dir(folder.path().join(plots)).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing half done: {left:?}");
    }
}

/// Every element is closed, in order; every attribute has its quotes; every & begins an entity.
fn well_formed(xml: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = xml;
    while let Some((text, behind)) = rest.split_once('<') {
        for entity in text.split('&').skip(1) {
            let name = entity.split(';').next().unwrap();
            assert!(["amp", "lt", "gt", "quot"].contains(&name), "{entity}");
        }
        let (tag, after) = behind.split_once('>').expect("a tag ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        rest = after;
    }
    assert!(open.is_empty() && xml.starts_with("<svg "), "{open:?}");
}

#[test]
fn variants_are_compared_seed_by_seed() {
    let folder = folder();
    let pair = ["compare", "small.toml:even", ":by weight", "--seeds", "1-4"];
    let ended = sim(folder.path(), &pair);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for text in ["A: small.toml:even\nB: small.toml:by weight\n", "4 seeds, paired", "B IS"] {
        assert!(ended.stdout.contains(text), "{text}: {}", ended.stdout);
    }
    // With itself nothing differs, whatever the seeds brought about.
    let same = ["compare", "small.toml:even", ":even", "--seeds", "1-4", "--json"];
    for measure in object(&sim(folder.path(), &same))["measures"].as_array().unwrap() {
        let verdict = measure["verdict"].as_str().unwrap();
        assert!(["no difference seen", "not tested"].contains(&verdict), "{measure}");
        assert!(measure["difference"].is_null() || measure["difference"] == 0.0);
    }
    // Answers that live six times as long are asked for less: no chance about it.
    let long = STUDY.replace("\"20s\"", "\"120s\"");
    std::fs::write(folder.path().join("long.toml"), long).unwrap();
    let apart = ["compare", "small.toml:even", "long.toml:even", "--seeds", "1-4", "--json"];
    let apart = object(&sim(folder.path(), &apart));
    let measures = apart["measures"].as_array().unwrap();
    let queries = measures.iter().find(|it| it["a"]["name"] == "queries").unwrap();
    assert_eq!(queries["verdict"], "better", "{queries}");
}

#[test]
fn a_report_stays_small_however_many_variants_there_are() {
    // Forty variants, two minutes by the second.
    let mut text = STUDY[..STUDY.find("\n[[variant]]").unwrap()].to_owned();
    for number in 0..40 {
        text += &format!(
            "\n[[variant]]\nname = \"number {number}\"\nset = {{ \"service.ttl\" = \"{}s\" }}\n",
            number + 5
        );
    }
    let folder = folder();
    std::fs::write(folder.path().join("many.toml"), text).unwrap();
    let ended = sim(
        folder.path(),
        &["run", "many.toml", "--seed", "1", "--set", "interval=8s", "--report", "out"],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let file = |name: &str| folder.path().join(format!("out/{name}"));
    let page = std::fs::metadata(file("index.html")).unwrap().len();
    assert!(page < 1_000_000, "{page} bytes");
    assert!(file("failed.svg").exists() && file("shares-24.svg").exists());
    assert!(!file("shares-25.svg").exists());
}

#[test]
fn what_is_after_an_end_that_was_set_is_left_out_with_a_word() {
    let folder = folder();
    let time_line =
        "timeline = \"\"\"\nat 1m drain one\nat 2m kill big\nat 150s heal big\n\"\"\"\n";
    let text = STUDY.replacen("configuration_text", &format!("{time_line}configuration_text"), 1);
    std::fs::write(folder.path().join("events.toml"), text).unwrap();
    let run = ["run", "events.toml", "--seed", "1", "--variant", "even", "--set", "duration=90s"];
    let ended = sim(folder.path(), &[&run[..], &["--json"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let warnings = object(&ended)["warnings"].to_string();
    for words in ["2 events of the time line after the end", "even: at 60s: drain"] {
        assert!(warnings.contains(words) && ended.stderr.contains(words), "{words}: {ended:?}");
    }
}

#[test]
fn a_setting_is_swept_over_a_range() {
    let folder = folder();
    let sweep = ["sweep", "small.toml", "--seed", "1", "--variant", "even", "--measure", "queries"];
    let range = ["--set", "service.ttl=20s..60s step 20s", "--set", "population.clients=20"];
    let ended = sim(folder.path(), &[&sweep[..], &range, &["--json"]].concat());
    let object = object(&ended);
    let points = object["points"].as_array().unwrap();
    let values: Vec<&str> = points.iter().map(|it| it["values"][0].as_str().unwrap()).collect();
    assert_eq!(
        (values, &object["settings"][0]),
        (vec!["20s", "40s", "60s"], &"service.ttl".into())
    );
    let queries = |point: &Value| -> f64 {
        let measures = point["variants"][0]["measures"].as_array().unwrap();
        measures.iter().find(|it| it["name"] == "queries").unwrap()["mean"].as_f64().unwrap()
    };
    assert!(queries(&points[0]) > queries(&points[2]), "{object:#}");
    let table = sim(folder.path(), &[&sweep[..], &range].concat());
    assert!(table.stdout.contains("SERVICE.TTL  EVEN"), "{}", table.stdout);
}

#[test]
fn wrong_use_and_bad_studies_are_told() {
    let folder = folder();
    let bad = STUDY.replace("clients = 40", "clients = 40\ncolour = \"red\"");
    std::fs::write(folder.path().join("bad.toml"), bad).unwrap();
    std::fs::write(folder.path().join("empty.toml"), "").unwrap();
    std::fs::write(folder.path().join("latin.toml"), b"seeds = 1\ntitle = \"Caf\xe9\"\n").unwrap();
    std::fs::write(folder.path().join("shares"), b"1\n\xff\n").unwrap();
    let shares = STUDY.replace("domains = 20", "domains = 2\nshares = \"file:shares\"");
    std::fs::write(folder.path().join("shares.toml"), shares).unwrap();
    std::fs::create_dir(folder.path().join("taken")).unwrap();
    std::fs::write(folder.path().join("taken/index.html"), "<p>my own</p>").unwrap();
    for (arguments, code, word) in [
        (&["run", "nowhere.toml"][..], 3, "nowhere.toml"),
        (&["run", "bad.toml"], 1, "colour"),
        (&["run", "small.toml", "--set", "service.colour=red"], 1, "colour"),
        (&["run", "small.toml", "--set", "service.ttl"], 2, "path=value"),
        (&["run", "small.toml", "--variant", "odd"], 2, "\"by weight\""),
        (&["run", "small.toml", "--seeds", "3-1"], 2, "1-5, 9"),
        (&["run", "small.toml", "--seeds", "3,3"], 2, "stands there twice"),
        (&["run", "small.toml", "--seeds", "1-9000"], 2, "the results of 18000 runs take"),
        (&["run", "small.toml", "--variant", "even", "--variant", "even"], 2, "named twice"),
        (&["run", "small.toml", "--set", "variant=[]"], 1, "variants are the study's own"),
        (&["run", "/dev/zero"], 3, "more than 128 MiB"),
        (&["run", "latin.toml"], 1, "latin.toml:2: this is no UTF-8"),
        (&["run", "shares.toml"], 1, "line 2: this is no UTF-8"),
        (&["run", "small.toml", "--threads", "0"], 2, "--threads"),
        (&["run", "small.toml", "--report", "taken"], 2, "no report of `walrus sim`"),
        (&["run", "empty.toml"], 1, "[[population]]"),
        (&["run", "small.toml", "--report", "/proc/nowhere"], 3, "/proc/nowhere"),
        (&["compare", "small.toml", "small.toml"], 2, "name one of"),
        (&["sweep", "small.toml", "--set", "service.ttl=20s"], 2, "nothing is swept over"),
        (&["sweep", "small.toml", "--set", "service.ttl=1..9 step 0"], 2, "no range"),
        (&["sweep", "small.toml", "--set", "service.ttl=1s,2s", "--measure", "luck"], 2, "luck"),
    ] {
        let ended = sim(folder.path(), arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(word), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn every_object_fits_its_schema() {
    let running = Running::start(TWO_CLUSTERS);
    let schemas = running.http("GET", "/openapi.json", "").1;
    let schemas = Schemas(serde_json::from_str(&schemas).unwrap());
    let folder = folder();
    std::fs::write(folder.path().join("two.toml"), two_populations()).unwrap();
    for (arguments, schema, kind) in [
        (&["run", "small.toml", "--seed", "1"][..], "SimRunView", "sim_run"),
        (&["run", "small.toml", "--seeds", "1,2"], "SimRunView", "sim_run"),
        (&["run", "two.toml", "--seed", "1"], "SimRunView", "sim_run"),
        (&["compare", "small.toml:even", ":by weight"], "SimCompareView", "sim_compare"),
        (&["compare", "small.toml:even", ":even", "--seed", "1"], "SimCompareView", "sim_compare"),
        (&["sweep", "small.toml", "--set", "service.ttl=9s,20s"], "SimSweepView", "sim_sweep"),
        (&["faults", "--seeds", "4..5", "--seconds", "5"], "SimFaultsView", "sim_faults"),
        (&["run", "nowhere.toml"], "ErrorView", "error"),
    ] {
        let ended = sim(folder.path(), &[arguments, &["--json"]].concat());
        let object = object(&ended);
        assert_eq!(object["kind"], kind, "{arguments:?}");
        let faults = schemas.faults(schema, &object);
        assert!(faults.is_empty(), "{arguments:?}: {faults:#?}");
    }
}
