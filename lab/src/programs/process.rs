//! A child that does not outlive the lab.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// How long a program that was asked to end may take.
const END_WITHIN: Duration = Duration::from_secs(10);
/// As much as is shown of what a program said.
const SAID_LINES: usize = 12;

/// One program at work.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; what it says goes to `folder/log`.
    pub(crate) fn start(command: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join("log");
        let output = File::options().create(true).append(true).open(&log)?;
        let child = command
            .process_group(0)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("{} does not start", command.get_program().display()))?;
        Ok(Self { child, log })
    }

    /// Ends it, and what it has started, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        let _ = self.child.wait();
    }

    /// Asks it to end, and waits; one that does not is killed.
    pub(crate) fn stop(&mut self) {
        self.signal(libc::SIGTERM);
        let begin = Instant::now();
        while begin.elapsed() < END_WITHIN {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill();
    }

    /// Stands still with all its sockets open, or goes on.
    pub(crate) fn freeze(&mut self, is_frozen: bool) {
        self.signal(if is_frozen { libc::SIGSTOP } else { libc::SIGCONT });
    }

    /// What it said last, if it has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(SAID_LINES)..].join("\n");
        Some(format!("{status}, after saying\n{last}"))
    }

    fn signal(&mut self, signal: i32) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // SAFETY: kill takes two numbers. The child leads a group of its own, and was not waited for, so
        // that the number is its own.
        unsafe {
            libc::kill(-self.child.id().cast_signed(), signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
