//! A nats-server as a child of the test, which dies with it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::until;

/// A running nats-server on a port that it chose itself.
pub(super) struct Server {
    child: Child,
    folder: tempfile::TempDir,
    pub(super) port: u16,
}

/// Where the program is; `None`, and a line that `./test` collects, where it is not installed.
pub(super) fn program() -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];
    let found = folders.map(|it| Path::new(it).join("nats-server"));
    let found = found.into_iter().find(|path| path.exists());
    if found.is_none() {
        eprintln!("\nSKIPPED: the group over NATS: nats-server not installed");
    }
    found
}

impl Server {
    /// Starts one with more lines of configuration, in which `FOLDER` stands for the server's own.
    pub(super) async fn start(more: &str) -> Option<Self> {
        Self::start_with(more, &[]).await
    }

    /// The same with files that it names.
    pub(super) async fn start_with(more: &str, files: &[(&str, &str)]) -> Option<Self> {
        let program = program()?;
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let child = run(&program, folder.path(), -1, more);
        let port = port_of(folder.path(), child.id().unwrap()).await;
        Some(Self { child, folder, port })
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it at once.
    pub(super) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Stands still from now on, with its sockets open.
    pub(super) fn freeze(&self) {
        let id = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args(["-STOP", &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Runs it again where it was.
    pub(super) async fn restart(&mut self, more: &str) {
        let program = program().unwrap();
        self.child = run(&program, self.folder.path(), self.port.into(), more);
        let id = self.child.id().unwrap();
        assert_eq!(port_of(self.folder.path(), id).await, self.port);
    }
}

fn run(program: &Path, folder: &Path, port: i32, more: &str) -> Child {
    let place = folder.display().to_string();
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\nports_file_dir: \"{place}\"\nlog_file: \"{place}/log\"\n{}",
        more.replace("FOLDER", &place)
    );
    let path = folder.join("nats.conf");
    std::fs::write(&path, text).unwrap();
    Command::new(program)
        .arg("-c")
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The port that it says it listens on.
async fn port_of(folder: &Path, id: u32) -> u16 {
    let file = folder.join(format!("nats-server_{id}.ports"));
    let mut port = None;
    until("the port of nats-server", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let url = value["nats"][0].as_str().and_then(|url| url.rsplit_once(':'));
        port = url.and_then(|(_, port)| port.parse().ok());
        port.is_some()
    })
    .await;
    port.unwrap()
}
