//! Follows a file that grows, is renamed away, or is cut to nothing.
//!
//! It is looked at, not watched: each look reads what came since the last, at most
//! [`BYTES_PER_LOOK`], so that a burst of any size costs no more than that. What is beyond is skipped:
//! the newest is read, because that is what tells of now.
//!
//! A file that was renamed is read on for some seconds beside the new one: a web server goes on
//! writing to it until it is told to open its log again. A file that is shorter than what was read of
//! it was cut (`copytruncate`) and is read from its beginning. One that was cut and has grown beyond
//! that between two looks cannot be told from one that only grew.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;

/// Read in one look at most: some 40,000 requests, in about 20 ms.
pub(super) const BYTES_PER_LOOK: u64 = 8 << 20;

/// A longer line is no request of a browser. (nginx and Apache take 8 KiB of a request line.)
pub(super) const LINE_MAX: usize = 32 << 10;

/// A file that was renamed is left alone after so many looks without news.
const IDLE_LOOKS_MAX: u32 = 20;

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// A file by its name.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    current: Option<Opened>,
    /// What had the name before.
    renamed: Option<Opened>,
    /// What is there at the first look is history; what appears later is news from its beginning.
    begun: bool,
}

/// What a look came upon besides lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    pub(super) read_bytes: u64,
    pub(super) skipped_bytes: u64,
    pub(super) long_lines: u64,
    /// Why nothing can be read, for people.
    pub(super) problem: Option<String>,
}

impl Tail {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, current: None, renamed: None, begun: false }
    }

    /// Whether there is a file to read.
    pub(super) const fn is_open(&self) -> bool {
        self.current.is_some()
    }

    /// Hands over the lines that came since the last look, without their ends.
    pub(super) fn look(&mut self, mut line: impl FnMut(&[u8])) -> Looked {
        let mut looked = Looked::default();
        looked.problem = self.follow_name(&mut looked, &mut line).err();
        self.begun = true;
        let files = [&mut self.renamed, &mut self.current];
        for opened in files.into_iter().flatten() {
            if let Err(error) = opened.read(&mut looked, &mut line) {
                looked.problem.get_or_insert(error.to_string());
            }
        }
        if self.renamed.as_ref().is_some_and(|it| it.idle_looks >= IDLE_LOOKS_MAX) {
            self.renamed = None;
        }
        looked
    }

    /// Opens what has the name now, if that is another file than before.
    fn follow_name(
        &mut self,
        looked: &mut Looked,
        line: &mut impl FnMut(&[u8]),
    ) -> Result<(), String> {
        let metadata = std::fs::metadata(&self.path).map_err(|error| error.to_string())?;
        // A pipe, say, might never come to an end.
        if !metadata.is_file() {
            return Err("it is no regular file".to_owned());
        }
        let identity = (metadata.dev(), metadata.ino());
        if self.current.as_ref().is_some_and(|current| current.identity == identity) {
            return Ok(());
        }
        let opened = Opened::open(&self.path, self.begun).map_err(|error| error.to_string())?;
        let before = self.current.replace(opened);
        if let (Some(mut older), true) = (self.renamed.take(), before.is_some()) {
            // Its last words; an error says nothing that matters any more.
            let _ = older.read(looked, line);
        }
        self.renamed = before;
        Ok(())
    }
}

#[derive(Debug)]
struct Opened {
    file: File,
    identity: (u64, u64),
    position: u64,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    /// The rest of the line is not wanted: it is too long, or its beginning was skipped.
    in_unwanted: bool,
    idle_looks: u32,
}

