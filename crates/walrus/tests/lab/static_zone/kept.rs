//! Zones that other tools signed with NSEC3 and Walrus serves as they are: what proves each "no", each
//! wildcard and each delegation is what Knot or BIND sends from the same file. With opt-out and
//! without, salted and hashed several times.

use std::path::Path;
use std::process::Command;

use super::peers::Zones;
use super::{FILE, Manner, NAMES, Servers, ZONE, accepted, ask, generated, query, within};
use crate::alone;
use crate::programs::{find, say};

/// Of the generated zones so many: they are signed one by one.
const GENERATED: u64 = 8;
/// Differences that are shown.
const SHOWN: usize = 20;

const TYPES: [&str; 8] = ["A", "AAAA", "NS", "TXT", "MX", "DS", "DNSKEY", "NSEC3PARAM"];
const MANNER: Manner = Manner { tcp: true, edns: Some((1232, true)) };

/// Others' tools that make a key and sign a zone with it.
struct Tools {
    keygen: (&'static str, &'static [&'static str]),
    signzone: (&'static str, &'static [&'static str]),
}

const TOOLS: [Tools; 2] = [
    Tools {
        keygen: ("ldns-keygen", &["-a", "ECDSAP256SHA256", "-k"]),
        signzone: ("ldns-signzone", &["-n", "-t", "0", "-d"]),
    },
    // Opt-out: delegations without DS are in no chain.
    Tools {
        keygen: ("dnssec-keygen", &["-q", "-a", "13", "-f", "KSK"]),
        signzone: ("dnssec-signzone", &["-q", "-3", "aabbccdd", "-H", "5", "-A", "-z"]),
    },
];

#[test]
fn zones_signed_with_nsec3_elsewhere_are_proven_as_by_knot_or_bind() {
    let _alone = alone();
    let generated = (1..=GENERATED).map(generated::zone);
    let zones: Vec<_> = [(ZONE.to_owned(), FILE.to_owned())].into_iter().chain(generated).collect();
    for tools in TOOLS {
        let what = format!("zones signed by {} and served as they are", tools.signzone.0);
        let Some([keygen, signzone]) = find(&what, [tools.keygen.0, tools.signzone.0]) else {
            continue;
        };
        let folder = tempfile::tempdir().unwrap();
        let sign = |(zone, text): &(String, String)| {
            let key = run(folder.path(), &keygen, tools.keygen.1, &[zone]);
            let public = std::fs::read_to_string(folder.path().join(format!("{key}.key"))).unwrap();
            std::fs::write(folder.path().join("plain"), format!("{text}{public}\n")).unwrap();
            let named = ["-o", zone, "-f", "signed", "plain", &key];
            run(folder.path(), &signzone, tools.signzone.1, &named);
            (zone.clone(), std::fs::read_to_string(folder.path().join("signed")).unwrap())
        };
        let signed: Vec<_> = zones.iter().map(sign).collect();
        let Some(servers) = Servers::start_with(&signed, "dnssec = \"keep\"\n") else { return };
        compare(&servers, &zones, tools.signzone.0);
    }
}

fn compare(servers: &Servers, zones: Zones<'_>, signed_by: &str) {
    let mut names: Vec<String> = NAMES.iter().map(|name| within(name)).collect();
    names.extend(zones[1..].iter().flat_map(|(zone, _)| generated::names(zone)));
    let (mut proofs, mut differences) = (0, Vec::new());
    for name in &names {
        for record_type in TYPES {
            let query = query(name, record_type, MANNER);
            let ours = ask(servers.walrus.dns, &query, MANNER);
            // Aliases that lead round have no right answer (see `accepted`).
            let mut plain = ours.clone();
            plain.answer.retain(|line| !line.contains(" RRSIG "));
            if plain.is_loop() {
                continue;
            }
            proofs += usize::from(ours.authority.iter().any(|line| line.contains(" NSEC3 ")));
            let theirs = servers.peers.iter().map(|it| (it.name, ask(it.address, &query, MANNER)));
            let theirs: Vec<_> = theirs.collect();
            if theirs.iter().all(|(_, theirs)| accepted::difference(&ours, theirs).is_some()) {
                let theirs = theirs.iter().map(|(peer, theirs)| format!("\n  {peer:<6} {theirs}"));
                let theirs: String = theirs.collect();
                differences.push(format!("{name} {record_type}\n  walrus {ours}{theirs}"));
            }
        }
    }
    say(&format!("\n{signed_by}: {proofs} proofs compared with other name servers'"));
    assert!(proofs > 100, "{proofs} proofs by NSEC3");
    let shown: Vec<&str> = differences.iter().take(SHOWN).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), shown.join("\n"));
}

/// What a tool says, without the line's end.
pub(crate) fn run(folder: &Path, program: &Path, arguments: &[&str], named: &[&str]) -> String {
    let output = Command::new(program).args(arguments).args(named).current_dir(folder).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {named:?}: {said}", program.display());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
