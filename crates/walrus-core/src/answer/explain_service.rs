//! What of a Plan decided an answer of a service: where the client is, whom its area is pointed to, and
//! who of them takes part.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::explain::{ExplainRequest, run};
use super::explain_choice::ChoiceExplanation;
use super::explain_ttl::{TtlExplanation, explain_ttl};
use super::request::ServiceDecision;
use super::table::{AnswerTable, goes_by_capacity};
use super::worker::WorkerState;
use crate::plan::{
    AreaPlan, Candidate, ListIndex, Plan, PlannedServer, ServicePlan, why_elsewhere,
};
use crate::world::{ChoosePolicy, Life, LocatePolicy, Name, ServiceType};

/// How many answers the expected shares are drawn from.
const DRAWS: u32 = 1000;

/// What the stages of a service's policy did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceExplanation {
    /// The service's name.
    pub service: String,
    /// Each locate policy that was tried, in order.
    pub locate: Vec<LocateStep>,
    /// Where the client was taken to be.
    pub area: Name,
    /// The clusters that the area is assigned to, with their shares.
    pub clusters: Vec<(Name, f64)>,
    /// Why those.
    pub assigned_because: String,
    /// Whether the area is worse off than it should be: the TTL is halved.
    pub degraded: bool,
    /// How the first server is chosen.
    pub choose: ChoosePolicy,
    /// What that looked at; `None` without an answer to give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<ChoiceExplanation>,
    /// The server that came first.
    pub first: Option<Name>,
    /// Seconds; 0 without an address to give.
    pub ttl: u32,
    /// How that came about; `None` if it is constant.
    #[serde(default)]
    pub adaptive: Option<TtlExplanation>,
    /// Who took part, in ring order.
    pub candidates: Vec<CandidateExplanation>,
    /// The service's other servers, and why they took no part.
    pub left_out: Vec<LeftOut>,
}

/// What one locate policy said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocateStep {
    /// Which.
    pub policy: LocatePolicy,
    /// The address that it looked at: the client's, the resolver's or the one that was asked.
    pub address: IpAddr,
    /// The area that it found.
    pub area: Option<Name>,
}

/// One server that took part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateExplanation {
    /// Its name.
    pub server: Name,
    /// Where it stands.
    pub cluster: Name,
    /// Share of its group among the answers.
    pub group_share: f64,
    /// Configured weight.
    pub weight: u32,
    /// Configured capacity, if the choice goes by that instead of the weight.
    #[serde(default)]
    pub capacity: Option<f64>,
    /// Gradual return, 0 to 1.
    pub ramp: f64,
    /// Load, 0 to 1; `None` is unknown.
    pub load: Option<f64>,
    /// It is here for want of servers below the threshold that could bear its clients.
    pub over_threshold: bool,
    /// How often it would come first in the next 1,000 such answers of this worker, 0 to 1: at once, or
    /// with `hash` one after the other has ended.
    pub expected_share: f64,
}

/// One server that took no part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its name.
    pub server: Name,
    /// Why.
    pub reason: String,
}

pub(super) fn explain_service(
    table: &AnswerTable,
    (worker, choice): (&mut WorkerState, Option<ChoiceExplanation>),
    request: &ExplainRequest,
    query: &[u8],
    decided: &ServiceDecision,
) -> Option<ServiceExplanation> {
    let plan = table.plan()?;
    let name = table.services().get(decided.service as usize)?.to_string();
    let service = plan.services.iter().find(|service| service.name == name)?;
    let area = table.area_name(decided.area?)?;
    let area_plan = service
        .areas
        .iter()
        .find(|other| other.area == *area)
        .or_else(|| service.areas.iter().find(|other| other.area.as_str() == "world"))?;
    let candidates = candidates(plan, (service, area_plan), request.record_type);
    let shares = expected_shares(table, worker, request, query, (service, plan.servers.len()));
    let server = |index: u32| plan.servers.get(index as usize);
    Some(ServiceExplanation {
        service: name,
        locate: locate_steps(table, request, &service.locate),
        area: area.clone(),
        clusters: area_plan.clusters.clone(),
        assigned_because: because(plan, area_plan, request.record_type),
        degraded: area_plan.degraded,
        choose: service.choose,
        choice,
        first: decided.first.and_then(server).map(|server| server.name.clone()),
        ttl: decided.ttl,
        adaptive: explain_ttl(table, request, decided),
        left_out: left_out(plan, service, area_plan, &candidates, request.record_type),
        candidates: candidates
            .iter()
            .filter(|it| takes_part(it.candidate, &candidates))
            .map(|&CandidateOf { server, candidate, group_share, capacity }| CandidateExplanation {
                server: server.name.clone(),
                cluster: server.cluster.clone(),
                group_share,
                weight: candidate.weight,
                capacity,
                ramp: candidate.ramp,
                load: server.load,
                over_threshold: candidate.over_threshold,
                expected_share: shares.get(candidate.server as usize).copied().unwrap_or(0.0),
            })
            .collect(),
    })
}

fn locate_steps(
    table: &AnswerTable,
    request: &ExplainRequest,
    policies: &[LocatePolicy],
) -> Vec<LocateStep> {
    let locator = table.locator();
    let client = request.client.filter(|(_, len)| *len > 0).map(|(network, _)| network);
    let client = client.unwrap_or(request.resolver);
    let mut steps = Vec::new();
    for policy in policies {
        let (address, area) = match policy {
            LocatePolicy::Map => (client, locator.map_area(client)),
            LocatePolicy::Nameserver => (request.local.ip(), locator.nameserver(request.local)),
        };
        let area = area.and_then(|area| table.area_name(area)).cloned();
        let found = area.is_some();
        steps.push(LocateStep { policy: *policy, address, area });
        if found {
            break;
        }
    }
    steps
}

