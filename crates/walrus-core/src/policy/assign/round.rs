//! What all (service, area) pairs of one round share: how everything stands, and who took what.

use super::brought::Brought;
use super::standing::{EPSILON, Standing};
use super::walrus::notify_problems::{Rank, rank_servers};
use super::{
    AssignInput, AssignMemory, Assignments, Cause, OverThreshold, Place, Pointing, Reason,
    Transition,
};
use crate::world::{AssignPolicy, ClusterId, Service};
use std::collections::BTreeMap;
use std::time::Duration;

/// A way home has this many steps, each a new Plan; as many as a server's return.
const STEPS: u32 = 10;

/// The share of a home before the first step.
const FIRST_SHARE: f64 = 0.05;

/// One round of decisions.
#[derive(Debug)]
pub(super) struct RoundContext<'a> {
    pub(super) input: &'a AssignInput<'a>,
    /// How many areas there are; a pair is `service * areas + area`.
    pub(super) areas: usize,
    pub(super) standings: Vec<Standing>,
    pub(super) class_of: Vec<usize>,
    pub(super) server_ranks: Vec<Option<Rank>>,
    pub(super) cluster_ranks: Vec<Option<Rank>>,
    pub(super) service_ranks: Vec<Option<Rank>>,
    /// Whether a service is on a cluster, at `service * clusters + cluster`.
    serves: Vec<bool>,
    /// By pair, where it points now; changed as the round goes on.
    pub(super) pointing: Vec<Pointing>,
    /// By pair, whether this round has settled it.
    pub(super) settled: Vec<bool>,
    /// Clusters that phase two, three or four assigned to some area in this round (A4).
    pub(super) taken: Vec<bool>,
    /// Clusters that any phase added an area to, or that one was forced to of which no load tells yet. What
    /// it brings is not measured, so phase four adds none to them: at most one each, over all services.
    pub(super) received: Vec<bool>,
    /// By cluster: the load that those will bring whose move there does not show in its load yet.
    pub(super) arriving: Vec<f64>,
    /// By class, where the round robin of phase three goes on (A11).
    pub(super) turn: Vec<usize>,
    /// How many requests a query stands for (`stable`).
    pub(super) requests_a_query: Option<f64>,
    /// By pair, whether the loads of this round show where it points.
    measured: Vec<bool>,
    /// What the loads of this round are made of.
    pub(super) brought: Brought,
}

impl<'a> RoundContext<'a> {
    pub(super) fn new(input: &'a AssignInput<'a>) -> Self {
        let topology = input.topology;
        let (clusters, areas) = (topology.clusters.len(), topology.areas.len());
        let server_ranks = rank_servers(topology, input.conditions);
        let best = |ranks: &mut dyn Iterator<Item = Option<Rank>>| ranks.flatten().min();
        let cluster_ranks: Vec<Option<Rank>> = topology
            .clusters
            .iter()
            .map(|c| best(&mut c.servers.iter().map(|id| server_ranks[id.index()])))
            .collect();
        let mut serves = vec![false; topology.services.len() * clusters];
        for (service, of) in topology.services.iter().enumerate() {
            for cluster in &of.clusters {
                serves[service * clusters + cluster.index()] = true;
            }
        }
        let service_ranks = topology
            .services
            .iter()
            .map(|s| best(&mut s.clusters.iter().map(|id| cluster_ranks[id.index()])))
            .collect();
        let (standings, class_of) = standings(input, &server_ranks);
        let pairs = topology.services.len() * areas;
        let mut pointing = input.memory.pointing.clone();
        pointing.resize(pairs, Pointing::default());
        for (pair, pointing) in pointing.iter_mut().enumerate() {
            let service = &serves[pair / areas * clusters..][..clusters];
            forget_what_is_gone(pointing, service);
            if topology.services[pair / areas].assign != AssignPolicy::Stable {
                pointing.forget_shares();
            }
        }
        let measured: Vec<bool> =
            (0..pairs).map(|pair| is_measured(input, pair, &pointing[pair])).collect();
        let mut received = vec![false; clusters];
        // Of what they bring nothing is known: their clusters were not measured when they left.
        let forced = pointing.iter().zip(&measured).filter(|(it, seen)| it.forced && !**seen);
        for cluster in forced.filter_map(|(it, _)| it.present) {
            received.get_mut(cluster.index()).into_iter().for_each(|it| *it = true);
        }
        Self {
            brought: Brought::new(topology, input.area_hits, (&pointing, &measured)),
            arriving: arriving(clusters, &pointing, &measured),
            measured,
            input,
            areas,
            turn: vec![0; standings.len()],
            standings,
            class_of,
            server_ranks,
            cluster_ranks,
            service_ranks,
            serves,
            pointing,
            settled: vec![false; pairs],
            taken: vec![false; clusters],
            received,
            requests_a_query: input.memory.requests_a_query,
        }
    }

