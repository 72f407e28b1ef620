//! nginx's `stub_status`.
//!
//! nginx has no fixed number of workers for requests: busy are the connections that are not
//! waiting (idle, kept alive), without the one that asks for this page. It does not tell how many
//! there may be; set `busy_max` to what the server can bear, at most
//! `worker_processes x worker_connections` (half of it for a proxy).

use super::{ParseError, WebStatus};

pub(super) fn parse(text: &str, busy_max: Option<u64>) -> Result<WebStatus, ParseError> {
    let not_a_status_page = || ParseError::NotAStatusPage {
        expected: "nginx's stub_status",
        advice: "put `stub_status;` into the location that the URL names",
    };
    let mut lines = text.lines();
    let mut next = || lines.next().ok_or_else(not_a_status_page);
    let active = next()?.strip_prefix("Active connections:").ok_or_else(not_a_status_page)?;
    let active = number("Active connections", active)?;
    if next()?.trim() != "server accepts handled requests" {
        return Err(not_a_status_page());
    }
    let requests = next()?.split_whitespace().nth(2).ok_or_else(not_a_status_page)?;
    let requests = number("requests", requests)?;
    let waiting = next()?.split_once("Waiting:").ok_or_else(not_a_status_page)?.1;
    let waiting = number("Waiting", waiting)?;
    Ok(WebStatus {
        hits_total: Some(requests),
        busy: Some(active.saturating_sub(waiting).saturating_sub(1)),
        busy_max,
        counts_own_requests: true,
    })
}

fn number(field: &str, value: &str) -> Result<u64, ParseError> {
    value.trim().parse().map_err(|_| ParseError::NotANumber { field: field.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// nginx 1.22.
    const PAGE: &str = include_str!("captured/nginx.txt");

    #[test]
    fn real_page() {
        assert_eq!(
            parse(PAGE, Some(512)).unwrap(),
            WebStatus {
                hits_total: Some(4),
                busy: Some(0),
                busy_max: Some(512),
                counts_own_requests: true
            }
        );
    }

    #[test]
    fn kept_alive_connections_are_not_busy() {
        let page = "Active connections: 291 \nserver accepts handled requests\n 16630948 16630948 \
                    31070465 \nReading: 6 Writing: 179 Waiting: 106 \n";
        let status = parse(page, None).unwrap();
        assert_eq!((status.busy, status.hits_total), (Some(184), Some(31_070_465)));
        assert_eq!(status.busy_max, None);
    }

    #[test]
    fn other_texts() {
        for text in [
            "",
            "<html>404</html>",
            "Active connections: 1\n",
            "Active connections: 1\nserver accepts handled requests\n 4 4\nReading: 0",
            "Active connections: x\nserver accepts handled requests\n 4 4 4\nWaiting: 0",
            "Active connections: 1\nserver accepts handled requests\n 4 4 4\nReading: 0",
        ] {
            assert!(parse(text, None).is_err(), "{text}");
        }
    }
}
