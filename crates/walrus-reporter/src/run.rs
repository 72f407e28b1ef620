//! The Reporter's loop: gathers and pushes every unit, and at once what must not wait.

use std::time::Duration;

use walrus_core::config::ReporterSettings;
use walrus_core::world::{Report, ReportBody, Time};
use walrus_host::clock::Clock;
use walrus_host::link::Link;
use walrus_host::shutdown::Shutdown;

use crate::access_log::{AccessLog, Looks};
use crate::look::look;
use crate::operator;
use crate::speak::{Gathered, Glance, MemoryLimit, Occasion, Speaker, WebLook};
use crate::system::{Machine, ProcessMean, System};
use crate::web;

/// Between units the web server and the bypass file are looked at this often, so that PANIC is out
/// well within a second. It costs the web server two requests for its status page a second, on
/// loopback about 0.1 ms each, which are taken off the hits where the server counts them.
const GLANCE_EVERY: Duration = Duration::from_millis(500);
/// The longest that a status page or a look at the access log may take, or half a unit if that is shorter.
const LOOK_WITHIN_MAX: Duration = Duration::from_secs(2);
/// A unit is between these (the configuration says so as well).
const UNIT_MIN: Duration = Duration::from_secs(1);
const UNIT_MAX: Duration = Duration::from_secs(300);

/// Reports until asked to end. `session` must be the one that the link said hello with: Unix
/// milliseconds at the start of the Reporter ([`Clock::unix_ms`]).
pub async fn run(
    settings: ReporterSettings,
    session: u64,
    link: Link,
    clock: Clock,
    shutdown: Shutdown,
) {
    run_on(Machine, settings, session, link, clock, shutdown).await;
}

/// The same on any machine.
async fn run_on(
    machine: impl System,
    settings: ReporterSettings,
    session: u64,
    link: Link,
    clock: Clock,
    shutdown: Shutdown,
) {
    let reporter = Reporter {
        unit: settings.unit.clamp(UNIT_MIN, UNIT_MAX),
        speaker: Speaker::new(MemoryLimit {
            pressure_max: settings.memory_pressure_max,
            units: settings.memory_pressure_units,
        }),
        session,
        sequence: 0,
        own_requests: 0,
        processes: ProcessMean::default(),
        last_said: "",
        access_log: Looks::new(),
        machine,
        settings,
        link,
        clock,
    };
    tokio::select! {
        () = reporter.report_for_ever() => {}
        () = shutdown.requested() => {}
    }
}

struct Reporter<S> {
    machine: S,
    access_log: Looks,
    settings: ReporterSettings,
    unit: Duration,
    speaker: Speaker,
    session: u64,
    sequence: u64,
    /// Requests for the status page that were answered: the web server may count them.
    own_requests: u64,
    /// Since the last report.
    processes: ProcessMean,
    last_said: &'static str,
    link: Link,
    clock: Clock,
}

impl<S: System> Reporter<S> {
    async fn report_for_ever(mut self) {
        let mut next_unit = self.begin().await;
        let mut next_glance = next_unit;
        loop {
            let awake = self.clock.sleep_until(next_unit.min(next_glance)).await;
            let glance = self.glance().await;
            let now = self.clock.now();
            if now >= next_unit {
                next_unit = after(next_unit, self.unit, now);
                self.report(Occasion::Unit, glance).await;
            } else if self.speaker.is_news(&glance) {
                self.report(Occasion::News, glance).await;
            }
            next_glance = self.clock.now() + GLANCE_EVERY;
            drop(awake);
        }
    }

    /// Takes the reading that the first report compares with, and tells when that is due: half a
    /// second later, or at once if something else than statistics is to be said.
    async fn begin(&mut self) -> Time {
        let awake = self.clock.sleep_until(self.clock.now()).await;
        let glance = self.glance().await;
        let gathered = self.gathered(glance);
        let begun = self.speaker.begin(gathered);
        let now = self.clock.now();
        drop(awake);
        if begun { now + GLANCE_EVERY } else { now }
    }

    async fn glance(&mut self) -> Glance {
        let web = match &self.settings.source {
            Some(source) => Some(look(source, LOOK_WITHIN_MAX.min(self.unit / 2)).await),
            None => None,
        };
        if matches!(web, Some(WebLook::Status(_) | WebLook::Misconfigured(_))) {
            self.own_requests = self.own_requests.saturating_add(1);
        }
        if self.settings.system
            && let Some(processes) = self.machine.processes()
        {
            self.processes.add(processes);
        }
        let bypass = match &self.settings.bypass_file {
            Some(path) => operator::bypass(path).await,
            None => None,
        };
        self.look_at_access_log().await;
        Glance { web, bypass }
    }

    async fn look_at_access_log(&mut self) {
        let Some(settings) = self.settings.access_log.clone() else { return };
        let url = self.settings.source.as_ref().map(|source| web::url(source).to_owned());
        let now = self.clock.now();
        let look = move |log: Option<AccessLog>| match log {
            Some(mut log) => {
                log.look();
                log
            }
            None => AccessLog::new(settings, url.as_deref(), now),
        };
        self.access_log.look(LOOK_WITHIN_MAX.min(self.unit / 2), look).await;
    }

    fn gathered(&mut self, glance: Glance) -> Gathered {
        let mut system =
            self.settings.system.then(|| self.machine.read().map_err(|error| error.to_string()));
        if let Some(Ok(reading)) = &mut system {
            reading.processes = self.processes.take().or(reading.processes);
        }
        Gathered { at: self.clock.now(), system, glance, own_requests: self.own_requests }
    }

    async fn report(&mut self, occasion: Occasion, glance: Glance) {
        let gathered = self.gathered(glance);
        let body = self.speaker.speak(occasion, gathered);
        self.log(&body);
        let version = match &self.settings.version_file {
            Some(path) => operator::version(path).await,
            None => None,
        };
        let requests = match (occasion, self.access_log.log()) {
            (Occasion::Unit, Some(log)) => log.take(self.clock.now()),
            (Occasion::News, _) | (_, None) => None,
        };
        self.sequence = self.sequence.saturating_add(1);
        self.link.send(Report {
            server: self.settings.server.clone(),
            session: self.session,
            sequence: self.sequence,
            unit_ms: u64::try_from(self.unit.as_millis()).unwrap_or(u64::MAX),
            sent_unix_ms: self.clock.unix_ms(),
            version,
            body,
            requests,
        });
    }

    /// A line when something else is said than before, not one a unit.
    fn log(&mut self, body: &ReportBody) {
        let says = match body {
            ReportBody::Statistics(_) => "statistics",
            ReportBody::TempFail { .. } => "TEMPFAIL",
            ReportBody::Bypass { .. } => "BYPASS",
            ReportBody::Panic { .. } => "PANIC",
        };
        if says == self.last_said {
            return;
        }
        let server = self.settings.server.as_str();
        match body {
            ReportBody::Statistics(_) => tracing::info!(server, says, "the Reporter"),
            ReportBody::TempFail { reason }
            | ReportBody::Bypass { reason }
            | ReportBody::Panic { reason } => {
                tracing::warn!(server, says, reason, "the Reporter");
            }
        }
        self.last_said = says;
    }
}

/// The next unit that is not yet over: one that was slept through is not made up for.
fn after(due: Time, unit: Duration, now: Time) -> Time {
    let next = due + unit;
    if next > now { next } else { now + unit }
}

#[cfg(test)]
mod tests;
