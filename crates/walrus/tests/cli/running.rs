//! `walrus up` as a child process, on loopback addresses that no other test uses.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The program.
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_walrus"))
}

/// A configuration in a folder of its own, running or not.
pub(crate) struct Running {
    pub(crate) folder: tempfile::TempDir,
    /// Everything of this one listens here.
    pub(crate) address: IpAddr,
    child: Option<Child>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    /// The folder with `walrus.toml`; nothing runs yet. `ADDRESS` and `STATE` are filled in.
    pub(crate) fn prepared(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let running = Self { folder, address: address(), child: None };
        running.write("walrus.toml", config);
        running
    }

    /// `walrus up`, ready to answer.
    pub(crate) fn start(config: &str) -> Self {
        let mut running = Self::prepared(config);
        running.up();
        running
    }

    /// Starts it (again) and waits until it has a Plan.
    pub(crate) fn up(&mut self) {
        self.spawn();
        wait_for("a Plan", || {
            self.check_alive();
            self.try_http("GET", "/ready", "").filter(|(status, _)| *status == 200)
        });
    }

    /// Starts it (again); whoever asks finds out when it answers.
    pub(crate) fn spawn(&mut self) {
        self.spawn_by(program());
    }

    /// The same by a command that becomes the program.
    pub(crate) fn spawn_by(&mut self, mut command: Command) {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        command.arg("up").arg(self.path("walrus.toml")).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    fn check_alive(&mut self) {
        let child = self.child.as_mut().expect("it was started");
        if let Some(status) = child.try_wait().unwrap() {
            panic!("walrus up ended with {status}:\n{}", self.log());
        }
    }

    /// Writes a file of the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let state = self.path("state").display().to_string();
        let text = text.replace("ADDRESS", &self.address.to_string()).replace("STATE", &state);
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A file of the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// All log lines so far, of all starts.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The name server.
    pub(crate) fn dns(&self) -> SocketAddr {
        SocketAddr::new(self.address, 5300)
    }

    /// The API.
    pub(crate) fn api(&self) -> SocketAddr {
        SocketAddr::new(self.address, 8053)
    }

    /// The group's listener.
    pub(crate) fn group(&self) -> SocketAddr {
        SocketAddr::new(self.address, 8054)
    }

    /// The API's address for `--api`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.api())
    }

    /// A command that asks this one, with its token.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Ended {
        let mut command = program();
        command.args(arguments).args(["--api", &self.url()]);
        command.arg("--token-file").arg(self.path("state/token"));
        run(&mut command)
    }

    /// The same with `--json`, as the object that it says.
    pub(crate) fn ask_json(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let ended = self.ask(&[arguments, &["--json"]].concat());
        let value = serde_json::from_str(&ended.stdout);
        (ended.code, value.unwrap_or_else(|error| panic!("{error}: {ended:?}")))
    }

    /// `GET` or `POST` with the token.
    pub(crate) fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        wait_for(path, || self.try_http(method, path, body))
    }

    /// The same, once; `None` if nobody answers.
    pub(crate) fn try_http(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut answer = String::new();
        self.send(method, path, body)?.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    /// Sends a request: where its answer will come; `None` if nobody listens.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(self.api()).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let token = std::fs::read_to_string(self.path("state/token")).unwrap_or_default();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: walrus\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\
             Authorization: Bearer {}\r\n\r\n{body}",
            body.len(),
            token.trim(),
        )
        .ok()?;
        Some(stream)
    }

    /// `GET /status` as an object.
    pub(crate) fn status(&self) -> Value {
        let (status, text) = self.http("GET", "/status", "");
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The epoch and sequence of the Plan in force.
    pub(crate) fn plan_number(&self) -> (u64, u64) {
        let plan = &self.status()["plan"];
        (plan["epoch"].as_u64().unwrap(), plan["sequence"].as_u64().unwrap())
    }

    /// A server's life in a word.
    pub(crate) fn life(&self, server: &str) -> String {
        let status = self.status();
        let servers = status["servers"].as_array().unwrap();
        let found = servers.iter().find(|it| it["name"] == server).unwrap();
        found["life"].as_str().unwrap().to_owned()
    }

    /// Its number among the system's processes.
    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Sends a signal, as the shell's `kill -NAME` does.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args(["-s", name, &process]).status().unwrap().success());
    }

    /// Waits until it has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        wait_for("its end", || child.try_wait().unwrap())
    }

    /// No chance to store anything.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Says what is skipped past the harness, which would swallow it; `./test` collects such lines.
pub(crate) fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: {what}");
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs `walrus` with these arguments.
pub(crate) fn walrus(arguments: &[&str]) -> Ended {
    run(program().args(arguments))
}

/// Runs `walrus COMMAND PATH`.
pub(crate) fn walrus_on(command: &str, path: &Path) -> Ended {
    run(program().arg(command).arg(path))
}

/// Waits for a condition, with a bound.
pub(crate) fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(begin.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A loopback address that no other test of this process, nor of another, uses: all of 127/8 is
/// there, so that ports need not be guessed.
pub(crate) fn address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, 64 + high % 64, low, next).into()
}

/// Two clusters without probes, so that every server counts as up from the start.
pub(crate) const TWO_CLUSTERS: &str = include_str!("two_clusters.toml");
