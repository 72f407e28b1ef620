//! Keys in BIND's files: `Kzone.+013+12345.key` (public) and `.private` (private-key-format v1.3),
//! as `dnssec-keygen`, `ldns-keygen` and `keymgr` read and write them.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use domain::utils::base64;
use walrus_core::dnssec::{Algorithm, DnsKey, DnsKeyError};
use walrus_dns::DomainName;
use walrus_host::state::write_atomically;

use super::key_pair::PRIVATE_LEN;
use super::{KeyPair, KeyPairError};
use walrus_host::regular_file;

/// A key's file is some hundred bytes.
const FILE_MAX: u64 = 64 << 10;

/// A pair of files of one key, read and found to belong together.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    /// The zone that the public file names.
    pub zone: DomainName,
    /// The key.
    pub pair: KeyPair,
    /// For the log: what should be put right.
    pub warnings: Vec<String>,
}

/// Why files hold no key that can be used, or were not written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Gone, or not to be read.
    #[error("cannot read {path}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
    /// A name that is none of a key's files.
    #[error(
        "{path} is no key's file: give `Kzone.+013+12345`, with .key, .private or neither",
        path = .0.display()
    )]
    Name(PathBuf),
    /// Not a file of this kind.
    #[error("{path} is no {what}: {problem}", path = .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A key that cannot sign here.
    #[error("{path}", path = .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: DnsKeyError,
    },
    /// The disk refuses.
    #[error("cannot write {path} (is the disk full, or the directory not ours?)", path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
    /// Files of this name hold something else.
    #[error("{path} or its .private is there already and holds something else: move both away", path = .0.display())]
    Taken(PathBuf),
    /// The halves differ.
    #[error("{path}", path = .path.display())]
    Pair {
        /// The private file.
        path: PathBuf,
        /// Why.
        #[source]
        error: KeyPairError,
    },
}

/// `Kexample.com.+013+05779`: what the names of a key's files begin with.
#[must_use]
pub fn base_name(zone: &DomainName, key: &DnsKey) -> String {
    let zone = file_text(zone);
    format!("K{zone}.+{:03}+{:05}", key.algorithm().number(), key.tag())
}

/// A zone in a file's name: what is no letter, digit, hyphen or underscore stands as `%2F`, as
/// BIND writes it; empty for the root.
pub(crate) fn file_text(zone: &DomainName) -> String {
    let labels: Vec<String> = zone.labels().map(label_text).collect();
    labels.join(".")
}

fn label_text(label: &[u8]) -> String {
    let mut text = String::new();
    for byte in label {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(*byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

impl KeyFiles {
    /// Reads both files of a key. `path` is that of either, or of both without an ending.
    ///
    /// # Errors
    /// If one is gone, unreadable or damaged, is of an algorithm that Walrus does not sign with, or
    /// they do not belong together.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let (public_path, private_path) = both(path)?;
        let (zone, public) = parse_public(&public_path, &read_text(&public_path)?)?;
        let (algorithm, private) = parse_private(&private_path, &read_text(&private_path)?)?;
        if algorithm != public.algorithm() {
            let tag = public.tag();
            let error = KeyPairError::Mismatch { tag };
            return Err(KeyFileError::Pair { path: private_path, error });
        }
        let pair = KeyPair::from_parts(public, &private)
            .map_err(|error| KeyFileError::Pair { path: private_path.clone(), error })?;
        Ok(Self { zone, pair, warnings: too_open(&private_path).into_iter().collect() })
    }

    /// Writes both files of a key into a directory, the private one first and readable by nobody
    /// else: a public file stands only beside a private one. Writing the same again is fine.
    ///
    /// # Errors
    /// If files of that name hold another key (two keys may share a tag), or the disk refuses.
    pub fn write(directory: &Path, zone: &DomainName, pair: &KeyPair) -> Result<(), KeyFileError> {
        let base = base_name(zone, pair.public());
        let files = [
            (format!("{base}.private"), 0o600, private_text(pair)),
            (format!("{base}.key"), 0o644, public_text(zone, pair.public())),
        ];
        let (public_path, _) = both(&directory.join(&base))?;
        let taken = files.iter().any(|(name, ..)| directory.join(name).exists());
        if taken {
            return match Self::read(&public_path) {
                Ok(found) if found.pair.public() == pair.public() && found.zone == *zone => Ok(()),
                _ => Err(KeyFileError::Taken(public_path)),
            };
        }
        for (name, mode, text) in files {
            write_atomically(directory, &name, mode, text.as_bytes())
                .map_err(|error| KeyFileError::Write { path: directory.join(&name), error })?;
        }
        Ok(())
    }
}

/// The text of a public file.
fn public_text(zone: &DomainName, key: &DnsKey) -> String {
    let kind = if key.is_entry_point() { "key" } else { "zone" };
    let owner = zone.to_string();
    format!(
        "; This is a {kind}-signing key, keyid {tag}, for {owner}.\n\
         {owner}. IN DNSKEY {flags} 3 {algorithm} {public}\n",
        tag = key.tag(),
        owner = owner.trim_end_matches('.'),
        flags = key.flags(),
        algorithm = key.algorithm().number(),
        public = base64::encode_string(key.public()),
    )
}

/// The text of a private file.
fn private_text(pair: &KeyPair) -> String {
    let mnemonic = match pair.public().algorithm() {
        Algorithm::EcdsaP256Sha256 => "ECDSAP256SHA256",
        Algorithm::Ed25519 => "ED25519",
    };
    format!(
        "Private-key-format: v1.3\nAlgorithm: {} ({mnemonic})\nPrivateKey: {}\n",
        pair.public().algorithm().number(),
        base64::encode_string(pair.private()),
    )
}

fn both(path: &Path) -> Result<(PathBuf, PathBuf), KeyFileError> {
    let named = || KeyFileError::Name(path.to_owned());
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(named)?;
    let base = name.strip_suffix(".key").or_else(|| name.strip_suffix(".private")).unwrap_or(name);
    if !base.starts_with('K') || !base.contains('+') {
        return Err(named());
    }
    Ok((path.with_file_name(format!("{base}.key")), path.with_file_name(format!("{base}.private"))))
}

fn read_text(path: &Path) -> Result<String, KeyFileError> {
    let read = || {
        let mut text = String::new();
        regular_file::open(path)?.take(FILE_MAX).read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|error| KeyFileError::Read { path: path.to_owned(), error })
}

/// A private key that others on this machine can read is a secret no more.
fn too_open(path: &Path) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o077 != 0).then(|| {
        format!(
            "{} may be read by others (mode {:03o}): `chmod 600` it",
            path.display(),
            mode & 0o777
        )
    })
}

