//! Zones that others change by DNS UPDATE: BIND's nsupdate, the messages of ACME clients and of
//! external-dns; and `kill -9` between what was acknowledged.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::programs::{find, free_port, say, wait_or_tell};
use crate::together;
use crate::walrus::{Node, Walrus};

const CONFIGURATION: &str = r#"
[[key]]
name = "admin"
secret_file = "admin.key"
[[key]]
name = "acme"
algorithm = "hmac-sha512"
secret_file = "acme.key"
[[zone]]
name = "walrus.example"
file = "zone"
DNSSEC
updates = [{ key = "admin" }, { key = "acme", acme = true }]
[[cluster]]
name = "c"
servers = [{ name = "s1", addresses = ["192.0.2.1"] }]
[[service]]
name = "www.walrus.example"
"#;

const ZONE: &str = "@ 60 SOA ns.example.net. host 1 2 3 4 5\n@ 60 NS ns.example.net.\n\
                    host 60 A 192.0.2.7\nhost 60 TXT \"kept\"\n";
const ADMIN: &str = "hmac-sha256:admin:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const ACME: &str = "hmac-sha512:acme:YWNtZWFjbWVhY21lYWNtZWFjbWVhY21lYWNtZWFjbWU=";
const WRONG: &str = "hmac-sha256:admin:d3Jvbmd3cm9uZ3dyb25nd3Jvbmd3cm9uZ3dyb25nISE=";
const STRANGER: &str = "hmac-sha256:stranger:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

struct Lab {
    walrus: Walrus,
    folder: tempfile::TempDir,
    nsupdate: PathBuf,
    dig: PathBuf,
}

fn configuration(dnssec: &str) -> String {
    CONFIGURATION.replace("DNSSEC", dnssec)
}

impl Lab {
    fn start(what: &str, dnssec: &str) -> Option<Self> {
        Self::start_in(tempfile::tempdir().unwrap(), what, dnssec)
    }

    fn start_in(folder: tempfile::TempDir, what: &str, dnssec: &str) -> Option<Self> {
        let [nsupdate, dig] = find(what, ["nsupdate", "dig"])?;
        std::fs::write(folder.path().join("zone"), ZONE).unwrap();
        for (file, key) in [("admin.key", ADMIN), ("acme.key", ACME)] {
            let secret = key.rsplit(':').next().unwrap();
            write_secret(&folder.path().join(file), secret);
        }
        let walrus = Walrus::start(folder.path(), &configuration(dnssec));
        Some(Self { walrus, folder, nsupdate, dig })
    }

    /// Sends one update as nsupdate does: "ok", or what it says.
    fn update(&self, key: &str, options: &[&str], lines: &[&str]) -> String {
        let script = format!(
            "server 127.0.0.1 {}\nzone walrus.example\n{}\nsend\n",
            self.walrus.dns.port(),
            lines.join("\n")
        );
        let file = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        std::fs::write(file.path(), script).unwrap();
        let mut command = Command::new(&self.nsupdate);
        if !key.is_empty() {
            command.args(["-y", key]);
        }
        let output = command.args(options).arg(file.path()).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.success() && said.is_empty() { "ok".to_owned() } else { said }
    }

    fn dig(&self, arguments: &[&str]) -> Vec<String> {
        self.dig_at(self.walrus.dns, arguments)
    }

