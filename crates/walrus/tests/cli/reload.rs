//! What a client sees that asks all the time while services and types come and go with reloads.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::dns::{A, HTTPS, NAME_ERROR, SERVFAIL, Seen, ask};
use crate::running::{Running, TWO_CLUSTERS, wait_for};

/// A service more, and a type more for the one that is there.
const MORE: &str =
    "https = { alpn = [\"h2\"] }\n[[service]]\nname = \"new.walrus.example\"\nttl = \"5s\"\n";

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
            assert!(!seen.contradicts(record_type), "{name} {record_type}: {seen:?}");
        }
    }
    replies
}

/// Ends the watchers, however their test ends: the others would wait for them.
pub(crate) struct End<'a>(pub(crate) &'a AtomicBool);

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

#[test]
fn a_reload_is_finished_though_whoever_asked_for_it_hangs_up() {
    let running = Running::start(TWO_CLUSTERS);
    let before = running.status()["configuration"].clone();
    running.write("walrus.toml", &format!("{TWO_CLUSTERS}{MORE}"));
    wait_for("the Controller with what is new", || {
        drop(running.send("POST", "/reload", "")?);
        (running.status()["configuration"] != before).then_some(())
    });
    wait_for("its answer", || ask(running.dns(), "new.walrus.example", A).filter(Seen::is_answer));
    // Name server and Controller agree about what they are for: Plans are still carried out.
    assert_eq!(running.ask(&["drain", "near1"]).code, Some(0));
    let near = [std::net::Ipv4Addr::new(192, 0, 2, 2)];
    wait_for("a drain", || (crate::dns::addresses(running.dns()) == near).then_some(()));
}
