//! Web servers as queues: one hit after another, first come, first served.
//!
//! When a page arrives it is known when its last hit leaves: after those before it (Lindley's
//! recursion), so departures are no events. What is still at the server is kept for its length, and for when the
//! server becomes faster or slower: then all that is here leaves earlier or later.

use std::collections::{BTreeMap, VecDeque};

use walrus_core::world::Generator;

use super::queue::Shift;
use super::study::ServiceLaw;
use crate::system::ServerState;

/// A web server.
#[derive(Debug)]
pub(super) struct Server {
    /// Nanoseconds of a hit at full speed, on average.
    hit_nanos: f64,
    /// Many times this fast; 1 if nothing is wrong.
    speed: f64,
    /// Nanoseconds of a hit at this speed.
    hit_nanos_now: f64,
    pub(super) presence: Presence,
    /// What its Reporter says whatever is true; `None` is the truth.
    pub(super) says: Option<ServerState>,
    /// Probes of it time out.
    pub(super) probes_fail: bool,
    /// When the last hit that is here leaves.
    last_departure: u64,
    /// Work that was ever accepted, less what died with it, in nanoseconds.
    accepted_nanos: u64,
    /// Hits that were ever accepted.
    pub(super) hits: u64,
    /// Pages that may be here still, by departure.
    here: VecDeque<Stay>,
    /// Their hits.
    hits_here: u32,
}

/// Whether anybody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Up,
    /// Connections are refused.
    Killed,
    /// Nothing arrives and nothing comes back.
    Cut,
}

/// A page at a server.
#[derive(Clone, Copy, Debug)]
struct Stay {
    /// When its first hit is served. Before time began, for a page that a server that was slow since
    /// then has as far as that.
    begins: i64,
    departs: u64,
    page: Page,
}

/// A page of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) hits: u16,
    pub(super) population: u16,
    /// Whether its response time was counted: from `since`, in nanoseconds, to its departure.
    pub(super) is_measured: bool,
    pub(super) since: i64,
    /// Its client's next click, by [`super::queue::Entry::chance`].
    pub(super) next: u64,
}

impl Page {
    /// Its response time in seconds.
    #[inline]
    pub(super) fn response(&self, departs: u64) -> f64 {
        departs.saturating_sub_signed(self.since) as f64 / 1e9
    }
}

impl Server {
    /// An idle one that serves so many hits a second.
    pub(super) fn new(capacity: f64) -> Self {
        Self {
            hit_nanos: 1e9 / capacity,
            speed: 1.0,
            hit_nanos_now: 1e9 / capacity,
            presence: Presence::Up,
            says: None,
            probes_fail: false,
            last_departure: 0,
            accepted_nanos: 0,
            hits: 0,
            here: VecDeque::new(),
            hits_here: 0,
        }
    }

