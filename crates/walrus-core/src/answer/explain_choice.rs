//! Why this server comes first: what the `choose` stage looked at, server by server.

use serde::{Deserialize, Serialize};

use super::decided_service::DecidedService;
use super::explain::ExplainRequest;
use super::request::ServiceDecision;
use super::service_answer::asked;
use super::table::AnswerTable;
use super::worker::WorkerState;
use crate::policy::choose::ChoiceTrace;
use crate::world::{Domain, Name, Time};

/// What one choice looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChoiceExplanation {
    /// The rule and what it was given, in a sentence.
    pub rule: String,
    /// Who asked, if the policy looks at that: a resolver's address or a client prefix.
    pub domain: Option<String>,
    /// Its hidden load weight: requests that follow an answer, half of the domain's where there are
    /// addresses of both families; 1 if nothing is known.
    pub weight: Option<f64>,
    /// Whether it is a hot domain.
    pub hot: bool,
    /// What was known of each candidate of the group that was drawn.
    pub servers: Vec<ServerChoiceExplanation>,
}

/// What was known of one candidate. Each number is `None` where the policy does not look at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerChoiceExplanation {
    /// Its name.
    pub server: Name,
    /// The weight of its living grants (`hash`), its bin (`dal`), its residual load in weight times
    /// seconds (`mrl`, `crml`), or its load in the Plan (`pow2`).
    pub given: Option<f64>,
    /// What is charged beyond that (`crml`), in the same unit.
    pub charged: Option<f64>,
    /// What was compared, over its capacity.
    pub compared: Option<f64>,
    /// Below how much of that it would take the answer (`hash`).
    pub bound: Option<f64>,
    /// It was drawn (`pow2`), it was its turn, or the domain belongs to it (`hash`).
    pub marked: bool,
}

/// What the choice of this decision looked at; `worker` is a copy from before it.
pub(super) fn explain_choice(
    table: &AnswerTable,
    worker: &mut WorkerState,
    request: &ExplainRequest,
    decided: &ServiceDecision,
    now: Time,
) -> Option<ChoiceExplanation> {
    let plan = table.plan()?;
    let looked_at = DecidedService::of(table, request, decided)?;
    let DecidedService { service, class, place, list, client, domain } = looked_at;
    let asked = asked(service, class, domain, now);
    let (positions, memory) = worker.positions.of(decided.service, place);
    let (servers, trace) = list.trace(&asked, &mut worker.generator, positions, memory);
    let looks = service.inputs().policy.looks_at_domain();
    let named = match client.filter(|_| domain.prefix_len > 0) {
        Some((address, _)) => Domain::new(address, domain.prefix_len),
        None => Domain::of_address(request.resolver),
    };
    let ChoiceTrace { rule, candidates } = trace;
    let known = servers.into_iter().zip(candidates).filter_map(|(server, known)| {
        let server = plan.servers.get(server as usize)?.name.clone();
        let (given, charged, compared) = (known.given, known.charged, known.compared);
        let (bound, marked) = (known.bound, known.marked);
        Some(ServerChoiceExplanation { server, given, charged, compared, bound, marked })
    });
    Some(ChoiceExplanation {
        rule,
        domain: looks.then(|| named.to_string()),
        weight: looks.then_some(asked.domain.weight),
        hot: domain.hot.is_some(),
        servers: known.collect(),
    })
}
