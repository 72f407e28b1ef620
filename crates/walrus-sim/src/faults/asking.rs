//! What clients get from Directors, and what must hold of it at all times.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use domain::base::Message;
use domain::rdata::A;
use walrus_core::plan::Plan;
use walrus_core::world::Life;

use super::Sabotage;
use super::run::Run;
use super::watch::Rule;
use crate::system::Question;

/// What clients of one area get for one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    /// The service's place in the configuration.
    pub(super) service: usize,
    pub(super) name: String,
    pub(super) area: usize,
    pub(super) addresses: Vec<IpAddr>,
}

impl Run<'_> {
    /// Asks a Director for every service from every area.
    pub(super) fn ask_everywhere(&mut self, director: usize) -> Vec<Answered> {
        let node = &mut self.directors[director];
        let services = &node.configuration.1.topology.services;
        let names: Vec<String> = services.iter().map(|it| it.name.to_string()).collect();
        let mut all = Vec::new();
        for (service, name) in names.into_iter().enumerate() {
            for area in 0..self.world.sites.len() {
                let third = u8::try_from(area).unwrap_or(u8::MAX);
                let question = Question {
                    name: name.clone(),
                    record_type: "A".to_owned(),
                    client: IpAddr::V4(Ipv4Addr::new(10, third, 0, 1)),
                    subnet: None,
                    server: None,
                };
                let Some(reply) = node.ask(&question, self.now) else { continue };
                self.counts.answers += 1;
                let mut addresses = reply.map(|reply| addresses(&reply)).unwrap_or_default();
                match self.sabotage {
                    Sabotage::EmptyAnswers => addresses.clear(),
                    Sabotage::OutAnswers => {
                        let servers = node.plan().map_or(&[][..], |plan| &plan.servers);
                        let out = servers.iter().filter(|it| it.life != Life::Living);
                        addresses.extend(out.flat_map(|it| it.addresses.clone()));
                    }
                    _ => {}
                }
                all.push(Answered { service, name: name.clone(), area, addresses });
            }
        }
        all
    }

    /// Who holds a Plan gives no empty answer, and names nobody whom its Plan does not take for living while another
    /// server of the service lives.
    pub(super) fn look_at_answers(&mut self, director: usize) {
        let Some(plan) = self.directors[director].plan().cloned() else { return };
        let before = self.asked[director].replace(Arc::clone(&plan));
        if before.is_some_and(|before| answers_alike(&before, &plan)) {
            return;
        }
        let topology = self.directors[director].configuration.1.clone();
        for answered in self.ask_everywhere(director) {
            let node = &self.world.nodes[self.world.controllers + director];
            let what = || {
                let near = self.world.sites[answered.area];
                let (name, service, addresses) = (&node.name, &answered.name, &answered.addresses);
                format!(
                    "{name} answers {service} near {near} with {addresses:?} (Plan {})",
                    plan.number
                )
            };
            if !plan.services.iter().any(|it| it.name == answered.name) {
                // A Plan of before a reload does not know the service.
                continue;
            }
            if answered.addresses.is_empty() {
                self.breaches.tell(self.now, Rule::NoEmptyAnswer, what);
            }
            let service = &topology.topology.services[answered.service];
            let clusters: Vec<&str> = (service.clusters.iter())
                .map(|it| topology.topology.clusters[it.index()].name.as_str())
                .collect();
            let of_service =
                |it: &&walrus_core::plan::PlannedServer| clusters.contains(&it.cluster.as_str());
            let somebody_lives =
                plan.servers.iter().filter(of_service).any(|it| it.life == Life::Living);
            let named = named(&plan, &answered.addresses);
            if let Some(out) = named.iter().find(|it| it.life != Life::Living && somebody_lives) {
                self.breaches.tell(self.now, Rule::SeenBeforeUnknown, || {
                    format!("{}: {} is {}", what(), out.name, out.life.as_str())
                });
            }
        }
    }
}

/// Whether two Plans give the same answers: most differ in loads and numbers alone.
fn answers_alike(one: &Plan, other: &Plan) -> bool {
    let lives = |plan: &Plan| -> Vec<_> {
        plan.servers.iter().map(|it| (it.name.clone(), it.addresses.clone(), it.life)).collect()
    };
    one.lists == other.lists && one.services == other.services && lives(one) == lives(other)
}

fn named<'a>(plan: &'a Plan, addresses: &[IpAddr]) -> Vec<&'a walrus_core::plan::PlannedServer> {
    let is_named = |it: &&walrus_core::plan::PlannedServer| {
        it.addresses.iter().any(|address| addresses.contains(address))
    };
    plan.servers.iter().filter(is_named).collect()
}

fn addresses(reply: &[u8]) -> Vec<IpAddr> {
    let Ok(message) = Message::from_octets(reply) else { return Vec::new() };
    let Ok(answer) = message.answer() else { return Vec::new() };
    let records = answer.limit_to::<A>().filter_map(Result::ok);
    records.map(|record| IpAddr::V4(record.data().addr())).collect()
}
