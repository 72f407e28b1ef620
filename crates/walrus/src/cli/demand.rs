//! Who asks for services, as a table: for `walrus status` and `walrus plan`.

use crate::api::plan::DomainDemandView;
use crate::output::{Table, three_digits};

/// Domains that are shown of a service.
const SHOWN: usize = 5;

/// One service's row.
pub(super) struct Row<'a> {
    pub(super) service: &'a str,
    pub(super) rate: f64,
    /// How many domains are named, and how many of them are hot; `None` if that is not told.
    pub(super) counts: Option<(usize, usize)>,
    /// By falling rate; at least the first five. Who asks is told to whoever has the token.
    pub(super) domains: &'a [DomainDemandView],
    /// Of the rate: what comes from domains that ask no name server.
    pub(super) silent: Option<f64>,
    /// Over how long servers observed domains.
    pub(super) observed_over_ms: Option<u64>,
}

/// The table, after an empty line; nothing if no service wants to know.
pub(super) fn render<'a>(rows: impl Iterator<Item = Row<'a>>) -> String {
    let rows: Vec<Row<'_>> = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    // Few know these: no column for those that do not.
    let has_silent = rows.iter().any(|row| row.silent.is_some());
    let has_observed = rows.iter().any(|row| row.observed_over_ms.is_some());
    let mut head = vec!["service", "requests/s"];
    head.extend(has_silent.then_some("silent"));
    head.extend(has_observed.then_some("observed"));
    head.extend(["domains", "hot", "heaviest (* hot)"]);
    let mut table = Table::new(&head);
    for row in &rows {
        let mut cells = vec![row.service.to_owned(), three_digits(row.rate)];
        cells.extend(has_silent.then(|| row.silent.map_or_else(none, three_digits)));
        let seconds = |millis: u64| format!("over {} s", millis.div_ceil(1000));
        cells.extend(has_observed.then(|| row.observed_over_ms.map_or_else(none, seconds)));
        cells.push(count(row.counts.map(|(named, _)| named)));
        cells.push(count(row.counts.map(|(_, hot)| hot)));
        cells.push(heaviest(row));
        table.row(cells);
    }
    format!("\n{}", table.render())
}

fn none() -> String {
    "-".to_owned()
}

fn count(count: Option<usize>) -> String {
    count.map_or_else(none, |count| count.to_string())
}

fn heaviest(row: &Row<'_>) -> String {
    let named = row.counts.map_or(0, |(named, _)| named);
    if row.domains.is_empty() && (named > 0 || row.counts.is_none()) {
        return "told with the token (--token-file)".to_owned();
    }
    let domain = |it: &DomainDemandView| {
        let mark = if it.hot { "*" } else { "" };
        let share = if row.rate > 0.0 { it.rate / row.rate * 100.0 } else { 0.0 };
        let silent = if it.silent { ", silent" } else { "" };
        let reckoned = if it.reckoned { ", reckoned" } else { "" };
        format!("{}{mark} {} ({share:.0} %{silent}{reckoned})", it.domain, three_digits(it.rate))
    };
    let mut text = row.domains.iter().take(SHOWN).map(domain).collect::<Vec<_>>().join(", ");
    if named > SHOWN {
        text.push_str(&format!(" and {} more", named - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_are_shown_with_their_shares() {
        let domain = |domain: &str, rate, hot| DomainDemandView {
            domain: domain.to_owned(),
            rate,
            hot,
            silent: false,
            reckoned: false,
            observed: Vec::new(),
        };
        let mut domains =
            vec![domain("192.0.2.53", 150.0, true), domain("198.51.100.0/24", 0.25, false)];
        domains.resize(7, domain("2001:db8::53", 0.1, false));
        let row = |named| Row {
            service: "www.example.com",
            rate: 200.0,
            counts: Some((named, 1)),
            domains: &domains[..named.min(7)],
            silent: None,
            observed_over_ms: None,
        };
        let expected = "
SERVICE          REQUESTS/S  DOMAINS  HOT  HEAVIEST (* HOT)
www.example.com  200         2        1    192.0.2.53* 150 (75 %), 198.51.100.0/24 0.250 (0 %)
";
        assert_eq!(render([row(2)].into_iter()), expected);
        assert!(render([row(7)].into_iter()).trim_end().ends_with(" and 2 more"));
        assert_eq!(render([].into_iter()), "");
        let untold = Row { counts: None, domains: &[], ..row(2) };
        assert!(render([untold].into_iter()).contains(" -        -    told with the token"));
        // What servers tell of, where they do.
        let mut domains = domains[..2].to_vec();
        domains[0].reckoned = true;
        domains[1].silent = true;
        let told =
            Row { silent: Some(0.25), observed_over_ms: Some(9_100), domains: &domains, ..row(2) };
        let expected = "
SERVICE          REQUESTS/S  SILENT  OBSERVED   DOMAINS  HOT  HEAVIEST (* HOT)
www.example.com  200         0.250   over 10 s  2        1    \
192.0.2.53* 150 (75 %, reckoned), 198.51.100.0/24 0.250 (0 %, silent)
www.example.com  200         -       -          0        1    \n";
        assert_eq!(render([told, row(0)].into_iter()), expected.replace("1    \n", "1\n"));
    }
}
