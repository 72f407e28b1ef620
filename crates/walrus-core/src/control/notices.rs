//! Who must be told what, and when again (A18).
//!
//! A problem is told when it begins, again after `again` while it lasts, and once more when it is
//! over. Two bounds keep an unsteady network from raising a storm (thesis 6.1, phase one): a
//! problem that comes back is told at the soonest a minute after it was told last, and no more
//! than twenty notices go out at once, then one every three seconds, the gravest first. What is
//! held back is told later if it still holds, and not at all if it does not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Notice, NoticeKind};
use crate::world::Time;

/// The shortest time between two notices of the same problem.
const SAME_AGAIN_MIN: Duration = Duration::from_secs(60);

/// Notices that may go out at once, and the time after which one more may.
const BURST: u32 = 20;
const REFILL: Duration = Duration::from_secs(3);

/// The gravest first.
const ORDER: [NoticeKind; 3] = [NoticeKind::NobodyFunctions, NoticeKind::Panic, NoticeKind::Dead];

/// One problem that holds now.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) kind: NoticeKind,
    /// The server's or service's name.
    pub(super) subject: String,
    pub(super) text: String,
    /// Not to be told before this.
    pub(super) due: Time,
}

/// All problems, bounded by the servers and services there are.
#[derive(Clone, Debug)]
pub(super) struct Notices {
    table: BTreeMap<(NoticeKind, String), Entry>,
    /// An unchanged problem is told again after this.
    again: Duration,
    /// When the first of the table is due; kept, for it is asked for at every input.
    next: Option<Time>,
    tokens: u32,
    refilled: Time,
}

#[derive(Clone, Debug)]
struct Entry {
    text: String,
    due: Time,
    holds: bool,
    /// Its beginning was told, and its end was not.
    open: bool,
    told: Option<Time>,
    repeated: u32,
}

impl Notices {
    pub(super) fn new(again: Duration, now: Time) -> Self {
        let again = again.max(SAME_AGAIN_MIN);
        Self { table: BTreeMap::new(), again, next: None, tokens: BURST, refilled: now }
    }

    /// Changes after how long an unchanged problem is told again.
    pub(super) fn set_again(&mut self, again: Duration) {
        self.again = again.max(SAME_AGAIN_MIN);
        self.find_next();
    }

    /// Takes over which problems hold now: all of them, those not named are over.
    pub(super) fn set(&mut self, problems: Vec<Problem>, now: Time) {
        for entry in self.table.values_mut() {
            entry.holds = false;
        }
        for Problem { kind, subject, text, due } in problems {
            let entry = self.table.entry((kind, subject)).or_insert_with(|| Entry {
                text: String::new(),
                due,
                holds: true,
                open: false,
                told: None,
                repeated: 0,
            });
            entry.holds = true;
            entry.text = text;
            if !entry.open {
                entry.due = entry.told.map_or(due, |told| due.max(told + SAME_AGAIN_MIN));
            }
        }
        self.forget(now);
        self.find_next();
    }

    /// Ends problems of what is no longer configured, without a word.
    pub(super) fn retain(&mut self, exists: impl Fn(NoticeKind, &str) -> bool) {
        self.table.retain(|(kind, subject), _| exists(*kind, subject));
        self.find_next();
    }

    /// The next notice that is due, if any: call until `None`.
    pub(super) fn take(&mut self, now: Time) -> Option<Notice> {
        self.next.filter(|at| *at <= now)?;
        self.refill(now);
        if self.tokens == 0 {
            return None;
        }
        let due = |kind: &NoticeKind| {
            self.table.iter().find(|((of, _), entry)| {
                of == kind && entry.at(self.again).is_some_and(|at| at <= now)
            })
        };
        let key = ORDER.iter().find_map(due)?.0.clone();
        let entry = self.table.get_mut(&key)?;
        let recovered = !entry.holds;
        let repeated = entry.repeated;
        entry.open = !recovered;
        entry.repeated = if recovered { 0 } else { repeated + 1 };
        if !recovered {
            entry.told = Some(now);
        }
        let (kind, subject) = key;
        let notice = Notice { kind, subject, text: entry.text.clone(), recovered, repeated };
        self.tokens -= 1;
        self.find_next();
        Some(notice)
    }

