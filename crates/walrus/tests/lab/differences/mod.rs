//! The same zones in Walrus, Knot, NSD and BIND, and queries by seed, whole and broken, over UDP and TCP:
//! whatever they say differently is a fault of ours or stands in [`listed`], with the RFC that allows it.
//!
//! `./test` asks a few thousand; `bench/differences` as many as it is told to, and then also looks whether
//! each listed difference still occurs.

mod asking;
mod listed;
mod queries;
mod said;
mod scenes;
mod seen;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::alone;
use crate::programs::{find, say};
use crate::static_zone::peers::{ID, Peer, Start, VERSION, Zones};
use crate::walrus::{Node, Walrus};
use listed::{Case, RULES};
use queries::Asked;
use said::{Part, Said};
use scenes::Scene;
use seen::Seen;

/// How many queries, over all scenes; 4,000 if it is not set.
const QUERIES: &str = "WALRUS_DIFFERENCES_QUERIES";
/// Which ones; 1 if it is not set.
const SEED: &str = "WALRUS_DIFFERENCES_SEED";
/// From so many on each listed difference must occur.
const ALL_OCCUR_FROM: u64 = 40_000;
/// Queries on their way to a server at once.
const TOGETHER: usize = 16;
/// Where unexplained differences are written, too.
const FILE: &str = "WALRUS_DIFFERENCES_FILE";
/// Where listed differences are told of to people.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/differences.md");
const BEGIN: &str =
    "<!-- made by crates/walrus/tests/lab/differences; WALRUS_BLESS=1 writes it -->\n";
const END: &str = "<!-- end -->";

#[test]
fn the_page_tells_of_all_listed_differences() {
    let mut table = "\n| What | Who differs | Why that may be |\n|---|---|---|\n".to_owned();
    for rule in RULES {
        let [who, why] = [rule.peers.join(", "), rule.allowed_by.to_owned()];
        table.push_str(&format!("| {} | {who} | {why} |\n", rule.name));
    }
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (told, after) = rest.split_once(END).unwrap();
    let table = format!("{table}\n");
    if std::env::var_os("WALRUS_BLESS").is_some() {
        std::fs::write(PAGE, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(told, table, "docs/differences.md; WALRUS_BLESS=1 mends it");
    }
}

#[test]
fn queries_by_seed_are_answered_as_by_knot_nsd_and_bind() {
    let _alone = alone();
    let what = "queries by seed compared with Knot, NSD and BIND";
    let Some([knotd, nsd, named]) = find(what, ["knotd", "nsd", "named"]) else { return };
    let Some(scenes) = scenes::all() else { return };
    let setting = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (queries, seed) = (setting(QUERIES).unwrap_or(4_000), setting(SEED).unwrap_or(1));
    let programs = [
        (knotd.as_path(), Peer::knot as Start),
        (nsd.as_path(), Peer::nsd as Start),
        (named.as_path(), Peer::bind as Start),
    ];
    let mut comparison = Comparison::default();
    // Most of the names are in the first two.
    for (scene, share) in scenes.iter().zip([4, 4, 1, 1]) {
        let servers = Servers::start(scene, programs);
        comparison.compare(scene, &servers, seed, queries * share / 10);
    }
    comparison.finish(queries, seed);
}

struct Servers {
    walrus: Walrus,
    peers: Vec<Peer>,
    _folders: Vec<tempfile::TempDir>,
}

impl Servers {
    fn start(scene: &Scene, programs: [(&std::path::Path, Start); 3]) -> Self {
        let mut folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
        let zones: Zones<'_> = &scene.zones;
        let peers = programs.iter().zip(&folders);
        let peers =
            peers.map(|((program, start), folder)| start(program, folder.path(), zones)).collect();
        let folder = folders.pop().unwrap();
        let mut configuration = String::new();
        for (number, (zone, text)) in zones.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{number}.zone")), text).unwrap();
            let keep = if text.contains("RRSIG") { "dnssec = \"keep\"\n" } else { "" };
            configuration.push_str(&format!(
                "[[zone]]\nname = \"{zone}\"\nfile = \"{number}.zone\"\n{keep}"
            ));
        }
        let dns_lines = format!(
            "nsid = \"{ID}\"\nid_server = \"{ID}\"\nversion = \"{VERSION}\"\nworkers = 1\n"
        );
        let node = Node { dns_lines: &dns_lines, ..Node::default() };
        let walrus = Walrus::start_node(&node, folder.path(), &configuration);
        folders.push(folder);
        Self { walrus, peers, _folders: folders }
    }
}

/// What came out of it.
#[derive(Default)]
struct Comparison {
    asked: usize,
    by_tcp: usize,
    answered: usize,
    /// By rule and by who differs from us.
    listed: BTreeMap<(&'static str, &'static str), usize>,
    /// How often by who differs, in what, and a sketch of the query, with one example.
    unexplained: BTreeMap<String, (usize, String)>,
}

