//! A zone's keys over restarts, lost files and full disks.

use std::time::Duration;

use walrus_core::dnssec::Algorithm;
use walrus_core::dnssec::rollover::Stage;

use super::*;

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

fn settings() -> RolloverSettings {
    RolloverSettings {
        algorithm: Algorithm::Ed25519,
        roles: vec![KeyRole::Csk],
        roll_ksk_every: None,
        roll_zsk_every: None,
        margin: Duration::ZERO,
        nodes: ["ns1".parse().unwrap()].into(),
    }
}

fn open(parent: &tempfile::TempDir, settings: RolloverSettings) -> ZoneKeeper {
    let store = KeyStore::new(parent.path());
    let zone = "example.com".parse().unwrap();
    let mut keeper = ZoneKeeper::open(store, &zone, "ns1".parse().unwrap(), settings, NOW);
    keeper.reconfigure(NOW, keeper.rollover().settings().clone(), 3600, 3600);
    keeper
}

/// What the signer does: serve, and say so.
fn serve(keeper: &mut ZoneKeeper, now: u64) {
    keeper.advance(now).unwrap();
    keeper.served(keeper.rollover().state().generation);
    keeper.advance(now).unwrap();
}

fn stages(keeper: &ZoneKeeper, now: u64) -> Vec<Stage> {
    keeper.report(now).iter().map(|key| key.stage).collect()
}

fn shows(keys: &[DnsKey]) -> ParentView {
    let zone = "example.com".parse().unwrap();
    let data: Vec<Vec<u8>> = keys.iter().map(|key| key.ds_data(&zone)).collect();
    ParentView { by_all: data.clone(), by_any: data, ttl: 3600 }
}

#[test]
fn the_first_key_is_made_at_the_first_start_and_kept_over_a_restart() {
    let parent = tempfile::tempdir().unwrap();
    let mut keeper = open(&parent, settings());
    let notices = keeper.advance(NOW).unwrap();
    assert!(notices.len() == 1 && notices[0].contains("is made (csk"), "{notices:?}");
    serve(&mut keeper, NOW);
    let keys = keeper.keys();
    assert_eq!((keys.published.len(), keys.sign_zone.len()), (1, 1));
    assert!(keys.wanted_at_parent.is_empty(), "not before every cache can know it");
    drop(keeper);
    let mut keeper = open(&parent, settings());
    assert_eq!(keeper.keys(), keys);
    let notices = keeper.advance(NOW + DAY).unwrap();
    assert!(notices[0].contains("give the parent the DS"), "{notices:?}");
    assert_eq!(keeper.keys().wanted_at_parent, keys.published);
    assert_eq!(stages(&keeper, NOW + DAY), [Stage::WaitingForParent]);
}

#[test]
fn a_whole_roll_with_restarts_at_every_step() {
    let parent = tempfile::tempdir().unwrap();
    let mut keeper = open(&parent, settings());
    serve(&mut keeper, NOW);
    let old = keeper.keys().published[0].clone();
    let mut now = NOW + DAY;
    keeper.parent_shows(now, &shows(std::slice::from_ref(&old)));
    serve(&mut keeper, now);
    keeper.retire(now, old.tag()).unwrap();
    keeper.advance(now).unwrap();
    let mut at_parent = vec![old.clone()];
    for _ in 0..12 {
        drop(keeper);
        now += DAY;
        keeper = open(&parent, settings());
        keeper.parent_shows(now, &shows(&at_parent));
        serve(&mut keeper, now);
        if !keeper.keys().wanted_at_parent.is_empty() {
            at_parent = keeper.keys().wanted_at_parent;
        }
    }
    assert_eq!(stages(&keeper, now), [Stage::Active]);
    assert_eq!(keeper.pairs().count(), 1);
    assert_ne!(keeper.keys().published, [old]);
}

#[test]
fn a_lost_state_leaves_the_keys_in_use() {
    let parent = tempfile::tempdir().unwrap();
    let mut keeper = open(&parent, settings());
    serve(&mut keeper, NOW);
    let keys = keeper.keys();
    let directory = parent.path().join("keys/example.com");
    for name in ["state.json", "state.copy.json"] {
        std::fs::write(directory.join(name), "broken").unwrap();
    }
    let mut keeper = open(&parent, settings());
    assert_eq!(keeper.problems().len(), 2, "{:?}", keeper.problems());
    serve(&mut keeper, NOW);
    assert_eq!(keeper.keys().sign_zone, keys.sign_zone);
}

