//! Three real nodes that probe one web server, which turns some of them away.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use domain::base::iana::Rcode;
use serde_json::Value;

use super::nats::Nats;
use super::node::Node;
use super::{BEGINS_WITHIN, CLIENT, SERVICE, at};
use crate::programs::{find, free_port, wait_within};
use crate::questions::Resolver;
use crate::together;

/// Where the web server is that all of them probe.
const PROBED: &str = "127.0.77.1";
/// Another one, that nobody probes.
const OTHER: &str = "127.0.77.2";

/// A web server that answers some processes with 503, by whose socket it is at the other end: on one machine
/// that is how one node can be the only one that does not reach it.
struct Origin {
    address: SocketAddr,
    refused: Arc<Mutex<BTreeSet<u32>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Origin {
    fn start() -> Self {
        let ip: IpAddr = PROBED.parse().unwrap();
        let address = SocketAddr::new(ip, free_port(&[ip]));
        let listener = TcpListener::bind(address).unwrap();
        let refused = Arc::new(Mutex::new(BTreeSet::new()));
        let over = Arc::new(AtomicBool::new(false));
        let (turned_away, ends) = (refused.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(stream) = stream {
                    let refused = turned_away.lock().unwrap().clone();
                    // A prober that went away is no matter.
                    let _ = serve(stream, &refused);
                }
            }
        });
        Self { address, refused, over, thread: Some(thread) }
    }

    /// These nodes get 503 from now on, and nobody else.
    fn refuse(&self, nodes: &[&Node]) {
        *self.refused.lock().unwrap() = nodes.iter().map(|node| node.id()).collect();
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, refused: &BTreeSet<u32>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let inode = inode_of(stream.peer_addr()?);
    let is_refused = inode.is_some_and(|inode| refused.iter().any(|id| has_open(*id, &inode)));
    let mut request = [0; 1024];
    let _ = stream.read(&mut request)?;
    let status = if is_refused { "503 Not for you" } else { "200 OK" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// The socket at this address, as the system numbers it.
fn inode_of(address: SocketAddr) -> Option<String> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    let local = format!("{:08X}:{:04X}", u32::from_le_bytes(ip.octets()), address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (*words.get(1)? == local).then(|| words.get(9).map(|inode| (*inode).to_owned()))?
    })
}

fn has_open(process: u32, inode: &str) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    let wanted = format!("socket:[{inode}]");
    let mut links = files.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    links.any(|link| link.as_os_str() == wanted.as_str())
}

fn shared(origin: SocketAddr) -> String {
    let port = origin.port();
    format!(
        "zone = \"walrus.example\"\n\
         nameservers = [\"ns1.walrus.example\", \"ns2.walrus.example\"]\n\
         [[cluster]]\nname = \"near\"\nservers = [\n\
           {{ name = \"near1\", addresses = [\"{PROBED}\"], probe = {{ http = \"http://{{address}}:{port}/\", \
              every = \"1s\", timeout = \"900ms\", rise = 1, fall = 2 }} }},\n\
           {{ name = \"near2\", addresses = [\"{OTHER}\"] }}]\n\
         [[area]]\nname = \"here\"\nhome = \"near\"\nclients = [\"203.0.113.0/24\"]\n\
         [[service]]\nname = \"www.walrus.example\"\nanswers = \"all\"\nttl = \"5s\"\n"
    )
}

fn near1(node: &Node) -> Value {
    let status = node.status();
    let servers = status["servers"].as_array().cloned().unwrap_or_default();
    servers.into_iter().find(|server| server["name"] == "near1").unwrap_or_default()
}

fn names(list: &Value) -> Vec<String> {
    let name = |it: &Value| it["name"].as_str().or_else(|| it.as_str()).map(str::to_owned);
    list.as_array().into_iter().flatten().filter_map(name).collect()
}

fn wait_for_answer(node: &Node, addresses: &[&str]) {
    let wanted = addresses.iter().map(|address| address.parse().unwrap()).collect();
    wait_within(BEGINS_WITHIN, "the answer", || {
        let answer = Resolver::of(node.dns).ask(SERVICE, CLIENT);
        (answer.rcode == Rcode::NOERROR && answer.addresses == wanted).then_some(())
    });
}

#[test]
fn a_server_that_one_node_cannot_reach_stays_in_until_a_second_loses_it() {
    let _together = together();
    let Some([program]) = find("vantage points", ["nats-server"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let nats = Nats::start(&program, &folder.path().join("nats"), "");
    let origin = Origin::start();
    let start = |name: &str, role: &str, lines: &str| {
        let folder: &Path = folder.path();
        Node::start_with(folder, name, (role, lines), (&shared(origin.address), &at(&nats)))
    };
    let controllers = [start("berlin", "controller", ""), start("zurich", "controller", "")];
    let ns1 = start("ns1", "director", "probes = true\n");
    let all_wait = |what: &str, holds: &dyn Fn(&Value) -> bool| {
        for node in &controllers {
            wait_within(BEGINS_WITHIN, what, || holds(&near1(node)).then_some(()));
        }
    };
    for node in &controllers {
        wait_within(BEGINS_WITHIN, "three vantage points", || {
            let points = node.status()["vantage_points"].as_array().cloned()?;
            (points.len() == 3 && points.iter().all(|point| point["up"] == 1)).then_some(())
        });
    }
    wait_for_answer(&ns1, &[PROBED, OTHER]);

    origin.refuse(&[&controllers[0]]);
    all_wait("one that sees it down, and the server in", &|server| {
        let seen = &server["disagreement"];
        names(&seen["down"]) == ["berlin"]
            && names(&seen["up"]) == ["ns1", "zurich"]
            && server["life"] == "living"
    });
    let (_, said) = controllers[1].call(&["status"]);
    for part in ["SEEN DIFFERENTLY", "ns1, zurich", "berlin (2 must)", ": status 503"] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    wait_for_answer(&ns1, &[PROBED, OTHER]);

    origin.refuse(&[&controllers[0], &controllers[1]]);
    all_wait("the server out, and why", &|server| {
        let reason = server["reason"].as_str().unwrap_or_default();
        let told = "2 of 3 vantage points see it down (berlin, zurich; ns1 sees it up): probe ";
        server["life"] == "dead" && reason.starts_with(told)
    });
    wait_for_answer(&ns1, &[OTHER]);

    origin.refuse(&[]);
    all_wait("the server in again, and nobody who differs", &|server| {
        server["life"] == "living" && server["disagreement"].is_null()
    });
    wait_for_answer(&ns1, &[PROBED, OTHER]);
}
