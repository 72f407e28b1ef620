//! What was asked of late: the heaviest names, resolvers and domains, and the last decisions.
//!
//! Two windows follow each other: the one that is being filled and the one before it. What is told
//! covers both, so at least [`WINDOW`] once that has passed, and an hour ago weighs nothing.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use walrus_core::world::Time;
use walrus_dns::{DomainName, rcode};

use crate::domains::{Counted, Domain};
use crate::replies::type_name;
use crate::sample::Sampled;
use crate::serving::{Serving, Tally};

/// How long a window is filled at least.
const WINDOW: Duration = Duration::from_secs(10);

/// Names, resolvers and domains of a window, each: some megabytes. Whoever asks for names that do
/// not exist can bring any number; beyond this only the heaviest half stays.
const ENTRIES_MAX: usize = 1 << 14;

/// Domains of one thread that are looked at: it may have counted 65,536.
const DOMAINS_MAX: usize = 1_024;

/// The heaviest that are told.
const TOLD_MAX: usize = 100;

/// Decisions that are kept.
const DECISIONS_MAX: usize = 100;

/// What was asked of late.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recent {
    /// The time that the sample covers.
    pub duration: Duration,
    /// Answers in that time.
    pub answers: u64,
    /// Those of them that are in the sample.
    pub sampled: u64,
    /// The names asked for most, from the sample; empty is a query that could not be read.
    pub names: Vec<Heavy>,
    /// Who sent most queries, from the sample.
    pub resolvers: Vec<Heavy>,
    /// The time that the domains cover.
    pub domains_duration: Duration,
    /// Queries for services in that time.
    pub domains_queries: u64,
    /// Resolvers and client subnets that asked most for services: counted, not sampled.
    pub domains: Vec<Heavy>,
    /// Decisions of the sample, the last first.
    pub decisions: Vec<DecisionSeen>,
}

/// One of the heaviest.
#[derive(Clone, Debug, PartialEq)]
pub struct Heavy {
    /// A name, an address or a prefix.
    pub what: String,
    /// How many queries it sent or got: from a sample an estimate, else at most `error` too high.
    pub queries: f64,
    /// See `queries`; 0 for an estimate, whose error follows from the sample's size.
    pub error: f64,
}

/// One decision of the sample.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionSeen {
    /// When, by the Director's clock.
    pub at: Time,
    /// The name asked for; empty if the query could not be read.
    pub name: String,
    /// The type asked for.
    pub record_type: String,
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// Who sent the query.
    pub resolver: IpAddr,
    /// The client subnet, if the query told one.
    pub subnet: Option<String>,
    /// The query wants signatures.
    pub dnssec_ok: bool,
    /// The reply's code.
    pub rcode: String,
    /// Where a service's client was taken to be.
    pub area: Option<String>,
    /// The cluster of the answer's first server.
    pub cluster: Option<String>,
    /// The answer's first server.
    pub server: Option<String>,
    /// Seconds, of a service's answer.
    pub ttl: Option<u32>,
    /// The Plan that decided; `None` before the first.
    pub plan: Option<String>,
}

/// What was gathered of late, and the last decisions.
pub(crate) struct RecentGathering {
    sampled: Windows<Sampling>,
    domains: Windows<Domains>,
    /// The last first.
    decisions: VecDeque<DecisionSeen>,
}

/// One that is being filled, and the one before.
struct Windows<T> {
    /// With its beginning.
    before: Option<(Time, T)>,
    begun: Time,
    filling: T,
    /// When it was filled last.
    until: Time,
}

#[derive(Default)]
struct Sampling {
    answers: u64,
    sampled: u64,
    names: BTreeMap<Box<[u8]>, f64>,
    resolvers: BTreeMap<IpAddr, f64>,
}

#[derive(Default)]
struct Domains {
    queries: u64,
    /// Count and error.
    counts: BTreeMap<Domain, (u64, u64)>,
}

