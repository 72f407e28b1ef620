//! Nodes of a group: the real program with one role each, and Reporters.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::nats::free;
use crate::programs::{PATIENCE, Process};
use crate::walrus::program;

/// What all nodes have alike.
pub(super) const SHARED: &str = "zone = \"walrus.example\"\n\
    nameservers = [\"ns1.walrus.example\", \"ns2.walrus.example\"]\n\
    [[cluster]]\nname = \"near\"\nservers = [\n\
      { name = \"near1\", addresses = [\"192.0.2.1\"], reporter = true },\n\
      { name = \"near2\", addresses = [\"192.0.2.2\"] }]\n\
    [[cluster]]\nname = \"far\"\nservers = [{ name = \"far1\", addresses = [\"192.0.2.9\"] }]\n\
    [[area]]\nname = \"here\"\nhome = \"near\"\nclients = [\"203.0.113.0/24\"]\n\
    [[service]]\nname = \"www.walrus.example\"\nanswers = \"all\"\nttl = \"5s\"\n";

/// A running node.
pub(crate) struct Node {
    process: Process,
    name: String,
    folder: PathBuf,
    api: SocketAddr,
    /// Where it answers, if it does.
    pub(super) dns: SocketAddr,
}

impl Node {
    /// Starts a node with one role and these lines of `[group.nats]`.
    pub(super) fn start(folder: &Path, name: &str, role: &str, nats: &str) -> Self {
        Self::start_with(folder, name, (role, ""), (SHARED, nats))
    }

    /// The same with more lines of `[node]`, and with what else all nodes have alike.
    pub(super) fn start_with(
        folder: &Path,
        name: &str,
        (role, lines): (&str, &str),
        (shared, nats): (&str, &str),
    ) -> Self {
        Self::start_as(folder, name, (&format!("[\"{role}\"]"), lines), (shared, nats))
    }

    /// The same with several roles, as a list of TOML.
    pub(crate) fn start_as(
        folder: &Path,
        name: &str,
        (roles, lines): (&str, &str),
        (shared, nats): (&str, &str),
    ) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let [api, dns] = [(); 2].map(|()| free());
        let text = format!(
            "{shared}[node]\n{lines}name = \"{name}\"\nroles = {roles}\nstate = \"{}\"\n\
             [api]\nlisten = \"{api}\"\n[dns]\nlisten = [\"{dns}\"]\nobserve_every = \"1s\"\n\
             [group.nats]\n{nats}\n",
            folder.join("state").display(),
        );
        std::fs::write(folder.join("walrus.toml"), text).unwrap();
        let process = run(&folder, "up");
        Self { process, name: name.to_owned(), folder, api, dns }
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Stands still from now on, with all its sockets open.
    pub(super) fn freeze(&self) {
        self.process.freeze();
    }

    /// Goes on where it stood still.
    pub(super) fn thaw(&self) {
        self.process.thaw();
    }

    /// Runs it again as it was.
    pub(crate) fn restart(&mut self) {
        self.process = run(&self.folder, "up");
    }

    pub(super) fn said(&self) -> String {
        self.process.said()
    }

    /// What `walrus status --json` shows; nothing while it does not answer.
    pub(crate) fn status(&self) -> Value {
        self.get("/status").and_then(|body| serde_json::from_str(&body).ok()).unwrap_or_default()
    }

    /// Problems that its metrics tell of.
    pub(super) fn problems(&self) -> Option<u64> {
        let text = self.get("/metrics")?;
        text.lines().find_map(|line| line.strip_prefix("walrus_problems ")?.parse().ok())
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.api).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        Some(answer.split_once("\r\n\r\n")?.1.to_owned())
    }

    /// Calls a command against it: its exit code, and all that it says.
    pub(crate) fn call(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let token = self.folder.join("state/token");
        let api = format!("http://{}", self.api);
        let output = Command::new(program())
            .args(arguments)
            .args(["--api", &api, "--token-file", token.to_str().unwrap()])
            .output()
            .unwrap();
        let [said, complained] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        (output.status.code(), format!("{said}{complained}"))
    }
}

/// Starts the Reporter of a server, each second; the machine of a test is as busy as it likes.
pub(super) fn reporter(folder: &Path, server: &str, nats: &str) -> Process {
    let folder = folder.join(server);
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!(
        "[node]\nname = \"{server}\"\nroles = [\"reporter\"]\nstate = \"{}\"\n\
         [reporter]\nserver = \"{server}\"\nunit = \"1s\"\nsystem = false\n[group.nats]\n{nats}\n",
        folder.join("state").display()
    );
    std::fs::write(folder.join("walrus.toml"), text).unwrap();
    run(&folder, "reporter")
}

fn run(folder: &Path, command: &str) -> Process {
    let path = folder.join("walrus.toml");
    Process::start(program(), &[command, path.to_str().unwrap()], &folder.join("walrus.log"))
}
