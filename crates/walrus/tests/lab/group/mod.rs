//! A group over NATS, with everything in it killed and brought back once: Controllers, the NATS
//! server, and nodes that should not be there.

mod layouts;
mod nats;
mod node;
mod slow;
mod vantage;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::base::iana::Rcode;
use serde_json::Value;

use crate::programs::{Process, find, say, wait_for, wait_within};
use crate::questions::Resolver;
use crate::together;
pub(crate) use nats::Nats;
use nats::Stranger;
pub(crate) use node::Node;
use node::reporter;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0));
const SERVICE: &str = "www.walrus.example";
/// A Controller begins by listening for others and for its servers.
pub(crate) const BEGINS_WITHIN: Duration = Duration::from_secs(60);
/// Another master is there so soon after the death of the first, with the `detection` that is the default.
pub(crate) const MASTER_WITHIN: Duration = Duration::from_secs(5);
/// So much later no name server follows the one that died.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(5);

/// Two Controllers, two name servers without one, and a Reporter.
struct Group {
    controllers: [Node; 2],
    directors: [Node; 2],
    reporter: Process,
}

impl Group {
    /// Returns when both Controllers agree who is master, and both name servers answer by it.
    fn start(folder: &Path, nats: [&str; 2]) -> Self {
        let start = |name, role, at: usize| Node::start(folder, name, role, nats[at]);
        let group = Self {
            controllers: [start("berlin", "controller", 0), start("zurich", "controller", 1)],
            directors: [start("ns1", "director", 0), start("ns2", "director", 1)],
            reporter: reporter(folder, "near1", nats[0]),
        };
        wait_within(BEGINS_WITHIN, "one master", || group.master());
        group.wait_for_answers(&["192.0.2.1", "192.0.2.2"]);
        group
    }

    fn master(&self) -> Option<usize> {
        master_of(&self.controllers)
    }

    fn wait_for_answers(&self, addresses: &[&str]) {
        let wanted = addresses.iter().map(|address| address.parse().unwrap()).collect();
        for director in &self.directors {
            wait_within(BEGINS_WITHIN, "the answer of all name servers", || {
                let answer = Resolver::of(director.dns).ask(SERVICE, CLIENT);
                (answer.rcode == Rcode::NOERROR && answer.addresses == wanted).then_some(())
            });
        }
    }

    /// The numbers of the Plans that name servers hold.
    fn plans(&self) -> [Value; 2] {
        [0, 1].map(|at| self.directors[at].status()["plan"].clone())
    }
}

/// The master of both, if they agree and hear each other.
pub(crate) fn master_of(controllers: &[Node; 2]) -> Option<usize> {
    let [one, other] = controllers.each_ref().map(|node| node.status()["group"].clone());
    let agreed = one["master"].is_string() && one["master"] == other["master"];
    let hear = [&one, &other].iter().all(|group| group["peers"][0]["heard"] == true);
    let is_master = [&one, &other].map(|group| group["is_master"] == true);
    match is_master {
        [true, false] if agreed && hear => Some(0),
        [false, true] if agreed && hear => Some(1),
        _ => None,
    }
}

pub(crate) fn at(nats: &Nats) -> String {
    format!("servers = [\"{}\"]", nats.address)
}

