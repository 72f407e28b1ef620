//! Two nodes serve one zone, a signer and one that follows it, and a resolver asks now one, now the
//! other, while a key is rolled over from beginning to end.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::client::Client;
use super::family::{CHILD, CLUSTERS, ONE_KEY, PARENT, STATIC_PART, ZONE, configuration, outside};
use super::knot::Knot;
use super::resolvers::{Finds, Resolver};
use super::validators::{Delv, anchors, ask};
use crate::programs::{find, say, wait_for, wait_within};
use crate::together;
use crate::walrus::{Node, Walrus};

/// Of everything that is cached, in seconds.
const TTL: u32 = 1;

/// Each wait of a roll-over is a TTL and a margin of a second each, from when both have said that
/// they serve the step before. The follower asks every five seconds, and a step may take three such
/// questions: to hear of it, to say that the key is there, and to hear what follows.
const ROLLS_WITHIN: Duration = Duration::from_secs(300);

/// For the first of these steps.
const AGREE_WITHIN: Duration = Duration::from_secs(60);

const NODES: &str = "nodes = [\"one\", \"two\"]\n";

#[test]
fn two_nodes_are_one_to_validators_while_a_key_rolls() {
    let _together = together();
    let programs = ["delv", "unbound", "knotd"];
    let Some([delv, unbound, knotd]) = find("two nodes with one zone", programs) else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut knot = start_knot(&knotd, &folder.join("knot"));
    let mut pair = Pair::start(folder, &knot);
    let ds = said_ds(&pair.signer);
    give_parent(&mut knot, &ds);

    let stubs = [
        (PARENT, knot.address),
        ("elsewhere.test", knot.address),
        (ZONE, pair.signer.dns),
        (ZONE, pair.follower.dns),
        ("secure.signed.test", knot.address),
    ];
    let anchor = (PARENT, knot.address);
    let resolver =
        Resolver::unbound(&unbound, &folder.join("unbound"), anchor, Finds::Told(&stubs));
    let before = pair.asked();
    let client = Client::default();
    let took = std::thread::scope(|scope| {
        // However this ends, the client hears it.
        let (_going, over) = channel();
        let (client, resolver) = (&client, &resolver);
        scope.spawn(move || client.ask_all_the_while(resolver, &over));
        wait_for("the first answers", || (client.asked() > 100).then_some(()));
        roll(&mut pair, &mut knot)
    });
    let answers = client.asked();
    client.assert_all_was_right(&resolver);
    let asked = pair.asked();
    let [one, two] = [asked[0] - before[0], asked[1] - before[1] - pair.asked_here];
    assert!(one > 20 && two > 20, "the resolver asked {one} times here and {two} times there");
    for node in [&pair.signer, &pair.follower] {
        let file = folder.join("anchor");
        std::fs::write(&file, anchors(node.dns, ZONE)).unwrap();
        let delv = Delv { program: &delv, zone: ZONE, anchor: &file };
        for (name, record_type) in [(ZONE, "SOA"), (ZONE, "MX"), ("www.signed.test", "A")] {
            let judgement = delv.judge(node.dns, name, record_type);
            assert!(judgement.is_valid_answer(), "{name} {record_type}: {}", judgement.said);
        }
    }
    say(&format!(
        "\n{answers} answers of two nodes secure while a CSK was rolled over in {took:.1?}: \
         {one} of the signer's, {two} of the follower's"
    ));
}

/// The signer and the node that follows it.
struct Pair {
    signer: Walrus,
    follower: Walrus,
    folder: std::path::PathBuf,
    /// What the follower was asked by this test itself.
    asked_here: u64,
}

