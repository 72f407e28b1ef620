//! Private keys that are gone, unreadable or of another algorithm, signatures that are damaged,
//! bounds that are passed: told of clearly, and answers go on as they were, valid.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::every_answer::within;
use super::family::{CLUSTERS, Family, ONE_KEY, PROMISED};
use super::resolvers::Resolver;
use super::validators::ask;
use crate::programs::wait_for;
use crate::together;
use crate::walrus::program;

/// Nothing is remembered from one damage to the next.
const TTL: u32 = 1;

/// What may happen to a private key's file, and what is said of it.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Gone,
    /// A directory in its place: not even root can read that.
    Unreadable,
    OtherAlgorithm,
    CutShort,
}

impl Damage {
    const ALL: [Self; 4] = [Self::Gone, Self::Unreadable, Self::OtherAlgorithm, Self::CutShort];

    fn strike(self, file: &Path, good: &str) {
        let _ = std::fs::remove_file(file);
        match self {
            Self::Gone => {}
            Self::Unreadable => std::fs::create_dir(file).unwrap(),
            Self::OtherAlgorithm => {
                let other =
                    good.replace("Algorithm: 13 (ECDSAP256SHA256)", "Algorithm: 15 (ED25519)");
                assert_ne!(other, good, "{good}");
                std::fs::write(file, other).unwrap();
            }
            Self::CutShort => std::fs::write(file, &good[..good.len() / 2]).unwrap(),
        }
    }

    fn mend(self, file: &Path, good: &str) {
        let _ = std::fs::remove_dir(file);
        std::fs::write(file, good).unwrap();
    }
}

#[test]
fn damaged_keys_and_signatures_leave_answers_as_they_were() {
    let _together = together();
    let Some(mut family) = Family::start("damaged keys", ONE_KEY, CLUSTERS, TTL) else { return };
    let file = private_key(&family.folder);
    let good = std::fs::read_to_string(&file).unwrap();
    for damage in Damage::ALL {
        // While it runs, and at a reload.
        damage.strike(&file, &good);
        all_is_secure(&family, &format!("{damage:?}"));
        family.walrus.call(&["reload"]);
        all_is_secure(&family, &format!("{damage:?}, reload"));
        // At a start. Two servers of three together were never an answer, and cannot be signed.
        family.restart();
        let said = family.walrus.said();
        assert!(said.contains("private key") && said.contains("ERROR"), "{damage:?}: {said}");
        all_is_secure(&family, &format!("{damage:?}, start"));
        let (code, said) = family.walrus.call(&["drain", "a2"]);
        assert_eq!(code, Some(0), "{said}");
        let unbound = wait_for_drain(&family, damage);
        for _ in 0..20 {
            let reply = unbound.ask("all.signed.test", "A");
            let names_it = reply.data("A").contains("192.0.2.2");
            assert!(reply.secure && !reply.answer.is_empty() && !names_it, "{damage:?}: {reply:?}");
        }
        let status = family.walrus.status()["problems"].to_string();
        assert!(status.contains("private key"), "{damage:?}: {status}");
        if let Damage::Gone = damage {
            a_target_that_moves_is_not_followed(&mut family);
        }
        let (code, said) = family.walrus.call(&["undrain", "a2"]);
        assert_eq!(code, Some(0), "{said}");
        damage.mend(&file, &good);
        family.restart();
        let status = family.walrus.status()["problems"].to_string();
        assert!(!status.contains("private key"), "{damage:?}: {status}");
    }
    family.stop();
    for entry in std::fs::read_dir(family.folder.join("state/signatures")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    family.restart();
    let said = family.walrus.said();
    assert!(said.contains("kept signatures are damaged, and are made anew"), "{said}");
    all_is_secure(&family, "damaged signatures");
}

#[test]
fn bounds_that_are_passed_leave_answers_as_they_were() {
    let _together = together();
    let Some(mut family) = Family::start("bounds of signing", ONE_KEY, CLUSTERS, TTL) else {
        return;
    };
    // A zone that is too large is refused, and the one before stays.
    let file = family.folder.join("signed.test.zone");
    let good = std::fs::read_to_string(&file).unwrap();
    let more: String = (0..60_000).map(|number| format!("n{number} A 192.0.2.1\n")).collect();
    std::fs::write(&file, format!("{good}{more}")).unwrap();
    let (code, said) = family.walrus.reload_with_dns("zone_memory_max = 1");
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("zone_memory_max"), "{said}");
    all_is_secure(&family, "a zone too large");
    std::fs::write(&file, good).unwrap();

    // More answer sets than may be signed: single servers answer.
    family.dnssec = "answer_sets_max = 3\n".to_owned();
    family.restart();
    let mut check = Command::new(program());
    let output = check.args(["check", "--strict"]).arg(family.folder.join("walrus.toml")).output();
    let said = format!("{output:?}");
    assert!(said.contains("answer sets, more than `answer_sets_max`"), "{said}");
    assert!(family.walrus.said().contains("answer_sets_max"), "{}", family.walrus.said());
    all_is_secure(&family, "more answer sets than may be signed");
}

/// The new address of an alias' target cannot be signed: the last one that was goes on.
fn a_target_that_moves_is_not_followed(family: &mut Family) {
    family.show_target(&["203.0.113.99"]);
    wait_for("the new target", || {
        // Of both families; before it was three.
        family.walrus.status().to_string().contains("resolved to 2 addresses").then_some(())
    });
    all_is_secure(family, "a target that moved without a key");
}

/// Of static names, of each service's types, and that something is not there.
fn all_is_secure(family: &Family, when: &str) {
    let unbound = family.unbound("unbound");
    let dynamic = PROMISED.iter().flat_map(|(name, types)| types.iter().map(|it| (*name, *it)));
    for (name, record_type) in dynamic {
        let reply = unbound.ask(name, record_type);
        let is_found = reply.secure && !reply.data(record_type).is_empty();
        let direct = || ask(family.walrus.dns, name, record_type);
        assert!(
            is_found,
            "{when}: {name} {record_type} {reply:?}, directly {:?}\n{}\n{}",
            direct(),
            unbound.said(),
            family.walrus.said()
        );
    }
    for (name, rcode) in [("static", "NOERROR"), ("some.wild", "NOERROR"), ("none", "NXDOMAIN")] {
        let reply = unbound.ask(&within(name), "A");
        let is_right = reply.secure && reply.rcode == rcode;
        assert!(is_right, "{when}: {name} {reply:?}\n{}", unbound.said());
    }
}

/// The resolver that saw the first answer without the drained server.
fn wait_for_drain(family: &Family, damage: Damage) -> Resolver {
    let unbound = family.unbound("unbound-drained");
    wait_for("answers without a drained server", || {
        let reply = unbound.ask("all.signed.test", "A");
        assert!(reply.secure, "{damage:?}: {reply:?}\n{}", unbound.said());
        (!reply.data("A").contains("192.0.2.2")).then_some(())
    });
    unbound
}

/// The file of the zone's only key.
fn private_key(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder.join("state/keys/signed.test")).unwrap();
    let mut files = files.map(|file| file.unwrap().path());
    files.find(|path| path.extension().is_some_and(|end| end == "private")).expect("a key")
}
