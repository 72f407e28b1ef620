//! The real program: `walrus up` with Controller and name server, and `walrus reporter`.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::programs::{PATIENCE, Process, free_port, wait_for};

/// The program under test.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_walrus"))
}

/// A running `walrus up`.
pub(crate) struct Walrus {
    process: Process,
    pub(crate) dns: SocketAddr,
    api: SocketAddr,
    group: SocketAddr,
    folder: PathBuf,
}

impl Walrus {
    /// Starts it with this configuration and listening addresses of its own, and waits until it
    /// has a Plan.
    pub(crate) fn start(folder: &Path, configuration: &str) -> Self {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let [dns, api, group] = [(); 3].map(|()| SocketAddr::new(here, free_port(&[here])));
        let state = folder.join("state");
        let text = format!(
            "{configuration}\n[node]\nname = \"lab\"\nroles = [\"controller\", \"director\"]\n\
             state = \"{}\"\n[dns]\nlisten = [\"{dns}\"]\n[api]\nlisten = \"{api}\"\n[group]\n\
             listen = [\"{group}\"]\n",
            state.display()
        );
        let path = folder.join("walrus.toml");
        std::fs::write(&path, text).unwrap();
        let arguments = ["up", path.to_str().unwrap()];
        let mut process = Process::start(program(), &arguments, &folder.join("walrus.log"));
        wait_for("walrus up", || {
            process.assert_running();
            let stream = TcpStream::connect(api).ok()?;
            let (status, _) = get(stream, "/ready");
            (status == 200).then_some(())
        });
        Self { process, dns, api, group, folder: folder.to_owned() }
    }

    /// Where its API is.
    pub(crate) fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// Starts `walrus reporter` for a server; `source` is the value of that setting.
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

    /// What `walrus status` shows.
    pub(crate) fn status(&self) -> Value {
        let (status, body) = get(TcpStream::connect(self.api).unwrap(), "/status");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let (status, body) = get(TcpStream::connect(self.api).unwrap(), "/metrics");
        assert_eq!(status, 200, "{body}");
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        body.lines().find_map(value).unwrap_or_else(|| panic!("no {name}:\n{body}"))
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
