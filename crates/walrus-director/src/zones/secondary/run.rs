//! One zone's task: it waits until something is due or told, asks, and serves what came.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
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

use super::exchange::{self, Failure, Peer, Wish};
use super::{KeptZones, Notice, SecondaryStatus, SecondaryZone, Transfers};
use crate::director::{DirectorHandle, lock};
use crate::tsig::SharedKey;
use crate::zones::ReplaceError;

/// Of one zone's failures a line is written in so long.
const LINE_EVERY: Duration = Duration::from_secs(60);
/// That a zone is still the newest is written down no more often than this.
const CHECKED_EVERY_SECS: u64 = 30;

/// A zone that is served when its task begins is asked for before it may expire.
const FIRST_ROUND: Duration = Duration::from_secs(60);

/// What a zone's task works with.
pub(super) struct Task {
    pub(super) director: DirectorHandle,
    pub(super) kept: KeptZones,
    pub(super) clock: Clock,
    pub(super) seed: u64,
    pub(super) transfers: Arc<Transfers>,
    pub(super) zone: SecondaryZone,
    pub(super) status: Arc<Mutex<SecondaryStatus>>,
    pub(super) end: Shutdown,
    /// What an earlier task knew of the zone: when it was confirmed, and whether what is signed in it was
    /// kept.
    pub(super) before: Option<(Option<u64>, bool)>,
}

