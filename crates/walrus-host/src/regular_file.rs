//! Files with keys, secrets and state are opened without waiting for anybody, and read up to a bound.
//!
//! A named pipe would keep whoever opens it until somebody writes, and a device may give anything:
//! neither holds a key or a signature, and neither may keep a node from starting.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Opens a file for reading, if it is one.
///
/// # Errors
/// If it cannot be opened, or is a directory, a pipe, a socket or a device.
pub fn open(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    // Of what was opened: the path may lead elsewhere by now.
    if !file.metadata()?.is_file() {
        let text = "it is no regular file (a directory, a pipe or a device): move it away";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(file)
}

/// The text of a file of at most so many bytes.
///
/// # Errors
/// As [`open`], and if it is longer or no text.
pub fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.take(bytes_max.saturating_add(1)).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        let text = format!("it is longer than {bytes_max} bytes: it is another file");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_files_is_opened_and_nobody_waited_for() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        for path in [&*path, parent.path(), Path::new("/dev/zero")] {
            let refused = open(path).unwrap_err().to_string();
            assert!(refused.contains("no regular file"), "{}: {refused}", path.display());
        }
        let file = parent.path().join("file");
        std::fs::write(&file, "content").unwrap();
        let mut text = String::new();
        open(&file).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "content");
        assert_eq!(read_text(&file, 7).unwrap(), "content");
        assert!(read_text(&file, 6).unwrap_err().to_string().contains("longer than 6 bytes"));
    }
}
