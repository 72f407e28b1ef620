//! The populations of a study.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use walrus_core::config::Configuration;
use walrus_core::config::settings_file::{Findings, Section, Value, did_you_mean};

use super::law::{self, Law, Unit};
use super::settings::DOMAINS_MAX;
use super::setup::{
    Arrivals, ClientCache, Family, NameServerSetup, Population, RecordType, TtlRule,
};
use super::shares::{KnownShares, Shares};
use crate::script::parse_duration;

/// As many clients in all: each is an entry of 32 bytes in the queue.
const CLIENTS_MAX: u64 = 50_000_000;

/// What is read besides the study: other files, and shares that were made for another variant.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) read: &'a dyn Fn(&str) -> Result<String, String>,
    pub(super) shares: &'a KnownShares,
}

/// As many populations: each is measured by itself, in some 300 kB and what [`super::memory`] reckons besides.
const POPULATIONS_MAX: usize = 1000;

/// Reads all of them. Without a configuration, for it has problems of its own, what refers to it is not
/// looked at, and no population comes of it.
pub(super) fn read(
    root: &Section,
    pages: &Section,
    configuration: Option<&Configuration>,
    name_servers: &[NameServerSetup],
    sources: Sources<'_>,
    findings: &Findings<'_>,
) -> Vec<Population> {
    let place = root.place_of("population");
    let begins = root.duration("begins").as_secs_f64();
    let mut list: Vec<Population> = Vec::new();
    for section in root.sections("population") {
        if list.len() == POPULATIONS_MAX {
            let message = format!("at most {POPULATIONS_MAX} populations are simulated");
            findings.problem(section.place(), message);
            break;
        }
        let one = One { section, pages, configuration, name_servers, sources, begins, findings };
        let Some(population) = one.read() else { continue };
        if list.iter().any(|known| known.name == population.name) {
            let message =
                format!("there is a population `{}` already: names are unique", population.name);
            findings.problem(section.place_of("name"), message);
        }
        list.push(population);
    }
    if root.sections("population").is_empty() && root.is_given("population") {
        findings.problem(place, "nobody asks: write [[population]] with clients = 500");
    }
    let domains: u64 = list.iter().map(|it| it.shares.shares().len() as u64).sum();
    if domains > DOMAINS_MAX {
        findings.problem(place, format!("{domains} domains: at most {DOMAINS_MAX} are simulated"));
    }
    let clients = |it: &Population| match it.arrivals {
        Arrivals::Closed(clients) => clients,
        Arrivals::Open(_) => 0,
    };
    let clients: u64 = list.iter().map(clients).sum();
    if clients > CLIENTS_MAX {
        findings.problem(place, format!("{clients} clients: at most {CLIENTS_MAX} are simulated"));
    }
    list
}

/// One population's section and what it may refer to.
struct One<'a> {
    section: &'a Section,
    pages: &'a Section,
    configuration: Option<&'a Configuration>,
    name_servers: &'a [NameServerSetup],
    sources: Sources<'a>,
    /// At which second of the day the run begins.
    begins: f64,
    findings: &'a Findings<'a>,
}

