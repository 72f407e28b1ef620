//! Key files: there and back, BIND's own, and damaged ones.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use walrus_core::dnssec::{FLAG_SEP, FLAG_ZONE};

use super::*;

/// Made by `dnssec-keygen -a 13 -f KSK example.com`.
const PUBLIC_13: &str = "; This is a key-signing key, keyid 5779, for example.com.\n\
    ; Created: 20261122064214 (Sun Nov 22 06:42:14 2026)\n\
    example.com. IN DNSKEY 257 3 13 U7Y8lxON3M2ccRIX+BCWc7Ga0m2AEv4WuknmcDJTQbyqZZQtoibAr2o+ \
    DjDvcmOc4KN1jYUP22I2QRPhSXyGqQ==\n";
const PRIVATE_13: &str = "Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\n\
    PrivateKey: TsASYjVuqNc2h+plg4u/Iqyz6f2l0phHNnEK8vT6ojg=\nCreated: 20261122064214\n";
const PUBLIC_15: &str =
    "example.com. 3600 IN DNSKEY 256 3 15 jbsQlBZnMfmlNcZakAQXBqKtWNek2c4o4VB+SgtdGA0=\n";
const PRIVATE_15: &str = "Private-key-format: v1.3\nAlgorithm: 15 (ED25519)\n\
    PrivateKey: w6QXG1F3Yh2IBbu7CyJpBbW9zOf5WdehjKDScr4IR2g=\n";

struct Files {
    _directory: tempfile::TempDir,
    base: PathBuf,
}

fn files(public: &str, private: &str) -> Files {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("Kexample.com.+013+05779");
    std::fs::write(with(&base, "key"), public).unwrap();
    std::fs::write(with(&base, "private"), private).unwrap();
    std::fs::set_permissions(with(&base, "private"), std::fs::Permissions::from_mode(0o600))
        .unwrap();
    Files { _directory: directory, base }
}

fn with(base: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}.{ending}", base.display()))
}

/// The whole chain of what is wrong, as people see it.
fn refusal(public: &str, private: &str) -> String {
    let files = files(public, private);
    let error = KeyFiles::read(&files.base).unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    format!("{error}: {source}")
}

#[test]
fn files_of_bind_are_read_by_any_of_their_names() {
    for (public, private, tag) in [(PUBLIC_13, PRIVATE_13, 5779), (PUBLIC_15, PRIVATE_15, 61158)] {
        let files = files(public, private);
        for path in [files.base.clone(), with(&files.base, "key"), with(&files.base, "private")] {
            let read = KeyFiles::read(&path).unwrap();
            assert_eq!(read.zone.to_string(), "example.com");
            assert_eq!(read.pair.public().tag(), tag);
            assert_eq!(read.warnings, Vec::<String>::new());
        }
    }
}

#[test]
fn what_is_written_is_read_back() {
    let zone: DomainName = "example.com".parse().unwrap();
    for algorithm in [Algorithm::EcdsaP256Sha256, Algorithm::Ed25519] {
        let pair = KeyPair::generate(algorithm, FLAG_ZONE | FLAG_SEP).unwrap();
        let files = files(&public_text(&zone, pair.public()), &private_text(&pair));
        let read = KeyFiles::read(&files.base).unwrap();
        assert_eq!((read.zone, read.pair.public()), (zone.clone(), pair.public()));
        assert_eq!(read.pair.private(), pair.private());
    }
}

