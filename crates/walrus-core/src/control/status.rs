//! What a Controller can tell about itself at any time, for `walrus status` and the metrics.

use std::time::Duration;

use serde::Serialize;

use super::Controller;
use super::detect::Health;
use super::servers::Record;
use crate::message::RefusedPlan;
use crate::plan::{DomainDemand, PlanNumber, ServiceDemand};
use crate::world::{
    Cluster, Condition, Digest, Name, Override, Server, ServerId, Target, Time, Topology,
};

/// Of so many servers `status` says in full who sees them how, and for whom a verdict waits; the others are counted. One more
/// takes some kilobytes with 64 vantage points.
const DETAILED_MAX: usize = 50;

/// What is told of a server.
#[derive(Clone, Copy)]
struct Detail {
    /// The word of each vantage point among its sources.
    each_point: bool,
    difference: bool,
    wait: bool,
}

/// All that a Controller knows, at one time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The Controller.
    pub name: Name,
    /// The Plan in force.
    pub plan: PlanNumber,
    /// Digest of the shared configuration in force.
    pub configuration: Digest,
    /// Time until the next round, in milliseconds.
    pub next_round_ms: u64,
    /// All servers, in the order of names.
    pub servers: Vec<ServerStatus>,
    /// All clusters, in the order of names.
    pub clusters: Vec<ClusterStatus>,
    /// All services, in the order of names.
    pub services: Vec<ServiceStatus>,
    /// Directors heard of late.
    pub directors: Vec<DirectorStatus>,
    /// What operators said.
    pub overrides: Vec<(Target, Override)>,
    /// Problems that are open now.
    pub problems: Vec<super::Notice>,
    /// Changes of late, and how much traffic still follows the old answers; the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<super::MoveStatus>,
    /// How many more there were within the last hour that there was no room to follow.
    pub moves_left_out: u64,
    /// For how long they have been followed, in milliseconds: what changed before that is not known.
    pub moves_followed_ms: u64,
    /// Who probes, where there may be several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vantage_points: Vec<super::VantagePointStatus>,
    /// Servers that vantage points see differently, whether each is told of here or not.
    pub seen_differently: usize,
    /// Servers whose verdict by probes waits and would be another one, likewise.
    pub waiting: usize,
    /// The group of Controllers, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<super::GroupStatus>,
    /// What happened since the start.
    pub counters: Counters,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerStatus {
    /// Its name.
    pub name: Name,
    /// Where it stands.
    pub cluster: Name,
    /// What the next decision takes it for.
    pub condition: Condition,
    /// How long it has been in this state of life, in milliseconds.
    pub life_ms: u64,
    /// What each source says; empty if it has none and so counts as up.
    pub sources: Vec<SourceStatus>,
    /// How many vantage points see it how, where there may be several and it is probed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<super::SeenStatus>,
    /// If vantage points see it differently: who how, since when and why. Of the first 50 such servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disagreement: Option<super::DisagreementStatus>,
    /// If its verdict by probes waits and would be another one. Of the first 50 such servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<super::WaitStatus>,
}

/// What one source says about a server, as one observer has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceStatus {
    /// "reporter", or the probe ("http://192.0.2.10/healthz", "tcp 192.0.2.10 port 80").
    pub source: String,
    /// The node that heard it.
    pub observer: Name,
    /// What it says ("statistics", "BYPASS: swapping", "up", "down: connection refused").
    pub says: String,
    /// Age by this Controller's clock, in milliseconds; `None` before the first word.
    pub age_ms: Option<u64>,
    /// By how much the sender's clock is ahead (negative: behind), in milliseconds, the way that
    /// the message took included. Decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skew_ms: Option<i64>,
    /// The reporting unit, or the probe's interval, in milliseconds.
    pub unit_ms: Option<u64>,
    /// A Reporter's session and sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<(u64, u64)>,
    /// The data version that the site set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// One cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterStatus {
    /// Its name.
    pub name: Name,
    /// Its servers that function.
    pub functioning: usize,
    /// All its servers.
    pub servers: usize,
    /// Mean load over those of its functioning servers whose load is known.
    pub load: Option<f64>,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceStatus {
    /// Its domain name.
    pub name: String,
    /// All areas, in the order of names.
    pub areas: Vec<AreaStatus>,
    /// Who asks, as the Plan says it; `None` if no stage wants to know, or nobody asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demand: Option<DemandStatus>,
}

/// Who asks for one service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DemandStatus {
    /// Requests a second of all domains; queries where no server tells of requests.
    pub rate: f64,
    /// Domains that the Plan names.
    pub named: usize,
    /// ... of them hot ones.
    pub hot: usize,
    /// The heaviest, at most [`DemandStatus::HEAVIEST_MAX`], by falling rate.
    pub heaviest: Vec<DomainDemand>,
}

