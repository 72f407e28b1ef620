//! Zones that take DNS UPDATE: what their name server is told of the configuration, and what is to be said
//! about their files.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use walrus_core::config::{Configuration, ZoneSettings, ZoneUpdates};
use walrus_core::dynamic::{UpdateRule, UpdateRules};
use walrus_director::{UpdateSettings, UpdatedZone, journal_path};
use walrus_dns::DomainName;

/// Who may change what.
pub(crate) fn settings(configuration: &Configuration) -> UpdateSettings {
    let zones = configuration.zones.iter().filter(|zone| !zone.updates.is_empty());
    let zone = |zone: &ZoneSettings| UpdatedZone { apex: zone.apex.clone(), rules: rules(zone) };
    UpdateSettings { zones: zones.map(zone).collect(), state: configuration.node.state.clone() }
}

fn rules(zone: &ZoneSettings) -> BTreeMap<DomainName, UpdateRules> {
    let mut rules: BTreeMap<DomainName, UpdateRules> = BTreeMap::new();
    for ZoneUpdates { key, names, below, types, acme } in zone.updates.iter().cloned() {
        let rule = UpdateRule { names, below, types, acme };
        rules.entry(key).or_default().0.push(rule);
    }
    rules
}

/// Zone files that were changed after the zone's last update, for nobody reads them any more; and journals that
/// do not count.
pub(crate) fn warnings(configuration: &Configuration) -> Vec<String> {
    let written = |path: &Path| -> Option<SystemTime> { path.metadata().ok()?.modified().ok() };
    let one = |zone: &ZoneSettings| {
        let journal = journal_path(&configuration.node.state, &zone.apex);
        if zone.updates.is_empty() {
            return journal.exists().then(|| {
                format!(
                    "the zone {} has taken updates, and without `updates` what they changed is not served: write \
                     `updates` again, or move {} away",
                    zone.apex,
                    journal.display(),
                )
            });
        }
        let file = zone.file.as_ref()?;
        (written(file)? > written(&journal)?).then(|| {
            format!(
                "{} was changed after the zone {apex} began to take updates: once it has been updated its \
                 file counts no longer. Change the zone by updates (nsupdate), or begin again with the file: \
                 stop walrus, keep what is served (walrus zone dump {apex} --unsigned) and move {} away",
                file.display(),
                journal.display(),
                apex = zone.apex,
            )
        })
    };
    configuration.zones.iter().filter_map(one).collect()
}
