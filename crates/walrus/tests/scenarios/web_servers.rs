//! What the program reaches out to: web servers that it probes, and a webhook that it tells.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use walrus_core::world::{ProbeKind, Topology};
use walrus_sim::ServerState;

use crate::real_system::wait_for;

/// One listener a probed server; a killed one does not listen, a slow one does not answer.
pub(crate) struct WebServers {
    servers: Vec<Option<WebServer>>,
}

struct WebServer {
    address: SocketAddr,
    running: Option<Running>,
}

struct Running {
    end: Arc<AtomicBool>,
    silent: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    address: SocketAddr,
}

impl WebServers {
    pub(crate) fn start(topology: &Topology) -> Self {
        let mut all = Self { servers: Vec::new() };
        all.retarget(topology);
        all
    }

    /// Goes over to another topology; whoever stays at its address keeps its state.
    pub(crate) fn retarget(&mut self, topology: &Topology) {
        let mut old: Vec<WebServer> = self.servers.drain(..).flatten().collect();
        let mut server = |server: &walrus_core::world::Server| {
            let port = match &server.probe.as_ref()?.kind {
                ProbeKind::Tcp { port } => *port,
                ProbeKind::Http { url, .. } => port_of(url),
            };
            let ip: IpAddr = server.addresses[0];
            assert!(ip.is_loopback(), "a scenario probes {ip}: only loopback is probed in tests");
            let address = SocketAddr::new(ip, port);
            match old.iter().position(|known| known.address == address) {
                Some(index) => Some(old.swap_remove(index)),
                None => Some(WebServer { address, running: Some(Running::start(address)) }),
            }
        };
        self.servers = topology.servers.iter().map(&mut server).collect();
    }

    pub(crate) fn set(&mut self, index: usize, state: &ServerState) {
        let Some(server) = self.servers.get_mut(index).and_then(Option::as_mut) else { return };
        if *state == ServerState::Killed {
            server.running = None;
            return;
        }
        let running = server.running.get_or_insert_with(|| Running::start(server.address));
        let silent = matches!(state, ServerState::Cut | ServerState::Slow);
        running.silent.store(silent, Ordering::Relaxed);
    }
}

fn port_of(url: &str) -> u16 {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(80)
}

impl Running {
    fn start(address: SocketAddr) -> Self {
        // The port is the scenario's: another run of it beside this one has to end first.
        let listener = wait_for(|| TcpListener::bind(address).ok());
        let (end, silent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (ending, silenced) = (end.clone(), silent.clone());
        let thread = std::thread::spawn(move || {
            let mut unanswered = Vec::new();
            for stream in listener.incoming() {
                if ending.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                if silenced.load(Ordering::Relaxed) {
                    unanswered.push(stream);
                } else {
                    answer(stream, "200 OK");
                }
            }
        });
        Self { end, silent, thread: Some(thread), address }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees that it shall end.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads a request with its body and answers; gives the body.
fn answer(stream: TcpStream, status: &str) -> String {
    let mut reader = BufReader::new(&stream);
    let mut len = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return String::new();
        }
        if line.trim().is_empty() {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            len = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; len];
    let _ = reader.read_exact(&mut body);
    let _ =
        write!(&stream, "HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    String::from_utf8_lossy(&body).into_owned()
}

/// A webhook that remembers what it was told.
pub(crate) struct NoticeBoard {
    address: SocketAddr,
    told: Arc<Mutex<Vec<(String, String, bool)>>>,
}

impl NoticeBoard {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let board = told.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let document: Value =
                    serde_json::from_str(&answer(stream, "204 No Content")).unwrap_or_default();
                let notice = &document["notice"];
                let text = |name: &str| notice[name].as_str().unwrap_or_default().to_owned();
                let over = notice["recovered"].as_bool().unwrap_or_default();
                board.lock().unwrap().push((text("kind"), text("subject"), over));
            }
        });
        Self { address, told }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn told(&self) -> Vec<(String, String, bool)> {
        self.told.lock().unwrap().clone()
    }
}
