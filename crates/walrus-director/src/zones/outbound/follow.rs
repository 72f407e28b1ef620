//! The thread that follows what zones become, and gives them serials.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{io, mem};

use walrus_core::config::{TransferredServices, ZoneTransfers};
use walrus_core::transfer::is_newer;
use walrus_core::world::Time;
use walrus_core::zone::{RecordSet, Zone, ZoneDifference};
use walrus_dns::{DomainName, record_type};

use super::notify::Notifier;
use super::serials::{Used, UsedSerials, digest_of};
use super::{Outbound, Snapshot};
use crate::director::{DirectorHandle, Inner, lock};
use crate::signing::give_way;

/// How often it looks although nobody called it.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A zone has at most one new serial in this time.
const SERIAL_EVERY: Duration = Duration::from_secs(60);
/// Time between two complaints about one disk.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);
/// Differences that are kept of a zone,
const HISTORY_MAX: usize = 200;
/// and records in all of them.
const HISTORY_RECORDS_MAX: usize = 100_000;

/// The thread, and how to reach it.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    is_called: Mutex<bool>,
    called: Condvar,
}

impl Followers {
    /// Starts the thread. It ends when the Director is gone.
    ///
    /// # Errors
    /// If there are no more threads.
    pub(crate) fn start(&self, director: &Arc<Inner>) -> io::Result<()> {
        let (shared, director) = (Arc::clone(&self.shared), Arc::downgrade(director));
        let run = move || {
            give_way();
            run(&shared, &director);
        };
        let thread = thread::Builder::new().name("transfers-out".to_owned()).spawn(run)?;
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    /// There is something to look at.
    pub(crate) fn call(&self) {
        *lock(&self.shared.is_called) = true;
        self.shared.called.notify_all();
    }

    /// Ends the thread and waits for it, unless that is what calls.
    pub(crate) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.call();
        let thread = mem::take(&mut *lock(&self.thread));
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            // A panic has been told by the thread itself.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, director: &Weak<Inner>) {
    let mut state = State::default();
    while !shared.stop.load(Ordering::Relaxed) {
        let called = lock(&shared.is_called);
        let waited = shared.called.wait_timeout_while(called, LOOK_EVERY, |called| !*called);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
        let Some(director) = director.upgrade().map(DirectorHandle::of) else { return };
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        director.follow(&mut state);
    }
}

/// What the thread remembers.
#[derive(Default)]
struct State {
    /// As they are on the disk; read when the first zone is looked at.
    used: Option<UsedSerials>,
    zones: BTreeMap<DomainName, Following>,
    notifier: Notifier,
    complained_at: Option<Time>,
}

/// What was last looked at, and found to be what is sent.
#[derive(Default)]
struct Following {
    base: Option<Arc<Zone>>,
    services: Vec<(DomainName, RecordSet)>,
    transfers: ZoneTransfers,
    /// When its serial rose, the first one apart.
    changed_at: Option<Time>,
}

impl Following {
    fn is_same(
        &self,
        base: &Arc<Zone>,
        services: &[(DomainName, RecordSet)],
        transfers: &ZoneTransfers,
    ) -> bool {
        self.base.as_ref().is_some_and(|held| Arc::ptr_eq(held, base))
            && self.services == services
            && self.transfers.services == transfers.services
    }
}

/// Takes a zone's digest out of it (RFC 8976).
fn no_digest(apex: &DomainName) -> (DomainName, RecordSet) {
    (apex.clone(), RecordSet { record_type: record_type::ZONEMD, ..RecordSet::default() })
}

/// Now and then.
fn complain_of_disk(last: &mut Option<Time>, apex: &DomainName, error: &io::Error, now: Time) {
    if last.is_none_or(|then| now.since(then) >= COMPLAIN_EVERY) {
        *last = Some(now);
        tracing::error!(
            zone = %apex, %error,
            "no new serial, since it cannot be stored: secondaries keep what they have"
        );
    }
}

impl DirectorHandle {
    fn follow(&self, state: &mut State) {
        let outbound = &self.inner().outbound;
        let settings = outbound.settings.load_full();
        state.zones.retain(|apex, _| settings.zones.contains_key(apex));
        state.notifier.retain(|apex, target| {
            settings.zones.get(apex).is_some_and(|it| it.notify.contains(target))
        });
        for (apex, transfers) in &settings.zones {
            self.follow_zone(apex, transfers, state);
        }
        if state.notifier.is_busy() {
            let (now, unix_secs) = (outbound.clock.now(), outbound.unix_secs());
            let outcome = state.notifier.step(&outbound.keys.load(), now, unix_secs);
            outbound.counts.notified.fetch_add(outcome.acknowledged, Relaxed);
            outbound.counts.unheard.fetch_add(outcome.given_up, Relaxed);
        }
    }

