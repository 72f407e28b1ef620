//! Zones that a catalog lists: served beside those that are configured, and no part of the configuration.
//!
//! A zone that is configured here, or that would take the name of a service, or of a server that services' records name, away
//! from its zone, is never taken from a catalog: whoever fills it has no say in these. So nothing of the configuration lies
//! in one that is taken: it is served as it comes, and no other zone is served otherwise because of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use walrus_core::zone::Zone;
use walrus_dns::DomainName;
use walrus_host::log::chain;

use super::{Contents, ReplaceError, TRIES_MAX};
use crate::director::{DirectorHandle, lock};
use crate::signing::{Rebuilding, Wanted};

/// Zones of all catalogs together, so that a table has room for them and for those that are configured.
const MEMBERS_MAX: usize = 50_000;

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
        let before = lock(&self.inner().members).clone();
        let taken = rebuilding.wanted.taken(&members, &before);
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

    /// Adds to what a reload is to serve the zones of catalogs that go together with it; the others are members no longer.
    pub(crate) fn keep_members(
        &self,
        wanted: &Wanted,
        contents: &mut Contents,
    ) -> BTreeSet<DomainName> {
        let held = lock(&self.inner().contents).clone();
        let mut members = lock(&self.inner().members).clone();
        members.retain(|apex| !contents.contains_key(apex) && wanted.own.bears(apex));
        for apex in &members {
            contents.insert(apex.clone(), held.get(apex).cloned().flatten());
        }
        members
    }
}

impl Wanted {
    /// Those of a list that may stand beside what is configured; if they are too many, first those that were there before.
    fn taken(&self, members: &Contents, before: &BTreeSet<DomainName>) -> BTreeSet<DomainName> {
        let (held, new): (Vec<_>, Vec<_>) = members
            .keys()
            .filter(|apex| self.own.bears(apex))
            .partition(|apex| before.contains(*apex));
        held.into_iter().chain(new).take(MEMBERS_MAX).cloned().collect()
    }

    fn without(mut self, gone: &BTreeSet<DomainName>) -> Self {
        self.zones.retain(|zone| !gone.contains(zone.apex()));
        self.empty.retain(|apex| !gone.contains(apex));
        self.unfit.retain(|apex, _| !gone.contains(apex));
        self
    }
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
