//! Why an answer may be cached for as long as it says, where that depends on who asks or who is chosen.

use serde::{Deserialize, Serialize};

use super::decided_service::DecidedService;
use super::explain::ExplainRequest;
use super::request::ServiceDecision;
use super::table::AnswerTable;
use crate::policy::choose::AskingDomain;
use crate::policy::ttl::{AdaptedTtl, AdaptiveTtls, RECKONED};
use crate::world::DomainClasses;

/// How an adaptive TTL came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TtlExplanation {
    /// The policy's name: `TTL/K`.
    pub policy: String,
    /// Seconds: the mean that is kept.
    pub mean: u32,
    /// Seconds: no shorter.
    pub min: u32,
    /// Seconds: no longer.
    pub max: u32,
    /// The domains that this one is treated like: `all`, `hot`, `normal`, `itself`, or those whose requests are
    /// not known: not named in the Plan, or known by their queries alone (`rest`).
    pub class: String,
    /// The domain's hidden load weight: its requests in the mean TTL; `None` if the TTL does not look
    /// at it.
    pub weight: Option<f64>,
    /// Seconds, by the domain alone.
    pub by_domain: f64,
    /// What this is multiplied with for the server, and for the bounds' sake.
    pub factor: f64,
    /// Whether a bound cut it off.
    pub bounded: bool,
    /// Whether it was halved since the area is worse off than it should be.
    pub halved: bool,
    /// Seconds, before they are drawn to be whole.
    pub seconds: f64,
}

/// What decided the TTL of this decision; `None` if it is constant, or there was nothing to answer.
pub(super) fn explain_ttl(
    table: &AnswerTable,
    request: &ExplainRequest,
    decided: &ServiceDecision,
) -> Option<TtlExplanation> {
    let looked_at = DecidedService::of(table, request, decided)?;
    let DecidedService { service, class, place, list, domain, .. } = looked_at;
    let ttls = service.ttls()?;
    let is_first = |server: &u32| Some(*server) == decided.first;
    let ordinal = list.servers().iter().position(is_first).unwrap_or(0);
    let ordinal = u32::try_from(ordinal).ok()?;
    let halved = class.is_halved();
    let AdaptedTtl { by_domain, factor, seconds } =
        ttls.adapted(domain.class, place, ordinal, halved);
    let uncut = by_domain * factor;
    Some(TtlExplanation {
        policy: ttls.variant.name().to_owned(),
        mean: ttls.bounds.mean,
        min: ttls.bounds.min,
        max: ttls.bounds.max,
        class: class_name(ttls, &domain).to_owned(),
        weight: ttls.looks_at_domains().then_some(domain.weight),
        by_domain,
        factor,
        bounded: uncut < f64::from(ttls.bounds.min) || uncut > f64::from(ttls.bounds.max),
        halved,
        seconds,
    })
}

fn class_name(ttls: &AdaptiveTtls, domain: &AskingDomain) -> &'static str {
    match (ttls.variant.domain_classes(), domain.class) {
        (DomainClasses::One, _) => "all",
        (DomainClasses::Two, 0) => "normal",
        (DomainClasses::Two, _) => "hot",
        (DomainClasses::Each, 0 | RECKONED) => "rest",
        (DomainClasses::Each, _) => "itself",
    }
}
