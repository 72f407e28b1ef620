//! `GET /traffic`: what goes through the name server, as far as it was counted and sampled.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_director::{DecisionSeen, Heavy, Latency, Recent, ServiceTraffic, Traffic};

use super::status::NumberView;

/// What goes through one node's name server. Counts are since its start and never fall.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TrafficView {
    /// The node that answers.
    pub(crate) node: String,
    /// The Plan that it answers from; null before the first.
    pub(crate) plan: Option<NumberView>,
    /// Milliseconds since the node's start: two looks make a rate. It is looked at most twice a
    /// second; who asks sooner gets the same again.
    pub(crate) at_ms: u64,
    /// Replies by transport, type and code; those that never happened are left out.
    pub(crate) replies: Vec<ReplyCountView>,
    /// Other counts.
    pub(crate) counters: TrafficCountersView,
    /// How long answers by UDP took.
    pub(crate) latency: LatencyView,
    /// Services that were asked for, in the order of names.
    pub(crate) services: Vec<ServiceTrafficView>,
    /// What was asked of late.
    pub(crate) recent: RecentView,
}

/// Replies of one kind.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReplyCountView {
    /// udp or tcp.
    pub(crate) transport: String,
    /// A type; `other` for those that are not counted apart, `unreadable` if the query had none.
    #[serde(rename = "type")]
    pub(crate) record_type: String,
    /// The code's name, or `other`.
    pub(crate) rcode: String,
    /// How many.
    pub(crate) count: u64,
}

/// Counts of a name server.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct TrafficCountersView {
    /// Datagrams received.
    pub(crate) udp_queries: u64,
    /// Messages received by TCP.
    pub(crate) tcp_queries: u64,
    /// Messages that got no reply: replies of others, too short, too long.
    pub(crate) dropped: u64,
    /// Queries that the fast path left to the complete path.
    pub(crate) complete_path: u64,
    /// Replies cut to the client's size.
    pub(crate) truncated: u64,
    /// Queries with a client subnet.
    pub(crate) client_subnet: u64,
    /// Queries that want signatures.
    pub(crate) dnssec_ok: u64,
    /// Replies for a service's name.
    pub(crate) service_answers: u64,
    /// Replies that the kernel did not take.
    pub(crate) send_failures: u64,
    /// Panics of answering threads, which went on.
    pub(crate) panics: u64,
}

/// Time from when a thread begins to take what has arrived by UDP until all replies to it are with
/// the kernel; each query counts with the whole batch's time.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct LatencyView {
    /// All queries that were measured.
    pub(crate) count: u64,
    /// Their times together, in microseconds.
    pub(crate) sum_us: f64,
    /// Not cumulative: each query is in one.
    pub(crate) buckets: Vec<BucketView>,
}

/// Queries that took so long.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BucketView {
    /// At most so many microseconds, and more than the bucket before; null for all that took longer.
    pub(crate) most_us: Option<u64>,
    /// How many.
    pub(crate) count: u64,
}

/// What went through one service.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServiceTrafficView {
    /// The service; `(other)` for all that came after the first 4,096 pairs of a service with an
    /// area or a server.
    pub(crate) service: String,
    /// Queries by the area that their clients were taken to be in.
    pub(crate) areas: Vec<CountView>,
    /// How often each server came first in an answer.
    pub(crate) servers: Vec<CountView>,
}

/// A name and how often.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct CountView {
    /// An area or a server.
    pub(crate) name: String,
    /// How often.
    pub(crate) count: u64,
}

/// What was asked of late.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct RecentView {
    /// The time that the sample covers: the last 10 to 20 seconds, if somebody looks.
    pub(crate) duration_ms: u64,
    /// Answers in that time.
    pub(crate) answers: u64,
    /// Those of them that are in the sample.
    pub(crate) sampled: u64,
    /// The names asked for most: an estimate from the sample. Empty is a query that could not be
    /// read.
    pub(crate) names: Vec<HeavyView>,
    /// Who sent most queries: an estimate from the sample.
    pub(crate) resolvers: Vec<HeavyView>,
    /// The time that the domains cover; they are looked at every ten seconds.
    pub(crate) domains_duration_ms: u64,
    /// Queries for services in that time.
    pub(crate) domains_queries: u64,
    /// Resolvers and client subnets that asked most for services: counted.
    pub(crate) domains: Vec<HeavyView>,
    /// Decisions of the sample, the last first.
    pub(crate) decisions: Vec<DecisionView>,
}

/// One of the heaviest.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct HeavyView {
    /// A name, an address or a prefix.
    pub(crate) what: String,
    /// Queries in the time covered.
    pub(crate) queries: f64,
    /// What was counted is too high by this at most; 0 for an estimate.
    pub(crate) error: f64,
}

