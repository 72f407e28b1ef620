//! `walrus demo` as its user sees it. It stands on fixed addresses: skipped if they are taken.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::dns::{addresses_in, ask_udp, query};
use crate::running::{program, run, skipped, wait_for};

const DNS: &str = "127.0.0.1:5300";
const EUROPE: [u8; 3] = [198, 51, 100];

struct Demo {
    child: Child,
    state: PathBuf,
}

impl Demo {
    /// With what it printed; `None` if somebody else uses its addresses.
    fn start() -> Option<(Self, String)> {
        let servers = [11, 12, 13].map(|net| [1, 2].map(|host| (net, host)));
        let mut taken = ["127.0.0.1:5300", "127.0.0.1:8053", "127.0.0.1:8054"]
            .map(|address| address.parse::<SocketAddr>().unwrap())
            .to_vec();
        taken.extend(
            servers
                .as_flattened()
                .iter()
                .map(|(net, host)| SocketAddr::from(([127, 0, *net, *host], 8080))),
        );
        taken.retain(|address| TcpListener::bind(address).is_err());
        if !taken.is_empty() || UdpSocket::bind(DNS).is_err() {
            skipped(&format!("the demo (its addresses are in use: {taken:?})"));
            return None;
        }
        let mut child = program().arg("demo").stdout(Stdio::piped()).spawn().unwrap();
        let state = std::env::temp_dir().join(format!("walrus-demo-{}", child.id()));
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("Ctrl-C ends it all.") {
            assert!(out.read_line(&mut text).unwrap() > 0, "the demo ended: {text}");
        }
        Some((Self { child, state }, text))
    }

    fn processes(&self) -> Vec<String> {
        let parent = self.child.id().to_string();
        let found = Command::new("ps").args(["-o", "pid=", "--ppid", &parent]).output().unwrap();
        let text = String::from_utf8(found.stdout).unwrap();
        text.split_whitespace().map(str::to_owned).collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

fn europe() -> Vec<Ipv4Addr> {
    let query = query("www.walrus.example", 1, Some(EUROPE));
    let reply = ask_udp(DNS.parse().unwrap(), &query, Duration::from_secs(2));
    reply.map(|reply| addresses_in(&reply)).unwrap_or_default()
}

fn fault(server: u8, word: &str) {
    let url = format!("http://127.0.13.{server}:8080/fault/{word}");
    let done = post(&url);
    assert!(done, "{url}");
}

/// POSTs without a body; tells whether that was taken.
fn post(url: &str) -> bool {
    use std::io::{Read as _, Write as _};
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    write!(stream, "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.starts_with("HTTP/1.1 200")
}

/// How long until the answers for Europe are as wanted.
fn until(what: &str, wanted: impl Fn(&[Ipv4Addr]) -> bool) -> Duration {
    let begin = Instant::now();
    wait_for(what, || wanted(&europe()).then_some(()));
    begin.elapsed()
}

/// One test, for there is one place on which a demo can stand.
#[test]
fn the_demo_does_what_it_prints_and_leaves_nothing_behind() {
    let Some((demo, text)) = Demo::start() else { return };
    for word in ["dig +short @127.0.0.1 -p 5300", "+subnet=198.51.100.0/24", "explain", "/fault/"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    servers_leave_and_return();
    let second = run(program().arg("demo"));
    assert_eq!((second.code, second.stderr.lines().count()), (Some(3), 1), "{second:?}");
    ends_cleanly(demo, "INT");

    // As if its terminal were closed.
    let Some((demo, _)) = Demo::start() else { return };
    ends_cleanly(demo, "HUP");

    // Killed outright it cannot tidy up, but its web servers end with it.
    let Some((mut demo, _)) = Demo::start() else { return };
    let children = demo.processes();
    demo.child.kill().unwrap();
    demo.child.wait().unwrap();
    gone(&children);
}

fn servers_leave_and_return() {
    let (one, two) = (Ipv4Addr::new(127, 0, 13, 1), Ipv4Addr::new(127, 0, 13, 2));
    until("both servers", |found| found == [one, two]);
    fault(1, "down");
    let left = until("its leaving", |found| found == [two]);
    assert!(left < Duration::from_secs(5), "{left:?}");
    fault(1, "ok");
    until("its return", |found| found == [one, two]);
    fault(1, "busy");
    fault(2, "busy");
    let is_elsewhere = |address: &Ipv4Addr| address.octets()[2] != 13;
    until("the move", |found| !found.is_empty() && found.iter().all(is_elsewhere));
    fault(1, "ok");
    fault(2, "ok");
    until("the way home", |found| found == [one, two]);
}

fn ends_cleanly(mut demo: Demo, signal: &str) {
    let children = demo.processes();
    assert_eq!(children.len(), 6, "{children:?}");
    assert!(demo.state.exists());
    let process = demo.child.id().to_string();
    assert!(Command::new("kill").args(["-s", signal, &process]).status().unwrap().success());
    let status = wait_for("its end", || demo.child.try_wait().unwrap());
    assert!(status.success(), "{signal}: {status}");
    assert!(!demo.state.exists(), "{signal}: its state directory is gone");
    gone(&children);
}

fn gone(processes: &[String]) {
    for process in processes {
        let folder = PathBuf::from(format!("/proc/{process}"));
        wait_for("a web server's end", || (!folder.exists()).then_some(()));
    }
}
