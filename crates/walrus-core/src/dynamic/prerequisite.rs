//! What an update wants to find (RFC 2136 section 3.2).

use std::collections::BTreeMap;

use walrus_dns::{DomainName, record_type};

use super::message::{CLASS_ANY, CLASS_NONE, canonical, is_meta};
use super::{UpdateRecord, UpdateRefused};
use crate::zone::Zone;

/// Looks whether all of it holds. A name that has no records itself is not in use, whatever stands
/// below it (section 2.4.4).
///
/// # Errors
/// What does not hold first; or a prerequisite that is none.
pub(super) fn check(zone: &Zone, prerequisites: &[UpdateRecord]) -> Result<(), UpdateRefused> {
    // Sets that are to be exactly so.
    let mut exact: BTreeMap<(&DomainName, u16), Vec<Vec<u8>>> = BTreeMap::new();
    for record in prerequisites {
        let (name, record_type) = (&record.name, record.record_type);
        if record.ttl != 0 {
            return Err(UpdateRefused::Malformed("a prerequisite has a TTL"));
        }
        if !name.is_within(zone.apex()) {
            return Err(UpdateRefused::Outside(name.clone()));
        }
        let is_any_type = record_type == record_type::ANY;
        if is_meta(record_type) && !(is_any_type && record.class != record_type::CLASS_IN) {
            return Err(UpdateRefused::Malformed("a prerequisite has a type that no zone has"));
        }
        if matches!(record.class, CLASS_ANY | CLASS_NONE) && !record.data.is_empty() {
            return Err(UpdateRefused::Malformed("a prerequisite has data that it must not have"));
        }
        let (name, sets) = (name.clone(), zone.sets(name));
        let has_set = sets.of_type(record_type).is_some();
        match (record.class, is_any_type) {
            (CLASS_ANY, true) if sets.is_empty() => return Err(UpdateRefused::NameMissing(name)),
            (CLASS_ANY, false) if !has_set => {
                return Err(UpdateRefused::SetMissing { name, record_type });
            }
            (CLASS_NONE, true) if !sets.is_empty() => {
                return Err(UpdateRefused::NamePresent(name));
            }
            (CLASS_NONE, false) if has_set => {
                return Err(UpdateRefused::SetPresent { name, record_type });
            }
            (CLASS_ANY | CLASS_NONE, _) => {}
            (record_type::CLASS_IN, _) => {
                let data = canonical(record_type, &record.data);
                exact.entry((&record.name, record_type)).or_default().push(data);
            }
            _ => return Err(UpdateRefused::Malformed("a prerequisite has an unknown class")),
        }
    }
    for ((name, record_type), mut wanted) in exact {
        let set = zone.set(name, record_type);
        let data = set.into_iter().flat_map(|set| set.data().collect::<Vec<_>>());
        let mut held: Vec<Vec<u8>> = data.map(|data| canonical(record_type, data)).collect();
        for list in [&mut wanted, &mut held] {
            list.sort_unstable();
            list.dedup();
        }
        if wanted != held {
            return Err(UpdateRefused::SetMissing { name: name.clone(), record_type });
        }
    }
    Ok(())
}
