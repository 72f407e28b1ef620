//! What an update wants to find (RFC 2136 section 3.2).

use std::collections::BTreeMap;

use walrus_dns::{DomainName, record_type};

use super::draft::Held;
use super::message::{CLASS_ANY, CLASS_NONE, form, is_meta};
use super::{UpdateRecord, UpdateRefused};

/// Looks whether all of it holds. A name that has no records itself is not in use, whatever stands
/// below it (section 2.4.4).
///
/// # Errors
/// What does not hold first; or a prerequisite that is none.
pub(super) fn check(held: Held<'_>, prerequisites: &[UpdateRecord]) -> Result<(), UpdateRefused> {
    // Sets that are to be exactly so.
    let mut exact: BTreeMap<(&DomainName, u16), Vec<Vec<u8>>> = BTreeMap::new();
    for record in prerequisites {
        let (name, record_type) = (&record.name, record.record_type);
        if record.ttl != 0 {
            return Err(UpdateRefused::Malformed("a prerequisite has a TTL"));
        }
        if !name.is_within(held.zone.apex()) {
            return Err(UpdateRefused::Outside(name.clone()));
        }
        let is_any_type = record_type == record_type::ANY;
        if is_meta(record_type) && !(is_any_type && record.class != record_type::CLASS_IN) {
            return Err(UpdateRefused::Malformed("a prerequisite has a type that no zone has"));
        }
        if matches!(record.class, CLASS_ANY | CLASS_NONE) && !record.data.is_empty() {
            return Err(UpdateRefused::Malformed("a prerequisite has data that it must not have"));
        }
        let (name, is_empty) = (name.clone(), held.is_empty(name));
        let has_set = held.has_set(&name, record_type);
        match (record.class, is_any_type) {
            (CLASS_ANY, true) if is_empty => return Err(UpdateRefused::NameMissing(name)),
            (CLASS_ANY, false) if !has_set => {
                return Err(UpdateRefused::SetMissing { name, record_type });
            }
            (CLASS_NONE, true) if !is_empty => {
                return Err(UpdateRefused::NamePresent(name));
            }
            (CLASS_NONE, false) if has_set => {
                return Err(UpdateRefused::SetPresent { name, record_type });
            }
            (CLASS_ANY | CLASS_NONE, _) => {}
            (record_type::CLASS_IN, _) => {
                let data = form(record_type, &record.data);
                exact.entry((&record.name, record_type)).or_default().push(data);
            }
            _ => return Err(UpdateRefused::Malformed("a prerequisite has an unknown class")),
        }
    }
    for ((name, record_type), mut wanted) in exact {
        let data = held.data(name, record_type).into_iter();
        let mut found: Vec<Vec<u8>> = data.map(|data| form(record_type, data)).collect();
        for list in [&mut wanted, &mut found] {
            list.sort_unstable();
            list.dedup();
        }
        if wanted != found {
            return Err(UpdateRefused::SetMissing { name: name.clone(), record_type });
        }
    }
    Ok(())
}
