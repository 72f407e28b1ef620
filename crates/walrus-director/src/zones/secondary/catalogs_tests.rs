//! What catalogs list by now, also after a restart and when it cannot be served at once.

use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use tempfile::TempDir;
use walrus_core::map::Map;
use walrus_core::zone::read_zone;
use walrus_host::clock::Clock;
use walrus_host::seed::Seed;

use super::*;
use crate::director::DirectorHandle;
use crate::fixture::{digests, plan, topology, zone};
use crate::zones::secondary::Primary;
use crate::{Director, DirectorStart, MovingZone, Reload, SigningStart};

/// How long anything may take on a machine that is very busy.
const BOUND: Duration = Duration::from_secs(60);

fn settings(apex: &str) -> SecondaryZone {
    SecondaryZone {
        apex: apex.parse().unwrap(),
        primaries: Vec::new(),
        keeps_signatures: true,
        memory_max: 1 << 20,
        is_catalog: true,
        member_of: None,
    }
}

fn say(wanted: &WantedZones, catalog: &str, body: &str) {
    let text =
        format!("@ 0 SOA invalid. invalid. 1 2 3 4 5\n@ 0 NS invalid.\nversion 0 TXT 2\n{body}");
    let apex: DomainName = catalog.parse().unwrap();
    let zone = read_zone("test", text.as_bytes(), &apex).unwrap().zone;
    wanted.catalogs[&apex].1.take(Arc::new(zone)).unwrap();
}

/// Each zone with its catalog and label.
fn listed(wanted: &mut WantedZones) -> Vec<(String, String)> {
    wanted.members = wanted.listed();
    let of = |(apex, zone): (&DomainName, &SecondaryZone)| {
        (apex.clone(), zone.member_of.clone().unwrap())
    };
    wanted.owners = Some(wanted.members.iter().map(of).collect());
    let one = |zone: &SecondaryZone| {
        let of = zone.member_of.as_ref().unwrap();
        let label = String::from_utf8_lossy(&of.label).into_owned();
        (zone.apex.to_string(), format!("{label} of {}", of.catalog))
    };
    wanted.members.values().map(one).collect()
}

#[test]
fn a_zone_stays_with_its_catalog_until_that_gives_it_away_or_drops_it() {
    let mut wanted = WantedZones::default();
    wanted.reconfigure(Vec::new(), ["a.x", "b.x"].map(settings).to_vec());
    let expected = |of: &str| vec![("one.z".to_owned(), of.to_owned())];
    say(&wanted, "b.x", "l.zones 0 PTR one.z.\nc.zones 0 PTR a.x.\n");
    assert_eq!(listed(&mut wanted), expected("l of b.x"), "no catalog is a member");
    say(&wanted, "a.x", "m.zones 0 PTR one.z.\n");
    assert_eq!(listed(&mut wanted), expected("l of b.x"), "it has it already");
    say(&wanted, "b.x", "l.zones 0 PTR one.z.\ncoo.l.zones 0 PTR none.x.\n");
    assert_eq!(listed(&mut wanted), expected("l of b.x"), "nobody there has it");
    say(&wanted, "b.x", "l.zones 0 PTR one.z.\ncoo.l.zones 0 PTR a.x.\n");
    assert_eq!(listed(&mut wanted), expected("m of a.x"));
    say(&wanted, "a.x", "");
    assert_eq!(listed(&mut wanted), expected("l of b.x"));
    // A catalog that is configured no longer takes its zones along.
    wanted.reconfigure(Vec::new(), vec![settings("a.x")]);
    assert_eq!(listed(&mut wanted), []);
}

