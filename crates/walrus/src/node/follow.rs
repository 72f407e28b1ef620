//! Speaks with other nodes of keys: asks the signer, if this node follows one; answers, if it is one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use walrus_core::message::{KEY_ZONES_MAX, Message};
use walrus_host::group::{GroupEvent, GroupEventKind};
use walrus_host::link::NodeLink;
use walrus_host::log::{Limited, chain};

use super::Node;

/// The token that nodes bring to each other, in the state directory.
pub(super) const NODE_TOKEN: &str = "node-token";
/// Between two questions to the signer: what it decides takes hours.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// After the signer said something new: it waits to hear that this node serves it.
const ASK_SOON: Duration = Duration::from_secs(1);
/// After a failure.
const RETRY: Duration = Duration::from_secs(5);

/// Asks the signer again and again, until the node stops.
pub(super) async fn run(node: Arc<Node>) {
    if node.director().is_none() {
        return;
    }
    let lines = Limited::new(Duration::from_secs(60));
    loop {
        let Err(problem) = ask(&node).await else {
            sleep(ASK_EVERY).await;
            continue;
        };
        if let Some(left_out) = lines.pass() {
            tracing::warn!(problem, left_out, "the signer is not heard");
        }
        node.keys().signer_unheard(format!("the signer is not heard: {problem}"));
        sleep(RETRY).await;
    }
}

/// One connection to the signer, until a reload changes whom to ask; `Ok` if there is nobody.
async fn ask(node: &Arc<Node>) -> Result<(), String> {
    let configuration = node.loaded().configuration;
    let group = configuration.group.clone();
    if configuration.dnssec.signer {
        return Ok(());
    }
    let (name, session) = (configuration.node.name.clone(), node.clock.unix_ms());
    let token = node.state.token_path(NODE_TOKEN);
    let link = NodeLink::new(&group, token, name, session).map_err(|error| chain(&error))?;
    let Some(link) = link else { return Ok(()) };
    let mut connection =
        link.connect().await.map_err(|error| format!("{}: {error}", link.peer()))?;
    tracing::info!(peer = link.peer(), "connected to the signer");
    loop {
        let configuration = node.loaded().configuration;
        if configuration.dnssec.signer || configuration.group != group {
            return Ok(());
        }
        let mut changed = false;
        for zones in node.keys().held().chunks(KEY_ZONES_MAX) {
            let question = Message::KeysHeld { zones: zones.to_vec() };
            let Message::Keys { zones } = connection.ask(&question).await? else {
                return Err("it answers something else than keys".to_owned());
            };
            let keys = node.keys().clone();
            let followed = tokio::task::spawn_blocking(move || keys.follow(zones));
            changed |= followed.await.map_err(|error| error.to_string())?;
        }
        sleep(if changed { ASK_SOON } else { ASK_EVERY }).await;
    }
}

/// Answers other nodes, until nobody can ask any more.
pub(super) async fn answer(node: Arc<Node>, mut events: mpsc::Receiver<GroupEvent>) {
    while let Some(event) = events.recv().await {
        let GroupEvent { kind, reply, busy } = event;
        match kind {
            GroupEventKind::Hello { name, .. } => match node.keys().admits(&name) {
                Ok(()) => tracing::info!(%name, "a node joins, to follow this one's keys"),
                Err(reason) => {
                    tracing::warn!(%name, reason, "a node was refused");
                    reply.refuse(reason);
                }
            },
            GroupEventKind::Message { name, message: Message::KeysHeld { zones }, .. } => {
                let keys = node.keys().clone();
                let answered =
                    tokio::task::spawn_blocking(move || keys.acknowledge(&name, zones)).await;
                match answered {
                    Ok(Ok(zones)) => reply.send(Message::Keys { zones }),
                    Ok(Err(reason)) => reply.refuse(reason),
                    Err(_) => return,
                };
            }
            GroupEventKind::Message { .. } => {
                reply.refuse("a name server tells here which keys it holds, and nothing else");
            }
            GroupEventKind::Gone { name, .. } => tracing::info!(%name, "a node has left"),
        }
        drop(busy);
    }
}