/// The one DNSKEY record in a public file: `owner [ttl] [IN] DNSKEY flags protocol algorithm key`.
fn parse_public(path: &Path, text: &str) -> Result<(DomainName, DnsKey), KeyFileError> {
    let wrong = |problem: &str| KeyFileError::Content {
        path: path.to_owned(),
        what: "public key",
        problem: problem.to_owned(),
    };
    let without_comments =
        text.lines().map(|line| line.split(';').next().unwrap_or_default()).collect::<Vec<_>>();
    let joined = without_comments.join(" ").replace(['(', ')'], " ");
    let mut words = joined.split_whitespace();
    let owner = words.next().ok_or_else(|| wrong("it is empty"))?;
    let zone: DomainName =
        owner.parse().map_err(|error| wrong(&format!("`{owner}` is no name: {error}")))?;
    words.by_ref().find(|word| word.eq_ignore_ascii_case("DNSKEY")).ok_or_else(|| {
        wrong("it has no DNSKEY record; expected one as `dnssec-keygen` writes it")
    })?;
    let mut number = |what: &str| {
        let word = words.next().unwrap_or_default();
        word.parse::<u16>().map_err(|_| wrong(&format!("`{word}` is no {what}")))
    };
    let flags = number("number of flags")?;
    let protocol = number("protocol number")?;
    let algorithm = number("algorithm number")?;
    let public: Vec<u8> = base64::decode(&words.collect::<String>())
        .map_err(|_| wrong("the key is no Base64: the file is damaged"))?;
    let mut data = flags.to_be_bytes().to_vec();
    let narrow = |number: u16| u8::try_from(number).unwrap_or(0);
    data.extend_from_slice(&[narrow(protocol), narrow(algorithm)]);
    data.extend_from_slice(&public);
    let key = DnsKey::from_data(&data)
        .map_err(|error| KeyFileError::Key { path: path.to_owned(), error })?;
    Ok((zone, key))
}

/// Algorithm and key of a private file: lines of `Field: value`.
fn parse_private(path: &Path, text: &str) -> Result<(Algorithm, [u8; PRIVATE_LEN]), KeyFileError> {
    let wrong = |problem: &str| KeyFileError::Content {
        path: path.to_owned(),
        what: "private key",
        problem: problem.to_owned(),
    };
    let field = |name: &str| {
        let of = |line: &'_ str| -> Option<String> {
            let (field, value) = line.split_once(':')?;
            field.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        text.lines().find_map(of)
    };
    let format = field("Private-key-format").unwrap_or_default();
    if !format.starts_with("v1.") {
        return Err(wrong("expected `Private-key-format: v1.3` (or v1.2)"));
    }
    let algorithm = field("Algorithm").unwrap_or_default();
    let number = algorithm.split_whitespace().next().and_then(|number| number.parse().ok());
    let number = number.ok_or_else(|| wrong("it names no algorithm"))?;
    let algorithm = Algorithm::of_number(number).ok_or_else(|| KeyFileError::Key {
        path: path.to_owned(),
        error: DnsKeyError::Algorithm(number),
    })?;
    let private = field("PrivateKey").ok_or_else(|| wrong("it has no line `PrivateKey:`"))?;
    let private: Vec<u8> =
        base64::decode(&private).map_err(|_| wrong("the key is no Base64: the file is damaged"))?;
    let private = private.try_into().map_err(|_| wrong("the key is not of 32 bytes"))?;
    Ok((algorithm, private))
}

#[cfg(test)]
mod tests;