impl Pair {
    /// Returns when both serve what the same key has signed.
    fn start(folder: &Path, knot: &Knot) -> Self {
        let text = STATIC_PART
            .replace("TTL TTL", &format!("TTL {TTL}"))
            .replace("1209600 TTL", &format!("1209600 {TTL}"));
        let ds = knot.wanted_ds("secure.signed.test");
        let ds: String = ds.iter().map(|ds| format!("secure DS {ds}\n")).collect();
        let places = ["one", "two"].map(|name| folder.join(name));
        for place in &places {
            std::fs::create_dir_all(place).unwrap();
            std::fs::write(place.join("signed.test.zone"), format!("{text}{ds}")).unwrap();
        }
        let settings = configuration(ONE_KEY, knot.address, CLUSTERS, TTL);
        let node = Node { name: "one", ..Node::default() };
        let signer = Walrus::start_node(&node, &places[0], &format!("{settings}{NODES}"));
        let node = Node { name: "two", follows: Some(&signer), ..Node::default() };
        let settings = format!("{settings}{NODES}signer = false\n");
        let follower = Walrus::start_node(&node, &places[1], &settings);
        let pair = Self { signer, follower, folder: folder.to_owned(), asked_here: 0 };
        wait_within(AGREE_WITHIN, "the same key on both", || {
            pair.bring_keys();
            let [one, two] = [&pair.signer, &pair.follower]
                .map(|node| ask(node.dns, ZONE, "DNSKEY").data("DNSKEY"));
            (!one.is_empty() && one == two).then_some(())
        });
        for node in [&pair.signer, &pair.follower] {
            wait_for("the alias' target", || {
                let shown = ask(node.dns, "cdn.signed.test", "A").data("A");
                (!shown.is_empty()).then_some(())
            });
        }
        pair
    }

    /// The signer's keys that the follower was told of and does not hold, over a way that we trust.
    fn bring_keys(&self) {
        for key in self.follower.keys().iter().filter(|key| key["held"] == false) {
            let [copies, signer, follower] = ["copies", "one/state", "two/state"]
                .map(|name| self.folder.join(name).display().to_string());
            let tag = key["tag"].as_u64().unwrap();
            let export = ["keys", "export", ZONE, "--to", &copies, "--state", &signer];
            let (code, said) = self.signer.call(&export);
            assert_eq!(code, Some(0), "{said}");
            let file = format!("{copies}/K{ZONE}.+013+{tag:05}");
            let import = ["keys", "import", ZONE, &file, "--state", &follower];
            let (code, said) = self.follower.call(&import);
            assert_eq!(code, Some(0), "{said}");
        }
    }

    fn asked(&self) -> [u64; 2] {
        [&self.signer, &self.follower].map(|node| node.metric("walrus_dns_udp_queries_total"))
    }

    fn tags(&self) -> [BTreeSet<u64>; 2] {
        [&self.signer, &self.follower]
            .map(|node| node.keys().iter().map(|key| key["tag"].as_u64().unwrap()).collect())
    }
}

fn start_knot(program: &Path, folder: &Path) -> Knot {
    let zones = [
        (PARENT, "signed NS ns.signed\nns.signed A 127.0.0.1\n", true),
        ("elsewhere.test", &*outside(&["203.0.113.7"]), false),
        ("secure.signed.test", CHILD, true),
    ];
    Knot::start(program, folder, &zones)
}

fn said_ds(signer: &Walrus) -> BTreeSet<String> {
    let (_, said) = signer.call(&["keys", "ds", "--all"]);
    said.lines().filter_map(|line| Some(line.split_once(" IN DS ")?.1.to_uppercase())).collect()
}

fn give_parent(knot: &mut Knot, ds: &BTreeSet<String>) {
    let mut records = "signed NS ns.signed\nns.signed A 127.0.0.1\n".to_owned();
    ds.iter().for_each(|ds| records.push_str(&format!("signed DS {ds}\n")));
    knot.change(PARENT, &records, (ZONE, "DS"), ds);
}

/// Does what a parent and an administrator do until neither node has the key that was there.
fn roll(pair: &mut Pair, knot: &mut Knot) -> Duration {
    let begin = Instant::now();
    let [old, _] = pair.tags();
    let (code, said) = pair.signer.call(&["keys", "add", ZONE]);
    assert_eq!(code, Some(0), "{said}");
    let mut at_parent = BTreeSet::new();
    wait_within(ROLLS_WITHIN, "the end of the roll-over", || {
        pair.bring_keys();
        // Whichever of them the parent asks: the follower is the later one.
        pair.asked_here += 1;
        let wanted = ask(pair.follower.dns, ZONE, "CDS").data("CDS");
        if !wanted.is_empty() && wanted != at_parent {
            give_parent(knot, &wanted);
            at_parent = wanted;
        }
        let [one, two] = pair.tags();
        (!one.is_empty() && one == two && one.is_disjoint(&old)).then_some(())
    });
    begin.elapsed()
}
