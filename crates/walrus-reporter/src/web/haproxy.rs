//! HAProxy's statistics as CSV (`;csv`).
//!
//! Of the named proxy the FRONTEND's row is read (what clients bring), or the BACKEND's if there
//! is no frontend of that name. Busy is `scur` (sessions now), the most is `slim` (`maxconn` of a
//! frontend, `fullconn` of a backend; empty if unlimited), hits are `req_tot` (requests, in HTTP
//! mode) or `stot` (sessions). A large HAProxy sends a large page: `;csv;scope=NAME` shortens it.

use super::{ParseError, WebStatus};

pub(super) fn parse(
    text: &str,
    proxy: &str,
    busy_max: Option<u64>,
) -> Result<WebStatus, ParseError> {
    let mut lines = text.lines();
    let columns = Columns::find(lines.next().unwrap_or_default())?;
    let mut row: Option<Vec<&str>> = None;
    let mut names = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let [name, kind, ..] = fields[..] else { continue };
        if !names.contains(&name) && names.len() < 10 {
            names.push(name);
        }
        if name == proxy && (kind == "FRONTEND" || (kind == "BACKEND" && row.is_none())) {
            row = Some(fields);
        }
    }
    let row = row.ok_or_else(|| ParseError::Missing {
        field: proxy.to_owned(),
        found: if names.is_empty() { "no proxies".to_owned() } else { names.join(", ") },
    })?;
    let requests = columns.number(&row, columns.req_tot, "req_tot")?;
    let hits_total = match requests {
        Some(requests) => Some(requests),
        None => columns.number(&row, columns.stot, "stot")?,
    };
    Ok(WebStatus {
        hits_total,
        busy: columns.number(&row, columns.scur, "scur")?,
        busy_max: match busy_max {
            Some(most) => Some(most),
            None => columns.number(&row, columns.slim, "slim")?,
        },
        // The page is usually another proxy's.
        counts_own_requests: false,
    })
}

/// Where the columns stand; versions of HAProxy add some.
struct Columns {
    scur: Option<usize>,
    slim: Option<usize>,
    stot: Option<usize>,
    req_tot: Option<usize>,
}

impl Columns {
    fn find(header: &str) -> Result<Self, ParseError> {
        let Some(names) = header.strip_prefix("# pxname,svname,") else {
            return Err(ParseError::NotAStatusPage {
                expected: "HAProxy's statistics as CSV",
                advice: "let the URL end in `;csv`",
            });
        };
        let place = |wanted| names.split(',').position(|name| name == wanted).map(|at| at + 2);
        Ok(Self {
            scur: place("scur"),
            slim: place("slim"),
            stot: place("stot"),
            req_tot: place("req_tot"),
        })
    }

    fn number(
        &self,
        row: &[&str],
        column: Option<usize>,
        name: &str,
    ) -> Result<Option<u64>, ParseError> {
        let Some(text) = column.and_then(|at| row.get(at)).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| ParseError::NotANumber { field: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// HAProxy 2.6: frontend `www` (maxconn 200), backend `web` (fullconn 100), page `stats`.
    const PAGE: &str = include_str!("captured/haproxy.csv");

    #[test]
    fn real_rows() {
        for (proxy, setting, hits, busy, busy_max) in [
            ("www", None, 3, 0, 200),
            ("web", None, 3, 0, 100),
            ("web", Some(50), 3, 0, 50),
            ("stats", None, 1, 1, 1000),
        ] {
            let status = parse(PAGE, proxy, setting).unwrap();
            assert_eq!(
                status,
                WebStatus {
                    hits_total: Some(hits),
                    busy: Some(busy),
                    busy_max: Some(busy_max),
                    counts_own_requests: false
                },
                "{proxy}"
            );
        }
    }

    #[test]
    fn a_proxy_that_is_not_there_is_named_beside_those_that_are() {
        let error = parse(PAGE, "shop", None).unwrap_err().to_string();
        assert_eq!(error, "`shop` is not on the page; it has www, web, stats");
    }

    #[test]
    fn other_texts() {
        for text in ["", "<html>", "# pxname,svname,scur\n", "# pxname,svname,scur\nwww,FRONTEND,x"]
        {
            assert!(parse(text, "www", None).is_err(), "{text}");
        }
        let short = parse("# pxname,svname,scur,slim\nwww,FRONTEND", "www", None).unwrap();
        assert_eq!(short.busy, None);
    }
}
