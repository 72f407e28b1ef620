//! What holds for each kind of name server alike.

use super::programs::Kind;
use super::scene::{SERVICE, Scene, TARGET, status_of, wait_for_problem, wait_for_state};
use crate::programs::wait_for;
use crate::together;

/// Plans are published there, changed, and acknowledged.
fn has_what_each_plan_wants(kind: Kind) {
    let _together = together();
    let Some(program) = kind.installed(&format!("{kind:?} kept up to date")) else { return };
    let scene = Scene::new("");
    let _name_server = program.start(&scene);
    let walrus = scene.start_walrus();
    scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
    assert_eq!(scene.dig(TARGET, "AAAA"), ["2001:db8::1"]);
    let mark = scene.dig(TARGET, "TXT").concat();
    assert!(mark.contains("v=walrus1; owner=walrus; plan="), "{mark}");
    let status = wait_for_state(&walrus, "published");
    // The name that clients ask for leads there.
    assert_eq!(scene.dig(SERVICE, "CNAME"), [format!("{TARGET}.")]);
    assert_eq!(status["warnings"], serde_json::Value::Null, "{status}");

    let (code, said) = walrus.call(&["drain", "fra1"]);
    assert_eq!(code, Some(0), "{said}");
    scene.wait_for_addresses(&walrus, &["192.0.2.2"]);
    // The only one: drained is better than nobody.
    assert_eq!(scene.dig(TARGET, "AAAA"), ["2001:db8::1"]);
    let (code, said) = walrus.call(&["drain", "frankfurt"]);
    assert_eq!(code, Some(0), "{said}");
    scene.wait_for_addresses(&walrus, &["198.51.100.1"]);
    wait_for("the newest Plan acknowledged", || {
        let status = status_of(&walrus);
        (status["desired"] == status["acknowledged"]).then_some(())
    });
    let (_, table) = walrus.call(&["status"]);
    for part in ["NAME SERVER", "europe.example", SERVICE, "published", "198.51.100.1"] {
        assert!(table.contains(part), "{part}:\n{table}");
    }
    assert_eq!(walrus.metric("walrus_name_server_current{name_server=\"europe\"}"), 1);
}

/// What somebody else changes there is put in order, and what was lost while it was away.
fn is_put_in_order(kind: Kind) {
    let _together = together();
    let Some(program) = kind.installed(&format!("{kind:?} put in order")) else { return };
    let scene = Scene::new("");
    let mut name_server = program.start(&scene);
    let walrus = scene.start_walrus();
    scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
    wait_for_state(&walrus, "published");

    scene.nsupdate(&[
        &format!("update delete {TARGET} A"),
        &format!("update add {TARGET} 20 A 203.0.113.66"),
    ]);
    wait_for("a repair", || (status_of(&walrus)["counters"]["repaired"] == 1).then_some(()));
    scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
    assert!(walrus.said().contains("somebody else changed it"), "{}", walrus.said());

    name_server.kill();
    wait_for_problem(&walrus, "cannot be reached");
    let (code, said) = walrus.call(&["drain", "fra1"]);
    assert_eq!(code, Some(0), "{said}");
    let status = status_of(&walrus);
    assert_ne!(status["desired"], status["acknowledged"], "{status}");
    // It comes back as it was when it was set up: without any of our records.
    let _name_server = program.start(&scene);
    scene.wait_for_addresses(&walrus, &["192.0.2.2"]);
    let status = wait_for_state(&walrus, "published");
    assert_eq!(status["problem"], serde_json::Value::Null, "{status}");
}

#[test]
fn bind_has_what_each_plan_wants() {
    has_what_each_plan_wants(Kind::Bind);
}

#[test]
fn knot_has_what_each_plan_wants() {
    has_what_each_plan_wants(Kind::Knot);
}

#[test]
fn powerdns_has_what_each_plan_wants() {
    has_what_each_plan_wants(Kind::PowerDns);
}

#[test]
fn bind_is_put_in_order() {
    is_put_in_order(Kind::Bind);
}

#[test]
fn knot_is_put_in_order() {
    is_put_in_order(Kind::Knot);
}

#[test]
fn powerdns_is_put_in_order() {
    is_put_in_order(Kind::PowerDns);
}
