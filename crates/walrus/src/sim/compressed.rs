//! Compressed files where plain ones are wanted: told with what to write instead.

use std::io::{self, Read};
use std::path::Path;

use crate::cli::Failure;

/// How files begin, by what they are compressed with, and what unpacks them.
const BEGINNINGS: [(&[u8], &str, &str); 4] = [
    (b"\x1f\x8b", "gzip", "zcat"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstdcat"),
    (b"\xfd7zXZ\0", "xz", "xzcat"),
    (b"BZh", "bzip2", "bzcat"),
];

/// The longest of them.
const LONGEST: u64 = 6;

/// The first bytes of what is read, as many as tell; fewer only if there are no more.
pub(super) fn beginning(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Refuses a log that begins like a compressed file.
pub(super) fn check_log(path: &Path, beginning: &[u8]) -> Result<(), Failure> {
    let Some((name, unpack)) = compression(beginning) else { return Ok(()) };
    let path = path.display();
    Err(Failure::CouldNot(format!(
        "{path} is compressed ({name}): {unpack} {path} | walrus sim replay --queries - ..."
    )))
}

/// Why a file of a journal is none.
pub(super) fn of_journal(path: &Path, beginning: &[u8]) -> Option<String> {
    let (name, unpack) = compression(beginning)?;
    let path = path.display();
    Some(format!(
        "{path} is compressed ({name}): unpack it ({unpack} {path} > journal.jsonl) and name that"
    ))
}

fn compression(beginning: &[u8]) -> Option<(&'static str, &'static str)> {
    let found = BEGINNINGS.iter().find(|(begins, ..)| beginning.starts_with(begins));
    found.map(|(_, name, unpack)| (*name, *unpack))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a pipe may give it.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let len = into.len().min(1);
            self.0.read(&mut into[..len])
        }
    }

    #[test]
    fn a_beginning_is_whole_however_it_comes() {
        assert_eq!(beginning(Dripping(b"\xfd7zXZ\0more")).unwrap(), b"\xfd7zXZ\0");
        assert_eq!(beginning(Dripping(b"{}")).unwrap(), b"{}");
        assert!(BEGINNINGS.iter().all(|(begins, ..)| begins.len() as u64 <= LONGEST));
    }

    #[test]
    fn compressed_files_are_known_by_their_beginning() {
        let path = Path::new("log.gz");
        for (beginning, word) in [
            (&b"\x1f\x8b\x08"[..], "zcat log.gz"),
            (b"\x28\xb5\x2f\xfd\0", "zstdcat"),
            (b"\xfd7zXZ\0\0", "xzcat"),
            (b"BZh9", "bzcat"),
        ] {
            let Err(Failure::CouldNot(told)) = check_log(path, beginning) else { panic!("{word}") };
            assert!(told.contains(word) && told.contains("--queries -"), "{told}");
            assert!(of_journal(path, beginning).unwrap().contains(word));
        }
        for plain in [&b""[..], b"{", b"\0\0\0\0", b"\x1f"] {
            assert!(check_log(path, plain).is_ok());
        }
    }
}
