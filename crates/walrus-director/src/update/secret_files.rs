//! The keys' files of all name servers of a node, and their reading, on one thread each at most.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::base::name::{Name, ToName as _};
use domain::tsig::{Algorithm, Key, KeyName};
use walrus_core::config::{TsigAlgorithm, TsigKey};
use walrus_core::update::Failure;
use walrus_host::one_thread::OneThread;

use super::secret::{is_open_to_others, read_secret};

/// Files that are remembered: more than a node has name servers.
const FILES_MAX: usize = 4096;

/// Files that hold keys. Cheap to clone; clones share what is known.
#[derive(Clone, Debug, Default)]
pub struct SecretFiles {
    files: Arc<Mutex<BTreeMap<PathBuf, Arc<SecretFile>>>>,
}

/// One of them.
#[derive(Debug, Default)]
struct SecretFile {
    reader: OneThread,
    /// Somebody was told that others can read it.
    is_told: AtomicBool,
}

impl SecretFiles {
    /// The key with the secret that its file holds now.
    pub(super) async fn load(&self, key: &TsigKey, wait: Duration) -> Result<Key, Failure> {
        let file = self.file(&key.secret_file);
        let (key, read) = (key.clone(), file.clone());
        let loaded = file.reader.within(wait, move || {
            if is_open_to_others(&key.secret_file) && !read.is_told.swap(true, Ordering::Relaxed) {
                let path = key.secret_file.display();
                tracing::warn!("{path} can be read by every user of this machine: chmod 600 it");
            }
            load_key(&key)
        });
        let late =
            || Failure::Secret("its file cannot be read in time: does its disk hang?".to_owned());
        loaded.await.ok_or_else(late)?
    }

    fn file(&self, path: &Path) -> Arc<SecretFile> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if files.len() >= FILES_MAX {
            // Of what reloads took out.
            files.retain(|_, file| Arc::strong_count(file) > 1);
        }
        files.entry(path.to_owned()).or_default().clone()
    }
}

fn load_key(key: &TsigKey) -> Result<Key, Failure> {
    let secret = read_secret(key).map_err(|error| Failure::Secret(error.to_string()))?;
    let algorithm = match key.algorithm {
        TsigAlgorithm::HmacSha256 => Algorithm::Sha256,
        TsigAlgorithm::HmacSha384 => Algorithm::Sha384,
        TsigAlgorithm::HmacSha512 => Algorithm::Sha512,
    };
    let unusable = |why: &str| Failure::Secret(why.to_owned());
    let name: KeyName = Name::from_octets(key.name.as_wire())
        .ok()
        .and_then(|name| name.try_to_name().ok())
        .ok_or_else(|| unusable("its name is too long"))?;
    Key::new(algorithm, &secret, name, None, None).map_err(|error| unusable(&error.to_string()))
}
