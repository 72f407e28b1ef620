//! BIND, Knot DNS and PowerDNS, each from what `walrus setup` wrote for it.

use std::path::PathBuf;
use std::process::Command;

use super::scene::{Scene, dig, write};
use crate::programs::{Process, find, wait_for};

/// One that `walrus setup` has words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bind,
    Knot,
    PowerDns,
}

impl Kind {
    /// As `walrus setup` calls it.
    const fn word(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Knot => "knot",
            Self::PowerDns => "powerdns",
        }
    }

    /// Its program, if that and what it needs is installed.
    pub(super) fn installed(self, what: &str) -> Option<Installed> {
        let found = match self {
            Self::Bind => find(what, ["named", "dig", "nsupdate"]).map(|[program, ..]| program),
            Self::Knot => find(what, ["knotd", "dig", "nsupdate"]).map(|[program, ..]| program),
            Self::PowerDns => {
                let programs = ["pdns_server", "pdnsutil", "sqlite3", "dig", "nsupdate"];
                find(what, programs).map(|[program, ..]| program)
            }
        };
        found.map(|program| Installed { kind: self, program })
    }
}

/// One that can be started.
pub(super) struct Installed {
    kind: Kind,
    program: PathBuf,
}

impl Installed {
    /// Writes its files anew, as after `walrus setup`, with `edit` made to the one that is its own, and
    /// starts it.
    pub(super) fn start_edited(&self, scene: &Scene, edit: impl Fn(String) -> String) -> Process {
        let own = match self.kind {
            Kind::Bind => "named.conf.walrus",
            Kind::Knot => "knot.conf.walrus",
            Kind::PowerDns => "pdns.conf.walrus",
        };
        self.start_with(scene, |name, text| if name == own { edit(text) } else { text })
    }

    /// The same with `edit` made to each file, by its name.
    pub(super) fn start_with(
        &self,
        scene: &Scene,
        edit: impl Fn(&str, String) -> String,
    ) -> Process {
        let _ = std::fs::remove_dir_all(scene.path("set-up"));
        let folder = scene.set_up(self.kind.word());
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            write(&path, &edit(&name, std::fs::read_to_string(&path).unwrap()));
        }
        self.run(scene)
    }

    /// The same as it was set up.
    pub(super) fn start(&self, scene: &Scene) -> Process {
        self.start_edited(scene, |text| text)
    }

    fn run(&self, scene: &Scene) -> Process {
        let (folder, port) = (scene.folder.path().display(), scene.address.port());
        let (file, text) = match self.kind {
            Kind::Bind => (
                "named.conf",
                format!(
                    "options {{\n directory \"{folder}/set-up\";\n \
                     pid-file \"{folder}/named.pid\";\n session-keyfile \"{folder}/session.key\";\n \
                     lock-file none;\n listen-on port {port} {{ 127.0.0.1; }};\n \
                     listen-on-v6 {{ none; }};\n recursion no;\n dnssec-validation no;\n}};\n\
                     controls {{ }};\ninclude \"{folder}/set-up/named.conf.walrus\";\n"
                ),
            ),
            Kind::Knot => (
                "knot.conf",
                format!(
                    "server:\n  rundir: \"{folder}/set-up\"\n  listen: 127.0.0.1@{port}\n  \
                     udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
                     database:\n  storage: \"{folder}/set-up\"\n\
                     control:\n  listen: \"{folder}/set-up/control\"\n\
                     log:\n  - target: stderr\n    any: info\n\
                     include: \"{folder}/set-up/knot.conf.walrus\"\n"
                ),
            ),
            Kind::PowerDns => (
                "set-up/pdns.conf",
                format!(
                    "launch=gsqlite3\ngsqlite3-database={folder}/set-up/pdns.sqlite3\n\
                     local-address=127.0.0.1\nlocal-port={port}\nsocket-dir={folder}/set-up\n\
                     security-poll-suffix=\ndaemon=no\nguardian=no\n{}",
                    std::fs::read_to_string(scene.path("set-up/pdns.conf.walrus")).unwrap()
                ),
            ),
        };
        write(&scene.path(file), &text);
        if self.kind == Kind::PowerDns {
            fill_database(scene);
        }
        let config_file = scene.path(file).display().to_string();
        let config_directory = format!("--config-dir={folder}/set-up");
        let arguments: Vec<&str> = match self.kind {
            Kind::Bind => vec!["-g", "-n", "1", "-c", &config_file],
            Kind::Knot => vec!["-c", &config_file],
            Kind::PowerDns => vec![&config_directory],
        };
        let mut process = Process::start(&self.program, &arguments, &scene.path("name-server.log"));
        wait_for("a name server", || {
            process.assert_running();
            (!dig(scene.address, "walrus.example", "SOA").is_empty()).then_some(())
        });
        process
    }
}

/// The tables that PowerDNS wants, and then what `walrus setup` wrote for `pdnsutil`.
fn fill_database(scene: &Scene) {
    const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";
    let place = scene.path("set-up");
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(&place).output().unwrap();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run("sqlite3", &["pdns.sqlite3", &format!(".read {SCHEMA}")]);
    run("sh", &["powerdns.sh", &format!("--config-dir={}", place.display())]);
}
