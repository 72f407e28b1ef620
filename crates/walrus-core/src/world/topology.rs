//! What stands where: servers, clusters, areas and services, as the configuration says.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use walrus_dns::DomainName;

use super::{Coordinates, Digest, Name, Nearness, ServiceRecords, TtlPolicy};

macro_rules! id {
    ($(#[$doc:meta])* $id:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $id(pub u32);

        impl $id {
            /// As an index into the topology's list.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id! {
    /// A server's place in [`Topology::servers`].
    ServerId
}
id! {
    /// A cluster's place in [`Topology::clusters`].
    ClusterId
}
id! {
    /// An area's place in [`Topology::areas`].
    AreaId
}
id! {
    /// A service's place in [`Topology::services`].
    ServiceId
}

/// All nouns of one configuration. Every list is sorted by name, so that "in the order of names"
/// is the order of ids. Names are unique within their kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topology {
    /// All servers.
    pub servers: Vec<Server>,
    /// All clusters.
    pub clusters: Vec<Cluster>,
    /// All areas; `world` is always among them.
    pub areas: Vec<Area>,
    /// All services.
    pub services: Vec<Service>,
}

impl Topology {
    /// The server of this name.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<ServerId> {
        find(&self.servers, name, |server| server.name.as_str()).map(ServerId)
    }

    /// The cluster of this name.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<ClusterId> {
        find(&self.clusters, name, |cluster| cluster.name.as_str()).map(ClusterId)
    }

    /// The area of this name.
    #[must_use]
    pub fn area(&self, name: &str) -> Option<AreaId> {
        find(&self.areas, name, |area| area.name.as_str()).map(AreaId)
    }

    /// The built-in area that holds whoever no other area holds.
    ///
    /// # Panics
    /// If the topology was built without it, which the configuration's checks never do.
    #[must_use]
    pub fn world(&self) -> AreaId {
        self.area(Area::WORLD).expect("every topology has the area `world`")
    }

    /// The service of this domain name.
    #[must_use]
    pub fn service(&self, name: &DomainName) -> Option<ServiceId> {
        let index = self.services.iter().position(|service| service.name == *name)?;
        u32::try_from(index).ok().map(ServiceId)
    }
}

fn find<T>(list: &[T], name: &str, key: impl Fn(&T) -> &str) -> Option<u32> {
    let index = list.binary_search_by(|item| key(item).cmp(name)).ok()?;
    u32::try_from(index).ok()
}

/// One replica.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Unique among servers.
    pub name: Name,
    /// Where it stands.
    pub cluster: ClusterId,
    /// At least one, IPv4 and IPv6 in any mix.
    pub addresses: Vec<IpAddr>,
    /// Relative share among its cluster's servers; 0 takes no clients unless nobody else is left.
    pub weight: u32,
    /// What a client here costs, in any unit; carried for later policies.
    pub cost: f64,
    /// Requests a second that it can serve, if known; `stable` needs it.
    pub capacity: Option<f64>,
    /// A Reporter is expected: its silence is death.
    pub reporter: bool,
    /// How it is looked at from outside; `None` counts as up.
    pub probe: Option<Probe>,
    /// Its own name in the DNS; without one, records name it below their service.
    pub host: Option<DomainName>,
}

/// Servers that stand together.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Unique among clusters.
    pub name: Name,
    /// Its servers in the order of the configuration (the order of rings and of `failover`).
    pub servers: Vec<ServerId>,
    /// Where it stands, if known.
    pub coordinates: Option<Coordinates>,
}

/// Clients that are near each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Area {
    /// Unique among areas.
    pub name: Name,
    /// The cluster nearby, if any; a service may name another.
    pub home: Option<ClusterId>,
    /// Who lives here.
    pub clients: Vec<ClientSpec>,
    /// The addresses of name servers that its clients are expected to ask (`locate nameserver`).
    pub nameservers: Vec<SocketAddr>,
    /// How near clusters are, so far as it is known.
    pub nearness: Nearness,
}

impl Area {
    /// The built-in area that holds whoever no other area holds.
    pub const WORLD: &'static str = "world";
}

/// One entry of an area's `clients`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientSpec {
    /// An explicit prefix: the network address and its length in bits.
    Prefix(IpAddr, u8),
    /// An ISO 3166 country, upper case ("DE").
    Country(String),
    /// One of AF, AN, AS, EU, NA, OC, SA.
    Continent(String),
}

