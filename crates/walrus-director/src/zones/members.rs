//! Zones that a catalog lists: served beside those that are configured, and no part of the configuration.
//!
//! A zone that is configured here, or that would take the name of a service, or of a server that services' records name, away
//! from its zone, is never taken from a catalog: whoever fills it has no say in these. So nothing of the configuration lies
//! in one that is taken: it is served as it comes, and no other zone is served otherwise because of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use walrus_core::answer::ZONES_MAX;
use walrus_core::zone::Zone;
use walrus_dns::DomainName;
use walrus_host::log::chain;

use super::{Contents, ReplaceError, TRIES_MAX, Timed};
use crate::director::{DirectorHandle, lock};
use crate::signing::{Rebuilding, Wanted};

/// Zones of all catalogs together, should there be room for them beside those that are configured.
pub(crate) const MEMBERS_MAX: usize = if cfg!(test) { 10 } else { 50_000 };

impl DirectorHandle {
    /// These zones and no others are served beside the configured ones; new ones and those of `reset` begin with this
    /// content, others keep what they have. Gives those that are taken.
    ///
    /// # Errors
    /// If they cannot be published. All is then as before.
    pub(crate) fn set_members(
        &self,
        members: Contents,
        reset: &BTreeSet<DomainName>,
    ) -> Result<BTreeSet<DomainName>, ReplaceError> {
        let mut rebuilding = self.rebuilding();
        let _timed = Timed::new(&self.inner().moving_nanos);
        let before = lock(&self.inner().members).clone();
        let taken = rebuilding.wanted.taken(members.keys(), |apex| before.contains(apex));
        let is_new = |apex: &DomainName| !before.contains(apex) || reset.contains(apex);
        let mut new = members;
        new.retain(|apex, _| taken.contains(apex) && is_new(apex));
        if taken == before && new.is_empty() {
            return Ok(taken);
        }
        let gone = before.difference(&taken).cloned().collect();
        match self.change_members(&mut rebuilding, &gone, &new) {
            // One bad content, which the disk had, is not to cost the others theirs: it is transferred.
            Err(_) if new.values().any(Option::is_some) => {
                let mut full: Vec<_> = new.clone().into_iter().collect();
                full.retain(|(_, content)| content.is_some());
                new.values_mut().for_each(|content| *content = None);
                self.change_members(&mut rebuilding, &gone, &new)?;
                self.fill_members(&mut rebuilding, &full);
            }
            done => done?,
        }
        lock(&self.inner().members).clone_from(&taken);
        Ok(taken)
    }

    /// Those of a list that [`Self::set_members`] would take; if they are too many, first those that are served and these.
    pub(crate) fn takeable<'a>(
        &self,
        listed: impl Iterator<Item = &'a DomainName>,
        held: impl Fn(&DomainName) -> bool,
    ) -> BTreeSet<DomainName> {
        let rebuilding = self.rebuilding();
        let before = lock(&self.inner().members).clone();
        rebuilding.wanted.taken(listed, |apex| before.contains(apex) || held(apex))
    }

    /// Serves what was kept of members that are empty, as far as it can be.
    fn fill_members(
        &self,
        rebuilding: &mut Rebuilding,
        contents: &[(DomainName, Option<Arc<Zone>>)],
    ) {
        let mut tries_left = TRIES_MAX;
        let filled = self.move_in_parts(rebuilding, contents, &mut tries_left);
        let bad = filled.iter().filter(|it| it.is_err()).count();
        let failed =
            contents.iter().zip(filled).find_map(|((apex, _), it)| Some((apex, it.err()?)));
        if let Some((zone, error)) = failed {
            let error = chain(&error);
            tracing::warn!(%zone, bad, error, "what was kept cannot be served: it is transferred anew");
        }
    }

    fn change_members(
        &self,
        rebuilding: &mut Rebuilding,
        gone: &BTreeSet<DomainName>,
        new: &Contents,
    ) -> Result<(), ReplaceError> {
        let wanted = rebuilding.wanted.clone().without(gone).with_contents(new);
        self.rebuild(rebuilding, wanted, None, false)?;
        let mut contents = lock(&self.inner().contents);
        contents.retain(|apex, _| !gone.contains(apex));
        contents.extend(new.iter().map(|(apex, content)| (apex.clone(), content.clone())));
        Ok(())
    }

    /// Zones of catalogs that are served, with content or without.
    pub(crate) fn members(&self) -> BTreeSet<DomainName> {
        lock(&self.inner().members).clone()
    }

    /// Whether a zone's content moves, by the configuration or a catalog.
    pub(crate) fn moves(&self, apex: &DomainName) -> bool {
        lock(&self.inner().contents).contains_key(apex)
    }

    /// All that catalogs list by now, also what is not taken: what is configured no longer may be one of these.
    pub(crate) fn tell_listed(&self, listed: BTreeSet<DomainName>) {
        *lock(&self.inner().listed) = listed;
    }

    /// Whether what came of a zone is to be served: as one of a catalog, or as one whose primaries are configured. A reload
    /// may have made it another's since. To be asked with `rebuilding` held.
    pub(crate) fn comes_so_still(&self, apex: &DomainName, is_member: bool) -> bool {
        let is_updated = || self.inner().updates_told.load().iter().any(|it| it.apex == *apex);
        lock(&self.inner().members).contains(apex) == is_member && (is_member || !is_updated())
    }

    /// Adds to what a reload is to serve the zones of catalogs that go together with it; the others are members no longer.
    /// What is configured no longer, and a catalog lists, is one from now on and goes on as it was.
    pub(crate) fn keep_members(
        &self,
        (before, wanted): (&Wanted, &Wanted),
        contents: &mut Contents,
    ) -> BTreeSet<DomainName> {
        let held = lock(&self.inner().contents).clone();
        let loaded: BTreeMap<&DomainName, &Arc<Zone>> =
            before.zones.iter().map(|zone| (zone.apex(), zone)).collect();
        let mut members = lock(&self.inner().members).clone();
        let is_served = |apex: &&DomainName| held.contains_key(*apex) || loaded.contains_key(apex);
        members.extend(lock(&self.inner().listed).iter().filter(is_served).cloned());
        members.retain(|apex| !contents.contains_key(apex) && wanted.own.bears(apex));
        for apex in &members {
            let content = match held.get(apex) {
                Some(held) => held.clone(),
                None => loaded.get(apex).copied().cloned(),
            };
            contents.insert(apex.clone(), content);
        }
        members
    }
}

impl Wanted {
    /// Those of a list that may stand beside what is configured; if they are too many, first those that are held.
    fn taken<'a>(
        &self,
        listed: impl Iterator<Item = &'a DomainName>,
        is_held: impl Fn(&DomainName) -> bool,
    ) -> BTreeSet<DomainName> {
        let (held, new): (Vec<_>, Vec<_>) =
            listed.filter(|apex| self.own.bears(apex)).partition(|apex| is_held(apex));
        let room = members_max(self.own.apexes().count());
        held.into_iter().chain(new).take(room).cloned().collect()
    }

    fn without(mut self, gone: &BTreeSet<DomainName>) -> Self {
        self.zones.retain(|zone| !gone.contains(zone.apex()));
        self.empty.retain(|apex| !gone.contains(apex));
        self.unfit.retain(|apex, _| !gone.contains(apex));
        self.own_serials.retain(|apex, _| !gone.contains(apex));
        self
    }
}

/// Beside so many that are configured.
fn members_max(configured: usize) -> usize {
    MEMBERS_MAX.min(ZONES_MAX.saturating_sub(configured))
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
