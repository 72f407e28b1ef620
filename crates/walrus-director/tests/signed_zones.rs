//! Others' tools look at zones that were signed here with real keys.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use walrus_core::dnssec::{
    Algorithm, Denial, FLAG_SEP, FLAG_ZONE, SignRequest, Signature, SignedService, SignedZone,
    ValidityPolicy, ZoneKeys, ZoneSigning, sign_zone_by,
};
use walrus_core::zone::{Zone, read_zone, write_zone};
use walrus_director::keys::{KeyPair, KeyPairError};
use walrus_dns::DomainName;

/// Wildcards, empty non-terminals, delegations with and without DS, glue at and below them, names
/// with unusual letters, types of three windows.
const ZONE: &str = r#"
@ 3600 SOA ns1 hostmaster 1 7200 3600 1209600 300
@ 3600 NS ns1
@ 3600 NS ns2.example.net.
@ 3600 MX 10 Mail.Example.
@ 3600 TXT "a text" "another"
@ 3600 CAA 0 issue "ca.example.net"
ns1 3600 A 192.0.2.1
ns1 3600 AAAA 2001:db8::1
mail 3600 A 192.0.2.2
*.wild 600 TXT "any"
*.wild 600 MX 10 mail
deep.below.a.b.c 600 A 192.0.2.3
UPPER.case 600 CNAME Mail
sub 600 NS ns.sub
sub 600 NS sub
sub 600 A 192.0.2.4
ns.sub 600 A 192.0.2.5
safe 600 NS ns1
safe 600 DS 12345 13 2 0000000000000000000000000000000000000000000000000000000000000000
odd\;na\@me\" 600 TXT "odd"
\000.binary 600 A 192.0.2.8
www 600 TXT "here"
www 600 HTTPS 1 . alpn="h2,h3"
_sip._tcp 600 SRV 1 2 5060 Mail
type 600 TYPE65280 \# 3 010203
"#;

/// The tools that are installed, with what each is called with.
fn tools(file: &Path) -> Vec<(&'static str, Vec<String>)> {
    let file = file.display().to_string();
    let call = |tool, arguments: &[&str]| {
        let arguments = arguments.iter().map(|argument| argument.replace("FILE", &file));
        (tool, arguments.collect())
    };
    vec![
        call("ldns-verify-zone", &["-V", "1", "FILE"]),
        call("kzonecheck", &["-d", "on", "-o", "example.", "FILE"]),
        call("named-checkzone", &["-q", "-i", "local", "example", "FILE"]),
        // Else it wants a key without the flag of an entry point for the zone.
        call("dnssec-verify", &["-q", "-z", "-o", "example", "FILE"]),
    ]
}

fn installed(tool: &str) -> Option<PathBuf> {
    let folders = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
    folders.map(|folder| Path::new(folder).join(tool)).into_iter().find(|path| path.exists())
}

struct Keys {
    pairs: Vec<KeyPair>,
    signing: ZoneSigning,
}

fn keys(algorithm: Algorithm, split: bool, denial: Denial) -> Keys {
    let pair = |flags| KeyPair::generate(algorithm, FLAG_ZONE | flags).unwrap();
    let mut pairs = vec![pair(FLAG_SEP)];
    if split {
        pairs.push(pair(0));
    }
    let public = |index: usize| pairs[index].public().clone();
    let keys = ZoneKeys {
        published: pairs.iter().map(|pair| pair.public().clone()).collect(),
        sign_keys: vec![public(0)],
        sign_zone: vec![public(pairs.len() - 1)],
        wanted_at_parent: vec![public(0)],
        ..ZoneKeys::default()
    };
    let apex = "example".parse().unwrap();
    let validity = ValidityPolicy::default();
    Keys { pairs, signing: ZoneSigning { apex, keys, dnskey_ttl: 3600, denial, validity } }
}

impl Keys {
    fn sign(&self, zone: &Zone, services: &[SignedService]) -> SignedZone {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let mut make = |requests: &[SignRequest], made: &mut [Signature]| {
            for (request, made) in requests.iter().zip(made) {
                let pair = self.pairs.iter().find(|pair| *pair.public() == request.key).unwrap();
                *made = pair.sign(&request.bytes)?;
            }
            Ok::<(), KeyPairError>(())
        };
        sign_zone_by(zone, services, &self.signing, now, None, &mut make).unwrap()
    }
}

#[test]
fn others_accept_signed_zones() {
    let apex: DomainName = "example".parse().unwrap();
    let zone = read_zone("zone", ZONE.as_bytes(), &apex).unwrap().zone;
    let folder = tempfile::tempdir().unwrap();
    let mut missing = Vec::new();
    for algorithm in [Algorithm::EcdsaP256Sha256, Algorithm::Ed25519] {
        for (split, denial) in [(false, Denial::Nsec), (true, Denial::Nsec3)] {
            let signed = keys(algorithm, split, denial).sign(&zone, &[]).zone;
            let mut text = String::new();
            write_zone(&signed, &mut text).unwrap();
            let path = folder.path().join("zone");
            std::fs::write(&path, &text).unwrap();
            for (tool, arguments) in tools(&path) {
                let Some(program) = installed(tool) else {
                    missing.push(tool);
                    continue;
                };
                let output = Command::new(&program).args(&arguments).output().unwrap();
                assert!(
                    output.status.success(),
                    "{tool}, {algorithm:?}, {denial:?}: {}\n{}\n{text}",
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr),
                );
                // That they would say so if something were wrong.
                if tool != "named-checkzone" {
                    let forged = path.with_extension("forged");
                    std::fs::write(&forged, text.replace("\t192.0.2.3\n", "\t192.0.2.33\n"))
                        .unwrap();
                    let path = path.display().to_string();
                    let forged = forged.display().to_string();
                    let arguments =
                        arguments.iter().map(|argument| argument.replace(&path, &forged));
                    let output = Command::new(&program).args(arguments).output().unwrap();
                    assert!(!output.status.success(), "{tool} looks at signatures");
                }
            }
        }
    }
    missing.dedup();
    if !missing.is_empty() {
        // Past the harness, for `./test` to collect.
        use std::io::Write as _;
        let missing = missing.join(", ");
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: signed zones: {missing} not installed");
    }
}
