//! What the pure crates may depend on (`ARCHITECTURE.md`, absence 1), and that every dependency has
//! a reason and a use.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything below `walrus-core`, transitive ones included, with the reason.
const CORE: &[(&str, &str)] = &[
    ("walrus-dns", "DNS bytes"),
    ("thiserror", "error enums"),
    ("serde", "messages and Plans"),
    ("serde_core", "of serde"),
    ("serde_json", "messages and Plans are JSON"),
    ("itoa", "of serde_json: numbers as text"),
    ("zmij", "of serde_json: floats as text"),
    ("memchr", "of serde_json"),
    ("toml", "configuration with places"),
    ("toml_datetime", "of toml"),
    ("toml_parser", "of toml"),
    ("serde_spanned", "of toml: places"),
    ("winnow", "of toml: parsing"),
    ("sha2", "digests"),
    ("sha1", "NSEC3"),
    ("digest", "of sha2"),
    ("block-buffer", "of sha2"),
    ("crypto-common", "of sha2"),
    ("generic-array", "of sha2"),
    ("typenum", "of sha2"),
    ("cpufeatures", "of sha2: picks instructions"),
    ("cfg-if", "of sha2"),
    ("domain", "zone files, record types, the complete answer path"),
    ("octseq", "of domain"),
    ("bytes", "of domain"),
    ("hashbrown", "of domain"),
    ("foldhash", "of hashbrown"),
    ("jiff", "of domain: times written in zone files; it has a clock, which nothing here calls"),
    ("jiff-core", "of jiff"),
    ("siphasher", "DNS cookies, which all servers make alike"),
    ("data-encoding", "queries in addresses of HTTPS"),
    ("rapidhash", "keys of the answer table, with a seed"),
    ("maxminddb", "countries and continents from bytes"),
    ("ipnetwork", "of maxminddb"),
];

/// Macros run when compiling, never in the program.
const MACROS: &[&str] = &[
    "domain-macros",
    "proc-macro2",
    "quote",
    "rustversion",
    "serde_derive",
    "syn",
    "thiserror-impl",
    "unicode-ident",
];

#[test]
fn the_core_depends_on_a_listed_few() {
    let listed: BTreeSet<&str> =
        CORE.iter().map(|(name, _)| *name).chain(MACROS.iter().copied()).collect();
    let used = dependencies_of("walrus-core");
    let unlisted: Vec<&String> =
        used.iter().filter(|name| !listed.contains(name.as_str())).collect();
    assert!(
        unlisted.is_empty(),
        "walrus-core came to depend on {unlisted:?}; if each is pure and needed, list it with its \
         reason"
    );
    let unused: Vec<&&str> = listed.iter().filter(|name| !used.contains(**name)).collect();
    assert!(unused.is_empty(), "listed, but no longer used: {unused:?}");
}

#[test]
fn the_dns_crate_depends_on_an_error_macro_a_hash_and_base64() {
    let used = dependencies_of("walrus-dns");
    let others: Vec<&String> = used
        .iter()
        .filter(|name| {
            !["thiserror", "siphasher", "data-encoding"].contains(&name.as_str())
                && !MACROS.contains(&name.as_str())
        })
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn nothing_pure_can_reach_a_socket_or_a_random_source() {
    // Named once more, so that nobody lists them above.
    for name in
        ["ring", "tokio", "rand", "rand_core", "getrandom", "mio", "socket2", "tracing", "log"]
    {
        for pure in ["walrus-core", "walrus-dns"] {
            assert!(!dependencies_of(pure).contains(name), "{pure} depends on {name}");
        }
    }
}

#[test]
fn every_dependency_has_its_reason_above_it() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("there is a manifest");
    let lines: Vec<&str> = manifest.lines().collect();
    let start = lines.iter().position(|line| *line == "[workspace.dependencies]");
    let start = start.expect("the manifest names the dependencies") + 1;
    let section = lines[start..].iter().take_while(|line| !line.starts_with('['));
    let without: Vec<&&str> = section
        .zip(&lines[start - 1..])
        .filter(|(line, above)| line.contains(" = ") && !above.starts_with("# "))
        .map(|(line, _)| line)
        .filter(|line| !line.contains("path = ") && !line.starts_with('#'))
        .collect();
    assert!(without.is_empty(), "say why above each: {without:#?}");
}

#[test]
fn every_dependency_is_used() {
    let mut unused = Vec::new();
    for entry in fs::read_dir(root().join("crates")).expect("there are crates") {
        let folder = entry.expect("a crate").path();
        let source = source_of(&folder);
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("it has a manifest");
        for line in manifest.lines() {
            let Some((name, _)) = line.split_once(".workspace = true") else { continue };
            let ident = name.replace('-', "_");
            let paths = [format!("{ident}::"), format!("use {ident} "), format!("use {ident};")];
            let inherited = ["version", "edition", "rust-version", "license", "publish"];
            if !inherited.contains(&name) && !paths.iter().any(|path| source.contains(path)) {
                unused.push(format!("{}: {name}", folder.display()));
            }
        }
    }
    assert!(unused.is_empty(), "nothing uses them: {unused:#?}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All Rust text below a folder.
fn source_of(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text.push_str(&source_of(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("Rust is text"));
        }
    }
    text
}

/// Names of all that a crate is built from, itself left out.
fn dependencies_of(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "-p", package, "-e", "normal", "--offline", "--prefix", "none"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .expect("names are text")
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty() && *name != package)
        .map(str::to_owned)
        .collect()
}
