//! Many probes of one Controller, answered by nginx on many addresses of loopback.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpStream;

use super::controller::{Controller, free};
use super::figures::Figures;
use super::{Wanted, topology};

/// Between two probes of one target; so many targets make up the rate.
const EVERY: Duration = Duration::from_secs(5);
/// Until all were probed often enough to count.
const UP_WITHIN: Duration = Duration::from_secs(60);
/// The goal, in hundredths of a core.
const GOAL: f64 = 100.0;

pub(crate) async fn measure(wanted: &Wanted) -> Result<Figures> {
    let folder = tempfile::tempdir()?;
    let port = free()?.port();
    let web = Web::start(folder.path(), port).await?;
    let targets = (wanted.per_minute as f64 / 60.0 * EVERY.as_secs_f64()).ceil() as usize;
    let how = match wanted.is_http {
        true => format!("http = \"http://{{address}}:{port}/\""),
        false => format!("tcp = {port}"),
    };
    let keys = format!(", probe = {{ {how}, every = \"{}s\" }}", EVERY.as_secs());
    let address = |server: usize| Ipv4Addr::from(0x7f01_0000 + server as u32);
    let controller =
        Controller::start(folder.path(), &topology::of(targets, address, &keys)).await?;
    controller.wait_for_living(targets, UP_WITHIN).await?;
    // Each target is up after two successes.
    tokio::time::sleep(EVERY * 3).await;
    let before = web.served().await?;
    let used = controller.measure(Duration::from_secs(wanted.seconds)).await?;
    let probes = web.served().await? - before;
    let living = controller.living().await?;
    let kind = if wanted.is_http { "HTTP" } else { "TCP" };
    let mut figures = Figures::new(format!("{targets} targets probed by {kind} each {EVERY:?}"));
    figures.tell(
        "connections a minute, as nginx counts",
        probes * 60.0 / wanted.seconds as f64,
        "",
    );
    figures.compare("CPU, share of a core", used.cores * 100.0, "%", GOAL);
    figures.tell("memory", used.memory_mib, "MiB");
    figures.tell("memory at most", used.peak_mib, "MiB");
    figures.compare("servers not living at the end", (targets - living) as f64, "", 0.0);
    Ok(figures)
}

/// nginx on all addresses of loopback; ends with this value.
#[derive(Debug)]
struct Web {
    child: Child,
    port: u16,
}

impl Web {
    async fn start(folder: &Path, port: u16) -> Result<Self> {
        let at = folder.display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|of| format!("{of}_temp_path {at}/{of};"))
            .join(" ");
        let text = format!(
            "daemon off; master_process off; pid {at}/pid; error_log stderr;\n\
             events {{ worker_connections 8192; }}\n\
             http {{ access_log off; {temporary}\n\
             server {{ listen 0.0.0.0:{port} backlog=8192; default_type text/plain;\n\
             location / {{ return 200 \"ok\\n\"; }}\n\
             location /stub_status {{ stub_status; }} }} }}\n"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, text)?;
        let log = File::create(folder.join("nginx.log"))?;
        let child = Command::new("nginx")
            .args(["-e", "stderr", "-p"])
            .arg(folder)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("nginx does not start: is it installed?")?;
        let web = Self { child, port };
        let begin = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            if begin.elapsed() > UP_WITHIN {
                bail!("nginx opens no port");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(web)
    }

    /// Connections that it has taken since its start.
    async fn served(&self) -> Result<f64> {
        let url = format!("http://127.0.0.1:{}/stub_status", self.port);
        let answer = walrus_host::http::fetch(walrus_host::http::Request::get(url)).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let counts = text.lines().nth(2).context("no counts in stub_status")?;
        Ok(counts.split_whitespace().next().context("no count")?.parse()?)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
