//! Serials that were used, on the disk: after a restart none goes back.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use walrus_core::world::Digest;
use walrus_core::zone::Zone;
use walrus_dns::{DomainName, record_type};

/// In the state directory.
const FILE: &str = "serials.json";

/// What a zone was sent as last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Used {
    pub(super) serial: u32,
    /// Of all records but for the serial.
    pub(super) content: Digest,
}

/// All zones, by apex.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UsedSerials {
    pub(super) by_zone: BTreeMap<String, Used>,
}

impl UsedSerials {
    /// What the directory has. A file that cannot be read is told and counts as absent: then serials by time still
    /// never go back.
    pub(super) fn load(directory: Option<&Path>) -> Self {
        let Some(path) = directory.map(|directory| directory.join(FILE)) else {
            return Self::default();
        };
        let read = std::fs::read(&path)
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::other));
        match read {
            Ok(by_zone) => Self { by_zone },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::error!(
                    "{}: {error}; serials of transferred zones begin anew: look whether secondaries follow",
                    path.display()
                );
                Self::default()
            }
        }
    }

    pub(super) fn of(&self, apex: &DomainName) -> Option<&Used> {
        self.by_zone.get(&apex.to_string())
    }

    /// Puts serials on the disk before anybody sees them, all in one go: the file has every zone.
    ///
    /// # Errors
    /// If the disk refuses; the file is then as it was.
    pub(super) fn save(
        &mut self,
        directory: Option<&Path>,
        used: impl IntoIterator<Item = (DomainName, Used)>,
    ) -> io::Result<()> {
        let mut next = self.by_zone.clone();
        next.extend(used.into_iter().map(|(apex, used)| (apex.to_string(), used)));
        if next == self.by_zone {
            return Ok(());
        }
        if let Some(directory) = directory {
            let text = serde_json::to_vec_pretty(&next).map_err(io::Error::other)?;
            walrus_host::state::write_atomically(directory, FILE, 0o644, &text)?;
        }
        self.by_zone = next;
        Ok(())
    }
}

/// What a zone has, but for its serial.
pub(super) fn digest_of(zone: &Zone) -> Digest {
    let mut hash = Sha256::new();
    for record in zone.records() {
        let data = match record.record_type {
            record_type::SOA => &record.data[..record.data.len().saturating_sub(20)],
            _ => &record.data,
        };
        hash.update(record.name.as_wire());
        hash.update(record.record_type.to_be_bytes());
        hash.update(record.ttl.to_be_bytes());
        hash.update((data.len() as u64).to_be_bytes());
        hash.update(data);
    }
    Digest::of([&hash.finalize()[..]])
}

/// The serials with which these zones were sent last, for a start: who asks at once sees none that is older.
#[must_use]
pub fn used_serials(apexes: &[DomainName], state: &Path) -> BTreeMap<DomainName, u32> {
    if apexes.is_empty() {
        return BTreeMap::new();
    }
    let used = UsedSerials::load(Some(state));
    let known = apexes.iter().filter_map(|apex| Some((apex.clone(), used.of(apex)?.serial)));
    known.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use walrus_core::zone::zone_of_nameservers;

    #[test]
    fn serials_survive_and_a_damaged_file_is_told_and_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let apex: DomainName = "example.com".parse().unwrap();
        let zone = zone_of_nameservers(&apex, &["ns.example.net".parse().unwrap()]);
        let used = Used { serial: 7, content: digest_of(&zone) };
        let mut serials = UsedSerials::load(Some(directory.path()));
        let save = |serials: &mut UsedSerials, directory: &Path, used: &Used| {
            serials.save(Some(directory), [(apex.clone(), used.clone())])
        };
        save(&mut serials, directory.path(), &used).unwrap();
        assert_eq!(UsedSerials::load(Some(directory.path())), serials);
        let known = used_serials(std::slice::from_ref(&apex), directory.path());
        assert_eq!(known, BTreeMap::from([(apex.clone(), 7)]));
        assert_eq!(digest_of(&zone.with_serial(7)), used.content, "whatever its serial");
        assert_eq!(used_serials(&[], directory.path()), BTreeMap::new());
        std::fs::write(directory.path().join(FILE), b"{ half").unwrap();
        assert_eq!(UsedSerials::load(Some(directory.path())), UsedSerials::default());
        let gone = directory.path().join("gone");
        let before = serials.by_zone.clone();
        assert!(save(&mut serials, &gone, &Used { serial: 9, ..used }).is_err());
        assert_eq!(serials.by_zone, before, "nothing counts that is not on the disk");
    }
}
