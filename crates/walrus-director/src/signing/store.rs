//! Signatures on the disk: one file for the answer sets of all services, one for each signed zone.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `WALSIG01` |
//! | 8 | the time that they were made for, in seconds since 1970 |
//! | 8 | how many there are |
//! | 84 each | id (16), expiry (4), signature (64), in the order of ids |
//! | 16 | the start of the SHA-256 of all before |
//!
//! Numbers are big-endian. Files are replaced whole. One that is damaged is told of and made anew:
//! a signature that is lost costs the making of another.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use walrus_core::dnssec::{SignRequest, Signature, SignatureId};
use walrus_dns::DomainName;
use walrus_host::state::write_stream_atomically;

use crate::keys::{COPY, signatures_stem};
use walrus_host::regular_file;

const MAGIC: &[u8; 8] = b"WALSIG01";
const HEAD_LEN: usize = 24;
const ENTRY_LEN: usize = 84;
const CHECK_LEN: usize = 16;

/// Longer files are not ours: five million signatures.
const FILE_LEN_MAX: u64 = 420 << 20;

/// What is read at once: a file of a million names is larger than the memory for it should be.
const BUFFER_LEN: usize = 256 << 10;

/// Where signatures are kept, if anywhere.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    directory: Option<PathBuf>,
    /// What the disk did not take, by the file's name, to be tried again. As much memory as the
    /// files would take: 84 bytes a signature.
    unsaved: Arc<Mutex<BTreeMap<String, Kept>>>,
}

/// A signature with what names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) id: SignatureId,
    /// Seconds since 1970, as in the RRSIG record.
    pub(crate) expiry: u32,
    pub(crate) signature: Signature,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The time that they were made for, in seconds since 1970; 0 if there are none.
    pub(crate) time: u64,
    /// In the order of ids.
    pub(crate) entries: Vec<Entry>,
}

impl Entry {
    pub(crate) fn of(request: &SignRequest, signature: Signature) -> Self {
        // An RRSIG's data begins with type, algorithm, labels and TTL (RFC 4034 section 3.1).
        let expiry = request.bytes.get(8..).and_then(<[u8]>::first_chunk::<4>);
        let expiry = expiry.map_or(0, |bytes| u32::from_be_bytes(*bytes));
        Self { id: request.id, expiry, signature }
    }
}

impl Kept {
    pub(crate) fn get(&self, id: SignatureId) -> Option<&Signature> {
        let place = self.entries.binary_search_by_key(&id, |entry| entry.id).ok()?;
        Some(&self.entries[place].signature)
    }

    /// Puts the entries in order, one of each id.
    pub(crate) fn new(time: u64, mut entries: Vec<Entry>) -> Self {
        // Those of the same id are the same signature; sorting in place takes no memory.
        entries.sort_unstable_by_key(|entry| entry.id);
        entries.dedup_by_key(|entry| entry.id);
        Self { time, entries }
    }
}

impl Store {
    /// Makes the directory if it is not there. Without one nothing is kept.
    pub(crate) fn open(directory: Option<PathBuf>) -> Self {
        if let Some(path) = &directory
            && let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(path)
        {
            tracing::warn!(
                directory = %path.display(), %error,
                "signatures cannot be kept there: until they can, a start signs everything anew"
            );
        }
        Self { directory, unsaved: Arc::default() }
    }

