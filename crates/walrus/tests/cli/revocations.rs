//! Certificates that are taken back or run out: who is cut off, and what is told before.

use std::fs::File;
use std::process::{Child, Stdio};

use serde_json::Value;
use walrus_core::world::IdentityRole;
use walrus_host::tls::{issue, new_authority, revocation_list};

use crate::running::{Ended, Running, TWO_CLUSTERS, program, run, wait_for};

const DAY_S: u64 = 86_400;

/// A child that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn identity(running: &Running, arguments: &[&str]) -> Ended {
    let mut command = program();
    command.arg("identity").args(arguments);
    run(command.arg("--authority").arg(running.path("ca")))
}

fn certificate(running: &Running, name: &str) {
    let folder = running.folder.path().display().to_string();
    let made = identity(running, &["certificate", name, "--role", "reporter", "--out", &folder]);
    assert_eq!(made.code, Some(0), "{made:?}");
}

/// Whoever connects shows a certificate; `lines` go into `[group]` too.
fn configuration(lines: &str) -> String {
    TWO_CLUSTERS
        .replace("name = \"near\"\n", "name = \"near\"\nreporter = true\n")
        .replace("[group]\n", &format!("[group]\nshared_token = false\n{lines}"))
}

fn reporter(running: &Running, name: &str) -> Ends {
    let log = running.log();
    let fingerprint = &log.split("fingerprint=").nth(1).unwrap()[..64];
    let config = format!(
        "[node]\nroles = [\"reporter\"]\n[reporter]\nserver = \"{name}\"\ncontrollers = \
         [\"ADDRESS:8054\"]\nunit = \"1s\"\ncertificate = \"reporter-{name}.pem\"\nkey = \
         \"reporter-{name}.key\"\nfingerprint = \"{fingerprint}\"\n"
    );
    running.write(&format!("{name}.toml"), &config);
    let log = File::create(running.path(&format!("{name}.log"))).unwrap();
    let path = running.path(&format!("{name}.toml"));
    let child = program().arg("reporter").arg(path).stdin(Stdio::null()).stderr(log).spawn();
    Ends(child.unwrap())
}

/// Reporters that are connected, by the sources of their servers.
fn heard(running: &Running, server: &str) -> Option<u64> {
    let status = running.status();
    let servers = status["servers"].as_array()?;
    let server = servers.iter().find(|it| it["name"] == server)?;
    server["sources"].as_array()?.iter().find(|it| it["source"] == "reporter")?["age_ms"].as_u64()
}

