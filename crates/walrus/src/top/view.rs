//! What two looks at a running system say: rates, shares, and who is heaviest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::status::{ClusterView, NumberView, ServerView, ShareView, StatusView};
use crate::api::traffic::{DecisionView, HeavyView, LatencyView, ReplyCountView, TrafficView};

/// A running system at work: what `walrus top` shows.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TopView {
    /// The node that was asked.
    pub(crate) node: String,
    /// The Plan that it answers from; null before the first.
    pub(crate) plan: Option<NumberView>,
    /// The time between the two looks that the rates are made of, in milliseconds; 0 for the first
    /// look after a start, when all rates are 0.
    pub(crate) over_ms: u64,
    /// Replies a second.
    pub(crate) replies_per_second: f64,
    /// By udp and tcp.
    pub(crate) transports: Vec<RateView>,
    /// By type.
    pub(crate) types: Vec<RateView>,
    /// By the reply's code.
    pub(crate) rcodes: Vec<RateView>,
    /// Queries that want signatures.
    pub(crate) dnssec_ok: RateView,
    /// Queries that were left to the complete path.
    pub(crate) complete_path: RateView,
    /// Messages a second that got no reply.
    pub(crate) dropped_per_second: f64,
    /// How long answers by UDP took; null if there were none.
    pub(crate) latency: Option<LatencySummaryView>,
    /// Services, most asked for first.
    pub(crate) services: Vec<RateView>,
    /// Areas of services, most asked for first, also those that nobody asked for.
    pub(crate) areas: Vec<AreaRateView>,
    /// Servers of services by their share of the service's answers.
    pub(crate) servers: Vec<ServerRateView>,
    /// Clusters; empty if this node is no Controller.
    pub(crate) clusters: Vec<ClusterView>,
    /// Problems that are open now; empty if this node is no Controller.
    pub(crate) problems: Vec<String>,
    /// What names and resolvers are estimated from.
    pub(crate) sample: SampleView,
    /// The names asked for most: an estimate. Empty is a query that could not be read.
    pub(crate) names: Vec<RateView>,
    /// Who sends most queries: an estimate.
    pub(crate) resolvers: Vec<RateView>,
    /// The time that the domains cover, in milliseconds; they are looked at every ten seconds.
    pub(crate) domains_duration_ms: u64,
    /// Resolvers and client subnets that ask most for services: counted, and their share of all
    /// queries for services.
    pub(crate) domains: Vec<RateView>,
    /// Decisions of the sample, the last first.
    pub(crate) decisions: Vec<DecisionView>,
}

/// How often something happens, and its share of all of its kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct RateView {
    /// What happens.
    pub(crate) what: String,
    /// How often a second.
    pub(crate) per_second: f64,
    /// 0 to 1.
    pub(crate) share: f64,
}

/// How long answers took: upper bounds, since they are counted in buckets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct LatencySummaryView {
    /// The mean in microseconds.
    pub(crate) mean_us: f64,
    /// Half of the answers took at most so many microseconds; null for more than any bucket.
    pub(crate) half_us: Option<u64>,
    /// 99 of 100 took at most so many; null for more than any bucket.
    pub(crate) most_us: Option<u64>,
}

/// What comes from an area for a service, and where it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct AreaRateView {
    /// The service.
    pub(crate) service: String,
    /// The area.
    pub(crate) area: String,
    /// Queries a second at this node.
    pub(crate) per_second: f64,
    /// Share of the service's queries, 0 to 1.
    pub(crate) share: f64,
    /// Where its clients go; empty if this node is no Controller.
    pub(crate) clusters: Vec<ShareView>,
    /// Worse off than it should be; null if this node is no Controller.
    pub(crate) degraded: Option<bool>,
}

/// What a server gets of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServerRateView {
    /// The service.
    pub(crate) service: String,
    /// The server.
    pub(crate) server: String,
    /// Where it stands; null if this node is no Controller.
    pub(crate) cluster: Option<String>,
    /// living, unknown, drained, bypass, panic or dead; null if this node is no Controller.
    pub(crate) life: Option<String>,
    /// 0 idle to 1 full; null if unknown.
    pub(crate) load: Option<f64>,
    /// Answers a second in which it comes first.
    pub(crate) per_second: f64,
    /// Share of the service's answers, 0 to 1.
    pub(crate) share: f64,
}

/// A sample of the answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct SampleView {
    /// The time covered, in milliseconds.
    pub(crate) duration_ms: u64,
    /// Answers in that time.
    pub(crate) answers: u64,
    /// Those of them that were looked at.
    pub(crate) sampled: u64,
}

