//! `walrus reporter` as the README has it: TLS by fingerprint, a token file, a web server's status
//! page.

use std::fs::File;
use std::process::{Child, Stdio};

use crate::running::{Running, TWO_CLUSTERS, program, wait_for, walrus_on};

/// A child that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn reporter_toml(fingerprint: &str, token_file: &str) -> String {
    format!(
        r#"[node]
roles = ["reporter"]

[reporter]
server = "near1"
controllers = ["ADDRESS:8054"]
unit = "1s"
system = false
token_file = "{token_file}"
fingerprint = "{fingerprint}"
source = {{ json = "http://ADDRESS:8080/status", hits = "hits", busy = "busy", busy_max = "busy_max" }}
"#
    )
}

fn start(running: &Running, arguments: &[&str], log: &str) -> Ends {
    let log = File::create(running.path(log)).unwrap();
    let child = program().args(arguments).stdin(Stdio::null()).stderr(log).spawn();
    Ends(child.unwrap())
}

#[test]
fn a_reporter_speaks_over_tls_and_its_web_servers_death_is_known_at_once() {
    let config = TWO_CLUSTERS.replace("name = \"near\"\n", "name = \"near\"\nreporter = true\n");
    let running = Running::start(&config);
    let log = running.log();
    let fingerprint = &log.split("fingerprint=").nth(1).unwrap()[..64];
    let web = format!("{}:8080", running.address);
    let origin = start(&running, &["origin", "--listen", &web, "--workers", "10"], "origin.log");
    let path = |name: &str| running.path(name).display().to_string();

    // The token file is relative to the configuration.
    running.write("wrong-token", "0123456789abcdef0123456789abcdef");
    running.write("wrong.toml", &reporter_toml(fingerprint, "wrong-token"));
    assert_eq!(walrus_on("check", &running.path("wrong.toml")).code, Some(0));
    let wrong = start(&running, &["reporter", &path("wrong.toml")], "wrong.log");
    wait_for("a refusal", || {
        let log = std::fs::read_to_string(running.path("wrong.log")).ok()?;
        log.contains("a wrong token").then_some(())
    });
    drop(wrong);

    running.write("reporter.toml", &reporter_toml(fingerprint, "state/reporter-token"));
    let _reporter = start(&running, &["reporter", &path("reporter.toml")], "reporter.log");
    wait_for("statistics", || {
        let status = running.status();
        let servers = status["servers"].as_array()?;
        let near1 = servers.iter().find(|server| server["name"] == "near1")?;
        (near1["life"] == "living" && near1["load"] == 0.0).then_some(())
    });
    drop(origin);
    wait_for("PANIC", || (running.life("near1") == "panic").then_some(()));
    wait_for("the change in the log", || {
        running.log().contains("server near1: living -> panic").then_some(())
    });
    wait_for("a word to people in the log", || running.log().contains("WARN").then_some(()));
}