    fn follow_zone(&self, apex: &DomainName, transfers: &ZoneTransfers, state: &mut State) {
        let outbound = &self.inner().outbound;
        let now = outbound.clock.now();
        let with_services = transfers.services == TransferredServices::World;
        let (base, services) = {
            let serving = self.inner().current.load();
            let table = &serving.table;
            let base = table.zones().zone(apex).cloned();
            (base, table.transferred_services(apex, with_services))
        };
        let Some(base) = base else {
            // Nothing is answered of it here, so nobody else shall have it from here.
            outbound.drop_snapshot(apex);
            state.zones.remove(apex);
            return;
        };
        let Some(services) = services else { return };
        let following = state.zones.entry(apex.clone()).or_default();
        if following.is_same(&base, &services, transfers) {
            return;
        }
        let rendered = match services.is_empty() {
            true => Arc::clone(&base),
            // What the file says of its own digest is not so with services in it.
            false => Arc::new(base.with_sets(services.iter().cloned().chain([no_digest(apex)]))),
        };
        let seen = |changed_at| Following {
            base: Some(Arc::clone(&base)),
            services: services.clone(),
            transfers: transfers.clone(),
            changed_at,
        };
        let held = outbound.snapshots.load().get(apex).cloned();
        let Some(next) = next_content(held.as_deref(), &rendered) else {
            *following = seen(following.changed_at);
            return;
        };
        let is_soon = following.changed_at.is_some_and(|then| now.since(then) < SERIAL_EVERY);
        if held.is_some() && is_soon {
            return;
        }
        let changed_at = held.as_ref().map(|_| now);
        let directory = settings_state(outbound);
        let used = state.used.get_or_insert_with(|| UsedSerials::load(directory.as_deref()));
        let chosen = choose_serial(held.as_deref(), &next, used.of(apex), transfers, outbound);
        if used.of(apex) != Some(&chosen)
            && let Err(error) = used.save(directory.as_deref(), apex, chosen.clone())
        {
            return complain_of_disk(&mut state.complained_at, apex, &error, now);
        }
        let zone = match next.serial() == chosen.serial {
            true => next,
            false => Arc::new(next.with_serial(chosen.serial)),
        };
        if let Err(error) = self.answer_under(apex, chosen.serial) {
            tracing::error!(zone = %apex, "its new serial is not answered: {error}");
            return;
        }
        let differs = held.as_ref().map(|held| Arc::new(held.zone.difference_to(&zone)));
        tracing::info!(
            zone = %apex, serial = chosen.serial, records = differs.as_ref().map(|it| it.len()),
            "a new serial for those who transfer it"
        );
        let history = history(held.as_deref(), differs);
        outbound.keep(apex, Snapshot { zone: Arc::clone(&zone), history });
        state.notifier.tell(&zone, &transfers.notify, now);
        *following = seen(changed_at);
    }

    /// Answers queries for a zone under this serial from now on, if it is not signed.
    fn answer_under(
        &self,
        apex: &DomainName,
        serial: u32,
    ) -> Result<(), crate::director::ReloadError> {
        let mut rebuilding = self.rebuilding();
        let before = lock(&self.inner().outbound.serials).insert(apex.clone(), serial);
        if before == Some(serial) {
            return Ok(());
        }
        let wanted = rebuilding.wanted.clone();
        self.rebuild(&mut rebuilding, wanted, None, false)
    }
}

fn settings_state(outbound: &Outbound) -> Option<std::path::PathBuf> {
    outbound.settings.load().state.clone()
}

/// What is to be sent, if it is other than what is held, whatever its serial. A zone that comes signed is taken as it is.
fn next_content(held: Option<&Snapshot>, rendered: &Arc<Zone>) -> Option<Arc<Zone>> {
    let Some(held) = held else { return Some(Arc::clone(rendered)) };
    if rendered.is_signed() {
        let is_same = held.zone.difference_to(rendered).is_empty();
        return (!is_same).then(|| Arc::clone(rendered));
    }
    let serial = held.zone.serial();
    let stamped = match rendered.serial() == serial {
        true => Arc::clone(rendered),
        false => Arc::new(rendered.with_serial(serial)),
    };
    (!held.zone.difference_to(&stamped).is_empty()).then_some(stamped)
}

fn choose_serial(
    held: Option<&Snapshot>,
    next: &Zone,
    used: Option<&Used>,
    transfers: &ZoneTransfers,
    outbound: &Outbound,
) -> Used {
    let content = digest_of(next);
    if next.is_signed() {
        return Used { serial: next.serial(), content };
    }
    if let Some(used) = used
        && held.is_none()
        && used.content == content
    {
        return used.clone();
    }
    // Whoever had the zone from its file, before Walrus gave it serials, is to follow, too.
    let own = next.serial();
    let last = match (held.map(|held| held.zone.serial()), used.map(|used| used.serial)) {
        (Some(serial), _) | (None, Some(serial)) => serial,
        (None, None) => own,
    };
    let last = if held.is_none() && is_newer(own, last) { own } else { last };
    Used { serial: transfers.serial.next(last, outbound.unix_secs()), content }
}

/// The differences of before and this one, within bounds.
fn history(
    held: Option<&Snapshot>,
    newest: Option<Arc<ZoneDifference>>,
) -> Vec<Arc<ZoneDifference>> {
    let mut history: VecDeque<_> = held.into_iter().flat_map(|it| it.history.clone()).collect();
    history.extend(newest);
    let mut records: usize = history.iter().map(|it| it.len()).sum();
    while history.len() > HISTORY_MAX || records > HISTORY_RECORDS_MAX {
        let Some(oldest) = history.pop_front() else { break };
        records -= oldest.len();
    }
    history.into()
}

impl Outbound {
    fn keep(&self, apex: &DomainName, snapshot: Snapshot) {
        let mut snapshots = BTreeMap::clone(&self.snapshots.load());
        snapshots.insert(apex.clone(), Arc::new(snapshot));
        self.snapshots.store(Arc::new(snapshots));
    }

    fn drop_snapshot(&self, apex: &DomainName) {
        if self.snapshots.load().contains_key(apex) {
            let mut snapshots = BTreeMap::clone(&self.snapshots.load());
            snapshots.remove(apex);
            self.snapshots.store(Arc::new(snapshots));
        }
    }
}