#[test]
fn a_lost_key_file_is_told_of_and_nothing_else_happens() {
    let parent = tempfile::tempdir().unwrap();
    let mut keeper = open(&parent, settings());
    serve(&mut keeper, NOW);
    let keys = keeper.keys();
    let directory = parent.path().join("keys/example.com");
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "private") {
            std::fs::rename(&path, parent.path().join("kept")).unwrap();
        }
    }
    let mut keeper = open(&parent, settings());
    assert!(keeper.problems().iter().any(|it| it.contains("is gone")), "{:?}", keeper.problems());
    serve(&mut keeper, NOW + DAY);
    assert_eq!(keeper.keys().sign_zone, keys.sign_zone, "no key is made in its place");
    assert_eq!(keeper.pairs().count(), 0);
    let base = super::super::base_name(&"example.com".parse().unwrap(), &keys.published[0]);
    std::fs::rename(parent.path().join("kept"), directory.join(base + ".private")).unwrap();
    keeper.look_again(NOW + DAY);
    assert_eq!((keeper.pairs().count(), keeper.problems()), (1, &[][..]));
}

#[test]
fn nothing_begins_that_cannot_be_stored() {
    let parent = tempfile::tempdir().unwrap();
    let mut keeper = open(&parent, settings());
    std::fs::write(parent.path().join("keys"), "a file in the way").unwrap();
    assert!(matches!(keeper.advance(NOW), Err(KeeperError::Store(_))));
    assert!(keeper.keys().published.is_empty());
    std::fs::remove_file(parent.path().join("keys")).unwrap();
    serve(&mut keeper, NOW);
    assert_eq!(keeper.keys().published.len(), 1);
}

#[test]
fn imported_keys_are_used_at_once_in_a_new_zone() {
    let parent = tempfile::tempdir().unwrap();
    let store = KeyStore::new(parent.path());
    let zone: DomainName = "example.com".parse().unwrap();
    let ksk = KeyPair::generate(Algorithm::EcdsaP256Sha256, 257).unwrap();
    let zsk = KeyPair::generate(Algorithm::EcdsaP256Sha256, 256).unwrap();
    store.add(&zone, &ksk).unwrap();
    store.add(&zone, &zsk).unwrap();
    let two = RolloverSettings {
        algorithm: Algorithm::EcdsaP256Sha256,
        roles: vec![KeyRole::Ksk, KeyRole::Zsk],
        ..settings()
    };
    let mut keeper = open(&parent, two);
    assert!(keeper.advance(NOW).unwrap().is_empty(), "none is made");
    let keys = keeper.keys();
    assert_eq!(keys.sign_keys, [ksk.public().clone()]);
    assert_eq!(keys.sign_zone, [zsk.public().clone()]);
    assert_eq!(keys.published.len(), 2);
}

#[test]
fn no_key_is_made_beside_what_cannot_be_read() {
    let parent = tempfile::tempdir().unwrap();
    let mut keeper = open(&parent, settings());
    serve(&mut keeper, NOW);
    let keys = keeper.keys();
    let directory = parent.path().join("keys/example.com");
    let kept = parent.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, kept.join(path.file_name().unwrap())).unwrap();
        std::fs::write(path, "broken").unwrap();
    }
    // With the third copy it is known which keys there were.
    assert_eq!(open(&parent, settings()).keys(), keys);
    std::fs::remove_dir_all(parent.path().join("signatures")).unwrap();
    let mut keeper = open(&parent, settings());
    for _ in 0..2 {
        assert!(matches!(keeper.advance(NOW), Err(KeeperError::Unreadable { .. })));
        assert!(keeper.lacks_files() && keeper.keys().published.is_empty());
        keeper.look_again(NOW);
    }
    for entry in std::fs::read_dir(&kept).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, directory.join(path.file_name().unwrap())).unwrap();
    }
    keeper.look_again(NOW);
    serve(&mut keeper, NOW);
    assert_eq!(keeper.keys(), keys);
    assert!(!keeper.lacks_files() && keeper.problems().is_empty());
}