impl TopView {
    /// What happened between two looks at the traffic. Without an earlier one, or if the system was
    /// started anew between them, all rates are 0.
    pub(crate) fn between(
        earlier: Option<&TrafficView>,
        now: &TrafficView,
        status: Option<&StatusView>,
    ) -> Self {
        let earlier = earlier.filter(|earlier| !began_anew(earlier, now));
        let since = Since { earlier, now };
        let replies = |key: fn(&ReplyCountView) -> &str| {
            since.rates(|look| look.replies.iter().map(move |it| (key(it), it.count)))
        };
        let counted = |what: &str, count: fn(&TrafficView) -> u64| {
            let per_second = since.per_second(count(now), earlier.map_or(0, count));
            let all = since.replies_per_second();
            RateView { what: what.to_owned(), per_second, share: share(per_second, all) }
        };
        let recent = &now.recent;
        let heavy = |heavy: &[HeavyView]| heavy_rates(heavy, recent.duration_ms, recent.answers);
        let (domains_ms, domains_queries) = (recent.domains_duration_ms, recent.domains_queries);
        Self {
            node: now.node.clone(),
            plan: now.plan.clone(),
            over_ms: since.over_ms(),
            replies_per_second: since.replies_per_second(),
            transports: replies(|it| &it.transport),
            types: replies(|it| &it.record_type),
            rcodes: replies(|it| &it.rcode),
            dnssec_ok: counted("do", |look| look.counters.dnssec_ok),
            complete_path: counted("complete path", |look| look.counters.complete_path),
            dropped_per_second: counted("dropped", |look| look.counters.dropped).per_second,
            latency: summary(earlier.map(|earlier| &earlier.latency), &now.latency),
            services: since.services(),
            areas: since.areas(status),
            servers: since.servers(status),
            clusters: status.map(|status| status.clusters.clone()).unwrap_or_default(),
            problems: status
                .iter()
                .flat_map(|status| status.problems.iter().map(|problem| problem.text.clone()))
                .collect(),
            sample: SampleView {
                duration_ms: recent.duration_ms,
                answers: recent.answers,
                sampled: recent.sampled,
            },
            names: heavy(&recent.names),
            resolvers: heavy(&recent.resolvers),
            domains_duration_ms: domains_ms,
            domains: heavy_rates(&recent.domains, domains_ms, domains_queries),
            decisions: recent.decisions.clone(),
        }
    }
}

/// Another process, or another node behind the same address: counts begin at zero again.
fn began_anew(earlier: &TrafficView, now: &TrafficView) -> bool {
    let total = |look: &TrafficView| look.replies.iter().map(|it| it.count).sum::<u64>();
    earlier.node != now.node || earlier.at_ms > now.at_ms || total(earlier) > total(now)
}

/// Two looks.
struct Since<'a> {
    earlier: Option<&'a TrafficView>,
    now: &'a TrafficView,
}

impl<'a> Since<'a> {
    fn over_ms(&self) -> u64 {
        self.earlier.map_or(0, |earlier| self.now.at_ms.saturating_sub(earlier.at_ms))
    }

    fn per_second(&self, now: u64, earlier: u64) -> f64 {
        match self.over_ms() {
            0 => 0.0,
            over_ms => now.saturating_sub(earlier) as f64 * 1000.0 / over_ms as f64,
        }
    }

    fn replies_per_second(&self) -> f64 {
        let total = |look: &TrafficView| look.replies.iter().map(|it| it.count).sum();
        self.per_second(total(self.now), self.earlier.map_or(0, total))
    }

    /// The rates of what is counted under a key, the highest first.
    fn rates<K: Ord + Copy + ToString, I: Iterator<Item = (K, u64)>>(
        &self,
        counts: impl Fn(&'a TrafficView) -> I,
    ) -> Vec<RateView> {
        let sums = |look: Option<&'a TrafficView>| {
            let mut sums: BTreeMap<K, u64> = BTreeMap::new();
            for (key, count) in look.into_iter().flat_map(&counts) {
                *sums.entry(key).or_default() += count;
            }
            sums
        };
        let earlier = sums(self.earlier);
        let rate = |(key, count): (&K, &u64)| RateView {
            what: key.to_string(),
            per_second: self.per_second(*count, earlier.get(key).copied().unwrap_or(0)),
            share: 0.0,
        };
        let mut rates: Vec<RateView> = sums(Some(self.now)).iter().map(rate).collect();
        let all = rates.iter().map(|rate| rate.per_second).sum();
        for rate in &mut rates {
            rate.share = share(rate.per_second, all);
        }
        rates.sort_by(|one, other| other.per_second.total_cmp(&one.per_second));
        rates
    }

