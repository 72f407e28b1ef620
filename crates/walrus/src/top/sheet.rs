//! What `walrus top` shows as tables, whether on a screen or once as text.

use super::view::{RateView, TopView};
use crate::output::percent;

/// A table that is not laid out yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sheet {
    pub(super) title: &'static str,
    pub(super) headings: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// Sorted upwards, at the left of its column.
    Text(String),
    /// Sorted downwards, at the right of its column.
    Number(String, f64),
}

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    Overview,
    Services,
    Names,
    Resolvers,
    Domains,
    Servers,
    Areas,
    Clusters,
    Decisions,
}

impl Pane {
    /// In the order of their keys, 1 to 9.
    pub(super) const ALL: [Self; 9] = [
        Self::Overview,
        Self::Services,
        Self::Names,
        Self::Resolvers,
        Self::Domains,
        Self::Servers,
        Self::Areas,
        Self::Clusters,
        Self::Decisions,
    ];

    /// As the tabs have it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Services => "Services",
            Self::Names => "Names",
            Self::Resolvers => "Resolvers",
            Self::Domains => "Domains",
            Self::Servers => "Servers",
            Self::Areas => "Areas",
            Self::Clusters => "Clusters",
            Self::Decisions => "Decisions",
        }
    }

    /// Its tables: one, but for the overview.
    pub(super) fn sheets(self, view: &TopView) -> Vec<Sheet> {
        let sheet = match self {
            Self::Overview => {
                let servers = servers(view);
                return vec![
                    rates("Services", "service", &view.services),
                    rates("Names (sample)", "name", &view.names),
                    rates("Resolvers (sample)", "resolver", &view.resolvers),
                    // As wide as the others: where a server stands is told by its own pane.
                    servers.only("Servers", &["server", "answers/s", "share"]),
                ];
            }
            Self::Services => rates("Services", "service", &view.services),
            Self::Names => rates("Names", "name", &view.names),
            Self::Resolvers => rates("Resolvers", "resolver", &view.resolvers),
            Self::Domains => rates("Domains", "domain", &view.domains),
            Self::Servers => servers(view),
            Self::Areas => areas(view),
            Self::Clusters => clusters(view),
            Self::Decisions => decisions(view),
        };
        vec![sheet]
    }

    /// What its numbers are, in a sentence; empty if that is plain.
    pub(super) fn note(self, view: &TopView) -> String {
        let sample = &view.sample;
        let seconds = sample.duration_ms as f64 / 1000.0;
        match self {
            Self::Names | Self::Resolvers if sample.sampled < sample.answers => format!(
                "estimated from {} of {} answers in the last {seconds:.0} s",
                sample.sampled, sample.answers
            ),
            Self::Names | Self::Resolvers => {
                format!("all {} answers in the last {seconds:.0} s", sample.answers)
            }
            Self::Domains => format!(
                "who asks for services: counted over {:.0} s, every 10 s",
                view.domains_duration_ms as f64 / 1000.0
            ),
            Self::Decisions => {
                let one_in = sample.answers as f64 / sample.sampled.max(1) as f64;
                if one_in > 1.05 {
                    format!("the last of a sample of about one answer in {one_in:.0}")
                } else {
                    "the last answers".to_owned()
                }
            }
            Self::Clusters if view.clusters.is_empty() => {
                "this node is no Controller, and only that knows how clusters are".to_owned()
            }
            _ => String::new(),
        }
    }
}

impl Sheet {
    /// Sorts by a column; rows that are alike there keep their order.
    #[cfg(any(feature = "top", test))]
    pub(super) fn sort(&mut self, column: usize) {
        self.rows.sort_by(|one, other| match (one.get(column), other.get(column)) {
            (Some(Cell::Number(_, one)), Some(Cell::Number(_, other))) => other.total_cmp(one),
            (Some(one), Some(other)) => one.text().cmp(other.text()),
            _ => std::cmp::Ordering::Equal,
        });
    }

    /// Some of its columns under another title.
    fn only(self, title: &'static str, headings: &[&'static str]) -> Self {
        let place = |heading| self.headings.iter().position(|it| it == heading);
        let places: Vec<usize> = headings.iter().filter_map(place).collect();
        let cells = |row: &Vec<Cell>| places.iter().map(|place| row[*place].clone()).collect();
        Self { title, headings: headings.to_vec(), rows: self.rows.iter().map(cells).collect() }
    }
}

impl Cell {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text, _) => text,
        }
    }

    fn new(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn rate(per_second: f64) -> Self {
        Self::Number(rate(per_second), per_second)
    }

    fn share(share: f64) -> Self {
        Self::Number(format!("{:.1} %", share * 100.0), share)
    }

    fn part(part: Option<f64>) -> Self {
        Self::Number(percent(part), part.unwrap_or(-1.0))
    }
}

/// A rate in at most six characters.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        ..9.95 => format!("{per_second:.1}"),
        9.95..9_999.5 => format!("{per_second:.0}"),
        9_999.5..999_500.0 => format!("{:.1}k", per_second / 1e3),
        _ => format!("{:.1}M", per_second / 1e6),
    }
}