impl RecentGathering {
    pub(crate) fn new(now: Time) -> Self {
        Self { sampled: Windows::new(now), domains: Windows::new(now), decisions: VecDeque::new() }
    }

    /// Adds what one thread counted under one table.
    pub(crate) fn add(&mut self, serving: &Serving, tally: &Tally) {
        self.sampled.filling.add(tally);
        self.domains.filling.add(tally);
        let mut newest: Vec<&Sampled> = tally.sample.kept().iter().collect();
        newest.sort_by_key(|sampled| std::cmp::Reverse(sampled.at));
        let newest = newest.into_iter().take(DECISIONS_MAX).rev();
        for sampled in newest {
            // Threads are told one after the other, so the newest here need not be the newest.
            let place = self.decisions.partition_point(|decision| decision.at > sampled.at);
            if place < DECISIONS_MAX {
                self.decisions.insert(place, DecisionSeen::of(sampled, serving));
                self.decisions.truncate(DECISIONS_MAX);
            }
        }
    }

    /// Whether domains were last told as long ago as a window takes, or never.
    pub(crate) fn is_time_for_domains(&self, now: Time) -> bool {
        let domains = &self.domains;
        domains.until == domains.begun && domains.before.is_none()
            || now.since(domains.until) >= WINDOW
    }

    /// All threads have been told up to now: after [`WINDOW`] the next one begins.
    pub(crate) fn turn(&mut self, now: Time, with_domains: bool) {
        self.sampled.turn(now);
        if with_domains {
            self.domains.turn(now);
        }
    }

    /// What was gathered.
    pub(crate) fn told(&self) -> Recent {
        let windows = || self.sampled.both();
        let name = |wire: &[u8]| match DomainName::from_wire(wire) {
            Ok(name) => name.to_string(),
            Err(_) => String::new(),
        };
        let estimate = |(what, queries): (String, f64)| Heavy { what, queries, error: 0.0 };
        let names = heaviest(windows().flat_map(|window| &window.names));
        let resolvers = heaviest(windows().flat_map(|window| &window.resolvers));
        Recent {
            duration: self.sampled.duration(),
            answers: windows().map(|window| window.answers).sum(),
            sampled: windows().map(|window| window.sampled).sum(),
            names: names.map(|(wire, queries)| estimate((name(wire), queries))).collect(),
            resolvers: resolvers
                .map(|(address, queries)| estimate((address.to_string(), queries)))
                .collect(),
            domains_duration: self.domains.duration(),
            domains_queries: self.domains.both().map(|window| window.queries).sum(),
            domains: heaviest_domains(self.domains.both()),
            decisions: self.decisions.iter().cloned().collect(),
        }
    }
}

impl<T: Default> Windows<T> {
    fn new(now: Time) -> Self {
        Self { before: None, begun: now, filling: T::default(), until: now }
    }

    fn turn(&mut self, now: Time) {
        self.until = now;
        if now.since(self.begun) >= WINDOW {
            self.before = Some((self.begun, std::mem::take(&mut self.filling)));
            self.begun = now;
        }
    }

    fn both(&self) -> impl Iterator<Item = &T> {
        self.before.iter().map(|(_, before)| before).chain([&self.filling])
    }

    /// The time that both cover.
    fn duration(&self) -> Duration {
        self.until.since(self.before.as_ref().map_or(self.begun, |(begun, _)| *begun))
    }
}

impl Sampling {
    fn add(&mut self, tally: &Tally) {
        let sample = &tally.sample;
        self.answers += sample.seen();
        self.sampled += sample.kept().len() as u64;
        let weight = sample.weight();
        for sampled in sample.kept() {
            match self.names.get_mut(sampled.name()) {
                Some(queries) => *queries += weight,
                None => drop(self.names.insert(sampled.name().into(), weight)),
            }
            *self.resolvers.entry(sampled.resolver).or_default() += weight;
        }
        thin_out(&mut self.names, |queries| *queries);
        thin_out(&mut self.resolvers, |queries| *queries);
    }
}

