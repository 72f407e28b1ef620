//! What `walrus sim run` tells of each population, where there are several.

use serde::Serialize;
use utoipa::ToSchema;
use walrus_sim::simulation::RunResult;

use super::measures::{self, OF_POPULATIONS};
use super::run_view::MeasureView;
use crate::output::Table;

/// Rows of the table for people; `--json` has all.
const ROWS_MAX: usize = 40;

/// Columns of that table: a measure and its heading.
const COLUMNS: [(&str, &str); 5] = [
    ("response_p95", "95 % of pages"),
    ("response_below_3s", "within 3 s"),
    ("failed", "failed"),
    ("near", "from the nearest"),
    ("queries", "queries"),
];

/// A population's measures in one variant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PopulationView {
    /// Its name.
    pub(crate) name: String,
    /// The variant's; empty in a study without variants.
    pub(crate) variant: String,
    /// What is measured of its clients and resolvers alone.
    pub(crate) measures: Vec<MeasureView>,
}

/// Of the runs of one variant, one a seed: population by population, or nothing if there is just one.
pub(super) fn views(variant: &str, runs: &[RunResult]) -> Vec<PopulationView> {
    let populations = runs.first().map_or(&[][..], |run| &run.populations);
    if populations.len() < 2 {
        return Vec::new();
    }
    let view = |place: usize| {
        let measure = |it: &measures::OfPopulation| {
            let values = runs.iter().map(|run| it.of(run, run.populations.get(place)?)).collect();
            Some(MeasureView::of(measures::measure(it.name)?, values))
        };
        PopulationView {
            name: populations[place].name.clone(),
            variant: variant.to_owned(),
            measures: OF_POPULATIONS.iter().filter_map(measure).collect(),
        }
    };
    (0..populations.len()).map(view).collect()
}

/// For people; empty if there are no populations to tell apart.
pub(super) fn render(views: &[PopulationView]) -> String {
    if views.is_empty() {
        return String::new();
    }
    let has_variants = views.iter().any(|view| !view.variant.is_empty());
    let first = if has_variants { &["population", "variant"][..] } else { &["population"] };
    let head = first.iter().copied().chain(COLUMNS.iter().map(|(_, heading)| *heading));
    let mut table = Table::new(&head.collect::<Vec<_>>());
    // The variants of a population one below the other.
    let mut rows: Vec<&PopulationView> = views.iter().collect();
    let place = |view: &&PopulationView| views.iter().position(|it| it.name == view.name);
    rows.sort_by_key(place);
    for view in rows.iter().take(ROWS_MAX) {
        let cell = |(name, _): &(&str, &str)| {
            let found = view.measures.iter().find(|it| it.name == *name);
            found.map(MeasureView::text).unwrap_or_default()
        };
        let variant = has_variants.then(|| view.variant.clone());
        let own = std::iter::once(view.name.clone()).chain(variant);
        table.row(own.chain(COLUMNS.iter().map(cell)));
    }
    let mut text = table.render();
    if rows.len() > ROWS_MAX {
        text.push_str(&format!("... and {} more rows; --json has all\n", rows.len() - ROWS_MAX));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(name: &str, variant: &str, p95: f64) -> PopulationView {
        let measure = measures::measure("response_p95").unwrap();
        let measures = vec![MeasureView::of(measure, vec![Some(p95)])];
        PopulationView { name: name.to_owned(), variant: variant.to_owned(), measures }
    }

    #[test]
    fn a_population_s_variants_stand_together() {
        let views = [view("east", "RR", 1.0), view("west", "RR", 2.0), view("east", "DAL", 3.0)];
        let text = render(&views);
        let rows: Vec<Vec<&str>> =
            text.lines().skip(1).map(|row| row.split_whitespace().take(3).collect()).collect();
        assert_eq!(
            rows,
            [["east", "RR", "1.000"], ["east", "DAL", "3.000"], ["west", "RR", "2.000"]]
        );
        assert_eq!(render(&[]), "");
    }

    #[test]
    fn a_table_is_short() {
        let views: Vec<_> = (0..50).map(|number| view(&format!("p{number}"), "", 1.0)).collect();
        let text = render(&views);
        assert_eq!(text.lines().count(), 1 + ROWS_MAX + 1);
        assert!(
            text.starts_with("POPULATION  95 %") && text.contains("and 10 more rows"),
            "{text}"
        );
    }
}