    // ---- Questions ---------------------------------------------------------------------------

    pub(super) fn is_round(&self) -> bool {
        self.input.cause == Cause::Round
    }

    pub(super) fn service(&self, pair: usize) -> &'a Service {
        &self.input.topology.services[pair / self.areas]
    }

    pub(super) fn standing(&self, pair: usize) -> &Standing {
        &self.standings[self.class_of[pair / self.areas]]
    }

    /// Whether a pair's service can be had from this cluster: it serves it and has servers of the
    /// best rank that the service has anywhere.
    pub(super) fn functions(&self, pair: usize, cluster: ClusterId) -> bool {
        let service = pair / self.areas;
        let clusters = self.cluster_ranks.len();
        let serves =
            cluster.index() < clusters && self.serves[service * clusters + cluster.index()];
        serves
            && self.service_ranks[service].is_some()
            && self.cluster_ranks[cluster.index()] == self.service_ranks[service]
    }

    /// Whether it has a functioning server below the threshold.
    pub(super) fn has_room(&self, pair: usize, cluster: ClusterId) -> bool {
        self.functions(pair, cluster) && self.standing(pair).clusters[cluster.index()].below
    }

    /// The cluster that the pair is at home at, if it functions.
    pub(super) fn home(&self, pair: usize) -> Option<ClusterId> {
        let home = self.service(pair).homes.get(pair % self.areas).copied().flatten()?;
        self.functions(pair, home).then_some(home)
    }

    /// Where the pair points, if that functions.
    pub(super) fn present(&self, pair: usize) -> Option<ClusterId> {
        self.pointing[pair].present.filter(|cluster| self.functions(pair, *cluster))
    }

    /// Whether the last move has reached those who cache answers (A23). Where the TTL is adaptive,
    /// the mean is waited for: the domains that cache for longer are those that ask least.
    pub(super) fn has_dwelt(&self, pair: usize) -> bool {
        let ttl = Duration::from_secs(u64::from(self.service(pair).ttl.seconds_mean()));
        self.pointing[pair].moved.is_none_or(|moved| self.input.now.since(moved) >= ttl)
    }

    /// Whether the loads of this round show where the pair points: its last move has been out for a TTL, and
    /// for a whole round. Reports tell of the time behind them.
    pub(super) fn is_measured(&self, pair: usize) -> bool {
        self.measured[pair]
    }

    /// Whether measurement may move areas: not with mere remains, nor between two rounds.
    pub(super) fn may_balance(&self, pair: usize) -> bool {
        let rank = self.service_ranks[pair / self.areas];
        self.is_round() && matches!(rank, Some(Rank::Living | Rank::Standby))
    }

    /// A8: whether a load is significantly better than the present one, to pay for the change.
    pub(super) fn is_better(&self, pair: usize, present: f64, load: f64) -> bool {
        let service = self.service(pair);
        load <= present * (1.0 - service.better_ratio) + EPSILON
            && present - load >= service.better_by - EPSILON
    }

    /// Queries a second of the pair's clients.
    pub(super) fn hits(&self, pair: usize) -> f64 {
        self.input.area_hits.get(pair).copied().filter(|hits| hits.is_finite()).unwrap_or(0.0)
    }

    // ---- Settling ----------------------------------------------------------------------------

    /// Leaves the pair where it is. Between two rounds the reason stays what it was.
    pub(super) fn stay(&mut self, pair: usize, reason: Reason) {
        let is_round = self.is_round();
        let pointing = &mut self.pointing[pair];
        pointing.reason = match pointing.reason {
            Some(before) if !is_round && !is_last(before) => Some(before),
            _ => Some(reason),
        };
        self.settled[pair] = true;
    }

    /// Moves the pair at once.
    pub(super) fn send(&mut self, pair: usize, cluster: ClusterId, reason: Reason) {
        let now = self.input.now;
        let brings = self.brought(pair, cluster).or_else(|| self.brings_from(pair, cluster));
        let brings = brings.unwrap_or(0.0);
        let pointing = &mut self.pointing[pair];
        if pointing.present != Some(cluster) {
            self.received[cluster.index()] = true;
            self.arriving[cluster.index()] += brings;
        }
        // What pointed nowhere was not moved: nobody caches an answer of it.
        let moved = pointing.present.map(|_| now);
        self.measured[pair] &= moved.is_none();
        *pointing = Pointing {
            present: Some(cluster),
            moved,
            forced: reason.is_forced(),
            reason: Some(reason),
            transition: None,
            shares: Vec::new(),
            demand: pointing.demand,
            brings,
            trial: pointing.trial.take(),
        };
        self.settled[pair] = true;
    }

    /// Moves the pair to these clusters, the first of which it likes best; gradually if wanted and
    /// its service has a ramp.
    pub(super) fn send_shares(
        &mut self,
        pair: usize,
        shares: Vec<(ClusterId, f64)>,
        reason: Reason,
        gradually: bool,
    ) {
        let Some((first, _)) = shares.first().copied() else { return };
        let before = self.pointing[pair].mixture();
        let functions = before.iter().all(|(cluster, _)| self.functions(pair, *cluster));
        self.send(pair, first, reason);
        for (cluster, _) in &shares {
            self.received[cluster.index()] |= before.iter().all(|(of, _)| of != cluster);
        }
        if shares.len() > 1 {
            self.pointing[pair].shares = shares;
        }
        let on_a_way = gradually && functions && !self.service(pair).ramp.is_zero();
        if let Some((from, _)) = before.first().filter(|_| on_a_way) {
            let (from, since, share) = (*from, self.input.now, FIRST_SHARE);
            self.pointing[pair].transition =
                Some(Transition { from, since, share, from_shares: before });
        }
    }

    /// Moves the pair by shares, if its service wants that.
    pub(super) fn send_gradually(&mut self, pair: usize, cluster: ClusterId, reason: Reason) {
        let from = self.present(pair).filter(|_| !self.service(pair).ramp.is_zero());
        self.send(pair, cluster, reason);
        let since = self.input.now;
        self.pointing[pair].transition = from.map(|from| Transition {
            from,
            since,
            share: FIRST_SHARE,
            from_shares: Vec::new(),
        });
    }

    /// Takes the pair as many steps further on its way home as are due, if it is on one. Unlike
    /// moves, steps do not wait for rounds: a way shorter than a round would else be a leap.
    pub(super) fn follow_transition(&mut self, pair: usize) {
        let Some(way) = self.pointing[pair].transition.clone() else { return };
        let Some(present) = self.present(pair) else { return };
        let comes_from = way.shares_before();
        let waits_for_room = match self.service(pair).assign {
            AssignPolicy::Walrus | AssignPolicy::Nearest | AssignPolicy::All => true,
            AssignPolicy::Failover | AssignPolicy::Stable => false,
        };
        self.pointing[pair].transition = if !comes_from.iter().all(|it| self.functions(pair, it.0))
        {
            None
        } else if !waits_for_room || self.has_room(pair, present) {
            self.go_on(pair, way)
        } else {
            // The way waits; its next step is a step's time after there is room again.
            Some(Transition { since: self.input.now, ..way })
        };
    }

    /// The way after the steps that are due; `None` at its end.
    fn go_on(&self, pair: usize, way: Transition) -> Option<Transition> {
        let step = way_step(self.service(pair).ramp)?;
        let due = self.input.now.since(way.since).as_nanos() / step.as_nanos().max(1);
        let due = u32::try_from(due).unwrap_or(STEPS).min(STEPS);
        if due == 0 {
            return Some(way);
        }
        let steps = f64::from(STEPS);
        let share = ((way.share * steps + EPSILON).floor() + f64::from(due)) / steps;
        let since = way.since + step * due;
        (share < 1.0).then_some(Transition { share, since, ..way })
    }

    /// A9: nobody functions: whatever was assigned stays.
    pub(super) fn keep_last(&mut self, pair: usize, policy: AssignPolicy) {
        let pointing = &mut self.pointing[pair];
        let pointed = pointing.present.is_some() || policy == AssignPolicy::All;
        pointing.reason = Some(if pointed { Reason::LastUsable } else { Reason::Configured });
        self.settled[pair] = true;
    }

    /// By cluster: whether somebody left it or came in this round.
    fn touched(&self) -> Vec<bool> {
        let mut touched = vec![false; self.cluster_ranks.len()];
        let before = self.input.memory.pointing.iter().map(|pointing| pointing.present);
        for (before, now) in before.chain(std::iter::repeat(None)).zip(&self.pointing) {
            for cluster in [before, now.present].into_iter().filter(|_| before != now.present) {
                let cluster = cluster.and_then(|cluster| touched.get_mut(cluster.index()));
                cluster.into_iter().for_each(|touched| *touched = true);
            }
        }
        touched
    }

    /// Closes the round.
    pub(super) fn finish(self) -> Assignments {
        let touched = self.touched();
        let mut places = Vec::with_capacity(self.pointing.len());
        for (pair, pointing) in self.pointing.iter().enumerate() {
            let mut reason = pointing.reason.unwrap_or(Reason::Unmoved);
            match self.service_ranks[pair / self.areas] {
                None | Some(Rank::Living) => {}
                Some(Rank::Unknown) => reason = Reason::Unseen,
                Some(Rank::Standby | Rank::Drained) => reason = Reason::LastResort,
            }
            let place = match (self.service(pair).assign, pointing.present, &pointing.transition) {
                (AssignPolicy::All, ..) => Place::All,
                (_, None, _) => Place::Nowhere,
                (AssignPolicy::Stable, ..) => match &pointing.mixture()[..] {
                    [(cluster, _)] => Place::One(*cluster),
                    shares => Place::Many(shares.to_vec()),
                },
                (_, Some(to), Some(way)) => Place::Shares { to, from: way.from, share: way.share },
                (_, Some(cluster), None) => Place::One(cluster),
            };
            places.push((place, reason));
        }
        Assignments {
            places,
            memory: AssignMemory {
                pointing: self.pointing,
                over: self.standings.iter().map(|it| it.remember(&touched)).collect(),
                requests_a_query: self.requests_a_query,
                last_round: match self.input.cause {
                    Cause::Round => Some(self.input.now),
                    Cause::Event => self.input.memory.last_round,
                },
            },
            standings: self.standings,
            class_of: self.class_of,
            server_ranks: self.server_ranks,
            cluster_ranks: self.cluster_ranks,
            service_ranks: self.service_ranks,
        }
    }
}

