//! What a Reporter says: the statistics, or TEMPFAIL, BYPASS or PANIC (thesis 5.3). Pure.
//!
//! In this order, the first that holds:
//!
//! 1. PANIC: the web server is dead. It refuses connections or closes them without an answer, or
//!    it was silent [`SILENT_LOOKS_MAX`] times in a row. One silence is not yet death: a web server
//!    whose workers are all busy is slow to show its status page, and PANIC wakes people.
//! 2. BYPASS: the operator's file exists, or memory pressure was above the limit for as many units
//!    in a row as configured. Never for a mere page-out: a healthy machine swaps out what it does
//!    not need; what hurts is *waiting* for memory, and that is what the pressure measures. (The
//!    thesis' BSD Reporter asked for BYPASS at any swapping: whole processes, in a memory that was
//!    small.)
//! 3. TEMPFAIL: something could not be gathered, or there is no earlier reading to compare with.
//!    That the thesis' Reporter says for its whole first unit, because it is asked; ours pushes, so
//!    it can take a first reading ([`Speaker::begin`]) and say nothing until there is something to
//!    say. TEMPFAIL before any statistics counts as BYPASS, and a power cut would make all servers
//!    say it at once.
//! 4. The statistics, over the time since they were last complete.
//!
//! Between units a [`Glance`] tells whether there is news that must not wait.

use walrus_core::world::{ReportBody, Statistics, Time};

use crate::system::SystemReading;
use crate::web::WebStatus;

/// So many looks in a row without an answer in time make a web server dead.
pub const SILENT_LOOKS_MAX: u32 = 3;

/// When a Reporter asks for BYPASS because of memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryLimit {
    /// Pressure above which a unit counts, 0 to 1.
    pub pressure_max: f64,
    /// So many such units in a row; at least one.
    pub units: u32,
}

/// All that was found out at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Gathered {
    /// When.
    pub at: Time,
    /// The machine, if it is to be told about.
    pub system: Option<Result<SystemReading, String>>,
    /// What can change at any moment.
    pub glance: Glance,
    /// Requests that the Reporter itself has sent to the status page since it started.
    pub own_requests: u64,
}

/// What is also looked at between units.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Glance {
    /// The web server, if it is to be told about.
    pub web: Option<WebLook>,
    /// The text of the operator's bypass file, if that exists.
    pub bypass: Option<String>,
}

/// One look at the web server's status page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebLook {
    /// It answered.
    Status(WebStatus),
    /// It refused or broke the connection.
    Dead(String),
    /// It did not answer in time.
    Silent(String),
    /// It answered, but with no status page: the settings are wrong, not the web server.
    Misconfigured(String),
}

/// Why something is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A unit has passed.
    Unit,
    /// [`Speaker::is_news`] said so.
    News,
}

/// Remembers what deltas and "in a row" need.
#[derive(Debug)]
pub struct Speaker {
    limit: MemoryLimit,
    last: Option<Complete>,
    pressed_units: u32,
    silent_looks: u32,
    said: Said,
}

/// The last time that everything was gathered.
#[derive(Debug)]
struct Complete {
    at: Time,
    system: Option<SystemReading>,
    web: Option<WebStatus>,
    own_requests: u64,
}

/// What matters of the last thing said, to know news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Panic,
    BypassByOperator,
    Other,
}

impl Speaker {
    /// Nothing said yet.
    #[must_use]
    pub const fn new(limit: MemoryLimit) -> Self {
        Self { limit, last: None, pressed_units: 0, silent_looks: 0, said: Said::Other }
    }

    /// Takes the first reading, before anything is said. Tells whether it will do: if not, what is to
    /// be said need not wait.
    pub fn begin(&mut self, gathered: Gathered) -> bool {
        let Gathered { at, system, glance, own_requests } = gathered;
        let web = match glance.web {
            None => None,
            Some(WebLook::Status(status)) => Some(status),
            Some(WebLook::Dead(_) | WebLook::Silent(_) | WebLook::Misconfigured(_)) => {
                return false;
            }
        };
        let Ok(system) = system.transpose() else { return false };
        self.last = Some(Complete { at, system, web, own_requests });
        glance.bypass.is_none()
    }

    /// Whether this must be told at once: the web server died or came back, or the operator's
    /// bypass file came or went.
    pub fn is_news(&mut self, glance: &Glance) -> bool {
        let dead = self.notice(glance.web.as_ref()).is_some();
        let now = match (dead, &glance.bypass) {
            (true, _) => Said::Panic,
            (false, Some(_)) => Said::BypassByOperator,
            (false, None) => Said::Other,
        };
        // A look that found nothing out does not end a PANIC.
        let undecided = matches!(glance.web, Some(WebLook::Silent(_))) && !dead;
        now != self.said && !undecided
    }