/// What a start finds after `rm -r STATE/keys`, the third copy of the state being there or not.
#[test]
fn no_key_is_made_where_keys_are_gone_unless_they_are_said_to_be_lost() {
    for copy_is_there in [true, false] {
        let parent = tempfile::tempdir().unwrap();
        let mut keeper = open(&parent, settings());
        serve(&mut keeper, NOW);
        let before = keeper.rollover().state().clone();
        // As the name server keeps them.
        let stem =
            parent.path().join("signatures").join(super::super::signatures_stem(&before.zone));
        std::fs::write(stem.with_extension("signatures"), "signatures").unwrap();
        std::fs::remove_dir_all(parent.path().join("keys")).unwrap();
        if !copy_is_there {
            std::fs::remove_file(stem.with_extension(super::super::COPY)).unwrap();
        }
        let mut keeper = open(&parent, settings());
        let expected = if copy_is_there { before.keys_now() } else { ZoneKeys::default() };
        for now in [NOW, NOW + DAY] {
            let advanced = keeper.advance(now);
            assert_eq!(advanced.is_ok(), copy_is_there, "{advanced:?}");
            assert_eq!((keeper.keys(), keeper.pairs().count()), (expected.clone(), 0));
            let told = keeper.problems().join("\n");
            assert!(told.contains("walrus keys add example.com --lost"), "{told}");
            keeper.look_again(now);
        }
        let refused = keeper.change(NOW, |keeper, now| keeper.add(now, KeyRole::Csk)).unwrap_err();
        assert!(refused.to_string().contains("walrus keys add example.com --lost"), "{refused}");
        // A disk that refuses leaves all as it was.
        let _ = std::fs::remove_dir_all(parent.path().join("keys"));
        std::fs::write(parent.path().join("keys"), "in the way").unwrap();
        let replace = |keeper: &mut ZoneKeeper, now| keeper.replace_lost(now);
        assert!(keeper.change(NOW, replace).is_err());
        assert_eq!((keeper.keys(), keeper.lacks_files()), (expected, true));
        std::fs::remove_file(parent.path().join("keys")).unwrap();
        keeper.change(NOW, replace).unwrap();
        let keys = keeper.keys();
        assert_eq!((keys.published.len(), keys.can_sign()), (1, true), "used at once");
        assert!(keys.published != before.keys_now().published && keeper.pairs().count() == 1);
        assert!(keeper.rollover().state().generation > before.generation);
        assert!(!keeper.lacks_files() && keeper.problems().is_empty());
        drop(keeper);
        let mut keeper = open(&parent, settings());
        assert_eq!((keeper.keys(), keeper.problems()), (keys, &[][..]));
        let refused = keeper.change(NOW, replace).unwrap_err();
        assert!(matches!(refused, KeeperError::NothingLost(_)), "{refused}");
    }
}

#[test]
fn of_two_keys_only_the_lost_one_is_replaced() {
    let parent = tempfile::tempdir().unwrap();
    let two = RolloverSettings { roles: vec![KeyRole::Ksk, KeyRole::Zsk], ..settings() };
    let mut keeper = open(&parent, two.clone());
    serve(&mut keeper, NOW);
    let (ksk, zsk) = (keeper.keys().sign_keys, keeper.keys().sign_zone);
    let base = super::super::base_name(&"example.com".parse().unwrap(), &zsk[0]);
    let directory = parent.path().join("keys/example.com");
    std::fs::remove_file(directory.join(base.clone() + ".private")).unwrap();
    let mut keeper = open(&parent, two.clone());
    keeper.change(NOW, |keeper, now| keeper.replace_lost(now)).unwrap();
    let keys = keeper.keys();
    assert_eq!(keys.sign_keys, ksk, "the parent's DS stays good");
    assert!(keys.sign_zone.len() == 1 && keys.sign_zone != zsk);
    assert!(!directory.join(base + ".key").exists(), "laid aside");
    assert!(open(&parent, two).problems().is_empty());
}

