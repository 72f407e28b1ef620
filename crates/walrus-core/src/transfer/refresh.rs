//! When a secondary asks its primaries: by the timers of the zone's SOA record (RFC 1034 section
//! 4.3.5, RFC 1912 section 2.2), by NOTIFY (RFC 1996), and how long the last zone is served without.
//!
//! A primary is asked for its serial; if that is newer, for what changed since (IXFR), and for the
//! whole zone (AXFR) if there is none yet or a difference did not fit. If one fails the next is asked;
//! if all did, after the retry time. Times have a jitter, so that many zones are not asked for at once.

use std::time::Duration;

use super::is_newer;
use crate::world::{Generator, Time};

/// Never asked more often than this, whatever the SOA record says: one of zeros would have us ask
/// without end.
const BETWEEN_MIN: Duration = Duration::from_secs(1);
/// Never asked less often.
const BETWEEN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The first wait where no zone has come yet; it doubles.
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// The longest of these.
const FIRST_RETRY_MAX: Duration = Duration::from_secs(300);
/// A tenth of a wait is left to chance.
const JITTER: f64 = 0.1;

/// The timers of a SOA record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoaTimers {
    /// The zone's serial.
    pub serial: u32,
    /// Between two questions.
    pub refresh: Duration,
    /// Between two questions after a failure.
    pub retry: Duration,
    /// For so long the zone is served after the last good answer.
    pub expire: Duration,
}

impl SoaTimers {
    /// For how long the zone is served after a good answer: never less than until it is asked for again
    /// twice, whatever the SOA record says.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        let [refresh, retry] =
            [self.refresh, self.retry].map(|wait| wait.clamp(BETWEEN_MIN, BETWEEN_MAX));
        self.expire.max(refresh + retry)
    }

    /// The timers in a SOA record's data.
    #[must_use]
    pub fn read(data: &[u8]) -> Option<Self> {
        let numbers = data.last_chunk::<20>()?;
        let number = |at: usize| {
            let bytes = [numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]];
            u32::from_be_bytes(bytes)
        };
        let seconds = |at: usize| Duration::from_secs(number(at).into());
        Some(Self {
            serial: number(0),
            refresh: seconds(4),
            retry: seconds(8),
            expire: seconds(12),
        })
    }
}

/// A zone that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Of its SOA record.
    pub timers: SoaTimers,
    /// When a primary last said that it is the newest.
    pub checked: Time,
}

/// What is to be asked of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Its serial.
    Serial {
        /// Its place among the primaries.
        primary: usize,
    },
    /// What changed since a serial.
    Since {
        /// Its place among the primaries.
        primary: usize,
        /// The serial that is here.
        serial: u32,
    },
    /// The whole zone.
    Whole {
        /// Its place among the primaries.
        primary: usize,
        /// The serial that is here, if any.
        held: Option<u32>,
    },
}

impl Attempt {
    /// Whom it is asked of.
    #[must_use]
    pub const fn primary(self) -> usize {
        match self {
            Self::Serial { primary }
            | Self::Since { primary, .. }
            | Self::Whole { primary, .. } => primary,
        }
    }
}

/// One zone's times.
#[derive(Clone, Debug)]
pub struct Refresh {
    primaries: usize,
    held: Option<Held>,
    generator: Generator,
    /// When the next round begins.
    due: Time,
    /// What is to be asked now.
    attempt: Option<Attempt>,
    /// Primaries that failed in this round.
    failed: usize,
    /// Rounds that failed one after the other.
    failed_rounds: u32,
    /// When the last round began.
    begun: Option<Time>,
    /// A NOTIFY came while something was asked.
    again: Option<usize>,
    /// Whom the next round begins with.
    first: usize,
}

impl Refresh {
    /// For a zone with so many primaries; `held` is the zone that is here, if any: it is asked about
    /// at once, for nobody knows what happened meanwhile.
    #[must_use]
    pub const fn new(primaries: usize, held: Option<Held>, now: Time, seed: u64) -> Self {
        Self {
            primaries,
            held,
            generator: Generator::new(seed),
            due: now,
            attempt: None,
            failed: 0,
            failed_rounds: 0,
            begun: None,
            again: None,
            first: 0,
        }
    }

    /// The zone that is here.
    #[must_use]
    pub const fn held(&self) -> Option<Held> {
        self.held
    }

