//! What a client sees that asks all the time while services and types come and go with reloads.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::dns::{ask_udp, code, query};
use crate::running::{Running, TWO_CLUSTERS, wait_for};

const A: u16 = 1;
const NSEC: u16 = 47;
const HTTPS: u16 = 65;
const SERVFAIL: u8 = 2;
const NAME_ERROR: u8 = 3;

/// A service more, and a type more for the one that is there.
const MORE: &str =
    "https = { alpn = [\"h2\"] }\n[[service]]\nname = \"new.walrus.example\"\nttl = \"5s\"\n";

/// A reply as far as it matters here.
#[derive(Debug)]
struct Seen {
    code: u8,
    answers: u16,
    /// The types that NSEC records of its authority section have.
    denied_beside: Vec<u16>,
}

impl Seen {
    fn is_answer(&self) -> bool {
        self.code == 0 && self.answers > 0
    }
}

/// Asks once with DO; `None` if nothing comes.
fn ask(server: SocketAddr, name: &str, record_type: u16) -> Option<Seen> {
    let mut query = query(name, record_type, None);
    // DO: the first bit of the two bytes before the length of the OPT record's data.
    let flags = query.len() - 2 - 2;
    query[flags] = 0x80;
    let reply = ask_udp(server, &query, Duration::from_secs(2))?;
    let count = |at: usize| u16::from_be_bytes([reply[at], reply[at + 1]]);
    let mut at = end_of_name(&reply, 12) + 4;
    let mut denied_beside = Vec::new();
    for _ in 0..count(6) + count(8) {
        at = end_of_name(&reply, at);
        let data = at + 10..at + 10 + usize::from(count(at + 8));
        if count(at) == NSEC {
            denied_beside.extend(types(&reply[end_of_name(&reply, data.start)..data.end]));
        }
        at = data.end;
    }
    Some(Seen { code: code(&reply), answers: count(6), denied_beside })
}

/// Behind a name of a message.
fn end_of_name(message: &[u8], mut at: usize) -> usize {
    loop {
        match message[at] {
            0 => return at + 1,
            length if length >= 0xc0 => return at + 2,
            length => at += 1 + usize::from(length),
        }
    }
}

/// The types below 256 of a bitmap (RFC 4034 section 4.1.2).
fn types(bitmap: &[u8]) -> Vec<u16> {
    let [0, length, bits @ ..] = bitmap else { return Vec::new() };
    let bits = &bits[..usize::from(*length)];
    let number = |number: &u16| bits[usize::from(number / 8)] & (0x80 >> (number % 8)) != 0;
    (0..u16::from(*length) * 8).filter(number).collect()
}

/// Asks for what comes and goes until told to end; every reply is right. How many there were.
fn watch(server: SocketAddr, ended: &AtomicBool) -> usize {
    let mut replies = 0;
    while !ended.load(Ordering::Relaxed) {
        for (name, record_type) in
            [("www.walrus.example", HTTPS), ("new.walrus.example", A), ("www.walrus.example", A)]
        {
            let Some(seen) = ask(server, name, record_type) else { continue };
            replies += 1;
            assert_ne!(seen.code, SERVFAIL, "{name} {record_type}: {seen:?}");
            if seen.code == 0 && seen.answers == 0 {
                let is_promised = seen.denied_beside.contains(&record_type);
                assert!(!is_promised, "{name} {record_type}: the proof says that it is there");
            }
        }
    }
    replies
}

/// Ends the watchers, however their test ends: the others would wait for them.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reloads with more and with less, again and again, while clients ask.
fn toggle(config: &str) {
    let running = Running::start(config);
    let server = running.dns();
    wait_for("the first answer", || ask(server, "www.walrus.example", A).filter(Seen::is_answer));
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let end = End(&ended);
        let watchers = [0; 2].map(|_| scope.spawn(|| watch(server, &ended)));
        for round in 0..8 {
            let has_more = round % 2 == 0;
            let more = if has_more { MORE } else { "" };
            running.write("walrus.toml", &config.replace("#MORE\n", more));
            let done = running.ask(&["reload"]);
            assert_eq!(done.code, Some(0), "{done:?}");
            // A thread in the middle of a batch answers that from the table before.
            wait_for("what was reloaded", || {
                let https = ask(server, "www.walrus.example", HTTPS)?;
                let new = ask(server, "new.walrus.example", A)?;
                let is_new = (new.is_answer(), new.code == NAME_ERROR) == (has_more, !has_more);
                (https.is_answer() == has_more && is_new).then_some(())
            });
        }
        drop(end);
        for watcher in watchers {
            assert!(watcher.join().unwrap() > 0);
        }
    });
}

#[test]
fn services_and_types_come_and_go_in_a_signed_zone_without_a_wrong_answer() {
    toggle(&format!("{TWO_CLUSTERS}#MORE\n[dnssec]\nsign = true\nparent = [\"ADDRESS:5399\"]\n"));
}

#[test]
fn services_and_types_come_and_go_in_an_unsigned_zone_without_a_wrong_answer() {
    toggle(&format!("{TWO_CLUSTERS}#MORE\n"));
}

#[test]
fn a_name_server_without_a_controller_answers_for_a_new_service() {
    let alone = TWO_CLUSTERS.replace("[\"controller\", \"director\"]", "[\"director\"]");
    let mut running = Running::start(TWO_CLUSTERS);
    wait_for("the Plan on the disk", || running.path("state/plan.json").exists().then_some(()));
    assert_eq!(running.ask(&["drain", "near1"]).code, Some(0));
    let drained = || {
        let text = std::fs::read_to_string(running.path("state/plan.json")).ok()?;
        text.contains("drained").then_some(())
    };
    wait_for("the drain on the disk", drained);
    running.kill();
    running.write("walrus.toml", &alone);
    running.up();
    running.write("walrus.toml", &format!("{alone}{MORE}"));
    let done = running.ask(&["reload"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    for (name, record_type) in [("new.walrus.example", A), ("www.walrus.example", HTTPS)] {
        let seen = wait_for("a reply", || ask(running.dns(), name, record_type));
        assert!(seen.is_answer(), "{name}: {seen:?}");
    }
    let near = crate::dns::addresses(running.dns());
    assert_eq!(near, [std::net::Ipv4Addr::new(192, 0, 2, 2)], "near1 stays drained");
}
