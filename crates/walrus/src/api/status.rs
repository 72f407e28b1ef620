//! `GET /status`: areas, clusters, servers, loads, master and Plan number.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use walrus_core::config::Configuration;
use walrus_core::control::{ServerStatus, Status};
use walrus_core::message::RefusedPlan;
use walrus_core::plan::PlanNumber;
use walrus_core::world::{Override, OverrideState, Target, Time};
use walrus_host::group::Refusal;

use super::group::{BusView, GroupView};
use super::keys::ZoneKeysView;
use super::moves::MoveView;
use super::plan::DomainDemandView;
use super::published::NameServerView;
use super::secondary::SecondaryView;
use super::transferred::TransferredZoneView;
use super::updated::UpdatedZoneView;
use super::vantage::{DisagreementView, SeenView, VantagePointView, WaitView};

/// What is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatusQuery {
    /// This server alone of all servers, with what each vantage point says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
}

/// How a running system stands.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct StatusView {
    /// The node that answers.
    pub(crate) node: String,
    /// The master Controller: the only one whose Plan is realised.
    pub(crate) master: String,
    /// The Plan in force.
    pub(crate) plan: NumberView,
    /// Digest of the shared configuration in force.
    pub(crate) configuration: String,
    /// Milliseconds until the next round.
    pub(crate) next_round_ms: u64,
    /// All servers, in the order of names.
    pub(crate) servers: Vec<ServerView>,
    /// All clusters, in the order of names.
    pub(crate) clusters: Vec<ClusterView>,
    /// All areas of all services.
    pub(crate) areas: Vec<AreaView>,
    /// Who asks for the services that want to know; absent if none does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) demand: Vec<DemandView>,
    /// Directors heard of late.
    pub(crate) directors: Vec<DirectorView>,
    /// What operators said.
    pub(crate) drained: Vec<DrainView>,
    /// Problems that are open now, in words.
    pub(crate) problems: Vec<ProblemView>,
    /// Where the keys of the zones stand that are signed here; absent if none is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) keys: Vec<ZoneKeysView>,
    /// Name servers that are already there, as far as this node keeps them up to date; absent if none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) name_servers: Vec<NameServerView>,
    /// Zones that this node's name server gets from other primaries; absent if none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) zones: Vec<SecondaryView>,
    /// Zones that take DNS UPDATE here; absent if none does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) updated_zones: Vec<UpdatedZoneView>,
    /// Zones that go to other name servers from here; absent if none does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) transferred_zones: Vec<TransferredZoneView>,
    /// Nodes that probe and are heard here; absent where this Controller is alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) vantage_points: Vec<VantagePointView>,
    /// Servers that they see differently; more than have a `disagreement` here if there are many.
    #[serde(default)]
    pub(crate) seen_differently: usize,
    /// Servers whose verdict by probes waits, likewise.
    #[serde(default)]
    pub(crate) waiting: usize,
    /// What the process has given up: root, files, ports and system calls; absent if nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) confined: Vec<String>,
    /// The group of Controllers; absent where this one is alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<GroupView>,
    /// The connection to the group over NATS; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bus: Option<BusView>,
    /// Changes of the answers within the last hour, and how far clients have followed them; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) moves: Vec<MoveView>,
    /// How many more there were that there was no room to follow.
    #[serde(default)]
    pub(crate) moves_left_out: u64,
    /// For how long this Controller has followed moves, in milliseconds: what changed before that is not known; absent
    /// without a Controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) moves_followed_ms: Option<u64>,
    /// What happened since the start.
    pub(crate) counters: CountersView,
}

/// A Plan's number; compared in the order of its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct NumberView {
    /// Rises with each change of master.
    pub(crate) epoch: u64,
    /// Who made the Plan.
    pub(crate) controller: String,
    /// Rises with each Plan of that Controller in that epoch.
    pub(crate) sequence: u64,
}

impl From<&PlanNumber> for NumberView {
    fn from(number: &PlanNumber) -> Self {
        Self {
            epoch: number.epoch,
            controller: number.controller.to_string(),
            sequence: number.sequence,
        }
    }
}

