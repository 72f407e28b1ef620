//! Which time signatures are made for, on a machine whose clock may jump.
//!
//! A signature dated by a wrong clock is bogus everywhere until it is made anew, and caches hold it.
//! So the clock of the wall is looked at beside the monotonic one: what they disagree about at once
//! is a jump. After a jump signing goes on with the time that the monotonic clock says, and the new
//! time is taken over when it has stood for [`CONFIRM`]. That costs nothing if the old time was
//! right, and little if the new one is: signatures outlive their renewal by days.

use std::time::Duration;

use crate::world::Time;

/// Clocks that differ by less agree: a step of NTP, or the drift of a machine that slept.
pub const JUMP: Duration = Duration::from_secs(3600);

/// How long a clock must stand where it jumped to before it is believed: longer than a time server
/// takes to correct its own mistake.
pub const CONFIRM: Duration = Duration::from_secs(600);

/// 1 January 2025 in seconds since 1970: a clock below was never set.
pub const EARLIEST: u64 = 1_735_689_600;

/// The time for signatures, in seconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlausibleTime {
    /// Believed, and when by the monotonic clock.
    believed: Option<(u64, Time)>,
    /// Where the clock jumped to, and when.
    jumped: Option<(u64, Time)>,
}

/// What a look at the clocks found, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockNews {
    /// The clock stands before [`EARLIEST`]: somebody must set it.
    NotSet,
    /// The clock jumped; signing goes on with the time before.
    Jumped {
        /// What it says, in seconds since 1970.
        to: u64,
        /// What signatures are made for.
        believed: u64,
    },
    /// The clock is back where it was expected.
    Back,
    /// The clock stood where it had jumped to, and is believed.
    Believed {
        /// What it says, in seconds since 1970.
        to: u64,
    },
}

impl PlausibleTime {
    /// The start of a process: `stored` is the last time that one before it believed, if known.
    /// Since then the clock may have run on for any time, but not back.
    #[must_use]
    pub fn begin(stored: Option<u64>, unix: u64, now: Time) -> Self {
        let believed = match stored {
            Some(stored) => Some(if unix >= stored { unix } else { stored }),
            None => (unix >= EARLIEST).then_some(unix),
        };
        Self { believed: believed.map(|believed| (believed, now)), jumped: None }
    }

    /// Looks at both clocks: the time to sign for, `None` if no clock was ever right, and what is
    /// new. `unix` is in seconds since 1970.
    pub fn look(&mut self, unix: u64, now: Time) -> (Option<u64>, Option<ClockNews>) {
        let expected = self.believed.map(|(then, at)| carried(then, at, now));
        if unix < EARLIEST {
            let was_told = self.jumped.is_some();
            self.jumped = Some((unix, now));
            return (expected, (!was_told).then_some(ClockNews::NotSet));
        }
        let Some(expected) = expected else {
            self.believe(unix, now);
            return (Some(unix), None);
        };
        if agree(unix, expected) {
            let news = self.jumped.is_some().then_some(ClockNews::Back);
            self.believe(unix, now);
            return (Some(unix), news);
        }
        match self.jumped {
            Some((to, at)) if to >= EARLIEST && agree(unix, carried(to, at, now)) => {
                if now.since(at) < CONFIRM {
                    return (Some(expected), None);
                }
                self.believe(unix, now);
                (Some(unix), Some(ClockNews::Believed { to: unix }))
            }
            _ => {
                self.jumped = Some((unix, now));
                (Some(expected), Some(ClockNews::Jumped { to: unix, believed: expected }))
            }
        }
    }

    fn believe(&mut self, unix: u64, now: Time) {
        *self = Self { believed: Some((unix, now)), jumped: None };
    }
}

/// A time of the wall as the monotonic clock carries it on.
fn carried(then: u64, at: Time, now: Time) -> u64 {
    then.saturating_add(now.since(at).as_secs())
}

fn agree(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= JUMP.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_800_000_000;

    fn at(secs: u64) -> Time {
        Time::from_secs(secs)
    }

    #[test]
    fn a_clock_that_runs_is_followed() {
        let mut time = PlausibleTime::begin(None, START, at(0));
        for (secs, drift) in [(1, 0), (3600, 10), (7200, 20), (7201, 3000)] {
            let unix = START + secs + drift;
            assert_eq!(time.look(unix, at(secs)), (Some(unix), None));
        }
    }

    #[test]
    fn a_jump_is_told_once_and_believed_when_it_stands() {
        for to in [START + 100_000, START - 100_000] {
            let mut time = PlausibleTime::begin(None, START, at(0));
            let jumped = Some(ClockNews::Jumped { to: to + 10, believed: START + 10 });
            assert_eq!(time.look(to + 10, at(10)), (Some(START + 10), jumped));
            assert_eq!(time.look(to + 600, at(600)), (Some(START + 600), None));
            let believed = Some(ClockNews::Believed { to: to + 610 });
            assert_eq!(time.look(to + 610, at(610)), (Some(to + 610), believed));
            assert_eq!(time.look(to + 700, at(700)), (Some(to + 700), None));
        }
    }

    #[test]
    fn a_jump_there_and_back_changes_nothing() {
        let mut time = PlausibleTime::begin(None, START, at(0));
        assert!(matches!(time.look(START * 2, at(1)), (_, Some(ClockNews::Jumped { .. }))));
        assert_eq!(time.look(START + 2, at(2)), (Some(START + 2), Some(ClockNews::Back)));
        assert_eq!(time.look(START + 3, at(3)), (Some(START + 3), None));
        // A clock that jumps again and again is never believed.
        for secs in 10..2000 {
            let (believed, _) = time.look(START + secs * 10_000, at(secs));
            assert_eq!(believed, Some(START + secs));
        }
    }

    #[test]
    fn a_clock_that_was_never_set_signs_nothing_and_one_that_lost_its_time_goes_on_from_the_store()
    {
        let mut time = PlausibleTime::begin(None, 100, at(0));
        assert_eq!(time.look(100, at(0)), (None, Some(ClockNews::NotSet)));
        assert_eq!(time.look(5000, at(4900)), (None, None));
        assert_eq!(time.look(START, at(5000)), (Some(START), None));
        let mut time = PlausibleTime::begin(Some(START), 100, at(0));
        assert_eq!(time.look(100, at(0)), (Some(START), Some(ClockNews::NotSet)));
        assert_eq!(time.look(2100, at(2000)), (Some(START + 2000), None), "never believed");
        let mut time = PlausibleTime::begin(Some(START), START + 1_000_000, at(0));
        let later = START + 1_000_001;
        assert_eq!(time.look(later, at(1)), (Some(later), None), "it may have been off for long");
    }
}