    /// What to say. The glance of an [`Occasion::News`] has been counted already.
    pub fn speak(&mut self, occasion: Occasion, gathered: Gathered) -> ReportBody {
        let dead = match occasion {
            Occasion::Unit => self.notice(gathered.glance.web.as_ref()),
            Occasion::News => self.verdict(gathered.glance.web.as_ref()),
        };
        let pressure = self.weigh_pressure(occasion, &gathered);
        let operator = gathered.glance.bypass.clone();
        let statistics = self.complete(gathered);
        let (body, said) = match (dead, operator, pressure, statistics) {
            (Some(reason), ..) => (ReportBody::Panic { reason }, Said::Panic),
            (None, Some(reason), ..) => (ReportBody::Bypass { reason }, Said::BypassByOperator),
            (None, None, Some(reason), _) => (ReportBody::Bypass { reason }, Said::Other),
            (None, None, None, Err(reason)) => (ReportBody::TempFail { reason }, Said::Other),
            (None, None, None, Ok(statistics)) => (ReportBody::Statistics(statistics), Said::Other),
        };
        self.said = said;
        body
    }

    /// Counts a look; why the web server is dead, if it is.
    fn notice(&mut self, look: Option<&WebLook>) -> Option<String> {
        self.silent_looks = match look {
            Some(WebLook::Silent(_)) => self.silent_looks.saturating_add(1),
            Some(WebLook::Status(_) | WebLook::Dead(_) | WebLook::Misconfigured(_)) | None => 0,
        };
        self.verdict(look)
    }

    fn verdict(&self, look: Option<&WebLook>) -> Option<String> {
        match look? {
            WebLook::Dead(reason) => Some(format!("the web server is dead: {reason}")),
            WebLook::Silent(reason) if self.silent_looks >= SILENT_LOOKS_MAX => {
                Some(format!("the web server is silent: {reason}, {} times", self.silent_looks))
            }
            WebLook::Silent(_) | WebLook::Status(_) | WebLook::Misconfigured(_) => None,
        }
    }

    fn weigh_pressure(&mut self, occasion: Occasion, gathered: &Gathered) -> Option<String> {
        let pressure = match &gathered.system {
            Some(Ok(reading)) => reading.memory_pressure(),
            Some(Err(_)) | None => None,
        };
        let over = pressure.filter(|pressure| *pressure > self.limit.pressure_max);
        match (occasion, over) {
            (Occasion::Unit, Some(_)) => self.pressed_units = self.pressed_units.saturating_add(1),
            (Occasion::Unit, None) => self.pressed_units = 0,
            (Occasion::News, _) => {}
        }
        let over = over.filter(|_| self.pressed_units >= self.limit.units.max(1))?;
        Some(format!(
            "memory pressure {:.0} % is above {:.0} % for {} units",
            over * 100.0,
            self.limit.pressure_max * 100.0,
            self.pressed_units
        ))
    }

    /// The statistics since the last complete gathering, or what is lacking.
    fn complete(&mut self, gathered: Gathered) -> Result<Statistics, String> {
        let system = gathered.system.transpose()?;
        let web = match gathered.glance.web {
            None => None,
            Some(WebLook::Status(status)) => Some(status),
            Some(WebLook::Misconfigured(reason) | WebLook::Dead(reason)) => return Err(reason),
            Some(WebLook::Silent(reason)) => {
                return Err(format!(
                    "{reason} ({} of {SILENT_LOOKS_MAX} looks until PANIC)",
                    self.silent_looks
                ));
            }
        };
        let now = Complete { at: gathered.at, system, web, own_requests: gathered.own_requests };
        let statistics = match &self.last {
            Some(last) => Ok(now.since(last)),
            None => Err("just started: nothing to compare with yet".to_owned()),
        };
        self.last = Some(now);
        statistics
    }
}

