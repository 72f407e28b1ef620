//! Zones that live in their journals, looked at from files alone: `walrus check` and its like.

use std::path::Path;

use walrus_core::dynamic::{JournalChange, write_base, write_change};
use walrus_core::zone::read_zone;
use walrus_director::journal_path;

use super::*;
use crate::load::{self, LoadError, Loaded};

const ZONE: &str = "@ 60 SOA ns.example.net. host 1 2 3 4 5\n@ 60 NS ns.example.net.\n";
const CONFIGURATION: &str = r#"
[node]
state = "state"
[dns]
listen = ["127.0.0.1:5300"]
[[key]]
name = "k"
secret_file = "k.key"
[[zone]]
name = "walrus.example"
file = "zone"
updates = [{ key = "k" }]
[[cluster]]
name = "c"
servers = [{ name = "s1", addresses = ["192.0.2.1"], host = "mail.walrus.example" }]
[[service]]
name = "www.walrus.example"
[[service]]
name = "_sip._tcp.walrus.example"
srv = { port = 5060 }
"#;

/// A folder with a zone that has been updated to end in these lines.
fn updated(lines: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("walrus.toml", CONFIGURATION);
    put("zone", ZONE);
    put("k.key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    let apex: DomainName = "walrus.example".parse().unwrap();
    let read = |text: &str| read_zone("zone", text.as_bytes(), &apex).unwrap().zone;
    let (before, after) =
        (read(ZONE), read(&format!("{}{lines}", ZONE.replace("host 1", "host 2"))));
    let digest = zone_files::digest_of(&folder.path().join("zone"), 1 << 20).unwrap();
    let mut journal: Vec<u8> =
        write_base(&before, true, digest.as_str().as_bytes()).flatten().collect();
    let place = journal.len() as u64;
    let by = JournalChange { at: 1, key: apex.clone() };
    write_change(&mut journal, (place, place), &by, &before.difference_to(&after));
    let path = journal_path(&folder.path().join("state"), &apex);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, journal).unwrap();
    folder
}

fn loaded(folder: &Path) -> Loaded {
    let loaded = load::check(&folder.join("walrus.toml")).and_then(|checked| checked.load(None));
    loaded.unwrap_or_else(|error| match error {
        LoadError::Problems(problems) => panic!("{problems:?}"),
        LoadError::Unreadable(text) => panic!("{text}"),
    })
}

#[test]
fn what_updates_made_is_looked_at_and_hides_nothing() {
    let folder = updated("www 60 CNAME x\nmail 60 A 192.0.2.9\nnew 60 TXT x\n");
    let loaded = loaded(folder.path());
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    let said = loaded.warnings.join("\n");
    for part in ["CNAME records at www.walrus.example", "A records at mail.walrus.example"] {
        assert!(said.contains(part), "{said}");
    }
    let set = |name: &str, number| loaded.zones[0].set(&name.parse().unwrap(), number).is_some();
    assert!(set("new.walrus.example", 16) && !set("www.walrus.example", 5));
    assert!(set("mail.walrus.example", 1), "with the server's address");
}

#[test]
fn a_file_that_counts_no_longer_may_be_anything_and_its_change_is_told() {
    let folder = updated("new 60 TXT x\n");
    assert_eq!(loaded(folder.path()).warnings, Vec::<String>::new());
    let file = folder.path().join("zone");
    // In the same second, or dated back: what is compared is the text.
    for (text, expected) in
        [("$INCLUDE other\n", "was changed after"), ("no zone", "was changed after")]
    {
        std::fs::write(&file, text).unwrap();
        let warnings = loaded(folder.path()).warnings;
        assert!(warnings.len() == 1 && warnings[0].contains(expected), "{warnings:?}");
    }
    std::fs::remove_file(&file).unwrap();
    let warnings = loaded(folder.path()).warnings;
    assert!(
        warnings.len() == 1 && warnings[0].contains("cannot read the zone file"),
        "{warnings:?}"
    );
}

#[test]
fn a_change_of_an_included_file_is_told_too() {
    let folder = updated("new 60 TXT x\n");
    let file = folder.path().join("zone");
    let digest = || zone_files::digest_of(&file, 1 << 20).unwrap();
    let mut seen = vec![digest()];
    std::fs::write(&file, format!("{ZONE}$INCLUDE more\n")).unwrap();
    seen.push(digest());
    std::fs::write(folder.path().join("more"), "a 60 TXT x\n").unwrap();
    seen.push(digest());
    std::fs::write(folder.path().join("more"), "a 60 TXT y\n").unwrap();
    seen.push(digest());
    seen.dedup();
    assert_eq!(seen.len(), 4, "{seen:?}");
}
