//! A zone's journal on the disk: what was acknowledged is there, also after `kill -9` or a power cut.
//!
//! The file is written anew, whole and under another name, now and then; in between it only grows, and
//! each growth is on the disk before anybody is told. A tail that was not written to its end was
//! acknowledged to nobody: it is cut off, and kept beside the journal.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use walrus_core::dynamic::{
    JournalChange, JournalContent, JournalDamaged, read_journal, write_base, write_change,
};
use walrus_core::zone::{Zone, ZoneDifference};
use walrus_dns::DomainName;
use walrus_host::state::write_stream_atomically;

/// Changes may take so much before the journal is written anew, or as much as the zone, whichever is
/// more: so over time the disk takes in at most twice what changes.
const CHANGES_MIN: u64 = 1 << 20;
const MODE: u32 = 0o600;

/// A journal's file, or what stands in for one in tests.
pub(crate) trait JournalFile {
    /// Writes at a place, and returns when it is on the disk.
    fn put(&mut self, place: u64, bytes: &[u8]) -> io::Result<()>;

    /// Ends the file at a place, likewise.
    fn cut(&mut self, place: u64) -> io::Result<()>;
}

impl JournalFile for File {
    fn put(&mut self, place: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, place)?;
        self.sync_data()
    }

    fn cut(&mut self, place: u64) -> io::Result<()> {
        self.set_len(place)?;
        self.sync_all()
    }
}

/// A zone's journal, open.
pub(crate) struct Journal<F = File> {
    path: PathBuf,
    file: F,
    /// Bytes that are on the disk and stay.
    len: u64,
    base_len: u64,
    /// Behind `len` there may be something that was given up.
    has_tail: bool,
    changes: u64,
    last: Option<JournalChange>,
    /// Nobody has changed the zone since it was loaded from its file.
    is_as_loaded: bool,
    /// Names what it was loaded from.
    text: Vec<u8>,
    /// When it was to be written anew and could not be: not tried again before it has this length.
    retry_at: u64,
    /// Another file has its name: what is written here would not be found.
    is_replaced: bool,
}

/// Where a journal ended.
pub(crate) struct Ended {
    len: u64,
    changes: u64,
    last: Option<JournalChange>,
    is_as_loaded: bool,
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The disk refuses.
    #[error("cannot {what} the journal {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It was written anew, and what is there now could not be opened.
    #[error("the journal {} was written anew and cannot be opened: reload, when the disk is well", .0.display())]
    Replaced(PathBuf),
    /// It is none.
    #[error(
        "the journal {} is damaged: bring it back from a backup, or move it away, and the zone begins \
         again with its file",
        path.display()
    )]
    Damaged {
        /// Where.
        path: PathBuf,
        /// How.
        source: JournalDamaged,
    },
}

/// Where a zone's journal is, in a state directory.
pub fn journal_path(state: &Path, apex: &DomainName) -> PathBuf {
    let text = apex.to_string();
    let mut name = String::new();
    for byte in text.trim_end_matches('.').bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => name.push(char::from(byte)),
            // No file name can hold them all, and `/` least.
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.is_empty() {
        name.push_str("%root");
    }
    // Names may be longer than file names.
    name.truncate(200);
    state.join("updates").join(format!("{name}.journal"))
}