impl std::fmt::Display for NumberView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.epoch, self.controller, self.sequence)
    }
}

/// One server.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServerView {
    /// Its name.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) cluster: String,
    /// living, unknown, drained, bypass, panic or dead.
    pub(crate) life: String,
    /// 0 idle to 1 full; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) load: Option<f64>,
    /// Gradual return: 1 is fully back.
    pub(crate) ramp: f64,
    /// Requests a second that its Reporter counted.
    pub(crate) hits_per_second: f64,
    /// What decided its life, in words; empty if nothing is against it.
    pub(crate) reason: String,
    /// How long it has been so, in milliseconds.
    pub(crate) life_ms: u64,
    /// What each source says; none means that it counts as up. Other vantage points' words are there if it was asked for
    /// alone, and else counted in `seen`.
    pub(crate) sources: Vec<SourceView>,
    /// How many vantage points see it how; absent where there is one at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seen: Option<SeenView>,
    /// If vantage points see it differently: who how, why, and for how long. Of the first 50 such servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disagreement: Option<DisagreementView>,
    /// If its verdict by probes waits and would be another one: for whom, and how long. Of the first 50 such servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wait: Option<WaitView>,
}

/// What one source says about a server.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SourceView {
    /// "reporter", or the probe.
    pub(crate) source: String,
    /// The node that heard it.
    pub(crate) observer: String,
    /// What it says.
    pub(crate) says: String,
    /// Age by the Controller's clock, in milliseconds; absent before the first word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) age_ms: Option<u64>,
    /// By how much the sender's clock is ahead, in milliseconds; decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) skew_ms: Option<i64>,
    /// The data version that the site set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
}

/// One cluster.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ClusterView {
    /// Its name.
    pub(crate) name: String,
    /// Its servers that function.
    pub(crate) functioning: usize,
    /// All its servers.
    pub(crate) servers: usize,
    /// Mean load of those whose load is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) load: Option<f64>,
}

/// Where an area's clients of one service go.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AreaView {
    /// The service.
    pub(crate) service: String,
    /// The area.
    pub(crate) area: String,
    /// The first is where the area points.
    pub(crate) clusters: Vec<ShareView>,
    /// Worse off than it should be.
    pub(crate) degraded: bool,
    /// Its clients ask name servers that do not take updates now: what they get is what was published last, or
    /// what another area's name server says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unmanaged: bool,
    /// Which phase or rule decided.
    pub(crate) reason: String,
    /// Queries a second, all Directors together.
    pub(crate) queries_per_second: f64,
}

/// A cluster and its share of an area.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ShareView {
    /// The cluster.
    pub(crate) cluster: String,
    /// 0 to 1.
    pub(crate) share: f64,
}

/// Who asks for one service.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DemandView {
    /// The service.
    pub(crate) service: String,
    /// Requests a second of all domains; queries where no server tells of requests.
    pub(crate) rate: f64,
    /// Domains that the Plan names.
    pub(crate) named: usize,
    /// ... of them hot ones.
    pub(crate) hot: usize,
    /// The heaviest ten; none without the token.
    pub(crate) heaviest: Vec<DomainDemandView>,
}

/// One Director.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DirectorView {
    /// Its name.
    pub(crate) name: String,
    /// The Plan that it answers from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<NumberView>,
    /// The Plan that came and that it does not carry out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<RefusedPlanView>,
    /// Since it was last heard, in milliseconds.
    pub(crate) age_ms: u64,
    /// It should have been heard since: it is dead, cut off or stands still.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) silent: bool,
}

impl From<&walrus_core::control::DirectorStatus> for DirectorView {
    fn from(director: &walrus_core::control::DirectorStatus) -> Self {
        Self {
            name: director.name.to_string(),
            plan: director.plan.as_ref().map(NumberView::from),
            refused: director.refused.as_ref().map(|refused| RefusedPlanView {
                number: NumberView::from(&refused.number),
                reason: refused.reason.clone(),
            }),
            age_ms: director.age_ms,
            silent: director.is_silent,
        }
    }
}

/// A Plan that a Director does not carry out.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct RefusedPlanView {
    /// Which.
    pub(crate) number: NumberView,
    /// Why.
    pub(crate) reason: String,
}

