//! The last zone that came, on the disk: a restart serves it until it expires, whether a primary
//! answers or not.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `WALZON01` |
//! | each record | length of its name (1), name, type (2), TTL (4), length (2), data |
//! | 1 | 0: no more records |
//! | 16 | the start of the SHA-256 of all before |
//!
//! Numbers are big-endian. Beside it a small file holds when a primary last said that this zone is the
//! newest, in seconds since 1970, and whether what is signed in it was kept: it changes at each refresh,
//! and a zone may be large.

use std::fs::{DirBuilder, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use walrus_core::transfer::SoaTimers;
use walrus_core::zone::{Zone, ZoneDraft};
use walrus_dns::{DomainName, record_type};
use walrus_host::regular_file;
use walrus_host::state::{write_atomically, write_stream_atomically};

use crate::keys::signatures_stem;

const MAGIC: &[u8; 8] = b"WALZON01";
const CHECK_LEN: usize = 16;
/// How a zone was kept: with what is signed in it, or without.
const SIGNED: &str = "signed";
const PLAIN: &str = "plain";
const BUFFER_LEN: usize = 256 << 10;

/// The directory where zones are kept.
#[derive(Clone, Debug)]
pub struct KeptZones {
    directory: PathBuf,
}

/// A zone that was kept.
#[derive(Clone, Debug)]
pub struct KeptZone {
    /// As it came.
    pub zone: Zone,
    /// When a primary last said that it is the newest, in seconds since 1970.
    pub checked: u64,
}

impl KeptZone {
    /// Whether it is too old to be served.
    #[must_use]
    pub fn is_expired(&self, unix_seconds: u64) -> bool {
        let soa = self.zone.set(self.zone.apex(), record_type::SOA);
        let timers = soa.and_then(|soa| SoaTimers::read(soa.data().next()?));
        let expire = timers.map_or(0, |timers| timers.lifetime().as_secs());
        self.checked.saturating_add(expire) <= unix_seconds
    }
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum KeptZoneError {
    /// It cannot be read.
    #[error("the zone {zone} that was kept in {path} cannot be read: {error}", path = path.display())]
    Read {
        /// Which.
        zone: DomainName,
        /// Its file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl KeptZones {
    /// Those in a state directory.
    #[must_use]
    pub fn in_state(state: &Path) -> Self {
        Self { directory: state.join("zones") }
    }

    /// Where they are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn zone_file(&self, apex: &DomainName) -> String {
        format!("{}.zone", signatures_stem(apex))
    }

    fn checked_file(&self, apex: &DomainName) -> String {
        format!("{}.checked", signatures_stem(apex))
    }

    /// The zone that was kept; `None` if there is none. Signatures in it are kept or left out.
    ///
    /// # Errors
    /// If it is damaged, or cannot be read: it is to be transferred anew.
    pub fn load(
        &self,
        apex: &DomainName,
        keeps_signatures: bool,
        memory_max: usize,
    ) -> Result<Option<KeptZone>, KeptZoneError> {
        let path = self.directory.join(self.zone_file(apex));
        let failed = |error| KeptZoneError::Read { zone: apex.clone(), path: path.clone(), error };
        let file = match regular_file::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let zone = read(file, ZoneDraft::new(apex.clone(), keeps_signatures, memory_max));
        Ok(Some(KeptZone {
            zone: zone.map_err(failed)?,
            checked: self.confirmed(apex).map_or(0, |(checked, _)| checked),
        }))
    }

    /// Removes what was kept of a zone.
    pub(super) fn forget(&self, apex: &DomainName) {
        for name in [self.checked_file(apex), self.zone_file(apex)] {
            let path = self.directory.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "not removed");
                }
                _ => {}
            }
        }
    }

    /// Files of other zones than these: those that were configured once, and are no longer. Nobody looks at them.
    #[must_use]
    pub fn others(&self, apexes: &[&DomainName]) -> Vec<PathBuf> {
        let ours: Vec<String> = apexes.iter().map(|apex| self.zone_file(apex)).collect();
        let files = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let is_other = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            name.ends_with(".zone") && !ours.iter().any(|ours| *ours == name)
        };
        let mut others: Vec<PathBuf> = files.map(|file| file.path()).filter(is_other).collect();
        others.sort();
        others
    }

    /// When a primary last said that the zone is the newest, and whether it was kept with what is signed
    /// in it.
    pub(super) fn confirmed(&self, apex: &DomainName) -> Option<(u64, bool)> {
        let path = self.directory.join(self.checked_file(apex));
        let text = regular_file::read_text(&path, 64).ok()?;
        let (checked, how) = text.trim().split_once(' ')?;
        Some((checked.parse().ok()?, how == SIGNED))
    }

    pub(super) fn store(&self, zone: &Zone, confirmed: (u64, bool)) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let name = self.zone_file(zone.apex());
        write_stream_atomically(&self.directory, &name, 0o600, |file| write(zone, file))?;
        self.store_confirmed(zone.apex(), confirmed)
    }

    pub(super) fn store_confirmed(
        &self,
        apex: &DomainName,
        (checked, keeps_signatures): (u64, bool),
    ) -> io::Result<()> {
        let how = if keeps_signatures { SIGNED } else { PLAIN };
        let text = format!("{checked} {how}\n");
        write_atomically(&self.directory, &self.checked_file(apex), 0o600, text.as_bytes())
    }
}

