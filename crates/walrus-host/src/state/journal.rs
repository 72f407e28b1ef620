//! Each round's World, a JSON object a line, for replay; bounded by two files that take turns.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::{StateDirectory, StateError, read_bounded};

const CURRENT: &str = "journal.jsonl";
const OLD: &str = "journal.old.jsonl";

/// Beyond this a file changes over, however few rounds it holds. Ten thousand servers are about
/// two megabytes a round: then the last quarter of an hour is kept, and the disk is not filled.
const BYTES_MAX: u64 = 32 << 20;

/// The file being written, opened with its first line.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    lines: u64,
    bytes: u64,
}

impl StateDirectory {
    /// Appends a round. At least the last `rounds` rounds are kept, at most twice as many, and in
    /// any case no more than 64 MiB and one line. Not flushed: a power cut may cost the last rounds.
    ///
    /// # Errors
    /// If the disk refuses; the journal then lacks this round.
    pub fn append_journal(&self, round: &str, rounds: u32) -> Result<(), StateError> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.append(round, u64::from(rounds.max(1)), BYTES_MAX).map_err(|error| {
            // Opened anew next time: the file may have been moved away, or the disk been full.
            journal.open = None;
            StateError::Io { what: "append to", path: self.file(CURRENT), error }
        })
    }

    /// All rounds that are kept, oldest first; unfinished lines are left out.
    #[must_use]
    pub fn read_journal(&self) -> Vec<String> {
        let mut rounds = Vec::new();
        for name in [OLD, CURRENT] {
            let bytes = read_bounded(&self.file(name)).unwrap_or_default();
            let lines = String::from_utf8_lossy(&bytes);
            rounds.extend(
                lines.lines().filter(|l| l.starts_with('{') && l.ends_with('}')).map(String::from),
            );
        }
        rounds
    }
}

impl Journal {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), open: None }
    }

    fn append(&mut self, round: &str, rounds: u64, bytes_max: u64) -> io::Result<()> {
        // One line a round, whatever the caller's JSON looked like.
        let line = round.replace(['\n', '\r'], " ") + "\n";
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Self::open(&self.directory)?,
        };
        let full = open.bytes > 0 && open.bytes + line.len() as u64 > bytes_max;
        if open.lines >= rounds || full {
            std::fs::rename(self.directory.join(CURRENT), self.directory.join(OLD))?;
            open = Self::open(&self.directory)?;
        }
        open.file.write_all(line.as_bytes())?;
        open.lines += 1;
        open.bytes += line.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    fn open(directory: &Path) -> io::Result<Open> {
        let path = directory.join(CURRENT);
        let present = match read_bounded(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            // Too long or unreadable: change over at once.
            Err(_) => {
                std::fs::rename(&path, directory.join(OLD))?;
                Vec::new()
            }
        };
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        // A crash may have left half a line.
        if present.last().is_some_and(|last| *last != b'\n') {
            file.write_all(b"\n")?;
        }
        let lines = present.iter().filter(|byte| **byte == b'\n').count() as u64;
        Ok(Open { file, lines, bytes: present.len() as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_and_in_order_also_over_restarts() {
        let parent = tempfile::tempdir().unwrap();
        for round in 0..25 {
            let state = StateDirectory::open(parent.path()).unwrap();
            state.append_journal(&format!("{{\"round\":{round}}}"), 10).unwrap();
            let kept = state.read_journal();
            assert!(kept.len() <= 20 && kept.len() >= (round + 1).min(10), "{round}");
            assert_eq!(kept.last().unwrap(), &format!("{{\"round\":{round}}}"));
        }
    }

    #[test]
    fn bounded_in_bytes_too() {
        let parent = tempfile::tempdir().unwrap();
        let mut journal = Journal::new(parent.path());
        let size = |name| std::fs::metadata(parent.path().join(name)).map_or(0, |it| it.len());
        for round in 0..100 {
            let line = format!("{{\"round\":{round},\"more\":\"{}\"}}", "x".repeat(round));
            journal.append(&line, 1_000, 500).unwrap();
            assert!(size(CURRENT) <= 500 && size(OLD) <= 500, "{round}");
        }
        let long = format!("{{\"long\":\"{}\"}}", "x".repeat(1_000));
        journal.append(&long, 1_000, 500).unwrap();
        assert_eq!(size(CURRENT), long.len() as u64 + 1, "a line that is too long stands alone");
    }

    #[test]
    fn half_a_line_costs_that_line_only() {
        let parent = tempfile::tempdir().unwrap();
        std::fs::write(parent.path().join(CURRENT), "{\"round\":1}\n{\"rou").unwrap();
        let state = StateDirectory::open(parent.path()).unwrap();
        state.append_journal("{\"round\":\n3}", 10).unwrap();
        assert_eq!(state.read_journal(), ["{\"round\":1}", "{\"round\": 3}"]);
    }
}
