//! Validating resolvers that others wrote, which remember what they heard: Unbound and BIND.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use super::validators::{Reply, ask, query_for};
use crate::programs::{Process, free_port, wait_for};
use crate::questions::ask_udp;

/// On loopback, and with a validator's own queries behind it, on a machine that has other work.
const REPLY_WITHIN: Duration = Duration::from_secs(20);

/// How it finds name servers.
#[derive(Clone, Copy)]
pub(super) enum Finds<'a> {
    /// It is told one or more of each of some zones; those of one zone stand side by side.
    Told(&'a [(&'a str, SocketAddr)]),
    /// The same, and it passes clients' subnets on to them, and keeps nothing.
    ToldWithSubnets(&'a [(&'a str, SocketAddr)]),
    /// It follows referrals from this name server of the root, on port 53.
    FromRoot(IpAddr),
}

/// A running resolver with one zone's keys as its trust anchors.
pub(super) struct Resolver {
    pub(super) address: SocketAddr,
    process: Process,
    socket: UdpSocket,
}

impl Resolver {
    /// Unbound, with aggressive use of proofs (RFC 8198).
    pub(super) fn unbound(
        program: &Path,
        folder: &Path,
        anchor: (&str, SocketAddr),
        finds: Finds<'_>,
    ) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let address = free_address();
        let (ip, port, place) = (address.ip(), address.port(), folder.display());
        let modules = match finds {
            Finds::ToldWithSubnets(_) => "subnetcache validator iterator",
            Finds::Told(_) | Finds::FromRoot(_) => "validator iterator",
        };
        let mut text = format!(
            "server:\n directory: \"{place}\"\n chroot: \"\"\n username: \"\"\n\
             pidfile: \"{place}/unbound.pid\"\n use-syslog: no\n logfile: \"\"\n num-threads: 1\n\
             interface: {ip}@{port}\n do-not-query-localhost: no\n do-daemonize: no\n\
             do-ip6: no\n local-zone: \"test.\" nodefault\n\
             module-config: \"{modules}\"\n val-permissive-mode: no\n val-log-level: 2\n\
             aggressive-nsec: yes\n"
        );
        let (zone, server) = anchor;
        for key in ask(server, zone, "DNSKEY").data("DNSKEY") {
            text.push_str(&format!(" trust-anchor: \"{zone} DNSKEY {key}\"\n"));
        }
        match finds {
            // A name server that was slow once is asked again soon, not after a quarter of an hour.
            Finds::Told(_) => text.push_str(" qname-minimisation: no\n infra-host-ttl: 1\n"),
            Finds::ToldWithSubnets(zones) => {
                text.push_str(" qname-minimisation: no\n cache-max-ttl: 0\n");
                text.push_str(" max-client-subnet-ipv4: 24\n max-client-subnet-ipv6: 56\n");
                for (_, server) in zones {
                    text.push_str(&format!(" send-client-subnet: {}\n", server.ip()));
                }
            }
            Finds::FromRoot(root) => {
                let hints = folder.join("root.hints");
                std::fs::write(&hints, root_hints(root)).unwrap();
                text.push_str(&format!(" root-hints: \"{}\"\n", hints.display()));
            }
        }
        text.push_str("remote-control:\n control-enable: no\n");
        if let Finds::Told(zones) | Finds::ToldWithSubnets(zones) = finds {
            let mut before = "";
            for (zone, server) in zones {
                if *zone != before {
                    text.push_str(&format!("stub-zone:\n name: \"{zone}\"\n"));
                }
                text.push_str(&format!(" stub-addr: {}@{}\n", server.ip(), server.port()));
                before = zone;
            }
        }
        let file = folder.join("unbound.conf");
        std::fs::write(&file, text).unwrap();
        let arguments = ["-d", "-p", "-c", file.to_str().unwrap()];
        Self::of(Process::start(program, &arguments, &folder.join("unbound.log")), address)
    }

    /// BIND, which follows referrals from the root, with aggressive use of proofs (NSEC only).
    pub(super) fn named(program: &Path, folder: &Path, keys: &str, root: IpAddr) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let address = free_address();
        let (ip, port, place) = (address.ip(), address.port(), folder.display());
        let hints = folder.join("root.hints");
        std::fs::write(&hints, root_hints(root)).unwrap();
        let text = format!(
            "options {{\n directory \"{place}\";\n pid-file none;\n session-keyfile none;\n \
             listen-on port {port} {{ {ip}; }};\n listen-on-v6 {{ none; }};\n recursion yes;\n \
             dnssec-validation yes;\n synth-from-dnssec yes;\n empty-zones-enable no;\n}};\n\
             controls {{ }};\n\
             zone \".\" {{ type hint; file \"{}\"; }};\n{keys}",
            hints.display()
        );
        let file = folder.join("named.conf");
        std::fs::write(&file, text).unwrap();
        let arguments = ["-g", "-4", "-n", "1", "-c", file.to_str().unwrap()];
        Self::of(Process::start(program, &arguments, &folder.join("named.log")), address)
    }

    /// Waits until it answers at all.
    fn of(mut process: Process, address: SocketAddr) -> Self {
        // Of no use to anybody but to see that it answers: a header alone is a format error.
        wait_for("a resolver", || {
            process.assert_running();
            ask_udp(address, &[0x1a, 0xb5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        });
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(address).unwrap();
        socket.set_read_timeout(Some(REPLY_WITHIN)).unwrap();
        Self { address, process, socket }
    }

    pub(super) fn ask(&self, name: &str, record_type: &str) -> Reply {
        self.ask_for(name, record_type, None)
    }

    /// On behalf of a client in this subnet.
    pub(super) fn ask_for(
        &self,
        name: &str,
        record_type: &str,
        subnet: Option<(IpAddr, u8)>,
    ) -> Reply {
        self.socket.send(&query_for(name, record_type, subnet)).unwrap();
        let mut reply = [0; 4096];
        let len = self.socket.recv(&mut reply).unwrap_or_else(|error| {
            panic!("{name} {record_type}: {error}\n{}", self.process.said())
        });
        Reply::read(&reply[..len])
    }

    /// What it says of answers that it does not believe.
    pub(super) fn said(&self) -> String {
        self.process.said()
    }
}

fn free_address() -> SocketAddr {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    SocketAddr::new(ip, free_port(&[ip]))
}

fn root_hints(root: IpAddr) -> String {
    format!(". 3600 NS ns.\nns. 3600 A {root}\n")
}
