//! Unbound in front, as clients' resolvers are: it passes client subnets on (RFC 7871), and keeps
//! each answer for exactly those clients whom the scope says it is for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use domain::base::iana::Rcode;

use crate::alone;
use crate::programs::{Process, find, free_port, wait_for};
use crate::questions::{Answer, Resolver, ask_udp};
use crate::walrus::Walrus;

const SERVICE: &str = "www.walrus.example";
const CONFIGURATION: &str = r#"
zone = "walrus.example"
nameservers = ["ns1.walrus.example"]
[[cluster]]
name = "america"
servers = [{ name = "america1", addresses = ["192.0.2.1"] }]
[[cluster]]
name = "europe"
servers = [{ name = "europe1", addresses = ["192.0.2.2"] }]
[[area]]
name = "america"
home = "america"
clients = ["10.1.0.0/16"]
[[area]]
name = "europe"
home = "europe"
clients = ["10.2.0.0/16"]
[[service]]
name = "www.walrus.example"
ttl = "300s"
"#;

#[test]
fn a_resolver_keeps_an_answer_for_the_area_that_it_is_for() {
    let _alone = alone();
    let Some([unbound]) = find("a resolver in front", ["unbound"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let walrus = Walrus::start(folder.path(), CONFIGURATION);
    let (_process, address) = start(&unbound, folder.path(), walrus.dns);
    let resolver = Resolver::of(address);
    let asked = || walrus.metric("walrus_dns_udp_queries_total");
    let ask = |client: [u8; 4], server: [u8; 4]| {
        let Answer { rcode, addresses, ttl_seconds } = resolver.ask(SERVICE, client.into());
        assert_eq!(rcode, Rcode::NOERROR, "{client:?}");
        assert_eq!(addresses, [IpAddr::from(server)].into(), "{client:?}");
        assert!(ttl_seconds.is_some_and(|ttl| (1..=300).contains(&ttl)), "{ttl_seconds:?}");
    };
    let (america, europe) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    ask([10, 1, 1, 0], america);
    ask([10, 2, 1, 0], europe);
    // From now on it knows both areas: neighbours are answered without asking us.
    let before = asked();
    for third in [1, 7, 200] {
        ask([10, 1, third, 0], america);
        ask([10, 2, third, 0], europe);
    }
    assert_eq!(asked(), before, "the scope is as wide as the area");
}

/// Starts it with Walrus as the authority for the zone.
fn start(program: &Path, folder: &Path, walrus: SocketAddr) -> (Process, SocketAddr) {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let address = SocketAddr::new(ip, free_port(&[ip]));
    let (place, port) = (folder.display(), address.port());
    let configuration = format!(
        "server:\n directory: \"{place}\"\n chroot: \"\"\n username: \"\"\n\
         pidfile: \"{place}/unbound.pid\"\n use-syslog: no\n logfile: \"\"\n num-threads: 1\n\
         interface: {ip}@{port}\n do-not-query-localhost: no\n do-daemonize: no\n\
         module-config: \"subnetcache iterator\"\n send-client-subnet: {}\n\
         max-client-subnet-ipv4: 24\n\
         remote-control:\n control-enable: no\n\
         stub-zone:\n name: \"walrus.example\"\n stub-addr: {}@{}\n",
        walrus.ip(),
        walrus.ip(),
        walrus.port(),
    );
    let file = folder.join("unbound.conf");
    std::fs::write(&file, configuration).unwrap();
    let arguments = ["-d", "-p", "-c", file.to_str().unwrap()];
    let mut process = Process::start(program, &arguments, &folder.join("unbound.log"));
    // Of no use to anybody but to see that it answers: a header alone is a format error.
    wait_for("unbound", || {
        process.assert_running();
        ask_udp(address, &[0x1a, 0xb5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    });
    (process, address)
}
