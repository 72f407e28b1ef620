//! One zone's task: it waits until something is due or told, asks, and serves what came.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use walrus_core::transfer::{Attempt, Refresh, SoaTimers, Transfer, TransferError, is_newer};
use walrus_core::world::Time;
use walrus_host::clock::Clock;
use walrus_host::log::Limited;
use walrus_host::shutdown::Shutdown;

use super::arrivals::{Arrivals, Bringer};
use super::catalogs::Catalog;
use super::memory::MemoryPart;
use super::notices::{Notice, Notices};
use super::writing::Stored;
use super::{KeptZones, Secondaries, SecondaryStatus, SecondaryZone, Transfers};
use crate::director::{DirectorHandle, lock};

/// Of one zone's failures a line is written in so long.
pub(super) const LINE_EVERY: Duration = Duration::from_secs(60);

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
    /// Since when it waits for memory, if its transfers come to nothing (`memory`).
    pub(super) waits_since: Mutex<Option<u64>>,
    /// What an earlier task knew of the zone: when it was confirmed, and whether what is signed in it was
    /// kept.
    pub(super) before: Option<(Option<u64>, bool)>,
    /// If it is a catalog: what it says, and who serves the zones that it lists.
    pub(super) catalog: Option<(Arc<Catalog>, Secondaries)>,
}

/// What a primary said.
pub(super) enum Asking {
    /// Something to be served; it takes memory until it is.
    Came(Transfer, MemoryPart),
    Ended(Outcome),
}

/// Lines that are not written each time.
pub(super) struct Lines {
    failures: Limited,
    pub(super) warnings: Limited,
}

/// What came of asking.
pub(super) enum Outcome {
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

    /// Who changes what is served.
    pub(super) fn bringer(&self) -> Bringer {
        Bringer { end: self.end.clone(), is_member: self.zone.member_of.is_some() }
    }

