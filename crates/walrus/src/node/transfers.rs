//! Which zones go to other name servers, as the configuration says it.

use std::collections::BTreeMap;
use std::path::Path;

use walrus_director::{OutboundSettings, used_serials};
use walrus_dns::DomainName;

use crate::load::Loaded;

/// Each with its rules.
pub(crate) fn outbound(loaded: &Loaded, state: &Path) -> OutboundSettings {
    let zones = loaded.configuration.zones.iter().filter(|zone| zone.transfers.is_wanted());
    OutboundSettings {
        zones: zones.map(|zone| (zone.apex.clone(), zone.transfers.clone())).collect(),
        hosts: loaded.topology.hosts().into_iter().map(|host| host.name).collect(),
        added: loaded.hosts.iter().cloned().collect(),
        state: Some(state.to_owned()),
    }
}

/// The serials with which a start begins: those that others know zones by.
pub(crate) fn first_serials(loaded: &Loaded, state: &Path) -> BTreeMap<DomainName, u32> {
    let zones = loaded.configuration.zones.iter().filter(|zone| zone.transfers.is_wanted());
    let apexes: Vec<DomainName> = zones.map(|zone| zone.apex.clone()).collect();
    used_serials(&apexes, state)
}
