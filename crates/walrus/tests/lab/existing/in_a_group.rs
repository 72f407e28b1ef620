//! A name server that was there before, kept up to date by a group whose master dies.

use std::time::Instant;

use super::programs::Kind;
use super::scene::{Scene, TARGET};
use crate::group::{BEGINS_WITHIN, MASTER_WITHIN, Nats, Node, at, master_of};
use crate::programs::{find, say, wait_within};
use crate::together;

/// What both Controllers of the group, and whoever else is in it, are.
struct Members {
    controllers: &'static str,
    /// One that only updates.
    updater: Option<&'static str>,
}

#[test]
fn the_heirs_plan_reaches_bind_by_an_updater_that_is_no_controller() {
    outlives_its_master(&Members {
        controllers: "[\"controller\"]",
        updater: Some("[\"updater\"]"),
    });
}

#[test]
fn the_heirs_plan_reaches_bind_where_each_controller_updates_it() {
    outlives_its_master(&Members { controllers: "[\"controller\", \"updater\"]", updater: None });
}

fn outlives_its_master(members: &Members) {
    let _together = together();
    let Some([program]) = find("a group that updates BIND", ["nats-server"]) else { return };
    let Some(bind) = Kind::Bind.installed("BIND kept up to date by a group") else { return };
    let scene = Scene::new("");
    let _name_server = bind.start(&scene);
    let nats = Nats::start(&program, &scene.path("nats"), "");
    let shared = scene.configuration("");
    let start = |name: &str, roles: &'static str| {
        Node::start_as(scene.folder.path(), name, (roles, ""), (&shared, &at(&nats)))
    };
    let mut controllers = ["berlin", "zurich"].map(|name| start(name, members.controllers));
    let updater = members.updater.map(|roles| start("updater", roles));
    wait_within(BEGINS_WITHIN, "one master", || master_of(&controllers));
    let master = master_of(&controllers).expect("agreed upon");
    has(&scene, &["192.0.2.1", "192.0.2.2"]);
    let first = mark(&scene).expect("a mark");

    let begin = Instant::now();
    controllers[master].kill();
    let heir = &controllers[1 - master];
    wait_within(MASTER_WITHIN, "another master", || {
        (heir.status()["group"]["is_master"] == true).then_some(())
    });
    let led = begin.elapsed();
    let last = wait_within(BEGINS_WITHIN, "the heir's mark in BIND", || {
        mark(&scene).filter(|plan| plan.0 > first.0 && plan.1 == heir.name())
    });
    say(&format!(
        "\nBIND in a group: another master {led:.1?} after the death of the first, its Plan \
         {}/{} there after {:.1?}",
        last.0,
        last.1,
        begin.elapsed()
    ));
    assert_eq!(scene.dig(TARGET, "A"), ["192.0.2.1", "192.0.2.2"], "and nothing else is changed");

    let (code, said) = heir.call(&["drain", "fra1"]);
    assert_eq!(code, Some(0), "{said}");
    has(&scene, &["192.0.2.2"]);
    // Who was master comes back as a standby, and what it decided before is not carried out again.
    controllers[master].restart();
    let now = wait_within(BEGINS_WITHIN, "one master again", || master_of(&controllers));
    assert_eq!(now, 1 - master, "who was away joins behind");
    let told = updater.as_ref().unwrap_or(&controllers[master]);
    wait_within(BEGINS_WITHIN, "the newest Plan acknowledged", || {
        let status = told.status()["name_servers"][0].clone();
        (status["names"][0]["state"] == "published" && status["desired"] == status["acknowledged"])
            .then_some(())
    });
    assert_eq!(scene.dig(TARGET, "A"), ["192.0.2.2"]);
    assert!(mark(&scene).expect("a mark").0 >= last.0);
}

fn has(scene: &Scene, addresses: &[&str]) {
    wait_within(BEGINS_WITHIN, "the addresses in BIND", || {
        (scene.dig(TARGET, "A") == addresses).then_some(())
    });
}

/// The epoch and the Controller of the Plan by which BIND's records were written last.
fn mark(scene: &Scene) -> Option<(u64, String)> {
    let text = scene.dig(TARGET, "TXT").concat();
    let (_, plan) = text.split_once("plan=")?;
    let plan = plan.split([';', '"', ' ']).next()?;
    let mut parts = plan.split('/');
    Some((parts.next()?.parse().ok()?, parts.next()?.to_owned()))
}
