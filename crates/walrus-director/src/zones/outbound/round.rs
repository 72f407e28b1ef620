//! One round of those that follow zones: what changed gets new serials, all in one write and one table.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use walrus_core::answer::AnswerTable;
use walrus_core::config::{TransferredServices, ZoneTransfers};
use walrus_core::transfer::is_newer;
use walrus_core::world::Time;
use walrus_core::zone::{RecordSet, Zone, ZoneDifference};
use walrus_dns::{DomainName, record_type};
use walrus_host::log::chain;

use super::notify::{Heard, Notifier};
use super::serials::{Used, UsedSerials, digest_of};
use super::{Outbound, OutboundSettings, Snapshot};
use crate::director::{DirectorHandle, ReloadError, lock};

/// A zone has at most one new serial in this time.
const SERIAL_EVERY: Duration = Duration::from_secs(60);
/// After a failure everything stays as it is for so long: a disk that is full is not asked twice a second.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// Time between two complaints.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);
/// Differences that are kept of a zone,
const HISTORY_MAX: usize = 200;
/// and records in all of them.
const HISTORY_RECORDS_MAX: usize = 100_000;

/// What is remembered from round to round.
#[derive(Default)]
pub(super) struct Rounds {
    /// As they are on the disk; read when the first zone is looked at.
    used: Option<UsedSerials>,
    zones: BTreeMap<DomainName, Following>,
    notifier: Notifier,
    /// The table and the settings of the last look: while both are the same there is nothing new to see.
    seen: Option<(u64, Arc<OutboundSettings>)>,
    /// When a zone that waits may have its next serial, or what failed is tried again.
    look_at: Option<Time>,
    complained_at: Option<Time>,
}

/// What was last looked at, and found to be what is sent.
#[derive(Default)]
struct Following {
    base: Option<Arc<Zone>>,
    services: Vec<(DomainName, RecordSet)>,
    /// When its serial rose, the first one apart.
    changed_at: Option<Time>,
}

/// What is to be sent of a zone from now on.
struct Change {
    apex: DomainName,
    held: Option<Arc<Snapshot>>,
    zone: Arc<Zone>,
    used: Used,
    /// What it was made of.
    following: Following,
}

impl Rounds {
    fn is_due(&self, generation: u64, settings: &Arc<OutboundSettings>, now: Time) -> bool {
        let is_seen = self
            .seen
            .as_ref()
            .is_some_and(|(seen, held)| *seen == generation && Arc::ptr_eq(held, settings));
        !is_seen || self.look_at.is_some_and(|at| at <= now)
    }

