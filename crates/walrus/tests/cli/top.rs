//! `walrus top` against the running program: what was asked is what it tells.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::running::{PATIENCE, Running, TWO_CLUSTERS, program, run, wait_for};

/// Asks for the service and for a name that is not there, so many times each.
fn ask(running: &Running, times: usize) {
    for _ in 0..times {
        crate::dns::addresses(running.dns());
        let query = crate::dns::query("nobody.walrus.example", 16, None);
        crate::dns::ask_udp(running.dns(), &query, PATIENCE).unwrap();
    }
}

/// `GET /traffic` once it satisfies.
fn traffic(running: &Running, satisfies: impl Fn(&Value) -> bool) -> Value {
    wait_for("the traffic", || {
        let (status, text) = running.http("GET", "/traffic", "");
        assert_eq!(status, 200, "{text}");
        Some(serde_json::from_str(&text).unwrap()).filter(&satisfies)
    })
}

#[test]
fn traffic_tells_what_was_asked_and_decided() {
    let running = Running::start(TWO_CLUSTERS);
    ask(&running, 3);
    let traffic = traffic(&running, |it| it["recent"]["answers"].as_u64() >= Some(6));
    let replies: Vec<_> = traffic["replies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["type"].as_str(), it["rcode"].as_str(), it["count"].as_u64()))
        .collect();
    let expected = [("A", "NOERROR"), ("TXT", "NXDOMAIN")];
    assert_eq!(replies, expected.map(|(kind, code)| (Some(kind), Some(code), Some(3))));
    let service = &traffic["services"][0];
    assert_eq!(service["service"], "www.walrus.example");
    assert_eq!(service["areas"], serde_json::json!([{ "name": "here", "count": 3 }]));
    let recent = &traffic["recent"];
    let names: Vec<_> = recent["names"].as_array().unwrap().iter().map(|it| &it["what"]).collect();
    assert_eq!(names, ["www.walrus.example", "nobody.walrus.example"]);
    assert_eq!(recent["domains"][0]["what"], "203.0.113.0/24");
    let last = &recent["decisions"][0];
    assert_eq!((&last["name"], &last["rcode"]), (names[1], &"NXDOMAIN".into()));
    let before = &recent["decisions"][1];
    assert_eq!((&before["area"], &before["cluster"]), (&"here".into(), &"near".into()));
}

#[test]
fn who_asks_for_what_wants_the_token() {
    let running = Running::start(TWO_CLUSTERS);
    // Without the state directory's token.
    let token = running.path("state/token");
    let kept = std::fs::read(&token).unwrap();
    std::fs::write(&token, "wrong").unwrap();
    let (status, text) = running.http("GET", "/traffic", "");
    assert_eq!(status, 401, "{text}");
    let ended = running.ask(&["top", "--once"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("wants the token"), "{ended:?}");
    assert_eq!(running.http("GET", "/metrics", "").0, 200);
    std::fs::write(&token, kept).unwrap();
    assert_eq!(running.http("GET", "/traffic", "").0, 200);
}

#[test]
fn once_prints_tables_and_ends() {
    let running = Running::start(TWO_CLUSTERS);
    ask(&running, 2);
    let ended = running.ask(&["top", "--once"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for text in ["node one", "Names: all 4 answers", "nobody.walrus.example", "far", "NXDOMAIN"] {
        assert!(ended.stdout.contains(text), "{text} in\n{}", ended.stdout);
    }
}

#[test]
fn objects_come_line_by_line_until_nobody_reads() {
    let running = Running::start(TWO_CLUSTERS);
    let mut command = program();
    command.args(["top", "--json", "--api", &running.url(), "--token-file"]);
    let mut child =
        command.arg(running.path("state/token")).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let object: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!((&object["kind"], &object["node"]), (&"top".into(), &"one".into()));
        assert!(object["over_ms"].as_u64() >= Some(500), "{object}");
    }
    drop(lines);
    let status = wait_for("its end", || child.try_wait().unwrap());
    assert!(status.success(), "{status}");
}

#[test]
fn without_a_terminal_it_says_what_to_write_instead() {
    let running = Running::start(TWO_CLUSTERS);
    let ended = running.ask(&["top"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains("walrus top --once"), "{ended:?}");
}

#[test]
fn a_node_without_a_name_server_says_so() {
    let running = Running::start(&TWO_CLUSTERS.replace(", \"director\"", ""));
    let ended = running.ask(&["top", "--once"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("is no name server"), "{ended:?}");
}

/// The terminal is that of `script`, which makes one and keeps all that is written to it.
#[test]
fn the_terminal_is_left_as_it_was_by_key_and_by_signal() {
    if Command::new("script").arg("--version").output().is_err() {
        crate::running::skipped("a terminal for `walrus top`: there is no `script`");
        return;
    }
    let running = Running::start(TWO_CLUSTERS);
    let top = format!(
        "'{}' top --api {} --token-file '{}'",
        env!("CARGO_BIN_EXE_walrus"),
        running.url(),
        running.path("state/token").display()
    );
    let (pid, told) = (running.path("pid"), running.path("told"));
    // The terminal's settings before and after; one that was left raw differs.
    let shell = format!(
        "stty rows 24 cols 80\nstty -g\nsh -c \"echo \\$\\$ > '{}'; exec {top}\"\necho code=$?\nstty -g\n",
        pid.display()
    );
    running.write("top.sh", &shell);
    let sh = format!("sh '{}'", running.path("top.sh").display());
    for ending in ["q", "INT", "TERM"] {
        let mut command = Command::new("script");
        command.args(["-q", "-f", "-c", &sh]).arg(&told).env("SHELL", "/bin/sh");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let seen = || std::fs::read_to_string(&told).unwrap_or_default();
        wait_for("the screen", || seen().contains("Overview").then_some(()));
        if ending == "q" {
            child.stdin.as_mut().unwrap().write_all(b"q").unwrap();
        } else {
            let pid = std::fs::read_to_string(&pid).unwrap();
            let sent = run(Command::new("kill").args(["-s", ending, pid.trim()]));
            assert_eq!(sent.code, Some(0), "{sent:?}");
        }
        wait_for("its end", || child.try_wait().unwrap());
        let seen = seen();
        assert!(seen.contains("code=0"), "{ending}: {seen:?}");
        let settings: Vec<&str> =
            seen.lines().map(str::trim).filter(|line| line.matches(':').count() > 20).collect();
        assert_eq!(settings.len(), 2, "{ending}: {seen:?}");
        assert!(settings[1].ends_with(settings[0]), "{ending}: {settings:?}");
        let (left, entered) = (seen.rfind("\u{1b}[?1049l"), seen.rfind("\u{1b}[?1049h"));
        assert!(left > entered && entered.is_some(), "{ending}: the other screen is left");
        assert!(seen.rfind("\u{1b}[?25h") > seen.rfind("\u{1b}[?25l"), "{ending}: a cursor again");
        std::fs::remove_file(&told).unwrap();
    }
}
