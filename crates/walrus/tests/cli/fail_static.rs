//! What survives: the saved Plan, the epoch, the drains; and what damage to them does.

use std::time::{Duration, Instant};

use crate::dns::addresses;
use crate::running::{Running, TWO_CLUSTERS, walrus_on};

#[test]
fn after_a_kill_the_first_answer_comes_from_the_saved_plan() {
    let mut running = Running::start(TWO_CLUSTERS);
    assert_eq!(running.ask(&["drain", "near1"]).code, Some(0));
    let (epoch, sequence) = running.plan_number();
    crate::running::wait_for("the Plan on the disk", || {
        let plan = std::fs::read_to_string(running.path("state/plan.json")).ok()?;
        plan.contains("\"drained\"").then_some(())
    });
    running.kill();
    // Alone, a name server has nothing but what was saved.
    running.write("walrus.toml", &TWO_CLUSTERS.replace("\"controller\", ", ""));
    running.spawn();
    assert_eq!(addresses(running.dns()), ["192.0.2.2".parse::<std::net::Ipv4Addr>().unwrap()]);
    let (_, ready) = running.http("GET", "/ready", "");
    assert_eq!(ready.trim(), format!("ready with Plan {epoch}/one/{sequence}"));
    running.kill();
    // And a Controller goes on above it.
    running.write("walrus.toml", TWO_CLUSTERS);
    running.up();
    assert!(running.plan_number().0 > epoch);
}

#[test]
fn damaged_files_are_a_warning_and_the_epoch_never_goes_back() {
    let damages: [&[u8]; 4] = [b"", b"{\"format\":1,\"number\":{\"ep", b"\xff\xfe\x00", b"7\n"];
    let mut running = Running::start(TWO_CLUSTERS);
    let mut epoch = running.plan_number().0;
    for damage in damages {
        for files in [&["plan.json"][..], &["epoch"], &["overrides.json"], &["plan.json", "epoch"]]
        {
            running.kill();
            for file in files {
                std::fs::write(running.path("state").join(file), damage).unwrap();
            }
            let lines = running.log().lines().count();
            running.up();
            let now = running.plan_number().0;
            assert!(now > epoch, "{files:?} {damage:?}: {epoch} then {now}");
            epoch = now;
            assert_eq!(addresses(running.dns()).len(), 2);
            let log = running.log();
            let said: Vec<&str> = log.lines().skip(lines).collect();
            for file in files {
                let warned = |line: &&&str| line.contains("WARN") && line.contains(file);
                assert!(said.iter().any(|line| warned(&line)), "{file} {damage:?}: {said:#?}");
            }
        }
    }
}

#[test]
fn a_state_directory_is_for_one_process() {
    let running = Running::start(TWO_CLUSTERS);
    let other = crate::running::address().to_string();
    let config = TWO_CLUSTERS.replace("ADDRESS", &other);
    running.write("second.toml", &config);
    let ended = walrus_on("up", &running.path("second.toml"));
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(3), 1), "{ended:?}");
    assert!(ended.stderr.contains("used by another walrus"), "{ended:?}");
    assert_eq!(addresses(running.dns()).len(), 2, "the first goes on");
}

#[test]
fn the_first_answer_does_not_wait_for_the_controller() {
    let mut running = Running::start(TWO_CLUSTERS);
    running.kill();
    let begin = Instant::now();
    running.spawn();
    assert_eq!(addresses(running.dns()).len(), 2);
    // A bound against waiting for a round; the figure itself is in docs/performance.md.
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}
