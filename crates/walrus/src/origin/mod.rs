//! `walrus origin`: a small web server with a fault switch, for demos and tests.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | a page that names the server |
//! | `GET /healthz` | 200 while all is well |
//! | `GET /status` | JSON: hits, busy, `busy_max`, fault |
//! | `GET /server-status?auto` | the same as Apache's `mod_status` would tell it |
//! | `POST /fault/down` | from now on every connection but those to `/fault/` is closed unanswered |
//! | `POST /fault/busy` | the status pages show every worker busy |
//! | `POST /fault/slow` | pages and health checks take three seconds |
//! | `POST /fault/ok` | all is well again |
//!
//! It stands for a web server; it is none. Whoever reaches it can break it, so it belongs on
//! loopback or into a lab.

mod page;
mod serve;
mod site;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use walrus_host::shutdown::Shutdown;

use site::Site;

/// How long a slow answer takes: longer than any sensible probe waits.
const SLOW: Duration = Duration::from_secs(3);

/// What to serve.
#[derive(Clone, Debug)]
pub(crate) struct OriginSettings {
    /// All the same site.
    pub(crate) listen: Vec<SocketAddr>,
    /// What it calls itself.
    pub(crate) name: String,
    /// Where it says that it stands.
    pub(crate) cluster: String,
    /// How many pages it serves at once; at least one.
    pub(crate) workers: u32,
}

/// Serves until asked to end.
///
/// # Errors
/// If an address cannot be listened on.
pub(crate) async fn run(settings: OriginSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut listeners = Vec::new();
    for address in &settings.listen {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}; is the port taken?"))?;
        listeners.push(listener);
    }
    let site = Site::new(settings.name, settings.cluster, settings.workers, SLOW);
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(serve::accept(listener, site.clone()));
    }
    shutdown.requested().await;
    // Open connections end with their tasks: nobody is owed a last page by a demo.
    tasks.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests;
