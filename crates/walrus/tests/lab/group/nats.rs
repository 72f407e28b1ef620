//! A nats-server of a test, on loopback.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use crate::programs::{PATIENCE, Process, free_port, wait_for};

/// A running nats-server.
pub(crate) struct Nats {
    process: Process,
    program: PathBuf,
    folder: PathBuf,
    pub(super) address: SocketAddr,
}

/// A port of loopback that nobody listens on.
pub(super) fn free() -> SocketAddr {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    SocketAddr::new(here, free_port(&[here]))
}

impl Nats {
    /// Starts one with more lines of configuration.
    pub(crate) fn start(program: &Path, folder: &Path, more: &str) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let address = free();
        std::fs::write(folder.join("nats.conf"), format!("listen: \"{address}\"\n{more}")).unwrap();
        let process = run(program, folder, address);
        Self { process, program: program.to_owned(), folder: folder.to_owned(), address }
    }

    /// Ends it as `kill -9` does.
    pub(super) fn kill(&mut self) {
        self.process.kill();
    }

    /// Runs it again as it was.
    pub(super) fn restart(&mut self) {
        self.process = run(&self.program, &self.folder, self.address);
    }

    /// All that it has said.
    pub(super) fn said(&self) -> String {
        self.process.said()
    }
}

fn run(program: &Path, folder: &Path, address: SocketAddr) -> Process {
    let path = folder.join("nats.conf");
    let mut process =
        Process::start(program, &["-c", path.to_str().unwrap()], &folder.join("nats.log"));
    wait_for("nats-server", || {
        process.assert_running();
        TcpStream::connect(address).ok()
    });
    process
}

/// Somebody who listens in and speaks, in NATS' own words.
pub(super) struct Stranger {
    stream: TcpStream,
}

impl Stranger {
    pub(super) fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"CONNECT {\"verbose\":false}\r\nPING\r\n").unwrap();
        let mut stranger = Self { stream };
        stranger.until("PONG");
        stranger
    }

    /// Publishes, and waits until the server has taken it in.
    pub(super) fn publish(&mut self, subject: &str, payload: &[u8]) {
        let head = format!("PUB {subject} {}\r\n", payload.len());
        let all = [head.as_bytes(), payload, b"\r\nPING\r\n"].concat();
        self.stream.write_all(&all).unwrap();
        self.until("PONG");
    }

    /// The subject and payload of the next message on such a subject.
    pub(super) fn overhear(&mut self, subject: &str) -> (String, Vec<u8>) {
        self.stream.write_all(format!("SUB {subject} 1\r\n").as_bytes()).unwrap();
        let line = loop {
            let line = self.line();
            if line.starts_with("MSG ") {
                break line;
            }
        };
        let words: Vec<&str> = line.split(' ').collect();
        let len: usize = words.last().unwrap().parse().unwrap();
        let mut payload = vec![0; len];
        self.stream.read_exact(&mut payload).unwrap();
        self.stream.write_all(b"UNSUB 1\r\n").unwrap();
        (words[1].to_owned(), payload)
    }

    fn until(&mut self, word: &str) {
        while self.line() != word {}
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") {
            self.stream.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }
}
