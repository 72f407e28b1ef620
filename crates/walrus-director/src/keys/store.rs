//! The key store: `STATE/keys/ZONE/`, a zone's key files in BIND's format and what is known of
//! their roll-over, `state.json` and its copy.
//!
//! A third copy, which names no secret, lies beside the signatures that were made by these keys
//! (`STATE/signatures/`): where the whole directory of keys is lost, it tells that the zone was
//! signed, and by whom, so that kept signatures serve on and no other key is made unasked.
//!
//! Directories have mode 0700, files of private keys 0600. Nothing is overwritten but the state;
//! keys that are of no use any more move to `retired/`, where they lie until somebody removes them.

use std::fs::DirBuilder;
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use walrus_core::dnssec::DnsKey;
use walrus_core::dnssec::rollover::{KEYS_MAX, ZoneKeyState};
use walrus_dns::DomainName;
use walrus_host::state::write_atomically;

use super::bind_files::file_text;
use super::{KeyFileError, KeyFiles, KeyPair, base_name};
use walrus_host::regular_file;

const STATE_FILES: [&str; 2] = ["state.json", "state.copy.json"];

/// How the third copy's name ends.
pub(crate) const COPY: &str = "keys.json";

/// A zone's state is a few kilobytes.
const STATE_MAX: u64 = 1 << 20;

/// Files that are looked at in a zone's directory: keys and what an operator put beside them.
const FILES_MAX: usize = 64 * KEYS_MAX;

/// All zones' keys of a node.
#[derive(Clone, Debug)]
pub struct KeyStore {
    directory: PathBuf,
    /// Where signatures are, and the third copy of states.
    signatures: PathBuf,
}

/// A zone as it was found on the disk.
#[derive(Clone, Debug, Default)]
pub struct StoredKeys {
    /// What was known of its keys; `None` if there is no state, or none that can be read.
    pub state: Option<ZoneKeyState>,
    /// Keys whose files are good.
    pub pairs: Vec<KeyPair>,
    /// Signatures were kept of it.
    pub was_signed: bool,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
}

/// Why something was not stored.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// A key's files.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The disk refuses.
    #[error("cannot write {path} (is the disk full, or the directory not ours?)", path = .path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
}

