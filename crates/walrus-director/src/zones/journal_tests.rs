//! Journals on disks that are full, torn and slow.

use std::sync::{Arc, Mutex};

use walrus_core::zone::read_zone;

use super::*;

const APEX: &str = "walrus.example";

fn apex() -> DomainName {
    APEX.parse().unwrap()
}

fn zone() -> Zone {
    let text = b"@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns.example.net.\na 60 TXT \"0\"\n";
    read_zone("zone", text, &apex()).unwrap().zone
}

/// Replaces the text at `a`.
fn change(zone: &Zone, number: u32) -> (JournalChange, ZoneDifference, Zone) {
    let mut text = String::new();
    walrus_core::zone::write_zone(zone, &mut text).unwrap();
    let serial = zone.serial();
    let lines = text
        .replace(&format!("host.{APEX}. {serial} "), &format!("host.{APEX}. {} ", serial + 1))
        .lines()
        .filter(|line| !line.contains("TXT"))
        .map(|line| format!("{line}\n"))
        .chain([format!("a 60 TXT \"{number}\"\n")])
        .collect::<String>();
    let next = read_zone("zone", lines.as_bytes(), &apex()).unwrap().zone;
    let by = JournalChange { at: number.into(), key: "key".parse().unwrap() };
    (by, zone.difference_to(&next), next)
}

fn text_at_a(zone: &Zone) -> Vec<u8> {
    let set = zone.set(&"a.walrus.example".parse().unwrap(), 16).unwrap();
    set.data().next().unwrap()[1..].to_vec()
}

#[test]
fn what_was_appended_is_there_after_a_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = journal_path(directory.path(), &apex());
    assert!(Journal::open(&path, &apex()).unwrap().is_none());
    let mut zone = zone();
    let mut journal = Journal::begin(&path, &zone, b"").unwrap();
    for number in 1..20 {
        let (by, difference, next) = change(&zone, number);
        journal.append(&[(by, difference)]).unwrap();
        zone = next;
    }
    let (again, read) = Journal::open(&path, &apex()).unwrap().unwrap();
    assert_eq!((again.len(), again.told().0), (journal.len(), 19));
    assert_eq!(again.told().1.unwrap().at, 19);
    assert_eq!((text_at_a(&read), read.serial()), (b"19".to_vec(), zone.serial()));
}

#[test]
fn a_torn_tail_is_cut_and_kept_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = journal_path(directory.path(), &apex());
    let mut journal = Journal::begin(&path, &zone(), b"").unwrap();
    let (by, first, next) = change(&zone(), 1);
    journal.append(&[(by.clone(), first)]).unwrap();
    let whole = journal.len();
    journal.append(&[(by, change(&next, 2).1)]).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(journal.len() - 3).unwrap();
    let (mut journal, read) = Journal::open(&path, &apex()).unwrap().unwrap();
    assert_eq!((journal.len(), text_at_a(&read)), (whole, b"1".to_vec()));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), whole);
    assert!(path.with_extension("journal.cut").exists());
    // And it goes on from there.
    let (by, difference, _) = change(&read, 7);
    journal.append(&[(by, difference)]).unwrap();
    let (_, read) = Journal::open(&path, &apex()).unwrap().unwrap();
    assert_eq!(text_at_a(&read), b"7");
}

#[test]
fn a_damaged_journal_is_refused_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = journal_path(directory.path(), &apex());
    Journal::begin(&path, &zone(), b"").unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let Err(error) = Journal::open(&path, &apex()) else { panic!("it is damaged") };
    assert!(error.to_string().contains("bring it back from a backup"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn it_is_written_anew_before_it_is_much_longer_than_the_zone() {
    let directory = tempfile::tempdir().unwrap();
    let path = journal_path(directory.path(), &apex());
    let mut zone = zone();
    let mut journal = Journal::begin(&path, &zone, b"").unwrap();
    let mut longest = 0;
    for number in 1..20_000 {
        let (by, difference, next) = change(&zone, number % 10);
        // As a group, so that the test does not wait for the disk so often.
        journal.append(&[(by, difference)]).unwrap();
        zone = next;
        longest = longest.max(journal.len());
        journal.shorten(&zone);
        if longest > CHANGES_MIN && journal.len() < CHANGES_MIN / 2 {
            let (_, read) = Journal::open(&path, &apex()).unwrap().unwrap();
            assert_eq!(read.serial(), zone.serial());
            assert!(longest < CHANGES_MIN + 10_000);
            return;
        }
    }
    panic!("never shorter than {longest}");
}

#[test]
fn a_change_that_is_broken_in_the_middle_is_no_torn_tail() {
    let directory = tempfile::tempdir().unwrap();
    let path = journal_path(directory.path(), &apex());
    let mut zone = zone();
    let mut journal = Journal::begin(&path, &zone, b"").unwrap();
    let mut ends = vec![journal.len()];
    for number in 1..20 {
        let (by, difference, next) = change(&zone, number);
        journal.append(&[(by, difference)]).unwrap();
        zone = next;
        ends.push(journal.len());
    }
    let whole = std::fs::read(&path).unwrap();
    // The head of the third, its length, and something in it.
    for place in [ends[2] + 5, ends[2], ends[3] - 2] {
        let mut bytes = whole.clone();
        bytes[usize::try_from(place).unwrap()] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let Err(error) = Journal::open(&path, &apex()) else { panic!("{place}: changes are lost") };
        assert!(chain_of(&error).contains("others were written after it"), "{error:?}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    // The last may be torn, wherever it is.
    let mut bytes = whole;
    bytes[usize::try_from(ends[18]).unwrap() + 30] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let (_, read) = Journal::open(&path, &apex()).unwrap().unwrap();
    assert_eq!(text_at_a(&read), b"18");
}

#[test]
fn of_what_is_written_together_any_part_may_be_missing() {
    let directory = tempfile::tempdir().unwrap();
    let path = journal_path(directory.path(), &apex());
    let mut journal = Journal::begin(&path, &zone(), b"").unwrap();
    let begun = usize::try_from(journal.len()).unwrap();
    let (by, first, next) = change(&zone(), 1);
    let (_, second, next) = change(&next, 2);
    let (_, third, _) = change(&next, 3);
    journal.append(&[(by.clone(), first), (by.clone(), second), (by, third)]).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // Pages reach the disk in any order: the first did not.
    bytes[begun..begun + 40].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    let (_, read) = Journal::open(&path, &apex()).unwrap().unwrap();
    assert_eq!(text_at_a(&read), b"0");
}

#[test]
fn nothing_is_written_to_a_file_that_has_lost_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = journal_path(directory.path(), &apex());
    let mut journal = Journal::begin(&path, &zone(), b"").unwrap();
    let (by, first, next) = change(&zone(), 1);
    journal.append(&[(by.clone(), first)]).unwrap();
    journal.len += CHANGES_MIN;
    // Another stands there, and no directory takes a third.
    let other = Journal::begin(&path, &next, b"").unwrap();
    let beside = path.with_file_name(format!(".{}.new", path.file_name().unwrap().display()));
    std::fs::create_dir(&beside).unwrap();
    std::fs::write(beside.join("full"), "").unwrap();
    journal.shorten(&next);
    let error = journal.append(&[(by, change(&next, 2).1)]).unwrap_err();
    assert!(error.to_string().contains("reload"), "{error}");
    assert!(journal.is_replaced());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), other.len());
}

#[test]
fn what_is_taken_back_was_never_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = journal_path(directory.path(), &apex());
    let mut journal = Journal::begin(&path, &zone(), b"").unwrap();
    let end = journal.end();
    let (by, first, _) = change(&zone(), 1);
    journal.append(&[(by, first)]).unwrap();
    assert!(!journal.is_as_loaded());
    journal.take_back(end);
    assert!(journal.is_as_loaded() && journal.told() == (0, None));
}

