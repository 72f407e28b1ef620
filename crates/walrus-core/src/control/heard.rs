//! What has been heard from one server's Reporter: the last answer, its age, its place in order.

use std::time::Duration;

use super::Refusal;
use crate::world::{Report, ReportBody, Statistics, Time};

/// The units that detection works with.
const UNIT_MIN: Duration = Duration::from_secs(1);
const UNIT_MAX: Duration = Duration::from_secs(300);

/// After so many units without a word a session no longer bars older ones. A Reporter names its
/// session by its clock: one that starts anew after its clock was set back would else be locked out while its
/// server counts as dead. A second Reporter of that server, or whoever holds its token, gains nothing that a
/// newer session would not give.
const SESSION_FORGOTTEN_UNITS: u32 = 4;

/// Statistics older than this many units are not used for the load (A16).
const STATISTICS_UNITS_MAX: u32 = 3;

/// Text kept from a Reporter, in characters: what a person reads, not what a sender can make us
/// hold.
const TEXT_MAX: usize = 200;

/// What one observer has heard from the Reporter of one server.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heard {
    session: u64,
    /// `None` while the session has only said hello.
    sequence: Option<u64>,
    /// How often it says that it reports; zero before the first report.
    pub(super) unit: Duration,
    /// When the last report came in, by the receiver's clock (A16); `None` before the first.
    pub(super) at: Option<Time>,
    /// The sender's clock then; decides nothing.
    pub(super) sent_unix_ms: u64,
    /// The data version that the site set.
    pub(super) version: Option<String>,
    /// The last answer that was not TEMPFAIL: TEMPFAIL keeps it in force (A14).
    pub(super) answer: Option<Answer>,
    /// TEMPFAILs since then.
    pub(super) tempfails: u32,
    /// Why the last of them.
    pub(super) tempfail_reason: String,
    connections: u32,
    /// Since when no connection is left.
    pub(super) gone: Option<Time>,
}

/// An answer that stays in force until the next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Statistics(Statistics),
    Bypass(String),
    Panic(String),
}

impl Heard {
    /// Session and sequence of the last report.
    pub(super) fn place(&self) -> (u64, u64) {
        (self.session, self.sequence.unwrap_or(0))
    }

    /// Takes a report in.
    ///
    /// # Errors
    /// If it is out of order, its unit is out of bounds, or a statistic is impossible.
    pub(super) fn take(&mut self, report: Report, now: Time) -> Result<(), Refusal> {
        let unit = report.unit();
        if !(UNIT_MIN..=UNIT_MAX).contains(&unit) {
            return Err(Refusal::Unit { unit });
        }
        if let ReportBody::Statistics(statistics) = &report.body {
            check(statistics)?;
        }
        self.check_place(&report, now)?;
        if report.session != self.session {
            self.connections = 0;
        }
        self.session = report.session;
        self.sequence = Some(report.sequence);
        self.unit = unit;
        self.at = Some(now);
        self.sent_unix_ms = report.sent_unix_ms;
        self.version = report.version.map(shorten);
        self.gone = None;
        self.tempfails = match report.body {
            ReportBody::TempFail { .. } => self.tempfails.saturating_add(1),
            _ => 0,
        };
        match report.body {
            ReportBody::Statistics(found) => self.answer = Some(Answer::Statistics(found)),
            ReportBody::Bypass { reason } => self.answer = Some(Answer::Bypass(shorten(reason))),
            ReportBody::Panic { reason } => self.answer = Some(Answer::Panic(shorten(reason))),
            ReportBody::TempFail { reason } => self.tempfail_reason = shorten(reason),
        }
        Ok(())
    }

