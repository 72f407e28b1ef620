//! Signed answers of the real program, through power cuts, damaged files and lost keys.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::dns::{ask_udp, code, query};
use crate::running::{Running, TWO_CLUSTERS, wait_for};

const RRSIG: u16 = 46;

fn config() -> String {
    // The parent is nobody: its silence must not matter.
    format!("{TWO_CLUSTERS}\n[dnssec]\nsign = true\nparent = [\"ADDRESS:5399\"]\n")
}

/// The signatures that come with some answers for the service; all answers must have one.
fn signatures(running: &Running) -> BTreeSet<Vec<u8>> {
    (0..8).map(|_| wait_for("an answer", || signature(running))).collect()
}

/// One; `None` if nobody answers for the zone yet.
fn signature(running: &Running) -> Option<Vec<u8>> {
    let mut query = query("www.walrus.example", 1, Some([203, 0, 113]));
    // DO: the first bit of the two bytes before the OPT record's data, which are 13 with its length.
    let flags = query.len() - 13 - 2;
    query[flags] = 0x80;
    let reply = ask_udp(running.dns(), &query, Duration::from_secs(2))?;
    let count = u16::from_be_bytes([reply[6], reply[7]]);
    if code(&reply) != 0 || count == 0 {
        return None;
    }
    // Behind the question; owners are pointers.
    let mut rest = &reply[12 + "www.walrus.example".len() + 2 + 4..];
    let mut signature = None;
    for _ in 0..count {
        let (of_type, len) =
            (u16::from_be_bytes([rest[2], rest[3]]), u16::from_be_bytes([rest[10], rest[11]]));
        let (record, next) = rest.split_at(12 + usize::from(len));
        if of_type == RRSIG {
            signature = Some(record[12..].to_vec());
        }
        rest = next;
    }
    Some(signature.expect("never unsigned"))
}

fn kept(running: &Running) -> Vec<PathBuf> {
    let files = std::fs::read_dir(running.path("state/signatures")).into_iter().flatten();
    files.map(|file| file.unwrap().path()).collect()
}

/// Private keys of the zone; `retired/` and the state stay where they are.
fn private_keys(running: &Running) -> Vec<PathBuf> {
    let directories = std::fs::read_dir(running.path("state/keys")).unwrap();
    let files = directories.flat_map(|zone| std::fs::read_dir(zone.unwrap().path()).unwrap());
    let files = files.map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "private")).collect()
}

#[test]
fn signatures_outlive_a_power_cut_a_damaged_file_and_a_lost_key() {
    let mut running = Running::start(&config());
    let before = signatures(&running);
    wait_for("signatures on the disk", || services_are_kept(&running, &before).then_some(()));
    running.kill();
    running.up();
    // ECDSA gives another signature each time: these were not made anew.
    assert!(signatures(&running).is_subset(&before));
    running.kill();
    for path in kept(&running) {
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    running.up();
    let anew = signatures(&running);
    assert!(anew.is_disjoint(&before));
    assert!(running.log().contains("kept signatures are damaged"), "{}", running.log());
    wait_for("them on the disk", || services_are_kept(&running, &anew).then_some(()));
    running.kill();
    let keys = private_keys(&running);
    assert!(!keys.is_empty());
    keys.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    running.up();
    assert!(signatures(&running).is_subset(&anew), "what was signed goes on");
    let problem = wait_for("the problem", || {
        let status = running.status();
        let problems = status["problems"].as_array()?.clone();
        problems.into_iter().find(|problem| problem["kind"] == "signing")
    });
    assert!(problem["text"].as_str().unwrap().contains("private key"), "{problem}");
}

/// Whether all of these signatures are in the kept files.
fn services_are_kept(running: &Running, signatures: &BTreeSet<Vec<u8>>) -> bool {
    let kept: Vec<Vec<u8>> =
        kept(running).iter().map(|path| std::fs::read(path).unwrap()).collect();
    signatures.iter().all(|data| {
        let signature = &data[data.len() - 64..];
        kept.iter().any(|kept| kept.windows(64).any(|bytes| bytes == signature))
    })
}
