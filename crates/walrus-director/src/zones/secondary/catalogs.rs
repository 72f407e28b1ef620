//! Zones that catalogs list (RFC 9432), as secondaries of the catalogs' primaries: which those are by now.
//!
//! A catalog comes like any other zone and is never answered. Whatever is wrong with it, what it listed before holds,
//! also if it expires or nobody has it any more. A restart begins with what was kept of it and of its members.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use walrus_core::transfer::{CatalogError, CatalogMember, catalog_members};
use walrus_core::zone::Zone;
use walrus_dns::DomainName;

use super::{KeptZones, Secondaries, SecondaryZone};
use crate::director::lock;

/// Zones that one catalog may list: each costs a task, and each change of one a compilation of all.
const MEMBERS_MAX: usize = 10_000;

/// The entry of a catalog that a zone stands at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberOf {
    /// The catalog.
    pub catalog: DomainName,
    /// The entry's first label.
    label: Box<[u8]>,
}

/// What a catalog says.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    content: Option<Arc<Zone>>,
    members: BTreeMap<DomainName, CatalogMember>,
    /// Of these some are not taken: how many, and one of them.
    left_out: Option<(usize, DomainName)>,
}

impl Catalog {
    pub(super) fn content(&self) -> Option<Arc<Zone>> {
        lock(&self.said).content.clone()
    }

    /// Takes another content, unless it is broken.
    pub(super) fn take(&self, content: Arc<Zone>) -> Result<(), CatalogError> {
        let members = catalog_members(&content, MEMBERS_MAX)?;
        let mut said = lock(&self.said);
        (said.content, said.members) = (Some(content), members);
        Ok(())
    }

    /// How many zones it lists, and which of them are not taken, in a sentence.
    pub(super) fn status(&self) -> (usize, Option<String>) {
        let said = lock(&self.said);
        let told = |(count, first): &(usize, DomainName)| {
            format!(
                "{count} of the zones that it lists are not taken, {first} among them: they are configured here, \
                 hold a service, or another catalog has them"
            )
        };
        (said.members.len(), said.left_out.as_ref().map(told))
    }
}

/// All that is configured, and what follows from it.
#[derive(Debug, Default)]
pub(super) struct Catalogs {
    pub(super) wanted: Mutex<WantedZones>,
    /// One change at a time.
    applying: Mutex<()>,
    /// No task is begun any more.
    pub(super) stopped: AtomicBool,
}

/// Zones that come from elsewhere.
#[derive(Debug, Default)]
pub(super) struct WantedZones {
    pub(super) zones: Vec<SecondaryZone>,
    pub(super) catalogs: BTreeMap<DomainName, (SecondaryZone, Arc<Catalog>)>,
    /// Those that catalogs list and that are served.
    pub(super) members: BTreeMap<DomainName, SecondaryZone>,
}

impl WantedZones {
    /// Other settings; what catalogs said stays.
    pub(super) fn reconfigure(&mut self, zones: Vec<SecondaryZone>, catalogs: Vec<SecondaryZone>) {
        let mut before = std::mem::take(&mut self.catalogs);
        self.zones = zones;
        for zone in catalogs {
            let said = before.remove(&zone.apex).map(|(_, said)| said).unwrap_or_default();
            self.catalogs.insert(zone.apex.clone(), (zone, said));
        }
    }

    /// All that have a task.
    pub(super) fn all(&self) -> Vec<SecondaryZone> {
        let catalogs = self.catalogs.values().map(|(zone, _)| zone);
        self.zones.iter().chain(catalogs).chain(self.members.values()).cloned().collect()
    }

    /// What catalogs list now. Who has a zone keeps it while it lists it, unless it gives it to another that does.
    fn listed(&self) -> BTreeMap<DomainName, SecondaryZone> {
        let mut listed: BTreeMap<DomainName, SecondaryZone> = BTreeMap::new();
        for (apex, (settings, catalog)) in &self.catalogs {
            // A copy: looking for a zone's owner locks it again.
            let members = lock(&catalog.said).members.clone();
            for member in members.values() {
                if self.catalogs.contains_key(&member.zone) {
                    continue;
                }
                let owner = self.owner(&member.zone);
                if listed.contains_key(&member.zone) && owner.as_ref() != Some(apex) {
                    continue;
                }
                let label = member.entry.labels().next().unwrap_or_default().into();
                let member_of = Some(MemberOf { catalog: apex.clone(), label });
                let zone = SecondaryZone {
                    apex: member.zone.clone(),
                    member_of,
                    is_catalog: false,
                    ..settings.clone()
                };
                listed.insert(member.zone.clone(), zone);
            }
        }
        listed
    }

    /// The catalog that a zone is to come from, if it is served by now.
    fn owner(&self, zone: &DomainName) -> Option<DomainName> {
        let held = &self.members.get(zone)?.member_of.as_ref()?.catalog;
        let lists = |catalog: &DomainName| {
            let (_, catalog) = self.catalogs.get(catalog)?;
            lock(&catalog.said).members.get(zone).cloned()
        };
        let next = lists(held).and_then(|member| member.change_of_ownership);
        let next = next.filter(|next| lists(next).is_some());
        Some(next.unwrap_or_else(|| held.clone()))
    }
}