impl DemandStatus {
    /// The most domains that a status names.
    pub const HEAVIEST_MAX: usize = 10;

    fn of(demand: &ServiceDemand) -> Self {
        Self {
            rate: demand.rate,
            named: demand.domains.len(),
            hot: demand.domains.iter().filter(|domain| domain.hot).count(),
            heaviest: demand.domains.iter().take(Self::HEAVIEST_MAX).cloned().collect(),
        }
    }
}

/// Where an area's clients of one service go.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AreaStatus {
    /// Its name.
    pub name: Name,
    /// Clusters with their shares; the first is where the area points.
    pub clusters: Vec<(Name, f64)>,
    /// Worse off than it should be.
    pub degraded: bool,
    /// Which phase or rule decided.
    pub reason: String,
    /// Queries a second, all Directors together.
    pub hits_per_second: f64,
}

/// One Director.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DirectorStatus {
    /// Its name.
    pub name: Name,
    /// The Plan that it said it answers from.
    pub plan: Option<PlanNumber>,
    /// The one that came and that it does not carry out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedPlan>,
    /// Since it was last heard, in milliseconds.
    pub age_ms: u64,
    /// It should have been heard since: it may be dead, cut off, or stand still, and nobody knows what it answers.
    pub is_silent: bool,
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Reports taken in.
    pub reports: u64,
    /// Reports refused, for whatever reason.
    pub reports_refused: u64,
    /// ... of them for an old session or sequence.
    pub reports_stale: u64,
    /// Probes asked for.
    pub probes: u64,
    /// Probes that failed, those whose outcome never came included.
    pub probes_failed: u64,
    /// Probes whose outcome never came, or that found nothing out for want of something here.
    pub probes_lost: u64,
    /// Resolutions of aliases asked for.
    pub resolutions: u64,
    /// ... of them those that failed.
    pub resolutions_failed: u64,
    /// Observations taken in.
    pub observations: u64,
    /// Observations refused.
    pub observations_refused: u64,
    /// Rounds.
    pub rounds: u64,
    /// Decisions between rounds.
    pub events: u64,
    /// Plans published.
    pub plans: u64,
    /// Notices to people.
    pub notices: u64,
}

impl Controller {
    /// All that is known, for people and metrics. `unix_ms` is the caller's clock, by which the
    /// Reporters' skew is told.
    #[must_use]
    pub fn status(&self, now: Time, unix_ms: u64) -> Status {
        let topology = &self.configuration.topology;
        let (mut seen_differently, mut waiting) = (0, 0);
        let servers = self.servers.iter().zip(&topology.servers).zip((0..).map(ServerId));
        let servers = servers.map(|((record, server), id)| {
            seen_differently += usize::from(self.vantage.differ_since(id).is_some());
            waiting += usize::from(record.held_back.is_some());
            let detail = Detail {
                each_point: false,
                difference: seen_differently <= DETAILED_MAX,
                wait: waiting <= DETAILED_MAX,
            };
            self.server_status((id, record, server), detail, now, unix_ms)
        });
        let servers: Vec<ServerStatus> = servers.collect();
        Status {
            seen_differently,
            waiting,
            name: self.name.clone(),
            plan: self.number(),
            configuration: self.configuration.digest.clone(),
            next_round_ms: millis(self.next_round.since(now)),
            clusters: clusters(topology, &servers),
            servers,
            services: self.services(now),
            directors: self
                .demand
                .directors(now)
                .map(|(name, director)| DirectorStatus {
                    name: name.clone(),
                    plan: director.plan.clone(),
                    refused: director.refused.clone(),
                    age_ms: millis(now.since(director.heard_at)),
                    is_silent: director.is_silent,
                })
                .collect(),
            overrides: self
                .overrides
                .iter()
                .map(|(target, entry)| (target.clone(), entry.clone()))
                .collect(),
            problems: self.notices.open().collect(),
            moves: self.moves.status(now),
            moves_left_out: self.moves.left_out(now),
            moves_followed_ms: millis(now.since(self.moves.begun())),
            vantage_points: match self.group {
                Some(_) => self.vantage.status(now),
                None => Vec::new(),
            },
            group: self.group_status(now),
            counters: self.counters,
        }
    }

    /// All that is known of one server, with what each vantage point says of it.
    #[must_use]
    pub fn status_of(&self, server: &Name, now: Time, unix_ms: u64) -> Option<ServerStatus> {
        let topology = &self.configuration.topology;
        let id = topology.server(server.as_str())?;
        let place = (id, self.servers.get(id)?, topology.servers.get(id.index())?);
        let detail = Detail { each_point: true, difference: true, wait: true };
        Some(self.server_status(place, detail, now, unix_ms))
    }