/// A drain in force.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DrainView {
    /// `server NAME` or `cluster NAME`.
    pub(crate) target: String,
    /// The Controller that took it.
    pub(crate) by: String,
    /// The operator who wanted it; absent for whoever has that node's own token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operator: Option<String>,
    /// When, Unix milliseconds.
    pub(crate) set_unix_ms: u64,
}

/// A problem that is open now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ProblemView {
    /// panic, dead, nobody_functions; group, refused (a connection was not let in), expires (a certificate or list of
    /// revocations) and others.
    pub(crate) kind: String,
    /// The server or service.
    pub(crate) subject: String,
    /// In a sentence.
    pub(crate) text: String,
}

/// What happened since the start.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct CountersView {
    /// Reports taken in.
    pub(crate) reports: u64,
    /// Reports refused.
    pub(crate) reports_refused: u64,
    /// ... of them for an old session or sequence.
    pub(crate) reports_stale: u64,
    /// Probes begun.
    pub(crate) probes: u64,
    /// Probes that failed.
    pub(crate) probes_failed: u64,
    /// ... of them because no outcome ever came.
    pub(crate) probes_lost: u64,
    /// Resolutions of aliases begun.
    #[serde(default)]
    pub(crate) resolutions: u64,
    /// ... of them those that failed.
    #[serde(default)]
    pub(crate) resolutions_failed: u64,
    /// Observations of Directors taken in.
    pub(crate) observations: u64,
    /// Observations refused.
    pub(crate) observations_refused: u64,
    /// Rounds.
    pub(crate) rounds: u64,
    /// Decisions between rounds.
    pub(crate) events: u64,
    /// Plans published.
    pub(crate) plans: u64,
    /// Notices to people.
    pub(crate) notices: u64,
}

impl StatusView {
    /// A node without a Controller: what it takes from the group, and nothing of servers.
    pub(crate) fn without_controller(
        node: &str,
        configuration: &Configuration,
        plan: Option<&PlanNumber>,
    ) -> Self {
        let none = NumberView { epoch: 0, controller: String::new(), sequence: 0 };
        let missing = ProblemView {
            kind: "plan".to_owned(),
            subject: node.to_owned(),
            text: "no Plan has come from the group yet".to_owned(),
        };
        Self {
            node: node.to_owned(),
            master: plan.map(|plan| plan.controller.to_string()).unwrap_or_default(),
            plan: plan.map_or(none, NumberView::from),
            configuration: configuration.digest.to_string(),
            next_round_ms: 0,
            servers: Vec::new(),
            clusters: Vec::new(),
            areas: Vec::new(),
            demand: Vec::new(),
            directors: Vec::new(),
            drained: Vec::new(),
            problems: if plan.is_none() { vec![missing] } else { Vec::new() },
            keys: Vec::new(),
            name_servers: Vec::new(),
            zones: Vec::new(),
            updated_zones: Vec::new(),
            transferred_zones: Vec::new(),
            vantage_points: Vec::new(),
            seen_differently: 0,
            waiting: 0,
            confined: Vec::new(),
            group: None,
            bus: None,
            moves: Vec::new(),
            moves_left_out: 0,
            moves_followed_ms: None,
            counters: CountersView::default(),
        }
    }