/// See [`RoundContext::arriving`]. Memory may come from outside: what is no load does not count.
fn arriving(clusters: usize, pointing: &[Pointing], measured: &[bool]) -> Vec<f64> {
    let mut arriving = vec![0.0; clusters];
    let brings = |it: &Pointing| it.brings.is_finite() && it.brings > 0.0;
    let pointing = pointing.iter().zip(measured).filter(|(it, measured)| !**measured && brings(it));
    for (pointing, _) in pointing {
        let whole = pointing.present.map(|present| (present, 1.0));
        let shares = pointing.shares.iter().copied();
        for (cluster, share) in shares.chain(whole.filter(|_| pointing.shares.is_empty())) {
            if let Some(sum) = arriving.get_mut(cluster.index()) {
                *sum += pointing.brings * share;
            }
        }
    }
    arriving
}

/// See [`RoundContext::is_measured`].
fn is_measured(input: &AssignInput<'_>, pair: usize, pointing: &Pointing) -> bool {
    let service = &input.topology.services[pair / input.topology.areas.len()];
    let ttl = Duration::from_secs(u64::from(service.ttl.seconds_mean()));
    pointing.moved.is_none_or(|moved| {
        let is_seen = input.memory.last_round.is_none_or(|last| moved < last);
        is_seen && input.now.since(moved) >= ttl
    })
}