#[derive(Clone, Copy)]
struct CandidateOf<'a> {
    server: &'a PlannedServer,
    candidate: &'a Candidate,
    group_share: f64,
    /// If its group is chosen among by capacity.
    capacity: Option<f64>,
}

/// Everybody in the area's list for the type that is asked for.
fn candidates<'a>(
    plan: &'a Plan,
    (service, area): (&ServicePlan, &AreaPlan),
    record_type: u16,
) -> Vec<CandidateOf<'a>> {
    let list = list_for(area, record_type).and_then(|list| plan.lists.get(list as usize));
    let server = |candidate: &Candidate| plan.servers.get(candidate.server as usize);
    let mut candidates = Vec::new();
    for group in list.into_iter().flat_map(|list| &list.groups) {
        let has_weight = group.candidates.iter().any(|candidate| candidate.weight > 0);
        let members = group.candidates.iter().filter(|it| it.weight > 0 || !has_weight);
        let by_capacity = goes_by_capacity(service.choose, members.filter_map(server));
        candidates.extend(group.candidates.iter().filter_map(|candidate| {
            let server = server(candidate)?;
            let capacity = server.capacity.filter(|_| by_capacity);
            Some(CandidateOf { server, candidate, group_share: group.share, capacity })
        }));
    }
    candidates
}

fn list_for(area: &AreaPlan, record_type: u16) -> Option<ListIndex> {
    match ServiceType::of(record_type) {
        Some(ServiceType::A) => area.ipv4,
        Some(ServiceType::Aaaa) => area.ipv6,
        _ => area.hosts.or(area.ipv4).or(area.ipv6),
    }
}

/// Why the area points where it does, and why another cluster answers for the type, if so.
fn because(plan: &Plan, area: &AreaPlan, record_type: u16) -> String {
    let what = match ServiceType::of(record_type) {
        Some(ServiceType::A) => "IPv4 address",
        Some(ServiceType::Aaaa) => "IPv6 address",
        _ => "server",
    };
    let list = list_for(area, record_type);
    match list.and_then(|list| why_elsewhere(plan, area, list, what)) {
        Some(elsewhere) => format!("{}; {elsewhere}", area.reason),
        None => area.reason.clone(),
    }
}

/// Weight 0 takes no clients unless nobody else is left in its group.
fn takes_part(candidate: &Candidate, all: &[CandidateOf<'_>]) -> bool {
    candidate.weight > 0 || all.iter().all(|other| other.candidate.weight == 0)
}

/// How often each of the Plan's servers comes first in the worker's next answers.
fn expected_shares(
    table: &AnswerTable,
    worker: &mut WorkerState,
    request: &ExplainRequest,
    query: &[u8],
    (service, servers): (&ServicePlan, usize),
) -> Vec<f64> {
    let mut counts = vec![0_u32; servers];
    let mut reply = vec![0; 65_535];
    let mut request = request.clone();
    for _ in 0..DRAWS {
        let (_, decision) = run(table, worker, &request, query, &mut reply);
        // A domain that belongs to a server comes back when its answer has ended; asked a thousand times
        // at once it would be spread.
        if service.choose == ChoosePolicy::Hash {
            let ttl = decision.service.map_or(0, |service| service.ttl);
            request.now += Duration::from_secs(u64::from(ttl) + 1);
        }
        let first = decision.service.and_then(|service| service.first);
        if let Some(count) = first.and_then(|first| counts.get_mut(first as usize)) {
            *count += 1;
        }
    }
    counts.into_iter().map(|count| f64::from(count) / f64::from(DRAWS)).collect()
}

/// The other servers of the clusters that any of the service's areas is assigned to.
fn left_out(
    plan: &Plan,
    service: &ServicePlan,
    area: &AreaPlan,
    candidates: &[CandidateOf<'_>],
    record_type: u16,
) -> Vec<LeftOut> {
    let assigned =
        |area: &AreaPlan, cluster: &Name| area.clusters.iter().any(|(other, _)| other == cluster);
    let reason = |server: &PlannedServer| {
        let candidate = candidates.iter().find(|other| other.server.name == server.name);
        if let Some(CandidateOf { candidate, .. }) = candidate {
            return (!takes_part(candidate, candidates)).then(|| "its weight is 0".to_owned());
        }
        if server.life != Life::Living {
            let life = format!("{:?}", server.life).to_lowercase();
            return Some(match server.reason.as_str() {
                "" => life,
                reason => format!("{life}: {reason}"),
            });
        }
        if !assigned(area, &server.cluster) {
            let here = service.areas.iter().any(|area| assigned(area, &server.cluster));
            return here.then(|| format!("cluster {} is not for this area", server.cluster));
        }
        let lacks = |wants_ipv6| server.addresses.iter().all(|it| it.is_ipv6() != wants_ipv6);
        if match ServiceType::of(record_type) {
            Some(ServiceType::A) => lacks(false),
            Some(ServiceType::Aaaa) => lacks(true),
            _ => false,
        } {
            return Some("it has no address of this family".to_owned());
        }
        let load = server.load.map_or_else(|| "unknown".to_owned(), |load| format!("{load:.2}"));
        Some(format!("the round did not take it for this area (load {load})"))
    };
    let of_service = |server: &&PlannedServer| {
        service.areas.iter().any(|area| assigned(area, &server.cluster))
            || candidates.iter().any(|other| other.server.name == server.name)
    };
    plan.servers
        .iter()
        .filter(of_service)
        .filter_map(|server| Some(LeftOut { server: server.name.clone(), reason: reason(server)? }))
        .collect()
}
