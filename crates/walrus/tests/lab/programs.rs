//! Other people's programs as children of the test, and what is not installed.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use crate::ports::free_port;

/// How long anything may take before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Says a line past the test harness, which keeps what passing tests print to itself.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Set by `./test --quick`, which leaves out the lab.
const QUICK: &str = "WALRUS_TEST_QUICK";

/// The paths of all these programs, or `None` and a line that `./test` collects.
pub(crate) fn find<const N: usize>(what: &str, programs: [&str; N]) -> Option<[PathBuf; N]> {
    if std::env::var_os(QUICK).is_some() {
        say(&format!("\nSKIPPED: {what}: --quick"));
        return None;
    }
    let paths = programs.map(|program| {
        ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"]
            .map(|folder| Path::new(folder).join(program))
            .into_iter()
            .find(|path| path.exists())
            .ok_or(program)
    });
    let missing: Vec<&str> = paths.iter().filter_map(|path| path.as_ref().err().copied()).collect();
    if !missing.is_empty() {
        say(&format!("\nSKIPPED: {what}: {} not installed", missing.join(", ")));
        return None;
    }
    Some(paths.map(|path| path.expect("none is missing")))
}

/// A child that does not outlive the test.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it says goes to a file, for whoever reads a failure.
    pub(crate) fn start(program: &Path, arguments: &[&str], log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Self { child, log: log.to_owned() }
    }

    /// Its number among the system's processes.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as `kill -9` does, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.signal("-TERM");
        }
        wait_for("its end", || self.child.try_wait().unwrap());
    }

    /// Stands still from now on, with all its sockets open.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Goes on where it stood still.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Fails with what the program said if it has ended.
    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("it ended, {status}:\n{}", self.said());
        }
    }

    /// All that it has said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends it a signal, by `kill`'s name for it.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success(), "kill {signal} {pid}: {sent}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Looks again and again until there is something, or [`PATIENCE`] is over.
pub(crate) fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, what, look)
}

/// The same; a failure tells how things stand then.
pub(crate) fn wait_or_tell<T>(
    what: &str,
    mut look: impl FnMut() -> Option<T>,
    tell: impl Fn() -> String,
) -> T {
    let begin = Instant::now();
    wait_within(2 * PATIENCE, what, || {
        let found = look();
        assert!(found.is_some() || begin.elapsed() < PATIENCE, "{what}: {}", tell());
        found
    })
}

/// The same with a bound of its own.
pub(crate) fn wait_within<T>(
    bound: Duration,
    what: &str,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < bound, "{what}: not within {bound:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
