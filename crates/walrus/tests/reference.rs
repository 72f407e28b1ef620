//! The committed reference page and example are what the tables of settings say.

use std::path::Path;

#[test]
fn the_reference_page_is_up_to_date() {
    compare("docs/src/reference/configuration.md", &walrus_core::config::reference_page());
}

#[test]
fn the_example_is_up_to_date() {
    compare("packaging/walrus.example.toml", &walrus_core::config::commented_example());
}

/// Compares a committed file with its generated text; `UPDATE=1` writes it instead.
fn compare(path: &str, generated: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = root.join(path);
    if std::env::var_os("UPDATE").is_some() {
        if let Some(directory) = file.parent() {
            std::fs::create_dir_all(directory).expect("the directory can be made");
        }
        std::fs::write(&file, generated).expect("the file can be written");
        return;
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    // Not assert_eq: two pages side by side would help nobody.
    assert!(
        committed == generated,
        "{path} is out of date: run `UPDATE=1 cargo test -p walrus --test reference`"
    );
}
