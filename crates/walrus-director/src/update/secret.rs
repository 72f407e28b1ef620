//! The secret of a TSIG key: from a file as people and other programs write it.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use domain::utils::base64;
use walrus_core::config::TsigKey;
use walrus_host::regular_file;
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
    /// It holds several keys, none of which is meant.
    #[error(
        "{path} holds {count} keys, but none of the name \"{key}\": name one of them in `key`",
        path = path.display()
    )]
    OtherKeys {
        /// The file.
        path: PathBuf,
        /// How many it holds.
        count: usize,
        /// The name that is looked for.
        key: String,
    },
}

/// The secret in the key's file: base64 alone, or that of the key of this name, as BIND or Knot DNS
/// write it; of one key alone whatever its name.
///
/// # Errors
/// If the file cannot be read, or has no secret.
pub fn read_secret(key: &TsigKey) -> Result<Vec<u8>, SecretError> {
    let path = &key.secret_file;
    let text = regular_file::read_text(path, FILE_BYTES_MAX)
        .map_err(|error| SecretError::File { path: path.clone(), error })?;
    let secrets = secrets(&text);
    let is_meant = |name: &str| {
        let (name, own) = (name.trim_end_matches('.'), key.name.to_string());
        name.eq_ignore_ascii_case(own.trim_end_matches('.'))
    };
    let meant = secrets.iter().find(|(name, _)| is_meant(name));
    let secret = match (&secrets[..], meant) {
        (_, Some((_, secret))) | ([(_, secret)], None) => secret,
        ([], None) => text.trim(),
        (several, None) => {
            let (path, count) = (path.clone(), several.len());
            return Err(SecretError::OtherKeys { path, count, key: key.name.to_string() });
        }
    };
    let secret: Option<Vec<u8>> = base64::decode(secret).ok();
    let secret = secret.filter(|secret| !secret.is_empty());
    secret.ok_or_else(|| SecretError::NoSecret { path: path.clone() })
}

/// The same in base64.
///
/// # Errors
/// As [`read_secret`].
pub fn read_secret_text(key: &TsigKey) -> Result<String, SecretError> {
    Ok(base64::encode_string(&read_secret(key)?))
}

/// Each key's name and secret, as BIND and Knot DNS write them.
fn secrets(text: &str) -> Vec<(&str, &str)> {
    let (mut secrets, mut name, mut rest) = (Vec::new(), "", text);
    while let Some(word) = next_word(&mut rest, false) {
        match word {
            "key" | "id" => {
                let mut after = rest;
                // Knot's `key:` begins a list.
                if let Some(word) = next_word(&mut after, false).filter(|word| *word != "-") {
                    (name, rest) = (word, after);
                }
            }
            "secret" => secrets.extend(next_word(&mut rest, true).map(|secret| (name, secret))),
            _ => {}
        }
    }
    secrets
}

/// The next word, without quotes and comments. A secret may begin as a comment of BIND's does.
fn next_word<'t>(rest: &mut &'t str, is_secret: bool) -> Option<&'t str> {
    let is_between = |c: char| matches!(c, '"' | '\'' | ';' | '{' | '}' | ':') || c.is_whitespace();
    loop {
        let from = rest.trim_start_matches(is_between);
        let end = if from.starts_with('#') || (from.starts_with("//") && !is_secret) {
            from.find('\n')
        } else if from.starts_with("/*") {
            from.find("*/").map(|at| at + 2)
        } else {
            let len = from.find(is_between).unwrap_or(from.len());
            let (word, after) = from.split_at(len);
            *rest = after;
            return (!word.is_empty()).then_some(word);
        };
        *rest = &from[end.unwrap_or(from.len())..];
    }
}

/// Makes a file with a new secret if there is none; `true` if it was made. Only its owner may read it.
///
/// # Errors
/// If it cannot be written.
pub fn make_secret_file(key: &TsigKey) -> Result<bool, SecretError> {
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
