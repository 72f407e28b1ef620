//! The log: structured lines on standard error, for people or for machines.
//!
//! Never one line a query. What somebody outside can cause at will is limited by [`Limited`].

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;
use walrus_core::config::{LogFormat, LogSettings};

/// Sends all log lines of this process to standard error, as configured. `RUST_LOG`, if set, wins
/// over the configured level.
///
/// # Errors
/// If the level cannot be understood, or a log was already started.
pub fn start(settings: &LogSettings) -> Result<(), LogError> {
    let level = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let level = level.unwrap_or_else(|| settings.level.clone());
    let filter = filter(&level)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.format {
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            builder.with_ansi(colours).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|_| LogError::Twice)
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    // Each of its attempts is an ERROR to the NATS library; what is wrong is told by `bus`, bounded. A
    // level of its own that is written comes later, and wins.
    EnvFilter::try_new(format!("async_nats=off,{level}"))
        .map_err(|error| LogError::Level { level: level.to_owned(), reason: error.to_string() })
}

/// Why there is no log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The level is no level.
    #[error(
        "log level `{level}` is not understood ({reason}): write error, warn, info, debug or trace, \
         or `walrus_controller=debug,info`"
    )]
    Level {
        /// As configured.
        level: String,
        /// What the parser said.
        reason: String,
    },
    /// A log was already started.
    #[error("the log was already started")]
    Twice,
}

/// An error with all its causes in one line, for the log and for people.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// What others may have written, for one line: at most 200 characters, none of them a control.
#[must_use]
pub fn shortened(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(200).collect()
}

/// Lets a kind of line through at most once in a while, or a few times, and counts the others, so that
/// nobody outside can fill the disk.
#[derive(Debug)]
pub struct Limited {
    lines_max: u32,
    every: Duration,
    state: Mutex<LimitedState>,
}

#[derive(Debug, Default)]
struct LimitedState {
    begun: Option<Instant>,
    /// Since then.
    passed: u32,
    left_out: u64,
}

impl Limited {
    /// At most one line in `every`.
    #[must_use]
    pub const fn new(every: Duration) -> Self {
        Self::few(1, every)
    }

    /// At most so many lines in `every`.
    #[must_use]
    pub const fn few(lines_max: u32, every: Duration) -> Self {
        let state = LimitedState { begun: None, passed: 0, left_out: 0 };
        Self { lines_max, every, state: Mutex::new(state) }
    }

    /// Whether to write the line now, and if so how many were left out since the last.
    pub fn pass(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        if state.begun.is_none_or(|begun| now.duration_since(begun) >= self.every) {
            (state.begun, state.passed) = (Some(now), 0);
        }
        if state.passed >= self.lines_max {
            state.left_out += 1;
            return None;
        }
        state.passed += 1;
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_told_in_part() {
        assert_eq!(shortened("a\u{1b}[31m\nb"), "a[31mb");
        assert_eq!(shortened(&"x".repeat(1 << 20)).len(), 200);
    }

    #[test]
    fn levels() {
        for good in ["info", "walrus_controller=debug", "walrus_host::group=trace,warn"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        assert!(matches!(filter("walrus=loud"), Err(LogError::Level { .. })));
    }

    #[test]
    fn causes_are_told_in_one_line() {
        let error = std::io::Error::other("full");
        let error = crate::frame::FrameError::Io(error);
        assert_eq!(chain(&error), "the connection broke: full");
    }

    #[test]
    fn lines_are_limited_and_counted() {
        let limited = Limited::new(Duration::from_secs(3600));
        assert_eq!(limited.pass(), Some(0));
        assert_eq!(limited.pass(), None);
        let open = Limited::new(Duration::ZERO);
        assert_eq!((open.pass(), open.pass()), (Some(0), Some(0)));
        let few = Limited::few(3, Duration::from_secs(3600));
        let passed = [(); 5].map(|()| few.pass());
        assert_eq!(passed, [Some(0), Some(0), Some(0), None, None]);
    }
}
