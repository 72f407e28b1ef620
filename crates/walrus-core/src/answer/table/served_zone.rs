//! A zone as clients see it, in one piece: its static records, and of each service one of the
//! answers that it gives.

use std::collections::BTreeMap;

use walrus_dns::DomainName;

use super::{AnswerTable, Drawn, ServiceTable, data_of};
use crate::world::ServiceType;
use crate::zone::{RecordSet, Zone};

impl AnswerTable {
    /// The zone as it is served: at each service's name an answer set of each type that it gives,
    /// signed as far as answers are; rather one for clients that no area holds. `None` if there is
    /// no such zone.
    #[must_use]
    pub fn served_zone(&self, apex: &DomainName) -> Option<Zone> {
        let zone = self.zones.zone(apex)?;
        let (mut at, mut sets) = (0, Vec::new());
        for name in self.services() {
            if self.zones.zone_of(name).is_some_and(|of| of.apex() == apex) {
                for service_type in self.types(at).iter() {
                    let table = self.service(at);
                    let given = table.and_then(|table| one_answer(table, service_type));
                    let record_type = service_type.number();
                    // Without data it takes away what the file has, which is never answered.
                    let none = RecordSet { record_type, ..RecordSet::default() };
                    sets.push((name.clone(), given.unwrap_or(none)));
                }
            }
            at += 1;
        }
        Some(zone.with_sets(sets))
    }
}

/// The most records of one type that stand for a service elsewhere: some more would not fit a reply.
const TRANSFERRED_MAX: usize = 1000;

impl AnswerTable {
    /// What stands at the names of services in these zones where they are transferred to: all functioning servers of clients
    /// that no area holds, in the order of their data, or, where the zone's value is false, nothing. A set without
    /// data takes away what the zone has. A zone is left out if there is none of this name, or as long as no Plan says how a service stands: what secondaries have then goes on.
    #[must_use]
    pub fn transferred_services(
        &self,
        zones: &BTreeMap<DomainName, bool>,
    ) -> BTreeMap<DomainName, Vec<(DomainName, RecordSet)>> {
        let served = zones.keys().filter(|apex| self.zones.zone(apex).is_some());
        let mut sets: BTreeMap<_, _> = served.map(|apex| (apex.clone(), Vec::new())).collect();
        for (at, name) in (0..).zip(self.services()) {
            let Some(apex) = self.zones.zone_of(name).map(|zone| zone.apex()) else { continue };
            let Some(with_services) = zones.get(apex) else { continue };
            let Some(of_zone) = sets.get_mut(apex) else { continue };
            let table = self.service(at);
            if *with_services && table.is_none() {
                sets.remove(apex);
                continue;
            }
            for service_type in self.types(at).iter() {
                let none = RecordSet { record_type: service_type.number(), ..RecordSet::default() };
                let given = table.filter(|_| *with_services);
                let given = given.and_then(|table| all_servers(table, service_type));
                of_zone.push((name.clone(), given.unwrap_or(none)));
            }
        }
        sets
    }
}

/// All that area `world` is answered with, unsigned.
fn all_servers(table: &ServiceTable, service_type: ServiceType) -> Option<RecordSet> {
    let decision = table.decisions().get(usize::from(table.world))?;
    let list = table.lists().get(decision.list(service_type)? as usize)?;
    let mut data: Vec<Box<[u8]>> = Vec::new();
    for answer in list.answers() {
        data.extend(answer.data().map(Box::from));
        if data.len() > 2 * TRANSFERRED_MAX {
            data.sort_unstable();
            data.dedup();
            data.truncate(TRANSFERRED_MAX);
        }
    }
    data.sort_unstable();
    data.dedup();
    data.truncate(TRANSFERRED_MAX);
    // A copy elsewhere knows no domains.
    let ttl = table.ttls().map_or(decision.ttl, |ttls| ttls.bounds.mean);
    Some(RecordSet { record_type: service_type.number(), ttl, data, signatures: Vec::new() })
}

fn one_answer(table: &ServiceTable, service_type: ServiceType) -> Option<RecordSet> {
    let world = table.decisions().get(usize::from(table.world));
    let mut decisions = world.into_iter().chain(table.decisions());
    let (list, ttl) =
        decisions.find_map(|decision| Some((decision.list(service_type)?, decision.ttl)))?;
    let answer = table.lists().get(list as usize)?.answers().next()?;
    let record_type = service_type.number();
    let boxed = |records| data_of(records).map(Into::into).collect();
    if let Some(signed) = table.signed() {
        let drawn = Drawn {
            records: answer.records,
            count: answer.count,
            ring: answer.ring,
            first: answer.first,
            ordinal: 0,
            servers: answer.servers,
        };
        let answer = signed.answer(list, drawn)?;
        let (data, signatures) = (boxed(answer.drawn.records), boxed(answer.signatures));
        // What was signed is the policy's maximum.
        return Some(RecordSet { record_type, ttl: signed.terms.ttl_max, data, signatures });
    }
    let data = boxed(answer.records);
    // A copy elsewhere knows no domains.
    let ttl = table.ttls().map_or(ttl, |ttls| ttls.bounds.mean);
    Some(RecordSet { record_type, ttl, data, signatures: Vec::new() })
}
