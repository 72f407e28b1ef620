//! A look at a zone's journal from outside, which changes nothing: whether the zone lives in it, and what it says.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use walrus_core::dynamic::{JournalBegin, JournalEntry, read_journal};
use walrus_core::zone::Zone;
use walrus_dns::DomainName;
use walrus_host::log::chain;

use super::journal::journal_path;

/// What a look at a journal shows.
#[derive(Clone, Debug)]
pub struct JournalLook {
    path: PathBuf,
    apex: DomainName,
    counts: bool,
    text: Vec<u8>,
}

impl JournalLook {
    /// Looks at a zone's journal in a state directory; `None` if there is none. It costs some reads a megabyte.
    #[must_use]
    pub fn open(state: &Path, apex: &DomainName) -> Option<Self> {
        let path = journal_path(state, apex);
        let (counts, text) = match look(&path, apex) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            // Whatever it says, it says more than a file of long ago.
            Err(_) => (true, Vec::new()),
        };
        Some(Self { path, apex: apex.clone(), counts, text })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the zone has been updated, so that what it was loaded from counts no longer.
    #[must_use]
    pub const fn counts(&self) -> bool {
        self.counts
    }

    /// Names the text that the zone was loaded from before the first update; empty if that is not known.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The zone as the journal has it.
    ///
    /// # Errors
    /// If it cannot be read or is damaged.
    pub fn zone(&self) -> Result<Zone, String> {
        let failed =
            |error: &dyn std::error::Error| format!("{}: {}", self.path.display(), chain(error));
        let bytes = std::fs::read(&self.path).map_err(|error| failed(&error))?;
        let content = read_journal(&bytes, &self.apex).map_err(|error| failed(&error))?;
        Ok(content.zone)
    }
}

/// Whether it counts, and the name of what the zone was loaded from.
fn look(path: &Path, apex: &DomainName) -> io::Result<(bool, Vec<u8>)> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut head = vec![0; JournalBegin::LEN_MAX.min(usize::try_from(len).unwrap_or(usize::MAX))];
    file.read_exact_at(&mut head, 0)?;
    let begin = JournalBegin::read(&head, apex).map_err(io::Error::other)?;
    if !begin.is_as_loaded {
        return Ok((true, begin.text));
    }
    let mut place = begin.len as u64;
    loop {
        let mut head = [0; JournalEntry::HEAD_LEN];
        file.read_exact_at(&mut head, place)?;
        let entry = JournalEntry::read(&head);
        place += entry.len;
        if entry.ends_base {
            break;
        }
    }
    if place == len {
        return Ok((false, begin.text));
    }
    // A change, or one that was not written to its end.
    let content = read_journal(&std::fs::read(path)?, apex).map_err(io::Error::other)?;
    Ok((!content.is_as_loaded, begin.text))
}

#[cfg(test)]
mod tests {
    use walrus_core::dynamic::{JournalChange, write_base, write_change};
    use walrus_core::zone::read_zone;

    use super::*;

    #[test]
    fn a_zone_lives_in_its_journal_from_the_first_whole_change_on() {
        let state = tempfile::tempdir().unwrap();
        let apex: DomainName = "example".parse().unwrap();
        assert!(JournalLook::open(state.path(), &apex).is_none());
        let mut lines = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns.example.net.\n".to_owned();
        (0..20_000)
            .for_each(|number| lines.push_str(&format!("host{number} 60 TXT \"{number:0>40}\"\n")));
        let read = |text: &str| read_zone("zone", text.as_bytes(), &apex).unwrap().zone;
        let zone = read(&lines);
        let next = read(&lines.replace("host 1 2", "host 2 2").replace("host7 60", "other 60"));
        let mut bytes: Vec<u8> = write_base(&zone, true, b"name of a text").flatten().collect();
        let base = bytes.len();
        let by = JournalChange { at: 1, key: apex.clone() };
        let change = zone.difference_to(&next);
        write_change(&mut bytes, (base as u64, base as u64), &by, &change);
        let path = journal_path(state.path(), &apex);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        for (len, counts) in
            [(base, false), (bytes.len() - 1, false), (bytes.len(), true), (base - 1, true)]
        {
            std::fs::write(&path, &bytes[..len]).unwrap();
            let look = JournalLook::open(state.path(), &apex).unwrap();
            assert_eq!(look.counts(), counts, "{len}");
            if len >= base {
                assert_eq!(look.text(), b"name of a text");
                let expected = if counts { &next } else { &zone };
                assert_eq!(look.zone().unwrap().serial(), expected.serial());
            } else {
                assert!(look.zone().unwrap_err().contains("not whole"));
            }
        }
    }
}
