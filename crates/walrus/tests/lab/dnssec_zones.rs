//! `walrus zone dump`, checked by others' tools: zone files of signed zones with services in them.

use std::path::Path;
use std::process::{Command, Output};
use std::time::SystemTime;

use walrus_core::dnssec::Algorithm;
use walrus_core::dnssec::rollover::{KeyRole, RolloverSettings};
use walrus_core::zone::read_zone;
use walrus_director::keys::{KeyStore, ZoneKeeper};

use crate::alone;
use crate::programs::find;
use crate::walrus::{Walrus, program};

const CONFIGURATION: &str = r#"
[[zone]]
name = "example.com"
file = "example.com.zone"

[[cluster]]
name = "east"
servers = [
  { name = "e1", addresses = ["192.0.2.1", "2001:db8::1"] },
  { name = "e2", addresses = ["192.0.2.2", "2001:db8::2"], weight = 3 },
]

[[service]]
name = "www.example.com"

[[service]]
name = "example.com"

[[service]]
name = "deep.below.example.com"
answers = "all"
"#;

const ZONE: &str = r#"
@ 3600 SOA ns1 hostmaster 1 7200 3600 1209600 300
@ 3600 NS ns1
@ 3600 TXT "v=spf1 -all"
ns1 3600 A 192.0.2.53
*.wild 600 TXT "any"
sub 600 NS ns.sub
ns.sub 600 A 192.0.2.54
www 600 TXT "beside a service"
"#;

/// Makes the keys that `walrus up` would make at its first start.
fn make_keys(state: &Path, zone: &str, roles: Vec<KeyRole>, algorithm: Algorithm) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let node: walrus_core::world::Name = "lab".parse().unwrap();
    let settings = RolloverSettings {
        algorithm,
        roles,
        roll_ksk_every: None,
        roll_zsk_every: None,
        margin: std::time::Duration::ZERO,
        nodes: [node.clone()].into(),
    };
    let store = KeyStore::new(state);
    let mut keeper = ZoneKeeper::open(store, &zone.parse().unwrap(), node, settings.clone(), now);
    keeper.reconfigure(now, settings, 3600, 3600);
    keeper.advance(now).unwrap();
    keeper.served(keeper.rollover().state().generation);
    keeper.advance(now).unwrap();
}

fn dump(arguments: &[&str]) -> Output {
    Command::new(program()).args(["zone", "dump", "example.com"]).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn dumps_of_signed_zones_are_accepted_by_others() {
    let tools = ["ldns-verify-zone", "kzonecheck", "named-checkzone", "dnssec-verify"];
    let Some([ldns, kzonecheck, checkzone, verify]) = find("dumps of signed zones", tools) else {
        return;
    };
    let parent = tempfile::tempdir().unwrap();
    let [config, state, zone, file] =
        ["walrus.toml", "state", "example.com.zone", "dumped"].map(|name| parent.path().join(name));
    std::fs::write(&zone, ZONE).unwrap();
    let [config, state, file] = [&config, &state, &file].map(|path| path.to_str().unwrap());
    for (keys, roles, denial, algorithm, number) in [
        ("csk", vec![KeyRole::Csk], "nsec", "ecdsap256sha256", Algorithm::EcdsaP256Sha256),
        ("ksk+zsk", vec![KeyRole::Ksk, KeyRole::Zsk], "nsec3", "ed25519", Algorithm::Ed25519),
    ] {
        let settings = format!(
            "[dns]\nlisten = [\"127.0.0.1:5353\"]\n[dnssec]\nsign = true\nkeys = \"{keys}\"\n\
             denial = \"{denial}\"\nalgorithm = \"{algorithm}\"\n"
        );
        std::fs::write(config, format!("{settings}{CONFIGURATION}")).unwrap();
        let _ = std::fs::remove_dir_all(state);
        let none = dump(&["--config", config, "--state", state]);
        let said = String::from_utf8_lossy(&none.stderr);
        assert_eq!(none.status.code(), Some(1), "{none:?}");
        assert!(said.contains("there are no keys of example.com in"), "{said}");

        make_keys(Path::new(state), "example.com", roles, number);
        let dumped = text(&dump(&["--config", config, "--state", state]));
        std::fs::write(file, &dumped).unwrap();
        let calls = [
            (&ldns, vec!["-V", "1", file]),
            (&kzonecheck, vec!["-d", "on", "-o", "example.com.", file]),
            (&checkzone, vec!["-q", "-i", "local", "example.com", file]),
            (&verify, vec!["-q", "-z", "-o", "example.com", file]),
        ];
        for (tool, arguments) in calls {
            let output = Command::new(tool).args(arguments).output().unwrap();
            assert!(output.status.success(), "{}: {output:?}\n{dumped}", tool.display());
        }
        for line in [
            "example.com.\t30\tIN\tAAAA\t2001:db8::",
            "www.example.com.\t30\tIN\tA\t192.0.2.",
            "deep.below.example.com.\t30\tIN\tRRSIG\tA ",
            "sub.example.com.\t600\tIN\tNS\tns.sub.example.com.\n",
        ] {
            assert!(dumped.contains(line), "{line}\n{dumped}");
        }

        // What the zone file says is all that is left without signatures, beside the services.
        let plain = text(&dump(&["--config", config, "--state", state, "--unsigned"]));
        assert!(!plain.contains("RRSIG") && !plain.contains("NSEC") && !plain.contains("DNSKEY"));
        let read = read_zone("dump", plain.as_bytes(), &"example.com".parse().unwrap()).unwrap();
        assert_eq!(read.warnings, []);
        assert_eq!(read.zone.name_count(), 7);
    }
}

#[test]
fn a_running_system_dumps_what_it_serves() {
    let Some([checkzone]) = find("dumps of a running system", ["named-checkzone"]) else { return };
    let _alone = alone();
    let parent = tempfile::tempdir().unwrap();
    std::fs::write(parent.path().join("example.com.zone"), ZONE).unwrap();
    let walrus = Walrus::start(parent.path(), CONFIGURATION);
    let token = parent.path().join("state/token");
    let api = ["--api", &walrus.api_url(), "--token-file", token.to_str().unwrap()];
    let dumped = text(&dump(&api));
    assert!(dumped.contains("\nwww.example.com.\t30\tIN\tA\t192.0.2."), "{dumped}");
    let file = parent.path().join("dumped");
    std::fs::write(&file, &dumped).unwrap();
    let arguments = ["-q", "-i", "local", "example.com", file.to_str().unwrap()];
    assert!(Command::new(checkzone).args(arguments).output().unwrap().status.success());
    // A list of all names is not for everybody, and other zones are not here.
    let empty = parent.path().join("empty");
    std::fs::write(&empty, "0000000000000000000000000000000000000000000000000000000000000000")
        .unwrap();
    let refused = dump(&["--api", &walrus.api_url(), "--token-file", empty.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let other = Command::new(program()).args(["zone", "dump", "example.org"]).args(api).output();
    let other = other.unwrap();
    assert_eq!(other.status.code(), Some(2), "{other:?}");
    assert!(String::from_utf8_lossy(&other.stderr).contains("there is no zone example.org here"));
}
