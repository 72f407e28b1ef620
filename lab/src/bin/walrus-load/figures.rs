//! What was measured, beside what was hoped for.

use std::fmt;

use serde::Serialize;

/// The figures of one measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    title: String,
    rows: Vec<Figure>,
}

/// One of them.
#[derive(Debug, Serialize)]
struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    /// It should be at most so much; `None`: for information.
    at_most: Option<f64>,
}

impl Figures {
    pub(crate) fn new(title: String) -> Self {
        Self { title, rows: Vec::new() }
    }

    /// A figure with nothing to be compared with.
    pub(crate) fn tell(&mut self, what: &str, value: f64, unit: &'static str) {
        self.rows.push(Figure { what: what.to_owned(), value, unit, at_most: None });
    }

    /// A figure with its goal.
    pub(crate) fn compare(&mut self, what: &str, value: f64, unit: &'static str, at_most: f64) {
        self.rows.push(Figure { what: what.to_owned(), value, unit, at_most: Some(at_most) });
    }

    /// Whether no goal was missed.
    pub(crate) fn are_reached(&self) -> bool {
        self.rows.iter().all(Figure::is_reached)
    }
}

impl Figure {
    fn is_reached(&self) -> bool {
        self.at_most.is_none_or(|most| self.value <= most)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "== {}", self.title)?;
        for row in &self.rows {
            write!(f, "{:52} {:>10.1} {}", row.what, row.value, row.unit)?;
            match row.at_most {
                Some(most) if row.is_reached() => writeln!(f, "   (at most {most})")?,
                Some(most) => writeln!(f, "   MISSED: at most {most}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
