//! From what is known of a server to its state of life: a pure function of observations and time.
//!
//! A server counts as dead for whom *any* configured source (Reporter, probe) says so; one
//! without a source is up. BYPASS and PANIC take it out as death does (thesis 6.1, phase one), a
//! drain too; where several hold, the worst is told.
//!
//! *A Reporter* is silent when `missed_units` of its own units, and half a second in which a
//! report may be late, have passed since its last one (A17), by this Controller's clock (A16). Its
//! closed connection counts as silence after half a second, so that it may connect again. Three
//! TEMPFAILs in a row count as silence (A15); TEMPFAIL before any statistics as BYPASS (A14).
//!
//! *A probe's target* is neither up nor down until `rise` successes or `fall` failures in a row.
//!
//! *At the start* nothing counts as dead before one full detection time has passed, reckoned
//! with the time of a round for a Reporter whose unit is not known yet (A23: a round is at least a
//! unit). Until a source has spoken, what the stored Plan says of the server goes on; without
//! one it counts as up.
//!
//! Silence is told apart from what was said, because silence of all together is another matter
//! ([`super::silence`]).

use std::time::Duration;

use super::heard::{Answer, Heard};
use crate::world::{Life, Time};

/// How late a report may be beyond its units.
const LATE: Duration = Duration::from_millis(500);

/// How long a Reporter whose connection closed may take to come back.
const RECONNECT: Duration = Duration::from_millis(500);

/// What a source says, and until when that holds if it says nothing else.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) life: Life,
    /// For people; empty for a living server.
    pub(super) reason: String,
    /// When it changes by the passing of time alone.
    pub(super) until: Option<Time>,
    /// Nothing speaks against it but that it is no longer heard or seen, since this last sign of life.
    pub(super) silent: Option<Time>,
}

impl Verdict {
    pub(super) const LIVING: Self =
        Self { life: Life::Living, reason: String::new(), until: None, silent: None };

    pub(super) fn out(life: Life, reason: impl Into<String>) -> Self {
        Self { life, reason: reason.into(), until: None, silent: None }
    }

    pub(super) fn silent(reason: impl Into<String>, last_sign: Time) -> Self {
        Self { silent: Some(last_sign), ..Self::out(Life::Dead, reason) }
    }

    /// The worse of both, until either changes.
    pub(super) fn and(self, other: Self) -> Self {
        let until = match (self.until, other.until) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        // Silence is all there is only if neither says anything else.
        let silent = match (self.silent, other.silent) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one
                .filter(|_| other.life == Life::Living)
                .or(two.filter(|_| self.life == Life::Living)),
        };
        let worse = if other.life > self.life { other } else { self };
        Self { until, silent, ..worse }
    }
}

/// The settings that detection works by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) missed_units: u32,
    pub(super) tempfail_rounds: u32,
    /// Stands for the unit of a Reporter that was never heard.
    pub(super) round: Duration,
}

/// What the Reporter of a server says, known to this Controller since `since`.
pub(super) fn by_reporter(
    heard: Option<&Heard>,
    prior: Option<&Verdict>,
    since: Time,
    rules: Rules,
    now: Time,
) -> Verdict {
    let (Some(heard), Some(at)) = (heard, heard.and_then(|heard| heard.at)) else {
        let end = since + detection(rules.round, rules);
        if now >= end {
            return Verdict::silent("its Reporter has never been heard", since);
        }
        return Verdict { until: Some(end), ..prior.cloned().unwrap_or(Verdict::LIVING) };
    };
    let detection = detection(heard.unit, rules);
    let (dead_at, reason) = reporter_dead_at(heard, at, detection, rules);
    let dead_at = dead_at.max(since + detection);
    if now >= dead_at {
        // What said BYPASS, PANIC or TEMPFAIL too often last was out before it fell silent.
        let was_well = matches!(heard.answer, Some(Answer::Statistics(_)));
        let only_silent = was_well && heard.tempfails < rules.tempfail_rounds.max(1);
        let silent = only_silent.then_some(at);
        return Verdict { silent, ..Verdict::out(Life::Dead, reason) };
    }
    let verdict = match &heard.answer {
        Some(Answer::Statistics(_)) => Verdict::LIVING,
        Some(Answer::Bypass(reason)) => Verdict::out(Life::Bypass, format!("BYPASS: {reason}")),
        Some(Answer::Panic(reason)) => Verdict::out(Life::Panic, format!("PANIC: {reason}")),
        None => {
            let reason = format!("TEMPFAIL before any statistics: {}", heard.tempfail_reason);
            Verdict::out(Life::Bypass, reason)
        }
    };
    Verdict { until: Some(dead_at), ..verdict }
}

