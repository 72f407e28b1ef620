//! The zones that this node's name server gets from other primaries.

use walrus_core::config::{
    CatalogSettings, Configuration, PrimarySettings, ZoneDnssec, ZoneSettings,
};
use walrus_director::{DirectorHandle, KeptZones, Primary, Secondaries, SecondaryZone};
use walrus_host::clock::Clock;
use walrus_host::seed::Seed;
use walrus_host::state::StateDirectory;

use crate::load::Loaded;

/// Those of a configuration, asked for from now on, if this node is a name server.
pub(super) fn start(
    director: Option<&DirectorHandle>,
    loaded: &Loaded,
    state: &StateDirectory,
    clock: &Clock,
    seed: Seed,
) -> Option<Secondaries> {
    let kept = KeptZones::in_state(state.path());
    let zones = zones(&loaded.configuration);
    // Which zones a catalog lists is not known yet.
    if loaded.configuration.catalogs.is_empty() {
        tell_others(&kept, &zones);
    }
    let secondaries = Secondaries::new(director?.clone(), kept, clock.clone(), seed);
    secondaries.set(zones);
    Some(secondaries)
}

/// Zones that were kept and are configured no longer: they may be large, and what they say grows old.
fn tell_others(kept: &KeptZones, zones: &[SecondaryZone]) {
    let apexes: Vec<_> = zones.iter().map(|zone| &zone.apex).collect();
    let others = kept.others(&apexes);
    if let Some(first) = others.first() {
        tracing::info!(
            files = others.len(), first = %first.display(),
            "zones are kept that are configured no longer; their files may be removed"
        );
    }
}

/// Those of a configuration.
pub(super) fn zones(configuration: &Configuration) -> Vec<SecondaryZone> {
    let Configuration { zones, catalogs, keys, dns, .. } = configuration;
    let primary = |PrimarySettings { address, key }: &PrimarySettings| Primary {
        address: *address,
        // The configuration's check found it.
        key: key.as_ref().and_then(|name| keys.iter().find(|key| key.name == *name)).cloned(),
    };
    let zone = |zone: &ZoneSettings| SecondaryZone {
        apex: zone.apex.clone(),
        primaries: zone.primaries.iter().map(primary).collect(),
        keeps_signatures: zone.dnssec != ZoneDnssec::Sign,
        memory_max: dns.zone_memory_max,
        is_catalog: false,
        member_of: None,
    };
    let catalog = |catalog: &CatalogSettings| SecondaryZone {
        apex: catalog.apex.clone(),
        primaries: catalog.primaries.iter().map(primary).collect(),
        // Of the zones that it lists.
        keeps_signatures: true,
        memory_max: dns.zone_memory_max,
        is_catalog: true,
        member_of: None,
    };
    let zones = zones.iter().filter(|zone| !zone.primaries.is_empty()).map(zone);
    zones.chain(catalogs.iter().map(catalog)).collect()
}
