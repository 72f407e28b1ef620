//! One zone's task: it waits until something is due or told, asks, and serves what came.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::spawn_blocking;
use walrus_core::transfer::{
    Asked, Attempt, Held, Refresh, SoaTimers, Transfer, TransferError, TransferLimits,
};
use walrus_core::world::Time;
use walrus_core::zone::Zone;
use walrus_dns::record_type;
use walrus_host::clock::Clock;
use walrus_host::log::{Limited, chain};
use walrus_host::shutdown::Shutdown;

use super::arrivals::Arrivals;
use super::catalogs::{self, Catalog};
use super::exchange::{self, Failure, Peer, Wish};
use super::memory::MemoryPart;
use super::notices::{Notice, Notices};
use super::{KeptZones, Secondaries, SecondaryStatus, SecondaryZone, Transfers};
use crate::director::{DirectorHandle, lock};
use crate::tsig::SharedKey;
use crate::zones::ReplaceError;

/// Of one zone's failures a line is written in so long.
const LINE_EVERY: Duration = Duration::from_secs(60);
/// That a zone is still the newest is written down no more often than this.
const CHECKED_EVERY_SECS: u64 = 30;
/// The zone itself, which may be large, no more often than this: what a restart finds older is asked for at once.
const WRITTEN_EVERY_SECS: u64 = 60;
/// Lines about what is hardly meant in a zone that came; the rest is counted.
const WARNINGS_MAX: usize = 5;

/// A zone that is served when its task begins is asked for before it may expire.
const FIRST_ROUND: Duration = Duration::from_secs(60);

/// What a zone's task works with.
pub(super) struct Task {
    pub(super) director: DirectorHandle,
    pub(super) kept: KeptZones,
    pub(super) clock: Clock,
    pub(super) seed: u64,
    pub(super) transfers: Arc<Transfers>,
    pub(super) arrivals: Arc<Arrivals>,
    pub(super) zone: SecondaryZone,
    pub(super) status: Arc<Mutex<SecondaryStatus>>,
    pub(super) end: Shutdown,
    /// What an earlier task knew of the zone: when it was confirmed, and whether what is signed in it was
    /// kept.
    pub(super) before: Option<(Option<u64>, bool)>,
    /// If it is a catalog: what it says, and who serves the zones that it lists.
    pub(super) catalog: Option<(Arc<Catalog>, Secondaries)>,
}

/// What a primary said.
enum Asking {
    /// Something to be served.
    Came(Transfer),
    Ended(Outcome),
}

/// What is on the disk; times in seconds since 1970.
struct Stored {
    /// The zone that is served is not there yet.
    is_unwritten: bool,
    /// When the zone was written last.
    written: u64,
    /// When it was written last that it is the newest.
    checked: u64,
}

impl Stored {
    /// Whether the zone is to be written now.
    const fn is_due(&self, unix: u64) -> bool {
        self.is_unwritten && unix.saturating_sub(self.written) >= WRITTEN_EVERY_SECS
    }
}

/// Lines that are not written each time.
struct Lines {
    failures: Limited,
    warnings: Limited,
}

/// What came of asking.
enum Outcome {
    Serial(u32),
    Unchanged,
    /// A zone is served.
    Arrived {
        timers: SoaTimers,
        is_whole: bool,
        problem: Option<String>,
    },
    /// A difference does not fit, or there is none: the whole zone is to be asked for.
    DoesNotFit(String),
    Failed(String),
}

impl Task {
    pub(super) async fn run(self, notices: Arc<Notices>) {
        let mut stored = Stored { is_unwritten: true, written: 0, checked: 0 };
        self.keep_up(&notices, &mut stored).await;
        if stored.is_unwritten && stored.written > 0 {
            // It waited for its minute.
            stored.written = 0;
            self.store(&mut stored).await;
        }
    }

