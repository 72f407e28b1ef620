//! What the assign stage remembers from one round to the next.

use serde::{Deserialize, Serialize};

use super::Reason;
use super::round::way_step;
use crate::world::{ClusterId, ServerId, Time, Topology};

/// Remembered for all (service, area) pairs. By id, so it holds for one topology only;
/// [`crate::plan::Memory::carry`] takes it over to another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AssignMemory {
    /// Where each pair points, at `service * areas + area`. Empty before the first round.
    pub pointing: Vec<Pointing>,
    /// Servers above a threshold (A13) and rounds below it (A7), an entry for each pair of
    /// threshold and hysteresis that some service has.
    pub over: Vec<OverThreshold>,
}

/// Where one (service, area) points.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pointing {
    /// The cluster that it is assigned to; `None` if it never was (or with `assign = "all"`).
    pub present: Option<ClusterId>,
    /// When it was last moved; balancing lets it stand for its TTL (A23).
    pub moved: Option<Time>,
    /// That move was forced by death, BYPASS, PANIC or drain.
    pub forced: bool,
    /// What decided it; kept while nothing moves it. `None` after a restart.
    pub reason: Option<Reason>,
    /// A way home that is not yet at its end.
    pub transition: Option<Transition>,
}

/// An area that goes home by shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// Where it came from; keeps the rest of the share.
    pub from: ClusterId,
    /// Since when it has the share that it has, or was last held up.
    pub since: Time,
    /// The share of the present cluster, between 0 and 1.
    pub share: f64,
}

impl AssignMemory {
    /// When the next step of a way home is due. To be asked after each decision.
    #[must_use]
    pub fn next_step(&self, topology: &Topology) -> Option<Time> {
        let areas = topology.areas.len().max(1);
        let steps = self.pointing.iter().enumerate().filter_map(|(pair, pointing)| {
            let way = pointing.transition.as_ref()?;
            let ramp = topology.services.get(pair / areas)?.ramp;
            Some(way_step(ramp).map_or(way.since, |step| way.since + step))
        });
        steps.min()
    }
}

/// What is remembered under one threshold and hysteresis; services with the same share it,
/// because loads belong to servers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverThreshold {
    /// The load above which a server takes no new clients.
    pub threshold: f64,
    /// How far below it a server must fall to be used again.
    pub hysteresis: f64,
    /// Servers that went above and have not yet fallen far enough, in order.
    pub servers: Vec<ServerId>,
    /// For how many rounds in a row each cluster had a server far enough below (A7), by cluster.
    pub rounds_below: Vec<u32>,
}