#[test]
fn what_is_configured_here_comes_from_there_and_is_not_the_catalogs_to_reset() {
    let mut wanted = WantedZones::default();
    wanted.reconfigure(Vec::new(), vec![settings("b.x")]);
    say(&wanted, "b.x", "l.zones 0 PTR one.z.\nk.zones 0 PTR two.z.\n");
    assert_eq!(listed(&mut wanted).len(), 2);
    let own = SecondaryZone { is_catalog: false, memory_max: 7, ..settings("one.z") };
    let members = wanted.members.clone();
    wanted.reconfigure(vec![own.clone()], vec![settings("b.x")]);
    assert!(!wanted.members.contains_key(&own.apex), "at once");
    // Also while what was listed before holds.
    wanted.members = members;
    let one: Vec<_> = wanted.all().into_iter().filter(|zone| zone.apex == own.apex).collect();
    assert_eq!(one, [own]);
    say(&wanted, "b.x", "n.zones 0 PTR one.z.\no.zones 0 PTR two.z.\n");
    assert_eq!(wanted.reset(&wanted.listed()), BTreeSet::from(["two.z".parse().unwrap()]));
}

#[test]
fn after_a_restart_each_zone_is_whose_it_was_though_nothing_came_of_its_catalog() {
    let mut wanted = WantedZones::default();
    wanted.reconfigure(Vec::new(), ["a.x", "b.x"].map(settings).to_vec());
    let of = |label: &[u8]| MemberOf { catalog: "b.x".parse().unwrap(), label: label.into() };
    wanted.owners = Some(Owners::from([
        ("one.z".parse().unwrap(), of(b"l")),
        ("two.z".parse().unwrap(), of(b"k")),
    ]));
    say(&wanted, "a.x", "m.zones 0 PTR one.z.\n");
    let expected = [("one.z", "l of b.x"), ("two.z", "k of b.x")]
        .map(|(zone, of)| (zone.to_owned(), of.to_owned()));
    assert_eq!(listed(&mut wanted), expected);
    assert_eq!(wanted.reset(&wanted.listed()), BTreeSet::new());
    // Another zone of that name, and one that is gone.
    say(&wanted, "b.x", "n.zones 0 PTR one.z.\n");
    let now = wanted.listed();
    assert_eq!(wanted.reset(&now), BTreeSet::from(["one.z".parse().unwrap()]));
    assert_eq!(wanted.left(&now), [], "its task has not ended");
    wanted.members.clear();
    assert_eq!(wanted.left(&now), ["two.z".parse().unwrap()]);
}

/// A node whose primary does not answer, with what was kept of an earlier run.
struct Node {
    director: DirectorHandle,
    secondaries: Secondaries,
}

impl Node {
    fn start(folder: &TempDir) -> Self {
        Self::start_with(folder, Vec::new())
    }

    /// With these zones from primaries.
    fn start_with(folder: &TempDir, moving: Vec<MovingZone>) -> Self {
        let topology = topology();
        let map = Arc::new(Map::build(&topology, &[]).unwrap());
        let digests = digests(&map);
        let start = DirectorStart {
            dns: crate::fixture::settings(&["127.0.0.1:0"], 1),
            topology,
            zones: vec![zone()],
            moving,
            keys: crate::tsig::TsigKeys::default(),
            updates: crate::UpdateSettings::default(),
            map,
            plan: Some(plan(1, 1, &digests)),
            digests,
            signing: SigningStart::default(),
            serials: BTreeMap::new(),
            seed: 1,
            clock: Clock::real(),
        };
        let director = Director::start(start).unwrap();
        let (kept, seed) = (KeptZones::in_state(folder.path()), Seed::fixed(1));
        let secondaries = Secondaries::new(director.clone(), kept, Clock::real(), seed);
        Self { director, secondaries }
    }

    fn set(&self, catalogs: &[&str]) {
        self.set_with(catalogs, &[]);
    }

    fn set_with(&self, catalogs: &[&str], zones: &[&str]) {
        let primary = Primary { address: "127.0.0.1:1".parse().unwrap(), key: None };
        let one = |apex: &str, is_catalog| SecondaryZone {
            primaries: vec![primary.clone()],
            is_catalog,
            ..settings(apex)
        };
        let catalogs = catalogs.iter().map(|apex| one(apex, true));
        self.secondaries.set(catalogs.chain(zones.iter().map(|apex| one(apex, false))).collect());
    }