impl One<'_> {
    fn read(&self) -> Option<Population> {
        let section = self.section;
        let arrivals = self.arrivals();
        let domains = section.count("domains");
        let shares = self.shares(domains);
        let network = domains.and_then(|domains| self.network(domains));
        let (name_server_distances, cluster_distances) = self.distances();
        let service = self.service();
        let ttl_rule = section.text("ttl").and_then(|text| self.told("ttl", ttl_rule(&text)));
        let think = self.law("think", Unit::Time);
        let session = self.law("session", Unit::Count);
        let hits = self.law("hits", Unit::Count);
        let client_cache = self.page_text("client_cache");
        let client_cache =
            client_cache.and_then(|(_, text)| self.told("client_cache", client_cache_of(&text)));
        let (network, network_bits) = network?;
        Some(Population {
            name: section.name("name")?.to_string(),
            arrivals: arrivals?,
            shares: shares?,
            network,
            network_bits,
            domains_per_resolver: section.whole("domains_per_resolver"),
            family: family(&section.text("resolver")?),
            ttl_rule: ttl_rule?,
            ttl_share: section.number("ttl_share")?,
            subnet: section.flag("subnet"),
            name_server_distances,
            cluster_distances,
            daily: section.number("daily")?,
            peak: section.duration("peak").as_secs_f64() - self.begins,
            service: service?,
            record_type: match section.text("type")?.as_str() {
                "AAAA" => RecordType::Aaaa,
                _ => RecordType::A,
            },
            think: think?,
            session: session?,
            hits: hits?,
            client_cache: client_cache?,
        })
    }

    /// Tells an error that is the rest of a sentence about a setting.
    fn told<T>(&self, setting: &str, result: Result<T, String>) -> Option<T> {
        let own =
            self.section.is_given(setting) || self.pages.place_of(setting) == self.pages.place();
        let (section, path) =
            if own { (self.section, "population") } else { (self.pages, "pages") };
        result
            .map_err(|why| {
                self.findings
                    .problem(section.place_of(setting), format!("`{path}.{setting}` {why}"));
            })
            .ok()
    }

    fn arrivals(&self) -> Option<Arrivals> {
        let section = self.section;
        match (section.count("clients"), section.number("sessions_per_second")) {
            (Some(clients), None) => Some(Arrivals::Closed(clients)),
            (None, Some(rate)) => Some(Arrivals::Open(rate)),
            // A value that is wrong in itself was told already.
            (None, None)
                if section.is_given("clients") != section.is_given("sessions_per_second") =>
            {
                None
            }
            _ => {
                self.findings.problem(
                    section.place(),
                    "a population has either `clients` (closed) or `sessions_per_second` (open)",
                );
                None
            }
        }
    }

    fn shares(&self, domains: Option<u64>) -> Option<Arc<Shares>> {
        let text = self.section.text("shares")?;
        let Sources { read, shares } = self.sources;
        self.told("shares", shares.of(&text, domains?, read))
    }

    /// The first domain's network and its length.
    fn network(&self, domains: u64) -> Option<(IpAddr, u8)> {
        let text = self.section.text("prefix")?;
        let parsed = text.split_once('/').and_then(|(address, bits)| {
            Some((address.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?))
        });
        let place = self.section.place_of("prefix");
        let Some((address, bits)) = parsed else {
            let message =
                format!("`population.prefix` must be one such as \"10.0.0.0/8\", not \"{text}\"");
            self.findings.problem(place, message);
            return None;
        };
        let network_bits = if address.is_ipv4() { 24 } else { 48 };
        if bits > network_bits {
            let message = format!("`population.prefix` is longer than a domain's /{network_bits}");
            self.findings.problem(place, message);
            return None;
        }
        let room = 1_u64 << (network_bits - bits).min(63);
        if domains > room {
            let message = format!(
                "`{text}` has room for {room} domains (a /{network_bits} each), not for {domains}: take a \
                 shorter prefix"
            );
            self.findings.problem(place, message);
            return None;
        }
        let cleared = match address {
            IpAddr::V4(it) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or_default();
                IpAddr::V4((it.to_bits() & mask).into())
            }
            IpAddr::V6(it) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or_default();
                IpAddr::V6((it.to_bits() & mask).into())
            }
        };
        Some((cleared, network_bits))
    }

    /// By name server and by cluster.
    fn distances(&self) -> (Vec<Option<u64>>, Vec<Option<u64>>) {
        let Some(configuration) = self.configuration else { return (Vec::new(), Vec::new()) };
        let clusters = &configuration.topology.clusters;
        let mut to_servers = vec![None; self.name_servers.len()];
        let mut to_clusters = vec![None; clusters.len()];
        let Some(Value::Table(entries)) = self.section.value("distances") else {
            return (to_servers, to_clusters);
        };
        for (name, key_place, value, _) in entries {
            let Value::Duration(distance) = value else { continue };
            let nanos = u64::try_from(distance.as_nanos()).unwrap_or(u64::MAX);
            let mut found = false;
            for (slot, server) in to_servers.iter_mut().zip(self.name_servers) {
                if server.name == *name {
                    (*slot, found) = (Some(nanos), true);
                }
            }
            for (slot, cluster) in to_clusters.iter_mut().zip(clusters) {
                if cluster.name.as_str() == name {
                    (*slot, found) = (Some(nanos), true);
                }
            }
            if !found {
                let known = clusters.iter().map(|it| it.name.as_str());
                let known = known.chain(self.name_servers.iter().map(|it| it.name.as_str()));
                let hint = did_you_mean(name, known)
                    .map_or(String::new(), |near| format!(": did you mean `{near}`?"));
                let message = format!("there is no cluster and no name server `{name}`{hint}");
                self.findings.problem(*key_place, message);
            }
        }
        (to_servers, to_clusters)
    }

    fn service(&self) -> Option<usize> {
        let services = &self.configuration?.topology.services;
        let Some(name) = self.section.domain("service") else {
            return (!services.is_empty()).then_some(0);
        };
        let found = services.iter().position(|service| service.name == name);
        if found.is_none() {
            let message = format!("the configuration has no service {name}");
            self.findings.problem(self.section.place_of("service"), message);
        }
        found
    }

    /// Of the population, else of all pages; and whether it is its own.
    fn page_text(&self, setting: &str) -> Option<(bool, String)> {
        match self.section.text(setting) {
            Some(own) => Some((true, own)),
            None => self.pages.text(setting).map(|text| (false, text)),
        }
    }

    fn law(&self, setting: &str, unit: Unit) -> Option<Law> {
        let (own, text) = self.page_text(setting)?;
        let (section, path) =
            if own { (self.section, "population") } else { (self.pages, "pages") };
        law::parse(&text, unit)
            .map_err(|why| {
                let message = format!("`{path}.{setting}` {why}");
                self.findings.problem(section.place_of(setting), message);
            })
            .ok()
    }
}

fn family(text: &str) -> Family {
    match text {
        "unbound" => Family::Unbound,
        "knot" => Family::Knot,
        "uniform" => Family::Uniform,
        "sticky" => Family::Sticky,
        _ => Family::Bind,
    }
}

fn ttl_rule(text: &str) -> Result<TtlRule, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let time = |word: &str| {
        let bound = |it: &Duration| *it <= Duration::from_secs(7 * 86_400);
        parse_duration(word)
            .filter(bound)
            .ok_or_else(|| format!("has no time such as 10m: \"{word}\""))
    };
    match words.as_slice() {
        ["honour"] => Ok(TtlRule::Honour),
        ["at", "least", least] => Ok(TtlRule::AtLeast(time(least)?)),
        ["at", "most", most] => Ok(TtlRule::AtMost(time(most)?)),
        ["ignore", always] => Ok(TtlRule::Ignore(time(always)?)),
        _ => Err(format!(
            "must be `honour`, `at least 10m`, `at most 5m` or `ignore 1h`, not \"{text}\""
        )),
    }
}

fn client_cache_of(text: &str) -> Result<ClientCache, String> {
    match text {
        "none" => Ok(ClientCache::None),
        "session" => Ok(ClientCache::Session),
        time => parse_duration(time).map(ClientCache::Time).ok_or_else(|| {
            format!("must be `none`, `session` or a time such as 60s, not \"{time}\"")
        }),
    }
}