/// One decision of the sample.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DecisionView {
    /// When, Unix milliseconds.
    pub(crate) time_unix_ms: u64,
    /// The name asked for; empty if the query could not be read.
    pub(crate) name: String,
    /// The type asked for.
    #[serde(rename = "type")]
    pub(crate) record_type: String,
    /// udp or tcp.
    pub(crate) transport: String,
    /// Who sent the query.
    pub(crate) resolver: String,
    /// The client subnet; null if the query told none.
    pub(crate) subnet: Option<String>,
    /// The query wants signatures.
    #[serde(rename = "do")]
    pub(crate) dnssec_ok: bool,
    /// The reply's code.
    pub(crate) rcode: String,
    /// Where a service's client was taken to be; else null.
    pub(crate) area: Option<String>,
    /// The cluster of the answer's first server; else null.
    pub(crate) cluster: Option<String>,
    /// The answer's first server; else null.
    pub(crate) server: Option<String>,
    /// Seconds, of a service's answer; else null.
    pub(crate) ttl: Option<u32>,
    /// The Plan that decided; null before the first.
    pub(crate) plan: Option<String>,
}

impl TrafficView {
    /// What the Director tells. `unix_ms_at_zero` is when its clock began.
    pub(crate) fn of(
        node: &str,
        plan: Option<NumberView>,
        traffic: &Traffic,
        unix_ms_at_zero: u64,
    ) -> Self {
        let replies = traffic.replies.iter().map(|reply| ReplyCountView {
            transport: reply.transport.to_owned(),
            record_type: reply.record_type.to_owned(),
            rcode: reply.rcode.to_owned(),
            count: reply.count,
        });
        let counters = &traffic.counters;
        Self {
            node: node.to_owned(),
            plan,
            at_ms: traffic.at.as_nanos() / 1_000_000,
            replies: replies.collect(),
            counters: TrafficCountersView {
                udp_queries: counters.udp_queries,
                tcp_queries: counters.tcp_queries,
                dropped: counters.dropped,
                complete_path: counters.complete_path,
                truncated: counters.truncated,
                client_subnet: counters.client_subnet,
                dnssec_ok: counters.dnssec_ok,
                service_answers: counters.service_answers,
                send_failures: counters.send_failures,
                panics: counters.panics,
            },
            latency: LatencyView::of(&traffic.latency),
            services: traffic.services.iter().map(ServiceTrafficView::of).collect(),
            recent: RecentView::of(&traffic.recent, unix_ms_at_zero),
        }
    }
}

impl LatencyView {
    fn of(latency: &Latency) -> Self {
        let buckets = latency.buckets().map(|(most, count)| BucketView {
            most_us: most.map(|most| u64::try_from(most.as_micros()).unwrap_or(u64::MAX)),
            count,
        });
        Self {
            count: latency.count(),
            sum_us: latency.sum().as_secs_f64() * 1e6,
            buckets: buckets.collect(),
        }
    }
}

impl ServiceTrafficView {
    fn of(service: &ServiceTraffic) -> Self {
        let counts = |counts: &[(String, u64)]| {
            let view =
                |(name, count): &(String, u64)| CountView { name: name.clone(), count: *count };
            counts.iter().map(view).collect()
        };
        Self {
            service: service.service.clone(),
            areas: counts(&service.areas),
            servers: counts(&service.servers),
        }
    }
}

impl RecentView {
    fn of(recent: &Recent, unix_ms_at_zero: u64) -> Self {
        let heavy = |heavy: &[Heavy]| {
            let view = |heavy: &Heavy| HeavyView {
                what: heavy.what.clone(),
                queries: heavy.queries,
                error: heavy.error,
            };
            heavy.iter().map(view).collect()
        };
        Self {
            duration_ms: milliseconds(recent.duration),
            answers: recent.answers,
            sampled: recent.sampled,
            names: heavy(&recent.names),
            resolvers: heavy(&recent.resolvers),
            domains_duration_ms: milliseconds(recent.domains_duration),
            domains_queries: recent.domains_queries,
            domains: heavy(&recent.domains),
            decisions: recent
                .decisions
                .iter()
                .map(|decision| DecisionView::of(decision, unix_ms_at_zero))
                .collect(),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl DecisionView {
    fn of(decision: &DecisionSeen, unix_ms_at_zero: u64) -> Self {
        Self {
            time_unix_ms: unix_ms_at_zero + decision.at.as_nanos() / 1_000_000,
            name: decision.name.clone(),
            record_type: decision.record_type.clone(),
            transport: decision.transport.to_owned(),
            resolver: decision.resolver.to_string(),
            subnet: decision.subnet.clone(),
            dnssec_ok: decision.dnssec_ok,
            rcode: decision.rcode.clone(),
            area: decision.area.clone(),
            cluster: decision.cluster.clone(),
            server: decision.server.clone(),
            ttl: decision.ttl,
            plan: decision.plan.clone(),
        }
    }
}
