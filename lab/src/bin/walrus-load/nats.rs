//! A NATS server as a child, and a connection that only publishes.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use super::controller::free;

/// How long the server may take to open its port.
const START_WITHIN: Duration = Duration::from_secs(20);

/// The server; ends with this value.
#[derive(Debug)]
pub(crate) struct Nats {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Nats {
    /// Starts it, open to everybody on loopback.
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        let address = free()?;
        let log = File::create(folder.join("nats.log"))?;
        let child = Command::new("nats-server")
            .args(["-a", &address.ip().to_string(), "-p", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("nats-server does not start: is it installed?")?;
        let server = Self { child, address };
        let begin = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if begin.elapsed() > START_WITHIN {
                bail!("nats-server opens no port");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(server)
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Publishes, and answers the server's PINGs.
#[derive(Debug)]
pub(crate) struct Publisher {
    writer: OwnedWriteHalf,
    frame: Vec<u8>,
}

impl Publisher {
    pub(crate) async fn connect(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let (mut reader, mut writer) = stream.into_split();
        writer.write_all(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n").await?;
        // Whatever it says is read, so that it never waits; a PONG too many does no harm.
        tokio::spawn(async move {
            let mut said = [0; 4096];
            while matches!(reader.read(&mut said).await, Ok(1..)) {}
        });
        Ok(Self { writer, frame: Vec::new() })
    }

    /// One message.
    pub(crate) async fn publish(&mut self, subject: &str, payload: &[u8]) -> Result<()> {
        self.frame.clear();
        self.frame.extend_from_slice(format!("PUB {subject} {}\r\n", payload.len()).as_bytes());
        self.frame.extend_from_slice(payload);
        self.frame.extend_from_slice(b"\r\n");
        self.writer.write_all(&self.frame).await?;
        Ok(())
    }

    /// Says that it is there: to be called more often than the server's two minutes.
    pub(crate) async fn pong(&mut self) -> Result<()> {
        self.writer.write_all(b"PONG\r\n").await?;
        Ok(())
    }
}