impl Opened {
    fn open(path: &std::path::Path, from_its_beginning: bool) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let position = if from_its_beginning { 0 } else { metadata.len() };
        // A line whose beginning is history is so to its end.
        let mut before = [b'\n'];
        if let Some(last) = position.checked_sub(1) {
            file.read_at(&mut before, last)?;
        }
        Ok(Self {
            file,
            identity: (metadata.dev(), metadata.ino()),
            position,
            partial: Vec::new(),
            in_unwanted: before != *b"\n",
            idle_looks: 0,
        })
    }

    fn read(&mut self, looked: &mut Looked, line: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let end = self.file.metadata()?.len();
        if end < self.position {
            self.position = 0;
            self.partial.clear();
            self.in_unwanted = false;
        }
        self.idle_looks = if end > self.position { 0 } else { self.idle_looks.saturating_add(1) };
        let left = BYTES_PER_LOOK.saturating_sub(looked.read_bytes);
        let surplus = (end - self.position).saturating_sub(left);
        if surplus > 0 {
            looked.skipped_bytes += surplus;
            self.position += surplus;
            self.partial.clear();
            self.in_unwanted = true;
        }
        let mut chunk = vec![0; CHUNK];
        while self.position < end {
            let wanted = usize::try_from(end - self.position).unwrap_or(CHUNK).min(CHUNK);
            let count = self.file.read_at(&mut chunk[..wanted], self.position)?;
            if count == 0 {
                break;
            }
            self.position += count as u64;
            looked.read_bytes += count as u64;
            self.split(&chunk[..count], looked, line);
        }
        Ok(())
    }

    fn split(&mut self, mut bytes: &[u8], looked: &mut Looked, line: &mut impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if std::mem::take(&mut self.in_unwanted) {
                continue;
            }
            if self.partial.len() + head.len() > LINE_MAX {
                looked.long_lines += 1;
            } else if self.partial.is_empty() {
                line(head);
            } else {
                self.partial.extend_from_slice(head);
                line(&self.partial);
            }
            self.partial.clear();
        }
        if self.in_unwanted {
            return;
        }
        if self.partial.len() + bytes.len() > LINE_MAX {
            looked.long_lines += 1;
            self.in_unwanted = true;
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use super::*;

    fn append(path: &Path, bytes: &[u8]) {
        let mut file = File::options().append(true).create(true).open(path).unwrap();
        file.write_all(bytes).unwrap();
    }

    fn lines(tail: &mut Tail) -> Vec<String> {
        let mut lines = Vec::new();
        tail.look(|line| lines.push(String::from_utf8_lossy(line).into_owned()));
        lines
    }

    #[test]
    fn only_what_is_new_is_read_and_only_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        append(&path, b"history\nhalf a ");
        let mut tail = Tail::new(path.clone());
        assert!(lines(&mut tail).is_empty());
        append(&path, b"line\none\ntw");
        assert_eq!(lines(&mut tail), ["one"]);
        append(&path, b"o\n\nthree\n");
        assert_eq!(lines(&mut tail), ["two", "", "three"]);
        assert!(lines(&mut tail).is_empty());
    }

    #[test]
    fn a_renamed_file_is_read_to_its_end_beside_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let old = folder.path().join("access.log.1");
        append(&path, b"");
        let mut tail = Tail::new(path.clone());
        lines(&mut tail);
        append(&path, b"before\n");
        std::fs::rename(&path, &old).unwrap();
        append(&old, b"after the renaming\n");
        let looked = tail.look(|_| {});
        assert!(looked.problem.is_some(), "nothing has the name now");
        append(&path, b"new\n");
        append(&old, b"late\n");
        assert_eq!(lines(&mut tail), ["late", "new"]);
        append(&old, b"later\n");
        append(&path, b"newer\n");
        assert_eq!(lines(&mut tail), ["later", "newer"]);
        for _ in 0..=IDLE_LOOKS_MAX {
            assert!(lines(&mut tail).is_empty());
        }
        append(&old, b"too late\n");
        append(&path, b"newest\n");
        assert_eq!(lines(&mut tail), ["newest"]);
        // And once more, with what was written last of the one that goes.
        append(&path, b"last\n");
        std::fs::rename(&path, &old).unwrap();
        append(&path, b"first\n");
        assert_eq!(lines(&mut tail), ["last", "first"]);
    }

    #[test]
    fn a_file_that_was_cut_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        append(&path, b"history\n");
        let mut tail = Tail::new(path.clone());
        lines(&mut tail);
        append(&path, b"one\nhal");
        assert_eq!(lines(&mut tail), ["one"]);
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        append(&path, b"two\n");
        assert_eq!(lines(&mut tail), ["two"]);
    }

    #[test]
    fn a_missing_file_is_told_of_and_read_from_its_beginning_when_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut tail = Tail::new(path.clone());
        let looked = tail.look(|_| {});
        assert!(looked.problem.unwrap().contains("No such file"));
        assert!(!tail.is_open());
        std::fs::create_dir(&path).unwrap();
        assert!(tail.look(|_| {}).problem.unwrap().contains("regular"));
        std::fs::remove_dir(&path).unwrap();
        append(&path, b"one\n");
        assert_eq!(lines(&mut tail), ["one"]);
        assert_eq!(tail.look(|_| {}).problem, None);
    }

    #[test]
    fn a_line_that_is_too_long_is_counted_and_the_next_one_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        append(&path, b"");
        let mut tail = Tail::new(path.clone());
        lines(&mut tail);
        let mut bytes = vec![b'x'; 3 * LINE_MAX];
        append(&path, &bytes);
        let mut found = Vec::new();
        assert_eq!(tail.look(|line| found.push(line.len())).long_lines, 1);
        bytes.extend_from_slice(b"\nok\n");
        bytes.extend_from_slice(&[b'y'; LINE_MAX]);
        bytes.extend_from_slice(b"\n");
        append(&path, &bytes);
        assert_eq!(tail.look(|line| found.push(line.len())).long_lines, 0);
        assert_eq!(found, [2, LINE_MAX]);
    }

    #[test]
    fn of_a_burst_the_newest_is_read_and_no_more_than_a_look_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        append(&path, b"");
        let mut tail = Tail::new(path.clone());
        lines(&mut tail);
        // A hole of 1 GiB takes no room on the disk.
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(1 << 30).unwrap();
        append(&path, b"\nlast\n");
        let mut found = Vec::new();
        let looked = tail.look(|line| found.push(line.to_vec()));
        assert_eq!(looked.read_bytes, BYTES_PER_LOOK);
        assert_eq!(looked.read_bytes + looked.skipped_bytes, (1 << 30) + 6);
        assert_eq!(found, [b"last".to_vec()]);
        append(&path, b"next\n");
        assert_eq!(lines(&mut tail), ["next"]);
    }
}