impl KeyStore {
    /// The store in a state directory; nothing is made yet.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self { directory: state.join("keys"), signatures: state.join("signatures") }
    }

    /// Where a zone's keys are.
    #[must_use]
    pub fn directory_of(&self, zone: &DomainName) -> PathBuf {
        self.directory.join(match file_text(zone) {
            root if root.is_empty() => ".root".to_owned(),
            text => text.trim_end_matches('.').to_owned(),
        })
    }

    /// Reads all that is there of a zone. What cannot be read is told of and left where it is.
    #[must_use]
    pub fn load(&self, zone: &DomainName) -> StoredKeys {
        let directory = self.directory_of(zone);
        let mut stored = StoredKeys::default();
        self.load_directory(zone, &directory, &mut stored);
        let stem = self.signatures.join(signatures_stem(zone));
        stored.was_signed = stem.with_extension("signatures").exists();
        if stored.state.is_none() {
            stored.state =
                read_state(&stem.with_extension(COPY)).ok().filter(|state| state.zone == *zone);
        }
        stored
    }

    fn load_directory(&self, zone: &DomainName, directory: &Path, stored: &mut StoredKeys) {
        let names = match key_files(directory) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                stored.problems.push(format!("cannot read {}: {error}", directory.display()));
                return;
            }
        };
        for name in names {
            match KeyFiles::read(&directory.join(name)) {
                Ok(files) if files.zone == *zone => {
                    stored.problems.extend(files.warnings);
                    stored.pairs.push(files.pair);
                }
                Ok(files) => stored.problems.push(format!(
                    "{} holds a key of {}, not of {zone}: it is not used",
                    directory.display(),
                    files.zone
                )),
                Err(error) => stored.problems.push(walrus_host::log::chain(&error)),
            }
        }
        let mut found: Vec<ZoneKeyState> = Vec::new();
        for name in STATE_FILES {
            match read_state(&directory.join(name)) {
                Ok(state) if state.zone == *zone => found.push(state),
                Ok(state) => stored.problems.push(format!(
                    "{} is about {}, not {zone}: it is not used",
                    directory.join(name).display(),
                    state.zone
                )),
                Err(ReadError::Gone) => {}
                Err(ReadError::Bad(why)) => {
                    stored.problems.push(format!("{}: {why}", directory.join(name).display()));
                }
            }
        }
        // The copy is older if the process ended between the two.
        stored.state = found.into_iter().max_by_key(|state| (state.generation, state.last));
    }

    /// Stores what is known of a zone's keys, twice, and a third time with its signatures.
    ///
    /// # Errors
    /// If the disk refuses; what was stored before is still there then. The third copy may be missing.
    pub fn store_state(&self, state: &ZoneKeyState) -> Result<(), KeyStoreError> {
        let directory = self.directory_of(&state.zone);
        make(&directory)?;
        let json = state.to_json();
        for name in STATE_FILES {
            write_atomically(&directory, name, 0o600, &json)
                .map_err(|error| KeyStoreError::Write { path: directory.join(name), error })?;
        }
        let name = format!("{}.{COPY}", signatures_stem(&state.zone));
        let copied = make(&self.signatures).is_ok()
            && write_atomically(&self.signatures, &name, 0o600, &json).is_ok();
        if !copied {
            // An old one would be of another past.
            let _ = std::fs::remove_file(self.signatures.join(name));
        }
        Ok(())
    }

    /// Stores a key. Storing the same again is fine.
    ///
    /// # Errors
    /// If another key's files are in the way, or the disk refuses.
    pub fn add(&self, zone: &DomainName, pair: &KeyPair) -> Result<(), KeyStoreError> {
        let directory = self.directory_of(zone);
        make(&directory)?;
        Ok(KeyFiles::write(&directory, zone, pair)?)
    }

    /// Moves a key's files to `retired/`: nothing signs with it any more.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn retire(&self, zone: &DomainName, key: &DnsKey) -> Result<(), KeyStoreError> {
        let directory = self.directory_of(zone);
        let retired = directory.join("retired");
        make(&retired)?;
        let base = base_name(zone, key);
        for ending in [".private", ".key"] {
            let (from, to) = (format!("{base}{ending}"), retired.join(format!("{base}{ending}")));
            match std::fs::rename(directory.join(from), &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(KeyStoreError::Write { path: to, error });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What the names of a zone's files in `STATE/signatures/` begin with: a name has any bytes, so they
/// are called by its hash.
pub(crate) fn signatures_stem(zone: &DomainName) -> String {
    let hash = Sha256::digest(zone.as_wire());
    let hex: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("zone-{hex}")
}

fn make(directory: &Path) -> Result<(), KeyStoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| KeyStoreError::Write { path: directory.to_owned(), error })
}

