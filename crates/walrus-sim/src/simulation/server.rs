//! Web servers as queues: one hit after another, first come, first served.
//!
//! When a page arrives it is known when its last hit leaves: after those before it (Lindley's
//! recursion), so departures are no events. What is still at the server is kept only for its length.

use std::collections::VecDeque;

use walrus_core::world::Generator;

use super::study::ServiceLaw;
use crate::system::ServerState;

/// A web server.
#[derive(Debug)]
pub(super) struct Server {
    /// Nanoseconds of a hit at full speed, on average.
    hit_nanos: f64,
    /// Many times this fast; 1 if nothing is wrong.
    pub(super) speed: f64,
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
    /// When its first hit is served.
    begins: u64,
    departs: u64,
    hits: u32,
}

impl Server {
    /// An idle one that serves so many hits a second.
    pub(super) fn new(capacity: f64) -> Self {
        Self {
            hit_nanos: 1e9 / capacity,
            speed: 1.0,
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
    #[inline]
    pub(super) fn accept(
        &mut self,
        now: u64,
        hits: u16,
        law: ServiceLaw,
        queue_max: u32,
        generator: &mut Generator,
    ) -> Option<u64> {
        self.forget(now);
        if self.hits_here + u32::from(hits) > queue_max && self.hits_here > 0 {
            return None;
        }
        let mean = self.hit_nanos / self.speed;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let work = (law.draw(hits, generator) * mean) as u64;
        let begins = self.last_departure.max(now);
        let departs = begins.saturating_add(work);
        self.last_departure = departs;
        self.accepted_nanos = self.accepted_nanos.saturating_add(work);
        self.hits += u64::from(hits);
        self.hits_here += u32::from(hits);
        self.here.push_back(Stay { begins, departs, hits: u32::from(hits) });
        Some(departs)
    }

    /// Lets pages go that have left.
    #[inline]
    fn forget(&mut self, now: u64) {
        while let Some(first) = self.here.front().filter(|first| first.departs <= now) {
            self.hits_here -= first.hits;
            self.here.pop_front();
        }
    }

    /// Hits that are here now, served or waiting. Of the page that is being served, hits count as leaving
    /// evenly over its time.
    pub(super) fn length(&mut self, now: u64) -> u32 {
        self.forget(now);
        let Some(first) = self.here.front().filter(|first| first.begins < now) else {
            return self.hits_here;
        };
        let part = (now - first.begins) as f64 / (first.departs - first.begins) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below hits")]
        let gone = (part * f64::from(first.hits)) as u32;
        self.hits_here - gone.min(first.hits - 1)
    }

    /// The time for which it was ever busy, in nanoseconds.
    pub(super) const fn busy_nanos(&self, now: u64) -> u64 {
        self.accepted_nanos.saturating_sub(self.last_departure.saturating_sub(now))
    }

    /// It dies with all that is here; says how many pages that were.
    pub(super) fn kill(&mut self, now: u64) -> u64 {
        self.forget(now);
        let lost = self.here.len() as u64;
        self.accepted_nanos = self.busy_nanos(now);
        self.last_departure = now;
        self.here.clear();
        self.hits_here = 0;
        self.presence = Presence::Killed;
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_leave_one_after_another() {
        let (mut server, mut generator) = (Server::new(10.0), Generator::new(1));
        let second = 1_000_000_000;
        let mut accept = |server: &mut Server, at: u64, hits| {
            server.accept(at, hits, ServiceLaw::Constant, 40, &mut generator)
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
            server.accept(0, 10, ServiceLaw::Constant, 1000, &mut generator);
        }
        assert_eq!(server.kill(1_500_000_000), 2);
        assert_eq!(
            (server.length(1_500_000_000), server.busy_nanos(9_000_000_000)),
            (0, 1_500_000_000)
        );
    }
}
