//! Root given up, and a name server alone in its sandbox, as the kernel tells it.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use crate::dns::addresses;
use crate::running::{Running, TWO_CLUSTERS, skipped, wait_for, walrus_on};

/// One line of `/proc/PID/task/TID/status` of each thread.
fn of_all_threads(running: &Running, key: &str) -> Vec<String> {
    let folder = format!("/proc/{}/task", running.process());
    let tasks = std::fs::read_dir(folder).unwrap();
    let line = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    };
    tasks.filter_map(|task| line(task.ok()?)).collect()
}

fn is_root() -> bool {
    let root = std::fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0);
    if !root {
        skipped("giving up root: only root can");
    }
    root
}

#[test]
fn a_name_server_gives_up_root_and_goes_on_answering_in_its_sandbox() {
    if !is_root() {
        return;
    }
    // A port that wants a right; and a folder that the user may look into.
    let config = TWO_CLUSTERS.replace("ADDRESS:5300", "ADDRESS:53");
    let as_user = config.replace("name = \"one\"", "name = \"one\"\nuser = \"nobody\"");
    let mut running = Running::prepared(&config);
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(running.folder.path(), open).unwrap();
    // Once as root, who leaves a state directory of its own.
    running.up();
    running.kill();
    assert_eq!(running_owner(&running, "state"), 0);
    running.write("walrus.toml", &as_user);
    running.up();
    let confined = running.status()["confined"][0].clone();
    assert_eq!(confined, "user nobody, with the right to open low ports");
    for file in ["state", "state/token", "state/key.pem", "state/plan.json"] {
        assert_eq!(running_owner(&running, file), 65534, "{file}");
    }
    assert!(of_all_threads(&running, "Seccomp").iter().all(|it| it == "0"), "a Controller too");
    running.kill();

    let alone = as_user.replace("\"controller\", ", "");
    running.write("walrus.toml", &alone);
    running.spawn();
    let mut dns = running.dns();
    dns.set_port(53);
    assert_eq!(addresses(dns).len(), 2);
    for (key, wanted) in [
        ("Uid", "65534\t65534\t65534\t65534"),
        ("Gid", "65534\t65534\t65534\t65534"),
        ("Groups", ""),
        ("CapEff", "0000000000000400"),
        ("CapPrm", "0000000000000400"),
        ("CapInh", "0000000000000000"),
        ("CapBnd", "0000000000000000"),
        ("CapAmb", "0000000000000000"),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
    ] {
        let found = of_all_threads(&running, key);
        assert!(found.len() > 1 && found.iter().all(|it| it == wanted), "{key}: {found:?}");
    }
    let log = running.log();
    assert!(log.contains("system calls: seccomp"), "{log}");

    // What it needs it still can: a reload, and a token from its state directory.
    let shorter = alone.replace("ttl = \"5s\"", "ttl = \"4s\"");
    running.write("walrus.toml", &shorter);
    let reloaded = running.ask(&["reload"]);
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    // What it could not read is refused as that, and nothing changes.
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::set_permissions(elsewhere.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let database = elsewhere.path().join("countries.mmdb");
    let wanting = format!("{shorter}\n[geo]\ndatabase = \"{}\"\n", database.display());
    running.write("walrus.toml", &wanting);
    let refused = running.ask(&["reload"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let told = "may not be read since the start: restart, for `sandbox` of [node]";
    assert!(refused.stderr.contains(told), "{refused:?}");
    // What the configuration does not name itself is refused by the system, and explained.
    let prefixes = elsewhere.path().join("nets.txt");
    std::fs::write(&prefixes, "10.0.0.0/8\n").unwrap();
    let area = format!("[[area]]\nname = \"a\"\nclients = [\"file:{}\"]\n", prefixes.display());
    running.write("walrus.toml", &format!("{shorter}\n{area}"));
    let refused = running.ask(&["reload"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("this process is in a sandbox"), "{refused:?}");
    assert_eq!(addresses(dns).len(), 2);
    // Nor what a zone includes. What either names at the start is allowed with the rest.
    let records = elsewhere.path().join("hosts.inc");
    std::fs::write(&records, "host A 192.0.2.77\n").unwrap();
    let soa = "@ SOA ns1.walrus.example. a. 1 1h 1h 1d 1m\n@ NS ns1.walrus.example.\n";
    running.write("a.zone", &format!("{soa}$INCLUDE {}\n", records.display()));
    let short = "zone = \"walrus.example\"\nnameservers = [\"ns1.walrus.example\"]\n";
    assert!(shorter.contains(short));
    let zone = "[[zone]]\nname = \"walrus.example\"\nfile = \"a.zone\"\n";
    let shorter = shorter.replace(short, "");
    running.write("walrus.toml", &format!("{shorter}\n{zone}"));
    let refused = running.ask(&["reload"]);
    let told = "may not be read since the start: restart, for `sandbox` of [node]";
    assert!(refused.code == Some(1) && refused.stderr.contains(told), "{refused:?}");
    running.kill();
    running.write("walrus.toml", &format!("{shorter}\n{area}\n{zone}"));
    running.spawn();
    assert_eq!(addresses(dns).len(), 2, "{}", running.log());
    assert!(of_all_threads(&running, "Seccomp").iter().all(|it| it == "2"));
    let explained = running.ask(&["explain", "host.walrus.example", "--client", "192.0.2.1"]);
    assert!(explained.stdout.contains("192.0.2.77"), "{explained:?}");
}

fn running_owner(running: &Running, file: &str) -> u32 {
    running.path(file).metadata().unwrap().uid()
}

#[test]
fn a_user_who_will_not_do_is_told_of() {
    if !is_root() {
        return;
    }
    let mut running = Running::prepared("");
    std::fs::create_dir(running.path("state")).unwrap();
    std::os::unix::fs::chown(running.path("state"), Some(1), Some(1)).unwrap();
    for (lines, told) in [
        ("user = \"nobody-of-this-name\"", "there is no user `nobody-of-this-name`"),
        ("user = \"root\"", "is root"),
        ("user = \"nobody\"\ngroup = \"no-such-group\"", "there is no group `no-such-group`"),
        ("user = \"nobody\"", "belongs to user 1, not to `nobody`"),
    ] {
        let config = TWO_CLUSTERS.replace("name = \"one\"", &format!("name = \"one\"\n{lines}"));
        running.write("walrus.toml", &config);
        running.spawn();
        assert_eq!(running.ended().code(), Some(3), "{lines}");
        wait_for(told, || running.log().contains(told).then_some(()));
    }
    for (lines, told) in [
        ("group = \"adm\"", "goes with `node.user`"),
        ("sandbox = \"required\"", "only a process with the role `director` alone"),
    ] {
        let config = TWO_CLUSTERS.replace("name = \"one\"", &format!("name = \"one\"\n{lines}"));
        running.write("walrus.toml", &config);
        let checked = walrus_on("check", &running.path("walrus.toml"));
        assert_eq!(checked.code, Some(1), "{checked:?}");
        assert!(checked.stderr.contains(told), "{checked:?}");
    }
}