    fn look_again(&mut self, at: Time) {
        self.look_at = Some(self.look_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Now and then.
    fn complain(&mut self, now: Time, text: std::fmt::Arguments<'_>) {
        if self.complained_at.is_none_or(|then| now.since(then) >= COMPLAIN_EVERY) {
            self.complained_at = Some(now);
            tracing::error!("no new serials, and secondaries keep what they have: {text}");
        }
    }
}

impl DirectorHandle {
    /// Looks whether zones have changed, if anything has, and tells those who wait for it.
    pub(super) fn follow(&self, rounds: &mut Rounds) {
        let outbound = &self.inner().outbound;
        let settings = outbound.settings.load_full();
        let generation = self.inner().current.load().generation;
        let now = outbound.clock.now();
        if rounds.is_due(generation, &settings, now) {
            rounds.zones.retain(|apex, _| settings.zones.contains_key(apex));
            // A round that settings overtook may have told of those that are no longer told.
            outbound.recipients.retain(&settings.zones);
            rounds.notifier.retain(|apex, target| {
                settings.zones.get(apex).is_some_and(|it| it.notify.contains(target))
            });
            rounds.look_at = None;
            let changes = self.changes(&settings, rounds, now);
            rounds.seen = Some((generation, settings));
            self.give_serials(changes, rounds, now);
        }
        if rounds.notifier.is_busy() {
            let unix_secs = outbound.unix_secs();
            let outcome =
                rounds.notifier.step((&outbound.keys.load(), self.addresses()), now, unix_secs);
            outbound.counts.notified.fetch_add(outcome.acknowledged.len() as u64, Relaxed);
            outbound.counts.unheard.fetch_add(outcome.given_up.len() as u64, Relaxed);
            for Heard { apex, address, serial } in outcome.acknowledged {
                outbound.recipients.acknowledged(&apex, address, serial);
            }
            for Heard { apex, address, .. } in outcome.given_up {
                outbound.recipients.unheard(&apex, address);
            }
        }
    }

    /// The zones that are other than what is sent, each with its next serial, which nobody has seen yet.
    fn changes(&self, settings: &OutboundSettings, rounds: &mut Rounds, now: Time) -> Vec<Change> {
        let outbound = &self.inner().outbound;
        let serving = self.inner().current.load();
        let table = &serving.table;
        // Nothing is answered here of a zone that is not there, so nobody else shall have it from here. One that is sent
        // no longer may be left by a round that other settings overtook.
        outbound.keep_snapshots(|apex| {
            settings.zones.contains_key(apex) && table.zones().zone(apex).is_some()
        });
        let snapshots = outbound.snapshots.load_full();
        rounds.zones.retain(|apex, _| table.zones().zone(apex).is_some());
        let mut wanted = BTreeMap::new();
        for (apex, transfers) in &settings.zones {
            // What is not sent yet, or was taken out meanwhile, waits for nothing.
            let following = rounds.zones.get(apex).filter(|_| snapshots.contains_key(apex));
            let risen_at = following.and_then(|it| it.changed_at);
            match risen_at.map(|then| then + SERIAL_EVERY).filter(|at| *at > now) {
                Some(at) => rounds.look_again(at),
                None => {
                    let with_services = transfers.services == TransferredServices::World;
                    wanted.insert(apex.clone(), with_services);
                }
            }
        }
        let services = table.transferred_services(&wanted);
        let changes = services.into_iter().filter_map(|(apex, mut services)| {
            let transfers = settings.zones.get(&apex)?;
            if transfers.services == TransferredServices::None {
                services.extend(self.hidden_hosts(&apex, settings));
            }
            self.change((&apex, transfers), table, services, rounds)
        });
        changes.collect()
    }

    /// Takes out what only services brought into a zone: the hosts that their records name.
    fn hidden_hosts(
        &self,
        apex: &DomainName,
        settings: &OutboundSettings,
    ) -> Vec<(DomainName, RecordSet)> {
        let families = [record_type::A, record_type::AAAA];
        let content = self.current_zone(apex);
        let is_added = |host: &DomainName| match &content {
            Some(content) => families.iter().all(|family| content.set(host, *family).is_none()),
            None => settings.added.contains(host),
        };
        let hosts = settings.hosts.iter().filter(|host| host.is_within(apex) && is_added(host));
        let none = |host: &DomainName| {
            families.map(|family| {
                (host.clone(), RecordSet { record_type: family, ..RecordSet::default() })
            })
        };
        hosts.flat_map(none).collect()
    }

    /// What one zone is now, if that is other than what is sent.
    fn change(
        &self,
        (apex, transfers): (&DomainName, &ZoneTransfers),
        table: &AnswerTable,
        services: Vec<(DomainName, RecordSet)>,
        rounds: &mut Rounds,
    ) -> Option<Change> {
        let outbound = &self.inner().outbound;
        let base = table.zones().zone(apex)?;
        let following = rounds.zones.entry(apex.clone()).or_default();
        let held = outbound.snapshots.load().get(apex).cloned();
        let is_same = following.base.as_ref().is_some_and(|held| Arc::ptr_eq(held, base));
        // Settings may have taken it out, and in again, since the last look.
        if is_same && following.services == services && held.is_some() {
            return None;
        }
        let rendered = match services.is_empty() {
            true => Arc::clone(base),
            // What the file says of its own digest is not so with services in it.
            false => Arc::new(base.with_sets(services.iter().cloned().chain([no_digest(apex)]))),
        };
        let Some(next) = next_content(held.as_deref(), &rendered) else {
            (following.base, following.services) = (Some(Arc::clone(base)), services);
            return None;
        };
        let directory = outbound.settings.load().state.clone();
        let used = rounds.used.get_or_insert_with(|| UsedSerials::load(directory.as_deref()));
        let used = choose_serial(held.as_deref(), &next, used.of(apex), transfers, outbound);
        let zone = match next.serial() == used.serial {
            true => next,
            false => Arc::new(next.with_serial(used.serial)),
        };
        let changed_at = held.as_ref().map(|_| outbound.clock.now());
        let following = Following { base: Some(Arc::clone(base)), services, changed_at };
        Some(Change { apex: apex.clone(), held, zone, used, following })
    }

    /// Puts serials on the disk, then into answers, then before those who transfer the zones: each for all of them at
    /// once. What fails leaves everything as it was, and is tried again.
    fn give_serials(&self, changes: Vec<Change>, rounds: &mut Rounds, now: Time) {
        if changes.is_empty() {
            return;
        }
        let outbound = &self.inner().outbound;
        let directory = outbound.settings.load().state.clone();
        let chosen = changes.iter().map(|it| (it.apex.clone(), it.used.clone()));
        let used = rounds.used.get_or_insert_with(UsedSerials::default);
        if let Err(error) = used.save(directory.as_deref(), chosen) {
            rounds.look_again(now + RETRY_AFTER);
            return rounds.complain(now, format_args!("they cannot be stored: {error}"));
        }
        let serials = changes.iter().map(|it| (it.apex.clone(), it.used.serial)).collect();
        if let Err(error) = self.answer_under(&serials) {
            rounds.look_again(now + RETRY_AFTER);
            return rounds.complain(now, format_args!("they cannot be answered: {error}"));
        }
        let mut kept = Vec::new();
        // All that took a while: they may be others by now.
        let settings = outbound.settings.load_full();
        for Change { apex, held, zone, used, following } in changes {
            let Some(transfers) = settings.zones.get(&apex) else { continue };
            let told = Told::of(held.as_deref(), &zone);
            tracing::info!(
                zone = %apex, serial = used.serial, records = told.records,
                "a new serial for those who transfer it"
            );
            rounds.notifier.tell(&zone, &transfers.notify, now);
            let targets = transfers.notify.iter().map(|target| target.address.ip());
            targets.for_each(|target| outbound.recipients.told(&apex, target));
            kept.push((apex.clone(), Arc::new(Snapshot { zone, history: told.history })));
            rounds.zones.insert(apex, following);
        }
        outbound.keep(&kept);
    }

    /// Answers queries under these serials from now on, for zones that are not signed and still go to others.
    fn answer_under(&self, serials: &BTreeMap<DomainName, u32>) -> Result<(), ReloadError> {
        let outbound = &self.inner().outbound;
        let mut rebuilding = self.rebuilding();
        let before = {
            let mut answered = lock(&outbound.serials);
            let before = answered.clone();
            // With the lock: whoever changes the settings takes serials out afterwards.
            let settings = outbound.settings.load();
            let wanted = serials.iter().filter(|(apex, _)| settings.zones.contains_key(*apex));
            answered.extend(wanted.map(|(apex, serial)| (apex.clone(), *serial)));
            if *answered == before {
                return Ok(());
            }
            before
        };
        let wanted = rebuilding.wanted.clone();
        let done = self.rebuild(&mut rebuilding, wanted, None, false);
        if done.is_err() {
            // Else the next try would take them for answered already.
            outbound.take_back(serials.keys(), &before);
        }
        done
    }

    /// Answers zones under the serials that are theirs now: those that nobody is sent any more under their own.
    pub(super) fn answer_under_own(&self) {
        let mut rebuilding = self.rebuilding();
        let wanted = rebuilding.wanted.clone();
        if let Err(error) = self.rebuild(&mut rebuilding, wanted, None, false) {
            tracing::warn!(
                error = chain(&error),
                "zones that go to nobody any more keep the serials that secondaries saw"
            );
        }
    }
}

/// Takes a zone's digest out of it (RFC 8976).
fn no_digest(apex: &DomainName) -> (DomainName, RecordSet) {
    (apex.clone(), RecordSet { record_type: record_type::ZONEMD, ..RecordSet::default() })
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
    let sent = held.map(|held| held.zone.serial());
    if let Some(used) = used
        && used.content == content
        // Chosen before, and then not answered.
        && sent.is_none_or(|sent| is_newer(used.serial, sent))
    {
        return used.clone();
    }
    // Whoever had the zone from its file, before Walrus gave it serials, is to follow, too; and none is used twice.
    let newest = |last: u32, serial: u32| if is_newer(serial, last) { serial } else { last };
    let used = used.map(|used| used.serial);
    let last = match (sent, used) {
        (Some(sent), used) => newest(sent, used.unwrap_or(sent)),
        (None, Some(used)) => newest(used, next.serial()),
        (None, None) => next.serial(),
    };
    Used { serial: transfers.serial.next(last, outbound.unix_secs()), content }
}

/// What leads to a zone from what was sent before.
struct Told {
    /// Oldest first.
    history: Vec<Arc<ZoneDifference>>,
    /// In the newest of them.
    records: Option<usize>,
}

impl Told {
    /// Within bounds. Only a zone that is signed elsewhere may come under a serial that is not newer: then no difference leads
    /// to it, for whoever has that serial holds itself to be up to date.
    fn of(held: Option<&Snapshot>, zone: &Arc<Zone>) -> Self {
        let Some(held) = held else { return Self { history: Vec::new(), records: None } };
        if !is_newer(zone.serial(), held.zone.serial()) {
            tracing::warn!(
                zone = %zone.apex(), serial = zone.serial(), before = held.zone.serial(),
                "it was signed elsewhere under a serial that is not newer, so secondaries keep what they have: raise the \
                 serial in its SOA record when it is signed"
            );
            return Self { history: Vec::new(), records: None };
        }
        let newest = Arc::new(held.zone.difference_to(zone));
        let records = newest.len();
        let mut history: VecDeque<_> = held.history.iter().cloned().collect();
        history.push_back(newest);
        let mut all: usize = history.iter().map(|it| it.len()).sum();
        while history.len() > HISTORY_MAX || all > HISTORY_RECORDS_MAX {
            let Some(oldest) = history.pop_front() else { break };
            all -= oldest.len();
        }
        Self { history: history.into(), records: Some(records) }
    }
}

impl Outbound {
    /// Takes back serials that were not answered: those of before hold, of zones that are still sent.
    fn take_back<'a>(
        &self,
        apexes: impl Iterator<Item = &'a DomainName>,
        before: &BTreeMap<DomainName, u32>,
    ) {
        let mut answered = lock(&self.serials);
        // With the lock, as when they were put there.
        let settings = self.settings.load();
        for apex in apexes {
            match before.get(apex).filter(|_| settings.zones.contains_key(apex)) {
                Some(serial) => answered.insert(apex.clone(), *serial),
                None => answered.remove(apex),
            };
        }
    }

    /// Sends these from now on, but for zones that go to nobody any more.
    fn keep(&self, new: &[(DomainName, Arc<Snapshot>)]) {
        self.snapshots.rcu(|held| {
            // Looked at anew where a reload came between.
            let settings = self.settings.load();
            let new = new.iter().filter(|(apex, _)| settings.zones.contains_key(apex));
            let mut snapshots = BTreeMap::clone(held);
            snapshots.extend(new.cloned());
            snapshots
        });
    }

    pub(super) fn keep_snapshots(&self, is_kept: impl Fn(&DomainName) -> bool) {
        if self.snapshots.load().keys().all(&is_kept) {
            return;
        }
        self.snapshots.rcu(|held| {
            let kept = held.iter().filter(|(apex, _)| is_kept(apex));
            kept.map(|(apex, snapshot)| (apex.clone(), Arc::clone(snapshot)))
                .collect::<BTreeMap<_, _>>()
        });
    }
}

#[cfg(test)]
#[path = "round_tests.rs"]
pub(super) mod tests;
