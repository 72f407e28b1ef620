//! Journals are opened at a start and a reload: what zones that take updates contain from then on, and what of it is
//! not served, since the configuration has names of its own there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use walrus_core::world::Topology;
use walrus_core::zone::{InTheWay, OwnNames, Zone, ZonesOwnNames};
use walrus_dns::DomainName;
use walrus_host::log::chain;

use super::MovingZone;
use super::journal::{Journal, JournalError, journal_path};
use super::updates::{Taking, UpdateSettings, UpdatedZone, Updates};

/// Of one zone so many sets that are not served are told.
const TOLD_MAX: usize = 20;

/// What is to be in the place of [`Updates`] if all else goes well.
pub(crate) struct Prepared {
    settings: UpdateSettings,
    /// What Walrus itself has in each zone.
    own: BTreeMap<DomainName, OwnNames>,
    /// Zones that were not open before.
    opened: BTreeMap<DomainName, Taking>,
    /// Zones that are open, that nobody has changed yet and that were loaded otherwise now.
    loaded_anew: Vec<Arc<Zone>>,
    /// What is served of zones that take updates.
    pub(crate) contents: BTreeMap<DomainName, Arc<Zone>>,
    /// Of those: what updates made, and hides a service or server.
    left_out: BTreeMap<DomainName, Vec<InTheWay>>,
    /// Zones of which nobody knows what they contain, for their journals cannot be read.
    pub(crate) unread: BTreeSet<DomainName>,
}

impl Updates {
    /// Opens the journals of zones that are new here. What they say counts; a zone that nobody has changed yet
    /// is as it was loaded. `zones` are all that are served.
    pub(crate) fn prepare(
        &self,
        settings: UpdateSettings,
        loaded: &[MovingZone],
        (zones, topology): (&[Arc<Zone>], &Topology),
    ) -> Prepared {
        let all = ZonesOwnNames::new(zones.iter().map(|zone| zone.apex()), topology);
        let own = |zone: &UpdatedZone| (zone.apex.clone(), all.of(&zone.apex).clone());
        let mut prepared = Prepared {
            own: settings.zones.iter().map(own).collect(),
            settings,
            opened: BTreeMap::new(),
            loaded_anew: Vec::new(),
            contents: BTreeMap::new(),
            left_out: BTreeMap::new(),
            unread: BTreeSet::new(),
        };
        for updated in prepared.settings.zones.clone() {
            let found = loaded.iter().find(|zone| zone.apex == updated.apex);
            self.prepare_one(&updated, found.and_then(|zone| zone.content.as_ref()), &mut prepared);
        }
        prepared
    }

    fn prepare_one(
        &self,
        UpdatedZone { apex, text, .. }: &UpdatedZone,
        found: Option<&Arc<Zone>>,
        prepared: &mut Prepared,
    ) {
        if prepared.settings.state == self.settings.state
            && let Some(Taking::Open(journal, zone)) = self.zones.get(apex)
            && !journal.is_replaced()
        {
            let is_other = |found: &&Arc<Zone>| {
                journal.is_as_loaded() && (*found != zone || journal.text() != text)
            };
            let anew = found.filter(is_other);
            prepared.loaded_anew.extend(anew.cloned());
            let zone = anew.unwrap_or(zone);
            return prepared.serve(apex, zone, journal.is_as_loaded());
        }
        let path = journal_path(&prepared.settings.state, apex);
        let taking = match Journal::open(&path, apex) {
            Ok(read) => open(&path, read, (apex, found, text)),
            Err(error) => {
                prepared.unread.insert(apex.clone());
                Err(error)
            }
        };
        let taking = opened_or_closed(apex, taking);
        if let Taking::Open(journal, zone) = &taking {
            prepared.serve(apex, zone, journal.is_as_loaded());
        }
        prepared.opened.insert(apex.clone(), taking);
    }

