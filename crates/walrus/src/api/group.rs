//! The group in `GET /status` and `/metrics`: the Controllers, who hears whom, and the connection
//! that carries it.

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_core::control::{GroupStatus, PeerStatus};
use walrus_core::world::{Override, OverrideState};
use walrus_host::bus::BusStatus;

use super::clocks::ClockView;
use super::status::{NumberView, ProblemView};

/// The group of Controllers, as this one sees it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct GroupView {
    /// Its own join number: the lowest that is heard is master; absent while it listens for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) joined: Option<u64>,
    /// Whom it takes for the master; absent while it does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) master: Option<String>,
    /// Whether that is itself.
    pub(crate) is_master: bool,
    /// Whether it knows how servers fare.
    pub(crate) hears: bool,
    /// Whether it is cut off from its peers and from more than half of all servers, so that those
    /// count as unknown and not as dead.
    pub(crate) cut_off: bool,
    /// The Controllers that all hear each other, itself among them.
    pub(crate) side: Vec<String>,
    /// All others that were heard of late.
    pub(crate) peers: Vec<PeerView>,
    /// Another Controller has the same name: which of the two goes on, and what to do. Absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) twin: Option<String>,
    /// Drains that different sides set differently while they did not hear each other.
    pub(crate) conflicts: Vec<ConflictView>,
}

/// Another Controller.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PeerView {
    /// Its name.
    pub(crate) name: String,
    /// Its join number.
    pub(crate) joined: u64,
    /// Whether it was heard within the detection time.
    pub(crate) heard: bool,
    /// Since it was heard last, in milliseconds.
    pub(crate) age_ms: u64,
    /// It is heard, but has not shown that it hears this one: only one direction works, or it is dead and somebody repeats what it
    /// said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unproved: bool,
    /// Whether it knows how servers fare.
    pub(crate) hears: bool,
    /// Whether it hears this Controller.
    pub(crate) hears_this: bool,
    /// The Controllers that it hears.
    pub(crate) hears_peers: Vec<String>,
    /// The highest Plan that it knows of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<NumberView>,
    /// Whether its drains are the same as here.
    pub(crate) same_overrides: bool,
    /// Its program's version.
    pub(crate) program: String,
}

/// A drain that two sides set differently.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ConflictView {
    /// `server NAME` or `cluster NAME`.
    pub(crate) target: String,
    /// The Controller whose word holds.
    pub(crate) kept_by: String,
    /// The Controller whose word does not.
    pub(crate) lost_by: String,
    /// What holds; absent from programs that do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<SetView>,
    /// What was wanted elsewhere, and does not hold; likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lost: Option<SetView>,
    /// Since it was found, in milliseconds.
    pub(crate) age_ms: u64,
}

/// What was wanted of a server or cluster, at one Controller.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SetView {
    /// Whether it was to be drained, or else that it no longer be.
    pub(crate) drained: bool,
    /// How often this was changed until then, anywhere.
    pub(crate) revision: u64,
    /// The operator who wanted it; absent for whoever has that node's own token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operator: Option<String>,
    /// When, Unix milliseconds, by that Controller's clock.
    pub(crate) set_unix_ms: u64,
}

impl SetView {
    fn of(entry: &Override) -> Self {
        Self {
            drained: entry.state == OverrideState::Drained,
            revision: entry.revision,
            operator: entry.by.as_ref().map(ToString::to_string),
            set_unix_ms: entry.set_unix_ms,
        }
    }

    /// `drained` or `undrained`.
    pub(crate) const fn verb(&self) -> &'static str {
        if self.drained { "drained" } else { "undrained" }
    }
}

/// The connection to the group over NATS.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BusView {
    /// The NATS server that is connected to; absent without a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
    /// For how long there has been a connection, or none, in milliseconds.
    pub(crate) since_ms: u64,
    /// How long ago a Controller was heard over it, in milliseconds: how stale this node may be. Absent
    /// if none ever was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heard_ms: Option<u64>,
    /// What is wrong and what to do.
    pub(crate) problems: Vec<String>,
    /// Controllers and Directors whose clocks are far from this node's; absent if none is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) clocks: Vec<ClockView>,
    /// Connections made.
    pub(crate) connections: u64,
    /// Messages sent.
    pub(crate) sent: u64,
    /// ... that could not be sent: no connection, or a full queue.
    pub(crate) unsent: u64,
    /// Messages taken in.
    pub(crate) received: u64,
    /// ... that were lost because this node was too slow.
    pub(crate) missed: u64,
    /// ... whose sender is not who it says, or may not say this.
    pub(crate) forged: u64,
    /// ... that were heard before.
    pub(crate) replayed: u64,
    /// ... that are none, or of a version that is not understood.
    pub(crate) garbage: u64,
    /// ... of kinds that are not known here.
    pub(crate) unknown_kinds: u64,
    /// ... of a second node with the name of another.
    pub(crate) twins: u64,
}