    /// Until the end.
    async fn keep_up(&self, notices: &Notices, stored: &mut Stored) {
        let held = self.held().await;
        let now = self.clock.now();
        let mut refresh = Refresh::new(self.zone.primaries.len(), held, now, self.seed);
        let [failures, warnings] = [LINE_EVERY; 2].map(Limited::new);
        let lines = Lines { failures, warnings };
        loop {
            self.show(&refresh);
            let due = refresh.due().unwrap_or(now);
            let wake = refresh.expires().map_or(due, |expires| expires.min(due));
            let wake = self.writes(&refresh, stored).map_or(wake, |writes| writes.min(wake));
            let notice = tokio::select! {
                () = self.end.requested() => return,
                notice = notices.next() => Some(notice),
                awake = self.clock.sleep_until(wake) => {
                    drop(awake);
                    None
                }
            };
            let now = self.clock.now();
            if let Some(Notice { primary, serial, count }) = notice {
                lock(&self.status).counts.notifies += count;
                refresh.notified(primary, serial, now);
            }
            self.expire(&mut refresh).await;
            if refresh.held().is_some() && stored.is_due(self.clock.unix_ms() / 1000) {
                self.store(stored).await;
            }
            let mut next = refresh.next(now);
            while let Some(attempt) = next {
                self.show(&refresh);
                let Some(asked) = self.ask_meanwhile(&mut refresh, attempt).await else { return };
                let outcome = match asked {
                    Asking::Came(transfer) => tokio::select! {
                        () = self.end.requested() => return,
                        outcome = self.serve(transfer, &lines) => outcome,
                    },
                    Asking::Ended(outcome) => outcome,
                };
                self.take(&mut refresh, (attempt, outcome), (&lines, stored)).await;
                next = refresh.attempt();
            }
        }
    }

    /// Asks; should the zone expire meanwhile it is no longer served, and what is asked for is waited for all
    /// the same. `None` at the end.
    async fn ask_meanwhile(&self, refresh: &mut Refresh, attempt: Attempt) -> Option<Asking> {
        let asking = self.ask(attempt);
        tokio::pin!(asking);
        loop {
            tokio::select! {
                () = self.end.requested() => return None,
                asked = &mut asking => return Some(asked),
                () = self.expiry(refresh) => self.expire(refresh).await,
            }
        }
    }