impl Journal {
    /// Opens a zone's journal and tells what it says; `None` if there is none yet.
    ///
    /// # Errors
    /// If it cannot be read or is damaged; nothing is changed then.
    pub(crate) fn open(
        path: &Path,
        apex: &DomainName,
    ) -> Result<Option<(Self, Zone)>, JournalError> {
        let failed = |what| io_failed(path, what);
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open")(error)),
        };
        // Where it was written anew last, its name may not be on the disk yet.
        path.parent().map_or(Ok(()), sync_directory).map_err(failed("sync"))?;
        let bytes = std::fs::read(path).map_err(failed("read"))?;
        let damaged = |source| JournalError::Damaged { path: path.to_owned(), source };
        let content = read_journal(&bytes, apex).map_err(damaged)?;
        let JournalContent { zone, text, base_len, is_as_loaded, whole_len, changes, last } =
            content;
        let mut journal = Self {
            path: path.to_owned(),
            file,
            len: whole_len,
            base_len,
            has_tail: false,
            changes,
            last,
            is_as_loaded,
            text,
            retry_at: 0,
            is_replaced: false,
        };
        let tail = usize::try_from(whole_len).ok().and_then(|at| bytes.get(at..));
        if let Some(tail) = tail.filter(|tail| !tail.is_empty()) {
            journal.keep_aside(tail);
            // What is not cut off now is before anything else is added.
            journal.has_tail = journal.file.cut(whole_len).is_err();
        }
        Ok(Some((journal, zone)))
    }

    /// What is cut off is in nobody's hands; but who knows.
    fn keep_aside(&self, tail: &[u8]) {
        let beside = self.path.with_extension("journal.cut");
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(MODE)
            .open(&beside)
            .and_then(|mut file| file.write_all(tail));
        let kept = if written.is_ok() { beside.display().to_string() } else { "nowhere".into() };
        tracing::warn!(
            journal = %self.path.display(),
            bytes = tail.len(),
            kept,
            "the journal's end was not written whole, and is left out: it was acknowledged to nobody"
        );
    }

    /// A new journal that begins with this zone, in the place of whatever stands there. `text` names what it was
    /// loaded from.
    ///
    /// # Errors
    /// If the disk refuses; what stood there stays.
    pub(crate) fn begin(path: &Path, zone: &Zone, text: &[u8]) -> Result<Self, JournalError> {
        Self::write_whole(path, zone, (true, text))
    }

    fn write_whole(
        path: &Path,
        zone: &Zone,
        (is_as_loaded, text): (bool, &[u8]),
    ) -> Result<Self, JournalError> {
        let failed = |what| io_failed(path, what);
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(failed("name")(io::ErrorKind::InvalidInput.into()));
        };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed("make"))?;
        directory.parent().map_or(Ok(()), sync_directory).map_err(failed("make"))?;
        let mut base_len = 0;
        write_stream_atomically(directory, &name.to_string_lossy(), MODE, |file| {
            write_base(zone, is_as_loaded, text).try_for_each(|piece| {
                base_len += piece.len() as u64;
                file.write_all(&piece)
            })
        })
        .map_err(failed("write"))?;
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed("open"))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            len: base_len,
            base_len,
            has_tail: false,
            changes: 0,
            last: None,
            is_as_loaded,
            text: text.to_vec(),
            retry_at: 0,
            is_replaced: false,
        })
    }

    /// Writes the journal anew if its changes have become many. If that fails it goes on as it was.
    pub(crate) fn shorten(&mut self, zone: &Zone) {
        if self.len < self.retry_at || self.len - self.base_len < CHANGES_MIN.max(self.base_len) {
            return;
        }
        match Self::write_whole(&self.path, zone, (false, &self.text)) {
            Ok(mut journal) => {
                journal.last = self.last.take();
                *self = journal;
            }
            Err(error) => {
                self.retry_at = self.len + CHANGES_MIN;
                self.is_replaced = !is_same_file(&self.path, &self.file);
                let error = &error as &dyn std::error::Error;
                match self.is_replaced {
                    false => tracing::warn!(error, "the journal goes on to grow"),
                    true => {
                        tracing::error!(error, "the journal takes nothing more before a reload")
                    }
                }
            }
        }
    }
}

impl<F: JournalFile> Journal<F> {
    /// Adds changes, and returns when they are on the disk.
    ///
    /// # Errors
    /// If the disk refuses: then none of them is in the journal.
    pub(crate) fn append(
        &mut self,
        changes: &[(JournalChange, ZoneDifference)],
    ) -> Result<(), JournalError> {
        if self.is_replaced {
            return Err(JournalError::Replaced(self.path.clone()));
        }
        if self.has_tail {
            self.file.cut(self.len).map_err(io_failed(&self.path, "cut"))?;
            self.has_tail = false;
        }
        let mut bytes = Vec::new();
        for (by, difference) in changes {
            let place = self.len + bytes.len() as u64;
            write_change(&mut bytes, (place, self.len), by, difference);
        }
        if let Err(error) = self.file.put(self.len, &bytes) {
            // Whole entries may stand there, which would be read at the next start.
            self.has_tail = self.file.cut(self.len).is_err();
            return Err(io_failed(&self.path, "write to")(error));
        }
        self.len += bytes.len() as u64;
        self.changes += changes.len() as u64;
        self.is_as_loaded = false;
        self.last = changes.last().map(|(by, _)| by.clone()).or(self.last.take());
        Ok(())
    }

    /// How long it is.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Whether nobody has changed the zone yet: then its file still counts.
    pub(crate) const fn is_as_loaded(&self) -> bool {
        self.is_as_loaded
    }

    /// Names what the zone was loaded from before anybody changed it.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Changes that stand in it, and the last of all.
    pub(crate) const fn told(&self) -> (u64, Option<&JournalChange>) {
        (self.changes, self.last.as_ref())
    }

    /// Whether another file has its name: then it is to be opened again.
    pub(crate) const fn is_replaced(&self) -> bool {
        self.is_replaced
    }

    /// Where it ends now.
    pub(crate) fn end(&self) -> Ended {
        let Self { len, changes, is_as_loaded, .. } = *self;
        Ended { len, changes, last: self.last.clone(), is_as_loaded }
    }

    /// Ends it where it ended before, since what came after is not served. What is not cut off now is
    /// before anything else is added.
    pub(crate) fn take_back(&mut self, end: Ended) {
        let Ended { len, changes, last, is_as_loaded } = end;
        (self.len, self.changes, self.last, self.is_as_loaded) = (len, changes, last, is_as_loaded);
        self.has_tail = self.file.cut(len).is_err();
    }
}

fn is_same_file(path: &Path, file: &File) -> bool {
    let place = |metadata: &Metadata| (metadata.dev(), metadata.ino());
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(named), Ok(open)) => place(&named) == place(&open),
        _ => false,
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn io_failed(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { what, path, source }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