impl Comparison {
    fn compare(&mut self, scene: &Scene, servers: &Servers, seed: u64, count: u64) {
        let asked: Vec<Asked> =
            (0..count).map(|number| queries::query(seed, number, &scene.names)).collect();
        let behind = b"\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\x06\0\x01";
        let mut all = vec![("Walrus", servers.walrus.dns)];
        all.extend(servers.peers.iter().map(|peer| (peer.name, peer.address)));
        let replies = ask_each(&all, &asked, behind);
        for (index, asked) in asked.iter().enumerate() {
            let said: Vec<Option<Said>> = (0..all.len())
                .map(|server| replies[server][index].as_deref().map(Said::read))
                .collect();
            self.judge(scene, asked, &all, &said);
        }
    }

    fn judge(
        &mut self,
        scene: &Scene,
        asked: &Asked,
        all: &[(&'static str, SocketAddr)],
        said: &[Option<Said>],
    ) {
        self.asked += 1;
        self.by_tcp += usize::from(asked.tcp);
        self.answered += usize::from(said[0].is_some());
        let query = Seen::of(&asked.bytes, asked.tcp);
        let ours = said[0].as_ref();
        for (index, theirs) in said.iter().enumerate().skip(1) {
            let (peer, theirs) = (all[index].0, theirs.as_ref());
            let parts = said::differences(ours, theirs);
            let case = Case { peer, query: &query, ours, theirs, zones: &scene.apexes };
            let mut left = Vec::new();
            for part in parts {
                match RULES.iter().find(|rule| rule.explains(&case, part)) {
                    Some(rule) => *self.listed.entry((rule.name, peer)).or_insert(0) += 1,
                    None => left.push(part),
                }
            }
            if !left.is_empty() {
                self.note(scene, &query, (peer, &left), all, said);
            }
        }
    }

    fn note(
        &mut self,
        scene: &Scene,
        query: &Seen,
        (peer, parts): (&str, &[Part]),
        all: &[(&'static str, SocketAddr)],
        said: &[Option<Said>],
    ) {
        let kind = if query.is_proper() { "proper" } else { "odd" };
        let example = || {
            let mut text = format!("in {}: {query}", scene.name);
            for ((name, _), said) in all.iter().zip(said) {
                match said {
                    Some(said) => text.push_str(&format!("\n  {name:<6} {said}")),
                    None => text.push_str(&format!("\n  {name:<6} silence")),
                }
            }
            text
        };
        let rcode = |said: &Option<Said>| {
            said.as_ref().map_or_else(|| "silence".to_owned(), |said| said.reply.rcode.clone())
        };
        let theirs = all.iter().zip(said).find(|((name, _), _)| *name == peer);
        let theirs = theirs.map(|(_, said)| rcode(said)).unwrap_or_default();
        for part in parts {
            let key = format!("{peer} {part:?} {kind} {}/{theirs}", rcode(&said[0]));
            self.unexplained.entry(key).or_insert_with(|| (0, example())).0 += 1;
        }
    }

    fn finish(self, queries: u64, seed: u64) {
        let Self { asked, by_tcp, answered, listed, unexplained } = self;
        say(&format!(
            "\n{asked} queries of seed {seed}, {by_tcp} of them by TCP, {answered} answered by Walrus"
        ));
        for ((rule, peer), count) in &listed {
            say(&format!("{count:>7}  {peer:<5} {rule}"));
        }
        let mut shown = String::new();
        for (key, (count, example)) in &unexplained {
            shown.push_str(&format!("\n{count} times {key}, as {example}"));
        }
        if !shown.is_empty()
            && let Ok(file) = std::env::var(FILE)
        {
            std::fs::write(file, &shown).unwrap();
        }
        assert!(unexplained.is_empty(), "{} kinds of differences:{shown}", unexplained.len());
        if queries < ALL_OCCUR_FROM {
            return;
        }
        for rule in RULES {
            let missing =
                rule.peers.iter().filter(|peer| !listed.contains_key(&(rule.name, **peer)));
            let missing: Vec<_> = missing.copied().collect();
            assert!(missing.len() < rule.peers.len(), "nobody differs any longer: {}", rule.name);
            for peer in missing {
                say(&format!("{peer} was not seen to differ: {}", rule.name));
            }
        }
    }
}

/// All servers at once, each by a thread of its own; who was silent when others spoke is asked once more,
/// by itself: NSD loses queries that it receives together with one that it drops.
fn ask_each(
    all: &[(&'static str, SocketAddr)],
    asked: &[Asked],
    behind: &[u8],
) -> Vec<Vec<Option<Vec<u8>>>> {
    let mut replies: Vec<Vec<Option<Vec<u8>>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = all
            .iter()
            .map(|(_, server)| scope.spawn(|| asking::ask_all(*server, asked, behind, TOGETHER)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let spoke = |index: usize| replies.iter().any(|replies| replies[index].is_some());
    let spoken: Vec<usize> = (0..asked.len()).filter(|index| spoke(*index)).collect();
    for ((_, server), replies) in all.iter().zip(&mut replies) {
        let silent: Vec<usize> =
            spoken.iter().copied().filter(|index| replies[*index].is_none()).collect();
        let again: Vec<Asked> = silent.iter().map(|index| asked[*index].clone()).collect();
        for (index, reply) in silent.into_iter().zip(asking::ask_all(*server, &again, behind, 1)) {
            replies[index] = reply;
        }
    }
    replies
}
