//! Holds `ARCHITECTURE.md` against the source: edges between crates, floors inside the core, and
//! the absences that a machine can see.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn crates_use_only_what_the_table_allows() {
    let table = Table::read();
    let manifests = manifests();
    let mut wrong = Vec::new();
    for (name, edges) in &manifests {
        let Some(row) = table.rows.get(name) else {
            wrong.push(format!("crate {name} has no row in ARCHITECTURE.md"));
            continue;
        };
        for edge in edges.difference(&row.may_use) {
            wrong.push(format!("{name} uses {edge}, which its row does not allow"));
        }
    }
    for (name, row) in &table.rows {
        if !manifests.contains_key(name) {
            wrong.push(format!("ARCHITECTURE.md has a row for {name}, which is no crate"));
        }
        for used in &row.may_use {
            match table.rows.get(used) {
                Some(lower) if lower.floor < row.floor => {}
                Some(_) => wrong.push(format!("{used} is not on a lower floor than {name}")),
                None => wrong.push(format!("the row of {name} allows {used}, which has no row")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_cores_modules_use_only_lower_floors() {
    let source = root().join("crates/walrus-core/src");
    let floors = core_floors();
    let lib = fs::read_to_string(source.join("lib.rs")).unwrap();
    let declared: BTreeSet<String> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect();
    assert_eq!(declared, floors.iter().cloned().collect(), "core's lib.rs and ARCHITECTURE.md");
    let floor_of = |module: &str| floors.iter().position(|floor| floor == module);
    let mut wrong = Vec::new();
    for file in rust_files(&source) {
        let place = file.strip_prefix(&source).unwrap();
        let first = place.components().next().unwrap().as_os_str().to_str().unwrap();
        let Some(own) = floor_of(first.trim_end_matches(".rs")) else { continue };
        for (number, line) in code_lines(&fs::read_to_string(&file).unwrap()) {
            for used in modules_used(line) {
                if floor_of(used).is_some_and(|floor| floor > own) {
                    wrong.push(format!("{}:{number} uses crate::{used}", place.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "a floor uses a later one:\n{}", wrong.join("\n"));
}

#[test]
fn files_are_small_and_say_what_they_are_for() {
    const LINES_MAX: usize = 800;
    let mut wrong = Vec::new();
    for file in source_files() {
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{} has {lines} lines, more than {LINES_MAX}", file.display()));
        }
        // A `tests.rs` is the end of the file that it tests.
        if !text.starts_with("//! ") && !file.ends_with("tests.rs") {
            wrong.push(format!("{} does not begin with `//! ...`", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn functions_are_short() {
    const LINES_MAX: usize = 70;
    let root = root();
    let mut wrong = Vec::new();
    for file in source_files() {
        let place = file.strip_prefix(&root).unwrap();
        if is_test(place) {
            continue;
        }
        for (line, name, lines) in functions(&fs::read_to_string(&file).unwrap()) {
            if lines > LINES_MAX {
                let place = place.display();
                wrong.push(format!("{place}:{line} `{name}` has {lines} lines"));
            }
        }
    }
    let wrong = wrong.join("\n");
    assert!(wrong.is_empty(), "split what has more than {LINES_MAX} lines:\n{wrong}");
}

#[test]
fn functions_are_measured_from_their_first_line_to_their_last() {
    let text = "\
fn one() -> u8 { 1 }
trait Named {
    fn name(
        &self,
    ) -> &str;
    const fn of() {
        if true {
        }
    }
}
pub(crate) fn long(
    word: &str,
) -> impl Fn() -> u8 {
    || 1

}
#[cfg(test)]
mod tests {
    fn tested() {
    }
}
";
    let found: Vec<_> = functions(text).collect();
    assert_eq!(found, [(1, "one", 1), (3, "name", 3), (6, "of", 4), (11, "long", 6)]);
}

#[test]
fn nothing_is_named_for_having_no_place() {
    const BANNED: [&str; 6] = ["common", "util", "utils", "types", "helper", "helpers"];
    let mut wrong = Vec::new();
    for file in source_files() {
        let place = file.strip_prefix(root()).unwrap();
        for part in place.components() {
            let name = part.as_os_str().to_str().unwrap().trim_end_matches(".rs");
            if BANNED.iter().any(|banned| name == *banned || name.ends_with(&format!("-{banned}")))
            {
                wrong.push(place.display().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "a noun goes to `world`, else to its only user: {wrong:?}");
}

/// The API's description knows types by their names alone: of two with one name it would have the one for both.
#[test]
fn no_two_types_of_the_api_have_one_name() {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for file in source_files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let described = text.split("ToSchema)]\n").skip(1);
        let lines = described.filter_map(|rest| rest.lines().find(|line| line.starts_with("pub")));
        for declared in lines.filter_map(|line| line.split_whitespace().nth(2)) {
            let name = declared.trim_end_matches(|it: char| !it.is_alphanumeric());
            assert!(names.insert(name.to_owned()), "{}: {name} is there twice", file.display());
        }
    }
    assert!(names.len() > 50, "{names:?}");
}

#[test]
fn only_the_director_is_unsafe() {
    let mut wrong = Vec::new();
    for file in rust_files(&root().join("crates")) {
        let place = file.strip_prefix(root()).unwrap();
        if place.starts_with("crates/walrus-director") || place.ends_with("architecture.rs") {
            continue;
        }
        for (number, line) in code_lines(&fs::read_to_string(&file).unwrap()) {
            if line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| {
                // Written apart, so that this very line is not found.
                word == concat!("un", "safe")
            }) {
                wrong.push(format!("{}:{number}", place.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    for (name, manifest) in manifest_texts() {
        let inherits = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool)
            == Some(true);
        let own_workspace = manifest.get("workspace").is_some();
        assert!(
            inherits || own_workspace || ["walrus-director", "walrus-lab"].contains(&name.as_str()),
            "{name} does not take over the workspace's lints"
        );
    }
}

/// The table of crates.
struct Table {
    rows: BTreeMap<String, Row>,
}

struct Row {
    floor: u32,
    may_use: BTreeSet<String>,
}

impl Table {
    fn read() -> Self {
        let mut rows = BTreeMap::new();
        let text = architecture();
        let lines =
            text.lines().skip_while(|line| !line.starts_with("| crate | floor | may use |"));
        for line in lines.skip(2).take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, name, floor, may_use, ..] = cells[..] else { panic!("a short row: {line}") };
            let row = Row {
                floor: floor.parse().unwrap_or_else(|_| panic!("no floor: {line}")),
                may_use: quoted(may_use).map(str::to_owned).collect(),
            };
            rows.insert(quoted(name).next().expect("a name in backquotes").to_owned(), row);
        }
        assert!(rows.len() > 1, "ARCHITECTURE.md has no table of crates");
        Self { rows }
    }
}

/// The numbered list of the core's modules.
fn core_floors() -> Vec<String> {
    let text = architecture();
    let floors: Vec<String> = text
        .lines()
        .skip_while(|line| !line.starts_with("## The floors inside `walrus-core`"))
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with(|letter: char| letter.is_ascii_digit()))
        .filter_map(|line| quoted(line).next())
        .map(str::to_owned)
        .collect();
    assert!(!floors.is_empty(), "ARCHITECTURE.md has no list of the core's floors");
    floors
}

fn architecture() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md")
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Each crate's own crates, whatever for (tests and builds included).
fn manifests() -> BTreeMap<String, BTreeSet<String>> {
    let texts = manifest_texts();
    let names: BTreeSet<String> = texts.keys().cloned().collect();
    texts
        .into_iter()
        .map(|(name, manifest)| {
            let mut edges = BTreeSet::new();
            collect_edges(&manifest, &names, &mut edges);
            edges.remove(&name);
            (name, edges)
        })
        .collect()
}

/// Every key of every table of dependencies, those of a `[target.'cfg(...)']` included.
fn collect_edges(value: &toml::Value, names: &BTreeSet<String>, edges: &mut BTreeSet<String>) {
    let Some(table) = value.as_table() else { return };
    for (key, value) in table {
        if key.ends_with("dependencies") {
            let used = value.as_table().into_iter().flat_map(toml::Table::keys);
            edges.extend(used.filter(|used| names.contains(*used)).cloned());
        } else {
            collect_edges(value, names, edges);
        }
    }
}

fn manifest_texts() -> BTreeMap<String, toml::Value> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<PathBuf> =
        fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.extend(["fuzz", "lab", "bench"].map(|folder| root().join(folder)));
    for folder in folders {
        let Ok(text) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        let manifest: toml::Value =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        found.insert(name, manifest);
    }
    found
}

/// The modules of the crate that a line of code names.
fn modules_used(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).filter_map(|rest| {
        rest.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next()
    })
}

/// Whether a file is all tests, or measures.
fn is_test(place: &Path) -> bool {
    let mut parts = place.iter().filter_map(|part| part.to_str());
    parts.any(|part| part == "tests" || part == "benches" || part.ends_with("tests.rs"))
}

/// The functions before a file's tests: (line, name, lines), as rustfmt sets them.
fn functions(text: &str) -> impl Iterator<Item = (usize, &str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_tests = |pair: &[&str]| pair == ["#[cfg(test)]", "mod tests {"];
    let end = lines.windows(2).position(is_tests).unwrap_or(lines.len());
    (0..end).filter_map(move |first| {
        let name = function_name(lines[first])?;
        Some((first + 1, name, function_lines(&lines[first..])))
    })
}

/// `open` for `pub(in crate::zone) const fn open(`.
fn function_name(line: &str) -> Option<&str> {
    let (before, behind) = line.split_once("fn ")?;
    let is_before = |word: &str| {
        ["const", "async", "unsafe", "extern"].contains(&word)
            || word.starts_with("pub")
            || word.ends_with([')', '"'])
    };
    let name = behind.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next();
    name.filter(|name| !name.is_empty() && before.split_whitespace().all(is_before))
}

/// How many lines the function has that begins with these: its last one stands as far to the right as its
/// first, and ends what was opened.
fn function_lines(lines: &[&str]) -> usize {
    let right = |line: &str| line.len() - line.trim_start().len();
    let mut is_open = false;
    for (index, line) in lines.iter().enumerate() {
        if line.is_empty() || right(line) != right(lines[0]) {
            continue;
        }
        let ends = if is_open { line.trim() == "}" } else { line.ends_with(['}', ';']) };
        if ends {
            return index + 1;
        }
        is_open |= line.ends_with('{');
    }
    lines.len()
}

/// Numbered lines without comments; code behind which a comment stands is kept whole.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line))
}

/// Of all crates and of the lab.
fn source_files() -> Vec<PathBuf> {
    ["crates", "lab"].iter().flat_map(|folder| rust_files(&root().join(folder))).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                found.extend(rust_files(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}
