//! Settings replaced after their file was read: variants of one study, values of a sweep.
//!
//! A path is the keys from the top level with dots between them (`service.choose`,
//! `control.round`). Where it meets a list of tables it means all of them, or the one whose `name` follows
//! (`cluster.frankfurt.servers`).

use toml::de::DeTable;

use super::findings::{Findings, Place};
use super::section::{Section, Value};
use super::setting::{Group, Kind};
use super::walk::{self, Item};

/// A value that goes where a path points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// Keys with dots between them.
    pub path: String,
    /// Where the path is written.
    pub path_place: Place,
    /// The value as TOML.
    pub value: String,
    /// Where the value is written: what stands there is [`Self::value`].
    pub place: Place,
}

impl Replacement {
    /// The same where so many files were put before those that its places are in.
    pub(super) fn moved_by(&self, files: u32) -> Self {
        let moved = |place: Place| Place { file: place.file.saturating_add(files), ..place };
        Self { path_place: moved(self.path_place), place: moved(self.place), ..self.clone() }
    }
}

/// Carries one out. Settings that are missing are added; a list of tables is not.
pub(super) fn replace(
    root: &mut Section,
    group: &'static Group,
    replacement: &Replacement,
    findings: &Findings<'_>,
) {
    let keys: Vec<&str> = replacement.path.split('.').map(str::trim).collect();
    descend((root, group), &keys, replacement, findings);
}

fn descend(
    (section, group): (&mut Section, &'static Group),
    keys: &[&str],
    replacement: &Replacement,
    findings: &Findings<'_>,
) {
    let Some((key, below)) = keys.split_first() else { return };
    let Some(setting) = group.setting(key) else {
        walk::unknown_key(key, replacement.path_place, group, findings);
        return;
    };
    if below.is_empty() {
        let value = read(replacement, &setting.kind, findings);
        section.put(setting.name, value, replacement.place);
        return;
    }
    let Some(group_below) = super::reference::group_below(&setting.kind) else {
        let message =
            format!("`{key}` has no settings of its own: `{}` goes too far", replacement.path);
        findings.problem(replacement.path_place, message);
        return;
    };
    if !section.has(setting.name) && matches!(setting.kind, Kind::Section(_)) {
        let mut added = Section::new(replacement.place);
        walk::complete(&mut added, key, group_below, findings);
        section.put(setting.name, Some(Value::Section(added)), replacement.place);
    }
    let is_given = section.is_given(setting.name);
    match section.value_mut(setting.name) {
        Some(Value::Section(section)) => {
            descend((section, group_below), below, replacement, findings);
        }
        Some(Value::Sections(sections)) => {
            each(sections, group_below, below, replacement, findings);
        }
        // A problem with it was told already, or it is not there.
        _ if is_given => {}
        _ => {
            let message =
                format!("there is no `{key}` to change: write {} first", group_below.header);
            findings.problem(replacement.path_place, message);
        }
    }
}

/// All tables of a list, or the one that is named.
fn each(
    sections: &mut [Section],
    group: &'static Group,
    keys: &[&str],
    replacement: &Replacement,
    findings: &Findings<'_>,
) {
    let named = |section: &Section| match section.value("name") {
        Some(Value::Name(name)) => Some(name.to_string()),
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let first = keys.first().copied().unwrap_or_default();
    let has_names = group.setting("name").is_some();
    if has_names && group.setting(first).is_none() && keys.len() > 1 {
        let found = sections.iter_mut().find(|it| named(it).is_some_and(|name| name == first));
        match found {
            Some(section) => {
                descend((section, group), keys.get(1..).unwrap_or_default(), replacement, findings);
            }
            None => walk::unknown_key(first, replacement.path_place, group, findings),
        }
        return;
    }
    for section in sections {
        descend((section, group), keys, replacement, findings);
    }
}

/// Stands before a value that is parsed by itself.
const KEY: &str = "x=";

/// The value by its kind, with places as if it were read where it stands.
fn read(replacement: &Replacement, kind: &'static Kind, findings: &Findings<'_>) -> Option<Value> {
    // Behind a key, and with blanks before it, all that a list or table holds has its true offset.
    let before = (replacement.place.offset as usize).saturating_sub(KEY.len());
    let text = format!("{}{KEY}{}", " ".repeat(before), replacement.value);
    match DeTable::parse(&text) {
        Ok(table) => {
            let (_, value) = table.get_ref().iter().next()?;
            let item = Item { value: value.get_ref(), place: replacement.place };
            walk::read(item, kind, &replacement.path, findings)
        }
        Err(error) => {
            let message = format!(
                "`{}` is no TOML value: {} (texts stand in quotes)",
                super::scalar::shortened(&replacement.value),
                error.message()
            );
            findings.problem(replacement.place, message);
            None
        }
    }
}
