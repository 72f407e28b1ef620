//! What changes a running system: reload, SIGHUP, drains; and what only looks: diff, explain.

use std::net::Ipv4Addr;

use crate::dns::addresses;
use crate::running::{Running, TWO_CLUSTERS, program, run, wait_for};

const NEAR: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];
const FAR: [Ipv4Addr; 1] = [Ipv4Addr::new(198, 51, 100, 1)];

fn home_is_far() -> String {
    TWO_CLUSTERS.replace("home = \"near\"", "home = \"far\"")
}

#[test]
fn reload_takes_a_good_file_and_leaves_the_old_for_a_bad_one() {
    let running = Running::start(TWO_CLUSTERS);
    let before = running.status()["configuration"].clone();
    running.write("walrus.toml", &TWO_CLUSTERS.replace("home = \"near\"", "home = \"mars\""));
    let ended = running.ask(&["reload"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    let place = format!("{}:", running.path("walrus.toml").display());
    assert!(ended.stderr.starts_with(&place) && ended.stderr.contains("mars"), "{ended:?}");
    let (code, object) = running.ask_json(&["reload"]);
    assert_eq!((code, object["problems"].as_array().unwrap().len()), (Some(1), 1), "{object}");
    assert_eq!(running.status()["configuration"], before);
    assert_eq!(addresses(running.dns()), NEAR);

    running.write("walrus.toml", &home_is_far().replace("round = \"1s\"", "round = \"2s\""));
    let ended = running.ask(&["reload"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let after = running.status()["configuration"].clone();
    assert_ne!(before, after);
    assert_eq!(ended.stdout.trim(), after.as_str().unwrap(), "it says the new digest");
    wait_for("home", || (addresses(running.dns()) == FAR).then_some(()));
}

#[test]
fn sighup_is_a_reload_and_a_bad_file_changes_nothing() {
    let running = Running::start(TWO_CLUSTERS);
    let before = running.status()["configuration"].clone();
    running.write("walrus.toml", "zone = 7\n");
    running.signal("HUP");
    wait_for("a refusal", || running.log().contains("not reloaded").then_some(()));
    assert!(running.log().contains("walrus.toml:1:"), "{}", running.log());
    assert_eq!(running.status()["configuration"], before);
    running.write("walrus.toml", &home_is_far());
    running.signal("HUP");
    wait_for("the new one", || (running.status()["configuration"] != before).then_some(()));
    wait_for("home", || (addresses(running.dns()) == FAR).then_some(()));
}

#[test]
fn what_takes_a_restart_is_told() {
    let running = Running::start(TWO_CLUSTERS);
    running.write("walrus.toml", &TWO_CLUSTERS.replace("workers = 1", "workers = 2"));
    let ended = running.ask(&["reload"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("[dns] changed; that takes a restart"), "{ended:?}");
}

#[test]
fn plan_diff_tells_what_would_change_and_changes_nothing() {
    let running = Running::start(TWO_CLUSTERS);
    let same = running.path("walrus.toml").display().to_string();
    let ended = running.ask(&["plan", "--diff", &same]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "nothing would change\n"));
    let number = running.plan_number();
    let more = TWO_CLUSTERS.replace(
        "{ name = \"near2\", addresses = [\"192.0.2.2\"] }",
        "{ name = \"near3\", addresses = [\"192.0.2.3\"] }",
    );
    running.write("other.toml", &more);
    let other = running.path("other.toml").display().to_string();
    let ended = running.ask(&["plan", "--diff", &other]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("near2") && ended.stdout.contains("near3"), "{ended:?}");
    assert_eq!(running.plan_number(), number);
    running.write("other.toml", "colour = \"red\"\n");
    let ended = running.ask(&["plan", "--diff", &other]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("other.toml:1:1: `colour`"), "{ended:?}");
}

#[test]
fn a_drain_survives_a_restart_and_spares_the_last_usable_server() {
    let mut running = Running::start(TWO_CLUSTERS);
    let ended = running.ask(&["drain", "near1"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "server near1 takes no new clients\n")
    );
    assert_eq!(addresses(running.dns()), NEAR[1..], "in force when the command returns");
    running.kill();
    running.up();
    assert_eq!(running.life("near1"), "drained");
    // For a moment the answers may be those of the Plan before it: the newest Plan is on the disk
    // soon, not at once.
    wait_for("its leaving", || (addresses(running.dns()) == NEAR[1..]).then_some(()));

    assert_eq!(running.ask(&["drain", "far"]).code, Some(0));
    let last = running.ask(&["drain", "near2"]);
    assert_eq!(last.code, Some(1), "{last:?}");
    assert!(last.stderr.contains("--force"), "{last:?}");
    assert_ne!(running.life("near2"), "drained");
    assert_eq!(running.ask(&["drain", "near2", "--force"]).code, Some(0));
    assert!(!addresses(running.dns()).is_empty(), "never an empty answer");

    assert_eq!(running.ask(&["drain", "near"]).code, Some(0));
    let half = running.ask(&["undrain", "near"]);
    assert!(half.stdout.contains("server near1, server near2 still is"), "{half:?}");
    for target in ["far", "near1", "near2"] {
        assert_eq!(running.ask(&["undrain", target]).code, Some(0));
    }
    // Home again after the dwell time of a TTL.
    wait_for("home", || (addresses(running.dns()) == NEAR).then_some(()));
    let unknown = running.ask(&["drain", "mars"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.stderr.contains("mars"), "{unknown:?}");
}

#[test]
fn nothing_changes_without_the_token() {
    let running = Running::start(TWO_CLUSTERS);
    running.write("wrong", "0123456789abcdef0123456789abcdef");
    for command in [&["drain", "near1"][..], &["undrain", "near1"], &["reload"]] {
        for file in ["wrong", "missing"] {
            let mut asked = program();
            asked.args(command).args(["--api", &running.url(), "--token-file"]);
            let ended = run(asked.arg(running.path(file)));
            assert_eq!(ended.code, Some(3), "{command:?} {file}: {ended:?}");
            assert!(ended.stderr.contains("token"), "{ended:?}");
        }
    }
    assert_ne!(running.life("near1"), "drained");
}

#[test]
fn explain_answers_from_the_running_system_and_from_files() {
    let mut running = Running::start(TWO_CLUSTERS);
    let arguments = ["explain", "www.walrus.example", "--client", "203.0.113.9"];
    let live = running.ask(&arguments);
    assert_eq!(live.code, Some(0), "{live:?}");
    for word in ["area here", "near 100 %", "near1", "far1", "ttl     5 s"] {
        assert!(live.stdout.contains(word), "{word}: {}", live.stdout);
    }
    assert_eq!(running.ask(&["drain", "near1"]).code, Some(0));
    running.signal("TERM");
    assert!(running.ended().success());
    let config = running.path("walrus.toml").display().to_string();
    let state = running.path("state").display().to_string();
    let stored = crate::running::walrus(
        &[&arguments[..], &["--config", &config, "--state", &state]].concat(),
    );
    assert_eq!(stored.code, Some(0), "{stored:?}");
    assert!(stored.stdout.contains("drained"), "from the saved Plan: {}", stored.stdout);
    let fresh = crate::running::walrus(
        &[&arguments[..], &["--config", &config, "--state", "/nonexistent"]].concat(),
    );
    assert_eq!(fresh.code, Some(0), "{fresh:?}");
    assert!(!fresh.stdout.contains("drained"), "from a Plan with all up: {}", fresh.stdout);
}
