//! The secret of a TSIG key: from a file as people and other programs write it.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use domain::utils::base64;
use walrus_core::config::UpdateKey;
use walrus_host::seed::secret_bytes;

/// A file of keys is some hundred bytes long.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read or made.
    #[error("{path} cannot be used: {error}; make it by `walrus setup`", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It holds something else.
    #[error(
        "{path} holds no secret: write it as base64 alone, or as `tsig-keygen` prints it",
        path = path.display()
    )]
    NoSecret {
        /// The file.
        path: PathBuf,
    },
}

/// The secret in the key's file: base64 alone, BIND's `secret "...";` or Knot's `secret: ...`.
///
/// # Errors
/// If the file cannot be read, or has no secret.
pub fn read_secret(key: &UpdateKey) -> Result<Vec<u8>, SecretError> {
    let path = &key.secret_file;
    let failed = |error| SecretError::File { path: path.clone(), error };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        return Err(SecretError::NoSecret { path: path.clone() });
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    secret(&text).ok_or_else(|| SecretError::NoSecret { path: path.clone() })
}

/// The same in base64.
///
/// # Errors
/// As [`read_secret`].
pub fn read_secret_text(key: &UpdateKey) -> Result<String, SecretError> {
    Ok(base64::encode_string(&read_secret(key)?))
}

fn secret(text: &str) -> Option<Vec<u8>> {
    let is_quote = |c: char| matches!(c, '"' | '\'' | ';' | '}') || c.is_whitespace();
    let word = match text.split_once("secret") {
        Some((_, after)) => {
            after.trim_start_matches(|c: char| c == ':' || is_quote(c)).split(is_quote).next()?
        }
        None => text.trim(),
    };
    base64::decode(word).ok().filter(|secret: &Vec<u8>| !secret.is_empty())
}

/// Makes a file with a new secret if there is none; `true` if it was made. Only its owner may read it.
///
/// # Errors
/// If it cannot be written.
pub fn make_secret_file(key: &UpdateKey) -> Result<bool, SecretError> {
    let path: &Path = &key.secret_file;
    let failed = |error| SecretError::File { path: path.to_owned(), error };
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    let secret = secret_bytes::<32>().map_err(|error| failed(std::io::Error::other(error)))?;
    let text = base64::encode_string(&secret[..]);
    writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(true)
}

/// Whether others than its owner can read the file.
pub(super) fn is_open_to_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 0o007 != 0)
}
