//! A process's clocks: no two processes begin at the same time or agree on the time of day.

use walrus_core::world::Time;

/// The time of day at which runs begin, in Unix milliseconds.
const BEGIN_UNIX_MS: u64 = 1_700_000_000_000;

/// What a process takes for the time since its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProcessClock {
    begun: Time,
    shows: Time,
}

impl ProcessClock {
    /// Of a process that begins at `now`; its own time begins anywhere.
    pub(super) const fn new(now: Time, shows: Time) -> Self {
        Self { begun: now, shows }
    }

    /// Its own time.
    pub(super) fn own(&self, now: Time) -> Time {
        self.shows + now.since(self.begun)
    }

    /// When it is this by its own time.
    pub(super) fn of_all(&self, own: Time) -> Time {
        self.begun + own.since(self.shows)
    }
}

/// The time of day by a clock that is wrong by so much.
pub(super) fn unix_ms(now: Time, off_ms: i64) -> u64 {
    (BEGIN_UNIX_MS + now.as_nanos() / 1_000_000).saturating_add_signed(off_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processs_time_runs_as_all_time_does() {
        let clock = ProcessClock::new(Time::from_secs(30), Time::from_secs(7000));
        assert_eq!(clock.own(Time::from_secs(32)), Time::from_secs(7002));
        assert_eq!(clock.of_all(Time::from_secs(7002)), Time::from_secs(32));
        assert_eq!(unix_ms(Time::from_secs(1), -1000), BEGIN_UNIX_MS);
    }
}
