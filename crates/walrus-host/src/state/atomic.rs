//! A file is either as it was or as it should be, also after a power cut.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes `name` in `directory`: a temporary file beside it, its bytes on the disk, then renamed,
/// then the directory on the disk. Costs two flushes; nothing is left behind if it fails.
///
/// # Errors
/// If the disk refuses; the file then is as it was.
pub fn write(directory: &Path, name: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!(".{name}.new"));
    let written = write_through(&temporary, mode, bytes)
        .and_then(|()| std::fs::rename(&temporary, directory.join(name)));
    if let Err(error) = written {
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    File::open(directory)?.sync_all()
}

fn write_through(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    // Left over from a crash, perhaps with another mode: `mode` only counts for a new file.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
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
    fn a_failure_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("a")).unwrap();
        assert!(write(directory.path(), "a", 0o600, b"x").is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
