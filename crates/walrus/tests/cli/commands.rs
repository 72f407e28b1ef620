//! Exit codes and words of the commands: 0 done, 1 the answer is no, 2 wrong use, 3 could not.

use std::process::Command;

use crate::running::{Running, TWO_CLUSTERS, program, run, wait_for, walrus, walrus_on};

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:9";

#[test]
fn wrong_use_is_2() {
    for arguments in [
        &["fly"][..],
        &["up"],
        &["explain", "www.walrus.example"],
        &["status", "--loudly"],
        &["origin", "--listen", "nowhere"],
    ] {
        let ended = walrus(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
    }
    let config = Running::prepared(TWO_CLUSTERS);
    let file = config.path("walrus.toml").display().to_string();
    for (name, client) in [("www.walrus.example", "nobody"), ("www..example", "192.0.2.1")] {
        let ended = walrus(&["explain", name, "--client", client, "--config", &file]);
        assert_eq!(ended.code, Some(2), "{name} {client}: {ended:?}");
    }
}

#[test]
fn an_unreachable_system_is_3_and_told_in_one_line() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "0123456789abcdef0123456789abcdef\n").unwrap();
    let config = Running::prepared(TWO_CLUSTERS);
    let file = config.path("walrus.toml").display().to_string();
    for arguments in [
        &["status"][..],
        &["plan"],
        &["plan", "--diff", &file],
        &["explain", "www.walrus.example", "--client", "192.0.2.1"],
        &["drain", "near1"],
        &["undrain", "near1"],
        &["reload"],
    ] {
        let mut command = program();
        command.args(arguments).args(["--api", NOBODY, "--token-file"]).arg(token.path());
        let ended = run(&mut command);
        assert_eq!(ended.code, Some(3), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(NOBODY), "{ended:?}");
        let ended = run(command.arg("--json"));
        let object: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((ended.code, &object["kind"]), (Some(3), &"error".into()), "{arguments:?}");
    }
}

#[test]
fn check_is_silent_or_tells_every_problem_with_its_place() {
    let good = Running::prepared(TWO_CLUSTERS);
    let ended = walrus_on("check", &good.path("walrus.toml"));
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));

    let bad = TWO_CLUSTERS
        .replace("server_ramp = \"0s\"", "server_ramp = \"soon\"")
        .replace("home = \"near\"", "home = \"nowhere\"\ncolour = \"red\"");
    let bad = Running::prepared(&bad);
    let path = bad.path("walrus.toml");
    let ended = walrus_on("check", &path);
    assert_eq!(ended.code, Some(1));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let place = |line: &str| format!("{}:{}:", path.display(), line_of(&path, line));
    for (line, word) in [("soon", "soon"), ("nowhere", "nowhere"), ("colour", "colour")] {
        let told = lines.iter().find(|it| it.starts_with(&place(line)));
        assert!(told.is_some_and(|it| it.contains(word)), "{word}: {ended:?}");
    }
    assert_eq!(lines.last(), Some(&"walrus: 3 problems"), "{ended:?}");

    let missing = walrus(&["check", "/nonexistent/walrus.toml"]);
    assert_eq!(missing.code, Some(3), "{missing:?}");
}

#[test]
fn a_zone_files_error_is_told_with_its_line() {
    let zone = "zone = \"walrus.example\"\nnameservers = [\"ns1.walrus.example\"]\n";
    let config = TWO_CLUSTERS.replace(zone, "")
        + "[[zone]]\nname = \"walrus.example\"\nfile = \"example.zone\"\n";
    let bad = Running::prepared(&config);
    bad.write(
        "example.zone",
        "$TTL 3600\n@ IN SOA ns1 host 1 2 3 4 5\n@ IN NS ns1\nns1 IN A 192.0.2.300\n",
    );
    for command in ["check", "up"] {
        let ended = walrus_on(command, &bad.path("walrus.toml"));
        assert_eq!(ended.code, Some(1), "{command}: {ended:?}");
        let place = format!("{}:4", bad.path("example.zone").display());
        assert!(ended.stderr.lines().any(|line| line.contains(&place)), "{command}: {ended:?}");
    }
}

