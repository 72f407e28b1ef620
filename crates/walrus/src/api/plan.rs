//! `GET /plan` and `POST /plan/diff`: the Plan in force, and what another configuration would do.
//!
//! The core serialises both; the types here are their schema, and a test holds them together.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::status::NumberView;

/// The complete, numbered, immutable decision that Directors carry out.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PlanView {
    /// Version of this form.
    pub(crate) format: u32,
    /// Where it stands among all Plans.
    pub(crate) number: NumberView,
    /// What it was made for.
    pub(crate) digests: DigestsView,
    /// All servers, sorted by name.
    pub(crate) servers: Vec<PlannedServerView>,
    /// Candidate lists, shared between areas and services.
    pub(crate) lists: Vec<CandidateListView>,
    /// All services, sorted by name.
    pub(crate) services: Vec<ServicePlanView>,
}

/// What a Plan was made for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DigestsView {
    /// The shared configuration.
    pub(crate) configuration: String,
    /// The map from client prefixes to areas.
    pub(crate) map: String,
    /// The zone files.
    pub(crate) zones: String,
    /// The DNSSEC keys; empty while unsigned.
    pub(crate) keys: String,
}

/// A server as the round saw it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PlannedServerView {
    /// Unique.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) cluster: String,
    /// IPv4 and IPv6.
    pub(crate) addresses: Vec<String>,
    /// living, unknown, drained, bypass, panic or dead.
    pub(crate) life: String,
    /// 0 to 1; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) load: Option<f64>,
    /// Requests being served or waiting, if its Reporter counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) backlog: Option<u64>,
    /// Why it is not living.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
}

/// Servers among which answers choose.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct CandidateListView {
    /// One, or several while an area moves by shares.
    pub(crate) groups: Vec<CandidateGroupView>,
}

/// Candidates of one cluster, or of all.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct CandidateGroupView {
    /// Share of the answers that come from here.
    pub(crate) share: f64,
    /// In ring order.
    pub(crate) candidates: Vec<CandidateView>,
}

/// One server in a group.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct CandidateView {
    /// Its place in `servers`.
    pub(crate) server: u32,
    /// Configured weight.
    pub(crate) weight: u32,
    /// Whether its load is above the service's threshold: it is here for want of others, or because the
    /// others could not bear its clients.
    pub(crate) over_threshold: bool,
    /// Gradual return, up to 1.
    pub(crate) ramp: f64,
}

/// One service's part.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServicePlanView {
    /// The domain name.
    pub(crate) name: String,
    /// Digest of its configuration.
    pub(crate) digest: String,
    /// map, nameserver.
    pub(crate) locate: Vec<String>,
    /// How the first server is chosen.
    pub(crate) choose: String,
    /// How the TTL is chosen.
    pub(crate) ttl: TtlView,
    /// Servers in an answer; null is all.
    pub(crate) answers: Option<u32>,
    /// One entry an area.
    pub(crate) areas: Vec<AreaPlanView>,
    /// Who asks how much; absent if no stage wants to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) demand: Option<ServiceDemandView>,
}

/// How much each domain asks of a service.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServiceDemandView {
    /// Requests a second of all domains, those not named included.
    pub(crate) rate: f64,
    /// The heaviest, by falling rate; none without the token.
    pub(crate) domains: Vec<DomainDemandView>,
    /// How long before this Plan the time began in which servers observed domains, in milliseconds; left
    /// out if none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) observed_over_ms: Option<u64>,
    /// How much of the rate is of clients of whom no Director is asked under their own prefix, named or
    /// not; left out if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) silent: Option<f64>,
}

/// How much one domain asks of a service.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DomainDemandView {
    /// A resolver's address or a client prefix.
    pub(crate) domain: String,
    /// Requests a second.
    pub(crate) rate: f64,
    /// Its part of the whole is above the service's hot share.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) hot: bool,
    /// No Director is asked by it: only servers' access logs tell of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) silent: bool,
    /// Queries alone say how much it asks: no server tells of requests of its clients, or of far fewer than its
    /// queries stand for elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) reckoned: bool,
    /// Pairs of a server's place in the Plan and the requests a second that it gets from there; of
    /// hot domains, where servers tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) observed: Vec<(u32, f64)>,
}

impl DomainDemandView {
    /// As the Plan has it.
    pub(crate) fn of(domain: &walrus_core::plan::DomainDemand) -> Self {
        Self {
            domain: domain.domain.clone(),
            rate: domain.rate,
            hot: domain.hot,
            silent: domain.silent,
            reckoned: domain.reckoned,
            observed: domain.observed.clone(),
        }
    }
}

/// A TTL policy.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TtlView {
    /// "constant".
    pub(crate) policy: String,
    /// Seconds.
    pub(crate) seconds: u32,
}

/// Where one area's clients of one service go.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AreaPlanView {
    /// The area.
    pub(crate) area: String,
    /// Pairs of cluster and share; the first is where it points.
    pub(crate) clusters: Vec<(String, f64)>,
    /// Place in `lists` for A; null is NODATA.
    pub(crate) ipv4: Option<u32>,
    /// Place in `lists` for AAAA; null is NODATA.
    pub(crate) ipv6: Option<u32>,
    /// Place in `lists` for records that name hosts (HTTPS, SVCB, SRV, MX); left out if the
    /// service gives none of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hosts: Option<u32>,
    /// Worse off than it should be: TTLs are halved.
    pub(crate) degraded: bool,
    /// Which phase or rule decided.
    pub(crate) reason: String,
}

/// What would change.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DiffView {
    /// Servers that come, go or change their life.
    pub(crate) servers: Vec<ServerChangeView>,
    /// Services that come.
    pub(crate) services_added: Vec<String>,
    /// Services that go.
    pub(crate) services_removed: Vec<String>,
    /// Services whose configuration changes.
    pub(crate) services_changed: Vec<String>,
    /// Areas of services whose answers change.
    pub(crate) areas: Vec<AreaChangeView>,
    /// The same as text, one change a line.
    #[serde(default)]
    pub(crate) lines: Vec<String>,
}

/// A server's change of life.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServerChangeView {
    /// Which.
    pub(crate) server: String,
    /// Null if it comes.
    pub(crate) from: Option<String>,
    /// Null if it goes.
    pub(crate) to: Option<String>,
    /// Why.
    pub(crate) reason: String,
}

/// What changes for one area of one service.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AreaChangeView {
    /// The service.
    pub(crate) service: String,
    /// The area.
    pub(crate) area: String,
    /// Clusters and shares now; null if the area comes.
    pub(crate) clusters_from: Option<Vec<(String, f64)>>,
    /// Clusters and shares then; null if the area goes.
    pub(crate) clusters_to: Option<Vec<(String, f64)>>,
    /// Servers that become candidates.
    pub(crate) added: Vec<String>,
    /// Servers that cease to be candidates.
    pub(crate) removed: Vec<String>,
    /// The candidates' shares, weights, ramps or order change.
    pub(crate) reweighted: bool,
    /// TTL now and then, in seconds, if it changes.
    pub(crate) ttl: Option<(u32, u32)>,
    /// What decided then.
    pub(crate) reason: String,
}

/// Another configuration, as `walrus plan --diff` sends it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ProposedConfiguration {
    /// The TOML files.
    pub(crate) files: Vec<ProposedFile>,
    /// Files that their `clients` name.
    #[serde(default)]
    pub(crate) client_files: Vec<ProposedFile>,
}

/// One file of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ProposedFile {
    /// As the problems shall name it.
    pub(crate) name: String,
    /// What is in it.
    pub(crate) text: String,
}
