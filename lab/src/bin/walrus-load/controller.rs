//! One Controller at work as a child, and what the kernel counts for it.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use walrus_host::http::{Request, fetch};

/// The unit of times in `/proc/PID/stat`: Linux gives a hundredth of a second to every program.
const TICKS_A_SECOND: f64 = 100.0;
/// How long a child may take until it answers.
const START_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The child; ends with this value.
#[derive(Debug)]
pub(crate) struct Controller {
    child: Child,
    folder: PathBuf,
    pub(crate) api: SocketAddr,
}

/// Its resources over a stretch of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    /// Share of one core.
    pub(crate) cores: f64,
    /// Resident at the end of it, in MiB.
    pub(crate) memory_mib: f64,
    /// The most that was ever resident, in MiB.
    pub(crate) peak_mib: f64,
}

impl Controller {
    /// Starts `walrus up` with this configuration, to which `[api]` and the state directory are added, and
    /// waits until it answers.
    pub(crate) async fn start(folder: &Path, configuration: &str) -> Result<Self> {
        let program = std::env::var_os("WALRUS").context(
            "which walrus to load? Use `lab/load`, or set WALRUS to the path of the program",
        )?;
        let api = free()?;
        let state = folder.join("state");
        let text = format!(
            "{configuration}\n[node]\nname = \"loaded\"\nroles = [\"controller\"]\nstate = \"{}\"\n\
             [api]\nlisten = \"{api}\"\n",
            state.display()
        );
        let file = folder.join("walrus.toml");
        fs::write(&file, text)?;
        let log = File::create(folder.join("log"))?;
        let child = Command::new(program)
            .arg("up")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("walrus does not start")?;
        let mut controller = Self { child, folder: folder.to_owned(), api };
        let begin = Instant::now();
        while controller.status().await.is_err() {
            if let Some(status) = controller.child.try_wait()? {
                bail!("walrus ended with {status}: {}", controller.said());
            }
            if begin.elapsed() > START_WITHIN {
                bail!("walrus does not answer: {}", controller.said());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(controller)
    }

    /// A file in its state directory.
    pub(crate) fn state(&self, file: &str) -> PathBuf {
        self.folder.join("state").join(file)
    }

    /// Its status as JSON.
    pub(crate) async fn status(&self) -> Result<Value> {
        let request = Request {
            body_max: 256 << 20,
            timeout: Duration::from_secs(30),
            ..Request::get(format!("http://{}/status", self.api))
        };
        let answer = fetch(request).await?;
        if answer.status != 200 {
            bail!("status {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Changes state as an operator does.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<()> {
        let token = fs::read_to_string(self.state("token")).context("the API's token")?;
        let mut request =
            Request::post_json(format!("http://{}{path}", self.api), serde_json::to_vec(body)?);
        request.headers.push(("Authorization".to_owned(), format!("Bearer {}", token.trim())));
        let answer = fetch(request).await?;
        if answer.status != 200 {
            bail!("{path}: {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        Ok(())
    }

    /// How many servers it takes for living.
    pub(crate) async fn living(&self) -> Result<usize> {
        let status = self.status().await?;
        let servers = status["servers"].as_array().context("a status without servers")?;
        Ok(servers.iter().filter(|server| server["life"] == "living" && is_heard(server)).count())
    }

    /// Waits until so many servers live.
    pub(crate) async fn wait_for_living(&self, wanted: usize, within: Duration) -> Result<()> {
        let begin = Instant::now();
        loop {
            let living = self.living().await?;
            if living >= wanted {
                return Ok(());
            }
            if begin.elapsed() > within {
                bail!("{living} of {wanted} servers live after {within:?}: {}", self.said());
            }
            // Status of ten thousand servers costs something itself.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// What it needs in this time.
    pub(crate) async fn measure(&self, time: Duration) -> Result<Use> {
        let (begin, before) = (Instant::now(), self.cpu()?);
        tokio::time::sleep(time).await;
        let cpu = self.cpu()? - before;
        let memory = |name| self.memory(name);
        Ok(Use {
            cores: cpu / begin.elapsed().as_secs_f64(),
            memory_mib: memory("VmRSS:")?,
            peak_mib: memory("VmHWM:")?,
        })
    }

    /// CPU time in user code and kernel, in seconds.
    fn cpu(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in brackets may hold anything; 12 fields after it comes utime, then stime.
        let rest = stat.rsplit_once(')').context("/proc/PID/stat without a name")?.1;
        let ticks: Vec<f64> =
            rest.split_whitespace().skip(11).take(2).filter_map(|it| it.parse().ok()).collect();
        Ok(ticks.iter().sum::<f64>() / TICKS_A_SECOND)
    }

    /// A line of `/proc/PID/status`, in MiB.
    fn memory(&self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
        let kib: f64 = line.split_whitespace().next().context("no number")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// The last that it said.
    fn said(&self) -> String {
        let said = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(6)..].join("\n")
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether any of its sources has said something: one that is only expected counts as living, too.
fn is_heard(server: &Value) -> bool {
    server["sources"].as_array().is_some_and(|all| all.iter().any(|it| it["age_ms"].is_u64()))
}

/// An address on loopback that nobody has; somebody might take it until it is used.
pub(crate) fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
