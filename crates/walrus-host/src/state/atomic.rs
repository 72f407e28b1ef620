//! A file is either as it was or as it should be, also after a power cut.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes `name` in `directory`: a temporary file beside it, its bytes on the disk, then renamed,
/// then the directory on the disk. Costs two flushes; nothing is left behind if it fails.
///
/// # Errors
/// If the disk refuses; the file then is as it was.
pub fn write(directory: &Path, name: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
    write_stream(directory, name, mode, |file| file.write_all(bytes))
}

/// The same for what is too large to be put together in memory: `write` writes it bit by bit.
///
/// # Errors
/// If the disk refuses, or `write` fails; the file then is as it was.
pub fn write_stream(
    directory: &Path,
    name: &str,
    mode: u32,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = directory.join(format!(".{name}.new"));
    let written = write_through(&temporary, mode, write)
        .and_then(|()| std::fs::rename(&temporary, directory.join(name)));
    if let Err(error) = written {
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    File::open(directory)?.sync_all()
}

fn write_through(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    // Left over from a crash, perhaps with another mode: `mode` only counts for a new file.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    let mut file = BufWriter::new(file);
    write(&mut file)?;
    file.into_inner()?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn replaces_whole_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".a.new"), "left over").unwrap();
        write(directory.path(), "a", 0o600, b"one").unwrap();
        write(directory.path(), "a", 0o600, b"two").unwrap();
        assert_eq!(std::fs::read(directory.path().join("a")).unwrap(), b"two");
        let mode = std::fs::metadata(directory.path().join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_fails_half_way_leaves_the_file_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), "a", 0o600, b"one").unwrap();
        let failed = write_stream(directory.path(), "a", 0o600, |file| {
            file.write_all(&[b'x'; 100_000])?;
            Err(io::Error::other("full"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "full");
        assert_eq!(std::fs::read(directory.path().join("a")).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("a")).unwrap();
        assert!(write(directory.path(), "a", 0o600, b"x").is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
