//! Who asks for each service, from Directors and from servers' access logs, in bounded memory.
//!
//! Only of services one of whose stages wants to know ([`Service::wants_demand`]): of others nothing
//! is kept. A server's log does not say which service a request was for: its requests are divided
//! among the services that it serves by how often it came first in an answer for each, and evenly
//! while nobody was given it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::join::{Naming, Seen, Served, join};
use super::rates::{Rates, averaged_over, made_good, weight, will_speak};
use super::requests::CheckedRequests;
use crate::plan::ServiceDemand;
use crate::world::{
    ChoosePolicy, Domain, ServerId, Service, ServiceCounts, ServiceId, Time, Topology,
};

/// Domains that are named in a Plan, over all services: about 1 MB of it.
const NAMED_ALL_MAX: usize = 1 << 14;

/// Rates are kept for so many times the domains that are named, so that one on its way up has where
/// to stand.
const KEPT_FOR_NAMED: usize = 2;

/// Client prefixes that are kept of all servers' logs, once for each service that wants to know:
/// about 16 MB. All of them are gone through when demand is reckoned.
const PREFIXES_ALL_MAX: usize = 1 << 18;

/// The fewest that are kept of a server's.
const PREFIXES_MIN: usize = 8;

/// All that is known of domains.
#[derive(Clone, Debug, Default)]
pub(super) struct Domains {
    /// Queries a second by domain, of services that want to know.
    queries: BTreeMap<ServiceId, Rates<Domain>>,
    /// First answers a second.
    answers: Rates<(ServiceId, ServerId)>,
    /// Of servers whose Reporter tells of requests.
    requests: BTreeMap<ServerId, Requests>,
    /// Anything was told since the start.
    pub(super) heard: bool,
    named_max: usize,
    prefixes_max: usize,
}

#[derive(Clone, Debug)]
struct Requests {
    heard_at: Time,
    covered: Duration,
    rates: Rates<Domain>,
    /// Rates of the last report alone.
    last: BTreeMap<Domain, f64>,
}

impl Requests {
    /// Where requests come in now, and how long ago that began. An average would tell for a minute of
    /// domains that have long gone elsewhere; a report of which the next one is overdue tells of the past,
    /// too (papers.md 1.4: younger than two intervals).
    fn seen(&self, now: Time) -> Option<Seen<'_>> {
        let age = now.since(self.heard_at);
        let over = age.saturating_add(self.covered);
        (age < self.covered * 2).then_some(Seen { rates: &self.last, over })
    }

    /// As they are now. One whose Reporter will speak again is as it said.
    fn read(&mut self, now: Time) {
        if !will_speak(now.since(self.heard_at), self.covered) {
            self.rates.pass_exactly(now);
        }
    }
}

/// What a Director's words weigh.
#[derive(Clone, Copy)]
pub(super) struct Hearing {
    /// The time that it tells of.
    pub(super) covered: Duration,
    /// Since it was heard before; `None` if it never was.
    pub(super) gap: Option<Duration>,
    /// The time over which all Directors are averaged.
    pub(super) over: Duration,
}

impl Domains {
    /// Takes over a topology. Names are told by functions from old ids to new ones.
    pub(super) fn retarget(
        &mut self,
        topology: &Topology,
        service: impl Fn(ServiceId) -> Option<ServiceId>,
        server: impl Fn(ServerId) -> Option<ServerId>,
    ) {
        let mut queries = std::mem::take(&mut self.queries);
        queries = queries.into_iter().filter_map(|(id, it)| Some((service(id)?, it))).collect();
        self.queries = wanting(topology)
            .map(|(id, _)| (id, queries.remove(&id).unwrap_or_else(Rates::remembering)))
            .collect();
        let wanting = self.queries.len();
        self.answers =
            std::mem::take(&mut self.answers).renamed(|(of, at)| service(of).zip(server(at)));
        let requests = std::mem::take(&mut self.requests).into_iter();
        self.requests = requests
            .filter_map(|(id, it)| Some((server(id)?, it)))
            .filter(|_| wanting > 0)
            .collect();
        self.named_max = (NAMED_ALL_MAX / wanting.max(1)).clamp(1, ServiceDemand::DOMAINS_MAX);
        let shares = topology.servers.len().saturating_mul(wanting).max(1);
        self.prefixes_max = (PREFIXES_ALL_MAX / shares).max(PREFIXES_MIN);
    }

