//! Knot, NSD and BIND as primaries of a zone, with TSIG, IXFR and NOTIFY.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::programs::{Process, free_port, wait_for};
use crate::questions::ask_tcp;

/// The secret of the key `transfer`.
pub(super) const SECRET: &str = "d2FscnVzIGxhYiBzZWNyZXQgb2YgdHJhbnNmZXJzISE=";

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Knot,
    Nsd,
    Bind,
}

impl Kind {
    pub(super) const ALL: [(Self, &'static str); 3] =
        [(Self::Nsd, "nsd"), (Self::Bind, "named"), (Self::Knot, "knotd")];
}

/// A running one.
pub(super) struct PrimaryServer {
    pub(super) address: SocketAddr,
    kind: Kind,
    folder: PathBuf,
    program: PathBuf,
    pub(super) process: Process,
}

/// The zone's name.
pub(super) const ZONE: &str = "walrus.example";

impl PrimaryServer {
    /// With this zone, and a NOTIFY for whoever answers at `secondary`.
    pub(super) fn start(
        (kind, program): (Kind, &Path),
        folder: &Path,
        zone: &str,
        secondary: SocketAddr,
    ) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("zone"), zone).unwrap();
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let address = SocketAddr::new(ip, free_port(&[ip]));
        let text = configuration(kind, folder, address, secondary);
        std::fs::write(folder.join("configuration"), text).unwrap();
        let process = run(kind, program, folder);
        let (folder, program) = (folder.to_owned(), program.to_owned());
        let mut server = Self { address, kind, folder, program, process };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let soa = super::query(ZONE, 6);
        wait_for(&format!("{:?}", self.kind), || {
            self.process.assert_running();
            ask_tcp(self.address, &soa).filter(|reply| reply[6..8] == [0, 1])
        });
    }

    /// Another content from now on.
    pub(super) fn change(&self, zone: &str) {
        // Some compare the files' times in seconds.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let [writing, file] = ["writing", "zone"].map(|name| self.folder.join(name));
        std::fs::write(&writing, zone).unwrap();
        std::fs::rename(writing, file).unwrap();
        self.process.signal("-HUP");
    }

    /// Starts it again after it was killed.
    pub(super) fn restart(&mut self) {
        self.process = run(self.kind, &self.program, &self.folder);
        self.wait();
    }
}

fn run(kind: Kind, program: &Path, folder: &Path) -> Process {
    let file = folder.join("configuration").display().to_string();
    let arguments: &[&str] = match kind {
        Kind::Knot => &["-c", &file],
        Kind::Nsd => &["-d", "-c", &file],
        Kind::Bind => &["-g", "-n", "1", "-c", &file],
    };
    Process::start(program, arguments, &folder.join("log"))
}

fn configuration(kind: Kind, folder: &Path, address: SocketAddr, secondary: SocketAddr) -> String {
    let (place, ip, port) = (folder.display(), address.ip(), address.port());
    let (to_ip, to_port) = (secondary.ip(), secondary.port());
    match kind {
        Kind::Knot => format!(
            "server:\n  rundir: \"{place}\"\n  listen: {ip}@{port}\n  udp-workers: 1\n  \
             tcp-workers: 1\n  background-workers: 1\n\
             database:\n  storage: \"{place}\"\n\
             log:\n  - target: stderr\n    any: info\n\
             control:\n  listen: \"{place}/control\"\n\
             key:\n  - id: transfer\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
             remote:\n  - id: walrus\n    address: {to_ip}@{to_port}\n    key: transfer\n\
             acl:\n  - id: walrus\n    address: 127.0.0.1\n    key: transfer\n    action: transfer\n\
             zone:\n  - domain: {ZONE}\n    file: \"{place}/zone\"\n    zonefile-sync: -1\n    \
             zonefile-load: difference\n    journal-content: changes\n    notify: walrus\n    \
             acl: walrus\n"
        ),
        Kind::Nsd => format!(
            "server:\n  ip-address: {ip}@{port}\n  username: \"\"\n  chroot: \"\"\n  \
             zonesdir: \"{place}\"\n  database: \"\"\n  pidfile: \"{place}/pid\"\n  \
             xfrdfile: \"{place}/xfrd\"\n  zonelistfile: \"{place}/list\"\n  xfrdir: \"{place}\"\n  \
             server-count: 1\n  verbosity: 1\n\
             remote-control:\n  control-enable: no\n\
             key:\n  name: transfer\n  algorithm: hmac-sha256\n  secret: {SECRET}\n\
             zone:\n  name: {ZONE}\n  zonefile: zone\n  notify: {to_ip}@{to_port} transfer\n  \
             provide-xfr: 127.0.0.1 transfer\n  create-ixfr: yes\n  store-ixfr: yes\n"
        ),
        Kind::Bind => format!(
            "key transfer {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n\
             options {{ directory \"{place}\"; pid-file \"{place}/pid\"; lock-file none;\n\
             session-keyfile \"{place}/session\"; listen-on port {port} {{ {ip}; }};\n\
             listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; notify explicit;\n\
             allow-transfer {{ key transfer; }}; notify-delay 0;\n\
             also-notify {{ {to_ip} port {to_port} key transfer; }}; }};\n\
             controls {{ }};\n\
             zone \"{ZONE}\" {{ type primary; file \"{place}/zone\"; ixfr-from-differences yes; }};\n"
        ),
    }
}
