//! The real program as a [`System`].

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
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

use crate::ports::free_port;
use crate::reporters::Reporters;
use crate::web_servers::{NoticeBoard, WebServers};

/// How long anything real may take.
const PATIENCE: Duration = Duration::from_secs(20);
const UNIT: Duration = Duration::from_secs(1);

pub(crate) struct RealSystem {
    program: Program,
    now: Duration,
    place: Place,
    topology: Topology,
    reporters: Reporters,
    web_servers: WebServers,
    notices: NoticeBoard,
}

/// Where the program runs: its ports and its folder stay the same over a restart.
struct Place {
    dns: SocketAddr,
    api: SocketAddr,
    group: SocketAddr,
    webhook: SocketAddr,
    seed: u64,
    folder: tempfile::TempDir,
}

/// A running program; killed when dropped.
struct Program {
    child: Child,
    clock: BufReader<UnixStream>,
    token: String,
    reporter_token: String,
}

impl Place {
    /// Writes the scenario's configuration down with the ports and paths of this place.
    fn write(&self, config: &str) -> String {
        let mut config = config.replace(":5300", &format!(":{}", self.dns.port()));
        let state = self.folder.path().join("state");
        config = config.replace("STATE", &state.display().to_string());
        config.push_str(&format!(
            "\n[api]\nlisten = \"{}\"\n[group]\nlisten = [\"{}\"]\n\
             [notify]\nwebhook = \"http://{}/\"\n",
            self.api, self.group, self.webhook
        ));
        std::fs::write(self.folder.path().join("walrus.toml"), &config).unwrap();
        config
    }

    fn start(&self) -> Program {
        let socket = self.folder.path().join("clock");
        let log = self.folder.path().join("log");
        let _ = std::fs::remove_file(&socket);
        let mut child = Command::new(env!("CARGO_BIN_EXE_walrus"))
            .arg("up")
            .arg(self.folder.path().join("walrus.toml"))
            .args(["--seed", &self.seed.to_string(), "--test-clock"])
            .arg(&socket)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let clock = wait_for(|| {
            if child.try_wait().unwrap().is_some() {
                panic!("walrus up ended: {}", std::fs::read_to_string(&log).unwrap());
            }
            UnixStream::connect(&socket).ok()
        });
        clock.set_read_timeout(Some(PATIENCE)).unwrap();
        let read = |name: &str| {
            let path = self.folder.path().join("state").join(name);
            wait_for(|| std::fs::read_to_string(&path).ok()).trim().to_owned()
        };
        let (token, reporter_token) = (read("token"), read("reporter-token"));
        Program { child, clock: BufReader::new(clock), token, reporter_token }
    }
}

impl RealSystem {
    /// Starts the program on ports of its own and waits until it can be spoken to.
    pub(crate) fn start(scenario: &Scenario) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [dns, api, group] = free_addresses();
        let notices = NoticeBoard::start();
        let webhook = notices.address();
        let place = Place { dns, api, group, webhook, seed: scenario.seed, folder };
        let topology = topology_of(&place.write(&scenario.config)).expect("a good configuration");
        let web_servers = WebServers::start(&topology);
        let program = place.start();
        let mut system = Self {
            now: Duration::ZERO,
            reporters: Reporters::connect(&topology, group, &program.reporter_token),
            program,
            place,
            web_servers,
            notices,
            topology,
        };
        system.settle();
        system
    }

    fn tell_clock(&mut self, line: &str) {
        writeln!(self.program.clock.get_mut(), "{line}").unwrap();
        let mut answer = String::new();
        self.program.clock.read_line(&mut answer).unwrap();
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
        let answer = http(self.place.api, "POST", path, body, Some(&self.program.token));
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
        if !self.reporters.anybody_speaks() {
            self.now = end;
            self.tell_clock(&format!("run_to {}", end.as_nanos()));
        }
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

    fn reload(&mut self, config: &str) -> Result<bool, SystemError> {
        let topology = topology_of(&self.place.write(config));
        let (status, text) = self.post("/reload", "");
        match (status, topology) {
            (200, Some(topology)) => {
                self.reporters.retarget(&topology);
                self.web_servers.retarget(&topology);
                self.topology = topology;
                self.settle();
                Ok(true)
            }
            (409 | 422 | 400, _) => Ok(false),
            (status, _) => Err(SystemError(format!("reload: {status} {text}"))),
        }
    }

    fn restart(&mut self) -> Result<(), SystemError> {
        self.program.kill();
        self.program = self.place.start();
        // Its clock begins anew.
        self.now = Duration::ZERO;
        self.reporters.dial_all();
        self.settle();
        Ok(())
    }

    fn stop(&mut self, duration: Duration) -> Result<(), SystemError> {
        self.now += duration;
        self.tell_clock(&format!("leap_to {}", self.now.as_nanos()));
        self.reporters.report_all();
        self.settle();
        Ok(())
    }

    fn ask(&mut self, question: &Question) -> Result<Vec<u8>, SystemError> {
        // The client's address cannot be the sender's here: it travels as a client subnet.
        let bits = if question.client.is_ipv4() { 32 } else { 128 };
        let subnet = Some(question.subnet.unwrap_or((question.client, bits)));
        let query = query_bytes(&Question { subnet, ..question.clone() })?;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let ip = question.server.unwrap_or(self.place.dns.ip());
        socket.send_to(&query, SocketAddr::new(ip, self.place.dns.port())).unwrap();
        let mut reply = vec![0; 4096];
        let len = socket.recv(&mut reply).map_err(|error| SystemError(error.to_string()))?;
        reply.truncate(len);
        Ok(reply)
    }

    fn look(&mut self) -> Result<Seen, SystemError> {
        let (status, text) = http(self.place.api, "GET", "/status", "", None);
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

impl Program {
    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

fn topology_of(config: &str) -> Option<Topology> {
    let file = SourceFile { name: "scenario".to_owned(), text: config.to_owned() };
    let context = Context { hostname: "scenario", read: &|_| Err("no files here".to_owned()) };
    walrus_core::config::parse(&[file], &context).ok().map(|it| it.configuration.topology)
}

/// Loopback addresses whose ports are free.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    std::array::from_fn(|_| SocketAddr::new(ip, free_port(&[ip])))
}

/// Tries until it is ready, for as long as [`PATIENCE`].
pub(crate) fn wait_for<T>(mut ready: impl FnMut() -> Option<T>) -> T {
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