/// How a server is looked at from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// What is done.
    pub kind: ProbeKind,
    /// Time between two probes of a target, before jitter.
    pub interval: Duration,
    /// How long a probe may take.
    pub timeout: Duration,
    /// Successes in a row that bring a target up.
    pub rise: u32,
    /// Failures in a row that take it down.
    pub fall: u32,
    /// The interval varies by up to this share, 0 to 0.5.
    pub jitter: f64,
    /// Probe each address (and be dead if any fails) instead of the first only.
    pub all_addresses: bool,
    /// How many vantage points must see it down.
    pub down_when: DownWhen,
}

/// How many of the vantage points that tell of a server must see it down before it counts as such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DownWhen {
    /// More than half of them.
    #[default]
    Majority,
    /// So many, or all if there are fewer.
    Count(u32),
}

impl DownWhen {
    /// How many of these; 1 if nobody tells.
    #[must_use]
    pub fn needed(self, voters: usize) -> usize {
        match self {
            Self::Majority => voters / 2 + 1,
            Self::Count(count) => usize::try_from(count).unwrap_or(usize::MAX).min(voters).max(1),
        }
    }
}

/// What a probe does. `{address}` in a URL or target stands for the server's address (IPv6 in
/// brackets).
#[derive(Clone, Debug, PartialEq)]
pub enum ProbeKind {
    /// A TCP connection that opens.
    Tcp {
        /// Where to.
        port: u16,
    },
    /// An HTTP or HTTPS request with an expected answer.
    Http {
        /// `http://{address}/healthz`, `https://{address}:8443/`.
        url: String,
        /// The Host header and TLS name, if not the address.
        host: Option<String>,
        /// Accepted status codes as inclusive ranges.
        status: Vec<(u16, u16)>,
        /// Text that the body must contain (looked for in its first 64 KiB).
        body: Option<String>,
        /// Whether the certificate must be valid for `host` (HTTPS).
        verify: bool,
    },
}

/// A name that clients use.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// The name that clients ask for.
    pub name: DomainName,
    /// Clusters that serve it, in the order of the configuration.
    pub clusters: Vec<ClusterId>,
    /// Home clusters by area (by [`AreaId`]), the area's own unless this service names another;
    /// `None` if the area has none or its home does not serve this service.
    pub homes: Vec<Option<ClusterId>>,
    /// Tried in order, first hit wins, then `world`.
    pub locate: Vec<LocatePolicy>,
    /// Which clusters serve an area.
    pub assign: AssignPolicy,
    /// Which server comes first in an answer.
    pub choose: ChoosePolicy,
    /// What tunes that.
    pub choose_parameters: ChooseParameters,
    /// How long an answer may be cached.
    pub ttl: TtlPolicy,
    /// The share of all demand above which a domain is hot; `None` is 1 over the number of domains
    /// that are named.
    pub hot_share: Option<f64>,
    /// Servers in an answer; `None` is all that function.
    pub answers: Option<u32>,
    /// The load *above* which a server takes no new clients while the others can bear them.
    pub threshold: f64,
    /// How far below the threshold a server must fall before it is used again (A7, A13).
    pub hysteresis: f64,
    /// Rounds that a home must be below before its area goes home (A7); 1 is the thesis.
    pub home_rounds: u32,
    /// Which clusters phase four may pick.
    pub spill: Spill,
    /// A candidate's load must be at most (1 - this) of the present one's (A8).
    pub better_ratio: f64,
    /// ... and lower by at least this (A8).
    pub better_by: f64,
    /// How long an area takes to go home, by shares; zero is at once.
    pub ramp: Duration,
    /// What it gives.
    pub records: ServiceRecords,
    /// What its part of the configuration hashes to; a service whose digest did not change is not
    /// compiled again.
    pub digest: Digest,
}

impl Service {
    /// Whether one of its stages looks at who asks how much: only then the Plan says so.
    #[must_use]
    pub const fn wants_demand(&self) -> bool {
        let choose = match self.choose {
            ChoosePolicy::RoundRobin
            | ChoosePolicy::Weighted
            | ChoosePolicy::Random
            | ChoosePolicy::Hash
            | ChoosePolicy::Pow2 => false,
            ChoosePolicy::Rr2
            | ChoosePolicy::Prr2
            | ChoosePolicy::Dal
            | ChoosePolicy::Mrl
            | ChoosePolicy::Crml => true,
        };
        choose || self.ttl.looks_at_domains()
    }
}

