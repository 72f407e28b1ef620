//! The real program: `walrus up` with Controller and name server, and `walrus reporter`.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::programs::{PATIENCE, Process, free_port, wait_for};

/// The program under test.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_walrus"))
}

/// What makes one of several different.
pub(crate) struct Node<'a> {
    pub(crate) name: &'a str,
    /// Where it answers; a free port of loopback otherwise.
    pub(crate) dns: Option<SocketAddr>,
    /// The node that decides about keys, if that is another.
    pub(crate) follows: Option<&'a Walrus>,
    /// More lines of its `[dns]`.
    pub(crate) dns_lines: &'a str,
    /// Its roles, as a list of TOML.
    pub(crate) roles: &'a str,
}

impl Default for Node<'_> {
    fn default() -> Self {
        let roles = "[\"controller\", \"director\"]";
        Self { name: "lab", dns: None, follows: None, dns_lines: "", roles }
    }
}

/// A running `walrus up`.
pub(crate) struct Walrus {
    process: Process,
    pub(crate) dns: SocketAddr,
    api: SocketAddr,
    group: SocketAddr,
    folder: PathBuf,
    /// The part of its configuration that says where it listens and keeps its state.
    places: String,
}

impl Walrus {
    /// Starts it with this configuration and listening addresses of its own, and waits until it
    /// has a Plan.
    pub(crate) fn start(folder: &Path, configuration: &str) -> Self {
        Self::start_node(&Node::default(), folder, configuration)
    }

    /// The same, as this node.
    pub(crate) fn start_node(node: &Node<'_>, folder: &Path, configuration: &str) -> Self {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let [dns, api, group] = [(); 3].map(|()| SocketAddr::new(here, free_port(&[here])));
        let (name, dns) = (node.name, node.dns.unwrap_or(dns));
        let join = node.follows.map(|signer| {
            let token = signer.folder.join("state/node-token");
            format!("join = \"{}\"\nnode_token_file = \"{}\"\n", signer.group, token.display())
        });
        let places = format!(
            "[node]\nname = \"{name}\"\nroles = {}\nstate = \"{}\"\n\
             [api]\nlisten = \"{api}\"\n[group]\nlisten = [\"{group}\"]\n{}\
             [dns]\nlisten = [\"{dns}\"]\n{}",
            node.roles,
            folder.join("state").display(),
            join.unwrap_or_default(),
            node.dns_lines
        );
        let path = folder.join("walrus.toml");
        std::fs::write(&path, format!("{configuration}\n{places}")).unwrap();
        let arguments = ["up", path.to_str().unwrap()];
        let mut process = Process::start(program(), &arguments, &folder.join("walrus.log"));
        wait_for("walrus up", || {
            process.assert_running();
            let stream = TcpStream::connect(api).ok()?;
            let (status, _) = get(stream, "/ready");
            (status == 200).then_some(())
        });
        Self { process, dns, api, group, folder: folder.to_owned(), places }
    }

    /// Sends it a signal, by `kill`'s name for it.
    pub(crate) fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    /// Starts it again where it was, once it has been killed.
    pub(crate) fn restart(&mut self) {
        self.process.kill();
        let path = self.folder.join("walrus.toml");
        let arguments = ["up", path.to_str().unwrap()];
        self.process = Process::start(program(), &arguments, &self.folder.join("walrus.log"));
        let (process, api) = (&mut self.process, self.api);
        wait_for("walrus up again", || {
            process.assert_running();
            let (status, _) = get(TcpStream::connect(api).ok()?, "/ready");
            (status == 200).then_some(())
        });
    }

    /// Reloads another configuration that is good.
    pub(crate) fn reload(&self, configuration: &str) {
        let text = format!("{configuration}\n{}", self.places);
        std::fs::write(self.folder.join("walrus.toml"), text).unwrap();
        let (code, said) = self.call(&["reload"]);
        assert_eq!(code, Some(0), "{said}");
    }

    /// Reloads with one more line in `[dns]`, the last table of its configuration; its exit code,
    /// and what it says.
    pub(crate) fn reload_with_dns(&self, line: &str) -> (Option<i32>, String) {
        let path = self.folder.join("walrus.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{text}{line}\n")).unwrap();
        self.call(&["reload"])
    }

    /// Lets it end as it wants to.
    pub(crate) fn stop(&mut self) {
        self.process.stop();
    }

    /// The configuration that it was started with, all of it.
    pub(crate) fn configuration(&self) -> String {
        std::fs::read_to_string(self.folder.join("walrus.toml")).unwrap()
    }

    /// Where its API is.
    pub(crate) fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// Starts `walrus reporter` for a server; `source` is the value of that setting, and what follows it.
    pub(crate) fn reporter(&self, server: &str, source: &str) -> Process {
        let text = format!(
            "[node]\nname = \"{server}\"\nroles = [\"reporter\"]\n[reporter]\n\
             server = \"{server}\"\ncontrollers = [\"{}\"]\nunit = \"1s\"\nsystem = false\n\
             token_file = \"{}\"\nsource = {source}\n",
            self.group,
            self.folder.join("state/reporter-token").display(),
        );
        let path = self.folder.join(format!("{server}.toml"));
        std::fs::write(&path, text).unwrap();
        let log = self.folder.join(format!("{server}.reporter.log"));
        Process::start(program(), &["reporter", path.to_str().unwrap()], &log)
    }

    /// Calls a command of the program against this one: its exit code, and all that it says.
    pub(crate) fn call(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let token = self.folder.join("state/token");
        let output = Command::new(program())
            .args(arguments)
            .args(["--api", &self.api_url(), "--token-file", token.to_str().unwrap()])
            .output()
            .unwrap();
        let [said, complained] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        (output.status.code(), format!("{said}{complained}"))
    }

    /// What `walrus status` shows.
    pub(crate) fn status(&self) -> Value {
        let (status, body) = get(TcpStream::connect(self.api).unwrap(), "/status");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The keys of its only zone.
    pub(crate) fn keys(&self) -> Vec<Value> {
        let (status, body) = get(TcpStream::connect(self.api).unwrap(), "/keys");
        assert_eq!(status, 200, "{body}");
        let value: Value = serde_json::from_str(&body).unwrap();
        value["zones"][0]["keys"].as_array().cloned().unwrap_or_default()
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let (status, body) = get(TcpStream::connect(self.api).unwrap(), "/metrics");
        assert_eq!(status, 200, "{body}");
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        body.lines().find_map(value).unwrap_or_else(|| panic!("no {name}:\n{body}"))
    }

    /// So much of its memory is in use, in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// All that it has said, for whoever reads a failure.
    pub(crate) fn said(&self) -> String {
        self.process.said()
    }
}

fn get(mut stream: TcpStream, path: &str) -> (u16, String) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}