    /// The zone that came from a primary before, and how old it is. One that was kept with other signatures than
    /// are wanted now is served, and asked for as if it were not there.
    async fn held(&self) -> Option<Held> {
        let (director, kept, apex) =
            (self.director.clone(), self.kept.clone(), self.zone.apex.clone());
        let (catalog, zone) = (self.catalog.clone(), self.zone.clone());
        let unix = self.clock.unix_ms() / 1000;
        let look = move || {
            let content = match &catalog {
                Some(catalog) => begin_catalog(catalog, &kept, &zone, unix),
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
    fn content(&self) -> Option<Arc<Zone>> {
        match &self.catalog {
            Some((catalog, _)) => catalog.content(),
            None => self.director.current_zone(&self.zone.apex),
        }
    }

    async fn expiry(&self, refresh: &Refresh) {
        match refresh.expires() {
            Some(expires) => drop(self.clock.sleep_until(expires).await),
            None => std::future::pending().await,
        }
    }

    async fn expire(&self, refresh: &mut Refresh) {
        if !refresh.expire(self.clock.now()) {
            return;
        }
        if self.catalog.is_some() {
            tracing::error!(
                zone = %self.zone.apex,
                "the catalog expired: none of its primaries said for so long that it is the newest; the zones that it \
                 lists stay"
            );
            let mut status = lock(&self.status);
            (status.is_expired, status.serial) = (true, None);
            return;
        }
        tracing::error!(
            zone = %self.zone.apex,
            "the zone expired: none of its primaries said for so long that it is the newest; it is \
             no longer served"
        );
        let (director, apex) = (self.director.clone(), self.zone.apex.clone());
        // It waits for whoever signs zones now.
        match self.transfers.change(move || director.empty_zone(&apex)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::error!(zone = %self.zone.apex, "{}", chain(&error)),
            None => tracing::error!(zone = %self.zone.apex, "the zone was not emptied"),
        }
        let mut status = lock(&self.status);
        (status.is_expired, status.serial) = (true, None);
    }

    /// Asks a primary.
    async fn ask(&self, attempt: Attempt) -> Asking {
        let primary = &self.zone.primaries[attempt.primary()];
        let failed = |why: String| Asking::Ended(Outcome::Failed(why));
        let key = match &primary.key {
            None => None,
            Some(key) => {
                let key = key.clone();
                // Read each time, so that a secret that was replaced is used without a reload.
                match spawn_blocking(move || SharedKey::read(&key)).await {
                    Ok(Ok(key)) => Some(key),
                    Ok(Err(error)) => return failed(chain(&error)),
                    Err(error) => return failed(error.to_string()),
                }
            }
        };
        let peer = Peer { address: primary.address, key };
        let asked = match attempt {
            Attempt::Serial { .. } => {
                lock(&self.status).counts.checks += 1;
                let _place = self.transfers.check(peer.address.ip()).await;
                return match exchange::serial(&peer, &self.zone.apex, &self.clock).await {
                    Ok(serial) => Asking::Ended(Outcome::Serial(serial)),
                    Err(failure) => failed(chain(&failure)),
                };
            }
            Attempt::Since { serial, .. } => Asked::Since(serial),
            Attempt::Whole { held, .. } => Asked::Whole { held },
        };
        let Some((memory, _place)) = self.transfers.place(peer.address.ip()).await else {
            return failed("the node stops".to_owned());
        };
        match (self.transfer(&peer, asked, &memory).await, asked) {
            (Ok(transfer), _) => Asking::Came(transfer),
            // Whatever is wrong with a difference, the whole zone may be sound.
            (Err(failure), Asked::Since(_)) if !is_older(&failure) => {
                Asking::Ended(Outcome::DoesNotFit(chain(&failure)))
            }
            (Err(failure), _) => failed(chain(&failure)),
        }
    }

    async fn transfer(
        &self,
        peer: &Peer,
        asked: Asked,
        memory: &MemoryPart,
    ) -> Result<Transfer, Failure> {
        let held = self.content();
        let wish = Wish {
            apex: self.zone.apex.clone(),
            asked,
            soa: held.and_then(|zone| zone.records().next()),
            keeps_signatures: self.zone.keeps_signatures,
            limits: TransferLimits::of_memory(self.zone.memory_max),
        };
        exchange::transfer(peer, &wish, memory, &self.clock).await
    }

    /// Serves what came.
    async fn serve(&self, transfer: Transfer, lines: &Lines) -> Outcome {
        let (held, memory_max) = (self.content(), self.zone.memory_max);
        // Changing a large zone takes a while.
        let made = spawn_blocking(move || content_of(transfer, held, memory_max)).await;
        let (zone, warnings, is_whole) = match made {
            Ok(Ok(made)) => made,
            Ok(Err(outcome)) => return outcome,
            Err(error) => return Outcome::Failed(error.to_string()),
        };
        self.warn(&warnings, lines);
        let Some(timers) = timers(&zone) else {
            return Outcome::Failed("its SOA record is damaged".to_owned());
        };
        let names = zone.name_count();
        if let Some(catalog) = &self.catalog {
            return take_catalog(catalog.clone(), zone, (timers, is_whole)).await;
        }
        let served = self.arrivals.serve(&self.director, Arc::new(zone), self.end.clone()).await;
        let problem = match served {
            Ok(()) => None,
            // It is taken, and signed as soon as it can be.
            Err(error @ ReplaceError::Signing { .. }) => Some(chain(&error)),
            Err(error) => return Outcome::Failed(chain(&error)),
        };
        let (zone, serial) = (&self.zone.apex, timers.serial);
        tracing::info!(%zone, serial, names, is_whole, "the zone came");
        Outcome::Arrived { timers, is_whole, problem }
    }

    fn warn(&self, warnings: &[String], lines: &Lines) {
        if warnings.is_empty() || lines.warnings.pass().is_none() {
            return;
        }
        let zone = &self.zone.apex;
        warnings.iter().take(WARNINGS_MAX).for_each(|it| tracing::warn!(%zone, "{it}"));
        let others = warnings.len().saturating_sub(WARNINGS_MAX);
        if others > 0 {
            tracing::warn!(%zone, others, "more of what came is hardly meant so");
        }
    }

    /// What follows from an outcome.
    async fn take(
        &self,
        refresh: &mut Refresh,
        (attempt, outcome): (Attempt, Outcome),
        (lines, stored): (&Lines, &mut Stored),
    ) {
        let now = self.clock.now();
        let address = self.zone.primaries[attempt.primary()].address;
        let held = refresh.held().map(|held| held.timers.serial);
        match outcome {
            Outcome::Serial(serial) => {
                let is_older = held.is_some_and(|held| {
                    serial != held && !walrus_core::transfer::is_newer(serial, held)
                });
                refresh.serial_is(serial, now);
                if is_older {
                    let held = held.unwrap_or(0);
                    let shrinks = TransferError::Shrinks { held, came: serial };
                    self.failed(address, &shrinks.to_string(), lines);
                } else if held == Some(serial) {
                    self.confirmed(address, stored).await;
                }
            }
            Outcome::Unchanged => {
                refresh.arrived(None, now);
                self.confirmed(address, stored).await;
            }
            Outcome::Arrived { timers, is_whole, problem } => {
                refresh.arrived(Some(timers), now);
                {
                    let mut status = lock(&self.status);
                    let counts = &mut status.counts;
                    let count = if is_whole { &mut counts.whole } else { &mut counts.differences };
                    *count += 1;
                    (status.is_expired, status.serial) = (false, Some(timers.serial));
                }
                stored.is_unwritten = true;
                self.confirmed(address, stored).await;
                if problem.is_some() {
                    lock(&self.status).problem = problem;
                }
            }
            Outcome::DoesNotFit(why) => {
                tracing::info!(
                    zone = %self.zone.apex, primary = %address, why,
                    "what changed cannot be used: the whole zone is asked for"
                );
                refresh.does_not_fit();
            }
            Outcome::Failed(why) => {
                refresh.failed(now);
                self.failed(address, &why, lines);
            }
        }
    }

    /// A primary said that what is here is the newest; that is written down, with the zone itself if it is new.
    async fn confirmed(&self, address: std::net::SocketAddr, stored: &mut Stored) {
        let unix = self.clock.unix_ms() / 1000;
        {
            let mut status = lock(&self.status);
            (status.primary, status.checked, status.problem) = (Some(address), Some(unix), None);
        }
        if stored.is_due(unix) || unix.saturating_sub(stored.checked) >= CHECKED_EVERY_SECS {
            self.store(stored).await;
        }
    }

    /// When the zone is to be written, if it is not.
    fn writes(&self, refresh: &Refresh, stored: &Stored) -> Option<Time> {
        // What nobody confirmed is not written, nor what cannot be at once again.
        let is_ours = refresh.held().is_some() && stored.written > 0;
        let left =
            (stored.written + WRITTEN_EVERY_SECS).saturating_sub(self.clock.unix_ms() / 1000);
        let at = self.clock.now() + Duration::from_secs(left);
        (is_ours && stored.is_unwritten).then_some(at)
    }

    /// Writes down when the zone was confirmed, and the zone if it is due.
    async fn store(&self, stored: &mut Stored) {
        let unix = self.clock.unix_ms() / 1000;
        let Some(checked) = lock(&self.status).checked else { return };
        let is_whole = stored.is_due(unix);
        let (kept, content, apex) = (self.kept.clone(), self.content(), self.zone.apex.clone());
        let confirmed = (checked, self.zone.keeps_signatures);
        let store = move || match content {
            Some(zone) if is_whole => kept.store(&zone, confirmed),
            _ => kept.store_confirmed(&apex, confirmed),
        };
        match spawn_blocking(store).await {
            Ok(Ok(())) => {
                stored.checked = unix;
                if is_whole {
                    (stored.is_unwritten, stored.written) = (false, unix);
                }
            }
            Ok(Err(error)) => {
                if is_whole && stored.written > 0 {
                    // It is tried again as late as if it had been written.
                    stored.written = unix;
                }
                let text = format!("it is not kept for a restart: the disk says {error}");
                tracing::error!(zone = %self.zone.apex, "the zone came, and {text}");
                lock(&self.status).problem = Some(text);
            }
            Err(_) => {}
        }
    }

    fn failed(&self, address: std::net::SocketAddr, why: &str, lines: &Lines) {
        if let Some(left_out) = lines.failures.pass() {
            tracing::warn!(
                zone = %self.zone.apex, primary = %address, left_out,
                "the zone was not brought up to date: {why}"
            );
        }
        let mut status = lock(&self.status);
        status.counts.failures += 1;
        status.problem = Some(format!("{address}: {why}"));
    }

    /// What others are told of the times.
    fn show(&self, refresh: &Refresh) {
        let (now, unix) = (self.clock.now(), self.clock.unix_ms() / 1000);
        let at = |time: Time| unix + time.since(now).as_secs();
        let mut status = lock(&self.status);
        status.serial = refresh.held().map(|held| held.timers.serial);
        status.next = refresh.due().map(at);
        status.expires = refresh.expires().map(at);
    }
}

/// A catalog as it is when its task begins: as it was kept, if it was not here before. What it lists is served.
fn begin_catalog(
    (catalog, secondaries): &(Arc<Catalog>, Secondaries),
    kept: &KeptZones,
    zone: &SecondaryZone,
    unix: u64,
) -> Option<Arc<Zone>> {
    if catalog.content().is_none()
        && let Some(content) = catalogs::load(kept, zone, unix)
        && catalog.take(content).is_ok()
    {
        secondaries.apply_catalogs();
    }
    catalog.content()
}

/// What a catalog lists is served from now on, if it is not broken.
async fn take_catalog(
    (catalog, secondaries): (Arc<Catalog>, Secondaries),
    zone: Zone,
    (timers, is_whole): (SoaTimers, bool),
) -> Outcome {
    let transfers = Arc::clone(&secondaries.transfers);
    let take = move || match catalog.take(Arc::new(zone)) {
        Ok(()) => {
            secondaries.apply_catalogs();
            Outcome::Arrived { timers, is_whole, problem: None }
        }
        Err(error) => Outcome::Failed(format!(
            "the catalog is broken, so that the zones which it listed before stay: {error}"
        )),
    };
    let taken = transfers.change(take).await;
    taken.unwrap_or_else(|| Outcome::Failed("the catalog was not taken".to_owned()))
}

/// The zone that a transfer comes to, with what is hardly meant in it and whether it came whole.
fn content_of(
    transfer: Transfer,
    held: Option<Arc<Zone>>,
    memory_max: usize,
) -> Result<(Zone, Vec<String>, bool), Outcome> {
    match transfer {
        Transfer::Unchanged => Err(Outcome::Unchanged),
        Transfer::Whole { zone, warnings } => Ok((*zone, warnings, true)),
        Transfer::Difference(difference) => {
            let Some(held) = held else {
                return Err(Outcome::DoesNotFit("there is nothing to change".to_owned()));
            };
            match held.with_difference(&difference) {
                Ok(zone) if zone.memory() > memory_max => {
                    Err(Outcome::Failed(TransferError::TooLarge.to_string()))
                }
                // It is in no whole zone either.
                Ok(zone) if zone.has_oversized_set() => Err(Outcome::DoesNotFit(
                    "the difference makes a record set that no reply has room for".to_owned(),
                )),
                Ok(zone) => Ok((zone, Vec::new(), false)),
                Err(error) => Err(Outcome::DoesNotFit(error.to_string())),
            }
        }
    }
}

/// Whether the primary has an older zone than is here: another transfer would say the same.
const fn is_older(failure: &Failure) -> bool {
    matches!(failure, Failure::Transfer(TransferError::Shrinks { .. }))
}

fn timers(zone: &Zone) -> Option<SoaTimers> {
    let soa = zone.set(zone.apex(), record_type::SOA)?;
    SoaTimers::read(soa.data().next()?)
}
