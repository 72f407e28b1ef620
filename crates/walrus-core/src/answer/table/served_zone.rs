//! A zone as clients see it, in one piece: its static records, and of each service one of the
//! answers that it gives.

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
