//! How the name server presents itself to clients, from the configuration and a file of secrets.

use std::io;
use std::path::{Path, PathBuf};

use walrus_core::answer::ServerOptions;
use walrus_core::config::DnsSettings;
use walrus_dns::{CookieSecret, CookieSecrets};
use walrus_host::regular_file;
use walrus_host::seed::{SeedError, secret_bytes};

/// Two secrets in hexadecimal, with some room for comments.
const FILE_BYTES_MAX: u64 = 4096;

/// Why there are no cookies.
#[derive(Debug, thiserror::Error)]
pub enum CookieSecretError {
    /// The file cannot be read.
    #[error("{path} with the secret of cookies cannot be read (`cookie_secret_file` of [dns])", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else.
    #[error(
        "{path}, line {line}: a secret of cookies is 32 hexadecimal digits: make one by `openssl rand \
         -hex 16`", path = path.display()
    )]
    NoSecret {
        /// The file.
        path: PathBuf,
        /// Which line.
        line: usize,
    },
    /// It holds none, or more than the one in force and another one.
    #[error(
        "{path} holds {count} secrets of cookies: write the one in force, and below it at most one \
         that is still honoured", path = path.display()
    )]
    Count {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
    },
    /// The operating system gives no random numbers.
    #[error("no random numbers for the secret of cookies")]
    Random(#[source] SeedError),
}

/// What replies say of this server.
///
/// # Errors
/// If there is to be a secret for cookies and none is found.
pub(crate) fn server_options(dns: &DnsSettings) -> Result<ServerOptions, CookieSecretError> {
    let secrets = || match &dns.cookie_secret_file {
        Some(path) => read_secrets(path),
        None => {
            let bits = secret_bytes().map_err(CookieSecretError::Random)?;
            Ok(CookieSecrets { current: CookieSecret::new(bits), other: None })
        }
    };
    Ok(ServerOptions {
        nsid: dns.nsid.as_ref().map(|nsid| nsid.as_bytes().into()),
        cookies: dns.cookies.then(secrets).transpose()?,
        idle: dns.tcp_idle,
        id: dns.id_server.as_deref().map(Into::into),
        version: dns.version.as_deref().map(Into::into),
    })
}

/// Whether cookies could be made with the secrets of a file.
///
/// # Errors
/// If it cannot be read, or holds anything but one or two of them.
pub fn check_cookie_secrets(path: &Path) -> Result<(), CookieSecretError> {
    read_secrets(path).map(|_| ())
}

/// The secrets of a file, one a line; what follows `#` is a comment.
fn read_secrets(path: &Path) -> Result<CookieSecrets, CookieSecretError> {
    let text = regular_file::read_text(path, FILE_BYTES_MAX)
        .map_err(|source| CookieSecretError::File { path: path.to_owned(), source })?;
    let mut secrets = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let digits = text.split_once('#').map_or(text, |(digits, _)| digits).trim();
        if digits.is_empty() {
            continue;
        }
        let wrong = || CookieSecretError::NoSecret { path: path.to_owned(), line };
        secrets.push(secret(digits).ok_or_else(wrong)?);
    }
    let count = secrets.len();
    let mut secrets = secrets.into_iter();
    match (secrets.next(), secrets.next(), secrets.next()) {
        (Some(current), other, None) => Ok(CookieSecrets { current, other }),
        _ => Err(CookieSecretError::Count { path: path.to_owned(), count }),
    }
}

fn secret(digits: &str) -> Option<CookieSecret> {
    let is_whole = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let bits = u128::from_str_radix(digits, 16).ok().filter(|_| is_whole)?;
    Some(CookieSecret::new(bits.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_secrets(&path).map_err(|error| error.to_string())
        };
        let one = "e5e973e5a6b2a43f48e7dc849e37bfcf";
        let other = "445536bcd2513298075a5d379663c962";
        let both = read(&format!("# in force\n{one}\n\n{other} # until March\n")).unwrap();
        assert_eq!((Some(both.current), both.other), (secret(one), secret(other)));
        assert_eq!(read(one).unwrap().other, None);
        for (text, expected) in [
            (String::new(), "holds 0 secrets"),
            (format!("{one}\n{one}\n{one}"), "holds 3 secrets"),
            (format!("{one}\n{one}0"), "line 2: a secret of cookies is 32 hexadecimal digits"),
            (format!("+{}", &one[1..]), "line 1:"),
        ] {
            let told = read(&text).unwrap_err();
            assert!(told.contains(expected), "{told}");
        }
    }
}