    fn server_status(
        &self,
        (id, record, server): (ServerId, &Record, &Server),
        detail: Detail,
        now: Time,
        unix_ms: u64,
    ) -> ServerStatus {
        let probe = server.probe.as_ref();
        let down_when = probe.map(|probe| probe.down_when).unwrap_or_default();
        let mut sources = self.sources((id, record), now, unix_ms);
        if detail.each_point {
            sources.extend(self.vantage.sources(id, now));
        }
        let differs = || self.vantage.disagreement(id, down_when, now);
        let waits = || Some(self.vantage.wait((id, record.held_back?), probe?, now));
        let topology = &self.configuration.topology;
        ServerStatus {
            name: record.name.clone(),
            cluster: topology.clusters[server.cluster.index()].name.clone(),
            condition: self.with_alias(id, record.condition(&self.configuration.control, now)),
            life_ms: millis(now.since(record.life_since)),
            sources,
            seen: self.group.as_ref().and(probe).map(|_| self.vantage.seen(id)),
            disagreement: if detail.difference { differs() } else { None },
            wait: if detail.wait { waits() } else { None },
        }
    }

    fn sources(
        &self,
        (id, record): (ServerId, &Record),
        now: Time,
        unix_ms: u64,
    ) -> Vec<SourceStatus> {
        let age = |at: Option<Time>| at.map(|at| millis(now.since(at)));
        let mut sources = Vec::new();
        for (observer, heard) in &record.heard {
            let age_ms = age(heard.at);
            let skew = |age: u64| {
                let arrived = i128::from(unix_ms) - i128::from(age);
                i64::try_from(i128::from(heard.sent_unix_ms) - arrived).ok()
            };
            sources.push(SourceStatus {
                source: "reporter".to_owned(),
                observer: observer.clone(),
                says: heard.says(),
                age_ms,
                skew_ms: age_ms.filter(|_| heard.sent_unix_ms > 0).and_then(skew),
                unit_ms: heard.at.map(|_| millis(heard.unit)),
                sequence: heard.at.map(|_| heard.place()),
                version: heard.version.clone(),
            });
        }
        if let Some((target, says, at, ttl)) = self.aliases.says(id) {
            sources.push(SourceStatus {
                source: format!("alias {target}"),
                observer: self.name.clone(),
                says,
                age_ms: age(at),
                skew_ms: None,
                unit_ms: at.map(|_| millis(ttl)),
                sequence: None,
                version: None,
            });
        }
        for ((target, observer), probed) in &record.probed {
            let interval = self.probes.target(*target).map(|it| millis(it.probe.interval));
            sources.push(SourceStatus {
                source: probed.target.clone(),
                observer: observer.clone(),
                says: match &probed.health {
                    Health::Unseen => "too few results yet".to_owned(),
                    Health::Up => "up".to_owned(),
                    Health::Down(reason) => format!("down: {reason}"),
                },
                age_ms: age(probed.at),
                skew_ms: None,
                unit_ms: interval,
                sequence: None,
                version: None,
            });
        }
        sources
    }

    fn services(&self, now: Time) -> Vec<ServiceStatus> {
        let Some(plan) = &self.plan else { return Vec::new() };
        let topology = &self.configuration.topology;
        let hits = self.demand.area_hits(now);
        let rate = |service: &str, area: &Name| {
            let service = topology.service(&service.parse().ok()?)?;
            let area = topology.area(area.as_str())?;
            hits.get(service.index() * topology.areas.len() + area.index()).copied()
        };
        plan.services
            .iter()
            .map(|service| ServiceStatus {
                name: service.name.clone(),
                demand: self.told.by_service().get(&service.name).map(DemandStatus::of),
                areas: service
                    .areas
                    .iter()
                    .map(|area| AreaStatus {
                        name: area.area.clone(),
                        clusters: area.clusters.clone(),
                        degraded: area.degraded,
                        reason: area.reason.clone(),
                        hits_per_second: rate(&service.name, &area.area).unwrap_or(0.0),
                    })
                    .collect(),
            })
            .collect()
    }
}

fn clusters(topology: &Topology, servers: &[ServerStatus]) -> Vec<ClusterStatus> {
    let status = |cluster: &Cluster| {
        let conditions = || cluster.servers.iter().map(|id| &servers[id.index()].condition);
        let functioning = || conditions().filter(|condition| condition.life.functions());
        let loads: Vec<f64> = functioning().filter_map(|condition| condition.load).collect();
        ClusterStatus {
            name: cluster.name.clone(),
            functioning: functioning().count(),
            servers: cluster.servers.len(),
            load: (!loads.is_empty()).then(|| loads.iter().sum::<f64>() / loads.len() as f64),
        }
    };
    topology.clusters.iter().map(status).collect()
}

/// Whole milliseconds, for people and JSON.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
