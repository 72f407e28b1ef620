//! The group in `walrus status`: the connection in a line, the Controllers in a table.

use crate::api::group::{BusView, ConflictView, GroupView, PeerView};
use crate::api::status::DirectorView;
use crate::output::{Table, on_a_line};

/// How the connection stands, and how stale this node may be.
pub(super) fn line(bus: &BusView) -> String {
    let seconds = |ms: u64| ms as f64 / 1000.0;
    let link = match &bus.server {
        Some(server) => format!("connected to {server} for {:.0} s", seconds(bus.since_ms)),
        None => format!("no connection for {:.0} s", seconds(bus.since_ms)),
    };
    let heard = match bus.heard_ms {
        Some(ms) => format!("a Controller was heard {:.1} s ago", seconds(ms)),
        None => "no other Controller was heard yet".to_owned(),
    };
    let refused = bus.forged + bus.garbage + bus.twins + bus.replayed;
    let refused = match refused {
        0 => String::new(),
        _ => format!(", {refused} messages not believed"),
    };
    format!("group over NATS: {link}, {heard}{refused}\n")
}

/// A line for each drain that two sides set differently.
pub(super) fn conflicts(group: &GroupView) -> String {
    let mut text = String::new();
    for ConflictView { target, kept_by, lost_by, kept, lost, .. } in &group.conflicts {
        let told = match (kept, lost) {
            (Some(kept), Some(lost)) => format!(
                "{target} is {}, as {kept_by} wants it; {lost_by} wanted it {} and did not know of that: drain or \
                 undrain it anew",
                kept.verb(),
                lost.verb(),
            ),
            _ => format!(
                "{target}: {kept_by} and {lost_by} said different things apart from each other; {kept_by}'s word \
                 holds"
            ),
        };
        text.push_str(&format!("CONFLICT: {}\n", on_a_line(&told)));
    }
    text
}

/// This Controller and all others.
pub(super) fn controllers(node: &str, group: &GroupView) -> String {
    let mut table =
        Table::new(&["controller", "joined", "state", "heard", "hears", "Plan", "drains"]);
    let state = |name: &str, heard: bool| match (group.master.as_deref() == Some(name), heard) {
        (true, _) => "master",
        (false, true) => "standby",
        (false, false) => "not heard",
    };
    let of_peer = |peer: &PeerView| {
        let state = state(&peer.name, peer.heard);
        if peer.unproved { format!("{state}, in doubt") } else { state.to_owned() }
    };
    let peers = group.peers.iter().filter(|peer| peer.heard).map(|peer| peer.name.as_str());
    table.row([
        node.to_owned(),
        group.joined.map_or_else(|| "-".to_owned(), |joined| joined.to_string()),
        if group.cut_off { "cut off" } else { state(node, true) }.to_owned(),
        "this one".to_owned(),
        peers.collect::<Vec<_>>().join(", "),
    ]);
    for peer in &group.peers {
        table.row([
            peer.name.clone(),
            peer.joined.to_string(),
            of_peer(peer),
            format!("{:.1} s ago", peer.age_ms as f64 / 1000.0),
            peer.hears_peers.join(", "),
            peer.plan.as_ref().map(ToString::to_string).unwrap_or_default(),
            if peer.same_overrides { "same" } else { "differ" }.to_owned(),
        ]);
    }
    table.render()
}

/// Name servers that follow the group's Plans.
pub(super) fn directors(directors: &[DirectorView]) -> String {
    let mut table = Table::new(&["director", "state", "heard", "Plan"]);
    for director in directors {
        table.row([
            director.name.clone(),
            if director.silent { "not heard" } else { "heard" }.to_owned(),
            format!("{:.1} s ago", director.age_ms as f64 / 1000.0),
            director.plan.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        ]);
    }
    table.render()
}
