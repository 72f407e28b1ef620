//! Signed answers of the real program, through power cuts, damaged files and lost keys.

use std::path::PathBuf;
use std::time::Duration;

use crate::dns::{ask_udp, code, query};
use crate::running::{Running, TWO_CLUSTERS, wait_for};

const RRSIG: u16 = 46;

fn config() -> String {
    // The parent is nobody: its silence must not matter.
    format!("{TWO_CLUSTERS}\n[dnssec]\nsign = true\nparent = [\"ADDRESS:5399\"]\n")
}

/// The signature of the answer that names both servers of the near cluster.
///
/// Until it is made the answers name one of them, with a signature that is dropped again later: on
/// a busy machine such answers come first, and say nothing about what is kept.
fn signature(running: &Running) -> Vec<u8> {
    wait_for("an answer with both servers", || signature_of_both(running))
}

/// The same, once; `None` if nobody answers for the zone yet, or with one server.
fn signature_of_both(running: &Running) -> Option<Vec<u8>> {
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
    let mut signatures = Vec::new();
    for _ in 0..count {
        let (of_type, len) =
            (u16::from_be_bytes([rest[2], rest[3]]), u16::from_be_bytes([rest[10], rest[11]]));
        let (record, next) = rest.split_at(12 + usize::from(len));
        if of_type == RRSIG {
            signatures.push(record[12..].to_vec());
        }
        rest = next;
    }
    assert_eq!(signatures.len(), 1, "never unsigned");
    signatures.pop().filter(|_| count == 3)
}

/// The files of signatures. One that is just being written has another name until it is whole: what
/// is only there is lost with the power.
fn kept(running: &Running) -> Vec<PathBuf> {
    let files = std::fs::read_dir(running.path("state/signatures")).into_iter().flatten();
    let files = files.map(|file| file.unwrap().path());
    files.filter(|path| !path.file_name().unwrap().as_encoded_bytes().starts_with(b".")).collect()
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
    let before = signature(&running);
    wait_for("it on the disk", || is_kept(&running, &before).then_some(()));
    running.kill();
    running.up();
    // ECDSA gives another signature each time: it was not made anew.
    assert_eq!(signature(&running), before);
    running.kill();
    for path in kept(&running) {
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    running.up();
    let anew = signature(&running);
    assert_ne!(anew, before);
    assert!(running.log().contains("kept signatures are damaged"), "{}", running.log());
    wait_for("the new one on the disk", || is_kept(&running, &anew).then_some(()));
    running.kill();
    let keys = private_keys(&running);
    assert!(!keys.is_empty());
    keys.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    running.up();
    assert_eq!(signature(&running), anew, "what was signed goes on");
    let problem = wait_for("the problem", || {
        let status = running.status();
        let problems = status["problems"].as_array()?.clone();
        problems.into_iter().find(|problem| problem["kind"] == "signing")
    });
    assert!(problem["text"].as_str().unwrap().contains("private key"), "{problem}");
}

/// Whether this signature is in the kept files.
fn is_kept(running: &Running, signature: &[u8]) -> bool {
    let bytes = &signature[signature.len() - 64..];
    kept(running).iter().any(|path| std::fs::read(path).unwrap().windows(64).any(|it| it == bytes))
}

/// The tags of the zone's keys.
fn tags(running: &Running) -> Vec<u64> {
    let (_, object) = running.ask_json(&["keys", "list"]);
    let keys = object["zones"][0]["keys"].as_array().cloned().unwrap_or_default();
    keys.iter().filter_map(|key| key["tag"].as_u64()).collect()
}

/// What `walrus status` says of a kind of problem, once it does.
fn problem(running: &Running, kind: &str) -> String {
    wait_for("a problem", || {
        let status = running.status();
        let problems = status["problems"].as_array()?.clone();
        let found = problems.into_iter().find(|problem| problem["kind"] == kind)?;
        found["text"].as_str().map(str::to_owned)
    })
}

/// The reply's code, and whether it says why in an extended error.
fn refusal(running: &Running) -> Option<(u16, bool)> {
    let query = query("www.walrus.example", 1, Some([203, 0, 113]));
    let reply = ask_udp(running.dns(), &query, Duration::from_secs(2))?;
    Some((code(&reply).into(), reply.ends_with(b"zone is not signed here yet")))
}

/// `rm -r STATE/keys`: what was signed serves on, no other key is made unasked, and one command
/// gets out of it.
#[test]
fn keys_that_are_gone_are_replaced_only_when_they_are_said_to_be_lost() {
    let mut running = Running::start(&config());
    let before = signature(&running);
    wait_for("it on the disk", || is_kept(&running, &before).then_some(()));
    let old = tags(&running);
    running.kill();
    std::fs::remove_dir_all(running.path("state/keys")).unwrap();
    running.up();
    assert_eq!(signature(&running), before, "what was signed goes on");
    assert_eq!(tags(&running), old);
    let advice = "walrus keys add walrus.example --lost";
    let said = problem(&running, "keys");
    assert!(said.contains("is gone") && said.contains(advice), "{said}");
    let refused = running.ask(&["keys", "add", "walrus.example"]);
    assert!(refused.code == Some(1) && refused.stderr.contains(advice), "{refused:?}");
    let replaced = running.ask(&["keys", "add", "walrus.example", "--lost"]);
    assert!(replaced.code == Some(0), "{replaced:?}");
    assert!(replaced.stdout.contains("give the parent their DS at once"), "{replaced:?}");
    let new = tags(&running);
    assert!(new.len() == 1 && new != old, "{new:?} in place of {old:?}");
    wait_for("an answer by the new key", || (signature(&running) != before).then_some(()));

    // Nor does the copy tell any more which keys there were, only signatures that there were some.
    running.kill();
    std::fs::remove_dir_all(running.path("state/keys")).unwrap();
    let copies = kept(&running).into_iter();
    let copies = copies.filter(|path| path.extension().is_some_and(|end| end == "json"));
    assert_eq!(copies.map(|path| std::fs::remove_file(path).unwrap()).count(), 1);
    running.up();
    assert_eq!(wait_for("a refusal", || refusal(&running)), (5, true));
    let said = problem(&running, "keys");
    assert!(said.contains("was signed before") && said.contains(advice), "{said}");
    let said = problem(&running, "signing");
    assert!(said.contains("is refused") && said.contains("no key signs it"), "{said}");
    let metrics = running.http("GET", "/metrics", "").1;
    assert!(metrics.contains("dnssec_zone_signatures{zone=\"walrus.example\"} 0"), "{metrics}");
    assert_eq!(tags(&running), [0; 0]);
    assert_eq!(running.ask(&["keys", "add", "walrus.example", "--lost"]).code, Some(0));
    let anew = signature(&running);
    wait_for("it on the disk", || is_kept(&running, &anew).then_some(()));
    let newest = tags(&running);
    assert!(newest.len() == 1 && newest != new, "{newest:?}");
    running.kill();
    running.up();
    assert_eq!((signature(&running), tags(&running)), (anew, newest));
}
