//! The name server of a virtual system: the shipped answer path with a query in its mouth.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use walrus_core::answer::{
    AnswerTable, Counters, Outcome, Positions, Request, ServerOptions, Transport, WorkerState,
    ZoneTable,
};
use walrus_core::config::Configuration;
use walrus_core::map::Map;
use walrus_core::plan::Plan;
use walrus_core::world::{
    Domain, DomainCount, Name, Observation, ServiceCounts, SpaceSaving, Time,
};
use walrus_core::zone::{add_hosts, zone_of_nameservers};

use crate::query::query_bytes;
use crate::system::{Question, SystemError};

/// What a Director answers from before its first Plan.
pub(crate) fn table_without_plan(
    configuration: &Configuration,
) -> Result<AnswerTable, SystemError> {
    let topology = &configuration.topology;
    let zone = |zone: &walrus_core::config::ZoneSettings| {
        Arc::new(zone_of_nameservers(&zone.apex, &zone.nameservers))
    };
    let zones: Vec<_> = configuration.zones.iter().map(zone).collect();
    let hosted = add_hosts(&zones, topology);
    let zones = hosted.map_err(|problems| SystemError(problems.join("; ")))?.zones;
    let services: Vec<_> = topology.services.iter().map(|it| it.name.clone()).collect();
    let zones = ZoneTable::compile(&zones, &services)
        .map_err(|error| SystemError(format!("the zones: {error}")))?;
    let map =
        Map::build(topology, &[]).map_err(|error| SystemError(format!("the map: {error}")))?;
    Ok(AnswerTable::new(Arc::new(zones), Arc::new(map), topology))
}

/// One worker with its table.
#[derive(Debug)]
pub(crate) struct NameServer {
    table: AnswerTable,
    worker: WorkerState,
    listen: SocketAddr,
    udp_size_max: u16,
    /// Domains that an observation tells of.
    domains_max: usize,
    /// Since the last observation, by service.
    asked: BTreeMap<String, Asked>,
}

/// What one service was asked.
#[derive(Debug)]
struct Asked {
    areas: BTreeMap<Name, u64>,
    /// How often each server came first.
    servers: BTreeMap<Name, u64>,
    domains: SpaceSaving<Domain>,
}

impl Asked {
    /// Counts twice the domains that are told, as a Director does.
    fn new(domains_max: usize) -> Self {
        let domains = SpaceSaving::new(domains_max.saturating_mul(2));
        Self { areas: BTreeMap::new(), servers: BTreeMap::new(), domains }
    }

    fn told(mut self, service: String, domains_max: usize) -> ServiceCounts {
        let (domains, rest) = self.domains.take(domains_max);
        ServiceCounts {
            service,
            areas: self.areas.into_iter().collect(),
            servers: self.servers.into_iter().collect(),
            domains: domains
                .into_iter()
                .map(|heavy| DomainCount {
                    domain: heavy.key.to_string(),
                    queries: heavy.count,
                    error: heavy.error,
                })
                .collect(),
            rest,
        }
    }
}

impl NameServer {
    /// Zones come from the configuration's name servers: scenarios have no files.
    pub(crate) fn new(configuration: &Configuration, seed: u64) -> Result<Self, SystemError> {
        let table = table_without_plan(configuration)?;
        let worker = WorkerState::new(seed, &table);
        let listen = configuration.dns.listen.first().copied();
        let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 53)));
        let udp_size_max = configuration.dns.udp_size_max;
        let domains_max = configuration.dns.observe_domains;
        Ok(Self { table, worker, listen, udp_size_max, domains_max, asked: BTreeMap::new() })
    }

    /// What was asked since the last call, of how many milliseconds.
    pub(crate) fn observe(&mut self, session: u64, sequence: u64, duration_ms: u64) -> Observation {
        let counters = self.worker.take_counters(Counters::for_table(&self.table));
        self.count(&counters);
        let services = std::mem::take(&mut self.asked).into_iter();
        let domains_max = self.domains_max;
        let services = services.map(|(service, asked)| asked.told(service, domains_max));
        Observation { session, sequence, duration_ms, services: services.collect() }
    }

    /// Adds what was counted under the present table.
    fn count(&mut self, counters: &Counters) {
        let servers = self.table.plan().map_or(&[][..], |plan| &plan.servers);
        for (number, name) in (0_u32..).zip(self.table.services()) {
            let counted = || self.table.areas().iter().zip(counters.areas(number));
            if counted().all(|(_, count)| *count == 0) {
                continue;
            }
            let new = || Asked::new(self.domains_max);
            let asked = self.asked.entry(name.to_string()).or_insert_with(new);
            for (area, count) in counted().filter(|(_, count)| **count > 0) {
                *asked.areas.entry(area.clone()).or_default() += count;
            }
            for (place, count) in counters.servers(number) {
                if let Some(server) = servers.get(place as usize) {
                    *asked.servers.entry(server.name.clone()).or_default() += count;
                }
            }
        }
    }

    /// Counts the domain of the query that was answered last.
    fn count_domain(&mut self, client: std::net::IpAddr) {
        let decision = self.worker.decision();
        let Some(service) = &decision.service else { return };
        let Some(name) = self.table.services().get(service.service as usize) else { return };
        let subnet = decision.client_subnet.as_ref();
        let subnet = subnet.and_then(|it| Some(Domain::new(it.address()?, it.source())));
        let domain = subnet.unwrap_or_else(|| Domain::of_address(client));
        let new = || Asked::new(self.domains_max);
        self.asked.entry(name.to_string()).or_insert_with(new).domains.add(domain, 1);
    }

    /// Takes a Plan; a damaged one leaves the old in force, as in a Director.
    pub(crate) fn apply(&mut self, plan: &Arc<Plan>) {
        if let Ok(table) = self.table.with_plan(Arc::clone(plan)) {
            let positions = Positions::for_table(&table);
            let (_, counted) = self.worker.adopt(positions, Counters::for_table(&table));
            self.count(&counted);
            self.table = table;
        }
    }

    pub(crate) fn ask(&mut self, question: &Question, now: Time) -> Result<Vec<u8>, SystemError> {
        let query = query_bytes(question)?;
        let ip = question.server.unwrap_or(self.listen.ip());
        let request = Request {
            query: &query,
            client: question.client,
            local: SocketAddr::new(ip, self.listen.port()),
            transport: Transport::Udp,
            now,
            unix_secs: 0,
            udp_size_max: self.udp_size_max,
            server: ServerOptions::SILENT,
        };
        let mut reply = vec![0; usize::from(self.udp_size_max)];
        match walrus_core::answer::respond(&self.table, &mut self.worker, &request, &mut reply) {
            Outcome::Reply(len) => {
                self.count_domain(question.client);
                reply.truncate(len);
                Ok(reply)
            }
            Outcome::Drop => Err(SystemError("no reply".to_owned())),
            Outcome::NotUnderstood => {
                Err(SystemError("scenarios ask what the fast path answers".to_owned()))
            }
        }
    }
}
