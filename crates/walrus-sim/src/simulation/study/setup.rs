//! A study's variant, checked and ready to run.

use std::f64::consts::TAU;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use walrus_core::config::Configuration;
use walrus_core::world::{Service, Target, Time};

use super::law::{Law, ServiceLaw};
use super::shares::Shares;
pub(crate) use crate::script::{Messages, Reach};
use crate::system::ServerState;

/// All that a run needs but its seed.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) duration: Duration,
    pub(crate) discard: Duration,
    pub(crate) window: Duration,
    pub(crate) sample: Duration,
    pub(crate) interval: Duration,
    pub(crate) service_law: ServiceLaw,
    pub(crate) connect_timeout: Duration,
    /// Hits at a server.
    pub(crate) queue_max: u32,
    pub(crate) populations: Vec<Population>,
    pub(crate) name_servers: Vec<NameServerSetup>,
    pub(crate) reports: Reports,
    pub(crate) queries: Queries,
    pub(crate) directors: Directors,
    pub(crate) controllers: usize,
    pub(crate) takeover: Duration,
    /// In the order of time.
    pub(crate) timeline: Vec<Happening>,
    /// What [`Deed::Reload`] puts in force.
    pub(crate) reloads: Vec<Arc<Configuration>>,
}

impl Setup {
    /// About how many events clients make in a second: what their queue is laid out for.
    pub(crate) fn events_per_second(&self) -> f64 {
        let pages = |population: &Population| match population.arrivals {
            Arrivals::Closed(clients) => clients as f64 / population.think.mean().max(0.001),
            Arrivals::Open(sessions) => sessions * population.session.mean(),
        };
        self.populations.iter().map(pages).sum()
    }

    /// Whether a server becomes slower or faster.
    pub(crate) fn changes_speed(&self) -> bool {
        self.timeline
            .iter()
            .any(|it| matches!(it.deed, Deed::Speed(..) | Deed::Servers(_, ServerState::Slow)))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Population {
    pub(crate) name: String,
    pub(crate) arrivals: Arrivals,
    pub(crate) shares: Arc<Shares>,
    /// The first domain's network.
    pub(crate) network: IpAddr,
    /// Its length in bits.
    pub(crate) network_bits: u8,
    pub(crate) domains_per_resolver: u32,
    pub(crate) family: Family,
    pub(crate) ttl_rule: TtlRule,
    /// The share of the resolvers that follow it.
    pub(crate) ttl_share: f64,
    pub(crate) subnet: bool,
    /// By name server, in nanoseconds; `None` where the study has none.
    pub(crate) name_server_distances: Vec<Option<u64>>,
    /// By cluster, in nanoseconds; `None` where the study has none.
    pub(crate) cluster_distances: Vec<Option<u64>>,
    pub(crate) daily: f64,
    /// When its first peak is, in seconds since the run's beginning; may be before that.
    pub(crate) peak: f64,
    /// Its place in the topology.
    pub(crate) service: usize,
    pub(crate) record_type: RecordType,
    pub(crate) think: Law,
    pub(crate) session: Law,
    pub(crate) hits: Law,
    pub(crate) client_cache: ClientCache,
}

/// Seconds of a day.
const DAY: f64 = 86_400.0;

impl Population {
    /// Where in the day this is, as an angle from its peak: so many seconds after the beginning.
    pub(crate) fn angle(&self, seconds: f64) -> f64 {
        (seconds - self.peak) / DAY * TAU
    }

    /// The activity of the time of day, 1 on average of a day, as a mean over the run's first seconds.
    pub(crate) fn mean_activity(&self, seconds: f64) -> f64 {
        let (begin, end) = (self.angle(0.0), self.angle(seconds));
        1.0 + self.daily * (end.sin() - begin.sin()) / (end - begin).max(f64::MIN_POSITIVE)
    }

    /// The clusters of its service that are nearest by its distances; `None` where one has none, for then
    /// nobody can say.
    pub(crate) fn nearest_clusters(&self, service: &Service) -> Option<Vec<usize>> {
        let distance = |cluster: usize| self.cluster_distances.get(cluster).copied().flatten();
        let clusters = || service.clusters.iter().map(|cluster| cluster.index());
        let distances: Option<Vec<u64>> = clusters().map(distance).collect();
        let least = distances?.into_iter().min()?;
        Some(clusters().filter(|cluster| distance(*cluster) == Some(least)).collect())
    }
}

/// Where a population's sessions come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Arrivals {
    /// From so many clients, who come back.
    Closed(u64),
    /// By themselves, so many a second.
    Open(f64),
}

/// How a resolver chooses among name servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Bind,
    Unbound,
    Knot,
    Uniform,
    Sticky,
}

/// What a resolver makes of a TTL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TtlRule {
    Honour,
    AtLeast(Duration),
    AtMost(Duration),
    /// Always this, whatever the answer says.
    Ignore(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordType {
    A,
    Aaaa,
}

/// How long a client keeps addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientCache {
    None,
    Session,
    Time(Duration),
}

/// A name server, by the address that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameServerSetup {
    /// The area whose it is, else `ns1`, `ns2` ...; several may have the same.
    pub(crate) name: String,
    pub(crate) address: std::net::SocketAddr,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Reports {
    pub(crate) every: Duration,
    pub(crate) link: Link,
    pub(crate) requests: bool,
    pub(crate) busy_max: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Queries {
    pub(crate) delay: Duration,
    pub(crate) jitter: f64,
    pub(crate) loss: f64,
    pub(crate) timeout: Duration,
    pub(crate) tries: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Directors {
    pub(crate) workers: usize,
    /// How often its workers tell each other.
    pub(crate) exchange: Duration,
    pub(crate) plans: Link,
    pub(crate) observations: Link,
}

/// A way that messages take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Link {
    pub(crate) delay: Duration,
    /// The share that gets lost.
    pub(crate) loss: f64,
}

/// Something that happens at a time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Happening {
    pub(crate) at: Time,
    pub(crate) deed: Deed,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    /// What these servers' Reporters say, and whether they are there at all, as in scenarios.
    /// [`ServerState::Busy`] makes the Reporter say this whatever is true.
    Servers(Vec<usize>, ServerState),
    /// They work at so many times their capacity.
    Speed(Vec<usize>, f64),
    /// All is well with them again.
    Heal(Vec<usize>),
    Drain {
        target: Target,
        force: bool,
    },
    Undrain(Target),
    NameServers(Vec<usize>, Reach),
    Controller(usize, Reach),
    /// All messages of a kind get lost.
    Cut(Messages, bool),
    /// Those of some servers or name servers (Plans: to them), to one Controller or to all.
    CutSome {
        messages: Messages,
        parts: Vec<usize>,
        controller: Option<usize>,
        is_cut: bool,
    },
    /// A setting of the Walrus configuration changes, path and value as they stand in the time line.
    Set(String, String),
    /// The configuration of this place among [`Setup::reloads`] is put in force.
    Reload(usize),
    /// Its load becomes so many times what it was: it grows within a time, stays for a time (or for
    /// good), and shrinks within the first.
    Population {
        populations: Vec<usize>,
        factor: f64,
        within: Duration,
        last: Option<Duration>,
    },
}