fn write(zone: &Zone, file: &mut impl Write) -> io::Result<()> {
    let mut file = Summed { file, hash: Sha256::new() };
    file.put(MAGIC)?;
    for record in zone.records() {
        let name = record.name.as_wire();
        let mut head = Vec::with_capacity(name.len() + 9 + record.data.len());
        // A name has at most 255 bytes, data at most 65,535.
        head.push(name.len() as u8);
        head.extend_from_slice(name);
        head.extend_from_slice(&record.record_type.to_be_bytes());
        head.extend_from_slice(&record.ttl.to_be_bytes());
        head.extend_from_slice(&(record.data.len() as u16).to_be_bytes());
        head.extend_from_slice(&record.data);
        file.put(&head)?;
    }
    file.put(&[0])?;
    let Summed { file, hash } = file;
    file.write_all(&hash.finalize()[..CHECK_LEN])
}

struct Summed<'f, W> {
    file: &'f mut W,
    hash: Sha256,
}

impl<W: Write> Summed<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }
}

/// Reads what was written, and what is summed up with it.
struct Source {
    file: BufReader<File>,
    hash: Sha256,
}

impl Source {
    fn take(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact(bytes)?;
        self.hash.update(bytes);
        Ok(())
    }
}

fn read(file: File, mut draft: ZoneDraft) -> io::Result<Zone> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
    let file = BufReader::with_capacity(BUFFER_LEN, file);
    let mut source = Source { file, hash: Sha256::new() };
    let mut magic = [0; MAGIC.len()];
    source.take(&mut magic)?;
    if magic != *MAGIC {
        return Err(damaged());
    }
    let mut data = Vec::new();
    loop {
        let mut len = [0];
        source.take(&mut len)?;
        let len = usize::from(len[0]);
        if len == 0 {
            break;
        }
        let mut name = [0; 255];
        source.take(&mut name[..len])?;
        let owner = DomainName::from_wire(&name[..len]).map_err(|_| damaged())?;
        let mut head = [0; 8];
        source.take(&mut head)?;
        let [t0, t1, s0, s1, s2, s3, l0, l1] = head;
        data.resize(usize::from(u16::from_be_bytes([l0, l1])), 0);
        source.take(&mut data)?;
        let record_type = u16::from_be_bytes([t0, t1]);
        let ttl = u32::from_be_bytes([s0, s1, s2, s3]);
        if !draft.push(&owner, record_type, ttl, &data) || draft.is_too_large() {
            return Err(damaged());
        }
    }
    let Source { mut file, hash } = source;
    let mut check = [0; CHECK_LEN];
    file.read_exact(&mut check)?;
    if check[..] != hash.finalize()[..CHECK_LEN] {
        return Err(damaged());
    }
    let problem = |problems: Vec<walrus_core::config::Problem>| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        io::Error::new(io::ErrorKind::InvalidData, first)
    };
    draft.finish("the zone that was kept").map(|read| read.zone).map_err(problem)
}

#[cfg(test)]
mod tests {
    use walrus_core::zone::read_zone;

    use super::*;

    fn zone() -> Zone {
        let text = "@ 60 SOA ns host 7 2 3 4 5\n@ 60 NS ns.x.\na 5 A 192.0.2.1\n* 60 TXT \"x y\"\n";
        read_zone("test", text.as_bytes(), &"z".parse().unwrap()).unwrap().zone
    }

    #[test]
    fn a_zone_comes_back_from_the_disk_and_a_damaged_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptZones::in_state(folder.path());
        let (zone, apex) = (zone(), "z".parse().unwrap());
        assert!(kept.load(&apex, true, 1 << 20).unwrap().is_none());
        kept.store(&zone, (1_700_000_000, true)).unwrap();
        let found = kept.load(&apex, true, 1 << 20).unwrap().unwrap();
        assert_eq!((found.zone, found.checked), (zone.clone(), 1_700_000_000));
        kept.store_confirmed(&apex, (1_700_000_500, false)).unwrap();
        assert_eq!(kept.confirmed(&apex), Some((1_700_000_500, false)));
        assert_eq!(kept.load(&apex, true, 1 << 20).unwrap().unwrap().checked, 1_700_000_500);
        let path = kept.directory.join(kept.zone_file(&apex));
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x11;
            std::fs::write(&path, bytes).unwrap();
            assert!(kept.load(&apex, true, 1 << 20).is_err(), "byte {at}");
            std::fs::write(&path, &good[..at]).unwrap();
            assert!(kept.load(&apex, true, 1 << 20).is_err(), "cut at {at}");
        }
        std::fs::write(&path, &good).unwrap();
        assert!(kept.load(&apex, true, 10).is_err(), "too large");
    }
}
