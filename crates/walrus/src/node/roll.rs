//! Moves keys on: tells the name server what each key does, and asks the parents for what they show.

use std::sync::Arc;

use tokio::task::JoinSet;
use walrus_core::dnssec::rollover::ParentView;
use walrus_core::world::Generator;
use walrus_dns::DomainName;
use walrus_host::parent;

use super::Node;

/// Parents that are asked at once.
const ASKED_AT_ONCE: usize = 8;

/// Until the node stops. Where no name server runs, nothing is signed, and keys stay as they are.
pub(super) async fn run(node: Arc<Node>) {
    let Some(director) = node.director().cloned() else { return };
    let mut generator = Generator::new(node.seed.for_part("keys"));
    loop {
        let (keys, director) = (node.keys().clone(), director.clone());
        let busy = node.clock.activity().begin();
        if tokio::task::spawn_blocking(move || keys.tell(&director)).await.is_err() {
            // A panic there has been told of; keys stay as they are.
            return;
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
                shown(&node, zone, view, generator.share()).await;
            }
        }
        node.keys().changed().await;
    }
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
