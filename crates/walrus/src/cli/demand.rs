//! Who asks for services, as a table: for `walrus status` and `walrus plan`.

use crate::api::plan::DomainDemandView;
use crate::output::Table;

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
}

/// The table, after an empty line; nothing if no service wants to know.
pub(super) fn render<'a>(rows: impl Iterator<Item = Row<'a>>) -> String {
    let mut table = Table::new(&["service", "requests/s", "domains", "hot", "heaviest (* hot)"]);
    let mut is_empty = true;
    for row in rows {
        is_empty = false;
        table.row([
            row.service.to_owned(),
            number(row.rate),
            count(row.counts.map(|(named, _)| named)),
            count(row.counts.map(|(_, hot)| hot)),
            heaviest(&row),
        ]);
    }
    if is_empty { String::new() } else { format!("\n{}", table.render()) }
}

fn count(count: Option<usize>) -> String {
    count.map_or_else(|| "-".to_owned(), |count| count.to_string())
}

fn heaviest(row: &Row<'_>) -> String {
    let named = row.counts.map_or(0, |(named, _)| named);
    if row.domains.is_empty() && (named > 0 || row.counts.is_none()) {
        return "told with the token (--token-file)".to_owned();
    }
    let domain = |it: &DomainDemandView| {
        let mark = if it.hot { "*" } else { "" };
        let share = if row.rate > 0.0 { it.rate / row.rate * 100.0 } else { 0.0 };
        format!("{}{mark} {} ({share:.0} %)", it.domain, number(it.rate))
    };
    let mut text = row.domains.iter().take(SHOWN).map(domain).collect::<Vec<_>>().join(", ");
    if named > SHOWN {
        text.push_str(&format!(" and {} more", named - SHOWN));
    }
    text
}

/// Three digits, or all before the point.
fn number(rate: f64) -> String {
    match rate {
        100.0.. => format!("{rate:.0}"),
        1.0.. => format!("{rate:.1}"),
        _ => format!("{rate:.3}"),
    }
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
    }
}
