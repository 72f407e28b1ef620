//! Apache's `mod_status`, machine-readable (`?auto`).
//!
//! `BusyWorkers` counts the worker that answers this very request, so one is taken off. The most
//! that can be served at once is the length of the scoreboard, in which every worker that could
//! ever be started has a character (`.` for those that have not been). `Total Accesses` is there
//! with `ExtendedStatus On`, the default as soon as `mod_status` is loaded.

use super::{ParseError, WebStatus};

pub(super) fn parse(text: &str, busy_max: Option<u64>) -> Result<WebStatus, ParseError> {
    let mut status = WebStatus { busy_max, counts_own_requests: true, ..WebStatus::default() };
    let mut scoreboard = 0;
    for line in text.lines() {
        let Some((field, value)) = line.split_once(": ") else { continue };
        match field {
            "Total Accesses" => status.hits_total = Some(number(field, value)?),
            "BusyWorkers" => status.busy = Some(number(field, value)?.saturating_sub(1)),
            "Scoreboard" => scoreboard = value.trim().len() as u64,
            _ => {}
        }
    }
    if status.busy.is_none() {
        return Err(ParseError::NotAStatusPage {
            expected: "Apache's machine-readable status",
            advice: "let the URL end in `?auto`",
        });
    }
    status.busy_max = busy_max.or(Some(scoreboard).filter(|workers| *workers > 0));
    Ok(status)
}

fn number(field: &str, value: &str) -> Result<u64, ParseError> {
    value.trim().parse().map_err(|_| ParseError::NotANumber { field: field.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Apache 2.4, event, `MaxRequestWorkers 150`, four of six processes started.
    const EXTENDED: &str = include_str!("captured/apache-extended.txt");
    /// The same with `ExtendedStatus Off`.
    const PLAIN: &str = include_str!("captured/apache-plain.txt");

    #[test]
    fn real_pages() {
        let extended = parse(EXTENDED, None).unwrap();
        assert_eq!(
            extended,
            WebStatus {
                hits_total: Some(6),
                busy: Some(0),
                busy_max: Some(150),
                counts_own_requests: true
            }
        );
        let plain = parse(PLAIN, Some(100)).unwrap();
        assert_eq!((plain.hits_total, plain.busy, plain.busy_max), (None, Some(0), Some(100)));
    }

    #[test]
    fn other_texts() {
        for (text, says) in [
            ("", "?auto"),
            ("<html><h1>Apache Server Status</h1></html>", "?auto"),
            ("BusyWorkers: many", "`BusyWorkers` is no number"),
            ("Total Accesses: -1\nBusyWorkers: 1", "`Total Accesses` is no number"),
            ("BusyWorkers: 99999999999999999999999", "no number"),
        ] {
            let error = parse(text, None).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_page_cut_short_has_no_maximum() {
        let cut = parse("Total Accesses: 12\nBusyWorkers: 3\nScoreboard", None).unwrap();
        assert_eq!((cut.busy, cut.busy_max), (Some(2), None));
    }
}
