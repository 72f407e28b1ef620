//! The Plan: the complete, numbered, immutable decision that Directors carry out.
//!
//! It is all that goes from a Controller to the Directors besides the shared configuration, map,
//! zones and keys, which it names by digest. Areas (of any service) whose candidates are the same
//! share one [`CandidateList`], so that its size follows the number of clusters, not of areas.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::PlanNumber;
use crate::world::{ChooseParameters, ChoosePolicy, Digest, Life, LocatePolicy, Name, TtlPolicy};

/// The version of the serialised form.
pub const FORMAT: u32 = 1;

/// A list's place in [`Plan::lists`].
pub type ListIndex = u32;

/// One complete decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`FORMAT`] of the program that made it.
    pub format: u32,
    /// Where it stands among all Plans.
    pub number: PlanNumber,
    /// What it was made for.
    pub digests: Digests,
    /// All servers, sorted by name.
    pub servers: Vec<PlannedServer>,
    /// Candidate lists, shared between areas and services.
    pub lists: Vec<CandidateList>,
    /// One entry a service, sorted by the *text* of its name, so that it can be found by binary
    /// search for a text. [`crate::world::ServiceId`]s follow the canonical order of domain names
    /// (label by label from the right) instead: an id is no place in here.
    pub services: Vec<ServicePlan>,
}

/// What a Plan was made for. A Director that lacks one of them keeps its old Plan and says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// The shared configuration.
    pub configuration: Digest,
    /// The map from client prefixes to areas, country files included.
    pub map: Digest,
    /// The zone files.
    pub zones: Digest,
    /// The DNSSEC keys; empty while unsigned.
    #[serde(default)]
    pub keys: Digest,
}

impl Digests {
    /// Whether Plans for both can be carried out where one can: keys change nothing that a Plan decides.
    #[must_use]
    pub fn name_the_same(&self, other: &Self) -> bool {
        (&self.configuration, &self.map, &self.zones)
            == (&other.configuration, &other.map, &other.zones)
    }
}

/// A server as the round saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedServer {
    /// Unique.
    pub name: Name,
    /// Where it stands.
    pub cluster: Name,
    /// IPv4 and IPv6.
    pub addresses: Vec<IpAddr>,
    /// Whether it may be handed out.
    pub life: Life,
    /// Load, 0 to 1; `None` is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// Requests being served or waiting, as last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<u64>,
    /// What it can bear, as configured: of use only beside the capacities of others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<f64>,
    /// Why it is not living, for people; empty if it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Servers among which answers choose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateList {
    /// One group, or several while an area moves by shares from one cluster to another. An answer
    /// first draws its group by share, then chooses inside it.
    pub groups: Vec<Group>,
}

/// Candidates that are chosen among by the service's `choose` stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The share of the answers that come from here; the shares of a list add up to 1.
    pub share: f64,
    /// In ring order: an answer is one of them and those that follow it. Never empty.
    pub candidates: Vec<Candidate>,
}

/// One server in a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its place in [`Plan::servers`].
    pub server: u32,
    /// Configured weight; `ramp` not yet applied.
    pub weight: u32,
    /// Whether its load is above the service's threshold: it is here for want of others, or because the
    /// others could not bear its clients.
    pub over_threshold: bool,
    /// Gradual return, 0 (exclusive) to 1: scales the weight; for choosers without weights the
    /// share of the answers in which it is a candidate at all.
    pub ramp: f64,
}

/// One service's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServicePlan {
    /// The domain name, lower case, without the last dot.
    pub name: String,
    /// Digest of its configuration.
    pub digest: Digest,
    /// How clients are located.
    pub locate: Vec<LocatePolicy>,
    /// How the first server is chosen.
    pub choose: ChoosePolicy,
    /// What tunes that.
    #[serde(default, skip_serializing_if = "ChooseParameters::is_default")]
    pub choose_parameters: ChooseParameters,
    /// How the TTL is chosen.
    pub ttl: TtlPolicy,
    /// Servers in an answer; `None` is all candidates.
    pub answers: Option<u32>,
    /// One entry an area of the topology, sorted by area name.
    pub areas: Vec<AreaPlan>,
    /// Who asks how much; `None` if no stage wants to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<ServiceDemand>,
}

/// Where one area's clients of one service go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AreaPlan {
    /// The area.
    pub area: Name,
    /// Clusters with their shares, for people and for the next round; the first is where the area
    /// points.
    pub clusters: Vec<(Name, f64)>,
    /// Candidates for A; `None` if no server of the service has an IPv4 address (NODATA).
    pub ipv4: Option<ListIndex>,
    /// Candidates for AAAA; `None` if no server of the service has an IPv6 address (NODATA).
    pub ipv6: Option<ListIndex>,
    /// Candidates for records that name servers by their host names, of whatever family; `None` if
    /// the service gives no such record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<ListIndex>,
    /// The area is worse off than it should be (its home does not function, or candidates are over
    /// the threshold or not living): TTLs are halved.
    pub degraded: bool,
    /// Which phase or rule decided, for people.
    pub reason: String,
}

/// How much each domain asks of a service. A rate becomes a hidden load weight where the TTL is
/// known: requests during one TTL after one answer (Colajanni, Yu, Dias 1998).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceDemand {
    /// Requests a second of all domains, those not named included.
    pub rate: f64,
    /// The heaviest, by falling rate; at most [`ServiceDemand::DOMAINS_MAX`].
    pub domains: Vec<DomainDemand>,
    /// How long before this Plan the time began in which servers observed domains, in milliseconds;
    /// 0 if none did.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub observed_over_ms: u64,
    /// How much of the rate is of clients of whom no Director is asked under their own prefix, named
    /// or not: they are no domains to whom answers could be given.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub silent: f64,
}

impl ServiceDemand {
    /// The most domains that are named.
    pub const DOMAINS_MAX: usize = 4096;
    /// The most of them that are hot.
    pub const HOT_MAX: usize = 256;

    /// The same so many milliseconds later, if nothing was heard since.
    pub(crate) const fn age(&mut self, millis: u64) {
        if self.observed_over_ms > 0 {
            self.observed_over_ms = self.observed_over_ms.saturating_add(millis);
        }
    }

    /// Whether both say the same; when that was observed is left out.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        (self.rate, self.silent, &self.domains) == (other.rate, other.silent, &other.domains)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_nothing(rate: &f64) -> bool {
    *rate == 0.0
}

/// How much one domain asks of a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DomainDemand {
    /// A resolver's address or an ECS prefix.
    pub domain: String,
    /// Requests a second; above 0.
    pub rate: f64,
    /// Its part of what all ask is above the service's hot share; of those that are not silent, except
    /// for `crml`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hot: bool,
    /// No Director is asked by it, as far as they name who asks: only servers' access logs tell of it.
    /// A resolver that stands in it is taken for it, but it does not count among those that ask.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
    /// Queries alone say how much it asks: no server tells of requests of its clients, or of far fewer than its
    /// queries stand for elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reckoned: bool,
    /// Requests a second that servers report to get from it: places in [`Plan::servers`]. Of hot
    /// domains only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<(u32, f64)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(millis: &u64) -> bool {
    *millis == 0
}
