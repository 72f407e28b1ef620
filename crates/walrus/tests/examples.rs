//! Every complete configuration that the documentation shows is one.

use std::path::{Path, PathBuf};

use walrus_core::config::{Context, Problem, SourceFile, parse};

#[test]
fn complete_examples_have_no_problems() {
    let mut found = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("the page can be read");
        for (line, example) in examples(&text).filter(|(_, example)| is_complete(example)) {
            found += 1;
            if let Err(problems) = check(&example) {
                panic!("{}, the example of line {line}: {problems:#?}", page.display());
            }
        }
    }
    assert!(found >= 2, "the guide shows a whole configuration and a Reporter's");
}

/// Other examples are parts, to be put into one of these.
fn is_complete(example: &str) -> bool {
    example.contains("[node]")
}

fn check(example: &str) -> Result<(), Vec<Problem>> {
    let file = SourceFile { name: "example.toml".to_owned(), text: example.to_owned() };
    let context = Context { hostname: "example", read: &|_| Ok(String::new()) };
    parse(&[file], &context).map(|_| ())
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = vec![root.join("README.md"), root.join("packaging/README.md")];
    for folder in ["docs/src", "docs/src/reference"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("the guide is there") {
            pages.push(entry.expect("the guide can be listed").path());
        }
    }
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    // The README comes with the whole; the guide stands by itself.
    pages.retain(|page| page.exists());
    pages
}

/// The TOML blocks of a page with the lines on which they begin, their indentation taken off.
fn examples(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut lines = text.lines().enumerate();
    std::iter::from_fn(move || {
        let (line, fence) = lines.find(|(_, line)| line.trim_start().starts_with("```toml"))?;
        let indentation = fence.len() - fence.trim_start().len();
        let body: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line.get(indentation..).unwrap_or_default())
            .take_while(|line| !line.starts_with("```"))
            .collect();
        Some((line + 1, body.join("\n")))
    })
}
