//! `walrus sim replay`: a log that a name server wrote, through another configuration.

use serde_json::Value;

use crate::dns::{ask_udp, query};
use crate::running::{Ended, PATIENCE, Running, TWO_CLUSTERS, program, run, wait_for};
use crate::schema::Schemas;

/// Answers four queries of `here` and one of the world, and logs them all.
fn logged() -> Running {
    let config = TWO_CLUSTERS.replace(
        "workers = 1",
        "workers = 1\ndecision_log = \"decisions.jsonl\"\ndecision_log_sample = 1",
    );
    let mut running = Running::prepared(&config);
    running.up();
    for client in [203, 203, 203, 203, 198] {
        let asked = query("www.walrus.example", 1, Some([client, 0, 113]));
        assert!(ask_udp(running.dns(), &asked, PATIENCE).is_some());
    }
    wait_for("five lines", || {
        let text = std::fs::read_to_string(running.path("decisions.jsonl")).ok()?;
        (text.lines().count() == 5 && text.ends_with('\n')).then_some(())
    });
    running.write("moved.toml", &config.replace("home = \"near\"", "home = \"far\""));
    running
}

/// `walrus sim replay` in the folder, in a World of the test's choice.
fn replay(running: &Running, arguments: &[&str]) -> Ended {
    let mut command = program();
    command.current_dir(running.folder.path());
    run(command.args(["sim", "replay", "--queries", "decisions.jsonl"]).args(arguments))
}

