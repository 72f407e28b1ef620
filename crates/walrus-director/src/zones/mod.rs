//! Zones whose content moves by itself, not by a reload: it comes from another primary, or by UPDATE.
//!
//! [`DirectorHandle::replace_zone`] and [`DirectorHandle::current_zone`] are all that whoever moves
//! them needs. What came is kept as it came, beside what is served of it, which `fitted` makes: a
//! reload of the configuration changes the latter alone.

mod fitted;
mod hand_off;
mod hand_off_places;
mod journal;
mod journal_look;
mod keeper;
mod late_replies;
mod members;
mod notify_in;
mod outbound;
mod secondary;
mod update_counts;
mod update_repeats;
mod update_reply;
mod updates;
mod updates_prepared;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use walrus_core::zone::{ServiceUnfit, Zone};
use walrus_dns::DomainName;

use crate::director::{DirectorHandle, ReloadError, lock};
use crate::signing::{Rebuilding, SignError, Wanted};
pub(crate) use fitted::UnfitServices;
#[cfg(test)]
pub(crate) use hand_off::Event;
pub(crate) use hand_off::{Back, Caller, HandOff, HandedOver, Mailboxes};
pub use journal::journal_path;
pub use journal_look::JournalLook;
pub(crate) use keeper::Keeper;
pub(crate) use late_replies::LateReplies;
pub(crate) use outbound::{Followers, Incoming as OutboundRequest, Outbound};
pub use outbound::{
    Notice, OutboundCount, OutboundSettings, OutboundStatus, Recipient, used_serials,
};
pub(crate) use secondary::NoticeWays;
pub use secondary::{
    KeptZone, KeptZoneError, KeptZones, MemberOf, Primary, Secondaries, SecondaryCounts,
    SecondaryStatus, SecondaryZone,
};
pub use update_counts::UpdateCount;
pub(crate) use update_counts::UpdateCounts;
pub(crate) use update_reply::refuse_unsigned;
pub(crate) use updates::Updates;
pub use updates::{UpdateSettings, UpdateStatus, UpdatedZone};
pub(crate) use updates_prepared::Prepared;

/// A zone whose content moves by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovingZone {
    /// Which.
    pub apex: DomainName,
    /// What is served until other content comes, without the hosts of services; `None`: until content
    /// comes there is no answer. The zone of this name among those that were loaded is only its place.
    pub content: Option<Arc<Zone>>,
}

/// So often zones that came together are compiled to find those that cannot be served: seven of a thousand. Others beside
/// these come again later.
const TRIES_MAX: usize = 128;

/// The zones that move, as they came; `None` is one without content.
pub(crate) type Contents = BTreeMap<DomainName, Option<Arc<Zone>>>;

/// Why other content is not served. What was served before goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplaceError {
    /// It is none of the zones that move.
    #[error("the zone {0} is none that comes from elsewhere")]
    NotMoving(DomainName),
    /// It came for settings that hold no longer.
    #[error("the zone {0} comes from elsewhere by now")]
    Late(DomainName),
    /// A service would no longer fit it.
    #[error("{0}")]
    Unfit(Box<ServiceUnfit>),
    /// It cannot be signed. It is tried again, as for every zone.
    #[error("the zone {zone} came and is not served, since it cannot be signed")]
    Signing {
        /// Which.
        zone: DomainName,
        /// Why.
        source: SignError,
    },
    /// It cannot be published.
    #[error("the zone does not go together with the services")]
    Publish(#[from] ReloadError),
}

impl DirectorHandle {
    /// Serves other content of a zone that moves, signed if Walrus has its keys. It is signed and
    /// compiled on the calling thread, one zone at a time, and served when this returns.
    ///
    /// # Errors
    /// If a service does not fit the content that fitted before, or it cannot be signed.
    pub fn replace_zone(&self, zone: Arc<Zone>) -> Result<(), ReplaceError> {
        let mut rebuilding = self.rebuilding();
        let apex = zone.apex().clone();
        self.move_zones(&mut rebuilding, &[(apex.clone(), Some(zone))], true)?;
        is_signed(&rebuilding, &apex)
    }