impl Domains {
    fn add(&mut self, tally: &Tally) {
        self.queries += tally.domains.iter().map(|counted| counted.count).sum::<u64>();
        let mut all: Vec<Counted> = tally.domains.iter().collect();
        if all.len() > DOMAINS_MAX {
            all.select_nth_unstable_by_key(DOMAINS_MAX, |it| std::cmp::Reverse(it.count));
            all.truncate(DOMAINS_MAX);
        }
        for counted in all {
            let (count, error) = self.counts.entry(counted.domain).or_default();
            *count += counted.count;
            *error += counted.error;
        }
        thin_out(&mut self.counts, |(count, _)| *count as f64);
    }
}

/// Keeps the heaviest half of what is more than [`ENTRIES_MAX`].
fn thin_out<K: Ord, V>(entries: &mut BTreeMap<K, V>, weight: impl Fn(&V) -> f64) {
    if entries.len() <= ENTRIES_MAX {
        return;
    }
    let mut all: Vec<(K, V)> = std::mem::take(entries).into_iter().collect();
    all.sort_by(|(_, one), (_, other)| weight(other).total_cmp(&weight(one)));
    all.truncate(ENTRIES_MAX / 2);
    entries.extend(all);
}

/// The heaviest of several windows together, heaviest first.
fn heaviest<'a, K: Ord + 'a>(
    entries: impl Iterator<Item = (&'a K, &'a f64)>,
) -> impl Iterator<Item = (&'a K, f64)> {
    let mut sums: BTreeMap<&K, f64> = BTreeMap::new();
    for (key, queries) in entries {
        *sums.entry(key).or_default() += queries;
    }
    let mut sums: Vec<(&K, f64)> = sums.into_iter().collect();
    // Stable: those of like weight stay in the order of their keys.
    sums.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    sums.into_iter().take(TOLD_MAX)
}

fn heaviest_domains<'a>(windows: impl Iterator<Item = &'a Domains>) -> Vec<Heavy> {
    let mut sums: BTreeMap<&Domain, (u64, u64)> = BTreeMap::new();
    for (domain, (count, error)) in windows.flat_map(|window| &window.counts) {
        let sum = sums.entry(domain).or_default();
        *sum = (sum.0 + count, sum.1 + error);
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let told = sums.into_iter().take(TOLD_MAX);
    told.map(|(domain, (count, error))| Heavy {
        what: domain.to_string(),
        queries: count as f64,
        error: error as f64,
    })
    .collect()
}

impl DecisionSeen {
    fn of(sampled: &Sampled, serving: &Serving) -> Self {
        let table = &serving.table;
        let decision = &sampled.decision;
        let plan = table.plan();
        let server = decision
            .service
            .and_then(|service| plan?.servers.get(service.first? as usize))
            .map(|server| (server.name.to_string(), server.cluster.to_string()));
        let (server, cluster) = server.unzip();
        let name = DomainName::from_wire(sampled.name()).ok();
        Self {
            at: sampled.at,
            name: name.map(|name| name.to_string()).unwrap_or_default(),
            record_type: type_name(decision.record_type),
            transport: sampled.transport.name(),
            resolver: sampled.resolver,
            subnet: decision.client_subnet.map(|subnet| match subnet.address() {
                Some(address) => format!("{address}/{}", subnet.source()),
                None => "0/0".to_owned(),
            }),
            dnssec_ok: decision.dnssec_ok,
            rcode: rcode::name(decision.rcode),
            area: decision
                .service
                .and_then(|service| table.area_name(service.area?))
                .map(ToString::to_string),
            cluster,
            server,
            ttl: decision.service.map(|service| service.ttl),
            plan: plan.map(|plan| plan.number.to_string()),
        }
    }
}
