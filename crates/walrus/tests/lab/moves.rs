//! How far clients have followed a change: what `walrus status --moves` says of it, against what clients got through
//! resolvers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::alone;
use crate::programs::{PATIENCE, Process, find, free_port, say, wait_for};
use crate::questions::{Resolver, ask_udp};
use crate::walrus::{Node, Walrus};

const SERVICE: &str = "www.walrus.example";
const TTL: Duration = Duration::from_secs(5);

/// So many resolvers, each in a network of its own. All count, for none has less than a twentieth.
const RESOLVERS: u8 = 6;

/// Of the moment at which 95 % had followed an observation knows no more than that it lies within it.
const OBSERVATION: Duration = Duration::from_secs(1);

/// For a machine that has much else to do.
const TOLERANCE: Duration = Duration::from_millis(2500);

const CONFIGURATION: &str = r#"
zone = "walrus.example"
nameservers = ["ns1.walrus.example"]
[[cluster]]
name = "frankfurt"
servers = [{ name = "fra1", addresses = ["192.0.2.1"] }]
[[cluster]]
name = "virginia"
servers = [{ name = "iad1", addresses = ["198.51.100.1"] }]
[[area]]
name = "europe"
home = "frankfurt"
[[service]]
name = "www.walrus.example"
ttl = "5s"
"#;

#[test]
fn t_plus_x_is_when_clients_behind_resolvers_had_the_new_answers() {
    let _alone = alone();
    let Some([unbound]) = find("how far clients followed", ["unbound"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let node = Node { dns_lines: "observe_every = \"1s\"\n", ..Node::default() };
    let walrus = Walrus::start_node(&node, folder.path(), CONFIGURATION);
    let resolvers: Vec<(Process, SocketAddr)> =
        (1..=RESOLVERS).map(|number| start(&unbound, folder.path(), walrus.dns, number)).collect();
    let ended = AtomicBool::new(false);
    let (moved, followed) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..)
            .zip(&resolvers)
            .map(|(place, (_, address))| {
                let (address, ended) = (*address, &ended);
                // They begin to ask one after the other, as real ones' TTLs do not end together.
                let begins = TTL * place / u32::from(RESOLVERS);
                scope.spawn(move || client(address, begins, ended))
            })
            .collect();
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drain(&walrus)));
        ended.store(true, Ordering::Relaxed);
        let followed: Vec<Option<Instant>> =
            clients.into_iter().map(|client| client.join().unwrap()).collect();
        (told.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), followed)
    });
    let (at, status) = moved;
    let mut after: Vec<Duration> =
        followed.into_iter().map(|it| it.expect("all followed").duration_since(at)).collect();
    after.sort();
    let last = *after.last().unwrap();
    let told = millis(&status, "moved_95_ms").unwrap();
    say(&format!("\nmoved: told T+{told:?} by {}, clients followed at {after:?}", status["by"]));
    assert_eq!(status["by"], "askers", "{status}");
    // Never sooner than it was. Later by what an observation cannot tell: who asked in the one in which the name server changed
    // over counts when it asks again, a TTL later.
    assert!(told + TOLERANCE > last, "told {told:?}, the last client {last:?}: {status}");
    assert!(
        told < TTL + OBSERVATION * 2 + TOLERANCE,
        "told {told:?}, the last client {last:?}: {status}"
    );
    assert!(last < TTL + TOLERANCE, "{after:?}");
}

/// Drains, waits until all is told to have moved; when T was, and what is told.
fn drain(walrus: &Walrus) -> (Instant, Value) {
    wait_for("all resolvers to be known", || {
        let asked = walrus.metric("walrus_dns_udp_queries_total");
        (asked >= 2 * u64::from(RESOLVERS)).then_some(())
    });
    // Each of them has been told of, too.
    let observations = || walrus.status()["counters"]["observations"].as_u64().unwrap();
    let before = observations();
    wait_for("two observations", || (observations() >= before + 2).then_some(()));
    let (code, said) = walrus.call(&["drain", "frankfurt"]);
    assert_eq!(code, Some(0), "{said}");
    let begun = walrus.status();
    let at = Instant::now() - millis(&begun["moves"][0], "age_ms").unwrap();
    let (_, table) = walrus.call(&["status", "--moves"]);
    say(&format!("\n{table}"));
    assert!(millis(&begun["moves"][0], "moved_95_ms").is_none(), "{begun}");
    let status = wait_for("95 % to have moved", || {
        let status = walrus.status()["moves"][0].clone();
        millis(&status, "moved_95_ms").map(|_| status)
    });
    let (_, table) = walrus.call(&["status", "--moves"]);
    say(&format!("\n{table}"));
    (at, status)
}

/// When it got the new answer first. It goes on asking until the end, as those behind a resolver do.
fn client(resolver: SocketAddr, begins: Duration, ended: &AtomicBool) -> Option<Instant> {
    std::thread::sleep(begins);
    let socket = Resolver::of(resolver);
    let new = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
    let begun = Instant::now();
    let mut followed = None;
    loop {
        let answer = socket.ask(SERVICE, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)));
        if followed.is_none() && answer.addresses.contains(&new) {
            followed = Some(Instant::now());
        }
        // One that has not followed by the end is to be waited for.
        let is_over = followed.is_some() || begun.elapsed() > PATIENCE;
        if ended.load(Ordering::Relaxed) && is_over || begun.elapsed() > PATIENCE * 2 {
            return followed;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn millis(of: &Value, field: &str) -> Option<Duration> {
    of[field].as_u64().map(Duration::from_millis)
}

/// Starts one that asks Walrus from an address in a network of its own.
fn start(program: &Path, folder: &Path, walrus: SocketAddr, number: u8) -> (Process, SocketAddr) {
    let ip = IpAddr::V4(Ipv4Addr::new(127, 0, number, 1));
    let address = SocketAddr::new(ip, free_port(&[ip]));
    let (place, port) = (folder.display(), address.port());
    let configuration = format!(
        "server:\n directory: \"{place}\"\n chroot: \"\"\n username: \"\"\n\
         pidfile: \"{place}/unbound-{number}.pid\"\n use-syslog: no\n logfile: \"\"\n num-threads: 1\n\
         interface: {ip}@{port}\n outgoing-interface: {ip}\n do-not-query-localhost: no\n do-daemonize: no\n\
         access-control: 127.0.0.0/8 allow\n module-config: \"iterator\"\n\
         remote-control:\n control-enable: no\n\
         stub-zone:\n name: \"walrus.example\"\n stub-addr: {}@{}\n",
        walrus.ip(),
        walrus.port(),
    );
    let file = folder.join(format!("unbound-{number}.conf"));
    std::fs::write(&file, configuration).unwrap();
    let arguments = ["-d", "-p", "-c", file.to_str().unwrap()];
    let log = folder.join(format!("unbound-{number}.log"));
    let mut process = Process::start(program, &arguments, &log);
    // Of no use to anybody but to see that it answers: a header alone is a format error.
    wait_for("unbound", || {
        process.assert_running();
        ask_udp(address, &[0x1a, 0xb5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    });
    (process, address)
}