    /// The same for content that nobody here can refuse: services that do not fit it are. Each only if that is still wanted
    /// when its turn has come: whoever brings it may have been waiting. All are compiled together, also those that have no
    /// content any more.
    pub(crate) fn move_zones_while<W: Fn() -> bool>(
        &self,
        zones: &[(DomainName, Option<Arc<Zone>>, W)],
    ) -> Vec<Result<(), ReplaceError>> {
        let mut rebuilding = self.rebuilding();
        let _timed = Timed::new(&self.inner().moving_nanos);
        let (mut outcomes, mut places, mut new) = (Vec::new(), Vec::new(), Vec::new());
        for (place, (apex, content, is_wanted)) in zones.iter().enumerate() {
            let is_moving = lock(&self.inner().contents).contains_key(apex);
            outcomes.push(match (is_wanted(), is_moving) {
                (false, _) => Err(ReplaceError::Late(apex.clone())),
                (true, false) => Err(ReplaceError::NotMoving(apex.clone())),
                (true, true) => {
                    places.push(place);
                    new.push((apex.clone(), content.clone()));
                    Ok(())
                }
            });
        }
        let mut tries_left = TRIES_MAX;
        let moved = self.move_in_parts(&mut rebuilding, &new, &mut tries_left);
        for ((place, (apex, content)), moved) in places.into_iter().zip(&new).zip(moved) {
            let has_content = content.is_some();
            outcomes[place] = match moved {
                Ok(()) if has_content => is_signed(&rebuilding, apex),
                moved => moved,
            };
        }
        outcomes
    }

    /// What changes have taken since the start that primaries made, without what they waited for.
    pub(crate) fn moving_time(&self) -> Duration {
        Duration::from_nanos(self.inner().moving_nanos.load(Ordering::Relaxed))
    }

    /// All together; where that fails, in halves, so that each has its own reason, and one costs the others nothing.
    fn move_in_parts(
        &self,
        rebuilding: &mut Rebuilding,
        contents: &[(DomainName, Option<Arc<Zone>>)],
        tries_left: &mut usize,
    ) -> Vec<Result<(), ReplaceError>> {
        if contents.is_empty() {
            return Vec::new();
        }
        *tries_left = tries_left.saturating_sub(1);
        match self.move_zones(rebuilding, contents, false) {
            Ok(()) => vec![Ok(()); contents.len()],
            Err(error) if contents.len() == 1 || *tries_left == 0 => {
                vec![Err(error); contents.len()]
            }
            Err(_) => {
                let (first, second) = contents.split_at(contents.len() / 2);
                let mut outcomes = self.move_in_parts(rebuilding, first, tries_left);
                outcomes.extend(self.move_in_parts(rebuilding, second, tries_left));
                outcomes
            }
        }
    }

    /// The content of a zone that moves once whoever changes it now is done. May wait for long.
    pub(crate) fn settled_zone(&self, apex: &DomainName) -> Option<Arc<Zone>> {
        let _rebuilding = self.rebuilding();
        self.current_zone(apex)
    }

    /// Serves a zone that moves no longer: what it had is too old. Whoever asks is told so.
    ///
    /// # Errors
    /// If it is none of these.
    pub fn empty_zone(&self, apex: &DomainName) -> Result<(), ReplaceError> {
        let mut rebuilding = self.rebuilding();
        self.move_zones(&mut rebuilding, &[(apex.clone(), None)], false)
    }

    /// The content of a zone that moves, as it came last; `None` without any.
    #[must_use]
    pub fn current_zone(&self, apex: &DomainName) -> Option<Arc<Zone>> {
        lock(&self.inner().contents).get(apex).cloned().flatten()
    }

    /// Other contents of zones that move, all or none.
    fn move_zones(
        &self,
        rebuilding: &mut Rebuilding,
        contents: &[(DomainName, Option<Arc<Zone>>)],
        must_fit: bool,
    ) -> Result<(), ReplaceError> {
        let mut wanted = rebuilding.wanted.clone();
        {
            let moving = lock(&self.inner().contents);
            if let Some((apex, _)) = contents.iter().find(|(apex, _)| !moving.contains_key(apex)) {
                return Err(ReplaceError::NotMoving(apex.clone()));
            }
        }
        wanted.place(contents.iter().map(|(apex, content)| (apex, content.as_ref())));
        if must_fit && let Some(unfit) = wanted.newly_unfit(&rebuilding.wanted) {
            return Err(ReplaceError::Unfit(Box::new(unfit.clone())));
        }
        wanted.tell_unfit(Some(&rebuilding.wanted));
        self.rebuild(rebuilding, wanted, None, false)?;
        for (apex, content) in contents {
            let kept = lock(&self.inner().contents).insert(apex.clone(), content.clone());
            // Large ones take a while to be freed.
            drop(kept);
        }
        Ok(())
    }