    /// As a reload begins: with no other zone than the service's.
    fn reload(&self) {
        let topology = topology();
        let map = Arc::new(Map::build(&topology, &[]).unwrap());
        let digests = digests(&map);
        let reload = Reload {
            topology,
            zones: vec![zone()],
            moving: Vec::new(),
            updates: crate::UpdateSettings::default(),
            keys: crate::tsig::TsigKeys::default(),
            map,
            digests,
            signing: Vec::new(),
            pairs: Vec::new(),
            answer_sets_max: 1000,
        };
        self.director.reload(reload, || None).unwrap();
    }

    /// Tables that cannot be served while this says so.
    fn fail_while(&self, is_failing: impl Fn() -> bool + Send + Sync + 'static) {
        let fail = move |_: &DirectorHandle| assert!(!is_failing(), "it cannot be served");
        assert!(self.director.inner().on_look.set(Box::new(fail)).is_ok());
    }

    /// Whether a zone is served, with content or without, and whose it is.
    fn state(&self, apex: &str) -> Option<(bool, String)> {
        let apex = apex.parse().unwrap();
        let wanted = lock(&self.secondaries.catalogs.wanted);
        let of = wanted.members.get(&apex)?.member_of.as_ref()?;
        Some((self.director.current_zone(&apex).is_some(), of.catalog.to_string()))
    }

    async fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < BOUND, "{what}: {:?}", self.secondaries.status());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn stop(self) {
        self.secondaries.stop().await;
        self.director.shutdown();
    }
}

fn keep(folder: &TempDir, apex: &str, body: &str) {
    let text = format!("@ 0 SOA invalid. invalid. 1 7200 3600 1209600 5\n@ 0 NS invalid.\n{body}");
    let zone = read_zone("test", text.as_bytes(), &apex.parse().unwrap()).unwrap().zone;
    let kept = KeptZones::in_state(folder.path());
    kept.store(&zone, (Clock::real().unix_ms() / 1000, true)).unwrap();
}

fn keep_catalog(folder: &TempDir, apex: &str, body: &str) {
    keep(folder, apex, &format!("version 0 TXT 2\n{body}"));
}

fn is_kept(folder: &TempDir, apex: &str) -> bool {
    let kept = KeptZones::in_state(folder.path());
    kept.load(&apex.parse().unwrap(), true, 1 << 20).unwrap().is_some()
}

#[tokio::test]
async fn a_restart_gives_no_zone_to_another_catalog_and_knows_another_zone_of_the_same_name() {
    let folder = tempfile::tempdir().unwrap();
    keep_catalog(&folder, "b.x", "l.zones 0 PTR one.z.\nk.zones 0 PTR two.z.\n");
    keep(&folder, "one.z", "");
    keep(&folder, "two.z", "");
    let of = |is_full: bool, catalog: &str| Some((is_full, catalog.to_owned()));
    let node = Node::start(&folder);
    node.set(&["b.x"]);
    node.wait_for("what was kept", |node| node.state("one.z") == of(true, "b.x")).await;
    let owners = folder.path().join("zones/members");
    node.wait_for("whose they are, on the disk", |_| owners.exists()).await;
    node.stop().await;
    // While it is stopped another catalog begins to list one of them, and the other is another zone.
    keep_catalog(&folder, "a.x", "m.zones 0 PTR one.z.\n");
    keep_catalog(&folder, "b.x", "l.zones 0 PTR one.z.\nn.zones 0 PTR two.z.\n");
    let node = Node::start(&folder);
    node.set(&["a.x", "b.x"]);
    node.wait_for("the first's", |node| node.state("one.z") == of(true, "b.x")).await;
    node.wait_for("another zone", |node| node.state("two.z") == of(false, "b.x")).await;
    node.wait_for("the other's file to go", |_| !is_kept(&folder, "two.z")).await;
    assert!(is_kept(&folder, "one.z"));
    node.stop().await;
    // And what its catalog lists no longer is removed.
    keep_catalog(&folder, "b.x", "n.zones 0 PTR two.z.\n");
    let node = Node::start(&folder);
    node.set(&["b.x"]);
    node.wait_for("the rest", |node| node.state("two.z") == of(false, "b.x")).await;
    assert_eq!(node.state("one.z"), None);
    node.wait_for("its file to go", |_| !is_kept(&folder, "one.z")).await;
    node.stop().await;
}