#[test]
fn an_included_file_stands_beside_its_zone_file() {
    let zone = "zone = \"walrus.example\"\nnameservers = [\"ns1.walrus.example\"]\n";
    let config = TWO_CLUSTERS.replace(zone, "")
        + "[[zone]]\nname = \"walrus.example\"\nfile = \"zones/example.zone\"\n";
    let site = Running::prepared(&config);
    std::fs::create_dir(site.path("zones")).expect("a folder");
    site.write(
        "zones/example.zone",
        "$TTL 1h\n@ IN SOA ns1 host 1 2h 15m 2w 5m\n@ IN NS ns1\n$INCLUDE hosts\n",
    );
    let missing = walrus_on("check", &site.path("walrus.toml"));
    assert_eq!(missing.code, Some(1), "{missing:?}");
    let place = format!("{}:4", site.path("zones/example.zone").display());
    assert!(missing.stderr.contains(&place), "{missing:?}");
    assert!(missing.stderr.contains("cannot include hosts"), "{missing:?}");

    site.write("zones/hosts", "ns1 1w IN A 192.0.2.300\n");
    let bad = walrus_on("check", &site.path("walrus.toml"));
    let place = format!("{}:1", site.path("zones/hosts").display());
    assert!(bad.stderr.contains(&place), "{bad:?}");

    site.write("zones/hosts", "ns1 1w IN A 192.0.2.3\n");
    let good = walrus_on("check", &site.path("walrus.toml"));
    assert_eq!(good.code, Some(0), "{good:?}");
}

#[test]
fn a_bad_configuration_is_1_and_starts_nothing() {
    let bad = Running::prepared(&TWO_CLUSTERS.replace("[node]", "[nod]"));
    let ended = walrus_on("up", &bad.path("walrus.toml"));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("`nod` is no setting"), "{ended:?}");
    assert!(!bad.path("state").exists());
    let missing = walrus(&["up", "/nonexistent/walrus.toml"]);
    assert_eq!((missing.code, missing.stderr.lines().count()), (Some(3), 1), "{missing:?}");
}

#[test]
fn a_taken_port_is_3_and_told_in_one_line() {
    let config = TWO_CLUSTERS.to_owned() + "[log]\nlevel = \"error\"\n";
    for (port, what) in [(5300, "5300"), (8053, "[api] listen"), (8054, "8054")] {
        let other = Running::prepared(&config);
        let _taken = std::net::TcpListener::bind((other.address, port)).unwrap();
        let ended = walrus_on("up", &other.path("walrus.toml"));
        assert_eq!(ended.code, Some(3), "{port}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{port}: {ended:?}");
        assert!(ended.stderr.contains(what), "{port}: {ended:?}");
    }
}

#[test]
fn a_taken_udp_port_is_3_too() {
    let other = Running::prepared(TWO_CLUSTERS);
    let _taken = std::net::UdpSocket::bind((other.address, 5300)).unwrap();
    let ended = walrus_on("up", &other.path("walrus.toml"));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("5300"), "{ended:?}");
}

#[test]
fn signals_end_it_cleanly_with_its_state_stored() {
    for name in ["TERM", "INT"] {
        let mut running = Running::start(TWO_CLUSTERS);
        let begin = std::time::Instant::now();
        running.signal(name);
        assert!(running.ended().success(), "{}", running.log());
        assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
        for file in ["plan.json", "epoch", "token"] {
            assert!(running.path("state").join(file).exists(), "{file}");
        }
        assert!(running.log().contains("ending"), "{}", running.log());
    }
}