/// How long a Reporter of this unit may be silent.
pub(super) fn detection(unit: Duration, rules: Rules) -> Duration {
    unit.saturating_mul(rules.missed_units.max(1)) + LATE
}

/// When it counts as dead if nothing more is heard, and why.
fn reporter_dead_at(heard: &Heard, at: Time, detection: Duration, rules: Rules) -> (Time, String) {
    let unit = heard.unit;
    let mut first = (at + detection, format!("no report for {} x {unit:?}", rules.missed_units));
    if let Some(gone) = heard.gone {
        let end = gone + RECONNECT;
        if end < first.0 {
            first = (end, "its Reporter's connection closed".to_owned());
        }
    }
    if heard.tempfails >= rules.tempfail_rounds.max(1) {
        let text =
            format!("TEMPFAIL {} times in a row: {}", heard.tempfails, heard.tempfail_reason);
        first = (at, text);
    }
    first
}

/// How a probe's target stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Not enough results yet.
    Unseen,
    Up,
    /// And why, for people.
    Down(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Report, ReportBody, Statistics};

    const RULES: Rules =
        Rules { missed_units: 2, tempfail_rounds: 3, round: Duration::from_secs(60) };

    fn heard(bodies: &[(u64, ReportBody)]) -> Heard {
        let mut heard = Heard::default();
        for (sequence, (secs, body)) in bodies.iter().enumerate() {
            let report = Report {
                server: "fra1".parse().unwrap(),
                session: 1,
                sequence: sequence as u64 + 1,
                unit_ms: 10_000,
                sent_unix_ms: 0,
                version: None,
                body: body.clone(),
                requests: None,
            };
            heard.take(report, Time::from_secs(*secs)).unwrap();
        }
        heard
    }

    fn life(heard: &Heard, millis: u64) -> Life {
        by_reporter(Some(heard), None, Time::ZERO, RULES, Time::from_millis(millis)).life
    }

    fn statistics() -> ReportBody {
        ReportBody::Statistics(Statistics::default())
    }

    fn tempfail() -> ReportBody {
        ReportBody::TempFail { reason: "starting".to_owned() }
    }

    #[test]
    fn a17_silence_kills_after_the_missed_units() {
        let heard = heard(&[(100, statistics())]);
        assert_eq!(life(&heard, 120_499), Life::Living);
        assert_eq!(life(&heard, 120_500), Life::Dead);
        let one = Rules { missed_units: 1, ..RULES };
        let at = |millis| {
            by_reporter(Some(&heard), None, Time::ZERO, one, Time::from_millis(millis)).life
        };
        assert_eq!((at(110_499), at(110_500)), (Life::Living, Life::Dead));
    }

    #[test]
    fn a14_tempfail_before_any_statistics_is_as_bypass() {
        assert_eq!(life(&heard(&[(100, tempfail())]), 101_000), Life::Bypass);
        assert_eq!(life(&heard(&[(90, statistics()), (100, tempfail())]), 101_000), Life::Living);
    }

    #[test]
    fn a15_tempfail_for_ever_is_silence() {
        let two = [(100, statistics()), (110, tempfail()), (120, tempfail())];
        assert_eq!(life(&heard(&two), 121_000), Life::Living);
        let three = [&two[..], &[(130, tempfail())]].concat();
        assert_eq!(life(&heard(&three), 131_000), Life::Dead);
        let over = [&three[..], &[(140, statistics())]].concat();
        assert_eq!(life(&heard(&over), 141_000), Life::Living);
    }

    #[test]
    fn tempfail_ends_no_panic() {
        let panic = ReportBody::Panic { reason: "web server dead".to_owned() };
        assert_eq!(life(&heard(&[(100, panic), (110, tempfail())]), 111_000), Life::Panic);
    }

    #[test]
    fn a_closed_connection_kills_within_a_second() {
        let mut heard = heard(&[(100, statistics())]);
        assert!(heard.disconnected(1, Time::from_secs(101)));
        assert_eq!(life(&heard, 101_499), Life::Living);
        assert_eq!(life(&heard, 101_500), Life::Dead);
    }

    #[test]
    fn nothing_is_dead_before_one_detection_time_after_the_start() {
        let start = Time::from_secs(1000);
        let at = |heard: Option<&Heard>, prior: Option<&Verdict>, secs| {
            by_reporter(heard, prior, start, RULES, Time::from_secs(secs)).life
        };
        assert_eq!(at(None, None, 1120), Life::Living);
        assert_eq!(at(None, None, 1121), Life::Dead, "two rounds and half a second");
        let mut heard = heard(&[(1001, statistics())]);
        heard.disconnected(1, Time::from_secs(1002));
        assert_eq!(at(Some(&heard), None, 1020), Life::Living);
        assert_eq!(at(Some(&heard), None, 1021), Life::Dead);
        let dead = Verdict::out(Life::Dead, "as stored");
        assert_eq!(at(None, Some(&dead), 1001), Life::Dead, "the stored Plan goes on");
    }

    #[test]
    fn the_worst_verdict_holds_until_the_first_change() {
        let probe = Verdict::silent("probe tcp: refused", Time::ZERO);
        let heard = heard(&[(100, statistics())]);
        let now = Time::from_secs(101);
        let both = by_reporter(Some(&heard), None, Time::ZERO, RULES, now).and(probe);
        assert_eq!(both.life, Life::Dead);
        assert_eq!(both.reason, "probe tcp: refused");
        assert_eq!(both.until, Some(Time::from_millis(120_500)));
    }

    #[test]
    fn silence_is_told_apart_from_what_was_said() {
        let silent = |bodies: &[(u64, ReportBody)]| {
            let verdict =
                by_reporter(Some(&heard(bodies)), None, Time::ZERO, RULES, Time::from_secs(1000));
            assert_eq!(verdict.life, Life::Dead);
            verdict.silent
        };
        let panic = ReportBody::Panic { reason: "disk".to_owned() };
        let last = Some(Time::from_secs(100));
        assert_eq!(silent(&[(100, statistics())]), last);
        assert_eq!(silent(&[(90, statistics()), (100, tempfail())]), last, "statistics in force");
        assert_eq!(silent(&[(90, statistics()), (100, panic)]), None);
        assert_eq!(silent(&[(100, tempfail())]), None);
        let late = Time::from_secs(1000);
        let never = by_reporter(None, None, Time::from_secs(7), RULES, late);
        assert_eq!(never.silent, Some(Time::from_secs(7)));
        for (other, expected) in [
            (Verdict::LIVING, Some(7)),
            (Verdict::silent("probe", Time::from_secs(3)), Some(3)),
            (Verdict::out(Life::Drained, "drained by an operator"), None),
            (Verdict::out(Life::Dead, "as stored"), None),
        ] {
            let expected = expected.map(Time::from_secs);
            assert_eq!(never.clone().and(other.clone()).silent, expected, "{other:?}");
            assert_eq!(other.clone().and(never.clone()).silent, expected, "{other:?}");
        }
    }
}
