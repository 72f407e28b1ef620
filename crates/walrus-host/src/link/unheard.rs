//! When a Reporter says that nobody hears it: its server counts as silent meanwhile, and only this machine's
//! log may still be within reach of whoever looks for the reason.

use std::time::Duration;

use walrus_core::world::Time;

/// So many units without a report taken in are told; a Controller has by then missed as many.
const TOLD_UNITS: u32 = 3;
/// Between two lines while it lasts.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How long no Controller has taken a report in, and what was said of it.
#[derive(Debug)]
pub(super) struct Unheard {
    /// The last report taken in, or the start.
    since: Time,
    /// When it was told last, if it lasts.
    told_at: Option<Time>,
}

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// For so long no report was taken in.
    Unheard(Duration),
    /// Reports are taken in again, after so long.
    HeardAgain(Duration),
}

impl Unheard {
    /// A link begins.
    pub(super) const fn new(now: Time) -> Self {
        Self { since: now, told_at: None }
    }

    /// To be called with each report. `taken_at`: when a report was taken in last; `unit`: between two.
    pub(super) fn look(
        &mut self,
        now: Time,
        taken_at: Option<Time>,
        unit: Duration,
    ) -> Option<News> {
        if let Some(taken_at) = taken_at.filter(|at| *at > self.since) {
            let lasted = taken_at.since(self.since);
            self.since = taken_at;
            if self.told_at.take().is_some() {
                return Some(News::HeardAgain(lasted));
            }
        }
        let lasts = now.since(self.since);
        let is_due = self.told_at.is_none_or(|told_at| now.since(told_at) >= TOLD_EVERY);
        if lasts <= unit * TOLD_UNITS || !is_due {
            return None;
        }
        self.told_at = Some(now);
        Some(News::Unheard(lasts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_after_three_units_each_minute_and_once_when_it_is_over() {
        const UNIT: Duration = Duration::from_secs(5);
        let at = Time::from_secs;
        let mut unheard = Unheard::new(at(100));
        let mut said = Vec::new();
        for second in (100..400).step_by(5) {
            // Taken in at the start, not from 120 on, and again from 300 on.
            let taken = match second {
                ..120 => second,
                120..300 => 115,
                _ => second,
            };
            if let Some(news) = unheard.look(at(second), Some(at(taken)), UNIT) {
                said.push((second, news));
            }
        }
        let unheard_for = |seconds| News::Unheard(Duration::from_secs(seconds));
        let over = News::HeardAgain(Duration::from_secs(185));
        let expected =
            [(135, unheard_for(20)), (195, unheard_for(80)), (255, unheard_for(140)), (300, over)];
        assert_eq!(said, expected);
    }

    #[test]
    fn never_heard_counts_from_the_start() {
        let mut unheard = Unheard::new(Time::from_secs(7));
        let unit = Duration::from_secs(1);
        assert_eq!(unheard.look(Time::from_secs(10), None, unit), None);
        let news = unheard.look(Time::from_secs(11), None, unit);
        assert_eq!(news, Some(News::Unheard(Duration::from_secs(4))));
    }
}