    fn check_place(&self, report: &Report, now: Time) -> Result<(), Refusal> {
        let Some(at) = self.at else { return Ok(()) };
        if let Some(last) = self.sequence
            && report.session == self.session
            && report.sequence <= last
        {
            let (session, sequence) = (report.session, report.sequence);
            return Err(Refusal::OldSequence { session, sequence, last });
        }
        if report.session < self.session && now.since(at) < self.unit * SESSION_FORGOTTEN_UNITS {
            return Err(Refusal::OldSession {
                server: report.server.clone(),
                session: report.session,
                last: self.session,
            });
        }
        Ok(())
    }

    /// A connection came up. It is a sign of life, but no report; a newer session takes over
    /// with it, so that the end of its predecessor's connection is none of its own.
    pub(super) fn connected(&mut self, session: u64) {
        if self.at.is_none() || session > self.session {
            self.session = session;
            self.sequence = None;
            self.connections = 0;
        }
        if session == self.session {
            self.connections = self.connections.saturating_add(1);
            self.gone = None;
        }
    }

    /// A connection went; tells whether that was the last one of the session that reports.
    pub(super) fn disconnected(&mut self, session: u64, now: Time) -> bool {
        if self.at.is_none() || session != self.session {
            return false;
        }
        self.connections = self.connections.saturating_sub(1);
        if self.connections == 0 && self.gone.is_none() {
            self.gone = Some(now);
        }
        self.gone.is_some()
    }

    /// The statistics to judge the load by: none if the last report is too old (A16). TEMPFAIL
    /// keeps them in use (A14), for as long as A15 lets it.
    pub(super) fn statistics(&self, now: Time) -> Option<&Statistics> {
        let Answer::Statistics(statistics) = self.answer.as_ref()? else { return None };
        let fresh = now.since(self.at?) <= self.unit * STATISTICS_UNITS_MAX;
        fresh.then_some(statistics)
    }

    /// Requests a second by the last statistics; 0 if unknown.
    pub(super) fn hits_per_second(&self, now: Time) -> f64 {
        let Some(statistics) = self.statistics(now) else { return 0.0 };
        match (statistics.hits, statistics.duration_ms) {
            (Some(hits), millis) if millis > 0 => hits as f64 * 1000.0 / millis as f64,
            _ => 0.0,
        }
    }

    /// The last report in words.
    pub(super) fn says(&self) -> String {
        let answer = match &self.answer {
            None => "nothing yet".to_owned(),
            Some(Answer::Statistics(_)) => "statistics".to_owned(),
            Some(Answer::Bypass(reason)) => format!("BYPASS: {reason}"),
            Some(Answer::Panic(reason)) => format!("PANIC: {reason}"),
        };
        match self.tempfails {
            0 => answer,
            _ => format!("TEMPFAIL: {} (before that {answer})", self.tempfail_reason),
        }
    }
}

/// Cut to what a person reads.
pub(super) fn shorten(text: String) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

