//! Zones that catalogs list (RFC 9432), as secondaries of the catalogs' primaries: which those are by now.
//!
//! A catalog comes like any other zone and is never answered. Whatever is wrong with it, what it listed before holds,
//! also if it expires or nobody has it any more. A restart begins with what was kept of all catalogs and of their members,
//! and with whose these were (`owners`): what has come of one catalog alone says nothing about the zones of another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use walrus_core::transfer::{CatalogError, CatalogMember, catalog_members};
use walrus_core::zone::Zone;
use walrus_dns::DomainName;

use super::owners::{self, Owners};
use super::{KeptZones, Secondaries, SecondaryZone};
use crate::director::lock;
use crate::zones::members::MEMBERS_MAX as MEMBERS_OF_ALL_MAX;

/// Zones that one catalog may list: each costs a task, and each change of one a compilation of all.
const MEMBERS_MAX: usize = 10_000;

/// What could not be served is tried again after so long.
const AGAIN: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 30_000 });

/// The entry of a catalog that a zone stands at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberOf {
    /// The catalog.
    pub catalog: DomainName,
    /// The entry's first label.
    pub(super) label: Box<[u8]>,
}

/// A zone that a catalog lists, and the first label of its entry.
type Entry = (DomainName, Box<[u8]>);

/// What a catalog says.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    content: Option<Arc<Zone>>,
    members: BTreeMap<DomainName, CatalogMember>,
    /// What was kept of it has been looked for.
    is_begun: bool,
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

    /// With what was kept of it, if it did not come yet.
    fn begin(&self, kept: &KeptZones, settings: &SecondaryZone, unix: u64) {
        let is_begun = {
            let mut said = lock(&self.said);
            std::mem::replace(&mut said.is_begun, true) || said.content.is_some()
        };
        if !is_begun
            && let Some(content) = load(kept, settings, unix)
            && let Err(error) = self.take(content)
        {
            let catalog = &settings.apex;
            tracing::warn!(%catalog, "what was kept of the catalog is broken: {error}");
        }
    }

    /// How many zones it lists, and which of them are not taken, in a sentence.
    pub(super) fn status(&self) -> (usize, Option<String>) {
        let said = lock(&self.said);
        let told = |(count, first): &(usize, DomainName)| {
            format!(
                "{count} of the zones that it lists are not taken, {first} among them: they are configured here, \
                 would take the name of a service or of a server away, another catalog has them, or all catalogs \
                 together list more than {MEMBERS_OF_ALL_MAX}, or more than there is room for"
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
    pub(super) applying: Mutex<()>,
    /// Held while what was kept of catalogs is read.
    beginning: Mutex<()>,
    /// Why what they list is not served, or not kept.
    pub(super) problem: Mutex<Option<String>>,
    /// Whose zones they are is not on the disk yet.
    is_unwritten: AtomicBool,
    /// Somebody tries again.
    is_retried: AtomicBool,
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
    /// Whose these are, and whose those were that went last: what was kept of these is removed. `None` until the disk
    /// was read.
    owners: Option<Owners>,
}

impl WantedZones {
    /// Other settings; what catalogs said stays.
    pub(super) fn reconfigure(&mut self, zones: Vec<SecondaryZone>, catalogs: Vec<SecondaryZone>) {
        let mut before = std::mem::take(&mut self.catalogs);
        self.zones = zones;
        // Who lists what is configured here has no say in it any more.
        let configured = configured(&self.zones);
        self.members.retain(|apex, _| !configured.contains(apex));
        for zone in catalogs {
            let said = before.remove(&zone.apex).map(|(_, said)| said).unwrap_or_default();
            self.catalogs.insert(zone.apex.clone(), (zone, said));
        }
    }

    /// All that have a task, each zone once; what is configured here comes from where it is configured.
    pub(super) fn all(&self) -> Vec<SecondaryZone> {
        let configured = configured(&self.zones);
        let is_free =
            |apex: &DomainName| !configured.contains(apex) && !self.catalogs.contains_key(apex);
        let members = self.members.values().filter(|zone| is_free(&zone.apex));
        let catalogs = self.catalogs.values().map(|(zone, _)| zone);
        self.zones.iter().chain(catalogs).chain(members).cloned().collect()
    }

    /// What catalogs list now, but for what comes from elsewhere by the configuration; of a catalog that did not come, what it
    /// listed last. Who has a zone keeps it while it lists it, unless it gives it to another that does.
    pub(super) fn listed(&self) -> BTreeMap<DomainName, SecondaryZone> {
        let mut listed: BTreeMap<DomainName, SecondaryZone> = BTreeMap::new();
        let (before, configured) = (self.entries_before(), configured(&self.zones));
        for (apex, (settings, catalog)) in &self.catalogs {
            for (zone, label) in entries(catalog, before.get(apex)) {
                if self.catalogs.contains_key(&zone) || configured.contains(&zone) {
                    continue;
                }
                if listed.contains_key(&zone) && self.owner(&zone).as_ref() != Some(apex) {
                    continue;
                }
                let member_of = Some(MemberOf { catalog: apex.clone(), label });
                let settings = settings.clone();
                let member =
                    SecondaryZone { apex: zone.clone(), member_of, is_catalog: false, ..settings };
                listed.insert(zone, member);
            }
        }
        listed
    }

    /// All that catalogs list, whosever it is.
    fn names(&self) -> BTreeSet<DomainName> {
        let before = self.entries_before();
        let of = |(apex, (_, catalog)): (&DomainName, &(SecondaryZone, Arc<Catalog>))| {
            entries(catalog, before.get(apex))
        };
        self.catalogs.iter().flat_map(of).map(|(zone, _)| zone).collect()
    }

    /// By catalog: what it listed when that was written down last.
    fn entries_before(&self) -> BTreeMap<&DomainName, Vec<Entry>> {
        let mut entries: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (zone, MemberOf { catalog, label }) in self.owners.iter().flatten() {
            entries.entry(catalog).or_default().push((zone.clone(), label.clone()));
        }
        entries
    }

    /// The catalog that a zone is to come from, if that is known.
    fn owner(&self, zone: &DomainName) -> Option<DomainName> {
        let held = &self.owners.as_ref()?.get(zone)?.catalog;
        let lists = |catalog: &DomainName| {
            let (_, catalog) = self.catalogs.get(catalog)?;
            lock(&catalog.said).members.get(zone).cloned()
        };
        let next = lists(held).and_then(|member| member.change_of_ownership);
        let next = next.filter(|next| lists(next).is_some());
        Some(next.unwrap_or_else(|| held.clone()))
    }

    /// Those of them that are another zone of the same name: what was here is not theirs (RFC 9432 section 5.4).
    fn reset(&self, listed: &BTreeMap<DomainName, SecondaryZone>) -> BTreeSet<DomainName> {
        let owners = self.owners.as_ref();
        let is_reset = |(apex, zone): &(&DomainName, &SecondaryZone)| {
            let before = owners.and_then(|owners| owners.get(*apex));
            let now = zone.member_of.as_ref();
            before.zip(now).is_some_and(|(before, now)| before.label != now.label)
        };
        listed.iter().filter(is_reset).map(|(apex, _)| apex.clone()).collect()
    }

    /// Zones that no catalog lists any more and that come from nowhere else.
    fn left(&self, listed: &BTreeMap<DomainName, SecondaryZone>) -> Vec<DomainName> {
        let configured = configured(&self.zones);
        let owned = self.owners.iter().flatten().map(|(apex, _)| apex);
        let left = owned.filter(|apex| {
            !listed.contains_key(*apex)
                && !configured.contains(apex)
                && !self.catalogs.contains_key(*apex)
                && !self.members.contains_key(*apex)
        });
        left.cloned().collect()
    }
}

/// The names of zones that are configured.
fn configured(zones: &[SecondaryZone]) -> BTreeSet<&DomainName> {
    zones.iter().map(|zone| &zone.apex).collect()
}

/// What a catalog lists; of one that did not come, what it listed before. A copy: looking for a zone's owner locks it again.
fn entries(catalog: &Catalog, before: Option<&Vec<Entry>>) -> Vec<Entry> {
    match lock(&catalog.said) {
        said if said.content.is_some() => said.members.values().map(entry).collect(),
        _ => before.cloned().unwrap_or_default(),
    }
}

fn entry(member: &CatalogMember) -> Entry {
    let label = member.entry.labels().next().unwrap_or_default();
    (member.zone.clone(), label.into())
}

impl Secondaries {
    /// Serves what catalogs list by now, and nothing that they listed before. If it cannot be served, or whose it is not written
    /// down, it is tried again.
    pub(super) async fn apply_catalogs(&self) {
        if !self.apply_once().await {
            self.apply_again();
        }
    }

    /// Whether it is done.
    async fn apply_once(&self) -> bool {
        let secondaries = self.clone();
        let applied = self.arrivals.turn(&self.director, move || secondaries.apply()).await;
        let problem = applied.unwrap_or_else(|| Err(unserved("its thread ended"))).err();
        if let Some(problem) = &problem {
            tracing::error!("{problem}");
        }
        let is_done = problem.is_none();
        *lock(&self.catalogs.problem) = problem;
        is_done
    }

    /// One task tries again until it is done.
    fn apply_again(&self) {
        if self.catalogs.is_retried.swap(true, Ordering::Relaxed) {
            return;
        }
        let secondaries = self.clone();
        tokio::spawn(async move {
            let catalogs = &secondaries.catalogs;
            loop {
                tokio::time::sleep(AGAIN).await;
                catalogs.is_retried.store(false, Ordering::Relaxed);
                if catalogs.stopped.load(Ordering::Relaxed)
                    || secondaries.apply_once().await
                    || catalogs.is_retried.swap(true, Ordering::Relaxed)
                {
                    return;
                }
            }
        });
    }

    /// Catalogs begin with what was kept of them. It reads the disk.
    pub(super) fn begin_catalogs(&self) {
        let _one_at_a_time = lock(&self.catalogs.beginning);
        let catalogs = {
            let mut wanted = lock(&self.catalogs.wanted);
            if wanted.owners.is_none() {
                wanted.owners = Some(owners::read(self.kept.directory()));
            }
            wanted.catalogs.clone()
        };
        let unix = self.clock.unix_ms() / 1000;
        for (settings, catalog) in catalogs.values() {
            catalog.begin(&self.kept, settings, unix);
        }
    }

    /// Whether there are no catalogs, nor anything that they left.
    fn has_no_catalogs(&self) -> bool {
        let wanted = lock(&self.catalogs.wanted);
        wanted.catalogs.is_empty()
            && wanted.owners.as_ref().is_none_or(BTreeMap::is_empty)
            && self.director.members().is_empty()
            && !self.catalogs.is_unwritten.load(Ordering::Relaxed)
    }

    /// It reads the disk and compiles zones.
    fn apply(&self) -> Result<(), String> {
        let _one_at_a_time = lock(&self.catalogs.applying);
        if self.catalogs.stopped.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.has_no_catalogs() {
            self.director.tell_listed(BTreeSet::new());
            return Ok(());
        }
        self.begin_catalogs();
        let (listed, reset, left, takeable) = {
            let wanted = lock(&self.catalogs.wanted);
            self.director.tell_listed(wanted.names());
            let (listed, owners) = (wanted.listed(), wanted.owners.clone().unwrap_or_default());
            let (reset, left) = (wanted.reset(&listed), wanted.left(&listed));
            // It may wait for whoever changes zones now.
            drop(wanted);
            let takeable = self.director.takeable(listed.keys(), |apex| owners.contains_key(apex));
            (listed, reset, left, takeable)
        };
        // What is served, not what was listed: a reload may have left some of these out meanwhile.
        let (before, unix) = (self.director.members(), self.clock.unix_ms() / 1000);
        let content = |zone: &SecondaryZone| {
            let is_kept = !before.contains(&zone.apex) && !reset.contains(&zone.apex);
            let kept = if is_kept { load(&self.kept, zone, unix) } else { None };
            (zone.apex.clone(), kept)
        };
        let members = listed.values().filter(|zone| takeable.contains(&zone.apex));
        let taken = self.director.set_members(members.map(content).collect(), &reset);
        let taken = taken.map_err(|error| unserved(&walrus_host::log::chain(&error)))?;
        // Whoever brought what was there before would write it down again. That it is another zone is written down last: a
        // node that ends before begins it anew once more.
        self.end(&reset);
        // Of what is not taken nothing is kept.
        let useless = listed.keys().filter(|it| !taken.contains(*it) && !self.director.moves(it));
        // A reload may have made one of them a configured zone meanwhile: that keeps its file.
        let reset = reset.iter().filter(|it| taken.contains(*it));
        reset.chain(&left).chain(useless).for_each(|apex| self.kept.forget(apex));
        let noted = self.note_taken(listed, &taken);
        self.run_all();
        noted
    }

    /// What is served by now, and whose it is. Fails if that is not on the disk.
    fn note_taken(
        &self,
        mut listed: BTreeMap<DomainName, SecondaryZone>,
        taken: &BTreeSet<DomainName>,
    ) -> Result<(), String> {
        let mut wanted = lock(&self.catalogs.wanted);
        // A reload may have left some of them out since.
        let served = self.director.members();
        listed.retain(|apex, _| taken.contains(apex) && served.contains(apex));
        for (apex, (_, catalog)) in &wanted.catalogs {
            let mut said = lock(&catalog.said);
            let is_here = |zone: &&DomainName| {
                let owner = listed.get(*zone).and_then(|zone| zone.member_of.as_ref());
                owner.is_some_and(|of| of.catalog == *apex)
            };
            let mut left_out = said.members.keys().filter(|it| !is_here(it));
            let first = left_out.next().cloned();
            let count = left_out.count() + 1;
            said.left_out = first.map(|first| (count, first));
        }
        let of = |(apex, zone): (&DomainName, &SecondaryZone)| {
            Some((apex.clone(), zone.member_of.clone()?))
        };
        let mut owners: Owners = listed.iter().filter_map(of).collect();
        // What was kept of these is not removed yet: should the node end before, it is after its next start.
        let left = wanted.members.iter().filter(|(apex, _)| !listed.contains_key(*apex));
        owners.extend(left.filter_map(of));
        wanted.members = listed;
        let is_other = wanted.owners.as_ref() != Some(&owners);
        wanted.owners = Some(owners.clone());
        drop(wanted);
        self.keep_owners(&owners, is_other)
    }

    /// If they are others than those that are on the disk.
    fn keep_owners(&self, owners: &Owners, is_other: bool) -> Result<(), String> {
        let is_unwritten = &self.catalogs.is_unwritten;
        if !is_other && !is_unwritten.load(Ordering::Relaxed) {
            return Ok(());
        }
        let written = owners::write(self.kept.directory(), owners);
        is_unwritten.store(written.is_err(), Ordering::Relaxed);
        written.map_err(|error| {
            format!("whose zones those of catalogs are is not kept for a restart: {error}")
        })
    }
}

fn unserved(error: &str) -> String {
    format!("what catalogs list is not served, what was served before goes on: {error}")
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
#[path = "catalogs_tests.rs"]
mod tests;