fn object(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn a_name_servers_own_log_tells_who_would_move() {
    let running = logged();
    let config = running.path("moved.toml").display().to_string();
    let log = running.path("decisions.jsonl").display().to_string();
    // In the World of the running system, against what it answered.
    let asked = ["sim", "replay", "--queries", &log, "--config", &config];
    let (code, moved) = running.ask_json(&asked);
    assert_eq!((code, &moved["kind"], &moved["good"]), (Some(0), &"replay".into(), &true.into()));
    assert_eq!(moved["world"]["source"], "running");
    assert_eq!(moved["result"]["moved"]["share"], 0.8);
    // Against its own configuration, in the Worlds of its journal.
    let against = ["--against", "walrus.toml", "--world", "state", "--json"];
    let ended = replay(&running, &[&["--config", "moved.toml"], &against[..]].concat());
    let journal = object(&ended);
    assert_eq!(
        (ended.code, &journal["world"]["source"]),
        (Some(0), &"journal".into()),
        "{ended:?}"
    );
    // Its lines say when.
    let lines = std::fs::read_to_string(running.path("state/journal.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(line["unix_ms"].as_u64() > Some(1_600_000_000_000), "{line}");
    let result = &journal["result"];
    assert_eq!((&result["moved"]["share"], &result["log"]["late"]), (&0.8.into(), &0.into()));
    let flow = &result["flows"][0];
    assert_eq!((&flow["area_before"], &flow["area_after"]), (&"here".into(), &"here".into()));
    assert_eq!((&flow["from"], &flow["to"]), (&"near".into(), &"far".into()));
    assert_eq!((&flow["queries"], &flow["domains"]["count"]), (&4.0.into(), &1.into()));
    // A journal that can be read once only gives the same.
    #[cfg(target_os = "linux")]
    {
        let asked = ["--queries", "decisions.jsonl", "--config", "moved.toml", "--against"];
        let world = ["walrus.toml", "--world", "/dev/stdin", "--json"];
        let ended = piped(&running, "state/journal.jsonl", &[&asked[..], &world].concat());
        let once = object(&ended);
        assert_eq!((ended.code, &once["world"]["broken"]), (Some(0), &0.into()), "{ended:?}");
        assert_eq!(once["result"], journal["result"]);
    }
    // The same configuration moves nobody, as a table for people says.
    let same = replay(&running, &["--config", "walrus.toml", "--world", "idle"]);
    assert_eq!(same.code, Some(0), "{same:?}");
    for words in ["5 queries in 5 lines", "nobody moves", "to another cluster            0.0 %"] {
        assert!(same.stdout.contains(words), "{words}: {}", same.stdout);
    }
}

/// `walrus sim replay` with a file that it gets through a pipe.
fn piped(running: &Running, file: &str, arguments: &[&str]) -> Ended {
    let mut command = std::process::Command::new("sh");
    command.current_dir(running.folder.path());
    command.args(["-c", "file=$1; shift; cat $file | \"$@\"", "sh", file]);
    command.arg(program().get_program());
    run(command.args(["sim", "replay"]).args(arguments))
}

#[test]
fn a_pipeline_stops_at_the_limits_that_it_sets() {
    let running = logged();
    let moved = ["--config", "moved.toml", "--world", "idle"];
    for (limit, code) in [
        (["--max-moved", "80%"], 0),
        (["--max-moved", "79.9%"], 1),
        (["--max-moved-domains", "50%"], 0),
        (["--max-moved-domains", "49%"], 1),
        (["--max-moved-servers", "20%"], 1),
        (["--max-lost", "0%"], 0),
        (["--max-server", "99%"], 1),
        (["--max-server", "100%"], 0),
        (["--max-broken", "0%"], 0),
        (["--max-moved", "a fifth"], 2),
    ] {
        let ended = replay(&running, &[&moved[..], &limit].concat());
        assert_eq!(ended.code, Some(code), "{limit:?}: {ended:?}");
        if code == 1 {
            assert!(ended.stderr.contains(limit[0]), "{ended:?}");
            assert!(ended.stdout.contains("here"), "the tables are told all the same: {ended:?}");
            let ended = replay(&running, &[&moved[..], &limit, &["--json"]].concat());
            let object = object(&ended);
            assert_eq!((ended.code, &object["good"]), (Some(1), &false.into()));
            assert_eq!(object["limits"][0]["exceeded"], true);
        }
    }
}

#[test]
fn what_cannot_be_replayed_is_told() {
    let running = logged();
    let idle = ["--world", "idle"];
    running.write("bad.toml", "colour = \"red\"\n");
    running.write("empty.jsonl", "nonsense\n");
    for (arguments, code, word) in [
        (&["--config", "bad.toml"][..], 1, "colour"),
        (&["--config", "nowhere.toml"], 3, "nowhere.toml"),
        (&["--config", "moved.toml", "--world", "state"], 2, "--against"),
        (&["--config", "moved.toml", "--world", "nowhere"], 3, "nowhere"),
        (&["--config", "moved.toml", "--api", "http://127.0.0.1:9", "--state", "."], 3, "--world"),
    ] {
        let ended = replay(&running, arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(word), "{arguments:?}: {ended:?}");
    }
    for (log, word) in [("empty.jsonl", "no query"), ("nowhere.jsonl", "nowhere.jsonl")] {
        let mut command = program();
        command.current_dir(running.folder.path()).args(["sim", "replay", "--queries", log]);
        let ended = run(command.args(["--config", "moved.toml"]).args(idle));
        assert_eq!(ended.code, Some(3), "{log}: {ended:?}");
        assert!(ended.stderr.contains(word), "{log}: {ended:?}");
    }
    // A gate that saw nothing is not open: no query that either side has a server for.
    let foreign = std::fs::read_to_string(running.path("decisions.jsonl")).unwrap();
    let foreign = foreign.replace("www.walrus.example", "www.other.example");
    running.write("foreign.jsonl", &foreign.replace("\"area\":\"", "\"else\":\""));
    for (limit, code) in [(&["--max-moved", "0%"][..], 3), (&["--max-broken", "100%"], 3), (&[], 0)]
    {
        let mut command = program();
        command.current_dir(running.folder.path());
        command.args(["sim", "replay", "--queries", "foreign.jsonl", "--config", "moved.toml"]);
        let ended = run(command.args(["--against", "walrus.toml"]).args(idle).args(limit));
        assert_eq!(ended.code, Some(code), "{limit:?}: {ended:?}");
        assert!(code == 0 || ended.stderr.contains("no limit can be judged"), "{ended:?}");
    }
    // The stored Plan stands in where nobody answers.
    let stored = ["--api", "http://127.0.0.1:9", "--state", "state", "--json"];
    let ended = replay(&running, &[&["--config", "moved.toml"], &stored[..]].concat());
    assert_eq!(object(&ended)["world"]["source"], "plan", "{ended:?}");
}

#[test]
fn broken_lines_are_told_with_their_numbers_and_the_object_fits_its_schema() {
    let running = logged();
    let text = std::fs::read_to_string(running.path("decisions.jsonl")).unwrap();
    running.write("decisions.jsonl", &format!("{{\"kind\":\"deci\n{text}half a line"));
    let ended = replay(&running, &["--config", "moved.toml", "--world", "idle", "--json"]);
    let object = object(&ended);
    let log = &object["result"]["log"];
    assert_eq!((&log["read"], &log["broken"]), (&5.into(), &2.into()), "{log}");
    assert_eq!((&log["first_broken"][0][0], &log["first_broken"][1][0]), (&1.into(), &7.into()));
    assert!(ended.stdout.starts_with("{\n  \"walrus\": 1,\n  \"kind\": \"replay\","));
    let schemas = running.http("GET", "/openapi.json", "").1;
    let schemas = Schemas(serde_json::from_str(&schemas).unwrap());
    let faults = schemas.faults("ReplayView", &object);
    assert!(faults.is_empty(), "{faults:#?} in {object:#}");
    let ended = replay(&running, &["--config", "moved.toml", "--world", "idle"]);
    assert!(ended.stdout.contains("BROKEN: 2 lines; first 1: "), "{}", ended.stdout);
}

#[test]
fn logs_that_are_none_are_told_with_what_to_do() {
    let running = Running::prepared(TWO_CLUSTERS);
    let line = "{\"kind\":\"decision\",\"resolver\":\"192.0.2.9\",\"name\":\"www.walrus.example\",\"type\":1,\
                \"cluster\":\"\\u001b[2J\",\"server\":\"\\u001b[2J\",\"answered\":[\"192.0.2.1\"]}\n";
    let foreign = line.replace("www.walrus", "www.other");
    let foreign = foreign.replacen("\\u001b[2J", "near", 1).replacen("\\u001b[2J", "near1", 1);
    let foreign = foreign.replace("\"type\":1", "\"type\":1,\"area\":\"here\"");
    let idle = ["--config", "walrus.toml", "--world", "idle"];
    let with = |log: &[u8], arguments: &[&str]| {
        std::fs::write(running.path("decisions.jsonl"), log).unwrap();
        replay(&running, &[&idle[..], arguments].concat())
    };
    // Cut in the middle of a line: counted, and survived.
    let cut = with(&[line, line, &line[..60]].concat().into_bytes(), &[]);
    assert_eq!(cut.code, Some(0), "{cut:?}");
    assert!(cut.stdout.contains("BROKEN: 1 lines; first 3:"), "{}", cut.stdout);
    // What a log names is text of anybody, and moves no cursor.
    assert!(!cut.stdout.contains('\u{1b}') && cut.stdout.contains("[2J"), "{}", cut.stdout);
    for (log, arguments, word) in [
        (&b"\x1f\x8b\x08\0"[..], &[][..], "zcat decisions.jsonl | walrus sim replay"),
        (b"\x28\xb5\x2f\xfd", &[], "zstdcat"),
        (b"", &[], "there is no query"),
        (b"\0\0\0\0", &[], "there is no query"),
        (foreign.as_bytes(), &["--max-moved", "0%"], "does the configuration belong to this log"),
    ] {
        let ended = with(log, arguments);
        assert_eq!(ended.code, Some(3), "{word}: {ended:?}");
        assert!(ended.stderr.contains(word), "{word}: {ended:?}");
    }
    std::fs::write(running.path("packed.gz"), b"\x1f\x8b\x08\0").unwrap();
    std::fs::write(running.path("decisions.jsonl"), line).unwrap();
    let packed = replay(&running, &["--config", "walrus.toml", "--world", "packed.gz"]);
    assert!(packed.code == Some(3) && packed.stderr.contains("is compressed"), "{packed:?}");
    let asked = ["--queries", "-", "--config", "walrus.toml", "--world", "idle"];
    let packed = piped(&running, "packed.gz", &asked);
    assert!(packed.code == Some(3) && packed.stderr.contains("zcat - |"), "{packed:?}");
}