    /// What was kept of a zone's static sets, or (`None`) of all services. A file that is damaged
    /// counts as absent.
    pub(crate) fn load(&self, zone: Option<&DomainName>) -> Kept {
        let Some(directory) = &self.directory else { return Kept::default() };
        let path = directory.join(file_name(zone));
        match read(&path) {
            Ok(Some(kept)) => return kept,
            Ok(None) => tracing::warn!(
                file = %path.display(), "kept signatures are damaged, and are made anew"
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(
                file = %path.display(), %error, "kept signatures cannot be read, and are made anew"
            ),
        }
        Kept::default()
    }

    /// Keeps these signatures in place of those before. What the disk does not take is tried again
    /// by [`Self::save_again`].
    pub(crate) fn save(&self, zone: Option<&DomainName>, kept: Kept) {
        let Some(directory) = &self.directory else { return };
        let (name, mut unsaved) = (file_name(zone), self.unsaved());
        match write(directory, &name, &kept) {
            Ok(()) => {
                unsaved.remove(&name);
            }
            Err(error) => {
                let file = directory.join(&name);
                if unsaved.insert(name, kept).is_none() {
                    tracing::warn!(
                        file = %file.display(), %error,
                        "signatures are not kept (is the disk full?): it is tried again every \
                         minute; a start before that makes them anew"
                    );
                }
            }
        }
    }

    /// Tries again to keep what could not be kept before.
    pub(crate) fn save_again(&self) {
        let Some(directory) = &self.directory else { return };
        self.unsaved().retain(|name, kept| {
            let is_kept = write(directory, name, kept).is_ok();
            if is_kept {
                let file = directory.join(name);
                tracing::info!(file = %file.display(), "signatures are kept again");
            }
            !is_kept
        });
    }

    /// Held while files are written, so that nothing older replaces what is newer.
    fn unsaved(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets zones that are no longer signed.
    pub(crate) fn forget_others<'a>(&self, zones: impl Iterator<Item = &'a DomainName>) {
        let Some(directory) = &self.directory else { return };
        let wanted: Vec<String> =
            zones.map(|zone| file_name(Some(zone))).chain([file_name(None)]).collect();
        self.unsaved().retain(|name, _| wanted.contains(name));
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let copy_of = name.strip_suffix(COPY).map(|stem| format!("{stem}signatures"));
            let file = copy_of.as_deref().unwrap_or(&name);
            if file.ends_with(".signatures") && !wanted.iter().any(|wanted| wanted == file) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

fn write(directory: &Path, name: &str, kept: &Kept) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    write_stream_atomically(directory, name, 0o600, |file| write_entries(file, kept))
}

fn file_name(zone: Option<&DomainName>) -> String {
    let Some(zone) = zone else { return "services.signatures".to_owned() };
    format!("{}.signatures", signatures_stem(zone))
}

/// Writes what a file holds, entry by entry.
fn write_entries(file: &mut impl Write, kept: &Kept) -> io::Result<()> {
    let mut file = Summed { file, hash: Sha256::new() };
    file.put(MAGIC)?;
    file.put(&kept.time.to_be_bytes())?;
    file.put(&(kept.entries.len() as u64).to_be_bytes())?;
    for entry in &kept.entries {
        let mut bytes = [0; ENTRY_LEN];
        bytes[..16].copy_from_slice(&entry.id.0);
        bytes[16..20].copy_from_slice(&entry.expiry.to_be_bytes());
        bytes[20..].copy_from_slice(&entry.signature);
        file.put(&bytes)?;
    }
    let check = file.hash.finalize();
    file.file.write_all(&check[..CHECK_LEN])
}

/// Reads what a file holds, entry by entry; `None` if it is damaged.
fn read(path: &Path) -> io::Result<Option<Kept>> {
    let file = regular_file::open(path)?;
    let len = file.metadata()?.len();
    let around = (HEAD_LEN + CHECK_LEN) as u64;
    let Some(entries_len) = len.checked_sub(around).filter(|_| len <= FILE_LEN_MAX) else {
        return Ok(None);
    };
    let file = BufReader::with_capacity(BUFFER_LEN, file);
    match read_entries(&mut Summed { file, hash: Sha256::new() }, entries_len) {
        // Shorter than it was a moment ago.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        read => read,
    }
}

fn read_entries(file: &mut Summed<BufReader<File>>, entries_len: u64) -> io::Result<Option<Kept>> {
    let [magic, time, count] = [file.take::<8>()?, file.take::<8>()?, file.take::<8>()?];
    let count = u64::from_be_bytes(count);
    if magic != *MAGIC || count.checked_mul(ENTRY_LEN as u64) != Some(entries_len) {
        return Ok(None);
    }
    // The file is as long as that, and no longer than it may be.
    let mut entries: Vec<Entry> = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for _ in 0..count {
        let id = SignatureId(file.take()?);
        if entries.last().is_some_and(|before| before.id >= id) {
            return Ok(None);
        }
        let expiry = u32::from_be_bytes(file.take()?);
        entries.push(Entry { id, expiry, signature: file.take()? });
    }
    let sum = file.hash.finalize_reset();
    let is_whole = file.take::<CHECK_LEN>()? == sum[..CHECK_LEN];
    Ok(is_whole.then_some(Kept { time: u64::from_be_bytes(time), entries }))
}

/// A file and the hash of what went through.
struct Summed<F> {
    file: F,
    hash: Sha256,
}

impl<W: Write> Summed<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }
}