    /// When a notice is due next.
    pub(super) fn next(&self) -> Option<Time> {
        let token = if self.tokens == 0 { self.refilled + REFILL } else { Time::ZERO };
        self.next.map(|first| first.max(token))
    }

    fn find_next(&mut self) {
        self.next = self.table.values().filter_map(|entry| entry.at(self.again)).min();
    }

    /// Problems that were told of and hold.
    pub(super) fn open(&self) -> impl Iterator<Item = Notice> {
        self.table.iter().filter(|(_, entry)| entry.open).map(|((kind, subject), entry)| Notice {
            kind: *kind,
            subject: subject.clone(),
            text: entry.text.clone(),
            recovered: false,
            repeated: entry.repeated.saturating_sub(1),
        })
    }

    fn refill(&mut self, now: Time) {
        if self.tokens >= BURST {
            self.refilled = now;
            return;
        }
        let more = now.since(self.refilled).as_nanos() / REFILL.as_nanos();
        let more = u32::try_from(more).unwrap_or(BURST).min(BURST - self.tokens);
        self.tokens += more;
        self.refilled += REFILL * more;
    }

    /// What is over and told, or was never told, is forgotten as soon as it bars nothing.
    fn forget(&mut self, now: Time) {
        self.table.retain(|_, entry| {
            let barring = entry.told.is_some_and(|told| now.since(told) < SAME_AGAIN_MIN);
            entry.holds || entry.open || barring
        });
    }
}

impl Entry {
    /// When it is to be told next.
    fn at(&self, again: Duration) -> Option<Time> {
        match (self.holds, self.open, self.told) {
            (true, false, _) => Some(self.due),
            (true, true, Some(told)) => Some(told + again),
            (false, true, _) => Some(Time::ZERO),
            (true, true, None) | (false, false, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn panic(subject: &str) -> Problem {
        Problem {
            kind: NoticeKind::Panic,
            subject: subject.to_owned(),
            text: "web server dead".to_owned(),
            due: Time::ZERO,
        }
    }

    /// What is told at these seconds, with the problem holding or not.
    fn run(steps: &[(u64, bool)]) -> Vec<(u64, bool, u32)> {
        let mut notices = Notices::new(HOUR, Time::ZERO);
        let mut told = Vec::new();
        for (secs, holds) in steps {
            let now = Time::from_secs(*secs);
            notices.set(if *holds { vec![panic("fra1")] } else { Vec::new() }, now);
            while let Some(notice) = notices.take(now) {
                told.push((*secs, notice.recovered, notice.repeated));
            }
        }
        told
    }

    #[test]
    fn a18_told_at_the_edge_again_after_an_hour_and_at_the_end() {
        let steps =
            [(0, true), (10, true), (3599, true), (3600, true), (3700, false), (3800, false)];
        assert_eq!(run(&steps), [(0, false, 0), (3600, false, 1), (3700, true, 2)]);
    }

    #[test]
    fn a_problem_that_comes_and_goes_is_told_once_a_minute() {
        let steps = [(0, true), (5, false), (10, true), (20, false), (30, true), (60, true)];
        assert_eq!(run(&steps), [(0, false, 0), (5, true, 1), (60, false, 0)]);
    }

    #[test]
    fn a_storm_is_spread_and_loses_nothing_that_holds() {
        let mut notices = Notices::new(HOUR, Time::ZERO);
        let mut problems: Vec<_> = (0..100).map(|index| panic(&format!("s{index}"))).collect();
        problems.push(Problem {
            kind: NoticeKind::NobodyFunctions,
            subject: "www.example.com".to_owned(),
            ..panic("")
        });
        notices.set(problems, Time::ZERO);
        let first = notices.take(Time::ZERO).unwrap();
        assert_eq!(first.kind, NoticeKind::NobodyFunctions, "the gravest first");
        let mut told = 1;
        let mut now = Time::ZERO;
        while now < Time::from_secs(600) {
            while notices.take(now).is_some() {
                told += 1;
            }
            assert!(told <= 20 + now.as_secs_f64() as usize / 3);
            now = notices.next().unwrap();
        }
        assert_eq!(told, 101);
    }
}