#[test]
fn a_reporter_whose_certificate_is_taken_back_is_cut_off_by_the_reload() {
    let mut running = Running::prepared("");
    for name in ["near1", "near2"] {
        certificate(&running, name);
    }
    let trusting = configuration("client_authority = \"ca/clients.pem\"\n");
    running.write("walrus.toml", &trusting);
    running.up();
    let _both = ["near1", "near2"].map(|name| reporter(&running, name));
    for name in ["near1", "near2"] {
        wait_for("a report", || heard(&running, name));
    }

    let unknown = identity(&running, &["revoke", "near3"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("`near3` is neither the name"), "{unknown:?}");
    assert!(!running.path("ca/clients.crl").exists());
    let revoked = identity(&running, &["revoke", "near1"]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    assert!(revoked.stdout.contains("# Taken back: reporter `near1`, serial "), "{revoked:?}");
    let line = revoked.stdout.lines().last().unwrap();
    assert!(line.starts_with("client_revocations = "), "{revoked:?}");
    let listing = format!("client_authority = \"ca/clients.pem\"\n{line}\n");
    running.write("walrus.toml", &configuration(&listing));
    let reloaded = running.ask(&["reload"]);
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    wait_for("the end of near1's connection", || {
        let log = std::fs::read_to_string(running.path("near1.log")).ok()?;
        log.contains("no longer admitted").then_some(())
    });
    // The other one stays, and a report comes after the one that was the newest.
    let log = std::fs::read_to_string(running.path("near2.log")).unwrap();
    assert!(!log.contains("no longer admitted"), "{log}");
    wait_for("a new report of near2", || heard(&running, "near2").filter(|age| *age < 1000));

    // By its file as well, and a second time; who was on the list stays on it.
    let file = running.path("reporter-near2.pem").display().to_string();
    assert_eq!(identity(&running, &["revoke", &file]).code, Some(0));
    let again = identity(&running, &["revoke", "near2"]);
    assert!(again.stdout.contains("already: reporter `near2`"), "{again:?}");
    let listed = identity(&running, &["list"]);
    assert_eq!(listed.stdout.matches("taken back on").count(), 2, "{listed:?}");
    let listed: serde_json::Value =
        serde_json::from_str(&identity(&running, &["list", "--json"]).stdout).unwrap();
    assert_eq!((&listed["walrus"], &listed["kind"]), (&1.into(), &"certificates".into()));
    let all = listed["certificates"].as_array().unwrap();
    assert!(all.iter().all(|it| it["holds"] == false && it["revoked_unix_s"].is_u64()), "{all:?}");
    assert_eq!(all.len(), 2);
    certificate_again(&running);
    let listed = identity(&running, &["list"]);
    assert_eq!(listed.stdout.lines().filter(|line| line.ends_with("holds")).count(), 1);
    assert_eq!(running.ask(&["reload"]).code, Some(0));
    wait_for("the end of near2's connection", || {
        let log = std::fs::read_to_string(running.path("near2.log")).ok()?;
        log.contains("no longer admitted").then_some(())
    });
}

/// What reads like a serial number, another authority's certificate: nobody would be kept out.
#[test]
fn what_is_no_certificate_of_the_authority_is_not_said_to_be_taken_back() {
    let running = Running::prepared("");
    certificate(&running, "near1");
    let theirs = new_authority(1_790_000_000).unwrap();
    let node = (IdentityRole::Node, &"one".parse().unwrap());
    let theirs = issue(&theirs.key, node, 1_790_000_000, 30).unwrap();
    running.write("theirs.pem", &theirs.certificate);
    let file = running.path("theirs.pem").display().to_string();
    for (whom, why) in [
        ("cafe", "`cafe` is neither the name"),
        ("00000000000000cafe", "is neither the name"),
        (&file, "it is no certificate of this authority"),
    ] {
        let refused = identity(&running, &["revoke", whom]);
        assert!(refused.code == Some(1) && refused.stderr.contains(why), "{refused:?}");
        assert!(!running.path("ca/clients.crl").exists());
    }
    let unknown = identity(&running, &["revoke", "0102030405060708"]);
    assert!(unknown.stdout.contains("serial 0102030405060708, not on record"), "{unknown:?}");
    // What is on the list already may be named as `list` shows it.
    let again = identity(&running, &["revoke", "01:02:03:04:05:06:07:08"]);
    assert!(again.stdout.contains("already: serial 0102030405060708"), "{again:?}");
}

#[test]
fn a_record_that_a_crash_cut_short_keeps_nobody_from_taking_back() {
    let running = Running::prepared("");
    for name in ["near1", "near2"] {
        certificate(&running, name);
    }
    let path = running.path("ca/issued.jsonl");
    let mut record = std::fs::read(&path).unwrap();
    record.truncate(record.len() - 20);
    // And half of a character, as whoever writes in blocks leaves it.
    record.push(0xc3);
    std::fs::write(&path, record).unwrap();
    let listed = identity(&running, &["list"]);
    assert!(listed.code == Some(0) && listed.stdout.contains("near1"), "{listed:?}");
    assert!(listed.stderr.contains("1 line of ") && listed.stderr.contains("line 2"), "{listed:?}");
    // The next one stands in a line of its own.
    certificate(&running, "near3");
    for name in ["near1", "near3"] {
        let revoked = identity(&running, &["revoke", name]);
        assert!(revoked.stdout.contains(&format!("`{name}`")), "{revoked:?}");
    }
    let file = running.path("reporter-near2.pem").display().to_string();
    let revoked = identity(&running, &["revoke", &file]);
    assert!(revoked.stdout.contains(", not on record"), "{revoked:?}");
    let listed = identity(&running, &["list"]);
    assert_eq!(listed.stdout.matches("taken back on").count(), 3, "{listed:?}");
}

#[test]
fn of_many_who_take_back_at_once_none_is_lost() {
    let running = Running::prepared("");
    let names: Vec<String> = (1..=6).map(|at| format!("near{at}")).collect();
    certificate(&running, "near0");
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| {
                certificate(&running, name);
                let revoked = identity(&running, &["revoke", name]);
                assert_eq!(revoked.code, Some(0), "{revoked:?}");
            });
        }
    });
    let listed = identity(&running, &["list"]);
    assert_eq!(listed.stdout.matches("taken back on").count(), names.len(), "{listed:?}");
}

