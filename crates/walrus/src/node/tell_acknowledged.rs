//! Tells Controllers what the name servers have that this node keeps up to date: at once when one has acknowledged a
//! Plan, and again from time to time.
//!
//! Controllers reckon from it how far clients have followed a change, and who still gives old answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use walrus_controller::ControllerHandle;
use walrus_core::message::{
    KeptNameServer, KeptNameServers, Message, NAME_SERVER_SERVICES_MAX, NAME_SERVERS_MAX, Role,
};
use walrus_core::update::{NameState, UpdaterStatus};
use walrus_host::bus::Bus;

use super::Node;

/// At least so often: who is heard, and has not said it for three times as long, keeps none any more.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// Tells the Controller that is here; and the highest Plan number in name servers' marks: one that lost its state begins an epoch
/// above them then, or nothing of it would ever be published.
pub(super) async fn tell_controller(node: Arc<Node>, controller: ControllerHandle) {
    let every = node.loaded().configuration.dns.observe_every.min(TOLD_WITHIN);
    let mut changes = node.updaters().acknowledgements();
    while wait(&node, &mut changes, every).await {
        let name = node.loaded().configuration.node.name.clone();
        let seen = node.updaters().seen();
        let told = match seen {
            Some(highest) => controller.marks_seen(highest).await,
            None => Ok(()),
        };
        let kept = kept(&node);
        if told.is_err() || controller.name_servers(name, kept).await.is_err() {
            return;
        }
    }
}

/// Tells the group, with each heartbeat.
pub(super) async fn tell_group(node: Arc<Node>, bus: Bus) {
    let mut changes = node.updaters().acknowledgements();
    loop {
        let every = (node.loaded().configuration.control.detection / 3).min(TOLD_WITHIN);
        if !wait(&node, &mut changes, every).await {
            return;
        }
        bus.say(Role::Director, Message::NameServers(kept(&node)));
    }
}

/// Until one has acknowledged another Plan, or so long; false if there will be none any more.
async fn wait(node: &Node, changes: &mut watch::Receiver<u64>, every: Duration) -> bool {
    tokio::select! {
        _ = node.clock.sleep(every) => true,
        changed = changes.changed() => changed.is_ok(),
    }
}

fn kept(node: &Node) -> KeptNameServers {
    let told = node.updaters().with_ttl().into_iter().filter_map(told_of).take(NAME_SERVERS_MAX);
    KeptNameServers { answers_nothing: node.director().is_none(), name_servers: told.collect() }
}

/// `None` if nothing there is ours: it answers whatever somebody else put there.
fn told_of((status, ttl_seconds): (UpdaterStatus, Option<u32>)) -> Option<KeptNameServer> {
    let is_ours = |state| !matches!(state, NameState::Foreign | NameState::Left);
    let ours = status.names.into_iter().filter(|name| is_ours(name.state));
    let mut services: Vec<String> = ours.map(|name| name.service).collect();
    if services.is_empty() {
        return None;
    }
    if services.len() > NAME_SERVER_SERVICES_MAX {
        services.clear();
    }
    Some(KeptNameServer {
        name: status.name,
        area: status.area,
        address: status.address,
        zone: status.zone,
        services,
        ttl_seconds,
        plan: status.acknowledged,
        problem: status.problem,
    })
}
