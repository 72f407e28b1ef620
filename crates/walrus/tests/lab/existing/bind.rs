//! BIND 9.

use std::path::Path;

use super::scene::{
    SERVICE, Scene, TARGET, status_of, wait_for_answers, wait_for_problem, wait_for_state, write,
};
use crate::programs::{Process, find, wait_for};
use crate::together;

/// BIND with what `walrus setup` wrote, as it stands there.
fn start(program: &Path, scene: &Scene) -> Process {
    let (folder, port) = (scene.folder.path().display(), scene.address.port());
    let file = scene.path("named.conf");
    let text = format!(
        "options {{\n directory \"{folder}\";\n pid-file \"{folder}/named.pid\";\n \
         session-keyfile \"{folder}/session.key\";\n listen-on port {port} {{ 127.0.0.1; }};\n \
         listen-on-v6 {{ none; }};\n recursion no;\n dnssec-validation no;\n}};\ncontrols {{ }};\n\
         include \"{folder}/set-up/named.conf.walrus\";\n"
    );
    write(&file, &text);
    let arguments = ["-g", "-n", "1", "-c", file.to_str().unwrap()];
    let mut process = Process::start(program, &arguments, &scene.path("named.log"));
    wait_for_answers(&mut process, scene.address, "europe.example");
    process
}

#[test]
fn bind_has_what_each_plan_wants() {
    let _together = together();
    let Some([named, _]) = find("BIND kept up to date", ["named", "dig"]) else { return };
    let scene = Scene::new("");
    scene.set_up("bind");
    let _named = start(&named, &scene);
    let walrus = scene.start_walrus();
    scene.wait_for_addresses(&["192.0.2.1", "192.0.2.2"]);
    assert_eq!(scene.dig(TARGET, "AAAA"), ["2001:db8::1"]);
    let mark = scene.dig(TARGET, "TXT").concat();
    assert!(mark.contains("v=walrus1; owner=walrus; plan="), "{mark}");
    let status = wait_for_state(&walrus, "published");
    assert_eq!(status["desired"], status["acknowledged"], "{status}");
    // The name that clients ask for leads there.
    assert_eq!(scene.dig(SERVICE, "CNAME"), [format!("{TARGET}.")]);
    assert_eq!(status["warnings"], serde_json::Value::Null, "{status}");

    let (code, said) = walrus.call(&["drain", "fra1"]);
    assert_eq!(code, Some(0), "{said}");
    scene.wait_for_addresses(&["192.0.2.2"]);
    let (code, said) = walrus.call(&["drain", "frankfurt"]);
    assert_eq!(code, Some(0), "{said}");
    scene.wait_for_addresses(&["198.51.100.1"]);
    wait_for("the newest Plan acknowledged", || {
        let status = status_of(&walrus);
        (status["desired"] == status["acknowledged"]).then_some(())
    });
    let (_, table) = walrus.call(&["status"]);
    for part in ["NAME SERVER", "europe.example", "www.walrus.example", "published", "198.51.100.1"]
    {
        assert!(table.contains(part), "{part}:\n{table}");
    }
}

#[test]
fn a_key_that_is_not_the_same_on_both_sides_is_told_and_nothing_is_changed() {
    let _together = together();
    let Some([named, _]) = find("BIND with another key", ["named", "dig"]) else { return };
    let scene = Scene::new("");
    scene.set_up("bind");
    let _named = start(&named, &scene);
    let secret = std::fs::read_to_string(scene.path("europe.key")).unwrap();
    write(&scene.path("europe.key"), "c29tZWJvZHkgZWxzZSdzIHNlY3JldCBpcyB0aGlzIG9uZQ==\n");
    let walrus = scene.start_walrus();
    wait_for_problem(&walrus, "finds our signature wrong (BADSIG)");
    assert_eq!(scene.dig(TARGET, "A"), [""; 0]);
    let (_, table) = walrus.call(&["status"]);
    assert!(table.contains("PROBLEM: name server europe"), "{table}");
    assert!(!format!("{table}{}", walrus.said()).contains(secret.trim()), "no secret is told");
    // The file alone is put in order: no reload is needed.
    write(&scene.path("europe.key"), &secret);
    scene.wait_for_addresses(&["192.0.2.1", "192.0.2.2"]);
}