    /// Until the end.
    async fn keep_up(&self, notices: &Notices, stored: &mut Stored) {
        let held = tokio::select! {
            () = self.end.requested() => return,
            held = self.held() => held,
        };
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
            self.expire(&mut refresh);
            if refresh.held().is_some() && stored.is_due(self.clock.unix_ms() / 1000) {
                self.store(stored).await;
            }
            let mut next = refresh.next(now);
            while let Some(attempt) = next {
                self.show(&refresh);
                let Some(asked) = self.ask_meanwhile(&mut refresh, attempt).await else { return };
                let outcome = match asked {
                    Asking::Came(transfer, _memory) => tokio::select! {
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
                () = self.expiry(refresh) => self.expire(refresh),
            }
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
        let is_same = matches!(outcome, Outcome::Serial(_) | Outcome::Unchanged);
        if is_same && held.is_some() && self.content().is_none() {
            // Whatever took it: what is not there is the newest of no primary.
            *refresh = Refresh::new(self.zone.primaries.len(), None, now, self.seed);
            return;
        }
        match outcome {
            Outcome::Serial(serial) => {
                let is_older = held.is_some_and(|held| serial != held && !is_newer(serial, held));
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

    fn failed(&self, address: SocketAddr, why: &str, lines: &Lines) {
        if let Some(left_out) = lines.failures.pass()
            && let Some(left_out_of_all) = self.transfers.failures.pass()
        {
            tracing::warn!(
                zone = %self.zone.apex, primary = %address, left_out, left_out_of_all,
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

#[cfg(test)]
mod tests {
    use walrus_host::seed::Seed;

    use super::super::Primary;
    use super::super::arrivals::tests::{content, start};
    use super::*;
    use crate::zones::secondary::SecondaryCounts;

    fn status(zone: &SecondaryZone) -> SecondaryStatus {
        SecondaryStatus {
            apex: zone.apex.clone(),
            primaries: Vec::new(),
            serial: None,
            is_expired: false,
            primary: None,
            checked: None,
            next: None,
            expires: None,
            problem: None,
            counts: SecondaryCounts::default(),
            catalog: None,
            members: None,
        }
    }

    #[tokio::test]
    async fn a_primary_that_has_what_is_not_there_any_more_confirms_nothing() {
        let (director, folder) = (start(), tempfile::tempdir().unwrap());
        let task = task(&director, &folder);
        let wait = Duration::from_secs(3600);
        let timers = SoaTimers { serial: 7, refresh: wait, retry: wait, expire: wait };
        let lines = Lines { failures: Limited::new(wait), warnings: Limited::new(wait) };
        for outcome in [Outcome::Serial(7), Outcome::Unchanged] {
            let now = task.clock.now();
            let held = walrus_core::transfer::Held { timers, checked: now };
            let mut refresh = Refresh::new(1, Some(held), now, 1);
            let attempt = refresh.next(now).unwrap();
            let mut stored = Stored { is_unwritten: true, written: 0, checked: 0 };
            task.take(&mut refresh, (attempt, outcome), (&lines, &mut stored)).await;
            assert_eq!(lock(&task.status).checked, None);
            let next = refresh.next(task.clock.now());
            assert_eq!(next, Some(Attempt::Whole { primary: 0, held: None }));
        }
        director.shutdown();
    }

    #[tokio::test]
    async fn a_zone_keeps_its_place_in_line_while_nothing_of_it_comes() {
        let (director, folder) = (start(), tempfile::tempdir().unwrap());
        let task = task(&director, &folder);
        // Who never waited for memory has none: thousands of zones of a primary that is away come before nobody.
        for since in [None, Some(0)] {
            *lock(&task.waits_since) = since;
            let asked = task.ask(Attempt::Whole { primary: 0, held: None }).await;
            assert!(matches!(asked, Asking::Ended(Outcome::Failed(_))));
            assert_eq!(*lock(&task.waits_since), since);
        }
        director.shutdown();
    }

    #[tokio::test]
    async fn what_the_disk_does_not_take_is_told_of_and_written_with_the_next_confirmation() {
        let (director, folder) = (start(), tempfile::tempdir().unwrap());
        let task = task(&director, &folder);
        director.replace_zone(content("other.example", 1)).unwrap();
        // No folder can be made there.
        let path = folder.path().join("zones");
        std::fs::write(&path, "").unwrap();
        let mut stored = Stored { is_unwritten: true, written: 0, checked: 0 };
        let primary = task.zone.primaries[0].address;
        task.confirmed(primary, &mut stored).await;
        let problem = lock(&task.status).problem.clone().unwrap();
        assert!(problem.starts_with("it is not kept for a restart: the disk says"), "{problem}");
        std::fs::remove_file(&path).unwrap();
        task.confirmed(primary, &mut stored).await;
        assert_eq!(lock(&task.status).problem, None);
        let kept = task.kept.load(&task.zone.apex, true, 1 << 20).unwrap();
        assert_eq!(kept.map(|kept| kept.zone.serial()), Some(1));
        director.shutdown();
    }

    /// Of `other.example`, whose primary does not answer.
    fn task(director: &DirectorHandle, folder: &tempfile::TempDir) -> Task {
        let zone = SecondaryZone {
            apex: "other.example".parse().unwrap(),
            primaries: vec![Primary { address: "127.0.0.1:1".parse().unwrap(), key: None }],
            keeps_signatures: true,
            memory_max: 1 << 20,
            is_catalog: false,
            member_of: None,
        };
        Task {
            director: director.clone(),
            kept: KeptZones::in_state(folder.path()),
            clock: Clock::real(),
            seed: Seed::fixed(1).for_part("test"),
            transfers: Arc::new(Transfers::new()),
            arrivals: Arc::default(),
            status: Arc::new(Mutex::new(status(&zone))),
            zone,
            end: Shutdown::new(),
            waits_since: Mutex::default(),
            before: None,
            catalog: None,
        }
    }
}