/// Names of public and private files, each key once, in order.
fn key_files(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)?.take(FILES_MAX) {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let base = name.strip_suffix(".key").or_else(|| name.strip_suffix(".private"));
        names.extend(base.filter(|base| base.starts_with('K')).map(str::to_owned));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

enum ReadError {
    Gone,
    Bad(String),
}

fn read_state(path: &Path) -> Result<ZoneKeyState, ReadError> {
    let mut json = Vec::new();
    match regular_file::open(path).and_then(|file| file.take(STATE_MAX).read_to_end(&mut json)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReadError::Gone),
        Err(error) => return Err(ReadError::Bad(error.to_string())),
    }
    ZoneKeyState::from_json(&json).map_err(|error| ReadError::Bad(walrus_host::log::chain(&error)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use walrus_core::dnssec::{Algorithm, FLAG_SEP, FLAG_ZONE};

    use super::*;

    fn store() -> (tempfile::TempDir, KeyStore, DomainName) {
        let parent = tempfile::tempdir().unwrap();
        let store = KeyStore::new(parent.path());
        (parent, store, "example.com".parse().unwrap())
    }

    fn pair() -> KeyPair {
        KeyPair::generate(Algorithm::Ed25519, FLAG_ZONE | FLAG_SEP).unwrap()
    }

    #[test]
    fn keys_and_state_come_back_private_to_their_owner() {
        let (parent, store, zone) = store();
        assert!(store.load(&zone).pairs.is_empty() && store.load(&zone).state.is_none());
        let pair = pair();
        store.add(&zone, &pair).unwrap();
        let mut state = ZoneKeyState::empty(zone.clone());
        state.generation = 7;
        store.store_state(&state).unwrap();
        let found = store.load(&zone);
        assert_eq!(found.state, Some(state));
        assert_eq!(found.pairs.len(), 1);
        assert_eq!(found.pairs[0].public(), pair.public());
        assert_eq!(found.problems, Vec::<String>::new());
        let mode = std::fs::metadata(parent.path().join("keys/example.com")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o700);
        store.retire(&zone, pair.public()).unwrap();
        assert!(store.load(&zone).pairs.is_empty());
        let retired = parent.path().join("keys/example.com/retired");
        assert_eq!(std::fs::read_dir(retired).unwrap().count(), 2, "moved, not destroyed");
    }

    #[test]
    fn a_damaged_state_has_a_copy() {
        let (_parent, store, zone) = store();
        let state = ZoneKeyState::empty(zone.clone());
        store.store_state(&state).unwrap();
        let directory = store.directory_of(&zone);
        for name in STATE_FILES {
            store.store_state(&state).unwrap();
            std::fs::write(directory.join(name), "{").unwrap();
            let found = store.load(&zone);
            assert_eq!(found.state.as_ref(), Some(&state));
            assert!(found.problems.len() == 1 && found.problems[0].contains(name));
        }
    }

    #[test]
    fn what_is_wrong_with_a_key_is_told_and_the_others_are_used() {
        let (_parent, store, zone) = store();
        let (good, bad, halved) = (pair(), pair(), pair());
        for pair in [&good, &bad, &halved] {
            store.add(&zone, pair).unwrap();
        }
        let directory = store.directory_of(&zone);
        let file =
            |pair: &KeyPair, ending: &str| directory.join(base_name(&zone, pair.public()) + ending);
        std::fs::write(file(&bad, ".private"), "Private-key-format: v1.3\nAlgorithm: 8\n").unwrap();
        std::fs::remove_file(file(&halved, ".private")).unwrap();
        let found = store.load(&zone);
        assert_eq!(found.pairs.len(), 1);
        assert_eq!(found.pairs[0].public(), good.public());
        let told = found.problems.join("\n");
        assert!(told.contains("algorithm 8 is not supported"), "{told}");
        assert!(told.contains("cannot read") && told.contains("No such file"), "{told}");
    }

    /// Found at a start: opening a pipe waits until somebody writes.
    #[test]
    fn a_pipe_in_the_place_of_a_key_or_of_the_state_is_told_of() {
        let (_parent, store, zone) = store();
        let good = pair();
        store.add(&zone, &good).unwrap();
        let directory = store.directory_of(&zone);
        for name in ["Kexample.com.+015+00001.key", "Kexample.com.+015+00002.private", "state.json"]
        {
            let made = std::process::Command::new("mkfifo").arg(directory.join(name)).status();
            assert!(made.unwrap().success());
        }
        std::fs::write(directory.join("Kexample.com.+015+00002.key"), "; nothing").unwrap();
        let found = store.load(&zone);
        assert_eq!((found.pairs.len(), found.state, found.was_signed), (1, None, false));
        assert_eq!(found.problems.len(), 3, "{:?}", found.problems);
        assert!(found.problems[0].contains("no regular file"), "{:?}", found.problems);
    }

    #[test]
    fn no_zone_leaves_the_store() {
        let store = KeyStore::new(Path::new("/state"));
        for (zone, directory) in [
            ("example.com", "/state/keys/example.com"),
            ("a/b.example", "/state/keys/a%2Fb.example"),
            ("\\.\\..example", "/state/keys/%2E%2E.example"),
            (".", "/state/keys/.root"),
        ] {
            assert_eq!(store.directory_of(&zone.parse().unwrap()), Path::new(directory));
        }
    }
}
