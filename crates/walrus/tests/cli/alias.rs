//! An alias in a signed zone, whose target gains and loses IPv6.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::dns::{A, AAAA, MX, SERVFAIL, Seen, ask};
use crate::reload::End;
use crate::running::{Running, TWO_CLUSTERS, wait_for};

const ALIAS: &str = "alias.walrus.example";

/// A resolver that knows one name: A always, AAAA while `has_ipv6`.
fn resolve(socket: &UdpSocket, has_ipv6: &AtomicBool, ended: &AtomicBool) {
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut query = [0; 512];
    while !ended.load(Ordering::Relaxed) {
        let Ok((len, client)) = socket.recv_from(&mut query) else { continue };
        let end = crate::dns::end_of_name(&query[..len], 12) + 4;
        let record_type = u16::from_be_bytes([query[end - 4], query[end - 3]]);
        let data: &[u8] = match record_type {
            A => &[203, 0, 113, 7],
            AAAA if has_ipv6.load(Ordering::Relaxed) => {
                &[0x20, 1, 13, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]
            }
            _ => &[],
        };
        let mut reply = query[..2].to_vec();
        reply.extend([0x81, 0x80, 0, 1, 0, u8::from(!data.is_empty()), 0, 0, 0, 0]);
        reply.extend(&query[12..end]);
        if !data.is_empty() {
            reply.extend([0xc0, 12]);
            reply.extend(record_type.to_be_bytes());
            // To be asked again as soon as can be.
            reply.extend([0, 1, 0, 0, 0, 0, 0, data.len() as u8]);
            reply.extend(data);
        }
        let _ = socket.send_to(&reply, client);
    }
}

/// The types that the zone promises at the alias: a type that no service gives shows them.
fn promised(server: SocketAddr) -> Option<Vec<u16>> {
    ask(server, ALIAS, MX).filter(Seen::is_no_type).map(|seen| seen.beside)
}

/// From the first answer on: never SERVFAIL, never "no" where the proof says "yes".
fn watch(server: SocketAddr, ended: &AtomicBool) -> usize {
    let mut replies = 0;
    while !ended.load(Ordering::Relaxed) {
        for record_type in [A, AAAA] {
            let Some(seen) = ask(server, ALIAS, record_type) else { continue };
            assert_ne!(seen.code, SERVFAIL, "{record_type}: {seen:?}");
            assert!(!seen.contradicts(record_type), "{record_type}: {seen:?}");
            replies += 1;
        }
    }
    replies
}

#[test]
fn a_signed_zone_promises_the_families_that_the_target_of_an_alias_has() {
    let resolvers = "round = \"1s\"\nresolvers = [\"ADDRESS:5390\"]";
    let config = TWO_CLUSTERS.replace("round = \"1s\"", resolvers);
    let running = Running::prepared(&format!(
        "{config}[[service]]\nname = \"{ALIAS}\"\nalias = \"target.cdn.example\"\nttl = \"5s\"\n\
         [dnssec]\nsign = true\nparent = [\"ADDRESS:5399\"]\n"
    ));
    let socket = UdpSocket::bind(SocketAddr::new(running.address, 5390)).unwrap();
    let (has_ipv6, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    let checked = crate::running::walrus_on("check", &running.path("walrus.toml"));
    assert!(!checked.stderr.contains(ALIAS), "nothing to decide: {checked:?}");
    let server = running.dns();
    std::thread::scope(|scope| {
        let end = End(&ended);
        let mut running = running;
        running.up();
        let client = ["explain", ALIAS, "--client", "203.0.113.1"];
        let explained = running.ask(&client).stdout;
        let because = "the alias target.cdn.example of alias.walrus.example is not resolved yet";
        assert!(explained.contains("(SERVFAIL, extended error 14)"), "{explained}");
        assert!(explained.contains(because), "{explained}");
        scope.spawn(|| resolve(&socket, &has_ipv6, &ended));
        wait_for("A", || ask(server, ALIAS, A).filter(Seen::is_answer));
        wait_for("no AAAA", || ask(server, ALIAS, AAAA).filter(Seen::is_no_type));
        let watcher = scope.spawn(|| watch(server, &ended));
        let is_promised = || Some(promised(server)?.contains(&AAAA));
        assert!(!wait_for("a proof", is_promised));
        has_ipv6.store(true, Ordering::Relaxed);
        wait_for("AAAA", || ask(server, ALIAS, AAAA).filter(Seen::is_answer));
        wait_for("its promise", || is_promised().filter(|it| *it));
        has_ipv6.store(false, Ordering::Relaxed);
        wait_for("no AAAA any more", || ask(server, ALIAS, AAAA).filter(Seen::is_no_type));
        wait_for("no promise", || is_promised().filter(|it| !*it));
        // A restart begins with what the Plan on the disk has, before anything is resolved.
        let has_only_ipv4 = || {
            let text = std::fs::read_to_string(running.path("state/plan.json")).ok()?;
            (text.contains("203.0.113.7") && !text.contains("2001:db8::7")).then_some(())
        };
        wait_for("the Plan on the disk", has_only_ipv4);
        drop(end);
        assert!(watcher.join().unwrap() > 0);
        running.kill();
        running.up();
        wait_for("no AAAA", || ask(server, ALIAS, AAAA).filter(Seen::is_no_type));
    });
}
