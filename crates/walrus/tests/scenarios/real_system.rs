//! The real program as a [`System`].

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use walrus_core::config::{Context, SourceFile};
use walrus_core::world::Topology;
use walrus_sim::scenario::Scenario;
use walrus_sim::{
    Question, Seen, SeenArea, SeenServer, ServerState, System, SystemError, query_bytes,
};

use crate::reporters::Reporters;
use crate::web_servers::{NoticeBoard, WebServers};

/// How long anything real may take.
const PATIENCE: Duration = Duration::from_secs(20);
const UNIT: Duration = Duration::from_secs(1);

pub(crate) struct RealSystem {
    program: Child,
    clock: BufReader<UnixStream>,
    now: Duration,
    dns: SocketAddr,
    api: SocketAddr,
    token: String,
    topology: Topology,
    reporters: Reporters,
    web_servers: WebServers,
    notices: NoticeBoard,
    _folder: tempfile::TempDir,
}

impl RealSystem {
    /// Starts the program on ports of its own and waits until it can be spoken to.
    pub(crate) fn start(scenario: &Scenario) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [dns, api, group] = free_addresses();
        let notices = NoticeBoard::start();
        let mut config = scenario.config.replace("127.0.0.1:5300", &dns.to_string());
        config = config.replace("STATE", &folder.path().join("state").display().to_string());
        config.push_str(&format!(
            "\n[api]\nlisten = \"{api}\"\n[group]\nlisten = [\"{group}\"]\n\
             [notify]\nwebhook = \"http://{}/\"\n",
            notices.address()
        ));
        let topology = topology_of(&config);
        let path = folder.path().join("walrus.toml");
        std::fs::write(&path, &config).unwrap();
        let socket = folder.path().join("clock");
        let web_servers = WebServers::start(&topology);
        let mut program = Command::new(env!("CARGO_BIN_EXE_walrus"))
            .arg("up")
            .arg(&path)
            .args(["--seed", &scenario.seed.to_string(), "--test-clock"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let clock = wait_for(|| {
            assert!(program.try_wait().unwrap().is_none(), "walrus up ended at once:\n{config}");
            UnixStream::connect(&socket).ok()
        });
        clock.set_read_timeout(Some(PATIENCE)).unwrap();
        let read = |name: &str| {
            let path = folder.path().join("state").join(name);
            wait_for(|| std::fs::read_to_string(&path).ok()).trim().to_owned()
        };
        let (token, reporter_token) = (read("token"), read("reporter-token"));
        let mut system = Self {
            program,
            clock: BufReader::new(clock),
            now: Duration::ZERO,
            dns,
            api,
            token,
            reporters: Reporters::connect(&topology, group, &reporter_token),
            web_servers,
            notices,
            topology,
            _folder: folder,
        };
        system.settle();
        system
    }

    fn tell_clock(&mut self, line: &str) {
        writeln!(self.clock.get_mut(), "{line}").unwrap();
        let mut answer = String::new();
        self.clock.read_line(&mut answer).unwrap();
        assert!(answer.starts_with("at "), "the test clock answered {answer:?}");
    }

    fn settle(&mut self) {
        self.tell_clock("settle");
    }

    fn servers_of(&self, target: &str) -> Result<Vec<usize>, SystemError> {
        if let Some(id) = self.topology.server(target) {
            return Ok(vec![id.index()]);
        }
        let cluster = self.topology.cluster(target);
        let cluster = cluster.ok_or_else(|| SystemError(format!("there is no `{target}`")))?;
        let servers = &self.topology.clusters[cluster.index()].servers;
        Ok(servers.iter().map(|id| id.index()).collect())
    }

    fn post(&mut self, path: &str, body: &str) -> (u16, String) {
        let answer = http(self.api, "POST", path, body, Some(&self.token));
        self.settle();
        answer
    }
}

impl System for RealSystem {
    fn set(&mut self, target: &str, state: &ServerState) -> Result<(), SystemError> {
        for index in self.servers_of(target)? {
            self.web_servers.set(index, state);
            self.reporters.set(index, state);
            self.settle();
        }
        Ok(())
    }

    fn pass(&mut self, duration: Duration) -> Result<(), SystemError> {
        let end = self.now + duration;
        while self.now < end {
            let next_unit = UNIT * (u32::try_from(self.now.as_secs()).unwrap() + 1);
            self.now = next_unit.min(end);
            self.tell_clock(&format!("run_to {}", self.now.as_nanos()));
            if self.now == next_unit {
                self.reporters.report_all();
                self.settle();
            }
        }
        Ok(())
    }

    fn drain(&mut self, target: &str, force: bool) -> Result<bool, SystemError> {
        let body = serde_json::json!({ "target": target, "force": force }).to_string();
        match self.post("/drain", &body) {
            (200, _) => Ok(true),
            (409, _) => Ok(false),
            (status, text) => Err(SystemError(format!("drain: {status} {text}"))),
        }
    }

    fn undrain(&mut self, target: &str) -> Result<(), SystemError> {
        match self.post("/undrain", &serde_json::json!({ "target": target }).to_string()) {
            (200, _) => Ok(()),
            (status, text) => Err(SystemError(format!("undrain: {status} {text}"))),
        }
    }

    fn ask(&mut self, question: &Question) -> Result<Vec<u8>, SystemError> {
        // The client's address cannot be the sender's here: it travels as a client subnet.
        let bits = if question.client.is_ipv4() { 32 } else { 128 };
        let subnet = Some(question.subnet.unwrap_or((question.client, bits)));
        let query = query_bytes(&Question { subnet, ..question.clone() })?;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(&query, self.dns).unwrap();
        let mut reply = vec![0; 4096];
        let len = socket.recv(&mut reply).map_err(|error| SystemError(error.to_string()))?;
        reply.truncate(len);
        Ok(reply)
    }

    fn look(&mut self) -> Result<Seen, SystemError> {
        let (status, text) = http(self.api, "GET", "/status", "", None);
        assert_eq!(status, 200, "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
        let server = |server: &Value| SeenServer {
            name: text(&server["name"]),
            life: text(&server["life"]),
            load: server["load"].as_f64(),
        };
        let place =
            |place: &Value| (text(&place["cluster"]), place["share"].as_f64().unwrap_or_default());
        let area = |area: &Value| SeenArea {
            service: text(&area["service"]),
            area: text(&area["area"]),
            clusters: area["clusters"].as_array().into_iter().flatten().map(place).collect(),
            reason: text(&area["reason"]),
        };
        Ok(Seen {
            servers: list("servers").iter().map(server).collect(),
            areas: list("areas").iter().map(area).collect(),
            notices: self.notices.told(),
        })
    }
}

impl Drop for RealSystem {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn topology_of(config: &str) -> Topology {
    let file = SourceFile { name: "scenario".to_owned(), text: config.to_owned() };
    let context = Context { hostname: "scenario", read: &|_| Err("no files here".to_owned()) };
    match walrus_core::config::parse(&[file], &context) {
        Ok(parsed) => parsed.configuration.topology,
        Err(problems) => panic!("{problems:?}"),
    }
}

/// Loopback addresses whose ports are free for TCP now; held until all are found.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

fn wait_for<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(begin.elapsed() < PATIENCE, "it did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn http(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
    token: Option<&str>,
) -> (u16, String) {
    let mut stream = wait_for(|| TcpStream::connect(address).ok());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: walrus\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n{}\r\n{body}",
        body.len(),
        authorization.unwrap_or_default()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    (status, body.unwrap_or_default())
}
