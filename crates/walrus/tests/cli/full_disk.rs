//! A disk that fills while Walrus runs: it says so and goes on.

use std::process::{Command, Stdio};

use crate::dns::addresses;
use crate::running::{Running, TWO_CLUSTERS, skipped, wait_for};

/// Runs this test again where a file system of its own can be filled: a few hundred KiB of memory,
/// seen by that process and its children alone.
fn in_own_mounts(test: &str) {
    let arguments = ["--mount", "--propagation", "private", "--"];
    let program = std::env::current_exe().unwrap();
    let again = Command::new("unshare")
        .args(arguments)
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .env("WALRUS_TEST_OWN_MOUNTS", "1")
        .stdin(Stdio::null())
        .output();
    match again {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            if text.contains("Operation not permitted") || text.contains("must be superuser") {
                skipped("a full disk (that takes the right to mount)");
                return;
            }
            assert!(output.status.success(), "{text}");
        }
        Err(error) => skipped(&format!("a full disk (no `unshare`: {error})")),
    }
}

#[test]
fn a_full_disk_is_told_and_the_service_goes_on() {
    if std::env::var_os("WALRUS_TEST_OWN_MOUNTS").is_none() {
        in_own_mounts("full_disk::a_full_disk_is_told_and_the_service_goes_on");
        return;
    }
    let mut running = Running::prepared(TWO_CLUSTERS);
    let state = running.path("state");
    std::fs::create_dir(&state).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "walrus-test"])
        .arg(&state)
        .status()
        .unwrap();
    assert!(mounted.success());
    running.up();
    fill(&state);
    let drained = running.ask(&["drain", "near1"]);
    assert_eq!(drained.code, Some(3), "{drained:?}");
    assert!(drained.stderr.contains("a restart would forget it"), "{drained:?}");
    assert_eq!(running.life("near1"), "drained", "in force all the same");
    assert_eq!(addresses(running.dns()), ["192.0.2.2".parse::<std::net::Ipv4Addr>().unwrap()]);
    let log = running.log();
    assert!(log.contains("state is not written down"), "{log}");
    assert!(log.contains("is the disk full"), "{log}");
    std::fs::remove_file(state.join("filler")).unwrap();
    wait_for("the drain on the disk, now that there is room", || {
        let text = std::fs::read_to_string(state.join("overrides.json")).ok()?;
        text.contains("near1").then_some(())
    });
    assert_eq!(running.ask(&["undrain", "near1"]).code, Some(0));

    fill(&state);
    running.kill();
    running.spawn();
    assert!(
        !addresses(running.dns()).is_empty(),
        "it starts from what is there: {}",
        running.log()
    );
    running.kill();
    Command::new("umount").arg(&state).status().unwrap();
}

/// Until not one byte more fits.
fn fill(state: &std::path::Path) {
    use std::io::Write as _;
    let mut file =
        std::fs::File::options().create(true).append(true).open(state.join("filler")).unwrap();
    for size in [4096, 1] {
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
}
