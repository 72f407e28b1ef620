//! Name servers that stop in the midst, names that are delegated away, aliases that are adopted, and changes that
//! no serial tells of.

use std::process::Command;

use super::programs::Kind;
use super::scene::{Scene, TARGET, status_of, wait_for_problem, wait_for_state};
use crate::programs::wait_for;
use crate::together;

const KINDS: [Kind; 3] = [Kind::Bind, Kind::Knot, Kind::PowerDns];

#[test]
fn one_that_stops_in_the_midst_leaves_its_area_unmanaged_until_it_goes_on() {
    let _together = together();
    for kind in KINDS {
        let Some(program) = kind.installed(&format!("{kind:?} that stops")) else { continue };
        let scene = Scene::new("");
        let name_server = program.start(&scene);
        let walrus = scene.start_walrus();
        scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
        let unmanaged = || {
            let status = walrus.status();
            let areas = status["areas"].as_array().unwrap();
            let is_so = |area: &&serde_json::Value| area["unmanaged"] == true;
            let areas = areas.iter().filter(is_so).map(|area| area["area"].to_string());
            areas.collect::<Vec<_>>()
        };
        assert_eq!(unmanaged(), [""; 0], "{kind:?}");
        name_server.freeze();
        let (code, said) = walrus.call(&["drain", "fra1"]);
        assert_eq!(code, Some(0), "{said}");
        wait_for_problem(&walrus, "does not answer in time");
        assert_eq!(unmanaged(), ["\"europe\""], "{kind:?}");
        let (_, table) = walrus.call(&["status"]);
        assert!(table.contains("unmanaged"), "{table}");
        name_server.thaw();
        scene.wait_for_addresses(&walrus, &["192.0.2.2"]);
        wait_for("managed again", || unmanaged().is_empty().then_some(()));
    }
}

#[test]
fn an_alias_is_taken_over_where_that_is_wanted() {
    let _together = together();
    for kind in KINDS {
        let Some(program) = kind.installed(&format!("{kind:?} with an alias")) else { continue };
        // What is set up lets the key change aliases, too.
        let scene = Scene::new("adopt = true");
        let _name_server = program.start(&scene);
        scene.nsupdate(&[&format!("update add {TARGET} 600 CNAME elsewhere.example.")]);
        let walrus = scene.start_walrus();
        scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
        assert_eq!(scene.dig(TARGET, "CNAME"), [""; 0], "{kind:?}");
    }
}

#[test]
fn a_name_that_is_delegated_away_holds_no_other_up() {
    let _together = together();
    for kind in KINDS {
        let Some(program) = kind.installed(&format!("{kind:?} that delegates")) else { continue };
        let mut scene = Scene::new("");
        scene.more = vec!["shop".to_owned()];
        let file = "europe.example.zone";
        let _name_server = program.start_with(&scene, |name, text| match name == file {
            true => format!("{text}shop.europe.example. 600 IN NS ns.elsewhere.example.\n"),
            false => text,
        });
        let walrus = scene.start_walrus();
        scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
        let status = wait_for_state(&walrus, "foreign");
        let detail = status["names"][0]["detail"].to_string();
        assert!(detail.contains("delegated away"), "{kind:?}: {detail}");
        let (code, said) = walrus.call(&["drain", "fra1"]);
        assert_eq!(code, Some(0), "{said}");
        scene.wait_for_addresses(&walrus, &["192.0.2.2"]);
        assert_eq!(status_of(&walrus)["problem"], serde_json::Value::Null, "{kind:?}");
    }
}

#[test]
fn a_balanced_zone_that_the_key_may_not_ask_is_a_warning_and_holds_nothing_up() {
    let _together = together();
    let Some(program) = Kind::Knot.installed("Knot whose balanced zone is closed") else { return };
    let scene = Scene::new("");
    let _name_server =
        program.start_edited(&scene, |text| text.replace("    acl: walrus-europe-ask\n", ""));
    let walrus = scene.start_walrus();
    scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
    let status = wait_for_state(&walrus, "published");
    let warnings = status["warnings"].to_string();
    assert!(warnings.contains("does not say what www.walrus.example leads to"), "{warnings}");
    assert_eq!(status["problem"], serde_json::Value::Null, "{status}");
}

#[test]
fn a_change_that_no_serial_tells_of_is_put_in_order() {
    let _together = together();
    let Some(program) = Kind::PowerDns.installed("PowerDNS whose database is edited") else {
        return;
    };
    let scene = Scene::new("");
    let _name_server = program.start_edited(&scene, |text| {
        format!("{text}cache-ttl=0\nquery-cache-ttl=0\nzone-cache-refresh-interval=0\n")
    });
    let walrus = scene.start_walrus();
    scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
    wait_for_state(&walrus, "published");
    let change = format!(
        "update records set content = '203.0.113.66' where name = '{TARGET}' and content = '192.0.2.1'"
    );
    let database = scene.path("set-up/pdns.sqlite3");
    wait_for("the database", || {
        let output = Command::new("sqlite3").arg(&database).arg(&change).output().unwrap();
        output.status.success().then_some(())
    });
    wait_for("a repair", || (status_of(&walrus)["counters"]["repaired"] == 1).then_some(()));
    scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn a_secondary_is_told_to_be_none_that_takes_updates() {
    let _together = together();
    let Some(program) = Kind::Bind.installed("BIND as a secondary") else { return };
    let scene = Scene::new("");
    let _name_server = program.start_edited(&scene, |text| {
        let secondary =
            "type secondary;\n    masterfile-format text;\n    primaries { 127.0.0.1 port 1; };";
        let text = text.replacen("type primary;", secondary, 1);
        text.lines().filter(|line| !line.contains("update-policy")).collect::<Vec<_>>().join("\n")
    });
    let walrus = scene.start_walrus();
    wait_for_problem(&walrus, "it is no primary");
}