    /// A Director counted these for a service.
    pub(super) fn take(
        &mut self,
        (id, counts): (ServiceId, &ServiceCounts),
        hearing: Hearing,
        topology: &Topology,
        now: Time,
    ) {
        if self.queries.is_empty() {
            return;
        }
        self.heard = true;
        let Hearing { covered, gap, over } = hearing;
        let part = weight(gap, covered, over) / covered.as_secs_f64();
        let Some(service) = topology.services.get(id.index()) else { return };
        for (name, answers) in &counts.servers {
            if let Some(server) = topology.server(name.as_str()) {
                self.answers.add((id, server), part * *answers as f64);
            }
        }
        let Some(rates) = self.queries.get_mut(&id) else { return };
        rates.pass(now);
        rates.average_over_at_most(over, over_ttls(over, service), now);
        // The first interval of one that comes late must not stand for all of a long average.
        let gap = gap.or_else(|| (rates.over() > over).then_some(covered));
        let part = weight(gap, covered, rates.over()) / covered.as_secs_f64();
        let mut rest = counts.rest as f64;
        for counted in &counts.domains {
            // What may be overcount is surely somebody's, but nobody knows whose: a flood of names that
            // were made up has little else.
            let error = counted.error.min(counted.queries);
            match counted.domain.parse::<Domain>() {
                Ok(domain) => {
                    let is_prefix = domain.length() < domain.length_max();
                    let domain = if is_prefix { domain.of_client() } else { domain };
                    rest += error as f64;
                    rates.add(domain, part * (counted.queries - error) as f64);
                }
                Err(_) => rest += counted.queries as f64,
            }
        }
        rates.add_rest(part * rest);
        rates.keep(self.named_max * KEPT_FOR_NAMED);
    }

    /// First answers fade before a Director's are added.
    pub(super) fn pass(&mut self, over: Duration, now: Time) {
        self.answers.pass(now);
        self.answers.average_over(over);
    }

    /// A server's Reporter told of requests.
    pub(super) fn take_requests(&mut self, server: ServerId, found: &CheckedRequests, now: Time) {
        if self.queries.is_empty() {
            return;
        }
        self.heard = true;
        let heard_before = self.requests.get(&server).map(|it| now.since(it.heard_at));
        let covered = found.covered;
        let over = averaged_over(covered);
        let part = weight(heard_before, covered, over) / covered.as_secs_f64();
        let new =
            || Requests { heard_at: now, covered, rates: Rates::default(), last: BTreeMap::new() };
        let requests = self.requests.entry(server).or_insert_with(new);
        (requests.heard_at, requests.covered) = (now, covered);
        requests.last.clear();
        for (domain, count) in &found.domains {
            let rate = *count as f64 / covered.as_secs_f64();
            *requests.last.entry(*domain).or_default() += rate;
        }
        let rates = &mut requests.rates;
        rates.average_over(over);
        rates.pass_exactly(now);
        for (domain, count) in &found.domains {
            rates.add(*domain, part * *count as f64);
        }
        rates.add_rest(part * found.rest as f64);
        rates.keep(self.prefixes_max);
        requests.last.retain(|domain, _| requests.rates.named().contains_key(domain));
    }

    /// The demand of every service that wants to know, by name; `before` is what was told last.
    /// `gaps` says how long ago those Directors were heard that will speak again.
    pub(super) fn reckon(
        &mut self,
        topology: &Topology,
        before: &BTreeMap<String, ServiceDemand>,
        gaps: impl Iterator<Item = Duration> + Clone,
        now: Time,
    ) -> BTreeMap<String, ServiceDemand> {
        self.answers.pass_exactly(now);
        self.queries.values_mut().for_each(|rates| rates.pass_exactly(now));
        self.requests.values_mut().for_each(|it| it.read(now));
        self.requests.retain(|_, it| !it.rates.is_empty());
        let parts = Parts::new(topology, &self.answers);
        let mut told = BTreeMap::new();
        for (id, service) in wanting(topology) {
            let Some(queries) = self.queries.get(&id) else { continue };
            let served: Vec<Served<'_>> = self
                .requests
                .iter()
                .filter_map(|(server, requests)| {
                    let part = parts.of(id, *server)?;
                    let seen = requests.seen(now);
                    Some(Served { server: server.0, part, requests: &requests.rates, seen })
                })
                .collect();
            let naming = Naming {
                domains_max: self.named_max,
                hot_share: service.hot_share,
                observes: service.choose == ChoosePolicy::Crml,
            };
            let name = service.name.to_string();
            let made_good = made_good(gaps.clone(), queries.over());
            if let Some(demand) =
                join(&queries.scaled(made_good), &served, naming, before.get(&name))
            {
                told.insert(name, demand);
            }
        }
        told
    }
}

