//! The walk over a TOML document: keys and types against the tables of settings.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::findings::{Findings, Place};
use super::replace::Replacement;
use super::scalar;
use super::section::{Entry, Section, Value};
use super::setting::{Default, Group, Kind, Setting};
use super::suggest::did_you_mean;

/// A value of a document with where it stands.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) value: &'a DeValue<'a>,
    pub(super) place: Place,
}

impl<'a> Item<'a> {
    pub(super) fn of(value: &'a Spanned<DeValue<'a>>, file: u32) -> Self {
        Self { value: value.get_ref(), place: place_of(value, file) }
    }
}

/// Where a spanned part begins.
pub(super) fn place_of<T>(part: &Spanned<T>, file: u32) -> Place {
    Place { file, offset: u32::try_from(part.span().start).unwrap_or(u32::MAX) }
}

/// Reads a table as a section: every key known, every value of its kind, nothing required missing.
pub(super) fn section(
    table: &DeTable<'_>,
    place: Place,
    path: &str,
    group: &'static Group,
    findings: &Findings<'_>,
) -> Section {
    let mut section = Section::new(place);
    for (key, value) in table {
        let key_place = place_of(key, place.file);
        let name: &str = key.get_ref();
        let Some(setting) = group.setting(name) else {
            unknown_key(name, key_place, group, findings);
            continue;
        };
        let item = Item::of(value, place.file);
        let value = read(item, &setting.kind, &path_of(path, name), findings);
        section.insert(setting.name, Entry::given(value, item.place, key_place));
    }
    complete(&mut section, path, group, findings);
    section
}

/// Fills in what was not written.
pub(super) fn complete(
    section: &mut Section,
    path: &str,
    group: &'static Group,
    findings: &Findings<'_>,
) {
    for setting in group.settings {
        if section.has(setting.name) {
            continue;
        }
        match setting.default {
            Default::Required => {
                let example = example_line(setting);
                let path = path_of(path, setting.name);
                findings.problem(section.place(), format!("`{path}` is missing: add {example}"));
                section.insert(setting.name, Entry::absent(None, section.place()));
            }
            Default::Value(text) => {
                let value = default_value(setting, text, findings);
                section.insert(setting.name, Entry::absent(value, section.place()));
            }
            Default::Otherwise(_) | Default::Apart(_) => {
                section.insert(setting.name, Entry::absent(None, section.place()));
            }
        }
    }
}

fn default_value(setting: &'static Setting, text: &str, findings: &Findings<'_>) -> Option<Value> {
    let parsed = DeValue::parse(text).ok()?;
    let item = Item { value: parsed.get_ref(), place: Place::NOWHERE };
    read(item, &setting.kind, setting.name, findings)
}

pub(super) fn unknown_key(
    name: &str,
    place: Place,
    group: &'static Group,
    findings: &Findings<'_>,
) {
    let known = group.settings.iter().map(|setting| setting.name);
    let place_name = if group.header.is_empty() { "the top level" } else { group.header };
    let secret = ["token", "password", "secret", "passphrase"].contains(&name);
    let elsewhere = owners(name, findings);
    let hint = match did_you_mean(name, known.clone()) {
        _ if secret => {
            "secrets never stand in the configuration: put it into a file and name the file \
             (`token_file`)"
                .to_owned()
        }
        Some(near) => format!("did you mean `{near}`?"),
        // A key after a table's header belongs to that table: TOML's best known trap.
        None if !elsewhere.is_empty() => format!("it belongs to {}", elsewhere.join(" or ")),
        None => {
            let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
            format!("it knows {}", known.join(", "))
        }
    };
    let name = scalar::shortened(name);
    findings.problem(place, format!("`{name}` is no setting of {place_name}; {hint}"));
}

/// The sections that have a setting of this name.
fn owners(name: &str, findings: &Findings<'_>) -> Vec<&'static str> {
    let has = |group: &&'static Group| group.setting(name).is_some();
    let header = |group: &'static Group| match group.header {
        "" => "the top of the file, before every [section]",
        header => header,
    };
    findings.groups().into_iter().filter(has).map(header).collect()
}

/// Reads one value by its kind; `None` after a problem.
pub(super) fn read(
    item: Item<'_>,
    kind: &'static Kind,
    path: &str,
    findings: &Findings<'_>,
) -> Option<Value> {
    match kind {
        Kind::List(each) => list(item, each, kind, path, findings),
        Kind::OneOrMany(each) => match item.value {
            DeValue::Array(_) => list(item, each, kind, path, findings),
            _ => {
                read(item, each, path, findings).map(|value| Value::List(vec![(value, item.place)]))
            }
        },
        Kind::Names => names(item, kind, path, findings),
        Kind::Table(each) => entries(item, each, kind, path, findings).map(Value::Table),
        Kind::Replacements => replacements(item, kind, path, findings),
        Kind::Either(kinds) => match kinds.iter().find(|kind| fits(item.value, kind)) {
            Some(fitting) => read(item, fitting, path, findings),
            None => mismatch(item, kind, path, findings),
        },
        Kind::Section(group) => match item.value {
            DeValue::Table(table) => {
                Some(Value::Section(section(table, item.place, path, group, findings)))
            }
            _ => mismatch(item, kind, path, findings),
        },
        Kind::Sections(group) => sections(item, group, kind, path, findings),
        scalar_kind => match scalar::read(item.value, scalar_kind) {
            Ok(value) => Some(value),
            Err(why) => {
                findings.problem(item.place, format!("`{path}` {why}"));
                None
            }
        },
    }
}