    /// The Controller's status as the API shows it.
    pub(crate) fn of(node: &str, status: &Status) -> Self {
        let servers = status.servers.iter().map(ServerView::of).collect();
        let clusters = status.clusters.iter().map(|cluster| ClusterView {
            name: cluster.name.to_string(),
            functioning: cluster.functioning,
            servers: cluster.servers,
            load: cluster.load,
        });
        let in_force = |entry: &&(Target, Override)| entry.1.state == OverrideState::Drained;
        let drained = status.overrides.iter().filter(in_force).map(|(target, entry)| DrainView {
            target: target.to_string(),
            by: entry.id.to_string(),
            operator: entry.by.as_ref().map(ToString::to_string),
            set_unix_ms: entry.set_unix_ms,
        });
        let counters = &status.counters;
        Self {
            node: node.to_owned(),
            // Before a master is known the Plan in force says whose word counts.
            master: match &status.group {
                Some(group) => group.master.as_ref().unwrap_or(&status.plan.controller).to_string(),
                None => status.name.to_string(),
            },
            plan: NumberView::from(&status.plan),
            configuration: status.configuration.to_string(),
            next_round_ms: status.next_round_ms,
            servers,
            clusters: clusters.collect(),
            areas: area_views(status),
            demand: demand_views(status),
            directors: status.directors.iter().map(DirectorView::from).collect(),
            drained: drained.collect(),
            problems: problems_of(node, status),
            keys: Vec::new(),
            name_servers: Vec::new(),
            zones: Vec::new(),
            updated_zones: Vec::new(),
            transferred_zones: Vec::new(),
            vantage_points: status.vantage_points.iter().map(VantagePointView::from).collect(),
            seen_differently: status.seen_differently,
            waiting: status.waiting,
            confined: Vec::new(),
            group: status.group.as_ref().map(GroupView::of),
            bus: None,
            moves: status.moves.iter().map(MoveView::from).collect(),
            moves_left_out: status.moves_left_out,
            moves_followed_ms: Some(status.moves_followed_ms),
            counters: CountersView {
                reports: counters.reports,
                reports_refused: counters.reports_refused,
                reports_stale: counters.reports_stale,
                probes: counters.probes,
                probes_failed: counters.probes_failed,
                probes_lost: counters.probes_lost,
                resolutions: counters.resolutions,
                resolutions_failed: counters.resolutions_failed,
                observations: counters.observations,
                observations_refused: counters.observations_refused,
                rounds: counters.rounds,
                events: counters.events,
                plans: counters.plans,
                notices: counters.notices,
            },
        }
    }
}

/// What is wrong, as the Controller knows it.
fn problems_of(node: &str, status: &Status) -> Vec<ProblemView> {
    let problems = status.problems.iter().map(problem_view);
    let twin = status.group.as_ref().and_then(|group| group.twin.as_ref());
    let twin = twin.map(|text| ProblemView {
        kind: "group".to_owned(),
        subject: node.to_owned(),
        text: text.clone(),
    });
    let silent = status.directors.iter().filter(|director| director.is_silent);
    let silent = silent.map(|director| silent_director(director.name.as_str(), director.age_ms));
    let unproved = status.group.iter().flat_map(unproved_controllers);
    let refusals = status.directors.iter().filter_map(|director| {
        let (name, plan) = (director.name.as_str(), director.plan.clone());
        Some(ProblemView::of_refused_plan(name, plan, director.refused.as_ref()?))
    });
    problems.chain(twin).chain(unproved).chain(silent).chain(refusals).collect()
}

fn silent_director(name: &str, age_ms: u64) -> ProblemView {
    ProblemView {
        kind: "director".to_owned(),
        subject: name.to_owned(),
        text: format!(
            "the name server {name} was not heard for {} s: it is dead, cut off or stands still; if it answers, then \
             by the last Plan that it has",
            age_ms / 1000
        ),
    }
}

/// Controllers that are heard and may be dead.
fn unproved_controllers(
    group: &walrus_core::control::GroupStatus,
) -> impl Iterator<Item = ProblemView> {
    let unproved = group.peers.iter().filter(|peer| peer.unproved);
    unproved.map(|peer| ProblemView {
        kind: "group".to_owned(),
        subject: peer.name.to_string(),
        text: format!(
            "Controller {} is heard, but does not say that it hears this one: either \
             this one's words do not reach it (see `walrus status` there), or it is dead and somebody repeats \
             what it said",
            peer.name
        ),
    })
}

impl ProblemView {
    /// A name server that does not carry a Plan out.
    pub(crate) fn of_refused_plan(
        director: &str,
        held: Option<PlanNumber>,
        refused: &RefusedPlan,
    ) -> Self {
        let held = held.map_or_else(
            || "no Plan at all".to_owned(),
            |held| format!("Plan {}", NumberView::from(&held)),
        );
        let number = NumberView::from(&refused.number);
        Self {
            kind: "plan".to_owned(),
            subject: director.to_owned(),
            text: format!(
                "name server {director} answers from {held} and refused Plan {number}: {}",
                refused.reason
            ),
        }
    }

