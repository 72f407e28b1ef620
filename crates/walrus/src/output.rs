//! What the program says to people and scripts: tables, JSON and complaints.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use walrus_core::world::legible;

use crate::cli::Failure;

/// Characters of a cell or a line's text; some are lists.
const TEXT_MAX: usize = 4000;

/// Writes text for people to standard output, without anything that a terminal obeys: what other machines
/// said may stand in it. A reader that went away (`walrus status | head`) is no error.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    write(&in_lines(text))
}

fn write(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::CouldNot(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard error, likewise; nobody is left to tell if that fails.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", in_lines(text));
}

/// The same text with its lines, and with nothing else that moves a cursor or colours anything.
fn in_lines(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut lines = String::with_capacity(text.len());
    for part in text.split_inclusive(['\n', '\t']) {
        let end = part.strip_suffix(['\n', '\t']).map_or(part.len(), str::len);
        let (line, end) = part.split_at(end);
        lines.push_str(&legible(line, usize::MAX));
        lines.push_str(end);
    }
    Cow::Owned(lines)
}

/// What every JSON object of ours begins with, whether a command or the API says it.
#[derive(Serialize)]
pub(crate) struct Envelope<'a, T> {
    walrus: u32,
    kind: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

impl<'a, T: Serialize> Envelope<'a, T> {
    /// Around this body.
    pub(crate) const fn new(kind: &'a str, body: &'a T) -> Self {
        Self { walrus: 1, kind, body }
    }
}

/// Writes one JSON object that begins with `"walrus": 1, "kind": ...`, as every `--json` does.
pub(crate) fn say_json<T: Serialize>(kind: &str, body: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&Envelope::new(kind, body))
        .map_err(|error| Failure::CouldNot(format!("the answer as JSON: {error}")))?;
    write(&format!("{text}\n"))
}

/// Columns of text, padded to line up; the last one is not padded.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| (*heading).to_uppercase()).collect()] }
    }

    /// Adds a row; as many cells as there are headings. What other machines said may stand in them, so no
    /// cell has anything that a terminal obeys.
    pub(crate) fn row<I: IntoIterator<Item = String>>(&mut self, cells: I) {
        self.rows.push(cells.into_iter().map(|cell| on_a_line(&cell)).collect());
    }

    /// The table as lines, each ending in a newline.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Text that may be somebody else's, as a part of one line.
pub(crate) fn on_a_line(text: &str) -> String {
    legible(text, TEXT_MAX)
}

/// A load or share as people read it.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "?".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

/// Three digits that say something, or all before the point.
pub(crate) fn three_digits(value: f64) -> String {
    let scientific = format!("{value:.2e}");
    // Of the rounded value: 9.996 is 10.0. What is not finite has none.
    let exponent = scientific.split_once('e').and_then(|(_, exponent)| exponent.parse().ok());
    match exponent {
        Some(_) if value == 0.0 => "0".to_owned(),
        Some(exponent @ -4..) => {
            let behind = usize::try_from(2_i32.saturating_sub(exponent)).unwrap_or(0);
            format!("{value:.behind$}")
        }
        _ => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let mut table = Table::new(&["name", "load"]);
        table.row(["frankfurt".to_owned(), percent(Some(0.25))]);
        table.row(["a".to_owned(), percent(None)]);
        assert_eq!(table.render(), "NAME       LOAD\nfrankfurt  25 %\na          ?\n");
    }

    #[test]
    fn no_cell_makes_lines_or_colours_of_its_own() {
        let mut table = Table::new(&["name", "says"]);
        table.row(["a".to_owned(), "x\nPROBLEM: \u{1b}[31m".to_owned()]);
        assert_eq!(table.render(), "NAME  SAYS\na     x\\nPROBLEM: \\u{1b}[31m\n");
    }

    #[test]
    fn nothing_that_is_said_is_obeyed_by_a_terminal() {
        for (text, shown) in [
            ("a\tb\nc\n", "a\tb\nc\n"),
            ("ä\n\n\u{1b}[2Jb\r\n", "ä\n\n\\u{1b}[2Jb\\r\n"),
            ("drained: \u{9b}1m", "drained: \\u{9b}1m"),
        ] {
            assert_eq!(in_lines(text), shown);
        }
    }

    #[test]
    fn small_numbers_keep_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (12_345.6, "12346"),
            (100.0, "100"),
            (99.97, "100"),
            (15.0, "15.0"),
            (9.996, "10.0"),
            (1.0, "1.00"),
            (0.25, "0.250"),
            (-0.0125, "-0.0125"),
            (0.003_333, "0.00333"),
            (0.000_012_34, "1.23e-5"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(three_digits(value), text);
        }
    }
}