    fn services(&self) -> Vec<RateView> {
        self.rates(|look| {
            look.services.iter().map(|service| {
                let count = service.areas.iter().map(|area| area.count).sum();
                (service.service.as_str(), count)
            })
        })
    }

    fn areas(&self, status: Option<&StatusView>) -> Vec<AreaRateView> {
        let view = |service: &str, area: &str, per_second, share| {
            let decided = status.and_then(|status| {
                let mut areas = status.areas.iter();
                areas.find(|it| it.service == service && it.area == area)
            });
            AreaRateView {
                service: service.to_owned(),
                area: area.to_owned(),
                per_second,
                share,
                clusters: decided.map(|area| area.clusters.clone()).unwrap_or_default(),
                degraded: decided.map(|area| area.degraded),
            }
        };
        let mut areas = Vec::new();
        for service in &self.now.services {
            let name = service.service.as_str();
            let rates = self.rates(|look| {
                let same = look.services.iter().filter(move |it| it.service == name);
                same.flat_map(|it| it.areas.iter().map(|area| (area.name.as_str(), area.count)))
            });
            areas.extend(rates.iter().map(|it| view(name, &it.what, it.per_second, it.share)));
        }
        for area in status.iter().flat_map(|status| &status.areas) {
            if !areas.iter().any(|it| it.service == area.service && it.area == area.area) {
                areas.push(view(&area.service, &area.area, 0.0, 0.0));
            }
        }
        areas.sort_by(|one, other| other.per_second.total_cmp(&one.per_second));
        areas
    }

    fn servers(&self, status: Option<&StatusView>) -> Vec<ServerRateView> {
        let by_name: BTreeMap<&str, &ServerView> = status
            .iter()
            .flat_map(|status| status.servers.iter().map(|it| (it.name.as_str(), it)))
            .collect();
        let mut servers = Vec::new();
        for service in &self.now.services {
            let name = service.service.as_str();
            let rates = self.rates(|look| {
                let same = look.services.iter().filter(move |it| it.service == name);
                same.flat_map(|it| it.servers.iter().map(|it| (it.name.as_str(), it.count)))
            });
            servers.extend(rates.into_iter().map(|rate| {
                let known = by_name.get(rate.what.as_str());
                ServerRateView {
                    service: name.to_owned(),
                    cluster: known.map(|server| server.cluster.clone()),
                    life: known.map(|server| server.life.clone()),
                    load: known.and_then(|server| server.load),
                    server: rate.what,
                    per_second: rate.per_second,
                    share: rate.share,
                }
            }));
        }
        servers.sort_by(|one, other| other.per_second.total_cmp(&one.per_second));
        servers
    }
}

fn share(part: f64, all: f64) -> f64 {
    if all > 0.0 { part / all } else { 0.0 }
}

/// What was counted or estimated of late, as rates.
fn heavy_rates(heavy: &[HeavyView], duration_ms: u64, answers: u64) -> Vec<RateView> {
    let seconds = duration_ms as f64 / 1000.0;
    let rate = |it: &HeavyView| RateView {
        what: it.what.clone(),
        per_second: if seconds > 0.0 { it.queries / seconds } else { 0.0 },
        // Whoever could not hand over in time makes parts and the whole differ for a moment.
        share: share(it.queries, answers as f64).min(1.0),
    };
    heavy.iter().map(rate).collect()
}

fn summary(earlier: Option<&LatencyView>, now: &LatencyView) -> Option<LatencySummaryView> {
    let count = now.count.saturating_sub(earlier?.count);
    if count == 0 {
        return None;
    }
    let before: BTreeMap<Option<u64>, u64> =
        earlier?.buckets.iter().map(|bucket| (bucket.most_us, bucket.count)).collect();
    let bound_of = |wanted: f64| {
        let mut seen = 0;
        let mut buckets = now.buckets.iter();
        let found = buckets.find(|bucket| {
            let earlier = before.get(&bucket.most_us).copied().unwrap_or(0);
            seen += bucket.count.saturating_sub(earlier);
            seen as f64 >= wanted * count as f64
        });
        found.and_then(|bucket| bucket.most_us)
    };
    Some(LatencySummaryView {
        mean_us: (now.sum_us - earlier?.sum_us).max(0.0) / count as f64,
        half_us: bound_of(0.5),
        most_us: bound_of(0.99),
    })
}