    /// Goes over to what was prepared, now that it is served.
    pub(crate) fn adopt(&mut self, prepared: Prepared) {
        let Prepared { settings, own, opened, loaded_anew, left_out, .. } = prepared;
        self.zones.extend(opened);
        for zone in loaded_anew {
            // Not sooner: the journal that is open must not be replaced by one that may not count.
            let (path, text) =
                (journal_path(&settings.state, zone.apex()), settings.text(zone.apex()));
            let taking = begin(&path, &zone, text);
            self.zones.insert(zone.apex().clone(), taking);
        }
        self.zones.retain(|apex, _| settings.zones.iter().any(|zone| zone.apex == *apex));
        (self.settings, self.own, self.left_out) = (settings, own, left_out);
    }

    /// Tries once more what a full disk has refused; `now` is seconds since 1970.
    pub(super) fn begin_again(&mut self, now: u64) {
        for (apex, taking) in &mut self.zones {
            let Taking::Unbegun { zone, tried_at, .. } = taking else { continue };
            if now.abs_diff(*tried_at) < BETWEEN_TRIES {
                continue;
            }
            let path = journal_path(&self.settings.state, apex);
            let begun = begin(&path, &zone.clone(), self.settings.text(apex));
            *taking = match begun {
                Taking::Unbegun { zone, why, .. } => Taking::Unbegun { zone, why, tried_at: now },
                begun => begun,
            };
        }
    }
}

/// Seconds between two tries to begin a journal.
const BETWEEN_TRIES: u64 = 5;

impl Prepared {
    /// What is served of a zone: of what updates made nothing that would hide what the configuration names.
    fn serve(&mut self, apex: &DomainName, zone: &Arc<Zone>, is_as_loaded: bool) {
        let own = self.own.get(apex).filter(|_| !is_as_loaded);
        let (served, left_out) = own.map_or_else(
            || (Arc::clone(zone), Vec::new()),
            |own| own.without_what_hides_them(zone),
        );
        for one in left_out.iter().take(TOLD_MAX) {
            tracing::error!(zone = %apex, "{one}");
        }
        self.contents.insert(apex.clone(), served);
        self.left_out.insert(apex.clone(), left_out);
    }
}

/// Without a journal that can be used the zone takes no updates.
fn opened_or_closed(apex: &DomainName, taking: Result<Taking, JournalError>) -> Taking {
    taking.unwrap_or_else(|error| {
        let why = chain(&error);
        tracing::error!(zone = %apex, error = why, "the zone takes no updates");
        Taking::Closed(why)
    })
}

/// A new journal; where the disk refuses, the zone is served all the same.
fn begin(path: &Path, zone: &Arc<Zone>, text: &[u8]) -> Taking {
    match Journal::begin(path, zone, text) {
        Ok(journal) => Taking::Open(Box::new(journal), Arc::clone(zone)),
        Err(error) => {
            let why = chain(&error);
            tracing::error!(zone = %zone.apex(), error = why, "the zone takes no updates until the disk does");
            Taking::Unbegun { zone: Arc::clone(zone), why, tried_at: 0 }
        }
    }
}

/// What a journal says, if anybody has changed the zone; else what was loaded, with which it begins.
fn open(
    path: &Path,
    read: Option<(Journal, Zone)>,
    (apex, loaded, text): (&DomainName, Option<&Arc<Zone>>, &[u8]),
) -> Result<Taking, JournalError> {
    if let Some((journal, zone)) = read {
        if !journal.is_as_loaded() {
            tracing::info!(
                zone = %apex,
                serial = zone.serial(),
                journal = %path.display(),
                "the zone has been updated, and is as its journal says: its file counts no longer"
            );
            return Ok(Taking::Open(Box::new(journal), Arc::new(zone)));
        }
        let Some(loaded) = loaded else {
            return Ok(Taking::Open(Box::new(journal), Arc::new(zone)));
        };
        if zone == **loaded && journal.text() == text {
            return Ok(Taking::Open(Box::new(journal), Arc::clone(loaded)));
        }
    }
    let Some(loaded) = loaded else {
        return Ok(Taking::Closed("its file was not read: reload".to_owned()));
    };
    tracing::info!(
        zone = %apex,
        journal = %path.display(),
        "the zone takes updates: from the first one on its journal counts, and its file no longer"
    );
    Ok(begin(path, loaded, text))
}
