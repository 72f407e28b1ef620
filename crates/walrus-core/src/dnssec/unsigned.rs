//! A zone without what signing puts into it.

use walrus_dns::record_type;

use crate::zone::{RecordSet, Zone};

/// The zone without signatures, chain and keys.
#[must_use]
pub fn unsigned(zone: &Zone) -> Zone {
    let is_ours = |number: u16| {
        matches!(
            number,
            record_type::NSEC
                | record_type::NSEC3PARAM
                | record_type::DNSKEY
                | record_type::CDS
                | record_type::CDNSKEY
        )
    };
    let sets = zone.iter().flat_map(|(owner, sets)| {
        let kept = sets.iter().filter(move |set| !is_ours(set.record_type()));
        kept.map(move |set| (owner.clone(), RecordSet { signatures: Vec::new(), ..set.to_set() }))
    });
    Zone::from_sorted_sets(zone.apex().clone(), sets)
}
