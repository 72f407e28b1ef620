//! Validating resolvers that others wrote, which remember what they heard: Unbound, BIND, Knot Resolver and
//! PowerDNS Recursor.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use super::validators::{Reply, ask, query_for};
use crate::programs::{PATIENCE, Process, free_port, say, wait_for};
use crate::questions::ask_udp;

/// On loopback, and with a validator's own queries behind it, on a machine that has other work.
const REPLY_WITHIN: Duration = Duration::from_secs(20);

/// Resolvers remember for some seconds that they could not find out.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);

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
    /// What it answers in a way of its own, whoever the name server is: name (or any) and type.
    own_ways: &'static [(Option<&'static str>, &'static str)],
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

    /// Knot Resolver, which follows referrals from the root. It never asks name servers on 127.0.0.0/8, whatever
    /// it is told.
    pub(super) fn kresd(program: &Path, folder: &Path, root: SocketAddr) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let address = free_address();
        let (ip, port) = (address.ip(), address.port());
        let keys = ask(root, ".", "DNSKEY").data("DNSKEY");
        let anchors =
            keys.iter().map(|key| format!("trust_anchors.add('. 3600 IN DNSKEY {key}')\n"));
        // It would not ask for names in the lab's `test`.
        let text = format!(
            "net.ipv6 = false\nnet.listen('{ip}', {port}, {{ kind = 'dns' }})\nmodules = {{ 'hints' }}\n\
             hints.root({{ ['ns.'] = '{}' }})\ntrust_anchors.remove('.')\n{}\
             policy.add(policy.suffix(policy.PASS, policy.todnames({{ 'test.' }})))\n\
             cache.size = 10 * MB\n",
            root.ip(),
            anchors.collect::<String>()
        );
        let file = folder.join("kresd.conf");
        std::fs::write(&file, text).unwrap();
        let arguments = ["-n", "-c", file.to_str().unwrap(), folder.to_str().unwrap()];
        let process = Process::start(program, &arguments, &folder.join("kresd.log"));
        Self::answering(process, address, &query_for(".", "NS", None))
    }

    /// PowerDNS Recursor, which follows referrals from the root and trusts these DS records of it.
    pub(super) fn recursor(
        program: &Path,
        folder: &Path,
        ds: &BTreeSet<String>,
        root: IpAddr,
    ) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let address = free_address();
        let (ip, port, place) = (address.ip(), address.port(), folder.display());
        std::fs::write(folder.join("root.hints"), root_hints(root)).unwrap();
        let anchors = ds.iter().map(|ds| format!("addTA('.', '{ds}')\n"));
        let anchors = format!("clearTA('.')\n{}", anchors.collect::<String>());
        std::fs::write(folder.join("anchors.lua"), anchors).unwrap();
        let text = format!(
            "local-address={ip}\nlocal-port={port}\nhint-file={place}/root.hints\ndont-query=\n\
             dnssec=validate\nlua-config-file={place}/anchors.lua\ndaemon=no\nsocket-dir={place}\n\
             write-pid=no\nsecurity-poll-suffix=\nthreads=1\ndisable-syslog=yes\n"
        );
        std::fs::write(folder.join("recursor.conf"), text).unwrap();
        let arguments = [&*format!("--config-dir={place}")];
        let process = Process::start(program, &arguments, &folder.join("recursor.log"));
        let resolver = Self::answering(process, address, &query_for(".", "NS", None));
        // The type 65400 is one of PowerDNS' own (SERVFAIL), and for DS it does not look whether an alias' target is there.
        let own_ways = &[(None, "TYPE65400"), (Some("to-nothing.signed.test"), "DS")];
        Self { own_ways, ..resolver }
    }

    /// Waits until it answers at all.
    fn of(process: Process, address: SocketAddr) -> Self {
        // Of no use to anybody but to see that it answers: a header alone is a format error.
        Self::answering(process, address, &[0x1a, 0xb5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Waits until it answers this.
    fn answering(mut process: Process, address: SocketAddr, query: &[u8]) -> Self {
        wait_for("a resolver", || {
            process.assert_running();
            ask_udp(address, query)
        });
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(address).unwrap();
        socket.set_read_timeout(Some(REPLY_WITHIN)).unwrap();
        Self { address, process, socket, own_ways: &[] }
    }

    /// Whether it answers this in a way of its own, whoever the name server is.
    pub(super) fn has_own_way(&self, name: &str, record_type: &str) -> bool {
        let mut ways = self.own_ways.iter();
        ways.any(|(of, it)| of.is_none_or(|of| of == name) && *it == record_type)
    }

    pub(super) fn ask(&self, name: &str, record_type: &str) -> Reply {
        self.ask_for(name, record_type, None)
    }

    /// The same, again and again for a while if it could not find out: on a machine that has other work, a resolver
    /// takes a name server that was slow for one that is down. It says so; what it does not believe stands in what it
    /// [said](Self::said).
    pub(super) fn ask_until_found(&self, name: &str, record_type: &str) -> Reply {
        let begin = Instant::now();
        loop {
            let reply = self.ask(name, record_type);
            if reply.rcode != "SERVFAIL" || begin.elapsed() > PATIENCE {
                return reply;
            }
            say(&format!("{name} {record_type}: SERVFAIL, asked again"));
            std::thread::sleep(ASKED_AGAIN_AFTER);
        }
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
