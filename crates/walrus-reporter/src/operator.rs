//! Files with which the operator speaks through the Reporter: bypass and data version.

use std::io;
use std::path::Path;

use tokio::io::AsyncReadExt as _;

/// No more of a file is read; what is told is its first line.
const READ_MAX: u64 = 4096;
/// A reason or version longer than this is cut.
const CHARACTERS_MAX: usize = 200;

/// Why the operator wants this server bypassed, if the file exists. A file that cannot be read is
/// there all the same: its existence is what counts.
pub(crate) async fn bypass(path: &Path) -> Option<String> {
    match first_line(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Ok(Some(line)) => Some(line),
        Ok(None) | Err(_) => Some(format!("the operator's file {} exists", path.display())),
    }
}

/// The data version that the site has set, if any.
pub(crate) async fn version(path: &Path) -> Option<String> {
    first_line(path).await.ok().flatten()
}

async fn first_line(path: &Path) -> io::Result<Option<String>> {
    // Whatever else stands there (a pipe, say) might never come to an end.
    if !tokio::fs::metadata(path).await?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(READ_MAX).read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    Ok(line.map(|line| {
        line.chars().filter(|letter| !letter.is_control()).take(CHARACTERS_MAX).collect()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_file_is_the_wish_and_its_first_line_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bypass");
        assert_eq!(bypass(&path).await, None);
        std::fs::write(&path, "\n  new disk\u{7}  \nuntil noon\n").unwrap();
        assert_eq!(bypass(&path).await.as_deref(), Some("new disk"));
        std::fs::write(&path, "").unwrap();
        assert!(bypass(&path).await.unwrap().contains("exists"));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(bypass(&path).await.is_some());
        std::fs::write(&path, "x".repeat(10_000)).unwrap();
        assert_eq!(bypass(&path).await.unwrap().len(), CHARACTERS_MAX);
        assert!(bypass(folder.path()).await.is_some(), "a folder exists, too");
    }

    #[tokio::test]
    async fn a_version_is_the_first_line_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("version");
        assert_eq!(version(&path).await, None);
        std::fs::write(&path, "2026-11-22.3\n").unwrap();
        assert_eq!(version(&path).await.as_deref(), Some("2026-11-22.3"));
    }
}