#[test]
fn a_disk_with_room_for_keys_alone_does_not_fill_with_them() {
    let parent = tempfile::tempdir().unwrap();
    let mut keeper = open(&parent, settings());
    let directory = parent.path().join("keys/example.com");
    std::fs::create_dir_all(directory.join("state.json")).unwrap();
    for _ in 0..3 {
        assert!(matches!(keeper.advance(NOW), Err(KeeperError::Store(_))));
        assert!(keeper.keys().published.is_empty());
    }
    assert_eq!(keeper.pairs().count(), 1);
    std::fs::remove_dir(directory.join("state.json")).unwrap();
    serve(&mut keeper, NOW);
    assert_eq!(keeper.keys().published.len(), 1);
}

#[test]
fn a_change_that_cannot_be_stored_was_never_asked_for() {
    let parent = tempfile::tempdir().unwrap();
    let mut keeper = open(&parent, settings());
    serve(&mut keeper, NOW);
    let (keys, tag) = (keeper.keys(), keeper.keys().published[0].tag());
    let before = keeper.rollover().state().clone();
    let state = parent.path().join("keys/example.com/state.json");
    std::fs::remove_file(&state).unwrap();
    std::fs::create_dir(&state).unwrap();
    let retire = |keeper: &mut ZoneKeeper, now| keeper.retire(now, tag);
    for _ in 0..2 {
        let refused = keeper.change(NOW, retire).unwrap_err();
        assert!(matches!(refused, KeeperError::Store(_)), "{refused}");
        assert_eq!((keeper.keys(), keeper.rollover().state()), (keys.clone(), &before));
    }
    std::fs::remove_dir(&state).unwrap();
    keeper.change(NOW, retire).unwrap();
    assert_eq!(stages(&keeper, NOW), [Stage::Retiring, Stage::Made]);
    assert_eq!(keeper.pairs().count(), 2, "the key that was made for the first of them is used");
}

#[test]
fn a_key_that_never_served_is_replaced_by_another_one() {
    let parent = tempfile::tempdir().unwrap();
    let mut keeper = open(&parent, settings());
    serve(&mut keeper, NOW);
    let first = keeper.keys().published[0].tag();
    let mut before = first;
    for _ in 0..4 {
        keeper.change(NOW, |keeper, now| keeper.retire(now, before)).unwrap();
        let keys = keeper.rollover().state().keys.clone();
        let made: Vec<u16> =
            keys.iter().filter(|it| it.retired.is_none()).map(|it| it.key.tag()).collect();
        assert!(made.len() == 1 && made[0] != before, "{made:?} in place of {before}");
        before = made[0];
        drop(keeper);
        keeper = open(&parent, settings());
        assert!(!keeper.lacks_files() && keeper.problems().is_empty(), "{:?}", keeper.problems());
        keeper.advance(NOW).unwrap();
        assert_eq!(keeper.pairs().count(), 2, "the first key, and the one in use");
    }
    let retired = parent.path().join("keys/example.com/retired");
    assert_eq!(std::fs::read_dir(retired).unwrap().count(), 2 * 3);
}

#[test]
fn a_node_that_follows_keeps_what_the_signer_said_over_a_restart() {
    let (signers, followers) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut signer = open(&signers, settings());
    serve(&mut signer, NOW);
    let told = signer.rollover().state().clone();
    let mut follower = open(&followers, settings());
    let lacks = follower.follow(NOW, told.clone()).unwrap_err().to_string();
    assert!(lacks.contains("walrus keys import"), "{lacks}");
    assert!(follower.keys().sign_zone.is_empty());

    let zone = "example.com".parse().unwrap();
    let pair = signer.pairs().next().unwrap().clone();
    KeyStore::new(followers.path()).add(&zone, &pair).unwrap();
    follower.follow(NOW, told.clone()).unwrap();
    assert_eq!(follower.keys(), signer.keys());
    assert_eq!(follower.generation_served(), 0, "nobody serves it yet");
    drop(follower);
    let mut follower = open(&followers, settings());
    assert_eq!(follower.keys(), signer.keys());

    // The signer has another key by now, and is done with this one.
    let other = KeyPair::generate(Algorithm::Ed25519, FLAG_ZONE | FLAG_SEP).unwrap();
    let mut later = told;
    later.generation += 5;
    later.keys[0].key = other.public().clone();
    KeyStore::new(followers.path()).add(&zone, &other).unwrap();
    follower.follow(NOW, later).unwrap();
    let held: Vec<&DnsKey> = follower.pairs().map(KeyPair::public).collect();
    assert_eq!(held, [other.public()], "the other is in retired/");
}