/// Memory may come from a journal or from another configuration: what it says of clusters that
/// the service is not on does not count.
fn forget_what_is_gone(pointing: &mut Pointing, serves: &[bool]) {
    let is_there = |cluster: ClusterId| serves.get(cluster.index()).copied().unwrap_or(false);
    pointing.keep_shares(is_there);
    if pointing.present.is_some_and(|present| !is_there(present)) {
        *pointing = Pointing { demand: pointing.demand, ..Pointing::default() };
    }
    let is_share = |(cluster, share): &(ClusterId, f64)| is_there(*cluster) && *share > 0.0;
    let is_way = |way: &Transition| {
        let from = is_there(way.from) && way.from_shares.iter().all(is_share);
        from && way.share > 0.0 && way.share < 1.0
    };
    pointing.transition = pointing.transition.take().filter(is_way);
}

/// The time between two steps of a way that takes `ramp`; `None` if there is no way.
pub(super) fn way_step(ramp: Duration) -> Option<Duration> {
    (!ramp.is_zero()).then(|| (ramp / STEPS).max(Duration::from_nanos(1)))
}

/// A reason that must not outlive the plight that it tells of.
const fn is_last(reason: Reason) -> bool {
    matches!(reason, Reason::LastResort | Reason::Unseen | Reason::LastUsable | Reason::Configured)
}

