//! `walrus demo`: three areas on loopback, real sockets, nothing to prepare.
//!
//! The web servers are child processes (`walrus origin`); Controller, name server and the six
//! Reporters run here, and speak to each other over the same sockets as on six machines.

mod advice;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use walrus_core::config::{ReporterSettings, ReporterSource};
use walrus_core::world::Topology;
use walrus_host::shutdown::{Reload, Shutdown};

use crate::cli::{DemoArguments, Failure};
use crate::load::{LoadError, check_text};
use crate::node::{Node, Opened, Start};
use crate::output::say;

/// The configuration, with `STATE` for the state directory.
const CONFIGURATION: &str = include_str!("demo.toml");
/// Where the web servers listen, on their own addresses.
const WEB_PORT: u16 = 8080;
/// Requests that a web server of the demo claims to serve at once.
const WEB_WORKERS: u32 = 10;

/// Runs until Ctrl-C, or until a web server cannot go on.
pub(crate) async fn run(arguments: &DemoArguments) -> Result<(), Failure> {
    let state = StatePlace::new(arguments.state.as_deref())?;
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("listening for signals")?;
    let mut terminal_closed = Reload::listen().context("listening for SIGHUP")?;
    let checked = check_text("demo.toml", &CONFIGURATION.replace("STATE", &state.path_text()))
        .map_err(LoadError::into_failure)?;
    let topology = checked.configuration.topology.clone();

    let mut origins = start_origins(&topology).await?;
    let start = Start {
        clock: walrus_host::clock::Clock::real(),
        seed: None,
        path: None,
        confined: Default::default(),
    };
    let opened = Opened::new(checked, &start.confined)?;
    let node = Node::start(opened, start, shutdown.clone()).await?;
    start_reporters(&topology, &state.path, &node, &shutdown)?;

    say(&advice::text(&state.path))?;
    let ended = tokio::select! {
        () = shutdown.requested() => Ok(()),
        () = terminal_closed.wanted() => Ok(()),
        name = first_to_end(&mut origins) => {
            shutdown.request();
            Err(Failure::CouldNot(format!("web server {name} ended; its reason stands above")))
        }
    };
    node.stop().await;
    for (_, child) in &mut origins {
        // A child that is gone already is what is wanted.
        let _ = child.kill().await;
    }
    ended
}

/// A state directory that is removed at the end unless the user named one.
struct StatePlace {
    path: PathBuf,
    ours: bool,
}

impl StatePlace {
    fn new(given: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = given {
            return Ok(Self { path: path.to_owned(), ours: false });
        }
        let path = std::env::temp_dir().join(format!("walrus-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("making the state directory {}", path.display()))?;
        Ok(Self { path, ours: true })
    }

    /// For a TOML string.
    fn path_text(&self) -> String {
        self.path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"")
    }
}

impl Drop for StatePlace {
    fn drop(&mut self) {
        if self.ours {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Starts a web server process for every server, and waits until each accepts connections.
async fn start_origins(topology: &Topology) -> Result<Vec<(String, Child)>, Failure> {
    let program = std::env::current_exe().context("finding this program")?;
    let addresses =
        topology.servers.iter().map(|server| SocketAddr::new(server.addresses[0], WEB_PORT));
    for address in addresses {
        // Tried here first, so that six processes need not complain of the same.
        TcpListener::bind(address).await.map_err(|error| cannot_use(address, &error))?;
    }
    let mut origins = Vec::new();
    for server in &topology.servers {
        let cluster = &topology.clusters[server.cluster.index()].name;
        let listen = SocketAddr::new(server.addresses[0], WEB_PORT);
        let child = Command::new(&program)
            .args(["origin", "--listen", &listen.to_string(), "--name", server.name.as_str()])
            .args(["--cluster", cluster.as_str(), "--workers", &WEB_WORKERS.to_string()])
            // Never written to: it ends with this process, even if that is killed.
            .arg("--until-input-ends")
            .stdin(Stdio::piped())
            // Ctrl-C is for this process alone; it ends the others in its own time.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting the web server {}", server.name))?;
        origins.push((server.name.to_string(), child));
    }
    for ((name, child), server) in origins.iter_mut().zip(&topology.servers) {
        wait_until_listening(name, child, SocketAddr::new(server.addresses[0], WEB_PORT)).await?;
    }
    Ok(origins)
}

fn cannot_use(address: SocketAddr, error: &io::Error) -> Failure {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "is another demo or web server running?",
        io::ErrorKind::AddrNotAvailable => "only Linux has all of 127.0.0.0/8 on loopback",
        _ => "the demo needs it for a web server",
    };
    Failure::CouldNot(format!("cannot listen on {address} ({error}): {why}"))
}

async fn wait_until_listening(
    name: &str,
    child: &mut Child,
    address: SocketAddr,
) -> Result<(), Failure> {
    const TRIES: u32 = 100;
    for _ in 0..TRIES {
        if child.try_wait().context("waiting for a web server")?.is_some() {
            let text = format!("web server {name} cannot use {address}: is another demo running?");
            return Err(Failure::CouldNot(text));
        }
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(Failure::CouldNot(format!("web server {name} did not begin to listen on {address}")))
}

/// Starts a Reporter task for every server; each connects over TCP as from another machine.
fn start_reporters(
    topology: &Topology,
    state: &Path,
    node: &Arc<Node>,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let controllers = node.group_addresses().iter().map(ToString::to_string).collect::<Vec<_>>();
    for server in &topology.servers {
        let settings = ReporterSettings {
            server: server.name.clone(),
            controllers: controllers.clone(),
            unit: Duration::from_secs(1),
            source: Some(status_page(server.addresses[0])),
            memory_pressure_max: 1.0,
            memory_pressure_units: 3,
            bypass_file: None,
            version_file: None,
            access_log: None,
            insecure: false,
            authority: None,
            fingerprint: None,
            token_file: Some(state.join("reporter-token")),
            certificate: None,
            key: None,
            // All six stand on this machine: its own load would move all of them at once.
            system: false,
        };
        node.start_reporter(settings, shutdown)?;
    }
    Ok(())
}

fn status_page(address: IpAddr) -> ReporterSource {
    ReporterSource::Json {
        url: format!("http://{address}:{WEB_PORT}/status"),
        hits: Some("hits".to_owned()),
        busy: Some("busy".to_owned()),
        busy_max: Some("busy_max".to_owned()),
    }
}

async fn first_to_end(origins: &mut [(String, Child)]) -> String {
    loop {
        for (name, child) in origins.iter_mut() {
            if !matches!(child.try_wait(), Ok(None)) {
                return name.clone();
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
