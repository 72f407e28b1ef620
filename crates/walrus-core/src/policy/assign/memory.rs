//! What the assign stage remembers from one round to the next.

use serde::{Deserialize, Serialize};

use super::following::Following;
use super::round::way_step;
use super::{Overload, Reason, Trial};
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
    /// How many requests a query stands for (`stable`), if it was ever measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_a_query: Option<f64>,
    /// When the last round was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_round: Option<Time>,
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
    /// Its clusters with their shares, `present` first, if they are several (`stable`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<(ClusterId, f64)>,
    /// Requests a second that `stable` reckons with; 0 if it never did.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub demand: f64,
    /// The load that it was reckoned to bring to its cluster when it was moved there for load.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub brings: f64,
    /// Its last trial, until it has been well off for long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

impl Pointing {
    /// Where it is to point, once it is at the end of its way: clusters and their shares.
    pub(super) fn target(&self) -> Vec<(ClusterId, f64)> {
        if self.shares.is_empty() {
            self.present.map(|cluster| (cluster, 1.0)).into_iter().collect()
        } else {
            self.shares.clone()
        }
    }

    /// Where it points now.
    pub(super) fn mixture(&self) -> Vec<(ClusterId, f64)> {
        let mut mixture = self.target();
        let Some(way) = self.transition.as_ref().filter(|_| !mixture.is_empty()) else {
            return mixture;
        };
        mixture.iter_mut().for_each(|(_, share)| *share *= way.share);
        for (cluster, share) in way.shares_before() {
            add_share(&mut mixture, cluster, share * (1.0 - way.share));
        }
        mixture
    }

    /// For policies that know no shares, after a reload that changed the policy.
    pub(super) fn forget_shares(&mut self) {
        self.shares.clear();
        self.transition = self.transition.take().filter(|way| way.from_shares.is_empty());
    }

    /// Leaves clusters out of its shares that do not fit, and whatever is no share at all.
    pub(crate) fn keep_shares(&mut self, fits: impl Fn(ClusterId) -> bool) {
        if self.shares.is_empty() {
            return;
        }
        self.shares.retain(|(cluster, share)| fits(*cluster) && *share > 0.0 && *share <= 1.0);
        let sum: f64 = self.shares.iter().map(|(_, share)| share).sum();
        if (sum - 1.0).abs() > 1e-9 {
            self.shares.iter_mut().for_each(|(_, share)| *share /= sum);
        }
        self.present = self.shares.first().map(|(cluster, _)| *cluster);
        if self.shares.len() < 2 {
            self.shares.clear();
        }
    }
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// An area that goes home by shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// Where it came from; keeps the rest of the share.
    pub from: ClusterId,
    /// Since when it has the share that it has, or was last held up.
    pub since: Time,
    /// The share of the present cluster, or of all present ones together, between 0 and 1.
    pub share: f64,
    /// How the rest is split, if it is (`stable`); they add up to 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_shares: Vec<(ClusterId, f64)>,
}

impl Transition {
    /// Where it comes from: clusters with their shares of the rest.
    pub(crate) fn shares_before(&self) -> Vec<(ClusterId, f64)> {
        if self.from_shares.is_empty() { vec![(self.from, 1.0)] } else { self.from_shares.clone() }
    }
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
    /// The clusters, as configured, of services with `assign = "all"`, which give out their servers all
    /// together; empty for all other services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub everywhere: Vec<ClusterId>,
    /// Servers that went above and have not yet fallen far enough, in order.
    pub servers: Vec<ServerId>,
    /// Those of them that are left out of answers, in order: the others can bear it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<ServerId>,
    /// Those that could not be given out, in order: not of the best rank among those that share their clients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<ServerId>,
    /// Those whose clients have not followed the answers yet, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub following: Vec<Following>,
    /// For how many rounds in a row each cluster had a server far enough below (A7), by cluster.
    pub rounds_below: Vec<u32>,
    /// Clusters without any server below the threshold, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overloads: Vec<(ClusterId, Overload)>,
}

/// Adds to a cluster's share.
pub(super) fn add_share(shares: &mut Vec<(ClusterId, f64)>, cluster: ClusterId, share: f64) {
    match shares.iter_mut().find(|(of, _)| *of == cluster) {
        Some((_, sum)) => *sum += share,
        None => shares.push((cluster, share)),
    }
}