/// What services of one class have in common.
fn class_key(service: &Service) -> (u64, u64, &[ClusterId]) {
    let everywhere = match service.assign {
        AssignPolicy::All => &service.clusters[..],
        _ => &[],
    };
    (service.threshold.to_bits(), service.hysteresis.to_bits(), everywhere)
}

/// One standing for each class of services, and each service's place among them.
fn standings(input: &AssignInput<'_>, ranks: &[Option<Rank>]) -> (Vec<Standing>, Vec<usize>) {
    let mut classes: BTreeMap<(u64, u64, &[ClusterId]), usize> = BTreeMap::new();
    let mut standings: Vec<Standing> = Vec::new();
    let mut class_of = Vec::new();
    let mut ttls: BTreeMap<_, Duration> = BTreeMap::new();
    for service in &input.topology.services {
        let ttl = Duration::from_secs(service.ttl.seconds_mean().into());
        let longest = ttls.entry(class_key(service)).or_default();
        *longest = ttl.max(*longest);
    }
    for service in &input.topology.services {
        let key = class_key(service);
        let everywhere = key.2;
        let class = *classes.entry(key).or_insert_with(|| {
            let is_past = |past: &&OverThreshold| {
                let limits = (past.threshold.to_bits(), past.hysteresis.to_bits());
                (limits.0, limits.1, &past.everywhere[..]) == key
            };
            let past = input.memory.over.iter().find(is_past);
            let ttl = ttls.get(&key).copied().unwrap_or_default();
            standings.push(Standing::new(
                input.topology,
                input.conditions,
                ranks,
                (service.threshold, service.hysteresis, everywhere),
                past,
                (input.cause == Cause::Round, input.now, ttl),
            ));
            standings.len() - 1
        });
        class_of.push(class);
    }
    (standings, class_of)
}