/// A name that is asked for; what could not be read has none.
fn asked(name: &str) -> String {
    if name.is_empty() { "(unreadable)".to_owned() } else { name.to_owned() }
}

fn rates(title: &'static str, heading: &'static str, rates: &[RateView]) -> Sheet {
    let row = |rate: &RateView| {
        vec![Cell::new(asked(&rate.what)), Cell::rate(rate.per_second), Cell::share(rate.share)]
    };
    let headings = vec![heading, "queries/s", "share"];
    Sheet { title, headings, rows: rates.iter().map(row).collect() }
}

fn servers(view: &TopView) -> Sheet {
    let rows = view.servers.iter().map(|server| {
        vec![
            Cell::new(&*server.service),
            Cell::new(&*server.server),
            Cell::new(server.cluster.clone().unwrap_or_default()),
            Cell::new(server.life.clone().unwrap_or_default()),
            Cell::part(server.load),
            Cell::rate(server.per_second),
            Cell::share(server.share),
        ]
    });
    let headings = vec!["service", "server", "cluster", "life", "load", "answers/s", "share"];
    Sheet { title: "Servers", headings, rows: rows.collect() }
}

fn areas(view: &TopView) -> Sheet {
    let rows = view.areas.iter().map(|area| {
        let place: Vec<String> = area
            .clusters
            .iter()
            .map(|it| match it.share {
                0.999.. => it.cluster.clone(),
                share => format!("{} {:.0} %", it.cluster, share * 100.0),
            })
            .collect();
        let state = match area.degraded {
            Some(true) => "degraded",
            Some(false) => "good",
            None => "",
        };
        vec![
            Cell::new(&*area.service),
            Cell::new(&*area.area),
            Cell::new(place.join(", ")),
            Cell::rate(area.per_second),
            Cell::share(area.share),
            Cell::new(state),
        ]
    });
    let headings = vec!["service", "area", "at", "queries/s", "share", "state"];
    Sheet { title: "Areas", headings, rows: rows.collect() }
}

fn clusters(view: &TopView) -> Sheet {
    let rows = view.clusters.iter().map(|cluster| {
        let (up, all) = (cluster.functioning, cluster.servers);
        let servers = view
            .servers
            .iter()
            .filter(|server| server.cluster.as_ref() == Some(&cluster.name))
            .map(|server| server.per_second);
        vec![
            Cell::new(&*cluster.name),
            Cell::Number(format!("{up} of {all}"), up as f64 / all.max(1) as f64),
            Cell::part(cluster.load),
            Cell::rate(servers.sum()),
        ]
    });
    let headings = vec!["cluster", "functioning", "load", "answers/s"];
    Sheet { title: "Clusters", headings, rows: rows.collect() }
}

fn decisions(view: &TopView) -> Sheet {
    let rows = view.decisions.iter().map(|decision| {
        let client = match &decision.subnet {
            Some(subnet) => format!("{subnet} by {}", decision.resolver),
            None => decision.resolver.clone(),
        };
        vec![
            Cell::Number(time_of_day(decision.time_unix_ms), decision.time_unix_ms as f64),
            Cell::new(client),
            Cell::new(asked(&decision.name)),
            Cell::new(&*decision.record_type),
            Cell::new(&*decision.rcode),
            Cell::new(decision.area.clone().unwrap_or_default()),
            Cell::new(decision.server.clone().unwrap_or_default()),
        ]
    });
    let headings = vec!["time (utc)", "client", "name", "type", "code", "area", "server"];
    Sheet { title: "Decisions", headings, rows: rows.collect() }
}

fn time_of_day(unix_ms: u64) -> String {
    let second = unix_ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_keep_to_six_characters() {
        for (per_second, text) in [
            (0.0, "0.0"),
            (9.94, "9.9"),
            (9.96, "10"),
            (9_999.4, "9999"),
            (9_999.6, "10.0k"),
            (999_499.0, "999.5k"),
            (999_501.0, "1.0M"),
            (12_345_678.0, "12.3M"),
        ] {
            assert_eq!(rate(per_second), text);
        }
    }

    #[test]
    fn numbers_sort_downwards_and_text_upwards() {
        let mut sheet = rates(
            "",
            "name",
            &[("b", 2.0), ("c", 10.0), ("a", 2.0)].map(|(what, per_second)| RateView {
                what: what.to_owned(),
                per_second,
                share: 0.0,
            }),
        );
        let order = |sheet: &Sheet| -> String {
            sheet.rows.iter().map(|row| row[0].text().to_owned()).collect()
        };
        sheet.sort(1);
        assert_eq!(order(&sheet), "cba");
        sheet.sort(0);
        assert_eq!(order(&sheet), "abc");
        sheet.sort(7);
        assert_eq!(order(&sheet), "abc", "there is no such column");
    }

    #[test]
    fn times_of_day() {
        assert_eq!(time_of_day(1_767_225_600_000 + 3_723_999), "01:02:03");
    }
}
