//! What a Reporter says about its server (thesis 5.1 to 5.3).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{DomainCount, Name};

/// One report, as it travels. Age and order are the receiver's business.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The server it is about.
    pub server: Name,
    /// Chosen anew at each start of the Reporter, rising between starts (Unix milliseconds).
    pub session: u64,
    /// Rises by at least one with each report of a session; a repeat or a step back is refused.
    pub sequence: u64,
    /// How often this Reporter reports: the unit that silence is measured in.
    pub unit_ms: u64,
    /// The sender's clock, Unix milliseconds: only to show skew, never to decide.
    #[serde(default)]
    pub sent_unix_ms: u64,
    /// A data version that the site may set (thesis, chapter 9); carried, not yet used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Who asked this server, out of its access log; `None` if that is not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<RequestCounts>,
    /// The statistics or one of the three special replies.
    pub body: ReportBody,
}

/// Requests that one server got, by where they came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// The time that the counts cover, in milliseconds.
    pub duration_ms: u64,
    /// The heaviest client prefixes; at most [`RequestCounts::DOMAINS_MAX`]. `queries` are requests
    /// here.
    pub domains: Vec<DomainCount>,
    /// Requests of all others together.
    pub rest: u64,
}

impl RequestCounts {
    /// The most client prefixes in a report.
    pub const DOMAINS_MAX: usize = 512;
}

impl Report {
    /// How often this Reporter reports.
    #[must_use]
    pub const fn unit(&self) -> Duration {
        Duration::from_millis(self.unit_ms)
    }
}

/// The statistics or one of the three special replies (thesis 5.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum ReportBody {
    /// All is measured.
    Statistics(Statistics),
    /// Could not gather; the last statistics go on being used (A14, A15).
    TempFail {
        /// What could not be gathered.
        reason: String,
    },
    /// Take me out for this round.
    Bypass {
        /// Why, for people.
        reason: String,
    },
    /// As BYPASS, and a person is told.
    Panic {
        /// Why, for people.
        reason: String,
    },
}

/// Every statistic of the thesis (5.1, 5.2). What a system cannot tell is `None`, never a guess.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Statistics {
    /// The time that the statistics cover, in milliseconds.
    pub duration_ms: u64,
    /// Share of CPU time in user code (nice, web server and Reporter included), 0 to 1.
    pub cpu_user: Option<f64>,
    /// Share of CPU time in the kernel, 0 to 1.
    pub cpu_system: Option<f64>,
    /// Share of CPU time idle, 0 to 1.
    pub cpu_idle: Option<f64>,
    /// Memory that could be allocated and stay in RAM, reclaimable cache included, in bytes.
    pub memory_free_bytes: Option<u64>,
    /// All memory, in bytes.
    pub memory_total_bytes: Option<u64>,
    /// Paged out (swapped included) during the duration, in bytes.
    pub paged_out_bytes: Option<u64>,
    /// Free virtual memory (RAM and swap), in bytes.
    pub virtual_free_bytes: Option<u64>,
    /// Linux PSI, memory, `full avg10`: share of time in which all tasks waited for memory, 0 to 1.
    pub memory_pressure: Option<f64>,
    /// Processes (or threads) that could run.
    pub runnable: Option<u64>,
    /// Processes waiting for input or output; sleepers excluded.
    pub blocked: Option<u64>,
    /// Processors, to judge `runnable` by.
    pub processors: Option<u32>,
    /// Requests served during the duration.
    pub hits: Option<u64>,
    /// Requests being served now.
    pub busy: Option<u64>,
    /// Requests that could be served at once.
    pub busy_max: Option<u64>,
}