/// A disk that hangs, as a mount whose server is gone does; a pipe that nobody reads does it here.
#[test]
fn a_state_directory_that_hangs_does_not_keep_it_from_its_end() {
    let mut running = Running::prepared(TWO_CLUSTERS);
    std::fs::create_dir(running.path("state")).unwrap();
    let mut mkfifo = std::process::Command::new("mkfifo");
    assert!(mkfifo.arg(running.path("state/journal.jsonl")).status().unwrap().success());
    running.up();
    running.signal("TERM");
    assert!(running.ended().success(), "{}", running.log());
    let log = running.log();
    assert!(log.contains("the disk did not take what was to be stored within 5 s"), "{log}");
}

#[test]
fn the_start_is_logged_and_nothing_else() {
    let running = Running::start(TWO_CLUSTERS);
    for _ in 0..50 {
        assert_eq!(crate::dns::addresses(running.dns()).len(), 2);
    }
    let log = running.log();
    let digest = running.status()["configuration"].as_str().unwrap().to_owned();
    for word in [
        env!("CARGO_PKG_VERSION"),
        &digest,
        "roles=\"controller, director\"",
        &running.dns().to_string(),
        &running.api().to_string(),
        &running.group().to_string(),
        "fingerprint=",
        "state/token",
        "state/reporter-token",
    ] {
        assert!(log.contains(word), "{word} is not in\n{log}");
    }
    let token = std::fs::read_to_string(running.path("state/token")).unwrap();
    assert!(!log.contains(token.trim()), "the token itself is not told");
    assert!(log.lines().count() < 15, "never a line a query:\n{log}");
}

#[test]
fn a_controller_and_a_name_server_alone_say_what_they_are() {
    let mut running = Running::prepared(&TWO_CLUSTERS.replace(", \"director\"", ""));
    running.up();
    assert!(running.log().contains("roles=\"controller\""), "{}", running.log());
    let explained = running.ask(&["explain", "www.walrus.example", "--client", "192.0.2.1"]);
    assert_eq!(explained.code, Some(3));
    assert!(explained.stderr.contains("no name server"), "{explained:?}");
    running.signal("TERM");
    running.ended();
    // The same state, another role: the saved Plan is all that it has.
    running.write("walrus.toml", &TWO_CLUSTERS.replace("\"controller\", ", ""));
    running.up();
    assert!(running.log().contains("the saved Plan stays in force"), "{}", running.log());
    assert_eq!(crate::dns::addresses(running.dns()).len(), 2);
    assert!(running.ask(&["status"]).stderr.contains("no Controller"));
    let (status, metrics) = running.http("GET", "/metrics", "");
    assert_eq!(status, 200, "{metrics}");
    assert!(metrics.contains("walrus_dns_replies_total"), "{metrics}");
}

#[test]
fn a_node_takes_the_descriptors_that_it_may_have_and_says_if_they_are_too_few() {
    let few = TWO_CLUSTERS.replace("workers = 1", "workers = 1\ntcp_connections_max = 100");
    for (config, is_told) in [(TWO_CLUSTERS, true), (&few, false)] {
        let mut running = Running::prepared(config);
        let mut shell = Command::new("sh");
        let bounded = "ulimit -S -n 256; ulimit -H -n 600; exec \"$0\" \"$@\"";
        shell.arg("-c").arg(bounded).arg(program().get_program());
        running.spawn_by(shell);
        // Of a Plan that is in force it tells after all this.
        wait_for("the start's end", || running.log().contains("Plan").then_some(()));
        let limits =
            std::fs::read_to_string(format!("/proc/{}/limits", running.process())).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        assert_eq!(line.split_whitespace().filter(|it| *it == "600").count(), 2, "{line}");
        let told = "may need 2256 open files and sockets, and this process may have 600";
        assert_eq!(running.log().contains(told), is_told, "{}", running.log());
    }
}

fn line_of(path: &std::path::Path, text: &str) -> usize {
    let content = std::fs::read_to_string(path).unwrap();
    content.lines().position(|line| line.contains(text)).unwrap() + 1
}
