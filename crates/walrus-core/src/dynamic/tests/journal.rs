//! What is written is read back, and what was not written to its end is left out.

use super::*;
use crate::dynamic::{JournalChange, JournalDamaged, read_journal, write_base, write_change};

fn by(at: u64) -> JournalChange {
    JournalChange { at, key: "acme.key".parse().unwrap() }
}

/// A journal with these changes, and where each ends; and the zone after each.
fn written(changes: &[&[&str]]) -> (Vec<u8>, Vec<usize>, Vec<Zone>) {
    let mut zone = zone();
    let mut bytes: Vec<u8> = write_base(&zone, true, b"text").flatten().collect();
    let (mut ends, mut zones) = (vec![bytes.len()], vec![zone.clone()]);
    for (number, lines) in changes.iter().enumerate() {
        let difference = decide(&zone, &message(&[], lines), &everything()).unwrap();
        let place = bytes.len() as u64;
        write_change(&mut bytes, (place, place), &by(number as u64), &difference);
        zone = zone.with_difference(&difference).unwrap();
        ends.push(bytes.len());
        zones.push(zone.clone());
    }
    (bytes, ends, zones)
}

const CHANGES: &[&[&str]] = &[
    &["b A 192.0.2.9", "a TXT \"two\""],
    &["*a ANY", "-b A 192.0.2.9"],
    &["a A 192.0.2.2", "@ NS ns3.example.net.", "alias CNAME b"],
];

#[test]
fn what_was_written_is_read_back() {
    let (bytes, ends, zones) = written(CHANGES);
    let content = read_journal(&bytes, &name("@")).unwrap();
    assert_eq!(text(&content.zone), text(zones.last().unwrap()));
    assert_eq!((content.changes, content.last), (3, Some(by(2))));
    assert!(!content.is_as_loaded);
    assert_eq!(content.text, b"text");
    assert!(read_journal(&bytes[..ends[0]], &name("@")).unwrap().is_as_loaded);
    assert_eq!((content.base_len, content.whole_len), (ends[0] as u64, bytes.len() as u64));
}

#[test]
fn a_torn_tail_is_cut_at_the_last_whole_change() {
    let (bytes, ends, zones) = written(CHANGES);
    for len in ends[0]..bytes.len() {
        let content = read_journal(&bytes[..len], &name("@")).unwrap();
        let whole = ends.iter().rposition(|end| *end <= len).unwrap();
        assert_eq!(content.whole_len, ends[whole] as u64, "{len}");
        assert_eq!(text(&content.zone), text(&zones[whole]), "{len}");
    }
    // Zeros, as a file system leaves them where it lost what was not synced.
    let mut zeroed = bytes.clone();
    zeroed[ends[2]..].fill(0);
    assert_eq!(read_journal(&zeroed, &name("@")).unwrap().whole_len, ends[2] as u64);
    // Any flipped bit of the last ends it there; where others were written after it, it was acknowledged.
    for at in ends[1]..ends[3] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        let read = read_journal(&flipped, &name("@"));
        if at < ends[2] {
            assert_eq!(read.unwrap_err(), JournalDamaged::Middle(ends[1] as u64), "{at}");
        } else {
            assert_eq!(read.unwrap().whole_len, ends[2] as u64, "{at}");
        }
    }
}

/// What a power cut leaves of a large change is full of what could be lengths.
#[test]
fn a_large_torn_change_is_no_damage() {
    let (bytes, ends, _) = written(CHANGES);
    // A owned by the root, a day: 0x0001_0000, 0x0001_5180, 0x0004_c000 and more fit as lengths.
    let record = b"\0\0\x01\0\x01\x51\x80\0\x04\xc0\0\x02\x01";
    let torn = [&(4_u32 << 20).to_be_bytes()[..], &[0; 8], &record.repeat(60_000)].concat();
    let content = read_journal(&[bytes, torn].concat(), &name("@")).unwrap();
    assert_eq!(content.whole_len, ends[3] as u64);
}

#[test]
fn what_it_begins_with_must_be_whole() {
    let (bytes, ends, _) = written(CHANGES);
    for len in 0..ends[0] {
        let damaged = read_journal(&bytes[..len], &name("@")).unwrap_err();
        let expected = if len < 8 { JournalDamaged::NoJournal } else { JournalDamaged::Base };
        assert_eq!(damaged, expected, "{len}");
    }
    assert_eq!(read_journal(&bytes, &name("a")).unwrap_err(), JournalDamaged::OtherZone);
}

#[test]
fn a_change_in_another_place_or_of_another_serial_is_none() {
    let (bytes, ends, _) = written(CHANGES);
    // The second without the first: its checksum is for another place.
    let moved = [&bytes[..ends[0]], &bytes[ends[1]..ends[2]]].concat();
    assert_eq!(read_journal(&moved, &name("@")).unwrap().changes, 0);
    let mut again = bytes[..ends[0]].to_vec();
    let difference = decide(&zone(), &message(&[], CHANGES[0]), &everything()).unwrap();
    for _ in 0..2 {
        let place = again.len() as u64;
        write_change(&mut again, (place, place), &by(0), &difference);
    }
    assert_eq!(read_journal(&again, &name("@")).unwrap_err(), JournalDamaged::Change);
}

#[test]
fn a_zone_of_several_parts_is_read_back() {
    let mut lines = ZONE.to_owned();
    for number in 0..30_000 {
        lines.push_str(&format!("host{number} 60 TXT \"{number:0>40}\"\n"));
    }
    let zone = zone_of(&lines);
    let parts: Vec<Vec<u8>> = write_base(&zone, false, b"").collect();
    assert!(parts.len() > 3, "{}", parts.len());
    let content = read_journal(&parts.concat(), &name("@")).unwrap();
    assert_eq!(content.zone.name_count(), zone.name_count());
    assert_eq!(text(&content.zone), text(&zone));
}