/// How servers' requests are divided among the services that they serve.
struct Parts<'a> {
    topology: &'a Topology,
    answers: &'a Rates<(ServiceId, ServerId)>,
    /// By cluster: the services that it serves, in order.
    services: Vec<Vec<ServiceId>>,
    /// By server: first answers a second of all its services.
    whole: BTreeMap<ServerId, f64>,
}

impl<'a> Parts<'a> {
    fn new(topology: &'a Topology, answers: &'a Rates<(ServiceId, ServerId)>) -> Self {
        let mut services = vec![Vec::new(); topology.clusters.len()];
        for (id, service) in (0..).map(ServiceId).zip(&topology.services) {
            for cluster in &service.clusters {
                if let Some(services) = services.get_mut(cluster.index()) {
                    services.push(id);
                }
            }
        }
        let mut parts = Self { topology, answers, services, whole: BTreeMap::new() };
        for ((service, server), rate) in answers.named() {
            if parts.services(*server).binary_search(service).is_ok() {
                *parts.whole.entry(*server).or_default() += rate;
            }
        }
        parts
    }

    fn services(&self, server: ServerId) -> &[ServiceId] {
        let cluster = self.topology.servers.get(server.index()).map(|it| it.cluster);
        cluster.and_then(|it| self.services.get(it.index())).map_or(&[], Vec::as_slice)
    }

    /// The part of a server's requests that is this service's; `None` if it does not serve it.
    fn of(&self, service: ServiceId, server: ServerId) -> Option<f64> {
        let services = self.services(server);
        services.binary_search(&service).ok()?;
        let whole = self.whole.get(&server).copied().unwrap_or(0.0);
        if whole > 0.0 {
            let own = self.answers.named().get(&(service, server)).copied();
            return Some(own.unwrap_or(0.0) / whole);
        }
        u32::try_from(services.len()).ok().map(|services| 1.0 / f64::from(services))
    }
}

/// The time over which a service's queries by domain are averaged. Caches ask once a TTL: what is averaged
/// over less than some of them is zero until the next query and then far too much.
fn over_ttls(over: Duration, service: &Service) -> Duration {
    over.max(averaged_over(Duration::from_secs(service.ttl.seconds_mean().into())))
}

fn wanting(topology: &Topology) -> impl Iterator<Item = (ServiceId, &Service)> {
    (0..).map(ServiceId).zip(&topology.services).filter(|(_, service)| service.wants_demand())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Domain {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_report_is_seen_for_two_intervals_and_averaged_for_three() {
        let (heard_at, covered) = (Time::from_secs(1000), Duration::from_secs(30));
        let over = averaged_over(covered);
        let mut rates = Rates::default();
        rates.average_over(over);
        rates.pass_exactly(heard_at);
        rates.add(prefix("192.0.2.0/24"), 10.0);
        let last = rates.named().clone();
        let mut requests = Requests { heard_at, covered, rates, last };
        let after = |seconds| heard_at + Duration::from_secs(seconds);
        assert!(requests.seen(after(59)).is_some());
        assert!(requests.seen(after(60)).is_none());
        let mut rate_after = |seconds| {
            requests.read(after(seconds));
            requests.rates.named().get(&prefix("192.0.2.0/24")).copied()
        };
        assert_eq!(rate_after(90), Some(10.0));
        let faded = rate_after(91).unwrap();
        assert!((faded - 10.0 * (-91.0_f64 / 90.0).exp()).abs() < 1e-9, "{faded}");
        assert_eq!(rate_after(2000), None);
    }

    #[test]
    fn no_more_is_kept_of_a_server_than_its_share() {
        let queries = BTreeMap::from([(ServiceId(0), Rates::default())]);
        let mut domains = Domains { queries, named_max: 10, prefixes_max: 8, ..Domains::default() };
        for round in 0..20_u64 {
            let counted = (0..100).map(|index| (prefix(&format!("10.0.{index}.0/24")), index + 1));
            let found = CheckedRequests {
                covered: Duration::from_secs(1),
                domains: counted.collect(),
                rest: 7,
            };
            domains.take_requests(ServerId(3), &found, Time::from_secs(round));
            let kept = &domains.requests[&ServerId(3)];
            assert_eq!((kept.rates.named().len(), kept.last.len()), (8, 8));
            assert_eq!(kept.last[&prefix("10.0.99.0/24")], 100.0);
        }
    }
}
