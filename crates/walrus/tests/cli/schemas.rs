//! The committed description of the API is what the program says of itself, and what it says
//! fits it.

use std::path::Path;

use serde_json::Value;

use crate::running::{Running, TWO_CLUSTERS, run};
use crate::schema::Schemas;

const COMMITTED: &str = "docs/src/reference/openapi.json";

#[test]
fn the_committed_description_is_up_to_date() {
    let running = Running::start(TWO_CLUSTERS);
    let (status, text) = running.http("GET", "/openapi.json", "");
    assert_eq!(status, 200);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(COMMITTED);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, text).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == text,
        "{COMMITTED} is out of date: run `UPDATE=1 cargo test -p walrus --test cli schemas`"
    );
}

#[test]
fn every_json_output_fits_its_schema() {
    let running = Running::start(TWO_CLUSTERS);
    let schemas =
        Schemas(serde_json::from_str(&running.http("GET", "/openapi.json", "").1).unwrap());
    // So that traffic and top have something of everything to say.
    crate::dns::addresses(running.dns());
    running.write("bad.toml", "colour = \"red\"\n");
    running.write("other.toml", &TWO_CLUSTERS.replace("near2", "near3"));
    let path = |name: &str| running.path(name).display().to_string();
    let (good, bad, other) = (path("walrus.toml"), path("bad.toml"), path("other.toml"));
    let client = ["--client", "203.0.113.9/24", "--resolver", "192.0.2.1"];
    let explain = [&["explain", "www.walrus.example"][..], &client].concat();
    for (arguments, code, schema, kind) in [
        (&["status"][..], 0, "StatusView", "status"),
        (&["plan"], 0, "PlanView", "plan"),
        (&["plan", "--diff", &other], 0, "DiffView", "plan_diff"),
        (&["plan", "--diff", &bad], 1, "ErrorView", "error"),
        (&explain, 0, "ExplanationView", "explanation"),
        (
            &["explain", "no.walrus.example", "--client", "192.0.2.1"],
            0,
            "ExplanationView",
            "explanation",
        ),
        (&["top", "--once"], 0, "TopView", "top"),
        (&["keys", "list"], 0, "KeysView", "keys"),
        (&["drain", "near1"], 0, "DoneView", "done"),
        (&["status"], 0, "StatusView", "status"),
        (&["plan"], 0, "PlanView", "plan"),
        (&["drain", "mars"], 2, "ErrorView", "error"),
        (&["undrain", "near1"], 0, "DoneView", "done"),
        (&["reload"], 0, "ReloadView", "reload"),
    ] {
        let (found, object) = running.ask_json(arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {object}");
        fits(&schemas, schema, kind, &object, arguments);
    }
    for (file, code) in [(&good, 0), (&bad, 1)] {
        let ended = run(crate::running::program().args(["check", file, "--json"]));
        assert_eq!(ended.code, Some(code));
        fits(&schemas, "CheckView", "check", &serde_json::from_str(&ended.stdout).unwrap(), &[]);
        assert!(ended.stdout.starts_with("{\n  \"walrus\": 1,\n  \"kind\": \"check\","));
    }
    // What the API itself says is the same thing, and begins with the same two members.
    for (path, schema, kind) in [
        ("/status", "StatusView", "status"),
        ("/plan", "PlanView", "plan"),
        ("/explain?name=www.walrus.example&client=203.0.113.1", "ExplanationView", "explanation"),
        ("/traffic", "TrafficView", "traffic"),
    ] {
        let (_, text) = running.http("GET", path, "");
        assert!(text.starts_with(&format!("{{\"walrus\":1,\"kind\":\"{kind}\",")), "{text}");
        fits(&schemas, schema, kind, &serde_json::from_str(&text).unwrap(), &[path]);
    }
}

fn fits(schemas: &Schemas, schema: &str, kind: &str, object: &Value, asked: &[&str]) {
    assert_eq!(object["kind"], kind, "{asked:?}");
    let faults = schemas.faults(schema, object);
    assert!(faults.is_empty(), "{asked:?}: {faults:#?} in {object:#}");
}
