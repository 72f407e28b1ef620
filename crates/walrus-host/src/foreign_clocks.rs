//! Whose clock is far from this node's: for people. Nothing is decided by it.
//!
//! What comes late seems to be of a clock that is behind. So only what several messages in a row show is told, and of
//! these the one that shows least: a message that waited says more than is true, never less.

use std::collections::BTreeMap;
use std::time::Duration;

use walrus_core::world::Time;

/// What is told: signatures, certificates and logs are of no use with clocks that differ by much more.
pub const SKEW_MIN: Duration = Duration::from_secs(5);
/// Messages in a row.
const IN_A_ROW: u8 = 3;
/// Senders of whom this is known, as many as are heard at once.
const SENDERS_MAX: usize = 20_000;
/// Senders that the log tells of, all together: if more are off, it is this node's clock.
const LOGGED_MAX: usize = 20;
/// Whoever was silent for so long is told of no more.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// What is known of others' clocks: only of those that are off.
#[derive(Debug, Default)]
pub struct ForeignClocks {
    table: BTreeMap<String, Clock>,
}

#[derive(Debug)]
struct Clock {
    /// By how much it is ahead, the least of the last messages.
    skew_ms: i64,
    count: u8,
    heard_at: Time,
    is_logged: bool,
}

/// A clock that is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignClock {
    /// Whose: role and name.
    pub sender: String,
    /// By how much it is ahead of this node's; negative if it is behind.
    pub skew_ms: i64,
}

impl ForeignClock {
    /// In a sentence.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { sender, skew_ms } = self;
        format!(
            "the clock of {sender} is {} this node's: set both by NTP (`timedatectl status` tells which is wrong). \
             Nothing is decided by it, but certificates, TSIG, DNSSEC and times in logs need it",
            told(*skew_ms)
        )
    }
}

/// `5 h ahead of`.
#[must_use]
pub fn told(skew_ms: i64) -> String {
    let seconds = skew_ms.unsigned_abs() / 1000;
    let amount = match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    };
    format!("{amount} {}", if skew_ms < 0 { "behind" } else { "ahead of" })
}

impl ForeignClocks {
    /// A message came that was sent at `sent_unix_ms` by its sender's clock, and arrived at `unix_ms` by ours. Tells what
    /// to write into the log, once for each sender as long as it stays so.
    pub fn note(
        &mut self,
        sender: impl FnOnce() -> String,
        sent_unix_ms: u64,
        unix_ms: u64,
        now: Time,
    ) -> Option<String> {
        if sent_unix_ms == 0 {
            return None;
        }
        let skew = i128::from(sent_unix_ms) - i128::from(unix_ms);
        let skew_ms = i64::try_from(skew).unwrap_or(if skew < 0 { i64::MIN } else { i64::MAX });
        let is_off = u128::from(skew_ms.unsigned_abs()) > SKEW_MIN.as_millis();
        if !is_off && self.table.is_empty() {
            return None;
        }
        let sender = sender();
        if !is_off {
            self.table.remove(&sender);
            return None;
        }
        let is_full = self.table.len() >= SENDERS_MAX && !self.table.contains_key(&sender);
        if is_full {
            self.table.retain(|_, clock| now.since(clock.heard_at) < FORGOTTEN);
            if self.table.len() >= SENDERS_MAX {
                return None;
            }
        }
        let new = Clock { skew_ms, count: 0, heard_at: now, is_logged: false };
        let clock = self.table.entry(sender.clone()).or_insert(new);
        if (clock.skew_ms < 0) != (skew_ms < 0) {
            (clock.skew_ms, clock.count) = (skew_ms, 0);
        }
        clock.count = clock.count.saturating_add(1);
        clock.heard_at = now;
        if skew_ms.unsigned_abs() < clock.skew_ms.unsigned_abs() || clock.count > IN_A_ROW {
            clock.skew_ms = skew_ms;
        }
        if clock.count < IN_A_ROW || clock.is_logged {
            return None;
        }
        clock.is_logged = true;
        let skew_ms = clock.skew_ms;
        let is_logged = |clock: &&Clock| clock.is_logged && now.since(clock.heard_at) < FORGOTTEN;
        let logged = self.table.values().filter(is_logged).count();
        (logged <= LOGGED_MAX).then(|| ForeignClock { sender, skew_ms }.text())
    }

    /// Those that are off, of senders heard of late.
    pub fn off(&self, now: Time) -> impl Iterator<Item = ForeignClock> {
        let is_told =
            move |clock: &Clock| clock.count >= IN_A_ROW && now.since(clock.heard_at) < FORGOTTEN;
        let off = self.table.iter().filter(move |(_, clock)| is_told(clock));
        off.map(|(sender, clock)| ForeignClock { sender: sender.clone(), skew_ms: clock.skew_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    #[test]
    fn a_clock_that_is_off_is_told_of_after_three_messages_and_logged_once() {
        let mut clocks = ForeignClocks::default();
        let mut note = |sender: &str, sent: u64, second: u64| {
            let sender = sender.to_owned();
            clocks.note(|| sender, sent, NOW, Time::from_secs(second)).is_some()
        };
        let ahead = NOW + 5 * 3_600_000;
        assert!(!note("reporter a", ahead, 1));
        assert!(!note("reporter a", ahead + 300, 2));
        assert!(!note("reporter b", NOW - 6000, 2), "it came late");
        assert!(note("reporter a", ahead + 100, 3));
        assert!(!note("reporter a", ahead, 4), "once");
        assert!(!note("reporter b", NOW - 10, 4));
        assert!(!note("reporter c", 0, 4), "it does not say");
        let off: Vec<ForeignClock> = clocks.off(Time::from_secs(5)).collect();
        assert_eq!(off.len(), 1);
        let text = off[0].text();
        assert!(text.starts_with("the clock of reporter a is 5 h ahead of this node's"), "{text}");
        assert_eq!(clocks.off(Time::from_secs(604)).count(), 0, "it is silent");
    }

    #[test]
    fn those_that_are_forgotten_leave_the_log_to_others() {
        let mut clocks = ForeignClocks::default();
        let mut lines = |kind: &str, second: u64| {
            let mut note = |number: u64| {
                let sender = || format!("{kind} {number}");
                clocks.note(sender, NOW + 60_000, NOW, Time::from_secs(second)).is_some()
            };
            (0..90).filter(|index| note(index / 3)).count()
        };
        assert_eq!(lines("reporter", 1), LOGGED_MAX);
        assert_eq!(lines("director", 2), 0);
        assert_eq!(lines("controller", 1000), LOGGED_MAX);
    }

    #[test]
    fn amounts_are_told_in_the_unit_that_people_would_use() {
        for (skew_ms, text) in [
            (6000, "6 s ahead of"),
            (-121_000, "2 min behind"),
            (7_200_000, "2 h ahead of"),
            (i64::MIN, "106751991167 days behind"),
        ] {
            assert_eq!(told(skew_ms), text);
        }
    }
}
