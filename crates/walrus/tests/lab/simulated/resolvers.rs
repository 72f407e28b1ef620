//! Resolvers as networks have them: they ask Walrus from an address of their own, and cache.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use super::scene::Domain;
use crate::programs::{Process, free_port, wait_for};
use crate::questions::ask_udp;

/// Unbound or BIND.
pub(super) struct CachingResolver {
    process: Process,
    pub(super) address: SocketAddr,
}

impl CachingResolver {
    /// Starts a domain's resolver, and waits until it answers.
    pub(super) fn start(
        program: &Path,
        domain: &Domain,
        walrus: SocketAddr,
        folder: &Path,
    ) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        // Clients ask it here: BIND listens on addresses of interfaces only. It asks from the domain's.
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let address = SocketAddr::new(ip, free_port(&[ip]));
        let asks_from = domain.resolver();
        let file = folder.join("configuration");
        let name = file.to_str().unwrap();
        let (text, arguments) = if domain.is_unbound() {
            (unbound(address, asks_from, walrus, folder), ["-d", "-p", "-c", name].to_vec())
        } else {
            (
                named(address, asks_from, walrus, folder),
                ["-g", "-4", "-n", "1", "-c", name].to_vec(),
            )
        };
        std::fs::write(&file, text).unwrap();
        let mut process = Process::start(program, &arguments, &folder.join("log"));
        // Of no use to anybody but to see that it answers: a header alone is a format error.
        wait_for("a resolver", || {
            process.assert_running();
            ask_udp(address, &[0x1a, 0xb5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        });
        Self { process, address }
    }

    pub(super) fn assert_running(&mut self) {
        self.process.assert_running();
    }
}

fn unbound(address: SocketAddr, asks_from: IpAddr, walrus: SocketAddr, folder: &Path) -> String {
    let (ip, port, place) = (address.ip(), address.port(), folder.display());
    format!(
        "server:\n directory: \"{place}\"\n chroot: \"\"\n username: \"\"\n\
         pidfile: \"{place}/pid\"\n use-syslog: no\n logfile: \"\"\n num-threads: 1\n\
         interface: {ip}@{port}\n outgoing-interface: {asks_from}\n do-not-query-localhost: no\n\
         do-ip6: no\n do-daemonize: no\n module-config: \"iterator\"\n qname-minimisation: no\n\
         msg-cache-size: 1m\n rrset-cache-size: 1m\n infra-host-ttl: 1\n\
         remote-control:\n control-enable: no\n\
         stub-zone:\n name: \"walrus.example\"\n stub-addr: {}@{}\n",
        walrus.ip(),
        walrus.port(),
    )
}

fn named(address: SocketAddr, asks_from: IpAddr, walrus: SocketAddr, folder: &Path) -> String {
    let (ip, port, place) = (address.ip(), address.port(), folder.display());
    format!(
        "options {{\n directory \"{place}\";\n pid-file none;\n session-keyfile none;\n \
         listen-on port {port} {{ {ip}; }};\n listen-on-v6 {{ none; }};\n query-source address {asks_from};\n \
         recursion yes;\n allow-query {{ any; }};\n allow-recursion {{ any; }};\n \
         dnssec-validation no;\n empty-zones-enable no;\n forward only;\n \
         forwarders {{ {} port {}; }};\n}};\ncontrols {{ }};\n",
        walrus.ip(),
        walrus.port(),
    )
}
