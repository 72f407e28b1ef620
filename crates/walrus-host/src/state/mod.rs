//! The state directory: what must survive a restart, each thing in a file of its own.
//!
//! | file | holds | if it is lost |
//! |---|---|---|
//! | `plan.json` | the last Plan | answers wait for the first round |
//! | `epoch`, `epoch.copy` | the highest epoch used | taken from the Plan, else told by Directors |
//! | `overrides.json` | drains | operators drain again |
//! | `token`, `reporter-token` | secrets | made anew; everybody needs the new one |
//! | `certificate.pem`, `key.pem` | the self-signed certificate | made anew; fingerprints change |
//! | `journal.jsonl`, `journal.old.jsonl` | each round's World | replay lacks it |
//! | `map-DIGEST.bin` | the compiled map | compiled again |
//! | `serials.json` | serials of zones that go to others, by `walrus_director` | by time they still rise; else secondaries may wait |
//! | `signatures/` | what was signed, by `walrus_director` | signed anew |
//! | `keys/ZONE/` | DNSSEC keys and how far each has come | the zone needs new keys, and the parent a new DS |
//! | `lock` | who uses the directory | made anew |
//!
//! Every function blocks on the disk: callers on a runtime use `spawn_blocking`. A full disk or a
//! directory that has become unwritable is an error value; the service goes on with what is in
//! memory. A file that cannot be understood is a warning and counts as absent: it stays where it
//! is, for a person to look at, until something newer replaces it.

mod atomic;
mod epoch;
mod joined;
mod journal;
mod records;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub use atomic::{write as write_atomically, write_stream as write_stream_atomically};
use journal::Journal;

/// One node's state directory, held by one process at a time.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    /// Keeps the lock; the operating system lets go of it however the process ends.
    _lock: File,
    journal: Mutex<Journal>,
    /// The highest epoch stored or read, so that it cannot go back even if a file does.
    epoch: Mutex<Option<u64>>,
}

impl StateDirectory {
    /// Opens the directory, making it (mode 0700) if it is not there, and locks it.
    ///
    /// # Errors
    /// If it cannot be made or written to, or another process holds it.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let failed = |what: &'static str| {
            let path = path.to_owned();
            move |error| StateError::Io { what, path, error }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed("make the state directory"))?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(failed("open the lock file in"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&lock).take(20).read_to_string(&mut holder);
                let holder = holder.trim().to_owned();
                return Err(StateError::Locked { path: path.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
        }
        // For whoever finds the directory locked; not being able to write it is a full disk.
        let _ = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
        let journal = Mutex::new(Journal::new(path));
        Ok(Self { path: path.to_owned(), _lock: lock, journal, epoch: Mutex::new(None) })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn write(&self, name: &str, mode: u32, bytes: &[u8]) -> Result<(), StateError> {
        atomic::write(&self.path, name, mode, bytes).map_err(|error| StateError::Io {
            what: "write",
            path: self.file(name),
            error,
        })
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let path = self.file(name);
        match read_bounded(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(format!("cannot read {} ({error}); going on without it", path.display()))
            }
        }
    }
}

/// No file of ours comes near this; what is longer is not ours.
const FILE_MAX: u64 = 256 << 20;

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.len() > FILE_MAX {
        return Err(io::Error::other("longer than 256 MiB"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What was found on the disk, and what could not be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered<T> {
    /// What was found.
    pub value: T,
    /// For the log: one sentence a file that was ignored.
    pub warnings: Vec<String>,
}

impl<T> Recovered<T> {
    /// The value; the warnings go to the log.
    pub fn logged(self) -> T {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        self.value
    }
}

/// Why something was not stored.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operating system refused.
    #[error("cannot {what} {path} (is the disk full, or the directory not ours?)", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What it said.
        #[source]
        error: io::Error,
    },
    /// Another process uses the directory.
    #[error(
        "the state directory {path} is used by another walrus (process {holder}): stop it, or give \
         this one its own `state` in [node]", path = path.display()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Its process number, as far as it said.
        holder: String,
    },
    /// An epoch below one that was used before.
    #[error("epoch {wanted} is not above {highest}, which was used before")]
    EpochBack {
        /// Asked for.
        wanted: u64,
        /// Known.
        highest: u64,
    },
    /// A Plan or override that cannot be written as JSON.
    #[error("cannot serialise {what}")]
    Encode {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        error: serde_json::Error,
    },
    /// A token file that holds none.
    #[error(transparent)]
    Token(#[from] crate::token::TokenError),
    /// No random bytes for a new secret.
    #[error(transparent)]
    Seed(#[from] crate::seed::SeedError),
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_directory_is_private_and_held_by_one() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/state");
        let state = StateDirectory::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let second = StateDirectory::open(&path).unwrap_err();
        let StateError::Locked { holder, .. } = &second else { panic!("{second}") };
        assert_eq!(*holder, std::process::id().to_string());
        drop(state);
        assert!(StateDirectory::open(&path).is_ok());
    }

    #[test]
    fn a_directory_that_cannot_be_is_an_error() {
        let parent = tempfile::tempdir().unwrap();
        std::fs::write(parent.path().join("file"), "").unwrap();
        let error = StateDirectory::open(&parent.path().join("file/state")).unwrap_err();
        assert!(error.to_string().contains("state directory"), "{error}");
    }

    #[test]
    fn a_directory_that_vanished_is_an_error_and_no_panic() {
        let parent = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(&parent.path().join("state")).unwrap();
        std::fs::remove_dir_all(state.path()).unwrap();
        assert!(matches!(state.store_epoch(3), Err(StateError::Io { .. })));
        assert!(matches!(state.append_journal("{}", 10), Err(StateError::Io { .. })));
        assert!(matches!(state.token("token"), Err(StateError::Io { .. })));
        assert_eq!(state.load_plan().value, None);
    }
}
