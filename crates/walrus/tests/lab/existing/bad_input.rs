//! Keys, clocks and rights that do not fit, names of somebody else, and Plans that are too old.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;
use walrus_core::config::{Context, NameServerSettings, SourceFile, parse};
use walrus_core::plan::Plan;
use walrus_core::update::UpdaterStatus;
use walrus_director::update::{SecretFiles, UpdaterHandle, UpdaterStart, spawn};
use walrus_host::clock::Clock;
use walrus_host::shutdown::Shutdown;

use super::programs::Kind;
use super::scene::{Scene, TARGET, status_of, wait_for_problem, wait_for_state, write};
use crate::programs::wait_for;
use crate::together;

const KINDS: [Kind; 3] = [Kind::Bind, Kind::Knot, Kind::PowerDns];
/// A good secret, but another.
const OTHER_SECRET: &str = "c29tZWJvZHkgZWxzZSdzIHNlY3JldCBpcyB0aGlzIG9uZQ==\n";

/// An updater inside the test, with a clock and a Plan of its own.
fn updater_of(scene: &Scene, plan: Plan, clock: Clock) -> (UpdaterHandle, Shutdown) {
    let text =
        format!("{}[node]\nroles = [\"controller\", \"updater\"]\n", scene.configuration(""));
    let files = [SourceFile { name: "walrus.toml".into(), text }];
    let context = Context { hostname: "lab", read: &|_| Ok(String::new()) };
    let parsed = parse(&files, &context).unwrap();
    let settings: NameServerSettings = parsed.configuration.name_servers[0].clone();
    let shutdown = Shutdown::new();
    let (handle, _task) = spawn(UpdaterStart {
        acknowledgements: std::sync::Arc::new(tokio::sync::watch::Sender::new(0)),
        settings,
        plans: watch::channel(Some(Arc::new(plan))).1,
        secrets: SecretFiles::default(),
        seed: 7,
        clock,
        shutdown: shutdown.clone(),
    });
    (handle, shutdown)
}

fn wait_for_status<T>(
    handle: &UpdaterHandle,
    what: &str,
    look: impl Fn(&UpdaterStatus) -> Option<T>,
) -> T {
    wait_for(&format!("{what}: {:?}", handle.status()), || look(&handle.status()))
}

