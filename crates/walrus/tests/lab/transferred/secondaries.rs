//! Knot, NSD and BIND as secondaries of one zone.

use std::net::SocketAddr;
use std::path::Path;

use crate::programs::{Process, wait_for};
use crate::questions::ask_udp;

/// The secret of the key `transfer`.
pub(super) const SECRET: &str = "d2FscnVzIGxhYiBzZWNyZXQgb2YgdHJhbnNmZXJzISE=";
/// The zone's name.
pub(super) const ZONE: &str = "walrus.example";

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Knot,
    Nsd,
    Bind,
}

impl Kind {
    pub(super) const ALL: [(Self, &'static str); 3] =
        [(Self::Knot, "knotd"), (Self::Nsd, "nsd"), (Self::Bind, "named")];
}

/// A running one.
pub(super) struct SecondaryServer {
    pub(super) process: Process,
}

impl SecondaryServer {
    /// At this address, of a primary that has the zone, with this secret.
    pub(super) fn start(
        (kind, program): (Kind, &Path),
        folder: &Path,
        address: SocketAddr,
        primary: SocketAddr,
        secret: &str,
    ) -> Self {
        let file = folder.join("configuration");
        std::fs::write(&file, configuration(kind, folder, (address, primary), secret)).unwrap();
        let file = file.display().to_string();
        let arguments: &[&str] = match kind {
            Kind::Knot => &["-c", &file],
            Kind::Nsd => &["-d", "-c", &file],
            Kind::Bind => &["-g", "-n", "1", "-c", &file],
        };
        let mut process = Process::start(program, arguments, &folder.join("log"));
        wait_for(&format!("{kind:?}"), || {
            process.assert_running();
            ask_udp(address, &super::query(ZONE, 6))
        });
        Self { process }
    }
}

fn configuration(
    kind: Kind,
    folder: &Path,
    (address, primary): (SocketAddr, SocketAddr),
    secret: &str,
) -> String {
    let (place, ip, port) = (folder.display(), address.ip(), address.port());
    let (from_ip, from_port) = (primary.ip(), primary.port());
    match kind {
        Kind::Knot => format!(
            "server:\n  rundir: \"{place}\"\n  listen: {ip}@{port}\n  udp-workers: 1\n  \
             tcp-workers: 1\n  background-workers: 1\n\
             database:\n  storage: \"{place}\"\n\
             log:\n  - target: stderr\n    any: info\n\
             control:\n  listen: \"{place}/control\"\n\
             key:\n  - id: transfer\n    algorithm: hmac-sha256\n    secret: {secret}\n\
             remote:\n  - id: walrus\n    address: {from_ip}@{from_port}\n    key: transfer\n\
             acl:\n  - id: walrus\n    address: 127.0.0.1\n    key: transfer\n    action: notify\n\
             zone:\n  - domain: {ZONE}\n    file: \"{place}/zone\"\n    master: walrus\n    \
             acl: walrus\n"
        ),
        Kind::Nsd => format!(
            "server:\n  ip-address: {ip}@{port}\n  username: \"\"\n  chroot: \"\"\n  \
             zonesdir: \"{place}\"\n  database: \"\"\n  pidfile: \"{place}/pid\"\n  \
             xfrdfile: \"{place}/xfrd\"\n  zonelistfile: \"{place}/list\"\n  xfrdir: \"{place}\"\n  \
             server-count: 1\n  verbosity: 2\n  xfrd-reload-timeout: 0\n\
             remote-control:\n  control-enable: no\n\
             key:\n  name: transfer\n  algorithm: hmac-sha256\n  secret: {secret}\n\
             zone:\n  name: {ZONE}\n  zonefile: zone\n  allow-notify: 127.0.0.1 transfer\n  \
             request-xfr: {from_ip}@{from_port} transfer\n"
        ),
        Kind::Bind => format!(
            "key transfer {{ algorithm hmac-sha256; secret \"{secret}\"; }};\n\
             options {{ directory \"{place}\"; pid-file \"{place}/pid\"; lock-file none;\n\
             session-keyfile \"{place}/session\"; listen-on port {port} {{ {ip}; }};\n\
             listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; notify no; }};\n\
             controls {{ }};\n\
             zone \"{ZONE}\" {{ type secondary; file \"{place}/zone\"; allow-notify {{ key transfer; }};\n\
             primaries {{ {from_ip} port {from_port} key transfer; }}; }};\n"
        ),
    }
}