fn list(
    item: Item<'_>,
    each: &'static Kind,
    kind: &'static Kind,
    path: &str,
    findings: &Findings<'_>,
) -> Option<Value> {
    let DeValue::Array(array) = item.value else {
        return mismatch(item, kind, path, findings);
    };
    let mut values = Vec::with_capacity(array.len());
    for element in array.iter() {
        let element = Item::of(element, item.place.file);
        if let Some(value) = read(element, each, path, findings) {
            values.push((value, element.place));
        }
    }
    // A list of nothing but mistakes is not an empty list: that would be told as well.
    (!values.is_empty() || array.is_empty()).then_some(Value::List(values))
}

fn sections(
    item: Item<'_>,
    group: &'static Group,
    kind: &'static Kind,
    path: &str,
    findings: &Findings<'_>,
) -> Option<Value> {
    let DeValue::Array(array) = item.value else {
        if matches!(item.value, DeValue::Table(_)) {
            let header = group.header;
            findings.problem(item.place, format!("`{path}` is a list of tables: write {header}"));
            return None;
        }
        return mismatch(item, kind, path, findings);
    };
    let mut values = Vec::with_capacity(array.len());
    for element in array.iter() {
        let element = Item::of(element, item.place.file);
        match element.value {
            DeValue::Table(table) => {
                values.push(section(table, element.place, path, group, findings));
            }
            _ => {
                mismatch(element, kind, path, findings);
            }
        }
    }
    Some(Value::Sections(values))
}

fn names(
    item: Item<'_>,
    kind: &'static Kind,
    path: &str,
    findings: &Findings<'_>,
) -> Option<Value> {
    let entries = entries(item, &Kind::Name, kind, path, findings)?.into_iter();
    let named = entries.filter_map(|(key, key_place, value, place)| match value {
        Value::Name(name) => Some((key, (key_place, name, place))),
        _ => None,
    });
    Some(Value::Names(named.collect()))
}

/// The entries of a table whose keys are anybody's: each with its key's place, its value and that one's
/// place. Those that are wrong in themselves are left out.
fn entries(
    item: Item<'_>,
    each: &'static Kind,
    kind: &'static Kind,
    path: &str,
    findings: &Findings<'_>,
) -> Option<Vec<(String, Place, Value, Place)>> {
    let DeValue::Table(table) = item.value else {
        mismatch(item, kind, path, findings);
        return None;
    };
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        let key_place = place_of(key, item.place.file);
        let value = Item::of(value, item.place.file);
        let path = path_of(path, key.get_ref());
        if let Some(read) = read(value, each, &path, findings) {
            entries.push((key.get_ref().to_string(), key_place, read, value.place));
        }
    }
    Some(entries)
}

fn replacements(
    item: Item<'_>,
    kind: &'static Kind,
    path: &str,
    findings: &Findings<'_>,
) -> Option<Value> {
    let DeValue::Table(table) = item.value else {
        return mismatch(item, kind, path, findings);
    };
    let text = findings.text(item.place.file);
    let replacements = table.iter().map(|(key, value)| Replacement {
        path: key.get_ref().to_string(),
        path_place: place_of(key, item.place.file),
        value: text.get(value.span()).unwrap_or_default().to_owned(),
        place: place_of(value, item.place.file),
    });
    Some(Value::Replacements(replacements.collect()))
}

fn mismatch(
    item: Item<'_>,
    kind: &'static Kind,
    path: &str,
    findings: &Findings<'_>,
) -> Option<Value> {
    let found = scalar::found(item.value);
    findings.problem(item.place, format!("`{path}` must be {}, not {found}", kind.description()));
    None
}

/// Whether a value's TOML type is the one that this kind is written in.
fn fits(value: &DeValue<'_>, kind: &Kind) -> bool {
    match kind {
        Kind::Flag => value.is_bool(),
        Kind::Count(..) => value.is_integer(),
        Kind::Number(..) => value.is_integer() || value.is_float(),
        Kind::List(_) | Kind::Sections(_) | Kind::Coordinates => value.is_array(),
        Kind::Names | Kind::Table(_) | Kind::Replacements | Kind::Section(_) => value.is_table(),
        Kind::OneOrMany(each) => value.is_array() || fits(value, each),
        Kind::Either(kinds) => kinds.iter().any(|kind| fits(value, kind)),
        Kind::Share(..) | Kind::Status => value.is_str() || value.is_integer() || value.is_float(),
        Kind::Word(word) => value.as_str() == Some(word),
        _ => value.is_str(),
    }
}

pub(super) fn path_of(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// `name = value` or the header of a section, to copy.
fn example_line(setting: &Setting) -> String {
    match setting.kind {
        Kind::Section(group) => group.header.to_owned(),
        // Some lists of tables are written in one line.
        Kind::Sections(group) if setting.meaning.is_empty() => group.header.to_owned(),
        _ => format!("{} = {}", setting.name, setting.example),
    }
}