#[tokio::test]
async fn a_zone_that_reloads_leave_out_and_take_back_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    keep_catalog(&folder, "b.x", "l.zones 0 PTR one.z.\n");
    keep(&folder, "one.z", "");
    let full = Some((true, "b.x".to_owned()));
    let node = Node::start(&folder);
    node.set(&["b.x"]);
    node.wait_for("what was kept", |node| node.state("one.z") == full).await;
    // As a reload does; the next takes it back before the catalogs had their turn.
    node.director.set_members(BTreeMap::new(), &BTreeSet::new()).unwrap();
    assert_eq!(node.state("one.z"), Some((false, "b.x".to_owned())));
    node.set(&["b.x"]);
    node.wait_for("what is kept", |node| node.state("one.z") == full).await;
    assert!(is_kept(&folder, "one.z"));
    node.stop().await;
}

#[tokio::test]
async fn a_zone_that_is_configured_no_longer_goes_on_as_its_catalogs() {
    let folder = tempfile::tempdir().unwrap();
    keep_catalog(&folder, "b.x", "l.zones 0 PTR one.z.\n");
    keep(&folder, "one.z", "");
    let apex: DomainName = "one.z".parse().unwrap();
    let kept = KeptZones::in_state(folder.path()).load(&apex, true, 1 << 20).unwrap().unwrap();
    let moving = MovingZone { apex: apex.clone(), content: Some(Arc::new(kept.zone)) };
    let node = Node::start_with(&folder, vec![moving]);
    node.set_with(&["b.x"], &["one.z"]);
    let is_listed = |node: &Node| lock(&node.director.inner().listed).contains(&apex);
    node.wait_for("what is listed", is_listed).await;
    assert_eq!(node.state("one.z"), None);
    node.reload();
    assert!(node.director.current_zone(&apex).is_some(), "there is no gap");
    node.set(&["b.x"]);
    let full = Some((true, "b.x".to_owned()));
    node.wait_for("the catalog's", |node| node.state("one.z") == full).await;
    assert!(is_kept(&folder, "one.z"));
    // Without the catalog it is nobody's.
    node.set(&[]);
    node.wait_for("it to go", |node| !node.director.moves(&apex)).await;
    node.wait_for("its file to go", |_| !is_kept(&folder, "one.z")).await;
    node.stop().await;
}

#[tokio::test]
async fn of_too_many_zones_those_stay_that_were_there_before_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let zone = |number: usize| format!("{number:03}.z");
    let all = 2 * MEMBERS_OF_ALL_MAX;
    let lines = (0..all).map(|number| format!("l{number}.zones 0 PTR {}.\n", zone(number)));
    keep_catalog(&folder, "b.x", &lines.collect::<String>());
    let of = |number: usize| {
        let label = format!("l{number}").into_bytes().into();
        (zone(number).parse().unwrap(), MemberOf { catalog: "b.x".parse().unwrap(), label })
    };
    let before: Owners = (MEMBERS_OF_ALL_MAX..all).map(of).collect();
    owners::write(&folder.path().join("zones"), &before).unwrap();
    let node = Node::start(&folder);
    node.set(&["b.x"]);
    // What the catalog itself says: its status may tell first that its primary does not answer.
    let told = |node: &Node| {
        let catalogs = lock(&node.secondaries.catalogs.wanted).catalogs.clone();
        catalogs.values().find_map(|(_, catalog)| catalog.status().1)
    };
    let sentence = format!("{MEMBERS_OF_ALL_MAX} of the zones that it lists are not taken, 000.z");
    let is_told = |node: &Node| told(node).is_some_and(|told| told.starts_with(&sentence));
    node.wait_for("those that are too many", is_told).await;
    assert!(told(&node).unwrap().contains(&format!("more than {MEMBERS_OF_ALL_MAX}")));
    assert_eq!(node.director.members(), before.keys().cloned().collect());
    node.stop().await;
}

