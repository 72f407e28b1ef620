//! Where something stands in the configuration's files, and what was found wrong there.

use std::cell::{Cell, RefCell};

use super::Problem;
use super::reference::groups_below;
use super::setting::Group;
use super::settings::ROOT;

/// The most problems that are told; a file of another kind would give thousands.
const PROBLEMS_MAX: usize = 200;
/// The most problems that are kept: each costs a walk over the file for its line, and a
/// suggestion may cost a walk over all names.
const KEPT_MAX: usize = 1000;

/// One file of the configuration, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// As people know it: it begins every problem's line.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// A place in one of the files; the line and column are counted only for problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's place in the list.
    pub file: u32,
    /// In bytes from its beginning.
    pub offset: u32,
}

impl Place {
    /// In no file: what a default says.
    pub const NOWHERE: Self = Self { file: u32::MAX, offset: 0 };
}

/// Collects problems and warnings while the files are walked.
#[derive(Debug)]
pub struct Findings<'a> {
    files: &'a [SourceFile],
    /// The top level of such files, to tell in which section a lost key belongs.
    root: &'static Group,
    problems: RefCell<Vec<Problem>>,
    /// Problems beyond [`KEPT_MAX`], which are only counted.
    only_counted: Cell<usize>,
    warnings: RefCell<Vec<Problem>>,
}

impl<'a> Findings<'a> {
    /// For the files of a configuration.
    pub(super) const fn new(files: &'a [SourceFile]) -> Self {
        Self::about(files, &ROOT)
    }

    /// For files of settings whose top level is this.
    #[must_use]
    pub const fn about(files: &'a [SourceFile], root: &'static Group) -> Self {
        Self {
            files,
            root,
            problems: RefCell::new(Vec::new()),
            only_counted: Cell::new(0),
            warnings: RefCell::new(Vec::new()),
        }
    }

    /// Something that keeps the configuration from being used.
    pub fn problem(&self, place: Place, message: impl Into<String>) {
        if self.is_full() {
            self.only_counted.set(self.only_counted.get() + 1);
        } else {
            self.tell(self.located(place, message.into()));
        }
    }

    /// Whether further problems are only counted, so that nothing need be found out for them.
    pub(super) fn is_full(&self) -> bool {
        self.problems.borrow().len() >= KEPT_MAX
    }

    /// A problem in a file that is not one of the configuration's own (a client file).
    pub(super) fn problem_in(&self, file: &str, line: u32, column: u32, message: String) {
        self.tell(Problem { file: file.to_owned(), line, column, message });
    }

    /// A problem that was found and located elsewhere.
    pub fn found(&self, problem: Problem) {
        if self.is_full() {
            self.only_counted.set(self.only_counted.get() + 1);
        } else {
            self.tell(problem);
        }
    }

    /// All groups of settings of such files.
    pub(super) fn groups(&self) -> Vec<&'static Group> {
        groups_below(self.root)
    }

    /// The text of one of the files; empty if there is no such file.
    #[must_use]
    pub fn text(&self, file: u32) -> &'a str {
        self.files.get(file as usize).map_or("", |file| &file.text)
    }

    fn tell(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Something odd that does not keep the configuration from being used.
    pub fn warn(&self, place: Place, message: impl Into<String>) {
        if self.warnings.borrow().len() < KEPT_MAX {
            self.warnings.borrow_mut().push(self.located(place, message.into()));
        }
    }

    /// Whether anything keeps the configuration from being used.
    #[must_use]
    pub fn any(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// `file:line` of a place, to point to it from another problem's text.
    #[must_use]
    pub fn point(&self, place: Place) -> String {
        if self.is_full() {
            return "elsewhere".to_owned();
        }
        let at = self.located(place, String::new());
        format!("{}:{}", at.file, at.line)
    }

    /// Problems in the order of files and lines, each once, bounded; and the warnings.
    #[must_use]
    pub fn into_lists(self) -> (Vec<Problem>, Vec<Problem>) {
        let order = |problem: &Problem| {
            let file = self.files.iter().position(|file| file.name == problem.file);
            (file.unwrap_or(usize::MAX), problem.clone())
        };
        let sorted = |cell: &RefCell<Vec<Problem>>| {
            let mut list = cell.take();
            list.sort_by_cached_key(order);
            list.dedup();
            if list.len() > PROBLEMS_MAX {
                let more = list.len() - PROBLEMS_MAX + self.only_counted.get();
                list.truncate(PROBLEMS_MAX);
                let file = list.last().map(|last| last.file.clone()).unwrap_or_default();
                let message = format!("and {more} more: mend these first");
                list.push(Problem { file, line: 0, column: 0, message });
            }
            list
        };
        (sorted(&self.problems), sorted(&self.warnings))
    }

    fn located(&self, place: Place, message: String) -> Problem {
        let Some(file) = self.files.get(place.file as usize) else {
            // Nowhere in particular: named after the first file, so that the line has a name.
            let file = self.files.first().map_or("configuration", |file| &file.name).to_owned();
            return Problem { file, line: 0, column: 0, message };
        };
        let (line, column) = line_and_column(&file.text, place.offset as usize);
        Problem { file: file.name.clone(), line, column, message }
    }
}

/// Both from 1; columns count characters. An offset beyond the end is the end.
fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[start..].chars().count() + 1;
    let bounded = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (bounded(line), bounded(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        assert_eq!(line_and_column("a\nöb", 4), (2, 2));
        assert_eq!(line_and_column("a\nöb", 3), (2, 1), "inside a character: its start");
        assert_eq!(line_and_column("", 7), (1, 1));
        assert_eq!(line_and_column("a\n", 2), (2, 1));
    }
}
