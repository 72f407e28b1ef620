//! What the pure crates may depend on (`ARCHITECTURE.md`, absence 1).

use std::collections::BTreeSet;
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
fn the_dns_crate_depends_on_nothing_but_its_error_macro() {
    let used = dependencies_of("walrus-dns");
    let others: Vec<&String> = used
        .iter()
        .filter(|name| *name != "thiserror" && !MACROS.contains(&name.as_str()))
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