    fn dig_at(&self, server: SocketAddr, arguments: &[&str]) -> Vec<String> {
        let port = server.port().to_string();
        let output = Command::new(&self.dig)
            .args(["@127.0.0.1", "-p", &port, "+timeout=5", "+short"])
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn serial(&self) -> u32 {
        let soa = self.dig(&["walrus.example", "SOA"]).concat();
        soa.split(' ')
            .nth(2)
            .and_then(|serial| serial.parse().ok())
            .unwrap_or_else(|| panic!("{soa}"))
    }
}

/// As walrus wants secrets: for its user alone.
fn write_secret(path: &Path, secret: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, secret).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn nsupdate_changes_what_its_key_may_and_is_told_why_not() {
    let _together = together();
    let Some(lab) = Lab::start("updates by nsupdate", "") else { return };
    let ok = |key: &str, options: &[&str], lines: &[&str]| {
        let said = lab.update(key, options, lines);
        assert_eq!(said, "ok", "{lines:?}\n{}", lab.walrus.said());
    };
    ok(ADMIN, &[], &["add new.walrus.example 60 A 192.0.2.9"]);
    assert_eq!(
        lab.dig(&["new.walrus.example", "A"]),
        ["192.0.2.9"],
        "served when it is acknowledged"
    );
    assert_eq!(lab.serial(), 2);
    // By TCP, and of more than one query's size.
    ok(ADMIN, &["-v"], &["del host.walrus.example A", "add host.walrus.example 60 A 192.0.2.8"]);
    assert_eq!(lab.dig(&["host.walrus.example", "A"]), ["192.0.2.8"]);
    assert_eq!(lab.dig(&["host.walrus.example", "TXT"]), ["\"kept\""]);
    let many: Vec<String> = (0..250)
        .map(|number| format!("add many{number}.walrus.example 60 TXT \"{number}\""))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    ok(ADMIN, &["-v"], &many);
    assert_eq!(lab.dig(&["many249.walrus.example", "TXT"]), ["\"249\""]);
    let serial = lab.serial();
    // Prerequisites.
    ok(ADMIN, &[], &["prereq yxrrset new.walrus.example A 192.0.2.9", "del new.walrus.example"]);
    assert!(lab.dig(&["new.walrus.example", "A"]).is_empty());
    for (lines, said) in [
        (["prereq yxdomain new.walrus.example", "add x.walrus.example 60 A 192.0.2.1"], "NXDOMAIN"),
        (
            ["prereq nxdomain host.walrus.example", "add x.walrus.example 60 A 192.0.2.1"],
            "YXDOMAIN",
        ),
        (
            ["prereq yxrrset host.walrus.example MX", "add x.walrus.example 60 A 192.0.2.1"],
            "NXRRSET",
        ),
        (
            ["prereq nxrrset host.walrus.example A", "add x.walrus.example 60 A 192.0.2.1"],
            "YXRRSET",
        ),
        (["add www.walrus.example 60 TXT x", ""], "REFUSED"),
        (["del www.walrus.example A", ""], "REFUSED"),
        (["add x.other.example 60 TXT x", ""], "NOTZONE"),
    ] {
        let heard = lab.update(ADMIN, &[], &lines);
        assert!(heard.contains(said), "{lines:?}: {heard}");
    }
    // Keys and clocks.
    for (key, said) in [(WRONG, "BADSIG"), (STRANGER, "BADKEY"), ("", "REFUSED")] {
        let heard = lab.update(key, &[], &["add x.walrus.example 60 A 192.0.2.1"]);
        assert!(heard.contains(said), "{key}: {heard}");
    }
    assert!(lab.dig(&["x.walrus.example", "A"]).is_empty());
    assert_eq!(lab.serial(), serial + 1);
    assert_eq!(lab.dig(&["www.walrus.example", "A"]), ["192.0.2.1"], "the service is as it was");
    let said = lab.walrus.said();
    assert!(said.contains("www.walrus.example is a service"), "{said}");
    assert!(said.contains("admin"), "{said}");
    let status = lab.walrus.status();
    assert_eq!(status["updated_zones"][0]["changed_by"], "admin", "{status}");
    let (code, text) = lab.walrus.call(&["zone", "dump", "walrus.example"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("many17.walrus.example.\t60\tIN\tTXT"), "{text}");
}

/// As lego and certbot's rfc2136 plugin: the text is replaced, looked for, and taken away, each step signed with
/// a key that may do nothing else.
#[test]
fn an_acme_client_proves_a_name_and_can_do_nothing_else() {
    let _together = together();
    let Some(lab) = Lab::start("updates by ACME clients", "") else { return };
    let name = "_acme-challenge.www.walrus.example";
    for transport in [&[][..], &["-v"]] {
        let add = [format!("del {name} TXT"), format!("add {name} 120 TXT \"token-1\"")];
        let add: Vec<&str> = add.iter().map(String::as_str).collect();
        assert_eq!(lab.update(ACME, transport, &add), "ok");
        // A wildcard and its apex are proven at one name.
        let second = format!("add {name} 120 TXT \"token-2\"");
        assert_eq!(lab.update(ACME, transport, &[&second]), "ok");
        assert_eq!(lab.dig(&[name, "TXT"]), ["\"token-1\"", "\"token-2\""]);
        let delete = format!("del {name} 120 TXT \"token-1\"");
        assert_eq!(lab.update(ACME, transport, &[&delete]), "ok");
        assert_eq!(lab.dig(&[name, "TXT"]), ["\"token-2\""]);
        assert_eq!(lab.update(ACME, transport, &[&format!("del {name}")]), "ok");
        assert!(lab.dig(&[name, "TXT"]).is_empty());
    }
    for line in [
        "add x.walrus.example 60 TXT x",
        "add _acme-challenge.walrus.example 60 CNAME x.",
        "del host.walrus.example",
        "add walrus.example 60 SOA a. b. 99 1 1 1 1",
    ] {
        let heard = lab.update(ACME, &[], &[line]);
        assert!(heard.contains("REFUSED"), "{line}: {heard}");
    }
}

/// What external-dns' rfc2136 provider sends: for each change the old record deleted and the new one added, with
/// a TXT record of its own beside it.
#[test]
fn external_dns_keeps_its_records() {
    let _together = together();
    let Some(lab) = Lab::start("updates by external-dns", "") else { return };
    let owner = "\"heritage=external-dns,external-dns/owner=k8s\"";
    let create = [
        "add app.walrus.example 0 A 192.0.2.20",
        &format!("add app.walrus.example 0 TXT {owner}"),
        &format!("add a-app.walrus.example 0 TXT {owner}"),
    ];
    assert_eq!(lab.update(ADMIN, &["-v"], &create), "ok");
    let change = [
        "del app.walrus.example 0 A 192.0.2.20",
        "add app.walrus.example 0 A 192.0.2.21",
        &format!("del app.walrus.example 0 TXT {owner}"),
        &format!("add app.walrus.example 0 TXT {owner}"),
    ];
    assert_eq!(lab.update(ADMIN, &["-v"], &change), "ok");
    assert_eq!(lab.dig(&["app.walrus.example", "A"]), ["192.0.2.21"]);
    assert_eq!(lab.dig(&["app.walrus.example", "TXT"]), [owner]);
    let delete = [
        "del app.walrus.example 0 A 192.0.2.21",
        &format!("del app.walrus.example 0 TXT {owner}"),
        &format!("del a-app.walrus.example 0 TXT {owner}"),
    ];
    assert_eq!(lab.update(ADMIN, &["-v"], &delete), "ok");
    assert!(lab.dig(&["app.walrus.example", "A"]).is_empty());
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let _together = together();
    let Some(mut lab) = Lab::start("updates and kill -9", "dnssec = \"sign\"") else { return };
    let mut acknowledged = BTreeSet::new();
    for round in 0..4 {
        // Several at once, which are killed in the middle of.
        let known = std::sync::Mutex::new(BTreeSet::new());
        std::thread::scope(|scope| {
            let (lab, known) = (&lab, &known);
            let writers: Vec<_> = (0..3)
                .map(|writer| {
                    scope.spawn(move || {
                        for number in 0..40 {
                            let name = format!("n{round}-{writer}-{number}.walrus.example");
                            let line = format!("add {name} 60 TXT \"x\"");
                            if lab.update(ADMIN, &["-v", "-t", "2"], &[&line]) != "ok" {
                                return;
                            }
                            known.lock().unwrap().insert(name);
                        }
                    })
                })
                .collect();
            let wanted = 5 + 7 * round;
            while known.lock().unwrap().len() < wanted && !writers.iter().all(|it| it.is_finished())
            {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            lab.walrus.signal("-KILL");
        });
        let known = known.into_inner().unwrap();
        assert!(!known.is_empty(), "{}", lab.walrus.said());
        acknowledged.extend(known);
        // The file as it was changed since: it counts no longer, and the program says so.
        std::fs::write(lab.folder.path().join("zone"), ZONE.replace("kept", "ignored")).unwrap();
        lab.walrus.restart();
        for name in &acknowledged {
            assert_eq!(lab.dig(&[name, "TXT"]), ["\"x\""], "{name} {}", lab.walrus.said());
        }
        assert_eq!(lab.dig(&["host.walrus.example", "TXT"]), ["\"kept\""]);
    }
    assert!(lab.walrus.said().contains("its file counts no longer"), "{}", lab.walrus.said());
    // A reload keeps it all, too.
    lab.walrus.reload(&configuration("dnssec = \"sign\""));
    let last = acknowledged.last().unwrap();
    assert_eq!(lab.dig(&[last, "TXT"]), ["\"x\""]);
}

/// A small file system of its own, which only root may have.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(place: &Path) -> Option<Self> {
        std::fs::create_dir_all(place).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m,mode=700", "walrus-lab"]).arg(place);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(place.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_updates_and_answers_queries() {
    let _together = together();
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("state")) else {
        return say("\nSKIPPED: updates on a full disk: no right to mount");
    };
    let Some(mut lab) = Lab::start_in(folder, "updates on a full disk", "") else { return };
    assert_eq!(lab.update(ADMIN, &[], &["add before.walrus.example 60 TXT x"]), "ok");
    let filler = disk.0.join("filler");
    // All that is left, to the last byte that can be had.
    let full = std::fs::write(&filler, vec![0; 4 << 20]);
    assert!(full.is_err(), "it is small");
    let rooms = || Some(std::fs::metadata(&filler).ok()?.len());
    assert!(rooms() > Some(100_000), "{:?}", rooms());
    let long = "x".repeat(250);
    let lines: Vec<String> =
        (0..60).map(|number| format!("add full{number}.walrus.example 60 TXT {long}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for _ in 0..2 {
        let said = lab.update(ADMIN, &["-v"], &lines);
        assert!(said.contains("SERVFAIL"), "{said}\n{}", lab.walrus.said());
        assert_eq!(lab.dig(&["before.walrus.example", "TXT"]), ["\"x\""], "it goes on");
        assert!(lab.dig(&["full3.walrus.example", "TXT"]).is_empty());
    }
    std::fs::remove_file(&filler).unwrap();
    assert_eq!(lab.update(ADMIN, &["-v"], &["add after.walrus.example 60 TXT x"]), "ok");
    lab.walrus.restart();
    for name in ["before.walrus.example", "after.walrus.example"] {
        assert_eq!(lab.dig(&[name, "TXT"]), ["\"x\""], "{name} {}", lab.walrus.said());
    }
    assert!(lab.dig(&["full3.walrus.example", "TXT"]).is_empty(), "acknowledged to nobody");
    // While the folder is still there.
    drop(disk);
}

#[test]
fn a_damaged_journal_is_told_and_nobody_guesses_what_the_zone_was() {
    let _together = together();
    let Some(mut lab) = Lab::start("updates and a damaged journal", "") else { return };
    assert_eq!(lab.update(ADMIN, &[], &["add new.walrus.example 60 TXT x"]), "ok");
    lab.walrus.signal("-KILL");
    let journal = lab.folder.path().join("state/updates/walrus.example.journal");
    let whole = std::fs::read(&journal).unwrap();
    let mut damaged = whole.clone();
    damaged[40] ^= 1;
    std::fs::write(&journal, &damaged).unwrap();
    lab.walrus.restart();
    assert!(lab.dig(&["host.walrus.example", "A"]).is_empty(), "not as in the file of long ago");
    let said = lab.update(ADMIN, &[], &["add other.walrus.example 60 TXT x"]);
    assert!(said.contains("SERVFAIL"), "{said}");
    let problems = lab.walrus.status()["problems"].to_string();
    assert!(problems.contains("takes no updates"), "{problems}");
    assert_eq!(std::fs::read(&journal).unwrap(), damaged, "nobody touches it");
    // From a backup: a reload is enough.
    std::fs::write(&journal, &whole).unwrap();
    lab.walrus.reload(&configuration(""));
    assert_eq!(lab.dig(&["new.walrus.example", "TXT"]), ["\"x\""]);
    assert_eq!(lab.update(ADMIN, &[], &["add other.walrus.example 60 TXT x"]), "ok");
}

/// The file of a zone that lives in its journal may be gone, or anything: it is told, and nothing stops.
#[test]
fn a_file_that_counts_no_longer_stops_neither_reload_nor_start() {
    let _together = together();
    let Some(mut lab) = Lab::start("updates without their file", "") else { return };
    assert_eq!(lab.update(ADMIN, &[], &["add new.walrus.example 60 TXT x"]), "ok");
    let is_told = |lab: &Lab, expected: &str| {
        let checked = Command::new(crate::walrus::program())
            .args(["check", "--strict"])
            .arg(lab.folder.path().join("walrus.toml"))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&checked.stderr);
        assert!(!checked.status.success() && told.contains(expected), "{told}");
    };
    let check = |lab: &Lab, expected: &str| {
        assert_eq!(lab.dig(&["new.walrus.example", "TXT"]), ["\"x\""], "{}", lab.walrus.said());
        assert_eq!(lab.dig(&["host.walrus.example", "TXT"]), ["\"kept\""]);
        is_told(lab, expected);
    };
    let file = lab.folder.path().join("zone");
    std::fs::write(&file, "this is no zone").unwrap();
    lab.walrus.reload(&configuration(""));
    check(&lab, "was changed after the zone");
    std::fs::remove_file(&file).unwrap();
    lab.walrus.restart();
    check(&lab, "cannot read the zone file");
    assert!(lab.walrus.said().contains("cannot read the zone file"), "{}", lab.walrus.said());
    assert_eq!(lab.update(ADMIN, &[], &["add more.walrus.example 60 TXT x"]), "ok");
}

/// Two nodes of one zone with the same service: one takes the updates, the other is its secondary, hears of them by NOTIFY
/// and has them by transfer, also of what was acknowledged right before `kill -9`.
#[test]
fn a_second_node_has_what_the_first_was_updated_to() {
    let _together = together();
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let dns = SocketAddr::new(here, free_port(&[here]));
    let transfers = format!(
        "transfer_to = [{{ from = \"127.0.0.0/8\", key = \"admin\" }}]\n\
         notify = [{{ address = \"{dns}\", key = \"admin\" }}]\nservices_in_transfers = \"none\"\n"
    );
    let Some(mut lab) = Lab::start("updates of two nodes", &transfers) else { return };
    let folder = tempfile::tempdir().unwrap();
    let secret = ADMIN.rsplit(':').next().unwrap();
    write_secret(&folder.path().join("admin.key"), secret);
    let primary = lab.walrus.dns;
    let second = CONFIGURATION
        .replace(
            "[[key]]\nname = \"acme\"\nalgorithm = \"hmac-sha512\"\nsecret_file = \"acme.key\"\n",
            "",
        )
        .replace("file = \"zone\"\nDNSSEC\n", "")
        .replace(
            "updates = [{ key = \"admin\" }, { key = \"acme\", acme = true }]",
            &format!("primaries = [{{ address = \"{primary}\", key = \"admin\" }}]"),
        );
    let node = Node { name: "second", dns: Some(dns), ..Node::default() };
    let second = Walrus::start_node(&node, folder.path(), &second);
    let is_there = |lab: &Lab, owner: &str, expected: &[&str]| {
        let look = || (lab.dig_at(dns, &[owner, "TXT"]) == expected).then_some(());
        let tell = || format!("{}\n----\n{}", lab.walrus.said(), second.said());
        wait_or_tell("the second node to have it", look, tell);
    };
    is_there(&lab, "host.walrus.example", &["\"kept\""]);
    let lines = ["add new.walrus.example 60 TXT x", "del host.walrus.example TXT"];
    assert_eq!(lab.update(ADMIN, &[], &lines), "ok");
    lab.walrus.signal("-KILL");
    lab.walrus.restart();
    is_there(&lab, "new.walrus.example", &["\"x\""]);
    is_there(&lab, "host.walrus.example", &[]);
    // Nobody updates a secondary.
    let refused = Command::new(&lab.nsupdate)
        .args(["-y", ADMIN])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .and_then(|mut child| {
            let script = format!(
                "server 127.0.0.1 {}\nzone walrus.example\nadd x.walrus.example 60 TXT x\nsend\n",
                dns.port()
            );
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes())?;
            child.wait_with_output()
        })
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("NOTAUTH"), "{said}");
    // Both answer for the service.
    for server in [primary, dns] {
        assert_eq!(lab.dig_at(server, &["www.walrus.example", "A"]), ["192.0.2.1"], "{server}");
    }
}