#[test]
fn a_group_outlives_its_master_and_its_nats_server() {
    let _together = together();
    let Some([program]) = find("a group over NATS", ["nats-server"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut nats = Nats::start(&program, &folder.path().join("nats"), "");
    let mut group = Group::start(folder.path(), [&at(&nats); 2]);
    let master = group.master().expect("agreed upon");
    let reported = |node: &Node| {
        let status = node.status();
        let of_near1 = status["servers"].as_array().into_iter().flatten();
        let mut sources = of_near1.filter(|server| server["name"] == "near1");
        sources.any(|server| server["sources"][0]["age_ms"].is_u64()).then_some(())
    };
    group.controllers.iter().for_each(|node| wait_for("the report everywhere", || reported(node)));
    assert!(!group.reporter.said().contains("WARN"), "{}", group.reporter.said());

    // A drain on the standby holds everywhere.
    let (code, said) = group.controllers[1 - master].call(&["drain", "near2"]);
    assert_eq!(code, Some(0), "{said}");
    group.wait_for_answers(&["192.0.2.1"]);
    for node in &group.controllers {
        wait_for("the drain on both", || (node.status()["drained"][0].is_object()).then_some(()));
    }

    let killed = survive(&group.directors, || {
        let begin = Instant::now();
        group.controllers[master].kill();
        let heir = &group.controllers[1 - master];
        wait_within(MASTER_WITHIN, "another master", || {
            (heir.status()["group"]["is_master"] == true).then_some(())
        });
        let took = begin.elapsed();
        let name = heir.name();
        for director in &group.directors {
            wait_for("the heir's Plan", || {
                (director.status()["plan"]["controller"] == name).then_some(())
            });
        }
        let all = begin.elapsed();
        assert!(took <= MASTER_WITHIN, "another master only after {took:?}");
        assert!(all <= took + FOLLOWED_WITHIN, "the old epoch until {all:?}");
        (took, all)
    });
    group.wait_for_answers(&["192.0.2.1"]);

    let cut = survive(&group.directors, || {
        nats.kill();
        for director in &group.directors {
            wait_for("word of the cut", || {
                let status = director.status();
                let told = status["problems"][0]["kind"] == "group" && director.problems()? > 0;
                (status["bus"]["server"].is_null() && told).then_some(())
            });
        }
        let (_, said) = group.directors[0].call(&["status"]);
        assert!(said.contains("group over NATS: no connection for"), "{said}");
        assert!(said.contains("a Controller was heard"), "{said}");
        nats.restart();
        let begin = Instant::now();
        for director in &group.directors {
            wait_for("the group again", || {
                let bus = director.status()["bus"].clone();
                (bus["server"].is_string() && bus["heard_ms"].as_u64()? < 3000).then_some(())
            });
        }
        begin.elapsed()
    });
    let (code, said) = group.controllers[1 - master].call(&["undrain", "near2"]);
    assert_eq!(code, Some(0), "{said}");
    group.wait_for_answers(&["192.0.2.1", "192.0.2.2"]);

    // The old master comes back behind the new one, and no name server goes back.
    let before = group.plans();
    group.controllers[master].restart();
    let now = wait_within(BEGINS_WITHIN, "one master again", || group.master());
    assert_eq!(now, 1 - master, "who was away joins behind");
    for (before, now) in before.iter().zip(&group.plans()) {
        assert!(number(now) >= number(before), "{before} then {now}");
    }
    say(&format!(
        "\nthe group: another master {:.1?} after the death of the first, its Plan everywhere after \
         {:.1?}; connected again {cut:.1?} after the NATS server was back",
        killed.0, killed.1
    ));
}

fn number(plan: &Value) -> (u64, u64) {
    (plan["epoch"].as_u64().unwrap(), plan["sequence"].as_u64().unwrap())
}

/// Asks all name servers all the while that something happens: each must answer, and never with
/// nothing.
fn survive<T>(directors: &[Node; 2], happens: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    let asked = AtomicU64::new(0);
    let result = std::thread::scope(|scope| {
        for director in directors {
            let (over, asked) = (&over, &asked);
            scope.spawn(move || {
                let resolver = Resolver::of(director.dns);
                while !over.load(Ordering::Relaxed) {
                    let answer = resolver.ask(SERVICE, CLIENT);
                    assert_eq!(answer.rcode, Rcode::NOERROR);
                    assert!(!answer.addresses.is_empty(), "an empty answer");
                    asked.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
        }
        // Over as well if it fails.
        let ended = Ended(&over);
        let result = happens();
        drop(ended);
        result
    });
    assert!(asked.load(Ordering::Relaxed) > 0);
    result
}

struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn strangers_are_counted_and_change_nothing() {
    let _together = together();
    let Some([program]) = find("strangers in a group", ["nats-server"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let nats = Nats::start(&program, &folder.path().join("nats"), "");
    let group = Group::start(folder.path(), [&at(&nats); 2]);
    let mut stranger = Stranger::connect(nats.address);
    let count = |node: &Node, of: &str| node.status()["bus"][of].as_u64().unwrap_or(0);

    // What the Reporter said is said again, under its own and under another's name.
    let (subject, report) = stranger.overhear("walrus.v1.reporter.near1.report");
    assert_eq!(subject, "walrus.v1.reporter.near1.report");
    let before = [0, 1].map(|at| count(&group.controllers[at], "replayed"));
    for _ in 0..5 {
        stranger.publish(&subject, &report);
        stranger.publish("walrus.v1.reporter.near2.report", &report);
        stranger.publish("walrus.v1.reporter.near1.report", b"PANIC!");
    }
    let version =
        String::from_utf8(report.clone()).unwrap().replacen("\"walrus\":1", "\"walrus\":3", 1);
    stranger.publish("walrus.v1.director.far.observation", version.as_bytes());
    let (subject, part) = stranger.overhear("walrus.v1.controller.*.presence");
    let forged =
        String::from_utf8(part.clone()).unwrap().replace("\"joined\":", "\"joined\":0,\"x\":");
    stranger.publish("walrus.v1.controller.mallory.presence", forged.as_bytes());
    stranger.publish(&subject, &part);
    for (node, before) in group.controllers.iter().zip(before) {
        wait_for("all to be counted", || {
            let replayed = count(node, "replayed") >= before + 5;
            let all = replayed && count(node, "forged") >= 6 && count(node, "garbage") >= 6;
            all.then_some(())
        });
        assert_eq!(node.status()["group"]["peers"].as_array().unwrap().len(), 1);
    }
    let (_, said) = group.controllers[0].call(&["status"]);
    for told in [
        "messages not believed",
        " messages in the name of reporter near1 came again",
        "PROBLEM: forged: 5 messages on the subject of reporter near2",
        "PROBLEM: not understood: 5 messages on the subject of reporter near1",
        "PROBLEM: director far: it speaks version 3 of the messages, and this node reads 1 and 2: update this node",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    // Whose server nobody knows is told so, by the master.
    let unknown = reporter(folder.path(), "mars1", &at(&nats));
    wait_for("a refusal", || {
        unknown.said().contains("the master refuses what this Reporter says").then_some(())
    });
    wait_within(BEGINS_WITHIN, "one master still", || group.master());
    group.wait_for_answers(&["192.0.2.1", "192.0.2.2"]);
}