#[tokio::test]
async fn what_is_another_zone_by_now_is_removed_once_its_place_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    keep_catalog(&folder, "b.x", "l.zones 0 PTR one.z.\n");
    keep(&folder, "one.z", "");
    let (node, of) = (Node::start(&folder), |is_full| Some((is_full, "b.x".to_owned())));
    let is_failing = Arc::new(AtomicBool::new(false));
    let fails = Arc::clone(&is_failing);
    node.fail_while(move || fails.load(Ordering::SeqCst));
    node.set(&["b.x"]);
    node.wait_for("what was kept", |node| node.state("one.z") == of(true)).await;
    say(&lock(&node.secondaries.catalogs.wanted), "b.x", "m.zones 0 PTR one.z.\n");
    is_failing.store(true, Ordering::SeqCst);
    assert!(!node.secondaries.apply_once().await);
    assert!(is_kept(&folder, "one.z"), "all is as before");
    assert_eq!(node.state("one.z"), of(true));
    is_failing.store(false, Ordering::SeqCst);
    assert!(node.secondaries.apply_once().await);
    assert!(!is_kept(&folder, "one.z"));
    assert_eq!(node.state("one.z"), of(false));
    node.stop().await;
}

#[tokio::test]
async fn whoever_stops_waits_until_it_is_written_down_whose_zones_are() {
    let folder = tempfile::tempdir().unwrap();
    keep_catalog(&folder, "b.x", "l.zones 0 PTR one.z.\n");
    let node = Node::start(&folder);
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (release, is_released) = std::sync::mpsc::channel::<()>();
    let is_released = Mutex::new(is_released);
    node.fail_while(move || {
        let _ = begun.send(());
        let _ = lock(&is_released).recv();
        false
    });
    node.set(&["b.x"]);
    tokio::task::spawn_blocking(move || has_begun.recv_timeout(BOUND).unwrap()).await.unwrap();
    let director = node.director.clone();
    let mut stopping = tokio::spawn(async move { node.secondaries.stop().await });
    let stopped = tokio::time::timeout(Duration::from_millis(200), &mut stopping).await;
    assert!(stopped.is_err(), "what it would have written is not there yet");
    drop(release);
    stopping.await.unwrap();
    assert!(folder.path().join("zones/members").exists());
    director.shutdown();
}

#[tokio::test]
async fn what_cannot_be_served_is_told_of_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    keep_catalog(&folder, "b.x", "l.zones 0 PTR one.z.\n");
    let node = Node::start(&folder);
    let failures = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&failures);
    node.fail_while(move || counted.fetch_add(1, Ordering::SeqCst) < 3);
    node.set(&["b.x"]);
    let problem = |node: &Node| {
        let problem = node.secondaries.status().first().and_then(|it| it.problem.clone());
        problem.is_some_and(|problem| problem.contains("is not served"))
    };
    node.wait_for("a problem", problem).await;
    assert_eq!(node.state("one.z"), None);
    node.wait_for("another try", |node| node.state("one.z").is_some()).await;
    assert_eq!(failures.load(Ordering::SeqCst), 4);
    node.wait_for("nothing to tell", |node| !problem(node)).await;
    node.stop().await;
}

#[tokio::test]
async fn owners_that_the_disk_does_not_take_are_told_of_and_written_later() {
    let folder = tempfile::tempdir().unwrap();
    keep_catalog(&folder, "a.x", "l.zones 0 PTR one.z.\n");
    let path = folder.path().join("zones/members");
    // Nothing can be put in the place of a folder.
    let node = Node::start(&folder);
    lock(&node.secondaries.catalogs.wanted).owners = Some(Owners::new());
    std::fs::create_dir_all(path.join("in_the_way")).unwrap();
    node.set(&["a.x"]);
    let problem = |node: &Node| {
        let problem = node.secondaries.status().first().and_then(|it| it.problem.clone());
        problem.is_some_and(|problem| problem.contains("not kept for a restart"))
    };
    node.wait_for("a problem", problem).await;
    assert!(node.state("one.z").is_some());
    std::fs::remove_dir_all(&path).unwrap();
    node.wait_for("another try", |_| path.is_file()).await;
    node.wait_for("nothing to tell", |node| !problem(node)).await;
    node.stop().await;
}