impl Complete {
    fn since(&self, last: &Self) -> Statistics {
        let duration = self.at.since(last.at).as_millis();
        let mut statistics = Statistics {
            duration_ms: u64::try_from(duration).unwrap_or(u64::MAX),
            ..Statistics::default()
        };
        if let (Some(now), Some(then)) = (&self.system, &last.system) {
            now.describe_since(then, &mut statistics);
        }
        if let Some(web) = &self.web {
            let before = last.web.and_then(|web| web.hits_total);
            statistics.hits = web.hits_total.zip(before).map(|(now, then)| {
                // A total that went back began anew at zero when the web server was restarted.
                let hits = now.checked_sub(then).unwrap_or(now);
                let own = self.own_requests.saturating_sub(last.own_requests);
                if web.counts_own_requests { hits.saturating_sub(own) } else { hits }
            });
            statistics.busy = web.busy;
            statistics.busy_max = web.busy_max;
        }
        statistics
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::CpuCounters;

    const LIMIT: MemoryLimit = MemoryLimit { pressure_max: 0.10, units: 3 };

    /// Second `at`: idle machine under this pressure (percent), healthy web server.
    fn gathered(at: u64, pressure: u32, hits: u64) -> Gathered {
        Gathered {
            at: Time::from_secs(at),
            system: Some(Ok(SystemReading {
                cpu: CpuCounters { user: at, system: at, idle: at * 98, stolen: 0 },
                memory_pressure_basis_points: Some(pressure * 100),
                ..SystemReading::default()
            })),
            glance: Glance { web: Some(healthy(hits)), bypass: None },
            own_requests: at,
        }
    }

    fn healthy(hits: u64) -> WebLook {
        WebLook::Status(WebStatus {
            hits_total: Some(hits),
            busy: Some(3),
            busy_max: Some(10),
            counts_own_requests: true,
        })
    }

    fn silent() -> WebLook {
        WebLook::Silent("no answer within 2 s".to_owned())
    }

    fn with_web(mut gathered: Gathered, look: WebLook) -> Gathered {
        gathered.glance.web = Some(look);
        gathered
    }

    fn started() -> Speaker {
        let mut speaker = Speaker::new(LIMIT);
        speaker.speak(Occasion::Unit, gathered(0, 0, 100));
        speaker
    }

    fn statistics(body: ReportBody) -> Statistics {
        match body {
            ReportBody::Statistics(statistics) => statistics,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_unit_is_tempfail_and_the_second_has_statistics() {
        let mut speaker = Speaker::new(LIMIT);
        let first = speaker.speak(Occasion::Unit, gathered(0, 0, 100));
        assert!(
            matches!(first, ReportBody::TempFail { reason } if reason.contains("just started"))
        );
        let second = statistics(speaker.speak(Occasion::Unit, gathered(60, 0, 1160)));
        assert_eq!(second.duration_ms, 60_000);
        assert_eq!(second.cpu_idle, Some(0.98));
        // 60 of the 1060 were the Reporter's own.
        assert_eq!((second.hits, second.busy, second.busy_max), (Some(1000), Some(3), Some(10)));
    }

    #[test]
    fn with_a_first_reading_the_first_thing_said_is_statistics() {
        let mut speaker = Speaker::new(LIMIT);
        assert!(speaker.begin(gathered(0, 0, 100)));
        let first = statistics(speaker.speak(Occasion::Unit, gathered(1, 0, 111)));
        assert_eq!((first.duration_ms, first.hits), (1000, Some(10)));
    }

    #[test]
    fn what_is_no_statistics_need_not_wait_for_a_first_reading() {
        let dead = WebLook::Dead("connection refused".to_owned());
        let wrong = WebLook::Misconfigured("status 404".to_owned());
        for look in [dead, wrong, silent()] {
            assert!(!Speaker::new(LIMIT).begin(with_web(gathered(0, 0, 0), look)));
        }
        let mut unread = gathered(0, 0, 0);
        unread.system = Some(Err("cannot read /proc/stat: denied".to_owned()));
        assert!(!Speaker::new(LIMIT).begin(unread));
        let mut bypassed = gathered(0, 0, 0);
        bypassed.glance.bypass = Some("new kernel".to_owned());
        assert!(!Speaker::new(LIMIT).begin(bypassed));
    }

    #[test]
    fn a_restarted_web_server_has_no_negative_hits() {
        let mut speaker = started();
        let after = statistics(speaker.speak(Occasion::Unit, gathered(10, 0, 45)));
        assert_eq!(after.hits, Some(35));
        let few = statistics(speaker.speak(Occasion::Unit, gathered(20, 0, 3)));
        assert_eq!(few.hits, Some(0));
    }

    #[test]
    fn a_refused_connection_is_panic_at_once() {
        let mut speaker = started();
        let dead = WebLook::Dead("connection refused".to_owned());
        let glance = Glance { web: Some(dead.clone()), bypass: None };
        assert!(speaker.is_news(&glance));
        let body = speaker.speak(Occasion::News, with_web(gathered(5, 0, 100), dead));
        assert!(matches!(body, ReportBody::Panic { reason } if reason.contains("refused")));
        assert!(!speaker.is_news(&glance), "it has been told");
        let back = Glance { web: Some(healthy(2)), bypass: None };
        assert!(speaker.is_news(&back));
        let body = statistics(speaker.speak(Occasion::News, gathered(8, 0, 2)));
        assert_eq!(body.duration_ms, 8000);
        assert!(!speaker.is_news(&back));
    }

    #[test]
    fn one_silence_is_tempfail_and_three_in_a_row_are_panic() {
        let mut speaker = started();
        let body = speaker.speak(Occasion::Unit, with_web(gathered(1, 0, 0), silent()));
        assert!(matches!(body, ReportBody::TempFail { reason } if reason.contains("1 of 3")));
        let glance = Glance { web: Some(silent()), bypass: None };
        assert!(!speaker.is_news(&glance));
        assert!(speaker.is_news(&glance));
        let body = speaker.speak(Occasion::News, with_web(gathered(2, 0, 0), silent()));
        assert!(matches!(body, ReportBody::Panic { reason } if reason.contains("3 times")));
        // An answer in between begins the count anew.
        let mut speaker = started();
        for look in [silent(), silent(), healthy(101), silent(), silent()] {
            assert!(!speaker.is_news(&Glance { web: Some(look), bypass: None }));
        }
    }

    #[test]
    fn a_silence_does_not_end_a_panic() {
        let mut speaker = started();
        let dead = WebLook::Dead("connection refused".to_owned());
        speaker.speak(Occasion::Unit, with_web(gathered(1, 0, 0), dead));
        assert!(!speaker.is_news(&Glance { web: Some(silent()), bypass: None }));
        assert!(speaker.is_news(&Glance { web: Some(healthy(1)), bypass: None }));
    }

    #[test]
    fn memory_pressure_must_last_for_the_units() {
        let mut speaker = started();
        for (at, pressure, bypass) in [
            (1, 50, false),
            (2, 50, false),
            (3, 10, false), // exactly at the limit is not above it
            (4, 11, false),
            (5, 90, false),
            (6, 11, true),
            (7, 11, true),
            (8, 0, false),
        ] {
            let body = speaker.speak(Occasion::Unit, gathered(at, pressure, 100 + at));
            assert_eq!(matches!(body, ReportBody::Bypass { .. }), bypass, "second {at}: {body:?}");
        }
    }

    #[test]
    fn news_between_units_count_no_unit_of_pressure() {
        let mut speaker = started();
        for at in 1..10 {
            let body = speaker.speak(Occasion::News, gathered(at, 50, 100 + at));
            assert!(matches!(body, ReportBody::Statistics(_)));
        }
    }

    #[test]
    fn a_mere_page_out_is_no_bypass() {
        let mut speaker = Speaker::new(LIMIT);
        for at in 0..10 {
            let mut paging = gathered(at, 0, 100);
            if let Some(Ok(reading)) = &mut paging.system {
                reading.paged_out_bytes = Some(at << 30);
            }
            let body = speaker.speak(Occasion::Unit, paging);
            assert!(!matches!(body, ReportBody::Bypass { .. }));
        }
    }

    #[test]
    fn the_operators_file_is_bypass_with_its_text_and_news_when_it_comes_and_goes() {
        let mut speaker = started();
        let mut there = gathered(1, 0, 101);
        there.glance.bypass = Some("new kernel".to_owned());
        assert!(speaker.is_news(&there.glance));
        let body = speaker.speak(Occasion::News, there.clone());
        assert_eq!(body, ReportBody::Bypass { reason: "new kernel".to_owned() });
        assert!(!speaker.is_news(&there.glance));
        let gone = gathered(2, 0, 102);
        assert!(speaker.is_news(&gone.glance));
        statistics(speaker.speak(Occasion::News, gone));
        // A dead web server weighs more than the file.
        there.glance.web = Some(WebLook::Dead("connection refused".to_owned()));
        assert!(matches!(speaker.speak(Occasion::Unit, there), ReportBody::Panic { .. }));
    }

    #[test]
    fn what_cannot_be_gathered_is_tempfail_and_the_next_covers_the_gap() {
        let mut speaker = started();
        let wrong = WebLook::Misconfigured("status 404".to_owned());
        let body = speaker.speak(Occasion::Unit, with_web(gathered(1, 0, 0), wrong));
        assert_eq!(body, ReportBody::TempFail { reason: "status 404".to_owned() });
        let mut unread = gathered(2, 0, 150);
        unread.system = Some(Err("cannot read /proc/stat: denied".to_owned()));
        assert!(matches!(speaker.speak(Occasion::Unit, unread), ReportBody::TempFail { .. }));
        let next = statistics(speaker.speak(Occasion::Unit, gathered(3, 0, 203)));
        assert_eq!((next.duration_ms, next.hits), (3000, Some(100)));
    }

    #[test]
    fn a_reporter_without_sources_still_says_that_it_lives() {
        let bare = |at| Gathered {
            at: Time::from_secs(at),
            system: None,
            glance: Glance::default(),
            own_requests: 0,
        };
        let mut speaker = Speaker::new(LIMIT);
        speaker.speak(Occasion::Unit, bare(0));
        let body = statistics(speaker.speak(Occasion::Unit, bare(1)));
        assert_eq!(body, Statistics { duration_ms: 1000, ..Statistics::default() });
    }
}
