//! A resolver with caches of its own asks all the while: as its keys are rolled over, to another
//! key, then to another algorithm, layout and denial at once, while a server dies and comes back, and
//! the target of an alias moves. Each answer is secure, and soon none names the dead server.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::client::Client;
use super::family::{Family, ONE_KEY, TWO_KEYS, ZONE};
use super::validators::ask;
use crate::alone;
use crate::programs::{free_port, say, wait_for, wait_within};

/// Of everything that is cached, in seconds.
const TTL: u32 = 1;

/// Each wait of a roll-over is a TTL and a margin of a second each.
const ROLLS_WITHIN: Duration = Duration::from_secs(180);

const EVERY: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_millis(100);
const FALL: u32 = 2;
const JITTER: f64 = 0.1;

const SERVERS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(127, 0, 45, 1), Ipv4Addr::new(127, 0, 45, 2), Ipv4Addr::new(127, 0, 45, 3)];

/// The one that dies.
const MORTAL: Ipv4Addr = SERVERS[1];

#[test]
fn answers_stay_secure_while_keys_and_health_change() {
    let _alone = alone();
    let mut port_of_all = SERVERS.map(std::net::IpAddr::V4).to_vec();
    port_of_all.rotate_left(1);
    let port = free_port(&port_of_all);
    let mut listeners = SERVERS.map(|ip| Some(TcpListener::bind((ip, port)).unwrap()));
    let Some(mut family) = Family::start("key roll-overs", ONE_KEY, &clusters(port), TTL) else {
        return;
    };
    let unbound = family.unbound("unbound");
    let client = Client::default();
    let took = std::thread::scope(|scope| {
        // However this ends, the client hears it.
        let (_going, over) = channel();
        let (client, unbound) = (&client, &unbound);
        scope.spawn(move || client.ask_all_the_while(unbound, &over));
        wait_for("the first answers", || (client.asked() > 100).then_some(()));

        let first = roll(&mut family, |family| {
            let (code, said) = family.walrus.call(&["keys", "add", ZONE]);
            assert_eq!(code, Some(0), "{said}");
            listeners[1] = None;
            is_gone_soon(family.walrus.dns);
        });
        let second = roll(&mut family, |family| {
            family.sign_by(TWO_KEYS);
            listeners[1] = Some(TcpListener::bind((MORTAL, port)).unwrap());
            wait_for("the server that is back", || names_mortal(family.walrus.dns).then_some(()));
            family.move_target(&["203.0.113.9"]);
        });
        [first, second]
    });
    let answers = client.asked();
    say(&format!(
        "\n{answers} answers secure while a CSK was rolled over in {:.1?}, and to KSK and ZSK of \
         another algorithm in {:.1?}",
        took[0], took[1]
    ));
    client.assert_all_was_right(&unbound);
    let keys = ask(family.walrus.dns, ZONE, "DNSKEY").data("DNSKEY");
    assert!(keys.len() == 2 && keys.iter().all(|key| key.contains(" 3 15 ")), "{keys:?}");
}

/// Begins a roll-over, and does what a parent does that reads CDS records, until no key that was
/// there is there any more.
fn roll(family: &mut Family, begin: impl FnOnce(&mut Family)) -> Duration {
    let start = Instant::now();
    let old = tags(family);
    begin(family);
    let mut at_parent = BTreeSet::new();
    wait_within(ROLLS_WITHIN, "the end of the roll-over", || {
        let wanted = ask(family.walrus.dns, ZONE, "CDS").data("CDS");
        if !wanted.is_empty() && wanted != at_parent {
            family.give_parent(&wanted);
            at_parent = wanted;
        }
        let now = tags(family);
        (!now.is_empty() && now.is_disjoint(&old)).then_some(())
    });
    start.elapsed()
}

fn tags(family: &Family) -> BTreeSet<u64> {
    family.walrus.keys().iter().map(|key| key["tag"].as_u64().unwrap()).collect()
}

/// No answer names it any more, nor any that follows; how soon is measured by [`crate::detection`].
fn is_gone_soon(walrus: SocketAddr) {
    wait_for("answers without the dead server", || (!names_mortal(walrus)).then_some(()));
    for _ in 0..50 {
        assert!(!names_mortal(walrus));
    }
}

/// Of the service whose every answer names all servers that function.
fn names_mortal(walrus: SocketAddr) -> bool {
    let reply = ask(walrus, "all.signed.test", "A");
    let is_signed = reply.answer.iter().any(|line| line.contains(" RRSIG A "));
    assert!(reply.rcode == "NOERROR" && is_signed, "{reply:?}");
    reply.data("A").contains(&MORTAL.to_string())
}

fn clusters(port: u16) -> String {
    let mut text = String::from("[[cluster]]\nname = \"america\"\nservers = [\n");
    for (number, ip) in SERVERS.iter().enumerate() {
        text.push_str(&format!(
            "  {{ name = \"a{number}\", addresses = [\"{ip}\", \"2001:db8::{number}\"], probe = \
             {{ tcp = {port}, every = \"{}ms\", timeout = \"{}ms\", fall = {FALL}, rise = 1, \
             jitter = {JITTER} }} }},\n",
            EVERY.as_millis(),
            TIMEOUT.as_millis(),
        ));
    }
    text.push_str(
        "]\n[[cluster]]\nname = \"europe\"\nservers = [{ name = \"e1\", \
         addresses = [\"192.0.2.11\", \"2001:db8::11\"] }]\n",
    );
    text
}
