//! `walrus sim` that is not let come to its end: by a signal, or because nobody reads on.

use std::io::Read;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::running::{Ended, Running, TWO_CLUSTERS, program, wait_for};
use crate::sim::STUDY;

/// A command under way; it ends with the test.
struct UnderWay(Child);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder with studies that take seconds and (by far) longer than a test, a configuration and a log.
fn folder() -> Running {
    let folder = Running::prepared(TWO_CLUSTERS);
    folder.write("small.toml", STUDY);
    folder.write("endless.toml", &STUDY.replace("duration = \"3m\"", "duration = \"300d\""));
    folder
}

fn begin(folder: &Running, arguments: &[&str]) -> (UnderWay, ChildStdin) {
    let mut command = program();
    command.current_dir(folder.folder.path()).arg("sim").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A log on standard input does not end before this is dropped.
    let input = child.stdin.take().unwrap();
    (UnderWay(child), input)
}

fn end(mut it: UnderWay) -> Ended {
    let status = wait_for("its end", || it.0.try_wait().unwrap());
    let text = |from: Option<&mut dyn Read>| {
        let mut text = String::new();
        from.map(|from| from.read_to_string(&mut text).unwrap());
        text
    };
    Ended {
        code: status.code(),
        stdout: text(it.0.stdout.as_mut().map(|it| it as &mut dyn Read)),
        stderr: text(it.0.stderr.as_mut().map(|it| it as &mut dyn Read)),
    }
}

/// Sends a signal as soon as the program listens for it, as the kernel tells.
#[cfg(target_os = "linux")]
fn signal(it: &UnderWay, name: &str, number: u32) {
    let process = it.0.id();
    wait_for("its ear", || {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
        (caught & 1 << (number - 1) != 0).then_some(())
    });
    let sent = Command::new("kill").args(["-s", name, &process.to_string()]).status();
    assert!(sent.unwrap().success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_ends_it_at_once_and_leaves_nothing_behind() {
    let folder = folder();
    let run = ["run", "endless.toml", "--report", "out/deep"];
    let sweep = ["sweep", "endless.toml", "--set", "service.ttl=9s,20s", "--report", "out"];
    let compare = ["compare", "endless.toml:even", ":by weight", "--json"];
    let replay = ["replay", "--queries", "-", "--config", "walrus.toml", "--world", "idle"];
    for (arguments, name, number) in [
        (&run[..], "INT", 2),
        (&run, "TERM", 15),
        (&sweep, "INT", 2),
        (&compare, "TERM", 15),
        (&replay, "INT", 2),
    ] {
        let (it, _input) = begin(&folder, arguments);
        signal(&it, name, number);
        let ended = end(it);
        let code = i32::try_from(128 + number).unwrap();
        assert_eq!((ended.code, &*ended.stdout), (Some(code), ""), "{arguments:?}: {ended:?}");
        let told = format!("walrus: sim {}: interrupted (SIG{name})", arguments[0]);
        assert!(ended.stderr.starts_with(&told), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(!folder.path("out").exists(), "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn who_asks_again_does_not_wait_for_a_terminal_that_stands_still() {
    let folder = folder();
    // Standard error is full, and nobody reads it.
    let full = "dd if=/dev/zero of=/dev/fd/3 bs=4096 count=4096 oflag=nonblock 3>&2 2>/dev/null";
    let mut command = Command::new("sh");
    command.current_dir(folder.folder.path()).args(["-c", &format!("{full}; exec \"$@\""), "sh"]);
    command.arg(program().get_program()).args(["sim", "run", "endless.toml"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut it = UnderWay(command.spawn().unwrap());
    // The shell before it has an ear for SIGINT, too.
    signal(&it, "INT", 15);
    // Signals that come at once may be one.
    let process = it.0.id().to_string();
    let status = wait_for("its end", || {
        assert!(Command::new("kill").args(["-s", "INT", &process]).status().unwrap().success());
        it.0.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(130));
}

/// As a shell without job control begins what it puts into the background.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    let folder = folder();
    let mut command = Command::new("sh");
    command.current_dir(folder.folder.path()).args(["-c", "trap '' INT; exec \"$@\"", "sh"]);
    command.arg(program().get_program()).args(["sim", "run", "endless.toml"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let it = UnderWay(command.spawn().unwrap());
    for (name, number) in [("INT", 15), ("TERM", 15)] {
        signal(&it, name, number);
    }
    let ended = end(it);
    assert_eq!(ended.code, Some(143), "{ended:?}");
    assert!(ended.stderr.contains("interrupted (SIGTERM)"), "{ended:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let folder = folder();
    for arguments in [
        &["run", "small.toml"][..],
        &["run", "small.toml", "--json"],
        &["compare", "small.toml:even", ":by weight", "--json"],
        &["sweep", "small.toml", "--set", "service.ttl=9s,20s", "--seed", "1", "--json"],
        &["run", "nowhere.toml", "--json"],
    ] {
        let (mut it, _input) = begin(&folder, arguments);
        drop(it.0.stdout.take());
        let ended = end(it);
        let is_bad = arguments.contains(&"nowhere.toml");
        assert_eq!(ended.code, Some(if is_bad { 3 } else { 0 }), "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{arguments:?}: {ended:?}");
    }
}
