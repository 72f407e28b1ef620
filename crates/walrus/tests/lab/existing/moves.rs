//! A name server that refuses updates goes on with its old answers, and so it is told.

use std::time::Duration;

use serde_json::Value;

use super::programs::Kind;
use super::scene::{Scene, TARGET, wait_for_problem, write};
use crate::programs::wait_for;
use crate::together;

/// A good secret, but another.
const OTHER_SECRET: &str = "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q=\n";

#[test]
fn nothing_is_said_to_have_moved_while_the_name_server_refuses_updates() {
    let _together = together();
    let Some(program) = Kind::Bind.installed("BIND that does not follow") else { return };
    let scene = Scene::new("ttl = \"1s\"");
    let _name_server = program.start(&scene);
    let walrus = scene.start_walrus();
    scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
    let newest = || walrus.status()["moves"][0].clone();
    let secret = std::fs::read_to_string(scene.path("europe.key")).unwrap();
    write(&scene.path("europe.key"), OTHER_SECRET);
    let (code, said) = walrus.call(&["drain", "frankfurt"]);
    assert_eq!(code, Some(0), "{said}");
    wait_for_problem(&walrus, "BAD");
    let ttl = newest()["ttl_ms"].as_u64().unwrap();
    let old = wait_for("the refusal to be told", || {
        let status = newest();
        let behind = status["behind"][0]["problem"].as_str().is_some_and(|it| it.contains("BAD"));
        // Long after the old answers would have been forgotten, had others been given.
        (behind && status["age_ms"].as_u64().unwrap() > 2 * ttl.min(4000)).then_some(status)
    });
    assert_eq!(
        (&old["moved_95_ms"], &old["expected_95_ms"]),
        (&Value::Null, &Value::Null),
        "{old}"
    );
    assert_eq!(old["still"], 1.0, "{old}");
    let (_, table) = walrus.call(&["status", "--moves"]);
    assert!(table.contains("no: old answers are given"), "{table}");
    assert!(table.contains("still gets old answers of Plan"), "{table}");
    assert_eq!(scene.dig(TARGET, "A"), ["192.0.2.1", "192.0.2.2"]);

    write(&scene.path("europe.key"), &secret);
    let mended = Duration::from_millis(newest()["age_ms"].as_u64().unwrap());
    scene.wait_for_addresses(&walrus, &["198.51.100.1"]);
    let status = wait_for("the name server to be known to follow", || {
        let status = newest();
        status["behind"].is_null().then_some(status)
    });
    // A TTL from then, not from the decision.
    let expected = Duration::from_millis(status["expected_95_ms"].as_u64().unwrap());
    assert!(expected >= mended + Duration::from_millis(ttl).mul_f64(0.94), "{mended:?} {status}");
}