    /// A page arrives: when its last hit leaves; `None` if there is no room for it.
    #[expect(
        clippy::inline_always,
        reason = "what is kept of a page is written once, where it stays"
    )]
    #[inline(always)]
    pub(super) fn accept(
        &mut self,
        now: u64,
        page: Page,
        law: ServiceLaw,
        queue_max: u32,
        generator: &mut Generator,
    ) -> Option<u64> {
        self.forget(now);
        let hits = page.hits;
        if self.hits_here + u32::from(hits) > queue_max && self.hits_here > 0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let work = (law.draw(hits, generator) * self.hit_nanos_now) as u64;
        let begins = self.last_departure.max(now);
        let departs = begins.saturating_add(work);
        self.last_departure = departs;
        self.accepted_nanos = self.accepted_nanos.saturating_add(work);
        self.hits += u64::from(hits);
        self.hits_here += u32::from(hits);
        self.here.push_back(Stay { begins: begins.cast_signed(), departs, page });
        Some(departs)
    }

    /// Lets pages go that have left.
    #[inline]
    fn forget(&mut self, now: u64) {
        while let Some(first) = self.here.front().filter(|first| first.departs <= now) {
            self.hits_here -= u32::from(first.page.hits);
            self.here.pop_front();
        }
    }

    /// Hits that are here now, served or waiting. Of the page that is being served, hits count as leaving
    /// evenly over its time.
    pub(super) fn length(&mut self, now: u64) -> u32 {
        self.forget(now);
        let since = |first: &Stay| now.cast_signed().saturating_sub(first.begins);
        let Some(first) = self.here.front().filter(|first| since(first) > 0) else {
            return self.hits_here;
        };
        let done = since(first) as f64;
        let part = done / (done + (first.departs - now) as f64);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below hits")]
        let gone = (part * f64::from(first.page.hits)) as u32;
        self.hits_here - gone.min(u32::from(first.page.hits) - 1)
    }

    /// The time for which it was ever busy, in nanoseconds.
    pub(super) const fn busy_nanos(&self, now: u64) -> u64 {
        self.accepted_nanos.saturating_sub(self.last_departure.saturating_sub(now))
    }

    /// It works so many times as fast as it can from now on: what is left of the work that is here takes
    /// as much longer or shorter. `tell` hears of each page that leaves at another time; `shifts` gets when
    /// their clients' next clicks move, by [`super::queue::Entry::chance`].
    pub(super) fn set_speed(
        &mut self,
        now: u64,
        speed: f64,
        shifts: &mut BTreeMap<u64, Shift>,
        tell: &mut dyn FnMut(&Page, Shift),
    ) {
        self.forget(now);
        let ratio = self.speed / speed;
        self.speed = speed;
        self.hit_nanos_now = self.hit_nanos / speed;
        if ratio == 1.0 || self.here.is_empty() {
            return;
        }
        let busy = self.busy_nanos(now);
        #[expect(clippy::cast_possible_truncation, reason = "saturates")]
        let scaled = |time: i64| (time as f64 * ratio) as i64;
        let moved =
            |time: u64| now.saturating_add_signed(scaled(time.cast_signed() - now.cast_signed()));
        for stay in &mut self.here {
            let shift = Shift { from: stay.departs, to: moved(stay.departs).max(now + 1) };
            stay.departs = shift.to;
            // So that the part of it that is done stays the same.
            let begins = now.cast_signed().saturating_sub(stay.begins);
            stay.begins = now.cast_signed().saturating_sub(scaled(begins));
            shifts.insert(stay.page.next, shift);
            tell(&stay.page, shift);
        }
        self.last_departure = moved(self.last_departure).max(now + 1);
        self.accepted_nanos = busy.saturating_add(self.last_departure - now);
    }

    /// It dies with all that is here; `tell` hears of each page that was.
    pub(super) fn kill(&mut self, now: u64, tell: &mut dyn FnMut(&Page)) {
        self.forget(now);
        self.accepted_nanos = self.busy_nanos(now);
        self.last_departure = now;
        self.here.drain(..).for_each(|stay| tell(&stay.page));
        self.hits_here = 0;
        self.presence = Presence::Killed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn page(hits: u16) -> Page {
        Page { hits, population: 0, is_measured: true, since: 0, next: hits as u64 }
    }

    #[test]
    fn what_waits_is_served_at_the_speed_of_the_moment() {
        let (mut server, mut generator) = (Server::new(10.0), Generator::new(1));
        let second = 1_000_000_000;
        for hits in [10, 20] {
            server.accept(0, page(hits), ServiceLaw::Constant, 40, &mut generator);
        }
        let (mut shifts, mut told) = (BTreeMap::new(), Vec::new());
        // Half a second of the first is done; what is left takes ten times as long.
        server.set_speed(second / 2, 0.1, &mut shifts, &mut |page, shift| {
            told.push((page.hits, page.response(shift.to)));
        });
        assert_eq!(told, [(10, 5.5), (20, 25.5)]);
        assert_eq!(shifts[&20], Shift { from: 3 * second, to: 25 * second + second / 2 });
        assert_eq!((server.length(second / 2 + 1), server.length(3 * second)), (25, 23));
        assert_eq!(server.busy_nanos(second / 2), second / 2);
        assert_eq!(server.busy_nanos(3 * second), 3 * second);
        // At its old speed again: 22.5 s of slow work are 2.25 s.
        server.set_speed(3 * second, 1.0, &mut shifts, &mut |_, _| {});
        assert_eq!(shifts[&20], Shift { from: 25_500_000_000, to: 5_250_000_000 });
        assert_eq!(server.length(3 * second), 23);
        assert_eq!(
            (server.length(5_250_000_000), server.busy_nanos(9 * second)),
            (0, 5_250_000_000)
        );
        assert_eq!(
            server.accept(5 * second, page(10), ServiceLaw::Constant, 40, &mut generator),
            Some(6_250_000_000)
        );
    }

    #[test]
    fn pages_leave_one_after_another() {
        let (mut server, mut generator) = (Server::new(10.0), Generator::new(1));
        let second = 1_000_000_000;
        let mut accept = |server: &mut Server, at: u64, hits| {
            server.accept(at, page(hits), ServiceLaw::Constant, 40, &mut generator)
        };
        assert_eq!(accept(&mut server, 0, 10), Some(second));
        assert_eq!(accept(&mut server, second / 2, 20), Some(3 * second));
        assert_eq!(server.length(second / 2 + 1), 25);
        assert_eq!(server.length(2 * second), 10);
        assert_eq!(server.busy_nanos(2 * second), 2 * second);
        assert_eq!(accept(&mut server, 2 * second, 25), None, "20 of 40 are still here");
        assert_eq!(accept(&mut server, 4 * second, 10), Some(5 * second));
        assert_eq!(server.busy_nanos(5 * second), 4 * second);
        assert_eq!((server.length(4 * second), server.length(5 * second)), (10, 0));
    }

    #[test]
    fn what_is_here_dies_with_it() {
        let (mut server, mut generator) = (Server::new(10.0), Generator::new(1));
        for _ in 0..3 {
            server.accept(0, page(10), ServiceLaw::Constant, 1000, &mut generator);
        }
        let mut lost = 0;
        server.kill(1_500_000_000, &mut |page| lost += page.hits);
        assert_eq!(lost, 20);
        assert_eq!(
            (server.length(1_500_000_000), server.busy_nanos(9_000_000_000)),
            (0, 1_500_000_000)
        );
    }
}
