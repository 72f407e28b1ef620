//! Knot, BIND and NSD as private instances that serve the zones, each with what Walrus has by default
//! or is set to in the same way: UDP replies of at most 1232 bytes, short answers, cookies, a name.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use super::{Manner, query};
use crate::programs::{Process, free_port, wait_for};
use crate::questions::ask_tcp;

/// Another name server.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    _process: Process,
}

/// A zone's name and its file.
pub(crate) type Zones<'a> = &'a [(String, String)];

/// What each says of itself: as `version.bind` and as `id.server`, and by NSID.
pub(crate) const VERSION: &str = "lab version";
pub(crate) const ID: &str = "lab";

/// The name of a zone's file in a folder of its server.
fn file_name(zone: &str) -> &str {
    if zone == "." { "root" } else { zone }
}

/// Starts a program in a folder, to serve these zones.
pub(crate) type Start = fn(&Path, &Path, Zones<'_>) -> Peer;

impl Peer {
    pub(crate) fn knot(program: &Path, folder: &Path, zones: Zones<'_>) -> Self {
        let address = free();
        let (place, ip, port) = (folder.display(), address.ip(), address.port());
        let mut configuration = format!(
            "server:\n  rundir: \"{place}\"\n  listen: {ip}@{port}\n  udp-max-payload: 1232\n  \
             udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n  \
             nsid: \"{ID}\"\n  identity: \"{ID}\"\n  version: \"{VERSION}\"\n\
             database:\n  storage: \"{place}\"\n\
             control:\n  listen: \"{place}/control\"\n\
             log:\n  - target: stderr\n    any: warning\n\
             template:\n  - id: default\n    global-module: mod-cookies\n\
             zone:\n"
        );
        for (zone, _) in zones {
            configuration.push_str(&format!(
                "  - domain: \"{zone}\"\n    file: \"{place}/{}\"\n    zonefile-sync: -1\n",
                file_name(zone)
            ));
        }
        Self::start(("Knot", program), folder, zones, &configuration, &["-c"], address)
    }

    pub(crate) fn bind(program: &Path, folder: &Path, zones: Zones<'_>) -> Self {
        let address = free();
        let (place, ip, port) = (folder.display(), address.ip(), address.port());
        // Without the one it adds NS records that nobody asked for; without the other it says that
        // a name is missing for no time at all, to whoever asks for its SOA.
        let mut configuration = format!(
            "options {{ directory \"{place}\"; pid-file \"{place}/pid\"; lock-file none;\n\
             session-keyfile \"{place}/session\"; listen-on port {port} {{ {ip}; }};\n\
             listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; notify no;\n\
             minimal-responses yes; zero-no-soa-ttl no; edns-udp-size 1232; max-udp-size 1232;\n\
             allow-transfer {{ none; }}; server-id \"{ID}\"; version \"{VERSION}\"; }};\n\
             controls {{ }};\n"
        );
        for (zone, _) in zones {
            configuration.push_str(&format!(
                "zone \"{zone}\" {{ type primary; file \"{place}/{}\"; check-names ignore; \
                 check-integrity no; }};\n",
                file_name(zone)
            ));
        }
        let arguments = ["-g", "-n", "1", "-c"];
        Self::start(("BIND", program), folder, zones, &configuration, &arguments, address)
    }

    pub(crate) fn nsd(program: &Path, folder: &Path, zones: Zones<'_>) -> Self {
        let address = free();
        let (place, ip, port) = (folder.display(), address.ip(), address.port());
        // Whoever asks here is one address, which its rate limit would silence.
        let mut configuration = format!(
            "server:\n  ip-address: {ip}@{port}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  \
             zonesdir: \"{place}\"\n  database: \"\"\n  pidfile: \"{place}/pid\"\n  \
             zonelistfile: \"{place}/zonelist\"\n  xfrdfile: \"{place}/xfrd\"\n  xfrdir: \"{place}\"\n  \
             rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\n  ipv4-edns-size: 1232\n  \
             tcp-count: 100\n  minimal-responses: yes\n  answer-cookie: yes\n  \
             nsid: \"ascii_{ID}\"\n  identity: \"{ID}\"\n  version: \"{VERSION}\"\n\
             remote-control:\n  control-enable: no\n"
        );
        for (zone, _) in zones {
            configuration.push_str(&format!(
                "zone:\n  name: \"{zone}\"\n  zonefile: \"{}\"\n",
                file_name(zone)
            ));
        }
        Self::start(("NSD", program), folder, zones, &configuration, &["-d", "-c"], address)
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
            std::fs::write(folder.join(file_name(zone)), text).unwrap();
        }
        let file = folder.join("configuration");
        std::fs::write(&file, configuration).unwrap();
        let arguments = [arguments, &[file.to_str().unwrap()]].concat();
        let mut process = Process::start(program, &arguments, &folder.join("log"));
        for (zone, text) in zones {
            let soa = query(
                &format!("{}.", zone.trim_end_matches('.')),
                "SOA",
                Manner { tcp: true, edns: None },
            );
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
