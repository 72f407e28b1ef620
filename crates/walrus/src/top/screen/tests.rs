//! What stands on the screen, line by line, and what keys do.

use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::draw::draw;
use super::state::{Next, Screen};
use crate::cli::Failure;
use crate::top::sheet::Pane;
use crate::top::tests::{view, view_without_status};

/// The screen's text; the spaces at the ends of lines are left out.
fn drawn(screen: &Screen, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, screen)).unwrap();
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for line in buffer.content.chunks(usize::from(width)) {
        let line: String = line.iter().map(|cell| cell.symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn press(screen: &mut Screen, code: KeyCode) -> Next {
    screen.press(KeyEvent::new(code, KeyModifiers::NONE))
}

/// Compares with a committed screen; `UPDATE=1` writes it instead.
fn compare(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/top/screen/golden");
    let file = folder.join(format!("{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, text).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == text,
        "{name} is drawn otherwise (`UPDATE=1 cargo test -p walrus top::screen` takes it):\n{text}"
    );
}

#[test]
fn every_pane_fits_80_columns_and_24_lines() {
    let mut screen = Screen::new(view());
    for pane in Pane::ALL {
        assert_eq!(screen.pane, pane);
        let text = drawn(&screen, 80, 24);
        assert_eq!(text.lines().count(), 24);
        compare(&pane.title().to_lowercase(), &text);
        press(&mut screen, KeyCode::Tab);
    }
    assert_eq!(screen.pane, Pane::Overview, "round and round");
    press(&mut screen, KeyCode::BackTab);
    assert_eq!(screen.pane, Pane::Decisions);
    press(&mut screen, KeyCode::Char('3'));
    assert_eq!(screen.pane, Pane::Names);
}

#[test]
fn a_wide_screen_cuts_nothing() {
    let mut screen = Screen::new(view());
    press(&mut screen, KeyCode::Char('3'));
    let text = drawn(&screen, 132, 30);
    assert!(text.contains("-has-room-for.walrus.example.com  "), "{text}");
    assert!(!text.contains('…'));
}

#[test]
fn no_size_is_too_small_to_draw() {
    for view in [view(), view_without_status()] {
        let mut screen = Screen::new(view);
        for _ in Pane::ALL {
            for (width, height) in [(1, 1), (3, 9), (20, 5), (79, 2), (200, 100)] {
                drawn(&screen, width, height);
            }
            press(&mut screen, KeyCode::Tab);
        }
    }
}

#[test]
fn arrows_sort_and_scroll() {
    let mut screen = Screen::new(view());
    press(&mut screen, KeyCode::Char('6'));
    let first = |screen: &Screen| screen.sheets()[0].rows[0][1].text().to_owned();
    assert_eq!((screen.column(), first(&screen).as_str()), (None, "fra1"));
    for _ in 0..5 {
        press(&mut screen, KeyCode::Right);
    }
    assert_eq!((screen.column(), first(&screen).as_str()), (Some(4), "tokyo-with-a-long-name"));
    press(&mut screen, KeyCode::Left);
    assert_eq!((screen.column(), first(&screen).as_str()), (Some(3), "fra2"), "by life");
    for _ in 0..4 {
        press(&mut screen, KeyCode::Left);
    }
    assert_eq!(screen.column(), None);
    press(&mut screen, KeyCode::Left);
    assert_eq!(screen.column(), Some(6), "round and round");
    press(&mut screen, KeyCode::PageDown);
    press(&mut screen, KeyCode::Up);
    assert_eq!(screen.above, 9);
    assert!(drawn(&screen, 80, 24).contains("fra1"), "never past the end");
}

#[test]
fn a_paused_screen_stays_and_trouble_is_told() {
    let mut screen = Screen::new(view());
    press(&mut screen, KeyCode::Char('p'));
    screen.take(Ok(view_without_status()));
    assert!(!screen.view.clusters.is_empty());
    assert!(drawn(&screen, 80, 24).contains("PAUSED"));
    press(&mut screen, KeyCode::Char('p'));
    screen.take(Err(Failure::CouldNot("no answer from http://192.0.2.1".to_owned())));
    assert!(drawn(&screen, 80, 24).contains("NO NEWS: no answer from http://192.0.2.1"));
    screen.take(Ok(view_without_status()));
    assert!(!drawn(&screen, 80, 24).contains("NO NEWS"));
    assert!(screen.view.clusters.is_empty());
}

#[test]
fn problems_come_before_all_else() {
    let mut view = view();
    view.problems = vec!["fra2 says PANIC".to_owned(), "ams1 is dead".to_owned()];
    let text = drawn(&Screen::new(view), 80, 24);
    assert!(text.contains("PROBLEM: fra2 says PANIC (and 1 more: walrus status)"), "{text}");
}

#[test]
fn q_escape_and_control_c_end() {
    let mut screen = Screen::new(view());
    assert_eq!(press(&mut screen, KeyCode::Char('q')), Next::End);
    assert_eq!(press(&mut screen, KeyCode::Esc), Next::End);
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(screen.press(interrupt), Next::End);
    assert_eq!(press(&mut screen, KeyCode::Char('c')), Next::Go);
}
