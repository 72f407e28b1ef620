//! Moves keys on: tells the name server what each key does, and asks the parents for what they show.

use std::sync::Arc;

use tokio::task::JoinSet;
use walrus_core::dnssec::rollover::ParentView;
use walrus_director::ReloadError;
use walrus_dns::DomainName;
use walrus_host::parent;

use super::Node;
use super::ask::reload_director;

/// Parents that are asked at once.
const ASKED_AT_ONCE: usize = 8;

/// Until the node stops. Where no name server runs, nothing is signed, and keys stay as they are.
pub(super) async fn run(node: Arc<Node>) {
    if node.director().is_none() {
        return;
    }
    let mut chance = node.seed.for_part("keys");
    loop {
        let keys = node.keys().clone();
        let busy = node.clock.activity().begin();
        let Ok(changes) = tokio::task::spawn_blocking(move || keys.advance()).await else { return };
        for change in changes {
            if !tell(&node, change).await {
                return;
            }
        }
        drop(busy);
        let (zones, servers) = node.keys().parents_due();
        for zones in zones.chunks(ASKED_AT_ONCE) {
            let mut looks = JoinSet::new();
            for zone in zones {
                let (zone, servers) = (zone.clone(), servers.clone());
                looks.spawn(async move { (parent::look(&zone, &servers).await, zone) });
            }
            while let Some(look) = looks.join_next().await {
                let Ok((view, zone)) = look else { continue };
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let share = (chance >> 11) as f64 / (1_u64 << 53) as f64;
                shown(&node, zone, view, share).await;
            }
        }
        node.keys().changed().await;
    }
}

/// The name server signs with what changed; tells whether the node goes on.
async fn tell(node: &Arc<Node>, change: super::keys::Change) -> bool {
    let node = node.clone();
    let told = tokio::task::spawn_blocking(move || {
        let Some(director) = node.director() else { return };
        let keys = (change.keys.clone(), change.pairs.clone());
        let done = match director.set_keys(&change.zone, keys.0, keys.1) {
            // Its first keys have come after the start.
            Err(ReloadError::NotSigned(_)) => reload_director(director, node.keys(), node.loaded()),
            done => done,
        };
        match done {
            Ok(()) => node.keys().served(&change),
            Err(error) => {
                let error = walrus_host::log::chain(&error);
                tracing::error!(zone = %change.zone, "answers are signed as before: {error}");
            }
        }
    });
    told.await.is_ok()
}

async fn shown(
    node: &Arc<Node>,
    zone: DomainName,
    view: Result<ParentView, parent::ParentError>,
    chance: f64,
) {
    let keys = node.keys().clone();
    let view = view.map_err(|error| walrus_host::log::chain(&error));
    let _ = tokio::task::spawn_blocking(move || keys.parent_shows(&zone, view, chance)).await;
}