    /// When [`Self::next`] has something to ask; nothing while something is being asked.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        (self.attempt.is_none() && self.primaries > 0).then_some(self.due)
    }

    /// When the zone that is here is too old to be served.
    #[must_use]
    pub fn expires(&self) -> Option<Time> {
        self.held.map(|held| held.checked + held.timers.lifetime())
    }

    /// Whether it is. The zone is then no longer here for all that follows: the next one is taken
    /// whole, whatever its serial.
    pub fn expire(&mut self, now: Time) -> bool {
        let is_over = self.expires().is_some_and(|expires| expires <= now);
        if is_over {
            self.held = None;
            // Nothing is there that could be waited with.
            self.failed_rounds = 0;
            self.due = self.due.min(now);
        }
        is_over
    }

    /// What to ask now, if it is time. It is followed by one of [`Self::serial_is`],
    /// [`Self::arrived`], [`Self::does_not_fit`] and [`Self::failed`].
    pub fn next(&mut self, now: Time) -> Option<Attempt> {
        if self.attempt.is_some() || self.due > now || self.primaries == 0 {
            return None;
        }
        self.begun = Some(now);
        self.failed = 0;
        self.attempt = Some(self.ask(self.first));
        self.attempt
    }

    /// What follows in this round; `None` if it is over.
    #[must_use]
    pub const fn attempt(&self) -> Option<Attempt> {
        self.attempt
    }

    fn ask(&self, primary: usize) -> Attempt {
        match self.held {
            Some(_) => Attempt::Serial { primary },
            None => Attempt::Whole { primary, held: None },
        }
    }

    /// A primary said its serial. What is older than here is a failure.
    pub fn serial_is(&mut self, serial: u32, now: Time) {
        let Some(attempt) = self.attempt else { return };
        match &mut self.held {
            Some(held) if serial == held.timers.serial => {
                held.checked = now;
                self.finish(now);
            }
            Some(held) if is_newer(serial, held.timers.serial) => {
                let (primary, serial) = (attempt.primary(), held.timers.serial);
                self.attempt = Some(Attempt::Since { primary, serial });
            }
            Some(_) => self.failed(now),
            None => self.attempt = Some(self.ask(attempt.primary())),
        }
    }

    /// A zone came, or `None`: what is here is the newest.
    pub fn arrived(&mut self, timers: Option<SoaTimers>, now: Time) {
        match (timers, &mut self.held) {
            (Some(timers), _) => self.held = Some(Held { timers, checked: now }),
            (None, Some(held)) => held.checked = now,
            (None, None) => return self.failed(now),
        }
        self.finish(now);
    }

    /// A difference came that does not fit, or the primary has none: the whole zone is asked for.
    pub fn does_not_fit(&mut self) {
        if let Some(attempt) = self.attempt {
            let held = self.held.map(|held| held.timers.serial);
            self.attempt = Some(Attempt::Whole { primary: attempt.primary(), held });
        }
    }

    /// The primary that was asked failed: the next one is asked, or all are after a while.
    pub fn failed(&mut self, now: Time) {
        let Some(attempt) = self.attempt else { return };
        self.failed += 1;
        if self.failed < self.primaries {
            let next = (attempt.primary() + 1) % self.primaries;
            self.attempt = Some(self.ask(next));
            return;
        }
        self.failed_rounds = self.failed_rounds.saturating_add(1);
        let wait = match self.held {
            Some(held) => held.timers.retry,
            None => (FIRST_RETRY * (1 << (self.failed_rounds - 1).min(10))).min(FIRST_RETRY_MAX),
        };
        self.first = 0;
        self.wait(wait, now);
    }

    /// A primary told of a change, and perhaps of its serial: it is asked at once, unless what it
    /// tells of is here. However often it tells, it is asked once a second.
    pub fn notified(&mut self, primary: usize, serial: Option<u32>, now: Time) {
        let is_known =
            |serial: u32| self.held.is_some_and(|held| !is_newer(serial, held.timers.serial));
        if primary >= self.primaries || serial.is_some_and(is_known) {
            return;
        }
        if self.attempt.is_some() {
            self.again = Some(primary);
            return;
        }
        self.first = primary;
        let soonest = self.begun.map_or(now, |begun| begun + BETWEEN_MIN);
        self.due = self.due.min(soonest.max(now));
    }

    fn finish(&mut self, now: Time) {
        self.failed_rounds = 0;
        let wait = self.held.map_or(FIRST_RETRY, |held| held.timers.refresh);
        self.first = 0;
        self.wait(wait, now);
    }

    fn wait(&mut self, wait: Duration, now: Time) {
        let wait = wait.clamp(BETWEEN_MIN, BETWEEN_MAX);
        self.due = now + wait.mul_f64(1.0 - JITTER * self.generator.share());
        self.attempt = None;
        if let Some(primary) = self.again.take() {
            self.first = primary;
            self.due = self.due.min(now + BETWEEN_MIN);
        }
    }
}
