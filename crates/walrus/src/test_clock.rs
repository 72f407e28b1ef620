//! The hidden `--test-clock SOCKET`: time advances only when told, one line a request.
//!
//! `run_to NANOSECONDS` lets time pass up to there, stopping wherever somebody wakes; `leap_to`
//! leaves out what would have happened on the way, as if the process had been stopped; `settle`
//! passes no time. Each is answered with `at NANOSECONDS` when all queues are empty and nothing
//! is under way, so that a scenario sees the same in every run.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use walrus_core::world::Time;
use walrus_host::clock::ManualClock;
use walrus_host::shutdown::Shutdown;

use crate::cli::Failure;
use crate::node::Node;

/// Serves the socket until shutdown.
pub(crate) fn serve(
    path: &Path,
    clock: ManualClock,
    node: Arc<Node>,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    // A socket that an earlier run left behind cannot be bound again.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)
        .with_context(|| format!("listening on the test clock's socket {}", path.display()))?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { return };
                    // One client at a time: two would not know whose time it is.
                    let _ = converse(stream, &clock, &node).await;
                }
            }
        }
    });
    Ok(())
}

async fn converse(
    stream: UnixStream,
    clock: &ManualClock,
    node: &Node,
) -> Result<(), std::io::Error> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match line.split_once(' ') {
            Some(("run_to", nanos)) => match nanos.parse() {
                Ok(nanos) => {
                    clock.run_to(Time::from_nanos(nanos)).await;
                    settle(clock, node).await
                }
                Err(_) => "error: run_to wants nanoseconds".to_owned(),
            },
            Some(("leap_to", nanos)) => match nanos.parse() {
                Ok(nanos) => {
                    clock.advance_to(Time::from_nanos(nanos));
                    settle(clock, node).await
                }
                Err(_) => "error: leap_to wants nanoseconds".to_owned(),
            },
            None if line == "settle" => settle(clock, node).await,
            _ => "error: say `run_to NANOSECONDS`, `leap_to NANOSECONDS` or `settle`".to_owned(),
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

/// Waits until all is at rest and the name server answers from the newest Plan.
async fn settle(clock: &ManualClock, node: &Node) -> String {
    clock.settled().await;
    node.plan_applied().await;
    format!("at {}", clock.now().as_nanos())
}
