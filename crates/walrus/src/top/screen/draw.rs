//! Lays the state of the screen out; made for 80 columns and 24 lines, and any size does.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table};

use super::state::Screen;
use crate::top::heading;
use crate::top::sheet::{Cell, Pane, Sheet};

/// Between two columns.
const GAP: usize = 2;
/// No column becomes narrower for want of room.
const WIDTH_MIN: usize = 4;

const KEYS: &str = " q quit  p pause  tab, 1-9 pane  ◂ ▸ sort  ▴ ▾ scroll";

pub(super) fn draw(frame: &mut Frame<'_>, screen: &Screen) {
    let [head, health, tabs, body, keys] = Layout::vertical([
        Constraint::Length(5),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let lines: Vec<Line<'_>> = heading::lines(&screen.view).into_iter().map(Line::from).collect();
    frame.render_widget(Paragraph::new(lines), head);
    frame.render_widget(health_line(screen), health);
    frame.render_widget(tab_line(screen.pane), tabs);
    let sheets = screen.sheets();
    match &sheets[..] {
        [sheet] => draw_pane(frame, body, screen, sheet),
        sheets => draw_overview(frame, body, screen, sheets),
    }
    let state = if screen.is_paused { "PAUSED " } else { "" };
    let keys_style = Style::new().add_modifier(Modifier::DIM);
    frame.render_widget(Line::styled(KEYS, keys_style), keys);
    let state_style = Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED);
    frame.render_widget(Line::styled(state, state_style).alignment(Alignment::Right), keys);
}

fn health_line(screen: &Screen) -> Line<'static> {
    let bad = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
    if let Some(trouble) = &screen.trouble {
        return Line::styled(format!("NO NEWS: {trouble}"), bad);
    }
    let (is_good, text) = heading::health(&screen.view);
    Line::styled(text, if is_good { Style::new().fg(Color::Green) } else { bad })
}

fn tab_line(chosen: Pane) -> Line<'static> {
    let mut spans = Vec::new();
    for pane in Pane::ALL {
        let style = if pane == chosen {
            Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD)
        } else {
            Style::new()
        };
        spans.push(Span::styled(pane.title(), style));
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}

/// Tables two by two.
fn draw_overview(frame: &mut Frame<'_>, area: Rect, screen: &Screen, sheets: &[Sheet]) {
    let rows = Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).split(area);
    for (row, sheets) in rows.iter().zip(sheets.chunks(2)) {
        let places = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).split(*row);
        for (place, sheet) in places.iter().zip(sheets) {
            let block = Block::new().borders(Borders::TOP).title(sheet.title);
            let inner = block.inner(*place);
            frame.render_widget(block, *place);
            draw_sheet(
                frame,
                Rect { width: inner.width.saturating_sub(1), ..inner },
                screen,
                sheet,
            );
        }
    }
}

fn draw_pane(frame: &mut Frame<'_>, area: Rect, screen: &Screen, sheet: &Sheet) {
    let note = screen.pane.note(&screen.view);
    let block = Block::new().borders(Borders::TOP).title(note);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    draw_sheet(frame, inner, screen, sheet);
}

fn draw_sheet(frame: &mut Frame<'_>, area: Rect, screen: &Screen, sheet: &Sheet) {
    let widths = widths(sheet, usize::from(area.width));
    let is_number = |column: usize| {
        sheet.rows.first().is_some_and(|row| matches!(row.get(column), Some(Cell::Number(..))))
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let headings = sheet.headings.iter().zip(&widths).enumerate().map(|(column, (text, width))| {
        let style = match screen.column() {
            Some(chosen) if chosen == column => bold.add_modifier(Modifier::UNDERLINED),
            _ => bold,
        };
        line(&text.to_uppercase(), *width, is_number(column)).style(style)
    });
    let room = usize::from(area.height).saturating_sub(1);
    // What is scrolled past the end stays at the end.
    let above = screen.above.min(sheet.rows.len().saturating_sub(room));
    let rows = sheet.rows.iter().skip(above).take(room).map(|row| {
        Row::new(
            row.iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| line(cell.text(), *width, is_number(column))),
        )
    });
    let constraints = widths.iter().map(|width| Constraint::Length(*width as u16));
    let table = Table::new(rows, constraints).header(Row::new(headings)).column_spacing(GAP as u16);
    frame.render_widget(table, area);
}

/// Cut to its column, and told so.
fn line(text: &str, width: usize, is_right: bool) -> Line<'static> {
    let text = match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    };
    Line::from(text).alignment(if is_right { Alignment::Right } else { Alignment::Left })
}

/// As wide as the longest text; for want of room the widest columns give way first.
fn widths(sheet: &Sheet, room: usize) -> Vec<usize> {
    let longest = |column: usize| {
        let cells = sheet.rows.iter().filter_map(|row| row.get(column)).map(Cell::text);
        let texts = cells.chain([sheet.headings[column]]);
        texts.map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..sheet.headings.len()).map(longest).collect();
    let gaps = GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > room {
        match widths.iter_mut().max() {
            Some(widest) if *widest > WIDTH_MIN => *widest -= 1,
            _ => break,
        }
    }
    widths
}