    /// What zones that move have after a reload: what they had, and for new ones what was loaded. One that has been
    /// served so far and is to come from elsewhere now goes on until it comes.
    pub(crate) fn contents_with(&self, moving: &[MovingZone], before: &Wanted) -> Contents {
        let served: BTreeMap<&DomainName, &Arc<Zone>> =
            before.zones.iter().map(|zone| (zone.apex(), zone)).collect();
        let held = lock(&self.inner().contents).clone();
        first_contents(moving)
            .into_iter()
            .map(|(apex, loaded)| {
                let content = held.get(&apex).cloned().flatten().or(loaded);
                let content = content.or_else(|| served.get(&apex).copied().cloned());
                (apex, content)
            })
            .collect()
    }
}

/// Adds what something takes, in nanoseconds.
struct Timed<'a> {
    begun: Instant,
    nanos: &'a AtomicU64,
}

impl<'a> Timed<'a> {
    fn new(nanos: &'a AtomicU64) -> Self {
        Self { begun: Instant::now(), nanos }
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        // Hundreds of years.
        self.nanos.fetch_add(self.begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }
}

/// Whether a zone that came is served as it is to be.
fn is_signed(rebuilding: &Rebuilding, apex: &DomainName) -> Result<(), ReplaceError> {
    match rebuilding.zones.errors.get(apex) {
        Some(source) => Err(ReplaceError::Signing { zone: apex.clone(), source: *source }),
        None => Ok(()),
    }
}

/// What zones that move begin with.
pub(crate) fn first_contents(moving: &[MovingZone]) -> Contents {
    moving.iter().map(|zone| (zone.apex.clone(), zone.content.clone())).collect()
}

/// What zones that take updates have is what their journals say. Of one that cannot be read it is what is held: what was
/// loaded may be years old, so that SERVFAIL is better, at which clients ask the zone's other name servers.
pub(crate) fn put_updated(contents: &mut Contents, prepared: &Prepared, held: &Contents) {
    for apex in &prepared.unread {
        if let Some(content) = contents.get_mut(apex) {
            *content = held.get(apex).cloned().flatten();
        }
    }
    for (apex, zone) in &prepared.contents {
        if let Some(content) = contents.get_mut(apex) {
            *content = Some(Arc::clone(zone));
        }
    }
}

impl Wanted {
    /// With zones under the serials that others know them by, all others under their own; signed ones keep theirs.
    pub(crate) fn with_serials(mut self, serials: &BTreeMap<DomainName, u32>) -> Self {
        for zone in &mut self.zones {
            let apex = zone.apex();
            if zone.is_signed() || self.signing.contains_key(apex) {
                continue;
            }
            let serial = match serials.get(apex) {
                Some(serial) if *serial != zone.serial() => {
                    self.own_serials.entry(apex.clone()).or_insert_with(|| zone.serial());
                    *serial
                }
                Some(_) => continue,
                None => match self.own_serials.remove(apex) {
                    Some(own) => own,
                    None => continue,
                },
            };
            *zone = Arc::new(zone.with_serial(serial));
        }
        self
    }

    /// With the contents of zones that move in the places of what was loaded.
    pub(crate) fn with_contents(mut self, contents: &Contents) -> Self {
        self.place(contents.iter().map(|(apex, content)| (apex, content.as_ref())));
        self
    }

    /// Puts zones' contents where they are served from; of several for one zone the last.
    fn place<'a>(
        &mut self,
        contents: impl IntoIterator<Item = (&'a DomainName, Option<&'a Arc<Zone>>)>,
    ) {
        let contents: BTreeMap<&DomainName, Option<&Arc<Zone>>> = contents.into_iter().collect();
        let mut placed: BTreeMap<&DomainName, Option<Arc<Zone>>> = BTreeMap::new();
        for (apex, content) in contents {
            self.unfit.remove(apex);
            self.own_serials.remove(apex);
            let Some(content) = content else {
                self.empty.insert(apex.clone());
                placed.insert(apex, None);
                continue;
            };
            let (fitted, unfit) = self.fitted(content);
            if !unfit.is_empty() {
                self.unfit.insert(apex.clone(), unfit);
            }
            self.empty.remove(apex);
            placed.insert(apex, Some(fitted));
        }
        self.zones.retain_mut(|zone| match placed.remove(zone.apex()) {
            None => true,
            Some(None) => false,
            Some(Some(fitted)) => {
                *zone = fitted;
                true
            }
        });
        self.zones.extend(placed.into_values().flatten());
    }
}
