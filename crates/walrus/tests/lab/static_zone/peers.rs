//! Knot and BIND as private instances that serve the zone.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use super::{Manner, query};
use crate::programs::{Process, free_port, wait_for};
use crate::questions::ask_tcp;

/// Another name server.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    _process: Process,
}

/// A zone's name and its file.
pub(super) type Zones<'a> = &'a [(String, String)];

/// Starts a program in a folder, to serve these zones.
pub(super) type Start = fn(&Path, &Path, Zones<'_>) -> Peer;

impl Peer {
    pub(super) fn knot(program: &Path, folder: &Path, zones: Zones<'_>) -> Self {
        let address = free();
        let (place, ip, port) = (folder.display(), address.ip(), address.port());
        let mut configuration = format!(
            "server:\n  rundir: \"{place}\"\n  listen: {ip}@{port}\n  udp-max-payload: 1232\n  \
             udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
             database:\n  storage: \"{place}\"\n\
             control:\n  listen: \"{place}/control\"\n\
             log:\n  - target: stderr\n    any: warning\n\
             zone:\n"
        );
        for (zone, _) in zones {
            configuration.push_str(&format!(
                "  - domain: {zone}\n    file: \"{place}/{zone}\"\n    zonefile-sync: -1\n"
            ));
        }
        Self::start(("Knot", program), folder, zones, &configuration, &["-c"], address)
    }

    pub(super) fn bind(program: &Path, folder: &Path, zones: Zones<'_>) -> Self {
        let address = free();
        let (place, ip, port) = (folder.display(), address.ip(), address.port());
        // Without the one it adds NS records that nobody asked for; without the other it says that
        // a name is missing for no time at all, to whoever asks for its SOA.
        let mut configuration = format!(
            "options {{ directory \"{place}\"; pid-file \"{place}/pid\"; lock-file none;\n\
             session-keyfile \"{place}/session\"; listen-on port {port} {{ {ip}; }};\n\
             listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; notify no;\n\
             minimal-responses yes; zero-no-soa-ttl no; edns-udp-size 1232; max-udp-size 1232; }};\n\
             controls {{ }};\n"
        );
        for (zone, _) in zones {
            configuration.push_str(&format!(
                "zone \"{zone}\" {{ type primary; file \"{place}/{zone}\"; check-names ignore; \
                 check-integrity no; }};\n"
            ));
        }
        let arguments = ["-g", "-n", "1", "-c"];
        Self::start(("BIND", program), folder, zones, &configuration, &arguments, address)
    }

    fn start(
        (name, program): (&'static str, &Path),
        folder: &Path,
        zones: Zones<'_>,
        configuration: &str,
        arguments: &[&str],
        address: SocketAddr,
    ) -> Self {
        for (zone, text) in zones {
            std::fs::write(folder.join(zone), text).unwrap();
        }
        let file = folder.join("configuration");
        std::fs::write(&file, configuration).unwrap();
        let arguments = [arguments, &[file.to_str().unwrap()]].concat();
        let mut process = Process::start(program, &arguments, &folder.join("log"));
        for (zone, text) in zones {
            let soa = query(&format!("{zone}."), "SOA", Manner { tcp: true, edns: None });
            wait_for(&format!("{name} with {zone}:\n{text}"), || {
                process.assert_running();
                // An answer with a record: the zone is loaded.
                ask_tcp(address, &soa).filter(|reply| reply[6..8] == [0, 1])
            });
        }
        Self { name, address, _process: process }
    }
}

fn free() -> SocketAddr {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    SocketAddr::new(here, free_port(&[here]))
}