impl Secondaries {
    /// Serves what catalogs list by now, and nothing that they listed before. It reads the disk and compiles zones.
    pub(super) fn apply_catalogs(&self) {
        let _one_at_a_time = lock(&self.catalogs.applying);
        let (listed, before) = {
            let wanted = lock(&self.catalogs.wanted);
            if wanted.catalogs.is_empty() && wanted.members.is_empty() {
                return;
            }
            (wanted.listed(), wanted.members.clone())
        };
        // Another zone of the same name: what was here is not its (RFC 9432 section 5.4).
        let is_reset = |apex: &DomainName| {
            let label = |zone: &SecondaryZone| zone.member_of.as_ref().map(|of| of.label.clone());
            let (old, new) = (before.get(apex), listed.get(apex));
            old.zip(new).is_some_and(|(old, new)| label(old) != label(new))
        };
        if listed.keys().any(is_reset) {
            listed.keys().filter(|apex| is_reset(apex)).for_each(|apex| self.kept.forget(apex));
            let stay = listed.keys().filter(|apex| before.contains_key(*apex) && !is_reset(apex));
            self.serve_members(stay.map(|apex| (apex.clone(), None)).collect());
        }
        let unix = self.clock.unix_ms() / 1000;
        let content = |zone: &SecondaryZone| {
            let is_new = !before.contains_key(&zone.apex);
            let kept = if is_new { load(&self.kept, zone, unix) } else { None };
            (zone.apex.clone(), kept)
        };
        let Some(taken) = self.serve_members(listed.values().map(content).collect()) else {
            return;
        };
        let mut wanted = lock(&self.catalogs.wanted);
        for (apex, (_, catalog)) in &wanted.catalogs {
            let mut said = lock(&catalog.said);
            let is_here = |zone: &&DomainName| {
                let owner = listed.get(*zone).and_then(|zone| zone.member_of.as_ref());
                taken.contains(*zone) && owner.is_some_and(|of| of.catalog == *apex)
            };
            let left_out = |said: &Said| said.members.keys().filter(|it| !is_here(it)).count();
            let first = said.members.keys().find(|it| !is_here(it)).cloned();
            said.left_out = first.map(|first| (left_out(&said), first));
        }
        wanted.members = listed;
        wanted.members.retain(|apex, _| taken.contains(apex));
        drop(wanted);
        self.run_all();
    }

    fn serve_members(
        &self,
        members: crate::zones::Contents,
    ) -> Option<std::collections::BTreeSet<DomainName>> {
        match self.director.set_members(members) {
            Ok(taken) => Some(taken),
            Err(error) => {
                let error = walrus_host::log::chain(&error);
                tracing::error!(
                    error,
                    "what catalogs list is not served; what was served before goes on"
                );
                None
            }
        }
    }
}

/// What was kept of a zone, unless it expired since.
pub(super) fn load(kept: &KeptZones, zone: &SecondaryZone, unix: u64) -> Option<Arc<Zone>> {
    match kept.load(&zone.apex, zone.keeps_signatures, zone.memory_max) {
        Ok(kept) => {
            let is_good = |kept: &super::KeptZone| zone.is_catalog || !kept.is_expired(unix);
            kept.filter(is_good).map(|kept| Arc::new(kept.zone))
        }
        Err(error) => {
            tracing::warn!("{error}; it is transferred anew");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use walrus_core::zone::read_zone;

    use super::*;

    fn settings(apex: &str) -> SecondaryZone {
        SecondaryZone {
            apex: apex.parse().unwrap(),
            primaries: Vec::new(),
            keeps_signatures: true,
            memory_max: 1 << 20,
            is_catalog: true,
            member_of: None,
        }
    }

    fn say(wanted: &WantedZones, catalog: &str, body: &str) {
        let text = format!(
            "@ 0 SOA invalid. invalid. 1 2 3 4 5\n@ 0 NS invalid.\nversion 0 TXT 2\n{body}"
        );
        let apex: DomainName = catalog.parse().unwrap();
        let zone = read_zone("test", text.as_bytes(), &apex).unwrap().zone;
        wanted.catalogs[&apex].1.take(Arc::new(zone)).unwrap();
    }

    /// Each zone with its catalog and label.
    fn listed(wanted: &mut WantedZones) -> Vec<(String, String)> {
        wanted.members = wanted.listed();
        let one = |zone: &SecondaryZone| {
            let of = zone.member_of.as_ref().unwrap();
            let label = String::from_utf8_lossy(&of.label).into_owned();
            (zone.apex.to_string(), format!("{label} of {}", of.catalog))
        };
        wanted.members.values().map(one).collect()
    }

    #[test]
    fn a_zone_stays_with_its_catalog_until_that_gives_it_away_or_drops_it() {
        let mut wanted = WantedZones::default();
        wanted.reconfigure(Vec::new(), ["a.x", "b.x"].map(settings).to_vec());
        let expected = |of: &str| vec![("one.z".to_owned(), of.to_owned())];
        say(&wanted, "b.x", "l.zones 0 PTR one.z.\nc.zones 0 PTR a.x.\n");
        assert_eq!(listed(&mut wanted), expected("l of b.x"), "no catalog is a member");
        say(&wanted, "a.x", "m.zones 0 PTR one.z.\n");
        assert_eq!(listed(&mut wanted), expected("l of b.x"), "it has it already");
        say(&wanted, "b.x", "l.zones 0 PTR one.z.\ncoo.l.zones 0 PTR none.x.\n");
        assert_eq!(listed(&mut wanted), expected("l of b.x"), "nobody there has it");
        say(&wanted, "b.x", "l.zones 0 PTR one.z.\ncoo.l.zones 0 PTR a.x.\n");
        assert_eq!(listed(&mut wanted), expected("m of a.x"));
        say(&wanted, "a.x", "");
        assert_eq!(listed(&mut wanted), expected("l of b.x"));
        // A catalog that is configured no longer takes its zones along.
        wanted.reconfigure(Vec::new(), vec![settings("a.x")]);
        assert_eq!(listed(&mut wanted), []);
    }
}
