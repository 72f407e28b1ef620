//! Statistics of the web server: what one look at its status page tells (thesis 5.2).
//!
//! A parser for each kind of status page, each a pure function from text.

mod apache;
mod haproxy;
mod json;
mod nginx;

use walrus_core::config::ReporterSource;

/// What a status page says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebStatus {
    /// Requests served since the web server started.
    pub hits_total: Option<u64>,
    /// Requests being served now, the one for this page not counted.
    pub busy: Option<u64>,
    /// Requests that could be served at once.
    pub busy_max: Option<u64>,
    /// Whether requests for this page are among the hits.
    pub counts_own_requests: bool,
}

/// The URL of the status page.
#[must_use]
pub fn url(source: &ReporterSource) -> &str {
    match source {
        ReporterSource::Apache { url, .. }
        | ReporterSource::Nginx { url, .. }
        | ReporterSource::Haproxy { url, .. }
        | ReporterSource::Json { url, .. } => url,
    }
}

/// What the text of a status page says.
///
/// # Errors
/// If it is no status page of that kind; the message says what to set.
pub fn parse(source: &ReporterSource, text: &str) -> Result<WebStatus, ParseError> {
    match source {
        ReporterSource::Apache { busy_max, .. } => apache::parse(text, *busy_max),
        ReporterSource::Nginx { busy_max, .. } => nginx::parse(text, *busy_max),
        ReporterSource::Haproxy { proxy, busy_max, .. } => haproxy::parse(text, proxy, *busy_max),
        ReporterSource::Json { hits, busy, busy_max, .. } => json::parse(
            text,
            &json::Paths {
                hits: hits.as_deref(),
                busy: busy.as_deref(),
                busy_max: busy_max.as_deref(),
            },
        ),
    }
}

/// How a status page is switched on, for people.
#[must_use]
pub fn advice(source: &ReporterSource) -> &'static str {
    match source {
        ReporterSource::Apache { .. } => {
            "load mod_status, allow `SetHandler server-status` for this address, and let the URL \
             end in `?auto`"
        }
        ReporterSource::Nginx { .. } => "put `stub_status;` into a location that this host may ask",
        ReporterSource::Haproxy { .. } => {
            "put `stats enable` and `stats uri` into a proxy, and let the URL end in `;csv`"
        }
        ReporterSource::Json { .. } => "let the URL name a page that answers 200 with JSON",
    }
}

/// Why a text is no status page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Something else altogether.
    #[error("the page is not {expected}; {advice}")]
    NotAStatusPage {
        /// What was expected.
        expected: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// A field has no number in it.
    #[error("`{field}` is no number")]
    NotANumber {
        /// Its name.
        field: String,
    },
    /// A field that the settings name is not there.
    #[error("`{field}` is not on the page; it has {found}")]
    Missing {
        /// Its name.
        field: String,
        /// What is there instead, shortened.
        found: String,
    },
}
