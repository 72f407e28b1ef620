//! Zones that a catalog lists: served beside those that are configured, and no part of the configuration.
//!
//! A zone that is configured here, or that would take a service's name away, is never taken from a catalog: whoever
//! fills it has no say in these.

use std::collections::BTreeSet;

use walrus_dns::DomainName;

use super::{Contents, ReplaceError};
use crate::director::{DirectorHandle, lock};
use crate::signing::Wanted;

impl DirectorHandle {
    /// These zones and no others are served beside the configured ones; new ones begin with this content, others keep
    /// what they have. Gives those that are taken.
    ///
    /// # Errors
    /// If they cannot be published. All is then as before.
    pub(crate) fn set_members(
        &self,
        members: Contents,
    ) -> Result<BTreeSet<DomainName>, ReplaceError> {
        let mut rebuilding = self.rebuilding();
        let before = lock(&self.inner().members).clone();
        let mut contents = lock(&self.inner().contents).clone();
        let mut wanted = rebuilding.wanted.clone();
        for gone in before.iter().filter(|apex| !members.contains_key(apex)) {
            contents.remove(gone);
            wanted.remove(gone);
        }
        let mut taken = BTreeSet::new();
        for (apex, content) in members {
            if before.contains(&apex) {
                taken.insert(apex);
            } else if wanted.bears(&apex) {
                wanted.place(&apex, content.as_ref());
                contents.insert(apex.clone(), content);
                taken.insert(apex);
            }
        }
        if taken != before {
            self.rebuild(&mut rebuilding, wanted, None, false)?;
            *lock(&self.inner().contents) = contents;
            lock(&self.inner().members).clone_from(&taken);
        }
        Ok(taken)
    }

    /// Adds to what a reload is to serve the zones of catalogs that go together with it; the others are members no longer.
    pub(crate) fn keep_members(
        &self,
        wanted: &Wanted,
        contents: &mut Contents,
    ) -> BTreeSet<DomainName> {
        let held = lock(&self.inner().contents).clone();
        let mut members = lock(&self.inner().members).clone();
        members.retain(|apex| !contents.contains_key(apex) && wanted.bears(apex));
        for apex in &members {
            contents.insert(apex.clone(), held.get(apex).cloned().flatten());
        }
        members
    }
}

impl Wanted {
    /// Whether a zone may stand beside those that are configured.
    fn bears(&self, apex: &DomainName) -> bool {
        let is_configured = self.apexes().any(|other| other == apex);
        let takes_away = |service: &DomainName| {
            if !service.is_within(apex) {
                return false;
            }
            let own = self.apexes().filter(|zone| service.is_within(zone));
            let own = own.max_by_key(|zone| zone.label_count());
            own.is_none_or(|own| !own.is_within(apex))
        };
        let mut services = self.topology.services.iter().map(|service| &service.name);
        !is_configured && !services.any(takes_away)
    }

    fn remove(&mut self, apex: &DomainName) {
        self.zones.retain(|zone| zone.apex() != apex);
        self.empty.remove(apex);
        self.unfit.remove(apex);
    }
}