/// What a primary said.
enum Asking {
    /// Something to be served.
    Came(Transfer),
    Ended(Outcome),
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
    pub(super) async fn run(self, mut notices: mpsc::Receiver<Notice>) {
        let held = self.held().await;
        let now = self.clock.now();
        let mut refresh = Refresh::new(self.zone.primaries.len(), held, now, self.seed);
        let (lines, mut stored) = (Limited::new(LINE_EVERY), 0);
        loop {
            self.show(&refresh);
            let due = refresh.due().unwrap_or(now);
            let wake = refresh.expires().map_or(due, |expires| expires.min(due));
            let notice = tokio::select! {
                () = self.end.requested() => return,
                notice = notices.recv() => notice,
                awake = self.clock.sleep_until(wake) => {
                    drop(awake);
                    None
                }
            };
            let now = self.clock.now();
            if let Some(Notice { primary, serial }) = notice {
                lock(&self.status).counts.notifies += 1;
                refresh.notified(primary, serial, now);
            }
            self.expire(&mut refresh).await;
            let mut next = refresh.next(now);
            while let Some(attempt) = next {
                self.show(&refresh);
                let Some(asked) = self.ask_meanwhile(&mut refresh, attempt).await else { return };
                let outcome = match asked {
                    Asking::Came(transfer) => tokio::select! {
                        () = self.end.requested() => return,
                        outcome = self.serve(transfer) => outcome,
                    },
                    Asking::Ended(outcome) => outcome,
                };
                self.take(&mut refresh, (attempt, outcome), (&lines, &mut stored)).await;
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
        let look = move || (director.settled_zone(&apex), kept.confirmed(&apex));
        let (zone, on_disk) = spawn_blocking(look).await.ok()?;
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
        tracing::error!(
            zone = %self.zone.apex,
            "the zone expired: none of its primaries said for so long that it is the newest; it is \
             no longer served"
        );
        let (director, apex) = (self.director.clone(), self.zone.apex.clone());
        // It waits for whoever signs zones now.
        match spawn_blocking(move || director.empty_zone(&apex)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(zone = %self.zone.apex, "{}", chain(&error)),
            Err(error) => tracing::error!(zone = %self.zone.apex, %error, "not emptied"),
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
                return match exchange::serial(&peer, &self.zone.apex, &self.clock).await {
                    Ok(serial) => Asking::Ended(Outcome::Serial(serial)),
                    Err(failure) => failed(chain(&failure)),
                };
            }
            Attempt::Since { serial, .. } => Asked::Since(serial),
            Attempt::Whole { held, .. } => Asked::Whole { held },
        };
        let Some(_place) = self.transfers.place(peer.address.ip()).await else {
            return failed("the node stops".to_owned());
        };
        match (self.transfer(&peer, asked).await, asked) {
            (Ok(transfer), _) => Asking::Came(transfer),
            // Whatever is wrong with a difference, the whole zone may be sound.
            (Err(failure), Asked::Since(_)) if !is_older(&failure) => {
                Asking::Ended(Outcome::DoesNotFit(chain(&failure)))
            }
            (Err(failure), _) => failed(chain(&failure)),
        }
    }

    async fn transfer(&self, peer: &Peer, asked: Asked) -> Result<Transfer, Failure> {
        let held = self.director.current_zone(&self.zone.apex);
        let wish = Wish {
            apex: self.zone.apex.clone(),
            asked,
            soa: held.and_then(|zone| zone.records().next()),
            keeps_signatures: self.zone.keeps_signatures,
            limits: TransferLimits::of_memory(self.zone.memory_max),
        };
        exchange::transfer(peer, &wish, &self.clock).await
    }

    /// Serves what came.
    async fn serve(&self, transfer: Transfer) -> Outcome {
        let (director, apex) = (self.director.clone(), self.zone.apex.clone());
        let (memory_max, end) = (self.zone.memory_max, self.end.clone());
        let serve = move || {
            let (zone, is_whole) = match transfer {
                Transfer::Unchanged => return Outcome::Unchanged,
                Transfer::Whole { zone, warnings } => {
                    warnings.iter().for_each(|it| tracing::warn!(zone = %apex, "{it}"));
                    (*zone, true)
                }
                Transfer::Difference(difference) => {
                    let Some(held) = director.current_zone(&apex) else {
                        return Outcome::DoesNotFit("there is nothing to change".to_owned());
                    };
                    match held.with_difference(&difference) {
                        Ok(zone) if zone.memory() > memory_max => {
                            return Outcome::Failed(TransferError::TooLarge.to_string());
                        }
                        Ok(zone) => (zone, false),
                        Err(error) => return Outcome::DoesNotFit(error.to_string()),
                    }
                }
            };
            let Some(timers) = timers(&zone) else {
                return Outcome::Failed("its SOA record is damaged".to_owned());
            };
            let names = zone.name_count();
            let is_wanted = || !end.is_requested();
            let problem = match director.replace_zone_while(Arc::new(zone), &is_wanted) {
                Ok(()) => None,
                // It is taken, and signed as soon as it can be.
                Err(error @ ReplaceError::Signing { .. }) => Some(chain(&error)),
                Err(error) => return Outcome::Failed(chain(&error)),
            };
            tracing::info!(zone = %apex, serial = timers.serial, names, is_whole, "the zone came");
            Outcome::Arrived { timers, is_whole, problem }
        };
        spawn_blocking(serve).await.unwrap_or_else(|error| Outcome::Failed(error.to_string()))
    }

    /// What follows from an outcome.
    async fn take(
        &self,
        refresh: &mut Refresh,
        (attempt, outcome): (Attempt, Outcome),
        (lines, stored): (&Limited, &mut u64),
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
                *stored = 0;
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

    /// A primary said that what is here is the newest; that is written down, with the zone itself if
    /// it is new (`stored` is 0 then).
    async fn confirmed(&self, address: std::net::SocketAddr, stored: &mut u64) {
        let unix = self.clock.unix_ms() / 1000;
        {
            let mut status = lock(&self.status);
            (status.primary, status.checked, status.problem) = (Some(address), Some(unix), None);
        }
        if *stored > 0 && unix.saturating_sub(*stored) < CHECKED_EVERY_SECS {
            return;
        }
        let is_new = *stored == 0;
        let (kept, director, apex) =
            (self.kept.clone(), self.director.clone(), self.zone.apex.clone());
        let confirmed = (unix, self.zone.keeps_signatures);
        let store = move || match director.current_zone(&apex) {
            Some(zone) if is_new => kept.store(&zone, confirmed),
            _ => kept.store_confirmed(&apex, confirmed),
        };
        match spawn_blocking(store).await {
            Ok(Ok(())) => *stored = unix,
            Ok(Err(error)) => {
                let text = format!("it is not kept for a restart: the disk says {error}");
                tracing::error!(zone = %self.zone.apex, "the zone came, and {text}");
                lock(&self.status).problem = Some(text);
            }
            Err(_) => {}
        }
    }

    fn failed(&self, address: std::net::SocketAddr, why: &str, lines: &Limited) {
        if let Some(left_out) = lines.pass() {
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

/// Whether the primary has an older zone than is here: another transfer would say the same.
const fn is_older(failure: &Failure) -> bool {
    matches!(failure, Failure::Transfer(TransferError::Shrinks { .. }))
}

fn timers(zone: &Zone) -> Option<SoaTimers> {
    let soa = zone.set(zone.apex(), record_type::SOA)?;
    SoaTimers::read(soa.data().next()?)
}
