//! What a zone's task begins with: what is served of it, and since when nobody said that it is the newest.

use std::sync::Arc;
use std::time::Duration;

use walrus_core::transfer::{Held, SoaTimers};
use walrus_core::world::Time;
use walrus_core::zone::Zone;
use walrus_dns::record_type;

use super::run::Task;
use crate::director::lock;

/// A zone that is served when its task begins is asked for before it may expire.
const FIRST_ROUND: Duration = Duration::from_secs(60);

impl Task {
    /// The zone that came from a primary before, and how old it is. One that was kept with other signatures than
    /// are wanted now is served, and asked for as if it were not there.
    pub(super) async fn held(&self) -> Option<Held> {
        let (director, kept, apex) =
            (self.director.clone(), self.kept.clone(), self.zone.apex.clone());
        let catalog = self.catalog.clone();
        let look = move || {
            let content = match &catalog {
                Some((catalog, secondaries)) => {
                    secondaries.begin_catalogs();
                    catalog.content()
                }
                None => director.settled_zone(&apex),
            };
            (content, kept.confirmed(&apex))
        };
        let (zone, on_disk) = self.transfers.change(look).await?;
        let zone = zone?;
        let on_disk = on_disk.map(|(checked, keeps)| (Some(checked), keeps));
        let of_old_task = self.before.filter(|(checked, _)| checked.is_some());
        // What no primary ever sent is a file's, and is served until one sends something.
        let (checked, keeps) = of_old_task.or(on_disk)?;
        if keeps != self.zone.keeps_signatures {
            return None;
        }
        let unix = self.clock.unix_ms() / 1000;
        lock(&self.status).checked = checked;
        let timers = timers(&zone)?;
        // It is served, so nobody found it too old yet: a primary is asked before that is said.
        let most = timers.lifetime().saturating_sub(FIRST_ROUND);
        let age = Duration::from_secs(unix.saturating_sub(checked.unwrap_or(unix))).min(most);
        // Before the clock's start nothing can be: then it has so much less time to live.
        let since_start = self.clock.now().since(Time::ZERO);
        let (checked, timers) = match since_start.checked_sub(age) {
            Some(checked) => (Time::ZERO + checked, timers),
            None => {
                let expire = timers.lifetime().saturating_sub(age.saturating_sub(since_start));
                (Time::ZERO, SoaTimers { expire, ..timers })
            }
        };
        Some(Held { timers, checked })
    }

    /// What is here.
    pub(super) fn content(&self) -> Option<Arc<Zone>> {
        match &self.catalog {
            Some((catalog, _)) => catalog.content(),
            None => self.director.current_zone(&self.zone.apex),
        }
    }
}

pub(super) fn timers(zone: &Zone) -> Option<SoaTimers> {
    let soa = zone.set(zone.apex(), record_type::SOA)?;
    SoaTimers::read(soa.data().next()?)
}
