//! The reference page of the configuration, made from the tables of settings.

use std::fmt::Write as _;

use super::setting::{Default, Group, Kind, Scope, Setting};
use super::settings::{ROOT, zone};

/// What stands before the tables.
const INTRODUCTION: &str = "\
# Configuration reference

<!-- Made from the tables in crates/walrus-core/src/config/settings by
`UPDATE=1 cargo test -p walrus --test reference`; do not edit. -->

A configuration is TOML: one file, or a directory whose `*.toml` files are read in the order of
their names as if they were one. `walrus check CONFIG` tells every problem at once, each with file,
line, column and what to write instead; an unknown key is a problem. Paths are relative to the
configuration. Secrets never stand in it: settings that end in `_file` name the file that holds one.

Sections marked *shared* are the same on every node: their digest is the configuration's number.
Sections marked *local* are this node's own.

Times are written with a unit (`\"500ms\"`, `\"30s\"`, `\"5m\"`, `\"1h\"`, `\"1d\"`), shares as
numbers or percentages (`0.8` or `\"80%\"`), domain names with or without the last dot.
";

/// The reference page as Markdown, for `docs/src/reference/configuration.md`.
#[must_use]
pub fn reference_page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for group in groups() {
        let scope = if group.scope == Scope::Shared { "shared" } else { "local" };
        section(group, &format!(" *({scope})*"), &mut page);
    }
    page
}

/// The tables of other files of settings as Markdown: a heading and a table for each group.
#[must_use]
pub fn reference_tables(root: &'static Group) -> String {
    let mut page = String::new();
    groups_below(root).into_iter().for_each(|group| section(group, "", &mut page));
    page
}

fn section(group: &Group, scope: &str, page: &mut String) {
    let title = if group.header.is_empty() {
        "The top level".to_owned()
    } else {
        format!("`{}`", group.header)
    };
    // Writing to a String cannot fail.
    let _ = write!(page, "\n## {title}\n\n{}{scope}\n\n", group.meaning);
    page.push_str("| setting | value | default | meaning |\n|---|---|---|---|\n");
    for setting in group.settings.iter().filter(|setting| !setting.meaning.is_empty()) {
        row(setting, page);
    }
}

fn row(setting: &Setting, page: &mut String) {
    let default = match setting.default {
        Default::Required => "**required**".to_owned(),
        Default::Value(text) => format!("`{text}`"),
        Default::Otherwise(text) | Default::Apart(text) => text.to_owned(),
    };
    let value = format!("{}: `{}`", value_of(&setting.kind), setting.example);
    let cells = [format!("`{}`", setting.name), value, default, setting.meaning.to_owned()];
    let escaped = cells.map(|cell| cell.replace('|', "\\|"));
    let _ = writeln!(page, "| {} |", escaped.join(" | "));
}

/// Tables are named by their header, which has its own heading.
fn value_of(kind: &Kind) -> String {
    match kind {
        Kind::Section(group) => format!("`{}`", group.header),
        Kind::Sections(group) => format!("tables `{}`", group.header),
        Kind::Either(kinds) => kinds.iter().map(value_of).collect::<Vec<_>>().join(" or "),
        other => other.description(),
    }
}

/// All groups, each once, in the order in which they are met.
fn groups() -> Vec<&'static Group> {
    groups_below(&ROOT)
}

/// This group and all below it, each once, in the order in which they are met.
pub(super) fn groups_below(root: &'static Group) -> Vec<&'static Group> {
    let mut groups: Vec<&'static Group> = Vec::new();
    collect(root, &mut groups);
    groups
}

fn collect(group: &'static Group, groups: &mut Vec<&'static Group>) {
    if groups.iter().any(|known| std::ptr::eq(*known, group)) {
        return;
    }
    groups.push(group);
    for setting in group.settings {
        if let Some(below) = group_below(&setting.kind) {
            collect(below, groups);
        }
    }
}

/// The group of a setting that is a table or a list of tables.
pub(super) fn group_below(kind: &'static Kind) -> Option<&'static Group> {
    match kind {
        Kind::Section(group) | Kind::Sections(group) => Some(group),
        Kind::Either(kinds) => kinds.iter().find_map(group_below),
        _ => None,
    }
}

/// Whether a group is the long spelling of what the top level can say in short.
pub(super) fn is_long_spelling(group: &Group) -> bool {
    std::ptr::eq(group, &raw const zone::ZONE)
}