fn chain_of(error: &JournalError) -> String {
    walrus_host::log::chain(error)
}

/// A disk in memory on which only so many bytes fit, and that may refuse to forget.
#[derive(Clone, Default)]
struct SmallDisk(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    room: usize,
    may_cut: bool,
}

impl JournalFile for SmallDisk {
    fn put(&mut self, place: u64, bytes: &[u8]) -> io::Result<()> {
        let mut held = self.0.lock().unwrap();
        let place = usize::try_from(place).unwrap();
        assert_eq!(place, held.bytes.len(), "what was given up is gone");
        let fits = bytes.len().min(held.room.saturating_sub(place));
        // A part of it, as a full disk does.
        held.bytes.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn cut(&mut self, place: u64) -> io::Result<()> {
        let mut held = self.0.lock().unwrap();
        if !held.may_cut {
            return Err(io::Error::other("no"));
        }
        held.bytes.truncate(usize::try_from(place).unwrap());
        Ok(())
    }
}

#[test]
fn a_full_disk_loses_nothing_and_takes_on_when_there_is_room() {
    for may_cut in [true, false] {
        let disk = SmallDisk::default();
        let base: Vec<u8> = write_base(&zone(), true, b"").flatten().collect();
        let (by, first, next) = change(&zone(), 1);
        let mut one = Vec::new();
        let base_len = base.len() as u64;
        write_change(&mut one, (base_len, base_len), &by, &first);
        *disk.0.lock().unwrap() =
            Held { bytes: base.clone(), room: base.len() + one.len() + 9, may_cut };
        let mut journal = Journal {
            path: "journal".into(),
            file: disk.clone(),
            len: base.len() as u64,
            base_len: base.len() as u64,
            has_tail: false,
            changes: 0,
            last: None,
            is_as_loaded: true,
            text: Vec::new(),
            retry_at: 0,
            is_replaced: false,
        };
        journal.append(&[(by.clone(), first)]).unwrap();
        let (_, second, last) = change(&next, 2);
        for _ in 0..3 {
            assert!(journal.append(&[(by.clone(), second.clone())]).is_err());
            let read = read_journal(&disk.0.lock().unwrap().bytes, &apex()).unwrap();
            assert_eq!((text_at_a(&read.zone), read.changes), (b"1".to_vec(), 1));
        }
        disk.0.lock().unwrap().room = 1 << 20;
        disk.0.lock().unwrap().may_cut = true;
        journal.append(&[(by.clone(), second)]).unwrap();
        // Served it cannot be, for some other reason.
        let (end, third) = (journal.end(), change(&last, 3).1);
        journal.append(&[(by, third)]).unwrap();
        journal.take_back(end);
        let read = read_journal(&disk.0.lock().unwrap().bytes, &apex()).unwrap();
        assert_eq!((text_at_a(&read.zone), read.changes), (b"2".to_vec(), 2));
    }
}

#[test]
fn every_zone_has_a_file_name_of_its_own() {
    let state = Path::new("/state");
    for (name, expected) in [
        ("example.com", "/state/updates/example.com.journal"),
        (".", "/state/updates/%root.journal"),
        ("a/b.example", "/state/updates/a%2fb.example.journal"),
        ("0/25.2.0.192.in-addr.arpa", "/state/updates/0%2f25.2.0.192.in-addr.arpa.journal"),
    ] {
        assert_eq!(journal_path(state, &name.parse().unwrap()), Path::new(expected));
    }
}