    /// Connections to the group that were refused.
    pub(crate) fn of_refusal(refusal: &Refusal, now: Time) -> Self {
        let seconds = now.since(refusal.at).as_secs();
        let times =
            if refusal.count == 1 { "once".to_owned() } else { format!("{} times", refusal.count) };
        Self {
            kind: "refused".to_owned(),
            subject: refusal.from.map_or_else(|| "group".to_owned(), |from| from.to_string()),
            text: format!("refused {times}, last {seconds} s ago: {}", refusal.reason),
        }
    }
}

fn problem_view(notice: &walrus_core::control::Notice) -> ProblemView {
    ProblemView {
        kind: notice.kind.as_str().to_owned(),
        subject: notice.subject.clone(),
        text: notice.text.clone(),
    }
}

impl ServerView {
    /// As the Controller tells it.
    pub(crate) fn of(server: &ServerStatus) -> Self {
        let sources = server.sources.iter().map(|source| SourceView {
            source: source.source.clone(),
            observer: source.observer.to_string(),
            says: source.says.clone(),
            age_ms: source.age_ms,
            skew_ms: source.skew_ms,
            version: source.version.clone(),
        });
        Self {
            name: server.name.to_string(),
            cluster: server.cluster.to_string(),
            life: server.condition.life.as_str().to_owned(),
            load: server.condition.load,
            ramp: server.condition.ramp,
            hits_per_second: server.condition.hits_per_second,
            reason: server.condition.reason.clone(),
            life_ms: server.life_ms,
            sources: sources.collect(),
            seen: server.seen.map(SeenView::from),
            disagreement: server.disagreement.as_ref().map(DisagreementView::from),
            wait: server.wait.as_ref().map(WaitView::from),
        }
    }
}

fn area_views(status: &Status) -> Vec<AreaView> {
    let mut views = Vec::new();
    for service in &status.services {
        for area in &service.areas {
            views.push(AreaView {
                service: service.name.clone(),
                area: area.name.to_string(),
                clusters: shares(&area.clusters),
                degraded: area.degraded,
                unmanaged: false,
                reason: area.reason.clone(),
                queries_per_second: area.hits_per_second,
            });
        }
    }
    views
}

fn demand_views(status: &Status) -> Vec<DemandView> {
    let view = |service: &walrus_core::control::ServiceStatus| {
        let demand = service.demand.as_ref()?;
        Some(DemandView {
            service: service.name.clone(),
            rate: demand.rate,
            named: demand.named,
            hot: demand.hot,
            heaviest: demand.heaviest.iter().map(DomainDemandView::of).collect(),
        })
    };
    status.services.iter().filter_map(view).collect()
}

/// Clusters with their shares, as the API shows them.
pub(crate) fn shares(clusters: &[(walrus_core::world::Name, f64)]) -> Vec<ShareView> {
    let view = |(cluster, share): &(walrus_core::world::Name, f64)| ShareView {
        cluster: cluster.to_string(),
        share: *share,
    };
    clusters.iter().map(view).collect()
}

/// A target as people write it: `NAME`, `server:NAME` or `cluster:NAME`.
pub(crate) fn parse_target(
    text: &str,
    topology: &walrus_core::world::Topology,
) -> Result<Target, String> {
    let name =
        |name: &str| name.parse().map_err(|_| format!("there is no server or cluster `{name}`"));
    if let Some(server) = text.strip_prefix("server:") {
        return Ok(Target::Server(name(server)?));
    }
    if let Some(cluster) = text.strip_prefix("cluster:") {
        return Ok(Target::Cluster(name(cluster)?));
    }
    match (topology.server(text).is_some(), topology.cluster(text).is_some()) {
        (true, true) => Err(format!(
            "`{text}` is both a server and a cluster: write server:{text} or cluster:{text}"
        )),
        (true, false) => Ok(Target::Server(name(text)?)),
        (false, true) => Ok(Target::Cluster(name(text)?)),
        (false, false) => Err(format!("there is no server or cluster `{text}`")),
    }
}