/// In which area is this client?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocatePolicy {
    /// By ECS prefix, else by resolver address.
    Map,
    /// The area whose name server was asked: the thesis' DNS round-trip-time method.
    Nameserver,
}

/// Which clusters serve this area, in which shares?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AssignPolicy {
    /// The thesis' four phases.
    Walrus,
    /// The first functioning cluster: home first, then the service's order.
    Failover,
    /// Every functioning cluster at once.
    All,
    /// The nearest cluster that functions and is not overloaded.
    Nearest,
    /// As near as there is room: stable allocation under capacities.
    Stable,
}

/// Which server comes first in this answer?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChoosePolicy {
    /// In turn, each worker for itself.
    RoundRobin,
    /// At random by weight.
    Weighted,
    /// At random, all alike.
    Random,
    /// Consistent hashing of the domain that asks, with bounded loads.
    Hash,
    /// The less loaded of two that are drawn.
    Pow2,
    /// In turn, hot domains and normal ones apart.
    Rr2,
    /// Likewise, each taken with the probability of its capacity.
    Prr2,
    /// The least that was given so far.
    Dal,
    /// The least that still comes of what was given.
    Mrl,
    /// Likewise, with what servers report to come beyond that.
    Crml,
}

impl ChoosePolicy {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::RoundRobin,
        Self::Weighted,
        Self::Random,
        Self::Hash,
        Self::Pow2,
        Self::Rr2,
        Self::Prr2,
        Self::Dal,
        Self::Mrl,
        Self::Crml,
    ];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::Weighted => "weighted",
            Self::Random => "random",
            Self::Hash => "hash",
            Self::Pow2 => "pow2",
            Self::Rr2 => "rr2",
            Self::Prr2 => "prr2",
            Self::Dal => "dal",
            Self::Mrl => "mrl",
            Self::Crml => "crml",
        }
    }

    /// Whether who asks plays a part: then an answer is for one domain alone.
    #[must_use]
    pub const fn looks_at_domain(self) -> bool {
        match self {
            Self::RoundRobin | Self::Weighted | Self::Random | Self::Pow2 => false,
            Self::Hash | Self::Rr2 | Self::Prr2 | Self::Dal | Self::Mrl | Self::Crml => true,
        }
    }

    /// Whether something is known of each server beside its candidate lists.
    #[must_use]
    pub const fn numbers_servers(self) -> bool {
        match self {
            Self::RoundRobin | Self::Weighted | Self::Random | Self::Rr2 | Self::Prr2 => false,
            Self::Hash | Self::Pow2 | Self::Dal | Self::Mrl | Self::Crml => true,
        }
    }

    /// Whether servers are weighed: then gradual return scales what they bear. Else a server that
    /// returns takes part in some answers only.
    #[must_use]
    pub const fn weighs_servers(self) -> bool {
        !matches!(self, Self::RoundRobin | Self::Random | Self::Rr2)
    }

    /// Whether servers are weighed by their capacities, where all candidates have one.
    #[must_use]
    pub const fn weighs_capacities(self) -> bool {
        self.weighs_servers() && !matches!(self, Self::Weighted)
    }
}

/// What tunes the `choose` stage of a service.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChooseParameters {
    /// `hash`: how far a server may go beyond its fair share of the living grants; above 0.
    pub hash_bound: f64,
    /// `crml`: over how many seconds what a server observes beyond its grants is charged; `None` is
    /// one TTL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crml_horizon: Option<u32>,
    /// `crml`: whether a server's backlog is charged, too.
    #[serde(default)]
    pub crml_backlog: bool,
}

impl Default for ChooseParameters {
    fn default() -> Self {
        Self { hash_bound: 0.25, crml_horizon: None, crml_backlog: false }
    }
}

impl ChooseParameters {
    /// Whether nothing is tuned.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Which clusters may phase four pick?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spill {
    /// Only those that nobody took in this round: the thesis.
    Unassigned,
    /// Also taken ones that have load to spare.
    Spare,
}

/// How statistics become one number (A1): the greatest of the chosen parts times their weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadFormula {
    /// Weight of busy / maximum servers.
    pub busy: f64,
    /// Weight of the CPU's share that is not idle.
    pub cpu: f64,
    /// Weight of blocked / (runnable + blocked + 1).
    pub blocked: f64,
    /// Weight of memory pressure (PSI `full avg10`).
    pub memory: f64,
}

impl Default for LoadFormula {
    fn default() -> Self {
        Self { busy: 1.0, cpu: 1.0, blocked: 1.0, memory: 1.0 }
    }
}
