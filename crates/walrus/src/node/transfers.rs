//! Which zones go to other name servers, as the configuration says it.

use std::path::Path;
use std::sync::Arc;

use walrus_core::config::Configuration;
use walrus_core::zone::Zone;
use walrus_director::{OutboundSettings, stamp_serials};
use walrus_dns::DomainName;

use crate::load::Loaded;

/// Each with its rules.
pub(crate) fn outbound(configuration: &Configuration, state: &Path) -> OutboundSettings {
    let zones = configuration.zones.iter().filter(|zone| zone.transfers.is_wanted());
    OutboundSettings {
        zones: zones.map(|zone| (zone.apex.clone(), zone.transfers.clone())).collect(),
        state: Some(state.to_owned()),
    }
}

/// The zones with which a start begins: those that go to others under the serial that these know.
pub(crate) fn first_zones(loaded: &Loaded, state: &Path) -> Vec<Arc<Zone>> {
    let zones = loaded.configuration.zones.iter().filter(|zone| zone.transfers.is_wanted());
    let apexes: Vec<DomainName> = zones.map(|zone| zone.apex.clone()).collect();
    if apexes.is_empty() {
        return loaded.zones.clone();
    }
    stamp_serials(&loaded.zones, &apexes, state)
}