#[test]
fn what_is_wrong_is_said() {
    let cases = [
        ("", PRIVATE_13, "is no public key: it is empty"),
        ("hello", PRIVATE_13, "no DNSKEY record"),
        ("example.com. IN DNSKEY x 3 13 AAAA", PRIVATE_13, "`x` is no number of flags"),
        ("example.com. IN DNSKEY 257 3 13 ????", PRIVATE_13, "no Base64"),
        ("example.com. IN DNSKEY 257 3 13 AAAA", PRIVATE_13, "does not fit its algorithm"),
        ("example.com. IN DNSKEY 257 3 8 AAAA", PRIVATE_13, "algorithm 8 is not supported"),
        ("example.com. IN DNSKEY 1 3 13 AAAA", PRIVATE_13, "no zone key"),
        (PUBLIC_13, "", "expected `Private-key-format: v1.3`"),
        (PUBLIC_13, "Private-key-format: v1.3\n", "names no algorithm"),
        (PUBLIC_13, "Private-key-format: v1.3\nAlgorithm: 8 (RSASHA256)\n", "algorithm 8 is not"),
        (PUBLIC_13, "Private-key-format: v1.3\nAlgorithm: 13\n", "no line `PrivateKey:`"),
        (PUBLIC_13, "Private-key-format: v1.3\nAlgorithm: 13\nPrivateKey: AA==\n", "32 bytes"),
        (PUBLIC_13, PRIVATE_15, "does not belong to public key 5779"),
        (PUBLIC_15, PRIVATE_13, "does not belong to public key 61158"),
    ];
    for (public, private, expected) in cases {
        let said = refusal(public, private);
        assert!(said.contains(expected), "{said} lacks {expected}");
    }
}

#[test]
fn files_that_are_gone_or_named_otherwise_are_said_to_be() {
    let gone = KeyFiles::read(Path::new("/nowhere/Kexample.com.+013+00001")).unwrap_err();
    assert!(matches!(gone, KeyFileError::Read { .. }), "{gone}");
    assert!(gone.to_string().contains("/nowhere/Kexample.com.+013+00001.key"), "{gone}");
    let odd = KeyFiles::read(Path::new("/etc/passwd")).unwrap_err();
    assert!(matches!(odd, KeyFileError::Name(_)), "{odd}");
}

#[test]
fn a_private_key_open_to_others_is_a_warning() {
    let files = files(PUBLIC_13, PRIVATE_13);
    let private = with(&files.base, "private");
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = KeyFiles::read(&files.base).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("chmod 600"), "{warnings:?}");
}

#[test]
fn another_keys_files_are_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let zone: DomainName = "example.com".parse().unwrap();
    let pair = KeyPair::generate(Algorithm::Ed25519, FLAG_ZONE).unwrap();
    KeyFiles::write(directory.path(), &zone, &pair).unwrap();
    KeyFiles::write(directory.path(), &zone, &pair).unwrap();
    let private = directory.path().join(base_name(&zone, pair.public()) + ".private");
    let mode = std::fs::metadata(&private).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(&private, PRIVATE_15).unwrap();
    let refused = KeyFiles::write(directory.path(), &zone, &pair).unwrap_err();
    assert!(matches!(refused, KeyFileError::Taken(_)), "{refused}");
    assert_eq!(std::fs::read_to_string(&private).unwrap(), PRIVATE_15);
}

#[test]
fn bind_makes_keys_that_are_read_and_signs_with_keys_that_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let zone: DomainName = "example.com".parse().unwrap();
    for algorithm in [Algorithm::EcdsaP256Sha256, Algorithm::Ed25519] {
        let made = Command::new("dnssec-keygen")
            .args(["-q", "-f", "KSK", "-a", &algorithm.number().to_string()])
            .args(["-K", directory.path().to_str().unwrap(), "example.com"])
            .output();
        let Ok(made) = made else {
            assert!(std::env::var_os("CI").is_none(), "dnssec-keygen is missing (bind9-utils)");
            eprintln!("left out: dnssec-keygen is not here");
            return;
        };
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let base = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let read = KeyFiles::read(&directory.path().join(&base)).unwrap();
        assert_eq!(base_name(&read.zone, read.pair.public()), base);

        let ours = KeyPair::generate(algorithm, FLAG_ZONE | FLAG_SEP).unwrap();
        let base = base_name(&zone, ours.public());
        KeyFiles::write(directory.path(), &zone, &ours).unwrap();
        let text =
            "$TTL 60\n@ SOA ns.example.com. h.example.com. 1 2 3 4 5\n@ NS ns.example.net.\n";
        std::fs::write(directory.path().join("zone"), text).unwrap();
        let signed = Command::new("dnssec-signzone")
            .args(["-S", "-z", "-q", "-o", "example.com", "-f", "signed", "zone"])
            .arg(&base)
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    }
}