impl<R: Read> Summed<R> {
    fn take<const LEN: usize>(&mut self) -> io::Result<[u8; LEN]> {
        let mut bytes = [0; LEN];
        self.file.read_exact(&mut bytes)?;
        self.hash.update(bytes);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u8) -> Entry {
        Entry { id: SignatureId([number; 16]), expiry: 7, signature: [number; 64] }
    }

    #[test]
    fn what_is_kept_comes_back_and_a_damaged_file_counts_as_absent() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("signatures");
        let store = Store::open(Some(directory.clone()));
        let zone: DomainName = "walrus.example".parse().unwrap();
        assert_eq!(store.load(Some(&zone)), Kept::default());
        let kept = Kept::new(99, vec![entry(2), entry(1), entry(2)]);
        assert_eq!(kept.entries, [entry(1), entry(2)]);
        store.save(Some(&zone), kept.clone());
        store.save(None, Kept::new(1, vec![entry(9)]));
        assert_eq!(store.load(Some(&zone)), kept);
        assert_eq!(store.load(None).get(SignatureId([9; 16])), Some(&[9; 64]));
        let path = directory.join(file_name(Some(&zone)));
        let whole = std::fs::read(&path).unwrap();
        for (at, byte) in whole.iter().enumerate() {
            let mut damaged = whole.clone();
            damaged[at] = !byte;
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(store.load(Some(&zone)), Kept::default(), "byte {at}");
        }
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            assert_eq!(store.load(Some(&zone)), Kept::default(), "cut at {len}");
        }
        store.save(Some(&zone), kept.clone());
        assert_eq!(store.load(Some(&zone)), kept);
        store.forget_others([].into_iter());
        assert!(!path.exists() && directory.join(file_name(None)).exists());
    }

    #[test]
    fn what_the_disk_does_not_take_is_tried_again() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("signatures");
        std::fs::write(&directory, "in the way").unwrap();
        let store = Store::open(Some(directory.clone()));
        let zone: DomainName = "walrus.example".parse().unwrap();
        let kept = Kept::new(2, vec![entry(2)]);
        store.save(Some(&zone), Kept::new(1, vec![entry(1)]));
        store.save(Some(&zone), kept.clone());
        store.save(None, kept.clone());
        store.save_again();
        std::fs::remove_file(&directory).unwrap();
        store.clone().save_again();
        assert_eq!((store.load(Some(&zone)), store.load(None)), (kept.clone(), kept));
        assert!(store.unsaved().is_empty());
    }

    #[test]
    fn without_a_directory_nothing_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        std::fs::write(&file, "").unwrap();
        for directory in [None, Some(file)] {
            let store = Store::open(directory);
            store.save(None, Kept::new(1, vec![entry(1)]));
            assert_eq!(store.load(None), Kept::default());
        }
    }
}
