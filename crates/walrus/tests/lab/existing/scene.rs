//! A configuration with one area that an existing name server serves, and what is asked of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::programs::{free_port, wait_or_tell};
use crate::walrus::{Node, Walrus, program};

/// The name that clients ask for.
pub(super) const SERVICE: &str = "www.walrus.example";
/// Where its addresses are.
pub(super) const TARGET: &str = "www.europe.example";
/// What `walrus setup` and `walrus up` have in common.
const TOPOLOGY: &str = r#"
zone = "walrus.example"
nameservers = ["ns.europe.example"]
[[cluster]]
name = "frankfurt"
servers = [
  { name = "fra1", addresses = ["192.0.2.1", "2001:db8::1"] },
  { name = "fra2", addresses = ["192.0.2.2"] },
]
[[cluster]]
name = "virginia"
servers = [{ name = "iad1", addresses = ["198.51.100.1"] }]
[[area]]
name = "europe"
home = "frankfurt"
[[service]]
name = "www.walrus.example"
ttl = "20s"
"#;

/// A name server with its folder and Walrus' settings for it.
pub(super) struct Scene {
    pub(super) folder: tempfile::TempDir,
    pub(super) address: SocketAddr,
    /// How Walrus reaches it, if not there.
    pub(super) by: Option<SocketAddr>,
    /// More services of the same kind: their labels below the zones.
    pub(super) more: Vec<String>,
    /// More lines of `[[name_server]]`.
    lines: String,
}

impl Scene {
    pub(super) fn new(lines: &str) -> Self {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            folder: tempfile::tempdir().unwrap(),
            address: SocketAddr::new(ip, free_port(&[ip])),
            by: None,
            more: Vec::new(),
            lines: lines.to_owned(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration, with these lines more of `[[name_server]]`.
    pub(super) fn configuration(&self, lines: &str) -> String {
        let service = |label: &String| {
            format!("[[service]]\nname = \"{label}.walrus.example\"\nttl = \"20s\"\n")
        };
        let more: String = self.more.iter().map(service).collect();
        format!(
            "{TOPOLOGY}\n{more}\n[[name_server]]\narea = \"europe\"\naddress = \"{}\"\n\
             zone = \"europe.example\"\ncheck_every = \"1s\"\n{}\n{lines}\n\
             key = {{ name = \"walrus-europe\", secret_file = \"{}\" }}\n",
            self.by.unwrap_or(self.address),
            self.lines,
            self.path("europe.key").display()
        )
    }

    /// What `walrus setup` writes for this kind of name server, in a folder of its own.
    pub(super) fn set_up(&self, kind: &str) -> PathBuf {
        let (file, into) = (self.path("setup.toml"), self.path("set-up"));
        let text =
            format!("{}[node]\nroles = [\"controller\", \"updater\"]\n", self.configuration(""));
        std::fs::write(&file, text).unwrap();
        let [file, place] = [&file, &into].map(|path| path.to_str().unwrap().to_owned());
        let output = Command::new(program())
            .args(["setup", kind, &file, "--area", "europe", "--into", &place])
            .args(["--zone-directory", &place])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        into
    }

    /// Controller and updater, from now on.
    pub(super) fn start_walrus(&self) -> Walrus {
        self.start_node("lab", "")
    }

    /// The same under another name, with its own state, and these lines more of `[[name_server]]`.
    pub(super) fn start_node(&self, name: &str, lines: &str) -> Walrus {
        let roles = "[\"controller\", \"updater\"]";
        let folder = self.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        Walrus::start_node(
            &Node { name, roles, ..Node::default() },
            &folder,
            &self.configuration(lines),
        )
    }

    /// What dig says in short: one record a line, sorted.
    pub(super) fn dig(&self, name: &str, record_type: &str) -> Vec<String> {
        dig(self.address, name, record_type)
    }

    /// Waits until the name server has exactly these addresses.
    pub(super) fn wait_for_addresses(&self, walrus: &Walrus, addresses: &[&str]) {
        let look = || (self.dig(TARGET, "A") == addresses).then_some(());
        wait_or_tell(&format!("{TARGET} with {addresses:?}"), look, || {
            let log = std::fs::read_to_string(self.path("name-server.log")).unwrap_or_default();
            let (held, status) = (self.dig(TARGET, "A"), status_of(walrus));
            format!("not {held:?}:\n{status}\n{}\n{log}", walrus.said())
        });
    }

    /// Somebody else who has the key changes the zone.
    pub(super) fn nsupdate(&self, changes: &[&str]) {
        let secret = std::fs::read_to_string(self.path("europe.key")).unwrap();
        let key = format!("hmac-sha256:walrus-europe:{}", secret.trim());
        let text = format!(
            "server {} {}\nzone europe.example\n{}\nsend\n",
            self.address.ip(),
            self.address.port(),
            changes.join("\n")
        );
        let file = self.path("changes");
        write(&file, &text);
        let output =
            Command::new("nsupdate").args(["-y", &key, file.to_str().unwrap()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What dig says in short: one record a line, sorted.
pub(super) fn dig(server: SocketAddr, name: &str, record_type: &str) -> Vec<String> {
    let (at, port) = (format!("@{}", server.ip()), server.port().to_string());
    let output = Command::new("dig")
        .args([&at, "-p", &port, "+short", "+tries=1", "+time=5", name, record_type])
        .output()
        .unwrap();
    // What begins with a semicolon is no record: dig says there that nobody answers.
    let said = String::from_utf8_lossy(&output.stdout);
    let records = said.lines().filter(|line| !line.starts_with(';'));
    let mut lines: Vec<String> = records.map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The name server's part of `walrus status`.
pub(super) fn status_of(walrus: &Walrus) -> Value {
    walrus.status()["name_servers"][0].clone()
}

/// Waits until `walrus status` shows the name in this state.
pub(super) fn wait_for_state(walrus: &Walrus, state: &str) -> Value {
    wait_for_status(walrus, state, |status| status["names"][0]["state"] == state)
}

/// Waits until `walrus status` tells a problem with these words.
pub(super) fn wait_for_problem(walrus: &Walrus, words: &str) {
    let tells =
        |status: &Value| status["problem"].as_str().is_some_and(|problem| problem.contains(words));
    wait_for_status(walrus, words, tells);
}

fn wait_for_status(walrus: &Walrus, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let look = || Some(status_of(walrus)).filter(|status| is_so(status));
    wait_or_tell(what, look, || format!("{}\n{}", status_of(walrus), walrus.said()))
}

/// Writes a file.
pub(super) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
