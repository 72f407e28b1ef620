//! Zones that take DNS UPDATE: what their name server is told of the configuration, and what is to be said
//! about their files.

use std::collections::BTreeMap;
use std::sync::Arc;

use walrus_core::config::{Configuration, ZoneSettings, ZoneUpdates};
use walrus_core::dynamic::{UpdateRule, UpdateRules};
use walrus_core::world::Digest;
use walrus_core::zone::{Zone, ZonesOwnNames};
use walrus_director::{JournalLook, UpdateSettings, UpdatedZone};
use walrus_dns::DomainName;

use crate::zone_files;

/// Who may change what.
pub(crate) fn settings(
    configuration: &Configuration,
    files: &BTreeMap<DomainName, Digest>,
) -> UpdateSettings {
    let zones = configuration.zones.iter().filter(|zone| !zone.updates.is_empty());
    let zone = |zone: &ZoneSettings| {
        let text = files.get(&zone.apex).map(|digest| digest.as_str().into());
        UpdatedZone { apex: zone.apex.clone(), rules: rules(zone), text: text.unwrap_or_default() }
    };
    UpdateSettings {
        zones: zones.map(zone).collect(),
        state: configuration.node.state.clone(),
        zone_memory_max: configuration.dns.zone_memory_max,
    }
}

fn rules(zone: &ZoneSettings) -> BTreeMap<DomainName, UpdateRules> {
    let mut rules: BTreeMap<DomainName, UpdateRules> = BTreeMap::new();
    for ZoneUpdates { key, names, below, types, acme } in zone.updates.iter().cloned() {
        let rule = UpdateRule { names, below, types, acme };
        rules.entry(key).or_default().0.push(rule);
    }
    rules
}

/// What a look at a zone's journal shows.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The zone has been updated, and lives in its journal.
    pub(crate) counts: bool,
    /// What is to be said of its file.
    pub(crate) warnings: Vec<String>,
}

/// Looks at a zone's journal and its file, whose digest goes into `files`.
pub(crate) fn look(
    settings: &ZoneSettings,
    configuration: &Configuration,
    files: &mut BTreeMap<DomainName, Digest>,
) -> Look {
    let apex = &settings.apex;
    let found = JournalLook::open(&configuration.node.state, apex);
    if settings.updates.is_empty() {
        let told = |found: JournalLook| {
            format!(
                "the zone {apex} has taken updates, and without `updates` what they changed is not served: write \
                 `updates` again, or move {} away",
                found.path().display(),
            )
        };
        return Look { counts: false, warnings: found.map(told).into_iter().collect() };
    }
    let digest = settings
        .file
        .as_ref()
        .map(|file| (file, zone_files::digest_of(file, configuration.dns.zone_memory_max)));
    if let Some((_, Ok(digest))) = &digest {
        files.insert(apex.clone(), digest.clone());
    }
    let Some(found) = found.filter(JournalLook::counts) else { return Look::default() };
    let warning = match digest {
        Some((file, Err(why))) => Some(format!(
            "cannot read the zone file {}: {why}; the zone {apex} has been updated, and is served as its journal \
             has it",
            file.display()
        )),
        Some((file, Ok(digest)))
            if !found.text().is_empty() && found.text() != digest.as_str().as_bytes() =>
        {
            Some(format!(
                "{} was changed after the zone {apex} was read from it, and has been updated since: its file \
                 counts no longer, and the change is not served. Change the zone by updates (nsupdate), or begin \
                 again with the file: stop walrus, keep what is served (walrus zone dump {apex} --unsigned) and \
                 move {} away",
                file.display(),
                found.path().display(),
            ))
        }
        _ => None,
    };
    Look { counts: true, warnings: warning.into_iter().collect() }
}

/// A zone as its journal has it, for those who look at it without a name server; what of it is not served is a
/// warning.
pub(crate) fn content(
    settings: &ZoneSettings,
    (own, configuration): (&ZonesOwnNames, &Configuration),
    warnings: &mut Vec<String>,
) -> Option<Arc<Zone>> {
    let found = JournalLook::open(&configuration.node.state, &settings.apex)?;
    let zone = match found.zone() {
        Ok(zone) => Arc::new(zone),
        Err(why) => {
            warnings.push(format!(
                "the zone {} has been updated, and its journal cannot be looked at here: {why}",
                settings.apex
            ));
            return None;
        }
    };
    let (zone, left_out) = own.of(&settings.apex).without_what_hides_them(&zone);
    warnings.extend(left_out.iter().map(ToString::to_string));
    Some(zone)
}

#[cfg(test)]
#[path = "zone_updates_tests.rs"]
mod tests;