/// One who lost its certificate gets another of the same name.
fn certificate_again(running: &Running) {
    for ending in ["pem", "key"] {
        std::fs::remove_file(running.path(&format!("reporter-near1.{ending}"))).unwrap();
    }
    certificate(running, "near1");
}

#[test]
fn what_runs_out_is_told_of_and_ends_nothing_but_trust() {
    let mut running = Running::prepared("");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let authority = new_authority(now).unwrap();
    let node = (IdentityRole::Node, &"one".parse().unwrap());
    // Half a day beside the whole ones, so that no second makes another number of it.
    let ending = issue(&authority.key, node, now - 300 * DAY_S + DAY_S / 2, 303).unwrap();
    let ended = revocation_list(&authority.key, &[], now - 40 * DAY_S, 30).unwrap();
    running.write("clients.pem", &authority.certificate);
    running.write("clients.crl", &ended);
    running.write("group.pem", &ending.certificate);
    running.write("group.key", &ending.key);
    running.write(
        "walrus.toml",
        &configuration(
            "client_authority = \"clients.pem\"\nclient_revocations = \"clients.crl\"\n\
             certificate = \"group.pem\"\nkey = \"group.key\"\n",
        ),
    );
    let told = [
        "[group] certificate: the certificate `node one` in",
        "runs out in 3 days: put a newer one there and reload",
        "[group] client_revocations: the list of revocations of `Walrus identities",
        "ran out 10 days ago, so no certificate of that authority is believed",
    ];
    let all_told = |text: &str| told.iter().all(|told| text.contains(told));
    let strict = run(program().args(["check", "--strict"]).arg(running.path("walrus.toml")));
    assert!(strict.code == Some(1) && all_told(&strict.stderr), "{strict:?}");
    running.up();
    assert!(all_told(&running.log()), "{}", running.log());
    let problems = running.status()["problems"].as_array().unwrap().clone();
    let expires: Vec<&Value> = problems.iter().filter(|it| it["kind"] == "expires").collect();
    assert_eq!(expires.len(), 2, "{problems:?}");
    let reloaded = running.ask(&["reload"]);
    assert!(reloaded.code == Some(0) && all_told(&reloaded.stderr), "{reloaded:?}");
    let (_, metrics) = running.http("GET", "/metrics", "");
    let lines = metrics.lines().filter(|it| {
        it.starts_with("walrus_certificate_expiry_timestamp_seconds{setting=\"[group] ")
    });
    assert_eq!(lines.count(), 3, "{metrics}");

    // With newer ones there is nothing to tell.
    let renewed = revocation_list(&authority.key, &[], now, 30).unwrap();
    running.write("clients.crl", &renewed);
    running.write("group.pem", &issue(&authority.key, node, now, 303).unwrap().certificate);
    let mixed = running.ask(&["reload"]);
    assert_eq!(mixed.code, Some(1), "another key: {mixed:?}");
    running.write("group.pem", &ending.certificate);
    assert_eq!(running.ask(&["reload"]).code, Some(0));
    let left = running.status()["problems"].as_array().unwrap().clone();
    assert_eq!(left.iter().filter(|it| it["kind"] == "expires").count(), 1, "{left:?}");

    // An authority without a list is refused before anything starts.
    let other = new_authority(now).unwrap();
    running.write("clients.pem", &(authority.certificate + &other.certificate));
    let checked = run(program().arg("check").arg(running.path("walrus.toml")));
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.stderr.contains("holds no list of revocations of `Walrus"), "{checked:?}");
}
