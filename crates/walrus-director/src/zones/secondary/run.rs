//! One zone's task: it waits until something is due or told, asks, and serves what came.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
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
use super::{KeptZones, Notice, SecondaryStatus, SecondaryZone};
use crate::director::{DirectorHandle, lock};
use crate::tsig::SharedKey;
use crate::zones::ReplaceError;

/// Of one zone's failures a line is written in so long.
const LINE_EVERY: Duration = Duration::from_secs(60);
/// That a zone is still the newest is written down no more often than this.
const CHECKED_EVERY_SECS: u64 = 30;

/// What a zone's task works with.
pub(super) struct Task {
    pub(super) director: DirectorHandle,
    pub(super) kept: KeptZones,
    pub(super) clock: Clock,
    pub(super) seed: u64,
    pub(super) transfers: Arc<Semaphore>,
    pub(super) zone: SecondaryZone,
    pub(super) status: Arc<Mutex<SecondaryStatus>>,
    pub(super) end: Shutdown,
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
        let now = self.clock.now();
        let held = self.held(now);
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
            self.expire(&mut refresh, now);
            let mut next = refresh.next(now);
            while let Some(attempt) = next {
                self.show(&refresh);
                let asked = tokio::select! {
                    () = self.end.requested() => return,
                    outcome = self.ask(attempt) => outcome,
                    () = self.expiry(&refresh) => {
                        // What is asked is not waited for any longer: it was about what is gone now.
                        Outcome::Failed("it takes so long that the zone expired".to_owned())
                    }
                };
                let now = self.clock.now();
                self.take(&mut refresh, (attempt, asked), (&lines, &mut stored), now).await;
                self.expire(&mut refresh, now);
                next = refresh.attempt();
            }
        }
    }

    /// The zone that is here from before, and how old it is.
    fn held(&self, now: Time) -> Option<Held> {
        let zone = self.director.current_zone(&self.zone.apex)?;
        let timers = timers(&zone)?;
        let unix = self.clock.unix_ms() / 1000;
        let checked = self.kept.checked(&self.zone.apex).unwrap_or(0);
        lock(&self.status).checked = Some(checked).filter(|checked| *checked > 0);
        let age = Duration::from_secs(unix.saturating_sub(checked));
        // Before the clock's start nothing can be: then it has so much less time to live.
        let since_start = now.since(Time::ZERO);
        let (checked, timers) = match since_start.checked_sub(age) {
            Some(checked) => (Time::ZERO + checked, timers),
            None => {
                let expire = timers.expire.saturating_sub(age - since_start);
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

    fn expire(&self, refresh: &mut Refresh, now: Time) {
        if !refresh.expire(now) {
            return;
        }
        tracing::error!(
            zone = %self.zone.apex,
            "the zone expired: none of its primaries said for so long that it is the newest; it is \
             no longer served"
        );
        if let Err(error) = self.director.empty_zone(&self.zone.apex) {
            tracing::error!(zone = %self.zone.apex, "{}", chain(&error));
        }
        let mut status = lock(&self.status);
        (status.is_expired, status.serial) = (true, None);
    }

    /// Asks a primary.
    async fn ask(&self, attempt: Attempt) -> Outcome {
        let primary = &self.zone.primaries[attempt.primary()];
        let key = match &primary.key {
            None => None,
            Some(key) => {
                let key = key.clone();
                // Read each time, so that a secret that was replaced is used without a reload.
                match spawn_blocking(move || SharedKey::read(&key)).await {
                    Ok(Ok(key)) => Some(key),
                    Ok(Err(error)) => return Outcome::Failed(chain(&error)),
                    Err(error) => return Outcome::Failed(error.to_string()),
                }
            }
        };
        let peer = Peer { address: primary.address, key };
        let asked = match attempt {
            Attempt::Serial { .. } => {
                lock(&self.status).counts.checks += 1;
                return match exchange::serial(&peer, &self.zone.apex, &self.clock).await {
                    Ok(serial) => Outcome::Serial(serial),
                    Err(failure) => Outcome::Failed(chain(&failure)),
                };
            }
            Attempt::Since { serial, .. } => Asked::Since(serial),
            Attempt::Whole { held, .. } => Asked::Whole { held },
        };
        let Ok(_permit) = self.transfers.acquire().await else {
            return Outcome::Failed("the node stops".to_owned());
        };
        match self.transfer(&peer, asked).await {
            Ok(transfer) => self.serve(transfer).await,
            Err(failure) => {
                let text = chain(&failure);
                let is_refused = matches!(
                    failure,
                    Failure::Transfer(
                        TransferError::Refused(_)
                            | TransferError::Steps { .. }
                            | TransferError::Malformed
                            | TransferError::Empty
                    )
                );
                match asked {
                    // Some know no IXFR, or say so in odd ways.
                    Asked::Since(_) if is_refused => Outcome::DoesNotFit(text),
                    _ => Outcome::Failed(text),
                }
            }
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
        let memory_max = self.zone.memory_max;
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
            let problem = match director.replace_zone(Arc::new(zone)) {
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
        now: Time,
    ) {
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
        let store = move || match director.current_zone(&apex) {
            Some(zone) if is_new => kept.store(&zone, unix),
            _ => kept.store_checked(&apex, unix),
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

fn timers(zone: &Zone) -> Option<SoaTimers> {
    let soa = zone.set(zone.apex(), record_type::SOA)?;
    SoaTimers::read(soa.data().next()?)
}