/// The Plan in force.
fn plan_of(walrus: &crate::walrus::Walrus) -> Plan {
    let (code, said) = walrus.call(&["plan", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let value: Value = serde_json::from_str(&said).unwrap();
    serde_json::from_value(value).unwrap()
}

#[test]
fn another_secret_is_told_and_nothing_is_changed() {
    let _together = together();
    for kind in KINDS {
        let Some(program) = kind.installed(&format!("{kind:?} with another secret")) else {
            continue;
        };
        let scene = Scene::new("");
        let _name_server = program.start(&scene);
        let secret = std::fs::read_to_string(scene.path("europe.key")).unwrap();
        write(&scene.path("europe.key"), OTHER_SECRET);
        let walrus = scene.start_walrus();
        wait_for_problem(&walrus, "the key \"walrus-europe\"");
        let problem = status_of(&walrus)["problem"].to_string();
        let told = ["BADSIG", "BADKEY", "without a signature"];
        assert!(told.iter().any(|word| problem.contains(word)), "{kind:?}: {problem}");
        assert_eq!(scene.dig(TARGET, "A"), [""; 0], "{kind:?}");
        let (_, table) = walrus.call(&["status"]);
        assert!(table.contains("PROBLEM: name server europe"), "{table}");
        let all = format!("{table}{}{}", walrus.said(), walrus.status());
        for secret in [secret.trim(), OTHER_SECRET.trim()] {
            assert!(!all.contains(secret), "no secret is told");
        }
        // The file alone is put in order: no reload is needed.
        write(&scene.path("europe.key"), &secret);
        scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
    }
}

#[test]
fn a_key_that_the_name_server_does_not_have_is_told() {
    let _together = together();
    for kind in [Kind::Bind, Kind::Knot] {
        let Some(program) = kind.installed(&format!("{kind:?} without the key")) else { continue };
        let scene = Scene::new("");
        let _name_server =
            program.start_edited(&scene, |text| text.replace("walrus-europe", "somebody-else"));
        let walrus = scene.start_walrus();
        wait_for_problem(&walrus, "does not know the key \"walrus-europe\"");
        wait_for_problem(&walrus, "BADKEY");
    }
}

#[test]
fn a_name_server_that_refuses_updates_is_told() {
    let _together = together();
    let Some(program) = Kind::Bind.installed("BIND that refuses") else { return };
    let scene = Scene::new("");
    let _name_server = program.start_edited(&scene, |text| {
        text.replace("grant walrus-europe subdomain", "deny walrus-europe subdomain")
    });
    let walrus = scene.start_walrus();
    wait_for_problem(&walrus, "refuses the update of europe.example (REFUSED)");
    let Some(program) = Kind::Knot.installed("Knot that refuses") else { return };
    let scene = Scene::new("");
    let _name_server =
        program.start_edited(&scene, |text| text.replace("[query, update]", "query"));
    let walrus = scene.start_walrus();
    wait_for_problem(&walrus, "does not let it change europe.example (BADKEY)");
}

#[test]
fn a_zone_that_is_not_there_is_told() {
    let _together = together();
    for kind in [Kind::Bind, Kind::Knot] {
        let Some(program) = kind.installed(&format!("{kind:?} without the zone")) else { continue };
        let scene = Scene::new("");
        let _name_server = program.start_edited(&scene, |text| {
            text.replace("zone \"europe.example\"", "zone \"asia.example\"")
                .replace("domain: europe.example.", "domain: asia.example.")
                .replace("subdomain europe.example.", "subdomain asia.example.")
        });
        let walrus = scene.start_walrus();
        wait_for_problem(&walrus, "europe.example");
        let problem = status_of(&walrus)["problem"].to_string();
        assert!(problem.contains("walrus setup"), "{kind:?}: {problem}");
    }
}

#[test]
fn records_without_a_mark_are_left_alone_until_they_may_be_adopted() {
    let _together = together();
    for kind in KINDS {
        let Some(program) = kind.installed(&format!("{kind:?} with others' records")) else {
            continue;
        };
        let scene = Scene::new("");
        let _name_server = program.start(&scene);
        scene.nsupdate(&[&format!("update add {TARGET} 600 A 203.0.113.66")]);
        let mut walrus = scene.start_walrus();
        let status = wait_for_state(&walrus, "foreign");
        let detail = status["names"][0]["detail"].to_string();
        assert!(detail.contains("203.0.113.66") && detail.contains("adopt"), "{detail}");
        assert_eq!(scene.dig(TARGET, "A"), ["203.0.113.66"], "{kind:?}");
        walrus.stop();
        let walrus = scene.start_node("adopting", "adopt = true");
        scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_plan_never_takes_the_place_of_a_newer_one() {
    tokio::task::spawn_blocking(|| {
        let _together = together();
        for kind in KINDS {
            let Some(program) = kind.installed(&format!("{kind:?} with two updaters")) else {
                continue;
            };
            let scene = Scene::new("");
            let _name_server = program.start(&scene);
            let walrus = scene.start_walrus();
            scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
            let mut older = plan_of(&walrus);
            older.number.epoch = 0;
            let of_first = older.lists.iter_mut().flat_map(|list| &mut list.groups);
            of_first.for_each(|group| group.candidates.truncate(1));
            let (late, shutdown) = updater_of(&scene, older, Clock::real());
            wait_for_status(&late, "it sees that it is late", |status| {
                (status.names.first()?.state.as_str() == "newer").then_some(())
            });
            assert_eq!(scene.dig(TARGET, "A"), ["192.0.2.1", "192.0.2.2"], "{kind:?}");
            assert_eq!(late.status().counters.updates, 0);
            shutdown.request();
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_differ_are_told_with_by_how_much() {
    tokio::task::spawn_blocking(|| {
        let _together = together();
        for kind in [Kind::Bind, Kind::Knot] {
            let Some(program) = kind.installed(&format!("{kind:?} with another clock")) else {
                continue;
            };
            let scene = Scene::new("");
            let _name_server = program.start(&scene);
            let walrus = scene.start_walrus();
            scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
            // This one lives on the first of January.
            let (clock, _standing) = Clock::manual();
            let (late, shutdown) = updater_of(&scene, plan_of(&walrus), clock);
            let problem = wait_for_status(&late, "a problem", |status| status.problem.clone());
            assert!(problem.contains("BADTIME") && problem.contains("by NTP"), "{problem}");
            shutdown.request();
        }
    })
    .await
    .unwrap();
}