/// Refuses what no machine can have measured. A share may be a hair above 1, from rounding.
fn check(statistics: &Statistics) -> Result<(), Refusal> {
    let shares = [
        ("cpu_user", statistics.cpu_user),
        ("cpu_system", statistics.cpu_system),
        ("cpu_idle", statistics.cpu_idle),
        ("memory_pressure", statistics.memory_pressure),
    ];
    for (statistic, share) in shares {
        let Some(value) = share else { continue };
        // NaN is in no range.
        if !(0.0..=1.001).contains(&value) {
            return Err(Refusal::Statistic { statistic, value, expected: "between 0 and 1" });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(session: u64, sequence: u64, body: ReportBody) -> Report {
        Report {
            server: "fra1".parse().unwrap(),
            session,
            sequence,
            unit_ms: 1000,
            sent_unix_ms: 0,
            version: None,
            body,
            requests: None,
        }
    }

    fn idle(share: f64) -> ReportBody {
        ReportBody::Statistics(Statistics { cpu_idle: Some(share), ..Statistics::default() })
    }

    #[test]
    fn order_decides_what_is_taken() {
        let mut heard = Heard::default();
        let mut take = |session, sequence, secs| {
            heard.take(report(session, sequence, idle(0.5)), Time::from_secs(secs)).is_ok()
        };
        assert!(take(5, 3, 1));
        assert!(!take(5, 3, 2), "a repeat");
        assert!(!take(5, 2, 2), "a step back");
        assert!(take(5, 9, 3), "gaps are fine");
        assert!(!take(4, 100, 4), "an older session");
        assert!(take(6, 1, 5), "a newer session begins anew");
        assert!(!take(5, 10, 6), "and ends the older one");
        assert!(!take(1, 1, 8), "the newer one may still speak");
        assert!(take(1, 1, 5 + 4), "after four units of silence any session may begin");
    }

    #[test]
    fn impossible_numbers_are_refused_and_change_nothing() {
        let mut heard = Heard::default();
        for value in [f64::NAN, f64::INFINITY, -0.1, 1.5] {
            let refused = heard.take(report(1, 1, idle(value)), Time::ZERO).unwrap_err();
            assert!(matches!(refused, Refusal::Statistic { statistic: "cpu_idle", .. }));
        }
        for unit_ms in [0, 999, 300_001, u64::MAX] {
            let odd = Report { unit_ms, ..report(1, 1, idle(0.5)) };
            assert!(matches!(heard.take(odd, Time::ZERO), Err(Refusal::Unit { .. })));
        }
        assert_eq!(heard, Heard::default());
    }

    #[test]
    fn a14_tempfail_keeps_the_last_answer() {
        let mut heard = Heard::default();
        heard.take(report(1, 1, idle(0.25)), Time::from_secs(1)).unwrap();
        let fail = || ReportBody::TempFail { reason: "just started".to_owned() };
        heard.take(report(1, 2, fail()), Time::from_secs(2)).unwrap();
        heard.take(report(2, 1, fail()), Time::from_secs(3)).unwrap();
        assert_eq!(heard.tempfails, 2);
        assert_eq!(heard.statistics(Time::from_secs(3)).unwrap().cpu_idle, Some(0.25));
    }

    #[test]
    fn a16_age_is_by_the_receivers_clock_and_ends_after_three_units() {
        let mut heard = Heard::default();
        let skewed = Report { sent_unix_ms: u64::MAX, ..report(1, 1, idle(0.25)) };
        heard.take(skewed, Time::from_secs(10)).unwrap();
        assert!(heard.statistics(Time::from_secs(13)).is_some());
        assert!(heard.statistics(Time::from_millis(13_001)).is_none());
    }

    #[test]
    fn the_late_end_of_an_old_connection_hides_no_new_one() {
        let mut heard = Heard::default();
        heard.connected(1);
        heard.take(report(1, 1, idle(0.5)), Time::from_secs(1)).unwrap();
        heard.connected(1);
        assert!(!heard.disconnected(1, Time::from_secs(2)), "the second is still there");
        assert!(heard.disconnected(1, Time::from_secs(3)));
        heard.connected(1);
        assert_eq!(heard.gone, None, "back again");
    }

    #[test]
    fn a_restarted_reporter_is_not_ended_by_its_predecessor() {
        let mut heard = Heard::default();
        heard.connected(1);
        heard.take(report(1, 1, idle(0.5)), Time::from_secs(1)).unwrap();
        heard.connected(2);
        assert!(!heard.disconnected(1, Time::from_secs(2)));
        heard.take(report(2, 1, idle(0.5)), Time::from_secs(3)).unwrap();
        assert!(heard.disconnected(2, Time::from_secs(4)));
    }

    #[test]
    fn long_texts_are_cut() {
        let mut heard = Heard::default();
        let reason = "ä".repeat(100_000);
        heard.take(report(1, 1, ReportBody::Panic { reason }), Time::ZERO).unwrap();
        assert_eq!(heard.answer, Some(Answer::Panic("ä".repeat(TEXT_MAX))));
    }
}
