//! What the user sees and has chosen.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::cli::Failure;
use crate::top::TopView;
use crate::top::sheet::{Pane, Sheet};

/// The state of the screen.
pub(super) struct Screen {
    pub(super) view: TopView,
    /// Why there is no newer look.
    pub(super) trouble: Option<String>,
    pub(super) pane: Pane,
    pub(super) is_paused: bool,
    /// The column that is sorted by, in each pane; none is the order in which the rows come.
    columns: [Option<usize>; Pane::ALL.len()],
    /// Rows that are above the first one shown.
    pub(super) above: usize,
}

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    End,
}

impl Screen {
    pub(super) const fn new(view: TopView) -> Self {
        Self {
            view,
            trouble: None,
            pane: Pane::Overview,
            is_paused: false,
            columns: [None; Pane::ALL.len()],
            above: 0,
        }
    }

    /// A newer look, or why there is none; what was seen stays.
    pub(super) fn take(&mut self, look: Result<TopView, Failure>) {
        match look {
            Ok(_) if self.is_paused => {}
            Ok(view) => {
                self.view = view;
                self.trouble = None;
            }
            Err(Failure::No(text) | Failure::WrongUse(text) | Failure::CouldNot(text)) => {
                self.trouble = Some(text);
            }
            Err(Failure::Problems(problems)) => self.trouble = problems.into_iter().next(),
            Err(Failure::Told | Failure::Besides(_)) => {}
        }
    }

    /// A key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Next {
        if key.kind == KeyEventKind::Release {
            return Next::Go;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Next::End,
            KeyCode::Char('c') if is_control => return Next::End,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Tab => self.go_by(1),
            KeyCode::BackTab => self.go_by(Pane::ALL.len() - 1),
            KeyCode::Char(digit @ '1'..='9') => {
                let place = digit as usize - '1' as usize;
                self.go_to(Pane::ALL[place]);
            }
            KeyCode::Right => self.sort_by_next(1),
            KeyCode::Left => self.sort_by_next(-1),
            KeyCode::Down => self.above = self.above.saturating_add(1),
            KeyCode::Up => self.above = self.above.saturating_sub(1),
            KeyCode::PageDown => self.above = self.above.saturating_add(10),
            KeyCode::PageUp => self.above = self.above.saturating_sub(10),
            KeyCode::Home => self.above = 0,
            _ => {}
        }
        Next::Go
    }

    /// The tables of the pane, sorted as the user wants.
    pub(super) fn sheets(&self) -> Vec<Sheet> {
        let mut sheets = self.pane.sheets(&self.view);
        if let Some(column) = self.column() {
            sheets.iter_mut().for_each(|sheet| sheet.sort(column));
        }
        sheets
    }

    /// The column that the pane is sorted by, if the user chose one.
    pub(super) fn column(&self) -> Option<usize> {
        self.columns[self.place()]
    }

    fn place(&self) -> usize {
        Pane::ALL.iter().position(|pane| *pane == self.pane).unwrap_or(0)
    }

    fn go_by(&mut self, places: usize) {
        self.go_to(Pane::ALL[(self.place() + places) % Pane::ALL.len()]);
    }

    const fn go_to(&mut self, pane: Pane) {
        self.pane = pane;
        self.above = 0;
    }

    /// Left of the first column and right of the last the rows are in their own order.
    fn sort_by_next(&mut self, step: isize) {
        let count = self.pane.sheets(&self.view).first().map_or(0, |sheet| sheet.headings.len());
        let place = self.place();
        let now = self.columns[place].map_or(0, |column| column as isize + 1);
        let next = (now + step).rem_euclid(count as isize + 1);
        self.columns[place] = usize::try_from(next - 1).ok();
    }
}