impl GroupView {
    pub(crate) fn of(status: &GroupStatus) -> Self {
        let conflicts = status.conflicts.iter().map(|conflict| ConflictView {
            target: conflict.target.to_string(),
            kept_by: conflict.kept.id.to_string(),
            lost_by: conflict.lost.id.to_string(),
            kept: Some(SetView::of(&conflict.kept)),
            lost: Some(SetView::of(&conflict.lost)),
            age_ms: conflict.age_ms,
        });
        Self {
            joined: status.joined,
            master: status.master.as_ref().map(ToString::to_string),
            is_master: status.is_master,
            hears: status.hears,
            cut_off: status.cut_off,
            side: status.side.iter().map(ToString::to_string).collect(),
            peers: status.peers.iter().map(PeerView::of).collect(),
            twin: status.twin.clone(),
            conflicts: conflicts.collect(),
        }
    }
}

impl PeerView {
    fn of(peer: &PeerStatus) -> Self {
        Self {
            name: peer.name.to_string(),
            joined: peer.joined,
            heard: peer.heard,
            age_ms: peer.age_ms,
            unproved: peer.unproved,
            hears: peer.hears,
            hears_this: peer.hears_this,
            hears_peers: peer.hears_peers.iter().map(ToString::to_string).collect(),
            plan: peer.plan.as_ref().map(NumberView::from),
            same_overrides: peer.same_overrides,
            program: peer.program.clone(),
        }
    }
}

impl BusView {
    pub(crate) fn of(status: BusStatus) -> Self {
        let ms = |it: std::time::Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
        let counters = status.counters;
        Self {
            server: status.server,
            since_ms: ms(status.since),
            heard_ms: status.heard.map(ms),
            problems: status.problems,
            clocks: status.clocks.into_iter().map(ClockView::from).collect(),
            connections: counters.connections,
            sent: counters.sent,
            unsent: counters.unsent,
            received: counters.received,
            missed: counters.missed,
            forged: counters.forged,
            replayed: counters.replayed,
            garbage: counters.garbage,
            unknown_kinds: counters.unknown_kinds,
            twins: counters.twins,
        }
    }

    /// What is wrong, among a node's problems.
    pub(crate) fn problems(&self) -> impl Iterator<Item = ProblemView> {
        self.problems.iter().map(|text| ProblemView {
            kind: "group".to_owned(),
            subject: "nats".to_owned(),
            text: text.clone(),
        })
    }
}

/// What a Controller of a group adds to its metrics.
pub(super) fn register_group(registry: &mut Registry, group: &GroupView) {
    let mut gauge = |name: &str, help: &str, value: i64| {
        registry.register(name, help, ConstGauge::new(value));
    };
    gauge("group_master", "1 while this Controller is master", group.is_master.into());
    gauge("group_cut_off", "1 while it is cut off from most servers", group.cut_off.into());
    let heard = group.peers.iter().filter(|peer| peer.heard).count();
    gauge("group_peers_heard", "Other Controllers that are heard", number(heard));
    let conflicts = number(group.conflicts.len());
    gauge("group_conflicts", "Drains that sides set differently", conflicts);
}

/// The connection's metrics, on every node of a group.
pub(super) fn register_bus(registry: &mut Registry, bus: &BusView) {
    let connected = i64::from(bus.server.is_some());
    registry.register("bus_connected", "1 with a NATS server", ConstGauge::new(connected));
    if let Some(heard_ms) = bus.heard_ms {
        let seconds = heard_ms as f64 / 1000.0;
        let help = "Since a Controller was heard over NATS";
        registry.register("bus_heard_seconds", help, ConstGauge::new(seconds));
    }
    let mut counter = |name: &str, help: &str, value: u64| {
        registry.register(name, help, ConstCounter::new(value));
    };
    counter("bus_connections", "Connections made to NATS servers", bus.connections);
    counter("bus_sent", "Messages sent over NATS", bus.sent);
    counter("bus_unsent", "Messages that could not be sent", bus.unsent);
    counter("bus_received", "Messages taken in over NATS", bus.received);
    counter("bus_missed", "Messages lost because this node was too slow", bus.missed);
    counter("bus_forged", "Messages whose sender is not who it says", bus.forged);
    counter("bus_replayed", "Messages heard before", bus.replayed);
    counter("bus_garbage", "Messages that are none of Walrus", bus.garbage);
    counter("bus_unknown_kinds", "Messages of unknown kinds", bus.unknown_kinds);
    counter("bus_twins", "Messages of a second node of one name", bus.twins);
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
